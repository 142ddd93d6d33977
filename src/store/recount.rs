//! Accounts and cells counted anew, from the ledger alone.
//!
//! Those who look for work, of whom the ledger tells nothing, are counted anew from each
//! person and offer ([`seekers`]).
//!
//! Promises: what a fold comes to depends on the entries up to a position and on
//! nothing else, so that it is the same for every caller and for ever; where accounts
//! or cells differ from it, every difference is told.

mod seekers;

use super::books::{self, account, cell, is_of_days_before, is_of_offers, is_of_rollups, region_of};
use super::cells::{self, Position, platforms};
use super::engine::{Row, Sql, StoreError, params};
use super::periods::{self, Lock, LockLeaf};
use super::seals::Entry;
use super::seals::verify::{Beside, Finding};
use super::{Store, additions, rollups};
use crate::domain::account::{Account, HireState, number};
use crate::domain::cells::{Month, Page, Tally};
use crate::domain::closing::Figure;
use crate::domain::region::Region;
use crate::domain::time::{Moment, Period};
use crate::domain::worker::Tier;
use jiff::civil::Date;
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use uuid::Uuid;

/// What the ledger comes to at a position.
pub struct Folded {
    /// Of everybody who has a hire and was not erased.
    pub accounts: HashMap<Uuid, Account>,
    pub position: Position,
}

#[derive(Deserialize)]
struct TierLeaf {
    tier: Tier,
    since: Date,
}

#[derive(Deserialize)]
struct HireLeaf {
    /// None: it never was.
    state: Option<Box<HireState>>,
}

/// The ledger folded so far, and, where it is counted, the pages that this comes to.
#[derive(Default)]
struct Fold {
    /// Of everybody registered.
    accounts: HashMap<Uuid, Account>,
    erased: HashSet<Uuid>,
    position: Option<Position>,
    /// The entries of locks, with their times.
    locks: Vec<(Moment, LockLeaf)>,
    counting: Option<Counting>,
}

impl Fold {
    /// Goes on up to an entry.
    fn upto(&mut self, s: &mut dyn Sql, last: i64) -> Result<(), StoreError> {
        let sql = "SELECT seq, at, kind, worker, hire, leaf FROM ledger WHERE seq > $1 AND seq <= $2 ORDER BY seq";
        let after = self.position.map_or(i64::MIN, |p| p.seq);
        s.each(sql, params![after, last], &mut |row| self.enter(&row))
    }

    fn enter(&mut self, row: &Row) -> Result<(), StoreError> {
        let (seq, worker, leaf) = (row.int(0)?, row.uuid(3)?, row.text(5)?);
        let corrupt = || StoreError::Corrupt(format!("entry {seq} of the ledger"));
        self.position = Some(Position { seq, at: Some(Moment::from_ms(row.int(1)?)) });
        match row.text(2)? {
            "tier" => {
                let leaf: TierLeaf = serde_json::from_str(leaf).map_err(|_| corrupt())?;
                self.change(worker, |account| {
                    account.tiers.insert(leaf.since, leaf.tier);
                });
            }
            "locked" => {
                let leaf: LockLeaf = serde_json::from_str(leaf).map_err(|_| corrupt())?;
                self.locks.push((Moment::from_ms(row.int(1)?), leaf));
            }
            "erased" => {
                self.change(worker, |account| *account = Account::default());
                self.accounts.remove(&worker);
                self.erased.insert(worker);
            }
            _ => {
                let Some(hire) = row.opt_uuid(4)?.filter(|_| leaf.contains("\"state\":")) else { return Ok(()) };
                let leaf: HireLeaf = serde_json::from_str(leaf).map_err(|_| corrupt())?;
                self.change(worker, |account| match leaf.state {
                    Some(state) => drop(account.hires.insert(hire, state)),
                    None => drop(account.hires.remove(&hire)),
                });
            }
        }
        Ok(())
    }

