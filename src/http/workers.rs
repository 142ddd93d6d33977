//! Registered workers, as their office sees them: masked, every reading logged.

use super::auth::OfficeToken;
use super::body::{Body, Json, once};
use super::hires::hire_body;
use super::offers::offer_body;
use super::problem::{Problem, ProblemBody, answered};
use super::{Page, State, format_of, list, optional};
use crate::adapter::{Adapter, Format};
use crate::domain::id::WorkerId;
use crate::domain::region::Region;
use crate::domain::worker::{Wishes, category_codes, skill_codes};
use crate::ingest::registry::{self, RegistryBatch};
use crate::store::access::{Reveal, RevealRefused};
use crate::store::links::NewLink;
use crate::store::notices::Unreachable;
use crate::store::once::{Answer, Once, Reserved};
use crate::store::people::{WorkerFilter, WorkerState};
use crate::store::workers::WorkerFile;
use actix_web::web::{Data, Path, Query};
use actix_web::{HttpRequest, HttpResponse, delete, get, patch, post};
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;
use utoipa_actix_web::service_config::ServiceConfig;

pub fn routes(cfg: &mut ServiceConfig) {
    cfg.service(register).service(listed).service(one).service(change).service(erase).service(reveal).service(link);
}

/// Registry rows: CSV, NDJSON, JSON or XLSX.
#[utoipa::path(tag = "office", security(("bearer" = [])), request_body(content = Value), responses((status = 200, body = Value), (status = 400, body = ProblemBody),
    (status = 401, body = ProblemBody), (status = 403, body = ProblemBody), (status = 409, body = ProblemBody), (status = 413, body = ProblemBody),
    (status = 415, body = ProblemBody), (status = 422, body = ProblemBody), (status = 429, body = ProblemBody)))]
#[post("/v1/workers")]
async fn register(state: Data<State>, who: OfficeToken, request: HttpRequest, body: Body) -> Result<HttpResponse, Problem> {
    let reader = reader(&state)?;
    let format = format_of(&request, &reader)?;
    let key = once(&request, &state, who.client.id.uuid(), &body.0)?;
    answered(Reserved::Done(registered(&state, &who, format, body.0, key).await?))
}

/// The adapter that takes registry rows as they are.
pub fn reader(state: &State) -> Result<Arc<Adapter>, Problem> {
    state.adapters.get("canonical").cloned().ok_or_else(|| Problem::internal("the adapter canonical is compiled in"))
}

/// Takes in the rows of an office.
pub async fn registered(
    state: &State,
    who: &OfficeToken,
    format: Option<Format>,
    body: Vec<u8>,
    once: Option<Once>,
) -> Result<Answer, Problem> {
    let origin = registry::Origin::Office(who.client.id.to_string());
    let batch = RegistryBatch { reader: reader(state)?, format, body: body.into(), region: who.region, once, origin };
    Ok(state.ingest.register(batch, state.clock.now(), |_| {}).await?)
}

#[derive(Debug, Deserialize)]
struct Listed {
    region: Option<String>,
    state: Option<String>,
    limit: Option<String>,
    cursor: Option<String>,
}

/// A region parameter: unknown is refused, outside the caller's own forbidden.
pub fn region_within(text: Option<&str>, own: Region) -> Result<Region, Problem> {
    let Some(text) = text.filter(|t| !t.is_empty()) else { return Ok(own) };
    let region = crate::domain::region::resolve_code(text).map_err(|_| Problem::parameter("region", "region_unknown", "is no division"))?;
    if region.is_within(own) {
        Ok(region)
    } else {
        Err(Problem::forbidden("region_forbidden", "The region lies outside this office's own."))
    }
}

