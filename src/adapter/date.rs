//! Days as platforms write them.

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::Offset;

/// A point in time is told as the day it has in China, which keeps +08:00 all year.
const CHINA: Offset = Offset::constant(8);

/// Reads a day: by `format` (strptime), else ISO 8601 (with a time or without),
/// `2020/6/1`, `2020.6.1`, `2020年6月1日`, `20200601`, RFC 2822, seconds or
/// milliseconds since 1970.
pub(super) fn read(text: &str, format: Option<&str>) -> Option<Date> {
    let text = text.trim();
    if let Some(format) = format {
        let parsed = jiff::fmt::strtime::parse(format, text).ok()?;
        return parsed.to_timestamp().ok().map(in_china).or_else(|| parsed.to_date().ok());
    }
    if let Ok(time) = text.parse::<Timestamp>() {
        return Some(in_china(time));
    }
    parts(text)
        .or_else(|| jiff::fmt::rfc2822::parse(text).ok().map(|time| in_china(time.timestamp())))
        .or_else(|| text.parse().ok().filter(|_| text.len() >= 9).and_then(of_epoch))
}

/// Seconds since 1970, or milliseconds where seconds would lie past the year 5000.
pub(super) fn of_epoch(number: i64) -> Option<Date> {
    let time = if number.unsigned_abs() < 100_000_000_000 { Timestamp::from_second(number) } else { Timestamp::from_millisecond(number) };
    time.ok().map(in_china)
}

fn in_china(time: Timestamp) -> Date {
    CHINA.to_datetime(time).date()
}

/// Year, month and day by any of the usual separators, or as eight digits; what
/// follows must be a time of day or nothing.
fn parts(text: &str) -> Option<Date> {
    if text.len() == 8 && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Date::new(text[..4].parse().ok()?, text[4..6].parse().ok()?, text[6..].parse().ok()?).ok();
    }
    let (year, rest) = digits(text, 4)?;
    let (first, rest) = separator(rest)?;
    let (month, rest) = digits(rest, 2)?;
    let (second, rest) = separator(rest)?;
    let (day, rest) = digits(rest, 2)?;
    let alike = first == second || (first == '年' && second == '月');
    let rest = rest.trim_start_matches('日').trim_start_matches('T').trim();
    let time = rest.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b':' | b'.'));
    if year < 1000 || !alike || !time {
        return None;
    }
    Date::new(year, i8::try_from(month).ok()?, i8::try_from(day).ok()?).ok()
}

fn digits(text: &str, most: usize) -> Option<(i16, &str)> {
    let len = text.bytes().take(most).take_while(u8::is_ascii_digit).count();
    Some((text[..len].parse().ok()?, &text[len..]))
}

fn separator(text: &str) -> Option<(char, &str)> {
    let c = text.chars().next().filter(|c| "-/.年月".contains(*c))?;
    Some((c, &text[c.len_utf8()..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Option<&str>) {
        assert_eq!(read(text, None).map(|date| date.to_string()).as_deref(), expected, "{text}");
    }

    #[test]
    fn a_day_is_read_however_it_is_written() {
        for text in [
            "2020-06-01",
            "2020/6/1",
            "2020.06.01",
            "2020年6月1日",
            "20200601",
            "2020-06-01 23:30:00",
            "2020-06-01T23:30:00",
            "2020-06-01T23:30:00+08:00",
            "2020-05-31T16:00:00Z",
            "Mon, 01 Jun 2020 10:00:00 +0800",
            "1590969600",
            "1590969600000",
        ] {
            check(text, Some("2020-06-01"));
        }
    }

    #[test]
    fn what_is_no_day_is_not_read() {
        for text in ["", "soon", "2020-13-01", "2020-02-30", "06-01", "2020-06/01", "12", "2020-06-01 soon", "长期有效"] {
            check(text, None);
        }
        assert_eq!(read("01.06.20", Some("%d.%m.%y")).map(|d| d.to_string()).as_deref(), Some("2020-06-01"));
    }
}
