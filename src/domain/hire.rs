//! A hire: what platforms report of it, what follows from the reports on a given
//! day, and the tags that are frozen when it is made.

use super::account::number;
use super::pay::Money;
use super::region::{REVISION, Region, focus_sets};
use super::time::months_before;
use super::worker::Tier;
use jiff::ToSpan;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};

/// What a platform reports (Indeed's disposition names, and ours for the life
/// of a hire).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum HireStatus {
    Hired,
    Onboarded,
    /// Worked in this month.
    Active,
    NotSelected,
    Withdrawn,
    Ended,
    UnableToMap,
}

impl HireStatus {
    pub const ALL: [HireStatus; 7] = [
        HireStatus::Hired,
        HireStatus::Onboarded,
        HireStatus::Active,
        HireStatus::NotSelected,
        HireStatus::Withdrawn,
        HireStatus::Ended,
        HireStatus::UnableToMap,
    ];

    pub fn code(self) -> &'static str {
        match self {
            HireStatus::Hired => "HIRED",
            HireStatus::Onboarded => "ONBOARDED",
            HireStatus::Active => "ACTIVE",
            HireStatus::NotSelected => "NOT_SELECTED",
            HireStatus::Withdrawn => "WITHDRAWN",
            HireStatus::Ended => "ENDED",
            HireStatus::UnableToMap => "UNABLE_TO_MAP",
        }
    }

    pub fn parse(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|s| s.code() == code)
    }

    /// Makes a hire where there is none.
    pub fn begins(self) -> bool {
        matches!(self, HireStatus::Hired | HireStatus::Onboarded | HireStatus::Active)
    }
}

/// Why a hire ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EndReason {
    LaidOff,
    Quit,
    EmployerStopped,
    ContractEnd,
    Other,
}

impl EndReason {
    pub const ALL: [EndReason; 5] =
        [EndReason::LaidOff, EndReason::Quit, EndReason::EmployerStopped, EndReason::ContractEnd, EndReason::Other];

    pub fn code(self) -> &'static str {
        match self {
            EndReason::LaidOff => "laid_off",
            EndReason::Quit => "quit",
            EndReason::EmployerStopped => "employer_stopped",
            EndReason::ContractEnd => "contract_end",
            EndReason::Other => "other",
        }
    }

    pub fn parse(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|r| r.code() == code)
    }

    /// The worker lost the job without wishing to.
    pub fn displaces(self) -> bool {
        matches!(self, EndReason::LaidOff | EndReason::EmployerStopped)
    }
}

/// Where a hire stands between home and work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Flow {
    InCounty,
    InPlace,
    InProvince,
    OutOfProvince,
}

impl Flow {
    pub const ALL: [Flow; 4] = [Flow::InCounty, Flow::InPlace, Flow::InProvince, Flow::OutOfProvince];

    pub fn code(self) -> &'static str {
        match self {
            Flow::InCounty => "in_county",
            Flow::InPlace => "in_place",
            Flow::InProvince => "in_province",
            Flow::OutOfProvince => "out_of_province",
        }
    }

    pub fn parse(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|f| f.code() == code)
    }

    /// The flow of a hire. `reported` is the work region the platform named;
    /// an in-place hire without one, or with the home, stays at home. The flag
    /// says that the work region is the worker's own province, coarser than a
    /// county, so `in_province` is the cautious reading.
    pub fn of(home: Region, in_place: bool, reported: Option<Region>, posting: Option<Region>) -> (Flow, Option<Region>, bool) {
        let work = match (in_place, reported) {
            (true, None) => return (Flow::InPlace, Some(home), false),
            (true, Some(r)) if r == home => return (Flow::InPlace, Some(home), false),
            (_, Some(r)) => Some(r),
            (false, None) => posting,
        };
        let flow = match work {
            Some(w) if w == home => (Flow::InCounty, false),
            Some(w) if w.province().is_some() && w.province() == home.province() => (Flow::InProvince, !w.is_leaf()),
            _ => (Flow::OutOfProvince, false),
        };
        (flow.0, work, flow.1)
    }
}

/// What is frozen when a hire is made. A later change of the registry never
/// rewrites it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tags {
    pub registered_poor: bool,
    pub tier_at_hire: Tier,
    /// Names of the focus sets that hold the home.
    pub focus: Vec<String>,
    pub home_region: Region,
    pub work_region: Option<Region>,
    pub flow: Flow,
    pub relocated: bool,
    /// How often the worker's registration had changed.
    pub registry_version: i64,
    /// Date of the table of divisions.
    pub region_revision: String,
    /// Version of the rules that computed this.
    pub rule_version: String,
}

