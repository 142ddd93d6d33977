//! What happened, in one stable order: changes for the routing index, events for
//! the platforms, ledger entries for the seals. A write group collects them and
//! writes them last.

use super::engine::bulk::Bulk;
use super::engine::{Sql, StoreError, Val, params};
use crate::domain::id::{EventId, PostingId};
use crate::domain::time::Moment;
use serde_json::Value;
use std::collections::{BTreeSet, HashMap};
use uuid::Uuid;

/// Log rows of one write group, in the order in which they arose.
#[derive(Default)]
pub struct Log {
    rows: Vec<LogRow>,
}

enum LogRow {
    Change { kind: ChangeKind, id: Uuid, version: i64, at: Moment },
    Event(Event),
    Ledger { at: Moment, kind: &'static str, worker: Uuid, hire: Option<Uuid>, leaf: String, salt: Option<[u8; 16]> },
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

type Asking = HashMap<String, Vec<(Uuid, String)>>;

impl Log {
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    pub fn has_events(&self) -> bool {
        self.rows.iter().any(|row| matches!(row, LogRow::Event(_)))
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
    /// An entry about no person has the nil id as its worker.
    pub fn ledger(&mut self, at: Moment, kind: &'static str, worker: Uuid, hire: Option<Uuid>, leaf: &Value) {
        self.rows.push(LogRow::Ledger { at, kind, worker, hire, leaf: leaf.to_string(), salt: None });
    }

    /// Appends the entry that registers a person, whose leaf holds a commitment to the
    /// id number under this salt.
    pub fn registered(&mut self, at: Moment, worker: Uuid, leaf: &Value, salt: [u8; 16]) {
        self.rows.push(LogRow::Ledger { at, kind: "tier", worker, hire: None, leaf: leaf.to_string(), salt: Some(salt) });
    }

    /// Writes the rows in order; events become due at every endpoint that asked
    /// for their type.
    pub(super) fn write(&self, s: &mut dyn super::engine::Connection) -> Result<(), StoreError> {
        static CHANGES: Bulk = Bulk::rows("INSERT INTO changes (kind, id, version, at) VALUES {list}", 0, "", 4);
        static EVENTS: Bulk = Bulk::rows("INSERT INTO events (id, platform, type, at, posting, data) VALUES {list}", 0, "", 6);
        static DUE: Bulk = Bulk::rows("INSERT INTO deliveries (state, endpoint, event, due_at) VALUES {list}", 0, "'due', ", 3);
        static LEDGER: Bulk = Bulk::rows("INSERT INTO ledger (seq, at, kind, worker, hire, leaf, salt) VALUES {list}", 0, "", 7);
        // Each kind stands in a table of its own, in its order.
        let (mut changes, mut events, mut due, mut ledger) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        let asking = self.asking(s)?;
        // Entries are counted here and by no serial of the database, which leaves gaps.
        let mut seq = None;
        for row in &self.rows {
            match row {
                LogRow::Change { kind, id, version, at } => {
                    changes.extend_from_slice(params![kind.code(), *id, *version, at.ms()]);
                }
                LogRow::Event(e) => {
                    let (id, posting) = (e.id.uuid(), e.posting.map(PostingId::uuid));
                    events.extend_from_slice(params![id, e.platform.as_str(), e.kind, e.at.ms(), posting, e.data.to_string()]);
                    let wanted = format!("|{}|", e.kind);
                    for (endpoint, types) in asking.get(e.platform.as_str()).into_iter().flatten() {
                        if types.is_empty() || types.contains(&wanted) {
                            due.extend_from_slice(params![*endpoint, id, e.at.ms()]);
                        }
                    }
                }
                LogRow::Ledger { at, kind, worker, hire, leaf, salt } => {
                    let next = 1 + seq.map_or_else(|| ledger_length(s), Ok)?;
                    seq = Some(next);
                    let salt = salt.as_ref().map(|salt| salt.as_slice());
                    ledger.extend_from_slice(params![next, at.ms(), *kind, *worker, *hire, leaf.as_str(), salt]);
                }
            }
        }
        EVENTS.insert(s, &[], &events, |_, _| Ok(()))?;
        DUE.insert(s, &[], &due, |_, _| Ok(()))?;
        LEDGER.insert(s, &[], &ledger, |_, _| Ok(()))?;
        CHANGES.insert(s, &[], &changes, |_, _| Ok(()))
    }

    /// The endpoints that may have asked for these events, by platform, each with the
    /// types that it asked for, between bars; none means all.
    fn asking(&self, s: &mut dyn Sql) -> Result<Asking, StoreError> {
        static ENDPOINTS: Bulk = Bulk::keys("SELECT platform, id, types FROM endpoints WHERE enabled = 1 AND platform IN {list}", 0);
        let platforms = self.rows.iter().filter_map(|row| if let LogRow::Event(e) = row { Some(e.platform.as_str()) } else { None });
        let platforms: BTreeSet<&str> = platforms.collect();
        let mut asking = Asking::new();
        for row in ENDPOINTS.query(s, &[], &platforms.into_iter().map(Val::from).collect::<Vec<_>>())? {
            asking.entry(row.text(0)?.to_owned()).or_default().push((row.uuid(1)?, row.text(2)?.to_owned()));
        }
        Ok(asking)
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

/// A page of a platform's list.
#[derive(Clone, Debug)]
pub struct EventPage {
    pub events: Vec<Listed>,
    /// Where the next page begins.
    pub next: i64,
}

/// A platform's events after a position, or from the oldest kept on, in the one stable
/// order; none where events after the position are no longer kept.
pub fn events_page(s: &mut dyn Sql, platform: &str, after: Option<i64>, limit: i64) -> Result<Option<EventPage>, StoreError> {
    let gone = s.one("SELECT seq FROM forgotten_events WHERE platform = $1", params![platform])?.map_or(Ok(0), |r| r.int(0))?;
    let after = after.unwrap_or(gone);
    if after < gone {
        return Ok(None);
    }
    let sql = "SELECT seq, id, type, at, data FROM events WHERE platform = $1 AND seq > $2 ORDER BY seq LIMIT $3";
    let events: Vec<Listed> = s.query(sql, params![platform, after, limit])?.iter().map(listed).collect::<Result<_, _>>()?;
    let next = events.last().map_or(after, |e| e.seq);
    Ok(Some(EventPage { events, next }))
}

/// Events by their ids, in no order.
pub fn events(s: &mut dyn Sql, ids: &[Val]) -> Result<Vec<Listed>, StoreError> {
    static EVENTS: Bulk = Bulk::keys("SELECT seq, id, type, at, data FROM events WHERE id IN {list}", 0);
    EVENTS.query(s, &[], ids)?.iter().map(listed).collect()
}
