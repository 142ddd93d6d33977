//! One figure of the employment report by month, drawn and as a table, for a region or
//! a focus set, by home or work, of all or of one tier; and the whole as a file.

use super::super::State;
use super::super::problem::Problem;
use super::figures::{Cell, Choice, cell, choice, periods, region_name, scope_name, set_name};
use super::line::Lines;
use super::office::{head, inside, link};
use super::text::Lang;
use super::{Fields, Visit, offer};
use crate::domain::region::{Region, focus_sets};
use crate::domain::time::Period;
use crate::domain::worker::Tier;
use crate::reporting::{Axis, MONTHS, Params, Query, Report, Row, Scope, Value, trend};
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use minijinja::context;
use minijinja::value::Serde;
use serde::Serialize;

/// Figures that can be shown.
const SHOWN: [&str; 8] = ["total", "new", "out_of_province", "in_province", "in_county", "in_place", "confirmed", "awaiting_start"];

/// What is asked, read.
struct Asked {
    period: String,
    region: Option<String>,
    axis: Option<String>,
    tier: Option<Tier>,
    months: usize,
    show: &'static str,
}

impl Asked {
    fn of(query: &Fields, present: Period) -> Result<Self, Problem> {
        let tier = query.one("tier").map(|code| {
            let known = Tier::ALL.into_iter().find(|tier| tier.code() == code);
            known.ok_or_else(|| Problem::parameter("tier", "tier_invalid", "may be not_lifted, at_risk or lifted"))
        });
        let months = query.one("months").and_then(|text| MONTHS.into_iter().find(|n| n.to_string() == text));
        Ok(Self {
            period: query.one("period").map_or_else(|| present.to_string(), str::to_owned),
            region: query.one("region").map(str::to_owned),
            axis: query.one("axis").map(str::to_owned),
            tier: tier.transpose()?,
            months: months.unwrap_or(MONTHS[0]),
            show: query.one("show").and_then(|name| SHOWN.into_iter().find(|shown| *shown == name)).unwrap_or(SHOWN[0]),
        })
    }

    fn params(&self) -> Params<'_> {
        Params { period: Some(&self.period), region: self.region.as_deref(), axis: self.axis.as_deref(), ..Params::default() }
    }

    async fn report(&self, state: &State, own: Region) -> Result<Report, Problem> {
        Ok(trend(&state.store, self.params(), self.tier, self.months, own, state.clock.now()).await?)
    }
}

/// One month of the table.
#[derive(Serialize)]
struct Month {
    name: String,
    href: String,
    file: String,
    cells: Vec<Cell>,
}

/// `GET /office/trend`.
pub async fn page(state: Data<State>, request: HttpRequest) -> HttpResponse {
    inside(&state, &request, async |visit, office| {
        let now = state.clock.now();
        let asked = Asked::of(&visit.query, Period::month_of(now.day()))?;
        let query = Query::parse(asked.params(), office.region)?;
        let report = asked.report(&state, office.region).await?;
        let lang = visit.lang;
        // Only a total by home, of all tiers, stands beside one of last year.
        let before = (asked.show == "total" && report.rows.iter().any(|row| is_known(&report, row))).then_some("baseline");
        let lines = Lines::of(lang, &report, asked.show, before);
        let columns: Vec<&str> = [asked.show].into_iter().chain(before).chain(before.map(|_| "share")).collect();
        let months: Vec<Month> = report.rows.iter().map(|row| month(lang, &report, row, &columns, &asked)).collect();
        let choices = |kind: &str, all: &[&str], chosen: &str| all.iter().map(|code| choice(lang, kind, code, *code == chosen)).collect();
        let tiers = [Choice::of("", lang.text("people_any"), asked.tier.is_none())];
        let tiers = tiers.into_iter().chain(Tier::ALL.map(|tier| choice(lang, "tier", tier.code(), asked.tier == Some(tier))));
        let lengths = MONTHS.map(|n| Choice::of(&n.to_string(), &lang.with("trend_months", &[("n", &n.to_string())]), n == asked.months));
        let axes: Vec<Choice> = choices("axis", &Axis::ALL.map(Axis::code), report.axis.code());
        let shown: Vec<Choice> = choices("col", &SHOWN, asked.show);
        let content = context! {
            region => scope_name(lang, query.scope), from => first(&report.rows), upto => report.period.to_string(),
            periods => Serde(periods(now, &asked.period)), regions => Serde(regions(lang, query.scope, office.region)),
            axes => Serde(axes), tiers => Serde(tiers.collect::<Vec<_>>()), lengths => Serde(lengths), shown => Serde(shown),
            what => lang.text(&format!("col_{}", asked.show)), tier => asked.tier.map(|tier| lang.text(&format!("tier_{}", tier.code()))),
            axis => lang.text(&format!("axis_{}", report.axis.code())), is_empty => lines.is_empty, lines => Serde(lines), months => Serde(months),
            columns => columns.iter().map(|name| lang.text(&format!("col_{name}"))).collect::<Vec<_>>(),
            file => file(visit, &asked), seq => report.as_of.seq, time => offer::moment_of_year(lang, now),
        };
        visit.page(200, "trend.html", context! { ..content, ..head(visit, &office, "trend") })
    })
    .await
}

