//! What is due to webhook endpoints, and what came of each attempt.
//!
//! Promises: a row is sent by one process at a time, under a lease; what a late one
//! heard is listed and changes nothing; however long one endpoint's backlog is, what is
//! due to another is found as fast; no statement touches more than some hundred rows.

use super::endpoints;
use super::engine::bulk::Bulk;
use super::engine::{Row, Sql, StoreError, Val, params};
use super::log::{self, EventPage, Listed};
use super::writer::Tx;
use super::{Store, access};
use crate::domain::id::{EndpointId, EventId};
use crate::domain::time::Moment;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;
use uuid::Uuid;

/// Rows that one transaction gives up or deletes.
pub(super) const SLICE: i64 = 500;

/// An enabled endpoint, and when the first thing is due to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Waiting {
    pub endpoint: EndpointId,
    pub version: i64,
    pub next: Option<Moment>,
}

/// So much of what is due to an endpoint is wanted.
#[derive(Clone, Copy, Debug)]
pub struct Want {
    pub endpoint: EndpointId,
    /// Of the endpoint as it was seen; nothing is taken for it if that has changed.
    pub version: i64,
    pub most: i64,
}

/// One event that is to be sent to one endpoint, taken under a lease.
#[derive(Clone, Debug)]
pub struct Due {
    pub lease: Lease,
    pub event: Listed,
    pub tries: i64,
}

/// Whose turn it is to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lease {
    pub endpoint: EndpointId,
    pub event: EventId,
    pub fence: i64,
    pub until: Moment,
}

/// What came of sending.
#[derive(Clone, Debug)]
pub struct Attempted {
    pub lease: Lease,
    pub at: Moment,
    pub status: Option<u16>,
    pub error: Option<String>,
    pub next: Next,
}

/// What follows from an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    Delivered,
    RetryAt(Moment),
    /// Tried often enough, or never to be sent there; replay can make it due again.
    Dead,
    /// The endpoint is gone; it is disabled and its platform told.
    Gone,
}

/// A line of an endpoint's attempts.
#[derive(Clone, Debug)]
pub struct Attempt {
    pub seq: i64,
    pub event: EventId,
    pub at: Moment,
    pub status: Option<i64>,
    pub error: Option<String>,
}

/// An event that was given up.
#[derive(Clone, Debug)]
pub struct DeadLetter {
    pub event: EventId,
    pub kind: String,
    /// When it was given up.
    pub at: Moment,
    pub tries: i64,
    /// What the last attempt met.
    pub status: Option<i64>,
    pub error: Option<String>,
}

/// Some of what is due to an endpoint is due no more; replay brings it back. Says how
/// many rows.
pub(super) fn give_up(tx: &mut Tx<'_>, id: EndpointId, why: &str) -> Result<u64, StoreError> {
    tx.exec(
        "UPDATE deliveries SET state = 'dead', error = COALESCE(error, $2) WHERE endpoint = $1 AND state = 'due' AND event IN
         (SELECT event FROM deliveries WHERE endpoint = $1 AND state = 'due' ORDER BY due_at, event LIMIT $3)",
        params![id.uuid(), why, SLICE],
    )
}

/// The newest word on each endpoint in a batch of outcomes.
#[derive(Default)]
struct Standing {
    received: bool,
    failing_since: Option<Moment>,
    gone: bool,
}

