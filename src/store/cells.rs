//! Cells as reports read them.
//!
//! Promises: one state of the store; a sheet of a locked period is what was locked;
//! nothing is added up but pages, so that what a report costs does not grow with the
//! people it counts.
//! Does not: write a cell; [`books`](super::books) does.

mod asked;

use super::books::{account, cell, first_cell, last_cell, page, platform_number, region_of, strip_of};
use super::engine::bulk::Bulk;
use super::engine::{Sql, StoreError, Val, params};
use super::periods::Beside;
use super::recount::{self, Folded, Packed};
use super::writer::Tx;
use super::{Store, additions, rollups};
use crate::domain::account::{Account, number};
use crate::domain::category::Category;
use crate::domain::cells::{Axis, Bucket, Change, Month, Offered, Page, Place, Section, Sections, Tally, offers_of, whole_of};
use crate::domain::closing::Figure;
use crate::domain::region::Region;
use crate::domain::time::{Moment, Period, from_day_number};
pub(in crate::store) use asked::Look;
pub use asked::{Asked, Fine};
use std::collections::{BTreeMap, HashMap, HashSet};
use uuid::Uuid;

/// Where figures come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// The cells as they stand now.
    Live,
    /// The cells as they stood when this period was locked.
    Locked(Period),
    /// A fold of the ledger up to this entry.
    AsOf(i64),
}

/// The pages of one day, and what their numbers mean.
#[derive(Clone, Debug)]
pub struct Sheet {
    /// By place, in order.
    pub pages: Vec<(Region, Page)>,
    /// The platforms by their numbers.
    pub platforms: Vec<String>,
    pub as_of: Position,
}

/// How far the ledger had come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    pub seq: i64,
    /// When its last entry was written.
    pub at: Option<Moment>,
}

impl Sheet {
    /// The platform of a number.
    pub fn platform(&self, number: u16) -> &str {
        self.platforms.get(usize::from(number)).map_or("", String::as_str)
    }
}

/// From one in so many homes on, pages of all are read.
pub(super) const MANY: usize = 8;

/// The regions that a caller sees: none means all.
pub type Within = Option<Vec<Region>>;

/// The regions within one, coarser places in it among them.
pub fn within(bound: Region) -> Within {
    (bound != Region::NATION).then(|| Region::all().filter(|r| r.is_within(bound)).collect())
}

/// Whether a caller sees a region; those of [`Within`] are in order.
fn holds(of: &Within, region: Region) -> bool {
    of.as_ref().is_none_or(|regions| regions.binary_search(&region).is_ok())
}

fn read_bucket(
    s: &mut dyn Sql,
    locked: Option<&str>,
    (bucket, axis): (Bucket, Axis),
    of: &Within,
    look: Look<'_>,
) -> Result<(), StoreError> {
    static FEW: Bulk = Bulk::keys("SELECT cell, page FROM cells WHERE cell IN {list}", 0);
    static FEW_LOCKED: Bulk = Bulk::keys("SELECT cell, page FROM locked_cells WHERE period = $1 AND cell IN {list}", 1);
    let mut row = |row: super::engine::Row| look(region_of(row.int(0)?)?, row.blob(1)?);
    let (first, last) = (first_cell(bucket, axis), last_cell(bucket, axis));
    match of {
        None => {
            match locked {
                None => s.each("SELECT cell, page FROM cells WHERE cell BETWEEN $1 AND $2", params![first, last], &mut row),
                Some(period) => s.each(
                    "SELECT cell, page FROM locked_cells WHERE period = $1 AND cell BETWEEN $2 AND $3",
                    params![period, first, last],
                    &mut row,
                ),
            }?;
        }
        Some(regions) => {
            let mut keys: Vec<i64> = regions.iter().map(|region| cell(&Place { bucket, axis, region: *region })).collect();
            keys.sort_unstable();
            let keys: Vec<Val> = keys.into_iter().map(Val::from).collect();
            let mut rows = match locked {
                None => FEW.query(s, &[], &keys)?,
                Some(period) => FEW_LOCKED.query(s, params![period], &keys)?,
            };
            // A list is filled up with its last key.
            rows.sort_by_key(|r| r.int(0).unwrap_or(0));
            rows.dedup_by_key(|r| r.int(0).unwrap_or(0));
            rows.into_iter().try_for_each(&mut row)?;
        }
    }
    if locked.is_some() {
        return Ok(());
    }
    additions::waiting(s, (bucket, axis), &mut |region, page| if holds(of, region) { look(region, page) } else { Ok(()) })
}

