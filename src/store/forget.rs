//! What is no longer kept: events with their deliveries, attempts and replays, after a
//! time that the operator sets.
//!
//! Promises: each transaction deletes at most some hundred rows; an event that is still
//! due somewhere stays until it is not; a cursor that would skip what is gone is known
//! as such (`forgotten_events`).

use super::Store;
use super::deliveries::SLICE;
use super::engine::bulk::Bulk;
use super::engine::{Sql, StoreError, Val, params};
use super::writer::Tx;
use crate::domain::time::Moment;
use std::collections::{BTreeMap, HashSet};
use uuid::Uuid;

/// Events that one transaction deletes; each may have gone to several endpoints.
const EVENTS: i64 = 100;

/// Events of one platform that are to go.
#[derive(Default)]
struct Leaving {
    last: i64,
    events: Vec<Val>,
}

fn forget_events(tx: &mut Tx<'_>, from: i64, before: Moment) -> Result<(i64, u64), StoreError> {
    static STILL_DUE: Bulk = Bulk::keys("SELECT event FROM deliveries WHERE endpoint = $1 AND state = 'due' AND event IN {list}", 1);
    static DELIVERIES: Bulk = Bulk::keys("DELETE FROM deliveries WHERE endpoint = $1 AND event IN {list}", 1);
    static FORGET: Bulk = Bulk::keys("DELETE FROM events WHERE id IN {list}", 0);
    let rows = tx.query("SELECT seq, id, platform, at FROM events WHERE seq > $1 ORDER BY seq LIMIT $2", params![from, EVENTS])?;
    let mut leaving: BTreeMap<String, Leaving> = BTreeMap::new();
    let mut reached = from;
    for row in &rows {
        if row.int(3)? >= before.ms() {
            break;
        }
        reached = row.int(0)?;
        let of = leaving.entry(row.text(2)?.to_owned()).or_default();
        of.last = reached;
        of.events.push(row.uuid(1)?.into());
    }
    let mut gone = 0;
    for (platform, Leaving { last, events }) in leaving {
        let endpoints = tx.query("SELECT id, enabled FROM endpoints WHERE platform = $1 ORDER BY id", params![platform.as_str()])?;
        let mut due: HashSet<Uuid> = HashSet::new();
        for endpoint in &endpoints {
            for row in STILL_DUE.query(tx, params![endpoint.uuid(0)?], &events)? {
                due.insert(row.uuid(0)?);
            }
        }
        let is_due = |event: &Val| matches!(event, Val::Blob(b) if Uuid::from_slice(b).is_ok_and(|id| due.contains(&id)));
        let events: Vec<Val> = events.into_iter().filter(|event| !is_due(event)).collect();
        for endpoint in &endpoints {
            DELIVERIES.exec(tx, params![endpoint.uuid(0)?], &events)?;
        }
        gone += FORGET.exec(tx, &[], &events)?;
        // The list begins after these, those among them that are still due included.
        tx.exec(
            "INSERT INTO forgotten_events (platform, seq) VALUES ($1, $2) ON CONFLICT (platform) DO UPDATE SET
             seq = CASE WHEN excluded.seq > forgotten_events.seq THEN excluded.seq ELSE forgotten_events.seq END",
            params![platform, last],
        )?;
    }
    Ok((reached, gone))
}

impl Store {
    /// Deletes some events from before a moment, beginning after a position of the list.
    /// Answers the position it reached and how many went; the same position once there
    /// is nothing older.
    pub async fn forget_events(&self, from: i64, before: Moment) -> Result<(i64, u64), StoreError> {
        self.write(move |tx| forget_events(tx, from, before)).await
    }

    /// Deletes some attempts and replays from before a moment; says how many went.
    pub async fn forget_attempts(&self, before: Moment) -> Result<u64, StoreError> {
        self.write(move |tx| {
            // Numbers follow time closely enough that the first ones are the oldest.
            let attempts = "DELETE FROM attempts WHERE at < $1 AND seq IN (SELECT seq FROM attempts ORDER BY seq LIMIT $2)";
            let replays = "DELETE FROM replays WHERE id IN (SELECT id FROM replays WHERE done_at < $1 ORDER BY id LIMIT $2)";
            let gone = tx.exec(attempts, params![before.ms(), SLICE])?;
            Ok(gone + tx.exec(replays, params![before.ms(), SLICE])?)
        })
        .await
    }
}
