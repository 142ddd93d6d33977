//! All workers as the searches read them: segments of chunks and lanes, and where
//! each worker stands. One writer changes it (`upkeep`), nobody locks.

use super::chunk::Chunk;
use super::lanes::Lanes;
use super::record::{COLUMNS, SKILLS, birth_date};
use crate::domain::region::Region;
use crate::domain::time::age_on;
use arc_swap::ArcSwap;
use jiff::civil::Date;
use std::collections::HashMap;
use std::ops::RangeInclusive;
use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

/// Rank tier (2 bits) and not in focus (1).
pub const SEGMENTS: usize = 8;
/// Where somebody stands who is in no chunk.
pub const NOWHERE: u32 = u32::MAX;
/// Entries of one page.
const PAGE: usize = 1 << 16;

/// The workers of one rank tier and focus.
pub struct Segment {
    /// By the day they began to seek.
    pub chunks: ArcSwap<Vec<Arc<Chunk>>>,
    /// Who came out of order, until they are merged.
    pub overflow: ArcSwap<Vec<Arc<Chunk>>>,
    pub lanes: Lanes,
}

pub struct World {
    pub segments: [Segment; SEGMENTS],
    /// Chunks by number, the upper 17 bits of a place.
    pub slots: ArcSwap<Vec<Option<Arc<Chunk>>>>,
    pub locator: Locator,
    pub sets: Arc<SkillSets>,
    ages: ArcSwap<Ages>,
    population: [AtomicUsize; COLUMNS],
}

impl World {
    pub fn new() -> Self {
        let segment =
            || Segment { chunks: ArcSwap::default(), overflow: ArcSwap::default(), lanes: Lanes::new(Region::leaf_count(), SKILLS) };
        Self {
            segments: std::array::from_fn(|_| segment()),
            slots: ArcSwap::default(),
            locator: Locator::new(),
            sets: Arc::default(),
            ages: ArcSwap::from_pointee(Ages::on(Date::ZERO)),
            population: std::array::from_fn(|_| AtomicUsize::new(0)),
        }
    }

    /// The lane of a skill; those before are the counties' by leaf index.
    pub fn skill_lane(&self, skill: usize) -> usize {
        Region::leaf_count() + skill
    }

    /// People of a lane, in all segments.
    pub fn lane_people(&self, key: usize) -> usize {
        self.segments.iter().map(|s| s.lanes.len(key)).sum()
    }

    /// Workers in it.
    pub fn people(&self) -> usize {
        self.population(super::record::PRESENT)
    }

    /// About how many have a column's bit.
    pub fn population(&self, column: usize) -> usize {
        self.population[column].load(Ordering::Relaxed)
    }

    /// Counts into a column, or out of it.
    pub fn count(&self, column: usize, on: bool) {
        let count = &self.population[column];
        let was = count.load(Ordering::Relaxed);
        count.store(if on { was + 1 } else { was.saturating_sub(1) }, Ordering::Relaxed);
    }

    /// Counts many into a column.
    pub fn count_many(&self, column: usize, n: usize) {
        self.population[column].fetch_add(n, Ordering::Relaxed);
    }

    /// What chunks, lanes and locator take in memory.
    pub fn bytes(&self) -> usize {
        let chunks = self.slots.load().iter().flatten().count() * Chunk::bytes();
        chunks + self.locator.0.bytes() + self.sets.0.bytes() + self.segments.iter().map(|s| s.lanes.bytes()).sum::<usize>()
    }

    /// The ages on this day.
    pub fn ages(&self, today: Date) -> arc_swap::Guard<Arc<Ages>> {
        let ages = self.ages.load();
        if ages.today == today {
            return ages;
        }
        self.ages.store(Arc::new(Ages::on(today)));
        self.ages.load()
    }
}

/// The position of a place within its chunk.
#[inline]
pub fn position(place: u32) -> usize {
    (place & 0x7fff) as usize
}

/// A table that grows by pages and never moves.
struct Pages<T> {
    pages: Box<[OnceLock<Box<[T]>>]>,
    empty: fn() -> T,
}

impl<T> Pages<T> {
    fn new(entries: usize, empty: fn() -> T) -> Self {
        Self { pages: (0..entries.div_ceil(PAGE)).map(|_| OnceLock::new()).collect(), empty }
    }

    #[inline]
    fn get(&self, at: usize) -> Option<&T> {
        self.pages[at / PAGE].get().map(|page| &page[at % PAGE])
    }

    /// Makes the page where it is not there. Only the one writer calls this.
    fn made(&self, at: usize) -> &T {
        &self.pages[at / PAGE].get_or_init(|| (0..PAGE).map(|_| (self.empty)()).collect())[at % PAGE]
    }

    fn bytes(&self) -> usize {
        size_of_val(&*self.pages) + self.pages.iter().filter(|page| page.get().is_some()).count() * PAGE * size_of::<T>()
    }
}

/// Handle → place: chunk number (17 bits) and position (15).
pub struct Locator(Pages<AtomicU32>);