/// Copies the pages that reports of a period are made from, as they stand: of the
/// period's last day, of what happened in it, and of the end of the year before.
pub(super) fn freeze(tx: &mut Tx<'_>, period: Period, top: Region) -> Result<(), StoreError> {
    static FEW: Bulk = Bulk::keys(
        "INSERT INTO locked_cells (period, cell, page) SELECT CAST($1 AS TEXT), cell, page FROM cells WHERE cell IN {list}
         ON CONFLICT (period, cell) DO NOTHING",
        1,
    );
    let (name, within) = (period.to_string(), within(top));
    let waiting = waiting(tx, &name, &within, period)?;
    for (bucket, axis) in locked_buckets(period) {
        match &within {
            None => tx.exec(
                "INSERT INTO locked_cells (period, cell, page) SELECT CAST($1 AS TEXT), cell, page FROM cells WHERE cell BETWEEN $2 AND $3
                 ON CONFLICT (period, cell) DO NOTHING",
                params![name.as_str(), first_cell(bucket, axis), last_cell(bucket, axis)],
            )?,
            Some(regions) => {
                let key = |region: &Region| Val::from(cell(&Place { bucket, axis, region: *region }));
                FEW.exec(tx, params![name.as_str()], &regions.iter().map(key).collect::<Vec<_>>())?
            }
        };
    }
    for (place, added) in waiting.pages() {
        let key = cell(place);
        let copied = tx.one("SELECT page FROM locked_cells WHERE period = $1 AND cell = $2", params![name.as_str(), key])?;
        let mut whole = copied.map_or_else(|| Ok(Page::default()), |row| page(row.blob(0)?, Sections::ALL))?;
        whole.merge(added);
        tx.exec(
            "INSERT INTO locked_cells (period, cell, page) VALUES ($1, $2, $3) ON CONFLICT (period, cell) DO UPDATE SET page = excluded.page",
            params![name.as_str(), key, whole.to_bytes()],
        )?;
    }
    Ok(())
}

/// What no cell holds yet of what a lock keeps, but for places that are locked already.
fn waiting(tx: &mut Tx<'_>, name: &str, of: &Within, period: Period) -> Result<Change, StoreError> {
    let mut waiting = Change::default();
    for (bucket, axis) in locked_buckets(period) {
        let sql = "SELECT cell FROM locked_cells WHERE period = $1 AND cell BETWEEN $2 AND $3";
        let locked = tx.query(sql, params![name, first_cell(bucket, axis), last_cell(bucket, axis)])?;
        let locked = locked.iter().map(|row| region_of(row.int(0)?)).collect::<Result<HashSet<_>, _>>()?;
        additions::waiting(tx, (bucket, axis), &mut |region, added| {
            if holds(of, region) && !locked.contains(&region) {
                waiting.merge(Place { bucket, axis, region }, &page(added, Sections::ALL)?);
            }
            Ok(())
        })?;
    }
    Ok(waiting)
}

/// The buckets whose pages a lock of a period keeps.
pub(super) fn locked_buckets(period: Period) -> Vec<(Bucket, Axis)> {
    let last = Month::of(number(period.last_day()));
    let (turns, _) = whole_of(period, number(period.last_day()));
    let homes = turns.into_iter().chain(offers_of(period)).chain([Bucket::month(year_end(period))]);
    let mut all: Vec<(Bucket, Axis)> = homes.map(|bucket| (bucket, Axis::Home)).collect();
    all.extend(Axis::ALL.map(|axis| (Bucket::month(last), axis)));
    all.sort_unstable();
    all.dedup();
    all
}

/// The last month of the year before a period.
fn year_end(period: Period) -> Month {
    Month::of(number(period.first_day().first_of_year()) - 1)
}

/// Somebody was counted in some month up to this one.
fn is_known(s: &mut dyn Sql, last: Month) -> Result<bool, StoreError> {
    let (first, until) = (0i64, last_cell(Bucket::month(last), Axis::Home));
    let waits = "SELECT 1 FROM additions WHERE strip <= $1 LIMIT 1";
    Ok(s.one("SELECT 1 FROM cells WHERE cell BETWEEN $1 AND $2 LIMIT 1", params![first, until])?.is_some()
        || s.one(waits, params![strip_of(Bucket::month(last), Axis::Home)])?.is_some())
}

