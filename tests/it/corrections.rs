//! Corrections of hires, and the lists and reports that honour them.

use crate::harness::*;
use serde_json::{Value, json};

on_every_engine![
    a_correction_wins_over_reports_until_the_next,
    a_void_hire_is_in_no_report,
    flow_is_told_anew_and_the_tags_stay,
    who_may_correct_and_who_not,
    those_who_work_in_a_region_are_listed_without_their_names,
];

/// Somebody of county 522624 who works at Ningbo since 1 June.
async fn a_hire(app: &App, platform: &Platform<'_>) -> (String, String, String) {
    let worker = app.worker(in_region("522624")).await;
    let posting = platform.publish(a_posting()).await;
    let offer = worker.accepts_offer_for(&posting).await;
    let hire = platform.report(json!({"offer": offer, "status": "ONBOARDED", "at": "2020-06-01"})).await["hire"].clone();
    (hire.as_str().unwrap().to_owned(), worker.id.clone(), offer)
}

async fn correct(caller: &Caller, hire: &str, body: Value) -> Called {
    caller.post(&format!("/v1/hires/{hire}/corrections"), &body).await
}

async fn a_correction_wins_over_reports_until_the_next(engine: Engine) {
    let app = spawn_on(engine).await;
    let platform = app.platform("example").await;
    let (hire, worker, offer) = a_hire(&app, &platform).await;
    let office = app.office("522600").await;
    let looking = async || office.caller.get(&format!("/v1/workers/{worker}")).await.expect(200).json["looking"].clone();
    assert_eq!(looking().await, false);
    let body = json!({"started_on": "2020-05-20", "ended_on": "2020-06-10", "reason": "visited the station"});
    let corrected = correct(&office.caller, &hire, body).await.expect(200).json;
    assert_eq!(
        (&corrected["started_on"], &corrected["ended_on"], &corrected["status"]),
        (&json!("2020-05-20"), &json!("2020-06-10"), &json!("ENDED"))
    );
    assert_eq!(corrected["warnings"], json!(["corrected"]));
    assert_eq!(office.report("period=2020-05").await["totals"]["total"], 1);
    assert_eq!(office.report("period=2020-06").await["totals"]["total"], 0);
    assert_eq!(looking().await, true, "whose hire is over looks again");
    platform.report(json!({"offer": offer, "status": "ONBOARDED", "at": "2020-05-01"})).await;
    platform.report(json!({"offer": offer, "status": "ENDED", "at": "2020-06-05"})).await;
    let read = async || office.caller.get("/v1/hires").await.expect(200).json["items"][0].clone();
    let seen = read().await;
    assert_eq!((&seen["started_on"], &seen["ended_on"]), (&json!("2020-05-20"), &json!("2020-06-10")));
    let open = correct(&office.caller, &hire, json!({"ended_on": null, "reason": "still there"})).await.expect(200).json;
    assert_eq!((&open["ended_on"], &open["status"], &open["started_on"]), (&Value::Null, &json!("ONBOARDED"), &json!("2020-05-20")));
    assert_eq!(office.report("period=2020-06").await["totals"]["total"], 1);
    assert_eq!(looking().await, false);
    correct(&office.caller, &hire, json!({"ended_on": "2020-05-19", "reason": "typo"})).await.expect_problem(422, "invalid");
    correct(&office.caller, &hire, json!({"ended_on": "2020-06-20", "reason": "to come"})).await.expect_problem(422, "invalid");
    assert_eq!(read().await["ended_on"], Value::Null);
    app.settle().await;
    app.finish().await;
}

async fn a_void_hire_is_in_no_report(engine: Engine) {
    let app = spawn_on(engine).await;
    let platform = app.platform("example").await;
    let (hire, worker, _) = a_hire(&app, &platform).await;
    let office = app.office("522600").await;
    let path = format!("/v1/hires/{hire}/corrections");
    let body = json!({"void": true, "reason": "another person"});
    let first = office.caller.post_once(&path, "k", &body).await.expect(200).json;
    assert_eq!(first["warnings"], json!(["corrected", "void"]));
    assert_eq!(office.caller.post_once(&path, "k", &body).await.expect(200).json, first, "once");
    assert_eq!(office.report("period=2020-06").await["totals"]["total"], 0);
    assert_eq!(office.caller.get("/v1/hires?period=2020-06").await.expect(200).json["total"], 0);
    assert_eq!(office.caller.get("/v1/hires").await.expect(200).json["total"], 1, "without a period all that there is");
    let file = office.caller.get(&format!("/v1/workers/{worker}")).await.expect(200).json;
    assert_eq!((&file["looking"], &file["months_worked"]), (&json!(true), &json!(0)));
    correct(&office.caller, &hire, json!({"void": false, "reason": "it was them"})).await.expect(200);
    assert_eq!(office.report("period=2020-06").await["totals"]["total"], 1);
    app.settle().await;
    app.finish().await;
}

