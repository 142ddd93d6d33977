//! Every shipped adapter on its samples, and on public samples where they are at hand.

use doorstep::adapter::{Adapters, Folder, Outcome, Problem, try_adapter};
use doorstep::domain::normalize;
use std::path::{Path, PathBuf};

const TODAY: jiff::civil::Date = jiff::civil::date(2020, 6, 1);

fn here() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn builtin() -> Adapters {
    Adapters::builtin().unwrap_or_else(|problems| panic!("{}", lines(&problems)))
}

fn lines(problems: &[Problem]) -> String {
    problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

/// A public feed sample, which may not be shipped with the project.
fn public_sample(name: &str) -> Option<Vec<u8>> {
    let path = here().join("../shared/data/feeds").join(name);
    let found = std::fs::read(&path).ok();
    if found.is_none() {
        println!("skipped: no {}", path.display());
    }
    found
}

#[test]
fn every_sample_becomes_what_is_expected() {
    let all = builtin();
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        for adapter in all.iter() {
            let dir = here().join("adapters").join(adapter.name()).join("expected");
            std::fs::create_dir_all(&dir).unwrap();
            for sample in adapter.samples() {
                let stem = Path::new(&sample.name).file_stem().unwrap();
                std::fs::write(dir.join(stem).with_extension("json"), adapter.golden(sample).unwrap()).unwrap();
            }
        }
        return;
    }
    let problems: Vec<Problem> = all.iter().flat_map(|adapter| adapter.check()).collect();
    assert!(problems.is_empty(), "{}", lines(&problems));
}

#[test]
fn every_adapter_shows_a_good_body_and_one_with_rejects() {
    for adapter in builtin().iter() {
        let reports: Vec<_> = adapter.samples().iter().map(|s| adapter.try_body(&s.name, &s.body, TODAY).unwrap()).collect();
        assert!(reports.iter().any(|r| r.rejects.is_empty() && !r.postings.is_empty()), "{}", adapter.name());
        assert!(reports.iter().any(|r| !r.rejects.is_empty() && !r.postings.is_empty()), "{}", adapter.name());
    }
}

#[test]
fn no_posting_is_lost_between_a_body_and_its_report() {
    for adapter in builtin().iter() {
        for sample in adapter.samples() {
            let records = adapter.read(&sample.body).unwrap().count();
            let report = adapter.try_body(&sample.name, &sample.body, TODAY).unwrap();
            let mut rejected: Vec<usize> = report.rejects.iter().map(|reject| reject.index).collect();
            rejected.dedup();
            let told = report.postings.len() + report.skipped.len() + rejected.len();
            assert_eq!(records, told, "{} {}", adapter.name(), sample.name);
        }
    }
}

#[test]
fn a_trial_reads_the_folder_as_it_stands_on_disk() {
    let dir = here().join("adapters/meituan");
    let all = try_adapter(&dir, None, TODAY).unwrap_or_else(|problems| panic!("{}", lines(&problems)));
    assert!(all.differences.is_empty(), "{}", lines(&all.differences));
    assert!(!all.postings.is_empty() && !all.rejects.is_empty() && !all.skipped.is_empty());
    let one = try_adapter(&dir, Some(&dir.join("samples/push.json")), TODAY).unwrap();
    assert_eq!((one.postings.len(), one.rejects.len()), (3, 0));
    let document = serde_json::to_value(&one).unwrap();
    assert_eq!(document["postings"][0]["source_id"], "MT-20200601-001");
    assert_eq!(document.as_object().unwrap().keys().collect::<Vec<_>>(), ["postings", "rejects", "skipped"]);
    let missing = try_adapter(&dir, Some(&dir.join("samples/none.json")), TODAY).unwrap_err();
    assert!(missing[0].file.ends_with("none.json"));
    assert!(try_adapter(&here().join("adapters"), None, TODAY).is_err());
}

