//! Hires: what platforms report, in whatever order and however often, and the
//! tags frozen when the first report makes one.

use super::engine::{Row, Sql, StoreError, params};
use super::offers::{self, Offer};
use super::once::Advance;
use super::seats::{self, Beyond};
use super::writer::Tx;
use super::{Store, access, work, workers};
use crate::config::{HomeDetail, PlatformConfig};
use crate::domain::hire::{Flow, HireStatus, StatusReport, TAG_RULES, Tags, focus_of};
use crate::domain::id::{HireId, OfferId, PostingId, Pseudonym, WorkerId};
use crate::domain::offer::OfferState;
use crate::domain::posting::Arrangement;
use crate::domain::region::{REVISION, Region};
use crate::domain::time::{Moment, day_number, from_day_number};
use crate::domain::worker::Tier;
use jiff::civil::Date;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use uuid::Uuid;

/// Whom a report speaks of.
#[derive(Clone, Debug)]
pub enum Subject {
    Offer(OfferId),
    Pair { posting: PostingRef, worker: Pseudonym },
    Hire(HireId),
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
    pub posting: PostingId,
    /// The platform's own id of the posting.
    pub source_id: Option<String>,
    pub worker: WorkerId,
    pub source: String,
    pub status: HireStatus,
    pub started_on: Option<Date>,
    pub ended_on: Option<Date>,
    pub end_reason: Option<String>,
    pub home: Region,
    pub work: Option<Region>,
    pub flow: Flow,
    pub tags: Tags,
}

const HIRE: &str = "SELECT id, platform, posting, worker, source, status, started_on, ended_on, end_reason, home, work, flow, tags,
  (SELECT p.source_id FROM postings p WHERE p.id = hires.posting) FROM hires WHERE id = $1";

fn hire(row: &Row) -> Result<Hire, StoreError> {
    let corrupt = |what: &str| StoreError::Corrupt(format!("a hire's {what}"));
    Ok(Hire {
        id: HireId::new(row.uuid(0)?),
        platform: row.text(1)?.to_owned(),
        posting: PostingId::new(row.uuid(2)?),
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
    })
}

/// The posting, worker and offer that a report is about.
struct Matter {
    posting: PostingId,
    worker: WorkerId,
    offer: Offer,
}

fn resolve(tx: &mut Tx<'_>, platform: &str, subject: &Subject) -> Result<Option<Matter>, StoreError> {
    let offer = match subject {
        Subject::Offer(id) => offers::by_id(tx, *id)?,
        Subject::Pair { posting, worker } => {
            let posting = match posting {
                PostingRef::Id(id) => Some(*id),
                PostingRef::SourceId(text) => super::postings::id_of(tx, platform, text)?,
            };
            let sql = "SELECT worker FROM pseudonyms WHERE platform = $1 AND pseudonym = $2";
            let worker = tx.one(sql, params![platform, worker.uuid()])?;
            match (posting, worker) {
                (Some(p), Some(w)) => offers::of_pair(tx, p, WorkerId::new(w.uuid(0)?))?,
                _ => None,
            }
        }
        Subject::Hire(id) => match tx.one("SELECT posting, worker FROM hires WHERE id = $1", params![id.uuid()])? {
            Some(row) => offers::of_pair(tx, PostingId::new(row.uuid(0)?), WorkerId::new(row.uuid(1)?))?,
            None => None,
        },
    };
    // Nothing is reported of somebody who was erased.
    let offer = match offer.filter(|o| o.platform == platform) {
        Some(o) if offers::home_of(tx, o.worker)?.is_some() => Some(o),
        _ => None,
    };
    Ok(offer.map(|offer| Matter { posting: offer.posting, worker: offer.worker, offer }))
}

