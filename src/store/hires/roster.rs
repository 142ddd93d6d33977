//! Rosters: who of a platform's present workers is registered.
//!
//! Promises: a line whose number matches nobody leaves nothing behind, in no form; who
//! is matched has one hire at the platform, however often they are listed; what a line
//! costs in MACs is paid by [`Store::roster_line`], before the writer is asked.

use super::super::engine::bulk::Bulk;
use super::super::engine::{Sql, StoreError, Val, params};
use super::super::log::ChangeKind;
use super::super::once::Advance;
use super::super::writer::Tx;
use super::super::{Store, access, region};
use super::{HireTerms, NO_POSTING, facts, make, shared};
use crate::domain::category::Category;
use crate::domain::hire::{Flow, HireStatus, Tags};
use crate::domain::id::{HireId, Pseudonym, WorkerId};
use crate::domain::pay::Money;
use crate::domain::person::IdNumber;
use crate::domain::region::Region;
use crate::domain::time::{Moment, day_number};
use crate::domain::worker::Tier;
use jiff::civil::Date;
use serde_json::json;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;
use uuid::Uuid;

/// What a line says beside the number.
#[derive(Clone, Debug)]
pub struct Listing {
    /// The platform's own id of the person.
    pub platform_worker_id: Option<String>,
    pub since: Option<Date>,
    pub work: Region,
    pub category: Option<Category>,
    pub wage: Option<Money>,
}

/// A line with what is made of its number before it is looked up.
pub struct RosterLine {
    blind: Vec<u8>,
    blind_next: Option<Vec<u8>>,
    name: Option<[u8; 32]>,
    listing: Listing,
}

/// What became of lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Matches {
    /// Hires made.
    pub matched: u64,
    /// Lines of people who had a current hire at the platform.
    pub already: u64,
}

/// Somebody registered whom a line names.
#[derive(Clone, Copy)]
struct Known {
    id: Uuid,
    handle: i64,
    relocated: bool,
    version: i64,
}

/// A hire at the platform that is not over.
#[derive(Clone, Copy)]
struct Current {
    id: Uuid,
    posting: Uuid,
    started: bool,
    hired_at: i64,
}

/// Who of the lines is registered and has agreed to it, by blind index; locked, so that
/// no other roster or report makes a hire of them meanwhile.
fn known(tx: &mut Tx<'_>, lines: &[RosterLine], today: Date) -> Result<Vec<Option<Known>>, StoreError> {
    static NOW: Bulk = Bulk::keys(
        "SELECT blind, id, handle, relocated, version FROM workers WHERE consent_on <= $1 AND erased_at IS NULL AND blind IN {list}
         ORDER BY blind {for_update}",
        1,
    );
    static NEXT: Bulk = Bulk::keys(
        "SELECT blind_next, id, handle, relocated, version FROM workers WHERE consent_on <= $1 AND erased_at IS NULL AND blind_next IN {list}
         ORDER BY blind_next {for_update}",
        1,
    );
    let mut found: HashMap<Vec<u8>, Known> = HashMap::new();
    let mut look = |statement: &'static Bulk, mut keys: Vec<&[u8]>| -> Result<(), StoreError> {
        keys.sort();
        let keys: Vec<Val> = keys.into_iter().map(Val::from).collect();
        for row in statement.query(tx, params![day_number(today)], &keys)? {
            let known = Known { id: row.uuid(1)?, handle: row.int(2)?, relocated: row.flag(3)?, version: row.int(4)? };
            found.insert(row.blob(0)?.to_vec(), known);
        }
        Ok(())
    };
    look(&NOW, lines.iter().map(|l| l.blind.as_slice()).collect())?;
    look(&NEXT, lines.iter().filter_map(|l| l.blind_next.as_deref()).collect())?;
    let of = |l: &RosterLine| found.get(&l.blind).or_else(|| found.get(l.blind_next.as_ref()?)).copied();
    Ok(lines.iter().map(of).collect())
}

