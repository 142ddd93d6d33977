//! Tells workers what concerns them, by the channels of the configuration.
//!
//! Promises: nobody is written to in the quiet hours, nor more than `notify.per_day`
//! times a day; several offers make one message, read when it is sent, so that nothing
//! stale is said; a process that dies leaves its lease to expire, and the message goes
//! out under the same id; a phone number goes to the channel and nowhere else.
//! Does not: decide who has something to hear (`store::notices`).
//! Start at: [`Notifier`].

pub mod channel;
pub mod text;

use crate::clock::Clock;
use crate::config::Config;
use crate::config::Problem;
use crate::domain::quiet::QuietHours;
use crate::outbound::Outbound;
use crate::store::ids::Ids;
use crate::store::notices::{Due, Next, NoticeTerms, Tried};
use crate::store::{Store, StoreError};
use channel::{Channel, Message, retry_after};
use futures_util::StreamExt;
use std::sync::Arc;
use std::time::Duration;

/// Longer than any call may take, so that a lease never runs out under one.
const LEASE: Duration = Duration::from_secs(60);

/// Between two small deletes of what is old.
const PACE: Duration = Duration::from_millis(50);

/// Sends messages of one store.
#[derive(Clone)]
pub struct Notifier {
    store: Store,
    outbound: Arc<Outbound>,
    clock: Clock,
    ids: Arc<Ids>,
    channels: Arc<[Channel]>,
    settings: Arc<Settings>,
}

struct Settings {
    terms: NoticeTerms,
    quiet: Option<QuietHours>,
    collect: Duration,
    parallel: usize,
    tries: u32,
    retry: (Duration, Duration),
    /// What a link begins with, up to `/w/`.
    base: String,
}

impl Notifier {
    /// Reads the channels; from then on their workers are told. `base` is what links
    /// begin with.
    pub fn new(
        store: Store,
        outbound: Arc<Outbound>,
        clock: Clock,
        ids: Arc<Ids>,
        base: &str,
        config: &Config,
    ) -> Result<Self, Vec<Problem>> {
        let channels: Arc<[Channel]> = channel::channels(config, &outbound)?.into();
        let n = &config.notify;
        if !channels.is_empty() {
            store.tell_workers(n.collect);
        }
        let terms =
            NoticeTerms { per_day: n.per_day, lease: LEASE.max(config.deliver.timeout * 2), link_lifetime: config.token.link_lifetime };
        let settings = Settings {
            terms,
            quiet: n.quiet(),
            collect: n.collect,
            parallel: n.parallel,
            tries: n.tries,
            retry: (n.retry_first, n.retry_most),
            base: base.to_owned(),
        };
        Ok(Self { store, outbound, clock, ids, channels, settings: Arc::new(settings) })
    }

    /// Tells a batch of those who are due; says how many were looked at.
    pub async fn tell_due(&self) -> Result<usize, StoreError> {
        let (now, s) = (self.clock.now(), &self.settings);
        if self.channels.is_empty() || s.quiet.is_some_and(|quiet| quiet.holds(now)) {
            return Ok(0);
        }
        let (due, looked_at) = self.store.take_notices(s.parallel as i64 * 4, s.terms.clone(), now).await?;
        let outcomes = futures_util::stream::iter(due).map(|d| self.tell(d)).buffer_unordered(s.parallel);
        outcomes.fold(Ok(looked_at), |all, one| async { one.and(all) }).await
    }

    /// Forgets messages of long ago, in small steps with a pause between.
    pub async fn forget(&self) -> Result<(), StoreError> {
        while self.store.forget_messages(self.clock.now()).await? > 0 {
            tokio::time::sleep(PACE).await;
        }
        Ok(())
    }

    async fn tell(&self, due: Due) -> Result<(), StoreError> {
        let (at, s) = (self.clock.now(), &self.settings);
        // The channels may have become fewer since it was first tried.
        let place = due.channel.min(self.channels.len() - 1);
        let channel = &self.channels[place];
        let link = format!("{}/w/{}", s.base, due.token);
        let code = due.offers.first().map(|(code, _, _)| code.as_str()).unwrap_or_default();
        let outcome = match text::message(&due, channel.medium, &link) {
            Ok(text) => {
                let message =
                    Message { id: due.message, phone: due.phone.expose(), text: &text, link: &link, code, at: at.ms().div_euclid(1000) };
                channel.send(&self.outbound, &message).await
            }
            Err(why) => channel::Outcome { sent: false, status: None, error: Some(why), retry_after: None },
        };
        let next = if outcome.sent {
            Next::Sent { collect: s.collect }
        } else if due.tries + 1 < s.tries {
            let wait = retry_after(s.retry.0, s.retry.1, due.tries, self.ids.bytes::<1>()[0]);
            let asked = outcome.retry_after.map_or(Duration::ZERO, |r| r.from(at).min(Duration::from_secs(86_400)));
            Next::RetryAt(at.plus(wait.max(asked)))
        } else if place + 1 < self.channels.len() {
            Next::NextChannel
        } else {
            Next::GiveUp
        };
        let labels = [("channel", channel.name.clone()), ("outcome", if outcome.sent { "sent" } else { "failed" }.to_owned())];
        metrics::counter!("doorstep_messages_total", &labels).increment(1);
        if !outcome.sent {
            tracing::warn!(message.id = %due.message, channel = %channel.name, status = outcome.status, error = outcome.error, "a message did not go out");
        }
        self.store
            .message_tried(Tried {
                handle: due.handle,
                fence: due.fence,
                message: due.message,
                channel: channel.name.clone(),
                at,
                status: outcome.status,
                error: outcome.error,
                next,
            })
            .await
    }
}
