//! Webhook endpoints, what is due to them, and what came of each attempt.

use super::engine::{Row, Sql, StoreError, params};
use super::log::{self, Event, Listed};
use super::once::{self, Answer, Once, Reserved};
use super::vault::{Place, Vault};
use super::writer::Tx;
use super::{Store, access};
use crate::domain::id::{EndpointId, EventId};
use crate::domain::time::Moment;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use std::time::Duration;

/// How long a rotated secret still signs beside the new one.
const OVERLAP: Duration = Duration::from_secs(24 * 3600);

/// An endpoint as its platform sees it: without its secret.
#[derive(Clone, Debug)]
pub struct Endpoint {
    pub id: EndpointId,
    pub platform: String,
    pub url: String,
    /// Event types it wants; empty means all.
    pub types: Vec<String>,
    pub enabled: bool,
}

/// One event due at one endpoint, with what is needed to send it.
pub struct Due {
    pub endpoint: EndpointId,
    pub platform: String,
    pub url: String,
    pub event: Listed,
    /// The signing secrets, newest first.
    pub secrets: Vec<Vec<u8>>,
    pub tries: i64,
    pub fence: i64,
    pub failing_since: Option<Moment>,
}

/// What came of sending.
#[derive(Clone, Debug)]
pub struct Attempted {
    pub endpoint: EndpointId,
    pub event: EventId,
    pub fence: i64,
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
    /// Tried often enough; replay can make it due again.
    Dead,
    /// The endpoint is disabled and its platform told.
    Disable,
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

fn place(id: EndpointId) -> Place<'static> {
    Place { table: "endpoints", row: id.uuid(), column: "secret" }
}

fn endpoint(row: &Row) -> Result<Endpoint, StoreError> {
    Ok(Endpoint {
        id: EndpointId::new(row.uuid(0)?),
        platform: row.text(1)?.to_owned(),
        url: row.text(2)?.to_owned(),
        types: row.text(3)?.split('|').filter(|t| !t.is_empty()).map(str::to_owned).collect(),
        enabled: row.flag(4)?,
    })
}

/// `|a|b|`, so that one pattern finds a whole name.
fn types_text(types: &[String]) -> String {
    if types.is_empty() { String::new() } else { format!("|{}|", types.join("|")) }
}

fn secret_of(vault: &Vault, id: EndpointId, sealed: &[u8]) -> Result<Vec<u8>, StoreError> {
    let text = vault.open(place(id), sealed)?;
    STANDARD.decode(text).map_err(|_| StoreError::Corrupt("an endpoint's secret".to_owned()))
}

impl Endpoint {
    /// As JSON; `secret` only where it is shown.
    pub fn body(&self, secret: Option<&str>) -> Value {
        let mut body = json!({"id": self.id, "url": self.url, "types": self.types, "enabled": self.enabled});
        if let Some(secret) = secret {
            body["secret"] = json!(secret);
        }
        body
    }
}

fn fresh_secret(store: &Store) -> (String, String) {
    let text = STANDARD.encode(store.ids.bytes::<32>());
    (format!("whsec_{text}"), text)
}

fn disable(tx: &mut Tx<'_>, id: EndpointId, why: &str, now: Moment) -> Result<(), StoreError> {
    let sql = "UPDATE endpoints SET enabled = 0 WHERE id = $1 AND enabled = 1 RETURNING platform";
    let Some(row) = tx.one(sql, params![id.uuid()])? else { return Ok(()) };
    give_up(tx, id)?;
    let data = json!({"endpoint": id, "reason": why, "posting": null, "source_id": null, "sequence": null});
    let event = Event {
        id: EventId::new(tx.ids.v7(now)),
        platform: row.text(0)?.to_owned(),
        kind: "endpoint.disabled",
        at: now,
        posting: None,
        data,
    };
    tx.log.event(event);
    Ok(())
}

