//! What stands between one worker and one posting, finer than the step that fails.

use super::{Question, Step, Terms, first_failed};
use crate::domain::time::{Moment, age_on};
use crate::domain::worker::Seeker;

/// The first condition that a worker fails, with what it turned on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Obstacle {
    NoConsent,
    Category,
    /// Home is not among the counties that the posting is aimed at.
    NotTargeted,
    /// The work is away, and they take work at home only.
    InPlaceOnly,
    /// The work is where they would not go.
    Destination,
    /// A month's pay, and the least they take, in yuan.
    PayBelow {
        pays: u32,
        least: u32,
    },
    PayUnstated,
    /// The mask of what is asked and they lack.
    Skills(u64),
    TooYoung {
        least: u8,
    },
    TooOld {
        most: u8,
    },
    Paused,
    NotLooking,
    /// As many open offers as anybody may hold.
    Cap(u32),
    CoolingDown(Moment),
}

impl Obstacle {
    pub fn step(self) -> Step {
        match self {
            Obstacle::NoConsent => Step::Registered,
            Obstacle::Category => Step::Category,
            Obstacle::NotTargeted | Obstacle::InPlaceOnly | Obstacle::Destination => Step::Place,
            Obstacle::PayBelow { .. } | Obstacle::PayUnstated => Step::Pay,
            Obstacle::Skills(_) | Obstacle::TooYoung { .. } | Obstacle::TooOld { .. } => Step::Requirements,
            Obstacle::Paused | Obstacle::NotLooking | Obstacle::Cap(_) | Obstacle::CoolingDown(_) => Step::Available,
        }
    }

    pub fn code(self) -> &'static str {
        match self {
            Obstacle::NoConsent => "no_consent",
            Obstacle::Category => "category",
            Obstacle::NotTargeted => "not_targeted",
            Obstacle::InPlaceOnly => "in_place_only",
            Obstacle::Destination => "destination",
            Obstacle::PayBelow { .. } => "pay_below",
            Obstacle::PayUnstated => "pay_unstated",
            Obstacle::Skills(_) => "skills",
            Obstacle::TooYoung { .. } => "too_young",
            Obstacle::TooOld { .. } => "too_old",
            Obstacle::Paused => "paused",
            Obstacle::NotLooking => "not_looking",
            Obstacle::Cap(_) => "cap_reached",
            Obstacle::CoolingDown(_) => "cooling_down",
        }
    }
}

/// What [`first_failed`] turned on, or none.
pub fn first_obstacle(q: &Question, w: &Seeker, terms: Terms) -> Option<Obstacle> {
    let missing = q.skills & !w.skills;
    Some(match first_failed(q, w, terms)? {
        Step::Registered => Obstacle::NoConsent,
        Step::Category => Obstacle::Category,
        Step::Place if q.homes.as_ref().map_or(q.in_place, |homes| !homes.contains(w.home)) => Obstacle::NotTargeted,
        Step::Place if w.in_place_only => Obstacle::InPlaceOnly,
        Step::Place => Obstacle::Destination,
        Step::Pay => q.pay.map_or(Obstacle::PayUnstated, |pays| Obstacle::PayBelow { pays, least: w.min_monthly_pay }),
        Step::Requirements if missing != 0 => Obstacle::Skills(missing),
        Step::Requirements if age_on(w.birth, terms.today) < q.age_min => Obstacle::TooYoung { least: q.age_min },
        Step::Requirements => Obstacle::TooOld { most: q.age_max },
        Step::Available if w.paused => Obstacle::Paused,
        Step::Available if !w.looking => Obstacle::NotLooking,
        Step::Available if w.open_offers >= terms.cap => Obstacle::Cap(terms.cap),
        Step::Available => Obstacle::CoolingDown(Moment::from_ms(w.cooling_until)),
    })
}

#[cfg(test)]
mod tests {
    use super::super::tests::{TERMS, question, seeker};
    use super::*;
    use crate::domain::region::{Counties, Region};
    use crate::domain::worker::Destinations;
    use jiff::civil::date;
    use proptest::prelude::*;

    fn check(change: impl Fn(&mut Question, &mut Seeker), expected: Option<Obstacle>) {
        let (mut q, mut w) = (question(), seeker());
        w.destinations.any = true;
        change(&mut q, &mut w);
        assert_eq!(first_obstacle(&q, &w, TERMS), expected);
    }

    #[test]
    fn what_a_condition_turned_on_is_named() {
        check(|_, _| {}, None);
        check(|_, w| w.consent = false, Some(Obstacle::NoConsent));
        check(|_, w| w.categories = 1 << 3, Some(Obstacle::Category));
        check(|q, _| q.homes = Some(Counties::default()), Some(Obstacle::NotTargeted));
        check(|q, _| (q.in_place, q.work) = (true, None), Some(Obstacle::NotTargeted));
        check(|_, w| w.in_place_only = true, Some(Obstacle::InPlaceOnly));
        check(|_, w| w.destinations = Destinations::default(), Some(Obstacle::Destination));
        check(|_, w| w.min_monthly_pay = 6001, Some(Obstacle::PayBelow { pays: 6000, least: 6001 }));
        check(|q, w| (q.pay, w.require_stated_pay) = (None, true), Some(Obstacle::PayUnstated));
        check(|q, w| (q.skills, w.skills) = (0b1101, 0b0110), Some(Obstacle::Skills(0b1001)));
        check(|_, w| w.birth = date(2002, 6, 2), Some(Obstacle::TooYoung { least: 18 }));
        check(|_, w| w.birth = date(1964, 6, 1), Some(Obstacle::TooOld { most: 55 }));
        check(|_, w| (w.paused, w.looking) = (true, false), Some(Obstacle::Paused));
        check(|_, w| (w.looking, w.open_offers) = (false, 3), Some(Obstacle::NotLooking));
        check(|_, w| (w.open_offers, w.cooling_until) = (3, i64::MAX), Some(Obstacle::Cap(3)));
        let later = Moment::from_ms(TERMS.now + 1);
        check(|_, w| w.cooling_until = later.ms(), Some(Obstacle::CoolingDown(later)));
    }

    proptest! {
        #[test]
        fn it_belongs_to_the_step_that_fails(bits: u32, home in 0usize..3, age in 15i16..70, pay in 0u32..9000, skills in 0u64..16) {
            let on = |n: u32| bits >> n & 1 == 1;
            let homes = ["522624", "330212", "330203"].map(|code| Region::parse(code).unwrap());
            let in_place = on(0);
            let q = Question {
                in_place,
                work: (!in_place).then_some(homes[1]),
                homes: on(1).then(|| homes[..2].iter().copied().collect()),
                pay: on(2).then_some(5000),
                skills: 0b11,
                ..question()
            };
            let w = Seeker {
                home: homes[home],
                birth: date(2020 - age, 6, 1),
                consent: !(on(3) && on(4)),
                categories: u32::from(on(5)) << 3,
                destinations: Destinations { any: on(6), provinces: Vec::new() },
                in_place_only: on(7),
                require_stated_pay: on(8),
                min_monthly_pay: pay,
                skills: skills | (u64::from(on(9)) * 3),
                paused: on(10) && on(11),
                looking: on(12) || on(13),
                open_offers: bits >> 14 & 3,
                cooling_until: TERMS.now + i64::from(on(16)),
                ..seeker()
            };
            prop_assert_eq!(first_obstacle(&q, &w, TERMS).map(Obstacle::step), first_failed(&q, &w, TERMS));
        }
    }
}
