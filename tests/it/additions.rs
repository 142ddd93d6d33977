//! What reports count while it is on its way into the cells.

use crate::harness::*;
use serde_json::{Value, json};

on_every_engine![
    offers_are_counted_once_before_and_after_they_are_folded_and_in_a_lock,
    people_are_counted_once_before_and_after_they_are_folded,
    what_is_added_after_a_lock_changes_nothing_of_it,
    roll_ups_tell_what_the_pages_of_counties_come_to,
    days_that_are_not_kept_any_more_are_no_difference,
];

/// Offers made and accepted, as an office of the nation is told of June.
async fn counted(office: &Office<'_>) -> [Value; 2] {
    let report = office.caller.get("/v1/reports/platforms?period=2020-06").await.expect(200).json;
    ["offers", "accepted"].map(|name| report["totals"][name].clone())
}

async fn offers_are_counted_once_before_and_after_they_are_folded_and_in_a_lock(engine: Engine) {
    let app = spawn_on(engine).await;
    let platform = app.platform("example").await;
    let posting = platform.publish(a_posting().openings(4)).await;
    let counties = ["522624", "520302", "522624", "330106"];
    let workers = app.workers(counties.iter().map(|county| in_region(county)).collect()).await;
    let office = app.office("000000").await;
    let store = &app.state().store;
    let mut offers = Vec::new();
    app.settle().await;
    for worker in &workers {
        offers.push(worker.offer_for(&posting).await["id"].as_str().unwrap().to_owned());
    }
    assert_eq!(counted(&office).await, [json!(4), json!(0)]);
    for (worker, offer) in workers.iter().zip(&offers).take(2) {
        worker.accept(offer).await.expect(200);
    }
    assert_eq!(counted(&office).await, [json!(4), json!(2)], "not folded yet");
    let county = app.office("522624").await;
    assert_eq!(counted(&county).await, [json!(2), json!(1)], "of its own people alone");
    let (one, other) = futures_util::future::join(store.fold_additions(), store.fold_additions()).await;
    assert!((1..=2).contains(&(one.unwrap() + other.unwrap())), "each row by one of them");
    assert_eq!(counted(&office).await, [json!(4), json!(2)], "folded");
    assert_eq!(store.fold_additions().await.unwrap(), 0, "nothing is left");

    // The lock keeps what is folded and what is not.
    workers[2].accept(&offers[2]).await.expect(200);
    app.pass_hours(24 * 20);
    let (office, county) = (app.office("000000").await, app.office("522624").await);
    county.caller.post("/v1/periods/2020-06/submit", &json!({})).await.expect(200);
    office.caller.post("/v1/periods/2020-06/approve", &json!({"region": "522624"})).await.expect(200);
    office.caller.post("/v1/periods/2020-06/lock", &json!({})).await.expect(200);
    let locked = office.caller.get("/v1/reports/platforms?period=2020-06").await.expect(200);
    assert_eq!(counted(&office).await, [json!(4), json!(3)]);
    assert!(store.fold_additions().await.unwrap() > 0, "it was not folded");
    let again = office.caller.get("/v1/reports/platforms?period=2020-06").await.expect(200);
    assert_eq!(again.text, locked.text);
    app.settle().await;
    app.finish().await;
}

async fn days_that_are_not_kept_any_more_are_no_difference(engine: Engine) {
    let app = spawn_on(engine).await;
    let platform = app.platform("example").await;
    let posting = platform.publish(a_posting()).await;
    let worker = app.worker(in_region("522624")).await;
    let offer = worker.accepts_offer_for(&posting).await;
    platform.report(json!({"offer": offer, "status": "ONBOARDED", "at": "2020-05-20"})).await;
    let store = &app.state().store;
    // Of days in May, for which sums by province wait to be written.
    assert!(store.fold_additions().await.unwrap() > 0);
    app.pass_hours(24 * 20);
    let platform = app.platform("example").await;
    platform.report(json!({"offer": offer, "status": "ACTIVE", "month": "2020-06"})).await;
    let recount = store.recount().await.unwrap();
    assert_eq!(recount.differences, Vec::<String>::new(), "days of May are neither kept in July nor missed");
    app.settle().await;
    app.finish().await;
}

