//! The one writer of the index: takes in what changed, lets cooldowns and first
//! ranks end in time, merges what came out of order and closes gaps.
//!
//! Promises: a change of availability moves nobody; one of rank, focus or seeking
//! day makes a gap and a new position, at the end where it is the latest day, else
//! in a small overflow. A chunk is made anew aside and put in its place whole.

use super::chunk::{Chunk, POSITIONS};
use super::lanes::Entry;
use super::record::{AVAILABLE, COLUMNS, LaneKind, PRESENT, Record, Row, SHOWN, SKILL, Standing, ones};
use super::world::{NOWHERE, SEGMENTS, World, position};
use crate::domain::ranking;
use crate::domain::region::{Counties, focus_set};
use crate::domain::worker::{Seeker, Tier};
use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::sync::Arc;

/// An overflow with so many positions is merged, a chunk for each step.
const OVERFLOW_MOST: usize = 24_000;
/// A chunk with so many positions is closed up,
const SPARSE_FROM: usize = 4096;
/// once fewer than this share of them hold somebody.
const KEPT_LEAST: f64 = 0.75;
/// A skill has lanes while fewer than one in so many hold it,
const RARE_MOST: usize = 160;
/// or no more than so many.
const RARE_FLOOR: usize = 2048;
/// Chunks are made anew with this much room for who comes out of order.
const FILL: usize = POSITIONS * 7 / 8;

/// What the writer alone knows of a worker: two bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct State {
    open: u8,
    flags: u8,
}

const PAUSED: u8 = 1;
const LOOKING: u8 = 2;
const COOLING: u8 = 4;
const DISPLACED: u8 = 8;
const TIER_AT: u8 = 4;

impl State {
    fn new(s: &Standing, now: i64) -> Self {
        let flag = |on: bool, mask: u8| if on { mask } else { 0 };
        let flags = flag(s.paused, PAUSED)
            | flag(s.looking, LOOKING)
            | flag(s.cooling_until > now, COOLING)
            | flag(s.displaced_until > now, DISPLACED)
            | (s.tier as u8) << TIER_AT;
        Self { open: s.open_offers.min(u32::from(u8::MAX)) as u8, flags }
    }

    fn is_available(self, cap: u32) -> bool {
        self.flags & (PAUSED | LOOKING | COOLING) == LOOKING && u32::from(self.open) < cap
    }

    fn rank(self) -> u8 {
        if self.flags & DISPLACED != 0 { 0 } else { 1 + (self.flags >> TIER_AT).min(Tier::ALL.len() as u8 - 1) }
    }

    fn with(self, mask: u8, on: bool) -> Self {
        Self { flags: if on { self.flags | mask } else { self.flags & !mask }, ..self }
    }
}

/// When somebody's cooldown or first rank ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Ends {
    cooling: i64,
    displaced: i64,
}

/// The writer's own books. Whoever holds it is the one writer of the world.
pub struct Upkeep {
    world: Arc<World>,
    cap: u32,
    focus: Counties,
    now: i64,
    states: Vec<State>,
    ends: HashMap<u32, Ends>,
    due: BinaryHeap<Reverse<(i64, u32)>>,
    slots: Vec<Option<Arc<Chunk>>>,
    free: Vec<u32>,
}

impl Upkeep {
    pub fn new(world: Arc<World>, cap: u32, focus: Counties) -> Self {
        Self {
            world,
            cap,
            focus,
            now: 0,
            states: Vec::new(),
            ends: HashMap::new(),
            due: BinaryHeap::new(),
            slots: Vec::new(),
            free: Vec::new(),
        }
    }

    /// What its books take in memory.
    pub fn bytes(&self) -> usize {
        self.states.capacity() * size_of::<State>()
            + self.due.capacity() * size_of::<(i64, u32)>()
            + self.ends.capacity() * size_of::<(u32, Ends)>()
    }

    /// Takes in the present state of a worker.
    pub fn apply(&mut self, w: &Seeker) {
        self.put(Record::of(w), Standing::of(w));
    }

