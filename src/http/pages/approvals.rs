//! The page on which offices close a period: submit, approve, return, lock, and the
//! checkpoint to keep. The same acts as over HTTP, each a form that redirects.

use super::super::State;
use super::super::auth::OfficeToken;
use super::super::body::Form;
use super::super::periods::Ruling;
use super::super::problem::Problem;
use super::figures::{grouped, periods, region_name};
use super::office::{head, inside, sent};
use super::text::Lang;
use super::{Fields, Visit};
use crate::domain::closing::{COLUMNS, Figure};
use crate::domain::region::Region;
use crate::domain::time::Period;
use crate::reporting::closing::{self, Actor, Decision};
use actix_web::web::{Data, Path};
use actix_web::{HttpRequest, HttpResponse};
use minijinja::context;
use minijinja::value::Serde;
use serde::Serialize;
use serde_json::Value;

/// Columns of the figure on the page; all of it is in the report.
const SHOWN: [&str; 5] = ["total", "out_of_province", "in_province", "in_county", "confirmed"];
/// Problems that a form tells beside itself instead of on a page of their own.
const TOLD: [&str; 8] =
    ["not_submitted", "submission_void", "period_locked", "not_child_office", "not_top_office", "period_open", "not_approved", "missing"];

/// How a region stands.
#[derive(Serialize)]
struct Stand {
    code: String,
    name: String,
    state: String,
    figures: Vec<String>,
    position: Option<i64>,
    reason: Option<String>,
    /// Column, signed, now.
    difference: Vec<(String, String, String)>,
}

fn stand(lang: Lang, body: &Value) -> Stand {
    let text = |name: &str| body[name].as_str().unwrap_or_default().to_owned();
    let figure: Figure = serde_json::from_value(body["figure"].clone()).unwrap_or_default();
    let of = |name: &&str| COLUMNS.iter().position(|c| c == name).map_or(0, |at| figure.0[at]);
    let column = |name: &str| lang.text(&format!("col_{name}")).to_owned();
    let difference = body["difference"].as_object().into_iter().flatten();
    Stand {
        name: Region::parse(&text("region")).map_or_else(|| text("name"), |r| region_name(lang, r)),
        code: text("region"),
        state: text("state"),
        figures: SHOWN.iter().map(|name| grouped(of(name))).collect(),
        position: body["position"].as_i64(),
        reason: body["reason"].as_str().map(str::to_owned),
        difference: difference
            .map(|(name, d)| (column(name), grouped(d["signed"].as_u64().unwrap_or(0)), grouped(d["now"].as_u64().unwrap_or(0))))
            .collect(),
    }
}

fn period_of(text: Option<&str>, today: Period) -> Result<Period, Problem> {
    let Some(text) = text.filter(|t| !t.is_empty()) else { return Ok(today.previous()) };
    Period::parse(text).ok_or_else(|| Problem::parameter("period", "period_invalid", "must be YYYY, YYYYQn or YYYY-MM"))
}

/// `GET /office/approvals`: without a period, the month before this one.
pub async fn page(state: Data<State>, request: HttpRequest) -> HttpResponse {
    inside(&state, &request, async |visit, office| {
        let now = state.clock.now();
        let period = period_of(visit.query.one("period"), Period::month_of(now.day()))?;
        let body = closing::view(&state.store, period, office.region, now).await?;
        let own = stand(visit.lang, &body);
        let children: Vec<Stand> = body["children"].as_array().into_iter().flatten().map(|child| stand(visit.lang, child)).collect();
        let is_top = state.store.closing(period).await?.is_top(office.region);
        let seal = match own.state.as_str() {
            "locked" => closing::seal(&state.store, period, office.region, &state.seal_verifier).await.ok(),
            _ => None,
        };
        let told = visit.query.one("told").filter(|code| TOLD.contains(code)).map(|code| format!("closing_{code}"));
        let done = visit.query.one("done").filter(|d| ["submit", "approve", "return", "lock"].contains(d)).map(|d| format!("closing_done_{d}"));
        let titles: Vec<&str> = SHOWN.iter().map(|name| visit.lang.text(&format!("col_{name}"))).collect();
        let content = context! {
            period => period.to_string(), periods => Serde(periods(now, &period.to_string())), own => Serde(own), children => Serde(children),
            titles, is_top, is_over => period.is_over(now.day()), seal => seal.map(Serde), told, done,
        };
        visit.page(200, "approvals.html", context! { ..content, ..head(visit, &office, "approvals") })
    })
    .await
}

/// `GET /office/approvals/{period}/checkpoint.txt`: the signed note to keep.
pub async fn checkpoint(state: Data<State>, request: HttpRequest, period: Path<String>) -> HttpResponse {
    inside(&state, &request, async |_, office| {
        let period = Period::parse(&period).ok_or_else(Problem::not_found)?;
        let seal = closing::seal(&state.store, period, office.region, &state.seal_verifier).await?;
        let name = format!("attachment; filename=\"doorstep-checkpoint-{period}.txt\"");
        let note = seal["checkpoint"].as_str().unwrap_or_default().to_owned();
        Ok(HttpResponse::Ok().content_type("text/plain; charset=utf-8").insert_header(("content-disposition", name)).body(note))
    })
    .await
}

/// `POST /office/approvals/{period}/{act}`.
pub async fn act(state: Data<State>, request: HttpRequest, at: Path<(String, String)>, body: Result<Form, Problem>) -> HttpResponse {
    sent(&state, &request, async |visit, office| {
        let (period, what) = at.into_inner();
        let period = Period::parse(&period).ok_or_else(Problem::not_found)?;
        let fields = Fields::read(&body?.0);
        let text = period.to_string();
        if what == "return" && fields.one("reason").is_none_or(|reason| reason.trim().is_empty()) {
            return Ok(refused(visit, &text, "missing"));
        }
        match decide(&state, &office, period, &what, &fields).await {
            Ok(()) => Ok(visit.go("/office/approvals", &[("period", &text), ("done", &what)])),
            Err(problem) if TOLD.contains(&problem.code) => Ok(refused(visit, &text, problem.code)),
            Err(problem) => Err(problem),
        }
    })
    .await
}

fn refused(visit: &Visit<'_>, period: &str, code: &str) -> HttpResponse {
    visit.go("/office/approvals", &[("period", period), ("told", code)])
}

async fn decide(state: &State, office: &OfficeToken, period: Period, what: &str, fields: &Fields) -> Result<(), Problem> {
    let now = state.clock.now();
    let actor = Actor { period, own: office.region, client: office.client.id.to_string(), key: None };
    let given = |name: &str| fields.one(name).map(str::to_owned);
    let ruling = Ruling { region: given("region"), reason: given("reason") };
    match what {
        "submit" => drop(closing::submit(&state.store, actor, now).await?),
        "approve" => drop(closing::decide(&state.store, actor, ruling.region(office.region)?, Decision::Approve, now).await?),
        "return" => {
            let decision = Decision::Return(ruling.reason()?);
            drop(closing::decide(&state.store, actor, ruling.region(office.region)?, decision, now).await?);
        }
        "lock" => {
            closing::lock(&state.store, actor, now).await?;
            state.store.seal(&state.config.seal.origin, now).await?;
        }
        _ => return Err(Problem::not_found()),
    }
    Ok(())
}
