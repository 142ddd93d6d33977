use super::*;
use crate::harness::{a_posting, on_every_engine};
use doorstep::domain::posting::Status;
use doorstep::store::postings::Seats;
use doorstep::store::work::Kind;
use serde_json::json;

on_every_engine![
    the_same_record_is_unchanged_and_another_updates_it,
    a_closed_posting_that_is_pushed_again_is_open_under_its_id,
    a_cut_headcount_never_takes_a_seat_back,
    a_posting_past_its_last_day_expires_and_withdraws_what_waits,
    only_its_own_platform_closes_a_posting,
    a_look_at_what_a_slice_would_become_changes_nothing,
    slices_of_a_batch_wait_for_the_last,
];

async fn the_same_record_is_unchanged_and_another_updates_it(engine: Engine) {
    let b = bench(engine).await;
    let (first, second) = (a_posting().source_id("one"), a_posting().source_id("two"));
    assert_eq!(b.upsert(&[first.clone(), second.clone()], noon()).await, Tally { created: 2, ..Tally::default() });
    let id = b.find("one").await.id;
    let changed = first.clone().with("title", json!("另一个名称"));
    assert_eq!(b.upsert(&[changed, second], noon()).await, Tally { updated: 1, unchanged: 1, ..Tally::default() });
    let found = b.find("one").await;
    assert_eq!((found.id, found.revision, found.content.title.as_str()), (id, 2, "另一个名称"));
    assert_eq!(b.find("two").await.revision, 1);
}

async fn a_closed_posting_that_is_pushed_again_is_open_under_its_id(engine: Engine) {
    let b = bench(engine).await;
    let draft = a_posting().openings(2);
    let (id, worker) = (b.post(draft.clone()).await, b.person().await);
    let offer = b.offer(id, &[worker]).await[0];
    assert!(b.store.close_posting(PLATFORM.to_owned(), id, PROMOTED, noon()).await.unwrap());
    assert_eq!((b.posting(id).await.status, b.state(offer).await.state), (Status::Closed, OfferState::Withdrawn));
    assert_eq!(b.upsert(&[draft], noon()).await, Tally { updated: 1, ..Tally::default() });
    let again = b.posting(id).await;
    assert_eq!((again.status, again.revision), (Status::Open, 2));
    assert!(b.issue(id, &[worker], noon()).await.offered.is_empty(), "who had an offer of it gets no second");
}

async fn a_cut_headcount_never_takes_a_seat_back(engine: Engine) {
    let b = bench(engine).await;
    let draft = a_posting().openings(5);
    let (id, workers) = (b.post(draft.clone()).await, b.people(4).await);
    let offers = b.offer(id, &workers).await;
    for n in 0..3 {
        assert_eq!(accepted(&b.accept(offers[n], workers[n], noon()).await), OfferState::Accepted);
    }
    let seats = |openings, declared, taken| Seats { openings, declared, taken };
    b.upsert(&[draft.clone().openings(1)], noon()).await;
    assert_eq!(b.posting(id).await.seats, seats(3, 1, 3));
    assert_eq!(b.posting(id).await.status, Status::Filled);
    assert_eq!(accepted(&b.accept(offers[3], workers[3], noon()).await), OfferState::Waitlisted);
    // What the platform takes back is gone for good, down to what it declares.
    assert_eq!(b.report(offers[0], status(HireStatus::NotSelected, "2020-06-15")).await, Reported::Recorded(None));
    assert_eq!(b.posting(id).await.seats, seats(2, 1, 2));
    assert_eq!(b.state(offers[3]).await.state, OfferState::Waitlisted);
    b.report(offers[1], status(HireStatus::NotSelected, "2020-06-15")).await;
    b.report(offers[2], status(HireStatus::NotSelected, "2020-06-15")).await;
    let promoted = b.state(offers[3]).await;
    assert_eq!((promoted.state, promoted.promoted), (OfferState::Offered, true));
    assert_eq!(b.posting(id).await.seats, seats(1, 1, 1));
}

