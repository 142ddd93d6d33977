//! The gateway's HTTP face: routes, who may call them, what they answer.
//!
//! Promises: every refusal is a problem detail; every route with somebody's data
//! takes a caller as an extractor type; bodies meet their limits before anything
//! reads them.
//! Start at: [`routes`].

pub mod auth;
pub mod body;
pub mod edge;
pub mod problem;

mod admin;
mod baselines;
mod corrections;
mod endpoints;
mod events;
mod explain;
mod feed_runs;
mod feeds;
mod health;
mod hires;
mod me;
pub mod meter;
mod offers;
pub mod pages;
mod periods;
mod postings;
mod replies;
mod reports;
mod reviews;
mod rosters;
mod seals;
pub mod sink;
mod stream;
mod token;
mod workers;

use crate::adapter::{Adapters, Format};
use crate::cache::Limits;
use crate::clock::Clock;
use crate::config::Config;
use crate::hiring::Hiring;
use crate::ingest::Ingest;
use crate::outbound::Outbound;
use crate::reporting::Published;
use crate::routing::Router;
use crate::store::Store;
use crate::store::hires::HireTerms;
use actix_web::HttpRequest;
use auth::Tokens;
pub use explain::explanation_body;
pub use health::render as metrics_text;
pub use pages::Lang;
use problem::Problem;
use serde::Deserialize;
use serde_json::{Value, json};
use std::sync::Arc;
use utoipa::OpenApi;
use utoipa_actix_web::service_config::ServiceConfig;

/// What every handler may use.
pub struct State {
    pub store: Store,
    pub config: Arc<Config>,
    pub clock: Clock,
    pub adapters: Arc<Adapters>,
    pub limits: Arc<Limits>,
    pub tokens: Tokens,
    pub router: Arc<Router>,
    pub ingest: Ingest,
    pub hiring: Hiring,
    pub outbound: Arc<Outbound>,
    pub metrics: metrics_exporter_prometheus::PrometheusHandle,
    pub published: Published,
    /// Gateways that hand in replies, by name, each with its key.
    pub gateways: Vec<(String, Vec<u8>)>,
    /// The key that checkpoints are signed by, as verifiers of signed notes take it.
    pub seal_verifier: String,
    /// Where links in messages begin.
    pub public_url: String,
    /// The server is going down: `/readyz` says so first.
    pub draining: std::sync::atomic::AtomicBool,
}

impl State {
    /// The rules under which a platform's reports are applied.
    fn hire_terms(&self, platform: &str) -> HireTerms {
        HireTerms {
            platform: platform.to_owned(),
            share: self.config.platform(platform),
            promoted_within: self.config.offer.promoted_within,
            displaced_for: self.config.routing.displaced_for,
        }
    }
}

/// The document at `/openapi.json`.
#[derive(OpenApi)]
#[openapi(
    info(title = "doorstep", description = "A gateway between gig platforms, registered workers from poor areas, and poverty offices."),
    components(schemas(problem::ProblemBody, problem::ProblemPart)),
    modifiers(&Bearer)
)]
pub struct Document;

struct Bearer;

impl utoipa::Modify for Bearer {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
        let scheme = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).bearer_format("JWT").build();
        if let Some(components) = document.components.as_mut() {
            components.add_security_scheme("bearer", SecurityScheme::Http(scheme));
        }
    }
}

/// Every route; the server and the tests share it.
pub fn routes(cfg: &mut ServiceConfig) {
    cfg.configure(token::routes)
        .configure(health::routes)
        .configure(postings::routes)
        .configure(explain::routes)
        .configure(feed_runs::routes)
        .configure(feeds::routes)
        .configure(offers::routes)
        .configure(hires::routes)
        .configure(corrections::routes)
        .configure(rosters::routes)
        .configure(events::routes)
        .configure(endpoints::routes)
        .configure(workers::routes)
        .configure(me::routes)
        .configure(replies::routes)
        .configure(reports::routes)
        .configure(seals::routes)
        .configure(baselines::routes)
        .configure(periods::routes)
        .configure(admin::routes)
        .configure(reviews::routes);
}

/// Where a page of a list begins and how long it is.
#[derive(Debug, Default, Deserialize)]
pub struct Page {
    limit: Option<String>,
    cursor: Option<String>,
}

impl Page {
    /// From this cursor on.
    pub fn from(cursor: Option<&str>) -> Self {
        Self { limit: None, cursor: cursor.map(str::to_owned) }
    }

