//! Pulls in a world that goes on beside them: processes that die or come back late,
//! settings that change, others that push, sources that say half of it.

use crate::harness::source::{Source, ok, stalls, status};
use crate::harness::*;
use crate::polls::{JSON, feed, live, next_pull, page, pulling, records, shown};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use doorstep::config::feeds::PullConfig;
use serde_json::{Value, json};
use std::io::Write;
use std::net::TcpListener;
use std::time::Duration;

on_every_engine![
    a_pull_that_a_stop_cut_short_goes_on_at_its_page,
    a_process_that_dies_leaves_its_lease_and_the_next_goes_on,
    a_puller_that_comes_back_late_stores_nothing,
    two_processes_ask_one_source_once,
    what_is_pushed_while_a_full_feed_comes_in_is_not_absent,
    a_feed_that_becomes_a_full_one_begins_anew,
    what_was_not_wholly_read_closes_nothing_by_itself,
];

fn body(records: &[Value]) -> Vec<u8> {
    json!(records).to_string().into_bytes()
}

fn targets(source: &Source) -> Vec<String> {
    source.asked().into_iter().map(|a| a.target).collect()
}

/// A full feed of three pages with five records each, which closes without a word.
fn three_pages(source: &Source) -> Value {
    let link = |next: &str| format!("<{next}>; rel=\"next\"");
    source.answers("/p1", ok(&[JSON, ("link", &link("/p2"))], &body(&records(0..5))));
    source.answers("/p2", ok(&[JSON, ("link", &link("/p3"))], &body(&records(5..10))));
    source.answers("/p3", ok(&[JSON], &body(&records(10..15))));
    let mut config = feed(source, "/p1");
    (config["complete"], config["hold_share"]) = (json!(true), json!(1.0));
    config
}

async fn a_pull_that_a_stop_cut_short_goes_on_at_its_page(engine: Engine) {
    let source = Source::start();
    let mut app = pulling(engine, &source, three_pages(&source)).await;
    app.settle().await;
    assert_eq!((live(&app).await, targets(&source).len()), (15, 3));
    source.answers("/p1", ok(&[JSON, ("link", "</p2>; rel=next")], &body(&records(0..4))));
    source.holds("/p2");
    app.pass(Duration::from_secs(16 * 60));
    tokio::select! {
        () = app.settle() => panic!("the second page is held"),
        () = source.until_held() => {}
    }
    // The process is stopped here: it hands the feed back.
    app.restart_with(|_| {}).await;
    source.release();
    assert_eq!(shown(&app).await["page"], 1);
    assert_eq!(targets(&source), ["/p1", "/p2"]);
    app.settle().await;
    assert_eq!(targets(&source), ["/p2", "/p3"], "the first page is not asked again");
    let facts = shown(&app).await["last_good"]["facts"].clone();
    assert_eq!((&facts["pages"], &facts["received"], &facts["closed"]), (&json!(3), &json!(14), &json!(1)));
    assert_eq!(live(&app).await, 14);

    // What lies too long is not gone on with: its pages may have moved.
    source.answers("/p2", status(503, &[]));
    next_pull(&app).await;
    assert_eq!(targets(&source), ["/p1", "/p2"]);
    source.answers("/p2", ok(&[JSON, ("link", "</p3>; rel=next")], &body(&records(5..10))));
    app.pass_hours(2);
    app.settle().await;
    assert_eq!((targets(&source), live(&app).await), (vec!["/p1".to_owned(), "/p2".to_owned(), "/p3".to_owned()], 14));
    app.finish().await;
}

async fn a_process_that_dies_leaves_its_lease_and_the_next_goes_on(engine: Engine) {
    let source = Source::start();
    let app = pulling(engine, &source, three_pages(&source)).await;
    source.holds("/p2");
    tokio::select! {
        () = app.settle() => panic!("the second page is held"),
        () = source.until_held() => {}
    }
    source.release();
    assert_eq!(targets(&source), ["/p1", "/p2"]);
    let other = app.another_poller().await;
    assert_eq!(other.poll_due().await.unwrap(), 0, "the dead one's lease still runs");
    assert_eq!(shown(&app).await["pulling"], true);
    app.pass(Duration::from_secs(61));
    assert_eq!(other.poll_due().await.unwrap(), 1);
    assert_eq!(targets(&source), ["/p2", "/p3"]);
    assert_eq!((live(&app).await, &shown(&app).await["failures"]), (15, &json!(0)));
    app.settle().await;
    app.finish().await;
}

