//! In what order eligible workers are offered a posting: one number, smallest
//! first. From the highest bit: rank tier (2) · not in focus (1) · day they began
//! to seek (13) · distance class (2) · 63 − pay surplus (6) · tie (40). The first
//! 16 bits, the static key, do not depend on the posting. Sex is never in it.

use super::eligibility::Question;
use super::offer::Reason;
use super::region::Region;
use super::worker::{Seeker, Tier};
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
pub fn surplus(q: &Question, w: &Seeker) -> u8 {
    let above = q.pay.unwrap_or(0).saturating_sub(w.min_monthly_pay) / 100;
    above.min(63) as u8
}

/// The order of a worker among those eligible for a posting.
pub fn key(q: &Question, w: &Seeker, in_focus: bool, now: i64) -> u64 {
    let since = (w.seeking_since - SEEKING_EPOCH).get_days().clamp(0, 0x1fff) as u64;
    u64::from(rank_tier(w, now)) << 62
        | u64::from(!in_focus) << 61
        | since << POSTING_BITS
        | (distance(q, w) as u64) << 46
        | u64::from(63 - surplus(q, w)) << 40
        | (mix(u64::from(w.handle)) ^ q.seed) & TIE_MASK
}

/// The finalizer of SplitMix64 (Steele, Lea, Flood: Fast splittable pseudorandom
/// number generators, OOPSLA 2014).
pub fn mix(mut z: u64) -> u64 {
    z = z.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// Why this worker got this posting, in words for the worker and the office.
pub fn reasons(q: &Question, w: &Seeker, focus: Option<&str>, now: i64, today: Date) -> Vec<Reason> {
    let reason = |code: &str, text: String| Reason { code: code.to_owned(), text };
    let mut out = Vec::with_capacity(5);
    match rank_tier(w, now) {
        0 => out.push(reason("displaced", "不久前失去工作，优先推荐".to_owned())),
        _ => out.push(reason(&format!("tier_{}", w.tier.code()), format!("帮扶对象：{}", w.tier.title_zh()))),
    }
    if let Some(title) = focus {
        out.push(reason("focus", format!("家乡属于重点地区：{title}")));
    }
    let days = (today - w.seeking_since).get_days().max(0);
    out.push(reason("seeking_days", format!("已求职 {days} 天")));
    out.push(match distance(q, w) {
        Distance::SameCounty => reason("same_county", "就在本县".to_owned()),
        Distance::SameProvince => reason("same_province", "在本省".to_owned()),
        Distance::Elsewhere => {
            reason("destination", format!("在您愿意去的{}", q.work.and_then(Region::province).map_or("地方", Region::name)))
        }
    });
    out.push(match q.pay {
        Some(pay) => reason("pay_surplus", format!("月薪可达 {pay} 元，比您的最低要求高 {} 元", pay.saturating_sub(w.min_monthly_pay))),
        None => reason("pay_unstated", "没有写明月薪，请先问清楚".to_owned()),
    });
    out
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
