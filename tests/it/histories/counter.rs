//! The report `employment`, counted the plainest way: of each person the facts as they
//! came, of each day who works by definition. Told from the contract's words, sharing
//! no code with what it checks but the tables of divisions and focus sets.

use doorstep::domain::region::{Level, Region, focus_sets};
use jiff::ToSpan;
use jiff::civil::Date;
use std::collections::BTreeMap;

/// A posting by its number, or none: known from a roster.
pub type Pair = (usize, Option<usize>);

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Said {
    Hired,
    Onboarded,
    /// The first day of the month that was worked.
    Active(Date),
    /// A roster's `since`, where it starts something.
    Since,
    Over,
    Listed,
    Confirmed,
}

#[derive(Clone, Debug)]
pub struct Fact {
    pub pair: Pair,
    pub said: Said,
    pub on: Date,
    pub work: Option<Region>,
    pub hire: Option<usize>,
}

#[derive(Clone, Debug)]
pub struct Hire {
    pub pair: Pair,
    /// The day whose tags were frozen.
    pub hired: Date,
    pub home: Region,
    pub tier: &'static str,
    pub category: &'static str,
    pub in_place: bool,
    pub reported: Option<Region>,
    pub posting: Option<Region>,
    pub start_set: Option<Date>,
    pub end_set: Option<Option<Date>>,
    pub void: bool,
}

/// Somebody, with all that is known of them, in the order in which it came.
#[derive(Clone, Debug, Default)]
pub struct Somebody {
    pub homes: Vec<(Date, Region)>,
    pub tiers: Vec<(Date, &'static str)>,
    pub facts: Vec<Fact>,
    pub hires: Vec<Hire>,
    pub erased: bool,
}

/// What was in force on a day: of what began by then the latest, said last; else the
/// first known.
fn in_force<T: Copy>(history: &[(Date, T)], day: Date) -> T {
    let numbered = || history.iter().enumerate();
    let by_then = numbered().filter(|(_, (since, _))| *since <= day).max_by_key(|(at, (since, _))| (*since, *at));
    let first = || numbered().min_by_key(|(at, (since, _))| (*since, usize::MAX - at));
    by_then.or_else(first).expect("registered").1.1
}

impl Hire {
    /// Flow and work region, told from home.
    pub fn flow(&self) -> (&'static str, Region) {
        let work = match self.reported {
            None if self.in_place => return ("in_place", self.home),
            Some(r) if self.in_place && r == self.home => return ("in_place", r),
            reported => reported.or(self.posting).expect("postings of these tests have a place"),
        };
        let same = |level| work.at_level(level).is_some() && work.at_level(level) == self.home.at_level(level);
        (
            if work == self.home {
                "in_county"
            } else if same(Level::Province) {
                "in_province"
            } else {
                "out_of_province"
            },
            work,
        )
    }
}

/// `report.stale_months` before a day.
fn stale(day: Date) -> Date {
    day.checked_sub(3.months()).expect("a day of this century")
}

fn month_end(month: Date) -> Date {
    month.last_of_month()
}

impl Somebody {
    pub fn home_on(&self, day: Date) -> Region {
        in_force(&self.homes, day)
    }

    pub fn tier_on(&self, day: Date) -> &'static str {
        in_force(&self.tiers, day)
    }

    fn of(&self, hire: usize) -> impl Iterator<Item = &Fact> {
        self.facts.iter().filter(move |f| f.hire == Some(hire))
    }

    pub fn started(&self, hire: usize) -> Option<Date> {
        let starts = self.of(hire).filter(|f| matches!(f.said, Said::Onboarded | Said::Active(_) | Said::Since));
        self.hires[hire].start_set.or_else(|| starts.map(|f| f.on).min())
    }

    pub fn ended(&self, hire: usize) -> Option<Date> {
        let ends = self.of(hire).filter(|f| f.said == Said::Over).map(|f| f.on);
        self.hires[hire].end_set.unwrap_or_else(|| ends.min())
    }

