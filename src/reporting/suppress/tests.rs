//! Random tables as reports are made of, and what an [`attacker`] gets out of what is
//! published of them.

mod attacker;

use super::super::query::Axis;
use super::super::report::{AsOf, Key, Unit};
use super::*;
use crate::domain::time::{Moment, Period};
use attacker::{Attack, broken, broken_by};

const LEAST: u64 = 5;
const COLUMNS: [&str; 12] = [
    "total",
    "out_of_province",
    "in_province",
    "in_county",
    "in_place",
    "confirmed",
    "unconfirmed",
    "awaiting_start",
    "new",
    "baseline",
    "share",
    "lifted_since_hire",
];

/// A small generator, so that every run tries the same tables.
struct Dice(u64);

impl Dice {
    fn upto(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % (n + 1)
    }

    /// Mostly small, as the tables that matter are.
    fn count(&mut self) -> u64 {
        match self.upto(9) {
            0..=2 => 0,
            3..=6 => self.upto(6),
            7..=8 => self.upto(40),
            _ => self.upto(3000),
        }
    }
}

/// out, province, county but not in place, in place, confirmed, awaiting, new, poor,
/// lifted, baseline.
type People = [u64; 10];

fn people(dice: &mut Dice) -> People {
    let parts = [0; 4].map(|_| dice.count());
    let total: u64 = parts.iter().sum();
    let poor = dice.upto(total);
    let [out, province, county, place] = parts;
    [out, province, county, place, dice.upto(total), dice.count(), dice.upto(total), poor, dice.upto(poor), dice.count()]
}

const TIERS: [&str; 3] = ["not_lifted", "at_risk", "lifted"];

/// People of each tier: whoever is in the last was lifted, and nobody else.
fn people_by_tier(dice: &mut Dice) -> [People; 3] {
    let mut parts = [0; 3].map(|_| people(dice));
    parts[..2].iter_mut().for_each(|p| p[8] = 0);
    parts[2][8] = parts[2][7];
    parts
}

fn row(keys: &[&str], p: &People, baseline: bool) -> Row {
    let total = p[0] + p[1] + p[2] + p[3];
    let counts = [total, p[0], p[1], p[2] + p[3], p[3], p[4], total - p[4], p[5], p[6]].map(Value::Count);
    let known = if baseline { Value::Count(p[9]) } else { Value::Unknown };
    let share = Value::Ratio { numerator: total, denominator: if baseline { p[9] } else { 0 } };
    let rest = [known, share, Value::Ratio { numerator: p[8], denominator: p[7] }];
    Row { keys: keys.iter().map(|k| Some((*k).to_owned().into())).collect(), values: counts.into_iter().chain(rest).collect() }
}

fn added(all: &[People]) -> People {
    let mut sum = [0; 10];
    all.iter().for_each(|p| (0..10).for_each(|n| sum[n] += p[n]));
    sum
}

fn report(keys: &[&'static str], rows: Vec<Row>, totals: Row) -> Report {
    let column = |name: &'static str| {
        let ratio = matches!(name, "share" | "lifted_since_hire");
        let unit = if ratio { Unit::Ratio } else { Unit::Person };
        Column { name, title: name, unit, ratio, additive: !ratio && name != "baseline", about: "" }
    };
    Report {
        name: "employment",
        title: "就业情况",
        period: Period::parse("2020").unwrap(),
        region: "000000".to_owned(),
        axis: Axis::Home,
        generated_at: Moment::from_ms(0),
        as_of: AsOf { seq: 0, time: None, root: None },
        sealed: true,
        keys: keys.iter().map(|name| Key { name, title: name }).collect(),
        columns: COLUMNS.map(column).to_vec(),
        rows,
        totals,
        more: crate::reporting::More::default(),
    }
}

