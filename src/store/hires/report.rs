//! Reports of platforms, one after the other. Whatever comes, the hires of a person at
//! a posting are cut anew from all that is known of the two.

use super::super::access::{self, Raised};
use super::super::engine::{Row, Sql, StoreError, params};
use super::super::log::ChangeKind;
use super::super::offers::{self, Offer};
use super::super::seats::{self, Beyond};
use super::super::vault::Vault;
use super::super::writer::Tx;
use super::super::{postings, work, workers};
use super::facts::{self, FactRow, Kept, Kind, Pair};
use super::{HireTerms, PostingRef, Report, Reported, Subject, make, posting_of};
use crate::domain::alert::Facts;
use crate::domain::cells::Offered;
use crate::domain::hire::{EndReason, HireStatus, StatusReport};
use crate::domain::id::{HireId, PostingId, WorkerId};
use crate::domain::offer::{OfferEvent, OfferState};
use crate::domain::spells::spells;
use crate::domain::time::{Moment, day_number};
use serde_json::json;
use std::collections::{BTreeSet, HashSet};
use uuid::Uuid;

/// Whom a subject names; none where the platform may not speak of them.
fn resolve(s: &mut Tx<'_>, vault: &Vault, platform: &str, subject: &Subject) -> Result<Option<Pair>, StoreError> {
    let pair = |posting, worker| Pair { platform: platform.to_owned(), posting, worker, offer: None, named: None };
    let mut found = match subject {
        Subject::Offer(id) => offers::by_id(s, *id)?.filter(|o| o.platform == platform).map(|o| pair(Some(o.posting), o.worker)),
        Subject::Pair { posting, worker } => {
            let posting = match posting {
                PostingRef::Id(id) => Some(*id),
                PostingRef::SourceId(text) => postings::id_of(s, platform, text)?,
            };
            // One that was made up names nobody; below is asked whether there is
            // somebody, and whether the platform has an offer of theirs.
            let worker = s.names.worker(s, platform, *worker)?;
            posting.zip(worker).map(|(posting, worker)| pair(Some(posting), worker))
        }
        Subject::Hire(id) => {
            let row = s.one("SELECT posting, worker FROM hires WHERE id = $1 AND platform = $2", params![id.uuid(), platform])?;
            let named =
                |r: &Row| Ok::<_, StoreError>(Pair { named: Some(id.uuid()), ..pair(posting_of(r.uuid(0)?), WorkerId::new(r.uuid(1)?)) });
            row.as_ref().map(named).transpose()?
        }
        Subject::Roster(id) => {
            let mac = vault.platform_worker(platform, id);
            let sql = "SELECT posting, worker FROM platform_workers WHERE platform = $1 AND mac = $2";
            let row = s.one(sql, params![platform, mac.as_slice()])?;
            row.map(|r| Ok::<_, StoreError>(pair(posting_of(r.uuid(0)?), WorkerId::new(r.uuid(1)?)))).transpose()?
        }
    };
    if let Some(pair) = &mut found {
        // Nothing is reported of somebody who was erased.
        if offers::home_of(s, pair.worker)?.is_none() {
            return Ok(None);
        }
        if let Some(posting) = pair.posting {
            let offer = offers::of_pair(s, posting, pair.worker)?.filter(|o| o.platform == platform);
            if offer.is_none() {
                return Ok(None);
            }
            pair.offer = offer;
        }
    }
    Ok(found)
}

/// Locks what a pair's hires depend on, posting first, and reads the offer as it stands
/// then: another node may have taken an answer meanwhile.
pub(super) fn lock(tx: &mut Tx<'_>, pair: &mut Pair) -> Result<(), StoreError> {
    if let Some(posting) = pair.posting {
        seats::lock(tx, posting)?;
    }
    tx.one("SELECT 1 FROM workers WHERE id = $1 {for_update}", params![pair.worker.uuid()])?;
    if let Some(offer) = &pair.offer {
        pair.offer = offers::by_id(tx, offer.id)?;
    }
    Ok(())
}

pub(super) fn report(tx: &mut Tx<'_>, vault: &Vault, terms: &HireTerms, r: &Report, now: Moment) -> Result<Reported, StoreError> {
    let Some(mut pair) = resolve(tx, vault, &terms.platform, &r.subject)? else {
        let code = if matches!(r.subject, Subject::Hire(_) | Subject::Roster(_)) { "no_hire" } else { "offer_unknown" };
        return Ok(Reported::Rejected(code));
    };
    lock(tx, &mut pair)?;
    let s = &r.report;
    match facts::keep(tx, &pair, s, now)? {
        Kept::Known(hire) => return Ok(Reported::Unchanged(hire.map(HireId::new))),
        Kept::Completed(Some(hire)) => {
            tx.books.touch(pair.worker.uuid(), now);
            return Ok(Reported::Updated(HireId::new(hire)));
        }
        Kept::Completed(None) => return Ok(Reported::Recorded(None)),
        Kept::New => {}
    }
    match s.status {
        HireStatus::NotSelected => reject(tx, terms, &pair, now),
        HireStatus::UnableToMap => {
            metrics::counter!("doorstep_hires_unable_to_map_total", "platform" => terms.platform.clone()).increment(1);
            Ok(Reported::Recorded(at_work(tx, &pair, s.at)?.map(HireId::new)))
        }
        _ => {
            tx.books.touch(pair.worker.uuid(), now);
            cut(tx, terms, &mut pair, s, now)
        }
    }
}

