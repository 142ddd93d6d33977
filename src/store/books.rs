//! The books: what is counted of each person, kept with every change of a hire, a
//! tier or a person, in the transaction of the change.
//!
//! Promises: at the end of a write group the account of everybody it touched, what is
//! added to the cells that count them ([`additions`]) and the ledger entries that say
//! what their hires came to stand together; a fold of the ledger gives the same accounts
//! and cells ([`recount`](super::recount)). Whoever writes cells takes them in the order
//! of their keys, last before the log.
//! Does not: say what a hire comes to (`domain::account`) or how it is counted
//! (`domain::cells`).

use super::engine::bulk::Bulk;
use super::engine::{Connection, Row, Sql, StoreError, Val, params};
use super::log::Log;
use super::reports::{corrected, facts};
use super::{additions, region, workers};
use crate::domain::account::{Account, HireFrame, HireState, number};
use crate::domain::category::Category;
use crate::domain::cells::{Axis, Bucket, Change, Month, Offered, Page, Place, Sections};
use crate::domain::hire::{EndReason, Fact, Flow, Life, Tags};
use crate::domain::region::Region;
use crate::domain::time::{Moment, from_day_number};
use foldhash::fast::FixedState;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use uuid::Uuid;

/// Whom a write group touched, and what is to be said of it in the ledger.
pub struct Books {
    /// Months for which a sign of life holds.
    stale_months: u32,
    touched: BTreeMap<Uuid, Moment>,
    notes: Vec<Note>,
    /// Offers by month, home, platform and category.
    offers: HashMap<(Month, Region, String, u8, Offered), i64, FixedState>,
}

/// One thing that happened to a hire.
struct Note {
    worker: Uuid,
    hire: Uuid,
    at: Moment,
    kind: &'static str,
    leaf: Value,
}

impl Books {
    pub(super) fn new(stale_months: u32) -> Self {
        Self { stale_months, touched: BTreeMap::new(), notes: Vec::new(), offers: HashMap::default() }
    }

    /// Something that reports count of this person may have changed.
    pub fn touch(&mut self, worker: Uuid, at: Moment) {
        let last = self.touched.entry(worker).or_insert(at);
        *last = at.max(*last);
    }

    /// Something happened to a hire: an entry of the ledger, which will say, too, what
    /// the hire came to. `leaf` holds coded facts, never free text.
    pub fn note(&mut self, worker: Uuid, hire: Uuid, at: Moment, kind: &'static str, leaf: Value) {
        self.touch(worker, at);
        self.notes.push(Note { worker, hire, at, kind, leaf });
    }

    /// An offer to somebody at home here was made or accepted.
    pub fn offer(&mut self, home: Region, platform: &str, category: u8, what: Offered, now: Moment) {
        let month = Month::of(number(now.day()));
        *self.offers.entry((month, home, platform.to_owned(), category, what)).or_default() += 1;
    }

