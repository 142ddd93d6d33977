//! Rosters of platforms: who of their present workers is registered.

use super::State;
use super::auth::PlatformToken;
use super::body::{Body, once};
use super::problem::{Problem, ProblemBody, answered};
use crate::hiring::rosters::{RosterBatch, RosterError, RosterRules};
use crate::store::once::Reserved;
use actix_web::http::header::{CONTENT_TYPE, RETRY_AFTER};
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse, post};
use utoipa_actix_web::service_config::ServiceConfig;

pub fn routes(cfg: &mut ServiceConfig) {
    cfg.service(roster);
}

/// Takes a roster as NDJSON, a line for each present worker: `id_number`, `work_region`,
/// and where known `platform_worker_id`, `since`, `category`, `monthly_wage`. A
/// registered person without a current hire at the platform gets one (`matched`), one
/// who has it has given a sign of life (`already`). Numbers that match nobody are kept in
/// no form.
#[utoipa::path(tag = "platform", security(("bearer" = [])), request_body(content = String, content_type = "application/x-ndjson"),
    responses((status = 200, body = serde_json::Value), (status = 400, body = ProblemBody), (status = 401, body = ProblemBody), (status = 403, body = ProblemBody),
    (status = 409, body = ProblemBody), (status = 413, body = ProblemBody), (status = 415, body = ProblemBody), (status = 422, body = ProblemBody),
    (status = 429, body = ProblemBody)))]
#[post("/v1/rosters")]
async fn roster(state: Data<State>, who: PlatformToken, request: HttpRequest, body: Body) -> Result<HttpResponse, Problem> {
    let kind = request.headers().get(CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or_default();
    let essence = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    if !matches!(essence.as_str(), "" | "application/x-ndjson" | "application/ndjson" | "application/jsonl" | "application/octet-stream") {
        return Err(Problem::new(415, "unsupported_media_type", "A roster is application/x-ndjson."));
    }
    let rules = RosterRules { min_lines: state.config.roster.min_lines, per_day: state.config.roster.per_day };
    let once = once(&request, &state, who.client.id.uuid(), &body.0)?;
    let terms = state.hire_terms(who.platform.as_str());
    let batch = RosterBatch { terms, client: who.client.id.uuid(), body: body.0.into(), once, rules };
    let now = state.clock.now();
    match state.hiring.roster(batch, now).await {
        Ok(answer) => answered(Reserved::Done(answer)),
        Err(RosterError::Batch(e)) => Err(e.into()),
        Err(RosterError::TooSmall(least)) => Err(Problem::new(
            422,
            "roster_too_small",
            format!("A roster names at least {least} different people in lines without a fault."),
        )),
        Err(RosterError::TooOften(again)) => {
            let seconds = (again.ms() - now.ms() + 999).div_euclid(1000).max(1);
            let problem = Problem::new(429, "rate_limited", format!("At most {} rosters in 24 hours.", rules.per_day));
            Err(problem.header(RETRY_AFTER, seconds.to_string()))
        }
    }
}
