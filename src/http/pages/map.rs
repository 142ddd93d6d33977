//! Figures of regions side by side: the nation as a grid of tiles where each province
//! lies about where it is, what lies below a province as tiles by rank; and the
//! report of offers. The figures stand in each tile and in a table beside.

use super::super::State;
use super::super::reports::made;
use super::figures::{Cell, cell_of, grouped, periods, region_name};
use super::offer;
use super::office::{address, asked, head, inside};
use super::text::Lang;
use crate::domain::region::Region;
use crate::domain::time::Period;
use crate::reporting::{Name, Report, Row, Value};
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use minijinja::context;
use minijinja::value::Serde;
use serde::Serialize;

/// Row and column of each province's tile.
const TILES: [(u32, usize, usize); 34] = [
    (230000, 0, 8),
    (150000, 1, 5),
    (220000, 1, 8),
    (650000, 2, 0),
    (110000, 2, 6),
    (120000, 2, 7),
    (210000, 2, 8),
    (630000, 3, 1),
    (620000, 3, 2),
    (640000, 3, 3),
    (140000, 3, 5),
    (130000, 3, 6),
    (370000, 3, 7),
    (540000, 4, 0),
    (510000, 4, 2),
    (500000, 4, 3),
    (610000, 4, 4),
    (410000, 4, 5),
    (340000, 4, 6),
    (320000, 4, 7),
    (530000, 5, 2),
    (520000, 5, 3),
    (420000, 5, 5),
    (330000, 5, 7),
    (310000, 5, 8),
    (450000, 6, 3),
    (430000, 6, 4),
    (360000, 6, 5),
    (350000, 6, 6),
    (710000, 6, 8),
    (820000, 7, 4),
    (440000, 7, 5),
    (810000, 7, 6),
    (460000, 8, 3),
];
/// Figures of the employment report that can be shown.
const SHOWN: [&str; 6] = ["total", "out_of_province", "in_province", "in_county", "in_place", "new"];
/// Tiles of a row where they stand by rank, and the side of a tile with its gap.
const ACROSS: usize = 9;
const SIDE: usize = 104;
/// Steps of the scale above zero.
const STEPS: u64 = 5;

#[derive(Serialize)]
struct Tile {
    x: usize,
    y: usize,
    /// 0 for nobody to [`STEPS`].
    step: u64,
    name: String,
    figure: String,
}

#[derive(Serialize)]
struct Line {
    href: Option<String>,
    code: String,
    name: String,
    figure: String,
}

/// `GET /office/map`.
pub async fn map(state: Data<State>, request: HttpRequest) -> HttpResponse {
    inside(&state, &request, async |visit, office| {
        let lang = visit.lang;
        let now = state.clock.now();
        let mut asked = asked(&visit.query, Period::month_of(now.day()));
        (asked.level, asked.axis, asked.by) = (None, None, None);
        let show = visit.query.one("show").filter(|s| SHOWN.contains(s)).unwrap_or(SHOWN[0]);
        let report = made(&state, office.region, Name::Employment, &asked).await?;
        let whole = Region::parse(&report.region);
        let below = whole.map(Region::children).unwrap_or_default();
        let counts: Vec<(Region, u64)> = if below.is_empty() {
            report.rows.iter().filter_map(|row| Some((region_of(row)?, count(&report, row, show)))).collect()
        } else {
            let of = |r: &Region| report.rows.iter().find(|row| region_of(row) == Some(*r)).map_or(0, |row| count(&report, row, show));
            below.iter().map(|r| (*r, of(r))).collect()
        };
        let ranked = ranked(&counts);
        let (tiles, size) = if whole == Some(Region::NATION) { nation(lang, &counts) } else { by_rank(lang, &ranked) };
        let period = report.period.to_string();
        let lines: Vec<Line> = ranked
            .iter()
            .map(|(region, n)| {
                let mut fields = vec![("period", period.clone()), ("region", region.to_string()), ("show", show.to_owned())];
                fields.extend((lang == Lang::En).then(|| ("lang", "en".to_owned())));
                let fields: Vec<(String, String)> = fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
                let deeper = region.is_within(office.region) && !region.is_leaf() && Some(*region) != whole;
                let href = deeper.then(|| format!("/office/map?{}", address(&fields)));
                Line { href, code: region.to_string(), name: region_name(lang, *region), figure: grouped(*n) }
            })
            .collect();
        let content = context! {
            region => whole.map_or_else(|| report.region.clone(), |r| region_name(lang, r)), code => report.region.as_str(), period => report.period.to_string(),
            periods => Serde(periods(now, &period)), shown => SHOWN, show, tiles => Serde(tiles), width => size.0, height => size.1,
            lines => Serde(lines), all => grouped(count(&report, &report.totals, show)), own => office.region.to_string(),
            seq => report.as_of.seq, time => offer::moment_of_year(lang, report.generated_at),
        };
        visit.page(200, "map.html", context! { ..content, ..head(visit, &office, "map") })
    })
    .await
}

