//! People for the tests of reports, and the cells that count them.

use crate::domain::account::{Account, HireFrame, HireState};
use crate::domain::category::Category;
use crate::domain::hire::{Fact, Flow, Life, Tags, focus_of};
use crate::domain::id::{HireId, v7};
use crate::domain::region::Region;
use crate::domain::worker::Tier;
use crate::store::cells::Cells;
use jiff::civil::date;

pub fn at(code: &str) -> Region {
    Region::parse(code).unwrap()
}

/// One hire with its life.
#[derive(Clone, Debug)]
pub struct Counted {
    pub id: HireId,
    platform: String,
    home: Region,
    work: Option<Region>,
    flow: Flow,
    category: Category,
    tags: Tags,
    pub life: Life,
}

/// A hire from a home to a place of work, started on 2020-08-10 unless its facts
/// say otherwise.
#[derive(Clone, Debug)]
pub struct Actor {
    home: Region,
    pub hires: Vec<Counted>,
    tier: Tier,
}

pub fn from(home: &str) -> Actor {
    Actor { home: at(home), hires: Vec::new(), tier: Tier::NotLifted }
}

impl Actor {
    pub fn works(self, work: Option<Region>) -> Self {
        let flow = Flow::of(self.home, false, work, None).0;
        self.hired(work, flow, vec![Fact::Started(date(2020, 8, 10))])
    }

    pub fn works_in(self, work: &str) -> Self {
        self.works(Some(at(work)))
    }

    pub fn works_in_place(self) -> Self {
        let home = self.home;
        self.hired(Some(home), Flow::InPlace, vec![Fact::Started(date(2020, 8, 10))])
    }

    pub fn hired(mut self, work: Option<Region>, flow: Flow, facts: Vec<Fact>) -> Self {
        let tags = Tags {
            registered_poor: true,
            tier_at_hire: self.tier,
            focus: focus_of(self.home),
            home_region: self.home,
            work_region: work,
            flow,
            relocated: false,
            registry_version: 1,
            region_revision: "2024-12-31".to_owned(),
            rule_version: "tags-1".to_owned(),
        };
        let id = HireId::new(v7(1_600_000_000_000 + self.hires.len() as i64, 0));
        let (home, life) = (self.home, Life { facts, ..Life::default() });
        self.hires.push(Counted { id, platform: "meituan".to_owned(), home, work, flow, category: Category::DeliveryRider, tags, life });
        self
    }

    pub fn at(mut self, platform: &str, category: Category) -> Self {
        let hire = self.hires.last_mut().unwrap();
        (hire.platform, hire.category) = (platform.to_owned(), category);
        self
    }

    pub fn facts(mut self, facts: &[Fact]) -> Self {
        self.hires.last_mut().unwrap().life.facts = facts.to_vec();
        self
    }

    pub fn is(mut self, tier: Tier) -> Self {
        self.tier = tier;
        self
    }
}

/// The cells that count these people.
pub fn cells(people: &[Actor]) -> Cells {
    Cells::of(accounts(people).iter())
}

/// What is counted of these people.
fn accounts(people: &[Actor]) -> Vec<Account> {
    let state = |h: &Counted| {
        let frame = HireFrame {
            platform: &h.platform,
            category: h.category,
            home: h.home,
            work: h.work,
            flow: h.flow,
            tags: &h.tags,
            hired_on: date(2020, 8, 1),
            end_reason: None,
            monthly_pay: None,
        };
        Some((h.id.uuid(), HireState::of(frame, &h.life, 3)?.into()))
    };
    let account = |a: &Actor| Account { tiers: [(date(2019, 1, 1), a.tier)].into(), hires: a.hires.iter().filter_map(state).collect() };
    people.iter().map(account).collect()
}
