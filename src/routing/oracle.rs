//! The national index against the plain one, over small worlds in which much is
//! equal: the same days, counties and wages, so that ties and edges are common.

use super::plain::PlainIndex;
use super::{Asked, Index, National, Of, Path, Scratch, best_with_floor};
use crate::domain::category::Category;
use crate::domain::eligibility::{Question, Terms, tests::TERMS};
use crate::domain::ranking::{Match, mix};
use crate::domain::region::{Region, focus_set};
use crate::domain::worker::{Destinations, Seeker, Tier};
use jiff::ToSpan;
use proptest::prelude::*;

const SETS: [&str; 2] = ["listed-52", "hubei"];

/// Draws small numbers from one seed.
pub(super) struct Draw(pub u64);

impl Draw {
    pub fn below(&mut self, n: u64) -> u64 {
        self.0 = mix(self.0);
        self.0 % n
    }

    pub fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }

    /// Twenty counties of six provinces, some in focus.
    fn county(&mut self) -> Region {
        let leaves = Region::NATION.leaves();
        let listed = focus_set("listed-52").unwrap().counties();
        let n = self.below(20) as usize;
        if n < 5 { listed[n] } else { leaves[n * 149 % leaves.len()] }
    }

    pub fn seeker(&mut self, handle: u32) -> Seeker {
        let home = self.county();
        let some = (0..self.below(3)).filter_map(|_| self.county().province()).collect();
        let ends = |d: &mut Self, n| if d.one_in(n) { TERMS.now + d.below(2_000) as i64 * 1000 - 500_000 } else { 0 };
        Seeker {
            handle,
            home,
            birth: TERMS.today.saturating_sub((16 * 365 + self.below(50 * 365) as i32).days()),
            tier: Tier::ALL[self.below(3) as usize],
            consent: !self.one_in(30),
            paused: self.one_in(20),
            looking: !self.one_in(5),
            categories: if self.one_in(4) { 0 } else { (self.below(1 << 15) & self.below(1 << 15)) as u32 },
            destinations: Destinations { any: self.one_in(10), provinces: some },
            in_place_only: self.one_in(4),
            min_monthly_pay: 1500 + 100 * self.below(60) as u32 + u32::from(self.one_in(9)),
            require_stated_pay: self.one_in(4),
            skills: self.below(8) | u64::from(self.one_in(40)) << 63,
            seeking_since: TERMS.today.saturating_sub((self.below(40) as i32).days()),
            cooling_until: ends(self, 12),
            displaced_until: ends(self, 12),
            open_offers: self.below(5).saturating_sub(1) as u32,
        }
    }

    fn question(&mut self) -> Question {
        let in_place = self.one_in(3);
        let homes = (in_place || self.one_in(4)).then(|| (0..1 + self.below(12)).map(|_| self.county()).collect());
        let work = (!in_place).then(|| if self.one_in(5) { self.county().province().unwrap() } else { self.county() });
        let age_max = if self.one_in(3) { u8::MAX } else { 30 + self.below(35) as u8 };
        Question {
            category: Category::ALL[self.below(15) as usize].bit(),
            skills: if self.one_in(3) { self.below(8) } else { 0 } | u64::from(self.one_in(20)) << 63,
            age_min: self.below(25) as u8,
            age_max,
            pay: (!self.one_in(5)).then(|| 1500 + 50 * self.below(140) as u32),
            in_place,
            work,
            homes,
            seed: self.below(u64::MAX),
        }
    }
}

pub(super) fn same(national: &National, plain: &PlainIndex, draw: &mut Draw, terms: Terms, handles: u32) {
    let q = draw.question();
    let k = 1 + draw.below(90) as usize;
    let exclude: Vec<u32> = (0..draw.below(40)).map(|_| draw.below(u64::from(handles)) as u32).collect();
    let of = if draw.one_in(4) { Of::Focus } else { Of::Everybody };
    let (found, expected) = (national.best(of, &q, k, &exclude, terms), plain.best(of, &q, k, &exclude, terms));
    assert_eq!(found.matches, expected.matches, "{q:?}, k {k}");
    if found.exhausted {
        assert!(expected.exhausted);
    }
    if expected.matches.len() < k {
        assert!(found.exhausted, "fewer than asked for, and not said to be all");
    }
    assert_eq!(national.funnel(&q, terms), plain.funnel(&q, terms), "{q:?}");
    let all = plain.about(&q, usize::MAX, terms);
    assert_eq!(national.about(&q, usize::MAX, terms), all);
}

