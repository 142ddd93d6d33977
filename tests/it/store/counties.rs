//! Seats of in-place work that are counted for each home county.

use super::*;
use crate::harness::{in_region, on_every_engine};
use doorstep::domain::alert::Facts;
use doorstep::domain::posting::Status;
use doorstep::store::alerts::{Alert, AlertFilter};
use doorstep::store::counties::CountySeats;
use doorstep::store::engine::Sql;
use doorstep::store::work::Kind;
use futures_util::future::join_all;
use serde_json::{Value, json};

on_every_engine![
    of_each_county_as_many_sit_as_the_posting_says,
    a_total_stays_the_bound_over_all_counties,
    accepts_of_several_counties_at_once_fill_each_and_no_more,
    a_cut_while_people_answer_takes_no_seat_back_and_lets_nobody_in,
    a_freed_seat_goes_to_the_first_whose_county_has_one,
    where_the_total_was_the_bound_the_first_of_any_county_gets_it,
    a_seat_counts_where_it_was_taken_wherever_its_holder_moves,
    who_waits_and_moves_waits_in_the_new_county,
    an_ended_hire_frees_neither_and_a_withdrawn_one_both,
    one_hired_beyond_the_countys_number_is_recorded_and_told,
    who_begins_elsewhere_or_is_erased_frees_both,
    a_closed_posting_frees_what_was_held_for_who_waited,
    a_promoted_offer_that_expires_passes_its_countys_seat_on,
    a_posting_that_begins_to_count_counts_who_sits_and_who_waits,
    a_store_from_before_knows_where_its_seats_count,
];

/// Two counties of Qiandongnan that are also listed, and two that are not.
pub(super) const COUNTIES: [&str; 4] = ["522632", "522633", "522624", "522601"];

/// Work in place for these counties that takes so many people of each.
pub(super) fn in_counties(counties: &[&str], each: u32) -> PostingDraft {
    crate::harness::a_posting()
        .with("category", json!("ai_annotation"))
        .with("arrangement", json!("in_place"))
        .with("job_location", Value::Null)
        .with("target_regions", json!(counties))
        .with("total_job_openings", Value::Null)
        .with("openings_per_county", json!(each))
}

pub(super) fn county(code: &str) -> Region {
    Region::parse(code).expect("a county")
}

/// What `county_seats` should say: code, openings, taken.
fn rows(expected: &[(&str, u32, u32)]) -> Vec<CountySeats> {
    let mut rows: Vec<CountySeats> =
        expected.iter().map(|(code, openings, taken)| CountySeats { region: county(code), openings: *openings, taken: *taken }).collect();
    rows.sort_by_key(|row| row.region);
    rows
}

impl Bench {
    async fn by_county(&self, posting: PostingId) -> Vec<CountySeats> {
        self.store.county_seats(posting).await.unwrap()
    }

    /// Registers a person of a county; who they are, too.
    pub(super) async fn somebody(&self, county: &str) -> (WorkerId, Person) {
        let person = in_region(county);
        match self.register(std::slice::from_ref(&person), noon()).await[0] {
            Registered::Created(id) => (id, person),
            other => panic!("{other:?}"),
        }
    }

    async fn moves(&self, person: &Person, to: &str) {
        let moved = person.clone().with("home_region", json!(to));
        assert!(matches!(self.register(&[moved], noon().plus(HOUR)).await[0], Registered::Updated(_)));
    }

    /// Accepts, and says what that came to.
    async fn say_yes(&self, offer: OfferId, worker: WorkerId) -> OfferState {
        accepted(&self.accept(offer, worker, noon()).await)
    }