/// A table by region and, as the public form has it, one split by tier beside it.
fn tables(dice: &mut Dice, split: bool) -> Vec<Report> {
    let codes = ["520000", "530000", "620000", "650000", "110000"];
    let regions = &codes[..1 + dice.upto(4) as usize];
    let mut parts: Vec<[People; 3]> = regions.iter().map(|_| people_by_tier(dice)).collect();
    if dice.upto(4) == 0 {
        // A gateway's first period: everybody is new.
        parts.iter_mut().flatten().for_each(|p| p[6] = p[..4].iter().sum());
    }
    let baseline = dice.upto(1) == 0;
    let wholes: Vec<People> = parts.iter().map(|p| added(p)).collect();
    let all = added(&wholes);
    let rows = regions.iter().zip(&wholes).map(|(code, p)| row(&[code, code], p, baseline)).collect();
    let mut made = vec![report(&["region", "name"], rows, row(&["000000", "all"], &all, baseline))];
    if split {
        let mut rows = Vec::new();
        for (code, parts) in regions.iter().zip(&parts) {
            rows.extend(TIERS.iter().zip(parts).map(|(tier, p)| row(&[code, code, tier], p, false)));
        }
        made.push(report(&["region", "name", "tier"], rows, row(&["000000", "all", ""], &all, false)));
    }
    made
}

/// The table of provinces and who of them works in which.
fn flow_tables(dice: &mut Dice) -> Vec<Report> {
    let codes = ["520000", "530000", "620000", "330000"];
    let codes = &codes[..2 + dice.upto(2) as usize];
    let five = |keys: &[&str], [total, out, province, county, place]: [u64; 5]| Row {
        keys: keys.iter().map(|k| Some((*k).to_owned().into())).collect(),
        values: [total, out, province, county, place].map(Value::Count).to_vec(),
    };
    let (mut rows, mut wholes, mut all) = (Vec::new(), Vec::new(), [0; 5]);
    for home in codes {
        let mut whole = [0; 5];
        for work in codes {
            let (out, province, county) = (dice.count(), dice.count(), dice.count());
            let place = dice.upto(county);
            let figures = if home == work { [province + county, 0, province, county, place] } else { [out, out, 0, 0, 0] };
            if figures[0] > 0 {
                rows.push(five(&[home, home, "west", work, work, "west"], figures));
                (0..5).for_each(|c| whole[c] += figures[c]);
            }
        }
        (0..5).for_each(|c| all[c] += whole[c]);
        wholes.push(five(&[home, home], whole));
    }
    let cut = |mut report: Report| {
        report.columns.truncate(5);
        report
    };
    let total = five(&["000000", "all"], all);
    let keys = ["region", "name", "zone", "work_region", "work_name", "work_zone"];
    vec![cut(report(&["region", "name"], wholes, total.clone())), cut(report(&keys, rows, total))]
}

fn primary_alone(tables: &[Report]) -> Vec<Report> {
    let small = |n: u64| (1..LEAST).contains(&n);
    let mut made = tables.to_vec();
    for row in made.iter_mut().flat_map(|t| t.rows.iter_mut().chain([&mut t.totals])) {
        for value in &mut row.values {
            if matches!(*value, Value::Count(n) if small(n))
                || matches!(*value, Value::Ratio { numerator, denominator } if small(numerator) || small(denominator))
            {
                *value = Value::Suppressed { below: LEAST };
            }
        }
    }
    made
}

fn open(tables: &[Report]) -> usize {
    let rows = tables.iter().flat_map(|t| t.rows.iter().chain([&t.totals]));
    rows.flat_map(|r| &r.values).filter(|v| !matches!(v, Value::Suppressed { .. })).count()
}

