//! 32,768 positions of one segment: bit columns with a summary, and a row for each
//! position. Written by one thread, read by many without locks.
//!
//! The protocol: the writer fills a position before it sets its bit in `AVAILABLE`
//! or `PRESENT`; where the attributes of a position change in place it makes the
//! version odd before and even after; a reader that met an odd or another version
//! reads the line again. Bits alone (an offer more or less) change no version.

use super::kernel::Line;
use super::record::{AVAILABLE, Bits, COLUMNS, ON_SITE, PRESENT, Record, Row, SKILL, ones};
use std::sync::atomic::{AtomicU16, AtomicU32, AtomicU64, Ordering, fence};

/// Positions of a chunk.
pub const POSITIONS: usize = 32_768;
/// Lines of 512 positions in each column.
pub const LINES: usize = POSITIONS / 512;

/// A row as two words that are read and written one by one.
#[derive(Debug, Default)]
struct Slot {
    a: AtomicU64,
    b: AtomicU64,
}

#[derive(Debug)]
pub struct Chunk {
    /// Rank tier and focus: the segment it belongs to.
    pub segment: u8,
    /// Its number in the world, the upper part of a place.
    pub number: u32,
    version: AtomicU32,
    used: AtomicU32,
    /// Positions whose worker went elsewhere; only the writer asks.
    gone: AtomicU32,
    /// The first seeking day of each line; ascending, except in an overflow.
    line_day: Box<[AtomicU16]>,
    last_day: AtomicU16,
    summary: Box<[AtomicU64]>,
    lines: Box<[Line]>,
    slots: Box<[Slot]>,
}

fn set(word: &AtomicU64, mask: u64, on: bool) {
    let old = word.load(Ordering::Relaxed);
    word.store(if on { old | mask } else { old & !mask }, Ordering::Relaxed);
}

impl Chunk {
    pub fn new(segment: u8, number: u32) -> Self {
        Self {
            segment,
            number,
            version: AtomicU32::new(0),
            used: AtomicU32::new(0),
            gone: AtomicU32::new(0),
            line_day: (0..LINES).map(|_| AtomicU16::new(u16::MAX)).collect(),
            last_day: AtomicU16::new(0),
            summary: (0..COLUMNS).map(|_| AtomicU64::new(0)).collect(),
            lines: (0..COLUMNS * LINES).map(|_| Line::default()).collect(),
            slots: (0..POSITIONS).map(|_| Slot::default()).collect(),
        }
    }

    /// What one takes in memory.
    pub fn bytes() -> usize {
        COLUMNS * (LINES * size_of::<Line>() + size_of::<u64>())
            + POSITIONS * size_of::<Slot>()
            + LINES * size_of::<u16>()
            + size_of::<Self>()
    }

    /// Positions given out.
    pub fn used(&self) -> usize {
        self.used.load(Ordering::Acquire) as usize
    }

    pub fn is_full(&self) -> bool {
        self.used() == POSITIONS
    }

    /// Positions whose worker is still here.
    pub fn kept(&self) -> usize {
        self.used() - self.gone.load(Ordering::Relaxed) as usize
    }

    /// A worker's place: this chunk and a position in it.
    pub fn place(&self, at: usize) -> u32 {
        self.number << 15 | at as u32
    }

    /// The seeking day of its first position; the largest where it is empty.
    pub fn first_day(&self) -> u16 {
        self.line_day[0].load(Ordering::Relaxed)
    }

    pub fn last_day(&self) -> u16 {
        self.last_day.load(Ordering::Relaxed)
    }

    #[inline]
    pub fn day_of_line(&self, line: usize) -> u16 {
        self.line_day[line].load(Ordering::Relaxed)
    }

    /// One bit for each line in which a column has any.
    #[inline]
    pub fn summary(&self, column: usize) -> u64 {
        self.summary[column].load(Ordering::Relaxed)
    }

