//! Who looks for work and when each was last offered something, as it is counted: a row
//! for each person and a page for each home county and month, kept by folding the log of
//! changes.
//!
//! Promises: nothing of it is written where offers are made; what the log tells counts
//! once, however many nodes fold it; the page of a month that is over stays as it stood,
//! and goes on to count for later months until something changes in one of them. Whoever
//! reads adds what the log tells beyond the pages ([`Ahead`]), so that it says what the
//! store holds however late the fold is.
//! Does not: know what somebody was between two changes. Who changes shortly before a
//! month's end and again after it, before the first was folded, stands in the month as
//! after both; their offers count in the month in which they were made.
//! Start at: [`next`].

mod fold;

use super::engine::bulk::Bulk;
use super::engine::{Row, Sql, StoreError, Val, params};
use super::{log, region};
use crate::domain::account::number;
use crate::domain::cells::Month;
use crate::domain::region::Region;
use crate::domain::seek::{Page, Stand};
use crate::domain::time::Moment;
use std::collections::{BTreeMap, HashMap, HashSet};
use uuid::Uuid;

/// People of one slice, and lines of the log read for it; a wave is not cut.
const SLICE: usize = 2000;
/// So many changes that concern nobody are passed over before that is written down.
const QUIET: i64 = 5000;

/// What a row of [`stand`] is read from.
macro_rules! people {
    () => {
        "SELECT handle, home, looking, paused, consent_on, seeking_since, erased_at FROM workers "
    };
}

/// How far the log is folded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// The last change that counts.
    position: i64,
    /// The month of the newest pages, by its number.
    month: i64,
    /// A store that held people before any of this was kept is walked first: the last
    /// handle that was. None once everybody was.
    walked: Option<i64>,
    /// The first month of which it is known who looked: 0, or the one in which everybody
    /// was walked.
    pub begun: i64,
}

impl Place {
    pub(super) fn read(s: &mut dyn Sql) -> Result<Self, StoreError> {
        Self::of(s.one("SELECT position, month, walked, begun FROM seek_fold WHERE id = 0", &[])?)
    }

    fn of(row: Option<Row>) -> Result<Self, StoreError> {
        let row = row.ok_or_else(|| StoreError::Corrupt("how far the seekers are folded".to_owned()))?;
        Ok(Self { position: row.int(0)?, month: row.int(1)?, walked: row.opt_int(2)?, begun: row.int(3)? })
    }
}

/// The people whom a piece of the log made another, all in one month.
pub(super) struct Slice {
    from: Place,
    to: Place,
    /// By handle; none: not there, or erased.
    people: BTreeMap<i64, (Option<Stand>, Option<Stand>)>,
}

impl Slice {
    /// What is to be added to the newest pages.
    fn added(&self) -> BTreeMap<Region, Page> {
        let mut added: BTreeMap<Region, Page> = BTreeMap::new();
        for (old, new) in self.people.values() {
            for (stand, n) in [(old, -1), (new, 1)] {
                if let Some(stand) = stand {
                    added.entry(stand.home).or_default().count(stand, n);
                }
            }
        }
        added.retain(|_, page| !page.is_empty());
        added
    }
}

/// People as they are counted, beyond their rows.
pub(super) type Known = HashMap<i64, Option<Stand>>;

/// What comes after a place, none where nothing does that concerns anybody. `known` are
/// people as earlier slices left them.
pub(super) fn next(s: &mut dyn Sql, from: Place, known: &Known) -> Result<Option<Slice>, StoreError> {
    let (to, now) = match from.walked {
        Some(after) => walk(s, from, after)?,
        None => match follow(s, from)? {
            Some((to, told)) => (to, told),
            None => return Ok(None),
        },
    };
    let rows: Vec<Val> = now.keys().filter(|handle| !known.contains_key(handle)).map(|handle| Val::from(*handle)).collect();
    let mut old = kept(s, &rows)?;
    let mut people = BTreeMap::new();
    for (handle, Told { stand, offered }) in now {
        let before = known.get(&handle).copied().unwrap_or_else(|| old.remove(&handle));
        let last = before.and_then(|b| b.last).max(offered);
        let after = stand.map(|stand| Stand { last, ..stand });
        if before != after {
            people.insert(handle, (before, after));
        }
    }
    Ok(Some(Slice { from, to, people }))
}

