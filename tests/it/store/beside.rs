//! Two connections that read one state of the store while others write.

use super::*;
use crate::harness::on_every_engine;
use doorstep::store::StoreError;
use doorstep::store::engine::Sql;
use doorstep::store::engine_of;
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};

on_every_engine![two_who_read_beside_each_other_see_one_state];

fn written(s: &mut dyn Sql) -> String {
    let row = s.one("SELECT value FROM meta WHERE name = 'written'", &[]).unwrap();
    row.map_or_else(String::new, |row| row.text(0).unwrap().to_owned())
}

/// Ends the writer even where what is read is not as it should be.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

async fn two_who_read_beside_each_other_see_one_state(engine: Engine) {
    let b = bench(engine).await;
    let seen = tokio::task::spawn_blocking(move || {
        let engine = engine_of(&b.place.url).unwrap();
        let over = AtomicBool::new(false);
        let write = || {
            let mut conn = engine.connect().unwrap();
            if engine.name() == "sqlite" {
                // As often as it can, so that there is always somebody who writes between.
                conn.batch("PRAGMA synchronous=OFF").unwrap();
            }
            conn.exec("INSERT INTO meta (name, value) VALUES ('written', '0')", &[]).unwrap();
            while !over.load(Ordering::Relaxed) {
                conn.begin().unwrap();
                let write = conn.exec("UPDATE meta SET value = CAST(CAST(value AS BIGINT) + 1 AS TEXT) WHERE name = 'written'", &[]);
                assert_eq!(write.and_then(|n| conn.commit().map(|()| n)), Ok::<_, StoreError>(1));
            }
        };
        std::thread::scope(|scope| {
            scope.spawn(write);
            let _over = Over(&over);
            let mut seen = BTreeSet::new();
            while seen.len() < 200 {
                let [mut one, mut other] = engine.read_beside().unwrap();
                let first = written(&mut *one);
                assert_eq!(written(&mut *other), first);
                assert_eq!(written(&mut *one), first, "it goes on as it began");
                seen.insert(first);
            }
            seen.len()
        })
    });
    assert_eq!(seen.await.unwrap(), 200);
}
