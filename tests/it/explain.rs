//! Why a person did or did not get a posting, as offices and administrators ask it.

use crate::harness::*;
use serde_json::{Value, json};
use std::time::Duration;

on_every_engine![
    the_first_condition_that_fails_is_told_in_words,
    what_is_with_the_posting_is_told_and_who_was_offered_it,
    an_explanation_is_for_who_may_read_the_person_and_is_logged,
];

async fn ask(caller: &Caller, posting: &str, worker: &str) -> Value {
    caller.get(&format!("/v1/postings/{posting}/explain?worker={worker}")).await.expect(200).json
}

/// Result, condition, detail.
fn short(answer: &Value) -> (String, String, String) {
    let text = |name: &str| answer[name].as_str().unwrap_or_default().to_owned();
    (text("result"), text("condition"), text("detail"))
}

fn failed(condition: &str, detail: &str) -> (String, String, String) {
    ("failed".to_owned(), condition.to_owned(), detail.to_owned())
}

async fn the_first_condition_that_fails_is_told_in_words(engine: Engine) {
    let app = spawn_on(engine).await;
    let (platform, office) = (app.platform("example").await, app.office("520000").await);
    let requirements = json!({"age_min": 18, "age_max": 60, "skills": ["health_certificate"]});
    let posting = platform.publish(a_posting().with("requirements", requirements)).await;
    let home = "522624";
    let skilled = || in_region(home).with("skills", json!(["health_certificate"]));
    let cases = [
        (skilled().with("categories", json!(["driver"])), "category", "category", "工种"),
        (skilled().with("destinations", json!(["440000"])), "place", "destination", "不在本人愿意去的地方"),
        (skilled().with("in_place_only", json!(true)), "place", "in_place_only", "外出"),
        (skilled().with("min_monthly_pay", json!(9000)), "pay", "pay_below", "8000 元，低于本人要求的 9000 元"),
        (in_region(home), "requirements", "skills", "健康证"),
    ];
    let people: Vec<Person> = cases.iter().map(|(person, ..)| person.clone()).chain((0..3).map(|_| skilled())).collect();
    let workers = app.workers(people).await;
    for ((_, condition, detail, words), worker) in cases.iter().zip(&workers) {
        let answer = ask(&office.caller, &posting.id, &worker.id).await;
        assert_eq!(short(&answer), failed(condition, detail), "{answer}");
        assert!(answer["text"].as_str().unwrap().contains(words), "{answer}");
        assert_eq!((&answer["posting"], &answer["worker"]), (&json!(posting.id), &json!(worker.id)));
        assert_eq!((&answer["ahead"], &answer["offer"]), (&Value::Null, &Value::Null));
    }
    let young = platform.publish(a_posting().with("requirements", json!({"age_max": 30}))).await;
    let old = ask(&office.caller, &young.id, &workers[7].id).await;
    assert_eq!((short(&old), old["text"].as_str()), (failed("requirements", "too_old"), Some("岗位要求不超过 30 岁，本人年龄超过。")));
    // What `available` turned on, in its order.
    let rest = &workers[cases.len()..];
    let change = async |worker: &str, body: Value| office.caller.patch(&format!("/v1/workers/{worker}"), &body).await.expect(200);
    change(&rest[0].id, json!({"looking": false})).await;
    assert_eq!(short(&ask(&office.caller, &posting.id, &rest[0].id).await), failed("available", "not_looking"));
    change(&rest[0].id, json!({"paused": true})).await;
    assert_eq!(short(&ask(&office.caller, &posting.id, &rest[0].id).await), failed("available", "paused"));
    app.settle().await;
    let declined = rest[1].offer_for(&posting).await["id"].as_str().unwrap().to_owned();
    rest[1].decline(&declined).await.expect(200);
    let next = platform.publish(a_posting()).await;
    let cooling = ask(&office.caller, &next.id, &rest[1].id).await;
    assert_eq!(short(&cooling), failed("available", "cooling_down"));
    assert!(cooling["text"].as_str().unwrap().contains("6月15日（周一）18:00"), "{cooling}");
    app.pass(Duration::from_secs(6 * 3600));
    // Tokens do not live as long.
    let (platform, office) = (app.platform("example").await, app.office("520000").await);
    assert_eq!(ask(&office.caller, &next.id, &rest[1].id).await["result"], "ranked");
    for _ in 0..3 {
        platform.publish(a_posting()).await;
    }
    app.settle().await;
    let full = platform.publish(a_posting()).await;
    let capped = ask(&office.caller, &full.id, &rest[2].id).await;
    assert_eq!(short(&capped), failed("available", "cap_reached"));
    assert!(capped["text"].as_str().unwrap().contains("3 个推荐"), "{capped}");
    app.settle().await;
    app.finish().await;
}

