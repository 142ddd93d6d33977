//! Moves what was committed from the write-ahead log into the database file, on a
//! thread of its own, so that hardly a commit has to.
//!
//! Promises: the thread takes no lock that a writer waits for; a long log begins anew
//! as soon as no reader needs it; nothing is written any more after an fsync failed,
//! whosever it was; the thread ends with the engine's connections.

use super::failed;
use crate::store::engine::StoreError;
use std::fs::File;
use std::mem::ManuallyDrop;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

/// How often the log is looked at.
const EVERY: Duration = Duration::from_millis(250);
/// A log of so many pages begins anew.
const LONG: i64 = 64_000;

/// The log as the thread that moves it has it.
struct Log {
    conn: rusqlite::Connection,
    /// Syncs the database. Never closed: that would drop all locks which this process
    /// has on it (POSIX `fcntl`, and <https://sqlite.org/howtocorrupt.html> §2.2).
    database: ManuallyDrop<File>,
}

impl Log {
    /// Moves what there is, onto the disk. SQLite syncs the database at the end of a
    /// move only where nobody wrote meanwhile, so that under load all of it would be
    /// left to who moves the rest.
    fn move_on(&self) -> Result<i64, StoreError> {
        let pages = moved(&self.conn).map_err(failed)?;
        self.database.sync_data().map_err(|_| StoreError::Stopped)?;
        Ok(pages)
    }
}

/// What the thread and the connections that write tell each other.
#[derive(Debug, Default)]
pub(super) struct Tending {
    /// The thread is there.
    on: AtomicBool,
    /// The log is long, and all of it but the last commits was moved just now.
    long: AtomicBool,
    /// An fsync failed: what is in the log may be there no more once it begins anew.
    failed: AtomicBool,
}

impl Tending {
    /// Works while somebody else holds `this`.
    pub fn start(this: &Arc<Self>, conn: rusqlite::Connection, path: &Path) -> std::io::Result<()> {
        let log = Log { conn, database: ManuallyDrop::new(File::options().read(true).write(true).open(path)?) };
        this.on.store(true, Ordering::Relaxed);
        let this = Arc::downgrade(this);
        std::thread::Builder::new().name("store-log".to_owned()).spawn(move || serve(&log, &this)).map(drop)
    }

    /// Whether the log is moved by a thread, so that no connection has to.
    pub fn on(&self) -> bool {
        self.on.load(Ordering::Relaxed)
    }

    /// What a connection does before it writes. SQLite begins the log anew for a
    /// transaction that finds all of it moved; beside a busy writer no other thread
    /// gets that far without holding it up.
    pub fn before_write(&self, conn: &rusqlite::Connection) -> Result<(), StoreError> {
        if self.failed.load(Ordering::Acquire) {
            return Err(StoreError::Stopped);
        }
        if self.long.swap(false, Ordering::Relaxed) {
            moved(conn).map_err(failed)?;
        }
        Ok(())
    }

    fn step(&self, log: &Log, long: i64) -> Result<i64, StoreError> {
        let outcome = log.move_on();
        match &outcome {
            Ok(pages) => self.long.store(*pages >= long, Ordering::Relaxed),
            Err(StoreError::Stopped) => self.failed.store(true, Ordering::Release),
            Err(_) => {}
        }
        outcome
    }
}

fn serve(log: &Log, tending: &Weak<Tending>) {
    while let Some(tending) = tending.upgrade() {
        match tending.step(log, LONG) {
            Ok(_) => {}
            Err(StoreError::Stopped) => return tracing::error!("an fsync of the database failed: this process writes no more"),
            Err(e) => tracing::warn!(error = %e, "the write-ahead log stays long for a while"),
        }
        drop(tending);
        std::thread::sleep(EVERY);
    }
}

/// Moves what no reader is in the way of; how many pages the log has.
fn moved(conn: &rusqlite::Connection) -> rusqlite::Result<i64> {
    conn.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |row| row.get(1))
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

    /// A file with a table, a connection that writes it and one that moves its log.
    fn store(folder: &tempfile::TempDir) -> (Sqlite, Box<dyn Connection>, Log) {
        let engine = Sqlite::new(folder.path().join("a.db"));
        // Nobody moves it by the way.
        engine.tending.on.store(true, Ordering::Relaxed);
        let mut s = engine.connect().unwrap();
        s.batch("CREATE TABLE t (n BIGINT, filler BLOB)").unwrap();
        let database = ManuallyDrop::new(File::options().write(true).open(engine.path()).unwrap());
        let log = Log { conn: engine.open().unwrap(), database };
        (engine, s, log)
    }

    #[test]
    fn a_long_log_begins_anew_and_loses_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let (engine, mut s, log) = store(&folder);
        for _ in 0..3 {
            write(s.as_mut(), MANY / 2 + 100);
        }
        engine.tending.step(&log, MANY).unwrap();
        write(s.as_mut(), 1);
        let pages = engine.tending.step(&log, MANY).unwrap();
        assert!(pages < 100, "{pages} pages after it began anew");
        assert_eq!(s.one("SELECT COUNT(*) FROM t", &[]).unwrap().unwrap().int(0), Ok(3 * (MANY / 2 + 100) + 1));
    }

    #[test]
    fn a_reader_puts_it_off_and_holds_nobody_up() {
        let folder = tempfile::tempdir().unwrap();
        let (engine, mut s, log) = store(&folder);
        let mut reader = engine.connect().unwrap();
        write(s.as_mut(), 10);
        reader.begin_read().unwrap();
        let seen = |reader: &mut dyn Connection| reader.one("SELECT COUNT(*) FROM t", &[]).unwrap().unwrap().int(0).unwrap();
        assert_eq!(seen(reader.as_mut()), 10);
        write(s.as_mut(), MANY + 100);
        engine.tending.step(&log, MANY).unwrap();
        write(s.as_mut(), 1);
        assert!(engine.tending.step(&log, MANY).unwrap() > MANY, "what a reader sees is kept");
        assert_eq!(seen(reader.as_mut()), 10);
        reader.rollback();
        engine.tending.step(&log, MANY).unwrap();
        write(s.as_mut(), 1);
        assert!(engine.tending.step(&log, MANY).unwrap() < 100);
    }

    #[test]
    fn nothing_is_written_after_a_failed_fsync() {
        let folder = tempfile::tempdir().unwrap();
        let (engine, mut s, _) = store(&folder);
        engine.tending.failed.store(true, Ordering::Release);
        assert_eq!(s.begin(), Err(StoreError::Stopped));
        assert_eq!(engine.connect().unwrap().begin(), Err(StoreError::Stopped), "nor by another connection");
    }
}
