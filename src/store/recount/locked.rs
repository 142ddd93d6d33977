//! What periods were locked with, compared with what the ledger came to there.

use super::Recount;
use super::pages::Expected;
use crate::domain::cells::Tally;
use crate::domain::closing::Figure;
use crate::domain::region::Region;
use crate::domain::time::Period;
use crate::store::books::cell;
use crate::store::engine::Sql;
use crate::store::periods::{self, Lock};
use crate::store::{StoreError, cells};
use std::collections::{BTreeMap, BTreeSet};

/// A period of which something is locked, and the pages that it is to have.
pub(super) struct Locked {
    pub period: Period,
    locks: Vec<Lock>,
    pub pages: Expected,
}

impl Locked {
    /// All of them.
    pub fn read(s: &mut dyn Sql) -> Result<Vec<Self>, StoreError> {
        let periods = periods::locked_periods(s)?;
        periods.into_iter().map(|period| Ok(Self { period, locks: periods::locks(s, period)?, pages: Expected::new() })).collect()
    }

    /// At which entries something of it was locked.
    pub fn positions(&self) -> impl Iterator<Item = i64> {
        self.locks.iter().map(|lock| lock.position)
    }

    /// Compares the figures of the locks at this position with what the ledger came to
    /// there, and keeps their pages. A part that was locked before the whole keeps what
    /// it had.
    pub fn stand_at(&mut self, position: i64, tally: &Tally, out: &mut Recount) -> Result<(), StoreError> {
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
