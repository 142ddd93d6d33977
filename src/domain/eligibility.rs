//! Who may be offered a posting: one list of conditions in a fixed order, so that
//! the funnel, the explanation and the choice itself cannot disagree.

mod obstacle;

pub use obstacle::{Obstacle, first_obstacle};

use super::pay::Money;
use super::posting::{Arrangement, Content};
use super::region::{Counties, Region};
use super::skill::Skill;
use super::time::age_on;
use super::worker::Seeker;
use jiff::civil::Date;

/// What a posting asks of a worker, compiled once for many workers.
#[derive(Clone, Debug)]
pub struct Question {
    pub category: u32,
    pub skills: u64,
    pub age_min: u8,
    pub age_max: u8,
    /// The best month's pay in yuan; none where the pay is not said.
    pub pay: Option<u32>,
    pub in_place: bool,
    /// Where the work is (on site).
    pub work: Option<Region>,
    /// The home counties it is aimed at; none means anybody.
    pub homes: Option<Counties>,
    /// Breaks ties differently for each posting, so that they are fair.
    pub seed: u64,
}

impl Question {
    /// Compiles a posting. None where an on-site posting has no resolved place:
    /// it is kept, and not routed.
    pub fn of(content: &Content, seed: u64) -> Option<Self> {
        let in_place = content.arrangement == Arrangement::InPlace;
        let work = content.job_location.region.filter(|r| *r != Region::NATION);
        if !in_place && work.is_none() {
            return None;
        }
        let skills = content.requirements.skills.iter().filter_map(|code| Skill::parse(code)).fold(0, |mask, s| mask | s.bit());
        Some(Self {
            category: content.category.bit(),
            skills,
            age_min: content.requirements.age_min.unwrap_or(0),
            age_max: content.requirements.age_max.unwrap_or(u8::MAX),
            pay: content.base_salary.monthly_best().map(whole_yuan),
            in_place,
            work,
            homes: content.target_counties(),
            seed,
        })
    }
}

fn whole_yuan(money: Money) -> u32 {
    u32::try_from(money.units_rounded()).unwrap_or(0)
}

/// A condition, in the order in which they are asked. The funnel of a posting
/// counts, for each step, who passed it and all before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    /// Consent given and not withdrawn.
    Registered,
    Category,
    Place,
    Pay,
    /// Skills and age.
    Requirements,
    /// Not paused, looking, under the cap, not cooling down.
    Available,
}

impl Step {
    pub const ALL: [Step; 6] = [Step::Registered, Step::Category, Step::Place, Step::Pay, Step::Requirements, Step::Available];

    pub fn code(self) -> &'static str {
        match self {
            Step::Registered => "registered",
            Step::Category => "category",
            Step::Place => "place",
            Step::Pay => "pay",
            Step::Requirements => "requirements",
            Step::Available => "available",
        }
    }
}

/// When the question is asked, and the cap on open offers.
#[derive(Clone, Copy, Debug)]
pub struct Terms {
    /// Milliseconds since 1970.
    pub now: i64,
    pub today: Date,
    pub cap: u32,
}

/// The first condition that this worker fails, or none.
pub fn first_failed(q: &Question, w: &Seeker, terms: Terms) -> Option<Step> {
    let age = || age_on(w.birth, terms.today);
    let holds = |step| match step {
        Step::Registered => w.consent,
        Step::Category => w.categories == 0 || w.categories & q.category != 0,
        Step::Place => place_suits(q, w),
        Step::Pay => match q.pay {
            Some(pay) => w.min_monthly_pay <= pay,
            None => !w.require_stated_pay,
        },
        Step::Requirements => w.skills & q.skills == q.skills && (q.age_min..=q.age_max).contains(&age()),
        Step::Available => !w.paused && w.looking && w.open_offers < terms.cap && w.cooling_until <= terms.now,
    };
    Step::ALL.into_iter().find(|step| !holds(*step))
}

