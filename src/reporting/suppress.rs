//! What of a table of counts may be published so that no small count can be told.
//!
//! Promises: a count of 1 to `least` − 1 is hidden; then so many more figures are
//! hidden that none which is hidden, and no small count that stands in no figure
//! (the rest of a part, say), can be computed from what is published by the sums
//! that hold among them, nor is the one value that these leave it where no count is
//! less than 0, as far as bounds passed on from sum to sum tell; where a line of a sum
//! hides one figure it hides at least two. The same table is always hidden alike.
//! Does not: guard against who knows some of the persons, or keep the bounds of a small
//! count wide; a sum of hidden figures may be computed, each may not.
//! Start at: [`suppress`], or [`Sums`] for tables of another shape.

use super::report::{Column, Report, Row, Value};
use crate::domain::region::Region;
use crate::domain::worker::Tier;
use std::collections::{BTreeMap, BTreeSet};

/// The field in which it is reckoned which figures a set of sums determines. What
/// holds over the rationals with coefficients as small as these holds here, but for
/// a chance of one in 10^17.
const PRIME: u64 = (1 << 61) - 1;

/// Figures, what each is made of, and the sums that hold among them.
#[derive(Clone, Default)]
pub struct Sums {
    values: Vec<u64>,
    /// The counts of each figure: one, or a ratio's two.
    figures: Vec<Vec<usize>>,
    /// The figure of a count; none for one that no figure shows.
    shown_in: Vec<Option<usize>>,
    /// Each comes to nothing: count and coefficient.
    sums: Vec<Vec<(usize, i64)>>,
    /// Counts that everybody knows, whatever is published.
    known: BTreeSet<usize>,
    /// Counts that differ from one period to another that ends on the same day.
    of_period: BTreeSet<usize>,
}

impl Sums {
    /// A figure of these counts; its place, and theirs.
    pub fn figure(&mut self, counts: &[u64]) -> (usize, Vec<usize>) {
        let figure = self.figures.len();
        let places: Vec<usize> = counts.iter().map(|n| self.count(*n, Some(figure))).collect();
        self.figures.push(places.clone());
        (figure, places)
    }

    fn count(&mut self, value: u64, figure: Option<usize>) -> usize {
        self.values.push(value);
        self.shown_in.push(figure);
        self.values.len() - 1
    }

    /// A count that follows from what it means: to hide it hides nothing.
    pub fn known(&mut self, count: usize) {
        self.known.insert(count);
    }

    /// `whole` is the sum of `parts`; a sum that does not hold is not believed.
    pub fn sum(&mut self, whole: usize, parts: &[usize]) {
        if self.values[whole] == parts.iter().map(|p| self.values[*p]).sum::<u64>() {
            self.sums.push([(whole, 1)].into_iter().chain(parts.iter().map(|p| (*p, -1))).collect());
        }
    }

    /// `whole` has these parts and a rest that no figure shows; a small rest is as
    /// secret as a small figure. Says where the rest stands.
    pub fn parts(&mut self, whole: usize, parts: &[usize]) -> Option<usize> {
        let of = parts.iter().map(|p| self.values[*p]).sum();
        let rest = self.values[whole].checked_sub(of)?;
        let rest = self.count(rest, None);
        if self.of_period.contains(&whole) || parts.iter().any(|part| self.of_period.contains(part)) {
            self.of_period.insert(rest);
        }
        self.sum(whole, &[parts, &[rest]].concat());
        Some(rest)
    }

    /// The figures to hide. What stands on a day is hidden alike whatever happened in the
    /// period, which is hidden after it and beside it alone: who has a month, a quarter and
    /// a year that end on one day has no more of that day.
    pub fn hide(&self, least: u64) -> BTreeSet<usize> {
        let small = |count: &usize| (1..least).contains(&self.values[*count]);
        let secret: Vec<usize> = (0..self.values.len()).filter(small).collect();
        let hidden: BTreeSet<usize> = secret.iter().filter_map(|count| self.shown_in[*count]).collect();
        let mut of_day = self.clone();
        of_day.sums.retain(|sum| !sum.iter().any(|(count, _)| self.of_period.contains(count)));
        let hidden = of_day.hide_beside(hidden, &secret, least);
        if self.of_period.is_empty() {
            return hidden;
        }
        let mut all = self.clone();
        all.known.extend((0..self.values.len()).filter(|count| !self.of_period.contains(count)));
        all.hide_beside(hidden, &secret, least)
    }

