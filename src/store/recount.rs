//! Accounts and cells counted anew, from the ledger alone.
//!
//! Those who look for work, of whom the ledger tells nothing, are counted anew from each
//! person and offer ([`seekers`]).
//!
//! Promises: what a fold comes to depends on the entries up to a position and on
//! nothing else, so that it is the same for every caller and for ever; where facts,
//! accounts, cells, or what offices signed, locked and stated differ from it, that is told.
//! Start at: [`verify_at`], [`Store::recount`]. What follows the ledger and what needs
//! the tables alone are read beside each other, in one state of the store.

mod acts;
mod counting;
mod facts;
mod fold;
mod locked;
mod pages;
mod seekers;

pub(super) use counting::tally;
pub(super) use fold::{Folded, Packed, fold};

use super::Store;
use super::books;
use super::cells::platforms;
use super::engine::{Engine, Sql, StoreError, params};
use super::seals::verify::{Asked, Finding, Verdict, must_be_of_today, readable, verify};
use super::seals::{Entry, entry};
use crate::domain::account::number;
use crate::domain::cells::{Month, Tally};
use crate::domain::time::Moment;
use crate::threads::both;
use acts::Acts;
use counting::Counting;
use facts::Facts;
use fold::Fold;
use locked::Locked;
use std::collections::{BTreeSet, HashSet};
use uuid::Uuid;

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

/// Differences told in words; of more it is said that there are some.
const TOLD: usize = 100;

impl Recount {
    fn differs(&mut self, what: impl FnOnce() -> String) {
        match self.differences.len() {
            ..TOLD => self.differences.push(what()),
            TOLD => self.differences.push("and more than these".to_owned()),
            _ => {}
        }
    }
}

/// The half of a recount that follows the ledger, entry by entry.
struct Recounting {
    fold: Fold,
    acts: Acts,
    counting: Counting,
    locked: Vec<Locked>,
    /// Where something was locked that was not looked at yet.
    stops: BTreeSet<i64>,
    out: Recount,
}

impl Recounting {
    fn start(s: &mut dyn Sql) -> Result<Self, StoreError> {
        let locked = Locked::read(s)?;
        let stops = locked.iter().flat_map(Locked::positions).collect();
        // Cells are kept as the newest entry found them.
        let newest = s.one("SELECT at FROM ledger ORDER BY seq DESC LIMIT 1", &[])?.map_or(Ok(0), |row| row.int(0))?;
        let first = Month::of(number(Moment::from_ms(newest).day())).first_with_days();
        let counting = Counting::of(Tally::with_days_from(first), platforms(s)?);
        let out = Recount { days_from: Some(first), ..Recount::default() };
        Ok(Self { fold: Fold::counted(), acts: Acts::default(), counting, locked, stops, out })
    }

    fn enter(&mut self, entry: &Entry<'_>) -> Result<(), StoreError> {
        self.stop_before(entry.seq)?;
        self.acts.enter(entry)?;
        self.fold.enter(entry)
    }

    /// Compares what was locked at positions before this one with what the ledger came to.
    fn stop_before(&mut self, seq: i64) -> Result<(), StoreError> {
        while let Some(stop) = self.stops.first().copied().filter(|stop| *stop < seq) {
            self.stops.remove(&stop);
            self.fold.count(&mut self.counting);
            let tally = self.counting.settled();
            self.locked.iter_mut().try_for_each(|l| l.stand_at(stop, tally, &mut self.out))?;
        }
        Ok(())
    }

    fn finish(mut self, s: &mut dyn Sql, aside: Aside) -> Result<Recount, StoreError> {
        self.stop_before(i64::MAX)?;
        self.fold.count(&mut self.counting);
        self.counting.settled();
        let (mut out, tally) = (self.out, self.counting.tally);
        self.acts.differ(s)?.into_iter().for_each(|what| out.differs(|| what));
        let folded = self.fold.done();
        (out.entries, out.people) = (folded.position.seq, folded.accounts.len() as u64);
        compare_accounts(s, &folded, &mut out)?;
        aside.facts.compare(&folded.accounts, &mut out);
        drop(folded);
        let expected = pages::expected(s, tally, out.days_from)?;
        pages::compare(s, expected, None, &mut out)?;
        for Locked { period, pages, .. } in self.locked {
            pages::compare(s, pages, Some(&period.to_string()), &mut out)?;
        }
        aside.seekers.into_iter().for_each(|what| out.differs(|| what));
        Ok(out)
    }
}

