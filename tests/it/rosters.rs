//! Rosters: who of a platform's workers is registered, and nothing of anybody else.

use crate::harness::*;
use doorstep::domain::person::IdNumber;
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use std::time::Duration;

on_every_engine![
    a_roster_makes_hires_of_those_who_are_registered,
    a_listed_person_is_reported_under_the_platforms_own_id,
    what_is_reported_of_somebody_listed_anew_is_of_the_new_hire,
    a_roster_too_small_asks_after_nobody,
    a_platform_sends_so_many_rosters_a_day_and_no_more,
    a_roster_repeated_or_raced_makes_one_hire_of_a_person,
    who_was_erased_is_matched_no_more,
];

/// A line for somebody, whoever they are.
fn line(person: &Person) -> Value {
    json!({"id_number": person.text("id_number"), "work_region": "330212", "since": "2020-06-01"})
}

/// Strangers, to make a roster long enough.
fn strangers(n: usize) -> Vec<Value> {
    (0..n).map(|_| line(&in_region("522624"))).collect()
}

fn ndjson(lines: &[Value]) -> String {
    lines.iter().map(|line| format!("{line}\n")).collect()
}

async fn send(platform: &Platform<'_>, lines: &[Value]) -> Called {
    platform.caller.post_bytes("/v1/rosters", "application/x-ndjson", ndjson(lines)).await
}

async fn a_roster_makes_hires_of_those_who_are_registered(engine: Engine) {
    let app = spawn_on(engine).await;
    let platform = app.platform("example").await;
    let office = app.office("522600").await;
    let people: Vec<Person> = (0..3).map(|_| in_region("522624")).collect();
    office.register(&people.iter().map(Person::json).collect::<Vec<_>>()).await;
    let mut roster = strangers(120);
    roster.insert(5, line(&people[0]));
    roster.insert(
        50,
        json!({"id_number": people[1].text("id_number"), "work_region": "522624", "category": "courier", "monthly_wage": 5200}),
    );
    roster.insert(7, json!({"id_number": "110105194912310021", "work_region": "330212"}));
    roster.push(json!({"id_number": people[2].text("id_number")}));
    let answer = send(&platform, &roster).await.expect(200).json;
    assert_eq!((&answer["received"], &answer["matched"], &answer["already"]), (&json!(124), &json!(2), &json!(0)), "{answer}");
    let invalid: Vec<(u64, &str, &str)> = answer["invalid"]
        .as_array()
        .unwrap()
        .iter()
        .map(|i| (i["index"].as_u64().unwrap(), i["pointer"].as_str().unwrap(), i["code"].as_str().unwrap()))
        .collect();
    assert_eq!(invalid, [(7, "/id_number", "id_number_invalid"), (123, "/work_region", "missing")]);
    let told: Vec<Value> = platform.events().await.into_iter().filter(|e| e["type"] == "hire.tagged").map(|e| e["data"].clone()).collect();
    assert_eq!(told.len(), 2);
    for data in &told {
        assert_eq!((&data["posting"], &data["source_id"], &data["sequence"]), (&Value::Null, &Value::Null, &Value::Null));
        assert_eq!((&data["status"], &data["tags"]["tier_at_hire"]), (&json!("ONBOARDED"), &json!("not_lifted")));
    }
    // Everything that shows hires knows them.
    let listed = office.caller.get("/v1/hires?period=2020-06").await.expect(200).json;
    assert_eq!(listed["total"], 2, "{listed}");
    let mut seen: Vec<(String, String)> = listed["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|h| {
            assert_eq!((&h["source"], &h["posting"], &h["source_id"]), (&json!("roster"), &Value::Null, &Value::Null));
            (h["started_on"].as_str().unwrap().to_owned(), h["flow"].as_str().unwrap().to_owned())
        })
        .collect();
    seen.sort();
    let of = |a: &str, b: &str| (a.to_owned(), b.to_owned());
    assert_eq!(seen, [of("2020-06-01", "out_of_province"), of("2020-06-15", "in_county")], "a roster never makes in_place");
    let totals = office.report("period=2020-06").await["totals"].clone();
    assert_eq!(
        (&totals["total"], &totals["out_of_province"], &totals["in_county"], &totals["in_place"]),
        (&json!(2), &json!(1), &json!(1), &json!(0))
    );
    let file = office.caller.get(&format!("/v1/workers/{}", listed["items"][0]["worker"].as_str().unwrap())).await.expect(200).json;
    assert_eq!((&file["hires"][0]["source"], &file["looking"]), (&json!("roster"), &json!(false)));
    // The next one is a sign of life, and nothing of who is absent from it.
    app.pass(Duration::from_secs(100 * 24 * 3600));
    // Their tokens have run out.
    let (platform, office) = (app.platform("example").await, app.office("522600").await);
    assert_eq!(office.report("period=2020-09").await["totals"]["total"], 0, "lapsed");
    let mut next = strangers(120);
    next.push(line(&people[0]));
    let answer = send(&platform, &next).await.expect(200).json;
    assert_eq!((&answer["matched"], &answer["already"]), (&json!(0), &json!(1)));
    assert_eq!(office.report("period=2020-09").await["totals"]["total"], 1);
    app.settle().await;
    app.finish().await;
}

