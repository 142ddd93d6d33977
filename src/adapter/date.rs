//! Days as platforms write them: what the normalizer reads, and what only whole
//! feeds have.

use crate::domain::normalize::dates;
use jiff::civil::Date;

/// Reads a day: by `format` (strptime), else as [`dates::read`] does, by RFC 2822,
/// or as seconds or milliseconds since 1970.
pub(super) fn read(text: &str, format: Option<&str>) -> Option<Date> {
    let text = text.trim();
    if let Some(format) = format {
        let parsed = jiff::fmt::strtime::parse(format, text).ok()?;
        return parsed.to_timestamp().ok().map(dates::day).or_else(|| parsed.to_date().ok());
    }
    dates::read(text)
        .or_else(|| jiff::fmt::rfc2822::parse(text).ok().map(|time| dates::day(time.timestamp())))
        .or_else(|| text.parse().ok().and_then(dates::epoch))
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
