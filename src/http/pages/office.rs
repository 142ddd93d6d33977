//! The office's pages: log in, the employment report with its filters in the
//! address, its files, what needs a person.
//!
//! The session is an access token of the token endpoint in a cookie that only
//! these pages get and no script reads. It lives as long as the token; it is not
//! renewed, so a stolen one ends with it.

use super::super::State;
use super::super::auth::{OfficeToken, office_of, take_anonymous};
use super::super::body::Form;
use super::super::problem::Problem;
use super::super::reports::{Asked, document, made};
use super::figures::Sheet;
use super::text::Lang;
use super::{Fields, Visit, offer, text};
use crate::domain::client::Role;
use crate::domain::id::ClientId;
use crate::domain::time::Period;
use crate::reporting::{Name, Params, Query};
use crate::store::alerts::{Alert, AlertFilter};
use actix_web::http::header::{COOKIE, SET_COOKIE};
use actix_web::web::{Data, Path};
use actix_web::{HttpRequest, HttpResponse};
use minijinja::context;
use minijinja::value::Serde;
use serde::Serialize;

const SESSION: &str = "doorstep_office";
/// What an address of the report may hold.
const NAMES: [&str; 6] = ["period", "region", "level", "axis", "by", "lang"];
/// Alerts on the page; they are read from this many of the newest.
const ALERTS: i64 = 8;

#[derive(Serialize)]
struct Matter {
    kind: String,
    region: String,
    at: String,
    detail: String,
}

/// The office of this session, or whether there was one that has ended.
async fn session(visit: &Visit<'_>, state: &State) -> Result<Result<OfficeToken, bool>, Problem> {
    let cookies = visit.request.headers().get_all(COOKIE).filter_map(|v| v.to_str().ok());
    let mut pairs = cookies.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
    let Some((_, token)) = pairs.find(|(name, value)| *name == SESSION && !value.is_empty()) else {
        take_anonymous(visit.request, state).await?;
        return Ok(Err(false));
    };
    match office_of(visit.request, state, token).await {
        Ok(office) => Ok(Ok(office)),
        Err(problem) if matches!(problem.status.as_u16(), 401 | 403) => Ok(Err(true)),
        Err(problem) => Err(problem),
    }
}

fn cookie(state: &State, value: &str, seconds: u64) -> String {
    let secure = if state.public_url.starts_with("https://") { "; Secure" } else { "" };
    format!("{SESSION}={value}; Path=/office; Max-Age={seconds}; HttpOnly; SameSite=Strict{secure}")
}

/// The form to log in; `next` keeps the address that was asked for.
fn form(visit: &Visit<'_>, status: u16, told: Option<&str>, next: &str) -> Result<HttpResponse, Problem> {
    visit.page(status, "login.html", context! { told, next })
}

/// `GET /office`: the report, or the form to log in.
pub async fn page(state: Data<State>, request: HttpRequest) -> HttpResponse {
    let visit = Visit::of(&request);
    visit.answer(show(&visit, &state).await)
}

async fn show(visit: &Visit<'_>, state: &State) -> Result<HttpResponse, Problem> {
    let office = match session(visit, state).await? {
        Ok(office) => office,
        Err(ended) => return form(visit, 200, ended.then_some("login_ended"), visit.request.query_string()),
    };
    let now = state.clock.now();
    let asked = asked(&visit.query, Period::month_of(now.day()));
    let query = Query::parse(params(&asked), office.region)?;
    let report = made(state, office.region, Name::Employment, &asked).await?;
    let sheet = Sheet::of(visit.lang, &report, &query, office.region, now);
    let filter = AlertFilter { region: office.region, open: true, after: None, limit: ALERTS };
    let (alerts, _) = state.store.alerts(filter).await?;
    let alerts: Vec<Matter> = alerts.iter().map(|a| matter(visit.lang, a)).collect();
    visit.page(200, "office.html", context! { office => office.client.name, sheet => Serde(sheet), alerts => Serde(alerts) })
}

/// What is asked, with the present month where no period is.
fn asked(query: &Fields, month: Period) -> Asked {
    let one = |name: &str| query.one(name).map(str::to_owned);
    Asked {
        period: one("period").or_else(|| Some(month.to_string())),
        region: one("region"),
        level: one("level"),
        axis: one("axis"),
        by: one("by"),
        format: None,
        as_of: None,
    }
}