    /// Statements past the store's methods.
    async fn sql<T: Send + 'static>(&self, work: impl FnOnce(&mut dyn Sql) -> T + Send + 'static) -> T {
        let url = self.place.url.clone();
        let run = move || work(&mut *doorstep::store::engine_of(&url).unwrap().connect().unwrap());
        tokio::task::spawn_blocking(run).await.unwrap()
    }

    /// What the offers of a posting say: the seats held, by the county where they count.
    async fn held(&self, posting: PostingId) -> Vec<(Region, u32)> {
        let rows = self.sql(move |s| {
            let sql = "SELECT county, COUNT(*) FROM offers WHERE posting = $1
                       AND (state IN ('accepted', 'hired') OR (state IN ('offered', 'seen') AND promoted = 1)) GROUP BY county ORDER BY county";
            s.query(sql, &[posting.uuid().into()]).unwrap()
        });
        rows.await.iter().map(|r| (Region::from_code(r.count(0).unwrap()).unwrap(), r.count(1).unwrap())).collect()
    }

    /// The rows, the posting and the offers say the same.
    pub(super) async fn counts_agree(&self, posting: PostingId) {
        let (rows, held, seats) = (self.by_county(posting).await, self.held(posting).await, self.posting(posting).await.seats);
        assert_eq!(rows.iter().map(|r| (r.region, r.taken)).collect::<Vec<_>>(), held);
        assert_eq!(held.iter().map(|(_, n)| n).sum::<u32>(), seats.taken);
        assert!(seats.taken <= seats.openings && rows.iter().all(|r| r.taken <= r.openings), "{seats:?} {rows:?}");
    }
}

async fn of_each_county_as_many_sit_as_the_posting_says(engine: Engine) {
    let b = bench(engine).await;
    let id = b.post(in_counties(&COUNTIES[..2], 2)).await;
    assert_eq!((b.posting(id).await.seats.openings, b.by_county(id).await), (4, vec![]));
    let (mut w, second) = (b.people_of(COUNTIES[0], 3).await, b.people_of(COUNTIES[1], 3).await);
    w.extend(second);
    let o = b.offer(id, &w).await;
    for (n, expected) in [(0, OfferState::Accepted), (1, OfferState::Accepted), (2, OfferState::Waitlisted), (3, OfferState::Accepted)] {
        assert_eq!(b.say_yes(o[n], w[n]).await, expected, "{n}");
    }
    assert_eq!(b.posting(id).await.status, Status::Open, "the other county has a seat");
    assert_eq!(b.by_county(id).await, rows(&[(COUNTIES[0], 2, 2), (COUNTIES[1], 2, 1)]));
    assert_eq!(b.say_yes(o[4], w[4]).await, OfferState::Accepted);
    assert_eq!(b.say_yes(o[5], w[5]).await, OfferState::Waitlisted);
    assert_eq!(b.posting(id).await.status, Status::Filled);
    b.counts_agree(id).await;
    let told = b.event_types().await;
    assert_eq!(told.iter().filter(|t| *t == "posting.filled").count(), 1);
    assert_eq!(told.iter().filter(|t| *t == "offer.accepted").count(), 4);
}

async fn a_total_stays_the_bound_over_all_counties(engine: Engine) {
    let b = bench(engine).await;
    let with_total = |n: u32| in_counties(&COUNTIES[..2], 2).openings(n);
    let w = [b.people_of(COUNTIES[0], 2).await, b.people_of(COUNTIES[1], 2).await].concat();
    let (few, many) = (b.post(with_total(3)).await, b.post(with_total(50)).await);
    let o = b.offer(few, &w).await;
    let states = join_all((0..4).map(|n| b.say_yes(o[n], w[n]))).await;
    assert_eq!(states.iter().filter(|s| **s == OfferState::Accepted).count(), 3);
    assert_eq!((b.posting(few).await.seats.taken, b.posting(few).await.status), (3, Status::Filled));
    b.counts_agree(few).await;
    // A total that the counties cannot reach: filled when each of them is.
    let o = b.offer(many, &w).await;
    for n in 0..4 {
        assert_eq!(b.posting(many).await.status, Status::Open);
        assert_eq!(b.say_yes(o[n], w[n]).await, OfferState::Accepted);
    }
    assert_eq!((b.posting(many).await.seats.taken, b.posting(many).await.status), (4, Status::Filled));
    b.decline(o[0], w[0], noon()).await.unwrap();
    assert_eq!(b.posting(many).await.status, Status::Open, "left again when a seat is free and nobody waits");
    b.counts_agree(many).await;
}

