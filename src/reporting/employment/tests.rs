use super::super::baseline::Source;
use super::super::query::Params;
use super::*;
use crate::domain::hire::Fact;
use crate::reporting::actors::{Actor, at, cells, from};
use crate::store::cells::{Asked, Cells, Fine};
use jiff::ToSpan;
use jiff::civil::{Date, date};
use proptest::prelude::*;

/// Asks as the office of `own` for September 2020, on a day after it.
fn ask(people: &[Actor], own: &str, params: Params<'_>) -> Report {
    ask_with(people, own, params, &|_| None)
}

fn ask_with(people: &[Actor], own: &str, params: Params<'_>, baseline: &dyn Fn(Region) -> Option<u64>) -> Report {
    ask_of(&cells(people), own, params, baseline)
}

fn ask_of(cells: &Cells, own: &str, params: Params<'_>, baseline: &dyn Fn(Region) -> Option<u64>) -> Report {
    let query = Query::parse(Params { period: Some("2020-09"), ..params }, at(own)).unwrap();
    let day = query.day(date(2020, 10, 5)).unwrap();
    let uploaded = |r: Region| baseline(r).map(|total| Baseline { total, source: Source::Upload });
    let of = |fine| {
        let sheet = cells.sheet_of(query.axis, Asked::Standing(day, Sections::ALL), fine);
        employment(&sheet, &query, &Rules::default(), Moment::start_of(day), &uploaded).report()
    };
    let report = of(query.fine());
    assert_eq!(report.to_json(), of(Fine::Places).to_json(), "however finely places are told apart");
    report
}

fn level(level: &str) -> Params<'_> {
    Params { level: Some(level), ..Params::default() }
}

fn work(level: &str) -> Params<'_> {
    Params { level: Some(level), axis: Some("work"), ..Params::default() }
}

fn by(by: &str) -> Params<'_> {
    Params { by: Some(by), level: Some("county"), ..Params::default() }
}

fn figure(report: &Report, row: &Row, name: &str) -> u64 {
    match row.values[report.column(name).unwrap()] {
        Value::Count(n) => n,
        other => panic!("{name} is {other:?}"),
    }
}

fn total(report: &Report, name: &str) -> u64 {
    figure(report, &report.totals, name)
}

/// Region, part and one figure of every row.
fn rows<'a>(report: &'a Report, name: &str) -> Vec<(&'a str, &'a str, u64)> {
    let key = |row: &'a Row, at: usize| row.keys.get(at).and_then(|k| k.as_deref()).unwrap_or("");
    report.rows.iter().map(|r| (key(r, 0), key(r, 2), figure(report, r, name))).collect()
}

fn check_sums(report: &Report) {
    for column in report.columns.iter().filter(|c| c.additive) {
        let sum: u64 = report.rows.iter().map(|r| figure(report, r, column.name)).sum();
        assert_eq!(sum, total(report, column.name), "{} of {}", column.name, report.region);
    }
    for row in report.rows.iter().chain([&report.totals]) {
        let of = |name| figure(report, row, name);
        assert_eq!(of("total"), of("out_of_province") + of("in_province") + of("in_county"));
        assert_eq!(of("total"), of("confirmed") + of("unconfirmed"));
        assert!(of("in_place") <= of("in_county") && of("new") <= of("total"));
    }
}

/// People of every flow, and of places the tree treats specially.
fn village() -> Vec<Actor> {
    vec![
        from("522601").works_in("330212"),
        from("522601").works_in("520102"),
        from("522624").works_in("522624"),
        from("522624").works_in_place(),
        from("419001").works_in("330000"),
        from("441900").works_in("441900"),
        from("522601").works(None),
        from("522601").works_in("330200"),
    ]
}

#[test]
fn totals_add_up_on_every_level_by_home() {
    for name in ["county", "prefecture", "province", "nation"] {
        let report = ask(&village(), "000000", level(name));
        check_sums(&report);
        assert_eq!(total(&report, "total"), 8);
        assert_eq!(total(&report, "in_county"), 3);
        assert_eq!(total(&report, "in_place"), 1);
    }
}

#[test]
fn totals_add_up_on_every_level_by_place_of_work() {
    for name in ["county", "prefecture", "province", "nation"] {
        let report = ask(&village(), "000000", work(name));
        check_sums(&report);
        assert_eq!(total(&report, "total"), 8, "{name}");
    }
}

