//! Full feeds: a run of pushes that together say all there is, and the closing of
//! what it does not name.
//!
//! Promises: a posting is closed only if no push named it since the run began; a
//! run that is held or broken off closes nothing; a process that dies while it
//! closes leaves the rest to whoever tends the runs next.
//! Does not: decide how much is too much to close; the caller says.

mod close;

use super::Store;
use super::engine::{Row, Sql, StoreError, params};
use super::once::Answer;
use super::postings::Tally;
use super::writer::Tx;
use crate::domain::id::PostingId;
use crate::domain::time::Moment;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use uuid::Uuid;

/// Postings closed in one transaction.
const SLICE: i64 = 500;
/// A run under which nothing was pushed for so long is discarded.
const ABANDONED: Duration = Duration::from_secs(7 * 24 * 3600);
/// A run that is being closed and has not moved for so long was left by its process.
const LEFT: Duration = Duration::from_secs(20);
/// Held runs that a platform keeps; older ones are discarded.
const HELD_KEPT: i64 = 10;
/// Records forgotten in one transaction.
const SWEPT: i64 = 2000;
/// Postings of a diff that are shown.
const SHOWN: i64 = 100;

/// Where a run stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunState {
    Open,
    /// Complete, and suspicious: somebody must look.
    Held,
    /// Decided; its absent postings are being closed.
    Applying,
    Applied,
    Discarded,
}

impl RunState {
    fn parse(code: &str) -> Option<Self> {
        Some(match code {
            "open" => RunState::Open,
            "held" => RunState::Held,
            "applying" => RunState::Applying,
            "applied" => RunState::Applied,
            "discarded" => RunState::Discarded,
            _ => return None,
        })
    }

    /// As callers see it; a run that is being applied can no longer be stopped.
    pub fn code(self) -> &'static str {
        match self {
            RunState::Open => "open",
            RunState::Held => "held",
            RunState::Applying | RunState::Applied => "applied",
            RunState::Discarded => "discarded",
        }
    }
}

/// One run of a platform.
#[derive(Clone, Debug)]
pub struct Run {
    id: i64,
    pub run: String,
    pub state: RunState,
    pub started_at: Moment,
    pub updated_at: Moment,
    /// The platform's live postings when it began.
    pub live: i64,
    /// What became of its records; `closed` counts those it did not name.
    pub tally: Tally,
    /// Distinct records that it must have had.
    pub expected: Option<i64>,
    /// Distinct records that it had, refused ones included; known once it is complete.
    pub received: Option<i64>,
    /// Live postings it did not name, when it was completed.
    pub absent: Option<i64>,
    /// `hold_share`, `expected`, or why it was discarded.
    pub reason: Option<String>,
    body_mac: Vec<u8>,
}

/// A posting that a run does not name.
#[derive(Clone, Debug)]
pub struct Absent {
    pub id: PostingId,
    pub source_id: String,
    pub title: String,
    pub taken: i64,
    /// Offers that wait for an answer and would be withdrawn.
    pub waiting: i64,
}

/// The run that a slice belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RunKey(i64);

/// What a push finds when it names a run.
#[derive(Clone, Debug)]
pub enum Found {
    Open(RunKey),
    /// This very push completed it.
    Completed(RunKey),
    Ended,
}

/// What a completing push asks for.
#[derive(Clone, Debug)]
pub struct Completion {
    /// Distinct records that the run must have had.
    pub expected: Option<u64>,
    pub hold_share: f64,
    /// Of the push, so that it answers the same when it is repeated.
    pub body_mac: Vec<u8>,
    /// The push's answer, with nothing closed by the run and nothing held.
    pub answer: Value,
}

/// How a run ended.
#[derive(Clone, Debug)]
pub enum Ended {
    Answered(Answer),
    /// Somebody ended it meanwhile.
    Already,
}

/// Records that came in a run beside its good ones.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Brought {
    /// Refused, and its id could be read.
    Named(String),
    /// Refused or left out; told from others by this text.
    Unnamed(String),
}

const COLUMNS: &str =
    "SELECT id, run, state, started_at, updated_at, live, created, updated, unchanged, closed, expected, received, absent,
   reason, body_mac FROM runs WHERE platform = $1 AND run = $2";

