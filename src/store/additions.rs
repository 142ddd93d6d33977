//! What is added to cells, on its way into them. One hire is counted in dozens of pages,
//! thousands of offers a second in those of all counties: what a write group adds is
//! appended in its transaction, a row for each bucket of time and axis, and the rows of a
//! bucket are folded into its cells later, many at once, so that a page is written once
//! for all of them.
//!
//! Promises: cells and rows together are what is counted, and a reader that adds the rows
//! is exact; a row is folded once, whoever folds.
//! Start at: [`append`], [`waiting`], [`Store::fold_additions`].

use super::books::{keep_cells, no_page, page, strip_of, strips};
use super::cells::Look;
use super::engine::bulk::Bulk;
use super::engine::{Sql, StoreError, Val, params};
use super::writer::Tx;
use super::{Store, rollups};
use crate::domain::cells::{Axis, Bucket, Change, Place, Sections, Sums, Together, Which};
use crate::domain::region::Region;
use crate::domain::varint;
use std::collections::BTreeMap;

/// Most rows that are folded in one transaction.
const FOLDED: usize = 4_096;

/// Appends what a group adds.
pub(super) fn append(s: &mut dyn Sql, added: &Change) -> Result<(), StoreError> {
    static APPEND: Bulk = Bulk::rows("INSERT INTO additions (strip, pages) VALUES {list}", 0, "", 2);
    let mut strips: BTreeMap<i64, (Vec<u8>, i64)> = BTreeMap::new();
    for (place, page) in added.pages() {
        let (counts, last) = strips.entry(strip_of(place.bucket, place.axis)).or_default();
        let (code, page) = (i64::from(place.region.code()), page.to_bytes());
        varint::write(counts, varint::signed(code - *last));
        varint::write(counts, page.len() as u64);
        counts.extend_from_slice(&page);
        *last = code;
    }
    let mut rows = Vec::with_capacity(strips.len() * 2);
    for (strip, (counts, _)) in strips {
        rows.extend_from_slice(params![strip, counts]);
    }
    APPEND.insert(s, &[], &rows, |_, _| Ok(()))
}

/// The pages of a row, as they are kept.
fn pages(mut counts: &[u8]) -> impl Iterator<Item = Result<(Region, &[u8]), StoreError>> {
    let mut code = 0i64;
    std::iter::from_fn(move || {
        let bytes = (!counts.is_empty()).then_some(counts)?;
        let next = next_page(&mut code, bytes);
        counts = next.as_ref().map_or(&[], |(_, _, rest)| rest);
        Some(next.and_then(|(code, page, _)| Ok((super::region(code)?, page))))
    })
}

/// The next region's code, its page, and what comes behind.
fn next_page<'a>(code: &mut i64, mut bytes: &'a [u8]) -> Result<(i64, &'a [u8], &'a [u8]), StoreError> {
    let corrupt = || StoreError::Corrupt("additions to cells".to_owned());
    let (step, length) = (varint::read(&mut bytes).ok_or_else(corrupt)?, varint::read(&mut bytes).ok_or_else(corrupt)?);
    *code = code.checked_add(varint::unsigned(step)).ok_or_else(corrupt)?;
    let length = usize::try_from(length).map_err(|_| corrupt())?;
    let (page, rest) = bytes.split_at_checked(length).ok_or_else(corrupt)?;
    Ok((*code, page, rest))
}

/// Looks at what was not folded yet into the cells of a bucket, each place as often as it
/// was added to.
pub(super) fn waiting(s: &mut dyn Sql, (bucket, axis): (Bucket, Axis), look: Look<'_>) -> Result<(), StoreError> {
    let sql = "SELECT pages FROM additions WHERE strip = $1 ORDER BY seq";
    s.each(sql, params![strip_of(bucket, axis)], &mut |row| {
        pages(row.blob(0)?).try_for_each(|page| page.and_then(|(region, page)| look(region, page)))
    })
}

/// The buckets and axes of which something waits.
fn waiting_strips(s: &mut dyn Sql) -> Result<Vec<(Bucket, Axis)>, StoreError> {
    let rows = s.query("SELECT DISTINCT strip FROM additions ORDER BY strip", &[])?;
    rows.iter().map(|row| strips(row.int(0)?)).collect()
}

/// What takes away what waits to be added: to roll-ups, or to the pages of places.
pub(super) fn taken_away(s: &mut dyn Sql, rolled_up: bool) -> Result<Change, StoreError> {
    let mut change = Change::default();
    for (bucket, axis) in waiting_strips(s)?.into_iter().filter(|(bucket, _)| bucket.is_rolled_up() == rolled_up) {
        waiting(s, (bucket, axis), &mut |region, added| {
            change.merge(Place { bucket, axis, region }, &page(added, Sections::ALL)?.negated());
            Ok(())
        })?;
    }
    Ok(change)
}