fn params(asked: &Asked) -> Params<'_> {
    Params {
        period: asked.period.as_deref(),
        region: asked.region.as_deref(),
        level: asked.level.as_deref(),
        axis: asked.axis.as_deref(),
        by: asked.by.as_deref(),
    }
}

fn matter(lang: Lang, a: &Alert) -> Matter {
    let key = format!("alert_{}", a.kind);
    let key = if text::has(&key) { key } else { "alert_other".to_owned() };
    Matter { kind: lang.text(&key).to_owned(), region: a.region.full_name(), at: offer::moment(lang, a.at), detail: a.detail.clone() }
}

/// `POST /office/login`.
pub async fn login(state: Data<State>, request: HttpRequest, body: Result<Form, Problem>) -> HttpResponse {
    let visit = Visit::of(&request);
    visit.answer(enter(&visit, &state, body).await)
}

async fn enter(visit: &Visit<'_>, state: &State, body: Result<Form, Problem>) -> Result<HttpResponse, Problem> {
    take_anonymous(visit.request, state).await?;
    visit.own_site(state)?;
    let fields = Fields::read(&body?.0);
    let (id, secret) = (fields.one("client_id").and_then(ClientId::parse), fields.one("client_secret").unwrap_or_default());
    let client = match id {
        Some(id) => state.store.authenticate(id, secret).await?,
        None => None,
    };
    let next = fields.one("next").unwrap_or_default();
    // One answer for all that can be wrong: it tells nobody which ids there are.
    let Some(client) = client.filter(|c| c.role == Role::Office) else {
        return form(visit, 401, Some("login_failed"), next);
    };
    let now = state.clock.now();
    let issued = state.tokens.issue(&client.id.to_string(), client.role.code(), Some(client.region), now)?;
    let token = issued["access_token"].as_str().unwrap_or_default();
    let lives = state.config.token.lifetime.as_secs();
    let wanted = Fields::read(next);
    let plain = |v: &str| !v.is_empty() && v.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b':'));
    let more: Vec<(&str, &str)> =
        NAMES.into_iter().filter(|n| *n != "lang").filter_map(|n| wanted.one(n).filter(|v| plain(v)).map(|v| (n, v))).collect();
    let mut response = visit.go("/office", &more);
    set_cookie(&mut response, &cookie(state, token, lives));
    Ok(response)
}

fn set_cookie(response: &mut HttpResponse, cookie: &str) {
    if let Ok(value) = cookie.parse() {
        response.headers_mut().append(SET_COOKIE, value);
    }
}

/// `POST /office/logout`.
pub async fn logout(state: Data<State>, request: HttpRequest) -> HttpResponse {
    let visit = Visit::of(&request);
    let outcome = async {
        take_anonymous(&request, &state).await?;
        visit.own_site(&state)?;
        let mut response = visit.go("/office", &[]);
        set_cookie(&mut response, &cookie(&state, "", 0));
        Ok(response)
    };
    visit.answer(outcome.await)
}

/// Where somebody reloads a page that a form made: back to the report.
pub async fn to_page(request: HttpRequest) -> HttpResponse {
    Visit::of(&request).go("/office", &[])
}

/// `GET /office/report.{csv,xlsx,json}`: the report of the page as a file; and
/// `/office/routing.…`, the report of offers on the same region and period.
pub async fn download(state: Data<State>, request: HttpRequest, file: Path<(String, String)>) -> HttpResponse {
    let visit = Visit::of(&request);
    let (name, format) = file.into_inner();
    let outcome = async {
        let name = match name.as_str() {
            "report" => Name::Employment,
            "routing" => Name::Routing,
            _ => return Err(Problem::not_found()),
        };
        if !matches!(format.as_str(), "csv" | "xlsx" | "json") {
            return Err(Problem::not_found());
        }
        let office = match session(&visit, &state).await? {
            Ok(office) => office,
            Err(ended) => return form(&visit, 401, ended.then_some("login_ended"), request.query_string()),
        };
        let month = Period::month_of(state.clock.now().day());
        let asked = Asked { format: Some(format), ..asked(&visit.query, month) };
        document(&state, office.region, name, &asked).await
    };
    visit.answer(outcome.await)
}
