//! Postings: pushed in batches, listed, read, closed; and how one was routed.

use super::auth::PlatformToken;
use super::body::{Body, once};
use super::edge::LimitSlot;
use super::problem::{Problem, ProblemBody, answered};
use super::{Page, State, format_of, list, optional};
use crate::cache::Meter;
use crate::domain::eligibility::Step;
use crate::domain::id::PostingId;
use crate::domain::offer::OfferState;
use crate::domain::posting::Status;
use crate::ingest::{Batch, RunPart};
use crate::reporting::Sums;
use crate::store::once::Reserved;
use crate::store::postings::{Posting, PostingFilter};
use actix_web::web::{Data, Path, Query};
use actix_web::{HttpRequest, HttpResponse, delete, get, post};
use serde::Deserialize;
use serde_json::{Value, json};
use utoipa::ToSchema;
use utoipa_actix_web::service_config::ServiceConfig;

pub fn routes(cfg: &mut ServiceConfig) {
    cfg.service(push).service(listed).service(one).service(close).service(routing);
}

#[derive(Debug, Deserialize)]
struct Pushed {
    adapter: Option<String>,
    dry_run: Option<bool>,
    run: Option<String>,
    complete: Option<bool>,
    expected: Option<String>,
}

impl Pushed {
    /// The part of a full feed that the push says it is.
    fn part(&self) -> Result<Option<RunPart>, Problem> {
        let complete = self.complete.unwrap_or(false);
        let expected = optional("expected", self.expected.as_deref(), |t| t.parse::<u64>().ok())?;
        let Some(run) = &self.run else {
            if complete || expected.is_some() {
                return Err(Problem::parameter("run", "run_missing", "a full feed needs a name: run=ID"));
            }
            return Ok(None);
        };
        if run.is_empty() || run.chars().count() > 64 || run.chars().any(char::is_control) {
            return Err(Problem::parameter("run", "run_invalid", "must be 1 to 64 characters, none of them a control character"));
        }
        if expected.is_some() && !complete {
            return Err(Problem::parameter(
                "expected",
                "expected_without_complete",
                "stands with complete=true, in the push that ends the run",
            ));
        }
        Ok(Some(RunPart { run: run.clone(), complete, expected }))
    }
}

/// Takes in a batch: upsert by (platform, `source_id`). The adapter of the client
/// reads it; `?adapter=` picks another, `?dry_run=true` changes nothing. Pushes
/// with one `?run=ID` are a full feed; the one with `complete=true` ends it and
/// closes what is open and absent.
#[utoipa::path(tag = "platform", security(("bearer" = [])), params(("adapter" = Option<String>, Query), ("dry_run" = Option<bool>, Query),
    ("run" = Option<String>, Query), ("complete" = Option<bool>, Query), ("expected" = Option<u64>, Query)),
    request_body(content = Value), responses((status = 200, body = Value), (status = 400, body = ProblemBody), (status = 401, body = ProblemBody),
    (status = 403, body = ProblemBody), (status = 409, body = ProblemBody), (status = 413, body = ProblemBody), (status = 415, body = ProblemBody),
    (status = 422, body = ProblemBody), (status = 429, body = ProblemBody)))]
#[post("/v1/postings")]
async fn push(
    state: Data<State>,
    who: PlatformToken,
    request: HttpRequest,
    query: Query<Pushed>,
    body: Body,
) -> Result<HttpResponse, Problem> {
    let run = query.part()?;
    let name = query.adapter.as_deref().unwrap_or(&who.client.adapter);
    let adapter = state.adapters.get(name).cloned();
    let adapter = adapter.ok_or_else(|| Problem::parameter("adapter", "adapter_unknown", "there is no such adapter"))?;
    let format = format_of(&request, &adapter)?;
    let key = once(&request, &state, who.client.id.uuid(), &body.0)?;
    let dry_run = query.dry_run.unwrap_or(false);
    let batch = Batch { platform: who.platform.to_string(), adapter, format, body: body.0, once: key, dry_run, run, pull: None };
    let (answer, verdict) = state.ingest.push(batch, state.clock.now()).await?;
    if let Some(verdict) = verdict {
        LimitSlot::of(&request).set(Meter::Records, verdict);
    }
    answered(Reserved::Done(answer))
}