    /// The columns one after the other, [`LINES`] each.
    #[inline]
    pub fn lines(&self) -> &[Line] {
        &self.lines
    }

    #[inline]
    pub fn bit(&self, column: usize, at: usize) -> bool {
        self.lines[column * LINES + at / 512].0[at / 64 % 8].load(Ordering::Relaxed) >> (at % 64) & 1 == 1
    }

    /// Whether all skills of a mask stand at a position.
    #[inline]
    pub fn has_skills(&self, at: usize, mask: u64) -> bool {
        ones(mask).all(|skill| self.bit(SKILL + skill, at))
    }

    #[inline]
    pub fn row(&self, at: usize) -> Row {
        let slot = &self.slots[at];
        Row { a: slot.a.load(Ordering::Relaxed), b: slot.b.load(Ordering::Relaxed) }
    }

    #[inline]
    pub fn prefetch_row(&self, at: usize) {
        super::kernel::prefetch(&self.slots[at]);
    }

    /// Reads something of this chunk again until no attribute changed meanwhile.
    #[inline]
    pub fn consistent<T>(&self, mut read: impl FnMut() -> T) -> T {
        loop {
            let before = self.version.load(Ordering::Acquire);
            if before.is_multiple_of(2) {
                let out = read();
                fence(Ordering::Acquire);
                if self.version.load(Ordering::Relaxed) == before {
                    return out;
                }
            }
            std::hint::spin_loop();
        }
    }

    /// Every bit of a position from [`ON_SITE`] on.
    pub fn bits(&self, at: usize) -> Bits {
        let mut bits = Bits::default();
        for column in ON_SITE..COLUMNS {
            bits.set_if(column, self.bit(column, at));
        }
        bits
    }

    /// The worker at a position.
    pub fn record(&self, at: usize) -> Record {
        let bits = self.bits(at);
        Record { row: self.row(at), provinces: bits.provinces(), skills: bits.skills() }
    }

    /// Puts a worker at the next position, visible at once; the chunk is not full.
    pub fn append(&self, record: &Record, available: bool) -> usize {
        let at = self.used.load(Ordering::Relaxed) as usize;
        let day = record.row.seeking_day();
        self.store_row(at, record.row);
        for column in record.bits().ones() {
            self.put(column, at, true);
        }
        if at.is_multiple_of(512) {
            self.line_day[at / 512].store(day, Ordering::Relaxed);
        }
        self.last_day.store(day.max(self.last_day()), Ordering::Relaxed);
        self.used.store(at as u32 + 1, Ordering::Release);
        fence(Ordering::Release);
        self.put(PRESENT, at, true);
        self.put(AVAILABLE, at, available);
        at
    }

    /// Sets or clears one bit, and its summary.
    pub fn put(&self, column: usize, at: usize, on: bool) {
        let line = at / 512;
        let words = &self.lines[column * LINES + line].0;
        set(&words[at / 64 % 8], 1 << (at % 64), on);
        if on || words.iter().all(|w| w.load(Ordering::Relaxed) == 0) {
            set(&self.summary[column], 1 << line, on);
        }
    }

    /// Changes what stands at a position, in place; the seeking day stays.
    pub fn rewrite(&self, at: usize, record: &Record) {
        let version = self.version.load(Ordering::Relaxed);
        self.version.store(version.wrapping_add(1), Ordering::Relaxed);
        fence(Ordering::Release);
        let (old, new) = (self.bits(at), record.bits());
        for column in old.differing(new) {
            self.put(column, at, !self.bit(column, at));
        }
        self.store_row(at, record.row);
        self.version.store(version.wrapping_add(2), Ordering::Release);
    }

    /// Its worker went elsewhere.
    pub fn leave(&self, at: usize) {
        self.put(AVAILABLE, at, false);
        self.put(PRESENT, at, false);
        self.gone.fetch_add(1, Ordering::Relaxed);
    }

