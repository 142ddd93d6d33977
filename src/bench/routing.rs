//! `doorstep bench routing`: the index under the tracks of a nation's day, each
//! answer of a sample checked against looking at everybody.

use super::people::{Draw, Nation, TODAY};
use super::{load_average, percentile, rate, window};
use crate::domain::eligibility::{Question, Terms};
use crate::domain::time::Moment;
use crate::domain::worker::{Seeker, Tier};
use crate::routing::plain::PlainIndex;
use crate::routing::{Asked, Index, Mark, National, Of, Path, Scratch, read_snapshot, write_snapshot};
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// What is measured.
#[derive(Clone, Debug)]
pub struct Plan {
    pub workers: Vec<u32>,
    /// Letters of the tracks.
    pub tracks: String,
    pub postings: u64,
    /// Postings of each track that are checked.
    pub check: u64,
    /// Changes of track C.
    pub updates: u64,
}

pub(super) const CAP: u32 = 3;
pub(super) const SETS: [&str; 3] = ["listed-52", "three-regions-three-prefectures", "hubei"];
pub(super) const SEED: u64 = 2020;

pub(super) fn terms() -> Terms {
    Terms { now: Moment::start_of(TODAY).ms(), today: TODAY, cap: CAP }
}

fn asked(question: &Question, k: usize) -> Asked<'_> {
    Asked { of: Of::Everybody, question, k, exclude: &[], terms: terms() }
}

type Ask = fn(&Nation, u64) -> (Question, usize);

/// One world under measurement, with everybody beside it for the check.
struct Bench {
    nation: Nation,
    index: National,
    plain: PlainIndex,
    workers: u32,
    scratch: Scratch,
}

impl Bench {
    fn new(workers: u32, bulk: f64, check: bool) -> Self {
        let sets = SETS.map(str::to_owned).to_vec();
        let (nation, index) = (Nation::new(SEED, bulk), National::new(&sets, CAP));
        let seekers = |from: u32, upto: u32| (from..upto).map(|h| nation.seeker(h)).collect::<Vec<_>>();
        let started = Instant::now();
        let records = (0..workers).map(|h| crate::routing::packed(&nation.seeker(h))).collect();
        let made = started.elapsed();
        let started = Instant::now();
        index.fill(records);
        let filled = started.elapsed();
        let bytes = index.bytes() as f64 / f64::from(workers);
        println!(
            "\n{workers} workers{}: packed in {:.1} s, index filled in {:.1} s, {bytes:.1} bytes a worker, {:.2} GB",
            if bulk > 0.0 { ", nine of ten with one date" } else { "" },
            made.as_secs_f64(),
            filled.as_secs_f64(),
            index.bytes() as f64 / 1e9
        );
        let plain = PlainIndex::new(sets);
        if check {
            (0..workers).step_by(1 << 16).for_each(|from| plain.apply(seekers(from, workers.min(from + (1 << 16)))));
        }
        Self { nation, index, plain, workers, scratch: Scratch::default() }
    }

    /// Asks and times; the answers are thrown away.
    fn time(&mut self, name: &str, ask: Ask, postings: u64) {
        let questions: Vec<_> = (0..postings).map(|n| ask(&self.nation, n)).collect();
        let mut timed = Timed::default();
        for (q, k) in &questions {
            timed.ask(&self.index, q, *k, &mut self.scratch);
        }
        timed.tell(name);
        self.time_kinds(&questions);
    }

    /// The same postings by what they ask, since that decides what an answer costs.
    fn time_kinds(&mut self, questions: &[(Question, usize)]) {
        for (place, in_place) in [("away", false), ("in place", true)] {
            for skills in 0..3 {
                let mut timed = Timed::default();
                let some = questions.iter().filter(|(q, _)| q.in_place == in_place && q.skills.count_ones() == skills);
                some.for_each(|(q, k)| timed.ask(&self.index, q, *k, &mut self.scratch));
                timed.tell(&format!("  {place}, {skills} skills"));
            }
        }
    }

    /// Differences to looking at everybody, on every path of this processor.
    fn differences(&mut self, name: &str, ask: Ask, postings: u64) -> Result<(), String> {
        let (mut different, started) = (0, Instant::now());
        // Numbers that the timing did not warm up.
        for n in 0..postings {
            let (q, k) = ask(&self.nation, 1_000_000 + n);
            let expected: Vec<(u64, u32)> =
                self.plain.best(Of::Everybody, &q, k, &[], terms()).matches.iter().map(|m| (m.key, m.handle)).collect();
            for path in Path::available() {
                self.index.search_by(path, asked(&q, k), &mut self.scratch);
                let found = self.scratch.hits.iter().map(|h| (h.key, h.handle));
                different += u32::from(!found.eq(expected.iter().copied()));
            }
        }
        println!(
            "  {name}: {different} differences on {postings} postings × {:?}, {:.0} ms for each plain scan",
            Path::available(),
            started.elapsed().as_secs_f64() * 1e3 / postings.max(1) as f64
        );
        if different > 0 { Err(format!("{different} answers differ from looking at everybody")) } else { Ok(()) }
    }
}

