//! `doorstep bench peers`: the same postings over the same people, answered by the
//! routing index, by looking at everybody, by a search engine in two ways and, where
//! one is named, by PostgreSQL.
//!
//! Promises: every answer of every peer is compared with looking at everybody, handle
//! by handle, and a difference ends the measurement; each peer is asked in the best
//! way that its own interface allows, from one thread.

mod documents;
mod relational;

use super::people::Nation;
use super::routing::{CAP, SEED, SETS, terms};
use super::{load_average, percentile};
use crate::domain::eligibility::Question;
use crate::domain::ranking;
use crate::domain::region::Region;
use crate::domain::time::{age_on, day_number, from_day_number};
use crate::domain::worker::Seeker;
use crate::routing::plain::PlainIndex;
use crate::routing::{Asked, Index, National, Of, Scratch, focus_title, packed};
use documents::Documents;
use relational::Relational;
use std::time::{Duration, Instant};

/// What is measured.
#[derive(Clone, Debug)]
pub struct Plan {
    pub workers: u32,
    pub postings: u64,
    /// Where PostgreSQL is; a schema of its own is made and goes again.
    pub postgres: Option<String>,
}

/// Somebody who answers a posting with the best k, best first.
trait Peer {
    fn best(&mut self, q: &Question, k: usize, found: &mut Vec<u32>) -> Result<(), String>;
}

/// A person as peers keep them.
struct Entry {
    handle: u32,
    /// The part of the order that no posting changes.
    fixed: u16,
    available: bool,
    seeker: Seeker,
}

impl Entry {
    fn of(seeker: Seeker, sets: &[String]) -> Self {
        let now = terms().now;
        let in_focus = focus_title(sets, seeker.home).is_some();
        let fixed = ranking::static_key(ranking::rank_tier(&seeker, now), in_focus, ranking::seeking_day(seeker.seeking_since));
        let s = &seeker;
        let available = s.consent && !s.paused && s.looking && s.open_offers < CAP && s.cooling_until <= now;
        Self { handle: seeker.handle, fixed, available, seeker }
    }
}

/// The days of birth, as [`day_number`]s, of those who are of the age asked for.
fn born(q: &Question) -> std::ops::RangeInclusive<i64> {
    let today = terms().today;
    let (first, last) = (day_number(today) - 151 * 366, day_number(today));
    // Who is born later is younger or as old.
    let after = |wrong: &dyn Fn(u8) -> bool| {
        let (mut low, mut high) = (first, last + 1);
        while low < high {
            let middle = low + (high - low) / 2;
            if wrong(age_on(from_day_number(middle), today)) { low = middle + 1 } else { high = middle }
        }
        low
    };
    after(&|age| age > q.age_max)..=after(&|age| age >= q.age_min) - 1
}

/// The provinces, numbered.
fn province_number(province: Option<Region>) -> Option<usize> {
    province.and_then(|p| Region::NATION.children().iter().position(|other| *other == p))
}

/// Provinces that a person would go to, by number.
fn wished(w: &Seeker) -> Vec<usize> {
    let all = Region::NATION.children();
    (0..all.len()).filter(|n| w.destinations.any || w.destinations.provinces.contains(&all[*n])).collect()
}

struct Ours {
    index: National,
    scratch: Scratch,
}

impl Peer for Ours {
    fn best(&mut self, question: &Question, k: usize, found: &mut Vec<u32>) -> Result<(), String> {
        self.index.search(Asked { of: Of::Everybody, question, k, exclude: &[], terms: terms() }, &mut self.scratch);
        found.extend(self.scratch.hits.iter().map(|hit| hit.handle));
        Ok(())
    }
}

impl Peer for PlainIndex {
    fn best(&mut self, q: &Question, k: usize, found: &mut Vec<u32>) -> Result<(), String> {
        found.extend(Index::best(self, Of::Everybody, q, k, &[], terms()).matches.iter().map(|m| m.handle));
        Ok(())
    }
}

