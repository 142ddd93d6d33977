//! The sealed log: the ledger's entries in a Merkle tree (RFC 6962 §2.1), signed
//! checkpoints of it, and proofs that an entry is in one.
//!
//! Promises: the tree grows in one line, whichever nodes append to it, so that two
//! checkpoints of a store never contradict each other; an appended slice, its tiles
//! and the frontier after it stand or fall together; a proof reads a few rows.
//! Does not: sign anything where the ledger did not grow, or trust an entry that was
//! changed between its hash and its tile.
//! Start at: [`Store::seal`]; [`verify`] looks over all of it.

pub mod note;
mod proof;
pub mod verify;

pub use proof::Proof;

use super::engine::{Row, Sql, StoreError, Val, params};
use super::{Store, log};
use crate::domain::merkle::{Frontier, Hash, leaf_hash, perfect_root};
use crate::domain::time::Moment;
use serde::Serialize;
use uuid::Uuid;

/// Entries whose hashes are appended in one transaction.
const SLICE: i64 = 4096;
/// Hashes in a tile, and the levels of the tree that it spans (C2SP tlog-tiles).
const TILE: usize = 256;
const TILE_LEVELS: u32 = 8;

/// An entry of the ledger as it is hashed.
#[derive(Clone, Copy, Debug)]
pub struct Entry<'a> {
    /// From 1, without a gap.
    pub seq: i64,
    /// Milliseconds since 1970.
    pub at: i64,
    pub kind: &'a str,
    /// The nil id where it is about no person.
    pub worker: Uuid,
    pub hire: Option<Uuid>,
    pub leaf: &'a str,
}

/// The columns that [`Entry::read`] takes.
macro_rules! entry {
    ($rest:literal) => {
        concat!("SELECT seq, at, kind, worker, hire, leaf FROM ledger ", $rest)
    };
}
pub(crate) use entry;

impl<'a> Entry<'a> {
    pub(super) fn read(row: &'a Row) -> Result<Self, StoreError> {
        let (seq, at, worker, hire) = (row.int(0)?, row.int(1)?, row.uuid(3)?, row.opt_uuid(4)?);
        Ok(Self { seq, at, kind: row.text(2)?, worker, hire, leaf: row.text(5)? })
    }

    /// The text whose bytes are hashed.
    pub fn text(&self) -> String {
        let Entry { seq, at, kind, worker, leaf, .. } = self;
        match self.hire {
            Some(hire) => format!("doorstep-ledger-v1\n{seq}\n{at}\n{kind}\n{worker}\n{hire}\n{leaf}"),
            None => format!("doorstep-ledger-v1\n{seq}\n{at}\n{kind}\n{worker}\n-\n{leaf}"),
        }
    }

    fn hash(&self) -> Hash {
        leaf_hash(self.text().as_bytes())
    }
}

/// A signed checkpoint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Checkpoint {
    /// How many entries it covers.
    pub size: i64,
    pub at: Moment,
    /// The signed note.
    pub note: String,
    #[serde(skip)]
    frontier: Frontier,
}

impl Checkpoint {
    /// The root in base64, as its note has it.
    pub fn root_text(&self) -> String {
        use base64::Engine as _;
        base64::engine::general_purpose::STANDARD.encode(self.root())
    }

    /// The root of its tree.
    pub fn root(&self) -> Hash {
        self.frontier.root()
    }

    fn read(row: &Row) -> Result<Self, StoreError> {
        let (size, at, note) = (row.int(0)?, Moment::from_ms(row.int(1)?), row.text(2)?.to_owned());
        Ok(Self { size, at, note, frontier: frontier(size, row.blob(3)?)? })
    }
}

fn frontier(size: i64, bytes: &[u8]) -> Result<Frontier, StoreError> {
    let read = u64::try_from(size).ok().and_then(|size| Frontier::from_bytes(size, bytes));
    read.ok_or_else(|| StoreError::Corrupt(format!("the frontier of the sealed log at {size} entries")))
}

