//! Rosters: a platform's present workers, line by line, matched against who is
//! registered.
//!
//! Promises: a line is read when its slice is stored, so that a roster of any length
//! costs the memory of its body and of a few slices; a number that matches nobody is
//! forgotten with its slice; nothing is looked up before the roster is known to be long
//! enough and the platform to be within its limit.
//! Does not: match or make hires (`store::hires`).
//! Start at: [`Hiring::roster`].

use super::Hiring;
use crate::domain::category::Category;
use crate::domain::pay::Money;
use crate::domain::person::IdNumber;
use crate::domain::posting::Fault;
use crate::domain::region;
use crate::domain::time::{Moment, parse_date};
use crate::ingest::{BatchError, Begun, Reject, read_off, resume};
use crate::store::hires::{HireTerms, Listing, Matches, Roster, RosterLine};
use crate::store::once::{Advance, Answer, Once};
use crate::store::{Store, StoreError};
use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use std::collections::HashSet;
use std::sync::Arc;
use tokio::sync::mpsc;
use uuid::Uuid;

/// Slices that are read and not stored yet.
const AHEAD: usize = 2;
/// Characters of a platform's own id.
const OWN_ID: usize = 128;

/// A roster as it was sent.
pub struct RosterBatch {
    pub terms: HireTerms,
    pub client: Uuid,
    pub body: Arc<Vec<u8>>,
    pub once: Option<Once>,
    pub rules: RosterRules,
}

/// What keeps rosters from asking after single persons.
#[derive(Clone, Copy, Debug)]
pub struct RosterRules {
    /// Distinct id numbers that a roster has at least.
    pub min_lines: usize,
    /// Rosters of a platform in 24 hours at most.
    pub per_day: u32,
}

/// Why a roster was not taken.
#[derive(Debug)]
pub enum RosterError {
    Batch(BatchError),
    /// Fewer distinct people than `roster.min_lines`.
    TooSmall(usize),
    /// As many as a platform may send; from this moment on another.
    TooOften(Moment),
}

impl From<BatchError> for RosterError {
    fn from(e: BatchError) -> Self {
        RosterError::Batch(e)
    }
}

impl From<StoreError> for RosterError {
    fn from(e: StoreError) -> Self {
        RosterError::Batch(e.into())
    }
}

/// How far a roster came.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Progress {
    id: Uuid,
    /// Lines dealt with, from the first.
    done: usize,
    matched: u64,
    already: u64,
}

impl Progress {
    fn plus(self, upto: usize, m: Matches) -> Self {
        Self { id: self.id, done: upto, matched: self.matched + m.matched, already: self.already + m.already }
    }
}

/// What the reading thread hands over: good lines, and those that are none.
struct Part {
    lines: Vec<RosterLine>,
    invalid: Vec<Reject>,
    /// Its lines end before this one.
    upto: usize,
}

impl Hiring {
    /// Takes a roster; answers as `POST /v1/rosters` does.
    pub async fn roster(&self, batch: RosterBatch, now: Moment) -> Result<Answer, RosterError> {
        let RosterBatch { terms, client, body, once, rules } = batch;
        let mut progress = match resume(&self.store, once.as_ref(), now).await? {
            Begun::Answered(answer) => return Ok(answer),
            Begun::At(Some(kept)) => kept,
            Begun::At(None) => match self.begin(&terms.platform, client, &body, once.as_ref(), rules, now).await {
                Ok(begun) => begun,
                Err(refused) => {
                    if let Some(key) = once {
                        self.store.release(key).await?;
                    }
                    return Err(refused);
                }
            },
        };
        let (out, mut parts) = mpsc::channel(AHEAD);
        let cut = Cutting { store: self.store.clone(), platform: terms.platform.clone(), slice: self.slice, done: progress.done, out };
        let reading = tokio::task::spawn_blocking(move || cut.all(&body, now));
        let mut invalid = Vec::new();
        while let Some(Part { lines, invalid: found, upto }) = parts.recv().await {
            invalid.extend(found);
            // Lines that an interrupted try had dealt with are only read again.
            if upto <= progress.done {
                continue;
            }
            let advance = once.as_ref().map(|key| {
                let before = progress;
                Advance::new(key.clone(), move |m: &Matches| serde_json::to_value(before.plus(upto, *m)).unwrap_or(Value::Null))
            });
            let stored = self.store.take_roster(terms.clone(), Arc::new(lines), advance, now).await;
            if let Err(e) = &stored {
                self.store.release_if_temporary(once.as_ref(), e).await;
            }
            progress = progress.plus(upto, stored?);
        }
        let received = reading.await.map_err(|_| BatchError::Reading)?;
        let matches = Matches { matched: progress.matched, already: progress.already };
        self.store.end_roster(progress.id, received as u64, matches).await?;
        let body = json!({"received": received, "matched": matches.matched, "already": matches.already, "invalid": invalid});
        let answer = Answer { status: 200, body };
        if let Some(key) = once {
            self.store.finish(key, answer.clone()).await?;
        }
        Ok(answer)
    }

