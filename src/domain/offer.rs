//! The states of an offer and the one function that moves between them.

use serde::{Deserialize, Serialize};

/// What has become of an offer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OfferState {
    Offered,
    Seen,
    Accepted,
    Waitlisted,
    Declined,
    Expired,
    Withdrawn,
    Hired,
    NotSelected,
}

impl OfferState {
    pub const ALL: [OfferState; 9] = [
        OfferState::Offered,
        OfferState::Seen,
        OfferState::Accepted,
        OfferState::Waitlisted,
        OfferState::Declined,
        OfferState::Expired,
        OfferState::Withdrawn,
        OfferState::Hired,
        OfferState::NotSelected,
    ];

    pub fn code(self) -> &'static str {
        match self {
            OfferState::Offered => "offered",
            OfferState::Seen => "seen",
            OfferState::Accepted => "accepted",
            OfferState::Waitlisted => "waitlisted",
            OfferState::Declined => "declined",
            OfferState::Expired => "expired",
            OfferState::Withdrawn => "withdrawn",
            OfferState::Hired => "hired",
            OfferState::NotSelected => "not_selected",
        }
    }

    pub fn parse(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|s| s.code() == code)
    }

    /// Waits for the worker's answer.
    pub fn unanswered(self) -> bool {
        matches!(self, OfferState::Offered | OfferState::Seen)
    }

    /// Holds one of the posting's seats, whoever answered what.
    pub fn seated(self) -> bool {
        matches!(self, OfferState::Accepted | OfferState::Hired)
    }
}

/// What can happen to an offer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OfferEvent {
    /// The worker looked at it.
    See,
    /// The worker says yes; `seat` tells whether one was free.
    Accept { seat: bool },
    /// The worker says no, or gives an accepted offer back.
    Decline,
    /// The deadline passed.
    Expire,
    /// The posting is gone, or the platform took it back.
    Withdraw,
    /// A seat came free for the first of the waitlist.
    Promote,
    /// The platform hired.
    Hire,
    /// The platform chose somebody else.
    Reject,
}

/// Why an event cannot happen to an offer as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Impossible(pub OfferState);

impl OfferState {
    /// The state after `event`; an event that repeats what already holds leaves
    /// it. Whether the deadline has passed is decided by whoever makes the event,
    /// in the statement that stores it.
    pub fn next(self, event: OfferEvent) -> Result<OfferState, Impossible> {
        use OfferEvent as E;
        use OfferState as S;
        Ok(match (self, event) {
            (S::Offered | S::Seen, E::See) => S::Seen,
            (S::Offered | S::Seen, E::Accept { seat: true }) => S::Accepted,
            (S::Offered | S::Seen, E::Accept { seat: false }) => S::Waitlisted,
            (S::Accepted | S::Hired | S::Waitlisted, E::Accept { .. }) => self,
            (S::Offered | S::Seen | S::Waitlisted | S::Accepted | S::Declined, E::Decline) => S::Declined,
            (S::Offered | S::Seen | S::Expired, E::Expire) => S::Expired,
            (S::Offered | S::Seen | S::Waitlisted | S::Accepted | S::Withdrawn, E::Withdraw) => S::Withdrawn,
            (S::Hired, E::Withdraw) => S::Withdrawn,
            (S::Waitlisted, E::Promote) => S::Offered,
            (S::NotSelected, E::Reject) => S::NotSelected,
            (S::Accepted | S::Waitlisted | S::Offered | S::Seen, E::Reject) => S::NotSelected,
            (_, E::Hire) => S::Hired,
            (state, _) => return Err(Impossible(state)),
        })
    }
}

/// Why an offer came to this worker: a code and the figure behind it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reason {
    pub code: String,
    pub text: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_given_twice_changes_nothing() {
        assert_eq!(OfferState::Accepted.next(OfferEvent::Accept { seat: false }), Ok(OfferState::Accepted));
        assert_eq!(OfferState::Waitlisted.next(OfferEvent::Accept { seat: true }), Ok(OfferState::Waitlisted));
        assert_eq!(OfferState::Declined.next(OfferEvent::Decline), Ok(OfferState::Declined));
    }

    #[test]
    fn what_has_ended_cannot_be_accepted() {
        for ended in [OfferState::Declined, OfferState::Expired, OfferState::Withdrawn, OfferState::NotSelected] {
            assert_eq!(ended.next(OfferEvent::Accept { seat: true }), Err(Impossible(ended)));
        }
    }

    #[test]
    fn an_accepted_offer_can_be_given_back_and_a_waitlisted_one_promoted() {
        assert_eq!(OfferState::Accepted.next(OfferEvent::Decline), Ok(OfferState::Declined));
        assert_eq!(OfferState::Waitlisted.next(OfferEvent::Promote), Ok(OfferState::Offered));
        assert_eq!(OfferState::Offered.next(OfferEvent::Promote), Err(Impossible(OfferState::Offered)));
    }

    #[test]
    fn codes_go_both_ways() {
        for s in OfferState::ALL {
            assert_eq!(OfferState::parse(s.code()), Some(s));
            assert_eq!(serde_json::to_value(s).unwrap(), s.code());
        }
    }
}
