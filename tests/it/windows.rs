//! Windows: new postings are collected and routed together, scarcest first; what is
//! urgent or not new does not wait.

use crate::harness::*;
use doorstep::routing::Router;
use serde_json::{Value, json};
use std::time::Duration;

on_every_engine![
    what_arrives_in_a_window_is_routed_together_at_its_end,
    the_scarcest_posting_of_a_window_chooses_first,
    a_thousand_postings_are_one_window,
    an_urgent_posting_comes_between_the_parts_of_a_large_window,
    an_urgent_posting_does_not_wait,
    a_posting_that_is_pushed_again_keeps_the_end_of_its_window,
    a_window_outlives_a_restart,
    what_another_node_offered_is_counted_here,
    a_declined_offer_is_replaced_at_once,
    who_loses_a_job_gets_open_postings_at_once_and_who_is_new_waits,
    a_dry_run_and_a_posting_closed_in_its_window_are_offered_to_nobody,
];

const WINDOW: Duration = Duration::from_secs(30);

/// Tests begin at the beginning of a window.
async fn spawn_window(engine: Engine) -> App {
    spawn_with(engine, |c| c.routing.window = WINDOW).await
}

fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

async fn offered(app: &App, worker: &Worker<'_>) -> usize {
    app.settle().await;
    worker.offers().await.len()
}

async fn what_arrives_in_a_window_is_routed_together_at_its_end(engine: Engine) {
    let app = spawn_window(engine).await;
    let platform = app.platform("example").await;
    let worker = app.worker(in_region("522624")).await;
    platform.publish(a_posting()).await;
    assert_eq!(offered(&app, &worker).await, 0);
    app.pass(seconds(29));
    platform.publish(a_posting()).await;
    assert_eq!(offered(&app, &worker).await, 0);
    app.pass(seconds(1));
    assert_eq!(offered(&app, &worker).await, 2);
    // The next window is a window of its own.
    platform.publish(a_posting()).await;
    assert_eq!(offered(&app, &worker).await, 2);
    app.pass(WINDOW);
    assert_eq!(offered(&app, &worker).await, 3);
    app.finish().await;
}

/// Four people, each of whom may hold one offer; the first in every order is the
/// only one with a skill.
async fn people(app: &App) -> Vec<Worker<'_>> {
    let mut people: Vec<Person> = (0..4).map(|_| in_region("522624")).collect();
    people[0] = in_region("522624").with("skills", json!(["e_bike"])).with("seeking_since", json!("2020-01-01"));
    app.workers(people).await
}

fn scarce() -> PostingDraft {
    a_posting().with("requirements", json!({"skills": ["e_bike"]}))
}

async fn the_scarcest_posting_of_a_window_chooses_first(engine: Engine) {
    for (window, gets_it) in [(WINDOW, true), (Duration::ZERO, false)] {
        let app = spawn_with(engine, |c| (c.routing.window, c.routing.cap) = (window, 1)).await;
        let platform = app.platform("example").await;
        let workers = people(&app).await;
        platform.publish(a_posting()).await;
        app.settle().await;
        app.pass(seconds(10));
        let scarce = platform.publish(scarce()).await;
        app.pass(WINDOW);
        app.settle().await;
        let offers = workers[0].offers().await;
        assert_eq!(offers.len(), 1);
        assert_eq!(offers[0]["posting"]["id"] == scarce.id.as_str(), gets_it, "window {window:?}");
        app.finish().await;
    }
}

async fn a_thousand_postings_are_one_window(engine: Engine) {
    let app = spawn_with(engine, |c| c.routing.cap = 1).await;
    let platform = app.platform("example").await;
    let workers = people(&app).await;
    let mut batch: Vec<Value> = (0..1000).map(|_| a_posting().json()).collect();
    let last = scarce();
    batch.push(last.json());
    // Three slices, which wait for the last of them.
    platform.caller.post("/v1/postings", &json!(batch)).await.expect(200);
    app.settle().await;
    let offers = workers[0].offers().await;
    assert_eq!(offers.len(), 1);
    assert_eq!(offers[0]["posting"]["title"], last.json()["title"]);
    app.finish().await;
}

