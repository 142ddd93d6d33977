//! Divisions of China as a tree of table rows.
//!
//! Promises: a [`Region`] is always a row of `config/tables/divisions.csv` (or
//! the nation); every step up or down goes by the table's parent column, never
//! by digits of the code, since 118 counties stand directly under a province and
//! four cities have no counties.
//! Does not: read free text (`domain::normalize::region` does).
//! Start at: [`Region`], [`resolve_code`], [`focus_set`].

mod counties;
mod focus;
mod retired;

pub use counties::Counties;
pub use focus::{FocusSet, focus_set, focus_sets};
pub(crate) use retired::RETIRED;
pub use retired::{RegionFault, resolve_code};

use serde::{Deserialize, Serialize};
use std::fmt;
use std::sync::LazyLock;

/// The state of the table: codes are those in force on this day.
pub const REVISION: &str = "2024-12-31";

/// A current division, or the nation `000000`. Ordered by code; written as the
/// six-digit string. Valid within one process only as a number: store the code.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Region(u16);

/// How fine a division is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// The whole country.
    Nation,
    /// Provinces, autonomous regions, municipalities, special regions.
    Province,
    /// Cities, prefectures, leagues.
    Prefecture,
    /// Counties, districts, county-level cities, banners.
    County,
}

impl Level {
    /// Every level, coarsest first.
    pub const ALL: [Level; 4] = [Level::Nation, Level::Province, Level::Prefecture, Level::County];

    /// The name in parameters and answers, `prefecture`.
    pub fn code(self) -> &'static str {
        match self {
            Level::Nation => "nation",
            Level::Province => "province",
            Level::Prefecture => "prefecture",
            Level::County => "county",
        }
    }

    /// The level with this name.
    pub fn parse(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|l| l.code() == code)
    }
}

/// The four zones of the National Bureau of Statistics.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Zone {
    East,
    Central,
    West,
    Northeast,
}

impl Zone {
    /// Every zone, in the Bureau's order.
    pub const ALL: [Zone; 4] = [Zone::East, Zone::Central, Zone::West, Zone::Northeast];

    /// The name in answers, `east`.
    pub fn code(self) -> &'static str {
        match self {
            Zone::East => "east",
            Zone::Central => "central",
            Zone::West => "west",
            Zone::Northeast => "northeast",
        }
    }

    /// What a reader of a Chinese report sees.
    pub fn title_zh(self) -> &'static str {
        match self {
            Zone::East => "东部",
            Zone::Central => "中部",
            Zone::West => "西部",
            Zone::Northeast => "东北",
        }
    }
}

impl Region {
    /// 全国, `000000`: the first row of the table.
    pub const NATION: Region = Region(0);

    /// Reads a current six-digit code, or `000000`.
    pub fn parse(code: &str) -> Option<Region> {
        Self::from_code(six_digits(code)?)
    }

    /// The division with this code today.
    pub fn from_code(code: u32) -> Option<Region> {
        let hundred = code as usize / 100;
        let (first, end) = (*TABLE.hundreds.get(hundred)?, *TABLE.hundreds.get(hundred + 1)?);
        let row = TABLE.rows[usize::from(first)..usize::from(end)].iter().position(|r| r.code == code)?;
        Some(Region(first + row as u16))
    }

    /// Its place among all divisions by code, the nation's being 0.
    pub fn index(self) -> usize {
        self.0.into()
    }

    /// The code as a number, `330212`.
    pub fn code(self) -> u32 {
        self.row().code
    }

    /// How fine it is.
    pub fn level(self) -> Level {
        self.row().level
    }

