//! The best for a posting that wants at most so many of each home county.
//!
//! Promises: exactly the best `k` in their order, if everybody is passed over whose
//! county has given as many as it is asked for; one question, and where that would ask
//! too much of some county, one more for each.

use super::{Found, Index, Of};
use crate::domain::eligibility::{Question, Terms};
use crate::domain::ranking::Match;
use crate::domain::region::Region;
use std::collections::HashMap;

/// How many of each county.
pub(super) type Bounds = HashMap<Region, u32>;

/// Those of these matches, in their order, that the bounds let through; each counts.
pub(super) fn within<'a>(matches: &'a [Match], bounds: &'a mut Bounds) -> impl Iterator<Item = &'a Match> {
    matches.iter().filter(|m| bounds.get_mut(&m.home).filter(|left| **left > 0).map(|left| *left -= 1).is_some())
}

/// The best `k` within the bounds; `q` asks for the people of these counties.
pub(super) fn best(index: &dyn Index, of: Of, q: &Question, k: usize, bounds: &Bounds, exclude: &[u32], terms: Terms) -> Found {
    let found = index.best(of, q, k, exclude, terms);
    let fit: Vec<Match> = within(&found.matches, &mut bounds.clone()).cloned().collect();
    if fit.len() == found.matches.len() || found.exhausted {
        return Found { matches: fit, exhausted: found.exhausted };
    }
    let mut all = Found { matches: Vec::new(), exhausted: true };
    for (county, most) in bounds {
        let narrowed = Question { homes: Some([*county].into_iter().collect()), ..q.clone() };
        let some = index.best(of, &narrowed, k.min(*most as usize), exclude, terms);
        all.matches.extend(some.matches);
        all.exhausted &= some.exhausted;
    }
    all.matches.sort_unstable_by_key(|m| (m.key, m.handle));
    all.exhausted &= all.matches.len() <= k;
    all.matches.truncate(k);
    all
}

/// The best of those in focus for a share of the wave, then the best of the rest, all
/// within the bounds and in their order.
pub(super) fn best_with_floor(
    index: &dyn Index,
    q: &Question,
    k: usize,
    share: f64,
    mut bounds: Bounds,
    mut excluded: Vec<u32>,
    terms: Terms,
) -> Found {
    let floor = ((k as f64 * share).ceil() as usize).min(k);
    let first = if floor > 0 { best(index, Of::Focus, q, floor, &bounds, &excluded, terms).matches } else { Vec::new() };
    excluded.extend(within(&first, &mut bounds).map(|m| m.handle));
    let mut found = best(index, Of::Everybody, q, k - first.len(), &bounds, &excluded, terms);
    found.matches.extend(first);
    found.matches.sort_unstable_by_key(|m| (m.key, m.handle));
    found
}

#[cfg(test)]
mod tests {
    use super::super::National;
    use super::super::plain::PlainIndex;
    use super::*;
    use crate::domain::eligibility::Step;
    use crate::domain::eligibility::tests::{TERMS, question, seeker};
    use crate::domain::ranking::mix;
    use crate::domain::worker::{Seeker, Tier};
    use std::sync::atomic::{AtomicUsize, Ordering};

    fn county(n: usize) -> Region {
        Region::NATION.leaves()[n * 31]
    }

    /// People of eight counties, of which the first have by far the most.
    fn people(n: u32, seed: u64) -> Vec<Seeker> {
        let draw = |handle: u32, of: u64| mix(seed ^ u64::from(handle) ^ of << 40);
        let one = |handle| {
            let home = county((draw(handle, 1) % 8).min(draw(handle, 2) % 8) as usize);
            let since = TERMS.today.saturating_sub(jiff::Span::new().days((draw(handle, 3) % 30) as i64));
            Seeker { handle, home, tier: Tier::ALL[(draw(handle, 4) % 3) as usize], seeking_since: since, ..seeker() }
        };
        (1..=n).map(one).collect()
    }

    /// The whole order, and everybody taken whom the bounds let through.
    fn reference(index: &PlainIndex, of: Of, q: &Question, k: usize, bounds: &Bounds, exclude: &[u32]) -> Vec<u32> {
        let order = index.best(of, q, index.len(), exclude, TERMS).matches;
        within(&order, &mut bounds.clone()).take(k).map(|m| m.handle).collect()
    }

    #[test]
    fn the_best_within_the_bounds_are_those_of_the_whole_order() {
        let sets = vec!["poor-counties-832".to_owned()];
        for seed in 0..40u64 {
            let people = people(400, seed);
            let (plain, national) = (PlainIndex::new(sets.clone()), National::new(&sets, TERMS.cap));
            plain.load(people.clone());
            national.load(people);
            let bounds: Bounds = (0..8)
                .filter(|n| !mix(seed * 9 + n).is_multiple_of(4))
                .map(|n| (county(n as usize), 1 + (mix(seed + n) % 60) as u32))
                .collect();
            let q = Question { in_place: true, work: None, homes: Some(bounds.keys().copied().collect()), seed, ..question() };
            let exclude: Vec<u32> = (1..=400).filter(|h| mix(seed ^ u64::from(*h) << 9).is_multiple_of(5)).collect();
            for (k, of) in [1, 7, 40, 150, 600].into_iter().flat_map(|k| [(k, Of::Everybody), (k, Of::Focus)]) {
                let expected = reference(&plain, of, &q, k, &bounds, &exclude);
                for index in [&plain as &dyn Index, &national] {
                    let found = best(index, of, &q, k, &bounds, &exclude, TERMS);
                    assert_eq!(found.matches.iter().map(|m| m.handle).collect::<Vec<_>>(), expected, "seed {seed}, {k} {of:?}");
                }
            }
        }
    }

    /// Counts its questions.
    struct Asked(PlainIndex, AtomicUsize);

    impl Index for Asked {
        fn load(&self, seekers: Vec<Seeker>) {
            self.0.load(seekers);
        }
        fn apply(&self, seekers: Vec<Seeker>) {
            self.0.apply(seekers);
        }
        fn best(&self, of: Of, q: &Question, k: usize, exclude: &[u32], terms: Terms) -> Found {
            self.1.fetch_add(1, Ordering::Relaxed);
            self.0.best(of, q, k, exclude, terms)
        }
        fn about(&self, q: &Question, enough: usize, terms: Terms) -> u64 {
            self.0.about(q, enough, terms)
        }
        fn funnel(&self, q: &Question, terms: Terms) -> [u64; Step::ALL.len()] {
            self.0.funnel(q, terms)
        }
        fn reserve(&self, handles: &[u32]) {
            self.0.reserve(handles);
        }
        fn len(&self) -> usize {
            self.0.len()
        }
    }

    #[test]
    fn one_question_is_enough_where_no_county_would_give_too_many() {
        let index = Asked(PlainIndex::default(), AtomicUsize::new(0));
        index.load(people(400, 3));
        let all = |most: u32| (0..8).map(|n| (county(n), most)).collect::<Bounds>();
        let q = Question { in_place: true, work: None, homes: Some((0..8).map(county).collect()), ..question() };
        let ask = |k, most| {
            let found = best(&index, Of::Everybody, &q, k, &all(most), &[], TERMS);
            (found.matches.len(), found.exhausted, index.1.swap(0, Ordering::Relaxed))
        };
        assert_eq!(ask(20, 400), (20, false, 1));
        assert_eq!(ask(20, 1), (8, false, 9), "one more for each county");
        let (found, exhausted, asked) = ask(4_000, 3);
        assert_eq!((found, exhausted, asked), (24, true, 1), "and none where everybody is known");
    }
}
