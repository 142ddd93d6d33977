//! Fetches feeds on a schedule and hands their pages to ingest.
//!
//! Promises: one process at a time is at a feed, and goes on where the last one
//! stopped; what fails, breaks off or is only a part closes nothing; a source that
//! is busy or down is left in peace; a secret goes to the feed's own origin alone
//! and into no log.
//! Does not: read formats (`adapter`), or decide what a full feed closes (`ingest`).
//! Start at: [`Poller::poll_due`].

mod rules;

use crate::adapter::{Adapter, Adapters};
use crate::clock::Clock;
use crate::config::feeds::PullConfig;
use crate::config::{Config, PollConfig};
use crate::domain::normalize::RULE_VERSION;
use crate::domain::time::Moment;
use crate::ingest::{Batch, BatchError, Ingest, RunPart};
use crate::outbound::{CallError, Fetch, Fetched, Outbound};
use crate::store::feeds::{Claim, Known, Pulled, UnderWay};
use crate::store::ids::Ids;
use crate::store::{Store, StoreError};
use rules::{Breaker, Leads, Next, Verdict};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::sync::Semaphore;

/// How long a feed stays with a process that says nothing, and how often one that
/// is at work says so.
const LEASE: Duration = Duration::from_secs(60);
const RENEW: Duration = Duration::from_secs(20);
/// Rejects of a pull that are kept for the operator.
const REJECTS_KEPT: usize = 20;

/// Pulls the configured feeds into one store.
#[derive(Clone)]
pub struct Poller {
    store: Store,
    ingest: Ingest,
    outbound: Arc<Outbound>,
    clock: Clock,
    ids: Arc<Ids>,
    feeds: Arc<Vec<Feed>>,
    config: PollConfig,
    hosts: Arc<Mutex<HashMap<String, Host>>>,
    /// Pulls that may begin.
    permits: Arc<Semaphore>,
}

struct Feed {
    config: PullConfig,
    adapter: Arc<Adapter>,
    host: String,
}

/// What is remembered of a host while the process lives.
#[derive(Default)]
struct Host {
    breaker: Breaker,
    /// No request before.
    free_at: Option<Instant>,
}

