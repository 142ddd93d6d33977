//! How many offers a posting wants now, in all and of each home county where its seats
//! are counted by county.
//!
//! Promises: with what waits for an answer never more than the free seats times
//! `overbook`, of the posting and of each county; offers to people of a county that is
//! full do not count against the others, since they can only lead to the waitlist.

use super::engine::{Sql, StoreError, params};
use super::waves::WaveTerms;
use super::{counties, postings};
use crate::domain::id::PostingId;
use crate::domain::posting::Content;
use crate::domain::region::{Counties, Region};
use std::collections::HashMap;

/// Offers that a posting wants.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wants {
    pub offers: u32,
    /// Of each target county that wants any; none where counties do not matter.
    pub of_county: Option<HashMap<Region, u32>>,
}

impl Wants {
    /// Of a posting that does not count by county.
    pub(super) fn of_posting(offers: u32) -> Self {
        Self { offers, of_county: None }
    }

    /// Whether another offer to somebody at home there is wanted.
    pub(super) fn of(&self, home: Region) -> bool {
        self.of_county.as_ref().is_none_or(|counties| counties.get(&home).is_some_and(|n| *n > 0))
    }

    /// Counts an offer to somebody at home there.
    pub(super) fn count(&mut self, home: Region) {
        if let Some(n) = self.of_county.as_mut().and_then(|counties| counties.get_mut(&home)) {
            *n = n.saturating_sub(1);
        }
    }

    /// The offer was not made.
    pub(super) fn uncount(&mut self, home: Region) {
        if let Some(n) = self.of_county.as_mut().and_then(|counties| counties.get_mut(&home)) {
            *n += 1;
        }
    }
}

/// How a posting counts its seats by county.
pub(super) struct Counted {
    each: u32,
    targets: Counties,
}

impl Counted {
    pub fn of(content: &Content) -> Option<Self> {
        Some(Self { each: content.openings_per_county?, targets: content.target_counties()? })
    }

    /// Of a posting that is known to count so.
    pub fn read(s: &mut dyn Sql, id: PostingId) -> Result<Option<Self>, StoreError> {
        Ok(postings::by_id(s, id)?.and_then(|p| Self::of(&p.content)))
    }

    /// What a posting with so many free seats wants.
    pub fn wants(&self, s: &mut dyn Sql, id: PostingId, free: u32, terms: &WaveTerms) -> Result<Wants, StoreError> {
        let known: HashMap<Region, u32> = counties::of(s, id)?.into_iter().map(|c| (c.region, c.openings - c.taken)).collect();
        let most_of = |county: Region| terms.most(known.get(&county).copied().unwrap_or(self.each));
        // A worker who moved since would take a seat of their county of today.
        let rows = s.query(
            "SELECT w.home, COUNT(*) FROM offers o JOIN workers w ON w.id = o.worker
             WHERE o.posting = $1 AND o.closed = 0 AND o.state IN ('offered', 'seen') AND o.promoted = 0 GROUP BY w.home",
            params![id.uuid()],
        )?;
        let live =
            rows.iter().map(|r| Ok((super::region(r.int(0)?)?, r.count(1)?))).collect::<Result<HashMap<Region, u32>, StoreError>>()?;
        let useful: u32 = live.iter().map(|(county, n)| most_of(*county).min(*n)).sum();
        let wanted = |county| (county, most_of(county).saturating_sub(live.get(&county).copied().unwrap_or(0)));
        let targets = self.targets.leaves().filter_map(Region::leaf_at);
        let of_county: HashMap<Region, u32> = targets.map(wanted).filter(|(_, n)| *n > 0).collect();
        let all = of_county.values().fold(0u32, |sum, n| sum.saturating_add(*n));
        Ok(Wants { offers: terms.wanted(free, useful).min(all), of_county: Some(of_county) })
    }
}
