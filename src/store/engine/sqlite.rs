//! SQLite, bundled: WAL, `synchronous=FULL`. Other processes may write beside
//! this one, so each write begins IMMEDIATE and waits for the lock.

mod checkpoint;

use super::{Connection, Engine, Row, Sql, StoreError, Update, Val, expand};
use foldhash::fast::FixedState;
use rusqlite::config::DbConfig;
use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{ErrorCode, OpenFlags};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

const FRAGMENTS: &[(&str, &str)] = &[
    ("{blob}", "BLOB"),
    ("{serial}", "INTEGER PRIMARY KEY AUTOINCREMENT"),
    ("{rowid}", "INTEGER"),
    ("{clustered}", "WITHOUT ROWID"),
    ("{for_update}", ""),
    ("{room}", "zeroblob(24)"),
    ("{skip_locked}", ""),
    ("{title}", "json_extract(content, '$.title')"),
    (
        "{last_home}",
        "(SELECT json_extract(h.value, '$.home') FROM json_each(a.account, '$.hires') h
          ORDER BY json_extract(h.value, '$.started_on') DESC NULLS LAST, h.key DESC LIMIT 1)",
    ),
];

/// How often two connections try to begin in the same state while others write: it takes
/// them some microseconds, and a write milliseconds.
const SAME_STATE_TRIES: u32 = 1000;

/// The file behind `sqlite://PATH`.
pub struct Sqlite {
    path: PathBuf,
    tending: Arc<checkpoint::Tending>,
}

impl Sqlite {
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), tending: Arc::default() }
    }

    fn open(&self) -> Result<rusqlite::Connection, StoreError> {
        if let Some(folder) = self.path.parent().filter(|p| !p.as_os_str().is_empty()) {
            std::fs::create_dir_all(folder).map_err(|e| StoreError::Unavailable(format!("{}: {e}", folder.display())))?;
        }
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let conn = rusqlite::Connection::open_with_flags(&self.path, flags).map_err(unavailable)?;
        conn.busy_timeout(Duration::from_secs(10)).map_err(unavailable)?;
        // A plan follows from the text alone: else a statement is planned anew for each
        // value that is bound to it where a partial index is near, at ten times its cost.
        conn.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true).map_err(unavailable)?;
        // Whoever writes beside a server, or where none runs, moves the log by itself.
        let alone = if self.tending.on() { 0 } else { 16_000 };
        conn.execute_batch(&format!(
            "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA foreign_keys=ON; PRAGMA temp_store=MEMORY;
             PRAGMA cache_size=-65536; PRAGMA mmap_size=2147418112; PRAGMA secure_delete=ON; PRAGMA wal_autocheckpoint={alone};"
        ))
        .map_err(unavailable)?;
        Ok(conn)
    }

    fn connection(&self) -> Result<SqliteConnection, StoreError> {
        let conn = self.open()?;
        conn.set_prepared_statement_cache_capacity(512);
        Ok(SqliteConnection { conn, tending: self.tending.clone(), texts: HashMap::default() })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Engine for Sqlite {
    fn connect(&self) -> Result<Box<dyn Connection>, StoreError> {
        Ok(Box::new(self.connection()?))
    }

    fn read_beside(&self) -> Result<[Box<dyn Connection>; 2], StoreError> {
        let (mut one, mut other) = (self.connection()?, self.connection()?);
        for _ in 0..SAME_STATE_TRIES {
            // Where the other sees after the one what it saw before, nobody wrote between.
            let before = other.version()?;
            one.begin_read()?;
            one.version()?;
            other.begin_read()?;
            if other.version()? == before {
                return Ok([Box::new(one), Box::new(other)]);
            }
            one.rollback();
            other.rollback();
        }
        Err(StoreError::Busy)
    }

    fn tend(&self) -> Result<(), StoreError> {
        let conn = self.open()?;
        checkpoint::Tending::start(&self.tending, conn, &self.path).map_err(|e| StoreError::Unavailable(e.to_string()))
    }

    fn name(&self) -> &'static str {
        "sqlite"
    }
}

struct SqliteConnection {
    conn: rusqlite::Connection,
    tending: Arc<checkpoint::Tending>,
    /// Each text rewritten once, by its address: `$1` is a named parameter to
    /// SQLite, `?1` a numbered one.
    texts: HashMap<(usize, usize), Arc<str>, FixedState>,
}

impl SqliteConnection {
    /// A number that is another one once somebody else wrote; a transaction that read it
    /// sees the state that it is of.
    fn version(&self) -> Result<i64, StoreError> {
        self.conn.pragma_query_value(None, "data_version", |row| row.get(0)).map_err(failed)
    }

    fn text(&mut self, sql: &'static str) -> Arc<str> {
        let key = (sql.as_ptr() as usize, sql.len());
        self.texts.entry(key).or_insert_with(|| expand(sql, FRAGMENTS).replace('$', "?").into()).clone()
    }
}

