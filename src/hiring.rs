//! What platforms report of hires: read, applied in slices, answered one by one.
//!
//! Promises: one bad record never fails the others; repeated and out-of-order
//! reports converge.
//! Does not: take seats or freeze tags (`store::hires` does both in one
//! transaction with the events that tell of them).
//! Start at: [`Hiring::report`].

pub mod rosters;

use crate::domain::hire::{EndReason, HireStatus, StatusReport};
use crate::domain::id::{HireId, OfferId, PostingId, Pseudonym};
use crate::domain::pay::Money;
use crate::domain::region;
use crate::domain::time::Moment;
use crate::ingest::{BatchError, Begun, resume};
use crate::store::Store;
use crate::store::hires::{HireTerms, PostingRef, Report, Reported, Subject};
use crate::store::once::{Advance, Answer, Once};
use jiff::civil::Date;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;

/// Reports may be dated this far ahead: clocks differ.
const AHEAD: Duration = Duration::from_secs(86_400);

/// Applies reports to one store.
#[derive(Clone)]
pub struct Hiring {
    pub store: Store,
    pub slice: usize,
}

impl Hiring {
    /// Applies one or many reports; answers as `POST /v1/hires` does.
    pub async fn report(&self, terms: HireTerms, body: Value, once: Option<Once>, now: Moment) -> Result<Answer, BatchError> {
        let records = match body {
            Value::Array(records) => records,
            one => vec![one],
        };
        let mut results: Vec<Value> = match resume(&self.store, once.as_ref(), now).await? {
            Begun::Answered(answer) => return Ok(answer),
            Begun::At(kept) => kept.unwrap_or_default(),
        };
        while results.len() < records.len() {
            let from = results.len();
            let slice = &records[from..records.len().min(from + self.slice)];
            let read: Arc<Vec<Result<Report, &'static str>>> = Arc::new(slice.iter().map(|r| read_report(r, now)).collect());
            let good: Vec<Report> = read.iter().filter_map(|r| r.as_ref().ok().cloned()).collect();
            let advance = once.as_ref().map(|key| {
                let (before, read) = (results.clone(), read.clone());
                Advance::new(key.clone(), move |outcomes: &[Reported]| json!([before.as_slice(), &answers(from, &read, outcomes)].concat()))
            });
            let stored = self.store.report_hires(terms.clone(), Arc::new(good), advance, now).await;
            if let Err(e) = &stored {
                self.store.release_if_temporary(once.as_ref(), e).await;
            }
            let outcomes = stored?;
            results.extend(answers(from, &read, &outcomes));
        }
        let answer = Answer { status: 200, body: json!({"results": results}) };
        if let Some(key) = once {
            self.store.finish(key, answer.clone()).await?;
        }
        Ok(answer)
    }
}

/// The answers of a slice: what was refused while reading keeps its place.
fn answers(from: usize, read: &[Result<Report, &'static str>], outcomes: &[Reported]) -> Vec<Value> {
    let mut outcomes = outcomes.iter();
    let one = |(n, r): (usize, &Result<Report, &'static str>)| {
        let outcome = match r {
            Ok(_) => outcomes.next().copied().unwrap_or(Reported::Rejected("offer_unknown")),
            Err(code) => Reported::Rejected(code),
        };
        let (hire, result, code) = match outcome {
            Reported::Created(id) => (Some(id), "created", None),
            Reported::Updated(id) => (Some(id), "updated", None),
            Reported::Unchanged(id) => (id, "unchanged", None),
            Reported::Recorded(id) => (id, "recorded", None),
            Reported::Rejected(code) => (None, "rejected", Some(code)),
        };
        json!({"index": from + n, "hire": hire, "result": result, "code": code})
    };
    read.iter().enumerate().map(one).collect()
}

/// Reads one record; the code of what is wrong with it.
fn read_report(record: &Value, now: Moment) -> Result<Report, &'static str> {
    let text = |name: &str| record.get(name).and_then(Value::as_str).filter(|t| !t.is_empty());
    let raw_status = text("raw_status").map(|t| t.chars().take(100).collect::<String>());
    let status = match text("status") {
        Some(code) => HireStatus::parse(code).ok_or("status_unknown")?,
        // A word of the platform's own that nobody has mapped is kept, and never
        // counted as a success.
        None if raw_status.is_some() => HireStatus::UnableToMap,
        None => return Err("status_unknown"),
    };
    let at = match record.get("at") {
        None | Some(Value::Null) => None,
        Some(value) => Some(value.as_str().and_then(Moment::parse).ok_or("at_invalid")?),
    };
    if at.is_some_and(|at| at > now.plus(AHEAD)) {
        return Err("at_in_future");
    }
    let reason = given(record, "reason", "reason_unknown", |v| EndReason::parse(v.as_str()?))?;
    let month = given(record, "month", "month_invalid", |v| read_month(v.as_str()?))?;
    if month.is_some_and(|m| Moment::start_of(m) > now.plus(AHEAD)) {
        return Err("at_in_future");
    }
    // A month's work that is reported late was not done today.
    let at = at.unwrap_or_else(|| month.map_or(now, |m| now.min(Moment::start_of(m.last_of_month()))));
    let work_region = given(record, "work_region", "region_unknown", |v| region::resolve_code(v.as_str()?).ok())?;
    let monthly_wage = given(record, "monthly_wage", "monthly_wage_invalid", |v| {
        let wage = serde_json::from_value::<Money>(v.clone()).ok().filter(|m| m.minor() >= 0)?;
        // At most two decimals.
        v.as_f64().filter(|x| (x * 100.0 - wage.minor() as f64).abs() < 1e-6).map(|_| wage)
    })?;
    let subject = read_subject(record).ok_or("offer_unknown")?;
    Ok(Report { subject, report: StatusReport { status, raw_status, at, month, monthly_wage, work_region, reason } })
}

