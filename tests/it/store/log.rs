//! Group commit and the order of the log.

use super::*;
use crate::harness::on_every_engine;
use doorstep::store::StoreError;
use doorstep::store::engine::postgres::Postgres;
use doorstep::store::engine::sqlite::Sqlite;
use doorstep::store::engine::{Engine as Database, Sql, Val};
use doorstep::store::log::{ChangeKind, changes_after};
use doorstep::store::names::Names;
use doorstep::store::writer::Writer;
use futures_util::future::join_all;
use uuid::Uuid;

on_every_engine![a_job_that_fails_takes_no_neighbour_with_it, the_logs_order_is_commit_order, what_is_answered_is_on_disk];

/// The database behind a bench, without the store in front of it.
fn database(b: &Bench) -> Arc<dyn Database> {
    match b.place.url.strip_prefix("sqlite://") {
        Some(path) => Arc::new(Sqlite::new(path)),
        None => Arc::new(Postgres::new(&b.place.url).unwrap()),
    }
}

async fn writer(b: &Bench) -> Writer {
    let database = database(b);
    tokio::task::spawn_blocking(move || Writer::start(database, Arc::new(Ids::seeded(3)), Names::new(&[3; 32]), 3)).await.unwrap().unwrap()
}

async fn a_job_that_fails_takes_no_neighbour_with_it(engine: Engine) {
    let b = bench(engine).await;
    let writer = writer(&b).await;
    let outcomes = join_all((0..60i64).map(|n| {
        let writer = writer.clone();
        tokio::spawn(async move {
            writer
                .write(move |tx| {
                    tx.exec("INSERT INTO counters (name, value) VALUES ($1, $2)", &[Val::from(format!("n{n}")), Val::from(n)])?;
                    match n % 6 {
                        3 => tx.exec("INSERT INTO counters (name, value) VALUES ('n0', 1)", &[]).map(|_| ()),
                        4 => panic!("a job panics"),
                        5 => Err(StoreError::Corrupt("found something".to_owned())),
                        _ => Ok(()),
                    }
                })
                .await
        })
    }))
    .await;
    let failed: Vec<bool> = outcomes.into_iter().map(|o| o.unwrap().is_err()).collect();
    assert_eq!(failed, (0..60).map(|n| n % 6 > 2).collect::<Vec<_>>());
    let kept = with_connection(&b, |s| s.query("SELECT value FROM counters WHERE name LIKE 'n%' ORDER BY value", &[])).await;
    let kept: Vec<i64> = kept.iter().map(|r| r.int(0).unwrap()).collect();
    assert_eq!(kept, (0..60).filter(|n| n % 6 < 3).collect::<Vec<_>>(), "each stands or falls alone");
}

pub(super) async fn with_connection<T: Send + 'static>(
    b: &Bench,
    work: impl FnOnce(&mut dyn Sql) -> Result<T, StoreError> + Send + 'static,
) -> T {
    let database = database(b);
    tokio::task::spawn_blocking(move || work(database.connect()?.as_mut())).await.unwrap().unwrap()
}

async fn the_logs_order_is_commit_order(engine: Engine) {
    let b = bench(engine).await;
    const WRITERS: u128 = 3;
    const EACH: u128 = 120;
    let mut writing = Vec::new();
    for w in 0..WRITERS {
        let writer = writer(&b).await;
        writing.push(tokio::spawn(async move {
            for n in 0..EACH {
                let id = Uuid::from_u128(w << 64 | n);
                let write = move |tx: &mut doorstep::store::writer::Tx<'_>| {
                    tx.log.change(ChangeKind::Worker, id, 1, noon());
                    Ok(())
                };
                writer.write(write).await.unwrap();
            }
        }));
    }
    // A reader that goes on from what it saw last must miss nothing.
    let database = database(&b);
    let seen = tokio::task::spawn_blocking(move || {
        let mut conn = database.connect().unwrap();
        let (mut seen, mut position) = (Vec::new(), 0);
        while seen.len() < (WRITERS * EACH) as usize {
            conn.begin_read().unwrap();
            let found = changes_after(conn.as_mut(), position, 1000).unwrap();
            conn.rollback();
            position = found.last().map_or(position, |c| c.seq);
            seen.extend(found.into_iter().map(|c| c.id));
        }
        seen
    });
    let seen = tokio::time::timeout(Duration::from_secs(120), seen).await.expect("an entry was missed").unwrap();
    for one in writing {
        one.await.unwrap();
    }
    let mut distinct = seen.clone();
    distinct.sort_unstable();
    distinct.dedup();
    assert_eq!(distinct.len(), (WRITERS * EACH) as usize, "each once");
    for w in 0..WRITERS {
        let own: Vec<u128> = seen.iter().map(|id| id.as_u128()).filter(|n| n >> 64 == w).collect();
        assert!(own.is_sorted(), "what one writer wrote stands in its order");
    }
}

async fn what_is_answered_is_on_disk(engine: Engine) {
    let b = bench(engine).await;
    let id = b.post(crate::harness::a_posting().source_id("kept")).await;
    // Another connection sees it at once.
    let row = with_connection(&b, |s| s.one("SELECT id FROM postings WHERE source_id = 'kept'", &[])).await.expect("a row");
    assert_eq!(row.uuid(0).unwrap(), id.uuid());
}
