//! Registered workers: one file for each person, whoever registered them.

use super::engine::{Row, Sql, StoreError, Val, params};
use super::log::ChangeKind;
use super::once::Advance;
use super::vault::{Place, Vault};
use super::writer::Tx;
use super::{Store, access, offers, seats, work};
use crate::domain::id::{PostingId, WorkerId};
use crate::domain::offer::OfferState;
use crate::domain::person::{IdNumber, PersonName, Phone};
use crate::domain::region::Region;
use crate::domain::time::{Moment, day_number, from_day_number};
use crate::domain::worker::{Destinations, Registration, Seeker, Tier, Wishes};
use jiff::civil::Date;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use uuid::Uuid;

/// What became of a registry row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Registered {
    Created(WorkerId),
    Updated(WorkerId),
    Unchanged(WorkerId),
    /// A person not known yet, without one of these fields.
    Lacks(&'static str),
}

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

/// The columns that [`seeker`] reads, then those of [`file`].
macro_rules! columns {
    ($tail:literal) => {
        concat!(
            "SELECT w.handle, w.home, w.birth, w.tier, w.consent_on, w.paused, w.looking, w.categories, w.destinations, w.in_place_only,
               w.min_monthly_pay, w.require_stated_pay, w.skills, w.seeking_since, w.cooling_until, w.displaced_until,
               (SELECT COUNT(*) FROM offers o JOIN postings p ON p.id = o.posting
                WHERE o.worker = w.id AND o.state IN ('offered', 'seen') AND p.status <> 'filled'),
               w.id, w.name_sealed, w.phone_sealed, w.id_sealed, w.relocated, w.registered_at, w.version
             FROM workers w ",
            $tail
        )
    };
}

