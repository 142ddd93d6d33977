//! The state of feeds that are fetched: one row for each, under a lease with a
//! fencing token.
//!
//! Promises: one process at a time is at a feed; who comes back after its lease has
//! passed on stores nothing, neither here nor a posting; how far a pull came outlives
//! the process.

use super::Store;
use super::engine::{Row, Sql, StoreError, params};
use super::writer::Tx;
use crate::domain::time::Moment;
use serde_json::Value;
use std::time::Duration;

/// A feed as it is configured now.
#[derive(Clone, Debug)]
pub struct Known {
    pub name: String,
    /// Of what decides the meaning of its answers; where it changes, nothing that
    /// was kept of them holds.
    pub fingerprint: Vec<u8>,
    /// When it is due for the first time.
    pub due: Moment,
}

/// The right to be at a feed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hold {
    pub name: String,
    pub fence: i64,
}

/// A feed taken for a pull.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    pub hold: Hold,
    /// The pull that was under way.
    pub under_way: Option<UnderWay>,
    /// What the last whole answer said of itself.
    pub etag: Option<String>,
    pub last_modified: Option<String>,
    /// When it was last read, not only found to be the same.
    pub read_at: Option<Moment>,
    /// Failures in a row.
    pub failures: u32,
}

/// How far a pull came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnderWay {
    pub run: String,
    /// Pages taken in.
    pub page: u32,
    /// Where the next one is.
    pub next: String,
    pub totals: Value,
    pub started_at: Moment,
}

/// How a feed's host stands, for the operator to see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// `closed`, `open` or `half_open`.
    pub breaker: &'static str,
    /// Nothing is asked of the host before.
    pub quiet_until: Option<Moment>,
}

/// How a pull ended.
#[derive(Clone, Debug)]
pub enum Pulled {
    /// All of it was taken in.
    Whole { etag: Option<String>, last_modified: Option<String>, facts: Value },
    /// The source says that nothing has changed.
    Same,
    /// `again` keeps how far it came.
    Failed { error: String, again: bool },
}

/// A feed as an operator sees it.
#[derive(Clone, Debug)]
pub struct FeedState {
    pub name: String,
    pub due_at: Moment,
    pub lease_until: Moment,
    pub page: i64,
    pub good_at: Option<Moment>,
    /// Of the last good answer: 200, or 304.
    pub good_status: Option<i64>,
    pub etag: Option<String>,
    pub last_modified: Option<String>,
    /// When it was last read, not only found to be the same.
    pub read_at: Option<Moment>,
    /// What that came to.
    pub good: Option<Value>,
    pub failed_at: Option<Moment>,
    pub error: Option<String>,
    pub failures: i64,
    pub breaker: String,
    pub quiet_until: Option<Moment>,
}

fn moment(row: &Row, column: usize) -> Result<Option<Moment>, StoreError> {
    Ok(row.opt_int(column)?.map(Moment::from_ms))
}

fn text(row: &Row, column: usize) -> Result<Option<String>, StoreError> {
    Ok(row.opt_text(column)?.map(str::to_owned))
}

fn json(row: &Row, column: usize) -> Result<Option<Value>, StoreError> {
    Ok(row.opt_text(column)?.and_then(|t| serde_json::from_str(t).ok()))
}

impl Store {
    /// Makes the configured feeds known; a changed one begins anew, at once.
    pub async fn know_feeds(&self, feeds: Vec<Known>, now: Moment) -> Result<(), StoreError> {
        self.write(move |tx| {
            for feed in &feeds {
                tx.exec(
                    "INSERT INTO feeds (name, fingerprint, due_at) VALUES ($1, $2, $3) ON CONFLICT (name) DO UPDATE SET
                       fingerprint = excluded.fingerprint, due_at = $4, run = NULL, next = NULL, page = 0, totals = NULL,
                       etag = NULL, last_modified = NULL, read_at = NULL, failures = 0, fence = feeds.fence + 1, lease_until = 0
                     WHERE feeds.fingerprint <> excluded.fingerprint",
                    params![feed.name.as_str(), feed.fingerprint.as_slice(), feed.due.ms(), now.ms()],
                )?;
            }
            Ok(())
        })
        .await
    }

