//! A window of postings that are routed together: whom each asks for, in which order
//! they choose, and how their waves are cut into transactions.
//!
//! Promises: the posting with the fewest eligible people for each offer it wants
//! chooses first; each choice is counted in the index before the next is made.

use super::{Found, Index, Of};
use crate::domain::eligibility::{Question, Terms};
use crate::domain::grounds::Grounds;
use crate::domain::id::PostingId;
use crate::domain::ranking::Match;
use crate::domain::region::FocusSet;
use crate::store::waves::{Candidate, Wave};
use crate::store::work::Lease;
use std::collections::VecDeque;

/// Who suits a posting is counted up to so many for each offer wanted; above that
/// it is not scarce.
const SCARCE: usize = 8;
/// Candidates of one transaction: answers wait behind it.
const SLICE: usize = 128;

/// A posting of a window.
pub(super) struct Wanting {
    pub lease: Lease,
    /// None where nobody is to be offered it.
    pub question: Option<Question>,
    /// Offers it wants.
    pub wanted: u32,
    /// Handles of those who had an offer of it or of its group.
    pub excluded: Vec<u32>,
    /// About how many are eligible.
    eligible: u64,
}

impl Wanting {
    pub fn new(lease: Lease, question: Option<Question>, wanted: u32, excluded: Vec<u32>) -> Self {
        let wanted = if question.is_some() { wanted } else { 0 };
        Self { lease, question, wanted, excluded, eligible: 0 }
    }

    /// Offers that it may come to; one where it may come to none, which is work as well.
    fn likely(&self) -> u64 {
        u64::from(self.wanted).min(self.eligible).max(1)
    }
}

/// Puts the postings of a window into the order in which they choose.
pub(super) fn scarcest_first(mut window: Vec<Wanting>, index: &dyn Index, terms: Terms) -> Vec<Wanting> {
    for one in &mut window {
        let enough = one.wanted as usize * SCARCE;
        one.eligible = one.question.as_ref().map_or(0, |q| index.about(q, enough, terms));
    }
    // What wants nobody, then eligible ÷ wanted, ascending, without dividing.
    window.sort_by(|a, b| {
        let (left, right) = (a.eligible * u64::from(b.wanted), b.eligible * u64::from(a.wanted));
        (a.wanted > 0).cmp(&(b.wanted > 0)).then(left.cmp(&right)).then(a.lease.key.cmp(&b.lease.key))
    });
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
        let Wanting { lease, question, wanted, excluded, .. } = of;
        let nobody = Wave { posting: PostingId::new(lease.key), lease: Some(lease), candidates: Vec::new(), exhausted: true, more: false };
        let Some(q) = question else { return nobody };
        let wanted = wanted as usize;
        // A tenth more than wanted, so that a lost race needs no second question.
        let found = best_with_floor(self.index, &q, wanted + wanted.div_ceil(10), self.floor_share, excluded, self.terms);
        let handles: Vec<u32> = found.matches.iter().take(wanted).map(|m| m.handle).collect();
        self.index.reserve(&handles);
        let grounds = |m: &Match| Grounds::of(&q, m, self.focus, self.terms.today);
        let candidate = |(at, m): (usize, &Match)| Candidate { handle: m.handle, grounds: grounds(m), reserved: at < wanted };
        let candidates = found.matches.iter().enumerate().map(candidate).collect();
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
