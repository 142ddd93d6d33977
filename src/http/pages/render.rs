//! The templates, compiled in, each language with an environment of its own.

use super::super::problem::Problem;
use super::text::{self, Lang};
use minijinja::value::Kwargs;
use minijinja::{AutoEscape, Environment, UndefinedBehavior, Value};
use std::sync::LazyLock;

const TEMPLATES: [(&str, &str); 24] = [
    ("files.html", include_str!("templates/files.html")),
    ("trend.html", include_str!("templates/trend.html")),
    ("line.html", include_str!("templates/line.html")),
    ("overview.html", include_str!("templates/overview.html")),
    ("approvals.html", include_str!("templates/approvals.html")),
    ("sheet.html", include_str!("templates/sheet.html")),
    ("alerts.html", include_str!("templates/alerts.html")),
    ("desk.html", include_str!("templates/desk.html")),
    ("fairness.html", include_str!("templates/fairness.html")),
    ("import.html", include_str!("templates/import.html")),
    ("map.html", include_str!("templates/map.html")),
    ("people.html", include_str!("templates/people.html")),
    ("person.html", include_str!("templates/person.html")),
    ("base.html", include_str!("templates/base.html")),
    ("chart.html", include_str!("templates/chart.html")),
    ("erase.html", include_str!("templates/erase.html")),
    ("erased.html", include_str!("templates/erased.html")),
    ("login.html", include_str!("templates/login.html")),
    ("offer.html", include_str!("templates/offer.html")),
    ("office.html", include_str!("templates/office.html")),
    ("problem.html", include_str!("templates/problem.html")),
    ("worker.html", include_str!("templates/worker.html")),
    ("page.css", include_str!("templates/page.css")),
    ("office.css", include_str!("templates/office.css")),
];

static ENVIRONMENTS: LazyLock<[Environment<'static>; 2]> = LazyLock::new(|| Lang::ALL.map(environment));

fn environment(lang: Lang) -> Environment<'static> {
    let mut env = Environment::new();
    env.set_undefined_behavior(UndefinedBehavior::Strict);
    // Everything is HTML but the styles, which hold nothing from outside.
    env.set_auto_escape_callback(|name| if name.ends_with(".css") { AutoEscape::None } else { AutoEscape::Html });
    env.set_debug(false);
    // A code in words, or as it is where the table has none for it.
    env.add_function("word", move |kind: &str, code: &str| {
        lang.get(&format!("{kind}_{code}")).map_or_else(|| code.to_owned(), str::to_owned)
    });
    env.add_function("t", move |key: &str, values: Kwargs| text::t(lang, key, &values));
    for (name, source) in TEMPLATES {
        env.add_template(name, source).expect("the templates are compiled in and a test renders them");
    }
    env
}

/// One template, filled.
pub fn render(lang: Lang, name: &str, content: Value) -> Result<String, Problem> {
    let made = ENVIRONMENTS[lang as usize].get_template(name).and_then(|t| t.render(content));
    made.map(|html| squeezed(&html)).map_err(|e| Problem::internal(format!("{e:#}")))
}

/// The page without indentation and empty lines.
fn squeezed(html: &str) -> String {
    let mut out = String::with_capacity(html.len());
    for line in html.lines().map(str::trim).filter(|l| !l.is_empty()) {
        out.push_str(line);
        out.push('\n');
    }
    out
}