/// Another node over the same store.
async fn another_node(b: &Bench) -> Store {
    open_at(&b.place.url, b.keys.clone(), false).await.unwrap_or_else(|e| panic!("{e}"))
}

async fn accepts_of_several_counties_at_once_fill_each_and_no_more(engine: Engine) {
    let b = bench(engine).await;
    let node = another_node(&b).await;
    for (total, seats) in [(None, 12), (Some(10), 10), (Some(400), 12)] {
        let draft = in_counties(&COUNTIES, 3);
        let id = b.post(total.map_or(draft.clone(), |n| draft.openings(n))).await;
        let mut w = Vec::new();
        for county in COUNTIES {
            w.extend(b.people_of(county, 8).await);
        }
        let o = b.offer(id, &w).await;
        let answers = (0..w.len()).map(|n| {
            let store = if n % 2 == 0 { b.store.clone() } else { node.clone() };
            let answering = b.answering(o[n], w[n]);
            tokio::spawn(async move { store.accept_offer(answering, noon()).await.unwrap() })
        });
        let states: Vec<OfferState> = join_all(answers).await.into_iter().map(|a| accepted(&a.unwrap())).collect();
        let count = |state| states.iter().filter(|s| **s == state).count();
        assert_eq!((count(OfferState::Accepted), count(OfferState::Waitlisted)), (seats, 32 - seats), "{total:?}");
        let posting = b.posting(id).await;
        assert_eq!((posting.seats.taken as usize, posting.status), (seats, Status::Filled), "{total:?}");
        assert!(b.by_county(id).await.iter().all(|c| c.taken <= 3), "{total:?}");
        b.counts_agree(id).await;
    }
}

async fn a_cut_while_people_answer_takes_no_seat_back_and_lets_nobody_in(engine: Engine) {
    let b = bench(engine).await;
    let node = another_node(&b).await;
    let draft = in_counties(&COUNTIES, 6).openings(20);
    let id = b.post(draft.clone()).await;
    let mut w = Vec::new();
    for county in COUNTIES {
        w.extend(b.people_of(county, 10).await);
    }
    let o = b.offer(id, &w).await;
    let mut tasks = Vec::new();
    for n in 0..w.len() {
        let store = if n % 2 == 0 { b.store.clone() } else { node.clone() };
        let answering = b.answering(o[n], w[n]);
        tasks.push(tokio::spawn(async move {
            store.accept_offer(answering.clone(), noon()).await.unwrap().unwrap();
            if n % 5 == 0 {
                store.decline_offer(answering, noon()).await.unwrap().unwrap();
            }
        }));
    }
    for each in [5, 3, 4, 2, 1, 2] {
        b.upsert(&[draft.clone().with("openings_per_county", json!(each)).openings(4 * each)], noon()).await;
    }
    join_all(tasks).await.into_iter().for_each(|t| t.unwrap());
    b.counts_agree(id).await;
    for c in b.by_county(id).await {
        assert_eq!(c.openings, c.taken.max(2), "{c:?}");
    }
    // What is given back goes down to what is declared, and only below that to who waits.
    for n in 0..w.len() {
        let before = b.by_county(id).await;
        let o = b.state(o[n]).await;
        if o.state == OfferState::Accepted {
            let at = before.iter().find(|c| c.taken > 2);
            b.decline(o.id, w[n], noon()).await.unwrap();
            b.counts_agree(id).await;
            if let Some(over) = at {
                let after = b.by_county(id).await;
                assert!(after.iter().all(|c| c.region != over.region || c.taken <= over.taken), "{over:?} {after:?}");
            }
        }
    }
    assert!(b.by_county(id).await.iter().all(|c| (c.openings, c.taken <= 2) == (2, true)));
}

