//! The index as a file, so that a node starts without reading everybody from the
//! store.
//!
//! The format: sections of a length (8 bytes, little-endian as all numbers here), a
//! CRC-32 of the content (4) and the content. The first says what wrote it: a name,
//! a version, all that the content depends on beside the store, and the change of the
//! store's log up to which it stands. Then the states, the ends of cooldowns and
//! first ranks, the sets of skills, the chunks and lanes of each segment, and a last
//! empty section. It holds no name, phone or id number; whoever went away is left out.
//!
//! Promises: a file is whole or not there; one that is damaged, cut short, of another
//! version or for other settings is refused with its reason, and never half of it
//! used.

use super::chunk::Chunk;
use super::lanes::Entry;
use super::national::National;
use super::record::{self, COLUMNS, PRESENT, SKILLS};
use super::upkeep::{Ends, Ms, State, Upkeep};
use super::world::SEGMENTS;
use crate::domain::region::Region;
use std::cmp::Reverse;
use std::fmt;
use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::path::Path;
use std::sync::Arc;
use uuid::Uuid;

const NAME: &[u8; 16] = b"doorstep index\0\0";
/// Of the format and of what its columns and words mean; a change of either is a new
/// number.
const VERSION: u32 = 1;
/// No section is longer; a length above is damage.
const LONGEST: u64 = 1 << 33;

/// The change of the store's log up to which an index stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Mark {
    pub seq: i64,
    pub id: Uuid,
    pub version: i64,
}

/// Why a file is not used.
#[derive(Debug)]
pub enum SnapshotFault {
    /// It could not be read; `NotFound` where there is none.
    Io(io::Error),
    /// What it says is not what was written.
    Damaged(&'static str),
    /// Written by another version, or for other settings or tables.
    Old,
}

impl From<io::Error> for SnapshotFault {
    fn from(e: io::Error) -> Self {
        if e.kind() == io::ErrorKind::UnexpectedEof { Self::Damaged("it was cut short") } else { Self::Io(e) }
    }
}

impl fmt::Display for SnapshotFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(e) => write!(f, "it cannot be read: {e}"),
            Self::Damaged(what) => write!(f, "it is damaged: {what}"),
            Self::Old => f.write_str("another version wrote it, or it is for other settings"),
        }
    }
}

/// The content of a section while it is made.
#[derive(Default)]
pub struct Content(Vec<u8>);

impl Content {
    pub fn u16s(&mut self, words: impl Iterator<Item = u16>) {
        words.for_each(|word| self.0.extend_from_slice(&word.to_le_bytes()));
    }

    pub fn u32s(&mut self, words: impl Iterator<Item = u32>) {
        words.for_each(|word| self.0.extend_from_slice(&word.to_le_bytes()));
    }

    pub fn u64s(&mut self, words: impl Iterator<Item = u64>) {
        words.for_each(|word| self.0.extend_from_slice(&word.to_le_bytes()));
    }
}

/// The content of a section while it is read.
pub struct Reading<'a>(&'a [u8]);

impl Reading<'_> {
    fn take<const N: usize>(&mut self, n: usize) -> Result<impl Iterator<Item = [u8; N]> + '_, SnapshotFault> {
        let bytes = n.checked_mul(N).and_then(|bytes| self.0.split_at_checked(bytes));
        let (taken, rest) = bytes.ok_or(SnapshotFault::Damaged("a section is too short"))?;
        self.0 = rest;
        Ok(taken.as_chunks::<N>().0.iter().copied())
    }

    pub fn u16s(&mut self, n: usize) -> Result<impl Iterator<Item = u16> + '_, SnapshotFault> {
        self.take(n).map(|words| words.map(u16::from_le_bytes))
    }

    pub fn u32s(&mut self, n: usize) -> Result<impl Iterator<Item = u32> + '_, SnapshotFault> {
        self.take(n).map(|words| words.map(u32::from_le_bytes))
    }

    pub fn u64s(&mut self, n: usize) -> Result<impl Iterator<Item = u64> + '_, SnapshotFault> {
        self.take(n).map(|words| words.map(u64::from_le_bytes))
    }

    pub fn u32(&mut self) -> Result<u32, SnapshotFault> {
        self.u32s(1)?.next().ok_or(SnapshotFault::Damaged("a section is too short"))
    }
}

struct Out<W: Write>(W);

