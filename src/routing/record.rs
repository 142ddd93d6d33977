//! A worker as the index keeps them: which columns hold their bits, the row of 16
//! bytes that makes a column's answer exact, and their bits in lanes.
//!
//! Row word a, from the low bit: handle 32 · home leaf 12 · least pay in yuan 20.
//! Row word b: birth day 16 · seeking day 13 · in place only 1 · stated pay only 1 ·
//! unused 1 · number of the skill set 32. Skills stand in no column: few hold any one
//! of them, so each has lanes of its own, and the sets that occur are kept once.

use crate::domain::category::Category;
use crate::domain::eligibility::Question;
use crate::domain::ranking;
use crate::domain::region::Region;
use crate::domain::worker::{Seeker, Tier};
use jiff::ToSpan;
use jiff::civil::{Date, date};
use std::sync::LazyLock;

/// May be offered something now.
pub const AVAILABLE: usize = 0;
/// Has consented.
pub const PRESENT: usize = 1;
/// Takes work away from home.
pub const ON_SITE: usize = 2;
/// Takes work whose pay is not said.
pub const UNSTATED: usize = 3;
/// The first of the categories.
pub const CATEGORY: usize = 4;
/// The first of the columns "asks for at most".
const PAY: usize = CATEGORY + Category::ALL.len();
/// The first of the columns "born on or after".
const BORN: usize = PAY + PAY_STEPS.len();
/// The first of the provinces, by code.
pub const PROVINCE: usize = BORN + BORN_YEARS.len();
/// How many columns a chunk has.
pub const COLUMNS: usize = PROVINCE + PROVINCES;

/// In a lane, whose columns are those of a chunk up to the provinces: takes no work
/// away from home in the own province.
pub const STAYS: usize = PROVINCE;
/// The first of the columns of skills, folded.
const FOLD: usize = STAYS + 1;
const FOLDED: usize = 8;
/// The columns of a county's lane.
pub const COUNTY_COLUMNS: usize = FOLD + FOLDED;
/// In a skill's lane the first of the provinces of home and wishes.
const REACH: usize = COUNTY_COLUMNS;
/// The columns of a skill's lane.
pub const SKILL_COLUMNS: usize = REACH + PROVINCES;

/// Skills that can be told apart.
pub const SKILLS: usize = 64;

/// Provinces and their like.
const PROVINCES: usize = 34;
/// Yuan a month. A posting that pays less than the largest asks the next column
/// above; the row decides.
const PAY_STEPS: [u32; 10] = [2000, 2500, 2800, 3000, 3300, 3600, 4000, 4500, 5200, 6500];
/// A posting for people up to an age asks the latest column that holds them all.
const BORN_YEARS: [i16; 10] = [1954, 1958, 1962, 1966, 1970, 1974, 1978, 1982, 1986, 1990];
/// Day 0 of the 16 bits of a birth date; they reach to 2079.
const BIRTH_EPOCH: Date = date(1900, 1, 1);
/// All categories.
const ANY_CATEGORY: u16 = (1 << Category::ALL.len()) - 1;
/// The most that a row can say of a least pay; registries and preferences stay below.
const PAY_MOST: u32 = (1 << 20) - 1;

struct Places {
    provinces: Vec<Region>,
    /// For each leaf.
    province_of: Vec<u8>,
}

static PLACES: LazyLock<Places> = LazyLock::new(|| {
    let provinces = Region::NATION.children().to_vec();
    let at = |r: &Region| r.province().and_then(|p| provinces.binary_search(&p).ok()).unwrap_or_default();
    let province_of = Region::NATION.leaves().iter().map(|leaf| at(leaf) as u8).collect();
    Places { provinces, province_of }
});

static BORN_DAYS: LazyLock<[u16; BORN_YEARS.len()]> = LazyLock::new(|| BORN_YEARS.map(|year| birth_day(date(year, 1, 1))));

/// What the columns and words mean, beyond their numbers.
pub fn meaning() -> String {
    let categories: Vec<&str> = Category::ALL.iter().map(|c| c.code()).collect();
    format!("{PAY_STEPS:?} {BORN_YEARS:?} {BIRTH_EPOCH} {FOLDED} {:?} {categories:?}", PLACES.provinces)
}

/// The column number of a province above [`PROVINCE`].
pub fn province_number(province: Region) -> Option<usize> {
    PLACES.provinces.binary_search(&province).ok()
}

/// The same for a leaf division.
#[inline]
pub fn province_of_leaf(leaf: u16) -> u8 {
    PLACES.province_of[usize::from(leaf)]
}

/// A birth date in a row.
pub fn birth_day(birth: Date) -> u16 {
    (birth - BIRTH_EPOCH).get_days().clamp(0, i32::from(u16::MAX)) as u16
}

/// A date by its number in a row.
pub fn birth_date(day: u16) -> Date {
    BIRTH_EPOCH.saturating_add(i32::from(day).days())
}