async fn an_urgent_posting_comes_between_the_parts_of_a_large_window(engine: Engine) {
    let app = spawn_with(engine, |c| (c.routing.overbook, c.routing.cap) = (100.0, 100)).await;
    let platform = app.platform("example").await;
    let people: Vec<Value> = (0..60).map(|_| in_region("522624").json()).collect();
    app.office("000000").await.register(&people).await;
    // 60 offers of each, 5,400 in all: more than two parts.
    let batch: Vec<Value> = (0..90).map(|_| a_posting().json()).collect();
    platform.caller.post("/v1/postings", &json!(batch)).await.expect(200);
    let router = &app.state().router;
    let first = router.route_due(app.now()).await.unwrap();
    assert!((1..60).contains(&first), "{first} of 90 at once");
    let urgent = platform.publish(a_posting().with("job_immediate_start", json!(true))).await;
    // It is read beside the next part, and comes before the one after that.
    router.route_due(app.now()).await.unwrap();
    let left = async || 91 * 60 - platform.caller.get("/v1/offers?limit=1").await.expect(200).json["total"].as_i64().unwrap();
    assert!(left().await > 60, "there is a rest");
    router.route_due(app.now()).await.unwrap();
    assert_eq!(platform.offers(&urgent).await.len(), 60, "it did not wait for all the rest");
    app.settle().await;
    assert_eq!(left().await, 0);
    app.pass(seconds(600));
    app.settle().await;
    app.finish().await;
}

async fn an_urgent_posting_does_not_wait(engine: Engine) {
    let app = spawn_window(engine).await;
    let platform = app.platform("example").await;
    let worker = app.worker(in_region("522624")).await;
    let usual = platform.publish(a_posting()).await;
    let urgent = platform.publish(a_posting().with("job_immediate_start", json!(true))).await;
    assert_eq!(offered(&app, &worker).await, 1);
    worker.offer_for(&urgent).await;
    assert_eq!(platform.posting(&urgent).await["job_immediate_start"], true);
    assert!(platform.posting(&usual).await.get("job_immediate_start").is_none());
    let document = app.anonymous().get("/openapi.json").await.expect(200).json;
    assert!(document["components"]["schemas"]["PostingBody"]["properties"]["job_immediate_start"].is_object());
    // From another format.
    let record = json!({"@type": "JobPosting", "identifier": "S-1", "title": "分拣员", "jobLocation": "浙江省宁波市鄞州区",
        "baseSalary": "5000-8000元/月", "jobImmediateStart": true, "datePosted": "2020-06-01"});
    let answer = platform.caller.post("/v1/postings?adapter=schema-org", &record).await.expect(200).json;
    assert_eq!(answer["created"], 1, "{answer}");
    assert_eq!(offered(&app, &worker).await, 2);
    app.pass(WINDOW);
    assert_eq!(offered(&app, &worker).await, 3);
    app.finish().await;
}

async fn a_posting_that_is_pushed_again_keeps_the_end_of_its_window(engine: Engine) {
    let app = spawn_window(engine).await;
    let platform = app.platform("example").await;
    let worker = app.worker(in_region("522624")).await;
    let draft = a_posting();
    platform.publish(draft.clone()).await;
    app.pass(seconds(20));
    platform.publish(draft.clone()).await;
    app.pass(seconds(5));
    let changed = draft.clone().with("description", json!("包住宿"));
    platform.publish(changed.clone()).await;
    assert_eq!(offered(&app, &worker).await, 0, "a change does not end its wait");
    app.pass(seconds(5));
    assert_eq!(offered(&app, &worker).await, 1, "nor does it make it longer");
    // What has been routed is not new.
    let more = app.worker(in_region("522624")).await;
    app.settle().await;
    let had = more.offers().await.len();
    platform.publish(changed.openings(5)).await;
    assert_eq!(offered(&app, &more).await, 1.max(had));
    // A posting that turns urgent while it waits.
    let other = a_posting();
    let posting = platform.publish(other.clone()).await;
    app.settle().await;
    assert_eq!(platform.offers(&posting).await.len(), 0);
    platform.publish(other.with("job_immediate_start", json!(true))).await;
    app.settle().await;
    assert_eq!(platform.offers(&posting).await.len(), 2);
    app.finish().await;
}

async fn a_window_outlives_a_restart(engine: Engine) {
    let mut app = spawn_window(engine).await;
    let posting = {
        let platform = app.platform("example").await;
        app.workers(vec![in_region("522624")]).await;
        platform.publish(a_posting()).await
    };
    app.pass(seconds(10));
    app.restart_with(|c| c.routing.window = Duration::from_secs(60)).await;
    app.pass(seconds(19));
    app.settle().await;
    let platform = app.platform("example").await;
    assert_eq!(platform.offers(&posting).await.len(), 0);
    app.pass(seconds(1));
    app.settle().await;
    assert_eq!(platform.offers(&posting).await.len(), 1);
    app.finish().await;
}