fn report(tx: &mut Tx<'_>, terms: &HireTerms, r: &Report, now: Moment) -> Result<Reported, StoreError> {
    let Some(mut m) = resolve(tx, &terms.platform, &r.subject)? else {
        let code = if matches!(r.subject, Subject::Hire(_)) { "no_hire" } else { "offer_unknown" };
        return Ok(Reported::Rejected(code));
    };
    seats::lock(tx, m.posting)?;
    // As it stands under the lock: another node may have taken an answer meanwhile.
    m.offer = offers::by_id(tx, m.offer.id)?.unwrap_or(m.offer);
    let s = &r.report;
    let month = if s.status == HireStatus::Active { day_number(s.month_of_work()) } else { 0 };
    let kept = tx.exec(
        "INSERT INTO hire_facts (platform, posting, worker, kind, at, month, raw_status, wage, work, reason, received_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) ON CONFLICT (platform, posting, worker, kind, at, month) DO NOTHING",
        params![
            terms.platform.as_str(),
            m.posting.uuid(),
            m.worker.uuid(),
            s.status.code(),
            s.at.ms(),
            month,
            s.raw_status.as_deref(),
            s.monthly_wage.map(|w| w.minor()),
            s.work_region.map(|w| i64::from(w.code())),
            s.reason.map(|r| r.code()),
            now.ms()
        ],
    )?;
    let hire = hire_at(tx, terms, &m, s.at)?;
    if kept == 0 {
        return Ok(Reported::Unchanged(hire.map(HireId::new)));
    }
    match s.status {
        HireStatus::Hired | HireStatus::Onboarded | HireStatus::Active => begin(tx, terms, &m, s, hire, now),
        HireStatus::Ended | HireStatus::Withdrawn => end(tx, terms, &m, s, hire, now),
        HireStatus::NotSelected => reject(tx, terms, &m, hire, now),
        HireStatus::UnableToMap => {
            metrics::counter!("doorstep_hires_unable_to_map_total", "platform" => terms.platform.clone()).increment(1);
            Ok(Reported::Recorded(hire.map(HireId::new)))
        }
    }
}

/// The hire of this pair to which a report of this moment belongs: the first that
/// was not over before it.
fn hire_at(s: &mut dyn Sql, terms: &HireTerms, m: &Matter, at: Moment) -> Result<Option<Uuid>, StoreError> {
    let sql = "SELECT id, ended_on FROM hires WHERE platform = $1 AND posting = $2 AND worker = $3
               ORDER BY CASE WHEN ended_on IS NULL THEN 1 ELSE 0 END, ended_on, hired_at, id";
    for row in s.query(sql, params![terms.platform.as_str(), m.posting.uuid(), m.worker.uuid()])? {
        if row.opt_int(1)?.is_none_or(|ended| day_number(at.day()) <= ended) {
            return row.uuid(0).map(Some);
        }
    }
    Ok(None)
}

fn begin(
    tx: &mut Tx<'_>,
    terms: &HireTerms,
    m: &Matter,
    s: &StatusReport,
    hire: Option<Uuid>,
    now: Moment,
) -> Result<Reported, StoreError> {
    let (id, created) = match hire {
        Some(id) => (id, false),
        None => (make(tx, terms, m, s, now)?, true),
    };
    attach(tx, terms, m, id)?;
    refresh(tx, id)?;
    if s.status != HireStatus::Hired {
        start(tx, terms, m, id, now)?;
    }
    if created {
        apply_early_end(tx, terms, m, id, now)?;
    }
    seats::settle(tx, m.posting, now, terms.promoted_within)?;
    Ok(if created { Reported::Created(HireId::new(id)) } else { Reported::Updated(HireId::new(id)) })
}

