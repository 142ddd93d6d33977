//! What an operator decides: postings held for words of fraud, groups of the same
//! work.

use crate::harness::*;
use serde_json::{Value, json};

on_every_engine![
    a_posting_with_words_of_fraud_reaches_nobody_until_it_is_released,
    the_same_work_of_two_platforms_is_offered_once_until_its_group_is_split,
    a_record_is_the_same_whatever_else_stands_in_it,
];

async fn a_posting_with_words_of_fraud_reaches_nobody_until_it_is_released(engine: Engine) {
    let app = spawn_on(engine).await;
    let (platform, admin) = (app.platform("example").await, app.admin().await);
    let worker = app.worker(in_region("522624")).await;
    let draft = a_posting().with("description", json!("入职先交押金300元"));
    let posting = platform.publish(draft.clone()).await;
    app.settle().await;
    assert!(worker.offers().await.is_empty());
    let seen = platform.posting(&posting).await;
    assert_eq!((&seen["held_for"], &seen["warnings"]), (&json!("fraud_words"), &json!(["fraud_words"])), "{seen}");
    let held = admin.get("/v1/held-postings").await.expect(200).json;
    assert_eq!((&held["total"], &held["items"][0]["id"]), (&json!(1), &json!(posting.id)));

    let path = format!("/v1/postings/{}/release", posting.id);
    platform.caller.post(&path, &json!({"reason": "mine"})).await.expect_problem(403, "role_forbidden");
    admin.post(&path, &json!({})).await.expect_problem(422, "invalid");
    admin.post("/v1/postings/none/release", &json!({"reason": "x"})).await.expect_problem(404, "not_found");
    let released = admin.post(&path, &json!({"reason": "the deposit is for a bicycle and is paid back"})).await.expect(200).json;
    assert_eq!(released["held_for"], Value::Null);
    admin.post(&path, &json!({"reason": "again"})).await.expect_problem(409, "posting_not_held");
    app.settle().await;
    assert_eq!(worker.offers().await.len(), 1);
    let log = admin.get("/v1/access-log").await.expect(200).json;
    assert!(
        log["items"].as_array().unwrap().iter().any(|a| a["action"] == "posting_released" && a["fields"] == json!(posting.id)),
        "{log}"
    );

    // Renewed with the same texts it stays released; with others it is held again.
    platform.publish(draft.clone().openings(2)).await;
    assert_eq!(platform.posting(&posting).await["held_for"], Value::Null);
    platform.publish(draft.clone().with("description", json!("入职先交培训费900元"))).await;
    assert_eq!(platform.posting(&posting).await["held_for"], "fraud_words");
    platform.publish(draft.with("description", json!("包吃住"))).await;
    assert_eq!(platform.posting(&posting).await["held_for"], Value::Null);
    app.settle().await;
    app.finish().await;
}

async fn the_same_work_of_two_platforms_is_offered_once_until_its_group_is_split(engine: Engine) {
    let app = spawn_on(engine).await;
    let (one, other, admin) = (app.platform("one").await, app.platform("other").await, app.admin().await);
    let worker = app.worker(in_region("522624")).await;
    let work = |title: &str| a_posting().with("title", json!(title)).with("hiring_organization", json!({"name": "示例物流园"}));
    one.publish(work("分拣员（夜班）")).await;
    // Written otherwise, meant the same.
    other.publish(work(" 分拣员(夜班) ")).await;
    one.publish(work("装卸工")).await;
    app.settle().await;
    assert_eq!(worker.offers().await.len(), 2, "one of the group, and the other work");

    let groups = admin.get("/v1/posting-groups").await.expect(200).json;
    assert_eq!(groups["total"], 1, "{groups}");
    let group = &groups["items"][0];
    assert_eq!((group["postings"].as_array().unwrap().len(), &group["why"]["organization"]), (2, &json!("示例物流园")), "{group}");
    assert_eq!((&group["why"]["region"], &group["why"]["pay"]["min"]), (&json!("330212"), &json!(5000)));
    let path = format!("/v1/posting-groups/{}", group["id"].as_str().unwrap());
    one.caller.get(&path).await.expect_problem(403, "role_forbidden");
    admin.get("/v1/posting-groups/00").await.expect_problem(404, "not_found");
    admin.post(&format!("{path}/split"), &json!({})).await.expect_problem(422, "invalid");
    let split = admin.post(&format!("{path}/split"), &json!({"reason": "two gates, two employers"})).await.expect(200).json;
    assert_eq!(split["split"]["reason"], "two gates, two employers");
    assert_eq!(admin.post(&format!("{path}/split"), &json!({"reason": "again"})).await.expect(200).json, split, "for good");
    app.settle().await;
    assert_eq!(worker.offers().await.len(), 3, "the second of them comes now");
    // What comes later with the same words is work of its own, too.
    one.publish(work("分拣员(夜班)").with("valid_through", json!("2020-11-30"))).await;
    app.settle().await;
    assert_eq!(admin.get(&path).await.expect(200).json["postings"].as_array().unwrap().len(), 3);
    app.finish().await;
}

async fn a_record_is_the_same_whatever_else_stands_in_it(engine: Engine) {
    let app = spawn_on(engine).await;
    let platform = app.platform("example").await;
    let mut record = a_posting().json();
    record.as_object_mut().unwrap().remove("source_id");
    let push = async |record: &Value| platform.caller.post("/v1/postings", &json!([record])).await.expect(200).json;
    assert_eq!(push(&record).await["created"], 1);
    record["clicks"] = json!(17);
    record["description"] = Value::Null;
    assert_eq!(push(&record).await["unchanged"], 1, "what nobody reads changes nothing");
    record["title"] = json!("另一个名称");
    assert_eq!(push(&record).await["created"], 1, "without an id another text is another posting");
    app.settle().await;
    app.finish().await;
}
