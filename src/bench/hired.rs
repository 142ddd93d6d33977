//! Hires by the hundred thousand: everybody registered stands in the roster of some
//! platform, some in those of two, and a few were laid off since.

use super::people::{Draw, Nation, TODAY};
use super::registry::registration;
use super::text;
use crate::config::PlatformConfig;
use crate::domain::category::Category;
use crate::domain::hire::{EndReason, HireStatus, StatusReport};
use crate::domain::region::{Level, Region};
use crate::domain::time::Moment;
use crate::hiring::Hiring;
use crate::hiring::rosters::{RosterBatch, RosterRules};
use crate::http::State;
use crate::progress::Progress;
use crate::store::engine::{Sql, StoreError};
use crate::store::hires::{HireTerms, Report, Reported, Subject};
use crate::store::readers::Readers;
use jiff::ToSpan;
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;
use uuid::Uuid;

/// The platforms that have rosters.
const PLATFORMS: u32 = 5;
/// Lines of one roster.
const LINES: usize = 50_000;
/// Lines of one transaction, ten times what a gateway takes while others wait: a page of
/// the database that many lines change is written once for all of them.
const SLICE: usize = 5_000;
/// One of so many was laid off since.
const LAID_OFF: u32 = 50;
/// Days since the first hire.
const DAYS: u64 = 365;

/// The terms of a platform that is measured.
pub fn terms(platform: String) -> HireTerms {
    HireTerms { platform, share: PlatformConfig::default(), promoted_within: Duration::ZERO, displaced_for: Duration::ZERO }
}

/// How often what is added to cells is folded while nobody reads them.
const FOLD: Duration = Duration::from_secs(600);

/// Has the first `workers` of a nation hired, `hires` times in all, by rosters as
/// platforms send them; those that are there from a run that was ended are not sent again.
pub async fn hire(state: &Arc<State>, reader: &Readers, nation: &Arc<Nation>, workers: u32, hires: u32) -> Result<(), String> {
    let left = reader.read(move |s| left(s, workers, hires)).await.map_err(text)?;
    folding(state, FOLD, by_rosters(state, nation, workers, hires, left)).await?
}

/// The hires that are not there, in the order of the ids of those who are hired: what is
/// written of one in the indexes is beside what was written of the one before.
fn left(s: &mut dyn Sql, workers: u32, hires: u32) -> Result<Vec<u32>, StoreError> {
    let mut people = Vec::with_capacity(workers as usize);
    s.each("SELECT id, handle FROM workers", &[], &mut |row| {
        let person = row.count(1)?.checked_sub(1).filter(|person| *person < workers);
        people.extend(person.map(|person| row.uuid(0).map(|id| (id, person))).transpose()?);
        Ok(())
    })?;
    people.sort_unstable();
    let mut there = vec![false; hires as usize];
    s.each("SELECT worker, platform FROM hires", &[], &mut |row| {
        let id = row.uuid(0)?;
        let Ok(at) = people.binary_search_by_key(&id, |(id, _)| *id) else { return Ok(()) };
        let platform = row.text(1)?;
        let of_person = (people[at].1..hires).step_by(workers as usize);
        for n in of_person.filter(|n| name(platform_of(*n, workers)) == platform) {
            there[n as usize] = true;
        }
        Ok(())
    })?;
    let of_person = |(_, person): (Uuid, u32)| (person..hires).step_by(workers as usize);
    Ok(people.into_iter().flat_map(of_person).filter(|n| !there[*n as usize]).collect())
}

