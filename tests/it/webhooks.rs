//! Webhooks and the list of events.

use crate::harness::*;
use doorstep::http::sink::Arrived;
use serde_json::json;
use std::time::{Duration, Instant};

on_every_engine![
    a_webhook_is_sent_again_until_it_is_received,
    an_endpoint_that_is_gone_is_disabled_and_its_platform_told,
    an_endpoint_that_fails_for_days_is_disabled,
    both_secrets_and_keys_sign_for_a_day_after_a_rotation,
    events_are_listed_in_one_order_and_waited_for,
];

async fn a_webhook_is_sent_again_until_it_is_received(engine: Engine) {
    let app = spawn_on(engine).await;
    let platform = app.platform("example").with_receiver().await;
    platform.closes_a_posting().await;
    app.sink.fail_with(&[500, 302]);
    app.settle().await;
    assert!(platform.all_received().is_empty());
    app.pass(Duration::from_secs(10));
    app.settle().await;
    assert!(platform.all_received().is_empty(), "a redirect is not followed");
    app.pass(Duration::from_secs(40));
    app.settle().await;
    let received = platform.received("posting.closed");
    assert!(received.signature_is_valid);
    let event = &platform.events().await[0];
    assert_eq!(received.id, event["id"].as_str().unwrap());
    let tries = platform.arrived();
    assert!(tries.len() == 3 && tries.iter().all(|t| t.id == received.id && t.body == tries[0].body), "one id and one body on every try");
    assert_ne!(tries[0].timestamp, tries[2].timestamp);
    let attempts = platform.caller.get(&format!("/v1/webhook-endpoints/{}/attempts", platform.endpoint)).await.expect(200).json;
    let statuses: Vec<_> = attempts["items"].as_array().unwrap().iter().map(|a| a["status"].clone()).collect();
    assert_eq!(statuses, [500, 302, 200]);
    // A replay is sent under the same id.
    let replay = format!("/v1/webhook-endpoints/{}/replay", platform.endpoint);
    platform.caller.post(&replay, &json!({"event": event["id"]})).await.expect(202);
    platform.caller.post(&replay, &json!({})).await.expect_problem(422, "invalid");
    app.settle().await;
    assert_eq!(platform.all_received().iter().map(|r| &r.id).collect::<Vec<_>>(), [&received.id, &received.id]);
    app.finish().await;
}

async fn an_endpoint_that_is_gone_is_disabled_and_its_platform_told(engine: Engine) {
    let app = spawn_on(engine).await;
    let platform = app.platform("example").with_receiver().await;
    platform.closes_a_posting().await;
    app.sink.fail_with(&[410]);
    app.settle().await;
    let listed = platform.caller.get("/v1/webhook-endpoints").await.expect(200).json;
    assert_eq!(listed["items"][0]["enabled"], false);
    assert!(listed["items"][0]["secret"].is_null(), "a secret shows once");
    let events = platform.events().await;
    assert_eq!(platform.event_types().await, ["posting.closed", "endpoint.disabled"]);
    assert_eq!(events[1]["data"]["endpoint"], platform.endpoint.as_str());
    for absent in ["posting", "source_id", "sequence"] {
        assert!(events[1]["data"].as_object().unwrap().contains_key(absent), "{absent}");
    }
    platform.closes_a_posting().await;
    app.settle().await;
    assert!(platform.all_received().is_empty());
    let at = format!("/v1/webhook-endpoints/{}", platform.endpoint);
    assert_eq!(platform.caller.patch(&at, &json!({"enabled": true})).await.expect(200).json["enabled"], true);
    platform.closes_a_posting().await;
    app.settle().await;
    assert_eq!(platform.all_received().len(), 1);
    platform.caller.delete(&at).await.expect(204);
    platform.closes_a_posting().await;
    app.settle().await;
    assert_eq!(platform.all_received().len(), 1);
    app.finish().await;
}

async fn an_endpoint_that_fails_for_days_is_disabled(engine: Engine) {
    let app = spawn_with(engine, |c| c.token.lifetime = Duration::from_secs(3600)).await;
    let platform = app.platform("example").with_receiver().await;
    platform.closes_a_posting().await;
    app.sink.fail_with(&[500; 4]);
    app.settle().await;
    app.pass_hours(100);
    app.settle().await;
    app.pass_hours(30);
    app.settle().await;
    let again = app.platform("example").await;
    assert_eq!(again.event_types().await, ["posting.closed", "endpoint.disabled"]);
    assert_eq!(again.events().await[1]["data"]["reason"], "failing");
    app.finish().await;
}

