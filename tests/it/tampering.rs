//! Somebody with full access to the file changes it, in every way that was thought of:
//! an office that kept its last checkpoint finds each of them. What was not changed
//! passes, a tree that was built anew for it too, so that it is the change that is found.

use crate::harness::{Engine, Place, keys, noon};
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use doorstep::config::keys::Keys;
use doorstep::domain::merkle::{Frontier, Hash, leaf_hash, perfect_root};
use doorstep::store::ids::Ids;
use doorstep::store::seals::Entry;
use doorstep::store::seals::note::{Note, sign};
use doorstep::store::seals::verify::{Asked, Verdict, verify_at};
use doorstep::store::{Opening, Store};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use rusqlite::{Connection, params};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use uuid::Uuid;

const ORIGIN: &str = "doorstep";
/// What was in the ledger when checkpoints were signed; yesterday's copy is the third.
const SIZES: [i64; 5] = [40, 256, 300, 700, 1_111];
const N: i64 = SIZES[SIZES.len() - 1];

/// How many tamperings there are of all kinds together.
fn cases() -> usize {
    if std::env::var("DOORSTEP_TEST_DEEP").is_ok_and(|v| v == "1") { 500 } else { 60 }
}

/// A sealed store, closed, with what an office kept of it.
struct Sealed {
    place: Place,
    keys: Arc<Keys>,
    yesterday: PathBuf,
    today: PathBuf,
    kept: Note,
}

fn fill(db: &Connection, from: i64, to: i64) {
    for seq in from..=to {
        let (worker, hire) = (Uuid::from_u128(seq as u128 % 97 + 1), (seq % 3 == 0).then(|| Uuid::from_u128(seq as u128 * 7)));
        let kind = ["tier", "hire", "hire_reported"][seq as usize % 3];
        db.execute(
            "INSERT INTO ledger (seq, at, kind, worker, hire, leaf) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            params![seq, noon().ms() + seq, kind, worker.as_bytes(), hire.map(|h| h.as_bytes().to_vec()), format!("{{\"n\":{seq}}}")],
        )
        .unwrap();
    }
}

async fn sealed() -> Sealed {
    let (place, keys) = (Place::new(Engine::Sqlite), keys());
    let (url, of) = (place.url.clone(), keys.clone());
    let open =
        move || Store::open(Opening { url: &url, readers: 1, keys: of, ids: Arc::new(Ids::seeded(1)), stale_months: 3, serve: false });
    let store = tokio::task::spawn_blocking(open).await.unwrap().unwrap_or_else(|e| panic!("{e}"));
    let db = Connection::open(place.file()).unwrap();
    let (mut done, yesterday) = (0, place.folder.path().join("yesterday.db"));
    for size in SIZES {
        db.execute_batch("BEGIN").unwrap();
        fill(&db, done + 1, size);
        db.execute_batch("COMMIT").unwrap();
        store.seal(ORIGIN, noon()).await.unwrap();
        done = size;
        if size == SIZES[2] {
            db.execute("VACUUM INTO ?1", [yesterday.to_str().unwrap()]).unwrap();
        }
    }
    let kept = Note::parse(&store.checkpoint().await.unwrap().unwrap().note).unwrap();
    drop(store);
    let today = place.folder.path().join("today.db");
    db.execute("VACUUM INTO ?1", [today.to_str().unwrap()]).unwrap();
    Sealed { place, keys, yesterday, today, kept }
}

impl Sealed {
    /// A copy to be tampered with.
    fn copy(&self, name: &str) -> PathBuf {
        let path = self.place.folder.path().join(name);
        std::fs::copy(&self.today, &path).unwrap();
        path
    }

    fn verify(&self, file: &Path) -> Verdict {
        let public = self.keys.seal.pair().public_key().as_ref().to_vec();
        let asked = Asked { public, kept: vec![self.kept.clone()], until: None };
        verify_at(&format!("sqlite://{}", file.display()), &asked, &mut |_| ()).unwrap()
    }
}

