//! Moments, days and periods. The gateway's day is that of Asia/Shanghai, which
//! has stood at +08:00 without summer time since 1991-09-15 (IANA tzdb); a fixed
//! offset therefore serves, and needs no zone files on the machine.

use jiff::civil::{Date, date};
use jiff::tz::{Offset, TimeZone};
use jiff::{Timestamp, ToSpan};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::time::Duration;

const SHANGHAI: Offset = Offset::constant(8);

/// A moment, in whole milliseconds since 1970 in UTC. Written as RFC 3339 with
/// the offset +08:00.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Moment(i64);

impl Moment {
    pub const fn from_ms(ms: i64) -> Self {
        Self(ms)
    }

    pub const fn ms(self) -> i64 {
        self.0
    }

    /// Midnight in Asia/Shanghai at which this day begins.
    pub fn start_of(day: Date) -> Self {
        let at = SHANGHAI.to_timestamp(day.at(0, 0, 0, 0)).expect("a civil date within years 1..=9999 has a timestamp at +08:00");
        Self(at.as_millisecond())
    }

    /// Reads RFC 3339, or `YYYY-MM-DD` as 00:00 +08:00. Years 1900 to 2200.
    pub fn parse(text: &str) -> Option<Self> {
        let moment = match parse_date(text) {
            Some(day) => Self::start_of(day),
            None => Self(text.parse::<Timestamp>().ok()?.as_millisecond()),
        };
        (1900..=2200).contains(&moment.day().year()).then_some(moment)
    }

    /// The day in Asia/Shanghai.
    pub fn day(self) -> Date {
        Timestamp::from_millisecond(self.0).map_or(Date::MIN, |t| SHANGHAI.to_datetime(t).date())
    }

    pub fn plus(self, span: Duration) -> Self {
        Self(self.0.saturating_add(i64::try_from(span.as_millis()).unwrap_or(i64::MAX)))
    }

    pub fn minus(self, span: Duration) -> Self {
        Self(self.0.saturating_sub(i64::try_from(span.as_millis()).unwrap_or(i64::MAX)))
    }
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match Timestamp::from_millisecond(self.0) {
            Ok(t) => write!(f, "{}", t.display_with_offset(SHANGHAI)),
            Err(_) => write!(f, "{}ms", self.0),
        }
    }
}

impl Serialize for Moment {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Moment {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(d)?;
        Moment::parse(&text).ok_or_else(|| serde::de::Error::custom("not a time of RFC 3339"))
    }
}

/// Reads `YYYY-MM-DD` and nothing else.
pub fn parse_date(text: &str) -> Option<Date> {
    let shape = text.len() == 10 && text.bytes().enumerate().all(|(i, b)| if i == 4 || i == 7 { b == b'-' } else { b.is_ascii_digit() });
    shape.then(|| text.parse().ok()).flatten()
}

/// Days since 1970-01-01, the form in which the store keeps dates.
pub fn day_number(day: Date) -> i64 {
    i64::from((day - date(1970, 1, 1)).get_days())
}

/// The date with this [`day_number`].
pub fn from_day_number(number: i64) -> Date {
    date(1970, 1, 1).saturating_add(i32::try_from(number).unwrap_or(i32::MAX).days())
}

/// The day `months` calendar months before, clipped to that month's end.
pub fn months_before(day: Date, months: u32) -> Date {
    day.saturating_sub(i32::try_from(months).unwrap_or(i32::MAX).months())
}

/// Whole years lived on `day` by somebody born on `birth`.
pub fn age_on(birth: Date, day: Date) -> u8 {
    let mut years = day.year() - birth.year();
    if (day.month(), day.day()) < (birth.month(), birth.day()) {
        years -= 1;
    }
    u8::try_from(years.clamp(0, 150)).unwrap_or(0)
}

/// A year, quarter or month: `2020`, `2020Q3`, `2020-09`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Period {
    year: i16,
    /// First month and number of months.
    month: i8,
    months: i8,
}

impl Period {
    pub fn parse(text: &str) -> Option<Self> {
        let digits = |t: &str, n: usize| (t.len() == n && t.bytes().all(|b| b.is_ascii_digit())).then(|| t.parse::<i16>().ok()).flatten();
        let year = digits(text.get(..4)?, 4).filter(|y| (1980..=2200).contains(y))?;
        let rest = &text[4..];
        if rest.is_empty() {
            return Some(Self { year, month: 1, months: 12 });
        }
        if let Some(q) = rest.strip_prefix('Q') {
            let q = digits(q, 1).filter(|q| (1..=4).contains(q))?;
            return Some(Self { year, month: (q as i8 - 1) * 3 + 1, months: 3 });
        }
        let m = digits(rest.strip_prefix('-')?, 2).filter(|m| (1..=12).contains(m))?;
        Some(Self { year, month: m as i8, months: 1 })
    }