/// Why a pull did not come to its end.
enum Stop {
    /// Told to the operator. `again`: the next try goes on at this page.
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
            Some(Feed { config: pull.clone(), adapter, host: outbound.host(&pull.url) })
        };
        let feeds: Vec<Feed> = config.feed.pull.iter().filter_map(of).collect();
        let (store, ingest) = (ingest.store.clone(), ingest.clone());
        let (config, permits) = (config.poll.clone(), Arc::new(Semaphore::new(config.poll.parallel)));
        Ok(Self { store, ingest, outbound, clock, ids, feeds: Arc::new(feeds), config, hosts: Arc::default(), permits })
    }

    /// Makes the configured feeds known to the store.
    pub async fn begin(&self) -> Result<(), StoreError> {
        let known = self.feeds.iter().map(|f| {
            let mut hash = Sha256::new();
            // Other rules read the same bytes otherwise.
            for part in [&f.config.url, &f.config.adapter, &f.config.platform, RULE_VERSION, env!("CARGO_PKG_VERSION")] {
                hash.update(part);
                hash.update([0]);
            }
            Known { name: f.config.name(), fingerprint: hash.finalize()[..16].to_vec() }
        });
        if self.feeds.is_empty() { Ok(()) } else { self.store.know_feeds(known.collect(), self.clock.now()).await }
    }

    /// Pulls what is due, as many as `poll.parallel` allows beside those that are
    /// under way; says how many feeds were asked.
    pub async fn poll_due(&self) -> Result<usize, StoreError> {
        if self.feeds.is_empty() {
            return Ok(0);
        }
        let due = self.store.due_feeds(self.clock.now()).await?;
        let due = self.feeds.iter().filter(|f| due.contains(&f.config.name()));
        let outcomes = futures_util::future::join_all(due.map(|feed| self.pull_if_due(feed))).await;
        outcomes.into_iter().try_fold(0, |n, asked| Ok(n + usize::from(asked?)))
    }

    /// Hosts that are left in peace just now.
    pub fn open_breakers(&self) -> usize {
        let now = self.clock.now();
        self.hosts.lock().unwrap_or_else(|e| e.into_inner()).values().filter(|h| h.breaker.is_open(now)).count()
    }

    async fn pull_if_due(&self, feed: &Feed) -> Result<bool, StoreError> {
        let Ok(_permit) = self.permits.try_acquire() else { return Ok(false) };
        let Some(claim) = self.store.claim_feed(feed.config.name(), LEASE, self.clock.now()).await? else { return Ok(false) };
        let ended = tokio::select! {
            ended = self.pull(feed, &claim) => ended,
            lost = self.keep(&claim) => Err(lost),
        };
        let now = self.clock.now();
        let chance = self.ids.bytes::<1>()[0];
        let name = feed.config.name();
        let count =
            |outcome: &'static str| metrics::counter!("doorstep_polls_total", "feed" => name.clone(), "outcome" => outcome).increment(1);
        match ended {
            Ok(pulled) => {
                count(if matches!(pulled, Pulled::Same) { "same" } else { "whole" });
                tracing::info!(feed = %name, "pulled");
                self.store.end_pull(&claim, pulled, rules::next_pull(now, feed.config.every, chance), now).await?;
            }
            Err(Stop::Failed { error, again, host, after }) => {
                count("failed");
                tracing::warn!(feed = %name, error, failures = claim.failures + 1, "a pull failed");
                if host {
                    self.host(&feed.host, |h| h.breaker.bad(now, self.config.breaker_failures, self.config.breaker_open));
                }
                let pause = rules::pause(claim.failures + 1, self.config.retry_first, self.config.retry_most, after, chance);
                self.store.end_pull(&claim, Pulled::Failed { error, again }, now.plus(pause), now).await?;
            }
            Err(Stop::Closed(until)) => {
                count("put_off");
                self.store.put_off_feed(&claim, until).await?;
            }
            Err(Stop::Lost) => count("lost"),
            Err(Stop::Store(e)) => return Err(e),
        }
        Ok(true)
    }

    /// Holds the feed as long as it is ours.
    async fn keep(&self, claim: &Claim) -> Stop {
        loop {
            tokio::time::sleep(RENEW).await;
            match self.store.hold_feed(claim, LEASE, self.clock.now()).await {
                Ok(true) => {}
                Ok(false) => return Stop::Lost,
                Err(e) => return Stop::Store(e),
            }
        }
    }

    fn host<T>(&self, host: &str, act: impl FnOnce(&mut Host) -> T) -> T {
        act(self.hosts.lock().unwrap_or_else(|e| e.into_inner()).entry(host.to_owned()).or_default())
    }

    /// One pull, page by page, from where the last one stopped.
    async fn pull(&self, feed: &Feed, claim: &Claim) -> Result<Pulled, Stop> {
        let started_at = self.clock.now();
        let fresh = || UnderWay {
            run: format!("{}@{}", claim.name, started_at.ms()),
            page: 0,
            next: feed.config.url.clone(),
            totals: json!({}),
            started_at,
        };
        if feed.config.complete && claim.under_way.is_none() {
            self.store.abandon_runs(feed.config.platform.clone(), &format!("{}@", claim.name), started_at).await?;
        }
        let mut at = claim.under_way.clone().unwrap_or_else(fresh);
        let mut seen = HashSet::new();
        loop {
            if !seen.insert(at.next.clone()) {
                return Err(failed("its pages lead back to one that was read", false));
            }
            if at.page >= self.config.max_pages {
                return Err(failed(format!("it has more than {} pages (poll.max_pages)", self.config.max_pages), false));
            }
            // Only a feed of one page can say of itself that all of it is the same.
            let stale = claim.read_at.is_none_or(|t| t.plus(self.config.refresh) <= started_at);
            let known = claim.etag.is_some() || claim.last_modified.is_some();
            let asked = at.page == 0 && known && !stale;
            let fetched = self.fetch(feed, claim, &at.next, asked).await?;
            match rules::judge(fetched.status, asked) {
                Verdict::Same => {
                    self.host(&feed.host, |h| h.breaker.good());
                    return Ok(Pulled::Same);
                }
                Verdict::Take => self.host(&feed.host, |h| h.breaker.good()),
                Verdict::Refused { host } => {
                    let after = fetched.retry_after.map(|r| r.from(self.clock.now()));
                    // A page that is gone is not waited for: the pull begins anew.
                    let again = host || matches!(fetched.status, 401 | 403);
                    return Err(Stop::Failed { error: format!("HTTP {}", fetched.status), again, host, after });
                }
            }
            let (etag, last_modified) = (fetched.etag.clone(), fetched.last_modified.clone());
            let next = self.take(feed, &mut at, fetched).await?;
            match next {
                Some(next) => {
                    at.next = next;
                    if !self.store.advance_feed(claim, at.clone(), LEASE, self.clock.now()).await? {
                        return Err(Stop::Lost);
                    }
                }
                None => {
                    at.totals["pages"] = json!(at.page);
                    at.totals["seconds"] = json!((self.clock.now().ms() - at.started_at.ms()) as f64 / 1000.0);
                    let (etag, last_modified) = if at.page == 1 { (etag, last_modified) } else { (None, None) };
                    return Ok(Pulled::Whole { etag, last_modified, facts: at.totals });
                }
            }
        }
    }

    async fn fetch(&self, feed: &Feed, claim: &Claim, url: &str, asked: bool) -> Result<Fetched, Stop> {
        let now = self.clock.now();
        let wait = self.host(&feed.host, |h| {
            h.breaker.ask(now, self.config.breaker_open)?;
            let at = h.free_at.unwrap_or_else(Instant::now).max(Instant::now());
            h.free_at = Some(at + self.config.host_interval);
            Ok(at - Instant::now())
        });
        tokio::time::sleep(wait.map_err(Stop::Closed)?).await;
        let mut headers = Vec::new();
        if asked {
            headers.extend(claim.etag.clone().map(|tag| ("if-none-match", tag)));
            headers.extend(claim.last_modified.clone().map(|at| ("if-modified-since", at)));
        }
        let secret = feed.config.auth.header().map_err(|e| failed(format!("auth: {e}"), true))?;
        let (timeout, idle, max_body) = (self.config.timeout, self.config.idle, self.config.max_body);
        self.outbound.fetch(Fetch { url, headers, secret, timeout, idle, max_body }).await.map_err(|e| {
            let host = matches!(e, CallError::Timeout | CallError::Connect(_) | CallError::Unresolved | CallError::Broken(_));
            Stop::Failed { error: e.to_string(), again: host, host, after: None }
        })
    }

    /// Hands a page to ingest; the address of the next one.
    async fn take(&self, feed: &Feed, at: &mut UnderWay, fetched: Fetched) -> Result<Option<String>, Stop> {
        let adapter = feed.adapter.clone();
        let format = fetched.content_type.as_deref().and_then(|kind| adapter.format_of(kind));
        let (reader, body) = (adapter.clone(), fetched.body);
        let looked = tokio::task::spawn_blocking(move || {
            let records = match format {
                Some(format) => reader.count_as(format, &body),
                None => reader.count(&body),
            };
            let cursor = reader.cursor(&body);
            (records, cursor, body)
        });
        let (records, cursor, body) = looked.await.map_err(|_| failed("reading it failed", false))?;
        let records = records.map_err(|e| failed(format!("{}: {e}", e.code()), false))?;
        let leads = Leads {
            cursor: cursor.as_deref(),
            links: &fetched.links,
            cursor_param: feed.config.cursor_param.as_deref(),
            page_param: feed.config.page_param.as_deref(),
            page: at.page + 1,
            records,
        };
        let next = rules::next(&leads).map_err(|e| failed(e, false))?;
        let by_link = matches!(next, Some(Next::Link(_)));
        let next = next.map(|next| self.outbound.lead(&feed.config.url, &at.next, &next_parts(&next))).transpose();
        let next = next.map_err(|e| failed(e.to_string(), false))?;
        // A cursor that stays where it is ends the pages; a link to itself is a loop.
        let next = next.filter(|n| n != &at.next || by_link);
        let complete = feed.config.complete;
        if complete && !fetched.whole {
            return Err(failed("the answer does not say where it ends, so it may have been cut: no full feed", false));
        }
        let run = complete.then(|| RunPart { run: at.run.clone(), complete: next.is_none(), expected: None });
        let batch =
            Batch { platform: feed.config.platform.clone(), adapter, format, body, once: None, dry_run: false, run, metered: false };
        let ingest = Ingest { hold_share: feed.config.hold_share.unwrap_or(self.ingest.hold_share), ..self.ingest.clone() };
        let answer = match ingest.push(batch, self.clock.now()).await {
            Ok((answer, _)) => answer.body,
            Err(BatchError::Store(e)) => return Err(Stop::Store(e)),
            Err(BatchError::Body(e)) => return Err(failed(format!("{}: {e}", e.code()), false)),
            Err(BatchError::RunEnded) => return Err(failed("its run was ended by somebody else", false)),
            Err(_) => return Err(failed("it could not be taken in", true)),
        };
        at.page += 1;
        add(&mut at.totals, &answer);
        Ok(next)
    }
}

fn next_parts(next: &Next) -> (Option<&str>, &str) {
    match next {
        Next::Link(link) => (None, link),
        Next::Param(name, value) => (Some(name), value),
    }
}

/// Adds a page's answer to what the pull came to so far.
fn add(totals: &mut Value, answer: &Value) {
    for name in ["received", "created", "updated", "unchanged", "closed", "skipped"] {
        totals[name] = json!(totals[name].as_u64().unwrap_or(0) + answer[name].as_u64().unwrap_or(0));
    }
    let rejected = answer["rejected"].as_array().map(Vec::as_slice).unwrap_or_default();
    totals["rejected"] = json!(totals["rejected"].as_u64().unwrap_or(0) + rejected.len() as u64);
    let mut kept = totals["rejects"].as_array().cloned().unwrap_or_default();
    kept.extend(rejected.iter().take(REJECTS_KEPT.saturating_sub(kept.len())).cloned());
    totals["rejects"] = json!(kept);
    totals["held"] = answer["held"].clone();
}
