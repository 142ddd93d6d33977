//! The two rules of how the code is laid out, read from the sources: a module uses
//! its own floor and those below it, never one above; each outside package has one
//! place. And what floor 0 must not do.

use std::path::{Path, PathBuf};

/// The top-level modules, each with its floor.
const FLOORS: [(&str, u8); 26] = [
    ("domain", 0),
    ("threads", 0),
    ("clock", 1),
    ("config", 1),
    ("adapter", 1),
    ("store", 1),
    ("cache", 1),
    ("inflate", 1),
    ("ingest", 2),
    ("routing", 2),
    ("hiring", 2),
    ("reporting", 2),
    ("webhook", 2),
    ("http", 3),
    ("poll", 3),
    ("deliver", 3),
    ("notify", 3),
    ("outbound", 3),
    ("app", 4),
    ("demo", 4),
    ("bench", 4),
    ("progress", 4),
    ("scratch", 4),
    ("cli", 4),
    ("main", 5),
    // Runs before the crate is built.
    ("build", 5),
];

/// The one place, or two, of each outside package. A place that ends with a slash
/// is a folder.
const PLACES: [(&str, &[&str]); 10] = [
    ("actix_web", &["http/", "app.rs"]),
    ("actix_rt", &["http/", "app.rs"]),
    ("utoipa", &["http/", "app.rs"]),
    ("reqwest", &["outbound.rs"]),
    ("jsonwebtoken", &["http/auth.rs"]),
    ("redis", &["cache/redis.rs"]),
    ("governor", &["cache/memory.rs"]),
    ("rusqlite", &["store/engine/"]),
    // As a peer it is asked for itself, without the store.
    ("postgres", &["store/engine/", "bench/peers/"]),
    ("tantivy", &["bench/peers/"]),
];

/// What floor 0 does without: waiting, I/O, the time, chance.
const NOT_IN_DOMAIN: [&str; 12] = [
    "async fn",
    "async move",
    ".await",
    "std::fs",
    "std::net",
    "std::env",
    "std::process",
    "SystemTime",
    "Instant::now",
    "Zoned::now",
    "rand::",
    "tokio::",
];

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// The source without comments. A `//` in a text, as in an address, has no space
/// before it.
fn code(source: &str) -> String {
    let without = |line: &str| match line.find("//") {
        Some(at) if line[..at].chars().all(char::is_whitespace) || line[..at].ends_with(' ') => line[..at].to_owned(),
        _ => line.to_owned(),
    };
    source.lines().map(without).collect::<Vec<_>>().join("\n")
}

fn first_word(text: &str) -> &str {
    text.split(|c| !is_word(c)).next().unwrap_or_default()
}

/// The words after each `path`, where it begins a path of its own: `crate::x` and
/// each of `crate::{x, y::z}`.
fn after<'a>(code: &'a str, path: &str) -> Vec<&'a str> {
    let mut found = Vec::new();
    for (at, _) in code.match_indices(path) {
        if code[..at].ends_with(|c| is_word(c) || c == ':') {
            continue;
        }
        let rest = &code[at + path.len()..];
        match rest.strip_prefix('{') {
            None => found.push(first_word(rest)),
            Some(group) => {
                let mut depth = 0;
                let end = group.find(|c| match c {
                    '{' => {
                        depth += 1;
                        false
                    }
                    '}' if depth == 0 => true,
                    '}' => {
                        depth -= 1;
                        false
                    }
                    _ => false,
                });
                let mut depth = 0;
                let mut fresh = true;
                let group = &group[..end.unwrap_or(group.len())];
                for (at, c) in group.char_indices() {
                    match c {
                        '{' => depth += 1,
                        '}' => depth -= 1,
                        ',' if depth == 0 => fresh = true,
                        c if fresh && depth == 0 && is_word(c) => {
                            found.push(first_word(&group[at..]));
                            fresh = false;
                        }
                        _ => {}
                    }
                }
            }
        }
    }
    found
}

/// Where a file's module stands: `http/auth.rs` is two steps below the crate.
fn depth(file: &str) -> usize {
    file.split('/').filter(|part| *part != "mod.rs").count()
}

fn floor_of(module: &str) -> Option<u8> {
    FLOORS.iter().find(|(name, _)| *name == module).map(|(_, floor)| *floor)
}

