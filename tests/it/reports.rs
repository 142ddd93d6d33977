//! Reports over HTTP: who may pull what, in every form.

use crate::harness::*;
use serde_json::{Value, json};

on_every_engine![the_report_of_offers_shows_who_waits_unseen, a_report_that_names_persons_is_logged,];

#[actix_web::test]
async fn the_public_form_needs_no_token_and_gives_listed_tables_of_locked_periods_alone() {
    let app = spawn().await;
    let anybody = app.anonymous();
    let get = async |query: &str| anybody.get(&format!("/v1/reports/{query}")).await;
    for query in ["employment?", "employment?by=tier&", "employment?region=set:listed-52&", "employment?format=csv&by=none&level=province&"]
    {
        get(&format!("{query}public=true&period=2019")).await.expect_problem(409, "period_open");
    }
    for query in [
        "employment?by=platform&",
        "employment?region=520000&",
        "employment?axis=work&",
        "routing?",
        "employment?level=county&",
        "nothing?",
    ] {
        get(&format!("{query}public=true&period=2019")).await.expect_problem(404, "not_public");
    }
    get("employment?public=true&period=never").await.expect_problem(422, "period_invalid");
    get("employment?public=true&period=2019&format=pdf").await.expect_problem(422, "format_invalid");
    get("employment?public=perhaps&period=2019").await.expect_problem(422, "parameter_invalid");
    for query in ["employment?period=2019", "employment?public=false&period=2019"] {
        get(query).await.expect_problem(401, "unauthorized");
    }
    // Who has a token gets the same there.
    let office = app.office("520000").await.caller;
    office.get("/v1/reports/employment?public=true&period=2019").await.expect_problem(409, "period_open");
    app.finish().await;
}

/// And of a position in the ledger nothing is said of what the ledger does not hold.
async fn a_report_that_names_persons_is_logged(engine: Engine) {
    let app = spawn_on(engine).await;
    let platform = app.platform("example").await;
    let posting = platform.publish(a_posting().openings(3)).await;
    let worker = app.worker(in_region("522624")).await;
    let offer = worker.accepts_offer_for(&posting).await;
    platform.report(json!({"offer": offer, "status": "ACTIVE", "month": "2020-05"})).await;
    let office = app.office("520000").await;
    let months = office.caller.get("/v1/reports/months?period=2020-05&region=522600").await.expect(200).json;
    assert_eq!(months["rows"][0]["worker"], worker.id.as_str());
    office.caller.get("/v1/reports/months?period=2020-05&region=330106").await.expect_problem(403, "region_forbidden");
    office.caller.get("/v1/reports/employment?period=2020-05").await.expect(200);
    let log = app.admin().await.get("/v1/access-log?limit=200").await.expect(200).json;
    let log = log["items"].as_array().unwrap();
    let read: Vec<&Value> = log.iter().filter(|l| l["action"] == "months").collect();
    assert_eq!(read.len(), 1, "what went out, once: {log:?}");
    assert_eq!((&read[0]["client"], &read[0]["reason"]), (&json!(office.caller.client), &json!("522600 2020-05")));

    let then = months["as_of"]["seq"].as_i64().unwrap();
    let trades = office.caller.get(&format!("/v1/reports/platforms?period=2020-05&as_of={then}")).await.expect(200).json;
    let figures = ["postings", "openings", "offers", "accepted", "hired", "working"].map(|name| trades["totals"][name].clone());
    assert_eq!(figures, [Value::Null, Value::Null, Value::Null, Value::Null, json!(1), json!(1)]);
    app.settle().await;
    app.finish().await;
}

