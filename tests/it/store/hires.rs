use super::*;
use crate::harness::{a_posting, in_region, on_every_engine};
use doorstep::domain::posting::Status;
use doorstep::domain::worker::Tier;
use doorstep::store::alerts::AlertFilter;
use doorstep::store::hires::Hire;
use jiff::civil::date;
use serde_json::json;

on_every_engine![
    reports_converge_in_whatever_order_they_come,
    an_end_before_its_start_is_kept_and_applied,
    an_end_dated_before_the_hire_ends_nothing,
    a_second_end_is_told_once_and_a_withdrawal_among_them_frees_the_seat,
    a_withdrawn_hire_frees_its_seat_and_an_ended_one_does_not,
    a_withdrawal_that_comes_first_frees_the_seat_all_the_same,
    a_hire_nobody_accepted_takes_a_seat_or_raises_an_alert,
    tags_stay_as_they_were_frozen,
    work_that_begins_again_is_a_new_hire,
    who_begins_elsewhere_gives_back_what_they_had_accepted,
    who_loses_a_job_comes_first_and_who_quits_does_not,
    a_report_on_another_platforms_offer_is_refused,
];

/// A posting with one accepted offer.
async fn an_accepted_offer(b: &Bench, openings: u32) -> (PostingId, WorkerId, OfferId) {
    let (posting, worker) = (b.post(a_posting().openings(openings)).await, b.person().await);
    let offer = b.offer(posting, &[worker]).await[0];
    b.accept(offer, worker, noon()).await.unwrap();
    (posting, worker, offer)
}

async fn the_hire(b: &Bench, worker: WorkerId) -> Hire {
    let mut hires = b.store.worker_hires(worker).await.unwrap();
    assert_eq!(hires.len(), 1, "{hires:?}");
    hires.remove(0)
}

fn permutations(n: usize) -> Vec<Vec<usize>> {
    if n == 0 {
        return vec![Vec::new()];
    }
    let put = |p: Vec<usize>| (0..n).map(move |at| [&p[..at], &[n - 1], &p[at..]].concat());
    permutations(n - 1).into_iter().flat_map(put).collect()
}

async fn reports_converge_in_whatever_order_they_come(engine: Engine) {
    let b = bench(engine).await;
    let reports = [
        status(HireStatus::Hired, "2020-05-10"),
        status(HireStatus::Onboarded, "2020-05-12"),
        status(HireStatus::Active, "2020-05-31"),
        status(HireStatus::Ended, "2020-06-10"),
    ];
    let orders = permutations(reports.len());
    assert_eq!(orders.len(), 24);
    for order in orders {
        let (posting, worker, offer) = an_accepted_offer(&b, 1).await;
        for n in &order {
            b.report(offer, reports[*n].clone()).await;
            let again = b.report(offer, reports[*n].clone()).await;
            assert!(matches!(again, Reported::Unchanged(_)), "{order:?}: {again:?}");
        }
        let hire = the_hire(&b, worker).await;
        let seen = (hire.status, hire.started_on, hire.ended_on);
        assert_eq!(seen, (HireStatus::Ended, Some(date(2020, 5, 12)), Some(date(2020, 6, 10))), "{order:?}");
        let seats = b.posting(posting).await.seats;
        assert_eq!(seats.taken, 1, "{order:?}");
        assert!(b.store.seeker(worker).await.unwrap().unwrap().looking, "{order:?}: looks for work again");
        let of = |e: &&Listed| e.data["posting"] == posting.to_string();
        let types: Vec<String> = b.events().await.iter().filter(of).map(|e| e.kind.clone()).collect();
        assert_eq!(types.iter().filter(|t| *t == "hire.tagged").count(), 1, "{order:?}: {types:?}");
        assert_eq!(types.iter().filter(|t| *t == "hire.ended").count(), 1, "{order:?}: {types:?}");
    }
}

async fn an_end_before_its_start_is_kept_and_applied(engine: Engine) {
    let b = bench(engine).await;
    let (_, worker, offer) = an_accepted_offer(&b, 1).await;
    assert_eq!(b.report(offer, status(HireStatus::Ended, "2020-06-10")).await, Reported::Recorded(None));
    assert!(b.store.worker_hires(worker).await.unwrap().is_empty());
    assert!(matches!(b.report(offer, status(HireStatus::Onboarded, "2020-06-01")).await, Reported::Created(_)));
    let hire = the_hire(&b, worker).await;
    assert_eq!((hire.started_on, hire.ended_on), (Some(date(2020, 6, 1)), Some(date(2020, 6, 10))));
}

async fn an_end_dated_before_the_hire_ends_nothing(engine: Engine) {
    let b = bench(engine).await;
    let (_, worker, offer) = an_accepted_offer(&b, 1).await;
    b.report(offer, status(HireStatus::Hired, "2020-06-10")).await;
    let early = b.report(offer, status(HireStatus::Ended, "2020-06-05")).await;
    assert_eq!(early, Reported::Recorded(None));
    assert_eq!(the_hire(&b, worker).await.ended_on, None);
}

