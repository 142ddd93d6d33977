//! Messages to workers: when they go out, what they say, and what becomes of those that
//! do not.

use crate::harness::*;
use doorstep::config::Config;
use doorstep::config::notify::ChannelConfig;
use doorstep::domain::id::WorkerId;
use doorstep::domain::time::Moment;
use doorstep::http::sink::Received;
use doorstep::store::notices::{MessageAttempt, Next, NoticeTerms, Tried};
use serde_json::{Value, json};
use std::time::Duration;

on_every_engine![
    several_offers_make_one_message_that_names_each,
    nothing_goes_out_in_the_quiet_hours,
    only_so_many_go_out_in_a_day,
    what_was_answered_meanwhile_is_not_told,
    a_message_is_tried_again_by_the_next_channel_and_given_up,
    whoever_was_given_up_is_told_once_their_phone_is_another,
    a_message_whose_sender_died_goes_out_under_the_same_id,
    what_comes_while_a_message_is_sent_makes_another,
    without_a_channel_nothing_is_written,
    a_seat_for_who_waited_and_one_that_is_gone_are_told,
    a_webhook_channel_is_signed,
    a_spool_holds_a_file_for_each_message,
    old_tries_are_forgotten_and_newer_ones_are_not,
];

pub const MINUTE: Duration = Duration::from_secs(60);

/// A channel of these settings, its `SINK` the receiver of the test.
pub fn channel(config: &Config, text: &str) -> ChannelConfig {
    toml::from_str(&text.replace("SINK", &format!("http://{}", config.outbound.allow[0]))).unwrap()
}

/// An SMS gateway that takes JSON.
pub fn sms(config: &mut Config) {
    config.token.lifetime = Duration::from_secs(3600);
    let sms = "name = 'sms'\nkind = 'http'\nurl = 'SINK/sms'\nbody = '{\"id\": {{ id }}, \"to\": {{ phone }}, \"text\": {{ text }}}'";
    config.notify.channel.push(channel(config, sms));
}

impl App {
    /// What the gateway on this path was handed.
    pub fn messages(&self, path: &str) -> Vec<Value> {
        self.sink.received().into_iter().filter(|r: &Received| r.path == path).map(|r| r.body).collect()
    }

    /// Does what is due, now and once messages have been collected.
    pub async fn settle_messages(&self) {
        self.settle().await;
        self.pass(10 * MINUTE);
        self.settle().await;
    }

    async fn tries(&self, worker: &str) -> Vec<MessageAttempt> {
        self.state().store.message_attempts(WorkerId::parse(worker).unwrap()).await.unwrap()
    }

    async fn notices(&self) -> Vec<(String, i64)> {
        self.state().store.notice_counts().await.unwrap()
    }

    fn at(&self, text: &str) {
        self.clock.set(Moment::parse(text).unwrap());
    }
}

pub fn text(message: &Value) -> &str {
    message["text"].as_str().expect("a text")
}

/// The token of the link in a message.
fn link(message: &str) -> &str {
    message.split("/w/").nth(1).expect("a link")
}

/// The first code in a message.
pub fn code(message: &str) -> String {
    let digits: String = message.split("回").nth(1).expect("a code").chars().take(4).collect();
    assert!(digits.parse::<u16>().is_ok(), "{message}");
    digits
}

async fn several_offers_make_one_message_that_names_each(engine: Engine) {
    let app = spawn_with(engine, sms).await;
    let (platform, person) = (app.platform("example").await, in_region("522624"));
    let worker = app.worker(person.clone()).await;
    platform.publish(a_posting()).await;
    app.settle().await;
    app.pass(9 * MINUTE);
    platform.publish(a_posting().with("category", json!("cleaning"))).await;
    app.settle().await;
    assert_eq!(app.messages("/sms"), Vec::<Value>::new(), "it waits for what may follow");
    app.pass(MINUTE);
    app.settle().await;
    let sent = app.messages("/sms");
    assert_eq!(sent.len(), 1, "{sent:?}");
    assert_eq!(sent[0]["to"], person.text("phone"));
    let said = text(&sent[0]);
    for part in ["2个工作", "外卖骑手，宁波市鄞州区，月薪5000-8000元", "保洁", "6月18日12:00前答复", "姓名电话"]
    {
        assert!(said.contains(part), "{part}: {said}");
    }
    app.anonymous().get(&format!("/w/{}", link(said))).await.expect(200);
    assert_eq!(app.tries(&worker.id).await[0].status, Some(200));
    app.settle_messages().await;
    assert_eq!(app.messages("/sms").len(), 1, "once");
    app.finish().await;
}

