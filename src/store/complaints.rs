//! Complaints of workers: alerts for the office of their home.
//!
//! Promises: the same text of a worker stands there once while it is open; nobody fills
//! the office's list; what was written goes when its worker is erased.

use super::access::{self, Raised};
use super::engine::{Sql, StoreError, params};
use super::once::{self, Answer, Once, Reserved};
use super::{Store, offers};
use crate::domain::alert::Facts;
use crate::domain::id::{OfferId, WorkerId};
use crate::domain::time::Moment;
use serde_json::json;

/// Most complaints of one worker that are open at once.
const OPEN: i64 = 10;

/// What a worker complains of.
#[derive(Clone, Debug)]
pub struct Complaint {
    pub worker: WorkerId,
    /// One of theirs that it is about.
    pub offer: Option<OfferId>,
    pub text: String,
}

impl Store {
    /// Raises an alert of kind `complaint` for the office of the worker's home: 201 with
    /// its id; 404 where the offer is not theirs, 429 where too many are open.
    pub async fn complain(&self, complaint: Complaint, key: Option<Once>, now: Moment) -> Result<Reserved, StoreError> {
        let vault = self.vault.clone();
        self.write(move |tx| {
            once::once(tx, &vault, key.as_ref(), now, |tx| {
                let c = &complaint;
                let refused = |status| Ok(Answer { status, body: json!(null) });
                let Some(home) = offers::home_of(tx, c.worker)? else { return refused(404) };
                let posting = match c.offer {
                    None => None,
                    Some(id) => match offers::by_id(tx, id)?.filter(|o| o.worker == c.worker) {
                        Some(offer) => Some(offer.posting.uuid()),
                        None => return refused(404),
                    },
                };
                let sql =
                    "SELECT id, at, detail FROM alerts WHERE region = $1 AND kind = 'complaint' AND worker = $2 AND resolved_at IS NULL";
                let open = tx.query(sql, params![i64::from(home.code()), c.worker.uuid()])?;
                for row in &open {
                    if row.text(2)? == c.text {
                        let body = json!({"id": row.uuid(0)?, "at": Moment::from_ms(row.int(1)?)});
                        return Ok(Answer { status: 201, body });
                    }
                }
                if open.len() as i64 >= OPEN {
                    return refused(429);
                }
                let id =
                    access::alert(tx, &Facts::Complaint {}, home, Raised { worker: Some(c.worker.uuid()), posting, words: &c.text }, now)?;
                Ok(Answer { status: 201, body: json!({"id": id, "at": now}) })
            })
        })
        .await
    }
}
