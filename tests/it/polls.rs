//! Feeds that the gateway fetches, from a source on a real socket.

use crate::harness::source::{Source, ok, status};
use crate::harness::*;
use doorstep::config::feeds::PullConfig;
use doorstep::store::feeds::{Known, Pulled, Standing, UnderWay};
use serde_json::{Value, json};
use std::io::Write;
use std::time::Duration;

on_every_engine![
    pages_come_in_by_their_cursor_and_an_unchanged_feed_is_not_read_again,
    what_fails_is_told_and_closes_nothing,
    a_full_feed_closes_what_is_absent_once_all_its_pages_came,
    one_process_at_a_time_is_at_a_feed,
];

pub const JSON: (&str, &str) = ("content-type", "application/json");

pub fn records(numbers: std::ops::Range<usize>) -> Vec<Value> {
    numbers.map(|n| a_posting().source_id(&format!("F-{n}")).with("title", json!(format!("分拣员 {n}"))).json()).collect()
}

/// A page in the format of a platform whose answers hold a cursor.
pub fn page(first: usize, n: usize, cursor: Option<&str>) -> Vec<u8> {
    let position = |i: usize| {
        json!({"positionId": format!("M-{i}"), "positionName": "外卖骑手", "province": "浙江省", "city": "宁波市",
        "district": "鄞州区", "pay": {"monthlyText": "5000-8000元/月"}, "publishTime": 1590969600, "state": 1})
    };
    let positions: Vec<Value> = (first..first + n).map(position).collect();
    json!({"data": {"positions": positions, "nextCursor": cursor}}).to_string().into_bytes()
}

/// A gateway that pulls this feed.
pub async fn pulling(engine: Engine, source: &Source, feed: Value) -> App {
    let feed: PullConfig = serde_json::from_value(feed).unwrap();
    spawn_with(engine, |c| {
        c.outbound.allow.push(source.address.to_string());
        c.feed.pull.push(feed);
        (c.poll.host_interval, c.poll.idle) = (Duration::ZERO, Duration::from_millis(300));
    })
    .await
}

pub fn feed(source: &Source, target: &str) -> Value {
    json!({"platform": "example", "adapter": "canonical", "url": source.url(target), "every": "15m", "auth": {"kind": "none"}})
}

pub async fn live(app: &App) -> u64 {
    let platform = app.platform("example").await;
    platform.caller.get("/v1/postings?status=open&limit=1").await.expect(200).json["total"].as_u64().unwrap()
}

/// How the operator sees the only feed.
pub async fn shown(app: &App) -> Value {
    app.admin().await.get("/v1/feeds").await.expect(200).json["items"][0].clone()
}

/// Past the next pull, whatever the jitter.
pub async fn next_pull(app: &App) {
    app.pass(Duration::from_secs(16 * 60));
    app.settle().await;
}

async fn pages_come_in_by_their_cursor_and_an_unchanged_feed_is_not_read_again(engine: Engine) {
    let source = Source::start();
    source.answers("/m", ok(&[JSON], &page(0, 3, Some("c 2"))));
    source.answers("/m?after=c+2", ok(&[JSON], &page(3, 3, Some("c3"))));
    source.answers("/m?after=c3", ok(&[JSON], &page(6, 1, None)));
    let mut config = feed(&source, "/m");
    (config["adapter"], config["cursor_param"]) = (json!("meituan"), json!("after"));
    let app = pulling(engine, &source, config).await;
    app.settle().await;
    assert_eq!(live(&app).await, 7);
    let facts = &shown(&app).await["last_good"]["facts"];
    assert_eq!((&facts["pages"], &facts["received"], &facts["created"], &facts["closed"]), (&json!(3), &json!(7), &json!(7), &json!(0)));
    assert_eq!(source.asked().len(), 3);
    app.settle().await;
    assert!(source.asked().is_empty(), "not before it is due");

    // One page that knows what it is: asked for by its tag, and the same again.
    source.answers("/m", ok(&[JSON, ("etag", "\"v1\""), ("last-modified", "Mon, 15 Jun 2020 04:00:00 GMT")], &page(0, 7, None)));
    next_pull(&app).await;
    assert!(!source.asked()[0].headers.contains_key("if-none-match"), "the tag of a first page speaks for no other");
    source.answers("/m", status(304, &[]));
    next_pull(&app).await;
    let asked = source.asked();
    assert_eq!((asked.len(), asked[0].headers["if-none-match"].as_str()), (1, "\"v1\""), "{asked:?}");
    assert_eq!(asked[0].headers["if-modified-since"], "Mon, 15 Jun 2020 04:00:00 GMT");
    let seen = shown(&app).await;
    assert_eq!((&seen["failures"], &seen["last_failure"], &seen["last_good"]["facts"]["unchanged"]), (&json!(0), &json!(null), &json!(7)));
    // After a day it is read again, whatever its source says.
    source.answers("/m", ok(&[JSON], &page(0, 7, None)));
    app.pass_hours(25);
    app.settle().await;
    assert!(!source.asked()[0].headers.contains_key("if-none-match"));
    app.finish().await;
}