/// What does not change with offers and answers, packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record {
    pub row: Row,
    /// One bit for each province; all for a worker who goes anywhere.
    pub provinces: u64,
    pub skills: u64,
    /// One bit for each category; all for a worker who takes any.
    pub categories: u16,
}

/// The 16 bytes of a position.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Row {
    pub a: u64,
    pub b: u64,
}

impl Row {
    #[inline]
    pub fn handle(self) -> u32 {
        self.a as u32
    }

    #[inline]
    pub fn home(self) -> u16 {
        (self.a >> 32 & 0xfff) as u16
    }

    #[inline]
    pub fn least(self) -> u32 {
        (self.a >> 44) as u32
    }

    #[inline]
    pub fn birth(self) -> u16 {
        self.b as u16
    }

    #[inline]
    pub fn seeking_day(self) -> u16 {
        (self.b >> 16 & 0x1fff) as u16
    }

    #[inline]
    pub fn in_place_only(self) -> bool {
        self.b >> 29 & 1 == 1
    }

    #[inline]
    pub fn stated_only(self) -> bool {
        self.b >> 30 & 1 == 1
    }

    /// The number of the skill set.
    #[inline]
    pub fn skill_set(self) -> u32 {
        (self.b >> 32) as u32
    }

    pub fn with_skill_set(self, number: u32) -> Self {
        Self { b: self.b & u64::from(u32::MAX) | u64::from(number) << 32, ..self }
    }
}

impl Record {
    pub fn of(w: &Seeker) -> Self {
        let home = w.home.leaf_index().unwrap_or_default();
        let provinces = w.destinations.provinces.iter().filter_map(|p| province_number(*p)).fold(0, |mask, n| mask | 1 << n);
        Self {
            row: Row {
                a: u64::from(w.handle) | u64::from(home) << 32 | u64::from(w.min_monthly_pay.min(PAY_MOST)) << 44,
                b: u64::from(birth_day(w.birth))
                    | u64::from(ranking::seeking_day(w.seeking_since)) << 16
                    | u64::from(w.in_place_only) << 29
                    | u64::from(w.require_stated_pay) << 30,
            },
            provinces: if w.destinations.any { u64::MAX >> (64 - PROVINCES) } else { provinces },
            skills: w.skills,
            categories: if w.categories == 0 { ANY_CATEGORY } else { w.categories as u16 & ANY_CATEGORY },
        }
    }

    /// Its bits in the columns of a lane.
    pub fn lane_bits(&self, available: bool) -> u128 {
        let [low, high] = self.bits().0;
        let home = 1u64 << province_of_leaf(self.row.home());
        (u128::from(low) | u128::from(high) << 64) & ((1 << PROVINCE) - 1)
            | u128::from(available) << AVAILABLE
            | 1 << PRESENT
            | u128::from(self.provinces & home == 0) << STAYS
            | u128::from(fold(self.skills)) << FOLD
            | u128::from(self.provinces | home) << REACH
    }

    /// Its bits in the columns from [`ON_SITE`] on.
    pub fn bits(&self) -> Bits {
        let row = self.row;
        let mut bits = Bits::default();
        bits.set_if(ON_SITE, !row.in_place_only());
        bits.set_if(UNSTATED, !row.stated_only());
        bits.put(CATEGORY, u64::from(self.categories));
        bits.put(PROVINCE, self.provinces);
        for (at, step) in PAY_STEPS.iter().enumerate() {
            bits.set_if(PAY + at, row.least() <= *step);
        }
        for (at, day) in BORN_DAYS.iter().enumerate() {
            bits.set_if(BORN + at, row.birth() >= *day);
        }
        bits
    }
}

/// One bit for each column.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bits(pub [u64; COLUMNS.div_ceil(64)]);

impl Bits {
    pub fn set_if(&mut self, column: usize, on: bool) {
        self.0[column / 64] |= u64::from(on) << (column % 64);
    }

    pub fn has(self, column: usize) -> bool {
        self.0[column / 64] >> (column % 64) & 1 == 1
    }

    /// Ors `mask` in from a column on.
    fn put(&mut self, column: usize, mask: u64) {
        self.0[column / 64] |= mask << (column % 64);
        if !column.is_multiple_of(64)
            && let Some(next) = self.0.get_mut(column / 64 + 1)
        {
            *next |= mask >> (64 - column % 64);
        }
    }

    /// Sixty-four columns from one on.
    fn take(&self, column: usize) -> u64 {
        let low = self.0[column / 64] >> (column % 64);
        let high = self.0.get(column / 64 + 1).filter(|_| !column.is_multiple_of(64));
        low | high.map_or(0, |next| next << (64 - column % 64))
    }

    pub fn provinces(&self) -> u64 {
        self.take(PROVINCE) & u64::MAX >> (64 - PROVINCES)
    }

    pub fn categories(&self) -> u16 {
        self.take(CATEGORY) as u16 & ANY_CATEGORY
    }

