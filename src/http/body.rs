//! Request bodies: a deadline on the whole, a limit on the bytes sent and on the
//! bytes they inflate to, counted while inflating.
//!
//! actix has no timer for bodies, and its own decompression inflates a chunk
//! before it looks at the limit; so both are done here.

use super::State;
use super::auth::pending;
use super::problem::Problem;
use crate::inflate::{InflateError, inflate, known};
use crate::store::once::Once;
use actix_web::dev::Payload;
use actix_web::http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use actix_web::web::{BytesMut, Data};
use actix_web::{FromRequest, HttpRequest};
use futures_util::StreamExt;
use serde::de::DeserializeOwned;
use std::future::Future;
use std::pin::Pin;

/// A body as the caller meant it: whole and inflated.
pub struct Body(pub Vec<u8>);

/// A JSON body.
pub struct Json<T> {
    pub value: T,
    /// As sent, for the idempotency key's MAC.
    pub raw: Vec<u8>,
}

/// The fields of an HTML form, as sent: small, whoever sends it.
pub struct Form(pub String);

/// Most bytes of an HTML form.
const FORM: usize = 16 * 1024;
/// Bodies above this are inflated on a thread that may be busy for long.
const INLINE: usize = 64 * 1024;

fn too_large(most: usize) -> Problem {
    Problem::new(413, "body_too_large", format!("The body is larger than {most} bytes, counted inflated."))
}

async fn collect(payload: &mut Payload, most: usize) -> Result<Vec<u8>, Problem> {
    let mut bytes = BytesMut::new();
    while let Some(chunk) = payload.next().await {
        let chunk = chunk.map_err(|_| Problem::new(400, "body_incomplete", "The body broke off."))?;
        if bytes.len() + chunk.len() > most {
            return Err(too_large(most));
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes.to_vec())
}

fn inflated(coding: &str, bytes: &[u8], most: usize) -> Result<Vec<u8>, Problem> {
    inflate(coding, bytes, most).map_err(|e| match e {
        InflateError::Unknown => Problem::new(415, "unsupported_encoding", "Content-Encoding may be gzip, zstd or br."),
        InflateError::Broken => Problem::new(400, "encoding_invalid", "The body is not what its Content-Encoding says."),
        InflateError::TooLarge => too_large(most),
    })
}

pub(super) async fn read(request: &HttpRequest, mut payload: Payload, most: Option<usize>) -> Result<Vec<u8>, Problem> {
    let state = request.app_data::<Data<State>>().ok_or_else(|| Problem::internal("a route without its state"))?;
    let (most, within) = (most.unwrap_or(state.config.http.max_body), state.config.http.body_timeout);
    let encoding = request.headers().get(CONTENT_ENCODING).map(|v| v.to_str().unwrap_or("?").trim().to_ascii_lowercase());
    let late = |_| Problem::new(408, "request_timeout", "The body did not arrive in time.");
    let bytes = tokio::time::timeout(within, collect(&mut payload, most)).await.map_err(late)??;
    match encoding.as_deref() {
        None | Some("" | "identity") => Ok(bytes),
        Some(encoding) if known(encoding) && (bytes.len() >= INLINE || most > INLINE) => {
            let encoding = encoding.to_owned();
            tokio::task::spawn_blocking(move || inflated(&encoding, &bytes, most)).await.map_err(Problem::internal)?
        }
        Some(encoding) => inflated(encoding, &bytes, most),
    }
}

impl FromRequest for Body {
    type Error = Problem;
    type Future = Pin<Box<dyn Future<Output = Result<Self, Problem>>>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let (request, payload) = (request.clone(), payload.take());
        Box::pin(async move { read(&request, payload, None).await.map(Body) })
    }
}

