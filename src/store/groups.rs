//! Groups of postings that are the same work: equal in organization, title, place
//! and pay, from whatever platform.
//!
//! Promises: postings are never merged; a worker is offered at most one of a group;
//! what an operator has split stays split, for postings that come later too.
//! Does not: tell what makes two postings equal (`ingest::prepare`).

use super::engine::{Sql, StoreError, params};
use super::log::ChangeKind;
use super::postings::{Posting, columns, posting};
use super::work::{self, Kind};
use super::{Store, access};
use crate::domain::posting::Status;
use crate::domain::time::Moment;

/// The fingerprint that its postings share.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupId(Vec<u8>);

impl GroupId {
    /// Reads 32 hexadecimal digits.
    pub fn parse(text: &str) -> Option<Self> {
        let digits = text.len() == 32 && text.bytes().all(|b| b.is_ascii_hexdigit());
        let byte = |at: usize| u8::from_str_radix(&text[at..at + 2], 16).ok();
        digits.then(|| (0..32).step_by(2).map(byte).collect::<Option<Vec<u8>>>().map(Self)).flatten()
    }
}

impl std::fmt::Display for GroupId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// A group with its live postings.
#[derive(Clone, Debug)]
pub struct Group {
    pub id: GroupId,
    pub postings: Vec<Posting>,
    pub split: Option<Split>,
}

/// Who split a group, when and why.
#[derive(Clone, Debug)]
pub struct Split {
    pub at: Moment,
    pub client: String,
    pub reason: String,
}

/// Postings of one group that are shown.
const SHOWN: i64 = 100;

fn group(s: &mut dyn Sql, id: &GroupId) -> Result<Group, StoreError> {
    let rows = s.query(
        columns!("WHERE p.fingerprint = $1 AND p.status IN ('open', 'paused', 'filled') ORDER BY p.id LIMIT $2"),
        params![id.0.as_slice(), SHOWN],
    )?;
    let split = s.one("SELECT at, client, reason FROM split_groups WHERE fingerprint = $1", params![id.0.as_slice()])?;
    let split = split.map(|row| {
        Ok::<_, StoreError>(Split { at: Moment::from_ms(row.int(0)?), client: row.text(1)?.to_owned(), reason: row.text(2)?.to_owned() })
    });
    Ok(Group { id: id.clone(), postings: rows.iter().map(posting).collect::<Result<_, _>>()?, split: split.transpose()? })
}

impl Store {
    /// One page of the groups with at least two live postings.
    pub async fn groups(&self, after: Option<GroupId>, limit: i64) -> Result<(Vec<Group>, i64), StoreError> {
        self.read(move |s| {
            let total = s.one(
                "SELECT COUNT(*) FROM (SELECT 1 FROM postings WHERE status IN ('open', 'paused', 'filled')
                   GROUP BY fingerprint HAVING COUNT(*) > 1) AS g",
                &[],
            )?;
            let rows = s.query(
                "SELECT fingerprint FROM postings WHERE status IN ('open', 'paused', 'filled') AND fingerprint > $1
                 GROUP BY fingerprint HAVING COUNT(*) > 1 ORDER BY fingerprint LIMIT $2",
                params![after.map(|id| id.0).unwrap_or_default(), limit],
            )?;
            let ids = rows.iter().map(|row| row.blob(0).map(|b| GroupId(b.to_vec()))).collect::<Result<Vec<_>, _>>()?;
            let groups = ids.iter().map(|id| group(s, id)).collect::<Result<_, _>>()?;
            Ok((groups, access::total(total)?))
        })
        .await
    }

    /// A group that has live postings or was split.
    pub async fn group(&self, id: GroupId) -> Result<Option<Group>, StoreError> {
        self.read(move |s| group(s, &id).map(|g| (!g.postings.is_empty() || g.split.is_some()).then_some(g))).await
    }

    /// Splits a group for good: each of its postings, and each that comes later, is
    /// work of its own. False where it was split before.
    pub async fn split_group(&self, id: GroupId, client: String, reason: String, now: Moment) -> Result<bool, StoreError> {
        self.write(move |tx| {
            let fresh = tx.exec(
                "INSERT INTO split_groups (fingerprint, at, client, reason) VALUES ($1, $2, $3, $4) ON CONFLICT (fingerprint) DO NOTHING",
                params![id.0.as_slice(), now.ms(), client.as_str(), reason.as_str()],
            )?;
            if fresh == 0 {
                return Ok(false);
            }
            access::record(tx, &client, "group_split", None, &id.to_string(), &reason, now)?;
            let rows = tx.query(
                "UPDATE postings SET group_key = id, short = 1, updated_at = $2 WHERE fingerprint = $1 RETURNING id, status",
                params![id.0.as_slice(), now.ms()],
            )?;
            for row in rows {
                tx.log.change(ChangeKind::Posting, row.uuid(0)?, 0, now);
                if row.text(1)? == Status::Open.code() {
                    work::enqueue(tx, Kind::Route, row.uuid(0)?, now)?;
                }
            }
            Ok(true)
        })
        .await
    }
}
