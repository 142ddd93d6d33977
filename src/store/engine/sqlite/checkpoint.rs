//! Moves what was committed from the write-ahead log into the database file, on a
//! thread of its own, so that hardly a commit has to.
//!
//! Promises: the thread takes no lock that a writer waits for; a long log begins anew
//! as soon as no reader needs it; nothing is written any more after an fsync failed,
//! whosever it was; the thread ends with the engine's connections.

use rusqlite::ffi;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

/// How often the log is looked at.
const EVERY: Duration = Duration::from_millis(250);
/// A log of so many pages begins anew.
const LONG: i64 = 64_000;

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
    pub fn start(this: &Arc<Self>, conn: rusqlite::Connection) -> std::io::Result<()> {
        this.on.store(true, Ordering::Relaxed);
        let this = Arc::downgrade(this);
        std::thread::Builder::new().name("store-log".to_owned()).spawn(move || serve(&conn, &this)).map(drop)
    }

    /// Whether the log is moved by a thread, so that no connection has to.
    pub fn on(&self) -> bool {
        self.on.load(Ordering::Relaxed)
    }

    /// What a connection does before it writes. SQLite begins the log anew for a
    /// transaction that finds all of it moved; beside a busy writer no other thread
    /// gets that far without holding it up.
    pub fn before_write(&self, conn: &rusqlite::Connection) -> rusqlite::Result<()> {
        if self.failed.load(Ordering::Acquire) {
            return Err(fsync_failed());
        }
        if self.long.swap(false, Ordering::Relaxed) {
            moved(conn)?;
        }
        Ok(())
    }

    /// Moves what there is, onto the disk. `Err` where nothing may be written any more.
    fn step(&self, conn: &rusqlite::Connection, long: i64) -> rusqlite::Result<i64> {
        match moved(conn).and_then(|pages| sync(conn).map(|()| pages)) {
            Ok(pages) => {
                self.long.store(pages >= long, Ordering::Relaxed);
                Ok(pages)
            }
            Err(e) => {
                if is_fsync(&e) {
                    self.failed.store(true, Ordering::Release);
                }
                Err(e)
            }
        }
    }
}

fn serve(conn: &rusqlite::Connection, tending: &Weak<Tending>) {
    while let Some(tending) = tending.upgrade() {
        if let Err(e) = tending.step(conn, LONG) {
            if is_fsync(&e) {
                tracing::error!(error = %e, "an fsync of the database failed: nothing is written any more");
                return;
            }
            tracing::warn!(error = %e, "the write-ahead log stays long for a while");
        }
        drop(tending);
        std::thread::sleep(EVERY);
    }
}

/// Moves what no reader is in the way of; how many pages the log has.
fn moved(conn: &rusqlite::Connection) -> rusqlite::Result<i64> {
    conn.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |row| row.get(1))
}

/// Syncs the database file. SQLite does that at the end of a move only where nobody
/// wrote meanwhile, so that under load all of it would be left to who moves the rest.
#[allow(unsafe_code, reason = "SQLite syncs its file by this call alone")]
fn sync(conn: &rusqlite::Connection) -> rusqlite::Result<()> {
    let mut file: *mut ffi::sqlite3_file = std::ptr::null_mut();
    // SAFETY: the connection is open and this thread's alone; SQLite writes one pointer
    // to where it is told, of a file that is there as long as the connection. A second
    // descriptor would not do: closing it drops the locks of all of the process.
    let code = unsafe {
        let found = ffi::sqlite3_file_control(conn.handle(), c"main".as_ptr(), ffi::SQLITE_FCNTL_FILE_POINTER, (&raw mut file).cast());
        let methods = if file.is_null() { std::ptr::null() } else { (*file).pMethods };
        match methods.as_ref().and_then(|m| m.xSync).filter(|_| found == ffi::SQLITE_OK) {
            Some(sync) => sync(file, ffi::SQLITE_SYNC_NORMAL),
            None => ffi::SQLITE_MISUSE,
        }
    };
    if code == ffi::SQLITE_OK { Ok(()) } else { Err(rusqlite::Error::SqliteFailure(ffi::Error::new(code), None)) }
}

/// SQLITE_IOERR_FSYNC and SQLITE_IOERR_DIR_FSYNC: what was written may be lost although
/// later calls succeed.
pub(super) fn is_fsync(e: &rusqlite::Error) -> bool {
    e.sqlite_error().is_some_and(|code| matches!(code.extended_code, ffi::SQLITE_IOERR_FSYNC | ffi::SQLITE_IOERR_DIR_FSYNC))
}

fn fsync_failed() -> rusqlite::Error {
    rusqlite::Error::SqliteFailure(ffi::Error::new(ffi::SQLITE_IOERR_FSYNC), None)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::engine::{Connection, Engine, StoreError, params, sqlite::Sqlite};

    const MANY: i64 = 2_000;

    fn write(s: &mut dyn Connection, rows: i64) {
        s.begin().unwrap();
        for n in 0..rows {
            s.exec("INSERT INTO t (n, filler) VALUES ($1, $2)", params![n, vec![7u8; 3000]]).unwrap();
        }
        s.commit().unwrap();
    }

    /// A file with a table, a connection that writes it and one that moves its log.
    fn store(folder: &tempfile::TempDir) -> (Sqlite, Box<dyn Connection>, rusqlite::Connection) {
        let engine = Sqlite::new(folder.path().join("a.db"));
        // Nobody moves it by the way.
        engine.tending.on.store(true, Ordering::Relaxed);
        let mut s = engine.connect().unwrap();
        s.batch("CREATE TABLE t (n BIGINT, filler BLOB)").unwrap();
        let log = engine.open().unwrap();
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
        let seen = reader.one("SELECT COUNT(*) FROM t", &[]).unwrap().unwrap();
        write(s.as_mut(), MANY + 100);
        engine.tending.step(&log, MANY).unwrap();
        write(s.as_mut(), 1);
        assert!(engine.tending.step(&log, MANY).unwrap() > MANY, "what a reader sees is kept");
        assert_eq!(reader.one("SELECT COUNT(*) FROM t", &[]).unwrap().unwrap(), seen);
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
