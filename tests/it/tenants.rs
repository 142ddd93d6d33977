//! What one tenant sees of another: nothing.

use crate::harness::*;
use doorstep::domain::client::Role;
use serde_json::{Value, json};

on_every_engine![
    a_platform_reads_nothing_of_another,
    a_name_that_was_made_up_names_nobody,
    an_office_sees_its_own_subtree_and_nothing_else,
    a_worker_reads_nothing_of_another,
];

const UNKNOWN: &str = "01890a5d-ac96-774b-bcce-b302099a8057";

/// The same answer for what is another's as for what is not there.
async fn looks_absent(caller: &Caller, method: &str, path: &str, id: &str, body: &Value) {
    let ask = async |id: &str| {
        let request = caller.request(method, &path.replace("{id}", id));
        caller.send(if body.is_null() { request } else { request.json(body) }).await.expect_problem(404, "not_found")
    };
    let (theirs, unknown, malformed) = (ask(id).await, ask(UNKNOWN).await, ask("no-id").await);
    assert_eq!(theirs.without_request_id(), unknown.without_request_id(), "{method} {path}");
    assert_eq!(theirs.without_request_id(), malformed.without_request_id(), "{method} {path}");
    // Byte for byte, but for the id of the request.
    let bytes = |c: &Called| c.text.replace(c.json["request_id"].as_str().unwrap(), "");
    assert_eq!(bytes(&theirs), bytes(&unknown), "{method} {path}");
}

async fn a_platform_reads_nothing_of_another(engine: Engine) {
    let app = spawn_on(engine).await;
    let (a, b) = (app.platform("alpha").await, app.platform("beta").with_receiver().await);
    let posting = b.publish(a_posting()).await;
    let offer = app.worker(in_region("522624")).await.accepts_offer_for(&posting).await;
    app.settle().await;
    assert!(!b.events().await.is_empty());
    let nothing = json!(null);
    for (method, path, id, body) in [
        ("GET", "/v1/postings/{id}", posting.id.as_str(), &nothing),
        ("GET", "/v1/postings/{id}/routing", &posting.id, &nothing),
        ("DELETE", "/v1/postings/{id}", &posting.id, &nothing),
        ("GET", "/v1/offers/{id}/contact", &offer, &nothing),
        ("PATCH", "/v1/webhook-endpoints/{id}", &b.endpoint, &json!({"enabled": false})),
        ("DELETE", "/v1/webhook-endpoints/{id}", &b.endpoint, &nothing),
        ("GET", "/v1/webhook-endpoints/{id}/attempts", &b.endpoint, &nothing),
        ("POST", "/v1/webhook-endpoints/{id}/rotate-secret", &b.endpoint, &json!({})),
        ("POST", "/v1/webhook-endpoints/{id}/replay", &b.endpoint, &json!({"since": "2020-01-01"})),
    ] {
        looks_absent(&a.caller, method, path, id, body).await;
    }
    assert_eq!(a.caller.get("/v1/postings").await.expect(200).json["total"], 0);
    assert_eq!(a.caller.get(&format!("/v1/postings?source_id={}", posting.source_id)).await.expect(200).json["total"], 0);
    assert_eq!(a.caller.get(&format!("/v1/offers?posting={}", posting.id)).await.expect(200).json["total"], 0);
    assert_eq!(a.caller.get("/v1/webhook-endpoints").await.expect(200).json["total"], 0);
    assert_eq!(a.events().await, Vec::<Value>::new());
    let event = b.events().await[0]["id"].clone();
    let own = a.caller.post("/v1/webhook-endpoints", &json!({"url": a.hook()})).await.expect(201).json["id"].clone();
    let replay = format!("/v1/webhook-endpoints/{}/replay", own.as_str().unwrap());
    a.caller.post(&replay, &json!({"event": event})).await.expect_problem(404, "not_found");
    // The same source_id is another posting.
    let same = a.publish(a_posting().source_id(&posting.source_id)).await;
    assert_ne!(same.id, posting.id);
    assert_eq!(b.posting(&posting).await["revision"], 1);
    // Each platform knows a worker under a name of its own.
    app.settle().await;
    let (ours, theirs) = (a.offers(&same).await, b.offers(&posting).await);
    assert_eq!((ours.len(), theirs.len()), (1, 1));
    assert_ne!(ours[0]["worker"], theirs[0]["worker"]);
    app.finish().await;
}

