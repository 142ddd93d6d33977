use super::super::query::Params;
use super::*;
use crate::reporting::Value;
use crate::reporting::actors::{cells, from};
use crate::store::cells::{Asked, Fine};
use jiff::civil::date;

fn ask(own: &str, params: Params<'_>) -> Report {
    let people = [
        from("522601").works_in("330212"),
        from("522624").works_in("330212"),
        from("522601").works_in("440305"),
        from("522601").works_in("520102"),
        from("522624").works_in_place(),
        from("522601").works(None),
        from("510104").works_in("330000"),
    ];
    let query = Query::parse(Params { period: Some("2020-09"), ..params }, Region::parse(own).unwrap()).unwrap();
    let of = |fine| {
        let sheet = cells(&people).sheet_of(query.axis, Asked::Standing(date(2020, 9, 30), Sections::ALL), fine);
        flows(&sheet, &query, Moment::start_of(date(2020, 10, 1))).report()
    };
    let report = of(query.fine());
    assert_eq!(report.to_json(), of(Fine::Places).to_json(), "however finely places are told apart");
    report
}

/// From where to where, and how many.
fn ways(report: &Report) -> Vec<(&str, &str, u64)> {
    let key = |row: &'_ Row, at: usize| row.keys[at].clone().unwrap().into_owned();
    let mut found: Vec<_> = report.rows.iter().map(|r| (key(r, 0), key(r, 3), count(r.values[0]))).collect();
    found.sort();
    found.into_iter().map(|(a, b, n)| (&*a.leak(), &*b.leak(), n)).collect()
}

fn count(value: Value) -> u64 {
    if let Value::Count(n) = value { n } else { panic!("{value:?}") }
}

#[test]
fn provinces_send_people_to_provinces() {
    let report = ask("000000", Params::default());
    let expected =
        [("510000", "330000", 1), ("520000", "000000", 1), ("520000", "330000", 2), ("520000", "440000", 1), ("520000", "520000", 2)];
    assert_eq!(ways(&report), expected);
    assert_eq!(count(report.totals.values[0]), 7);
    assert_eq!(report.rows[0].keys[2].as_deref(), Some("west"));
}

#[test]
fn a_province_sees_prefectures_on_both_sides_and_places_known_no_better_as_they_are() {
    let report = ask("520000", Params::default());
    assert_eq!(
        ways(&report),
        [("522600", "000000", 1), ("522600", "330200", 2), ("522600", "440300", 1), ("522600", "520100", 1), ("522600", "522600", 1)]
    );
    let zhejiang = ask("330000", Params { axis: Some("work"), ..Params::default() });
    assert_eq!(ways(&zhejiang), [("330000", "510100", 1), ("330200", "522600", 2)]);
}

#[test]
fn rows_add_up_to_the_totals_at_every_level_on_both_axes() {
    for axis in ["home", "work"] {
        for level in ["county", "prefecture", "province", "nation"] {
            let report = ask("000000", Params { level: Some(level), axis: Some(axis), ..Params::default() });
            for column in 0..report.columns.len() {
                let sum: u64 = report.rows.iter().map(|r| count(r.values[column])).sum();
                assert_eq!(sum, count(report.totals.values[column]), "{axis} {level} {column}");
            }
            assert_eq!(count(report.totals.values[0]), 7);
        }
    }
}
