//! A receiver of webhooks for the demonstration and the tests: it checks each
//! signature and keeps what it got.

use crate::webhook;
use actix_web::web::{Bytes, Data};
use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

/// One webhook as it arrived.
#[derive(Clone, Debug)]
pub struct Received {
    pub path: String,
    pub id: String,
    pub body: Value,
    /// Signed with the secret told for its path.
    pub signature_is_valid: bool,
}

/// What the receiver knows and keeps.
#[derive(Default)]
pub struct Sink {
    received: Mutex<Vec<Received>>,
    secrets: Mutex<Vec<(String, String)>>,
    /// Statuses to answer with before answering 200.
    failures: Mutex<VecDeque<u16>>,
}

impl Sink {
    /// Starts a receiver on a free port of this machine's loopback.
    pub fn start() -> std::io::Result<(Arc<Self>, SocketAddr, actix_web::dev::ServerHandle)> {
        let sink = Arc::new(Sink::default());
        let data = Data::from(sink.clone());
        let server =
            HttpServer::new(move || App::new().app_data(data.clone()).default_service(web::to(receive))).workers(1).bind("127.0.0.1:0")?;
        let address = server.addrs()[0];
        let server = server.disable_signals().run();
        let handle = server.handle();
        actix_web::rt::spawn(server);
        Ok((sink, address, handle))
    }

    /// Signatures on this path are checked with this `whsec_…`.
    pub fn expect(&self, path: &str, secret: &str) {
        lock(&self.secrets).push((path.to_owned(), secret.to_owned()));
    }

    /// Answers so many of the next calls with these statuses.
    pub fn fail_with(&self, statuses: &[u16]) {
        lock(&self.failures).extend(statuses);
    }

    /// All that arrived and was answered with 200.
    pub fn received(&self) -> Vec<Received> {
        lock(&self.received).clone()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|e| e.into_inner())
}

async fn receive(sink: Data<Sink>, request: HttpRequest, body: Bytes) -> HttpResponse {
    let failure = lock(&sink.failures).pop_front();
    if let Some(status) = failure {
        let status = actix_web::http::StatusCode::from_u16(status).unwrap_or(actix_web::http::StatusCode::INTERNAL_SERVER_ERROR);
        return HttpResponse::build(status).finish();
    }
    let header = |name: &str| request.headers().get(name).and_then(|v| v.to_str().ok()).unwrap_or_default().to_owned();
    let (id, path) = (header("webhook-id"), request.path().to_owned());
    let text = String::from_utf8_lossy(&body).into_owned();
    let timestamp = header("webhook-timestamp").parse().unwrap_or(0);
    let secrets: Vec<String> = lock(&sink.secrets).iter().filter(|(p, _)| *p == path).map(|(_, s)| s.clone()).collect();
    let signed = header("webhook-signature");
    let valid = |secret: &String| {
        let key = STANDARD.decode(secret.trim_start_matches("whsec_")).unwrap_or_default();
        signed.split(' ').any(|s| s == webhook::signature(std::slice::from_ref(&key), &id, timestamp, &text))
    };
    let received =
        Received { signature_is_valid: secrets.iter().any(valid), path, id, body: serde_json::from_str(&text).unwrap_or_default() };
    lock(&sink.received).push(received);
    HttpResponse::Ok().finish()
}