#[test]
fn nobody_can_compute_what_is_hidden() {
    let mut dice = Dice(2020);
    let (mut hidden, mut kept) = (0, 0);
    for n in 0..1_200 {
        let truth = tables(&mut dice, n % 3 == 0);
        let mut published = truth.clone();
        suppress(&mut published, LEAST);
        assert_eq!(broken(&truth, &published), [], "table {n}");
        if n % 6 < 2 {
            assert_eq!(Attack::on(&truth, &published).corner(&truth), [], "table {n}");
        }
        for (a, b) in truth.iter().zip(&published) {
            for (a, b) in a.rows.iter().chain([&a.totals]).zip(b.rows.iter().chain([&b.totals])) {
                for (a, b) in a.values.iter().zip(&b.values) {
                    assert!(a == b || *b == Value::Suppressed { below: LEAST }, "a figure is itself or hidden");
                    assert!(!matches!(b, Value::Count(1..LEAST)));
                    hidden += usize::from(a != b);
                }
            }
        }
        kept += open(&published);
    }
    println!("{hidden} hidden, {kept} kept");
    assert!(hidden > 10_000 && kept > 10_000, "{hidden} hidden, {kept} kept");
}

/// A month and a quarter that end on one day differ in who is new alone.
#[test]
fn what_stands_on_a_day_is_hidden_alike_in_all_periods_that_end_on_it() {
    let mut dice = Dice(1001);
    let new = COLUMNS.iter().position(|c| *c == "new").unwrap();
    let mut differed = 0;
    for n in 0..200 {
        let month = tables(&mut dice, n % 3 == 0);
        let mut quarter = month.clone();
        // In the quarter everybody is.
        for row in quarter.iter_mut().flat_map(|t| t.rows.iter_mut().chain([&mut t.totals])) {
            row.values[new] = row.values[0];
        }
        let mut published = [month, quarter];
        published.iter_mut().for_each(|tables| suppress(tables, LEAST));
        let hidden = |tables: &[Report], of_period: bool| {
            let rows = tables.iter().flat_map(|t| t.rows.iter().chain([&t.totals]));
            let values = rows.flat_map(|row| row.values.iter().enumerate().filter(|(at, _)| (*at == new) == of_period));
            values.map(|(_, value)| matches!(value, Value::Suppressed { .. })).collect::<Vec<_>>()
        };
        let [month, quarter] = &published;
        assert_eq!(hidden(month, false), hidden(quarter, false), "table {n}");
        differed += usize::from(hidden(month, true) != hidden(quarter, true));
    }
    assert!(differed > 20, "{differed}");
}

#[test]
fn nobody_can_compute_what_flows_hide() {
    let (mut dice, mut hidden, mut kept, mut told) = (Dice(1949), 0, 0, 0);
    for n in 0..1_200 {
        let truth = flow_tables(&mut dice);
        let mut published = truth.clone();
        suppress(&mut published, LEAST);
        assert_eq!(broken_by(&Attack::on_flows(&truth, &published), &truth), [], "table {n}");
        let row = |t: &Report| t.rows.iter().map(|r| r.values.len()).sum::<usize>() + t.totals.values.len();
        let (all, shown) = (truth.iter().map(row).sum::<usize>(), open(&published));
        (hidden, kept) = (hidden + all - shown, kept + shown);
        let careless = primary_alone(&truth);
        told += usize::from(!broken_by(&Attack::on_flows(&truth, &careless), &truth).is_empty());
    }
    println!("{hidden} hidden, {kept} kept; primary suppression alone tells in {told}");
    assert!(hidden > 5_000 && kept > 5_000 && told > 800, "{hidden} {kept} {told}");
}

#[test]
fn hiding_the_small_counts_alone_would_tell_many_of_them() {
    let mut dice = Dice(2020);
    let told = (0..300).filter(|n| {
        let truth = tables(&mut dice, n % 3 == 0);
        !broken(&truth, &primary_alone(&truth)).is_empty()
    });
    let told = told.count();
    assert!(told > 200, "the attacker gets into {told} of 300 tables");
}