/// All platforms by their number.
pub(super) fn platforms(s: &mut dyn Sql) -> Result<Vec<String>, StoreError> {
    let mut out = Vec::new();
    for row in s.query("SELECT number, platform FROM platform_numbers", &[])? {
        let at = usize::from(platform_number(&row, 0)?);
        if out.len() <= at {
            out.resize(at + 1, String::new());
        }
        out[at] = row.text(1)?.to_owned();
    }
    Ok(out)
}

/// A sheet within a read of the store.
pub(super) fn sheet(s: &mut dyn Sql, from: Source, axis: Axis, of: &Within, (asked, fine): (Asked, Fine)) -> Result<Sheet, StoreError> {
    let mut names = platforms(s)?;
    let position = |(seq, at)| Position { seq, at };
    let (pages, as_of) = match from {
        Source::Live | Source::Locked(_) => {
            let locked = if let Source::Locked(period) = from { Some(period.to_string()) } else { None };
            let rolled_up = locked.is_none() && of.is_none() && fine.is_of_provinces();
            let missing = if rolled_up { rollups::missing(s)? } else { HashSet::new() };
            let pages = asked.read(fine, |bucket, look| {
                if !rolled_up || missing.contains(&strip_of(bucket, axis)) {
                    return read_bucket(s, locked.as_deref(), (bucket, axis), of, look);
                }
                read_bucket(s, None, (bucket.rolled_up(), axis), of, look)?;
                additions::waiting(s, (bucket, axis), look)
            })?;
            (pages, position(super::log::ledger_end(s)?))
        }
        Source::AsOf(seq) => {
            let folded = recount::fold(s, Some(seq))?;
            let pages = folded_pages(&folded, axis, of, (asked, fine), &mut names)?;
            (pages, folded.position)
        }
    };
    Ok(Sheet { pages, platforms: names, as_of })
}

fn folded_pages(
    folded: &Folded,
    axis: Axis,
    of: &Within,
    asked: (Asked, Fine),
    names: &mut Vec<String>,
) -> Result<Vec<(Region, Page)>, StoreError> {
    put_together(&recount::tally(folded.accounts.values().map(Packed::account), names), axis, of, asked)
}

fn put_together(tally: &Tally, axis: Axis, of: &Within, (asked, fine): (Asked, Fine)) -> Result<Vec<(Region, Page)>, StoreError> {
    let mut by_bucket: HashMap<Bucket, Vec<(Region, &[u8])>> = HashMap::new();
    for (place, bytes) in tally.pages().filter(|(p, _)| p.axis == axis) {
        if holds(of, place.region) {
            by_bucket.entry(place.bucket).or_default().push((place.region, bytes));
        }
    }
    asked.read(fine, |bucket, look| by_bucket.get(&bucket).into_iter().flatten().try_for_each(|(region, bytes)| look(*region, bytes)))
}

/// Offers made in some months, by the home of those to whom they were made; of these
/// homes, which are in order.
pub(super) fn offers_made(
    s: &mut dyn Sql,
    homes: &[Region],
    months: impl Iterator<Item = Month>,
) -> Result<BTreeMap<Region, u64>, StoreError> {
    let of = (homes.len() < Region::leaf_count() / MANY).then(|| homes.to_vec());
    let mut made: BTreeMap<Region, i64> = BTreeMap::new();
    for month in months {
        read_bucket(s, None, (Bucket::offers(month), Axis::Home), &of, &mut |home, bytes| {
            if homes.binary_search(&home).is_ok() {
                let page = page(bytes, Sections::of(&[Section::Offer]))?;
                let offers = page.section(Section::Offer).filter(|(_, what, _)| *what == Offered::Made as u16);
                *made.entry(home).or_default() += offers.map(|(_, _, n)| n).sum::<i64>();
            }
            Ok(())
        })?;
    }
    Ok(made.into_iter().filter_map(|(home, n)| Some((home, u64::try_from(n).ok().filter(|n| *n > 0)?))).collect())
}

