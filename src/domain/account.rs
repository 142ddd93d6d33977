//! What is counted of a person: the states of their hires and their tiers, and the
//! spans of days over which they come to the same.
//!
//! Promises: an account follows from the facts alone, and its spans from the account;
//! two nodes and a fold of the ledger come to the same spans.
//! Does not: know a store or a period. Days are numbers since 1970-01-01.
//! Start at: [`HireState::of`], [`Account::spans`].

mod packed;

use super::category::Category;
use super::hire::{EndReason, Flow, Life, Tags};
use super::region::Region;
use super::time::{day_number, from_day_number};
use super::worker::Tier;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use uuid::Uuid;

/// All that reports count of one hire. It stands in the ledger after each change of
/// the hire, with the days as they follow from the rules in force then: a locked
/// period does not move with a setting.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HireState {
    pub platform: String,
    pub category: Category,
    /// As frozen in the tags.
    pub home: Region,
    /// This and the flow as corrected.
    pub work: Option<Region>,
    pub flow: Flow,
    pub tier_at_hire: Tier,
    /// The day whose tags were frozen.
    pub hired_on: Date,
    pub started_on: Option<Date>,
    pub over_on: Option<Date>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end_reason: Option<EndReason>,
    /// First and last days of working, and of being awaited.
    pub working: Vec<(Date, Date)>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub awaited: Vec<(Date, Date)>,
    pub confirmed_on: Option<Date>,
    /// First days of the months worked.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub months: Vec<Date>,
    /// The last monthly pay that was reported, in whole yuan.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub monthly_pay: Option<u32>,
}

/// What a hire is beside its life.
#[derive(Clone, Debug)]
pub struct HireFrame<'a> {
    pub platform: &'a str,
    pub category: Category,
    pub home: Region,
    pub work: Option<Region>,
    pub flow: Flow,
    pub tags: &'a Tags,
    pub hired_on: Date,
    pub end_reason: Option<EndReason>,
    pub monthly_pay: Option<u32>,
}

impl HireState {
    /// The state of a hire; none where there never was one.
    pub fn of(frame: HireFrame<'_>, life: &Life, stale_months: u32) -> Option<Self> {
        if life.corrected.void {
            return None;
        }
        let spans = |days: Vec<(i32, i32)>| days.into_iter().map(|(a, b)| (from_day_number(a.into()), from_day_number(b.into()))).collect();
        let over_on = life.ended_on();
        Some(Self {
            platform: frame.platform.to_owned(),
            category: frame.category,
            home: frame.home,
            work: frame.work,
            flow: frame.flow,
            tier_at_hire: frame.tags.tier_at_hire,
            hired_on: frame.hired_on,
            started_on: life.started_on(),
            over_on,
            end_reason: over_on.and(frame.end_reason),
            working: spans(life.working_days(stale_months)),
            awaited: spans(life.awaited_days(stale_months)),
            confirmed_on: life.confirmed_on(),
            months: life.months_worked(Date::MAX),
            monthly_pay: frame.monthly_pay,
        })
    }

    fn works_on(&self, day: i32) -> bool {
        holds(&self.working, day)
    }

    /// The last day of work as far as is known, of a hire at work on this day.
    pub fn works_until(&self, day: Date) -> Option<Date> {
        self.working.iter().find(|(from, to)| (*from..=*to).contains(&day)).map(|(_, to)| *to)
    }

    fn confirmed(&self, day: i32) -> bool {
        self.confirmed_on.is_some_and(|on| number(on) <= day)
    }

    /// What happened once, on a day: the turnover of a hire.
    pub fn turns(&self) -> Vec<(i32, Turn)> {
        let mut turns = vec![(number(self.hired_on), Turn::Hired)];
        if let (Some(over), Some(EndReason::LaidOff)) = (self.over_on, self.end_reason) {
            turns.push((number(over), Turn::LaidOff));
        }
        if let Some(start) = self.started_on {
            for (days, all, held) in [(30, Turn::Due30, Turn::Held30), (90, Turn::Due90, Turn::Held90)] {
                let due = number(start).saturating_add(days);
                turns.push((due, all));
                if self.works_on(due) {
                    turns.push((due, held));
                }
            }
        }
        turns
    }
}

/// What happens to a hire once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Turn {
    Hired,
    LaidOff,
    /// 30 days had passed since the start, and the hire was at work on that day.
    Due30,
    Held30,
    Due90,
    Held90,
}

/// One person: tiers by the day since which each holds, hires by their id.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    pub tiers: BTreeMap<Date, Tier>,
    /// Boxed: a map makes room for eleven of them where most people have one.
    pub hires: BTreeMap<Uuid, Box<HireState>>,
}

impl Account {
    /// Where whoever is counted was at home at their last hire.
    pub fn last_home(&self) -> Option<Region> {
        Some(self.hires.iter().max_by_key(|(id, hire)| (hire.started_on, **id))?.1.home)
    }
}

/// Days over which a person comes to the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Span<'a> {
    pub from: i32,
    /// The last day of it.
    pub to: i32,
    pub standing: Standing<'a>,
}