fn tier(text: &str) -> Result<Tier, StoreError> {
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

fn destinations_text(d: &Destinations) -> String {
    let codes = d.provinces.iter().map(|p| p.to_string());
    d.any.then(|| "*".to_owned()).into_iter().chain(codes).collect::<Vec<_>>().join("|")
}

fn seeker(row: &Row) -> Result<Seeker, StoreError> {
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

fn place(row: Uuid, column: &'static str) -> Place<'static> {
    Place { table: "workers", row, column }
}

fn open(vault: &Vault, row: &Row, at: usize, id: Uuid, column: &'static str) -> Result<Option<String>, StoreError> {
    row.opt_blob(at)?.map(|sealed| vault.open(place(id, column), sealed)).transpose()
}

fn file(vault: &Vault, row: &Row) -> Result<WorkerFile, StoreError> {
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

fn find(s: &mut dyn Sql, vault: &Vault, id: &IdNumber) -> Result<Option<Uuid>, StoreError> {
    if let Some(row) = s.one("SELECT id FROM workers WHERE blind = $1", params![vault.blind(id)])? {
        return row.uuid(0).map(Some);
    }
    let Some(next) = vault.blind_next(id) else { return Ok(None) };
    s.one("SELECT id FROM workers WHERE blind_next = $1", params![next])?.map(|r| r.uuid(0)).transpose()
}

fn register(tx: &mut Tx<'_>, vault: &Vault, r: &Registration, now: Moment) -> Result<Registered, StoreError> {
    match find(tx, vault, &r.id_number)? {
        Some(id) => update(tx, vault, id, r, now),
        None => create(tx, vault, r, now),
    }
}

fn create(tx: &mut Tx<'_>, vault: &Vault, r: &Registration, now: Moment) -> Result<Registered, StoreError> {
    let (Some(name), Some(phone)) = (&r.name, &r.phone) else {
        return Ok(Registered::Lacks(if r.name.is_none() { "name" } else { "phone" }));
    };
    let Some(consent) = r.consent else { return Ok(Registered::Lacks("consent")) };
    let id = tx.ids.v4();
    let handle = tx.one("UPDATE counters SET value = value + 1 WHERE name = 'worker_handle' RETURNING value", &[])?;
    let handle = handle.map_or(Err(StoreError::Corrupt("the counter of handles".to_owned())), |row| row.int(0))?;
    let today = now.day();
    let (tier, w) = (r.tier.unwrap_or(Tier::NotLifted), &r.wishes);
    let made = tx.exec(
        "INSERT INTO workers (id, handle, blind, blind_next, id_sealed, name_sealed, phone_sealed, home, birth, tier, relocated, categories,
           destinations, in_place_only, min_monthly_pay, require_stated_pay, skills, seeking_since, consent_on, registered_at, updated_at, looking, paused)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $20, $21, $22) ON CONFLICT DO NOTHING",
        params![
            id,
            handle,
            vault.blind(&r.id_number),
            vault.blind_next(&r.id_number),
            vault.seal(place(id, "id_number"), r.id_number.expose(), tx.ids),
            vault.seal(place(id, "name"), name.expose(), tx.ids),
            vault.seal(place(id, "phone"), phone.expose(), tx.ids),
            i64::from(r.home_region.code()),
            day_number(r.id_number.birth_date()),
            tier.code(),
            r.relocated.unwrap_or(false),
            w.categories.unwrap_or(0),
            w.destinations.as_ref().map(destinations_text).unwrap_or_default(),
            w.in_place_only.unwrap_or(false),
            w.min_monthly_pay.unwrap_or(0),
            w.require_stated_pay.unwrap_or(false),
            w.skills.unwrap_or(0) as i64,
            day_number(r.seeking_since.unwrap_or(today)),
            day_number(consent),
            now.ms(),
            w.looking.unwrap_or(true),
            w.paused.unwrap_or(false)
        ],
    )?;
    if made == 0 {
        // Another node registered the same person between the look and the insert.
        return Err(StoreError::Busy);
    }
    record_tier(tx, id, tier, r.tier_since.unwrap_or(today), now)?;
    record_home(tx, id, r.home_region, r.home_since.unwrap_or(today), now)?;
    tx.log.change(ChangeKind::Worker, id, 1, now);
    Ok(Registered::Created(WorkerId::new(id)))
}

fn record_tier(tx: &mut Tx<'_>, id: Uuid, tier: Tier, since: Date, now: Moment) -> Result<(), StoreError> {
    tx.exec(
        "INSERT INTO tiers (worker, since, recorded_at, tier) VALUES ($1, $2, $3, $4)
         ON CONFLICT (worker, since, recorded_at) DO UPDATE SET tier = excluded.tier",
        params![id, day_number(since), now.ms(), tier.code()],
    )?;
    let salt = tx.ids.bytes::<16>().to_vec();
    tx.log.ledger(now, "tier", id, None, &json!({"tier": tier, "since": since}), salt);
    Ok(())
}

fn record_home(tx: &mut Tx<'_>, id: Uuid, home: Region, since: Date, now: Moment) -> Result<(), StoreError> {
    tx.exec(
        "INSERT INTO homes (worker, since, recorded_at, region) VALUES ($1, $2, $3, $4)
         ON CONFLICT (worker, since, recorded_at) DO UPDATE SET region = excluded.region",
        params![id, day_number(since), now.ms(), i64::from(home.code())],
    )
    .map(|_| ())
}

/// One column's new value, if it is given and differs.
fn changed(row: &Row, at: usize, new: Option<Val>) -> Option<Val> {
    new.filter(|v| row.0.get(at) != Some(v))
}

fn update(tx: &mut Tx<'_>, vault: &Vault, id: Uuid, r: &Registration, now: Moment) -> Result<Registered, StoreError> {
    let Some(row) = tx.one(columns!("WHERE w.id = $1"), params![id])? else { return Err(StoreError::Busy) };
    let before = seeker(&row)?;
    let mut touched = set_wishes(tx, id, &row, &r.wishes)?;
    let ids = tx.ids;
    let mut set = |sql: &'static str, value: Option<Val>| -> Result<(), StoreError> {
        let Some(value) = value else { return Ok(()) };
        touched = true;
        tx.exec(sql, &[Val::from(id), value]).map(|_| ())
    };
    set("UPDATE workers SET relocated = $2 WHERE id = $1", changed(&row, 21, r.relocated.map(Val::from)))?;
    let since = r.seeking_since.map(|d| Val::from(day_number(d)));
    set("UPDATE workers SET seeking_since = $2 WHERE id = $1", changed(&row, 13, since))?;
    set("UPDATE workers SET consent_on = $2 WHERE id = $1", changed(&row, 4, r.consent.map(|d| Val::from(day_number(d)))))?;
    if let Some(name) = &r.name
        && open(vault, &row, 18, id, "name")?.as_deref() != Some(name.expose())
    {
        set("UPDATE workers SET name_sealed = $2 WHERE id = $1", Some(vault.seal(place(id, "name"), name.expose(), ids).into()))?;
    }
    if let Some(phone) = &r.phone
        && open(vault, &row, 19, id, "phone")?.as_deref() != Some(phone.expose())
    {
        set("UPDATE workers SET phone_sealed = $2 WHERE id = $1", Some(vault.seal(place(id, "phone"), phone.expose(), ids).into()))?;
    }
    if let Some(tier) = r.tier.filter(|t| *t != before.tier) {
        record_tier(tx, id, tier, r.tier_since.unwrap_or(now.day()), now)?;
        // What is in force today: a tier of the past may have been followed by another.
        let in_force = tier_on(tx, WorkerId::new(id), now.day())?.unwrap_or(tier);
        tx.exec("UPDATE workers SET tier = $2 WHERE id = $1", params![id, in_force.code()])?;
        touched = true;
    }
    if r.home_region != before.home {
        tx.exec("UPDATE workers SET home = $2 WHERE id = $1", params![id, i64::from(r.home_region.code())])?;
        record_home(tx, id, r.home_region, r.home_since.unwrap_or(now.day()), now)?;
        access::alert(tx, "moved_away", before.home, Some(id), None, &format!("now registered in {}", r.home_region.full_name()), now)?;
        touched = true;
    }
    if !touched {
        return Ok(Registered::Unchanged(WorkerId::new(id)));
    }
    bump(tx, id, now)?;
    Ok(Registered::Updated(WorkerId::new(id)))
}

/// Sets what is given of a worker's wishes; true if anything differed.
fn set_wishes(tx: &mut Tx<'_>, id: Uuid, row: &Row, w: &Wishes) -> Result<bool, StoreError> {
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
    let sql = "SELECT tier FROM tiers WHERE worker = $1
               ORDER BY CASE WHEN since <= $2 THEN 0 ELSE 1 END, CASE WHEN since <= $2 THEN -since ELSE since END, recorded_at DESC LIMIT 1";
    s.one(sql, params![worker.uuid(), day_number(day)])?.map(|r| tier(r.text(0)?)).transpose()
}

/// See [`tier_on`].
pub(super) fn home_on(s: &mut dyn Sql, worker: WorkerId, day: Date) -> Result<Option<Region>, StoreError> {
    let sql = "SELECT region FROM homes WHERE worker = $1
               ORDER BY CASE WHEN since <= $2 THEN 0 ELSE 1 END, CASE WHEN since <= $2 THEN -since ELSE since END, recorded_at DESC LIMIT 1";
    s.one(sql, params![worker.uuid(), day_number(day)])?.map(|r| super::region(r.int(0)?)).transpose()
}

fn erase(tx: &mut Tx<'_>, id: WorkerId, promoted_within: Duration, now: Moment) -> Result<bool, StoreError> {
    let sql = "UPDATE workers SET blind = NULL, blind_next = NULL, id_sealed = NULL, name_sealed = NULL, phone_sealed = NULL, birth = 0,
               consent_on = NULL, looking = 0, erased_at = $2 WHERE id = $1 AND erased_at IS NULL";
    if tx.exec(sql, params![id.uuid(), now.ms()])? == 0 {
        return Ok(false);
    }
    let open = tx.query(
        "SELECT id FROM offers WHERE worker = $1 AND state IN ('offered', 'seen', 'waitlisted', 'accepted') ORDER BY posting",
        params![id.uuid()],
    )?;
    let mut postings: Vec<PostingId> = Vec::new();
    for row in &open {
        let Some(offer) = offers::by_id(tx, crate::domain::id::OfferId::new(row.uuid(0)?))? else { continue };
        seats::lock(tx, offer.posting)?;
        tx.exec(
            "UPDATE offers SET state = 'withdrawn', waiting = NULL, share_contact = 0, reason = 'consent_withdrawn', updated_at = $2 WHERE id = $1",
            params![offer.id.uuid(), now.ms()],
        )?;
        if offer.holds_seat() {
            seats::free(tx, offer.posting, now)?;
        }
        if offer.state == OfferState::Accepted {
            offers::withdrawn(tx, &offer, "worker", now)?;
        }
        postings.push(offer.posting);
    }
    for posting in postings {
        seats::settle(tx, posting, now, promoted_within)?;
    }
    // Free text that somebody may have written a name into.
    for sql in [
        "UPDATE offers SET reason = NULL WHERE worker = $1 AND state = 'declined'",
        "UPDATE hire_facts SET raw_status = NULL WHERE worker = $1",
        "UPDATE access_log SET reason = '' WHERE worker = $1",
        "UPDATE alerts SET worker = NULL WHERE worker = $1",
        "DELETE FROM links WHERE worker = $1",
    ] {
        tx.exec(sql, params![id.uuid()])?;
    }
    tx.exec("UPDATE ledger SET salt = $2 WHERE worker = $1", params![id.uuid(), Vec::<u8>::new()])?;
    let salt = Vec::new();
    tx.log.ledger(now, "erased", id.uuid(), None, &json!({"on": now.day()}), salt);
    bump(tx, id.uuid(), now)?;
    Ok(true)
}

/// How a list of workers is narrowed.
#[derive(Clone, Debug)]
pub struct WorkerFilter {
    pub region: Region,
    /// `seeking`, `working`, `paused`; none: all.
    pub state: Option<WorkerState>,
    pub after: Option<WorkerId>,
    pub limit: i64,
}

/// What a worker is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WorkerState {
    /// Looking and not paused.
    Seeking,
    /// Not looking.
    Working,
    Paused,
}

