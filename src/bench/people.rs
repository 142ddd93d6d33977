//! Invented workers and postings with the skew of real ones, each drawn from a seed
//! and its number alone: Zipf homes, wishes and skills, log-normal pay.

use crate::domain::category::Category;
use crate::domain::eligibility::Question;
use crate::domain::ranking::mix;
use crate::domain::region::{Counties, Region};
use crate::domain::worker::{Destinations, Seeker, Tier};
use jiff::ToSpan;
use jiff::civil::{Date, date};

/// The day on which everything happens.
pub const TODAY: Date = date(2026, 11, 2);
/// The category that next to nobody wants.
const UNWANTED: usize = 13;
/// The provinces that send and ask for workers.
const PROVINCES: usize = 31;

/// Numbers from one seed.
pub struct Draw(u64);

impl Draw {
    pub fn new(seed: u64, n: u64) -> Self {
        Self(mix(seed ^ mix(n)))
    }

    pub fn below(&mut self, n: u64) -> u64 {
        self.0 = mix(self.0);
        ((u128::from(self.0) * u128::from(n)) >> 64) as u64
    }

    /// From 0 up to 1.
    pub fn unit(&mut self) -> f64 {
        self.below(1 << 53) as f64 / (1u64 << 53) as f64
    }

    pub fn chance(&mut self, share: f64) -> bool {
        self.unit() < share
    }

    /// Failures before the first success.
    fn geometric(&mut self, success: f64) -> usize {
        ((1.0 - self.unit()).ln() / (1.0 - success).ln()) as usize
    }

    /// Box and Muller's transform (Annals of Mathematical Statistics 29, 1958).
    fn normal(&mut self) -> f64 {
        (-2.0 * (1.0 - self.unit()).ln()).sqrt() * (std::f64::consts::TAU * self.unit()).cos()
    }

    fn log_normal(&mut self, median: f64, sigma: f64) -> f64 {
        median * (sigma * self.normal()).exp()
    }
}

/// Ranks with the weight 1 ÷ rank^s.
struct Zipf(Vec<f64>);

impl Zipf {
    fn new(n: usize, s: f64) -> Self {
        let mut sum = 0.0;
        let up: Vec<f64> = (1..=n)
            .map(|rank| {
                sum += (rank as f64).powf(-s);
                sum
            })
            .collect();
        Self(up.into_iter().map(|x| x / sum).collect())
    }

    fn draw(&self, d: &mut Draw) -> usize {
        let at = d.unit();
        self.0.partition_point(|x| *x <= at).min(self.0.len() - 1)
    }
}

/// What is drawn from.
pub struct Nation {
    seed: u64,
    /// Counties of each province, the most populous first.
    provinces: Vec<(Region, Vec<Region>)>,
    across: Zipf,
    within: Vec<Zipf>,
    wished: Zipf,
    asked: Vec<Zipf>,
    trades: Zipf,
    skills: Zipf,
    skills_asked: Zipf,
    /// This share began to seek on one day.
    bulk: f64,
}

impl Nation {
    pub fn new(seed: u64, bulk: f64) -> Self {
        let provinces: Vec<(Region, Vec<Region>)> =
            Region::NATION.children().iter().take(PROVINCES).map(|p| (*p, p.leaves().to_vec())).collect();
        let of = |s: f64| provinces.iter().map(|(_, counties)| Zipf::new(counties.len(), s)).collect();
        Self {
            seed,
            across: Zipf::new(PROVINCES, 0.6),
            within: of(0.7),
            wished: Zipf::new(PROVINCES, 1.0),
            asked: of(1.0),
            trades: Zipf::new(14, 0.8),
            skills: Zipf::new(64, 1.1),
            skills_asked: Zipf::new(64, 0.8),
            provinces,
            bulk,
        }
    }

    fn home(&self, d: &mut Draw) -> (usize, Region) {
        let province = self.across.draw(d);
        (province, self.provinces[province].1[self.within[province].draw(d)])
    }

    /// Which provinces are wished for is another order than which send most.
    fn wish(&self, d: &mut Draw) -> usize {
        (self.wished.draw(d) * 7 + 18) % PROVINCES
    }

    fn trade(&self, d: &mut Draw) -> u32 {
        if d.chance(0.0005) {
            return Category::ALL[UNWANTED].bit();
        }
        let at = self.trades.draw(d);
        Category::ALL[at + usize::from(at >= UNWANTED)].bit()
    }