impl rusqlite::ToSql for Val {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Val::Null => ValueRef::Null,
            Val::Int(v) => ValueRef::Integer(*v),
            Val::Real(v) => ValueRef::Real(*v),
            Val::Text(v) => ValueRef::Text(v.as_bytes()),
            Val::Blob(v) => ValueRef::Blob(v),
        }))
    }
}

impl Sql for SqliteConnection {
    fn exec(&mut self, sql: &'static str, params: &[Val]) -> Result<u64, StoreError> {
        let text = self.text(sql);
        let mut statement = self.conn.prepare_cached(&text).map_err(failed)?;
        statement.execute(rusqlite::params_from_iter(params)).map(|n| n as u64).map_err(failed)
    }

    fn query(&mut self, sql: &'static str, params: &[Val]) -> Result<Vec<Row>, StoreError> {
        let mut out = Vec::new();
        self.each(sql, params, &mut |row| {
            out.push(row);
            Ok(())
        })?;
        Ok(out)
    }

    fn each(&mut self, sql: &'static str, params: &[Val], look: &mut dyn FnMut(Row) -> Result<(), StoreError>) -> Result<(), StoreError> {
        let text = self.text(sql);
        let mut statement = self.conn.prepare_cached(&text).map_err(failed)?;
        let columns = statement.column_count();
        let mut rows = statement.query(rusqlite::params_from_iter(params)).map_err(failed)?;
        while let Some(row) = rows.next().map_err(failed)? {
            let mut values = Vec::with_capacity(columns);
            for column in 0..columns {
                values.push(match row.get_ref(column).map_err(failed)? {
                    ValueRef::Null => Val::Null,
                    ValueRef::Integer(v) => Val::Int(v),
                    ValueRef::Real(v) => Val::Real(v),
                    ValueRef::Text(v) => Val::Text(text_of(v)),
                    ValueRef::Blob(v) => Val::Blob(v.to_vec()),
                });
            }
            look(Row(values))?;
        }
        Ok(())
    }

    /// What is returned is put into a table of its own, which costs more than to look at
    /// the row again.
    fn update(&mut self, update: &Update, params: &[Val]) -> Result<Option<Row>, StoreError> {
        if self.exec(update.alone, params)? == 0 { Ok(None) } else { self.one(update.read, &params[..1]) }
    }

    fn batch(&mut self, sql: &str) -> Result<(), StoreError> {
        self.conn.execute_batch(&expand(sql, FRAGMENTS)).map_err(failed)
    }
}

/// Others may have written bytes that are no text.
fn text_of(bytes: &[u8]) -> String {
    std::str::from_utf8(bytes).map_or_else(|_| String::from_utf8_lossy(bytes).into_owned(), str::to_owned)
}

impl Connection for SqliteConnection {
    fn is_shared(&self) -> bool {
        false
    }

    fn begin(&mut self) -> Result<(), StoreError> {
        self.tending.before_write(&self.conn)?;
        self.conn.execute_batch("BEGIN IMMEDIATE").map_err(failed)
    }

    fn begin_read(&mut self) -> Result<(), StoreError> {
        self.conn.execute_batch("BEGIN DEFERRED").map_err(failed)
    }

    fn lock_log(&mut self) -> Result<(), StoreError> {
        Ok(()) // BEGIN IMMEDIATE already excludes every other writer.
    }

    fn commit(&mut self) -> Result<(), StoreError> {
        self.conn.execute_batch("COMMIT").map_err(|e| match failed(e) {
            StoreError::Busy => StoreError::Busy,
            StoreError::Stopped => StoreError::Stopped,
            other => StoreError::Unknown(other.to_string()),
        })
    }

    fn rollback(&mut self) {
        // Fails only where SQLite has already rolled back by itself.
        let _ = self.conn.execute_batch("ROLLBACK");
    }

    fn alive(&self) -> bool {
        true
    }
}

fn unavailable(e: rusqlite::Error) -> StoreError {
    StoreError::Unavailable(e.to_string())
}

fn failed(e: rusqlite::Error) -> StoreError {
    let Some(code) = e.sqlite_error() else {
        return StoreError::Statement(e.to_string());
    };
    // SQLITE_IOERR_FSYNC and SQLITE_IOERR_DIR_FSYNC: what was written may be lost
    // although later calls succeed.
    if matches!(code.extended_code, 1034 | 1290) {
        return StoreError::Stopped;
    }
    match code.code {
        ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => StoreError::Busy,
        ErrorCode::ConstraintViolation => StoreError::Constraint(e.to_string()),
        ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase => StoreError::Corrupt(e.to_string()),
        ErrorCode::SystemIoFailure | ErrorCode::DiskFull | ErrorCode::CannotOpen | ErrorCode::ReadOnly => unavailable(e),
        _ => StoreError::Statement(e.to_string()),
    }
}