/// Latencies and fills.
#[derive(Default)]
struct Timed {
    each: Vec<Duration>,
    found: usize,
    wanted: usize,
    lines: usize,
    entries: usize,
    jumps: usize,
}

impl Timed {
    fn ask(&mut self, index: &National, q: &Question, k: usize, scratch: &mut Scratch) {
        let began = Instant::now();
        let outcome = index.search(asked(q, k), scratch);
        self.each.push(began.elapsed());
        self.lines += outcome.lines;
        self.entries += outcome.entries;
        self.jumps += outcome.jumps;
        self.found += scratch.hits.len();
        self.wanted += k;
    }

    fn tell(mut self, name: &str) {
        self.each.sort_unstable();
        let micros = |d: Duration| d.as_secs_f64() * 1e6;
        let sum: Duration = self.each.iter().sum();
        println!(
            "  {name:<34} {:>8} postings  p50 {:>8.1}  p90 {:>8.1}  p99 {:>8.1}  mean {:>8.1} µs  {:>8.0}/s  found {:>5.1} %  {:>6.0} lines {:>6.0} entries {:>5.0} jumps  load {}",
            self.each.len(),
            micros(percentile(&self.each, 0.5)),
            micros(percentile(&self.each, 0.9)),
            micros(percentile(&self.each, 0.99)),
            micros(sum) / self.each.len().max(1) as f64,
            rate(self.each.len(), sum),
            100.0 * self.found as f64 / self.wanted.max(1) as f64,
            self.lines as f64 / self.each.len().max(1) as f64,
            self.entries as f64 / self.each.len().max(1) as f64,
            self.jumps as f64 / self.each.len().max(1) as f64,
            load_average(),
        );
    }
}

/// Measures and prints.
pub fn run(plan: &Plan) -> Result<(), String> {
    println!("the routing index on one thread, paths {:?}; load average {}", Path::available(), load_average());
    for workers in &plan.workers {
        let has = |track: char| plan.tracks.contains(track);
        if "ABCEF".chars().any(has) {
            let mut bench = Bench::new(*workers, 0.0, plan.check > 0);
            if has('A') {
                bench.time("A read-only mix", Nation::question, plan.postings);
                bench.differences("A", Nation::question, plan.check)?;
            }
            if has('B') {
                bench.time("B stress", Nation::hard_question, plan.postings / 10);
                bench.differences("B", Nation::hard_question, plan.check)?;
            }
            if has('C') {
                closed_loop(&mut bench, plan)?;
            }
            if has('E') {
                cold_start(&mut bench, plan.check)?;
            }
            if has('F') {
                together(&bench, plan);
            }
        }
        if has('D') {
            let mut bench = Bench::new(*workers, 0.9, plan.check > 0);
            bench.time("D nine of ten with one date", Nation::question, plan.postings / 10);
            bench.differences("D", Nation::question, plan.check)?;
        }
    }
    if plan.tracks.contains('W') { window::run() } else { Ok(()) }
}

/// Track E: the index written to its file and read again, as a node does that starts.
/// Beside it stands the filling from packed records, above; from a store, `bench e2e`.
fn cold_start(bench: &mut Bench, check: u64) -> Result<(), String> {
    let (folder, sets) = (crate::scratch::Scratch::make("index").map_err(|e| e.to_string())?, SETS.map(str::to_owned));
    let path = folder.path().join("bench.index");
    let (mut bytes, mut read) = (0, None);
    let wrote = timed(|| {
        bytes = write_snapshot(&bench.index, &sets, CAP, Mark::default(), &path).and_then(|()| path.metadata()).map_or(0, |m| m.len())
    });
    let took = timed(|| read = read_snapshot(&path, &sets, CAP).ok());
    let (index, _) = read.ok_or("the index's file was not read again")?;
    println!(
        "  E cold start: a file of {:.2} GB written in {:.2} s, read in {:.2} s; load {}",
        bytes as f64 / 1e9,
        wrote.as_secs_f64(),
        took.as_secs_f64(),
        load_average()
    );
    let kept = std::mem::replace(&mut bench.index, index);
    bench.differences("E", Nation::question, check)?;
    bench.index = kept;
    Ok(())
}