/// What is to be known of somebody whom the log names: who they are now, but for their
/// last offer, and the day of the last offer that it tells.
struct Told {
    stand: Option<Stand>,
    offered: Option<i32>,
}

/// People whom the log names, or who are walked, by handle.
type Named = BTreeMap<i64, Told>;

/// The next people of a store that held them already, in the month of its last change.
fn walk(s: &mut dyn Sql, from: Place, after: i64) -> Result<(Place, Named), StoreError> {
    static OFFERED: Bulk = Bulk::keys("SELECT handle, MAX(offered_at) FROM offers WHERE handle IN {list} GROUP BY handle", 0);
    let rows = s.query(concat!(people!(), "WHERE handle > $1 ORDER BY handle LIMIT $2"), params![after, SLICE as i64])?;
    let mut people = BTreeMap::new();
    for row in &rows {
        people.insert(row.int(0)?, Told { stand: stand(row)?, offered: None });
    }
    let handles: Vec<Val> = people.keys().map(|handle| Val::from(*handle)).collect();
    for row in OFFERED.query(s, &[], &handles)? {
        let offered = Some(day(row.int(1)?));
        people.entry(row.int(0)?).and_modify(|told| told.offered = offered);
    }
    let newest = s.one("SELECT at FROM changes ORDER BY seq DESC LIMIT 1", &[])?.map_or(Ok(0), |row| row.int(0).map(month))?;
    let walked = people.keys().next_back().copied().filter(|_| rows.len() == SLICE);
    let month = if from.month > 0 { from.month } else { newest };
    Ok((Place { month, walked, begun: month, ..from }, people))
}

/// The people whom the next changes of one month name. Months never go back: what a
/// clock dates before the newest pages counts with them.
fn follow(s: &mut dyn Sql, from: Place) -> Result<Option<(Place, Named)>, StoreError> {
    let rows = s.query(
        "SELECT seq, kind, id, version, at FROM changes WHERE seq > $1 AND kind <> 'posting' ORDER BY seq LIMIT $2",
        params![from.position, SLICE as i64],
    )?;
    let Some(first) = rows.first() else {
        let last = log::last_change(s)?;
        return Ok((last - from.position >= QUIET).then(|| (Place { position: last, ..from }, BTreeMap::new())));
    };
    let mut to = Place { month: from.month.max(month(first.int(4)?)), ..from };
    let (mut ids, mut offered): (HashSet<Uuid>, HashMap<i64, i32>) = (HashSet::new(), HashMap::new());
    for row in &rows {
        if month(row.int(4)?) > to.month || ids.len() + offered.len() >= SLICE {
            break;
        }
        to.position = row.int(0)?;
        if row.text(1)? == "worker" {
            ids.insert(row.uuid(2)?);
            continue;
        }
        let day = day(row.int(4)?);
        for member in s.query("SELECT handle FROM offers WHERE posting = $1 AND wave = $2", params![row.uuid(2)?, row.int(3)?])? {
            let last = offered.entry(member.int(0)?).or_insert(day);
            *last = day.max(*last);
        }
    }
    Ok(Some((to, told(s, ids, offered)?)))
}

fn told(s: &mut dyn Sql, ids: HashSet<Uuid>, offered: HashMap<i64, i32>) -> Result<Named, StoreError> {
    static BY_ID: Bulk = Bulk::keys(concat!(people!(), "WHERE id IN {list}"), 0);
    static BY_HANDLE: Bulk = Bulk::keys(concat!(people!(), "WHERE handle IN {list}"), 0);
    let ids: Vec<Val> = ids.into_iter().map(Val::from).collect();
    let mut handles: Vec<i64> = offered.keys().copied().collect();
    handles.sort_unstable();
    let mut rows = BY_ID.query(s, &[], &ids)?;
    rows.extend(BY_HANDLE.query(s, &[], &handles.into_iter().map(Val::from).collect::<Vec<_>>())?);
    let mut people = BTreeMap::new();
    for row in &rows {
        let handle = row.int(0)?;
        people.insert(handle, Told { stand: stand(row)?, offered: offered.get(&handle).copied() });
    }
    Ok(people)
}

