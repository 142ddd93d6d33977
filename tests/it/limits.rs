//! Limits of requests, records and bytes.

use crate::harness::*;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use std::io::Write;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const POSTING: &str = r#"[{"source_id":"z-1","title":"外卖骑手","job_location":{"region":"330212"},"date_posted":"2020-06-01","valid_through":"2020-12-31"}]"#;
/// The same under br-1, compressed with Brotli.
const BROTLI: &str = "G4cAACwK7GZiQVqYmeklW/4ia5upX3+4vwdbMTyIBpfaGAsrhrS02g1LkT3zZOnqC516k9PJkR6MDt8u5zAgKsC2wENWEuZUjb7n7NCag/wT9rv2vf7v+bxwaMnQSMMMEZQLA6EEOowOomgsRgcHOzfRAJdFDg==";
/// 60 million zero bytes, compressed with Brotli.
const BROTLI_BOMB: &str = "y///P/gnAOKxQCD3/o///3/wTwDEYRGA7v0f////4J8AiMMCAN37P/7//8E/ARCHBQC693/8//+DfwIgDgsAdO//+P//B/8EQBwWAOje//H//w/+CYA4LADQvf/Lf8MJ/BMAcVgAoOs3AQ==";

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

async fn push_encoded(platform: &Platform<'_>, encoding: &str, body: Vec<u8>) -> Called {
    let request = platform.caller.request("POST", "/v1/postings").header("content-type", "application/json");
    platform.caller.send(request.header("content-encoding", encoding).body(body)).await
}

#[actix_web::test]
async fn too_many_requests_are_told_when_to_come_again() {
    let app = spawn_with(Engine::Sqlite, |c| (c.limits.requests, c.limits.requests_burst) = (1, 5)).await;
    let (platform, other) = (app.platform("example").await, app.platform("other").await);
    for left in (0..5).rev() {
        let called = platform.caller.get("/v1/postings").await.expect(200);
        assert_eq!(called.header("ratelimit-policy"), "\"requests\";q=5;w=5");
        assert!(called.header("ratelimit").starts_with(&format!("\"requests\";r={left};t=")), "{}", called.header("ratelimit"));
    }
    let over = platform.caller.get("/v1/postings").await.expect_problem(429, "rate_limited");
    assert!((1..=5).contains(&over.header("retry-after").parse::<u64>().unwrap()));
    assert!(over.header("ratelimit").starts_with("\"requests\";r=0;t="));
    other.caller.get("/v1/postings").await.expect(200);
    app.finish().await;
}

#[actix_web::test]
async fn requests_without_a_token_are_limited_by_address() {
    let app = spawn_with(Engine::Sqlite, |c| (c.limits.anonymous, c.limits.anonymous_burst) = (1, 3)).await;
    let statuses = [(); 5].map(|_| app.anonymous());
    let mut seen = Vec::new();
    for caller in statuses {
        seen.push(caller.get("/v1/postings").await.status);
    }
    assert_eq!(seen, [401, 401, 401, 429, 429]);
    app.anonymous().get("/healthz").await.expect(200);
    app.finish().await;
}

#[actix_web::test]
async fn a_batch_is_billed_by_its_records_and_never_larger_than_the_burst() {
    let app = spawn_with(Engine::Sqlite, |c| (c.limits.records, c.limits.records_burst) = (1, 10)).await;
    let platform = app.platform("example").await;
    let batch = |n: usize| json!((0..n).map(|n| a_posting().source_id(&format!("L-{n}")).json()).collect::<Vec<_>>());
    platform.caller.post("/v1/postings", &batch(11)).await.expect_problem(413, "batch_too_large");
    let taken = platform.caller.post("/v1/postings", &batch(8)).await.expect(200);
    assert_eq!(taken.header("ratelimit-policy"), "\"records\";q=10;w=10");
    let over = platform.caller.post_once("/v1/postings", "k", &batch(8)).await.expect_problem(429, "rate_limited");
    assert!(over.header("retry-after").parse::<u64>().unwrap() >= 1);
    // What was refused gave its key back, and a replay costs no records.
    let one = batch(1);
    let small = platform.caller.post_once("/v1/postings", "small", &one).await.expect(200).json;
    for _ in 0..5 {
        assert_eq!(platform.caller.post_once("/v1/postings", "small", &one).await.expect(200).json, small);
    }
    app.settle().await;
    app.finish().await;
}

#[actix_web::test]
async fn a_body_may_come_compressed() {
    let app = spawn().await;
    let platform = app.platform("example").await;
    let zstd = zstd::encode_all(POSTING.as_bytes(), 3).unwrap();
    let bodies =
        [("gzip", gzip(POSTING.as_bytes()), "created"), ("zstd", zstd, "unchanged"), ("br", STANDARD.decode(BROTLI).unwrap(), "created")];
    for (encoding, body, outcome) in bodies {
        let answer = push_encoded(&platform, encoding, body).await.expect(200).json;
        assert_eq!(answer[outcome], 1, "{encoding}: {answer}");
    }
    push_encoded(&platform, "gzip", POSTING.into()).await.expect_problem(400, "encoding_invalid");
    push_encoded(&platform, "deflate", POSTING.into()).await.expect_problem(415, "unsupported_encoding");
    push_encoded(&platform, "gzip, br", POSTING.into()).await.expect_problem(415, "unsupported_encoding");
    app.settle().await;
    app.finish().await;
}