/// What a person comes to on a day.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing<'a> {
    /// The main hire, or, of who works in none, the one whose start is awaited.
    pub hire: &'a HireState,
    pub id: Uuid,
    pub working: bool,
    pub tier: Tier,
    pub confirmed: bool,
    /// The trades at platforms in which the person works, each once, by the earliest
    /// hire in it.
    pub jobs: Vec<&'a HireState>,
}

impl Account {
    fn by_id(&self) -> impl Iterator<Item = (&Uuid, &HireState)> {
        self.hires.iter().map(|(id, state)| (id, &**state))
    }

    /// The tier in force on a day: the latest that began by then, else the first
    /// known.
    pub fn tier_on(&self, day: Date) -> Option<Tier> {
        let by_then = self.tiers.range(..=day).next_back();
        by_then.or_else(|| self.tiers.iter().next()).map(|(_, tier)| *tier)
    }

    /// The spans in which the person is counted, in order, none beside another that is
    /// equal to it.
    pub fn spans(&self) -> Vec<Span<'_>> {
        let mut edges: Vec<i32> = Vec::new();
        for hire in self.hires.values() {
            for (from, to) in hire.working.iter().chain(&hire.awaited) {
                edges.extend([number(*from), number(*to).saturating_add(1)]);
            }
            edges.extend(hire.confirmed_on.map(number));
        }
        edges.extend(self.tiers.keys().map(|day| number(*day)));
        edges.sort_unstable();
        edges.dedup();
        let mut spans: Vec<Span<'_>> = Vec::new();
        for pair in edges.windows(2) {
            let Some(standing) = self.standing(pair[0]) else { continue };
            match spans.last_mut() {
                Some(last) if last.to + 1 == pair[0] && last.standing == standing => last.to = pair[1] - 1,
                _ => spans.push(Span { from: pair[0], to: pair[1] - 1, standing }),
            }
        }
        spans
    }

    /// What the person comes to on a day.
    pub fn standing(&self, day: i32) -> Option<Standing<'_>> {
        let start = |h: &HireState| h.started_on;
        let mut working: Vec<(&Uuid, &HireState)> = self.by_id().filter(|(_, h)| h.works_on(day)).collect();
        working.sort_by_key(|(id, h)| (start(h), **id));
        let first = working.first().copied();
        let (id, hire) = first.or_else(|| self.by_id().find(|(_, h)| holds(&h.awaited, day)))?;
        let mut jobs: Vec<&HireState> = Vec::new();
        for (_, h) in &working {
            if !jobs.iter().any(|known| (&known.platform, known.category) == (&h.platform, h.category)) {
                jobs.push(h);
            }
        }
        Some(Standing {
            hire,
            id: *id,
            working: first.is_some(),
            tier: self.tier_on(from_day_number(day.into())).unwrap_or(hire.tier_at_hire),
            confirmed: first.is_some() && hire.confirmed(day),
            jobs,
        })
    }
}

/// A date as the number of its day.
pub fn number(day: Date) -> i32 {
    i32::try_from(day_number(day)).unwrap_or(i32::MAX)
}

fn holds(spans: &[(Date, Date)], day: i32) -> bool {
    spans.iter().any(|(from, to)| number(*from) <= day && day <= number(*to))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::hire::{Corrected, Fact, Standing as OnDay};
    use jiff::civil::date;
    use proptest::prelude::*;

    pub fn a_day() -> impl Strategy<Value = Date> {
        (0i32..400).prop_map(|n| from_day_number(i64::from(n) + day_number(date(2019, 12, 1))))
    }

    fn a_fact() -> impl Strategy<Value = Fact> {
        prop_oneof![
            a_day().prop_map(Fact::Hired),
            a_day().prop_map(Fact::Started),
            a_day().prop_map(|d| Fact::Active { month: d.first_of_month(), counts_on: d.last_of_month(), at: d }),
            a_day().prop_map(Fact::Listed),
            a_day().prop_map(Fact::Confirmed),
            a_day().prop_map(Fact::Over),
        ]
    }

    pub fn a_life() -> impl Strategy<Value = Life> {
        let set = proptest::option::weighted(0.2, a_day());
        let end = proptest::option::weighted(0.2, proptest::option::of(a_day()));
        (proptest::collection::vec(a_fact(), 0..8), set, end)
            .prop_map(|(facts, started_on, ended_on)| Life { facts, corrected: Corrected { started_on, ended_on, void: false } })
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

        /// The spans of a life say of every day what the life itself says of it.
        #[test]
        fn spans_say_of_every_day_what_the_life_says(life in a_life(), stale in 0u32..4) {
            let (working, awaited) = (life.working_days(stale), life.awaited_days(stale));
            for n in -40..700 {
                let day = from_day_number(day_number(date(2019, 12, 1)) + n);
                let held = |spans: &[(i32, i32)]| spans.iter().filter(|(a, b)| (*a..=*b).contains(&number(day))).count();
                let standing = life.standing(day, stale);
                prop_assert_eq!(held(&working), usize::from(standing == OnDay::Working), "{} {:?}", day, &working);
                prop_assert_eq!(held(&awaited), usize::from(standing == OnDay::AwaitingStart), "{} {:?}", day, &awaited);
                prop_assert_eq!(life.confirmed_on().is_some_and(|on| on <= day), life.confirmed(day), "{}", day);
            }
        }
    }
}
