//! In what order eligible workers are offered a posting: one number, smallest
//! first. From the highest bit: rank tier (2) · not in focus (1) · day they began
//! to seek (13) · distance class (2) · 63 − pay surplus (6) · tie (40). The first
//! 16 bits, the static key, do not depend on the posting. Sex is never in it.

use super::eligibility::Question;
use super::region::Region;
use super::worker::{Seeker, Tier};
use jiff::ToSpan;
use jiff::civil::{Date, date};

/// Bits below the static key.
pub const POSTING_BITS: u32 = 48;
const TIE_MASK: u64 = (1 << 40) - 1;
/// Day 0 of the 13 bits of a seeking date; they reach to 2037.
const SEEKING_EPOCH: Date = date(2015, 1, 1);

/// 0 displaced, 1 not lifted, 2 at risk, 3 lifted.
pub fn rank_tier(w: &Seeker, now: i64) -> u8 {
    if w.displaced_until > now {
        return 0;
    }
    match w.tier {
        Tier::NotLifted => 1,
        Tier::AtRisk => 2,
        Tier::Lifted => 3,
    }
}

/// How far the work is from home.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Distance {
    SameCounty,
    SameProvince,
    Elsewhere,
}

/// In-place work is always in the home county.
pub fn distance(q: &Question, w: &Seeker) -> Distance {
    match q.work {
        _ if q.in_place => Distance::SameCounty,
        Some(work) if work == w.home => Distance::SameCounty,
        Some(work) if work.province() == w.home.province() => Distance::SameProvince,
        _ => Distance::Elsewhere,
    }
}

/// What the posting pays above the worker's least, in steps of 100 yuan a month,
/// 0 to 63; 0 where the pay is not said.
#[inline]
pub fn surplus(pay: Option<u32>, least: u32) -> u8 {
    let above = pay.unwrap_or(0).saturating_sub(least) / 100;
    above.min(63) as u8
}

/// The day of a seeking date within the 13 bits of a key.
pub fn seeking_day(since: Date) -> u16 {
    (since - SEEKING_EPOCH).get_days().clamp(0, 0x1fff) as u16
}

/// The part of the order that does not depend on the posting, 16 bits.
pub fn static_key(rank: u8, in_focus: bool, seeking_day: u16) -> u16 {
    u16::from(rank) << 14 | u16::from(!in_focus) << 13 | seeking_day
}

/// The rest of it, 48 bits.
#[inline]
pub fn posting_key(distance: Distance, surplus: u8, handle: u32, seed: u64) -> u64 {
    (distance as u64) << 46 | u64::from(63 - surplus) << 40 | (mix(u64::from(handle)) ^ seed) & TIE_MASK
}

/// The order of a worker among those eligible for a posting.
pub fn key(q: &Question, w: &Seeker, in_focus: bool, now: i64) -> u64 {
    let fixed = static_key(rank_tier(w, now), in_focus, seeking_day(w.seeking_since));
    u64::from(fixed) << POSTING_BITS | posting_key(distance(q, w), surplus(q.pay, w.min_monthly_pay), w.handle, q.seed)
}

/// A worker found for a posting: what the choice and its reasons need.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Match {
    /// See [`key`]: rank tier, focus, seeking day and distance can be read from it.
    pub key: u64,
    pub handle: u32,
    /// The home, a leaf division.
    pub home: Region,
    /// The least month's pay they ask for, in yuan.
    pub least: u32,
}

impl Match {
    pub fn of(q: &Question, w: &Seeker, in_focus: bool, now: i64) -> Self {
        Self { key: key(q, w, in_focus, now), handle: w.handle, home: w.home, least: w.min_monthly_pay }
    }

    /// 0 displaced, 1 not lifted, 2 at risk, 3 lifted.
    pub fn rank(&self) -> u8 {
        (self.key >> 62) as u8
    }

    pub fn in_focus(&self) -> bool {
        self.key >> 61 & 1 == 0
    }

    pub fn seeking_since(&self) -> Date {
        SEEKING_EPOCH.saturating_add(((self.key >> POSTING_BITS & 0x1fff) as i32).days())
    }

    pub fn distance(&self) -> Distance {
        match self.key >> 46 & 3 {
            0 => Distance::SameCounty,
            1 => Distance::SameProvince,
            _ => Distance::Elsewhere,
        }
    }
}

/// The finalizer of SplitMix64 (Steele, Lea, Flood: Fast splittable pseudorandom
/// number generators, OOPSLA 2014).
pub fn mix(mut z: u64) -> u64 {
    z = z.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::eligibility::tests::{TERMS, question, seeker};

    fn before(first: impl Fn(&mut Seeker), second: impl Fn(&mut Seeker)) -> bool {
        let order = |change: &dyn Fn(&mut Seeker), handle| {
            let mut w = Seeker { handle, ..seeker() };
            change(&mut w);
            key(&question(), &w, false, TERMS.now)
        };
        order(&first, 1) < order(&second, 2)
    }

    #[test]
    fn the_displaced_come_first_then_the_tiers_then_the_longest_wait() {
        assert!(before(
            |w| {
                w.displaced_until = TERMS.now + 1;
                w.tier = Tier::Lifted;
            },
            |_| {}
        ));
        assert!(before(|w| w.tier = Tier::NotLifted, |w| w.tier = Tier::AtRisk));
        assert!(before(|w| w.tier = Tier::AtRisk, |w| w.tier = Tier::Lifted));
        assert!(before(|w| w.seeking_since = date(2020, 1, 1), |w| w.seeking_since = date(2020, 1, 2)));
        assert!(before(|w| w.min_monthly_pay = 2000, |w| w.min_monthly_pay = 5000));
    }

    #[test]
    fn focus_comes_before_the_wait_and_after_the_tier() {
        let w = Seeker { seeking_since: date(2014, 1, 1), ..seeker() };
        let late = Seeker { seeking_since: date(2020, 5, 1), ..seeker() };
        assert!(key(&question(), &late, true, TERMS.now) < key(&question(), &w, false, TERMS.now));
        let risk = Seeker { tier: Tier::AtRisk, ..seeker() };
        assert!(key(&question(), &w, false, TERMS.now) < key(&question(), &risk, true, TERMS.now));
    }

    #[test]
    fn ties_fall_differently_for_each_posting() {
        let winner =
            |seed| (0..50).min_by_key(|h| key(&Question { seed, ..question() }, &Seeker { handle: *h, ..seeker() }, false, TERMS.now));
        let winners: std::collections::HashSet<_> = (0..40).map(|s| winner(mix(s))).collect();
        assert!(winners.len() > 10, "{} different winners of 40 postings", winners.len());
    }
}
