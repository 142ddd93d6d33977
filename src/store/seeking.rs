//! How long those who look for work have waited for an offer, counted by home county
//! and days: what the report `routing` folds.
//!
//! Promises: one state of the store; nobody is named, and no row of a person leaves
//! the database: an answer is as long as the counties times the days that differ.
//! Does not: know who looked for work on an earlier day and has stopped since; the
//! store keeps no history of that.

use super::Store;
use super::engine::{Sql, StoreError, params};
use super::log;
use crate::domain::region::Region;
use crate::domain::time::{Moment, day_number, from_day_number};
use jiff::ToSpan;
use jiff::civil::Date;

/// Counties counted by one statement.
const COUNTIES: usize = 64;

/// A home county.
#[derive(Clone, Debug, PartialEq, Eq)]
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

/// Who is at home in a range of counties: whether they look, and their last offer.
/// Both parts are kept apart from what reads them, so that no sub-question is asked
/// twice; who had no offer in the period is not asked how many.
const COUNT: &str = "
WITH people AS MATERIALIZED (
  SELECT w.id, w.home, w.seeking_since,
    CASE WHEN w.looking = 1 AND w.paused = 0 AND w.consent_on IS NOT NULL AND w.seeking_since <= $3 THEN 1 ELSE 0 END AS looks,
    (SELECT MAX(o.offered_at) FROM offers o WHERE o.worker = w.id AND o.offered_at < $5) AS last_at
  FROM workers w WHERE w.home BETWEEN $1 AND $2 AND w.erased_at IS NULL),
waiting AS MATERIALIZED (
  SELECT home, looks, (last_at + $6) / 86400000 AS last_day, seeking_since,
    CASE WHEN last_at >= $4 THEN (SELECT COUNT(*) FROM offers o WHERE o.worker = people.id AND o.offered_at >= $4 AND o.offered_at < $5)
      ELSE 0 END AS offers
  FROM people),
counted AS (
  SELECT home, offers,
    CASE WHEN looks = 1 AND (last_day IS NULL OR last_day < seeking_since) THEN 1 ELSE 0 END AS never,
    CASE WHEN looks = 0 THEN -1 WHEN last_day > seeking_since THEN $3 - last_day ELSE $3 - seeking_since END AS days
  FROM waiting)
SELECT home, days, COUNT(*), CAST(SUM(never) AS BIGINT), CAST(SUM(offers) AS BIGINT), CAST(SUM(CASE WHEN offers > 0 THEN 1 ELSE 0 END) AS BIGINT)
FROM counted GROUP BY home, days ORDER BY home, days";

/// The counties of one range, which holds no home that was not asked for.
fn count(s: &mut dyn Sql, homes: &[Region], from: Moment, day: Date, out: &mut Vec<County>) -> Result<(), StoreError> {
    let (Some(first), Some(last)) = (homes.first(), homes.last()) else { return Ok(()) };
    let until = Moment::start_of(day.saturating_add(1.days()));
    // Days of the store's moments are those of Asia/Shanghai.
    let ahead = -Moment::start_of(from_day_number(0)).ms();
    let asked = params![first.code(), last.code(), day_number(day), from.ms(), until.ms(), ahead];
    let number = |n: i64| u64::try_from(n).map_err(|_| StoreError::Corrupt("a count below nothing".to_owned()));
    for row in s.query(COUNT, asked)? {
        let home = super::region(row.int(0)?)?;
        if out.last().is_none_or(|county| county.home != home) {
            out.push(County { home, offers: 0, offered: 0, never: 0, waits: Vec::new() });
        }
        let Some(county) = out.last_mut() else { continue };
        county.never += number(row.int(3)?)?;
        county.offers += number(row.int(4)?)?;
        county.offered += number(row.int(5)?)?;
        // Who does not look stands under -1.
        if let Ok(days) = u32::try_from(row.int(1)?) {
            county.waits.push((days, number(row.int(2)?)?));
        }
    }
    Ok(())
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
            let mut counties = Vec::new();
            for range in ranges(&homes) {
                count(s, range, from, day, &mut counties)?;
            }
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