    pub(super) fn put(&mut self, record: Record, standing: Standing) {
        let (handle, place) = (record.row.handle(), self.world.locator.get(record.row.handle()));
        if self.states.len() <= handle as usize {
            self.states.resize(handle as usize + 1, State::default());
        }
        let old = self.states[handle as usize];
        let state = State::new(&standing, self.now);
        self.states[handle as usize] = state;
        self.remember(handle, &standing);
        if !standing.consent {
            if place != NOWHERE {
                self.take_out(handle, place);
                self.world.locator.set(handle, NOWHERE);
            }
            return;
        }
        let segment = self.segment(state, record.row);
        let Some(chunk) = self.chunk(place) else { return self.bring_in(segment, &record, state) };
        let (at, row) = (position(place), chunk.row(position(place)));
        if chunk.segment != segment || row.seeking_day() != record.row.seeking_day() {
            self.take_out(handle, place);
            return self.bring_in(segment, &record, state);
        }
        if row != record.row || chunk.bits(at) != record.bits() {
            for column in chunk.bits(at).differing(record.bits()) {
                self.world.count(column, !chunk.bit(column, at));
            }
            let chunk_skills = chunk.bits(at).skills();
            chunk.rewrite(at, &record);
            self.change_lanes(segment, row.home(), chunk_skills, &record, state.is_available(self.cap));
        }
        if old.is_available(self.cap) != state.is_available(self.cap) {
            self.show(&chunk, at, state);
        }
    }

    /// An offer more, or one less.
    pub fn count_offer(&mut self, handle: u32, more: bool) {
        let Some(state) = self.states.get_mut(handle as usize) else { return };
        let before = state.is_available(self.cap);
        state.open = if more { state.open.saturating_add(1) } else { state.open.saturating_sub(1) };
        let state = *state;
        if before != state.is_available(self.cap)
            && let Some((chunk, at)) = self.find(handle)
        {
            self.show(&chunk, at, state);
        }
    }

    /// When the next cooldown or first rank ends.
    pub fn next_end(&self) -> i64 {
        self.due.peek().map_or(i64::MAX, |Reverse((at, _))| *at)
    }

    /// Lets time pass.
    pub fn advance(&mut self, now: i64) {
        self.now = self.now.max(now);
        while let Some(Reverse((at, handle))) = self.due.peek().copied()
            && at <= self.now
        {
            self.due.pop();
            let Some(ends) = self.ends.get(&handle).copied() else { continue };
            let old = self.states[handle as usize];
            let state = old.with(COOLING, ends.cooling > self.now).with(DISPLACED, ends.displaced > self.now);
            self.states[handle as usize] = state;
            if ends.cooling <= self.now && ends.displaced <= self.now {
                self.ends.remove(&handle);
            }
            let Some((chunk, at)) = self.find(handle) else { continue };
            if state.rank() != old.rank() {
                let record = chunk.record(at);
                self.take_out(handle, self.world.locator.get(handle));
                self.bring_in(self.segment(state, record.row), &record, state);
            } else if state.is_available(self.cap) != old.is_available(self.cap) {
                self.show(&chunk, at, state);
            }
        }
    }

    fn remember(&mut self, handle: u32, s: &Standing) {
        let ends = Ends { cooling: s.cooling_until, displaced: s.displaced_until };
        let known = self.ends.get(&handle).copied().unwrap_or_default();
        if ends.cooling <= self.now && ends.displaced <= self.now {
            self.ends.remove(&handle);
            return;
        }
        for (at, before) in [(ends.cooling, known.cooling), (ends.displaced, known.displaced)] {
            if at > self.now && at != before {
                self.due.push(Reverse((at, handle)));
            }
        }
        self.ends.insert(handle, ends);
    }

    fn segment(&self, state: State, row: Row) -> u8 {
        (ranking::static_key(state.rank(), self.focus.has(row.home()), 0) >> 13) as u8
    }

    fn chunk(&self, place: u32) -> Option<Arc<Chunk>> {
        self.slots.get((place >> 15) as usize)?.clone()
    }

    fn find(&self, handle: u32) -> Option<(Arc<Chunk>, usize)> {
        let place = self.world.locator.get(handle);
        Some((self.chunk(place)?, position(place)))
    }

    fn show(&self, chunk: &Chunk, at: usize, state: State) {
        let on = state.is_available(self.cap);
        chunk.put(AVAILABLE, at, on);
        self.world.count(AVAILABLE, on);
        let row = chunk.row(at);
        let lanes = &self.world.segments[usize::from(chunk.segment)].lanes;
        lanes.mark(usize::from(row.home()), row.seeking_day(), row.handle(), SHOWN, on);
    }

    fn take_out(&mut self, handle: u32, place: u32) {
        let Some(chunk) = self.chunk(place) else { return };
        let at = position(place);
        let record = chunk.record(at);
        for column in chunk.bits(at).ones().chain([PRESENT]).chain(chunk.bit(AVAILABLE, at).then_some(AVAILABLE)) {
            self.world.count(column, false);
        }
        chunk.leave(at);
        let lanes = &self.world.segments[usize::from(chunk.segment)].lanes;
        self.lane_keys(record.row.home(), record.skills).for_each(|key| lanes.erase(key, record.row.seeking_day(), handle));
    }