    /// Brings accounts and cells up to date and puts the entries into the log.
    pub(super) fn write(mut self, s: &mut dyn Connection, log: &mut Log) -> Result<(), StoreError> {
        if self.touched.is_empty() && self.offers.is_empty() {
            return Ok(());
        }
        let people = people(s, self.touched.keys())?;
        let mut known = accounts(s, &people)?;
        let mut now = counted(s, &people, self.stale_months)?;
        let mut states: Vec<(Uuid, Uuid, Option<Box<HireState>>)> = Vec::new();
        let mut changed: Vec<(&Person, Account, Account)> = Vec::new();
        for person in &people {
            let old = known.remove(&person.handle).unwrap_or_default();
            let new = now.remove(&person.id).unwrap_or_default();
            if old == new {
                continue;
            }
            if !person.is_erased {
                let ids: BTreeSet<&Uuid> = old.hires.keys().chain(new.hires.keys()).collect();
                let differ = ids.into_iter().filter(|id| old.hires.get(*id) != new.hires.get(*id));
                states.extend(differ.map(|id| (person.id, *id, new.hires.get(id).cloned())));
            }
            changed.push((person, old, new));
        }
        self.enter(states, log);
        if changed.is_empty() && self.offers.is_empty() {
            return Ok(());
        }
        let hires = changed.iter().flat_map(|(_, old, new)| old.hires.values().chain(new.hires.values()));
        let offers = self.offers.keys().map(|(_, _, platform, ..)| platform.as_str());
        let numbers = numbers(s, hires.map(|h| h.platform.as_str()).chain(offers).collect())?;
        let number_of = |platform: &str| numbers.get(platform).copied().unwrap_or(0);
        let latest = self.touched.values().max().copied().unwrap_or(Moment::from_ms(0));
        let mut change = Change::with_days_from(Month::of(number(latest.day())).first_with_days());
        for (_, old, new) in &changed {
            change.add(old, new, &number_of);
        }
        for ((month, home, platform, category, what), n) in &self.offers {
            change.add_offers(*month, *home, u32::from(number_of(platform)) << 8 | u32::from(*category), *what, *n);
        }
        change.settle();
        keep_accounts(s, changed)?;
        note_late(s, &change.months_before(Month::of(number(latest.day()))))?;
        additions::append(s, &change)
    }

    /// Puts the notes into the log, the last one of each hire with what it came to. A
    /// hire that changed without one has an entry of its own.
    fn enter(&mut self, states: Vec<(Uuid, Uuid, Option<Box<HireState>>)>, log: &mut Log) {
        let last: HashMap<Uuid, usize> = self.notes.iter().enumerate().map(|(at, n)| (n.hire, at)).collect();
        for (worker, hire, state) in states {
            let at = self.touched.get(&worker).copied().unwrap_or(Moment::from_ms(0));
            match last.get(&hire) {
                Some(note) => self.notes[*note].leaf["state"] = json!(state),
                None => self.notes.push(Note { worker, hire, at, kind: "hire_restated", leaf: json!({"state": state}) }),
            }
        }
        for Note { worker, hire, at, kind, leaf } in self.notes.drain(..) {
            log.ledger(at, kind, worker, Some(hire), &leaf);
        }
    }
}

/// Somebody who is counted.
pub(super) struct Person {
    pub id: Uuid,
    pub handle: i64,
    is_erased: bool,
}

/// The next people who have hires, in the order of their handles.
pub(super) fn people_with_hires(s: &mut dyn Sql, after: i64) -> Result<Vec<Person>, StoreError> {
    let sql = "SELECT id, handle, erased_at FROM workers w WHERE handle > $1 AND EXISTS (SELECT 1 FROM hires h WHERE h.worker = w.id)
               ORDER BY handle LIMIT 500";
    s.query(sql, params![after])?.iter().map(person).collect()
}

fn person(row: &Row) -> Result<Person, StoreError> {
    Ok(Person { id: row.uuid(0)?, handle: row.int(1)?, is_erased: !row.is_null(2) })
}

fn people<'a>(s: &mut dyn Sql, ids: impl Iterator<Item = &'a Uuid>) -> Result<Vec<Person>, StoreError> {
    static PEOPLE: Bulk = Bulk::keys("SELECT id, handle, erased_at FROM workers WHERE id IN {list}", 0);
    let ids: Vec<Val> = ids.map(|id| Val::from(*id)).collect();
    let rows = PEOPLE.query(s, &[], &ids)?;
    let mut people: Vec<Person> = rows.iter().map(person).collect::<Result<_, _>>()?;
    people.sort_by_key(|p| p.handle);
    people.dedup_by_key(|p| p.handle);
    Ok(people)
}