async fn a_second_end_is_told_once_and_a_withdrawal_among_them_frees_the_seat(engine: Engine) {
    let b = bench(engine).await;
    let (posting, _, offer) = an_accepted_offer(&b, 1).await;
    b.report(offer, status(HireStatus::Hired, "2020-05-10")).await;
    b.report(offer, status(HireStatus::Ended, "2020-05-20")).await;
    assert_eq!(b.posting(posting).await.seats.taken, 1);
    b.report(offer, status(HireStatus::Withdrawn, "2020-05-15")).await;
    assert_eq!(b.posting(posting).await.seats.taken, 0);
    let ended = b.events().await.iter().filter(|e| e.kind == "hire.ended").count();
    assert_eq!(ended, 1);
}

async fn a_withdrawn_hire_frees_its_seat_and_an_ended_one_does_not(engine: Engine) {
    let b = bench(engine).await;
    let (posting, worker, offer) = an_accepted_offer(&b, 1).await;
    b.report(offer, status(HireStatus::Hired, "2020-06-10")).await;
    b.report(offer, status(HireStatus::Ended, "2020-06-12")).await;
    assert_eq!((b.posting(posting).await.seats.taken, b.posting(posting).await.status), (1, Status::Filled));
    assert_eq!(the_hire(&b, worker).await.ended_on, Some(date(2020, 6, 12)));

    let (posting, _, offer) = an_accepted_offer(&b, 1).await;
    b.report(offer, status(HireStatus::Hired, "2020-06-10")).await;
    b.report(offer, status(HireStatus::Withdrawn, "2020-06-12")).await;
    assert_eq!((b.posting(posting).await.seats.taken, b.posting(posting).await.status), (0, Status::Open));
    assert_eq!(b.state(offer).await.state, OfferState::Withdrawn);
}

async fn a_withdrawal_that_comes_first_frees_the_seat_all_the_same(engine: Engine) {
    let b = bench(engine).await;
    let (posting, worker, offer) = an_accepted_offer(&b, 1).await;
    b.report(offer, status(HireStatus::Withdrawn, "2020-06-12")).await;
    assert_eq!(b.posting(posting).await.seats.taken, 0);
    b.report(offer, status(HireStatus::Hired, "2020-06-10")).await;
    assert_eq!(the_hire(&b, worker).await.ended_on, Some(date(2020, 6, 12)));
    assert_eq!((b.posting(posting).await.seats.taken, b.posting(posting).await.status), (0, Status::Open));
    assert_eq!(b.state(offer).await.state, OfferState::Withdrawn);
}

async fn a_hire_nobody_accepted_takes_a_seat_or_raises_an_alert(engine: Engine) {
    let b = bench(engine).await;
    let (posting, w) = (b.post(a_posting()).await, b.people(2).await);
    let o = b.offer(posting, &w).await;
    assert!(matches!(b.report(o[0], status(HireStatus::Hired, "2020-06-15")).await, Reported::Created(_)), "an accept and a hire");
    assert_eq!(b.state(o[0]).await.state, OfferState::Hired);
    assert_eq!(b.posting(posting).await.seats.taken, 1);
    assert!(b.store.alerts(AlertFilter::of(Region::NATION)).await.unwrap().0.is_empty());
    assert!(matches!(b.report(o[1], status(HireStatus::Hired, "2020-06-15")).await, Reported::Created(_)), "recorded all the same");
    let seats = b.posting(posting).await.seats;
    assert_eq!((seats.openings, seats.declared, seats.taken), (2, 1, 2));
    let alerts = b.store.alerts(AlertFilter::of(Region::parse("520000").unwrap())).await.unwrap().0;
    assert_eq!(alerts.iter().map(|a| (a.kind.as_str(), a.worker)).collect::<Vec<_>>(), [("over_hired", Some(w[1]))]);
    assert!(
        b.store.alerts(AlertFilter::of(Region::parse("330000").unwrap())).await.unwrap().0.is_empty(),
        "another province does not see it"
    );
}