/// As many rows as the public tables of the nation have.
#[test]
fn the_nations_tables_are_done_in_a_moment() {
    let mut dice = Dice(7);
    let codes: Vec<String> = (0..34).map(|n| format!("{:02}0000", n + 11)).collect();
    let parts: Vec<[People; 3]> = codes.iter().map(|_| people_by_tier(&mut dice)).collect();
    let wholes: Vec<People> = parts.iter().map(|p| added(p)).collect();
    let all = added(&wholes);
    let rows = codes.iter().zip(&wholes).map(|(code, p)| row(&[code, code], p, false)).collect();
    let whole = report(&["region", "name"], rows, row(&["000000", "all"], &all, false));
    let split = codes
        .iter()
        .zip(&parts)
        .flat_map(|(code, parts)| TIERS.into_iter().zip(parts).map(move |(tier, p)| row(&[code, code, tier], p, false)));
    let split = report(&["region", "name", "tier"], split.collect(), row(&["000000", "all", ""], &all, false));
    let truth = vec![whole, split];
    let mut published = truth.clone();
    let began = std::time::Instant::now();
    suppress(&mut published, LEAST);
    let took = began.elapsed();
    println!("{took:?}, {} of {} figures open", open(&published), open(&truth));
    assert!(took.as_secs() < 60, "{took:?} without optimisation");
}

#[test]
fn what_has_no_small_count_is_published_whole() {
    let big: People = [100, 200, 300, 400, 500, 50, 300, 600, 200, 900];
    let mut published = vec![report(&["region", "name"], vec![row(&["a", "a"], &big, true)], row(&["t", "t"], &big, true))];
    let truth = published.clone();
    suppress(&mut published, LEAST);
    assert_eq!((&published[0].rows, &published[0].totals), (&truth[0].rows, &truth[0].totals));
}

#[test]
fn one_small_cell_takes_a_least_partner_in_its_row_and_in_its_column() {
    let mut sums = Sums::default();
    let cells = [[3, 50, 60], [20, 30, 10], [23, 80, 70]];
    let at: Vec<Vec<usize>> = cells.iter().map(|row| row.iter().map(|n| sums.figure(&[*n]).1[0]).collect()).collect();
    (0..3).for_each(|c| sums.sum(at[2][c], &[at[0][c], at[1][c]]));
    let whole: Vec<usize> = cells.iter().map(|row| sums.figure(&[row.iter().sum()]).1[0]).collect();
    (0..3).for_each(|r| sums.sum(whole[r], &at[r]));
    let hidden = sums.hide(LEAST);
    let of_row = |r: usize| at[r].iter().chain([&whole[r]]).filter(|c| hidden.contains(c)).count();
    let of_column = |c: usize| (0..3).filter(|r| hidden.contains(&at[*r][c])).count();
    assert!(hidden.contains(&at[0][0]));
    assert!((0..3).all(|r| of_row(r) != 1) && (0..3).all(|c| of_column(c) != 1), "{hidden:?}");
    assert!(hidden.len() <= 6, "{hidden:?}");
}

#[test]
fn parts_that_can_only_be_one_each_take_a_third() {
    let mut sums = Sums::default();
    let parts: Vec<usize> = [1, 1, 30, 40].iter().map(|n| sums.figure(&[*n]).1[0]).collect();
    let whole = sums.figure(&[72]).1[0];
    sums.sum(whole, &parts);
    assert_eq!(sums.hide(LEAST), BTreeSet::from([0, 1, 2]));
    assert!(Sums::default().hide(LEAST).is_empty());
}

