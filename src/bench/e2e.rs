//! `doorstep bench e2e`: a gateway with everybody registered, from a pushed batch to
//! its offers committed, and offers beside answers; over real sockets, on a real
//! store.

mod look;

use super::people::{Nation, TODAY};
use super::place::Place;
use super::registry::register;
use super::threads::Threads;
use super::{anonymous_memory, load_average, millis, percentile, rate, text};
use crate::domain::client::Role;
use crate::domain::eligibility::Question;
use crate::domain::id::{OfferId, WorkerId};
use crate::domain::region::{Counties, Region};
use crate::domain::time::Moment;
use crate::domain::worker::{category_codes, skill_codes};
use crate::http::State;
use crate::outbound::ApiClient;
use crate::routing::LEASE;
use jiff::ToSpan;
use look::Look;
use serde_json::{Value, json};
use std::cell::Cell;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What is measured.
#[derive(Clone, Debug)]
pub struct Plan {
    pub workers: u32,
    /// Batches of 100 postings with one opening, pushed one after the other.
    pub rounds: u64,
    /// How long offers and answers flow side by side.
    pub flow: Duration,
    /// Answers a second beside the offers.
    pub answers: u32,
    /// An embedded store of its own where none is named.
    pub store: Option<String>,
}

/// Postings of a batch.
const BATCH: u64 = 100;
/// This share of the answers is a yes.
const YES: f64 = 0.15;
/// Batches are pushed while fewer postings than this wait to be routed, those among
/// them of which somebody declined an offer.
const BACKLOG: i64 = 1_000;

/// Measures and prints.
pub async fn run(plan: Plan) -> Result<(), String> {
    let nation = Arc::new(Nation::new(2026, 0.0));
    println!("from a pushed batch to its offers, {} workers; load average {}", plan.workers, load_average());
    let empty = Place::start(plan.store.as_deref(), false, |_| {}).await?;
    register(&empty.gateway.state.store, &nation, plan.workers).await?;
    let began = Instant::now();
    let place = empty.again(true).await?;
    println!(
        "store {}; started over it in {:.1} s, {:.0} MiB\n",
        place.gateway.state.store.engine_name(),
        began.elapsed().as_secs_f64(),
        anonymous_memory().unwrap_or_default()
    );
    let (_, token) = place.client(Role::Platform, "bench", "canonical").await?;
    let (state, address, url) = (place.gateway.state.clone().into_inner(), place.gateway.address, place.url.clone());
    let outside = move || {
        let api = ApiClient::new(address).map_err(text)?;
        let bench = Bench { look: Look::open(&url)?, state, api, token, nation };
        crate::app::block_on(bench.measure(plan))
    };
    let outcome = place.beside("platform-worker", outside).await;
    println!("load average {}", load_average());
    drop(place.stop().await);
    outcome
}

/// A posting as its platform pushes it.
fn posting(n: u64, q: &Question, openings: u64) -> Value {
    let mut body = json!({
        "source_id": format!("E-{n}"), "title": format!("示例岗位 {n}"), "category": category_codes(q.category).first(),
        "hiring_organization": {"name": format!("示例单位 {n}")}, "total_job_openings": openings,
        "base_salary": {"text": format!("{}元/月", q.pay.unwrap_or(4500))}, "requirements": {"skills": skill_codes(q.skills)},
        "date_posted": TODAY.to_string(), "valid_through": TODAY.saturating_add(2.years()).to_string(),
    });
    if q.age_max < u8::MAX {
        body["requirements"]["age_min"] = json!(q.age_min);
        body["requirements"]["age_max"] = json!(q.age_max);
    }
    match q.work {
        Some(work) => body["job_location"] = json!({"region": work.to_string()}),
        None => {
            body["arrangement"] = json!("in_place");
            let homes = q.homes.iter().flat_map(Counties::leaves).filter_map(Region::leaf_at);
            body["target_regions"] = homes.map(|county| county.to_string()).collect();
        }
    }
    body
}

/// The side of the platforms and workers, on a thread of its own.
struct Bench {
    look: Look,
    state: Arc<State>,
    api: ApiClient,
    token: String,
    nation: Arc<Nation>,
}

impl Bench {
    fn now(&self) -> Moment {
        self.state.clock.now()
    }

    /// An id that comes before those of offers made from now on.
    fn mark(&self) -> OfferId {
        OfferId::new(self.state.store.fresh_id(self.now()))
    }

    async fn measure(self, plan: Plan) -> Result<(), String> {
        self.batches(plan.rounds).await?;
        self.flow(&plan).await?;
        self.look.check(self.state.config.routing.cap).await?;
        println!("checked: cap, seats, waves, and that nobody was offered a posting or its group twice");
        Ok(())
    }

    /// What is pushed as one batch; `one` opening each, or the usual mix.
    fn batch(&self, batch: u64, one: bool) -> Result<Vec<u8>, String> {
        let postings = (batch * BATCH..(batch + 1) * BATCH).map(|n| {
            let (q, k) = self.nation.question(n);
            posting(n, &q, if one { 1 } else { (k as u64 / 3).max(1) })
        });
        serde_json::to_vec(&postings.collect::<Vec<_>>()).map_err(text)
    }

    async fn push(&self, body: Vec<u8>) -> Result<(), String> {
        let sent = self.api.call("POST", "/v1/postings", Some(&self.token), Some(("application/json", body))).await;
        let answer = sent.map_err(text)?;
        if answer.status != 200 || answer.json()["created"] != BATCH {
            return Err(format!("a push answered {}: {}", answer.status, answer.json()));
        }
        Ok(())
    }

