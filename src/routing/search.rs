//! The best k of a segmented world, exactly, at a cost that follows k.
//!
//! Segments come in the order of their rank, positions in the order of the seeking
//! day; so once k are found and the next position's static key is above the k-th
//! best's, nobody unseen can be among the best. Three ways lead through a segment:
//! its bit columns, the lanes of the counties that a posting names, or the lane of a
//! skill that it asks for; `lead` chooses.

use super::Of;
use super::chunk::{Chunk, LINES};
use super::kernel::{self, BLOCK, Path};
use super::lanes::{Block, Lane};
use super::plan::{Hit, Lead, Plan};
use super::record::{AVAILABLE, ones};
use super::world::{NOWHERE, SEGMENTS, World, position};
use crate::domain::ranking::POSTING_BITS;
use crate::domain::region::Counties;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Arc;
use std::sync::atomic::{Ordering, fence};

/// Entries that passed are looked at together, so that their jumps in memory overlap.
const JUMPS: usize = 32;

/// What a query needs beside the index, kept from one to the next, so that none
/// allocates once they have grown.
#[derive(Default)]
pub struct Scratch {
    /// The best, in order, once a search is done.
    pub hits: Vec<Hit>,
    line: Vec<Hit>,
    exclude: Vec<u32>,
    cursors: Vec<Cursor>,
    lanes: Vec<Arc<Lane>>,
    order: BinaryHeap<Reverse<(u16, u16)>>,
}

/// How far a lane has been read: some of the sorted part of one of its blocks.
struct Cursor {
    lane: Arc<Lane>,
    number: usize,
    block: Arc<Block>,
    at: usize,
    sorted: usize,
}

impl Cursor {
    /// Nobody who follows began to seek before this day; none where nobody follows.
    #[inline]
    fn day(&self) -> Option<u16> {
        if self.at < self.sorted {
            Some(self.block.day(self.at))
        } else {
            (self.number + 1 < self.lane.blocks()).then(|| self.lane.first_day(self.number + 1))
        }
    }
}

/// How much a search looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// There is nobody beside those found.
    pub exhausted: bool,
    /// Positions, or entries of lanes, that were passed.
    pub passed: usize,
    /// Lines of columns and entries of lanes that were read.
    pub lines: usize,
    pub entries: usize,
    /// Entries that passed and were looked at.
    pub jumps: usize,
}

/// One search under way.
struct Search<'a> {
    world: &'a World,
    slots: arc_swap::Guard<Arc<Vec<Option<Arc<Chunk>>>>>,
    plan: &'a Plan<'a>,
    path: Path,
    /// The columns of lanes.
    lane_columns: ([u8; 20], usize),
    lead: Lead,
    /// Entries that are read of a lane at once.
    run: usize,
    /// Handles that passed and are still to be looked at.
    jumps: [u32; JUMPS],
    waiting: usize,
    k: usize,
    hits: &'a mut Vec<Hit>,
    line: &'a mut Vec<Hit>,
    exclude: &'a [u32],
    cursors: &'a mut Vec<Cursor>,
    /// Those about to be begun.
    lanes: &'a mut Vec<Arc<Lane>>,
    order: &'a mut BinaryHeap<Reverse<(u16, u16)>>,
    /// Keys from here on are not among the best.
    bound: u64,
    /// Somebody suits who is not among the best.
    more: bool,
    /// Who suits is counted, up to `k`, and nothing kept.
    counting: Option<usize>,
    outcome: Outcome,
}

/// Finds the best `k` for a plan; they stand in `scratch.hits`, best first.
pub fn best(world: &World, plan: &Plan<'_>, k: usize, exclude: &[u32], path: Path, scratch: &mut Scratch) -> Outcome {
    scratch.hits.clear();
    if k == 0 || (plan.in_place && plan.homes.is_none()) {
        return Outcome { exhausted: k > 0, ..Outcome::default() };
    }
    let mut search = Search::new(world, plan, k, exclude, path, scratch);
    search.through_all();
    search.trim();
    let Search { hits, more, mut outcome, .. } = search;
    hits.sort_unstable_by_key(|hit| (hit.key, hit.handle));
    outcome.exhausted = !more;
    outcome
}

