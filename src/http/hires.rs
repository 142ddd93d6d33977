//! Hires: reported by platforms, confirmed by offices.

use super::State;
use super::auth::{OfficeToken, PlatformToken, take};
use super::body::{Json, once};
use super::problem::{Problem, ProblemBody, answered};
use crate::cache::Meter;
use crate::domain::id::HireId;
use crate::domain::time::Moment;
use crate::store::hires::Hire;
use crate::store::once::Reserved;
use actix_web::web::{Data, Path};
use actix_web::{HttpRequest, HttpResponse, post};
use serde::Deserialize;
use serde_json::{Value, json};
use utoipa_actix_web::service_config::ServiceConfig;

pub fn routes(cfg: &mut ServiceConfig) {
    cfg.service(report).service(confirm);
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

/// A hire as offices see it.
pub fn hire_body(h: &Hire, confirmed: bool) -> Value {
    json!({
        "id": h.id, "worker": h.worker, "platform": h.platform, "posting": h.posting, "source_id": h.source_id, "status": h.status, "started_on": h.started_on,
        "ended_on": h.ended_on, "end_reason": h.end_reason, "confirmed": confirmed, "source": h.source, "warnings": [], "tags": h.tags,
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
