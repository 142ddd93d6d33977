//! The employment report as a page: its filters, headline figures, chart and
//! table. Every figure is one of the report's own cells; none is added here but
//! what is said to be the rest of two.

use super::chart::Chart;
use super::text::Lang;
use crate::domain::client::Slug;
use crate::domain::region::{Level, Region, focus_set, focus_sets};
use crate::domain::time::Moment;
use crate::reporting::{Axis, By, Query, Report, Row, Scope, Value};
use serde::Serialize;

/// All that the template of the report shows.
#[derive(Debug, Serialize)]
pub struct Sheet {
    region: String,
    period: String,
    axis: &'static str,
    code: String,
    way: Vec<Link>,
    deeper: Vec<Link>,
    sets: Vec<Link>,
    periods: Vec<Choice>,
    levels: Vec<Choice>,
    axes: Vec<Choice>,
    bys: Vec<Choice>,
    headline: Vec<Figure>,
    head: Vec<Column>,
    keys: usize,
    rows: Vec<Line>,
    totals: Line,
    additive: bool,
    chart: Chart,
    seq: i64,
    as_of: String,
    /// The question in the address of a file, and of the page in the other language.
    files: String,
    turned: String,
    /// Of the report of offers, which knows homes alone.
    routing_files: String,
}

#[derive(Debug, Serialize)]
struct Link {
    title: String,
    /// None for where the reader stands.
    href: Option<String>,
}

#[derive(Debug, Serialize)]
pub struct Choice {
    value: String,
    title: String,
    on: bool,
}

impl Choice {
    pub fn of(value: &str, title: &str, on: bool) -> Self {
        Self { value: value.to_owned(), title: title.to_owned(), on }
    }
}

#[derive(Debug, Serialize)]
struct Figure {
    title: &'static str,
    value: String,
    /// Of how many, for a share.
    part: Option<(String, String)>,
}

#[derive(Debug, Serialize)]
struct Column {
    name: &'static str,
    title: String,
}

#[derive(Debug, Serialize)]
struct Line {
    href: Option<String>,
    keys: Vec<String>,
    cells: Vec<Cell>,
}

#[derive(Debug, PartialEq, Serialize)]
pub struct Cell {
    pub text: String,
    /// Of a ratio.
    pub part: Option<(String, String)>,
}

/// The question in the form of an address.
#[derive(Clone)]
struct Address {
    region: String,
    period: String,
    axis: Axis,
    by: Option<By>,
    lang: Lang,
}

impl Address {
    fn query(&self, level: Option<Level>) -> String {
        let by = self.by.map(|b| format!("&by={}", b.code())).unwrap_or_default();
        let level = level.map(|l| format!("&level={}", l.code())).unwrap_or_default();
        let lang = if self.lang == Lang::En { "&lang=en" } else { "" };
        format!("period={}&region={}&axis={}{by}{level}{lang}", self.period, self.region, self.axis.code())
    }

    /// The same question of another region, at that region's own level.
    fn of(&self, region: &str) -> Option<String> {
        Some(format!("/office/report?{}", Address { region: region.to_owned(), ..self.clone() }.query(None)))
    }
}

impl Sheet {
    pub fn of(lang: Lang, report: &Report, query: &Query, own: Region, now: Moment) -> Self {
        let period = report.period.to_string();
        let address = Address { region: report.region.clone(), period: period.clone(), axis: query.axis, by: query.by, lang };
        let here = match query.scope {
            Scope::Region(region) => Some(region),
            Scope::Set(..) => None,
        };
        let column = |name: &str| report.column(name);
        // Last year's figures take no room where there are none.
        let known = |at: usize| report.rows.iter().chain([&report.totals]).any(|r| is_known(r.values.get(at).copied()));
        let shown: Vec<bool> =
            (0..report.columns.len()).map(|at| !matches!(report.columns[at].name, "baseline" | "share") || known(at)).collect();
        let line = |row: &Row| Line {
            href: row
                .keys
                .first()
                .and_then(Option::as_deref)
                .and_then(Region::parse)
                .filter(|r| deeper(*r, here, own))
                .and_then(|r| address.of(&r.to_string())),
            keys: keys(lang, report, row, query.by),
            cells: row.values.iter().zip(&shown).filter(|(_, shown)| **shown).map(|(v, _)| cell(*v)).collect(),
        };
        let rows: Vec<Line> = report.rows.iter().map(line).collect();
        let head = report.keys.iter().map(|k| (k.name, lang.text(&key_of(k.name)).to_owned()));
        let head = head.chain(
            report
                .columns
                .iter()
                .zip(&shown)
                .filter(|(_, shown)| **shown)
                .map(|(c, _)| (c.name, lang.get(&format!("col_{}", c.name)).unwrap_or(c.title).to_owned())),
        );
        Self {
            region: scope_name(lang, query.scope),
            axis: lang.get(&format!("axis_{}", query.axis.code())).unwrap_or(""),
            code: report.region.clone(),
            way: way(lang, own, query.scope, &address),
            deeper: here.map(|r| r.children()).unwrap_or_default().iter().map(|r| link(lang, *r, &address)).collect(),
            sets: sets(lang, own, query.scope, &address),
            periods: periods(now, &period),
            levels: levels(lang, query),
            axes: Axis::ALL.into_iter().map(|a| choice(lang, "axis", a.code(), a == query.axis)).collect(),
            bys: [Choice { value: String::new(), title: lang.text("by_none").to_owned(), on: query.by.is_none() }]
                .into_iter()
                .chain(By::ALL.into_iter().map(|b| choice(lang, "by", b.code(), Some(b) == query.by)))
                .collect(),
            headline: headline(report, column),
            head: head.map(|(name, title)| Column { name, title }).collect(),
            keys: report.keys.len(),
            totals: Line { href: None, ..line(&report.totals) },
            additive: query.by != Some(By::Focus),
            chart: Chart::of(lang, report, query.by),
            rows,
            seq: report.as_of.seq,
            as_of: super::offer::moment_of_year(lang, report.generated_at),
            files: address.query(Some(query.level)),
            routing_files: Address { axis: Axis::Home, by: None, ..address.clone() }.query(Some(query.level)),
            turned: Address { lang: if lang == Lang::En { Lang::Zh } else { Lang::En }, ..address.clone() }.query(Some(query.level)),
            period,
        }
    }
}

