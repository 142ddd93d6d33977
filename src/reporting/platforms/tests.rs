use super::super::query::Params;
use super::*;
use crate::domain::hire::Fact;
use crate::reporting::actors::{Actor, cells, from};
use crate::store::cells::{Asked, Fine};
use jiff::civil::date;

fn ask(people: &[Actor], period: &str, day: jiff::civil::Date, level: Option<&str>) -> Report {
    let query = Query::parse(Params { period: Some(period), level, ..Params::default() }, Region::NATION).unwrap();
    let cells = cells(people);
    let of = |fine| {
        let sources = Sources {
            people: cells.sheet_of(query.axis, Asked::Period(query.period, day, SECTIONS), fine),
            offers: cells.sheet_of(query.axis, Asked::Offers(query.period), fine),
            postings: PostingCounts::from([(("meituan".to_owned(), Category::DeliveryRider), (2, 40))]),
        };
        platforms(&sources, &query, Moment::start_of(day))
    };
    let report = of(if level.is_some() { query.fine() } else { query.of_all() });
    assert_eq!(report.to_json(), of(Fine::Places).to_json(), "however finely places are told apart");
    report
}

fn value(report: &Report, row: &Row, name: &str) -> Value {
    row.values[report.column(name).unwrap()]
}

#[test]
fn who_works_at_two_platforms_stands_in_two_rows_and_once_in_the_totals() {
    let both = from("522601").works_in("330212").works_in("330212").at("didi", Category::Driver);
    let report = ask(&[both, from("522601").works_in("330212")], "2020-09", date(2020, 9, 30), None);
    let working: Vec<_> = report.rows.iter().map(|r| (r.keys[2].as_deref().unwrap(), value(&report, r, "working"))).collect();
    assert_eq!(working, [("didi", Value::Count(1)), ("meituan", Value::Count(2))]);
    assert_eq!(value(&report, &report.totals, "working"), Value::Count(2));
    assert!(report.columns.iter().all(|c| !c.additive));
    assert_eq!(value(&report, &report.rows[1], "openings"), Value::Count(40));
}

#[test]
fn thirty_days_count_in_the_period_they_end_in() {
    let stays = from("522601").works_in("330212").facts(&[Fact::Started(date(2020, 8, 10))]);
    let left = from("522601").works_in("330212").facts(&[Fact::Started(date(2020, 8, 20)), Fact::Over(date(2020, 9, 1))]);
    let later = from("522601").works_in("330212").facts(&[Fact::Started(date(2020, 9, 10))]);
    let people = [stays, left, later];
    let held = |period, day| {
        let report = ask(&people, period, day, None);
        value(&report, &report.totals, "working_30_days")
    };
    assert_eq!(held("2020-09", date(2020, 9, 30)), Value::Ratio { numerator: 1, denominator: 2 });
    assert_eq!(held("2020-09", date(2020, 9, 12)), Value::Ratio { numerator: 1, denominator: 1 });
    assert_eq!(held("2020Q3", date(2020, 9, 30)), Value::Ratio { numerator: 1, denominator: 2 });
    assert_eq!(held("2020", date(2020, 10, 15)), Value::Ratio { numerator: 2, denominator: 3 });
}

#[test]
fn with_a_level_the_trades_stand_by_region() {
    let people = [from("522601").works_in("330212"), from("510104").works_in("330212")];
    let report = ask(&people, "2020-09", date(2020, 9, 30), Some("province"));
    let regions: Vec<_> = report.rows.iter().map(|r| r.keys[0].as_deref().unwrap()).collect();
    assert_eq!(regions, ["510000", "520000"]);
    let pay = |steps: &[(usize, u64)]| {
        let mut figures = Figures::default();
        steps.iter().for_each(|(step, n)| figures.add_pay(*step, *n));
        figures.median()
    };
    assert_eq!((pay(&[]), pay(&[(90, 1), (100, 1), (120, 1)]), pay(&[(90, 2), (100, 1)])), (None, Some(5000), Some(4500)));
}
