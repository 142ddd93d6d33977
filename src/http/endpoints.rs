//! Webhook endpoints of a platform.

use super::auth::PlatformToken;
use super::body::{Json, once};
use super::problem::{Problem, ProblemBody, answered};
use super::{Page, State, list, list_of};
use crate::domain::id::{EndpointId, EventId};
use crate::domain::time::Moment;
use crate::store::deliveries::DeadLetter;
use crate::store::endpoints::Endpoint;
use crate::store::replays::Replay;
use crate::webhook::EVENT_TYPES;
use actix_web::web::{Data, Path, Query};
use actix_web::{HttpRequest, HttpResponse, delete, get, patch, post};
use serde::Deserialize;
use serde_json::{Value, json};
use utoipa_actix_web::service_config::ServiceConfig;

pub fn routes(cfg: &mut ServiceConfig) {
    cfg.service(add)
        .service(all)
        .service(change)
        .service(remove)
        .service(rotate)
        .service(replay)
        .service(replays)
        .service(attempts)
        .service(dead_letters);
}

#[derive(Debug, Deserialize)]
struct Wanted {
    url: Option<String>,
    types: Option<Vec<String>>,
    enabled: Option<bool>,
}

fn check_types(types: &[String]) -> Result<(), Problem> {
    match types.iter().position(|t| !EVENT_TYPES.contains(&t.as_str())) {
        Some(at) => Err(Problem::field(&format!("/types/{at}"), "unknown_value", "there is no such event type")),
        None => Ok(()),
    }
}

fn check_url(state: &State, url: &str) -> Result<(), Problem> {
    let forbidden = |why: &str| Problem::new(422, "url_forbidden", "This address may not be called.").part("/url", "url_forbidden", why);
    state.outbound.check(url).map_err(|e| forbidden(&e.to_string()))
}

async fn own(state: &State, who: &PlatformToken, id: &str) -> Result<Endpoint, Problem> {
    let id = EndpointId::parse(id).ok_or_else(Problem::not_found)?;
    state.store.endpoint(who.platform.to_string(), id).await?.ok_or_else(Problem::not_found)
}

/// Makes an endpoint; the secret shows here and at rotation only. `public_key` verifies
/// the asymmetric signatures (`v1a`) that stand beside those by the secret (`v1`).
#[utoipa::path(tag = "webhooks", security(("bearer" = [])), request_body(content = Value), responses((status = 201, body = Value),
    (status = 401, body = ProblemBody), (status = 403, body = ProblemBody), (status = 409, body = ProblemBody), (status = 422, body = ProblemBody)))]
#[post("/v1/webhook-endpoints")]
async fn add(state: Data<State>, who: PlatformToken, request: HttpRequest, body: Json<Wanted>) -> Result<HttpResponse, Problem> {
    let key = once(&request, &state, who.client.id.uuid(), &body.raw)?;
    let url = body.value.url.ok_or_else(|| Problem::field("/url", "missing", "is required"))?;
    let types = body.value.types.unwrap_or_default();
    check_url(&state, &url)?;
    check_types(&types)?;
    answered(state.store.add_endpoint(who.platform.to_string(), url, types, key, state.clock.now()).await?)
}

/// The platform's endpoints.
#[utoipa::path(tag = "webhooks", security(("bearer" = [])), responses((status = 200, body = Value), (status = 401, body = ProblemBody), (status = 403, body = ProblemBody)))]
#[get("/v1/webhook-endpoints")]
async fn all(state: Data<State>, who: PlatformToken, page: Query<Page>) -> Result<HttpResponse, Problem> {
    let items = state.store.endpoints(who.platform.to_string()).await?;
    Ok(HttpResponse::Ok().json(list_of(&items, &page, |e| e.body(None), |e| e.id.to_string())?))
}

/// Changes what is given.
#[utoipa::path(tag = "webhooks", security(("bearer" = [])), params(("id" = String, Path)), request_body(content = Value), responses((status = 200, body = Value),
    (status = 401, body = ProblemBody), (status = 403, body = ProblemBody), (status = 404, body = ProblemBody), (status = 422, body = ProblemBody)))]