    /// What is to be hidden beside what is hidden already.
    fn hide_beside(&self, mut hidden: BTreeSet<usize>, secret: &[usize], least: u64) -> BTreeSet<usize> {
        let of_count = self.sums_of_counts();
        loop {
            // What one sum tells by itself is found without solving them all.
            self.fill_lines(&mut hidden, secret, &of_count, least);
            let open = |count: usize| self.shown_in[count].is_some_and(|figure| !hidden.contains(&figure));
            let told = self.told(&open);
            // A small count that is told, or a hidden figure of which all is.
            let told_figure = |f: &usize| self.figures[*f].iter().all(|c| told.contains_key(c));
            let mut loose: BTreeSet<usize> = secret.iter().copied().filter(|c| told.contains_key(c)).collect();
            loose.extend(hidden.iter().filter(|f| told_figure(f)).flat_map(|f| self.figures[*f].iter().copied()));
            let more = loose.iter().find_map(|c| self.partner(told.get(c)?, &of_count, &open));
            let more = more.or_else(|| {
                let pinned = self.pinned(&of_count, &open);
                secret.iter().filter(|c| pinned[**c]).find_map(|c| self.nearest(*c, &of_count, &open))
            });
            let Some(more) = more else { return hidden };
            hidden.insert(more);
        }
    }

    fn sums_of_counts(&self) -> Vec<Vec<usize>> {
        let mut of_count = vec![Vec::new(); self.values.len()];
        for (at, sum) in self.sums.iter().enumerate() {
            sum.iter().for_each(|(count, _)| of_count[*count].push(at));
        }
        of_count
    }

    /// Hides partners until no sum by itself tells what must not be told.
    fn fill_lines(&self, hidden: &mut BTreeSet<usize>, secret: &[usize], of_count: &[Vec<usize>], least: u64) {
        let secret: BTreeSet<usize> = secret.iter().copied().collect();
        let mut waiting: BTreeSet<usize> = (0..self.sums.len()).collect();
        while let Some(at) = waiting.pop_first() {
            let open = |count: usize| self.shown_in[count].is_some_and(|figure| !hidden.contains(&figure));
            let mut unknown = self.sums[at].iter().map(|(count, _)| *count).filter(|count| !open(*count));
            let tells = match (unknown.next(), unknown.next()) {
                // Of a ratio one count may be told where the other is not.
                (Some(one), None) => secret.contains(&one) || self.shown_in[one].is_some_and(|f| self.figures[f].len() == 1),
                _ => self.is_pinned(at, least, &open),
            };
            let partner = if tells { self.partner(&BTreeSet::from([at]), of_count, &open) } else { None };
            if let Some(figure) = partner {
                hidden.insert(figure);
                waiting.insert(at);
                waiting.extend(self.figures[figure].iter().flat_map(|count| of_count[*count].iter().copied()));
            }
        }
    }

    /// Whether the hidden parts of an open sum are what they must be for who takes
    /// none for zero and each for small: two that come to 2, or to 8 where 4 is the
    /// most.
    fn is_pinned(&self, at: usize, least: u64, open: &dyn Fn(usize) -> bool) -> bool {
        let [(whole, _), parts @ ..] = &self.sums[at][..] else { return false };
        let hidden: Vec<usize> = parts.iter().map(|(count, _)| *count).filter(|count| !open(*count)).collect();
        if hidden.is_empty() || !open(*whole) || hidden.iter().any(|count| self.shown_in[*count].is_none()) {
            return false;
        }
        let all = |n: u64| hidden.iter().all(|count| self.values[*count] == n);
        all(1) || all(least.saturating_sub(1))
    }