/// The figures that are signed of a period, by home, as these pages have them; those
/// that are all zero are left out.
pub(super) fn figures(tally: &Tally, period: Period) -> Result<BTreeMap<Region, Figure>, StoreError> {
    let pages = put_together(tally, Axis::Home, &None, (Asked::Standing(period.last_day(), Sections::FLOW), Fine::Places))?;
    let figures = pages.into_iter().map(|(region, page)| (region, Figure::of(&page, period.kind())));
    Ok(figures.filter(|(_, figure)| *figure != Figure::default()).collect())
}

/// The people of some counties with what is counted of them.
pub struct People {
    /// By the home of their last hire, in the order of home and id.
    pub people: Vec<(Region, Uuid, Account)>,
    pub as_of: Position,
}

/// Postings that came in a period, and their openings, by platform and trade.
pub type PostingCounts = BTreeMap<(String, Category), (u64, u64)>;

impl Store {
    /// Who worked at the end of the year before a period, by home; none where nobody had
    /// been counted by then.
    pub async fn year_end(&self, from: Source, of: Within, period: Period) -> Result<Option<Sheet>, StoreError> {
        self.read(move |s| {
            let last = year_end(period);
            let asked = Asked::Standing(from_day_number(last.last_day().into()), Sections::FLOW);
            let known = match from {
                Source::Live => is_known(s, last)?,
                Source::Locked(period) => {
                    let sql = "SELECT beside FROM period_locks WHERE period = $1";
                    let mut known = false;
                    for row in s.query(sql, params![period.to_string()])? {
                        let beside: Beside = serde_json::from_str(row.text(0)?).map_err(|_| StoreError::Corrupt("a lock".to_owned()))?;
                        known |= beside.year_end_known;
                    }
                    known
                }
                Source::AsOf(_) => true,
            };
            let sheet = known.then(|| sheet(s, from, Axis::Home, &of, (asked, Fine::Places))).transpose()?;
            Ok(sheet.filter(|sheet| from != Source::AsOf(sheet.as_of.seq) || !sheet.pages.is_empty()))
        })
        .await
    }

    /// Whether somebody had been counted by the end of the year before a period.
    pub async fn is_year_end_known(&self, period: Period) -> Result<bool, StoreError> {
        self.read(move |s| is_known(s, year_end(period))).await
    }

    /// Counts the postings that came from one moment up to another.
    pub async fn posting_counts(&self, from: Moment, before: Moment) -> Result<PostingCounts, StoreError> {
        self.read(move |s| {
            let sql = "SELECT platform, category, COUNT(*), CAST(SUM(total_declared) AS BIGINT) FROM postings
                       WHERE created_at >= $1 AND created_at < $2 GROUP BY platform, category";
            let mut out = PostingCounts::new();
            for row in s.query(sql, params![from.ms(), before.ms()])? {
                let category = usize::try_from(row.int(1)?).ok().and_then(|at| Category::ALL.get(at).copied()).unwrap_or(Category::Other);
                out.insert((row.text(0)?.to_owned(), category), (u64::from(row.count(2)?), u64::try_from(row.int(3)?).unwrap_or(0)));
            }
            Ok(out)
        })
        .await
    }

    /// The pages of the places that a caller sees, put together as asked.
    pub async fn sheet(&self, from: Source, axis: Axis, of: Within, asked: Asked) -> Result<Sheet, StoreError> {
        self.sheet_of(from, axis, of, asked, Fine::Places).await
    }

    /// These pages, told apart no more finely than asked: what is added up as it is read
    /// costs less than what is put together first.
    pub async fn sheet_of(&self, from: Source, axis: Axis, of: Within, asked: Asked, fine: Fine) -> Result<Sheet, StoreError> {
        self.read(move |s| sheet(s, from, axis, &of, (asked, fine))).await
    }

