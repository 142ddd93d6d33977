//! `doorstep bench reports`: how long a report takes over HTTP with so many hires in the
//! store, and beside it the same question as plain SQL over the hires, in the same run;
//! then how long it takes to verify the sealed log of all of them.

use super::hired::hire;
use super::offered;
use super::people::{Draw, Nation, TODAY};
use super::place::Place;
use super::registry::register;
use super::{anonymous_memory, load_average, millis, percentile, text};
use crate::domain::client::Role;
use crate::domain::id::PostingId;
use crate::domain::region::{Level, Region};
use crate::domain::time::{Moment, day_number};
use crate::outbound::ApiClient;
use crate::scratch::Scratch;
use crate::store::engine::{Sql, StoreError, params};
use crate::store::readers::Readers;
use crate::store::recount;
use crate::store::seals::verify::{Asked, Verdict, verify_at};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What is measured.
#[derive(Clone, Debug)]
pub struct Plan {
    pub hires: u32,
    /// How often each report is asked for.
    pub questions: u64,
    /// How often each is asked in SQL.
    pub sql: u64,
    /// What the names of the questions hold that are asked.
    pub only: String,
    /// An embedded store of its own where none is named.
    pub store: Option<String>,
    /// Where the embedded store is kept: hires that an earlier run made there are not made
    /// again.
    pub folder: Option<PathBuf>,
}

/// Of ten people so many have a hire at two platforms.
const TWICE: u32 = 1;
/// For so many hires there is a posting, up to a number of them that fills the pages of
/// offers, with so many openings and offers.
const POSTING: u32 = 50;
const POSTINGS: u32 = 20_000;
const OFFERS: u32 = 10;
/// Each question is asked so often before its answers are measured: memory and pages of
/// the database are the gateway's own by then. How long the very first took is told.
const UNMEASURED: u64 = 20;

/// Where a question is about.
#[derive(Clone, Copy, PartialEq, Eq)]
enum About {
    Nation,
    /// Another one each time.
    Of(Level),
}

/// A report or a page of a list, and the same asked of the hires in SQL where that can be asked.
struct Question {
    shown: &'static str,
    path: &'static str,
    about: About,
    sql: Option<&'static str>,
}

/// Who is at work on the day `$1`, or was over before; a sign of life is not looked for.
macro_rules! at_work {
    ($what:literal, $by:literal) => {
        concat!(
            "SELECT ",
            $what,
            " FROM hires WHERE void = 0 AND started_on <= $1 AND (ended_on IS NULL OR ended_on > $1) AND home BETWEEN $2 AND $3 GROUP BY ",
            $by
        )
    };
}

/// What an office asks: reports, and pages of lists, with the period in which the hires were made.
const QUESTIONS: [Question; 15] = [
    Question {
        shown: "employment, all counties",
        path: "/v1/reports/employment?period=2026-11&level=county",
        about: About::Nation,
        sql: Some(at_work!("home, flow, COUNT(DISTINCT worker)", "home, flow")),
    },
    Question {
        shown: "employment, all provinces",
        path: "/v1/reports/employment?period=2026-11",
        about: About::Nation,
        sql: Some(at_work!("home, flow, COUNT(DISTINCT worker)", "home, flow")),
    },
    Question {
        shown: "employment, all counties, by platform",
        path: "/v1/reports/employment?period=2026Q4&level=county&by=platform",
        about: About::Nation,
        sql: Some(at_work!("home, platform, COUNT(DISTINCT worker)", "home, platform")),
    },
    Question {
        shown: "employment, where they work, by trade",
        path: "/v1/reports/employment?period=2026-11&level=county&axis=work&by=category",
        about: About::Nation,
        sql: Some(at_work!("work, category, COUNT(DISTINCT worker)", "work, category")),
    },
    Question {
        shown: "employment, a past month's end",
        path: "/v1/reports/employment?period=2026-10&level=county",
        about: About::Nation,
        sql: Some(at_work!("home, flow, COUNT(DISTINCT worker)", "home, flow")),
    },
    Question {
        shown: "employment, a province",
        path: "/v1/reports/employment?period=2026&level=county",
        about: About::Of(Level::Province),
        sql: Some(at_work!("home, flow, COUNT(DISTINCT worker)", "home, flow")),
    },
    Question {
        shown: "employment, a county",
        path: "/v1/reports/employment?period=2026-11",
        about: About::Of(Level::County),
        sql: Some(at_work!("home, flow, COUNT(DISTINCT worker)", "home, flow")),
    },
    Question {
        shown: "flows, all prefectures",
        path: "/v1/reports/flows?period=2026-11&level=prefecture",
        about: About::Nation,
        sql: Some(at_work!("home, work, COUNT(DISTINCT worker)", "home, work")),
    },
    Question {
        shown: "platforms",
        path: "/v1/reports/platforms?period=2026",
        about: About::Nation,
        sql: Some(at_work!("platform, category, COUNT(*), COUNT(DISTINCT worker)", "platform, category")),
    },
    Question { shown: "routing, all counties", path: "/v1/reports/routing?period=2026-11&level=county", about: About::Nation, sql: None },
    Question { shown: "routing, a county", path: "/v1/reports/routing?period=2026-11", about: About::Of(Level::County), sql: None },
    Question { shown: "months, a county", path: "/v1/reports/months?period=2026-11", about: About::Of(Level::County), sql: None },
    Question { shown: "people who seek, a county", path: "/v1/workers?state=seeking", about: About::Of(Level::County), sql: None },
    Question { shown: "hires of a month, a county", path: "/v1/hires?period=2026-11", about: About::Of(Level::County), sql: None },
    Question {
        shown: "hires of a month, who works there",
        path: "/v1/hires?period=2026-11&axis=work",
        about: About::Of(Level::County),
        sql: None,
    },
];

