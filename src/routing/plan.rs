//! A question made ready for the index, and the way that answers it with least work.

use super::Of;
use super::chunk::Chunk;
use super::record::{self, AVAILABLE, CATEGORY, ON_SITE, PROVINCE, Row, STAYS, UNSTATED, ones};
use super::world::{Ages, SkillSets, World};
use crate::domain::eligibility::Question;
use crate::domain::ranking::{self, Distance, POSTING_BITS};
use crate::domain::region::{Counties, Region};

/// A worker found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hit {
    pub key: u64,
    pub handle: u32,
    pub least: u32,
    pub home: u16,
}

/// A question made ready for columns and lanes.
pub struct Plan<'a> {
    columns: [u16; 8],
    used: usize,
    sets: &'a SkillSets,
    pub of: Of,
    pub pay: Option<u32>,
    pub born: std::ops::RangeInclusive<u16>,
    pub homes: Option<&'a Counties>,
    /// The leaf where the work is, for those who go no farther.
    pub work: Option<u16>,
    pub work_province: u8,
    /// The column of the place of work, where it decides.
    pub province: Option<usize>,
    pub in_place: bool,
    pub category: usize,
    pub skills: u64,
    pub seed: u64,
}

impl<'a> Plan<'a> {
    pub fn new(q: &'a Question, of: Of, world: &'a World, ages: &Ages) -> Self {
        let province = record::work_column(q).filter(|_| !q.in_place);
        let born = ages.born(q.age_min, q.age_max);
        let mut plan = Self {
            columns: [0; 8],
            used: 0,
            sets: &world.sets,
            of,
            pay: q.pay,
            homes: q.homes.as_ref(),
            work: q.work.filter(|_| !q.in_place).and_then(Region::leaf_index),
            work_province: province.map_or(u8::MAX, |p| (p - record::PROVINCE) as u8),
            province,
            in_place: q.in_place,
            category: CATEGORY + q.category.trailing_zeros() as usize,
            skills: q.skills,
            seed: q.seed,
            born,
        };
        plan.add(AVAILABLE);
        plan.add(plan.category);
        if !q.in_place {
            plan.add(ON_SITE);
        }
        province.into_iter().for_each(|p| plan.add(p));
        match q.pay {
            Some(pay) => record::pay_column(pay).into_iter().for_each(|c| plan.add(c)),
            None => plan.add(UNSTATED),
        }
        record::born_column(*plan.born.start()).into_iter().for_each(|c| plan.add(c));
        // The rarest first, so that most lines end after one or two columns.
        plan.columns[..plan.used].sort_unstable_by_key(|c| world.population(usize::from(*c)));
        plan
    }

    fn add(&mut self, column: usize) {
        self.columns[self.used] = column as u16;
        self.used += 1;
    }

    pub fn columns(&self) -> &[u16] {
        &self.columns[..self.used]
    }

    /// The columns of the lanes that are read for it, where this leads, and how many
    /// there are.
    pub fn lane_columns(&self, lead: Lead) -> ([u8; 20], usize) {
        let (mut out, mut used) = ([0; 20], 0);
        let mut add = |column: usize| {
            out[used] = column as u8;
            used += 1;
        };
        self.columns().iter().map(|c| usize::from(*c)).filter(|c| *c < PROVINCE).for_each(&mut add);
        record::skill_columns(self.skills).for_each(&mut add);
        match lead {
            // Beside the columns a lane adds only those who stand in none of them.
            Lead::Columns => add(STAYS),
            Lead::Counties => {}
            Lead::Skill(_) => self.province.map(record::reach_column).into_iter().for_each(add),
        }
        (out, used)
    }

    /// What the columns cannot say exactly.
    #[inline]
    pub fn row_suits(&self, row: Row) -> bool {
        self.pay.is_none_or(|pay| row.least() <= pay)
            && self.born.contains(&row.birth())
            && self.homes.is_none_or(|homes| homes.has(row.home()))
            && (self.skills == 0 || self.sets.mask(row.skill_set()) & self.skills == self.skills)
    }

    /// Everything, for a worker met in a lane.
    pub fn suits(&self, chunk: &Chunk, at: usize, row: Row) -> bool {
        let goes = || {
            if self.in_place {
                return true;
            }
            !row.in_place_only() && (self.work == Some(row.home()) || self.province.is_some_and(|p| chunk.bit(p, at)))
        };
        chunk.bit(AVAILABLE, at)
            && chunk.bit(self.category, at)
            && (self.pay.is_some() || !row.stated_only())
            && self.row_suits(row)
            && goes()
    }

    #[inline]
    pub fn hit(&self, segment: u8, row: Row) -> Hit {
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

/// What leads through the segments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lead {
    Columns,
    /// The lanes of the counties that the posting names.
    Counties,
    /// The lane of a skill.
    Skill(usize),
}

/// What reading costs, in nanoseconds on one core of a server of 2023; only their
/// ratios matter. A line of 512 positions of one column,
const LINE: f64 = 2.5;
/// a row whose bits all stand,
const ROW: f64 = 12.0;
/// sixty-four entries of a lane,
const WORD: f64 = 8.0;
/// somebody met in a lane, whose place, row and bits lie anywhere.
const JUMP: f64 = 40.0;
/// Columns of a line that are read before nothing is left of it.
const COLUMNS_READ: f64 = 3.5;
/// Of those who lack a skill so many stand in a lane as if they had it.
const FOLDED: f64 = 0.1;

/// A lane is read before others are asked who comes first until about so many of it
/// should have passed,
const PASSING_OF_RUN: f64 = 2.0;
/// but these entries at least and at most.
const RUN: (f64, f64) = (16.0, 512.0);

impl Lead {
    /// The lead that reads least if everybody had to be looked at (who suits is as
    /// many on each way, so an early stop leaves the ratio as it is), and how many
    /// entries of a lane to read at once.
    pub fn of(world: &World, plan: &Plan<'_>) -> (Self, usize) {
        let people = world.people().max(1) as f64;
        let share = |column: usize| world.population(column) as f64 / people;
        let (asked, skills) = (share(AVAILABLE) * share(plan.category), plan.skills.count_ones() as i32);
        let bits: f64 = plan.columns().iter().map(|column| share(usize::from(*column))).product();
        let by_columns = people / 512.0 * LINE * COLUMNS_READ + people * bits * ROW;
        let mut least = (by_columns, Lead::Columns, asked);
        let mut consider = |entries: usize, passing: f64, lead: Lead| {
            let cost = entries as f64 * (WORD / 64.0 + passing * JUMP);
            if cost < least.0 {
                least = (cost, lead, passing);
            }
        };
        for skill in ones(plan.skills) {
            let reached = plan.province.map_or(1.0, share);
            consider(world.lane_people(world.skill_lane(skill)), asked * reached * FOLDED.powi(skills - 1), Lead::Skill(skill));
        }
        if let Some(homes) = plan.homes {
            let entries = homes.leaves().map(|county| world.lane_people(usize::from(county))).sum();
            consider(entries, asked * FOLDED.powi(skills), Lead::Counties);
        }
        let (_, lead, passing) = least;
        (lead, (PASSING_OF_RUN / passing).clamp(RUN.0, RUN.1) as usize)
    }
}
