//! The whole main job on real machinery, told as a story: an invented registry is
//! read in, feeds of several platforms come in through their adapters over HTTP,
//! workers answer, hires are reported, tagged and passed back to a receiver, and
//! the office's report is printed.
//!
//! Promises: everything goes over the sockets and the API that clients use; a step
//! that does not come out as it should ends the story with its name and an error.
//! Nothing is needed but this binary; nothing of it is left behind.
//! Start at: [`tell`].

mod cast;
pub mod registry;
mod story;
mod table;

use crate::app::{Gateway, Parts};
use crate::clock::Clock;
use crate::config::Config;
use crate::domain::time::Moment;
use crate::http::sink::Sink;
use crate::outbound::ApiClient;
use crate::scratch::Scratch;
use crate::store::ids::Ids;
use std::sync::Arc;
use std::time::Instant;

/// What is shown.
#[derive(Clone, Debug)]
pub struct Plan {
    pub workers: usize,
    pub listen: String,
    /// Stay up afterwards.
    pub serve: bool,
    pub seed: u64,
}

/// The morning on which the samples' postings are fresh.
const MORNING: &str = "2020-06-01T09:00:00+08:00";

/// What the scenes of the story share.
struct Stage {
    gateway: Gateway,
    api: ApiClient,
    sink: Arc<Sink>,
    sink_address: std::net::SocketAddr,
    clock: Clock,
    plan: Plan,
    /// What each part took.
    times: Vec<(&'static str, std::time::Duration)>,
}

impl Stage {
    /// Runs one part of the story and keeps its time.
    async fn part<T>(&mut self, name: &'static str, work: impl AsyncFnOnce(&mut Self) -> Result<T, String>) -> Result<T, String> {
        eprintln!("· {name}");
        let started = Instant::now();
        let made = work(self).await.map_err(|e| format!("{name}: {e}"))?;
        self.times.push((name, started.elapsed()));
        Ok(made)
    }
}

/// Tells the story; the error names the step that did not come out as it should.
pub async fn tell(plan: Plan) -> Result<(), String> {
    if !(100..=registry::MOST).contains(&plan.workers) {
        return Err(format!("--workers must be 100 to {}", registry::MOST));
    }
    let started = Instant::now();
    let folder = Scratch::make("demo").map_err(|e| e.to_string())?;
    let (sink, sink_address, sink_handle) = Sink::start().map_err(|e| e.to_string())?;
    let clock = Clock::starting_at(Moment::parse(MORNING).ok_or("the morning is a time")?);
    let mut stage = build(&folder, &plan, sink, sink_address, clock).await?;
    let told = story::play(&mut stage).await?;
    println!("{}", told.text());
    println!("The whole story took {:.1} s.", started.elapsed().as_secs_f64());
    if plan.serve {
        let invitation = story::invite(&mut stage, &told).await?;
        println!("\n{invitation}");
        let Stage { mut gateway, .. } = stage;
        gateway.start_loops();
        gateway.run().await.map_err(|e| e.to_string())?;
    } else {
        stage.gateway.stop().await;
    }
    sink_handle.stop(true).await;
    Ok(())
}

async fn build(folder: &Scratch, plan: &Plan, sink: Arc<Sink>, sink_address: std::net::SocketAddr, clock: Clock) -> Result<Stage, String> {
    let keys = folder.keys()?;
    let mut config = Config::defaults();
    config.store.url = format!("sqlite://{}", folder.path().join("doorstep.db").display());
    config.http.listen = plan.listen.clone();
    config.outbound.allow = vec![sink_address.to_string()];
    // One client speaks for a whole county's people here.
    config.limits.requests = 1_000_000;
    config.limits.requests_burst = 1_000_000;
    config.limits.anonymous = 1_000_000;
    config.limits.anonymous_burst = 1_000_000;
    config.limits.records = 1_000_000;
    config.limits.records_burst = 1_000_000;
    let ids = Arc::new(Ids::seeded(plan.seed));
    let parts = Parts { config, keys: Arc::new(keys), clock: clock.clone(), ids, background: false };
    let gateway = Gateway::start(parts).await?;
    let api = ApiClient::new(gateway.address).map_err(|e| e.to_string())?;
    Ok(Stage { gateway, api, sink, sink_address, clock, plan: plan.clone(), times: Vec::new() })
}