    /// Changes somebody's account; who was erased stays so.
    fn change(&mut self, worker: Uuid, change: impl FnOnce(&mut Account)) {
        if self.erased.contains(&worker) {
            return;
        }
        let account = self.accounts.entry(worker).or_default();
        let Some(counting) = &mut self.counting else { return change(account) };
        let old = account.clone();
        change(account);
        // Who has no hire comes to nothing.
        if !(old.hires.is_empty() && account.hires.is_empty()) {
            counting.turn(old, account.clone());
        }
    }

    fn done(mut self) -> Folded {
        self.accounts.retain(|_, account| !account.hires.is_empty());
        Folded { accounts: self.accounts, position: self.position.unwrap_or(Position { seq: 0, at: None }) }
    }
}

/// Folds the ledger up to an entry, or all of it.
pub(super) fn fold(s: &mut dyn Sql, upto: Option<i64>) -> Result<Folded, StoreError> {
    let mut fold = Fold::default();
    fold.upto(s, upto.unwrap_or(i64::MAX))?;
    Ok(fold.done())
}

/// Pages that count accounts, kept while these change.
#[derive(Default)]
struct Counting {
    tally: Tally,
    /// Platforms by their number, and the other way round; one without a number gets
    /// the next.
    platforms: Vec<String>,
    numbers: HashMap<String, u16>,
    /// Who changed, and how; not counted yet.
    waiting: Vec<(Account, Account)>,
}

/// Changes that are counted together.
const TOGETHER: usize = 50_000;

impl Counting {
    fn of(tally: Tally, platforms: Vec<String>) -> Self {
        let named = platforms.iter().enumerate().filter(|(_, name)| !name.is_empty());
        let numbers = named.map(|(at, name)| (name.clone(), u16::try_from(at).unwrap_or(u16::MAX))).collect();
        Self { tally, platforms, numbers, waiting: Vec::new() }
    }

    /// Gives those of an account's platforms a number that have none.
    fn number(&mut self, new: &Account) {
        for hire in new.hires.values() {
            if !self.numbers.contains_key(&hire.platform) {
                let next = self.platforms.len().max(1);
                self.platforms.resize(next, String::new());
                self.platforms.push(hire.platform.clone());
                self.numbers.insert(hire.platform.clone(), u16::try_from(next).unwrap_or(u16::MAX));
            }
        }
    }

    /// Somebody came to `old` and comes to `new`.
    fn turn(&mut self, old: Account, new: Account) {
        self.number(&new);
        self.waiting.push((old, new));
        if self.waiting.len() >= TOGETHER {
            self.count();
        }
    }

    fn count(&mut self) {
        let waiting = std::mem::take(&mut self.waiting);
        self.add(&waiting.iter().map(|(old, new)| (old, new)).collect::<Vec<_>>());
    }

    fn add(&mut self, changed: &[(&Account, &Account)]) {
        let numbers = &self.numbers;
        self.tally.add(changed, &|platform: &str| numbers.get(platform).copied().unwrap_or(0));
    }

    /// The pages as they are by now.
    fn settled(&mut self) -> &Tally {
        self.count();
        self.tally.settle();
        &self.tally
    }
}

/// The pages that count these accounts; platforms that have no number get one here.
pub(super) fn tally<'a>(accounts: impl Iterator<Item = &'a Account>, platforms: &mut Vec<String>) -> Tally {
    let mut counting = Counting::of(Tally::default(), std::mem::take(platforms));
    let (nobody, accounts) = (Account::default(), accounts.collect::<Vec<_>>());
    accounts.iter().for_each(|account| counting.number(account));
    counting.add(&accounts.into_iter().map(|account| (&nobody, account)).collect::<Vec<_>>());
    counting.tally.settle();
    *platforms = counting.platforms;
    counting.tally
}

/// What a recount found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recount {
    /// Entries folded, people with hires, pages of cells.
    pub entries: i64,
    pub people: u64,
    pub pages: u64,
    /// Each place where something differs, in words.
    pub differences: Vec<String>,
    /// Of the days of months before this one no pages are kept.
    days_from: Option<Month>,
}

/// Differences told in words; more are counted.
const TOLD: usize = 100;