/// The present hires of some people at a platform. The platform is no key to look by: the
/// embedded engine would go through all of its hires for each list.
macro_rules! present {
    () => {
        "SELECT worker, id, posting, started_on, hired_at FROM hires
         WHERE platform || '' = $1 AND void = 0 AND (ended_on IS NULL OR ended_on >= $2) AND worker IN {list}"
    };
}

/// The present hires of these people at the platform, the earliest of each.
fn current(tx: &mut Tx<'_>, platform: &str, workers: &[Val], today: Date) -> Result<HashMap<Uuid, Current>, StoreError> {
    static CURRENT: Bulk = Bulk::keys(present!(), 2);
    let mut rows = CURRENT.query(tx, params![platform, day_number(today)], workers)?;
    rows.sort_by_key(|r| (r.opt_int(3).ok().flatten().unwrap_or(i64::MAX), r.uuid(1).ok()));
    let mut out = HashMap::new();
    for row in rows {
        let hire = Current { id: row.uuid(1)?, posting: row.uuid(2)?, started: !row.is_null(3), hired_at: row.int(4)? };
        out.entry(row.uuid(0)?).or_insert(hire);
    }
    Ok(out)
}

/// What was in force on a day, of somebody's dated history: the latest that began by
/// then, else the first known.
struct Histories(HashMap<i64, Vec<(i64, i64, Val)>>);

impl Histories {
    fn read(tx: &mut Tx<'_>, statement: &'static Bulk, handles: &[Val]) -> Result<Self, StoreError> {
        let mut of: HashMap<i64, Vec<(i64, i64, Val)>> = HashMap::new();
        for row in statement.query(tx, &[], handles)? {
            of.entry(row.int(0)?).or_default().push((row.int(1)?, row.int(2)?, row.0[3].clone()));
        }
        Ok(Self(of))
    }

    fn on(&self, handle: i64, day: i64) -> Option<&Val> {
        let of = self.0.get(&handle)?;
        let by_then = of.iter().filter(|(since, ..)| *since <= day).max_by_key(|(since, recorded, _)| (*since, *recorded));
        by_then.or_else(|| of.iter().min_by_key(|(since, recorded, _)| (*since, -recorded))).map(|(.., value)| value)
    }
}

/// The last day on which something ended for somebody known from rosters alone.
fn last_end(tx: &mut Tx<'_>, platform: &str, worker: Uuid) -> Result<Option<Date>, StoreError> {
    let sql = "SELECT MAX(at) FROM hire_facts WHERE platform = $1 AND posting = $2 AND worker = $3 AND kind IN ('ENDED', 'WITHDRAWN')";
    let row = tx.one(sql, params![platform, NO_POSTING, worker])?;
    Ok(row.map_or(Ok(None), |r| r.opt_int(0))?.map(|ms| Moment::from_ms(ms).day()))
}

/// Rows that a slice collects and writes at its end.
#[derive(Default)]
struct Rows {
    hires: Vec<Val>,
    facts: Vec<Val>,
    names: Vec<Val>,
    /// Who looks for work no longer.
    busy: Vec<Val>,
}

impl Rows {
    #[allow(clippy::too_many_arguments)]
    fn fact(&mut self, hire: Uuid, posting: Uuid, worker: Uuid, kind: &str, day: Date, wage: Option<i64>, work: Option<Region>) {
        let work = work.map(|r| i64::from(r.code()));
        self.facts.extend_from_slice(params![hire, posting, worker, kind, Moment::start_of(day).ms(), wage, work]);
    }