/// Makes the hire, freezes its tags, takes the seat if none was held, tells the
/// platform.
fn make(tx: &mut Tx<'_>, terms: &HireTerms, m: &Matter, s: &StatusReport, now: Moment) -> Result<Uuid, StoreError> {
    let o = &m.offer;
    let Some(p) = super::postings::by_id(tx, m.posting)? else {
        return Err(StoreError::Corrupt("an offer without its posting".to_owned()));
    };
    let day = s.at.day();
    let home = workers::home_on(tx, m.worker, day)?.ok_or_else(|| StoreError::Corrupt("a worker without a home".to_owned()))?;
    let tier = workers::tier_on(tx, m.worker, day)?.unwrap_or(Tier::NotLifted);
    let in_place = p.content.arrangement == Arrangement::InPlace;
    let (flow, work_region, coarse) = Flow::of(home, in_place, s.work_region, p.content.job_location.region);
    let worker = tx.one("SELECT relocated, version FROM workers WHERE id = $1", params![m.worker.uuid()])?;
    let (relocated, registry_version) = worker.map_or(Ok((false, 0)), |r| Ok::<_, StoreError>((r.flag(0)?, r.int(1)?)))?;
    let tags = Tags {
        registered_poor: true,
        tier_at_hire: tier,
        focus: focus_of(home),
        home_region: home,
        work_region,
        flow,
        relocated,
        registry_version,
        region_revision: REVISION.to_owned(),
        rule_version: TAG_RULES.to_owned(),
    };
    let id = tx.ids.v7(now);
    let tags_text = serde_json::to_string(&tags).map_err(|e| StoreError::Statement(e.to_string()))?;
    tx.exec(
        "INSERT INTO hires (id, platform, posting, worker, offer, source, status, hired_at, home, work, work_coarse, flow, category, tags,
           created_at, updated_at)
         VALUES ($1, $2, $3, $4, $5, 'push', $6, $7, $8, $9, $10, $11, $12, $13, $14, $14)",
        params![
            id,
            terms.platform.as_str(),
            m.posting.uuid(),
            m.worker.uuid(),
            o.id.uuid(),
            s.status.code(),
            s.at.ms(),
            i64::from(home.code()),
            work_region.map(|r| i64::from(r.code())),
            coarse,
            flow.code(),
            p.content.category.code(),
            tags_text,
            now.ms()
        ],
    )?;
    if !o.holds_seat() {
        let openings = match seats::take_anyway(tx, m.posting, home, now)? {
            Beyond::Nothing => None,
            Beyond::Posting => Some(format!("{} openings", p.seats.openings)),
            Beyond::County => Some(format!("{} openings for {}", p.content.openings_per_county.unwrap_or(0), home.full_name())),
        };
        if let Some(openings) = openings {
            let detail = format!("{}: one more was hired than {openings}", p.content.source_id);
            access::alert(tx, "over_hired", home, Some(m.worker.uuid()), Some(m.posting.uuid()), &detail, now)?;
        }
        tx.exec("UPDATE offers SET county = $2 WHERE id = $1", params![o.id.uuid(), i64::from(home.code())])?;
    }
    let sql = "UPDATE offers SET state = 'hired', waiting = NULL, accepted_at = COALESCE(accepted_at, $2), updated_at = $2 WHERE id = $1";
    tx.exec(sql, params![o.id.uuid(), now.ms()])?;
    tx.log.change(super::log::ChangeKind::Worker, m.worker.uuid(), 0, now);
    let pseudonym = offers::pseudonym(tx, &terms.platform, m.worker)?;
    let data = json!({"hire": HireId::new(id), "worker": pseudonym, "status": s.status, "tags": shared(&tags, &terms.share)});
    seats::tell(tx, m.posting, "hire.tagged", data, now)?;
    let salt = tx.ids.bytes::<16>().to_vec();
    let leaf = json!({"platform": terms.platform, "status": s.status, "at": s.at, "tags": tags});
    tx.log.ledger(now, "hire", m.worker.uuid(), Some(id), &leaf, salt);
    Ok(id)
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

/// Gives the facts of this pair that belong to no hire yet to this one.
fn attach(tx: &mut Tx<'_>, terms: &HireTerms, m: &Matter, id: Uuid) -> Result<(), StoreError> {
    let sql = "UPDATE hire_facts SET hire = $4 WHERE platform = $1 AND posting = $2 AND worker = $3 AND hire IS NULL
               AND kind IN ('HIRED', 'ONBOARDED', 'ACTIVE')";
    tx.exec(sql, params![terms.platform.as_str(), m.posting.uuid(), m.worker.uuid(), id]).map(|_| ())
}