#[actix_web::test]
async fn a_body_is_measured_while_it_is_inflated() {
    let app = spawn_with(Engine::Sqlite, |c| c.http.max_body = 1_000_000).await;
    let platform = app.platform("example").await;
    let zeros = vec![0; 60_000_000];
    let bombs = [("gzip", gzip(&zeros)), ("zstd", zstd::encode_all(&zeros[..], 3).unwrap()), ("br", STANDARD.decode(BROTLI_BOMB).unwrap())];
    for (encoding, bomb) in bombs {
        assert!(bomb.len() < 100_000, "{encoding}: a bomb is small");
        push_encoded(&platform, encoding, bomb).await.expect_problem(413, "body_too_large");
    }
    platform.push(vec![b' '; 1_000_001], "application/json").await.expect_problem(413, "body_too_large");
    assert_eq!(platform.caller.get("/v1/postings").await.expect(200).json["total"], 0);
    app.anonymous()
        .send(app.anonymous().request("POST", "/oauth/token").body(vec![b'a'; 1_000_001]))
        .await
        .expect_problem(413, "body_too_large");
    app.finish().await;
}

#[actix_web::test]
async fn a_body_that_does_not_arrive_is_not_waited_for() {
    let app = spawn_with(Engine::Sqlite, |c| c.http.body_timeout = Duration::from_millis(200)).await;
    let platform = app.platform("example").await;
    let address = app.state().public_url.trim_start_matches("http://").to_owned();
    let mut stream = tokio::net::TcpStream::connect(&address).await.unwrap();
    let head = format!(
        "POST /v1/postings HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer {}\r\ncontent-type: application/json\r\ncontent-length: 1000\r\n\r\n[",
        platform.caller.token.as_deref().unwrap()
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = vec![0; 4096];
    let read = tokio::time::timeout(Duration::from_secs(10), stream.read(&mut answer)).await.expect("an answer in time").unwrap();
    let answer = String::from_utf8_lossy(&answer[..read]);
    assert!(answer.starts_with("HTTP/1.1 408") && answer.contains("request_timeout"), "{answer}");
    app.finish().await;
}

#[actix_web::test]
async fn every_refusal_is_a_problem_detail() {
    let app = spawn().await;
    let (anonymous, platform) = (app.anonymous(), app.platform("example").await.caller);
    for path in ["/nothing", "/v1/nothing", "/v1", "/v1/postings/a/b/c", "/%2e%2e/etc/passwd", "/v1/postings/%FF"] {
        let called = platform.get(path).await;
        assert_eq!((called.status, called.code()), (404, "not_found"), "{path}: {}", called.text);
    }
    for (method, path) in [("PUT", "/v1/postings"), ("PATCH", "/healthz"), ("DELETE", "/v1/events"), ("POST", "/v1/me")] {
        let called = platform.send(platform.request(method, path)).await;
        assert!(matches!(called.status, 404 | 405), "{method} {path}: {}", called.status);
        assert_eq!(called.header("content-type"), "application/problem+json", "{method} {path}");
    }
    for query in ["limit=0", "limit=201", "limit=-1", "limit=x", "cursor=x", "status=x"] {
        let called = platform.get(&format!("/v1/postings?{query}")).await;
        assert_eq!(called.status, 422, "{query}: {}", called.text);
        assert!(called.json["errors"][0]["pointer"].is_string(), "{query}: {}", called.text);
    }
    platform.post_bytes("/v1/hires", "application/json", "{\"offer\":").await.expect_problem(400, "json_invalid");
    platform.post_bytes("/v1/hires", "text/plain", "{}").await.expect_problem(415, "unsupported_media_type");
    platform.post_bytes("/v1/hires", "application/json", "\"HIRED\"").await.expect_problem(422, "invalid");
    anonymous.get("/healthz").await.expect(200);
    anonymous.get("/readyz").await.expect(200);
    assert!(anonymous.get("/metrics").await.expect(200).text.contains("doorstep_http_requests_total"));
    anonymous.get("/docs/").await.expect(200);
    let kept = anonymous.send(anonymous.request("GET", "/healthz").header("x-request-id", "my-own.id_1")).await;
    assert_eq!(kept.header("x-request-id"), "my-own.id_1");
    let replaced = anonymous.send(anonymous.request("GET", "/healthz").header("x-request-id", "with space")).await;
    assert_ne!(replaced.header("x-request-id"), "with space");
    for called in [kept, platform.get("/nothing").await] {
        let headers = ["x-content-type-options", "referrer-policy", "x-frame-options"];
        assert!(headers.iter().all(|h| !called.header(h).is_empty()));
    }
    let nothing: Value = Value::Null;
    assert_eq!(anonymous.get("/healthz").await.json["error"], nothing);
    app.finish().await;
}

#[actix_web::test]
async fn a_wrong_method_names_the_right_ones_and_a_list_is_no_object() {
    let app = spawn().await;
    let called = app.anonymous().send(app.anonymous().request("PUT", "/v1/postings")).await.expect_problem(405, "method_not_allowed");
    assert_eq!(called.header("allow"), "GET, POST");
    let worker = app.worker(in_region("522624")).await;
    worker.caller.patch("/v1/me/preferences", &json!([])).await.expect_problem(422, "invalid");
    app.settle().await;
    app.finish().await;
}

#[actix_web::test]
async fn a_page_that_is_full_at_the_end_has_no_next_one() {
    let app = spawn().await;
    let platform = app.platform("example").await;
    for _ in 0..2 {
        platform.publish(a_posting()).await;
    }
    let page = async |query: &str| platform.caller.get(&format!("/v1/postings?{query}")).await.expect(200).json;
    assert!(page("limit=2").await["next"].is_null());
    let first = page("limit=1").await;
    let second = page(&format!("limit=1&cursor={}", first["next"].as_str().unwrap())).await;
    assert_eq!((first["total"].as_i64(), second["next"].is_null()), (Some(2), true));
    assert_ne!(first["items"][0]["id"], second["items"][0]["id"]);
    app.settle().await;
    app.finish().await;
}
