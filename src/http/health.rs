//! Whether the process lives, whether it is ready, and what it counts.

use super::State;
use super::problem::Problem;
use crate::store::work::Kind;
use actix_web::web::Data;
use actix_web::{HttpResponse, get};
use serde_json::json;
use std::sync::atomic::Ordering;
use utoipa_actix_web::service_config::ServiceConfig;

pub fn routes(cfg: &mut ServiceConfig) {
    cfg.service(healthz).service(readyz).service(metrics_text);
}

/// The process answers.
#[utoipa::path(tag = "health", responses((status = 200, body = Value)))]
#[get("/healthz")]
async fn healthz() -> HttpResponse {
    HttpResponse::Ok().json(json!({"status": "ok"}))
}

/// The store answers and the routing index has caught up.
#[utoipa::path(tag = "health", responses((status = 200, body = Value), (status = 503, body = Value)))]
#[get("/readyz")]
async fn readyz(state: Data<State>) -> Result<HttpResponse, Problem> {
    let store = state.store.ping().await;
    let behind = if store.is_ok() { state.router.behind().await.ok().flatten() } else { None };
    let draining = state.draining.load(Ordering::Acquire);
    // Redis is a hint: its absence is told and does not make the node unready.
    let cache = match state.limits.ping().await {
        None => "memory",
        Some(Ok(())) => "redis",
        Some(Err(_)) => "redis unreachable, limits are per node",
    };
    let ready = store.is_ok() && behind.is_some_and(|n| n < 10_000) && !draining;
    let body = json!({
        "status": if ready { "ready" } else { "not ready" }, "store": if store.is_ok() { "ok" } else { "unreachable" },
        "engine": state.store.engine_name(), "cache": cache,
        "index": {
            "workers": state.router.known_workers(), "behind": behind,
            "started_from": if state.router.came_from_file() { "snapshot" } else { "store" },
        }, "draining": draining,
    });
    Ok(if ready { HttpResponse::Ok().json(body) } else { HttpResponse::ServiceUnavailable().json(body) })
}

/// What is counted, in Prometheus' text form.
#[utoipa::path(tag = "health", responses((status = 200, body = String, content_type = "text/plain")))]
#[get("/metrics")]
async fn metrics_text(state: Data<State>) -> Result<HttpResponse, Problem> {
    if !state.config.http.metrics_listen.is_empty() {
        return Err(Problem::not_found());
    }
    Ok(HttpResponse::Ok().content_type("text/plain; version=0.0.4").body(render(&state).await))
}

/// The text of `/metrics`, with the gauges that are read when asked.
pub async fn render(state: &State) -> String {
    let now = state.clock.now();
    if let Ok(Some(behind)) = state.router.behind().await {
        metrics::gauge!("doorstep_routing_behind_changes").set(behind as f64);
    }
    if let Ok((due, oldest)) = state.store.work_due(Kind::Route, now).await {
        metrics::gauge!("doorstep_routing_due").set(due as f64);
        metrics::gauge!("doorstep_routing_oldest_seconds").set(oldest.map_or(0.0, |t| (now.ms() - t.ms()) as f64 / 1000.0));
    }
    if let Ok((counts, _)) = state.store.delivery_counts().await {
        for (name, n) in counts {
            metrics::gauge!("doorstep_deliveries", "state" => name).set(n as f64);
        }
    }
    if let Ok(feeds) = state.store.feeds().await {
        // Feeds that are no longer configured stay in the store.
        let pulled = |name: &str| state.config.feed.pull.iter().any(|f| f.name() == name);
        for feed in feeds.iter().filter(|f| pulled(&f.name)) {
            let late = if feed.lease_until > now { 0 } else { (now.ms() - feed.due_at.ms()).max(0) };
            metrics::gauge!("doorstep_poll_lag_seconds", "feed" => feed.name.clone()).set(late as f64 / 1000.0);
            metrics::gauge!("doorstep_poll_failures", "feed" => feed.name.clone()).set(feed.failures as f64);
        }
    }
    metrics::gauge!("doorstep_routing_workers").set(state.router.known_workers() as f64);
    state.metrics.render()
}