    pub fn works(&self, hire: usize, day: Date) -> bool {
        let Some(start) = self.started(hire).filter(|start| *start <= day) else { return false };
        let sign = |f: &Fact| match f.said {
            Said::Active(month) => Some(month_end(month)),
            Said::Listed | Said::Confirmed | Said::Since => Some(f.on),
            _ => None,
        };
        let latest = self.of(hire).filter_map(sign).chain([start]).filter(|sign| *sign <= day).max();
        !self.hires[hire].void && self.ended(hire).is_none_or(|end| end > day) && latest >= Some(stale(day))
    }

    fn awaited(&self, hire: usize, day: Date) -> bool {
        let by = |on: Option<Date>| on.is_some_and(|on| on <= day);
        let hired = self.of(hire).any(|f| f.said == Said::Hired && f.on <= day && f.on >= stale(day));
        hired && !self.hires[hire].void && !by(self.started(hire)) && !by(self.ended(hire))
    }

    fn confirmed(&self, hire: usize, day: Date) -> bool {
        let mut months: Vec<Date> =
            self.of(hire).filter_map(|f| if let Said::Active(month) = f.said { Some(month) } else { None }).collect();
        months.retain(|month| month_end(*month) <= day);
        months.sort();
        months.dedup();
        months.len() > 1 || self.of(hire).any(|f| f.said == Said::Confirmed && f.on <= day)
    }

    /// The working hire with the earliest start, ties by id; hires stand in the order in
    /// which they were made.
    fn main(&self, day: Date) -> Option<usize> {
        (0..self.hires.len()).filter(|h| self.works(*h, day)).min_by_key(|h| (self.started(*h), *h))
    }
}

/// Columns that count: those of the report and the two sides of `lifted_since_hire`.
pub const COLUMNS: [&str; 11] = [
    "total",
    "out_of_province",
    "in_province",
    "in_county",
    "in_place",
    "confirmed",
    "unconfirmed",
    "awaiting_start",
    "new",
    "lifted",
    "poor_at_hire",
];
pub type Figures = [u64; COLUMNS.len()];
pub type Rows = BTreeMap<(Region, String), Figures>;

/// What a report is asked.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// The day before the period, and its last day, or today.
    pub before: Date,
    pub day: Date,
    pub work: bool,
    pub by: &'a str,
    pub level: Level,
    pub platforms: &'a [&'a str],
}

/// All rows, and the totals.
pub fn employment(people: &[Somebody], asked: Asked<'_>) -> (Rows, Figures) {
    let (mut rows, mut totals) = (Rows::new(), Figures::default());
    for person in people.iter().filter(|p| !p.erased) {
        let main = person.main(asked.day);
        let Some(id) = main.or_else(|| (0..person.hires.len()).find(|h| person.awaited(*h, asked.day))) else { continue };
        let (hire, working) = (&person.hires[id], u64::from(main.is_some()));
        let ((flow, work), tier) = (hire.flow(), person.tier_on(asked.day));
        let is = |yes: bool| working * u64::from(yes);
        let confirmed = person.confirmed(id, asked.day);
        let poor = hire.tier != "lifted";
        let figures = [
            working,
            is(flow == "out_of_province"),
            is(flow == "in_province"),
            is(flow == "in_county" || flow == "in_place"),
            is(flow == "in_place"),
            is(confirmed),
            is(!confirmed),
            1 - working,
            is(person.main(asked.before).is_none()),
            is(poor && tier == "lifted"),
            is(poor),
        ];
        let place = if asked.work { work } else { hire.home };
        let region = place.at_level(asked.level).unwrap_or(place);
        let parts: Vec<String> = match asked.by {
            "tier" => vec![tier.to_owned()],
            "tier_at_hire" => vec![hire.tier.to_owned()],
            "platform" => vec![asked.platforms[hire.pair.0].to_owned()],
            "category" => vec![hire.category.to_owned()],
            "flow" => vec![flow.to_owned()],
            "focus" => focus_sets().iter().filter(|set| set.contains(hire.home)).map(|set| set.name.to_string()).collect(),
            _ => vec![String::new()],
        };
        let add = |to: &mut Figures| to.iter_mut().zip(figures).for_each(|(sum, n)| *sum += n);
        parts.into_iter().for_each(|part| add(rows.entry((region, part)).or_default()));
        add(&mut totals);
        if asked.by == "focus" {
            for set in focus_sets() {
                rows.entry((region, set.name.to_string())).or_default();
            }
        }
    }
    (rows, totals)
}
