//! What administrators do, and the alerts that offices see.

use super::auth::{AdminToken, OfficeToken};
use super::body::{Json, once};
use super::pages::alert_in_words;
use super::problem::{Problem, ProblemBody, answered};
use super::workers::region_within;
use super::{Page, State, list, list_of};
use crate::domain::alert::Facts;
use crate::domain::client::{Role, Slug};
use crate::domain::id::{AlertId, ClientId};
use crate::domain::region::Region;
use crate::store::alerts::{Alert, AlertFilter};
use crate::store::clients::NewClient;
use actix_web::web::{Data, Path, Query};
use actix_web::{HttpRequest, HttpResponse, delete, get, post};
use serde::Deserialize;
use serde_json::{Value, json};
use utoipa_actix_web::service_config::ServiceConfig;

pub fn routes(cfg: &mut ServiceConfig) {
    cfg.service(alerts).service(resolve).service(access_log).service(clients).service(add_client).service(revoke_client);
}

/// What somebody should do about an alert of this kind.
fn action(kind: &str) -> &'static str {
    match kind {
        "moved_away" => "check with the new county that the person did move",
        "over_hired" => "ask the platform whether the extra hire stands",
        "complaint" => "speak with the worker, and say in the note what came of it",
        "platform_silent" => "ask the platform whether its feed still runs and has postings",
        "employment_drop" => "find out which employer let people go, and look for other work for them",
        "displaced_waiting" => "speak with the worker about wishes that leave more postings open, or find one for them",
        "active_missing" => "ring the worker or the platform, and confirm or end the hire",
        "pay_below_promise" => "ask the worker what they were paid, and take it up with the platform",
        "unconfirmed_share" => "have the people of this county confirm that they work: by their page, by phone or a visit",
        "endpoint_disabled" => "ask the platform to repair its receiver, and to enable the endpoint again",
        "unreachable" => "see who it is by GET /v1/workers?state=unreachable, and ring, visit or correct their number",
        _ => "look into it",
    }
}

#[derive(Debug, Deserialize)]
struct OfRegion {
    region: Option<String>,
}

/// What needs a person in the office's region, or in one within it, newest first.
#[utoipa::path(tag = "office", security(("bearer" = [])), params(("region" = Option<String>, Query), ("limit" = Option<i64>, Query), ("cursor" = Option<String>, Query)),
    responses((status = 200, body = Value), (status = 401, body = ProblemBody), (status = 403, body = ProblemBody), (status = 422, body = ProblemBody)))]
#[get("/v1/alerts")]
async fn alerts(state: Data<State>, who: OfficeToken, page: Query<Page>, of: Query<OfRegion>) -> Result<HttpResponse, Problem> {
    let limit = page.limit()?;
    let filter = AlertFilter {
        region: region_within(of.region.as_deref(), who.region)?,
        resolved: None,
        after: page.after(AlertId::parse)?,
        limit: limit + 1,
    };
    let (items, total) = state.store.alerts(filter).await?;
    let body = |a: &Alert| {
        json!({"id": a.id, "kind": a.kind, "region": a.region, "at": a.at, "worker": a.worker, "posting": a.posting, "detail": alert_in_words(a),
            "facts": a.facts.as_ref().map_or(json!({}), Facts::object), "action": action(&a.kind), "resolved_at": a.resolved_at, "note": a.note})
    };
    Ok(HttpResponse::Ok().json(list(&items, limit, total, body, |a| a.id.to_string())))
}

#[derive(Debug, Default, Deserialize)]
struct Resolution {
    note: Option<String>,
}

/// Resolves an alert with a note.
#[utoipa::path(tag = "office", security(("bearer" = [])), params(("id" = String, Path)), request_body(content = Value), responses((status = 204), (status = 401, body = ProblemBody),
    (status = 403, body = ProblemBody), (status = 404, body = ProblemBody)))]
#[post("/v1/alerts/{id}/resolve")]
async fn resolve(state: Data<State>, who: OfficeToken, id: Path<String>, body: Json<Resolution>) -> Result<HttpResponse, Problem> {
    let id = AlertId::parse(&id).ok_or_else(Problem::not_found)?;
    let note = body.value.note.unwrap_or_default().chars().take(500).collect();
    let found = state.store.resolve_alert(id, who.region, note, state.clock.now()).await?;
    if found { Ok(HttpResponse::NoContent().finish()) } else { Err(Problem::not_found()) }
}

#[derive(Debug, Deserialize)]
struct Listed {
    limit: Option<String>,
    cursor: Option<String>,
}