/// The other half, which the ledger is not needed for: read beside it, in the same state of
/// the store.
struct Aside {
    facts: Facts,
    /// Differences of those who look for work.
    seekers: Vec<String>,
}

impl Aside {
    fn read(s: &mut dyn Sql, stale_months: u32) -> Result<Self, StoreError> {
        Ok(Self { facts: Facts::read(s, stale_months)?, seekers: seekers::differ(s)? })
    }
}

fn compare_accounts(s: &mut dyn Sql, folded: &Folded, out: &mut Recount) -> Result<(), StoreError> {
    let mut seen: HashSet<Uuid> = HashSet::with_capacity(folded.accounts.len());
    let sql = "SELECT w.id, a.packed, a.home, a.worker FROM accounts a JOIN workers w ON w.handle = a.handle
               WHERE LENGTH(a.packed) > 0 ORDER BY a.handle";
    s.each(sql, &[], &mut |row| {
        let id = row.uuid(0)?;
        seen.insert(id);
        let account = books::account(row.blob(1)?)?;
        if folded.accounts.get(&id).map(Packed::account).as_ref() != Some(&account) {
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

/// Folds the ledger once and compares all that is counted, and the facts, with it, and on
/// the way what each period was locked with.
fn recount(engine: &dyn Engine, stale_months: u32) -> Result<Recount, StoreError> {
    let [mut here, mut beside] = engine.read_beside()?;
    let fold = || {
        let mut recounting = Recounting::start(&mut *here)?;
        here.each(entry!("WHERE seq > $1 ORDER BY seq"), params![i64::MIN], &mut |row| recounting.enter(&Entry::read(&row)?))?;
        Ok::<_, StoreError>(recounting)
    };
    let (recounting, aside) = both(fold, || Aside::read(&mut *beside, stale_months));
    recounting?.finish(&mut *here, aside?)
}

/// Looks over the log of the store behind a URL, and compares facts, counters and locked
/// reports with it, once its entries were found to be those that were sealed.
pub fn verify_at(url: &str, asked: &Asked, stale_months: u32) -> Result<Verdict, StoreError> {
    let [mut here, mut beside] = readable(url)?.read_beside()?;
    must_be_of_today(&mut *here)?;
    let walk = || {
        let mut recounting = Recounting::start(&mut *here);
        let verdict = verify(&mut *here, asked, &mut |entry| {
            let fault = recounting.as_mut().ok().and_then(|recounting| recounting.enter(entry).err());
            if let Some(fault) = fault {
                recounting = Err(fault);
            }
        });
        verdict.map(|verdict| (verdict, recounting))
    };
    let (walked, aside) = both(walk, || Aside::read(&mut *beside, stale_months));
    let (mut verdict, recounting) = walked?;
    // What was made of entries that are not the sealed ones says nothing more.
    if verdict.findings.is_empty() {
        let found = recounting?.finish(&mut *here, aside?)?;
        verdict.findings.extend(found.differences.into_iter().map(|what| Finding { seq: verdict.entries, what }));
    }
    Ok(verdict)
}

impl Store {
    /// Folds the whole ledger and compares facts, accounts and cells with it, and what was
    /// locked with a fold up to its position.
    pub async fn recount(&self) -> Result<Recount, StoreError> {
        let (engine, stale_months) = (self.engine.clone(), self.stale_months);
        let counted = tokio::task::spawn_blocking(move || recount(engine.as_ref(), stale_months));
        counted.await.map_err(|e| StoreError::Unavailable(e.to_string()))?
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
    fn of_differences_that_are_too_many_it_is_said_that_there_are_more() {
        let mut out = Recount::default();
        (0..TOLD).for_each(|n| out.differs(|| n.to_string()));
        assert_eq!(out.differences.last().map(String::as_str), Some("99"));
        (0..3).for_each(|n| out.differs(|| n.to_string()));
        assert_eq!(out.differences.len(), TOLD + 1);
        assert_eq!(out.differences.last().map(String::as_str), Some("and more than these"));
    }
}
