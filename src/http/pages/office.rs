//! The office's pages: log in, the employment report with its filters in the
//! address, its files.
//!
//! The session is an access token of the token endpoint in a cookie that only
//! these pages get and no script reads. It lives as long as the token; it is not
//! renewed, so a stolen one ends with it.

use super::super::State;
use super::super::auth::{OfficeToken, office_of, take_anonymous};
use super::super::body::Form;
use super::super::problem::Problem;
use super::super::reports::{Asked, document, made};
use super::alerts::Matter;
use super::figures::{Sheet, grouped, region_name};
use super::text::Lang;
use super::{Fields, Visit};
use crate::domain::client::Role;
use crate::domain::id::ClientId;
use crate::domain::time::Period;
use crate::reporting::{Corrected, Name, Params, Query};
use crate::store::alerts::AlertFilter;
use actix_web::http::Method;
use actix_web::http::header::{COOKIE, SET_COOKIE};
use actix_web::web::{Data, Path};
use actix_web::{HttpRequest, HttpResponse};
use minijinja::context;
use minijinja::value::Serde;

const SESSION: &str = "doorstep_office";
/// What an address of the report may hold.
const NAMES: [&str; 10] = ["period", "region", "level", "axis", "by", "state", "show", "tier", "months", "lang"];
/// The pages of the head's navigation: the key of their words, their address, and what
/// of another page's question they understand, which a way to them keeps.
pub const PAGES: [(&str, &str, &[&str]); 11] = [
    ("overview", "/office", &[]),
    ("report", "/office/report", &["period", "region", "axis"]),
    ("trend", "/office/trend", &["period", "region", "axis"]),
    ("map", "/office/map", &["period", "region"]),
    ("flows", "/office/flows", &["period", "region", "axis"]),
    ("platforms", "/office/platforms", &["period", "region"]),
    ("fairness", "/office/fairness", &["period", "region"]),
    ("people", "/office/people", &["region"]),
    ("import", "/office/import", &[]),
    ("approvals", "/office/approvals", &["period"]),
    ("alerts", "/office/alerts", &[]),
];
/// The forms in which the reports of the pages are downloaded.
pub const FILES: [&str; 6] = ["csv", "xlsx", "json", "html", "dhis2", "sdmx-csv"];
/// The newest alerts on the page.
const ALERTS: i64 = 8;

/// The office of this session, or whether there was one that has ended.
pub async fn session(visit: &Visit<'_>, state: &State) -> Result<Result<OfficeToken, bool>, Problem> {
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

/// The form to log in; `at` and `next` keep the address that was asked for.
fn form(visit: &Visit<'_>, status: u16, told: Option<&str>, (at, next): (&str, &str), id: &str) -> Result<HttpResponse, Problem> {
    visit.page(status, "login.html", context! { told, next, at, id })
}

/// A page of the office, or the form to log in.
pub async fn inside<F>(state: &State, request: &HttpRequest, show: F) -> HttpResponse
where
    F: AsyncFnOnce(&Visit<'_>, OfficeToken) -> Result<HttpResponse, Problem>,
{
    let visit = Visit::of(request);
    let outcome = async {
        match session(&visit, state).await? {
            Ok(office) => show(&visit, office).await,
            Err(ended) => {
                let told = if request.method() == Method::POST { Some("login_ended_unsent") } else { ended.then_some("login_ended") };
                form(&visit, 200, told, (request.path(), request.query_string()), "")
            }
        }
    };
    visit.answer(outcome.await)
}

/// A form of the office's pages: as [`inside`], and sent from a page of ours.
pub async fn sent<F>(state: &State, request: &HttpRequest, take: F) -> HttpResponse
where
    F: AsyncFnOnce(&Visit<'_>, OfficeToken) -> Result<HttpResponse, Problem>,
{
    inside(state, request, async |visit, office| {
        visit.own_site(state)?;
        take(visit, office).await
    })
    .await
}

/// What the head of a page needs: whose it is, where the reader is, and the address
/// of the same in the other language.
pub fn head(visit: &Visit<'_>, office: &OfficeToken, here: &str) -> minijinja::Value {
    let other = if visit.lang == Lang::En { Lang::Zh } else { Lang::En };
    let kept = visit.query.0.iter().filter(|(name, _)| name != "lang").cloned();
    let all: Vec<(String, String)> = kept.chain((other == Lang::En).then(|| ("lang".to_owned(), "en".to_owned()))).collect();
    let pages: Vec<(&str, String)> =
        PAGES.iter().map(|(key, path, known)| (*key, link(visit.lang, path, &carried(visit, key, known)))).collect();
    context! { office => office.client.name.as_str(), here, turned => address(&all), pages, forms => FILES }
}

/// What of the question of this page another one understands, in plain values alone.
/// The list of people knows no focus sets.
fn carried<'a>(visit: &'a Visit<'_>, page: &str, known: &[&'static str]) -> Vec<(&'static str, &'a str)> {
    let fits = |value: &&str| is_plain(value) && (page != "people" || !value.starts_with("set:"));
    known.iter().filter_map(|name| Some((*name, visit.query.one(name).filter(fits)?))).collect()
}

fn is_plain(value: &str) -> bool {
    !value.is_empty() && value.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b':'))
}

/// An address in this language.
pub fn link(lang: Lang, path: &str, fields: &[(&str, &str)]) -> String {
    let fields: Vec<(&str, &str)> = fields.iter().copied().chain((lang == Lang::En).then_some(("lang", "en"))).collect();
    if fields.is_empty() { path.to_owned() } else { format!("{path}?{}", address(&fields)) }
}