/// Track C: postings are offered, offers answered or expire, people find work and
/// come back, wishes and tiers change, all interleaved.
fn closed_loop(bench: &mut Bench, plan: &Plan) -> Result<(), String> {
    let (mut timed, mut waiting) = (Timed::default(), VecDeque::<u32>::new());
    let mut d = Draw::new(SEED, 77);
    let (mut offers, mut others) = (Updates::default(), Updates::default());
    let checked = plan.check > 0;
    let mut n = 0;
    while offers.n + others.n < plan.updates {
        let (q, k) = bench.nation.question(2_000_000 + n);
        n += 1;
        timed.ask(&bench.index, &q, k, &mut bench.scratch);
        let handles: Vec<u32> = bench.scratch.hits.iter().map(|h| h.handle).collect();
        offers.time(handles.len(), || bench.index.write(|upkeep| upkeep.count_offers(&handles, true)));
        if checked {
            handles.iter().for_each(|h| drop(bench.plain.change(*h, |w| w.open_offers += 1)));
        }
        waiting.extend(handles);
        while waiting.len() > bench.workers as usize / 50 {
            let some: Vec<u32> = waiting.drain(..k.min(waiting.len())).collect();
            offers.time(some.len(), || bench.index.write(|upkeep| upkeep.count_offers(&some, false)));
            if checked {
                some.iter().for_each(|h| drop(bench.plain.change(*h, |w| w.open_offers = w.open_offers.saturating_sub(1))));
            }
            for handle in some {
                if d.chance(0.15) {
                    bench.change_one(handle, checked, &mut others, |w| w.looking = false);
                }
            }
        }
        // As many come back, or change their wishes, their tier, their home.
        for _ in 0..k / 4 {
            let handle = d.below(u64::from(bench.workers)) as u32;
            match d.below(5) {
                0 => bench.change_one(handle, checked, &mut others, |w| (w.looking, w.seeking_since) = (true, TODAY)),
                1 => bench.change_one(handle, checked, &mut others, |w| w.min_monthly_pay = w.min_monthly_pay * 9 / 10),
                2 => bench.change_one(handle, checked, &mut others, |w| w.tier = Tier::Lifted),
                3 => bench.change_one(handle, checked, &mut others, |w| w.looking = !w.looking),
                _ => bench.change_one(handle, checked, &mut others, |w| w.categories ^= 0b11),
            }
        }
    }
    timed.tell("C closed loop");
    offers.tell("offers ±1");
    others.tell("other updates");
    bench.differences("C", Nation::question, plan.check)
}

impl Bench {
    /// Changes one worker in the index; what the store would have said is made up
    /// from the nation when nothing is checked.
    fn change_one(&mut self, handle: u32, checked: bool, updates: &mut Updates, change: impl Fn(&mut Seeker)) {
        let w = if checked {
            self.plain.change(handle, &change)
        } else {
            let mut w = self.nation.seeker(handle);
            change(&mut w);
            Some(w)
        };
        let Some(w) = w else { return };
        updates.time(1, || self.index.write(|upkeep| upkeep.apply(&w)));
        if updates.n.is_multiple_of(256) {
            updates.tidied.push(timed(|| self.index.write(|upkeep| upkeep.tidy())));
        }
    }
}

fn timed<T>(work: impl FnOnce() -> T) -> Duration {
    let began = Instant::now();
    work();
    began.elapsed()
}

#[derive(Default)]
struct Updates {
    n: u64,
    took: Duration,
    longest: Duration,
    tidied: Vec<Duration>,
}

impl Updates {
    fn time(&mut self, n: usize, work: impl FnOnce()) {
        let took = timed(work);
        self.n += n as u64;
        self.took += took;
        self.longest = self.longest.max(took);
    }

    fn tell(&self, name: &str) {
        let tidied: Duration = self.tidied.iter().sum();
        println!(
            "    {name}: {} at {:.0}/s; longest step {:.2} ms; tidied {:.2} s in steps of at most {:.2} ms",
            self.n,
            self.n as f64 / (self.took + tidied).as_secs_f64(),
            self.longest.as_secs_f64() * 1e3,
            tidied.as_secs_f64(),
            self.tidied.iter().max().copied().unwrap_or_default().as_secs_f64() * 1e3
        );
    }
}

/// Track F: a reader asks while the writer writes as fast as it can.
fn together(bench: &Bench, plan: &Plan) {
    let (index, nation, stop) = (&bench.index, &bench.nation, AtomicBool::new(false));
    let questions: Vec<_> = (0..plan.postings.min(20_000)).map(|n| nation.question(3_000_000 + n)).collect();
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            let (mut d, mut n, began) = (Draw::new(SEED, 99), 0u64, Instant::now());
            while !stop.load(Ordering::Relaxed) {
                let handles: Vec<u32> = (0..100).map(|_| d.below(u64::from(bench.workers)) as u32).collect();
                index.write(|upkeep| upkeep.count_offers(&handles, n.is_multiple_of(2)));
                n += 1;
            }
            rate(n as usize * 100, began.elapsed())
        });
        let (mut timed, mut scratch) = (Timed::default(), Scratch::default());
        questions.iter().for_each(|(q, k)| timed.ask(index, q, *k, &mut scratch));
        stop.store(true, Ordering::Relaxed);
        let written = writer.join().unwrap_or_default();
        timed.tell("F beside a writer");
        println!("    the writer: {written:.0} offers ±1 a second");
    });
}
