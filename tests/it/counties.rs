//! Work that comes to the counties, with as many seats in each, over HTTP.

use crate::harness::*;
use doorstep::adapter::Adapters;
use doorstep::domain::posting::Status;
use doorstep::routing::{Condition, Explanation};
use serde_json::{Value, json};
use std::collections::HashMap;

on_every_engine![
    each_county_gets_its_offers_and_its_seats,
    a_populous_county_does_not_take_a_small_ones_offers,
    a_freed_county_is_asked_again_and_no_other,
    who_is_of_a_county_that_wants_nobody_more_is_told_so,
    a_wish_for_seats_by_county_that_makes_no_sense_is_refused,
    a_feed_of_annotation_work_says_how_many_of_each_county,
];

const HERE: &str = "522632";
const THERE: &str = "522633";

/// Annotation work for these counties with so many seats in each.
fn annotation(counties: &[&str], each: u32) -> PostingDraft {
    a_posting()
        .with("category", json!("ai_annotation"))
        .with("arrangement", json!("in_place"))
        .with("job_location", Value::Null)
        .with("target_regions", json!(counties))
        .with("total_job_openings", Value::Null)
        .with("openings_per_county", json!(each))
}

fn people(county: &str, n: usize) -> Vec<Person> {
    (0..n).map(|_| in_region(county)).collect()
}

/// How many people of each county have an offer of a posting.
async fn offered(app: &App, posting: &str) -> HashMap<String, usize> {
    let office = app.office("000000").await;
    let answer = office.caller.get(&format!("/v1/offers?posting={posting}&limit=200")).await.expect(200).json;
    let mut counts = HashMap::new();
    for offer in answer["items"].as_array().unwrap() {
        let file = office.caller.get(&format!("/v1/workers/{}", offer["worker"].as_str().unwrap())).await.expect(200).json;
        *counts.entry(file["home_region"].as_str().unwrap().to_owned()).or_default() += 1;
    }
    counts
}

async fn each_county_gets_its_offers_and_its_seats(engine: Engine) {
    let app = spawn_with(engine, |c| c.routing.overbook = 2.0).await;
    let platform = app.platform("ai-bean").await;
    let (here, there) = (app.workers(people(HERE, 4)).await, app.workers(people(THERE, 4)).await);
    let posting = platform.publish(annotation(&[HERE, THERE, "522624"], 2)).await;
    let seen = platform.posting(&posting).await;
    assert_eq!((&seen["openings_per_county"], &seen["total_job_openings"]), (&json!(2), &json!(6)));
    assert_eq!(seen["seats"], json!({"openings": 6, "declared": 6, "taken": 0, "by_county": []}));
    let mut states = Vec::new();
    for worker in here.iter().take(3).chain(&there[..1]) {
        let offer = worker.accepts_offer_for(&posting).await;
        states.push((offer, worker.offer_for(&posting).await["state"].as_str().unwrap().to_owned()));
    }
    let told: Vec<&str> = states.iter().map(|(_, state)| state.as_str()).collect();
    assert_eq!(told, ["accepted", "accepted", "waitlisted", "accepted"]);
    let seats = platform.posting(&posting).await["seats"].clone();
    let by_county = json!([{"region": HERE, "openings": 2, "taken": 2}, {"region": THERE, "openings": 2, "taken": 1}]);
    assert_eq!(seats, json!({"openings": 6, "declared": 6, "taken": 3, "by_county": by_county}));
    // The platform chooses somebody else: the seat is for who waits in that county.
    platform.report(json!({"offer": states[0].0, "status": "NOT_SELECTED"})).await;
    let promoted = here[2].offer_for(&posting).await;
    assert_eq!((&promoted["state"], &promoted["promoted"]), (&json!("offered"), &json!(true)));
    here[2].accept(&states[2].0).await.expect(200);
    platform.report(json!({"offer": states[2].0, "status": "HIRED"})).await;
    platform.report(json!({"offer": states[2].0, "status": "ENDED"})).await;
    assert_eq!(platform.posting(&posting).await["seats"]["by_county"], by_county);
    // A cut takes no seat back; a plain posting says nothing of counties.
    let cut = annotation(&[HERE, THERE], 1).source_id(&posting.source_id);
    platform.publish(cut).await;
    let seats = platform.posting(&posting).await["seats"].clone();
    let by_county = json!([{"region": HERE, "openings": 2, "taken": 2}, {"region": THERE, "openings": 1, "taken": 1}]);
    assert_eq!(seats, json!({"openings": 3, "declared": 2, "taken": 3, "by_county": by_county}));
    assert_eq!(platform.posting(&posting).await["status"], "filled");
    let plain = platform.publish(a_posting()).await;
    let plain = platform.posting(&plain).await;
    assert!(plain["seats"].get("by_county").is_none() && plain.get("openings_per_county").is_none(), "{plain}");
    app.settle().await;
    app.finish().await;
}