async fn the_report_of_offers_shows_who_waits_unseen(engine: Engine) {
    let app = spawn_on(engine).await;
    let platform = app.platform("example").await;
    // One county is asked for, the other, of the same prefecture, is not.
    let (near, far) = ("522624", "522622");
    let people = (0..3).map(|_| in_region(near)).chain((0..2).map(|_| in_region(far)));
    let waits = |person: Person| person.with("in_place_only", json!(true)).with("seeking_since", json!("2020-03-01"));
    let workers = app.workers(people.map(waits).collect()).await;
    let in_place = |target: &str| {
        let draft = a_posting().openings(5).with("arrangement", json!("in_place"));
        draft.with("target_regions", json!([target]))
    };
    platform.publish(in_place(near)).await;
    app.settle().await;
    assert_eq!(app.state().store.fold_seekers().await.unwrap(), 0, "what was due is folded");
    let office = app.office("522600").await;
    let get = async |query: &str| office.caller.get(&format!("/v1/reports/routing?period=2020-06&{query}")).await;
    let report = get("level=county").await.expect(200).json;
    assert_eq!((&report["report"], &report["region"], &report["axis"]), (&json!("routing"), &json!("522600"), &json!("home")));
    let column = |name: &str| report["columns"].as_array().unwrap().iter().find(|c| c["name"] == name).unwrap().clone();
    assert_eq!(column("seekers")["additive"], true);
    assert_eq!((&column("offers_gini")["additive"], &column("offers_per_1000_seekers")["unit"]), (&json!(false), &json!("per_1000")));
    let row = |region: &str| report["rows"].as_array().unwrap().iter().find(|r| r["region"] == region).unwrap().clone();
    let figures = |row: &Value| {
        ["seekers", "offers", "offered", "never_offered", "days_without_offer_longest", "waiting_30_days", "waiting_90_days"]
            .map(|name| row[name].as_u64().unwrap())
    };
    assert_eq!(figures(&row(near)), [3, 3, 3, 0, 0, 0, 0]);
    assert_eq!(figures(&row(far)), [2, 0, 0, 2, 106, 2, 2]);
    assert_eq!(figures(&report["totals"]), [5, 3, 3, 2, 106, 2, 2]);
    let totals = &report["totals"];
    assert_eq!(totals["offers_per_1000_seekers"], json!({"value": 600.0, "numerator": 3, "denominator": 5}));
    assert_eq!(totals["days_without_offer_mean"], json!({"value": 42.4, "numerator": 212, "denominator": 5}));
    // Three of five have all of it.
    assert_eq!((&totals["offers_gini"], &row(near)["offers_gini"]), (&json!(0.4), &Value::Null));

    // Who pauses is no seeker any more; their offer stays counted.
    office.caller.patch(&format!("/v1/workers/{}", workers[0].id), &json!({"paused": true})).await.expect(200);
    assert_eq!(figures(&get("level=county").await.expect(200).json["totals"]), [4, 3, 3, 2, 106, 2, 2]);

    // Offices see their own subtree and nothing else.
    let county = app.office(far).await;
    assert_eq!(figures(&county.caller.get("/v1/reports/routing?period=2020-06").await.expect(200).json["totals"]), [2, 0, 0, 2, 106, 2, 2]);
    let elsewhere = app.office("330000").await.caller.get("/v1/reports/routing?period=2020-06").await.expect(200).json;
    assert_eq!((&elsewhere["rows"], &elsewhere["totals"]["seekers"]), (&json!([]), &json!(0)));
    for region in [near, "520000", "000000"] {
        county.caller.get(&format!("/v1/reports/routing?period=2020-06&region={region}")).await.expect_problem(403, "region_forbidden");
    }
    platform.caller.get("/v1/reports/routing?period=2020-06").await.expect_problem(403, "role_forbidden");

    // What the report does not know is refused by name.
    for (query, code) in [("axis=work", "axis_invalid"), ("by=tier", "by_invalid"), ("by=home", "by_invalid"), ("level=x", "level_invalid")]
    {
        get(query).await.expect_problem(422, code);
    }
    get("by=none&axis=home").await.expect(200);
    office.caller.get("/v1/reports/routing?period=2020-07").await.expect_problem(422, "period_in_future");
    office.caller.get("/v1/reports/waiting?period=2020-06").await.expect_problem(404, "not_found");

    let csv = get("format=csv&level=county").await.expect(200);
    assert_eq!(csv.header("content-disposition"), "attachment; filename=\"routing-2020-06.csv\"");
    let lines: Vec<&str> = csv.text.trim_start_matches('\u{feff}').lines().collect();
    assert!(
        lines[0].contains("offers_per_1000_seekers,offers_per_1000_seekers_numerator,offers_per_1000_seekers_denominator"),
        "{lines:?}"
    );
    assert!(lines[0].ends_with(",offers_gini") && lines[1].ends_with("县间推荐基尼系数"), "{lines:?}");
    assert_eq!(lines.len(), 2 + 2 + 1);
    assert!(lines[3].starts_with("522624,三穗县,2,3,3,1500,3,2,0,0,0,2,0,0,0,0,"), "{lines:?}");
    let dhis2 = get("format=dhis2&level=county").await.expect(200).json;
    let value = |element: &str, unit: &str| {
        let values = dhis2["dataValues"].as_array().unwrap();
        values.iter().find(|v| v["dataElement"] == element && v["orgUnit"] == unit).map(|v| v["value"].clone())
    };
    assert_eq!(value("routing.never_offered", far), Some(json!("2")));
    assert_eq!(value("routing.offers_per_1000_seekers", near), Some(json!("1500")));
    assert_eq!(value("routing.offers_gini", near), None, "what is unknown is left out");
    let xlsx = office.caller.request("GET", "/v1/reports/routing?period=2020-06&format=xlsx").send().await.unwrap();
    assert!(xlsx.bytes().await.unwrap().starts_with(b"PK"));
    let table = get("format=table").await.expect(200);
    assert!(table.text.starts_with("岗位推荐情况  2020-06  522600"), "{}", table.text);
    let sdmx = get("format=sdmx-csv&level=county").await.expect(200);
    assert_eq!(sdmx.header("content-type"), "application/vnd.sdmx.data+csv; version=2.0.0; charset=utf-8");
    assert_eq!(sdmx.header("content-disposition"), "attachment; filename=\"routing-2020-06.sdmx.csv\"");
    assert!(sdmx.text.contains("dataflow,DOORSTEP:ROUTING(1.0),I,522622,2020-06,home,never_offered,2,person,A\r\n"), "{}", sdmx.text);
    assert!(!sdmx.text.contains(",522600,"), "no totals");
    let page = get("format=html&level=county").await.expect(200);
    assert_eq!(page.header("content-type"), "text/html; charset=utf-8");
    let policy = page.header("content-security-policy");
    assert!(policy.starts_with("default-src 'none'; style-src 'sha256-") && !policy.contains("unsafe"), "{policy}");
    assert_eq!(page.header("content-disposition"), "", "it is read in the browser");
    assert!(page.text.contains("三穗县") && page.text.contains("<svg"), "{}", page.text);
    let refused = get("format=pdf").await;
    assert!(refused.text.contains("json, csv, xlsx, dhis2, sdmx-csv, html, table"), "{}", refused.text);
    refused.expect_problem(422, "format_invalid");

    // June stays as it ended, whatever becomes of its people.
    app.pass_hours(20 * 24);
    app.settle().await;
    let office = app.office("522600").await.caller;
    let june = async || figures(&office.get("/v1/reports/routing?period=2020-06").await.expect(200).json["totals"]);
    assert_eq!(june().await, [4, 3, 3, 2, 121, 2, 2]);
    office.patch(&format!("/v1/workers/{}", workers[1].id), &json!({"paused": true})).await.expect(200);
    let july = office.get("/v1/reports/routing?period=2020-07").await.expect(200).json;
    assert_eq!((figures(&july["totals"]), june().await), ([3, 0, 0, 2, 126, 2, 2], [4, 3, 3, 2, 121, 2, 2]));
    app.settle().await;
    app.finish().await;
}