fn run_of(row: &Row) -> Result<Run, StoreError> {
    let corrupt = |what: &str| StoreError::Corrupt(format!("a run's {what}"));
    let count = |column| row.int(column).map(|n| n.max(0) as u64);
    Ok(Run {
        id: row.int(0)?,
        run: row.text(1)?.to_owned(),
        state: RunState::parse(row.text(2)?).ok_or_else(|| corrupt("state"))?,
        started_at: Moment::from_ms(row.int(3)?),
        updated_at: Moment::from_ms(row.int(4)?),
        live: row.int(5)?,
        tally: Tally { created: count(6)?, updated: count(7)?, unchanged: count(8)?, closed: count(9)? },
        expected: row.opt_int(10)?,
        received: row.opt_int(11)?,
        absent: row.opt_int(12)?,
        reason: row.opt_text(13)?.map(str::to_owned),
        body_mac: row.opt_blob(14)?.unwrap_or_default().to_vec(),
    })
}

fn find(s: &mut dyn Sql, platform: &str, run: &str) -> Result<Option<Run>, StoreError> {
    s.one(COLUMNS, params![platform, run])?.as_ref().map(run_of).transpose()
}

/// Locks an open run for what a slice brings to it; false where it has ended meanwhile.
pub(super) fn touch(tx: &mut Tx<'_>, key: RunKey, now: Moment) -> Result<bool, StoreError> {
    let sql = "UPDATE runs SET updated_at = $2 WHERE id = $1 AND state = 'open'";
    Ok(tx.exec(sql, params![key.0, now.ms()])? == 1)
}

/// Adds a slice's tally to its run.
pub(super) fn add(tx: &mut Tx<'_>, key: RunKey, tally: &Tally) -> Result<(), StoreError> {
    let n = |v: u64| i64::try_from(v).unwrap_or(i64::MAX);
    tx.exec(
        "UPDATE runs SET created = created + $2, updated = updated + $3, unchanged = unchanged + $4 WHERE id = $1",
        params![key.0, n(tally.created), n(tally.updated), n(tally.unchanged)],
    )
    .map(|_| ())
}

fn bring(tx: &mut Tx<'_>, run: i64, kind: i64, record: &str) -> Result<(), StoreError> {
    let sql = "INSERT INTO run_records (run, kind, record) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING";
    tx.exec(sql, params![run, kind, record]).map(|_| ())
}

/// Notes that these ids were pushed: in `own`, and beside every other run of the
/// platform that is not over, so that none of those closes them.
pub(super) fn name<'a>(
    tx: &mut Tx<'_>,
    platform: &str,
    own: Option<RunKey>,
    ids: impl Iterator<Item = &'a str> + Clone,
) -> Result<(), StoreError> {
    let others = tx.query("SELECT id FROM runs WHERE platform = $1 AND state IN ('open', 'held', 'applying')", params![platform])?;
    for row in others {
        let run = row.int(0)?;
        let kind = i64::from(own == Some(RunKey(run)));
        for id in ids.clone() {
            bring(tx, run, kind, id)?;
        }
    }
    Ok(())
}

/// Ends an open run that nobody will complete: nothing is closed. One that brought
/// nothing is forgotten.
fn break_off(tx: &mut Tx<'_>, platform: &str, run: &str, now: Moment) -> Result<(), StoreError> {
    let gone = tx.exec(
        "DELETE FROM runs WHERE platform = $1 AND run = $2 AND state = 'open' AND NOT EXISTS (SELECT 1 FROM run_records r WHERE r.run = runs.id)",
        params![platform, run],
    )?;
    if gone == 0 {
        tx.exec(
            "UPDATE runs SET state = 'discarded', reason = 'broken_off', updated_at = $3 WHERE platform = $1 AND run = $2 AND state = 'open'",
            params![platform, run, now.ms()],
        )?;
    }
    Ok(())
}

/// Live postings of the platform after this one that the run does not name.
fn absent(s: &mut dyn Sql, platform: &str, run: i64, after: Uuid, limit: i64) -> Result<Vec<Row>, StoreError> {
    s.query(
        "SELECT p.id, p.source_id, p.content, p.taken,
           (SELECT COUNT(*) FROM offers o WHERE o.posting = p.id AND o.closed = 0 AND o.state IN ('offered', 'seen', 'waitlisted'))
         FROM postings p WHERE p.platform = $1 AND p.id > $3 AND p.status IN ('open', 'paused', 'filled')
           AND NOT EXISTS (SELECT 1 FROM run_records r WHERE r.run = $2 AND r.kind IN (0, 1) AND r.record = p.source_id)
         ORDER BY p.id LIMIT $4",
        params![platform, run, after, limit],
    )
}