fn is_known(value: Option<Value>) -> bool {
    !matches!(value, None | Some(Value::Unknown | Value::Ratio { denominator: 0, .. }))
}

/// Whether a row can be opened: it lies below and has parts of its own.
fn deeper(row: Region, here: Option<Region>, own: Region) -> bool {
    row.is_within(own) && !row.is_leaf() && Some(row) != here
}

pub fn choice(lang: Lang, kind: &str, code: &str, on: bool) -> Choice {
    Choice::of(code, lang.text(&format!("{kind}_{code}")), on)
}

pub fn region_name(lang: Lang, region: Region) -> String {
    if region == Region::NATION {
        return lang.text("level_nation").to_owned();
    }
    lang.get(&format!("province_{region}")).unwrap_or(region.name()).to_owned()
}

pub fn set_name(lang: Lang, name: &str) -> String {
    focus_set(name).map_or_else(|| name.to_owned(), |s| if lang == Lang::En { s.title_en } else { s.title_zh }.to_owned())
}

pub fn scope_name(lang: Lang, scope: Scope) -> String {
    match scope {
        Scope::Region(region) => region_name(lang, region),
        Scope::Set(set, _) => set_name(lang, set.name),
    }
}

fn link(lang: Lang, region: Region, address: &Address) -> Link {
    Link { title: region_name(lang, region), href: address.of(&region.to_string()) }
}

/// From the office's own region down to where the reader stands.
fn way(lang: Lang, own: Region, scope: Scope, address: &Address) -> Vec<Link> {
    let mut way = Vec::new();
    let mut at = Some(scope.bound());
    while let Some(region) = at {
        way.push(link(lang, region, address));
        at = if region == own { None } else { region.parent() };
    }
    way.reverse();
    match scope {
        Scope::Region(_) => way.last_mut().into_iter().for_each(|l| l.href = None),
        Scope::Set(..) => way.push(Link { title: scope_name(lang, scope), href: None }),
    }
    way
}

/// The focus sets that have a part in the office's region.
fn sets(lang: Lang, own: Region, scope: Scope, address: &Address) -> Vec<Link> {
    let here = scope.code();
    let within = focus_sets().iter().filter(|s| s.counties().iter().any(|c| c.is_within(own)));
    let one = |code: String, title: String| Link { title, href: (code != here).then(|| address.of(&code)).flatten() };
    within.map(|s| one(format!("set:{}", s.name), set_name(lang, s.name))).collect()
}

/// The months, quarters and years that a reader may want, and the one asked for.
pub fn periods(now: Moment, chosen: &str) -> Vec<Choice> {
    let (year, month) = (i32::from(now.day().year()), i32::from(now.day().month()));
    let months = (0..12).map(|n| year * 12 + month - 1 - n).map(|m| format!("{:04}-{:02}", m / 12, m % 12 + 1));
    let quarters = (0..5).map(|n| year * 4 + (month - 1) / 3 - n).map(|q| format!("{:04}Q{}", q / 4, q % 4 + 1));
    let years = (0..3).map(|n| format!("{:04}", year - n));
    let mut all: Vec<String> = months.chain(quarters).chain(years).collect();
    if !all.iter().any(|p| p == chosen) {
        all.insert(0, chosen.to_owned());
    }
    all.into_iter().map(|p| Choice { on: p == chosen, title: p.clone(), value: p }).collect()
}

