//! What an operator must look at: postings held for words of fraud, and groups of
//! postings that count as the same work.

use super::auth::AdminToken;
use super::body::Json;
use super::postings::posting_body;
use super::problem::{Problem, ProblemBody};
use super::{Page, State, list};
use crate::domain::id::PostingId;
use crate::store::groups::{Group, GroupId};
use actix_web::web::{Data, Path, Query};
use actix_web::{HttpResponse, get, post};
use serde::Deserialize;
use serde_json::{Value, json};
use utoipa_actix_web::service_config::ServiceConfig;

pub fn routes(cfg: &mut ServiceConfig) {
    cfg.service(held).service(release).service(groups).service(one_group).service(split_group);
}

/// Why somebody decided so.
#[derive(Debug, Default, Deserialize)]
struct Decision {
    reason: Option<String>,
}

impl Decision {
    fn reason(self) -> Result<String, Problem> {
        let reason = self.reason.map(|r| r.trim().to_owned()).filter(|r| !r.is_empty());
        let reason = reason.ok_or_else(|| Problem::field("/reason", "missing", "is required"))?;
        if reason.chars().count() > 500 { Err(Problem::field("/reason", "too_long", "must be at most 500 characters")) } else { Ok(reason) }
    }
}

/// Live postings that are not routed until somebody has looked, oldest first.
#[utoipa::path(tag = "admin", security(("bearer" = [])), params(("limit" = Option<i64>, Query), ("cursor" = Option<String>, Query)),
    responses((status = 200, body = Value), (status = 401, body = ProblemBody), (status = 403, body = ProblemBody), (status = 422, body = ProblemBody)))]
#[get("/v1/held-postings")]
async fn held(state: Data<State>, _who: AdminToken, page: Query<Page>) -> Result<HttpResponse, Problem> {
    let limit = page.limit()?;
    let (items, total) = state.store.held_postings(page.after(PostingId::parse)?, limit + 1).await?;
    Ok(HttpResponse::Ok().json(list(&items, limit, total, posting_body, |p| p.id.to_string())))
}

/// Lets a held posting be routed. As long as its texts stay the same it is not held
/// again.
#[utoipa::path(tag = "admin", security(("bearer" = [])), params(("id" = String, Path)), request_body(content = Value),
    responses((status = 200, body = Value), (status = 401, body = ProblemBody), (status = 403, body = ProblemBody), (status = 404, body = ProblemBody),
    (status = 409, body = ProblemBody), (status = 422, body = ProblemBody)))]
#[post("/v1/postings/{id}/release")]
async fn release(state: Data<State>, who: AdminToken, id: Path<String>, body: Json<Decision>) -> Result<HttpResponse, Problem> {
    let id = PostingId::parse(&id).ok_or_else(Problem::not_found)?;
    let reason = body.value.reason()?;
    state.store.posting(id).await?.ok_or_else(Problem::not_found)?;
    if !state.store.release_posting(id, who.client.id.to_string(), reason, state.clock.now()).await? {
        return Err(Problem::new(409, "posting_not_held", "This posting is not held."));
    }
    let posting = state.store.posting(id).await?.ok_or_else(Problem::not_found)?;
    Ok(HttpResponse::Ok().json(posting_body(&posting)))
}

fn group_body(g: &Group) -> Value {
    let why = g.postings.first().map(|p| {
        let c = &p.content;
        json!({"organization": c.hiring_organization.name, "title": c.title, "region": c.job_location.region, "arrangement": c.arrangement,
            "pay": {"unit": c.base_salary.unit, "min": c.base_salary.min, "max": c.base_salary.max}})
    });
    let one = |p: &crate::store::postings::Posting| {
        json!({"id": p.id, "platform": p.platform, "source_id": p.content.source_id, "title": p.content.title, "status": p.status,
            "date_posted": p.content.date_posted, "url": p.content.url})
    };
    let split = g.split.as_ref().map(|s| json!({"at": s.at, "by": s.client, "reason": s.reason}));
    json!({"id": g.id.to_string(), "why": why, "postings": g.postings.iter().map(one).collect::<Vec<_>>(), "split": split})
}

/// Groups of at least two live postings that count as the same work: equal in what
/// `why` says. A worker is offered one posting of a group.
#[utoipa::path(tag = "admin", security(("bearer" = [])), params(("limit" = Option<i64>, Query), ("cursor" = Option<String>, Query)),
    responses((status = 200, body = Value), (status = 401, body = ProblemBody), (status = 403, body = ProblemBody), (status = 422, body = ProblemBody)))]
#[get("/v1/posting-groups")]
async fn groups(state: Data<State>, _who: AdminToken, page: Query<Page>) -> Result<HttpResponse, Problem> {
    let limit = page.limit()?;
    let (items, total) = state.store.groups(page.after(GroupId::parse)?, limit + 1).await?;
    Ok(HttpResponse::Ok().json(list(&items, limit, total, group_body, |g| g.id.to_string())))
}

/// One group.
#[utoipa::path(tag = "admin", security(("bearer" = [])), params(("id" = String, Path)),
    responses((status = 200, body = Value), (status = 401, body = ProblemBody), (status = 403, body = ProblemBody), (status = 404, body = ProblemBody)))]
#[get("/v1/posting-groups/{id}")]
async fn one_group(state: Data<State>, _who: AdminToken, id: Path<String>) -> Result<HttpResponse, Problem> {
    let id = GroupId::parse(&id).ok_or_else(Problem::not_found)?;
    let group = state.store.group(id).await?.ok_or_else(Problem::not_found)?;
    Ok(HttpResponse::Ok().json(group_body(&group)))
}

/// Splits a group for good: its postings, and those that come later with the same
/// words, are offered each for itself. Splitting it again changes nothing.
#[utoipa::path(tag = "admin", security(("bearer" = [])), params(("id" = String, Path)), request_body(content = Value),
    responses((status = 200, body = Value), (status = 401, body = ProblemBody), (status = 403, body = ProblemBody), (status = 404, body = ProblemBody),
    (status = 422, body = ProblemBody)))]
#[post("/v1/posting-groups/{id}/split")]
async fn split_group(state: Data<State>, who: AdminToken, id: Path<String>, body: Json<Decision>) -> Result<HttpResponse, Problem> {
    let id = GroupId::parse(&id).ok_or_else(Problem::not_found)?;
    let reason = body.value.reason()?;
    state.store.group(id.clone()).await?.ok_or_else(Problem::not_found)?;
    state.store.split_group(id.clone(), who.client.id.to_string(), reason, state.clock.now()).await?;
    let group = state.store.group(id).await?.ok_or_else(Problem::not_found)?;
    Ok(HttpResponse::Ok().json(group_body(&group)))
}