fn region_of(row: &Row) -> Option<Region> {
    row.keys.first().and_then(Option::as_deref).and_then(Region::parse)
}

fn count(report: &Report, row: &Row, name: &str) -> u64 {
    match report.column(name).and_then(|at| row.values.get(at)) {
        Some(Value::Count(n)) => *n,
        _ => 0,
    }
}

/// The greatest first, equals by code.
fn ranked(counts: &[(Region, u64)]) -> Vec<(Region, u64)> {
    let mut ranked = counts.to_vec();
    ranked.sort_by_key(|(region, n)| (std::cmp::Reverse(*n), region.code()));
    ranked
}

/// The step of a figure: by its root, since a few places have most of the people.
fn step(n: u64, most: u64) -> u64 {
    if n == 0 {
        return 0;
    }
    let share = (n as f64 / most.max(1) as f64).sqrt();
    ((share * STEPS as f64).ceil() as u64).clamp(1, STEPS)
}

fn tile(lang: Lang, (region, n): (Region, u64), most: u64, row: usize, column: usize) -> Tile {
    let name: String = short(lang, region);
    Tile { x: column * SIDE, y: row * SIDE, step: step(n, most), name, figure: grouped(n) }
}

/// The peoples whom autonomous prefectures are named after, behind their own name.
const PEOPLES: [&str; 18] = [
    "苗族",
    "侗族",
    "布依族",
    "土家族",
    "彝族",
    "藏族",
    "羌族",
    "回族",
    "朝鲜族",
    "傣族",
    "景颇族",
    "傈僳族",
    "白族",
    "哈尼族",
    "壮族",
    "蒙古",
    "哈萨克",
    "柯尔克孜",
];
/// Characters that a tile has room for.
const ROOM: usize = 5;

/// A name that a tile has room for; the whole stands in the table.
fn short(lang: Lang, region: Region) -> String {
    let name = region_name(lang, region);
    if lang == Lang::En && !name.is_ascii() || lang == Lang::Zh {
        let plain = ["维吾尔自治区", "壮族自治区", "回族自治区", "自治区", "特别行政区", "省", "市"];
        let cut = plain.iter().find_map(|end| name.strip_suffix(end)).filter(|rest| rest.chars().count() > 1).unwrap_or(&name);
        let cut = cut.strip_suffix("自治州").map_or(cut, |own| {
            let people = PEOPLES.iter().filter_map(|people| own.find(people)).filter(|at| *at > 0).min();
            people.map_or(own, |at| &own[..at])
        });
        return if cut.chars().count() > ROOM { cut.chars().take(ROOM - 1).chain(['…']).collect() } else { cut.to_owned() };
    }
    name
}

fn nation(lang: Lang, counts: &[(Region, u64)]) -> (Vec<Tile>, (usize, usize)) {
    let most = counts.iter().map(|(_, n)| *n).max().unwrap_or(0);
    let of = |code: u32| counts.iter().find(|(region, _)| region.code() == code);
    let tiles = TILES.iter().filter_map(|(code, row, column)| of(*code).map(|found| tile(lang, *found, most, *row, *column)));
    (tiles.collect(), (9 * SIDE, 9 * SIDE))
}

fn by_rank(lang: Lang, ranked: &[(Region, u64)]) -> (Vec<Tile>, (usize, usize)) {
    let most = ranked.first().map_or(0, |(_, n)| *n);
    let tiles: Vec<Tile> = ranked.iter().enumerate().map(|(at, found)| tile(lang, *found, most, at / ACROSS, at % ACROSS)).collect();
    let size = (ACROSS.min(ranked.len().max(1)) * SIDE, ranked.len().div_ceil(ACROSS) * SIDE);
    (tiles, size)
}

#[derive(Serialize)]
struct Told {
    href: Option<String>,
    code: String,
    name: String,
    cells: Vec<Cell>,
    /// Of the longest bar, in hundredths.
    bar: u64,
}

