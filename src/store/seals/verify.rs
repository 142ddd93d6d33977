//! Looks over the sealed log: every entry, tile, frontier and checkpoint is computed
//! again from the entries.
//!
//! Promises: an entry that was changed, taken out, put in or moved since it was sealed is
//! found, and so are an end that was cut off, a copy of yesterday and a tree built anew,
//! as far as a checkpoint kept outside covers them; nothing is written.
//! Does not: read what entries mean (who sees them beside it does), or vouch for entries that no
//! checkpoint covers yet.
//! Start at: [`verify`].

use super::super::engine::{Engine, Row, Sql, StoreError, Val, params};
use super::super::{engine_of, schema};
use super::note::Note;
use super::{Entry, TILE, hash_of};
use crate::domain::merkle::{Frontier, Hash, perfect_root};
use crate::domain::time::Moment;
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

/// Entries looked at before tiles and checkpoints are read again; a multiple of a tile.
const PAGE: i64 = 64 * TILE as i64;
/// Findings after which nothing more is told.
const MOST: usize = 50;

/// Something that is not as it was sealed, and the first entry that it touches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    pub seq: i64,
    pub what: String,
}

impl std::fmt::Display for Finding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "seq {}: {}", self.seq, self.what)
    }
}

/// What is looked at.
#[derive(Clone, Debug, Default)]
pub struct Asked {
    /// The public key that checkpoints are signed by.
    pub public: Vec<u8>,
    /// Checkpoints that were kept outside of the store.
    pub kept: Vec<Note>,
    /// Only as far as the first checkpoint from then on.
    pub until: Option<Moment>,
}

/// What came of it.
#[derive(Clone, Debug, Default)]
pub struct Verdict {
    pub entries: i64,
    /// How many of them a checkpoint covers.
    pub sealed: i64,
    pub checkpoints: i64,
    /// The root of all of them.
    pub root: Hash,
    /// In the order of the entries.
    pub findings: Vec<Finding>,
}

/// A root that the tree must have at some size.
struct Mark {
    size: i64,
    root: Hash,
    /// The hashes kept beside the root.
    frontier: Option<Vec<u8>>,
    by: By,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum By {
    /// The store's own row, which nobody signed.
    Tree,
    Checkpoint,
    Kept,
}

struct Walk {
    tree: Frontier,
    /// Hashes of the tiles that are not full yet, by level.
    open: Vec<Vec<Hash>>,
    /// Tiles that were filled in this page: level, number, root and hashes.
    filled: Vec<(i64, i64, Hash, Vec<Hash>)>,
    /// The largest sizes at which the root was that of a signed checkpoint, and of a kept one.
    agreed: i64,
    agreed_kept: i64,
    over: bool,
    findings: Vec<Finding>,
}

impl Walk {
    fn find(&mut self, seq: i64, what: String) {
        if self.findings.len() < MOST {
            self.findings.push(Finding { seq, what });
        }
    }

    /// The first finding that explains why roots differ between these sizes.
    fn cause(&self, after: i64, upto: i64) -> Option<i64> {
        self.findings.iter().map(|f| f.seq).filter(|seq| (after + 1..=upto).contains(seq)).min()
    }

    fn append(&mut self, hash: Hash) {
        self.tree.push(hash);
        let (mut level, mut hash) = (0, hash);
        loop {
            if self.open.len() == level {
                self.open.push(Vec::with_capacity(TILE));
            }
            self.open[level].push(hash);
            if self.open[level].len() < TILE {
                return;
            }
            let full = std::mem::take(&mut self.open[level]);
            let Some(root) = perfect_root(&full) else { return };
            let number = (self.tree.size() >> (super::TILE_LEVELS * (level as u32 + 1))) as i64 - 1;
            self.filled.push((level as i64, number, root, full));
            (level, hash) = (level + 1, root);
        }
    }

