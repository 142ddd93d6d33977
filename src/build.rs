//! Lists the files under `adapters/`, so that a new adapter is a new folder and
//! no line of Rust. The list holds `include_bytes!`: the binary carries them all.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

fn main() -> std::io::Result<()> {
    println!("cargo:rerun-if-changed=adapters");
    let here = PathBuf::from(std::env::var("CARGO_MANIFEST_DIR").expect("cargo sets the manifest directory"));
    let root = here.join("adapters");
    let mut list = String::from("&[\n");
    let mut files = Vec::new();
    collect(&root, &mut files)?;
    files.sort();
    for path in files {
        let name = path.strip_prefix(&root).expect("found below the root").to_string_lossy().replace('\\', "/");
        if name.contains('/') {
            writeln!(list, "    ({name:?}, include_bytes!({:?})),", path.to_string_lossy()).expect("a string takes it");
        }
    }
    list.push(']');
    let out = PathBuf::from(std::env::var("OUT_DIR").expect("cargo sets the output directory"));
    std::fs::write(out.join("adapter_files.rs"), list)
}

fn collect(dir: &Path, into: &mut Vec<PathBuf>) -> std::io::Result<()> {
    for entry in std::fs::read_dir(dir)? {
        let path = entry?.path();
        if path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.')) {
            continue;
        }
        if path.is_dir() {
            collect(&path, into)?;
        } else {
            into.push(path);
        }
    }
    Ok(())
}