impl Recount {
    fn differs(&mut self, what: impl FnOnce() -> String) {
        if self.differences.len() < TOLD {
            self.differences.push(what());
        }
    }
}

fn compare_accounts(s: &mut dyn Sql, folded: &Folded, out: &mut Recount) -> Result<(), StoreError> {
    let mut seen: HashSet<Uuid> = HashSet::new();
    let sql = "SELECT w.id, a.packed, a.home, a.worker FROM accounts a JOIN workers w ON w.handle = a.handle
               WHERE LENGTH(a.packed) > 0 ORDER BY a.handle";
    s.each(sql, &[], &mut |row| {
        let id = row.uuid(0)?;
        seen.insert(id);
        let account = account(row.blob(1)?)?;
        if folded.accounts.get(&id) != Some(&account) {
            out.differs(|| format!("person {id}: the account differs from the ledger"));
        } else if row.int(2)? != books::place_of(&account) || row.uuid(3)? != id {
            out.differs(|| format!("person {id}: the account stands in the place of another"));
        }
        Ok(())
    })?;
    let lost: BTreeSet<&Uuid> = folded.accounts.keys().filter(|id| !seen.contains(*id)).collect();
    lost.into_iter().for_each(|id| out.differs(|| format!("person {id}: in the ledger, without an account")));
    Ok(())
}

/// Compares the accounts that follow from the facts in the tables now with the ledger's.
fn compare_facts(s: &mut dyn Sql, folded: &Folded, stale_months: u32, out: &mut Recount) -> Result<(), StoreError> {
    let mut after = i64::MIN;
    loop {
        let people = books::people_with_hires(s, after)?;
        let Some(last) = people.last() else { return Ok(()) };
        after = last.handle;
        let now = books::counted(s, &people, stale_months)?;
        for person in &people {
            let (told, is) = (folded.accounts.get(&person.id), now.get(&person.id).filter(|a| !a.hires.is_empty()));
            if told != is {
                out.differs(|| format!("person {}: the facts come to something else than the ledger tells", person.id));
            }
        }
    }
}

/// Compares pages with those that a fold makes; `locked` names a period whose pages
/// are some of those.
fn compare_cells(s: &mut dyn Sql, mut expected: Expected, locked: Option<&str>, out: &mut Recount) -> Result<(), StoreError> {
    let place = |key: i64| match (region_of(key), locked) {
        (Ok(region), None) => format!("cell {key} ({})", region.full_name()),
        (Ok(region), Some(period)) => format!("locked {period}, cell {key} ({})", region.full_name()),
        (Err(_), _) => format!("cell {key} (no place)"),
    };
    // Days of months that are over for so long are not compared: they are deleted in time.
    let first = out.days_from;
    let is_over = |key: i64| first.is_some_and(|first| is_of_days_before(key, first));
    let mut rollups = locked.is_none().then(|| rollups::Comparing::start(s, is_over)).transpose()?;
    let mut look = |row: Row| -> Result<(), StoreError> {
        let key = row.int(0)?;
        if is_over(key) {
            return Ok(());
        }
        let right = rollups.as_mut().map_or(Ok(true), |rollups| rollups.look(key, row.blob(1)?))?;
        if is_of_rollups(key) {
            out.pages += 1;
            if !right {
                out.differs(|| format!("{}: differs from the pages it adds up", place(key)));
            }
            return Ok(());
        }
        if is_of_offers(key) {
            return Ok(());
        }
        out.pages += 1;
        let (found, right) = (row.blob(1)?, expected.remove(&key).unwrap_or_default());
        // Older versions wrote the same page in other bytes.
        if *found != *right && Page::from_bytes(found) != Page::from_bytes(&right) {
            out.differs(|| format!("{}: differs from the ledger", place(key)));
        }
        Ok(())
    };
    match locked {
        None => s.each("SELECT cell, page FROM cells ORDER BY cell", &[], &mut look)?,
        Some(period) => s.each("SELECT cell, page FROM locked_cells WHERE period = $1 ORDER BY cell", params![period], &mut look)?,
    }
    let mut lost: Vec<i64> = expected.into_keys().collect();
    lost.sort_unstable();
    lost.into_iter().for_each(|key| out.differs(|| format!("{}: in the ledger, without its page", place(key))));
    for key in rollups.map_or_else(|| Ok(Vec::new()), rollups::Comparing::lost)? {
        out.differs(|| format!("{}: there are pages for it to add up, and it is not there", place(key)));
    }
    Ok(())
}

