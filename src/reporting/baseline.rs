//! How many worked at the end of last year, of each region.
//!
//! Promises: what an office stated wins over what the gateway counted; a region without
//! a statement of its own is the sum of its parts only where each of them has one.

use crate::domain::cells::Page;
use crate::domain::closing::Figure;
use crate::domain::region::Region;
use crate::domain::time::Period;
use crate::store::cells::{Source as Cells, Within};
use crate::store::{Store, StoreError};
use std::collections::HashMap;

/// A total and where it comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Baseline {
    pub total: u64,
    pub source: Source,
}

/// Who says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// An office stated it.
    Upload,
    /// The gateway counted it, or a part of it.
    Gateway,
}

impl Source {
    pub fn code(self) -> &'static str {
        match self {
            Source::Upload => "upload",
            Source::Gateway => "gateway",
        }
    }
}

impl std::iter::Sum for Baseline {
    fn sum<I: Iterator<Item = Self>>(parts: I) -> Self {
        parts.fold(Self { total: 0, source: Source::Upload }, |sum, part| Self {
            total: sum.total + part.total,
            source: if part.source == Source::Upload { sum.source } else { part.source },
        })
    }
}

/// What is known of one year's end.
#[derive(Clone, Debug, Default)]
pub struct Baselines {
    stated: HashMap<Region, u64>,
    /// By home and whatever it lies in; none where the gateway knew of no hire by then.
    counted: Option<HashMap<Region, u64>>,
}

impl Baselines {
    /// Reads what is known of the end of the year before a period, of the places that
    /// lie within; `upto` is the ledger's length that counts, where it is not the present.
    pub async fn of(store: &Store, from: Cells, upto: Option<i64>, of: Within, period: Period) -> Result<Self, StoreError> {
        let stated = store.stated_baselines(period.year() - 1, upto).await?;
        let sheet = store.year_end(from, of, period).await?;
        let total = |page: &Page| Figure::of(page, period.kind()).0[0];
        let counted = sheet.map(|sheet| summed(sheet.pages.iter().map(|(home, page)| (*home, total(page)))));
        Ok(Self { stated, counted })
    }

    /// The total of a region.
    pub fn get(&self, region: Region) -> Option<Baseline> {
        if let Some(total) = self.stated_of(region) {
            return Some(Baseline { total, source: Source::Upload });
        }
        let counted = self.counted.as_ref()?;
        Some(Baseline { total: counted.get(&region).copied().unwrap_or(0), source: Source::Gateway })
    }

    fn stated_of(&self, region: Region) -> Option<u64> {
        if let Some(total) = self.stated.get(&region) {
            return Some(*total);
        }
        if region.is_leaf() {
            return None;
        }
        region.children().iter().map(|child| self.stated_of(*child)).sum()
    }
}

/// The sums of all regions that something lies in.
fn summed(counted: impl Iterator<Item = (Region, u64)>) -> HashMap<Region, u64> {
    let mut sums = HashMap::new();
    for (home, n) in counted {
        for region in std::iter::successors(Some(home), |region| region.parent()) {
            *sums.entry(region).or_default() += n;
        }
    }
    sums
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(code: &str) -> Region {
        Region::parse(code).unwrap()
    }

    fn check(stated: &[(&str, u64)], counted: Option<&[(&str, u64)]>, region: &str, expected: Option<(u64, Source)>) {
        let rows = |rows: &[(&str, u64)]| rows.iter().map(|(code, n)| (at(code), *n)).collect::<Vec<_>>();
        let counted = counted.map(|counted| summed(rows(counted).into_iter()));
        let known = Baselines { stated: rows(stated).into_iter().collect(), counted };
        assert_eq!(known.get(at(region)).map(|b| (b.total, b.source)), expected, "{region}");
    }

    #[test]
    fn a_statement_wins_and_parts_are_summed_only_when_all_have_one() {
        let counted: &[(&str, u64)] = &[("522624", 7), ("522601", 2), ("330212", 1)];
        check(&[("522624", 9)], Some(counted), "522624", Some((9, Source::Upload)));
        check(&[("522624", 9)], Some(counted), "522601", Some((2, Source::Gateway)));
        // One part of sixteen has none: the gateway's own for the whole.
        check(&[("522624", 9)], Some(counted), "522600", Some((9, Source::Gateway)));
        check(&[("522624", 9), ("522600", 50)], Some(counted), "522600", Some((50, Source::Upload)));
        check(&[("522624", 9)], None, "522600", None);
        check(&[("522624", 9)], None, "522624", Some((9, Source::Upload)));
        check(&[], Some(counted), "110000", Some((0, Source::Gateway)));
        let all: Vec<(String, u64)> = at("522600").children().iter().map(|c| (c.to_string(), 10)).collect();
        let all: Vec<(&str, u64)> = all.iter().map(|(c, n)| (c.as_str(), *n)).collect();
        check(&all, Some(counted), "522600", Some((10 * all.len() as u64, Source::Upload)));
        check(&all[1..], None, "522600", None);
    }

    #[test]
    fn a_sum_of_both_kinds_is_no_statement() {
        let part = |source| Baseline { total: 2, source };
        let sum: Baseline = [part(Source::Upload), part(Source::Gateway), part(Source::Upload)].into_iter().sum();
        assert_eq!(sum, Baseline { total: 6, source: Source::Gateway });
    }
}
