//! The report `platforms`: what each platform's trades came to for the people of a
//! region.
//!
//! Promises: totals are distinct persons, so that rows do not add up to them; what
//! happens once (a hire, a lay-off, a 30th day) counts in the period it falls into.
//! Offers and accepts are those made to people at home in the region when they were
//! made; postings are those that came in the period, wherever they ask.
//!
//! A median of pay is the lower end of the step of 50 yuan in which the middle person
//! stands, by the last monthly pay that was reported of each.

use super::employment::parts;
use super::query::Query;
use super::report::{AsOf, Column, Key, More, Report, Row, Text, Unit, Value};
use super::slots::Slots;
use crate::domain::account::Turn;
use crate::domain::category::Category;
use crate::domain::cells::{LIFTED_SINCE, Measure, Offered, PAY_STEP, POOR_AT_HIRE, Page, Section, Sections, job_of};
use crate::domain::hire::Flow;
use crate::domain::region::Region;
use crate::domain::time::Moment;
use crate::domain::worker::Tier;
use crate::store::cells::{PostingCounts, Sheet};
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

/// What the report reads of cells of a day.
pub const SECTIONS: Sections = Sections::of(&[Section::Tier, Section::Job, Section::Pay]);

/// One trade at a platform.
#[derive(Clone, Debug, Default, PartialEq)]
struct Figures {
    postings: u64,
    openings: u64,
    offers: u64,
    accepted: u64,
    /// By [`Turn`].
    turns: [u64; 6],
    tiers: [u64; Tier::ALL.len()],
    poor_at_hire: u64,
    lifted_since: u64,
    /// People by step of pay, from the lowest.
    pay: Vec<u64>,
}

fn columns() -> Vec<Column> {
    // Totals are distinct persons: rows do not add up to them.
    let count = |name, title, unit, about| Column { name, title, unit, ratio: false, additive: false, about };
    let ratio = |name, title, about| Column { name, title, unit: Unit::Ratio, ratio: true, additive: false, about };
    vec![
        count("postings", "岗位信息", Unit::Posting, "本期新收到的岗位信息，不分地区"),
        count("openings", "招聘人数", Unit::Opening, "这些岗位信息声明的招聘人数之和"),
        count("offers", "推荐次数", Unit::Offer, "本期向本地区人员发出的岗位推荐，一人一岗计一次"),
        count("accepted", "接受次数", Unit::Offer, "本期本地区人员接受的岗位推荐"),
        count("hired", "录用", Unit::Hire, "本期录用的人次"),
        count("working", "在岗人数", Unit::Person, "期末在该平台该工种在岗的人员；同一人在多个平台或工种在岗时各计一次，合计不重复计人"),
        ratio("working_30_days", "满30天在岗", "入职满30天之日在本期的人次中，当日仍在岗的比例"),
        ratio("working_90_days", "满90天在岗", "入职满90天之日在本期的人次中，当日仍在岗的比例"),
        count("laid_off", "被裁", Unit::Hire, "本期因裁员结束的人次"),
        count("median_monthly_pay", "月薪中位数", Unit::Yuan, "在岗人员最近一次上报月薪的中位数所在的50元区间下限；没有上报时为空"),
        count("not_lifted", "未脱贫", Unit::Person, "在岗人员中期末未脱贫的"),
        count("at_risk", "监测", Unit::Person, "在岗人员中期末为监测对象的"),
        count("lifted", "已脱贫", Unit::Person, "在岗人员中期末已脱贫的"),
        ratio("lifted_since_hire", "入职后脱贫", "入职时未脱贫（含监测）的在岗人员中，期末已脱贫的比例"),
    ]
}

impl Figures {
    fn median(&self) -> Option<u64> {
        let all: u64 = self.pay.iter().sum();
        let mut upto = 0;
        let middle = self.pay.iter().position(|people| {
            upto += people;
            upto * 2 >= all
        });
        middle.filter(|_| all > 0).map(|step| step as u64 * u64::from(PAY_STEP))
    }

