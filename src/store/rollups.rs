//! Roll-ups: beside the pages of a bucket stands what they come to by province, so that a
//! report of the nation, or of all provinces, reads some thirty pages in place of those of
//! all counties. They are kept as the pages of a bucket of their own
//! ([`Bucket::rolled_up`]): who folds what was added to places appends what it comes to
//! by province, and that is folded once it is worth writing such large pages.
//!
//! Promises: pages and rows of a roll-up are the sum of the folded pages of its bucket, in
//! each state of the store; a bucket of which that is not so yet, in a store of an older
//! version, is told by [`missing`].
//! Does not: hold what was locked, of which a part may stand as it stood earlier.

use super::additions::{self, append};
use super::books::{cell, first_cell, keep_cells, last_cell, no_page, region_of, strip_at, strip_of, strips};
use super::engine::{Sql, StoreError, params};
use super::writer::Tx;
use crate::domain::cells::{Axis, Bucket, Change, Page, Place, Sections, Together, Which, WideSums, province_of};
use crate::domain::region::Region;
use std::collections::{BTreeMap, HashMap, HashSet};

/// Rows of a roll-up, and bytes in them, from which on they are folded into its pages.
const WORTH_ROWS: i64 = 32;
const WORTH_BYTES: i64 = 128 * 1024;

/// The roll-ups of which so much waits that it is worth to be folded.
pub(super) fn worth_folding(s: &mut dyn Sql) -> Result<Vec<(Bucket, Axis)>, StoreError> {
    let first = strip_of(Bucket::FIRST_ROLLED_UP, Axis::Home);
    let sql =
        "SELECT strip FROM additions WHERE strip >= $1 GROUP BY strip HAVING COUNT(*) >= $2 OR SUM(LENGTH(pages)) >= $3 ORDER BY strip";
    s.query(sql, params![first, WORTH_ROWS, WORTH_BYTES])?.iter().map(|row| strips(row.int(0)?)).collect()
}

/// The buckets and axes whose pages are not rolled up.
pub(super) fn missing(s: &mut dyn Sql) -> Result<HashSet<i64>, StoreError> {
    s.query("SELECT strip FROM not_rolled_up", &[])?.iter().map(|row| row.int(0)).collect()
}

/// Adds to a bucket's roll-up what was folded into its pages; the log is locked.
pub(super) fn add(tx: &mut Tx<'_>, strip: (Bucket, Axis), folded: &Change) -> Result<(), StoreError> {
    if tx.one("SELECT 1 FROM not_rolled_up WHERE strip = $1", params![strip_of(strip.0, strip.1)])?.is_some() {
        return Ok(());
    }
    append(tx, &folded.rolled_up())
}

/// Rolls the pages of a bucket up that never were.
pub(super) fn make(tx: &mut Tx<'_>, strip: i64) -> Result<(), StoreError> {
    // Who folds adds to the roll-up after this, or was seen by it.
    tx.lock_log()?;
    if tx.exec("DELETE FROM not_rolled_up WHERE strip = $1", params![strip])? == 0 {
        return Ok(());
    }
    let (bucket, axis) = strips(strip)?;
    let mut sums = ByProvince::default();
    let pages = "SELECT cell, page FROM cells WHERE cell BETWEEN $1 AND $2";
    tx.each(pages, params![first_cell(bucket, axis), last_cell(bucket, axis)], &mut |row| sums.add(region_of(row.int(0)?)?, row.blob(1)?))?;
    let change: Change = sums.pages().map(|(region, page)| (Place { bucket: bucket.rolled_up(), axis, region }, page)).collect();
    let shared = tx.is_shared();
    keep_cells(tx, shared, &change)
}

/// Pages added up by province.
#[derive(Default)]
struct ByProvince(BTreeMap<Region, WideSums>);

impl ByProvince {
    fn add(&mut self, region: Region, bytes: &[u8]) -> Result<(), StoreError> {
        let sums = self.0.entry(province_of(region)).or_default();
        sums.add(bytes, Which::of(Sections::ALL)).ok_or_else(no_page)
    }

    fn pages(self) -> impl Iterator<Item = (Region, Page)> {
        self.0.into_iter().map(|(region, sums)| (region, sums.page()))
    }
}

/// Compares roll-ups with the pages they are of. Looks at all cells in the order of their
/// keys, in which roll-ups come last.
pub(super) struct Comparing {
    missing: HashSet<i64>,
    /// Of which bucket and axis pages are added up now.
    strip: i64,
    sums: ByProvince,
    /// What the cells of roll-ups are to hold.
    expected: HashMap<i64, Page>,
}

impl Comparing {
    /// Begins; of cells that are left out what waits to be added is, too.
    pub fn start(s: &mut dyn Sql, left_out: impl Fn(i64) -> bool) -> Result<Self, StoreError> {
        let waiting = additions::taken_away(s, true)?;
        let waiting = waiting.pages().map(|(place, page)| (cell(place), page.clone()));
        let expected = waiting.filter(|(key, _)| !left_out(*key)).collect();
        Ok(Self { missing: missing(s)?, strip: -1, sums: ByProvince::default(), expected })
    }

    /// Whether this is as it should be, as far as it can be told: pages of places are
    /// added up, and those of roll-ups are compared with what came of that.
    pub fn look(&mut self, key: i64, bytes: &[u8]) -> Result<bool, StoreError> {
        let strip = strip_at(key);
        // A key of no bucket differs from the ledger, as does a page that is none: told there.
        let Ok((bucket, _)) = strips(strip) else { return Ok(true) };
        if strip != self.strip {
            self.next(strip)?;
        }
        if bucket.is_rolled_up() {
            return Ok(Page::from_bytes(bytes).as_ref() == Some(&self.expected.remove(&key).unwrap_or_default()));
        }
        let Some(region) = region_of(key).ok().filter(|_| !self.missing.contains(&strip)) else { return Ok(true) };
        Ok(self.sums.add(region, bytes).is_ok())
    }

    fn next(&mut self, strip: i64) -> Result<(), StoreError> {
        let done = std::mem::take(&mut self.sums);
        if !done.0.is_empty() {
            let (bucket, axis) = strips(self.strip)?;
            for (region, page) in done.pages() {
                self.expected.entry(cell(&Place { bucket: bucket.rolled_up(), axis, region })).or_default().merge(&page);
            }
        }
        self.strip = strip;
        Ok(())
    }

    /// The cells that should be there and are not, in order.
    pub fn lost(mut self) -> Result<Vec<i64>, StoreError> {
        self.next(-1)?;
        let mut lost: Vec<i64> = self.expected.into_iter().filter(|(_, page)| !page.is_empty()).map(|(key, _)| key).collect();
        lost.sort_unstable();
        Ok(lost)
    }
}