    /// The code as it is written, `330212`.
    pub fn code_text(self) -> &'static str {
        self.row().text
    }

    /// Its own name, `鄞州区`.
    pub fn name(self) -> &'static str {
        self.row().name
    }

    /// Its name with those above it, `浙江省宁波市鄞州区`.
    pub fn full_name(self) -> String {
        match self.parent() {
            Some(parent) if parent != Region::NATION => parent.full_name() + self.name(),
            _ => self.name().to_owned(),
        }
    }

    /// The division it stands under; none for the nation.
    pub fn parent(self) -> Option<Region> {
        (self != Region::NATION).then(|| Region(self.row().parent))
    }

    /// Whether it is `ancestor` or stands somewhere under it.
    pub fn is_within(self, ancestor: Region) -> bool {
        let mut at = self;
        loop {
            if at == ancestor {
                return true;
            }
            match at.parent() {
                Some(parent) => at = parent,
                None => return false,
            }
        }
    }

    /// Itself or the province above it; none for the nation.
    pub fn province(self) -> Option<Region> {
        self.at_level(Level::Province)
    }

    /// The report row of prefecture level that it belongs to, see [`Region::at_level`].
    pub fn prefecture(self) -> Option<Region> {
        self.at_level(Level::Prefecture)
    }

    /// What stands directly under it, by code.
    pub fn children(self) -> &'static [Region] {
        &self.row().children
    }

    /// Whether nothing stands under it: a county, a city without counties, a
    /// province without children.
    pub fn is_leaf(self) -> bool {
        self.row().children.is_empty()
    }

    /// The leaf divisions under it by code; itself when it is one.
    pub fn leaves(self) -> &'static [Region] {
        &self.row().leaves
    }

    /// The row of the report tree that it belongs to. A county directly under a
    /// province is its own prefecture row, a city or province without children
    /// its own row at every finer level. None where it is coarser than asked.
    pub fn at_level(self, level: Level) -> Option<Region> {
        static ROWS: LazyLock<[Vec<Option<Region>>; Level::ALL.len()]> =
            LazyLock::new(|| Level::ALL.map(|level| Region::all().map(|region| region.row_at(level)).collect()));
        ROWS[level as usize][self.index()]
    }

    fn row_at(self, level: Level) -> Option<Region> {
        let mut at = self;
        loop {
            let parent_too_coarse = at.parent().is_none_or(|p| p.level() < level);
            if at.level() <= level || parent_too_coarse {
                break;
            }
            at = at.parent()?;
        }
        (at.level() >= level || at.is_leaf()).then_some(at)
    }

    /// Every report row of that level inside it, by code, by the rule of
    /// [`Region::at_level`].
    pub fn rows(self, level: Level) -> Vec<Region> {
        let mut rows: Vec<Region> =
            self.leaves().iter().filter_map(|leaf| leaf.at_level(level)).filter(|row| row.is_within(self)).collect();
        rows.sort_unstable();
        rows.dedup();
        rows
    }

    /// The statistical zone of its province; none for the nation, Hong Kong,
    /// Macao and Taiwan.
    pub fn zone(self) -> Option<Zone> {
        match self.province()?.code() / 10_000 {
            11..=13 | 31..=33 | 35 | 37 | 44 | 46 => Some(Zone::East),
            14 | 34 | 36 | 41..=43 => Some(Zone::Central),
            15 | 45 | 50..=54 | 61..=65 => Some(Zone::West),
            21..=23 => Some(Zone::Northeast),
            _ => None,
        }
    }

    /// Its place among all leaf divisions by code; none when it is not one.
    pub fn leaf_index(self) -> Option<u16> {
        self.row().leaf
    }

    /// How many leaf divisions there are.
    pub fn leaf_count() -> usize {
        Region::NATION.leaves().len()
    }

    /// The leaf division with this index.
    pub fn leaf_at(index: u16) -> Option<Region> {
        Region::NATION.leaves().get(usize::from(index)).copied()
    }

    /// Every division with the nation, by code.
    pub fn all() -> impl Iterator<Item = Region> {
        (0..TABLE.rows.len() as u16).map(Region)
    }

    fn row(self) -> &'static Row {
        &TABLE.rows[usize::from(self.0)]
    }
}

impl fmt::Display for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code_text())
    }
}

impl fmt::Debug for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Region({:06} {})", self.code(), self.name())
    }
}

