//! Postings: upsert by (platform, source id), reading, closing.

use super::engine::{Row, Sql, StoreError, params};
use super::feeds::{self, Hold};
use super::log::ChangeKind;
use super::once::Advance;
use super::runs::{self, RunKey};
use super::seats;
use super::work::{self, Kind};
use super::writer::Tx;
use super::{Store, access, counties};
use crate::domain::id::PostingId;
use crate::domain::posting::{Content, Declared, Status};
use crate::domain::time::Moment;
use serde::Serialize;
use std::sync::Arc;
use std::time::Duration;

/// A posting as the store has it.
#[derive(Clone, Debug)]
pub struct Posting {
    pub id: PostingId,
    pub platform: String,
    pub content: Content,
    pub status: Status,
    pub seats: Seats,
    pub revision: i64,
    /// It is not routed until an operator has looked at it.
    pub held: bool,
}

/// Openings, and how many of them are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Seats {
    /// max(declared, taken): a platform that cuts its headcount never takes a
    /// seat back.
    pub openings: u32,
    /// What the platform last said.
    pub declared: u32,
    pub taken: u32,
}

/// A posting ready to be stored: read, hashed, serialized.
#[derive(Clone, Debug)]
pub struct Prepared {
    pub content: Content,
    /// `content` as JSON.
    pub json: String,
    /// Of what the platform sent and the rules that read it.
    pub hash: Vec<u8>,
    /// Equal for postings that are the same work: organization, title, region, pay.
    pub group: Vec<u8>,
    /// Of the texts in which words of fraud stand; none where there are none.
    pub review_key: Option<Vec<u8>>,
    /// The end of `valid_through`.
    pub closes_at: Moment,
    /// Its target counties, where seats are counted in each; else 0.
    pub counties: u32,
}

/// What became of one record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Upserted {
    Created,
    Updated,
    Unchanged,
}

/// What became of a slice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    pub created: u64,
    pub updated: u64,
    pub unchanged: u64,
    pub closed: u64,
}

/// The column list that [`posting`] reads.
macro_rules! columns {
    ($tail:literal) => {
        concat!(
            "SELECT p.id, p.platform, p.content, p.status, p.openings, p.total_declared, p.taken, p.revision, p.review FROM postings p ",
            $tail
        )
    };
}
pub(super) use columns;

pub(super) fn posting(row: &Row) -> Result<Posting, StoreError> {
    let corrupt = |what: &str| StoreError::Corrupt(format!("a posting's {what}"));
    Ok(Posting {
        id: PostingId::new(row.uuid(0)?),
        platform: row.text(1)?.to_owned(),
        content: serde_json::from_str(row.text(2)?).map_err(|_| corrupt("content"))?,
        status: Status::parse(row.text(3)?).ok_or_else(|| corrupt("status"))?,
        seats: Seats { openings: row.count(4)?, declared: row.count(5)?, taken: row.count(6)? },
        revision: row.int(7)?,
        held: row.text(8)? == "held",
    })
}

/// A posting by id.
pub(super) fn by_id(s: &mut dyn Sql, id: PostingId) -> Result<Option<Posting>, StoreError> {
    s.one(columns!("WHERE p.id = $1"), params![id.uuid()])?.as_ref().map(posting).transpose()
}

/// The id of a platform's posting by the platform's own id.
pub(super) fn id_of(s: &mut dyn Sql, platform: &str, source_id: &str) -> Result<Option<PostingId>, StoreError> {
    let row = s.one("SELECT id FROM postings WHERE platform = $1 AND source_id = $2", params![platform, source_id])?;
    row.map(|r| r.uuid(0).map(PostingId::new)).transpose()
}

fn declared_code(declared: Declared) -> &'static str {
    match declared {
        Declared::Open => "open",
        Declared::Paused => "paused",
        Declared::Closed => "closed",
    }
}

/// A posting that a record would change, as it is.
struct Known {
    id: PostingId,
    status: Status,
    per_county: u32,
}

/// What a record would become, without doing it.
fn classify(s: &mut dyn Sql, platform: &str, p: &Prepared, now: Moment) -> Result<(Upserted, Option<Known>), StoreError> {
    let sql = "SELECT id, content_hash, status, per_county FROM postings WHERE platform = $1 AND source_id = $2 {for_update}";
    let Some(row) = s.one(sql, params![platform, p.content.source_id.as_str()])? else { return Ok((Upserted::Created, None)) };
    let status = Status::parse(row.text(2)?).ok_or_else(|| StoreError::Corrupt("a posting's status".to_owned()))?;
    let returns = match status {
        Status::Closed => p.content.status != Declared::Closed,
        Status::Expired => p.closes_at > now,
        _ => false,
    };
    let same = row.blob(1)? == p.hash && !returns;
    let known = Some(Known { id: PostingId::new(row.uuid(0)?), status, per_county: row.count(3)? });
    Ok((if same { Upserted::Unchanged } else { Upserted::Updated }, known))
}