async fn a_posting_past_its_last_day_expires_and_withdraws_what_waits(engine: Engine) {
    let b = bench(engine).await;
    let (id, workers) = (b.post(a_posting().with("valid_through", json!("2020-06-16"))).await, b.people(3).await);
    let offers = b.offer(id, &workers).await;
    b.accept(offers[0], workers[0], noon()).await.unwrap();
    b.accept(offers[1], workers[1], noon()).await.unwrap();
    let last = Moment::parse("2020-06-16T23:59:59.999+08:00").unwrap();
    assert_eq!(b.store.expire_postings(PROMOTED, last).await.unwrap(), 0);
    let over = Moment::parse("2020-06-17").unwrap();
    assert!(
        matches!(b.accept(offers[2], workers[2], over).await, Err(Refusal::Over(OfferState::Withdrawn))),
        "the deadline stands in the statement"
    );
    assert_eq!(b.posting(id).await.status, Status::Expired, "whoever looks first draws the consequence");
    assert_eq!(b.store.expire_postings(PROMOTED, over).await.unwrap(), 0);
    let states = [b.state(offers[0]).await.state, b.state(offers[1]).await.state, b.state(offers[2]).await.state];
    assert_eq!(states, [OfferState::Accepted, OfferState::Withdrawn, OfferState::Withdrawn]);
    assert_eq!(b.event_types().await, ["offer.accepted", "posting.filled", "posting.closed"]);
    assert!(b.issue(id, &b.people(1).await, over).await.offered.is_empty());
}

async fn only_its_own_platform_closes_a_posting(engine: Engine) {
    let b = bench(engine).await;
    let id = b.post(a_posting()).await;
    assert!(!b.store.close_posting("another".to_owned(), id, PROMOTED, noon()).await.unwrap());
    assert_eq!(b.posting(id).await.status, Status::Open);
    assert!(b.store.close_posting(PLATFORM.to_owned(), id, PROMOTED, noon()).await.unwrap());
    assert!(b.store.close_posting(PLATFORM.to_owned(), id, PROMOTED, noon()).await.unwrap(), "closing it again is no error");
    assert_eq!(b.event_types().await, ["posting.closed"], "and is told once");
}

async fn a_look_at_what_a_slice_would_become_changes_nothing(engine: Engine) {
    let b = bench(engine).await;
    let known = a_posting();
    b.upsert(std::slice::from_ref(&known), noon()).await;
    let slice = [known.clone(), known.clone().openings(9), a_posting().source_id("new")];
    let prepared = Arc::new(slice.iter().map(prepared).collect());
    let tally = b.store.classify_postings(PLATFORM.to_owned(), prepared, noon()).await.unwrap();
    assert_eq!(tally, Tally { created: 1, updated: 1, unchanged: 1, closed: 0 });
    let (all, _) =
        b.store.postings(PLATFORM.to_owned(), doorstep::store::postings::PostingFilter { limit: 10, ..Default::default() }).await.unwrap();
    assert_eq!((all.len(), all[0].revision), (1, 1));
}

async fn slices_of_a_batch_wait_for_the_last(engine: Engine) {
    let b = bench(engine).await;
    let held = noon().plus(Duration::from_secs(30));
    let slice = |due, held| Slice { due, held, ..b.slice(&[a_posting(), a_posting()]) };
    let due = async |at| b.store.work_due(Kind::Route, at).await.unwrap().0;
    b.store.upsert_postings(slice(held, None), None, noon()).await.unwrap().unwrap();
    assert_eq!(due(noon()).await, 0);
    assert_eq!(due(held).await, 2, "should the last never come");
    b.store.upsert_postings(slice(held, None), None, noon()).await.unwrap().unwrap();
    b.store.upsert_postings(slice(noon(), Some(held)), None, noon()).await.unwrap().unwrap();
    assert_eq!(due(noon()).await, 6);
}