/// Accounts as they were kept last, locked.
fn accounts(s: &mut dyn Connection, people: &[Person]) -> Result<HashMap<i64, Account>, StoreError> {
    static KNOWN: Bulk = Bulk::keys("SELECT handle, packed FROM accounts WHERE handle IN {list} ORDER BY handle {for_update}", 0);
    static BLANK: Bulk =
        Bulk::rows("INSERT INTO accounts (home, handle, worker, packed) VALUES {list} ON CONFLICT (handle) DO NOTHING", 0, "", 4);
    let handles: Vec<Val> = people.iter().map(|p| Val::from(p.handle)).collect();
    let mut rows = KNOWN.query(s, &[], &handles)?;
    let found: BTreeSet<i64> = rows.iter().map(|r| r.int(0)).collect::<Result<_, _>>()?;
    let missing: Vec<&Person> = people.iter().filter(|p| !found.contains(&p.handle)).collect();
    if !missing.is_empty() && s.is_shared() {
        // Another node may have made them meanwhile: then they are waited for, and read.
        let mut met = false;
        let blank: Vec<Val> = missing.iter().flat_map(|p| row_of(&Account::default(), p)).collect();
        BLANK.insert(s, &[], &blank, |_, _| {
            met = true;
            Ok(())
        })?;
        if met {
            rows.extend(KNOWN.query(s, &[], &missing.iter().map(|p| Val::from(p.handle)).collect::<Vec<_>>())?);
        }
    }
    let mut out = HashMap::new();
    for row in rows {
        out.insert(row.int(0)?, account(row.blob(1)?)?);
    }
    Ok(out)
}

/// An account behind its column; one that was never filled is empty.
pub(super) fn account(bytes: &[u8]) -> Result<Account, StoreError> {
    Account::from_bytes(bytes).ok_or_else(|| StoreError::Corrupt("an account".to_owned()))
}

/// The home that an account is kept under.
pub(super) fn place_of(account: &Account) -> i64 {
    account.last_home().map_or(-1, |home| i64::from(home.code()))
}

fn keep_accounts(s: &mut dyn Sql, changed: Vec<(&Person, Account, Account)>) -> Result<(), StoreError> {
    static KEEP: Bulk = Bulk::rows(
        "INSERT INTO accounts (home, handle, worker, packed) VALUES {list}
         ON CONFLICT (handle) DO UPDATE SET home = excluded.home, packed = excluded.packed",
        0,
        "",
        4,
    );
    let rows: Vec<Val> = changed.iter().flat_map(|(person, _, new)| row_of(new, person)).collect();
    KEEP.insert(s, &[], &rows, |_, _| Ok(()))
}

/// Counts how often what stood at the end of these months was changed afterwards, once
/// anything is locked: whoever looks for corrections finds the few months that have any.
fn note_late(s: &mut dyn Sql, months: &BTreeSet<Month>) -> Result<(), StoreError> {
    static NOTE: Bulk = Bulk::rows(
        "INSERT INTO late_changes (changes, month) VALUES {list} ON CONFLICT (month) DO UPDATE SET changes = late_changes.changes + 1",
        0,
        "1, ",
        1,
    );
    if months.is_empty() || s.one("SELECT 1 FROM period_locks LIMIT 1", &[])?.is_none() {
        return Ok(());
    }
    let months: Vec<Val> = months.iter().map(|month| Val::from(month.number())).collect();
    NOTE.insert(s, &[], &months, |_, _| Ok(()))
}

/// An account in the columns of its table.
fn row_of(account: &Account, of: &Person) -> [Val; 4] {
    [place_of(account).into(), of.handle.into(), of.id.into(), account.to_bytes().into()]
}

/// Packs the accounts that an older version kept as JSON, in the order in which they are
/// read.
pub(super) fn pack_accounts(s: &mut dyn Sql) -> Result<(), StoreError> {
    static PACK: Bulk = Bulk::rows("INSERT INTO accounts (home, handle, worker, packed) VALUES {list}", 0, "", 4);
    let (mut home, mut handle) = (i64::MIN, i64::MIN);
    loop {
        let sql = "SELECT home, handle, worker, account FROM accounts_in_words WHERE (home, handle) > ($1, $2)
                   ORDER BY home, handle LIMIT 5000";
        let rows = s.query(sql, params![home, handle])?;
        let Some(last) = rows.last() else { return Ok(()) };
        (home, handle) = (last.int(0)?, last.int(1)?);
        let mut packed = Vec::with_capacity(4 * rows.len());
        for row in &rows {
            let account = match row.text(3)? {
                "" => Account::default(),
                text => serde_json::from_str(text).map_err(|_| StoreError::Corrupt("an account".to_owned()))?,
            };
            packed.extend(params![row.int(0)?, row.int(1)?, row.uuid(2)?, account.to_bytes()].iter().cloned());
        }
        PACK.insert(s, &[], &packed, |_, _| Ok(()))?;
    }
}

