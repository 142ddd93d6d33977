//! `doorstep bench deliver`: webhooks a second to a receiver on this machine, and the
//! time from an event's commit to its receipt, without and with one of the endpoints
//! hanging; beside what the same client sends by itself.

use super::place::Place;
use super::{load_average, millis, percentile, rate, text};
use crate::clock::Clock;
use crate::domain::id::EventId;
use crate::domain::time::Moment;
use crate::http::meter::Meter;
use crate::outbound::Outbound;
use crate::store::Store;
use crate::store::log::Event;
use futures_util::StreamExt;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};
use uuid::Uuid;

/// What is measured.
#[derive(Clone, Debug)]
pub struct Plan {
    pub endpoints: usize,
    /// Events of each round, spread over the endpoints in turn.
    pub events: usize,
    /// Events a second; 0: as fast as the store takes them.
    pub rate: u32,
    /// An embedded store of its own where none is named.
    pub store: Option<String>,
}

/// What one round came to.
#[derive(Clone, Copy, Debug)]
pub struct Round {
    /// Healthy endpoints' webhooks received a second.
    pub rate: f64,
    /// From the commit to the receipt.
    pub p50: Duration,
    pub p99: Duration,
    pub received: usize,
}

/// Both rounds, and the client by itself.
#[derive(Clone, Copy, Debug)]
pub struct Measured {
    /// Bare POSTs a second.
    pub bare: f64,
    pub healthy: Round,
    pub beside_one_hanging: Round,
}

/// Events written in one transaction.
const SLICE: usize = 50;
/// A round ends at the latest so long after its last event.
const PATIENCE: Duration = Duration::from_secs(120);

/// Measures and prints.
pub async fn run(plan: Plan) -> Result<(), String> {
    println!("webhooks to {} endpoints, {} events a round; load average {}", plan.endpoints, plan.events, load_average());
    let Measured { bare, healthy, beside_one_hanging } = measure(&plan).await?;
    println!("the client by itself           {bare:>9.0} POSTs/s");
    for (name, round) in [("all endpoints healthy", healthy), ("beside one that hangs", beside_one_hanging)] {
        println!(
            "{name:<30} {:>9.0} webhooks/s, commit to receipt p50 {:.1} ms, p99 {:.1} ms; {} received",
            round.rate,
            millis(round.p50),
            millis(round.p99),
            round.received
        );
    }
    println!("with one hanging: {:.2} of the rate without", beside_one_hanging.rate / healthy.rate.max(1e-9));
    println!("load average {}", load_average());
    Ok(())
}

/// Measures on a gateway of its own; an error where a webhook was lost.
pub async fn measure(plan: &Plan) -> Result<Measured, String> {
    if plan.endpoints < 2 {
        return Err("--endpoints must be at least 2".to_owned());
    }
    let (meter, address) = Meter::start().map_err(text)?;
    let place = Place::start(plan.store.as_deref(), true, |c| c.outbound.allow = vec![address.to_string()]).await?;
    let state = place.gateway.state.clone().into_inner();
    let bench = Bench { store: state.store.clone(), meter: meter.clone(), address, run: Uuid::new_v4().simple().to_string() };
    let outbound = state.outbound.clone();
    let plan = plan.clone();
    let outcome = place.beside("event-writer", move || crate::app::block_on(bench.measure(&plan, &outbound))).await;
    drop(place.stop().await);
    outcome
}

struct Bench {
    store: Store,
    meter: Arc<Meter>,
    address: SocketAddr,
    /// Tells this run's platforms from those of another on the same store.
    run: String,
}

impl Bench {
    async fn measure(&self, plan: &Plan, outbound: &Outbound) -> Result<Measured, String> {
        let path = |n: usize| format!("/{n}");
        for n in 0..plan.endpoints {
            let url = format!("http://{}{}", self.address, path(n));
            self.store.add_endpoint(self.platform(n), url, Vec::new(), None, now()).await.map_err(text)?;
        }
        let bare = self.bare(outbound, plan.events).await?;
        let healthy = self.round(plan, plan.events).await?;
        self.meter.hang(&path(0));
        let beside_one_hanging = self.round(plan, plan.events - plan.events.div_ceil(plan.endpoints)).await?;
        Ok(Measured { bare, healthy, beside_one_hanging })
    }

    fn platform(&self, n: usize) -> String {
        format!("bench-{}-{n}", self.run)
    }

