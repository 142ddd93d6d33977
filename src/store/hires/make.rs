//! A hire is made: tags are frozen, the platform is told.

use super::super::engine::{Row, Sql, StoreError, params};
use super::super::log::{ChangeKind, Event};
use super::super::writer::Tx;
use super::super::{offers, postings, region, seats, workers};
use super::facts::{FactRow, Pair};
use super::{HireTerms, shared};
use crate::domain::category::Category;
use crate::domain::hire::{Flow, HireStatus, Tags};
use crate::domain::id::{EventId, HireId};
use crate::domain::posting::Arrangement;
use crate::domain::region::Region;
use crate::domain::time::Moment;
use crate::domain::worker::Tier;
use serde_json::{Value, json};
use uuid::Uuid;

/// What a hire is of: what its posting says, or, without one, the person's last hire
/// at the platform.
struct Place {
    in_place: bool,
    reported: Option<Region>,
    posting: Option<Region>,
    category: Category,
}

fn place(s: &mut dyn Sql, pair: &Pair, first: &FactRow) -> Result<Place, StoreError> {
    let reported = first.work.map(region).transpose()?;
    if let Some(posting) = pair.posting {
        let Some(p) = postings::by_id(s, posting)? else {
            return Err(StoreError::Corrupt("an offer without its posting".to_owned()));
        };
        let in_place = p.content.arrangement == Arrangement::InPlace;
        return Ok(Place { in_place, reported, posting: p.content.job_location.region, category: p.content.category });
    }
    let sql = "SELECT reported_work, category FROM hires WHERE platform = $1 AND posting = $2 AND worker = $3
               ORDER BY hired_at DESC, id DESC LIMIT 1";
    let last = s.one(sql, params![pair.platform.as_str(), pair.posting_key(), pair.worker.uuid()])?;
    let of = |row: &Row| -> Result<_, StoreError> {
        let category = Category::parse(row.text(1)?).ok_or_else(|| StoreError::Corrupt("a hire's category".to_owned()))?;
        Ok((row.opt_int(0)?.map(region).transpose()?, category))
    };
    let (work, category) = last.as_ref().map(of).transpose()?.unwrap_or((None, Category::Other));
    Ok(Place { in_place: false, reported: reported.or(work), posting: None, category })
}

/// Makes the hire that begins with this fact, freezes its tags and tells the platform.
pub(super) fn make(tx: &mut Tx<'_>, terms: &HireTerms, pair: &Pair, first: &FactRow, now: Moment) -> Result<Uuid, StoreError> {
    let place = place(tx, pair, first)?;
    let day = first.at.day();
    let home = workers::home_on(tx, pair.worker, day)?.ok_or_else(|| StoreError::Corrupt("a worker without a home".to_owned()))?;
    let tier = workers::tier_on(tx, pair.worker, day)?.unwrap_or(Tier::NotLifted);
    let (flow, work_region, coarse) = Flow::of(home, place.in_place, place.reported, place.posting);
    let worker = tx.one("SELECT relocated, version FROM workers WHERE id = $1", params![pair.worker.uuid()])?;
    let (relocated, registry_version) = worker.map_or(Ok((false, 0)), |r| Ok::<_, StoreError>((r.flag(0)?, r.int(1)?)))?;
    let tags = Tags::of(home, tier, (flow, work_region), relocated, registry_version);
    let (id, status) = (tx.ids.v7(now), first.kind.status());
    let tags_text = serde_json::to_string(&tags).map_err(|e| StoreError::Statement(e.to_string()))?;
    tx.exec(
        "INSERT INTO hires (id, platform, posting, worker, offer, source, status, hired_at, home, work, work_coarse, flow, category, tags,
           created_at, updated_at, reported_work)
         VALUES ($1, $2, $3, $4, $5, 'push', $6, $7, $8, $9, $10, $11, $12, $13, $14, $14, $15)",
        params![
            id,
            pair.platform.as_str(),
            pair.posting_key(),
            pair.worker.uuid(),
            pair.offer_id(),
            status.code(),
            first.at.ms(),
            i64::from(home.code()),
            work_region.map(|r| i64::from(r.code())),
            coarse,
            flow.code(),
            place.category.code(),
            tags_text,
            now.ms(),
            place.reported.map(|r| i64::from(r.code()))
        ],
    )?;
    tx.log.change(ChangeKind::Worker, pair.worker.uuid(), 0, now);
    tell_tagged(tx, terms, pair, id, status, &tags, now)?;
    let leaf = json!({"platform": terms.platform, "status": status, "at": first.at, "tags": tags});
    tx.log.ledger(now, "hire", pair.worker.uuid(), Some(id), &leaf);
    Ok(id)
}

fn tell_tagged(
    tx: &mut Tx<'_>,
    terms: &HireTerms,
    pair: &Pair,
    id: Uuid,
    status: HireStatus,
    tags: &Tags,
    now: Moment,
) -> Result<(), StoreError> {
    let pseudonym = offers::pseudonym(tx, &terms.platform, pair.worker)?;
    let data = json!({"hire": HireId::new(id), "worker": pseudonym, "status": status, "tags": shared(tags, &terms.share)});
    tell(tx, pair, "hire.tagged", data, now)
}

/// Puts an event about a hire into its platform's list; without a posting there is no
/// sequence to count in.
pub(super) fn tell(tx: &mut Tx<'_>, pair: &Pair, kind: &'static str, data: Value, now: Moment) -> Result<(), StoreError> {
    match pair.posting {
        Some(posting) => seats::tell(tx, posting, kind, data, now),
        None => {
            tell_unposted(tx, &pair.platform, kind, data, now);
            Ok(())
        }
    }
}

pub(super) fn tell_unposted(tx: &mut Tx<'_>, platform: &str, kind: &'static str, mut data: Value, now: Moment) {
    for name in ["sequence", "posting", "source_id"] {
        data[name] = Value::Null;
    }
    let id = EventId::new(tx.ids.v7(now));
    tx.log.event(Event { id, platform: platform.to_owned(), kind, at: now, posting: None, data });
}
