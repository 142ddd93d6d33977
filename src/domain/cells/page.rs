//! A page: many small counts, few of them other than 0, kept as sorted pairs.

use crate::domain::category::Category;
use crate::domain::varint::{read, read_two, signed, unsigned, write};

/// What a count is split by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Section {
    Flow,
    Tier,
    TierAtHire,
    Category,
    /// By the number of a platform.
    Platform,
    /// By the number of a focus set of the home, on the axis of work.
    Focus,
    /// By the prefecture, as exactly as it is known, of the other axis: where those of a
    /// place work, and where those who work there come from.
    Way,
    /// People by a trade at a platform, in whatever hire: their tiers, then
    /// [`POOR_AT_HIRE`] and [`LIFTED_SINCE`].
    Job,
    /// People by a trade at a platform and a step of pay.
    Pay,
    /// Hires by a trade at a platform: what happened once.
    Turn,
    /// Offers by a trade at a platform, see [`Offered`].
    Offer,
}

/// Sections of a page that somebody asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sections(u64);

impl Sections {
    pub const ALL: Self = Self(u64::MAX);
    /// What is told of people by place alone.
    pub const FLOW: Self = Self::of(&[Section::Flow]);

    pub const fn of(sections: &[Section]) -> Self {
        let (mut bits, mut at) = (0, 0);
        while at < sections.len() {
            bits |= 1 << sections[at] as u64;
            at += 1;
        }
        Self(bits)
    }

    /// These and those.
    pub const fn with(self, others: Self) -> Self {
        Self(self.0 | others.0)
    }

    /// These but for those.
    pub const fn without(self, others: Self) -> Self {
        Self(self.0 & !others.0)
    }

    fn has(self, number: u64) -> bool {
        number < 64 && self.0 >> number & 1 == 1
    }

    fn end_before(self, number: u64) -> bool {
        number >= 64 || self.0 >> number == 0
    }
}

/// Which counts of a page are read.
#[derive(Clone, Copy, Debug)]
pub struct Which {
    sections: Sections,
    /// Measures of people that are not, a bit each.
    over: u64,
}

impl Which {
    /// All of these sections.
    pub const fn of(sections: Sections) -> Self {
        Self { sections, over: 0 }
    }

    /// Of what stood when the month before this one ended, what goes on in it: not what
    /// happened once, nor who was new in a period that is over, since it is told anew.
    pub fn going_into(month: super::Month, sections: Sections) -> Self {
        let over = NEW.iter().enumerate().filter(|(kind, _)| month.begins(*kind)).map(|(_, measure)| 1 << *measure as u64);
        Self { sections: sections.without(Sections::of(&[Section::Turn])), over: over.fold(0, |all, one| all | one) }
    }

    pub const fn sections(self) -> Sections {
        self.sections
    }

    /// These and all of those sections, which are not of people.
    pub const fn with(self, sections: Sections) -> Self {
        Self { sections: self.sections.with(sections), over: self.over }
    }

    /// What is not read of a section.
    fn over_in(self, number: u64) -> u64 {
        if number < Section::Way as u64 { self.over } else { 0 }
    }
}

/// What is counted of offers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u16)]
pub enum Offered {
    Made,
    Accepted,
}

/// What the sections of people count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u16)]
pub enum Measure {
    InCounty,
    InPlace,
    InProvince,
    OutOfProvince,
    Confirmed,
    AwaitingStart,
    NewInMonth,
    NewInQuarter,
    NewInYear,
    PoorAtHire,
    LiftedSince,
}

/// Who is new in the month, the quarter, the year.
pub(super) const NEW: [Measure; 3] = [Measure::NewInMonth, Measure::NewInQuarter, Measure::NewInYear];

/// How many measures there are.
pub const MEASURES: usize = 11;

/// Of the section of trades, beside the three tiers.
pub const POOR_AT_HIRE: u16 = 3;
pub const LIFTED_SINCE: u16 = 4;

/// The width of a step of pay, in yuan a month.
pub const PAY_STEP: u32 = 50;

/// The step a monthly pay falls into.
pub(super) fn pay_step(yuan: u32) -> u16 {
    u16::try_from(yuan / PAY_STEP).unwrap_or(u16::MAX)
}

/// A trade at a platform.
pub fn job(platform: u16, category: Category) -> u32 {
    u32::from(platform) << 8 | u32::from(category as u8)
}

/// The platform's number and the category's of a trade.
pub fn job_of(job: u32) -> (u16, u8) {
    ((job >> 8) as u16, job as u8)
}

