//! Clients and their secrets.

use super::Store;
use super::engine::{Row, Sql, StoreError, params};
use super::once::{self, Answer, Once, Reserved};
use crate::domain::client::{Client, Role};
use crate::domain::id::ClientId;
use crate::domain::region::Region;
use crate::domain::time::Moment;
use serde_json::{Value, json};
use subtle::ConstantTimeEq;

/// A client to be.
#[derive(Clone, Debug)]
pub struct NewClient {
    pub role: Role,
    pub name: String,
    pub region: Region,
    pub adapter: String,
}

const COLUMNS: &str = "SELECT id, role, name, region, adapter, revoked_at, secret_mac FROM clients WHERE id = $1";

fn client(row: &Row) -> Result<Client, StoreError> {
    let corrupt = |what: &str| StoreError::Corrupt(format!("a client's {what}"));
    Ok(Client {
        id: ClientId::new(row.uuid(0)?),
        role: Role::parse(row.text(1)?).ok_or_else(|| corrupt("role"))?,
        name: row.text(2)?.to_owned(),
        region: super::region(row.int(3)?)?,
        adapter: row.text(4)?.to_owned(),
        revoked: !row.is_null(5),
    })
}

impl Store {
    /// Makes a client and answers its id and its secret.
    pub async fn add_client(&self, new: NewClient, now: Moment) -> Result<(ClientId, String), StoreError> {
        let made = self.add_client_once(new, None, now).await?;
        let read = |body: &Value| Some((ClientId::parse(body["client_id"].as_str()?)?, body["client_secret"].as_str()?.to_owned()));
        match made {
            Reserved::Done(answer) => read(&answer.body).ok_or_else(|| StoreError::Corrupt("a client's answer".to_owned())),
            _ => Err(StoreError::Busy),
        }
    }

    /// Makes a client, once for its key; its secret stands in this answer and is
    /// kept as a MAC only.
    pub async fn add_client_once(&self, new: NewClient, key: Option<Once>, now: Moment) -> Result<Reserved, StoreError> {
        let id = self.ids.v7(now);
        let secret = format!("ds_{}", super::token(&self.ids));
        let mac = self.vault.mac("client-secret", secret.as_bytes()).to_vec();
        let vault = self.vault.clone();
        self.write(move |tx| {
            once::once(tx, &vault, key.as_ref(), now, |tx| {
                tx.exec(
                    "INSERT INTO clients (id, role, name, region, adapter, secret_mac, created_at) VALUES ($1, $2, $3, $4, $5, $6, $7)",
                    params![
                        id,
                        new.role.code(),
                        new.name.as_str(),
                        i64::from(new.region.code()),
                        new.adapter.as_str(),
                        mac.as_slice(),
                        now.ms()
                    ],
                )?;
                Ok(Answer { status: 201, body: json!({"client_id": ClientId::new(id), "client_secret": secret}) })
            })
        })
        .await
    }

    /// The client with this id and secret, unless revoked. An unknown id takes as
    /// long as a wrong secret.
    pub async fn authenticate(&self, id: ClientId, secret: &str) -> Result<Option<Client>, StoreError> {
        let mac = self.vault.mac("client-secret", secret.as_bytes());
        let row = self.read(move |s| s.one(COLUMNS, params![id.uuid()])).await?;
        let kept = row.as_ref().map_or(Ok(&[0u8; 32][..]), |r| r.blob(6))?;
        let same = bool::from(kept.ct_eq(&mac));
        match row {
            Some(row) if same => client(&row).map(|c| Some(c).filter(|c| !c.revoked)),
            _ => Ok(None),
        }
    }

    /// A client by id.
    pub async fn client(&self, id: ClientId) -> Result<Option<Client>, StoreError> {
        self.read(move |s| s.one(COLUMNS, params![id.uuid()])?.as_ref().map(client).transpose()).await
    }

    /// All clients, oldest first.
    pub async fn clients(&self) -> Result<Vec<Client>, StoreError> {
        let sql = "SELECT id, role, name, region, adapter, revoked_at FROM clients ORDER BY id";
        self.read(move |s| s.query(sql, &[])?.iter().map(client).collect()).await
    }

    /// Ends a client's access; false where there is none to end.
    pub async fn revoke_client(&self, id: ClientId, now: Moment) -> Result<bool, StoreError> {
        let sql = "UPDATE clients SET revoked_at = $2 WHERE id = $1 AND revoked_at IS NULL";
        self.write(move |tx| tx.exec(sql, params![id.uuid(), now.ms()]).map(|n| n == 1)).await
    }
}