async fn people_are_counted_once_before_and_after_they_are_folded(engine: Engine) {
    let app = spawn_on(engine).await;
    let platform = app.platform("example").await;
    let posting = platform.publish(a_posting().openings(3)).await;
    let office = app.office("000000").await;
    let store = &app.state().store;
    let paths =
        ["employment?period=2020-06", "employment?period=2020-05&level=county&axis=work", "flows?period=2020-06", "platforms?period=2020"];
    let told = async || {
        let mut rows = Vec::new();
        for path in paths {
            let report = office.caller.get(&format!("/v1/reports/{path}")).await.expect(200).json;
            rows.push((report["rows"].clone(), report["totals"].clone()));
        }
        rows
    };
    let mut hired = Vec::new();
    for (n, worker) in app.workers(["522624", "522624", "330106"].map(in_region).to_vec()).await.into_iter().enumerate() {
        let offer = worker.accepts_offer_for(&posting).await;
        assert_eq!(store.fold_additions().await.unwrap(), 1, "the yes");
        platform.report(json!({"offer": offer, "status": "ONBOARDED", "at": "2020-05-20"})).await;
        hired.push(offer);
        let waiting = told().await;
        assert_eq!(waiting[0].1["total"], n + 1, "{:?}", waiting[0]);
        assert!(store.recount().await.unwrap().differences.is_empty(), "cells and what waits are what the ledger tells");
        assert!(store.fold_additions().await.unwrap() > 0, "it waited");
        assert_eq!(told().await, waiting);
    }
    // What goes down waits as well.
    platform.report(json!({"offer": hired[0], "status": "ENDED", "at": "2020-06-02", "reason": "quit"})).await;
    let waiting = told().await;
    assert_eq!(waiting[0].1["total"], 2);
    assert!(store.recount().await.unwrap().differences.is_empty());
    let (one, other) = futures_util::future::join(store.fold_additions(), store.fold_additions()).await;
    assert!(one.unwrap() + other.unwrap() > 0);
    assert_eq!(told().await, waiting);
    assert!(store.recount().await.unwrap().differences.is_empty());
    app.settle().await;
    app.finish().await;
}

/// Reports of May, as they are written.
async fn of_may(office: &Office<'_>) -> Vec<String> {
    let mut told = Vec::new();
    for path in ["employment?level=county&by=platform", "employment?level=county&axis=work", "flows?", "platforms?", "routing?level=county"]
    {
        told.push(office.caller.get(&format!("/v1/reports/{path}&period=2020-05")).await.expect(200).text);
    }
    told
}

/// Somebody of a county, hired by a platform in May.
async fn hired_in_may(app: &App, platform: &Platform<'_>, posting: &Posting, county: &str) -> String {
    let worker = app.worker(in_region(county)).await;
    let offer = worker.accepts_offer_for(posting).await;
    platform.report(json!({"offer": offer, "status": "ONBOARDED", "at": "2020-05-20"})).await;
    offer
}

async fn what_is_added_after_a_lock_changes_nothing_of_it(engine: Engine) {
    let app = spawn_on(engine).await;
    let platform = app.platform("example").await;
    let posting = platform.publish(a_posting().openings(9)).await;
    let store = &app.state().store;
    let mut offers = Vec::new();
    for county in ["522624", "522624", "330106"] {
        offers.push(hired_in_may(&app, &platform, &posting, county).await);
        store.fold_additions().await.unwrap();
    }
    // This one waits, and the lock may meet who folds it.
    hired_in_may(&app, &platform, &posting, "520302").await;
    let office = app.office("000000").await;
    let body = json!({});
    let lock = office.caller.post("/v1/periods/2020-05/lock", &body);
    let (locked, folded) = futures_util::future::join(lock, store.fold_additions()).await;
    assert_eq!(locked.expect(200).json["figure"]["total"], 4);
    folded.unwrap();
    let told = of_may(&office).await;
    // Somebody who had gone already, somebody of a county that counted nobody, twice.
    platform.report(json!({"offer": offers[0], "status": "ENDED", "at": "2020-05-25", "reason": "quit"})).await;
    for _ in 0..2 {
        hired_in_may(&app, &platform, &posting, "440305").await;
        assert_eq!(of_may(&office).await, told, "not folded yet");
        assert!(store.fold_additions().await.unwrap() > 0);
        assert_eq!(of_may(&office).await, told, "folded");
        let differences = store.recount().await.unwrap().differences;
        assert!(differences.is_empty(), "{differences:?}");
    }
    let late = office.caller.get("/v1/reports/employment?period=2020-06").await.expect(200).json;
    let corrected = late["corrections"].as_array().unwrap().iter().filter(|row| row["column"] == "total");
    let corrected: Vec<_> = corrected.map(|row| (&row["region"], &row["locked"], &row["now"])).collect();
    assert_eq!(corrected, [(&json!("440000"), &json!(0), &json!(2)), (&json!("520000"), &json!(3), &json!(2))]);
    app.settle().await;
    app.finish().await;
}