async fn by_rosters(state: &Arc<State>, nation: &Arc<Nation>, workers: u32, hires: u32, left: Vec<u32>) -> Result<(), String> {
    let (progress, now) = (Progress::new("hires", left.len() as u64), Moment::start_of(TODAY));
    let hiring = Hiring { store: state.store.clone(), slice: SLICE };
    for (lines, part) in (0u64..).step_by(LINES).zip(left.chunks(LINES)) {
        for platform in 0..PLATFORMS {
            let (of, part): (_, Vec<u32>) =
                (nation.clone(), part.iter().copied().filter(|n| platform_of(*n, workers) == platform).collect());
            let roster = move || part.into_iter().map(|n| line(&of, n, workers)).collect();
            let body: Option<String> = tokio::task::spawn_blocking(roster).await.map_err(text)?;
            let body = Arc::new(body.ok_or("an invented id number is none")?.into_bytes());
            let rules = RosterRules { min_lines: 0, per_day: u32::MAX };
            let batch = RosterBatch { terms: terms(name(platform)), client: Uuid::nil(), body, once: None, rules };
            let answer = hiring.roster(batch, now).await.map_err(|e| format!("{e:?}"))?.body;
            let count = |name: &str| answer[name].as_u64().unwrap_or_default();
            if count("matched") + count("already") != count("received") {
                return Err(format!("everybody on a roster is registered: {answer}"));
            }
        }
        progress.at(lines);
    }
    progress.finish();
    lay_off(state, workers, hires, now).await
}

/// Awaits this while what it adds to cells is folded so often, and the rest of it after.
pub async fn folding<T>(state: &State, often: Duration, work: impl Future<Output = T>) -> Result<T, String> {
    let beside = async {
        loop {
            tokio::time::sleep(often).await;
            if let Err(e) = state.store.fold_additions().await {
                return e;
            }
        }
    };
    let done = tokio::select! { done = work => done, e = beside => return Err(text(e)) };
    state.store.fold_additions().await.map_err(text)?;
    Ok(done)
}

fn name(platform: u32) -> String {
    format!("bench-{platform}")
}

/// People hired a second time are so by another platform.
fn platform_of(n: u32, workers: u32) -> u32 {
    (n % workers + n / workers) % PLATFORMS
}

fn line(nation: &Nation, n: u32, workers: u32) -> Option<String> {
    let seeker = nation.seeker(1 + n % workers);
    let mut draw = Draw::new(11, u64::from(n));
    let row = json!({
        "id_number": registration(&seeker)?.id_number.expose(),
        "platform_worker_id": format!("R-{n}"),
        "since": TODAY.saturating_sub((draw.below(DAYS) as i64).days()).to_string(),
        "work_region": work(seeker.home, &mut draw).to_string(),
        "category": Category::ALL[draw.below(Category::ALL.len() as u64) as usize].code(),
        "monthly_wage": 3_000 + 50 * draw.below(80),
    });
    Some(format!("{row}\n"))
}

/// Three of ten work in their county, three in their province, the others anywhere.
fn work(home: Region, draw: &mut Draw) -> Region {
    let within = match draw.below(10) {
        0..3 => return home,
        3..6 => home.at_level(Level::Province).unwrap_or(Region::NATION),
        _ => Region::NATION,
    };
    let leaves = within.leaves();
    leaves.get(draw.below(leaves.len() as u64) as usize).copied().unwrap_or(home)
}

async fn lay_off(state: &State, workers: u32, hires: u32, now: Moment) -> Result<(), String> {
    for platform in 0..PLATFORMS {
        let gone = (0..hires).step_by(LAID_OFF as usize).filter(|n| platform_of(*n, workers) == platform);
        let report = |n: u32| Report {
            subject: Subject::Roster(format!("R-{n}")),
            report: StatusReport {
                status: HireStatus::Ended,
                raw_status: None,
                at: Moment::start_of(TODAY.saturating_sub((Draw::new(12, u64::from(n)).below(20) as i64).days())),
                month: None,
                monthly_wage: None,
                work_region: None,
                reason: Some(EndReason::LaidOff),
            },
        };
        for slice in gone.map(report).collect::<Vec<_>>().chunks(1_000) {
            let done = state.store.report_hires(terms(name(platform)), Arc::new(slice.to_vec()), None, now).await.map_err(text)?;
            if let Some(Reported::Rejected(code)) = done.iter().find(|r| matches!(r, Reported::Rejected(_))) {
                return Err(format!("a dismissal was refused: {code}"));
            }
        }
    }
    Ok(())
}