impl Locator {
    fn new() -> Self {
        Self(Pages::new(1 << 32, || AtomicU32::new(NOWHERE)))
    }

    #[inline]
    pub fn get(&self, handle: u32) -> u32 {
        self.0.get(handle as usize).map_or(NOWHERE, |place| place.load(Ordering::Relaxed))
    }

    /// Asks for a handle's place, which will be read soon.
    #[inline]
    pub fn prefetch(&self, handle: u32) {
        if let Some(place) = self.0.get(handle as usize) {
            super::kernel::prefetch(place);
        }
    }

    /// Only the one writer calls this.
    pub fn set(&self, handle: u32, place: u32) {
        self.0.made(handle as usize).store(place, Ordering::Release);
    }
}

/// The sets of skills that occur, by number; 0 is the empty one. A set is never
/// changed nor taken away: as many can occur as people have had.
pub struct SkillSets(Pages<AtomicU64>);

impl Default for SkillSets {
    fn default() -> Self {
        Self(Pages::new(1 << 32, AtomicU64::default))
    }
}

impl SkillSets {
    #[inline]
    pub fn mask(&self, number: u32) -> u64 {
        if number == 0 { 0 } else { self.0.get(number as usize).map_or(0, |mask| mask.load(Ordering::Relaxed)) }
    }
}

/// Gives sets of skills their numbers; the one writer's.
#[derive(Default)]
pub struct Numbers {
    pub sets: Arc<SkillSets>,
    numbers: HashMap<u64, u32>,
}

impl Numbers {
    pub fn of(sets: Arc<SkillSets>) -> Self {
        Self { sets, numbers: HashMap::new() }
    }

    pub fn number(&mut self, skills: u64) -> u32 {
        if skills == 0 {
            return 0;
        }
        let next = self.numbers.len() as u32 + 1;
        *self.numbers.entry(skills).or_insert_with(|| {
            self.sets.0.made(next as usize).store(skills, Ordering::Release);
            next
        })
    }

    /// How many there are; the numbers go from 1 up to it.
    pub fn len(&self) -> u32 {
        self.numbers.len() as u32
    }

    pub fn bytes(&self) -> usize {
        self.numbers.capacity() * size_of::<(u64, u32)>()
    }
}

/// For each age, the last birth day of those who have it.
pub struct Ages {
    today: Date,
    youngest: [Option<u16>; 152],
}

impl Ages {
    fn on(today: Date) -> Self {
        // Ages fall as birth days rise.
        let youngest = |age: usize| {
            let (mut low, mut high) = (0u32, u32::from(u16::MAX) + 1);
            while low < high {
                let middle = (low + high) / 2;
                if usize::from(age_on(birth_date(middle as u16), today)) >= age {
                    low = middle + 1;
                } else {
                    high = middle;
                }
            }
            low.checked_sub(1).map(|day| day as u16)
        };
        Self { today, youngest: std::array::from_fn(youngest) }
    }

    /// The birth days of those from `least` to `most` years old.
    pub fn born(&self, least: u8, most: u8) -> RangeInclusive<u16> {
        let of = |age: usize| self.youngest.get(age).copied().flatten();
        let latest = of(usize::from(least));
        let earliest = of(usize::from(most) + 1).map_or(0, |day| day.saturating_add(1));
        match latest {
            Some(latest) => earliest..=latest,
            None => RangeInclusive::new(1, 0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::routing::record::birth_day;
    use jiff::civil::date;

    #[test]
    fn birth_days_of_an_age_are_those_that_have_it() {
        for today in [date(2020, 2, 29), date(2021, 2, 28), date(2021, 3, 1), date(2026, 11, 24)] {
            let ages = Ages::on(today);
            for birth in (0..=u16::MAX).step_by(97).chain([birth_day(date(2000, 2, 29)), birth_day(date(2000, 3, 1))]) {
                let age = age_on(birth_date(birth), today);
                for (least, most) in [(0, 255), (18, 35), (18, 60), (40, 40), (150, 255), (60, 20)] {
                    let within = (least..=most).contains(&age);
                    assert_eq!(ages.born(least, most).contains(&birth), within, "{birth} {age} {least} {most}");
                }
            }
        }
    }

    #[test]
    fn a_place_is_found_again() {
        let locator = Locator::new();
        assert_eq!(locator.get(7), NOWHERE);
        locator.set(70_000, 42);
        assert_eq!((locator.get(70_000), locator.get(70_001), locator.get(u32::MAX)), (42, NOWHERE, NOWHERE));
    }

    #[test]
    fn a_set_of_skills_has_one_number() {
        let mut numbers = Numbers::default();
        let given: Vec<u32> = (0..70_000u64).map(|mask| numbers.number(mask)).collect();
        assert_eq!(given, (0..70_000).collect::<Vec<u32>>());
        assert_eq!(numbers.number(69_999), 69_999);
        assert!((0..70_000).all(|n| numbers.sets.mask(n) == u64::from(n)));
        assert_eq!(numbers.sets.mask(u32::MAX), 0);
    }
}
