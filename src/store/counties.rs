//! Seats of a posting by home county, where the posting bounds how many people of
//! one county it takes.
//!
//! Promises: of no county more people hold a seat than the posting says, or than held
//! one when it last cut the number (a CHECK stands behind it); a seat counts in the
//! county its holder was at home in when it was taken, wherever they move. A posting
//! that says nothing has no rows.
//! Does not: lock. Whoever calls has locked the posting.

use super::engine::{Row, Sql, StoreError, params};
use super::seats;
use super::writer::Tx;
use super::{Store, postings};
use crate::domain::id::{OfferId, PostingId, WorkerId};
use crate::domain::region::Region;
use crate::domain::time::Moment;
use serde::Serialize;
use std::collections::HashSet;
use std::time::Duration;

/// The seats that people of one county may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct CountySeats {
    pub region: Region,
    /// max(declared, taken), as for the whole posting.
    pub openings: u32,
    pub taken: u32,
}

fn code(county: Region) -> i64 {
    i64::from(county.code())
}

/// Counts a seat that the posting's own statement found free in this county, too.
pub(super) fn take(tx: &mut Tx<'_>, posting: PostingId, county: Region, per_county: u32) -> Result<(), StoreError> {
    tx.exec(
        "INSERT INTO county_seats (posting, county, openings, taken) VALUES ($1, $2, $3, 1)
         ON CONFLICT (posting, county) DO UPDATE SET taken = county_seats.taken + 1",
        params![posting.uuid(), code(county), per_county],
    )
    .map(drop)
}

/// Counts a seat although none may be free; true if that made one more than there were.
pub(super) fn take_anyway(tx: &mut Tx<'_>, posting: PostingId, county: Region, per_county: u32) -> Result<bool, StoreError> {
    let row = tx.one(
        "INSERT INTO county_seats (posting, county, openings, taken) VALUES ($1, $2, $3, 1)
         ON CONFLICT (posting, county) DO UPDATE SET taken = county_seats.taken + 1,
           openings = CASE WHEN county_seats.taken < county_seats.openings THEN county_seats.openings ELSE county_seats.taken + 1 END
         RETURNING taken",
        params![posting.uuid(), code(county), per_county],
    )?;
    // Where more sit than are declared the openings are who sits: one more was over.
    row.map_or(Ok(0), |row| row.count(0)).map(|taken| taken > per_county)
}

/// Gives back the seat that an offer holds, in the county where it was taken.
pub(super) fn free(tx: &mut Tx<'_>, posting: PostingId, offer: OfferId, per_county: u32) -> Result<(), StoreError> {
    let freed = tx.exec(
        "UPDATE county_seats SET taken = taken - 1, openings = CASE WHEN taken - 1 > $3 THEN taken - 1 ELSE $3 END
         WHERE posting = $1 AND county = (SELECT o.county FROM offers o WHERE o.id = $2)",
        params![posting.uuid(), offer.uuid(), per_county],
    )?;
    if freed == 1 { Ok(()) } else { Err(StoreError::Corrupt("a seat that counts in no county".to_owned())) }
}

/// Somebody of this county waits: its row says so to [`first_waiting`].
pub(super) fn wait(tx: &mut Tx<'_>, posting: PostingId, county: Region) -> Result<(), StoreError> {
    tx.exec(
        "INSERT INTO county_seats (posting, county, openings, taken)
         SELECT p.id, CAST($2 AS BIGINT), p.per_county, 0 FROM postings p WHERE p.id = $1 AND p.per_county > 0
         ON CONFLICT (posting, county) DO NOTHING",
        params![posting.uuid(), code(county)],
    )
    .map(drop)
}

/// The first who waits among those whose county has a free seat: offer, worker, home,
/// and the county where they wait.
pub(super) fn first_waiting(s: &mut dyn Sql, posting: PostingId) -> Result<Option<Row>, StoreError> {
    // By county, not down the waitlist: where a county is full, all its people wait.
    let first = s.one(
        "SELECT f.county, f.place
         FROM (SELECT c.county AS county, (SELECT MIN(q.waiting) FROM offers q
                 WHERE q.posting = c.posting AND q.county = c.county AND q.state = 'waitlisted') AS place
               FROM county_seats c WHERE c.posting = $1 AND c.taken < c.openings
                 AND EXISTS (SELECT 1 FROM offers q WHERE q.posting = $1 AND q.state = 'waitlisted')) f
         WHERE f.place IS NOT NULL ORDER BY f.place LIMIT 1",
        params![posting.uuid()],
    )?;
    let Some(first) = first else { return Ok(None) };
    s.one(
        "SELECT o.id, o.worker, w.home, o.county FROM offers o JOIN workers w ON w.id = o.worker
         WHERE o.posting = $1 AND o.county = $2 AND o.waiting = $3 AND o.state = 'waitlisted'",
        params![posting.uuid(), first.int(0)?, first.int(1)?],
    )
}

