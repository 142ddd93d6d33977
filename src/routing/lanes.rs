//! The people of one county, or with one skill, in one segment, by the day they began
//! to seek and their handle, for postings that ask for them: handle, day, and bit
//! columns as a chunk has them ([`Record::lane_bits`](super::record::Record::lane_bits)).
//!
//! A lane is cut into blocks, so that a change copies one block at most. Written by
//! one thread, read by many: an entry is filled before the length that covers it is
//! stored; a block that is made anew is put in its place whole. What came out of order
//! stands behind a block's sorted part, at most [`TAIL`] entries. Somebody who was
//! taken out keeps their entry without its bits of `AVAILABLE` and `PRESENT`.

use super::kernel;
use super::record::{AVAILABLE, COUNTY_COLUMNS, PRESENT, SKILL_COLUMNS};
use arc_swap::{ArcSwap, ArcSwapOption};
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, AtomicU32, AtomicU64, AtomicUsize, Ordering};

/// Most entries behind a block's sorted part.
const TAIL: usize = 16;
/// Most entries of a block.
const BLOCK: usize = 512;

/// Somebody in a lane.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Entry {
    pub day: u16,
    pub handle: u32,
    /// One for each column; a county's lane keeps fewer.
    pub bits: u128,
}

impl Entry {
    fn key(&self) -> u64 {
        key(self.day, self.handle)
    }
}

fn key(day: u16, handle: u32) -> u64 {
    u64::from(day) << 32 | u64::from(handle)
}

/// Some entries of a lane that follow one another.
#[derive(Debug)]
pub struct Block {
    days: Box<[AtomicU16]>,
    handles: Box<[AtomicU32]>,
    /// The columns one after the other, `width` words each.
    words: Box<[AtomicU64]>,
    width: usize,
    sorted: AtomicU32,
    len: AtomicU32,
}

impl Block {
    /// `entries` in order, at most [`BLOCK`]; room for some more.
    fn of(entries: &[Entry], columns: usize) -> Self {
        let room = (entries.len() + (entries.len() / 16).clamp(1, TAIL)).next_multiple_of(16).min(BLOCK);
        let at = |i: usize| entries.get(i).copied().unwrap_or_default();
        let width = room.div_ceil(64);
        let mut words = vec![0u64; columns * width];
        for (at, entry) in entries.iter().enumerate() {
            each(entry.bits, columns, |column| words[column * width + at / 64] |= 1 << (at % 64));
        }
        Self {
            days: (0..room).map(|i| AtomicU16::new(at(i).day)).collect(),
            handles: (0..room).map(|i| AtomicU32::new(at(i).handle)).collect(),
            words: words.into_iter().map(AtomicU64::new).collect(),
            width,
            sorted: AtomicU32::new(entries.len() as u32),
            len: AtomicU32::new(entries.len() as u32),
        }
    }

    fn bytes(&self) -> usize {
        size_of::<Self>() + size_of_val(&*self.days) + size_of_val(&*self.handles) + size_of_val(&*self.words)
    }

    fn columns(&self) -> usize {
        self.words.len() / self.width
    }

    /// The and of some columns, for the 64 entries from `word` times 64 on.
    #[inline]
    pub fn and(&self, columns: &[u8], word: usize) -> u64 {
        let mut all = u64::MAX;
        for column in columns {
            all &= self.words[usize::from(*column) * self.width + word].load(Ordering::Relaxed);
            if all == 0 {
                break;
            }
        }
        all
    }

    fn put(&self, column: usize, at: usize, on: bool) {
        let word = &self.words[column * self.width + at / 64];
        let (old, mask) = (word.load(Ordering::Relaxed), 1 << (at % 64));
        word.store(if on { old | mask } else { old & !mask }, Ordering::Relaxed);
    }

    fn bit(&self, column: usize, at: usize) -> bool {
        self.words[column * self.width + at / 64].load(Ordering::Relaxed) >> (at % 64) & 1 == 1
    }

    /// The sorted part's length, then the whole.
    #[inline]
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

    fn key(&self, at: usize) -> u64 {
        key(self.day(at), self.handle(at))
    }

