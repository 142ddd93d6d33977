//! Reads rows of a registry: CSV, NDJSON, JSON or XLSX, with English or Chinese
//! header names.

use super::{BatchError, Begun, Ingest, Reject, read_off, resume};
use crate::adapter::{Adapter, BodyError, Format, Outcome};
use crate::domain::category::Category;
use crate::domain::person::{IdNumber, IdNumberFault, PersonName, Phone};
use crate::domain::posting::Fault;
use crate::domain::region::{self, Region, RegionFault};
use crate::domain::skill::Skill;
use crate::domain::time::{Moment, parse_date};
use crate::domain::worker::{Destinations, Registration, Tier, Wishes};
use crate::store::Store;
use crate::store::once::{Advance, Answer, Once};
use crate::store::registry::{Entry, Registered};
use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use std::sync::Arc;
use tokio::sync::mpsc;

/// Chinese header names and the fields they stand for.
const CHINESE: [(&str, &str); 15] = [
    ("身份证号", "id_number"),
    ("姓名", "name"),
    ("手机号", "phone"),
    ("户籍地", "home_region"),
    ("同意日期", "consent"),
    ("脱贫状态", "tier"),
    ("认定日期", "tier_since"),
    ("易地搬迁", "relocated"),
    ("工种", "categories"),
    ("意向地", "destinations"),
    ("仅就近", "in_place_only"),
    ("最低月薪", "min_monthly_pay"),
    ("必须明示工资", "require_stated_pay"),
    ("技能", "skills"),
    ("求职起始", "seeking_since"),
];

/// Rows in a transaction where nobody else waits for the store: the pages that a
/// slice touches are written once for all of its rows.
const BULK: usize = 20_000;
/// Slices that are read and not stored yet.
const AHEAD: usize = 2;

/// A batch of registry rows.
#[derive(Clone)]
pub struct RegistryBatch {
    /// The adapter `canonical`, which takes records as they are.
    pub reader: Arc<Adapter>,
    pub format: Option<Format>,
    pub body: Arc<Vec<u8>>,
    /// The office's own subtree.
    pub region: Region,
    pub once: Option<Once>,
    pub origin: Origin,
}

/// Who brings a registry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// An office: its limit of records counts, each row's outcome is told, and the
    /// answer is kept under the key.
    Office(String),
    /// The command line: files of any length, and a key only tells how far a file
    /// came until it is through.
    Operator,
}

/// What has been told of rows so far.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Progress {
    /// Rows dealt with, from the first.
    done: usize,
    created: u64,
    updated: u64,
    unchanged: u64,
    results: Vec<Value>,
    rejected: Vec<Reject>,
}

impl Progress {
    fn plus(&self, slice: &SliceOf, outcomes: &[Registered], each: bool) -> Self {
        let mut out = self.clone();
        out.done = slice.upto;
        for (index, outcome) in slice.indices.iter().zip(outcomes) {
            let (id, result) = match outcome {
                Registered::Created(id) => (id, "created"),
                Registered::Updated(id) => (id, "updated"),
                Registered::Unchanged(id) => (id, "unchanged"),
                Registered::Lacks(field) => {
                    let code = if *field == "consent" { "consent_missing" } else { "missing" };
                    let fault = Fault::new(format!("/{field}"), code, "is required for a person who is not registered yet");
                    out.rejected.push(Reject::of(*index, None, fault));
                    continue;
                }
            };
            match result {
                "created" => out.created += 1,
                "updated" => out.updated += 1,
                _ => out.unchanged += 1,
            }
            if each {
                out.results.push(json!({"index": index, "id": id, "result": result}));
            }
        }
        out
    }
}

/// Which rows a slice holds.
#[derive(Clone, Debug)]
struct SliceOf {
    /// The places of its good rows.
    indices: Arc<[usize]>,
    /// Its rows end before this one.
    upto: usize,
}