impl WorkerState {
    pub fn parse(code: &str) -> Option<Self> {
        match code {
            "seeking" => Some(Self::Seeking),
            "working" => Some(Self::Working),
            "paused" => Some(Self::Paused),
            _ => None,
        }
    }

    fn holds(self, looking: bool, paused: bool) -> bool {
        match self {
            Self::Seeking => looking && !paused,
            Self::Working => !looking,
            Self::Paused => paused,
        }
    }
}

impl Store {
    /// Stores one slice of a registry and how far the batch has come. Open
    /// postings that lack people are routed again.
    pub async fn register_workers(
        &self,
        slice: Arc<Vec<Registration>>,
        progress: Option<Advance<[Registered]>>,
        now: Moment,
    ) -> Result<Vec<Registered>, StoreError> {
        let vault = self.vault.clone();
        self.write(move |tx| {
            let mut out = Vec::with_capacity(slice.len());
            for r in slice.iter() {
                out.push(register(tx, &vault, r, now)?);
            }
            if out.iter().any(|r| matches!(r, Registered::Created(_) | Registered::Updated(_))) {
                work::enqueue_short(tx, now)?;
            }
            if let Some(progress) = &progress {
                progress.write(tx, &out, now)?;
            }
            Ok(out)
        })
        .await
    }

