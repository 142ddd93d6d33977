//! How long those who look for work have waited for an offer, counted by home county
//! and days: what the report `routing` folds.
//!
//! Promises: one state of the store, the one that is there now; read from pages
//! ([`seekers`]) and cells and the few changes that came after them, so that what it
//! costs does not grow with the people it counts.
//! Does not: know who looked for work in a month that was over before the store was
//! brought up to this version.

use super::engine::{Sql, StoreError};
use super::seekers::{self, Ahead, Place};
use super::{Store, cells, log};
use crate::domain::account::number;
use crate::domain::cells::Month;
use crate::domain::region::Region;
use crate::domain::seek::Page;
use crate::domain::time::Moment;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Slices of the log beyond the pages, up to which they are read beside them; more are
/// folded first.
const BESIDE: usize = 10;

/// A home county.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct County {
    pub home: Region,
    /// Offers made in the period to people who were at home here then.
    pub offers: u64,
    /// Who are at home here, look or not, and had the last offer in the period.
    pub offered: u64,
    /// Who look for work and have had no offer since they began.
    pub never: u64,
    /// Who look for work, by the days since their last offer, or since they began
    /// where that was later: days, people; fewest days first.
    pub waits: Vec<(u32, u64)>,
}

/// Every county with somebody to count, and the ledger's length they stand at.
#[derive(Clone, Debug)]
pub struct Seeking {
    pub counties: Vec<County>,
    pub seq: i64,
    /// When the newest ledger entry was written.
    pub at: Option<Moment>,
    /// Nobody kept who looked so long ago: of the counties only the offers are known.
    pub unknown: bool,
}

/// The counties among these homes, which are in order; none where more is to be folded
/// first.
fn count(s: &mut dyn Sql, homes: &[Region], from: Moment, day: Date) -> Result<Option<Vec<County>>, StoreError> {
    let (Some(first), Some(last)) = (homes.first(), homes.last()) else { return Ok(Some(Vec::new())) };
    let (begin, day) = (number(from.day()), number(day));
    let month = Month::of(day);
    let Some(mut ahead) = Ahead::read(s, month.number(), BESIDE)? else { return Ok(None) };
    let mut offers = cells::offers_made(s, homes, Month::of(begin).until(month))?;
    let mut counties = BTreeMap::new();
    let mut add = |home: Region, page: Page| {
        if page.is_below_nothing() {
            let place = home.full_name();
            let why = format!("the page of seekers of {place} counts fewer than nobody; `doorstep report --recount` tells where");
            return Err(StoreError::Corrupt(why));
        }
        let offers = offers.remove(&home).unwrap_or(0);
        counties.insert(home, County { home, offers, offered: page.offered(begin, day), never: page.never(day), waits: page.waits(day) });
        Ok(())
    };
    let asked = |home: Region| homes.binary_search(&home).is_ok();
    seekers::each_page(s, month.number(), (*first, *last), &asked, &mut |home, mut page| {
        if let Some(more) = ahead.added.remove(&home) {
            page.merge(&more);
        }
        add(home, page)
    })?;
    ahead.added.into_iter().filter(|(home, _)| asked(*home)).try_for_each(|(home, page)| add(home, page))?;
    for (home, offers) in offers {
        counties.insert(home, County { home, offers, offered: 0, never: 0, waits: Vec::new() });
    }
    let says = |c: &County| c.offers > 0 || c.offered > 0 || !c.waits.is_empty();
    Ok(Some(counties.into_values().filter(says).collect()))
}

impl Store {
    /// Those at home in these leaf divisions, in order: who looks for work on `day`, today
    /// or the last of a month, and the offers made from `from` to its end.
    pub async fn seeking(&self, homes: Vec<Region>, from: Moment, day: Date) -> Result<Seeking, StoreError> {
        let homes = std::sync::Arc::new(homes);
        loop {
            let asked = homes.clone();
            let counted = self.read(move |s| {
                let Some(counties) = count(s, &asked, from, day)? else { return Ok(None) };
                let (seq, at) = log::ledger_end(s)?;
                let unknown = Month::of(number(day)).number() < Place::read(s)?.begun;
                Ok(Some(Seeking { counties, seq, at, unknown }))
            });
            match counted.await? {
                Some(seeking) => return Ok(seeking),
                None => self.fold_seekers().await?,
            };
        }
    }
}