/// The levels that are not coarser than the region.
fn levels(lang: Lang, query: &Query) -> Vec<Choice> {
    let bound = query.scope.bound();
    let fits = |l: &Level| bound.at_level(*l).is_none_or(|row| row == bound);
    Level::ALL.into_iter().filter(fits).map(|l| choice(lang, "level", l.code(), l == query.level)).collect()
}

fn headline(report: &Report, column: impl Fn(&str) -> Option<usize>) -> Vec<Figure> {
    let value = |name: &str| column(name).and_then(|at| report.totals.values.get(at).copied()).unwrap_or(Value::Unknown);
    let count = |name: &str| if let Value::Count(n) = value(name) { n } else { 0 };
    let figure = |title: &'static str, value: Value| {
        let Cell { text, part } = cell(value);
        Figure { title, value: text, part }
    };
    vec![
        figure("col_total", value("total")),
        figure("col_new", value("new")),
        figure("col_awaiting_start", value("awaiting_start")),
        figure("confirmed_share", Value::Ratio { numerator: count("confirmed"), denominator: count("total") }),
        figure("col_lifted_since_hire", value("lifted_since_hire")),
    ]
}

fn key_of(name: &str) -> String {
    if matches!(name, "region" | "name") { format!("col_{name}") } else { format!("by_{name}") }
}

/// What names a row, in the page's language.
pub fn keys(lang: Lang, report: &Report, row: &Row, by: Option<By>) -> Vec<String> {
    let said = |name: &str, value: &str| match (name, by) {
        ("name", _) => {
            let region = row.keys.first().and_then(Option::as_deref).and_then(Region::parse);
            // The report's own words say more than a name: a total, a place unknown.
            region.filter(|r| r.name() == value).map_or_else(|| value.to_owned(), |r| region_name(lang, r))
        }
        ("region", _) => value.to_owned(),
        (_, Some(By::Tier | By::TierAtHire)) => lang.text(&format!("tier_{value}")).to_owned(),
        (_, Some(By::Platform)) if Slug::parse(value).is_some() => super::offer::platform(lang, value),
        (_, Some(By::Category)) => lang.text(&format!("category_{value}")).to_owned(),
        (_, Some(By::Flow)) => lang.text(&format!("flow_{value}")).to_owned(),
        (_, Some(By::Focus)) => set_name(lang, value),
        _ => value.to_owned(),
    };
    report.keys.iter().zip(&row.keys).map(|(key, value)| value.as_deref().map_or_else(String::new, |v| said(key.name, v))).collect()
}

/// `12,345`.
pub fn grouped(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

pub fn cell(value: Value) -> Cell {
    match value {
        Value::Count(n) => Cell { text: grouped(n), part: None },
        Value::Number(x) => Cell { text: format!("{x:.3}"), part: None },
        Value::Suppressed { below } => Cell { text: format!("<{below}"), part: None },
        Value::Unknown => Cell { text: "–".to_owned(), part: None },
        Value::Ratio { numerator, denominator } => match Value::quotient(numerator, denominator) {
            Some(share) => Cell { text: format!("{:.1}%", share * 100.0), part: Some((grouped(numerator), grouped(denominator))) },
            None => Cell { text: "–".to_owned(), part: None },
        },
    }
}

/// A figure in the unit of its column.
pub fn cell_of(column: &crate::reporting::Column, value: Value) -> Cell {
    match value {
        Value::Ratio { numerator, denominator } if column.unit != crate::reporting::Unit::Ratio => Cell {
            text: column.quotient(numerator, denominator).map_or_else(|| "–".to_owned(), |x| format!("{x:.1}")),
            part: Some((grouped(numerator), grouped(denominator))),
        },
        other => cell(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_grouped_and_shares_say_of_how_many() {
        for (n, text) in [(0, "0"), (999, "999"), (1000, "1,000"), (27_342_000, "27,342,000")] {
            assert_eq!(grouped(n), text);
        }
        assert_eq!(cell(Value::Ratio { numerator: 3, denominator: 4 }).text, "75.0%");
        assert_eq!(cell(Value::Ratio { numerator: 0, denominator: 0 }).part, None);
    }

    #[test]
    fn periods_go_back_over_new_year_and_keep_what_was_asked() {
        let values =
            |now: &str, chosen: &str| periods(Moment::parse(now).unwrap(), chosen).into_iter().map(|c| c.value).collect::<Vec<_>>();
        let found = values("2020-02-10", "2020-02");
        assert_eq!(found[..3], ["2020-02", "2020-01", "2019-12"]);
        assert_eq!(found[12..14], ["2020Q1", "2019Q4"]);
        assert_eq!(values("2020-02-10", "2015")[0], "2015");
    }
}
