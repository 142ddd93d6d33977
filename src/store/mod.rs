//! Everything the gateway remembers. One body of SQL over two engines; each async
//! method is one business fact and atomic.
//!
//! Promises: an effect, its events, its ledger entries and its idempotency record
//! stand or fall together; a method that writes answers after the commit is on
//! disk; identity fields leave only masked or through [`Store::reveal`].
//! Does not: decide when something is due, or send anything.

pub mod access;
pub mod additions;
pub mod alerts;
pub mod answers;
pub mod baselines;
pub mod books;
pub mod cells;
pub mod clients;
pub mod complaints;
pub mod counties;
pub mod deliveries;
pub mod endpoints;
pub mod engine;
pub mod feeds;
pub mod forget;
pub mod groups;
pub mod hires;
pub mod ids;
pub mod links;
pub mod log;
pub mod names;
pub mod notices;
pub mod offers;
pub mod once;
pub mod people;
pub mod periods;
pub mod postings;
pub mod readers;
pub mod recount;
pub mod registry;
pub mod replays;
pub mod replies;
pub mod reports;
pub mod reviews;
mod rollups;
pub mod runs;
mod schema;
pub mod seals;
mod seats;
pub mod seekers;
pub mod seeking;
pub mod vault;
pub mod wants;
pub mod waves;
pub mod work;
pub mod workers;
pub mod writer;

pub use engine::StoreError;

use crate::config::keys::Keys;
use engine::{Engine, Sql};
use ids::Ids;
use names::Names;
use readers::Readers;
use std::sync::Arc;
use tokio::sync::watch;
use vault::Vault;
use writer::{Tx, Writer};

/// The store, cheap to clone.
#[derive(Clone)]
pub struct Store {
    engine: Arc<dyn Engine>,
    writer: Writer,
    readers: Readers,
    vault: Vault,
    names: Names,
    ids: Arc<Ids>,
    url: Arc<str>,
    /// Months for which a sign of life holds.
    stale_months: u32,
    /// Held while this process serves an embedded file.
    _serving: Option<Arc<std::fs::File>>,
}

/// Why a store could not be opened.
#[derive(Debug)]
pub enum OpenError {
    /// Another process serves this file.
    Served(String),
    /// The keys are not those that the store was made with.
    OtherKeys,
    Store(StoreError),
}

impl std::fmt::Display for OpenError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            OpenError::Served(path) => write!(f, "another doorstep serves {path}; stop it, or give this one a store of its own"),
            OpenError::OtherKeys => {
                f.write_str("keys.file holds other keys than those this store was made with; nothing in it could be read")
            }
            OpenError::Store(e) => e.fmt(f),
        }
    }
}

impl From<StoreError> for OpenError {
    fn from(e: StoreError) -> Self {
        OpenError::Store(e)
    }
}

/// How a store is opened.
pub struct Opening<'a> {
    pub url: &'a str,
    pub readers: usize,
    pub keys: Arc<Keys>,
    pub ids: Arc<Ids>,
    /// Months for which a sign of life holds.
    pub stale_months: u32,
    /// Serve it: on an embedded file nobody else may do so at the same time.
    pub serve: bool,
}

/// The database behind a URL.
pub fn engine_of(url: &str) -> Result<Arc<dyn Engine>, StoreError> {
    if let Some(path) = url.strip_prefix("sqlite://") {
        return Ok(Arc::new(engine::sqlite::Sqlite::new(path)));
    }
    Ok(Arc::new(engine::postgres::Postgres::new(url)?))
}

impl Store {
    /// Opens a store and brings its tables up to date. Call it on a thread that
    /// may block.
    pub fn open(opening: Opening<'_>) -> Result<Self, OpenError> {
        let engine = engine_of(opening.url)?;
        let serving = if opening.serve { serve_alone(opening.url)? } else { None };
        let alone = serving.is_some();
        let vault = Vault::new(opening.keys);
        let mut conn = engine.connect()?;
        schema::migrate(conn.as_mut())?;
        check_keys(conn.as_mut(), &vault)?;
        endpoints::give_keys(conn.as_mut(), &vault, &opening.ids)?;
        let names = Names::open(conn.as_mut(), &vault, &opening.ids)?;
        if alone {
            // Whoever held these leases is gone: nobody else serves this file.
            conn.exec("UPDATE idempotency SET lease_until = 0 WHERE state = 'running'", &[])?;
            conn.exec("UPDATE feeds SET lease_until = 0", &[])?;
        }
        drop(conn);
        if alone {
            engine.tend()?;
        }
        let writer = Writer::start(engine.clone(), opening.ids.clone(), names.clone(), opening.stale_months)?;
        let readers = Readers::start(engine.clone(), opening.readers)?;
        Ok(Self {
            engine,
            writer,
            readers,
            vault,
            names,
            ids: opening.ids,
            url: opening.url.into(),
            stale_months: opening.stale_months,
            _serving: serving,
        })
    }