/// What the reading thread hands over.
struct Part {
    of: SliceOf,
    entries: Vec<Entry>,
    rejected: Vec<Reject>,
}

impl Ingest {
    /// Reads and stores registry rows. Answers as `POST /v1/workers` does; `told`
    /// hears after each slice how many rows are dealt with.
    pub async fn register(&self, batch: RegistryBatch, now: Moment, told: impl Fn(usize)) -> Result<Answer, BatchError> {
        let RegistryBatch { reader, format, body, region, once, origin } = batch;
        let today = now.day();
        let read = Reading { reader, format, body, today, region };
        let mut progress: Progress = match resume(&self.store, once.as_ref(), now).await? {
            Begun::Answered(answer) => return Ok(answer),
            Begun::At(kept) => kept.unwrap_or_default(),
        };
        let each = origin != Origin::Operator;
        let slice = if !each && self.store.is_unserved() { BULK.max(self.slice) } else { self.slice };
        let (out, mut parts) = mpsc::channel(AHEAD);
        let cut = Cutting { store: self.store.clone(), done: progress.done, slice, out };
        let reading = match origin {
            Origin::Operator => tokio::task::spawn_blocking(move || Ok::<_, BodyError>(cut.all(read.rows()?))),
            Origin::Office(sender) => {
                // Counted before anything is stored.
                let rows: Vec<Row> = read_off(move || read.rows().map(Iterator::collect)).await??;
                if progress.done == 0 {
                    self.admit(&sender, rows.len(), once.as_ref()).await?;
                }
                tokio::task::spawn_blocking(move || Ok(cut.all(rows.into_iter())))
            }
        };
        let mut rejected = Vec::new();
        while let Some(Part { of, entries, rejected: refused }) = parts.recv().await {
            rejected.extend(refused);
            // Rows that an interrupted try had dealt with are only read again.
            if of.upto <= progress.done {
                continue;
            }
            let advance = once.as_ref().map(|key| {
                let (before, of) = (progress.clone(), of.clone());
                let state = move |outcomes: &[Registered]| serde_json::to_value(before.plus(&of, outcomes, each)).unwrap_or(Value::Null);
                Advance::new(key.clone(), state)
            });
            let stored = self.store.register_workers(Arc::new(entries), advance, self.promoted_within, now).await;
            if let Err(e) = &stored {
                self.store.release_if_temporary(once.as_ref(), e).await;
            }
            progress = progress.plus(&of, &stored?, each);
            tracing::debug!(rows = progress.done, "a slice of the registry is stored");
            told(progress.done);
        }
        let received = reading.await.map_err(|_| BatchError::Reading)??;
        rejected.append(&mut progress.rejected);
        rejected.sort_by_key(|r| r.index);
        let body = json!({
            "received": received, "created": progress.created, "updated": progress.updated, "unchanged": progress.unchanged,
            "rejected": rejected, "results": progress.results,
        });
        let answer = Answer { status: 200, body };
        match once {
            Some(key) if each => self.store.finish(key, answer.clone()).await?,
            Some(key) => self.store.forget(key).await?,
            None => {}
        }
        Ok(answer)
    }
}

/// Cuts rows into slices, and makes what each row needs before it is stored.
struct Cutting {
    store: Store,
    /// Rows before this one are dealt with.
    done: usize,
    slice: usize,
    out: mpsc::Sender<Part>,
}

