//! The attacker: who has the published tables and every sum that holds in them, and
//! solves for what is hidden. It shares no code with what it attacks, and reckons in
//! another field.

use super::*;
use std::collections::HashMap;

/// An unknown of the attacker: table, row (the totals last), column, 0 or 1 of a
/// ratio; the fifth tells the rests that no table shows.
pub(super) type Unknown = (usize, usize, usize, usize, bool);

pub(super) struct Attack {
    /// What is published; a rest is not.
    known: HashMap<Unknown, u64>,
    unknowns: Vec<Unknown>,
    equations: Vec<Vec<(Unknown, i64)>>,
}

const FIELD: u64 = 1_000_000_007;

fn is_of(row: &Row, tier: &str) -> bool {
    row.keys.get(2).and_then(Option::as_deref) == Some(tier)
}

impl Attack {
    pub(super) fn on(truth: &[Report], published: &[Report]) -> Self {
        let mut attack = Attack { known: HashMap::new(), unknowns: Vec::new(), equations: Vec::new() };
        let at = |name: &str| COLUMNS.iter().position(|c| *c == name).unwrap();
        for (t, table) in published.iter().enumerate() {
            let rows: Vec<&Row> = table.rows.iter().chain([&table.totals]).collect();
            for (r, row) in rows.iter().enumerate() {
                for (c, value) in row.values.iter().enumerate() {
                    match value {
                        Value::Count(n) => drop(attack.known.insert((t, r, c, 0, false), *n)),
                        Value::Ratio { numerator, denominator } => {
                            attack.known.insert((t, r, c, 0, false), *numerator);
                            attack.known.insert((t, r, c, 1, false), *denominator);
                        }
                        // Of another tier nobody is lifted, as everybody knows.
                        Value::Suppressed { .. } if COLUMNS[c] == "lifted_since_hire" && TIERS[..2].iter().any(|tier| is_of(row, tier)) => {
                            attack.known.insert((t, r, c, 0, false), 0);
                            attack.unknowns.push((t, r, c, 1, false));
                        }
                        Value::Suppressed { .. } => {
                            attack.unknowns.push((t, r, c, 0, false));
                            if COLUMNS[c] == "share" || COLUMNS[c] == "lifted_since_hire" {
                                attack.unknowns.push((t, r, c, 1, false));
                            }
                        }
                        other => assert_eq!(*other, Value::Unknown),
                    }
                }
                let v = |name: &str, part: usize| (t, r, at(name), part, false);
                let mut rest = |whole: Unknown, part: Unknown| {
                    let rest = (whole.0, whole.1, part.2, part.3, true);
                    attack.unknowns.push(rest);
                    attack.equations.push(vec![(whole, 1), (part, -1), (rest, -1)]);
                };
                rest(v("in_county", 0), v("in_place", 0));
                rest(v("total", 0), v("new", 0));
                rest(v("lifted_since_hire", 1), v("lifted_since_hire", 0));
                rest(v("total", 0), v("lifted_since_hire", 1));
                if is_of(row, TIERS[2]) {
                    attack.equations.push(vec![(v("lifted_since_hire", 1), 1), (v("lifted_since_hire", 0), -1)]);
                }
                let total = v("total", 0);
                attack.equations.push(vec![(total, 1), (v("out_of_province", 0), -1), (v("in_province", 0), -1), (v("in_county", 0), -1)]);
                attack.equations.push(vec![(total, 1), (v("confirmed", 0), -1), (v("unconfirmed", 0), -1)]);
                attack.equations.push(vec![(total, 1), (v("share", 0), -1)]);
                attack.equations.push(vec![(v("baseline", 0), 1), (v("share", 1), -1)]);
            }
            let last = rows.len() - 1;
            for (name, part) in [("in_place", 0), ("new", 0), ("lifted_since_hire", 0), ("lifted_since_hire", 1)] {
                let rest = |r: usize, k: i64| ((t, r, at(name), part, true), k);
                attack.equations.push([rest(last, 1)].into_iter().chain((0..last).map(|r| rest(r, -1))).collect());
            }
            for (c, name) in COLUMNS.iter().enumerate() {
                for part in 0..if matches!(*name, "share" | "lifted_since_hire") { 2 } else { 1 } {
                    let mut sum = vec![((t, last, c, part, false), 1)];
                    sum.extend((0..last).map(|r| ((t, r, c, part, false), -1)));
                    attack.equations.push(sum);
                }
            }
        }
        if let [whole, split] = published {
            for (c, name) in COLUMNS.iter().enumerate() {
                for part in 0..if *name == "lifted_since_hire" { 2 } else { 1 } {
                    for (r, row) in whole.rows.iter().enumerate() {
                        let of = split.rows.iter().enumerate().filter(|(_, s)| s.keys[0] == row.keys[0]);
                        let parts = of.map(|(s, _)| ((1, s, c, part, false), -1));
                        attack.equations.push([((0, r, c, part, false), 1)].into_iter().chain(parts).collect());
                    }
                    let totals = [((0, whole.rows.len(), c, part, false), 1), ((1, split.rows.len(), c, part, false), -1)];
                    attack.equations.push(totals.to_vec());
                }
            }
        }
        attack.keep_what_holds(truth);
        attack
    }

