//! Replies from phones that only call or text.

use crate::harness::*;
use crate::messages::{code, sms, text};
use doorstep::config::Config;
use doorstep::config::notify::RepliesConfig;
use doorstep::webhook;
use serde_json::{Value, json};
use std::time::Duration;

on_every_engine![
    a_code_answers_its_offer_and_a_repeat_changes_nothing,
    a_code_counts_from_its_own_phone_alone_and_only_so_many_wrong_ones_are_looked_at,
    without_a_code_the_only_open_offer_is_meant,
    a_late_or_withdrawn_offer_is_said_to_be_over,
    a_reply_and_the_page_agree_whoever_is_first,
    an_unsigned_stale_or_forged_reply_is_refused_alike,
    a_phone_stands_in_no_column_log_line_or_metric,
];

const KEY: &[u8] = b"a key of thirty-two bytes, for us";

/// An SMS gateway, both ways. The secret's file may go once the server has started.
async fn spawn_phones(engine: Engine, set: impl FnOnce(&mut Config)) -> App {
    use base64::Engine as _;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("secret");
    std::fs::write(&file, format!("whsec_{}", base64::engine::general_purpose::STANDARD.encode(KEY))).unwrap();
    spawn_with(engine, |c| {
        sms(c);
        let gateway = format!("name = 'sms'\nsecret = {{ file = '{}' }}", file.display());
        c.notify.replies = vec![toml::from_str::<RepliesConfig>(&gateway).unwrap()];
        set(c);
    })
    .await
}

/// Hands in a body, signed with this key at this second.
async fn hand_in(app: &App, key: &[u8], id: &str, at: i64, body: &str) -> Called {
    let caller = app.anonymous();
    let signature = webhook::signature(key, id, at, body);
    let request = caller.request("POST", "/v1/replies").header("webhook-id", id).header("webhook-timestamp", at);
    caller.send(request.header("webhook-signature", signature).header("content-type", "application/json").body(body.to_owned())).await
}

async fn reply(app: &App, from: &str, said: &str, id: &str) -> Value {
    let body = json!({"from": from, "text": said, "id": id}).to_string();
    hand_in(app, KEY, &format!("msg-{id}"), app.now().ms() / 1000, &body).await.expect(200).json
}

async fn result(app: &App, from: &str, said: &str, id: &str) -> String {
    reply(app, from, said, id).await["result"].as_str().unwrap().to_owned()
}

/// The code of the newest message.
fn newest_code(app: &App) -> String {
    code(text(app.messages("/sms").last().expect("a message")))
}

async fn a_code_answers_its_offer_and_a_repeat_changes_nothing(engine: Engine) {
    let app = spawn_phones(engine, |_| {}).await;
    let (person, platform) = (in_region("522624"), app.platform("example").await);
    let worker = app.worker(person.clone()).await;
    let posting = platform.publish(a_posting()).await;
    app.settle_messages().await;
    let (phone, code) = (person.text("phone"), newest_code(&app));
    let said = reply(&app, &format!("+86{phone}"), &format!("{code}　１"), "1").await;
    assert_eq!(said["result"], "accepted");
    assert!(said["text"].as_str().unwrap().starts_with("已答应：外卖骑手"), "{said}");
    let offer = worker.offer_for(&posting).await;
    assert_eq!((&offer["state"], &offer["method"]), (&json!("accepted"), &json!("reply")));
    // The same again, by its id whatever it says, and as a new one.
    assert_eq!(reply(&app, phone, &format!("{code} 2"), "1").await, said);
    assert_eq!(result(&app, phone, &format!("{code}1"), "2").await, "accepted");
    assert_eq!(platform.event_types().await, ["offer.accepted", "posting.filled"]);
    assert_eq!(result(&app, phone, &format!("{code} 不去"), "3").await, "declined", "given back");
    assert_eq!(worker.offer_for(&posting).await["state"], "declined");
    assert_eq!(result(&app, phone, &format!("{code} 1"), "4").await, "answered");
    app.settle().await;
    app.finish().await;
}

