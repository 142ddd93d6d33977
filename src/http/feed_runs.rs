//! Runs of full feeds: what one would close, and the say of its platform when it
//! is held.

use super::State;
use super::auth::PlatformToken;
use super::problem::{Problem, ProblemBody};
use crate::store::runs::{Absent, Run};
use actix_web::web::{Data, Path};
use actix_web::{HttpResponse, get, post};
use serde_json::{Value, json};
use utoipa_actix_web::service_config::ServiceConfig;

pub fn routes(cfg: &mut ServiceConfig) {
    cfg.service(one).service(release).service(discard);
}

fn body(run: &Run, diff: &[Absent]) -> Value {
    json!({
        "run": run.run, "state": run.state.code(), "reason": run.reason, "started_at": run.started_at, "updated_at": run.updated_at,
        "open": run.live, "created": run.tally.created, "updated": run.tally.updated, "unchanged": run.tally.unchanged,
        "closed": run.tally.closed, "expected": run.expected, "received": run.received, "would_close": run.absent,
        "diff": diff.iter().map(Absent::body).collect::<Vec<_>>(),
    })
}

async fn shown(state: &State, who: &PlatformToken, run: String) -> Result<HttpResponse, Problem> {
    let (run, diff) = state.store.run(who.platform.to_string(), run).await?.ok_or_else(Problem::not_found)?;
    Ok(HttpResponse::Ok().json(body(&run, &diff)))
}

fn held(left: Option<bool>) -> Result<(), Problem> {
    match left {
        None => Err(Problem::not_found()),
        Some(false) => Err(Problem::new(409, "run_not_held", "This run is not held.")),
        Some(true) => Ok(()),
    }
}

/// A run: its state, its counts, and the first hundred live postings that it does
/// not name.
#[utoipa::path(tag = "platform", security(("bearer" = [])), params(("run" = String, Path)),
    responses((status = 200, body = Value), (status = 401, body = ProblemBody), (status = 403, body = ProblemBody), (status = 404, body = ProblemBody)))]
#[get("/v1/feed-runs/{run}")]
async fn one(state: Data<State>, who: PlatformToken, run: Path<String>) -> Result<HttpResponse, Problem> {
    shown(&state, &who, run.into_inner()).await
}

/// Lets a held run close what it does not name.
#[utoipa::path(tag = "platform", security(("bearer" = [])), params(("run" = String, Path)), responses((status = 200, body = Value),
    (status = 401, body = ProblemBody), (status = 403, body = ProblemBody), (status = 404, body = ProblemBody), (status = 409, body = ProblemBody)))]
#[post("/v1/feed-runs/{run}/release")]
async fn release(state: Data<State>, who: PlatformToken, run: Path<String>) -> Result<HttpResponse, Problem> {
    let within = state.config.offer.promoted_within;
    held(state.store.release_run(who.platform.to_string(), run.clone(), within, state.clock.now()).await?)?;
    shown(&state, &who, run.into_inner()).await
}

/// Drops the closing part of a held run; what it brought stays.
#[utoipa::path(tag = "platform", security(("bearer" = [])), params(("run" = String, Path)), responses((status = 200, body = Value),
    (status = 401, body = ProblemBody), (status = 403, body = ProblemBody), (status = 404, body = ProblemBody), (status = 409, body = ProblemBody)))]
#[post("/v1/feed-runs/{run}/discard")]
async fn discard(state: Data<State>, who: PlatformToken, run: Path<String>) -> Result<HttpResponse, Problem> {
    held(state.store.discard_run(who.platform.to_string(), run.clone(), state.clock.now()).await?)?;
    shown(&state, &who, run.into_inner()).await
}
