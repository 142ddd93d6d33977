//! `doorstep bench accept`: yeses a second, durable, by many callers at once, over
//! HTTP and at the store's own interface; beside them, in the same run, the bare rate of
//! the same group-commit writer: where each caller changes the row of an offer, which is
//! the least of a yes, and where each appends one of an event's size, which is the least
//! of anything.

use super::offered;
use super::people::{Draw, Nation};
use super::place::Place;
use super::registry::register;
use super::threads::Threads;
use super::{load_average, millis, percentile, rate, text};
use crate::domain::client::Role;
use crate::domain::id::{OfferId, PostingId, WorkerId};
use crate::domain::offer::OfferState;
use crate::http::State;
use crate::outbound::ApiClient;
use crate::store::answers::{Answerer, Answering};
use crate::store::engine::{Sql, params};
use crate::store::names::Names;
use crate::store::readers::Readers;
use crate::store::writer::Writer;
use serde_json::json;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// What is measured.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Callers at once.
    pub clients: usize,
    /// Yeses of each measurement.
    pub accepts: u32,
    /// An embedded store of its own where none is named.
    pub store: Option<String>,
}

/// Seats of a posting where the yeses are spread.
const SEATS: u32 = 10;
/// Yeses beyond the seats, in a hundred: they wait.
const BEYOND: u32 = 2;

/// Measures and prints.
pub async fn run(plan: Plan) -> Result<(), String> {
    println!("{} yeses by {} callers at once; load average {}", plan.accepts, plan.clients, load_average());
    let place = Place::start(plan.store.as_deref(), false, |_| {}).await?;
    register(&place.gateway.state.store, &Arc::new(Nation::new(2026, 0.0)), plan.accepts * 3).await?;
    let (_, token) = place.client(Role::Platform, "bench", "canonical").await?;
    let (state, address, url) = (place.gateway.state.clone().into_inner(), place.gateway.address, place.url.clone());
    println!("store {}\n", state.store.engine_name());
    let outside = move || {
        let api = ApiClient::new(address).map_err(text)?;
        let reader = Readers::start(crate::store::engine_of(&url).map_err(text)?, 1).map_err(text)?;
        crate::app::block_on(Bench { state, api, token, reader, url, plan }.measure())
    };
    let outcome = place.beside("callers", outside).await;
    println!("load average {}", load_average());
    drop(place.stop().await);
    outcome
}

/// The side of the platform and the workers, on a thread of its own.
struct Bench {
    state: Arc<State>,
    api: ApiClient,
    token: String,
    reader: Readers,
    url: String,
    plan: Plan,
}

/// An offer to be accepted, with its worker's token.
struct Ready {
    offer: OfferId,
    worker: WorkerId,
    token: String,
}

impl Bench {
    async fn measure(self) -> Result<(), String> {
        // An endpoint that asked for the events: they become due to it in the same
        // transaction.
        let endpoint = json!({"url": "https://receiver.example.com/", "types": ["offer.accepted"]});
        let made =
            self.api.call("POST", "/v1/webhook-endpoints", Some(&self.token), Some(("application/json", endpoint.to_string().into())));
        if made.await.map_err(text)?.status != 201 {
            return Err("no endpoint was made".to_owned());
        }
        let appended = self.append().await?;
        let changed = self.change(self.offers("bare", false, SEATS).await?).await?;
        let bare = [changed.rate(), appended.rate()];
        println!("{:<34} {:>9} {:>9} {:>9} {:>11} {:>11}", "", "a second", "p50 ms", "p99 ms", "of changed", "of appended");
        let shown = |what: &str, mut taken: Taken| {
            taken.each.sort_unstable();
            let (p50, p99) = (millis(percentile(&taken.each, 0.5)), millis(percentile(&taken.each, 0.99)));
            let rate = rate(taken.each.len(), taken.took);
            let of = bare.map(|bare| 100.0 * rate / bare);
            println!("{what:<34} {rate:>9.0} {p50:>9.1} {p99:>9.1} {:>10.0}% {:>10.0}%   {}", of[0], of[1], taken.shares);
        };
        shown("bare: the row of an offer changed", changed);
        shown("bare: a row appended", appended);
        for (pattern, seats) in [("one posting", self.plan.accepts), ("ten seats each", SEATS)] {
            for over_http in [false, true] {
                let ready = self.offers(pattern, over_http, seats).await?;
                let taken = self.accept(ready, over_http).await?;
                shown(&format!("{pattern}, {}", if over_http { "over HTTP" } else { "at the store" }), taken);
                self.check().await?;
            }
        }
        println!("\nchecked after each: no posting has more seats taken than openings, nor other seats than its offers say");
        Ok(())
    }

