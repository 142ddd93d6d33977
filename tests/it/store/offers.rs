use super::*;
use crate::harness::{a_posting, on_every_engine};
use doorstep::domain::posting::Status;
use doorstep::store::work::Kind;
use futures_util::future::join_all;
use serde_json::json;

on_every_engine![
    a_worker_is_offered_a_posting_once,
    a_worker_never_holds_more_offers_than_the_cap,
    offers_of_a_filled_posting_do_not_count_toward_the_cap,
    nobody_gets_a_second_offer_of_a_group,
    sixty_four_at_once_take_exactly_ten_seats,
    a_seat_given_back_is_held_for_the_first_who_waits,
    a_promoted_offer_that_expires_passes_its_seat_on,
    an_answer_after_the_deadline_is_refused,
    who_declines_is_left_alone_for_a_while,
    an_answer_to_somebody_elses_offer_finds_nothing,
    a_late_holder_of_a_lease_offers_nothing,
    somebody_new_reaches_a_posting_that_is_being_routed,
    offers_are_at_most_the_free_openings_times_overbook,
    parts_of_a_wave_are_one_wave_and_end_with_the_last,
    postings_of_one_transaction_share_the_cap,
];

async fn a_worker_is_offered_a_posting_once(engine: Engine) {
    let b = bench(engine).await;
    let (id, workers) = (b.post(a_posting().openings(10)).await, b.people(3).await);
    assert_eq!(b.issue(id, &workers[..2], noon()).await.offered.len(), 2);
    let again = b.issue(id, &workers, noon().plus(Duration::from_secs(1))).await;
    assert_eq!((again.offered.len(), again.refused.len()), (1, 2));
    let (_, state) = b.store.routing_state(id, TERMS).await.unwrap().unwrap();
    let mut handles = Vec::new();
    for w in &workers {
        handles.push(b.handle(*w).await);
    }
    let mut excluded = state.excluded.clone();
    excluded.sort_unstable();
    handles.sort_unstable();
    assert_eq!(excluded, handles, "who had an offer is excluded from the next question");
    assert_eq!(state.waves.iter().map(|w| (w.0, w.3)).collect::<Vec<_>>(), [(1, 2), (2, 1)]);
}

async fn a_worker_never_holds_more_offers_than_the_cap(engine: Engine) {
    let b = bench(engine).await;
    let worker = b.person().await;
    let mut postings = Vec::new();
    for _ in 0..8 {
        postings.push(b.post(a_posting()).await);
    }
    // All at once, as routing does with a window.
    let waves: Vec<Wave> = join_all(postings.iter().map(|p| b.wave(*p, std::slice::from_ref(&worker)))).await;
    let issued = join_all(waves.into_iter().map(|w| b.issue_wave(w, noon()))).await;
    assert_eq!(issued.into_iter().map(|i| i.offered.len()).sum::<usize>(), TERMS.cap as usize);
    assert_eq!(b.store.seeker(worker).await.unwrap().unwrap().open_offers, TERMS.cap);
}

async fn offers_of_a_filled_posting_do_not_count_toward_the_cap(engine: Engine) {
    let b = bench(engine).await;
    let (worker, other) = (b.person().await, b.person().await);
    let filled = b.post(a_posting()).await;
    let offers = b.offer(filled, &[worker, other]).await;
    b.accept(offers[1], other, noon()).await.unwrap();
    assert_eq!(b.posting(filled).await.status, Status::Filled);
    assert_eq!(b.state(offers[0]).await.state, OfferState::Offered, "it stays until its deadline");
    for n in 0..4 {
        let issued = b.issue(b.post(a_posting()).await, &[worker], noon()).await;
        assert_eq!(issued.offered.len(), usize::from(n < TERMS.cap), "offer {n}");
    }
}