async fn a_puller_that_comes_back_late_stores_nothing(engine: Engine) {
    let source = Source::start();
    let app = pulling(engine, &source, feed(&source, "/f")).await;
    let titled = |title: &str| body(&[a_posting().source_id("F-1").with("title", json!(title)).json()]);
    source.answers("/f", ok(&[JSON], &titled("旧")));
    source.holds("/f");
    let other = app.another_poller().await;
    let late = async { app.settle().await };
    let takes_over = async {
        source.until_held().await;
        app.pass(Duration::from_secs(61));
        source.answers("/f", ok(&[JSON], &titled("新")));
        assert_eq!(other.poll_due().await.unwrap(), 1);
        source.release();
    };
    tokio::join!(late, takes_over);
    let platform = app.platform("example").await;
    let listed = platform.caller.get("/v1/postings").await.expect(200).json;
    assert_eq!((&listed["total"], &listed["items"][0]["title"], &listed["items"][0]["revision"]), (&json!(1), &json!("新"), &json!(1)));
    let seen = shown(&app).await;
    assert_eq!((&seen["failures"], &seen["last_failure"]), (&json!(0), &json!(null)), "the late one's word counts for nothing");
    app.finish().await;
}

async fn two_processes_ask_one_source_once(engine: Engine) {
    let source = Source::start();
    source.answers("/f", ok(&[JSON], &body(&records(0..3))));
    let app = pulling(engine, &source, feed(&source, "/f")).await;
    let others = [app.another_poller().await, app.another_poller().await, app.another_poller().await];
    let asked = futures_util::future::join_all(others.iter().map(|o| o.poll_due())).await;
    assert_eq!(asked.into_iter().map(Result::unwrap).sum::<usize>(), 1);
    app.settle().await;
    assert_eq!((targets(&source).len(), live(&app).await), (1, 3));
    app.finish().await;
}

async fn what_is_pushed_while_a_full_feed_comes_in_is_not_absent(engine: Engine) {
    let source = Source::start();
    let mut config = feed(&source, "/f");
    (config["complete"], config["hold_share"]) = (json!(true), json!(1.0));
    source.answers("/f", ok(&[JSON], &body(&records(0..3))));
    source.holds("/f");
    let app = pulling(engine, &source, config).await;
    let platform = app.platform("example").await;
    let push = async {
        source.until_held().await;
        platform.publish(a_posting().source_id("PUSHED")).await;
        source.release();
    };
    tokio::join!(app.settle(), push);
    assert_eq!(live(&app).await, 4, "an answer from before does not close it");
    next_pull(&app).await;
    assert_eq!(live(&app).await, 3, "one from after does");
    // A source that is the same leaves no run behind.
    source.answers("/f", ok(&[JSON, ("etag", "\"a\"")], &body(&records(0..3))));
    next_pull(&app).await;
    source.answers("/f", status(304, &[]));
    next_pull(&app).await;
    assert_eq!(shown(&app).await["last_good"]["status"], 304);
    assert_eq!(app.state().store.abandon_runs("example".to_owned(), "example", app.now()).await.unwrap(), 0);
    assert_eq!(live(&app).await, 3);
    app.finish().await;
}

async fn a_feed_that_becomes_a_full_one_begins_anew(engine: Engine) {
    let source = Source::start();
    let mut config = three_pages(&source);
    config["complete"] = json!(false);
    source.answers("/p2", status(503, &[]));
    let mut app = pulling(engine, &source, config.clone()).await;
    app.settle().await;
    assert_eq!((targets(&source), live(&app).await), (vec!["/p1".to_owned(), "/p2".to_owned()], 5));
    config["complete"] = json!(true);
    three_pages(&source);
    app.restart_with(|c| c.feed.pull = vec![serde_json::from_value(config).unwrap()]).await;
    app.settle().await;
    assert_eq!((targets(&source), live(&app).await), (vec!["/p1".to_owned(), "/p2".to_owned(), "/p3".to_owned()], 15));
    app.finish().await;
}

