//! Codes that are no longer in force, and what became of them.

use super::{Region, six_digits, table_lines};
use std::collections::HashMap;
use std::sync::LazyLock;

/// Why a code or name cannot be taken for one current division.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RegionFault {
    /// Neither a current nor a retired code, nor a name in the tables.
    Unknown,
    /// Retired with several successors or none, or a name that several carry:
    /// somebody has to be asked.
    Ambiguous,
}

/// A row of `config/tables/divisions_retired.csv`.
pub(crate) struct Retired {
    pub code: u32,
    pub name: &'static str,
    /// Codes it went over to, current or retired since.
    pub successors: Vec<u32>,
}

/// All rows of the retired table; one code may have several, for one name after
/// the other.
pub(crate) static RETIRED: LazyLock<Vec<Retired>> = LazyLock::new(|| {
    table_lines(include_str!("../../../config/tables/divisions_retired.csv"))
        .filter_map(|fields| {
            let [code, name, _parent, _level, _from, _to, successors] = fields[..] else {
                return None;
            };
            Some(Retired {
                code: six_digits(code)?,
                name,
                // `130108[2001]`: a part that went over by a later change of
                // boundaries is a successor like the others.
                successors: successors.split(';').filter_map(|s| six_digits(s.split('[').next()?)).collect(),
            })
        })
        .collect()
});

/// Retired code → the current divisions at the end of its chains.
static FINAL: LazyLock<HashMap<u32, Vec<Region>>> = LazyLock::new(|| {
    let mut steps: HashMap<u32, Vec<u32>> = HashMap::new();
    for row in RETIRED.iter() {
        steps.entry(row.code).or_default().extend(&row.successors);
    }
    steps.keys().map(|&code| (code, follow(&steps, &steps[&code]))).collect()
});

/// Walks from these codes to the current ones; a code that is current is an end
/// even where the table also has it as retired.
fn follow(steps: &HashMap<u32, Vec<u32>>, from: &[u32]) -> Vec<Region> {
    let (mut seen, mut ends, mut open) = (Vec::new(), Vec::new(), from.to_vec());
    while let Some(code) = open.pop() {
        if seen.contains(&code) {
            continue;
        }
        seen.push(code);
        match Region::from_code(code) {
            Some(region) => ends.push(region),
            None => open.extend(steps.get(&code).into_iter().flatten()),
        }
    }
    ends.sort_unstable();
    ends
}

impl Retired {
    /// The current divisions at the end of this row's own chains.
    pub fn ends(&self) -> Vec<Region> {
        let mut ends: Vec<Region> = self
            .successors
            .iter()
            .flat_map(|&code| match Region::from_code(code) {
                Some(region) => vec![region],
                None => FINAL.get(&code).cloned().unwrap_or_default(),
            })
            .collect();
        ends.sort_unstable();
        ends.dedup();
        ends
    }
}

/// Reads a code as it may stand in an old registry. A current one is itself; a
/// retired one is followed to the end, and the number of final successors
/// decides: one is taken, several or none are ambiguous.
pub fn resolve_code(code: &str) -> Result<Region, RegionFault> {
    let code = six_digits(code).ok_or(RegionFault::Unknown)?;
    if let Some(region) = Region::from_code(code) {
        return Ok(region);
    }
    match FINAL.get(&code).map(Vec::as_slice) {
        Some([one]) => Ok(*one),
        Some(_) => Err(RegionFault::Ambiguous),
        None => Err(RegionFault::Unknown),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(code: &str, expected: Result<&str, RegionFault>) {
        assert_eq!(resolve_code(code).map(|r| r.to_string()), expected.map(str::to_owned), "{code}");
    }

    #[test]
    fn a_retired_code_is_followed_to_its_one_successor() {
        check("110103", Ok("110101"));
        check("330183", Ok("330111"));
        check("310103", Ok("310101"));
        check("120107", Ok("120116"));
        check("110221", Ok("110114"));
    }

    #[test]
    fn several_successors_or_none_are_ambiguous() {
        check("132201", Err(RegionFault::Ambiguous));
        check("130124", Err(RegionFault::Ambiguous));
        let none = RETIRED.iter().find(|r| r.successors.is_empty() && Region::from_code(r.code).is_none()).unwrap();
        check(&format!("{:06}", none.code), Err(RegionFault::Ambiguous));
    }

    #[test]
    fn what_is_current_today_is_never_retired() {
        check("330105", Ok("330105"));
        check("000000", Ok("000000"));
        let both: Vec<_> = RETIRED.iter().filter(|r| Region::from_code(r.code).is_some()).collect();
        assert_eq!(both.len(), 233);
        for row in both {
            check(&format!("{:06}", row.code), Ok(&format!("{:06}", row.code)));
        }
    }

    #[test]
    fn every_chain_ends_and_what_is_in_no_table_is_unknown() {
        assert_eq!(RETIRED.len(), 3610);
        assert!(FINAL.len() > 3000);
        check("999999", Err(RegionFault::Unknown));
        check("33021", Err(RegionFault::Unknown));
        check("宁波市", Err(RegionFault::Unknown));
    }
}