async fn nobody_gets_a_second_offer_of_a_group(engine: Engine) {
    let b = bench(engine).await;
    let (worker, other) = (b.person().await, b.person().await);
    let draft = a_posting().with("title", json!("分拣员")).with("hiring_organization", json!({"name": "示例仓", "kind": "other"}));
    let (first, repost) = (b.post(draft.clone().source_id("A")).await, b.post(draft.source_id("B")).await);
    b.offer(first, &[worker]).await;
    let issued = b.issue(repost, &[worker, other], noon()).await;
    assert_eq!((issued.offered.len(), issued.refused.len()), (1, 1));
    let (_, state) = b.store.routing_state(repost, TERMS).await.unwrap().unwrap();
    assert_eq!(state.excluded.len(), 2, "the group's people are excluded, too");
}

async fn sixty_four_at_once_take_exactly_ten_seats(engine: Engine) {
    let b = bench(engine).await;
    let (id, workers) = (b.post(a_posting().openings(10)).await, b.people(64).await);
    let offers = b.offer(id, &workers).await;
    let answers = join_all(offers.iter().zip(&workers).map(|(offer, worker)| {
        let (store, answering) = (b.store.clone(), b.answering(*offer, *worker));
        tokio::spawn(async move { store.accept_offer(answering, noon()).await.unwrap() })
    }))
    .await;
    let states: Vec<OfferState> = answers.into_iter().map(|a| accepted(&a.unwrap())).collect();
    let count = |state| states.iter().filter(|s| **s == state).count();
    assert_eq!((count(OfferState::Accepted), count(OfferState::Waitlisted)), (10, 54));
    let posting = b.posting(id).await;
    assert_eq!((posting.seats.taken, posting.status), (10, Status::Filled));
    let events = b.events().await;
    assert_eq!(events.iter().filter(|e| e.kind == "offer.accepted").count(), 10);
    assert_eq!(events.iter().filter(|e| e.kind == "posting.filled").count(), 1);
    let numbers: Vec<i64> = events.iter().map(|e| e.data["sequence"].as_i64().unwrap()).collect();
    assert_eq!(numbers, (1..=11).collect::<Vec<_>>(), "in one order, without a gap");
    let mut places = Vec::new();
    for offer in &offers {
        places.extend(b.state(*offer).await.position);
    }
    places.sort_unstable();
    assert_eq!(places, (1..=54).collect::<Vec<_>>());
}

async fn a_seat_given_back_is_held_for_the_first_who_waits(engine: Engine) {
    let b = bench(engine).await;
    let (id, w) = (b.post(a_posting()).await, b.people(4).await);
    let o = b.offer(id, &w).await;
    for n in 0..3 {
        b.accept(o[n], w[n], noon()).await.unwrap();
    }
    assert_eq!((b.state(o[1]).await.position, b.state(o[2]).await.position), (Some(1), Some(2)));
    assert_eq!(accepted(&b.decline(o[0], w[0], noon()).await), OfferState::Declined);
    let promoted = b.state(o[1]).await;
    assert_eq!((promoted.state, promoted.promoted, promoted.expires_at), (OfferState::Offered, true, noon().plus(PROMOTED)));
    assert_eq!(b.posting(id).await.seats.taken, 1, "the seat is held");
    assert_eq!(b.posting(id).await.status, Status::Filled);
    assert_eq!(accepted(&b.accept(o[3], w[3], noon()).await), OfferState::Waitlisted, "who comes later does not get it");
    assert_eq!(accepted(&b.accept(o[1], w[1], noon().plus(HOUR)).await), OfferState::Accepted);
    assert_eq!(b.posting(id).await.seats.taken, 1);
    assert_eq!(b.event_types().await, ["offer.accepted", "posting.filled", "offer.withdrawn", "offer.accepted"]);
    assert_eq!(b.events().await[2].data["by"], "worker");
}

async fn a_promoted_offer_that_expires_passes_its_seat_on(engine: Engine) {
    let b = bench(engine).await;
    let (id, w) = (b.post(a_posting()).await, b.people(3).await);
    let o = b.offer(id, &w).await;
    for n in 0..3 {
        b.accept(o[n], w[n], noon()).await.unwrap();
    }
    b.decline(o[0], w[0], noon()).await.unwrap();
    let late = noon().plus(PROMOTED);
    assert!(matches!(b.accept(o[1], w[1], late).await, Err(Refusal::Over(OfferState::Expired))));
    let next = b.state(o[2]).await;
    assert_eq!((next.state, next.promoted), (OfferState::Offered, true));
    let (seats, later) = (b.posting(id).await.seats, late.plus(PROMOTED));
    assert_eq!(seats.taken, 1);
    assert_eq!(b.store.expire_offers(PROMOTED, later).await.unwrap(), 1);
    let posting = b.posting(id).await;
    assert_eq!((posting.seats.taken, posting.status), (0, Status::Open), "nobody waits any more");
    assert_eq!(b.store.work_due(Kind::Route, later).await.unwrap().0, 1, "and the posting is routed again");
}