async fn a_listed_person_is_reported_under_the_platforms_own_id(engine: Engine) {
    let app = spawn_on(engine).await;
    let (platform, other) = (app.platform("example").await, app.platform("other").await);
    let office = app.office("522600").await;
    let person = in_region("522624");
    let worker = office.register(&[person.json()]).await["results"][0]["id"].as_str().unwrap().to_owned();
    let mut roster = strangers(120);
    roster.push(json!({"id_number": person.text("id_number"), "work_region": "330212", "platform_worker_id": "R-17"}));
    send(&platform, &roster).await.expect(200);
    let report = async |platform: &Platform<'_>, body: Value| {
        let r = platform.report(body).await;
        (r["result"].as_str().unwrap().to_owned(), r["code"].clone(), r["hire"].clone())
    };
    let (result, _, hire) = report(&platform, json!({"platform_worker_id": "R-17", "status": "ACTIVE", "month": "2020-06"})).await;
    assert_eq!(result, "updated");
    let unknown = report(&platform, json!({"platform_worker_id": "R-18", "status": "ACTIVE"})).await;
    assert_eq!((unknown.0.as_str(), unknown.1), ("rejected", json!("no_hire")));
    for subject in [json!({"platform_worker_id": "R-17", "status": "ENDED"}), json!({"hire": hire, "status": "ENDED"})] {
        let foreign = report(&other, subject).await;
        assert_eq!((foreign.0.as_str(), foreign.1), ("rejected", json!("no_hire")), "another platform's hire");
    }
    let (result, ..) = report(&platform, json!({"hire": hire, "status": "ENDED", "at": "2020-06-20", "reason": "quit"})).await;
    assert_eq!(result, "rejected", "in the future");
    let (result, ..) = report(&platform, json!({"hire": hire, "status": "ENDED", "at": "2020-06-15", "reason": "quit"})).await;
    assert_eq!(result, "updated");
    let ended: Vec<Value> = platform.events().await.into_iter().filter(|e| e["type"] == "hire.ended").collect();
    assert_eq!((ended.len(), &ended[0]["data"]["hire"], &ended[0]["data"]["reason"]), (1, &hire, &json!("quit")));
    // Listed again after the end: begun again.
    app.pass(Duration::from_secs(5 * 24 * 3600));
    let (platform, office) = (app.platform("example").await, app.office("522600").await);
    let answer = send(&platform, &roster).await.expect(200).json;
    assert_eq!((&answer["matched"], &answer["already"]), (&json!(1), &json!(0)));
    let (result, _, again) = report(&platform, json!({"platform_worker_id": "R-17", "status": "ACTIVE", "at": "2020-06-20"})).await;
    assert_eq!(result, "updated");
    assert_ne!(again, hire);
    let file = office.caller.get(&format!("/v1/workers/{worker}")).await.expect(200).json;
    let spans: Vec<(&Value, &Value)> = file["hires"].as_array().unwrap().iter().map(|h| (&h["started_on"], &h["ended_on"])).collect();
    assert_eq!(spans, [(&json!("2020-06-15"), &json!("2020-06-15")), (&json!("2020-06-20"), &Value::Null)]);
    app.settle().await;
    app.finish().await;
}

