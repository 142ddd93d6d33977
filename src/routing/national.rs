//! The index for a nation: segments in rank order, bit columns and county lanes
//! (`chunk`, `lanes`), early stop (`search`), one writer (`upkeep`).
//!
//! Promises: the answers of the plain index, once writer and clock stand still;
//! readers never wait for the writer. A worker who moves between segments while a
//! question runs may be seen twice or not at all: the store decides.

use super::chunk::{Chunk, LINES};
use super::kernel::{self, Path};
use super::plan::Plan;
use super::record::{self, AVAILABLE, CATEGORY, PRESENT, Record, Standing};
use super::search::{self, Outcome, Scratch};
use super::upkeep::{Upkeep, focus_counties};
use super::world::World;
use super::{Asked, Found, Index, Of};
use crate::domain::eligibility::{Question, Step, Terms};
use crate::domain::ranking::Match;
use crate::domain::region::{Counties, Region};
use crate::domain::worker::Seeker;
use std::cell::RefCell;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

/// After so many changes one step of tidying up is made.
const TIDY_AFTER: usize = 256;

thread_local! {
    static SCRATCH: RefCell<Scratch> = RefCell::default();
}

/// A worker as the index keeps them, and how they stand.
pub type Packed = (Record, Standing);

pub fn packed(w: &Seeker) -> Packed {
    (Record::of(w), Standing::of(w))
}

pub struct National {
    world: Arc<World>,
    upkeep: Mutex<Upkeep>,
    /// When the next cooldown or first rank ends.
    next_end: AtomicI64,
    path: Path,
}

impl National {
    /// An index that puts the people of these sets first within their tier, and
    /// holds back who has `cap` open offers.
    pub fn new(focus: &[String], cap: u32) -> Self {
        Self::with_path(focus, cap, Path::best())
    }

    /// The same, reading columns in one way.
    pub fn with_path(focus: &[String], cap: u32, path: Path) -> Self {
        let world = Arc::new(World::new());
        let upkeep = Mutex::new(Upkeep::new(world.clone(), cap, focus_counties(focus)));
        Self { world, upkeep, next_end: AtomicI64::new(i64::MAX), path }
    }

    fn upkeep(&self) -> MutexGuard<'_, Upkeep> {
        self.upkeep.lock().unwrap_or_else(|e| e.into_inner())
    }

    /// Takes in everybody at once; the index is empty before.
    pub fn fill(&self, people: Vec<Packed>) {
        self.write(|upkeep| upkeep.fill(people));
    }

    /// What it takes in memory.
    pub fn bytes(&self) -> usize {
        self.world.bytes() + self.write(|upkeep| upkeep.bytes())
    }

    /// Works as the one writer, and tells readers when time changes something next.
    pub fn write<T>(&self, work: impl FnOnce(&mut Upkeep) -> T) -> T {
        let mut upkeep = self.upkeep();
        let out = work(&mut upkeep);
        self.next_end.store(upkeep.next_end(), Ordering::Release);
        out
    }

    /// Ends what ends by now.
    pub fn advance(&self, now: i64) {
        if self.next_end.load(Ordering::Acquire) <= now {
            self.write(|upkeep| upkeep.advance(now));
        }
    }

    /// The best into `scratch.hits`; allocates nothing once that has grown.
    pub fn search(&self, asked: Asked<'_>, scratch: &mut Scratch) -> Outcome {
        self.search_by(self.path, asked, scratch)
    }

    /// The same, reading columns in one way.
    pub fn search_by(&self, path: Path, asked: Asked<'_>, scratch: &mut Scratch) -> Outcome {
        let Asked { of, question, k, exclude, terms } = asked;
        self.advance(terms.now);
        let ages = self.world.ages(terms.today);
        search::best(&self.world, &Plan::new(question, of, &self.world, &ages), k, exclude, path, scratch)
    }

    fn each_chunk(&self, mut visit: impl FnMut(&Chunk)) {
        for segment in &self.world.segments {
            segment.overflow.load().iter().chain(segment.chunks.load().iter()).for_each(|chunk| visit(chunk));
        }
    }
}

