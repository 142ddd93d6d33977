//! What a report is asked for: parameters, read and cut to the caller's region.

pub use crate::domain::cells::Axis;
use crate::domain::region::{FocusSet, Level, Region, RegionFault, focus_set, resolve_code};
use crate::domain::time::Period;
use crate::store::cells::Fine;
use jiff::civil::Date;

/// Parameters as they came; an empty one counts as absent, since forms send
/// every field.
#[derive(Clone, Copy, Debug, Default)]
pub struct Params<'a> {
    pub period: Option<&'a str>,
    pub region: Option<&'a str>,
    pub level: Option<&'a str>,
    pub axis: Option<&'a str>,
    pub by: Option<&'a str>,
    /// A position in the ledger.
    pub as_of: Option<&'a str>,
}

/// The reports there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Name {
    Employment,
    Routing,
    Flows,
    Platforms,
    Months,
}

/// A report's question, read.
#[derive(Clone, Debug)]
pub struct Query {
    pub period: Period,
    pub scope: Scope,
    /// How fine the rows are.
    pub level: Level,
    /// The caller named the level.
    pub level_asked: bool,
    pub axis: Axis,
    pub by: Option<By>,
    /// As it stood when the ledger had so many entries; none: as it stands.
    pub as_of: Option<i64>,
}

/// The part of the country a report is about.
#[derive(Clone, Copy, Debug)]
pub enum Scope {
    Region(Region),
    /// The counties of a focus set that lie within a region.
    Set(&'static FocusSet, Region),
}

/// What rows are split by, besides the region.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    Tier,
    TierAtHire,
    Focus,
    Platform,
    Category,
    Flow,
}

/// Why a question cannot be answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QueryFault {
    PeriodInvalid,
    /// The period has not begun.
    PeriodInFuture,
    RegionUnknown,
    /// A retired code with several successors or none.
    RegionAmbiguous,
    /// Outside the caller's own region.
    RegionForbidden,
    UnknownSet,
    /// No level, or a coarser one than the region asked for.
    LevelInvalid,
    AxisInvalid,
    ByInvalid,
    AsOfInvalid,
}

impl QueryFault {
    pub fn code(self) -> &'static str {
        match self {
            QueryFault::PeriodInvalid => "period_invalid",
            QueryFault::PeriodInFuture => "period_in_future",
            QueryFault::RegionUnknown => "region_unknown",
            QueryFault::RegionAmbiguous => "region_ambiguous",
            QueryFault::RegionForbidden => "region_forbidden",
            QueryFault::UnknownSet => "unknown_set",
            QueryFault::LevelInvalid => "level_invalid",
            QueryFault::AxisInvalid => "axis_invalid",
            QueryFault::ByInvalid => "by_invalid",
            QueryFault::AsOfInvalid => "as_of_invalid",
        }
    }

    /// What it may be.
    pub fn detail(self) -> &'static str {
        match self {
            QueryFault::PeriodInvalid => "is a year, a quarter or a month: 2020, 2020Q3, 2020-09",
            QueryFault::PeriodInFuture => "has not begun yet",
            QueryFault::RegionUnknown => "is a six-digit code of a division, or set:NAME",
            QueryFault::RegionAmbiguous => "was divided or dissolved; name one of today's divisions",
            QueryFault::RegionForbidden => "lies outside this office's own region",
            QueryFault::UnknownSet => "names no set of counties there is",
            QueryFault::LevelInvalid => "is nation, province, prefecture or county, and no coarser than the region",
            QueryFault::AxisInvalid => "is home or work, and home alone where a report has no other",
            QueryFault::ByInvalid => "is no split that this report has",
            QueryFault::AsOfInvalid => "is a position in the ledger, from 0 on, and none for routing",
        }
    }

    /// The parameter at fault.
    pub fn parameter(self) -> &'static str {
        match self {
            QueryFault::PeriodInvalid | QueryFault::PeriodInFuture => "period",
            QueryFault::RegionUnknown | QueryFault::RegionAmbiguous | QueryFault::RegionForbidden | QueryFault::UnknownSet => "region",
            QueryFault::LevelInvalid => "level",
            QueryFault::AxisInvalid => "axis",
            QueryFault::ByInvalid => "by",
            QueryFault::AsOfInvalid => "as_of",
        }
    }
}

impl Name {
    pub const ALL: [Name; 5] = [Name::Employment, Name::Flows, Name::Platforms, Name::Routing, Name::Months];

    pub fn code(self) -> &'static str {
        match self {
            Name::Employment => "employment",
            Name::Routing => "routing",
            Name::Flows => "flows",
            Name::Platforms => "platforms",
            Name::Months => "months",
        }
    }

    pub fn parse(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|n| n.code() == code)
    }
}

impl Query {
    /// How finely its rows tell places apart. A set is one of counties, whoever asks for it
    /// or is shown it.
    pub fn fine(&self) -> Fine {
        let by_county = self.level == Level::County || (self.by == Some(By::Focus) && self.axis == Axis::Home);
        match self.scope {
            Scope::Region(_) if !by_county => Fine::Level(self.level),
            _ => Fine::Places,
        }
    }

