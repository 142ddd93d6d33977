//! Idempotency: the same key and body answer the same once more.
//!
//! A batch reserves its key first, each slice stores how far it came in the same
//! transaction as its effects, the last stores the answer: a retry after a crash
//! goes on where the batch stopped and speaks of the whole of it.

use super::Store;
use super::engine::{Sql, StoreError, params};
use super::vault::{Place, Vault};
use super::writer::Tx;
use crate::domain::time::Moment;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::time::Duration;
use uuid::Uuid;

/// How long a silent batch keeps its key to itself.
pub const LEASE: Duration = Duration::from_secs(20);
/// How long an answer is kept.
pub const KEPT: Duration = Duration::from_secs(30 * 24 * 3600);

/// A request's key.
#[derive(Clone, Debug)]
pub struct Once {
    pub client: Uuid,
    pub key: String,
    /// Of everything that makes the request what it is.
    pub body_mac: Vec<u8>,
}

/// An answer as it was given.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Answer {
    pub status: u16,
    pub body: Value,
}

/// What a key turned out to be.
#[derive(Clone, Debug)]
pub enum Reserved {
    /// Ours now; with what an interrupted try had done, where there was one.
    Go { progress: Option<Value> },
    /// Answered before.
    Done(Answer),
    /// Used for another body.
    Reused,
    /// Somebody is at it.
    InFlight,
}

fn place(once: &Once) -> Place<'_> {
    Place { table: "idempotency", row: once.client, column: &once.key }
}

fn reserve(tx: &mut Tx<'_>, vault: &Vault, once: &Once, now: Moment) -> Result<Reserved, StoreError> {
    let (client, key) = (once.client, once.key.as_str());
    let lease = now.plus(LEASE).ms();
    let fresh = tx.exec(
        "INSERT INTO idempotency (client, key, body_mac, state, lease_until, created_at) VALUES ($1, $2, $3, 'running', $4, $5)
         ON CONFLICT (client, key) DO NOTHING",
        params![client, key, once.body_mac.as_slice(), lease, now.ms()],
    )?;
    if fresh == 1 {
        return Ok(Reserved::Go { progress: None });
    }
    let sql =
        "SELECT body_mac, state, lease_until, progress, status, answer_sealed FROM idempotency WHERE client = $1 AND key = $2 {for_update}";
    let Some(row) = tx.one(sql, params![client, key])? else { return Ok(Reserved::InFlight) };
    if row.blob(0)? != once.body_mac {
        return Ok(Reserved::Reused);
    }
    if row.text(1)? == "done" {
        let body = vault.open(place(once), row.blob(5)?)?;
        let body = serde_json::from_str(&body).map_err(|_| StoreError::Corrupt("a kept answer is no JSON".to_owned()))?;
        let status = u16::try_from(row.int(4)?).unwrap_or(200);
        return Ok(Reserved::Done(Answer { status, body }));
    }
    if row.int(2)? > now.ms() {
        return Ok(Reserved::InFlight);
    }
    tx.exec("UPDATE idempotency SET lease_until = $3 WHERE client = $1 AND key = $2", params![client, key, lease])?;
    let progress = row.text(3)?;
    Ok(Reserved::Go { progress: serde_json::from_str(progress).ok() })
}

/// What a slice stores of its batch beside its effects.
pub struct Advance<T: ?Sized> {
    key: Once,
    state: Box<dyn Fn(&T) -> Value + Send + Sync>,
}

impl<T: ?Sized> Advance<T> {
    /// `state` tells how far the batch is, from what came of the slice.
    pub fn new(key: Once, state: impl Fn(&T) -> Value + Send + Sync + 'static) -> Self {
        Self { key, state: Box::new(state) }
    }

    pub(super) fn write(&self, tx: &mut Tx<'_>, outcome: &T, now: Moment) -> Result<(), StoreError> {
        advance(tx, &self.key, &(self.state)(outcome), now)
    }
}