    /// Which counts have one value alone that all sums allow, where none is less than 0.
    /// Bounds are passed on from sum to sum until they stay, or for as long as it is worth.
    fn pinned(&self, of_count: &[Vec<usize>], open: &dyn Fn(usize) -> bool) -> Vec<bool> {
        let value = |count: usize| i128::from(self.values[count]);
        let all = 0..self.values.len();
        let mut bounds: Vec<(i128, i128)> = all.map(|c| if open(c) { (value(c), value(c)) } else { (0, NO_BOUND) }).collect();
        let mut waiting: BTreeSet<usize> = (0..self.sums.len()).collect();
        for _ in 0..PASSES * self.sums.len() {
            let Some(at) = waiting.pop_first() else { break };
            let [(whole, _), parts @ ..] = &self.sums[at][..] else { continue };
            let sum = parts.iter().fold((0, 0), |(low, high), (part, _)| (low + bounds[*part].0, high + bounds[*part].1));
            let (low, high) = bounds[*whole];
            let of_parts = parts.iter().map(|(part, _)| {
                let (least, most) = bounds[*part];
                (*part, (least.max(low - (sum.1 - most)), most.min(high - (sum.0 - least))))
            });
            let closer: Vec<_> = of_parts.chain([(*whole, (low.max(sum.0), high.min(sum.1)))]).collect();
            for (count, bound) in closer {
                if bounds[count] == bound {
                    continue;
                }
                bounds[count] = bound;
                waiting.extend(of_count[count].iter().filter(|other| **other != at));
            }
        }
        bounds.into_iter().map(|(low, high)| low == high).collect()
    }

    /// A figure to hide beside a count whose bounds have met: of the sums that it stands
    /// in, else of those that these lead to.
    fn nearest(&self, count: usize, of_count: &[Vec<usize>], open: &dyn Fn(usize) -> bool) -> Option<usize> {
        let mut from: BTreeSet<usize> = of_count[count].iter().copied().collect();
        loop {
            if let Some(figure) = self.partner(&from, of_count, open) {
                return Some(figure);
            }
            let wider = from.iter().flat_map(|at| &self.sums[*at]).flat_map(|(count, _)| &of_count[*count]).copied();
            let wider: BTreeSet<usize> = wider.collect();
            if wider.len() == from.len() {
                return None;
            }
            from = wider;
        }
    }

    /// The counts that can be computed from the open ones, each with the sums that
    /// tell it.
    fn told(&self, open: &dyn Fn(usize) -> bool) -> BTreeMap<usize, BTreeSet<usize>> {
        // Short sums first: what long ones are left with stays short.
        let mut order: Vec<usize> = (0..self.sums.len()).collect();
        order.sort_by_key(|at| self.sums[*at].len());
        let mut solved: BTreeMap<usize, Equation> = BTreeMap::new();
        for at in order {
            let mut equation = Equation { terms: BTreeMap::new(), from: BTreeSet::from([at]) };
            for (count, coefficient) in self.sums[at].iter().filter(|(count, _)| !open(*count)) {
                equation.add(*count, if *coefficient < 0 { PRIME - 1 } else { 1 });
            }
            let known: Vec<usize> = equation.terms.keys().copied().filter(|c| solved.contains_key(c)).collect();
            known.iter().for_each(|pivot| equation.without(*pivot, &solved[pivot]));
            let Some((&pivot, &factor)) = equation.terms.iter().next() else { continue };
            equation.scale(inverse(factor));
            for other in solved.values_mut().filter(|other| other.terms.contains_key(&pivot)) {
                other.without(pivot, &equation);
            }
            solved.insert(pivot, equation);
        }
        solved.into_iter().filter(|(_, e)| e.terms.len() == 1).map(|(pivot, e)| (pivot, e.from)).collect()
    }

    /// The figure to hide beside one that these sums tell: no zero where another
    /// will do, rather one that is hidden in fewest sums alone, and the least, so
    /// that as little as may be is lost; none that is known anyway.
    fn partner(&self, from: &BTreeSet<usize>, of_count: &[Vec<usize>], open: &dyn Fn(usize) -> bool) -> Option<usize> {
        let counts = from.iter().flat_map(|at| self.sums[*at].iter().map(|(count, _)| *count));
        let counts = counts.filter(|count| open(*count) && !self.known.contains(count));
        let alone = |count: usize| {
            let others = of_count[count].iter().filter(|at| !from.contains(at));
            others.filter(|at| self.sums[**at].iter().all(|(other, _)| open(*other))).count()
        };
        let best = counts.min_by_key(|count| (self.values[*count] == 0, alone(*count), self.values[*count], *count))?;
        self.shown_in[best]
    }
}

/// More than any count of people.
const NO_BOUND: i128 = 1 << 64;
/// How often each sum is gone through at most, on average.
const PASSES: usize = 50;

/// Terms that come to something known.
struct Equation {
    terms: BTreeMap<usize, u64>,
    /// The sums it was made of.
    from: BTreeSet<usize>,
}