/// A worker, masked.
pub fn worker_body(w: &WorkerFile) -> Value {
    let s = &w.seeker;
    let destinations: Vec<String> =
        s.destinations.any.then(|| "*".to_owned()).into_iter().chain(s.destinations.provinces.iter().map(|p| p.to_string())).collect();
    json!({
        "id": w.id, "name": w.name_masked, "phone": w.phone_masked, "id_number": w.id_masked, "home_region": s.home, "home": s.home.full_name(),
        "tier": s.tier, "relocated": w.relocated, "consent": w.consent_on, "seeking_since": s.seeking_since, "looking": s.looking, "paused": s.paused,
        "categories": category_codes(s.categories), "destinations": destinations, "in_place_only": s.in_place_only,
        "min_monthly_pay": s.min_monthly_pay, "require_stated_pay": s.require_stated_pay, "skills": skill_codes(s.skills),
        "open_offers": s.open_offers, "registered_at": w.registered_at, "version": w.version,
    })
}

/// The workers of the office's region. With `state=unreachable` those whom no message
/// reached, each with `unreachable: {"since","reason"}`, the reason `no_phone` or `failed`.
#[utoipa::path(tag = "office", security(("bearer" = [])), params(("region" = Option<String>, Query), ("state" = Option<String>, Query), ("limit" = Option<i64>, Query),
    ("cursor" = Option<String>, Query)), responses((status = 200, body = Value), (status = 401, body = ProblemBody), (status = 403, body = ProblemBody), (status = 422, body = ProblemBody)))]
#[get("/v1/workers")]
async fn listed(state: Data<State>, who: OfficeToken, query: Query<Listed>) -> Result<HttpResponse, Problem> {
    let Listed { region, state: doing, limit, cursor } = query.into_inner();
    Ok(HttpResponse::Ok().json(people(&state, &who, region.as_deref(), doing.as_deref(), Page { limit, cursor }).await?))
}

/// One page of the office's workers; that they were read is logged before it goes out.
pub async fn people(state: &State, who: &OfficeToken, region: Option<&str>, doing: Option<&str>, page: Page) -> Result<Value, Problem> {
    let region = region_within(region, who.region)?;
    let limit = page.limit()?;
    if doing == Some("unreachable") {
        return unreachable(state, who, region, &page).await;
    }
    let doing = optional("state", doing, WorkerState::parse)?;
    let filter = WorkerFilter { region, state: doing, after: page.after(WorkerId::parse)?, limit: limit + 1 };
    let (items, total) = state.store.workers(filter).await?;
    let seen = items.iter().take(limit as usize).map(|w| w.id).collect();
    state.store.log_access(who.client.id.to_string(), "list", seen, String::new(), state.clock.now()).await?;
    Ok(list(&items, limit, total, worker_body, |w| w.id.to_string()))
}

async fn unreachable(state: &State, who: &OfficeToken, region: Region, page: &Page) -> Result<Value, Problem> {
    let limit = page.limit()?;
    let (items, total) = state.store.unreachable(region, page.after(WorkerId::parse)?, limit + 1).await?;
    let seen = items.iter().take(limit as usize).map(|u| u.worker.id).collect();
    state.store.log_access(who.client.id.to_string(), "list", seen, String::new(), state.clock.now()).await?;
    let body = |u: &Unreachable| {
        let mut body = worker_body(&u.worker);
        body["unreachable"] = json!({"since": u.since, "reason": u.reason});
        body
    };
    Ok(list(&items, limit, total, body, |u| u.worker.id.to_string()))
}

/// A worker at home in the office's region, or the answer for what is not there.
async fn own(state: &State, who: &OfficeToken, id: &str) -> Result<WorkerFile, Problem> {
    let id = WorkerId::parse(id).ok_or_else(Problem::not_found)?;
    let worker = state.store.worker(id).await?.filter(|w| w.seeker.home.is_within(who.region));
    worker.ok_or_else(Problem::not_found)
}

/// One person, one file: registration, tiers, offers, hires, months worked.
#[utoipa::path(tag = "office", security(("bearer" = [])), params(("id" = String, Path)), responses((status = 200, body = Value), (status = 401, body = ProblemBody),
    (status = 403, body = ProblemBody), (status = 404, body = ProblemBody)))]
#[get("/v1/workers/{id}")]
async fn one(state: Data<State>, who: OfficeToken, id: Path<String>) -> Result<HttpResponse, Problem> {
    Ok(HttpResponse::Ok().json(file(&state, &who, &id).await?))
}

