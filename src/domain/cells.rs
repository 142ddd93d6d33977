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
//! Start at: [`Change::add`], [`Page`].

mod page;
mod sums;
mod time;

pub use page::{LIFTED_SINCE, MEASURES, Measure, Offered, PAY_STEP, POOR_AT_HIRE, Page, Section, Sections, Which, job, job_of};
pub use sums::{Sums, Together, WideSums};
pub use time::{Bucket, Month, days_of, offers_of, whole_of};

use super::account::{Account, Span, Standing};
use super::hire::Flow;
use super::region::{Level, Region, focus_sets};
use super::worker::Tier;
use crate::threads::both;
use foldhash::fast::FixedState;
use page::Key;
use std::collections::{BTreeMap, HashMap};

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
    /// What very many accounts add, by axis, in no order; not in the pages yet.
    many: [Gathered; Axis::ALL.len()],
    /// Where counts go instead of the pages, while many are added.
    gathered: Option<Gathered>,
}

type Gathered = HashMap<Place, Sums, FixedState>;

/// The place that a roll-up counts one under: its province, or itself where it is in none.
pub fn province_of(region: Region) -> Region {
    region.at_level(Level::Province).unwrap_or(region)
}

/// The number that stands for a platform in pages.
pub trait Numbers: Fn(&str) -> u16 {}
impl<F: Fn(&str) -> u16> Numbers for F {}

/// A person's standing at the end of a period, and in which kinds of period they are
/// new by then.
#[derive(Clone, PartialEq, Eq)]
struct Counted<'a> {
    standing: Standing<'a>,
    /// Of the month, the quarter, the year.
    new: [bool; 3],
}

impl Change {
    /// A change that keeps the days of no month before this one.
    pub fn with_days_from(first: Month) -> Self {
        Self { days_from: Some(first), ..Self::default() }
    }

    fn has_days(&self, month: Month) -> bool {
        self.days_from.is_none_or(|first| month >= first)
    }

    /// Adds what turns pages that count a person as `old` into those that count them
    /// as `new`.
    pub fn add(&mut self, old: &Account, new: &Account, numbers: &impl Numbers) {
        self.add_on(&Axis::ALL, old, new, numbers);
    }

    /// Adds this of very many, each axis on a core of its own; it is in the pages once the
    /// change is settled.
    pub fn add_many(&mut self, changed: &[(&Account, &Account)], numbers: &(impl Numbers + Sync)) {
        let (days_from, [home, work]) = (self.days_from, &mut self.many);
        let here = || gather(Axis::Home, home, changed, days_from, numbers);
        both(here, || gather(Axis::Work, work, changed, days_from, numbers));
    }

    fn add_on(&mut self, axes: &[Axis], old: &Account, new: &Account, numbers: &impl Numbers) {
        let (before, after) = (old.spans(), new.spans());
        for month in months(&before, &after) {
            let end = month.last_day();
            let (was, is) = (counted_in(&before, end, month), counted_in(&after, end, month));
            if was != is {
                self.count(axes, &[Bucket::month(month)], was.as_ref(), -1, numbers);
                self.count(axes, &[Bucket::month(month)], is.as_ref(), 1, numbers);
            }
            if self.has_days(month) {
                self.days(axes, month, &before, &after, numbers);
            }
        }
        if axes.contains(&Axis::Home) {
            self.turns(old, -1, numbers);
            self.turns(new, 1, numbers);
        }
    }

    /// Adds a page to the page of a place.
    pub fn merge(&mut self, place: Place, page: &Page) {
        self.pages.entry(place).or_default().merge(page);
    }

    /// Puts what many added into the pages, and forgets what came to nothing.
    pub fn settle(&mut self) {
        for (place, sums) in self.many.iter_mut().flat_map(HashMap::drain) {
            self.pages.entry(place).or_default().merge(&sums.page());
        }
        self.pages.retain(|_, page| !page.is_empty());
    }

