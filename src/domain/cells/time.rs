//! Months, and the buckets of time that pages stand in.

use crate::domain::account::number;
use crate::domain::time::{Period, from_day_number};
use jiff::civil::date;

/// A calendar month: twelve times the year and the months of it that are over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Month(i32);

impl Month {
    /// The month of a day.
    pub fn of(day: i32) -> Self {
        let day = from_day_number(day.into());
        Self(i32::from(day.year()) * 12 + i32::from(day.month()) - 1)
    }

    /// What the store keeps, growing from month to month.
    pub fn number(self) -> i64 {
        self.0.into()
    }

    /// The month whose days are the first to be kept in one in which this one runs: of
    /// those that are over, what stood and happened by their end is all that is asked.
    pub fn first_with_days(self) -> Self {
        self.previous()
    }

    pub fn first_day(self) -> i32 {
        let year = i16::try_from(self.0.div_euclid(12)).unwrap_or(i16::MAX);
        let month = i8::try_from(self.0.rem_euclid(12) + 1).unwrap_or(1);
        number(date(year, month, 1))
    }

    pub fn last_day(self) -> i32 {
        self.next().first_day() - 1
    }

    pub fn next(self) -> Self {
        Self(self.0 + 1)
    }

    pub fn previous(self) -> Self {
        Self(self.0 - 1)
    }

    /// This month and those after it up to the other.
    pub fn until(self, last: Self) -> impl Iterator<Item = Month> {
        (self.0..=last.0).map(Month)
    }

    /// The first day of the month, the quarter or the year that this month lies in.
    pub(super) fn start_of(self, kind: usize) -> i32 {
        Self(self.0 - self.0.rem_euclid(LENGTHS[kind])).first_day()
    }

    /// Whether a month, a quarter or a year begins with it.
    pub(super) fn begins(self, kind: usize) -> bool {
        self.0.rem_euclid(LENGTHS[kind]) == 0
    }
}

/// Months of a month, a quarter and a year.
const LENGTHS: [i32; 3] = [1, 3, 12];

/// A part of time that pages are kept for: its kind and its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Bucket(u32);

/// Numbers of one kind of bucket.
const KIND: u32 = 1_000_000;

/// What lies between a bucket and that of its roll-up.
const ROLLED_UP: u32 = 5 * KIND;

impl Bucket {
    /// Those of roll-ups come after all others.
    pub const FIRST_ROLLED_UP: Self = Self(ROLLED_UP);

    pub fn month(month: Month) -> Self {
        Self::of(0, month.0)
    }

    pub fn quarter(month: Month) -> Self {
        Self::of(1, month.0.div_euclid(3))
    }

    pub fn year(month: Month) -> Self {
        Self::of(2, month.0.div_euclid(12))
    }

    pub fn offers(month: Month) -> Self {
        Self::of(4, month.0)
    }

    /// The bucket that the store keeps under a number.
    pub fn from_number(number: u32) -> Self {
        Self(number)
    }

    /// The bucket of its roll-up: what its pages come to by province.
    pub fn rolled_up(self) -> Self {
        Self(self.0 % ROLLED_UP + ROLLED_UP)
    }

    pub fn is_rolled_up(self) -> bool {
        self.0 >= ROLLED_UP
    }

    /// The month whose end it tells of; none of another kind, or of a roll-up.
    pub fn month_ended(self) -> Option<Month> {
        (self.0 < KIND).then_some(Month(self.0 as i32))
    }

    /// Whether it counts offers, of which the ledger tells nothing.
    pub fn is_of_offers(self) -> bool {
        self.kind() == 4
    }

    /// The month in the tree of whose days it stands; none of another kind.
    pub fn month_of_days(self) -> Option<Month> {
        (self.kind() == 3).then_some(Month((self.0 % KIND / 32) as i32))
    }

    /// That of its pages, whether they are rolled up or not.
    fn kind(self) -> u32 {
        self.0 % ROLLED_UP / KIND
    }

    /// The buckets of the days of all months before this one: the first, and the first
    /// after them.
    pub fn days_before(month: Month) -> (Self, Self) {
        (Self::node(Month(0), 0), Self::node(month, 0))
    }

    fn of(kind: u32, number: i32) -> Self {
        Self(kind * KIND + number.unsigned_abs().min(KIND - 1))
    }

    fn node(month: Month, node: i32) -> Self {
        Self::of(3, month.0 * 32 + node)
    }

    /// The nodes of the month's tree that a difference on this day is entered in.
    pub(super) fn days(month: Month, day: i32) -> impl Iterator<Item = Bucket> {
        let first = day - month.first_day() + 1;
        std::iter::successors(Some(first), |at| Some(at + (at & -at))).take_while(|at| *at <= 31).map(move |at| Self::node(month, at))
    }

    /// The nodes whose sum is what came about in the month up to this day.
    pub fn up_to(month: Month, day: i32) -> impl Iterator<Item = Bucket> {
        let last = day - month.first_day() + 1;
        std::iter::successors(Some(last), |at| Some(at - (at & -at))).take_while(|at| *at > 0).map(move |at| Self::node(month, at))
    }

    /// What the store keeps.
    pub fn number(self) -> u32 {
        self.0
    }
}

/// The buckets that together say what stands on a day: the month's own where it is its
/// last, else what stood when the month before ended, and the nodes of its days.
pub fn days_of(day: i32) -> (Bucket, Vec<Bucket>) {
    let month = Month::of(day);
    if day == month.last_day() {
        return (Bucket::month(month), Vec::new());
    }
    (Bucket::month(month.previous()), Bucket::up_to(month, day).collect())
}

/// The buckets of the offers of a period.
pub fn offers_of(period: Period) -> Vec<Bucket> {
    Month::of(number(period.first_day())).until(Month::of(number(period.last_day()))).map(Bucket::offers).collect()
}

/// The buckets of what happened once in a period up to a day in it, and the nodes of
/// the month that runs on that day, where it is not the month's last.
pub fn whole_of(period: Period, day: i32) -> (Vec<Bucket>, Vec<Bucket>) {
    let (first, last) = (Month::of(number(period.first_day())), Month::of(number(period.last_day())));
    let now = Month::of(day);
    let over = if day == now.last_day() { now.next() } else { now };
    let mut whole = Vec::new();
    if over > last {
        whole.push(match last.0 - first.0 {
            0 => Bucket::month(first),
            2 => Bucket::quarter(first),
            _ => Bucket::year(first),
        });
        return (whole, Vec::new());
    }
    let mut month = first;
    while month < over {
        if month.begins(1) && month.0 + 3 <= over.0 {
            whole.push(Bucket::quarter(month));
            month = Month(month.0 + 3);
        } else {
            whole.push(Bucket::month(month));
            month = month.next();
        }
    }
    let nodes = if over == now { Bucket::up_to(now, day).collect() } else { Vec::new() };
    (whole, nodes)
}