/// Nothing is due any more to an endpoint that is disabled; replay brings it back.
fn give_up(tx: &mut Tx<'_>, id: EndpointId) -> Result<(), StoreError> {
    tx.exec("UPDATE deliveries SET state = 'dead' WHERE endpoint = $1 AND state = 'due'", params![id.uuid()]).map(|_| ())
}

fn attempted(tx: &mut Tx<'_>, a: &Attempted) -> Result<(), StoreError> {
    let (endpoint, event) = (a.endpoint.uuid(), a.event.uuid());
    tx.exec(
        "INSERT INTO attempts (endpoint, event, at, status, error) VALUES ($1, $2, $3, $4, $5)",
        params![endpoint, event, a.at.ms(), a.status.map(i64::from), a.error.as_deref()],
    )?;
    let (state, due) = match a.next {
        Next::Delivered => ("done", a.at),
        Next::RetryAt(due) => ("due", due),
        Next::Dead | Next::Disable => ("dead", a.at),
    };
    let ours = tx.exec(
        "UPDATE deliveries SET state = $4, due_at = $5, tries = tries + 1 WHERE endpoint = $1 AND event = $2 AND fence = $3 AND state = 'due'",
        params![endpoint, event, a.fence, state, due.ms()],
    )?;
    if ours == 0 {
        return Ok(());
    }
    let failing = match a.next {
        Next::Delivered => "UPDATE endpoints SET failing_since = NULL WHERE id = $1 AND failing_since IS NOT NULL",
        _ => "UPDATE endpoints SET failing_since = COALESCE(failing_since, $2) WHERE id = $1",
    };
    match a.next {
        Next::Delivered => tx.exec(failing, params![endpoint])?,
        _ => tx.exec(failing, params![endpoint, a.at.ms()])?,
    };
    if a.next == Next::Disable {
        let why = if a.status == Some(410) { "gone" } else { "failing" };
        disable(tx, a.endpoint, why, a.at)?;
    }
    Ok(())
}

impl Store {
    /// Makes an endpoint; its secret stands in this answer only.
    pub async fn add_endpoint(
        &self,
        platform: String,
        url: String,
        types: Vec<String>,
        key: Option<Once>,
        now: Moment,
    ) -> Result<Reserved, StoreError> {
        let id = EndpointId::new(self.ids.v7(now));
        let (shown, secret) = fresh_secret(self);
        let sealed = self.vault.seal(place(id), &secret, &self.ids);
        let vault = self.vault.clone();
        self.write(move |tx| {
            once::once(tx, &vault, key.as_ref(), now, |tx| {
                tx.exec(
                    "INSERT INTO endpoints (id, platform, url, types, secret_sealed, created_at) VALUES ($1, $2, $3, $4, $5, $6)",
                    params![id.uuid(), platform.as_str(), url.as_str(), types_text(&types), sealed.as_slice(), now.ms()],
                )?;
                let made = Endpoint { id, platform: platform.clone(), url: url.clone(), types: types.clone(), enabled: true };
                Ok(Answer { status: 201, body: made.body(Some(&shown)) })
            })
        })
        .await
    }

    /// A platform's endpoints.
    pub async fn endpoints(&self, platform: String) -> Result<Vec<Endpoint>, StoreError> {
        let sql = "SELECT id, platform, url, types, enabled FROM endpoints WHERE platform = $1 AND removed_at IS NULL ORDER BY id";
        self.read(move |s| s.query(sql, params![platform])?.iter().map(endpoint).collect()).await
    }

    /// One of a platform's endpoints.
    pub async fn endpoint(&self, platform: String, id: EndpointId) -> Result<Option<Endpoint>, StoreError> {
        let sql = "SELECT id, platform, url, types, enabled FROM endpoints WHERE platform = $1 AND id = $2 AND removed_at IS NULL";
        self.read(move |s| s.one(sql, params![platform, id.uuid()])?.as_ref().map(endpoint).transpose()).await
    }

