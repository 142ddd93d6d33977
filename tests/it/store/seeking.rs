use super::log::with_connection;
use super::*;
use crate::harness::{a_posting, in_region, on_every_engine};
use doorstep::domain::ranking::mix;
use doorstep::domain::worker::Wishes;
use doorstep::reporting::{Params, Query, Report, Value, routing};
use jiff::civil::Date;
use serde_json::json;
use std::collections::BTreeMap;

on_every_engine![
    the_report_of_offers_counts_random_histories_person_by_person,
    offers_told_late_count_in_their_month,
    two_nodes_fold_nothing_twice,
    people_of_an_older_store_are_walked_whole,
    what_was_changed_beside_the_log_is_told,
];

/// Terms under which nobody is refused for having enough.
const ANY: WaveTerms = WaveTerms { cap: 1000, overbook: 1000.0, ..TERMS };
const HOMES: [&str; 8] = ["522624", "522601", "522622", "520102", "330212", "330203", "441900", "419001"];

/// Numbers from one seed.
struct Draw(u64);

impl Draw {
    fn below(&mut self, n: u64) -> u64 {
        self.0 = mix(self.0);
        self.0 % n
    }

    fn home(&mut self) -> &'static str {
        HOMES[self.below(8) as usize]
    }
}

/// What is known of one person without asking what is counted.
#[derive(Clone)]
struct Life {
    id: WorkerId,
    handle: u32,
    draft: Person,
    home: Region,
    since: Date,
    looks: bool,
    erased: bool,
    offers: Vec<Moment>,
    /// The last offer, and whether it has become a hire.
    work: Option<(OfferId, bool)>,
}

/// Everybody, and each offer with the home it went to.
#[derive(Clone, Default)]
struct World {
    lives: Vec<Life>,
    made: Vec<(Moment, Region)>,
}

impl World {
    async fn comes(&mut self, b: &Bench, draw: &mut Draw, now: Moment) {
        let since = now.minus(HOUR * 24 * draw.below(260) as u32).day();
        let draft = in_region(draw.home()).with("seeking_since", json!(since));
        let Registered::Created(id) = b.register(std::slice::from_ref(&draft), now).await[0] else { panic!("not created") };
        let handle = b.handle(id).await;
        let home = Region::parse(draft.text("home_region")).unwrap();
        self.lives.push(Life { id, handle, draft, home, since, looks: true, erased: false, offers: Vec::new(), work: None });
    }

    async fn offered(&mut self, b: &Bench, draw: &mut Draw, now: Moment) {
        let posting = b.upsert(&[a_posting().openings(50).source_id(&format!("p{}", draw.0))], now).await;
        assert_eq!(posting.created, 1);
        let posting = b.find(&format!("p{}", draw.0)).await.id;
        let first = draw.below(self.lives.len() as u64) as usize;
        // Half of the people are never among those asked.
        let asked: Vec<usize> =
            (0..1 + draw.below(4) as usize).map(|n| (first + n * 7) % self.lives.len()).filter(|n| n % 2 == 0).collect();
        let present: Vec<WorkerId> = asked.iter().map(|n| &self.lives[*n]).filter(|l| !l.erased).map(|l| l.id).collect();
        let issued = b.store.issue_offers(vec![b.wave(posting, &present).await], ANY, now).await.unwrap().remove(0);
        for (offer, handle) in issued.offered {
            let life = self.lives.iter_mut().find(|l| l.handle == handle).unwrap();
            life.offers.push(now);
            self.made.push((now, life.home));
            if life.work.is_none_or(|(_, hired)| !hired) {
                life.work = Some((offer, false));
            }
        }
    }

    /// Something else happens to somebody; who looks then is read from their file.
    async fn happens(&mut self, b: &Bench, draw: &mut Draw, now: Moment) {
        let at = draw.below(self.lives.len() as u64) as usize;
        let life = &mut self.lives[at];
        if life.erased {
            return;
        }
        match draw.below(9) {
            0 | 1 => {
                let wishes = Wishes { paused: Some(draw.below(2) == 0), ..Wishes::default() };
                assert!(b.store.set_wishes(life.id, wishes, now).await.unwrap());
            }
            2 => {
                let wishes = Wishes { looking: Some(draw.below(2) == 0), ..Wishes::default() };
                assert!(b.store.set_wishes(life.id, wishes, now).await.unwrap());
            }
            3 | 4 => {
                let to = draw.home();
                life.draft = life.draft.clone().with("home_region", json!(to));
                b.register(std::slice::from_ref(&life.draft), now).await;
                life.home = Region::parse(to).unwrap();
            }
            5 => {
                life.since = now.day();
                life.draft = life.draft.clone().with("seeking_since", json!(life.since));
                b.register(std::slice::from_ref(&life.draft), now).await;
            }
            6 if draw.below(2) == 0 => {
                assert!(b.store.erase_worker(life.id, PROMOTED, now).await.unwrap());
                life.erased = true;
                return;
            }
            _ => {
                let Some((offer, hired)) = life.work else { return };
                let what = if hired { HireStatus::Ended } else { HireStatus::Onboarded };
                b.report_at(offer, status(what, &now.to_string()), now).await;
                life.work = if hired { None } else { Some((offer, true)) };
            }
        }
        let seeker = b.store.seeker(life.id).await.unwrap().unwrap();
        (life.looks, life.home) = (seeker.looking && !seeker.paused && seeker.consent, seeker.home);
    }