fn stand(row: &Row) -> Result<Option<Stand>, StoreError> {
    if !row.is_null(6) {
        return Ok(None);
    }
    let looks = row.flag(2)? && !row.flag(3)? && !row.is_null(4);
    Ok(Some(Stand { home: region(row.int(1)?)?, looks, since: small(row.int(5)?), last: None }))
}

/// Looks at everybody there is, as they are now but for their last offer; none: erased.
pub(super) fn everybody(s: &mut dyn Sql, look: &mut dyn FnMut(i64, Option<Stand>)) -> Result<(), StoreError> {
    s.each(people!(), &[], &mut |row| {
        look(row.int(0)?, stand(&row)?);
        Ok(())
    })
}

fn small(day: i64) -> i32 {
    i32::try_from(day).unwrap_or(if day < 0 { i32::MIN } else { i32::MAX })
}

/// The day of a moment of the store.
fn day(ms: i64) -> i32 {
    number(Moment::from_ms(ms).day())
}

fn month(ms: i64) -> i64 {
    Month::of(day(ms)).number()
}

/// How these people were counted.
fn kept(s: &mut dyn Sql, handles: &[Val]) -> Result<HashMap<i64, Stand>, StoreError> {
    static KEPT: Bulk = Bulk::keys("SELECT handle, home, looks, since, last FROM seekers WHERE handle IN {list}", 0);
    KEPT.query(s, &[], handles)?.iter().map(counted).collect()
}

/// A row of the table.
pub(super) fn counted(row: &Row) -> Result<(i64, Stand), StoreError> {
    let stand = Stand { home: region(row.int(1)?)?, looks: row.flag(2)?, since: small(row.int(3)?), last: row.opt_int(4)?.map(small) };
    Ok((row.int(0)?, stand))
}

/// What the log tells beyond what was folded.
pub(super) struct Ahead {
    /// To be added to the pages that are the newest by the month asked for.
    pub added: BTreeMap<Region, Page>,
    pub people: Known,
}

impl Ahead {
    /// Up to the end of a month; none where that is more than so many slices, or the store
    /// is still walked.
    pub(super) fn read(s: &mut dyn Sql, upto: i64, most: usize) -> Result<Option<Self>, StoreError> {
        let mut place = Place::read(s)?;
        let mut ahead = Self { added: BTreeMap::new(), people: Known::new() };
        if place.walked.is_some() {
            return Ok(None);
        }
        let mut slices = 0;
        while place.month <= upto
            && let Some(slice) = next(s, place, &ahead.people)?
            && slice.to.month <= upto
        {
            slices += 1;
            if slices > most {
                return Ok(None);
            }
            place = slice.to;
            for (region, page) in slice.added() {
                ahead.added.entry(region).or_default().merge(&page);
            }
            ahead.people.extend(slice.people.into_iter().map(|(handle, (_, now))| (handle, now)));
        }
        Ok(Some(ahead))
    }
}

/// A page behind its column.
fn page(bytes: &[u8]) -> Result<Page, StoreError> {
    Page::from_bytes(bytes).ok_or_else(|| StoreError::Corrupt("a page of seekers".to_owned()))
}

/// Looks at the newest page by the end of a month of each home between two, those that
/// are asked for.
pub(super) fn each_page(
    s: &mut dyn Sql,
    month: i64,
    (first, last): (Region, Region),
    asked: &dyn Fn(Region) -> bool,
    look: &mut dyn FnMut(Region, Page) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    let sql = "SELECT h.home, (SELECT c.page FROM seek_cells c WHERE c.home = h.home AND c.month <= $1 ORDER BY c.month DESC LIMIT 1)
               FROM seek_homes h WHERE h.home BETWEEN $2 AND $3 ORDER BY h.home";
    s.each(sql, params![month, first.code(), last.code()], &mut |row| {
        let (home, bytes) = (region(row.int(0)?)?, row.opt_blob(1)?);
        bytes.filter(|_| asked(home)).map_or(Ok(()), |bytes| look(home, page(bytes)?))
    })
}
