//! What is taken for each endpoint and not yet sent, how many may be sent to it at once,
//! and how it stands.
//!
//! Promises: no endpoint has more in flight than its share; one that fails again and
//! again is tried by one webhook at a time, and not at once again, until one is received.
//! Does not: wait, or ask anybody.

use crate::domain::id::EndpointId;
use crate::domain::time::Moment;
use crate::store::deliveries::{Due, Lease, Waiting, Want};
use crate::store::endpoints::Address;
use crate::webhook::Signer;
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

/// For each webhook in flight so many are taken, so that the next one is at hand.
const AHEAD: usize = 4;

/// The settings of lanes.
#[derive(Clone, Copy, Debug)]
pub struct Terms {
    /// In flight in all, and to one endpoint.
    pub parallel: usize,
    pub per_endpoint: usize,
    /// Failures in a row after which an endpoint is only probed.
    pub breaker_failures: u32,
    /// Between two probes.
    pub breaker_pause: Duration,
    /// A lease must hold for as long when sending begins.
    pub timeout: Duration,
}

/// Where to send, and with what signature.
pub struct Receiver {
    pub version: i64,
    pub url: String,
    pub signer: Signer,
}

#[derive(Default)]
struct Lane {
    /// As last seen in the store.
    version: i64,
    receiver: Option<Arc<Receiver>>,
    queue: VecDeque<Due>,
    sending: usize,
    /// More is due than was taken.
    more: bool,
    failures: u32,
    quiet_until: Option<Moment>,
}

impl Lane {
    fn is_quiet(&self, now: Moment) -> bool {
        self.quiet_until.is_some_and(|until| until > now)
    }

    /// How many may be in flight.
    fn share(&self, terms: &Terms, now: Moment) -> usize {
        match self.is_quiet(now) {
            true => 0,
            false if self.failures >= terms.breaker_failures => 1,
            // What failed leaves a place that is not filled again, until one is received.
            false => terms.per_endpoint.saturating_sub(self.failures as usize).max(1),
        }
    }

    /// How many more may be taken. A lane is filled up once it is half empty, so that
    /// several are taken at once.
    fn room(&self, terms: &Terms, now: Moment) -> usize {
        let held = self.queue.len() + self.sending;
        match self.share(terms, now) {
            0 => 0,
            1 => usize::from(held == 0),
            share if held * 2 > share * AHEAD => 0,
            share => share * AHEAD - held,
        }
    }
}

/// A webhook whose turn it is.
pub struct Turn {
    pub receiver: Arc<Receiver>,
    pub due: Due,
}

/// What a receiver said, as far as its lane is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heard {
    Received,
    Failed,
    /// It wants to be left alone until then.
    Later(Moment),
}

/// The lanes of all endpoints.
pub struct Lanes {
    terms: Terms,
    lanes: BTreeMap<EndpointId, Lane>,
    /// Where the next round begins, so that each comes first in turn.
    next: Option<EndpointId>,
    sending: usize,
    given_back: Vec<Lease>,
}

impl Lanes {
    pub fn new(terms: Terms) -> Self {
        Self { terms, lanes: BTreeMap::new(), next: None, sending: 0, given_back: Vec::new() }
    }

    /// Forgets what was taken before, by somebody who stopped in the middle; how the
    /// endpoints stand is kept.
    pub fn begin(&mut self) {
        (self.sending, self.next) = (0, None);
        self.given_back.clear();
        for lane in self.lanes.values_mut() {
            lane.queue.clear();
            (lane.sending, lane.more) = (0, false);
        }
    }

    /// What is to be taken now, as the store stands; and whose addresses are not known.
    /// Lanes of endpoints that are there no more give back what they hold.
    pub fn plan(&mut self, seen: &[Waiting], now: Moment) -> (Vec<Want>, Vec<EndpointId>) {
        let versions: HashMap<EndpointId, i64> = seen.iter().map(|w| (w.endpoint, w.version)).collect();
        let given_back = &mut self.given_back;
        self.lanes.retain(|id, lane| {
            let version = versions.get(id);
            if version != Some(&lane.version) {
                given_back.extend(lane.queue.drain(..).map(|due| due.lease));
                lane.receiver = None;
            }
            lane.more = false;
            version.is_some() || lane.sending > 0
        });
        let due: Vec<&Waiting> = seen.iter().filter(|w| w.next.is_some_and(|next| next <= now)).collect();
        let held: usize = self.lanes.values().map(|lane| lane.queue.len() + lane.sending).sum();
        // What all may hold together is shared evenly.
        let each = (self.terms.parallel * AHEAD).saturating_sub(held) / due.len().max(1);
        let (mut wants, mut unknown) = (Vec::new(), Vec::new());
        for w in due {
            let lane = self.lanes.entry(w.endpoint).or_default();
            lane.version = w.version;
            let most = lane.room(&self.terms, now).min(each.max(1));
            lane.more = most == 0;
            if most > 0 {
                wants.push(Want { endpoint: w.endpoint, version: w.version, most: most as i64 });
                if lane.receiver.is_none() {
                    unknown.push(w.endpoint);
                }
            }
        }
        (wants, unknown)
    }

