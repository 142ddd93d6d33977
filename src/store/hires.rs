//! Hires: what platforms report, in whatever order and however often, and the
//! tags frozen when the first report makes one.
//!
//! Promises: status, start and end of a hire follow from the set of its facts and
//! from corrections, never from the order in which they came; a correction wins over
//! what a platform reports, then or later, for the fields it sets; `tags` are never
//! written again.
//! Start at: [`Store::report_hires`].

mod correct;
mod facts;
mod list;
mod make;
mod report;
mod roster;

pub use correct::{Correcting, Correction, Corrector};
pub use list::{HireFilter, ListedHire};
pub use roster::{Listing, Matches, Roster, RosterLine};

use super::Store;
use super::engine::{Row, StoreError, params};
use super::once::Advance;
use crate::config::{HomeDetail, PlatformConfig};
use crate::domain::hire::{Flow, HireStatus, StatusReport, Tags};
use crate::domain::id::{HireId, OfferId, PostingId, Pseudonym, WorkerId};
use crate::domain::region::Region;
use crate::domain::time::{Moment, from_day_number};
use jiff::civil::Date;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use uuid::Uuid;

/// Whom a report speaks of.
#[derive(Clone, Debug)]
pub enum Subject {
    Offer(OfferId),
    Pair {
        posting: PostingRef,
        worker: Pseudonym,
    },
    Hire(HireId),
    /// Somebody of one of the platform's rosters, under its own id for them.
    Roster(String),
}

/// A posting as a platform may name it.
#[derive(Clone, Debug)]
pub enum PostingRef {
    Id(PostingId),
    SourceId(String),
}

/// A report that has been read.
#[derive(Clone, Debug)]
pub struct Report {
    pub subject: Subject,
    pub report: StatusReport,
}

/// What became of a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reported {
    Created(HireId),
    Updated(HireId),
    Unchanged(Option<HireId>),
    /// Kept; it makes or changes no hire.
    Recorded(Option<HireId>),
    Rejected(&'static str),
}

/// The rules a report is applied under.
#[derive(Clone, Debug)]
pub struct HireTerms {
    pub platform: String,
    pub share: PlatformConfig,
    pub promoted_within: Duration,
    pub displaced_for: Duration,
}

/// A hire as the store has it.
#[derive(Clone, Debug)]
pub struct Hire {
    pub id: HireId,
    pub platform: String,
    /// None where it is known from a roster alone.
    pub posting: Option<PostingId>,
    /// The platform's own id of the posting.
    pub source_id: Option<String>,
    pub worker: WorkerId,
    pub source: String,
    pub status: HireStatus,
    pub started_on: Option<Date>,
    pub ended_on: Option<Date>,
    pub end_reason: Option<String>,
    /// These three as corrected, the tags as they were sent.
    pub home: Region,
    pub work: Option<Region>,
    pub flow: Flow,
    pub tags: Tags,
    /// The work region lies in the worker's province and is coarser than a county.
    pub work_coarse: bool,
    pub corrected: bool,
    /// Taken out of all reports by a correction.
    pub void: bool,
}

/// Stands for the posting of a hire that has none: a key takes no NULL.
const NO_POSTING: Uuid = Uuid::nil();

/// The posting behind its column.
fn posting_of(uuid: Uuid) -> Option<PostingId> {
    (uuid != NO_POSTING).then(|| PostingId::new(uuid))
}

/// The columns that [`hire`] reads.
macro_rules! columns {
    ($tail:literal) => {
        concat!(
            "SELECT h.id, h.platform, h.posting, h.worker, h.source, h.status, h.started_on, h.ended_on, h.end_reason, h.home, h.work, h.flow,
               h.tags, (SELECT p.source_id FROM postings p WHERE p.id = h.posting), h.work_coarse, h.corrected, h.void FROM hires h ",
            $tail
        )
    };
}
use columns;

fn hire(row: &Row) -> Result<Hire, StoreError> {
    let corrupt = |what: &str| StoreError::Corrupt(format!("a hire's {what}"));
    Ok(Hire {
        id: HireId::new(row.uuid(0)?),
        platform: row.text(1)?.to_owned(),
        posting: posting_of(row.uuid(2)?),
        source_id: row.opt_text(13)?.map(str::to_owned),
        worker: WorkerId::new(row.uuid(3)?),
        source: row.text(4)?.to_owned(),
        status: HireStatus::parse(row.text(5)?).ok_or_else(|| corrupt("status"))?,
        started_on: row.opt_int(6)?.map(from_day_number),
        ended_on: row.opt_int(7)?.map(from_day_number),
        end_reason: row.opt_text(8)?.map(str::to_owned),
        home: super::region(row.int(9)?)?,
        work: row.opt_int(10)?.map(super::region).transpose()?,
        flow: Flow::parse(row.text(11)?).ok_or_else(|| corrupt("flow"))?,
        tags: serde_json::from_str(row.text(12)?).map_err(|_| corrupt("tags"))?,
        work_coarse: row.flag(14)?,
        corrected: row.flag(15)?,
        void: row.flag(16)?,
    })
}

/// The tags that may leave towards a platform.
pub fn shared(tags: &Tags, share: &PlatformConfig) -> Value {
    let mut all = json!(tags);
    if share.home_region == HomeDetail::Prefecture {
        all["home_region"] = json!(tags.home_region.parent().unwrap_or(tags.home_region));
    }
    if let (Some(kept), Some(map)) = (&share.share, all.as_object_mut()) {
        map.retain(|name, _| kept.contains(name) || matches!(name.as_str(), "registry_version" | "region_revision" | "rule_version"));
    }
    all
}

impl Store {
    /// Applies one slice of reports and stores how far the batch has come.
    pub async fn report_hires(
        &self,
        terms: HireTerms,
        slice: Arc<Vec<Report>>,
        progress: Option<Advance<[Reported]>>,
        now: Moment,
    ) -> Result<Vec<Reported>, StoreError> {
        let vault = self.vault.clone();
        self.write(move |tx| {
            let mut out = Vec::with_capacity(slice.len());
            for r in slice.iter() {
                out.push(report::report(tx, &vault, &terms, r, now)?);
            }
            if let Some(progress) = &progress {
                progress.write(tx, &out, now)?;
            }
            Ok(out)
        })
        .await
    }

    /// A hire by id.
    pub async fn hire(&self, id: HireId) -> Result<Option<Hire>, StoreError> {
        self.read(move |s| s.one(columns!("WHERE h.id = $1"), params![id.uuid()])?.as_ref().map(hire).transpose()).await
    }

    /// A worker's hires, oldest first.
    pub async fn worker_hires(&self, worker: WorkerId) -> Result<Vec<Hire>, StoreError> {
        self.read(move |s| {
            s.query(columns!("WHERE h.worker = $1 ORDER BY h.hired_at, h.id"), params![worker.uuid()])?.iter().map(hire).collect()
        })
        .await
    }

    /// Confirms a hire, by the worker or an office; false where it was before.
    pub async fn confirm_hire(&self, id: HireId, by: String, method: Option<String>, at: Moment, now: Moment) -> Result<bool, StoreError> {
        self.write(move |tx| facts::confirm(tx, id, &by, method.as_deref(), at, now)).await
    }
}
