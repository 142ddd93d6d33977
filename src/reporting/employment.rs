//! The report `employment`: how many registered persons work, and where.
//!
//! Promises: a person stands in exactly one row of a region and level (one for
//! each set with `by=focus`), that of their main hire; who is not in total is in
//! `awaiting_start` at most, by the hire they wait for. What it costs does not grow
//! with the people: cells are added up, nobody is looked at.

use super::baseline::Baseline;
use super::draft::{Draft, in_order};
use super::query::{Axis, By, Query, Scope};
use super::report::{AsOf, Column, Key, More, Report, Row, Text, Unit, Value};
use super::slots::Slots;
use crate::domain::category::Category;
use crate::domain::cells::{MEASURES, Measure, Page, Section, Sections};
use crate::domain::hire::Flow;
use crate::domain::region::{FocusSet, Level, Region, focus_sets};
use crate::domain::time::Moment;
use crate::domain::worker::Tier;
use crate::store::cells::Sheet;
use std::collections::BTreeSet;
use std::ops::AddAssign;

/// What the operator decides about the figures.
#[derive(Clone, Debug)]
pub struct Rules {
    /// The sets that `by=focus` lists, in this order.
    pub focus_sets: Vec<&'static FocusSet>,
}

impl Default for Rules {
    fn default() -> Self {
        Rules { focus_sets: focus_sets().iter().collect() }
    }
}

/// The people of one row.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Figures {
    /// Working, by [`Flow`].
    flows: [u64; Flow::ALL.len()],
    confirmed: u64,
    awaiting_start: u64,
    new: u64,
    /// Working, and not lifted when hired.
    poor_at_hire: u64,
    /// Of these, lifted by the report's day.
    lifted_since: u64,
}

impl Figures {
    /// From the measures of cells; `kind` is that of the period, by which one is new.
    fn of(sums: &[i64; MEASURES], kind: usize) -> Self {
        // A sheet holds no count below 0.
        let n = |measure: Measure| u64::try_from(sums[measure as usize]).unwrap_or(0);
        Figures {
            flows: Flow::ALL.map(|flow| n(Measure::of_flow(flow))),
            confirmed: n(Measure::Confirmed),
            awaiting_start: n(Measure::AwaitingStart),
            new: n(Measure::new_in(kind)),
            poor_at_hire: n(Measure::PoorAtHire),
            lifted_since: n(Measure::LiftedSince),
        }
    }

    fn total(&self) -> u64 {
        self.flows.iter().sum()
    }

    fn values(&self, baseline: Option<u64>) -> [Value; 12] {
        let [total, out_of_province, in_province, in_county, in_place] = flow_values(&self.flows);
        [
            total,
            out_of_province,
            in_province,
            in_county,
            in_place,
            Value::Count(self.confirmed),
            Value::Count(self.total() - self.confirmed),
            Value::Count(self.awaiting_start),
            Value::Count(self.new),
            baseline.map_or(Value::Unknown, Value::Count),
            Value::Ratio { numerator: self.total(), denominator: baseline.unwrap_or(0) },
            Value::Ratio { numerator: self.lifted_since, denominator: self.poor_at_hire },
        ]
    }
}

impl AddAssign for Figures {
    fn add_assign(&mut self, other: Figures) {
        for (sum, n) in self.flows.iter_mut().zip(other.flows) {
            *sum += n;
        }
        self.confirmed += other.confirmed;
        self.awaiting_start += other.awaiting_start;
        self.new += other.new;
        self.poor_at_hire += other.poor_at_hire;
        self.lifted_since += other.lifted_since;
    }
}

fn columns(additive: bool) -> Vec<Column> {
    let person = |name, title, about| Column { name, title, unit: Unit::Person, ratio: false, additive, about };
    let ratio = |name, title, about| Column { name, title, unit: Unit::Ratio, ratio: true, additive: false, about };
    let mut columns = vec![person(
        "total",
        "务工总人数",
        "期末在岗的建档立卡人员，不重复计人；等于省外、省内县外、县内三项之和，也等于已确认与未确认之和",
    )];
    columns.extend(flow_columns(additive));
    columns.extend([
        person("confirmed", "已确认", "经本人或扶贫部门确认，或平台报告过两个不同月份在岗"),
        person("unconfirmed", "未确认", "在岗但尚未确认"),
        person("awaiting_start", "待入职", "已录用未到岗，不计入总人数"),
        person("new", "本期新增", "期末在岗，而期初前一日不在岗"),
        // An upload may state another figure for a region than its parts come to.
        Column { additive: false, ..person("baseline", "上年末人数", "上年末的总人数；没有数据时为空") },
        ratio("share", "相当于上年末", "务工总人数除以上年末人数"),
        ratio("lifted_since_hire", "入职后脱贫", "入职时未脱贫（含监测）的在岗人员中，期末已脱贫的比例"),
    ]);
    columns
}