async fn a_declined_offer_is_replaced_at_once(engine: Engine) {
    let app = spawn_with(engine, |c| (c.routing.window, c.routing.overbook) = (WINDOW, 1.0)).await;
    let platform = app.platform("example").await;
    let workers = app.workers(vec![in_region("522624").with("seeking_since", json!("2020-01-01")), in_region("522624")]).await;
    let posting = platform.publish(a_posting()).await;
    app.pass(WINDOW);
    assert_eq!((offered(&app, &workers[0]).await, offered(&app, &workers[1]).await), (1, 0));
    let offer = workers[0].offer_for(&posting).await;
    workers[0].decline(offer["id"].as_str().unwrap()).await.expect(200);
    assert_eq!(offered(&app, &workers[1]).await, 1);
    // So is one that nobody answered.
    app.workers(vec![in_region("522624")]).await;
    app.pass_hours(72);
    app.settle().await;
    let platform = app.platform("example").await;
    assert_eq!(platform.offers(&posting).await.len(), 3);
    app.finish().await;
}

async fn who_loses_a_job_gets_open_postings_at_once_and_who_is_new_waits(engine: Engine) {
    let app = spawn_window(engine).await;
    let platform = app.platform("example").await;
    let worker = app.worker(in_region("522624")).await;
    let job = platform.publish(a_posting()).await;
    app.pass(WINDOW);
    let offer = worker.accepts_offer_for(&job).await;
    platform.report(json!({"offer": offer, "status": "ONBOARDED", "at": "2020-06-15"})).await;
    app.settle().await;
    let routed = platform.publish(a_posting()).await;
    app.pass(WINDOW);
    let waits = platform.publish(a_posting()).await;
    let newcomer = app.worker(in_region("522624")).await;
    app.settle().await;
    newcomer.offer_for(&routed).await;
    assert_eq!(newcomer.offers().await.len(), 1, "a new posting waits for its window, whoever registers");
    assert_eq!(worker.offers().await.len(), 1, "who works is not asked");
    platform.report(json!({"offer": offer, "status": "ENDED", "reason": "laid_off", "at": "2020-06-15"})).await;
    app.settle().await;
    worker.offer_for(&routed).await;
    worker.offer_for(&waits).await;
    app.finish().await;
}

async fn a_dry_run_and_a_posting_closed_in_its_window_are_offered_to_nobody(engine: Engine) {
    let app = spawn_window(engine).await;
    let platform = app.platform("example").await;
    let worker = app.worker(in_region("522624")).await;
    let batch = json!([a_posting().json(), a_posting().json()]);
    platform.caller.post("/v1/postings?dry_run=true", &batch).await.expect(200);
    // A full feed whose second part no longer has the first one's posting.
    let feed: Vec<Value> = (0..10).map(|_| a_posting().json()).collect();
    platform.caller.post("/v1/postings?run=monday&complete=true", &json!(feed[..9])).await.expect(200);
    app.pass(seconds(10));
    let second = platform.caller.post("/v1/postings?run=tuesday&complete=true", &json!(feed[1..])).await.expect(200).json;
    assert_eq!((&second["created"], &second["closed"]), (&json!(1), &json!(1)));
    assert_eq!(offered(&app, &worker).await, 0);
    app.pass(seconds(20));
    assert_eq!(offered(&app, &worker).await, 3, "as many as one may hold");
    let gone = platform.id_of(feed[0]["source_id"].as_str().unwrap()).await;
    assert!(worker.offers().await.iter().all(|o| o["posting"]["id"] != gone.as_str()));
    app.finish().await;
}

async fn what_another_node_offered_is_counted_here(engine: Engine) {
    let app = spawn_with(engine, |c| c.routing.cap = 1).await;
    let platform = app.platform("example").await;
    app.workers((0..3).map(|_| in_region("522624")).collect()).await;
    app.settle().await;
    let here = &app.state().router;
    let available = async |posting: &Posting| {
        let id = doorstep::domain::id::PostingId::parse(&posting.id).unwrap();
        here.funnel(id, app.now()).await.unwrap().unwrap().0[5]
    };
    let there = Router::new(app.state().store.clone(), &app.state().config);
    let posting = platform.publish(a_posting().with("requirements", json!({"age_max": 60}))).await;
    assert_eq!(available(&posting).await, 3);
    there.route_due(app.now()).await.unwrap();
    assert_eq!(platform.offers(&posting).await.len(), 3);
    assert_eq!(available(&posting).await, 0);
    // What is offered here is counted once.
    app.workers((0..2).map(|_| in_region("522624")).collect()).await;
    let other = platform.publish(a_posting()).await;
    app.settle().await;
    assert_eq!(platform.offers(&other).await.len(), 2);
    assert_eq!(available(&other).await, 0);
    let id = platform.offers(&other).await[0]["id"].as_str().unwrap().to_owned();
    platform.report(json!({"offer": id, "status": "NOT_SELECTED"})).await;
    assert_eq!(available(&other).await, 1, "and freed when it ends");
    app.settle().await;
    app.finish().await;
}
