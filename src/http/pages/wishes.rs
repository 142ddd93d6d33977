//! The settings of a worker's page: what stands on it, and what a form says.

use super::super::problem::Problem;
use super::Fields;
use super::text::Lang;
use crate::domain::category::Category;
use crate::domain::region::Region;
use crate::domain::worker::{Destinations, Seeker, Wishes};
use crate::ingest::registry;
use serde::Serialize;

/// The settings as they stand.
#[derive(Debug, Serialize)]
pub struct Settings {
    min_monthly_pay: u32,
    in_place_only: bool,
    home: &'static str,
    categories: Vec<Choice>,
    destinations: Vec<Choice>,
}

/// One box to tick.
#[derive(Debug, Serialize)]
struct Choice {
    code: String,
    title: String,
    on: bool,
}

impl Settings {
    pub fn of(lang: Lang, s: &Seeker) -> Self {
        let category =
            |c: Category| Choice { code: c.code().to_owned(), title: super::offer::category(lang, c), on: s.categories & c.bit() != 0 };
        let province = |p: &Region| Choice {
            code: p.to_string(),
            title: lang.get(&format!("province_{p}")).unwrap_or(p.name()).to_owned(),
            on: s.destinations.provinces.contains(p),
        };
        let any = Choice { code: "*".to_owned(), title: lang.text("any_province").to_owned(), on: s.destinations.any };
        // Provinces outside the programme stand here only for who chose them.
        let offered = Region::NATION.children().iter().filter(|p| p.zone().is_some() || s.destinations.provinces.contains(p));
        Self {
            min_monthly_pay: s.min_monthly_pay,
            in_place_only: s.in_place_only,
            home: s.home.name(),
            categories: Category::ALL.into_iter().map(category).collect(),
            destinations: [any].into_iter().chain(offered.map(province)).collect(),
        }
    }
}

/// What a form of the settings says: one button's `paused`, or the whole list,
/// in which a box that is not ticked is not sent.
pub fn read(form: &Fields) -> Result<Wishes, Problem> {
    let wrong = |field: &str| Problem::field(field, "unknown_value", "is not of the form");
    if form.one("wishes").is_none() {
        let paused = form.one("paused").and_then(|text| text.parse().ok()).ok_or_else(|| wrong("/paused"))?;
        return Ok(Wishes { paused: Some(paused), ..Wishes::default() });
    }
    let list = |name: &str| form.all(name).filter(|v| !v.is_empty()).collect::<Vec<_>>().join("|");
    let (categories, destinations) = (list("categories"), list("destinations"));
    let pay = form.one("min_monthly_pay").unwrap_or("0");
    let pay = pay.parse::<u32>().ok().filter(|p| *p <= 1_000_000).ok_or_else(|| wrong("/min_monthly_pay"))?;
    Ok(Wishes {
        categories: Some(if categories.is_empty() { 0 } else { registry::categories(&categories).ok_or_else(|| wrong("/categories"))? }),
        destinations: Some(if destinations.is_empty() {
            Destinations::default()
        } else {
            registry::destinations(&destinations).ok_or_else(|| wrong("/destinations"))?
        }),
        in_place_only: Some(form.has("in_place_only", "true")),
        min_monthly_pay: Some(pay),
        ..Wishes::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(form: &str) -> Option<Wishes> {
        read(&Fields::read(form)).ok()
    }

    #[test]
    fn a_box_that_is_not_ticked_is_taken_off() {
        let wishes = check("wishes=1&min_monthly_pay=3500&categories=courier&categories=driver&destinations=440000").unwrap();
        assert_eq!(wishes.categories, Some(Category::Courier.bit() | Category::Driver.bit()));
        assert_eq!(wishes.destinations.unwrap().provinces, [Region::parse("440000").unwrap()]);
        assert_eq!((wishes.in_place_only, wishes.min_monthly_pay, wishes.paused), (Some(false), Some(3500), None));
        let none = check("wishes=1&min_monthly_pay=").unwrap();
        assert_eq!((none.categories, none.min_monthly_pay), (Some(0), Some(0)));
        assert_eq!(none.destinations, Some(Destinations::default()));
        assert!(check("wishes=1&destinations=*").unwrap().destinations.unwrap().any);
    }

    #[test]
    fn pausing_touches_nothing_else_and_nonsense_is_refused() {
        assert_eq!(check("paused=true"), Some(Wishes { paused: Some(true), ..Wishes::default() }));
        for form in ["", "paused=maybe", "wishes=1&min_monthly_pay=much", "wishes=1&categories=king", "wishes=1&destinations=1"] {
            assert_eq!(check(form), None, "{form}");
        }
    }
}