#[derive(Debug, Deserialize)]
struct Listed {
    status: Option<String>,
    source_id: Option<String>,
    limit: Option<String>,
    cursor: Option<String>,
}

/// The platform's own postings.
#[utoipa::path(tag = "platform", security(("bearer" = [])),
    params(("status" = Option<String>, Query), ("source_id" = Option<String>, Query), ("limit" = Option<i64>, Query), ("cursor" = Option<String>, Query)),
    responses((status = 200, body = Value), (status = 401, body = ProblemBody), (status = 403, body = ProblemBody), (status = 422, body = ProblemBody)))]
#[get("/v1/postings")]
async fn listed(state: Data<State>, who: PlatformToken, query: Query<Listed>) -> Result<HttpResponse, Problem> {
    let query = query.into_inner();
    let status = optional("status", query.status.as_deref(), Status::parse)?;
    let page = Page { limit: query.limit, cursor: query.cursor };
    let limit = page.limit()?;
    let filter = PostingFilter { status, source_id: query.source_id, after: page.after(PostingId::parse)?, limit: limit + 1 };
    let (items, total) = state.store.postings(who.platform.to_string(), filter).await?;
    Ok(HttpResponse::Ok().json(list(&items, limit, total, posting_body, |p| p.id.to_string())))
}

/// How a posting looks, for the document: the properties of schema.org's JobPosting
/// under its names, and what the gateway adds.
#[derive(ToSchema)]
#[allow(dead_code)]
pub struct PostingBody {
    id: String,
    platform: String,
    source_id: String,
    title: String,
    description: Option<String>,
    category: String,
    /// `{"gb","isco08"}`.
    occupation: Option<Value>,
    /// `{"name","kind"}`.
    hiring_organization: Value,
    /// `{"text","region"}`.
    job_location: Value,
    /// `on_site` or `in_place`.
    arrangement: String,
    /// Codes of divisions and `set:NAME`.
    target_regions: Vec<String>,
    /// `{"text","currency","unit","min","max","months_per_year","monthly_min","monthly_max"}`.
    base_salary: Value,
    total_job_openings: u32,
    /// Of each home county at most so many people hold a seat, beside the total; only
    /// with `in_place`. A record without a total wants that many of each target county.
    openings_per_county: Option<u32>,
    employment_type: Vec<String>,
    /// Present and true where the work begins at once: such a posting is routed as
    /// soon as it arrives and waits for no batch.
    job_immediate_start: Option<bool>,
    /// `{"age_min","age_max","skills"}`.
    requirements: Value,
    job_benefits: Vec<String>,
    /// `YYYY-MM-DD`.
    date_posted: String,
    /// `YYYY-MM-DD`, the last day on which it may be answered.
    valid_through: String,
    url: Option<String>,
    /// `open paused filled closed expired`.
    status: String,
    /// `{"openings","declared","taken"}`, and in `GET /v1/postings/{id}`, where
    /// `openings_per_county` stands, `by_county: [{"region","openings","taken"}]`: the
    /// counties from which somebody holds a seat.
    seats: Value,
    warnings: Vec<String>,
    revision: i64,
    /// Why an operator must look at it before it is routed; null: nobody must.
    held_for: Option<String>,
}

/// A posting as everybody sees it.
pub fn posting_body(p: &Posting) -> Value {
    let mut body = serde_json::to_value(&p.content).unwrap_or_default();
    body["id"] = json!(p.id);
    body["platform"] = json!(p.platform);
    body["status"] = json!(p.status);
    body["seats"] = json!(p.seats);
    body["revision"] = json!(p.revision);
    body["held_for"] = if p.held { json!("fraud_words") } else { Value::Null };
    body
}

/// A posting of the caller's platform, or the answer for what is not there.
async fn own(state: &State, who: &PlatformToken, id: &str) -> Result<Posting, Problem> {
    let id = PostingId::parse(id).ok_or_else(Problem::not_found)?;
    let posting = state.store.posting(id).await?.filter(|p| p.platform == who.platform.as_str());
    posting.ok_or_else(Problem::not_found)
}

/// One posting; where its seats are counted by home county, with those that are taken
/// in each.
#[utoipa::path(tag = "platform", security(("bearer" = [])), params(("id" = String, Path)),
    responses((status = 200, body = PostingBody), (status = 401, body = ProblemBody), (status = 403, body = ProblemBody), (status = 404, body = ProblemBody)))]
