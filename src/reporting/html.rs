//! A report as a page to print: A4, whole in itself, without a script.
//!
//! Promises: nothing is loaded from anywhere; every text is escaped; the same
//! report gives the same page. Its style's hash is [`STYLE_HASH`], for a policy
//! that allows nothing else.
//!
//! The bars are drawn by the template: a plotting crate (kuva 0.6) drew the same
//! with Chinese labels as well placed, but has no figures beside lying bars, which
//! is what a printed page needs, and is 95,000 lines for a few rectangles.

use super::chart::{self, Chart};
use super::report::{CORRECTED, Report, Row, Unit, Value};
use base64::Engine as _;
use minijinja::value::Serde;
use minijinja::{AutoEscape, Environment, UndefinedBehavior, context};
use serde::Serialize;
use sha2::{Digest, Sha256};
use std::sync::LazyLock;

/// The style, as it stands between its tags.
const STYLE: &str = include_str!("templates/report.css");

/// For `style-src` of a content security policy.
pub static STYLE_HASH: LazyLock<String> =
    LazyLock::new(|| format!("sha256-{}", base64::engine::general_purpose::STANDARD.encode(Sha256::digest(STYLE.as_bytes()))));

static PAGE: LazyLock<Environment<'static>> = LazyLock::new(|| {
    let mut env = Environment::new();
    env.set_undefined_behavior(UndefinedBehavior::Strict);
    env.set_auto_escape_callback(|_| AutoEscape::Html);
    env.add_template("report.html", include_str!("templates/report.html")).expect("the template is compiled in and a test renders it");
    env
});

/// The longest bar, in the drawing's own units.
const BAR: f64 = 560.0;
const STEP: usize = 26;

#[derive(Serialize)]
struct Drawing {
    title: &'static str,
    unit: &'static str,
    legend: Vec<&'static str>,
    height: usize,
    bars: Vec<Bar>,
    /// How many of how many rows are drawn, where not all are.
    part: Option<(usize, usize)>,
}

#[derive(Serialize)]
struct Bar {
    name: String,
    y: usize,
    parts: Vec<(usize, String, String, String)>,
    end: String,
    figure: String,
}

#[derive(Serialize)]
struct Line {
    keys: Vec<String>,
    cells: Vec<(String, Option<String>)>,
}

pub(super) fn write(report: &Report) -> String {
    let line = |row: &Row| Line {
        keys: row.keys.iter().map(|k| k.as_deref().unwrap_or_default().to_owned()).collect(),
        cells: row.values.iter().enumerate().map(|(at, v)| cell(report.columns[at].unit, *v)).collect(),
    };
    let head: Vec<&str> = report.keys.iter().map(|k| k.title).chain(report.columns.iter().map(|c| c.title)).collect();
    let about: Vec<[&str; 4]> =
        report.columns.iter().map(|c| [c.title, c.unit.title_zh(), if c.additive { "可加总" } else { "不可加总" }, c.about]).collect();
    let content = context! {
        style => minijinja::Value::from_safe_string(STYLE.to_owned()),
        title => report.title,
        period => report.period.to_string(),
        region => report.region.as_str(),
        place => report.totals.keys.get(1).and_then(Option::as_deref).unwrap_or_default(),
        axis => report.axis.title_zh(),
        made => report.generated_at.to_string(),
        seq => report.as_of.seq,
        root => report.as_of.root.as_deref(),
        sealed => report.sealed,
        hides => report.hides(),
        keys => report.keys.len(),
        head,
        rows => Serde(report.rows.iter().map(line).collect::<Vec<_>>()),
        totals => Serde(line(&report.totals)),
        about,
        corrected_titles => CORRECTED,
        corrected => Serde(report.corrected().map(|(texts, n)| (texts, n.map(grouped))).collect::<Vec<_>>()),
        charts => Serde(chart::of(report).iter().map(drawing).collect::<Vec<_>>()),
    };
    let page = PAGE.get_template("report.html").and_then(|t| t.render(content));
    page.expect("the template takes every report: its values are texts and numbers")
}

