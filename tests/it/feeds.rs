//! Full feeds over HTTP: what is absent is closed, unless that looks wrong.

use crate::harness::*;
use serde_json::{Value, json};
use std::time::Duration;

on_every_engine![
    a_full_feed_over_several_pushes_closes_what_none_of_them_named,
    a_feed_that_would_close_too_much_is_held_until_somebody_decides,
    a_discarded_run_closes_nothing_and_what_it_brought_stays,
    a_count_that_misses_what_was_expected_holds_the_run,
    the_completing_push_answers_the_same_and_the_run_takes_no_other,
    what_is_pushed_beside_a_run_is_not_closed_by_it,
    runs_that_nobody_ends_are_forgotten,
];

/// Postings of these numbers.
fn records(numbers: impl IntoIterator<Item = usize>) -> Vec<Value> {
    numbers.into_iter().map(|n| a_posting().source_id(&format!("F-{n}")).with("title", json!(format!("分拣员 {n}"))).json()).collect()
}

/// One push of a run, as rows that are equal whenever they are made anew.
async fn push(platform: &Platform<'_>, query: &str, records: &[Value]) -> Called {
    platform.caller.post(&format!("/v1/postings?{query}"), &json!(records)).await
}

/// Sorted, since postings of one moment stand in no order.
fn source_ids(postings: &Value) -> Vec<&str> {
    let mut ids: Vec<&str> = postings.as_array().unwrap().iter().map(|p| p["source_id"].as_str().unwrap()).collect();
    ids.sort_unstable();
    ids
}

async fn live(platform: &Platform<'_>) -> usize {
    platform.caller.get("/v1/postings?status=open&limit=1").await.expect(200).json["total"].as_u64().unwrap() as usize
}

async fn a_full_feed_over_several_pushes_closes_what_none_of_them_named(engine: Engine) {
    let app = spawn_on(engine).await;
    let (platform, other) = (app.platform("example").await, app.platform("other").await);
    let worker = app.worker(in_region("522624")).await;
    let all = records(0..10);
    push(&platform, "", &all).await.expect(200);
    push(&other, "", &records(0..3)).await.expect(200);
    app.settle().await;
    let waiting = worker.offers().await.len();
    assert!(waiting > 0);

    let first = push(&platform, "run=monday", &all[..5]).await.expect(200).json;
    assert_eq!((&first["unchanged"], &first["closed"], &first["held"]), (&json!(5), &json!(0), &json!(null)), "{first}");
    assert_eq!(live(&platform).await, 10, "a part of a feed closes nothing");
    let part = platform.caller.get("/v1/feed-runs/monday").await.expect(200).json;
    assert_eq!((&part["state"], &part["diff"].as_array().unwrap().len()), (&json!("open"), &5), "{part}");

    let last = push(&platform, "run=monday&complete=true&expected=9", &[&all[5..8], &records(20..21)].concat()).await.expect(200).json;
    assert_eq!((&last["unchanged"], &last["created"], &last["closed"], &last["held"]), (&json!(3), &json!(1), &json!(2), &json!(null)));
    let gone = platform.caller.get("/v1/postings?status=closed").await.expect(200).json;
    assert_eq!(source_ids(&gone["items"]), ["F-8", "F-9"]);
    assert_eq!((live(&platform).await, live(&other).await), (9, 3), "another platform's are none of its business");
    let run = platform.caller.get("/v1/feed-runs/monday").await.expect(200).json;
    assert_eq!((&run["state"], &run["received"], &run["closed"]), (&json!("applied"), &json!(9), &json!(2)), "{run}");
    other.caller.get("/v1/feed-runs/monday").await.expect_problem(404, "not_found");
    assert_eq!(platform.event_types().await.iter().filter(|t| *t == "posting.closed").count(), 2);

    // What comes back is the same posting, with its history.
    let id = platform.id_of("F-9").await;
    app.pass(Duration::from_secs(60));
    let back = push(&platform, "run=tuesday&complete=true", &all).await.expect(200).json;
    assert_eq!((&back["updated"], &back["closed"]), (&json!(2), &json!(1)), "{back}");
    let again = platform.caller.get(&format!("/v1/postings/{id}")).await.expect(200).json;
    assert_eq!((&again["status"], &again["revision"]), (&json!("open"), &json!(2)));
    app.settle().await;
    app.finish().await;
}

