//! Webhook endpoints: where they are, what they want, and the keys that sign.
//!
//! Promises: secrets and private keys stand sealed; a secret is told once; whatever
//! sending needs to know of an endpoint changes together with its version.
//! Does not: know what is due (`deliveries`).

use super::Store;
use super::access::{self, Raised};
use super::deliveries;
use super::engine::{Connection, Row, Sql, StoreError, params};
use super::ids::Ids;
use super::log::Event;
use super::once::{self, Answer, Once, Reserved};
use super::vault::{Place, Vault};
use super::writer::Tx;
use crate::domain::alert::Facts;
use crate::domain::id::{EndpointId, EventId};
use crate::domain::region::Region;
use crate::domain::time::Moment;
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use std::time::Duration;

/// How long a rotated secret and key still sign beside the new ones.
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
    /// Verifies the asymmetric signatures: `whpk_…`.
    pub public_key: Option<String>,
    /// Since when nothing was received.
    pub failing_since: Option<Moment>,
}

/// What sending to an endpoint needs to know.
pub struct Address {
    pub id: EndpointId,
    pub version: i64,
    pub url: String,
    /// The newest first.
    pub signing: Vec<Signing>,
}

/// A secret and the seed of an Ed25519 key that sign together.
pub struct Signing {
    pub secret: Vec<u8>,
    pub seed: Option<[u8; 32]>,
    pub until: Option<Moment>,
}

/// A fresh secret and key, sealed for one endpoint.
struct Fresh {
    /// The secret as its platform is told it.
    shown: String,
    secret: Vec<u8>,
    key: Vec<u8>,
    public: String,
}

impl Fresh {
    fn make(vault: &Vault, ids: &Ids, id: EndpointId) -> Self {
        let secret = STANDARD.encode(ids.bytes::<32>());
        let (key, public) = fresh_key(vault, ids, id);
        Self { shown: format!("whsec_{secret}"), secret: vault.seal(place(id, "secret"), &secret, ids), key, public }
    }
}

/// The key of a seed.
pub fn key_pair(seed: &[u8; 32]) -> Ed25519KeyPair {
    Ed25519KeyPair::from_seed_unchecked(seed).expect("any 32 bytes are a seed (RFC 8032 §5.1.5)")
}

/// A fresh Ed25519 key: its seed, sealed, and its public part.
fn fresh_key(vault: &Vault, ids: &Ids, id: EndpointId) -> (Vec<u8>, String) {
    let seed = ids.bytes::<32>();
    let public = format!("whpk_{}", STANDARD.encode(key_pair(&seed).public_key()));
    (vault.seal(place(id, "key"), &STANDARD.encode(seed), ids), public)
}