    /// A worker's file, masked, unless erased.
    pub async fn worker(&self, id: WorkerId) -> Result<Option<WorkerFile>, StoreError> {
        let vault = self.vault.clone();
        self.read(move |s| {
            let row = s.one(columns!("WHERE w.id = $1 AND w.erased_at IS NULL"), params![id.uuid()])?;
            row.as_ref().map(|r| file(&vault, r)).transpose()
        })
        .await
    }

    /// One page of a region's workers, masked, and how many there are.
    pub async fn workers(&self, f: WorkerFilter) -> Result<(Vec<WorkerFile>, i64), StoreError> {
        let vault = self.vault.clone();
        self.read(move |s| {
            let mut total = 0;
            let counts = "SELECT home, looking, paused, COUNT(*) FROM workers WHERE erased_at IS NULL GROUP BY home, looking, paused";
            for row in s.query(counts, &[])? {
                let fits = super::region(row.int(0)?)?.is_within(f.region)
                    && f.state.is_none_or(|st| row.flag(1).is_ok_and(|l| row.flag(2).is_ok_and(|p| st.holds(l, p))));
                total += if fits { row.int(3)? } else { 0 };
            }
            let mut page = Vec::new();
            let mut after = access::after(f.after.map(WorkerId::uuid));
            while (page.len() as i64) < f.limit {
                let sql = columns!("WHERE w.erased_at IS NULL AND w.id > $1 ORDER BY w.id LIMIT $2");
                let rows = s.query(sql, params![after.clone(), 1000])?;
                for row in &rows {
                    after = row.0[17].clone();
                    let home = super::region(row.int(1)?)?;
                    if home.is_within(f.region)
                        && f.state.is_none_or(|st| row.flag(6).is_ok_and(|l| row.flag(5).is_ok_and(|p| st.holds(l, p))))
                    {
                        page.push(file(&vault, row)?);
                        if page.len() as i64 == f.limit {
                            break;
                        }
                    }
                }
                if rows.len() < 1000 {
                    break;
                }
            }
            Ok((page, total))
        })
        .await
    }

