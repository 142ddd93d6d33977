//! Tidying up of the index, by its one writer, in steps that take less than a
//! millisecond: merges what came out of order and closes gaps.
//!
//! Promises: a chunk is made anew aside while searches and changes go on, and put in
//! its place whole; what changed meanwhile is carried over before that.

use super::chunk::{Chunk, POSITIONS};
use super::record::{AVAILABLE, COLUMNS, PRESENT};
use super::upkeep::Upkeep;
use std::sync::Arc;

/// An overflow with so many positions is merged, a chunk at a time.
const OVERFLOW_MOST: usize = 24_000;
/// A chunk with so many positions is closed up,
const SPARSE_FROM: usize = 4096;
/// once fewer than this share of them hold somebody.
const KEPT_LEAST: f64 = 0.75;
/// Chunks are made anew with this much room for who comes out of order.
const FILL: usize = POSITIONS * 7 / 8;
/// Columns that are copied in one step.
const COLUMNS_OF_STEP: usize = 12;

/// A chunk under way to be made anew, without its gaps and with some of an
/// overflow's people; what is too much for one becomes several.
pub(super) struct Making {
    segment: u8,
    /// The chunk, then the overflow if there is one.
    sources: Vec<Arc<Chunk>>,
    fresh: Vec<Piece>,
    /// Columns copied so far, of all pieces.
    columns: usize,
    /// Positions of the sources that changed since their rows were copied.
    touched: Vec<(u8, u16)>,
}

struct Piece {
    chunk: Arc<Chunk>,
    /// For each source, where its positions went; [`POSITIONS`] or more for nowhere.
    moved: Vec<Vec<u16>>,
}

impl Upkeep {
    /// Remembers that a position changed, where its chunk is being made anew.
    pub(super) fn touched(&mut self, chunk: &Chunk, at: usize) {
        if let Some(making) = &mut self.making
            && let Some(source) = making.sources.iter().position(|s| s.number == chunk.number)
        {
            making.touched.push((source as u8, at as u16));
        }
    }

    /// Nobody is added to a chunk that is being made anew.
    pub(super) fn is_made_anew(&self, chunk: &Chunk) -> bool {
        self.making.as_ref().is_some_and(|making| making.sources[0].number == chunk.number)
    }

    /// One step; false where there is nothing to do.
    pub fn tidy(&mut self) -> bool {
        match self.making.take() {
            Some(making) if making.columns < COLUMNS => self.go_on(making),
            Some(making) => self.put_in_place(making),
            None => return self.begin(),
        }
        true
    }

    /// Merges and closes up everything there is, whatever it costs.
    #[cfg(test)]
    pub fn tidy_all(&mut self) {
        self.finish();
        for segment in 0..super::world::SEGMENTS as u8 {
            let of = |upkeep: &Self| upkeep.world.segments[usize::from(segment)].chunks.load().len();
            while let Some(first) = self.world.segments[usize::from(segment)].overflow.load_full().first() {
                self.merge_some(segment, first);
                self.finish();
            }
            for at in (0..of(self)).rev() {
                self.make_anew(segment, at, None, Vec::new());
                self.finish();
            }
        }
    }

    #[cfg(test)]
    fn finish(&mut self) {
        while self.making.is_some() {
            self.tidy();
        }
    }

    /// Goes on with what is under way, else begins with some chunk, however little
    /// there is to merge or close up.
    #[cfg(test)]
    pub fn tidy_somewhere(&mut self, n: usize) {
        if self.making.is_some() {
            self.tidy();
            return;
        }
        let segment = (n % super::world::SEGMENTS) as u8;
        let place = &self.world.clone().segments[usize::from(segment)];
        match place.overflow.load_full().first() {
            Some(first) if n.is_multiple_of(3) => self.merge_some(segment, first),
            _ => {
                let chunks = place.chunks.load().len();
                if chunks > 0 {
                    self.make_anew(segment, n % chunks, None, Vec::new());
                }
            }
        }
    }

    fn begin(&mut self) -> bool {
        let world = self.world.clone();
        for (segment, place) in (0u8..).zip(&world.segments) {
            let overflow = place.overflow.load_full();
            if let Some(first) = overflow.first().filter(|o| o.used() >= OVERFLOW_MOST) {
                self.merge_some(segment, first);
                return true;
            }
            let chunks = place.chunks.load_full();
            let sparse = |c: &Arc<Chunk>| c.used() >= SPARSE_FROM && (c.kept() as f64) < KEPT_LEAST * c.used() as f64;
            if let Some(at) = chunks.iter().position(sparse) {
                self.make_anew(segment, at, None, Vec::new());
                return true;
            }
        }
        false
    }