/// Computes tiles, the tree and checkpoints anew from the entries as they are now.
fn rebuild(db: &Connection, key: &Ed25519KeyPair) {
    db.execute_batch("DELETE FROM ledger_tree; DELETE FROM ledger_tiles; DELETE FROM checkpoints").unwrap();
    let mut read = db.prepare("SELECT seq, at, kind, worker, hire, leaf FROM ledger ORDER BY seq").unwrap();
    let mut rows = read.query([]).unwrap();
    let (mut tree, mut tile): (Frontier, Vec<Hash>) = Default::default();
    let last: i64 = db.query_row("SELECT COUNT(*) FROM ledger", [], |row| row.get(0)).unwrap();
    while let Some(row) = rows.next().unwrap() {
        let (kind, leaf): (String, String) = (row.get(2).unwrap(), row.get(5).unwrap());
        let hire = row.get::<_, Option<Vec<u8>>>(4).unwrap().map(|id| Uuid::from_slice(&id).unwrap());
        let worker = Uuid::from_slice(&row.get::<_, Vec<u8>>(3).unwrap()).unwrap();
        let entry = Entry { seq: row.get(0).unwrap(), at: row.get(1).unwrap(), kind: &kind, worker, hire, leaf: &leaf };
        tree.push(leaf_hash(entry.text().as_bytes()));
        tile.push(leaf_hash(entry.text().as_bytes()));
        let size = tree.size() as i64;
        if tile.len() == 256 {
            let root = perfect_root(&tile).unwrap();
            let sql = "INSERT INTO ledger_tiles (level, number, root, hashes) VALUES (0, ?1, ?2, ?3)";
            db.execute(sql, params![size / 256 - 1, root, tile.concat()]).unwrap();
            tile.clear();
        }
        if SIZES.contains(&size) || size == last {
            let note = sign(ORIGIN, tree.size(), &tree.root(), key);
            let sql = "INSERT INTO checkpoints (size, at, note, frontier) VALUES (?1, ?2, ?3, ?4)";
            db.execute(sql, params![size, noon().ms(), note, tree.to_bytes()]).unwrap();
        }
    }
    db.execute("INSERT INTO ledger_tree (id, size, frontier) VALUES (1, ?1, ?2)", params![tree.size() as i64, tree.to_bytes()]).unwrap();
}

/// Ways to change entries; what is answered is the first that differs then.
const EDITS: usize = 10;

fn edit(db: &Connection, kind: usize, rng: &mut StdRng) -> i64 {
    let seq = rng.random_range(1..=N);
    // Beyond the last sealed entry nothing is put in, but appended.
    let seq = if kind == 7 { seq.min(N - 1) } else { seq };
    let run = |sql: &str| assert!(db.execute(sql, [seq]).unwrap() > 0, "{sql} at {seq}");
    // Rows after it move by one, in two steps, since each number is there once.
    let shift = |by: i64| {
        db.execute("UPDATE ledger SET seq = -seq WHERE seq > ?1", [seq]).unwrap();
        db.execute("UPDATE ledger SET seq = ?1 - seq WHERE seq < 0", [by]).unwrap();
    };
    match kind {
        0 => run("UPDATE ledger SET leaf = '{\"n\":0}' WHERE seq = ?1"),
        1 => run("UPDATE ledger SET at = at - 1 WHERE seq = ?1"),
        2 => run("UPDATE ledger SET kind = 'correction' WHERE seq = ?1"),
        3 => run("UPDATE ledger SET worker = randomblob(16) WHERE seq = ?1"),
        4 => run("UPDATE ledger SET hire = randomblob(16) WHERE seq = ?1"),
        // Taken out, and the gap left or closed.
        5 => run("DELETE FROM ledger WHERE seq = ?1"),
        6 => {
            run("DELETE FROM ledger WHERE seq = ?1");
            shift(-1);
        }
        7 => {
            shift(1);
            fill(db, seq + 1, seq + 1);
            db.execute("UPDATE ledger SET leaf = '{\"put\":\"in\"}' WHERE seq = ?1", [seq + 1]).unwrap();
            return seq + 1;
        }
        8 => {
            let with = if seq == N { seq - 1 } else { seq + 1 };
            db.execute("UPDATE ledger SET seq = -seq WHERE seq IN (?1, ?2)", [seq, with]).unwrap();
            db.execute("UPDATE ledger SET seq = ?1 + ?2 + seq WHERE seq < 0", [seq, with]).unwrap();
            return seq.min(with);
        }
        _ => run("DELETE FROM ledger WHERE seq >= ?1"),
    }
    seq
}