impl Cutting {
    /// Hands over all rows; says how many there were. Ends early where nobody
    /// takes them any more.
    fn all(self, rows: impl Iterator<Item = Row>) -> usize {
        let (mut indices, mut entries, mut rejected) = (Vec::new(), Vec::new(), Vec::new());
        let mut upto = 0;
        for (index, row) in rows.enumerate() {
            upto = index + 1;
            match row {
                Ok(_) if index < self.done => {}
                Ok(registration) => {
                    indices.push(index);
                    entries.push(self.store.prepare(*registration));
                }
                Err(faults) => rejected.extend(faults.into_iter().map(|f| Reject::of(index, None, f))),
            }
            if entries.len() == self.slice {
                let of = SliceOf { indices: std::mem::take(&mut indices).into(), upto };
                let part = Part { of, entries: std::mem::take(&mut entries), rejected: std::mem::take(&mut rejected) };
                if self.out.blocking_send(part).is_err() {
                    return upto;
                }
            }
        }
        // Where nobody takes it any more, whoever stopped taking says why.
        let _ = self.out.blocking_send(Part { of: SliceOf { indices: indices.into(), upto }, entries, rejected });
        upto
    }
}

type Row = Result<Box<Registration>, Vec<Fault>>;

/// What rows are read from, and how.
struct Reading {
    reader: Arc<Adapter>,
    format: Option<Format>,
    body: Arc<Vec<u8>>,
    today: Date,
    region: Region,
}

impl Reading {
    /// The rows, read as they are asked for.
    fn rows(&self) -> Result<impl Iterator<Item = Row>, BodyError> {
        let records = match self.format {
            Some(format) => self.reader.read_as(format, &self.body)?,
            None => self.reader.read(&self.body)?,
        };
        Ok(records.map(|record| match record.outcome {
            Outcome::Mapped(Value::Object(map)) => read_row(&map, self.today, self.region).map(Box::new),
            Outcome::Mapped(_) => Err(vec![Fault::new("", "invalid_type", "a row must be an object")]),
            Outcome::Rejected(fault, _) => Err(vec![fault]),
            Outcome::Skipped(why) => Err(vec![Fault::new("", "unreadable", why)]),
        }))
    }
}

/// A cell: not there, cleared with `-`, or a text.
enum Cell {
    Kept,
    Cleared,
    Given(String),
}

struct Cells<'a> {
    map: &'a Map<String, Value>,
    faults: Vec<Fault>,
}

impl Cells<'_> {
    fn cell(&self, field: &str) -> Cell {
        let chinese = CHINESE.iter().find(|(_, f)| *f == field).map(|(zh, _)| *zh);
        let value = self.map.get(field).or_else(|| chinese.and_then(|zh| self.map.get(zh)));
        let text = match value {
            None | Some(Value::Null) => return Cell::Kept,
            Some(Value::String(text)) => text.trim().to_owned(),
            Some(Value::Array(items)) => {
                let texts = items.iter().map(|i| i.as_str().map_or_else(|| i.to_string(), str::to_owned));
                return Cell::Given(texts.collect::<Vec<_>>().join("|"));
            }
            Some(other) => other.to_string(),
        };
        match text.as_str() {
            "" => Cell::Kept,
            "-" => Cell::Cleared,
            _ => Cell::Given(text),
        }
    }

    fn fault(&mut self, field: &str, code: &'static str, detail: &str) {
        self.faults.push(Fault::new(format!("/{field}"), code, detail));
    }

    /// What `read` makes of a given cell; `cleared` stands for `-`.
    fn read<T>(&mut self, field: &str, cleared: Option<T>, wanted: &str, read: impl Fn(&str) -> Option<T>) -> Option<T> {
        match self.cell(field) {
            Cell::Kept => None,
            Cell::Cleared => {
                if cleared.is_none() {
                    self.fault(field, "missing", "cannot be cleared");
                }
                cleared
            }
            Cell::Given(text) => {
                let value = read(&text);
                if value.is_none() {
                    self.fault(field, "unknown_value", wanted);
                }
                value
            }
        }
    }
}

