//! Answers to offers: yes, no, given back, too late. The deadline stands in the
//! statement that answers.

use super::engine::{Sql, StoreError, params};
use super::log::ChangeKind;
use super::offers::{COLUMNS, Offer, by_id, columns, home_of, offer, pseudonym, withdrawn};
use super::seats::{self, Seats, Taken};
use super::writer::Tx;
use super::{Store, access, counties};
use crate::domain::cells::Offered;
use crate::domain::id::{OfferId, PostingId, WorkerId};
use crate::domain::offer::{OfferEvent, OfferState};
use crate::domain::region::Region;
use crate::domain::time::Moment;
use serde_json::json;
use std::time::Duration;

/// Who answers.
#[derive(Clone, Debug)]
pub enum Answerer {
    /// The worker.
    Worker(WorkerId),
    /// The worker, by a reply from their phone.
    Reply(WorkerId),
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

/// An offer as it stands under its posting's lock, with the posting's seats.
struct Reached {
    offer: Offer,
    /// Where its worker is at home.
    home: Region,
    seats: Seats,
}

/// An offer that the answerer may answer.
fn reach(tx: &mut Tx<'_>, a: &Answering) -> Result<Option<Reached>, StoreError> {
    if tx.is_shared() && !seats::lock_of(tx, a.offer)? {
        return Ok(None);
    }
    let sql = columns!(", o.closed, o.home, p.per_county, p.taken, p.openings, p.sequence, p.source_id, p.category", "WHERE o.id = $1");
    let Some(row) = tx.one(sql, params![a.offer.uuid()])? else { return Ok(None) };
    let (offer, seats) = (offer(&row)?, Seats::read(&row, COLUMNS + 2)?);
    // Whoever has an open offer is there, and at home where it says; of others it says
    // where they were.
    let home = if row.flag(COLUMNS)? { home_of(tx, offer.worker)? } else { Some(super::region(row.int(COLUMNS + 1)?)?) };
    let Some(home) = home else { return Ok(None) };
    let may = match &a.by {
        Answerer::Worker(who) | Answerer::Reply(who) => *who == offer.worker,
        Answerer::Office { region, .. } => home.is_within(*region),
    };
    Ok(may.then_some(Reached { offer, home, seats }))
}

/// An answer for somebody else stands in the access log with it.
fn log_on_behalf(tx: &mut Tx<'_>, a: &Answering, worker: WorkerId, action: &str, now: Moment) -> Result<(), StoreError> {
    match &a.by {
        Answerer::Worker(_) | Answerer::Reply(_) => Ok(()),
        Answerer::Office { client, .. } => access::record(tx, client, action, Some(worker), "", &a.offer.to_string(), now),
    }
}

fn on_behalf(by: &Answerer) -> (Option<&str>, Option<&str>) {
    match by {
        Answerer::Worker(_) => (None, None),
        Answerer::Reply(_) => (None, Some("reply")),
        Answerer::Office { client, method, .. } => (Some(client), Some(method)),
    }
}

pub(super) fn accept(tx: &mut Tx<'_>, a: &Answering, now: Moment) -> Result<Result<Offer, Refusal>, StoreError> {
    let Some(Reached { offer: mut o, home, seats }) = reach(tx, a)? else { return Ok(Err(Refusal::NotFound)) };
    match o.state.next(OfferEvent::Accept { seat: true }) {
        Err(impossible) => return Ok(Err(Refusal::Over(impossible.0))),
        Ok(same) if same == o.state => return Ok(Ok(o)),
        Ok(_) => {}
    }
    if o.expires_at <= now {
        return too_late(tx, a, &o, now);
    }
    log_on_behalf(tx, a, o.worker, "accept_on_behalf", now)?;
    // A seat held for them counts where it was taken, a fresh one where they are at home.
    let held = o.holds_seat();
    let taken = if held { None } else { Some(seats::take(tx, o.posting, seats.per_county, home, true, now)?) };
    o.state = match &taken {
        None | Some(Taken::Seat) => OfferState::Accepted,
        Some(Taken::Full) => OfferState::Waitlisted,
        Some(Taken::Gone) => OfferState::Withdrawn,
    };
    let (by, method) = on_behalf(&a.by);
    (o.share_contact, o.answered_by, o.method) = (a.share_contact, by.map(str::to_owned), method.map(str::to_owned));
    o.accepted_at = (o.state == OfferState::Accepted).then_some(now);
    o.reason = if o.state == OfferState::Withdrawn { Some("posting_closed".to_owned()) } else { a.reason.clone() };
    // A yes leaves the offer open, so that no index is written for it.
    macro_rules! answered {
        ($closed:literal) => {
            concat!(
                "UPDATE offers SET state = $3, answered_at = $2, updated_at = $2, share_contact = $4, answered_by = $5, method = $6,
                   accepted_at = $7, reason = $8, room = NULL, county = CASE WHEN promoted = 1 THEN county ELSE $9 END",
                $closed,
                " WHERE id = $1 AND state IN ('offered', 'seen') AND expires_at > $2"
            )
        };
    }
    let in_time = tx.exec(
        if o.state == OfferState::Withdrawn { answered!(", closed = 1") } else { answered!("") },
        params![
            o.id.uuid(),
            now.ms(),
            o.state.code(),
            o.share_contact,
            by,
            method,
            o.accepted_at.map(Moment::ms),
            o.reason.as_deref(),
            i64::from(home.code())
        ],
    )?;
    if in_time == 0 {
        return Err(StoreError::Busy); // It changed in spite of the lock: once more.
    }
    tx.log.change(ChangeKind::Worker, o.worker.uuid(), 0, now);
    if o.state == OfferState::Accepted {
        tx.books.offer(home, &o.platform, seats.category, Offered::Accepted, now);
    }
    let data = |worker| json!({"offer": o.id, "worker": worker});
    match &taken {
        None => {
            let worker = pseudonym(tx, &o.platform, o.worker)?;
            seats::tell(tx, o.posting, "offer.accepted", data(worker), now)?;
        }
        Some(Taken::Seat) => {
            let worker = pseudonym(tx, &o.platform, o.worker)?;
            seats::tell_of(tx, &seats, o.posting, &o.platform, "offer.accepted", data(worker), now);
            if seats.leave_some() {
                return Ok(Ok(o));
            }
        }
        Some(Taken::Full) => {
            tx.exec("UPDATE postings SET queue = queue + 1 WHERE id = $1", params![o.posting.uuid()])?;
            tx.exec(
                "UPDATE offers SET waiting = (SELECT queue FROM postings WHERE id = $2) WHERE id = $1",
                params![o.id.uuid(), o.posting.uuid()],
            )?;
            counties::wait(tx, o.posting, home)?;
        }
        Some(Taken::Gone) => {}
    }
    seats::settle_taken(tx, o.posting, now, a.promoted_within)?;
    if o.state == OfferState::Withdrawn {
        return Ok(Err(Refusal::Over(OfferState::Withdrawn)));
    }
    Ok(by_id(tx, o.id)?.ok_or(Refusal::NotFound))
}

/// The deadline has passed: the offer expires, whoever notices it.
fn too_late(tx: &mut Tx<'_>, a: &Answering, o: &Offer, now: Moment) -> Result<Result<Offer, Refusal>, StoreError> {
    expire(tx, o, now)?;
    seats::settle(tx, o.posting, now, a.promoted_within)?;
    Ok(Err(Refusal::Over(OfferState::Expired)))
}

pub(super) fn decline(tx: &mut Tx<'_>, a: &Answering, now: Moment) -> Result<Result<Offer, Refusal>, StoreError> {
    let Some(Reached { offer: o, .. }) = reach(tx, a)? else { return Ok(Err(Refusal::NotFound)) };
    match o.state.next(OfferEvent::Decline) {
        Err(impossible) => return Ok(Err(Refusal::Over(impossible.0))),
        Ok(same) if same == o.state => return Ok(Ok(o)),
        Ok(_) => {}
    }
    if o.state.unanswered() && o.expires_at <= now {
        return too_late(tx, a, &o, now);
    }
    let (by, method) = on_behalf(&a.by);
    tx.exec(
        "UPDATE offers SET state = 'declined', closed = 1, room = NULL, waiting = NULL, share_contact = 0, reason = $3, answered_at = $2, updated_at = $2, answered_by = $4, method = $5 WHERE id = $1",
        params![o.id.uuid(), now.ms(), a.reason.as_deref(), by, method],
    )?;
    log_on_behalf(tx, a, o.worker, "decline_on_behalf", now)?;
    tx.exec("UPDATE workers SET cooling_until = $2 WHERE id = $1", params![o.worker.uuid(), now.plus(a.cooldown).ms()])?;
    if o.holds_seat() {
        seats::free(tx, o.posting, o.id, now)?;
    }
    if o.state == OfferState::Accepted {
        withdrawn(tx, &o, "worker", now)?;
    }
    tx.log.change(ChangeKind::Worker, o.worker.uuid(), 0, now);
    seats::settle(tx, o.posting, now, a.promoted_within)?;
    Ok(by_id(tx, o.id)?.ok_or(Refusal::NotFound))
}

/// Marks an offer expired whose deadline has passed; a seat it held is freed.
fn expire(tx: &mut Tx<'_>, o: &Offer, now: Moment) -> Result<(), StoreError> {
    let sql = "UPDATE offers SET state = 'expired', closed = 1, updated_at = $2 WHERE id = $1 AND state IN ('offered', 'seen') AND expires_at <= $2";
    if tx.exec(sql, params![o.id.uuid(), now.ms()])? == 1 {
        if o.promoted {
            seats::free(tx, o.posting, o.id, now)?;
        }
        tx.log.change(ChangeKind::Worker, o.worker.uuid(), 0, now);
    }
    Ok(())
}

/// Most offers that expire in one transaction, and postings that are looked at for them.
const EXPIRED: usize = 500;

fn expire_some(tx: &mut Tx<'_>, promoted_within: Duration, now: Moment) -> Result<usize, StoreError> {
    let sql = "SELECT DISTINCT posting FROM (SELECT posting FROM expiries WHERE at <= $1 ORDER BY at LIMIT $2) AS due ORDER BY posting";
    let postings = tx.query(sql, params![now.ms(), EXPIRED as i64])?;
    let mut expired = 0;
    for row in &postings {
        let posting = PostingId::new(row.uuid(0)?);
        seats::lock(tx, posting)?;
        let sql = columns!(
            "WHERE o.posting = $1 AND o.closed = 0 AND o.state IN ('offered', 'seen') AND o.expires_at <= $2 ORDER BY o.id LIMIT $3"
        );
        let most = (EXPIRED - expired) as i64;
        let late: Vec<Offer> = tx.query(sql, params![posting.uuid(), now.ms(), most])?.iter().map(offer).collect::<Result<_, _>>()?;
        for o in &late {
            expire(tx, o, now)?;
        }
        if !late.is_empty() {
            seats::settle(tx, posting, now, promoted_within)?;
        }
        expired += late.len();
        if expired == EXPIRED {
            break; // There may be more of this posting.
        }
        tx.exec("DELETE FROM expiries WHERE posting = $1 AND at <= $2", params![posting.uuid(), now.ms()])?;
    }
    Ok(expired)
}

impl Store {
    /// A worker, or somebody for them, says yes.
    pub async fn accept_offer(&self, answering: Answering, now: Moment) -> Result<Result<Offer, Refusal>, StoreError> {
        self.write(move |tx| accept(tx, &answering, now)).await
    }

    /// A worker, or somebody for them, says no, or gives an accepted offer back.
    pub async fn decline_offer(&self, answering: Answering, now: Moment) -> Result<Result<Offer, Refusal>, StoreError> {
        self.write(move |tx| decline(tx, &answering, now)).await
    }

    /// Expires offers whose deadline has passed, and tops their postings up.
    pub async fn expire_offers(&self, promoted_within: Duration, now: Moment) -> Result<usize, StoreError> {
        // Mostly there are none, and whoever writes need not wait to hear that.
        let due = "SELECT 1 FROM expiries WHERE at <= $1 LIMIT 1";
        if self.read(move |s| s.one(due, params![now.ms()])).await?.is_none() {
            return Ok(0);
        }
        self.write(move |tx| expire_some(tx, promoted_within, now)).await
    }
}