async fn flow_is_told_anew_and_the_tags_stay(engine: Engine) {
    let app = spawn_on(engine).await;
    let platform = app.platform("example").await;
    let (hire, ..) = a_hire(&app, &platform).await;
    let office = app.office("522600").await;
    let flow = async |body: Value| {
        let h = correct(&office.caller, &hire, body).await.expect(200).json;
        assert_eq!((&h["tags"]["flow"], &h["tags"]["work_region"]), (&json!("out_of_province"), &json!("330212")), "as sent");
        (h["flow"].as_str().unwrap().to_owned(), h["work_region"].as_str().unwrap().to_owned())
    };
    let of = |a: &str, b: &str| (a.to_owned(), b.to_owned());
    assert_eq!(flow(json!({"arrangement": "in_place", "reason": "r"})).await, of("in_place", "522624"));
    assert_eq!(flow(json!({"work_region": "520102", "arrangement": "on_site", "reason": "r"})).await, of("in_province", "520102"));
    let totals = office.report("period=2020-06").await["totals"].clone();
    assert_eq!((&totals["in_province"], &totals["out_of_province"]), (&json!(1), &json!(0)));
    assert_eq!(office.caller.get("/v1/hires?flow=in_province").await.expect(200).json["total"], 1);
    assert_eq!(office.caller.get("/v1/hires?flow=out_of_province").await.expect(200).json["total"], 0);
    assert_eq!(platform.event_types().await.iter().filter(|t| *t == "hire.tagged").count(), 1);
    app.settle().await;
    app.finish().await;
}

async fn who_may_correct_and_who_not(engine: Engine) {
    let app = spawn_on(engine).await;
    let (platform, other) = (app.platform("example").await, app.platform("other").await);
    let (hire, worker, _) = a_hire(&app, &platform).await;
    let body = json!({"category": "courier", "reason": "r"});
    correct(&other.caller, &hire, body.clone()).await.expect_problem(404, "not_found");
    correct(&app.office("522300").await.caller, &hire, body.clone()).await.expect_problem(404, "not_found");
    // Where somebody works is not where they are at home.
    correct(&app.office("330000").await.caller, &hire, body.clone()).await.expect_problem(404, "not_found");
    let seen = correct(&platform.caller, &hire, body.clone()).await.expect(200).json;
    assert_ne!(seen["worker"], json!(worker), "a platform knows people by its own name for them");
    assert_eq!(seen["tags"]["home_region"], "522600");
    let seen = correct(&app.office("522624").await.caller, &hire, body).await.expect(200).json;
    assert_eq!(seen["worker"], json!(worker));
    app.settle().await;
    app.finish().await;
}

async fn those_who_work_in_a_region_are_listed_without_their_names(engine: Engine) {
    let app = spawn_on(engine).await;
    let platform = app.platform("example").await;
    let (hire, worker, _) = a_hire(&app, &platform).await;
    let (home, away) = (app.office("522600").await, app.office("330200").await);
    let total = async |office: &str, query: &str| {
        app.office(office).await.caller.get(&format!("/v1/hires?{query}")).await.expect(200).json["total"].clone()
    };
    assert_eq!(total("522600", "axis=home&period=2020-06").await, 1);
    assert_eq!(total("522600", "axis=work&period=2020-06").await, 0);
    assert_eq!(total("330200", "axis=home").await, 0);
    assert_eq!(total("522600", "period=2020-05").await, 0);
    assert_eq!(total("522600", "platform=other").await, 0);
    home.caller.get("/v1/hires?region=330200").await.expect_problem(403, "region_forbidden");
    home.caller.get("/v1/hires?axis=up").await.expect_problem(422, "parameter_invalid");
    let listed = away.caller.get("/v1/hires?axis=work&period=2020-06").await.expect(200).json;
    let item = &listed["items"][0];
    assert_eq!((&listed["total"], &item["id"]), (&json!(1), &json!(hire)));
    assert_ne!(item["worker"], json!(worker));
    let again = away.caller.get("/v1/hires?axis=work").await.expect(200).json;
    assert_eq!(again["items"][0]["worker"], item["worker"], "the same name each time");
    let above = app.office("330000").await.caller.get("/v1/hires?axis=work").await.expect(200).json;
    assert_eq!(above["items"][0]["id"], item["id"]);
    assert_ne!(above["items"][0]["worker"], item["worker"], "another office has another name");
    assert_eq!(item["tags"]["home_region"], "522600");
    app.settle().await;
    app.finish().await;
}