    /// Postings with so many seats each and offers for all, of whom a few more than
    /// the seats.
    async fn offers(&self, pattern: &str, over_http: bool, seats: u32) -> Result<Vec<Ready>, String> {
        let postings = self.plan.accepts.div_ceil(seats);
        let openings = seats - (seats * BEYOND).div_ceil(100);
        let source = |n: u32| format!("{pattern}-{over_http}-{n}");
        offered::push(&self.api, &self.token, postings, openings, source).await?;
        let these = format!("{pattern}-{over_http}-%");
        let ids = self.reader.read(move |s| {
            let rows = s.query("SELECT id FROM postings WHERE source_id LIKE $1 ORDER BY id", params![these])?;
            rows.iter().map(|r| r.uuid(0).map(PostingId::new)).collect::<Result<Vec<_>, _>>()
        });
        let ids = ids.await.map_err(text)?;
        // Somewhat less than half of the people look for work.
        let most = i64::from(self.plan.accepts);
        let workers = self.reader.read(move |s| {
            let rows =
                s.query("SELECT id, handle FROM workers WHERE looking = 1 AND paused = 0 ORDER BY handle LIMIT $1", params![most])?;
            rows.iter().map(|r| Ok((r.count(1)?, WorkerId::new(r.uuid(0)?)))).collect::<Result<Vec<_>, _>>()
        });
        let workers = workers.await.map_err(text)?;
        let (now, mut offered) = (self.state.clock.now(), Vec::new());
        for (posting, people) in ids.into_iter().zip(workers.chunks(seats as usize)) {
            let handles: Vec<u32> = people.iter().map(|(handle, _)| *handle).collect();
            offered.extend(offered::offer(&self.state.store, posting, &handles, now).await?);
        }
        if offered.len() != self.plan.accepts as usize {
            return Err(format!("{} offers were made of {}", offered.len(), self.plan.accepts));
        }
        let workers: HashMap<u32, WorkerId> = workers.into_iter().collect();
        let ready = |(offer, handle): (OfferId, u32)| {
            let worker = *workers.get(&handle)?;
            let token = self.state.tokens.issue(&worker.to_string(), "worker", None, now).ok()?["access_token"].as_str()?.to_owned();
            Some(Ready { offer, worker, token })
        };
        // Callers come from anywhere: neighbours do not ask one after the other.
        let mut spread: Vec<Ready> = offered.into_iter().map(ready).collect::<Option<_>>().ok_or("no token")?;
        let mut draw = Draw::new(7, 7);
        (1..spread.len()).rev().for_each(|at| spread.swap(at, draw.below(at as u64 + 1) as usize));
        Ok(spread)
    }

    /// Everybody says yes, so many at once.
    async fn accept(&self, ready: Vec<Ready>, over_http: bool) -> Result<Taken, String> {
        let accept = |one: &Ready| {
            let (store, now) = (self.state.store.clone(), self.state.clock.now());
            let (api, token, path) = (self.api.clone(), one.token.clone(), format!("/v1/me/offers/{}/accept", one.offer));
            let answering = Answering {
                offer: one.offer,
                by: Answerer::Worker(one.worker),
                share_contact: true,
                reason: None,
                promoted_within: Duration::from_secs(3_600),
                cooldown: Duration::from_secs(3_600),
            };
            async move {
                if over_http {
                    let answer = api.call("POST", &path, Some(&token), Some(("application/json", b"{}".to_vec()))).await.map_err(text)?;
                    return if answer.status == 200 { Ok(()) } else { Err(format!("a yes answered {}", answer.status)) };
                }
                match store.accept_offer(answering, now).await.map_err(text)? {
                    Ok(offer) if matches!(offer.state, OfferState::Accepted | OfferState::Waitlisted) => Ok(()),
                    other => Err(format!("a yes came to {other:?}")),
                }
            }
        };
        at_once(self.plan.clients, ready.len(), |n| accept(&ready[n])).await
    }

