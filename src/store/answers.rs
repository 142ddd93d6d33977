//! Answers to offers: yes, no, given back, too late. The deadline stands in the
//! statement that answers.

use super::engine::{Sql, StoreError, params};
use super::log::ChangeKind;
use super::offers::{Offer, by_id, columns, home_of, offer, pseudonym, withdrawn};
use super::seats::{self, Taken};
use super::writer::Tx;
use super::{Store, access, counties};
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

/// Finds an offer that the answerer may answer, and locks its posting.
fn reach(tx: &mut Tx<'_>, a: &Answering) -> Result<Option<Offer>, StoreError> {
    let Some(row) = tx.one("SELECT posting, worker FROM offers WHERE id = $1", params![a.offer.uuid()])? else { return Ok(None) };
    let worker = WorkerId::new(row.uuid(1)?);
    let may = match &a.by {
        Answerer::Worker(who) | Answerer::Reply(who) => *who == worker,
        Answerer::Office { region, .. } => home_of(tx, worker)?.is_some_and(|home| home.is_within(*region)),
    };
    if !may {
        return Ok(None);
    }
    seats::lock(tx, PostingId::new(row.uuid(0)?))?;
    tx.one(columns!("WHERE o.id = $1"), params![a.offer.uuid()])?.as_ref().map(offer).transpose()
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
    let Some(o) = reach(tx, a)? else { return Ok(Err(Refusal::NotFound)) };
    match o.state.next(OfferEvent::Accept { seat: true }) {
        Err(impossible) => return Ok(Err(Refusal::Over(impossible.0))),
        Ok(same) if same == o.state => return Ok(Ok(o)),
        Ok(_) => {}
    }
    let (by, method) = on_behalf(&a.by);
    // A seat held for them counts where it was taken, a fresh one where they are at home.
    let in_time = tx.one(
        "UPDATE offers SET state = 'accepted', answered_at = $2, updated_at = $2, share_contact = $3, answered_by = $4, method = $5,
           county = CASE WHEN promoted = 1 THEN county ELSE (SELECT w.home FROM workers w WHERE w.id = offers.worker) END
         WHERE id = $1 AND state IN ('offered', 'seen') AND expires_at > $2 RETURNING county",
        params![o.id.uuid(), now.ms(), a.share_contact, by, method],
    )?;
    let Some(row) = in_time else {
        expire(tx, &o, now)?;
        seats::settle(tx, o.posting, now, a.promoted_within)?;
        return Ok(Err(Refusal::Over(OfferState::Expired)));
    };
    let home = super::region(row.int(0)?)?;
    log_on_behalf(tx, a, o.worker, "accept_on_behalf", now)?;
    let seat = if o.holds_seat() { Taken::Seat } else { seats::take(tx, o.posting, home, now)? };
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
            counties::wait(tx, o.posting, home)?;
        }
        Taken::Gone => {
            let sql = "UPDATE offers SET state = 'withdrawn', reason = 'posting_closed' WHERE id = $1";
            tx.exec(sql, params![o.id.uuid()])?;
        }
    }
    tx.log.change(ChangeKind::Worker, o.worker.uuid(), 0, now);
    seats::settle_taken(tx, o.posting, now, a.promoted_within)?;
    if seat == Taken::Gone {
        return Ok(Err(Refusal::Over(OfferState::Withdrawn)));
    }
    Ok(by_id(tx, o.id)?.ok_or(Refusal::NotFound))
}

pub(super) fn decline(tx: &mut Tx<'_>, a: &Answering, now: Moment) -> Result<Result<Offer, Refusal>, StoreError> {
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
        "UPDATE offers SET state = 'declined', waiting = NULL, share_contact = 0, reason = $3, answered_at = $2, updated_at = $2, answered_by = $4, method = $5 WHERE id = $1",
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
    let sql = "UPDATE offers SET state = 'expired', updated_at = $2 WHERE id = $1 AND state IN ('offered', 'seen') AND expires_at <= $2";
    if tx.exec(sql, params![o.id.uuid(), now.ms()])? == 1 {
        if o.promoted {
            seats::free(tx, o.posting, o.id, now)?;
        }
        tx.log.change(ChangeKind::Worker, o.worker.uuid(), 0, now);
    }
    Ok(())
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
        let due = "SELECT 1 FROM offers WHERE state IN ('offered', 'seen') AND expires_at <= $1 LIMIT 1";
        if self.read(move |s| s.one(due, params![now.ms()])).await?.is_none() {
            return Ok(0);
        }
        self.write(move |tx| {
            // Sorted by posting at once, all who wait for an answer would be looked at.
            let sql = columns!(
                "WHERE o.id IN (SELECT id FROM offers WHERE state IN ('offered', 'seen') AND expires_at <= $1 ORDER BY expires_at LIMIT 500)
                 ORDER BY o.posting"
            );
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
}
