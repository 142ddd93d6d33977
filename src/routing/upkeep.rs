//! The one writer of the index: takes in what changed, and lets cooldowns and first
//! ranks end in time. What came out of order and the gaps are `tidy`'s.
//!
//! Promises: a change of availability moves nobody; one of rank, focus or seeking
//! day makes a gap and a new position, at the end where it is the latest day, else
//! in a small overflow.

use super::chunk::Chunk;
use super::kernel;
use super::lanes::Entry;
use super::record::{AVAILABLE, COLUMNS, PRESENT, Record, Row, SKILLS, Standing, ones};
use super::tidy::Making;
use super::world::{NOWHERE, Numbers, World, position};
use crate::domain::ranking;
use crate::domain::region::{Counties, focus_set};
use crate::domain::worker::{Seeker, Tier};
use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::sync::Arc;

/// So many offers ahead a state is asked for.
const AHEAD: usize = 12;

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

    pub fn bytes(self) -> [u8; 2] {
        [self.open, self.flags]
    }

    pub fn of([open, flags]: [u8; 2]) -> Self {
        Self { open, flags }
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

/// Milliseconds since 1970, in as little room as they need.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Ms(pub [u32; 2]);

impl Ms {
    fn of(ms: i64) -> Self {
        let ms = ms.max(0) as u64;
        Self([(ms >> 32) as u32, ms as u32])
    }

    fn get(self) -> i64 {
        (u64::from(self.0[0]) << 32 | u64::from(self.0[1])) as i64
    }
}

/// Whose cooldown, or first rank, ends when.
pub(super) type Ends = HashMap<u32, Ms>;

/// The writer's own books. Whoever holds it is the one writer of the world.
pub struct Upkeep {
    pub(super) world: Arc<World>,
    cap: u32,
    focus: Counties,
    pub(super) now: i64,
    pub(super) states: Vec<State>,
    pub(super) numbers: Numbers,
    pub(super) cooling: Ends,
    pub(super) displaced: Ends,
    pub(super) due: BinaryHeap<Reverse<(Ms, u32)>>,
    pub(super) slots: Vec<Option<Arc<Chunk>>>,
    pub(super) free: Vec<u32>,
    pub(super) making: Option<Making>,
}

impl Upkeep {
    pub fn new(world: Arc<World>, cap: u32, focus: Counties) -> Self {
        Self {
            cap,
            focus,
            now: 0,
            states: Vec::new(),
            numbers: Numbers::of(world.sets.clone()),
            cooling: Ends::new(),
            displaced: Ends::new(),
            due: BinaryHeap::new(),
            slots: Vec::new(),
            free: Vec::new(),
            making: None,
            world,
        }
    }

    /// What its books take in memory.
    pub fn bytes(&self) -> usize {
        self.states.capacity() * size_of::<State>()
            + self.numbers.bytes()
            + self.due.capacity() * size_of::<(Ms, u32)>()
            + (self.cooling.capacity() + self.displaced.capacity()) * size_of::<(u32, Ms)>()
    }

    /// Takes in the present state of a worker.
    pub fn apply(&mut self, w: &Seeker) {
        self.put(Record::of(w), Standing::of(w));
    }

    fn numbered(&mut self, record: Record) -> Record {
        Record { row: record.row.with_skill_set(self.numbers.number(record.skills)), ..record }
    }

    pub(super) fn put(&mut self, record: Record, standing: Standing) {
        let record = self.numbered(record);
        let (handle, place) = (record.row.handle(), self.world.locator.get(record.row.handle()));
        if self.states.len() <= handle as usize {
            self.states.resize(handle as usize + 1, State::default());
        }
        let old = self.states[handle as usize];
        let state = State::new(&standing, self.now);
        self.states[handle as usize] = state;
        self.remember(handle, &standing, old);
        if !standing.consent {
            if place != NOWHERE {
                self.take_out(handle, place);
                self.world.locator.set(handle, NOWHERE);
            }
            return;
        }
        let segment = self.segment(state, record.row);
        let Some(chunk) = self.chunk(place) else { return self.bring_in(segment, &record, state) };
        let at = position(place);
        let row = chunk.row(at);
        if chunk.segment != segment || row.seeking_day() != record.row.seeking_day() {
            self.take_out(handle, place);
            return self.bring_in(segment, &record, state);
        }
        let before = chunk.record(at, &self.world.sets);
        if before != record {
            let (was, is) = (before.bits(), record.bits());
            was.differing(is).for_each(|column| self.world.count(column, is.has(column)));
            chunk.rewrite(at, &before, &record);
            self.touched(&chunk, at);
            self.change_lanes(segment, &before, &record, state.is_available(self.cap));
        }
        if old.is_available(self.cap) != state.is_available(self.cap) {
            self.show(&chunk, at, state);
        }
    }

    /// An offer more for each, or one less.
    pub fn count_offers(&mut self, handles: &[u32], more: bool) {
        for (at, handle) in handles.iter().enumerate() {
            // Each state lies anywhere in memory.
            if let Some(later) = handles.get(at + AHEAD).and_then(|h| self.states.get(*h as usize)) {
                kernel::prefetch(later);
            }
            let Some(state) = self.states.get_mut(*handle as usize) else { continue };
            let before = state.is_available(self.cap);
            state.open = if more { state.open.saturating_add(1) } else { state.open.saturating_sub(1) };
            let state = *state;
            if before != state.is_available(self.cap)
                && let Some((chunk, at)) = self.find(*handle)
            {
                self.show(&chunk, at, state);
            }
        }
    }

    /// When the next cooldown or first rank ends.
    pub fn next_end(&self) -> i64 {
        self.due.peek().map_or(i64::MAX, |Reverse((at, _))| at.get())
    }

    /// Lets time pass.
    pub fn advance(&mut self, now: i64) {
        self.now = self.now.max(now);
        while let Some(Reverse((at, handle))) = self.due.peek().copied()
            && at.get() <= self.now
        {
            self.due.pop();
            let now = self.now;
            let holds = |ends: &mut Ends| {
                let holds = ends.get(&handle).is_some_and(|at| at.get() > now);
                if !holds {
                    ends.remove(&handle);
                }
                holds
            };
            let (cooling, displaced) = (holds(&mut self.cooling), holds(&mut self.displaced));
            let old = self.states[handle as usize];
            let state = old.with(COOLING, cooling).with(DISPLACED, displaced);
            self.states[handle as usize] = state;
            let Some((chunk, at)) = self.find(handle) else { continue };
            if state.rank() != old.rank() {
                let record = chunk.record(at, &self.world.sets);
                self.take_out(handle, self.world.locator.get(handle));
                self.bring_in(self.segment(state, record.row), &record, state);
            } else if state.is_available(self.cap) != old.is_available(self.cap) {
                self.show(&chunk, at, state);
            }
        }
    }

    /// Notes when somebody's cooldown and first rank end; `old` says whether either was
    /// noted before.
    fn remember(&mut self, handle: u32, s: &Standing, old: State) {
        let noted = [(s.cooling_until, COOLING, &mut self.cooling), (s.displaced_until, DISPLACED, &mut self.displaced)];
        for (until, flag, ends) in noted {
            if until > self.now {
                if ends.insert(handle, Ms::of(until)) != Some(Ms::of(until)) {
                    self.due.push(Reverse((Ms::of(until), handle)));
                }
            } else if old.flags & flag != 0 {
                ends.remove(&handle);
            }
        }
    }

    fn segment(&self, state: State, row: Row) -> u8 {
        (ranking::static_key(state.rank(), self.focus.has(row.home()), 0) >> 13) as u8
    }

    pub(super) fn chunk(&self, place: u32) -> Option<Arc<Chunk>> {
        self.slots.get((place >> 15) as usize)?.clone()
    }

    fn find(&self, handle: u32) -> Option<(Arc<Chunk>, usize)> {
        let place = self.world.locator.get(handle);
        Some((self.chunk(place)?, position(place)))
    }

    fn show(&mut self, chunk: &Chunk, at: usize, state: State) {
        let on = state.is_available(self.cap);
        chunk.put(AVAILABLE, at, on);
        self.touched(chunk, at);
        self.world.count(AVAILABLE, on);
        let row = chunk.row(at);
        let lanes = &self.world.segments[usize::from(chunk.segment)].lanes;
        for key in self.lane_keys(row.home(), self.world.sets.mask(row.skill_set())) {
            lanes.show(key, row.seeking_day(), row.handle(), on);
        }
    }

    fn take_out(&mut self, handle: u32, place: u32) {
        let Some(chunk) = self.chunk(place) else { return };
        let at = position(place);
        let record = chunk.record(at, &self.world.sets);
        for column in record.bits().ones().chain([PRESENT]).chain(chunk.bit(AVAILABLE, at).then_some(AVAILABLE)) {
            self.world.count(column, false);
        }
        chunk.leave(at);
        self.touched(&chunk, at);
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
        let entry = entry(record, available);
        self.lane_keys(record.row.home(), record.skills).for_each(|key| lanes.add(key, entry));
    }

    /// The lanes that somebody of this home and these skills stands in.
    fn lane_keys(&self, home: u16, skills: u64) -> impl Iterator<Item = usize> + use<> {
        let first = self.world.skill_lane(0);
        ones(skills).map(move |skill| first + skill).chain([usize::from(home)])
    }

    /// Somebody who stays at their position has another home, other skills, other
    /// wishes.
    fn change_lanes(&self, segment: u8, before: &Record, after: &Record, available: bool) {
        let lanes = &self.world.segments[usize::from(segment)].lanes;
        let (day, handle, entry) = (after.row.seeking_day(), after.row.handle(), entry(after, available));
        let moved = before.row.home() != after.row.home();
        for key in self.lane_keys(before.row.home(), before.skills & !after.skills) {
            if moved || key >= self.world.skill_lane(0) {
                lanes.erase(key, day, handle);
            }
        }
        let kept = |key: usize| match key.checked_sub(self.world.skill_lane(0)) {
            Some(skill) => before.skills >> skill & 1 == 1,
            None => !moved,
        };
        for key in self.lane_keys(after.row.home(), after.skills) {
            if kept(key) {
                lanes.change(key, entry);
            } else {
                lanes.add(key, entry);
            }
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
        if let Some(last) = list.load().last().filter(|last| !last.is_full() && !self.is_made_anew(last)) {
            return last.clone();
        }
        let fresh = Arc::new(Chunk::new(segment, self.fresh_number()));
        self.enter(&fresh);
        let mut all = list.load().as_ref().clone();
        all.push(fresh.clone());
        list.store(Arc::new(all));
        fresh
    }

    pub(super) fn fresh_number(&mut self) -> u32 {
        self.free.pop().unwrap_or_else(|| {
            self.slots.push(None);
            self.slots.len() as u32 - 1
        })
    }

    /// Lets a chunk be found by its number.
    pub(super) fn enter(&mut self, chunk: &Arc<Chunk>) {
        self.slots[chunk.number as usize] = Some(chunk.clone());
        self.world.slots.store(Arc::new(self.slots.clone()));
    }

    pub(super) fn retire(&mut self, chunk: &Chunk) {
        self.slots[chunk.number as usize] = None;
        self.free.push(chunk.number);
        self.world.slots.store(Arc::new(self.slots.clone()));
    }

    /// Fills an empty world: the people of each segment in the order of their days.
    pub fn fill(&mut self, mut people: Vec<(Record, Standing)>) {
        people.retain(|(_, standing)| standing.consent);
        let most = people.iter().map(|(r, _)| r.row.handle() as usize + 1).max().unwrap_or(0);
        let fresh = most.saturating_sub(self.states.len());
        self.states.reserve_exact(fresh);
        self.states.resize(most.max(self.states.len()), State::default());
        people.sort_unstable_by_key(|(r, standing)| {
            let segment = self.segment(State::new(standing, self.now), r.row);
            u64::from(segment) << 45 | u64::from(r.row.seeking_day()) << 32 | u64::from(r.row.handle())
        });
        let keys = self.world.skill_lane(SKILLS);
        let mut lanes: Vec<Vec<Entry>> = vec![Vec::new(); keys];
        let mut columns = vec![0usize; COLUMNS];
        let mut filled = None;
        for (record, standing) in people {
            let (record, state) = (self.numbered(record), State::new(&standing, self.now));
            let row = record.row;
            self.states[row.handle() as usize] = state;
            self.remember(row.handle(), &standing, State::default());
            let (segment, available) = (self.segment(state, row), state.is_available(self.cap));
            if filled.is_some_and(|filled| filled != segment) {
                filled.into_iter().for_each(|filled| self.fill_lanes(filled, &mut lanes));
            }
            filled = Some(segment);
            let chunk = self.room(segment, row.seeking_day());
            let at = chunk.append(&record, available);
            record.bits().ones().for_each(|column| columns[column] += 1);
            columns[PRESENT] += 1;
            columns[AVAILABLE] += usize::from(available);
            self.world.locator.set(row.handle(), chunk.place(at));
            let entry = entry(&record, available);
            self.lane_keys(row.home(), record.skills).for_each(|key| lanes[key].push(entry));
        }
        filled.into_iter().for_each(|filled| self.fill_lanes(filled, &mut lanes));
        self.due.shrink_to_fit();
        columns.into_iter().enumerate().for_each(|(column, n)| self.world.count_many(column, n));
    }

    fn fill_lanes(&self, segment: u8, lanes: &mut [Vec<Entry>]) {
        for (key, entries) in lanes.iter_mut().enumerate().filter(|(_, entries)| !entries.is_empty()) {
            self.world.segments[usize::from(segment)].lanes.fill(key, entries);
            entries.clear();
        }
    }
}

/// How somebody stands in their lanes.
fn entry(record: &Record, available: bool) -> Entry {
    Entry { day: record.row.seeking_day(), handle: record.row.handle(), bits: record.lane_bits(available) }
}

/// The counties of the sets whose people come first.
pub fn focus_counties(sets: &[String]) -> Counties {
    let mut out = Counties::default();
    for set in sets.iter().filter_map(|name| focus_set(name)) {
        out.extend(set.counties().iter().copied());
    }
    out
}
