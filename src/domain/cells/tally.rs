//! The pages of very many people. As hash maps of counts, or as pages to be looked into,
//! those of a nation would take some ten times the memory that they take as the store
//! keeps them: what is counted is gathered, and put into bytes whenever much of it is.

use super::count::{Counter, Numbers};
use super::page::Page;
use super::sums::{Sums, Together};
use super::time::Month;
use super::{Axis, Place};
use crate::domain::account::Account;
use crate::domain::region::Region;
use crate::threads::both;
use foldhash::fast::FixedState;
use std::collections::HashMap;

/// Counts of one axis that are gathered before they are put into bytes: some 400 MB.
const GATHERED: usize = 16_000_000;

/// What very many accounts come to, by place.
#[derive(Default)]
pub struct Tally {
    axes: [OfAxis; Axis::ALL.len()],
    /// Months before this one have no pages of days.
    days_from: Option<Month>,
}

#[derive(Default)]
struct OfAxis {
    /// As [`Page::to_bytes`] writes them; none is empty.
    pages: HashMap<Place, Box<[u8]>, FixedState>,
    /// Not in the pages yet.
    gathered: HashMap<Place, Sums, FixedState>,
}

impl Tally {
    /// One that keeps the days of no month before this one.
    pub fn with_days_from(first: Month) -> Self {
        Self { days_from: Some(first), ..Self::default() }
    }

    /// Adds what turns pages that count each of these people as the first into those that
    /// count them as the second, each axis on a core of its own. The pages say so once the
    /// tally is settled.
    pub fn add(&mut self, changed: &[(&Account, &Account)], numbers: &(impl Numbers + Sync)) {
        let (days_from, [home, work]) = (self.days_from, &mut self.axes);
        let here = || home.add(Axis::Home, changed, days_from, numbers);
        both(here, || work.add(Axis::Work, changed, days_from, numbers));
    }

    /// Adds a page to the page of a place.
    pub fn merge(&mut self, place: Place, page: Page) {
        self.axes[place.axis as usize].merge(place, page);
    }

    /// Puts what was gathered into the pages.
    pub fn settle(&mut self) {
        let [home, work] = &mut self.axes;
        both(|| home.settle(), || work.settle());
    }

    /// The pages as the store keeps them, in no order.
    pub fn pages(&self) -> impl Iterator<Item = (&Place, &[u8])> {
        self.axes.iter().flat_map(|axis| &axis.pages).map(|(place, bytes)| (place, &**bytes))
    }

    /// The same, for good.
    pub fn into_pages(self) -> impl Iterator<Item = (Place, Box<[u8]>)> {
        self.axes.into_iter().flat_map(|axis| axis.pages)
    }
}

impl OfAxis {
    /// Adds people in an order in which neighbours touch the same pages.
    fn add(&mut self, axis: Axis, changed: &[(&Account, &Account)], days_from: Option<Month>, numbers: &impl Numbers) {
        let place = |account: &Account| {
            let hire = account.hires.values().next_back();
            hire.map(|h| if axis == Axis::Home { h.home } else { h.work.unwrap_or(Region::NATION) })
        };
        let mut sorted = changed.to_vec();
        sorted.sort_by_cached_key(|(old, new)| place(new).or(place(old)));
        let mut counter = Counter { into: &mut self.gathered, days_from, numbers };
        sorted.into_iter().for_each(|(old, new)| counter.turn(&[axis], old, new));
        if self.gathered.values().map(Sums::len).sum::<usize>() >= GATHERED {
            self.settle();
        }
    }

    fn settle(&mut self) {
        for (place, sums) in std::mem::take(&mut self.gathered) {
            self.merge(place, sums.page());
        }
    }

    fn merge(&mut self, place: Place, mut page: Page) {
        if let Some(before) = self.pages.remove(&place) {
            // They were written here.
            page.merge(&Page::from_bytes(&before).unwrap_or_default());
        }
        if !page.is_empty() {
            self.pages.insert(place, page.to_bytes().into());
        }
    }
}