    /// On the table of provinces and the flows between them.
    pub(super) fn on_flows(truth: &[Report], published: &[Report]) -> Self {
        let mut attack = Attack { known: HashMap::new(), unknowns: Vec::new(), equations: Vec::new() };
        for (t, table) in published.iter().enumerate() {
            let last = table.rows.len();
            for (r, row) in table.rows.iter().chain([&table.totals]).enumerate() {
                for (c, value) in row.values.iter().enumerate() {
                    let v = (t, r, c, 0, false);
                    match value {
                        Value::Count(n) => drop(attack.known.insert(v, *n)),
                        // Nobody stays in the province and leaves it, as everybody knows.
                        _ if r < last && is_nobody(row, c) => drop(attack.known.insert(v, 0)),
                        _ => attack.unknowns.push(v),
                    }
                }
                let v = |c: usize| (t, r, c, 0, false);
                attack.equations.push(vec![(v(0), 1), (v(1), -1), (v(2), -1), (v(3), -1)]);
                attack.unknowns.push((t, r, 4, 0, true));
                attack.equations.push(vec![(v(3), 1), (v(4), -1), ((t, r, 4, 0, true), -1)]);
            }
            for c in 0..5 {
                let rows = (0..last).map(|r| ((t, r, c, 0, false), -1));
                attack.equations.push([((t, last, c, 0, false), 1)].into_iter().chain(rows).collect());
            }
        }
        for c in 0..5 {
            for (r, row) in published[0].rows.iter().enumerate() {
                let of = published[1].rows.iter().enumerate().filter(|(_, s)| s.keys[0] == row.keys[0]);
                let parts = of.map(|(s, _)| ((1, s, c, 0, false), -1));
                attack.equations.push([((0, r, c, 0, false), 1)].into_iter().chain(parts).collect());
            }
            let [whole, split] = [0, 1].map(|t| (t, published[t].rows.len(), c, 0, false));
            attack.equations.push(vec![(whole, 1), (split, -1)]);
        }
        attack.keep_what_holds(truth);
        attack
    }

    /// Only what is true of the real tables is a weapon: unknown figures have no sums.
    fn keep_what_holds(&mut self, truth: &[Report]) {
        self.equations.retain(|e| {
            let values: Option<Vec<i64>> = e.iter().map(|(u, k)| value_of(truth, u).map(|n| n as i64 * k)).collect();
            values.is_some_and(|values| values.iter().sum::<i64>() == 0)
        });
    }

    /// The small counts of which no more than one value is possible, none being below 0:
    /// what each equation leaves to each of its terms, over and over.
    pub(super) fn corner(&self, truth: &[Report]) -> Vec<(Unknown, u64)> {
        let mut bounds: HashMap<Unknown, (i64, i64)> = self.unknowns.iter().map(|u| (*u, (0, i64::MAX / 1_000_000))).collect();
        bounds.extend(self.known.iter().map(|(u, n)| (*u, (*n as i64, *n as i64))));
        for _ in 0..60 {
            for equation in &self.equations {
                for (unknown, k) in equation {
                    // The others, on the other side.
                    let others = equation.iter().filter(|(other, _)| other != unknown);
                    let (low, high) = others.fold((0, 0), |(low, high), (other, j)| {
                        let ((least, most), j) = (bounds[other], -j * k);
                        if j > 0 { (low + least, high + most) } else { (low - most, high - least) }
                    });
                    let bound = bounds.get_mut(unknown).unwrap();
                    *bound = (bound.0.max(low), bound.1.min(high));
                }
            }
        }
        let met = |u: &&Unknown| bounds[*u].0 == bounds[*u].1;
        let values = self.unknowns.iter().filter(met).map(|u| (*u, bounds[u].0 as u64));
        let values: Vec<_> = values.inspect(|(u, n)| assert!(value_of(truth, u).is_none_or(|is| is == *n), "{u:?}")).collect();
        values.into_iter().filter(|(_, n)| (1..LEAST).contains(n)).collect()
    }

