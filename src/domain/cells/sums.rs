//! Many pages added up as one, in whatever order they come.

use super::page::{Key, Page};
use foldhash::fast::FixedState;
use std::collections::HashMap;

/// The counts of the pages so far. To merge each page into a sorted one would go over all
/// that was counted before; this looks up what the page counts and no more.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sums(HashMap<u64, i64, FixedState>);

/// Pages that are put together one after the other, in whatever order they come.
pub trait Together: Default + Send {
    /// Adds all counts of a page, which may be taken for it.
    fn add(&mut self, page: &mut Page);

    /// Adds what others come to.
    fn join(&mut self, other: Self);

    /// What they come to.
    fn page(self) -> Page;
}

impl Together for Page {
    fn add(&mut self, page: &mut Page) {
        self.join(std::mem::take(page));
    }

    fn join(&mut self, other: Self) {
        if self.is_empty() {
            *self = other;
        } else {
            self.merge(&other);
        }
    }

    fn page(self) -> Page {
        self
    }
}

impl Sums {
    /// Adds counts so many times.
    pub(super) fn add_all(&mut self, counts: &[(Key, i64)], times: i64) {
        for (Key(key), n) in counts {
            *self.0.entry(*key).or_default() += n * times;
        }
    }
}

impl Together for Sums {
    fn add(&mut self, page: &mut Page) {
        page.counts().for_each(|(key, n)| *self.0.entry(key).or_default() += n);
    }

    fn join(&mut self, other: Self) {
        other.0.into_iter().for_each(|(key, n)| *self.0.entry(key).or_default() += n);
    }

    fn page(self) -> Page {
        let mut counts: Vec<(u64, i64)> = self.0.into_iter().filter(|(_, n)| *n != 0).collect();
        counts.sort_unstable();
        Page::of_counts(counts)
    }
}

/// The same of a few places of which very many pages are added up: the counts of a part
/// lie beside each other by their measures, so that a part is looked up, and no count.
#[derive(Clone, Debug, Default)]
pub struct WideSums {
    parts: HashMap<u64, Vec<i64>, FixedState>,
    /// Measures beyond those.
    beyond: Sums,
}

/// Measures that lie beside each other: pay up to 50,000 yuan is among them.
const WIDE: u64 = 1_000;

impl Together for WideSums {
    fn add(&mut self, page: &mut Page) {
        let mut counts = page.counts().peekable();
        while let Some((first, _)) = counts.peek().copied() {
            let sums = self.parts.entry(first >> 16).or_default();
            while let Some((key, n)) = counts.next_if(|(key, _)| key >> 16 == first >> 16) {
                let measure = key & 0xffff;
                if measure >= WIDE {
                    *self.beyond.0.entry(key).or_default() += n;
                    continue;
                }
                let at = measure as usize;
                if sums.len() <= at {
                    sums.resize(at + 1, 0);
                }
                sums[at] += n;
            }
        }
    }

    fn join(&mut self, other: Self) {
        for (part, others) in other.parts {
            let sums = self.parts.entry(part).or_default();
            if sums.len() < others.len() {
                sums.resize(others.len(), 0);
            }
            sums.iter_mut().zip(others).for_each(|(sum, n)| *sum += n);
        }
        self.beyond.join(other.beyond);
    }

    fn page(self) -> Page {
        let mut parts: Vec<(u64, Vec<i64>)> = self.parts.into_iter().collect();
        parts.sort_unstable_by_key(|(part, _)| *part);
        let counts = |(part, sums): (u64, Vec<i64>)| (part << 16..).zip(sums).filter(|(_, n)| *n != 0);
        let mut page = Page::of_counts(parts.into_iter().flat_map(counts).collect());
        page.merge(&self.beyond.page());
        page
    }
}

#[cfg(test)]
mod tests {
    use super::super::Section;
    use super::*;
    use proptest::prelude::*;

    fn a_page() -> impl Strategy<Value = Page> {
        let sections = [Section::Flow, Section::Job, Section::Pay];
        proptest::collection::vec((0usize..3, 0u32..4, prop_oneof![0u16..3, 998u16..1_002], -2i64..3), 0..12).prop_map(move |counts| {
            let mut page = Page::default();
            counts.into_iter().for_each(|(section, part, measure, n)| page.add(sections[section], part, measure, n));
            page
        })
    }

    fn together<T: Together>(pages: &[Page]) -> T {
        let mut all = T::default();
        pages.iter().for_each(|page| all.add(&mut page.clone()));
        all
    }

    /// What half of the pages come to, joined with what the others do.
    fn in_halves<T: Together>(pages: &[Page]) -> Page {
        let (these, those) = pages.split_at(pages.len() / 2);
        let mut all: T = together(these);
        all.join(together(those));
        all.page()
    }

    proptest! {
        /// Added up, in halves or merged one after the other, pages come to the same.
        #[test]
        fn sums_are_what_merging_comes_to(pages in proptest::collection::vec(a_page(), 0..6)) {
            let mut merged = Page::default();
            pages.iter().for_each(|page| merged.merge(page));
            prop_assert_eq!(&together::<Sums>(&pages).page(), &merged);
            prop_assert_eq!(&together::<WideSums>(&pages).page(), &merged);
            prop_assert_eq!(&in_halves::<Sums>(&pages), &merged);
            prop_assert_eq!(&in_halves::<WideSums>(&pages), &merged);
            prop_assert_eq!(&in_halves::<Page>(&pages), &merged);
        }
    }
}
