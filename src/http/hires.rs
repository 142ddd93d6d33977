//! Hires: reported by platforms, confirmed by offices.

use super::State;
use super::auth::{OfficeToken, PlatformToken, take};
use super::body::{Json, once};
use super::problem::{Problem, ProblemBody, answered};
use super::workers::region_within;
use super::{Page, list, optional};
use crate::cache::Meter;
use crate::config::PlatformConfig;
use crate::domain::client::Slug;
use crate::domain::hire::Flow;
use crate::domain::id::{HireId, WorkerId};
use crate::domain::time::{Moment, Period};
use crate::reporting::Axis;
use crate::store::hires::{Hire, HireFilter, ListedHire, shared};
use crate::store::once::Reserved;
use actix_web::web::{Data, Path, Query};
use actix_web::{HttpRequest, HttpResponse, get, post};
use serde::Deserialize;
use serde_json::{Value, json};
use utoipa_actix_web::service_config::ServiceConfig;

pub fn routes(cfg: &mut ServiceConfig) {
    cfg.service(report).service(listed).service(confirm);
}

/// One or many reports, each answered for itself.
#[utoipa::path(tag = "platform", security(("bearer" = [])), request_body(content = Value), responses((status = 200, body = Value), (status = 400, body = ProblemBody),
    (status = 401, body = ProblemBody), (status = 403, body = ProblemBody), (status = 409, body = ProblemBody), (status = 422, body = ProblemBody)))]
#[post("/v1/hires")]
async fn report(state: Data<State>, who: PlatformToken, request: HttpRequest, body: Json<Value>) -> Result<HttpResponse, Problem> {
    if !(body.value.is_array() || body.value.is_object()) {
        return Err(Problem::field("", "invalid_type", "must be a report or an array of reports"));
    }
    let records = body.value.as_array().map_or(1, Vec::len);
    take(&request, &state, Meter::Records, who.platform.as_str(), u32::try_from(records).unwrap_or(u32::MAX)).await?;
    let key = once(&request, &state, who.client.id.uuid(), &body.raw)?;
    let terms = state.hire_terms(who.platform.as_str());
    let answer = state.hiring.report(terms, body.value, key, state.clock.now()).await?;
    answered(Reserved::Done(answer))
}

#[derive(Debug, Deserialize)]
struct Listed {
    region: Option<String>,
    axis: Option<String>,
    period: Option<String>,
    platform: Option<String>,
    flow: Option<String>,
    limit: Option<String>,
    cursor: Option<String>,
}

/// Hires of the office's own people, or of those who work in its region: working on
/// some day of the period; without one every hire, those that are over and void, too.
/// On the work axis people have a pseudonym for this region, and a home no finer than
/// a prefecture.
#[utoipa::path(tag = "office", security(("bearer" = [])), params(("region" = Option<String>, Query), ("axis" = Option<String>, Query), ("period" = Option<String>, Query),
    ("platform" = Option<String>, Query), ("flow" = Option<String>, Query), ("limit" = Option<i64>, Query), ("cursor" = Option<String>, Query)),
    responses((status = 200, body = Value), (status = 401, body = ProblemBody), (status = 403, body = ProblemBody), (status = 422, body = ProblemBody)))]
#[get("/v1/hires")]
async fn listed(state: Data<State>, who: OfficeToken, query: Query<Listed>) -> Result<HttpResponse, Problem> {
    let query = query.into_inner();
    let region = region_within(query.region.as_deref(), who.region)?;
    let by_work = optional("axis", query.axis.as_deref(), Axis::parse)? == Some(Axis::Work);
    let period = optional("period", query.period.as_deref(), Period::parse)?;
    let (now, page) = (state.clock.now(), Page { limit: query.limit, cursor: query.cursor });
    let limit = page.limit()?;
    let filter = HireFilter {
        region,
        by_work,
        within: period.map(|p| (p.first_day(), p.last_day().min(now.day()))),
        platform: optional("platform", query.platform.as_deref(), Slug::parse)?.map(|slug| slug.to_string()),
        flow: optional("flow", query.flow.as_deref(), Flow::parse)?,
        stale_months: state.config.report.stale_months,
        today: now.day(),
        after: page.after(HireId::parse)?,
        limit: limit + 1,
    };
    let (items, total) = state.store.hires(filter).await?;
    let mut seen: Vec<WorkerId> = items.iter().take(limit as usize).map(|l| l.hire.worker).collect();
    let names = if by_work {
        // No platform's slug has a colon.
        let whom = format!("office:{}", who.region);
        state.store.pseudonyms(whom, items.iter().map(|l| l.hire.worker).collect()).await?
    } else {
        Vec::new()
    };
    seen.sort();
    seen.dedup();
    state.store.log_access(who.client.id.to_string(), "hires", seen, String::new(), now).await?;
    let body = |(n, l): (usize, &ListedHire)| match names.get(n) {
        Some(name) => masked(&l.hire, l.confirmed, json!(name), &PlatformConfig::default()),
        None => hire_body(&l.hire, l.confirmed),
    };
    let rows: Vec<(HireId, Value)> = items.iter().enumerate().map(|(n, l)| (l.hire.id, body((n, l)))).collect();
    Ok(HttpResponse::Ok().json(list(&rows, limit, total, |(_, body)| body.clone(), |(id, _)| id.to_string())))
}

