//! Real postings through the normalizer: the labelled ones against their bars,
//! all of them for readability and time.
//!
//! The data is not part of the repository; without it these tests print
//! `skipped`.

use doorstep::domain::normalize;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

type Row = BTreeMap<String, String>;

/// The rows of a data file, by header name.
fn rows(file: &str) -> Option<Vec<Row>> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared/data").join(file);
    if !path.exists() {
        println!("skipped: no {file}");
        return None;
    }
    let mut reader = csv::Reader::from_path(path).unwrap();
    Some(reader.deserialize().map(|row| row.unwrap()).collect())
}

#[derive(Default)]
struct Score {
    right: usize,
    of: usize,
}

impl Score {
    fn add(&mut self, right: bool) {
        self.right += usize::from(right);
        self.of += 1;
    }

    fn percent(&self) -> f64 {
        100.0 * self.right as f64 / self.of.max(1) as f64
    }
}

/// Whether a figure is the label's, to the yuan.
fn same_amount(got: &Value, want: &str) -> bool {
    match (got.as_f64(), want.trim().parse::<f64>()) {
        (Some(got), Ok(want)) => (got.round() - want.round()).abs() <= 1.0,
        (None, Err(_)) => true,
        _ => false,
    }
}

/// Whether a code is the label's, or one that is as good.
fn accepted(field: &str, got: &Value, gold: &Row) -> bool {
    let got = got.as_str().unwrap_or("");
    let other = format!("{field}={got}");
    got == gold[field].trim() || gold["accept"].split(';').any(|a| a == other)
}

#[test]
fn labelled_postings_are_read_above_the_bars() {
    let Some(gold) = rows("gold-dev.csv") else {
        return;
    };
    let mut scores: BTreeMap<&str, Score> = BTreeMap::new();
    for row in &gold {
        let got = normalize::row(&row["title"], &row["salary_text"], &row["region_text"], &row["context"]);
        let pay = &got["base_salary"];
        let category = accepted("category", &got["category"], row);
        let region = accepted("region", &got["region"], row);
        let unit = pay["unit"].as_str().unwrap_or("") == row["unit"];
        let amounts = ["min", "max", "months_per_year", "monthly_min", "monthly_max"];
        let salary = unit && amounts.iter().all(|field| same_amount(&pay[*field], &row[*field]));
        for (name, right) in [("category", category), ("region", region), ("salary", salary)] {
            scores.entry(name).or_default().add(right);
            if !right {
                println!("miss {name}: {row:?} -> {got}");
            }
        }
        if row["category"] != "other" {
            scores.entry("trades").or_default().add(category);
        }
    }
    for (name, score) in &scores {
        println!("{name:10} {:4}/{:<4} {:6.2} %", score.right, score.of, score.percent());
    }
    for (name, bar) in [("salary", 99.0), ("region", 98.0), ("category", 96.0), ("trades", 93.0)] {
        assert!(scores[name].percent() >= bar, "{name} is below {bar} %");
    }
}

#[test]
fn every_real_posting_is_read_quickly_or_for_a_known_reason() {
    let Some(postings) = rows("postings-dev.csv") else {
        return;
    };
    // The tables are read on first use.
    normalize::row("骑手", "8-10K", "北京·朝阳", "");
    let (mut slowest, mut total) = (Duration::ZERO, Duration::ZERO);
    let mut reasons: BTreeMap<String, usize> = BTreeMap::new();
    let mut unresolved: BTreeMap<String, usize> = BTreeMap::new();
    for row in &postings {
        let extra: Value = serde_json::from_str(&row["extra_json"]).unwrap_or_default();
        let context = ["city_context", "province_context"].iter().find_map(|k| extra[*k].as_str()).unwrap_or("");
        let before = Instant::now();
        let got = normalize::row(&row["title"], &row["salary_text"], &row["region_text"], context);
        let took = before.elapsed();
        slowest = slowest.max(took);
        total += took;
        let text = row["salary_text"].trim();
        if got["base_salary"]["unit"].is_null() {
            let unreadable = got["warnings"].as_array().unwrap().iter().any(|w| w == "pay_unreadable");
            let reason = match text {
                _ if unreadable => format!("unreadable {text:?}"),
                "" => "empty".to_owned(),
                _ => format!("negotiable {text:?}"),
            };
            *reasons.entry(reason).or_default() += 1;
        }
        if got["region"].is_null() && !row["region_text"].is_empty() {
            *unresolved.entry(row["region_text"].clone()).or_default() += 1;
        }
    }
    println!("{} postings, {:?} each, slowest {slowest:?}", postings.len(), total / postings.len() as u32);
    println!("pay not read: {reasons:#?}");
    println!("places not read: {unresolved:#?}");
    assert!(total / (postings.len() as u32) < Duration::from_millis(1));
    assert!(reasons.keys().all(|r| !r.starts_with("unreadable")), "a wage of the boards is not read");
}

#[test]
fn every_real_posting_is_read_as_a_record() {
    let Some(postings) = rows("postings-dev.csv") else {
        return;
    };
    let today = jiff::civil::date(2025, 12, 31);
    let records: Vec<Value> = postings
        .iter()
        .enumerate()
        .map(|(i, row)| {
            let place = if row["region_text"].is_empty() { "未知" } else { &row["region_text"] };
            serde_json::json!({
                "source_id": i, "title": row["title"], "description": row["extra_json"],
                "job_location": {"text": place}, "base_salary": row["salary_text"],
            })
        })
        .collect();
    let before = Instant::now();
    let faults: Vec<_> = records.iter().filter_map(|record| normalize::posting(record, today).err()).collect();
    println!("{} records, {:?} each", records.len(), before.elapsed() / records.len() as u32);
    assert!(faults.is_empty(), "{faults:?}");
}