fn attempted(tx: &mut Tx<'_>, all: &[Attempted], disable_after: Duration) -> Result<(), StoreError> {
    static ATTEMPTS: Bulk = Bulk::rows("INSERT INTO attempts (endpoint, event, at, status, error) VALUES {list}", 0, "", 5);
    static DONE: Bulk = Bulk::keys(
        "UPDATE deliveries SET state = 'done', due_at = $3, tries = tries + 1, status = NULL, error = NULL
         WHERE endpoint = $1 AND fence = $2 AND state = 'due' AND event IN {list}",
        3,
    );
    let mut listed = Vec::with_capacity(all.len() * 5);
    // In the order of their keys, so that two processes never wait for each other.
    let mut done: BTreeMap<(Uuid, i64), (Moment, Vec<Val>)> = BTreeMap::new();
    let mut standings: BTreeMap<Uuid, Standing> = BTreeMap::new();
    for a in all {
        let (endpoint, event) = (a.lease.endpoint.uuid(), a.lease.event.uuid());
        listed.extend_from_slice(params![endpoint, event, a.at.ms(), a.status.map(i64::from), a.error.as_deref()]);
        if a.next == Next::Delivered {
            let (at, events) = done.entry((endpoint, a.lease.fence)).or_insert_with(|| (a.at, Vec::new()));
            *at = a.at.max(*at);
            events.push(event.into());
        }
    }
    ATTEMPTS.insert(tx, &[], &listed, |_, _| Ok(()))?;
    for ((endpoint, fence), (at, events)) in done {
        if DONE.exec(tx, params![endpoint, fence, at.ms()], &events)? > 0 {
            standings.entry(endpoint).or_default().received = true;
        }
    }
    let mut failed: Vec<&Attempted> = all.iter().filter(|a| a.next != Next::Delivered).collect();
    failed.sort_by_key(|a| (a.lease.endpoint, a.lease.event));
    for a in failed {
        let (state, due) = match a.next {
            Next::RetryAt(due) => ("due", due),
            _ => ("dead", a.at),
        };
        let (endpoint, event, fence) = (a.lease.endpoint.uuid(), a.lease.event.uuid(), a.lease.fence);
        let error = a.error.clone().unwrap_or_else(|| format!("answered {}", a.status.unwrap_or_default()));
        let ours = tx.exec(
            "UPDATE deliveries SET state = $4, due_at = $5, tries = tries + 1, status = $6, error = $7, fence = fence + 1
             WHERE endpoint = $1 AND event = $2 AND fence = $3 AND state = 'due'",
            params![endpoint, event, fence, state, due.ms(), a.status.map(i64::from), error],
        )?;
        if ours == 1 {
            let standing = standings.entry(endpoint).or_default();
            standing.failing_since = Some(standing.failing_since.map_or(a.at, |since| since.min(a.at)));
            standing.gone |= a.next == Next::Gone;
        }
    }
    for (endpoint, standing) in standings {
        stand(tx, EndpointId::new(endpoint), &standing, disable_after)?;
    }
    Ok(())
}

/// Notes how an endpoint stands, and disables it where it is gone or has failed for
/// long. Anything that was received in the same batch ends a row of failures.
fn stand(tx: &mut Tx<'_>, id: EndpointId, standing: &Standing, disable_after: Duration) -> Result<(), StoreError> {
    if standing.received {
        tx.exec("UPDATE endpoints SET failing_since = NULL WHERE id = $1 AND failing_since IS NOT NULL", params![id.uuid()])?;
    }
    let Some(at) = standing.failing_since else { return Ok(()) };
    if standing.gone {
        return endpoints::disable(tx, id, "gone", at);
    }
    if standing.received {
        return Ok(());
    }
    let sql = "UPDATE endpoints SET failing_since = COALESCE(failing_since, $2) WHERE id = $1 RETURNING failing_since";
    let since = tx.one(sql, params![id.uuid(), at.ms()])?.map_or(Ok(at.ms()), |row| row.int(0))?;
    if at > Moment::from_ms(since).plus(disable_after) {
        endpoints::disable(tx, id, "failing", at)?;
    }
    Ok(())
}

/// One endpoint's share of what is taken: event, tries and lease.
fn take(tx: &mut Tx<'_>, want: &Want, until: Moment, now: Moment) -> Result<Vec<(Lease, i64)>, StoreError> {
    let sql = "WITH taken AS MATERIALIZED
         (SELECT event FROM deliveries WHERE endpoint = $1 AND state = 'due' AND due_at <= $2
            AND EXISTS (SELECT 1 FROM endpoints WHERE id = $1 AND version = $3 AND enabled = 1)
          ORDER BY due_at, event LIMIT $4 {skip_locked})
       UPDATE deliveries SET fence = fence + 1, due_at = $5 WHERE endpoint = $1 AND event IN (SELECT event FROM taken)
       RETURNING event, tries, fence";
    let rows = tx.query(sql, params![want.endpoint.uuid(), now.ms(), want.version, want.most, until.ms()])?;
    let read = |row: &Row| {
        let lease = Lease { endpoint: want.endpoint, event: EventId::new(row.uuid(0)?), fence: row.int(2)?, until };
        Ok((lease, row.int(1)?))
    };
    rows.iter().map(read).collect()
}

fn attempt(r: &Row) -> Result<Attempt, StoreError> {
    Ok(Attempt {
        seq: r.int(0)?,
        event: EventId::new(r.uuid(1)?),
        at: Moment::from_ms(r.int(2)?),
        status: r.opt_int(3)?,
        error: r.opt_text(4)?.map(str::to_owned),
    })
}

fn dead_letter(r: &Row) -> Result<DeadLetter, StoreError> {
    Ok(DeadLetter {
        event: EventId::new(r.uuid(0)?),
        kind: r.text(1)?.to_owned(),
        at: Moment::from_ms(r.int(2)?),
        tries: r.int(3)?,
        status: r.opt_int(4)?,
        error: r.opt_text(5)?.map(str::to_owned),
    })
}