async fn a_name_that_was_made_up_names_nobody(engine: Engine) {
    let app = spawn_on(engine).await;
    let (platform, other) = (app.platform("alpha").await, app.platform("beta").await);
    let worker = app.worker(in_region("522624")).await;
    let (posting, theirs) = (platform.publish(a_posting()).await, other.publish(a_posting()).await);
    worker.accepts_offer_for(&posting).await;
    app.settle().await;
    let report = async |name: &str, posting: &Posting| {
        let answer = platform.report(json!({"posting": posting.id, "worker": name, "status": "HIRED"})).await;
        (answer["result"].as_str().unwrap().to_owned(), answer["code"].clone(), answer["hire"].clone())
    };
    let unknown = ("rejected".to_owned(), json!("offer_unknown"), Value::Null);
    let (own, others) = (platform.offers(&posting).await, other.offers(&theirs).await);
    let (own, others) = (own[0]["worker"].as_str().unwrap(), others[0]["worker"].as_str().unwrap());
    let mut last = own.to_owned();
    last.replace_range(35.., if own.ends_with('0') { "1" } else { "0" });
    let random = (0..20).map(|_| uuid::Uuid::new_v4().to_string());
    let made_up = [others.to_owned(), worker.id.clone(), last, UNKNOWN.to_owned(), uuid::Uuid::nil().to_string(), "nobody".to_owned()];
    for name in made_up.into_iter().chain(random) {
        assert_eq!(report(&name, &posting).await, unknown, "{name}");
    }
    assert_eq!(report(own, &theirs).await, unknown, "another platform's posting");
    assert_eq!(report(own, &posting).await.0, "created");
    // After an erasure the name leads nowhere, as one that was made up does.
    worker.caller.delete("/v1/me").await.expect(204);
    assert_eq!(report(own, &posting).await, unknown);
    app.settle().await;
    app.finish().await;
}

async fn an_office_sees_its_own_subtree_and_nothing_else(engine: Engine) {
    let app = spawn_on(engine).await;
    let platform = app.platform("example").await;
    let worker = app.worker(in_region("522624")).await;
    let posting = platform.publish(a_posting()).await;
    let offer = worker.accepts_offer_for(&posting).await;
    let hire = platform.report(json!({"offer": offer, "status": "ONBOARDED"})).await["hire"].as_str().unwrap().to_owned();
    app.settle().await;
    let (home, away) = (app.office("522600").await, app.office("522300").await);
    let nothing = json!(null);
    for (method, path, id, body) in [
        ("GET", "/v1/workers/{id}", worker.id.as_str(), &nothing),
        ("PATCH", "/v1/workers/{id}", &worker.id, &json!({"paused": true})),
        ("DELETE", "/v1/workers/{id}", &worker.id, &nothing),
        ("POST", "/v1/workers/{id}/reveal", &worker.id, &json!({"fields": ["name"], "reason": "curious"})),
        ("POST", "/v1/workers/{id}/link", &worker.id, &json!({})),
        ("POST", "/v1/hires/{id}/confirm", &hire, &json!({})),
        ("POST", "/v1/offers/{id}/accept", &offer, &json!({"on_behalf": true, "method": "visit"})),
        ("POST", "/v1/offers/{id}/decline", &offer, &json!({"on_behalf": true, "method": "visit", "reason": "no"})),
    ] {
        looks_absent(&away.caller, method, path, id, body).await;
    }
    for (office, n) in [(&home, 1), (&away, 0)] {
        assert_eq!(office.caller.get("/v1/workers").await.expect(200).json["total"], n);
        assert_eq!(office.caller.get(&format!("/v1/offers?worker={}", worker.id)).await.expect(200).json["total"], n);
        assert_eq!(office.report("period=2020-06").await["totals"]["total"], n);
    }
    for outside in ["522624", "520000", "000000", "330212"] {
        for path in ["/v1/workers?region=", "/v1/reports/employment?period=2020-06&region="] {
            away.caller.get(&format!("{path}{outside}")).await.expect_problem(403, "region_forbidden");
        }
    }
    home.caller.get("/v1/workers?region=522624").await.expect(200);
    home.caller.get("/v1/workers?region=999999").await.expect_problem(422, "region_unknown");
    assert_eq!(home.report("period=2020-06&region=set:listed-52").await["region"], "set:listed-52");
    home.caller.get("/v1/reports/employment?period=2020-06&region=set:none").await.expect_problem(422, "unknown_set");
    let confirmed = home.caller.post(&format!("/v1/hires/{hire}/confirm"), &json!({})).await.expect(200).json;
    assert_eq!(confirmed["confirmed"], true);
    assert_eq!(home.report("period=2020-06").await["totals"]["confirmed"], 1);
    app.finish().await;
}