    /// What can be computed, with the value it comes to.
    fn solve(&self) -> Vec<(Unknown, u64)> {
        let place: HashMap<&Unknown, usize> = self.unknowns.iter().enumerate().map(|(at, u)| (u, at)).collect();
        let width = self.unknowns.len();
        let mut rows: Vec<Vec<u64>> = Vec::new();
        for equation in &self.equations {
            let mut row = vec![0; width + 1];
            for (unknown, k) in equation {
                let k = k.rem_euclid(FIELD as i64) as u64;
                match place.get(unknown) {
                    Some(at) => row[*at] = (row[*at] + k) % FIELD,
                    None => row[width] = (row[width] + (FIELD - k) * (self.known[unknown] % FIELD)) % FIELD,
                }
            }
            rows.push(row);
        }
        let mut done = 0;
        for column in 0..width {
            let Some(found) = (done..rows.len()).find(|r| rows[*r][column] != 0) else { continue };
            rows.swap(done, found);
            let by = power(rows[done][column], FIELD - 2);
            rows[done].iter_mut().for_each(|x| *x = *x * by % FIELD);
            let pivot = rows[done].clone();
            for (r, row) in rows.iter_mut().enumerate().filter(|(r, row)| *r != done && row[column] != 0) {
                let factor = FIELD - row[column];
                row.iter_mut().zip(&pivot).for_each(|(x, p)| *x = (*x + factor * p) % FIELD);
                debug_assert!(r != done);
            }
            done += 1;
        }
        let alone = |row: &&Vec<u64>| row[..width].iter().filter(|x| **x != 0).count() == 1;
        rows.iter().filter(alone).map(|row| (self.unknowns[row.iter().position(|x| *x != 0).unwrap()], row[width])).collect()
    }
}

fn power(mut base: u64, mut exponent: u64) -> u64 {
    let mut result = 1;
    while exponent > 0 {
        if exponent & 1 == 1 {
            result = result * base % FIELD;
        }
        base = base * base % FIELD;
        exponent >>= 1;
    }
    result
}

fn value_of(tables: &[Report], (t, r, c, part, rest): &Unknown) -> Option<u64> {
    let table = &tables[*t];
    let row = table.rows.get(*r).unwrap_or(&table.totals);
    let of = |name: &str| match row.values[COLUMNS.iter().position(|c| *c == name).unwrap()] {
        Value::Count(n) => n,
        _ => unreachable!("{name} is a count"),
    };
    match (row.values[*c], rest) {
        (Value::Count(n), true) => Some(if COLUMNS[*c] == "new" { of("total") } else { of("in_county") } - n),
        (Value::Ratio { numerator, denominator }, true) => {
            Some(if *part == 0 { denominator - numerator } else { of("total") - denominator })
        }
        (Value::Count(n), false) => Some(n),
        (Value::Ratio { numerator, denominator }, false) => Some(if *part == 0 { numerator } else { denominator }),
        _ => None,
    }
}

/// Whether the column of a row between two provinces can hold nobody.
fn is_nobody(row: &Row, column: usize) -> bool {
    let Some(there) = row.keys.get(3) else { return false };
    if row.keys[0] == *there { column == 1 } else { column >= 2 }
}

/// What the attacker gets out of the published tables that they should not.
pub(super) fn broken(truth: &[Report], published: &[Report]) -> Vec<(Unknown, u64)> {
    broken_by(&Attack::on(truth, published), truth)
}

pub(super) fn broken_by(attack: &Attack, truth: &[Report]) -> Vec<(Unknown, u64)> {
    let solved = attack.solve();
    for (unknown, value) in &solved {
        assert_eq!(value_of(truth, unknown), Some(*value), "the attacker reckons right");
    }
    let both = |u: &Unknown| {
        let other = (u.0, u.1, u.2, 1 - u.3, false);
        !attack.unknowns.contains(&other) || solved.iter().any(|(s, _)| *s == other)
    };
    solved.iter().copied().filter(|(u, n)| (1..LEAST).contains(n) || (!u.4 && both(u))).collect()
}
