//! Hires as an office lists them.
//!
//! Promises: what a page of a county or a province costs follows from the hires there;
//! however many there are of the nation, few of them are held at a time.

use super::super::cells::{MANY, Within, within};
use super::super::engine::bulk::Bulk;
use super::super::engine::{Sql, StoreError, Val, params};
use super::super::reports::{corrected, facts};
use super::super::{Store, access, region};
use super::{Hire, columns, hire};
use crate::domain::hire::{Flow, Life};
use crate::domain::id::HireId;
use crate::domain::region::Region;
use crate::domain::time::day_number;
use jiff::civil::Date;
use std::collections::BTreeMap;
use uuid::Uuid;

/// How a list of hires is narrowed.
#[derive(Clone, Debug)]
pub struct HireFilter {
    pub region: Region,
    /// Where people work instead of where they are registered today.
    pub by_work: bool,
    /// Working on some day from the first to the last; none: every hire.
    pub within: Option<(Date, Date)>,
    pub platform: Option<String>,
    pub flow: Option<Flow>,
    pub stale_months: u32,
    /// Whether a hire is confirmed is told for this day.
    pub today: Date,
    pub after: Option<HireId>,
    pub limit: i64,
}

/// A hire with what the list says beside it.
#[derive(Clone, Debug)]
pub struct ListedHire {
    pub hire: Hire,
    pub confirmed: bool,
}

/// Where hires are looked for, so many at once.
enum Slice {
    /// Of people who are at home here today.
    Home(Region),
    /// Of those who work here.
    Work(Region),
    /// The next by id after this one, wherever they are.
    After(Val),
}

/// The places of a region, where they are few enough to be looked at one by one.
fn few_places(of: Region) -> Within {
    within(of).filter(|places| places.len() < Region::leaf_count() / MANY)
}

/// Hires read at once where all regions are gone through.
const SLICE: i64 = 2_000;

/// The columns that [`Listing::take`] reads of the hires that may fit: of a platform and a
/// flow where these are named, and within some days.
macro_rules! may_fit {
    ($from:literal, $tail:literal) => {
        concat!(
            "SELECT h.id, h.work, w.home, h.start_set, h.end_fixed, h.end_set, h.void FROM ",
            $from,
            " WHERE w.erased_at IS NULL AND ($1 = '' OR h.platform = $1) AND ($2 = '' OR h.flow = $2)
               AND ($3 = 0 OR (h.void = 0 AND h.started_on <= $4 AND (h.ended_on IS NULL OR h.ended_on > $5)))",
            $tail
        )
    };
}

const AT_HOME: &str = may_fit!("workers w JOIN hires h ON h.worker = w.id", " AND w.home = $6");
const AT_WORK: &str = may_fit!("hires h JOIN workers w ON w.id = h.worker", " AND h.work = $6");
const NEXT: &str = may_fit!("hires h JOIN workers w ON w.id = h.worker", " AND h.id > $6 ORDER BY h.id LIMIT $7");

static FACTS: Bulk = Bulk::keys("SELECT hire, kind, at, month, seq FROM hire_facts WHERE hire IN {list}", 0);

/// What was found so far.
struct Listing<'a> {
    f: &'a HireFilter,
    total: i64,
    /// Of the page, by id.
    page: BTreeMap<Uuid, Life>,
}

