//! The figures that were published for 30 September 2020, at a thousandth: so many
//! registered people as there were thousands, each listed by a platform, come to them
//! through registry, roster, ledger and cells.
//!
//! 10.4771 million worked outside their province, 5.2509 million outside their county
//! and 13.6161 million within it, 29.3441 million together; 10,477 + 5,251 + 13,616 =
//! 29,344, each rounded to the next whole person. Of the 52 listed counties 2.7342
//! million worked away, 107.45 % of the year before: 2,734 of 2,545. Who works away
//! works outside the home county: `out_of_province` and `in_province`.

use crate::harness::*;
use doorstep::domain::region::{Level, Region, focus_set};
use serde_json::{Value, json};
use std::time::Duration;

const AWAY: [usize; 2] = [10_477, 5_251];
const NEAR: usize = 13_616;
const TOTAL: u64 = 29_344;
/// Of the listed counties: who works away now, and did a year before.
const LISTED: usize = 2_734;
const LISTED_BEFORE: usize = 2_545;

/// Where everybody is at home and works: the listed counties first, whose people all
/// work away; those of every fourth other county after them.
fn everybody() -> Vec<(Region, Region)> {
    let all = Region::NATION.leaves();
    let set = focus_set("listed-52").expect("the set is configured");
    let (listed, others): (Vec<Region>, Vec<Region>) = all.iter().partition(|county| set.contains(**county));
    assert_eq!(listed.len(), 52);
    // A county that is a province of its own has no other county in it.
    let others: Vec<Region> = others.into_iter().filter(|county| near(*county).is_some()).step_by(4).collect();
    assert!(others.len() > 500);
    let home = |n: usize| if n < LISTED { listed[n % 52] } else { others[n % others.len()] };
    // Of those of the listed counties three in four work in another province.
    let away = (0..AWAY[0] + AWAY[1]).map(|n| (n, if n < LISTED { n % 4 != 0 } else { n - LISTED < AWAY[0] - LISTED_OUT }));
    let work = |home: Region, outside: bool| if outside { far(home) } else { near(home).expect("there is another county") };
    let away = away.map(|(n, outside)| (home(n), work(home(n), outside)));
    away.chain((0..NEAR).map(|n| home(LISTED + n)).map(|home| (home, home))).collect()
}

/// How many of the listed counties work in another province.
const LISTED_OUT: usize = LISTED - LISTED.div_ceil(4);

/// A county of another province.
fn far(home: Region) -> Region {
    let of = |code| Region::parse(code).expect("a division");
    if home.is_within(of("330000")) { of("440305") } else { of("330212") }
}

/// Another county of the same province.
fn near(home: Region) -> Option<Region> {
    home.province()?.leaves().iter().copied().find(|county| *county != home)
}

