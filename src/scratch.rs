//! A folder for what a demonstration or a measurement keeps while it runs.

use std::path::{Path, PathBuf};

/// A folder that goes with its value.
pub struct Scratch(PathBuf);

impl Scratch {
    /// A fresh folder among the system's temporary ones.
    pub fn make(purpose: &str) -> std::io::Result<Self> {
        let path = std::env::temp_dir().join(format!("doorstep-{purpose}-{}", std::process::id()));
        std::fs::create_dir_all(&path)?;
        Ok(Self(path))
    }

    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // A folder that cannot be removed stays; what was shown is shown all the same.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
