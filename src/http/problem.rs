//! Meaning becomes a response: RFC 9457 problem details, each with a stable code.
//! A 5xx body is fixed text with the request id; its detail goes to the log, once,
//! here.

use crate::adapter::BodyError;
use crate::cache::Verdict;
use crate::domain::offer::OfferState;
use crate::ingest::BatchError;
use crate::store::StoreError;
use crate::store::answers::Refusal;
use crate::store::once::Reserved;
use actix_web::http::StatusCode;
use actix_web::http::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use actix_web::{HttpResponse, ResponseError};
use serde_json::{Map, Value, json};
use std::fmt;
use utoipa::ToSchema;

/// A refusal or failure on its way to the caller.
#[derive(Clone, Debug)]
pub struct Problem {
    pub status: StatusCode,
    pub code: &'static str,
    pub detail: String,
    /// What few problems have, apart so that a refusal stays small.
    pub extra: Box<Extra>,
}

/// See [`Problem`].
#[derive(Clone, Debug, Default)]
pub struct Extra {
    /// Parts of the input that are at fault: pointer, code, detail.
    pub errors: Vec<(String, String, String)>,
    pub headers: Vec<(HeaderName, String)>,
    /// Further members.
    pub more: Map<String, Value>,
    /// For the log only.
    pub cause: Option<String>,
}

/// How a problem looks, for the document.
#[derive(ToSchema)]
#[allow(dead_code)]
pub struct ProblemBody {
    /// `about:blank`.
    r#type: String,
    title: String,
    status: u16,
    /// Stable, in snake_case.
    code: String,
    detail: String,
    request_id: String,
    errors: Option<Vec<ProblemPart>>,
}

/// A part of the input that is at fault.
#[derive(ToSchema)]
#[allow(dead_code)]
pub struct ProblemPart {
    pointer: String,
    code: String,
    detail: String,
}

impl Problem {
    pub fn new(status: u16, code: &'static str, detail: impl Into<String>) -> Self {
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        Self { status, code, detail: detail.into(), extra: Box::default() }
    }

    /// The one answer for what is not there and for what is another tenant's.
    pub fn not_found() -> Self {
        Self::new(404, "not_found", "There is nothing here.")
    }

    pub fn unauthorized() -> Self {
        let problem = Self::new(401, "unauthorized", "A valid bearer token is needed.");
        problem.header(actix_web::http::header::WWW_AUTHENTICATE, "Bearer realm=\"doorstep\"")
    }

    pub fn forbidden(code: &'static str, detail: &str) -> Self {
        Self::new(403, code, detail)
    }

    /// One field of the input is at fault.
    pub fn field(pointer: &str, code: &str, detail: &str) -> Self {
        Self::new(422, "invalid", "The request is understood, and a part of it is at fault.").part(pointer, code, detail)
    }

    /// A query parameter is at fault; the problem's own code names it.
    pub fn parameter(name: &str, code: &'static str, detail: &str) -> Self {
        Self::new(422, code, detail).part(&format!("/{name}"), code, detail)
    }

    pub fn part(mut self, pointer: &str, code: &str, detail: &str) -> Self {
        self.extra.errors.push((pointer.to_owned(), code.to_owned(), detail.to_owned()));
        self
    }

    pub fn header(mut self, name: HeaderName, value: impl Into<String>) -> Self {
        self.extra.headers.push((name, value.into()));
        self
    }

    pub fn with(mut self, name: &str, value: Value) -> Self {
        self.extra.more.insert(name.to_owned(), value);
        self
    }

    /// The server failed; `cause` goes to the log only.
    pub fn internal(cause: impl fmt::Display) -> Self {
        Self::new(500, "internal", "The server failed. The request id helps to find out why.").because(cause)
    }

    /// Says in the log why.
    fn because(mut self, cause: impl fmt::Display) -> Self {
        self.extra.cause = Some(cause.to_string());
        self
    }