impl Index for National {
    fn load(&self, seekers: Vec<Seeker>) {
        // What ended before is found to have ended at the first question.
        self.fill(seekers.iter().map(packed).collect());
    }

    fn apply(&self, seekers: Vec<Seeker>) {
        for some in seekers.chunks(TIDY_AFTER) {
            self.write(|upkeep| {
                some.iter().for_each(|w| upkeep.apply(w));
                upkeep.tidy();
            });
        }
    }

    fn best(&self, of: Of, q: &Question, k: usize, exclude: &[u32], terms: Terms) -> Found {
        SCRATCH.with_borrow_mut(|scratch| {
            let outcome = self.search(Asked { of, question: q, k, exclude, terms }, scratch);
            let home = |leaf| Region::leaf_at(leaf).unwrap_or(Region::NATION);
            let found = scratch.hits.iter().map(|h| Match { key: h.key, handle: h.handle, home: home(h.home), least: h.least });
            Found { matches: found.collect(), exhausted: outcome.exhausted }
        })
    }

    fn about(&self, q: &Question, enough: usize, terms: Terms) -> u64 {
        self.advance(terms.now);
        let ages = self.world.ages(terms.today);
        let plan = Plan::new(q, Of::Everybody, &self.world, &ages);
        SCRATCH.with_borrow_mut(|scratch| search::about(&self.world, &plan, enough, self.path, scratch))
    }

    fn funnel(&self, q: &Question, terms: Terms) -> [u64; Step::ALL.len()] {
        self.advance(terms.now);
        let ages = self.world.ages(terms.today);
        let born = ages.born(q.age_min, q.age_max);
        let (work, province) = (q.work.and_then(Region::leaf_index), record::work_column(q));
        let category = (CATEGORY + q.category.trailing_zeros() as usize) as u16;
        let mut passed = [0u64; Step::ALL.len()];
        let place = |chunk: &Chunk, at: usize, row: record::Row| {
            let home = q.homes.as_ref().map(|homes: &Counties| homes.has(row.home()));
            match (q.in_place, home) {
                (_, Some(false)) | (true, None) => false,
                (true, Some(true)) => true,
                (false, _) => !row.in_place_only() && (work == Some(row.home()) || province.is_some_and(|p| chunk.bit(p, at))),
            }
        };
        self.each_chunk(|chunk| {
            for line in 0..LINES {
                let present = kernel::and(self.path, chunk.lines(), LINES, line, &[PRESENT as u16]);
                let trade = kernel::and(self.path, chunk.lines(), LINES, line, &[PRESENT as u16, category]);
                let ones = |words: &[u64; 8]| words.iter().map(|w| u64::from(w.count_ones())).sum::<u64>();
                passed[0] += ones(&present);
                passed[1] += ones(&trade);
                search::each(&trade, |bit| {
                    let at = line * 512 + bit;
                    let row = chunk.row(at);
                    let steps: [&dyn Fn() -> bool; 4] = [
                        &|| place(chunk, at, row),
                        &|| q.pay.map_or(!row.stated_only(), |pay| row.least() <= pay),
                        &|| born.contains(&row.birth()) && self.world.sets.mask(row.skill_set()) & q.skills == q.skills,
                        &|| chunk.bit(AVAILABLE, at),
                    ];
                    let upto = steps.iter().take_while(|step| step()).count();
                    passed[2..2 + upto].iter_mut().for_each(|n| *n += 1);
                });
            }
        });
        passed
    }

    fn reserve(&self, handles: &[u32]) {
        self.write(|upkeep| upkeep.count_offers(handles, true));
    }

    fn len(&self) -> usize {
        self.world.people()
    }
}
