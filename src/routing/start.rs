//! How a node comes by its index: from the file that it wrote, if that is good, plus
//! the changes since; else from the store, which has the truth.

use super::snapshot::{self, Mark, SnapshotFault};
use super::{Index, National, Router, off};
use crate::config::Config;
use crate::store::StoreError;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

/// So many changes for each worker are read faster than everybody.
const CHANGES_MOST: i64 = 2;
/// Fewer changes are always read.
const CHANGES_LEAST: i64 = 100_000;

/// Where the index of a node is kept; none where it is not. An embedded store has it
/// beside its own file.
pub(super) fn place(config: &Config) -> Option<PathBuf> {
    match config.routing.snapshot.as_str() {
        "none" => None,
        "auto" => config.store.url.strip_prefix("sqlite://").map(|path| PathBuf::from(format!("{path}.index"))),
        path => Some(PathBuf::from(path)),
    }
}

/// Why a file that could be read is not used.
enum Unfit {
    File(SnapshotFault),
    /// The store's log does not have the change up to which the file stands.
    OtherStore,
    /// So many changes behind.
    Behind(i64),
}

impl std::fmt::Display for Unfit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Unfit::File(fault) => fault.fmt(f),
            Unfit::OtherStore => f.write_str("it does not belong to this state of the store"),
            Unfit::Behind(n) => write!(f, "it is {n} changes behind"),
        }
    }
}

impl Router {
    /// Takes in everybody for the first time.
    pub(super) async fn load(&self) -> Result<(), StoreError> {
        let began = Instant::now();
        let from = match self.restore().await? {
            true => "snapshot",
            false => {
                let (seekers, upto) = self.store.all_seekers().await?;
                self.index().load(seekers);
                self.position.store(upto, Ordering::Release);
                "store"
            }
        };
        self.restored.store(from == "snapshot", Ordering::Release);
        let (workers, ms) = (self.index().len(), began.elapsed().as_millis() as u64);
        metrics::gauge!("doorstep_routing_start_seconds").set(began.elapsed().as_secs_f64());
        tracing::info!(workers, duration_ms = ms, from, "the routing index is loaded");
        Ok(())
    }

    /// Whether the index was read from its file; one that is unfit is thrown away.
    async fn restore(&self) -> Result<bool, StoreError> {
        let Some(path) = self.snapshot.clone() else { return Ok(false) };
        let (sets, cap, from) = (self.sets.clone(), self.terms.cap, path.clone());
        let unfit = match off(move || snapshot::read(&from, &sets, cap)).await? {
            Ok((index, mark)) => match self.fits(&index, mark).await? {
                None => {
                    self.index.store(Arc::new(index));
                    self.position.store(mark.seq, Ordering::Release);
                    self.saved.store(mark.seq, Ordering::Release);
                    return Ok(true);
                }
                Some(unfit) => unfit,
            },
            Err(SnapshotFault::Io(e)) if e.kind() == std::io::ErrorKind::NotFound => return Ok(false),
            Err(fault) => Unfit::File(fault),
        };
        tracing::warn!(path = %path.display(), why = %unfit, "the index's file is thrown away, and everybody read from the store");
        metrics::counter!("doorstep_routing_snapshots_refused_total").increment(1);
        // A file that stays is refused again; it harms nobody.
        let _ = std::fs::remove_file(path);
        Ok(false)
    }

    async fn fits(&self, index: &National, mark: Mark) -> Result<Option<Unfit>, StoreError> {
        if self.store.change(mark.seq).await?.is_none_or(|known| (known.id, known.version) != (mark.id, mark.version)) {
            return Ok(Some(Unfit::OtherStore));
        }
        let behind = self.store.last_change().await? - mark.seq;
        let most = CHANGES_LEAST.max(CHANGES_MOST * index.len() as i64);
        Ok((behind > most).then_some(Unfit::Behind(behind)))
    }

    /// Writes the index to its file, where it has changed since it was written last;
    /// says whether it did.
    pub async fn save(&self) -> Result<bool, String> {
        let Some(path) = self.snapshot.clone() else { return Ok(false) };
        // No offer is on its way to the store, so that none is counted that is not made.
        let _still = self.waiting.lock().await;
        self.catch_up().await.map_err(|e| e.to_string())?;
        let _one = self.catching_up.lock().await;
        let seq = self.position.load(Ordering::Acquire);
        if seq <= self.saved.load(Ordering::Acquire) || self.unsettled.load(Ordering::Acquire) {
            return Ok(false);
        }
        let Some(change) = self.store.change(seq).await.map_err(|e| e.to_string())? else { return Ok(false) };
        let mark = Mark { seq, id: change.id, version: change.version };
        let (index, sets, cap, began) = (self.index(), self.sets.clone(), self.terms.cap, Instant::now());
        let written = off(move || snapshot::write(&index, &sets, cap, mark, &path)).await.map_err(|e| e.to_string())?;
        written.map_err(|e| format!("the index's file was not written: {e}"))?;
        self.saved.store(seq, Ordering::Release);
        metrics::gauge!("doorstep_routing_snapshot_change").set(seq as f64);
        tracing::debug!(seq, duration_ms = began.elapsed().as_millis() as u64, "the index is written to its file");
        Ok(true)
    }

    /// Whether the index came from its file.
    pub fn came_from_file(&self) -> bool {
        self.restored.load(Ordering::Acquire)
    }
}