fn place(id: EndpointId, column: &'static str) -> Place<'static> {
    Place { table: "endpoints", row: id.uuid(), column }
}

fn endpoint(row: &Row) -> Result<Endpoint, StoreError> {
    Ok(Endpoint {
        id: EndpointId::new(row.uuid(0)?),
        platform: row.text(1)?.to_owned(),
        url: row.text(2)?.to_owned(),
        types: row.text(3)?.split('|').filter(|t| !t.is_empty()).map(str::to_owned).collect(),
        enabled: row.flag(4)?,
        public_key: row.opt_text(5)?.map(str::to_owned),
        failing_since: row.opt_int(6)?.map(Moment::from_ms),
    })
}

/// `|a|b|`, so that one pattern finds a whole name.
fn types_text(types: &[String]) -> String {
    if types.is_empty() { String::new() } else { format!("|{}|", types.join("|")) }
}

fn opened(vault: &Vault, id: EndpointId, column: &'static str, sealed: &[u8]) -> Result<Vec<u8>, StoreError> {
    let text = vault.open(place(id, column), sealed)?;
    STANDARD.decode(text).map_err(|_| StoreError::Corrupt(format!("an endpoint's {column}")))
}

fn signing(vault: &Vault, id: EndpointId, secret: &[u8], key: Option<&[u8]>, until: Option<Moment>) -> Result<Signing, StoreError> {
    let short = |_| StoreError::Corrupt("an endpoint's key".to_owned());
    let seed = key.map(|k| opened(vault, id, "key", k).and_then(|bytes| <[u8; 32]>::try_from(bytes).map_err(short))).transpose()?;
    Ok(Signing { secret: opened(vault, id, "secret", secret)?, seed, until })
}

impl Endpoint {
    /// As JSON; `secret` only where it is shown.
    pub fn body(&self, secret: Option<&str>) -> Value {
        let mut body = json!({
            "id": self.id, "url": self.url, "types": self.types, "enabled": self.enabled,
            "public_key": self.public_key, "failing_since": self.failing_since,
        });
        if let Some(secret) = secret {
            body["secret"] = json!(secret);
        }
        body
    }
}

/// Disables an endpoint and tells its platform's others, its list, and the operator.
pub(super) fn disable(tx: &mut Tx<'_>, id: EndpointId, why: &str, now: Moment) -> Result<(), StoreError> {
    let sql = "UPDATE endpoints SET enabled = 0, version = version + 1 WHERE id = $1 AND enabled = 1 RETURNING platform";
    let Some(row) = tx.one(sql, params![id.uuid()])? else { return Ok(()) };
    deliveries::give_up(tx, id, &format!("the endpoint was disabled: {why}"))?;
    let platform = row.text(0)?.to_owned();
    let facts = Facts::EndpointDisabled { platform: platform.clone(), endpoint: id.to_string(), reason: why.to_owned() };
    access::alert(tx, &facts, Region::NATION, Raised::default(), now)?;
    let data = json!({"endpoint": id, "reason": why, "posting": null, "source_id": null, "sequence": null});
    tx.log.event(Event { id: EventId::new(tx.ids.v7(now)), platform, kind: "endpoint.disabled", at: now, posting: None, data });
    Ok(())
}

/// Gives a key to each endpoint that was made before there were any.
pub(super) fn give_keys(s: &mut dyn Connection, vault: &Vault, ids: &Ids) -> Result<(), StoreError> {
    for row in s.query("SELECT id FROM endpoints WHERE key_sealed IS NULL AND removed_at IS NULL", &[])? {
        let id = EndpointId::new(row.uuid(0)?);
        let (key, public) = fresh_key(vault, ids, id);
        s.exec(
            "UPDATE endpoints SET key_sealed = $2, public_key = $3, version = version + 1 WHERE id = $1 AND key_sealed IS NULL",
            params![id.uuid(), key, public],
        )?;
    }
    Ok(())
}

const ENDPOINTS: &str = "SELECT id, platform, url, types, enabled, public_key, failing_since FROM endpoints WHERE platform = $1 AND removed_at IS NULL ORDER BY id";
const ENDPOINT: &str = "SELECT id, platform, url, types, enabled, public_key, failing_since FROM endpoints WHERE platform = $1 AND id = $2 AND removed_at IS NULL";

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
        let fresh = Fresh::make(&self.vault, &self.ids, id);
        let vault = self.vault.clone();
        self.write(move |tx| {
            once::once(tx, &vault, key.as_ref(), now, |tx| {
                tx.exec(
                    "INSERT INTO endpoints (id, platform, url, types, secret_sealed, key_sealed, public_key, created_at)
                     VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
                    params![
                        id.uuid(),
                        platform.as_str(),
                        url.as_str(),
                        types_text(&types),
                        fresh.secret.as_slice(),
                        fresh.key.as_slice(),
                        fresh.public.as_str(),
                        now.ms()
                    ],
                )?;
                let made = Endpoint {
                    id,
                    platform: platform.clone(),
                    url: url.clone(),
                    types: types.clone(),
                    enabled: true,
                    public_key: Some(fresh.public.clone()),
                    failing_since: None,
                };
                Ok(Answer { status: 201, body: made.body(Some(&fresh.shown)) })
            })
        })
        .await
    }

    /// A platform's endpoints.
    pub async fn endpoints(&self, platform: String) -> Result<Vec<Endpoint>, StoreError> {
        self.read(move |s| s.query(ENDPOINTS, params![platform])?.iter().map(endpoint).collect()).await
    }

    /// One of a platform's endpoints.
    pub async fn endpoint(&self, platform: String, id: EndpointId) -> Result<Option<Endpoint>, StoreError> {
        self.read(move |s| s.one(ENDPOINT, params![platform, id.uuid()])?.as_ref().map(endpoint).transpose()).await
    }

    /// What is needed to send to these endpoints, as far as they are enabled.
    pub async fn addresses(&self, ids: Vec<EndpointId>) -> Result<Vec<Address>, StoreError> {
        let vault = self.vault.clone();
        self.read(move |s| {
            let sql = "SELECT version, url, secret_sealed, key_sealed, previous_sealed, previous_key_sealed, previous_until
                       FROM endpoints WHERE id = $1 AND enabled = 1";
            let mut all = Vec::with_capacity(ids.len());
            for id in ids {
                let Some(row) = s.one(sql, params![id.uuid()])? else { continue };
                let mut keys = vec![signing(&vault, id, row.blob(2)?, row.opt_blob(3)?, None)?];
                if let (Some(secret), Some(until)) = (row.opt_blob(4)?, row.opt_int(6)?) {
                    keys.push(signing(&vault, id, secret, row.opt_blob(5)?, Some(Moment::from_ms(until)))?);
                }
                all.push(Address { id, version: row.int(0)?, url: row.text(1)?.to_owned(), signing: keys });
            }
            Ok(all)
        })
        .await
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
                       version = version + 1, failing_since = CASE WHEN $5 = 1 THEN NULL ELSE failing_since END
                       WHERE platform = $1 AND id = $2 AND removed_at IS NULL";
            let types = types.as_deref().map(types_text);
            let found = tx.exec(sql, params![platform.as_str(), id.uuid(), url.as_deref(), types, enabled])? == 1;
            if found && enabled == Some(false) {
                deliveries::give_up(tx, id, "the endpoint was disabled")?;
            }
            Ok(found)
        })
        .await
    }

    /// Removes an endpoint, once or again; false where there never was one. What
    /// remains is its id; what was due to it goes bit by bit ([`Store::tend_deliveries`]).
    pub async fn remove_endpoint(&self, platform: String, id: EndpointId, now: Moment) -> Result<bool, StoreError> {
        self.write(move |tx| {
            let sql = "UPDATE endpoints SET removed_at = COALESCE(removed_at, $3), enabled = 0, version = version + 1, url = '',
                       secret_sealed = $4, key_sealed = NULL, previous_sealed = NULL, previous_key_sealed = NULL, public_key = NULL
                       WHERE platform = $1 AND id = $2";
            Ok(tx.exec(sql, params![platform.as_str(), id.uuid(), now.ms(), Vec::<u8>::new()])? == 1)
        })
        .await
    }

    /// Gives an endpoint a new secret and key; the old ones sign beside them for a day.
    pub async fn rotate_secret(&self, platform: String, id: EndpointId, now: Moment) -> Result<Option<String>, StoreError> {
        let fresh = Fresh::make(&self.vault, &self.ids, id);
        self.write(move |tx| {
            let sql = "UPDATE endpoints SET previous_sealed = secret_sealed, previous_key_sealed = key_sealed, previous_until = $3,
                       secret_sealed = $4, key_sealed = $5, public_key = $6, version = version + 1
                       WHERE platform = $1 AND id = $2 AND removed_at IS NULL";
            let until = now.plus(OVERLAP).ms();
            let (secret, key, public) = (fresh.secret.as_slice(), fresh.key.as_slice(), fresh.public.as_str());
            let done = tx.exec(sql, params![platform.as_str(), id.uuid(), until, secret, key, public])? == 1;
            Ok(done.then(|| fresh.shown.clone()))
        })
        .await
    }
}