    /// Changes what is given; enabling starts afresh.
    pub async fn change_endpoint(
        &self,
        platform: String,
        id: EndpointId,
        url: Option<String>,
        types: Option<Vec<String>>,
        enabled: Option<bool>,
    ) -> Result<bool, StoreError> {
        self.write(move |tx| {
            let sql = "UPDATE endpoints SET url = COALESCE($3, url), types = COALESCE($4, types), enabled = COALESCE($5, enabled),
                       failing_since = CASE WHEN $5 = 1 THEN NULL ELSE failing_since END WHERE platform = $1 AND id = $2";
            let types = types.as_deref().map(types_text);
            let found = tx.exec(sql, params![platform.as_str(), id.uuid(), url.as_deref(), types, enabled])? == 1;
            if found && enabled == Some(false) {
                give_up(tx, id)?;
            }
            Ok(found)
        })
        .await
    }

    /// Removes an endpoint with what is due to it, once or again; false where there
    /// never was one. What remains is its id.
    pub async fn remove_endpoint(&self, platform: String, id: EndpointId, now: Moment) -> Result<bool, StoreError> {
        self.write(move |tx| {
            let sql = "UPDATE endpoints SET removed_at = COALESCE(removed_at, $3), enabled = 0, url = '', secret_sealed = $4, previous_sealed = NULL
                       WHERE platform = $1 AND id = $2";
            let gone = tx.exec(sql, params![platform.as_str(), id.uuid(), now.ms(), Vec::<u8>::new()])? == 1;
            if gone {
                tx.exec("DELETE FROM deliveries WHERE endpoint = $1", params![id.uuid()])?;
                tx.exec("DELETE FROM attempts WHERE endpoint = $1", params![id.uuid()])?;
            }
            Ok(gone)
        })
        .await
    }

    /// Gives an endpoint a new secret; the old one signs beside it for a day.
    pub async fn rotate_secret(&self, platform: String, id: EndpointId, now: Moment) -> Result<Option<String>, StoreError> {
        let (shown, secret) = fresh_secret(self);
        let sealed = self.vault.seal(place(id), &secret, &self.ids);
        self.write(move |tx| {
            let sql = "UPDATE endpoints SET previous_sealed = secret_sealed, previous_until = $3, secret_sealed = $4 WHERE platform = $1 AND id = $2";
            let done = tx.exec(sql, params![platform.as_str(), id.uuid(), now.plus(OVERLAP).ms(), sealed.as_slice()])? == 1;
            Ok(done.then(|| shown.clone()))
        })
        .await
    }

    /// Makes events due again: one, or all since a moment. Says how many.
    pub async fn replay(
        &self,
        endpoint: EndpointId,
        platform: String,
        event: Option<EventId>,
        since: Option<Moment>,
        now: Moment,
    ) -> Result<u64, StoreError> {
        self.write(move |tx| {
            tx.exec(
                "INSERT INTO deliveries (endpoint, event, state, due_at) SELECT CAST($1 AS {blob}), e.id, 'due', CAST($2 AS BIGINT) FROM events e
                 WHERE e.platform = $3 AND (CAST($4 AS {blob}) IS NULL OR e.id = $4) AND (CAST($5 AS BIGINT) IS NULL OR e.at >= $5)
                 ON CONFLICT (endpoint, event) DO UPDATE SET state = 'due', due_at = excluded.due_at, tries = 0, fence = deliveries.fence + 1",
                params![endpoint.uuid(), now.ms(), platform.as_str(), event.map(EventId::uuid), since.map(Moment::ms)],
            )
        })
        .await
    }

