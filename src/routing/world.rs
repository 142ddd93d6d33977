//! All workers as the searches read them: segments of chunks and lanes, and where
//! each worker stands. One writer changes it (`upkeep`), nobody locks.

use super::chunk::Chunk;
use super::lanes::Lanes;
use super::record::{COLUMNS, birth_date};
use crate::domain::region::Region;
use crate::domain::time::age_on;
use arc_swap::ArcSwap;
use jiff::civil::Date;
use std::ops::RangeInclusive;
use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

/// Rank tier (2 bits) and not in focus (1).
pub const SEGMENTS: usize = 8;
/// Where somebody stands who is in no chunk.
pub const NOWHERE: u32 = u32::MAX;
/// Handles of one page of the locator.
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
    ages: ArcSwap<Ages>,
    rare: AtomicU64,
    population: [AtomicUsize; COLUMNS],
}

impl World {
    pub fn new() -> Self {
        let segment = || Segment { chunks: ArcSwap::default(), overflow: ArcSwap::default(), lanes: Lanes::new(Region::leaf_count() + 64) };
        Self {
            segments: std::array::from_fn(|_| segment()),
            slots: ArcSwap::default(),
            locator: Locator::new(),
            ages: ArcSwap::from_pointee(Ages::on(Date::ZERO)),
            rare: AtomicU64::new(u64::MAX),
            population: std::array::from_fn(|_| AtomicUsize::new(0)),
        }
    }

    /// The skills that have lanes of their own, one bit each: those that few hold.
    pub fn rare_skills(&self) -> u64 {
        self.rare.load(Ordering::Acquire)
    }

    /// Only the one writer calls this.
    pub fn set_rare_skills(&self, mask: u64) {
        self.rare.store(mask, Ordering::Release);
    }

    /// The lane of a skill; those before are the counties' by leaf index.
    pub fn skill_lane(&self, skill: usize) -> usize {
        Region::leaf_count() + skill
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
        chunks + self.locator.bytes() + self.segments.iter().map(|s| s.lanes.bytes()).sum::<usize>()
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

/// Handle → place: chunk number (17 bits) and position (15).
pub struct Locator(Box<[OnceLock<Box<[AtomicU32]>>]>);

impl Locator {
    fn new() -> Self {
        Self((0..(1usize << 32) / PAGE).map(|_| OnceLock::new()).collect())
    }

    fn bytes(&self) -> usize {
        size_of_val(&*self.0) + self.0.iter().filter(|page| page.get().is_some()).count() * PAGE * size_of::<AtomicU32>()
    }

    #[inline]
    pub fn get(&self, handle: u32) -> u32 {
        let page = self.0[handle as usize / PAGE].get();
        page.map_or(NOWHERE, |page| page[handle as usize % PAGE].load(Ordering::Relaxed))
    }

    /// Asks for a handle's place, which will be read soon.
    #[inline]
    pub fn prefetch(&self, handle: u32) {
        if let Some(page) = self.0[handle as usize / PAGE].get() {
            super::kernel::prefetch(&page[handle as usize % PAGE]);
        }
    }

    /// Only the one writer calls this.
    pub fn set(&self, handle: u32, place: u32) {
        let page = self.0[handle as usize / PAGE].get_or_init(|| (0..PAGE).map(|_| AtomicU32::new(NOWHERE)).collect());
        page[handle as usize % PAGE].store(place, Ordering::Release);
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
}
