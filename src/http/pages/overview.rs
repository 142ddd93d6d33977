//! The first page after the login: how the office's region stands today, what needs a
//! person, and what is to be done about the newest periods. Every figure is a cell of
//! the report it leads to.

use super::super::State;
use super::super::auth::OfficeToken;
use super::super::problem::Problem;
use super::alerts::Matter;
use super::figures::{Cell, cell, region_name};
use super::line::Lines;
use super::office::{head, inside, link};
use super::text::Lang;
use super::{Visit, offer, text};
use crate::domain::region::Region;
use crate::domain::time::{Moment, Period};
use crate::reporting::{Axis, MONTHS, Params, Report, Value, closing, trend};
use crate::store::alerts::AlertFilter;
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use minijinja::context;
use minijinja::value::Serde;
use serde::Serialize;

/// Alerts on the page.
const ALERTS: i64 = 3;
/// Months before the present one whose closing is told.
const CLOSING: usize = 3;

/// A figure with where it comes from.
#[derive(Serialize)]
struct Figure {
    title: &'static str,
    cell: Cell,
    /// What is said below it.
    note: Option<&'static str>,
    href: String,
}

/// An open alert and what to do about it.
#[derive(Serialize)]
struct Open {
    matter: Matter,
    advice: &'static str,
}

/// How far a period's closing is, and what is this office's to do.
#[derive(Serialize)]
struct Closing {
    period: String,
    state: &'static str,
    todo: Vec<String>,
    href: String,
}

/// `GET /office`: the overview, or the form to log in.
pub async fn page(state: Data<State>, request: HttpRequest) -> HttpResponse {
    inside(&state, &request, async |visit, office| show(visit, &state, office).await).await
}

async fn show(visit: &Visit<'_>, state: &State, office: OfficeToken) -> Result<HttpResponse, Problem> {
    let (lang, now, own) = (visit.lang, state.clock.now(), office.region);
    let month = Period::month_of(now.day());
    let text = month.to_string();
    let params = Params { period: Some(&text), axis: Some(Axis::Home.code()), ..Params::default() };
    let report = trend(&state.store, params, None, MONTHS[0], own, now).await?;
    let (alerts, open) = state.store.alerts(AlertFilter { region: own, resolved: Some(false), after: None, limit: ALERTS }).await?;
    let alerts: Vec<Open> = alerts.iter().map(|a| Open { matter: Matter::of(lang, a), advice: advice(lang, &a.kind) }).collect();
    let mut closings = Vec::new();
    for period in std::iter::successors(Some(month.previous()), |p| Some(p.previous())).take(CLOSING) {
        closings.push(closing_of(state, lang, period, own, now).await?);
    }
    let lines = Lines::of(lang, &report, "total", Some("baseline"));
    let content = context! {
        region => region_name(lang, own), period => text.as_str(), day => offer::moment_of_year(lang, now), seq => report.as_of.seq,
        figures => Serde(figures(lang, &report, &text, own)), open, alerts => Serde(alerts), closings => Serde(closings),
        is_empty => lines.is_empty, lines => Serde(lines), months => report.rows.len(),
        alerts_at => link(lang, "/office/alerts", &[]), trend_at => link(lang, "/office/trend", &[]),
    };
    visit.page(200, "overview.html", context! { ..content, ..head(visit, &office, "overview") })
}

fn figures(lang: Lang, report: &Report, period: &str, own: Region) -> Vec<Figure> {
    let value = |name: &str| report.column(name).and_then(|at| report.totals.values.get(at).copied()).unwrap_or(Value::Unknown);
    let region = own.to_string();
    let share = value("share");
    let known = matches!(share, Value::Ratio { denominator, .. } if denominator > 0);
    let of = [("period", period), ("region", region.as_str())];
    vec![
        Figure { title: "overview_working", cell: cell(value("total")), note: None, href: link(lang, "/office/report", &of) },
        Figure {
            title: "overview_new",
            cell: cell(value("new")),
            note: None,
            href: link(lang, "/office/map", &[of[0], of[1], ("show", "new")]),
        },
        Figure {
            title: "overview_share",
            cell: cell(share),
            note: (!known).then_some("overview_share_none"),
            href: link(lang, "/office/trend", &[of[0], of[1], ("show", "total")]),
        },
    ]
}

/// What to do about an alert of this kind.
fn advice(lang: Lang, kind: &str) -> &'static str {
    let key = format!("advice_{kind}");
    lang.text(if text::has(&key) { &key } else { "advice_other" })
}

async fn closing_of(state: &State, lang: Lang, period: Period, own: Region, now: Moment) -> Result<Closing, Problem> {
    let body = closing::view(&state.store, period, own, now).await?;
    let is_top = state.store.closing(period).await?.is_top(own);
    let below: Vec<&str> = body["children"].as_array().into_iter().flatten().filter_map(|child| child["state"].as_str()).collect();
    let mine = body["state"].as_str().unwrap_or_default();
    let period = period.to_string();
    Ok(Closing {
        state: lang.text(&format!("state_of_{mine}")),
        todo: todo(mine, &below, is_top).into_iter().map(|(key, n)| lang.with(key, &[("n", &n.to_string())])).collect(),
        href: link(lang, "/office/approvals", &[("period", &period)]),
        period,
    })
}

/// What an office has to do about a period that is over, each as the key of its words
/// and of how many offices it is said.
fn todo(mine: &str, below: &[&str], is_top: bool) -> Vec<(&'static str, usize)> {
    if mine == "locked" {
        return Vec::new();
    }
    let of = |states: &[&str]| below.iter().filter(|state| states.contains(state)).count();
    let (submitted, missing) = (of(&["submitted"]), of(&["open", "returned", "void"]));
    let mut out = Vec::new();
    if submitted > 0 {
        out.push(("overview_approve", submitted));
    }
    if missing > 0 {
        out.push(("overview_missing", missing));
    }
    match mine {
        "open" | "returned" | "void" if !is_top => out.push(("overview_submit", 0)),
        "submitted" if !is_top => out.push(("overview_waits", 0)),
        _ if is_top && submitted + missing == 0 => out.push(("overview_lock", 0)),
        _ => {}
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_to_be_done_follows_from_where_the_offices_stand() {
        let check = |mine: &str, below: &[&str], is_top, expected: &[(&str, usize)]| {
            assert_eq!(todo(mine, below, is_top), expected, "{mine} {below:?} {is_top}");
        };
        check("open", &[], false, &[("overview_submit", 0)]);
        check("returned", &[], false, &[("overview_submit", 0)]);
        check("submitted", &["approved"], false, &[("overview_waits", 0)]);
        check("approved", &[], false, &[]);
        check("open", &["submitted", "submitted", "void", "approved"], true, &[("overview_approve", 2), ("overview_missing", 1)]);
        check("open", &["submitted", "open"], false, &[("overview_approve", 1), ("overview_missing", 1), ("overview_submit", 0)]);
        check("open", &["approved", "locked"], true, &[("overview_lock", 0)]);
        check("locked", &["submitted"], true, &[]);
    }

    #[test]
    fn every_kind_of_alert_has_its_advice() {
        for lang in Lang::ALL {
            let of = |kind: &str| advice(lang, kind);
            assert_ne!(of("over_hired"), of("other"));
            assert_eq!(of("never_heard_of"), of("other"));
        }
    }
}