/// `GET /office/trend.csv`: all figures of the months, not only the one that is shown.
pub async fn csv(state: Data<State>, request: HttpRequest) -> HttpResponse {
    inside(&state, &request, async |visit, office| {
        let asked = Asked::of(&visit.query, Period::month_of(state.clock.now().day()))?;
        let report = asked.report(&state, office.region).await?;
        let name = format!("attachment; filename=\"trend-{}.csv\"", report.period);
        Ok(HttpResponse::Ok()
            .content_type("text/csv; charset=utf-8")
            .insert_header(("content-disposition", name))
            .body(report.rows_to_csv()))
    })
    .await
}

fn is_known(report: &Report, row: &Row) -> bool {
    report.column("baseline").is_some_and(|at| matches!(row.values.get(at), Some(Value::Count(_))))
}

fn first(rows: &[Row]) -> String {
    rows.first().and_then(|row| row.keys.first()?.as_deref()).unwrap_or_default().to_owned()
}

/// The question in an address, all but what is shown of it.
fn fields(asked: &Asked, period: &str) -> Vec<(&'static str, String)> {
    let mut fields = vec![("period", period.to_owned())];
    fields.extend(asked.region.clone().map(|region| ("region", region)));
    fields.extend(asked.axis.clone().map(|axis| ("axis", axis)));
    fields
}

fn file(visit: &Visit<'_>, asked: &Asked) -> String {
    let mut fields = fields(asked, &asked.period);
    fields.extend(asked.tier.map(|tier| ("tier", tier.code().to_owned())));
    fields.push(("months", asked.months.to_string()));
    to(visit.lang, "/office/trend.csv", &fields)
}

fn to(lang: Lang, path: &str, fields: &[(&str, String)]) -> String {
    link(lang, path, &fields.iter().map(|(name, value)| (*name, value.as_str())).collect::<Vec<_>>())
}

fn month(lang: Lang, report: &Report, row: &Row, columns: &[&str], asked: &Asked) -> Month {
    let name = row.keys.first().and_then(Option::as_deref).unwrap_or_default().to_owned();
    let value = |column: &&str| report.column(column).and_then(|at| row.values.get(at).copied()).unwrap_or(Value::Unknown);
    let mut fields = fields(asked, &name);
    fields.extend(asked.tier.map(|_| ("by", "tier".to_owned())));
    Month {
        href: to(lang, "/office/report", &fields),
        file: to(lang, "/office/report.csv", &fields),
        cells: columns.iter().map(|column| cell(value(column))).collect(),
        name,
    }
}

/// From the office's region down to the one that is shown, what lies below it, and the
/// focus sets that have a part in the office's region.
fn regions(lang: Lang, scope: Scope, own: Region) -> Vec<Choice> {
    let chosen = scope.code();
    let one = |code: String, title: String| Choice::of(&code, &title, code == chosen);
    let mut way: Vec<Region> = std::iter::successors(Some(scope.bound()), |at| if *at == own { None } else { at.parent() }).collect();
    way.reverse();
    let below = match scope {
        Scope::Region(region) => region.children(),
        Scope::Set(..) => own.children(),
    };
    let sets = focus_sets().iter().filter(|set| set.counties().iter().any(|county| county.is_within(own)));
    way.iter()
        .chain(below)
        .map(|region| one(region.to_string(), region_name(lang, *region)))
        .chain(sets.map(|set| one(format!("set:{}", set.name), set_name(lang, set.name))))
        .collect()
}
