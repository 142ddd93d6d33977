//! Sends what is due to webhook endpoints.
//!
//! Promises: an event is sent under one id until it is received, given up or its
//! endpoint disabled; a process that dies leaves its lease to expire; one slow
//! receiver holds at most its share of what is in flight.

use crate::clock::Clock;
use crate::config::Config;
use crate::outbound::{CallError, Outbound};
use crate::store::endpoints::{Attempted, Due, Next};
use crate::store::ids::Ids;
use crate::store::{Store, StoreError};
use crate::webhook;
use futures_util::StreamExt;
use std::sync::Arc;
use std::time::Duration;

/// Longer than any call may take, so that a lease never runs out under one.
const LEASE: Duration = Duration::from_secs(60);

/// Delivers webhooks of one store.
#[derive(Clone)]
pub struct Deliverer {
    store: Store,
    outbound: Arc<Outbound>,
    clock: Clock,
    ids: Arc<Ids>,
    parallel: usize,
    disable_after: Duration,
}

impl Deliverer {
    pub fn new(store: Store, outbound: Arc<Outbound>, clock: Clock, ids: Arc<Ids>, config: &Config) -> Self {
        Self { store, outbound, clock, ids, parallel: config.deliver.parallel, disable_after: config.deliver.disable_after }
    }

    /// Sends a batch of what is due; says how many were tried.
    pub async fn deliver_due(&self) -> Result<usize, StoreError> {
        let due = self.store.take_due(self.parallel as i64 * 4, LEASE, self.clock.now()).await?;
        let n = due.len();
        let outcomes = futures_util::stream::iter(due).map(|d| self.send(d)).buffer_unordered(self.parallel);
        outcomes.fold(Ok(n), |all, one| async { one.and(all) }).await
    }

    async fn send(&self, due: Due) -> Result<(), StoreError> {
        let (id, body) = (due.event.id.to_string(), webhook::body(&due.event));
        let at = self.clock.now();
        let timestamp = at.ms() / 1000;
        let headers = [
            ("webhook-id", id.clone()),
            ("webhook-timestamp", timestamp.to_string()),
            ("webhook-signature", webhook::signature(&due.secrets, &id, timestamp, &body)),
        ];
        let answer = self.outbound.post(&due.url, &headers, body).await;
        let (status, error, retry_after) = match &answer {
            Ok(a) => (Some(a.status), None, a.retry_after.map(|r| r.from(at))),
            Err(e) => (None, Some(e.to_string()), None),
        };
        let delivered = status.is_some_and(|s| (200..300).contains(&s));
        let gone = status == Some(410);
        let failing_for = due.failing_since.map_or(0, |since| at.ms() - since.ms());
        let given_up = failing_for > i64::try_from(self.disable_after.as_millis()).unwrap_or(i64::MAX);
        let next = if delivered {
            Next::Delivered
        } else if gone || given_up {
            Next::Disable
        } else if matches!(answer, Err(CallError::Forbidden(_))) {
            Next::Dead
        } else {
            webhook::retry_at(at, due.tries, self.ids.bytes::<1>()[0], retry_after).map_or(Next::Dead, Next::RetryAt)
        };
        metrics::counter!("doorstep_webhooks_total", "outcome" => if delivered { "delivered" } else { "failed" }).increment(1);
        let attempt = Attempted { endpoint: due.endpoint, event: due.event.id, fence: due.fence, at, status, error, next };
        self.store.attempted(attempt).await
    }
}
