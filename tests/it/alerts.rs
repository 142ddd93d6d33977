//! What the daily watch raises, and what it lets pass.

use crate::harness::*;
use crate::pages::office_browser;
use serde_json::{Value, json};

on_every_engine![
    a_platform_that_falls_silent_is_reported_once_for_each_silence,
    a_county_that_lost_many_is_told_and_a_small_one_is_not,
    a_county_with_few_confirmed_is_told,
    who_lost_a_job_and_gets_no_offer_is_shown_after_a_week,
    work_without_a_sign_for_two_months_is_asked_after,
    pay_below_the_promise_is_shown_once,
    alerts_are_read_in_pages,
];

/// The alerts of this kind that an office of the region sees, by whatever token is fresh.
async fn alerts(app: &App, region: &str, kind: &str) -> Vec<Value> {
    let listed = app.office(region).await.caller.get("/v1/alerts?limit=200").await.expect(200).json;
    listed["items"].as_array().unwrap().iter().filter(|a| a["kind"] == kind).cloned().collect()
}

async fn resolve(app: &App, region: &str, alert: &Value) {
    let path = format!("/v1/alerts/{}/resolve", alert["id"].as_str().unwrap());
    app.office("330000").await.caller.post(&path, &json!({"note": "not ours"})).await.expect_problem(404, "not_found");
    app.office(region).await.caller.post(&path, &json!({"note": "done"})).await.expect(204);
}

/// Runs the watch of the next day.
async fn next_day(app: &App, days: u64) {
    app.pass_hours(24 * days);
    app.settle().await;
}

/// Somebody of each county who works since this day: worker, hire, offer.
async fn working(app: &App, counties: &[&str], since: &str) -> Vec<[String; 3]> {
    let platform = app.platform("example").await;
    let posting = platform.publish(a_posting().openings(counties.len() as u32)).await;
    let mut made = Vec::new();
    for worker in app.workers(counties.iter().map(|county| in_region(county)).collect()).await {
        let offer = worker.accepts_offer_for(&posting).await;
        let report = platform.report(json!({"offer": offer, "status": "ONBOARDED", "at": since})).await;
        made.push([worker.id.clone(), report["hire"].as_str().unwrap().to_owned(), offer]);
    }
    made
}

async fn a_platform_that_falls_silent_is_reported_once_for_each_silence(engine: Engine) {
    let app = spawn_on(engine).await;
    app.platform("example").await.publish(a_posting()).await;
    next_day(&app, 6).await;
    assert_eq!(alerts(&app, "000000", "platform_silent").await, Vec::<Value>::new());
    next_day(&app, 1).await;
    let raised = alerts(&app, "000000", "platform_silent").await;
    assert_eq!(raised.len(), 1);
    assert_eq!((&raised[0]["region"], &raised[0]["resolved_at"]), (&json!("000000"), &json!(null)));
    assert_eq!(raised[0]["detail"], "example has sent no postings since 2020-06-15");
    assert_eq!(raised[0]["facts"], json!({"platform": "example", "since": "2020-06-15"}));
    let browser = office_browser(&app, "000000").await;
    for path in ["/office/alerts", "/office/report"] {
        let page = browser.get(path).await.page(200);
        assert!(page.contains("example在2020年6月15日之后没有发来岗位") && !page.contains("sent no postings"), "{path} {page}");
    }
    assert!(browser.get("/office/alerts?lang=en").await.page(200).contains("example has sent no postings since 15 June 2020"));
    assert!(raised[0]["action"].as_str().unwrap().contains("feed"), "{raised:?}");
    assert_eq!(alerts(&app, "520000", "platform_silent").await.len(), 0, "for the top alone");
    next_day(&app, 1).await;
    assert_eq!(alerts(&app, "000000", "platform_silent").await.len(), 1);
    resolve(&app, "000000", &raised[0]).await;
    next_day(&app, 1).await;
    let listed = alerts(&app, "000000", "platform_silent").await;
    assert_eq!(listed.len(), 1, "the same silence is not raised again");
    assert!(listed[0]["resolved_at"].is_string());
    app.platform("example").await.publish(a_posting()).await;
    next_day(&app, 1).await;
    assert_eq!(alerts(&app, "000000", "platform_silent").await.len(), 1);
    next_day(&app, 7).await;
    assert_eq!(alerts(&app, "000000", "platform_silent").await.len(), 2, "another silence");
    app.finish().await;
}

