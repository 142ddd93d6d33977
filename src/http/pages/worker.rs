//! The page behind a worker's link: offers to answer with one tap, jobs to
//! confirm, wishes, and the way out.

use super::super::State;
use super::super::auth::take_anonymous;
use super::super::body::Form;
use super::super::me::{Helpers, answering, complaint_text, helpers};
use super::super::problem::Problem;
use super::super::stream::follow;
use super::offer::{Card, DECLINES, day, platform};
use super::text::Lang;
use super::wishes::{self, Settings};
use super::{Fields, LINK_DEAD, Visit};
use crate::domain::hire::HireStatus;
use crate::domain::id::{HireId, WorkerId};
use crate::domain::offer::OfferState;
use crate::domain::time::Moment;
use crate::store::answers::Refusal;
use crate::store::complaints::Complaint;
use crate::store::hires::Hire;
use crate::store::offers::Offer;
use crate::store::once::Reserved;
use crate::store::postings::Posting;
use actix_web::web::{Data, Path};
use actix_web::{HttpRequest, HttpResponse};
use minijinja::context;
use minijinja::value::Serde;
use serde::Serialize;
use serde_json::json;

/// Answered offers on a page; of older ones their number is told.
const ANSWERED: usize = 20;

/// What a form came to: the codes that `?done=` takes, and whether it is bad news.
pub const NOTICES: [(&str, bool); 18] = [
    ("accepted", false),
    ("accepted_private", false),
    ("waitlisted", false),
    ("declined", false),
    ("given_back", false),
    ("offer_expired", true),
    ("offer_withdrawn", true),
    ("offer_declined", true),
    ("offer_not_selected", true),
    ("offer_answered", true),
    ("saved", false),
    ("paused", false),
    ("resumed", false),
    ("confirmed", false),
    ("invalid", true),
    ("complained", false),
    ("complaint_missing", true),
    ("complaint_quota", true),
];

#[derive(Serialize)]
struct Notice {
    code: &'static str,
    warn: bool,
}

/// A job as its worker sees it.
#[derive(Serialize)]
struct Job {
    id: String,
    title: String,
    platform: String,
    started: Option<String>,
    confirmed: bool,
}

/// The worker behind a link that serves.
async fn enter(visit: &Visit<'_>, state: &State, token: &str) -> Result<WorkerId, Problem> {
    take_anonymous(visit.request, state).await?;
    let worker = state.store.link(token, state.clock.now()).await?;
    worker.ok_or_else(|| Problem::new(404, LINK_DEAD, "The link is unknown, old or revoked."))
}

/// As [`enter`], for a form of ours; sending one shows that a person looks.
async fn enter_form(visit: &Visit<'_>, state: &State, token: &str, form: Result<Form, Problem>) -> Result<(WorkerId, Fields), Problem> {
    let worker = enter(visit, state, token).await?;
    visit.own_site(state)?;
    let form = Fields::read(&form?.0);
    state.store.mark_seen(worker, state.clock.now()).await?;
    Ok((worker, form))
}

fn me(token: &str) -> String {
    format!("/w/{token}")
}

/// `GET /w/{token}`. Changes nothing: previews of links read it too.
pub async fn page(state: Data<State>, request: HttpRequest, token: Path<String>) -> HttpResponse {
    let visit = Visit::of(&request);
    visit.answer(show(&visit, &state, &token).await)
}

async fn show(visit: &Visit<'_>, state: &State, token: &str) -> Result<HttpResponse, Problem> {
    let id = enter(visit, state, token).await?;
    let dead = || Problem::new(404, LINK_DEAD, "The worker is gone.");
    let worker = state.store.worker(id).await?.ok_or_else(dead)?;
    let offers = state.store.worker_offers(id, 200).await?;
    let hires = state.store.worker_hires(id).await?;
    let lives = state.store.lives(id).await?;
    let now = state.clock.now();
    let confirmed = |h: &Hire| lives.iter().any(|(hire, life)| *hire == h.id && life.confirmed(now.day()));
    let jobs = jobs(visit.lang, &hires, &offers, confirmed);
    let version = state.store.offers_version(id).await?;
    let helpers = helpers(state, &offers).await?;
    visit.page(200, "worker.html", context! { version, ..content(visit, token, (&worker, &offers, &helpers), jobs, now) })
}

