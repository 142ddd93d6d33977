//! Fetches feeds on a schedule and hands their pages to ingest.
//!
//! Promises: one process at a time is at a feed, and goes on where the last one
//! stopped; what fails, breaks off or is only a part closes nothing; a source that
//! is busy or down is left in peace; a secret goes to the feed's own origin alone
//! and into no log.
//! Does not: read formats (`adapter`), or decide what a full feed closes (`ingest`).
//! Start at: [`Poller::poll_due`].

mod hosts;
mod pull;
mod rules;

use crate::adapter::{Adapter, Adapters};
use crate::clock::Clock;
use crate::config::feeds::PullConfig;
use crate::config::{Config, PollConfig};
use crate::domain::normalize::RULE_VERSION;
use crate::domain::time::Moment;
use crate::ingest::Ingest;
use crate::outbound::Outbound;
use crate::store::feeds::{Claim, Hold, Known, Pulled};
use crate::store::ids::Ids;
use crate::store::{Store, StoreError};
use hosts::Hosts;
use pull::Pull;
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

/// How long a feed stays with a process that says nothing, and how often one that
/// is at work says so.
const LEASE: Duration = Duration::from_secs(60);
const RENEW: Duration = Duration::from_secs(20);

/// Pulls the configured feeds into one store.
#[derive(Clone)]
pub struct Poller {
    store: Store,
    ingest: Ingest,
    outbound: Arc<Outbound>,
    clock: Clock,
    ids: Arc<Ids>,
    feeds: Arc<Vec<Arc<Feed>>>,
    config: PollConfig,
    hosts: Hosts,
    /// Pulls that may begin.
    permits: Arc<Semaphore>,
    /// Feeds that this process is at.
    held: Arc<Mutex<HashMap<String, Hold>>>,
}

struct Feed {
    config: PullConfig,
    adapter: Arc<Adapter>,
    host: String,
}

/// Why a pull did not come to its end.
enum Stop {
    /// Told to the operator. `again`: the next try goes on at this page. `host`: it
    /// speaks of the host, not of this feed alone.
    Failed {
        error: String,
        again: bool,
        host: bool,
        after: Option<Duration>,
    },
    /// The host is left in peace until then.
    Closed(Moment),
    /// Somebody else has the feed now.
    Lost,
    Store(StoreError),
}

impl From<StoreError> for Stop {
    fn from(e: StoreError) -> Self {
        Stop::Store(e)
    }
}

fn failed(error: impl Into<String>, again: bool) -> Stop {
    Stop::Failed { error: error.into(), again, host: false, after: None }
}

/// What keeps configured feeds from being pulled, each with the feed's name.
pub fn problems(outbound: &Outbound, adapters: &Adapters, config: &Config) -> Vec<String> {
    let mut problems = Vec::new();
    for pull in &config.feed.pull {
        let mut tell = |what: String| problems.push(format!("feed {:?}: {what}", pull.name()));
        if let Err(e) = outbound.check(&pull.url) {
            tell(format!("url: {e}"));
        }
        if let Err(e) = pull.auth.header() {
            tell(format!("auth: {e}"));
        }
        for origin in &pull.page_origins {
            if let Err(e) = outbound.check(origin) {
                tell(format!("page_origins: {origin}: {e}"));
            }
        }
        if adapters.get(&pull.adapter).is_none() {
            tell(format!("there is no adapter {:?}", pull.adapter));
        }
    }
    problems
}

impl Poller {
    /// The poller of these settings; every feed that cannot be pulled is told.
    pub fn new(
        ingest: &Ingest,
        outbound: Arc<Outbound>,
        adapters: &Adapters,
        clock: Clock,
        ids: Arc<Ids>,
        config: &Config,
    ) -> Result<Self, String> {
        let problems = problems(&outbound, adapters, config);
        if !problems.is_empty() {
            return Err(problems.join("\n"));
        }
        let of = |pull: &PullConfig| {
            let adapter = adapters.get(&pull.adapter)?.clone();
            Some(Arc::new(Feed { config: pull.clone(), adapter, host: outbound.host(&pull.url) }))
        };
        let feeds: Vec<Arc<Feed>> = config.feed.pull.iter().filter_map(of).collect();
        let (store, ingest) = (ingest.store.clone(), ingest.clone());
        let (config, permits) = (config.poll.clone(), Arc::new(Semaphore::new(config.poll.parallel)));
        let hosts = Hosts::new(config.host_interval, config.breaker_failures, config.breaker_open);
        Ok(Self { store, ingest, outbound, clock, ids, feeds: Arc::new(feeds), config, hosts, permits, held: Arc::default() })
    }

    /// Makes the configured feeds known to the store.
    pub async fn begin(&self) -> Result<(), StoreError> {
        if self.feeds.is_empty() {
            return Ok(());
        }
        let now = self.clock.now();
        let known = |(place, feed): (usize, &Arc<Feed>)| Known {
            name: feed.config.name(),
            fingerprint: feed.fingerprint(),
            due: now.plus(rules::stagger(place, self.feeds.len(), feed.config.every)),
        };
        self.store.know_feeds(self.feeds.iter().enumerate().map(known).collect(), now).await
    }

    /// Pulls what is due, as many as `poll.parallel` allows; says how many feeds were
    /// asked.
    pub async fn poll_due(&self) -> Result<usize, StoreError> {
        let due = self.due().await?;
        let outcomes = futures_util::future::join_all(due.iter().map(|feed| self.pull_if_due(feed))).await;
        outcomes.into_iter().try_fold(0, |n, asked| Ok(n + usize::from(asked?)))
    }