    fn bring_in(&mut self, segment: u8, record: &Record, state: State) {
        let chunk = self.room(segment, record.row.seeking_day());
        let available = state.is_available(self.cap);
        for column in record.bits().ones().chain([PRESENT]).chain(available.then_some(AVAILABLE)) {
            self.world.count(column, true);
        }
        let at = chunk.append(record, available);
        self.world.locator.set(record.row.handle(), chunk.place(at));
        let lanes = &self.world.segments[usize::from(segment)].lanes;
        self.lane_keys(record.row.home(), record.skills).for_each(|key| lanes.add(key, self.entry(record, key, available)));
    }

    /// The lanes that somebody of this home and these skills stands in.
    fn lane_keys(&self, home: u16, skills: u64) -> impl Iterator<Item = usize> + use<> {
        let (rare, first) = (skills & self.world.rare_skills(), self.world.skill_lane(0));
        ones(rare).map(move |skill| first + skill).chain([usize::from(home)])
    }

    fn entry(&self, record: &Record, key: usize, available: bool) -> Entry {
        let kind = if key < self.world.skill_lane(0) { LaneKind::County } else { LaneKind::Skill };
        Entry { day: record.row.seeking_day(), handle: record.row.handle(), sifted: record.sifted(kind, available) }
    }

    /// Somebody who stays at their position has another home, other skills, other
    /// wishes.
    fn change_lanes(&self, segment: u8, home: u16, skills: u64, record: &Record, available: bool) {
        let lanes = &self.world.segments[usize::from(segment)].lanes;
        let (day, handle) = (record.row.seeking_day(), record.row.handle());
        let before: Vec<usize> = self.lane_keys(home, skills).collect();
        let after: Vec<usize> = self.lane_keys(record.row.home(), record.skills).collect();
        before.iter().filter(|key| !after.contains(key)).for_each(|key| lanes.erase(*key, day, handle));
        for key in after {
            let entry = self.entry(record, key, available);
            if before.contains(&key) {
                lanes.change(key, entry);
            } else {
                lanes.add(key, entry);
            }
        }
    }

    /// Takes lanes from skills that are no longer rare.
    fn tend_rare(&self) {
        let world = &self.world;
        let common = |skill: &usize| world.population(SKILL + skill) > RARE_FLOOR.max(world.people() / RARE_MOST);
        for skill in ones(world.rare_skills()).filter(common) {
            world.set_rare_skills(world.rare_skills() & !(1 << skill));
            world.segments.iter().for_each(|s| s.lanes.remove(world.skill_lane(skill)));
        }
    }

    /// A chunk with a free position for this day: the last one of the segment, or
    /// an overflow.
    fn room(&mut self, segment: u8, day: u16) -> Arc<Chunk> {
        let world = self.world.clone();
        let place = &world.segments[usize::from(segment)];
        let chunks = place.chunks.load();
        let in_order = chunks.last().is_none_or(|last| last.last_day() <= day);
        let list = if in_order { &place.chunks } else { &place.overflow };
        if let Some(last) = list.load().last().filter(|last| !last.is_full()) {
            return last.clone();
        }
        let fresh = Arc::new(Chunk::new(segment, self.fresh_number()));
        self.enter(&fresh);
        let mut all = list.load().as_ref().clone();
        all.push(fresh.clone());
        list.store(Arc::new(all));
        fresh
    }

    fn fresh_number(&mut self) -> u32 {
        self.free.pop().unwrap_or_else(|| {
            self.slots.push(None);
            self.slots.len() as u32 - 1
        })
    }

    /// Lets a chunk be found by its number.
    fn enter(&mut self, chunk: &Arc<Chunk>) {
        self.slots[chunk.number as usize] = Some(chunk.clone());
        self.world.slots.store(Arc::new(self.slots.clone()));
    }

    fn retire(&mut self, chunk: &Chunk) {
        self.slots[chunk.number as usize] = None;
        self.free.push(chunk.number);
        self.world.slots.store(Arc::new(self.slots.clone()));
    }