/// Counts by section, part and measure, those that are 0 left out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page(Vec<(u64, i64)>);

/// What the bytes of a page begin with. Those of older versions are the counts of all
/// sections in one row, without numbers and lengths; none begins with these, since no
/// count is 0, and for such a version these are no page, since no step but the first is 0.
const MARK: [u8; 3] = [0; 3];

/// Which count of a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key(pub(super) u64);

impl Key {
    pub fn of(section: Section, part: u32, measure: u16) -> Self {
        Self(key(section, part, measure))
    }
}

fn key(section: Section, part: u32, measure: u16) -> u64 {
    (section as u64) << 48 | u64::from(part) << 16 | u64::from(measure)
}

impl Page {
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether some count is below 0: of what stands in a place none is.
    pub fn is_below_nothing(&self) -> bool {
        self.0.iter().any(|(_, n)| *n < 0)
    }

    /// These sections of it.
    #[cfg(test)]
    pub fn only(&self, sections: Sections) -> Self {
        Self(self.0.iter().copied().filter(|(key, _)| sections.has(key >> 48)).collect())
    }

    /// Adds to one count.
    #[cfg(test)]
    pub fn add(&mut self, section: Section, part: u32, measure: u16, n: i64) {
        let key = key(section, part, measure);
        match self.0.binary_search_by_key(&key, |(k, _)| *k) {
            Ok(at) => {
                self.0[at].1 += n;
                if self.0[at].1 == 0 {
                    self.0.remove(at);
                }
            }
            Err(at) if n != 0 => self.0.insert(at, (key, n)),
            Err(_) => {}
        }
    }

    /// Adds to several counts, in the order of their keys: neighbours among them mostly
    /// are neighbours here, so that one is found beside the other.
    pub(super) fn add_all(&mut self, sorted: &[(Key, i64)], times: i64) {
        let mut at = 0;
        for (Key(key), n) in sorted {
            let near = self.0[at..].iter().take(4).position(|(k, _)| k >= key);
            at += near.unwrap_or_else(|| self.0[at..].partition_point(|(k, _)| k < key));
            match self.0.get_mut(at) {
                Some((k, sum)) if k == key => {
                    *sum += n * times;
                    if *sum == 0 {
                        self.0.remove(at);
                    }
                }
                _ if n * times != 0 => self.0.insert(at, (*key, n * times)),
                _ => {}
            }
        }
    }

    /// Adds all counts of another page.
    pub fn merge(&mut self, other: &Page) {
        let mut out = Vec::with_capacity(self.0.len().max(other.0.len()));
        let (mut a, mut b) = (self.0.iter().peekable(), other.0.iter().peekable());
        loop {
            let next = match (a.peek(), b.peek()) {
                (None, None) => break,
                (Some(x), Some(y)) if x.0 == y.0 => {
                    let sum = (x.0, x.1 + y.1);
                    a.next();
                    b.next();
                    sum
                }
                (Some(x), Some(y)) if x.0 > y.0 => {
                    let y = **y;
                    b.next();
                    y
                }
                (Some(x), _) => {
                    let x = **x;
                    a.next();
                    x
                }
                (None, Some(y)) => {
                    let y = **y;
                    b.next();
                    y
                }
            };
            if next.1 != 0 {
                out.push(next);
            }
        }
        self.0 = out;
    }

    /// A page of counts that are in the order of their keys, none of them 0.
    pub(super) fn of_counts(counts: Vec<(u64, i64)>) -> Self {
        Self(counts)
    }

    /// Its counts in the order of their keys.
    pub(super) fn counts(&self) -> impl Iterator<Item = (u64, i64)> {
        self.0.iter().copied()
    }

    /// What takes its counts away.
    pub fn negated(mut self) -> Self {
        self.0.iter_mut().for_each(|(_, n)| *n = -*n);
        self
    }

    /// Part, measure and count of a section, in order.
    pub fn section(&self, section: Section) -> impl Iterator<Item = (u32, u16, i64)> {
        let (from, to) = ((section as u64) << 48, (section as u64 + 1) << 48);
        let first = self.0.partition_point(|(k, _)| *k < from);
        self.0[first..].iter().take_while(move |(k, _)| *k < to).map(|(k, n)| ((*k >> 16) as u32, *k as u16, *n))
    }

