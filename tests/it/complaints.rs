//! What a worker and their office say to each other: complaints, who could not be
//! reached, and answers given on behalf.

use crate::harness::*;
use crate::messages::sms;
use crate::pages::office_browser;
use serde_json::json;

on_every_engine![
    a_complaint_reaches_the_office_of_the_home_and_is_resolved,
    an_office_sees_whom_no_message_reached,
    an_answer_on_behalf_is_shown_to_its_worker,
];

async fn a_complaint_reaches_the_office_of_the_home_and_is_resolved(engine: Engine) {
    let app = spawn_on(engine).await;
    let workers = app.workers(vec![in_region("522624"), in_region("522624")]).await;
    let (worker, office) = (&workers[0], app.office("522624").await);
    let posting = app.platform("example").await.publish(a_posting()).await;
    app.settle().await;
    let offer = worker.offer_for(&posting).await;
    let body = json!({"text": "  工资少发了 ", "offer": offer["id"]});
    let made = worker.caller.post("/v1/me/complaints", &body).await.expect(201).json;
    assert_eq!(worker.caller.post("/v1/me/complaints", &body).await.expect(201).json, made, "the same complaint");
    let alerts = office.caller.get("/v1/alerts").await.expect(200).json;
    let alert = &alerts["items"][0];
    assert_eq!((&alerts["total"], &alert["id"]), (&json!(1), &made["id"]));
    assert_eq!(
        [&alert["kind"], &alert["detail"], &alert["worker"], &alert["posting"]],
        [&json!("complaint"), &json!("工资少发了"), &json!(worker.id), &json!(posting.id)]
    );
    assert_eq!(app.office("330000").await.caller.get("/v1/alerts").await.expect(200).json["total"], 0);
    office.caller.post(&format!("/v1/alerts/{}/resolve", alert["id"].as_str().unwrap()), &json!({"note": "paid"})).await.expect(204);
    let again = worker.caller.post("/v1/me/complaints", &body).await.expect(201).json;
    assert_ne!(again["id"], made["id"], "once it was resolved it is another");
    workers[1].caller.post("/v1/me/complaints", &body).await.expect_problem(404, "not_found");
    for text in [json!(null), json!(" "), json!("长".repeat(501))] {
        worker.caller.post("/v1/me/complaints", &json!({"text": text})).await.expect_problem(422, "invalid");
    }
    for n in 0..9 {
        worker.caller.post("/v1/me/complaints", &json!({"text": format!("{n}")})).await.expect(201);
    }
    worker.caller.post("/v1/me/complaints", &json!({"text": "more"})).await.expect_problem(429, "complaint_quota");
    // Who is erased leaves no words behind.
    worker.caller.delete("/v1/me").await.expect(204);
    assert!(!office.caller.get("/v1/alerts").await.expect(200).text.contains("工资"));
    app.settle().await;
    app.finish().await;
}

async fn an_office_sees_whom_no_message_reached(engine: Engine) {
    let app = spawn_with(engine, |c| {
        sms(c);
        c.notify.tries = 1;
    })
    .await;
    let people = vec![in_region("522624"), in_region("522624"), in_region("522625")];
    let phone = people[0].text("phone").to_owned();
    app.workers(people).await;
    app.platform("example").await.publish(a_posting()).await;
    app.sink.fail_with(&[500; 3]);
    app.settle_messages().await;
    let office = app.office("522624").await;
    let listed = office.caller.get("/v1/workers?state=unreachable&limit=1").await.expect(200);
    assert!(!listed.text.contains(&phone), "masked");
    let listed = listed.json;
    assert_eq!((&listed["total"], listed["items"].as_array().unwrap().len()), (&json!(2), 1));
    assert_eq!(listed["items"][0]["unreachable"]["reason"], "failed");
    let next = format!("/v1/workers?state=unreachable&limit=1&cursor={}", listed["next"].as_str().unwrap());
    let second = office.caller.get(&next).await.expect(200).json;
    assert!(second["next"].is_null() && second["items"][0]["id"] != listed["items"][0]["id"]);
    assert_eq!(app.office("520000").await.caller.get("/v1/workers?state=unreachable").await.expect(200).json["total"], 3);
    office.caller.get("/v1/workers?state=unreachable&region=330000").await.expect_problem(403, "region_forbidden");
    let alerts = office.caller.get("/v1/alerts").await.expect(200).json;
    assert_eq!((&alerts["total"], &alerts["items"][0]["kind"]), (&json!(1), &json!("unreachable")), "one for the day");
    assert!(alerts["items"][0]["detail"].as_str().unwrap().starts_with("2 not reached on 2020-06-"), "{alerts}");
    assert_eq!(alerts["items"][0]["facts"]["people"], 2);
    let page = office_browser(&app, "522624").await.get("/office/alerts").await.page(200).replace("&#x2f;", "/");
    assert!(page.contains("有 2 人联系不上") && page.contains("/office/people?region=522624&amp;state=unreachable"), "{page}");
    app.settle().await;
    app.finish().await;
}

async fn an_answer_on_behalf_is_shown_to_its_worker(engine: Engine) {
    let app = spawn_on(engine).await;
    let worker = app.worker(in_region("522624")).await;
    let (platform, office) = (app.platform("example").await, app.office("522624").await);
    let posting = platform.publish(a_posting()).await;
    app.settle().await;
    let offer = worker.offer_for(&posting).await["id"].as_str().unwrap().to_owned();
    let path = format!("/v1/offers/{offer}/decline");
    office.caller.post(&path, &json!({"on_behalf": true, "method": "visit"})).await.expect_problem(422, "invalid");
    office.caller.post(&path, &json!({"on_behalf": true, "method": "visit", "reason": "要照顾老人"})).await.expect(200);
    let by = worker.offer_for(&posting).await["answered_by"].clone();
    assert_eq!([&by["name"], &by["method"], &by["reason"]], [&json!("office of 522624"), &json!("visit"), &json!("要照顾老人")]);
    assert!(!platform.caller.get(&format!("/v1/offers?posting={}", posting.id)).await.expect(200).text.contains("老人"));
    app.settle().await;
    app.finish().await;
}
