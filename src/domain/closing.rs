//! How the figures of a period are signed, level by level, until they are locked.
//!
//! Promises: what was approved for another figure than the present one counts for
//! nothing; what is locked never changes.
//! Start at: [`State::next`].

use super::cells::{MEASURES, Measure, Page, Section};
use serde::de::Error as _;
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::collections::BTreeMap;
use std::iter::Sum;
use std::ops::AddAssign;

/// How far a region's period is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Nobody has signed it.
    Open,
    /// The region's office stands by its figure.
    Submitted,
    /// The office above does, too.
    Approved,
    /// The office above asks to look again.
    Returned,
    /// It was signed, and its figure is another one now.
    Void,
    Locked,
}

/// What happens to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    Submit,
    Approve,
    Return,
    Lock,
    /// A later entry made another figure of it.
    Differ,
}

/// Why it cannot happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// There is nothing to approve or return.
    NotSubmitted,
    /// What was submitted is no longer the figure.
    Void,
    Locked,
}

impl State {
    pub const ALL: [State; 6] = [State::Open, State::Submitted, State::Approved, State::Returned, State::Void, State::Locked];

    pub fn code(self) -> &'static str {
        match self {
            State::Open => "open",
            State::Submitted => "submitted",
            State::Approved => "approved",
            State::Returned => "returned",
            State::Void => "void",
            State::Locked => "locked",
        }
    }

    pub fn parse(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|s| s.code() == code)
    }

    /// What it is after this. An act that was done already changes nothing.
    pub fn next(self, event: Event) -> Result<State, Refused> {
        match (self, event) {
            (State::Locked, Event::Lock | Event::Differ) => Ok(State::Locked),
            (State::Locked, _) => Err(Refused::Locked),
            (_, Event::Lock) => Ok(State::Locked),
            (State::Approved, Event::Submit) => Ok(State::Approved),
            (_, Event::Submit) => Ok(State::Submitted),
            (State::Submitted | State::Approved, Event::Approve) => Ok(State::Approved),
            (State::Void, Event::Approve) => Err(Refused::Void),
            (State::Open | State::Returned, Event::Approve) | (State::Open, Event::Return) => Err(Refused::NotSubmitted),
            (_, Event::Return) => Ok(State::Returned),
            (State::Submitted | State::Approved, Event::Differ) => Ok(State::Void),
            (state, Event::Differ) => Ok(state),
        }
    }
}

/// The columns of the report `employment` that are signed: its counts of persons.
pub const COLUMNS: [&str; 9] =
    ["total", "out_of_province", "in_province", "in_county", "in_place", "confirmed", "unconfirmed", "awaiting_start", "new"];

/// The figure that is signed: a count for each of [`COLUMNS`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Figure(pub [u64; COLUMNS.len()]);

impl Figure {
    /// What a page of homes comes to in a period of this kind (0 month, 1 quarter, 2 year).
    pub fn of(page: &Page, kind: usize) -> Self {
        let mut sums = [0i64; MEASURES];
        for (_, measure, n) in page.section(Section::Flow) {
            if let Some(sum) = sums.get_mut(usize::from(measure)) {
                *sum += n;
            }
        }
        // No page of a place counts fewer than nobody.
        let n = |measure: Measure| u64::try_from(sums[measure as usize]).unwrap_or(0);
        let (out, within, place) = (n(Measure::OutOfProvince), n(Measure::InProvince), n(Measure::InPlace));
        let county = n(Measure::InCounty) + place;
        let (total, confirmed) = (out + within + county, n(Measure::Confirmed));
        Figure([total, out, within, county, place, confirmed, total - confirmed, n(Measure::AwaitingStart), n(Measure::new_in(kind))])
    }

    /// The columns that differ, each with this and the other's count.
    pub fn difference(&self, other: &Figure) -> Vec<(&'static str, u64, u64)> {
        let pairs = COLUMNS.into_iter().zip(self.0.into_iter().zip(other.0));
        pairs.filter(|(_, (this, other))| this != other).map(|(column, (this, other))| (column, this, other)).collect()
    }
}

impl AddAssign for Figure {
    fn add_assign(&mut self, other: Figure) {
        for (sum, n) in self.0.iter_mut().zip(other.0) {
            *sum += n;
        }
    }
}

impl Sum for Figure {
    fn sum<I: Iterator<Item = Figure>>(figures: I) -> Figure {
        figures.fold(Figure::default(), |mut all, one| {
            all += one;
            all
        })
    }
}

impl Serialize for Figure {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        let mut map = s.serialize_map(Some(COLUMNS.len()))?;
        for (column, n) in COLUMNS.iter().zip(self.0) {
            map.serialize_entry(column, &n)?;
        }
        map.end()
    }
}

impl<'de> Deserialize<'de> for Figure {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let mut map = BTreeMap::<String, u64>::deserialize(d)?;
        let mut figure = Figure::default();
        for (column, n) in COLUMNS.iter().zip(&mut figure.0) {
            *n = map.remove(*column).ok_or_else(|| D::Error::missing_field(column))?;
        }
        Ok(figure)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(from: State, event: Event, expected: Result<State, Refused>) {
        assert_eq!(from.next(event), expected, "{from:?} {event:?}");
    }

    #[test]
    fn a_figure_is_submitted_approved_and_locked() {
        check(State::Open, Event::Submit, Ok(State::Submitted));
        check(State::Submitted, Event::Approve, Ok(State::Approved));
        check(State::Approved, Event::Lock, Ok(State::Locked));
        for again in [(State::Submitted, Event::Submit), (State::Approved, Event::Approve), (State::Locked, Event::Lock)] {
            check(again.0, again.1, Ok(again.0));
        }
        check(State::Approved, Event::Submit, Ok(State::Approved));
    }

    #[test]
    fn what_was_returned_or_is_void_is_submitted_again() {
        check(State::Submitted, Event::Return, Ok(State::Returned));
        check(State::Approved, Event::Return, Ok(State::Returned));
        check(State::Void, Event::Return, Ok(State::Returned));
        for signed in [State::Submitted, State::Approved] {
            check(signed, Event::Differ, Ok(State::Void));
        }
        for from in [State::Returned, State::Void] {
            check(from, Event::Submit, Ok(State::Submitted));
        }
    }

    #[test]
    fn what_nobody_submitted_is_not_approved_and_what_is_locked_stays() {
        check(State::Open, Event::Approve, Err(Refused::NotSubmitted));
        check(State::Open, Event::Return, Err(Refused::NotSubmitted));
        check(State::Returned, Event::Approve, Err(Refused::NotSubmitted));
        check(State::Void, Event::Approve, Err(Refused::Void));
        for event in [Event::Submit, Event::Approve, Event::Return] {
            check(State::Locked, event, Err(Refused::Locked));
        }
        check(State::Locked, Event::Differ, Ok(State::Locked));
        check(State::Open, Event::Differ, Ok(State::Open));
    }

    #[test]
    fn a_figure_is_written_by_column_and_read_back() {
        let figure = Figure([5, 3, 1, 1, 0, 2, 3, 4, 1]);
        let text = serde_json::to_string(&figure).unwrap();
        assert!(text.starts_with(r#"{"total":5,"out_of_province":3,"#), "{text}");
        assert_eq!(serde_json::from_str::<Figure>(&text).unwrap(), figure);
        assert!(serde_json::from_str::<Figure>("{}").is_err());
        let mut more = figure;
        more += Figure([1, 0, 1, 0, 0, 0, 1, 0, 0]);
        assert_eq!(figure.difference(&more), [("total", 5, 6), ("in_province", 1, 2), ("unconfirmed", 3, 4)]);
    }
}
