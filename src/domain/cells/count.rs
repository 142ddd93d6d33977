//! What one person adds to pages, and takes from them.

use super::page::{Key, LIFTED_SINCE, Measure, NEW, POOR_AT_HIRE, Page, Section, job, pay_step};
use super::sums::Sums;
use super::time::{Bucket, Month};
use super::{Axis, Place};
use crate::domain::account::{Account, Span, Standing};
use crate::domain::region::{Region, focus_sets};
use crate::domain::worker::Tier;
use foldhash::fast::FixedState;
use std::collections::{BTreeMap, HashMap};

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

/// Where counts go.
pub(super) trait Counts {
    /// Adds counts, in the order of their keys, so many times.
    fn add(&mut self, place: Place, sorted: &[(Key, i64)], times: i64);
}

impl Counts for BTreeMap<Place, Page> {
    fn add(&mut self, place: Place, sorted: &[(Key, i64)], times: i64) {
        self.entry(place).or_default().add_all(sorted, times);
    }
}

impl Counts for HashMap<Place, Sums, FixedState> {
    fn add(&mut self, place: Place, sorted: &[(Key, i64)], times: i64) {
        self.entry(place).or_default().add_all(sorted, times);
    }
}

/// Counts people.
pub(super) struct Counter<'a, C, N> {
    pub into: &'a mut C,
    /// Months before this one have no pages of days.
    pub days_from: Option<Month>,
    pub numbers: &'a N,
}

impl<C: Counts, N: Numbers> Counter<'_, C, N> {
    fn has_days(&self, month: Month) -> bool {
        self.days_from.is_none_or(|first| month >= first)
    }

    /// Adds what turns pages of these axes that count a person as `old` into those that
    /// count them as `new`.
    pub fn turn(&mut self, axes: &[Axis], old: &Account, new: &Account) {
        let (before, after) = (old.spans(), new.spans());
        for month in months(&before, &after) {
            let end = month.last_day();
            let (was, is) = (counted_in(&before, end, month), counted_in(&after, end, month));
            if was != is {
                self.count(axes, &[Bucket::month(month)], was.as_ref(), -1);
                self.count(axes, &[Bucket::month(month)], is.as_ref(), 1);
            }
            if self.has_days(month) {
                self.days(axes, month, &before, &after);
            }
        }
        if axes.contains(&Axis::Home) {
            self.turns(old, -1);
            self.turns(new, 1);
        }
    }

    /// Enters the differences from day to day within a month.
    fn days(&mut self, axes: &[Axis], month: Month, before: &[Span<'_>], after: &[Span<'_>]) {
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
                self.count(axes, &buckets, from.as_ref(), -sign);
                self.count(axes, &buckets, to.as_ref(), sign);
            }
        }
    }

    /// Counts a person in the pages of these buckets.
    fn count(&mut self, axes: &[Axis], buckets: &[Bucket], who: Option<&Counted<'_>>, sign: i64) {
        let Some(who) = who else { return };
        let hire = who.standing.hire;
        // Who works nobody knows where stands under the nation.
        let work = hire.work.unwrap_or(Region::NATION);
        for axis in axes.iter().copied() {
            let (region, other) = if axis == Axis::Home { (hire.home, work) } else { (work, hire.home) };
            let counts = who.counts(axis, other, self.numbers);
            buckets.iter().for_each(|bucket| self.into.add(Place { bucket: *bucket, axis, region }, &counts, sign));
        }
    }

    /// Counts what happened once.
    fn turns(&mut self, account: &Account, sign: i64) {
        for hire in account.hires.values() {
            let job = job((self.numbers)(&hire.platform), hire.category);
            for (day, turn) in hire.turns() {
                let month = Month::of(day);
                let whole = [Bucket::month(month), Bucket::quarter(month), Bucket::year(month)];
                let has_days = self.has_days(month);
                for bucket in whole.into_iter().chain(Bucket::days(month, day).filter(|_| has_days)) {
                    let place = Place { bucket, axis: Axis::Home, region: hire.home };
                    self.into.add(place, &[(Key::of(Section::Turn, job, turn as u16), 1)], sign);
                }
            }
        }
    }
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
        measures.extend(NEW.into_iter().zip(self.new).filter(|(_, new)| *new).map(|(measure, _)| measure as u16));
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
                counts.push((Key::of(Section::Job, job, POOR_AT_HIRE), 1));
                if standing.tier == Tier::Lifted {
                    counts.push((Key::of(Section::Job, job, LIFTED_SINCE), 1));
                }
            }
            counts.extend(hire.monthly_pay.map(|pay| (Key::of(Section::Pay, job, pay_step(pay)), 1)));
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