async fn a_feed_that_would_close_too_much_is_held_until_somebody_decides(engine: Engine) {
    let app = spawn_on(engine).await;
    let platform = app.platform("example").with_receiver().await;
    let worker = app.worker(in_region("522624")).await;
    let all = records(0..10);
    push(&platform, "", &all).await.expect(200);
    app.settle().await;
    let offered = worker.offers().await.len();

    let exactly = push(&platform, "run=r1&complete=true", &all[2..]).await.expect(200).json;
    assert_eq!((&exactly["closed"], &exactly["held"]), (&json!(2), &json!(null)), "a fifth is not more than a fifth");
    let held = push(&platform, "run=r2&complete=true", &all[4..]).await.expect(200).json;
    assert_eq!(
        (&held["closed"], &held["held"]["reason"], &held["held"]["would_close"]),
        (&json!(0), &json!("hold_share"), &json!(2)),
        "{held}"
    );
    assert_eq!(source_ids(&held["held"]["diff"]), ["F-2", "F-3"]);
    assert_eq!(live(&platform).await, 8);
    app.settle().await;
    assert_eq!(platform.received("feed.held").body["data"]["run"], "r2");

    let shown = platform.caller.get("/v1/feed-runs/r2").await.expect(200).json;
    assert_eq!((&shown["state"], &shown["reason"], &shown["open"]), (&json!("held"), &json!("hold_share"), &json!(8)), "{shown}");
    assert_eq!(shown["diff"], held["held"]["diff"]);
    platform.caller.post("/v1/feed-runs/r1/release", &json!({})).await.expect_problem(409, "run_not_held");
    platform.caller.post("/v1/feed-runs/none/release", &json!({})).await.expect_problem(404, "not_found");
    let released = platform.caller.post("/v1/feed-runs/r2/release", &json!({})).await.expect(200).json;
    assert_eq!((&released["state"], &released["closed"]), (&json!("applied"), &json!(2)), "{released}");
    assert_eq!(live(&platform).await, 6);
    platform.caller.post("/v1/feed-runs/r2/release", &json!({})).await.expect_problem(409, "run_not_held");
    assert_eq!(push(&platform, "run=r2&complete=true", &all[4..]).await.expect(200).json, held, "and the push answers what it answered");
    let withdrawn = worker.offers().await.iter().filter(|o| o["state"] == "withdrawn").count();
    assert!(withdrawn > 0 && withdrawn <= offered, "who waited for an answer is told: {withdrawn} of {offered}");
    app.settle().await;
    app.finish().await;
}

async fn a_discarded_run_closes_nothing_and_what_it_brought_stays(engine: Engine) {
    let app = spawn_on(engine).await;
    let platform = app.platform("example").await;
    push(&platform, "", &records(0..4)).await.expect(200);
    let held = push(&platform, "run=new-ids&complete=true", &records(50..52)).await.expect(200).json;
    assert_eq!((&held["created"], &held["held"]["would_close"]), (&json!(2), &json!(4)), "{held}");
    let dropped = platform.caller.post("/v1/feed-runs/new-ids/discard", &json!({})).await.expect(200).json;
    assert_eq!((&dropped["state"], &dropped["closed"]), (&json!("discarded"), &json!(0)));
    platform.caller.post("/v1/feed-runs/new-ids/discard", &json!({})).await.expect_problem(409, "run_not_held");
    platform.caller.post("/v1/feed-runs/new-ids/release", &json!({})).await.expect_problem(409, "run_not_held");
    assert_eq!(live(&platform).await, 6);
    app.settle().await;
    app.finish().await;
}

async fn a_count_that_misses_what_was_expected_holds_the_run(engine: Engine) {
    let app = spawn_on(engine).await;
    let platform = app.platform("example").await;
    let mut all = records(0..10);
    push(&platform, "", &all).await.expect(200);
    let short = push(&platform, "run=short&complete=true&expected=10", &all[..9]).await.expect(200).json;
    assert_eq!((&short["closed"], &short["held"]["reason"]), (&json!(0), &json!("expected")), "{short}");
    assert_eq!((&short["held"]["expected"], &short["held"]["received"]), (&json!(10), &json!(9)));

    // Rejects count, a repeat does not, and a rejected record is not absent.
    all[3].as_object_mut().unwrap().remove("title");
    let lines = |records: &[Value]| records.iter().map(Value::to_string).collect::<Vec<_>>().join("\n");
    let body = format!("{}\n{{broken\n", lines(&all[..6]));
    let first = platform.caller.post_bytes("/v1/postings?run=full", "application/x-ndjson", body.clone()).await.expect(200).json;
    assert_eq!((first["received"].as_u64(), first["rejected"].as_array().unwrap().len()), (Some(7), 2), "{first}");
    platform.caller.post_bytes("/v1/postings?run=full", "application/x-ndjson", body).await.expect(200);
    let whole = push(&platform, "run=full&complete=true&expected=10", &all[4..9]).await.expect(200).json;
    assert_eq!((&whole["held"], &whole["closed"]), (&json!(null), &json!(1)), "nine with an id and a broken line: {whole}");
    assert_eq!(live(&platform).await, 9);
    assert_eq!(platform.caller.get("/v1/postings?source_id=F-3").await.expect(200).json["items"][0]["status"], "open");
    app.settle().await;
    app.finish().await;
}