/// A full tile, ready to be stored.
struct Tile {
    level: i64,
    number: i64,
    root: Hash,
    hashes: Vec<u8>,
}

/// What the next slice adds to the tree.
struct Growth {
    from: i64,
    to: Frontier,
    tiles: Vec<Tile>,
}

/// How far the tree has grown.
fn grown(s: &mut dyn Sql) -> Result<Frontier, StoreError> {
    let row = s.one("SELECT size, frontier FROM ledger_tree WHERE id = 1", &[])?;
    row.map_or_else(|| Ok(Frontier::default()), |row| frontier(row.int(0)?, row.blob(1)?))
}

fn hash_of(bytes: &[u8]) -> Result<Hash, StoreError> {
    bytes.try_into().map_err(|_| StoreError::Corrupt("a hash of the sealed log is not 32 bytes".to_owned()))
}

/// Hashes of these entries, in order; a gap is an error.
fn hashes(s: &mut dyn Sql, after: i64, upto: i64) -> Result<Vec<Hash>, StoreError> {
    let mut out = Vec::new();
    let mut expected = after;
    s.each(entry!("WHERE seq > $1 AND seq <= $2 ORDER BY seq"), params![after, upto], &mut |row| {
        let entry = Entry::read(&row)?;
        expected += 1;
        if entry.seq != expected {
            return Err(StoreError::Corrupt(format!("ledger entry {expected} is missing")));
        }
        out.push(entry.hash());
        Ok(())
    })?;
    Ok(out)
}

/// The next slice, where there are entries beyond the tree.
fn growth(s: &mut dyn Sql) -> Result<Option<Growth>, StoreError> {
    let before = grown(s)?;
    let from = before.size() as i64;
    let length = log::ledger_length(s)?;
    if length < from {
        return Err(StoreError::Corrupt(format!("the ledger ends at {length} and was sealed up to {from}")));
    }
    // The tile that is not full begins with entries that were hashed before.
    let begun = from - from % TILE as i64;
    let upto = length.min(from + SLICE);
    if upto == from {
        return Ok(None);
    }
    let all = hashes(s, begun, upto)?;
    if begun + all.len() as i64 != upto {
        return Err(StoreError::Corrupt(format!("ledger entry {} is missing", begun + all.len() as i64 + 1)));
    }
    // The frontier has the hashes of then, the tile gets those of now.
    let (again, new) = all.split_at((from - begun) as usize);
    if !before.ends_with(again) {
        return Err(StoreError::Corrupt(format!(
            "one of the ledger entries {} to {from} is not as it was sealed; `doorstep seal verify` says more",
            begun + 1
        )));
    }
    let mut to = before;
    let mut tiles: Vec<Tile> = Vec::new();
    new.iter().for_each(|hash| to.push(*hash));
    for (n, full) in all.chunks_exact(TILE).enumerate() {
        tiles.push(tile(0, begun / TILE as i64 + n as i64, full)?);
        fill_above(s, &mut tiles)?;
    }
    Ok(Some(Growth { from, to, tiles }))
}

fn tile(level: i64, number: i64, hashes: &[Hash]) -> Result<Tile, StoreError> {
    let root = perfect_root(hashes).ok_or_else(|| StoreError::Corrupt("a tile of the sealed log is not full".to_owned()))?;
    Ok(Tile { level, number, root, hashes: hashes.concat() })
}

/// Adds the tiles above the newest one that it fills.
fn fill_above(s: &mut dyn Sql, tiles: &mut Vec<Tile>) -> Result<(), StoreError> {
    while let Some(Tile { level, number, .. }) = tiles.last()
        && (number + 1) % TILE as i64 == 0
    {
        let (level, first) = (*level, number + 1 - TILE as i64);
        let mut roots = roots(s, level, first, first + TILE as i64)?;
        roots.extend(tiles.iter().filter(|t| t.level == level && t.number >= first).map(|t| t.root));
        let above = tile(level + 1, first / TILE as i64, &roots)?;
        tiles.push(above);
    }
    Ok(())
}

