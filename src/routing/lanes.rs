//! The people of one county in one segment, by the day they began to seek, for
//! postings that ask for home counties: handle and day, eight lanes a county.
//!
//! Written by one thread, read by many: an entry is filled before the length that
//! covers it is stored. What came out of order stands behind the sorted part, at
//! most [`TAIL`] entries, until the lane is made anew.

use arc_swap::ArcSwapOption;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, AtomicU32, Ordering};

/// The handle of an entry that was taken out.
pub const ERASED: u32 = u32::MAX;
/// Most entries behind the sorted part.
const TAIL: usize = 64;

#[derive(Debug)]
pub struct Lane {
    days: Box<[AtomicU16]>,
    handles: Box<[AtomicU32]>,
    sorted: AtomicU32,
    len: AtomicU32,
}

impl Lane {
    /// `entries` by day; room for some more.
    fn of(entries: &[(u16, u32)]) -> Self {
        let room = entries.len() + entries.len() / 8 + 4;
        let at = |i: usize| entries.get(i).copied().unwrap_or((0, ERASED));
        Self {
            days: (0..room).map(|i| AtomicU16::new(at(i).0)).collect(),
            handles: (0..room).map(|i| AtomicU32::new(at(i).1)).collect(),
            sorted: AtomicU32::new(entries.len() as u32),
            len: AtomicU32::new(entries.len() as u32),
        }
    }

    /// The sorted part's length, then the whole.
    pub fn lengths(&self) -> (usize, usize) {
        let sorted = self.sorted.load(Ordering::Acquire) as usize;
        (sorted, self.len.load(Ordering::Acquire) as usize)
    }

    #[inline]
    pub fn day(&self, at: usize) -> u16 {
        self.days[at].load(Ordering::Relaxed)
    }

    #[inline]
    pub fn handle(&self, at: usize) -> u32 {
        self.handles[at].load(Ordering::Relaxed)
    }

    /// False where it must be made anew first.
    fn push(&self, day: u16, handle: u32) -> bool {
        let (sorted, len) = self.lengths();
        let in_order = sorted == len && (len == 0 || self.day(len - 1) <= day);
        if len == self.days.len() || (!in_order && len - sorted >= TAIL) {
            return false;
        }
        self.days[len].store(day, Ordering::Relaxed);
        self.handles[len].store(handle, Ordering::Relaxed);
        self.len.store(len as u32 + 1, Ordering::Release);
        if in_order {
            self.sorted.store(len as u32 + 1, Ordering::Release);
        }
        true
    }

    fn erase(&self, day: u16, handle: u32) {
        let (sorted, len) = self.lengths();
        let first = self.days[..sorted].partition_point(|d| d.load(Ordering::Relaxed) < day);
        let places = (first..sorted).take_while(|at| self.day(*at) == day).chain(sorted..len);
        if let Some(at) = places.into_iter().find(|at| self.handle(*at) == handle) {
            self.handles[at].store(ERASED, Ordering::Relaxed);
        }
    }

    fn entries(&self) -> Vec<(u16, u32)> {
        let mut all: Vec<(u16, u32)> = (0..self.lengths().1).map(|at| (self.day(at), self.handle(at))).collect();
        all.retain(|(_, handle)| *handle != ERASED);
        all.sort_by_key(|(day, _)| *day);
        all
    }
}

/// The lanes of one segment, by leaf index of the county.
#[derive(Debug)]
pub struct Lanes(Box<[ArcSwapOption<Lane>]>);

impl Lanes {
    pub fn new(counties: usize) -> Self {
        Self((0..counties).map(|_| ArcSwapOption::empty()).collect())
    }

    pub fn get(&self, county: u16) -> Option<Arc<Lane>> {
        self.0[usize::from(county)].load_full()
    }

    /// Entries of a lane, erased ones too.
    pub fn len(&self, county: u16) -> usize {
        self.0[usize::from(county)].load().as_ref().map_or(0, |lane| lane.lengths().1)
    }

    /// What they take in memory.
    pub fn bytes(&self) -> usize {
        let of = |lane: &Lane| size_of::<Lane>() + size_of_val(&*lane.days) + size_of_val(&*lane.handles);
        size_of_val(&*self.0) + self.0.iter().map(|lane| lane.load().as_ref().map_or(0, |lane| of(lane))).sum::<usize>()
    }

    /// Only the one writer calls this.
    pub fn add(&self, county: u16, day: u16, handle: u32) {
        let place = &self.0[usize::from(county)];
        let lane = place.load();
        if lane.as_ref().is_some_and(|lane| lane.push(day, handle)) {
            return;
        }
        let mut entries = lane.as_ref().map(|lane| lane.entries()).unwrap_or_default();
        let at = entries.partition_point(|(d, _)| *d <= day);
        entries.insert(at, (day, handle));
        place.store(Some(Arc::new(Lane::of(&entries))));
    }

    /// Only the one writer calls this.
    pub fn erase(&self, county: u16, day: u16, handle: u32) {
        if let Some(lane) = self.0[usize::from(county)].load().as_ref() {
            lane.erase(day, handle);
        }
    }

    /// A whole lane at once, by day.
    pub fn fill(&self, county: u16, entries: &[(u16, u32)]) {
        self.0[usize::from(county)].store(Some(Arc::new(Lane::of(entries))));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ranking::mix;

    #[test]
    fn a_lane_holds_what_was_added_and_not_erased_with_its_sorted_part_in_order() {
        let lanes = Lanes::new(2);
        let mut expected = std::collections::BTreeSet::new();
        for n in 0..20_000u32 {
            let day = (mix(u64::from(n)) % 100) as u16;
            lanes.add(1, day, n);
            expected.insert((day, n));
            if n % 3 == 0 {
                let old = n / 2;
                let day = (mix(u64::from(old)) % 100) as u16;
                lanes.erase(1, day, old);
                expected.remove(&(day, old));
            }
        }
        let lane = lanes.get(1).unwrap();
        let (sorted, len) = lane.lengths();
        assert!((1..sorted).all(|at| lane.day(at - 1) <= lane.day(at)) && len - sorted <= TAIL);
        let held: std::collections::BTreeSet<_> = lane.entries().into_iter().collect();
        assert_eq!(held, expected);
        assert_eq!(lanes.len(0), 0);
    }
}