impl Tags {
    /// The tags of somebody registered, at home there on the day of the hire, under
    /// today's tables and rules.
    pub fn of(home: Region, tier: Tier, work: (Flow, Option<Region>), relocated: bool, registry_version: i64) -> Self {
        Self {
            registered_poor: true,
            tier_at_hire: tier,
            focus: focus_of(home),
            home_region: home,
            work_region: work.1,
            flow: work.0,
            relocated,
            registry_version,
            region_revision: REVISION.to_owned(),
            rule_version: TAG_RULES.to_owned(),
        }
    }
}

/// Version of the rules in this module that compute tags.
pub const TAG_RULES: &str = "tags-1";

/// Names of the configured sets that hold this home.
pub fn focus_of(home: Region) -> Vec<String> {
    focus_sets().iter().filter(|s| s.contains(home)).map(|s| s.name.to_string()).collect()
}

/// One dated fact about a hire, as reports fold it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fact {
    /// Reported as hired, not yet started.
    Hired(Date),
    /// Started: ONBOARDED, the first ACTIVE, or a roster's `since`.
    Started(Date),
    /// Worked in the month that begins on this day; the sign counts on `counts_on`,
    /// and the report's own day starts a hire that has not started before.
    Active { month: Date, counts_on: Date, at: Date },
    /// Seen on a roster.
    Listed(Date),
    /// Confirmed by the worker or an office.
    Confirmed(Date),
    /// ENDED or WITHDRAWN.
    Over(Date),
}

/// All facts of one hire, and what a correction set instead of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Life {
    pub facts: Vec<Fact>,
    pub corrected: Corrected,
}

/// What corrections set of a hire's life; it stands whatever is reported.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Corrected {
    pub started_on: Option<Date>,
    /// Some(None): it is not over.
    pub ended_on: Option<Option<Date>>,
    /// There never was such a hire.
    pub void: bool,
}

/// What a hire is on a day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Not begun by this day.
    Unknown,
    /// HIRED, not started, not over, not stale.
    AwaitingStart,
    Working,
    /// Started, not over, but without a sign of life for too long.
    Lapsed,
    Over,
}

impl Life {
    /// The first day of work, where there is one.
    pub fn started_on(&self) -> Option<Date> {
        let start = |f: &Fact| match f {
            Fact::Started(d) | Fact::Active { at: d, .. } => Some(*d),
            _ => None,
        };
        self.corrected.started_on.or_else(|| self.facts.iter().filter_map(start).min())
    }

    /// The day it was over, where it is.
    pub fn ended_on(&self) -> Option<Date> {
        let reported = || self.facts.iter().filter_map(|f| if let Fact::Over(d) = f { Some(*d) } else { None }).min();
        self.corrected.ended_on.unwrap_or_else(reported)
    }

    /// What the hire is on `day`; a sign of life holds for `stale_months`
    /// calendar months, clipped to the month's end.
    pub fn standing(&self, day: Date, stale_months: u32) -> Standing {
        if self.corrected.void {
            return Standing::Unknown;
        }
        let fresh_from = months_before(day, stale_months);
        if self.ended_on().is_some_and(|d| d <= day) {
            return Standing::Over;
        }
        if self.started_on().is_some_and(|d| d <= day) {
            // Of the starts only the first is one.
            let signs = self.facts.iter().filter_map(|f| f.sign_of_life()).chain(self.started_on());
            let sign = signs.filter(|d| *d <= day).max();
            return if sign.is_some_and(|d| d >= fresh_from) { Standing::Working } else { Standing::Lapsed };
        }
        let hired = self.facts.iter().filter_map(|f| if let Fact::Hired(d) = f { Some(*d) } else { None }).filter(|d| *d <= day).max();
        match hired {
            Some(d) if d >= fresh_from => Standing::AwaitingStart,
            Some(_) => Standing::Lapsed,
            None => Standing::Unknown,
        }
    }

    /// First and last days of working, apart and in order: on each of them, and on no
    /// other, [`Life::standing`] says so. Days are numbers since 1970-01-01.
    pub fn working_days(&self, stale_months: u32) -> Vec<(i32, i32)> {
        let Some(started) = self.started_on().filter(|_| !self.corrected.void) else { return Vec::new() };
        let signs = self.facts.iter().filter_map(|f| f.sign_of_life()).chain([started]);
        let until = self.ended_on().map_or(i32::MAX, |d| number(d) - 1);
        joined(signs.map(|sign| (number(sign.max(started)), number(fresh_until(sign, stale_months)).min(until))))
    }

    /// First and last days of being hired and not started.
    pub fn awaited_days(&self, stale_months: u32) -> Vec<(i32, i32)> {
        if self.corrected.void {
            return Vec::new();
        }
        let until = [self.started_on(), self.ended_on()].into_iter().flatten().map(|d| number(d) - 1).min().unwrap_or(i32::MAX);
        let hired = self.facts.iter().filter_map(|f| if let Fact::Hired(d) = f { Some(*d) } else { None });
        joined(hired.map(|d| (number(d), number(fresh_until(d, stale_months)).min(until))))
    }

