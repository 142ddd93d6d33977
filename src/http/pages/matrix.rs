//! The report of flows as a matrix: where people come from by where they work, shaded by
//! the share of their home. The sums are those of the report's own rows; where there is
//! no room for all places, the last line is the rest of them.

use super::figures::grouped;
use super::sheets::keys;
use super::text::Lang;
use crate::domain::region::Zone;
use crate::reporting::{Axis, Report, Value};
use serde::Serialize;
use std::collections::BTreeMap;

/// Places that a side has room for.
const PLACES: usize = 40;
/// Steps of the shade above nobody.
const STEPS: u64 = 5;
/// The figures of a row of the report: the total and its parts by flow.
const SUMS: usize = 5;

/// The matrix as it is shown.
#[derive(Debug, Serialize)]
pub struct Matrix {
    /// Zones of the places of work with how many of these stand there.
    zones: Vec<(String, usize)>,
    works: Vec<String>,
    homes: Vec<Home>,
    /// Of the columns, then of all.
    sums: Vec<String>,
    all: Vec<String>,
    /// What the sums of a row are.
    titles: Vec<String>,
}

#[derive(Debug, Serialize)]
struct Home {
    name: String,
    zone: String,
    cells: Vec<Cell>,
    sums: Vec<String>,
}

#[derive(Debug, PartialEq, Serialize)]
struct Cell {
    figure: String,
    /// Of the row's total.
    share: Option<String>,
    /// 0 for nobody to [`STEPS`].
    step: u64,
}

/// A place of one side; the rest of them stands last, without a code.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    code: String,
    name: String,
    zone: Option<usize>,
}

/// How many, by total and flow.
type Counts = [u64; SUMS];

/// Places in their order, with what is counted of each.
struct Side {
    places: Vec<Place>,
    /// Where the counts of a place go: its own line, or the last.
    at: BTreeMap<String, usize>,
}

impl Side {
    /// The places with most people; the others share the last line.
    fn of(all: BTreeMap<Place, u64>, lang: Lang, by_zone: bool) -> Self {
        let mut ranked: Vec<(Place, u64)> = all.into_iter().collect();
        ranked.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        let rest = ranked.split_off(ranked.len().min(PLACES));
        if by_zone {
            ranked.sort_by_key(|(place, _)| place.zone.unwrap_or(usize::MAX));
        }
        let mut places: Vec<Place> = ranked.into_iter().map(|(place, _)| place).collect();
        let mut at: BTreeMap<String, usize> = places.iter().enumerate().map(|(n, place)| (place.code.clone(), n)).collect();
        if !rest.is_empty() {
            at.extend(rest.iter().map(|(place, _)| (place.code.clone(), places.len())));
            let name = lang.with("matrix_rest", &[("n", &rest.len().to_string())]);
            places.push(Place { code: String::new(), name, zone: None });
        }
        Self { places, at }
    }
}

impl Matrix {
    /// Of the report `flows`, by either axis.
    pub fn of(lang: Lang, report: &Report) -> Self {
        let mut homes: BTreeMap<Place, u64> = BTreeMap::new();
        let mut works: BTreeMap<Place, u64> = BTreeMap::new();
        let mut rows: Vec<(String, String, Counts)> = Vec::new();
        for row in &report.rows {
            let names = keys(lang, report, row);
            let key = |at: usize| row.keys.get(at).and_then(Option::as_deref).unwrap_or_default().to_owned();
            let place = |at: usize| Place {
                code: key(at),
                name: names.get(at + 1).cloned().unwrap_or_default(),
                zone: Zone::ALL.iter().position(|zone| zone.code() == key(at + 2)),
            };
            let (home, work) = if report.axis == Axis::Home { (place(0), place(3)) } else { (place(3), place(0)) };
            let counts = counts(&row.values);
            rows.push((home.code.clone(), work.code.clone(), counts));
            *homes.entry(home).or_default() += counts[0];
            *works.entry(work).or_default() += counts[0];
        }
        let (homes, works) = (Side::of(homes, lang, false), Side::of(works, lang, true));
        let mut cells = vec![vec![0u64; works.places.len()]; homes.places.len()];
        let mut sums = vec![Counts::default(); homes.places.len()];
        let mut below = vec![0u64; works.places.len()];
        for (home, work, counts) in rows {
            let (home, work) = (homes.at[&home], works.at[&work]);
            cells[home][work] += counts[0];
            below[work] += counts[0];
            sums[home].iter_mut().zip(counts).for_each(|(sum, n)| *sum += n);
        }
        let zone =
            |zone: Option<usize>| lang.text(&zone.map_or_else(|| "zone_none".to_owned(), |at| format!("zone_{}", Zone::ALL[at].code())));
        let mut zones: Vec<(String, usize)> = Vec::new();
        for place in &works.places {
            match zones.last_mut() {
                Some((name, n)) if *name == zone(place.zone) => *n += 1,
                _ => zones.push((zone(place.zone).to_owned(), 1)),
            }
        }
        let line = |((place, cells), sums): ((&Place, &Vec<u64>), &Counts)| Home {
            name: place.name.clone(),
            zone: if place.zone.is_some() { zone(place.zone).to_owned() } else { String::new() },
            cells: cells.iter().map(|n| cell(*n, sums[0])).collect(),
            sums: sums.iter().map(|n| grouped(*n)).collect(),
        };
        Self {
            zones,
            homes: homes.places.iter().zip(&cells).zip(&sums).map(line).collect(),
            works: works.places.into_iter().map(|place| place.name).collect(),
            sums: below.iter().map(|n| grouped(*n)).collect(),
            all: counts(&report.totals.values).iter().map(|n| grouped(*n)).collect(),
            titles: report.columns.iter().take(SUMS).map(|c| lang.get(&format!("col_{}", c.name)).unwrap_or(c.title).to_owned()).collect(),
        }
    }
}

fn counts(values: &[Value]) -> Counts {
    let mut out = Counts::default();
    for (n, value) in out.iter_mut().zip(values) {
        if let Value::Count(count) = value {
            *n = *count;
        }
    }
    out
}

fn cell(n: u64, of: u64) -> Cell {
    // A share of a row is at most all of it.
    let share = (n > 0 && of > 0).then(|| n as f64 / of as f64);
    let step = share.map_or(0, |share| ((share * STEPS as f64).ceil() as u64).clamp(1, STEPS));
    Cell { figure: grouped(n), share: share.map(|share| format!("{:.0}%", share * 100.0)), step }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shade_is_that_of_the_share() {
        let steps = [(0, 9), (1, 1000), (1, 5), (2, 5), (5, 5)].map(|(n, of)| cell(n, of).step);
        assert_eq!(steps, [0, 1, 1, 2, 5]);
        assert_eq!((cell(0, 0).share, cell(1, 3).share), (None, Some("33%".to_owned())));
    }

    #[test]
    fn places_without_room_share_the_last_line() {
        let place = |n: u64| (Place { code: n.to_string(), name: n.to_string(), zone: Some((n % 4) as usize) }, n);
        let side = Side::of((1..=45).map(place).collect(), Lang::En, true);
        assert_eq!((side.places.len(), side.places[40].code.as_str()), (41, ""));
        assert_eq!((1..=6).map(|n| side.at[&n.to_string()] == 40).collect::<Vec<_>>(), [true, true, true, true, true, false]);
        let zones: Vec<_> = side.places[..40].iter().map(|place| place.zone).collect();
        assert!(zones.is_sorted() && side.places[0].name == "44", "by zone, the greatest first");
        assert_eq!(Side::of((1..=3).map(place).collect(), Lang::Zh, false).places[0].name, "3");
    }
}