/// On one engine: what is counted does not depend on it, and in an unoptimized build
/// the other takes two minutes for so many.
#[actix_web::test]
async fn a_thousandth_of_the_nation_comes_to_the_published_figures() {
    let app = spawn_with(Engine::Sqlite, |c| (c.limits.records, c.limits.records_burst) = (1_000_000, 1_000_000)).await;
    // From 15 June to the day of the figures.
    app.pass(Duration::from_secs(107 * 24 * 3600));
    let nation = app.office("000000").await;
    let platforms = [app.platform("alpha").await, app.platform("beta").await];
    let people = everybody();
    for (n, some) in people.chunks(5_000).enumerate() {
        let drafts: Vec<Person> = some.iter().map(|(home, _)| in_region(&home.to_string())).collect();
        let made = nation.register(&drafts.iter().map(Person::json).collect::<Vec<_>>()).await;
        assert_eq!(made["created"], some.len(), "{}", made["rejected"]);
        let line = |(person, (_, work)): (&Person, &(Region, Region))| {
            json!({"id_number": person.text("id_number"), "work_region": work, "since": "2020-08-03", "category": "courier"}).to_string()
        };
        let lines: Vec<String> = drafts.iter().zip(some).map(line).collect();
        let sent = platforms[n % 2].caller.post_bytes("/v1/rosters", "application/x-ndjson", lines.join("\n")).await.expect(200).json;
        assert_eq!((&sent["matched"], &sent["invalid"]), (&json!(some.len()), &json!([])));
        // Some work at both platforms; a person counts once.
        let again = platforms[(n + 1) % 2].caller.post_bytes("/v1/rosters", "application/x-ndjson", lines[..200].join("\n")).await;
        assert_eq!(again.expect(200).json["matched"], 200);
    }
    let columns = ["total", "out_of_province", "in_province", "in_county"];
    let figures = |row: &Value| columns.map(|name| row[name].as_u64().unwrap_or_else(|| panic!("{name}: {row}")));
    let expected = [TOTAL, AWAY[0] as u64, AWAY[1] as u64, NEAR as u64];
    for (axis, level) in [("home", Level::Nation), ("home", Level::Province), ("home", Level::County), ("work", Level::Prefecture)] {
        let query = format!("period=2020-09&axis={axis}&level={}", level.code());
        let report = nation.report(&query).await;
        assert_eq!(figures(&report["totals"]), expected, "{query}");
        let rows = report["rows"].as_array().unwrap();
        let sum = rows.iter().map(figures).fold([0; 4], |sum, row| std::array::from_fn(|at| sum[at] + row[at]));
        assert_eq!(sum, expected, "{query}: the sum of {} rows", rows.len());
        let csv = nation.caller.get(&format!("/v1/reports/employment?{query}&format=csv")).await.expect(200).text;
        let lines: Vec<Vec<&str>> = csv.trim_start_matches('\u{feff}').lines().map(|line| line.split(',').collect()).collect();
        let at = columns.map(|name| lines[0].iter().position(|column| *column == name).expect("a column"));
        let read = |line: &[&str]| at.map(|at| line[at].parse::<u64>().expect("a count"));
        assert_eq!(read(lines.last().unwrap()), expected, "{query}, as CSV");
        assert_eq!(lines.len(), 2 + rows.len() + 1);
    }
    assert_eq!(figures(&nation.report("period=2020-07").await["totals"]), [0; 4], "nobody before they began");

    // The year before, as the offices of the listed counties know it.
    let set = focus_set("listed-52").expect("the set is configured");
    let listed: Vec<Region> = Region::NATION.leaves().iter().copied().filter(|county| set.contains(*county)).collect();
    let shares = listed.iter().enumerate().map(|(n, county)| (county, LISTED_BEFORE / 52 + usize::from(n < LISTED_BEFORE % 52)));
    let csv: String = shares.map(|(county, total)| format!("{county},2019,{total}\n")).collect();
    let sent = nation.caller.post_bytes("/v1/baselines", "text/csv", format!("region,period,total\n{csv}")).await.expect(200).json;
    assert_eq!((&sent["created"], &sent["rejected"]), (&json!(52), &json!([])));
    let report = nation.report("period=2020-09&region=set:listed-52").await;
    let totals = &report["totals"];
    let (out, within) = (LISTED_OUT as u64, (LISTED - LISTED_OUT) as u64);
    assert_eq!(figures(totals), [LISTED as u64, out, within, 0], "2.7342 million who work away");
    assert_eq!((&totals["baseline"], &totals["baseline_source"]), (&json!(LISTED_BEFORE), &json!("upload")));
    let share = &totals["share"];
    assert_eq!((&share["numerator"], &share["denominator"]), (&json!(LISTED), &json!(LISTED_BEFORE)));
    // Half a person of the year before is two in ten thousand.
    let value = share["value"].as_f64().expect("known");
    assert!((value - 1.0745).abs() < 0.000_25, "{value}");
    assert_eq!(report["rows"].as_array().unwrap().len(), 52);
    app.settle().await;
    app.finish().await;
}
