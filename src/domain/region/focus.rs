//! Named sets of counties that the programme looks at first.
//!
//! Sets overlap: their figures are never added up.

use super::{Region, table_lines};
use std::sync::LazyLock;

/// A set of counties by name.
#[derive(Debug)]
pub struct FocusSet {
    /// The name after `set:`, `listed-52`.
    pub name: &'static str,
    pub title_zh: &'static str,
    pub title_en: &'static str,
    counties: Vec<Region>,
    /// One bit for each leaf division.
    members: Vec<u64>,
}

impl FocusSet {
    /// Whether this county (any leaf division) is in the set.
    pub fn contains(&self, county: Region) -> bool {
        county.leaf_index().is_some_and(|i| self.members[usize::from(i / 64)] >> (i % 64) & 1 == 1)
    }

    /// The leaf divisions of the set by code.
    pub fn counties(&self) -> &[Region] {
        &self.counties
    }
}

/// Name and titles of every set of `config/tables/focus_areas.csv`.
const TITLES: [(&str, &str, &str); 5] = [
    ("listed-52", "2020年挂牌督战52县", "52 counties still listed at the start of 2020"),
    ("three-regions-three-prefectures", "三区三州", "Three regions and three prefectures"),
    ("hubei", "湖北省", "Hubei province"),
    ("poor-counties-832", "832个国家级贫困县", "832 counties of the national poverty list"),
    ("key-counties-160", "国家乡村振兴重点帮扶县（160县中已知90县）", "Key counties of rural revitalisation (90 of the 160 known so far)"),
];

static SETS: LazyLock<Vec<FocusSet>> = LazyLock::new(|| {
    let rows: Vec<_> = table_lines(include_str!("../../../config/tables/focus_areas.csv")).collect();
    TITLES
        .into_iter()
        .map(|(name, title_zh, title_en)| {
            let mut counties: Vec<Region> = rows
                .iter()
                .filter(|fields| fields[0] == name)
                .filter_map(|fields| Region::parse(fields[1]))
                .flat_map(|area| area.leaves().iter().copied())
                .collect();
            counties.sort_unstable();
            counties.dedup();
            let mut members = vec![0u64; Region::leaf_count().div_ceil(64)];
            for i in counties.iter().filter_map(|c| c.leaf_index()) {
                members[usize::from(i / 64)] |= 1 << (i % 64);
            }
            FocusSet { name, title_zh, title_en, counties, members }
        })
        .collect()
});

/// The set with this name (without `set:`).
pub fn focus_set(name: &str) -> Option<&'static FocusSet> {
    SETS.iter().find(|s| s.name == name)
}

/// Every set there is.
pub fn focus_sets() -> &'static [FocusSet] {
    &SETS
}

#[cfg(test)]
mod tests {
    use super::*;

    fn size(name: &str) -> usize {
        focus_set(name).unwrap().counties().len()
    }

    #[test]
    fn the_sets_have_the_sizes_of_their_lists() {
        assert_eq!(size("listed-52"), 52);
        assert_eq!(size("hubei"), 103);
        assert_eq!(size("poor-counties-832"), 830);
        assert_eq!(size("key-counties-160"), 90);
        // 74 + 75 + 35 + 17 + 4 + 8, less 木里 which is in two lists.
        assert_eq!(size("three-regions-three-prefectures"), 212);
        assert!(focus_set("listed-53").is_none());
    }

    #[test]
    fn membership_is_that_of_the_list() {
        for set in focus_sets() {
            let inside = Region::NATION.leaves().iter().filter(|r| set.contains(**r)).count();
            assert_eq!(inside, set.counties().len(), "{}", set.name);
        }
        let hubei = Region::parse("420000").unwrap();
        assert!(!focus_set("hubei").unwrap().contains(hubei), "a province is not a county");
    }
}
