//! What a worker may do with the token of their link.

use super::State;
use super::auth::{Caller, WorkerToken, worker};
use super::body::{Json, once};
use super::hires::{Confirmation, hire_body};
use super::offers::offer_body;
use super::problem::{Problem, ProblemBody, answered};
use super::workers::{WishesBody, worker_body};
use crate::domain::id::{ClientId, HireId, OfferId, WorkerId};
use crate::store::StoreError;
use crate::store::answers::{Answerer, Answering};
use crate::store::complaints::Complaint;
use crate::store::offers::Offer;
use crate::store::once::Reserved;
use crate::store::postings::Posting;
use actix_web::web::{Data, Path};
use actix_web::{HttpRequest, HttpResponse, delete, get, patch, post};
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::HashMap;
use utoipa_actix_web::service_config::ServiceConfig;

pub fn routes(cfg: &mut ServiceConfig) {
    cfg.service(me)
        .service(preferences)
        .service(erase)
        .service(offers)
        .service(accept)
        .service(decline)
        .service(confirm)
        .service(complain)
        .service(stream);
}

/// The worker's own file.
#[utoipa::path(tag = "worker", security(("bearer" = [])), responses((status = 200, body = Value), (status = 401, body = ProblemBody), (status = 403, body = ProblemBody), (status = 404, body = ProblemBody)))]
#[get("/v1/me")]
async fn me(state: Data<State>, who: WorkerToken) -> Result<HttpResponse, Problem> {
    let worker = state.store.worker(who.worker).await?.ok_or_else(Problem::not_found)?;
    Ok(HttpResponse::Ok().json(worker_body(&worker)))
}

/// Changes what the worker wishes.
#[utoipa::path(tag = "worker", security(("bearer" = [])), request_body(content = Value), responses((status = 200, body = Value), (status = 401, body = ProblemBody),
    (status = 403, body = ProblemBody), (status = 404, body = ProblemBody), (status = 422, body = ProblemBody)))]
#[patch("/v1/me/preferences")]
async fn preferences(state: Data<State>, who: WorkerToken, body: Json<WishesBody>) -> Result<HttpResponse, Problem> {
    state.store.set_wishes(who.worker, body.value.read()?, state.clock.now()).await?;
    let worker = state.store.worker(who.worker).await?.ok_or_else(Problem::not_found)?;
    Ok(HttpResponse::Ok().json(worker_body(&worker)))
}

/// Withdraws consent and erases the worker.
#[utoipa::path(tag = "worker", security(("bearer" = [])), responses((status = 204), (status = 401, body = ProblemBody), (status = 403, body = ProblemBody)))]
#[delete("/v1/me")]
async fn erase(state: Data<State>, who: Caller) -> Result<HttpResponse, Problem> {
    // Who is erased already may say so again.
    let who = worker(who)?;
    state.store.erase_worker(who.worker, state.config.offer.promoted_within, state.clock.now()).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// The worker's offers, newest first, with why each one came.
#[utoipa::path(tag = "worker", security(("bearer" = [])), responses((status = 200, body = Value), (status = 401, body = ProblemBody), (status = 403, body = ProblemBody)))]
#[get("/v1/me/offers")]
async fn offers(state: Data<State>, who: WorkerToken) -> Result<HttpResponse, Problem> {
    Ok(HttpResponse::Ok().json(all_offers(state, who.worker).await?))
}

/// The list of offers again with each change, as server-sent events `offers` whose id
/// stays as long as nothing changed.
#[utoipa::path(tag = "worker", security(("bearer" = [])), responses((status = 200, body = String, content_type = "text/event-stream"),
    (status = 401, body = ProblemBody), (status = 403, body = ProblemBody)))]
#[get("/v1/me/offers/stream")]
async fn stream(state: Data<State>, who: WorkerToken) -> Result<HttpResponse, Problem> {
    super::stream::follow(state, who.worker, all_offers).await
}

async fn all_offers(state: Data<State>, worker: WorkerId) -> Result<Value, StoreError> {
    let all = state.store.worker_offers(worker, 200).await?;
    let helpers = helpers(&state, &all).await?;
    let body = |(o, p): &(Offer, Posting)| {
        let mut body = offer_body(o, json!(o.worker));
        body["posting"] = super::postings::posting_body(p);
        if let Some(name) = o.answered_by.as_ref().and_then(|by| helpers.get(by)) {
            body["answered_by"]["name"] = json!(name);
        }
        body
    };
    Ok(json!({"items": all.iter().map(body).collect::<Vec<_>>(), "next": null, "total": all.len()}))
}

/// The names of offices that answered for a worker, by their ids; none for one that is
/// not known.
pub type Helpers = HashMap<String, Option<String>>;

/// Who answered for a worker.
pub(super) async fn helpers(state: &State, all: &[(Offer, Posting)]) -> Result<Helpers, StoreError> {
    let mut names = Helpers::new();
    for by in all.iter().filter_map(|(o, _)| o.answered_by.as_deref()) {
        if let Some(id) = ClientId::parse(by).filter(|_| !names.contains_key(by)) {
            names.insert(by.to_owned(), state.store.client(id).await?.map(|client| client.name));
        }
    }
    Ok(names)
}