    /// Names of the feeds that are due and that nobody is at.
    pub async fn due_feeds(&self, now: Moment) -> Result<Vec<String>, StoreError> {
        self.read(move |s| {
            let rows = s.query("SELECT name FROM feeds WHERE due_at <= $1 AND lease_until <= $1", params![now.ms()])?;
            rows.iter().map(|row| row.text(0).map(str::to_owned)).collect()
        })
        .await
    }

    /// Holds a feed a while longer; false where it has passed on.
    pub async fn hold_feed(&self, claim: &Claim, lease: Duration, now: Moment) -> Result<bool, StoreError> {
        let (name, fence) = (claim.hold.name.clone(), claim.hold.fence);
        self.write(move |tx| {
            let sql = "UPDATE feeds SET lease_until = $3 WHERE name = $1 AND fence = $2";
            tx.exec(sql, params![name.as_str(), fence, now.plus(lease).ms()]).map(|n| n == 1)
        })
        .await
    }

    /// Takes a feed that is due and that nobody is at.
    pub async fn claim_feed(&self, name: String, lease: Duration, now: Moment) -> Result<Option<Claim>, StoreError> {
        self.write(move |tx| {
            let row = tx.one(
                "UPDATE feeds SET fence = fence + 1, lease_until = $3 WHERE name = $1 AND due_at <= $2 AND lease_until <= $2
                 RETURNING fence, run, page, next, totals, started_at, etag, last_modified, read_at, failures",
                params![name.as_str(), now.ms(), now.plus(lease).ms()],
            )?;
            let Some(row) = row else { return Ok(None) };
            let under_way = match (text(&row, 1)?, text(&row, 3)?) {
                (Some(run), Some(next)) => Some(UnderWay {
                    run,
                    page: row.count(2)?,
                    next,
                    totals: json(&row, 4)?.unwrap_or_default(),
                    started_at: moment(&row, 5)?.unwrap_or(now),
                }),
                _ => None,
            };
            Ok(Some(Claim {
                hold: Hold { name: name.clone(), fence: row.int(0)? },
                under_way,
                etag: text(&row, 6)?,
                last_modified: text(&row, 7)?,
                read_at: moment(&row, 8)?,
                failures: row.count(9)?,
            }))
        })
        .await
    }

    /// Stores how far a pull came and holds the feed a while longer; false where it
    /// has passed on.
    pub async fn advance_feed(&self, claim: &Claim, at: UnderWay, lease: Duration, now: Moment) -> Result<bool, StoreError> {
        let (name, fence) = (claim.hold.name.clone(), claim.hold.fence);
        self.write(move |tx| {
            let n = tx.exec(
                "UPDATE feeds SET run = $3, page = $4, next = $5, totals = $6, started_at = $7, lease_until = $8 WHERE name = $1 AND fence = $2",
                params![
                    name.as_str(),
                    fence,
                    at.run.as_str(),
                    at.page,
                    at.next.as_str(),
                    at.totals.to_string(),
                    at.started_at.ms(),
                    now.plus(lease).ms()
                ],
            )?;
            Ok(n == 1)
        })
        .await
    }

    /// Ends a pull, and says when the next is due; false where the feed has passed on.
    pub async fn end_pull(&self, claim: &Claim, pulled: Pulled, host: Standing, due: Moment, now: Moment) -> Result<bool, StoreError> {
        let Hold { name, fence } = claim.hold.clone();
        self.write(move |tx| {
            let n = match &pulled {
                Pulled::Whole { etag, last_modified, facts } => tx.exec(
                    "UPDATE feeds SET run = NULL, next = NULL, page = 0, totals = NULL, started_at = NULL, lease_until = 0, due_at = $3,
                       etag = $4, last_modified = $5, read_at = $6, good_at = $6, good_status = 200, good = $7, failures = 0
                     WHERE name = $1 AND fence = $2",
                    params![name.as_str(), fence, due.ms(), etag.as_deref(), last_modified.as_deref(), now.ms(), facts.to_string()],
                ),
                Pulled::Same => tx.exec(
                    "UPDATE feeds SET run = NULL, next = NULL, page = 0, totals = NULL, started_at = NULL, lease_until = 0, due_at = $3,
                       good_at = $4, good_status = 304, failures = 0 WHERE name = $1 AND fence = $2",
                    params![name.as_str(), fence, due.ms(), now.ms()],
                ),
                Pulled::Failed { error, again } => tx.exec(
                    "UPDATE feeds SET lease_until = 0, due_at = $3, failed_at = $4, error = $5, failures = failures + 1,
                       run = CASE WHEN $6 = 1 THEN run END, next = CASE WHEN $6 = 1 THEN next END,
                       page = CASE WHEN $6 = 1 THEN page ELSE 0 END WHERE name = $1 AND fence = $2",
                    params![name.as_str(), fence, due.ms(), now.ms(), error.as_str(), *again],
                ),
            }?;
            stands(tx, &name, fence, host)?;
            Ok(n == 1)
        })
        .await
    }

