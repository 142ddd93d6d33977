//! Seats of a posting. Whatever changes one – an answer, a hire, a cut of the
//! headcount, a close, the clock – ends with [`settle`], so that the status, the
//! waitlist, the offers and the events follow from the row alone.
//!
//! Promises: taken ≤ openings always (a CHECK stands behind it); a freed seat is
//! held for the first who waits; locks are taken posting first, offers after.

use super::engine::{Row, Sql, StoreError, params};
use super::log::{ChangeKind, Event};
use super::work::{self, Kind};
use super::writer::Tx;
use crate::domain::id::{EventId, PostingId};
use crate::domain::posting::{Declared, Status};
use crate::domain::time::Moment;
use serde_json::{Value, json};
use std::time::Duration;

/// How taking a seat went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Taken {
    Seat,
    /// All openings are taken; the worker may wait.
    Full,
    /// The posting is closed or expired.
    Gone,
}

/// Locks the posting for the rest of the transaction.
pub(super) fn lock(tx: &mut Tx<'_>, posting: PostingId) -> Result<Option<Row>, StoreError> {
    let sql =
        "SELECT declared, status, closes_at, openings, taken, platform, source_id, total_declared FROM postings WHERE id = $1 {for_update}";
    tx.one(sql, params![posting.uuid()])
}

/// Takes a seat of a posting that may still be answered, by one conditional
/// statement.
pub(super) fn take(tx: &mut Tx<'_>, posting: PostingId, now: Moment) -> Result<Taken, StoreError> {
    let taken = tx.exec(
        "UPDATE postings SET taken = taken + 1, updated_at = $2
         WHERE id = $1 AND taken < openings AND declared <> 'closed' AND closes_at > $2",
        params![posting.uuid(), now.ms()],
    )?;
    if taken == 1 {
        return Ok(Taken::Seat);
    }
    let alive =
        tx.one("SELECT 1 FROM postings WHERE id = $1 AND declared <> 'closed' AND closes_at > $2", params![posting.uuid(), now.ms()])?;
    Ok(if alive.is_some() { Taken::Full } else { Taken::Gone })
}

/// Takes a seat although none may be free: the platform hired all the same. True
/// if that made one more seat than there were.
pub(super) fn take_anyway(tx: &mut Tx<'_>, posting: PostingId, now: Moment) -> Result<bool, StoreError> {
    let within = "UPDATE postings SET taken = taken + 1, updated_at = $2 WHERE id = $1 AND taken < openings";
    if tx.exec(within, params![posting.uuid(), now.ms()])? == 1 {
        return Ok(false);
    }
    let beyond = "UPDATE postings SET taken = taken + 1, openings = taken + 1, updated_at = $2 WHERE id = $1";
    tx.exec(beyond, params![posting.uuid(), now.ms()])?;
    Ok(true)
}

/// Gives a seat back.
pub(super) fn free(tx: &mut Tx<'_>, posting: PostingId, now: Moment) -> Result<(), StoreError> {
    tx.exec(
        "UPDATE postings SET taken = taken - 1, updated_at = $2,
           openings = CASE WHEN taken - 1 > total_declared THEN taken - 1 ELSE total_declared END
         WHERE id = $1 AND taken > 0",
        params![posting.uuid(), now.ms()],
    )
    .map(|_| ())
}

/// Draws the consequences of a posting's row: promotes who waits, moves the
/// status, withdraws offers of a posting that is gone, tells the platform, and
/// makes it due for routing while it is open: it may want offers again.
pub(super) fn settle(tx: &mut Tx<'_>, posting: PostingId, now: Moment, promoted_within: Duration) -> Result<Status, StoreError> {
    let after = settle_taken(tx, posting, now, promoted_within)?;
    if after == Status::Open {
        work::enqueue(tx, Kind::Route, posting.uuid(), now)?;
    }
    Ok(after)
}

