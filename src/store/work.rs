//! Work to be done, as rows with a lease and a fencing token. A process that dies
//! leaves its lease to expire; one that comes back late finds its token old.

use super::Store;
use super::engine::bulk::Bulk;
use super::engine::{Sql, StoreError, Val, params};
use super::writer::Tx;
use crate::domain::time::Moment;
use std::collections::{HashMap, HashSet};
use std::time::Duration;
use uuid::Uuid;

/// What is to be done to the row's key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Offer a posting to workers.
    Route,
    /// Somebody may be offered work who could not before: make the postings that lack
    /// people due. The key is one of [`Freed`]'s.
    Seek,
}

/// Whom there is new to offer work to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Freed {
    Somebody,
    /// They wait for no batch: new postings are routed before their window ends.
    Urgently,
}

impl Kind {
    fn code(self) -> &'static str {
        match self {
            Kind::Route => "route",
            Kind::Seek => "seek",
        }
    }
}

/// Rows taken in one transaction.
const TAKEN: i64 = 500;

/// A row taken under a lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lease {
    pub kind: Kind,
    pub key: Uuid,
    pub fence: i64,
}

/// Makes work due; a row under a lease is done once more after it. One that nobody
/// has taken yet goes on waiting for the end of its window.
pub(super) fn enqueue(s: &mut dyn Sql, kind: Kind, key: Uuid, due: Moment) -> Result<(), StoreError> {
    s.exec(
        "INSERT INTO work (kind, key, due_at) VALUES ($1, $2, $3)
         ON CONFLICT (kind, key) DO UPDATE SET fence = work.fence + 1,
           due_at = CASE WHEN excluded.due_at < work.due_at THEN excluded.due_at ELSE work.due_at END
         WHERE work.fence > 0 OR work.due_at <= excluded.due_at",
        params![kind.code(), key, due.ms()],
    )
    .map(|_| ())
}

/// Makes work due that waits for the end of its window, if it does.
pub(super) fn hasten(s: &mut dyn Sql, kind: Kind, key: Uuid, due: Moment) -> Result<(), StoreError> {
    let sql = "UPDATE work SET due_at = $3 WHERE kind = $1 AND key = $2 AND fence = 0 AND due_at > $3";
    s.exec(sql, params![kind.code(), key, due.ms()]).map(|_| ())
}

/// Makes everything due at `due` that waits for `held`, of this batch or by chance of
/// another one.
pub(super) fn release(s: &mut dyn Sql, kind: Kind, held: Moment, due: Moment) -> Result<(), StoreError> {
    let sql = "UPDATE work SET due_at = $3 WHERE kind = $1 AND due_at = $2 AND fence = 0";
    s.exec(sql, params![kind.code(), held.ms(), due.ms()]).map(|_| ())
}

impl Freed {
    fn key(self) -> Uuid {
        Uuid::from_u128(self as u128)
    }
}

/// Somebody new may suit the postings that have fewer offers than they want; they are
/// looked through beside whoever writes, once for all who came free meanwhile.
pub(super) fn seek(s: &mut dyn Sql, freed: Freed, due: Moment) -> Result<(), StoreError> {
    enqueue(s, Kind::Seek, freed.key(), due)
}

/// Makes a slice of the open postings that lack people due for routing. One that is
/// being routed just now is routed once more, since its candidates were chosen before;
/// one that is due anyway stays as it is. New postings that wait for the end of their
/// window do so only where somebody is free who does not.
fn route_short(tx: &mut Tx<'_>, ids: &[Val], freed: Freed, due: Moment) -> Result<(), StoreError> {
    static SHORT: Bulk = Bulk::rows(
        "INSERT INTO work (kind, due_at, key) VALUES {list}
         ON CONFLICT (kind, key) DO UPDATE SET fence = work.fence + 1, due_at = excluded.due_at
         WHERE work.due_at > excluded.due_at AND (work.fence > 0 OR CAST($2 AS BIGINT) = 1)",
        2,
        "'route', CAST($1 AS BIGINT), ",
        1,
    );
    SHORT.insert(tx, params![due.ms(), freed == Freed::Urgently], ids, |_, _| Ok(()))
}

/// Locks the rows of these leases; the keys of those that are still ours.
pub(super) fn held(tx: &mut Tx<'_>, leases: &[Lease]) -> Result<HashSet<Uuid>, StoreError> {
    static HELD: Bulk = Bulk::keys("SELECT key, fence FROM work WHERE kind = $1 AND key IN {list} ORDER BY key {for_update}", 1);
    let mut leases: Vec<&Lease> = leases.iter().collect();
    leases.sort_unstable_by_key(|lease| lease.key);
    let keys: Vec<Val> = leases.iter().map(|lease| lease.key.into()).collect();
    let rows = HELD.query(tx, params![Kind::Route.code()], &keys)?;
    let fences: HashMap<Uuid, i64> = rows.iter().map(|row| Ok((row.uuid(0)?, row.int(1)?))).collect::<Result<_, StoreError>>()?;
    Ok(leases.iter().filter(|lease| fences.get(&lease.key) == Some(&lease.fence)).map(|lease| lease.key).collect())
}