/// One tampering, by its number; says what was done, and which entry is the first that
/// must be named where that is known.
fn tamper(sealed: &Sealed, file: &Path, n: usize, rng: &mut StdRng) -> (String, Option<i64>) {
    let other = Ed25519KeyPair::from_seed_unchecked(&[9; 32]).unwrap();
    let (kind, way) = (n % EDITS, n / EDITS % 6);
    if way == 5 {
        let db = Connection::open(file).unwrap();
        return match n % 5 {
            0 => {
                drop(db);
                std::fs::copy(&sealed.yesterday, file).unwrap();
                ("yesterday's copy".to_owned(), Some(SIZES[2] + 1))
            }
            1 => {
                // Yesterday's copy, on which work went on.
                drop(db);
                std::fs::copy(&sealed.yesterday, file).unwrap();
                let db = Connection::open(file).unwrap();
                fill(&db, SIZES[2] + 1, N + 20);
                db.execute("UPDATE ledger SET at = at + 86400000 WHERE seq > ?1", [SIZES[2]]).unwrap();
                rebuild(&db, &sealed.keys.seal.pair());
                ("yesterday's copy, went on".to_owned(), None)
            }
            2 => {
                let (size, place) = (SIZES[rng.random_range(0..SIZES.len())], rng.random_range(1..=4));
                db.execute("UPDATE checkpoints SET frontier = CAST(zeroblob(?2) AS BLOB) WHERE size = ?1", [size, place * 32]).unwrap();
                (format!("the frontier of checkpoint {size}"), Some(size))
            }
            3 => {
                let tile = rng.random_range(0..N / 256);
                db.execute("UPDATE ledger_tiles SET root = randomblob(32) WHERE number = ?1", [tile]).unwrap();
                (format!("the root of tile {tile}"), Some(tile * 256 + 1))
            }
            _ => {
                db.execute("UPDATE ledger_tree SET frontier = zeroblob(LENGTH(frontier))", []).unwrap();
                ("the tree's frontier".to_owned(), None)
            }
        };
    }
    let db = Connection::open(file).unwrap();
    db.execute_batch("PRAGMA synchronous=OFF; BEGIN").unwrap();
    let seq = edit(&db, kind, rng);
    let told = match way {
        0 | 1 => {
            db.execute_batch("COMMIT").unwrap();
            return (format!("edit {kind} at {seq}"), (seq <= N / 256 * 256 || matches!(kind, 5 | 9)).then_some(seq));
        }
        2 => {
            // The tiles follow, and the checkpoints stand as they were signed.
            let key = sealed.keys.seal.pair();
            db.execute_batch("CREATE TEMP TABLE signed AS SELECT * FROM checkpoints").unwrap();
            rebuild(&db, &key);
            db.execute_batch("DELETE FROM checkpoints; INSERT INTO checkpoints SELECT * FROM signed").unwrap();
            "tiles rebuilt"
        }
        3 => {
            rebuild(&db, &other);
            "rebuilt under another key"
        }
        _ => {
            rebuild(&db, &sealed.keys.seal.pair());
            "rebuilt under the key"
        }
    };
    db.execute_batch("COMMIT").unwrap();
    (format!("edit {kind} at {seq}, {told}"), None)
}

#[actix_web::test]
async fn what_was_not_changed_passes_and_so_does_a_tree_built_anew() {
    let sealed = sealed().await;
    let untouched = sealed.copy("untouched.db");
    let verdict = sealed.verify(&untouched);
    assert_eq!((verdict.findings, verdict.entries, verdict.sealed, verdict.checkpoints), (Vec::new(), N, N, 5));
    rebuild(&Connection::open(&untouched).unwrap(), &sealed.keys.seal.pair());
    assert_eq!(sealed.verify(&untouched).findings, Vec::new());
    // Entries that no checkpoint covers yet are counted and not vouched for.
    fill(&Connection::open(&untouched).unwrap(), N + 1, N + 5);
    let verdict = sealed.verify(&untouched);
    assert_eq!((verdict.findings, verdict.entries, verdict.sealed), (Vec::new(), N + 5, N));
}

#[actix_web::test]
async fn every_tampering_is_found_by_who_kept_a_checkpoint() {
    let sealed = sealed().await;
    let mut rng = StdRng::seed_from_u64(2020);
    let mut missed = Vec::new();
    for n in 0..cases() {
        // Each of the kinds in turn, however many cases there are.
        let file = sealed.copy("tampered.db");
        let (what, first) = tamper(&sealed, &file, n, &mut rng);
        let verdict = sealed.verify(&file);
        match (verdict.findings.first(), first) {
            (None, _) => missed.push(format!("{n}: {what} is not found")),
            (Some(found), Some(first)) if found.seq != first => missed.push(format!("{n}: {what} is found as {found}, not at {first}")),
            _ => {}
        }
        for end in ["", "-wal", "-shm"] {
            let _ = std::fs::remove_file(format!("{}{end}", file.display()));
        }
    }
    assert!(missed.is_empty(), "{}", missed.join("\n"));
}

#[actix_web::test]
async fn a_kept_checkpoint_narrows_down_what_a_rebuilt_tree_hides() {
    let sealed = sealed().await;
    let file = sealed.copy("rebuilt.db");
    let key = sealed.keys.seal.pair();
    let earlier: String =
        Connection::open(&file).unwrap().query_row("SELECT note FROM checkpoints WHERE size = 300", [], |r| r.get(0)).unwrap();
    let db = Connection::open(&file).unwrap();
    db.execute("UPDATE ledger SET leaf = '{}' WHERE seq = 512", []).unwrap();
    rebuild(&db, &key);
    let url = format!("sqlite://{}", file.display());
    let public = key.public_key().as_ref().to_vec();
    let without = Asked { public: public.clone(), ..Asked::default() };
    assert_eq!(verify_at(&url, &without, &mut |_| ()).unwrap().findings, [], "nobody can tell who kept nothing");
    let both = Asked { public, kept: vec![sealed.kept.clone(), Note::parse(&earlier).unwrap()], until: None };
    let found = verify_at(&url, &both, &mut |_| ()).unwrap().findings;
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].to_string(), "seq 301: one of the entries 301 to 1111 is not the one that the kept checkpoint of 1111 covers");
}