/// Names and values as the query of an address.
pub fn address<T: AsRef<str>>(fields: &[(T, T)]) -> String {
    let plain = |text: &str| -> String {
        let byte = |b: u8| if b.is_ascii_alphanumeric() || b"-_.:".contains(&b) { char::from(b).to_string() } else { format!("%{b:02X}") };
        text.bytes().map(byte).collect()
    };
    fields.iter().map(|(name, value)| format!("{}={}", plain(name.as_ref()), plain(value.as_ref()))).collect::<Vec<_>>().join("&")
}

/// `GET /office/report`: the employment report.
pub async fn page(state: Data<State>, request: HttpRequest) -> HttpResponse {
    inside(&state, &request, async |visit, office| show(visit, &state, office).await).await
}

async fn show(visit: &Visit<'_>, state: &State, office: OfficeToken) -> Result<HttpResponse, Problem> {
    let now = state.clock.now();
    let asked = asked(&visit.query, Period::month_of(now.day()));
    let query = Query::parse(params(&asked), office.region)?;
    let report = made(state, office.region, Name::Employment, &asked).await?;
    let sheet = Sheet::of(visit.lang, &report, &query, office.region, now);
    let filter = AlertFilter { region: office.region, resolved: Some(false), after: None, limit: ALERTS };
    let (alerts, _) = state.store.alerts(filter).await?;
    let alerts: Vec<Matter> = alerts.iter().map(|a| Matter::of(visit.lang, a)).collect();
    let corrected: Vec<_> = report.more.corrections.iter().flatten().map(|c| corrected(visit.lang, c)).collect();
    let content = context! { sheet => Serde(sheet), corrected => Serde(corrected), alerts => Serde(alerts) };
    visit.page(200, "office.html", context! { ..content, ..head(visit, &office, "report") })
}

/// A period, a place and a column, what was told of it and what it comes to now.
fn corrected(lang: Lang, c: &Corrected) -> ([String; 3], [String; 2]) {
    let title = lang.get(&format!("col_{}", c.column)).unwrap_or(c.column);
    ([c.period.clone(), region_name(lang, c.region), title.to_owned()], [grouped(c.locked), grouped(c.now)])
}

/// What is asked, with the present month where no period is.
pub fn asked(query: &Fields, month: Period) -> Asked {
    let one = |name: &str| query.one(name).map(str::to_owned);
    Asked {
        period: one("period").or_else(|| Some(month.to_string())),
        region: one("region"),
        level: one("level"),
        axis: one("axis"),
        by: one("by"),
        format: None,
        as_of: None,
        public: None,
    }
}

fn params(asked: &Asked) -> Params<'_> {
    Params {
        period: asked.period.as_deref(),
        region: asked.region.as_deref(),
        level: asked.level.as_deref(),
        axis: asked.axis.as_deref(),
        by: asked.by.as_deref(),
        as_of: None,
    }
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
    let (at, next) = (fields.one("at").unwrap_or_default(), fields.one("next").unwrap_or_default());
    let at = PAGES.iter().map(|(_, path, _)| *path).find(|path| *path == at).unwrap_or("/office");
    // One answer for all that can be wrong: it tells nobody which ids there are.
    let Some(client) = client.filter(|c| c.role == Role::Office) else {
        return form(visit, 401, Some("login_failed"), (at, next), fields.one("client_id").unwrap_or_default());
    };
    let now = state.clock.now();
    let issued = state.tokens.issue(&client.id.to_string(), client.role.code(), Some(client.region), now)?;
    let token = issued["access_token"].as_str().unwrap_or_default();
    let lives = state.config.token.lifetime.as_secs();
    let wanted = Fields::read(next);
    let more: Vec<(&str, &str)> =
        NAMES.into_iter().filter(|n| *n != "lang").filter_map(|n| wanted.one(n).filter(|v| is_plain(v)).map(|v| (n, v))).collect();
    let mut response = visit.go(at, &more);
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

/// Where somebody reloads a page that a form made: back to the first page.
pub async fn to_page(request: HttpRequest) -> HttpResponse {
    Visit::of(&request).go("/office", &[])
}

/// An address below `/office` that is no page.
pub async fn nowhere(state: Data<State>, request: HttpRequest) -> HttpResponse {
    inside(&state, &request, async |_, _| Err(Problem::not_found())).await
}

/// `GET /office/report.{csv,xlsx,…}`: the report of the page as a file; and
/// `/office/routing.…`, the report of offers on the same region and period.
pub async fn download(state: Data<State>, request: HttpRequest, file: Path<(String, String)>) -> HttpResponse {
    let visit = Visit::of(&request);
    let (name, format) = file.into_inner();
    let outcome = async {
        let name = match name.as_str() {
            "report" => Name::Employment,
            "routing" => Name::Routing,
            "flows" => Name::Flows,
            "platforms" => Name::Platforms,
            _ => return Err(Problem::not_found()),
        };
        if !FILES.contains(&format.as_str()) {
            return Err(Problem::not_found());
        }
        let office = match session(&visit, &state).await? {
            Ok(office) => office,
            Err(ended) => return form(&visit, 401, ended.then_some("login_ended"), (request.path(), request.query_string()), ""),
        };
        let month = Period::month_of(state.clock.now().day());
        let asked = Asked { format: Some(format), ..asked(&visit.query, month) };
        document(&state, office.region, name, &asked).await
    };
    visit.answer(outcome.await)
}
