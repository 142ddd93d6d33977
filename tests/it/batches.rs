//! Batches over HTTP: what is taken in, what is refused, what a key repeats.

use crate::harness::*;
use doorstep::store::once::Once;
use serde_json::{Value, json};

on_every_engine![
    a_thousand_with_three_bad_records_take_in_the_others,
    the_same_key_and_body_answer_the_same_and_another_body_is_refused,
    a_key_in_flight_is_told,
    reports_of_hires_are_answered_one_by_one,
    a_registry_takes_in_what_is_right_and_says_what_is_not,
];

fn postings(n: usize) -> Vec<Value> {
    (0..n).map(|n| a_posting().source_id(&format!("B-{n}")).json()).collect()
}

async fn a_thousand_with_three_bad_records_take_in_the_others(engine: Engine) {
    let app = spawn_on(engine).await;
    let platform = app.platform("example").await;
    let mut batch = postings(1_000);
    batch[7].as_object_mut().unwrap().remove("title");
    batch[499]["total_job_openings"] = json!("many");
    batch[999]["job_location"] = json!({});
    let answer = platform.push(json!(batch).to_string(), "application/json").await.expect(200).json;
    assert_eq!((&answer["received"], &answer["created"], &answer["held"]), (&json!(1_000), &json!(997), &json!(null)), "{answer}");
    let rejected = answer["rejected"].as_array().unwrap();
    let told: Vec<_> = rejected.iter().map(|r| (r["index"].as_u64().unwrap(), r["source_id"].as_str().unwrap())).collect();
    assert_eq!(told, [(7, "B-7"), (499, "B-499"), (999, "B-999")]);
    assert_eq!((&rejected[0]["pointer"], &rejected[0]["code"]), (&json!("/title"), &json!("missing")));
    assert_eq!((&rejected[1]["pointer"], &rejected[1]["code"]), (&json!("/total_job_openings"), &json!("invalid_type")));
    assert!(rejected[2]["pointer"].as_str().unwrap().starts_with("/job_location"), "{}", rejected[2]);
    assert!(rejected.iter().all(|r| r["detail"].as_str().is_some_and(|d| !d.is_empty())));
    let listed = platform.caller.get("/v1/postings?limit=1").await.expect(200).json;
    assert_eq!(listed["total"], 997);
    // Without a key a retry is harmless, too.
    let again = platform.push(json!(batch).to_string(), "application/json").await.expect(200).json;
    assert_eq!((&again["created"], &again["unchanged"]), (&json!(0), &json!(997)));
    app.settle().await;
    app.finish().await;
}

#[actix_web::test]
async fn a_schema_org_feed_is_taken_in_whole() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data/feeds/schemaorg-jobposting.json");
    let Ok(feed) = std::fs::read(&path) else { return println!("skipped: no {}", path.display()) };
    let app = spawn().await;
    let platform = app.platform("example").adapter("schema-org").await;
    let answer = platform.push(feed.clone(), "application/json").await.expect(200).json;
    assert_eq!((&answer["created"], &answer["rejected"]), (&json!(8), &json!([])), "{answer}");
    let listed = platform.caller.get("/v1/postings?limit=50").await.expect(200).json;
    assert_eq!(listed["total"], 8);
    let warned = listed["items"].as_array().unwrap().iter().filter(|p| p["warnings"].as_array().is_some_and(|w| !w.is_empty())).count();
    assert!(warned > 0, "places abroad and foreign pay leave their warnings");
    let again = platform.push(feed, "application/json").await.expect(200).json;
    assert_eq!((&again["created"], &again["unchanged"]), (&json!(0), &json!(8)));
    app.settle().await;
    app.finish().await;
}