/// Measures and prints.
pub fn run(plan: &Plan) -> Result<(), String> {
    let sets = SETS.map(str::to_owned).to_vec();
    let nation = Nation::new(SEED, 0.0);
    let questions: Vec<(Question, usize)> = (0..plan.postings).map(|n| nation.question(n)).collect();
    println!("{} postings over {} workers, one thread; load average {}", plan.postings, plan.workers, load_average());
    let people = || (0..plan.workers).map(|handle| nation.seeker(handle));
    let entries = || people().map(|w| Entry::of(w, &sets));

    let mut plain = PlainIndex::new(sets.clone());
    plain.load(people().collect());
    let index = National::new(&sets, CAP);
    index.fill(people().map(|w| packed(&w)).collect());
    let mut ours = Ours { index, scratch: Scratch::default() };
    let mut expected = Vec::with_capacity(questions.len());
    let scanned = timed(&mut plain, &questions, &mut |found| {
        expected.push(found.to_vec());
        Ok(())
    })?;
    drop(plain);

    let mean = tell("routing index", checked(&mut ours, &questions, &expected)?, None);
    tell("looking at everybody", scanned, Some(mean));
    drop(ours);
    let began = Instant::now();
    let documents = Documents::build(entries())?;
    println!(
        "  (tantivy: {:.0} s to build, {:.1} bytes a worker)",
        began.elapsed().as_secs_f64(),
        documents.bytes() / f64::from(plan.workers)
    );
    tell("tantivy, by hand, stopping early", checked(&mut documents.early(), &questions, &expected)?, Some(mean));
    tell("tantivy, TopDocs", checked(&mut documents.whole(), &questions, &expected)?, Some(mean));
    drop(documents);
    match &plan.postgres {
        None => println!("  PostgreSQL: not measured; --postgres URL names one"),
        Some(url) => {
            let began = Instant::now();
            let mut relational = Relational::build(url, entries())?;
            println!("  (PostgreSQL: {:.0} s to load)", began.elapsed().as_secs_f64());
            tell("PostgreSQL, partial btrees", checked(&mut relational, &questions, &expected)?, Some(mean));
        }
    }
    Ok(())
}

/// Asks every posting twice: the first time the answers are compared.
fn checked(peer: &mut impl Peer, questions: &[(Question, usize)], expected: &[Vec<u32>]) -> Result<Vec<Duration>, String> {
    let mut n = 0;
    timed(peer, questions, &mut |found| {
        if expected[n] != found {
            return Err(format!(
                "posting {n} is answered otherwise than by looking at everybody: {} found, {} there",
                found.len(),
                expected[n].len()
            ));
        }
        n += 1;
        Ok(())
    })?;
    timed(peer, questions, &mut |_| Ok(()))
}

fn timed(
    peer: &mut impl Peer,
    questions: &[(Question, usize)],
    look: &mut dyn FnMut(&[u32]) -> Result<(), String>,
) -> Result<Vec<Duration>, String> {
    let (mut each, mut found) = (Vec::with_capacity(questions.len()), Vec::new());
    for (q, k) in questions {
        found.clear();
        let began = Instant::now();
        peer.best(q, *k, &mut found)?;
        each.push(began.elapsed());
        look(&found)?;
    }
    Ok(each)
}

/// Prints a line of the table; the mean in microseconds.
fn tell(name: &str, mut each: Vec<Duration>, ours: Option<f64>) -> f64 {
    each.sort_unstable();
    let micros = |d: Duration| d.as_secs_f64() * 1e6;
    let mean = micros(each.iter().sum()) / each.len().max(1) as f64;
    println!(
        "  {name:<34} p50 {:>9.1}  p90 {:>9.1}  p99 {:>9.1}  mean {mean:>9.1} µs  {:>8.1} × the index  load {}",
        micros(percentile(&each, 0.5)),
        micros(percentile(&each, 0.9)),
        micros(percentile(&each, 0.99)),
        mean / ours.unwrap_or(mean),
        load_average(),
    );
    mean
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_days_of_birth_are_those_of_the_age() {
        let nation = Nation::new(SEED, 0.0);
        for n in 0..50 {
            let q = Question { age_min: (n % 3) as u8 * 9, ..nation.question(n).0 };
            let range = born(&q);
            let today = day_number(terms().today);
            for day in (today - 40_000..=today).step_by(7).chain([*range.start() - 1, *range.start(), *range.end(), *range.end() + 1]) {
                let of_age = (q.age_min..=q.age_max).contains(&age_on(from_day_number(day), terms().today));
                assert_eq!(range.contains(&day), of_age && day <= today, "{day} {range:?} {}..={}", q.age_min, q.age_max);
            }
        }
    }

    #[test]
    fn every_peer_answers_as_looking_at_everybody_does() {
        let postgres = std::env::var("DOORSTEP_TEST_POSTGRES").ok().filter(|url| !url.is_empty());
        if postgres.is_none() {
            println!("skipped: DOORSTEP_TEST_POSTGRES is not set, so PostgreSQL is not asked");
        }
        run(&Plan { workers: 20_000, postings: 200, postgres }).unwrap();
    }
}