    /// One page of an endpoint's attempts, oldest first.
    pub async fn attempts(&self, endpoint: EndpointId, after: i64, limit: i64) -> Result<(Vec<Attempt>, i64), StoreError> {
        self.read(move |s| {
            let total = access::total(s.one("SELECT COUNT(*) FROM attempts WHERE endpoint = $1", params![endpoint.uuid()])?)?;
            let sql = "SELECT seq, event, at, status, error FROM attempts WHERE endpoint = $1 AND seq > $2 ORDER BY seq LIMIT $3";
            let read = |r: &Row| {
                Ok(Attempt {
                    seq: r.int(0)?,
                    event: EventId::new(r.uuid(1)?),
                    at: Moment::from_ms(r.int(2)?),
                    status: r.opt_int(3)?,
                    error: r.opt_text(4)?.map(str::to_owned),
                })
            };
            Ok((s.query(sql, params![endpoint.uuid(), after, limit])?.iter().map(read).collect::<Result<_, _>>()?, total))
        })
        .await
    }

    /// Takes deliveries that are due, under a lease.
    pub async fn take_due(&self, limit: i64, lease: Duration, now: Moment) -> Result<Vec<Due>, StoreError> {
        let vault = self.vault.clone();
        self.write(move |tx| {
            let sql = "SELECT endpoint, event, tries, fence FROM deliveries WHERE state = 'due' AND due_at <= $1
                       AND endpoint IN (SELECT id FROM endpoints WHERE enabled = 1) ORDER BY due_at LIMIT $2 {skip_locked}";
            let mut out = Vec::new();
            for row in tx.query(sql, params![now.ms(), limit])? {
                let (endpoint, event, fence) = (row.uuid(0)?, row.uuid(1)?, row.int(3)? + 1);
                tx.exec(
                    "UPDATE deliveries SET due_at = $3, fence = $4 WHERE endpoint = $1 AND event = $2",
                    params![endpoint, event, now.plus(lease).ms(), fence],
                )?;
                let sql =
                    "SELECT platform, url, secret_sealed, previous_sealed, previous_until, failing_since FROM endpoints WHERE id = $1";
                let (Some(to), Some(event)) = (tx.one(sql, params![endpoint])?, log::event(tx, EventId::new(event))?) else { continue };
                let id = EndpointId::new(endpoint);
                let mut secrets = vec![secret_of(&vault, id, to.blob(2)?)?];
                if let (Some(old), Some(until)) = (to.opt_blob(3)?, to.opt_int(4)?)
                    && until > now.ms()
                {
                    secrets.push(secret_of(&vault, id, old)?);
                }
                out.push(Due {
                    endpoint: id,
                    platform: to.text(0)?.to_owned(),
                    url: to.text(1)?.to_owned(),
                    event,
                    secrets,
                    tries: row.int(2)?,
                    fence,
                    failing_since: to.opt_int(5)?.map(Moment::from_ms),
                });
            }
            Ok(out)
        })
        .await
    }

    /// Stores what came of an attempt; a late one, whose lease has passed on, is
    /// listed and changes nothing else.
    pub async fn attempted(&self, attempt: Attempted) -> Result<(), StoreError> {
        self.write(move |tx| attempted(tx, &attempt)).await
    }

    /// Deliveries by state, and when the next is due.
    pub async fn delivery_counts(&self) -> Result<(Vec<(String, i64)>, Option<Moment>), StoreError> {
        self.read(|s| {
            let rows = s.query("SELECT state, COUNT(*) FROM deliveries GROUP BY state ORDER BY state", &[])?;
            let next = s.one("SELECT MIN(due_at) FROM deliveries WHERE state = 'due'", &[])?;
            let counts = rows.iter().map(|r| Ok((r.text(0)?.to_owned(), r.int(1)?))).collect::<Result<_, StoreError>>()?;
            Ok((counts, next.map_or(Ok(None), |r| r.opt_int(0))?.map(Moment::from_ms)))
        })
        .await
    }

    /// A platform's events after a position of its list.
    pub async fn events_after(&self, platform: String, seq: i64, limit: i64) -> Result<Vec<Listed>, StoreError> {
        self.read(move |s| log::events_after(s, &platform, seq, limit)).await
    }

    /// How many ledger entries there are.
    pub async fn ledger_length(&self) -> Result<i64, StoreError> {
        self.read(log::ledger_length).await
    }
}