    /// The month that holds this day.
    pub fn month_of(day: Date) -> Self {
        Self { year: day.year(), month: day.month(), months: 1 }
    }

    /// The calendar year it is or lies in.
    pub fn year(self) -> i16 {
        self.year
    }

    /// A whole year, no part of one.
    pub fn is_year(self) -> bool {
        self.months == 12
    }

    /// The period of the same kind that ends where this one begins.
    pub fn previous(self) -> Self {
        let first = self.first_day().saturating_sub(i32::from(self.months).months());
        Self { year: first.year(), month: first.month(), ..self }
    }

    /// Its last day has passed.
    pub fn is_over(self, today: Date) -> bool {
        self.last_day() < today
    }

    pub fn first_day(self) -> Date {
        date(self.year, self.month, 1)
    }

    pub fn last_day(self) -> Date {
        date(self.year, self.month + self.months - 1, 1).last_of_month()
    }

    /// 0 for a month, 1 for a quarter, 2 for a year.
    pub fn kind(self) -> usize {
        match self.months {
            12 => 2,
            3 => 1,
            _ => 0,
        }
    }

    /// The form of SDMX: `2020`, `2020-Q3`, `2020-09`.
    pub fn sdmx(self) -> String {
        self.to_string().replace('Q', "-Q")
    }

    /// The form of DHIS2: `2020`, `2020Q3`, `202009`.
    pub fn dhis2(self) -> String {
        self.to_string().replace('-', "")
    }
}

impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.months {
            12 => write!(f, "{:04}", self.year),
            3 => write!(f, "{:04}Q{}", self.year, (self.month - 1) / 3 + 1),
            _ => write!(f, "{:04}-{:02}", self.year, self.month),
        }
    }
}

/// The time zone of every civil date in an answer.
pub fn zone() -> TimeZone {
    TimeZone::fixed(SHANGHAI)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_is_its_midnight_in_shanghai() {
        let m = Moment::parse("2020-06-01").unwrap();
        assert_eq!(m, Moment::parse("2020-05-31T16:00:00Z").unwrap());
        assert_eq!(m.day(), date(2020, 6, 1));
        assert_eq!(m.to_string(), "2020-06-01T00:00:00+08:00");
        assert_eq!(Moment::from_ms(m.ms() - 1).day(), date(2020, 5, 31));
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for text in ["", "2020-6-1", "2020-02-30", "20200601", "yesterday", "2020-06-01T25:00:00Z", "-2020-06-01", "9999-01-01"] {
            assert_eq!(Moment::parse(text), None, "{text}");
        }
    }

    #[test]
    fn periods_know_their_days() {
        let last = |p: &str| Period::parse(p).unwrap().last_day();
        assert_eq!(last("2020"), date(2020, 12, 31));
        assert_eq!(last("2020Q3"), date(2020, 9, 30));
        assert_eq!(last("2020-02"), date(2020, 2, 29));
        assert_eq!(Period::parse("2020Q3").unwrap().first_day(), date(2020, 7, 1));
        assert_eq!(Period::parse("2020-09").unwrap().dhis2(), "202009");
        let before = |p: &str| Period::parse(p).unwrap().previous().to_string();
        assert_eq!([before("2020"), before("2020Q1"), before("2020Q3"), before("2020-01")], ["2019", "2019Q4", "2020Q2", "2019-12"]);
        let september = Period::parse("2020-09").unwrap();
        assert!(!september.is_over(date(2020, 9, 30)) && september.is_over(date(2020, 10, 1)));
        assert!(Period::parse("2020").unwrap().is_year() && !september.is_year());
        for bad in ["", "20", "2020Q5", "2020Q", "2020-13", "2020-1", "2020-09-01", "二〇二〇"] {
            assert_eq!(Period::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn days_months_and_ages_clip_as_calendars_do() {
        assert_eq!(from_day_number(day_number(date(2020, 2, 29))), date(2020, 2, 29));
        assert_eq!(months_before(date(2020, 5, 31), 3), date(2020, 2, 29));
        assert_eq!(age_on(date(2000, 6, 2), date(2020, 6, 1)), 19);
        assert_eq!(age_on(date(2000, 6, 1), date(2020, 6, 1)), 20);
    }
}