/// Where start, end and status stand in a row that [`counted_beside`] shows; the hire's id
/// is the first.
pub(super) const SHOWN: [usize; 3] = [14, 15, 16];

/// What is counted of these people now. Who was erased, or has no hire, comes to
/// nothing.
pub(super) fn counted(s: &mut dyn Sql, people: &[Person], stale_months: u32) -> Result<HashMap<Uuid, Account>, StoreError> {
    counted_beside(s, people, stale_months, &mut |_, _| Ok(()))
}

/// The same; `look` sees the state of each hire beside its row, of which [`SHOWN`] is what
/// lists show.
pub(super) fn counted_beside(
    s: &mut dyn Sql,
    people: &[Person],
    stale_months: u32,
    look: &mut dyn FnMut(&HireState, &Row) -> Result<(), StoreError>,
) -> Result<HashMap<Uuid, Account>, StoreError> {
    static HIRES: Bulk = Bulk::keys(
        "SELECT id, worker, platform, home, work, flow, category, tags, start_set, end_fixed, end_set, void, hired_at, end_reason,
           started_on, ended_on, status FROM hires WHERE worker IN {list}",
        0,
    );
    static FACTS: Bulk = Bulk::keys("SELECT hire, kind, at, month, wage FROM hire_facts WHERE hire IN {list}", 0);
    static TIERS: Bulk = Bulk::keys("SELECT worker, since, tier FROM tiers WHERE worker IN {list} ORDER BY worker, since, recorded_at", 0);
    let ids: Vec<Val> = people.iter().filter(|p| !p.is_erased).map(|p| Val::from(p.id)).collect();
    let hires = HIRES.query(s, &[], &ids)?;
    let mut lives: HashMap<Uuid, (Vec<Fact>, Pay)> = HashMap::new();
    let keys: Vec<Val> = hires.iter().map(|r| r.uuid(0).map(Val::from)).collect::<Result<_, _>>()?;
    for row in FACTS.query(s, &[], &keys)? {
        let (life, pay) = lives.entry(row.uuid(0)?).or_default();
        life.extend(facts(&row)?);
        *pay = (*pay).max(pay_of(&row)?);
    }
    let mut out: HashMap<Uuid, Account> = HashMap::new();
    for row in &hires {
        let id = row.uuid(0)?;
        let (facts, pay) = lives.remove(&id).unwrap_or_default();
        let state = state(row, facts, pay, stale_months)?;
        if let Some(state) = &state {
            look(state, row)?;
        }
        let account = out.entry(row.uuid(1)?).or_default();
        account.hires.extend(state.map(|state| (id, Box::new(state))));
    }
    out.retain(|_, account| !account.hires.is_empty());
    let handles: Vec<Val> = people.iter().filter(|p| out.contains_key(&p.id)).map(|p| Val::from(p.handle)).collect();
    let of: HashMap<i64, Uuid> = people.iter().map(|p| (p.handle, p.id)).collect();
    for row in TIERS.query(s, &[], &handles)? {
        if let Some(account) = of.get(&row.int(0)?).and_then(|id| out.get_mut(id)) {
            account.tiers.insert(from_day_number(row.int(1)?), workers::tier(row.text(2)?)?);
        }
    }
    Ok(out)
}

/// The last pay that was told, with when it was: of two at a time the greater.
type Pay = Option<(i64, i64, i64)>;

