//! Waves of offers: how many a posting wants, and making them under the rules that
//! the store alone decides.
//!
//! Promises: never more unanswered offers than the free openings times `overbook`;
//! never a second offer of a posting or its group to one worker, nor one beyond the
//! cap; nothing under a lease that has passed on.

use super::Store;
use super::engine::{Row, Sql, StoreError, params};
use super::log::ChangeKind;
use super::offers::{pseudonym, state};
use super::postings::{self, Posting};
use super::work::{self, Lease};
use super::writer::Tx;
use crate::domain::id::{OfferId, PostingId, WorkerId};
use crate::domain::offer::{OfferState, Reason};
use crate::domain::posting::Status;
use crate::domain::time::Moment;
use std::time::Duration;

/// One offer to be made.
#[derive(Clone, Debug)]
pub struct Candidate {
    pub handle: u32,
    pub reasons: Vec<Reason>,
}

/// A wave to be made, best first; more candidates than wanted make up for those
/// that the store refuses.
#[derive(Clone, Debug)]
pub struct Wave {
    pub posting: PostingId,
    pub candidates: Vec<Candidate>,
    /// The index knows nobody else who is eligible.
    pub exhausted: bool,
    pub terms: WaveTerms,
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

fn issue(tx: &mut Tx<'_>, wave: &Wave, lease: Option<Lease>, now: Moment) -> Result<Issued, StoreError> {
    if let Some(lease) = lease
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
    let open = match &row {
        Some(row) if row.text(0)? == Status::Open.code() => Some(row),
        _ => None,
    };
    if let Some(row) = open {
        issued.wanted = wanted(tx, id, row.count(1)?, row.count(2)?, &wave.terms)?;
        let number = row.int(3)? + 1;
        if issued.wanted > 0 {
            fill(tx, wave, &mut issued, number, row, now)?;
        }
        short = (issued.offered.len() as u32) < issued.wanted;
        issued.again = short && !wave.exhausted;
        if !issued.offered.is_empty() {
            tx.exec(
                "INSERT INTO waves (posting, wave, at, wanted, offered) VALUES ($1, $2, $3, $4, $5)",
                params![id.uuid(), number, now.ms(), issued.wanted, issued.offered.len() as i64],
            )?;
        }
        tx.exec(
            "UPDATE postings SET short = $2, wave = wave + $3 WHERE id = $1",
            params![id.uuid(), short, i64::from(!issued.offered.is_empty())],
        )?;
    }
    if let Some(lease) = lease
        && !issued.again
    {
        if short {
            work::later(tx, lease, now.plus(wave.terms.recheck))?;
        } else {
            work::done(tx, lease)?;
        }
    }
    Ok(issued)
}

fn fill(tx: &mut Tx<'_>, wave: &Wave, issued: &mut Issued, number: i64, posting: &Row, now: Moment) -> Result<(), StoreError> {
    // Workers are locked in the order of their handles, whoever routes what.
    let mut handles: Vec<u32> = wave.candidates.iter().map(|c| c.handle).collect();
    handles.sort_unstable();
    for handle in handles {
        tx.one("SELECT id FROM workers WHERE handle = $1 {for_update}", params![handle])?;
    }
    for candidate in &wave.candidates {
        if issued.offered.len() as u32 == issued.wanted {
            break;
        }
        let id = OfferId::new(tx.ids.v7(now));
        let reasons = serde_json::to_string(&candidate.reasons).map_err(|e| StoreError::Statement(e.to_string()))?;
        let made = tx.exec(
            "INSERT INTO offers (id, posting, worker, platform, state, wave, reasons, group_key, offered_at, expires_at, updated_at)
             SELECT CAST($1 AS {blob}), CAST($2 AS {blob}), w.id, CAST($4 AS TEXT), 'offered', CAST($5 AS BIGINT), CAST($6 AS TEXT),
               CAST($7 AS {blob}), CAST($8 AS BIGINT), CAST($9 AS BIGINT), CAST($8 AS BIGINT)
             FROM workers w WHERE w.handle = $3 AND w.consent_on IS NOT NULL AND w.paused = 0 AND w.looking = 1 AND w.cooling_until <= $8
               AND (SELECT COUNT(*) FROM offers o JOIN postings p ON p.id = o.posting
                    WHERE o.worker = w.id AND o.state IN ('offered', 'seen') AND p.status <> 'filled') < $10
             ON CONFLICT DO NOTHING",
            params![
                id.uuid(),
                wave.posting.uuid(),
                candidate.handle,
                posting.text(5)?,
                number,
                reasons,
                posting.blob(4)?,
                now.ms(),
                now.plus(wave.terms.answer_within).ms(),
                wave.terms.cap
            ],
        )?;
        if made == 0 {
            issued.refused += 1;
            continue;
        }
        if let Some(worker) = tx.one("SELECT worker FROM offers WHERE id = $1", params![id.uuid()])? {
            pseudonym(tx, posting.text(5)?, WorkerId::new(worker.uuid(0)?))?;
            tx.log.change(ChangeKind::Worker, worker.uuid(0)?, 0, now);
        }
        issued.offered.push((id, candidate.handle));
    }
    Ok(())
}

impl Store {
    /// Makes a wave of offers, under the lease of the routing work.
    pub async fn issue_offers(&self, wave: Wave, lease: Option<Lease>, now: Moment) -> Result<Issued, StoreError> {
        self.write(move |tx| issue(tx, &wave, lease, now)).await
    }

    /// What routing must know of a posting before it asks the index.
    pub async fn routing_state(&self, id: PostingId, terms: WaveTerms) -> Result<Option<(Posting, RoutingState)>, StoreError> {
        self.read(move |s| {
            let Some(p) = postings::by_id(s, id)? else { return Ok(None) };
            let by_state = s.query("SELECT state, COUNT(*) FROM offers WHERE posting = $1 GROUP BY state", params![id.uuid()])?;
            let by_state = by_state.iter().map(|r| Ok((state(r.text(0)?)?, r.int(1)?))).collect::<Result<_, StoreError>>()?;
            let waves = s.query("SELECT wave, at, wanted, offered FROM waves WHERE posting = $1 ORDER BY wave", params![id.uuid()])?;
            let waves = waves
                .iter()
                .map(|r| Ok((r.int(0)?, Moment::from_ms(r.int(1)?), r.int(2)?, r.int(3)?)))
                .collect::<Result<_, StoreError>>()?;
            let excluded = s.query(
                "SELECT w.handle FROM offers o JOIN workers w ON w.id = o.worker WHERE o.posting = $1
                 UNION SELECT w.handle FROM offers o JOIN workers w ON w.id = o.worker
                   WHERE o.group_key = (SELECT group_key FROM postings WHERE id = $1)",
                params![id.uuid()],
            )?;
            let excluded = excluded.iter().map(|r| r.count(0)).collect::<Result<_, _>>()?;
            let wanted = wanted(s, id, p.seats.openings, p.seats.taken, &terms)?;
            Ok(Some((p, RoutingState { by_state, waves, excluded, wanted })))
        })
        .await
    }
}