    fn values(&self) -> Vec<Value> {
        let turn = |t: Turn| self.turns[t as usize];
        let [not_lifted, at_risk, lifted] = self.tiers;
        let held = |held, due| Value::Ratio { numerator: turn(held), denominator: turn(due) };
        vec![
            Value::Count(self.postings),
            Value::Count(self.openings),
            Value::Count(self.offers),
            Value::Count(self.accepted),
            Value::Count(turn(Turn::Hired)),
            Value::Count(not_lifted + at_risk + lifted),
            held(Turn::Held30, Turn::Due30),
            held(Turn::Held90, Turn::Due90),
            Value::Count(turn(Turn::LaidOff)),
            self.median().map_or(Value::Unknown, Value::Count),
            Value::Count(not_lifted),
            Value::Count(at_risk),
            Value::Count(lifted),
            Value::Ratio { numerator: self.lifted_since, denominator: self.poor_at_hire },
        ]
    }

    /// Adds another part of the same trade.
    fn add(&mut self, other: &Figures) {
        self.add_events(other);
        self.tiers.iter_mut().zip(other.tiers).for_each(|(sum, n)| *sum += n);
        self.poor_at_hire += other.poor_at_hire;
        self.lifted_since += other.lifted_since;
    }

    /// What adds up: all but people, who may work in more than one trade.
    fn add_events(&mut self, other: &Figures) {
        self.postings += other.postings;
        self.openings += other.openings;
        self.offers += other.offers;
        self.accepted += other.accepted;
        self.turns.iter_mut().zip(other.turns).for_each(|(sum, n)| *sum += n);
        other.pay.iter().enumerate().for_each(|(step, n)| self.add_pay(step, *n));
    }

    fn add_pay(&mut self, step: usize, n: u64) {
        if self.pay.len() <= step {
            self.pay.resize(step + 1, 0);
        }
        self.pay[step] += n;
    }

    /// The distinct people of a page.
    fn add_people(&mut self, page: &Page) {
        for (tier, sums) in parts(page, Section::Tier) {
            let working: i64 = Flow::ALL.iter().map(|f| sums[Measure::of_flow(*f) as usize]).sum();
            if let Some(sum) = self.tiers.get_mut(tier as usize) {
                *sum += count(working);
            }
            self.poor_at_hire += count(sums[Measure::PoorAtHire as usize]);
            self.lifted_since += count(sums[Measure::LiftedSince as usize]);
        }
    }
}

/// A sheet holds no count below 0.
fn count(n: i64) -> u64 {
    u64::try_from(n).unwrap_or(0)
}

/// How many of the first figures are of postings and offers.
const OF_OFFERS: usize = 4;

/// What the report is made of.
pub struct Sources {
    /// Who stands where on the day, and what happened in the period.
    pub people: Sheet,
    pub offers: Sheet,
    pub postings: PostingCounts,
}

type Rows<'a> = BTreeMap<(Option<Region>, &'a str, Category), Figures>;

/// The trades of a row's region while pages of it are looked at: by the numbers of platform
/// and category, and named once for the region, not for each page.
struct Trades {
    figures: Slots<Option<Figures>>,
    /// The number of platforms that have one; behind them stands one for all others.
    platforms: usize,
}

impl Trades {
    fn new(sheet: &Sheet) -> Self {
        let platforms = sheet.platforms.len();
        Self { figures: Slots::new((platforms + 1) * Category::ALL.len()), platforms }
    }

    fn of(&mut self, job: u32) -> &mut Figures {
        let (platform, category) = job_of(job);
        let category = Category::ALL.get(usize::from(category)).copied().unwrap_or(Category::Other);
        let at = usize::from(platform).min(self.platforms) * Category::ALL.len() + category as usize;
        self.figures.at(at).get_or_insert_default()
    }

    /// Looks at the counts of a section that is split by trades.
    fn each(&mut self, page: &Page, section: Section, add: impl Fn(&mut Figures, u16, u64)) {
        let mut counts = page.section(section).peekable();
        // Those of a trade follow each other.
        while let Some((job, ..)) = counts.peek().copied() {
            let row = self.of(job);
            while let Some((_, measure, n)) = counts.next_if(|(of, ..)| *of == job) {
                add(row, measure, count(n));
            }
        }
    }

