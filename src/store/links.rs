//! Workers' links: stored hashed, valid many times until they expire.

use super::engine::{Sql, StoreError, params};
use super::once::{self, Answer, Once, Reserved};
use super::{Store, access, offers};
use crate::domain::id::WorkerId;
use crate::domain::region::Region;
use crate::domain::time::Moment;
use serde_json::json;
use std::time::Duration;

/// A wish for a fresh link.
#[derive(Clone, Debug)]
pub struct NewLink {
    pub worker: WorkerId,
    /// The caller's subtree: a worker elsewhere has no link for them.
    pub region: Region,
    /// Who asks, for the access log.
    pub client: String,
    pub revoke_others: bool,
    pub lifetime: Duration,
    /// What the link begins with, up to `/w/`.
    pub base: String,
}

impl Store {
    fn link_hash(&self, token: &str) -> Vec<u8> {
        self.vault.mac("link", token.as_bytes()).to_vec()
    }

    /// Makes a link; 404 in the answer where the worker is out of reach.
    pub async fn make_link(&self, new: NewLink, key: Option<Once>, now: Moment) -> Result<Reserved, StoreError> {
        let token = super::token(&self.ids);
        let hash = self.link_hash(&token);
        let vault = self.vault.clone();
        self.write(move |tx| {
            once::once(tx, &vault, key.as_ref(), now, |tx| {
                let home = offers::home_of(tx, new.worker)?;
                if !home.is_some_and(|h| h.is_within(new.region)) {
                    return Ok(Answer { status: 404, body: json!(null) });
                }
                access::record(tx, &new.client, "link", Some(new.worker), "", "", now)?;
                if new.revoke_others {
                    let sql = "UPDATE links SET revoked_at = $2 WHERE worker = $1 AND revoked_at IS NULL";
                    tx.exec(sql, params![new.worker.uuid(), now.ms()])?;
                }
                let expires = now.plus(new.lifetime);
                tx.exec(
                    "INSERT INTO links (hash, worker, created_at, expires_at) VALUES ($1, $2, $3, $4)",
                    params![hash.as_slice(), new.worker.uuid(), now.ms(), expires.ms()],
                )?;
                let body = json!({"url": format!("{}/w/{token}", new.base), "token": token, "expires_at": expires});
                Ok(Answer { status: 201, body })
            })
        })
        .await
    }

    /// The worker behind a link that still serves.
    pub async fn link(&self, token: &str, now: Moment) -> Result<Option<WorkerId>, StoreError> {
        let hash = self.link_hash(token);
        self.read(move |s| {
            let sql = "SELECT l.worker FROM links l JOIN workers w ON w.id = l.worker
                       WHERE l.hash = $1 AND l.expires_at > $2 AND l.revoked_at IS NULL AND w.erased_at IS NULL";
            s.one(sql, params![hash, now.ms()])?.map(|r| r.uuid(0).map(WorkerId::new)).transpose()
        })
        .await
    }
}