/// A person's file; that it was read is logged before it goes out.
pub async fn file(state: &State, who: &OfficeToken, id: &str) -> Result<Value, Problem> {
    let worker = own(state, who, id).await?;
    let now = state.clock.now();
    state.store.log_access(who.client.id.to_string(), "read", vec![worker.id], String::new(), now).await?;
    let mut body = worker_body(&worker);
    let tiers = state.store.tier_history(worker.id).await?;
    body["tiers"] = tiers.iter().map(|(tier, since)| json!({"tier": tier, "since": since})).collect();
    let offers = state.store.worker_offers(worker.id, 100).await?;
    body["offers"] = offers.iter().map(|(o, _)| offer_body(o, json!(o.worker))).collect();
    let lives = state.store.lives(worker.id).await?;
    let hires = state.store.worker_hires(worker.id).await?;
    let today = now.day();
    let life = |h: &crate::store::hires::Hire| lives.iter().find(|(id, _)| *id == h.id).map(|(_, life)| life);
    body["hires"] = hires.iter().map(|h| hire_body(h, life(h).is_some_and(|l| l.confirmed(today)))).collect();
    let mut months: Vec<_> = lives.iter().flat_map(|(_, life)| life.months_worked(today)).collect();
    months.sort();
    months.dedup();
    body["months_worked"] = json!(months.len());
    Ok(body)
}

/// What a worker or their office may change of their wishes.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WishesBody {
    categories: Option<Vec<String>>,
    destinations: Option<Vec<String>>,
    in_place_only: Option<bool>,
    min_monthly_pay: Option<u32>,
    require_stated_pay: Option<bool>,
    skills: Option<Vec<String>>,
    paused: Option<bool>,
    looking: Option<bool>,
}

impl WishesBody {
    pub fn read(self) -> Result<Wishes, Problem> {
        fn codes<T>(name: &str, given: Option<Vec<String>>, read: impl Fn(&str) -> Option<T>) -> Result<Option<T>, Problem> {
            let wrong = || Problem::field(&format!("/{name}"), "unknown_value", "holds a code that does not exist");
            given.map(|list| read(&list.join("|")).ok_or_else(wrong)).transpose()
        }
        Ok(Wishes {
            categories: codes("categories", self.categories, registry::categories)?,
            destinations: codes("destinations", self.destinations, registry::destinations)?,
            in_place_only: self.in_place_only,
            min_monthly_pay: match self.min_monthly_pay {
                Some(pay) if pay > 1_000_000 => return Err(Problem::field("/min_monthly_pay", "out_of_range", "must be at most 1000000")),
                other => other,
            },
            require_stated_pay: self.require_stated_pay,
            skills: codes("skills", self.skills, registry::skills)?,
            paused: self.paused,
            looking: self.looking,
        })
    }
}

/// Changes a worker's wishes.
#[utoipa::path(tag = "office", security(("bearer" = [])), params(("id" = String, Path)), request_body(content = Value), responses((status = 200, body = Value),
    (status = 401, body = ProblemBody), (status = 403, body = ProblemBody), (status = 404, body = ProblemBody), (status = 422, body = ProblemBody)))]
#[patch("/v1/workers/{id}")]
async fn change(state: Data<State>, who: OfficeToken, id: Path<String>, body: Json<WishesBody>) -> Result<HttpResponse, Problem> {
    let worker = own(&state, &who, &id).await?;
    let now = state.clock.now();
    state.store.set_wishes(worker.id, body.value.read()?, now).await?;
    state.store.log_access(who.client.id.to_string(), "change", vec![worker.id], String::new(), now).await?;
    Ok(HttpResponse::Ok().json(worker_body(&own(&state, &who, &id).await?)))
}

/// Erases a worker at their wish: identity goes, coded facts stay.
#[utoipa::path(tag = "office", security(("bearer" = [])), params(("id" = String, Path)),
    responses((status = 204), (status = 401, body = ProblemBody), (status = 403, body = ProblemBody), (status = 404, body = ProblemBody)))]