#[test]
fn a_sample_that_comes_to_something_else_is_told_by_its_pointer() {
    let folder = Folder::texts(
        "adapters/trial",
        &[
            ("adapter.toml", "name = \"trial\"\nformat = \"json\""),
            ("mapping.jinja", "{% set source_id = item.id %}{% set title = item.t %}{% set job_location = {'text': '北京市朝阳区'} %}"),
            ("samples/a.json", r#"{"id":"1","t":"保安"}"#),
            ("expected/a.json", r#"{"postings":[],"rejects":[],"skipped":[]}"#),
            ("samples/b.json", "{"),
        ],
    );
    let problems = lines(&doorstep::adapter::Adapter::load(&folder).unwrap().check());
    assert!(problems.contains("adapters/trial/expected/a.json: /postings/0\n  - null"), "{problems}");
    assert!(problems.contains("adapters/trial/samples/b.json: json_invalid"), "{problems}");
}

#[test]
fn a_fault_never_holds_what_the_record_holds() {
    let canary = "CANARY-13800000000-张三";
    for adapter in builtin().iter() {
        for sample in adapter.samples() {
            let Ok(text) = std::str::from_utf8(&sample.body) else {
                continue;
            };
            // Every value in turn becomes the canary: most are then of no use.
            for (at, _) in text.match_indices(|c: char| c.is_ascii_digit() || matches!(c, '市' | '员')).step_by(7) {
                let len = text[at..].chars().next().map_or(1, char::len_utf8);
                let body = format!("{}{canary}{}", &text[..at], &text[at + len..]);
                let Ok(records) = adapter.read(body.as_bytes()) else {
                    continue;
                };
                for record in records {
                    if let Outcome::Rejected(fault, _) = record.outcome {
                        assert!(!fault.detail.contains("CANARY") && !fault.pointer.contains("CANARY"), "{fault:?}");
                    }
                }
            }
        }
    }
}

#[test]
fn the_public_schema_org_sample_comes_in_whole() {
    let Some(body) = public_sample("schemaorg-jobposting.json") else {
        return;
    };
    let all = builtin();
    let report = all.get("schema-org").unwrap().try_body("sample.json", &body, TODAY).unwrap();
    assert!(report.rejects.is_empty(), "{:?}", report.rejects);
    assert_eq!(report.postings.len(), 8);
    let mut ids: Vec<&str> = report.postings.iter().map(|p| p["source_id"].as_str().unwrap()).collect();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 8, "each has a source_id of its own");
    for posting in &report.postings {
        let warnings: Vec<&str> = posting["warnings"].as_array().unwrap().iter().filter_map(|w| w.as_str()).collect();
        assert!(warnings.contains(&"source_id_derived"), "{warnings:?}");
        assert!(warnings.contains(&"region_unresolved"), "{warnings:?}");
        let foreign = posting["base_salary"]["currency"] == "USD";
        assert_eq!(warnings.contains(&"foreign_currency"), foreign, "{warnings:?}");
    }
    assert_eq!(report.postings[0]["base_salary"]["currency"], "USD");
}

#[test]
fn the_public_samples_of_other_formats_come_in_whole() {
    let all = builtin();
    // After the youngest of them: a posting of the future is refused.
    let today = jiff::civil::date(2026, 12, 31);
    for (adapter, file, count) in [
        ("indeed", "indeed.xml", 14),
        ("greenhouse", "greenhouse.json", 2),
        ("lever", "lever.json", 2),
        ("ashby", "ashby.json", 2),
        ("smartrecruiters", "smartrecruiters.json", 1),
        ("workable", "workable.json", 2),
        ("personio", "personio.xml", 2),
        ("jobtech", "jobtech-platsannonser.json", 2),
        ("beckn", "beckn-dsep-on_search.json", 2),
        ("neitui", "teddy-neitui-cn.json", 10),
    ] {
        let Some(body) = public_sample(file) else {
            return;
        };
        let report = all.get(adapter).unwrap().try_body(file, &body, today).unwrap();
        assert!(report.rejects.is_empty(), "{adapter}: {:?}", report.rejects);
        assert_eq!(report.postings.len(), count, "{adapter}");
        for posting in &report.postings {
            let without = ["personio", "jobtech", "beckn", "neitui"].contains(&adapter);
            assert!(posting["url"].is_string() || without, "{adapter}: {posting}");
            assert_ne!(posting["job_location"]["text"], "unstated", "{adapter}");
        }
    }
}

#[test]
fn the_public_samples_say_where_and_for_how_much() {
    let all = builtin();
    let today = jiff::civil::date(2026, 12, 31);
    let read = |adapter: &str, file: &str| {
        let body = public_sample(file)?;
        Some(all.get(adapter).unwrap().try_body(file, &body, today).unwrap().postings)
    };
    if let Some(chinese) = read("neitui", "teddy-neitui-cn.json") {
        let regions: Vec<&str> = chinese.iter().filter_map(|p| p["job_location"]["region"].as_str()).collect();
        assert_eq!((regions[0], regions[1], regions[9]), ("440106", "440113", "420111"));
        let pay = &chinese[0]["base_salary"];
        assert_eq!(
            (pay["monthly_min"].as_i64(), pay["monthly_max"].as_i64(), pay["unit"].as_str()),
            (Some(4500), Some(7000), Some("MONTH"))
        );
        assert_eq!(chinese[1]["total_job_openings"], 1, "0 is any number");
    }
    if let Some(swedish) = read("jobtech", "jobtech-platsannonser.json") {
        assert_eq!(swedish[0]["job_location"]["text"], "Steinholtzgatan 35, Kiruna, Norrbottens län, Sverige");
        assert_eq!((&swedish[0]["date_posted"], &swedish[0]["base_salary"]["currency"]), (&"2018-10-19".into(), &"SEK".into()));
    }
    if let Some(indian) = read("beckn", "beckn-dsep-on_search.json") {
        let places: Vec<&str> = indian.iter().filter_map(|p| p["job_location"]["text"].as_str()).collect();
        assert_eq!(places, ["Maharastra, Pune", "Maharastra, Thane"], "each item names its place by the provider's list");
        assert_eq!(indian[1]["hiring_organization"]["name"], "Affinidi");
    }
}

#[test]
fn what_a_mapping_yields_can_be_normalized_on_any_thread() {
    let all = builtin();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let adapter = all.get("didi").unwrap();
                for record in adapter.read(&adapter.samples()[0].body).unwrap() {
                    if let Outcome::Mapped(value) = record.outcome {
                        assert!(normalize::posting(&value, TODAY).is_ok());
                    }
                }
            });
        }
    });
}