    /// Adds offers to people at home in a place.
    pub fn add_offers(&mut self, month: Month, home: Region, job: u32, what: Offered, n: i64) {
        let place = Place { bucket: Bucket::offers(month), axis: Axis::Home, region: home };
        self.add_counts(place, &[(Key::of(Section::Offer, job, what as u16), 1)], n);
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
        let mut sums = Gathered::default();
        for (place, page) in &self.pages {
            let place = Place { bucket: place.bucket.rolled_up(), region: province_of(place.region), ..*place };
            sums.entry(place).or_default().add_page(page);
        }
        let mut all = Self { many: [sums, Gathered::default()], ..Self::default() };
        all.settle();
        all
    }

    /// Adds counts, in the order of their keys, so many times.
    fn add_counts(&mut self, place: Place, sorted: &[(Key, i64)], times: i64) {
        match &mut self.gathered {
            Some(gathered) => gathered.entry(place).or_default().add_all(sorted, times),
            None => self.pages.entry(place).or_default().add_all(sorted, times),
        }
    }

    /// Enters the differences from day to day within a month.
    fn days(&mut self, axes: &[Axis], month: Month, before: &[Span<'_>], after: &[Span<'_>], numbers: &impl Numbers) {
        let (first, last) = (month.first_day(), month.last_day());
        let ends = |spans: &[Span<'_>]| spans.iter().flat_map(|s| [s.from, s.to + 1]).collect::<Vec<_>>();
        let mut edges: Vec<i32> = [ends(before), ends(after), vec![first]].concat();
        edges.retain(|day| (first..=last).contains(day));
        edges.sort_unstable();
        edges.dedup();
        for day in edges {
            let (was, is) = (step(before, day, month), step(after, day, month));
            if was == is {
                continue;
            }
            let buckets: Vec<Bucket> = Bucket::days(month, day).collect();
            for ((from, to), sign) in [(&was, -1), (&is, 1)] {
                self.count(axes, &buckets, from.as_ref(), -sign, numbers);
                self.count(axes, &buckets, to.as_ref(), sign, numbers);
            }
        }
    }

    /// Counts a person in the pages of these buckets.
    fn count(&mut self, axes: &[Axis], buckets: &[Bucket], who: Option<&Counted<'_>>, sign: i64, numbers: &impl Numbers) {
        let Some(who) = who else { return };
        let hire = who.standing.hire;
        // Who works nobody knows where stands under the nation.
        let work = hire.work.unwrap_or(Region::NATION);
        for axis in axes.iter().copied() {
            let (region, other) = if axis == Axis::Home { (hire.home, work) } else { (work, hire.home) };
            let counts = who.counts(axis, other, numbers);
            buckets.iter().for_each(|bucket| self.add_counts(Place { bucket: *bucket, axis, region }, &counts, sign));
        }
    }

    /// Counts what happened once.
    fn turns(&mut self, account: &Account, sign: i64, numbers: &impl Numbers) {
        for hire in account.hires.values() {
            let job = job(numbers(&hire.platform), hire.category);
            for (day, turn) in hire.turns() {
                let month = Month::of(day);
                let whole = [Bucket::month(month), Bucket::quarter(month), Bucket::year(month)];
                let has_days = self.has_days(month);
                for bucket in whole.into_iter().chain(Bucket::days(month, day).filter(|_| has_days)) {
                    let place = Place { bucket, axis: Axis::Home, region: hire.home };
                    self.add_counts(place, &[(Key::of(Section::Turn, job, turn as u16), 1)], sign);
                }
            }
        }
    }
}

/// Gathers what accounts add on one axis, in an order in which neighbours touch the same
/// pages.
fn gather(axis: Axis, into: &mut Gathered, changed: &[(&Account, &Account)], days_from: Option<Month>, numbers: &impl Numbers) {
    let place = |account: &Account| {
        let hire = account.hires.values().next_back();
        hire.map(|h| if axis == Axis::Home { h.home } else { h.work.unwrap_or(Region::NATION) })
    };
    let mut sorted = changed.to_vec();
    sorted.sort_by_cached_key(|(old, new)| place(new).or(place(old)));
    let mut part = Change { days_from, gathered: Some(std::mem::take(into)), ..Change::default() };
    sorted.into_iter().for_each(|(old, new)| part.add_on(&[axis], old, new, numbers));
    *into = part.gathered.unwrap_or_default();
}

impl Counted<'_> {
    /// The measures that the person adds one to.
    fn measures(&self) -> Vec<u16> {
        let (standing, hire) = (&self.standing, self.standing.hire);
        if !standing.working {
            return vec![Measure::AwaitingStart as u16];
        }
        let mut measures = vec![Measure::of_flow(hire.flow) as u16];
        measures.extend(standing.confirmed.then_some(Measure::Confirmed as u16));
        measures.extend(page::NEW.into_iter().zip(self.new).filter(|(_, new)| *new).map(|(measure, _)| measure as u16));
        if hire.tier_at_hire != Tier::Lifted {
            measures.push(Measure::PoorAtHire as u16);
            measures.extend((standing.tier == Tier::Lifted).then_some(Measure::LiftedSince as u16));
        }
        measures
    }