fn pay_of(row: &Row) -> Result<Pay, StoreError> {
    let Some(wage) = row.opt_int(4)? else { return Ok(None) };
    Ok(Some((row.int(2)?, row.int(3)?, wage)))
}

fn state(row: &Row, facts: Vec<Fact>, pay: Pay, stale_months: u32) -> Result<Option<HireState>, StoreError> {
    let corrupt = |what: &str| StoreError::Corrupt(format!("a hire's {what}"));
    let tags: Tags = serde_json::from_str(row.text(7)?).map_err(|_| corrupt("tags"))?;
    let frame = HireFrame {
        platform: row.text(2)?,
        home: region(row.int(3)?)?,
        work: row.opt_int(4)?.map(region).transpose()?,
        flow: Flow::parse(row.text(5)?).ok_or_else(|| corrupt("flow"))?,
        category: Category::parse(row.text(6)?).ok_or_else(|| corrupt("category"))?,
        tags: &tags,
        hired_on: Moment::from_ms(row.int(12)?).day(),
        end_reason: row.opt_text(13)?.and_then(EndReason::parse),
        // Stored in hundredths of a yuan.
        monthly_pay: pay.and_then(|(_, _, wage)| u32::try_from(wage / 100).ok()),
    };
    Ok(HireState::of(frame, &Life { facts, corrected: corrected(row, 8)? }, stale_months))
}

/// The numbers that stand for platforms in cells, made for those that have none.
fn numbers(s: &mut dyn Sql, platforms: BTreeSet<&str>) -> Result<HashMap<String, u16>, StoreError> {
    static KNOWN: Bulk = Bulk::keys("SELECT platform, number FROM platform_numbers WHERE platform IN {list}", 0);
    let read = |s: &mut dyn Sql, of: &[Val]| -> Result<HashMap<String, u16>, StoreError> {
        let rows = KNOWN.query(s, &[], of)?;
        rows.iter().map(|r| Ok((r.text(0)?.to_owned(), platform_number(r, 1)?))).collect()
    };
    let all: Vec<Val> = platforms.iter().map(|p| Val::from(*p)).collect();
    let mut known = read(s, &all)?;
    let missing: Vec<&str> = platforms.into_iter().filter(|p| !known.contains_key(*p)).collect();
    for platform in &missing {
        s.exec(
            "INSERT INTO platform_numbers (number, platform) SELECT COALESCE(MAX(number), 0) + 1, CAST($1 AS TEXT) FROM platform_numbers
             WHERE NOT EXISTS (SELECT 1 FROM platform_numbers WHERE platform = $1)",
            params![*platform],
        )
        // Another node gave the same number, or this platform one.
        .map_err(|e| if matches!(e, StoreError::Constraint(_)) { StoreError::Busy } else { e })?;
    }
    let missing: Vec<Val> = missing.into_iter().map(Val::from).collect();
    known.extend(read(s, &missing)?);
    Ok(known)
}

/// A platform's number behind its column.
pub(super) fn platform_number(row: &Row, column: usize) -> Result<u16, StoreError> {
    u16::try_from(row.int(column)?).map_err(|_| StoreError::Corrupt("a platform's number".to_owned()))
}

/// Regions between two numbers of buckets.
const REGIONS: i64 = 1_000_000;

/// The key of a page: bucket, axis, region.
pub(super) fn cell(place: &Place) -> i64 {
    first_cell(place.bucket, place.axis) + i64::from(place.region.code())
}

/// The first key of a bucket and axis; those of all regions follow it.
pub(super) fn first_cell(bucket: Bucket, axis: Axis) -> i64 {
    strip_of(bucket, axis) * REGIONS
}

/// The number of a bucket and axis, which keys begin with.
pub(super) fn strip_of(bucket: Bucket, axis: Axis) -> i64 {
    i64::from(bucket.number()) * 2 + axis as i64
}