async fn both_secrets_and_keys_sign_for_a_day_after_a_rotation(engine: Engine) {
    let app = spawn_on(engine).await;
    let platform = app.platform("example").with_receiver().await;
    let listed = platform.caller.get("/v1/webhook-endpoints").await.expect(200).json;
    let old_key = listed["items"][0]["public_key"].as_str().unwrap().to_owned();
    let rotated = platform.caller.post(&format!("{}/rotate-secret", platform.endpoint_path()), &json!({})).await.expect(200).json;
    let (fresh, key) = (rotated["secret"].as_str().unwrap(), rotated["public_key"].as_str().unwrap());
    assert!(fresh.starts_with("whsec_") && fresh != platform.secret);
    assert!(key.starts_with("whpk_") && key != old_key);
    platform.closes_a_posting().await;
    app.settle().await;
    let signed_with = |of: &Arrived| {
        let holds = |secret: &&str| doorstep::http::sink::signed_with(secret, of);
        [platform.secret.as_str(), fresh, old_key.as_str(), key].iter().map(holds).collect::<Vec<_>>()
    };
    let arrived = platform.arrived();
    assert_eq!(signed_with(&arrived[0]), [true; 4], "{}", arrived[0].signature);
    app.pass_hours(24);
    let later = app.platform("example").await;
    later.closes_a_posting().await;
    app.settle().await;
    assert_eq!(signed_with(&platform.arrived()[1]), [false, true, false, true], "a day later the old ones do not sign");
    app.finish().await;
}

#[actix_web::test]
async fn an_address_of_this_machine_or_its_network_is_forbidden() {
    let app = spawn().await;
    let platform = app.platform("example").await;
    for url in [
        "http://127.0.0.1:1/hook",
        "https://127.0.0.1/hook",
        "https://localhost/hook",
        "https://[::1]/hook",
        "https://2130706433/hook",
        "https://10.0.0.8/hook",
        "https://169.254.169.254/latest/meta-data",
        "http://example.com/hook",
        "https://example.com:22/hook",
        "file:///etc/passwd",
        "hook",
    ] {
        let refused = platform.caller.post("/v1/webhook-endpoints", &json!({"url": url})).await.expect_problem(422, "url_forbidden");
        assert_eq!(refused.json["errors"][0]["pointer"], "/url", "{url}");
    }
    let made =
        platform.caller.post("/v1/webhook-endpoints", &json!({"url": platform.hook(), "types": ["hire.tagged"]})).await.expect(201).json;
    let at = format!("/v1/webhook-endpoints/{}", made["id"].as_str().unwrap());
    platform.caller.patch(&at, &json!({"url": "https://127.0.0.1/"})).await.expect_problem(422, "url_forbidden");
    platform.caller.post("/v1/webhook-endpoints", &json!({"url": platform.hook(), "types": ["none"]})).await.expect_problem(422, "invalid");
    platform.caller.post("/v1/webhook-endpoints", &json!({})).await.expect_problem(422, "invalid");
    platform.closes_a_posting().await;
    app.settle().await;
    assert!(platform.all_received().is_empty(), "it asked for hires only");
    app.finish().await;
}

async fn events_are_listed_in_one_order_and_waited_for(engine: Engine) {
    let app = spawn_on(engine).await;
    let platform = app.platform("example").await;
    let empty = platform.caller.get("/v1/events").await.expect(200).json;
    assert_eq!(empty["events"], json!([]));
    let start = empty["next"].as_str().expect("next is never null").to_owned();
    for _ in 0..5 {
        platform.closes_a_posting().await;
    }
    let all: Vec<_> = platform.events().await.iter().map(|e| e["id"].clone()).collect();
    let (mut paged, mut after) = (Vec::new(), start);
    loop {
        let page = platform.caller.get(&format!("/v1/events?after={after}&limit=2")).await.expect(200).json;
        paged.extend(page["events"].as_array().unwrap().iter().map(|e| e["id"].clone()));
        let next = page["next"].as_str().unwrap().to_owned();
        if page["events"].as_array().unwrap().is_empty() {
            assert_eq!(next, after, "at the end next equals after");
            break;
        }
        after = next;
    }
    assert_eq!(paged, all);
    let began = Instant::now();
    let path = format!("/v1/events?after={after}&wait=25");
    let (waited, ()) = tokio::join!(platform.caller.get(&path), platform.closes_a_posting());
    assert_eq!(waited.expect(200).json["events"].as_array().unwrap().len(), 1);
    assert!(began.elapsed() < Duration::from_secs(20), "the answer comes with the event");
    platform.caller.get("/v1/events?after=x").await.expect_problem(422, "parameter_invalid");
    app.settle().await;
    app.finish().await;
}