    /// As the store keeps it: the sections in order, each with its number, the length of
    /// its counts in bytes, and for each count the step from the key before, and the
    /// count, as LEB128, the count with its sign in the lowest bit. Who asks for one section
    /// goes over those before it by their lengths.
    pub fn to_bytes(&self) -> Vec<u8> {
        if self.is_empty() {
            return Vec::new();
        }
        let mut out = Vec::with_capacity(MARK.len() + self.0.len() * 4);
        out.extend(MARK);
        let mut counts = Vec::new();
        for section in self.0.chunk_by(|(a, _), (b, _)| a >> 48 == b >> 48) {
            let number = section[0].0 >> 48;
            let mut last = number << 48;
            counts.clear();
            for (key, n) in section {
                write(&mut counts, key - last);
                write(&mut counts, signed(*n));
                last = *key;
            }
            write(&mut out, number);
            write(&mut out, counts.len() as u64);
            out.extend_from_slice(&counts);
        }
        out
    }

    /// Reads what [`Page::to_bytes`] wrote; none where it is no page.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        Self::sections_of(bytes, Sections::ALL)
    }

    /// Reads these sections of it, and nothing behind the last of them.
    pub fn sections_of(bytes: &[u8], sections: Sections) -> Option<Self> {
        Self::counts_of(bytes, Which::of(sections))
    }

    /// The same of these counts.
    pub fn counts_of(bytes: &[u8], which: Which) -> Option<Self> {
        let mut counts = Vec::new();
        counts_of(bytes, which, |key, n| counts.push((key, n)))?;
        Some(Self(counts))
    }
}

/// Appends these sections of a page to `out`, which are a page too, or nothing where it has
/// none of them; none where it is no page, as far as that is seen without its counts.
pub fn cut(page: &[u8], sections: Sections, out: &mut Vec<u8>) -> Option<()> {
    let Some(bytes) = page.strip_prefix(&MARK) else {
        out.extend_from_slice(page);
        return Some(());
    };
    let begin = out.len();
    each_section(bytes, sections, |_, whole, _| {
        if out.len() == begin {
            out.extend(MARK);
        }
        out.extend_from_slice(whole);
        Some(())
    })
}

/// Goes over these sections of a page behind its mark: the number of each, all of it, and
/// its counts.
#[inline]
fn each_section(mut bytes: &[u8], sections: Sections, mut each: impl FnMut(u64, &[u8], &[u8]) -> Option<()>) -> Option<()> {
    let mut least = 0;
    while !bytes.is_empty() {
        let whole = bytes;
        let (number, length) = (read(&mut bytes)?, read(&mut bytes)?);
        if number < least {
            return None;
        }
        if sections.end_before(number) {
            break;
        }
        let (counts, rest) = bytes.split_at_checked(usize::try_from(length).ok()?)?;
        if sections.has(number) {
            each(number, &whole[..whole.len() - rest.len()], counts)?;
        }
        (bytes, least) = (rest, number + 1);
    }
    Some(())
}

/// Goes over these counts of a page as [`Page::to_bytes`] wrote it, in the order of their
/// keys; none where it is no page, of which some may have been gone over.
#[inline]
pub(super) fn counts_of(bytes: &[u8], which: Which, mut each: impl FnMut(u64, i64)) -> Option<()> {
    let Some(bytes) = bytes.strip_prefix(&MARK) else {
        return old_counts(bytes, which, &mut each);
    };
    each_section(bytes, which.sections, |number, _, mut counts| {
        let over = which.over_in(number);
        let (mut key, mut first) = (number << 48, true);
        while !counts.is_empty() {
            let (step, n) = read_two(&mut counts)?;
            key = key.checked_add(step).filter(|_| step > 0 || first)?;
            first = false;
            if over == 0 || over >> (key & 0xffff).min(63) & 1 == 0 {
                each(key, unsigned(n));
            }
        }
        (key >> 48 == number).then_some(())
    })
}

/// The same of a page of older versions.
fn old_counts(mut bytes: &[u8], which: Which, each: &mut dyn FnMut(u64, i64)) -> Option<()> {
    let (mut key, mut first) = (0u64, true);
    while !bytes.is_empty() {
        let (step, n) = read_two(&mut bytes)?;
        key = key.checked_add(step).filter(|_| step > 0 || first)?;
        first = false;
        let number = key >> 48;
        if which.sections.end_before(number) {
            break;
        }
        if which.sections.has(number) && which.over_in(number) >> (key & 0xffff).min(63) & 1 == 0 {
            each(key, unsigned(n));
        }
    }
    Some(())
}