/// What is asked after the month before was locked.
const OF_LOCKED: [Question; 5] = [
    Question {
        shown: "employment, a locked month",
        path: "/v1/reports/employment?period=2026-10&level=county",
        about: About::Nation,
        sql: None,
    },
    Question {
        shown: "the month after, with corrections",
        path: "/v1/reports/employment?period=2026-11&level=county",
        about: About::Nation,
        sql: None,
    },
    Question { shown: "platforms, a locked month", path: "/v1/reports/platforms?period=2026-10", about: About::Nation, sql: None },
    Question { shown: "routing, a locked month", path: "/v1/reports/routing?period=2026-10&level=county", about: About::Nation, sql: None },
    Question { shown: "flows in public", path: "/v1/reports/flows?period=2026-10&public=true", about: About::Nation, sql: None },
];

/// Measures and prints.
pub async fn run(plan: Plan) -> Result<(), String> {
    println!("{} hires; load average {}", plan.hires, load_average());
    let folder = plan.folder.as_deref().map_or_else(|| Scratch::make("bench"), Scratch::kept).map_err(text)?;
    let place = Place::start_in(folder, plan.store.as_deref(), false, |_| {}).await?;
    let reader = Readers::start(crate::store::engine_of(&place.url).map_err(text)?, 1).map_err(text)?;
    make(&place, &reader, &plan).await?;
    let state = place.gateway.state.clone().into_inner();
    // Of a store that an older version made, too.
    state.store.fold_additions().await.map_err(text)?;
    let began = Instant::now();
    let entries = state.store.seal(&state.config.seal.origin, Moment::start_of(TODAY)).await.map_err(text)?;
    println!("{entries} entries sealed in {:.1} s", began.elapsed().as_secs_f64());
    let (api, token) = place.client(Role::Office, "bench", "").await?;
    let url = place.url.clone();
    println!("store {}, HTTP, one caller\n", place.gateway.state.store.engine_name());
    let asking = Asking { api, token, reader, questions: plan.questions, sql: plan.sql, only: plan.only };
    let measured = place.beside("callers", move || crate::app::block_on(asking.all())).await;
    measured?;
    println!("{:.0} MiB, load average {}\n", memory(), load_average());
    verify(&place, &url)?;
    drop(place.stop().await);
    Ok(())
}