    fn store_row(&self, at: usize, row: Row) {
        self.slots[at].a.store(row.a, Ordering::Relaxed);
        self.slots[at].b.store(row.b, Ordering::Relaxed);
    }

    /// A chunk of some positions of others, in the order given, before anybody
    /// reads it. `from` names chunk and position; at most [`POSITIONS`] of them.
    pub fn gathered(segment: u8, number: u32, sources: &[&Chunk], from: &[(u16, u16)]) -> Self {
        let out = Self::new(segment, number);
        // Where each old position went, so that columns are copied bit by bit set.
        let mut moved = vec![vec![u16::MAX; POSITIONS]; sources.len()];
        for (to, (source, at)) in from.iter().enumerate() {
            moved[usize::from(*source)][usize::from(*at)] = to as u16;
            let row = sources[usize::from(*source)].row(usize::from(*at));
            out.store_row(to, row);
            if to % 512 == 0 {
                out.line_day[to / 512].store(row.seeking_day(), Ordering::Relaxed);
            }
            out.last_day.store(row.seeking_day(), Ordering::Relaxed);
        }
        for (source, moved) in sources.iter().zip(&moved) {
            for column in 0..COLUMNS {
                let mut rest = source.summary(column);
                while rest != 0 {
                    let line = rest.trailing_zeros() as usize;
                    rest &= rest - 1;
                    for (w, word) in source.lines[column * LINES + line].0.iter().enumerate() {
                        let mut bits = word.load(Ordering::Relaxed);
                        while bits != 0 {
                            let to = usize::from(moved[line * 512 + w * 64 + bits.trailing_zeros() as usize]);
                            bits &= bits - 1;
                            if to < POSITIONS {
                                set(&out.lines[column * LINES + to / 512].0[to / 64 % 8], 1 << (to % 64), true);
                                set(&out.summary[column], 1 << (to / 512), true);
                            }
                        }
                    }
                }
            }
        }
        out.used.store(from.len() as u32, Ordering::Release);
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::eligibility::tests::seeker;
    use crate::domain::worker::Seeker;

    fn record(handle: u32, categories: u32) -> Record {
        Record::of(&Seeker { handle, categories, skills: u64::from(handle), ..seeker() })
    }

    #[test]
    fn a_position_gives_back_its_worker_after_every_kind_of_change() {
        let chunk = Chunk::new(1, 0);
        for handle in 0..2000 {
            assert_eq!(chunk.append(&record(handle, 1 << (handle % 15)), handle % 2 == 0), handle as usize);
        }
        assert!((0..2000).all(|h| chunk.record(h as usize) == record(h, 1 << (h % 15))));
        chunk.rewrite(700, &record(700, 0b110));
        assert_eq!(chunk.record(700), record(700, 0b110));
        chunk.leave(701);
        assert!(!chunk.bit(PRESENT, 701) && chunk.kept() == 1999);
        let order: Vec<(u16, u16)> = (0..2000).rev().filter(|at| *at != 701).map(|at| (0, at)).collect();
        let gathered = Chunk::gathered(1, 1, &[&chunk], &order);
        assert_eq!(gathered.used(), 1999);
        for (to, (_, at)) in order.iter().enumerate() {
            assert_eq!(gathered.record(to), chunk.record(usize::from(*at)));
            assert_eq!(gathered.bit(AVAILABLE, to), at % 2 == 0);
        }
    }

    #[test]
    fn a_summary_says_which_lines_have_any() {
        let chunk = Chunk::new(0, 0);
        for handle in 0..1500 {
            chunk.append(&record(handle, 0), true);
        }
        assert_eq!(chunk.summary(AVAILABLE), 0b111);
        (512..1024).for_each(|at| chunk.put(AVAILABLE, at, false));
        assert_eq!(chunk.summary(AVAILABLE), 0b101);
        chunk.put(AVAILABLE, 600, true);
        assert_eq!(chunk.summary(AVAILABLE), 0b111);
    }
}
