//! The face of a database: a few methods, over a small value enum. Every
//! business fact is written once over [`Sql`]; only DDL types and a few named
//! fragments differ between the engines.
//!
//! `$1`-style parameters and these fragments are understood in every text:
//! `{blob}` `{serial}` `{rowid}` (column types, the last of a key that is a number),
//! `{clustered}` (rows in the order of their
//! key, where the engine can), `{for_update}` `{skip_locked}`, `{room}` (bytes that a row
//! is made with and gives up later).

pub mod bulk;
pub mod postgres;
pub mod sqlite;

use std::fmt;

/// One value going in or coming out.
#[derive(Clone, Debug, PartialEq)]
pub enum Val {
    Null,
    Int(i64),
    Real(f64),
    Text(String),
    Blob(Vec<u8>),
}

// A macro, since each of these conversions differs in its type alone.
macro_rules! into_val {
    ($($from:ty => |$v:ident| $make:expr;)*) => {$(
        impl From<$from> for Val {
            fn from($v: $from) -> Self {
                $make
            }
        }
    )*};
}
into_val! {
    i64 => |v| Val::Int(v);
    i32 => |v| Val::Int(v.into());
    u32 => |v| Val::Int(v.into());
    u8 => |v| Val::Int(v.into());
    bool => |v| Val::Int(v.into());
    f64 => |v| Val::Real(v);
    &str => |v| Val::Text(v.to_owned());
    String => |v| Val::Text(v);
    Vec<u8> => |v| Val::Blob(v);
    &[u8] => |v| Val::Blob(v.to_vec());
    uuid::Uuid => |v| Val::Blob(v.as_bytes().to_vec());
}

impl<T: Into<Val>> From<Option<T>> for Val {
    fn from(v: Option<T>) -> Self {
        v.map_or(Val::Null, Into::into)
    }
}

/// Builds a parameter list: `params![id, now, "open"]`. A macro, since the
/// values are of different types.
macro_rules! params {
    ($($v:expr),* $(,)?) => { &[$($crate::store::engine::Val::from($v)),*] as &[$crate::store::engine::Val] };
}
pub(crate) use params;

/// One row of an answer.
#[derive(Clone, Debug)]
pub struct Row(pub Vec<Val>);

impl Row {
    fn at(&self, column: usize) -> &Val {
        self.0.get(column).unwrap_or(&Val::Null)
    }

    fn wrong<T>(&self, column: usize, wanted: &str) -> Result<T, StoreError> {
        Err(StoreError::Corrupt(format!("column {column} is no {wanted}")))
    }

    pub fn int(&self, column: usize) -> Result<i64, StoreError> {
        match self.at(column) {
            Val::Int(v) => Ok(*v),
            _ => self.wrong(column, "integer"),
        }
    }

    pub fn opt_int(&self, column: usize) -> Result<Option<i64>, StoreError> {
        if self.is_null(column) { Ok(None) } else { self.int(column).map(Some) }
    }

    pub fn text(&self, column: usize) -> Result<&str, StoreError> {
        match self.at(column) {
            Val::Text(v) => Ok(v),
            _ => self.wrong(column, "text"),
        }
    }

    pub fn opt_text(&self, column: usize) -> Result<Option<&str>, StoreError> {
        if self.is_null(column) { Ok(None) } else { self.text(column).map(Some) }
    }

    pub fn blob(&self, column: usize) -> Result<&[u8], StoreError> {
        match self.at(column) {
            Val::Blob(v) => Ok(v),
            _ => self.wrong(column, "bytes"),
        }
    }

    pub fn opt_blob(&self, column: usize) -> Result<Option<&[u8]>, StoreError> {
        if self.is_null(column) { Ok(None) } else { self.blob(column).map(Some) }
    }

    pub fn uuid(&self, column: usize) -> Result<uuid::Uuid, StoreError> {
        uuid::Uuid::from_slice(self.blob(column)?).or_else(|_| self.wrong(column, "id"))
    }

    pub fn opt_uuid(&self, column: usize) -> Result<Option<uuid::Uuid>, StoreError> {
        if self.is_null(column) { Ok(None) } else { self.uuid(column).map(Some) }
    }

    pub fn flag(&self, column: usize) -> Result<bool, StoreError> {
        self.int(column).map(|v| v != 0)
    }

    /// A count that fits 32 bits.
    pub fn count(&self, column: usize) -> Result<u32, StoreError> {
        u32::try_from(self.int(column)?).or_else(|_| self.wrong(column, "count"))
    }

    pub fn is_null(&self, column: usize) -> bool {
        matches!(self.at(column), Val::Null)
    }
}

/// An update of at most one row, found by its key `$1`, of which columns are read back.
pub struct Update {
    /// All in one statement.
    pub whole: &'static str,
    /// The update alone, and the columns of the row with the key.
    pub alone: &'static str,
    pub read: &'static str,
}