    /// A worker's tier history, oldest first: tier, since.
    pub async fn tier_history(&self, id: WorkerId) -> Result<Vec<(Tier, Date)>, StoreError> {
        self.read(move |s| {
            let rows = s.query("SELECT tier, since FROM tiers WHERE worker = $1 ORDER BY since, recorded_at", params![id.uuid()])?;
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
                work::enqueue_short(tx, now)?;
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
        self.read(move |s| s.one(columns!("WHERE w.id = $1"), params![id.uuid()])?.as_ref().map(seeker).transpose()).await
    }

    /// What routing knows of many workers.
    pub async fn seekers(&self, ids: Vec<Uuid>) -> Result<Vec<Seeker>, StoreError> {
        self.read(move |s| {
            let mut out = Vec::with_capacity(ids.len());
            for id in ids {
                out.extend(s.one(columns!("WHERE w.id = $1"), params![id])?.as_ref().map(seeker).transpose()?);
            }
            Ok(out)
        })
        .await
    }

    /// All workers for a fresh index, and the change up to which they stand.
    pub async fn all_seekers(&self) -> Result<(Vec<Seeker>, i64), StoreError> {
        self.read(|s| {
            let upto = super::log::last_change(s)?;
            let rows = s.query(columns!("ORDER BY w.handle"), &[])?;
            Ok((rows.iter().map(seeker).collect::<Result<_, _>>()?, upto))
        })
        .await
    }

    /// The changes that a routing index has not seen.
    pub async fn changes_after(&self, seq: i64, limit: i64) -> Result<Vec<super::log::Change>, StoreError> {
        self.read(move |s| super::log::changes_after(s, seq, limit)).await
    }

    /// The newest change's number.
    pub async fn last_change(&self) -> Result<i64, StoreError> {
        self.read(super::log::last_change).await
    }
}
