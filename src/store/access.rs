//! Who read whom. Also the small pieces that lists share, and the raising of alerts.

use super::Store;
use super::engine::{Row, Sql, StoreError, Val, params};
use super::writer::Tx;
use crate::domain::alert::Facts;
use crate::domain::id::WorkerId;
use crate::domain::region::Region;
use crate::domain::time::Moment;
use uuid::Uuid;

/// A wish to see sealed fields.
#[derive(Clone, Debug)]
pub struct Reveal {
    pub worker: WorkerId,
    /// Of `id_number`, `name`, `phone`.
    pub fields: Vec<String>,
    pub reason: String,
    pub client: String,
    /// `reveal` or `contact`.
    pub action: &'static str,
    /// Most reveals of this client in a day.
    pub quota: i64,
}

/// Why nothing was revealed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RevealRefused {
    NotFound,
    Quota,
}

/// A line of the access log.
#[derive(Clone, Debug)]
pub struct Access {
    pub seq: i64,
    pub at: Moment,
    pub client: String,
    pub action: String,
    pub worker: Option<WorkerId>,
    pub fields: String,
    pub reason: String,
}

/// The lower bound of a page by id: everything comes after the empty one.
pub(super) fn after(id: Option<Uuid>) -> Val {
    Val::Blob(id.map(|u| u.as_bytes().to_vec()).unwrap_or_default())
}

/// The number in a row of one count.
pub(super) fn total(row: Option<Row>) -> Result<i64, StoreError> {
    row.map_or(Ok(0), |r| r.int(0))
}

/// Writes to the access log.
pub(super) fn record(
    tx: &mut Tx<'_>,
    client: &str,
    action: &str,
    worker: Option<WorkerId>,
    fields: &str,
    reason: &str,
    now: Moment,
) -> Result<(), StoreError> {
    tx.exec(
        "INSERT INTO access_log (at, client, action, worker, fields, reason) VALUES ($1, $2, $3, $4, $5, $6)",
        params![now.ms(), client, action, worker.map(WorkerId::uuid), fields, reason],
    )
    .map(|_| ())
}

/// How often a client has revealed since a moment.
pub(super) fn reveals_since(s: &mut dyn Sql, client: &str, since: Moment) -> Result<i64, StoreError> {
    total(s.one("SELECT COUNT(*) FROM access_log WHERE client = $1 AND action = 'reveal' AND at > $2", params![client, since.ms()])?)
}

/// An alert that an act raises.
#[derive(Default)]
pub(super) struct Raised<'a> {
    pub worker: Option<Uuid>,
    pub posting: Option<Uuid>,
    /// A person's own words, where that is what it is about.
    pub words: &'a str,
}

/// Raises an alert; its id.
pub(super) fn alert(tx: &mut Tx<'_>, facts: &Facts, region: Region, raised: Raised<'_>, now: Moment) -> Result<Uuid, StoreError> {
    let (id, object) = (tx.ids.v7(now), facts.object().to_string());
    tx.exec(
        "INSERT INTO alerts (id, kind, region, at, worker, posting, detail, facts) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
        params![id, facts.kind(), i64::from(region.code()), now.ms(), raised.worker, raised.posting, raised.words, object],
    )?;
    Ok(id)
}

impl Store {
    /// Writes to the access log before an answer with personal data goes out.
    pub async fn log_access(
        &self,
        client: String,
        action: &'static str,
        workers: Vec<WorkerId>,
        reason: String,
        now: Moment,
    ) -> Result<(), StoreError> {
        self.write(move |tx| {
            for worker in &workers {
                record(tx, &client, action, Some(*worker), "masked", &reason, now)?;
            }
            Ok(())
        })
        .await
    }

    /// Writes that an answer which goes out names everybody of a region, however many
    /// they are: `what` says which region.
    pub async fn log_access_to_all(&self, client: String, action: &'static str, what: String, now: Moment) -> Result<(), StoreError> {
        self.write(move |tx| record(tx, &client, action, None, "masked", &what, now)).await
    }

    /// One page of the access log, newest last.
    pub async fn access_log(&self, after: i64, limit: i64) -> Result<(Vec<Access>, i64), StoreError> {
        self.read(move |s| {
            let count = total(s.one("SELECT COUNT(*) FROM access_log", &[])?)?;
            let sql = "SELECT seq, at, client, action, worker, fields, reason FROM access_log WHERE seq > $1 ORDER BY seq LIMIT $2";
            let read = |r: &Row| {
                Ok(Access {
                    seq: r.int(0)?,
                    at: Moment::from_ms(r.int(1)?),
                    client: r.text(2)?.to_owned(),
                    action: r.text(3)?.to_owned(),
                    worker: r.opt_uuid(4)?.map(WorkerId::new),
                    fields: r.text(5)?.to_owned(),
                    reason: r.text(6)?.to_owned(),
                })
            };
            Ok((s.query(sql, params![after, limit])?.iter().map(read).collect::<Result<_, _>>()?, count))
        })
        .await
    }
}
