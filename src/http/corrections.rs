//! Corrections of hires, by the office at home or the platform that reported them.

use super::State;
use super::auth::PlatformOrOffice;
use super::body::{Json, once};
use super::hires::{hire_body, masked};
use super::problem::{Problem, ProblemBody, answered};
use crate::config::PlatformConfig;
use crate::domain::category::Category;
use crate::domain::id::{HireId, Pseudonym};
use crate::domain::posting::Arrangement;
use crate::domain::region;
use crate::domain::time::{Moment, parse_date};
use crate::store::hires::{Correcting, Correction, Corrector, Hire};
use actix_web::web::{Data, Path};
use actix_web::{HttpRequest, HttpResponse, post};
use jiff::civil::Date;
use serde_json::{Map, Value, json};
use utoipa_actix_web::service_config::ServiceConfig;

/// Characters of a reason.
const REASON: usize = 200;

pub fn routes(cfg: &mut ServiceConfig) {
    cfg.service(correct);
}

/// Sets what a hire should have said. It stands whatever the platform reports, before
/// or after, until another correction sets the same field; `"ended_on": null` says that
/// the hire is not over, `"void": true` takes it out of every report. Tags already sent
/// stay as they were sent.
#[utoipa::path(tag = "hires", security(("bearer" = [])), params(("id" = String, Path)), request_body(content = Value), responses((status = 200, body = Value),
    (status = 400, body = ProblemBody), (status = 401, body = ProblemBody), (status = 403, body = ProblemBody), (status = 404, body = ProblemBody),
    (status = 409, body = ProblemBody), (status = 422, body = ProblemBody)))]
#[post("/v1/hires/{id}/corrections")]
async fn correct(
    state: Data<State>,
    who: PlatformOrOffice,
    request: HttpRequest,
    id: Path<String>,
    body: Json<Value>,
) -> Result<HttpResponse, Problem> {
    let id = HireId::parse(&id).ok_or_else(Problem::not_found)?;
    let now = state.clock.now();
    let correction = read(&body.value, now)?;
    let (client, by) = match &who {
        PlatformOrOffice::Office(o) => (&o.client, Corrector::Office { client: o.client.id.to_string(), region: o.region }),
        PlatformOrOffice::Platform(p) => {
            (&p.client, Corrector::Platform { client: p.client.id.to_string(), platform: p.platform.to_string() })
        }
    };
    let share = match &by {
        Corrector::Platform { platform, .. } => state.config.platform(platform),
        Corrector::Office { .. } => PlatformConfig::default(),
    };
    let key = once(&request, &state, client.id.uuid(), &body.raw)?;
    let shown = move |h: &Hire, confirmed: bool, name: Option<Pseudonym>| match name {
        Some(name) => masked(h, confirmed, json!(name), &share),
        None => hire_body(h, confirmed),
    };
    match state.store.correct_hire(id, correction, by, key, shown, now).await? {
        Correcting::NotFound => Err(Problem::not_found()),
        Correcting::Backwards => Err(Problem::field("/ended_on", "out_of_range", "lies before the start")),
        Correcting::Made(reserved) => answered(reserved),
    }
}

