//! A figure by month as a line, and, where the report knows it, what was counted at the
//! end of the year before as a second, broken one. The table beside has the same cells.

use super::figures::grouped;
use super::text::Lang;
use crate::reporting::{Report, Row, Value};
use serde::Serialize;

/// The drawing, and within it the box of the lines, in the drawing's own units.
const WIDTH: u64 = 800;
const HEIGHT: u64 = 270;
const LEFT: u64 = 84;
const RIGHT: u64 = 690;
const TOP: u64 = 34;
const BOTTOM: u64 = 236;
/// Months that have room for their names below the box.
const NAMED: usize = 9;
/// Steps of the scale, at most.
const STEPS: u64 = 5;

/// The lines, in the units of their drawing.
#[derive(Debug, Serialize)]
pub struct Lines {
    width: u64,
    height: u64,
    left: u64,
    right: u64,
    bottom: u64,
    marks: Vec<Mark>,
    months: Vec<Mark>,
    line: String,
    points: Vec<Point>,
    /// Empty where nothing is known of the years before.
    before: String,
    /// The newest figure, beside its point.
    newest: Option<Point>,
    pub is_empty: bool,
}

/// A place on a scale with its name.
#[derive(Debug, PartialEq, Serialize)]
struct Mark {
    at: u64,
    name: String,
}

#[derive(Debug, PartialEq, Serialize)]
struct Point {
    x: u64,
    y: u64,
    title: String,
}

impl Lines {
    /// One column of the months of a trend; `before` has a second line where its cells
    /// are known.
    pub fn of(lang: Lang, report: &Report, column: &str, before: Option<&str>) -> Self {
        let figures = |name: Option<&str>| -> Vec<Option<u64>> {
            let at = name.and_then(|name| report.column(name));
            report.rows.iter().map(|row| at.and_then(|at| count(row, at))).collect()
        };
        let (now, then) = (figures(Some(column)), figures(before));
        let most = now.iter().chain(&then).flatten().copied().max().unwrap_or(0);
        let step = step(most);
        let top = most.div_ceil(step).max(1) * step;
        let all = report.rows.len();
        let x = |at: usize| LEFT + 14 + (RIGHT - LEFT - 28) * at as u64 / (all.max(2) as u64 - 1);
        // No figure is near 2^64 / 202, but a sum of stated ones may be anything.
        let y = |n: u64| BOTTOM - (u128::from(n) * u128::from(BOTTOM - TOP) / u128::from(top)) as u64;
        let month = |row: &Row| row.keys.first().and_then(Option::as_deref).unwrap_or_default().to_owned();
        let every = all.div_ceil(NAMED).max(1);
        let points: Vec<Point> = report
            .rows
            .iter()
            .zip(&now)
            .enumerate()
            .filter_map(|(at, (row, n))| {
                let said = format!("{}{}{}", month(row), lang.text("colon"), grouped((*n)?));
                Some(Point { x: x(at), y: y((*n)?), title: said })
            })
            .collect();
        let newest = now.last().copied().flatten().map(|n| Point { x: x(all - 1), y: y(n), title: grouped(n) });
        let named = report.rows.iter().enumerate().filter(|(at, _)| (all - 1 - at).is_multiple_of(every));
        Self {
            width: WIDTH,
            height: HEIGHT,
            left: LEFT,
            right: RIGHT,
            bottom: BOTTOM,
            marks: (0..=top / step).map(|n| Mark { at: y(n * step), name: grouped(n * step) }).collect(),
            months: named.map(|(at, row)| Mark { at: x(at), name: month(row) }).collect(),
            line: path(&now, x, y),
            before: path(&then, x, y),
            points,
            newest,
            is_empty: most == 0,
        }
    }
}

fn count(row: &Row, at: usize) -> Option<u64> {
    match row.values.get(at) {
        Some(Value::Count(n)) => Some(*n),
        _ => None,
    }
}

/// A step of 1, 2 or 5 times a power of ten, of which [`STEPS`] reach the greatest.
fn step(most: u64) -> u64 {
    let mut power: u64 = 1;
    loop {
        for times in [1, 2, 5] {
            let Some(step) = power.checked_mul(times) else { return u64::MAX };
            if step.saturating_mul(STEPS) >= most {
                return step;
            }
        }
        power = power.saturating_mul(10);
    }
}

/// The path through what is known, broken where nothing is.
fn path(figures: &[Option<u64>], x: impl Fn(usize) -> u64, y: impl Fn(u64) -> u64) -> String {
    let mut out = String::new();
    let mut drawing = false;
    for (at, n) in figures.iter().enumerate() {
        if let Some(n) = n {
            let (x, y) = (x(at), y(*n));
            // A lone month is drawn as a short stroke.
            let lone = !drawing && figures.get(at + 1).is_none_or(Option::is_none);
            let stroke = if lone { "h6" } else { "" };
            out.push_str(&format!("{}{x} {y}{stroke}", if drawing { 'L' } else { 'M' }));
        }
        drawing = n.is_some();
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_round_and_few() {
        for (most, expected) in [(0, 1), (5, 1), (6, 2), (11, 5), (26, 10), (2_734_200, 1_000_000), (u64::MAX, 5_000_000_000_000_000_000)] {
            assert_eq!(step(most), expected, "{most}");
        }
    }

    #[test]
    fn a_line_is_broken_where_nothing_is_known() {
        let check = |figures: &[Option<u64>], expected: &str| assert_eq!(path(figures, |x| x as u64, |y| y), expected);
        check(&[Some(1), Some(2)], "M0 1L1 2");
        check(&[None, Some(2), None, Some(4), Some(5)], "M1 2h6M3 4L4 5");
        check(&[None, None], "");
    }
}
