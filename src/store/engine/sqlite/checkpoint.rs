//! Moves what was committed from the write-ahead log into the database file, on a
//! thread of its own, so that no commit has to.
//!
//! Promises: writers are held up only for what was committed during the step before;
//! the thread ends with the engine.

use std::sync::{Arc, Weak};
use std::time::Duration;

/// How often the log is looked at.
const EVERY: Duration = Duration::from_millis(250);
/// A log of so many pages begins anew, as soon as no reader needs it.
const LONG: i64 = 64_000;
/// A reader that takes longer than this is not waited for.
const PATIENCE: Duration = Duration::from_millis(20);

/// Works while `engine` lives.
pub(super) fn start<T: Send + Sync + 'static>(conn: rusqlite::Connection, engine: &Arc<T>) -> std::io::Result<()> {
    let engine = Arc::downgrade(engine);
    std::thread::Builder::new().name("store-log".to_owned()).spawn(move || serve(&conn, &engine)).map(drop)
}

fn serve<T>(conn: &rusqlite::Connection, engine: &Weak<T>) {
    while engine.strong_count() > 0 {
        match step(conn, LONG) {
            Ok(_) => {}
            Err(e) => tracing::warn!(error = %e, "the write-ahead log stays long for a while"),
        }
        std::thread::sleep(EVERY);
    }
}

/// Moves what there is; a long log begins anew. The pages in the log after it.
fn step(conn: &rusqlite::Connection, long: i64) -> rusqlite::Result<i64> {
    let moved = |mode| conn.query_row(mode, [], |row| row.get::<_, i64>(1));
    let pages = moved("PRAGMA wal_checkpoint(PASSIVE)")?;
    if pages < long {
        return Ok(pages);
    }
    // Little is left to be moved, so that whoever writes waits for that and no more.
    moved("PRAGMA wal_checkpoint(RESTART)")
}

/// How long a step waits for others.
pub(super) fn patience() -> Duration {
    PATIENCE
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::engine::{Connection, Engine, params, sqlite::Sqlite};

    const MANY: i64 = 2_000;

    fn write(s: &mut dyn Connection, rows: i64) {
        s.begin().unwrap();
        for n in 0..rows {
            s.exec("INSERT INTO t (n, filler) VALUES ($1, $2)", params![n, vec![7u8; 3000]]).unwrap();
        }
        s.commit().unwrap();
    }

    #[test]
    fn a_long_log_begins_anew_and_loses_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let engine = Sqlite::new(folder.path().join("a.db"));
        engine.tend().unwrap();
        let mut s = engine.connect().unwrap();
        s.batch("CREATE TABLE t (n BIGINT, filler BLOB)").unwrap();
        let log = engine.open().unwrap();
        for _ in 0..3 {
            write(s.as_mut(), MANY / 2 + 100);
        }
        step(&log, MANY).unwrap();
        write(s.as_mut(), 1);
        let pages = step(&log, MANY).unwrap();
        assert!(pages < 100, "{pages} pages after it began anew");
        assert_eq!(s.one("SELECT COUNT(*) FROM t", &[]).unwrap().unwrap().int(0), Ok(3 * (MANY / 2 + 100) + 1));
    }

    #[test]
    fn a_reader_holds_nobody_up() {
        let folder = tempfile::tempdir().unwrap();
        let engine = Sqlite::new(folder.path().join("a.db"));
        let (mut s, mut reader) = (engine.connect().unwrap(), engine.connect().unwrap());
        s.batch("CREATE TABLE t (n BIGINT, filler BLOB)").unwrap();
        let log = engine.open().unwrap();
        log.busy_timeout(PATIENCE).unwrap();
        reader.begin_read().unwrap();
        reader.query("SELECT COUNT(*) FROM t", &[]).unwrap();
        write(s.as_mut(), MANY + 100);
        let began = std::time::Instant::now();
        step(&log, MANY).unwrap();
        assert!(began.elapsed() < Duration::from_secs(5));
        write(s.as_mut(), 1);
        reader.rollback();
        step(&log, MANY).unwrap();
        write(s.as_mut(), 1);
        assert!(step(&log, MANY).unwrap() < 100);
    }
}
