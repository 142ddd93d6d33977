//! The feeds that the gateway fetches, for those who run it.

use super::auth::AdminToken;
use super::problem::{Problem, ProblemBody};
use super::{Page, State, list_of};
use crate::config::feeds::PullConfig;
use crate::domain::time::Moment;
use crate::store::feeds::FeedState;
use actix_web::web::{Data, Path, Query};
use actix_web::{HttpResponse, get, post};
use serde_json::{Value, json};
use utoipa_actix_web::service_config::ServiceConfig;

pub fn routes(cfg: &mut ServiceConfig) {
    cfg.service(feeds).service(pull);
}

fn body(feed: &PullConfig, state: Option<&FeedState>, now: Moment) -> Value {
    json!({
        "name": feed.name(), "platform": feed.platform, "adapter": feed.adapter, "url": feed.url, "every_seconds": feed.every.as_secs(),
        "complete": feed.complete, "due_at": state.map(|s| s.due_at), "page": state.map_or(0, |s| s.page),
        "pulling": state.is_some_and(|s| s.lease_until > now), "auth": feed.auth.kind(),
        "last_good": state.and_then(|s| Some(json!({"at": s.good_at?, "status": s.good_status, "etag": s.etag,
            "last_modified": s.last_modified, "read_at": s.read_at, "facts": s.good}))),
        "last_failure": state.and_then(|s| Some(json!({"at": s.failed_at?, "error": s.error}))),
        "failures": state.map_or(0, |s| s.failures),
        "host": {"breaker": state.map_or("closed", |s| &s.breaker), "quiet_until": state.and_then(|s| s.quiet_until)},
    })
}

/// Every configured feed: when it is due, how the last good pull and the last
/// failure went. Never a secret.
#[utoipa::path(tag = "admin", security(("bearer" = [])), params(("limit" = Option<i64>, Query), ("cursor" = Option<String>, Query)),
    responses((status = 200, body = Value), (status = 401, body = ProblemBody), (status = 403, body = ProblemBody), (status = 422, body = ProblemBody)))]
#[get("/v1/feeds")]
async fn feeds(state: Data<State>, _who: AdminToken, page: Query<Page>) -> Result<HttpResponse, Problem> {
    let (states, now) = (state.store.feeds().await?, state.clock.now());
    let of = |feed: &PullConfig| body(feed, states.iter().find(|s| s.name == feed.name()), now);
    Ok(HttpResponse::Ok().json(list_of(&state.config.feed.pull, &page, of, PullConfig::name)?))
}

/// Makes a feed due now.
#[utoipa::path(tag = "admin", security(("bearer" = [])), params(("name" = String, Path)),
    responses((status = 202), (status = 401, body = ProblemBody), (status = 403, body = ProblemBody), (status = 404, body = ProblemBody)))]
#[post("/v1/feeds/{name}/pull")]
async fn pull(state: Data<State>, _who: AdminToken, name: Path<String>) -> Result<HttpResponse, Problem> {
    let name = name.into_inner();
    let configured = state.config.feed.pull.iter().any(|f| f.name() == name);
    if configured && state.store.pull_now(name, state.clock.now()).await? {
        Ok(HttpResponse::Accepted().finish())
    } else {
        Err(Problem::not_found())
    }
}