#[patch("/v1/webhook-endpoints/{id}")]
async fn change(state: Data<State>, who: PlatformToken, id: Path<String>, body: Json<Wanted>) -> Result<HttpResponse, Problem> {
    let endpoint = own(&state, &who, &id).await?;
    let Wanted { url, types, enabled } = body.value;
    url.as_deref().map_or(Ok(()), |u| check_url(&state, u))?;
    types.as_deref().map_or(Ok(()), check_types)?;
    state.store.change_endpoint(endpoint.platform.clone(), endpoint.id, url, types, enabled).await?;
    Ok(HttpResponse::Ok().json(own(&state, &who, &id).await?.body(None)))
}

/// Removes an endpoint.
#[utoipa::path(tag = "webhooks", security(("bearer" = [])), params(("id" = String, Path)),
    responses((status = 204), (status = 401, body = ProblemBody), (status = 403, body = ProblemBody), (status = 404, body = ProblemBody)))]
#[delete("/v1/webhook-endpoints/{id}")]
async fn remove(state: Data<State>, who: PlatformToken, id: Path<String>) -> Result<HttpResponse, Problem> {
    let id = EndpointId::parse(&id).ok_or_else(Problem::not_found)?;
    if !state.store.remove_endpoint(who.platform.to_string(), id, state.clock.now()).await? {
        return Err(Problem::not_found());
    }
    Ok(HttpResponse::NoContent().finish())
}

/// A new secret and a new key; the old ones sign beside them for 24 h.
#[utoipa::path(tag = "webhooks", security(("bearer" = [])), params(("id" = String, Path)), responses((status = 200, body = Value),
    (status = 401, body = ProblemBody), (status = 403, body = ProblemBody), (status = 404, body = ProblemBody)))]
#[post("/v1/webhook-endpoints/{id}/rotate-secret")]
async fn rotate(state: Data<State>, who: PlatformToken, id: Path<String>) -> Result<HttpResponse, Problem> {
    let endpoint = own(&state, &who, &id).await?;
    let secret = state.store.rotate_secret(endpoint.platform, endpoint.id, state.clock.now()).await?;
    let secret = secret.ok_or_else(Problem::not_found)?;
    Ok(HttpResponse::Ok().json(own(&state, &who, &id).await?.body(Some(&secret))))
}

#[derive(Debug, Deserialize)]
struct Again {
    since: Option<String>,
    event: Option<String>,
}

/// Sends events again, under their ids: one, or all since a time whose type the endpoint
/// wants. Many go on after this answer; `GET …/replays` says how far they are.
#[utoipa::path(tag = "webhooks", security(("bearer" = [])), params(("id" = String, Path)), request_body(content = Value), responses((status = 202, body = Value),
    (status = 401, body = ProblemBody), (status = 403, body = ProblemBody), (status = 404, body = ProblemBody),
    (status = 409, body = ProblemBody, description = "`endpoint_disabled`: enable it first"), (status = 422, body = ProblemBody)))]
#[post("/v1/webhook-endpoints/{id}/replay")]
async fn replay(state: Data<State>, who: PlatformToken, id: Path<String>, body: Json<Again>) -> Result<HttpResponse, Problem> {
    let endpoint = own(&state, &who, &id).await?;
    let Again { since, event } = body.value;
    if since.is_some() == event.is_some() {
        return Err(Problem::field("", "missing", "either since or event is required"));
    }
    let wrong = |pointer: &str| Problem::field(pointer, "unknown_value", "cannot be read");
    let since = since.map(|t| Moment::parse(&t).ok_or_else(|| wrong("/since"))).transpose()?;
    let event = event.map(|t| EventId::parse(&t).ok_or_else(|| wrong("/event"))).transpose()?;
    if !endpoint.enabled {
        return Err(Problem::new(409, "endpoint_disabled", "This endpoint is disabled; enable it first."));
    }
    let now = state.clock.now();
    let body = match (since, event) {
        (Some(since), _) => replay_body(&state.store.replay_since(endpoint.id, endpoint.platform, since, now).await?),
        (None, Some(event)) => match state.store.replay_event(endpoint.id, endpoint.platform, event, now).await? {
            true => json!({"event": event, "replayed": 1, "done": true}),
            false => return Err(Problem::not_found()),
        },
        (None, None) => return Err(Problem::not_found()),
    };
    Ok(HttpResponse::Accepted().json(body))
}

