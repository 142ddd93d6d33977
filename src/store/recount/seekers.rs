//! Those who look for work counted anew, from each person and each offer, beside how they
//! were counted. Of months that are over nothing is left to count.

use super::Recount;
use crate::domain::account::number;
use crate::domain::region::Region;
use crate::domain::seek::{Page, Stand};
use crate::domain::time::Moment;
use crate::store::StoreError;
use crate::store::engine::Sql;
use crate::store::seekers::{Ahead, Known, counted, each_page, everybody};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// Where rows and newest pages, with what the log tells beyond them, differ from a scan. A
/// store of an older version whose people are still walked is not compared.
pub(super) fn differ(s: &mut dyn Sql) -> Result<Vec<String>, StoreError> {
    let mut out = Recount::default();
    let Some(ahead) = Ahead::read(s, i64::MAX, usize::MAX)? else { return Ok(out.differences) };
    let mut kept: Known = ahead.people;
    s.each("SELECT handle, home, looks, since, last FROM seekers", &[], &mut |row| {
        let (handle, stand) = counted(&row)?;
        kept.entry(handle).or_insert(Some(stand));
        Ok(())
    })?;
    let mut last: HashMap<i64, i32> = HashMap::new();
    s.each("SELECT handle, MAX(offered_at) FROM offers GROUP BY handle", &[], &mut |row| {
        last.insert(row.int(0)?, number(Moment::from_ms(row.int(1)?).day()));
        Ok(())
    })?;
    let mut pages: BTreeMap<Region, Page> = BTreeMap::new();
    everybody(s, &mut |handle, stand| {
        let stand = stand.map(|stand| Stand { last: last.get(&handle).copied(), ..stand });
        if let Some(stand) = &stand {
            pages.entry(stand.home).or_default().count(stand, 1);
        }
        if kept.remove(&handle).flatten() != stand {
            out.differs(|| format!("person {handle}: counts as another seeker than they are"));
        }
    })?;
    let mut lost: Vec<i64> = kept.into_iter().filter(|(_, stand)| stand.is_some()).map(|(handle, _)| handle).collect();
    lost.sort_unstable();
    lost.into_iter().for_each(|handle| out.differs(|| format!("person {handle}: counts as a seeker and is nobody")));
    let mut found = ahead.added;
    let leaves = Region::NATION.leaves();
    if let (Some(first), Some(last)) = (leaves.first(), leaves.last()) {
        each_page(s, i64::MAX, (*first, *last), &|_| true, &mut |home, page| {
            found.entry(home).or_default().merge(&page);
            Ok(())
        })?;
    }
    let homes: BTreeSet<Region> = found.keys().chain(pages.keys()).copied().collect();
    for home in homes {
        if found.get(&home).cloned().unwrap_or_default() != pages.get(&home).cloned().unwrap_or_default() {
            out.differs(|| format!("seekers of {}: the page differs from its people", home.full_name()));
        }
    }
    Ok(out.differences)
}
