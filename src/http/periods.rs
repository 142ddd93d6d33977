//! Closing a period: submit, approve, return, lock, and how it stands.

use super::State;
use super::auth::OfficeToken;
use super::body::{Json, once};
use super::problem::{Problem, ProblemBody, answered};
use super::workers::region_within;
use crate::domain::closing::Refused;
use crate::domain::region::{self, Region};
use crate::domain::time::Period;
use crate::reporting::closing::{self, Actor, ClosingFault, Decision};
use crate::store::once::{Answer, Once, Reserved};
use actix_web::web::{Data, Path, Query};
use actix_web::{HttpRequest, HttpResponse, get, post};
use serde::Deserialize;
use serde_json::json;
use std::future::Future;
use utoipa_actix_web::service_config::ServiceConfig;

/// Characters of a reason.
const REASON: usize = 500;

pub fn routes(cfg: &mut ServiceConfig) {
    cfg.service(stands).service(seal).service(submit).service(approve).service(give_back).service(lock);
}

impl From<ClosingFault> for Problem {
    fn from(fault: ClosingFault) -> Self {
        match fault {
            ClosingFault::Report(fault) => fault.into(),
            ClosingFault::Refused(Refused::NotSubmitted) => {
                Problem::new(409, "not_submitted", "Nothing is submitted that could be decided on.")
            }
            ClosingFault::Refused(Refused::Void) => {
                Problem::new(409, "submission_void", "The figure has changed since it was submitted; it must be submitted again.")
            }
            ClosingFault::Refused(Refused::Locked) => Problem::new(409, "period_locked", "The period is locked and stays as it is."),
            ClosingFault::NotChildOffice => {
                Problem::forbidden("not_child_office", "No office of this region stands directly below this one.")
            }
            ClosingFault::NotTop => Problem::forbidden("not_top_office", "An office stands above this one; the top one locks."),
            ClosingFault::PeriodOpen => Problem::new(409, "period_open", "The period is not over, or not locked."),
            ClosingFault::NotApproved(lacking) => {
                let one = |(region, state): &(Region, _)| json!({"region": region, "name": region.name(), "state": state});
                let regions = lacking.iter().map(one).collect();
                Problem::new(409, "not_approved", "Offices below have no valid approval.").with("regions", regions)
            }
        }
    }
}

fn period_of(text: &str) -> Result<Period, Problem> {
    Period::parse(text).ok_or_else(|| Problem::parameter("period", "period_invalid", "must be YYYY, YYYYQn or YYYY-MM"))
}

#[derive(Debug, Deserialize)]
struct Asked {
    region: Option<String>,
}

/// How a region's period stands: `state` is `open submitted approved returned void locked`;
/// `figure` is the signed one, or the present one while nobody has signed; `difference` has
/// `{"signed","now"}` for each column that voids it; `children` are the offices directly below.
#[utoipa::path(tag = "office", security(("bearer" = [])), params(("period" = String, Path), ("region" = Option<String>, Query)), responses((status = 200, body = Value),
    (status = 401, body = ProblemBody), (status = 403, body = ProblemBody), (status = 422, body = ProblemBody)))]
#[get("/v1/periods/{period}")]
async fn stands(state: Data<State>, who: OfficeToken, period: Path<String>, asked: Query<Asked>) -> Result<HttpResponse, Problem> {
    let (period, region) = (period_of(&period)?, region_within(asked.region.as_deref(), who.region)?);
    let body = closing::view(&state.store, period, region, state.clock.now()).await?;
    Ok(HttpResponse::Ok().json(body))
}

/// Where the lock that holds a region stands in the ledger; 409 `period_open` before it.
#[utoipa::path(tag = "office", security(("bearer" = [])), params(("period" = String, Path), ("region" = Option<String>, Query)), responses((status = 200, body = Value),
    (status = 401, body = ProblemBody), (status = 403, body = ProblemBody), (status = 409, body = ProblemBody), (status = 422, body = ProblemBody)))]
#[get("/v1/periods/{period}/seal")]
async fn seal(state: Data<State>, who: OfficeToken, period: Path<String>, asked: Query<Asked>) -> Result<HttpResponse, Problem> {
    let (period, region) = (period_of(&period)?, region_within(asked.region.as_deref(), who.region)?);
    Ok(HttpResponse::Ok().json(closing::seal(&state.store, period, region, &state.seal_verifier).await?))
}

/// Runs an act once for its key. A refusal is not kept: it may go through later.
async fn act<F: Future<Output = Result<Answer, ClosingFault>>>(
    state: &State,
    key: Option<Once>,
    work: impl FnOnce() -> F,
) -> Result<HttpResponse, Problem> {
    let Some(key) = key else { return answered(Reserved::Done(work().await?)) };
    match state.store.reserve(key.clone(), state.clock.now()).await? {
        Reserved::Go { .. } => {}
        other => return answered(other),
    }
    match work().await {
        Ok(answer) => {
            // Kept with the act already, but for one that had been done before.
            state.store.finish(key, answer.clone()).await?;
            answered(Reserved::Done(answer))
        }
        Err(fault) => {
            state.store.forget(key).await?;
            Err(fault.into())
        }
    }
}

