//! Hours in which nobody is woken, by the clock of Asia/Shanghai.

use super::time::{Moment, zone};
use jiff::Timestamp;

/// From a minute of the day up to another one, over midnight where it is later; never
/// where both are the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QuietHours {
    from: u16,
    until: u16,
}

impl QuietHours {
    /// Reads two times of day, `21:30` and `08:00`.
    pub fn parse(from: &str, until: &str) -> Option<Self> {
        Some(Self { from: minute(from)?, until: minute(until)? })
    }

    pub fn holds(self, now: Moment) -> bool {
        let at = Timestamp::from_millisecond(now.ms()).map(|t| zone().to_datetime(t));
        let at = at.map_or(0, |t| t.hour() as u16 * 60 + t.minute() as u16);
        if self.from <= self.until { (self.from..self.until).contains(&at) } else { at >= self.from || at < self.until }
    }
}

/// The minute of the day that `HH:MM` names.
fn minute(text: &str) -> Option<u16> {
    let (hour, minute) = text.split_once(':')?;
    let two = |t: &str, below: u16| {
        let digits = t.len() == 2 && t.bytes().all(|b| b.is_ascii_digit());
        digits.then(|| t.parse::<u16>().ok()).flatten().filter(|n| *n < below)
    };
    Some(two(hour, 24)? * 60 + two(minute, 60)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(from: &str, until: &str, at: &str) -> bool {
        QuietHours::parse(from, until).unwrap().holds(Moment::parse(&format!("2020-06-15T{at}:00+08:00")).unwrap())
    }

    #[test]
    fn a_night_goes_over_midnight_and_its_end_is_not_in_it() {
        for (at, quiet) in [("21:29", false), ("21:30", true), ("00:00", true), ("07:59", true), ("08:00", false), ("12:00", false)] {
            assert_eq!(check("21:30", "08:00", at), quiet, "{at}");
        }
        assert!(check("12:00", "14:00", "13:00") && !check("12:00", "14:00", "14:00"));
        assert!(!check("08:00", "08:00", "08:00"), "no hours at all");
    }

    #[test]
    fn what_is_no_time_of_day_is_refused() {
        for text in ["", "8:00", "24:00", "08:60", "0800", "ab:cd", "08:00:00", "+8:00"] {
            assert_eq!(QuietHours::parse(text, "08:00"), None, "{text}");
        }
    }
}
