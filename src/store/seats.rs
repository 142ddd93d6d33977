//! Seats of a posting. Whatever changes one – an answer, a hire, a cut of the
//! headcount, a close, the clock – ends with [`settle`], so that the status, the
//! waitlist, the offers and the events follow from the row alone.
//!
//! Promises: taken ≤ openings always, of the posting and of each home county where
//! it counts by county ([`counties`]; a CHECK stands behind both); a freed seat is
//! held for the first who waits and may take it; locks are taken posting first,
//! offers after.

use super::engine::{Row, Sql, StoreError, Update, params, update};
use super::log::{ChangeKind, Event};
use super::work::{self, Kind};
use super::writer::Tx;
use super::{counties, region};
use crate::domain::category::Category;
use crate::domain::id::{EventId, OfferId, PostingId};
use crate::domain::posting::{Declared, Status};
use crate::domain::region::Region;
use crate::domain::time::Moment;
use serde_json::{Value, json};
use std::time::Duration;

/// How taking a seat went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Taken {
    Seat,
    /// All openings are taken, or all of the worker's county; they may wait.
    Full,
    /// The posting is closed or expired.
    Gone,
}

/// How a posting's seats stand under its lock.
#[derive(Clone, Debug)]
pub(super) struct Seats {
    /// Of one county at most; 0 where counties do not matter.
    pub per_county: u32,
    taken: u32,
    openings: u32,
    /// The number of the last event that told of the posting.
    sequence: i64,
    source_id: String,
    /// The number of the posting's trade.
    pub category: u8,
}

impl Seats {
    /// Reads the columns per_county, taken, openings, sequence, source_id and category,
    /// of which this is the first.
    pub fn read(row: &Row, first: usize) -> Result<Self, StoreError> {
        Ok(Self {
            per_county: row.count(first)?,
            taken: row.count(first + 1)?,
            openings: row.count(first + 2)?,
            sequence: row.int(first + 3)?,
            source_id: row.text(first + 4)?.to_owned(),
            category: category(row.int(first + 5)?),
        })
    }

    /// Nothing follows for the posting from taking another: it had a free seat before, so
    /// nobody waits, and has one still.
    pub fn leave_some(&self) -> bool {
        self.per_county == 0 && self.taken + 1 < self.openings
    }
}

/// Whether a seat that was taken anyway was one more than there were.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Beyond {
    Nothing,
    /// Of the posting's openings.
    Posting,
    /// Of those of the worker's county alone.
    County,
}

/// Locks the posting for the rest of the transaction.
pub(super) fn lock(tx: &mut Tx<'_>, posting: PostingId) -> Result<Option<Row>, StoreError> {
    let sql = "SELECT declared, status, closes_at, openings, taken, per_county, counties, platform, sequence, source_id
               FROM postings WHERE id = $1 {for_update}";
    tx.one(sql, params![posting.uuid()])
}

/// Locks the posting of an offer, where there is such an offer.
pub(super) fn lock_of(tx: &mut Tx<'_>, offer: OfferId) -> Result<bool, StoreError> {
    let sql = "SELECT 1 FROM postings WHERE id = (SELECT posting FROM offers WHERE id = $1) {for_update}";
    Ok(tx.one(sql, params![offer.uuid()])?.is_some())
}

/// Takes a seat for somebody at home in this county, of a posting that may still be
/// answered, by one conditional statement. `told` makes room for the event that tells
/// the platform, see [`tell_of`].
pub(super) fn take(
    tx: &mut Tx<'_>,
    posting: PostingId,
    per_county: u32,
    home: Region,
    told: bool,
    now: Moment,
) -> Result<Taken, StoreError> {
    macro_rules! take {
        ($and:literal) => {
            concat!(
                "UPDATE postings SET taken = taken + 1, updated_at = $2, sequence = sequence + $3
                 WHERE id = $1 AND taken < openings AND declared <> 'closed' AND closes_at > $2",
                $and
            )
        };
    }
    let took = if per_county > 0 {
        let sql = take!(" AND NOT EXISTS (SELECT 1 FROM county_seats c WHERE c.posting = $1 AND c.county = $4 AND c.taken >= c.openings)");
        tx.exec(sql, params![posting.uuid(), now.ms(), told, i64::from(home.code())])? == 1
    } else {
        tx.exec(take!(""), params![posting.uuid(), now.ms(), told])? == 1
    };
    if took {
        if per_county > 0 {
            counties::take(tx, posting, home, per_county)?;
        }
        return Ok(Taken::Seat);
    }
    let alive =
        tx.one("SELECT 1 FROM postings WHERE id = $1 AND declared <> 'closed' AND closes_at > $2", params![posting.uuid(), now.ms()])?;
    Ok(if alive.is_some() { Taken::Full } else { Taken::Gone })
}