    fn write(self, tx: &mut Tx<'_>, platform: &str, now: Moment) -> Result<(), StoreError> {
        static HIRES: Bulk = Bulk::rows(
            "INSERT INTO hires (platform, source, status, created_at, updated_at, posting, id, worker, hired_at, started_on, home, work, reported_work,
               work_coarse, flow, category, tags) VALUES {list}",
            3,
            "$1, 'roster', 'ONBOARDED', $2, $2, $3, ",
            11,
        );
        static FACTS: Bulk = Bulk::rows(
            "INSERT INTO hire_facts (platform, received_at, hire, posting, worker, kind, at, wage, work) VALUES {list}
             ON CONFLICT (platform, posting, worker, kind, at, month) DO NOTHING",
            2,
            "$1, $2, ",
            7,
        );
        static NAMES: Bulk = Bulk::rows(
            "INSERT INTO platform_workers (platform, mac, posting, worker) VALUES {list}
             ON CONFLICT (platform, mac) DO UPDATE SET posting = excluded.posting, worker = excluded.worker",
            1,
            "$1, ",
            3,
        );
        static BUSY: Bulk =
            Bulk::keys("UPDATE workers SET looking = 0, displaced_until = 0, version = version + 1, updated_at = $1 WHERE id IN {list}", 1);
        HIRES.insert(tx, params![platform, now.ms(), NO_POSTING], &self.hires, |_, _| Ok(()))?;
        FACTS.insert(tx, params![platform, now.ms()], &self.facts, |_, _| Ok(()))?;
        NAMES.insert(tx, params![platform], &self.names, |_, _| Ok(()))?;
        BUSY.exec(tx, params![now.ms()], &self.busy).map(|_| ())
    }
}