async fn a_freed_seat_goes_to_the_first_whose_county_has_one(engine: Engine) {
    let b = bench(engine).await;
    let id = b.post(in_counties(&COUNTIES[..2], 1).openings(9)).await;
    let (here, there) = (b.people_of(COUNTIES[0], 3).await, b.people_of(COUNTIES[1], 3).await);
    let (o, q) = (b.offer(id, &here).await, b.offer(id, &there).await);
    // Both counties are full, and people of both wait in turn.
    for n in 0..3 {
        b.say_yes(o[n], here[n]).await;
        b.say_yes(q[n], there[n]).await;
    }
    let waiting = async |offer| b.state(offer).await.position;
    assert_eq!((waiting(o[1]).await, waiting(q[1]).await, waiting(o[2]).await), (Some(1), Some(2), Some(3)));
    b.decline(q[0], there[0], noon()).await.unwrap();
    let promoted = async |offer| {
        let o = b.state(offer).await;
        o.state == OfferState::Offered && o.promoted
    };
    assert!(promoted(q[1]).await, "the first of the county, though others wait before them");
    assert!(!promoted(o[1]).await && !promoted(o[2]).await);
    assert_eq!(b.posting(id).await.status, Status::Filled);
    b.decline(q[1], there[1], noon()).await.unwrap();
    assert!(promoted(q[2]).await);
    b.decline(q[2], there[2], noon()).await.unwrap();
    assert_eq!(b.posting(id).await.status, Status::Open, "nobody of this county waits any more");
    assert_eq!(b.by_county(id).await, rows(&[(COUNTIES[0], 1, 1)]));
    assert_eq!((waiting(o[1]).await, waiting(o[2]).await), (Some(1), Some(2)), "and the others wait on");
    b.decline(o[0], here[0], noon()).await.unwrap();
    assert!(promoted(o[1]).await);
    b.counts_agree(id).await;
}

async fn where_the_total_was_the_bound_the_first_of_any_county_gets_it(engine: Engine) {
    let b = bench(engine).await;
    let id = b.post(in_counties(&COUNTIES[..3], 2).openings(2)).await;
    let mut w = Vec::new();
    for county in [COUNTIES[0], COUNTIES[0], COUNTIES[0], COUNTIES[1], COUNTIES[2]] {
        w.extend(b.people_of(county, 1).await);
    }
    let o = b.offer(id, &w).await;
    for n in 0..5 {
        b.say_yes(o[n], w[n]).await;
    }
    b.decline(o[0], w[0], noon()).await.unwrap();
    assert!(b.state(o[2]).await.promoted, "first in the line, and a seat of the county came free with it");
    b.report(o[2], status(HireStatus::NotSelected, "2020-06-15")).await;
    assert!(b.state(o[3]).await.promoted, "then one of a county where nobody sat yet");
    b.decline(o[1], w[1], noon()).await.unwrap();
    assert!(b.state(o[4]).await.promoted);
    assert_eq!(b.by_county(id).await, rows(&[(COUNTIES[1], 2, 1), (COUNTIES[2], 2, 1)]));
    b.counts_agree(id).await;
}

async fn a_seat_counts_where_it_was_taken_wherever_its_holder_moves(engine: Engine) {
    let b = bench(engine).await;
    let id = b.post(in_counties(&COUNTIES[..2], 1)).await;
    let ((mover, person), (late, other)) = (b.somebody(COUNTIES[0]).await, b.somebody(COUNTIES[0]).await);
    let next = b.people_of(COUNTIES[0], 1).await[0];
    let o = b.offer(id, &[mover, late, next]).await;
    assert_eq!(b.say_yes(o[0], mover).await, OfferState::Accepted);
    b.moves(&person, COUNTIES[1]).await;
    assert_eq!(b.by_county(id).await, rows(&[(COUNTIES[0], 1, 1)]));
    // Who moved before the answer counts where they are at home when they give it.
    b.moves(&other, COUNTIES[1]).await;
    assert_eq!(b.say_yes(o[1], late).await, OfferState::Accepted);
    assert_eq!(b.by_county(id).await, rows(&[(COUNTIES[0], 1, 1), (COUNTIES[1], 1, 1)]));
    assert_eq!(b.say_yes(o[2], next).await, OfferState::Waitlisted);
    b.decline(o[0], mover, noon()).await.unwrap();
    assert!(b.state(o[2]).await.promoted, "the seat of the county where it was taken is free");
    assert_eq!(b.by_county(id).await, rows(&[(COUNTIES[0], 1, 1), (COUNTIES[1], 1, 1)]));
    b.counts_agree(id).await;
}