/// What the template shows.
fn content(
    visit: &Visit<'_>,
    token: &str,
    (worker, offers, helpers): (&crate::store::workers::WorkerFile, &[(Offer, Posting)], &Helpers),
    hires: Vec<Job>,
    now: Moment,
) -> minijinja::Value {
    let helper = |o: &Offer| o.answered_by.as_ref().and_then(|by| helpers.get(by)?.as_deref());
    let cards = offers.iter().map(|(o, p)| Card::of(visit.lang, o, p, helper(o), now));
    let (open, mut closed): (Vec<Card>, Vec<Card>) = cards.partition(|c| c.open);
    let older = closed.len().saturating_sub(ANSWERED);
    closed.truncate(ANSWERED);
    let done = visit.query.one("done");
    let notice = NOTICES.iter().find(|(code, _)| Some(*code) == done).map(|(code, warn)| Notice { code, warn: *warn });
    let open_settings = matches!(done, Some("saved" | "invalid"));
    let open_complaint = matches!(done, Some("complaint_missing" | "complaint_quota"));
    let seeker = &worker.seeker;
    let unseen = open.iter().any(|c| c.unseen);
    context! {
        name => worker.name_masked.as_str(), me => me(token), notice => Serde(notice), open => Serde(open), closed => Serde(closed), older,
        hires => Serde(hires), unseen, open_settings, open_complaint,
        declines => DECLINES.to_vec(), paused => seeker.paused, looking => seeker.looking, wishes => Serde(Settings::of(visit.lang, seeker)),
    }
}

/// The jobs that are not over, newest first.
fn jobs(lang: Lang, hires: &[Hire], offers: &[(Offer, Posting)], confirmed: impl Fn(&Hire) -> bool) -> Vec<Job> {
    let current =
        hires.iter().rev().filter(|h| h.ended_on.is_none() && !h.void && !matches!(h.status, HireStatus::Ended | HireStatus::Withdrawn));
    let job = |h: &Hire| {
        let platform = platform(lang, &h.platform);
        let title = offers.iter().find(|(o, _)| Some(o.posting) == h.posting).map(|(o, _)| o.title.clone());
        Job {
            id: h.id.to_string(),
            title: title.unwrap_or_else(|| platform.clone()),
            platform,
            started: h.started_on.map(|d| day(lang, d)),
            confirmed: confirmed(h),
        }
    };
    current.map(job).collect()
}

/// `POST /w/{token}/seen`, sent by the page's script once somebody looks.
pub async fn seen(state: Data<State>, request: HttpRequest, token: Path<String>, form: Result<Form, Problem>) -> HttpResponse {
    let visit = Visit::of(&request);
    let outcome = enter_form(&visit, &state, &token, form).await;
    visit.answer(outcome.map(|_| HttpResponse::NoContent().finish()))
}

/// `GET /w/{token}/stream`: how many offers there are to answer, again with each change.
pub async fn stream(state: Data<State>, request: HttpRequest, token: Path<String>) -> HttpResponse {
    let visit = Visit::of(&request);
    let outcome = async {
        let worker = enter(&visit, &state, &token).await?;
        let open = |state: Data<State>, worker| async move {
            let (offers, now) = (state.store.worker_offers(worker, 200).await?, state.clock.now());
            Ok(json!({"open": offers.iter().filter(|(o, _)| o.state.unanswered() && o.expires_at > now).count()}))
        };
        follow(state.clone(), worker, open).await
    };
    visit.answer(outcome.await)
}

/// `POST /w/{token}/complaints`: goes to the alerts of the office at home.
pub async fn complain(state: Data<State>, request: HttpRequest, token: Path<String>, form: Result<Form, Problem>) -> HttpResponse {
    let visit = Visit::of(&request);
    let outcome = async {
        let (worker, form) = enter_form(&visit, &state, &token, form).await?;
        let code = match form.one("text").and_then(complaint_text) {
            None => "complaint_missing",
            Some(text) => match state.store.complain(Complaint { worker, offer: None, text }, None, state.clock.now()).await? {
                Reserved::Done(answer) if answer.status == 429 => "complaint_quota",
                Reserved::Done(answer) if answer.status == 404 => return Err(Problem::not_found()),
                _ => "complained",
            },
        };
        Ok(visit.go(&me(&token), &[("done", code)]))
    };
    visit.answer(outcome.await)
}

/// `POST /w/{token}/offers/{id}/accept`.
pub async fn accept(state: Data<State>, request: HttpRequest, path: Path<(String, String)>, form: Result<Form, Problem>) -> HttpResponse {
    let visit = Visit::of(&request);
    visit.answer(say(&visit, &state, &path, form, true).await)
}