async fn what_is_with_the_posting_is_told_and_who_was_offered_it(engine: Engine) {
    let app = spawn_on(engine).await;
    let (platform, office) = (app.platform("example").await, app.office("520000").await);
    // Who has sought longest comes first.
    let since = |n: usize| in_region("522624").with("seeking_since", json!(format!("2020-05-{:02}", 10 + n)));
    let workers = app.workers((0..5).map(since).collect()).await;
    let posting = platform.publish(a_posting()).await;
    let last = ask(&office.caller, &posting.id, &workers[4].id).await;
    assert_eq!((&last["result"], &last["ahead"], &last["condition"]), (&json!("ranked"), &json!(4), &Value::Null), "{last}");
    assert!(last["text"].as_str().unwrap().contains("前面还有 4 人") && last["text"].as_str().unwrap().contains("还要推荐 3 人"), "{last}");
    app.settle().await;
    let first = ask(&office.caller, &posting.id, &workers[0].id).await;
    let offer = workers[0].offer_for(&posting).await["id"].clone();
    assert_eq!((&first["result"], &first["offer"], &first["ahead"]), (&json!("offered"), &offer, &Value::Null), "{first}");
    assert_eq!(short(&ask(&office.caller, &posting.id, &workers[4].id).await), failed("no_wave_wanted", ""));
    // A repost is the same work.
    let twin = a_posting().with("hiring_organization", json!({"name": "示例仓", "kind": "other"})).with("title", json!("分拣员"));
    let original = platform.publish(twin.clone().source_id("A")).await;
    app.settle().await;
    let repost = platform.publish(twin.source_id("B")).await;
    assert_eq!(ask(&office.caller, &original.id, &workers[0].id).await["result"], "offered");
    assert_eq!(short(&ask(&office.caller, &repost.id, &workers[0].id).await), failed("offered_before", ""));
    workers[0].accept(offer.as_str().unwrap()).await.expect(200);
    app.settle().await;
    assert!(ask(&office.caller, &posting.id, &workers[0].id).await["text"].as_str().unwrap().contains("接受"));
    assert_eq!(short(&ask(&office.caller, &posting.id, &workers[4].id).await), failed("posting_filled", ""));
    let fresh = in_region("522624").with("categories", json!(["driver"]));
    let driver = app.worker(fresh).await;
    assert_eq!(short(&ask(&office.caller, &posting.id, &driver.id).await), failed("category", "category"), "who does not suit is told so");

    let held = platform.publish(a_posting().with("description", json!("入职先交押金300元"))).await;
    let nowhere = platform.publish(a_posting().with("job_location", json!({"text": "某地"}))).await;
    let paused = platform.publish(a_posting().with("status", json!("paused"))).await;
    let closed = platform.publish(a_posting()).await;
    platform.caller.delete(&format!("/v1/postings/{}", closed.id)).await.expect(204);
    let brief = platform.publish(a_posting().with("valid_through", json!("2020-06-16"))).await;
    for (posting, condition) in
        [(&held, "held_for_review"), (&nowhere, "posting_without_place"), (&paused, "posting_paused"), (&closed, "posting_closed")]
    {
        assert_eq!(short(&ask(&office.caller, &posting.id, &workers[3].id).await), failed(condition, ""));
    }
    app.pass_hours(36);
    let office = app.office("520000").await;
    assert_eq!(short(&ask(&office.caller, &brief.id, &workers[3].id).await), failed("posting_expired", ""), "before anybody tended it");
    app.settle().await;
    assert_eq!(short(&ask(&office.caller, &brief.id, &workers[3].id).await), failed("posting_expired", ""));
    app.finish().await;
}

async fn an_explanation_is_for_who_may_read_the_person_and_is_logged(engine: Engine) {
    let app = spawn_on(engine).await;
    let (platform, admin) = (app.platform("example").await, app.admin().await);
    let worker = app.worker(in_region("522624")).await;
    let posting = platform.publish(a_posting()).await;
    app.settle().await;
    let (home, away) = (app.office("522600").await, app.office("522300").await);
    let path = |posting: &str, worker: &str| format!("/v1/postings/{posting}/explain?worker={worker}");
    let unknown = "01890a5d-ac96-774b-bcce-b302099a8057";
    let absent = async |caller: &Caller, posting: &str, worker: &str| {
        caller.get(&path(posting, worker)).await.expect_problem(404, "not_found").without_request_id()
    };
    let logged = async || {
        let log = admin.get("/v1/access-log?limit=200").await.expect(200).json;
        let items = log["items"].as_array().unwrap().clone();
        items.into_iter().filter(|a| a["action"] == "explain").collect::<Vec<_>>()
    };
    let theirs = absent(&away.caller, &posting.id, &worker.id).await;
    for (posting, worker) in [(posting.id.as_str(), unknown), (&posting.id, "no-id"), (unknown, &worker.id), ("no-id", &worker.id)] {
        for caller in [&home.caller, &admin] {
            assert_eq!(absent(caller, posting, worker).await, theirs);
        }
    }
    assert_eq!(logged().await, Vec::<Value>::new(), "nobody was read");
    home.caller.get(&format!("/v1/postings/{}/explain", posting.id)).await.expect_problem(422, "worker_missing");
    for caller in [&platform.caller, &worker.caller] {
        caller.get(&path(&posting.id, &worker.id)).await.expect_problem(403, "role_forbidden");
    }
    app.anonymous().get(&path(&posting.id, &worker.id)).await.expect_problem(401, "unauthorized");

    let chinese = ask(&home.caller, &posting.id, &worker.id).await;
    let english = admin.get(&format!("{}&lang=en", path(&posting.id, &worker.id))).await.expect(200).json;
    assert_eq!(
        (&chinese["text"], &english["text"]),
        (&json!("已经推荐给本人，等待答复。"), &json!("Was offered it; the answer is awaited."))
    );
    let log = logged().await;
    assert_eq!(log.iter().map(|a| a["client"].as_str().unwrap()).collect::<Vec<_>>(), [home.caller.client.as_str(), admin.client.as_str()]);
    assert!(log.iter().all(|a| a["worker"] == worker.id.as_str() && a["reason"] == format!("posting {}", posting.id)), "{log:?}");
    app.settle().await;
    app.finish().await;
}