impl Equation {
    fn add(&mut self, count: usize, coefficient: u64) {
        let sum = (self.terms.get(&count).copied().unwrap_or(0) + coefficient) % PRIME;
        if sum == 0 {
            self.terms.remove(&count)
        } else {
            self.terms.insert(count, sum)
        };
    }

    /// Takes out a count by the equation that is solved for it.
    fn without(&mut self, pivot: usize, solved: &Equation) {
        let Some(factor) = self.terms.get(&pivot).copied() else { return };
        for (count, coefficient) in &solved.terms {
            self.add(*count, PRIME - times(*coefficient, factor));
        }
        self.from.extend(&solved.from);
    }

    fn scale(&mut self, factor: u64) {
        self.terms.values_mut().for_each(|c| *c = times(*c, factor));
    }
}

fn times(a: u64, b: u64) -> u64 {
    (u128::from(a) * u128::from(b) % u128::from(PRIME)) as u64
}

/// By Fermat: a^(p−2).
fn inverse(a: u64) -> u64 {
    let (mut result, mut base, mut exponent) = (1, a, PRIME - 2);
    while exponent > 0 {
        if exponent & 1 == 1 {
            result = times(result, base);
        }
        base = times(base, base);
        exponent >>= 1;
    }
    result
}

/// Sums of columns that hold in every row, where a report has them.
const WHOLES: [(&str, &[&str]); 2] =
    [("total", &["out_of_province", "in_province", "in_county"]), ("total", &["confirmed", "unconfirmed"])];
/// Counts of which another is a part: columns, and which count of a ratio.
type Part = ((&'static str, usize), (&'static str, usize));
const PARTS: [Part; 4] =
    [(("in_county", 0), ("in_place", 0)), (("total", 0), ("new", 0)), (("total", 0), (LIFTED, 1)), ((LIFTED, 1), (LIFTED, 0))];
/// Of those who were poor at their hire, who are lifted by now.
const LIFTED: &str = "lifted_since_hire";
/// Columns of what happened in the period.
const OF_PERIOD: [&str; 1] = ["new"];
/// Ratios whose numerator or denominator is a column of its own.
const NUMERATORS: [(&str, &str); 1] = [("share", "total")];
const DENOMINATORS: [(&str, &str); 1] = [("share", "baseline")];

/// Hides in tables that are published together what must not be told. Tables of one
/// region and axis may be split differently, by places of work too: the parts of a region add up to
/// its row in a table that is not split. The counties of a set are parts of their
/// region's row, beside counties that no table shows.
pub fn suppress(reports: &mut [Report], least: u64) {
    let mut sums = Sums::default();
    let grids: Vec<Grid> = reports.iter().map(|report| grid(&mut sums, report)).collect();
    for (whole, whole_grid) in reports.iter().zip(&grids).filter(|(r, _)| r.keys.len() == 2) {
        for (split, grid) in reports.iter().zip(&grids).filter(|(r, _)| r.keys.len() > 2 && akin(r, whole)) {
            together(&mut sums, (whole, whole_grid), (split, grid));
        }
    }
    for (nation, nation_grid) in reports.iter().zip(&grids).filter(|(r, _)| r.keys.len() == 2 && !of_set(r)) {
        for (set, grid) in reports.iter().zip(&grids).filter(|(r, _)| r.keys.len() == 2 && of_set(r)) {
            lies_in(&mut sums, (nation, nation_grid), (set, grid));
        }
    }
    let hidden = sums.hide(least);
    for (report, grid) in reports.iter_mut().zip(&grids) {
        for (row, line) in report.rows.iter_mut().chain([&mut report.totals]).zip(grid) {
            for (value, cell) in row.values.iter_mut().zip(&line.cells) {
                if cell.as_ref().is_some_and(|cell| hidden.contains(&cell.figure)) {
                    *value = Value::Suppressed { below: least };
                }
            }
        }
    }
}

/// Where a figure stands in the sums.
struct Cell {
    figure: usize,
    counts: Vec<usize>,
}

/// The figures of a row.
struct Line {
    cells: Vec<Option<Cell>>,
    /// What is left of the wholes of [`PARTS`].
    rests: [Option<usize>; PARTS.len()],
}

/// The rows and then the totals.
type Grid = Vec<Line>;

fn akin(a: &Report, b: &Report) -> bool {
    (&a.region, a.axis, a.period) == (&b.region, b.axis, b.period)
}

