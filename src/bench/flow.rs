//! The most pairs of postings and workers that can stand together: a posting takes so
//! many workers, a worker so many postings, and a pair stands once.
//!
//! Maximum flow by augmenting along shortest paths in phases (Dinic 1970; Hopcroft and
//! Karp, SIAM Journal on Computing 2, 1973). A worker who has no room passes a pair on
//! to another posting's account; since nobody holds more than a few, the way back is
//! short.

/// Who suits which posting.
#[derive(Clone, Debug, Default)]
pub struct Pairs {
    /// How many workers each posting takes.
    pub wants: Vec<u32>,
    /// How many postings each worker takes.
    pub room: Vec<u32>,
    /// For each posting the workers who suit, each once.
    pub suits: Vec<Vec<u32>>,
}

const FAR: u32 = u32::MAX;

/// How far each place is from a posting that still wants somebody.
struct Levels {
    postings: Vec<u32>,
    workers: Vec<u32>,
}

struct Flow<'a> {
    pairs: &'a Pairs,
    wants: Vec<u32>,
    room: Vec<u32>,
    /// For each posting, which of those who suit it has.
    has: Vec<Vec<bool>>,
    /// For each worker the postings that have them, and their place in its list.
    held: Vec<Vec<(u32, u32)>>,
    /// The next of each posting's list to be tried in this phase.
    next: Vec<usize>,
}

/// How many pairs can stand at most.
pub fn most(pairs: &Pairs) -> usize {
    let mut flow = Flow {
        pairs,
        wants: pairs.wants.clone(),
        room: pairs.room.clone(),
        has: pairs.suits.iter().map(|workers| vec![false; workers.len()]).collect(),
        held: vec![Vec::new(); pairs.room.len()],
        next: Vec::new(),
    };
    let mut standing = 0;
    while let Some(mut levels) = flow.levels() {
        flow.next = vec![0; pairs.suits.len()];
        for posting in 0..pairs.suits.len() {
            while flow.wants[posting] > 0 && flow.augment(posting, &mut levels) {
                flow.wants[posting] -= 1;
                standing += 1;
            }
        }
    }
    standing
}

impl Flow<'_> {
    /// Distances up to the nearest worker with room; none where no such is reached.
    fn levels(&self) -> Option<Levels> {
        let mut levels = Levels { postings: vec![FAR; self.wants.len()], workers: vec![FAR; self.room.len()] };
        let mut front: Vec<usize> = (0..self.wants.len()).filter(|p| self.wants[*p] > 0).collect();
        front.iter().for_each(|p| levels.postings[*p] = 0);
        let (mut level, mut reached) = (0, false);
        while !front.is_empty() && !reached {
            let mut beyond = Vec::new();
            for posting in front {
                for (worker, has) in self.pairs.suits[posting].iter().zip(&self.has[posting]) {
                    let w = *worker as usize;
                    if *has || levels.workers[w] != FAR {
                        continue;
                    }
                    levels.workers[w] = level + 1;
                    reached |= self.room[w] > 0;
                    for (other, _) in &self.held[w] {
                        let other = *other as usize;
                        if levels.postings[other] == FAR {
                            levels.postings[other] = level + 2;
                            beyond.push(other);
                        }
                    }
                }
            }
            front = beyond;
            level += 2;
        }
        reached.then_some(levels)
    }

    /// Finds one more worker for a posting, by passing others on along a shortest way.
    fn augment(&mut self, posting: usize, levels: &mut Levels) -> bool {
        while let Some(worker) = self.pairs.suits[posting].get(self.next[posting]).copied() {
            let (at, w) = (self.next[posting], worker as usize);
            if !self.has[posting][at] && levels.workers[w] == levels.postings[posting] + 1 {
                let taken = (posting as u32, at as u32);
                if self.room[w] > 0 {
                    self.room[w] -= 1;
                    self.held[w].push(taken);
                    self.has[posting][at] = true;
                    return true;
                }
                for n in 0..self.held[w].len() {
                    let (other, place) = self.held[w][n];
                    if levels.postings[other as usize] == levels.workers[w] + 1 && self.augment(other as usize, levels) {
                        self.has[other as usize][place as usize] = false;
                        self.held[w][n] = taken;
                        self.has[posting][at] = true;
                        return true;
                    }
                }
                // No way leads on from here in this phase.
                levels.workers[w] = FAR;
            }
            self.next[posting] += 1;
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Every set of pairs, tried.
    fn by_trying_all(pairs: &Pairs) -> usize {
        fn best(list: &[(usize, usize)], wants: &mut [u32], room: &mut [u32]) -> usize {
            let Some(((p, w), rest)) = list.split_first() else { return 0 };
            let without = best(rest, wants, room);
            if wants[*p] == 0 || room[*w] == 0 {
                return without;
            }
            wants[*p] -= 1;
            room[*w] -= 1;
            let with = 1 + best(rest, wants, room);
            wants[*p] += 1;
            room[*w] += 1;
            with.max(without)
        }
        let list: Vec<(usize, usize)> =
            pairs.suits.iter().enumerate().flat_map(|(p, workers)| workers.iter().map(move |w| (p, *w as usize))).collect();
        best(&list, &mut pairs.wants.clone(), &mut pairs.room.clone())
    }

    #[test]
    fn a_worker_is_passed_on_through_a_chain() {
        // Each posting suits two neighbours of a row; only the last worker is free at the end.
        let suits = (0..50).map(|p| vec![p, p + 1]).chain([vec![0]]).collect();
        assert_eq!(most(&Pairs { wants: vec![1; 51], room: vec![1; 51], suits }), 51);
        assert_eq!(most(&Pairs::default()), 0);
        let alone = Pairs { wants: vec![5], room: vec![3, 3], suits: vec![vec![0, 1]] };
        assert_eq!(most(&alone), 2, "a pair stands once, whatever the room");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]
        #[test]
        fn no_set_of_pairs_is_larger(
            wants in prop::collection::vec(0u32..4, 1..5), room in prop::collection::vec(0u32..3, 1..6), edges in prop::collection::vec(any::<bool>(), 20)
        ) {
            let workers = room.len();
            let suits = |p: usize| (0..workers).filter(|w| edges[(p * workers + w) % 20]).map(|w| w as u32).collect::<Vec<_>>();
            let suits: Vec<Vec<u32>> = (0..wants.len()).map(suits).collect();
            prop_assume!(suits.iter().map(Vec::len).sum::<usize>() <= 14);
            let pairs = Pairs { wants, room, suits };
            prop_assert_eq!(most(&pairs), by_trying_all(&pairs));
        }
    }
}