/// Reads one row; all its faults at once, none of them quoting a cell.
pub fn read_row(map: &Map<String, Value>, today: Date, own: Region) -> Result<Registration, Vec<Fault>> {
    let mut cells = Cells { map, faults: Vec::new() };
    let id_number = match cells.cell("id_number") {
        Cell::Given(text) => match IdNumber::parse(&text, today) {
            Ok(id) => Some(id),
            Err(fault) => {
                let detail = match fault {
                    IdNumberFault::Shape => "is not 17 digits and a check character",
                    IdNumberFault::Date => "holds no possible date of birth",
                    IdNumberFault::Check => "has a wrong check character",
                };
                cells.fault("id_number", "id_number_invalid", detail);
                None
            }
        },
        _ => {
            cells.fault("id_number", "missing", "is required");
            None
        }
    };
    let home = match cells.cell("home_region") {
        Cell::Given(text) => match region::resolve(&text) {
            Ok(home) if !home.is_leaf() => {
                cells.fault("home_region", "region_ambiguous", "must be a county, or a division without counties");
                None
            }
            Ok(home) if !home.is_within(own) => {
                cells.fault("home_region", "region_forbidden", "lies outside this office's region");
                None
            }
            Ok(home) => Some(home),
            Err(RegionFault::Ambiguous) => {
                cells.fault("home_region", "region_ambiguous", "may mean several divisions");
                None
            }
            Err(_) => {
                cells.fault("home_region", "region_unknown", "is no division, present or retired");
                None
            }
        },
        _ => {
            cells.fault("home_region", "missing", "is required");
            None
        }
    };
    let flag = |text: &str| match text {
        "true" | "1" | "是" => Some(true),
        "false" | "0" | "否" => Some(false),
        _ => None,
    };
    const DATE: &str = "must be a date, YYYY-MM-DD, not after today";
    let past = |t: &str| date(t).filter(|d| *d <= today);
    const FLAG: &str = "must be true, false, 1, 0, 是 or 否";
    let wishes = Wishes {
        categories: cells.read("categories", Some(0), "must be codes of categories, or their Chinese names, separated by |", categories),
        destinations: cells.read("destinations", Some(Destinations::default()), "must be provinces, or *, separated by |", destinations),
        in_place_only: cells.read("in_place_only", Some(false), FLAG, flag),
        min_monthly_pay: cells.read("min_monthly_pay", Some(0), "must be yuan a month", whole_yuan),
        require_stated_pay: cells.read("require_stated_pay", Some(false), FLAG, flag),
        skills: cells.read("skills", Some(0), "must be codes of skills separated by |", skills),
        paused: None,
        looking: None,
    };
    let consent = cells.read("consent", None, DATE, past);
    let registration = Registration {
        name: cells.read("name", None, "must be 1 to 50 characters", PersonName::parse),
        phone: cells.read("phone", None, "must be 5 to 15 digits", Phone::parse),
        home_since: cells.read("home_since", None, DATE, past),
        tier: cells.read("tier", None, "must be not_lifted, at_risk or lifted, or 未脱贫, 监测, 已脱贫", Tier::parse),
        tier_since: cells.read("tier_since", None, DATE, past),
        relocated: cells.read("relocated", Some(false), FLAG, flag),
        seeking_since: cells.read("seeking_since", None, DATE, past),
        consent,
        wishes,
        // Both are known where no fault was found.
        id_number: match id_number {
            Some(id) => id,
            None => return Err(cells.faults),
        },
        home_region: match home {
            Some(home) => home,
            None => return Err(cells.faults),
        },
    };
    if cells.faults.is_empty() { Ok(registration) } else { Err(cells.faults) }
}

fn date(text: &str) -> Option<Date> {
    parse_date(text.get(..10).filter(|_| text.as_bytes().get(10) == Some(&b' ') || text.as_bytes().get(10) == Some(&b'T')).unwrap_or(text))
}

fn whole_yuan(text: &str) -> Option<u32> {
    let value: f64 = text.parse().ok()?;
    (0.0..=1_000_000.0).contains(&value).then(|| value.round() as u32)
}

fn parts(text: &str) -> impl Iterator<Item = &str> {
    text.split('|').map(str::trim).filter(|t| !t.is_empty())
}