/// The figures of one table, and what holds among them.
fn grid(sums: &mut Sums, report: &Report) -> Grid {
    let line = |sums: &mut Sums, row: &Row| Line { cells: row.values.iter().map(|v| cell(sums, *v)).collect(), rests: [None; PARTS.len()] };
    let mut grid: Grid = report.rows.iter().chain([&report.totals]).map(|row| line(sums, row)).collect();
    let at = |name: &str| report.column(name);
    for (row, line) in report.rows.iter().zip(&grid) {
        let cells = impossible(report, row).iter().filter_map(|name| line.cells.get(at(name)?)?.as_ref());
        cells.flat_map(|cell| &cell.counts).for_each(|count| sums.known(*count));
    }
    for name in OF_PERIOD {
        let cells = grid.iter().filter_map(|line| line.cells.get(at(name)?)?.as_ref());
        sums.of_period.extend(cells.flat_map(|cell| &cell.counts));
    }
    for line in &mut grid {
        let count = |name: &str, part: usize| line.cells.get(at(name)?)?.as_ref()?.counts.get(part).copied();
        for (whole, parts) in WHOLES {
            let parts: Option<Vec<usize>> = parts.iter().map(|name| count(name, 0)).collect();
            if let (Some(whole), Some(parts)) = (count(whole, 0), parts) {
                sums.sum(whole, &parts);
            }
        }
        let all = PARTS.map(|(whole, part)| (count(whole.0, whole.1), count(part.0, part.1)));
        for (pairs, part) in [(NUMERATORS, 0), (DENOMINATORS, 1)] {
            for (ratio, column) in pairs {
                if let (Some(ratio), Some(column)) = (count(ratio, part), count(column, 0)) {
                    sums.sum(column, &[ratio]);
                }
            }
        }
        for (rest, (whole, part)) in line.rests.iter_mut().zip(all) {
            *rest = whole.zip(part).and_then(|(whole, part)| sums.parts(whole, &[part]));
        }
    }
    let tier = report.keys.iter().position(|key| key.name == "tier");
    for (row, line) in report.rows.iter().zip(&grid) {
        let lifted = at(LIFTED).and_then(|at| line.cells.get(at)?.as_ref());
        let tier = tier.and_then(|at| row.keys.get(at)?.as_deref());
        if let (Some(lifted), Some(tier)) = (lifted, tier) {
            by_tier(sums, tier, &lifted.counts);
        }
    }
    let (totals, rows) = grid.split_last().expect("the totals are a row");
    for (column, _) in report.columns.iter().enumerate().filter(|(_, c)| adds_up(c)) {
        add_up(sums, &totals.cells[column], rows.iter().map(|row| &row.cells[column]));
    }
    rests_add_up(sums, totals, rows.iter());
    grid
}

/// Who is in the tier of the lifted was lifted, and of any other tier nobody was.
fn by_tier(sums: &mut Sums, tier: &str, lifted: &[usize]) {
    let [numerator, denominator] = *lifted else { return };
    if tier == Tier::Lifted.code() {
        sums.sum(denominator, &[numerator]);
    } else if sums.values[numerator] == 0 {
        sums.known(numerator);
        sums.sum(numerator, &[]);
    }
}

/// The columns in which nobody can stand who is at home in one place of a row and works
/// in the other, where it has two.
fn impossible(report: &Report, row: &Row) -> &'static [&'static str] {
    let keys = report.keys.iter().zip(&row.keys).filter(|(key, _)| ["region", "work_region", "home_region"].contains(&key.name));
    let provinces: Option<Vec<Region>> = keys.map(|(_, code)| code.as_deref().and_then(Region::parse)?.province()).collect();
    match provinces.as_deref() {
        Some([here, there]) if here == there => &["out_of_province"],
        Some([_, _]) => &["in_province", "in_county", "in_place"],
        _ => &[],
    }
}

/// Ratios do not add up, but their counts do; a sum that does not hold is left out.
fn adds_up(column: &Column) -> bool {
    column.additive || column.ratio
}

fn cell(sums: &mut Sums, value: Value) -> Option<Cell> {
    let (figure, counts) = match value {
        Value::Count(n) => sums.figure(&[n]),
        Value::Ratio { numerator, denominator } => sums.figure(&[numerator, denominator]),
        Value::Unknown | Value::Number(_) | Value::Suppressed { .. } => return None,
    };
    Some(Cell { figure, counts })
}