async fn a_county_that_lost_many_is_told_and_a_small_one_is_not(engine: Engine) {
    let app = spawn_with(engine, |c| (c.alert.drop_min, c.alert.drop_share) = (4, 0.25)).await;
    let counties = ["522624", "522624", "522624", "522624", "520302", "520302", "520302", "520302", "522601", "522601"];
    let people = working(&app, &counties, "2020-05-01").await;
    app.settle().await;
    assert_eq!(alerts(&app, "000000", "employment_drop").await.len(), 0);
    let platform = app.platform("example").await;
    // Two of four; one of four, which is just the share; both of two, who are too few.
    for at in [0, 1, 4, 8, 9] {
        platform.report(json!({"offer": people[at][2], "status": "ENDED", "reason": "quit", "at": "2020-06-15"})).await;
    }
    next_day(&app, 1).await;
    let raised = alerts(&app, "000000", "employment_drop").await;
    // More went than came this month, which every report takes.
    for name in ["employment", "flows", "platforms", "months", "routing"] {
        let office = app.office("520000").await;
        office.caller.get(&format!("/v1/reports/{name}?period=2020-06")).await.expect(200);
    }
    assert_eq!(raised.iter().map(|a| &a["region"]).collect::<Vec<_>>(), ["522624"]);
    assert_eq!(raised[0]["detail"], "2 work, 4 did a month ago");
    assert_eq!((alerts(&app, "522600", "employment_drop").await.len(), alerts(&app, "520300", "employment_drop").await.len()), (1, 0));
    next_day(&app, 1).await;
    resolve(&app, "522624", &raised[0]).await;
    next_day(&app, 1).await;
    assert_eq!(alerts(&app, "000000", "employment_drop").await.len(), 1, "once a month");
    app.finish().await;
}

async fn a_county_with_few_confirmed_is_told(engine: Engine) {
    let app = spawn_with(engine, |c| (c.alert.unconfirmed_min, c.alert.unconfirmed_share) = (2, 0.5)).await;
    // All of two; one of two, which is just the share; one alone, who is too few.
    let people = working(&app, &["522624", "522624", "520302", "520302", "522601"], "2020-03-25").await;
    // Who began this month or the last could not have been confirmed by two months of work.
    working(&app, &["522633", "522633", "522633"], "2020-05-20").await;
    let office = app.office("520302").await;
    office.caller.post(&format!("/v1/hires/{}/confirm", people[2][1]), &json!({})).await.expect(200);
    next_day(&app, 1).await;
    let raised = alerts(&app, "000000", "unconfirmed_share").await;
    assert_eq!(raised.iter().map(|a| &a["region"]).collect::<Vec<_>>(), ["522624"]);
    assert_eq!(raised[0]["detail"], "2 of 2 who have worked for over a month are not confirmed");
    next_day(&app, 1).await;
    assert_eq!(alerts(&app, "522624", "unconfirmed_share").await.len(), 1);
    resolve(&app, "522624", &raised[0]).await;
    app.finish().await;
}

async fn who_lost_a_job_and_gets_no_offer_is_shown_after_a_week(engine: Engine) {
    let app = spawn_on(engine).await;
    let people = working(&app, &["522624", "520302"], "2020-05-01").await;
    // What they were offered before is no offer since.
    app.pass_hours(1);
    let (platform, at) = (app.platform("example").await, app.now());
    for (n, reason) in [(0, "laid_off"), (1, "quit")] {
        platform.report(json!({"offer": people[n][2], "status": "ENDED", "reason": reason, "at": at})).await;
    }
    next_day(&app, 6).await;
    assert_eq!(alerts(&app, "000000", "displaced_waiting").await.len(), 0);
    next_day(&app, 1).await;
    let raised = alerts(&app, "000000", "displaced_waiting").await;
    assert_eq!(raised.iter().map(|a| (&a["region"], &a["worker"])).collect::<Vec<_>>(), [(&json!("522624"), &json!(people[0][0]))]);
    assert_eq!(raised[0]["detail"], "lost a job on 2020-06-15 and has had no offer since");
    next_day(&app, 1).await;
    assert_eq!(alerts(&app, "522624", "displaced_waiting").await.len(), 1);
    resolve(&app, "522624", &raised[0]).await;
    next_day(&app, 1).await;
    assert_eq!(alerts(&app, "522624", "displaced_waiting").await.len(), 1);
    app.finish().await;
}

