//! What an alert says, as coded facts: the sentence is written when it is shown, in the
//! reader's language.
//!
//! Promises: facts hold dates, counts, amounts, codes and slugs, and nothing that names a
//! person; facts that cannot be read any more are none.
//! Does not: hold words (the pages do), nor what a worker complains of, which stands
//! beside the facts.

use super::pay::Money;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// The facts of an alert of each kind. Regions stand by their codes, which may retire.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", content = "facts", rename_all = "snake_case")]
pub enum Facts {
    MovedAway {
        region: String,
    },
    /// One more than the openings, of the posting or of a county.
    OverHired {
        source_id: String,
        openings: u32,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        county: Option<String>,
    },
    PlatformSilent {
        platform: String,
        since: Date,
    },
    EmploymentDrop {
        working: u64,
        before: u64,
    },
    DisplacedWaiting {
        since: Date,
    },
    ActiveMissing {
        platform: String,
        until: Date,
    },
    /// Pay in yuan a month; `month` as `2020-05`.
    PayBelowPromise {
        month: String,
        wage: Money,
        promised: Money,
    },
    /// Of those who have worked for over a month.
    UnconfirmedShare {
        unconfirmed: u64,
        working: u64,
    },
    /// The worker's own words are the alert's.
    Complaint {},
    Unreachable {
        day: Date,
        people: u64,
    },
    EndpointDisabled {
        platform: String,
        endpoint: String,
        reason: String,
    },
}

impl Facts {
    /// The stored facts of an alert of this kind; none where it was stored without any,
    /// or by another version.
    pub fn read(kind: &str, stored: &str) -> Option<Self> {
        let facts: Value = serde_json::from_str(stored).ok()?;
        serde_json::from_value(json!({"kind": kind, "facts": facts})).ok()
    }

    /// The kind's code, as alerts are stored and answered by.
    pub fn kind(&self) -> &'static str {
        match self {
            Facts::MovedAway { .. } => "moved_away",
            Facts::OverHired { .. } => "over_hired",
            Facts::PlatformSilent { .. } => "platform_silent",
            Facts::EmploymentDrop { .. } => "employment_drop",
            Facts::DisplacedWaiting { .. } => "displaced_waiting",
            Facts::ActiveMissing { .. } => "active_missing",
            Facts::PayBelowPromise { .. } => "pay_below_promise",
            Facts::UnconfirmedShare { .. } => "unconfirmed_share",
            Facts::Complaint {} => "complaint",
            Facts::Unreachable { .. } => "unreachable",
            Facts::EndpointDisabled { .. } => "endpoint_disabled",
        }
    }

    /// As they are stored and answered, without the kind.
    pub fn object(&self) -> Value {
        json!(self)["facts"].take()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::civil::date;

    #[test]
    fn facts_are_read_as_they_were_stored_and_others_are_none() {
        let check = |facts: Facts, stored: &str| {
            assert_eq!(facts.object().to_string(), stored);
            assert_eq!(Facts::read(facts.kind(), stored), Some(facts));
        };
        let (region, source_id, platform) = ("522624".to_owned(), "a-1".to_owned(), "example".to_owned());
        check(Facts::MovedAway { region: region.clone() }, r#"{"region":"522624"}"#);
        check(Facts::OverHired { source_id: source_id.clone(), openings: 2, county: None }, r#"{"openings":2,"source_id":"a-1"}"#);
        check(Facts::OverHired { source_id, openings: 2, county: Some(region) }, r#"{"county":"522624","openings":2,"source_id":"a-1"}"#);
        check(
            Facts::PlatformSilent { platform: platform.clone(), since: date(2020, 6, 15) },
            r#"{"platform":"example","since":"2020-06-15"}"#,
        );
        check(Facts::EmploymentDrop { working: 2, before: 4 }, r#"{"before":4,"working":2}"#);
        check(Facts::DisplacedWaiting { since: date(2020, 6, 15) }, r#"{"since":"2020-06-15"}"#);
        check(
            Facts::ActiveMissing { platform: platform.clone(), until: date(2020, 6, 20) },
            r#"{"platform":"example","until":"2020-06-20"}"#,
        );
        let (wage, promised) = (Money::from_minor(499_950), Money::from_units(5000));
        check(
            Facts::PayBelowPromise { month: "2020-05".to_owned(), wage, promised },
            r#"{"month":"2020-05","promised":5000,"wage":4999.5}"#,
        );
        check(Facts::UnconfirmedShare { unconfirmed: 2, working: 3 }, r#"{"unconfirmed":2,"working":3}"#);
        check(Facts::Complaint {}, "{}");
        check(Facts::Unreachable { day: date(2020, 6, 15), people: 2 }, r#"{"day":"2020-06-15","people":2}"#);
        let (endpoint, reason) = ("e".to_owned(), "gone".to_owned());
        check(Facts::EndpointDisabled { platform, endpoint, reason }, r#"{"endpoint":"e","platform":"example","reason":"gone"}"#);
        for (kind, stored) in [
            ("platform_silent", "{}"),
            ("platform_silent", r#"{"platform":"example","since":"yesterday"}"#),
            ("employment_drop", r#"{"before":-4,"working":2}"#),
            ("never_heard_of", r#"{"since":"2020-06-15"}"#),
            ("moved_away", "no json"),
        ] {
            assert_eq!(Facts::read(kind, stored), None, "{kind} {stored}");
        }
    }
}