    /// The columns in which two workers differ.
    pub fn differing(self, other: Bits) -> impl Iterator<Item = usize> {
        Bits(std::array::from_fn(|at| self.0[at] ^ other.0[at])).ones()
    }

    /// The columns set, ascending.
    pub fn ones(self) -> impl Iterator<Item = usize> {
        self.0.into_iter().enumerate().flat_map(|(at, word)| ones(word).map(move |bit| at * 64 + bit))
    }
}

/// The numbers of the bits set, ascending.
#[inline]
pub fn ones(mut word: u64) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        let bit = word.trailing_zeros() as usize;
        word &= word.wrapping_sub(1);
        (bit < 64).then_some(bit)
    })
}

/// What lies between the state of a worker and an offer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    pub tier: Tier,
    pub consent: bool,
    pub paused: bool,
    pub looking: bool,
    pub open_offers: u32,
    pub cooling_until: i64,
    pub displaced_until: i64,
}

impl Standing {
    pub fn of(w: &Seeker) -> Self {
        Self {
            tier: w.tier,
            consent: w.consent,
            paused: w.paused,
            looking: w.looking,
            open_offers: w.open_offers,
            cooling_until: w.cooling_until,
            displaced_until: w.displaced_until,
        }
    }
}

/// Skill n stands in the column n modulo [`FOLDED`].
fn fold(skills: u64) -> u64 {
    ones(skills).fold(0, |out, skill| out | 1 << (skill % FOLDED))
}

/// The columns of a lane in which everybody stands who has these skills.
pub fn skill_columns(skills: u64) -> impl Iterator<Item = usize> {
    ones(fold(skills)).map(|at| FOLD + at)
}

/// The column of a skill's lane in which everybody stands who is at home in a
/// province, given by its column, or goes there.
pub fn reach_column(province: usize) -> usize {
    province - PROVINCE + REACH
}

/// The column that holds everybody who asks for at most this much; none where it
/// is above the last.
pub fn pay_column(pay: u32) -> Option<usize> {
    PAY_STEPS.iter().position(|step| *step >= pay).map(|at| PAY + at)
}

/// The column that holds everybody born on or after this day; none where it is
/// before the first.
pub fn born_column(earliest: u16) -> Option<usize> {
    BORN_DAYS.iter().rposition(|day| *day <= earliest).map(|at| BORN + at)
}

/// The province column of a posting's place of work.
pub fn work_column(q: &Question) -> Option<usize> {
    q.work.and_then(Region::province).and_then(province_number).map(|n| PROVINCE + n)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::eligibility::tests::seeker;
    use crate::domain::worker::Destinations;

    #[test]
    fn a_row_gives_back_what_was_put_in() {
        let w = Seeker { handle: 4_000_000_000, categories: 0b101, min_monthly_pay: 1_000_000, in_place_only: true, ..seeker() };
        let r = Record::of(&w).row.with_skill_set(u32::MAX);
        assert_eq!(
            (r.handle(), r.least(), r.skill_set(), r.in_place_only(), r.stated_only()),
            (4_000_000_000, 1_000_000, u32::MAX, true, false)
        );
        assert_eq!(r.with_skill_set(0), Record::of(&w).row);
        assert_eq!(Region::leaf_at(r.home()), Some(w.home));
        assert_eq!(birth_date(r.birth()), w.birth);
        assert_eq!(r.seeking_day(), ranking::seeking_day(w.seeking_since));
        assert!(Region::leaf_count() <= 4096 && PLACES.provinces.len() == PROVINCES, "the row's 12 bits, the columns");
    }

    #[test]
    fn bits_stand_in_their_columns() {
        let yunnan = Region::parse("530000").unwrap();
        let destinations = Destinations { any: false, provinces: vec![yunnan] };
        let w = Seeker { categories: 0b10, destinations, min_monthly_pay: 3000, birth: date(1975, 6, 1), ..seeker() };
        let bits = Record::of(&w).bits();
        let on: Vec<usize> = bits.ones().collect();
        let province = PROVINCE + province_number(yunnan).unwrap();
        let pay: Vec<usize> = (PAY + 3..PAY + 10).collect();
        let born: Vec<usize> = (BORN..BORN + 6).collect();
        assert_eq!(on, [vec![ON_SITE, UNSTATED, CATEGORY + 1], pay, born, vec![province]].concat());
        assert_eq!((bits.categories(), bits.provinces()), (0b10, 1 << (province - PROVINCE)));
    }

    #[test]
    fn a_threshold_column_holds_everybody_who_passes() {
        assert_eq!((pay_column(2000), pay_column(2001), pay_column(6501)), (Some(PAY), Some(PAY + 1), None));
        let day = |year| birth_day(date(year, 1, 1));
        assert_eq!(
            (born_column(day(1954)), born_column(day(1957)), born_column(day(1953)), born_column(u16::MAX)),
            (Some(BORN), Some(BORN), None, Some(BORN + 9))
        );
    }
}