fn count_absent(s: &mut dyn Sql, platform: &str, run: i64) -> Result<i64, StoreError> {
    let row = s.one(
        "SELECT COUNT(*) FROM postings p WHERE p.platform = $1 AND p.status IN ('open', 'paused', 'filled')
           AND NOT EXISTS (SELECT 1 FROM run_records r WHERE r.run = $2 AND r.kind IN (0, 1) AND r.record = p.source_id)",
        params![platform, run],
    )?;
    row.map_or(Ok(0), |r| r.int(0))
}

impl Store {
    /// Begins a run, or finds it.
    pub async fn open_run(&self, platform: String, run: String, body_mac: Vec<u8>, now: Moment) -> Result<Found, StoreError> {
        let (of, name) = (platform.clone(), run.clone());
        let known = self.read(move |s| find(s, &of, &name)).await?;
        if known.is_none() {
            let of = platform.clone();
            let sql = "SELECT COUNT(*) FROM postings WHERE platform = $1 AND status IN ('open', 'paused', 'filled')";
            let live = self.read(move |s| s.one(sql, params![of.as_str()])?.map_or(Ok(0), |r| r.int(0))).await?;
            let (of, name) = (platform.clone(), run.clone());
            self.write(move |tx| {
                tx.exec(
                    "INSERT INTO runs (platform, run, state, started_at, updated_at, live) VALUES ($1, $2, 'open', $3, $3, $4)
                     ON CONFLICT (platform, run) DO NOTHING",
                    params![of.as_str(), name.as_str(), now.ms(), live],
                )
            })
            .await?;
        }
        let found = self.read(move |s| find(s, &platform, &run)).await?;
        let found = found.ok_or_else(|| StoreError::Corrupt("a run that was just begun".to_owned()))?;
        Ok(match found.state {
            RunState::Open => Found::Open(RunKey(found.id)),
            _ if !body_mac.is_empty() && found.body_mac == body_mac => Found::Completed(RunKey(found.id)),
            _ => Found::Ended,
        })
    }