#[get("/v1/postings/{id}")]
async fn one(state: Data<State>, who: PlatformToken, id: Path<String>) -> Result<HttpResponse, Problem> {
    let posting = own(&state, &who, &id).await?;
    let mut body = posting_body(&posting);
    if posting.content.openings_per_county.is_some() {
        body["seats"]["by_county"] = json!(state.store.county_seats(posting.id).await?);
    }
    Ok(HttpResponse::Ok().json(body))
}

/// Closes a posting: unanswered offers are withdrawn.
#[utoipa::path(tag = "platform", security(("bearer" = [])), params(("id" = String, Path)),
    responses((status = 204), (status = 401, body = ProblemBody), (status = 403, body = ProblemBody), (status = 404, body = ProblemBody)))]
#[delete("/v1/postings/{id}")]
async fn close(state: Data<State>, who: PlatformToken, id: Path<String>) -> Result<HttpResponse, Problem> {
    let id = PostingId::parse(&id).ok_or_else(Problem::not_found)?;
    let within = state.config.offer.promoted_within;
    let closed = state.store.close_posting(who.platform.to_string(), id, within, state.clock.now()).await?;
    if closed { Ok(HttpResponse::NoContent().finish()) } else { Err(Problem::not_found()) }
}

/// How the posting was routed: counts, no person; small ones are hidden, and so are
/// others of their sum from which they could be computed.
#[utoipa::path(tag = "platform", security(("bearer" = [])), params(("id" = String, Path)),
    responses((status = 200, body = Value), (status = 401, body = ProblemBody), (status = 403, body = ProblemBody), (status = 404, body = ProblemBody)))]
#[get("/v1/postings/{id}/routing")]
async fn routing(state: Data<State>, who: PlatformToken, id: Path<String>) -> Result<HttpResponse, Problem> {
    let posting = own(&state, &who, &id).await?;
    let found = state.router.funnel(posting.id, state.clock.now()).await?;
    let (passed, routed) = found.ok_or_else(Problem::not_found)?;
    let least = state.config.report.min_cell;
    let shown = |n: u64, hidden: bool| if hidden { json!(format!("<{least}")) } else { json!(n) };
    let small = |n: u64| shown(n, n > 0 && n < least);
    let mut body = json!({});
    for (step, n) in Step::ALL.iter().zip(passed) {
        body[step.code()] = small(n);
    }
    // The states and the waves are parts of one number, so they are hidden together.
    let count = |s: OfferState| routed.by_state.iter().find(|(state, _)| *state == s).map_or(0, |(_, n)| *n).max(0) as u64;
    let told: Vec<OfferState> = OfferState::ALL.into_iter().filter(|s| *s != OfferState::Offered).collect();
    let ever: u64 = routed.by_state.iter().map(|(_, n)| (*n).max(0) as u64).sum();
    let mut sums = Sums::default();
    let (whole, in_whole) = sums.figure(&[ever]);
    let states: Vec<(usize, Vec<usize>)> = told.iter().map(|s| sums.figure(&[count(*s)])).collect();
    let waves: Vec<(usize, Vec<usize>)> = routed.waves.iter().map(|(.., offered)| sums.figure(&[(*offered).max(0) as u64])).collect();
    let counts = |of: &[(usize, Vec<usize>)]| of.iter().flat_map(|(_, counts)| counts.clone()).collect::<Vec<_>>();
    sums.parts(in_whole[0], &counts(&states));
    sums.sum(in_whole[0], &counts(&waves));
    let hidden = sums.hide(least);
    body["offered"] = shown(ever, hidden.contains(&whole));
    let mut waves_shown = Vec::new();
    for ((wave, at, wanted, offered), (figure, _)) in routed.waves.iter().zip(&waves) {
        let offered = shown((*offered).max(0) as u64, hidden.contains(figure));
        waves_shown.push(json!({"wave": wave, "at": at, "wanted": small((*wanted).max(0) as u64), "offered": offered}));
    }
    body["waves"] = json!(waves_shown);
    let mut offers = json!({"offered": body["offered"]});
    for (state, (figure, _)) in told.iter().zip(&states) {
        offers[state.code()] = shown(count(*state), hidden.contains(figure));
    }
    body["offers"] = offers;
    Ok(HttpResponse::Ok().json(body))
}