async fn who_waits_and_moves_waits_in_the_new_county(engine: Engine) {
    let b = bench(engine).await;
    let id = b.post(in_counties(&COUNTIES[..3], 1)).await;
    let sits = b.people_of(COUNTIES[0], 1).await[0];
    let (waits, person) = b.somebody(COUNTIES[0]).await;
    let o = b.offer(id, &[sits, waits]).await;
    b.say_yes(o[0], sits).await;
    assert_eq!(b.say_yes(o[1], waits).await, OfferState::Waitlisted);
    b.moves(&person, COUNTIES[1]).await;
    let offer = b.state(o[1]).await;
    assert_eq!((offer.state, offer.promoted), (OfferState::Offered, true), "there is a seat");
    assert_eq!(offer.expires_at, noon().plus(HOUR).plus(PROMOTED));
    assert_eq!(b.by_county(id).await, rows(&[(COUNTIES[0], 1, 1), (COUNTIES[1], 1, 1)]));
    // It is held for them there, wherever they go before they take it.
    b.moves(&person.with("name", json!("虚构·又搬")), COUNTIES[2]).await;
    assert_eq!(b.say_yes(o[1], waits).await, OfferState::Accepted);
    assert_eq!(b.by_county(id).await, rows(&[(COUNTIES[0], 1, 1), (COUNTIES[1], 1, 1)]));
    b.counts_agree(id).await;
}

async fn an_ended_hire_frees_neither_and_a_withdrawn_one_both(engine: Engine) {
    let b = bench(engine).await;
    let id = b.post(in_counties(&COUNTIES[..2], 1)).await;
    let w = b.people_of(COUNTIES[0], 2).await;
    let o = b.offer(id, &w).await;
    b.say_yes(o[0], w[0]).await;
    b.say_yes(o[1], w[1]).await;
    b.report(o[0], status(HireStatus::Hired, "2020-06-14")).await;
    b.report(o[0], status(HireStatus::Ended, "2020-06-15")).await;
    assert_eq!(b.by_county(id).await, rows(&[(COUNTIES[0], 1, 1)]));
    assert_eq!(b.state(o[1]).await.state, OfferState::Waitlisted);
    b.report(o[0], status(HireStatus::Withdrawn, "2020-06-15")).await;
    assert!(b.state(o[1]).await.promoted);
    b.report(o[1], status(HireStatus::NotSelected, "2020-06-15")).await;
    assert_eq!((b.by_county(id).await, b.posting(id).await.seats.taken), (vec![], 0));
    b.counts_agree(id).await;
}

async fn one_hired_beyond_the_countys_number_is_recorded_and_told(engine: Engine) {
    let b = bench(engine).await;
    let id = b.post(in_counties(&COUNTIES[..2], 1)).await;
    let w = b.people_of(COUNTIES[0], 3).await;
    let o = b.offer(id, &w).await;
    assert!(matches!(b.report(o[0], status(HireStatus::Hired, "2020-06-15")).await, Reported::Created(_)));
    let alerts = async || b.store.alerts(AlertFilter::of(county(COUNTIES[0]))).await.unwrap().0;
    assert!(alerts().await.is_empty());
    assert!(matches!(b.report(o[1], status(HireStatus::Hired, "2020-06-15")).await, Reported::Created(_)));
    assert_eq!(b.by_county(id).await, rows(&[(COUNTIES[0], 2, 2)]));
    let told = alerts().await;
    assert_eq!(told.iter().map(|a| (a.kind.as_str(), a.worker)).collect::<Vec<_>>(), [("over_hired", Some(w[1]))]);
    let told_of = |a: &Alert| matches!(&a.facts, Some(Facts::OverHired { openings: 1, county: Some(of), .. }) if of == COUNTIES[0]);
    assert!(told_of(&told[0]), "{told:?}");
    // The posting is full now as well, though the other county's seat was never taken.
    let seats = b.posting(id).await.seats;
    assert_eq!((seats.openings, seats.declared, seats.taken), (2, 2, 2));
    assert!(matches!(b.report(o[2], status(HireStatus::Hired, "2020-06-15")).await, Reported::Created(_)));
    assert_eq!((b.by_county(id).await, b.posting(id).await.seats.openings), (rows(&[(COUNTIES[0], 3, 3)]), 3));
    assert_eq!(alerts().await.len(), 2);
    for offer in &o[..2] {
        b.report(*offer, status(HireStatus::Withdrawn, "2020-06-15")).await;
    }
    assert_eq!((b.by_county(id).await, b.posting(id).await.seats.openings), (rows(&[(COUNTIES[0], 1, 1)]), 2));
    b.counts_agree(id).await;
}

