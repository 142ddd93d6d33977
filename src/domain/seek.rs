//! Who looks for work and how long they have waited for an offer, counted by day.
//!
//! Promises: the page of two people is the sum of each one's, and what is counted and
//! taken away again leaves nothing. A page says who waits how long on any day from the
//! one on which it was kept until it changes: it holds days of the calendar and no
//! numbers of days.
//! Does not: know a store, or the day. Days are numbers since 1970-01-01.
//! Start at: [`Stand`], [`Page`].

use super::region::Region;
use super::varint::{read, signed, unsigned, write};

/// How somebody who was not erased stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stand {
    pub home: Region,
    /// They have consented, look for work and have not paused.
    pub looks: bool,
    /// The day they began to look, which may be ahead.
    pub since: i32,
    /// The day of the last offer made to them.
    pub last: Option<i32>,
}

/// What a page counts by day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
enum Kind {
    /// Who look and have had no offer since they began, by that day.
    Never,
    /// Who look and have had one, by its day.
    Since,
    /// Who ever had an offer, whether they look or not, by the day of the last.
    Last,
}

/// Days of one kind lie below the next; the first is as far before 1970 as the last is
/// after it.
const DAYS: i32 = 1 << 20;

/// People of one home by kind and day, counts of 0 left out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page(Vec<(u32, i64)>);

fn key(kind: Kind, day: i32) -> u32 {
    (kind as u32) * DAYS as u32 + (day.clamp(-DAYS / 2, DAYS / 2 - 1) + DAYS / 2) as u32
}

fn day_of(key: u32) -> i32 {
    (key % DAYS as u32) as i32 - DAYS / 2
}

impl Page {
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether some count is below 0: of people there is none such.
    pub fn is_below_nothing(&self) -> bool {
        self.0.iter().any(|(_, n)| *n < 0)
    }

    /// Counts somebody so many times, -1 to take them away.
    pub fn count(&mut self, stand: &Stand, n: i64) {
        if stand.looks {
            match stand.last.filter(|last| *last >= stand.since) {
                Some(last) => self.add(key(Kind::Since, last), n),
                None => self.add(key(Kind::Never, stand.since), n),
            }
        }
        if let Some(last) = stand.last {
            self.add(key(Kind::Last, last), n);
        }
    }

    fn add(&mut self, key: u32, n: i64) {
        match self.0.binary_search_by_key(&key, |(k, _)| *k) {
            Ok(at) => {
                self.0[at].1 += n;
                if self.0[at].1 == 0 {
                    self.0.remove(at);
                }
            }
            Err(at) => self.0.insert(at, (key, n)),
        }
    }

    /// Adds the counts of another page.
    pub fn merge(&mut self, other: &Page) {
        self.0.extend_from_slice(&other.0);
        // Two runs in order, which such a sort merges.
        self.0.sort_by_key(|(key, _)| *key);
        self.0.dedup_by(|later, first| {
            let same = later.0 == first.0;
            first.1 += if same { later.1 } else { 0 };
            same
        });
        self.0.retain(|(_, n)| *n != 0);
    }

    /// Days and people of a kind, those days that are over or run on `day`.
    fn upto(&self, kind: Kind, day: i32) -> impl DoubleEndedIterator<Item = (i32, u64)> {
        let (first, last) = (key(kind, i32::MIN), key(kind, day));
        let (from, to) = (self.0.partition_point(|(k, _)| *k < first), self.0.partition_point(|(k, _)| *k <= last));
        self.0[from..to.max(from)].iter().map(|(key, n)| (day_of(*key), n.unsigned_abs()))
    }

    /// Who look on this day and have had no offer since they began.
    pub fn never(&self, day: i32) -> u64 {
        self.upto(Kind::Never, day).map(|(_, people)| people).sum()
    }

    /// Whose last offer was made on one of these days.
    pub fn offered(&self, from: i32, day: i32) -> u64 {
        self.upto(Kind::Last, day).rev().take_while(|(last, _)| *last >= from).map(|(_, people)| people).sum()
    }

    /// Who look on this day, by the days since their last offer, or since they began
    /// where that was later: days, people; fewest days first.
    pub fn waits(&self, day: i32) -> Vec<(u32, u64)> {
        let (mut never, mut since) = (self.upto(Kind::Never, day).rev().peekable(), self.upto(Kind::Since, day).rev().peekable());
        let mut out = Vec::new();
        loop {
            let next = never.peek().map(|(d, _)| *d).max(since.peek().map(|(d, _)| *d));
            let Some(next) = next else { return out };
            let people = [never.next_if(|(d, _)| *d == next), since.next_if(|(d, _)| *d == next)];
            out.push((day.abs_diff(next), people.into_iter().flatten().map(|(_, people)| people).sum()));
        }
    }