async fn nothing_goes_out_in_the_quiet_hours(engine: Engine) {
    let app = spawn_with(engine, sms).await;
    app.worker(in_region("522624")).await;
    app.at("2020-06-15T21:15:00+08:00");
    app.platform("example").await.publish(a_posting()).await;
    app.settle().await;
    for (at, sent) in [("15T21:30", 0), ("16T00:00", 0), ("16T07:59", 0), ("16T08:00", 1), ("16T21:29", 1)] {
        app.at(&format!("2020-06-{at}:00+08:00"));
        app.settle().await;
        assert_eq!(app.messages("/sms").len(), sent, "{at}");
    }
    app.finish().await;
}

async fn only_so_many_go_out_in_a_day(engine: Engine) {
    let app = spawn_with(engine, |c| {
        sms(c);
        c.notify.per_day = 1;
    })
    .await;
    app.worker(in_region("522624")).await;
    let platform = app.platform("example").await;
    platform.publish(a_posting()).await;
    app.settle_messages().await;
    platform.publish(a_posting()).await;
    app.settle_messages().await;
    assert_eq!(app.messages("/sms").len(), 1);
    // The day is that of Shanghai, and its quiet hours hold.
    for (at, sent) in [("15T20:00", 1), ("16T07:00", 1), ("16T08:00", 2)] {
        app.at(&format!("2020-06-{at}:00+08:00"));
        app.settle().await;
        assert_eq!(app.messages("/sms").len(), sent, "{at}");
    }
    assert!(text(&app.messages("/sms")[1]).contains("2个工作"), "both wait for an answer");
    app.finish().await;
}

async fn what_was_answered_meanwhile_is_not_told(engine: Engine) {
    let app = spawn_with(engine, sms).await;
    let worker = app.worker(in_region("522624")).await;
    let platform = app.platform("example").await;
    let posting = platform.publish(a_posting()).await;
    worker.accepts_offer_for(&posting).await;
    app.settle_messages().await;
    assert_eq!(app.messages("/sms"), Vec::<Value>::new());
    assert_eq!(app.notices().await, [("idle".to_owned(), 1)]);
    // Of an offer that was looked at on the page they know.
    platform.publish(a_posting()).await;
    app.settle().await;
    app.state().store.mark_seen(WorkerId::parse(&worker.id).unwrap(), app.now()).await.unwrap();
    app.settle_messages().await;
    assert_eq!(app.messages("/sms"), Vec::<Value>::new());
    app.finish().await;
}

/// A first channel that fails, then one that calls.
fn two_channels(c: &mut Config) {
    sms(c);
    let calls = channel(c, "name = 'calls'\nkind = 'http'\nmedium = 'voice'\nurl = 'SINK/calls'\nbody = '{\"text\": {{ text }}}'");
    c.notify.channel.push(calls);
    c.notify.tries = 2;
}

async fn a_message_is_tried_again_by_the_next_channel_and_given_up(engine: Engine) {
    let app = spawn_with(engine, two_channels).await;
    let worker = app.worker(in_region("522624")).await;
    let platform = app.platform("example").await;
    platform.publish(a_posting()).await;
    app.sink.fail_with(&[500, 503]);
    app.settle_messages().await;
    assert_eq!(app.tries(&worker.id).await.len(), 1, "it is not tried again at once");
    app.pass(2 * MINUTE);
    app.settle().await;
    let said = app.messages("/calls");
    assert_eq!((app.messages("/sms").len(), said.len()), (0, 1));
    assert!(text(&said[0]).contains("有新工作") && !text(&said[0]).contains("http"), "{said:?}");
    let tries = app.tries(&worker.id).await;
    assert_eq!(
        tries.iter().map(|t| (t.channel.as_str(), t.status)).collect::<Vec<_>>(),
        [("sms", Some(500)), ("sms", Some(503)), ("calls", Some(200))]
    );
    assert!(tries.iter().all(|t| t.message == tries[0].message), "one id on every try");
    platform.publish(a_posting()).await;
    app.sink.fail_with(&[500; 4]);
    app.settle_messages().await;
    for _ in 0..2 {
        app.pass(3 * MINUTE);
        app.settle().await;
    }
    assert_eq!(app.notices().await, [("unreachable".to_owned(), 1)]);
    app.pass_hours(5);
    app.settle().await;
    assert_eq!(app.tries(&worker.id).await.len(), 7, "nobody tries any more");
    // A new offer is a new reason.
    app.platform("example").await.publish(a_posting()).await;
    app.settle_messages().await;
    assert_eq!(app.messages("/sms").len(), 1);
    assert_eq!(app.notices().await, [("idle".to_owned(), 1)]);
    app.finish().await;
}

