//! The adapters that are known: those in the binary, and those of a directory,
//! which win.

use super::folder::io_problem;
use super::{Adapter, Folder, Problem};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

/// Every file under `adapters/`, as `build.rs` found them: path and bytes.
static FILES: &[(&str, &[u8])] = include!(concat!(env!("OUT_DIR"), "/adapter_files.rs"));

/// Adapters by name.
#[derive(Clone, Debug)]
pub struct Adapters {
    known: BTreeMap<String, Arc<Adapter>>,
}

impl Adapters {
    /// Those that are compiled in.
    pub fn builtin() -> Result<Self, Vec<Problem>> {
        let mut folders: BTreeMap<&str, Vec<(String, &'static [u8])>> = BTreeMap::new();
        for (path, bytes) in FILES {
            if let Some((name, rest)) = path.split_once('/') {
                folders.entry(name).or_default().push((rest.to_owned(), bytes));
            }
        }
        let mut all = Self { known: BTreeMap::new() };
        let mut problems = Vec::new();
        for (name, files) in folders {
            all.add(Adapter::load(&Folder::compiled(name, files)), &mut problems);
        }
        if problems.is_empty() { Ok(all) } else { Err(problems) }
    }

    /// Adds every folder of a directory that holds an `adapter.toml`; one with a
    /// name that is known already replaces it. On a problem nothing is changed.
    pub fn with_dir(&mut self, path: &Path) -> Result<(), Vec<Problem>> {
        let entries = std::fs::read_dir(path).map_err(|error| vec![io_problem(path, &error)])?;
        let mut changed = self.clone();
        let mut problems = Vec::new();
        for entry in entries {
            match entry {
                Err(error) => problems.push(io_problem(path, &error)),
                Ok(entry) if entry.path().join("adapter.toml").is_file() => match Folder::read(&entry.path()) {
                    Ok(folder) => changed.add(Adapter::load(&folder), &mut problems),
                    Err(problem) => problems.push(problem),
                },
                Ok(_) => {}
            }
        }
        if !problems.is_empty() {
            return Err(problems);
        }
        *self = changed;
        Ok(())
    }

    fn add(&mut self, adapter: Result<Adapter, Vec<Problem>>, problems: &mut Vec<Problem>) {
        match adapter {
            Ok(adapter) => {
                self.known.insert(adapter.name().to_owned(), Arc::new(adapter));
            }
            Err(found) => problems.extend(found),
        }
    }

    /// The adapter of this name.
    pub fn get(&self, name: &str) -> Option<&Arc<Adapter>> {
        self.known.get(name)
    }

    /// All names, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.known.keys().map(String::as_str)
    }

    /// All adapters, by name.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Adapter>> {
        self.known.values()
    }
}
