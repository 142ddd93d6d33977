use super::*;
use crate::domain::id::EventId;
use crate::store::endpoints::Signing;
use crate::store::log::Listed;
use serde_json::Value;
use uuid::Uuid;

const TERMS: Terms =
    Terms { parallel: 20, per_endpoint: 4, breaker_failures: 3, breaker_pause: Duration::from_secs(5), timeout: Duration::from_secs(15) };

fn now() -> Moment {
    Moment::from_ms(1_000_000)
}

fn endpoint(n: u128) -> EndpointId {
    EndpointId::new(Uuid::from_u128(n))
}

fn seen(endpoints: &[u128]) -> Vec<Waiting> {
    endpoints.iter().map(|n| Waiting { endpoint: endpoint(*n), version: 1, next: Some(now()) }).collect()
}

/// A store with endless backlogs, which gives what is wanted.
struct Backlog {
    lanes: Lanes,
    made: u128,
}

impl Backlog {
    fn new() -> Self {
        Self { lanes: Lanes::new(TERMS), made: 0 }
    }

    fn due(&mut self, endpoint: EndpointId, until: Moment) -> Due {
        self.made += 1;
        let lease = Lease { endpoint, event: EventId::new(Uuid::from_u128(self.made)), fence: 1, until };
        let event = Listed { seq: self.made as i64, id: lease.event, kind: "hire.tagged".to_owned(), at: now(), data: Value::Null };
        Due { lease, event, tries: 0 }
    }

    /// Looks and takes once; how many were taken for each.
    fn take(&mut self, endpoints: &[u128], at: Moment) -> Vec<i64> {
        let (wants, unknown) = self.lanes.plan(&seen(endpoints), at);
        let signing = || vec![Signing { secret: vec![1], seed: None, until: None }];
        let address = |id: &EndpointId| Address { id: *id, version: 1, url: String::new(), signing: signing() };
        let addresses = unknown.iter().map(address).collect();
        let mut taken = Vec::new();
        for want in &wants {
            for _ in 0..want.most {
                taken.push(self.due(want.endpoint, at.plus(Duration::from_secs(60))));
            }
        }
        self.lanes.take_in(&wants, addresses, taken);
        wants.iter().map(|want| want.most).collect()
    }

    /// Sends as much as may be sent; to whom.
    fn send(&mut self, at: Moment) -> Vec<EndpointId> {
        std::iter::from_fn(|| self.lanes.next(at)).map(|turn| turn.due.lease.endpoint).collect()
    }
}

#[test]
fn each_endpoint_has_its_share_and_they_take_turns() {
    let mut b = Backlog::new();
    assert_eq!(b.take(&[1, 2], now()), [16, 16], "several for each that is in flight");
    let sent = b.send(now());
    assert_eq!(sent, [1, 2, 1, 2, 1, 2, 1, 2].map(endpoint));
    b.lanes.ended(endpoint(1), Heard::Received, now());
    assert_eq!(b.send(now()), [endpoint(1)]);
    assert!(b.take(&[1, 2], now()).is_empty(), "what was taken is enough for now");
    for _ in 0..8 {
        b.lanes.ended(endpoint(1), Heard::Received, now());
        b.send(now());
    }
    assert!(b.lanes.wants_more(now()));
    assert_eq!(b.take(&[1, 2], now()), [9], "half empty, it is filled up");
    assert!(b.lanes.plan(&[], now()).0.is_empty());
    assert!(!b.lanes.wants_more(now()), "nothing is known to be due any more");
}

#[test]
fn what_all_may_hold_is_shared_evenly() {
    let mut b = Backlog::new();
    let all: Vec<u128> = (1..=40).collect();
    assert_eq!(b.take(&all, now()), vec![2; 40]);
    let sent = b.send(now());
    assert_eq!(sent.len(), TERMS.parallel, "no more than that in flight");
    assert_eq!(sent, (1..=20).map(endpoint).collect::<Vec<_>>());
    b.lanes.ended(endpoint(1), Heard::Received, now());
    assert_eq!(b.send(now()), [endpoint(21)], "the next comes before the first one again");
}

#[test]
fn who_fails_again_and_again_is_probed_by_one_until_it_receives() {
    let mut b = Backlog::new();
    b.take(&[1], now());
    assert_eq!(b.send(now()).len(), 4);
    for _ in 0..3 {
        b.lanes.ended(endpoint(1), Heard::Failed, now());
    }
    assert_eq!(b.lanes.given_back().len(), 12, "what was taken goes back");
    assert!(b.send(now()).is_empty() && b.take(&[1], now()).is_empty(), "it is left alone for a while");
    b.lanes.ended(endpoint(1), Heard::Failed, now());
    let later = now().plus(TERMS.breaker_pause);
    assert_eq!(b.take(&[1], later), [1]);
    assert_eq!(b.send(later).len(), 1);
    assert!(b.take(&[1], later).is_empty(), "one at a time");
    b.lanes.ended(endpoint(1), Heard::Failed, later);
    assert!(b.take(&[1], later).is_empty());
    let again = later.plus(TERMS.breaker_pause);
    b.take(&[1], again);
    b.send(again);
    b.lanes.ended(endpoint(1), Heard::Received, again);
    assert_eq!(b.take(&[1], again), [16], "at once all that it may have");
}

#[test]
fn who_asks_to_be_left_alone_is() {
    let mut b = Backlog::new();
    b.take(&[1], now());
    b.send(now());
    let until = now().plus(Duration::from_secs(120));
    b.lanes.ended(endpoint(1), Heard::Later(until), now());
    assert!(b.send(now()).is_empty());
    assert!(b.take(&[1], until.minus(Duration::from_millis(1))).is_empty());
    assert!(!b.take(&[1], until).is_empty());
}

#[test]
fn a_lease_that_would_run_out_is_given_back() {
    let mut b = Backlog::new();
    b.take(&[1], now());
    let late = now().plus(Duration::from_secs(46));
    assert!(b.send(late).is_empty());
    assert_eq!(b.lanes.given_back().len(), 16);
    assert!(b.lanes.given_back().is_empty(), "once");
}

#[test]
fn an_endpoint_that_changed_or_went_is_not_sent_what_was_taken() {
    let mut b = Backlog::new();
    b.take(&[1, 2], now());
    let changed = Waiting { endpoint: endpoint(1), version: 2, next: Some(now()) };
    let (wants, unknown) = b.lanes.plan(&[changed], now());
    assert_eq!(b.lanes.given_back().len(), 32);
    assert_eq!((wants.len(), wants[0].version), (1, 2));
    assert_eq!(unknown, [endpoint(1)], "it is looked at anew");
    assert!(b.send(now()).is_empty());
    // Its address changes once more between the look and the taking.
    let newer = Address { id: endpoint(1), version: 3, url: String::new(), signing: Vec::new() };
    let due = b.due(endpoint(1), now().plus(Duration::from_secs(60)));
    b.lanes.take_in(&wants, vec![newer], vec![due]);
    assert!(b.send(now()).is_empty());
    assert_eq!(b.lanes.given_back().len(), 1);
}