/// The parts of a total by flow, of which the last is a part of the one before it.
pub(super) fn flow_columns(additive: bool) -> [Column; 4] {
    let person = |name, title, about| Column { name, title, unit: Unit::Person, ratio: false, additive, about };
    [
        person("out_of_province", "省外务工", "在户籍省以外务工"),
        person("in_province", "省内县外务工", "在户籍省内、户籍县以外务工"),
        person("in_county", "县内就业", "在户籍县内就业，含居家就地就业"),
        person("in_place", "其中：居家就地", "在家或户籍县内为外地用人单位工作，已计入县内就业"),
    ]
}

/// The total, and what stands in [`flow_columns`], of people by [`Flow`].
pub(super) fn flow_values(flows: &[u64; Flow::ALL.len()]) -> [Value; 5] {
    let n = |f: Flow| flows[f as usize];
    let in_county = n(Flow::InCounty) + n(Flow::InPlace);
    [flows.iter().sum(), n(Flow::OutOfProvince), n(Flow::InProvince), in_county, n(Flow::InPlace)].map(Value::Count)
}

/// The values by which rows of a region are told apart, in their order.
struct Parts {
    names: Vec<Text>,
    /// Where a value stands among them, by its number in cells.
    places: Vec<Option<usize>>,
    /// Where those of higher numbers stand.
    beyond: Option<usize>,
}

impl Parts {
    fn of(by: By, sheet: &Sheet, rules: &Rules) -> Self {
        let fixed = |names: Vec<&'static str>| Self {
            places: (0..names.len()).map(Some).collect(),
            names: names.into_iter().map(Text::from).collect(),
            beyond: None,
        };
        match by {
            By::Tier | By::TierAtHire => fixed(Tier::ALL.map(Tier::code).to_vec()),
            By::Flow => fixed(Flow::ALL.map(Flow::code).to_vec()),
            By::Category => fixed(Category::ALL.map(Category::code).to_vec()),
            By::Platform => {
                // Numbers that stand for no platform are those of the one without a name.
                let names: BTreeSet<&str> = sheet.platforms.iter().map(String::as_str).chain([""]).collect();
                let names: Vec<Text> = names.into_iter().map(|name| name.to_owned().into()).collect();
                let place = |name: &str| names.binary_search_by(|known| known.as_ref().cmp(name)).ok();
                Self { places: sheet.platforms.iter().map(|name| place(name)).collect(), beyond: place(""), names }
            }
            By::Focus => {
                let place = |set: &FocusSet| rules.focus_sets.iter().position(|listed| listed.name == set.name);
                Self {
                    names: rules.focus_sets.iter().map(|set| set.name.into()).collect(),
                    places: focus_sets().iter().map(place).collect(),
                    beyond: None,
                }
            }
        }
    }

    fn place(&self, number: u32) -> Option<usize> {
        self.places.get(usize::try_from(number).ok()?).copied().unwrap_or(self.beyond)
    }
}

/// A row: where, and which of the [`Parts`], where it is told apart by them.
type Line = ((Region, usize), Figures);

/// The rows of one region while its pages are looked at.
struct Rows {
    figures: Slots<Figures>,
    /// A region has a row for each part, whether it has anybody in it or not.
    whole: bool,
    out: Vec<Line>,
}

impl Rows {
    fn add(&mut self, at: usize, figures: Figures) {
        if figures == Figures::default() {
            return;
        }
        *self.figures.at(at) += figures;
    }

    fn end(&mut self, region: Option<Region>) {
        let Some(region) = region else { return };
        if self.whole {
            self.figures.meet_all();
        }
        self.out.extend(self.figures.take().map(|(at, figures)| ((region, at), figures)));
    }
}