impl<W: Write> Out<W> {
    fn section(&mut self, make: impl FnOnce(&mut Content)) -> io::Result<()> {
        let mut content = Content::default();
        make(&mut content);
        self.0.write_all(&(content.0.len() as u64).to_le_bytes())?;
        self.0.write_all(&crc32fast::hash(&content.0).to_le_bytes())?;
        self.0.write_all(&content.0)
    }
}

struct In<R: Read> {
    from: R,
    content: Vec<u8>,
}

impl<R: Read> In<R> {
    fn section(&mut self) -> Result<Reading<'_>, SnapshotFault> {
        let (mut length, mut sum) = ([0; 8], [0; 4]);
        self.from.read_exact(&mut length)?;
        self.from.read_exact(&mut sum)?;
        let length = u64::from_le_bytes(length);
        if length > LONGEST {
            return Err(SnapshotFault::Damaged("a section's length"));
        }
        self.content.clear();
        // Not reserved ahead: a wrong length must not ask for memory.
        if self.from.by_ref().take(length).read_to_end(&mut self.content)? as u64 != length {
            return Err(SnapshotFault::Damaged("it was cut short"));
        }
        if crc32fast::hash(&self.content) != u32::from_le_bytes(sum) {
            return Err(SnapshotFault::Damaged("a section's checksum"));
        }
        Ok(Reading(&self.content))
    }
}

/// All that the content depends on beside the store.
fn ground(focus: &[String], cap: u32) -> Vec<u8> {
    use sha2::Digest;
    let homes: Vec<String> = Region::NATION.leaves().iter().map(Region::to_string).collect();
    let counties: Vec<u16> = super::upkeep::focus_counties(focus).leaves().collect();
    sha2::Sha256::digest(format!("{} {COLUMNS} {SKILLS} {cap} {counties:?} {homes:?}", record::meaning())).to_vec()
}

/// Writes the index, first beside its place; `mark` is the change up to which it
/// stands.
pub fn write(index: &National, focus: &[String], cap: u32, mark: Mark, path: &Path) -> io::Result<()> {
    let aside = path.with_extension("new");
    let mut options = File::options();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut out = Out(BufWriter::with_capacity(1 << 20, options.open(&aside)?));
    out.section(|content| {
        content.0.extend_from_slice(NAME);
        content.u32s([VERSION].into_iter());
        content.0.extend_from_slice(&ground(focus, cap));
        content.u64s([mark.seq as u64, mark.version as u64].into_iter());
        content.0.extend_from_slice(mark.id.as_bytes());
    })?;
    index.write(|upkeep| write_upkeep(upkeep, &mut out))?;
    out.section(|_| {})?;
    out.0.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()?;
    std::fs::rename(&aside, path)?;
    // The name is on disk once its folder is.
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder)?.sync_all()
}

fn write_upkeep(upkeep: &Upkeep, out: &mut Out<impl Write>) -> io::Result<()> {
    let world = upkeep.world.clone();
    out.section(|content| {
        content.u64s([upkeep.now as u64].into_iter());
        content.u16s(upkeep.states.iter().map(|state| u16::from_le_bytes(state.bytes())));
    })?;
    for ends in [&upkeep.cooling, &upkeep.displaced] {
        out.section(|content| ends.iter().for_each(|(handle, Ms([high, low]))| content.u32s([*handle, *high, *low].into_iter())))?;
    }
    out.section(|content| content.u64s((1..=upkeep.numbers.len()).map(|number| world.sets.mask(number))))?;
    for segment in &world.segments {
        for chunks in [&segment.chunks, &segment.overflow] {
            let chunks = chunks.load_full();
            out.section(|content| content.u32s([chunks.len() as u32].into_iter()))?;
            for chunk in chunks.iter() {
                out.section(|content| chunk.write(content))?;
            }
        }
        let lanes: Vec<usize> = (0..world.skill_lane(SKILLS)).filter(|key| segment.lanes.len(*key) > 0).collect();
        out.section(|content| content.u32s([lanes.len() as u32].into_iter()))?;
        for key in lanes {
            let entries = segment.lanes.entries(key);
            out.section(|content| {
                content.u32s([key as u32, entries.len() as u32].into_iter());
                content.u16s(entries.iter().map(|e| e.day));
                content.u32s(entries.iter().map(|e| e.handle));
                let words = segment.lanes.columns(key).div_ceil(64);
                content.u64s(entries.iter().flat_map(|e| (0..words).map(|word| (e.bits >> (64 * word)) as u64)));
            })?;
        }
    }
    Ok(())
}