    /// One step of tidying up, of one chunk; false where there is nothing to do.
    pub fn tidy(&mut self) -> bool {
        let world = self.world.clone();
        self.tend_rare();
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

    /// Merges and closes up everything there is, whatever it costs.
    #[cfg(test)]
    pub fn tidy_all(&mut self) {
        let world = self.world.clone();
        for (segment, place) in (0u8..).zip(&world.segments) {
            while let Some(first) = place.overflow.load_full().first() {
                self.merge_some(segment, first);
            }
            (0..place.chunks.load().len()).rev().for_each(|at| self.make_anew(segment, at, None, Vec::new()));
        }
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

    /// Makes a chunk anew without its gaps and with some of an overflow's people;
    /// what is too much for one becomes several.
    fn make_anew(&mut self, segment: u8, at: usize, overflow: Option<&Arc<Chunk>>, joining: Vec<(u16, u16)>) {
        let place = &self.world.clone().segments[usize::from(segment)];
        let mut chunks = place.chunks.load().as_ref().clone();
        let old = chunks[at].clone();
        let mut order: Vec<(u16, u16, u16)> =
            (0..old.used()).filter(|p| old.bit(PRESENT, *p)).map(|p| (old.row(p).seeking_day(), 0, p as u16)).collect();
        order.extend(joining.iter().map(|(day, p)| (*day, 1, *p)));
        order.sort_by_key(|(day, source, _)| (*day, *source));
        let from: Vec<(u16, u16)> = order.into_iter().map(|(_, source, p)| (source, p)).collect();
        let sources: Vec<&Chunk> = [Some(&old), overflow].into_iter().flatten().map(Arc::as_ref).collect();
        let pieces = if from.len() <= POSITIONS { 1 } else { from.len().div_ceil(FILL) };
        let mut fresh = Vec::with_capacity(pieces);
        for part in from.chunks(from.len().div_ceil(pieces).max(1)) {
            let made = Arc::new(Chunk::gathered(segment, self.fresh_number(), &sources, part));
            self.enter(&made);
            (0..made.used()).for_each(|to| self.world.locator.set(made.row(to).handle(), made.place(to)));
            fresh.push(made);
        }
        chunks.splice(at..=at, fresh);
        place.chunks.store(Arc::new(chunks));
        if let Some(overflow) = overflow {
            joining.iter().for_each(|(_, p)| overflow.leave(usize::from(*p)));
        }
        self.retire(&old);
    }

    /// Fills an empty world: the people of each segment in the order of their days.
    pub fn fill(&mut self, mut people: Vec<(Record, Standing)>) {
        people.retain(|(_, standing)| standing.consent);
        let most = people.iter().map(|(r, _)| r.row.handle() as usize + 1).max().unwrap_or(0);
        self.states.resize(most.max(self.states.len()), State::default());
        people.sort_unstable_by_key(|(r, standing)| {
            let segment = self.segment(State::new(standing, self.now), r.row);
            u64::from(segment) << 45 | u64::from(r.row.seeking_day()) << 32 | u64::from(r.row.handle())
        });
        let mut held = [0usize; 64];
        people.iter().flat_map(|(r, _)| ones(r.skills)).for_each(|skill| held[skill] += 1);
        let rare = |skill: &usize| held[*skill] <= RARE_FLOOR.max(people.len() / RARE_MOST);
        self.world.set_rare_skills((0..64).filter(rare).fold(0, |mask, skill| mask | 1 << skill));
        let keys = self.world.skill_lane(64);
        let mut lanes: Vec<Vec<Entry>> = vec![Vec::new(); SEGMENTS * keys];
        let mut columns = vec![0usize; COLUMNS];
        for (record, standing) in people {
            let (row, state) = (record.row, State::new(&standing, self.now));
            self.states[row.handle() as usize] = state;
            self.remember(row.handle(), &standing);
            let (segment, available) = (self.segment(state, row), state.is_available(self.cap));
            let chunk = self.room(segment, row.seeking_day());
            let at = chunk.append(&record, available);
            record.bits().ones().for_each(|column| columns[column] += 1);
            columns[PRESENT] += 1;
            columns[AVAILABLE] += usize::from(available);
            self.world.locator.set(row.handle(), chunk.place(at));
            let first = usize::from(segment) * keys;
            self.lane_keys(row.home(), record.skills).for_each(|key| lanes[first + key].push(self.entry(&record, key, available)));
        }
        for (at, entries) in lanes.iter().enumerate().filter(|(_, entries)| !entries.is_empty()) {
            self.world.segments[at / keys].lanes.fill(at % keys, entries);
        }
        columns.into_iter().enumerate().for_each(|(column, n)| self.world.count_many(column, n));
    }
}

/// The counties of the sets whose people come first.
pub fn focus_counties(sets: &[String]) -> Counties {
    let mut out = Counties::default();
    for set in sets.iter().filter_map(|name| focus_set(name)) {
        out.extend(set.counties().iter().copied());
    }
    out
}