fn apply(tx: &mut Tx<'_>, terms: &HireTerms, lines: &[RosterLine], now: Moment) -> Result<Matches, StoreError> {
    static HOMES: Bulk = Bulk::keys("SELECT worker, since, recorded_at, region FROM homes WHERE worker IN {list}", 0);
    static TIERS: Bulk = Bulk::keys("SELECT worker, since, recorded_at, tier FROM tiers WHERE worker IN {list}", 0);
    static SEEN: Bulk = Bulk::keys("SELECT hire FROM hire_facts WHERE kind = 'LISTED' AND at = $1 AND hire IN {list}", 1);
    let (today, platform) = (now.day(), terms.platform.as_str());
    let known = known(tx, lines, today)?;
    let people: HashMap<Uuid, Known> = known.iter().flatten().map(|k| (k.id, *k)).collect();
    if people.is_empty() {
        return Ok(Matches::default());
    }
    let mut workers: Vec<Uuid> = people.keys().copied().collect();
    workers.sort();
    let ids: Vec<Val> = workers.iter().map(|id| Val::from(*id)).collect();
    let mut current = current(tx, platform, &ids, today)?;
    let fresh: Vec<&Known> = workers.iter().filter(|id| !current.contains_key(*id)).filter_map(|id| people.get(id)).collect();
    let handles: Vec<Val> = fresh.iter().map(|k| Val::from(k.handle)).collect();
    let (homes, tiers) = (Histories::read(tx, &HOMES, &handles)?, Histories::read(tx, &TIERS, &handles)?);
    let strangers: Vec<WorkerId> = fresh.iter().map(|k| WorkerId::new(k.id)).collect();
    let names = tx.names.of_all(tx, platform, &strangers)?;
    let names: HashMap<Uuid, Pseudonym> = fresh.iter().map(|k| k.id).zip(names).collect();
    let hires: Vec<Val> = current.values().map(|h| Val::from(h.id)).collect();
    let seen = SEEN.query(tx, params![Moment::start_of(today).ms()], &hires)?;
    let mut seen: HashSet<Uuid> = seen.iter().map(|r| r.uuid(0)).collect::<Result<_, _>>()?;
    let (mut rows, mut out, mut began) = (Rows::default(), Matches::default(), Vec::new());
    let mut macs: HashMap<[u8; 32], (Uuid, Uuid)> = HashMap::new();
    for (line, known) in lines.iter().zip(&known).filter_map(|(line, known)| Some((line, (*known)?))) {
        let l = &line.listing;
        let hire = match current.get_mut(&known.id) {
            Some(hire) => {
                out.already += 1;
                if seen.insert(hire.id) {
                    rows.fact(hire.id, hire.posting, known.id, "LISTED", today, None, None);
                    tx.books.note(known.id, hire.id, now, "hire_listed", json!({"on": today}));
                }
                if let Some(since) = l.since {
                    tx.books.touch(known.id, now);
                    rows.fact(hire.id, hire.posting, known.id, "LISTED", since, None, None);
                }
                if !hire.started {
                    tx.books.touch(known.id, now);
                    // Hired, and now seen at work: not before the platform said so.
                    let from = l.since.unwrap_or(today).max(Moment::from_ms(hire.hired_at).day());
                    rows.fact(hire.id, hire.posting, known.id, "SINCE", from, l.wage.map(Money::minor), Some(l.work));
                    rows.busy.push(Val::from(known.id));
                    tx.log.change(ChangeKind::Worker, known.id, known.version + 1, now);
                    began.push(hire.id);
                    hire.started = true;
                }
                *hire
            }
            None => {
                let start = l.since.unwrap_or(today);
                // What ended is over: whoever is listed again has begun again after it.
                let after = last_end(tx, platform, known.id)?.and_then(|d| d.tomorrow().ok());
                let start = after.map_or(start, |after| start.max(after));
                let day = day_number(start);
                let home = match homes.on(known.handle, day) {
                    Some(Val::Int(code)) => region(*code)?,
                    _ => return Err(StoreError::Corrupt("a worker without a home".to_owned())),
                };
                let tier = match tiers.on(known.handle, day) {
                    Some(Val::Text(code)) => Tier::parse(code).unwrap_or(Tier::NotLifted),
                    _ => Tier::NotLifted,
                };
                let (flow, work_region, coarse) = Flow::of(home, false, Some(l.work), None);
                let tags = Tags::of(home, tier, (flow, work_region), known.relocated, known.version);
                let made = tx.ids.v7(now);
                let work = work_region.map(|r| i64::from(r.code()));
                let text = serde_json::to_string(&tags).map_err(|e| StoreError::Statement(e.to_string()))?;
                let category = l.category.unwrap_or(Category::Other).code();
                rows.hires.extend_from_slice(params![
                    made,
                    known.id,
                    Moment::start_of(start).ms(),
                    day,
                    i64::from(home.code()),
                    work,
                    work,
                    coarse,
                    flow.code(),
                    category,
                    text
                ]);
                rows.fact(made, NO_POSTING, known.id, "SINCE", start, l.wage.map(Money::minor), Some(l.work));
                rows.fact(made, NO_POSTING, known.id, "LISTED", today, None, None);
                rows.busy.push(Val::from(known.id));
                tx.log.change(ChangeKind::Worker, known.id, known.version + 1, now);
                tell(tx, terms, made, names.get(&known.id), start, &tags, known.id, now);
                out.matched += 1;
                seen.insert(made);
                let hire = Current { id: made, posting: NO_POSTING, started: true, hired_at: now.ms() };
                current.insert(known.id, hire);
                hire
            }
        };
        if let Some(mac) = line.name {
            macs.insert(mac, (hire.posting, known.id));
        }
    }
    for (mac, (posting, worker)) in macs {
        rows.names.extend_from_slice(params![mac.as_slice(), posting, worker]);
    }
    rows.write(tx, platform, now)?;
    for hire in began {
        facts::refresh(tx, hire)?;
    }
    Ok(out)
}

/// Puts what was frozen into the platform's list and the ledger.
#[allow(clippy::too_many_arguments)]
fn tell(tx: &mut Tx<'_>, terms: &HireTerms, hire: Uuid, name: Option<&Pseudonym>, start: Date, tags: &Tags, worker: Uuid, now: Moment) {
    let (status, at) = (HireStatus::Onboarded, Moment::start_of(start));
    let data = json!({"hire": HireId::new(hire), "worker": name, "status": status, "tags": shared(tags, &terms.share)});
    make::tell_unposted(tx, &terms.platform, "hire.tagged", data, now);
    let leaf = json!({"platform": terms.platform, "status": status, "at": at, "source": "roster", "tags": tags});
    tx.books.note(worker, hire, now, "hire", leaf);
}