/// Roots of stored tiles, in order.
fn roots(s: &mut dyn Sql, level: i64, from: i64, to: i64) -> Result<Vec<Hash>, StoreError> {
    let sql = "SELECT root FROM ledger_tiles WHERE level = $1 AND number >= $2 AND number < $3 ORDER BY number";
    s.query(sql, params![level, from, to])?.iter().map(|row| hash_of(row.blob(0)?)).collect()
}

impl Store {
    /// Appends to the tree what is new in the ledger, and signs a checkpoint of it where
    /// it grew; says how many entries were appended by this call.
    pub async fn seal(&self, origin: &str, now: Moment) -> Result<usize, StoreError> {
        let mut appended = 0;
        while let Some(growth) = self.read(growth).await? {
            let n = growth.to.size() as usize - growth.from as usize;
            // Where another node was first, what it left is looked at anew.
            appended += if self.grow(growth).await? { n } else { 0 };
        }
        self.sign(origin, now).await?;
        Ok(appended)
    }

    /// False where the tree is no longer as it was when the growth was computed.
    async fn grow(&self, growth: Growth) -> Result<bool, StoreError> {
        self.write(move |tx| {
            let (size, bytes) = (growth.to.size() as i64, growth.to.to_bytes());
            let moved = match growth.from {
                0 => tx.exec(
                    "INSERT INTO ledger_tree (id, size, frontier) VALUES (1, $1, $2) ON CONFLICT (id) DO NOTHING",
                    params![size, bytes],
                )?,
                from => {
                    tx.exec("UPDATE ledger_tree SET size = $1, frontier = $2 WHERE id = 1 AND size = $3", params![size, bytes, from])?
                }
            };
            if moved == 0 {
                return Ok(false);
            }
            for tile in &growth.tiles {
                tx.exec(
                    "INSERT INTO ledger_tiles (level, number, root, hashes) VALUES ($1, $2, $3, $4)",
                    params![tile.level, tile.number, tile.root.as_slice(), tile.hashes.as_slice()],
                )?;
            }
            Ok(true)
        })
        .await
    }

    async fn sign(&self, origin: &str, now: Moment) -> Result<(), StoreError> {
        let (tree, signed) = self.read(|s| Ok((grown(s)?, newest(s)?))).await?;
        let size = tree.size() as i64;
        if signed.is_some_and(|c| c.size >= size) || size == 0 {
            return Ok(());
        }
        let note = note::sign(origin, tree.size(), &tree.root(), &self.vault.seal_key());
        self.write(move |tx| {
            // Another node may have signed the same tree.
            let sql = "INSERT INTO checkpoints (size, at, note, frontier) VALUES ($1, $2, $3, $4) ON CONFLICT (size) DO NOTHING";
            tx.exec(sql, params![size, now.ms(), note.as_str(), tree.to_bytes()]).map(|_| ())
        })
        .await
    }

    /// The newest checkpoint.
    pub async fn checkpoint(&self) -> Result<Option<Checkpoint>, StoreError> {
        self.read(|s| newest(s)).await
    }

    /// When an entry was written.
    pub async fn entry_time(&self, seq: i64) -> Result<Option<Moment>, StoreError> {
        self.read(move |s| s.one("SELECT at FROM ledger WHERE seq = $1", params![seq])?.map(|r| r.int(0).map(Moment::from_ms)).transpose())
            .await
    }

    /// The first checkpoint that covers this many entries.
    pub async fn checkpoint_covering(&self, seq: i64) -> Result<Option<Checkpoint>, StoreError> {
        self.read(move |s| {
            let sql = "SELECT size, at, note, frontier FROM checkpoints WHERE size >= $1 ORDER BY size LIMIT 1";
            s.one(sql, params![seq])?.as_ref().map(Checkpoint::read).transpose()
        })
        .await
    }
}

fn newest(s: &mut dyn Sql) -> Result<Option<Checkpoint>, StoreError> {
    let sql = "SELECT size, at, note, frontier FROM checkpoints ORDER BY size DESC LIMIT 1";
    s.one(sql, &[] as &[Val])?.as_ref().map(Checkpoint::read).transpose()
}