impl Serialize for Region {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Region {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let code = std::borrow::Cow::<str>::deserialize(d)?;
        Region::parse(&code).ok_or_else(|| serde::de::Error::custom("not a current division code"))
    }
}

/// A code, or a division's name as registries write it (a full path, nested or
/// abbreviated).
pub fn resolve(text: &str) -> Result<Region, RegionFault> {
    let text = text.trim();
    if six_digits(text).is_some() {
        return resolve_code(text);
    }
    super::normalize::region::resolve_name(text)
}

/// Six ASCII digits as a number.
fn six_digits(code: &str) -> Option<u32> {
    (code.len() == 6 && code.bytes().all(|b| b.is_ascii_digit())).then(|| code.parse().ok()).flatten()
}

/// The lines of a shipped table without its comments, split at commas; shipped
/// tables quote nothing.
fn table_lines(text: &'static str) -> impl Iterator<Item = Vec<&'static str>> {
    text.lines().filter(|l| !l.is_empty() && !l.starts_with('#')).map(|l| l.split(',').collect())
}

struct Row {
    code: u32,
    text: &'static str,
    name: &'static str,
    level: Level,
    parent: u16,
    children: Vec<Region>,
    leaves: Vec<Region>,
    leaf: Option<u16>,
}

struct Table {
    rows: Vec<Row>,
    /// By the first four digits of a code, the first row that has these or higher ones:
    /// codes are looked up once for each count of a report.
    hundreds: Vec<u16>,
}

static TABLE: LazyLock<Table> = LazyLock::new(|| Table::read(include_str!("../../config/tables/divisions.csv")));

impl Table {
    /// Reads the shipped table; its form is part of the build and has a test.
    fn read(text: &'static str) -> Table {
        let nation = Row {
            code: 0,
            text: "000000",
            name: "全国",
            level: Level::Nation,
            parent: 0,
            children: Vec::new(),
            leaves: Vec::new(),
            leaf: None,
        };
        let mut rows = vec![nation];
        let mut parents = vec![0];
        for fields in table_lines(text) {
            let [code, name, parent, level] = fields[..] else {
                continue;
            };
            rows.push(Row {
                code: code.parse().unwrap_or(0),
                text: code,
                name,
                level: match level {
                    "province" => Level::Province,
                    "city" => Level::Prefecture,
                    _ => Level::County,
                },
                parent: 0,
                children: Vec::new(),
                leaves: Vec::new(),
                leaf: None,
            });
            parents.push(parent.parse().unwrap_or(0));
        }
        for at in 1..rows.len() {
            let parent = rows.binary_search_by_key(&parents[at], |r| r.code).unwrap_or(0);
            rows[at].parent = parent as u16;
            rows[parent].children.push(Region(at as u16));
        }
        let mut leaf = 0;
        for at in 1..rows.len() {
            if !rows[at].children.is_empty() {
                continue;
            }
            rows[at].leaf = Some(leaf);
            leaf += 1;
            rows[at].leaves.push(Region(at as u16));
            let mut above = at;
            while above != 0 {
                above = usize::from(rows[above].parent);
                rows[above].leaves.push(Region(at as u16));
            }
        }
        let hundreds = (0..=10_000).map(|hundred| rows.partition_point(|r| r.code < hundred * 100) as u16).collect();
        Table { rows, hundreds }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(code: &str) -> Region {
        Region::parse(code).unwrap()
    }

    #[test]
    fn the_table_is_whole() {
        assert_eq!(Region::all().count(), 3214);
        assert_eq!(Region::NATION.children().len(), 34);
        assert_eq!(Region::leaf_count(), 2846 + 4 + 3);
        let codes: Vec<u32> = Region::all().map(Region::code).collect();
        assert!(codes.is_sorted_by(|a, b| a < b));
        let direct = |r: &Region| r.level() == Level::County && r.parent().unwrap().level() == Level::Province;
        assert_eq!(Region::all().filter(direct).count(), 118);
        for r in Region::all() {
            assert_eq!(Region::parse(&r.to_string()), Some(r));
            assert_eq!((Region::all().nth(r.index()), r.code_text()), (Some(r), &*format!("{:06}", r.code())));
            assert_eq!(serde_json::from_str::<Region>(&serde_json::to_string(&r).unwrap()).unwrap(), r);
            if let Some(i) = r.leaf_index() {
                assert_eq!(Region::leaf_at(i), Some(r));
            }
        }
        assert_eq!(Region::leaf_at(u16::MAX), None);
        for bad in [1, 110_103, 330_299, 999_999, 1_000_000, u32::MAX] {
            assert_eq!(Region::from_code(bad), None, "{bad}");
        }
    }

    #[test]
    fn only_current_six_digit_codes_are_regions() {
        assert_eq!(Region::parse("000000"), Some(Region::NATION));
        for bad in ["", "33021", "3302120", "+30212", "33021２", "110103", "999999", " 330212"] {
            assert_eq!(Region::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn names_and_ancestors_follow_the_parent_column() {
        let yinzhou = at("330212");
        assert_eq!(yinzhou.full_name(), "浙江省宁波市鄞州区");
        assert_eq!(yinzhou.parent(), Some(at("330200")));
        assert!(yinzhou.is_within(Region::NATION) && yinzhou.is_within(yinzhou));
        assert!(!at("330200").is_within(yinzhou));
        // 济源 stands directly under its province though its code says 90.
        assert_eq!(at("419001").parent(), Some(at("410000")));
        assert_eq!(Region::NATION.parent(), None);
        assert_eq!(Region::NATION.full_name(), "全国");
    }

    #[test]
    fn the_report_tree_has_a_row_for_every_leaf_at_every_level() {
        for leaf in Region::NATION.leaves() {
            for level in Level::ALL {
                assert!(leaf.at_level(level).is_some(), "{leaf:?} {level:?}");
            }
        }
        assert_eq!(at("110101").at_level(Level::Prefecture), Some(at("110101")));
        assert_eq!(at("441900").at_level(Level::County), Some(at("441900")));
        assert_eq!(at("710000").at_level(Level::County), Some(at("710000")));
        assert_eq!(at("330200").at_level(Level::County), None);
        assert_eq!(at("330000").prefecture(), None);
        assert_eq!(at("330212").province(), Some(at("330000")));
        assert_eq!(Region::NATION.province(), None);
        assert_eq!(at("330212").at_level(Level::Nation), Some(Region::NATION));
    }

    #[test]
    fn rows_are_those_inside_the_region() {
        assert_eq!(Region::NATION.rows(Level::Province).len(), 34);
        assert_eq!(Region::NATION.rows(Level::Prefecture).len(), 333 + 118 + 3);
        assert_eq!(Region::NATION.rows(Level::County).len(), Region::leaf_count());
        assert_eq!(Region::NATION.rows(Level::Nation), [Region::NATION]);
        assert_eq!(at("330200").rows(Level::Province), []);
        assert_eq!(at("441900").rows(Level::County), [at("441900")]);
        assert_eq!(at("110000").rows(Level::Prefecture).len(), 16);
    }

    #[test]
    fn zones_are_those_of_the_statistics_bureau() {
        assert_eq!(at("330212").zone(), Some(Zone::East));
        assert_eq!(at("420000").zone(), Some(Zone::Central));
        assert_eq!(at("522601").zone(), Some(Zone::West));
        assert_eq!(at("210000").zone(), Some(Zone::Northeast));
        assert_eq!(at("710000").zone(), None);
        assert_eq!(Region::NATION.zone(), None);
    }

    #[test]
    fn a_name_is_resolved_as_a_code_is() {
        assert_eq!(resolve("330212"), Ok(at("330212")));
        assert_eq!(resolve("贵州省黔东南苗族侗族自治州凯里市"), Ok(at("522601")));
        assert_eq!(resolve("110108"), Ok(at("110108")));
        assert_eq!(resolve("999999"), Err(RegionFault::Unknown));
    }
}