/// A roster as it is taken.
#[derive(Clone, Debug)]
pub struct Roster {
    pub id: Uuid,
    pub client: Uuid,
    /// Rosters of a platform in 24 hours at most.
    pub per_day: u32,
}

/// A day, over which rosters are counted.
const DAY: Duration = Duration::from_secs(24 * 3600);

impl Store {
    /// Makes beforehand what a line needs to be looked up, and forgets the number.
    pub fn roster_line(&self, platform: &str, number: &IdNumber, listing: Listing) -> RosterLine {
        let name = listing.platform_worker_id.as_deref().map(|id| self.vault.platform_worker(platform, id));
        RosterLine { blind: self.vault.blind(number), blind_next: self.vault.blind_next(number), name, listing }
    }

    /// Begins a roster; else the moment from which the platform may send another.
    pub async fn begin_roster(
        &self,
        platform: String,
        roster: Roster,
        progress: Option<Advance<()>>,
        now: Moment,
    ) -> Result<Result<(), Moment>, StoreError> {
        self.write(move |tx| {
            let since = now.minus(DAY).ms();
            let count = tx.one("SELECT COUNT(*) FROM rosters WHERE platform = $1 AND at > $2", params![platform.as_str(), since])?;
            if access::total(count)? >= i64::from(roster.per_day) {
                let sql = "SELECT at FROM rosters WHERE platform = $1 AND at > $2 ORDER BY at DESC LIMIT 1 OFFSET $3";
                let oldest = tx.one(sql, params![platform.as_str(), since, i64::from(roster.per_day.saturating_sub(1))])?;
                return Ok(Err(oldest.map_or(Ok(now), |r| r.int(0).map(Moment::from_ms))?.plus(DAY)));
            }
            tx.exec(
                "INSERT INTO rosters (id, platform, client, at) VALUES ($1, $2, $3, $4)",
                params![roster.id, platform.as_str(), roster.client, now.ms()],
            )?;
            if let Some(progress) = &progress {
                progress.write(tx, &(), now)?;
            }
            Ok(Ok(()))
        })
        .await
    }

    /// Takes one slice of a roster, and stores how far it has come.
    pub async fn take_roster(
        &self,
        terms: HireTerms,
        slice: Arc<Vec<RosterLine>>,
        progress: Option<Advance<Matches>>,
        now: Moment,
    ) -> Result<Matches, StoreError> {
        self.write(move |tx| {
            let out = apply(tx, &terms, &slice, now)?;
            if let Some(progress) = &progress {
                progress.write(tx, &out, now)?;
            }
            Ok(out)
        })
        .await
    }

    /// Notes what a roster came to.
    pub async fn end_roster(&self, id: Uuid, received: u64, m: Matches) -> Result<(), StoreError> {
        let count = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
        self.write(move |tx| {
            let sql = "UPDATE rosters SET received = $2, matched = $3, already = $4 WHERE id = $1";
            tx.exec(sql, params![id, count(received), count(m.matched), count(m.already)]).map(|_| ())
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::schema::empty;

    #[test]
    fn the_hires_of_a_list_are_found_by_person_and_not_by_platform() {
        let (_folder, mut s) = empty();
        static PLAN: Bulk = Bulk::keys(concat!("EXPLAIN QUERY PLAN ", present!()), 2);
        let keys: Vec<Val> = (0..64u128).map(|n| Val::from(Uuid::from_u128(n))).collect();
        let plan = PLAN.query(s.as_mut() as &mut dyn Sql, params!["p", 0], &keys).unwrap();
        assert_eq!(plan[0].text(3), Ok("SEARCH hires USING INDEX hires_by_worker (worker=?)"));
    }
}
