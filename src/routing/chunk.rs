//! 32,768 positions of one segment: bit columns with a summary, and a row for each
//! position. Written by one thread, read by many without locks.
//!
//! The protocol: the writer fills a position before it sets its bit in `AVAILABLE`
//! or `PRESENT`; where the attributes of a position change in place it does so in a
//! [`Sequence`], and a reader that met such a change reads the line again. Bits alone
//! (an offer more or less) change no sequence.

use super::kernel::Line;
use super::record::{AVAILABLE, Bits, COLUMNS, ON_SITE, PRESENT, Record, Row, ones};
use super::sequence::Sequence;
use super::snapshot::{Content, Reading, SnapshotFault};
use super::world::SkillSets;
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
    sequence: Sequence<AtomicU32>,
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
            sequence: Sequence::default(),
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
    pub fn consistent<T>(&self, read: impl FnMut() -> T) -> T {
        self.sequence.read(read)
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
    pub fn record(&self, at: usize, sets: &SkillSets) -> Record {
        let (bits, row) = (self.bits(at), self.row(at));
        Record { row, provinces: bits.provinces(), categories: bits.categories(), skills: sets.mask(row.skill_set()) }
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

    /// Changes what stands at a position from `old`, in place; the seeking day stays.
    pub fn rewrite(&self, at: usize, old: &Record, new: &Record) {
        self.sequence.write(|| {
            for column in old.bits().differing(new.bits()) {
                self.put(column, at, new.bits().has(column));
            }
            self.store_row(at, new.row);
        });
    }

    /// Puts a worker at a position that nobody reads yet, whatever stood there.
    pub fn overwrite(&self, at: usize, record: &Record) {
        let bits = record.bits();
        (ON_SITE..COLUMNS).for_each(|column| self.put(column, at, bits.has(column)));
        self.store_row(at, record.row);
    }

    /// Positions with a column's bit.
    pub fn held(&self, column: usize) -> usize {
        let words = self.lines[column * LINES..][..LINES].iter().flat_map(|line| &line.0);
        words.map(|word| word.load(Ordering::Relaxed).count_ones() as usize).sum()
    }

    /// Counts anew whose worker went elsewhere.
    pub fn count_gone(&self) {
        self.gone.store((self.used() - self.held(PRESENT)) as u32, Ordering::Relaxed);
    }

    /// Its positions in use, without the rows of those who went elsewhere.
    pub fn write(&self, to: &mut Content) {
        let used = self.used();
        to.u32s([used as u32].into_iter());
        to.u16s(self.line_day.iter().chain([&self.last_day]).map(|day| day.load(Ordering::Relaxed)));
        for column in self.lines.chunks(LINES) {
            to.u64s(column[..used.div_ceil(512)].iter().flat_map(|line| &line.0).map(|word| word.load(Ordering::Relaxed)));
        }
        let row = |at| if self.bit(PRESENT, at) { self.row(at) } else { Row::default() };
        to.u64s((0..used).map(row).flat_map(|row| [row.a, row.b]));
    }

    /// What [`Chunk::write`] wrote.
    pub fn read(segment: u8, number: u32, from: &mut Reading<'_>) -> Result<Self, SnapshotFault> {
        let (out, used) = (Self::new(segment, number), from.u32()? as usize);
        if used > POSITIONS {
            return Err(SnapshotFault::Damaged("a chunk's length"));
        }
        out.used.store(used as u32, Ordering::Relaxed);
        let days = out.line_day.iter().chain([&out.last_day]);
        days.zip(from.u16s(LINES + 1)?).for_each(|(day, word)| day.store(word, Ordering::Relaxed));
        let lines = used.div_ceil(512);
        for (column, all) in out.lines.chunks(LINES).enumerate() {
            let words = all[..lines].iter().flat_map(|line| &line.0);
            words.zip(from.u64s(lines * 8)?).for_each(|(word, value)| word.store(value, Ordering::Relaxed));
            let any = |line: &Line| line.0.iter().any(|word| word.load(Ordering::Relaxed) != 0);
            let summary = all[..lines].iter().enumerate().filter(|(_, line)| any(line)).fold(0, |summary, (at, _)| summary | 1 << at);
            out.summary[column].store(summary, Ordering::Relaxed);
        }
        let mut rows = from.u64s(used * 2)?;
        for at in 0..used {
            let (a, b) = (rows.next().unwrap_or_default(), rows.next().unwrap_or_default());
            out.store_row(at, Row { a, b });
        }
        out.count_gone();
        Ok(out)
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

    /// A chunk with the rows of some positions of others, in the order given, before
    /// anybody reads it; its columns follow by [`Chunk::gather`]. `from` names chunk
    /// and position; at most [`POSITIONS`] of them.
    pub fn of_rows(segment: u8, number: u32, sources: &[&Chunk], from: &[(u8, u16)]) -> Self {
        let out = Self::new(segment, number);
        for (to, (source, at)) in from.iter().enumerate() {
            let row = sources[usize::from(*source)].row(usize::from(*at));
            out.store_row(to, row);
            if to % 512 == 0 {
                out.line_day[to / 512].store(row.seeking_day(), Ordering::Relaxed);
            }
            out.last_day.store(row.seeking_day(), Ordering::Relaxed);
        }
        out.used.store(from.len() as u32, Ordering::Release);
        out
    }

    /// Copies one column of those positions of `source` that went somewhere: `moved`
    /// says where, [`POSITIONS`] or more for nowhere.
    pub fn gather(&self, column: usize, source: &Chunk, moved: &[u16]) {
        for line in ones(source.summary(column)) {
            for (w, word) in source.lines[column * LINES + line].0.iter().enumerate() {
                for bit in ones(word.load(Ordering::Relaxed)) {
                    let to = usize::from(moved[line * 512 + w * 64 + bit]);
                    if to < POSITIONS {
                        set(&self.lines[column * LINES + to / 512].0[to / 64 % 8], 1 << (to % 64), true);
                        set(&self.summary[column], 1 << (to / 512), true);
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::eligibility::tests::seeker;
    use crate::domain::worker::Seeker;
    use crate::routing::world::Numbers;

    fn record(handle: u32, categories: u32, sets: &mut Numbers) -> Record {
        let record = Record::of(&Seeker { handle, categories, skills: u64::from(handle % 7), ..seeker() });
        Record { row: record.row.with_skill_set(sets.number(record.skills)), ..record }
    }

    #[test]
    fn a_position_gives_back_its_worker_after_every_kind_of_change() {
        let (chunk, mut numbers) = (Chunk::new(1, 0), Numbers::default());
        for handle in 0..2000 {
            assert_eq!(chunk.append(&record(handle, 1 << (handle % 15), &mut numbers), handle % 2 == 0), handle as usize);
        }
        let sets = numbers.sets.clone();
        assert!((0..2000).all(|h| chunk.record(h as usize, &sets) == record(h, 1 << (h % 15), &mut numbers)));
        let (old, new) = (chunk.record(700, &sets), record(700, 0b110, &mut numbers));
        chunk.rewrite(700, &old, &new);
        assert_eq!(chunk.record(700, &sets), new);
        chunk.leave(701);
        assert!(!chunk.bit(PRESENT, 701) && chunk.kept() == 1999);
        let order: Vec<(u8, u16)> = (0..2000).rev().filter(|at| *at != 701).map(|at| (0, at)).collect();
        let gathered = Chunk::of_rows(1, 1, &[&chunk], &order);
        let mut moved = vec![u16::MAX; POSITIONS];
        order.iter().enumerate().for_each(|(to, (_, at))| moved[usize::from(*at)] = to as u16);
        (0..COLUMNS).for_each(|column| gathered.gather(column, &chunk, &moved));
        assert_eq!(gathered.used(), 1999);
        for (to, (_, at)) in order.iter().enumerate() {
            assert_eq!(gathered.record(to, &sets), chunk.record(usize::from(*at), &sets));
            assert_eq!(gathered.bit(AVAILABLE, to), at % 2 == 0);
        }
    }

    #[test]
    fn a_summary_says_which_lines_have_any() {
        let (chunk, mut numbers) = (Chunk::new(0, 0), Numbers::default());
        for handle in 0..1500 {
            chunk.append(&record(handle, 0, &mut numbers), true);
        }
        assert_eq!(chunk.summary(AVAILABLE), 0b111);
        (512..1024).for_each(|at| chunk.put(AVAILABLE, at, false));
        assert_eq!(chunk.summary(AVAILABLE), 0b101);
        chunk.put(AVAILABLE, 600, true);
        assert_eq!(chunk.summary(AVAILABLE), 0b111);
    }
}
