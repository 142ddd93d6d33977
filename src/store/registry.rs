//! Takes rows of a registry into the store: one file for each person, whoever
//! registered them.
//!
//! Promises: what a row costs in ciphers is paid by [`Store::prepare`], before the
//! writer is asked; a slice gives its new people consecutive handles without a gap.

use super::access::{self, Raised};
use super::engine::{Sql, StoreError, Val, params};
use super::log::ChangeKind;
use super::once::Advance;
use super::vault::Vault;
use super::workers::{bump, changed, columns, destinations_text, open, place, seeker, set_wishes, tier_on};
use super::writer::Tx;
use super::{Store, counties, notices, work};
use crate::domain::alert::Facts;
use crate::domain::id::WorkerId;
use crate::domain::person::IdNumber;
use crate::domain::region::Region;
use crate::domain::time::{Moment, day_number};
use crate::domain::worker::{Registration, Tier};
use jiff::civil::Date;
use serde_json::json;
use sha2::{Digest, Sha256};
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

/// A row with what is made of it before it is stored.
pub struct Entry {
    row: Registration,
    /// The person's id, if nobody has this id number yet.
    id: Uuid,
    blind: Vec<u8>,
    blind_next: Option<Vec<u8>>,
    /// None where the row could not make a person: it may still change one.
    sealed: Option<Sealed>,
}

struct Sealed {
    id_number: Vec<u8>,
    name: Vec<u8>,
    phone: Vec<u8>,
}

/// The next handles, taken when the first is needed and written back at the end.
#[derive(Default)]
struct Handles {
    last: Option<i64>,
}

impl Handles {
    fn next(&mut self, tx: &mut Tx<'_>) -> Result<i64, StoreError> {
        let last = match self.last {
            Some(last) => last,
            None => {
                // An update, so that no other node takes the same ones.
                let row = tx.one("UPDATE counters SET value = value WHERE name = 'worker_handle' RETURNING value", &[])?;
                row.map_or(Err(StoreError::Corrupt("the counter of handles".to_owned())), |row| row.int(0))?
            }
        };
        self.last = Some(last + 1);
        Ok(last + 1)
    }

    fn keep(self, tx: &mut Tx<'_>) -> Result<(), StoreError> {
        let Some(last) = self.last else { return Ok(()) };
        tx.exec("UPDATE counters SET value = $1 WHERE name = 'worker_handle'", params![last]).map(|_| ())
    }
}

fn find(s: &mut dyn Sql, entry: &Entry) -> Result<Option<Uuid>, StoreError> {
    if let Some(row) = s.one("SELECT id FROM workers WHERE blind = $1", params![entry.blind.as_slice()])? {
        return row.uuid(0).map(Some);
    }
    let Some(next) = &entry.blind_next else { return Ok(None) };
    s.one("SELECT id FROM workers WHERE blind_next = $1", params![next.as_slice()])?.map(|r| r.uuid(0)).transpose()
}

fn create(tx: &mut Tx<'_>, handles: &mut Handles, entry: &Entry, now: Moment) -> Result<Registered, StoreError> {
    let r = &entry.row;
    let Some(sealed) = &entry.sealed else { return Ok(Registered::Lacks(if r.name.is_none() { "name" } else { "phone" })) };
    let Some(consent) = r.consent else { return Ok(Registered::Lacks("consent")) };
    let (id, handle, today) = (entry.id, handles.next(tx)?, now.day());
    let (tier, w) = (r.tier.unwrap_or(Tier::NotLifted), &r.wishes);
    let made = tx.exec(
        "INSERT INTO workers (id, handle, blind, blind_next, id_sealed, name_sealed, phone_sealed, home, birth, tier, relocated, categories,
           destinations, in_place_only, min_monthly_pay, require_stated_pay, skills, seeking_since, consent_on, registered_at, updated_at, looking, paused)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $20, $21, $22) ON CONFLICT DO NOTHING",
        params![
            id,
            handle,
            entry.blind.as_slice(),
            entry.blind_next.as_deref(),
            sealed.id_number.as_slice(),
            sealed.name.as_slice(),
            sealed.phone.as_slice(),
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
    let since = r.tier_since.unwrap_or(today);
    record_tier(tx, handle, tier, since, now)?;
    let salt = tx.ids.bytes::<16>();
    let leaf = json!({"tier": tier, "since": since, "commitment": commitment(&salt, &r.id_number)});
    tx.log.registered(now, id, &leaf, salt);
    record_home(tx, handle, r.home_region, r.home_since.unwrap_or(today), now)?;
    tx.log.change(ChangeKind::Worker, id, 1, now);
    Ok(Registered::Created(WorkerId::new(id)))
}