    /// Pulls what is due, looking again and again; a slow feed keeps no other waiting.
    pub async fn run(self, look: Duration) {
        let mut pulls = JoinSet::new();
        loop {
            while let Some(ended) = pulls.try_join_next() {
                match ended {
                    Ok(Ok(_)) => {}
                    Ok(Err(e)) => tracing::warn!(error = %e, "a feed is asked again"),
                    Err(_) => tracing::error!("a pull broke down; its feed is asked again once its lease is over"),
                }
            }
            match self.due().await {
                Ok(due) => {
                    for feed in due {
                        let poller = self.clone();
                        pulls.spawn_local(async move { poller.pull_if_due(&feed).await });
                    }
                }
                Err(e) => tracing::warn!(error = %e, "feeds are looked for again"),
            }
            tokio::time::sleep(look).await;
        }
    }

    /// Hands back the feeds that this process was at when it was stopped, so that
    /// whoever comes next goes on with them at once.
    pub async fn give_back(&self) {
        let held = std::mem::take(&mut *self.held.lock().unwrap_or_else(|e| e.into_inner()));
        for hold in held.into_values() {
            if let Err(e) = self.store.give_feed_back(hold).await {
                tracing::warn!(error = %e, "a feed waits for its lease");
            }
        }
    }

    async fn due(&self) -> Result<Vec<Arc<Feed>>, StoreError> {
        if self.feeds.is_empty() || self.permits.available_permits() == 0 {
            return Ok(Vec::new());
        }
        let due = self.store.due_feeds(self.clock.now()).await?;
        Ok(self.feeds.iter().filter(|f| due.contains(&f.config.name())).cloned().collect())
    }

    async fn pull_if_due(&self, feed: &Feed) -> Result<bool, StoreError> {
        let Ok(_permit) = self.permits.try_acquire() else { return Ok(false) };
        let Some(claim) = self.store.claim_feed(feed.config.name(), LEASE, self.clock.now()).await? else { return Ok(false) };
        let held = || self.held.lock().unwrap_or_else(|e| e.into_inner());
        held().insert(claim.hold.name.clone(), claim.hold.clone());
        let mut pull = Pull::new(self, feed, &claim);
        let ended = tokio::select! {
            ended = pull.run() => ended,
            lost = self.keep(&claim) => Err(lost),
        };
        let ended = self.end(feed, &claim, &pull, ended).await;
        held().remove(&claim.hold.name);
        ended.map(|()| true)
    }

    /// Stores how a pull ended and when the next one is due.
    async fn end(&self, feed: &Feed, claim: &Claim, pull: &Pull<'_>, ended: Result<Pulled, Stop>) -> Result<(), StoreError> {
        let (name, now, chance) = (claim.hold.name.as_str(), self.clock.now(), self.ids.bytes::<1>()[0]);
        let count = |outcome: &'static str| {
            metrics::counter!("doorstep_polls_total", "feed" => name.to_owned(), "outcome" => outcome).increment(1);
        };
        // What the store did not take is as much a failure as what did not come; its
        // own words are for the log.
        let ended = ended.map_err(|stop| match stop {
            Stop::Store(e) => {
                tracing::warn!(feed = name, error = %e, "the store did not take a page");
                failed("the store did not take it; the log says why", true)
            }
            other => other,
        });
        match ended {
            Ok(pulled) => {
                let due = rules::next_pull(now, feed.config.every, chance);
                let outcome = if matches!(pulled, Pulled::Same) { "same" } else { "whole" };
                let kept = self.store.end_pull(claim, pulled, self.hosts.standing(&feed.host, now), due, now).await?;
                count(if kept { outcome } else { "lost" });
                tracing::info!(feed = name, outcome, pages = pull.pages(), "pulled");
            }
            Err(Stop::Failed { error, again, host, after }) => {
                count("failed");
                tracing::warn!(feed = name, error, failures = claim.failures + 1, "a pull failed");
                if host {
                    self.hosts.bad(&feed.host, after, now);
                }
                let again = again && pull.pages() > 0;
                if !again {
                    pull.break_off().await?;
                }
                let pause = rules::pause(claim.failures + 1, self.config.retry_first, self.config.retry_most, after, chance);
                let standing = self.hosts.standing(&feed.host, now);
                self.store.end_pull(claim, Pulled::Failed { error, again }, standing, now.plus(pause), now).await?;
            }
            Err(Stop::Closed(until)) => {
                count("put_off");
                self.store.put_off_feed(claim, self.hosts.standing(&feed.host, now), until).await?;
            }
            Err(Stop::Lost | Stop::Store(_)) => {
                count("lost");
                tracing::warn!(feed = name, "another process has taken the feed over");
            }
        }
        Ok(())
    }

    /// Holds the feed as long as it is ours.
    async fn keep(&self, claim: &Claim) -> Stop {
        loop {
            tokio::time::sleep(RENEW).await;
            match self.store.hold_feed(claim, LEASE, self.clock.now()).await {
                Ok(true) => {}
                Ok(false) => return Stop::Lost,
                // The lease outlives a store that is away for a moment.
                Err(e) => tracing::warn!(feed = claim.hold.name, error = %e, "a lease is renewed again"),
            }
        }
    }
}

impl Feed {
    /// Of all that decides what its answers mean: where it changes, nothing that was
    /// kept of them holds.
    fn fingerprint(&self) -> Vec<u8> {
        let c = &self.config;
        let mut hash = Sha256::new();
        let text = |t: &Option<String>| t.clone().unwrap_or_default();
        let (cursor, page, complete) = (text(&c.cursor_param), text(&c.page_param), c.complete.to_string());
        for part in [&c.url, &c.adapter, &c.platform, &cursor, &page, &complete, RULE_VERSION, env!("CARGO_PKG_VERSION")] {
            hash.update(part);
            hash.update([0]);
        }
        hash.update(self.adapter.fingerprint());
        hash.finalize()[..16].to_vec()
    }
}