/// The hire of this pair during which something happened: the first not over before.
fn at_work(s: &mut dyn Sql, pair: &Pair, at: Moment) -> Result<Option<Uuid>, StoreError> {
    let sql = "SELECT id FROM hires WHERE platform = $1 AND posting = $2 AND worker = $3 AND (ended_on IS NULL OR ended_on >= $4)
               ORDER BY CASE WHEN ended_on IS NULL THEN 1 ELSE 0 END, ended_on, hired_at, id LIMIT 1";
    let key = params![pair.platform.as_str(), pair.posting_key(), pair.worker.uuid(), day_number(at.day())];
    s.one(sql, key)?.map(|r| r.uuid(0)).transpose()
}

/// Cuts the facts of the pair into hires, makes those that are missing, and draws the
/// consequences of what changed.
fn cut(tx: &mut Tx<'_>, terms: &HireTerms, pair: &mut Pair, s: &StatusReport, now: Moment) -> Result<Reported, StoreError> {
    let mut rows = facts::of_pair(tx, pair)?;
    let aside = facts::set_aside(tx, pair)?;
    if let Some(named) = pair.named.filter(|named| aside.contains(named)) {
        // What a correction set stands; what is reported of it is kept beside that.
        for row in rows.iter().filter(|r| r.hire.is_none() && r.kind == Kind::Status(s.status) && r.at == s.at) {
            tx.exec("UPDATE hire_facts SET hire = $2 WHERE seq = $1", params![row.seq, named])?;
        }
        facts::refresh(tx, named)?;
        return Ok(Reported::Updated(HireId::new(named)));
    }
    rows.retain(|r| r.hire.is_none_or(|hire| !aside.contains(&hire)));
    let of = spells(&rows.iter().map(|r| (r.kind.ends(), day_number(r.at.day()))).collect::<Vec<_>>());
    let (mut used, mut lost, mut answer) = (HashSet::new(), BTreeSet::new(), Reported::Recorded(None));
    let mut withdrawn = None;
    for n in 0..of.iter().flatten().max().map_or(0, |last| last + 1) {
        let own: Vec<&FactRow> = rows.iter().zip(&of).filter(|(_, spell)| **spell == Some(n)).map(|(row, _)| row).collect();
        withdrawn = Some(own.iter().any(|r| r.kind == Kind::Status(HireStatus::Withdrawn)));
        let Some(first) = own.iter().find(|r| !r.kind.ends()) else { continue };
        let before: Vec<Uuid> = own.iter().filter(|r| !r.kind.ends()).filter_map(|r| r.hire).collect();
        let known = before.iter().filter(|id| !used.contains(*id)).min().copied();
        let id = match known {
            Some(id) => id,
            None => make::make(tx, terms, pair, first, now)?,
        };
        used.insert(id);
        let mut moved = false;
        for row in own.iter().filter(|r| r.hire != Some(id)) {
            tx.exec("UPDATE hire_facts SET hire = $2 WHERE seq = $1", params![row.seq, id])?;
            lost.extend(row.hire);
            moved = true;
        }
        if known.is_none()
            && let Some(from) = before.first()
        {
            facts::divide(tx, *from, id, first.at.day())?;
            facts::refresh(tx, *from)?;
        }
        if moved {
            facts::refresh(tx, id)?;
            let told = rows.iter().any(|r| r.kind.ends() && r.hire == Some(id));
            follow(tx, terms, pair, id, &own, told, now)?;
        }
        if own.iter().any(|r| r.kind == Kind::Status(s.status) && r.at == s.at) {
            answer = if known.is_none() { Reported::Created(HireId::new(id)) } else { Reported::Updated(HireId::new(id)) };
        }
    }
    // A hire may be left with fewer facts, or with none.
    for id in lost {
        facts::refresh(tx, id)?;
    }
    match withdrawn {
        Some(withdrawn) => seat(tx, pair, withdrawn, now)?,
        None if s.status == HireStatus::Withdrawn => withdraw(tx, pair, now)?,
        None => {}
    }
    if let Some(posting) = pair.posting {
        seats::settle(tx, posting, now, terms.promoted_within)?;
    }
    if let Reported::Updated(id) = answer
        && !matches!(s.status, HireStatus::Ended | HireStatus::Withdrawn)
    {
        let leaf = json!({"status": s.status, "at": s.at, "month": s.month});
        tx.books.note(pair.worker.uuid(), id.uuid(), now, "hire_reported", leaf);
    }
    Ok(answer)
}

