//! How long those who look for work have waited for an offer, counted by home county
//! and days: what the report `routing` folds.
//!
//! Promises: one state of the store; nobody is named, and no row of a person leaves
//! the database: an answer is as long as the counties times the days that differ.
//! Does not: know who looked for work on an earlier day and has stopped since; the
//! store keeps no history of that.

use super::Store;
use super::engine::{Row, Sql, StoreError, params};
use super::log;
use crate::domain::region::Region;
use crate::domain::time::{Moment, day_number, from_day_number};
use jiff::ToSpan;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Counties counted by one statement, where each person's offers are looked up.
const COUNTIES: usize = 64;
/// From one in so many counties on, all offers are read in one go instead.
const MANY: usize = 8;

/// A home county.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct County {
    pub home: Region,
    /// Offers made in the period to people at home here, whether they still look
    /// for work or not.
    pub offers: u64,
    /// To how many people.
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
}

/// Whether somebody looks for work on the day `$1`, as a number.
macro_rules! looks {
    () => {
        "CASE WHEN w.looking = 1 AND w.paused = 0 AND w.consent_on IS NOT NULL AND w.seeking_since <= $1 THEN 1 ELSE 0 END"
    };
}

/// Counts `people`: home, looks, seeking_since, last_day, offers. Days are -1 for who
/// does not look.
macro_rules! counting {
    ($($people:expr),*) => {
        concat!(
            "WITH ", $($people,)*
            ", counted AS (
               SELECT home, offers,
                 CASE WHEN looks = 1 AND (last_day IS NULL OR last_day < seeking_since) THEN 1 ELSE 0 END AS never,
                 CASE WHEN looks = 0 THEN -1 WHEN last_day > seeking_since THEN $1 - last_day ELSE $1 - seeking_since END AS days
               FROM people)
             SELECT home, days, COUNT(*), CAST(SUM(never) AS BIGINT), CAST(SUM(offers) AS BIGINT),
               CAST(SUM(CASE WHEN offers > 0 THEN 1 ELSE 0 END) AS BIGINT)
             FROM counted GROUP BY home, days"
        )
    };
}

/// Looks up the offers of each person at home in a range. The parts are kept apart from
/// what reads them, so that no sub-question is asked twice; who had no offer in the
/// period is not asked how many.
const OF_FEW: &str = counting!(
    "here AS MATERIALIZED (
       SELECT w.id, w.home, w.seeking_since, ",
    looks!(),
    " AS looks, (SELECT MAX(o.offered_at) FROM offers o WHERE o.worker = w.id AND o.offered_at < $3) AS last_at
       FROM workers w WHERE w.home BETWEEN $5 AND $6 AND w.erased_at IS NULL),
     people AS MATERIALIZED (
       SELECT home, looks, seeking_since, (last_at + $4) / 86400000 AS last_day,
         CASE WHEN last_at >= $2 THEN (SELECT COUNT(*) FROM offers o WHERE o.worker = here.id AND o.offered_at >= $2 AND o.offered_at < $3)
           ELSE 0 END AS offers
       FROM here)"
);

/// Reads all offers, by person. CROSS JOIN makes the embedded engine go from the offers
/// to their people.
const OF_ALL_OFFERED: &str = counting!(
    "had AS (
       SELECT worker, MAX(offered_at) AS last_at, SUM(CASE WHEN offered_at >= $2 THEN 1 ELSE 0 END) AS offers
       FROM offers WHERE offered_at < $3 GROUP BY worker),
     people AS (
       SELECT w.home, w.seeking_since, (had.last_at + $4) / 86400000 AS last_day, had.offers, ",
    looks!(),
    " AS looks FROM had CROSS JOIN workers w WHERE w.id = had.worker AND w.erased_at IS NULL)"
);

/// Those who look and had no offer by `$2`, in the columns of the others.
const OF_ALL_OTHERS: &str = concat!(
    "SELECT w.home, $1 - w.seeking_since, COUNT(*), COUNT(*), 0, 0 FROM workers w WHERE w.erased_at IS NULL AND ",
    looks!(),
    " = 1 AND NOT EXISTS (SELECT 1 FROM offers o WHERE o.worker = w.id AND o.offered_at < $2) GROUP BY w.home, w.seeking_since"
);