    /// Batches with one opening each, one after the other: to the answer, and to the
    /// commit of the last offer.
    async fn batches(&self, rounds: u64) -> Result<(), String> {
        let (mut answered, mut offered, mut made) = (Vec::new(), Vec::new(), 0);
        let threads = Threads::look();
        for round in 0..rounds {
            let body = self.batch(round, true)?;
            let mut commits = self.state.store.commits();
            let (mark, began) = (self.mark(), Instant::now());
            self.push(body).await?;
            answered.push(began.elapsed());
            // Whoever is short of people is due again far behind the lease.
            while self.look.due(self.now().plus(2 * LEASE)).await? > 0 {
                commits.changed().await.map_err(text)?;
            }
            offered.push(began.elapsed());
            made += self.look.offers_since(mark).await?;
        }
        for (what, times) in [("pushed and answered", &mut answered), ("offers committed", &mut offered)] {
            times.sort_unstable();
            let (p50, p99) = (millis(percentile(times, 0.5)), millis(percentile(times, 0.99)));
            println!("{BATCH} postings, one opening each, {what:<20} p50 {p50:>6.1} ms  p99 {p99:>6.1} ms");
        }
        println!("{made} offers in {rounds} rounds; of a core's time: {}\n", threads.shares());
        Ok(())
    }

    /// Postings with the usual mix of openings, pushed so that some always wait, and
    /// answers beside them.
    async fn flow(&self, plan: &Plan) -> Result<(), String> {
        let (mark, began, over) = (self.mark(), Instant::now(), Cell::new(false));
        let threads = Threads::look();
        let pushing = async {
            let mut pushed = 0;
            while began.elapsed() < plan.flow {
                let body = self.batch(plan.rounds + pushed, false)?;
                while self.look.due(self.now()).await? >= BACKLOG && began.elapsed() < plan.flow {
                    tokio::time::sleep(Duration::from_millis(2)).await;
                }
                self.push(body).await?;
                pushed += 1;
            }
            over.set(true);
            let (offers, took) = (self.look.offers_since(mark).await?, began.elapsed());
            Ok::<_, String>((pushed * BATCH, offers, took, threads.shares()))
        };
        let (pushed, answers) = tokio::try_join!(pushing, self.answers(plan, mark, &over))?;
        let (postings, offers, took, shares) = pushed;
        println!("{postings} postings pushed, {offers} offers committed: {:.0} offers/s", rate(offers as usize, took));
        let Answers { mut each, late, refused } = answers;
        each.sort_unstable();
        println!(
            "beside them {:.0} answers/s: p50 {:.1} ms  p99 {:.1} ms, {late} sent late, {refused} refused",
            rate(each.len(), took),
            millis(percentile(&each, 0.5)),
            millis(percentile(&each, 0.99))
        );
        println!("of a core's time: {shares}");
        Ok(())
    }

    /// Answers at a steady rate, whether the ones before have come back or not.
    async fn answers(&self, plan: &Plan, mark: OfferId, over: &Cell<bool>) -> Result<Answers, String> {
        let (mut after, mut ready, mut sent) = (mark, Vec::new().into_iter(), 0u32);
        let (mut answers, mut flying) = (Answers::default(), Vec::new());
        let mut began = None;
        while !over.get() && plan.answers > 0 {
            let Some((offer, worker)) = ready.next() else {
                let found = self.look.offers_after(after).await?;
                after = found.last().map_or(after, |(id, _)| *id);
                if found.is_empty() {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
                ready = found.into_iter();
                continue;
            };
            let due = *began.get_or_insert_with(Instant::now) + Duration::from_secs(1) * sent / plan.answers;
            answers.late += u32::from(due.elapsed() > Duration::from_millis(50));
            tokio::time::sleep_until(due.into()).await;
            let yes = f64::from(sent % 100) < YES * 100.0;
            sent += 1;
            flying.push(tokio::task::spawn_local(self.answer(offer, worker, yes)?));
        }
        for one in flying {
            let (took, status) = one.await.map_err(text)??;
            answers.each.push(took);
            answers.refused += u32::from(status != 200);
        }
        Ok(answers)
    }

    fn answer(
        &self,
        offer: OfferId,
        worker: WorkerId,
        yes: bool,
    ) -> Result<impl Future<Output = Result<(Duration, u16), String>> + 'static, String> {
        let token = self.state.tokens.issue(&worker.to_string(), "worker", None, self.now());
        let token = token.map_err(|_| "no token")?["access_token"].as_str().unwrap_or_default().to_owned();
        let path = format!("/v1/me/offers/{offer}/{}", if yes { "accept" } else { "decline" });
        let api = self.api.clone();
        Ok(async move {
            let began = Instant::now();
            let answer = api.call("POST", &path, Some(&token), Some(("application/json", b"{}".to_vec()))).await.map_err(text)?;
            Ok((began.elapsed(), answer.status))
        })
    }
}

#[derive(Default)]
struct Answers {
    each: Vec<Duration>,
    /// Sent more than 50 ms after they were due.
    late: u32,
    refused: u32,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn invented_postings_are_read_as_they_were_meant() {
        let nation = Nation::new(2026, 0.0);
        let known = crate::domain::skill::Skill::all().fold(0, |mask, skill| mask | skill.bit());
        for n in 0..300 {
            let (mut q, _) = nation.question(n);
            // The index has room for more skills than the list has.
            q.skills &= known;
            let read = crate::domain::normalize::posting(&posting(n, &q, 1), TODAY).unwrap();
            let mut seen = Question::of(&read, q.seed).unwrap();
            seen.homes = q.homes.clone().filter(|_| seen.homes.is_some());
            assert_eq!(format!("{seen:?}"), format!("{q:?}"), "posting {n}");
        }
    }
}
