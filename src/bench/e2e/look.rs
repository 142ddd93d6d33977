//! What the end-to-end measurement sees of the store, on a connection of its own.

use crate::bench::text;
use crate::domain::id::{OfferId, WorkerId};
use crate::domain::time::Moment;
use crate::store::engine::{Sql, Val, params};
use crate::store::readers::Readers;

/// Counts in the store.
pub struct Look(Readers);

/// What must never be: a count that has to be 0, and what it would mean.
const NEVER: &[(&str, &str)] = &[
    (
        "workers with more open offers than the cap",
        "SELECT COUNT(*) FROM (SELECT o.worker FROM offers o JOIN postings p ON p.id = o.posting
           WHERE o.state IN ('offered', 'seen') AND p.status <> 'filled' GROUP BY o.worker HAVING COUNT(*) > CAST($1 AS BIGINT)) AS over_cap",
    ),
    (
        "workers offered a posting twice",
        "SELECT COUNT(*) + 0 * CAST($1 AS BIGINT) FROM (SELECT 1 FROM offers GROUP BY posting, worker HAVING COUNT(*) > 1) AS twice",
    ),
    (
        "workers offered a group twice",
        "SELECT COUNT(*) + 0 * CAST($1 AS BIGINT) FROM (SELECT 1 FROM offers GROUP BY group_key, worker HAVING COUNT(*) > 1) AS twice",
    ),
    ("postings with more seats taken than openings", "SELECT COUNT(*) + 0 * CAST($1 AS BIGINT) FROM postings WHERE taken > openings"),
    (
        "postings whose seats are not those of their offers",
        "SELECT COUNT(*) + 0 * CAST($1 AS BIGINT) FROM postings p WHERE p.taken <> (SELECT COUNT(*) FROM offers o WHERE o.posting = p.id
           AND (o.state IN ('accepted', 'hired') OR (o.promoted = 1 AND o.state IN ('offered', 'seen'))))",
    ),
    (
        "postings whose waves do not count their offers",
        "SELECT COUNT(*) + 0 * CAST($1 AS BIGINT) FROM postings p WHERE (SELECT COALESCE(SUM(w.offered), 0) FROM waves w WHERE w.posting = p.id)
           <> (SELECT COUNT(*) FROM offers o WHERE o.posting = p.id)",
    ),
];

impl Look {
    pub fn open(url: &str) -> Result<Self, String> {
        Readers::start(crate::store::engine_of(url).map_err(text)?, 1).map(Self).map_err(text)
    }

    async fn count(&self, sql: &'static str, parameters: Vec<Val>) -> Result<i64, String> {
        self.0.read(move |s| s.one(sql, &parameters)?.map_or(Ok(0), |r| r.int(0))).await.map_err(text)
    }

    /// Postings that are due to be routed before this moment, taken or not.
    pub async fn due(&self, before: Moment) -> Result<i64, String> {
        self.count("SELECT COUNT(*) FROM work WHERE kind = 'route' AND due_at <= $1", params![before.ms()].to_vec()).await
    }

    pub async fn offers_since(&self, id: OfferId) -> Result<i64, String> {
        self.count("SELECT COUNT(*) FROM offers WHERE id > $1", params![id.uuid()].to_vec()).await
    }

    /// Offers after this one, oldest first.
    pub async fn offers_after(&self, after: OfferId) -> Result<Vec<(OfferId, WorkerId)>, String> {
        let offers = move |s: &mut dyn Sql| {
            let rows = s.query("SELECT id, worker FROM offers WHERE id > $1 ORDER BY id LIMIT 2000", params![after.uuid()])?;
            rows.iter().map(|r| Ok((OfferId::new(r.uuid(0)?), WorkerId::new(r.uuid(1)?)))).collect()
        };
        self.0.read(offers).await.map_err(text)
    }

    /// Checks what the gateway promises, over everything in the store.
    pub async fn check(&self, cap: u32) -> Result<(), String> {
        for (what, sql) in NEVER {
            let n = self.count(sql, params![cap].to_vec()).await?;
            if n > 0 {
                return Err(format!("{n} {what}"));
            }
        }
        Ok(())
    }
}