/// The counts of a cell are those of its parts together, where all are known.
fn add_up<'a>(sums: &mut Sums, whole: &Option<Cell>, parts: impl Iterator<Item = &'a Option<Cell>>) {
    let parts: Option<Vec<&Cell>> = parts.map(Option::as_ref).collect();
    if let (Some(whole), Some(parts)) = (whole, parts) {
        for (n, count) in whole.counts.iter().enumerate() {
            let counts: Option<Vec<usize>> = parts.iter().map(|part| part.counts.get(n).copied()).collect();
            counts.into_iter().for_each(|counts| sums.sum(*count, &counts));
        }
    }
}

/// What is left of the parts adds up, as they do.
fn rests_add_up<'a>(sums: &mut Sums, whole: &Line, parts: impl Iterator<Item = &'a Line> + Clone) {
    for (at, rest) in whole.rests.iter().enumerate() {
        let parts: Option<Vec<usize>> = parts.clone().map(|part| part.rests[at]).collect();
        if let (Some(rest), Some(parts)) = (rest, parts) {
            sums.sum(*rest, &parts);
        }
    }
}

/// The rows of a split table add up to the row of their region in the whole one.
fn together(sums: &mut Sums, (whole, whole_grid): (&Report, &Grid), (split, split_grid): (&Report, &Grid)) {
    for (at, column) in whole.columns.iter().enumerate().filter(|(_, c)| adds_up(c)) {
        let Some(other) = split.column(column.name) else { continue };
        for (row, line) in whole.rows.iter().zip(whole_grid) {
            let of = split.rows.iter().zip(split_grid).filter(|(r, _)| r.keys.first() == row.keys.first());
            let parts: Vec<&Option<Cell>> = of.map(|(_, part)| &part.cells[other]).collect();
            add_up(sums, &line.cells[at], parts.into_iter());
        }
        let (last, split_last) = (whole_grid.last(), split_grid.last());
        if let (Some(last), Some(split_last)) = (last, split_last) {
            add_up(sums, &last.cells[at], [&split_last.cells[other]].into_iter());
        }
    }
    for (row, line) in whole.rows.iter().zip(whole_grid) {
        let of = split.rows.iter().zip(split_grid).filter(|(r, _)| r.keys.first() == row.keys.first());
        rests_add_up(sums, line, of.map(|(_, part)| part));
    }
}

fn of_set(report: &Report) -> bool {
    report.region.starts_with("set:")
}

/// The rows of a set are parts of the rows that they lie in.
fn lies_in(sums: &mut Sums, (whole, whole_grid): (&Report, &Grid), (set, set_grid): (&Report, &Grid)) {
    let region = |row: &Row| row.keys.first().and_then(Option::as_deref).and_then(Region::parse);
    for (row, line) in whole.rows.iter().zip(whole_grid) {
        let within = |part: &Row| region(row).is_some_and(|whole| region(part).is_some_and(|r| r.is_within(whole)));
        let of: Vec<&Line> = set.rows.iter().zip(set_grid).filter(|(part, _)| within(part)).map(|(_, line)| line).collect();
        let mut rests: BTreeMap<(&str, usize), usize> = BTreeMap::new();
        for (at, column) in whole.columns.iter().enumerate().filter(|(_, c)| adds_up(c) && !of.is_empty()) {
            let Some(other) = set.column(column.name) else { continue };
            let parts: Option<Vec<&Cell>> = of.iter().map(|line| line.cells[other].as_ref()).collect();
            let (Some(whole), Some(parts)) = (&line.cells[at], parts) else { continue };
            for (n, count) in whole.counts.iter().enumerate() {
                let counts: Option<Vec<usize>> = parts.iter().map(|part| part.counts.get(n).copied()).collect();
                let rest = counts.and_then(|counts| sums.parts(*count, &counts));
                rests.extend(rest.map(|rest| ((column.name, n), rest)));
            }
        }
        // Who of the region is at home in no county of the set stands in one row as well.
        for (whole, parts) in WHOLES {
            let parts: Option<Vec<usize>> = parts.iter().map(|name| rests.get(&(*name, 0)).copied()).collect();
            if let (Some(whole), Some(parts)) = (rests.get(&(whole, 0)), parts) {
                sums.sum(*whole, &parts);
            }
        }
        for (whole, part) in PARTS {
            if let (Some(whole), Some(part)) = (rests.get(&whole), rests.get(&part)) {
                sums.parts(*whole, &[*part]);
            }
        }
    }
}

#[cfg(test)]
mod tests;