/// The bucket and axis of a number.
pub(super) fn strips(strip: i64) -> Result<(Bucket, Axis), StoreError> {
    let bucket = u32::try_from(strip / 2).map_err(|_| StoreError::Corrupt("a cell's key".to_owned()))?;
    Ok((Bucket::from_number(bucket), if strip % 2 == 0 { Axis::Home } else { Axis::Work }))
}

/// The last key of a bucket and axis.
pub(super) fn last_cell(bucket: Bucket, axis: Axis) -> i64 {
    first_cell(bucket, axis) + REGIONS - 1
}

/// The number of the bucket and axis that a key begins with.
pub(super) fn strip_at(cell: i64) -> i64 {
    cell.div_euclid(REGIONS)
}

/// Whether a key is of a page that counts offers, of which the ledger tells nothing.
pub(super) fn is_of_offers(cell: i64) -> bool {
    strips(strip_at(cell)).is_ok_and(|(bucket, _)| bucket.is_of_offers())
}

/// Whether a key is of a roll-up of other pages.
pub(super) fn is_of_rollups(cell: i64) -> bool {
    strips(strip_at(cell)).is_ok_and(|(bucket, _)| bucket.is_rolled_up())
}

/// Whether a key is of the days of a month before this one, which nobody keeps.
pub(super) fn is_of_days_before(cell: i64, first: Month) -> bool {
    strips(strip_at(cell)).is_ok_and(|(bucket, _)| bucket.month_of_days().is_some_and(|month| month < first))
}

/// The region that a key ends with.
pub(super) fn region_of(cell: i64) -> Result<Region, StoreError> {
    region(cell.rem_euclid(REGIONS))
}

/// What is told of bytes that are no page.
pub(super) fn no_page() -> StoreError {
    StoreError::Corrupt("a page of cells".to_owned())
}

/// A page behind its column, and of it these sections.
pub(super) fn page(bytes: &[u8], sections: Sections) -> Result<Page, StoreError> {
    Page::sections_of(bytes, sections).ok_or_else(no_page)
}

/// Adds to the cells; `shared` where others may do so at the same time.
pub(super) fn keep_cells(s: &mut dyn Sql, shared: bool, change: &Change) -> Result<(), StoreError> {
    static KNOWN: Bulk = Bulk::keys("SELECT cell, page FROM cells WHERE cell IN {list} ORDER BY cell {for_update}", 0);
    static BLANK: Bulk = Bulk::rows("INSERT INTO cells (page, cell) VALUES {list} ON CONFLICT (cell) DO NOTHING", 1, "$1, ", 1);
    static KEEP: Bulk =
        Bulk::rows("INSERT INTO cells (cell, page) VALUES {list} ON CONFLICT (cell) DO UPDATE SET page = excluded.page", 0, "", 2);
    let keys: Vec<i64> = change.pages().map(|(place, _)| cell(place)).collect();
    let mut rows = KNOWN.query(s, &[], &keys.iter().map(|k| Val::from(*k)).collect::<Vec<_>>())?;
    let found: BTreeSet<i64> = rows.iter().map(|r| r.int(0)).collect::<Result<_, _>>()?;
    let missing: Vec<Val> = keys.iter().filter(|k| !found.contains(k)).map(|k| Val::from(*k)).collect();
    if !missing.is_empty() && shared {
        let mut met = false;
        BLANK.insert(s, params![Vec::<u8>::new()], &missing, |_, _| {
            met = true;
            Ok(())
        })?;
        if met {
            rows.extend(KNOWN.query(s, &[], &missing)?);
        }
    }
    let mut stored: HashMap<i64, Page> = HashMap::with_capacity(rows.len());
    for row in rows {
        stored.insert(row.int(0)?, page(row.blob(1)?, Sections::ALL)?);
    }
    let mut out = Vec::with_capacity(keys.len() * 2);
    for (key, (_, added)) in keys.iter().zip(change.pages()) {
        let mut page = stored.remove(key).unwrap_or_default();
        page.merge(added);
        out.extend_from_slice(params![*key, page.to_bytes()]);
    }
    KEEP.insert(s, &[], &out, |_, _| Ok(()))
}
