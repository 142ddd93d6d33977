//! The chart of the employment report: for each row one bar of where its people
//! work. The figures beside a bar are the cells of its row.

use super::figures::{grouped, keys};
use super::text::Lang;
use crate::reporting::{By, Report, Row, Unit, Value};
use serde::Serialize;

/// Rows that the chart has room for.
const DRAWN: usize = 40;
/// The longest bar, and the height of a row, in the chart's own units.
const BAR: u64 = 340;
const STEP: usize = 28;
/// The height of the line of titles above the bars.
const HEAD: usize = 34;
/// Width of a row's name beside its bar, a Chinese character being 2; the whole
/// stands in its tooltip.
const LABEL: usize = 32;

/// The bars, in the units of their drawing.
#[derive(Debug, Serialize)]
pub struct Chart {
    bars: Vec<Bar>,
    height: usize,
    /// How many of the rows are drawn, where not all are.
    part: Option<usize>,
}

/// One row of the chart.
#[derive(Debug, PartialEq, Serialize)]
struct Bar {
    label: String,
    title: String,
    y: usize,
    parts: Vec<Part>,
    in_county: String,
    in_province: String,
    out_of_province: String,
    total: String,
}

#[derive(Debug, PartialEq, Serialize)]
struct Part {
    class: &'static str,
    x: u64,
    width: u64,
}

impl Chart {
    /// The rows with most people, in the report's order.
    pub fn of(lang: Lang, report: &Report, by: Option<By>) -> Self {
        let working = |row: &&Row| count(report, row, "total");
        let mut rows: Vec<(usize, &Row)> = report.rows.iter().enumerate().filter(|(_, r)| working(r) > 0).collect();
        rows.sort_by_key(|(at, r)| (std::cmp::Reverse(working(r)), *at));
        let (all, most) = (rows.len(), rows.first().map_or(1, |(_, r)| working(r)));
        rows.truncate(DRAWN);
        rows.sort_by_key(|(at, _)| *at);
        let bars: Vec<Bar> = rows.iter().enumerate().map(|(n, (_, row))| bar(lang, report, row, by, most, HEAD + n * STEP)).collect();
        Self { height: HEAD + bars.len() * STEP, part: (bars.len() < all).then_some(bars.len()), bars }
    }
}

fn count(report: &Report, row: &Row, name: &str) -> u64 {
    let value = report.columns.iter().position(|c| c.name == name && c.unit == Unit::Person).and_then(|at| row.values.get(at));
    if let Some(Value::Count(n)) = value { *n } else { 0 }
}

fn bar(lang: Lang, report: &Report, row: &Row, by: Option<By>, most: u64, y: usize) -> Bar {
    let of = |name: &str| count(report, row, name);
    let figures = [
        ("p", "in_place_short", of("in_place")),
        ("c", "in_county_rest", of("in_county").saturating_sub(of("in_place"))),
        ("v", "flow_in_province", of("in_province")),
        ("o", "flow_out_of_province", of("out_of_province")),
    ];
    // Edges are rounded, not widths, so that the bar is as long as its total says.
    let edge = |n: u64| (u128::from(n) * u128::from(BAR) / u128::from(most.max(1))) as u64;
    let (mut parts, mut before) = (Vec::new(), 0);
    for (class, _, n) in figures {
        let (from, to) = (edge(before), edge(before + n));
        before += n;
        if n > 0 {
            parts.push(Part { class, x: from, width: (to - from).max(1) });
        }
    }
    let name = keys(lang, report, row, by).into_iter().skip(1).collect::<Vec<_>>().join(" · ");
    let said: Vec<String> = figures.iter().map(|(_, key, n)| format!("{} {}", lang.text(key), grouped(*n))).collect();
    Bar {
        label: short(&name),
        title: format!("{name}：{}（{}）", grouped(of("total")), said.join(lang.text("comma"))),
        y,
        parts,
        in_county: grouped(of("in_county")),
        in_province: grouped(of("in_province")),
        out_of_province: grouped(of("out_of_province")),
        total: grouped(of("total")),
    }
}

/// The name, cut where there is no more room for it.
fn short(name: &str) -> String {
    let width = |c: char| if c.is_ascii() { 1 } else { 2 };
    if name.chars().map(width).sum::<usize>() <= LABEL {
        return name.to_owned();
    }
    let mut room = LABEL - 2;
    let fits = |c: &char| {
        let fits = width(*c) <= room;
        room = room.saturating_sub(width(*c));
        fits
    };
    name.chars().take_while(fits).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_name_is_cut_by_its_width() {
        assert_eq!(short("黔东南苗族侗族自治州"), "黔东南苗族侗族自治州");
        assert_eq!(short("黔东南苗族侗族自治州 · 居家就地就业"), "黔东南苗族侗族自治州 · 居家就…");
        assert_eq!(short(&"x".repeat(40)).chars().count(), 31);
    }
}