    /// As the store keeps it: for each count the step from the key before, and the count.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.0.len() * 3);
        let mut last = 0;
        for (key, n) in &self.0 {
            write(&mut out, u64::from(key - last));
            write(&mut out, signed(*n));
            last = *key;
        }
        out
    }

    /// Reads what [`Page::to_bytes`] wrote; none where it is no page.
    pub fn from_bytes(mut bytes: &[u8]) -> Option<Self> {
        let mut page = Self(Vec::with_capacity(bytes.len() / 2));
        let mut key = 0u32;
        while !bytes.is_empty() {
            let (step, n) = (u32::try_from(read(&mut bytes)?).ok()?, read(&mut bytes)?);
            key = key.checked_add(step).filter(|_| step > 0 || page.0.is_empty())?;
            page.0.push((key, unsigned(n)));
        }
        Some(page)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn stand(looks: bool, since: i32, last: Option<i32>) -> Stand {
        Stand { home: Region::parse("522624").unwrap(), looks, since, last }
    }

    fn page(people: &[Stand]) -> Page {
        let mut page = Page::default();
        people.iter().for_each(|p| page.count(p, 1));
        page
    }

    #[test]
    fn people_are_told_apart_by_whether_they_look_and_what_they_were_offered_since() {
        let people = [
            stand(true, 100, None),
            stand(true, 100, Some(99)),
            stand(true, 100, Some(100)),
            stand(true, -9000, Some(105)),
            stand(false, 50, Some(105)),
            stand(false, 50, None),
            // Registered ahead.
            stand(true, 108, None),
        ];
        let page = page(&people);
        assert_eq!((page.never(107), page.never(108), page.never(99)), (2, 3, 0));
        assert_eq!(page.waits(107), [(2, 1), (7, 3)]);
        assert_eq!(page.waits(108), [(0, 1), (3, 1), (8, 3)]);
        assert_eq!((page.offered(100, 107), page.offered(99, 107), page.offered(106, 107), page.offered(0, 99)), (3, 4, 0, 1));
        assert_eq!(Page::default().waits(107), []);
    }

    #[test]
    fn what_is_no_page_is_not_read() {
        let good = page(&[stand(true, 5, Some(9)), stand(true, 7, None)]).to_bytes();
        assert!(Page::from_bytes(&good[..good.len() - 1]).is_none());
        assert!(Page::from_bytes(&[5, 2, 0, 2]).is_none(), "a day twice");
        assert!(Page::from_bytes(&[0xff, 0xff, 0xff, 0xff, 0x7f, 2]).is_none(), "a day beyond all");
        assert_eq!(Page::from_bytes(&[]), Some(Page::default()));
    }

    fn anybody() -> impl Strategy<Value = Stand> {
        (any::<bool>(), -20_000..60_000i32, proptest::option::of(17_000..19_000i32))
            .prop_map(|(looks, since, last)| stand(looks, since, last))
    }

    proptest! {
        #[test]
        fn pages_add_up_in_any_order_and_come_back(people in proptest::collection::vec(anybody(), 0..40), cut in 0..40usize, day in 17_000..19_500i32) {
            let whole = page(&people);
            prop_assert_eq!(Page::from_bytes(&whole.to_bytes()).unwrap(), whole.clone());
            let (a, b) = people.split_at(cut.min(people.len()));
            let mut sum = page(a);
            sum.merge(&page(b));
            prop_assert_eq!(&sum, &whole);
            for one in a {
                sum.count(one, -1);
            }
            prop_assert_eq!(&sum, &page(b));
            prop_assert!(!sum.is_below_nothing());
            let waits = whole.waits(day);
            prop_assert!(waits.windows(2).all(|w| w[0].0 < w[1].0));
            let base = |p: &Stand| p.last.map_or(p.since, |last| last.max(p.since));
            let seekers: Vec<&Stand> = people.iter().filter(|p| p.looks && base(p) <= day).collect();
            prop_assert_eq!(waits.iter().map(|w| w.1).sum::<u64>(), seekers.len() as u64);
            prop_assert_eq!(waits.iter().map(|w| i64::from(w.0) * w.1 as i64).sum::<i64>(), seekers.iter().map(|p| i64::from(day - base(p))).sum::<i64>());
        }
    }
}