/// Reads an index for these settings, and the change up to which it stands.
pub fn read(path: &Path, focus: &[String], cap: u32) -> Result<(National, Mark), SnapshotFault> {
    let mut from = In { from: BufReader::with_capacity(1 << 20, File::open(path).map_err(SnapshotFault::Io)?), content: Vec::new() };
    let mut head = from.section()?;
    let (name, rest) = head.0.split_at_checked(NAME.len()).ok_or(SnapshotFault::Old)?;
    head.0 = rest;
    if name != NAME || head.u32()? != VERSION {
        return Err(SnapshotFault::Old);
    }
    let expected = ground(focus, cap);
    if !head.take::<1>(expected.len())?.map(|[byte]| byte).eq(expected) {
        return Err(SnapshotFault::Old);
    }
    let mut words = head.u64s(2)?;
    let (seq, version) = (words.next().unwrap_or_default() as i64, words.next().unwrap_or_default() as i64);
    drop(words);
    let id = head.take::<16>(1)?.next().map(Uuid::from_bytes).unwrap_or_default();
    let index = National::new(focus, cap);
    index.write(|upkeep| read_upkeep(upkeep, &mut from))?;
    if !from.section()?.0.is_empty() {
        return Err(SnapshotFault::Damaged("its end"));
    }
    Ok((index, Mark { seq, id, version }))
}