    /// The worker with this handle.
    pub fn seeker(&self, handle: u32) -> Seeker {
        let d = &mut Draw::new(self.seed, u64::from(handle));
        let (province, home) = self.home(d);
        let kind = d.unit();
        let mut provinces = Vec::new();
        if kind >= 0.36 {
            if d.chance(0.7) {
                provinces.push(self.provinces[province].0);
            }
            (0..1 + d.geometric(0.6)).for_each(|_| provinces.push(self.provinces[self.wish(d)].0));
            provinces.sort_unstable();
            provinces.dedup();
        }
        let rank = d.unit();
        let days = if d.chance(self.bulk) { 400 } else { (-150.0 * (1.0 - d.unit()).ln()).min(2500.0) as i32 };
        let offers = d.unit();
        Seeker {
            handle,
            home,
            // Triangular from 16 to 66.
            birth: TODAY.saturating_sub((((16.0 + 25.0 * (d.unit() + d.unit())) * 365.25) as i32).days()),
            tier: if rank < 0.2 {
                Tier::NotLifted
            } else if rank < 0.7 {
                Tier::AtRisk
            } else {
                Tier::Lifted
            },
            consent: true,
            paused: false,
            looking: d.chance(0.45),
            categories: (0..1 + d.geometric(0.6)).fold(0, |mask, _| mask | self.trade(d)),
            destinations: Destinations { any: (0.30..0.36).contains(&kind), provinces },
            in_place_only: kind < 0.30,
            min_monthly_pay: (d.log_normal(3500.0, 0.35) / 50.0) as u32 * 50,
            require_stated_pay: d.chance(0.1),
            skills: (0..d.geometric(0.67)).fold(0, |mask, _| mask | 1 << self.skills.draw(d)),
            seeking_since: TODAY.saturating_sub(days.days()),
            cooling_until: 0,
            displaced_until: if rank < 0.08 { i64::MAX } else { 0 },
            open_offers: [0.70, 0.88, 0.96].iter().filter(|share| offers >= **share).count() as u32,
        }
    }

    fn posting(&self, d: &mut Draw) -> (Question, usize) {
        let province = self.wish(d);
        let county = self.provinces[province].1[self.asked[province].draw(d)];
        let in_place = d.chance(0.25);
        let counties = 1 + d.below(20);
        let homes: Option<Counties> = in_place.then(|| (0..counties).map(|_| self.home(d).1).collect());
        let kind = d.unit();
        let asked = usize::from(kind >= 0.5) + usize::from(kind >= 0.85);
        let openings = (200f64.ln() * d.unit()).exp();
        let unwanted = d.chance(0.03);
        let ages = d.chance(0.6).then(|| 35 + d.below(26) as u8);
        let question = Question {
            category: if unwanted { Category::ALL[UNWANTED].bit() } else { self.trade(d) },
            skills: (0..asked).fold(0, |mask, _| mask | 1 << self.skills_asked.draw(d)),
            age_min: if ages.is_some() { 18 } else { 0 },
            age_max: ages.unwrap_or(u8::MAX),
            pay: Some(d.log_normal(4500.0, 0.25) as u32),
            in_place,
            work: (!in_place).then_some(county),
            homes,
            seed: d.below(u64::MAX),
        };
        (question, (openings as usize * 3).clamp(3, 600))
    }

    /// A posting of the usual mix, and how many offers it wants.
    pub fn question(&self, n: u64) -> (Question, usize) {
        self.posting(&mut Draw::new(self.seed ^ 0xa11, n))
    }

    /// A posting that is hard to answer: two rare skills, a trade nobody wants, pay
    /// below the market, two skills of the middle, 200 counties.
    pub fn hard_question(&self, n: u64) -> (Question, usize) {
        let d = &mut Draw::new(self.seed ^ 0xb22, n);
        let (mut q, k) = self.posting(d);
        match n % 5 {
            0 => q.skills = 1 << (50 + d.below(14)) | 1 << (50 + d.below(14)),
            1 => q.category = Category::ALL[UNWANTED].bit(),
            2 => q.pay = Some(1500 + d.below(300) as u32),
            3 => q.skills = 1 << (8 + d.below(12)) | 1 << (8 + d.below(12)),
            _ => {
                (q.in_place, q.work) = (true, None);
                q.homes = Some((0..200).map(|_| self.home(d).1).collect());
            }
        }
        (q, k)
    }
}
