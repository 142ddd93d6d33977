//! Figures as cells: counts of people by place, day and what they are split by, kept
//! as sums that a change of one person adds to and takes from.
//!
//! A [`Page`] holds all counts of one place on one [`Bucket`] of time. The bucket of a
//! month holds what stands on its last day; of a day of a running month it is found by
//! adding the differences of its days, kept as a Fenwick tree (Fenwick, 1994: A new
//! data structure for cumulative frequency tables), to what stood when the month
//! before it ended. What happens once (a hire, a lay-off) is counted in the month, the
//! quarter and the year it falls into; offers, which are made now or never, in the
//! month alone, in buckets of their own.
//!
//! Promises: the pages of two people are the sum of each one's; what is written for
//! somebody and taken away again leaves nothing.
//! Does not: know a store. Days are numbers since 1970-01-01.
//! Start at: [`Change::add`], [`Tally::add`], [`Page`].

mod count;
mod page;
mod sums;
mod tally;
mod time;

pub use count::Numbers;
pub use page::{LIFTED_SINCE, MEASURES, Measure, Offered, PAY_STEP, POOR_AT_HIRE, Page, Section, Sections, Which, cut, job, job_of};
pub use sums::{Sums, Together, WideSums};
pub use tally::Tally;
pub use time::{Bucket, Month, days_of, offers_of, whole_of};

use super::account::Account;
use super::hire::Flow;
use super::region::{Level, Region};
use count::{Counter, Counts};
use page::Key;
use std::collections::{BTreeMap, BTreeSet};

/// Whether a page is of those who come from its place or of those who work there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Axis {
    Home,
    Work,
}

impl Axis {
    pub const ALL: [Axis; 2] = [Axis::Home, Axis::Work];

    pub fn code(self) -> &'static str {
        match self {
            Axis::Home => "home",
            Axis::Work => "work",
        }
    }

    pub fn title_zh(self) -> &'static str {
        match self {
            Axis::Home => "户籍地",
            Axis::Work => "就业地",
        }
    }

    pub fn parse(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|a| a.code() == code)
    }
}

/// Where a page stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    pub bucket: Bucket,
    pub axis: Axis,
    pub region: Region,
}

/// What pages are to be changed by.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Change {
    pages: BTreeMap<Place, Page>,
    /// Months before this one have no pages of days.
    days_from: Option<Month>,
}

/// The place that a roll-up counts one under: its province, or itself where it is in none.
pub fn province_of(region: Region) -> Region {
    region.at_level(Level::Province).unwrap_or(region)
}

impl Change {
    /// A change that keeps the days of no month before this one.
    pub fn with_days_from(first: Month) -> Self {
        Self { days_from: Some(first), ..Self::default() }
    }

    /// Adds what turns pages that count a person as `old` into those that count them
    /// as `new`.
    pub fn add(&mut self, old: &Account, new: &Account, numbers: &impl Numbers) {
        Counter { into: &mut self.pages, days_from: self.days_from, numbers }.turn(&Axis::ALL, old, new);
    }

    /// Adds a page to the page of a place.
    pub fn merge(&mut self, place: Place, page: &Page) {
        self.pages.entry(place).or_default().merge(page);
    }

    /// Of which months before this one it changes what stood at their end, at some home.
    pub fn months_before(&self, month: Month) -> BTreeSet<Month> {
        let at_home = self.pages.keys().filter(|place| place.axis == Axis::Home);
        at_home.filter_map(|place| place.bucket.month_ended()).filter(|ended| *ended < month).collect()
    }

    /// Forgets what came to nothing.
    pub fn settle(&mut self) {
        self.pages.retain(|_, page| !page.is_empty());
    }

    /// Adds offers to people at home in a place.
    pub fn add_offers(&mut self, month: Month, home: Region, job: u32, what: Offered, n: i64) {
        let place = Place { bucket: Bucket::offers(month), axis: Axis::Home, region: home };
        self.pages.add(place, &[(Key::of(Section::Offer, job, what as u16), 1)], n);
    }

    /// The pages, in the order of their places.
    pub fn pages(&self) -> impl Iterator<Item = (&Place, &Page)> {
        self.pages.iter()
    }

    pub fn is_empty(&self) -> bool {
        self.pages.is_empty()
    }

    /// What these pages come to by province, in the buckets of roll-ups.
    pub fn rolled_up(&self) -> Self {
        let mut sums: BTreeMap<Place, Sums> = BTreeMap::new();
        for (place, page) in &self.pages {
            let place = Place { bucket: place.bucket.rolled_up(), region: province_of(place.region), ..*place };
            sums.entry(place).or_default().add_page(page);
        }
        sums.into_iter().map(|(place, sums)| (place, sums.page())).collect()
    }
}

impl FromIterator<(Place, Page)> for Change {
    /// Of places that are each named once; what came to nothing is no change.
    fn from_iter<I: IntoIterator<Item = (Place, Page)>>(pages: I) -> Self {
        Self { pages: pages.into_iter().filter(|(_, page)| !page.is_empty()).collect(), days_from: None }
    }
}

impl Measure {
    /// Who is new in a period of this kind: 0 a month, 1 a quarter, 2 a year.
    pub fn new_in(kind: usize) -> Self {
        page::NEW[kind]
    }

    /// Who works, by flow.
    pub fn of_flow(flow: Flow) -> Self {
        match flow {
            Flow::InCounty => Measure::InCounty,
            Flow::InPlace => Measure::InPlace,
            Flow::InProvince => Measure::InProvince,
            Flow::OutOfProvince => Measure::OutOfProvince,
        }
    }
}

#[cfg(test)]
mod tests;