async fn what_was_not_wholly_read_closes_nothing_by_itself(engine: Engine) {
    let source = Source::start();
    let mut config = feed(&source, "/f");
    (config["complete"], config["hold_share"]) = (json!(true), json!(1.0));
    source.answers("/f", ok(&[JSON], &body(&records(0..10))));
    let app = pulling(engine, &source, config).await;
    app.settle().await;
    let lines: Vec<String> = records(0..9).iter().map(Value::to_string).collect();
    let broken = format!("{}\n{{\"source_id\": \"F-9\", \"tit", lines.join("\n"));
    for (kind, bytes) in [("application/x-ndjson", broken.as_bytes()), ("application/json", b"[]"), ("text/csv", b"source_id,title\n")] {
        source.answers("/f", ok(&[("content-type", kind)], bytes));
        next_pull(&app).await;
        assert_eq!(live(&app).await, 10, "{kind}");
        let held = shown(&app).await["last_good"]["facts"]["held"].clone();
        assert_eq!(held["reason"], "hold_share", "{kind}: {held}");
        assert_eq!((&held["hold_share"], &held["diff"]), (&json!(0.0), &json!(null)), "the diff is the platform's to read");
    }
    // Its platform may let it close all the same.
    let run = shown(&app).await["last_good"]["facts"]["held"]["run"].as_str().unwrap().to_owned();
    app.platform("example").await.caller.post(&format!("/v1/feed-runs/{run}/release"), &json!({})).await.expect(200);
    assert_eq!(live(&app).await, 0);
    app.finish().await;
}

