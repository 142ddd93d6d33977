//! Cells compared with the pages that a fold of the ledger comes to.

use super::Recount;
use crate::domain::cells::{Month, Page, Tally};
use crate::store::books::{cell, is_of_days_before, is_of_offers, is_of_rollups, region_of};
use crate::store::engine::{Row, Sql, params};
use crate::store::{StoreError, additions, rollups};
use std::collections::HashMap;

/// Compares pages with those that a fold makes; `locked` names a period whose pages
/// are some of those.
pub(super) fn compare(s: &mut dyn Sql, mut expected: Expected, locked: Option<&str>, out: &mut Recount) -> Result<(), StoreError> {
    let place = |key: i64| match (region_of(key), locked) {
        (Ok(region), None) => format!("cell {key} ({})", region.full_name()),
        (Ok(region), Some(period)) => format!("locked {period}, cell {key} ({})", region.full_name()),
        (Err(_), _) => format!("cell {key} (no place)"),
    };
    // Days of months that are over for so long are not compared: they are deleted in time.
    let first = out.days_from;
    let is_over = |key: i64| is_over(key, first);
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

/// Whether a cell is of days of which no pages are kept any more.
fn is_over(cell: i64, days_from: Option<Month>) -> bool {
    days_from.is_some_and(|first| is_of_days_before(cell, first))
}

/// Pages as the store keeps them, by cell.
pub(super) type Expected = HashMap<i64, Box<[u8]>>;

/// What cells hold where these pages are right: what waits is not in them yet.
pub(super) fn expected(s: &mut dyn Sql, mut tally: Tally, days_from: Option<Month>) -> Result<Expected, StoreError> {
    additions::taken_away(s, false)?.pages().for_each(|(place, page)| tally.merge(*place, page.clone()));
    let mut expected: Expected = tally.into_pages().map(|(place, bytes)| (cell(&place), bytes)).collect();
    expected.retain(|key, _| !is_of_offers(*key) && !is_over(*key, days_from));
    Ok(expected)
}
