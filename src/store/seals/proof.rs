//! Proofs that an entry stands in a checkpoint's tree.
//!
//! Promises: for one entry, whatever the tree's size, a tile of each level is read and
//! no more; of a tile that is not full, what it would hold.

use super::super::Store;
use super::super::engine::{Sql, StoreError, params};
use super::{Checkpoint, Entry, TILE, TILE_LEVELS, hash_of, hashes, newest, roots};
use crate::domain::id::HireId;
use crate::domain::merkle::{Hash, inclusion, perfect_root};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Serialize, Serializer};
use std::collections::HashMap;

/// That an entry is one of a checkpoint's.
#[derive(Clone, Debug, Serialize)]
pub struct Proof {
    /// The text whose bytes are hashed.
    pub entry: String,
    /// Its place, from 0: `seq` - 1.
    pub index: u64,
    /// How many entries the checkpoint has.
    pub size: u64,
    /// From the entry to the root (RFC 6962 §2.1.1), in base64.
    #[serde(serialize_with = "in_base64")]
    pub hashes: Vec<Hash>,
    /// The checkpoint's signed note.
    pub checkpoint: String,
}

fn in_base64<S: Serializer>(hashes: &[Hash], s: S) -> Result<S::Ok, S::Error> {
    s.collect_seq(hashes.iter().map(|hash| STANDARD.encode(hash)))
}

/// The tree's perfect parts, read from tiles, each tile once.
struct Tiles<'a> {
    s: &'a mut dyn Sql,
    of: &'a Checkpoint,
    read: HashMap<(u32, u64), Vec<Hash>>,
}

impl Tiles<'_> {
    fn node(&mut self, level: u32, index: u64) -> Result<Hash, StoreError> {
        if let Some(peak) = self.of.frontier.peak(level, index) {
            return Ok(peak);
        }
        let (row, inside) = (level / TILE_LEVELS, level % TILE_LEVELS);
        let first = index << inside;
        let number = first / TILE as u64;
        if !self.read.contains_key(&(row, number)) {
            let hashes = self.tile(row, number)?;
            self.read.insert((row, number), hashes);
        }
        let from = (first % TILE as u64) as usize;
        let hashes = self.read.get(&(row, number)).and_then(|all| all.get(from..from + (1 << inside)));
        hashes.and_then(perfect_root).ok_or_else(|| StoreError::Corrupt(format!("tile {number} of level {row} of the sealed log")))
    }

    fn tile(&mut self, row: u32, number: u64) -> Result<Vec<Hash>, StoreError> {
        let sql = "SELECT hashes FROM ledger_tiles WHERE level = $1 AND number = $2";
        if let Some(found) = self.s.one(sql, params![i64::from(row), number as i64])? {
            return found.blob(0)?.chunks(32).map(hash_of).collect();
        }
        // Not full: the hashes are those of the entries, or the roots of the tiles below.
        let first = number as i64 * TILE as i64;
        match row {
            0 => hashes(self.s, first, self.of.size.min(first + TILE as i64)),
            _ => roots(self.s, i64::from(row) - 1, first, first + TILE as i64),
        }
    }
}

/// The proof of one entry in the newest checkpoint; none where that does not cover it.
fn proof(s: &mut dyn Sql, seq: i64) -> Result<Option<Proof>, StoreError> {
    let Some(checkpoint) = newest(s)?.filter(|c| (1..=c.size).contains(&seq)) else { return Ok(None) };
    let Some(row) = s.one(super::entry!("WHERE seq = $1"), params![seq])? else { return Ok(None) };
    let entry = Entry::read(&row)?.text();
    let (index, size) = (seq as u64 - 1, checkpoint.size as u64);
    let mut tiles = Tiles { s, of: &checkpoint, read: HashMap::new() };
    let hashes = inclusion(index, size, &mut |level, index| tiles.node(level, index))?;
    Ok(hashes.map(|hashes| Proof { entry, index, size, hashes, checkpoint: checkpoint.note }))
}

impl Store {
    /// That this entry is in the newest checkpoint; none where it is not, or not yet.
    pub async fn inclusion_of_entry(&self, seq: i64) -> Result<Option<Proof>, StoreError> {
        self.read(move |s| proof(s, seq)).await
    }

    /// The same of the entry that made a hire.
    pub async fn inclusion(&self, hire: HireId) -> Result<Option<Proof>, StoreError> {
        self.read(move |s| {
            let first = s.one("SELECT seq FROM ledger WHERE hire = $1 ORDER BY seq LIMIT 1", params![hire.uuid()])?;
            first.map_or(Ok(None), |row| proof(s, row.int(0)?))
        })
        .await
    }
}