    /// Hands over what was counted of a region.
    fn end<'a>(&mut self, region: Option<Region>, sheet: &'a Sheet, rows: &mut Rows<'a>) {
        for (at, figures) in self.figures.take() {
            let Some(figures) = figures else { continue };
            let platform = sheet.platforms.get(at / Category::ALL.len()).map_or("", String::as_str);
            match rows.entry((region, platform, Category::ALL[at % Category::ALL.len()])) {
                Entry::Vacant(row) => drop(row.insert(figures)),
                Entry::Occupied(mut row) => row.get_mut().add(&figures),
            }
        }
    }
}

/// Adds up the trades of a sheet by row.
fn add_up<'a>(rows: &mut Rows<'a>, sheet: &'a Sheet, query: &Query, mut look: impl FnMut(&mut Trades, &Page)) {
    let (mut trades, mut here) = (Trades::new(sheet), None);
    for (place, page) in sheet.pages.iter().filter(|(place, _)| query.scope.holds(*place)) {
        let region = query.level_asked.then(|| place.at_level(query.level).unwrap_or(*place));
        if region != here {
            trades.end(here, sheet, rows);
            here = region;
        }
        look(&mut trades, page);
    }
    trades.end(here, sheet, rows);
}

/// Adds up each trade of each platform; with rows by region where a level was asked for.
pub fn platforms(from: &Sources, query: &Query, now: Moment) -> Report {
    let mut rows = Rows::new();
    let mut totals = Figures::default();
    add_up(&mut rows, &from.people, query, |trades, page| {
        totals.add_people(page);
        trades.each(page, Section::Job, |row, measure, n| match measure {
            POOR_AT_HIRE => row.poor_at_hire += n,
            LIFTED_SINCE => row.lifted_since += n,
            tier => row.tiers.get_mut(usize::from(tier)).into_iter().for_each(|sum| *sum += n),
        });
        trades.each(page, Section::Pay, |row, step, n| row.add_pay(usize::from(step), n));
        trades.each(page, Section::Turn, |row, turn, n| row.turns.get_mut(usize::from(turn)).into_iter().for_each(|sum| *sum += n));
    });
    // Of a position in the ledger, which tells of neither, they are not known.
    let told_of_offers = query.as_of.is_none();
    if told_of_offers {
        add_offers(&mut rows, from, query);
    }
    rows.retain(|_, row| *row != Figures::default());
    rows.values().for_each(|row| totals.add_events(row));
    let values = |figures: &Figures| {
        let mut values = figures.values();
        values[..OF_OFFERS].iter_mut().filter(|_| !told_of_offers).for_each(|value| *value = Value::Unknown);
        values
    };
    let key = |name, title| Key { name, title };
    Report {
        name: "platforms",
        title: "平台用工",
        period: query.period,
        region: query.scope.code(),
        axis: query.axis,
        generated_at: now,
        as_of: AsOf { seq: from.people.as_of.seq, time: from.people.as_of.at, root: None },
        sealed: false,
        keys: vec![key("region", "地区代码"), key("name", "地区"), key("platform", "平台"), key("category", "工种")],
        columns: columns(),
        rows: rows
            .iter()
            .map(|((region, platform, category), figures)| {
                let place =
                    region.map_or_else(|| (query.scope.code().into(), query.scope.name()), |r| (Text::from(r.code_text()), r.name()));
                let keys = [place.0, place.1.into(), (*platform).to_owned().into(), category.code().into()];
                Row { keys: keys.map(Some).to_vec(), values: values(figures) }
            })
            .collect(),
        totals: Row {
            keys: vec![Some(query.scope.code().into()), Some(format!("{}合计", query.scope.name()).into()), None, None],
            values: values(&totals),
        },
        more: More::default(),
    }
}

/// Adds what was offered, and, where rows are of the whole, what was posted.
fn add_offers<'a>(rows: &mut Rows<'a>, from: &'a Sources, query: &Query) {
    add_up(rows, &from.offers, query, |trades, page| {
        trades.each(page, Section::Offer, |row, what, n| {
            let sum = if what == Offered::Accepted as u16 { &mut row.accepted } else { &mut row.offers };
            *sum += n;
        });
    });
    if !query.level_asked {
        for ((platform, category), (postings, openings)) in &from.postings {
            let row = rows.entry((None, platform.as_str(), *category)).or_default();
            (row.postings, row.openings) = (*postings, *openings);
        }
    }
}

#[cfg(test)]
mod tests;