/// Reads a correction; every fault is named.
fn read(body: &Value, now: Moment) -> Result<Correction, Problem> {
    let Some(map) = body.as_object() else { return Err(Problem::field("", "invalid_type", "must be an object")) };
    let mut faults = Faults { map, found: Vec::new() };
    const FIELDS: [&str; 7] = ["started_on", "ended_on", "work_region", "category", "arrangement", "void", "reason"];
    for name in map.keys().filter(|name| !FIELDS.contains(&name.as_str())) {
        faults.add(name, "unknown_value", "is no field of a correction");
    }
    let tomorrow = now.day().tomorrow().unwrap_or(Date::MAX);
    let c = Correction {
        started_on: faults.day("started_on", tomorrow),
        ended_on: match map.get("ended_on") {
            Some(Value::Null) => Some(None),
            _ => faults.day("ended_on", tomorrow).map(Some),
        },
        work_region: faults.text("work_region", "region_unknown", "is no division", |t| region::resolve_code(t).ok()),
        category: faults.text("category", "unknown_value", "is no category", Category::parse),
        arrangement: faults.text("arrangement", "unknown_value", "may be on_site or in_place", |t| match t {
            "on_site" => Some(Arrangement::OnSite),
            "in_place" => Some(Arrangement::InPlace),
            _ => None,
        }),
        void: match map.get("void") {
            None | Some(Value::Null) => None,
            Some(Value::Bool(void)) => Some(*void),
            Some(_) => {
                faults.add("void", "invalid_type", "must be true or false");
                None
            }
        },
        reason: match map.get("reason").and_then(Value::as_str).map(str::trim).filter(|r| !r.is_empty()) {
            Some(reason) => reason.chars().take(REASON).collect(),
            None => {
                faults.add("reason", "missing", "is required");
                String::new()
            }
        },
    };
    if let (Some(start), Some(Some(end))) = (c.started_on, c.ended_on)
        && end < start
    {
        faults.add("ended_on", "out_of_range", "lies before the start");
    }
    let nothing = c.started_on.is_none() && c.ended_on.is_none() && c.work_region.is_none() && c.category.is_none();
    if faults.found.is_empty() && nothing && c.arrangement.is_none() && c.void.is_none() {
        faults.found.push((String::new(), "missing", "sets nothing"));
    }
    let mut found = faults.found.into_iter();
    match found.next() {
        None => Ok(c),
        Some((pointer, code, detail)) => {
            let first = Problem::field(&pointer, code, detail);
            Err(found.fold(first, |problem, (pointer, code, detail)| problem.part(&pointer, code, detail)))
        }
    }
}

struct Faults<'a> {
    map: &'a Map<String, Value>,
    found: Vec<(String, &'static str, &'static str)>,
}

impl Faults<'_> {
    fn add(&mut self, name: &str, code: &'static str, detail: &'static str) {
        self.found.push((format!("/{}", name.replace('~', "~0").replace('/', "~1")), code, detail));
    }

    fn text<T>(&mut self, name: &str, code: &'static str, detail: &'static str, read: impl Fn(&str) -> Option<T>) -> Option<T> {
        let value = self.map.get(name).filter(|v| !v.is_null())?;
        let made = value.as_str().and_then(read);
        if made.is_none() {
            self.add(name, code, detail);
        }
        made
    }

    fn day(&mut self, name: &str, last: Date) -> Option<Date> {
        let day = self.text(name, "unreadable", "must be a date", parse_date)?;
        if day > last {
            self.add(name, "at_in_future", "lies more than a day ahead");
        }
        Some(day)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(body: Value, expected: &[(&str, &str)]) {
        let now = Moment::parse("2020-06-15T12:00:00+08:00").unwrap();
        let found = read(&body, now).err().map_or(Vec::new(), |p| p.extra.errors);
        let found: Vec<(&str, &str)> = found.iter().map(|(pointer, code, _)| (pointer.as_str(), code.as_str())).collect();
        assert_eq!(found, expected, "{body}");
    }

    #[test]
    fn every_fault_is_named() {
        check(json!({"started_on": "2020-06-01", "ended_on": null, "reason": "visit"}), &[]);
        check(json!({"void": true, "reason": "visit"}), &[]);
        check(json!({"void": true}), &[("/reason", "missing")]);
        check(json!({"reason": "visit"}), &[("", "missing")]);
        check(json!([]), &[("", "invalid_type")]);
        check(json!({"started_on": "2020-06-17", "reason": "r"}), &[("/started_on", "at_in_future")]);
        check(json!({"started_on": "2020-06-10", "ended_on": "2020-06-09", "reason": "r"}), &[("/ended_on", "out_of_range")]);
        check(
            json!({"wage": 1, "work_region": "999999", "category": "pilot", "arrangement": "home", "void": "yes", "reason": "r"}),
            &[
                ("/wage", "unknown_value"),
                ("/work_region", "region_unknown"),
                ("/category", "unknown_value"),
                ("/arrangement", "unknown_value"),
                ("/void", "invalid_type"),
            ],
        );
    }
}