    /// The same client and receiver without the gateway.
    async fn bare(&self, outbound: &Outbound, n: usize) -> Result<f64, String> {
        let url = format!("http://{}/bare", self.address);
        let body = json!({"type": "hire.tagged", "timestamp": now(), "data": data()}).to_string();
        let began = Instant::now();
        let posts = futures_util::stream::iter(0..n).map(|_| outbound.post(&url, &[], body.clone())).buffer_unordered(64);
        let failed = posts.filter(|answer| std::future::ready(!matches!(answer, Ok(a) if a.status == 200))).count().await;
        if failed > 0 {
            return Err(format!("{failed} bare POSTs failed"));
        }
        Ok(rate(n, began.elapsed()))
    }

    /// Writes events and waits until so many are received.
    async fn round(&self, plan: &Plan, wanted: usize) -> Result<Round, String> {
        let began = Instant::now();
        let slices = futures_util::stream::iter((0..plan.events).step_by(SLICE));
        let mut writing = slices.map(|first| self.write(plan, first, began)).buffered(4);
        let mut committed: HashMap<String, Instant> = HashMap::new();
        while let Some(slice) = writing.next().await {
            committed.extend(slice?);
        }
        let until = Instant::now() + PATIENCE;
        while self.meter.count() < wanted {
            if Instant::now() > until {
                return Err(format!("{} of {wanted} webhooks were received", self.meter.count()));
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let received = self.meter.take();
        let last = received.values().max().copied().unwrap_or(began);
        let span = |(id, at): (&String, &Instant)| committed.get(id).map(|from| at.saturating_duration_since(*from));
        let mut spans: Vec<Duration> = received.iter().filter_map(span).collect();
        spans.sort_unstable();
        if spans.len() != wanted {
            return Err(format!("{} webhooks were received where {wanted} were sent", spans.len()));
        }
        let rate = rate(wanted, last.saturating_duration_since(began));
        Ok(Round { rate, p50: percentile(&spans, 0.5), p99: percentile(&spans, 0.99), received: wanted })
    }

    /// Writes one slice when its time has come; when each event was committed.
    async fn write(&self, plan: &Plan, first: usize, began: Instant) -> Result<Vec<(String, Instant)>, String> {
        if plan.rate > 0 {
            let due = began + Duration::from_secs_f64(first as f64 / f64::from(plan.rate));
            tokio::time::sleep_until(due.into()).await;
        }
        let event = |n: usize| Event {
            id: EventId::new(self.store.fresh_id(now())),
            platform: self.platform(n % plan.endpoints),
            kind: "hire.tagged",
            at: now(),
            posting: None,
            data: data(),
        };
        let events: Vec<Event> = (first..plan.events.min(first + SLICE)).map(event).collect();
        let ids: Vec<String> = events.iter().map(|e| e.id.to_string()).collect();
        self.store.announce(events).await.map_err(text)?;
        let at = Instant::now();
        Ok(ids.into_iter().map(|id| (id, at)).collect())
    }
}

fn now() -> Moment {
    Clock::System.now()
}

/// What a hire's webhook says, in the usual size.
fn data() -> Value {
    json!({
        "sequence": 1, "posting": "0172b622-4a00-70e3-8055-5bed36da5b91", "source_id": "E-1", "hire": "0172b622-4a00-7207-865f-7e24e8349d4e",
        "worker": "5f0c2d1e-9a4b-4c3d-8e2f-1a2b3c4d5e6f", "status": "ACTIVE",
        "tags": {
            "registered_poor": true, "tier_at_hire": "not_lifted", "focus": ["listed-52"], "home_region": "522600", "work_region": "330212",
            "flow": "out_of_province", "relocated": false, "registry_version": 1, "region_revision": "2024-12-31", "rule_version": 1,
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_that_hangs_leaves_the_others_all_they_are_sent() {
        let plan = Plan { endpoints: 10, events: 200, rate: 0, store: None };
        let Measured { bare, healthy, beside_one_hanging } = crate::app::block_on(measure(&plan)).unwrap();
        assert!(bare > 0.0);
        assert_eq!((healthy.received, beside_one_hanging.received), (200, 180));
        // A webhook may hang for 15 s; none of the others waits for it.
        assert!(beside_one_hanging.p99 < Duration::from_secs(10), "{beside_one_hanging:?}");
    }
}