/// Derives start, end and status of a hire from its facts.
fn refresh(tx: &mut Tx<'_>, id: Uuid) -> Result<(), StoreError> {
    let facts = tx.query("SELECT kind, at, reason FROM hire_facts WHERE hire = $1 ORDER BY at, seq", params![id])?;
    let (mut started, mut ended, mut reason, mut status) = (None::<i64>, None::<i64>, None, HireStatus::Hired);
    for row in &facts {
        let day = day_number(Moment::from_ms(row.int(1)?).day());
        match row.text(0)? {
            "ONBOARDED" | "ACTIVE" => {
                started = Some(started.map_or(day, |d| d.min(day)));
                status = if row.text(0)? == "ACTIVE" || status == HireStatus::Active { HireStatus::Active } else { HireStatus::Onboarded };
            }
            "ENDED" | "WITHDRAWN" if ended.is_none_or(|d| day < d) => {
                ended = Some(day);
                reason = row.opt_text(2)?;
                status = HireStatus::parse(row.text(0)?).unwrap_or(HireStatus::Ended);
            }
            _ => {}
        }
    }
    if ended.is_some() && !matches!(status, HireStatus::Ended | HireStatus::Withdrawn) {
        status = HireStatus::Ended;
    }
    tx.exec(
        "UPDATE hires SET started_on = $2, ended_on = $3, end_reason = $4, status = $5 WHERE id = $1",
        params![id, started, ended, reason, status.code()],
    )
    .map(|_| ())
}

/// The worker has begun: no longer looking, and what else they had accepted is
/// given back.
fn start(tx: &mut Tx<'_>, terms: &HireTerms, m: &Matter, id: Uuid, now: Moment) -> Result<(), StoreError> {
    let over = tx.one("SELECT ended_on FROM hires WHERE id = $1", params![id])?;
    if over.is_some_and(|r| !r.is_null(0)) {
        return Ok(());
    }
    tx.exec("UPDATE workers SET looking = 0, displaced_until = 0 WHERE id = $1", params![m.worker.uuid()])?;
    workers::bump(tx, m.worker.uuid(), now)?;
    for other in offers::held_by(tx, m.worker)? {
        if other.posting == m.posting {
            continue;
        }
        seats::lock(tx, other.posting)?;
        // As it stands under the lock.
        let Some(other) = offers::by_id(tx, other.id)?.filter(Offer::sits_or_waits) else { continue };
        let sql = "UPDATE offers SET state = 'declined', waiting = NULL, share_contact = 0, reason = 'hired_elsewhere', updated_at = $2 WHERE id = $1";
        tx.exec(sql, params![other.id.uuid(), now.ms()])?;
        if other.state == OfferState::Accepted {
            seats::free(tx, other.posting, other.id, now)?;
            offers::withdrawn(tx, &other, "gateway", now)?;
        }
        seats::settle(tx, other.posting, now, terms.promoted_within)?;
    }
    Ok(())
}

/// An ENDED that came before its hire is applied once the hire is there.
fn apply_early_end(tx: &mut Tx<'_>, terms: &HireTerms, m: &Matter, id: Uuid, now: Moment) -> Result<(), StoreError> {
    let hired = tx.one("SELECT hired_at FROM hires WHERE id = $1", params![id])?.map_or(Ok(0), |r| r.int(0))?;
    let sql = "SELECT seq, at, kind, reason FROM hire_facts WHERE platform = $1 AND posting = $2 AND worker = $3 AND hire IS NULL
               AND kind IN ('ENDED', 'WITHDRAWN') AND at >= $4 ORDER BY at LIMIT 1";
    let early = tx.one(sql, params![terms.platform.as_str(), m.posting.uuid(), m.worker.uuid(), hired])?;
    if let Some(row) = early {
        let status = HireStatus::parse(row.text(2)?).unwrap_or(HireStatus::Ended);
        tx.exec("UPDATE hire_facts SET hire = $2 WHERE seq = $1", params![row.int(0)?, id])?;
        refresh(tx, id)?;
        over(tx, terms, m, id, status, row.opt_text(3)?.unwrap_or("other"), Moment::from_ms(row.int(1)?), now)?;
    }
    Ok(())
}