async fn the_completing_push_answers_the_same_and_the_run_takes_no_other(engine: Engine) {
    let app = spawn_on(engine).await;
    let platform = app.platform("example").await;
    let all = records(0..10);
    push(&platform, "", &all).await.expect(200);
    push(&platform, "run=r&expected=3", &all).await.expect_problem(422, "expected_without_complete");
    push(&platform, "complete=true", &all).await.expect_problem(422, "run_missing");
    push(&platform, &format!("run={}", "x".repeat(65)), &all).await.expect_problem(422, "run_invalid");
    let looked = push(&platform, "run=r&complete=true&dry_run=true", &all[..1]).await.expect(200).json;
    assert_eq!(looked["unchanged"], 1);
    platform.caller.get("/v1/feed-runs/r").await.expect_problem(404, "not_found");
    // A body that cannot be read is no part of a feed, and ends none.
    let broken = platform.caller.post_bytes("/v1/postings?run=r&complete=true", "application/json", "[{").await;
    broken.expect_problem(400, "json_invalid");
    assert_eq!(live(&platform).await, 10);

    let path = "/v1/postings?run=r&complete=true&expected=9";
    let once = platform.caller.post_once(path, "key", &json!(all[..9])).await.expect(200).json;
    assert_eq!(once["closed"], 1, "{once}");
    for again in [
        platform.caller.post_once(path, "key", &json!(all[..9])).await,
        platform.caller.post_once(path, "another-key", &json!(all[..9])).await,
        platform.caller.post(path, &json!(all[..9])).await,
    ] {
        assert_eq!(again.expect(200).json, once);
    }
    push(&platform, "run=r", &all).await.expect_problem(409, "run_ended");
    push(&platform, "run=r&complete=true", &all[..9]).await.expect_problem(409, "run_ended");
    assert_eq!(live(&platform).await, 9);
    app.settle().await;
    app.finish().await;
}

async fn what_is_pushed_beside_a_run_is_not_closed_by_it(engine: Engine) {
    let app = spawn_on(engine).await;
    let platform = app.platform("example").await;
    let all = records(0..10);
    push(&platform, "", &all).await.expect(200);
    push(&platform, "run=slow", &all[..8]).await.expect(200);
    // One new posting and one unchanged: the platform has just named both.
    push(&platform, "", &[&records(30..31), &all[9..]].concat()).await.expect(200);
    let done = push(&platform, "run=slow&complete=true&expected=8", &[]).await.expect(200).json;
    assert_eq!((&done["held"], &done["closed"]), (&json!(null), &json!(1)), "{done}");
    assert_eq!(platform.caller.get("/v1/postings?status=closed").await.expect(200).json["items"][0]["source_id"], "F-8");
    // While a run is held, too.
    push(&platform, "run=later&complete=true", &all[..4]).await.expect(200);
    push(&platform, "", &all[4..6]).await.expect(200);
    let released = platform.caller.post("/v1/feed-runs/later/release", &json!({})).await.expect(200).json;
    assert_eq!((&released["would_close"], &released["closed"]), (&json!(6), &json!(4)), "{released}");
    app.settle().await;
    app.finish().await;
}

async fn runs_that_nobody_ends_are_forgotten(engine: Engine) {
    let app = spawn_on(engine).await;
    let platform = app.platform("example").await;
    let all = records(0..10);
    push(&platform, "", &all).await.expect(200);
    push(&platform, "run=left", &all[..2]).await.expect(200);
    for n in 0..12 {
        push(&platform, &format!("run=half-{n}&complete=true"), &all[..5]).await.expect(200);
    }
    let state = async |run: &str| platform.caller.get(&format!("/v1/feed-runs/{run}")).await.expect(200).json["state"].clone();
    assert_eq!((state("half-1").await, state("half-2").await, state("half-11").await), (json!("discarded"), json!("held"), json!("held")));
    app.pass(Duration::from_secs(8 * 24 * 3600));
    app.settle().await;
    let platform = app.platform("example").await;
    let run = platform.caller.get("/v1/feed-runs/left").await.expect(200).json;
    assert_eq!((&run["state"], &run["reason"]), (&json!("discarded"), &json!("abandoned")), "{run}");
    push(&platform, "run=left", &all).await.expect_problem(409, "run_ended");
    app.settle().await;
    app.finish().await;
}
