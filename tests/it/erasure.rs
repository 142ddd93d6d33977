//! Consent, its withdrawal, and what remains.

use crate::harness::*;
use serde_json::json;

on_every_engine![
    who_withdraws_consent_is_erased_and_may_say_so_twice,
    an_office_erases_its_own_people,
    a_reveal_needs_a_reason_and_is_written_down
];

async fn who_withdraws_consent_is_erased_and_may_say_so_twice(engine: Engine) {
    let app = spawn_on(engine).await;
    let platform = app.platform("example").with_receiver().await;
    let office = app.office("522624").await;
    let person = in_region("522624");
    let worker = app.worker(person.clone()).await;
    let posting = platform.publish(a_posting()).await;
    let offer = worker.accepts_offer_for(&posting).await;
    worker.caller.delete("/v1/me").await.expect(204);
    worker.caller.delete("/v1/me").await.expect(204);
    worker.caller.get("/v1/me").await.expect_problem(401, "unauthorized");
    let form = [("grant_type", "link"), ("link", worker.link.as_str())];
    app.anonymous().send(app.anonymous().request("POST", "/oauth/token").form(&form)).await.expect_problem(400, "invalid_grant");
    office.caller.get(&format!("/v1/workers/{}", worker.id)).await.expect_problem(404, "not_found");
    office.caller.post(&format!("/v1/workers/{}/link", worker.id), &json!({})).await.expect_problem(404, "not_found");
    assert_eq!(office.caller.get("/v1/workers").await.expect(200).json["total"], 0);
    assert_eq!(office.caller.get("/v1/offers").await.expect(200).json["total"], 0);
    worker.caller.get("/v1/me/offers").await.expect_problem(401, "unauthorized");
    assert_eq!(platform.report(json!({"offer": offer, "status": "HIRED"})).await["code"], "offer_unknown");
    platform.caller.get(&format!("/v1/offers/{offer}/contact")).await.expect_problem(403, "contact_not_shared");
    assert_eq!(platform.posting(&posting).await["seats"]["taken"], 0);
    app.settle().await;
    assert_eq!(platform.received("offer.withdrawn").body["data"]["by"], "worker");
    let back = office.register(&[person.json()]).await;
    assert_eq!(back["created"], 1);
    assert_ne!(back["results"][0]["id"], worker.id.as_str(), "who registers again is a new person");
    app.settle().await;
    app.finish().await;
}

async fn an_office_erases_its_own_people(engine: Engine) {
    let app = spawn_on(engine).await;
    let platform = app.platform("example").await;
    let worker = app.worker(in_region("522624")).await;
    let posting = platform.publish(a_posting()).await;
    let offer = worker.accepts_offer_for(&posting).await;
    platform.report(json!({"offer": offer, "status": "ONBOARDED"})).await;
    let (office, other) = (app.office("522600").await, app.office("330000").await);
    assert_eq!(office.report("period=2020-06").await["totals"]["total"], 1);
    let at = format!("/v1/workers/{}", worker.id);
    other.caller.delete(&at).await.expect_problem(404, "not_found");
    office.caller.delete(&at).await.expect(204);
    office.caller.delete(&at).await.expect(204);
    assert_eq!(office.report("period=2020-06").await["totals"]["total"], 0, "an open period does not count the erased");
    // What the platform still reports of the hire is taken in and brings nobody back.
    platform.report(json!({"offer": offer, "status": "ACTIVE"})).await;
    assert_eq!(office.report("period=2020-06").await["totals"]["total"], 0);
    app.settle().await;
    app.finish().await;
}

async fn a_reveal_needs_a_reason_and_is_written_down(engine: Engine) {
    let app = spawn_with(engine, |c| c.access.reveals_per_day = 2).await;
    let office = app.office("522624").await;
    let person = in_region("522624");
    let worker = app.worker(person.clone()).await;
    let at = format!("/v1/workers/{}/reveal", worker.id);
    office.caller.post(&at, &json!({"fields": ["name"]})).await.expect_problem(422, "invalid");
    office.caller.post(&at, &json!({"fields": ["name"], "reason": " "})).await.expect_problem(422, "invalid");
    office.caller.post(&at, &json!({"fields": [], "reason": "a visit"})).await.expect_problem(422, "invalid");
    office.caller.post(&at, &json!({"fields": ["birth"], "reason": "a visit"})).await.expect_problem(422, "invalid");
    let shown = office.caller.post(&at, &json!({"fields": ["id_number", "phone"], "reason": "a visit"})).await.expect(200).json;
    assert_eq!(shown["fields"], json!({"id_number": person.text("id_number"), "phone": person.text("phone")}));
    office.caller.post(&at, &json!({"fields": ["name"], "reason": "a visit"})).await.expect(200);
    office.caller.post(&at, &json!({"fields": ["name"], "reason": "a visit"})).await.expect_problem(429, "reveal_quota");
    let log = app.admin().await.get("/v1/access-log?limit=200").await.expect(200);
    assert!(!log.text.contains(person.text("phone")));
    let revealed: Vec<_> = log.json["items"].as_array().unwrap().iter().filter(|l| l["action"] == "reveal").cloned().collect();
    assert_eq!(revealed.len(), 2);
    assert_eq!(
        (&revealed[0]["worker"], &revealed[0]["reason"], &revealed[0]["fields"]),
        (&json!(worker.id), &json!("a visit"), &json!("id_number,phone"))
    );
    app.settle().await;
    app.finish().await;
}