/// The counties that were asked for, as they are counted.
struct Counting {
    homes: Vec<Region>,
    counties: BTreeMap<Region, County>,
}

impl Counting {
    /// A row of home, days, people, never, offers, offered.
    fn add(&mut self, row: &Row) -> Result<(), StoreError> {
        let number = |at| u64::try_from(row.int(at)?).map_err(|_| StoreError::Corrupt("a count below nothing".to_owned()));
        let home = super::region(row.int(0)?)?;
        if self.homes.binary_search(&home).is_err() {
            return Ok(());
        }
        let county = self.counties.entry(home).or_insert(County { home, offers: 0, offered: 0, never: 0, waits: Vec::new() });
        county.never += number(3)?;
        county.offers += number(4)?;
        county.offered += number(5)?;
        if let Ok(days) = u32::try_from(row.int(1)?) {
            county.waits.push((days, number(2)?));
        }
        Ok(())
    }

    /// The counties, the waits of each in order and each once.
    fn done(self) -> Vec<County> {
        let tidied = |mut county: County| {
            county.waits.sort_unstable();
            county.waits.dedup_by(|later, first| {
                let same = later.0 == first.0;
                first.1 += if same { later.1 } else { 0 };
                same
            });
            county
        };
        self.counties.into_values().map(tidied).collect()
    }
}

fn count(s: &mut dyn Sql, homes: Vec<Region>, from: Moment, day: Date) -> Result<Vec<County>, StoreError> {
    let mut counting = Counting { homes, counties: BTreeMap::new() };
    let until = Moment::start_of(day.saturating_add(1.days()));
    // Days of the store's moments are those of Asia/Shanghai.
    let ahead = -Moment::start_of(from_day_number(0)).ms();
    let day = day_number(day);
    if counting.homes.len() > Region::leaf_count() / MANY {
        s.each(OF_ALL_OFFERED, params![day, from.ms(), until.ms(), ahead], &mut |row| counting.add(&row))?;
        s.each(OF_ALL_OTHERS, params![day, until.ms()], &mut |row| counting.add(&row))?;
    } else {
        for range in ranges(&counting.homes.clone()) {
            let (Some(first), Some(last)) = (range.first(), range.last()) else { continue };
            let asked = params![day, from.ms(), until.ms(), ahead, first.code(), last.code()];
            s.each(OF_FEW, asked, &mut |row| counting.add(&row))?;
        }
    }
    Ok(counting.done())
}

/// Cuts homes, which are leaf divisions by code, into ranges of at most
/// [`COUNTIES`] that hold no other leaf.
fn ranges(homes: &[Region]) -> Vec<&[Region]> {
    let follows = |a: &Region, b: &Region| a.leaf_index().and_then(|at| at.checked_add(1)) == b.leaf_index();
    homes.chunk_by(follows).flat_map(|run| run.chunks(COUNTIES)).collect()
}

impl Store {
    /// Those at home in these leaf divisions, by code: who looks for work on `day`, as
    /// far as is known now, and the offers made from `from` to its end.
    pub async fn seeking(&self, homes: Vec<Region>, from: Moment, day: Date) -> Result<Seeking, StoreError> {
        self.read(move |s| {
            let counties = count(s, homes, from, day)?;
            let (seq, at) = log::ledger_end(s)?;
            Ok(Seeking { counties, seq, at })
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_hold_every_home_asked_for_and_no_other() {
        let leaves = Region::NATION.leaves();
        let check = |homes: &[Region]| {
            let ranges = ranges(homes);
            assert_eq!(ranges.concat(), homes);
            for range in ranges {
                let (first, last) = (range[0], range[range.len() - 1]);
                assert!(range.len() <= COUNTIES);
                assert_eq!(leaves.iter().filter(|leaf| (first..=last).contains(leaf)).count(), range.len());
            }
        };
        check(leaves);
        check(&[]);
        check(&leaves[17..18]);
        check(&leaves.iter().copied().filter(|leaf| leaf.code() % 3 > 0).collect::<Vec<_>>());
        check(crate::domain::region::focus_set("listed-52").unwrap().counties());
    }
}