/// Registers people, has them hired, and makes offers to others; what an earlier run did of
/// it in the same folder is not done again.
async fn make(place: &Place, reader: &Readers, plan: &Plan) -> Result<(), String> {
    let there = reader.read(|s| {
        let hires = s.one("SELECT COUNT(*) FROM hires", &[])?.map_or(Ok(0), |r| r.count(0))?;
        Ok((hires, s.one("SELECT 1 FROM offers LIMIT 1", &[])?.is_some()))
    });
    let (there, all) = there.await.map_err(text)?;
    if there > 0 {
        println!("{there} hires are there");
    }
    if all {
        return Ok(());
    }
    let (state, nation) = (place.gateway.state.clone().into_inner(), Arc::new(Nation::new(2026, 0.0)));
    let workers = (u64::from(plan.hires) * 10 / (10 + u64::from(TWICE))).max(1) as u32;
    if there == 0 {
        // As many again as half of them are not hired, and some of these look for work.
        register(&state.store, &nation, workers + workers / 2).await?;
    }
    let began = Instant::now();
    hire(&state, reader, &nation, workers, plan.hires).await?;
    let took = began.elapsed().as_secs_f64();
    println!("{workers} people, hired in {took:.0} s ({:.0} a second); {:.0} MiB", f64::from(plan.hires - there) / took, memory());
    let offers = offers(place, reader, (plan.hires / POSTING).min(POSTINGS)).await?;
    state.store.fold_additions().await.map_err(text)?;
    let began = Instant::now();
    let folded = state.store.fold_seekers().await.map_err(text)?;
    let took = began.elapsed().as_secs_f64();
    println!("{offers} offers; who looks for work was counted in {took:.1} s ({:.0} people a second)", folded as f64 / took);
    Ok(())
}

/// Has a platform publish so many postings and offers each to people who look for work;
/// how many offers that made.
async fn offers(place: &Place, reader: &Readers, postings: u32) -> Result<usize, String> {
    let (api, token) = place.client(Role::Platform, "bench-0", "canonical").await?;
    let push = async move { offered::push(&api, &token, postings, OFFERS, |n| format!("P-{n}")).await };
    place.beside("callers", move || crate::app::block_on(push)).await?;
    let read = |s: &mut dyn Sql| {
        let looking = s.query("SELECT handle FROM workers WHERE looking = 1 AND paused = 0 ORDER BY handle", &[])?;
        let postings = s.query("SELECT id FROM postings ORDER BY id", &[])?;
        let handles = looking.iter().map(|r| r.count(0)).collect::<Result<Vec<_>, _>>()?;
        Ok((handles, postings.iter().map(|r| r.uuid(0).map(PostingId::new)).collect::<Result<Vec<_>, _>>()?))
    };
    let (handles, postings): (Vec<u32>, Vec<PostingId>) = reader.read(read).await.map_err(text)?;
    let (now, mut made) = (Moment::start_of(TODAY), 0);
    for (posting, people) in postings.into_iter().zip(handles.chunks(OFFERS as usize).cycle()) {
        made += offered::offer(&place.gateway.state.store, posting, people, now).await?.len();
    }
    Ok(made)
}

fn memory() -> f64 {
    anonymous_memory().unwrap_or_default()
}

/// An office, and somebody at the database.
struct Asking {
    api: ApiClient,
    token: String,
    reader: Readers,
    questions: u64,
    sql: u64,
    only: String,
}

impl Asking {
    async fn all(self) -> Result<(), String> {
        self.check().await?;
        println!("{:<40} {:>8} {:>8} {:>8} {:>8} {:>9} {:>8}", "", "first ms", "p50 ms", "p99 ms", "KiB", "SQL ms", "ratio");
        for question in QUESTIONS.iter().filter(|q| q.shown.contains(&self.only)) {
            self.measure(question).await?;
        }
        let began = Instant::now();
        let answer = self.api.call("POST", "/v1/periods/2026-10/lock", Some(&self.token), None).await.map_err(text)?;
        match answer.status {
            200 => println!("{:<40} {:>8.1}", "to lock a month", millis(began.elapsed())),
            409 if answer.json()["code"] == "period_locked" => println!("the month is locked"),
            status => return Err(format!("the lock answered {status}: {}", answer.json())),
        }
        for question in OF_LOCKED.iter().filter(|q| q.shown.contains(&self.only)) {
            self.measure(question).await?;
        }
        Ok(())
    }

