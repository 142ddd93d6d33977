use super::*;
use crate::harness::{a_posting, in_region, on_every_engine};
use doorstep::domain::ranking::mix;
use doorstep::domain::worker::Wishes;
use doorstep::reporting::{Params, Query, Report, Value, routing};
use jiff::civil::Date;
use serde_json::json;
use std::collections::BTreeMap;

on_every_engine![the_report_of_offers_counts_random_histories_person_by_person];

/// Terms under which nobody is refused for having enough.
const ANY: WaveTerms = WaveTerms { cap: 1000, overbook: 1000.0, ..TERMS };
const HOMES: [&str; 8] = ["522624", "522601", "522622", "520102", "330212", "330203", "441900", "419001"];
const DAY: u64 = 86_400_000;

/// Numbers from one seed.
struct Draw(u64);

impl Draw {
    fn below(&mut self, n: u64) -> u64 {
        self.0 = mix(self.0);
        self.0 % n
    }

    /// A moment of the last so many days.
    fn before(&mut self, days: u64) -> Moment {
        noon().minus(Duration::from_millis(self.below(days * DAY)))
    }
}

/// What became of one person.
struct Life {
    id: WorkerId,
    home: Region,
    since: Date,
    looks: bool,
    erased: bool,
    offers: Vec<Moment>,
}

/// People who come, are offered postings, pause, stop looking, move and leave.
async fn histories(b: &Bench, draw: &mut Draw, people: usize) -> Vec<Life> {
    let home = |draw: &mut Draw| HOMES[draw.below(8) as usize];
    let (mut lives, mut drafts) = (Vec::new(), Vec::new());
    for _ in 0..people {
        let (home, since) = (home(draw), draw.before(260).day());
        let draft = in_region(home).with("seeking_since", json!(since));
        let Registered::Created(id) = b.register(std::slice::from_ref(&draft), noon()).await[0] else { panic!("not created") };
        lives.push(Life { id, home: Region::parse(home).unwrap(), since, looks: true, erased: false, offers: Vec::new() });
        drafts.push(draft);
    }
    for _ in 0..people {
        let posting = b.post(a_posting().openings(50)).await;
        let (at, person) = (draw.before(200), draw.below(people as u64) as usize);
        // Half of the people are never among those asked.
        let asked: Vec<usize> = (0..draw.below(4) as usize).map(|n| (person + n * 7) % people).filter(|n| n % 2 == 0).collect();
        let ids: Vec<WorkerId> = asked.iter().map(|n| lives[*n].id).collect();
        let issued = b.store.issue_offers(vec![b.wave(posting, &ids).await], ANY, at).await.unwrap().remove(0);
        assert!(issued.refused.is_empty(), "{issued:?}");
        asked.iter().for_each(|n| lives[*n].offers.push(at));
    }
    for (life, draft) in lives.iter_mut().zip(drafts) {
        match draw.below(10) {
            kind @ (0 | 1) => {
                let wishes = if kind == 0 {
                    Wishes { paused: Some(true), ..Wishes::default() }
                } else {
                    Wishes { looking: Some(false), ..Wishes::default() }
                };
                assert!(b.store.set_wishes(life.id, wishes, noon()).await.unwrap());
                life.looks = false;
            }
            2 => {
                let to = home(draw);
                b.register(&[draft.with("home_region", json!(to))], noon()).await;
                life.home = Region::parse(to).unwrap();
            }
            3 => {
                assert!(b.store.erase_worker(life.id, PROMOTED, noon()).await.unwrap());
                life.erased = true;
            }
            _ => {}
        }
    }
    lives
}

/// The figures of some people by looking at each.
fn figures(people: &[&Life], query: &Query, day: Date) -> Vec<f64> {
    let (from, until) = (Moment::start_of(query.period.first_day()), Moment::start_of(day.tomorrow().unwrap()));
    let made = |life: &Life| life.offers.iter().filter(|at| (from..until).contains(at)).count() as f64;
    let last = |life: &Life| life.offers.iter().filter(|at| **at < until).max().map(|at| at.day());
    let seekers: Vec<&Life> = people.iter().copied().filter(|l| l.looks && l.since <= day).collect();
    let mut waits: Vec<i32> = seekers.iter().map(|l| (day - last(l).map_or(l.since, |at| at.max(l.since))).get_days()).collect();
    waits.sort_unstable();
    let n = seekers.len() as f64;
    let offers: f64 = people.iter().map(|l| made(l)).sum();
    let ratio = |x: f64| if n > 0.0 { x / n } else { f64::NAN };
    let mut counties: BTreeMap<Region, (f64, f64)> = BTreeMap::new();
    for life in people {
        counties.entry(life.home).or_default().0 += made(life);
    }
    for life in &seekers {
        counties.entry(life.home).or_default().1 += 1.0;
    }
    counties.retain(|_, (_, seekers)| *seekers > 0.0);
    let all: f64 = counties.values().map(|c| c.0).sum();
    let pairs = counties.values().flat_map(|a| counties.values().map(move |b| a.1 * b.1 * (a.0 / a.1 - b.0 / b.1).abs()));
    let sum: f64 = counties.values().map(|c| c.1).sum();
    let gini = if counties.len() > 1 && all > 0.0 { pairs.sum::<f64>() / (2.0 * sum * all) } else { f64::NAN };
    vec![
        n,
        offers,
        people.iter().filter(|l| made(l) > 0.0).count() as f64,
        ratio(offers * 1000.0),
        seekers.iter().filter(|l| last(l).is_none_or(|at| at < l.since)).count() as f64,
        ratio(waits.iter().sum::<i32>() as f64),
        waits.get(waits.len().saturating_sub(1) / 2).map_or(f64::NAN, |d| f64::from(*d)),
        waits.last().map_or(f64::NAN, |d| f64::from(*d)),
        waits.iter().filter(|d| **d >= 30).count() as f64,
        waits.iter().filter(|d| **d >= 90).count() as f64,
        gini,
    ]
}

