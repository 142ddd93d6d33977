//! Dates as platforms write them.

use jiff::civil::Date;
use jiff::tz::Offset;
use jiff::{SignedDuration, Timestamp};

/// Reads `2020-06-01`, an RFC 3339 time (its day in Asia/Shanghai), `2020/6/1`,
/// `2020.6.1`, `2020年6月1日`, `20200601` and `2020-06-01 12:30:00`.
pub fn read(text: &str) -> Option<Date> {
    let text = text.trim();
    if text.len() > 64 {
        return None;
    }
    if text.contains(['T', 't'])
        && let Ok(time) = text.parse::<Timestamp>()
    {
        return Some(day(time));
    }
    let mut numbers = [0i32; 3];
    let mut rest = text;
    let mut before = None;
    if text.len() == 8 && text.bytes().all(|b| b.is_ascii_digit()) {
        return date([text[..4].parse().ok()?, text[4..6].parse().ok()?, text[6..].parse().ok()?]);
    }
    for (i, number) in numbers.iter_mut().enumerate() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        if digits == 0 || digits > if i == 0 { 4 } else { 2 } {
            return None;
        }
        *number = rest[..digits].parse().ok()?;
        rest = &rest[digits..];
        if i < 2 {
            let part = rest.chars().next().filter(|c| matches!(c, '-' | '/' | '.' | '年' | '月'))?;
            // One separator throughout, or 年 and 月.
            if before.is_some_and(|b| b != part && (b, part) != ('年', '月')) {
                return None;
            }
            before = Some(part);
            rest = rest[part.len_utf8()..].trim_start();
        }
    }
    let rest = rest.strip_prefix('日').unwrap_or(rest);
    // A time of the day may follow, without an offset: it is local.
    let time_follows = rest.is_empty() || rest.starts_with([' ', 'T']) && rest[1..].chars().all(is_of_a_time);
    if !time_follows {
        return None;
    }
    date(numbers)
}

/// The day of a moment in Asia/Shanghai, which has kept one offset since 1991.
pub fn day(time: Timestamp) -> Date {
    Offset::constant(8).to_datetime(time).date()
}

/// The day of a number of seconds or milliseconds since 1970.
pub fn epoch(number: i64) -> Option<Date> {
    let since = match number {
        0..100_000_000 => return None,
        100_000_000..10_000_000_000 => SignedDuration::from_secs(number),
        _ => SignedDuration::from_millis(number),
    };
    Timestamp::from_duration(since).ok().map(day)
}

fn is_of_a_time(c: char) -> bool {
    c.is_ascii_digit() || matches!(c, ':' | '.' | ' ')
}

fn date([year, month, day]: [i32; 3]) -> Option<Date> {
    if !(1990..=2100).contains(&year) {
        return None;
    }
    Date::new(i16::try_from(year).ok()?, i8::try_from(month).ok()?, i8::try_from(day).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_read_in_their_usual_forms() {
        for text in [
            "2020-06-01",
            "2020/6/1",
            "2020.06.01",
            "2020年6月1日",
            "20200601",
            " 2020-06-01 12:30:00 ",
            "2020-06-01T08:00:00+08:00",
            // Midnight in Shanghai is the day before in London.
            "2020-05-31T16:00:00Z",
            "2020-06-01T23:59:59.5+08:00",
            "2020-06-01T10:00:00",
        ] {
            assert_eq!(read(text), Some(jiff::civil::date(2020, 6, 1)), "{text}");
        }
        for text in ["", "06-01", "2020-13-01", "2020-02-30", "1020-01-01", "04-12发布", "yesterday", "2020-6", "2020-06-01x"] {
            assert_eq!(read(text), None, "{text}");
        }
        assert_eq!(epoch(1_590_969_600), read("2020-06-01"));
        assert_eq!(epoch(1_590_969_600_000), read("2020-06-01"));
        assert_eq!(epoch(20_200_601), None);
    }
}