/// Runs a world through changes of every kind, asking between them.
fn run(seed: u64, path: Path, people: u32, changes: usize) {
    let sets: Vec<String> = SETS.map(str::to_owned).to_vec();
    let (national, plain) = (National::with_path(&sets, TERMS.cap, path), PlainIndex::new(sets));
    let (mut draw, mut terms) = (Draw(seed), TERMS);
    let all: Vec<Seeker> = (0..people).map(|h| draw.seeker(h)).collect();
    plain.apply(all.clone());
    if draw.one_in(2) {
        national.load(all.clone());
    } else {
        national.apply(all.clone());
    }
    let mut present = all;
    for n in 0..changes {
        let handle = draw.below(u64::from(people) + 20) as u32;
        match draw.below(8) {
            // Everything of a worker changes, or somebody new comes.
            0 | 1 => {
                let w = draw.seeker(handle);
                change(&national, &plain, &mut present, w);
            }
            2 => {
                national.reserve(&[handle]);
                plain.reserve(&[handle]);
                if let Some(w) = present.iter_mut().find(|w| w.handle == handle) {
                    w.open_offers += 1;
                }
            }
            // One thing of a worker changes.
            3..=6 => {
                let Some(old) = present.iter().find(|w| w.handle == handle).cloned() else { continue };
                let other = draw.seeker(handle);
                let w = match draw.below(9) {
                    0 => Seeker { tier: other.tier, ..old },
                    1 => Seeker { home: other.home, ..old },
                    2 => Seeker { seeking_since: other.seeking_since, ..old },
                    3 => Seeker { open_offers: other.open_offers, looking: other.looking, ..old },
                    4 => Seeker { cooling_until: other.cooling_until, ..old },
                    5 => Seeker { displaced_until: other.displaced_until, ..old },
                    6 => Seeker { skills: other.skills, categories: other.categories, ..old },
                    7 => Seeker { destinations: other.destinations, min_monthly_pay: other.min_monthly_pay, ..old },
                    _ => Seeker { consent: other.consent, paused: other.paused, birth: other.birth, ..old },
                };
                change(&national, &plain, &mut present, w);
            }
            _ => terms.now += draw.below(3_000) as i64,
        }
        // Changes fall between the steps of tidying up.
        if n % 4 == 0 {
            national.write(|upkeep| upkeep.tidy_somewhere(draw.below(1 << 20) as usize));
        }
        if n % 16 == 0 {
            same(&national, &plain, &mut draw, terms, people);
        }
    }
    national.write(|upkeep| upkeep.tidy_all());
    (0..20).for_each(|_| same(&national, &plain, &mut draw, terms, people));
}

fn change(national: &National, plain: &PlainIndex, present: &mut Vec<Seeker>, w: Seeker) {
    present.retain(|old| old.handle != w.handle);
    present.push(w.clone());
    national.apply(vec![w.clone()]);
    plain.apply(vec![w]);
}

#[test]
fn a_share_of_a_wave_goes_to_people_in_focus_as_far_as_there_are_any() {
    let sets: Vec<String> = SETS.map(str::to_owned).to_vec();
    let (national, plain, mut draw) = (National::new(&sets, TERMS.cap), PlainIndex::new(sets), Draw(11));
    let all: Vec<Seeker> = (0..4000).map(|h| draw.seeker(h)).collect();
    plain.apply(all.clone());
    national.apply(all);
    let mut raised = 0;
    for _ in 0..300 {
        let q = draw.question();
        let k = 1 + draw.below(40) as usize;
        let share = draw.below(5) as f64 / 4.0;
        let found = best_with_floor(&national, &q, k, share, Vec::new(), TERMS);
        assert_eq!(found.matches, best_with_floor(&plain, &q, k, share, Vec::new(), TERMS).matches);
        let in_focus = |matches: &[Match]| matches.iter().filter(|m| m.in_focus()).count();
        let there = in_focus(&plain.best(Of::Focus, &q, k, &[], TERMS).matches);
        let least = there.min((k as f64 * share).ceil() as usize);
        assert!(in_focus(&found.matches) >= least, "{} of at least {least}", in_focus(&found.matches));
        raised += usize::from(in_focus(&plain.best(Of::Everybody, &q, k, &[], TERMS).matches) < least);
    }
    assert!(raised > 10, "the share changed {raised} waves of 300");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn every_question_is_answered_as_by_looking_at_everybody(seed: u64, people in 1u32..900) {
        for path in Path::available() {
            run(seed, path, people, 300);
        }
    }
}

#[test]
fn a_world_of_many_lines_stays_exact_through_changes_merges_and_gaps() {
    run(7, Path::best(), 30_000, 4000);
}

/// A writer changes workers between two ways of being, neither of which suits; a
/// reader that mixed the two would find them.
#[test]
fn a_reader_never_sees_half_of_a_change() {
    let (anhui, yunnan) = (Region::parse("340000").unwrap(), Region::parse("530000").unwrap());
    let national = National::new(&[], TERMS.cap);
    let only = |province| Destinations { any: false, provinces: vec![province] };
    let (rider, driver) = (Category::DeliveryRider.bit(), Category::Driver.bit());
    let base = |handle| Seeker { handle, looking: true, ..crate::domain::eligibility::tests::seeker() };
    let one = |handle| Seeker { categories: rider, destinations: only(anhui), min_monthly_pay: 2000, ..base(handle) };
    let other = |handle| Seeker { categories: driver, destinations: only(yunnan), min_monthly_pay: 9000, ..base(handle) };
    national.apply((0..700).map(one).collect());
    let asks =
        |category, work, pay| Question { category, work: Some(work), pay: Some(pay), ..crate::domain::eligibility::tests::question() };
    let asked = |question| Asked { of: Of::Everybody, question, k: 700, exclude: &[], terms: TERMS };
    let mixed = [asks(rider, yunnan, 9500), asks(driver, anhui, 9500), asks(driver, yunnan, 2500)];
    let whole = [asks(rider, anhui, 9500), asks(driver, yunnan, 9500)];
    let done = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for n in 0..60_000u32 {
                let handle = n % 700;
                national.write(|upkeep| upkeep.apply(&if n / 700 % 2 == 0 { other(handle) } else { one(handle) }));
            }
            done.store(true, std::sync::atomic::Ordering::Relaxed);
        });
        let (mut scratch, mut seen) = (Scratch::default(), [0; 2]);
        while !done.load(std::sync::atomic::Ordering::Relaxed) {
            for q in &mixed {
                national.search(asked(q), &mut scratch);
                assert_eq!(scratch.hits.len(), 0, "half of a change was seen");
            }
            for (seen, q) in seen.iter_mut().zip(&whole) {
                national.search(asked(q), &mut scratch);
                *seen += scratch.hits.len();
            }
        }
        assert!(seen.iter().all(|n| *n > 1000), "the reader found too few to tell: {seen:?}");
    });
}
