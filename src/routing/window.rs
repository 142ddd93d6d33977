//! A window of postings that are routed together: whom each asks for, in which order
//! they choose, and how their waves are cut into transactions.
//!
//! Promises: the posting with the fewest eligible people for each offer it wants
//! chooses first; each choice is counted in the index before the next is made.

use super::bounded::{self, Bounds};
use super::{Found, Index, Of, Scarcity};
use crate::domain::eligibility::{Question, Terms};
use crate::domain::grounds::Grounds;
use crate::domain::id::PostingId;
use crate::domain::ranking::Match;
use crate::domain::region::FocusSet;
use crate::store::wants::Wants;
use crate::store::waves::{Candidate, Wave};
use crate::store::work::Lease;
use std::collections::VecDeque;

/// Candidates of one transaction: answers wait behind it.
const SLICE: usize = 128;

/// A posting of a window.
pub(super) struct Wanting {
    pub lease: Lease,
    /// None where nobody is to be offered it.
    pub question: Option<Question>,
    /// Offers it wants.
    pub wanted: u32,
    /// Of each home county, where it matters.
    pub of_county: Option<Bounds>,
    /// Handles of those who had an offer of it or of its group.
    pub excluded: Vec<u32>,
    scarcity: Scarcity,
}

impl Wanting {
    pub fn new(lease: Lease, mut question: Option<Question>, wants: Wants, excluded: Vec<u32>) -> Self {
        let wanted = if question.is_some() { wants.offers } else { 0 };
        if let (Some(q), Some(counties)) = (&mut question, &wants.of_county) {
            // A county that wants nobody is not asked for.
            q.homes = Some(counties.keys().copied().collect());
        }
        Self { lease, question, wanted, of_county: wants.of_county, excluded, scarcity: Scarcity::default() }
    }

    /// Offers that it may come to; one where it may come to none, which is work as well.
    fn likely(&self) -> u64 {
        u64::from(self.wanted).min(self.scarcity.eligible()).max(1)
    }
}

/// Puts the postings of a window into the order in which they choose.
pub(super) fn scarcest_first(mut window: Vec<Wanting>, index: &dyn Index, terms: Terms) -> Vec<Wanting> {
    for one in &mut window {
        one.scarcity = one.question.as_ref().map_or_else(Scarcity::default, |q| Scarcity::of(index, q, one.wanted, terms));
    }
    // What wants nobody comes first.
    window.sort_by_key(|one| (one.wanted > 0, one.scarcity, one.lease.key));
    window
}

/// Takes postings from the front that will come to about so many offers; at least one.
pub(super) fn part(window: &mut VecDeque<Wanting>, offers: u64) -> Vec<Wanting> {
    let mut room = offers;
    let mut taken = Vec::new();
    while window.front().is_some_and(|next| taken.is_empty() || next.likely() <= room)
        && let Some(next) = window.pop_front()
    {
        room = room.saturating_sub(next.likely());
        taken.push(next);
    }
    taken
}

/// How a posting of a window chooses.
pub(super) struct Choosing<'a> {
    pub index: &'a dyn Index,
    /// The sets that are named as a reason.
    pub focus: &'a [&'static FocusSet],
    /// The share of a wave that goes first to people in focus.
    pub floor_share: f64,
    pub terms: Terms,
}

impl Choosing<'_> {
    /// Chooses the candidates of one posting and counts them in the index.
    pub fn wave(&self, of: Wanting) -> Wave {
        let Wanting { lease, question, wanted, of_county, excluded, .. } = of;
        let nobody = Wave { posting: PostingId::new(lease.key), lease: Some(lease), candidates: Vec::new(), exhausted: true, more: false };
        let Some(q) = question else { return nobody };
        let wanted = wanted as usize;
        // A tenth more than wanted, so that a lost race needs no second question.
        let k = wanted + wanted.div_ceil(10);
        let found = match &of_county {
            None => best_with_floor(self.index, &q, k, self.floor_share, excluded, self.terms),
            Some(wants) => {
                let more = wants.iter().map(|(county, n)| (*county, n + n.div_ceil(10))).collect();
                bounded::best_with_floor(self.index, &q, k, self.floor_share, more, excluded, self.terms)
            }
        };
        let handles: Vec<u32> = match of_county {
            None => found.matches.iter().take(wanted).map(|m| m.handle).collect(),
            Some(mut wants) => bounded::within(&found.matches, &mut wants).take(wanted).map(|m| m.handle).collect(),
        };
        self.index.reserve(&handles);
        let mut reserved = handles.into_iter().peekable();
        let grounds = |m: &Match| Grounds::of(&q, m, self.focus, self.terms.today);
        // Who is reserved stands among the matches in their order.
        let mut is_reserved = |m: &Match| reserved.next_if_eq(&m.handle).is_some();
        let candidate = |m: &Match| Candidate { handle: m.handle, grounds: grounds(m), reserved: is_reserved(m) };
        let candidates = found.matches.iter().map(candidate).collect();
        Wave { candidates, exhausted: found.exhausted, ..nobody }
    }
}

/// The best of those in focus for a share of the wave, then the best of the rest;
/// all in their order.
pub(super) fn best_with_floor(index: &dyn Index, q: &Question, k: usize, share: f64, mut excluded: Vec<u32>, terms: Terms) -> Found {
    let floor = ((k as f64 * share).ceil() as usize).min(k);
    let first = if floor > 0 { index.best(Of::Focus, q, floor, &excluded, terms).matches } else { Vec::new() };
    excluded.extend(first.iter().map(|m| m.handle));
    let mut found = index.best(Of::Everybody, q, k - first.len(), &excluded, terms);
    found.matches.extend(first);
    found.matches.sort_unstable_by_key(|m| (m.key, m.handle));
    found
}

/// Cuts waves into transactions of at most [`SLICE`] candidates, in their order; a
/// large wave into parts.
#[derive(Default)]
pub(super) struct Slices {
    slice: Vec<Wave>,
    /// Candidates in it.
    filled: usize,
}

impl Slices {
    /// Adds a wave, and hands out each slice that is full.
    pub fn add(&mut self, wave: Wave, mut full: impl FnMut(Vec<Wave>)) {
        let Wave { posting, lease, mut candidates, exhausted, .. } = wave;
        loop {
            let rest = candidates.split_off(candidates.len().min(SLICE - self.filled));
            // A wave without candidates is work for the store as well.
            self.filled += candidates.len().max(1);
            let more = !rest.is_empty();
            self.slice.push(Wave { posting, lease, candidates, exhausted, more });
            if self.filled >= SLICE {
                full(self.rest());
            }
            if !more {
                return;
            }
            candidates = rest;
        }
    }

    /// What is left over.
    pub fn rest(&mut self) -> Vec<Wave> {
        self.filled = 0;
        std::mem::take(&mut self.slice)
    }
}

#[cfg(test)]
mod tests;