/// A trade behind its column.
pub(super) fn category(number: i64) -> u8 {
    u8::try_from(number).unwrap_or(Category::Other as u8)
}

/// Takes a seat although none may be free: the platform hired all the same.
pub(super) fn take_anyway(tx: &mut Tx<'_>, posting: PostingId, home: Region, now: Moment) -> Result<Beyond, StoreError> {
    const TAKE: Update = update!(
        "postings",
        "SET taken = taken + 1, openings = CASE WHEN taken < openings THEN openings ELSE taken + 1 END, updated_at = $2 WHERE id = $1",
        "taken, total_declared, per_county"
    );
    let row = tx.update(&TAKE, params![posting.uuid(), now.ms()])?;
    let Some(row) = row else { return Ok(Beyond::Nothing) };
    let per_county = row.count(2)?;
    let of_county = per_county > 0 && counties::take_anyway(tx, posting, home, per_county)?;
    // Where more sit than are declared the openings are who sits: one more was over.
    let of_posting = row.count(0)? > row.count(1)?;
    Ok(match (of_posting, of_county) {
        (true, _) => Beyond::Posting,
        (false, true) => Beyond::County,
        (false, false) => Beyond::Nothing,
    })
}

/// Gives back the seat that an offer holds.
pub(super) fn free(tx: &mut Tx<'_>, posting: PostingId, offer: OfferId, now: Moment) -> Result<(), StoreError> {
    const FREE: Update = update!(
        "postings",
        "SET taken = taken - 1, updated_at = $2, openings = CASE WHEN taken - 1 > total_declared THEN taken - 1 ELSE total_declared END
         WHERE id = $1 AND taken > 0",
        "per_county"
    );
    let row = tx.update(&FREE, params![posting.uuid(), now.ms()])?;
    match row.map_or(Ok(0), |row| row.count(0))? {
        0 => Ok(()),
        per_county => counties::free(tx, posting, offer, per_county),
    }
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
    let (per_county, counties) = (row.count(5)?, row.count(6)?);
    if declared != Declared::Closed && !expired {
        while taken < openings && promote(tx, posting, per_county, now, promoted_within)? {
            taken += 1;
        }
    }
    // Counties are full only where that many sit: most postings need no look at them.
    let by_county = |tx: &mut Tx<'_>| {
        let may_be = per_county > 0 && u64::from(taken) >= u64::from(per_county) * u64::from(counties);
        if may_be { counties::are_full(tx, posting) } else { Ok(false) }
    };
    let full = taken >= openings || by_county(tx)?;
    let after = Status::of(declared, expired, full);
    if after == before {
        return Ok(after);
    }
    let told = match after {
        Status::Filled => Some(("posting.filled", json!({"openings": openings}))),
        Status::Closed | Status::Expired => Some(("posting.closed", json!({"reason": after.code()}))),
        Status::Open | Status::Paused => None,
    };
    tx.exec(
        "UPDATE postings SET status = $2, updated_at = $3, sequence = sequence + $4 WHERE id = $1",
        params![posting.uuid(), after.code(), now.ms(), told.is_some()],
    )?;
    tx.log.change(ChangeKind::Posting, posting.uuid(), 0, now);
    if before == Status::Filled || after == Status::Filled {
        // Unanswered offers of a filled posting do not count toward the cap.
        let sql = "SELECT worker FROM offers WHERE posting = $1 AND closed = 0 AND state IN ('offered', 'seen')";
        for row in tx.query(sql, params![posting.uuid()])? {
            tx.log.change(ChangeKind::Worker, row.uuid(0)?, 0, now);
        }
    }
    if matches!(after, Status::Closed | Status::Expired) {
        withdraw_waiting(tx, posting, now)?;
    }
    if let Some((kind, data)) = told {
        listed(tx, posting, row.text(7)?, (row.int(8)? + 1, row.text(9)?), kind, data, now);
    }
    Ok(after)
}