async fn a_worker_reads_nothing_of_another(engine: Engine) {
    let app = spawn_on(engine).await;
    let platform = app.platform("example").await;
    let (worker, other) = (app.worker(in_region("522624")).await, app.worker(in_region("522624")).await);
    let posting = platform.publish(a_posting().openings(2)).await;
    let offer = worker.accepts_offer_for(&posting).await;
    let hire = platform.report(json!({"offer": offer, "status": "ONBOARDED"})).await["hire"].as_str().unwrap().to_owned();
    for (path, id) in [("/v1/me/offers/{id}/accept", &offer), ("/v1/me/offers/{id}/decline", &offer), ("/v1/me/hires/{id}/confirm", &hire)]
    {
        looks_absent(&other.caller, "POST", path, id, &json!({})).await;
    }
    assert!(other.offers().await.iter().all(|o| o["worker"] == other.id.as_str()));
    worker.caller.post(&format!("/v1/me/hires/{hire}/confirm"), &json!({"method": "page"})).await.expect(200);
    worker.caller.post(&format!("/v1/me/hires/{hire}/confirm"), &json!({"at": "2020-06-20"})).await.expect_problem(422, "invalid");
    app.settle().await;
    app.finish().await;
}

/// The roles that a tag of the document stands for.
fn roles_of(tag: &str) -> &'static [&'static str] {
    match tag {
        "platform" | "webhooks" => &["platform"],
        "office" => &["office"],
        "offers" | "hires" => &["platform", "office"],
        "people" => &["office", "admin"],
        "worker" => &["worker"],
        "admin" => &["admin"],
        other => panic!("the tag {other} says nothing of who may call"),
    }
}

#[actix_web::test]
async fn every_route_is_closed_without_a_token_and_to_the_wrong_role() {
    let app = spawn().await;
    let callers = [
        ("platform", app.platform("example").await.caller),
        ("office", app.office("000000").await.caller),
        ("worker", app.worker(in_region("522624")).await.caller),
        ("admin", app.client(Role::Admin, "admin", "000000", "canonical").await),
    ];
    let document = app.anonymous().get("/openapi.json").await.expect(200).json;
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1"));
    let (mut closed, mut public) = (0, Vec::new());
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let method = method.to_uppercase();
            let at = path.replace("{id}", UNKNOWN).replace("{name}", "employment");
            if operation["security"].is_null() {
                public.push(path.clone());
                continue;
            }
            closed += 1;
            let send = async |caller: &Caller| {
                let request = caller.request(&method, &at);
                caller.send(if method == "GET" || method == "DELETE" { request } else { request.json(&json!({})) }).await
            };
            let refused = send(&app.anonymous()).await.expect_problem(401, "unauthorized");
            assert!(refused.header("www-authenticate").starts_with("Bearer"), "{method} {path}");
            let allowed = roles_of(operation["tags"][0].as_str().unwrap());
            for (role, caller) in &callers {
                // The worker's own erasure would end the others' checks.
                let streams = path.ends_with("/stream") && allowed.contains(role);
                if streams {
                    // Its body has no end.
                    assert_eq!(caller.request(&method, &at).send().await.unwrap().status(), 200, "{role} {method} {path}");
                } else if allowed.contains(role) && method != "DELETE" {
                    let called = send(caller).await;
                    assert!(!matches!(called.status, 401 | 403 | 500..), "{role} {method} {path}: {}", called.text);
                } else if !allowed.contains(role) {
                    let called = send(caller).await;
                    assert_eq!((called.status, called.code()), (403, "role_forbidden"), "{role} {method} {path}");
                    let broken = caller.request(&method, &at).header("content-type", "application/json").body("{");
                    let called = caller.send(broken).await;
                    assert_eq!((called.status, called.code()), (403, "role_forbidden"), "{role} {method} {path}, with a broken body");
                }
            }
        }
    }
    public.sort();
    // A gateway's replies carry a signature instead of a token.
    assert_eq!(public, ["/.well-known/jwks.json", "/healthz", "/metrics", "/oauth/token", "/readyz", "/v1/replies"], "open to everybody");
    assert!(closed >= 30, "{closed} routes were tried");
    app.settle().await;
    app.finish().await;
}
