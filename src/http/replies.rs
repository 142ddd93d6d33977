//! What workers reply from phones that only call or text, handed in by a gateway.
//!
//! Promises: only a gateway of the configuration is listened to, signed after Standard
//! Webhooks within five minutes, and whatever is wrong with that is answered alike; a
//! reply handed in again is answered as before; a phone number stands in no answer.

use super::State;
use super::auth::take_anonymous;
use super::body::read;
use super::problem::{Problem, ProblemBody};
use crate::domain::person::Phone;
use crate::domain::reply::Reply;
use crate::domain::time::Moment;
use crate::notify::text;
use crate::store::replies::Replying;
use crate::webhook;
use actix_web::dev::Payload;
use actix_web::http::header::WWW_AUTHENTICATE;
use actix_web::web::Data;
use actix_web::{FromRequest, HttpRequest, HttpResponse, post};
use serde::Deserialize;
use serde_json::json;
use std::future::Future;
use std::pin::Pin;
use utoipa_actix_web::service_config::ServiceConfig;

/// Most bytes of a reply.
const LARGEST: usize = 16 * 1024;
/// How far a gateway's clock may be off, in seconds.
const TOLERANCE: u64 = 300;

pub fn routes(cfg: &mut ServiceConfig) {
    cfg.service(replied);
}

/// A body that a gateway signed, with the id it was signed under.
pub struct Signed {
    gateway: String,
    id: String,
    raw: Vec<u8>,
}

impl FromRequest for Signed {
    type Error = Problem;
    type Future = Pin<Box<dyn Future<Output = Result<Self, Problem>>>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let (request, payload) = (request.clone(), payload.take());
        Box::pin(async move {
            let state = request.app_data::<Data<State>>().ok_or_else(|| Problem::internal("a route without its state"))?;
            let raw = read(&request, payload, Some(LARGEST)).await?;
            match gateway(state, &request, &raw) {
                Some((gateway, id)) => Ok(Signed { gateway, id, raw }),
                None => {
                    take_anonymous(&request, state).await?;
                    let problem = Problem::new(401, "unauthorized", "A gateway's fresh signature is needed.");
                    Err(problem.header(WWW_AUTHENTICATE, "Webhook-Signature realm=\"doorstep\""))
                }
            }
        })
    }
}

/// Which gateway signed this, and under which id.
fn gateway(state: &State, request: &HttpRequest, raw: &[u8]) -> Option<(String, String)> {
    let header = |name: &str| request.headers().get(name).and_then(|v| v.to_str().ok());
    let (id, signed) = (header("webhook-id")?, header("webhook-signature")?);
    let at: i64 = header("webhook-timestamp")?.parse().ok()?;
    // Any number may stand there.
    let fresh = state.clock.now().ms().div_euclid(1000).abs_diff(at) <= TOLERANCE;
    let body = std::str::from_utf8(raw).ok()?;
    if !fresh || id.is_empty() || id.len() > 255 {
        return None;
    }
    let by = state.gateways.iter().find(|(_, key)| webhook::is_signed(key, id, at, body, signed))?;
    Some((by.0.clone(), id.to_owned()))
}

#[derive(Deserialize)]
struct ReplyBody {
    from: Option<String>,
    text: Option<String>,
    at: Option<String>,
    id: Option<String>,
}

/// A worker's reply, `{"from","text","at"?,"id"?}`: a code and 1 for yes or 2 for no, as in
/// `1234 1`; without a code where one offer is open. Signed after Standard Webhooks with a
/// secret of `[[notify.replies]]`. `id` (else `webhook-id`) makes a repeat harmless. Answers
/// `{"result","text"}`: `accepted waitlisted declined expired withdrawn answered unknown_code
/// code_needed nothing_open unreadable too_many`, and what to send back.
#[utoipa::path(tag = "worker", request_body(content = Value), params(("webhook-id" = String, Header), ("webhook-timestamp" = i64, Header),
    ("webhook-signature" = String, Header)), responses((status = 200, body = Value), (status = 400, body = ProblemBody), (status = 401, body = ProblemBody),
    (status = 413, body = ProblemBody), (status = 422, body = ProblemBody), (status = 429, body = ProblemBody)))]
#[post("/v1/replies")]
async fn replied(state: Data<State>, signed: Signed) -> Result<HttpResponse, Problem> {
    // What the parser says may quote the body.
    let json_invalid = |_| Problem::new(400, "json_invalid", "The body is no JSON object of the form that is wanted.");
    let body: ReplyBody = serde_json::from_slice(&signed.raw).map_err(json_invalid)?;
    let from = body.from.as_deref().and_then(Phone::parse);
    let from = from.ok_or_else(|| Problem::field("/from", "unreadable", "must be a telephone number"))?;
    let said = body.text.ok_or_else(|| Problem::field("/text", "missing", "is required"))?;
    if body.at.as_deref().is_some_and(|at| Moment::parse(at).is_none()) {
        return Err(Problem::field("/at", "unreadable", "must be a time of RFC 3339"));
    }
    if body.id.as_ref().is_some_and(|id| id.is_empty() || id.len() > 255) {
        return Err(Problem::field("/id", "out_of_range", "must have 1 to 255 bytes"));
    }
    let replying = Replying {
        id: format!("{}/{}", signed.gateway, body.id.unwrap_or(signed.id)),
        from,
        reply: Reply::parse(&said),
        wrong_codes: state.config.notify.wrong_codes,
        promoted_within: state.config.offer.promoted_within,
        cooldown: state.config.routing.cooldown,
    };
    let replied = state.store.reply(replying, state.clock.now()).await?;
    let told = text::reply(&replied).map_err(Problem::internal)?;
    metrics::counter!("doorstep_replies_total", "result" => replied.result.clone()).increment(1);
    Ok(HttpResponse::Ok().json(json!({"result": replied.result, "text": told})))
}
