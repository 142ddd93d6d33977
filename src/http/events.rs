//! `GET /v1/events`: what webhooks say, in one stable order.

use super::State;
use super::auth::PlatformToken;
use super::problem::{Problem, ProblemBody};
use actix_web::web::{Data, Query};
use actix_web::{HttpResponse, get};
use serde::Deserialize;
use serde_json::json;
use std::time::{Duration, Instant};
use utoipa_actix_web::service_config::ServiceConfig;

pub fn routes(cfg: &mut ServiceConfig) {
    cfg.service(listed);
}

#[derive(Debug, Deserialize)]
struct Asked {
    after: Option<String>,
    limit: Option<String>,
    wait: Option<String>,
}

/// Longest a caller may wait for an event.
const WAIT_MAX: u64 = 30;
/// How often other processes' events are looked for while waiting.
const LOOK_AGAIN: Duration = Duration::from_millis(500);

/// The platform's events after a cursor, without one from the oldest kept on; with `wait`
/// the answer stays out until there is one, for at most 30 s. Events are kept for
/// `deliver.keep`: a cursor that would skip some which are gone is refused.
#[utoipa::path(tag = "platform", security(("bearer" = [])), params(("after" = Option<String>, Query), ("limit" = Option<i64>, Query), ("wait" = Option<u64>, Query)),
    responses((status = 200, body = Value), (status = 401, body = ProblemBody), (status = 403, body = ProblemBody),
    (status = 410, body = ProblemBody, description = "`cursor_expired`: events after this cursor are no longer kept; begin without one"),
    (status = 422, body = ProblemBody)))]
#[get("/v1/events")]
async fn listed(state: Data<State>, who: PlatformToken, query: Query<Asked>) -> Result<HttpResponse, Problem> {
    let number =
        |name: &str, text: &Option<String>, most: i64, default: i64| match text.as_deref().filter(|t| !t.is_empty()).map(str::parse::<i64>)
        {
            None => Ok(default),
            Some(Ok(n)) if (0..=most).contains(&n) => Ok(n),
            Some(_) => Err(Problem::parameter(name, "parameter_invalid", "is out of range")),
        };
    let after = query.after.as_deref().filter(|t| !t.is_empty()).map(|_| number("after", &query.after, i64::MAX, 0)).transpose()?;
    let limit = number("limit", &query.limit, 1000, 100)?.max(1);
    let wait = Duration::from_secs(number("wait", &query.wait, i64::MAX, 0)?.unsigned_abs().min(WAIT_MAX));
    let until = Instant::now() + wait;
    let mut commits = state.store.event_commits();
    let page = loop {
        commits.mark_unchanged();
        let page = state.store.events_page(who.platform.to_string(), after, limit).await?.ok_or_else(expired)?;
        let left = until.saturating_duration_since(Instant::now());
        if !page.events.is_empty() || left.is_zero() {
            break page;
        }
        // A commit of this process wakes; another's is found by looking again.
        let _ = tokio::time::timeout(left.min(LOOK_AGAIN), commits.changed()).await;
    };
    let body = |e: &crate::store::log::Listed| json!({"id": e.id, "type": e.kind, "timestamp": e.at, "data": e.data});
    Ok(HttpResponse::Ok().json(json!({"events": page.events.iter().map(body).collect::<Vec<_>>(), "next": page.next.to_string()})))
}

fn expired() -> Problem {
    Problem::new(
        410,
        "cursor_expired",
        "Events after this cursor are no longer kept. Without a cursor the list begins with the oldest kept.",
    )
}