#[actix_web::test]
async fn every_coding_is_read_and_every_broken_one_told() {
    let source = Source::start();
    source.answers("/f", ok(&[JSON], b"[]"));
    let app = pulling(Engine::Sqlite, &source, feed(&source, "/f")).await;
    app.settle().await;
    let gzip = |bytes: &[u8]| {
        let mut out = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        out.write_all(bytes).unwrap();
        out.finish().unwrap()
    };
    let zstd = |bytes: &[u8]| zstd::encode_all(bytes, 3).unwrap();
    // What another implementation made of one record.
    let br = STANDARD.decode(BROTLI).unwrap();
    let one = |n: usize| body(&records(n..n + 1));
    let coded = |coding, bytes: &[u8]| ok(&[JSON, ("content-encoding", coding)], bytes);
    let good = [
        coded("gzip", &gzip(&one(100))),
        coded("zstd", &zstd(&one(101))),
        coded("br", &br),
        ok(&[("content-type", "application/gzip")], &gzip(&one(102))),
        ok(&[("content-type", "text/plain; charset=utf-8")], &one(103)),
        coded("identity", &one(104)),
    ];
    for (n, answer) in good.iter().enumerate() {
        source.answers("/f", answer.clone());
        next_pull(&app).await;
        assert_eq!((live(&app).await, &shown(&app).await["failures"]), (n as u64 + 1, &json!(0)), "{n}");
    }
    // Neither what the header says nor anything else that the format takes.
    let garbled = [&b"[{\"source_id\": \"F-105\", \"title\": \""[..], &[0xff, 0xff, 0x20], b"\"}]"].concat();
    let bomb = zstd(&vec![b' '; 80 << 20]);
    let bad = [
        (coded("zstd", &zstd(&one(105))[..20]), "content coding"),
        (coded("br", &br[..br.len() - 9]), "content coding"),
        (coded("zstd", &bomb), "larger than poll.max_body"),
        (coded("deflate", &one(105)), "not asked for"),
        (coded("gzip, br", &gzip(&one(105))), "not asked for"),
        (ok(&[("content-type", "application/json; charset=gbk")], &garbled), "encoding_invalid"),
        (ok(&[("content-type", "text/html; x=1")], b"<html>log in</html>"), "(it calls itself text/html)"),
        (stalls(&one(105)), "no answer in time"),
        (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\n[{}".to_vec(), "breaks off"),
        (status(302, &[("location", "http://127.0.0.1:1/elsewhere")]), "forbidden"),
        (status(302, &[("location", "file:///etc/passwd")]), "forbidden"),
        (status(302, &[]), "leads nowhere"),
        (status(206, &[]), "HTTP 206"),
        (status(204, &[]), "HTTP 204"),
    ];
    for (answer, told) in bad {
        source.answers("/f", answer);
        app.pass_hours(2);
        app.settle().await;
        let seen = shown(&app).await;
        let error = seen["last_failure"]["error"].as_str().unwrap();
        assert!(error.contains(told), "{told:?}, told {error:?}");
        assert_eq!(seen["last_failure"]["at"], json!(app.now()), "{told}");
        assert_eq!(live(&app).await, 6);
    }
    app.finish().await;
}

/// `[{"source_id":"BR-1",…}]`
const BROTLI: &str = "G5sAACwLeENp8gtldSq4Gia7+DLQU/RLka29liJbLJeRmKNOt9TpbADb103NqMVos+h09W2RLzE5KfJVppMjPRgF35L4GFhbmEOHbbCz1KTGS033HmVBg7zID22nF2JT/v6JG+4rrtZaf2kVBweMQvIaH0XUUAZHz/YMAxy2Pg==";

#[actix_web::test]
async fn pages_that_do_not_move_on_are_told() {
    let source = Source::start();
    let mut config = feed(&source, "/m");
    (config["adapter"], config["cursor_param"]) = (json!("meituan"), json!("after"));
    let app = pulling(Engine::Sqlite, &source, config.clone()).await;
    source.answers("/m", ok(&[JSON], &page(0, 2, Some("c"))));
    // At its end a source may name the same place once more, with nothing there.
    source.answers("/m?after=c", ok(&[JSON], &page(0, 0, Some("c"))));
    app.settle().await;
    assert_eq!((&shown(&app).await["failures"], live(&app).await), (&json!(0), 2));
    source.answers("/m?after=c", ok(&[JSON], &page(2, 2, Some("c"))));
    next_pull(&app).await;
    let told = async |app: &App| shown(app).await["last_failure"]["error"].as_str().unwrap_or_default().to_owned();
    assert!(told(&app).await.contains("stays where it is"), "{}", told(&app).await);
    source.answers("/m?after=c", ok(&[JSON], &page(2, 2, Some("d"))));
    source.answers("/m?after=d", ok(&[JSON], &page(2, 2, Some("d"))));
    app.pass_hours(2);
    app.settle().await;
    assert!(told(&app).await.contains("the same as the one before"), "{}", told(&app).await);
    app.finish().await;

    // Pages by number, up to the most.
    let numbered = |n: usize| ok(&[JSON], &body(&records(n..n + 1)));
    source.answers("/n", numbered(1));
    (2..9).for_each(|n| source.answers(&format!("/n?page={n}"), numbered(n)));
    source.answers("/n?page=4", ok(&[JSON], b"[]"));
    let mut config = feed(&source, "/n");
    config["page_param"] = json!("page");
    let mut app = pulling(Engine::Sqlite, &source, config).await;
    source.asked();
    app.settle().await;
    assert_eq!((targets(&source).len(), live(&app).await), (4, 3), "the empty page is the end");
    app.restart_with(|c| c.poll.max_pages = 2).await;
    next_pull(&app).await;
    assert!(told(&app).await.contains("more than 2 pages"), "{}", told(&app).await);
    app.finish().await;
}

#[actix_web::test]
async fn a_secret_does_not_come_home_by_way_of_another_and_is_not_taken_along() {
    let (source, other) = (Source::start(), Source::start());
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("secret");
    std::fs::write(&file, "canary\n").unwrap();
    // A page elsewhere that the operator named, and one that leads there and back.
    source.answers("/s", ok(&[JSON, ("link", &format!("<{}>; rel=next", other.url("/t")))], &body(&records(0..1))));
    other.answers("/t", ok(&[JSON, ("link", &format!("<{}>; rel=next", source.url("/u")))], &body(&records(1..2))));
    source.answers("/u", status(307, &[("location", &other.url("/v"))]));
    other.answers("/v", status(307, &[("location", &source.url("/w"))]));
    source.answers("/w", ok(&[JSON], &body(&records(2..3))));
    let mut config = feed(&source, "/s");
    config["auth"] = json!({"kind": "header", "name": "X-Api-Key", "file": file});
    config["page_origins"] = json!([other.url("/")]);
    let config: PullConfig = serde_json::from_value(config).unwrap();
    let app = spawn_with(Engine::Sqlite, |c| {
        c.outbound.allow.extend([source.address.to_string(), other.address.to_string()]);
        c.poll.host_interval = Duration::ZERO;
        c.feed.pull.push(config);
    })
    .await;
    app.settle().await;
    assert_eq!(live(&app).await, 3);
    let sent = |source: &Source| source.asked().into_iter().map(|a| (a.target, a.headers.contains_key("x-api-key"))).collect::<Vec<_>>();
    let of = |pairs: &[(&str, bool)]| pairs.iter().map(|(t, s)| (t.to_string(), *s)).collect::<Vec<_>>();
    assert_eq!(sent(&source), of(&[("/s", true), ("/u", true), ("/w", false)]));
    assert_eq!(sent(&other), of(&[("/t", false), ("/v", false)]));
    app.finish().await;
}

#[actix_web::test]
async fn a_redirect_to_this_machine_connects_to_nobody() {
    let source = Source::start();
    let inner = TcpListener::bind("127.0.0.1:0").unwrap();
    inner.set_nonblocking(true).unwrap();
    source.answers("/f", status(301, &[("location", &format!("http://{}/", inner.local_addr().unwrap()))]));
    let app = pulling(Engine::Sqlite, &source, feed(&source, "/f")).await;
    app.settle().await;
    assert!(shown(&app).await["last_failure"]["error"].as_str().unwrap().contains("forbidden"));
    assert!(inner.accept().is_err(), "nobody came");
    app.finish().await;
}

#[actix_web::test]
async fn a_host_stands_as_the_operator_sees_it() {
    let source = Source::start();
    source.answers("/a", status(500, &[]));
    source.answers("/b", ok(&[JSON], &body(&records(0..1))));
    let (mut a, mut b) = (feed(&source, "/a"), feed(&source, "/b"));
    (a["name"], b["name"], b["every"]) = (json!("a"), json!("b"), json!("10h"));
    let b: PullConfig = serde_json::from_value(b).unwrap();
    let mut app = pulling(Engine::Sqlite, &source, a).await;
    app.settle().await;
    app.restart_with(|c| {
        c.poll.breaker_failures = 2;
        c.feed.pull.push(b);
    })
    .await;
    let admin = app.admin().await;
    let all = async |app: &App| app.admin().await.get("/v1/feeds").await.expect(200).json["items"].clone();
    let begin = doorstep::domain::time::Moment::parse(all(&app).await[1]["due_at"].as_str().unwrap()).unwrap();
    assert!(begin > app.now(), "feeds that are new together do not begin together");
    app.pass(Duration::from_secs(60));
    app.settle().await;
    assert_eq!(source.asked().len(), 3);
    let pull = async |name: &str| admin.post(&format!("/v1/feeds/{name}/pull"), &json!({})).await.expect(202);
    pull("a").await;
    app.settle().await;
    pull("a").await;
    app.settle().await;
    source.asked();
    let seen = all(&app).await;
    assert_eq!(seen[0]["host"]["breaker"], "open", "{seen}");
    assert!(!seen[0]["host"]["quiet_until"].is_null());
    let metrics = app.anonymous().get("/metrics").await.expect(200).text;
    let told = format!("doorstep_poll_breaker{{host=\"{}\"}} 2", source.address);
    assert!(metrics.contains(&told), "{told}");
    for name in [
        "doorstep_polls_total{feed=\"a\",outcome=\"failed\"}",
        "doorstep_poll_lag_seconds{feed=\"b\"} 0",
        "doorstep_poll_failures{feed=\"a\"}",
    ] {
        assert!(metrics.contains(name), "{name}");
    }
    // The one that tries is told that its page is gone: the host stands all the same.
    source.answers("/a", status(404, &[]));
    app.pass(Duration::from_secs(301));
    pull("a").await;
    app.settle().await;
    pull("b").await;
    app.settle().await;
    assert_eq!(targets(&source), ["/a", "/b"]);
    let seen = all(&app).await;
    assert_eq!(
        (&seen[0]["last_failure"]["error"], &seen[0]["host"]["breaker"], &seen[1]["failures"]),
        (&json!("HTTP 404"), &json!("closed"), &json!(0))
    );
    // Who is asked to come later leaves the whole host alone.
    source.answers("/a", status(503, &[("retry-after", "Mon, 15 Jun 2020 12:00:00 GMT")]));
    pull("a").await;
    app.settle().await;
    pull("b").await;
    app.settle().await;
    assert_eq!(targets(&source), ["/a"]);
    let seen = all(&app).await;
    assert_eq!(
        (&seen[1]["host"]["quiet_until"], &seen[1]["due_at"]),
        (&json!("2020-06-15T20:00:00+08:00"), &json!("2020-06-15T20:00:00+08:00"))
    );
    source.answers("/a", ok(&[JSON], b"[]"));
    app.clock.set(doorstep::domain::time::Moment::parse("2020-06-15T20:00:00+08:00").unwrap());
    app.settle().await;
    assert!(targets(&source).contains(&"/b".to_owned()));
    app.finish().await;
}

#[actix_web::test]
async fn what_the_store_does_not_take_is_told_without_its_words() {
    let source = Source::start();
    source.answers("/f", ok(&[JSON], &body(&records(0..2))));
    let app = pulling(Engine::Sqlite, &source, feed(&source, "/f")).await;
    let poller = app.another_poller().await;
    let store = rusqlite::Connection::open(app.file()).unwrap();
    store.execute_batch("ALTER TABLE waves RENAME TO away; ALTER TABLE postings RENAME TO gone").unwrap();
    assert_eq!(poller.poll_due().await.unwrap(), 1);
    let seen = shown(&app).await;
    assert_eq!((&seen["last_failure"]["error"], &seen["failures"]), (&json!("the store did not take it; the log says why"), &json!(1)));
    store.execute_batch("ALTER TABLE gone RENAME TO postings; ALTER TABLE away RENAME TO waves").unwrap();
    app.pass(Duration::from_secs(60));
    app.settle().await;
    assert_eq!((live(&app).await, &shown(&app).await["failures"]), (2, &json!(0)));
    app.finish().await;
}

#[actix_web::test]
async fn the_next_pull_is_due_at_its_time() {
    let source = Source::start();
    source.answers("/f", ok(&[JSON, ("etag", "\"1\"")], &body(&records(0..2))));
    let app = pulling(Engine::Sqlite, &source, feed(&source, "/f")).await;
    app.settle().await;
    let seen = shown(&app).await;
    let good = &seen["last_good"];
    assert_eq!(
        (&good["status"], &good["etag"], &good["at"], &good["facts"]["received"]),
        (&json!(200), &json!("\"1\""), &json!(app.now()), &json!(2))
    );
    assert_eq!((&seen["auth"], &seen["pulling"]), (&json!("none"), &json!(false)));
    source.asked();
    app.pass(Duration::from_secs(15 * 60 - 1));
    app.settle().await;
    assert!(source.asked().is_empty());
    app.pass(Duration::from_secs(46));
    app.settle().await;
    assert_eq!(source.asked().len(), 1, "at its time, or a twentieth later");
    app.finish().await;
}

#[test]
fn check_names_every_feed_and_all_that_is_wrong_with_it() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("own.toml");
    let run = |text: &str| {
        std::fs::write(&file, text).unwrap();
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_doorstep"));
        let out = command.args(["check", "--config"]).arg(&file).current_dir(folder.path()).output().unwrap();
        String::from_utf8(out.stdout).unwrap()
    };
    let told = run("[[feed]]\nplatform = 'a'\nadapter = 'canonical'\nurl = 'https://example.com/a'\nevery = '15m'\nauth = { kind = 'none' }\n
        [[feed]]\nname = 'b'\nplatform = 'b'\nadapter = 'unheard-of'\nurl = 'https://10.0.0.1/b'\nevery = '1h'\nauth = { kind = 'bearer', env = 'NOT_SET_HERE' }\n");
    for part in [
        "a-canonical: a by canonical every 900s, asked without a secret",
        "no adapter \"unheard-of\"",
        "not public",
        "the environment has no NOT_SET_HERE",
    ] {
        assert!(told.contains(part), "{part}: {told}");
    }
    let told = run("[[feed]]\nplatform = 'a'\nevry = '15m'\n");
    for part in ["adapter: is missing", "url: is missing", "every: is missing", "auth: is missing", "unknown field `evry`"] {
        assert!(told.contains(part), "{part}: {told}");
    }
}
