//! Sends what is due to webhook endpoints.
//!
//! Promises: an event is sent under one id, with the same bytes, until it is received,
//! given up or its endpoint disabled; a process that dies leaves its leases to expire;
//! sending never waits for a batch to end, so that a receiver that is slow or hangs
//! delays nobody else; outcomes are stored many at a time.
//! Start at: [`Deliverer::run`].

mod lanes;

use crate::clock::Clock;
use crate::config::Config;
use crate::domain::time::Moment;
use crate::outbound::{CallError, Outbound};
use crate::store::deliveries::{Attempted, Due, Lease, Next, Waiting, Want};
use crate::store::endpoints::Address;
use crate::store::ids::Ids;
use crate::store::{Store, StoreError};
use crate::webhook;
use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use lanes::{Heard, Lanes, Terms, Turn};
use std::sync::Arc;
use std::time::Duration;

/// Beyond the time that a webhook may take, a lease holds for as long as it may wait.
const LEASE: Duration = Duration::from_secs(45);
/// How often what is due is looked for when nothing wakes.
const LOOK: Duration = Duration::from_millis(500);
/// Commits that follow each other are looked at together.
const GATHER: Duration = Duration::from_millis(2);
/// Before what failed in the store is tried again.
const AGAIN: Duration = Duration::from_secs(1);
/// Longest that a receiver may ask to be left alone.
const QUIET_MOST: Duration = Duration::from_secs(24 * 3600);
/// Between two transactions that delete what is no longer kept.
const PACE: Duration = Duration::from_millis(50);

/// Delivers webhooks of one store.
#[derive(Clone)]
pub struct Deliverer {
    store: Store,
    outbound: Arc<Outbound>,
    clock: Clock,
    ids: Arc<Ids>,
    terms: Terms,
    disable_after: Duration,
    keep: Duration,
    lanes: Arc<tokio::sync::Mutex<Lanes>>,
}

/// A step of taking what is due.
enum Step {
    Seen(Vec<Waiting>),
    Taken(Vec<Want>, Vec<Address>, Vec<Due>),
}

impl Deliverer {
    pub fn new(store: Store, outbound: Arc<Outbound>, clock: Clock, ids: Arc<Ids>, config: &Config) -> Self {
        let d = &config.deliver;
        let terms = Terms {
            parallel: d.parallel,
            per_endpoint: d.per_endpoint,
            breaker_failures: d.breaker_failures,
            breaker_pause: d.breaker_pause,
            timeout: d.timeout,
        };
        let lanes = Arc::new(tokio::sync::Mutex::new(Lanes::new(terms)));
        Self { store, outbound, clock, ids, terms, disable_after: d.disable_after, keep: d.keep, lanes }
    }

    /// Sends what is due and what becomes due, for ever.
    pub async fn run(self) {
        loop {
            if let Err(e) = self.work(true).await {
                tracing::warn!(error = %e, "webhooks are tried again");
            }
            tokio::time::sleep(AGAIN).await;
        }
    }

    /// Sends everything that is due and may be sent now; says how much was done.
    pub async fn deliver_due(&self) -> Result<usize, StoreError> {
        let sent = self.work(false).await?;
        Ok(sent + self.store.tend_deliveries(self.clock.now()).await?)
    }

    /// Goes on with what is too long for one transaction, and forgets what is older than
    /// `deliver.keep`, for ever.
    pub async fn tend(self) {
        let mut rounds = 0u32;
        loop {
            match self.store.tend_deliveries(self.clock.now()).await {
                Ok(0) => tokio::time::sleep(LOOK).await,
                Ok(_) => tokio::time::sleep(PACE).await,
                Err(e) => {
                    tracing::warn!(error = %e, "what is due to disabled endpoints stays a while");
                    tokio::time::sleep(AGAIN).await;
                }
            }
            rounds = rounds.wrapping_add(1);
            if rounds % 120 == 1
                && let Err(e) = self.forget(PACE).await
            {
                tracing::warn!(error = %e, "old events stay a while");
            }
        }
    }

    /// Deletes what is older than `deliver.keep`, in small steps with a pause between;
    /// says how many events and attempts went.
    pub async fn forget(&self, pace: Duration) -> Result<u64, StoreError> {
        if self.keep.is_zero() {
            return Ok(0);
        }
        let before = self.clock.now().minus(self.keep);
        let (mut all, mut position) = (0, 0);
        loop {
            let (reached, gone) = self.store.forget_events(position, before).await?;
            all += gone;
            if reached == position {
                break;
            }
            position = reached;
            tokio::time::sleep(pace).await;
        }
        loop {
            let gone = self.store.forget_attempts(before).await?;
            if gone == 0 {
                return Ok(all);
            }
            all += gone;
            tokio::time::sleep(pace).await;
        }
    }