/// [`settle`] after an offer took a seat: that leaves the posting wanting no more
/// offers than before.
pub(super) fn settle_taken(tx: &mut Tx<'_>, posting: PostingId, now: Moment, promoted_within: Duration) -> Result<Status, StoreError> {
    let Some(row) = lock(tx, posting)? else { return Ok(Status::Closed) };
    let corrupt = |what: &str| StoreError::Corrupt(format!("a posting's {what}"));
    let declared = match row.text(0)? {
        "open" => Declared::Open,
        "paused" => Declared::Paused,
        "closed" => Declared::Closed,
        _ => return Err(corrupt("declaration")),
    };
    let before = Status::parse(row.text(1)?).ok_or_else(|| corrupt("status"))?;
    let expired = row.int(2)? <= now.ms();
    let (openings, mut taken) = (row.count(3)?, row.count(4)?);
    if declared != Declared::Closed && !expired {
        while taken < openings && promote(tx, posting, now, promoted_within)? {
            taken += 1;
        }
    }
    let after = Status::of(declared, expired, taken, openings);
    if after == before {
        return Ok(after);
    }
    tx.exec("UPDATE postings SET status = $2, updated_at = $3 WHERE id = $1", params![posting.uuid(), after.code(), now.ms()])?;
    tx.log.change(ChangeKind::Posting, posting.uuid(), 0, now);
    if before == Status::Filled || after == Status::Filled {
        // Unanswered offers of a filled posting do not count toward the cap.
        let sql = "SELECT worker FROM offers WHERE posting = $1 AND state IN ('offered', 'seen')";
        for row in tx.query(sql, params![posting.uuid()])? {
            tx.log.change(ChangeKind::Worker, row.uuid(0)?, 0, now);
        }
    }
    match after {
        Status::Filled => tell(tx, posting, "posting.filled", json!({"openings": openings}), now)?,
        Status::Closed | Status::Expired => {
            withdraw_waiting(tx, posting, now)?;
            tell(tx, posting, "posting.closed", json!({"reason": after.code()}), now)?;
        }
        Status::Open | Status::Paused => {}
    }
    Ok(after)
}

/// Holds a free seat for the first who waits; false where nobody does.
fn promote(tx: &mut Tx<'_>, posting: PostingId, now: Moment, within: Duration) -> Result<bool, StoreError> {
    let sql = "SELECT id, worker FROM offers WHERE posting = $1 AND state = 'waitlisted' ORDER BY waiting LIMIT 1";
    let Some(first) = tx.one(sql, params![posting.uuid()])? else { return Ok(false) };
    if take(tx, posting, now)? != Taken::Seat {
        return Ok(false);
    }
    tx.exec(
        "UPDATE offers SET state = 'offered', promoted = 1, expires_at = $2, waiting = NULL, updated_at = $3 WHERE id = $1",
        params![first.uuid(0)?, now.plus(within).ms(), now.ms()],
    )?;
    tx.log.change(ChangeKind::Worker, first.uuid(1)?, 0, now);
    Ok(true)
}

/// Withdraws what nobody can accept any more: unanswered and waiting offers.
fn withdraw_waiting(tx: &mut Tx<'_>, posting: PostingId, now: Moment) -> Result<(), StoreError> {
    let sql =
        "SELECT id, worker, promoted, state FROM offers WHERE posting = $1 AND state IN ('offered', 'seen', 'waitlisted') ORDER BY id";
    for row in tx.query(sql, params![posting.uuid()])? {
        tx.exec(
            "UPDATE offers SET state = 'withdrawn', waiting = NULL, reason = 'posting_closed', updated_at = $2 WHERE id = $1",
            params![row.uuid(0)?, now.ms()],
        )?;
        if row.flag(2)? && row.text(3)? != "waitlisted" {
            free(tx, posting, now)?;
        }
        tx.log.change(ChangeKind::Worker, row.uuid(1)?, 0, now);
    }
    Ok(())
}

/// Puts an event about a posting into its platform's list, with the posting's
/// next sequence number.
pub(super) fn tell(tx: &mut Tx<'_>, posting: PostingId, kind: &'static str, mut data: Value, now: Moment) -> Result<(), StoreError> {
    let sql = "UPDATE postings SET sequence = sequence + 1 WHERE id = $1 RETURNING sequence, platform, source_id";
    let Some(row) = tx.one(sql, params![posting.uuid()])? else { return Ok(()) };
    data["sequence"] = json!(row.int(0)?);
    data["posting"] = json!(posting);
    data["source_id"] = json!(row.text(2)?);
    let event = Event { id: EventId::new(tx.ids.v7(now)), platform: row.text(1)?.to_owned(), kind, at: now, posting: Some(posting), data };
    tx.log.event(event);
    Ok(())
}
