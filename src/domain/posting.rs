//! A posting: what a platform says of its work, read and normalized. The names
//! are those of schema.org `JobPosting` where it has them.

use super::category::Category;
use super::pay::Pay;
use super::region::{Counties, Region, focus_set};
use jiff::civil::Date;
use serde::{Deserialize, Serialize};

/// All that a platform says of one posting.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Content {
    /// The platform's own id.
    pub source_id: String,
    pub title: String,
    #[serde(default)]
    pub description: Option<String>,
    pub category: Category,
    #[serde(default)]
    pub occupation: Option<Occupation>,
    pub hiring_organization: Organization,
    pub job_location: Place,
    pub arrangement: Arrangement,
    /// Whose people it is aimed at; empty means anybody (on_site only).
    pub target_regions: Vec<Target>,
    pub base_salary: Pay,
    /// How many the platform says it wants, at least 1.
    pub total_job_openings: u32,
    /// At most so many of them from one home county, at least 1 (in_place only).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub openings_per_county: Option<u32>,
    /// schema.org words, such as `FULL_TIME`.
    pub employment_type: Vec<String>,
    /// The work begins at once: it is routed without waiting for a batch.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub job_immediate_start: bool,
    pub requirements: Requirements,
    /// `lodging meals transport training`, or words of the platform's own.
    pub job_benefits: Vec<String>,
    pub date_posted: Date,
    /// The last day on which it may be answered.
    pub valid_through: Date,
    #[serde(default)]
    pub url: Option<String>,
    /// What the platform says of it; see [`Status`] for what it comes to.
    pub status: Declared,
    /// Codes of what could not be read or was left out, such as
    /// `sex_restriction_dropped`.
    pub warnings: Vec<String>,
}

impl Content {
    /// The home counties behind its target regions; none where it is for anybody.
    pub fn target_counties(&self) -> Option<Counties> {
        (!self.target_regions.is_empty()).then(|| counties(&self.target_regions))
    }
}

/// Codes of the trade in the Chinese classification (2022) and ISCO-08.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Occupation {
    pub gb: Option<String>,
    pub isco08: Option<String>,
}

/// Who hires.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Organization {
    pub name: Option<String>,
    pub kind: OrganizationKind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OrganizationKind {
    Platform,
    LeadingEnterprise,
    Workshop,
    PublicWelfare,
    Other,
}

/// Where the work is; `region` is the smallest division the text names beyond doubt.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    pub text: Option<String>,
    pub region: Option<Region>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Arrangement {
    /// The worker goes to the place of work.
    OnSite,
    /// The work comes to the worker: at home or in a workshop of the home county.
    InPlace,
}

/// A place or a focus set that a posting is aimed at: `520000`, `set:listed-52`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Target {
    Region(Region),
    /// A known focus set's name.
    Set(String),
}

impl Target {
    /// Reads a current division code or `set:NAME` of a known set.
    pub fn parse(text: &str) -> Option<Self> {
        match text.strip_prefix("set:") {
            Some(name) => focus_set(name).map(|_| Target::Set(name.to_owned())),
            None => Region::parse(text).map(Target::Region),
        }
    }
}

impl TryFrom<String> for Target {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        Target::parse(&text).ok_or_else(|| format!("unknown target region {text:?}"))
    }
}

impl From<Target> for String {
    fn from(target: Target) -> String {
        match target {
            Target::Region(region) => region.to_string(),
            Target::Set(name) => format!("set:{name}"),
        }
    }
}

/// The counties behind codes and sets, each once.
pub fn counties(targets: &[Target]) -> Counties {
    let mut counties = Counties::default();
    for target in targets {
        match target {
            Target::Region(region) => counties.extend(region.leaves().iter().copied()),
            Target::Set(name) => counties.extend(focus_set(name).into_iter().flat_map(|set| set.counties().iter().copied())),
        }
    }
    counties
}

/// What the work asks of a person. Sex is never among it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Requirements {
    pub age_min: Option<u8>,
    pub age_max: Option<u8>,
    /// Codes of config/skills.toml.
    pub skills: Vec<String>,
}

/// What the platform declares.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Declared {
    Open,
    Paused,
    Closed,
}

/// What a posting is in: the declaration, the clock and the seats together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    Open,
    Paused,
    Filled,
    Closed,
    Expired,
}

impl Status {
    /// The one rule of what a posting is in. It is full where nobody can take a
    /// seat: a seat held for the waitlist is taken.
    pub fn of(declared: Declared, expired: bool, full: bool) -> Self {
        match declared {
            Declared::Closed => Status::Closed,
            _ if expired => Status::Expired,
            _ if full => Status::Filled,
            Declared::Paused => Status::Paused,
            Declared::Open => Status::Open,
        }
    }

    pub fn code(self) -> &'static str {
        match self {
            Status::Open => "open",
            Status::Paused => "paused",
            Status::Filled => "filled",
            Status::Closed => "closed",
            Status::Expired => "expired",
        }
    }

    pub fn parse(code: &str) -> Option<Self> {
        [Status::Open, Status::Paused, Status::Filled, Status::Closed, Status::Expired].into_iter().find(|s| s.code() == code)
    }
}

/// What is wrong with one field of a record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Fault {
    /// RFC 6901, relative to the record.
    pub pointer: String,
    /// `missing invalid_type out_of_range unknown_value target_regions_missing
    /// too_long unreadable`.
    pub code: &'static str,
    /// One sentence, with no personal data.
    pub detail: String,
}

impl Fault {
    pub fn new(pointer: impl Into<String>, code: &'static str, detail: impl Into<String>) -> Self {
        Self { pointer: pointer.into(), code, detail: detail.into() }
    }
}