async fn who_begins_elsewhere_or_is_erased_frees_both(engine: Engine) {
    let b = bench(engine).await;
    let id = b.post(in_counties(&COUNTIES[..1], 2)).await;
    let w = b.people_of(COUNTIES[0], 2).await;
    let o = b.offer(id, &w).await;
    for n in 0..2 {
        b.say_yes(o[n], w[n]).await;
    }
    let elsewhere = b.offer(b.post(crate::harness::a_posting()).await, &w[..1]).await[0];
    b.report(elsewhere, status(HireStatus::Onboarded, "2020-06-15")).await;
    assert_eq!(b.state(o[0]).await.state, OfferState::Declined);
    assert_eq!(b.by_county(id).await, rows(&[(COUNTIES[0], 2, 1)]));
    assert!(b.store.erase_worker(w[1], PROMOTED, noon()).await.unwrap());
    assert_eq!((b.by_county(id).await, b.posting(id).await.seats.taken), (vec![], 0));
    b.counts_agree(id).await;
}

async fn a_closed_posting_frees_what_was_held_for_who_waited(engine: Engine) {
    let b = bench(engine).await;
    let draft = in_counties(&COUNTIES[..1], 1);
    let id = b.post(draft.clone()).await;
    let w = b.people_of(COUNTIES[0], 3).await;
    let o = b.offer(id, &w).await;
    for n in 0..2 {
        b.say_yes(o[n], w[n]).await;
    }
    b.decline(o[0], w[0], noon()).await.unwrap();
    assert!(b.state(o[1]).await.promoted);
    b.store.close_posting(PLATFORM.to_owned(), id, PROMOTED, noon()).await.unwrap();
    assert_eq!((b.by_county(id).await, b.posting(id).await.seats.taken), (vec![], 0));
    assert_eq!(b.accept(o[2], w[2], noon()).await.unwrap_err(), Refusal::Over(OfferState::Withdrawn));
    b.upsert(&[draft], noon()).await;
    assert_eq!(b.posting(id).await.status, Status::Open);
    b.counts_agree(id).await;
}

async fn a_promoted_offer_that_expires_passes_its_countys_seat_on(engine: Engine) {
    let b = bench(engine).await;
    let id = b.post(in_counties(&COUNTIES[..2], 1)).await;
    let w = b.people_of(COUNTIES[0], 3).await;
    let o = b.offer(id, &w).await;
    for n in 0..3 {
        b.say_yes(o[n], w[n]).await;
    }
    b.decline(o[0], w[0], noon()).await.unwrap();
    let late = noon().plus(PROMOTED);
    assert_eq!(b.store.expire_offers(PROMOTED, late).await.unwrap(), 1);
    assert_eq!((b.state(o[1]).await.state, b.state(o[2]).await.promoted), (OfferState::Expired, true));
    b.counts_agree(id).await;
    let later = late.plus(PROMOTED);
    assert_eq!(b.store.expire_offers(PROMOTED, later).await.unwrap(), 1);
    assert_eq!((b.by_county(id).await, b.posting(id).await.status), (vec![], Status::Open));
    assert_eq!(b.store.work_due(Kind::Route, later).await.unwrap().0, 1, "and the posting is routed again");
}