/// The listed county has all people of its province: what the province's columns tell is
/// the county's.
#[test]
fn a_county_that_has_all_of_its_province_tells_no_more_than_the_province() {
    let provinces = [
        ("510000", [8, 0, 17, 0, 20, 0, 9, 9, 6, 0]),
        ("450000", [3, 0, 5, 0, 6, 0, 8, 8, 0, 0]),
        ("520000", [30, 0, 20, 0, 35, 0, 15, 40, 10, 0]),
        ("330000", [6, 0, 40, 0, 40, 0, 20, 9, 9, 0]),
    ];
    let counties = [("513428", provinces[0].1), ("450225", provinces[1].1), ("522633", [11, 0, 9, 0, 13, 0, 7, 20, 5, 0])];
    let table = |region: &str, rows: &[(&str, People)]| {
        let all = added(&rows.iter().map(|(_, p)| *p).collect::<Vec<_>>());
        let mut made =
            report(&["region", "name"], rows.iter().map(|(c, p)| row(&[c, c], p, false)).collect(), row(&[region, "all"], &all, false));
        made.region = region.to_owned();
        made
    };
    let truth = [table("000000", &provinces), table("set:listed-52", &counties)];
    let mut published = truth.to_vec();
    suppress(&mut published, LEAST);
    // Of those two provinces a row of the county is the province's: shown in one, told of the other.
    for (small, column) in [(1, "out_of_province"), (1, "unconfirmed")] {
        let at = COLUMNS.iter().position(|c| *c == column).unwrap();
        let shown = published.iter().map(|t| t.rows[small].values[at]).collect::<Vec<_>>();
        assert!(shown.iter().all(|value| matches!(value, Value::Suppressed { .. })), "{column}: {shown:?}");
        // The county's total less what is told of the others leaves it open.
        let open = |t: usize, r: usize| matches!(published[t].rows.get(r).unwrap_or(&published[t].totals).values[at], Value::Count(_));
        let told = |r: usize| open(0, r) || open(1, r);
        assert!(!(open(1, 3) && told(0) && open(1, 2)), "{column} of the other counties tells it");
    }
}

/// A posting's funnel: offers by state, of which the unanswered are not told, and by
/// wave.
#[test]
fn a_rest_that_is_not_told_is_a_partner_and_a_lone_wave_takes_another() {
    let mut sums = Sums::default();
    let ever = sums.figure(&[20]).1[0];
    let states: Vec<usize> = [3, 10].iter().map(|n| sums.figure(&[*n]).1[0]).collect();
    sums.parts(ever, &states);
    assert_eq!(sums.hide(LEAST), BTreeSet::from([1]), "seven unanswered keep the three");
    let waves: Vec<usize> = [12, 2, 6].iter().map(|n| sums.figure(&[*n]).1[0]).collect();
    sums.sum(ever, &waves);
    assert_eq!(sums.hide(LEAST), BTreeSet::from([1, 4, 5]), "the wave of two takes the wave of six with it");
}

/// Who was poor at their hire is lifted in the tier of the lifted alone, and is one of all.
#[test]
fn what_tiers_mean_tells_no_small_tier() {
    let of = |out: u64, poor: u64, lifted: u64| [out, 0, 0, 0, out, 0, 0, poor, lifted, 0];
    let provinces = [
        ("530000", [of(9, 9, 0), of(2, 2, 0), of(9, 6, 6)]),
        ("520000", [of(50, 50, 0), of(40, 40, 0), of(60, 30, 30)]),
        ("620000", [of(20, 20, 0), of(30, 30, 0), of(25, 15, 15)]),
    ];
    let wholes: Vec<People> = provinces.iter().map(|(_, parts)| added(parts)).collect();
    let all = added(&wholes);
    let rows = provinces.iter().zip(&wholes).map(|((code, _), p)| row(&[code, code], p, false)).collect();
    let whole = report(&["region", "name"], rows, row(&["000000", "all"], &all, false));
    let rows = provinces.iter().flat_map(|(code, parts)| TIERS.iter().zip(parts).map(move |(tier, p)| row(&[code, code, tier], p, false)));
    let truth = vec![whole, report(&["region", "name", "tier"], rows.collect(), row(&["000000", "all", ""], &all, false))];
    let mut published = truth.clone();
    suppress(&mut published, LEAST);
    let attack = Attack::on(&truth, &published);
    assert_eq!((broken(&truth, &published), attack.corner(&truth)), (vec![], vec![]));
}