    /// What is made of several sheets, all read in one state of the store; each is
    /// dropped before the next is read, since one of the nation is large.
    pub async fn sheets<T: Send + 'static>(
        &self,
        axis: Axis,
        of: Within,
        asked: Vec<(Source, Asked)>,
        fine: Fine,
        make: impl Fn(usize, Sheet) -> T + Send + 'static,
    ) -> Result<Vec<T>, StoreError> {
        self.read(move |s| {
            let one = |(at, (from, asked)): (usize, (Source, Asked))| Ok(make(at, sheet(s, from, axis, &of, (asked, fine))?));
            asked.into_iter().enumerate().map(one).collect()
        })
        .await
    }

    /// What is counted of the people whose last hire is from these counties, as it stands
    /// or stood at a position of the ledger.
    pub async fn people(&self, as_of: Option<i64>, homes: Vec<Region>) -> Result<People, StoreError> {
        static HERE: Bulk = Bulk::keys("SELECT worker, packed FROM accounts WHERE home IN {list}", 0);
        self.read(move |s| {
            let (everybody, as_of): (Vec<(Uuid, Account)>, _) = match as_of {
                None => {
                    let keys: Vec<Val> = homes.iter().map(|home| Val::from(home.code())).collect();
                    let rows = HERE.query(s, &[], &keys)?;
                    let read = |r: &super::engine::Row| Ok((r.uuid(0)?, account(r.blob(1)?)?));
                    let (seq, at) = super::log::ledger_end(s)?;
                    (rows.iter().map(read).collect::<Result<_, StoreError>>()?, Position { seq, at })
                }
                Some(seq) => {
                    let folded = recount::fold(s, Some(seq))?;
                    (folded.accounts.iter().map(|(id, packed)| (*id, packed.account())).collect(), folded.position)
                }
            };
            let here = |(id, account): (Uuid, Account)| Some((account.last_home().filter(|home| homes.contains(home))?, id, account));
            let mut people: Vec<_> = everybody.into_iter().filter_map(here).collect();
            people.sort_by_key(|(home, id, _)| (*home, *id));
            // A list is filled up with its last key.
            people.dedup_by_key(|(_, id, _)| *id);
            Ok(People { people, as_of })
        })
        .await
    }

    /// Deletes the pages of the days of months that are over for so long that nobody asks
    /// for them, in slices, and what waits to be added to them; says how many pages.
    pub async fn forget_days(&self, now: Moment) -> Result<u64, StoreError> {
        let (first, end) = Bucket::days_before(Month::of(number(now.day())).first_with_days());
        let mut all = 0;
        for (first, end) in [(first, end), (first.rolled_up(), end.rolled_up())] {
            let rows = "DELETE FROM additions WHERE strip >= $1 AND strip < $2";
            self.write(move |tx| tx.exec(rows, params![strip_of(first, Axis::Home), strip_of(end, Axis::Home)])).await?;
            let (begin, end) = (first_cell(first, Axis::Home), first_cell(end, Axis::Home));
            let some = "DELETE FROM cells WHERE cell IN (SELECT cell FROM cells WHERE cell >= $1 AND cell < $2 ORDER BY cell LIMIT 2000)";
            loop {
                match self.write(move |tx| tx.exec(some, params![begin, end])).await? {
                    0 => break,
                    n => all += n,
                }
            }
        }
        Ok(all)
    }

    /// What is counted of one worker.
    pub async fn account(&self, worker: crate::domain::id::WorkerId) -> Result<Account, StoreError> {
        self.read(move |s| {
            let sql = "SELECT a.packed FROM accounts a JOIN workers w ON w.handle = a.handle WHERE w.id = $1";
            s.one(sql, params![worker.uuid()])?.map_or(Ok(Account::default()), |r| account(r.blob(0)?))
        })
        .await
    }
}

/// Cells in memory, for tests of what is made of sheets.
#[cfg(test)]
pub struct Cells {
    tally: Tally,
    platforms: Vec<String>,
}

#[cfg(test)]
impl Cells {
    pub fn of<'a>(accounts: impl Iterator<Item = &'a Account>) -> Self {
        let mut platforms = vec![String::new()];
        let tally = recount::tally(accounts.cloned(), &mut platforms);
        Self { tally, platforms }
    }

    pub fn sheet(&self, axis: Axis, asked: Asked) -> Sheet {
        self.sheet_of(axis, asked, Fine::Places)
    }

    pub fn sheet_of(&self, axis: Axis, asked: Asked, fine: Fine) -> Sheet {
        let pages = asked.read(fine, |bucket, look| {
            let mut here = self.tally.pages().filter(|(p, _)| p.axis == axis && p.bucket == bucket);
            here.try_for_each(|(p, bytes)| look(p.region, bytes))
        });
        let pages = pages.expect("accounts count nobody less than once");
        Sheet { pages, platforms: self.platforms.clone(), as_of: Position { seq: 9, at: None } }
    }
}