/// By which whoever knows the id number and the salt can tell that the entry speaks of
/// that person; without the salt it tells nothing.
fn commitment(salt: &[u8; 16], id_number: &IdNumber) -> String {
    let digest = Sha256::new().chain_update(salt).chain_update(id_number.expose()).finalize();
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn record_tier(tx: &mut Tx<'_>, handle: i64, tier: Tier, since: Date, now: Moment) -> Result<(), StoreError> {
    tx.exec(
        "INSERT INTO tiers (worker, since, recorded_at, tier) VALUES ($1, $2, $3, $4)
         ON CONFLICT (worker, since, recorded_at) DO UPDATE SET tier = excluded.tier",
        params![handle, day_number(since), now.ms(), tier.code()],
    )
    .map(|_| ())
}

fn record_home(tx: &mut Tx<'_>, handle: i64, home: Region, since: Date, now: Moment) -> Result<(), StoreError> {
    tx.exec(
        "INSERT INTO homes (worker, since, recorded_at, region) VALUES ($1, $2, $3, $4)
         ON CONFLICT (worker, since, recorded_at) DO UPDATE SET region = excluded.region",
        params![handle, day_number(since), now.ms(), i64::from(home.code())],
    )
    .map(|_| ())
}

fn update(
    tx: &mut Tx<'_>,
    vault: &Vault,
    id: Uuid,
    r: &Registration,
    promoted_within: Duration,
    now: Moment,
) -> Result<Registered, StoreError> {
    let Some(row) = tx.one(columns!("WHERE w.id = $1"), params![id])? else { return Err(StoreError::Busy) };
    let before = seeker(&row)?;
    let handle = i64::from(before.handle);
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
    let mut new_phone = false;
    if let Some(phone) = &r.phone
        && open(vault, &row, 19, id, "phone")?.as_deref() != Some(phone.expose())
    {
        set("UPDATE workers SET phone_sealed = $2 WHERE id = $1", Some(vault.seal(place(id, "phone"), phone.expose(), ids).into()))?;
        new_phone = true;
    }
    if new_phone {
        notices::try_again(tx, before.handle, now)?;
    }
    if let Some(tier) = r.tier.filter(|t| *t != before.tier) {
        let since = r.tier_since.unwrap_or(now.day());
        record_tier(tx, handle, tier, since, now)?;
        tx.log.ledger(now, "tier", id, None, &json!({"tier": tier, "since": since}));
        tx.books.touch(id, now);
        // What is in force today: a tier of the past may have been followed by another.
        let in_force = tier_on(tx, WorkerId::new(id), now.day())?.unwrap_or(tier);
        tx.exec("UPDATE workers SET tier = $2 WHERE id = $1", params![id, in_force.code()])?;
        touched = true;
    }
    if r.home_region != before.home {
        let home = i64::from(r.home_region.code());
        tx.exec("UPDATE workers SET home = $2 WHERE id = $1", params![id, home])?;
        tx.exec("UPDATE offers SET home = $2 WHERE handle = $1 AND closed = 0", params![handle, home])?;
        record_home(tx, handle, r.home_region, r.home_since.unwrap_or(now.day()), now)?;
        counties::moved(tx, WorkerId::new(id), promoted_within, now)?;
        let facts = Facts::MovedAway { region: r.home_region.to_string() };
        access::alert(tx, &facts, before.home, Raised { worker: Some(id), ..Raised::default() }, now)?;
        touched = true;
    }
    if !touched {
        return Ok(Registered::Unchanged(WorkerId::new(id)));
    }
    bump(tx, id, now)?;
    Ok(Registered::Updated(WorkerId::new(id)))
}

impl Store {
    /// Makes beforehand what a row needs of ciphers and MACs.
    pub fn prepare(&self, row: Registration) -> Entry {
        let (vault, ids) = (&self.vault, &*self.ids);
        let id = ids.v4();
        let sealed = match (&row.name, &row.phone) {
            (Some(name), Some(phone)) => Some(Sealed {
                id_number: vault.seal(place(id, "id_number"), row.id_number.expose(), ids),
                name: vault.seal(place(id, "name"), name.expose(), ids),
                phone: vault.seal(place(id, "phone"), phone.expose(), ids),
            }),
            _ => None,
        };
        Entry { id, blind: vault.blind(&row.id_number), blind_next: vault.blind_next(&row.id_number), sealed, row }
    }

    /// Stores one slice of a registry and how far the batch has come. Open
    /// postings that lack people are routed again; who moves may find a free seat
    /// where they wait for one.
    pub async fn register_workers(
        &self,
        slice: Arc<Vec<Entry>>,
        progress: Option<Advance<[Registered]>>,
        promoted_within: Duration,
        now: Moment,
    ) -> Result<Vec<Registered>, StoreError> {
        let vault = self.vault.clone();
        self.write(move |tx| {
            let mut out = Vec::with_capacity(slice.len());
            let mut handles = Handles::default();
            for entry in slice.iter() {
                out.push(match find(tx, entry)? {
                    Some(id) => update(tx, &vault, id, &entry.row, promoted_within, now)?,
                    None => create(tx, &mut handles, entry, now)?,
                });
            }
            handles.keep(tx)?;
            if out.iter().any(|r| matches!(r, Registered::Created(_) | Registered::Updated(_))) {
                work::seek(tx, work::Freed::Somebody, now)?;
            }
            if let Some(progress) = &progress {
                progress.write(tx, &out, now)?;
            }
            Ok(out)
        })
        .await
    }
}