async fn what_is_reported_of_somebody_listed_anew_is_of_the_new_hire(engine: Engine) {
    for (correction, since) in [
        (json!({"ended_on": "2020-06-10", "reason": "went home"}), "2020-06-12"),
        (json!({"void": true, "reason": "another person"}), "2020-06-12"),
        (json!({"void": true, "reason": "another person"}), "2020-05-20"),
    ] {
        let app = spawn_with(engine, |c| c.roster.min_lines = 1).await;
        let (platform, office) = (app.platform("example").await, app.office("522600").await);
        let person = in_region("522624");
        let worker = office.register(&[person.json()]).await["results"][0]["id"].as_str().unwrap().to_owned();
        let hires =
            async || office.caller.get(&format!("/v1/workers/{worker}")).await.expect(200).json["hires"].as_array().unwrap().clone();
        send(&platform, &[line(&person)]).await.expect(200);
        let first = hires().await[0]["id"].as_str().unwrap().to_owned();
        office.caller.post(&format!("/v1/hires/{first}/corrections"), &correction).await.expect(200);
        let mut again = line(&person);
        again["since"] = json!(since);
        assert_eq!(send(&platform, &[again]).await.expect(200).json["matched"], 1, "no present hire");
        let new = hires().await.iter().map(|h| h["id"].as_str().unwrap().to_owned()).find(|id| *id != first).unwrap();
        assert_eq!(office.report("period=2020-06").await["totals"]["total"], 1);
        let told = platform.report(json!({"hire": new, "status": "ACTIVE", "month": "2020-06", "at": "2020-06-14"})).await;
        assert_eq!((&told["result"], &told["hire"]), (&json!("updated"), &json!(new)), "{told}");
        assert_eq!(office.report("period=2020-06").await["totals"]["total"], 1, "who works is counted, whatever is reported of them");
        let told = platform.report(json!({"hire": new, "status": "ENDED", "at": "2020-06-14"})).await;
        assert_eq!((&told["result"], &told["hire"]), (&json!("updated"), &json!(new)), "{told}");
        assert_eq!(office.report("period=2020-06").await["totals"]["total"], 0);
        app.settle().await;
        app.finish().await;
    }
}

async fn a_roster_too_small_asks_after_nobody(engine: Engine) {
    let app = spawn_on(engine).await;
    let platform = app.platform("example").await;
    let office = app.office("522600").await;
    let person = in_region("522624");
    office.register(&[person.json()]).await;
    let padded = [
        (vec![line(&person); 200], "the same person"),
        (
            [vec![line(&person)], vec![json!({"id_number": "110105194912310021", "work_region": "330212"}); 200]].concat(),
            "numbers that are none",
        ),
        ([vec![line(&person)], strangers(98)].concat(), "99 people"),
        (Vec::new(), "nobody"),
    ];
    for (roster, why) in padded {
        let answer = send(&platform, &roster).await;
        assert_eq!((answer.status, answer.code()), (422, "roster_too_small"), "{why}");
    }
    platform.caller.post_bytes("/v1/rosters", "text/csv", "id_number\n").await.expect_problem(415, "unsupported_media_type");
    assert_eq!(platform.events().await, Vec::<Value>::new());
    assert_eq!(office.caller.get("/v1/hires").await.expect(200).json["total"], 0);
    let answer = send(&platform, &[vec![line(&person)], strangers(99)].concat()).await.expect(200).json;
    assert_eq!(answer["matched"], 1);
    app.settle().await;
    app.finish().await;
}

async fn a_platform_sends_so_many_rosters_a_day_and_no_more(engine: Engine) {
    let app = spawn_with(engine, |c| c.roster.per_day = 2).await;
    let (platform, other) = (app.platform("example").await, app.platform("other").await);
    let roster = strangers(100);
    let once = async |key: &str| {
        let request = platform.caller.request("POST", "/v1/rosters").header("content-type", "application/x-ndjson");
        platform.caller.send(request.header("idempotency-key", key).body(ndjson(&roster))).await
    };
    let first = once("a").await.expect(200).json;
    app.pass(Duration::from_secs(600));
    send(&platform, &[]).await.expect_problem(422, "roster_too_small");
    let refused = once("b").await.expect_problem(429, "rate_limited");
    assert_eq!(refused.header("retry-after"), (24 * 3600 - 600).to_string());
    assert_eq!(once("a").await.expect(200).json, first, "the same once more is no other roster");
    send(&other, &roster).await.expect(200);
    app.pass(Duration::from_secs(24 * 3600 - 599));
    send(&app.platform("example").await, &roster).await.expect(200);
    app.finish().await;
}