    /// The same where all of its places are one.
    pub fn of_all(&self) -> Fine {
        match self.scope {
            Scope::Region(region) => Fine::One(region),
            Scope::Set(..) => Fine::Places,
        }
    }

    /// Reads the parameters for a caller who may see `own` and what lies in it.
    pub fn parse(params: Params<'_>, own: Region) -> Result<Query, QueryFault> {
        let period = Period::parse(params.period.unwrap_or("")).ok_or(QueryFault::PeriodInvalid)?;
        let scope = match present(params.region) {
            None => Scope::Region(own),
            Some(text) => Scope::parse(text, own)?,
        };
        let level = match present(params.level) {
            None => scope.default_level(),
            Some(text) => Level::parse(text).filter(|l| scope.has_rows_of(*l)).ok_or(QueryFault::LevelInvalid)?,
        };
        let axis = match present(params.axis) {
            None => Axis::Home,
            Some(text) => Axis::parse(text).ok_or(QueryFault::AxisInvalid)?,
        };
        let by = present(params.by).filter(|text| *text != "none");
        let by = by.map(|text| By::parse(text).ok_or(QueryFault::ByInvalid)).transpose()?;
        let as_of =
            present(params.as_of).map(|text| text.parse().ok().filter(|seq| *seq >= 0).ok_or(QueryFault::AsOfInvalid)).transpose()?;
        let level_asked = present(params.level).is_some();
        Ok(Query { period, scope, level, level_asked, axis, by, as_of })
    }

    /// Refuses a split, where a report has none.
    pub fn unsplit(&self) -> Result<(), QueryFault> {
        if self.by.is_some() { Err(QueryFault::ByInvalid) } else { Ok(()) }
    }

    /// Refuses what a report of homes alone has no rows for.
    pub fn by_home_alone(&self) -> Result<(), QueryFault> {
        match (self.axis, self.by) {
            (Axis::Work, _) => Err(QueryFault::AxisInvalid),
            (_, Some(_)) => Err(QueryFault::ByInvalid),
            (Axis::Home, None) => Ok(()),
        }
    }

    /// The report's day: the period's last, or today while it runs.
    pub fn day(&self, today: Date) -> Result<Date, QueryFault> {
        if self.period.first_day() > today {
            return Err(QueryFault::PeriodInFuture);
        }
        Ok(self.period.last_day().min(today))
    }
}

fn present(text: Option<&str>) -> Option<&str> {
    text.filter(|t| !t.is_empty())
}

impl Scope {
    fn parse(text: &str, own: Region) -> Result<Scope, QueryFault> {
        if let Some(name) = text.strip_prefix("set:") {
            return focus_set(name).map(|set| Scope::Set(set, own)).ok_or(QueryFault::UnknownSet);
        }
        let region = resolve_code(text).map_err(|fault| match fault {
            RegionFault::Unknown => QueryFault::RegionUnknown,
            RegionFault::Ambiguous => QueryFault::RegionAmbiguous,
        })?;
        if region.is_within(own) { Ok(Scope::Region(region)) } else { Err(QueryFault::RegionForbidden) }
    }

    /// Whether somebody at this place is counted. A place coarser than a county
    /// is in a set when all its counties are.
    pub fn holds(self, place: Region) -> bool {
        match self {
            Scope::Region(region) => place.is_within(region),
            Scope::Set(set, own) => place.is_within(own) && place.leaves().iter().all(|leaf| set.contains(*leaf)),
        }
    }

    /// The code, or `set:NAME`.
    pub fn code(self) -> String {
        match self {
            Scope::Region(region) => region.to_string(),
            Scope::Set(set, _) => format!("set:{}", set.name),
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            Scope::Region(region) => region.name(),
            Scope::Set(set, _) => set.title_zh,
        }
    }

    /// The rows of this level that have a part in it.
    pub fn rows(self, level: Level) -> Vec<Region> {
        match self {
            Scope::Region(region) => region.rows(level),
            Scope::Set(_, own) => own.rows(level).into_iter().filter(|row| row.leaves().iter().any(|leaf| self.holds(*leaf))).collect(),
        }
    }

    /// The leaf divisions in it, by code.
    pub fn homes(self) -> Vec<Region> {
        self.bound().leaves().iter().copied().filter(|leaf| self.holds(*leaf)).collect()
    }

    /// The region that bounds it.
    pub fn bound(self) -> Region {
        match self {
            Scope::Region(region) | Scope::Set(_, region) => region,
        }
    }

    /// The next lower level of a region; sets are lists of counties.
    fn default_level(self) -> Level {
        match self {
            Scope::Region(region) => match region.level() {
                Level::Nation => Level::Province,
                Level::Province => Level::Prefecture,
                Level::Prefecture | Level::County => Level::County,
            },
            Scope::Set(..) => Level::County,
        }
    }