    async fn measure(&self, q: &Question) -> Result<(), String> {
        let (mut took, mut bytes, mut sql) = (Vec::new(), 0, Vec::new());
        let mut draw = Draw::new(5, 5);
        for n in 0..self.questions.max(1) + UNMEASURED {
            let region = match q.about {
                About::Nation => Region::NATION,
                About::Of(level) => {
                    let all: Vec<Region> = Region::all().filter(|r| r.level() == level).collect();
                    all[draw.below(all.len() as u64) as usize]
                }
            };
            let path = if region == Region::NATION { q.path.to_owned() } else { format!("{}&region={region}", q.path) };
            let began = Instant::now();
            let (status, length) = self.api.pass_over(&path, Some(&self.token)).await.map_err(text)?;
            took.push(began.elapsed());
            bytes += length;
            if status != 200 {
                return Err(format!("{path} answered {status}"));
            }
            if n < self.sql
                && let Some(asked) = q.sql
            {
                let day = if q.path.contains("2026-10") { TODAY.first_of_month().yesterday().map_err(text)? } else { TODAY };
                sql.push(self.plain(asked, region, day_number(day)).await.map_err(text)?);
            }
        }
        let (first, asked) = (took[0], took.len());
        took.drain(..UNMEASURED as usize);
        took.sort_unstable();
        sql.sort_unstable();
        let (p50, p99) = (percentile(&took, 0.5), percentile(&took, 0.99));
        let beside = if sql.is_empty() {
            String::new()
        } else {
            let plain = percentile(&sql, 0.5);
            format!("{:>9.1} {:>7.0}x", millis(plain), plain.as_secs_f64() / p50.as_secs_f64().max(1e-9))
        };
        println!("{:<40} {:>8.1} {:>8.1} {:>8.1} {:>8} {beside}", q.shown, millis(first), millis(p50), millis(p99), bytes / asked / 1024);
        Ok(())
    }

    /// How long the statement takes, its rows counted and thrown away.
    async fn plain(&self, sql: &'static str, region: Region, day: i64) -> Result<Duration, StoreError> {
        let leaves = region.leaves();
        let (first, last) = match (leaves.first(), leaves.last()) {
            (Some(first), Some(last)) => (i64::from(first.code()), i64::from(last.code())),
            _ => (i64::from(region.code()), i64::from(region.code())),
        };
        let read = move |s: &mut dyn Sql| {
            let (began, mut rows) = (Instant::now(), 0u64);
            s.each(sql, params![day, first, last], &mut |_| {
                rows += 1;
                Ok(())
            })?;
            Ok(began.elapsed())
        };
        self.reader.read(read).await
    }

    /// The report and the hires say the same.
    async fn check(&self) -> Result<(), String> {
        let count = |s: &mut dyn Sql| {
            let sql = "SELECT COUNT(DISTINCT worker), COUNT(*) FROM hires
                       WHERE void = 0 AND started_on <= $1 AND (ended_on IS NULL OR ended_on > $1)";
            s.one(sql, params![day_number(TODAY)])?.map_or(Ok((0, 0)), |r| Ok((r.int(0)?, r.int(1)?)))
        };
        let (people, hires) = self.reader.read(count).await.map_err(text)?;
        let report = self.api.call("GET", "/v1/reports/employment?period=2026-11", Some(&self.token), None).await.map_err(text)?.json();
        if report["totals"]["total"] != people {
            return Err(format!("{people} people are at work, and the report says {}", report["totals"]["total"]));
        }
        println!("{people} people at work in {hires} hires, as the report says");
        Ok(())
    }
}

/// Looks the log of all of it over as an auditor does.
fn verify(place: &Place, url: &str) -> Result<(), String> {
    let state = &place.gateway.state;
    let asked = Asked { public: place.seal.clone(), ..Asked::default() };
    type Verify<'a> = &'a dyn Fn() -> Result<Verdict, StoreError>;
    let ways: [(&str, Verify<'_>); 2] = [
        ("tree, tiles, signature", &|| verify_at(url, &asked, &mut |_| ())),
        ("and facts, counters", &|| recount::verify_at(url, &asked, state.config.report.stale_months)),
    ];
    for (shown, verify) in ways {
        let began = Instant::now();
        let verdict = verify().map_err(text)?;
        if let Some(finding) = verdict.findings.first() {
            return Err(format!("the log is not as it was sealed: {finding}"));
        }
        let took = began.elapsed().as_secs_f64();
        let million = took * 1e6 / verdict.entries.max(1) as f64;
        println!("sealed log: {} entries; {shown}: {took:.1} s, {million:.1} s for a million", verdict.entries);
    }
    Ok(())
}