#[test]
fn a_person_with_two_platforms_is_counted_once_by_the_earlier_start() {
    let later = [Fact::Started(date(2020, 9, 1))];
    let both = from("522601").works_in("330212").works_in("522601").at("didi", Category::Driver).facts(&later);
    let report = ask(std::slice::from_ref(&both), "000000", by("platform"));
    assert_eq!(rows(&report, "total"), [("522601", "meituan", 1)]);
    assert_eq!(total(&report, "out_of_province"), 1);
    // When the earlier one ends the other becomes the main hire.
    let mut both = both;
    both.hires[0].life.facts.push(Fact::Over(date(2020, 9, 15)));
    let report = ask(&[both], "000000", by("platform"));
    assert_eq!(rows(&report, "total"), [("522601", "didi", 1)]);
    assert_eq!((total(&report, "in_county"), total(&report, "new")), (1, 0));
}

#[test]
fn hires_that_start_on_one_day_go_by_their_id() {
    let both = from("522601").works_in("330212").works_in("522601");
    let mut turned = both.clone();
    turned.hires.reverse();
    for person in [both, turned] {
        assert_eq!(total(&ask(&[person], "000000", level("county")), "out_of_province"), 1);
    }
}

#[test]
fn who_has_lapsed_or_ended_is_not_counted() {
    let lapsed = from("522601").works_in("330212").facts(&[Fact::Started(date(2020, 6, 29))]);
    let ended = from("522601").works_in("330212").facts(&[Fact::Started(date(2020, 8, 1)), Fact::Over(date(2020, 9, 30))]);
    let kept = from("522601").works_in("330212").facts(&[Fact::Started(date(2020, 6, 30))]);
    assert_eq!(total(&ask(&[lapsed.clone(), ended.clone(), kept], "000000", level("county")), "total"), 1);
    let none = ask(&[lapsed, ended], "000000", level("county"));
    assert!(none.rows.is_empty(), "a row of zeros is left out");
    assert_eq!(total(&none, "total"), 0);
}

#[test]
fn new_is_who_was_not_in_total_on_the_day_before_the_period() {
    let start = |m, d| [Fact::Started(date(2020, m, d))];
    let old = from("522601").works_in("330212").facts(&start(8, 31));
    let new = from("522601").works_in("330212").facts(&start(9, 1));
    let back = from("522601").works_in("330212").facts(&[
        Fact::Started(date(2020, 4, 1)),
        Fact::Active { month: date(2020, 9, 1), counts_on: date(2020, 9, 30), at: date(2020, 9, 30) },
    ]);
    let changed = from("522601").works_in("330212").facts(&[Fact::Started(date(2020, 8, 1)), Fact::Over(date(2020, 9, 2))]);
    let changed = changed.works_in("330212").facts(&start(9, 3));
    let count = |who: &Actor| total(&ask(std::slice::from_ref(who), "000000", level("county")), "new");
    assert_eq!((count(&old), count(&new)), (0, 1));
    assert_eq!(count(&back), 1, "who had lapsed and works again is new");
    assert_eq!(count(&changed), 0, "a change of employer is not new");
}

#[test]
fn awaiting_start_is_who_is_hired_and_not_in_total() {
    let hired = |m, d| Fact::Hired(date(2020, m, d));
    let waits = from("522601").works_in("330212").facts(&[hired(9, 1)]);
    let stale = from("522601").works_in("330212").facts(&[hired(6, 1)]);
    let gone = from("522601").works_in("330212").facts(&[hired(9, 1), Fact::Over(date(2020, 9, 5))]);
    let later = from("522601").works_in("330212").facts(&[hired(10, 1)]);
    let works = from("522601").works_in("330212").works_in("522601").facts(&[hired(9, 1)]);
    let report = ask(&[waits, stale, gone, later, works], "000000", level("county"));
    assert_eq!((total(&report, "awaiting_start"), total(&report, "total")), (1, 1));
    check_sums(&report);
}

#[test]
fn a_person_who_waits_for_two_starts_is_counted_once() {
    let hired = [Fact::Hired(date(2020, 9, 1))];
    let twice = from("522601").works_in("330212").facts(&hired).works_in("522601").at("didi", Category::Driver).facts(&hired);
    let report = ask(&[twice], "000000", by("platform"));
    assert_eq!(rows(&report, "awaiting_start"), [("522601", "meituan", 1)]);
}