impl Store {
    /// Puts events into their platforms' lists by themselves.
    pub async fn announce(&self, events: Vec<log::Event>) -> Result<(), StoreError> {
        self.write(move |tx| {
            events.iter().for_each(|event| tx.log.event(event.clone()));
            Ok(())
        })
        .await
    }

    /// The enabled endpoints, and when something is due to each.
    pub async fn waiting(&self) -> Result<Vec<Waiting>, StoreError> {
        // A subquery of its own for each endpoint: joined, the database may read the
        // whole backlog.
        let sql = "SELECT e.id, e.version,
             (SELECT d.due_at FROM deliveries d WHERE d.endpoint = e.id AND d.state = 'due' ORDER BY d.due_at LIMIT 1)
           FROM endpoints e WHERE e.enabled = 1";
        let read = |row: &Row| {
            Ok(Waiting { endpoint: EndpointId::new(row.uuid(0)?), version: row.int(1)?, next: row.opt_int(2)?.map(Moment::from_ms) })
        };
        self.read(move |s| s.query(sql, &[])?.iter().map(read).collect()).await
    }

    /// Takes what is due, for each endpoint as much as is wanted, under a lease.
    pub async fn take_due(&self, wants: Vec<Want>, lease: Duration, now: Moment) -> Result<Vec<Due>, StoreError> {
        let until = now.plus(lease);
        let mut wants = wants;
        wants.sort_by_key(|want| want.endpoint);
        let taken = self
            .write(move |tx| {
                let mut taken = Vec::new();
                for want in &wants {
                    taken.extend(take(tx, want, until, now)?);
                }
                Ok(taken)
            })
            .await?;
        if taken.is_empty() {
            return Ok(Vec::new());
        }
        let ids: Vec<Val> = taken.iter().map(|(lease, _)| lease.event.uuid().into()).collect();
        let events = self.read(move |s| log::events(s, &ids)).await?;
        let events: HashMap<EventId, Listed> = events.into_iter().map(|e| (e.id, e)).collect();
        let (mut all, mut orphans) = (Vec::with_capacity(taken.len()), Vec::new());
        for (lease, tries) in taken {
            match events.get(&lease.event) {
                Some(event) => all.push(Due { lease, event: event.clone(), tries }),
                None => orphans.push(lease),
            }
        }
        if !orphans.is_empty() {
            // Replayed in the moment in which it was forgotten.
            self.write(move |tx| orphans.iter().try_for_each(|lease| orphaned(tx, lease))).await?;
        }
        all.sort_by_key(|due| due.event.seq);
        Ok(all)
    }

    /// Stores what came of attempts, and gives back what was taken and not sent. A late
    /// outcome, whose lease has passed on, is listed and changes nothing else.
    pub async fn attempted(
        &self,
        all: Arc<Vec<Attempted>>,
        given_back: Arc<Vec<Lease>>,
        disable_after: Duration,
        now: Moment,
    ) -> Result<(), StoreError> {
        self.write(move |tx| {
            attempted(tx, &all, disable_after)?;
            for lease in given_back.iter() {
                tx.exec(
                    "UPDATE deliveries SET due_at = $4 WHERE endpoint = $1 AND event = $2 AND fence = $3 AND state = 'due'",
                    params![lease.endpoint.uuid(), lease.event.uuid(), lease.fence, now.ms()],
                )?;
            }
            Ok(())
        })
        .await
    }

    /// Goes on with what is too long for one transaction: replays, what is due to
    /// disabled endpoints, what removed ones leave behind. Says how many rows it touched.
    pub async fn tend_deliveries(&self, now: Moment) -> Result<usize, StoreError> {
        let leftovers = "SELECT e.id, e.removed_at FROM endpoints e WHERE e.enabled = 0 AND
             ((SELECT d.event FROM deliveries d WHERE d.endpoint = e.id AND d.state = 'due' LIMIT 1) IS NOT NULL
              OR e.removed_at IS NOT NULL AND (
                (SELECT d.event FROM deliveries d WHERE d.endpoint = e.id LIMIT 1) IS NOT NULL
                OR (SELECT a.seq FROM attempts a WHERE a.endpoint = e.id LIMIT 1) IS NOT NULL))";
        let left = self.read(move |s| s.query(leftovers, &[])).await?;
        let mut touched = 0;
        for row in left {
            let (id, removed) = (row.uuid(0)?, row.opt_int(1)?.is_some());
            touched += self.write(move |tx| if removed { clear(tx, id) } else { late(tx, id) }).await?;
        }
        Ok(touched as usize + self.tend_replays(now).await?)
    }