fn actor(state: &State, who: &OfficeToken, request: &HttpRequest, period: &str, body: &[u8]) -> Result<Actor, Problem> {
    let key = once(request, state, who.client.id.uuid(), body)?;
    Ok(Actor { period: period_of(period)?, own: who.region, client: who.client.id.to_string(), key })
}

/// Signs the present figure of the office's region. It takes no body.
#[utoipa::path(tag = "office", security(("bearer" = [])), params(("period" = String, Path)), responses((status = 200, body = Value), (status = 401, body = ProblemBody),
    (status = 403, body = ProblemBody), (status = 409, body = ProblemBody), (status = 422, body = ProblemBody)))]
#[post("/v1/periods/{period}/submit")]
async fn submit(state: Data<State>, who: OfficeToken, request: HttpRequest, period: Path<String>) -> Result<HttpResponse, Problem> {
    let actor = actor(&state, &who, &request, &period, &[])?;
    let now = state.clock.now();
    act(&state, actor.key.clone(), || closing::submit(&state.store, actor, now)).await
}

/// Of which region, and why.
#[derive(Debug, Default, Deserialize)]
pub struct Ruling {
    pub region: Option<String>,
    pub reason: Option<String>,
}

impl Ruling {
    pub fn region(&self, own: Region) -> Result<Region, Problem> {
        let text = self.region.as_deref().ok_or_else(|| Problem::field("/region", "missing", "is required"))?;
        let region = region::resolve_code(text).map_err(|_| Problem::field("/region", "region_unknown", "is no division"))?;
        if region.is_within(own) {
            Ok(region)
        } else {
            Err(Problem::forbidden("region_forbidden", "The region lies outside this office's own."))
        }
    }

    pub fn reason(&self) -> Result<String, Problem> {
        let reason = self.reason.as_deref().map(str::trim).filter(|r| !r.is_empty());
        let reason = reason.ok_or_else(|| Problem::field("/reason", "missing", "is required"))?;
        if reason.chars().count() > REASON {
            return Err(Problem::field("/reason", "too_long", "must be at most 500 characters"));
        }
        Ok(reason.to_owned())
    }
}

/// Rules on what the office directly below submitted.
async fn rule(
    state: &State,
    who: &OfficeToken,
    request: &HttpRequest,
    period: &str,
    body: &Json<Ruling>,
    decision: impl FnOnce(&Ruling) -> Result<Decision, Problem>,
) -> Result<HttpResponse, Problem> {
    let actor = actor(state, who, request, period, &body.raw)?;
    let (child, decision, now) = (body.value.region(who.region)?, decision(&body.value)?, state.clock.now());
    let work = || closing::decide(&state.store, actor.clone(), child, decision, now);
    act(state, actor.key.clone(), work).await
}

/// Approves what the office directly below submitted for `region`, as long as it is still
/// the figure.
#[utoipa::path(tag = "office", security(("bearer" = [])), params(("period" = String, Path)), request_body(content = Value), responses((status = 200, body = Value),
    (status = 401, body = ProblemBody), (status = 403, body = ProblemBody), (status = 409, body = ProblemBody), (status = 422, body = ProblemBody)))]
#[post("/v1/periods/{period}/approve")]
async fn approve(
    state: Data<State>,
    who: OfficeToken,
    request: HttpRequest,
    period: Path<String>,
    body: Json<Ruling>,
) -> Result<HttpResponse, Problem> {
    rule(&state, &who, &request, &period, &body, |_| Ok(Decision::Approve)).await
}

/// Returns to the office directly below what it submitted for `region`, with a reason.
#[utoipa::path(tag = "office", security(("bearer" = [])), params(("period" = String, Path)), request_body(content = Value), responses((status = 200, body = Value),
    (status = 401, body = ProblemBody), (status = 403, body = ProblemBody), (status = 409, body = ProblemBody), (status = 422, body = ProblemBody)))]
#[post("/v1/periods/{period}/return")]
async fn give_back(
    state: Data<State>,
    who: OfficeToken,
    request: HttpRequest,
    period: Path<String>,
    body: Json<Ruling>,
) -> Result<HttpResponse, Problem> {
    rule(&state, &who, &request, &period, &body, |ruling| ruling.reason().map(Decision::Return)).await
}

/// Locks a period that is over for the office's whole tree: for the top office, once every
/// office below has a valid approval. It takes no body, and answers the same when repeated.
#[utoipa::path(tag = "office", security(("bearer" = [])), params(("period" = String, Path)), responses((status = 200, body = Value), (status = 401, body = ProblemBody),
    (status = 403, body = ProblemBody), (status = 409, body = ProblemBody), (status = 422, body = ProblemBody)))]
#[post("/v1/periods/{period}/lock")]
async fn lock(state: Data<State>, who: OfficeToken, request: HttpRequest, period: Path<String>) -> Result<HttpResponse, Problem> {
    let actor = actor(&state, &who, &request, &period, &[])?;
    let now = state.clock.now();
    let answer = act(&state, actor.key.clone(), || closing::lock(&state.store, actor, now)).await?;
    // The answer goes out when the checkpoint is signed.
    state.store.seal(&state.config.seal.origin, now).await?;
    Ok(answer)
}