/// `POST /w/{token}/offers/{id}/decline`; gives an accepted offer back, too.
pub async fn decline(state: Data<State>, request: HttpRequest, path: Path<(String, String)>, form: Result<Form, Problem>) -> HttpResponse {
    let visit = Visit::of(&request);
    visit.answer(say(&visit, &state, &path, form, false).await)
}

async fn say(
    visit: &Visit<'_>,
    state: &State,
    (token, offer): &(String, String),
    form: Result<Form, Problem>,
    yes: bool,
) -> Result<HttpResponse, Problem> {
    let (worker, form) = enter_form(visit, state, token, form).await?;
    let share = !form.has("share_contact", "false");
    let reason = form.one("reason").filter(|r| DECLINES.contains(r)).map(str::to_owned);
    let answering = answering(state, worker, offer, yes && share, reason.filter(|_| !yes))?;
    let now = state.clock.now();
    let outcome = if yes { state.store.accept_offer(answering, now).await? } else { state.store.decline_offer(answering, now).await? };
    let code = match outcome {
        Ok(o) => said(&o),
        Err(Refusal::NotFound) => return Err(Problem::not_found()),
        Err(refusal) => Problem::from(refusal).code,
    };
    Ok(visit.go(&me(token), &[("done", code)]))
}

fn said(o: &Offer) -> &'static str {
    match o.state {
        OfferState::Waitlisted => "waitlisted",
        OfferState::Declined if o.accepted_at.is_some() => "given_back",
        OfferState::Declined => "declined",
        _ if o.share_contact => "accepted",
        _ => "accepted_private",
    }
}

/// `POST /w/{token}/hires/{id}/confirm`: I work there.
pub async fn confirm(state: Data<State>, request: HttpRequest, path: Path<(String, String)>, form: Result<Form, Problem>) -> HttpResponse {
    let visit = Visit::of(&request);
    let (token, hire) = path.as_ref();
    let outcome = async {
        let (worker, _) = enter_form(&visit, &state, token, form).await?;
        let id = HireId::parse(hire).ok_or_else(Problem::not_found)?;
        let hire = state.store.hire(id).await?.filter(|h| h.worker == worker).ok_or_else(Problem::not_found)?;
        let now = state.clock.now();
        state.store.confirm_hire(hire.id, "worker".to_owned(), Some("page".to_owned()), now, now).await?;
        Ok(visit.go(&me(token), &[("done", "confirmed")]))
    };
    visit.answer(outcome.await)
}

/// `POST /w/{token}/preferences`.
pub async fn preferences(state: Data<State>, request: HttpRequest, token: Path<String>, form: Result<Form, Problem>) -> HttpResponse {
    let visit = Visit::of(&request);
    let outcome = async {
        let (worker, form) = enter_form(&visit, &state, &token, form).await?;
        let Ok(wishes) = wishes::read(&form) else { return Ok(visit.go(&me(&token), &[("done", "invalid")])) };
        let code = match wishes.paused {
            Some(true) => "paused",
            Some(false) => "resumed",
            None => "saved",
        };
        state.store.set_wishes(worker, wishes, state.clock.now()).await?;
        Ok(visit.go(&me(&token), &[("done", code)]))
    };
    visit.answer(outcome.await)
}

/// `GET /w/{token}/erase`: says what will be gone, and asks once more.
pub async fn ask_erase(state: Data<State>, request: HttpRequest, token: Path<String>) -> HttpResponse {
    let visit = Visit::of(&request);
    let outcome = async {
        enter(&visit, &state, &token).await?;
        visit.page(200, "erase.html", context! { me => me(&token) })
    };
    visit.answer(outcome.await)
}

/// `POST /w/{token}/erase`: withdraws consent and erases, once it is sure.
pub async fn erase(state: Data<State>, request: HttpRequest, token: Path<String>, form: Result<Form, Problem>) -> HttpResponse {
    let visit = Visit::of(&request);
    let outcome = async {
        let (worker, form) = enter_form(&visit, &state, &token, form).await?;
        if !form.has("sure", "yes") {
            return Ok(visit.go(&format!("{}/erase", me(&token)), &[]));
        }
        state.store.erase_worker(worker, state.config.offer.promoted_within, state.clock.now()).await?;
        // The link is gone with the worker, so this page is the answer itself.
        visit.page(200, "erased.html", context! {})
    };
    visit.answer(outcome.await)
}

#[cfg(test)]
mod tests;