    /// One page of an endpoint's attempts, oldest first.
    pub async fn attempts(&self, endpoint: EndpointId, after: i64, limit: i64) -> Result<(Vec<Attempt>, i64), StoreError> {
        self.read(move |s| {
            let total = access::total(s.one("SELECT COUNT(*) FROM attempts WHERE endpoint = $1", params![endpoint.uuid()])?)?;
            let sql = "SELECT seq, event, at, status, error FROM attempts WHERE endpoint = $1 AND seq > $2 ORDER BY seq LIMIT $3";
            Ok((s.query(sql, params![endpoint.uuid(), after, limit])?.iter().map(attempt).collect::<Result<_, _>>()?, total))
        })
        .await
    }

    /// One page of what was given up for an endpoint, in the order of its events' ids.
    pub async fn dead_letters(&self, endpoint: EndpointId, after: Option<Uuid>, limit: i64) -> Result<(Vec<DeadLetter>, i64), StoreError> {
        self.read(move |s| {
            let count = "SELECT COUNT(*) FROM deliveries WHERE endpoint = $1 AND state = 'dead'";
            let total = access::total(s.one(count, params![endpoint.uuid()])?)?;
            let sql = "SELECT d.event, e.type, d.due_at, d.tries, d.status, d.error FROM deliveries d JOIN events e ON e.id = d.event
                       WHERE d.endpoint = $1 AND d.state = 'dead' AND d.event > $2 ORDER BY d.event LIMIT $3";
            let rows = s.query(sql, params![endpoint.uuid(), access::after(after), limit])?;
            Ok((rows.iter().map(dead_letter).collect::<Result<_, _>>()?, total))
        })
        .await
    }

    /// How many deliveries are due and how many were given up, and when the next is due.
    pub async fn delivery_counts(&self) -> Result<(Vec<(&'static str, i64)>, Option<Moment>), StoreError> {
        self.read(|s| {
            let due = access::total(s.one("SELECT COUNT(*) FROM deliveries WHERE state = 'due'", &[])?)?;
            let dead = access::total(s.one("SELECT COUNT(*) FROM deliveries WHERE state = 'dead'", &[])?)?;
            let next = s.one("SELECT MIN(due_at) FROM deliveries WHERE state = 'due'", &[])?;
            Ok((vec![("dead", dead), ("due", due)], next.map_or(Ok(None), |r| r.opt_int(0))?.map(Moment::from_ms)))
        })
        .await
    }

    /// A platform's events after a position of its list, or from the oldest kept on;
    /// none where events after the position are no longer kept.
    pub async fn events_page(&self, platform: String, after: Option<i64>, limit: i64) -> Result<Option<EventPage>, StoreError> {
        self.read(move |s| log::events_page(s, &platform, after, limit)).await
    }

    /// How many ledger entries there are.
    pub async fn ledger_length(&self) -> Result<i64, StoreError> {
        self.read(log::ledger_length).await
    }
}

fn orphaned(tx: &mut Tx<'_>, lease: &Lease) -> Result<(), StoreError> {
    let sql = "DELETE FROM deliveries WHERE endpoint = $1 AND event = $2 AND fence = $3";
    tx.exec(sql, params![lease.endpoint.uuid(), lease.event.uuid(), lease.fence]).map(drop)
}

/// Gives up what is still due to an endpoint that is disabled now.
fn late(tx: &mut Tx<'_>, id: Uuid) -> Result<u64, StoreError> {
    match tx.one("SELECT 1 FROM endpoints WHERE id = $1 AND enabled = 0 {for_update}", params![id])? {
        Some(_) => give_up(tx, EndpointId::new(id), "the endpoint was disabled"),
        None => Ok(0),
    }
}

/// Deletes some of what a removed endpoint leaves behind.
fn clear(tx: &mut Tx<'_>, id: Uuid) -> Result<u64, StoreError> {
    let rows = tx.exec(
        "DELETE FROM deliveries WHERE endpoint = $1 AND event IN (SELECT event FROM deliveries WHERE endpoint = $1 LIMIT $2)",
        params![id, SLICE],
    )?;
    let lines = tx.exec(
        "DELETE FROM attempts WHERE seq IN (SELECT seq FROM attempts WHERE endpoint = $1 ORDER BY seq LIMIT $2)",
        params![id, SLICE - rows as i64],
    )?;
    tx.exec("DELETE FROM replays WHERE endpoint = $1", params![id])?;
    Ok(rows + lines)
}