async fn what_fails_is_told_and_closes_nothing(engine: Engine) {
    let source = Source::start();
    source.answers("/f", ok(&[JSON], json!(records(0..10)).to_string().as_bytes()));
    let mut config = feed(&source, "/f");
    (config["complete"], config["hold_share"]) = (json!(true), json!(1.0));
    let app = pulling(engine, &source, config).await;
    app.settle().await;
    assert_eq!(live(&app).await, 10);

    let gzip = |bytes: &[u8]| {
        let mut out = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        out.write_all(bytes).unwrap();
        out.finish().unwrap()
    };
    let few = json!(records(0..2)).to_string();
    let (whole, cut) = (gzip(few.as_bytes()), few.len() + 10);
    let cases: Vec<(Vec<u8>, &str)> = vec![
        (status(500, &[]), "HTTP 500"),
        (status(401, &[]), "HTTP 401"),
        (status(403, &[]), "HTTP 403"),
        (status(404, &[]), "HTTP 404"),
        (status(304, &[]), "HTTP 304"),
        (ok(&[("content-type", "text/html")], b"<html>please log in</html>"), "json_invalid"),
        (ok(&[JSON], b""), "json_invalid"),
        (ok(&[JSON], &few.as_bytes()[..few.len() - 3]), "json_invalid"),
        (format!("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {cut}\r\n\r\n{few}").into_bytes(), "the answer breaks off"),
        (format!("HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n{few}").into_bytes(), "does not say where it ends"),
        (ok(&[JSON, ("content-encoding", "gzip")], &whole[..whole.len() - 5]), "content coding"),
        (ok(&[JSON, ("content-encoding", "gzip")], &gzip(&vec![b' '; 80 << 20])), "larger than poll.max_body"),
        (status(302, &[("location", "http://169.254.169.254/latest")]), "forbidden"),
        (status(302, &[("location", "/f")]), "leads on too often"),
        (b"HTTP/1.1 200".to_vec(), "no connection"),
    ];
    for (n, (answer, told)) in cases.iter().enumerate() {
        source.answers("/f", answer.clone());
        app.pass_hours(2);
        app.settle().await;
        let seen = shown(&app).await;
        let error = seen["last_failure"]["error"].as_str().unwrap_or_default();
        assert!(error.contains(told), "{told:?}, told {error:?}");
        assert_eq!(seen["failures"], n + 1);
        assert_eq!(live(&app).await, 10, "{told}");
    }
    // A good answer that is compressed, and how the source wants to be left alone.
    source.answers("/f", ok(&[JSON, ("content-encoding", "gzip")], &gzip(json!(records(0..9)).to_string().as_bytes())));
    app.pass_hours(2);
    app.settle().await;
    assert_eq!((live(&app).await, &shown(&app).await["failures"]), (9, &json!(0)));
    source.answers("/f", status(429, &[("retry-after", "7200")]));
    next_pull(&app).await;
    source.asked();
    app.pass(Duration::from_secs(7100));
    app.settle().await;
    assert!(source.asked().is_empty());
    app.pass(Duration::from_secs(200));
    app.settle().await;
    assert_eq!(source.asked().len(), 1);
    app.finish().await;
}

