//! What is due to endpoints.

use super::*;
use crate::harness::{a_posting, on_every_engine};
use doorstep::domain::id::{EndpointId, EventId};
use doorstep::store::deliveries::{Attempted, Due, Next, Want};
use doorstep::store::endpoints::Address;
use doorstep::store::log::Event;
use doorstep::store::once::Reserved;

on_every_engine![
    a_long_backlog_stands_before_nobody_else,
    a_success_ends_a_row_of_failures,
    an_event_is_due_to_those_who_asked_for_its_type,
    a_late_sender_changes_nothing,
    what_is_due_to_a_disabled_endpoint_is_not_sent,
    a_disabled_endpoint_stays_so_whatever_is_in_flight,
    a_rotated_secret_and_key_sign_for_a_day_beside_the_new_ones,
    a_replay_makes_events_due_again,
];

const LEASE: Duration = Duration::from_secs(60);

async fn endpoint(b: &Bench, types: &[&str]) -> EndpointId {
    let types = types.iter().map(|t| t.to_string()).collect();
    let made = b.store.add_endpoint(PLATFORM.to_owned(), "https://example.com/".to_owned(), types, None, noon()).await.unwrap();
    let Reserved::Done(answer) = made else { panic!("no endpoint") };
    EndpointId::parse(answer.body["id"].as_str().unwrap()).unwrap()
}

/// Closes a fresh posting, which is an event.
async fn something_happens(b: &Bench) {
    let id = b.post(a_posting()).await;
    b.store.close_posting(PLATFORM.to_owned(), id, PROMOTED, noon()).await.unwrap();
}

/// Takes what is due, at most so many for each endpoint.
pub(super) async fn take(b: &Bench, most: i64, now: Moment) -> Vec<Due> {
    let seen = b.store.waiting().await.unwrap();
    let due = seen.iter().filter(|w| w.next.is_some_and(|next| next <= now));
    let wants = due.map(|w| Want { endpoint: w.endpoint, version: w.version, most }).collect();
    b.store.take_due(wants, LEASE, now).await.unwrap()
}

async fn due(b: &Bench, now: Moment) -> Vec<Due> {
    take(b, 100, now).await
}

async fn address(b: &Bench, id: EndpointId) -> Address {
    b.store.addresses(vec![id]).await.unwrap().remove(0)
}

fn outcome_at(d: &Due, next: Next, status: u16, at: Moment) -> Attempted {
    Attempted { lease: d.lease, at, status: Some(status), error: None, next }
}

fn outcome(d: &Due, next: Next, status: u16) -> Attempted {
    outcome_at(d, next, status, noon())
}

async fn attempted(b: &Bench, all: Vec<Attempted>) {
    b.store.attempted(Arc::new(all), Arc::default(), HOUR * 120, noon()).await.unwrap();
}

pub(super) async fn received(b: &Bench, all: &[Due]) {
    attempted(b, all.iter().map(|d| outcome(d, Next::Delivered, 200)).collect()).await;
}

async fn an_event_is_due_to_those_who_asked_for_its_type(engine: Engine) {
    let b = bench(engine).await;
    let (all, closed) = (endpoint(&b, &[]).await, endpoint(&b, &["posting.closed", "hire.ended"]).await);
    endpoint(&b, &["offer.accepted"]).await;
    something_happens(&b).await;
    let mut to: Vec<EndpointId> = due(&b, noon()).await.iter().map(|d| d.lease.endpoint).collect();
    to.sort();
    let mut asked = [all, closed];
    asked.sort();
    assert_eq!(to, asked);
    assert!(due(&b, noon()).await.is_empty(), "each is taken once");
    assert_eq!(due(&b, noon().plus(LEASE)).await.len(), 2, "until its lease runs out");
}

async fn a_late_sender_changes_nothing(engine: Engine) {
    let b = bench(engine).await;
    let id = endpoint(&b, &[]).await;
    something_happens(&b).await;
    let first = due(&b, noon()).await.remove(0);
    let second = due(&b, noon().plus(LEASE)).await.remove(0);
    assert!(second.lease.fence > first.lease.fence);
    attempted(&b, vec![outcome(&second, Next::Delivered, 200)]).await;
    attempted(&b, vec![outcome(&first, Next::Gone, 410)]).await;
    let found = b.store.endpoint(PLATFORM.to_owned(), id).await.unwrap().unwrap();
    assert!(found.enabled, "what a late sender heard disables nothing");
    let (counts, next) = b.store.delivery_counts().await.unwrap();
    assert_eq!((counts, next), (vec![("dead", 0), ("due", 0)], None));
    assert_eq!(b.store.attempts(id, 0, 10).await.unwrap().1, 2, "it is listed all the same");
    assert_eq!(b.event_types().await, ["posting.closed"]);
}

async fn what_is_due_to_a_disabled_endpoint_is_not_sent(engine: Engine) {
    let b = bench(engine).await;
    let id = endpoint(&b, &[]).await;
    something_happens(&b).await;
    assert!(b.store.change_endpoint(PLATFORM.to_owned(), id, None, None, Some(false)).await.unwrap());
    something_happens(&b).await;
    assert!(due(&b, noon()).await.is_empty());
    assert!(b.store.delivery_counts().await.unwrap().1.is_none_or(|next| next > noon()), "nothing stays due for ever");
    assert!(b.store.change_endpoint(PLATFORM.to_owned(), id, None, None, Some(true)).await.unwrap());
    something_happens(&b).await;
    assert!(!due(&b, noon().plus(LEASE)).await.is_empty());
}