async fn a_code_counts_from_its_own_phone_alone_and_only_so_many_wrong_ones_are_looked_at(engine: Engine) {
    let app = spawn_phones(engine, |c| c.notify.wrong_codes = 3).await;
    let person = in_region("522624");
    app.worker(person.clone()).await;
    app.platform("example").await.publish(a_posting()).await;
    app.settle_messages().await;
    let code = newest_code(&app);
    let stranger = "10000099999";
    for n in 0..3 {
        assert_eq!(result(&app, stranger, &format!("{code} 1"), &format!("s{n}")).await, "unknown_code");
    }
    assert_eq!(result(&app, stranger, &format!("{code} 1"), "s4").await, "too_many");
    assert_eq!(result(&app, person.text("phone"), "你好", "w1").await, "unreadable");
    // Who has another number by now does not answer from the old one.
    app.office("522624").await.register(&[person.clone().with("phone", json!("10000088887")).json()]).await;
    assert_eq!(result(&app, person.text("phone"), &format!("{code} 1"), "w2").await, "unknown_code");
    app.pass_hours(24);
    assert_eq!(result(&app, stranger, &format!("{code} 1"), "s5").await, "unknown_code", "a new day");
    app.settle().await;
    app.finish().await;
}

async fn without_a_code_the_only_open_offer_is_meant(engine: Engine) {
    let app = spawn_phones(engine, |_| {}).await;
    let person = in_region("522624");
    let worker = app.worker(person.clone()).await;
    let platform = app.platform("example").await;
    let phone = person.text("phone");
    assert_eq!(result(&app, phone, "1", "1").await, "nothing_open");
    let first = platform.publish(a_posting()).await;
    platform.publish(a_posting()).await;
    app.settle_messages().await;
    assert_eq!(result(&app, phone, "1", "2").await, "code_needed");
    worker.accepts_offer_for(&first).await;
    assert_eq!(result(&app, phone, "是", "3").await, "accepted");
    app.settle().await;
    app.finish().await;
}

async fn a_late_or_withdrawn_offer_is_said_to_be_over(engine: Engine) {
    let app = spawn_phones(engine, |_| {}).await;
    let person = in_region("522624");
    app.worker(person.clone()).await;
    let platform = app.platform("example").await;
    let posting = platform.publish(a_posting()).await;
    app.settle_messages().await;
    let closed = newest_code(&app);
    platform.caller.delete(&format!("/v1/postings/{}", posting.id)).await.expect(204);
    let phone = person.text("phone");
    assert_eq!(result(&app, phone, &format!("{closed} 1"), "1").await, "withdrawn");
    platform.publish(a_posting()).await;
    app.settle_messages().await;
    let late = newest_code(&app);
    assert_ne!(late, closed);
    app.pass_hours(80);
    assert_eq!(result(&app, phone, &format!("{late} 1"), "2").await, "expired");
    app.settle().await;
    app.finish().await;
}

async fn a_reply_and_the_page_agree_whoever_is_first(engine: Engine) {
    let app = spawn_phones(engine, |_| {}).await;
    let (one, other) = (in_region("522624"), in_region("522624"));
    let workers = app.workers(vec![one.clone(), other]).await;
    let platform = app.platform("example").await;
    let posting = platform.publish(a_posting()).await;
    app.settle_messages().await;
    let sent = app.messages("/sms");
    let code = code(text(sent.iter().find(|m| m["to"] == one.text("phone")).unwrap()));
    let offers = [workers[0].offer_for(&posting).await, workers[1].offer_for(&posting).await];
    let id = |n: usize| offers[n]["id"].as_str().unwrap();
    let yes = format!("{code} 1");
    let phone = one.text("phone");
    let (by_phone, again, by_page, by_other) =
        tokio::join!(reply(&app, phone, &yes, "r1"), reply(&app, phone, &yes, "r1"), workers[0].accept(id(0)), workers[1].accept(id(1)),);
    let (page, rival) = (by_page.expect(200).json, by_other.expect(200).json);
    assert_eq!(by_phone, again, "one reply, one answer");
    assert_eq!(by_phone["result"], page["state"]);
    let mut states = [page["state"].as_str().unwrap(), rival["state"].as_str().unwrap()];
    states.sort_unstable();
    assert_eq!(states, ["accepted", "waitlisted"], "one seat");
    assert_eq!(platform.event_types().await, ["offer.accepted", "posting.filled"]);
    app.settle().await;
    app.finish().await;
}