    /// Compares the tree as it stands with what was said of it.
    fn compare(&mut self, mark: Mark) {
        let Mark { size, root, frontier, by } = mark;
        let whole = frontier.is_none_or(|bytes| bytes == self.tree.to_bytes());
        if root == self.tree.root() {
            match by {
                By::Kept => self.agreed_kept = size,
                By::Checkpoint => self.agreed = size,
                By::Tree => {}
            }
            if !whole {
                self.find(size, ungrown(size));
            }
            return;
        }
        let after = if by == By::Kept { self.agreed_kept } else { self.agreed };
        match (by, self.cause(after, size)) {
            (By::Kept, Some(first)) => self.find(first, format!("the kept checkpoint of {size} entries is of others, from here on")),
            (By::Kept, None) => {
                self.find(after + 1, format!("{}the one that the kept checkpoint of {size} covers", other(after + 1, size)))
            }
            // What follows from an entry that was found is not told again.
            (_, Some(_)) => {}
            (By::Checkpoint, None) => {
                self.find(after + 1, format!("{}the one that the checkpoint of {size} covers", other(after + 1, size)))
            }
            (By::Tree, None) => self.find(size, ungrown(size)),
        }
    }
}

/// How a finding begins that knows its entry no closer than this.
fn other(first: i64, last: i64) -> String {
    if first == last { "is not ".to_owned() } else { format!("one of the entries {first} to {last} is not ") }
}

fn ungrown(size: i64) -> String {
    format!("the hashes that the tree of {size} entries is to grow from are not its own")
}

/// Stored tiles of one level: root and hashes by number.
type Tiles = HashMap<i64, (Vec<u8>, Vec<u8>)>;

fn tiles(s: &mut dyn Sql, level: i64, from: i64, to: i64) -> Result<Tiles, StoreError> {
    let sql = "SELECT number, root, hashes FROM ledger_tiles WHERE level = $1 AND number >= $2 AND number < $3";
    let rows = s.query(sql, params![level, from, to])?;
    rows.iter().map(|r| Ok((r.int(0)?, (r.blob(1)?.to_vec(), r.blob(2)?.to_vec())))).collect()
}

/// The store behind a URL, where it is there to be looked over.
pub fn readable(url: &str) -> Result<Arc<dyn Engine>, StoreError> {
    // Opening would make an empty one.
    if let Some(path) = url.strip_prefix("sqlite://").filter(|path| !std::path::Path::new(path).exists()) {
        return Err(StoreError::Unavailable(format!("there is no {path}")));
    }
    engine_of(url)
}

/// Looks over the log of the store behind a URL, in one state of it; whoever serves it
/// goes on. `look` sees each entry too, in order.
pub fn verify_at(url: &str, asked: &Asked, look: &mut dyn FnMut(&Entry<'_>)) -> Result<Verdict, StoreError> {
    let mut conn = readable(url)?.connect()?;
    conn.begin_read()?;
    let verdict = must_be_of_today(&mut *conn).and_then(|()| verify(&mut *conn, asked, look));
    conn.rollback();
    verdict
}

/// A store of another version is not looked over.
pub fn must_be_of_today(s: &mut dyn Sql) -> Result<(), StoreError> {
    if schema::is_of_today(s)? {
        return Ok(());
    }
    let what =
        "its tables are of another version, and verifying changes nothing: bring it, or a copy of it, up to date with `store migrate`";
    Err(StoreError::Unavailable(what.to_owned()))
}

/// Looks over the log, and shows each entry in order.
pub fn verify(s: &mut dyn Sql, asked: &Asked, look: &mut dyn FnMut(&Entry<'_>)) -> Result<Verdict, StoreError> {
    let mut walk = Walk {
        tree: Frontier::default(),
        open: Vec::new(),
        filled: Vec::new(),
        agreed: 0,
        agreed_kept: 0,
        over: false,
        findings: Vec::new(),
    };
    let row = s.one("SELECT size, frontier FROM ledger_tree WHERE id = 1", &[])?;
    let (grown, frontier) = row.map_or(Ok((0, Vec::new())), |r| Ok::<_, StoreError>((r.int(0)?, r.blob(1)?.to_vec())))?;
    let end = match asked.until {
        Some(until) => {
            s.one("SELECT MIN(size) FROM checkpoints WHERE at >= $1", params![until.ms()])?.map_or(Ok(None), |r| r.opt_int(0))?
        }
        None => None,
    };
    let mut fixed = Vec::new();
    for note in &asked.kept {
        match note.check(&asked.public) {
            Ok(()) => fixed.push(Mark { size: note.size as i64, root: note.root, frontier: None, by: By::Kept }),
            Err(fault) => walk.find(note.size as i64, format!("the kept checkpoint of {} entries {fault}", note.size)),
        }
    }
    match Frontier::from_bytes(grown as u64, &frontier) {
        Some(tree) => fixed.push(Mark { size: grown, root: tree.root(), frontier: None, by: By::Tree }),
        None => walk.find(grown + 1, ungrown(grown)),
    }
    fixed.sort_by_key(|mark| mark.size);
    let (fixed_end, mut checkpoints) = (fixed.iter().map(|m| m.size).max().unwrap_or(0), 0);
    let mut fixed = VecDeque::from(fixed);
    // Before any entry there can be one that does not count.
    let mut after = i64::MIN;
    loop {
        let from = walk.tree.size() as i64;
        let upto = (from + PAGE).min(end.unwrap_or(i64::MAX));
        let mut marks = VecDeque::from(stored(s, asked, from, upto, &mut walk, &mut checkpoints)?);
        while fixed.front().is_some_and(|mark| mark.size <= upto) {
            marks.extend(fixed.pop_front());
        }
        // A kept one last: what the store itself contradicts is told first.
        marks.make_contiguous().sort_by_key(|mark| (mark.size, mark.by == By::Kept));
        while marks.front().is_some_and(|mark| mark.size <= from) {
            // Of no entries, or of some that were looked at before; else a note was given twice.
            if let Some(mark) = marks.pop_front().filter(|mark| mark.size == from) {
                walk.compare(mark);
            }
        }
        let below = tiles(s, 0, from / TILE as i64, upto / TILE as i64)?;
        let read = s.each(super::entry!("WHERE seq > $1 ORDER BY seq LIMIT $2"), params![after, upto - from], &mut |row| {
            walk_on(&row, &mut walk, &below, &mut marks, look);
            Ok(())
        });
        match read {
            Err(StoreError::Corrupt(why)) => {
                walk.find(walk.tree.size() as i64 + 1, why);
                walk.over = true;
            }
            other => other?,
        }
        check_tiles(s, &below, grown, &mut walk)?;
        let now = walk.tree.size() as i64;
        if walk.over || now < from + PAGE {
            fixed.extend(marks);
            break;
        }
        after = now;
    }
    if !walk.over && end.is_none() {
        check_end(s, grown, fixed_end, &fixed, &mut walk)?;
    }
    walk.findings.sort_by_key(|finding| finding.seq);
    let (entries, root) = (walk.tree.size() as i64, walk.tree.root());
    Ok(Verdict { entries, sealed: walk.agreed, checkpoints, root, findings: walk.findings })
}

/// The checkpoints of these sizes whose signature holds; of the others it is told.
fn stored(s: &mut dyn Sql, asked: &Asked, after: i64, upto: i64, walk: &mut Walk, count: &mut i64) -> Result<Vec<Mark>, StoreError> {
    let mut marks = Vec::new();
    // The first page has those of no entries and of less than none, which cannot be.
    let after = if after == 0 { i64::MIN } else { after };
    let sql = "SELECT size, note, frontier FROM checkpoints WHERE size > $1 AND size <= $2 ORDER BY size";
    for row in s.query(sql, params![after, upto])? {
        *count += 1;
        let size = row.int(0)?;
        let read = Note::parse(row.text(1)?).and_then(|note| note.check(&asked.public).map(|()| note));
        match read {
            Err(fault) => walk.find(size, format!("the stored checkpoint of {size} entries {fault}")),
            Ok(note) if note.size as i64 != size || size < 1 => {
                walk.find(size, format!("the checkpoint stored for {size} entries is one of {}", note.size))
            }
            Ok(note) => marks.push(Mark { size, root: note.root, frontier: Some(row.blob(2)?.to_vec()), by: By::Checkpoint }),
        }
    }
    Ok(marks)
}

/// One row of the ledger: whether it is the next entry, and the one that was sealed.
fn walk_on(row: &Row, walk: &mut Walk, below: &Tiles, marks: &mut VecDeque<Mark>, look: &mut dyn FnMut(&Entry<'_>)) {
    if walk.over {
        return;
    }
    let seq = walk.tree.size() as i64 + 1;
    let entry = match Entry::read(row) {
        Ok(entry) if entry.seq == seq => entry,
        Ok(entry) => {
            let what = if entry.seq > seq { "is missing" } else { "does not come next" };
            walk.find(seq, format!("{what}: there is an entry {} instead", entry.seq));
            walk.over = true;
            return;
        }
        Err(why) => {
            walk.find(seq, format!("cannot be read: {why}"));
            walk.over = true;
            return;
        }
    };
    let hash = entry.hash();
    let (tile, place) = ((seq - 1) / TILE as i64, (seq - 1) as usize % TILE);
    if below.get(&tile).is_some_and(|(_, hashes)| hashes.get(place * 32..place * 32 + 32) != Some(&hash)) {
        walk.find(seq, "is not the entry that was sealed: its hash is not the one in its tile".to_owned());
    }
    walk.append(hash);
    look(&entry);
    while marks.front().is_some_and(|mark| mark.size == seq) {
        if let Some(mark) = marks.pop_front() {
            walk.compare(mark);
        }
    }
}

/// The tiles that were filled, compared with those stored; `grown` is what is to be stored.
fn check_tiles(s: &mut dyn Sql, below: &Tiles, grown: i64, walk: &mut Walk) -> Result<(), StoreError> {
    for (level, number, root, hashes) in std::mem::take(&mut walk.filled) {
        let spans = (TILE as i64).pow(level as u32);
        let first = number * spans * TILE as i64;
        if first + spans * TILE as i64 > grown {
            continue;
        }
        let above = if level > 0 { tiles(s, level, number, number + 1)? } else { Tiles::new() };
        let Some((kept_root, kept)) = (if level > 0 { &above } else { below }).get(&number) else {
            walk.find(first + 1, format!("tile {number} of level {level} is missing"));
            continue;
        };
        let same = hashes.iter().zip(kept.chunks(32)).take_while(|(hash, kept)| hash_of(kept).is_ok_and(|kept| kept == **hash)).count();
        let first_other = first + same as i64 * spans + 1;
        if same < TILE || kept.len() != TILE * 32 {
            if walk.cause(first, first + spans * TILE as i64).is_none() {
                walk.find(first_other, format!("tile {number} of level {level} is not that of the entries"));
            }
        } else if *kept_root != root {
            walk.find(first + 1, format!("the root of tile {number} of level {level} is not its own"));
        }
    }
    Ok(())
}

/// What only the end shows: entries, checkpoints or tiles that are too few or too many.
fn check_end(s: &mut dyn Sql, grown: i64, said: i64, left: &VecDeque<Mark>, walk: &mut Walk) -> Result<(), StoreError> {
    let n = walk.tree.size() as i64;
    let mut number = |sql: &'static str, params: &[Val]| s.one(sql, params)?.map_or(Ok(0), |row| row.int(0));
    let rows = number("SELECT COUNT(*) FROM ledger", &[])?;
    let signed = number("SELECT COALESCE(MAX(size), 0) FROM checkpoints", &[])?;
    if rows != n {
        walk.find(n + 1, format!("there are {rows} rows and {n} entries"));
    }
    for mark in left.iter().filter(|mark| mark.size > n && mark.by == By::Kept) {
        walk.find(n + 1, format!("is missing: the kept checkpoint covers {} entries", mark.size));
    }
    if signed > n || grown > n {
        walk.find(n + 1, format!("is missing: {} entries were sealed", signed.max(grown).max(said)));
    } else if grown < signed {
        walk.find(grown + 1, format!("the tree has {grown} entries and a checkpoint of it {signed}"));
    }
    for level in 0..super::TILE_LEVELS as i64 {
        let full = u32::try_from(level + 1).ok().and_then(|l| (TILE as i64).checked_pow(l)).map_or(0, |spans| grown / spans);
        let stored = number("SELECT COUNT(*) FROM ledger_tiles WHERE level = $1", params![level])?;
        if stored > full {
            walk.find(grown + 1, format!("there are {stored} tiles of level {level}, and {full} are full"));
        }
    }
    Ok(())
}
