//! Under which names platforms know people, over whatever happens to a store.

use super::*;
use crate::harness::{a_posting, on_every_engine};
use doorstep::domain::id::Pseudonym;
use doorstep::store::engine::{Row, Val};
use doorstep::store::engine_of;
use doorstep::store::hires::PostingRef;
use serde_json::json;

on_every_engine![
    names_stay_over_starts_and_new_field_keys,
    nodes_that_start_at_once_have_one_key,
    names_that_were_given_hold_and_others_are_computed,
    a_key_that_does_not_open_is_not_replaced,
];

/// A store opened by another process, with randomness of its own.
async fn node(place: &Place, keys: &Arc<Keys>, seed: u64) -> Result<Store, OpenError> {
    let (url, keys) = (place.url.clone(), keys.clone());
    let open =
        move || Store::open(Opening { url: &url, readers: 1, keys, ids: Arc::new(Ids::seeded(seed)), stale_months: 3, serve: false });
    tokio::task::spawn_blocking(open).await.expect("opening does not panic")
}

/// Runs a statement, or reads by it, on a connection of its own.
async fn sql(place: &Place, text: &'static str, params: Vec<Val>) -> Vec<Row> {
    let url = place.url.clone();
    let run = move || engine_of(&url).unwrap().connect().unwrap().query(text, &params).unwrap();
    tokio::task::spawn_blocking(run).await.unwrap()
}

async fn kept(place: &Place) -> String {
    sql(place, "SELECT value FROM meta WHERE name = 'pseudonym_key'", Vec::new()).await[0].text(0).unwrap().to_owned()
}

async fn name(store: &Store, whom: &str, worker: WorkerId) -> Pseudonym {
    store.pseudonyms(whom.to_owned(), vec![worker]).await.unwrap()[0]
}

fn read(secrets: &str) -> Arc<Keys> {
    Arc::new(Keys::parse(secrets).unwrap_or_else(|faults| panic!("{faults:?}")))
}

async fn names_stay_over_starts_and_new_field_keys(engine: Engine) {
    let first = Keys::fresh();
    let keys = read(&first);
    let place = Place::new(engine);
    let b = Bench { store: open_at(&place.url, keys.clone(), true).await.unwrap_or_else(|e| panic!("{e}")), keys, place };
    let (posting, worker) = (b.post(a_posting()).await, b.person().await);
    let offer = b.offer(posting, &[worker]).await[0];
    b.accept(offer, worker, noon()).await.unwrap();
    let told = b.events().await[0].data["worker"].clone();
    let office = name(&b.store, "office:520000", worker).await;
    assert_ne!(told, json!(office), "an office has names of its own");
    let Bench { store, keys, place } = b;
    drop(store);
    let sealed = kept(&place).await;
    let same = async |keys: &Arc<Keys>, seed: u64| {
        let store = node(&place, keys, seed).await.unwrap_or_else(|e| panic!("{e}"));
        assert_eq!((json!(name(&store, PLATFORM, worker).await), name(&store, "office:520000", worker).await), (told.clone(), office));
    };
    same(&keys, 21).await;
    assert_eq!(kept(&place).await, sealed, "nothing is written where nothing has changed");
    // A second field key seals from now on; then the first one goes.
    let line = |text: &str| text.lines().find(|l| l.starts_with("1 = ")).unwrap().to_owned();
    let (one, two) = (line(&first), line(&Keys::fresh()).replacen('1', "2", 1));
    let both = first.replace("field_current = 1", "field_current = 2").replace(&one, &format!("{one}\n{two}"));
    same(&read(&both), 22).await;
    assert_ne!(kept(&place).await, sealed, "sealed again");
    same(&read(&both.replace(&one, "")), 23).await;
}

