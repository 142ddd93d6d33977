//! Folding the log: rows, pages and how far it came, in one transaction.
//!
//! Promises: what is folded was read before, in one state of the store, so that the one
//! writer only writes; it is thrown away where another node was first.
//! Start at: [`Store::fold_slice`].

use super::{Known, Place, Slice, next, page};
use crate::domain::region::Region;
use crate::domain::seek::Page;
use crate::store::engine::bulk::Bulk;
use crate::store::engine::{Sql, StoreError, Val, params};
use crate::store::writer::Tx;
use crate::store::{Store, region};
use std::collections::BTreeMap;

/// A slice with the pages that it comes to.
struct Folded {
    slice: Slice,
    pages: Vec<(Region, Page)>,
}

impl Folded {
    fn read(s: &mut dyn Sql) -> Result<Option<Self>, StoreError> {
        static PAGES: Bulk = Bulk::keys(
            "SELECT h.home, (SELECT c.page FROM seek_cells c WHERE c.home = h.home ORDER BY c.month DESC LIMIT 1)
             FROM seek_homes h WHERE h.home IN {list}",
            0,
        );
        let from = Place::read(s)?;
        let Some(slice) = next(s, from, &Known::new())? else { return Ok(None) };
        let mut pages = slice.added();
        let homes: Vec<Val> = pages.keys().map(|home| Val::from(home.code())).collect();
        let mut newest: BTreeMap<Region, Page> = BTreeMap::new();
        for row in PAGES.query(s, &[], &homes)? {
            newest.insert(region(row.int(0)?)?, page(row.blob(1)?)?);
        }
        for (home, page) in newest {
            pages.entry(home).or_default().merge(&page);
        }
        Ok(Some(Self { slice, pages: pages.into_iter().collect() }))
    }

    /// Writes it down; false where another node was there before.
    fn keep(&self, tx: &mut Tx<'_>) -> Result<bool, StoreError> {
        static KEEP: Bulk = Bulk::rows(
            "INSERT INTO seekers (handle, home, looks, since, last) VALUES {list}
             ON CONFLICT (handle) DO UPDATE SET home = excluded.home, looks = excluded.looks, since = excluded.since, last = excluded.last",
            0,
            "",
            5,
        );
        static GONE: Bulk = Bulk::keys("DELETE FROM seekers WHERE handle IN {list}", 0);
        static HOMES: Bulk = Bulk::rows("INSERT INTO seek_homes (home) VALUES {list} ON CONFLICT (home) DO NOTHING", 0, "", 1);
        static PAGES: Bulk = Bulk::rows(
            "INSERT INTO seek_cells (month, home, page) VALUES {list} ON CONFLICT (home, month) DO UPDATE SET page = excluded.page",
            1,
            "$1, ",
            2,
        );
        let Slice { from, to, people } = &self.slice;
        // What the pages were made from is theirs who made them as long as the place is.
        if Place::of(tx.one("SELECT position, month, walked, begun FROM seek_fold WHERE id = 0 {for_update}", &[])?)? != *from {
            return Ok(false);
        }
        let (mut rows, mut gone) = (Vec::with_capacity(people.len() * 5), Vec::new());
        for (handle, (_, now)) in people {
            match now {
                Some(now) => rows.extend_from_slice(params![*handle, now.home.code(), now.looks, now.since, now.last]),
                None => gone.push(Val::from(*handle)),
            }
        }
        KEEP.insert(tx, &[], &rows, |_, _| Ok(()))?;
        GONE.exec(tx, &[], &gone)?;
        let (mut homes, mut pages) = (Vec::with_capacity(self.pages.len()), Vec::with_capacity(self.pages.len() * 2));
        for (home, page) in &self.pages {
            homes.push(Val::from(home.code()));
            pages.extend_from_slice(params![home.code(), page.to_bytes()]);
        }
        HOMES.insert(tx, &[], &homes, |_, _| Ok(()))?;
        PAGES.insert(tx, params![to.month], &pages, |_, _| Ok(()))?;
        tx.exec(
            "UPDATE seek_fold SET position = $1, month = $2, walked = $3, begun = $4 WHERE id = 0",
            params![to.position, to.month, to.walked, to.begun],
        )?;
        Ok(true)
    }
}

impl Store {
    /// Folds the next slice of what the log tells of people and offers; how many people it
    /// made another. None where nothing is left, or another node is found at it.
    pub async fn fold_slice(&self) -> Result<Option<usize>, StoreError> {
        let Some(folded) = self.read(Folded::read).await? else { return Ok(None) };
        let another = folded.slice.people.len();
        Ok(self.write(move |tx| folded.keep(tx)).await?.then_some(another))
    }

    /// Folds slices as long as there are some; how many people they made another.
    pub async fn fold_seekers(&self) -> Result<usize, StoreError> {
        let mut people = 0;
        while let Some(another) = self.fold_slice().await? {
            people += another;
        }
        Ok(people)
    }
}
