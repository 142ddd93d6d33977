//! The facts of a hire, and what follows from them.

use super::super::engine::{Sql, StoreError, params};
use super::super::writer::Tx;
use super::NO_POSTING;
use crate::domain::hire::{HireStatus, StatusReport};
use crate::domain::id::{HireId, OfferId, PostingId, WorkerId};
use crate::domain::time::{Moment, day_number};
use crate::store::offers::Offer;
use jiff::civil::Date;
use serde_json::json;
use uuid::Uuid;

/// Whom a report is about: a person at one posting of a platform, or at the platform
/// itself, where only a roster tells of them.
pub(super) struct Pair {
    pub platform: String,
    pub posting: Option<PostingId>,
    pub worker: WorkerId,
    pub offer: Option<Offer>,
    /// The hire that was named, where one was.
    pub named: Option<Uuid>,
}

impl Pair {
    /// The posting as tables hold it.
    pub fn posting_key(&self) -> Uuid {
        self.posting.map_or(NO_POSTING, PostingId::uuid)
    }

    pub fn offer_id(&self) -> Option<Uuid> {
        self.offer.as_ref().map(|o| OfferId::uuid(o.id))
    }
}

/// One fact that begins or ends a hire.
pub(super) struct FactRow {
    pub seq: i64,
    pub hire: Option<Uuid>,
    pub kind: Kind,
    pub at: Moment,
    pub reason: Option<String>,
    pub work: Option<i64>,
}

/// What a fact says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Status(HireStatus),
    /// A roster's `since`: a start, and a sign of life.
    Since,
}

impl Kind {
    fn parse(code: &str) -> Option<Self> {
        if code == "SINCE" { Some(Kind::Since) } else { HireStatus::parse(code).map(Kind::Status) }
    }

    pub fn ends(self) -> bool {
        matches!(self, Kind::Status(HireStatus::Ended | HireStatus::Withdrawn))
    }

    pub fn starts(self) -> bool {
        matches!(self, Kind::Since | Kind::Status(HireStatus::Onboarded | HireStatus::Active))
    }

    /// As a status that is shown.
    pub fn status(self) -> HireStatus {
        match self {
            Kind::Status(status) => status,
            Kind::Since => HireStatus::Onboarded,
        }
    }
}

/// The facts of a pair that begin or end hires, each kind of a day in an order that
/// does not depend on when they came.
pub(super) fn of_pair(s: &mut dyn Sql, pair: &Pair) -> Result<Vec<FactRow>, StoreError> {
    let sql = "SELECT seq, hire, kind, at, reason, work FROM hire_facts WHERE platform = $1 AND posting = $2 AND worker = $3
                 AND kind IN ('HIRED', 'ONBOARDED', 'ACTIVE', 'SINCE', 'ENDED', 'WITHDRAWN') ORDER BY at, kind, month";
    let rows = s.query(sql, params![pair.platform.as_str(), pair.posting_key(), pair.worker.uuid()])?;
    rows.iter()
        .map(|r| {
            Ok(FactRow {
                seq: r.int(0)?,
                hire: r.opt_uuid(1)?,
                kind: Kind::parse(r.text(2)?).ok_or_else(|| StoreError::Corrupt("a fact's kind".to_owned()))?,
                at: Moment::from_ms(r.int(3)?),
                reason: r.opt_text(4)?.map(str::to_owned),
                work: r.opt_int(5)?,
            })
        })
        .collect()
}

/// The pair's hires that a correction took out or ended, where a roster has made another
/// since: they take part in nothing that is reported of that one.
pub(super) fn set_aside(s: &mut dyn Sql, pair: &Pair) -> Result<Vec<Uuid>, StoreError> {
    if pair.posting.is_some() {
        return Ok(Vec::new());
    }
    let sql = "SELECT id, void, end_set FROM hires WHERE platform = $1 AND posting = $2 AND worker = $3";
    let rows = s.query(sql, params![pair.platform.as_str(), pair.posting_key(), pair.worker.uuid()])?;
    let mut aside = Vec::new();
    for row in &rows {
        if row.flag(1)? || !row.is_null(2) {
            aside.push(row.uuid(0)?);
        }
    }
    if aside.len() == rows.len() {
        aside.clear();
    }
    Ok(aside)
}

/// What keeping a report came to.
pub(super) enum Kept {
    New,
    /// Known, with the hire it belongs to.
    Known(Option<Uuid>),
    /// Known, and now more is known of it.
    Completed(Option<Uuid>),
}