#[test]
fn by_flow_in_county_and_in_place_are_rows_of_their_own() {
    let report = ask(&village(), "000000", by("flow"));
    check_sums(&report);
    let home: Vec<_> = rows(&report, "total").into_iter().filter(|r| r.0 == "522624").collect();
    assert_eq!(home, [("522624", "in_county", 1), ("522624", "in_place", 1)]);
}

#[test]
fn by_focus_every_set_is_listed_and_nothing_adds_up() {
    let poor = focus_sets().iter().find(|s| s.name == "listed-52").unwrap().counties()[0];
    let report = ask(&[from(&poor.to_string()).works_in("330212"), from("330212").works_in("330212")], "000000", by("focus"));
    assert!(report.columns.iter().all(|c| !c.additive));
    assert_eq!(report.rows.len(), 2 * focus_sets().len());
    let found = rows(&report, "total");
    let code = poor.to_string();
    assert!(found.contains(&(code.as_str(), "listed-52", 1)) && found.contains(&(code.as_str(), "poor-counties-832", 1)));
    assert!(found.contains(&("330212", "listed-52", 0)));
    assert_eq!(total(&report, "total"), 2, "the totals are distinct persons");
}

#[test]
fn every_other_split_adds_up_and_keeps_its_own_order() {
    let people = [
        from("522601").is(Tier::Lifted).works_in("330212").at("didi", Category::Driver),
        from("522601").works_in("330212").at("ali", Category::Other),
        from("522601").is(Tier::AtRisk).works_in("330212"),
    ];
    let parts = |name| {
        let report = ask(&people, "000000", by(name));
        check_sums(&report);
        rows(&report, "total").iter().map(|r| r.1.to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(parts("tier"), ["not_lifted", "at_risk", "lifted"]);
    assert_eq!(parts("tier_at_hire"), ["not_lifted", "at_risk", "lifted"]);
    assert_eq!(parts("platform"), ["ali", "didi", "meituan"]);
    assert_eq!(parts("category"), ["delivery_rider", "driver", "other"]);
}

#[test]
fn lifted_since_hire_is_told_of_those_not_lifted_when_hired() {
    let rose = from("522601").works_in("330212").is(Tier::Lifted);
    let rose_too = from("522601").is(Tier::AtRisk).works_in("330212").is(Tier::Lifted);
    let stayed = from("522601").works_in("330212");
    let before = from("522601").is(Tier::Lifted).works_in("330212");
    let report = ask(&[rose, rose_too, stayed, before.clone()], "000000", level("county"));
    let ratio = |report: &Report| report.totals.values[report.column("lifted_since_hire").unwrap()];
    assert_eq!(ratio(&report), Value::Ratio { numerator: 2, denominator: 3 });
    let none = ask(&[before], "000000", level("county"));
    assert!(none.to_json()["totals"]["lifted_since_hire"]["value"].is_null());
    assert_eq!(none.to_json()["totals"]["lifted_since_hire"]["denominator"], 0);
}

#[test]
fn confirmed_goes_by_the_main_hire_on_the_day() {
    let start = Fact::Started(date(2020, 8, 10));
    let yes = from("522601").works_in("330212").facts(&[start, Fact::Confirmed(date(2020, 9, 30))]);
    let late = from("522601").works_in("330212").facts(&[start, Fact::Confirmed(date(2020, 10, 1))]);
    let other = from("522601").works_in("330212").works_in("522601");
    let other = other.facts(&[Fact::Started(date(2020, 8, 11)), Fact::Confirmed(date(2020, 9, 1))]);
    let report = ask(&[yes, late, other], "000000", level("county"));
    assert_eq!((total(&report, "confirmed"), total(&report, "unconfirmed")), (1, 2));
}

#[test]
fn a_county_directly_under_a_province_is_its_own_prefecture_row() {
    let report = ask(&village(), "410000", level("prefecture"));
    assert_eq!(rows(&report, "total"), [("419001", "", 1)]);
    assert_eq!(report.rows[0].keys[1].as_deref(), Some("济源市"));
}

#[test]
fn a_city_without_counties_is_its_own_county_row() {
    let report = ask(&village(), "440000", level("county"));
    assert_eq!(rows(&report, "total"), [("441900", "", 1)]);
}

#[test]
fn a_province_without_children_is_its_own_row_at_every_level() {
    for name in ["province", "prefecture", "county"] {
        let report = ask(&[from("522601").works_in("710000")], "000000", work(name));
        assert_eq!(rows(&report, "total"), [("710000", "", 1)]);
    }
}

#[test]
fn a_place_of_work_coarser_than_the_level_is_a_row_under_its_own_code() {
    let report = ask(&village(), "330000", work("county"));
    check_sums(&report);
    assert_eq!(rows(&report, "total"), [("330000", "", 1), ("330200", "", 1), ("330212", "", 1)]);
    let report = ask(&village(), "330000", work("prefecture"));
    assert_eq!(rows(&report, "total"), [("330000", "", 1), ("330200", "", 2)]);
}

#[test]
fn who_works_nobody_knows_where_stands_under_the_nation() {
    let report = ask(&village(), "000000", work("province"));
    assert_eq!(report.rows[0].keys, [Some("000000".into()), Some("地区不明".into())]);
    assert_eq!(figure(&report, &report.rows[0], "total"), 1);
    let whole = ask(&village(), "000000", work("nation"));
    assert_eq!(whole.rows[0].keys[1].as_deref(), Some("全国"));
}

#[test]
fn an_office_sees_its_own_people_by_home_and_its_own_places_by_work() {
    let guizhou = ask(&village(), "520000", level("county"));
    assert_eq!(rows(&guizhou, "total"), [("522601", "", 4), ("522624", "", 2)]);
    assert_eq!((guizhou.region.as_str(), total(&guizhou, "total")), ("520000", 6));
    let kaili = ask(&village(), "522601", Params::default());
    assert_eq!((rows(&kaili, "total"), total(&kaili, "out_of_province")), (vec![("522601", "", 4)], 3));
    let ningbo = ask(&village(), "330200", work("county"));
    assert_eq!(rows(&ningbo, "total"), [("330200", "", 1), ("330212", "", 1)]);
    assert_eq!(total(&ningbo, "out_of_province"), 2, "by work, too, the flow is told from the home");
}

#[test]
fn a_set_is_a_scope_cut_to_the_own_region() {
    let listed: Vec<Region> = focus_sets().iter().find(|s| s.name == "listed-52").unwrap().counties().to_vec();
    let people: Vec<Actor> = listed.iter().map(|c| from(&c.to_string()).works_in("330212")).chain(village()).collect();
    let set = Params { region: Some("set:listed-52"), ..Params::default() };
    let report = ask(&people, "000000", set);
    assert_eq!((report.region.as_str(), report.rows.len(), total(&report, "total")), ("set:listed-52", 52, 52));
    let guizhou = ask(&people, "520000", set);
    assert_eq!(total(&guizhou, "total"), listed.iter().filter(|c| c.is_within(at("520000"))).count() as u64);
    assert_eq!(total(&ask(&people, "330000", set), "total"), 0);
}

#[test]
fn a_baseline_gives_a_share_and_keeps_a_row_that_lost_everybody() {
    let baseline = |r: Region| match r.code() {
        522_601 => Some(8),
        522_622 => Some(5),
        522_600 => Some(40),
        _ => None,
    };
    let report = ask_with(&village(), "522600", Params::default(), &baseline);
    assert_eq!(rows(&report, "total"), [("522601", "", 4), ("522622", "", 0), ("522624", "", 2)]);
    let json = report.to_json();
    assert_eq!(json["rows"][0]["share"], serde_json::json!({"value": 0.5, "numerator": 4, "denominator": 8}));
    assert!(json["rows"][2]["baseline"].is_null());
    assert_eq!(json["totals"]["baseline"], 40);
    assert_eq!((&json["totals"]["baseline_source"], &json["rows"][0]["baseline_source"]), (&"upload".into(), &"upload".into()));
    assert!(json["rows"][2].get("baseline_source").is_none());
    assert!(!report.columns[report.column("baseline").unwrap()].additive);
}

#[test]
fn a_baseline_says_nothing_of_parts_or_of_places_of_work() {
    let baseline = |_: Region| Some(10);
    for params in [work("county"), by("tier")] {
        let report = ask_with(&village(), "522600", params, &baseline);
        let column = report.column("baseline").unwrap();
        assert!(report.rows.iter().all(|r| r.values[column] == Value::Unknown));
    }
}

#[test]
fn the_baseline_of_a_set_is_that_of_its_counties_if_all_have_one() {
    let set = Params { region: Some("set:listed-52"), ..Params::default() };
    let totals = |baseline: &dyn Fn(Region) -> Option<u64>| {
        let report = ask_with(&village(), "000000", set, baseline);
        report.totals.values[report.column("baseline").unwrap()]
    };
    assert_eq!(totals(&|r| r.is_leaf().then_some(10)), Value::Count(520));
    let lacking = focus_sets().iter().find(|s| s.name == "listed-52").unwrap().counties()[7];
    assert_eq!(totals(&|r| (r.is_leaf() && r != lacking).then_some(10)), Value::Unknown);
}

#[test]
fn a_split_has_a_field_named_after_it_and_totals_without_a_value() {
    let json = ask(&village(), "000000", by("flow")).to_json();
    assert!(json["rows"].as_array().unwrap().iter().all(|r| r["flow"].is_string()));
    assert!(json["totals"].as_object().unwrap().contains_key("flow") && json["totals"]["flow"].is_null());
    assert_eq!(json["totals"]["name"], "全国合计");
}

#[test]
fn while_the_period_runs_the_day_is_today() {
    let query = Query::parse(Params { period: Some("2020-09"), ..Params::default() }, Region::NATION).unwrap();
    let people = [from("522601").works_in("330212").facts(&[Fact::Started(date(2020, 9, 20))])];
    let on = |today| {
        let day = query.day(today).unwrap();
        total(
            &employment(
                &cells(&people).sheet(query.axis, Asked::Standing(day, Sections::ALL)),
                &query,
                &Rules::default(),
                Moment::start_of(today),
                &|_| None,
            )
            .report(),
            "total",
        )
    };
    assert_eq!((on(date(2020, 9, 19)), on(date(2020, 9, 20))), (0, 1));
}

fn a_day() -> impl Strategy<Value = Date> {
    (0i32..300).prop_map(|n| date(2020, 1, 1).saturating_add(n.days()))
}

fn a_fact() -> impl Strategy<Value = Fact> {
    let active = |d: Date| Fact::Active { month: d.first_of_month(), counts_on: d.last_of_month(), at: d };
    prop_oneof![
        a_day().prop_map(Fact::Hired),
        a_day().prop_map(Fact::Started),
        a_day().prop_map(active),
        a_day().prop_map(Fact::Confirmed),
        a_day().prop_map(Fact::Over),
    ]
}

/// Somebody from anywhere with up to three hires anywhere, coarse or unknown
/// places among them.
fn anybody() -> impl Strategy<Value = Actor> {
    let all: Vec<Region> = Region::all().collect();
    let place = prop_oneof![1 => Just(None), 9 => proptest::sample::select(all).prop_map(Some)];
    let hire = (place, any::<bool>(), proptest::collection::vec(a_fact(), 1..4));
    (0..Region::leaf_count() as u16, 0..3usize, proptest::collection::vec(hire, 1..4)).prop_map(|(leaf, tier, hires)| {
        let home = Region::leaf_at(leaf).unwrap();
        hires.into_iter().fold(from(&home.to_string()).is(Tier::ALL[tier]), |actor, (place, in_place, facts)| {
            let (flow, work, _) = Flow::of(home, in_place, place, None);
            actor.hired(work, flow, facts)
        })
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn counties_add_up_to_prefectures_provinces_and_the_nation(people in proptest::collection::vec(anybody(), 0..60)) {
        let cells = cells(&people);
        let ask = |own: &str, params: Params<'_>| ask_of(&cells, own, params, &|_| None);
        for axis in ["home", "work"] {
            let whole = ask("000000", Params { level: Some("nation"), axis: Some(axis), ..Params::default() });
            for name in ["county", "prefecture", "province"] {
                for by in ["", "tier", "platform", "flow"] {
                    let report = ask("000000", Params { level: Some(name), axis: Some(axis), by: Some(by), ..Params::default() });
                    check_sums(&report);
                    prop_assert_eq!(&report.totals.values, &whole.totals.values);
                }
            }
            // What each province's own office sees, and who works somewhere unknown, is the nation.
            let provinces: u64 = Region::NATION.children().iter().map(|p| {
                let own = ask(&p.to_string(), Params { axis: Some(axis), ..Params::default() });
                check_sums(&own);
                total(&own, "total")
            }).sum();
            let nowhere = if axis == "home" { 0 } else {
                let report = ask("000000", work("province"));
                rows(&report, "total").iter().filter(|r| r.0 == "000000").map(|r| r.2).sum()
            };
            prop_assert_eq!(provinces + nowhere, total(&whole, "total"));
        }
    }
}