async fn whoever_was_given_up_is_told_once_their_phone_is_another(engine: Engine) {
    let app = spawn_with(engine, |c| {
        sms(c);
        c.notify.tries = 1;
    })
    .await;
    let person = in_region("522624");
    app.worker(person.clone()).await;
    app.platform("example").await.publish(a_posting()).await;
    app.sink.fail_with(&[400]);
    app.settle_messages().await;
    assert_eq!(app.notices().await, [("unreachable".to_owned(), 1)]);
    let office = app.office("522624").await;
    office.register(&[person.clone().json()]).await;
    app.settle().await;
    assert_eq!(app.messages("/sms").len(), 0, "the same phone");
    office.register(&[person.with("phone", json!("10000088888")).json()]).await;
    app.settle().await;
    assert_eq!(app.messages("/sms")[0]["to"], "10000088888");
    assert_eq!(app.notices().await, [("idle".to_owned(), 1)]);
    app.finish().await;
}

fn terms() -> NoticeTerms {
    NoticeTerms { per_day: 3, lease: MINUTE, link_lifetime: 60 * MINUTE }
}

async fn a_message_whose_sender_died_goes_out_under_the_same_id(engine: Engine) {
    let app = spawn_with(engine, sms).await;
    let worker = app.worker(in_region("522624")).await;
    app.platform("example").await.publish(a_posting()).await;
    app.settle().await;
    app.pass(10 * MINUTE);
    let store = app.state().store.clone();
    let (mut dead, looked_at) = store.take_notices(10, terms(), app.now()).await.unwrap();
    assert_eq!((dead.len(), looked_at), (1, 1));
    let dead = dead.remove(0);
    app.settle().await;
    assert_eq!(app.messages("/sms").len(), 0, "somebody else is at it");
    app.pass(MINUTE);
    app.settle().await;
    let sent = app.messages("/sms");
    assert_eq!((sent.len(), &sent[0]["id"]), (1, &json!(dead.message)));
    assert!(text(&sent[0]).contains(&dead.offers[0].0) && link(text(&sent[0])) == dead.token, "the same words");
    // What the dead one would have said of it comes too late.
    let late = Tried {
        handle: dead.handle,
        fence: dead.fence,
        message: dead.message,
        channel: "sms".to_owned(),
        at: app.now(),
        status: Some(500),
        error: None,
        next: Next::GiveUp,
    };
    store.message_tried(late).await.unwrap();
    assert_eq!(app.notices().await, [("idle".to_owned(), 1)]);
    assert_eq!(app.tries(&worker.id).await.len(), 2, "it is listed");
    app.finish().await;
}

async fn what_comes_while_a_message_is_sent_makes_another(engine: Engine) {
    let app = spawn_with(engine, sms).await;
    app.worker(in_region("522624")).await;
    let platform = app.platform("example").await;
    platform.publish(a_posting()).await;
    app.settle().await;
    app.pass(10 * MINUTE);
    let store = app.state().store.clone();
    let (mut due, _) = store.take_notices(10, terms(), app.now()).await.unwrap();
    let due = due.remove(0);
    app.pass(Duration::from_secs(1));
    platform.publish(a_posting()).await;
    app.settle().await;
    let sent = Tried {
        handle: due.handle,
        fence: due.fence,
        message: due.message,
        channel: "sms".to_owned(),
        at: app.now(),
        status: Some(200),
        error: None,
        next: Next::Sent { collect: 10 * MINUTE },
    };
    store.message_tried(sent).await.unwrap();
    app.settle().await;
    assert_eq!(app.messages("/sms").len(), 0);
    app.pass(10 * MINUTE);
    app.settle().await;
    let sent = app.messages("/sms");
    assert_eq!(sent.len(), 1);
    assert!(text(&sent[0]).contains("2个工作") && sent[0]["id"] != json!(due.message), "{sent:?}");
    app.finish().await;
}

async fn without_a_channel_nothing_is_written(engine: Engine) {
    let app = spawn_on(engine).await;
    let workers = app.workers(vec![in_region("522624"), in_region("522624")]).await;
    let platform = app.platform("example").await;
    let posting = platform.publish(a_posting()).await;
    workers[0].accepts_offer_for(&posting).await;
    workers[1].accepts_offer_for(&posting).await;
    platform.caller.delete(&format!("/v1/postings/{}", posting.id)).await.expect(204);
    app.settle_messages().await;
    assert_eq!(app.notices().await, []);
    app.finish().await;
}