    /// Merges those of an overflow who belong into its first day's chunk.
    fn merge_some(&mut self, segment: u8, overflow: &Arc<Chunk>) {
        let place = &self.world.clone().segments[usize::from(segment)];
        let mut waiting: Vec<(u16, u16)> =
            (0..overflow.used()).filter(|at| overflow.bit(PRESENT, *at)).map(|at| (overflow.row(at).seeking_day(), at as u16)).collect();
        waiting.sort_unstable();
        let Some((day, _)) = waiting.first().copied() else {
            let mut rest = place.overflow.load().as_ref().clone();
            rest.retain(|c| !Arc::ptr_eq(c, overflow));
            place.overflow.store(Arc::new(rest));
            self.retire(overflow);
            return;
        };
        let chunks = place.chunks.load_full();
        // The last chunk that begins by this day, or the first; then all up to where
        // the next one begins.
        let target = chunks.partition_point(|c| c.first_day() <= day).saturating_sub(1);
        let next = chunks.get(target + 1).map_or(u16::MAX, |c| c.first_day());
        waiting.retain(|(day, _)| *day < next);
        self.make_anew(segment, target, Some(overflow), waiting);
    }

    /// Begins to make a chunk anew: decides who stands where, and copies their rows.
    fn make_anew(&mut self, segment: u8, at: usize, overflow: Option<&Arc<Chunk>>, joining: Vec<(u16, u16)>) {
        let chunks = self.world.segments[usize::from(segment)].chunks.load_full();
        let old = chunks[at].clone();
        let mut order: Vec<(u16, u8, u16)> =
            (0..old.used()).filter(|p| old.bit(PRESENT, *p)).map(|p| (old.row(p).seeking_day(), 0, p as u16)).collect();
        if !joining.is_empty() {
            order.extend(joining.iter().map(|(day, p)| (*day, 1, *p)));
            order.sort_by_key(|(day, source, _)| (*day, *source));
        }
        let from: Vec<(u8, u16)> = order.into_iter().map(|(_, source, p)| (source, p)).collect();
        let sources: Vec<Arc<Chunk>> = [Some(&old), overflow].into_iter().flatten().cloned().collect();
        let read: Vec<&Chunk> = sources.iter().map(Arc::as_ref).collect();
        let pieces = if from.len() <= POSITIONS { 1 } else { from.len().div_ceil(FILL) };
        let mut fresh = Vec::with_capacity(pieces);
        // A segment that has an overflow keeps one chunk, be it empty, to merge it into.
        let nobody = (from.is_empty() && chunks.len() == 1).then_some(&from[..]);
        for part in from.chunks(from.len().div_ceil(pieces).max(1)).chain(nobody) {
            let chunk = Arc::new(Chunk::of_rows(segment, self.fresh_number(), &read, part));
            let mut moved = vec![vec![u16::MAX; POSITIONS]; sources.len()];
            part.iter().enumerate().for_each(|(to, (source, at))| moved[usize::from(*source)][usize::from(*at)] = to as u16);
            fresh.push(Piece { chunk, moved });
        }
        self.making = Some(Making { segment, sources, fresh, columns: 0, touched: Vec::new() });
    }

    /// Copies some columns.
    fn go_on(&mut self, mut making: Making) {
        let upto = COLUMNS.min(making.columns + COLUMNS_OF_STEP);
        for Piece { chunk, moved } in &making.fresh {
            for (source, moved) in making.sources.iter().zip(moved) {
                (making.columns..upto).for_each(|column| chunk.gather(column, source, moved));
            }
        }
        making.columns = upto;
        self.making = Some(making);
    }

    /// Carries over what changed meanwhile, and lets searches find what was made.
    fn put_in_place(&mut self, making: Making) {
        let Making { segment, sources, fresh, touched, .. } = making;
        for (source, at) in touched {
            let (old, at) = (&sources[usize::from(source)], usize::from(at));
            for Piece { chunk, moved } in &fresh {
                let to = usize::from(moved[usize::from(source)][at]);
                if to < POSITIONS {
                    chunk.overwrite(to, &old.record(at, &self.world.sets));
                    [PRESENT, AVAILABLE].into_iter().for_each(|column| chunk.put(column, to, old.bit(column, at)));
                }
            }
        }
        for Piece { chunk, moved } in &fresh {
            chunk.count_gone();
            self.enter(chunk);
            for to in (0..chunk.used()).filter(|to| chunk.bit(PRESENT, *to)) {
                self.world.locator.set(chunk.row(to).handle(), chunk.place(to));
            }
            if let (Some(overflow), Some(moved)) = (sources.get(1), moved.get(1)) {
                let joined = moved.iter().enumerate().filter(|(_, to)| usize::from(**to) < POSITIONS).map(|(at, _)| at);
                joined.filter(|at| overflow.bit(PRESENT, *at)).for_each(|at| overflow.leave(at));
            }
        }
        let place = &self.world.segments[usize::from(segment)];
        let mut chunks = place.chunks.load().as_ref().clone();
        if let Some(at) = chunks.iter().position(|c| Arc::ptr_eq(c, &sources[0])) {
            chunks.splice(at..=at, fresh.into_iter().map(|piece| piece.chunk));
        }
        place.chunks.store(Arc::new(chunks));
        self.retire(&sources[0]);
    }
}