async fn an_answer_after_the_deadline_is_refused(engine: Engine) {
    let b = bench(engine).await;
    let (id, w) = (b.post(a_posting()).await, b.people(3).await);
    let o = b.offer(id, &w).await;
    let late = noon().plus(TERMS.answer_within);
    let just = Moment::from_ms(late.ms() - 1);
    assert_eq!(accepted(&b.accept(o[0], w[0], just).await), OfferState::Accepted);
    assert_eq!(b.accept(o[1], w[1], late).await.unwrap_err(), Refusal::Over(OfferState::Expired));
    assert_eq!(b.decline(o[2], w[2], late).await.unwrap_err(), Refusal::Over(OfferState::Expired));
    assert_eq!(b.state(o[1]).await.state, OfferState::Expired);
    assert_eq!(accepted(&b.accept(o[0], w[0], late).await), OfferState::Accepted, "an answer in time stands");
    assert_eq!(b.store.expire_offers(PROMOTED, late).await.unwrap(), 0);
}

async fn who_declines_is_left_alone_for_a_while(engine: Engine) {
    let b = bench(engine).await;
    let worker = b.person().await;
    let offer = b.offer(b.post(a_posting()).await, &[worker]).await[0];
    assert_eq!(accepted(&b.decline(offer, worker, noon()).await), OfferState::Declined);
    assert_eq!(accepted(&b.decline(offer, worker, noon()).await), OfferState::Declined, "the same answer again");
    assert_eq!(b.accept(offer, worker, noon()).await.unwrap_err(), Refusal::Over(OfferState::Declined));
    let next = b.post(a_posting()).await;
    let until = noon().plus(COOLDOWN);
    assert!(b.issue(next, &[worker], Moment::from_ms(until.ms() - 1)).await.offered.is_empty());
    assert_eq!(b.issue(next, &[worker], until).await.offered.len(), 1);
}

async fn an_answer_to_somebody_elses_offer_finds_nothing(engine: Engine) {
    let b = bench(engine).await;
    let (worker, other) = (b.person().await, b.person().await);
    let offer = b.offer(b.post(a_posting()).await, &[worker]).await[0];
    assert_eq!(b.accept(offer, other, noon()).await.unwrap_err(), Refusal::NotFound);
    let away = Answerer::Office { region: Region::parse("330000").unwrap(), client: "an office".to_owned(), method: "visit".to_owned() };
    let answering = Answering { by: away, ..b.answering(offer, worker) };
    assert_eq!(b.store.accept_offer(answering, noon()).await.unwrap().unwrap_err(), Refusal::NotFound);
    let home = Answerer::Office { region: Region::parse("520000").unwrap(), client: "an office".to_owned(), method: "visit".to_owned() };
    let answered = b.store.accept_offer(Answering { by: home, ..b.answering(offer, worker) }, noon()).await.unwrap().unwrap();
    assert_eq!((answered.answered_by.as_deref(), answered.method.as_deref()), (Some("an office"), Some("visit")));
}

