//! Waves of offers: how many a posting wants, and making them under the rules that
//! the store alone decides.
//!
//! Promises: never more unanswered offers than the free openings times `overbook`;
//! never a second offer of a posting or its group to one worker, nor one beyond the
//! cap; nothing under a lease that has passed on.

mod issue;

use super::Store;
use super::engine::bulk::Bulk;
use super::engine::{Sql, StoreError, Val, params};
use super::offers::state;
use super::postings::{self, Posting};
use super::wants::{Counted, Wants};
use super::work::Lease;
use crate::domain::grounds::Grounds;
use crate::domain::id::{OfferId, PostingId};
use crate::domain::offer::OfferState;
use crate::domain::time::Moment;
use std::collections::HashMap;
use std::time::Duration;
use uuid::Uuid;

/// One offer to be made.
#[derive(Clone, Debug)]
pub struct Candidate {
    pub handle: u32,
    pub grounds: Grounds,
    /// The index counts the offer already.
    pub reserved: bool,
}

/// A wave to be made, or a part of one, best first; more candidates than wanted make
/// up for those that the store refuses.
#[derive(Clone, Debug)]
pub struct Wave {
    pub posting: PostingId,
    /// The right to make it; nothing is done once that has passed on.
    pub lease: Option<Lease>,
    pub candidates: Vec<Candidate>,
    /// The index knows nobody else who is eligible.
    pub exhausted: bool,
    /// The rest of it follows in another transaction.
    pub more: bool,
}

/// The rules a wave is made under.
#[derive(Clone, Copy, Debug)]
pub struct WaveTerms {
    pub overbook: f64,
    pub wave_max: u32,
    pub cap: u32,
    pub answer_within: Duration,
    /// When a posting that lacks people is asked for again: somebody's cooldown
    /// ends, another offer expires.
    pub recheck: Duration,
}

/// What a wave came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Issued {
    /// Offers that were wanted when the wave was made.
    pub wanted: u32,
    pub offered: Vec<(OfferId, u32)>,
    /// Handles of candidates that the store refused: the index was behind.
    pub refused: Vec<u32>,
    /// The posting still wants offers and there were more candidates to ask for.
    pub again: bool,
}

/// Offers of a posting by state, its waves, and whom it may not be offered to.
#[derive(Clone, Debug, Default)]
pub struct RoutingState {
    pub by_state: Vec<(OfferState, i64)>,
    /// Wave number, when, wanted, offered.
    pub waves: Vec<(i64, Moment, i64, i64)>,
    /// Handles of those who had an offer of it or of its group.
    pub excluded: Vec<u32>,
    /// Offers it wants now.
    pub wanted: u32,
}

/// What routing must know of a posting before it asks the index.
#[derive(Clone, Debug)]
pub struct Wanted {
    pub posting: Posting,
    /// Offers it wants now.
    pub wants: Wants,
    /// Handles of those who had an offer of it or of its group.
    pub excluded: Vec<u32>,
}

impl WaveTerms {
    /// How many offers a posting with so many free openings wants: those times
    /// `overbook`, less what waits for an answer, at most one wave's.
    pub(super) fn wanted(&self, free: u32, live: u32) -> u32 {
        self.most(free).saturating_sub(live).min(self.wave_max)
    }

    /// Most unanswered offers for so many free openings.
    pub(super) fn most(&self, free: u32) -> u32 {
        (f64::from(free) * self.overbook).ceil() as u32
    }
}

fn keys(ids: impl Iterator<Item = Uuid>) -> Vec<Val> {
    ids.map(Val::from).collect()
}

/// Offers of these postings that wait for an answer, those apart who were promoted.
fn live(s: &mut dyn Sql, ids: &[Val]) -> Result<HashMap<Uuid, u32>, StoreError> {
    static LIVE: Bulk = Bulk::keys(
        "SELECT posting, COUNT(*) FROM offers WHERE closed = 0 AND state IN ('offered', 'seen') AND promoted = 0 AND posting IN {list} GROUP BY posting",
        0,
    );
    LIVE.query(s, &[], ids)?.iter().map(|row| Ok((row.uuid(0)?, row.count(1)?))).collect()
}