async fn a_populous_county_does_not_take_a_small_ones_offers(engine: Engine) {
    let app = spawn_with(engine, |c| c.routing.overbook = 3.0).await;
    let platform = app.platform("ai-bean").await;
    // The many of one county have waited longer than the few of the other.
    let long = people(HERE, 60).into_iter().map(|p| p.with("seeking_since", json!("2019-01-01")));
    let all: Vec<Person> = long.chain(people(THERE, 5)).chain(people("522624", 20)).collect();
    app.office("000000").await.register(&all.iter().map(Person::json).collect::<Vec<_>>()).await;
    let counties = [HERE, THERE, "522624"];
    let posting = platform.publish(annotation(&counties, 4)).await;
    app.settle().await;
    let expected = |n: [usize; 3]| counties.iter().map(|c| c.to_string()).zip(n).collect::<HashMap<_, _>>();
    assert_eq!(offered(&app, &posting.id).await, expected([12, 5, 12]), "three for each seat, or all there are");
    // A total that is soon reached: the best of all counties, and still not more of one.
    let few = platform.publish(annotation(&counties, 4).openings(6)).await;
    app.settle().await;
    let got = offered(&app, &few.id).await;
    assert_eq!((got.values().sum::<usize>(), got[HERE]), (18, 12), "{got:?}");
    let funnel = platform.caller.get(&format!("/v1/postings/{}/routing", few.id)).await.expect(200).json;
    assert_eq!((&funnel["place"], &funnel["offered"]), (&json!(85), &json!(18)), "{funnel}");
    assert_eq!(funnel["waves"][0]["wanted"], 18);
    app.finish().await;
}

async fn a_freed_county_is_asked_again_and_no_other(engine: Engine) {
    let app = spawn_with(engine, |c| c.routing.overbook = 1.0).await;
    let platform = app.platform("ai-bean").await;
    let all: Vec<Person> = people(HERE, 3).into_iter().chain(people(THERE, 30)).collect();
    app.office("000000").await.register(&all.iter().map(Person::json).collect::<Vec<_>>()).await;
    let worker = app.worker(in_region(HERE).with("seeking_since", json!("2018-01-01"))).await;
    let posting = platform.publish(annotation(&[HERE, THERE], 1)).await;
    app.settle().await;
    assert_eq!(offered(&app, &posting.id).await, HashMap::from([(HERE.to_owned(), 1), (THERE.to_owned(), 1)]));
    let offer = worker.offer_for(&posting).await["id"].as_str().unwrap().to_owned();
    worker.decline(&offer).await.expect(200);
    app.settle().await;
    assert_eq!(offered(&app, &posting.id).await, HashMap::from([(HERE.to_owned(), 2), (THERE.to_owned(), 1)]));
    // Explained to the operator: a county whose seats are taken is the reason.
    let late = app.worker(in_region(HERE).with("seeking_since", json!("2020-06-14"))).await;
    let of = |id: &str| doorstep::domain::id::WorkerId::parse(id).unwrap();
    let explain = async |id: &str| {
        let posting = doorstep::domain::id::PostingId::parse(&posting.id).unwrap();
        app.state().router.explain(posting, of(id), app.now()).await.unwrap().unwrap()
    };
    assert_eq!(explain(&late.id).await, Explanation::Failed(Condition::NoWaveWanted), "one of the county is asked already");
    let here = app.office(HERE).await.caller.get(&format!("/v1/offers?posting={}", posting.id)).await.expect(200).json;
    let of_county: Vec<&Value> = here["items"].as_array().unwrap().iter().map(|offer| &offer["id"]).collect();
    let mut open: Vec<Value> = platform.offers(&posting).await.into_iter().filter(|offer| offer["state"] == "offered").collect();
    open.sort_by_key(|offer| !of_county.contains(&&offer["id"]));
    platform.report(json!({"offer": open[0]["id"], "status": "HIRED"})).await;
    assert_eq!(explain(&late.id).await, Explanation::Failed(Condition::CountyFilled));
    platform.report(json!({"offer": open[1]["id"], "status": "HIRED"})).await;
    assert_eq!(platform.posting(&posting).await["status"], "filled");
    assert_eq!(explain(&late.id).await, Explanation::Failed(Condition::Posting(Status::Filled)));
    app.settle().await;
    app.finish().await;
}