    /// The day from which the hire is confirmed.
    pub fn confirmed_on(&self) -> Option<Date> {
        if self.corrected.void {
            return None;
        }
        let by_hand = self.facts.iter().filter_map(|f| if let Fact::Confirmed(d) = f { Some(*d) } else { None }).min();
        let mut months: Vec<(Date, Date)> = self
            .facts
            .iter()
            .filter_map(|f| if let Fact::Active { month, counts_on, .. } = f { Some((*month, *counts_on)) } else { None })
            .collect();
        months.sort();
        months.dedup_by_key(|(month, _)| *month);
        months.sort_by_key(|(_, counts_on)| *counts_on);
        by_hand.into_iter().chain(months.get(1).map(|(_, counts_on)| *counts_on)).min()
    }

    /// Working on some day from `first` to `last`.
    pub fn worked_within(&self, first: Date, last: Date, stale_months: u32) -> bool {
        let Some(started) = self.started_on() else { return false };
        // Who works on a day by a sign of life works on the first day of the span on
        // which that sign and the start have been, too.
        let signs = self.facts.iter().filter_map(|f| f.sign_of_life()).chain([started]);
        signs.map(|sign| sign.max(started).max(first)).any(|day| day <= last && self.standing(day, stale_months) == Standing::Working)
    }

    /// Confirmed by a person, or by a second distinct month of ACTIVE, by `day`.
    pub fn confirmed(&self, day: Date) -> bool {
        if self.corrected.void {
            return false;
        }
        let mut months: Vec<(Date, Date)> = Vec::new();
        for fact in &self.facts {
            match fact {
                Fact::Confirmed(d) if *d <= day => return true,
                Fact::Active { month, counts_on, .. } if *counts_on <= day && !months.iter().any(|(m, _)| m == month) => {
                    months.push((*month, *counts_on))
                }
                _ => {}
            }
        }
        months.len() >= 2
    }

    /// The distinct months worked by `day`, in order.
    pub fn months_worked(&self, day: Date) -> Vec<Date> {
        if self.corrected.void {
            return Vec::new();
        }
        let mut months: Vec<Date> = self
            .facts
            .iter()
            .filter_map(|f| if let Fact::Active { month, counts_on, .. } = f { (*counts_on <= day).then_some(*month) } else { None })
            .collect();
        months.sort();
        months.dedup();
        months
    }
}

/// The last day on which a sign of life of this day still holds.
fn fresh_until(sign: Date, stale_months: u32) -> Date {
    let mut last = sign.saturating_add(i32::try_from(stale_months).unwrap_or(i32::MAX).months());
    // Months are clipped to their end going back, so that more than one day may look
    // back on the same.
    while let Ok(next) = last.tomorrow()
        && months_before(next, stale_months) <= sign
    {
        last = next;
    }
    last
}

/// Spans of days as those apart from one another, in order.
fn joined(spans: impl Iterator<Item = (i32, i32)>) -> Vec<(i32, i32)> {
    let mut all: Vec<(i32, i32)> = spans.filter(|(from, to)| from <= to).collect();
    all.sort_unstable();
    let mut out: Vec<(i32, i32)> = Vec::with_capacity(all.len());
    for (from, to) in all {
        match out.last_mut() {
            Some(last) if from <= last.1.saturating_add(1) => last.1 = last.1.max(to),
            _ => out.push((from, to)),
        }
    }
    out
}

impl Fact {
    fn sign_of_life(self) -> Option<Date> {
        match self {
            Fact::Listed(d) | Fact::Confirmed(d) => Some(d),
            Fact::Active { counts_on, .. } => Some(counts_on),
            Fact::Started(_) | Fact::Hired(_) | Fact::Over(_) => None,
        }
    }
}

/// What one report of a platform says, read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatusReport {
    pub status: HireStatus,
    /// The platform's own word.
    pub raw_status: Option<String>,
    pub at: super::time::Moment,
    /// First day of the month an ACTIVE speaks of.
    pub month: Option<Date>,
    pub monthly_wage: Option<Money>,
    pub work_region: Option<Region>,
    pub reason: Option<EndReason>,
}

