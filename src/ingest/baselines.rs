//! Reads stated totals of past years: CSV, NDJSON, JSON or XLSX, with English or
//! Chinese header names.
//!
//! Promises: a row that cannot be taken is a reject and never fails the others; one
//! upload states each region and year once, so that two old divisions that became one
//! do not overwrite each other.

use super::{BatchError, Begun, Ingest, Reject, read_off, resume};
use crate::adapter::{Adapter, BodyError, Format, Outcome};
use crate::domain::posting::Fault;
use crate::domain::region::{self, Region, RegionFault};
use crate::domain::time::{Moment, Period};
use crate::store::baselines::{Kept, Stated};
use crate::store::once::{Advance, Answer, Once};
use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use std::collections::HashSet;
use std::sync::Arc;

/// Chinese header names and the fields they stand for.
const CHINESE: [(&str, &str); 3] = [("地区", "region"), ("期间", "period"), ("总数", "total")];
/// More than there are people.
const MOST: u32 = 1_500_000_000;

/// An upload of stated totals.
pub struct BaselineBatch {
    /// The adapter `canonical`, which takes records as they are.
    pub reader: Arc<Adapter>,
    pub format: Option<Format>,
    pub body: Vec<u8>,
    /// The office's own subtree.
    pub region: Region,
    pub client: String,
    pub once: Option<Once>,
}

/// What has been told of rows so far.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Progress {
    /// Good rows that are kept, from the first.
    done: usize,
    created: u64,
    updated: u64,
    unchanged: u64,
    results: Vec<Value>,
}

impl Progress {
    fn plus(&self, slice: &[(usize, Stated)], kept: &[Kept]) -> Self {
        let mut out = self.clone();
        out.done += slice.len();
        for ((index, s), kept) in slice.iter().zip(kept) {
            match kept {
                Kept::Created => out.created += 1,
                Kept::Updated => out.updated += 1,
                Kept::Unchanged => out.unchanged += 1,
            }
            out.results.push(json!({"index": index, "region": s.region, "period": format!("{:04}", s.year), "result": kept.code()}));
        }
        out
    }
}

/// The rows of an upload.
#[derive(Default)]
struct ReadRows {
    good: Vec<(usize, Stated)>,
    rejected: Vec<Reject>,
    received: usize,
}

impl Ingest {
    /// Reads and keeps stated totals. Answers as `POST /v1/baselines` does.
    pub async fn baselines(&self, batch: BaselineBatch, now: Moment) -> Result<Answer, BatchError> {
        let BaselineBatch { reader, format, body, region, client, once } = batch;
        let today = now.day();
        let mut progress: Progress = match resume(&self.store, once.as_ref(), now).await? {
            Begun::Answered(answer) => return Ok(answer),
            Begun::At(kept) => kept.unwrap_or_default(),
        };
        let rows = match read_off(move || read_rows(&reader, format, &body, today, region)).await? {
            Ok(rows) => rows,
            Err(e) => {
                // The same body again is told the same, and not that it is in flight.
                if let Some(key) = once {
                    self.store.release(key).await?;
                }
                return Err(e.into());
            }
        };
        if progress.done == 0 {
            self.admit(&client, rows.received, once.as_ref()).await?;
        }
        let left = rows.good.get(progress.done..).unwrap_or_default();
        for slice in left.chunks(self.slice) {
            let stated: Arc<[Stated]> = slice.iter().map(|(_, s)| *s).collect();
            let advance = once.as_ref().map(|key| {
                let (before, slice) = (progress.clone(), slice.to_vec());
                let state = move |kept: &[Kept]| serde_json::to_value(before.plus(&slice, kept)).unwrap_or(Value::Null);
                Advance::new(key.clone(), state)
            });
            let kept = self.store.state_baselines(stated, advance, client.clone(), now).await;
            if let Err(e) = &kept {
                self.store.release_if_temporary(once.as_ref(), e).await;
            }
            progress = progress.plus(slice, &kept?);
        }
        let body = json!({
            "received": rows.received, "created": progress.created, "updated": progress.updated, "unchanged": progress.unchanged,
            "rejected": rows.rejected, "results": progress.results,
        });
        let answer = Answer { status: 200, body };
        if let Some(key) = once {
            self.store.finish(key, answer.clone()).await?;
        }
        Ok(answer)
    }
}

fn read_rows(reader: &Adapter, format: Option<Format>, body: &[u8], today: Date, own: Region) -> Result<ReadRows, BodyError> {
    let records = match format {
        Some(format) => reader.read_as(format, body)?,
        None => reader.read(body)?,
    };
    let (mut out, mut seen) = (ReadRows::default(), HashSet::new());
    for (index, record) in records.enumerate() {
        out.received = index + 1;
        let read = match record.outcome {
            Outcome::Mapped(Value::Object(map)) => read_row(&map, today, own),
            Outcome::Mapped(_) => Err(vec![Fault::new("", "invalid_type", "a row must be an object")]),
            Outcome::Rejected(fault, _) => Err(vec![fault]),
            Outcome::Skipped(why) => Err(vec![Fault::new("", "unreadable", why)]),
        };
        match read {
            Ok(s) if seen.insert((s.region, s.year)) => out.good.push((index, s)),
            Ok(_) => {
                let fault = Fault::new("/region", "duplicate", "an earlier row states this region and year");
                out.rejected.push(Reject::of(index, None, fault));
            }
            Err(faults) => out.rejected.extend(faults.into_iter().map(|f| Reject::of(index, None, f))),
        }
    }
    Ok(out)
}

