//! Sending again: one event, or all since a time. What is many goes on in slices,
//! whichever process comes to it.

use super::Store;
use super::deliveries::SLICE;
use super::engine::bulk::Bulk;
use super::engine::{Row, Sql, StoreError, Val, params};
use super::writer::Tx;
use crate::domain::id::{EndpointId, EventId};
use crate::domain::time::Moment;
use uuid::Uuid;

/// A replay of everything since a time, and how far it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replay {
    pub id: Uuid,
    pub since: Moment,
    /// When it was asked for; later events are none of its.
    pub at: Moment,
    /// Events made due again so far.
    pub replayed: i64,
    pub done_at: Option<Moment>,
}

const LINES: &str = "SELECT id, since, at, replayed, done_at FROM replays WHERE endpoint = $1 ORDER BY id DESC LIMIT 200";

fn replay(row: &Row) -> Result<Replay, StoreError> {
    Ok(Replay {
        id: row.uuid(0)?,
        since: Moment::from_ms(row.int(1)?),
        at: Moment::from_ms(row.int(2)?),
        replayed: row.int(3)?,
        done_at: row.opt_int(4)?.map(Moment::from_ms),
    })
}

/// Makes events due again to an endpoint, whatever became of them there.
fn again(tx: &mut Tx<'_>, endpoint: Uuid, events: &[Val], now: Moment) -> Result<(), StoreError> {
    static AGAIN: Bulk = Bulk::rows(
        "INSERT INTO deliveries (endpoint, state, event, due_at) VALUES {list} ON CONFLICT (endpoint, event) DO UPDATE SET
           state = 'due', due_at = excluded.due_at, tries = 0, fence = deliveries.fence + 1, status = NULL, error = NULL",
        1,
        "$1, 'due', ",
        2,
    );
    let rows: Vec<Val> = events.iter().flat_map(|event| [event.clone(), now.ms().into()]).collect();
    AGAIN.insert(tx, params![endpoint], &rows, |_, _| Ok(()))
}

/// One slice of a replay: the events of a stretch of the list that came since, and whose
/// type the endpoint wants. Says how many rows it looked at; none once it is done.
fn slice(tx: &mut Tx<'_>, id: Uuid, now: Moment) -> Result<usize, StoreError> {
    let sql = "SELECT r.endpoint, e.platform, r.since, r.position, r.upto, e.types, e.enabled FROM replays r JOIN endpoints e ON e.id = r.endpoint
               WHERE r.id = $1 AND r.done_at IS NULL {skip_locked}";
    let Some(row) = tx.one(sql, params![id])? else { return Ok(0) };
    let (endpoint, platform, since) = (row.uuid(0)?, row.text(1)?, row.int(2)?);
    let (position, upto, types, enabled) = (row.int(3)?, row.int(4)?, row.text(5)?, row.flag(6)?);
    let sql = "SELECT seq, id, at, type FROM events WHERE platform = $1 AND seq > $2 AND seq <= $3 ORDER BY seq LIMIT $4";
    let rows = if enabled { tx.query(sql, params![platform, position, upto, SLICE])? } else { Vec::new() };
    let mut wanted: Vec<Val> = Vec::new();
    for event in &rows {
        if event.int(2)? >= since && (types.is_empty() || types.contains(&format!("|{}|", event.text(3)?))) {
            wanted.push(event.uuid(1)?.into());
        }
    }
    again(tx, endpoint, &wanted, now)?;
    let over = rows.len() < SLICE as usize;
    let reached = rows.last().map_or(Ok(position), |event| event.int(0))?;
    tx.exec(
        "UPDATE replays SET position = $2, replayed = replayed + $3, done_at = $4 WHERE id = $1",
        params![id, reached, wanted.len() as i64, over.then_some(now.ms())],
    )?;
    Ok(rows.len().max(1))
}

impl Store {
    /// Makes one event due again; false where the platform has no such event.
    pub async fn replay_event(&self, endpoint: EndpointId, platform: String, event: EventId, now: Moment) -> Result<bool, StoreError> {
        self.write(move |tx| {
            let known = tx.one("SELECT 1 FROM events WHERE id = $1 AND platform = $2", params![event.uuid(), platform.as_str()])?;
            if known.is_none() {
                return Ok(false);
            }
            again(tx, endpoint.uuid(), &[event.uuid().into()], now)?;
            Ok(true)
        })
        .await
    }

    /// Begins to make everything since a moment due again; the first slice is made at
    /// once, the others by [`Store::tend_deliveries`].
    pub async fn replay_since(&self, endpoint: EndpointId, platform: String, since: Moment, now: Moment) -> Result<Replay, StoreError> {
        let id = self.ids.v7(now);
        // Looked for beside the writer: the list may be long.
        let bounds = self.read(move |s| {
            let first =
                s.one("SELECT COALESCE(MIN(seq), 0) FROM events WHERE platform = $1 AND at >= $2", params![platform, since.ms()])?;
            let last = s.one("SELECT COALESCE(MAX(seq), 0) FROM events", &[])?;
            Ok((first.map_or(Ok(0), |r| r.int(0))?, last.map_or(Ok(0), |r| r.int(0))?))
        });
        let (first, last) = bounds.await?;
        // Nothing came since where there is no first one.
        let position = if first == 0 { last } else { first - 1 };
        self.write(move |tx| {
            tx.exec(
                "INSERT INTO replays (id, endpoint, since, at, position, upto, replayed) VALUES ($1, $2, $3, $4, $5, $6, 0)",
                params![id, endpoint.uuid(), since.ms(), now.ms(), position, last],
            )?;
            slice(tx, id, now)?;
            let row = tx.one("SELECT id, since, at, replayed, done_at FROM replays WHERE id = $1", params![id])?;
            row.as_ref().map(replay).unwrap_or_else(|| Err(StoreError::Corrupt("a replay that was just made".to_owned())))
        })
        .await
    }

    /// An endpoint's replays by time, the newest first.
    pub async fn replays(&self, endpoint: EndpointId) -> Result<Vec<Replay>, StoreError> {
        self.read(move |s| s.query(LINES, params![endpoint.uuid()])?.iter().map(replay).collect()).await
    }

    /// One more slice of each replay that is under way.
    pub(super) async fn tend_replays(&self, now: Moment) -> Result<usize, StoreError> {
        let running = self.read(|s| s.query("SELECT id FROM replays WHERE done_at IS NULL ORDER BY id LIMIT 20", &[])).await?;
        let mut touched = 0;
        for row in running {
            let id = row.uuid(0)?;
            touched += self.write(move |tx| slice(tx, id, now)).await?;
        }
        Ok(touched)
    }
}