    /// The problem as a body.
    pub fn body(&self, request_id: &str) -> Value {
        let mut body = json!({
            "type": "about:blank", "title": self.status.canonical_reason().unwrap_or("Error"), "status": self.status.as_u16(),
            "code": self.code, "detail": self.detail, "request_id": request_id,
        });
        if !self.extra.errors.is_empty() {
            let part = |(pointer, code, detail): &(String, String, String)| json!({"pointer": pointer, "code": code, "detail": detail});
            body["errors"] = self.extra.errors.iter().map(part).collect();
        }
        if let Some(map) = body.as_object_mut() {
            map.extend(self.extra.more.clone());
        }
        body
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code)
    }
}

impl ResponseError for Problem {
    fn status_code(&self) -> StatusCode {
        self.status
    }

    fn error_response(&self) -> HttpResponse {
        let mut response = HttpResponse::build(self.status).finish();
        for (name, value) in &self.extra.headers {
            if let Ok(value) = HeaderValue::from_str(value) {
                response.headers_mut().insert(name.clone(), value);
            }
        }
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        response.extensions_mut().insert(self.clone());
        response
    }
}

impl From<StoreError> for Problem {
    fn from(e: StoreError) -> Self {
        if e.is_temporary() || e == StoreError::Stopped {
            let problem = Problem::new(503, "store_unavailable", "The store cannot be reached. The same request may be sent again.");
            return problem.because(e).header(actix_web::http::header::RETRY_AFTER, "2");
        }
        Problem::internal(e)
    }
}

impl From<BodyError> for Problem {
    fn from(e: BodyError) -> Self {
        let status = if e.code() == "records_missing" { 422 } else { 400 };
        Problem::new(status, e.code(), e.to_string())
    }
}

impl From<BatchError> for Problem {
    fn from(e: BatchError) -> Self {
        match e {
            BatchError::Body(e) => e.into(),
            BatchError::Over { records, verdict } if verdict.never => batch_too_large(records, verdict.quota.burst),
            BatchError::Over { verdict, .. } => over(verdict),
            BatchError::KeyReused => key_reused(),
            BatchError::InFlight => in_flight(),
            BatchError::TooMany { most } => Problem::new(413, "batch_too_large", format!("More records at once than {most}.")),
            BatchError::RunEnded => Problem::new(409, "run_ended", "This run is over; begin another under a name of its own."),
            BatchError::Reading => Problem::internal("a reading thread failed"),
            BatchError::Store(e) => e.into(),
        }
    }
}

/// The refusal of a limit.
pub fn over(verdict: Verdict) -> Problem {
    let seconds = verdict.retry_after.as_secs_f64().ceil().max(1.0);
    Problem::new(429, "rate_limited", "Too much at once; come again later.")
        .header(actix_web::http::header::RETRY_AFTER, format!("{seconds}"))
}

/// A batch larger than the limit can ever allow.
pub fn batch_too_large(records: usize, most: u32) -> Problem {
    Problem::new(413, "batch_too_large", format!("{records} records at once; at most {most}."))
}

fn key_reused() -> Problem {
    Problem::new(422, "idempotency_key_reused", "This Idempotency-Key was used for another request.")
}

fn in_flight() -> Problem {
    Problem::new(409, "request_in_flight", "A request under this Idempotency-Key is being answered.")
        .header(actix_web::http::header::RETRY_AFTER, "2")
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::NotFound => Problem::not_found(),
            Refusal::Over(OfferState::Expired) => Problem::new(409, "offer_expired", "The time to answer has passed."),
            Refusal::Over(OfferState::Withdrawn) => Problem::new(409, "offer_withdrawn", "The offer was withdrawn."),
            Refusal::Over(OfferState::Declined) => Problem::new(409, "offer_declined", "The offer was declined."),
            Refusal::Over(OfferState::NotSelected) => Problem::new(409, "offer_not_selected", "The platform chose somebody else."),
            Refusal::Over(_) => Problem::new(409, "offer_answered", "The offer takes no such answer any more."),
        }
    }
}

/// The response of an act under an idempotency key.
pub fn answered(reserved: Reserved) -> Result<HttpResponse, Problem> {
    match reserved {
        Reserved::Done(answer) if answer.status == 404 => Err(Problem::not_found()),
        Reserved::Done(answer) => {
            let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::OK);
            Ok(HttpResponse::build(status).json(answer.body))
        }
        Reserved::Reused => Err(key_reused()),
        Reserved::InFlight | Reserved::Go { .. } => Err(in_flight()),
    }
}
