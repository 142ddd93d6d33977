//! The daily watch: what the figures and the feeds say that a person should look into.
//!
//! Promises: it runs once a day, on one node; a matter has one open alert, and one that
//! somebody resolved comes back only with another occasion (another month, another
//! silence).
//! Start at: [`watch`].

use super::employment::{Rules, main_hire};
use crate::config::{AlertConfig, ReportConfig};
use crate::domain::hire::{Fact, Standing};
use crate::domain::region::Region;
use crate::domain::time::{Moment, Period, months_before};
use crate::store::alerts::{Matter, Waiting};
use crate::store::reports::{Counted, Person};
use crate::store::{Store, StoreError};
use jiff::civil::Date;
use std::collections::BTreeMap;
use std::time::Duration;

/// Reports that arrived while the last watch ran are looked at again.
const OVERLAP: Duration = Duration::from_secs(24 * 3600);

/// What the watch is run with.
pub struct Watching<'a> {
    pub alert: &'a AlertConfig,
    pub report: &'a ReportConfig,
    /// How long who lost a job comes first.
    pub displaced_for: Duration,
}

/// Does the day's watch, where it is not done yet; how many alerts it raised.
pub async fn watch(store: &Store, settings: &Watching<'_>, now: Moment) -> Result<usize, StoreError> {
    let Some(mine) = store.begin_watch(now).await? else { return Ok(0) };
    let alert = settings.alert;
    let mut found = Vec::new();
    for (platform, last) in store.silent_platforms(now.minus(alert.silent_after)).await? {
        let detail = format!("{platform} has sent no postings since {}", last.day());
        found.push(matter("platform_silent", platform, last.day().to_string(), Region::NATION, detail));
    }
    for w in store.waiting_displaced(settings.displaced_for, now.minus(alert.displaced_after), now).await? {
        let Waiting { worker, home, since } = w;
        let detail = format!("lost a job on {} and has had no offer since", since.day());
        found.push(Matter {
            worker: Some(worker),
            ..matter("displaced_waiting", worker.to_string(), since.day().to_string(), home, detail)
        });
    }
    for p in store.underpaid(mine.last.minus(OVERLAP)).await? {
        let detail = format!("{} yuan a month reported for {}, {} promised", p.wage, Period::month_of(p.at.day()), p.promised);
        let occasion = Period::month_of(p.at.day()).to_string();
        let found_one = matter("pay_below_promise", p.hire.to_string(), occasion, p.home, detail);
        found.push(Matter { worker: Some(p.worker), posting: Some(p.posting), ..found_one });
    }
    let (today, stale) = (now.day(), Rules::from(settings.report).stale_months);
    let fold = store.fold(today).await?;
    found.extend(counties(&fold.people, alert, today, stale));
    found.extend(fold.people.iter().flat_map(|p| p.hires.iter().map(move |h| (p, h))).filter_map(|(p, h)| {
        let last = months_without_active(h, today, stale)?;
        let detail = format!("works by {}'s word, and no sign of it since {last}", h.platform);
        Some(Matter { worker: Some(p.id.uuid()), ..matter("active_missing", h.id.to_string(), last.to_string(), h.home, detail) })
    }));
    let raised = store.raise(found, now).await?;
    store.end_watch(now).await?;
    Ok(raised)
}

fn matter(kind: &'static str, subject: String, occasion: String, region: Region, detail: String) -> Matter {
    Matter { kind, subject, occasion, region, worker: None, posting: None, detail }
}

/// People of one county.
#[derive(Clone, Copy, Debug, Default)]
struct County {
    before: u64,
    now: u64,
    unconfirmed: u64,
}

/// Counties where fewer work than a month ago, or too few are confirmed.
fn counties(people: &[Person], alert: &AlertConfig, today: Date, stale: u32) -> Vec<Matter> {
    let mut counties: BTreeMap<Region, County> = BTreeMap::new();
    for person in people {
        if let Some(hire) = main_hire(person, months_before(today, 1), stale) {
            counties.entry(hire.home).or_default().before += 1;
        }
        if let Some(hire) = main_hire(person, today, stale) {
            let county = counties.entry(hire.home).or_default();
            county.now += 1;
            county.unconfirmed += u64::from(!hire.life.confirmed(today));
        }
    }
    let (mut found, month) = (Vec::new(), Period::month_of(today).to_string());
    for (home, c) in counties {
        let lost = c.before.saturating_sub(c.now);
        if c.before >= alert.drop_min && lost as f64 > alert.drop_share * c.before as f64 {
            let detail = format!("{} work, {} did a month ago", c.now, c.before);
            found.push(matter("employment_drop", home.to_string(), month.clone(), home, detail));
        }
        if c.now >= alert.unconfirmed_min && c.unconfirmed as f64 > alert.unconfirmed_share * c.now as f64 {
            let detail = format!("{} of {} who work are not confirmed", c.unconfirmed, c.now);
            found.push(matter("unconfirmed_share", home.to_string(), month.clone(), home, detail));
        }
    }
    found
}

/// The last sign of life of a hire that counts as work today and gave none in the last
/// two whole months.
fn months_without_active(hire: &Counted, today: Date, stale: u32) -> Option<Date> {
    if hire.life.standing(today, stale) != Standing::Working {
        return None;
    }
    let from = months_before(today.first_of_month(), 2);
    let sign = |fact: &Fact| match fact {
        Fact::Active { counts_on, .. } => Some(*counts_on),
        Fact::Started(d) | Fact::Listed(d) | Fact::Confirmed(d) => Some(*d),
        Fact::Hired(_) | Fact::Over(_) => None,
    };
    let last = hire.life.facts.iter().filter_map(sign).chain(hire.life.started_on()).max()?;
    (last < from).then_some(last)
}
