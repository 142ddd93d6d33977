//! Offers as platforms and offices see them, and answers given on behalf.

use super::auth::{OfficeToken, PlatformOrOffice, PlatformToken};
use super::body::Json;
use super::problem::{Problem, ProblemBody};
use super::{Page, State, list, optional};
use crate::domain::id::{OfferId, PostingId, Pseudonym, WorkerId};
use crate::domain::offer::OfferState;
use crate::store::access::Reveal;
use crate::store::answers::{Answerer, Answering};
use crate::store::offers::{Offer, OfferFilter};
use actix_web::web::{Data, Path, Query};
use actix_web::{HttpResponse, get, post};
use serde::Deserialize;
use serde_json::{Value, json};
use utoipa_actix_web::service_config::ServiceConfig;

pub fn routes(cfg: &mut ServiceConfig) {
    cfg.service(listed).service(contact).service(accept).service(decline);
}

#[derive(Debug, Deserialize)]
struct Listed {
    posting: Option<String>,
    worker: Option<String>,
    state: Option<String>,
    limit: Option<String>,
    cursor: Option<String>,
}

/// An offer with the worker as the reader may know them.
pub fn offer_body(o: &Offer, worker: Value) -> Value {
    let mut body = json!({
        "id": o.id, "posting": {"id": o.posting, "title": o.title, "platform": o.platform}, "worker": worker, "state": o.state,
        "wave": o.wave, "reasons": o.reasons(), "offered_at": o.offered_at, "expires_at": o.expires_at, "promoted": o.promoted,
    });
    if let Some(position) = o.position {
        body["position"] = json!(position);
    }
    if let Some(by) = &o.answered_by {
        body["answered_by"] = json!({"client": by, "method": o.method});
        if let Some(reason) = &o.reason {
            body["answered_by"]["reason"] = json!(reason);
        }
    }
    if let Some(method) = &o.method {
        body["method"] = json!(method);
    }
    body
}

/// Offers of the platform's postings, or of the office's people.
#[utoipa::path(tag = "offers", security(("bearer" = [])), params(("posting" = Option<String>, Query), ("worker" = Option<String>, Query),
    ("state" = Option<String>, Query), ("limit" = Option<i64>, Query), ("cursor" = Option<String>, Query)),
    responses((status = 200, body = Value), (status = 401, body = ProblemBody), (status = 403, body = ProblemBody), (status = 422, body = ProblemBody)))]
#[get("/v1/offers")]
async fn listed(state: Data<State>, who: PlatformOrOffice, query: Query<Listed>) -> Result<HttpResponse, Problem> {
    let query = query.into_inner();
    let page = Page { limit: query.limit, cursor: query.cursor };
    let limit = page.limit()?;
    let mut filter = OfferFilter {
        state: optional("state", query.state.as_deref(), OfferState::parse)?,
        posting: optional("posting", query.posting.as_deref(), PostingId::parse)?,
        after: page.after(OfferId::parse)?,
        limit: limit + 1,
        ..OfferFilter::default()
    };
    match &who {
        PlatformOrOffice::Platform(p) => filter.platform = Some(p.platform.to_string()),
        PlatformOrOffice::Office(o) => {
            filter.region = Some(o.region);
            filter.worker = optional("worker", query.worker.as_deref(), WorkerId::parse)?;
        }
    }
    let (items, total) = state.store.offers(filter).await?;
    let names = match &who {
        PlatformOrOffice::Platform(p) => {
            let workers = items.iter().map(|i| i.offer.worker).collect();
            state.store.pseudonyms(p.platform.to_string(), workers).await?.into_iter().map(|name| json!(name)).collect::<Vec<_>>()
        }
        PlatformOrOffice::Office(o) => {
            let mut seen: Vec<WorkerId> = items.iter().map(|i| i.offer.worker).collect();
            seen.sort();
            seen.dedup();
            state.store.log_access(o.client.id.to_string(), "offers", seen, String::new(), state.clock.now()).await?;
            items.iter().map(|i| json!(i.offer.worker)).collect()
        }
    };
    let rows: Vec<(Value, Offer)> = names.into_iter().zip(items.into_iter().map(|i| i.offer)).collect();
    let mut body = list(&rows, limit, total, |(worker, o)| offer_body(o, worker.clone()), |(_, o)| o.id.to_string());
    if let PlatformOrOffice::Platform(_) = who {
        // Why somebody was chosen, and why they said no, speaks of the person: it is for
        // worker and office.
        for offer in body["items"].as_array_mut().into_iter().flatten().filter_map(Value::as_object_mut) {
            offer.remove("reasons");
            offer.get_mut("answered_by").and_then(Value::as_object_mut).map(|by| by.remove("reason"));
        }
    }
    Ok(HttpResponse::Ok().json(body))
}

