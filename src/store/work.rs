//! Work to be done, as rows with a lease and a fencing token. A process that dies
//! leaves its lease to expire; one that comes back late finds its token old.

use super::Store;
use super::engine::{Sql, StoreError, params};
use super::writer::Tx;
use crate::domain::time::Moment;
use std::time::Duration;
use uuid::Uuid;

/// What is to be done to the row's key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Offer a posting to workers.
    Route,
}

impl Kind {
    fn code(self) -> &'static str {
        match self {
            Kind::Route => "route",
        }
    }
}

/// A row taken under a lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lease {
    pub kind: Kind,
    pub key: Uuid,
    pub fence: i64,
}

/// Makes work due; a row under a lease is done once more after it.
pub(super) fn enqueue(s: &mut dyn Sql, kind: Kind, key: Uuid, due: Moment) -> Result<(), StoreError> {
    s.exec(
        "INSERT INTO work (kind, key, due_at) VALUES ($1, $2, $3)
         ON CONFLICT (kind, key) DO UPDATE SET fence = work.fence + 1,
           due_at = CASE WHEN excluded.due_at < work.due_at THEN excluded.due_at ELSE work.due_at END",
        params![kind.code(), key, due.ms()],
    )
    .map(|_| ())
}

/// Makes every open posting that has fewer offers than it wants due for routing:
/// somebody new may suit it. One that is being routed just now is routed once more,
/// since its candidates were chosen before; one that is due anyway stays as it is.
pub(super) fn enqueue_short(s: &mut dyn Sql, due: Moment) -> Result<(), StoreError> {
    s.exec(
        "INSERT INTO work (kind, key, due_at) SELECT 'route', id, CAST($1 AS BIGINT) FROM postings WHERE status = 'open' AND short = 1 ORDER BY id
         ON CONFLICT (kind, key) DO UPDATE SET fence = work.fence + 1, due_at = excluded.due_at WHERE work.due_at > excluded.due_at",
        params![due.ms()],
    )
    .map(|_| ())
}

/// Ends a lease if it is still ours.
pub(super) fn done(tx: &mut Tx<'_>, lease: Lease) -> Result<bool, StoreError> {
    let sql = "DELETE FROM work WHERE kind = $1 AND key = $2 AND fence = $3";
    tx.exec(sql, params![lease.kind.code(), lease.key, lease.fence]).map(|n| n == 1)
}

/// Ends a lease and makes the work due again later, unless it was made due meanwhile.
pub(super) fn later(tx: &mut Tx<'_>, lease: Lease, due: Moment) -> Result<(), StoreError> {
    let sql = "UPDATE work SET due_at = $4 WHERE kind = $1 AND key = $2 AND fence = $3";
    tx.exec(sql, params![lease.kind.code(), lease.key, lease.fence, due.ms()]).map(|_| ())
}

/// Still ours.
pub(super) fn holds(s: &mut dyn Sql, lease: Lease) -> Result<bool, StoreError> {
    let sql = "SELECT fence FROM work WHERE kind = $1 AND key = $2 {for_update}";
    Ok(s.one(sql, params![lease.kind.code(), lease.key])?.is_some_and(|r| r.int(0) == Ok(lease.fence)))
}

impl Store {
    /// Takes work that is due.
    pub async fn take_work(&self, kind: Kind, limit: i64, lease: Duration, now: Moment) -> Result<Vec<Lease>, StoreError> {
        self.write(move |tx| {
            let sql = "SELECT key, fence FROM work WHERE kind = $1 AND due_at <= $2 ORDER BY due_at, key LIMIT $3 {skip_locked}";
            let rows = tx.query(sql, params![kind.code(), now.ms(), limit])?;
            let mut taken = Vec::with_capacity(rows.len());
            for row in &rows {
                let (key, fence) = (row.uuid(0)?, row.int(1)? + 1);
                tx.exec(
                    "UPDATE work SET fence = $3, due_at = $4 WHERE kind = $1 AND key = $2",
                    params![kind.code(), key, fence, now.plus(lease).ms()],
                )?;
                taken.push(Lease { kind, key, fence });
            }
            Ok(taken)
        })
        .await
    }

    /// How much work is due, and since when the oldest.
    pub async fn work_due(&self, kind: Kind, now: Moment) -> Result<(i64, Option<Moment>), StoreError> {
        self.read(move |s| {
            let row = s.one("SELECT COUNT(*), MIN(due_at) FROM work WHERE kind = $1 AND due_at <= $2", params![kind.code(), now.ms()])?;
            let row = row.ok_or_else(|| StoreError::Corrupt("a count without a row".to_owned()))?;
            Ok((row.int(0)?, row.opt_int(1)?.map(Moment::from_ms)))
        })
        .await
    }
}
