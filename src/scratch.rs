//! A folder for what a demonstration or a measurement keeps while it runs.

use crate::config::keys::Keys;
use std::path::{Path, PathBuf};

/// A folder that goes with its value, but where it is to be kept.
pub struct Scratch {
    path: PathBuf,
    keep: bool,
}

impl Scratch {
    /// A fresh folder among the system's temporary ones.
    pub fn make(purpose: &str) -> std::io::Result<Self> {
        let path = std::env::temp_dir().join(format!("doorstep-{purpose}-{}", std::process::id()));
        std::fs::create_dir_all(&path)?;
        Ok(Self { path, keep: false })
    }

    /// This folder, made if there is none, which stays.
    pub fn kept(path: &Path) -> std::io::Result<Self> {
        std::fs::create_dir_all(path)?;
        Ok(Self { path: path.to_owned(), keep: true })
    }

    /// Fresh secrets, kept in the folder.
    pub fn keys(&self) -> Result<Keys, String> {
        let file = self.path.join("keys.toml");
        if !file.exists() {
            Keys::init(&file).map_err(|e| e.to_string())?;
        }
        Keys::load(&file).map_err(|p| p.iter().map(|p| p.to_string()).collect::<Vec<_>>().join("; "))
    }

    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if self.keep {
            return;
        }
        // A folder that cannot be removed stays; what was shown is shown all the same.
        let _ = std::fs::remove_dir_all(&self.path);
    }
}
