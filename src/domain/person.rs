//! What identifies a person: id number, name, phone. These types have no
//! `Display` and no `Serialize`; their `Debug` prints `***`. The text comes out
//! only through `expose`, which the store calls to seal it and the audited
//! reveal to show it.

use jiff::civil::Date;
use std::fmt;

/// A citizen's id number after GB 11643-1999: 18 characters, the last a check
/// character, kept in upper case.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct IdNumber(String);

/// Why a text is no id number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IdNumberFault {
    /// Not 17 digits and a digit or X.
    Shape,
    /// Digits 7 to 14 are no date between 1900 and today.
    Date,
    /// The last character is not the check character of the others.
    Check,
}

impl IdNumber {
    /// Reads an id number; spaces around it and a lower-case x are mended.
    pub fn parse(text: &str, today: Date) -> Result<Self, IdNumberFault> {
        let text = text.trim().to_ascii_uppercase();
        let bytes = text.as_bytes();
        let shape = bytes.len() == 18 && bytes[..17].iter().all(u8::is_ascii_digit) && (bytes[17].is_ascii_digit() || bytes[17] == b'X');
        if !shape {
            return Err(IdNumberFault::Shape);
        }
        let birth = birth_date(&text).ok_or(IdNumberFault::Date)?;
        if birth.year() < 1900 || birth > today {
            return Err(IdNumberFault::Date);
        }
        if check_character(&text[..17]) != Some(bytes[17] as char) {
            return Err(IdNumberFault::Check);
        }
        Ok(Self(text))
    }

    /// Takes back what the store sealed.
    pub(crate) fn from_sealed(text: String) -> Self {
        Self(text)
    }

    /// The date of birth in digits 7 to 14.
    pub fn birth_date(&self) -> Date {
        birth_date(&self.0).unwrap_or(Date::MIN)
    }

    /// The whole number.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// `522***********1234`.
    pub fn masked(&self) -> String {
        format!("{}***********{}", self.0.get(..3).unwrap_or(""), self.0.get(14..).unwrap_or(""))
    }
}

fn birth_date(text: &str) -> Option<Date> {
    let number = |range: std::ops::Range<usize>| text.get(range)?.parse::<i16>().ok();
    Date::new(number(6..10)?, number(10..12)? as i8, number(12..14)? as i8).ok()
}

/// The check character of GB 11643-1999 (ISO 7064 MOD 11-2) for 17 digits.
pub fn check_character(digits: &str) -> Option<char> {
    const WEIGHTS: [u32; 17] = [7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2];
    if digits.len() != 17 {
        return None;
    }
    let mut sum = 0;
    for (digit, weight) in digits.chars().zip(WEIGHTS) {
        sum += digit.to_digit(10)? * weight;
    }
    "10X98765432".chars().nth(sum as usize % 11)
}

/// A person's name, 1 to 50 characters.
#[derive(Clone, PartialEq, Eq)]
pub struct PersonName(String);

impl PersonName {
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let fits = (1..=50).contains(&text.chars().count()) && !text.chars().any(char::is_control);
        fits.then(|| Self(text.to_owned()))
    }

    pub(crate) fn from_sealed(text: String) -> Self {
        Self(text)
    }

    pub fn expose(&self) -> &str {
        &self.0
    }

    /// The family name's first character and stars.
    pub fn masked(&self) -> String {
        let mut chars = self.0.chars();
        chars.next().into_iter().chain(chars.map(|_| '*').take(2)).collect()
    }
}

/// A telephone number: 5 to 15 digits with an optional +.
#[derive(Clone, PartialEq, Eq)]
pub struct Phone(String);

impl Phone {
    /// Reads a number; spaces and hyphens are dropped.
    pub fn parse(text: &str) -> Option<Self> {
        let kept: String = text.trim().chars().filter(|c| !matches!(c, ' ' | '-')).collect();
        let digits = kept.strip_prefix('+').unwrap_or(&kept);
        let fits = (5..=15).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit());
        fits.then_some(Self(kept))
    }

    pub(crate) fn from_sealed(text: String) -> Self {
        Self(text)
    }

    pub fn expose(&self) -> &str {
        &self.0
    }

    /// The digits by which a call finds it from within China, whether it was written
    /// with the country's code or not.
    pub fn dialled(&self) -> &str {
        let digits = self.0.strip_prefix('+').unwrap_or(&self.0);
        let digits = digits.strip_prefix("00").unwrap_or(digits);
        digits.strip_prefix("86").filter(|rest| rest.len() == 11 && rest.starts_with('1')).unwrap_or(digits)
    }

    /// `138******21`.
    pub fn masked(&self) -> String {
        let n = self.0.len();
        format!("{}******{}", self.0.get(..3.min(n)).unwrap_or(""), self.0.get(n.saturating_sub(2)..).unwrap_or(""))
    }
}

// A macro, since `Debug` cannot be implemented for several types by a function.
macro_rules! silent {
    ($($name:ident)*) => {$(
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("***")
            }
        }
    )*};
}
silent!(IdNumber PersonName Phone);

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::civil::date;

    fn check(text: &str) -> Result<Date, IdNumberFault> {
        IdNumber::parse(text, date(2020, 6, 1)).map(|n| n.birth_date())
    }

    #[test]
    fn the_standards_own_example_is_valid_in_both_cases() {
        assert_eq!(check("11010519491231002X"), Ok(date(1949, 12, 31)));
        assert_eq!(check(" 11010519491231002x "), Ok(date(1949, 12, 31)));
    }

    #[test]
    fn a_wrong_shape_date_or_check_character_is_told_apart() {
        assert_eq!(check("11010519491231002"), Err(IdNumberFault::Shape));
        assert_eq!(check("１1010519491231002X"), Err(IdNumberFault::Shape));
        assert_eq!(check("110105194913310021"), Err(IdNumberFault::Date));
        assert_eq!(check("110105203012310021"), Err(IdNumberFault::Date));
        assert_eq!(check("110105194912310021"), Err(IdNumberFault::Check));
    }

    #[test]
    fn a_phone_is_the_same_with_and_without_its_country() {
        for text in ["13800000021", "+86 138 0000 0021", "8613800000021", "008613800000021"] {
            assert_eq!(Phone::parse(text).unwrap().dialled(), "13800000021", "{text}");
        }
        assert_eq!(Phone::parse("0855-8612345").unwrap().dialled(), "08558612345");
    }

    #[test]
    fn nothing_of_a_person_shows_in_debug_output() {
        let id = IdNumber::parse("11010519491231002X", date(2020, 1, 1)).unwrap();
        let all = format!("{id:?} {:?} {:?}", PersonName::parse("测试甲").unwrap(), Phone::parse("138 0000-0021").unwrap());
        assert_eq!(all, "*** *** ***");
        assert_eq!(id.masked(), "110***********002X");
        assert_eq!(PersonName::parse("测试甲").unwrap().masked(), "测**");
        assert_eq!(Phone::parse("13800000021").unwrap().masked(), "138******21");
    }
}
