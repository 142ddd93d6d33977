//! The report `flows`: from which places people went to work in which.
//!
//! Promises: a person stands in one row, by home and place of work of their main hire;
//! rows add up to the total, which is that of `employment`. A place of work that is
//! known no better than a province stands as that province.

use super::employment::{flow_columns, flow_values};
use super::query::{Axis, Query};
use super::report::{AsOf, Column, Key, More, Report, Row, Unit, Value};
use crate::domain::cells::{Section, Sections};
use crate::domain::hire::Flow;
use crate::domain::region::{Level, Region};
use crate::domain::time::Moment;
use crate::store::cells::Sheet;
use std::collections::BTreeMap;

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

fn values(flows: &Flows) -> Vec<Value> {
    [Value::Count(flows.iter().sum())].into_iter().chain(flow_values(flows)).collect()
}

/// How fine the other side of a row is: no finer than prefectures, as cells are.
fn other_level(level: Level) -> Level {
    if matches!(level, Level::County) { Level::Prefecture } else { level }
}

/// Adds up who of each place went to which, or, by work, who came from which.
pub fn flows(sheet: &Sheet, query: &Query, now: Moment) -> Report {
    let mut rows: BTreeMap<(Region, Region), Flows> = BTreeMap::new();
    let mut totals = Flows::default();
    for (place, page) in sheet.pages.iter().filter(|(place, _)| query.scope.holds(*place)) {
        let region = place.at_level(query.level).unwrap_or(*place);
        for (way, flow, n) in page.section(Section::Way) {
            let other = Region::from_code(way).unwrap_or(Region::NATION);
            let other = other.at_level(other_level(query.level)).unwrap_or(other);
            let n = u64::try_from(n).unwrap_or(0);
            if let Some(total) = totals.get_mut(usize::from(flow)) {
                *total += n;
                rows.entry((region, other)).or_default()[usize::from(flow)] += n;
            }
        }
    }
    let key = |name, title| Key { name, title };
    let mut keys = vec![key("region", "地区代码"), key("name", "地区"), key("zone", "地带")];
    keys.extend(match query.axis {
        Axis::Home => [key("work_region", "就业地代码"), key("work_name", "就业地"), key("work_zone", "就业地带")],
        Axis::Work => [key("home_region", "户籍地代码"), key("home_name", "户籍地"), key("home_zone", "户籍地带")],
    });
    Report {
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
        rows: rows
            .iter()
            .map(|((here, there), flows)| Row { keys: [place(*here), place(*there)].concat(), values: values(flows) })
            .collect(),
        totals: Row {
            keys: [vec![Some(query.scope.code()), Some(format!("{}合计", query.scope.name()))], vec![None; 4]].concat(),
            values: values(&totals),
        },
        more: More::default(),
    }
}

/// Code, name and zone of a place.
fn place(region: Region) -> Vec<Option<String>> {
    let name = if region == Region::NATION { "地区不明" } else { region.name() };
    vec![Some(region.to_string()), Some(name.to_owned()), region.zone().map(|zone| zone.code().to_owned())]
}

#[cfg(test)]
mod tests;