/// What follows from a hire's facts for the person: who works looks no further, whose
/// hire is over looks again.
fn follow(tx: &mut Tx<'_>, terms: &HireTerms, pair: &Pair, id: Uuid, own: &[&FactRow], told: bool, now: Moment) -> Result<(), StoreError> {
    let row = tx.one("SELECT started_on, ended_on, void FROM hires WHERE id = $1", params![id])?;
    let Some(row) = row.filter(|r| !matches!(r.flag(2), Ok(true))) else { return Ok(()) };
    let ends: Vec<&&FactRow> = own.iter().filter(|r| r.kind.ends()).collect();
    // What came now is not the hire's yet in the rows that were read.
    let fresh = ends.iter().any(|r| r.hire != Some(id));
    if fresh && let Some(end) = ends.first() {
        return over(tx, terms, pair, id, end, told, now);
    }
    if !row.is_null(0) && row.is_null(1) {
        let began = own.iter().any(|r| r.hire == Some(id) && r.kind.starts());
        work_on(tx, pair, now)?;
        if !began {
            give_back(tx, terms, pair, now)?;
        }
    }
    Ok(())
}

/// Who works looks no further.
fn work_on(tx: &mut Tx<'_>, pair: &Pair, now: Moment) -> Result<(), StoreError> {
    tx.exec("UPDATE workers SET looking = 0, displaced_until = 0 WHERE id = $1", params![pair.worker.uuid()])?;
    workers::bump(tx, pair.worker.uuid(), now)
}

/// The worker has begun: what else they had accepted is given back. What they accept
/// later is a change of work, which no month's report of the old one undoes.
fn give_back(tx: &mut Tx<'_>, terms: &HireTerms, pair: &Pair, now: Moment) -> Result<(), StoreError> {
    for other in offers::held_by(tx, pair.worker)? {
        if Some(other.posting) == pair.posting {
            continue;
        }
        seats::lock(tx, other.posting)?;
        // As it stands under the lock.
        let Some(other) = offers::by_id(tx, other.id)?.filter(Offer::sits_or_waits) else { continue };
        let sql = "UPDATE offers SET state = 'declined', closed = 1, waiting = NULL, share_contact = 0, reason = 'hired_elsewhere', updated_at = $2 WHERE id = $1";
        tx.exec(sql, params![other.id.uuid(), now.ms()])?;
        if other.state == OfferState::Accepted {
            seats::free(tx, other.posting, other.id, now)?;
            offers::withdrawn(tx, &other, "gateway", now)?;
        }
        seats::settle(tx, other.posting, now, terms.promoted_within)?;
    }
    Ok(())
}

/// The hire is over: the worker looks again, and a lost job puts them first. The
/// platform is told once, however many ends it reports.
fn over(tx: &mut Tx<'_>, terms: &HireTerms, pair: &Pair, id: Uuid, end: &FactRow, told: bool, now: Moment) -> Result<(), StoreError> {
    let reason = end.reason.as_deref().unwrap_or("other");
    let displaced = EndReason::parse(reason).is_some_and(|r| r.displaces());
    let until = if displaced { end.at.plus(terms.displaced_for).ms() } else { 0 };
    free(tx, pair.worker, id, until, now)?;
    if !told {
        let pseudonym = offers::pseudonym(tx, &terms.platform, pair.worker)?;
        let data = json!({"hire": HireId::new(id), "worker": pseudonym, "reason": reason, "at": end.at});
        make::tell(tx, pair, "hire.ended", data, now)?;
    }
    let leaf = json!({"status": end.kind.status(), "at": end.at, "reason": reason});
    tx.books.note(pair.worker.uuid(), id, now, "hire_ended", leaf);
    Ok(())
}

/// Somebody who works in no other hire looks for work again, before others until then.
pub(super) fn free(tx: &mut Tx<'_>, worker: WorkerId, hire: Uuid, until: i64, now: Moment) -> Result<(), StoreError> {
    let sql = "SELECT 1 FROM hires WHERE worker = $1 AND id <> $2 AND started_on IS NOT NULL AND ended_on IS NULL AND void = 0";
    if tx.one(sql, params![worker.uuid(), hire])?.is_some() {
        return Ok(());
    }
    let sql = "UPDATE workers SET looking = 1, displaced_until = $2 WHERE id = $1 AND erased_at IS NULL";
    tx.exec(sql, params![worker.uuid(), until])?;
    workers::bump(tx, worker.uuid(), now)?;
    // Who has lost a job waits for no batch.
    work::seek(tx, if until > now.ms() { work::Freed::Urgently } else { work::Freed::Somebody }, now)
}