fn drawing(chart: &Chart) -> Drawing {
    let most = chart.bars.iter().map(chart::Bar::whole).fold(0.0, f64::max);
    let bars = chart.bars.iter().enumerate().map(|(n, bar)| {
        let mut from = 0.0;
        let mut parts = Vec::new();
        for (at, value) in bar.parts.iter().enumerate().filter(|(_, v)| **v > 0.0) {
            let width = value / most * BAR;
            parts.push((at, format!("{from:.1}"), format!("{width:.1}"), figure(chart.unit, *value)));
            from += width;
        }
        Bar { name: bar.name.clone(), y: n * STEP, parts, end: format!("{from:.1}"), figure: figure(chart.unit, bar.whole()) }
    });
    let drawn = chart.bars.len();
    Drawing {
        title: chart.title,
        unit: chart.unit.title_zh(),
        legend: if chart.parts.len() > 1 { chart.parts.clone() } else { Vec::new() },
        height: drawn * STEP,
        bars: bars.collect(),
        part: (drawn < chart.of).then_some((drawn, chart.of)),
    }
}

/// A figure with its parts, where it is a ratio.
fn cell(unit: Unit, value: Value) -> (String, Option<String>) {
    match value {
        Value::Count(n) => (grouped(n), None),
        Value::Number(x) => (figure(unit, x), None),
        Value::Unknown => ("–".to_owned(), None),
        Value::Suppressed { below } => (format!("<{below}"), None),
        Value::Ratio { numerator, denominator } => {
            let times = if unit == Unit::PerThousand { 1000.0 } else { 1.0 };
            let text = Value::quotient(numerator, denominator).map_or_else(|| "–".to_owned(), |x| figure(unit, x * times));
            (text, Some(format!("{}/{}", grouped(numerator), grouped(denominator))))
        }
    }
}

fn figure(unit: Unit, x: f64) -> String {
    match unit {
        Unit::Ratio => format!("{:.1}%", x * 100.0),
        Unit::Index => format!("{x:.3}"),
        _ if x.fract() == 0.0 && x >= 0.0 => grouped(x as u64),
        _ => format!("{x:.1}"),
    }
}

/// `12,345`.
fn grouped(n: u64) -> String {
    let digits = n.to_string();
    let groups: Vec<&str> = digits.as_bytes().rchunks(3).rev().filter_map(|g| std::str::from_utf8(g).ok()).collect();
    groups.join(",")
}

#[cfg(test)]
mod tests {
    use super::super::report::tests::sample;
    use super::*;

    #[test]
    fn the_page_is_whole_in_itself_and_explains_what_it_shows() {
        let report = sample();
        let page = report.to_html();
        for text in
            ["就业情况", "2020-09", "520000", "贵州省合计", "户籍地", "账本序号 7", "<caption>", "75.0%", "<svg", "@page", "lang=\"zh-CN\""]
        {
            assert!(page.contains(text), "{text}");
        }
        for column in &report.columns {
            assert!(page.contains(column.title) && page.contains(column.about), "{}", column.name);
        }
        for absent in ["<script", "<link", "src=", "url(", "@import", "href=", "javascript", "http://", "https://"] {
            assert!(!page.contains(absent), "{absent}");
        }
        assert_eq!(page, sample().to_html());
        assert!(!page.contains("不予公布") && !page.contains("更正"));
        let mut corrected = sample();
        corrected.more.corrections = Some(vec![crate::reporting::report::tests::a_correction()]);
        let page = corrected.to_html();
        for text in ["更正", "2020-08", "520300", "遵义市", "1,003", "1,002"] {
            assert!(page.contains(text), "{text}");
        }
        let mut hides = sample();
        hides.rows[0].values[0] = Value::Suppressed { below: 5 };
        assert!(hides.to_html().contains("&lt;5") && hides.to_html().contains("不予公布"));
    }

    #[test]
    fn the_hash_is_that_of_the_style_in_the_page() {
        let page = sample().to_html();
        let style = page.split_once("<style>").unwrap().1.split_once("</style>").unwrap().0;
        let hash = base64::engine::general_purpose::STANDARD.encode(Sha256::digest(style.as_bytes()));
        assert_eq!(*STYLE_HASH, format!("sha256-{hash}"));
    }

    #[test]
    fn figures_are_said_in_their_unit() {
        assert_eq!(figure(Unit::Person, 27_342_000.0), "27,342,000");
        assert_eq!(
            (figure(Unit::Ratio, 0.755), figure(Unit::Day, 42.4), figure(Unit::Index, 0.4)),
            ("75.5%".into(), "42.4".into(), "0.400".into())
        );
        assert_eq!(cell(Unit::PerThousand, Value::Ratio { numerator: 3, denominator: 5 }), ("600".to_owned(), Some("3/5".to_owned())));
    }
}
