//! The plain index: every worker looked at for every question. Exact by its
//! simplicity; it stays as the oracle for any faster one.

use super::{Found, Index, Of};
use crate::domain::eligibility::{Question, Step, Terms, first_failed};
use crate::domain::ranking::{self, Match};
use crate::domain::worker::Seeker;
use std::collections::{BinaryHeap, HashSet};
use std::sync::{RwLock, RwLockReadGuard};

/// Workers by handle.
#[derive(Default)]
pub struct PlainIndex {
    rows: RwLock<Vec<Option<Row>>>,
    focus: Vec<String>,
}

struct Row {
    seeker: Seeker,
    in_focus: bool,
}

impl PlainIndex {
    /// An index that puts the people of these sets first within their tier.
    pub fn new(focus: Vec<String>) -> Self {
        Self { rows: RwLock::default(), focus }
    }

    /// Changes a worker in place, and says how they stand now.
    pub fn change(&self, handle: u32, change: impl FnOnce(&mut Seeker)) -> Option<Seeker> {
        let mut rows = self.rows.write().unwrap_or_else(|e| e.into_inner());
        let row = rows.get_mut(handle as usize)?.as_mut()?;
        change(&mut row.seeker);
        Some(row.seeker.clone())
    }

    fn rows(&self) -> RwLockReadGuard<'_, Vec<Option<Row>>> {
        self.rows.read().unwrap_or_else(|e| e.into_inner())
    }
}

impl Index for PlainIndex {
    fn load(&self, seekers: Vec<Seeker>) {
        self.apply(seekers);
    }

    fn apply(&self, seekers: Vec<Seeker>) {
        let mut rows = self.rows.write().unwrap_or_else(|e| e.into_inner());
        for seeker in seekers {
            let at = seeker.handle as usize;
            if rows.len() <= at {
                rows.resize_with(at + 1, || None);
            }
            let in_focus = super::focus_title(&self.focus, seeker.home).is_some();
            rows[at] = Some(Row { seeker, in_focus });
        }
    }

    fn best(&self, of: Of, q: &Question, k: usize, exclude: &[u32], terms: Terms) -> Found {
        let exclude: HashSet<u32> = exclude.iter().copied().collect();
        let rows = self.rows();
        // The k smallest keys: a heap whose top is the worst of them.
        let mut best: BinaryHeap<(u64, u32)> = BinaryHeap::with_capacity(k + 1);
        let mut eligible = 0;
        for row in rows.iter().flatten() {
            let w = &row.seeker;
            let asked = row.in_focus || of == Of::Everybody;
            if !asked || exclude.contains(&w.handle) || first_failed(q, w, terms).is_some() {
                continue;
            }
            eligible += 1;
            let key = (ranking::key(q, w, row.in_focus, terms.now), w.handle);
            if best.len() < k {
                best.push(key);
            } else if best.peek().is_some_and(|worst| key < *worst) {
                best.pop();
                best.push(key);
            }
        }
        let row = |handle: u32| rows.get(handle as usize).and_then(Option::as_ref);
        let exhausted = eligible == best.len();
        let sorted = best.into_sorted_vec().into_iter();
        let matches = sorted.filter_map(|(_, h)| row(h).map(|r| Match::of(q, &r.seeker, r.in_focus, terms.now))).collect();
        Found { matches, exhausted }
    }

    fn about(&self, q: &Question, _: usize, terms: Terms) -> u64 {
        self.rows().iter().flatten().filter(|row| first_failed(q, &row.seeker, terms).is_none()).count() as u64
    }

    fn funnel(&self, q: &Question, terms: Terms) -> [u64; Step::ALL.len()] {
        let mut passed = [0; Step::ALL.len()];
        for row in self.rows().iter().flatten() {
            let failed = first_failed(q, &row.seeker, terms);
            for (count, step) in passed.iter_mut().zip(Step::ALL) {
                if failed.is_some_and(|f| f <= step) {
                    break;
                }
                *count += 1;
            }
        }
        passed
    }

    fn reserve(&self, handles: &[u32]) {
        let mut rows = self.rows.write().unwrap_or_else(|e| e.into_inner());
        for handle in handles {
            if let Some(Some(row)) = rows.get_mut(*handle as usize) {
                row.seeker.open_offers += 1;
            }
        }
    }

    fn len(&self) -> usize {
        self.rows().iter().flatten().count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::eligibility::tests::{TERMS, question, seeker};
    use crate::domain::worker::{Destinations, Tier};

    fn index(n: u32) -> PlainIndex {
        let index = PlainIndex::new(vec!["listed-52".to_owned()]);
        let any = Destinations { any: true, provinces: Vec::new() };
        let tier = |h: u32| Tier::ALL[h as usize % 3];
        index.apply((1..=n).map(|handle| Seeker { handle, destinations: any.clone(), tier: tier(handle), ..seeker() }).collect());
        index
    }

    #[test]
    fn the_best_come_in_order_and_all_eligible_are_counted() {
        let index = index(300);
        let found = index.best(Of::Everybody, &question(), 120, &[], TERMS);
        assert_eq!((found.matches.len(), found.exhausted, index.about(&question(), 1, TERMS)), (120, false, 300));
        assert!(found.matches[..100].iter().all(|m| m.rank() == 1));
        assert!(found.matches[100..].iter().all(|m| m.rank() == 2));
    }

    #[test]
    fn the_excluded_and_the_reserved_are_not_found_again() {
        let index = index(30);
        let first = index.best(Of::Everybody, &question(), 5, &[], TERMS);
        let handles: Vec<u32> = first.matches.iter().map(|m| m.handle).collect();
        let second = index.best(Of::Everybody, &question(), 30, &handles, TERMS);
        assert_eq!((second.matches.len(), second.exhausted), (25, true));
        for _ in 0..TERMS.cap {
            index.reserve(&handles);
        }
        assert_eq!(index.about(&question(), 30, TERMS), 25);
    }

    #[test]
    fn the_funnel_counts_who_passed_each_step_and_all_before() {
        let index = index(9);
        let destinations = Destinations { any: true, provinces: Vec::new() };
        let paused = Seeker { handle: 1, paused: true, destinations, ..seeker() };
        index.apply(vec![Seeker { handle: 2, consent: false, ..seeker() }, paused]);
        assert_eq!(index.funnel(&question(), TERMS), [8, 8, 8, 8, 8, 7]);
    }
}