/// The last hire of the pair has the seat, unless it was withdrawn. HIRED for an offer
/// not yet accepted is an accept, and without a seat left it is one more all the same.
fn seat(tx: &mut Tx<'_>, pair: &Pair, withdrawn: bool, now: Moment) -> Result<(), StoreError> {
    let (Some(posting), Some(o)) = (pair.posting, &pair.offer) else { return Ok(()) };
    if withdrawn {
        let sql = "UPDATE offers SET state = 'withdrawn', closed = 1, waiting = NULL, share_contact = 0, reason = 'platform', updated_at = $2 WHERE id = $1";
        if o.state != OfferState::Withdrawn {
            tx.exec(sql, params![o.id.uuid(), now.ms()])?;
        }
        return if o.holds_seat() { seats::free(tx, posting, o.id, now) } else { Ok(()) };
    }
    if o.state == OfferState::Hired {
        return Ok(());
    }
    if !o.holds_seat() {
        take(tx, pair, posting, o, now)?;
    }
    let sql = "UPDATE offers SET state = 'hired', closed = 1, waiting = NULL, accepted_at = COALESCE(accepted_at, $2), updated_at = $2 WHERE id = $1";
    tx.exec(sql, params![o.id.uuid(), now.ms()]).map(|_| ())
}

fn take(tx: &mut Tx<'_>, pair: &Pair, posting: PostingId, o: &Offer, now: Moment) -> Result<(), StoreError> {
    let Some(home) = offers::home_of(tx, pair.worker)? else { return Ok(()) };
    let Some(p) = postings::by_id(tx, posting)? else { return Ok(()) };
    let beyond = match seats::take_anyway(tx, posting, home, now)? {
        Beyond::Nothing => None,
        Beyond::Posting => Some((p.seats.openings, None)),
        Beyond::County => Some((p.content.openings_per_county.unwrap_or(0), Some(home.to_string()))),
    };
    if let Some((openings, county)) = beyond {
        let facts = Facts::OverHired { source_id: p.content.source_id.clone(), openings, county };
        access::alert(tx, &facts, home, Raised { worker: Some(pair.worker.uuid()), posting: Some(posting.uuid()), words: "" }, now)?;
    }
    tx.books.offer(home, &pair.platform, p.content.category as u8, Offered::Accepted, now);
    tx.exec("UPDATE offers SET county = $2 WHERE id = $1", params![o.id.uuid(), i64::from(home.code())]).map(|_| ())
}

/// WITHDRAWN of somebody who has not been hired yet.
fn withdraw(tx: &mut Tx<'_>, pair: &Pair, now: Moment) -> Result<(), StoreError> {
    let Some(o) = pair.offer.as_ref().filter(|o| o.sits_or_waits()) else { return Ok(()) };
    tx.exec(
        "UPDATE offers SET state = 'withdrawn', closed = 1, waiting = NULL, share_contact = 0, reason = 'platform', updated_at = $2 WHERE id = $1",
        params![o.id.uuid(), now.ms()],
    )?;
    tx.to_tell.add_worker(pair.worker.uuid(), now);
    if o.state == OfferState::Accepted {
        seats::free(tx, o.posting, o.id, now)?;
        offers::withdrawn(tx, o, "platform", now)?;
    }
    Ok(())
}

fn reject(tx: &mut Tx<'_>, terms: &HireTerms, pair: &Pair, now: Moment) -> Result<Reported, StoreError> {
    let sql = "SELECT id FROM hires WHERE platform = $1 AND posting = $2 AND worker = $3 ORDER BY hired_at DESC, id DESC LIMIT 1";
    let hire = tx.one(sql, params![pair.platform.as_str(), pair.posting_key(), pair.worker.uuid()])?.map(|r| r.uuid(0)).transpose()?;
    let unsettled = |o: &&Offer| hire.is_none() && o.state != OfferState::NotSelected && o.state.next(OfferEvent::Reject).is_ok();
    if let Some(o) = pair.offer.as_ref().filter(unsettled) {
        let sql = "UPDATE offers SET state = 'not_selected', closed = 1, waiting = NULL, share_contact = 0, updated_at = $2 WHERE id = $1";
        tx.exec(sql, params![o.id.uuid(), now.ms()])?;
        tx.to_tell.add_worker(pair.worker.uuid(), now);
        if o.holds_seat() {
            seats::free(tx, o.posting, o.id, now)?;
        }
        tx.log.change(ChangeKind::Worker, pair.worker.uuid(), 0, now);
        seats::settle(tx, o.posting, now, terms.promoted_within)?;
    }
    Ok(Reported::Recorded(hire.map(HireId::new)))
}