fn read_row(map: &Map<String, Value>, today: Date, own: Region) -> Result<Stated, Vec<Fault>> {
    let mut faults = Vec::new();
    let mut cell = |field: &str| {
        let chinese = CHINESE.iter().find(|(_, f)| *f == field).and_then(|(zh, _)| map.get(*zh));
        let text = match map.get(field).or(chinese) {
            Some(Value::String(text)) => text.trim().to_owned(),
            Some(Value::Number(n)) => n.to_string(),
            _ => String::new(),
        };
        if text.is_empty() {
            faults.push(Fault::new(format!("/{field}"), "missing", "is required"));
        }
        Some(text).filter(|t| !t.is_empty())
    };
    let (place, period, total) = (cell("region"), cell("period"), cell("total"));
    let place = place.map(|text| {
        let fault = |code, detail: &str| Fault::new("/region", code, detail);
        let found = if text == Region::NATION.name() { Ok(Region::NATION) } else { region::resolve(&text) };
        match found {
            Ok(region) if region.is_within(own) => Ok(region),
            Ok(_) => Err(fault("region_forbidden", "lies outside this office's region")),
            Err(RegionFault::Ambiguous) => Err(fault("region_ambiguous", "may mean several divisions")),
            Err(_) => Err(fault("region_unknown", "is no division, present or retired")),
        }
    });
    let year = period.map(|text| match Period::parse(&text).filter(|p| p.is_year()) {
        Some(year) if year.is_over(today) => Ok(year.year()),
        Some(_) => Err(Fault::new("/period", "out_of_range", "is not over")),
        None => Err(Fault::new("/period", "period_invalid", "must be a year, YYYY")),
    });
    let total = total.map(|text| match text.parse::<f64>() {
        Ok(n) if n.fract() != 0.0 || !n.is_finite() => Err(Fault::new("/total", "invalid_type", "must be a whole number")),
        Ok(n) if (0.0..=f64::from(MOST)).contains(&n) => Ok(n as u32),
        Ok(_) => Err(Fault::new("/total", "out_of_range", "must be 0 or more, and no more than there are people")),
        Err(_) => Err(Fault::new("/total", "invalid_type", "must be a whole number")),
    });
    match (place, year, total) {
        (Some(Ok(region)), Some(Ok(year)), Some(Ok(total))) => Ok(Stated { region, year, total }),
        (place, year, total) => {
            faults.extend(place.and_then(Result::err));
            faults.extend(year.and_then(Result::err));
            faults.extend(total.and_then(Result::err));
            Err(faults)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::civil::date;

    type Faults<'a> = &'a [(&'a str, &'a str)];

    fn check(row: Value, expected: Result<(&str, i16, u32), Faults<'_>>) {
        let read = read_row(row.as_object().unwrap(), date(2020, 6, 15), Region::parse("520000").unwrap());
        let read = read.map(|s| (s.region.to_string(), s.year, s.total));
        let read = read.map_err(|f| f.iter().map(|f| (f.pointer.clone(), f.code)).collect::<Vec<_>>());
        let expected = expected.map(|(r, y, n)| (r.to_owned(), y, n));
        assert_eq!(read, expected.map_err(|f| f.iter().map(|(p, c)| ((*p).to_owned(), *c)).collect()), "{row}");
    }

    #[test]
    fn a_row_is_read_with_both_headers_by_code_and_by_name() {
        check(json!({"region": "522624", "period": "2019", "total": "120"}), Ok(("522624", 2019, 120)));
        check(json!({"地区": "贵州省黔东南苗族侗族自治州三穗县", "期间": 2019, "总数": 0}), Ok(("522624", 2019, 0)));
        check(json!({"region": "520000", "period": "2018", "total": 5.0}), Ok(("520000", 2018, 5)));
    }

    #[test]
    fn every_fault_of_a_row_has_its_pointer_and_code() {
        check(json!({}), Err(&[("/region", "missing"), ("/period", "missing"), ("/total", "missing")]));
        check(
            json!({"region": "330212", "period": "2020", "total": "-1"}),
            Err(&[("/region", "region_forbidden"), ("/period", "out_of_range"), ("/total", "out_of_range")]),
        );
        check(
            json!({"region": "999999", "period": "2019-12", "total": "many"}),
            Err(&[("/region", "region_unknown"), ("/period", "period_invalid"), ("/total", "invalid_type")]),
        );
        check(json!({"region": "522624", "period": "2019", "total": "1.5"}), Err(&[("/total", "invalid_type")]));
        check(json!({"region": "522624", "period": "2019", "total": "NaN"}), Err(&[("/total", "invalid_type")]));
    }
}