/// Whether a hire's first report lies on a later day.
fn begins_after(s: &mut dyn Sql, hire: Uuid, at: Moment) -> Result<bool, StoreError> {
    let sql = "SELECT MIN(at) FROM hire_facts WHERE hire = $1 AND kind IN ('HIRED', 'ONBOARDED', 'ACTIVE')";
    let first = s.one(sql, params![hire])?.map_or(Ok(None), |r| r.opt_int(0))?;
    Ok(first.is_some_and(|first| Moment::from_ms(first).day() > at.day()))
}

fn end(tx: &mut Tx<'_>, terms: &HireTerms, m: &Matter, s: &StatusReport, hire: Option<Uuid>, now: Moment) -> Result<Reported, StoreError> {
    let reason = s.reason.map_or("other", |r| r.code());
    // An end before the hire's first day is that of an earlier one, not known yet.
    let hire = match hire {
        Some(id) if begins_after(tx, id, s.at)? => None,
        other => other,
    };
    let Some(id) = hire else {
        if s.status == HireStatus::Withdrawn && matches!(m.offer.state, OfferState::Accepted | OfferState::Waitlisted) {
            tx.exec(
                "UPDATE offers SET state = 'withdrawn', waiting = NULL, share_contact = 0, reason = 'platform', updated_at = $2 WHERE id = $1",
                params![m.offer.id.uuid(), now.ms()],
            )?;
            tx.to_tell.add_worker(m.worker.uuid(), now);
            if m.offer.state == OfferState::Accepted {
                seats::free(tx, m.posting, m.offer.id, now)?;
                offers::withdrawn(tx, &m.offer, "platform", now)?;
            }
            seats::settle(tx, m.posting, now, terms.promoted_within)?;
        }
        return Ok(Reported::Recorded(None));
    };
    let sql =
        "UPDATE hire_facts SET hire = $4 WHERE platform = $1 AND posting = $2 AND worker = $3 AND hire IS NULL AND kind = $5 AND at = $6";
    tx.exec(sql, params![terms.platform.as_str(), m.posting.uuid(), m.worker.uuid(), id, s.status.code(), s.at.ms()])?;
    refresh(tx, id)?;
    over(tx, terms, m, id, s.status, reason, s.at, now)?;
    seats::settle(tx, m.posting, now, terms.promoted_within)?;
    Ok(Reported::Updated(HireId::new(id)))
}

/// The hire is over: the worker looks again, a lost job puts them first, and a
/// withdrawn hire gives its seat back.
#[allow(clippy::too_many_arguments)]
fn over(
    tx: &mut Tx<'_>,
    terms: &HireTerms,
    m: &Matter,
    id: Uuid,
    status: HireStatus,
    reason: &str,
    at: Moment,
    now: Moment,
) -> Result<(), StoreError> {
    let working = tx.one(
        "SELECT 1 FROM hires WHERE worker = $1 AND id <> $2 AND started_on IS NOT NULL AND ended_on IS NULL",
        params![m.worker.uuid(), id],
    )?;
    if working.is_none() {
        let displaced = crate::domain::hire::EndReason::parse(reason).is_some_and(|r| r.displaces());
        let until = if displaced { at.plus(terms.displaced_for).ms() } else { 0 };
        tx.exec(
            "UPDATE workers SET looking = 1, displaced_until = $2 WHERE id = $1 AND erased_at IS NULL",
            params![m.worker.uuid(), until],
        )?;
        workers::bump(tx, m.worker.uuid(), now)?;
        // Who has lost a job waits for no batch.
        work::seek(tx, if until > now.ms() { work::Freed::Urgently } else { work::Freed::Somebody }, now)?;
    }
    if status == HireStatus::Withdrawn {
        let sql = "UPDATE offers SET state = 'withdrawn', share_contact = 0, reason = 'platform', updated_at = $2 WHERE id = $1 AND state = 'hired'";
        if tx.exec(sql, params![m.offer.id.uuid(), now.ms()])? == 1 {
            seats::free(tx, m.posting, m.offer.id, now)?;
        }
    }
    // The platform is told once, however many ends it reports.
    let ends = tx.one("SELECT COUNT(*) FROM hire_facts WHERE hire = $1 AND kind IN ('ENDED', 'WITHDRAWN')", params![id])?;
    if access::total(ends)? == 1 {
        let pseudonym = offers::pseudonym(tx, &terms.platform, m.worker)?;
        let data = json!({"hire": HireId::new(id), "worker": pseudonym, "reason": reason, "at": at});
        seats::tell(tx, m.posting, "hire.ended", data, now)?;
    }
    let salt = tx.ids.bytes::<16>().to_vec();
    let leaf = json!({"status": status, "at": at, "reason": reason});
    tx.log.ledger(now, "hire_ended", m.worker.uuid(), Some(id), &leaf, salt);
    Ok(())
}