/// Keeps a report. Of two that differ only in what they add, what one of them lacks is
/// taken from the other, and where both have it the greater counts: whichever came
/// first.
pub(super) fn keep(tx: &mut Tx<'_>, pair: &Pair, s: &StatusReport, now: Moment) -> Result<Kept, StoreError> {
    let month = if s.status == HireStatus::Active { day_number(s.month_of_work()) } else { 0 };
    let wage = s.monthly_wage.map(|w| w.minor());
    let work = s.work_region.map(|w| i64::from(w.code()));
    let reason = s.reason.map(|r| r.code());
    let made = tx.exec(
        "INSERT INTO hire_facts (platform, posting, worker, kind, at, month, raw_status, wage, work, reason, received_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) ON CONFLICT (platform, posting, worker, kind, at, month) DO NOTHING",
        params![
            pair.platform.as_str(),
            pair.posting_key(),
            pair.worker.uuid(),
            s.status.code(),
            s.at.ms(),
            month,
            s.raw_status.as_deref(),
            wage,
            work,
            reason,
            now.ms()
        ],
    )?;
    if made == 1 {
        return Ok(Kept::New);
    }
    let sql = "SELECT seq, hire, raw_status, wage, work, reason FROM hire_facts
               WHERE platform = $1 AND posting = $2 AND worker = $3 AND kind = $4 AND at = $5 AND month = $6";
    let key = params![pair.platform.as_str(), pair.posting_key(), pair.worker.uuid(), s.status.code(), s.at.ms(), month];
    let Some(row) = tx.one(sql, key)? else { return Err(StoreError::Busy) };
    let (raw, old_wage, old_work, old_reason) = (row.opt_text(2)?, row.opt_int(3)?, row.opt_int(4)?, row.opt_text(5)?);
    // None is the least.
    let merged = (raw.max(s.raw_status.as_deref()), old_wage.max(wage), old_work.max(work), old_reason.max(reason));
    let hire = row.opt_uuid(1)?;
    if merged == (raw, old_wage, old_work, old_reason) {
        return Ok(Kept::Known(hire));
    }
    tx.exec(
        "UPDATE hire_facts SET raw_status = $2, wage = $3, work = $4, reason = $5 WHERE seq = $1",
        params![row.int(0)?, merged.0, merged.1, merged.2, merged.3],
    )?;
    if let Some(hire) = hire {
        refresh(tx, hire)?;
    }
    Ok(Kept::Completed(hire))
}

/// Derives start, end and status of a hire from its facts; what a correction set
/// stands.
pub(super) fn refresh(tx: &mut Tx<'_>, id: Uuid) -> Result<(), StoreError> {
    let facts = tx.query("SELECT kind, at, reason FROM hire_facts WHERE hire = $1 ORDER BY at, kind, month", params![id])?;
    let (mut started, mut ended) = (None::<i64>, None::<(i64, HireStatus, Option<String>)>);
    let mut status = HireStatus::Hired;
    for row in &facts {
        let day = day_number(Moment::from_ms(row.int(1)?).day());
        let Some(kind) = Kind::parse(row.text(0)?) else { continue };
        if kind.starts() {
            started = Some(started.map_or(day, |d| d.min(day)));
            if status != HireStatus::Active {
                status = kind.status();
            }
        }
        if kind.ends() && ended.is_none() {
            ended = Some((day, kind.status(), row.opt_text(2)?.map(str::to_owned)));
        }
    }
    let set = tx.one("SELECT start_set, end_fixed, end_set FROM hires WHERE id = $1", params![id])?;
    if let Some(row) = set {
        started = row.opt_int(0)?.or(started);
        if row.flag(1)? {
            let reported = ended.take();
            ended = row.opt_int(2)?.map(|day| match reported {
                Some((_, status, reason)) => (day, status, reason),
                None => (day, HireStatus::Ended, None),
            });
        }
    }
    let (ended_on, reason) = match ended {
        Some((day, over, reason)) => {
            status = over;
            (Some(day), reason)
        }
        None => (None, None),
    };
    if started.is_some() && status == HireStatus::Hired {
        status = HireStatus::Onboarded;
    }
    tx.exec(
        "UPDATE hires SET started_on = $2, ended_on = $3, end_reason = $4, status = $5 WHERE id = $1",
        params![id, started, ended_on, reason, status.code()],
    )
    .map(|_| ())
}

/// Gives what only follows a hire – a roster's line, a confirmation – to the hire that
/// was split off and had begun by then.
pub(super) fn divide(tx: &mut Tx<'_>, from: Uuid, to: Uuid, begins: Date) -> Result<(), StoreError> {
    tx.exec(
        "UPDATE hire_facts SET hire = $2 WHERE hire = $1 AND kind IN ('LISTED', 'CONFIRMED') AND at >= $3",
        params![from, to, Moment::start_of(begins).ms()],
    )
    .map(|_| ())
}

pub(super) fn confirm(tx: &mut Tx<'_>, id: HireId, by: &str, method: Option<&str>, at: Moment, now: Moment) -> Result<bool, StoreError> {
    let made = tx.exec(
        "INSERT INTO hire_facts (hire, platform, posting, worker, kind, at, method, by_whom, received_at)
         SELECT h.id, h.platform, h.posting, h.worker, 'CONFIRMED', CAST($2 AS BIGINT), CAST($3 AS TEXT), CAST($4 AS TEXT), CAST($5 AS BIGINT)
         FROM hires h WHERE h.id = $1 ON CONFLICT (platform, posting, worker, kind, at, month) DO NOTHING",
        params![id.uuid(), at.ms(), method, by, now.ms()],
    )?;
    if made == 1
        && let Some(row) = tx.one("SELECT worker FROM hires WHERE id = $1", params![id.uuid()])?
    {
        tx.books.note(row.uuid(0)?, id.uuid(), now, "hire_confirmed", json!({"at": at}));
    }
    Ok(made == 1)
}