async fn a_seat_for_who_waited_and_one_that_is_gone_are_told(engine: Engine) {
    let app = spawn_with(engine, sms).await;
    let (first, second) = (in_region("522624"), in_region("522624"));
    let workers = app.workers(vec![first.clone(), second.clone()]).await;
    let platform = app.platform("example").await;
    let posting = platform.publish(a_posting()).await;
    let sits = workers[0].accepts_offer_for(&posting).await;
    workers[1].accepts_offer_for(&posting).await;
    app.settle_messages().await;
    assert_eq!(app.messages("/sms").len(), 0);
    workers[0].decline(&sits).await.expect(200);
    app.settle_messages().await;
    let sent = app.messages("/sms");
    assert_eq!((sent.len(), &sent[0]["to"]), (1, &json!(second.text("phone"))));
    assert!(text(&sent[0]).starts_with("等的位子有了：外卖骑手"), "{sent:?}");
    let offer = workers[1].accepts_offer_for(&posting).await;
    platform.report(json!({"offer": offer, "status": "NOT_SELECTED", "at": "2020-06-15"})).await;
    app.settle_messages().await;
    let sent = app.messages("/sms");
    assert_eq!(sent.len(), 2, "{sent:?}");
    assert!(text(&sent[1]).starts_with("您答应的外卖骑手（宁波市鄞州区）未被录用。http"), "{sent:?}");
    app.finish().await;
}

async fn a_webhook_channel_is_signed(engine: Engine) {
    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("secret");
    std::fs::write(&file, SECRET).unwrap();
    let app = spawn_with(engine, |c| {
        c.notify.channel =
            vec![channel(c, &format!("name = 'hook'\nkind = 'webhook'\nurl = 'SINK/hook'\nsecret = {{ file = '{}' }}", file.display()))];
    })
    .await;
    app.sink.expect("/hook", SECRET);
    let person = in_region("522624");
    app.worker(person.clone()).await;
    app.platform("example").await.publish(a_posting()).await;
    app.settle_messages().await;
    let received: Vec<Received> = app.sink.received().into_iter().filter(|r| r.path == "/hook").collect();
    assert_eq!(received.len(), 1);
    let data = &received[0].body["data"];
    assert!(received[0].signature_is_valid);
    assert_eq!((&received[0].body["type"], &data["phone"]), (&json!("message.due"), &json!(person.text("phone"))));
    assert_eq!((data["id"].as_str(), data["medium"].as_str()), (Some(received[0].id.as_str()), Some("sms")));
    app.finish().await;
}

async fn a_spool_holds_a_file_for_each_message(engine: Engine) {
    let folder = tempfile::tempdir().unwrap();
    let spool = folder.path().join("spool");
    let app = spawn_with(engine, |c| {
        c.notify.channel = vec![channel(c, &format!("name = 'spool'\nkind = 'spool'\nfolder = '{}'", spool.display()))];
    })
    .await;
    let person = in_region("522624").with("phone", json!("10000077777"));
    app.worker(person).await;
    app.platform("example").await.publish(a_posting()).await;
    app.settle_messages().await;
    let files: Vec<_> = std::fs::read_dir(&spool).unwrap().map(|f| f.unwrap().path()).collect();
    assert_eq!(files.len(), 1);
    assert!(!files[0].display().to_string().contains("10000077777"));
    let message: Value = serde_json::from_slice(&std::fs::read(&files[0]).unwrap()).unwrap();
    assert_eq!(message["phone"], "10000077777");
    assert!(text(&message).chars().count() <= 140, "{} characters: {message}", text(&message).chars().count());
    app.finish().await;
}

async fn old_tries_are_forgotten_and_newer_ones_are_not(engine: Engine) {
    let app = spawn_with(engine, sms).await;
    let platform = app.platform("example").await;
    let worker = app.worker(in_region("522624")).await;
    platform.publish(a_posting()).await;
    app.settle_messages().await;
    assert_eq!(app.tries(&worker.id).await.len(), 1);
    let forget = async || app.state().store.forget_messages(app.now()).await.unwrap();
    app.pass_hours(24 * 29);
    assert_eq!(forget().await, 1, "the code alone, a week after its offer ran out");
    assert_eq!(app.tries(&worker.id).await.len(), 1);
    app.pass_hours(24 * 2);
    assert_eq!((forget().await, forget().await), (1, 0), "and nothing is left to be forgotten");
    assert_eq!(app.tries(&worker.id).await, []);
    app.settle().await;
    app.finish().await;
}