fn replay_body(r: &Replay) -> Value {
    let done = r.done_at.is_some();
    json!({"id": r.id, "since": r.since, "at": r.at, "replayed": r.replayed, "done": done, "done_at": r.done_at})
}

/// The endpoint's last replays by time, the newest first, and how far each is.
#[utoipa::path(tag = "webhooks", security(("bearer" = [])), params(("id" = String, Path), ("limit" = Option<i64>, Query), ("cursor" = Option<String>, Query)),
    responses((status = 200, body = Value), (status = 401, body = ProblemBody), (status = 403, body = ProblemBody), (status = 404, body = ProblemBody)))]
#[get("/v1/webhook-endpoints/{id}/replays")]
async fn replays(state: Data<State>, who: PlatformToken, id: Path<String>, page: Query<Page>) -> Result<HttpResponse, Problem> {
    let endpoint = own(&state, &who, &id).await?;
    let items = state.store.replays(endpoint.id).await?;
    Ok(HttpResponse::Ok().json(list_of(&items, &page, replay_body, |r| r.id.to_string())?))
}

/// What was given up for this endpoint: after the last try, for a forbidden address, or
/// because the endpoint was disabled; each can be sent again by a replay.
#[utoipa::path(tag = "webhooks", security(("bearer" = [])), params(("id" = String, Path), ("limit" = Option<i64>, Query), ("cursor" = Option<String>, Query)),
    responses((status = 200, body = Value), (status = 401, body = ProblemBody), (status = 403, body = ProblemBody), (status = 404, body = ProblemBody)))]
#[get("/v1/webhook-endpoints/{id}/dead-letters")]
async fn dead_letters(state: Data<State>, who: PlatformToken, id: Path<String>, page: Query<Page>) -> Result<HttpResponse, Problem> {
    let endpoint = own(&state, &who, &id).await?;
    let limit = page.limit()?;
    let after = page.after(|t| EventId::parse(t).map(EventId::uuid))?;
    let (items, total) = state.store.dead_letters(endpoint.id, after, limit + 1).await?;
    let body =
        |d: &DeadLetter| json!({"event": d.event, "type": d.kind, "at": d.at, "tries": d.tries, "status": d.status, "error": d.error});
    Ok(HttpResponse::Ok().json(list(&items, limit, total, body, |d| d.event.to_string())))
}

/// What came of each sending, oldest first.
#[utoipa::path(tag = "webhooks", security(("bearer" = [])), params(("id" = String, Path), ("limit" = Option<i64>, Query), ("cursor" = Option<String>, Query)),
    responses((status = 200, body = Value), (status = 401, body = ProblemBody), (status = 403, body = ProblemBody), (status = 404, body = ProblemBody)))]
#[get("/v1/webhook-endpoints/{id}/attempts")]
async fn attempts(state: Data<State>, who: PlatformToken, id: Path<String>, page: Query<Page>) -> Result<HttpResponse, Problem> {
    let endpoint = own(&state, &who, &id).await?;
    let limit = page.limit()?;
    let after = page.after(|t| t.parse::<i64>().ok())?.unwrap_or(0);
    let (items, total) = state.store.attempts(endpoint.id, after, limit + 1).await?;
    let body =
        list(&items, limit, total, |a| json!({"event": a.event, "at": a.at, "status": a.status, "error": a.error}), |a| a.seq.to_string());
    Ok(HttpResponse::Ok().json(body))
}
