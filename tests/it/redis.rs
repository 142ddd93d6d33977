//! Limits that nodes share through Redis, and what holds without it.

use crate::harness::backend;
use doorstep::cache::{Limits, Meter};
use doorstep::config::Config;
use std::time::{Duration, Instant};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};

/// Where Redis is, for the tests: `redis://HOST:PORT`.
const REDIS: &str = "DOORSTEP_TEST_REDIS";
/// Redis has 50 ms; the rest is a busy machine's.
const IN_TIME: Duration = Duration::from_millis(250);

fn limits(url: &str, per_second: u32, burst: u32) -> Limits {
    let mut config = Config::defaults();
    config.cache.url = url.to_owned();
    (config.limits.requests, config.limits.requests_burst) = (per_second, burst);
    Limits::new(&config).unwrap()
}

fn fresh_key() -> String {
    uuid::Uuid::new_v4().to_string()
}

#[actix_web::test]
async fn two_nodes_share_one_quota() {
    let Some(url) = backend(REDIS) else { return };
    const PER_SECOND: u32 = 200;
    const BURST: u32 = 100;
    let nodes = [limits(&url, PER_SECOND, BURST), limits(&url, PER_SECOND, BURST)];
    for node in &nodes {
        assert_eq!(node.ping().await, Some(Ok(())));
        node.take(Meter::Requests, &fresh_key(), 1).await;
    }
    let mut told = Vec::new();
    // A machine that holds Redis up for 50 ms makes each node count by itself for a
    // second, as it should: then another round is looked at.
    for _ in 0..5 {
        let key = fresh_key();
        let began = Instant::now();
        let ask = async |node: &Limits| {
            let mut allowed = 0;
            while began.elapsed() < Duration::from_secs(2) {
                allowed += u32::from(node.take(Meter::Requests, &key, 1).await.allowed);
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            allowed
        };
        let (one, two) = tokio::join!(ask(&nodes[0]), ask(&nodes[1]));
        let wanted = f64::from(BURST) + f64::from(PER_SECOND) * began.elapsed().as_secs_f64();
        let off = (f64::from(one + two) - wanted).abs() / wanted;
        if off < 0.1 && one > 50 && two > 50 {
            return;
        }
        told.push(format!("{one} and {two} were allowed where {wanted:.0} should be"));
    }
    panic!("{}", told.join("; "));
}

#[actix_web::test]
async fn what_one_node_used_up_the_other_refuses() {
    let Some(url) = backend(REDIS) else { return };
    let (one, two) = (limits(&url, 1, 10), limits(&url, 1, 10));
    let key = fresh_key();
    let first = one.take(Meter::Requests, &key, 7).await;
    assert_eq!((first.allowed, first.remaining), (true, 3));
    let second = two.take(Meter::Requests, &key, 7).await;
    assert!(!second.allowed);
    assert!((Duration::from_secs(3)..=Duration::from_secs(4)).contains(&second.retry_after), "{:?}", second.retry_after);
    assert!(two.take(Meter::Requests, &key, 3).await.allowed, "a refusal costs nothing");
    assert!(two.take(Meter::Requests, &key, 11).await.never);
}

/// The verdicts for a burst of 3: three pass and the fourth waits, each in time.
async fn the_own_quota_holds(limits: &Limits) {
    let key = fresh_key();
    for allowed in [true, true, true, false] {
        let began = Instant::now();
        assert_eq!(limits.take(Meter::Requests, &key, 1).await.allowed, allowed);
        assert!(began.elapsed() < IN_TIME, "{:?}", began.elapsed());
    }
}

#[actix_web::test]
async fn without_redis_each_nodes_own_quota_holds() {
    // Nobody listens there.
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    the_own_quota_holds(&limits(&format!("redis://{free}"), 1, 3)).await;
    // Somebody listens and says nothing.
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let limits = limits(&format!("redis://{}", silent.local_addr().unwrap()), 1, 3);
    the_own_quota_holds(&limits).await;
    assert!(matches!(limits.ping().await, Some(Err(_))));
}

#[actix_web::test]
async fn a_redis_that_goes_away_is_passed_over() {
    let Some(url) = backend(REDIS) else { return };
    let redis = url.trim_start_matches("redis://").split('/').next().unwrap().to_owned();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let between = listener.local_addr().unwrap();
    let relay = tokio::spawn(async move {
        let mut open = tokio::task::JoinSet::new();
        while let Ok((mut inner, _)) = listener.accept().await {
            let mut outer = TcpStream::connect(&redis).await.unwrap();
            open.spawn(async move { copy_bidirectional(&mut inner, &mut outer).await.map(|_| ()) });
        }
    });
    let limits = limits(&format!("redis://{between}"), 1, 3);
    assert_eq!(limits.ping().await, Some(Ok(())));
    let key = fresh_key();
    assert_eq!(limits.take(Meter::Requests, &key, 1).await.remaining, 2);
    relay.abort();
    assert!(relay.await.unwrap_err().is_cancelled());
    the_own_quota_holds(&limits).await;
}