/// Who read whom, oldest first.
#[utoipa::path(tag = "admin", security(("bearer" = [])), params(("limit" = Option<i64>, Query), ("cursor" = Option<String>, Query)),
    responses((status = 200, body = Value), (status = 401, body = ProblemBody), (status = 403, body = ProblemBody), (status = 422, body = ProblemBody)))]
#[get("/v1/access-log")]
async fn access_log(state: Data<State>, _who: AdminToken, query: Query<Listed>) -> Result<HttpResponse, Problem> {
    let query = query.into_inner();
    let page = Page { limit: query.limit, cursor: query.cursor };
    let limit = page.limit()?;
    let after = page.after(|t| t.parse::<i64>().ok())?.unwrap_or(0);
    let (items, total) = state.store.access_log(after, limit + 1).await?;
    let body = |a: &crate::store::access::Access| json!({"at": a.at, "client": a.client, "action": a.action, "worker": a.worker, "fields": a.fields, "reason": a.reason});
    Ok(HttpResponse::Ok().json(list(&items, limit, total, body, |a| a.seq.to_string())))
}

fn client_body(c: &crate::domain::client::Client) -> Value {
    json!({"client_id": c.id, "role": c.role, "name": c.name, "region": c.region, "adapter": c.adapter, "revoked": c.revoked})
}

/// All clients, without their secrets.
#[utoipa::path(tag = "admin", security(("bearer" = [])), responses((status = 200, body = Value), (status = 401, body = ProblemBody), (status = 403, body = ProblemBody)))]
#[get("/v1/clients")]
async fn clients(state: Data<State>, _who: AdminToken, page: Query<Page>) -> Result<HttpResponse, Problem> {
    let items = state.store.clients().await?;
    Ok(HttpResponse::Ok().json(list_of(&items, &page, client_body, |c| c.id.to_string())?))
}

#[derive(Debug, Deserialize)]
struct NewBody {
    role: Option<String>,
    name: Option<String>,
    region: Option<String>,
    adapter: Option<String>,
}

/// Makes a client; its secret shows in this answer only.
#[utoipa::path(tag = "admin", security(("bearer" = [])), request_body(content = Value), responses((status = 201, body = Value), (status = 401, body = ProblemBody),
    (status = 403, body = ProblemBody), (status = 422, body = ProblemBody)))]
#[post("/v1/clients")]
async fn add_client(state: Data<State>, who: AdminToken, request: HttpRequest, body: Json<NewBody>) -> Result<HttpResponse, Problem> {
    let key = once(&request, &state, who.client.id.uuid(), &body.raw)?;
    let b = body.value;
    let role = b
        .role
        .as_deref()
        .and_then(Role::parse)
        .ok_or_else(|| Problem::field("/role", "unknown_value", "must be platform, office or admin"))?;
    let name = b.name.filter(|n| !n.trim().is_empty()).ok_or_else(|| Problem::field("/name", "missing", "is required"))?;
    if name.chars().count() > 200 || name.chars().any(char::is_control) {
        return Err(Problem::field("/name", "too_long", "must be at most 200 characters, none of them a control character"));
    }
    if role == Role::Platform && Slug::parse(&name).is_none() {
        return Err(Problem::field("/name", "unknown_value", "must be 1 to 40 of a-z, 0-9 and -"));
    }
    let region = Region::parse(b.region.as_deref().unwrap_or("000000"))
        .ok_or_else(|| Problem::field("/region", "unknown_value", "is no division"))?;
    let adapter = b.adapter.unwrap_or_else(|| "canonical".to_owned());
    state.adapters.get(&adapter).ok_or_else(|| Problem::field("/adapter", "unknown_value", "there is no such adapter"))?;
    answered(state.store.add_client_once(NewClient { role, name, region, adapter }, key, state.clock.now()).await?)
}

/// Ends a client's access within seconds.
#[utoipa::path(tag = "admin", security(("bearer" = [])), params(("id" = String, Path)),
    responses((status = 204), (status = 401, body = ProblemBody), (status = 403, body = ProblemBody), (status = 404, body = ProblemBody)))]
#[delete("/v1/clients/{id}")]
async fn revoke_client(state: Data<State>, _who: AdminToken, id: Path<String>) -> Result<HttpResponse, Problem> {
    let id = ClientId::parse(&id).ok_or_else(Problem::not_found)?;
    state.store.client(id).await?.ok_or_else(Problem::not_found)?;
    state.store.revoke_client(id, state.clock.now()).await?;
    Ok(HttpResponse::NoContent().finish())
}