async fn tags_stay_as_they_were_frozen(engine: Engine) {
    let b = bench(engine).await;
    let person = in_region("522624");
    let Registered::Created(worker) = b.register(std::slice::from_ref(&person), noon()).await[0] else { panic!("not created") };
    let posting = b.post(a_posting()).await;
    let offer = b.offer(posting, &[worker]).await[0];
    b.report(offer, status(HireStatus::Onboarded, "2020-06-15")).await;
    let before = the_hire(&b, worker).await.tags;
    assert_eq!((before.tier_at_hire, before.home_region.to_string().as_str()), (Tier::NotLifted, "522624"));
    let moved = person.with("tier", json!("lifted")).with("tier_since", json!("2020-06-01")).with("home_region", json!("330212"));
    assert_eq!(b.register(&[moved], noon().plus(HOUR)).await, [Registered::Updated(worker)]);
    b.report(offer, status(HireStatus::Active, "2020-06-15")).await;
    let after = the_hire(&b, worker).await;
    assert_eq!(after.tags, before);
    assert_eq!(after.home.to_string(), "522624");
    let told: Vec<_> = b.events().await.into_iter().filter(|e| e.kind == "hire.tagged").collect();
    assert_eq!(told.len(), 1, "told once");
    // The registry itself has moved on, and the old county is told.
    assert_eq!(b.store.worker(worker).await.unwrap().unwrap().seeker.tier, Tier::Lifted);
    let alerts = b.store.alerts(AlertFilter::of(Region::parse("522624").unwrap())).await.unwrap().0;
    assert_eq!(alerts.iter().map(|a| a.kind.as_str()).collect::<Vec<_>>(), ["moved_away"]);
}

async fn work_that_begins_again_is_a_new_hire(engine: Engine) {
    let b = bench(engine).await;
    let (_, worker, offer) = an_accepted_offer(&b, 1).await;
    b.report(offer, status(HireStatus::Onboarded, "2020-04-01")).await;
    b.report(offer, status(HireStatus::Ended, "2020-04-20")).await;
    assert!(
        matches!(b.report(offer, status(HireStatus::Active, "2020-04-10")).await, Reported::Updated(_)),
        "dated before the end: the old hire"
    );
    assert!(
        matches!(b.report(offer, status(HireStatus::Onboarded, "2020-06-01")).await, Reported::Created(_)),
        "dated after it: a new one"
    );
    assert!(
        matches!(b.report(offer, status(HireStatus::Active, "2020-04-15")).await, Reported::Updated(_)),
        "and still the old one's before it"
    );
    let spans: Vec<_> = b.store.worker_hires(worker).await.unwrap().iter().map(|h| (h.started_on, h.ended_on)).collect();
    assert_eq!(spans, [(Some(date(2020, 4, 1)), Some(date(2020, 4, 20))), (Some(date(2020, 6, 1)), None)]);
}

async fn who_begins_elsewhere_gives_back_what_they_had_accepted(engine: Engine) {
    let b = bench(engine).await;
    let (first, worker, offer) = an_accepted_offer(&b, 1).await;
    let second = b.post(a_posting()).await;
    let other = b.offer(second, &[worker]).await[0];
    b.accept(other, worker, noon()).await.unwrap();
    b.report(offer, status(HireStatus::Hired, "2020-06-14")).await;
    assert_eq!(b.posting(second).await.seats.taken, 1, "hired is not begun");
    b.report(offer, status(HireStatus::Onboarded, "2020-06-15")).await;
    assert_eq!((b.posting(first).await.seats.taken, b.posting(second).await.seats.taken), (1, 0));
    assert_eq!(b.state(other).await.state, OfferState::Declined);
    let gone: Vec<_> = b.events().await.into_iter().filter(|e| e.kind == "offer.withdrawn").collect();
    assert_eq!(gone.iter().map(|e| &e.data["by"]).collect::<Vec<_>>(), ["gateway"]);
    assert!(!b.store.seeker(worker).await.unwrap().unwrap().looking);
    assert!(b.issue(b.post(a_posting()).await, &[worker], noon()).await.offered.is_empty(), "who works is offered nothing");
}

async fn who_loses_a_job_comes_first_and_who_quits_does_not(engine: Engine) {
    use doorstep::domain::hire::EndReason;
    let b = bench(engine).await;
    for (reason, displaced) in [("laid_off", true), ("employer_stopped", true), ("quit", false), ("contract_end", false)] {
        let (_, worker, offer) = an_accepted_offer(&b, 1).await;
        b.report(offer, status(HireStatus::Onboarded, "2020-06-01")).await;
        b.report(offer, StatusReport { reason: EndReason::parse(reason), ..status(HireStatus::Ended, "2020-06-10") }).await;
        let seeker = b.store.seeker(worker).await.unwrap().unwrap();
        assert!(seeker.looking, "{reason}");
        assert_eq!(seeker.displaced_until > noon().ms(), displaced, "{reason}");
    }
}

async fn a_report_on_another_platforms_offer_is_refused(engine: Engine) {
    let b = bench(engine).await;
    let (_, worker, offer) = an_accepted_offer(&b, 1).await;
    let terms =
        HireTerms { platform: "another".to_owned(), share: PlatformConfig::default(), promoted_within: PROMOTED, displaced_for: HOUR };
    let slice = Arc::new(vec![Report { subject: Subject::Offer(offer), report: status(HireStatus::Hired, "2020-06-15") }]);
    assert_eq!(b.store.report_hires(terms, slice, None, noon()).await.unwrap(), [Reported::Rejected("offer_unknown")]);
    assert!(b.store.worker_hires(worker).await.unwrap().is_empty());
}
