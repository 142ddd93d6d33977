//! The best k of a segmented world, exactly, at a cost that follows k.
//!
//! Segments come in the order of their rank, positions in the order of the seeking
//! day; so once k are found and the next position's static key is above the k-th
//! best's, nobody unseen can be among the best. Two ways lead through a segment:
//! its bit columns, or the lanes of the counties that a posting names.

use super::Of;
use super::chunk::{Chunk, LINES};
use super::kernel::{self, BLOCK, Path, Sieve};
use super::lanes::{ERASED, Lane};
use super::record::{self, AVAILABLE, CATEGORY, IN_PLACE_ONLY, LaneKind, ON_SITE, OWN_PROVINCE, Row, SKILL, UNSTATED, ones};
use super::world::{Ages, NOWHERE, SEGMENTS, World, position};
use crate::domain::eligibility::Question;
use crate::domain::ranking::{self, Distance, POSTING_BITS};
use crate::domain::region::{Counties, Region};
use std::sync::Arc;
use std::sync::atomic::{Ordering, fence};

/// Lanes lead where they hold less than one in so many of all people: an entry
/// costs a nanosecond or two and sometimes a jump in memory, a position in a column
/// a bit of five or six cache lines.
const LANES_LEAD: usize = 12;
/// Entries of a lane that are sifted together.
const TOGETHER: usize = 16;
/// Entries that passed are looked at together, so that their jumps in memory overlap.
const JUMPS: usize = 32;

/// A worker found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hit {
    pub key: u64,
    pub handle: u32,
    pub least: u32,
    pub home: u16,
}

/// A question made ready for the columns.
pub struct Plan<'a> {
    columns: [u16; 80],
    used: usize,
    of: Of,
    pay: Option<u32>,
    born: std::ops::RangeInclusive<u16>,
    homes: Option<&'a Counties>,
    /// The leaf where the work is, for those who go no farther.
    work: Option<u16>,
    work_province: u8,
    /// The column of the place of work, where it decides.
    province: Option<usize>,
    in_place: bool,
    categories: u16,
    skills: u64,
    seed: u64,
}

impl<'a> Plan<'a> {
    pub fn new(q: &'a Question, of: Of, world: &World, ages: &Ages) -> Self {
        let province = record::work_column(q).filter(|_| !q.in_place);
        let born = ages.born(q.age_min, q.age_max);
        let mut plan = Self {
            columns: [0; 80],
            used: 0,
            of,
            pay: q.pay,
            homes: q.homes.as_ref(),
            work: q.work.filter(|_| !q.in_place).and_then(Region::leaf_index),
            work_province: province.map_or(u8::MAX, |p| (p - record::PROVINCE) as u8),
            province,
            in_place: q.in_place,
            categories: q.category as u16,
            skills: q.skills,
            seed: q.seed,
            born,
        };
        plan.add(AVAILABLE);
        plan.add(CATEGORY + q.category.trailing_zeros() as usize);
        if !q.in_place {
            plan.add(ON_SITE);
        }
        province.into_iter().for_each(|p| plan.add(p));
        match q.pay {
            Some(pay) => record::pay_column(pay).into_iter().for_each(|c| plan.add(c)),
            None => plan.add(UNSTATED),
        }
        record::born_column(*plan.born.start()).into_iter().for_each(|c| plan.add(c));
        ones(q.skills).for_each(|skill| plan.add(SKILL + skill));
        // The rarest first, so that most lines end after one or two columns.
        plan.columns[..plan.used].sort_unstable_by_key(|c| world.population(usize::from(*c)));
        plan
    }

    fn add(&mut self, column: usize) {
        self.columns[self.used] = column as u16;
        self.used += 1;
    }

    fn columns(&self) -> &[u16] {
        &self.columns[..self.used]
    }

    /// What the columns cannot say exactly.
    #[inline]
    fn row_suits(&self, row: Row) -> bool {
        self.pay.is_none_or(|pay| row.least() <= pay)
            && self.born.contains(&row.birth())
            && self.homes.is_none_or(|homes| homes.has(row.home()))
    }