    /// Counts the roster, then looks whether it is long enough: one that is not has
    /// been a try like any other.
    async fn begin(
        &self,
        platform: &str,
        client: Uuid,
        body: &Arc<Vec<u8>>,
        once: Option<&Once>,
        rules: RosterRules,
        now: Moment,
    ) -> Result<Progress, RosterError> {
        let progress = Progress { id: self.store.fresh_id(now), done: 0, matched: 0, already: 0 };
        let body = body.clone();
        let long_enough = read_off(move || has_people(&body, rules.min_lines, now)).await?;
        let advance = once.filter(|_| long_enough).map(|key| {
            let begun = serde_json::to_value(progress).unwrap_or(Value::Null);
            Advance::new(key.clone(), move |_: &()| begun.clone())
        });
        let roster = Roster { id: progress.id, client, per_day: rules.per_day };
        self.store.begin_roster(platform.to_owned(), roster, advance, now).await?.map_err(RosterError::TooOften)?;
        if long_enough { Ok(progress) } else { Err(RosterError::TooSmall(rules.min_lines)) }
    }
}

/// The lines that hold anything, in order.
fn lines(body: &[u8]) -> impl Iterator<Item = &[u8]> {
    body.split(|b| *b == b'\n').map(<[u8]>::trim_ascii).filter(|line| !line.is_empty())
}

/// Whether the good lines name so many distinct people.
fn has_people(body: &[u8], least: usize, now: Moment) -> bool {
    let mut seen = HashSet::new();
    for line in lines(body) {
        if let Ok((number, _)) = read_line(line, now.day()) {
            seen.insert(number);
        }
        if seen.len() >= least {
            return true;
        }
    }
    least == 0
}

/// Cuts a roster into slices.
struct Cutting {
    store: Store,
    platform: String,
    slice: usize,
    /// Lines before this one are dealt with.
    done: usize,
    out: mpsc::Sender<Part>,
}

impl Cutting {
    /// Hands over all lines; says how many there were. Ends early where nobody takes
    /// them any more: whoever stopped taking says why.
    fn all(self, body: &[u8], now: Moment) -> usize {
        let (mut good, mut invalid, mut upto) = (Vec::new(), Vec::new(), 0);
        for (index, line) in lines(body).enumerate() {
            upto = index + 1;
            match read_line(line, now.day()) {
                Ok(_) if index < self.done => {}
                Ok((number, listing)) => good.push(self.store.roster_line(&self.platform, &number, listing)),
                Err(faults) => invalid.extend(faults.into_iter().map(|f| Reject::of(index, None, f))),
            }
            if good.len() == self.slice {
                let part = Part { lines: std::mem::take(&mut good), invalid: std::mem::take(&mut invalid), upto };
                if self.out.blocking_send(part).is_err() {
                    return upto;
                }
            }
        }
        let _ = self.out.blocking_send(Part { lines: good, invalid, upto });
        upto
    }
}

