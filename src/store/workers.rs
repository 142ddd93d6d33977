//! Registered workers: one file for each person, whoever registered them.

use super::engine::bulk::Bulk;
use super::engine::{Row, Sql, StoreError, Val, params};
use super::log::ChangeKind;
use super::vault::{Place, Vault};
use super::writer::Tx;
use super::{Store, access, offers, seats, work};
use crate::domain::id::{OfferId, PostingId, WorkerId};
use crate::domain::offer::OfferState;
use crate::domain::person::{IdNumber, PersonName, Phone};
use crate::domain::region::Region;
use crate::domain::time::{Moment, day_number, from_day_number};
use crate::domain::worker::{Destinations, Seeker, Tier, Wishes};
use jiff::civil::Date;
use serde_json::{Value, json};
use std::time::Duration;
use uuid::Uuid;

/// A worker as offices and the worker see them: masked.
#[derive(Clone, Debug)]
pub struct WorkerFile {
    pub id: WorkerId,
    pub name_masked: String,
    pub phone_masked: String,
    pub id_masked: String,
    pub seeker: Seeker,
    pub relocated: bool,
    pub consent_on: Option<Date>,
    pub registered_at: Moment,
    pub version: i64,
}

/// Workers in whom a routing index may be wrong.
#[derive(Clone, Debug, Default)]
pub struct Stale {
    pub ids: Vec<Uuid>,
    pub handles: Vec<u32>,
    /// Who was offered a posting in a wave.
    pub waves: Vec<(Uuid, i64)>,
}

/// Workers read at once for a fresh index.
const PAGE: i64 = 10_000;

/// The columns that [`seeker`] reads.
macro_rules! seeking {
    () => {
        "SELECT w.handle, w.home, w.birth, w.tier, w.consent_on, w.paused, w.looking, w.categories, w.destinations, w.in_place_only,
           w.min_monthly_pay, w.require_stated_pay, w.skills, w.seeking_since, w.cooling_until, w.displaced_until,
           (SELECT COUNT(*) FROM offers o CROSS JOIN postings p
            WHERE o.handle = w.handle AND o.closed = 0 AND o.state IN ('offered', 'seen') AND p.id = o.posting AND p.status <> 'filled')"
    };
}

/// Those, then the columns of [`file`].
macro_rules! columns {
    ($tail:literal) => {
        concat!(
            $crate::store::workers::seeking!(),
            ", w.id, w.name_sealed, w.phone_sealed, w.id_sealed, w.relocated, w.registered_at, w.version FROM workers w ",
            $tail
        )
    };
}

pub(super) use {columns, seeking};

pub(super) fn tier(text: &str) -> Result<Tier, StoreError> {
    Tier::parse(text).ok_or_else(|| StoreError::Corrupt("a worker's tier".to_owned()))
}

fn destinations(text: &str) -> Result<Destinations, StoreError> {
    let mut out = Destinations::default();
    for part in text.split('|').filter(|p| !p.is_empty()) {
        match part {
            "*" => out.any = true,
            code => out.provinces.push(Region::parse(code).ok_or_else(|| StoreError::Corrupt("a worker's destination".to_owned()))?),
        }
    }
    Ok(out)
}

pub(super) fn destinations_text(d: &Destinations) -> String {
    let codes = d.provinces.iter().map(|p| p.to_string());
    d.any.then(|| "*".to_owned()).into_iter().chain(codes).collect::<Vec<_>>().join("|")
}

pub(super) fn seeker(row: &Row) -> Result<Seeker, StoreError> {
    Ok(Seeker {
        handle: row.count(0)?,
        home: super::region(row.int(1)?)?,
        birth: from_day_number(row.int(2)?),
        tier: tier(row.text(3)?)?,
        consent: !row.is_null(4),
        paused: row.flag(5)?,
        looking: row.flag(6)?,
        categories: row.count(7)?,
        destinations: destinations(row.text(8)?)?,
        in_place_only: row.flag(9)?,
        min_monthly_pay: row.count(10)?,
        require_stated_pay: row.flag(11)?,
        skills: row.int(12)? as u64,
        seeking_since: from_day_number(row.int(13)?),
        cooling_until: row.int(14)?,
        displaced_until: row.int(15)?,
        open_offers: row.count(16)?,
    })
}