/// Somebody who waits is at home in this county now.
pub(super) fn wait_elsewhere(tx: &mut Tx<'_>, posting: PostingId, offer: OfferId, county: Region) -> Result<(), StoreError> {
    tx.exec("UPDATE offers SET county = $2 WHERE id = $1", params![offer.uuid(), code(county)])?;
    wait(tx, posting, county)
}

/// A worker has moved: where they wait, they wait as one of the new county. Seats stay
/// where they were taken.
pub(super) fn moved(tx: &mut Tx<'_>, worker: WorkerId, promoted_within: Duration, now: Moment) -> Result<(), StoreError> {
    let sql = "SELECT o.posting FROM offers o WHERE o.handle = (SELECT handle FROM workers WHERE id = $1) AND o.closed = 0 AND o.state = 'waitlisted' ORDER BY o.posting";
    for row in tx.query(sql, params![worker.uuid()])? {
        let posting = PostingId::new(row.uuid(0)?);
        seats::lock(tx, posting)?;
        let sql = "SELECT o.id, w.home FROM offers o JOIN workers w ON w.id = o.worker
                   WHERE o.posting = $1 AND o.worker = $2 AND o.state = 'waitlisted'";
        if let Some(row) = tx.one(sql, params![posting.uuid(), worker.uuid()])? {
            wait_elsewhere(tx, posting, OfferId::new(row.uuid(0)?), super::region(row.int(1)?)?)?;
            seats::settle(tx, posting, now, promoted_within)?;
        }
    }
    Ok(())
}

/// What a posting says of its counties has changed: 0 takes their rows away, another
/// number cuts or raises each, and where there were none everybody is counted who
/// holds a seat or waits.
pub(super) fn recount(tx: &mut Tx<'_>, posting: PostingId, before: u32, per_county: u32) -> Result<(), StoreError> {
    let posting = posting.uuid();
    match (before, per_county) {
        (before, now) if before == now => Ok(()),
        (_, 0) => tx.exec("DELETE FROM county_seats WHERE posting = $1", params![posting]).map(drop),
        (0, _) => tx
            .exec(
                "INSERT INTO county_seats (posting, county, openings, taken)
                 SELECT o.posting, o.county, CASE WHEN SUM(o.held) > $2 THEN SUM(o.held) ELSE $2 END, SUM(o.held)
                 FROM (SELECT posting, county, CASE WHEN state = 'waitlisted' THEN 0 ELSE 1 END AS held FROM offers WHERE posting = $1
                         AND (state IN ('accepted', 'hired', 'waitlisted') OR (state IN ('offered', 'seen') AND promoted = 1))) o
                 GROUP BY o.posting, o.county",
                params![posting, per_county],
            )
            .map(drop),
        _ => tx
            .exec(
                "UPDATE county_seats SET openings = CASE WHEN taken > $2 THEN taken ELSE $2 END WHERE posting = $1",
                params![posting, per_county],
            )
            .map(drop),
    }
}

/// Whether no target county has a free seat.
pub(super) fn are_full(s: &mut dyn Sql, posting: PostingId) -> Result<bool, StoreError> {
    let Some(targets) = postings::by_id(s, posting)?.and_then(|p| p.content.target_counties()) else { return Ok(false) };
    let full: HashSet<Region> = of(s, posting)?.into_iter().filter(|c| c.taken >= c.openings).map(|c| c.region).collect();
    Ok(targets.leaves().filter_map(Region::leaf_at).all(|county| full.contains(&county)))
}

/// The counties of a posting that have a row, by code.
pub(super) fn of(s: &mut dyn Sql, posting: PostingId) -> Result<Vec<CountySeats>, StoreError> {
    let rows = s.query("SELECT county, openings, taken FROM county_seats WHERE posting = $1 ORDER BY county", params![posting.uuid()])?;
    rows.iter().map(|r| Ok(CountySeats { region: super::region(r.int(0)?)?, openings: r.count(1)?, taken: r.count(2)? })).collect()
}

impl Store {
    /// The counties from which somebody holds a seat of this posting, by code; none
    /// where its seats are not counted by county.
    pub async fn county_seats(&self, posting: PostingId) -> Result<Vec<CountySeats>, StoreError> {
        self.read(move |s| Ok(of(s, posting)?.into_iter().filter(|c| c.taken > 0).collect())).await
    }
}