async fn a_disabled_endpoint_stays_so_whatever_is_in_flight(engine: Engine) {
    let b = bench(engine).await;
    let id = endpoint(&b, &["posting.closed"]).await;
    something_happens(&b).await;
    something_happens(&b).await;
    let both = due(&b, noon()).await;
    attempted(&b, vec![outcome(&both[0], Next::Gone, 410)]).await;
    attempted(&b, vec![outcome(&both[1], Next::RetryAt(noon().plus(HOUR)), 500)]).await;
    assert!(!b.store.endpoint(PLATFORM.to_owned(), id).await.unwrap().unwrap().enabled);
    assert!(due(&b, noon().plus(HOUR * 24)).await.is_empty());
    assert_eq!(b.event_types().await, ["posting.closed", "posting.closed", "endpoint.disabled"]);
}

async fn a_rotated_secret_and_key_sign_for_a_day_beside_the_new_ones(engine: Engine) {
    let b = bench(engine).await;
    let id = endpoint(&b, &[]).await;
    let old = address(&b, id).await;
    let public = b.store.endpoint(PLATFORM.to_owned(), id).await.unwrap().unwrap().public_key;
    assert_eq!((old.signing.len(), old.signing[0].until), (1, None));
    b.store.rotate_secret(PLATFORM.to_owned(), id, noon()).await.unwrap().unwrap();
    let both = address(&b, id).await;
    assert!(both.version > old.version, "who knows the old ones is told");
    assert_eq!((both.signing.len(), both.signing[0].until, both.signing[1].until), (2, None, Some(noon().plus(HOUR * 24))));
    assert_eq!(both.signing[1].secret, old.signing[0].secret);
    assert_eq!(both.signing[1].seed, old.signing[0].seed);
    assert!(both.signing[0].secret != old.signing[0].secret && both.signing[0].seed != old.signing[0].seed);
    assert_ne!(b.store.endpoint(PLATFORM.to_owned(), id).await.unwrap().unwrap().public_key, public);
    assert!(b.store.rotate_secret("another".to_owned(), id, noon()).await.unwrap().is_none());
}

async fn a_replay_makes_events_due_again(engine: Engine) {
    let b = bench(engine).await;
    something_happens(&b).await;
    let id = endpoint(&b, &[]).await;
    assert!(due(&b, noon()).await.is_empty(), "it came after the event");
    let event = b.events().await[0].id;
    assert!(b.store.replay_event(id, PLATFORM.to_owned(), event, noon()).await.unwrap());
    assert!(!b.store.replay_event(id, "another".to_owned(), event, noon()).await.unwrap());
    let sent = due(&b, noon()).await.remove(0);
    attempted(&b, vec![outcome(&sent, Next::Delivered, 200)]).await;
    let all = b.store.replay_since(id, PLATFORM.to_owned(), noon(), noon()).await.unwrap();
    assert_eq!((all.replayed, all.done_at), (1, Some(noon())));
    assert_eq!(due(&b, noon()).await.len(), 1);
    let none = b.store.replay_since(id, PLATFORM.to_owned(), noon().plus(HOUR), noon().plus(LEASE)).await.unwrap();
    assert_eq!((none.replayed, none.done_at), (0, Some(noon().plus(LEASE))));
    assert_eq!(b.store.replays(id).await.unwrap(), [none, all]);
}

async fn a_long_backlog_stands_before_nobody_else(engine: Engine) {
    let b = bench(engine).await;
    endpoint(&b, &["hire.tagged"]).await;
    let event = |kind: &'static str| {
        let id = EventId::new(b.store.fresh_id(noon()));
        Event { id, platform: PLATFORM.to_owned(), kind, at: noon(), posting: None, data: serde_json::Value::Null }
    };
    b.store.announce((0..3_000).map(|_| event("hire.tagged")).collect()).await.unwrap();
    let late = endpoint(&b, &["hire.ended"]).await;
    b.store.announce(vec![event("hire.ended")]).await.unwrap();
    let taken = take(&b, 8, noon()).await;
    assert_eq!(taken.iter().filter(|d| d.lease.endpoint == late).count(), 1);
    assert_eq!(taken.len(), 9, "so many of the long one, and no more");
}

async fn a_success_ends_a_row_of_failures(engine: Engine) {
    let b = bench(engine).await;
    let id = endpoint(&b, &["posting.closed"]).await;
    for _ in 0..4 {
        something_happens(&b).await;
    }
    let all = due(&b, noon()).await;
    let retry = |d: &Due, at: Moment| outcome_at(d, Next::RetryAt(at.plus(HOUR)), 500, at);
    attempted(&b, vec![retry(&all[0], noon())]).await;
    let since = b.store.endpoint(PLATFORM.to_owned(), id).await.unwrap().unwrap().failing_since;
    assert_eq!(since, Some(noon()));
    let late = noon().plus(HOUR * 121);
    attempted(&b, vec![retry(&all[1], late), outcome_at(&all[2], Next::Delivered, 200, late)]).await;
    let found = b.store.endpoint(PLATFORM.to_owned(), id).await.unwrap().unwrap();
    assert!(found.enabled && found.failing_since.is_none(), "one that receives is not disabled");
    attempted(&b, vec![retry(&all[3], late)]).await;
    assert!(b.store.endpoint(PLATFORM.to_owned(), id).await.unwrap().unwrap().enabled, "its failures count from now on");
}
