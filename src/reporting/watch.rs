//! The daily watch: what the figures and the feeds say that a person should look into.
//!
//! Promises: it runs once a day, on one node; a matter has one open alert, and one that
//! somebody resolved comes back only with another occasion (another month, another
//! silence).
//! Start at: [`watch`].

use crate::config::AlertConfig;
use crate::domain::account::Turn;
use crate::domain::alert::Facts;
use crate::domain::cells::{Axis, Section, Sections};
use crate::domain::closing::{COLUMNS, Figure};
use crate::domain::id::WorkerId;
use crate::domain::region::Region;
use crate::domain::time::{Moment, Period, months_before};
use crate::store::alerts::{Matter, Waiting};
use crate::store::cells::{Asked, Sheet, Source};
use crate::store::{Store, StoreError};
use jiff::civil::Date;
use std::collections::BTreeMap;
use std::time::Duration;

/// Reports that arrived while the last watch ran are looked at again.
const OVERLAP: Duration = Duration::from_secs(24 * 3600);

/// What the watch is run with.
pub struct Watching<'a> {
    pub alert: &'a AlertConfig,
    /// How long who lost a job comes first.
    pub displaced_for: Duration,
}

/// Does the day's watch, where it is not done yet; how many alerts it raised.
pub async fn watch(store: &Store, settings: &Watching<'_>, now: Moment) -> Result<usize, StoreError> {
    let Some(mine) = store.begin_watch(now).await? else { return Ok(0) };
    let alert = settings.alert;
    let mut found = Vec::new();
    for (platform, last) in store.silent_platforms(now.minus(alert.silent_after)).await? {
        let facts = Facts::PlatformSilent { platform: platform.clone(), since: last.day() };
        found.push(matter(facts, platform, last.day().to_string(), Region::NATION));
    }
    for w in store.waiting_displaced(settings.displaced_for, now.minus(alert.displaced_after), now).await? {
        let Waiting { worker, home, since } = w;
        let facts = Facts::DisplacedWaiting { since: since.day() };
        found.push(Matter { worker: Some(worker), ..matter(facts, worker.to_string(), since.day().to_string(), home) });
    }
    for p in store.underpaid(mine.last.minus(OVERLAP)).await? {
        let month = p.month.to_string();
        let facts = Facts::PayBelowPromise { month: month.clone(), wage: p.wage, promised: p.promised };
        let found_one = matter(facts, p.hire.to_string(), month, p.home);
        found.push(Matter { worker: Some(p.worker), posting: Some(p.posting), ..found_one });
    }
    let today = now.day();
    let standing = |day| Asked::Standing(day, Sections::FLOW);
    let sheet = async |asked| store.sheet(Source::Live, Axis::Home, None, asked).await;
    let (before, now_standing) = (sheet(standing(months_before(today, 1))).await?, sheet(standing(today)).await?);
    let month = Period::month_of(today);
    let turns = [sheet(Asked::Turns(month.previous(), month.previous().last_day())).await?, sheet(Asked::Turns(month, today)).await?];
    found.extend(counties(&before, &now_standing, &turns, alert, today));
    for q in store.quiet_hires(months_before(today.first_of_month(), 2)).await? {
        let account = store.account(WorkerId::new(q.worker)).await?;
        let Some(hire) = account.hires.get(&q.hire) else { continue };
        if let Some(until) = hire.works_until(today) {
            let facts = Facts::ActiveMissing { platform: hire.platform.to_string(), until };
            let found_one = matter(facts, q.hire.to_string(), until.to_string(), hire.home);
            found.push(Matter { worker: Some(q.worker), ..found_one });
        }
    }
    let raised = store.raise(found, now).await?;
    store.forget_days(now).await?;
    store.end_watch(now).await?;
    Ok(raised)
}

fn matter(facts: Facts, subject: String, occasion: String, region: Region) -> Matter {
    Matter { facts, subject, occasion, region, worker: None, posting: None }
}

/// People of one county.
#[derive(Clone, Copy, Debug, Default)]
struct County {
    before: u64,
    now: u64,
    unconfirmed: u64,
    /// Hired in this month or the last, so that nobody could have confirmed them by two
    /// months of work.
    fresh: u64,
}

/// Counties where fewer work than a month ago, or too few are confirmed.
fn counties(before: &Sheet, now: &Sheet, turns: &[Sheet], alert: &AlertConfig, today: Date) -> Vec<Matter> {
    let mut counties: BTreeMap<Region, County> = BTreeMap::new();
    let column = |name: &str| COLUMNS.iter().position(|c| *c == name).expect("a column that is signed");
    let (total, unconfirmed) = (column("total"), column("unconfirmed"));
    for (home, page) in &before.pages {
        counties.entry(*home).or_default().before = Figure::of(page, 0).0[total];
    }
    for (home, page) in &now.pages {
        let (county, figure) = (counties.entry(*home).or_default(), Figure::of(page, 0));
        (county.now, county.unconfirmed) = (figure.0[total], figure.0[unconfirmed]);
    }
    for (home, page) in turns.iter().flat_map(|sheet| &sheet.pages) {
        let hired = page.section(Section::Turn).filter(|(_, turn, _)| *turn == Turn::Hired as u16);
        counties.entry(*home).or_default().fresh += hired.map(|(.., n)| u64::try_from(n).unwrap_or(0)).sum::<u64>();
    }
    let (mut found, month) = (Vec::new(), Period::month_of(today).to_string());
    for (home, c) in counties {
        let lost = c.before.saturating_sub(c.now);
        if c.before >= alert.drop_min && lost as f64 > alert.drop_share * c.before as f64 {
            let facts = Facts::EmploymentDrop { working: c.now, before: c.before };
            found.push(matter(facts, home.to_string(), month.clone(), home));
        }
        // Of those who have worked for longer, at the least.
        let (longer, unconfirmed) = (c.now.saturating_sub(c.fresh), c.unconfirmed.saturating_sub(c.fresh));
        if longer >= alert.unconfirmed_min && unconfirmed as f64 > alert.unconfirmed_share * longer as f64 {
            let facts = Facts::UnconfirmedShare { unconfirmed, working: longer };
            found.push(matter(facts, home.to_string(), month.clone(), home));
        }
    }
    found
}
