//! Idempotency keys.

use super::*;
use crate::harness::on_every_engine;
use doorstep::store::once::{Advance, Answer, KEPT, Once, Reserved};
use serde_json::json;
use uuid::Uuid;

on_every_engine![
    the_same_key_and_body_answer_the_same,
    another_body_under_a_key_is_refused,
    a_key_in_flight_is_told_and_its_lease_runs_out,
    an_interrupted_batch_goes_on_where_it_stopped,
    a_key_is_its_clients_own_and_forgotten_after_its_time,
];

fn key(b: &Bench, client: u128, body: &str) -> Once {
    Once { client: Uuid::from_u128(client), key: "k-1".to_owned(), body_mac: b.store.body_mac(&[body.as_bytes()]) }
}

fn answer() -> Answer {
    Answer { status: 200, body: json!({"created": 3, "secret": "canary-once"}) }
}

async fn the_same_key_and_body_answer_the_same(engine: Engine) {
    let b = bench(engine).await;
    assert!(matches!(b.store.reserve(key(&b, 1, "a"), noon()).await.unwrap(), Reserved::Go { progress: None }));
    b.store.finish(key(&b, 1, "a"), answer()).await.unwrap();
    let again = b.store.reserve(key(&b, 1, "a"), noon().plus(HOUR)).await.unwrap();
    assert!(matches!(again, Reserved::Done(a) if a == answer()));
}

async fn another_body_under_a_key_is_refused(engine: Engine) {
    let b = bench(engine).await;
    b.store.reserve(key(&b, 1, "a"), noon()).await.unwrap();
    assert!(matches!(b.store.reserve(key(&b, 1, "b"), noon()).await.unwrap(), Reserved::Reused));
    b.store.finish(key(&b, 1, "a"), answer()).await.unwrap();
    assert!(matches!(b.store.reserve(key(&b, 1, "b"), noon()).await.unwrap(), Reserved::Reused));
    // Parts are told apart by their lengths, not run together.
    assert_ne!(b.store.body_mac(&[b"ab", b"c"]), b.store.body_mac(&[b"a", b"bc"]));
}

async fn a_key_in_flight_is_told_and_its_lease_runs_out(engine: Engine) {
    let b = bench(engine).await;
    b.store.reserve(key(&b, 1, "a"), noon()).await.unwrap();
    assert!(matches!(b.store.reserve(key(&b, 1, "a"), noon()).await.unwrap(), Reserved::InFlight));
    let later = noon().plus(Duration::from_secs(60));
    assert!(matches!(b.store.reserve(key(&b, 1, "a"), later).await.unwrap(), Reserved::Go { progress: None }));
    assert!(matches!(b.store.reserve(key(&b, 1, "a"), later).await.unwrap(), Reserved::InFlight));
    b.store.release(key(&b, 1, "a")).await.unwrap();
    assert!(matches!(b.store.reserve(key(&b, 1, "a"), later).await.unwrap(), Reserved::Go { .. }), "given back at once");
}

async fn an_interrupted_batch_goes_on_where_it_stopped(engine: Engine) {
    let b = bench(engine).await;
    b.store.reserve(key(&b, 1, "a"), noon()).await.unwrap();
    let advance = Advance::new(key(&b, 1, "a"), |tally: &Tally| json!({"done": tally.created}));
    b.store.upsert_postings(b.slice(&[crate::harness::a_posting()]), Some(advance), noon()).await.unwrap().unwrap();
    let later = noon().plus(Duration::from_secs(60));
    match b.store.reserve(key(&b, 1, "a"), later).await.unwrap() {
        Reserved::Go { progress: Some(progress) } => assert_eq!(progress, json!({"done": 1})),
        other => panic!("{other:?}"),
    }
}

async fn a_key_is_its_clients_own_and_forgotten_after_its_time(engine: Engine) {
    let b = bench(engine).await;
    b.store.reserve(key(&b, 1, "a"), noon()).await.unwrap();
    b.store.finish(key(&b, 1, "a"), answer()).await.unwrap();
    assert!(matches!(b.store.reserve(key(&b, 2, "a"), noon()).await.unwrap(), Reserved::Go { .. }), "another client's key is another key");
    assert_eq!(b.store.forget_answers(noon().plus(KEPT)).await.unwrap(), 0);
    assert_eq!(b.store.forget_answers(noon().plus(KEPT + HOUR)).await.unwrap(), 2);
    assert!(matches!(b.store.reserve(key(&b, 1, "b"), noon()).await.unwrap(), Reserved::Go { .. }));
}
