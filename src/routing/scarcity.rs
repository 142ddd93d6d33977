//! In which order postings that compete for people are served.

use super::Index;
use crate::domain::eligibility::{Question, Terms};
use std::cmp::Ordering;

/// Who suits a posting is counted up to so many for each offer wanted; above that
/// it is not scarce.
const ENOUGH: usize = 8;

/// How many suit a posting for each offer that it wants. The scarcest comes first.
#[derive(Clone, Copy, Debug, Default)]
pub struct Scarcity {
    eligible: u64,
    wanted: u32,
}

impl Scarcity {
    /// Counts in the index, as it stands now.
    pub fn of(index: &dyn Index, q: &Question, wanted: u32, terms: Terms) -> Self {
        Self::counted(index.about(q, wanted as usize * ENOUGH, terms), wanted)
    }

    pub fn counted(eligible: u64, wanted: u32) -> Self {
        Self { eligible, wanted }
    }

    /// How many suit, about.
    pub fn eligible(&self) -> u64 {
        self.eligible
    }
}

impl Ord for Scarcity {
    /// Eligible ÷ wanted, without dividing.
    fn cmp(&self, other: &Self) -> Ordering {
        (self.eligible * u64::from(other.wanted)).cmp(&(other.eligible * u64::from(self.wanted)))
    }
}

impl PartialOrd for Scarcity {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Scarcity {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Scarcity {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fewer_for_each_offer_the_sooner() {
        let of = Scarcity::counted;
        let mut all = [of(100, 10), of(0, 3), of(9, 1), of(5, 2), of(50, 20)];
        all.sort();
        assert_eq!(all.map(|s| (s.eligible, s.wanted)), [(0, 3), (5, 2), (50, 20), (9, 1), (100, 10)]);
        assert_eq!(of(4, 2), of(2, 1));
    }
}