    /// Nobody serves this embedded file now, so that long transactions delay nobody.
    pub fn is_unserved(&self) -> bool {
        self.url.starts_with("sqlite://") && self._serving.is_none() && serve_alone(&self.url).is_ok()
    }

    /// `sqlite` or `postgres`.
    pub fn engine_name(&self) -> &'static str {
        self.engine.name()
    }

    /// Changes with every commit of this process.
    pub fn commits(&self) -> watch::Receiver<u64> {
        self.writer.commits()
    }

    /// From now on workers are to be told what concerns them: whatever does so makes a
    /// message due, so long after the first of it.
    pub fn tell_workers(&self, collect: std::time::Duration) {
        self.writer.tell_workers(collect);
    }

    /// Changes with every commit of this process that holds events.
    pub fn event_commits(&self) -> watch::Receiver<u64> {
        self.writer.event_commits()
    }

    /// A MAC of a request body, by which a repeated key is told from a reused one.
    pub fn body_mac(&self, parts: &[&[u8]]) -> Vec<u8> {
        let mut all = Vec::new();
        for part in parts {
            all.extend_from_slice(&(part.len() as u64).to_be_bytes());
            all.extend_from_slice(part);
        }
        self.vault.mac("body", &all).to_vec()
    }

    /// An id for something that is made now.
    pub fn fresh_id(&self, now: crate::domain::time::Moment) -> uuid::Uuid {
        self.ids.v7(now)
    }

    /// The store answers.
    pub async fn ping(&self) -> Result<(), StoreError> {
        self.read(|s| s.query("SELECT 1", &[]).map(|_| ())).await
    }

    async fn write<T: Send + 'static>(
        &self,
        work: impl FnMut(&mut Tx<'_>) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.writer.write(work).await
    }

    async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut dyn Sql) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.readers.read(work).await
    }
}

/// Takes the lock beside an embedded file that only one server may hold; none for
/// a database that many may serve.
fn serve_alone(url: &str) -> Result<Option<Arc<std::fs::File>>, OpenError> {
    let Some(path) = url.strip_prefix("sqlite://") else { return Ok(None) };
    let unavailable = |e: std::io::Error| StoreError::Unavailable(format!("{path}: {e}"));
    if let Some(folder) = std::path::Path::new(path).parent() {
        std::fs::create_dir_all(folder).map_err(unavailable)?;
    }
    let file = std::fs::File::create(format!("{path}.serve")).map_err(unavailable)?;
    match file.try_lock() {
        Ok(()) => Ok(Some(Arc::new(file))),
        Err(std::fs::TryLockError::WouldBlock) => Err(OpenError::Served(path.to_owned())),
        Err(std::fs::TryLockError::Error(e)) => Err(unavailable(e).into()),
    }
}

/// A fingerprint of the keys is kept in the store: other keys would write what
/// nobody can join or read.
fn check_keys(conn: &mut dyn engine::Connection, vault: &Vault) -> Result<(), OpenError> {
    let hex = |bytes: [u8; 32]| bytes[..8].iter().map(|b| format!("{b:02x}")).collect::<String>();
    let print = hex(vault.mac("fingerprint", b""));
    conn.exec("INSERT INTO meta (name, value) VALUES ('keys', $1) ON CONFLICT (name) DO NOTHING", engine::params![print.as_str()])?;
    let kept = conn.one("SELECT value FROM meta WHERE name = 'keys'", &[])?;
    match kept {
        Some(row) if row.text(0)? == print => Ok(()),
        _ => Err(OpenError::OtherKeys),
    }
}

/// A region as the store keeps it.
fn region(code: i64) -> Result<crate::domain::region::Region, StoreError> {
    let known = u32::try_from(code).ok().and_then(crate::domain::region::Region::from_code);
    known.ok_or_else(|| StoreError::Corrupt(format!("{code} is no division of this revision")))
}

/// 256 bits of randomness as a text for a URL.
fn token(ids: &Ids) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(ids.bytes::<32>())
}