    /// Puts off a feed that could not be asked, without counting a failure.
    pub async fn put_off_feed(&self, claim: &Claim, host: Standing, due: Moment) -> Result<(), StoreError> {
        let Hold { name, fence } = claim.hold.clone();
        self.write(move |tx| {
            let sql = "UPDATE feeds SET lease_until = 0, due_at = $3 WHERE name = $1 AND fence = $2";
            tx.exec(sql, params![name.as_str(), fence, due.ms()])?;
            stands(tx, &name, fence, host)
        })
        .await
    }

    /// Hands a feed back in the middle of its pull, for whoever comes next to go on.
    pub async fn give_feed_back(&self, hold: Hold) -> Result<(), StoreError> {
        self.write(move |tx| {
            let sql = "UPDATE feeds SET lease_until = 0 WHERE name = $1 AND fence = $2";
            tx.exec(sql, params![hold.name.as_str(), hold.fence]).map(|_| ())
        })
        .await
    }

    /// Makes a feed due now; false where there is none of this name.
    pub async fn pull_now(&self, name: String, now: Moment) -> Result<bool, StoreError> {
        self.write(move |tx| tx.exec("UPDATE feeds SET due_at = $2 WHERE name = $1", params![name.as_str(), now.ms()]).map(|n| n == 1))
            .await
    }

    /// Every feed that was ever known, by name.
    pub async fn feeds(&self) -> Result<Vec<FeedState>, StoreError> {
        self.read(|s| {
            let rows = s.query(
                "SELECT name, due_at, lease_until, page, good_at, good_status, etag, last_modified, read_at, good, failed_at, error, failures,
                   breaker, quiet_until FROM feeds ORDER BY name",
                &[],
            )?;
            rows.iter().map(state).collect()
        })
        .await
    }
}

fn state(row: &Row) -> Result<FeedState, StoreError> {
    Ok(FeedState {
        name: row.text(0)?.to_owned(),
        due_at: Moment::from_ms(row.int(1)?),
        lease_until: Moment::from_ms(row.int(2)?),
        page: row.int(3)?,
        good_at: moment(row, 4)?,
        good_status: row.opt_int(5)?,
        etag: text(row, 6)?,
        last_modified: text(row, 7)?,
        read_at: moment(row, 8)?,
        good: json(row, 9)?,
        failed_at: moment(row, 10)?,
        error: text(row, 11)?,
        failures: row.int(12)?,
        breaker: row.text(13)?.to_owned(),
        quiet_until: moment(row, 14)?,
    })
}

fn stands(tx: &mut Tx<'_>, name: &str, fence: i64, host: Standing) -> Result<(), StoreError> {
    let sql = "UPDATE feeds SET breaker = $3, quiet_until = $4 WHERE name = $1 AND fence = $2";
    tx.exec(sql, params![name, fence, host.breaker, host.quiet_until.map(Moment::ms)]).map(|_| ())
}

/// Locks a feed for what its puller stores; false where it has passed on.
pub(super) fn holds(tx: &mut Tx<'_>, hold: &Hold) -> Result<bool, StoreError> {
    let row = tx.one("SELECT fence FROM feeds WHERE name = $1 {for_update}", params![hold.name.as_str()])?;
    Ok(row.is_some_and(|r| r.int(0) == Ok(hold.fence)))
}
