//! The report `flows`: from which places people went to work in which.
//!
//! Promises: a person stands in one row, by home and place of work of their main hire;
//! rows add up to the total, which is that of `employment`. A place of work that is
//! known no better than a province stands as that province.

use super::draft::{Draft, in_order};
use super::employment::{flow_columns, flow_values};
use super::query::{Axis, Query};
use super::report::{AsOf, Column, Key, More, Report, Row, Text, Unit};
use super::slots::Slots;
use crate::domain::cells::{Page, Section, Sections};
use crate::domain::hire::Flow;
use crate::domain::region::{Level, Region, Zone};
use crate::domain::time::Moment;
use crate::store::cells::Sheet;
use crate::threads::both;
use std::sync::LazyLock;

/// What the report reads of cells.
pub const SECTIONS: Sections = Sections::of(&[Section::Way]);

/// Who works, by [`Flow`].
type Flows = [u64; Flow::ALL.len()];

fn columns() -> Vec<Column> {
    let total = Column {
        name: "total",
        title: "务工总人数",
        unit: Unit::Person,
        ratio: false,
        additive: true,
        about: "期末在岗的建档立卡人员，按主要岗位计一次；等于省外、省内县外、县内三项之和",
    };
    [total].into_iter().chain(flow_columns(true)).collect()
}

fn add(sums: &mut Flows, more: Flows) {
    sums.iter_mut().zip(more).for_each(|(sum, n)| *sum += n);
}

/// How fine the other side of a row is: no finer than prefectures, as cells are.
fn other_level(level: Level) -> Level {
    if matches!(level, Level::County) { Level::Prefecture } else { level }
}

/// A way from one place to another, or back, and who works on it.
type Way = ((Region, Region), Flows);

/// Pages from which on half of them are added up on a second core.
const MANY: usize = 500;

/// What all pages come to.
fn all_ways(pages: &[(Region, Page)], query: &Query) -> Vec<Way> {
    if pages.len() < MANY {
        return in_order(ways(pages, query), add);
    }
    // Where a row's places end.
    let row_of = |at: usize| pages[at].0.at_level(query.level);
    let middle = (pages.len() / 2..pages.len()).find(|at| row_of(*at) != row_of(at - 1));
    let (lower, upper) = pages.split_at(middle.unwrap_or(pages.len()));
    let (mut all, upper) = both(|| ways(lower, query), || ways(upper, query));
    all.extend(upper);
    in_order(all, add)
}

fn ways(pages: &[(Region, Page)], query: &Query) -> Vec<Way> {
    let level = other_level(query.level);
    let regions: Vec<Region> = Region::all().collect();
    let others: Vec<usize> = regions.iter().map(|other| other.at_level(level).unwrap_or(*other).index()).collect();
    // Those of one place, by the other one.
    let mut ways = Slots::<Flows>::new(regions.len());
    let (mut rows, mut here) = (Vec::new(), Region::NATION);
    let end = |here: Region, ways: &mut Slots<Flows>, rows: &mut Vec<Way>| {
        rows.extend(ways.take().map(|(other, flows)| ((here, regions[other]), flows)));
    };
    for (place, page) in pages.iter().filter(|(place, _)| query.scope.holds(*place)) {
        let region = place.at_level(query.level).unwrap_or(*place);
        if region != here {
            end(here, &mut ways, &mut rows);
            here = region;
        }
        // The counts of a way follow each other.
        let (mut last, mut other) = (None, Region::NATION.index());
        for (way, flow, n) in page.section(Section::Way) {
            if last != Some(way) {
                (last, other) = (Some(way), others[Region::from_code(way).unwrap_or(Region::NATION).index()]);
            }
            let (flow, n) = (usize::from(flow), u64::try_from(n).unwrap_or(0));
            if flow < Flow::ALL.len() && n > 0 {
                ways.at(other)[flow] += n;
            }
        }
    }
    end(here, &mut ways, &mut rows);
    rows
}

/// Adds up who of each place went to which, or, by work, who came from which.
pub fn flows(sheet: &Sheet, query: &Query, now: Moment) -> Draft {
    let rows = all_ways(&sheet.pages, query);
    let mut totals = Flows::default();
    rows.iter().for_each(|(_, flows)| add(&mut totals, *flows));
    let key = |name, title| Key { name, title };
    let mut keys = vec![key("region", "地区代码"), key("name", "地区"), key("zone", "地带")];
    keys.extend(match query.axis {
        Axis::Home => [key("work_region", "就业地代码"), key("work_name", "就业地"), key("work_zone", "就业地带")],
        Axis::Work => [key("home_region", "户籍地代码"), key("home_name", "户籍地"), key("home_zone", "户籍地带")],
    });
    let head = Report {
        name: "flows",
        title: "务工流向",
        period: query.period,
        region: query.scope.code(),
        axis: query.axis,
        generated_at: now,
        as_of: AsOf { seq: sheet.as_of.seq, time: sheet.as_of.at, root: None },
        sealed: false,
        keys,
        columns: columns(),
        rows: Vec::new(),
        totals: Row {
            keys: [Some(query.scope.code().into()), Some(format!("{}合计", query.scope.name()).into()), None, None, None, None].to_vec(),
            values: flow_values(&totals).to_vec(),
        },
        more: More::default(),
    };
    Draft::new(head, rows.len(), move |at, row| {
        let ((here, there), flows) = &rows[at];
        row.clear();
        row.keys.extend_from_slice(place(*here));
        row.keys.extend_from_slice(place(*there));
        row.values.extend_from_slice(&flow_values(flows));
    })
}

/// Code, name and zone of a place.
fn place(region: Region) -> &'static [Option<Text>; 3] {
    static PLACES: LazyLock<Vec<[Option<Text>; 3]>> = LazyLock::new(|| {
        let name = |region: Region| if region == Region::NATION { "地区不明" } else { region.name() };
        let all = Region::all().map(|region| [Some(region.code_text()), Some(name(region)), region.zone().map(Zone::code)]);
        all.map(|texts| texts.map(|text| text.map(Text::Borrowed))).collect()
    });
    &PLACES[region.index()]
}

#[cfg(test)]
mod tests;
