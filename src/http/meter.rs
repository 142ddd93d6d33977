//! A receiver of webhooks for measurements: it notes when each came, and nothing else.

use actix_web::web::{Bytes, Data};
use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Instant;

/// What came, and who gets no answer.
#[derive(Default)]
pub struct Meter {
    /// When each id came first.
    received: Mutex<HashMap<String, Instant>>,
    hanging: Mutex<Option<String>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|e| e.into_inner())
}

impl Meter {
    /// Starts a receiver on a free port of this machine's loopback, with a thread of
    /// its own.
    pub fn start() -> std::io::Result<(Arc<Self>, SocketAddr)> {
        let meter = Arc::new(Meter::default());
        let data = Data::from(meter.clone());
        let server =
            HttpServer::new(move || App::new().app_data(data.clone()).default_service(web::to(receive))).workers(1).bind("127.0.0.1:0")?;
        let address = server.addrs()[0];
        actix_web::rt::spawn(server.disable_signals().run());
        Ok((meter, address))
    }

    /// Calls to this path are not answered any more.
    pub fn hang(&self, path: &str) {
        *lock(&self.hanging) = Some(path.to_owned());
    }

    /// How many came and were answered.
    pub fn count(&self) -> usize {
        lock(&self.received).len()
    }

    /// What came since the last call, by id.
    pub fn take(&self) -> HashMap<String, Instant> {
        std::mem::take(&mut *lock(&self.received))
    }
}

async fn receive(meter: Data<Meter>, request: HttpRequest, _: Bytes) -> HttpResponse {
    let at = Instant::now();
    if lock(&meter.hanging).as_deref() == Some(request.path()) {
        std::future::pending::<()>().await;
    }
    if let Some(id) = request.headers().get("webhook-id").and_then(|v| v.to_str().ok()) {
        lock(&meter.received).entry(id.to_owned()).or_insert(at);
    }
    HttpResponse::Ok().finish()
}
