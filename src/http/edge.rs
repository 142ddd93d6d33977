//! Around every request: its id, its limits' headers, its log line, its metrics,
//! and problem details for whatever was refused, by us or by actix.

use super::problem::Problem;
use crate::cache::{Meter, Verdict};
use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use actix_web::middleware::Next;
use actix_web::{Error, HttpMessage, HttpRequest, HttpResponse};
use std::cell::Cell;
use std::rc::Rc;
use std::time::Instant;

/// The id of a request, in its answer's header and its problem's body.
#[derive(Clone, Debug)]
pub struct RequestId(pub String);

/// What the last limit of a request said, for the headers of its answer.
#[derive(Clone, Default)]
pub struct LimitSlot(Rc<Cell<Option<(Meter, Verdict)>>>);

impl LimitSlot {
    /// The slot of this request; one that nobody reads where there is none.
    pub fn of(request: &HttpRequest) -> Self {
        request.extensions().get::<LimitSlot>().cloned().unwrap_or_default()
    }

    pub fn set(&self, meter: Meter, verdict: Verdict) {
        self.0.set(Some((meter, verdict)));
    }
}

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Wraps the whole application.
pub async fn edge(request: ServiceRequest, next: Next<impl MessageBody + 'static>) -> Result<ServiceResponse<BoxBody>, Error> {
    let started = Instant::now();
    let id = request_id(request.headers()).unwrap_or_else(|| uuid::Uuid::now_v7().to_string());
    let slot = LimitSlot::default();
    request.extensions_mut().insert(RequestId(id.clone()));
    request.extensions_mut().insert(slot.clone());
    let method = request.method().clone();
    // Routing needs the only handle on the request, so none is kept here. Handlers'
    // and extractors' errors are responses by now.
    let mut response = next.call(request).await?.map_into_boxed_body();
    let status = response.status();
    if status.is_client_error() || status.is_server_error() {
        response = as_problem(response, &id);
    }
    if matches!(status.as_u16(), 408 | 413) {
        // The rest of the body is not waited for.
        response.response_mut().head_mut().set_connection_type(actix_web::http::ConnectionType::Close);
    }
    let headers = response.headers_mut();
    if let Some((meter, verdict)) = slot.0.get() {
        limit_headers(headers, meter, verdict);
    }
    if let Ok(value) = HeaderValue::from_str(&id) {
        headers.insert(REQUEST_ID, value);
    }
    for (name, value) in SECURITY {
        if !headers.contains_key(name) {
            headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
    }
    // The pattern, not the path: a path may hold a link's token.
    let route = response.request().match_pattern().unwrap_or_else(|| "unmatched".to_owned());
    let (took, code) = (started.elapsed(), status.as_u16());
    let labels = [("method", known(&method).to_owned()), ("route", route.clone()), ("status", code.to_string())];
    metrics::counter!("doorstep_http_requests_total", &labels).increment(1);
    metrics::histogram!("doorstep_http_seconds", "route" => route.clone()).record(took.as_secs_f64());
    tracing::info!(request.id = %id, %method, %route, status = code, duration_ms = took.as_millis() as u64, "request");
    Ok(response)
}

const SECURITY: [(&str, &str); 4] =
    [("x-content-type-options", "nosniff"), ("referrer-policy", "no-referrer"), ("x-frame-options", "DENY"), ("cache-control", "no-store")];

/// A caller's own id is kept where it is short and plain.
fn request_id(headers: &HeaderMap) -> Option<String> {
    let text = headers.get(&REQUEST_ID)?.to_str().ok()?;
    let plain = (1..=64).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'));
    plain.then(|| text.to_owned())
}

/// Gives every refusal the one form, except pages that say it in words.
fn as_problem(response: ServiceResponse<BoxBody>, id: &str) -> ServiceResponse<BoxBody> {
    let is_page = response.headers().get(CONTENT_TYPE).is_some_and(|v| v.as_bytes().starts_with(b"text/html"));
    let kept = response.response().extensions().get::<Problem>().cloned();
    if kept.is_none() && is_page {
        return response;
    }
    let status = response.status();
    let problem = kept.unwrap_or_else(|| of_actix(status.as_u16(), response.response().error()));
    if let Some(cause) = &problem.extra.cause {
        tracing::error!(request.id = %id, code = problem.code, cause = %cause, "failed");
    }
    let (request, old) = response.into_parts();
    let mut fresh = HttpResponse::build(problem.status).content_type("application/problem+json").body(problem.body(id).to_string());
    for (name, value) in old.headers() {
        if *name != CONTENT_TYPE && *name != actix_web::http::header::CONTENT_LENGTH {
            fresh.headers_mut().insert(name.clone(), value.clone());
        }
    }
    ServiceResponse::new(request, fresh.map_into_boxed_body())
}

/// What actix itself refuses, in plain text otherwise.
fn of_actix(status: u16, error: Option<&Error>) -> Problem {
    match status {
        400 => Problem::new(400, "bad_request", "The request cannot be read."),
        404 => Problem::not_found(),
        405 => Problem::new(405, "method_not_allowed", "This method is not served here."),
        408 => Problem::new(408, "request_timeout", "The request did not arrive in time."),
        413 => Problem::new(413, "body_too_large", "The body is larger than allowed."),
        415 => Problem::new(415, "unsupported_media_type", "This content type is not taken here."),
        s if s < 500 => Problem::new(s, "refused", "The request was refused."),
        _ => Problem::internal(error.map_or_else(|| "an answer without a cause".to_owned(), |e| e.to_string())),
    }
}

/// `RateLimit-Policy` and `RateLimit` of draft-ietf-httpapi-ratelimit-headers-10.
/// The draft is not final: this is the one place that writes them.
fn limit_headers(headers: &mut HeaderMap, meter: Meter, verdict: Verdict) {
    let quota = verdict.quota;
    let reset = (quota.burst - verdict.remaining.min(quota.burst)).div_ceil(quota.per_second.max(1));
    let pairs = [
        ("ratelimit-policy", format!("\"{}\";q={};w={}", meter.name(), quota.burst, quota.window())),
        ("ratelimit", format!("\"{}\";r={};t={reset}", meter.name(), verdict.remaining)),
    ];
    for (name, value) in pairs {
        if let Ok(value) = HeaderValue::from_str(&value) {
            headers.insert(HeaderName::from_static(name), value);
        }
    }
}

/// A method's name for the metrics: callers may make up any number of others.
fn known(method: &actix_web::http::Method) -> &str {
    match method.as_str() {
        name @ ("GET" | "HEAD" | "POST" | "PUT" | "PATCH" | "DELETE" | "OPTIONS") => name,
        _ => "other",
    }
}