/// A hire as those see it who do not know the person.
pub fn masked(h: &Hire, confirmed: bool, name: Value, share: &PlatformConfig) -> Value {
    let mut body = hire_body(h, confirmed);
    body["worker"] = name;
    body["tags"] = shared(&h.tags, share);
    if let (Some(kept), Some(map)) = (&share.share, body.as_object_mut()) {
        // What a tag may not say is not said beside it.
        map.retain(|field, _| !matches!(field.as_str(), "work_region" | "flow") || kept.contains(field));
    }
    body
}

/// A hire as offices see it.
pub fn hire_body(h: &Hire, confirmed: bool) -> Value {
    let marks = [("work_region_coarse", h.work_coarse), ("corrected", h.corrected), ("void", h.void)];
    let warnings: Vec<&str> = marks.iter().filter(|(_, set)| *set).map(|(name, _)| *name).collect();
    json!({
        "id": h.id, "worker": h.worker, "platform": h.platform, "posting": h.posting, "source_id": h.source_id, "status": h.status, "started_on": h.started_on,
        "ended_on": h.ended_on, "end_reason": h.end_reason, "confirmed": confirmed, "source": h.source, "warnings": warnings, "tags": h.tags, "work_region": h.work, "flow": h.flow,
    })
}

#[derive(Debug, Default, Deserialize)]
pub struct Confirmation {
    at: Option<String>,
    method: Option<String>,
}

impl Confirmation {
    /// When it counts: `at`, else now; never more than a day ahead.
    pub fn at(&self, now: Moment) -> Result<Moment, Problem> {
        let Some(text) = &self.at else { return Ok(now) };
        let at = Moment::parse(text).ok_or_else(|| Problem::field("/at", "unreadable", "must be a time of RFC 3339 or a date"))?;
        if at > now.plus(std::time::Duration::from_secs(86_400)) {
            return Err(Problem::field("/at", "at_in_future", "lies more than a day ahead"));
        }
        Ok(at)
    }

    pub fn method(&self) -> Option<String> {
        self.method.as_ref().map(|m| m.chars().take(40).collect())
    }
}

/// An office confirms that one of its people works there.
#[utoipa::path(tag = "office", security(("bearer" = [])), params(("id" = String, Path)), request_body(content = Value), responses((status = 200, body = Value),
    (status = 401, body = ProblemBody), (status = 403, body = ProblemBody), (status = 404, body = ProblemBody), (status = 422, body = ProblemBody)))]
#[post("/v1/hires/{id}/confirm")]
async fn confirm(state: Data<State>, who: OfficeToken, id: Path<String>, body: Json<Confirmation>) -> Result<HttpResponse, Problem> {
    let id = HireId::parse(&id).ok_or_else(Problem::not_found)?;
    let hire = state.store.hire(id).await?.ok_or_else(Problem::not_found)?;
    let worker = state.store.worker(hire.worker).await?.filter(|w| w.seeker.home.is_within(who.region));
    worker.ok_or_else(Problem::not_found)?;
    let now = state.clock.now();
    let at = body.value.at(now)?;
    state.store.log_access(who.client.id.to_string(), "confirm", vec![hire.worker], id.to_string(), now).await?;
    state.store.confirm_hire(id, who.client.id.to_string(), body.value.method(), at, now).await?;
    Ok(HttpResponse::Ok().json(hire_body(&hire, true)))
}