    /// Everything, for a worker met in a lane.
    fn suits(&self, chunk: &Chunk, at: usize, row: Row) -> bool {
        let goes = || {
            if self.in_place {
                return true;
            }
            !row.in_place_only() && (self.work == Some(row.home()) || self.province.is_some_and(|p| chunk.bit(p, at)))
        };
        chunk.bit(AVAILABLE, at)
            && row.categories() & self.categories != 0
            && (self.pay.is_some() || !row.stated_only())
            && self.row_suits(row)
            && goes()
            && chunk.has_skills(at, self.skills)
    }

    #[inline]
    fn hit(&self, segment: u8, row: Row) -> Hit {
        let home = row.home();
        let distance = if self.in_place || self.work == Some(home) {
            Distance::SameCounty
        } else if record::province_of_leaf(home) == self.work_province {
            Distance::SameProvince
        } else {
            Distance::Elsewhere
        };
        let surplus = ranking::surplus(self.pay, row.least());
        let fixed = u64::from(segment) << 61 | u64::from(row.seeking_day()) << POSTING_BITS;
        let key = fixed | ranking::posting_key(distance, surplus, row.handle(), self.seed);
        Hit { key, handle: row.handle(), least: row.least(), home }
    }
}

/// What a query needs beside the index, kept from one to the next, so that none
/// allocates once they have grown.
#[derive(Default)]
pub struct Scratch {
    /// The best, in order, once a search is done.
    pub hits: Vec<Hit>,
    line: Vec<Hit>,
    exclude: Vec<u32>,
    cursors: Vec<Cursor>,
}

struct Cursor {
    lane: Arc<Lane>,
    at: usize,
    sorted: usize,
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
}

/// One search under way.
struct Search<'a> {
    world: &'a World,
    slots: arc_swap::Guard<Arc<Vec<Option<Arc<Chunk>>>>>,
    plan: &'a Plan<'a>,
    path: Path,
    sieve: Sieve,
    lead: Lead,
    /// Handles that passed a sieve and are still to be looked at.
    jumps: [u32; JUMPS],
    waiting: usize,
    k: usize,
    hits: &'a mut Vec<Hit>,
    line: &'a mut Vec<Hit>,
    exclude: &'a [u32],
    cursors: &'a mut Vec<Cursor>,
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

/// What leads through the segments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lead {
    Columns,
    /// The lanes of the counties that the posting names.
    Counties,
    /// The lane of a rare skill.
    Skill(usize),
}

/// The lead that reads least.
fn lead(world: &World, plan: &Plan<'_>) -> Lead {
    let mut least = (world.people() / LANES_LEAD + 1, Lead::Columns);
    ones(plan.skills & world.rare_skills()).for_each(|skill| {
        let held = world.population(SKILL + skill);
        if held < least.0 {
            least = (held, Lead::Skill(skill));
        }
    });
    if let Some(homes) = plan.homes {
        let mut entries = 0;
        for county in homes.leaves() {
            entries += world.segments.iter().map(|s| s.lanes.len(usize::from(county))).sum::<usize>();
            if entries >= least.0 {
                return least.1;
            }
        }
        return Lead::Counties;
    }
    least.1
}