async fn a_roster_repeated_or_raced_makes_one_hire_of_a_person(engine: Engine) {
    let app = spawn_on(engine).await;
    let platform = app.platform("example").await;
    let office = app.office("522600").await;
    let people: Vec<Person> = (0..150).map(|_| in_region("522624")).collect();
    office.register(&people.iter().map(Person::json).collect::<Vec<_>>()).await;
    let twice: Vec<Value> = people.iter().chain(&people).map(line).collect();
    let (a, b) = tokio::join!(send(&platform, &twice), send(&platform, &twice));
    let (a, b) = (a.expect(200).json, b.expect(200).json);
    let sum = |field: &str| a[field].as_u64().unwrap() + b[field].as_u64().unwrap();
    assert_eq!((sum("matched"), sum("already")), (150, 450));
    assert_eq!(office.caller.get("/v1/hires?limit=1").await.expect(200).json["total"], 150);
    let tagged = platform.event_types().await.into_iter().filter(|t| t == "hire.tagged").count();
    assert_eq!(tagged, 150);
    app.settle().await;
    app.finish().await;
}

async fn who_was_erased_is_matched_no_more(engine: Engine) {
    let app = spawn_on(engine).await;
    let platform = app.platform("example").await;
    let office = app.office("522600").await;
    let person = in_region("522624");
    let worker = office.register(&[person.json()]).await["results"][0]["id"].as_str().unwrap().to_owned();
    let mut roster = strangers(120);
    roster.push(json!({"id_number": person.text("id_number"), "work_region": "330212", "platform_worker_id": "R-1"}));
    assert_eq!(send(&platform, &roster).await.expect(200).json["matched"], 1);
    office.caller.delete(&format!("/v1/workers/{worker}")).await.expect(204);
    let answer = send(&platform, &roster).await.expect(200).json;
    assert_eq!((&answer["matched"], &answer["already"]), (&json!(0), &json!(0)));
    assert_eq!(platform.report(json!({"platform_worker_id": "R-1", "status": "ACTIVE"})).await["code"], "no_hire");
    app.settle().await;
    app.finish().await;
}

/// What may never stand anywhere: the number, and every value the gateway's keys make
/// of it.
fn traces(app: &App, number: &str) -> Vec<Vec<u8>> {
    use secrecy::ExposeSecret;
    let parsed = IdNumber::parse(number, app.now().day()).unwrap();
    let mut out = vec![number.as_bytes().to_vec()];
    for key in [&app.keys.blind, &app.keys.mac] {
        for text in [format!("id-number\0{}", parsed.expose()), parsed.expose().to_owned()] {
            let mut mac = Hmac::<sha2::Sha256>::new_from_slice(key.expose_secret()).unwrap();
            mac.update(text.as_bytes());
            out.push(mac.finalize().into_bytes().to_vec());
        }
    }
    out.push(<sha2::Sha256 as sha2::Digest>::digest(parsed.expose()).to_vec());
    out
}

#[actix_web::test]
async fn a_number_that_matches_nobody_is_kept_in_no_form() {
    let app = spawn().await;
    let platform = app.platform("example").await;
    let office = app.office("522600").await;
    let (known, stranger) = (in_region("522624"), in_region("522624"));
    office.register(&[known.json()]).await;
    let mut roster = strangers(120);
    for person in [&known, &stranger] {
        roster.push(json!({"id_number": person.text("id_number"), "work_region": "330212", "platform_worker_id": person.text("phone")}));
    }
    // Under a key, whose answer and body are remembered, and with a line that is none.
    roster.push(json!({"id_number": stranger.text("id_number"), "work_region": "none"}));
    let request = platform.caller.request("POST", "/v1/rosters").header("content-type", "application/x-ndjson");
    let answer = platform.caller.send(request.header("idempotency-key", "k").body(ndjson(&roster))).await.expect(200);
    assert_eq!((answer.json["matched"].as_u64(), answer.json["invalid"].as_array().map(Vec::len)), (Some(1), Some(1)));
    assert!(!answer.text.contains(&stranger.text("id_number")[..17]));
    app.settle().await;
    let mut bytes = Vec::new();
    for entry in std::fs::read_dir(app.file().parent().unwrap()).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            bytes.extend(std::fs::read(path).unwrap());
        }
    }
    let holds = |what: &[u8]| bytes.windows(what.len()).any(|window| window == what);
    assert!(
        holds(&traces(&app, known.text("id_number"))[1]),
        "of who is registered the blind index is there, so the search finds what there is"
    );
    for (n, trace) in traces(&app, stranger.text("id_number")).iter().enumerate() {
        assert!(!holds(trace), "trace {n} of a stranger");
    }
    for person in [&known, &stranger] {
        assert!(!holds(person.text("phone").as_bytes()), "a platform's own id may be a telephone number");
    }
    app.finish().await;
}