    /// Puts what was taken into its lanes.
    pub fn take_in(&mut self, wants: &[Want], addresses: Vec<Address>, taken: Vec<Due>) {
        for address in addresses {
            if let Some(lane) = self.lanes.get_mut(&address.id) {
                let signer = Signer::new(&address.signing);
                lane.receiver = Some(Arc::new(Receiver { version: address.version, url: address.url, signer }));
            }
        }
        let mut counts: HashMap<EndpointId, i64> = HashMap::new();
        for due in taken {
            let id = due.lease.endpoint;
            *counts.entry(id).or_default() += 1;
            match self.lanes.get_mut(&id) {
                // An address of another version would sign with another key.
                Some(lane) if lane.receiver.as_ref().is_some_and(|r| r.version == lane.version) => lane.queue.push_back(due),
                Some(lane) => {
                    lane.receiver = None;
                    self.given_back.push(due.lease);
                }
                None => self.given_back.push(due.lease),
            }
        }
        for want in wants {
            if let Some(lane) = self.lanes.get_mut(&want.endpoint) {
                lane.more = counts.get(&want.endpoint) == Some(&want.most);
            }
        }
    }

    /// The next webhook to be sent, from each lane in turn; none where nothing may be.
    pub fn next(&mut self, now: Moment) -> Option<Turn> {
        use std::ops::Bound::{Excluded, Unbounded};
        if self.sending >= self.terms.parallel {
            return None;
        }
        let after = self.next.map_or(Unbounded, Excluded);
        let ready = |lane: &Lane, terms: &Terms| !lane.queue.is_empty() && lane.sending < lane.share(terms, now);
        let id = loop {
            let found = self.lanes.range((after, Unbounded)).find(|(_, lane)| ready(lane, &self.terms)).map(|(id, _)| *id);
            let id = found.or_else(|| self.lanes.iter().find(|(_, lane)| ready(lane, &self.terms)).map(|(id, _)| *id))?;
            let lane = self.lanes.get_mut(&id)?;
            let stale = lane.queue.front().is_none_or(|due| due.lease.until < now.plus(self.terms.timeout));
            if !stale && lane.receiver.is_some() {
                break id;
            }
            // It waited too long: whoever takes it next has a lease that holds.
            self.given_back.extend(lane.queue.pop_front().map(|due| due.lease));
        };
        self.next = Some(id);
        let lane = self.lanes.get_mut(&id)?;
        let (receiver, due) = (lane.receiver.clone()?, lane.queue.pop_front()?);
        lane.sending += 1;
        self.sending += 1;
        Some(Turn { receiver, due })
    }

    /// One has been sent, with this outcome.
    pub fn ended(&mut self, id: EndpointId, heard: Heard, now: Moment) {
        self.sending = self.sending.saturating_sub(1);
        let Some(lane) = self.lanes.get_mut(&id) else { return };
        lane.sending = lane.sending.saturating_sub(1);
        if heard == Heard::Received {
            (lane.failures, lane.quiet_until) = (0, None);
            return;
        }
        lane.failures = lane.failures.saturating_add(1);
        let mut quiet = lane.quiet_until;
        if lane.failures >= self.terms.breaker_failures {
            quiet = quiet.max(Some(now.plus(self.terms.breaker_pause)));
        }
        if let Heard::Later(until) = heard {
            quiet = quiet.max(Some(until));
        }
        lane.quiet_until = quiet;
        if lane.is_quiet(now) {
            self.given_back.extend(lane.queue.drain(..).map(|due| due.lease));
        }
    }

    /// Some lane has room for what is known to be due.
    pub fn wants_more(&self, now: Moment) -> bool {
        self.lanes.values().any(|lane| lane.more && lane.room(&self.terms, now) > 0)
    }

    /// What was taken and will not be sent, once.
    pub fn given_back(&mut self) -> Vec<Lease> {
        std::mem::take(&mut self.given_back)
    }
}

#[cfg(test)]
mod tests;
