//! Reports that are tables with a key of their own: who went where, and what each
//! platform's trades came to. Every figure is one of the report's own cells.

use super::super::State;
use super::super::reports::made;
use super::figures::{Cell, Choice, cell_of, choice, periods, region_name};
use super::matrix::Matrix;
use super::offer;
use super::office::{address, asked, head, inside};
use super::text::Lang;
use crate::domain::client::Slug;
use crate::domain::region::{Level, Region};
use crate::domain::time::Period;
use crate::reporting::{Axis, Name, Report, Row, Value};
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use minijinja::context;
use minijinja::value::Serde;
use serde::Serialize;

/// Rows on the page; all are in the files.
const ROWS: usize = 300;

#[derive(Serialize)]
struct Line {
    keys: Vec<String>,
    /// Of a hundred, beside the greatest row's figure.
    bar: u64,
    cells: Vec<Cell>,
}

/// `GET /office/flows`.
pub async fn flows(state: Data<State>, request: HttpRequest) -> HttpResponse {
    show(state, request, Name::Flows, "total").await
}

/// `GET /office/platforms`.
pub async fn platforms(state: Data<State>, request: HttpRequest) -> HttpResponse {
    show(state, request, Name::Platforms, "working").await
}

/// The report as a page, the rows with the greatest of a figure first.
async fn show(state: Data<State>, request: HttpRequest, name: Name, by: &'static str) -> HttpResponse {
    inside(&state, &request, async |visit, office| {
        let (lang, now) = (visit.lang, state.clock.now());
        let mut asked = asked(&visit.query, Period::month_of(now.day()));
        asked.by = None;
        if name == Name::Platforms {
            (asked.axis, asked.level) = (None, None);
        }
        let report = made(&state, office.region, name, &asked).await?;
        let at = report.column(by);
        let of = |row: &Row| match at.and_then(|at| row.values.get(at)) {
            Some(Value::Count(n)) => *n,
            _ => 0,
        };
        let mut rows: Vec<&Row> = report.rows.iter().collect();
        rows.sort_by_key(|row| std::cmp::Reverse(of(row)));
        let most = rows.first().map_or(0, |row| of(row)).max(1);
        let line = |row: &Row| Line { keys: keys(lang, &report, row), bar: of(row) * 100 / most, cells: cells(&report, row) };
        let lines: Vec<Line> = rows.iter().take(ROWS).map(|row| line(row)).collect();
        let period = report.period.to_string();
        let mut files = vec![("period".to_owned(), period.clone()), ("region".to_owned(), report.region.clone())];
        files.push(("axis".to_owned(), report.axis.code().to_owned()));
        files.extend(asked.level.clone().filter(|level| !level.is_empty()).map(|level| ("level".to_owned(), level)));
        let choices = |kind: &str, all: &[&str], chosen: &str| -> Vec<Choice> {
            all.iter().map(|code| choice(lang, kind, code, *code == chosen)).collect()
        };
        let bound = Region::parse(&report.region);
        let fits = |level: &Level| bound.is_none_or(|b| b.at_level(*level).is_none_or(|row| row == b));
        let levels: Vec<&str> = Level::ALL.into_iter().filter(fits).map(Level::code).collect();
        let content = context! {
            name => name.code(), period => period.as_str(), code => report.region.as_str(), own => office.region.to_string(),
            region => bound.map_or_else(|| report.region.clone(), |r| region_name(lang, r)), periods => Serde(periods(now, &period)),
            axes => Serde(choices("axis", &Axis::ALL.map(Axis::code), report.axis.code())),
            levels => Serde(choices("level", &levels, asked.level.as_deref().unwrap_or(""))),
            filters => name == Name::Flows, axis => report.axis.code(), matrix => (name == Name::Flows && !report.rows.is_empty()).then(|| Serde(Matrix::of(lang, &report))),
            key_titles => report.keys.iter().map(|k| lang.get(&format!("key_{}", k.name)).unwrap_or(k.title)).collect::<Vec<_>>(),
            titles => report.columns.iter().map(|c| lang.get(&format!("col_{}", c.name)).unwrap_or(c.title)).collect::<Vec<_>>(),
            abouts => report.columns.iter().map(|c| (lang.get(&format!("col_{}", c.name)).unwrap_or(c.title), c.about)).collect::<Vec<_>>(),
            shown => at.unwrap_or(0), rows => Serde(lines), all => report.rows.len(),
            total_keys => keys(lang, &report, &report.totals), totals => Serde(cells(&report, &report.totals)),
            additive => report.columns.iter().any(|c| c.additive), files => address(&files),
            seq => report.as_of.seq, time => offer::moment_of_year(lang, report.generated_at), sealed => report.sealed,
        };
        visit.page(200, "sheet.html", context! { ..content, ..head(visit, &office, name.code()) })
    })
    .await
}

fn cells(report: &Report, row: &Row) -> Vec<Cell> {
    report.columns.iter().zip(&row.values).map(|(column, value)| cell_of(column, *value)).collect()
}

/// What names a row, in the page's language.
pub fn keys(lang: Lang, report: &Report, row: &Row) -> Vec<String> {
    let said = |name: &str, value: &str, code: Option<&str>| match name {
        "name" | "work_name" | "home_name" => {
            // The report's own words say more than a name: a total, a place unknown.
            let region = code.and_then(Region::parse).filter(|r| r.name() == value);
            region.map_or_else(|| value.to_owned(), |r| region_name(lang, r))
        }
        "zone" | "work_zone" | "home_zone" => lang.text(&format!("zone_{value}")).to_owned(),
        "category" => lang.text(&format!("category_{value}")).to_owned(),
        "platform" if Slug::parse(value).is_some() => offer::platform(lang, value),
        _ => value.to_owned(),
    };
    let fields = report.keys.iter().zip(&row.keys).enumerate();
    fields
        .map(|(at, (key, value))| {
            let before = at.checked_sub(1).and_then(|at| row.keys.get(at)).and_then(Option::as_deref);
            value.as_deref().map_or_else(String::new, |v| said(key.name, v, before))
        })
        .collect()
}
