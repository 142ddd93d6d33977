//! The report `employment`: how many registered persons work, and where.
//!
//! Promises: a person stands in exactly one row of a region and level (one for
//! each set with `by=focus`), that of their main hire; who is not in total is in
//! `awaiting_start` at most, by the hire they wait for. What it costs does not grow
//! with the people: cells are added up, nobody is looked at.

use super::baseline::Baseline;
use super::query::{Axis, By, Query, Scope};
use super::report::{AsOf, Column, Key, More, Report, Row, Text, Unit, Value};
use crate::domain::category::Category;
use crate::domain::cells::{MEASURES, Measure, Page, Section, Sections};
use crate::domain::hire::Flow;
use crate::domain::region::{FocusSet, Region, focus_sets};
use crate::domain::time::Moment;
use crate::domain::worker::Tier;
use crate::store::cells::Sheet;
use std::collections::{BTreeMap, BTreeSet};
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

    fn values(&self, baseline: Option<u64>) -> Vec<Value> {
        let mut values = vec![Value::Count(self.total())];
        values.extend(flow_values(&self.flows));
        values.extend([
            Value::Count(self.confirmed),
            Value::Count(self.total() - self.confirmed),
            Value::Count(self.awaiting_start),
            Value::Count(self.new),
            baseline.map_or(Value::Unknown, Value::Count),
            Value::Ratio { numerator: self.total(), denominator: baseline.unwrap_or(0) },
            Value::Ratio { numerator: self.lifted_since, denominator: self.poor_at_hire },
        ]);
        values
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

/// What stands in [`flow_columns`], of people by [`Flow`].
pub(super) fn flow_values(flows: &[u64; Flow::ALL.len()]) -> [Value; 4] {
    let n = |f: Flow| flows[f as usize];
    let in_county = n(Flow::InCounty) + n(Flow::InPlace);
    [n(Flow::OutOfProvince), n(Flow::InProvince), in_county, n(Flow::InPlace)].map(Value::Count)
}

/// What a row shows besides its region: the place in the order of its kind, and
/// the value.
type Part<'a> = Option<(usize, &'a str)>;

/// Adds the cells of a day up to the report. `baseline` answers last year's total of
/// a region by home.
pub fn employment<'a>(
    sheet: &'a Sheet,
    query: &Query,
    rules: &'a Rules,
    now: Moment,
    baseline: &dyn Fn(Region) -> Option<Baseline>,
) -> Report {
    let mut rows: BTreeMap<(Region, Part<'a>), Figures> = BTreeMap::new();
    let mut regions = BTreeSet::new();
    let mut totals = Figures::default();
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
        let region = place.at_level(query.level).unwrap_or(*place);
        regions.insert(region);
        let mut add = |part: Part<'a>, figures: Figures| *rows.entry((region, part)).or_default() += figures;
        match query.by {
            None => add(None, whole),
            // All who come from a place come from the sets that it is in.
            Some(By::Focus) if query.axis == Axis::Home => {
                let sets = rules.focus_sets.iter().enumerate().filter(|(_, set)| set.contains(*place));
                sets.for_each(|(at, set)| add(Some((at, set.name)), whole));
            }
            Some(by) => {
                for (part, sums) in parts(page, section(by)) {
                    if let Some(part) = part_of(by, part, sheet, rules) {
                        add(Some(part), Figures::of(&sums, kind));
                    }
                }
            }
        }
    }
    if query.by == Some(By::Focus) {
        for region in regions {
            for (at, set) in rules.focus_sets.iter().enumerate() {
                rows.entry((region, Some((at, set.name)))).or_default();
            }
        }
    }
    // What was counted last year by home says nothing of a part or of where people work.
    let known = |area: Region| (query.axis == Axis::Home).then(|| baseline_of(area, query.scope, baseline)).flatten();
    if query.by.is_none() && query.axis == Axis::Home {
        for region in query.scope.rows(query.level) {
            if known(region).is_some_and(|b| b.total > 0) {
                rows.entry((region, None)).or_default();
            }
        }
    }
    let key = |name, title| Key { name, title };
    let totals_baseline = known(query.scope.bound());
    let mut more = More::default();
    if let Some(known) = totals_baseline {
        more.baseline_sources.insert(query.scope.code(), known.source.code());
    }
    if query.by.is_none() {
        let sources = rows.keys().filter_map(|(region, _)| Some((region.to_string(), known(*region)?.source.code())));
        more.baseline_sources.extend(sources);
    }
    Report {
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
        rows: rows
            .iter()
            .map(|((region, part), figures)| Row {
                keys: keys(region.code_text().into(), row_name(*region, query).into(), part.map(|(_, value)| value), query.by),
                values: figures.values(if query.by.is_none() { known(*region).map(|b| b.total) } else { None }),
            })
            .collect(),
        totals: Row {
            keys: keys(query.scope.code().into(), format!("{}合计", query.scope.name()).into(), None, query.by),
            values: totals.values(totals_baseline.map(|b| b.total)),
        },
        more,
    }
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

/// What a part of a section is called, with its place in the order of its kind.
fn part_of<'a>(by: By, part: u32, sheet: &'a Sheet, rules: &Rules) -> Option<(usize, &'a str)> {
    let at = usize::try_from(part).ok()?;
    Some(match by {
        By::Tier | By::TierAtHire => (at, Tier::ALL.get(at)?.code()),
        By::Flow => (at, Flow::ALL.get(at)?.code()),
        By::Category => (at, Category::ALL.get(at)?.code()),
        By::Platform => (0, sheet.platform(u16::try_from(part).ok()?)),
        By::Focus => {
            let name = focus_sets().get(at)?.name;
            (rules.focus_sets.iter().position(|set| set.name == name)?, name)
        }
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

fn row_name(region: Region, query: &Query) -> &'static str {
    let unknown = region == Region::NATION && region.at_level(query.level).is_none();
    if unknown { "地区不明" } else { region.name() }
}

fn keys(region: Text, name: Text, part: Option<&str>, by: Option<By>) -> Vec<Option<Text>> {
    let part = by.map(|_| part.map(|part| Text::from(part.to_owned())));
    [Some(region), Some(name)].into_iter().chain(part).collect()
}

#[cfg(test)]
mod tests;