#[actix_web::test]
async fn a_body_that_is_no_json_takes_nothing_in_and_a_line_that_is_none_is_a_reject() {
    let app = spawn().await;
    let platform = app.platform("example").await;
    let lines: Vec<String> = postings(3).iter().map(Value::to_string).collect();
    let broken = format!("[{},{},{{\"source_id\":", lines[0], lines[1]);
    platform.push(broken, "application/json").await.expect_problem(400, "json_invalid");
    assert_eq!(platform.caller.get("/v1/postings").await.expect(200).json["total"], 0);
    let body = format!("{}\n\n{{\"source_id\": \n{}\n", lines[0], lines[2]);
    let answer = platform.push(body, "application/x-ndjson").await.expect(200).json;
    assert_eq!((&answer["received"], &answer["created"]), (&json!(3), &json!(2)), "{answer}");
    assert_eq!((&answer["rejected"][0]["index"], &answer["rejected"][0]["code"]), (&json!(1), &json!("unreadable")));
    let deep = "[".repeat(100_000);
    platform.push(deep, "application/json").await.expect_problem(400, "too_deep");
    platform.push("a,b\n", "image/png").await.expect_problem(415, "unsupported_media_type");
    app.settle().await;
    app.finish().await;
}

#[actix_web::test]
async fn a_dry_run_says_what_would_be_and_changes_nothing() {
    let app = spawn().await;
    let platform = app.platform("example").await;
    let body = json!(postings(3));
    let answer = platform.caller.post_once("/v1/postings?dry_run=true", "k", &body).await.expect(200).json;
    assert_eq!(answer["created"], 3);
    assert_eq!(platform.caller.get("/v1/postings").await.expect(200).json["total"], 0);
    assert_eq!(platform.caller.post_once("/v1/postings?dry_run=true", "k", &body).await.expect(200).json["created"], 3);
    app.finish().await;
}

async fn the_same_key_and_body_answer_the_same_and_another_body_is_refused(engine: Engine) {
    let app = spawn_on(engine).await;
    let (platform, other) = (app.platform("example").await, app.platform("other").await);
    let batch = json!(postings(3));
    let first = platform.caller.post_once("/v1/postings", "key-1", &batch).await.expect(200);
    let again = platform.caller.post_once("/v1/postings", "key-1", &batch).await.expect(200);
    assert_eq!(first.json, again.json, "created, not unchanged, under the same batch");
    platform.caller.post_once("/v1/postings", "key-1", &json!(postings(2))).await.expect_problem(422, "idempotency_key_reused");
    platform.caller.post_once("/v1/postings?adapter=canonical", "key-1", &batch).await.expect_problem(422, "idempotency_key_reused");
    let theirs = other.caller.post_once("/v1/postings", "key-1", &batch).await.expect(200).json;
    assert_eq!(theirs["created"], 3, "a key is its client's own");
    for bad in ["", "with space", &"x".repeat(256)] {
        platform.caller.post_once("/v1/postings", bad, &batch).await.expect_problem(400, "idempotency_key_invalid");
    }
    // An answer with a secret that is shown once is repeated, too.
    let hook = json!({"url": platform.hook()});
    let made = platform.caller.post_once("/v1/webhook-endpoints", "key-2", &hook).await.expect(201).json;
    assert_eq!(platform.caller.post_once("/v1/webhook-endpoints", "key-2", &hook).await.expect(201).json, made);
    assert_eq!(platform.caller.get("/v1/webhook-endpoints").await.expect(200).json["total"], 1);
    app.settle().await;
    app.finish().await;
}

async fn a_key_in_flight_is_told(engine: Engine) {
    let app = spawn_on(engine).await;
    let platform = app.platform("example").await;
    let batch = json!(postings(1));
    let text = batch.to_string();
    let store = &app.state().store;
    let once = Once {
        client: platform.caller.client.parse().unwrap(),
        key: "busy".to_owned(),
        body_mac: store.body_mac(&[b"POST", b"/v1/postings", b"", text.as_bytes()]),
    };
    store.reserve(once, app.now()).await.unwrap();
    let told = platform.caller.post_once("/v1/postings", "busy", &batch).await.expect_problem(409, "request_in_flight");
    assert!(told.header("retry-after").parse::<u64>().is_ok());
    app.pass(std::time::Duration::from_secs(60));
    assert_eq!(
        platform.caller.post_once("/v1/postings", "busy", &batch).await.expect(200).json["created"],
        1,
        "whoever was at it has died"
    );
    app.settle().await;
    app.finish().await;
}