    fn within(&self, holds: impl Fn(Region) -> bool) -> World {
        World {
            lives: self.lives.iter().filter(|l| holds(l.home) && !l.erased).cloned().collect(),
            made: self.made.iter().filter(|(_, home)| holds(*home)).copied().collect(),
        }
    }

    /// The figures of a report by looking at each person and each offer.
    fn figures(&self, query: &Query, day: Date) -> Vec<f64> {
        let (from, until) = (Moment::start_of(query.period.first_day()), Moment::start_of(day.tomorrow().unwrap()));
        let last = |life: &Life| life.offers.iter().max().map(|at| at.day());
        let seekers: Vec<&Life> = self.lives.iter().filter(|l| l.looks && l.since <= day).collect();
        let mut waits: Vec<i32> = seekers.iter().map(|l| (day - last(l).map_or(l.since, |at| at.max(l.since))).get_days()).collect();
        waits.sort_unstable();
        let n = seekers.len() as f64;
        let ratio = |x: f64| if n > 0.0 { x / n } else { f64::NAN };
        let mut counties: BTreeMap<Region, (f64, f64)> = BTreeMap::new();
        let made: Vec<Region> = self.made.iter().filter(|(at, _)| (from..until).contains(at)).map(|(_, home)| *home).collect();
        made.iter().for_each(|home| counties.entry(*home).or_default().0 += 1.0);
        seekers.iter().for_each(|life| counties.entry(life.home).or_default().1 += 1.0);
        counties.retain(|_, (_, seekers)| *seekers > 0.0);
        let all: f64 = counties.values().map(|c| c.0).sum();
        let pairs = counties.values().flat_map(|a| counties.values().map(move |b| a.1 * b.1 * (a.0 / a.1 - b.0 / b.1).abs()));
        let gini = if counties.len() > 1 && all > 0.0 { pairs.sum::<f64>() / (2.0 * n * all) } else { f64::NAN };
        vec![
            n,
            made.len() as f64,
            self.lives.iter().filter(|l| l.offers.iter().max().is_some_and(|at| *at >= from)).count() as f64,
            ratio(made.len() as f64 * 1000.0),
            seekers.iter().filter(|l| last(l).is_none_or(|at| at < l.since)).count() as f64,
            ratio(waits.iter().sum::<i32>() as f64),
            waits.get(waits.len().saturating_sub(1) / 2).map_or(f64::NAN, |d| f64::from(*d)),
            waits.last().map_or(f64::NAN, |d| f64::from(*d)),
            waits.iter().filter(|d| **d >= 30).count() as f64,
            waits.iter().filter(|d| **d >= 90).count() as f64,
            gini,
        ]
    }
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

/// Asks for a period in many forms and compares each figure; how many rows told
/// counties apart.
async fn check_all(b: &Bench, world: &World, period: &str, now: Moment) -> usize {
    let mut inequalities = 0;
    for (region, level) in [
        ("000000", "county"),
        ("000000", "prefecture"),
        ("000000", "province"),
        ("520000", "prefecture"),
        ("522600", "county"),
        ("522624", "county"),
        ("set:listed-52", "province"),
    ] {
        let params = Params { period: Some(period), region: Some(region), level: Some(level), ..Params::default() };
        let query = Query::parse(params, Region::NATION).unwrap();
        let day = query.day(now.day()).unwrap();
        let from = Moment::start_of(query.period.first_day());
        let seeking = b.store.seeking(query.scope.homes(), from, day).await.unwrap();
        let report = routing(&seeking, &query, now);
        let place = format!("on {now}: {period} {region} {level}");
        let world = world.within(|home| query.scope.holds(home));
        check(&report, &report.totals.values, &world.figures(&query, day), &place);
        let homes = world.lives.iter().map(|l| l.home).chain(world.made.iter().map(|(_, home)| *home));
        let mut rows: Vec<Region> = homes.map(|home| home.at_level(query.level).unwrap()).collect();
        rows.sort_unstable();
        rows.dedup();
        let figures = |row: &Region| world.within(|home| home.at_level(query.level) == Some(*row)).figures(&query, day);
        let expected: Vec<_> = rows.into_iter().map(|row| (row, figures(&row))).filter(|(_, f)| f[0] + f[1] + f[2] > 0.0).collect();
        let codes = |row: &doorstep::reporting::Row| row.keys[0].clone().unwrap();
        let names: Vec<String> = expected.iter().map(|(r, _)| r.to_string()).collect();
        assert_eq!(report.rows.iter().map(codes).collect::<Vec<_>>(), names, "{place}");
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
    inequalities
}

async fn same_by_recount(b: &Bench) {
    assert_eq!(b.store.recount().await.unwrap().differences, Vec::<String>::new());
}

async fn the_report_of_offers_counts_random_histories_person_by_person(engine: Engine) {
    let b = bench(engine).await;
    let (mut draw, mut world, mut now, mut inequalities, mut folds) = (Draw(5), World::default(), noon(), 0, 0);
    let mut past: Vec<(String, World)> = Vec::new();
    for _ in 0..30 {
        world.comes(&b, &mut draw, now).await;
    }
    while now.day() < Date::constant(2020, 10, 3) {
        match draw.below(8) {
            0 | 1 => world.comes(&b, &mut draw, now).await,
            2..=4 => world.offered(&b, &mut draw, now).await,
            _ => world.happens(&b, &mut draw, now).await,
        }
        if draw.below(9) == 0 {
            folds += usize::from(b.store.fold_seekers().await.unwrap() > 0);
        }
        let next = now.plus(HOUR * draw.below(16) as u32);
        let month = |at: Moment| at.day().first_of_month();
        if month(next) != month(now) {
            // As it is now is how this month ends, whatever comes; folded or not.
            let period = now.day().strftime("%Y-%m").to_string();
            inequalities += check_all(&b, &world, &period, now).await;
            same_by_recount(&b).await;
            folds += usize::from(b.store.fold_seekers().await.unwrap() > 0);
            past.push((period.clone(), world.clone()));
            inequalities += check_all(&b, &world, &period, next).await;
            same_by_recount(&b).await;
        }
        now = next;
    }
    check_all(&b, &world, "2020-10", now).await;
    check_all(&b, &world, "2020Q4", now).await;
    check_all(&b, &world, "2020", now).await;
    for (period, world) in past.iter().chain([&("2020Q3".to_owned(), past.last().unwrap().1.clone())]) {
        check_all(&b, world, period, now).await;
    }
    check_all(&b, &World::default(), "2020-05", now).await;
    assert_eq!((past.len(), inequalities > 20, folds > 8), (4, true, true), "{inequalities} rows to tell apart, {folds} folds");
    let erased = world.lives.iter().filter(|l| l.erased && !l.offers.is_empty()).count();
    let never = world.lives.iter().filter(|l| l.looks && l.offers.is_empty()).count();
    assert!(never > 10 && erased > 0, "the histories hold what the report is for: {never} never offered, {erased} erased after offers");
}

async fn offers_told_late_count_in_their_month(engine: Engine) {
    let b = bench(engine).await;
    let people = b.people(3).await;
    let july = Moment::parse("2020-07-02T09:00:00+08:00").unwrap();
    let (first, second, third) = (b.post(a_posting()).await, b.post(a_posting()).await, b.post(a_posting()).await);
    b.issue(first, &people[..2], noon()).await;
    b.issue(second, &people[1..], july).await;
    let homes = || vec![Region::parse("522624").unwrap()];
    let of = async |day: Moment| {
        let from = Moment::start_of(day.day().first_of_month());
        let found = b.store.seeking(homes(), from, day.day().last_of_month()).await.unwrap().counties.remove(0);
        (found.offers, found.offered, found.never, found.waits)
    };
    let expected_june = (2, 2, 1, vec![(15, 2), (29, 1)]);
    let expected_july = (2, 2, 0, vec![(29, 2), (46, 1)]);
    assert_eq!((of(noon()).await, of(july).await), (expected_june.clone(), expected_july.clone()), "before the fold");
    assert_eq!(b.store.fold_seekers().await.unwrap(), 5, "three came, two were offered something in the month after");
    assert_eq!((of(noon()).await, of(july).await), (expected_june.clone(), expected_july), "after it");
    // A clock that is behind dates this before what was folded.
    b.issue(third, &people[..1], noon().plus(HOUR * 24 * 5)).await;
    for _ in 0..2 {
        assert_eq!(of(noon()).await.3, expected_june.3, "a month that is over stays as it stood");
        assert_eq!(of(july).await.3, [(29, 2), (41, 1)], "and the offer of June is that person's last all the same");
        b.store.fold_seekers().await.unwrap();
    }
    assert_eq!(b.store.fold_seekers().await.unwrap(), 0, "nothing is left");
    same_by_recount(&b).await;
}

async fn two_nodes_fold_nothing_twice(engine: Engine) {
    let b = bench(engine).await;
    let other = open_at(&b.place.url, b.keys.clone(), false).await.unwrap_or_else(|e| panic!("{e}"));
    for round in 0..4u32 {
        let (at, county) = (noon().plus(HOUR * 24 * 9 * round), HOMES[round as usize]);
        let people = b.people_of(county, 200).await;
        let posting = b.post(a_posting()).await;
        b.issue(posting, &people[..5], at).await;
        let (one, two) = tokio::join!(b.store.fold_seekers(), other.fold_seekers());
        assert!(one.unwrap() + two.unwrap() >= 200);
        same_by_recount(&b).await;
        let seeking = other.seeking(Region::NATION.leaves().to_vec(), noon(), at.day()).await.unwrap();
        let count: u64 = seeking.counties.iter().flat_map(|c| &c.waits).map(|(_, people)| people).sum();
        assert_eq!(count, 200 * u64::from(round + 1));
    }
}

async fn people_of_an_older_store_are_walked_whole(engine: Engine) {
    let b = bench(engine).await;
    let people = b.people(2100).await;
    let (posting, erased) = (b.post(a_posting()).await, people[7]);
    b.issue(posting, &people[2050..2060], noon()).await;
    b.store.erase_worker(erased, PROMOTED, noon()).await.unwrap();
    with_connection(&b, |s| {
        s.batch("DROP TABLE seekers; DROP TABLE seek_homes; DROP TABLE seek_cells; DROP TABLE seek_fold")?;
        // The step that made them, alone.
        s.exec("DELETE FROM migrations WHERE number = 19", &[])
    })
    .await;
    let store = open_at(&b.place.url, b.keys.clone(), false).await.unwrap_or_else(|e| panic!("{e}"));
    same_by_recount(&b).await;
    b.issue(b.post(a_posting()).await, &people[..5], noon()).await;
    let homes = vec![Region::parse("522624").unwrap()];
    let may = Date::constant(2020, 5, 31);
    let before = store.seeking(homes.clone(), Moment::start_of(may.first_of_month()), may).await.unwrap();
    assert!(before.unknown && before.counties.is_empty(), "who looked before its last change is not known");
    let mut now = store.seeking(homes, noon(), noon().day()).await.unwrap();
    assert!(!now.unknown);
    let county = now.counties.remove(0);
    assert_eq!((county.offers, county.offered, county.never), (15, 15, 2084), "the report waits for the walk");
    assert_eq!(county.waits.iter().map(|(_, people)| people).sum::<u64>(), 2099);
    store.fold_seekers().await.unwrap();
    same_by_recount(&b).await;
}

async fn what_was_changed_beside_the_log_is_told(engine: Engine) {
    let b = bench(engine).await;
    let (here, there) = (b.people(3).await, b.people_of("522601", 1).await);
    b.store.fold_seekers().await.unwrap();
    same_by_recount(&b).await;
    let handle = b.handle(here[0]).await;
    with_connection(&b, move |s| {
        s.exec("UPDATE seekers SET looks = 0 WHERE handle = $1", &[i64::from(handle).into()])?;
        s.exec("INSERT INTO seekers (handle, home, looks, since) VALUES (77, 522624, 1, 5)", &[])?;
        s.exec("UPDATE seek_cells SET page = $1 WHERE home = 522601", &[Vec::<u8>::new().into()])
    })
    .await;
    let told = b.store.recount().await.unwrap().differences;
    let (one, nobody) = (format!("person {handle}: counts as another"), "person 77: counts as a seeker and is nobody");
    assert!(told.len() == 3 && told[0].starts_with(&one) && told[1] == nobody && told[2].contains("凯里市"), "{told:?}");
    // Whoever is taken from a page without them is no figure.
    assert!(b.store.erase_worker(there[0], PROMOTED, noon()).await.unwrap());
    let homes = vec![Region::parse("522601").unwrap()];
    let refused = b.store.seeking(homes.clone(), noon(), noon().day()).await.unwrap_err().to_string();
    assert!(refused.contains("fewer than nobody") && refused.contains("凯里市"), "{refused}");
    with_connection(&b, |s| s.exec("UPDATE seek_cells SET page = $1 WHERE home = 522601", &[vec![0x80u8].into()])).await;
    let refused = b.store.seeking(homes, noon(), noon().day()).await.unwrap_err().to_string();
    assert!(refused.contains("a page of seekers"), "{refused}");
}
