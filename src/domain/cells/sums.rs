//! Many pages added up as one, in whatever order they come.

use super::page::{Key, Page};
use foldhash::fast::FixedState;
use std::collections::HashMap;

/// The counts of the pages so far. To merge each page into a sorted one would go over all
/// that was counted before; this looks up what the page counts and no more.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sums(HashMap<u64, i64, FixedState>);

impl Sums {
    /// Adds all counts of a page.
    pub fn add(&mut self, page: &Page) {
        page.counts().for_each(|(key, n)| *self.0.entry(key).or_default() += n);
    }

    /// Adds counts so many times.
    pub(super) fn add_all(&mut self, counts: &[(Key, i64)], times: i64) {
        for (Key(key), n) in counts {
            *self.0.entry(*key).or_default() += n * times;
        }
    }

    /// What they come to.
    pub fn page(self) -> Page {
        let mut counts: Vec<(u64, i64)> = self.0.into_iter().filter(|(_, n)| *n != 0).collect();
        counts.sort_unstable();
        Page::of_counts(counts)
    }
}

#[cfg(test)]
mod tests {
    use super::super::Section;
    use super::*;
    use proptest::prelude::*;

    fn a_page() -> impl Strategy<Value = Page> {
        let sections = [Section::Flow, Section::Job, Section::Pay];
        proptest::collection::vec((0usize..3, 0u32..4, 0u16..3, -2i64..3), 0..12).prop_map(move |counts| {
            let mut page = Page::default();
            counts.into_iter().for_each(|(section, part, measure, n)| page.add(sections[section], part, measure, n));
            page
        })
    }

    proptest! {
        /// Added up or merged one after the other, pages come to the same.
        #[test]
        fn sums_are_what_merging_comes_to(pages in proptest::collection::vec(a_page(), 0..6)) {
            let (mut sums, mut merged) = (Sums::default(), Page::default());
            for page in &pages {
                sums.add(page);
                merged.merge(page);
            }
            prop_assert_eq!(sums.page(), merged);
        }
    }
}