#[delete("/v1/workers/{id}")]
async fn erase(state: Data<State>, who: OfficeToken, id: Path<String>) -> Result<HttpResponse, Problem> {
    let id = WorkerId::parse(&id).ok_or_else(Problem::not_found)?;
    let home = state.store.last_home(id).await?.filter(|home| home.is_within(who.region));
    home.ok_or_else(Problem::not_found)?;
    let now = state.clock.now();
    state.store.log_access(who.client.id.to_string(), "erase", vec![id], String::new(), now).await?;
    state.store.erase_worker(id, state.config.offer.promoted_within, now).await?;
    Ok(HttpResponse::NoContent().finish())
}

#[derive(Debug, Deserialize)]
struct RevealBody {
    fields: Option<Vec<String>>,
    reason: Option<String>,
}

/// The sealed fields, logged before the answer, under a quota.
#[utoipa::path(tag = "office", security(("bearer" = [])), params(("id" = String, Path)), request_body(content = Value), responses((status = 200, body = Value),
    (status = 401, body = ProblemBody), (status = 403, body = ProblemBody), (status = 404, body = ProblemBody), (status = 422, body = ProblemBody), (status = 429, body = ProblemBody)))]
#[post("/v1/workers/{id}/reveal")]
async fn reveal(state: Data<State>, who: OfficeToken, id: Path<String>, body: Json<RevealBody>) -> Result<HttpResponse, Problem> {
    Ok(HttpResponse::Ok().json(json!({"fields": revealed(&state, &who, &id, body.value.fields, body.value.reason).await?})))
}

/// The sealed fields of a worker, logged with the reason, under the office's quota.
pub async fn revealed(
    state: &State,
    who: &OfficeToken,
    id: &str,
    fields: Option<Vec<String>>,
    reason: Option<String>,
) -> Result<Value, Problem> {
    let worker = own(state, who, id).await?;
    let reason = reason.map(|r| r.trim().chars().take(200).collect::<String>()).filter(|r| !r.is_empty());
    let reason = reason.ok_or_else(|| Problem::field("/reason", "missing", "is required"))?;
    let fields = fields.filter(|f| !f.is_empty()).ok_or_else(|| Problem::field("/fields", "missing", "is required"))?;
    if let Some(at) = fields.iter().position(|f| !matches!(f.as_str(), "id_number" | "name" | "phone")) {
        return Err(Problem::field(&format!("/fields/{at}"), "unknown_value", "may be id_number, name or phone"));
    }
    let quota = i64::from(state.config.access.reveals_per_day);
    let asked = Reveal { worker: worker.id, fields, reason, client: who.client.id.to_string(), action: "reveal", quota };
    match state.store.reveal(asked, state.clock.now()).await? {
        Ok(fields) => Ok(fields),
        Err(RevealRefused::NotFound) => Err(Problem::not_found()),
        Err(RevealRefused::Quota) => Err(Problem::new(429, "reveal_quota", "This office has revealed as much as it may in a day.")),
    }
}

#[derive(Debug, Default, Deserialize)]
struct LinkBody {
    revoke_others: Option<bool>,
}

/// A fresh link for a worker.
#[utoipa::path(tag = "office", security(("bearer" = [])), params(("id" = String, Path)), request_body(content = Value), responses((status = 201, body = Value),
    (status = 401, body = ProblemBody), (status = 403, body = ProblemBody), (status = 404, body = ProblemBody)))]
#[post("/v1/workers/{id}/link")]
async fn link(
    state: Data<State>,
    who: OfficeToken,
    request: HttpRequest,
    id: Path<String>,
    body: Json<LinkBody>,
) -> Result<HttpResponse, Problem> {
    let worker = WorkerId::parse(&id).ok_or_else(Problem::not_found)?;
    let key = once(&request, &state, who.client.id.uuid(), &body.raw)?;
    let new = NewLink {
        worker,
        region: who.region,
        client: who.client.id.to_string(),
        revoke_others: body.value.revoke_others.unwrap_or(false),
        lifetime: state.config.token.link_lifetime,
        base: state.public_url.clone(),
    };
    answered(state.store.make_link(new, key, state.clock.now()).await?)
}