/// Who had an offer of these postings or of their groups.
fn excluded(s: &mut dyn Sql, ids: &[Val]) -> Result<HashMap<Uuid, Vec<u32>>, StoreError> {
    static OWN: Bulk = Bulk::keys("SELECT posting, handle FROM offers WHERE posting IN {list}", 0);
    static OF_GROUP: Bulk =
        Bulk::keys("SELECT p.id, o.handle FROM postings p CROSS JOIN offers o WHERE p.id IN {list} AND o.group_key = p.group_key", 0);
    let mut out: HashMap<Uuid, Vec<u32>> = HashMap::new();
    for row in OWN.query(s, &[], ids)?.iter().chain(&OF_GROUP.query(s, &[], ids)?) {
        out.entry(row.uuid(0)?).or_default().push(row.count(1)?);
    }
    for handles in out.values_mut() {
        handles.sort_unstable();
        handles.dedup();
    }
    Ok(out)
}

fn all_wanted(s: &mut dyn Sql, ids: &[PostingId], terms: &WaveTerms) -> Result<Vec<Option<Wanted>>, StoreError> {
    static POSTINGS: Bulk = Bulk::keys(postings::columns!("WHERE p.id IN {list}"), 0);
    let ids_asked = keys(ids.iter().map(|id| id.uuid()));
    let (live, mut excluded) = (live(s, &ids_asked)?, excluded(s, &ids_asked)?);
    let mut found = HashMap::with_capacity(ids.len());
    for row in POSTINGS.query(s, &[], &ids_asked)? {
        let posting = postings::posting(&row)?;
        let id = posting.id.uuid();
        let free = posting.seats.openings.saturating_sub(posting.seats.taken);
        let wants = match Counted::of(&posting.content) {
            Some(counted) => counted.wants(s, posting.id, free, terms)?,
            None => Wants::of_posting(terms.wanted(free, live.get(&id).copied().unwrap_or(0))),
        };
        found.insert(id, Wanted { posting, wants, excluded: excluded.remove(&id).unwrap_or_default() });
    }
    Ok(ids.iter().map(|id| found.remove(&id.uuid())).collect())
}

impl Store {
    /// Makes waves of offers in one transaction; what each came to. A posting stands
    /// there once.
    pub async fn issue_offers(&self, waves: Vec<Wave>, terms: WaveTerms, now: Moment) -> Result<Vec<Issued>, StoreError> {
        self.write(move |tx| issue::all(tx, &waves, &terms, now)).await
    }

    /// What routing must know of postings before it asks the index; none for one
    /// that is not there.
    pub async fn wanted_offers(&self, ids: Vec<PostingId>, terms: WaveTerms) -> Result<Vec<Option<Wanted>>, StoreError> {
        self.read(move |s| all_wanted(s, &ids, &terms)).await
    }

    /// The offers of a posting by state and wave, and what it wants.
    pub async fn routing_state(&self, id: PostingId, terms: WaveTerms) -> Result<Option<(Posting, RoutingState)>, StoreError> {
        self.read(move |s| routing_state(s, id, &terms)).await
    }
}

fn routing_state(s: &mut dyn Sql, id: PostingId, terms: &WaveTerms) -> Result<Option<(Posting, RoutingState)>, StoreError> {
    let Some(p) = postings::by_id(s, id)? else { return Ok(None) };
    let by_state = s.query("SELECT state, COUNT(*) FROM offers WHERE posting = $1 GROUP BY state", params![id.uuid()])?;
    let by_state = by_state.iter().map(|r| Ok((state(r.text(0)?)?, r.int(1)?))).collect::<Result<_, StoreError>>()?;
    let waves = s.query("SELECT wave, at, wanted, offered FROM waves WHERE posting = $1 ORDER BY wave", params![id.uuid()])?;
    let waves =
        waves.iter().map(|r| Ok((r.int(0)?, Moment::from_ms(r.int(1)?), r.int(2)?, r.int(3)?))).collect::<Result<_, StoreError>>()?;
    let ids = keys(std::iter::once(id.uuid()));
    let excluded = excluded(s, &ids)?.remove(&id.uuid()).unwrap_or_default();
    let live = live(s, &ids)?.remove(&id.uuid()).unwrap_or(0);
    let free = p.seats.openings.saturating_sub(p.seats.taken);
    let wanted = match Counted::of(&p.content) {
        Some(counted) => counted.wants(s, id, free, terms)?.offers,
        None => terms.wanted(free, live),
    };
    Ok(Some((p, RoutingState { by_state, waves, excluded, wanted })))
}
