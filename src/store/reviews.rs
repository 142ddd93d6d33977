//! Postings that an operator must look at before anybody hears of them.
//!
//! Promises: a posting is held as long as the texts that speak of fraud are those
//! that nobody has released; who released them and why stands in the access log.

use super::engine::{Sql, StoreError, params};
use super::log::ChangeKind;
use super::postings::{Posting, columns, posting};
use super::work::{self, Kind};
use super::{Store, access};
use crate::domain::id::PostingId;
use crate::domain::posting::Status;
use crate::domain::time::Moment;

impl Store {
    /// One page of the live postings that are held, and how many there are.
    pub async fn held_postings(&self, after: Option<PostingId>, limit: i64) -> Result<(Vec<Posting>, i64), StoreError> {
        self.read(move |s| {
            let total = s.one("SELECT COUNT(*) FROM postings WHERE review = 'held' AND status IN ('open', 'paused', 'filled')", &[])?;
            let rows = s.query(
                columns!("WHERE p.review = 'held' AND p.status IN ('open', 'paused', 'filled') AND p.id > $1 ORDER BY p.id LIMIT $2"),
                params![access::after(after.map(PostingId::uuid)), limit],
            )?;
            Ok((rows.iter().map(posting).collect::<Result<_, _>>()?, access::total(total)?))
        })
        .await
    }

    /// Lets a held posting be routed; false where it is not held.
    pub async fn release_posting(&self, id: PostingId, client: String, reason: String, now: Moment) -> Result<bool, StoreError> {
        self.write(move |tx| {
            let sql = "UPDATE postings SET review = 'released', updated_at = $2 WHERE id = $1 AND review = 'held' RETURNING status";
            let Some(row) = tx.one(sql, params![id.uuid(), now.ms()])? else { return Ok(false) };
            let open = row.text(0)? == Status::Open.code();
            access::record(tx, &client, "posting_released", None, &id.to_string(), &reason, now)?;
            tx.log.change(ChangeKind::Posting, id.uuid(), 0, now);
            if open {
                work::enqueue(tx, Kind::Route, id.uuid(), now)?;
            }
            Ok(true)
        })
        .await
    }
}