fn upsert(tx: &mut Tx<'_>, slice: &Slice, p: &Prepared, now: Moment, tally: &mut Tally) -> Result<(), StoreError> {
    let platform = slice.platform.as_str();
    let id = PostingId::new(tx.ids.v7(now));
    let c = &p.content;
    let expired = p.closes_at <= now;
    let fresh = Status::of(c.status, expired, false);
    let per_county = c.openings_per_county.unwrap_or(0);
    let inserted = tx.exec(
        "INSERT INTO postings (id, platform, source_id, content, content_hash, fingerprint, group_key, declared, status, closes_at,
           total_declared, openings, created_at, updated_at, review, review_key, per_county, counties, category, title)
         VALUES ($1, $2, $3, $4, $5, $6, CASE WHEN EXISTS (SELECT 1 FROM split_groups s WHERE s.fingerprint = $6) THEN $1 ELSE $6 END,
           $7, $8, $9, $10, $10, $11, $11, CASE WHEN CAST($12 AS {blob}) IS NULL THEN '' ELSE 'held' END, $12, $13, $14, $15, $16)
         ON CONFLICT (platform, source_id) DO NOTHING",
        params![
            id.uuid(),
            platform,
            c.source_id.as_str(),
            p.json.as_str(),
            p.hash.as_slice(),
            p.group.as_slice(),
            declared_code(c.status),
            fresh.code(),
            p.closes_at.ms(),
            c.total_job_openings,
            now.ms(),
            p.review_key.as_deref(),
            per_county,
            p.counties,
            c.category as u8,
            c.title.as_str()
        ],
    )?;
    if inserted == 1 {
        tally.created += 1;
        tx.log.change(ChangeKind::Posting, id.uuid(), 1, now);
        if fresh == Status::Open {
            let due = if c.job_immediate_start { now } else { slice.due };
            work::enqueue(tx, Kind::Route, id.uuid(), due)?;
        }
        return Ok(());
    }
    let (upserted, known) = classify(tx, platform, p, now)?;
    let Some(Known { id, status: before, per_county: counted }) = known.filter(|_| upserted == Upserted::Updated) else {
        tally.unchanged += 1;
        return Ok(());
    };
    tally.updated += 1;
    tx.exec(
        "UPDATE postings SET content = $2, content_hash = $3, fingerprint = $4,
           group_key = CASE WHEN EXISTS (SELECT 1 FROM split_groups s WHERE s.fingerprint = $4) THEN $1 ELSE $4 END,
           declared = $5, closes_at = $6, total_declared = $7, openings = CASE WHEN taken > $7 THEN taken ELSE $7 END,
           review = CASE WHEN CAST($9 AS {blob}) IS NULL THEN '' WHEN review_key = $9 THEN review ELSE 'held' END, review_key = $9,
           revision = revision + 1, updated_at = $8, short = 1, per_county = $10, counties = $11, category = $12, title = $13 WHERE id = $1",
        params![
            id.uuid(),
            p.json.as_str(),
            p.hash.as_slice(),
            p.group.as_slice(),
            declared_code(c.status),
            p.closes_at.ms(),
            c.total_job_openings,
            now.ms(),
            p.review_key.as_deref(),
            per_county,
            p.counties,
            c.category as u8,
            c.title.as_str()
        ],
    )?;
    counties::recount(tx, id, counted, per_county)?;
    tx.log.change(ChangeKind::Posting, id.uuid(), 0, now);
    let after = seats::settle(tx, id, now, slice.promoted_within)?;
    if after == Status::Closed && before != Status::Closed {
        tally.closed += 1;
    }
    if after == Status::Open && c.job_immediate_start {
        work::hasten(tx, Kind::Route, id.uuid(), now)?;
    }
    Ok(())
}

/// How a list of postings is narrowed.
#[derive(Clone, Debug, Default)]
pub struct PostingFilter {
    pub status: Option<Status>,
    pub source_id: Option<String>,
    /// Ids after this one.
    pub after: Option<PostingId>,
    pub limit: i64,
}

/// One slice of a batch.
#[derive(Clone, Debug)]
pub struct Slice {
    pub platform: String,
    pub postings: Arc<Vec<Prepared>>,
    /// The full feed it is a part of.
    pub run: Option<RunKey>,
    /// The right by which a puller stores it.
    pub pull: Option<Hold>,
    /// How long somebody promoted from the waitlist has.
    pub promoted_within: Duration,
    /// When its new postings are due to be routed, those apart whose work begins at once.
    pub due: Moment,
    /// For when earlier slices of its batch made theirs due: they are due with this one.
    pub held: Option<Moment>,
}