async fn nodes_that_start_at_once_have_one_key(engine: Engine) {
    let b = bench(engine).await;
    let worker = b.person().await;
    let Bench { store, keys, place } = b;
    drop(store);
    for round in 0..4 {
        sql(&place, "DELETE FROM meta WHERE name = 'pseudonym_key'", Vec::new()).await;
        let starts = (0..6).map(|n| node(&place, &keys, 100 * round + n));
        let mut names = Vec::new();
        for store in futures_util::future::join_all(starts).await {
            names.push(name(&store.unwrap_or_else(|e| panic!("{e}")), PLATFORM, worker).await);
        }
        names.dedup();
        assert_eq!(names.len(), 1, "round {round}");
    }
}

async fn names_that_were_given_hold_and_others_are_computed(engine: Engine) {
    let b = bench(engine).await;
    let (posting, workers) = (b.post(a_posting().openings(3)).await, b.people(3).await);
    let offers = b.offer(posting, &workers).await;
    let computed = b.store.pseudonyms(PLATFORM.to_owned(), workers.clone()).await.unwrap();
    let Bench { store, keys, place } = b;
    drop(store);
    // Of three people one was told of here before names were computed, and one elsewhere.
    let given = Pseudonym::parse("5d1c4dbb-9b0e-4d10-8f6f-2c6a7a5e8f01").unwrap();
    let elsewhere = Pseudonym::parse("5d1c4dbb-9b0e-4d10-8f6f-2c6a7a5e8f02").unwrap();
    let insert = "INSERT INTO given_names (platform, worker, pseudonym) VALUES ($1, $2, $3)";
    for (platform, worker, name) in [(PLATFORM, workers[0], given), ("other", workers[1], elsewhere)] {
        sql(&place, insert, vec![platform.into(), worker.uuid().into(), name.uuid().into()]).await;
    }
    let b = Bench { store: open_at(&place.url, keys.clone(), false).await.unwrap_or_else(|e| panic!("{e}")), keys, place };
    let names = b.store.pseudonyms(PLATFORM.to_owned(), workers.clone()).await.unwrap();
    assert_eq!(names, [given, computed[1], computed[2]]);
    assert_eq!(name(&b.store, "other", workers[1]).await, elsewhere);
    for (offer, worker) in offers.iter().zip(&workers) {
        b.accept(*offer, *worker, noon()).await.unwrap();
    }
    let told: Vec<_> = b.events().await.into_iter().filter(|e| e.kind == "offer.accepted").map(|e| e.data["worker"].clone()).collect();
    assert_eq!(told, names.iter().map(|name| json!(name)).collect::<Vec<_>>());
    let terms = HireTerms {
        platform: PLATFORM.to_owned(),
        share: PlatformConfig::default(),
        promoted_within: PROMOTED,
        displaced_for: HOUR * 24 * 365,
    };
    let report = |worker| Report {
        subject: Subject::Pair { posting: PostingRef::Id(posting), worker },
        report: status(HireStatus::Hired, "2020-06-15"),
    };
    let slice = Arc::new(names.iter().chain([&elsewhere]).map(|name| report(*name)).collect());
    let reported = b.store.report_hires(terms, slice, None, noon()).await.unwrap();
    assert!(reported[..3].iter().all(|r| matches!(r, Reported::Created(_))), "{reported:?}");
    assert_eq!(reported[3], Reported::Rejected("offer_unknown"), "a name of another platform's");
    for worker in workers {
        assert_eq!(b.store.worker_hires(worker).await.unwrap().len(), 1, "each name led to its person");
    }
}

async fn a_key_that_does_not_open_is_not_replaced(engine: Engine) {
    let b = bench(engine).await;
    let Bench { store, keys, place } = b;
    drop(store);
    let sealed = kept(&place).await;
    let set = "UPDATE meta SET value = $1 WHERE name = 'pseudonym_key'";
    let cut = &sealed[..sealed.len() - 4];
    for broken in ["", "no base64!", cut] {
        sql(&place, set, vec![broken.into()]).await;
        assert!(matches!(node(&place, &keys, 31).await, Err(OpenError::Store(_))), "{broken}");
        assert_eq!(kept(&place).await, broken);
    }
    sql(&place, set, vec![sealed.as_str().into()]).await;
    assert!(node(&place, &keys, 32).await.is_ok());
}
