//! What is worth drawing of a report: bars for its rows, the same in the printed
//! page and in the workbook.

use super::report::{Column, Report, Row, Unit, Value};

/// Rows that a drawing has room for.
pub(super) const DRAWN: usize = 40;

/// Bars, each of one part or of several that add up.
#[derive(Debug, PartialEq)]
pub(super) struct Chart {
    pub title: &'static str,
    /// What the parts are; of a single one, the column.
    pub parts: Vec<&'static str>,
    pub unit: Unit,
    /// The greatest, in the report's order.
    pub bars: Vec<Bar>,
    /// How many rows have a bar, drawn or not.
    pub of: usize,
}

#[derive(Debug, PartialEq)]
pub(super) struct Bar {
    pub name: String,
    pub parts: Vec<f64>,
}

impl Bar {
    pub fn whole(&self) -> f64 {
        self.parts.iter().sum()
    }
}

/// The charts of a report; none where it has nothing to draw.
pub(super) fn of(report: &Report) -> Vec<Chart> {
    let has = |names: &[&str]| names.iter().all(|name| report.column(name).is_some());
    let mut charts = Vec::new();
    if has(&["in_place", "in_county", "in_province", "out_of_province"]) {
        let parts = vec!["居家就地", "县内其他", "省内县外", "省外"];
        charts.push(drawn(report, "在哪里就业", parts, Unit::Person, &|row| {
            let of = |name| figure(report, row, name);
            Some(vec![of("in_place")?, of("in_county")? - of("in_place")?, of("in_province")?, of("out_of_province")?])
        }));
    }
    if has(&["confirmed", "unconfirmed"]) {
        charts.push(drawn(report, "是否已确认在岗", vec!["已确认", "未确认"], Unit::Person, &|row| {
            Some(vec![figure(report, row, "confirmed")?, figure(report, row, "unconfirmed")?])
        }));
    }
    if charts.is_empty() {
        let single = |column: &&Column| {
            drawn(report, column.title, vec![column.title], column.unit, &|row| Some(vec![figure(report, row, column.name)?]))
        };
        charts.extend(report.columns.iter().find(|c| c.additive).as_ref().map(single));
        charts.extend(report.columns.iter().find(|c| c.ratio).as_ref().map(single));
    }
    charts.retain(|chart| !chart.bars.is_empty());
    charts
}

fn figure(report: &Report, row: &Row, name: &str) -> Option<f64> {
    let at = report.column(name)?;
    match *row.values.get(at)? {
        // Far below 2^53, the last whole number that f64 keeps.
        Value::Count(n) => Some(n as f64),
        Value::Number(x) => Some(x),
        Value::Ratio { numerator, denominator } => report.columns[at].quotient(numerator, denominator),
        Value::Unknown | Value::Suppressed { .. } => None,
    }
}

fn drawn(report: &Report, title: &'static str, parts: Vec<&'static str>, unit: Unit, figures: &dyn Fn(&Row) -> Option<Vec<f64>>) -> Chart {
    let bar = |row: &Row| {
        let named: Vec<&str> = row.keys.iter().skip(1).flatten().map(|key| &**key).collect();
        figures(row).map(|parts| Bar { name: named.join(" · "), parts }).filter(|bar| bar.whole() > 0.0)
    };
    let mut bars: Vec<(usize, Bar)> = report.rows.iter().filter_map(bar).enumerate().collect();
    let of = bars.len();
    bars.sort_by(|(_, a), (_, b)| b.whole().total_cmp(&a.whole()));
    bars.truncate(DRAWN);
    bars.sort_by_key(|(at, _)| *at);
    Chart { title, parts, unit, bars: bars.into_iter().map(|(_, bar)| bar).collect(), of }
}

#[cfg(test)]
mod tests {
    use super::super::report::tests::sample;
    use super::*;

    #[test]
    fn a_report_is_drawn_by_its_first_sum_and_its_first_ratio() {
        let charts = of(&sample());
        let bars = |chart: &Chart| chart.bars.iter().map(|b| (b.name.clone(), b.whole())).collect::<Vec<_>>();
        assert_eq!(charts.iter().map(|c| c.title).collect::<Vec<_>>(), ["合计", "占上年末比重"]);
        assert_eq!(bars(&charts[0]), [("黔东南苗族侗族自治州 · meituan".to_owned(), 3.0), ("贵阳市 · meituan".to_owned(), 2.0)]);
        assert_eq!(bars(&charts[1]), [("黔东南苗族侗族自治州 · meituan".to_owned(), 0.75)], "what is unknown has no bar");
    }

    #[test]
    fn the_greatest_rows_are_drawn_in_their_order_and_what_is_hidden_is_not() {
        let mut report = sample();
        report.rows =
            (0..60).map(|n| Row { values: vec![Value::Count(n), Value::Unknown, Value::Unknown], ..report.rows[0].clone() }).collect();
        report.rows[59].values[0] = Value::Suppressed { below: 5 };
        let chart = &of(&report)[0];
        let wholes: Vec<f64> = chart.bars.iter().map(Bar::whole).collect();
        assert_eq!((wholes.len(), wholes[0], wholes[39], chart.of), (DRAWN, 19.0, 58.0, 58), "nobody and who is hidden have no bar");
    }
}
