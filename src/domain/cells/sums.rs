//! Many pages added up as one, in whatever order they come.

use super::page::{Key, Page, Section, Which, counts_of};
use foldhash::fast::FixedState;
use std::collections::HashMap;

/// The counts of the pages so far. To merge each page into a sorted one would go over all
/// that was counted before; this looks up what the page counts and no more.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sums(HashMap<u64, i64, FixedState>);

/// Pages that are put together one after the other, in whatever order they come.
pub trait Together: Default + Send {
    /// Adds these counts of a page as the store keeps it; none where it is no page.
    fn add(&mut self, bytes: &[u8], which: Which) -> Option<()>;

    /// Adds what others come to.
    fn join(&mut self, other: Self);

    /// What they come to.
    fn page(self) -> Page;
}

impl Together for Page {
    fn add(&mut self, bytes: &[u8], which: Which) -> Option<()> {
        self.join(Page::counts_of(bytes, which)?);
        Some(())
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
    /// How many counts there are.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// Adds counts so many times.
    pub(super) fn add_all(&mut self, counts: &[(Key, i64)], times: i64) {
        for (Key(key), n) in counts {
            *self.0.entry(*key).or_default() += n * times;
        }
    }

    /// Adds the counts of a page.
    pub(super) fn add_page(&mut self, page: &Page) {
        page.counts().for_each(|(key, n)| *self.0.entry(key).or_default() += n);
    }
}

impl Together for Sums {
    fn add(&mut self, bytes: &[u8], which: Which) -> Option<()> {
        counts_of(bytes, which, |key, n| *self.0.entry(key).or_default() += n)
    }

    fn join(&mut self, mut other: Self) {
        if other.0.len() > self.0.len() {
            std::mem::swap(self, &mut other);
        }
        self.0.reserve(other.0.len());
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
    /// Where the counts of a part begin.
    places: HashMap<u64, usize, FixedState>,
    /// The same of those that were met last, by [`slot`]: a page has most parts of the one
    /// before.
    recent: Vec<(u64, usize)>,
    sums: Vec<i64>,
    /// Measures beyond those.
    beyond: Sums,
}

/// Measures that lie beside each other, of the steps of pay, up to 50,000 yuan of it, and
/// of all others.
const STEPS: usize = 1_000;
const FEW: usize = 16;

fn width(part: u64) -> usize {
    if part >> 32 == Section::Pay as u64 { STEPS } else { FEW }
}

const RECENT: usize = 512;

fn slot(part: u64) -> usize {
    // Multiplicative hashing (Knuth, The Art of Computer Programming, volume 3, 6.4).
    (part.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 55) as usize % RECENT
}

impl WideSums {
    fn place(&mut self, part: u64) -> usize {
        if self.recent.is_empty() {
            self.recent.resize(RECENT, (u64::MAX, 0));
        }
        let recent = &mut self.recent[slot(part)];
        if recent.0 != part {
            let at = *self.places.entry(part).or_insert(self.sums.len());
            if at == self.sums.len() {
                self.sums.resize(at + width(part), 0);
            }
            *recent = (part, at);
        }
        recent.1
    }
}

impl Together for WideSums {
    fn add(&mut self, bytes: &[u8], which: Which) -> Option<()> {
        let (mut part, mut at, mut most) = (u64::MAX, 0, 0);
        counts_of(bytes, which, |key, n| {
            if key >> 16 != part {
                part = key >> 16;
                (at, most) = (self.place(part), width(part));
            }
            let measure = (key & 0xffff) as usize;
            match self.sums.get_mut(at + measure) {
                Some(sum) if measure < most => *sum += n,
                _ => *self.beyond.0.entry(key).or_default() += n,
            }
        })
    }

    fn join(&mut self, other: Self) {
        for (part, from) in other.places {
            let (at, width) = (self.place(part), width(part));
            self.sums[at..at + width].iter_mut().zip(&other.sums[from..]).for_each(|(sum, n)| *sum += n);
        }
        self.beyond.join(other.beyond);
    }

    fn page(self) -> Page {
        let mut places: Vec<(u64, usize)> = self.places.into_iter().collect();
        places.sort_unstable();
        let counts = |(part, at): (u64, usize)| (part << 16..).zip(self.sums[at..at + width(part)].iter().copied());
        let mut page = Page::of_counts(places.into_iter().flat_map(counts).filter(|(_, n)| *n != 0).collect());
        page.merge(&self.beyond.page());
        page
    }
}

#[cfg(test)]
mod tests {
    use super::super::Sections;
    use super::*;
    use proptest::prelude::*;

    fn a_page() -> impl Strategy<Value = Page> {
        let sections = [Section::Flow, Section::Job, Section::Pay];
        proptest::collection::vec((0usize..3, 0u32..4, prop_oneof![0u16..3, 14u16..18, 998u16..1_002], -2i64..3), 0..12).prop_map(
            move |counts| {
                let mut page = Page::default();
                counts.into_iter().for_each(|(section, part, measure, n)| page.add(sections[section], part, measure, n));
                page
            },
        )
    }

    fn together<T: Together>(pages: &[Page]) -> T {
        let mut all = T::default();
        pages.iter().for_each(|page| all.add(&page.to_bytes(), Which::of(Sections::ALL)).unwrap());
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