/// Name and phone of a worker who accepted and agreed to share them.
#[utoipa::path(tag = "platform", security(("bearer" = [])), params(("id" = String, Path)), responses((status = 200, body = Value),
    (status = 401, body = ProblemBody), (status = 403, body = ProblemBody), (status = 404, body = ProblemBody), (status = 409, body = ProblemBody)))]
#[get("/v1/offers/{id}/contact")]
async fn contact(state: Data<State>, who: PlatformToken, id: Path<String>) -> Result<HttpResponse, Problem> {
    let id = OfferId::parse(&id).ok_or_else(Problem::not_found)?;
    let offer = state.store.offer(id).await?.filter(|o| o.platform == who.platform.as_str()).ok_or_else(Problem::not_found)?;
    if offer.accepted_at.is_none() {
        return Err(Problem::new(409, "offer_not_accepted", "The worker has not accepted this offer."));
    }
    if !(offer.state.seated() && offer.share_contact) {
        return Err(Problem::forbidden("contact_not_shared", "The worker's name and phone are not shared."));
    }
    let asked = Reveal {
        worker: offer.worker,
        fields: vec!["name".to_owned(), "phone".to_owned()],
        reason: format!("offer {id}"),
        client: who.client.id.to_string(),
        action: "contact",
        quota: i64::MAX,
    };
    let shown = state.store.reveal(asked, state.clock.now()).await?.map_err(|_| Problem::not_found())?;
    let worker = state.store.pseudonyms(offer.platform, vec![offer.worker]).await?.into_iter().next();
    Ok(HttpResponse::Ok().json(json!({"offer": id, "worker": worker.map(Pseudonym::uuid), "name": shown["name"], "phone": shown["phone"]})))
}

#[derive(Debug, Default, Deserialize)]
struct OnBehalf {
    on_behalf: Option<bool>,
    method: Option<String>,
    reason: Option<String>,
    share_contact: Option<bool>,
}

fn answering(state: &State, who: &OfficeToken, id: &str, body: OnBehalf) -> Result<Answering, Problem> {
    let offer = OfferId::parse(id).ok_or_else(Problem::not_found)?;
    if body.on_behalf != Some(true) {
        return Err(Problem::field("/on_behalf", "missing", "must be true: an office answers for somebody"));
    }
    let method = body.method.filter(|m| matches!(m.as_str(), "phone" | "visit"));
    let method = method.ok_or_else(|| Problem::field("/method", "unknown_value", "must be phone or visit"))?;
    Ok(Answering {
        offer,
        by: Answerer::Office { region: who.region, client: who.client.id.to_string(), method },
        share_contact: body.share_contact.unwrap_or(true),
        reason: body.reason.map(|r| r.chars().take(200).collect()),
        promoted_within: state.config.offer.promoted_within,
        cooldown: state.config.routing.cooldown,
    })
}

/// An office says yes for a worker without a phone.
#[utoipa::path(tag = "office", security(("bearer" = [])), params(("id" = String, Path)), request_body(content = Value),
    responses((status = 200, body = Value), (status = 401, body = ProblemBody), (status = 403, body = ProblemBody), (status = 404, body = ProblemBody),
    (status = 409, body = ProblemBody), (status = 422, body = ProblemBody)))]
#[post("/v1/offers/{id}/accept")]
async fn accept(state: Data<State>, who: OfficeToken, id: Path<String>, body: Json<OnBehalf>) -> Result<HttpResponse, Problem> {
    let answering = answering(&state, &who, &id, body.value)?;
    let offer = state.store.accept_offer(answering, state.clock.now()).await??;
    Ok(HttpResponse::Ok().json(offer_body(&offer, json!(offer.worker))))
}

/// An office says no for a worker; the reason is needed.
#[utoipa::path(tag = "office", security(("bearer" = [])), params(("id" = String, Path)), request_body(content = Value),
    responses((status = 200, body = Value), (status = 401, body = ProblemBody), (status = 403, body = ProblemBody), (status = 404, body = ProblemBody),
    (status = 409, body = ProblemBody), (status = 422, body = ProblemBody)))]
#[post("/v1/offers/{id}/decline")]
async fn decline(state: Data<State>, who: OfficeToken, id: Path<String>, body: Json<OnBehalf>) -> Result<HttpResponse, Problem> {
    let answering = answering(&state, &who, &id, body.value)?;
    if answering.reason.as_deref().is_none_or(|r| r.trim().is_empty()) {
        return Err(Problem::field("/reason", "missing", "is required where an office declines for somebody"));
    }
    let offer = state.store.decline_offer(answering, state.clock.now()).await??;
    Ok(HttpResponse::Ok().json(offer_body(&offer, json!(offer.worker))))
}