#[derive(Debug, Default, Deserialize)]
struct Answer {
    reason: Option<String>,
    share_contact: Option<bool>,
}

/// A worker's own answer.
pub fn answering(state: &State, worker: WorkerId, offer: &str, share: bool, reason: Option<String>) -> Result<Answering, Problem> {
    Ok(Answering {
        offer: OfferId::parse(offer).ok_or_else(Problem::not_found)?,
        by: Answerer::Worker(worker),
        share_contact: share,
        reason: reason.map(|r| r.chars().take(200).collect()),
        promoted_within: state.config.offer.promoted_within,
        cooldown: state.config.routing.cooldown,
    })
}

/// Says yes. Name and phone go to the platform unless `share_contact` is false.
#[utoipa::path(tag = "worker", security(("bearer" = [])), params(("id" = String, Path)), request_body(content = Value), responses((status = 200, body = Value),
    (status = 401, body = ProblemBody), (status = 403, body = ProblemBody), (status = 404, body = ProblemBody), (status = 409, body = ProblemBody)))]
#[post("/v1/me/offers/{id}/accept")]
async fn accept(state: Data<State>, who: WorkerToken, id: Path<String>, body: Json<Answer>) -> Result<HttpResponse, Problem> {
    let answering = answering(&state, who.worker, &id, body.value.share_contact.unwrap_or(true), None)?;
    let offer = state.store.accept_offer(answering, state.clock.now()).await??;
    Ok(HttpResponse::Ok().json(offer_body(&offer, json!(offer.worker))))
}

/// Says no, or gives an accepted offer back.
#[utoipa::path(tag = "worker", security(("bearer" = [])), params(("id" = String, Path)), request_body(content = Value), responses((status = 200, body = Value),
    (status = 401, body = ProblemBody), (status = 403, body = ProblemBody), (status = 404, body = ProblemBody), (status = 409, body = ProblemBody)))]
#[post("/v1/me/offers/{id}/decline")]
async fn decline(state: Data<State>, who: WorkerToken, id: Path<String>, body: Json<Answer>) -> Result<HttpResponse, Problem> {
    let answering = answering(&state, who.worker, &id, false, body.value.reason)?;
    let offer = state.store.decline_offer(answering, state.clock.now()).await??;
    Ok(HttpResponse::Ok().json(offer_body(&offer, json!(offer.worker))))
}

#[derive(Debug, Default, Deserialize)]
struct ComplaintBody {
    text: Option<String>,
    offer: Option<String>,
}

/// A complaint, `{"text","offer"?}`, of which the home's office gets an alert. The same text
/// again is the same complaint while nobody has resolved it.
#[utoipa::path(tag = "worker", security(("bearer" = [])), request_body(content = Value), responses((status = 201, body = Value), (status = 401, body = ProblemBody),
    (status = 403, body = ProblemBody), (status = 404, body = ProblemBody), (status = 422, body = ProblemBody), (status = 429, body = ProblemBody)))]
#[post("/v1/me/complaints")]
async fn complain(state: Data<State>, who: WorkerToken, request: HttpRequest, body: Json<ComplaintBody>) -> Result<HttpResponse, Problem> {
    let key = once(&request, &state, who.worker.uuid(), &body.raw)?;
    let text = body.value.text.as_deref().and_then(complaint_text);
    let text = text.ok_or_else(|| Problem::field("/text", "missing", "must say something, in at most 500 characters"))?;
    let offer = body.value.offer.map(|id| OfferId::parse(&id).ok_or_else(Problem::not_found)).transpose()?;
    let complaint = Complaint { worker: who.worker, offer, text };
    match state.store.complain(complaint, key, state.clock.now()).await? {
        Reserved::Done(answer) if answer.status == 429 => {
            Err(Problem::new(429, "complaint_quota", "The office has many complaints of yours that are open; it will look at those first."))
        }
        reserved => answered(reserved),
    }
}

/// What a worker wrote, fit to be kept: 1 to 500 characters, none of them a control but the
/// end of a line.
pub fn complaint_text(text: &str) -> Option<String> {
    let text = text.trim();
    let fits = (1..=500).contains(&text.chars().count()) && !text.chars().any(|c| c.is_control() && c != '\n' && c != '\r');
    fits.then(|| text.to_owned())
}

/// The worker confirms that they work there.
#[utoipa::path(tag = "worker", security(("bearer" = [])), params(("id" = String, Path)), request_body(content = Value), responses((status = 200, body = Value),
    (status = 401, body = ProblemBody), (status = 403, body = ProblemBody), (status = 404, body = ProblemBody), (status = 422, body = ProblemBody)))]
#[post("/v1/me/hires/{id}/confirm")]
async fn confirm(state: Data<State>, who: WorkerToken, id: Path<String>, body: Json<Confirmation>) -> Result<HttpResponse, Problem> {
    let id = HireId::parse(&id).ok_or_else(Problem::not_found)?;
    let hire = state.store.hire(id).await?.filter(|h| h.worker == who.worker).ok_or_else(Problem::not_found)?;
    let now = state.clock.now();
    let at = body.value.at(now)?;
    state.store.confirm_hire(id, "worker".to_owned(), body.value.method(), at, now).await?;
    Ok(HttpResponse::Ok().json(hire_body(&hire, true)))
}
