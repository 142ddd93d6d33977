//! The people of one county, or with one rare skill, in one segment, by the day they
//! began to seek, for postings that ask for them: handle, day, and a word by which sixteen at
//! once are sifted ([`Record::sifted`](super::record::Record::sifted)).
//!
//! Written by one thread, read by many: an entry is filled before the length that
//! covers it is stored. What came out of order stands behind the sorted part, at
//! most [`TAIL`] entries, until the lane is made anew.

use super::kernel::Sixteen;
use arc_swap::ArcSwapOption;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, AtomicU32, Ordering};

/// The handle of an entry that was taken out.
pub const ERASED: u32 = u32::MAX;
/// Most entries behind the sorted part.
const TAIL: usize = 64;

/// Somebody in a lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Entry {
    pub day: u16,
    pub handle: u32,
    pub sifted: u32,
}

#[derive(Debug)]
pub struct Lane {
    days: Box<[AtomicU16]>,
    handles: Box<[AtomicU32]>,
    words: Box<[Sixteen]>,
    sorted: AtomicU32,
    len: AtomicU32,
}

impl Lane {
    /// `entries` by day; room for some more.
    fn of(entries: &[Entry]) -> Self {
        let room = (entries.len() + entries.len() / 16 + 1).next_multiple_of(16);
        let nobody = Entry { day: 0, handle: ERASED, sifted: 0 };
        let at = |i: usize| entries.get(i).copied().unwrap_or(nobody);
        Self {
            days: (0..room).map(|i| AtomicU16::new(at(i).day)).collect(),
            handles: (0..room).map(|i| AtomicU32::new(at(i).handle)).collect(),
            words: (0..room / 16).map(|w| Sixteen(std::array::from_fn(|i| AtomicU32::new(at(w * 16 + i).sifted)))).collect(),
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

    /// The words of the sixteen entries from `at`, a multiple of it, on.
    #[inline]
    pub fn sixteen(&self, at: usize) -> &Sixteen {
        &self.words[at / 16]
    }

    fn word(&self, at: usize) -> &AtomicU32 {
        &self.words[at / 16].0[at % 16]
    }

    /// False where it must be made anew first.
    fn push(&self, entry: Entry) -> bool {
        let (sorted, len) = self.lengths();
        let in_order = sorted == len && (len == 0 || self.day(len - 1) <= entry.day);
        if len == self.days.len() || (!in_order && len - sorted >= TAIL) {
            return false;
        }
        self.days[len].store(entry.day, Ordering::Relaxed);
        self.handles[len].store(entry.handle, Ordering::Relaxed);
        self.word(len).store(entry.sifted, Ordering::Relaxed);
        self.len.store(len as u32 + 1, Ordering::Release);
        if in_order {
            self.sorted.store(len as u32 + 1, Ordering::Release);
        }
        true
    }

    fn find(&self, day: u16, handle: u32) -> Option<usize> {
        let (sorted, len) = self.lengths();
        let first = self.days[..sorted].partition_point(|d| d.load(Ordering::Relaxed) < day);
        let mut places = (first..sorted).take_while(|at| self.day(*at) == day).chain(sorted..len);
        places.find(|at| self.handle(*at) == handle)
    }

    fn entries(&self) -> Vec<Entry> {
        let entry = |at| Entry { day: self.day(at), handle: self.handle(at), sifted: self.word(at).load(Ordering::Relaxed) };
        let mut all: Vec<Entry> = (0..self.lengths().1).map(entry).filter(|e| e.handle != ERASED).collect();
        all.sort_by_key(|e| e.day);
        all
    }
}

/// The lanes of one segment, by a number.
#[derive(Debug)]
pub struct Lanes(Box<[ArcSwapOption<Lane>]>);

impl Lanes {
    pub fn new(n: usize) -> Self {
        Self((0..n).map(|_| ArcSwapOption::empty()).collect())
    }

    pub fn get(&self, key: usize) -> Option<Arc<Lane>> {
        self.0[key].load_full()
    }

    /// Entries of a lane, erased ones too.
    pub fn len(&self, key: usize) -> usize {
        self.0[key].load().as_ref().map_or(0, |lane| lane.lengths().1)
    }

    /// What they take in memory.
    pub fn bytes(&self) -> usize {
        let of = |lane: &Lane| size_of::<Lane>() + size_of_val(&*lane.days) + size_of_val(&*lane.handles) + size_of_val(&*lane.words);
        size_of_val(&*self.0) + self.0.iter().map(|lane| lane.load().as_ref().map_or(0, |lane| of(lane))).sum::<usize>()
    }

    /// Only the one writer calls this.
    pub fn add(&self, key: usize, entry: Entry) {
        let place = &self.0[key];
        let lane = place.load();
        if lane.as_ref().is_some_and(|lane| lane.push(entry)) {
            return;
        }
        let mut entries = lane.as_ref().map(|lane| lane.entries()).unwrap_or_default();
        let at = entries.partition_point(|e| e.day <= entry.day);
        entries.insert(at, entry);
        place.store(Some(Arc::new(Lane::of(&entries))));
    }

    /// Only the one writer calls this.
    pub fn erase(&self, key: usize, day: u16, handle: u32) {
        if let Some(lane) = self.0[key].load().as_ref()
            && let Some(at) = lane.find(day, handle)
        {
            lane.handles[at].store(ERASED, Ordering::Relaxed);
        }
    }

    /// Only the one writer calls this.
    pub fn change(&self, key: usize, entry: Entry) {
        if let Some(lane) = self.0[key].load().as_ref()
            && let Some(at) = lane.find(entry.day, entry.handle)
        {
            lane.word(at).store(entry.sifted, Ordering::Relaxed);
        }
    }

    /// Sets or clears bits of somebody's word. Only the one writer calls this.
    pub fn mark(&self, key: usize, day: u16, handle: u32, mask: u32, on: bool) {
        if let Some(lane) = self.0[key].load().as_ref()
            && let Some(at) = lane.find(day, handle)
        {
            let word = lane.word(at);
            let old = word.load(Ordering::Relaxed);
            word.store(if on { old | mask } else { old & !mask }, Ordering::Relaxed);
        }
    }

    /// Takes a lane away. Only the one writer calls this.
    pub fn remove(&self, key: usize) {
        self.0[key].store(None);
    }

    /// A whole lane at once, by day.
    pub fn fill(&self, key: usize, entries: &[Entry]) {
        self.0[key].store(Some(Arc::new(Lane::of(entries))));
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
            let entry = Entry { day, handle: n, sifted: n ^ 1 };
            lanes.add(1, entry);
            expected.insert(entry);
            if n % 3 == 0 {
                let old = n / 2;
                let day = (mix(u64::from(old)) % 100) as u16;
                lanes.erase(1, day, old);
                expected.retain(|e: &Entry| e.handle != old);
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