    /// 1 to 200, 50 if not said.
    pub fn limit(&self) -> Result<i64, Problem> {
        match self.limit.as_deref().map(str::parse::<i64>) {
            None => Ok(50),
            Some(Ok(n)) if (1..=200).contains(&n) => Ok(n),
            Some(_) => Err(Problem::parameter("limit", "limit_invalid", "must be 1 to 200")),
        }
    }

    /// The cursor, read; none at the beginning.
    pub fn after<T>(&self, read: impl Fn(&str) -> Option<T>) -> Result<Option<T>, Problem> {
        match self.cursor.as_deref().filter(|c| !c.is_empty()) {
            None => Ok(None),
            Some(text) => read(text).map(Some).ok_or_else(|| Problem::parameter("cursor", "cursor_invalid", "is no cursor of this list")),
        }
    }
}

/// The shape of every list. `items` may hold one more than the page, which tells
/// that there is a next one.
pub fn list<T>(items: &[T], limit: i64, total: i64, body: impl Fn(&T) -> Value, cursor: impl Fn(&T) -> String) -> Value {
    let shown = &items[..items.len().min(usize::try_from(limit).unwrap_or(usize::MAX))];
    let next = shown.last().filter(|_| shown.len() < items.len()).map(cursor);
    json!({"items": shown.iter().map(body).collect::<Vec<_>>(), "next": next, "total": total})
}

/// One page of a list that is short enough to be read whole.
pub fn list_of<T>(items: &[T], page: &Page, body: impl Fn(&T) -> Value, id: impl Fn(&T) -> String) -> Result<Value, Problem> {
    let limit = page.limit()?;
    let from = match page.after(|text| items.iter().position(|item| id(item) == text))? {
        Some(at) => at + 1,
        None => 0,
    };
    Ok(list(&items[from..], limit, items.len() as i64, body, id))
}

/// Reads an optional parameter; a wrong one is refused by name.
pub fn optional<T>(name: &str, text: Option<&str>, read: impl Fn(&str) -> Option<T>) -> Result<Option<T>, Problem> {
    match text.filter(|t| !t.is_empty()) {
        None => Ok(None),
        Some(text) => read(text).map(Some).ok_or_else(|| Problem::parameter(name, "parameter_invalid", "has no such value")),
    }
}

/// The form that the request's content type names, where this adapter reads it.
pub fn format_of(request: &HttpRequest, adapter: &crate::adapter::Adapter) -> Result<Option<Format>, Problem> {
    let Some(header) = request.headers().get(actix_web::http::header::CONTENT_TYPE) else { return Ok(None) };
    let kind = header.to_str().unwrap_or_default();
    let essence = kind.split(';').next().unwrap_or_default().trim();
    if matches!(essence, "" | "application/octet-stream") {
        return Ok(None);
    }
    match adapter.format_of(essence) {
        Some(format) => Ok(Some(format)),
        None => {
            let takes = adapter.content_types().collect::<Vec<_>>().join(", ");
            Err(Problem::new(415, "unsupported_media_type", format!("The adapter {} takes {takes}.", adapter.name())))
        }
    }
}

/// Which methods each documented path is served with.
pub struct Methods(Vec<(actix_web::dev::ResourceDef, String)>);

impl Methods {
    pub fn of(document: &utoipa::openapi::OpenApi) -> Self {
        let named = |item: &utoipa::openapi::PathItem| {
            let served = [("GET", &item.get), ("POST", &item.post), ("PUT", &item.put), ("PATCH", &item.patch), ("DELETE", &item.delete)];
            served.iter().filter(|(_, operation)| operation.is_some()).map(|(name, _)| *name).collect::<Vec<_>>().join(", ")
        };
        let paths = document.paths.paths.iter();
        Self(paths.map(|(path, item)| (actix_web::dev::ResourceDef::new(path.as_str()), named(item))).collect())
    }
}

/// What no route takes: 405 with the methods of a path that there is, else 404.
pub async fn no_route(request: HttpRequest, methods: actix_web::web::Data<Methods>) -> Result<actix_web::HttpResponse, Problem> {
    Err(match methods.0.iter().find(|(path, _)| path.is_match(request.path())) {
        Some((_, served)) => {
            let problem = Problem::new(405, "method_not_allowed", "This method is not served here.");
            problem.header(actix_web::http::header::ALLOW, served.clone())
        }
        None => Problem::not_found(),
    })
}