/// Adds the cells of a day up to the report. `baseline` answers last year's total of
/// a region by home.
pub fn employment(sheet: &Sheet, query: &Query, rules: &Rules, now: Moment, baseline: &dyn Fn(Region) -> Option<Baseline>) -> Draft {
    let names = query.by.map(|by| Parts::of(by, sheet, rules));
    let slots = names.as_ref().map_or(1, |parts| parts.names.len());
    let whole = query.by == Some(By::Focus);
    let mut rows = Rows { figures: Slots::new(slots), whole, out: Vec::new() };
    let (mut totals, mut here) = (Figures::default(), None);
    let kind = query.period.kind();
    for (place, page) in sheet.pages.iter().filter(|(place, _)| query.scope.holds(*place)) {
        let whole = parts(page, Section::Flow).fold(Figures::default(), |mut sum, (_, sums)| {
            sum += Figures::of(&sums, kind);
            sum
        });
        if whole == Figures::default() {
            continue;
        }
        totals += whole;
        let region = Some(place.at_level(query.level).unwrap_or(*place));
        if region != here {
            rows.end(here);
            here = region;
        }
        match (query.by, &names) {
            (Some(by), Some(names)) if by != By::Focus || query.axis == Axis::Work => {
                for (part, sums) in parts(page, section(by)) {
                    if let Some(at) = names.place(part) {
                        rows.add(at, Figures::of(&sums, kind));
                    }
                }
            }
            // All who come from a place come from the sets that it is in.
            (Some(_), _) => {
                let sets = rules.focus_sets.iter().enumerate().filter(|(_, set)| set.contains(*place));
                sets.for_each(|(at, _)| rows.add(at, whole));
            }
            (None, _) => rows.add(0, whole),
        }
    }
    rows.end(here);
    // What was counted last year by home says nothing of a part or of where people work.
    let known = |area: Region| (query.axis == Axis::Home).then(|| baseline_of(area, query.scope, baseline)).flatten();
    if query.by.is_none() && query.axis == Axis::Home {
        let there: BTreeSet<Region> = rows.out.iter().map(|((region, _), _)| *region).collect();
        let over = query.scope.rows(query.level).into_iter().filter(|r| !there.contains(r) && known(*r).is_some_and(|b| b.total > 0));
        rows.out.extend(over.map(|region| ((region, 0), Figures::default())));
    }
    let rows: Vec<(Line, Option<Baseline>)> = {
        let before = |region: Region| if query.by.is_none() { known(region) } else { None };
        in_order(rows.out, |sums, figures| *sums += figures).into_iter().map(|line| (line, before(line.0.0))).collect()
    };
    let key = |name, title| Key { name, title };
    let totals_baseline = known(query.scope.bound());
    let mut more = More::default();
    if let Some(known) = totals_baseline {
        more.baseline_sources.insert(query.scope.code(), known.source.code());
    }
    let sources = rows.iter().filter_map(|(((region, _), _), before)| Some((region.to_string(), (*before)?.source.code())));
    more.baseline_sources.extend(sources);
    let head = Report {
        name: "employment",
        title: "就业情况",
        period: query.period,
        region: query.scope.code(),
        axis: query.axis,
        generated_at: now,
        as_of: AsOf { seq: sheet.as_of.seq, time: sheet.as_of.at, root: None },
        sealed: false,
        keys: [key("region", "地区代码"), key("name", "地区")]
            .into_iter()
            .chain(query.by.map(|by| key(by.code(), by.title_zh())))
            .collect(),
        columns: columns(query.by != Some(By::Focus)),
        rows: Vec::new(),
        totals: Row {
            keys: [Some(query.scope.code().into()), Some(format!("{}合计", query.scope.name()).into())]
                .into_iter()
                .chain(query.by.map(|_| None))
                .collect(),
            values: totals.values(totals_baseline.map(|b| b.total)).to_vec(),
        },
        more,
    };
    let level = query.level;
    Draft::new(head, rows.len(), move |at, row| {
        let (((region, part), figures), before) = &rows[at];
        row.clear();
        row.keys.extend([Some(region.code_text().into()), Some(row_name(*region, level).into())]);
        row.keys.extend(names.as_ref().map(|parts| parts.names.get(*part).cloned()));
        row.values.extend(figures.values(before.map(|b| b.total)));
    })
}

/// What the report reads of cells.
pub fn sections(by: Option<By>) -> Sections {
    by.map_or(Sections::FLOW, |by| Sections::of(&[Section::Flow, section(by)]))
}

/// The section of cells that is split by this.
fn section(by: By) -> Section {
    match by {
        By::Tier => Section::Tier,
        By::TierAtHire => Section::TierAtHire,
        By::Focus => Section::Focus,
        By::Platform => Section::Platform,
        By::Category => Section::Category,
        By::Flow => Section::Flow,
    }
}

/// The parts of a section with their measures.
pub(super) fn parts(page: &Page, section: Section) -> impl Iterator<Item = (u32, [i64; MEASURES])> {
    let mut counts = page.section(section).peekable();
    std::iter::from_fn(move || {
        let (part, ..) = *counts.peek()?;
        let mut sums = [0; MEASURES];
        while let Some((_, measure, n)) = counts.next_if(|(p, ..)| *p == part) {
            if let Some(sum) = sums.get_mut(usize::from(measure)) {
                *sum += n;
            }
        }
        Some((part, sums))
    })
}

/// Last year's total of what a scope holds of an area; none where one part has
/// none.
fn baseline_of(area: Region, scope: Scope, baseline: &dyn Fn(Region) -> Option<Baseline>) -> Option<Baseline> {
    if scope.holds(area) {
        return baseline(area);
    }
    let mut held = area.children().iter().filter(|child| child.leaves().iter().any(|leaf| scope.holds(*leaf))).peekable();
    held.peek()?;
    held.map(|child| baseline_of(*child, scope, baseline)).sum()
}

fn row_name(region: Region, level: Level) -> &'static str {
    let unknown = region == Region::NATION && region.at_level(level).is_none();
    if unknown { "地区不明" } else { region.name() }
}

#[cfg(test)]
mod tests;