async fn a_late_holder_of_a_lease_offers_nothing(engine: Engine) {
    let b = bench(engine).await;
    let (id, workers) = (b.post(a_posting().openings(5)).await, b.people(2).await);
    let lease = Duration::from_secs(30);
    let first = b.store.take_work(Kind::Route, 10, lease, noon()).await.unwrap();
    assert_eq!(first.len(), 1);
    assert!(b.store.take_work(Kind::Route, 10, lease, noon()).await.unwrap().is_empty(), "it is taken");
    let second = b.store.take_work(Kind::Route, 10, lease, noon().plus(lease)).await.unwrap();
    assert_eq!((second.len(), second[0].key), (1, first[0].key), "the first holder has died, so it seems");
    let wave = b.wave(id, &workers[..1]).await;
    let late = b.issue_wave(Wave { lease: Some(first[0]), ..wave.clone() }, noon().plus(lease)).await;
    assert!(late.offered.is_empty());
    let issued = b.issue_wave(Wave { lease: Some(second[0]), ..wave }, noon().plus(lease)).await;
    assert_eq!(issued.offered.len(), 1);
    assert_eq!(b.store.work_due(Kind::Route, noon().plus(lease)).await.unwrap(), (0, None), "and it is done");
    let again = noon().plus(lease).plus(TERMS.recheck);
    assert_eq!(b.store.work_due(Kind::Route, again).await.unwrap(), (1, Some(again)), "and looked at again, since people lack");
}

async fn somebody_new_reaches_a_posting_that_is_being_routed(engine: Engine) {
    let b = bench(engine).await;
    let id = b.post(a_posting()).await;
    let taken = b.store.take_work(Kind::Route, 10, Duration::from_secs(30), noon()).await.unwrap();
    // The index was asked before this person came.
    b.person().await;
    b.issue_wave(Wave { lease: Some(taken[0]), ..b.wave(id, &[]).await }, noon()).await;
    b.store.route_for_freed(Duration::from_secs(30), noon()).await.unwrap();
    assert_eq!(b.store.work_due(Kind::Route, noon()).await.unwrap().0, 1, "the posting is routed once more");
}

async fn offers_are_at_most_the_free_openings_times_overbook(engine: Engine) {
    let b = bench(engine).await;
    let (id, workers) = (b.post(a_posting().openings(2)).await, b.people(8).await);
    let terms = WaveTerms { overbook: 1.5, ..TERMS };
    let wave = b.wave(id, &workers).await;
    let issue = async || b.store.issue_offers(vec![wave.clone()], terms, noon()).await.unwrap().remove(0);
    let issued = issue().await;
    assert_eq!((issued.wanted, issued.offered.len()), (3, 3));
    assert_eq!(issue().await.wanted, 0, "three wait for an answer");
    b.accept(issued.offered[0].0, workers[0], noon()).await.unwrap();
    // One seat is free: 2 offers of it, which wait already.
    assert_eq!(issue().await.wanted, 0);
}

async fn parts_of_a_wave_are_one_wave_and_end_with_the_last(engine: Engine) {
    let b = bench(engine).await;
    let (id, workers) = (b.post(a_posting().openings(2)).await, b.people(5).await);
    let lease = Some(b.store.take_work(Kind::Route, 10, Duration::from_secs(30), noon()).await.unwrap()[0]);
    let first = Wave { lease, more: true, ..b.wave(id, &workers[..2]).await };
    let rest = Wave { lease, ..b.wave(id, &workers[2..]).await };
    assert_eq!(b.issue_wave(first, noon()).await.offered.len(), 2);
    let after = noon().plus(TERMS.recheck);
    assert_eq!(b.store.work_due(Kind::Route, after).await.unwrap().0, 1, "cut short here, it is routed again when the lease ends");
    assert_eq!(b.issue_wave(rest, noon()).await.offered.len(), 3);
    assert_eq!(b.store.work_due(Kind::Route, after).await.unwrap().0, 1, "it wants more people than there are");
    let (_, state) = b.store.routing_state(id, TERMS).await.unwrap().unwrap();
    assert_eq!(state.waves.iter().map(|w| (w.0, w.2, w.3)).collect::<Vec<_>>(), [(1, 40, 5)]);
}

async fn postings_of_one_transaction_share_the_cap(engine: Engine) {
    let b = bench(engine).await;
    let worker = b.person().await;
    let mut waves = Vec::new();
    for _ in 0..TERMS.cap + 2 {
        waves.push(b.wave(b.post(a_posting()).await, &[worker]).await);
    }
    let issued = b.store.issue_offers(waves, TERMS, noon()).await.unwrap();
    assert_eq!(issued.iter().map(|i| (i.offered.len(), i.refused.len())).collect::<Vec<_>>(), [(1, 0), (1, 0), (1, 0), (0, 1), (0, 1)]);
}
