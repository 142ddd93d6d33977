//! Waves of offers: how many a posting wants, and making them under the rules that
//! the store alone decides.
//!
//! Promises: never more unanswered offers than the free openings times `overbook`;
//! never a second offer of a posting or its group to one worker, nor one beyond the
//! cap; nothing under a lease that has passed on.

use super::Store;
use super::engine::{Row, Sql, StoreError, params};
use super::log::ChangeKind;
use super::offers::state;
use super::postings::{self, Posting};
use super::work::{self, Lease};
use super::writer::Tx;
use crate::domain::id::{OfferId, PostingId};
use crate::domain::offer::{OfferState, Reason};
use crate::domain::posting::Status;
use crate::domain::time::Moment;
use std::collections::HashMap;
use std::time::Duration;
use uuid::Uuid;

/// One offer to be made.
#[derive(Clone, Debug)]
pub struct Candidate {
    pub handle: u32,
    pub reasons: Vec<Reason>,
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
    /// Candidates that the store refused: the index was behind.
    pub refused: u32,
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

/// How many offers a posting wants now: the free openings times `overbook`, less
/// those that wait for an answer, at most one wave's.
fn wanted(s: &mut dyn Sql, id: PostingId, openings: u32, taken: u32, terms: &WaveTerms) -> Result<u32, StoreError> {
    let live =
        s.one("SELECT COUNT(*) FROM offers WHERE posting = $1 AND state IN ('offered', 'seen') AND promoted = 0", params![id.uuid()])?;
    let live = live.map_or(Ok(0), |r| r.count(0))?;
    let most = (f64::from(openings.saturating_sub(taken)) * terms.overbook).ceil() as u32;
    Ok(most.saturating_sub(live).min(terms.wave_max))
}

/// The number of the wave that is made now: parts of one are made at one moment.
fn number(tx: &mut Tx<'_>, posting: PostingId, last: i64, now: Moment) -> Result<i64, StoreError> {
    let sql = "SELECT at FROM waves WHERE posting = $1 AND wave = $2";
    let begun = tx.one(sql, params![posting.uuid(), last])?.is_some_and(|row| row.int(0) == Ok(now.ms()));
    Ok(if begun { last } else { last + 1 })
}

fn issue(tx: &mut Tx<'_>, wave: &Wave, room: &mut Room, terms: &WaveTerms, now: Moment) -> Result<Issued, StoreError> {
    if let Some(lease) = wave.lease
        && !work::holds(tx, lease)?
    {
        return Ok(Issued::default());
    }
    let id = wave.posting;
    let row = tx.one(
        "SELECT status, openings, taken, wave, group_key, platform FROM postings WHERE id = $1 AND closes_at > $2 {for_update}",
        params![id.uuid(), now.ms()],
    )?;
    let mut issued = Issued::default();
    let mut short = false;
    if let Some(row) = row
        && row.text(0)? == Status::Open.code()
    {
        issued.wanted = wanted(tx, id, row.count(1)?, row.count(2)?, terms)?;
        let number = number(tx, id, row.int(3)?, now)?;
        if issued.wanted > 0 {
            fill(tx, wave, room, &mut issued, (number, &row), terms, now)?;
        }
        short = (issued.offered.len() as u32) < issued.wanted;
        issued.again = short && (wave.more || !wave.exhausted);
        if !issued.offered.is_empty() {
            tx.exec(
                "INSERT INTO waves (posting, wave, at, wanted, offered) VALUES ($1, $2, $3, $4, $5)
                 ON CONFLICT (posting, wave) DO UPDATE SET offered = waves.offered + excluded.offered",
                params![id.uuid(), number, now.ms(), issued.wanted, issued.offered.len() as i64],
            )?;
        }
        let last = if issued.offered.is_empty() { row.int(3)? } else { number };
        tx.exec("UPDATE postings SET short = $2, wave = $3 WHERE id = $1", params![id.uuid(), short, last])?;
    }
    match wave.lease {
        None => {}
        Some(_) if wave.more => {}
        // Where everybody was refused the index must catch up first.
        Some(lease) if issued.again && issued.offered.is_empty() => work::later(tx, lease, now.plus(CATCH_UP))?,
        Some(lease) if issued.again => work::later(tx, lease, now)?,
        Some(lease) if short => work::later(tx, lease, now.plus(terms.recheck))?,
        Some(lease) => work::done(tx, lease).map(drop)?,
    }
    Ok(issued)
}

/// How long a posting waits whose candidates were all refused.
const CATCH_UP: Duration = Duration::from_secs(1);

/// The candidates of one transaction who may have an offer: their ids, and how many
/// more they may hold.
type Room = HashMap<u32, (Uuid, u32)>;

/// Locks the candidates, in the order of their handles, whoever routes what.
fn room(tx: &mut Tx<'_>, waves: &[Wave], cap: u32, now: Moment) -> Result<Room, StoreError> {
    let mut handles: Vec<u32> = waves.iter().flat_map(|wave| &wave.candidates).map(|c| c.handle).collect();
    handles.sort_unstable();
    handles.dedup();
    let mut room = Room::with_capacity(handles.len());
    for handle in handles {
        let row = tx.one(
            "SELECT w.id, (SELECT COUNT(*) FROM offers o JOIN postings p ON p.id = o.posting
               WHERE o.worker = w.id AND o.state IN ('offered', 'seen') AND p.status <> 'filled')
             FROM workers w WHERE w.handle = $1 AND w.consent_on IS NOT NULL AND w.paused = 0 AND w.looking = 1 AND w.cooling_until <= $2
             {for_update}",
            params![handle, now.ms()],
        )?;
        if let Some(row) = row {
            room.insert(handle, (row.uuid(0)?, cap.saturating_sub(row.count(1)?)));
        }
    }
    Ok(room)
}