    /// Notes what came in a run beside its good records; false where it has ended.
    pub async fn bring_to_run(&self, key: RunKey, brought: Vec<Brought>, now: Moment) -> Result<bool, StoreError> {
        let brought = Arc::new(brought);
        for from in (0..brought.len()).step_by(SLICE as usize) {
            let brought = brought.clone();
            let open = self.write(move |tx| {
                if !touch(tx, key, now)? {
                    return Ok(false);
                }
                for record in brought[from..].iter().take(SLICE as usize) {
                    match record {
                        Brought::Named(id) => bring(tx, key.0, 1, id)?,
                        Brought::Unnamed(text) => bring(tx, key.0, 2, text)?,
                    }
                }
                Ok(true)
            });
            if !open.await? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// A run by the platform's name of it, with the first of what it does not name.
    pub async fn run(&self, platform: String, run: String) -> Result<Option<(Run, Vec<Absent>)>, StoreError> {
        self.read(move |s| {
            let Some(run) = find(s, &platform, &run)? else { return Ok(None) };
            let diff = match run.state {
                RunState::Open | RunState::Held | RunState::Applying => absent(s, &platform, run.id, Uuid::nil(), SHOWN)?,
                RunState::Applied | RunState::Discarded => Vec::new(),
            };
            let diff = diff.iter().map(absent_of).collect::<Result<_, _>>()?;
            Ok(Some((run, diff)))
        })
        .await
    }

    /// Ends an open run that nobody will complete; nothing is closed.
    pub async fn break_off_run(&self, platform: String, run: String, now: Moment) -> Result<(), StoreError> {
        self.write(move |tx| break_off(tx, &platform, &run, now)).await
    }

    /// Lets a held run close its postings. None where there is no such run, false
    /// where it is not held.
    pub async fn release_run(
        &self,
        platform: String,
        run: String,
        promoted_within: Duration,
        now: Moment,
    ) -> Result<Option<bool>, StoreError> {
        let Some(key) = self.leave_held(platform.clone(), run, "applying", now).await? else { return Ok(None) };
        let Some(key) = key else { return Ok(Some(false)) };
        self.apply_run(platform, key, None, promoted_within, now).await?;
        Ok(Some(true))
    }

    /// Drops the closing part of a held run; what it brought stays.
    pub async fn discard_run(&self, platform: String, run: String, now: Moment) -> Result<Option<bool>, StoreError> {
        Ok(self.leave_held(platform, run, "discarded", now).await?.map(|key| key.is_some()))
    }

    async fn leave_held(&self, platform: String, run: String, to: &'static str, now: Moment) -> Result<Option<Option<RunKey>>, StoreError> {
        self.write(move |tx| {
            let Some(found) = find(tx, &platform, &run)? else { return Ok(None) };
            let left =
                tx.exec("UPDATE runs SET state = $2, updated_at = $3 WHERE id = $1 AND state = 'held'", params![found.id, to, now.ms()])?;
            Ok(Some((left == 1).then_some(RunKey(found.id))))
        })
        .await
    }

    /// Discards the open runs whose names begin so: the feed begins anew, and nobody
    /// will end them.
    pub async fn abandon_runs(&self, platform: String, prefix: &str, now: Moment) -> Result<u64, StoreError> {
        // Names of feeds hold no other character that means something to LIKE.
        let pattern = format!("{}%", prefix.replace('_', "\\_"));
        self.write(move |tx| {
            tx.exec(
                "UPDATE runs SET state = 'discarded', reason = 'abandoned', updated_at = $3
                 WHERE platform = $1 AND state = 'open' AND run LIKE $2 ESCAPE '\\'",
                params![platform.as_str(), pattern.as_str(), now.ms()],
            )
        })
        .await
    }

    /// Goes on with runs whose process died, discards those that nobody ends, and
    /// forgets the records of those that are over. Says whether there is more to do.
    pub async fn tend_runs(&self, promoted_within: Duration, now: Moment) -> Result<usize, StoreError> {
        let (left_since, idle_since) = (now.minus(LEFT).ms(), now.minus(ABANDONED).ms());
        let (left, over, idle) = self
            .read(move |s| {
                let left = s.query(
                    "SELECT id, platform FROM runs WHERE state = 'applying' AND updated_at <= $1 ORDER BY id",
                    params![left_since],
                )?;
                let over = s.one("SELECT id FROM runs WHERE swept = 0 AND state IN ('applied', 'discarded') ORDER BY id LIMIT 1", &[])?;
                let idle = s.one("SELECT 1 FROM runs WHERE state = 'open' AND updated_at <= $1", params![idle_since])?;
                Ok((left, over.map(|r| r.int(0)).transpose()?, idle.is_some()))
            })
            .await?;
        for row in &left {
            self.apply_run(row.text(1)?.to_owned(), RunKey(row.int(0)?), None, promoted_within, now).await?;
        }
        if over.is_none() && !idle {
            return Ok(left.len());
        }
        self.write(move |tx| {
            tx.exec(
                "UPDATE runs SET state = 'discarded', reason = 'abandoned', updated_at = $2 WHERE state = 'open' AND updated_at <= $1",
                params![idle_since, now.ms()],
            )?;
            let Some(run) = over else { return Ok(1) };
            let gone = tx.exec(
                "DELETE FROM run_records WHERE run = $1 AND (kind, record) IN (SELECT kind, record FROM run_records WHERE run = $1 LIMIT $2)",
                params![run, SWEPT],
            )?;
            if gone < SWEPT as u64 {
                tx.exec("UPDATE runs SET swept = 1 WHERE id = $1", params![run])?;
            }
            Ok(1)
        })
        .await
    }
}

fn absent_of(row: &Row) -> Result<Absent, StoreError> {
    let content: Value = serde_json::from_str(row.text(2)?).map_err(|_| StoreError::Corrupt("a posting's content".to_owned()))?;
    Ok(Absent {
        id: PostingId::new(row.uuid(0)?),
        source_id: row.text(1)?.to_owned(),
        title: content["title"].as_str().unwrap_or_default().to_owned(),
        taken: row.int(3)?,
        waiting: row.int(4)?,
    })
}

impl Absent {
    /// As a diff shows it.
    pub fn body(&self) -> Value {
        json!({"id": self.id, "source_id": self.source_id, "title": self.title, "taken": self.taken, "waiting_offers": self.waiting})
    }
}