    /// False where it must be made anew first.
    fn push(&self, entry: Entry) -> bool {
        let (sorted, len) = self.lengths();
        let in_order = sorted == len && (len == 0 || self.key(len - 1) < entry.key());
        if len == self.days.len() || (!in_order && len - sorted >= TAIL) {
            return false;
        }
        self.days[len].store(entry.day, Ordering::Relaxed);
        self.handles[len].store(entry.handle, Ordering::Relaxed);
        each(entry.bits, self.columns(), |column| self.put(column, len, true));
        self.len.store(len as u32 + 1, Ordering::Release);
        if in_order {
            self.sorted.store(len as u32 + 1, Ordering::Release);
        }
        true
    }

    fn find(&self, day: u16, handle: u32) -> Option<usize> {
        let (sorted, len) = self.lengths();
        let (wanted, mut low, mut high) = (key(day, handle), 0, sorted);
        while low < high {
            let middle = (low + high) / 2;
            if self.key(middle) < wanted {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        if low < sorted && self.key(low) == wanted {
            return Some(low);
        }
        (sorted..len).find(|at| self.key(*at) == wanted)
    }

    /// Gives somebody who stands here, in or taken out, other bits.
    fn rewrite(&self, entry: Entry) -> bool {
        let Some(at) = self.find(entry.day, entry.handle) else { return false };
        for column in (0..self.columns()).rev() {
            self.put(column, at, entry.bits >> column & 1 == 1);
        }
        true
    }

    /// Who is in it, in order.
    fn entries(&self) -> Vec<Entry> {
        let len = self.lengths().1;
        let mut all: Vec<Entry> = (0..len).map(|at| Entry { day: self.day(at), handle: self.handle(at), bits: 0 }).collect();
        for (n, word) in self.words.iter().enumerate() {
            let (column, first) = (n / self.width, n % self.width * 64);
            super::record::ones(word.load(Ordering::Relaxed)).for_each(|bit| all[first + bit].bits |= 1 << column);
        }
        all.retain(|entry| entry.bits >> PRESENT & 1 == 1);
        all.sort_unstable_by_key(Entry::key);
        all
    }
}

/// The columns among the first of a lane that are set.
#[inline]
fn each(bits: u128, columns: usize, mut visit: impl FnMut(usize)) {
    let mut rest = bits & ((1 << columns) - 1);
    while rest != 0 {
        visit(rest.trailing_zeros() as usize);
        rest &= rest - 1;
    }
}

/// All of a county, or of a skill, in one segment.
#[derive(Debug)]
pub struct Lane {
    /// The least key of each block but the first, which holds everything before.
    bounds: Box<[u64]>,
    blocks: Box<[ArcSwap<Block>]>,
    people: AtomicUsize,
}

impl Lane {
    fn of(entries: &[Entry], columns: usize) -> Self {
        // Blocks are left room to grow.
        let mut parts: Vec<&[Entry]> = entries.chunks(BLOCK * 7 / 8).collect();
        if parts.is_empty() {
            parts.push(&[]);
        }
        Self {
            bounds: parts.iter().skip(1).map(|part| part[0].key()).collect(),
            blocks: parts.iter().map(|part| ArcSwap::from_pointee(Block::of(part, columns))).collect(),
            people: AtomicUsize::new(entries.len()),
        }
    }

    /// Asks for what will be read when the block after this one is: of that some
    /// columns, of the next but one where they are.
    #[inline]
    pub fn ask_ahead(&self, block: usize, columns: &[u8]) {
        if let Some(next) = self.block(block + 1) {
            columns.iter().for_each(|column| kernel::prefetch(&next.words[usize::from(*column) * next.width]));
        }
        self.ask_for(block + 2);
    }

    /// Asks for a block, but not for its words.
    #[inline]
    pub fn ask_for(&self, block: usize) {
        if let Some(block) = self.block(block) {
            kernel::prefetch(&**block);
        }
    }

    /// One block of it.
    #[inline]
    pub fn block(&self, at: usize) -> Option<arc_swap::Guard<Arc<Block>>> {
        self.blocks.get(at).map(ArcSwap::load)
    }

    pub fn blocks(&self) -> usize {
        self.blocks.len()
    }

    /// Nobody of a block or of those after it began to seek before this day.
    #[inline]
    pub fn first_day(&self, block: usize) -> u16 {
        block.checked_sub(1).map_or(0, |at| (self.bounds[at] >> 32) as u16)
    }

    fn place(&self, key: u64) -> usize {
        self.bounds.partition_point(|bound| *bound <= key)
    }

    fn bytes(&self) -> usize {
        let blocks: usize = self.blocks.iter().map(|block| block.load().bytes()).sum();
        size_of::<Self>() + size_of_val(&*self.bounds) + size_of_val(&*self.blocks) + blocks
    }
}

/// The lanes of one segment, by a number: the counties', then the skills'.
#[derive(Debug)]
pub struct Lanes {
    all: Box<[ArcSwapOption<Lane>]>,
    /// From this number on they are skills'.
    skills: usize,
}

impl Lanes {
    pub fn new(counties: usize, skills: usize) -> Self {
        Self { all: (0..counties + skills).map(|_| ArcSwapOption::empty()).collect(), skills: counties }
    }

    /// The columns of a lane.
    pub fn columns(&self, key: usize) -> usize {
        if key < self.skills { COUNTY_COLUMNS } else { SKILL_COLUMNS }
    }

    pub fn get(&self, key: usize) -> Option<Arc<Lane>> {
        self.all[key].load_full()
    }

    /// Asks for a lane that will be read soon.
    #[inline]
    pub fn ask_for(&self, key: usize) {
        if let Some(lane) = self.all[key].load().as_ref() {
            kernel::prefetch(&**lane);
        }
    }

    /// People of a lane.
    pub fn len(&self, key: usize) -> usize {
        self.all[key].load().as_ref().map_or(0, |lane| lane.people.load(Ordering::Relaxed))
    }

    /// What they take in memory.
    pub fn bytes(&self) -> usize {
        size_of_val(&*self.all) + self.all.iter().map(|lane| lane.load().as_ref().map_or(0, |lane| lane.bytes())).sum::<usize>()
    }

    /// Only the one writer calls this.
    pub fn add(&self, key: usize, entry: Entry) {
        let place = &self.all[key];
        let Some(lane) = place.load_full() else { return self.fill(key, &[entry]) };
        lane.people.fetch_add(1, Ordering::Relaxed);
        let at = lane.place(entry.key());
        let block = lane.blocks[at].load();
        // Who was taken out here comes back by their bits.
        if block.rewrite(entry) || block.push(entry) {
            return;
        }
        let columns = self.columns(key);
        let mut entries = block.entries();
        entries.insert(entries.partition_point(|e| e.key() < entry.key()), entry);
        if entries.len() <= BLOCK {
            return lane.blocks[at].store(Arc::new(Block::of(&entries, columns)));
        }
        // At the end everybody new follows, so the full one stays full.
        let cut = if at + 1 == lane.blocks.len() { BLOCK } else { entries.len() / 2 };
        let (left, right) = entries.split_at(cut);
        let mut bounds = lane.bounds.to_vec();
        bounds.insert(at, right[0].key());
        let mut blocks: Vec<Arc<Block>> = lane.blocks.iter().map(ArcSwap::load_full).collect();
        blocks.splice(at..=at, [Arc::new(Block::of(left, columns)), Arc::new(Block::of(right, columns))]);
        place.store(Some(Arc::new(Lane {
            bounds: bounds.into(),
            blocks: blocks.into_iter().map(ArcSwap::new).collect(),
            people: AtomicUsize::new(lane.people.load(Ordering::Relaxed)),
        })));
    }

    /// Only the one writer calls this.
    pub fn erase(&self, key: usize, day: u16, handle: u32) {
        self.at(key, day, handle, |lane, block, at| {
            if block.bit(PRESENT, at) {
                lane.people.fetch_sub(1, Ordering::Relaxed);
            }
            [AVAILABLE, PRESENT].into_iter().for_each(|column| block.put(column, at, false));
        });
    }

    /// Gives somebody other bits. Only the one writer calls this.
    pub fn change(&self, key: usize, entry: Entry) {
        if let Some(lane) = self.all[key].load().as_ref() {
            lane.blocks[lane.place(entry.key())].load().rewrite(entry);
        }
    }

    /// Somebody may be offered something now, or not. Only the one writer calls this.
    pub fn show(&self, key: usize, day: u16, handle: u32, on: bool) {
        self.at(key, day, handle, |_, block, at| block.put(AVAILABLE, at, on));
    }

    fn at(&self, key: usize, day: u16, handle: u32, act: impl FnOnce(&Lane, &Block, usize)) {
        if let Some(lane) = self.all[key].load().as_ref() {
            let block = lane.blocks[lane.place(self::key(day, handle))].load();
            if let Some(at) = block.find(day, handle) {
                act(lane, &block, at);
            }
        }
    }

    /// A whole lane at once, in order.
    pub fn fill(&self, key: usize, entries: &[Entry]) {
        self.all[key].store(Some(Arc::new(Lane::of(entries, self.columns(key)))));
    }

    /// Who is in a lane, in order.
    pub fn entries(&self, key: usize) -> Vec<Entry> {
        let lane = self.all[key].load();
        lane.iter().flat_map(|lane| lane.blocks.iter()).flat_map(|block| block.load().entries()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ranking::mix;
    use std::collections::BTreeMap;

    /// Checks a lane against what it must hold.
    fn check(lanes: &Lanes, key: usize, expected: &BTreeMap<u64, Entry>) {
        assert_eq!(lanes.entries(key), expected.values().copied().collect::<Vec<_>>());
        assert_eq!(lanes.len(key), expected.len());
        let lane = lanes.get(key).unwrap();
        for at in 0..lane.blocks() {
            let block = lane.block(at).unwrap();
            let (sorted, len) = block.lengths();
            assert!((1..sorted).all(|at| block.key(at - 1) < block.key(at)) && len - sorted <= TAIL && len <= BLOCK);
            assert!((0..len).all(|i| block.day(i) >= lane.first_day(at)), "a block's days come before its first");
        }
    }

    #[test]
    fn a_lane_holds_who_was_added_and_not_taken_out_in_order() {
        let (lanes, mut expected) = (Lanes::new(1, 1), BTreeMap::new());
        for n in 0..20_000u32 {
            let of = |n: u32| (mix(u64::from(n)) % 100) as u16;
            let entry = Entry { day: of(n), handle: n, bits: u128::from(n) << 40 | 1 << PRESENT };
            lanes.add(1, entry);
            expected.insert(entry.key(), entry);
            let old = n / 2;
            match n % 6 {
                0 => {
                    lanes.erase(1, of(old), old);
                    expected.remove(&key(of(old), old));
                }
                1 if !expected.contains_key(&key(of(old), old)) => {
                    let back = Entry { day: of(old), handle: old, bits: 9 << 60 | 1 << PRESENT };
                    lanes.add(1, back);
                    expected.insert(back.key(), back);
                }
                2 if let Some(entry) = expected.get_mut(&key(of(old), old)) => {
                    lanes.show(1, of(old), old, true);
                    entry.bits |= 1 << AVAILABLE;
                }
                _ => {}
            }
        }
        check(&lanes, 1, &expected);
        assert_eq!(lanes.len(0), 0);
    }

    #[test]
    fn a_lane_filled_at_once_grows_at_its_end_and_in_its_middle() {
        let (lanes, mut expected) = (Lanes::new(1, 1), BTreeMap::new());
        let entries: Vec<Entry> = (0..3000).map(|n| Entry { day: 7, handle: n * 3, bits: 1 << PRESENT }).collect();
        lanes.fill(0, &entries);
        expected.extend(entries.iter().map(|e| (e.key(), *e)));
        let after = (0..2000u32).map(|n| Entry { day: 9, handle: (mix(u64::from(n)) >> 40) as u32, bits: 3 << PRESENT });
        let between = (0..2000).map(|n| Entry { day: 7, handle: n * 3 + 1, bits: 5 << PRESENT });
        for entry in after.chain(between) {
            if expected.insert(entry.key(), entry).is_none() {
                lanes.add(0, entry);
            }
        }
        check(&lanes, 0, &expected);
    }
}
