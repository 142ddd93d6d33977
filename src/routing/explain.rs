//! Why one worker did or did not get one posting: the offer they have, else the first
//! condition that stands in the way, else how many come before them.

use super::{Index, Of, Router, question};
use crate::domain::eligibility::{Obstacle, Question, Terms, first_obstacle};
use crate::domain::id::{OfferId, PostingId, WorkerId};
use crate::domain::offer::OfferState;
use crate::domain::posting::Status;
use crate::domain::time::Moment;
use crate::store::StoreError;

/// Why a worker did or did not get a posting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Explanation {
    /// They were offered it.
    Offered {
        offer: OfferId,
        state: OfferState,
    },
    Failed(Condition),
    /// They suit; so many come first, and the posting wants so many more.
    Ranked {
        ahead: usize,
        wanted: u32,
    },
}

/// What a posting or a worker has to be. In the order in which they are asked: whether
/// the posting is routed at all, whether the worker suits, whether it wants more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Condition {
    /// The posting is closed, expired, paused or filled.
    Posting(Status),
    /// The posting waits for an operator to look at it.
    Held,
    /// The posting has no resolved place.
    WithoutPlace,
    /// They were offered the same work under another posting.
    OfferedBefore,
    Worker(Obstacle),
    /// People of their home county have all the seats that it may have.
    CountyFilled,
    /// As many offers wait for an answer as the posting may have.
    NoWaveWanted,
}

impl Condition {
    /// The step that failed, or what it is with the posting.
    pub fn code(self) -> &'static str {
        match self {
            Condition::Posting(Status::Open) => "posting_open",
            Condition::Posting(Status::Paused) => "posting_paused",
            Condition::Posting(Status::Filled) => "posting_filled",
            Condition::Posting(Status::Closed) => "posting_closed",
            Condition::Posting(Status::Expired) => "posting_expired",
            Condition::Held => "held_for_review",
            Condition::WithoutPlace => "posting_without_place",
            Condition::OfferedBefore => "offered_before",
            Condition::Worker(obstacle) => obstacle.step().code(),
            Condition::CountyFilled => "county_filled",
            Condition::NoWaveWanted => "no_wave_wanted",
        }
    }

    /// What a step of the worker turned on.
    pub fn detail(self) -> Option<&'static str> {
        if let Condition::Worker(obstacle) = self { Some(obstacle.code()) } else { None }
    }
}

impl Router {
    /// Why this worker did or did not get this posting; none where there is no such
    /// worker or posting.
    pub async fn explain(&self, posting: PostingId, worker: WorkerId, now: Moment) -> Result<Option<Explanation>, StoreError> {
        self.catch_up().await?;
        let (Some((known, state)), Some(seeker)) = (self.store.routing_state(posting, self.terms).await?, self.store.seeker(worker).await?)
        else {
            return Ok(None);
        };
        if let Some(offer) = self.store.offer_of(posting, worker).await? {
            return Ok(Some(Explanation::Offered { offer: offer.id, state: offer.state }));
        }
        let failed = |condition| Ok(Some(Explanation::Failed(condition)));
        match known.status {
            status @ (Status::Closed | Status::Expired | Status::Paused) => return failed(Condition::Posting(status)),
            // The clock may not have come round to it.
            _ if known.content.valid_through < now.day() => return failed(Condition::Posting(Status::Expired)),
            Status::Open | Status::Filled => {}
        }
        if known.held {
            return failed(Condition::Held);
        }
        let Some(mut q) = question(&known) else { return failed(Condition::WithoutPlace) };
        if state.excluded.contains(&seeker.handle) {
            return failed(Condition::OfferedBefore);
        }
        let terms = self.terms(now);
        if let Some(obstacle) = first_obstacle(&q, &seeker, terms) {
            return failed(Condition::Worker(obstacle));
        }
        if known.status == Status::Filled {
            return failed(Condition::Posting(Status::Filled));
        }
        let mut wanted = state.wanted;
        if known.content.openings_per_county.is_some() {
            let counties = self.store.county_seats(posting).await?;
            if counties.iter().any(|c| c.region == seeker.home && c.taken >= c.openings) {
                return failed(Condition::CountyFilled);
            }
            // Only people of one's own county come before, and only what it wants counts.
            q.homes = Some([seeker.home].into_iter().collect());
            let wants = self.store.wanted_offers(vec![posting], self.terms).await?.pop().flatten().map(|w| w.wants);
            let of_county = wants.and_then(|w| w.of_county).and_then(|counties| counties.get(&seeker.home).copied());
            wanted = wanted.min(of_county.unwrap_or(0));
        }
        if wanted == 0 {
            return failed(Condition::NoWaveWanted);
        }
        let (index, handle) = (self.index(), seeker.handle);
        let count = move || before(&*index, &q, handle, &state.excluded, terms);
        let ahead = tokio::task::spawn_blocking(count).await.map_err(|e| StoreError::Statement(e.to_string()))?;
        Ok(Some(Explanation::Ranked { ahead, wanted }))
    }
}

/// How many come before a worker. More and more are asked for, so that the cost
/// follows their place and not the nation.
fn before(index: &dyn Index, q: &Question, handle: u32, excluded: &[u32], terms: Terms) -> usize {
    let mut k = 64;
    loop {
        let found = index.best(Of::Everybody, q, k, excluded, terms);
        if let Some(at) = found.matches.iter().position(|m| m.handle == handle) {
            return at;
        }
        // Somebody who has come or changed since the index was asked comes last.
        if found.exhausted || k >= index.len() {
            return found.matches.len();
        }
        k = (k * 8).min(index.len());
    }
}