async fn a_posting_that_begins_to_count_counts_who_sits_and_who_waits(engine: Engine) {
    let b = bench(engine).await;
    let counted = in_counties(&COUNTIES[..2], 1).openings(4);
    let plain = counted.clone().with("openings_per_county", Value::Null);
    let id = b.post(plain.clone()).await;
    let mut w = b.people_of(COUNTIES[0], 4).await;
    w.extend(b.people_of(COUNTIES[1], 2).await);
    let o = b.offer(id, &w).await;
    for n in [0, 1, 2, 4, 3, 5] {
        b.say_yes(o[n], w[n]).await;
    }
    assert_eq!(b.by_county(id).await, vec![]);
    b.upsert(std::slice::from_ref(&counted), noon()).await;
    assert_eq!(b.by_county(id).await, rows(&[(COUNTIES[0], 3, 3), (COUNTIES[1], 1, 1)]));
    assert_eq!(b.posting(id).await.status, Status::Filled);
    b.counts_agree(id).await;
    // Down to the number that is declared nobody follows, then who waits in that county.
    for n in 0..2 {
        b.decline(o[n], w[n], noon()).await.unwrap();
        assert_eq!(b.state(o[3]).await.state, OfferState::Waitlisted, "{n}");
    }
    b.decline(o[2], w[2], noon()).await.unwrap();
    assert!(b.state(o[3]).await.promoted);
    assert_eq!(b.by_county(id).await, rows(&[(COUNTIES[0], 1, 1), (COUNTIES[1], 1, 1)]));
    // More of each: who waits in the other county gets in.
    b.upsert(&[counted.with("openings_per_county", json!(2))], noon()).await;
    assert!(b.state(o[5]).await.promoted);
    assert_eq!(b.by_county(id).await, rows(&[(COUNTIES[0], 2, 1), (COUNTIES[1], 2, 2)]));
    b.counts_agree(id).await;
    b.upsert(&[plain], noon()).await;
    assert_eq!((b.by_county(id).await, b.posting(id).await.seats.taken), (vec![], 3));
    b.decline(o[4], w[4], noon()).await.unwrap();
    assert_eq!(b.posting(id).await.seats.taken, 2, "a seat is given back as before");
}

async fn a_store_from_before_knows_where_its_seats_count(engine: Engine) {
    let Bench { store, keys, place } = bench(engine).await;
    let b = Bench { store, keys, place };
    let counted = in_counties(&COUNTIES[..2], 3).openings(4);
    let id = b.post(counted.clone().with("openings_per_county", Value::Null)).await;
    let w = [b.people_of(COUNTIES[0], 3).await, b.people_of(COUNTIES[1], 3).await].concat();
    let o = b.offer(id, &w).await;
    for n in 0..5 {
        b.say_yes(o[n], w[n]).await;
    }
    b.report(o[0], status(HireStatus::Hired, "2020-06-15")).await;
    b.decline(o[1], w[1], noon()).await.unwrap();
    assert!(b.state(o[4]).await.promoted);
    let Bench { store, keys, place } = b;
    drop(store);
    let url = place.url.clone();
    let undo = move || {
        let mut conn = doorstep::store::engine_of(&url).unwrap().connect().unwrap();
        conn.batch(
            "DROP INDEX offers_waiting_by_county; ALTER TABLE offers DROP COLUMN county; DROP TABLE county_seats;
             ALTER TABLE postings DROP COLUMN counties; ALTER TABLE postings DROP COLUMN per_county;
             DELETE FROM migrations WHERE number = 8",
        )
        .unwrap();
    };
    tokio::task::spawn_blocking(undo).await.unwrap();
    let store = open_at(&place.url, keys.clone(), false).await.unwrap_or_else(|e| panic!("{e}"));
    let b = Bench { store, keys, place };
    b.upsert(&[counted], noon()).await;
    assert_eq!(b.by_county(id).await, rows(&[(COUNTIES[0], 3, 2), (COUNTIES[1], 3, 2)]));
    b.counts_agree(id).await;
    b.report(o[0], status(HireStatus::Withdrawn, "2020-06-15")).await;
    assert_eq!(b.by_county(id).await, rows(&[(COUNTIES[0], 3, 1), (COUNTIES[1], 3, 2)]));
}