fn check(report: &Report, values: &[Value], expected: &[f64], place: &str) {
    for ((column, value), expected) in report.columns.iter().zip(values).zip(expected) {
        let found = match *value {
            Value::Count(n) => n as f64,
            Value::Number(x) => x,
            Value::Unknown | Value::Suppressed { .. } => f64::NAN,
            Value::Ratio { numerator, denominator } => column.quotient(numerator, denominator).unwrap_or(f64::NAN),
        };
        let same = (found - expected).abs() < 1e-9 || (found.is_nan() && expected.is_nan());
        assert!(same, "{place} {}: {found}, by persons {expected}", column.name);
    }
}

async fn the_report_of_offers_counts_random_histories_person_by_person(engine: Engine) {
    let b = bench(engine).await;
    let (mut draw, mut inequalities) = (Draw(5), 0);
    let lives = histories(&b, &mut draw, 90).await;
    let present: Vec<&Life> = lives.iter().filter(|l| !l.erased).collect();
    for period in ["2020-06", "2020-05", "2020-01", "2020Q2", "2019", "2020"] {
        for (region, level) in [
            ("000000", "county"),
            ("000000", "prefecture"),
            ("000000", "province"),
            ("000000", "nation"),
            ("520000", "prefecture"),
            ("522600", "county"),
            ("522624", "county"),
            ("330000", "province"),
            ("set:listed-52", "province"),
        ] {
            let params = Params { period: Some(period), region: Some(region), level: Some(level), ..Params::default() };
            let query = Query::parse(params, Region::NATION).unwrap();
            let day = query.day(noon().day()).unwrap();
            let from = Moment::start_of(query.period.first_day());
            let seeking = b.store.seeking(query.scope.homes(), from, day).await.unwrap();
            let report = routing(&seeking, &query, noon());
            let place = format!("{period} {region} {level}");
            let within: Vec<&Life> = present.iter().copied().filter(|l| query.scope.holds(l.home)).collect();
            check(&report, &report.totals.values, &figures(&within, &query, day), &place);
            let mut rows: BTreeMap<Region, Vec<&Life>> = BTreeMap::new();
            for life in within {
                rows.entry(life.home.at_level(query.level).unwrap()).or_default().push(life);
            }
            let expected: Vec<(Region, Vec<f64>)> = rows.into_iter().map(|(r, people)| (r, figures(&people, &query, day))).collect();
            let expected: Vec<_> = expected.into_iter().filter(|(_, f)| f[0] + f[1] > 0.0).collect();
            let codes = |row: &doorstep::reporting::Row| row.keys[0].clone().unwrap();
            assert_eq!(report.rows.iter().map(codes).collect::<Vec<_>>(), expected.iter().map(|(r, _)| r.to_string()).collect::<Vec<_>>());
            for (row, (region, figures)) in report.rows.iter().zip(&expected) {
                check(&report, &row.values, figures, &format!("{place}: {region}"));
                inequalities += usize::from(figures[10].is_finite() && figures[10] > 0.0);
            }
            for (at, column) in report.columns.iter().enumerate().filter(|(_, c)| c.additive) {
                let count = |v: Value| if let Value::Count(n) = v { n } else { panic!("{} is no count", column.name) };
                let sum: u64 = report.rows.iter().map(|row| count(row.values[at])).sum();
                assert_eq!(sum, count(report.totals.values[at]), "{place} {}", column.name);
            }
        }
    }
    assert!(inequalities > 20, "{inequalities} rows had something to tell apart");
    let everybody =
        b.store.seeking(Region::NATION.leaves().to_vec(), Moment::start_of(noon().day().first_of_year()), noon().day()).await.unwrap();
    let never: u64 = everybody.counties.iter().map(|c| c.never).sum();
    assert!(never > 10 && everybody.counties.len() >= 6, "the histories hold what the report is for: {never} never offered");
}