pub(super) fn place(row: Uuid, column: &'static str) -> Place<'static> {
    Place { table: "workers", row, column }
}

pub(super) fn open(vault: &Vault, row: &Row, at: usize, id: Uuid, column: &'static str) -> Result<Option<String>, StoreError> {
    row.opt_blob(at)?.map(|sealed| vault.open(place(id, column), sealed)).transpose()
}

pub(super) fn file(vault: &Vault, row: &Row) -> Result<WorkerFile, StoreError> {
    let id = row.uuid(17)?;
    let name = open(vault, row, 18, id, "name")?.map(PersonName::from_sealed);
    let phone = open(vault, row, 19, id, "phone")?.map(Phone::from_sealed);
    let number = open(vault, row, 20, id, "id_number")?.map(IdNumber::from_sealed);
    Ok(WorkerFile {
        id: WorkerId::new(id),
        name_masked: name.map(|n| n.masked()).unwrap_or_default(),
        phone_masked: phone.map(|p| p.masked()).unwrap_or_default(),
        id_masked: number.map(|n| n.masked()).unwrap_or_default(),
        seeker: seeker(row)?,
        relocated: row.flag(21)?,
        consent_on: row.opt_int(4)?.map(from_day_number),
        registered_at: Moment::from_ms(row.int(22)?),
        version: row.int(23)?,
    })
}

/// A worker's file, masked, unless erased.
pub(super) fn file_of(s: &mut dyn Sql, vault: &Vault, id: WorkerId) -> Result<Option<WorkerFile>, StoreError> {
    let row = s.one(columns!("WHERE w.id = $1 AND w.erased_at IS NULL"), params![id.uuid()])?;
    row.as_ref().map(|r| file(vault, r)).transpose()
}

/// One column's new value, if it is given and differs.
pub(super) fn changed(row: &Row, at: usize, new: Option<Val>) -> Option<Val> {
    new.filter(|v| row.0.get(at) != Some(v))
}

/// Sets what is given of a worker's wishes; true if anything differed.
pub(super) fn set_wishes(tx: &mut Tx<'_>, id: Uuid, row: &Row, w: &Wishes) -> Result<bool, StoreError> {
    let changes: [(&'static str, Option<Val>); 8] = [
        ("UPDATE workers SET categories = $2 WHERE id = $1", changed(row, 7, w.categories.map(Val::from))),
        (
            "UPDATE workers SET destinations = $2 WHERE id = $1",
            changed(row, 8, w.destinations.as_ref().map(|d| destinations_text(d).into())),
        ),
        ("UPDATE workers SET in_place_only = $2 WHERE id = $1", changed(row, 9, w.in_place_only.map(Val::from))),
        ("UPDATE workers SET min_monthly_pay = $2 WHERE id = $1", changed(row, 10, w.min_monthly_pay.map(Val::from))),
        ("UPDATE workers SET require_stated_pay = $2 WHERE id = $1", changed(row, 11, w.require_stated_pay.map(Val::from))),
        ("UPDATE workers SET skills = $2 WHERE id = $1", changed(row, 12, w.skills.map(|m| Val::from(m as i64)))),
        ("UPDATE workers SET paused = $2 WHERE id = $1", changed(row, 5, w.paused.map(Val::from))),
        ("UPDATE workers SET looking = $2 WHERE id = $1", changed(row, 6, w.looking.map(Val::from))),
    ];
    let mut touched = false;
    for (sql, value) in changes {
        if let Some(value) = value {
            tx.exec(sql, &[Val::from(id), value])?;
            touched = true;
        }
    }
    Ok(touched)
}

/// Counts a change of a worker and tells the routing index.
pub(super) fn bump(tx: &mut Tx<'_>, id: Uuid, now: Moment) -> Result<(), StoreError> {
    let row = tx.one("UPDATE workers SET version = version + 1, updated_at = $2 WHERE id = $1 RETURNING version", params![id, now.ms()])?;
    let version = row.map_or(Ok(0), |r| r.int(0))?;
    tx.log.change(ChangeKind::Worker, id, version, now);
    Ok(())
}

/// The tier or home in force on a day: the latest that began by then, else the
/// first known.
pub(super) fn tier_on(s: &mut dyn Sql, worker: WorkerId, day: Date) -> Result<Option<Tier>, StoreError> {
    let sql = "SELECT tier FROM tiers WHERE worker = (SELECT handle FROM workers WHERE id = $1)
               ORDER BY CASE WHEN since <= $2 THEN 0 ELSE 1 END, CASE WHEN since <= $2 THEN -since ELSE since END, recorded_at DESC LIMIT 1";
    s.one(sql, params![worker.uuid(), day_number(day)])?.map(|r| tier(r.text(0)?)).transpose()
}

/// See [`tier_on`].
pub(super) fn home_on(s: &mut dyn Sql, worker: WorkerId, day: Date) -> Result<Option<Region>, StoreError> {
    let sql = "SELECT region FROM homes WHERE worker = (SELECT handle FROM workers WHERE id = $1)
               ORDER BY CASE WHEN since <= $2 THEN 0 ELSE 1 END, CASE WHEN since <= $2 THEN -since ELSE since END, recorded_at DESC LIMIT 1";
    s.one(sql, params![worker.uuid(), day_number(day)])?.map(|r| super::region(r.int(0)?)).transpose()
}

/// Takes away what stands of a person beside their row: whom it leads to, and free text
/// that somebody may have written a name into.
const FORGET: [&str; 12] = [
    "UPDATE offers SET reason = NULL WHERE handle = (SELECT handle FROM workers WHERE id = $1) AND state = 'declined'",
    "UPDATE hire_facts SET raw_status = NULL WHERE hire IN (SELECT id FROM hires WHERE worker = $1)",
    "UPDATE hire_facts SET raw_status = NULL WHERE worker = $1 AND hire IS NULL",
    "UPDATE access_log SET reason = '' WHERE worker = $1",
    "UPDATE alerts SET worker = NULL, detail = CASE WHEN kind = 'complaint' THEN '' ELSE detail END WHERE worker = $1",
    "UPDATE corrections SET reason = '' WHERE worker = $1",
    "DELETE FROM platform_workers WHERE worker = $1",
    "DELETE FROM links WHERE worker = $1",
    "DELETE FROM replies WHERE phone_mac IN (SELECT phone_mac FROM reply_codes WHERE handle = (SELECT handle FROM workers WHERE id = $1))",
    "DELETE FROM reply_codes WHERE handle = (SELECT handle FROM workers WHERE id = $1)",
    "DELETE FROM message_attempts WHERE handle = (SELECT handle FROM workers WHERE id = $1)",
    "DELETE FROM notices WHERE handle = (SELECT handle FROM workers WHERE id = $1)",
];

fn erase(tx: &mut Tx<'_>, id: WorkerId, promoted_within: Duration, now: Moment) -> Result<bool, StoreError> {
    let sql = "UPDATE workers SET blind = NULL, blind_next = NULL, id_sealed = NULL, name_sealed = NULL, phone_sealed = NULL, birth = 0,
               consent_on = NULL, looking = 0, erased_at = $2 WHERE id = $1 AND erased_at IS NULL";
    if tx.exec(sql, params![id.uuid(), now.ms()])? == 0 {
        return Ok(false);
    }
    let open = tx.query(
        "SELECT id, posting FROM offers WHERE handle = (SELECT handle FROM workers WHERE id = $1) AND closed = 0 ORDER BY posting",
        params![id.uuid()],
    )?;
    let mut postings: Vec<PostingId> = Vec::new();
    for row in &open {
        seats::lock(tx, PostingId::new(row.uuid(1)?))?;
        let offer = offers::by_id(tx, OfferId::new(row.uuid(0)?))?;
        let Some(offer) = offer.filter(|o| o.state.unanswered() || o.sits_or_waits()) else { continue };
        tx.exec(
            "UPDATE offers SET state = 'withdrawn', closed = 1, waiting = NULL, share_contact = 0, reason = 'consent_withdrawn', updated_at = $2 WHERE id = $1",
            params![offer.id.uuid(), now.ms()],
        )?;
        if offer.holds_seat() {
            seats::free(tx, offer.posting, offer.id, now)?;
        }
        if offer.state == OfferState::Accepted {
            offers::withdrawn(tx, &offer, "worker", now)?;
        }
        postings.push(offer.posting);
    }
    for posting in postings {
        seats::settle(tx, posting, now, promoted_within)?;
    }
    for sql in FORGET {
        tx.exec(sql, params![id.uuid()])?;
    }
    // The commitment in the entry that registered them opens to nothing any more.
    tx.exec("UPDATE ledger SET salt = NULL WHERE worker = $1 AND salt IS NOT NULL", params![id.uuid()])?;
    tx.log.ledger(now, "erased", id.uuid(), None, &json!({"on": now.day()}));
    tx.books.touch(id.uuid(), now);
    bump(tx, id.uuid(), now)?;
    Ok(true)
}

impl Store {
    /// A worker's file, masked, unless erased.
    pub async fn worker(&self, id: WorkerId) -> Result<Option<WorkerFile>, StoreError> {
        let vault = self.vault.clone();
        self.read(move |s| file_of(s, &vault, id)).await
    }

    /// A worker's tier history, oldest first: tier, since.
    pub async fn tier_history(&self, id: WorkerId) -> Result<Vec<(Tier, Date)>, StoreError> {
        self.read(move |s| {
            let rows = s.query(
                "SELECT tier, since FROM tiers WHERE worker = (SELECT handle FROM workers WHERE id = $1) ORDER BY since, recorded_at",
                params![id.uuid()],
            )?;
            rows.iter().map(|r| Ok((tier(r.text(0)?)?, from_day_number(r.int(1)?)))).collect()
        })
        .await
    }

    /// There is such a worker, and not erased.
    pub async fn is_registered(&self, id: WorkerId) -> Result<bool, StoreError> {
        self.read(move |s| offers::home_of(s, id).map(|home| home.is_some())).await
    }

    /// Where a worker is or was at home, erased or not.
    pub async fn last_home(&self, id: WorkerId) -> Result<Option<Region>, StoreError> {
        self.read(move |s| {
            s.one("SELECT home FROM workers WHERE id = $1", params![id.uuid()])?.map(|r| super::region(r.int(0)?)).transpose()
        })
        .await
    }

    /// Changes what a worker asks of work; false where there is no such worker.
    pub async fn set_wishes(&self, id: WorkerId, wishes: Wishes, now: Moment) -> Result<bool, StoreError> {
        self.write(move |tx| {
            let Some(row) = tx.one(columns!("WHERE w.id = $1 AND w.erased_at IS NULL"), params![id.uuid()])? else { return Ok(false) };
            if set_wishes(tx, id.uuid(), &row, &wishes)? {
                bump(tx, id.uuid(), now)?;
                work::seek(tx, work::Freed::Somebody, now)?;
            }
            Ok(true)
        })
        .await
    }

    /// Withdraws consent and erases a person; false where that was done before.
    pub async fn erase_worker(&self, id: WorkerId, promoted_within: Duration, now: Moment) -> Result<bool, StoreError> {
        self.write(move |tx| erase(tx, id, promoted_within, now)).await
    }

    /// The sealed fields, logged in the transaction that reads them; none where
    /// the quota is used up or there is no such worker.
    pub async fn reveal(&self, asked: access::Reveal, now: Moment) -> Result<Result<Value, access::RevealRefused>, StoreError> {
        let vault = self.vault.clone();
        self.write(move |tx| {
            if access::reveals_since(tx, &asked.client, now.minus(Duration::from_secs(86_400)))? >= asked.quota {
                return Ok(Err(access::RevealRefused::Quota));
            }
            let sql = "SELECT id_sealed, name_sealed, phone_sealed FROM workers WHERE id = $1 AND erased_at IS NULL";
            let id = asked.worker.uuid();
            let Some(row) = tx.one(sql, params![id])? else { return Ok(Err(access::RevealRefused::NotFound)) };
            let mut fields = serde_json::Map::new();
            for name in &asked.fields {
                let (at, column) = match name.as_str() {
                    "id_number" => (0, "id_number"),
                    "name" => (1, "name"),
                    _ => (2, "phone"),
                };
                fields.insert(column.to_owned(), json!(open(&vault, &row, at, id, column)?));
            }
            access::record(tx, &asked.client, asked.action, Some(asked.worker), &asked.fields.join(","), &asked.reason, now)?;
            Ok(Ok(Value::Object(fields)))
        })
        .await
    }

    /// What routing knows of a worker.
    pub async fn seeker(&self, id: WorkerId) -> Result<Option<Seeker>, StoreError> {
        self.read(move |s| {
            s.one(concat!(seeking!(), " FROM workers w WHERE w.id = $1"), params![id.uuid()])?.as_ref().map(seeker).transpose()
        })
        .await
    }

    /// What routing knows of those in whom its index may be wrong.
    pub async fn seekers(&self, stale: Stale) -> Result<Vec<Seeker>, StoreError> {
        static BY_ID: Bulk = Bulk::keys(concat!(seeking!(), " FROM workers w WHERE w.id IN {list}"), 0);
        static BY_HANDLE: Bulk = Bulk::keys(concat!(seeking!(), " FROM workers w WHERE w.handle IN {list}"), 0);
        self.read(move |s| {
            let mut handles: Vec<Val> = stale.handles.into_iter().map(Val::from).collect();
            for (posting, wave) in stale.waves {
                let rows = s.query("SELECT handle FROM offers WHERE posting = $1 AND wave = $2", params![posting, wave])?;
                handles.extend(rows.into_iter().filter_map(|row| row.0.into_iter().next()));
            }
            let ids: Vec<Val> = stale.ids.into_iter().map(Val::from).collect();
            let mut rows = BY_ID.query(s, &[], &ids)?;
            rows.extend(BY_HANDLE.query(s, &[], &handles)?);
            rows.iter().map(seeker).collect()
        })
        .await
    }

    /// All workers for a fresh index, and the change up to which they stand.
    pub async fn all_seekers(&self) -> Result<(Vec<Seeker>, i64), StoreError> {
        self.read(|s| {
            let upto = super::log::last_change(s)?;
            // In pages of one state: a row takes ten times the place of what is read from it.
            let (mut all, mut after): (Vec<Seeker>, i64) = (Vec::new(), -1);
            loop {
                let rows =
                    s.query(concat!(seeking!(), " FROM workers w WHERE w.handle > $1 ORDER BY w.handle LIMIT $2"), params![after, PAGE])?;
                for row in &rows {
                    all.push(seeker(row)?);
                    after = row.int(0)?;
                }
                if (rows.len() as i64) < PAGE {
                    return Ok((all, upto));
                }
            }
        })
        .await
    }

    /// The changes that a routing index has not seen.
    pub async fn changes_after(&self, seq: i64, limit: i64) -> Result<Vec<super::log::Change>, StoreError> {
        self.read(move |s| super::log::changes_after(s, seq, limit)).await
    }

    /// One line of the change log.
    pub async fn change(&self, seq: i64) -> Result<Option<super::log::Change>, StoreError> {
        self.read(move |s| super::log::change(s, seq)).await
    }

    /// The newest change's number.
    pub async fn last_change(&self) -> Result<i64, StoreError> {
        self.read(super::log::last_change).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::schema::{empty, plan};

    #[test]
    fn nobody_is_forgotten_by_going_through_what_is_known_of_all() {
        let (_folder, mut s) = empty();
        for sql in FORGET {
            let steps = plan(s.as_mut(), sql);
            assert!(!steps.iter().any(|step| step.starts_with("SCAN")), "{sql}: {steps:?}");
        }
    }
}