async fn reports_of_hires_are_answered_one_by_one(engine: Engine) {
    let app = spawn_on(engine).await;
    let (platform, other) = (app.platform("example").await, app.platform("other").await);
    let worker = app.worker(in_region("522624")).await;
    let posting = platform.publish(a_posting()).await;
    let offer = worker.accepts_offer_for(&posting).await;
    let pseudonym = platform.offers(&posting).await[0]["worker"].clone();
    assert!(pseudonym.is_string() && pseudonym != worker.id.as_str());
    let reports = json!([
        {"offer": offer, "status": "HIRED", "at": "2020-06-15"},
        {"offer": offer, "status": "HIRED", "at": "2020-06-15"},
        {"offer": offer, "status": "GREAT"},
        {"offer": "01890a5d-ac96-774b-bcce-b302099a8057", "status": "HIRED"},
        {"offer": offer, "status": "ENDED", "reason": "bored"},
        {"offer": offer, "status": "ACTIVE", "at": "2020-06-18"},
        {"source_id": posting.source_id, "worker": pseudonym, "status": "ONBOARDED", "at": "2020-06-15"},
        {"posting": posting.id, "worker": pseudonym, "raw_status": "在途"},
        7
    ]);
    let results = platform.reports(reports.clone()).await;
    let told: Vec<_> = results.iter().map(|r| (r["result"].as_str().unwrap(), r["code"].as_str())).collect();
    let rejected = |code| ("rejected", Some(code));
    assert_eq!(
        told,
        [
            ("created", None),
            ("unchanged", None),
            rejected("status_unknown"),
            rejected("offer_unknown"),
            rejected("reason_unknown"),
            rejected("at_in_future"),
            ("updated", None),
            ("recorded", None),
            rejected("status_unknown"),
        ]
    );
    assert!(results.iter().enumerate().all(|(n, r)| r["index"] == n));
    assert!(results.iter().all(|r| r["hire"].is_null() == (r["result"] == "rejected")), "{results:?}");
    let theirs = other.report(json!({"offer": offer, "status": "HIRED"})).await;
    assert_eq!(theirs["code"], "offer_unknown", "another platform's offer");
    let keyed = platform.caller.post_once("/v1/hires", "h", &reports).await.expect(200).json;
    assert_eq!(platform.caller.post_once("/v1/hires", "h", &reports).await.expect(200).json, keyed);
    app.settle().await;
    app.finish().await;
}

async fn a_registry_takes_in_what_is_right_and_says_what_is_not(engine: Engine) {
    let app = spawn_on(engine).await;
    let office = app.office("522600").await;
    let person = in_region("522624");
    let mut wrong = in_region("522624").json();
    let digits = wrong["id_number"].as_str().unwrap()[..17].to_owned();
    let right = wrong["id_number"].as_str().unwrap()[17..].to_owned();
    wrong["id_number"] = json!(format!("{digits}{}", if right == "1" { "2" } else { "1" }));
    let mut silent = in_region("522624").json();
    silent.as_object_mut().unwrap().remove("consent");
    let rows = [person.json(), wrong, silent, in_region("330212").json(), in_region("522600").json(), person.json()];
    let answer = office.register(&rows).await;
    assert_eq!((&answer["received"], &answer["created"], &answer["unchanged"]), (&json!(6), &json!(1), &json!(1)), "{answer}");
    let told: Vec<_> =
        answer["rejected"].as_array().unwrap().iter().map(|r| (r["index"].as_u64().unwrap(), r["code"].as_str().unwrap())).collect();
    assert_eq!(told, [(1, "id_number_invalid"), (2, "consent_missing"), (3, "region_forbidden"), (4, "region_ambiguous")]);
    assert!(!answer.to_string().contains(&digits), "no answer quotes an id number");
    // The same as a table with Chinese headers, in a county's own words.
    let other = in_region("522624");
    let csv = format!(
        "身份证号,姓名,手机号,户籍地,同意日期,脱贫状态\n{},{},{},522624,2020-05-01,已脱贫\n",
        other.text("id_number"),
        other.text("name"),
        other.text("phone")
    );
    let answer = office.caller.post_bytes("/v1/workers", "text/csv", csv).await.expect(200).json;
    assert_eq!(answer["created"], 1, "{answer}");
    assert_eq!(office.caller.get("/v1/workers?region=522624").await.expect(200).json["total"], 2);
    app.settle().await;
    app.finish().await;
}