/// Category codes or Chinese names as a mask.
pub fn categories(text: &str) -> Option<u32> {
    let one = |t: &str| Category::parse(t).or_else(|| Category::ALL.into_iter().find(|c| c.title_zh() == t));
    parts(text).try_fold(0, |mask, t| one(t).map(|c| mask | c.bit()))
}

/// Skill codes or Chinese names as a mask.
pub fn skills(text: &str) -> Option<u64> {
    let one = |t: &str| Skill::parse(t).or_else(|| Skill::all().find(|s| s.title_zh() == t));
    parts(text).try_fold(0, |mask, t| one(t).map(|s| mask | s.bit()))
}

/// Provinces by code or name, or `*`.
pub fn destinations(text: &str) -> Option<Destinations> {
    let mut out = Destinations::default();
    for part in parts(text) {
        match part {
            "*" => out.any = true,
            _ => {
                let province = region::resolve(part).ok().filter(|r| r.province() == Some(*r))?;
                if !out.provinces.contains(&province) {
                    out.provinces.push(province);
                }
            }
        }
    }
    out.provinces.sort();
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::civil::date;

    fn row(change: impl Fn(&mut Value)) -> Result<Registration, Vec<(String, &'static str)>> {
        let mut value = json!({"id_number": "11010519491231002X", "name": "虚构甲", "phone": "10000000001", "home_region": "522624", "consent": "2020-05-01"});
        change(&mut value);
        let map = value.as_object().unwrap();
        read_row(map, date(2020, 6, 1), Region::parse("520000").unwrap()).map_err(|f| f.into_iter().map(|f| (f.pointer, f.code)).collect())
    }

    #[test]
    fn the_least_is_enough_and_everything_else_is_kept() {
        let r = row(|_| {}).unwrap();
        assert_eq!((r.tier, r.relocated, r.wishes), (None, None, Wishes::default()));
    }

    #[test]
    fn every_fault_of_a_row_is_told_at_once() {
        let faults = row(|v| {
            v["id_number"] = json!("110105194912310021");
            v["home_region"] = json!("520000");
            v["skills"] = json!("flying");
            v["relocated"] = json!("maybe");
        });
        let told = faults.unwrap_err();
        assert!(told.contains(&("/id_number".to_owned(), "id_number_invalid")), "{told:?}");
        assert!(told.contains(&("/home_region".to_owned(), "region_ambiguous")));
        assert!(told.contains(&("/skills".to_owned(), "unknown_value")));
        assert!(told.contains(&("/relocated".to_owned(), "unknown_value")));
    }

    #[test]
    fn chinese_headers_and_words_are_read() {
        let value = json!({"身份证号": "11010519491231002x", "姓名": "虚构乙", "手机号": "100-0000-0002", "户籍地": "522624", "同意日期": "2020-05-01",
            "脱贫状态": "已脱贫", "易地搬迁": "是", "工种": "外卖骑手|driver", "意向地": "330000|*", "最低月薪": "3500", "仅就近": "否"});
        let r = read_row(value.as_object().unwrap(), date(2020, 6, 1), Region::NATION).unwrap();
        assert_eq!(r.tier, Some(Tier::Lifted));
        assert_eq!(r.relocated, Some(true));
        assert_eq!(r.wishes.categories, Some(Category::DeliveryRider.bit() | Category::Driver.bit()));
        assert!(r.wishes.destinations.as_ref().unwrap().any);
        assert_eq!(r.wishes.min_monthly_pay, Some(3500));
    }

    #[test]
    fn a_place_outside_the_office_is_forbidden_and_a_dash_clears() {
        assert_eq!(row(|v| v["home_region"] = json!("330212")).unwrap_err(), [("/home_region".to_owned(), "region_forbidden")]);
        let r = row(|v| v["categories"] = json!("-")).unwrap();
        assert_eq!(r.wishes.categories, Some(0));
        assert!(row(|v| v["consent"] = json!("2021-01-01")).is_err(), "a consent of the future");
    }
}
