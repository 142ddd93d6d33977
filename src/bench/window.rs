//! Track W: postings that arrive together compete for the same people. How many offers
//! each order of serving them fills, beside the most that any choice could fill.

use super::flow::{self, Pairs};
use super::load_average;
use super::people::Nation;
use super::routing::{CAP, SEED, SETS, terms};
use crate::domain::eligibility::Question;
use crate::routing::{Index, National, Of, Scarcity, packed};
use std::time::{Duration, Instant};

const WORKERS: u32 = 100_000;
const POSTINGS: u64 = 1_000;
/// Each batch is chosen so often; the median time is told.
const REPEATS: usize = 5;

/// A batch: each posting's question and the offers it wants.
type Batch = [(Question, usize)];

/// Puts a batch into the order in which it is served.
type Order = fn(&National, &Batch) -> Vec<usize>;

/// As [`Router`](crate::routing::Router) does: who suits is counted before anybody is
/// chosen.
fn scarcest_first(index: &National, batch: &Batch) -> Vec<usize> {
    let scarcity = |(q, k): &(Question, usize)| Scarcity::of(index, q, *k as u32, terms());
    let counted: Vec<Scarcity> = batch.iter().map(scarcity).collect();
    let mut order: Vec<usize> = (0..batch.len()).collect();
    order.sort_by_key(|n| (counted[*n], *n));
    order
}

fn as_they_came(_: &National, batch: &Batch) -> Vec<usize> {
    (0..batch.len()).collect()
}

fn smallest_first(_: &National, batch: &Batch) -> Vec<usize> {
    let mut order: Vec<usize> = (0..batch.len()).collect();
    order.sort_by_key(|n| (batch[*n].1, *n));
    order
}

/// Chooses for a whole batch, each choice counted before the next; who got offers.
fn choose(index: &National, batch: &Batch, order: Order) -> Vec<Vec<u32>> {
    let mut chosen = vec![Vec::new(); batch.len()];
    for n in order(index, batch) {
        let (q, k) = &batch[n];
        let found = index.best(Of::Everybody, q, k + k.div_ceil(10), &[], terms());
        let handles: Vec<u32> = found.matches.iter().take(*k).map(|m| m.handle).collect();
        index.reserve(&handles);
        chosen[n] = handles;
    }
    chosen
}

/// Everybody who suits each posting, as the index stands.
fn pairs(index: &National, batch: &Batch, room: Vec<u32>) -> Pairs {
    let suits = |(q, _): &(Question, usize)| {
        let found = index.best(Of::Everybody, q, WORKERS as usize, &[], terms());
        found.matches.iter().map(|m| m.handle).collect()
    };
    Pairs { wants: batch.iter().map(|(_, k)| *k as u32).collect(), room, suits: batch.iter().map(suits).collect() }
}

/// Measures and prints.
pub fn run() -> Result<(), String> {
    let (nation, index) = (Nation::new(SEED, 0.0), National::new(&SETS.map(str::to_owned), CAP));
    let seekers: Vec<_> = (0..WORKERS).map(|h| nation.seeker(h)).collect();
    index.fill(seekers.iter().map(packed).collect());
    let batch: Vec<(Question, usize)> = (0..POSTINGS).map(|n| nation.question(4_000_000 + n)).collect();
    let pairs = pairs(&index, &batch, seekers.iter().map(|w| CAP.saturating_sub(w.open_offers)).collect());
    let began = Instant::now();
    let most = flow::most(&pairs);
    let wanted: usize = batch.iter().map(|(_, k)| k).sum();
    println!(
        "\nW a window of {POSTINGS} postings over {WORKERS} workers: {wanted} offers wanted, {} pairs suit, at most {most} offers can be filled (found in {:.2} s)",
        pairs.suits.iter().map(Vec::len).sum::<usize>(),
        began.elapsed().as_secs_f64()
    );
    let orders: [(&str, Order); 3] =
        [("scarcest first", scarcest_first), ("as they came", as_they_came), ("smallest first", smallest_first)];
    for (name, order) in orders {
        let mut took: Vec<Duration> = Vec::with_capacity(REPEATS);
        let mut filled = 0;
        for _ in 0..REPEATS {
            let began = Instant::now();
            let chosen = choose(&index, &batch, order);
            took.push(began.elapsed());
            filled = check(&pairs, &chosen)?;
            index.write(|upkeep| chosen.iter().for_each(|handles| upkeep.count_offers(handles, false)));
        }
        took.sort_unstable();
        let share = filled as f64 / most.max(1) as f64;
        println!(
            "  {name:<16} {filled:>7} offers filled  {:>6.2} % of the most  {:>7.1} ms a batch  load {}",
            100.0 * share,
            took[REPEATS / 2].as_secs_f64() * 1e3,
            load_average()
        );
        if filled > most {
            return Err(format!("{filled} offers are more than the {most} that can stand"));
        }
    }
    Ok(())
}

/// How many offers were chosen, once it is sure that all of them can stand together.
fn check(pairs: &Pairs, chosen: &[Vec<u32>]) -> Result<usize, String> {
    let mut room = pairs.room.clone();
    for (n, handles) in chosen.iter().enumerate() {
        let mut suits = pairs.suits[n].clone();
        suits.sort_unstable();
        for handle in handles {
            let left = &mut room[*handle as usize];
            if *left == 0 || suits.binary_search(handle).is_err() {
                return Err(format!("worker {handle} was chosen for posting {n} and has no room or does not suit"));
            }
            *left -= 1;
        }
        if handles.len() > pairs.wants[n] as usize {
            return Err(format!("posting {n} got more than it wants"));
        }
    }
    Ok(chosen.iter().map(Vec::len).sum())
}
