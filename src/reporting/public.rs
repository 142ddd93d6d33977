//! The public form: a fixed list of tables of locked periods, without a token.
//!
//! Promises: only the tables of [`Table`] leave; small counts are hidden jointly over
//! all of them, so that no table tells what another hides.
//! Start at: [`Table::of`], [`Published::table`].

use super::baseline::Source;
use super::closing;
use super::query::{By, Name, Params, Query, QueryFault};
use super::report::{Report, Value};
use super::suppress::suppress;
use crate::config::ReportConfig;
use crate::domain::region::Region;
use crate::domain::time::{Moment, Period};
use crate::store::{Store, StoreError};
use std::collections::HashMap;
use std::sync::Arc;
use tokio::sync::Mutex;

/// The set of counties that has a table of its own.
const LISTED: &str = "set:listed-52";

/// A table that anybody may read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Table {
    /// Employment of the nation by province.
    Employment,
    /// The same, split by tier.
    EmploymentByTier,
    /// Employment of the listed counties, by county.
    EmploymentOfListed,
    /// From which province people went to work in which.
    Flows,
}

impl Table {
    const ALL: [Table; 4] = [Table::Employment, Table::EmploymentByTier, Table::EmploymentOfListed, Table::Flows];

    /// The table that is asked for; none where it is no public one. Another level,
    /// axis or region would be another table, from which this one's gaps are filled.
    pub fn of(name: &str, params: Params<'_>) -> Option<Table> {
        let given = |text: Option<&str>, usual: &str| text.is_none_or(|t| t.is_empty() || t == usual);
        if !given(params.axis, "home") {
            return None;
        }
        let by = params.by.filter(|by| !by.is_empty() && *by != "none");
        if name == Name::Flows.code() {
            let whole = given(params.region, "000000") && given(params.level, "province") && by.is_none();
            return whole.then_some(Table::Flows);
        }
        if name != Name::Employment.code() {
            return None;
        }
        match (params.region.filter(|r| !r.is_empty()), by) {
            (Some(LISTED), None) => given(params.level, "county").then_some(Table::EmploymentOfListed),
            (None | Some("000000"), _) if !given(params.level, "province") => None,
            (None | Some("000000"), None) => Some(Table::Employment),
            (None | Some("000000"), Some("tier")) => Some(Table::EmploymentByTier),
            _ => None,
        }
    }

    fn name(self) -> Name {
        if self == Table::Flows { Name::Flows } else { Name::Employment }
    }

    fn params(self, period: &str) -> Params<'_> {
        Params {
            period: Some(period),
            region: (self == Table::EmploymentOfListed).then_some(LISTED),
            by: (self == Table::EmploymentByTier).then(|| By::Tier.code()),
            ..Params::default()
        }
    }
}

/// Whether a period is closed for the nation.
pub async fn locked(store: &Store, period: Period) -> Result<bool, StoreError> {
    Ok(closing::sealed(store, period, Region::NATION).await?.is_some())
}

/// The period of a public table.
pub fn period(params: Params<'_>) -> Result<Period, QueryFault> {
    Ok(Query::parse(params, Region::NATION)?.period)
}

/// Periods of which the tables are kept.
const KEPT: usize = 64;

/// The public tables of locked periods, which are what they are for ever: made once,
/// by the first who asks.
#[derive(Default)]
pub struct Published(Mutex<HashMap<Period, Arc<Vec<Report>>>>);

impl Published {
    /// One public table of a period that is closed for the nation, with what the others
    /// must not tell hidden in it.
    pub async fn table(
        &self,
        store: &Store,
        config: &ReportConfig,
        table: Table,
        period: Period,
        now: Moment,
    ) -> Result<Report, super::ReportFault> {
        // Whoever asks meanwhile waits for the same.
        let mut kept = self.0.lock().await;
        let tables = match kept.get(&period) {
            Some(tables) => tables.clone(),
            None => {
                let text = period.to_string();
                let mut made = Vec::new();
                for one in Table::ALL {
                    made.push(of_itself(super::report(store, one.name(), one.params(&text), Region::NATION, now).await?));
                }
                let least = config.min_cell;
                let hiding = tokio::task::spawn_blocking(move || {
                    suppress(&mut made, least);
                    made
                });
                let tables = Arc::new(hiding.await.map_err(|e| StoreError::Statement(e.to_string()))?);
                if kept.len() >= KEPT {
                    kept.clear();
                }
                kept.insert(period, tables.clone());
                tables
            }
        };
        Ok(tables[table as usize].clone())
    }
}

/// A table without what it tells of other periods, where other figures are hidden: what
/// became of the period before, and last year's totals where no office stated them.
fn of_itself(mut report: Report) -> Report {
    report.more.corrections = None;
    let sources = std::mem::take(&mut report.more.baseline_sources);
    let beside: Vec<usize> = ["baseline", "share"].iter().filter_map(|name| report.column(name)).collect();
    let stated = |code: &str| sources.get(code).is_some_and(|source| *source == Source::Upload.code());
    for row in report.rows.iter_mut().chain([&mut report.totals]) {
        if !row.keys.first().and_then(Option::as_deref).is_some_and(stated) {
            beside.iter().for_each(|at| row.values[*at] = Value::Unknown);
        }
    }
    report.more.baseline_sources = sources.into_iter().filter(|(_, source)| *source == Source::Upload.code()).collect();
    report
}

