//! What is due to endpoints.

use super::*;
use crate::harness::{a_posting, on_every_engine};
use doorstep::domain::id::EndpointId;
use doorstep::store::endpoints::{Attempted, Due, Next};
use doorstep::store::once::Reserved;

on_every_engine![
    an_event_is_due_to_those_who_asked_for_its_type,
    a_late_sender_changes_nothing,
    what_is_due_to_a_disabled_endpoint_is_not_sent,
    a_disabled_endpoint_stays_so_whatever_is_in_flight,
    a_rotated_secret_signs_for_a_day_beside_the_new_one,
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

async fn due(b: &Bench, now: Moment) -> Vec<Due> {
    b.store.take_due(100, LEASE, now).await.unwrap()
}

fn outcome(d: &Due, next: Next, status: u16) -> Attempted {
    Attempted { endpoint: d.endpoint, event: d.event.id, fence: d.fence, at: noon(), status: Some(status), error: None, next }
}

async fn an_event_is_due_to_those_who_asked_for_its_type(engine: Engine) {
    let b = bench(engine).await;
    let (all, closed) = (endpoint(&b, &[]).await, endpoint(&b, &["posting.closed", "hire.ended"]).await);
    endpoint(&b, &["offer.accepted"]).await;
    something_happens(&b).await;
    let mut to: Vec<EndpointId> = due(&b, noon()).await.iter().map(|d| d.endpoint).collect();
    to.sort();
    assert_eq!(to, [all, closed]);
    assert!(due(&b, noon()).await.is_empty(), "each is taken once");
    assert_eq!(due(&b, noon().plus(LEASE)).await.len(), 2, "until its lease runs out");
}

async fn a_late_sender_changes_nothing(engine: Engine) {
    let b = bench(engine).await;
    let id = endpoint(&b, &[]).await;
    something_happens(&b).await;
    let first = due(&b, noon()).await.remove(0);
    let second = due(&b, noon().plus(LEASE)).await.remove(0);
    assert!(second.fence > first.fence);
    b.store.attempted(outcome(&second, Next::Delivered, 200)).await.unwrap();
    b.store.attempted(outcome(&first, Next::Disable, 410)).await.unwrap();
    let found = b.store.endpoint(PLATFORM.to_owned(), id).await.unwrap().unwrap();
    assert!(found.enabled, "what a late sender heard disables nothing");
    let (counts, next) = b.store.delivery_counts().await.unwrap();
    assert_eq!((counts, next), (vec![("done".to_owned(), 1)], None));
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
    b.store.attempted(outcome(&both[0], Next::Disable, 410)).await.unwrap();
    b.store.attempted(outcome(&both[1], Next::RetryAt(noon().plus(HOUR)), 500)).await.unwrap();
    assert!(!b.store.endpoint(PLATFORM.to_owned(), id).await.unwrap().unwrap().enabled);
    assert!(due(&b, noon().plus(HOUR * 24)).await.is_empty());
    assert_eq!(b.event_types().await, ["posting.closed", "posting.closed", "endpoint.disabled"]);
}

async fn a_rotated_secret_signs_for_a_day_beside_the_new_one(engine: Engine) {
    let b = bench(engine).await;
    let id = endpoint(&b, &[]).await;
    something_happens(&b).await;
    let old = due(&b, noon()).await.remove(0).secrets;
    assert_eq!(old.len(), 1);
    b.store.rotate_secret(PLATFORM.to_owned(), id, noon()).await.unwrap().unwrap();
    let both = due(&b, noon().plus(LEASE)).await.remove(0).secrets;
    assert_eq!((both.len(), &both[1]), (2, &old[0]));
    let later = due(&b, noon().plus(HOUR * 24)).await.remove(0).secrets;
    assert_eq!(later, both[..1]);
    assert!(b.store.rotate_secret("another".to_owned(), id, noon()).await.unwrap().is_none());
}

async fn a_replay_makes_events_due_again(engine: Engine) {
    let b = bench(engine).await;
    something_happens(&b).await;
    let id = endpoint(&b, &[]).await;
    assert!(due(&b, noon()).await.is_empty(), "it came after the event");
    let event = b.events().await[0].id;
    assert_eq!(b.store.replay(id, PLATFORM.to_owned(), Some(event), None, noon()).await.unwrap(), 1);
    let sent = due(&b, noon()).await.remove(0);
    b.store.attempted(outcome(&sent, Next::Delivered, 200)).await.unwrap();
    assert_eq!(b.store.replay(id, PLATFORM.to_owned(), None, Some(noon()), noon()).await.unwrap(), 1);
    assert_eq!(due(&b, noon()).await.len(), 1);
    assert_eq!(b.store.replay(id, PLATFORM.to_owned(), None, Some(noon().plus(HOUR)), noon()).await.unwrap(), 0);
}
