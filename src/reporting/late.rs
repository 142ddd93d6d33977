//! What became of locked periods afterwards: the corrections that the first period which
//! is open then carries.
//!
//! Promises: a change of a locked figure is told by one period, the first that is not
//! locked when it happens, as the difference to what closed periods told before; a
//! locked period goes on telling what it told.
//! Start at: [`corrections`].

use super::ReportFault;
use super::closing::counted;
use super::query::{Axis, Query};
use super::report::Corrected;
use crate::domain::account::number;
use crate::domain::cells::Month;
use crate::domain::closing::Figure;
use crate::domain::region::{Region, resolve_code};
use crate::domain::time::{Moment, Period};
use crate::store::Store;
use crate::store::periods::Lock;
use std::collections::{BTreeMap, BTreeSet};

/// Periods that are looked back to.
const BACK: usize = 36;

type ByCounty = BTreeMap<Region, Figure>;

/// The lock that holds a county: the first that was made.
fn lock_of(locks: &[Lock], county: Region) -> Option<&Lock> {
    locks.iter().find(|lock| county.is_within(lock.region))
}

/// What is kept with each lock of the counties that it holds.
fn of_locks<'a>(locks: &'a [Lock], kept: impl Fn(&'a Lock) -> Option<&'a BTreeMap<String, Figure>>) -> ByCounty {
    let of_lock = |lock: &'a Lock| {
        let figures = kept(lock).into_iter().flatten().filter_map(|(code, figure)| Some((resolve_code(code).ok()?, *figure)));
        figures.filter(move |(county, _)| lock_of(locks, *county).is_some_and(|of| of.region == lock.region))
    };
    locks.iter().flat_map(of_lock).collect()
}

/// The locks of the periods before one. What a lock tells of them is not changed by
/// locks made later.
struct Locks<'a> {
    store: &'a Store,
    upto: Period,
    /// Whose report they are for, where it is locked.
    kept: Option<&'a Lock>,
    /// Of the period right before it, which each report asks for several times.
    last: Vec<Lock>,
}

impl<'a> Locks<'a> {
    async fn before(upto: Period, store: &'a Store, kept: Option<&'a Lock>) -> Result<Self, ReportFault> {
        let mut locks = Self { store, upto, kept, last: Vec::new() };
        locks.last = locks.read(upto.previous()).await?;
        Ok(locks)
    }

    async fn read(&self, period: Period) -> Result<Vec<Lock>, ReportFault> {
        let mut locks = self.store.period_locks(period).await?;
        locks.retain(|lock| self.kept.is_none_or(|kept| lock.position <= kept.position));
        Ok(locks)
    }

    async fn of(&self, period: Period) -> Result<Vec<Lock>, ReportFault> {
        if period == self.upto.previous() { Ok(self.last.clone()) } else { self.read(period).await }
    }
}

/// The periods from the one before this on, backwards.
fn before(period: Period) -> impl Iterator<Item = Period> {
    std::iter::successors(Some(period.previous()), |period| Some(period.previous())).take(BACK)
}

/// A locked period with what was told of its counties.
struct Told {
    locks: Vec<Lock>,
    figures: ByCounty,
}

impl Told {
    /// What was told of a period, by it and by those after it.
    async fn of(told: Period, all: &Locks<'_>) -> Result<Self, ReportFault> {
        let locks = all.of(told).await?;
        let mut figures = of_locks(&locks, |lock| Some(&lock.figures));
        let name = told.to_string();
        let mut between: Vec<Period> = before(all.upto).take_while(|period| *period != told).collect();
        between.reverse();
        for (at, period) in between.into_iter().enumerate() {
            let by = all.of(period).await?;
            if at == 0 {
                // The period right after it tells all of it; who is not named came to nothing.
                let told = |county: &Region| lock_of(&by, *county).is_some_and(|lock| lock.beside.previous.is_some());
                figures.iter_mut().filter(|(county, _)| told(county)).for_each(|(_, figure)| *figure = Figure::default());
                figures.extend(of_locks(&by, |lock| lock.beside.previous.as_ref()));
            } else {
                figures.extend(of_locks(&by, |lock| lock.beside.earlier.get(&name)));
            }
        }
        figures.retain(|county, _| lock_of(&locks, *county).is_some());
        Ok(Self { locks, figures })
    }

    /// What its counties come to now.
    async fn now(&self, store: &Store, period: Period, bound: Region, now: Moment) -> Result<ByCounty, ReportFault> {
        let mut counties = counted(store, period, bound, now).await?.counties;
        counties.retain(|county, _| lock_of(&self.locks, *county).is_some());
        Ok(counties)
    }
}