impl Store {
    /// Stores one slice of a batch and how far the batch has come; nothing, and
    /// none, where its run has ended or its puller has lost the feed.
    pub async fn upsert_postings(&self, slice: Slice, progress: Option<Advance<Tally>>, now: Moment) -> Result<Option<Tally>, StoreError> {
        self.write(move |tx| {
            let mut tally = Tally::default();
            if let Some(hold) = &slice.pull
                && !feeds::holds(tx, hold)?
            {
                return Ok(None);
            }
            if let Some(run) = slice.run
                && !runs::touch(tx, run, now)?
            {
                return Ok(None);
            }
            runs::name(tx, &slice.platform, slice.run, slice.postings.iter().map(|p| p.content.source_id.as_str()))?;
            for p in slice.postings.iter() {
                upsert(tx, &slice, p, now, &mut tally)?;
            }
            if let Some(held) = slice.held {
                work::release(tx, Kind::Route, held, slice.due)?;
            }
            if let Some(run) = slice.run {
                runs::add(tx, run, &tally)?;
            }
            if let Some(progress) = &progress {
                progress.write(tx, &tally, now)?;
            }
            Ok(Some(tally))
        })
        .await
    }

    /// What a slice would become, changing nothing.
    pub async fn classify_postings(&self, platform: String, slice: Arc<Vec<Prepared>>, now: Moment) -> Result<Tally, StoreError> {
        // In the writer, since the classification locks the rows it reads.
        self.write(move |tx| {
            let mut tally = Tally::default();
            for p in slice.iter() {
                match classify(tx, &platform, p, now)?.0 {
                    Upserted::Created => tally.created += 1,
                    Upserted::Updated => tally.updated += 1,
                    Upserted::Unchanged => tally.unchanged += 1,
                }
            }
            Ok(tally)
        })
        .await
    }

    /// A posting by id, whoever's it is.
    pub async fn posting(&self, id: PostingId) -> Result<Option<Posting>, StoreError> {
        self.read(move |s| by_id(s, id)).await
    }

    /// One page of a platform's postings, and how many there are in all.
    pub async fn postings(&self, platform: String, filter: PostingFilter) -> Result<(Vec<Posting>, i64), StoreError> {
        self.read(move |s| {
            let status = filter.status.map(Status::code);
            let total = s.one(
                "SELECT COUNT(*) FROM postings p WHERE p.platform = $1 AND (CAST($2 AS TEXT) IS NULL OR p.status = $2)
                 AND (CAST($3 AS TEXT) IS NULL OR p.source_id = $3)",
                params![platform.as_str(), status, filter.source_id.as_deref()],
            )?;
            let rows = s.query(
                columns!(
                    "WHERE p.platform = $1 AND (CAST($2 AS TEXT) IS NULL OR p.status = $2)
                     AND (CAST($3 AS TEXT) IS NULL OR p.source_id = $3) AND p.id > $4 ORDER BY p.id LIMIT $5"
                ),
                params![
                    platform.as_str(),
                    status,
                    filter.source_id.as_deref(),
                    access::after(filter.after.map(PostingId::uuid)),
                    filter.limit
                ],
            )?;
            Ok((rows.iter().map(posting).collect::<Result<_, _>>()?, access::total(total)?))
        })
        .await
    }

    /// Closes a platform's posting; false where the platform has none of this id.
    pub async fn close_posting(&self, platform: String, id: PostingId, promoted_within: Duration, now: Moment) -> Result<bool, StoreError> {
        self.write(move |tx| {
            let sql = "UPDATE postings SET declared = 'closed', updated_at = $3 WHERE id = $1 AND platform = $2";
            if tx.exec(sql, params![id.uuid(), platform.as_str(), now.ms()])? == 0 {
                return Ok(false);
            }
            tx.log.change(ChangeKind::Posting, id.uuid(), 0, now);
            seats::settle(tx, id, now, promoted_within)?;
            Ok(true)
        })
        .await
    }

    /// Expires postings whose last day is over; says how many.
    pub async fn expire_postings(&self, promoted_within: Duration, now: Moment) -> Result<usize, StoreError> {
        let due = "SELECT 1 FROM postings WHERE status IN ('open', 'paused', 'filled') AND closes_at <= $1 LIMIT 1";
        if self.read(move |s| s.one(due, params![now.ms()])).await?.is_none() {
            return Ok(0);
        }
        self.write(move |tx| {
            let sql = "SELECT id FROM postings WHERE status IN ('open', 'paused', 'filled') AND closes_at <= $1 ORDER BY id LIMIT 500";
            let due = tx.query(sql, params![now.ms()])?;
            for row in &due {
                seats::settle(tx, PostingId::new(row.uuid(0)?), now, promoted_within)?;
            }
            Ok(due.len())
        })
        .await
    }
}