async fn who_is_of_a_county_that_wants_nobody_more_is_told_so(engine: Engine) {
    let app = spawn_with(engine, |c| c.routing.overbook = 1.0).await;
    let platform = app.platform("ai-bean").await;
    let (first, second) = (app.worker(in_region(HERE).with("seeking_since", json!("2018-01-01"))).await, app.worker(in_region(HERE)).await);
    // The other county has nobody, so the posting lacks people.
    let posting = platform.publish(annotation(&[HERE, THERE], 1)).await;
    app.settle().await;
    assert_eq!((first.offers().await.len(), second.offers().await.len()), (1, 0));
    let id = doorstep::domain::id::PostingId::parse(&posting.id).unwrap();
    let of = doorstep::domain::id::WorkerId::parse(&second.id).unwrap();
    let explained = app.state().router.explain(id, of, app.now()).await.unwrap();
    assert_eq!(explained, Some(Explanation::Failed(Condition::NoWaveWanted)));
    app.finish().await;
}

async fn a_wish_for_seats_by_county_that_makes_no_sense_is_refused(engine: Engine) {
    let app = spawn_on(engine).await;
    let platform = app.platform("ai-bean").await;
    let batch = json!([
        a_posting().with("openings_per_county", json!(3)).json(),
        annotation(&[HERE], 0).json(),
        annotation(&["set:poor-counties-832"], 500).json(),
        annotation(&["set:poor-counties-832"], 500).openings(100_000).json(),
    ]);
    let answer = platform.caller.post("/v1/postings", &batch).await.expect(200).json;
    let faults: Vec<(&Value, &Value)> = answer["rejected"].as_array().unwrap().iter().map(|r| (&r["pointer"], &r["code"])).collect();
    let (pointer, range) = (json!("/openings_per_county"), json!("out_of_range"));
    assert_eq!(faults, [(&pointer, &json!("unknown_value")), (&pointer, &range), (&pointer, &range)]);
    assert_eq!(answer["created"], 1);
    let document = app.anonymous().get("/openapi.json").await.expect(200).json;
    assert!(document["components"]["schemas"]["PostingBody"]["properties"]["openings_per_county"].is_object());
    app.settle().await;
    app.finish().await;
}

async fn a_feed_of_annotation_work_says_how_many_of_each_county(engine: Engine) {
    let app = spawn_on(engine).await;
    let platform = app.platform("ai-bean").adapter("ai-bean").await;
    let adapters = Adapters::builtin().unwrap_or_else(|problems| panic!("{problems:?}"));
    let adapter = adapters.get("ai-bean").unwrap();
    let sample = adapter.samples().iter().find(|s| s.name.ends_with("counties.json")).unwrap();
    let answer = platform.push(sample.body.to_vec(), "application/json").await.expect(200).json;
    assert_eq!((&answer["created"], &answer["rejected"]), (&json!(2), &json!([])), "{answer}");
    for (source_id, openings, each) in [("AB-2020-10", 1040, 20), ("AB-2020-11", 40, 15)] {
        let id = platform.id_of(source_id).await;
        let seen = platform.caller.get(&format!("/v1/postings/{id}")).await.expect(200).json;
        assert_eq!((&seen["seats"]["openings"], &seen["openings_per_county"]), (&json!(openings), &json!(each)));
    }
    app.settle().await;
    app.finish().await;
}
