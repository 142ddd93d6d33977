//! The sealed log: the count of its entries, the tree over them, proofs, and what two
//! nodes make of it.

use super::*;
use crate::harness::{in_region, on_every_engine};
use aws_lc_rs::signature::KeyPair;
use doorstep::domain::merkle::{leaf_hash, root_from_inclusion};
use doorstep::store::engine::{Row, Val};
use doorstep::store::engine_of;
use doorstep::store::seals::Proof;
use doorstep::store::seals::note::Note;
use doorstep::store::seals::verify::{Asked, Finding, Verdict, verify_at};
use sha2::{Digest, Sha256};

on_every_engine![
    entries_are_counted_without_a_gap_and_a_person_is_committed_to_once,
    an_erased_person_leaves_the_tree_as_it_was,
    every_entry_of_a_large_tree_is_proved_by_a_few_rows,
    nothing_is_signed_where_the_ledger_did_not_grow,
    two_nodes_that_seal_at_once_grow_one_tree,
    a_changed_entry_is_not_sealed_over,
    what_is_checked_beside_the_tree_sees_every_entry_in_order,
];

const ORIGIN: &str = "doorstep";

/// Runs a statement, or reads by it, on a connection of its own.
async fn sql(b: &Bench, text: &'static str, params: Vec<Val>) -> Vec<Row> {
    let url = b.place.url.clone();
    let run = move || engine_of(&url).unwrap().connect().unwrap().query(text, &params).unwrap();
    tokio::task::spawn_blocking(run).await.unwrap()
}

/// Entries of that many strangers.
async fn fill(b: &Bench, from: i64, to: i64) {
    let text = "WITH RECURSIVE n(i) AS (SELECT CAST($1 AS BIGINT) UNION ALL SELECT i + 1 FROM n WHERE i < $2)
        INSERT INTO ledger (seq, at, kind, worker, leaf) SELECT i, 1592193600000 + i, 'tier', CAST($3 AS {blob}), '{\"n\":' || i || '}' FROM n";
    sql(b, text, vec![from.into(), to.into(), uuid::Uuid::from_u128(7).into()]).await;
}

async fn one(b: &Bench, text: &'static str) -> i64 {
    sql(b, text, Vec::new()).await[0].int(0).unwrap()
}

fn public(b: &Bench) -> Vec<u8> {
    b.keys.seal.pair().public_key().as_ref().to_vec()
}

async fn verdict(b: &Bench) -> Verdict {
    let (url, asked) = (b.place.url.clone(), Asked { public: public(b), ..Asked::default() });
    tokio::task::spawn_blocking(move || verify_at(&url, &asked, &mut |_| ())).await.unwrap().unwrap()
}

/// Nothing is found, and so many entries are sealed.
async fn holds(b: &Bench, entries: i64) {
    let verdict = verdict(b).await;
    assert_eq!((verdict.findings, verdict.entries, verdict.sealed), (Vec::new(), entries, entries));
}

/// The proof leads from its entry to the root of its checkpoint.
fn proves(proof: &Proof, public: &[u8]) {
    let note = Note::parse(&proof.checkpoint).unwrap();
    assert_eq!((note.check(public), note.size), (Ok(()), proof.size));
    let root = root_from_inclusion(leaf_hash(proof.entry.as_bytes()), proof.index, proof.size, &proof.hashes);
    assert_eq!(root, Some(note.root), "entry {}", proof.index);
}

async fn entries_are_counted_without_a_gap_and_a_person_is_committed_to_once(engine: Engine) {
    let b = bench(engine).await;
    let person = in_region("522624");
    let Registered::Created(worker) = b.register(std::slice::from_ref(&person), noon()).await[0] else { panic!("not created") };
    b.register(&[person.clone().with("tier", serde_json::json!("lifted"))], noon().plus(HOUR)).await;
    // Two nodes register the same people at once: whoever is late is rolled back and runs again.
    let Bench { store, keys, place } = b;
    let other = open_at(&place.url, keys.clone(), false).await.unwrap_or_else(|e| panic!("{e}"));
    let (b, other) = (Bench { store, keys: keys.clone(), place }, Bench { store: other, keys, place: Place::new(Engine::Sqlite) });
    let people: Vec<Person> = (0..70).map(|_| in_region("522624")).collect();
    let halves = people.chunks(35).chain(people.chunks(35)).map(|half| half.to_vec());
    let registering = halves.enumerate().map(|(n, half)| {
        let on = if n < 2 { &b } else { &other };
        async move { on.register(&half, noon()).await }
    });
    futures_util::future::join_all(registering).await;
    let rows = sql(&b, "SELECT seq, kind, worker, leaf, salt FROM ledger ORDER BY seq", Vec::new()).await;
    assert_eq!(rows.iter().map(|r| r.int(0).unwrap()).collect::<Vec<_>>(), (1..=72).collect::<Vec<_>>());
    let leaf = |n: usize| serde_json::from_str::<serde_json::Value>(rows[n].text(3).unwrap()).unwrap();
    let salt = rows[0].blob(4).unwrap();
    let digest = Sha256::new().chain_update(salt).chain_update(person.text("id_number")).finalize();
    let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!((salt.len(), rows[0].text(1).unwrap(), rows[0].uuid(2).unwrap()), (16, "tier", worker.uuid()));
    assert_eq!(leaf(0)["commitment"], hex);
    assert_eq!((leaf(1)["tier"].as_str(), leaf(1).get("commitment"), rows[1].is_null(4)), (Some("lifted"), None, true));
    assert_ne!(rows[2].blob(4).unwrap(), rows[3].blob(4).unwrap());
}