#[cfg(test)]
mod tests {
    use super::super::report::{
        Row,
        tests::{a_correction, sample},
    };
    use super::*;

    fn of(region: &str, level: &str, axis: &str, by: &str) -> Option<Table> {
        let some = |text| Some(text);
        Table::of(
            "employment",
            Params { period: Some("2020"), region: some(region), level: some(level), axis: some(axis), by: some(by), as_of: None },
        )
    }

    #[test]
    fn only_the_listed_tables_are_public() {
        assert_eq!(of("", "", "", ""), Some(Table::Employment));
        assert_eq!(of("000000", "province", "home", "none"), Some(Table::Employment));
        assert_eq!(of("", "", "", "tier"), Some(Table::EmploymentByTier));
        assert_eq!(of("set:listed-52", "county", "", ""), Some(Table::EmploymentOfListed));
        for (region, level, axis, by) in [
            ("520000", "", "", ""),
            ("", "county", "", ""),
            ("", "", "work", ""),
            ("", "", "", "platform"),
            ("set:listed-52", "", "", "tier"),
            ("set:listed-52", "prefecture", "", ""),
            ("set:hubei", "", "", ""),
        ] {
            assert_eq!(of(region, level, axis, by), None, "{region} {level} {axis} {by}");
        }
        assert_eq!(Table::of("routing", Params::default()), None);
        assert_eq!(Table::of("flows", Params { level: Some("county"), ..Params::default() }), None);
        for table in Table::ALL {
            let params = table.params("2020");
            assert_eq!(Table::of(table.name().code(), params), Some(table));
            assert_eq!(period(params), Ok(Period::parse("2020").unwrap()));
        }
    }

    #[test]
    fn what_other_periods_hide_is_not_told() {
        let mut made = sample();
        let ratio = Value::Ratio { numerator: 3, denominator: 8 };
        made.columns.truncate(2);
        (made.columns[0].name, made.columns[1].name) = ("baseline", "share");
        let row = |code: &str| Row { keys: vec![Some(code.to_owned().into()), None, None], values: vec![Value::Count(8), ratio] };
        made.rows = vec![row("522600"), row("520300")];
        made.totals = row(&made.region.clone());
        made.more.baseline_sources =
            [("522600".to_owned(), "upload"), ("520300".to_owned(), "gateway"), (made.region.clone(), "gateway")].into();
        made.more.corrections = Some(vec![a_correction()]);
        let made = of_itself(made);
        let told: Vec<_> = made.rows.iter().chain([&made.totals]).map(|row| row.values.clone()).collect();
        let none = vec![Value::Unknown; 2];
        assert_eq!(told, [vec![Value::Count(8), ratio], none.clone(), none]);
        let json = made.to_json().to_string();
        assert!(!json.contains("corrections") && !json.contains("gateway"), "{json}");
    }

    /// A province's table and the one of its listed counties, with one count each.
    #[test]
    fn one_table_does_not_tell_what_another_hides() {
        let table = |region: &str, rows: &[(&str, u64)]| {
            let row = |code: &str, n| Row {
                keys: vec![Some(code.to_owned().into()), Some(code.to_owned().into())],
                values: vec![Value::Count(n)],
            };
            let mut made = sample();
            made.columns.truncate(1);
            made.keys.truncate(2);
            made.region = region.to_owned();
            made.rows = rows.iter().map(|(code, n)| row(code, *n)).collect();
            made.totals = row(region, rows.iter().map(|(_, n)| n).sum());
            made
        };
        let nation = || table("000000", &[("520000", 100), ("530000", 60), ("510000", 80)]);
        let tables = |counties: &[(&str, u64)]| vec![nation(), nation(), table("set:listed-52", counties), nation()];
        let hidden =
            |report: &Report| report.rows.iter().chain([&report.totals]).filter(|r| r.values[0] == Value::Suppressed { below: 5 }).count();
        // Two persons of the province are at home outside the listed counties.
        let listed = [("522624", 58), ("522633", 40), ("532331", 30)];
        let chosen = |mut tables: Vec<Report>, table: Table| {
            suppress(&mut tables, 5);
            tables.swap_remove(table as usize)
        };
        let both = [Table::Employment, Table::EmploymentOfListed].map(|t| hidden(&chosen(tables(&listed), t)));
        assert!(both[0] >= 2 || both[1] >= 2, "{both:?}");
        let alone = chosen(tables(&[("522624", 30), ("532331", 30)]), Table::EmploymentOfListed);
        assert_eq!(hidden(&alone), 0, "what is no secret is published");
    }
}
