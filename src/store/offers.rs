//! Offers: made in waves, answered under a deadline that stands in the statement,
//! given back, expired.

use super::engine::{Row, Sql, StoreError, params};
use super::log::ChangeKind;
use super::postings::Posting;
use super::seats::{self, Taken};
use super::work::{self, Lease};
use super::writer::Tx;
use super::{Store, access, postings};
use crate::domain::id::{OfferId, PostingId, Pseudonym, WorkerId};
use crate::domain::offer::{OfferEvent, OfferState, Reason};
use crate::domain::posting::Status;
use crate::domain::region::Region;
use crate::domain::time::Moment;
use serde_json::json;
use std::time::Duration;

/// An offer as the store has it.
#[derive(Clone, Debug)]
pub struct Offer {
    pub id: OfferId,
    pub posting: PostingId,
    pub worker: WorkerId,
    pub platform: String,
    pub title: String,
    pub state: OfferState,
    pub wave: i64,
    pub reasons: Vec<Reason>,
    pub offered_at: Moment,
    pub expires_at: Moment,
    pub promoted: bool,
    pub share_contact: bool,
    /// When it first took a seat.
    pub accepted_at: Option<Moment>,
    /// Place in the waitlist, from 1.
    pub position: Option<i64>,
    /// Who answered for the worker, and how.
    pub answered_by: Option<String>,
    pub method: Option<String>,
}

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

/// Who answers.
#[derive(Clone, Debug)]
pub enum Answerer {
    /// The worker.
    Worker(WorkerId),
    /// An office for one of the people in its region.
    Office { region: Region, client: String, method: String },
}

/// An answer to an offer.
#[derive(Clone, Debug)]
pub struct Answering {
    pub offer: OfferId,
    pub by: Answerer,
    /// Agrees that name and phone go to the platform.
    pub share_contact: bool,
    pub reason: Option<String>,
    pub promoted_within: Duration,
    pub cooldown: Duration,
}

/// Why an answer was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// There is none, or it is not the caller's.
    NotFound,
    /// The offer is in a state that takes no such answer.
    Over(OfferState),
}

macro_rules! columns {
    ($tail:literal) => {
        concat!(
            "SELECT o.id, o.posting, o.worker, o.platform, o.state, o.wave, o.reasons, o.offered_at, o.expires_at, o.promoted,
               o.share_contact, o.answered_by, o.method, p.content,
               CASE WHEN o.state = 'waitlisted' THEN
                 (SELECT COUNT(*) FROM offers q WHERE q.posting = o.posting AND q.state = 'waitlisted' AND q.waiting <= o.waiting) END, o.accepted_at
             FROM offers o JOIN postings p ON p.id = o.posting ",
            $tail
        )
    };
}

fn state(text: &str) -> Result<OfferState, StoreError> {
    OfferState::parse(text).ok_or_else(|| StoreError::Corrupt("an offer's state".to_owned()))
}