fn place_suits(q: &Question, w: &Seeker) -> bool {
    if let Some(homes) = &q.homes
        && !homes.contains(w.home)
    {
        return false;
    }
    if q.in_place {
        return q.homes.is_some();
    }
    if w.in_place_only {
        return false;
    }
    match q.work {
        Some(work) if work == w.home => true,
        Some(work) => w.destinations.any || work.province().is_some_and(|p| w.destinations.provinces.contains(&p)),
        None => false,
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::domain::category::Category;
    use crate::domain::worker::{Destinations, Tier};
    use jiff::civil::date;

    pub fn seeker() -> Seeker {
        Seeker {
            handle: 1,
            home: Region::parse("522624").unwrap(),
            birth: date(1990, 1, 1),
            tier: Tier::NotLifted,
            consent: true,
            paused: false,
            looking: true,
            categories: 0,
            destinations: Destinations::default(),
            in_place_only: false,
            min_monthly_pay: 3000,
            require_stated_pay: false,
            skills: 0,
            seeking_since: date(2020, 3, 1),
            cooling_until: 0,
            displaced_until: 0,
            open_offers: 0,
        }
    }

    pub fn question() -> Question {
        Question {
            category: Category::DeliveryRider.bit(),
            skills: 0,
            age_min: 18,
            age_max: 55,
            pay: Some(6000),
            in_place: false,
            work: Region::parse("330212"),
            homes: None,
            seed: 0,
        }
    }

    pub const TERMS: Terms = Terms { now: 1_590_940_800_000, today: date(2020, 6, 1), cap: 3 };

    fn check(change: impl Fn(&mut Question, &mut Seeker)) -> Option<Step> {
        let (mut q, mut w) = (question(), seeker());
        w.destinations.any = true;
        change(&mut q, &mut w);
        first_failed(&q, &w, TERMS)
    }

    #[test]
    fn each_condition_is_named_when_it_fails() {
        assert_eq!(check(|_, _| {}), None);
        assert_eq!(check(|_, w| w.consent = false), Some(Step::Registered));
        assert_eq!(check(|_, w| w.categories = Category::Driver.bit()), Some(Step::Category));
        assert_eq!(check(|_, w| w.min_monthly_pay = 6001), Some(Step::Pay));
        assert_eq!(check(|q, _| q.skills = 2), Some(Step::Requirements));
        assert_eq!(check(|_, w| w.birth = date(1965, 5, 31)), None);
        assert_eq!(check(|_, w| w.birth = date(1964, 6, 1)), Some(Step::Requirements));
        assert_eq!(check(|_, w| w.paused = true), Some(Step::Available));
        assert_eq!(check(|_, w| w.looking = false), Some(Step::Available));
        assert_eq!(check(|_, w| w.open_offers = 3), Some(Step::Available));
        assert_eq!(check(|_, w| w.cooling_until = TERMS.now + 1), Some(Step::Available));
    }

    #[test]
    fn unstated_pay_passes_unless_the_worker_wants_it_stated() {
        assert_eq!(check(|q, _| q.pay = None), None);
        assert_eq!(
            check(|q, w| {
                q.pay = None;
                w.require_stated_pay = true;
            }),
            Some(Step::Pay)
        );
    }

    #[test]
    fn place_is_home_or_a_wished_province_or_a_target_at_home() {
        let zhejiang = Region::parse("330000").unwrap();
        let wish = |w: &mut Seeker, p: Option<Region>| w.destinations = Destinations { any: false, provinces: p.into_iter().collect() };
        assert_eq!(check(|_, w| wish(w, None)), Some(Step::Place));
        assert_eq!(check(|_, w| wish(w, Some(zhejiang))), None);
        assert_eq!(
            check(|q, w| {
                wish(w, None);
                q.work = Some(w.home);
            }),
            None
        );
        assert_eq!(check(|_, w| w.in_place_only = true), Some(Step::Place));
        assert_eq!(check(|q, _| q.homes = Some(Counties::default())), Some(Step::Place));
        assert_eq!(
            check(|q, w| {
                q.in_place = true;
                q.work = None;
                w.in_place_only = true;
                q.homes = Some([w.home].into_iter().collect());
            }),
            None
        );
    }
}