impl StatusReport {
    /// The month an ACTIVE counts for: the one named, else that of `at`.
    pub fn month_of_work(&self) -> Date {
        self.month.unwrap_or_else(|| self.at.day().first_of_month())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::civil::date;

    fn region(code: &str) -> Region {
        Region::parse(code).unwrap()
    }

    fn life(facts: Vec<Fact>) -> Life {
        Life { facts, corrected: Corrected::default() }
    }

    #[test]
    fn flow_is_told_from_home_and_the_place_of_work() {
        let home = region("522624");
        let check =
            |in_place, reported: Option<&str>, posting: Option<&str>| Flow::of(home, in_place, reported.map(region), posting.map(region));
        assert_eq!(check(false, Some("330212"), None).0, Flow::OutOfProvince);
        assert_eq!(check(false, Some("520102"), None), (Flow::InProvince, Some(region("520102")), false));
        assert_eq!(check(false, Some("520000"), None), (Flow::InProvince, Some(region("520000")), true));
        assert_eq!(check(false, None, Some("522624")).0, Flow::InCounty);
        assert_eq!(check(true, None, Some("110105")).0, Flow::InPlace);
        assert_eq!(check(true, Some("110105"), None).0, Flow::OutOfProvince);
    }

    #[test]
    fn a_hire_without_a_sign_of_life_for_three_months_has_lapsed() {
        let life = life(vec![Fact::Started(date(2020, 2, 29))]);
        assert_eq!(life.standing(date(2020, 2, 28), 3), Standing::Unknown);
        assert_eq!(life.standing(date(2020, 5, 31), 3), Standing::Working);
        assert_eq!(life.standing(date(2020, 6, 1), 3), Standing::Lapsed);
    }

    #[test]
    fn two_distinct_months_confirm_and_one_does_not() {
        let active = |m, d| Fact::Active { month: date(2020, m, 1), counts_on: date(2020, m, d), at: date(2020, m, d) };
        let mut life = life(vec![active(6, 30), active(6, 30)]);
        assert!(!life.confirmed(date(2020, 12, 31)));
        life.facts.push(active(7, 31));
        assert!(!life.confirmed(date(2020, 7, 30)));
        assert!(life.confirmed(date(2020, 7, 31)));
    }

    #[test]
    fn a_month_reported_late_is_a_sign_of_that_month_and_no_later_start() {
        let late = Fact::Active { month: date(2020, 1, 1), counts_on: date(2020, 1, 31), at: date(2020, 9, 15) };
        let life = life(vec![Fact::Started(date(2020, 1, 10)), late]);
        assert_eq!(life.standing(date(2020, 4, 30), 3), Standing::Working);
        assert_eq!(life.standing(date(2020, 9, 30), 3), Standing::Lapsed);
    }

    #[test]
    fn an_end_closes_the_hire_on_its_day() {
        let life = life(vec![Fact::Hired(date(2020, 6, 1)), Fact::Started(date(2020, 6, 5)), Fact::Over(date(2020, 7, 1))]);
        assert_eq!(life.standing(date(2020, 6, 4), 3), Standing::AwaitingStart);
        assert_eq!(life.standing(date(2020, 6, 30), 3), Standing::Working);
        assert_eq!(life.standing(date(2020, 7, 1), 3), Standing::Over);
    }

    #[test]
    fn a_correction_wins_over_what_was_reported() {
        let mut life = life(vec![Fact::Started(date(2020, 6, 5)), Fact::Over(date(2020, 7, 1))]);
        life.corrected.ended_on = Some(None);
        assert_eq!(life.standing(date(2020, 7, 2), 3), Standing::Working);
        life.corrected.started_on = Some(date(2020, 5, 1));
        assert_eq!(life.standing(date(2020, 5, 2), 3), Standing::Working);
        life.corrected.void = true;
        assert_eq!(life.standing(date(2020, 5, 2), 3), Standing::Unknown);
        assert!(!life.worked_within(date(2020, 1, 1), date(2020, 12, 31), 3));
    }

    #[test]
    fn somebody_worked_within_a_span_if_on_any_of_its_days() {
        let active = |m, d| Fact::Active { month: date(2020, m, 1), counts_on: date(2020, m, d), at: date(2020, m, d) };
        let lives = [
            life(vec![Fact::Started(date(2020, 2, 10))]),
            life(vec![Fact::Started(date(2020, 2, 10)), active(8, 31), Fact::Over(date(2020, 9, 15))]),
            life(vec![Fact::Listed(date(2020, 1, 5)), Fact::Started(date(2020, 3, 1)), Fact::Over(date(2020, 3, 1))]),
            life(vec![Fact::Hired(date(2020, 4, 1))]),
        ];
        for life in &lives {
            for month in 1..=12 {
                let (first, last) = (date(2020, month, 1), date(2020, month, 1).last_of_month());
                let mut days = std::iter::successors(Some(first), |d| d.tomorrow().ok()).take_while(|d| *d <= last);
                let any = days.any(|day| life.standing(day, 3) == Standing::Working);
                assert_eq!(life.worked_within(first, last, 3), any, "{life:?} in {month}");
            }
        }
    }
}