/// Every breach of a rule in one file, named by its path below `src`.
fn breaches(file: &str, source: &str) -> Vec<String> {
    let mut found = Vec::new();
    let code = code(source);
    let module = first_word(file);
    let Some(own) = floor_of(module).or((module == "lib").then_some(5)) else {
        return vec![format!("{file}: the module {module} stands on no floor")];
    };
    let by_super = "super::".repeat(depth(file));
    let mut used = after(&code, "crate::");
    used.extend(after(&code, &by_super));
    for name in used {
        if let Some(floor) = floor_of(name).filter(|floor| *floor > own) {
            found.push(format!("{file} (floor {own}) uses {name} (floor {floor})"));
        }
    }
    for (package, places) in PLACES {
        let at_home = places.iter().any(|place| if place.ends_with('/') { file.starts_with(place) } else { file == *place });
        // A module of this name is no package.
        let own_module = code.contains(&format!("mod {package};"));
        let uses = !after(&code, &format!("{package}::")).is_empty() || code.contains(&format!("use {package};"));
        if uses && !at_home && !own_module {
            found.push(format!("{file} uses the package {package}, whose place is {}", places.join(" or ")));
        }
    }
    if own == 0 {
        // Tests of floor 0 may look at the clock and read files.
        let code = code.split("#[cfg(test)]").next().unwrap_or_default();
        let is_test = file.ends_with("tests.rs");
        found.extend(NOT_IN_DOMAIN.iter().filter(|word| !is_test && holds(code, word)).map(|word| format!("{file} holds {word}")));
    }
    found
}

/// The word stands there, and does not merely begin another (`.awaited` is no `.await`).
fn holds(code: &str, word: &str) -> bool {
    let ends = |at: usize| !word.ends_with(is_word) || !code[at + word.len()..].starts_with(is_word);
    code.match_indices(word).any(|(at, _)| ends(at))
}

fn sources(folder: &Path, out: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, out);
        } else if path.extension().is_some_and(|e| e == "rs") {
            out.push(path);
        }
    }
}

#[test]
fn every_module_keeps_to_its_floor_and_every_package_to_its_place() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    sources(&root, &mut files);
    assert!(files.len() > 80, "{} files were read", files.len());
    let breach = |path: &PathBuf| {
        let name = path.strip_prefix(&root).unwrap().to_string_lossy().replace('\\', "/");
        breaches(&name, &std::fs::read_to_string(path).unwrap())
    };
    let found: Vec<String> = files.iter().flat_map(breach).collect();
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn a_breach_of_each_rule_is_caught() {
    let caught = |file: &str, source: &str| breaches(file, source).len();
    // Upwards, in every form of a path.
    assert_eq!(caught("domain/pay.rs", "use crate::store::Store;"), 1);
    assert_eq!(caught("store/mod.rs", "fn f() { crate::http::problem::x() }"), 1);
    assert_eq!(caught("store/offers.rs", "use crate::{domain::id, hiring::Hiring, config::{Config, keys}};"), 1);
    assert_eq!(caught("store/offers.rs", "use super::super::routing::Router;"), 1);
    assert_eq!(caught("ingest.rs", "use super::app;"), 1);
    assert_eq!(caught("http/mod.rs", "use crate::cli;"), 1);
    assert_eq!(caught("gossip.rs", ""), 1, "a module without a floor");
    // Down and sideways.
    assert_eq!(caught("http/me.rs", "use crate::{domain, store::{Store}, outbound};\nuse super::auth;"), 0);
    assert_eq!(caught("store/offers.rs", "//! Used by crate::http.\nfn f() {} // see crate::app"), 0);
    // Packages.
    for (package, place) in [
        ("actix_web", "deliver.rs"),
        ("reqwest", "http/sink.rs"),
        ("jsonwebtoken", "http/token.rs"),
        ("redis", "cache/memory.rs"),
        ("governor", "cache/redis.rs"),
        ("rusqlite", "store/offers.rs"),
        ("postgres", "store/mod.rs"),
        ("tantivy", "routing/search.rs"),
    ] {
        assert_eq!(caught(place, &format!("use {package}::Thing;")), 1, "{package} in {place}");
        assert_eq!(caught(place, &format!("fn f() {{ {package}::thing() }}")), 1, "{package} in {place}");
        assert_eq!(caught(place, &format!("use crate::cache::{package}::Thing;")), 0, "a module named {package}");
    }
    assert_eq!(caught("cache/redis.rs", "use redis::Client;"), 0);
    assert_eq!(caught("cache/mod.rs", "pub mod redis;\nuse redis::SharedLimits;"), 0);
    // Floor 0.
    assert_eq!(caught("domain/pay.rs", "hire.awaited.len()"), 0);
    for line in [
        "pub async fn f() {}",
        "f().await?",
        "let x = std::fs::read(p);",
        "use std::net::IpAddr;",
        "std::env::var(\"X\")",
        "SystemTime::now()",
        "Instant::now()",
        "use rand::Rng;",
    ] {
        assert_eq!(caught("domain/pay.rs", line), 1, "{line}");
        assert_eq!(caught("config/mod.rs", line), 0, "{line}");
    }
}