async fn a_full_feed_closes_what_is_absent_once_all_its_pages_came(engine: Engine) {
    let source = Source::start();
    let link = ("link", "</p2>; rel=\"next\"");
    source.answers("/p1", ok(&[JSON, link], json!(records(0..10)).to_string().as_bytes()));
    source.answers("/p2", ok(&[JSON], json!(records(10..20)).to_string().as_bytes()));
    let mut config = feed(&source, "/p1");
    config["complete"] = json!(true);
    let app = pulling(engine, &source, config).await;
    app.settle().await;
    assert_eq!((live(&app).await, source.asked().len()), (20, 2));

    // The second page does not come: nothing is closed, and it is all that is asked again.
    source.answers("/p1", ok(&[JSON, link], json!(records(0..8)).to_string().as_bytes()));
    source.answers("/p2", status(503, &[]));
    next_pull(&app).await;
    assert_eq!((live(&app).await, source.asked().len()), (20, 2));
    source.answers("/p2", ok(&[JSON], json!(records(10..20)).to_string().as_bytes()));
    app.pass(Duration::from_secs(60));
    app.settle().await;
    let asked: Vec<String> = source.asked().into_iter().map(|a| a.target).collect();
    assert_eq!((live(&app).await, asked), (18, vec!["/p2".to_owned()]));
    let facts = shown(&app).await["last_good"]["facts"].clone();
    assert_eq!((&facts["pages"], &facts["received"], &facts["closed"], &facts["held"]), (&json!(2), &json!(18), &json!(2), &json!(null)));

    // A pull that is given up leaves no run open, which every push would have to heed.
    source.answers("/p2", status(404, &[]));
    next_pull(&app).await;
    source.answers("/p2", ok(&[JSON], json!(records(10..20)).to_string().as_bytes()));
    app.pass_hours(2);
    app.settle().await;
    assert_eq!(live(&app).await, 18);
    assert_eq!(app.state().store.abandon_runs("example".to_owned(), "example", app.now()).await.unwrap(), 0);

    // A source that has lost half of what it had is held, and the platform is told.
    source.answers("/p1", ok(&[JSON], json!(records(0..8)).to_string().as_bytes()));
    next_pull(&app).await;
    assert_eq!(live(&app).await, 18);
    let held = shown(&app).await["last_good"]["facts"]["held"].clone();
    assert_eq!((&held["reason"], &held["would_close"]), (&json!("hold_share"), &json!(10)), "{held}");
    assert!(app.platform("example").await.event_types().await.contains(&"feed.held".to_owned()));

    // Pages that lead in a circle, or elsewhere, are no feed.
    for (link, told) in [("</p1>; rel=next", "lead back"), ("<http://127.0.0.1:9/p2>; rel=next", "another origin")] {
        source.answers("/p1", ok(&[JSON, ("link", link)], json!(records(0..8)).to_string().as_bytes()));
        app.pass_hours(2);
        app.settle().await;
        let error = shown(&app).await["last_failure"]["error"].to_string();
        assert!(error.contains(told), "{told}: {error}");
    }
    assert_eq!(live(&app).await, 18);
    app.finish().await;
}

#[actix_web::test]
async fn a_secret_goes_to_the_feeds_own_origin_alone_and_is_not_shown() {
    let (source, other) = (Source::start(), Source::start());
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("secret");
    std::fs::write(&file, "canary-token\n").unwrap();
    source.answers("/s", status(307, &[("location", "/t")]));
    source.answers("/t", status(307, &[("location", &other.url("/u"))]));
    other.answers("/u", ok(&[JSON], b"[]"));
    let mut config = feed(&source, "/s");
    config["auth"] = json!({"kind": "bearer", "file": file});
    let elsewhere = other.address.to_string();
    let config: PullConfig = serde_json::from_value(config).unwrap();
    assert!(!format!("{:?}", config.auth.header().unwrap()).contains("canary"));
    let app = spawn_with(Engine::Sqlite, |c| {
        c.outbound.allow.extend([source.address.to_string(), elsewhere]);
        c.feed.pull.push(config);
    })
    .await;
    app.settle().await;
    let sent = |source: &Source| source.asked().iter().map(|a| a.headers.get("authorization").cloned()).collect::<Vec<_>>();
    assert_eq!((sent(&source), sent(&other)), (vec![Some("Bearer canary-token".to_owned()); 2], vec![None]));
    let seen = app.admin().await.get("/v1/feeds").await.expect(200);
    assert!(!seen.text.contains("canary") && seen.json["items"][0]["failures"] == 0, "{}", seen.text);
    app.platform("example").await.caller.get("/v1/feeds").await.expect_problem(403, "role_forbidden");
    app.finish().await;
}