impl<'a> Search<'a> {
    fn new(world: &'a World, plan: &'a Plan<'a>, k: usize, exclude: &[u32], path: Path, scratch: &'a mut Scratch) -> Self {
        let Scratch { hits, line, exclude: sorted, cursors } = scratch;
        sorted.clear();
        sorted.extend_from_slice(exclude);
        sorted.sort_unstable();
        let (lead, slots) = (lead(world, plan), world.slots.load());
        let (bound, more, counting, outcome) = (u64::MAX, false, None, Outcome::default());
        // Beside the columns a lane adds only those who go nowhere else in the province.
        let none = match (plan.in_place, lead) {
            (true, _) => 0,
            (false, Lead::Columns) => IN_PLACE_ONLY | OWN_PROVINCE,
            (false, _) => IN_PLACE_ONLY,
        };
        let kind = if let Lead::Skill(_) = lead { LaneKind::Skill } else { LaneKind::County };
        let all = record::held(kind, plan.skills, plan.province);
        let sieve = record::sieve(plan.categories, plan.pay, *plan.born.start(), none, all);
        Self {
            world,
            slots,
            plan,
            path,
            sieve,
            lead,
            jumps: [0; JUMPS],
            waiting: 0,
            k,
            hits,
            line,
            exclude: sorted,
            cursors,
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
                    let homes = self.plan.homes.into_iter().flat_map(Counties::leaves);
                    homes.for_each(|county| self.open(segment, usize::from(county)));
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
        let lanes = |key: usize| self.world.segments.iter().map(|s| s.lanes.len(key)).sum::<usize>();
        match self.lead {
            Lead::Columns => self.world.people(),
            Lead::Counties => self.plan.homes.into_iter().flat_map(Counties::leaves).map(|c| lanes(usize::from(c))).sum(),
            Lead::Skill(skill) => lanes(self.world.skill_lane(skill)),
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
        // The lane whose next day is the earliest goes on, some entries at a time.
        while let Some((day, next)) = self.cursors.iter().enumerate().map(|(n, c)| (c.lane.day(c.at), n)).min() {
            if self.ends_before(segment, day) {
                return;
            }
            self.go_on(segment, next, u16::MAX);
            if self.cursors[next].at == self.cursors[next].sorted {
                self.cursors.swap_remove(next);
            }
        }
    }

    /// Begins a lane: what stands behind its sorted part is looked at whole.
    fn open(&mut self, segment: u8, key: usize) {
        let Some(lane) = self.world.segments[usize::from(segment)].lanes.get(key) else { return };
        let (sorted, len) = lane.lengths();
        self.entries(segment, &lane, sorted..len);
        if sorted > 0 {
            self.cursors.push(Cursor { lane, at: 0, sorted });
        }
    }

    /// Looks at the one lane's entries before a day, or up to where nobody can be
    /// among the best.
    fn lane_until(&mut self, segment: u8, day: u16) {
        while let Some(next) = self.cursors.first().filter(|c| c.at < c.sorted).map(|c| c.lane.day(c.at)) {
            if next >= day || self.ends_before(segment, next) {
                return;
            }
            self.go_on(segment, 0, day);
        }
    }

    /// Some entries of a lane, all before a day; the first is.
    fn go_on(&mut self, segment: u8, cursor: usize, day: u16) {
        let Cursor { lane, at, sorted } = &mut self.cursors[cursor];
        let most = (*sorted).min(*at + TOGETHER);
        let upto = (*at..most).find(|at| lane.day(*at) >= day).unwrap_or(most);
        let (lane, from) = (lane.clone(), std::mem::replace(at, upto));
        self.entries(segment, &lane, from..upto);
    }

    /// Notes those of a lane in a range who pass the sieve.
    fn entries(&mut self, segment: u8, lane: &Lane, range: std::ops::Range<usize>) {
        self.outcome.entries += range.len();
        self.outcome.passed += if self.lead == Lead::Columns { 0 } else { range.len() };
        for from in (range.start & !(TOGETHER - 1)..range.end).step_by(TOGETHER) {
            let mut passing = kernel::sift(self.path, lane.sixteen(from), &self.sieve);
            while passing != 0 {
                let at = from + passing.trailing_zeros() as usize;
                passing &= passing - 1;
                let handle = lane.handle(at);
                if range.contains(&at) && handle != ERASED {
                    if self.waiting == JUMPS {
                        self.jump(segment);
                    }
                    self.jumps[self.waiting] = handle;
                    self.waiting += 1;
                }
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
                chunk.prefetch_row(position(*place));
                kernel::prefetch(&chunk.lines()[AVAILABLE * LINES + position(*place) / 512]);
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