/// A field that is absent, null or empty, or else must be readable.
fn given<T>(record: &Value, name: &str, code: &'static str, read: impl Fn(&Value) -> Option<T>) -> Result<Option<T>, &'static str> {
    match record.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) if text.is_empty() => Ok(None),
        Some(value) => read(value).map(Some).ok_or(code),
    }
}

fn read_month(text: &str) -> Option<Date> {
    let period = crate::domain::time::Period::parse(text).filter(|_| text.len() == 7 && text.as_bytes()[4] == b'-')?;
    Some(period.first_day())
}

fn read_subject(record: &Value) -> Option<Subject> {
    let text = |name: &str| record.get(name).and_then(Value::as_str);
    if let Some(id) = text("offer") {
        return OfferId::parse(id).map(Subject::Offer);
    }
    if let Some(id) = text("hire") {
        return HireId::parse(id).map(Subject::Hire);
    }
    match record.get("platform_worker_id") {
        Some(Value::String(id)) => return Some(Subject::Roster(id.trim().to_owned())),
        Some(Value::Number(id)) => return Some(Subject::Roster(id.to_string())),
        _ => {}
    }
    let worker = Pseudonym::parse(text("worker")?)?;
    let posting = match (text("posting"), record.get("source_id")) {
        (Some(id), _) => PostingRef::Id(PostingId::parse(id)?),
        (None, Some(Value::String(id))) => PostingRef::SourceId(id.clone()),
        (None, Some(Value::Number(id))) => PostingRef::SourceId(id.to_string()),
        _ => return None,
    };
    Some(Subject::Pair { posting, worker })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(record: Value) -> Result<HireStatus, &'static str> {
        read_report(&record, Moment::parse("2020-06-15T12:00:00+08:00").unwrap()).map(|r| r.report.status)
    }

    #[test]
    fn an_unknown_raw_status_is_kept_and_an_unknown_status_refused() {
        let offer = "01890a5d-ac96-774b-bcce-b302099a8057";
        assert_eq!(check(json!({"offer": offer, "status": "HIRED"})), Ok(HireStatus::Hired));
        assert_eq!(check(json!({"offer": offer, "raw_status": "已入职?"})), Ok(HireStatus::UnableToMap));
        assert_eq!(check(json!({"offer": offer, "status": "GREAT"})), Err("status_unknown"));
        assert_eq!(check(json!({"status": "HIRED"})), Err("offer_unknown"));
    }

    #[test]
    fn a_report_may_be_dated_a_day_ahead_and_no_more() {
        let offer = "01890a5d-ac96-774b-bcce-b302099a8057";
        let at = |at: &str| check(json!({"offer": offer, "status": "HIRED", "at": at}));
        assert_eq!(at("2020-06-16"), Ok(HireStatus::Hired));
        assert_eq!(at("2020-06-17"), Err("at_in_future"));
        assert_eq!(at("soon"), Err("at_invalid"));
        let now = Moment::parse("2020-06-15T12:00:00+08:00").unwrap();
        let dated =
            |month: &str| read_report(&json!({"offer": offer, "status": "ACTIVE", "month": month}), now).map(|r| r.report.at.to_string());
        assert_eq!(dated("2020-05").unwrap(), "2020-05-31T00:00:00+08:00", "without a time, in its month");
        assert_eq!(dated("2020-06").unwrap(), now.to_string());
        assert_eq!(check(json!({"offer": offer, "status": "ENDED", "reason": "bored"})), Err("reason_unknown"));
        assert_eq!(check(json!({"offer": offer, "status": "ENDED", "reason": 5})), Err("reason_unknown"));
        assert_eq!(check(json!({"offer": offer, "status": "ACTIVE", "month": 202005})), Err("month_invalid"));
        assert_eq!(check(json!({"offer": offer, "status": "HIRED", "work_region": 110105})), Err("region_unknown"));
        assert_eq!(check(json!({"offer": offer, "status": "HIRED", "monthly_wage": 5000.555})), Err("monthly_wage_invalid"));
    }
}
