//! The whole story, told once on each engine.

use crate::harness::*;
use serde_json::json;

on_every_engine![a_posting_becomes_a_counted_hire, a_hire_reaches_the_platform_signed];

async fn a_hire_reaches_the_platform_signed(engine: Engine) {
    let app = spawn_on(engine).await;
    let platform = app.platform("example").with_receiver().await;
    let posting = platform.publish(a_posting().openings(1)).await;
    let offer = app.worker(in_region("522601")).await.accepts_offer_for(&posting).await;
    platform.report(json!({"offer": offer, "status": "HIRED"})).await;
    app.settle().await;
    assert!(platform.received("hire.tagged").signature_is_valid);
    app.finish().await;
}

async fn a_posting_becomes_a_counted_hire(engine: Engine) {
    let app = spawn_on(engine).await;
    let platform = app.platform("meituan").with_receiver().await;
    let county = app.office("522624").await;

    let person = in_region("522624");
    let registered = county.register(&[person.json()]).await;
    assert_eq!((&registered["received"], &registered["created"], &registered["rejected"]), (&json!(1), &json!(1), &json!([])));
    let worker = county.worker(registered["results"][0]["id"].as_str().unwrap()).await;

    let posting = platform.publish(a_posting().openings(2)).await;
    app.settle().await;
    let offer = worker.offer_for(&posting).await;
    assert_eq!(offer["state"], "offered");
    assert!(!offer["reasons"].as_array().unwrap().is_empty(), "an offer says why it came: {offer}");
    let offer = offer["id"].as_str().unwrap().to_owned();
    let accepted = worker.accept(&offer).await.expect(200).json;
    assert_eq!(accepted["state"], "accepted");
    assert_eq!(worker.accept(&offer).await.expect(200).json["state"], "accepted", "the same answer again");
    assert_eq!(platform.posting(&posting).await["seats"]["taken"], 1);

    let hired = platform.report(json!({"offer": offer, "status": "HIRED", "at": "2020-06-15T10:00:00+08:00"})).await;
    assert_eq!((&hired["result"], &hired["code"]), (&json!("created"), &json!(null)));
    let hire = &hired["hire"];
    for report in [
        json!({"offer": offer, "status": "ONBOARDED", "at": "2020-06-15"}),
        json!({"offer": offer, "status": "ACTIVE", "month": "2020-06"}),
    ] {
        let told = platform.report(report).await;
        assert_eq!((&told["result"], &told["hire"]), (&json!("updated"), hire));
    }
    app.settle().await;

    let tagged = platform.received("hire.tagged");
    assert!(tagged.signature_is_valid);
    let data = &tagged.body["data"];
    assert_eq!((&data["hire"], &data["source_id"]), (hire, &json!(posting.source_id)));
    assert_eq!(data["tags"]["flow"], "out_of_province");
    assert_eq!(data["tags"]["tier_at_hire"], "not_lifted");
    assert_eq!(data["tags"]["home_region"], "522600", "no finer than the prefecture");
    assert_ne!(data["worker"], worker.id.as_str(), "a platform knows a pseudonym only");

    // The list says what the webhooks said.
    let events = platform.events().await;
    assert_eq!(platform.event_types().await, ["offer.accepted", "hire.tagged"]);
    let mut sent: Vec<_> = platform.all_received().into_iter().map(|r| (r.id, r.body)).collect();
    let mut listed: Vec<_> = events
        .iter()
        .map(|e| (e["id"].as_str().unwrap().to_owned(), json!({"type": e["type"], "timestamp": e["timestamp"], "data": e["data"]})))
        .collect();
    sent.sort_by(|a, b| a.0.cmp(&b.0));
    listed.sort_by(|a, b| a.0.cmp(&b.0));
    assert_eq!(sent, listed);
    let sequences: Vec<_> = events.iter().map(|e| e["data"]["sequence"].as_i64().unwrap()).collect();
    assert_eq!(sequences, [1, 2], "numbered for each posting");

    let report = county.report("period=2020-06").await;
    let totals = &report["totals"];
    let count = |name: &str| totals[name].as_i64().unwrap_or_else(|| panic!("{name} in {totals}"));
    assert_eq!(count("total"), 1);
    assert_eq!(count("total"), count("out_of_province") + count("in_province") + count("in_county"));
    assert_eq!(count("total"), count("confirmed") + count("unconfirmed"));
    assert_eq!((count("out_of_province"), count("new"), count("unconfirmed")), (1, 1, 1));
    for other in ["period=2020-05", "period=2020-06&region=522624&axis=work"] {
        assert_eq!(county.report(other).await["totals"]["total"], 0, "{other}");
    }

    let file = county.caller.get(&format!("/v1/workers/{}", worker.id)).await.expect(200);
    for secret in [person.text("id_number"), person.text("phone"), person.text("name")] {
        assert!(!file.text.contains(secret), "a file is masked");
    }
    app.finish().await;
}

#[actix_web::test]
#[should_panic(expected = "the test leaves due work behind")]
async fn a_test_that_leaves_work_behind_fails() {
    let app = spawn().await;
    app.platform("example").await.publish(a_posting()).await;
    app.finish().await;
}

#[actix_web::test]
#[should_panic(expected = "a test ends with `app.finish().await`")]
async fn a_test_that_does_not_look_for_work_left_behind_fails() {
    spawn().await;
}
