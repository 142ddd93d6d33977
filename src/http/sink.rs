//! A receiver of webhooks for the demonstration, the measurements and the tests: it
//! checks each signature and keeps what it got; it can be made to fail, to be slow, or
//! never to answer.

use crate::webhook;
use actix_web::web::{Bytes, Data};
use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// One webhook as it arrived.
#[derive(Clone, Debug)]
pub struct Received {
    pub path: String,
    pub id: String,
    pub body: Value,
    /// Signed with the secret told for its path.
    pub signature_is_valid: bool,
}

/// A call as it arrived, whatever it was answered.
#[derive(Clone, Debug)]
pub struct Arrived {
    pub path: String,
    pub id: String,
    pub timestamp: String,
    pub signature: String,
    pub body: String,
    /// How many calls to this path were under way, this one included.
    pub at_once: usize,
}

/// How calls to a path are answered.
#[derive(Clone, Debug)]
pub enum Manner {
    /// After a while, with 200.
    Slow(Duration),
    /// Never.
    Hang,
    /// With this status, and when to come again.
    Refuse(u16, Option<String>),
}

/// What the receiver knows and keeps.
#[derive(Default)]
pub struct Sink {
    received: Mutex<Vec<Received>>,
    secrets: Mutex<Vec<(String, String)>>,
    /// Statuses to answer with before answering 200.
    failures: Mutex<VecDeque<u16>>,
    manners: Mutex<HashMap<String, Manner>>,
    arrived: Mutex<Vec<Arrived>>,
    under_way: Mutex<HashMap<String, usize>>,
    connections: AtomicUsize,
}

impl Sink {
    /// Starts a receiver on a free port of this machine's loopback.
    pub fn start() -> std::io::Result<(Arc<Self>, SocketAddr, actix_web::dev::ServerHandle)> {
        let sink = Arc::new(Sink::default());
        let data = Data::from(sink.clone());
        let counted = sink.clone();
        let server = HttpServer::new(move || App::new().app_data(data.clone()).default_service(web::to(receive)))
            .on_connect(move |_, _| {
                counted.connections.fetch_add(1, Ordering::Relaxed);
            })
            .workers(1)
            .bind("127.0.0.1:0")?;
        let address = server.addrs()[0];
        let server = server.disable_signals().run();
        let handle = server.handle();
        actix_web::rt::spawn(server);
        Ok((sink, address, handle))
    }

    /// Signatures on this path are checked with this `whsec_…` or `whpk_…`.
    pub fn expect(&self, path: &str, secret: &str) {
        lock(&self.secrets).push((path.to_owned(), secret.to_owned()));
    }

    /// Answers so many of the next calls with these statuses.
    pub fn fail_with(&self, statuses: &[u16]) {
        lock(&self.failures).extend(statuses);
    }

    /// Answers calls to a path in this manner from now on, or as usual again.
    pub fn behave(&self, path: &str, manner: Option<Manner>) {
        let mut manners = lock(&self.manners);
        match manner {
            Some(manner) => drop(manners.insert(path.to_owned(), manner)),
            None => drop(manners.remove(path)),
        }
    }

    /// All calls, whatever they were answered.
    pub fn arrived(&self) -> Vec<Arrived> {
        lock(&self.arrived).clone()
    }

    /// How many connections were made.
    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }

    /// All that arrived and was answered with 200.
    pub fn received(&self) -> Vec<Received> {
        lock(&self.received).clone()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|e| e.into_inner())
}

/// Counts a call as under way until it is answered or its caller goes.
struct UnderWay<'a>(&'a Sink, String);

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        if let Some(n) = lock(&self.0.under_way).get_mut(&self.1) {
            *n -= 1;
        }
    }
}

/// Whether a call is signed with this `whsec_…` or, the asymmetric way, `whpk_…`.
pub fn signed_with(secret: &str, call: &Arrived) -> bool {
    let Arrived { id, body, signature, .. } = call;
    let timestamp = call.timestamp.parse().unwrap_or(0);
    let key = match secret.strip_prefix("whpk_") {
        Some(public) => return signature.split(' ').any(|s| webhook::verifies(public, s, id, timestamp, body)),
        None => STANDARD.decode(secret.trim_start_matches("whsec_")).unwrap_or_default(),
    };
    signature.split(' ').any(|s| s == webhook::signature(&key, id, timestamp, body))
}

async fn receive(sink: Data<Sink>, request: HttpRequest, body: Bytes) -> HttpResponse {
    let header = |name: &str| request.headers().get(name).and_then(|v| v.to_str().ok()).unwrap_or_default().to_owned();
    let (id, path) = (header("webhook-id"), request.path().to_owned());
    let text = String::from_utf8_lossy(&body).into_owned();
    let at_once = {
        let mut under_way = lock(&sink.under_way);
        let n = under_way.entry(path.clone()).or_default();
        *n += 1;
        *n
    };
    let _under_way = UnderWay(&sink, path.clone());
    let (timestamp, signature) = (header("webhook-timestamp"), header("webhook-signature"));
    let arrived = Arrived { path: path.clone(), id: id.clone(), timestamp, signature, body: text.clone(), at_once };
    lock(&sink.arrived).push(arrived.clone());
    let manner = lock(&sink.manners).get(&path).cloned();
    match manner {
        Some(Manner::Slow(span)) => actix_web::rt::time::sleep(span).await,
        Some(Manner::Hang) => std::future::pending().await,
        Some(Manner::Refuse(status, retry_after)) => {
            let status = actix_web::http::StatusCode::from_u16(status).unwrap_or(actix_web::http::StatusCode::INTERNAL_SERVER_ERROR);
            let mut refusal = HttpResponse::build(status);
            if let Some(text) = retry_after {
                refusal.insert_header(("retry-after", text));
            }
            return refusal.finish();
        }
        None => {}
    }
    let failure = lock(&sink.failures).pop_front();
    if let Some(status) = failure {
        let status = actix_web::http::StatusCode::from_u16(status).unwrap_or(actix_web::http::StatusCode::INTERNAL_SERVER_ERROR);
        return HttpResponse::build(status).finish();
    }
    let secrets: Vec<String> = lock(&sink.secrets).iter().filter(|(p, _)| *p == path).map(|(_, s)| s.clone()).collect();
    let received = Received {
        signature_is_valid: secrets.iter().any(|secret| signed_with(secret, &arrived)),
        path,
        id,
        body: serde_json::from_str(&text).unwrap_or_default(),
    };
    lock(&sink.received).push(received);
    HttpResponse::Ok().finish()
}
