//! Last year's totals, as offices state them.

use super::auth::OfficeToken;
use super::body::{Body, once};
use super::problem::{Problem, ProblemBody, answered};
use super::{State, format_of};
use crate::ingest::baselines::BaselineBatch;
use crate::store::once::Reserved;
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse, post};
use utoipa_actix_web::service_config::ServiceConfig;

pub fn routes(cfg: &mut ServiceConfig) {
    cfg.service(state_totals);
}

/// Totals by region at the end of a year that is over: rows of `region,period,total` (or
/// 地区,期间,总数) as CSV, NDJSON, JSON or XLSX. They replace what was stated before and
/// win over the gateway's own count (`baseline_source` in the report `employment`).
#[utoipa::path(tag = "office", security(("bearer" = [])), request_body(content = Value), responses((status = 200, body = Value), (status = 400, body = ProblemBody),
    (status = 401, body = ProblemBody), (status = 403, body = ProblemBody), (status = 409, body = ProblemBody), (status = 413, body = ProblemBody),
    (status = 415, body = ProblemBody), (status = 422, body = ProblemBody), (status = 429, body = ProblemBody)))]
#[post("/v1/baselines")]
async fn state_totals(state: Data<State>, who: OfficeToken, request: HttpRequest, body: Body) -> Result<HttpResponse, Problem> {
    let reader = state.adapters.get("canonical").cloned().ok_or_else(|| Problem::internal("the adapter canonical is compiled in"))?;
    let format = format_of(&request, &reader)?;
    let once = once(&request, &state, who.client.id.uuid(), &body.0)?;
    let batch = BaselineBatch { reader, format, body: body.0, region: who.region, client: who.client.id.to_string(), once };
    answered(Reserved::Done(state.ingest.baselines(batch, state.clock.now()).await?))
}
