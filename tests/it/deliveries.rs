//! Webhooks when something goes wrong: with a receiver, an endpoint, or a process.

use crate::harness::*;
use doorstep::http::sink::Manner;
use serde_json::{Value, json};
use std::collections::HashSet;
use std::time::Duration;

on_every_engine![
    a_receiver_that_hangs_delays_nobody_else,
    a_slow_receiver_has_no_more_in_flight_than_its_share,
    a_receiver_that_fails_again_and_again_is_probed_until_it_receives,
    a_receiver_that_says_when_to_come_again_is_left_alone_until_then,
    what_was_tried_often_enough_is_a_dead_letter_and_can_be_replayed,
    an_address_that_may_not_be_called_makes_a_dead_letter,
    a_disabled_endpoint_is_told_to_the_others_and_to_the_nations_office,
    a_sender_that_dies_in_the_middle_is_followed_by_another_with_the_same_webhook,
    two_processes_send_each_webhook_once,
    a_replay_of_many_goes_on_in_slices,
    events_are_forgotten_after_a_time_and_a_cursor_from_before_is_told,
];

/// Waits for something that goes on beside.
async fn until(what: impl Fn() -> bool) {
    while !what() {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

async fn items(platform: &Platform<'_>, below: &str) -> Vec<Value> {
    let listed = platform.caller.get(&format!("{}/{below}", platform.endpoint_path())).await.expect(200).json;
    listed["items"].as_array().unwrap().clone()
}

async fn a_receiver_that_hangs_delays_nobody_else(engine: Engine) {
    let app = spawn_with(engine, |c| c.deliver.timeout = Duration::from_secs(3)).await;
    let (hanging, healthy) = (app.platform("hanging").with_receiver().await, app.platform("healthy").with_receiver().await);
    app.sink.behave(&hanging.path(), Some(Manner::Hang));
    for _ in 0..20 {
        hanging.closes_a_posting().await;
        healthy.closes_a_posting().await;
    }
    let mut settling = Box::pin(app.settle());
    tokio::select! {
        () = &mut settling => panic!("it ended before the time of those that hang was over"),
        () = until(|| healthy.all_received().len() == 20 && hanging.arrived().len() >= 8) => {}
    }
    assert_eq!(hanging.arrived().len(), 8, "its share is in flight, and no more");
    settling.await;
    assert_eq!(hanging.arrived().len(), 8, "after as many failures it is only probed");
    // The next probe hangs as well, and holds one place only.
    app.pass(Duration::from_secs(6));
    healthy.closes_a_posting().await;
    app.settle().await;
    assert_eq!((hanging.arrived().len(), healthy.all_received().len()), (9, 21));
    app.sink.behave(&hanging.path(), None);
    app.pass_hours(1);
    app.settle().await;
    let ids: HashSet<String> = hanging.all_received().iter().map(|r| r.id.clone()).collect();
    assert_eq!((ids.len(), hanging.all_received().len()), (20, 20), "nothing was lost, nothing came twice");
    app.finish().await;
}

async fn a_slow_receiver_has_no_more_in_flight_than_its_share(engine: Engine) {
    let app = spawn_with(engine, |c| c.deliver.per_endpoint = 3).await;
    let platform = app.platform("example").with_receiver().await;
    app.sink.behave(&platform.path(), Some(Manner::Slow(Duration::from_millis(100))));
    for _ in 0..12 {
        platform.closes_a_posting().await;
    }
    app.settle().await;
    assert_eq!(platform.all_received().len(), 12);
    let most = platform.arrived().iter().map(|a| a.at_once).max();
    assert_eq!(most, Some(3));
    assert!(app.sink.connections() <= 4, "connections are used again: {}", app.sink.connections());
    app.finish().await;
}

async fn a_receiver_that_fails_again_and_again_is_probed_until_it_receives(engine: Engine) {
    let app = spawn_with(engine, |c| c.deliver.per_endpoint = 1).await;
    let platform = app.platform("example").with_receiver().await;
    app.sink.behave(&platform.path(), Some(Manner::Refuse(500, None)));
    for _ in 0..10 {
        platform.closes_a_posting().await;
    }
    app.settle().await;
    assert_eq!(platform.arrived().len(), 5, "five failures in a row are enough");
    for probes in 1..=3 {
        app.pass(Duration::from_secs(5));
        app.settle().await;
        assert_eq!(platform.arrived().len(), 5 + probes);
    }
    app.sink.behave(&platform.path(), None);
    app.pass(Duration::from_secs(5));
    app.settle().await;
    app.pass_hours(1);
    app.settle().await;
    assert_eq!(platform.all_received().len(), 10);
    app.finish().await;
}

async fn a_receiver_that_says_when_to_come_again_is_left_alone_until_then(engine: Engine) {
    let app = spawn_on(engine).await;
    let platform = app.platform("example").with_receiver().await;
    app.sink.behave(&platform.path(), Some(Manner::Refuse(503, Some("600".to_owned()))));
    platform.closes_a_posting().await;
    app.settle().await;
    app.sink.behave(&platform.path(), None);
    platform.closes_a_posting().await;
    app.pass(Duration::from_secs(599));
    app.settle().await;
    assert_eq!(platform.arrived().len(), 1, "neither this webhook nor another one comes before");
    app.pass(Duration::from_secs(1));
    app.settle().await;
    assert_eq!(platform.all_received().len(), 2);
    app.finish().await;
}

async fn what_was_tried_often_enough_is_a_dead_letter_and_can_be_replayed(engine: Engine) {
    let app = spawn_with(engine, |c| {
        c.token.lifetime = Duration::from_secs(3600);
        c.deliver.disable_after = Duration::from_secs(1000 * 3600);
    })
    .await;
    let mut platform = app.platform("example").with_receiver().await;
    platform.closes_a_posting().await;
    let began = app.now();
    app.sink.behave(&platform.path(), Some(Manner::Refuse(500, None)));
    let mut tries = Vec::new();
    for _ in 0..60 {
        app.settle().await;
        tries.resize(platform.arrived().len(), app.now());
        app.pass_hours(6);
    }
    assert_eq!(tries.len(), 13);
    let span = tries[12].ms() - began.ms();
    assert!(span >= 96 * 3_600_000, "tried for {span} ms");
    platform.caller = app.platform("example").await.caller;
    let dead = items(&platform, "dead-letters").await;
    assert_eq!((dead.len(), &dead[0]["tries"], &dead[0]["status"]), (1, &json!(13), &json!(500)), "{dead:?}");
    assert_eq!((&dead[0]["type"], &dead[0]["error"]), (&json!("posting.closed"), &json!("answered 500")));
    app.sink.behave(&platform.path(), None);
    let replay = format!("{}/replay", platform.endpoint_path());
    platform.caller.post(&replay, &json!({"event": dead[0]["event"]})).await.expect(202);
    app.settle().await;
    assert_eq!(platform.all_received()[0].id, dead[0]["event"].as_str().unwrap());
    assert!(items(&platform, "dead-letters").await.is_empty(), "what was received is none any more");
    let stranger = app.platform("stranger").await;
    stranger.caller.get(&format!("{}/dead-letters", platform.endpoint_path())).await.expect_problem(404, "not_found");
    app.finish().await;
}

async fn an_address_that_may_not_be_called_makes_a_dead_letter(engine: Engine) {
    let mut app = spawn_on(engine).await;
    let (token, endpoint) = {
        let platform = app.platform("example").with_receiver().await;
        platform.closes_a_posting().await;
        (platform.caller.token.clone().unwrap(), platform.endpoint_path())
    };
    // The operator's list no longer names it.
    app.restart_with(|c| c.outbound.allow.clear()).await;
    app.settle().await;
    let dead = app.bearing(&token).get(&format!("{endpoint}/dead-letters")).await.expect(200).json;
    assert_eq!((&dead["total"], &dead["items"][0]["status"]), (&json!(1), &Value::Null));
    assert!(dead["items"][0]["error"].as_str().unwrap().starts_with("forbidden"), "{dead}");
    assert!(app.sink.arrived().is_empty());
    app.finish().await;
}

async fn a_disabled_endpoint_is_told_to_the_others_and_to_the_nations_office(engine: Engine) {
    let app = spawn_on(engine).await;
    let platform = app.platform("example").with_receiver().await;
    let other = format!("http://{}/hooks/other", app.sink_address);
    platform.caller.post("/v1/webhook-endpoints", &json!({"url": other, "types": ["endpoint.disabled"]})).await.expect(201);
    platform.closes_a_posting().await;
    platform.closes_a_posting().await;
    app.sink.behave(&platform.path(), Some(Manner::Refuse(410, None)));
    app.settle().await;
    let told: Vec<_> = app.sink.received().into_iter().filter(|r| r.path == "/hooks/other").collect();
    assert_eq!(told.len(), 1);
    assert_eq!((&told[0].body["type"], &told[0].body["data"]["endpoint"]), (&json!("endpoint.disabled"), &json!(platform.endpoint)));
    let office = app.office("000000").await;
    let alerts = office.caller.get("/v1/alerts").await.expect(200).json;
    assert_eq!(alerts["items"][0]["kind"], "endpoint_disabled", "{alerts}");
    assert!(alerts["items"][0]["detail"].as_str().unwrap().contains("example"));
    let county = app.office("522624").await;
    assert_eq!(county.caller.get("/v1/alerts").await.expect(200).json["total"], 0, "it is no county's matter");
    let dead = items(&platform, "dead-letters").await;
    assert_eq!(dead.len(), 2, "what was due is listed: {dead:?}");
    let replay = format!("{}/replay", platform.endpoint_path());
    platform.caller.post(&replay, &json!({"since": "2020-06-15"})).await.expect_problem(409, "endpoint_disabled");
    app.sink.behave(&platform.path(), None);
    platform.caller.patch(&platform.endpoint_path(), &json!({"enabled": true})).await.expect(200);
    let answer = platform.caller.post(&replay, &json!({"since": "2020-06-15"})).await.expect(202).json;
    assert_eq!((&answer["replayed"], &answer["done"]), (&json!(3), &json!(true)), "{answer}");
    app.settle().await;
    assert_eq!(platform.all_received().len(), 3);
    app.finish().await;
}

async fn a_sender_that_dies_in_the_middle_is_followed_by_another_with_the_same_webhook(engine: Engine) {
    let app = spawn_on(engine).await;
    let platform = app.platform("example").with_receiver().await;
    app.sink.behave(&platform.path(), Some(Manner::Hang));
    platform.closes_a_posting().await;
    let dying = app.another_deliverer().await;
    tokio::select! {
        _ = dying.deliver_due() => panic!("nobody answered"),
        () = until(|| platform.arrived().len() == 1) => {}
    }
    app.sink.behave(&platform.path(), None);
    app.settle().await;
    assert_eq!(platform.arrived().len(), 1, "the dead one's lease still holds");
    app.pass(Duration::from_secs(60));
    app.settle().await;
    let arrived = platform.arrived();
    assert_eq!((arrived.len(), &arrived[0].id, &arrived[0].body), (2, &arrived[1].id, &arrived[1].body));
    assert_eq!(items(&platform, "attempts").await.len(), 1, "what nobody heard of is not listed");
    app.finish().await;
}

async fn two_processes_send_each_webhook_once(engine: Engine) {
    let app = spawn_on(engine).await;
    let platform = app.platform("example").with_receiver().await;
    app.sink.behave(&platform.path(), Some(Manner::Slow(Duration::from_millis(5))));
    for _ in 0..60 {
        platform.closes_a_posting().await;
    }
    let (one, two) = (app.another_deliverer().await, app.another_deliverer().await);
    let (first, second) = tokio::join!(one.deliver_due(), two.deliver_due());
    let (first, second) = (first.unwrap(), second.unwrap());
    assert_eq!(first + second, 60);
    assert!(first > 0 && second > 0, "both took part: {first} and {second}");
    app.settle().await;
    let ids: HashSet<String> = platform.arrived().iter().map(|a| a.id.clone()).collect();
    assert_eq!((ids.len(), platform.arrived().len()), (60, 60));
    app.finish().await;
}

async fn a_replay_of_many_goes_on_in_slices(engine: Engine) {
    const MANY: usize = 1_100;
    let app = spawn_on(engine).await;
    let (mut platform, others) = (app.platform("example").await, app.platform("others").with_receiver().await);
    let batch: Vec<Value> = (0..MANY).map(|n| a_posting().source_id(&format!("R-{n}")).json()).collect();
    platform.caller.post("/v1/postings", &json!(batch)).await.expect(200);
    others.closes_a_posting().await;
    platform.caller.post("/v1/postings?run=empty&complete=true&expected=0", &json!([])).await.expect(200);
    platform.caller.post("/v1/feed-runs/empty/release", &json!({})).await.expect(200);
    app.settle().await;
    // The endpoint comes after everything; the receiver wants closed postings only.
    let body = json!({"url": platform.hook(), "types": ["posting.closed"]});
    let made = platform.caller.post("/v1/webhook-endpoints", &body).await.expect(201).json;
    platform.endpoint = made["id"].as_str().unwrap().to_owned();
    let since = json!({"since": "2020-06-15"});
    let answer = platform.caller.post(&format!("{}/replay", platform.endpoint_path()), &since).await.expect(202).json;
    assert!(answer["replayed"].as_u64().unwrap() <= 500 && answer["done"] == false, "{answer}");
    app.settle().await;
    let ids: HashSet<String> = platform.all_received().iter().map(|r| r.id.clone()).collect();
    assert_eq!((ids.len(), platform.all_received().len()), (MANY, MANY));
    let listed = items(&platform, "replays").await;
    assert_eq!((&listed[0]["id"], &listed[0]["replayed"], &listed[0]["done"]), (&answer["id"], &json!(MANY), &json!(true)));
    assert_eq!(others.all_received().len(), 1, "another platform's events are none of it");
    app.finish().await;
}

async fn events_are_forgotten_after_a_time_and_a_cursor_from_before_is_told(engine: Engine) {
    let app = spawn_with(engine, |c| c.token.lifetime = Duration::from_secs(3600)).await;
    let mut platform = app.platform("example").with_receiver().await;
    let begin = platform.caller.get("/v1/events").await.expect(200).json["next"].as_str().unwrap().to_owned();
    for _ in 0..150 {
        platform.closes_a_posting().await;
    }
    let page = platform.caller.get("/v1/events?limit=149").await.expect(200).json;
    let (within, end) = (page["next"].as_str().unwrap().to_owned(), platform.events().await.len());
    assert_eq!(end, 150);
    app.settle().await;
    app.pass_hours(719);
    app.forget().await;
    platform.caller = app.platform("example").await.caller;
    assert_eq!(platform.events().await.len(), 150, "kept for as long as is set");
    app.pass_hours(2);
    platform.caller = app.platform("example").await.caller;
    platform.closes_a_posting().await;
    app.settle().await;
    app.forget().await;
    for cursor in [&begin, &within] {
        platform.caller.get(&format!("/v1/events?after={cursor}")).await.expect_problem(410, "cursor_expired");
    }
    let left = platform.events().await;
    assert_eq!(left.len(), 1, "without a cursor the list begins with the oldest kept");
    assert_eq!(items(&platform, "attempts").await.len(), 1, "attempts go with the events");
    app.pass_hours(721);
    app.forget().await;
    platform.caller = app.platform("example").await.caller;
    let empty = platform.caller.get("/v1/events").await.expect(200).json;
    assert_eq!(empty["events"], json!([]));
    let next = empty["next"].as_str().unwrap();
    let again = platform.caller.get(&format!("/v1/events?after={next}")).await.expect(200).json;
    assert_eq!(again["next"], next, "a list that is empty now has a cursor that holds");
    app.finish().await;
}