async fn an_unsigned_stale_or_forged_reply_is_refused_alike(engine: Engine) {
    let app = spawn_phones(engine, |_| {}).await;
    let (now, body) = (app.now().ms() / 1000, json!({"from": "10000000001", "text": "1"}).to_string());
    let mut refusals = vec![
        app.anonymous().post("/v1/replies", &json!({"from": "10000000001", "text": "1"})).await,
        hand_in(&app, b"another key, just as long as it is", "m", now, &body).await,
        hand_in(&app, KEY, "m", now - 301, &body).await,
        hand_in(&app, KEY, "m", now + 301, &body).await,
        hand_in(&app, KEY, "m", i64::MIN, &body).await,
        hand_in(&app, KEY, "m", i64::MAX, &body).await,
        hand_in(&app, KEY, "", now, &body).await,
    ];
    let caller = app.anonymous();
    let signature = webhook::signature(KEY, "m", now, &body);
    let tampered = caller.request("POST", "/v1/replies").header("webhook-id", "m").header("webhook-timestamp", now);
    refusals.push(caller.send(tampered.header("webhook-signature", signature).body(body.replace('1', "2"))).await);
    for refused in &refusals {
        let refused = refused.clone().expect_problem(401, "unauthorized");
        assert!(!refused.header("www-authenticate").is_empty());
        assert_eq!(refused.without_request_id(), refusals[0].without_request_id());
    }
    hand_in(&app, KEY, "m", now - 299, &body).await.expect(200);
    for (body, pointer) in
        [(json!({"text": "1"}), "/from"), (json!({"from": "x", "text": "1"}), "/from"), (json!({"from": "10000000001"}), "/text")]
    {
        let refused = hand_in(&app, KEY, "m2", now, &body.to_string()).await.expect_problem(422, "invalid");
        assert_eq!(refused.json["errors"][0]["pointer"], pointer);
    }
    hand_in(&app, KEY, "m3", now, "{").await.expect_problem(400, "json_invalid");
    hand_in(&app, KEY, "m3", now, &"x".repeat(20_000)).await.expect_problem(413, "body_too_large");
    app.finish().await;
    // Where no gateway is configured nobody's signature counts.
    let app = spawn_on(engine).await;
    hand_in(&app, KEY, "m", now, &body).await.expect_problem(401, "unauthorized");
    app.finish().await;
}

async fn a_phone_stands_in_no_column_log_line_or_metric(engine: Engine) {
    let app = spawn_phones(engine, |c| c.notify.tries = 1).await;
    let person = in_region("522624").with("phone", json!("10000066666"));
    let worker = app.worker(person).await;
    let platform = app.platform("example").await;
    platform.publish(a_posting()).await;
    app.settle_messages().await;
    let code = newest_code(&app);
    assert_eq!(result(&app, "10000066666", &format!("{code} 2"), "10000066666").await, "declined");
    // A try that fails: a gateway that is gone, whose answer would quote the number.
    app.pass(Duration::from_secs(7 * 3600));
    let worker = app.office("522624").await.worker(&worker.id).await;
    app.platform("example").await.publish(a_posting()).await;
    app.sink.fail_with(&[500]);
    app.settle_messages().await;
    let tries = app.state().store.message_attempts(doorstep::domain::id::WorkerId::parse(&worker.id).unwrap()).await.unwrap();
    assert!(!format!("{tries:?}").contains("10000066666"));
    let metrics = app.anonymous().get("/metrics").await.expect(200).text;
    assert!(metrics.contains("doorstep_messages_total") && !metrics.contains("10000066666"));
    if engine == Engine::Sqlite {
        let folder = app.file().parent().unwrap().to_owned();
        for entry in std::fs::read_dir(folder).unwrap() {
            let bytes = std::fs::read(entry.unwrap().path()).unwrap();
            assert!(!bytes.windows(11).any(|w| w == b"10000066666"));
        }
    }
    app.finish().await;
}