impl Listing<'_> {
    /// Looks at a slice; says where the next begins, where this one was full.
    fn take(&mut self, s: &mut dyn Sql, slice: &Slice) -> Result<Option<Val>, StoreError> {
        let f = self.f;
        let (first, last) = f.within.map_or((0, 0), |(first, last)| (day_number(first), day_number(last)));
        let (platform, flow) = (f.platform.as_deref().unwrap_or_default(), f.flow.map_or("", Flow::code));
        let asked = |more: &[Val]| [params![platform, flow, f.within.is_some(), last, first], more].concat();
        let rows = match slice {
            Slice::Home(home) => s.query(AT_HOME, &asked(params![home.code()])),
            Slice::Work(work) => s.query(AT_WORK, &asked(params![work.code()])),
            Slice::After(id) => s.query(NEXT, &asked(&[id.clone(), Val::from(SLICE)])),
        }?;
        let mut fits: BTreeMap<Uuid, Life> = BTreeMap::new();
        for row in &rows {
            let place = if f.by_work { row.opt_int(1)? } else { Some(row.int(2)?) };
            if place.map(region).transpose()?.unwrap_or(Region::NATION).is_within(f.region) {
                fits.insert(row.uuid(0)?, Life { facts: Vec::new(), corrected: corrected(row, 3)? });
            }
        }
        if let Some((first, last)) = f.within {
            with_facts(s, &mut fits)?;
            fits.retain(|_, life| life.worked_within(first, last, f.stale_months));
        }
        self.total += fits.len() as i64;
        let after = f.after.map(HireId::uuid);
        self.page.extend(fits.into_iter().filter(|(id, _)| after.is_none_or(|after| *id > after)));
        while self.page.len() as i64 > f.limit {
            self.page.pop_last();
        }
        let is_full = matches!(slice, Slice::After(_)) && rows.len() as i64 == SLICE;
        Ok(rows.last().filter(|_| is_full).map(|row| row.0[0].clone()))
    }
}

/// Reads the facts of these hires.
fn with_facts(s: &mut dyn Sql, lives: &mut BTreeMap<Uuid, Life>) -> Result<(), StoreError> {
    let keys: Vec<Val> = lives.keys().map(|id| Val::from(*id)).collect();
    for row in FACTS.query(s, &[], &keys)? {
        if let Some(life) = lives.get_mut(&row.uuid(0)?) {
            life.facts.extend(facts(&row)?);
        }
    }
    Ok(())
}

impl Store {
    /// One page of the hires that fit, and how many there are.
    pub async fn hires(&self, f: HireFilter) -> Result<(Vec<ListedHire>, i64), StoreError> {
        static PAGE: Bulk = Bulk::keys(columns!("WHERE h.id IN {list}"), 0);
        self.read(move |s| {
            let mut listing = Listing { f: &f, total: 0, page: BTreeMap::new() };
            match few_places(f.region) {
                Some(places) => {
                    for place in places {
                        listing.take(s, &if f.by_work { Slice::Work(place) } else { Slice::Home(place) })?;
                    }
                }
                None => {
                    let mut next = Some(access::after(None));
                    while let Some(after) = next {
                        next = listing.take(s, &Slice::After(after))?;
                    }
                }
            }
            let Listing { total, page: mut lives, .. } = listing;
            if f.within.is_none() {
                with_facts(s, &mut lives)?;
            }
            let keys: Vec<Val> = lives.keys().map(|id| Val::from(*id)).collect();
            let mut page = BTreeMap::new();
            for row in PAGE.query(s, &[], &keys)? {
                let hire = hire(&row)?;
                let confirmed = lives.get(&hire.id.uuid()).is_some_and(|life| life.confirmed(f.today));
                page.insert(hire.id, ListedHire { hire, confirmed });
            }
            Ok((page.into_values().collect(), total))
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::schema::{empty, plan};

    #[test]
    fn hires_of_a_place_are_found_without_going_through_those_of_others() {
        let (_folder, mut s) = empty();
        for (sql, index) in [(AT_HOME, "workers_by_home"), (AT_WORK, "hires_by_work")] {
            let steps = plan(s.as_mut(), sql);
            assert!(!steps.iter().any(|step| step.starts_with("SCAN")) && steps[0].contains(index), "{sql}: {steps:?}");
        }
        let steps = plan(s.as_mut(), NEXT);
        assert!(!steps.iter().any(|step| step.contains("ORDER BY")), "{steps:?}");
    }
}