/// Pages as the store keeps them, by cell.
type Expected = HashMap<i64, Box<[u8]>>;

/// What cells hold where these pages are right: what waits is not in them yet.
fn expected_of_cells(s: &mut dyn Sql, mut tally: Tally, days_from: Month) -> Result<Expected, StoreError> {
    additions::taken_away(s, false)?.pages().for_each(|(place, page)| tally.merge(*place, page.clone()));
    let mut expected: Expected = tally.into_pages().map(|(place, bytes)| (cell(&place), bytes)).collect();
    expected.retain(|key, _| !is_of_offers(*key) && !is_of_days_before(*key, days_from));
    Ok(expected)
}

/// Folds the ledger once and compares all that is counted, and the facts, with it, and on
/// the way what each period was locked with.
pub(super) fn recount(s: &mut dyn Sql, stale_months: u32) -> Result<Recount, StoreError> {
    let mut locked = Vec::new();
    for period in periods::locked_periods(s)? {
        locked.push(Locked { period, locks: periods::locks(s, period)?, pages: Expected::new() });
    }
    let mut stops: Vec<i64> = locked.iter().flat_map(|l| &l.locks).map(|lock| lock.position).collect();
    stops.sort_unstable();
    stops.dedup();
    // Cells are kept as the newest entry found them.
    let newest = s.one("SELECT at FROM ledger ORDER BY seq DESC LIMIT 1", &[])?.map_or(Ok(0), |row| row.int(0))?;
    let first = Month::of(number(Moment::from_ms(newest).day())).first_with_days();
    let counting = Counting::of(Tally::with_days_from(first), platforms(s)?);
    let (mut out, mut fold) =
        (Recount { days_from: Some(first), ..Recount::default() }, Fold { counting: Some(counting), ..Fold::default() });
    for stop in stops {
        fold.upto(s, stop)?;
        if let Some(counting) = &mut fold.counting {
            let tally = counting.settled();
            locked.iter_mut().try_for_each(|l| l.stand_at(stop, tally, &mut out))?;
        }
    }
    fold.upto(s, i64::MAX)?;
    let mut counting = fold.counting.take().unwrap_or_default();
    counting.settled();
    let tally = counting.tally;
    for what in periods::differ(s, std::mem::take(&mut fold.locks))? {
        out.differs(|| what);
    }
    let folded = fold.done();
    (out.entries, out.people) = (folded.position.seq, folded.accounts.len() as u64);
    compare_accounts(s, &folded, &mut out)?;
    compare_facts(s, &folded, stale_months, &mut out)?;
    let expected = expected_of_cells(s, tally, first)?;
    compare_cells(s, expected, None, &mut out)?;
    for Locked { period, pages, .. } in locked {
        compare_cells(s, pages, Some(&period.to_string()), &mut out)?;
    }
    seekers::compare(s, &mut out)?;
    Ok(out)
}

/// A period of which something is locked, and the pages that it is to have.
struct Locked {
    period: Period,
    locks: Vec<Lock>,
    pages: Expected,
}