    /// What the person adds to a page of one axis, in the order of its keys; `other` is
    /// their place on the other.
    fn counts(&self, axis: Axis, other: Region, numbers: &impl Numbers) -> Vec<(Key, i64)> {
        let (standing, hire) = (&self.standing, self.standing.hire);
        let measures = self.measures();
        let mut counts = Vec::with_capacity(64);
        let parts = [
            (Section::Flow, hire.flow as u32),
            (Section::Tier, standing.tier as u32),
            (Section::TierAtHire, hire.tier_at_hire as u32),
            (Section::Category, hire.category as u32),
            (Section::Platform, u32::from(numbers(&hire.platform))),
        ];
        let sets = focus_sets().iter().enumerate().filter(|(_, set)| axis == Axis::Work && set.contains(hire.home));
        for (section, part) in parts.into_iter().chain(sets.map(|(at, _)| (Section::Focus, at as u32))) {
            counts.extend(measures.iter().map(|measure| (Key::of(section, part, *measure), 1)));
        }
        if !standing.working {
            return counts;
        }
        let way = other.prefecture().or(other.province()).unwrap_or(other);
        counts.push((Key::of(Section::Way, way.code(), Measure::of_flow(hire.flow) as u16), 1));
        for hire in standing.jobs.iter().filter(|_| axis == Axis::Home) {
            let job = job(numbers(&hire.platform), hire.category);
            counts.push((Key::of(Section::Job, job, standing.tier as u16), 1));
            if hire.tier_at_hire != Tier::Lifted {
                counts.push((Key::of(Section::Job, job, page::POOR_AT_HIRE), 1));
                if standing.tier == Tier::Lifted {
                    counts.push((Key::of(Section::Job, job, page::LIFTED_SINCE), 1));
                }
            }
            counts.extend(hire.monthly_pay.map(|pay| (Key::of(Section::Pay, job, page::pay_step(pay)), 1)));
        }
        counts.sort_unstable_by_key(|(key, _)| *key);
        counts
    }
}

/// The months on whose last day somebody may be counted, and those in which that
/// changes.
fn months(before: &[Span<'_>], after: &[Span<'_>]) -> Vec<Month> {
    let mut months: Vec<Month> = Vec::new();
    for span in before.iter().chain(after) {
        // The day after it is a change, too.
        let (from, to) = (Month::of(span.from), Month::of(span.to.saturating_add(1)));
        months.extend(from.until(to));
    }
    months.sort_unstable();
    months.dedup();
    months
}

/// What a person comes to on the day before and on a day of this month. On its first
/// day what was new before is left out where it is told anew, as readers leave it out.
fn step<'a>(spans: &[Span<'a>], day: i32, month: Month) -> (Option<Counted<'a>>, Option<Counted<'a>>) {
    let is_first = day == month.first_day();
    let mut before = counted_in(spans, day - 1, if is_first { month.previous() } else { month });
    if let Some(before) = before.as_mut().filter(|_| is_first) {
        for (kind, new) in before.new.iter_mut().enumerate() {
            *new &= !month.begins(kind);
        }
    }
    (before, counted_in(spans, day, month))
}

/// What a person comes to on a day of this month.
fn counted_in<'a>(spans: &[Span<'a>], day: i32, month: Month) -> Option<Counted<'a>> {
    let on = |day: i32| spans.iter().find(|s| s.from <= day && day <= s.to).map(|s| &s.standing);
    let standing = on(day)?.clone();
    let new = [0, 1, 2].map(|kind| standing.working && on(month.start_of(kind) - 1).is_none_or(|before| !before.working));
    Some(Counted { standing, new })
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