/// Stores how far a batch came, in the transaction of what it did.
fn advance(tx: &mut Tx<'_>, once: &Once, progress: &Value, now: Moment) -> Result<(), StoreError> {
    tx.exec(
        "UPDATE idempotency SET progress = $3, lease_until = $4 WHERE client = $1 AND key = $2",
        params![once.client, once.key.as_str(), progress.to_string(), now.plus(LEASE).ms()],
    )?;
    Ok(())
}

/// Stores the answer, in the transaction of what it speaks of. Sealed, since an
/// answer may show a secret that is shown once.
pub(super) fn finish(tx: &mut Tx<'_>, vault: &Vault, once: &Once, answer: &Answer) -> Result<(), StoreError> {
    let sealed = vault.seal(place(once), &answer.body.to_string(), tx.ids);
    tx.exec(
        "UPDATE idempotency SET state = 'done', progress = '', status = $3, answer_sealed = $4 WHERE client = $1 AND key = $2",
        params![once.client, once.key.as_str(), i64::from(answer.status), sealed],
    )?;
    Ok(())
}

/// Runs `work` once for its key within this transaction; without a key, always.
pub(super) fn once(
    tx: &mut Tx<'_>,
    vault: &Vault,
    key: Option<&Once>,
    now: Moment,
    work: impl FnOnce(&mut Tx<'_>) -> Result<Answer, StoreError>,
) -> Result<Reserved, StoreError> {
    let Some(key) = key else { return work(tx).map(Reserved::Done) };
    match reserve(tx, vault, key, now)? {
        Reserved::Go { .. } => {
            let answer = work(tx)?;
            if answer.status < 500 {
                finish(tx, vault, key, &answer)?;
            }
            Ok(Reserved::Done(answer))
        }
        other => Ok(other),
    }
}

impl Store {
    /// Reserves a batch's key before its first slice.
    pub async fn reserve(&self, once: Once, now: Moment) -> Result<Reserved, StoreError> {
        let vault = self.vault.clone();
        self.write(move |tx| reserve(tx, &vault, &once, now)).await
    }

    /// Gives a reserved key back unused, after an error that may pass.
    pub async fn release(&self, once: Once) -> Result<(), StoreError> {
        self.write(move |tx| {
            tx.exec("UPDATE idempotency SET lease_until = 0 WHERE client = $1 AND key = $2", params![once.client, once.key.as_str()])
                .map(|_| ())
        })
        .await
    }

    /// After an error that may pass the next try must not wait for this one's lease.
    /// Where even giving the key back fails, the lease runs out by itself.
    pub async fn release_if_temporary(&self, once: Option<&Once>, e: &StoreError) {
        if let Some(key) = once.filter(|_| e.is_temporary())
            && let Err(e) = self.release(key.clone()).await
        {
            tracing::warn!(error = %e, "a key waits for its lease");
        }
    }

    /// Stores a batch's answer under its key.
    pub async fn finish(&self, once: Once, answer: Answer) -> Result<(), StoreError> {
        let vault = self.vault.clone();
        self.write(move |tx| finish(tx, &vault, &once, &answer)).await
    }

    /// Forgets a key whose answer nobody will ask for again.
    pub async fn forget(&self, once: Once) -> Result<(), StoreError> {
        self.write(move |tx| {
            tx.exec("DELETE FROM idempotency WHERE client = $1 AND key = $2", params![once.client, once.key.as_str()]).map(|_| ())
        })
        .await
    }

    /// Forgets answers older than they are promised to be kept.
    pub async fn forget_answers(&self, now: Moment) -> Result<u64, StoreError> {
        let before = now.minus(KEPT).ms();
        self.write(move |tx| {
            tx.exec(
                "DELETE FROM idempotency WHERE (client, key) IN (SELECT client, key FROM idempotency WHERE created_at < $1 LIMIT 500)",
                params![before],
            )
        })
        .await
    }
}