#[actix_web::test]
async fn a_host_that_fails_again_and_again_is_left_in_peace() {
    let source = Source::start();
    source.answers("/f", status(500, &[]));
    let app = pulling(Engine::Sqlite, &source, feed(&source, "/f")).await;
    let admin = app.admin().await;
    app.settle().await;
    for _ in 0..4 {
        admin.post("/v1/feeds/example-canonical/pull", &json!({})).await.expect(202);
        app.settle().await;
    }
    assert_eq!(source.asked().len(), 5);
    admin.post("/v1/feeds/example-canonical/pull", &json!({})).await.expect(202);
    app.settle().await;
    assert!(source.asked().is_empty(), "the breaker is open");
    source.answers("/f", ok(&[JSON], b"[]"));
    app.pass(Duration::from_secs(301));
    app.settle().await;
    assert_eq!(source.asked().len(), 1);
    assert_eq!(shown(&app).await["failures"], 0);
    admin.post("/v1/feeds/none/pull", &json!({})).await.expect_problem(404, "not_found");
    app.finish().await;
}

async fn one_process_at_a_time_is_at_a_feed(engine: Engine) {
    let app = spawn_on(engine).await;
    let (store, now) = (app.state().store.clone(), app.now());
    let name = || "a-feed".to_owned();
    let lease = Duration::from_secs(60);
    let known = |print: u8| vec![Known { name: name(), fingerprint: vec![print], due: now }];
    let host = Standing { breaker: "closed", quiet_until: None };
    store.know_feeds(known(1), now).await.unwrap();
    let claims = futures_util::future::join_all((0..20).map(|_| store.claim_feed(name(), lease, now))).await;
    let mut claims: Vec<_> = claims.into_iter().filter_map(Result::unwrap).collect();
    assert_eq!(claims.len(), 1);
    let first = claims.remove(0);
    let at = UnderWay {
        run: "r".to_owned(),
        page: 1,
        next: "https://example.com/2".to_owned(),
        totals: json!({"received": 5}),
        started_at: now,
    };
    assert!(store.advance_feed(&first, at.clone(), lease, now).await.unwrap());
    // Its process dies; the next one goes on there, and the dead one's word counts no more.
    let later = now.plus(Duration::from_secs(61));
    let second = store.claim_feed(name(), lease, later).await.unwrap().unwrap();
    assert_eq!(second.under_way, Some(at.clone()));
    assert!(!store.advance_feed(&first, at.clone(), lease, later).await.unwrap());
    assert!(!store.hold_feed(&first, lease, later).await.unwrap());
    let whole = Pulled::Whole { etag: None, last_modified: None, facts: json!({}) };
    store.end_pull(&first, whole.clone(), host, later, later).await.unwrap();
    assert_eq!(store.feeds().await.unwrap()[0].good_at, None);
    store.end_pull(&second, whole, host, later, later).await.unwrap();
    assert_eq!(store.feeds().await.unwrap()[0].good_at, Some(later));
    // A feed that is configured otherwise begins anew.
    let third = store.claim_feed(name(), lease, later).await.unwrap().unwrap();
    store.advance_feed(&third, at, lease, later).await.unwrap();
    store.know_feeds(known(2), later).await.unwrap();
    assert_eq!(store.claim_feed(name(), lease, later).await.unwrap().unwrap().under_way, None);
    app.finish().await;
}