/// Ends leases that are held.
pub(super) fn all_done(tx: &mut Tx<'_>, keys: &[Val]) -> Result<(), StoreError> {
    static DONE: Bulk = Bulk::keys("DELETE FROM work WHERE kind = $1 AND key IN {list}", 1);
    DONE.exec(tx, params![Kind::Route.code()], keys).map(drop)
}

/// Ends leases that are held, and makes the work due again later.
pub(super) fn all_later(tx: &mut Tx<'_>, keys: &[Val], due: Moment) -> Result<(), StoreError> {
    static LATER: Bulk = Bulk::keys("UPDATE work SET due_at = $2 WHERE kind = $1 AND key IN {list}", 2);
    LATER.exec(tx, params![Kind::Route.code(), due.ms()], keys).map(drop)
}

fn take(tx: &mut Tx<'_>, kind: Kind, limit: i64, lease: Duration, now: Moment) -> Result<Vec<Lease>, StoreError> {
    let sql = "WITH due AS MATERIALIZED
         (SELECT key FROM work WHERE kind = $1 AND due_at <= $2 ORDER BY due_at, key LIMIT $3 {skip_locked})
       UPDATE work SET fence = fence + 1, due_at = $4 WHERE kind = $1 AND key IN (SELECT key FROM due) RETURNING key, fence";
    let rows = tx.query(sql, params![kind.code(), now.ms(), limit, now.plus(lease).ms()])?;
    rows.iter().map(|row| Ok(Lease { kind, key: row.uuid(0)?, fence: row.int(1)? })).collect()
}

impl Store {
    /// Takes work that is due, the longest due first.
    pub async fn take_work(&self, kind: Kind, limit: i64, lease: Duration, now: Moment) -> Result<Vec<Lease>, StoreError> {
        // Mostly there is none. A commit, even of nothing, would have whoever waits for one
        // look again, and so on for ever.
        if !self.is_due(kind, now).await? {
            return Ok(Vec::new());
        }
        let mut taken = Vec::new();
        loop {
            let most = TAKEN.min(limit - taken.len() as i64);
            let some = self.write(move |tx| take(tx, kind, most, lease, now)).await?;
            let full = some.len() as i64 == most;
            taken.extend(some);
            if !full || taken.len() as i64 >= limit {
                return Ok(taken);
            }
        }
    }

    /// Keeps leases until a later moment, as far as they are still ours.
    pub async fn keep_work(&self, leases: Vec<Lease>, until: Moment) -> Result<(), StoreError> {
        for some in leases.chunks(TAKEN as usize) {
            let some = some.to_vec();
            let keep = move |tx: &mut Tx<'_>| {
                let ours: Vec<Val> = held(tx, &some)?.into_iter().map(Val::from).collect();
                all_later(tx, &ours, until)
            };
            self.write(keep).await?;
        }
        Ok(())
    }

    /// Makes the postings that lack people due where somebody came free, in slices; how
    /// many there were.
    pub async fn route_for_freed(&self, lease: Duration, now: Moment) -> Result<usize, StoreError> {
        if !self.is_due(Kind::Seek, now).await? {
            return Ok(0);
        }
        let mut made = 0;
        for lease in self.write(move |tx| take(tx, Kind::Seek, 2, lease, now)).await? {
            let freed = if lease.key == Freed::Urgently.key() { Freed::Urgently } else { Freed::Somebody };
            let mut after = Uuid::nil();
            loop {
                let sql = "SELECT id FROM postings WHERE status = 'open' AND short = 1 AND id > $1 ORDER BY id LIMIT $2";
                let rows = self.read(move |s| s.query(sql, params![after, TAKEN])).await?;
                let Some(last) = rows.last() else { break };
                (after, made) = (last.uuid(0)?, made + rows.len());
                let ids: Vec<Val> = rows.into_iter().flat_map(|row| row.0).collect();
                self.write(move |tx| route_short(tx, &ids, freed, now)).await?;
            }
            let done = "DELETE FROM work WHERE kind = $1 AND key = $2 AND fence = $3";
            self.write(move |tx| tx.exec(done, params![Kind::Seek.code(), lease.key, lease.fence])).await?;
        }
        Ok(made)
    }

    async fn is_due(&self, kind: Kind, now: Moment) -> Result<bool, StoreError> {
        let due = "SELECT 1 FROM work WHERE kind = $1 AND due_at <= $2 LIMIT 1";
        self.read(move |s| Ok(s.one(due, params![kind.code(), now.ms()])?.is_some())).await
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