fn reject(tx: &mut Tx<'_>, terms: &HireTerms, m: &Matter, hire: Option<Uuid>, now: Moment) -> Result<Reported, StoreError> {
    let o = &m.offer;
    if hire.is_none() && !matches!(o.state, OfferState::Declined | OfferState::Expired | OfferState::Withdrawn | OfferState::NotSelected) {
        let sql = "UPDATE offers SET state = 'not_selected', waiting = NULL, share_contact = 0, updated_at = $2 WHERE id = $1";
        tx.exec(sql, params![o.id.uuid(), now.ms()])?;
        tx.to_tell.add_worker(m.worker.uuid(), now);
        if o.holds_seat() {
            seats::free(tx, m.posting, o.id, now)?;
        }
        tx.log.change(super::log::ChangeKind::Worker, m.worker.uuid(), 0, now);
        seats::settle(tx, m.posting, now, terms.promoted_within)?;
    }
    Ok(Reported::Recorded(hire.map(HireId::new)))
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
        self.write(move |tx| {
            let mut out = Vec::with_capacity(slice.len());
            for r in slice.iter() {
                out.push(report(tx, &terms, r, now)?);
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
        self.read(move |s| s.one(HIRE, params![id.uuid()])?.as_ref().map(hire).transpose()).await
    }

    /// A worker's hires, oldest first.
    pub async fn worker_hires(&self, worker: WorkerId) -> Result<Vec<Hire>, StoreError> {
        self.read(move |s| {
            let mut out = Vec::new();
            for row in s.query("SELECT id FROM hires WHERE worker = $1 ORDER BY hired_at, id", params![worker.uuid()])? {
                out.extend(s.one(HIRE, params![row.uuid(0)?])?.as_ref().map(hire).transpose()?);
            }
            Ok(out)
        })
        .await
    }

    /// Confirms a hire, by the worker or an office; false where it was before.
    pub async fn confirm_hire(&self, id: HireId, by: String, method: Option<String>, at: Moment, now: Moment) -> Result<bool, StoreError> {
        self.write(move |tx| {
            let made = tx.exec(
                "INSERT INTO hire_facts (hire, platform, posting, worker, kind, at, method, by_whom, received_at)
                 SELECT h.id, h.platform, h.posting, h.worker, 'CONFIRMED', CAST($2 AS BIGINT), CAST($3 AS TEXT), CAST($4 AS TEXT), CAST($5 AS BIGINT)
                 FROM hires h WHERE h.id = $1 ON CONFLICT (platform, posting, worker, kind, at, month) DO NOTHING",
                params![id.uuid(), at.ms(), method.as_deref(), by.as_str(), now.ms()],
            )?;
            if made == 1
                && let Some(row) = tx.one("SELECT worker FROM hires WHERE id = $1", params![id.uuid()])?
            {
                let salt = tx.ids.bytes::<16>().to_vec();
                tx.log.ledger(now, "hire_confirmed", row.uuid(0)?, Some(id.uuid()), &json!({"at": at}), salt);
            }
            Ok(made == 1)
        })
        .await
    }
}