fn read_upkeep(upkeep: &mut Upkeep, from: &mut In<impl Read>) -> Result<(), SnapshotFault> {
    let world = upkeep.world.clone();
    let mut section = from.section()?;
    upkeep.now = section.u64s(1)?.next().unwrap_or_default() as i64;
    let states = section.0.len() / 2;
    upkeep.states = section.u16s(states)?.map(|word| State::of(word.to_le_bytes())).collect();
    let mut ends = [Ends::new(), Ends::new()];
    for ends in &mut ends {
        let mut section = from.section()?;
        for _ in 0..section.0.len() / 12 {
            let (handle, until) = (section.u32()?, Ms([section.u32()?, section.u32()?]));
            ends.insert(handle, until);
        }
    }
    upkeep.due = ends.iter().flatten().map(|(handle, until)| Reverse((*until, *handle))).collect();
    [upkeep.cooling, upkeep.displaced] = ends;
    let mut section = from.section()?;
    let sets = section.0.len() / 8;
    section.u64s(sets)?.for_each(|mask| _ = upkeep.numbers.number(mask));
    let mut columns = vec![0; COLUMNS];
    for segment in 0..SEGMENTS {
        for overflow in [false, true] {
            let chunks = (0..from.section()?.u32()?).map(|_| {
                let chunk = Arc::new(Chunk::read(segment as u8, upkeep.fresh_number(), &mut from.section()?)?);
                upkeep.slots[chunk.number as usize] = Some(chunk.clone());
                columns.iter_mut().enumerate().for_each(|(column, n)| *n += chunk.held(column));
                for at in (0..chunk.used()).filter(|at| chunk.bit(PRESENT, *at)) {
                    world.locator.set(chunk.row(at).handle(), chunk.place(at));
                }
                Ok(chunk)
            });
            let chunks = Arc::new(chunks.collect::<Result<Vec<_>, SnapshotFault>>()?);
            let place = &world.segments[segment];
            (if overflow { &place.overflow } else { &place.chunks }).store(chunks);
        }
        for _ in 0..from.section()?.u32()? {
            let mut section = from.section()?;
            let (key, n) = (section.u32()? as usize, section.u32()? as usize);
            if key >= world.skill_lane(SKILLS) {
                return Err(SnapshotFault::Damaged("a lane's number"));
            }
            let mut entries: Vec<Entry> = section.u16s(n)?.map(|day| Entry { day, ..Entry::default() }).collect();
            entries.iter_mut().zip(section.u32s(n)?).for_each(|(e, handle)| e.handle = handle);
            let words = world.segments[segment].lanes.columns(key).div_ceil(64);
            let mut all = section.u64s(n * words)?;
            for entry in &mut entries {
                entry.bits = all.by_ref().take(words).enumerate().fold(0, |bits, (at, word)| bits | u128::from(word) << (64 * at));
            }
            world.segments[segment].lanes.fill(key, &entries);
        }
    }
    world.slots.store(Arc::new(upkeep.slots.clone()));
    columns.into_iter().enumerate().for_each(|(column, n)| world.count_many(column, n));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::eligibility::tests::TERMS;
    use crate::routing::oracle::{Draw, same};
    use crate::routing::plain::PlainIndex;
    use crate::routing::{Index, plain};

    const SETS: [&str; 2] = ["listed-52", "hubei"];
    const MARK: Mark = Mark { seq: 77, id: Uuid::from_u128(5), version: 3 };

    fn sets() -> Vec<String> {
        SETS.map(str::to_owned).to_vec()
    }

    /// A world after some changes, with an overflow and gaps.
    fn world(draw: &mut Draw, people: u32) -> (National, PlainIndex) {
        let (national, plain) = (National::new(&sets(), TERMS.cap), plain::PlainIndex::new(sets()));
        for _ in 0..3 {
            let some: Vec<_> = (0..people).filter(|_| !draw.one_in(3)).collect();
            let seekers: Vec<_> = some.into_iter().map(|handle| draw.seeker(handle)).collect();
            national.apply(seekers.clone());
            plain.apply(seekers);
        }
        (national, plain)
    }

    fn written(national: &National) -> (tempfile::TempDir, std::path::PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("store.db.index");
        write(national, &sets(), TERMS.cap, MARK, &path).unwrap();
        (folder, path)
    }

    #[test]
    fn an_index_read_from_its_file_answers_and_changes_as_before() {
        let mut draw = Draw(31);
        let (national, plain) = world(&mut draw, 3000);
        let (_folder, path) = written(&national);
        let (read, mark) = read(&path, &sets(), TERMS.cap).unwrap();
        assert_eq!((mark, read.len()), (MARK, national.len()));
        let mut terms = TERMS;
        for n in 0..150 {
            same(&read, &plain, &mut draw, terms, 3000);
            let w = draw.seeker(n * 7);
            read.apply(vec![w.clone()]);
            plain.apply(vec![w]);
            // Cooldowns and first ranks end after the restart, too.
            terms.now += 2_000;
        }
        read.write(|upkeep| upkeep.tidy_all());
        (0..50).for_each(|_| same(&read, &plain, &mut draw, terms, 3000));
    }

    #[test]
    fn a_file_that_was_changed_or_cut_anywhere_is_refused() {
        let mut draw = Draw(5);
        let (national, _) = world(&mut draw, 300);
        let (_folder, path) = written(&national);
        let whole = std::fs::read(&path).unwrap();
        for _ in 0..60 {
            let mut bytes = whole.clone();
            let at = draw.below(bytes.len() as u64) as usize;
            if draw.one_in(4) {
                bytes.truncate(at);
            } else {
                bytes[at] ^= 1 << draw.below(8);
            }
            std::fs::write(&path, &bytes).unwrap();
            let refused = read(&path, &sets(), TERMS.cap).map(|(_, mark)| mark).unwrap_err();
            assert!(matches!(refused, SnapshotFault::Damaged(_) | SnapshotFault::Old), "at {at}: {refused}");
        }
    }

    #[test]
    fn a_file_for_other_settings_is_refused_and_one_that_is_not_there_is_said_so() {
        let (national, _) = world(&mut Draw(6), 50);
        let (folder, path) = written(&national);
        assert!(matches!(read(&path, &sets(), TERMS.cap + 1), Err(SnapshotFault::Old)));
        assert!(matches!(read(&path, &sets()[..1], TERMS.cap), Err(SnapshotFault::Old)));
        std::fs::write(&path, b"not an index at all").unwrap();
        assert!(read(&path, &sets(), TERMS.cap).is_err());
        let gone = read(&folder.path().join("none"), &sets(), TERMS.cap);
        assert!(matches!(gone, Err(SnapshotFault::Io(e)) if e.kind() == io::ErrorKind::NotFound));
    }

    #[test]
    fn who_went_away_is_not_in_the_file() {
        let mut draw = Draw(9);
        let national = National::new(&sets(), TERMS.cap);
        let stays = crate::domain::worker::Seeker { consent: true, ..draw.seeker(1) };
        let leaves = crate::domain::worker::Seeker { handle: 0xd431, consent: true, ..draw.seeker(2) };
        national.apply(vec![stays.clone(), leaves.clone()]);
        national.apply(vec![crate::domain::worker::Seeker { consent: false, ..leaves.clone() }]);
        let (_folder, path) = written(&national);
        let bytes = std::fs::read(path).unwrap();
        let holds = |handle: u32| bytes.windows(4).any(|four| four == handle.to_le_bytes());
        assert!(holds(stays.handle) && !holds(leaves.handle));
    }
}
