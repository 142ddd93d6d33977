use super::*;
use crate::harness::{a_posting, in_region, on_every_engine};
use doorstep::store::people::WorkerFilter;
use serde_json::json;

on_every_engine![
    one_person_is_one_file_whoever_registers_them,
    a_region_sees_its_own_people,
    who_is_erased_is_gone_and_comes_back_as_somebody_new,
    two_batches_with_the_same_people_make_each_once,
];

async fn one_person_is_one_file_whoever_registers_them(engine: Engine) {
    let b = bench(engine).await;
    let person = in_region("522624");
    let Registered::Created(id) = b.register(std::slice::from_ref(&person), noon()).await[0] else { panic!("not created") };
    assert_eq!(b.register(std::slice::from_ref(&person), noon()).await, [Registered::Unchanged(id)]);
    let renamed = person.clone().with("phone", json!("10000099999"));
    assert_eq!(b.register(&[renamed], noon()).await, [Registered::Updated(id)]);
    let lower = person.clone().with("id_number", json!(person.text("id_number").to_lowercase())).with("phone", json!("10000099999"));
    assert_eq!(b.register(&[lower], noon()).await, [Registered::Unchanged(id)]);
    let bare = json!({"id_number": person.text("id_number"), "home_region": "522624"});
    let row = read_row(bare.as_object().unwrap(), noon().day(), Region::NATION).unwrap();
    assert_eq!(
        b.store.register_workers(Arc::new(vec![b.store.prepare(row)]), None, PROMOTED, noon()).await.unwrap(),
        [Registered::Unchanged(id)],
        "a missing column keeps"
    );
    let unknown = in_region("522624");
    let bare = json!({"id_number": unknown.text("id_number"), "name": "虚构·无", "phone": "10000012345", "home_region": "522624"});
    let row = read_row(bare.as_object().unwrap(), noon().day(), Region::NATION).unwrap();
    assert_eq!(
        b.store.register_workers(Arc::new(vec![b.store.prepare(row)]), None, PROMOTED, noon()).await.unwrap(),
        [Registered::Lacks("consent")]
    );
}

async fn a_region_sees_its_own_people(engine: Engine) {
    let b = bench(engine).await;
    let people: Vec<Person> = ["522624", "522624", "522601", "330212"].into_iter().map(in_region).collect();
    b.register(&people, noon()).await;
    for (region, n) in [("000000", 4), ("520000", 3), ("522624", 2), ("330212", 1), ("440000", 0)] {
        let filter = WorkerFilter { region: Region::parse(region).unwrap(), state: None, after: None, limit: 10 };
        let (page, total) = b.store.workers(filter).await.unwrap();
        assert_eq!((page.len() as i64, total), (n, n), "{region}");
    }
    // Page by page nobody is missed and nobody comes twice.
    let (mut seen, mut after) = (Vec::new(), None);
    loop {
        let filter = WorkerFilter { region: Region::NATION, state: None, after, limit: 3 };
        let (page, _) = b.store.workers(filter).await.unwrap();
        after = page.last().map(|w| w.id);
        seen.extend(page.iter().map(|w| w.id));
        if page.len() < 3 {
            break;
        }
    }
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), 4);
}

async fn who_is_erased_is_gone_and_comes_back_as_somebody_new(engine: Engine) {
    let b = bench(engine).await;
    let person = in_region("522624");
    let Registered::Created(id) = b.register(std::slice::from_ref(&person), noon()).await[0] else { panic!("not created") };
    let (posting, other) = (b.post(a_posting()).await, b.person().await);
    let offers = b.offer(posting, &[id, other]).await;
    b.accept(offers[0], id, noon()).await.unwrap();
    b.accept(offers[1], other, noon()).await.unwrap();
    assert!(b.store.erase_worker(id, PROMOTED, noon()).await.unwrap());
    assert!(!b.store.erase_worker(id, PROMOTED, noon()).await.unwrap(), "it was done before");
    assert!(b.store.worker(id).await.unwrap().is_none());
    assert_eq!(b.state(offers[0]).await.state, OfferState::Withdrawn);
    let next = b.state(offers[1]).await;
    assert_eq!((next.state, next.promoted), (OfferState::Offered, true), "the seat goes to who waits");
    let found = b.store.seeker(id).await.unwrap().unwrap();
    assert!(!found.consent && !found.looking, "and nothing is offered to the erased");
    let Registered::Created(again) = b.register(&[person], noon()).await[0] else { panic!("not a new person") };
    assert_ne!(again, id);
}

async fn two_batches_with_the_same_people_make_each_once(engine: Engine) {
    let b = bench(engine).await;
    let people: Vec<Person> = (0..40).map(|_| in_region("522601")).collect();
    let backwards: Vec<Person> = people.iter().rev().cloned().collect();
    // Another node of the same store registers them at the same time.
    let node = Bench {
        store: open_at(&b.place.url, b.keys.clone(), false).await.unwrap_or_else(|e| panic!("{e}")),
        keys: b.keys.clone(),
        place: Place::new(Engine::Sqlite),
    };
    let (one, two) = tokio::join!(b.register(&people, noon()), node.register(&backwards, noon()));
    let made = one.iter().chain(&two).filter(|r| matches!(r, Registered::Created(_))).count();
    assert_eq!(made, 40);
    let filter = WorkerFilter { region: Region::NATION, state: None, after: None, limit: 1 };
    assert_eq!(b.store.workers(filter).await.unwrap().1, 40);
}
