//! `POST /oauth/token` and the public keys.

use super::State;
use super::auth::take_anonymous;
use super::body::Body;
use super::problem::Problem;
use crate::domain::client::Role;
use crate::domain::id::ClientId;
use actix_web::http::header::{AUTHORIZATION, CONTENT_TYPE, WWW_AUTHENTICATE};
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse, get, post};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::json;
use utoipa_actix_web::service_config::ServiceConfig;

pub fn routes(cfg: &mut ServiceConfig) {
    cfg.service(issue).service(jwks);
}

#[derive(Debug, Default, Deserialize)]
struct Asked {
    grant_type: Option<String>,
    client_id: Option<String>,
    client_secret: Option<String>,
    link: Option<String>,
}

/// Problem details that also speak OAuth (RFC 6749 §5.2).
fn refused(status: u16, error: &'static str, detail: &str) -> Problem {
    Problem::new(status, error, detail).with("error", json!(error)).with("error_description", json!(detail))
}

fn basic(request: &HttpRequest) -> Option<(String, String)> {
    let text = request.headers().get(AUTHORIZATION)?.to_str().ok()?;
    let (scheme, rest) = text.split_once(' ')?;
    let decoded = STANDARD.decode(rest.trim()).ok().filter(|_| scheme.eq_ignore_ascii_case("basic"))?;
    let (id, secret) = String::from_utf8(decoded).ok()?.split_once(':').map(|(i, s)| (i.to_owned(), s.to_owned()))?;
    Some((id, secret))
}

/// An access token by client credentials (RFC 6749 §4.4), or by a worker's link.
#[utoipa::path(tag = "token", request_body(content = String, content_type = "application/x-www-form-urlencoded"),
    responses((status = 200, body = Value), (status = 400, body = super::problem::ProblemBody), (status = 401, body = super::problem::ProblemBody)))]
#[post("/oauth/token")]
async fn issue(state: Data<State>, request: HttpRequest, body: Body) -> Result<HttpResponse, Problem> {
    take_anonymous(&request, &state).await?;
    let kind = request.headers().get(CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or_default();
    let asked: Asked = if kind.starts_with("application/json") {
        serde_json::from_slice(&body.0).map_err(|_| refused(400, "invalid_request", "The body is no form."))?
    } else {
        actix_web::web::Query::<Asked>::from_query(&String::from_utf8_lossy(&body.0))
            .map_err(|_| refused(400, "invalid_request", "The body is no form."))?
            .into_inner()
    };
    let now = state.clock.now();
    let answer = match asked.grant_type.as_deref() {
        Some("client_credentials") => {
            let by_basic = basic(&request);
            let used_basic = request.headers().contains_key(AUTHORIZATION);
            let (id, secret) = by_basic.or(asked.client_id.zip(asked.client_secret)).unwrap_or_default();
            let client = match ClientId::parse(&id) {
                Some(id) => state.store.authenticate(id, &secret).await?,
                None => None,
            };
            let Some(client) = client else {
                let problem = refused(401, "invalid_client", "The client is unknown, or its secret is wrong.");
                return Err(if used_basic { problem.header(WWW_AUTHENTICATE, "Basic realm=\"doorstep\"") } else { problem });
            };
            let region = (client.role == Role::Office).then_some(client.region);
            state.tokens.issue(&client.id.to_string(), client.role.code(), region, now)?
        }
        Some("link") => {
            let worker = match &asked.link {
                Some(link) => state.store.link(link, now).await?,
                None => None,
            };
            let worker = worker.ok_or_else(|| refused(400, "invalid_grant", "The link is unknown, old or revoked."))?;
            state.tokens.issue(&worker.to_string(), "worker", None, now)?
        }
        Some(_) => return Err(refused(400, "unsupported_grant_type", "grant_type may be client_credentials or link.")),
        None => return Err(refused(400, "invalid_request", "grant_type is missing.")),
    };
    Ok(HttpResponse::Ok().insert_header(("pragma", "no-cache")).json(answer))
}

/// The public keys that tokens are signed with.
#[utoipa::path(tag = "token", responses((status = 200, body = Value)))]
#[get("/.well-known/jwks.json")]
async fn jwks(state: Data<State>) -> HttpResponse {
    HttpResponse::Ok().json(state.tokens.jwks())
}