/// `GET /office/fairness`: the report of offers as a page.
pub async fn fairness(state: Data<State>, request: HttpRequest) -> HttpResponse {
    inside(&state, &request, async |visit, office| {
        let (lang, now) = (visit.lang, state.clock.now());
        let mut asked = asked(&visit.query, Period::month_of(now.day()));
        (asked.axis, asked.by) = (None, None);
        let report = made(&state, office.region, Name::Routing, &asked).await?;
        let rate = report.column("offers_per_1000_seekers");
        let of = |row: &Row| match rate.and_then(|at| row.values.get(at)) {
            Some(Value::Ratio { numerator, denominator }) => Value::quotient(*numerator, *denominator).unwrap_or(0.0),
            _ => 0.0,
        };
        let most = report.rows.iter().map(of).fold(f64::MIN_POSITIVE, f64::max);
        let cells = |row: &Row| report.columns.iter().zip(&row.values).map(|(column, v)| cell_of(column, *v)).collect::<Vec<_>>();
        let period = report.period.to_string();
        let line = |row: &Row| {
            let region = region_of(row);
            let deeper = region.filter(|r| r.is_within(office.region) && !r.is_leaf() && r.to_string() != report.region);
            let mut fields = vec![("period".to_owned(), period.clone())];
            fields.extend(deeper.map(|r| ("region".to_owned(), r.to_string())));
            fields.extend((lang == Lang::En).then(|| ("lang".to_owned(), "en".to_owned())));
            Told {
                href: deeper.map(|_| format!("/office/fairness?{}", address(&fields))),
                code: row.keys.first().and_then(Option::as_deref).unwrap_or_default().to_owned(),
                name: region.map_or_else(String::new, |r| region_name(lang, r)),
                cells: cells(row),
                bar: (of(row) / most * 100.0).round() as u64,
            }
        };
        let titles: Vec<&str> = report.columns.iter().map(|c| lang.get(&format!("col_{}", c.name)).unwrap_or(c.title)).collect();
        let whole = Region::parse(&report.region).map_or_else(|| report.region.clone(), |r| region_name(lang, r));
        let files = address(&[("period", period.as_str()), ("region", report.region.as_str())]);
        let content = context! {
            region => whole, code => report.region.as_str(), period => period.as_str(), periods => Serde(periods(now, &period)), titles,
            rows => Serde(report.rows.iter().map(line).collect::<Vec<_>>()), totals => Serde(cells(&report.totals)), files,
            abouts => report.columns.iter().map(|c| (lang.get(&format!("col_{}", c.name)).unwrap_or(c.title), c.about)).collect::<Vec<_>>(),
            rate => rate.unwrap_or(0), own => office.region.to_string(),
            seq => report.as_of.seq, time => offer::moment_of_year(lang, report.generated_at),
        };
        visit.page(200, "fairness.html", context! { ..content, ..head(visit, &office, "fairness") })
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_province_has_a_tile_of_its_own() {
        let provinces: BTreeSet<u32> = Region::NATION.children().iter().map(|r| r.code()).collect();
        assert_eq!(TILES.iter().map(|(code, ..)| *code).collect::<BTreeSet<_>>(), provinces);
        assert_eq!(TILES.iter().map(|(_, row, column)| (*row, *column)).collect::<BTreeSet<_>>().len(), 34);
        assert!(TILES.iter().all(|(_, row, column)| *row < 9 && *column < 9));
    }

    #[test]
    fn steps_tell_nobody_from_somebody_and_the_most_is_the_darkest() {
        assert_eq!([0, 1, 4, 25, 64, 100].map(|n| step(n, 100)), [0, 1, 1, 3, 4, 5]);
        assert_eq!(step(0, 0), 0);
    }

    #[test]
    fn names_fit_their_tiles() {
        let name = |code: &str| short(Lang::Zh, Region::parse(code).unwrap());
        assert_eq!(["650000", "520000", "522600", "110000"].map(name), ["新疆", "贵州", "黔东南", "北京"]);
        assert_eq!(["653000", "532800", "632800", "652700"].map(name), ["克孜勒苏", "西双版纳", "海西", "博尔塔拉"]);
        assert!(Region::all().all(|region| short(Lang::Zh, region).chars().count() <= ROOM));
        assert_eq!(short(Lang::En, Region::parse("520000").unwrap()), "Guizhou");
    }
}