    /// A row coarser than the bound would show the code of a region with the
    /// figures of a part of it.
    fn has_rows_of(self, level: Level) -> bool {
        self.bound().at_level(level).is_none_or(|row| row == self.bound())
    }
}

impl By {
    pub const ALL: [By; 6] = [By::Tier, By::TierAtHire, By::Focus, By::Platform, By::Category, By::Flow];

    pub fn code(self) -> &'static str {
        match self {
            By::Tier => "tier",
            By::TierAtHire => "tier_at_hire",
            By::Focus => "focus",
            By::Platform => "platform",
            By::Category => "category",
            By::Flow => "flow",
        }
    }

    pub fn title_zh(self) -> &'static str {
        match self {
            By::Tier => "脱贫状态",
            By::TierAtHire => "入职时脱贫状态",
            By::Focus => "重点区域",
            By::Platform => "平台",
            By::Category => "工种",
            By::Flow => "流向",
        }
    }

    pub fn parse(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|b| b.code() == code)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::civil::date;

    fn at(code: &str) -> Region {
        Region::parse(code).unwrap()
    }

    fn ask(own: &str, region: &str, level: &str) -> Result<Query, QueryFault> {
        Query::parse(Params { period: Some("2020-09"), region: Some(region), level: Some(level), ..Params::default() }, at(own))
    }

    #[test]
    fn without_parameters_it_is_the_own_region_by_home_one_level_down() {
        let check = |own: &str, level| {
            let query = ask(own, "", "").unwrap();
            assert_eq!((query.scope.code().as_str(), query.level, query.axis, query.by), (own, level, Axis::Home, None));
        };
        check("000000", Level::Province);
        check("520000", Level::Prefecture);
        check("522600", Level::County);
        check("522601", Level::County);
        check("441900", Level::County);
    }

    #[test]
    fn every_fault_has_its_code_and_parameter() {
        let check = |result: Result<Query, QueryFault>, code: &str, parameter: &str| {
            let fault = result.unwrap_err();
            assert_eq!((fault.code(), fault.parameter()), (code, parameter));
        };
        check(Query::parse(Params::default(), Region::NATION), "period_invalid", "period");
        check(ask("000000", "999999", ""), "region_unknown", "region");
        check(ask("000000", "132201", ""), "region_ambiguous", "region");
        check(ask("520000", "000000", ""), "region_forbidden", "region");
        check(ask("520000", "330212", ""), "region_forbidden", "region");
        check(ask("520000", "set:nowhere", ""), "unknown_set", "region");
        check(ask("520000", "", "village"), "level_invalid", "level");
        let with = |axis, by| Query::parse(Params { period: Some("2020"), axis, by, ..Params::default() }, Region::NATION);
        check(with(Some("birth"), None), "axis_invalid", "axis");
        check(with(None, Some("name")), "by_invalid", "by");
        assert_eq!(with(None, Some("none")).unwrap().by, None);
        let alone = |axis, by| with(axis, by).and_then(|q| q.by_home_alone().map(|()| q));
        check(alone(Some("work"), None), "axis_invalid", "axis");
        check(alone(None, Some("tier")), "by_invalid", "by");
        assert!(alone(Some("home"), Some("none")).is_ok());
    }

    #[test]
    fn a_level_coarser_than_the_region_is_refused() {
        assert_eq!(ask("000000", "522601", "prefecture").unwrap_err(), QueryFault::LevelInvalid);
        assert_eq!(ask("520000", "set:listed-52", "nation").unwrap_err(), QueryFault::LevelInvalid);
        assert!(ask("000000", "set:listed-52", "nation").is_ok());
        // A county directly under its province is its own prefecture row.
        assert!(ask("000000", "419001", "prefecture").is_ok());
        assert!(ask("000000", "419001", "province").is_err());
    }

    #[test]
    fn a_retired_code_asks_for_its_one_successor() {
        assert_eq!(ask("000000", "330183", "").unwrap().scope.code(), "330111");
    }

    #[test]
    fn a_set_is_cut_to_the_own_region() {
        let scope = ask("520000", "set:listed-52", "").unwrap().scope;
        let rows = scope.rows(Level::County);
        assert_eq!(rows.len(), 9, "Guizhou has nine of the 52");
        assert!(rows.iter().all(|r| r.is_within(at("520000")) && scope.holds(*r)));
        assert_eq!(scope.homes(), rows);
        assert!(!scope.holds(at("520000")));
        assert!(ask("000000", "set:hubei", "").unwrap().scope.holds(at("420000")));
    }

    #[test]
    fn the_day_is_the_periods_last_or_today_while_it_runs() {
        let query = ask("000000", "", "").unwrap();
        assert_eq!(query.day(date(2020, 9, 12)), Ok(date(2020, 9, 12)));
        assert_eq!(query.day(date(2020, 10, 1)), Ok(date(2020, 9, 30)));
        assert_eq!(query.day(date(2020, 8, 31)), Err(QueryFault::PeriodInFuture));
    }
}