impl FromRequest for Form {
    type Error = Problem;
    type Future = Pin<Box<dyn Future<Output = Result<Self, Problem>>>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let (request, payload) = (request.clone(), payload.take());
        Box::pin(async move {
            let raw = read(&request, payload, Some(FORM)).await?;
            String::from_utf8(raw).map(Form).map_err(|_| Problem::new(400, "bad_request", "The form is no UTF-8."))
        })
    }
}

impl<T: DeserializeOwned + 'static> FromRequest for Json<T> {
    type Error = Problem;
    type Future = Pin<Box<dyn Future<Output = Result<Self, Problem>>>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let (request, payload, who) = (request.clone(), payload.take(), pending(request));
        Box::pin(async move {
            if let Some(who) = who {
                who.await?;
            }
            let kind = request.headers().get(CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or("application/json");
            let essence = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
            if essence != "application/json" && !essence.ends_with("+json") {
                return Err(Problem::new(415, "unsupported_media_type", "This call takes application/json."));
            }
            let raw = read(&request, payload, None).await?;
            let value = parse(&raw)?;
            Ok(Json { value, raw })
        })
    }
}

fn parse<T: DeserializeOwned + 'static>(raw: &[u8]) -> Result<T, Problem> {
    use serde_json::error::Category;
    use std::any::TypeId;
    let raw = if raw.is_empty() { b"{}" } else { raw };
    // serde would take an array for a struct, field by field.
    let first = raw.iter().find(|b| !b.is_ascii_whitespace());
    if first == Some(&b'[') && TypeId::of::<T>() != TypeId::of::<serde_json::Value>() {
        return Err(Problem::field("", "invalid_type", "must be an object"));
    }
    serde_json::from_slice(raw).map_err(|e| match e.classify() {
        // Its message may quote what was sent.
        Category::Data => {
            Problem::field("", "invalid_type", &format!("a field of it is unknown or of the wrong type, up to column {}", e.column()))
        }
        _ => Problem::new(400, "json_invalid", format!("The body is no JSON at line {}, column {}.", e.line(), e.column())),
    })
}

/// The request's idempotency key, where it has one.
pub fn once(request: &HttpRequest, state: &State, client: uuid::Uuid, body: &[u8]) -> Result<Option<Once>, Problem> {
    let Some(header) = request.headers().get("idempotency-key") else { return Ok(None) };
    let key = header.to_str().ok().filter(|k| (1..=255).contains(&k.len()) && k.bytes().all(|b| (0x21..=0x7e).contains(&b)));
    let Some(key) = key else {
        return Err(Problem::new(400, "idempotency_key_invalid", "Idempotency-Key must be 1 to 255 visible ASCII characters."));
    };
    let parts: [&[u8]; 4] = [request.method().as_str().as_bytes(), request.path().as_bytes(), request.query_string().as_bytes(), body];
    Ok(Some(Once { client, key: key.to_owned(), body_mac: state.store.body_mac(&parts) }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn each_encoding_is_inflated() {
        let text = b"text ".repeat(100);
        assert_eq!(inflated("gzip", &gzip(&text), 1000).unwrap(), text);
        assert_eq!(inflated("zstd", &zstd::encode_all(&text[..], 3).unwrap(), 1000).unwrap(), text);
    }

    #[test]
    fn a_bomb_is_refused_at_the_limit_and_a_broken_body_by_name() {
        let bomb = gzip(&vec![0; 50_000_000]);
        assert!(bomb.len() < 100_000);
        assert_eq!(inflated("gzip", &bomb, 1_000_000).unwrap_err().code, "body_too_large");
        let zstd_bomb = zstd::encode_all(&vec![0; 50_000_000][..], 3).unwrap();
        assert_eq!(inflated("zstd", &zstd_bomb, 1_000_000).unwrap_err().code, "body_too_large");
        for encoding in ["gzip", "zstd", "br"] {
            assert_eq!(inflated(encoding, b"this is none of them", 1000).unwrap_err().code, "encoding_invalid", "{encoding}");
        }
    }
}