fn offer(row: &Row) -> Result<Offer, StoreError> {
    let content: serde_json::Value =
        serde_json::from_str(row.text(13)?).map_err(|_| StoreError::Corrupt("a posting's content".to_owned()))?;
    Ok(Offer {
        id: OfferId::new(row.uuid(0)?),
        posting: PostingId::new(row.uuid(1)?),
        worker: WorkerId::new(row.uuid(2)?),
        platform: row.text(3)?.to_owned(),
        title: content["title"].as_str().unwrap_or_default().to_owned(),
        state: state(row.text(4)?)?,
        wave: row.int(5)?,
        reasons: serde_json::from_str(row.text(6)?).map_err(|_| StoreError::Corrupt("an offer's reasons".to_owned()))?,
        offered_at: Moment::from_ms(row.int(7)?),
        expires_at: Moment::from_ms(row.int(8)?),
        promoted: row.flag(9)?,
        share_contact: row.flag(10)?,
        accepted_at: row.opt_int(15)?.map(Moment::from_ms),
        position: row.opt_int(14)?,
        answered_by: row.opt_text(11)?.map(str::to_owned),
        method: row.opt_text(12)?.map(str::to_owned),
    })
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

/// Finds an offer that the answerer may answer, and locks its posting.
fn reach(tx: &mut Tx<'_>, a: &Answering) -> Result<Option<Offer>, StoreError> {
    let Some(row) = tx.one("SELECT posting, worker FROM offers WHERE id = $1", params![a.offer.uuid()])? else { return Ok(None) };
    let worker = WorkerId::new(row.uuid(1)?);
    let may = match &a.by {
        Answerer::Worker(who) => *who == worker,
        Answerer::Office { region, .. } => home_of(tx, worker)?.is_some_and(|home| home.is_within(*region)),
    };
    if !may {
        return Ok(None);
    }
    seats::lock(tx, PostingId::new(row.uuid(0)?))?;
    tx.one(columns!("WHERE o.id = $1"), params![a.offer.uuid()])?.as_ref().map(offer).transpose()
}

/// Where a worker who has not been erased is at home.
pub(super) fn home_of(s: &mut dyn Sql, worker: WorkerId) -> Result<Option<Region>, StoreError> {
    let row = s.one("SELECT home FROM workers WHERE id = $1 AND erased_at IS NULL", params![worker.uuid()])?;
    row.map(|r| super::region(r.int(0)?)).transpose()
}

/// An answer for somebody else stands in the access log with it.
fn log_on_behalf(tx: &mut Tx<'_>, a: &Answering, worker: WorkerId, action: &str, now: Moment) -> Result<(), StoreError> {
    match &a.by {
        Answerer::Worker(_) => Ok(()),
        Answerer::Office { client, .. } => access::record(tx, client, action, Some(worker), "", &a.offer.to_string(), now),
    }
}

fn on_behalf(by: &Answerer) -> (Option<&str>, Option<&str>) {
    match by {
        Answerer::Worker(_) => (None, None),
        Answerer::Office { client, method, .. } => (Some(client), Some(method)),
    }
}

fn accept(tx: &mut Tx<'_>, a: &Answering, now: Moment) -> Result<Result<Offer, Refusal>, StoreError> {
    let Some(o) = reach(tx, a)? else { return Ok(Err(Refusal::NotFound)) };
    match o.state.next(OfferEvent::Accept { seat: true }) {
        Err(impossible) => return Ok(Err(Refusal::Over(impossible.0))),
        Ok(same) if same == o.state => return Ok(Ok(o)),
        Ok(_) => {}
    }
    let holds_seat = o.promoted;
    let (by, method) = on_behalf(&a.by);
    let in_time = tx.exec(
        "UPDATE offers SET state = 'accepted', answered_at = $2, updated_at = $2, share_contact = $3, answered_by = $4, method = $5
         WHERE id = $1 AND state IN ('offered', 'seen') AND expires_at > $2",
        params![o.id.uuid(), now.ms(), a.share_contact, by, method],
    )?;
    if in_time == 0 {
        expire(tx, &o, now)?;
        seats::settle(tx, o.posting, now, a.promoted_within)?;
        return Ok(Err(Refusal::Over(OfferState::Expired)));
    }
    log_on_behalf(tx, a, o.worker, "accept_on_behalf", now)?;
    let seat = if holds_seat { Taken::Seat } else { seats::take(tx, o.posting, now)? };
    match seat {
        Taken::Seat => {
            tx.exec("UPDATE offers SET accepted_at = $2 WHERE id = $1", params![o.id.uuid(), now.ms()])?;
            let pseudonym = pseudonym(tx, &o.platform, o.worker)?;
            seats::tell(tx, o.posting, "offer.accepted", json!({"offer": o.id, "worker": pseudonym}), now)?;
        }
        Taken::Full => {
            tx.exec("UPDATE postings SET queue = queue + 1 WHERE id = $1", params![o.posting.uuid()])?;
            tx.exec(
                "UPDATE offers SET state = 'waitlisted', waiting = (SELECT queue FROM postings WHERE id = $2) WHERE id = $1",
                params![o.id.uuid(), o.posting.uuid()],
            )?;
        }
        Taken::Gone => {
            let sql = "UPDATE offers SET state = 'withdrawn', reason = 'posting_closed' WHERE id = $1";
            tx.exec(sql, params![o.id.uuid()])?;
        }
    }
    tx.log.change(ChangeKind::Worker, o.worker.uuid(), 0, now);
    seats::settle(tx, o.posting, now, a.promoted_within)?;
    if seat == Taken::Gone {
        return Ok(Err(Refusal::Over(OfferState::Withdrawn)));
    }
    Ok(by_id(tx, o.id)?.ok_or(Refusal::NotFound))
}

fn decline(tx: &mut Tx<'_>, a: &Answering, now: Moment) -> Result<Result<Offer, Refusal>, StoreError> {
    let Some(o) = reach(tx, a)? else { return Ok(Err(Refusal::NotFound)) };
    match o.state.next(OfferEvent::Decline) {
        Err(impossible) => return Ok(Err(Refusal::Over(impossible.0))),
        Ok(same) if same == o.state => return Ok(Ok(o)),
        Ok(_) => {}
    }
    if o.state.unanswered() && o.expires_at <= now {
        expire(tx, &o, now)?;
        seats::settle(tx, o.posting, now, a.promoted_within)?;
        return Ok(Err(Refusal::Over(OfferState::Expired)));
    }
    let (by, method) = on_behalf(&a.by);
    tx.exec(
        "UPDATE offers SET state = 'declined', waiting = NULL, reason = $3, answered_at = $2, updated_at = $2, answered_by = $4, method = $5 WHERE id = $1",
        params![o.id.uuid(), now.ms(), a.reason.as_deref(), by, method],
    )?;
    log_on_behalf(tx, a, o.worker, "decline_on_behalf", now)?;
    tx.exec("UPDATE workers SET cooling_until = $2 WHERE id = $1", params![o.worker.uuid(), now.plus(a.cooldown).ms()])?;
    if o.state.seated() || (o.promoted && o.state.unanswered()) {
        seats::free(tx, o.posting, now)?;
    }
    if o.state == OfferState::Accepted {
        withdrawn(tx, &o, "worker", now)?;
    }
    tx.log.change(ChangeKind::Worker, o.worker.uuid(), 0, now);
    seats::settle(tx, o.posting, now, a.promoted_within)?;
    Ok(by_id(tx, o.id)?.ok_or(Refusal::NotFound))
}

/// Tells the platform that an offer it counted on is gone.
pub(super) fn withdrawn(tx: &mut Tx<'_>, o: &Offer, by: &str, now: Moment) -> Result<(), StoreError> {
    let pseudonym = pseudonym(tx, &o.platform, o.worker)?;
    seats::tell(tx, o.posting, "offer.withdrawn", json!({"offer": o.id, "worker": pseudonym, "by": by}), now)
}

/// Marks an offer expired whose deadline has passed; a seat it held is freed.
fn expire(tx: &mut Tx<'_>, o: &Offer, now: Moment) -> Result<(), StoreError> {
    let sql = "UPDATE offers SET state = 'expired', updated_at = $2 WHERE id = $1 AND state IN ('offered', 'seen') AND expires_at <= $2";
    if tx.exec(sql, params![o.id.uuid(), now.ms()])? == 1 {
        if o.promoted {
            seats::free(tx, o.posting, now)?;
        }
        tx.log.change(ChangeKind::Worker, o.worker.uuid(), 0, now);
    }
    Ok(())
}

/// The pseudonym under which a platform knows a worker, made with the first offer.
pub(super) fn pseudonym(tx: &mut Tx<'_>, platform: &str, worker: WorkerId) -> Result<Pseudonym, StoreError> {
    let fresh = tx.ids.v4();
    tx.exec(
        "INSERT INTO pseudonyms (platform, worker, pseudonym) VALUES ($1, $2, $3) ON CONFLICT (platform, worker) DO NOTHING",
        params![platform, worker.uuid(), fresh],
    )?;
    let row = tx.one("SELECT pseudonym FROM pseudonyms WHERE platform = $1 AND worker = $2", params![platform, worker.uuid()])?;
    row.map_or(Ok(Pseudonym::new(fresh)), |r| r.uuid(0).map(Pseudonym::new))
}

/// An offer by id.
pub(super) fn by_id(s: &mut dyn Sql, id: OfferId) -> Result<Option<Offer>, StoreError> {
    s.one(columns!("WHERE o.id = $1"), params![id.uuid()])?.as_ref().map(offer).transpose()
}

/// A worker's offer of one posting.
pub(super) fn of_pair(s: &mut dyn Sql, posting: PostingId, worker: WorkerId) -> Result<Option<Offer>, StoreError> {
    s.one(columns!("WHERE o.posting = $1 AND o.worker = $2"), params![posting.uuid(), worker.uuid()])?.as_ref().map(offer).transpose()
}

/// A worker's offers that hold a seat or wait for one.
pub(super) fn held_by(s: &mut dyn Sql, worker: WorkerId) -> Result<Vec<Offer>, StoreError> {
    let sql = columns!("WHERE o.worker = $1 AND o.state IN ('accepted', 'waitlisted') ORDER BY o.id");
    s.query(sql, params![worker.uuid()])?.iter().map(offer).collect()
}

/// How a list of offers is narrowed; each caller sets what they may see.
#[derive(Clone, Debug, Default)]
pub struct OfferFilter {
    pub platform: Option<String>,
    pub region: Option<Region>,
    pub posting: Option<PostingId>,
    pub worker: Option<WorkerId>,
    pub state: Option<OfferState>,
    pub after: Option<OfferId>,
    pub limit: i64,
}

/// An offer in a list, with the worker as its platform knows them.
#[derive(Clone, Debug)]
pub struct ListedOffer {
    pub offer: Offer,
    pub home: Region,
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

impl Store {
    /// Makes a wave of offers, under the lease of the routing work.
    pub async fn issue_offers(&self, wave: Wave, lease: Option<Lease>, now: Moment) -> Result<Issued, StoreError> {
        self.write(move |tx| issue(tx, &wave, lease, now)).await
    }

    /// A worker, or somebody for them, says yes.
    pub async fn accept_offer(&self, answering: Answering, now: Moment) -> Result<Result<Offer, Refusal>, StoreError> {
        self.write(move |tx| accept(tx, &answering, now)).await
    }

    /// A worker, or somebody for them, says no, or gives an accepted offer back.
    pub async fn decline_offer(&self, answering: Answering, now: Moment) -> Result<Result<Offer, Refusal>, StoreError> {
        self.write(move |tx| decline(tx, &answering, now)).await
    }

    /// A worker's offers were looked at by a person.
    pub async fn mark_seen(&self, worker: WorkerId, now: Moment) -> Result<u64, StoreError> {
        self.write(move |tx| {
            let sql = "UPDATE offers SET state = 'seen', seen_at = $2, updated_at = $2 WHERE worker = $1 AND state = 'offered' AND expires_at > $2";
            tx.exec(sql, params![worker.uuid(), now.ms()])
        })
        .await
    }

    /// Expires offers whose deadline has passed, and tops their postings up.
    pub async fn expire_offers(&self, promoted_within: Duration, now: Moment) -> Result<usize, StoreError> {
        self.write(move |tx| {
            let sql = columns!("WHERE o.state IN ('offered', 'seen') AND o.expires_at <= $1 ORDER BY o.posting LIMIT 500");
            let due: Vec<Offer> = tx.query(sql, params![now.ms()])?.iter().map(offer).collect::<Result<_, _>>()?;
            let mut posting = None;
            for o in &due {
                if posting != Some(o.posting) {
                    seats::lock(tx, o.posting)?;
                    posting = Some(o.posting);
                }
                expire(tx, o, now)?;
            }
            let mut settled: Vec<PostingId> = due.iter().map(|o| o.posting).collect();
            settled.dedup();
            for posting in settled {
                seats::settle(tx, posting, now, promoted_within)?;
            }
            Ok(due.len())
        })
        .await
    }

    /// An offer, whoever's it is.
    pub async fn offer(&self, id: OfferId) -> Result<Option<Offer>, StoreError> {
        self.read(move |s| by_id(s, id)).await
    }

    /// One page of offers, and how many there are in all.
    pub async fn offers(&self, f: OfferFilter) -> Result<(Vec<ListedOffer>, i64), StoreError> {
        // One text for the page and the count, so that they cannot differ.
        macro_rules! matching {
            () => {
                "JOIN workers w ON w.id = o.worker
                 WHERE (CAST($1 AS TEXT) IS NULL OR o.platform = $1) AND (CAST($2 AS {blob}) IS NULL OR o.posting = $2)
                 AND (CAST($3 AS {blob}) IS NULL OR o.worker = $3) AND (CAST($4 AS TEXT) IS NULL OR o.state = $4)"
            };
        }
        let region = f.region;
        self.read(move |s| {
            let within = |home: i64| super::region(home).map(|h| region.is_none_or(|r| h.is_within(r)));
            let narrowed =
                params![f.platform.as_deref(), f.posting.map(PostingId::uuid), f.worker.map(WorkerId::uuid), f.state.map(OfferState::code)];
            let mut total = 0;
            let counts = s.query(concat!("SELECT w.home, COUNT(*) FROM offers o ", matching!(), " GROUP BY w.home"), narrowed)?;
            for row in &counts {
                total += if within(row.int(0)?)? { row.int(1)? } else { 0 };
            }
            let mut page = Vec::new();
            let mut after = access::after(f.after.map(OfferId::uuid));
            while (page.len() as i64) < f.limit {
                let mut all = narrowed.to_vec();
                all.extend_from_slice(params![after.clone(), f.limit]);
                let sql = concat!("SELECT o.id, w.home FROM offers o ", matching!(), " AND o.id > $5 ORDER BY o.id LIMIT $6");
                let rows = s.query(sql, &all)?;
                for row in &rows {
                    after = row.0[0].clone();
                    if within(row.int(1)?)? && (page.len() as i64) < f.limit {
                        let id = OfferId::new(row.uuid(0)?);
                        if let Some(offer) = by_id(s, id)? {
                            page.push(ListedOffer { offer, home: super::region(row.int(1)?)? });
                        }
                    }
                }
                if (rows.len() as i64) < f.limit {
                    break;
                }
            }
            Ok((page, total))
        })
        .await
    }

    /// A worker's offers, newest first, with their postings.
    pub async fn worker_offers(&self, worker: WorkerId, limit: i64) -> Result<Vec<(Offer, Posting)>, StoreError> {
        self.read(move |s| {
            let sql = columns!("WHERE o.worker = $1 ORDER BY o.id DESC LIMIT $2");
            let offers: Vec<Offer> = s.query(sql, params![worker.uuid(), limit])?.iter().map(offer).collect::<Result<_, _>>()?;
            let mut out = Vec::with_capacity(offers.len());
            for o in offers {
                if let Some(p) = postings::by_id(s, o.posting)? {
                    out.push((o, p));
                }
            }
            Ok(out)
        })
        .await
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

    /// Offers by state over everything, for the demo's table.
    pub async fn offer_counts(&self) -> Result<Vec<(OfferState, i64)>, StoreError> {
        self.read(|s| {
            let rows = s.query("SELECT state, COUNT(*) FROM offers GROUP BY state ORDER BY state", &[])?;
            rows.iter().map(|r| Ok((state(r.text(0)?)?, r.int(1)?))).collect()
        })
        .await
    }

    /// The pseudonyms of workers towards a platform, where it has been given any.
    pub async fn pseudonyms(&self, pairs: Vec<(String, WorkerId)>) -> Result<Vec<Option<Pseudonym>>, StoreError> {
        self.read(move |s| {
            let mut out = Vec::with_capacity(pairs.len());
            for (platform, worker) in &pairs {
                let sql = "SELECT pseudonym FROM pseudonyms WHERE platform = $1 AND worker = $2";
                let row = s.one(sql, params![platform.as_str(), worker.uuid()])?;
                out.push(row.map(|r| r.uuid(0).map(Pseudonym::new)).transpose()?);
            }
            Ok(out)
        })
        .await
    }
}