/// The periods before the last of these of which something was changed since that one was
/// locked, in order.
async fn changed(locks: &Locks<'_>) -> Result<Vec<Period>, ReportFault> {
    let mut late = locks.store.late_changes().await?;
    late.retain(|month, changes| locks.last.iter().any(|lock| lock.beside.late.get(month) != Some(changes)));
    let ended = |period: &Period| late.contains_key(&Month::of(number(period.last_day())).number());
    let mut changed: Vec<Period> = before(locks.upto).skip(1).filter(ended).collect();
    changed.reverse();
    Ok(changed)
}

/// What a lock of this period tells of periods before the one before it.
pub(super) async fn earlier(
    store: &Store,
    period: Period,
    own: Region,
    now: Moment,
) -> Result<BTreeMap<String, BTreeMap<String, Figure>>, ReportFault> {
    let mut all = BTreeMap::new();
    let locks = Locks::before(period, store, None).await?;
    for earlier in changed(&locks).await? {
        let told = Told::of(earlier, &locks).await?;
        let present = told.now(store, earlier, own, now).await?;
        let counties: BTreeSet<&Region> = told.figures.keys().filter(|county| county.is_within(own)).chain(present.keys()).collect();
        let of = |figures: &ByCounty, county: &Region| figures.get(county).copied().unwrap_or_default();
        let differ = counties.into_iter().filter(|county| of(&told.figures, county) != of(&present, county));
        let differ: BTreeMap<String, Figure> = differ.map(|county| (county.to_string(), of(&present, county))).collect();
        if !differ.is_empty() {
            all.insert(earlier.to_string(), differ);
        }
    }
    Ok(all)
}

/// What locked periods would come to now, where that differs from what was told of them,
/// in the rows of a report; none where nothing of the period before is locked, or on the
/// axis of work. What a locked report says of it was found when it was locked.
pub async fn corrections(store: &Store, query: &Query, kept: Option<&Lock>, now: Moment) -> Result<Option<Vec<Corrected>>, ReportFault> {
    let unknown = kept.is_some_and(|lock| lock.beside.previous.is_none());
    if query.axis != Axis::Home || query.as_of.is_some() || unknown {
        return Ok(None);
    }
    let locks = Locks::before(query.period, store, kept).await?;
    if !query.scope.homes().into_iter().any(|county| lock_of(&locks.last, county).is_some()) {
        return Ok(None);
    }
    let earlier = match kept {
        Some(lock) => before(query.period).skip(1).filter(|p| lock.beside.earlier.contains_key(&p.to_string())).collect(),
        None => changed(&locks).await?,
    };
    let mut all = Vec::new();
    for period in [query.period.previous()].into_iter().chain(earlier) {
        let told = Told::of(period, &locks).await?;
        let present = match kept {
            None => told.now(store, period, query.scope.bound(), now).await?,
            Some(lock) if period == query.period.previous() => of_locks(std::slice::from_ref(lock), |lock| lock.beside.previous.as_ref()),
            Some(lock) => {
                let name = period.to_string();
                let mut present = told.figures.clone();
                present.extend(of_locks(std::slice::from_ref(lock), |lock| lock.beside.earlier.get(&name)));
                present
            }
        };
        all.extend(differences(query, period, &told, &present));
    }
    Ok(Some(all))
}

/// The differences of one period, by the rows of the report.
fn differences(query: &Query, period: Period, told: &Told, present: &ByCounty) -> Vec<Corrected> {
    let mut rows: BTreeMap<Region, (Figure, Figure)> = BTreeMap::new();
    let row = |county: Region| county.at_level(query.level).unwrap_or(county);
    let here = |county: &Region| query.scope.holds(*county) && lock_of(&told.locks, *county).is_some();
    for (county, figure) in told.figures.iter().filter(|(county, _)| here(county)) {
        rows.entry(row(*county)).or_default().0 += *figure;
    }
    for (county, figure) in present.iter().filter(|(county, _)| here(county)) {
        rows.entry(row(*county)).or_default().1 += *figure;
    }
    let name = period.to_string();
    let corrected = |(region, (told, now)): (Region, (Figure, Figure))| {
        let period = name.clone();
        let of = move |(column, locked, now)| Corrected { period: period.clone(), region, column, locked, now };
        told.difference(&now).into_iter().map(of).collect::<Vec<_>>()
    };
    rows.into_iter().flat_map(corrected).collect()
}
