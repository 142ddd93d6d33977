//! Last year's totals: stated by offices, else counted by the gateway.

use crate::harness::*;
use serde_json::{Value, json};

on_every_engine![
    a_stated_total_wins_over_the_gateways_own_and_is_replaced_by_the_next,
    a_bad_row_is_a_reject_and_the_others_are_taken,
    the_same_upload_under_its_key_answers_the_same,
];

fn row(report: &Value, region: &str) -> Value {
    let rows = report["rows"].as_array().unwrap();
    rows.iter().find(|r| r["region"] == region).unwrap_or_else(|| panic!("no row of {region}: {report}")).clone()
}

async fn a_stated_total_wins_over_the_gateways_own_and_is_replaced_by_the_next(engine: Engine) {
    let app = spawn_on(engine).await;
    let platform = app.platform("example").await;
    let posting = platform.publish(a_posting().openings(2)).await;
    let workers = app.workers(vec![in_region("522624"), in_region("522601")]).await;
    let office = app.office("522600").await;
    let upload = async |csv: &str| office.caller.post_bytes("/v1/baselines", "text/csv", csv.to_owned()).await.expect(200).json;
    let nothing = office.report("period=2020-06").await;
    assert!(nothing["totals"]["baseline"].is_null() && nothing["totals"].get("baseline_source").is_none(), "{nothing}");

    let made = upload("region,period,total\n522624,2019,4\n").await;
    assert_eq!((&made["received"], &made["created"], &made["rejected"]), (&json!(1), &json!(1), &json!([])));
    assert_eq!(made["results"], json!([{"index": 0, "region": "522624", "period": "2019", "result": "created"}]));
    let report = office.report("period=2020-06").await;
    let known = row(&report, "522624");
    assert_eq!((&known["baseline"], &known["baseline_source"]), (&json!(4), &json!("upload")));
    assert_eq!(known["share"], json!({"value": 0.0, "numerator": 0, "denominator": 4}));
    assert!(report["totals"]["baseline"].is_null(), "not all of its counties have one");

    // Both worked at the end of last year; the gateway hears of it today.
    for worker in &workers {
        let offer = worker.accepts_offer_for(&posting).await;
        platform.report(json!({"offer": offer, "status": "ONBOARDED", "at": "2019-12-20"})).await;
        platform.report(json!({"offer": offer, "status": "ACTIVE", "month": "2020-05", "at": "2020-06-01"})).await;
    }
    let report = office.report("period=2020-06").await;
    let (stated, counted) = (row(&report, "522624"), row(&report, "522601"));
    assert_eq!((&stated["baseline"], &stated["baseline_source"], &stated["share"]["value"]), (&json!(4), &json!("upload"), &json!(0.25)));
    assert_eq!(
        (&counted["baseline"], &counted["baseline_source"], &counted["share"]["value"]),
        (&json!(1), &json!("gateway"), &json!(1.0))
    );
    assert_eq!((&report["totals"]["baseline"], &report["totals"]["baseline_source"]), (&json!(2), &json!("gateway")));
    // A report of last year looks at the year before, of which nothing is known.
    assert!(office.report("period=2019-12").await["totals"]["baseline"].is_null());

    let again = upload("地区,期间,总数\n贵州省黔东南苗族侗族自治州三穗县,2019,8\n522600,2019,20\n522601,2018,3\n").await;
    assert_eq!((&again["created"], &again["updated"]), (&json!(2), &json!(1)), "{again}");
    let report = office.report("period=2020-06").await;
    assert_eq!(row(&report, "522624")["baseline"], 8);
    assert_eq!((&report["totals"]["baseline"], &report["totals"]["baseline_source"]), (&json!(20), &json!("upload")));
    assert_eq!(upload("region,period,total\n522624,2019,8\n").await["unchanged"], 1);
    let of_work = office.report("period=2020-06&axis=work").await;
    assert!(of_work["totals"]["baseline"].is_null() && of_work["totals"].get("baseline_source").is_none());
    let csv = office.caller.get("/v1/reports/employment?period=2020-06&format=csv").await.expect(200).text;
    assert!(csv.contains("baseline") && !csv.contains("baseline_source"), "{csv}");
    app.settle().await;
    app.finish().await;
}

async fn a_bad_row_is_a_reject_and_the_others_are_taken(engine: Engine) {
    let app = spawn_on(engine).await;
    let office = app.office("520000").await;
    let table = "地区,期间,总数\n三穗县,2019,5\n330212,2019,5\n522601,2020,5\n522601,2019,-5\n999999,2019,5\n522601,2019,\n贵州省,2019,90\n三穗县,2019,6\n522601,2019-12,5\n";
    let expected = json!([
        [1, "/region", "region_forbidden"],
        [2, "/period", "out_of_range"],
        [3, "/total", "out_of_range"],
        [4, "/region", "region_unknown"],
        [5, "/total", "missing"],
        [7, "/region", "duplicate"],
        [8, "/period", "period_invalid"],
    ]);
    let marked = [b"\xef\xbb\xbf", table.as_bytes()].concat();
    let (gb, ..) = encoding_rs::GB18030.encode(table);
    for (n, bytes) in [marked, gb.into_owned()].into_iter().enumerate() {
        let answer = office.caller.post_bytes("/v1/baselines", "text/csv", bytes).await.expect(200).json;
        let rejected = answer["rejected"].as_array().unwrap();
        let told: Vec<Value> = rejected.iter().map(|r| json!([r["index"], r["pointer"], r["code"]])).collect();
        assert_eq!(json!(told), expected);
        let taken = if n == 0 { "created" } else { "unchanged" };
        assert_eq!((&answer["received"], &answer[taken]), (&json!(9), &json!(2)), "{answer}");
    }
    let report = office.report("period=2020-06&level=province").await;
    assert_eq!(report["totals"]["baseline"], 90);
    // Nothing of it reached a region outside.
    let ningbo = app.office("330212").await.report("period=2020-06").await;
    assert!(ningbo["totals"]["baseline"].is_null());
    app.finish().await;
}

async fn the_same_upload_under_its_key_answers_the_same(engine: Engine) {
    let app = spawn_on(engine).await;
    let office = app.office("522600").await;
    let post = async |key: &str, body: &str| {
        let request = office.caller.request("POST", "/v1/baselines").header("content-type", "text/csv").header("idempotency-key", key);
        office.caller.send(request.body(body.to_owned())).await
    };
    let (first, other) = ("region,period,total\n522624,2019,4\n", "region,period,total\n522624,2019,5\n");
    let made = post("k1", first).await.expect(200).json;
    post("k2", other).await.expect(200);
    assert_eq!(post("k1", first).await.expect(200).json, made);
    assert_eq!(row(&office.report("period=2020-06").await, "522624")["baseline"], 5, "a repeat is no new statement");
    post("k1", other).await.expect_problem(422, "idempotency_key_reused");
    for _ in 0..2 {
        let broken =
            office.caller.request("POST", "/v1/baselines").header("content-type", "application/json").header("idempotency-key", "k3");
        office.caller.send(broken.body("{")).await.expect_problem(400, "json_invalid");
    }
    office.caller.post_bytes("/v1/baselines", "application/pdf", "x").await.expect_problem(415, "unsupported_media_type");
    app.platform("example").await.caller.post_bytes("/v1/baselines", "text/csv", first).await.expect_problem(403, "role_forbidden");
    app.finish().await;
}