/// About how many suit a plan: exact below `enough`, above it judged by how far
/// the count came.
pub fn about(world: &World, plan: &Plan<'_>, enough: usize, path: Path, scratch: &mut Scratch) -> u64 {
    scratch.hits.clear();
    if plan.in_place && plan.homes.is_none() {
        return 0;
    }
    let mut search = Search { counting: Some(0), ..Search::new(world, plan, enough.max(1), &[], path, scratch) };
    search.through_all();
    let (counted, passed) = (search.counting.unwrap_or_default() as u64, search.outcome.passed as u64);
    let all = search.length() as u64;
    if counted < enough as u64 { counted } else { counted * all.max(passed) / passed.max(1) }
}

impl<'a> Search<'a> {
    fn new(world: &'a World, plan: &'a Plan<'a>, k: usize, exclude: &[u32], path: Path, scratch: &'a mut Scratch) -> Self {
        let Scratch { hits, line, exclude: sorted, cursors, lanes, order } = scratch;
        sorted.clear();
        sorted.extend_from_slice(exclude);
        sorted.sort_unstable();
        let ((lead, run), slots) = (Lead::of(world, plan), world.slots.load());
        let (bound, more, counting, outcome) = (u64::MAX, false, None, Outcome::default());
        let lane_columns = plan.lane_columns(lead);
        Self {
            world,
            slots,
            plan,
            path,
            lane_columns,
            lead,
            run,
            jumps: [0; JUMPS],
            waiting: 0,
            k,
            hits,
            line,
            exclude: sorted,
            cursors,
            lanes,
            order,
            bound,
            more,
            counting,
            outcome,
        }
    }

    fn through_all(&mut self) {
        for segment in 0..SEGMENTS as u8 {
            // The odd segments hold who is not in focus.
            if self.plan.of == Of::Focus && segment % 2 == 1 {
                continue;
            }
            if self.ends_before(segment, 0) {
                break;
            }
            match self.lead {
                Lead::Columns => self.through_columns(segment),
                Lead::Counties => {
                    let homes = || self.plan.homes.into_iter().flat_map(Counties::leaves).map(usize::from);
                    // All are asked for before the first is read, so that they are
                    // waited for together.
                    let lanes = &self.world.segments[usize::from(segment)].lanes;
                    homes().for_each(|county| lanes.ask_for(county));
                    self.lanes.extend(homes().filter_map(|county| lanes.get(county)));
                    self.lanes.iter().for_each(|lane| lane.ask_for(0));
                    while let Some(lane) = self.lanes.pop() {
                        self.begin(segment, lane);
                    }
                    self.through_lanes(segment);
                }
                Lead::Skill(skill) => {
                    self.open(segment, self.world.skill_lane(skill));
                    self.through_lanes(segment);
                }
            }
            self.jump(segment);
            self.cursors.clear();
        }
    }

    /// What there is to pass.
    fn length(&self) -> usize {
        let (world, homes) = (self.world, self.plan.homes.into_iter().flat_map(Counties::leaves));
        match self.lead {
            Lead::Columns => world.people(),
            Lead::Counties => homes.map(|county| world.lane_people(usize::from(county))).sum(),
            Lead::Skill(skill) => world.lane_people(world.skill_lane(skill)),
        }
    }

    /// Whether nobody of this segment from this day on can be among the best.
    #[inline]
    fn ends_before(&mut self, segment: u8, day: u16) -> bool {
        let fixed = u64::from(segment) << 61 | u64::from(day) << POSTING_BITS;
        let ends = fixed > self.bound;
        self.more |= ends;
        ends
    }

    #[inline]
    fn take(&mut self, hit: Hit) {
        if self.exclude.binary_search(&hit.handle).is_ok() {
            return;
        }
        if let Some(counted) = &mut self.counting {
            *counted += 1;
            if *counted >= self.k {
                // Nothing more is looked at: no key is below.
                self.bound = 0;
            }
            return;
        }
        if hit.key > self.bound {
            self.more = true;
            return;
        }
        self.hits.push(hit);
        let len = self.hits.len();
        if len == self.k {
            self.bound = self.hits.iter().map(|h| h.key).max().unwrap_or(u64::MAX);
        } else if len >= 2 * self.k + 64 {
            self.trim();
        }
    }

    /// Keeps the best k.
    fn trim(&mut self) {
        if self.hits.len() > self.k {
            self.more = true;
            self.hits.select_nth_unstable_by_key(self.k - 1, |hit| (hit.key, hit.handle));
            self.hits.truncate(self.k);
            self.bound = self.hits[self.k - 1].key;
        }
    }