/// Reads one line; every fault of it.
fn read_line(line: &[u8], today: Date) -> Result<(IdNumber, Listing), Vec<Fault>> {
    let map: Map<String, Value> = serde_json::from_slice(line).map_err(|_| vec![Fault::new("", "unreadable", "is no JSON object")])?;
    let mut faults = Vec::new();
    let mut fault = |field: &str, code, detail: &str| faults.push(Fault::new(format!("/{field}"), code, detail));
    let given = |field: &str| map.get(field).filter(|v| !v.is_null() && v.as_str() != Some(""));
    let number = match given("id_number") {
        None => {
            fault("id_number", "missing", "is required");
            None
        }
        // What is wrong with it is not told: it may be somebody's.
        Some(v) => {
            let read = v.as_str().and_then(|text| IdNumber::parse(text, today).ok());
            if read.is_none() {
                fault("id_number", "id_number_invalid", "is no id number: 18 characters, a date of birth, a check character");
            }
            read
        }
    };
    let work = match given("work_region") {
        None => {
            fault("work_region", "missing", "is required");
            None
        }
        Some(v) => {
            let read = v.as_str().and_then(|text| region::resolve_code(text).ok());
            if read.is_none() {
                fault("work_region", "region_unknown", "is no division");
            }
            read
        }
    };
    let since = given("since").and_then(|v| {
        let read = v.as_str().and_then(parse_date);
        match read {
            None => fault("since", "unreadable", "must be a date"),
            Some(day) if today.tomorrow().is_ok_and(|last| day > last) => fault("since", "at_in_future", "lies more than a day ahead"),
            Some(_) => {}
        }
        read
    });
    let category = given("category").and_then(|v| {
        let read = v.as_str().and_then(Category::parse);
        if read.is_none() {
            fault("category", "unknown_value", "is no category");
        }
        read
    });
    let wage = given("monthly_wage").and_then(|v| {
        let read = serde_json::from_value::<Money>(v.clone()).ok().filter(|m| m.minor() >= 0);
        if read.is_none() {
            fault("monthly_wage", "invalid_type", "must be an amount of yuan");
        }
        read
    });
    let platform_worker_id = given("platform_worker_id").and_then(|v| {
        let read = match v {
            Value::String(text) => Some(text.trim().to_owned()),
            Value::Number(number) => Some(number.to_string()),
            _ => None,
        };
        match &read {
            None => fault("platform_worker_id", "invalid_type", "must be a text or a number"),
            Some(text) if text.chars().count() > OWN_ID => fault("platform_worker_id", "too_long", "has more than 128 characters"),
            Some(_) => {}
        }
        read
    });
    match (number, work) {
        (Some(number), Some(work)) if faults.is_empty() => Ok((number, Listing { platform_worker_id, since, work, category, wage })),
        _ => Err(faults),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::civil::date;

    const NUMBER: &str = "11010519491231002X";

    fn check(line: Value, expected: &[(&str, &str)]) {
        let faults = read_line(line.to_string().as_bytes(), date(2020, 6, 15)).err().unwrap_or_default();
        let found: Vec<(&str, &str)> = faults.iter().map(|f| (f.pointer.as_str(), f.code)).collect();
        assert_eq!(found, expected, "{line}");
        assert!(!format!("{faults:?}").contains(&NUMBER[..17]), "a fault quotes no number");
    }

    #[test]
    fn every_fault_of_a_line_is_named() {
        check(json!({"id_number": NUMBER, "work_region": "330212"}), &[]);
        check(json!({"id_number": NUMBER, "work_region": "330212", "since": "", "platform_worker_id": 17, "monthly_wage": 5200.5}), &[]);
        check(json!({"id_number": "110105194912310021", "work_region": "330212"}), &[("/id_number", "id_number_invalid")]);
        check(json!({"id_number": 110105194912310021u64}), &[("/id_number", "id_number_invalid"), ("/work_region", "missing")]);
        check(json!({"work_region": "999999"}), &[("/id_number", "missing"), ("/work_region", "region_unknown")]);
        let since = |day: &str| json!({"id_number": NUMBER, "work_region": "330212", "since": day});
        check(since("2020-06-16"), &[]);
        check(since("2020-06-17"), &[("/since", "at_in_future")]);
        check(since("2020-02-30"), &[("/since", "unreadable")]);
        check(json!([NUMBER]), &[("", "unreadable")]);
        check(
            json!({"id_number": NUMBER, "work_region": "330212", "category": "pilot", "monthly_wage": -1, "platform_worker_id": "x".repeat(129)}),
            &[("/category", "unknown_value"), ("/monthly_wage", "invalid_type"), ("/platform_worker_id", "too_long")],
        );
    }

    #[test]
    fn people_are_counted_and_not_lines() {
        let line = json!({"id_number": NUMBER, "work_region": "330212"}).to_string();
        let other = line.replace(NUMBER, "522601199001010007");
        let now = Moment::parse("2020-06-15").unwrap();
        assert!(!has_people(format!("{line}\n").repeat(500).as_bytes(), 2, now), "one person, however often");
        assert!(!has_people(format!("{line}\n{{}}\n\n{{\"id_number\":1}}\n").as_bytes(), 2, now), "what is no line is nobody");
        assert!(read_line(other.as_bytes(), now.day()).is_err() || has_people(format!("{line}\r\n{other}").as_bytes(), 2, now));
    }
}
