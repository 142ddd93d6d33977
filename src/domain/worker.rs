//! A registered worker: what the registry says of them, and what routing knows.

use super::category::Category;
use super::person::{IdNumber, PersonName, Phone};
use super::region::Region;
use super::skill::Skill;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};

/// Where a registered-poor person stands in the programme. All of them are
/// registered and count; who was lifted out stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Tier {
    NotLifted,
    AtRisk,
    Lifted,
}

impl Tier {
    pub const ALL: [Tier; 3] = [Tier::NotLifted, Tier::AtRisk, Tier::Lifted];

    pub fn code(self) -> &'static str {
        match self {
            Tier::NotLifted => "not_lifted",
            Tier::AtRisk => "at_risk",
            Tier::Lifted => "lifted",
        }
    }

    pub fn title_zh(self) -> &'static str {
        match self {
            Tier::NotLifted => "未脱贫",
            Tier::AtRisk => "监测",
            Tier::Lifted => "已脱贫",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|t| t.code() == text || t.title_zh() == text)
    }
}

/// The provinces a worker would go to. Empty means the home county only.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Destinations {
    /// `*`: any province.
    pub any: bool,
    pub provinces: Vec<Region>,
}

/// One row of a registry, read. `None` keeps what the store has; the inner
/// `None` of a double option clears it.
#[derive(Clone, Debug)]
pub struct Registration {
    pub id_number: IdNumber,
    pub name: Option<PersonName>,
    pub phone: Option<Phone>,
    pub home_region: Region,
    pub home_since: Option<Date>,
    pub consent: Option<Date>,
    pub tier: Option<Tier>,
    pub tier_since: Option<Date>,
    pub relocated: Option<bool>,
    pub seeking_since: Option<Date>,
    pub wishes: Wishes,
}

/// What a worker asks of work; each field given replaces the stored one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wishes {
    /// A mask of [`Category::bit`]; 0 accepts any.
    pub categories: Option<u32>,
    pub destinations: Option<Destinations>,
    pub in_place_only: Option<bool>,
    /// Yuan a month.
    pub min_monthly_pay: Option<u32>,
    pub require_stated_pay: Option<bool>,
    /// A mask of [`Skill::bit`].
    pub skills: Option<u64>,
    pub paused: Option<bool>,
    pub looking: Option<bool>,
}

/// The codes of a category mask.
pub fn category_codes(mask: u32) -> Vec<&'static str> {
    Category::ALL.into_iter().filter(|c| mask & c.bit() != 0).map(Category::code).collect()
}

/// The codes of a skill mask.
pub fn skill_codes(mask: u64) -> Vec<&'static str> {
    Skill::all().filter(|s| mask & s.bit() != 0).map(Skill::code).collect()
}

/// What routing knows of a worker: nothing here identifies a person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seeker {
    /// Dense number in the store; no UUID stands in an index.
    pub handle: u32,
    /// The home, a division without children.
    pub home: Region,
    pub birth: Date,
    pub tier: Tier,
    /// Consent given and not withdrawn.
    pub consent: bool,
    pub paused: bool,
    pub looking: bool,
    pub categories: u32,
    pub destinations: Destinations,
    pub in_place_only: bool,
    pub min_monthly_pay: u32,
    pub require_stated_pay: bool,
    pub skills: u64,
    pub seeking_since: Date,
    /// No offers before this moment, after a decline.
    pub cooling_until: i64,
    /// Lost a job; rank 0 until this moment.
    pub displaced_until: i64,
    /// Unanswered offers on postings that are not filled.
    pub open_offers: u32,
}
