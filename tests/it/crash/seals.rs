//! Killed while it seals: the tree goes on where it stopped.

use super::Installation;
use crate::harness::{Engine, on_every_engine};
use doorstep::store::engine::Val;
use doorstep::store::engine_of;
use std::time::Duration;

on_every_engine![a_tree_cut_short_while_it_grows_goes_on];

const ENTRIES: i64 = 40_000;

/// One number, on a connection of its own; 0 where there is no row.
async fn number(url: &str, text: &'static str, params: Vec<Val>) -> i64 {
    let url = url.to_owned();
    let run = move || engine_of(&url).unwrap().connect().unwrap().query(text, &params).unwrap();
    tokio::task::spawn_blocking(run).await.unwrap().first().map_or(0, |row| row.int(0).unwrap())
}

async fn a_tree_cut_short_while_it_grows_goes_on(engine: Engine) {
    let installation = Installation::new(engine).with("DOORSTEP_SEAL__EVERY", "1s");
    installation.run(&["store", "migrate"]);
    let url = installation.place.url.clone();
    let fill = "WITH RECURSIVE n(i) AS (SELECT CAST(1 AS BIGINT) UNION ALL SELECT i + 1 FROM n WHERE i < $1)
        INSERT INTO ledger (seq, at, kind, worker, leaf) SELECT i, 1592193600000 + i, 'hire_confirmed', CAST($2 AS {blob}), '{\"n\":' || i || '}' FROM n";
    number(&url, fill, vec![ENTRIES.into(), uuid::Uuid::from_u128(7).into()]).await;
    let size = async || number(&url, "SELECT size FROM ledger_tree WHERE id = 1", Vec::new()).await;
    let (mut before, mut kills) = (0, 0);
    while before < ENTRIES {
        let served = installation.serve("2020-06-15T12:00:00+08:00");
        // As soon as a slice more is there.
        for _ in 0..3_000 {
            if size().await > before {
                break;
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        drop(served);
        let now = size().await;
        assert!(now > before, "nothing was sealed after {before}");
        (before, kills) = (now, kills + 1);
    }
    assert!(kills > 1, "it was never killed in the middle");
    let served = installation.serve("2020-06-15T12:00:00+08:00");
    for _ in 0..3_000 {
        if number(&url, "SELECT COALESCE(MAX(size), 0) FROM checkpoints", Vec::new()).await == ENTRIES {
            break;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    drop(served);
    let told = installation.run(&["seal", "verify"]);
    assert!(told.starts_with("40000 entries and ") && told.contains("; 0 entries are newer than the last checkpoint"), "{told}");
    assert!(installation.run(&["seal", "checkpoint"]).starts_with("doorstep\n40000\n"));
    assert!(installation.run(&["seal", "key"]).starts_with("doorstep+"));
}