async fn an_erased_person_leaves_the_tree_as_it_was(engine: Engine) {
    let b = bench(engine).await;
    let people = b.people(3).await;
    b.store.seal(ORIGIN, noon()).await.unwrap();
    let before = b.store.checkpoint().await.unwrap().unwrap();
    assert!(b.store.erase_worker(people[1], PROMOTED, noon()).await.unwrap());
    assert_eq!(one(&b, "SELECT COUNT(*) FROM ledger WHERE salt IS NOT NULL").await, 2);
    assert_eq!(b.store.seal(ORIGIN, noon()).await.unwrap(), 1);
    holds(&b, 4).await;
    let (covering, newest) = (b.store.checkpoint_covering(3).await.unwrap(), b.store.checkpoint_covering(4).await.unwrap().unwrap());
    assert_eq!((covering, newest.size, b.store.checkpoint_covering(5).await.unwrap()), (Some(before), 4, None));
}

async fn every_entry_of_a_large_tree_is_proved_by_a_few_rows(engine: Engine) {
    let b = bench(engine).await;
    // Beyond a tile of tiles, and no round number.
    let size = 256 * 256 + 3 * 256 + 17;
    let mut done = 0;
    for upto in [1, 255, 256, 257, 5_000, size] {
        fill(&b, done + 1, upto).await;
        assert_eq!(b.store.seal(ORIGIN, noon()).await.unwrap() as i64, upto - done);
        done = upto;
    }
    assert_eq!(one(&b, "SELECT COUNT(*) FROM ledger_tiles WHERE level = 0").await, 259);
    assert_eq!(one(&b, "SELECT COUNT(*) FROM ledger_tiles WHERE level = 1").await, 1);
    holds(&b, size).await;
    for seq in [1, 2, 256, 257, 5_000, 65_535, 65_536, 65_537, 65_536 + 256, size - 17, size - 16, size] {
        let proof = b.store.inclusion_of_entry(seq).await.unwrap().unwrap();
        assert_eq!((proof.index as i64, proof.size as i64), (seq - 1, size));
        proves(&proof, &public(&b));
    }
    for seq in [0, -1, size + 1] {
        assert!(b.store.inclusion_of_entry(seq).await.unwrap().is_none());
    }
    fill(&b, size + 1, size + 1).await;
    assert!(b.store.inclusion_of_entry(size + 1).await.unwrap().is_none(), "no checkpoint covers it yet");
}

async fn nothing_is_signed_where_the_ledger_did_not_grow(engine: Engine) {
    let b = bench(engine).await;
    assert_eq!((b.store.seal(ORIGIN, noon()).await, b.store.checkpoint().await), (Ok(0), Ok(None)));
    b.people(2).await;
    assert_eq!(b.store.seal(ORIGIN, noon()).await, Ok(2));
    let first = b.store.checkpoint().await.unwrap().unwrap();
    assert_eq!(b.store.seal(ORIGIN, noon().plus(HOUR)).await, Ok(0));
    assert_eq!(b.store.checkpoint().await.unwrap(), Some(first));
    assert_eq!(one(&b, "SELECT COUNT(*) FROM checkpoints").await, 1);
}

async fn two_nodes_that_seal_at_once_grow_one_tree(engine: Engine) {
    let b = bench(engine).await;
    let other = open_at(&b.place.url, b.keys.clone(), false).await.unwrap_or_else(|e| panic!("{e}"));
    let (mut done, mut appended) = (0, 0);
    for round in 1..=6 {
        let upto = done + round * 3_001;
        fill(&b, done + 1, upto).await;
        let (one, two, three) = tokio::join!(b.store.seal(ORIGIN, noon()), other.seal(ORIGIN, noon()), b.store.seal(ORIGIN, noon()));
        appended += one.unwrap() + two.unwrap() + three.unwrap();
        done = upto;
    }
    assert_eq!(appended as i64, done, "each entry by one of them");
    holds(&b, done).await;
}

async fn a_changed_entry_is_not_sealed_over(engine: Engine) {
    let b = bench(engine).await;
    fill(&b, 1, 300).await;
    b.store.seal(ORIGIN, noon()).await.unwrap();
    sql(&b, "UPDATE ledger SET leaf = '{\"n\":0}' WHERE seq = 290", Vec::new()).await;
    fill(&b, 301, 600).await;
    let refused = b.store.seal(ORIGIN, noon()).await.unwrap_err();
    assert!(refused.to_string().contains("entries 257 to 300"), "{refused}");
    assert_eq!(b.store.checkpoint().await.unwrap().map(|c| c.size), Some(300));
    let verdict = verdict(&b).await;
    let told = "one of the entries 1 to 300 is not the one that the checkpoint of 300 covers";
    assert_eq!(verdict.findings, [Finding { seq: 1, what: told.to_owned() }]);
}

async fn what_is_checked_beside_the_tree_sees_every_entry_in_order(engine: Engine) {
    let b = bench(engine).await;
    fill(&b, 1, 20_000).await;
    b.store.seal(ORIGIN, noon()).await.unwrap();
    let (url, asked) = (b.place.url.clone(), Asked { public: public(&b), ..Asked::default() });
    let run = move || {
        let mut seen = Vec::new();
        verify_at(&url, &asked, &mut |entry| seen.push(entry.seq)).map(|verdict| (verdict, seen))
    };
    let (verdict, seen) = tokio::task::spawn_blocking(run).await.unwrap().unwrap();
    assert_eq!(verdict.findings, []);
    assert!(seen.into_iter().eq(1..=20_000));
}
