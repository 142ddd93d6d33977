//! The figures of `employment` month by month.
//!
//! Promises: the figures of a month are the totals of its own report, or, of one tier,
//! the rows of that tier added up; all months are read in one state of the store, and a
//! locked one as it was locked.
//! Does not: add months up. A person stands in each month they worked in.
//! Start at: [`trend`].

use super::baseline::Baselines;
use super::employment::{Rules, employment, sections};
use super::query::{Axis, By, Params, Query};
use super::report::{Column, Key, Report, Row, Value};
use super::{ReportFault, origin};
use crate::domain::region::Region;
use crate::domain::time::{Moment, Period};
use crate::domain::worker::Tier;
use crate::store::Store;
use crate::store::cells::{Asked, Source as Cells, within};
use std::collections::HashMap;
use std::sync::Arc;

/// How many months a trend may have: one, two or three years, and the month before, so
/// that the newest stands beside the same month of the year before.
pub const MONTHS: [usize; 3] = [13, 25, 37];

/// So many months up to the last one of the period that is asked for, or up to the
/// present one while it runs. The rows are months; the totals are those of the newest.
pub async fn trend(
    store: &Store,
    params: Params<'_>,
    tier: Option<Tier>,
    months: usize,
    own: Region,
    now: Moment,
) -> Result<Report, ReportFault> {
    let asked = Query::parse(Params { level: None, by: tier.map(|_| By::Tier.code()), as_of: None, ..params }, own)?;
    let query = Query { level: asked.scope.bound().level(), ..asked };
    let last = Period::month_of(query.day(now.day())?);
    let of = within(query.scope.bound());
    let mut periods: Vec<Period> = std::iter::successors(Some(last), |month| Some(month.previous())).take(months).collect();
    periods.reverse();
    let (mut sheets, mut made) = (Vec::new(), Vec::new());
    // What is known of a year's end is the same for all its months that are open.
    let mut known: HashMap<i16, Arc<Baselines>> = HashMap::new();
    for period in periods {
        let query = Query { period, ..query.clone() };
        let origin = origin(store, &query).await?;
        let fresh = async || Baselines::of(store, origin.from, origin.upto, of.clone(), period).await.map(Arc::new);
        let before = match (query.axis, origin.from) {
            (Axis::Work, _) => Arc::default(),
            (Axis::Home, Cells::Live) => match known.get(&period.year()) {
                Some(before) => before.clone(),
                None => known.entry(period.year()).or_insert(fresh().await?).clone(),
            },
            (Axis::Home, _) => fresh().await?,
        };
        sheets.push((origin.from, Asked::Standing(query.day(now.day())?, sections(query.by))));
        made.push((query, before));
    }
    let rules = Rules::default();
    let reports = store
        .sheets(query.axis, of, sheets, query.of_all(), move |at, sheet| {
            let (query, before) = &made[at];
            employment(&sheet, query, &rules, now, &|region| before.get(region)).report()
        })
        .await?;
    Ok(joined(reports, tier, query))
}

/// The reports of the months as one.
fn joined(reports: Vec<Report>, tier: Option<Tier>, query: Query) -> Report {
    let row = |report: &Report| {
        let keys = vec![Some(report.period.to_string().into()), Some(query.scope.code().into()), Some(query.scope.name().into())];
        Row { keys, values: tier.map_or_else(|| report.totals.values.clone(), |tier| of_tier(report, tier)) }
    };
    let rows: Vec<Row> = reports.iter().map(row).collect();
    let newest = reports.into_iter().next_back().expect("there is a month at least");
    let key = |name, title| Key { name, title };
    Report {
        name: "trend",
        title: "就业趋势",
        keys: vec![key("period", "月份"), key("region", "地区代码"), key("name", "地区")],
        columns: newest.columns.iter().map(|column| Column { additive: false, ..*column }).collect(),
        totals: rows.last().expect("a row stands for each month").clone(),
        rows,
        ..newest
    }
}

/// The rows of a tier, added up.
fn of_tier(report: &Report, tier: Tier) -> Vec<Value> {
    let rows = report.rows.iter().filter(|row| row.keys.last().is_some_and(|key| key.as_deref() == Some(tier.code())));
    let nobody = report.columns.iter().map(|column| match column.name {
        "baseline" => Value::Unknown,
        _ if column.ratio => Value::Ratio { numerator: 0, denominator: 0 },
        _ => Value::Count(0),
    });
    rows.fold(nobody.collect(), |sums: Vec<Value>, row| sums.into_iter().zip(&row.values).map(|(sum, value)| plus(sum, *value)).collect())
}

fn plus(sum: Value, value: Value) -> Value {
    match (sum, value) {
        (Value::Count(a), Value::Count(b)) => Value::Count(a + b),
        (Value::Ratio { numerator: a, denominator: b }, Value::Ratio { numerator, denominator }) => {
            Value::Ratio { numerator: a + numerator, denominator: b + denominator }
        }
        (known, _) => known,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reporting::actors::{at, cells, from};
    use jiff::civil::date;

    /// Ten months as they are joined, of people who began on 2020-08-10.
    fn ten_months(own: &str, tier: Option<Tier>) -> Report {
        let people = [from("522601").works_in("330212"), from("522624").works_in("522624"), from("419001").works_in("330000")];
        let cells = cells(&people);
        let by = tier.map(|_| "tier");
        let of = |month: usize| {
            let period = format!("2020-{month:02}");
            let query = Query::parse(Params { period: Some(&period), by, ..Params::default() }, at(own)).unwrap();
            let sheet = cells.sheet(query.axis, Asked::Standing(query.day(date(2020, 10, 31)).unwrap(), sections(query.by)));
            employment(&sheet, &query, &Rules::default(), Moment::start_of(date(2020, 11, 1)), &|_| None).report()
        };
        let query = Query::parse(Params { period: Some("2020-10"), by, ..Params::default() }, at(own)).unwrap();
        joined((1..=10).map(of).collect(), tier, query)
    }

    fn check(report: &Report, name: &str, expected: [u64; 10]) {
        let at = report.column(name).unwrap();
        let found: Vec<Value> = report.rows.iter().map(|row| row.values[at]).collect();
        assert_eq!(found, expected.map(Value::Count), "{name} of {}", report.region);
    }

    #[test]
    fn each_month_has_the_totals_of_its_own_report_and_none_is_added_up() {
        let nation = ten_months("000000", None);
        check(&nation, "total", [0, 0, 0, 0, 0, 0, 0, 3, 3, 3]);
        check(&nation, "new", [0, 0, 0, 0, 0, 0, 0, 3, 0, 0]);
        check(&ten_months("520000", None), "out_of_province", [0, 0, 0, 0, 0, 0, 0, 1, 1, 1]);
        assert_eq!(nation.totals, nation.rows[9]);
        assert_eq!(nation.rows[0].keys, ["2020-01", "000000", "全国"].map(|key| Some(key.into())));
        assert!(nation.columns.iter().all(|column| !column.additive));
    }

    #[test]
    fn of_a_tier_the_rows_of_all_places_are_added_up() {
        check(&ten_months("000000", Some(Tier::NotLifted)), "total", [0, 0, 0, 0, 0, 0, 0, 3, 3, 3]);
        let nobody = ten_months("000000", Some(Tier::Lifted));
        check(&nobody, "total", [0; 10]);
        assert_eq!(nobody.totals.values[nobody.column("baseline").unwrap()], Value::Unknown);
    }
}