    /// Everybody's offer is marked as looked at, and no more.
    async fn change(&self, ready: Vec<Ready>) -> Result<Taken, String> {
        let (writer, now) = (self.writer()?, self.state.clock.now());
        let change = |n: usize| {
            let (writer, offer) = (writer.clone(), ready[n].offer.uuid());
            async move {
                let row = writer.write(move |tx| {
                    let sql = "UPDATE offers SET state = 'seen', seen_at = $2, updated_at = $2, room = NULL WHERE id = $1";
                    tx.exec(sql, params![offer, now.ms()])
                });
                row.await.map(|_| ()).map_err(text)
            }
        };
        at_once(self.plan.clients, ready.len(), change).await
    }

    /// A writer of the same kind.
    fn writer(&self) -> Result<Writer, String> {
        let engine = crate::store::engine_of(&self.url).map_err(text)?;
        let ids = Arc::new(crate::store::ids::Ids::from_os());
        let names = Names::new(&ids.bytes());
        Writer::start(engine, ids, names, 3).map_err(text)
    }

    /// One row for each caller.
    async fn append(&self) -> Result<Taken, String> {
        let writer = self.writer()?;
        let table =
            "DROP TABLE IF EXISTS bench_rows; CREATE TABLE bench_rows (id {blob} PRIMARY KEY, at BIGINT NOT NULL, data TEXT NOT NULL)";
        writer.write(move |tx| tx.batch(table)).await.map_err(text)?;
        let now = self.state.clock.now();
        let insert = |_| {
            let (writer, id) = (writer.clone(), self.state.store.fresh_id(now));
            async move {
                let row = writer.write(move |tx| {
                    let data = json!({"offer": id, "worker": id, "posting": id, "sequence": 1, "source_id": "one posting-true-0"});
                    tx.exec("INSERT INTO bench_rows (id, at, data) VALUES ($1, $2, $3)", params![id, now.ms(), data.to_string()])
                });
                row.await.map(|_| ()).map_err(text)
            }
        };
        at_once(self.plan.clients, self.plan.accepts as usize, insert).await
    }

    async fn check(&self) -> Result<(), String> {
        let wrong = self.reader.read(|s| {
            let sql = "SELECT COUNT(*) FROM postings p WHERE p.taken > p.openings
                OR p.taken <> (SELECT COUNT(*) FROM offers o WHERE o.posting = p.id AND o.state = 'accepted')";
            s.one(sql, &[])?.map_or(Ok(0), |r| r.int(0))
        });
        match wrong.await.map_err(text)? {
            0 => Ok(()),
            n => Err(format!("{n} postings are over-filled or do not count their seats")),
        }
    }
}

/// How long each took, and all of them.
#[derive(Clone)]
struct Taken {
    each: Vec<Duration>,
    took: Duration,
    shares: String,
}

impl Taken {
    fn rate(&self) -> f64 {
        rate(self.each.len(), self.took)
    }
}

/// Calls `n` times, by so many callers of whom each waits for its answer.
async fn at_once<F: Future<Output = Result<(), String>>>(callers: usize, n: usize, call: impl Fn(usize) -> F) -> Result<Taken, String> {
    let (next, began, threads) = (AtomicUsize::new(0), Instant::now(), Threads::look());
    let caller = || async {
        let mut each = Vec::with_capacity(n / callers + 1);
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            if at >= n {
                return Ok::<_, String>(each);
            }
            let began = Instant::now();
            call(at).await?;
            each.push(began.elapsed());
        }
    };
    let each = futures_util::future::try_join_all((0..callers).map(|_| caller())).await?.concat();
    Ok(Taken { each, took: began.elapsed(), shares: threads.shares() })
}