    fn through_columns(&mut self, segment: u8) {
        let place = &self.world.segments[usize::from(segment)];
        // Those of the county of work who go nowhere else stand in no column of its
        // province: their lane is read beside the columns, day by day.
        if let Some(county) = self.plan.work.filter(|c| self.plan.homes.is_none_or(|homes| homes.has(*c))) {
            self.open(segment, usize::from(county));
        }
        if self.plan.in_place || self.plan.province.is_some() {
            for chunk in place.overflow.load().iter() {
                let summary = self.summary(chunk);
                (0..LINES).step_by(BLOCK).for_each(|block| self.lines(chunk, block, summary >> block & ((1 << BLOCK) - 1), segment));
            }
            'chunks: for chunk in place.chunks.load().iter() {
                if self.ends_before(segment, chunk.first_day()) {
                    break;
                }
                self.outcome.passed += chunk.used();
                let summary = self.summary(chunk);
                for block in (0..LINES).step_by(BLOCK) {
                    let rest = summary >> block & ((1 << BLOCK) - 1);
                    if rest == 0 {
                        continue;
                    }
                    let day = chunk.day_of_line(block + rest.trailing_zeros() as usize);
                    self.lane_until(segment, day);
                    if self.ends_before(segment, day) {
                        break 'chunks;
                    }
                    self.lines(chunk, block, rest, segment);
                }
            }
        }
        self.lane_until(segment, u16::MAX);
    }

    #[inline]
    fn summary(&self, chunk: &Chunk) -> u64 {
        self.plan.columns().iter().fold(u64::MAX, |all, column| all & chunk.summary(usize::from(*column)))
    }

    /// Reads the lines of a block that its summary names: few one by one, many as one
    /// run of memory for each column.
    fn lines(&mut self, chunk: &Chunk, block: usize, named: u64, segment: u8) {
        self.outcome.lines += named.count_ones() as usize;
        let (plan, path, found) = (self.plan, self.path, &mut *self.line);
        let mut all = [[0; 8]; BLOCK];
        chunk.consistent(|| {
            found.clear();
            if named.count_ones() > 2 {
                kernel::and_block(path, chunk.lines(), LINES, block, plan.columns(), &mut all);
            } else {
                ones(named).for_each(|line| all[line] = kernel::and(path, chunk.lines(), LINES, block + line, plan.columns()));
            }
            fence(Ordering::Acquire);
            ones(named).for_each(|line| each(&all[line], |at| chunk.prefetch_row((block + line) * 512 + at)));
            ones(named).for_each(|line| {
                each(&all[line], |at| {
                    let row = chunk.row((block + line) * 512 + at);
                    if plan.row_suits(row) {
                        found.push(plan.hit(segment, row));
                    }
                });
            });
        });
        for at in 0..self.line.len() {
            self.take(self.line[at]);
        }
    }

    fn through_lanes(&mut self, segment: u8) {
        self.order.clear();
        for (at, cursor) in self.cursors.iter().enumerate() {
            self.order.extend(cursor.day().map(|day| Reverse((day, at as u16))));
        }
        // The lane whose next day is the earliest goes on.
        while let Some(Reverse((mut day, at))) = self.order.pop() {
            let other = self.order.peek().map_or(u16::MAX, |Reverse((day, _))| *day);
            loop {
                if self.ends_before(segment, day) {
                    return;
                }
                self.go_on(segment, usize::from(at), u16::MAX);
                match self.cursors[usize::from(at)].day() {
                    Some(next) if next <= other => day = next,
                    Some(next) => break self.order.push(Reverse((next, at))),
                    None => break,
                }
            }
        }
    }

    /// Begins a lane.
    fn open(&mut self, segment: u8, key: usize) {
        if let Some(lane) = self.world.segments[usize::from(segment)].lanes.get(key) {
            self.begin(segment, lane);
        }
    }

    fn begin(&mut self, segment: u8, lane: Arc<Lane>) {
        let Some(block) = lane.block(0).map(|block| block.clone()) else { return };
        self.cursors.push(Cursor { lane, number: 0, block, at: 0, sorted: 0 });
        self.open_block(segment, self.cursors.len() - 1);
    }

    /// Begins a block: what stands behind its sorted part is looked at whole.
    fn open_block(&mut self, segment: u8, cursor: usize) {
        let Cursor { lane, number, block, at, sorted } = &mut self.cursors[cursor];
        let (columns, used) = &self.lane_columns;
        lane.ask_ahead(*number, &columns[..*used]);
        let (in_order, len) = block.lengths();
        (*at, *sorted) = (0, in_order);
        let block = block.clone();
        self.entries(segment, &block, in_order..len);
    }

    /// Looks at the one lane's entries before a day, or up to where nobody can be
    /// among the best.
    fn lane_until(&mut self, segment: u8, day: u16) {
        while let Some(next) = self.cursors.first().and_then(Cursor::day) {
            if next >= day || self.ends_before(segment, next) {
                return;
            }
            self.go_on(segment, 0, day);
        }
    }

    /// Some entries of a lane, all before a day, or its next block; somebody follows.
    fn go_on(&mut self, segment: u8, cursor: usize, day: u16) {
        let Cursor { lane, number, block, at, sorted } = &mut self.cursors[cursor];
        if at == sorted {
            *number += 1;
            if let Some(next) = lane.block(*number) {
                *block = next.clone();
            }
            return self.open_block(segment, cursor);
        }
        let most = (*sorted).min(*at + self.run);
        let upto = if day == u16::MAX { most } else { (*at..most).find(|at| block.day(*at) >= day).unwrap_or(most) };
        let (block, from) = (block.clone(), std::mem::replace(at, upto));
        self.entries(segment, &block, from..upto);
    }

    /// Notes those of a block in a range who stand in all columns.
    fn entries(&mut self, segment: u8, block: &Block, range: std::ops::Range<usize>) {
        self.outcome.entries += range.len();
        self.outcome.passed += if self.lead == Lead::Columns { 0 } else { range.len() };
        let (columns, used) = self.lane_columns;
        for word in range.start / 64..range.end.div_ceil(64) {
            let first = word * 64;
            let from = u64::MAX << range.start.saturating_sub(first);
            let upto = u64::MAX >> (first + 64).saturating_sub(range.end);
            for bit in ones(block.and(&columns[..used], word) & from & upto) {
                if self.waiting == JUMPS {
                    self.jump(segment);
                }
                self.jumps[self.waiting] = block.handle(first + bit);
                self.waiting += 1;
                self.outcome.jumps += 1;
            }
        }
    }

    /// Looks at those who passed.
    fn jump(&mut self, segment: u8) {
        let (jumps, n) = (self.jumps, std::mem::take(&mut self.waiting));
        let mut places = [NOWHERE; JUMPS];
        jumps[..n].iter().for_each(|handle| self.world.locator.prefetch(*handle));
        for (place, handle) in places.iter_mut().zip(&jumps[..n]) {
            *place = self.world.locator.get(*handle);
            if let Some(chunk) = self.chunk(*place) {
                let at = position(*place);
                chunk.prefetch_row(at);
                for column in [AVAILABLE, self.plan.category].into_iter().chain(self.plan.province) {
                    kernel::prefetch(&chunk.lines()[column * LINES + at / 512]);
                }
            }
        }
        jumps[..n].iter().zip(places).for_each(|(handle, place)| self.entry(segment, *handle, place));
    }

    fn chunk(&self, place: u32) -> Option<&Chunk> {
        self.slots.get((place >> 15) as usize)?.as_deref()
    }

    fn entry(&mut self, segment: u8, handle: u32, place: u32) {
        let Some(chunk) = self.chunk(place).filter(|c| c.segment == segment) else { return };
        let (at, plan, columns_lead) = (position(place), self.plan, self.lead == Lead::Columns);
        let hit = chunk.consistent(|| {
            let row = chunk.row(at);
            // Beside the columns a lane adds only those who are not in them.
            let seen = columns_lead && plan.province.is_some_and(|p| chunk.bit(p, at));
            let here = !columns_lead || plan.work == Some(row.home());
            (row.handle() == handle && !seen && here && plan.suits(chunk, at, row)).then(|| plan.hit(segment, row))
        });
        if let Some(hit) = hit {
            self.take(hit);
        }
    }
}

/// The bits set of 512.
#[inline]
pub fn each(words: &[u64; 8], mut visit: impl FnMut(usize)) {
    for (at, word) in words.iter().enumerate() {
        ones(*word).for_each(|bit| visit(at * 64 + bit));
    }
}