/// Holds a free seat for the first who waits and may take it; false where nobody does.
fn promote(tx: &mut Tx<'_>, posting: PostingId, per_county: u32, now: Moment, within: Duration) -> Result<bool, StoreError> {
    let by_county = per_county > 0;
    loop {
        let first = if by_county { counties::first_waiting(tx, posting)? } else { first_waiting(tx, posting)? };
        let Some(first) = first else { return Ok(false) };
        let home = region(first.int(2)?)?;
        if by_county && first.int(3)? != i64::from(home.code()) {
            // They moved while their answer was being stored.
            counties::wait_elsewhere(tx, posting, OfferId::new(first.uuid(0)?), home)?;
            continue;
        }
        if take(tx, posting, per_county, home, false, now)? != Taken::Seat {
            return Ok(false);
        }
        tx.exec(
            "UPDATE offers SET state = 'offered', promoted = 1, expires_at = $2, waiting = NULL, county = $4, updated_at = $3 WHERE id = $1",
            params![first.uuid(0)?, now.plus(within).ms(), now.ms(), i64::from(home.code())],
        )?;
        expires(tx, posting, now.plus(within))?;
        tx.log.change(ChangeKind::Worker, first.uuid(1)?, 0, now);
        tx.to_tell.add_worker(first.uuid(1)?, now);
        return Ok(true);
    }
}

/// Unanswered offers of this posting run out at this moment.
pub(super) fn expires(s: &mut dyn Sql, posting: PostingId, at: Moment) -> Result<(), StoreError> {
    let sql = "INSERT INTO expiries (at, posting) VALUES ($1, $2) ON CONFLICT DO NOTHING";
    s.exec(sql, params![at.ms(), posting.uuid()]).map(drop)
}

/// The first who waits: offer, worker, home.
fn first_waiting(s: &mut dyn Sql, posting: PostingId) -> Result<Option<Row>, StoreError> {
    let sql = "SELECT o.id, o.worker, w.home
               FROM (SELECT id, worker FROM offers WHERE posting = $1 AND state = 'waitlisted' ORDER BY waiting LIMIT 1) o
               JOIN workers w ON w.id = o.worker";
    s.one(sql, params![posting.uuid()])
}

/// Withdraws what nobody can accept any more: unanswered and waiting offers.
fn withdraw_waiting(tx: &mut Tx<'_>, posting: PostingId, now: Moment) -> Result<(), StoreError> {
    let sql = "SELECT id, worker, promoted, state FROM offers WHERE posting = $1 AND closed = 0 AND state IN ('offered', 'seen', 'waitlisted') ORDER BY id";
    for row in tx.query(sql, params![posting.uuid()])? {
        tx.exec(
            "UPDATE offers SET state = 'withdrawn', closed = 1, waiting = NULL, reason = 'posting_closed', updated_at = $2 WHERE id = $1",
            params![row.uuid(0)?, now.ms()],
        )?;
        let waited = row.text(3)? == "waitlisted";
        if row.flag(2)? && !waited {
            free(tx, posting, OfferId::new(row.uuid(0)?), now)?;
        }
        if waited || row.flag(2)? {
            tx.to_tell.add_worker(row.uuid(1)?, now);
        }
        tx.log.change(ChangeKind::Worker, row.uuid(1)?, 0, now);
    }
    Ok(())
}

/// Puts an event about a posting into its platform's list, with the posting's
/// next sequence number.
pub(super) fn tell(tx: &mut Tx<'_>, posting: PostingId, kind: &'static str, data: Value, now: Moment) -> Result<(), StoreError> {
    const NEXT: Update = update!("postings", "SET sequence = sequence + 1 WHERE id = $1", "sequence, platform, source_id");
    let Some(row) = tx.update(&NEXT, params![posting.uuid()])? else { return Ok(()) };
    listed(tx, posting, row.text(1)?, (row.int(0)?, row.text(2)?), kind, data, now);
    Ok(())
}

/// [`tell`] of a seat that was taken so that there is room for it, of these that stood
/// there before.
pub(super) fn tell_of(tx: &mut Tx<'_>, before: &Seats, posting: PostingId, platform: &str, kind: &'static str, data: Value, now: Moment) {
    listed(tx, posting, platform, (before.sequence + 1, &before.source_id), kind, data, now);
}

fn listed(tx: &mut Tx<'_>, posting: PostingId, platform: &str, of: (i64, &str), kind: &'static str, mut data: Value, now: Moment) {
    let (sequence, source_id) = of;
    data["sequence"] = json!(sequence);
    data["posting"] = json!(posting);
    data["source_id"] = json!(source_id);
    let event = Event { id: EventId::new(tx.ids.v7(now)), platform: platform.to_owned(), kind, at: now, posting: Some(posting), data };
    tx.log.event(event);
}