async fn work_without_a_sign_for_two_months_is_asked_after(engine: Engine) {
    let app = spawn_on(engine).await;
    let people = working(&app, &["522624", "520302"], "2020-03-20").await;
    let platform = app.platform("example").await;
    platform.report(json!({"offer": people[1][2], "status": "ACTIVE", "month": "2020-04", "at": "2020-05-02"})).await;
    next_day(&app, 1).await;
    let raised = alerts(&app, "000000", "active_missing").await;
    assert_eq!(raised.iter().map(|a| (&a["region"], &a["worker"])).collect::<Vec<_>>(), [(&json!("522624"), &json!(people[0][0]))]);
    assert_eq!(raised[0]["detail"], "works by example's word, and no sign of it in the last two months; counts until 2020-06-20");
    next_day(&app, 1).await;
    resolve(&app, "522624", &raised[0]).await;
    next_day(&app, 1).await;
    assert_eq!(alerts(&app, "000000", "active_missing").await.len(), 1);
    app.finish().await;
}

async fn pay_below_the_promise_is_shown_once(engine: Engine) {
    let app = spawn_on(engine).await;
    let people = working(&app, &["522624", "520302"], "2020-05-01").await;
    let platform = app.platform("example").await;
    // The posting says 5000 to 8000.
    for (at, wage) in [(0, 4999.5), (1, 5000.0)] {
        let report = json!({"offer": people[at][2], "status": "ACTIVE", "month": "2020-05", "at": "2020-06-02", "monthly_wage": wage});
        assert_eq!(platform.report(report).await["result"], "updated");
    }
    // Of a part of a month less is paid: this one began on the second.
    let late = working(&app, &["522633"], "2020-05-02").await;
    let report = json!({"offer": late[0][2], "status": "ACTIVE", "month": "2020-05", "at": "2020-06-02", "monthly_wage": 4000});
    assert_eq!(platform.report(report).await["result"], "updated");
    next_day(&app, 1).await;
    let raised = alerts(&app, "000000", "pay_below_promise").await;
    assert_eq!(raised.iter().map(|a| (&a["region"], &a["worker"])).collect::<Vec<_>>(), [(&json!("522624"), &json!(people[0][0]))]);
    assert!(
        raised[0]["posting"].is_string() && raised[0]["detail"] == "4999.5 yuan a month reported for 2020-05, 5000 promised",
        "{raised:?}"
    );
    resolve(&app, "522624", &raised[0]).await;
    next_day(&app, 1).await;
    assert_eq!(alerts(&app, "000000", "pay_below_promise").await.len(), 1);
    // Who is erased is nobody's alert any more.
    app.office("522624").await.caller.delete(&format!("/v1/workers/{}", people[0][0])).await.expect(204);
    assert!(alerts(&app, "000000", "pay_below_promise").await[0]["worker"].is_null());
    app.settle().await;
    app.finish().await;
}

async fn alerts_are_read_in_pages(engine: Engine) {
    let app = spawn_on(engine).await;
    let workers = app.workers(vec![in_region("522624"), in_region("520302")]).await;
    for (n, worker) in [0, 0, 0, 1].into_iter().enumerate().map(|(n, at)| (n, &workers[at])) {
        // Ids of one moment have no order.
        app.pass(std::time::Duration::from_secs(1));
        worker.caller.post("/v1/me/complaints", &json!({"text": format!("{n}")})).await.expect(201);
    }
    let office = app.office("522600").await;
    let get = async |cursor: &str| office.caller.get(&format!("/v1/alerts?limit=2&cursor={cursor}")).await.expect(200).json;
    let details = |page: &Value| page["items"].as_array().unwrap().iter().map(|a| a["detail"].clone()).collect::<Vec<_>>();
    let first = get("").await;
    assert_eq!((&first["total"], details(&first)), (&json!(3), vec![json!("2"), json!("1")]));
    let second = get(first["next"].as_str().unwrap()).await;
    assert_eq!((&second["next"], details(&second)), (&json!(null), vec![json!("0")]));
    office.caller.get("/v1/alerts?cursor=no-id").await.expect_problem(422, "cursor_invalid");
    let nation = app.office("000000").await;
    for (region, number) in [("520000", 4), ("522600", 3), ("520302", 1), ("330000", 0)] {
        let of = nation.caller.get(&format!("/v1/alerts?region={region}")).await.expect(200).json;
        assert_eq!((&of["total"], of["items"].as_array().unwrap().len()), (&json!(number), number), "{region}");
    }
    office.caller.get("/v1/alerts?region=520302").await.expect_problem(403, "region_forbidden");
    office.caller.get("/v1/alerts?region=999999").await.expect_problem(422, "region_unknown");
    // The first note stays.
    let path = format!("/v1/alerts/{}/resolve", first["items"][0]["id"].as_str().unwrap());
    for note in ["paid back", "again"] {
        office.caller.post(&path, &json!({"note": note})).await.expect(204);
    }
    let first = get("").await;
    assert_eq!((&first["items"][0]["note"], &first["items"][1]["note"]), (&json!("paid back"), &json!(null)));
    app.settle().await;
    app.finish().await;
}