/// Those whose rows are to be folded.
fn due(s: &mut dyn Sql) -> Result<Vec<(Bucket, Axis)>, StoreError> {
    let mut due = waiting_strips(s)?;
    due.retain(|(bucket, _)| !bucket.is_rolled_up());
    due.extend(rollups::worth_folding(s)?);
    Ok(due)
}

/// What rows of a bucket come to, place by place: the counts of one are looked up among few.
fn sum(rows: &[&[u8]], (bucket, axis): (Bucket, Axis)) -> Result<Change, StoreError> {
    let mut added = rows.iter().flat_map(|row| pages(row)).collect::<Result<Vec<_>, _>>()?;
    added.sort_unstable_by_key(|(region, _)| *region);
    let of_place = |pages: &[(Region, &[u8])]| {
        let mut sums = Sums::default();
        pages.iter().try_for_each(|(_, page)| sums.add(page, Which::of(Sections::ALL)).ok_or_else(no_page))?;
        Ok((Place { bucket, axis, region: pages[0].0 }, sums.page()))
    };
    added.chunk_by(|(a, _), (b, _)| a == b).map(of_place).collect()
}

/// Folds the oldest rows of a bucket; how many.
fn fold(tx: &mut Tx<'_>, (bucket, axis): (Bucket, Axis)) -> Result<usize, StoreError> {
    static FOLDED_ROWS: Bulk = Bulk::keys("DELETE FROM additions WHERE seq IN {list}", 0);
    let sql = "SELECT seq, pages FROM additions WHERE strip = $1 ORDER BY seq LIMIT $2 {skip_locked}";
    let rows = tx.query(sql, params![strip_of(bucket, axis), FOLDED as i64])?;
    let seqs = rows.iter().map(|row| row.int(0).map(Val::from)).collect::<Result<Vec<_>, _>>()?;
    let added: Vec<&[u8]> = rows.iter().map(|row| row.blob(1)).collect::<Result<_, _>>()?;
    let change = sum(&added, (bucket, axis))?;
    let shared = tx.is_shared();
    keep_cells(tx, shared, &change)?;
    // A lock of a period copies cells and rows in two statements, and a roll-up that is
    // made reads cells alone.
    tx.lock_log()?;
    if !bucket.is_rolled_up() {
        rollups::add(tx, (bucket, axis), &change)?;
    }
    FOLDED_ROWS.exec(tx, &[], &seqs)?;
    Ok(rows.len())
}

impl Store {
    /// Folds what there is, bucket by bucket, and of roll-ups what is worth it; how many
    /// rows there were.
    pub async fn fold_additions(&self) -> Result<usize, StoreError> {
        let mut folded = 0;
        // Mostly there is none, and whoever writes need not wait to hear that.
        for strip in self.read(rollups::missing).await? {
            self.write(move |tx| rollups::make(tx, strip)).await?;
        }
        for strip in self.read(due).await? {
            loop {
                let rows = self.write(move |tx| fold(tx, strip)).await?;
                folded += rows;
                if rows < FOLDED {
                    break;
                }
            }
        }
        Ok(folded)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::cells::{Month, Offered};
    use crate::store::schema::empty;

    #[test]
    fn rows_come_to_what_was_added_and_one_that_breaks_off_to_nothing() {
        let (_folder, mut s) = empty();
        let places = ["522624", "330212", "522624", "440305"].map(|code| Region::parse(code).unwrap());
        let (month, mut all) = (Month::of(18_500), Change::default());
        for (n, place) in (1..).zip(places) {
            let mut change = Change::default();
            change.add_offers(month, place, 7, Offered::Made, n);
            change.add_offers(month, places[0], 9, Offered::Accepted, if n == 4 { -6 } else { n });
            append(s.as_mut(), &change).unwrap();
            change.pages().for_each(|(place, page)| all.merge(*place, page));
        }
        all.settle();
        let strip = (Bucket::offers(month), Axis::Home);
        let rows = s.query("SELECT pages FROM additions ORDER BY seq", &[]).unwrap();
        let rows: Vec<&[u8]> = rows.iter().map(|row| row.blob(0).unwrap()).collect();
        assert_eq!(sum(&rows, strip).unwrap(), all);
        for end in [1, rows[1].len() - 1] {
            assert!(sum(&[rows[0], &rows[1][..end], rows[2]], strip).is_err(), "{end} of {} bytes", rows[1].len());
        }
    }
}