impl Locked {
    /// Compares the figures of the locks at this position with what the ledger came to
    /// there, and keeps their pages. A part that was locked before the whole keeps what
    /// it had.
    fn stand_at(&mut self, position: i64, tally: &Tally, out: &mut Recount) -> Result<(), StoreError> {
        let buckets = cells::locked_buckets(self.period);
        for (at, lock) in self.locks.iter().enumerate().filter(|(_, lock)| lock.position == position) {
            let own = |region: Region| self.locks.iter().position(|l| region.is_within(l.region)) == Some(at);
            let kept = tally.pages().filter(|(place, _)| own(place.region) && buckets.contains(&(place.bucket, place.axis)));
            self.pages.extend(kept.map(|(place, bytes)| (cell(place), bytes.into())));
            let mut figures = cells::figures(tally, self.period)?;
            figures.retain(|region, _| own(*region));
            let told = lock.figures.iter().filter_map(|(code, figure)| Some((Region::parse(code)?, *figure)));
            let told: BTreeMap<Region, Figure> = told.filter(|(region, f)| own(*region) && *f != Figure::default()).collect();
            let regions: BTreeSet<&Region> = figures.keys().chain(told.keys()).collect();
            for region in regions.into_iter().filter(|r| figures.get(r) != told.get(r)) {
                let (period, name) = (self.period, region.full_name());
                out.differs(|| format!("locked {period}, figure of {name}: differs from the ledger"));
            }
        }
        Ok(())
    }
}

/// Compares facts, counters and locked reports with the ledger, once its entries have
/// been found to be those that were sealed.
pub struct Counters {
    stale_months: u32,
    entries: i64,
}

impl Counters {
    pub fn of(stale_months: u32) -> Self {
        Self { stale_months, entries: 0 }
    }
}

impl Beside for Counters {
    fn entry(&mut self, entry: &Entry<'_>) {
        self.entries = entry.seq;
    }

    fn finish(&mut self, s: &mut dyn Sql, findings: &mut Vec<Finding>) -> Result<(), StoreError> {
        // What was made of entries that are not the sealed ones says nothing more.
        if findings.is_empty() {
            let found = recount(s, self.stale_months)?;
            findings.extend(found.differences.into_iter().map(|what| Finding { seq: self.entries, what }));
        }
        Ok(())
    }
}

impl Store {
    /// Folds the whole ledger and compares facts, accounts and cells with it, and what was
    /// locked with a fold up to its position.
    pub async fn recount(&self) -> Result<Recount, StoreError> {
        let stale_months = self.stale_months;
        self.read(move |s| recount(s, stale_months)).await
    }

    /// Counts everybody anew whose hires were counted under another rule, or not at all
    /// (a store of an older version); says how many there were. It goes on where it was
    /// stopped.
    pub async fn count_anew(&self, now: Moment) -> Result<u64, StoreError> {
        let rule = format!("stale_months={}", self.stale_months);
        let mut people = 0;
        loop {
            let rule = rule.clone();
            let slice = self.write(move |tx| {
                let meta = |tx: &mut super::writer::Tx<'_>, name| -> Result<Option<String>, StoreError> {
                    let row = tx.one("SELECT value FROM meta WHERE name = $1", params![name])?;
                    row.map(|r| r.text(0).map(str::to_owned)).transpose()
                };
                if meta(tx, "counted")?.as_ref() == Some(&rule) {
                    return Ok(None);
                }
                // Who was counted under this rule already, in what was begun.
                let begun = meta(tx, "counting")?;
                let after = begun.as_deref().and_then(|text| text.strip_prefix(&format!("{rule} "))?.parse().ok()).unwrap_or(i64::MIN);
                let people = books::people_with_hires(tx, after)?;
                people.iter().for_each(|p| tx.books.touch(p.id, now));
                let (name, value) = match people.last() {
                    Some(last) => ("counting", format!("{rule} {}", last.handle)),
                    None => ("counted", rule.clone()),
                };
                tx.exec(
                    "INSERT INTO meta (name, value) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET value = excluded.value",
                    params![name, value],
                )?;
                Ok(Some(people.len() as u64))
            });
            match slice.await? {
                None => return Ok(people),
                Some(n) => people += n,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hire_that_never_was_is_told_from_an_entry_that_says_nothing_of_it() {
        assert!(serde_json::from_str::<HireLeaf>(r#"{"state":null}"#).unwrap().state.is_none());
        assert!(serde_json::from_str::<HireLeaf>(r#"{"state":{"platform":"meituan"}}"#).is_err(), "half a state is none");
    }
}