fn fill(
    tx: &mut Tx<'_>,
    wave: &Wave,
    room: &mut Room,
    issued: &mut Issued,
    (number, posting): (i64, &Row),
    terms: &WaveTerms,
    now: Moment,
) -> Result<(), StoreError> {
    for candidate in &wave.candidates {
        if issued.offered.len() as u32 == issued.wanted {
            break;
        }
        let Some((worker, left)) = room.get_mut(&candidate.handle).filter(|(_, left)| *left > 0) else {
            issued.refused += 1;
            continue;
        };
        let id = OfferId::new(tx.ids.v7(now));
        let reasons = serde_json::to_string(&candidate.reasons).map_err(|e| StoreError::Statement(e.to_string()))?;
        let made = tx.exec(
            "INSERT INTO offers (id, posting, worker, platform, state, wave, reasons, group_key, offered_at, expires_at, updated_at)
             VALUES ($1, $2, $3, $4, 'offered', $5, $6, $7, $8, $9, $8) ON CONFLICT DO NOTHING",
            params![
                id.uuid(),
                wave.posting.uuid(),
                *worker,
                posting.text(5)?,
                number,
                reasons,
                posting.blob(4)?,
                now.ms(),
                now.plus(terms.answer_within).ms()
            ],
        )?;
        if made == 0 {
            issued.refused += 1;
            continue;
        }
        *left -= 1;
        tx.log.change(ChangeKind::Worker, *worker, 0, now);
        issued.offered.push((id, candidate.handle));
    }
    Ok(())
}

impl Store {
    /// Makes waves of offers in one transaction; what each came to.
    pub async fn issue_offers(&self, waves: Vec<Wave>, terms: WaveTerms, now: Moment) -> Result<Vec<Issued>, StoreError> {
        self.write(move |tx| {
            let mut room = room(tx, &waves, terms.cap, now)?;
            waves.iter().map(|wave| issue(tx, wave, &mut room, &terms, now)).collect()
        })
        .await
    }

    /// What routing must know of postings before it asks the index; none for one
    /// that is not there.
    pub async fn routing_states(&self, ids: Vec<PostingId>, terms: WaveTerms) -> Result<Vec<Option<(Posting, RoutingState)>>, StoreError> {
        self.read(move |s| ids.iter().map(|id| routing_state(s, *id, &terms)).collect()).await
    }

    /// [`Store::routing_states`] of one.
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
    let excluded = s.query(
        "SELECT w.handle FROM offers o JOIN workers w ON w.id = o.worker WHERE o.posting = $1
         UNION SELECT w.handle FROM offers o JOIN workers w ON w.id = o.worker
           WHERE o.group_key = (SELECT group_key FROM postings WHERE id = $1)",
        params![id.uuid()],
    )?;
    let excluded = excluded.iter().map(|r| r.count(0)).collect::<Result<_, _>>()?;
    let wanted = wanted(s, id, p.seats.openings, p.seats.taken, terms)?;
    Ok(Some((p, RoutingState { by_state, waves, excluded, wanted })))
}
