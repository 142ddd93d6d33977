//! What happened, in one stable order: changes for the routing index, events for
//! the platforms, ledger entries for the seals. A write group collects them and
//! writes them last.

use super::engine::bulk::Bulk;
use super::engine::{Sql, StoreError, params};
use crate::domain::id::{EventId, PostingId};
use crate::domain::time::Moment;
use serde_json::Value;
use uuid::Uuid;

/// Log rows of one write group, in the order in which they arose.
#[derive(Default)]
pub struct Log {
    rows: Vec<LogRow>,
}

enum LogRow {
    Change { kind: ChangeKind, id: Uuid, version: i64, at: Moment },
    Event(Event),
    Ledger { at: Moment, kind: &'static str, worker: Uuid, hire: Option<Uuid>, leaf: String, salt: Vec<u8> },
}

/// Which aggregate a change speaks of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChangeKind {
    Worker,
    Posting,
    /// Offers of a wave were made; the id is the posting's, the version the wave's.
    Wave,
}

impl ChangeKind {
    fn code(self) -> &'static str {
        match self {
            ChangeKind::Worker => "worker",
            ChangeKind::Posting => "posting",
            ChangeKind::Wave => "wave",
        }
    }
}

/// One event of a platform's list, which also leaves as webhooks.
#[derive(Clone, Debug)]
pub struct Event {
    pub id: EventId,
    pub platform: String,
    /// `offer.accepted` and its like.
    pub kind: &'static str,
    pub at: Moment,
    pub posting: Option<PostingId>,
    /// Ids and codes only: never a name, a phone or an id number.
    pub data: Value,
}

impl Log {
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Tells the routing index that an aggregate changed to `version`.
    pub fn change(&mut self, kind: ChangeKind, id: Uuid, version: i64, at: Moment) {
        self.rows.push(LogRow::Change { kind, id, version, at });
    }

    /// Puts an event into the platform's list and due to its endpoints.
    pub fn event(&mut self, event: Event) {
        self.rows.push(LogRow::Event(event));
    }

    /// Appends to the ledger. `leaf` holds coded facts, never free text.
    pub fn ledger(&mut self, at: Moment, kind: &'static str, worker: Uuid, hire: Option<Uuid>, leaf: &Value, salt: Vec<u8>) {
        self.rows.push(LogRow::Ledger { at, kind, worker, hire, leaf: leaf.to_string(), salt });
    }

    /// Writes the rows in order; events become due at every endpoint that asked
    /// for their type.
    pub(super) fn write(&self, s: &mut dyn super::engine::Connection) -> Result<(), StoreError> {
        static CHANGES: Bulk = Bulk::rows("INSERT INTO changes (kind, id, version, at) VALUES {list}", 0, "", 4);
        let mut changes = Vec::new();
        for row in &self.rows {
            match row {
                // They stand in a table of their own, in their order.
                LogRow::Change { kind, id, version, at } => {
                    changes.extend_from_slice(params![kind.code(), *id, *version, at.ms()]);
                }
                LogRow::Event(e) => {
                    let (id, at) = (e.id.uuid(), e.at.ms());
                    s.exec(
                        "INSERT INTO events (id, platform, type, at, posting, data) VALUES ($1, $2, $3, $4, $5, $6)",
                        params![id, e.platform.as_str(), e.kind, at, e.posting.map(PostingId::uuid), e.data.to_string()],
                    )?;
                    s.exec(
                        "INSERT INTO deliveries (endpoint, event, due_at, state) SELECT p.id, $1, $2, 'due' FROM endpoints p
                         WHERE p.platform = $3 AND p.enabled = 1 AND (p.types = '' OR p.types LIKE '%|' || $4 || '|%')",
                        params![id, at, e.platform.as_str(), e.kind],
                    )?;
                }
                LogRow::Ledger { at, kind, worker, hire, leaf, salt } => {
                    s.exec(
                        "INSERT INTO ledger (at, kind, worker, hire, leaf, salt) VALUES ($1, $2, $3, $4, $5, $6)",
                        params![at.ms(), *kind, *worker, *hire, leaf.as_str(), salt.as_slice()],
                    )?;
                }
            }
        }
        CHANGES.insert(s, &[], &changes, |_, _| Ok(()))
    }
}

/// One line of the change log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    pub seq: i64,
    pub kind: String,
    pub id: Uuid,
    pub version: i64,
}

/// The changes after `seq`, oldest first.
pub fn changes_after(s: &mut dyn Sql, seq: i64, limit: i64) -> Result<Vec<Change>, StoreError> {
    let rows = s.query("SELECT seq, kind, id, version FROM changes WHERE seq > $1 ORDER BY seq LIMIT $2", params![seq, limit])?;
    rows.iter().map(|r| Ok(Change { seq: r.int(0)?, kind: r.text(1)?.to_owned(), id: r.uuid(2)?, version: r.int(3)? })).collect()
}

/// One change by its number.
pub fn change(s: &mut dyn Sql, seq: i64) -> Result<Option<Change>, StoreError> {
    Ok(changes_after(s, seq - 1, 1)?.pop().filter(|change| change.seq == seq))
}

/// The newest change's number, 0 where there is none.
pub fn last_change(s: &mut dyn Sql) -> Result<i64, StoreError> {
    s.one("SELECT COALESCE(MAX(seq), 0) FROM changes", &[])?.map_or(Ok(0), |r| r.int(0))
}

/// How many ledger entries there are, the `seq` of a report's `as_of`.
pub fn ledger_length(s: &mut dyn Sql) -> Result<i64, StoreError> {
    s.one("SELECT COALESCE(MAX(seq), 0) FROM ledger", &[])?.map_or(Ok(0), |r| r.int(0))
}

/// The newest ledger entry's number, 0 where there is none, and when it was written.
pub fn ledger_end(s: &mut dyn Sql) -> Result<(i64, Option<Moment>), StoreError> {
    let last = s.one("SELECT seq, at FROM ledger ORDER BY seq DESC LIMIT 1", &[])?;
    last.map_or(Ok((0, None)), |r| Ok((r.int(0)?, Some(Moment::from_ms(r.int(1)?)))))
}

/// A line of `GET /v1/events`.
#[derive(Clone, Debug)]
pub struct Listed {
    pub seq: i64,
    pub id: EventId,
    pub kind: String,
    pub at: Moment,
    pub data: Value,
}

fn listed(r: &super::engine::Row) -> Result<Listed, StoreError> {
    let data = serde_json::from_str(r.text(4)?).map_err(|_| StoreError::Corrupt("an event's data is no JSON".to_owned()))?;
    Ok(Listed { seq: r.int(0)?, id: EventId::new(r.uuid(1)?), kind: r.text(2)?.to_owned(), at: Moment::from_ms(r.int(3)?), data })
}

/// A platform's events after `seq`, in the one stable order.
pub fn events_after(s: &mut dyn Sql, platform: &str, seq: i64, limit: i64) -> Result<Vec<Listed>, StoreError> {
    let sql = "SELECT seq, id, type, at, data FROM events WHERE platform = $1 AND seq > $2 ORDER BY seq LIMIT $3";
    s.query(sql, params![platform, seq, limit])?.iter().map(listed).collect()
}

/// One event by its id.
pub fn event(s: &mut dyn Sql, id: EventId) -> Result<Option<Listed>, StoreError> {
    s.one("SELECT seq, id, type, at, data FROM events WHERE id = $1", params![id.uuid()])?.as_ref().map(listed).transpose()
}