/// Reports of the nation, which are made of roll-ups, must agree with those of its parts,
/// which are not; what they tell is answered.
async fn of_the_nation(office: &Office<'_>) -> Vec<Value> {
    let mut told = Vec::new();
    for path in ["employment?period=2020-06&by=platform", "employment?period=2020-05&axis=work", "flows?period=2020-06&level=province"] {
        let report = office.caller.get(&format!("/v1/reports/{path}")).await.expect(200).json;
        let finer = path.replace("&level=province", "") + "&level=county";
        let counties = office.caller.get(&format!("/v1/reports/{finer}")).await.expect(200).json;
        assert_eq!(report["totals"], counties["totals"], "{path}");
        told.push(report["rows"].clone());
    }
    for path in ["platforms?period=2020", "platforms?period=2020-05"] {
        let nation = office.caller.get(&format!("/v1/reports/{path}")).await.expect(200).json;
        let mut people = json!(0);
        for province in ["520000", "330000", "440000"] {
            let part = office.caller.get(&format!("/v1/reports/{path}&region={province}")).await.expect(200).json;
            people = json!(people.as_u64().unwrap() + part["totals"]["working"].as_u64().unwrap());
        }
        assert_eq!(nation["totals"]["working"], people, "{path}");
        told.push(nation["rows"].clone());
    }
    told
}

async fn roll_ups_tell_what_the_pages_of_counties_come_to(engine: Engine) {
    let app = spawn_on(engine).await;
    let platform = app.platform("example").await;
    let posting = platform.publish(a_posting().openings(4)).await;
    let (office, store) = (app.office("000000").await, &app.state().store);
    let mut hired = Vec::new();
    for worker in app.workers(["522624", "520302", "330106", "441900"].map(in_region).to_vec()).await {
        let offer = worker.accepts_offer_for(&posting).await;
        platform.report(json!({"offer": offer, "status": "ONBOARDED", "at": "2020-05-20", "monthly_wage": 4_200})).await;
        hired.push(offer);
    }
    let mut told = Vec::new();
    // So many folds that roll-ups are folded, too, and something waits again.
    for n in 0..36 {
        let (offer, day) = (&hired[n % hired.len()], 2 + n / hired.len());
        let status = if n / hired.len() % 2 == 0 { "ENDED" } else { "ONBOARDED" };
        platform.report(json!({"offer": offer, "status": status, "at": format!("2020-06-{day:02}")})).await;
        if n % 12 == 11 {
            told = of_the_nation(&office).await;
        }
        let (one, other) = futures_util::future::join(store.fold_additions(), store.fold_additions()).await;
        assert!(one.unwrap() + other.unwrap() > 0);
        if n % 12 == 11 {
            assert_eq!(of_the_nation(&office).await, told, "folded");
            let differences = store.recount().await.unwrap().differences;
            assert!(differences.is_empty(), "{differences:?}");
        }
    }
    // As a store of an older version is met, by two nodes.
    app.run_sql(
        "DELETE FROM cells WHERE cell >= 10000000000000; DELETE FROM additions WHERE strip >= 10000000;
         INSERT INTO not_rolled_up (strip) SELECT DISTINCT cell / 1000000 FROM cells",
    );
    assert_eq!(of_the_nation(&office).await, told, "of the pages of counties");
    assert!(store.recount().await.unwrap().differences.is_empty());
    platform.report(json!({"offer": hired[0], "status": "ENDED", "at": "2020-06-01", "reason": "quit"})).await;
    told = of_the_nation(&office).await;
    let (one, other) = futures_util::future::join(store.fold_additions(), store.fold_additions()).await;
    assert!(one.unwrap() + other.unwrap() > 0);
    assert_eq!(of_the_nation(&office).await, told, "of roll-ups");
    let differences = store.recount().await.unwrap().differences;
    assert!(differences.is_empty(), "{differences:?}");
    app.settle().await;
    app.finish().await;
}

#[actix_web::test]
async fn however_many_groups_have_added_all_of_it_is_folded() {
    let app = spawn().await;
    let platform = app.platform("example").await;
    let posting = platform.publish(a_posting().openings(1)).await;
    let worker = app.worker(in_region("522624")).await;
    worker.accepts_offer_for(&posting).await;
    // One yes as if many had been given one after the other.
    let db = rusqlite::Connection::open(app.file()).unwrap();
    let more = "WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 9999)
                INSERT INTO additions (strip, pages) SELECT a.strip, a.pages FROM additions a, n WHERE a.strip < 10000000";
    assert_eq!(db.execute(more, []).unwrap(), 9_999);
    let office = app.office("000000").await;
    assert_eq!(counted(&office).await, [json!(1), json!(10_000)]);
    assert_eq!(app.state().store.fold_additions().await.unwrap(), 10_000);
    assert_eq!(counted(&office).await, [json!(1), json!(10_000)]);
    assert_eq!(app.state().store.fold_additions().await.unwrap(), 0);
    app.settle().await;
    app.finish().await;
}