/// An [`Update`] of a table: `SET … WHERE id = $1 …`, and the columns.
macro_rules! update {
    ($table:literal, $rest:literal, $columns:literal) => {
        $crate::store::engine::Update {
            whole: concat!("UPDATE ", $table, " ", $rest, " RETURNING ", $columns),
            alone: concat!("UPDATE ", $table, " ", $rest),
            read: concat!("SELECT ", $columns, " FROM ", $table, " WHERE id = $1"),
        }
    };
}
pub(crate) use update;

/// A connection, inside a transaction or not.
pub trait Sql {
    /// Runs one statement and says how many rows it touched.
    fn exec(&mut self, sql: &'static str, params: &[Val]) -> Result<u64, StoreError>;
    /// Runs one statement and reads its rows.
    fn query(&mut self, sql: &'static str, params: &[Val]) -> Result<Vec<Row>, StoreError>;
    /// Runs several statements without parameters.
    fn batch(&mut self, sql: &str) -> Result<(), StoreError>;

    /// Runs one statement and looks at its rows as they come; an engine keeps none.
    fn each(&mut self, sql: &'static str, params: &[Val], look: &mut dyn FnMut(Row) -> Result<(), StoreError>) -> Result<(), StoreError> {
        self.query(sql, params)?.into_iter().try_for_each(look)
    }

    /// Updates a row and reads it; none where none was updated.
    fn update(&mut self, update: &Update, params: &[Val]) -> Result<Option<Row>, StoreError> {
        self.one(update.whole, params)
    }

    /// The first row, where there is one.
    fn one(&mut self, sql: &'static str, params: &[Val]) -> Result<Option<Row>, StoreError> {
        Ok(self.query(sql, params)?.into_iter().next())
    }
}

/// A connection that can be in a transaction of its own.
pub trait Connection: Sql + Send {
    /// Others may be in transactions that write at the same time.
    fn is_shared(&self) -> bool;
    /// Begins a transaction that will write.
    fn begin(&mut self) -> Result<(), StoreError>;
    /// Begins a transaction that sees one state and writes nothing.
    fn begin_read(&mut self) -> Result<(), StoreError>;
    /// Takes the lock behind which sequence order is commit order.
    fn lock_log(&mut self) -> Result<(), StoreError>;
    /// After an error here the outcome is unknown.
    fn commit(&mut self) -> Result<(), StoreError>;
    fn rollback(&mut self);
    /// False once the connection must be replaced.
    fn alive(&self) -> bool;
}

/// Opens connections to one database.
pub trait Engine: Send + Sync {
    fn connect(&self) -> Result<Box<dyn Connection>, StoreError>;
    /// Opens two connections, each in a transaction that writes nothing and sees the same
    /// state as the other's.
    fn read_beside(&self) -> Result<[Box<dyn Connection>; 2], StoreError>;
    /// Does beside the connections that are opened from now on what they would have to
    /// do themselves; for the one process that serves an embedded file.
    fn tend(&self) -> Result<(), StoreError> {
        Ok(())
    }
    /// `sqlite` or `postgres`.
    fn name(&self) -> &'static str;
}

/// Why the store did not do what it was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoreError {
    /// Somebody else holds it; nothing was done.
    Busy,
    /// The database cannot be reached; nothing was done.
    Unavailable(String),
    /// The commit was issued and not answered: it may stand or not.
    Unknown(String),
    /// An fsync failed: this process writes no more.
    Stopped,
    /// A uniqueness or CHECK constraint refused it.
    Constraint(String),
    /// What was read is not what was written.
    Corrupt(String),
    /// The statement is at fault.
    Statement(String),
}

impl StoreError {
    /// Whether the same call may go through later.
    pub fn is_temporary(&self) -> bool {
        matches!(self, StoreError::Busy | StoreError::Unavailable(_) | StoreError::Unknown(_))
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StoreError::Busy => f.write_str("the store is busy"),
            StoreError::Unavailable(why) => write!(f, "the store cannot be reached: {why}"),
            StoreError::Unknown(why) => write!(f, "the commit was not answered: {why}"),
            StoreError::Stopped => f.write_str("the store takes no more writes after a failed fsync"),
            StoreError::Constraint(why) => write!(f, "a constraint refused it: {why}"),
            StoreError::Corrupt(why) => write!(f, "the store holds something unreadable: {why}"),
            StoreError::Statement(why) => write!(f, "a statement failed: {why}"),
        }
    }
}

impl std::error::Error for StoreError {}

/// Replaces the named fragments of a text for one engine.
fn expand(sql: &str, fragments: &[(&str, &str)]) -> String {
    fragments.iter().fold(sql.to_owned(), |text, (name, value)| text.replace(name, value))
}