    /// Takes, sends and stores side by side. Ends on an error of the store or, unless it
    /// goes on for ever, once nothing is left that may be sent now.
    async fn work(&self, forever: bool) -> Result<usize, StoreError> {
        let mut lanes = self.lanes.lock().await;
        lanes.begin();
        let mut events = self.store.event_commits();
        let mut tick = tokio::time::interval(LOOK);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut taking: FuturesUnordered<BoxFuture<'_, Result<Step, StoreError>>> = FuturesUnordered::new();
        let (mut sending, mut storing) = (FuturesUnordered::new(), FuturesUnordered::new());
        let mut outcomes: Vec<Attempted> = Vec::new();
        let mut returned: Vec<Lease> = Vec::new();
        let (mut look, mut sent) = (true, 0);
        loop {
            if (look || lanes.wants_more(self.clock.now())) && taking.is_empty() {
                look = false;
                events.mark_unchanged();
                taking.push(Box::pin(async move {
                    if forever {
                        tokio::time::sleep(GATHER).await;
                    }
                    self.store.waiting().await.map(Step::Seen)
                }));
            }
            while let Some(turn) = lanes.next(self.clock.now()) {
                sent += 1;
                sending.push(self.send(turn));
            }
            returned.extend(lanes.given_back());
            if storing.is_empty() && !(outcomes.is_empty() && returned.is_empty()) {
                storing.push(self.store_outcomes(std::mem::take(&mut outcomes), std::mem::take(&mut returned), forever));
            }
            tokio::select! {
                Some(step) = taking.next() => match step {
                    // The next look tries again; what is in flight goes on.
                    Err(e) if forever && e.is_temporary() => tracing::warn!(error = %e, "what is due is not known"),
                    Err(e) => return Err(e),
                    Ok(Step::Seen(seen)) => {
                        let (wants, unknown) = lanes.plan(&seen, self.clock.now());
                        if !wants.is_empty() {
                            taking.push(Box::pin(self.take(wants, unknown)));
                        }
                    }
                    Ok(Step::Taken(wants, addresses, due)) => {
                        look |= !due.is_empty() && !forever;
                        lanes.take_in(&wants, addresses, due);
                    }
                },
                Some((attempted, heard)) = sending.next() => {
                    let attempted: Attempted = attempted;
                    lanes.ended(attempted.lease.endpoint, heard, self.clock.now());
                    outcomes.push(attempted);
                }
                Some(stored) = storing.next() => stored?,
                Ok(()) = events.changed(), if forever => look = true,
                _ = tick.tick(), if forever => look = true,
                else => return Ok(sent),
            }
        }
    }

    async fn take(&self, wants: Vec<Want>, unknown: Vec<crate::domain::id::EndpointId>) -> Result<Step, StoreError> {
        let lease = self.terms.timeout + LEASE;
        let addresses = if unknown.is_empty() { Vec::new() } else { self.store.addresses(unknown).await? };
        let due = self.store.take_due(wants.clone(), lease, self.clock.now()).await?;
        Ok(Step::Taken(wants, addresses, due))
    }

    /// Stores outcomes; unless a caller waits, until the store has them.
    async fn store_outcomes(&self, attempted: Vec<Attempted>, given_back: Vec<Lease>, forever: bool) -> Result<(), StoreError> {
        let (attempted, given_back) = (Arc::new(attempted), Arc::new(given_back));
        loop {
            let now = self.clock.now();
            match self.store.attempted(attempted.clone(), given_back.clone(), self.disable_after, now).await {
                Err(e) if forever && e.is_temporary() => {
                    tracing::warn!(error = %e, "outcomes of webhooks are stored again");
                    tokio::time::sleep(AGAIN).await;
                }
                stored => return stored,
            }
        }
    }

    async fn send(&self, turn: Turn) -> (Attempted, Heard) {
        let Turn { receiver, due } = turn;
        let (id, body) = (due.event.id.to_string(), webhook::body(&due.event));
        let at = self.clock.now();
        let headers = [
            ("webhook-id", id.clone()),
            ("webhook-timestamp", (at.ms() / 1000).to_string()),
            ("webhook-signature", receiver.signer.sign(&id, at, &body)),
        ];
        let answer = self.outbound.post(&receiver.url, &headers, body).await;
        let now = self.clock.now();
        let (status, error, retry_after) = match &answer {
            Ok(a) => (Some(a.status), None, a.retry_after.map(|r| r.from(now))),
            Err(e) => (None, Some(e.to_string()), None),
        };
        let delivered = status.is_some_and(|s| (200..300).contains(&s));
        let next = if delivered {
            Next::Delivered
        } else if status == Some(410) {
            Next::Gone
        } else if matches!(answer, Err(CallError::Forbidden(_))) {
            Next::Dead
        } else {
            webhook::retry_at(now, due.tries, self.ids.bytes::<1>()[0], retry_after).map_or(Next::Dead, Next::RetryAt)
        };
        metrics::counter!("doorstep_webhooks_total", "outcome" => if delivered { "delivered" } else { "failed" }).increment(1);
        (Attempted { lease: due.lease, at: now, status, error, next }, heard(delivered, status, retry_after, now))
    }
}

/// A receiver that says when it is there again (RFC 9110 §10.2.3) is left alone until then.
fn heard(delivered: bool, status: Option<u16>, retry_after: Option<Duration>, now: Moment) -> Heard {
    match retry_after {
        _ if delivered => Heard::Received,
        Some(asked) if matches!(status, Some(429 | 503)) => Heard::Later(now.plus(asked.min(QUIET_MOST))),
        _ => Heard::Failed,
    }
}
