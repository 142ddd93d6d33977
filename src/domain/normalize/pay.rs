//! Wage texts to pay.
//!
//! Promises: numbers are those of the text; what cannot be read is left out with
//! `pay_unreadable`, never guessed; the monthly figure is the fixed arithmetic of
//! [`monthly`]. Wages of 面议 are unstated, without a warning.
//! Does not: look at titles.
//! Start at: [`read`].

mod scan;

use crate::domain::pay::{Money, Pay, Unit};
use scan::{Token, scan};

/// What a wage text was read as.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PayReading {
    pub pay: Pay,
    /// Whether the unit stands in the text, not only in the size of the numbers.
    pub unit_stated: bool,
    /// `pay_unreadable`, `foreign_currency`.
    pub warnings: Vec<&'static str>,
}

/// The readable part of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Offer {
    unit: Option<Unit>,
    unit_stated: bool,
    min: Option<Money>,
    max: Option<Money>,
}

/// Texts of more characters are not wages.
const LONGEST: usize = 200;

/// Reads a wage text.
pub fn read(text: &str) -> PayReading {
    let text = text.trim();
    let stored = (!text.is_empty()).then(|| text.to_owned());
    let unstated = |warnings| PayReading { pay: Pay::unstated(stored.clone()), unit_stated: false, warnings };
    if text.is_empty() {
        return unstated(vec![]);
    }
    if text.chars().nth(LONGEST).is_some() {
        return unstated(vec!["pay_unreadable"]);
    }
    let scanned = scan(text);
    let mut offers = scanned.clauses.iter().map(|clause| offer(clause, scanned.currency));
    let found = offers.find(|o| !matches!(o, Err(NoOffer::Silent)));
    let mut reading = match found {
        Some(Ok(o)) => PayReading {
            pay: compose(stored, scanned.currency.unwrap_or("CNY"), o.unit, o.min, o.max, scanned.months_per_year),
            unit_stated: o.unit_stated,
            warnings: vec![],
        },
        None if scanned.negotiable => unstated(vec![]),
        _ => unstated(vec!["pay_unreadable"]),
    };
    if reading.pay.currency != "CNY" {
        reading.warnings.push("foreign_currency");
    }
    reading
}

/// Puts pay together with its monthly figures.
pub fn compose(
    text: Option<String>,
    currency: &str,
    unit: Option<Unit>,
    min: Option<Money>,
    max: Option<Money>,
    months_per_year: Option<u8>,
) -> Pay {
    let monthly_of = |amount: Option<Money>| match (currency, unit, amount) {
        ("CNY", Some(unit), Some(amount)) => monthly(unit, amount),
        _ => None,
    };
    Pay { text, currency: currency.to_owned(), unit, min, max, months_per_year, monthly_min: monthly_of(min), monthly_max: monthly_of(max) }
}

/// What an amount per unit comes to in a month, in whole yuan, halves up. None
/// for piece rates.
pub fn monthly(unit: Unit, amount: Money) -> Option<Money> {
    let (times, of) = match unit {
        Unit::Hour => (174, 1),
        Unit::Day => (2175, 100),
        Unit::Week => (52, 12),
        Unit::Month => (1, 1),
        Unit::Year => (1, 12),
        Unit::Piece => return None,
    };
    // Amounts stay below Money::MAX, so the product fits.
    let (top, bottom) = (amount.minor() * times, 100 * of);
    Some(Money::from_units((2 * top + bottom).div_euclid(2 * bottom)))
}

/// Why a clause offers nothing.
enum NoOffer {
    /// No number in it.
    Silent,
    /// Numbers that make no wage.
    Unreadable,
}

/// Whether the one number of a clause is an end of a range.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Bound {
    Exact,
    Least,
    Most,
}

/// Reads one clause: `[words] number [unit] [- number] [unit] [words]`.
fn offer(tokens: &[Token], currency: Option<&str>) -> Result<Offer, NoOffer> {
    let first = tokens.iter().position(|t| matches!(t, Token::Number { .. })).ok_or(NoOffer::Silent)?;
    let mut bound = Bound::Exact;
    let mut unit = None;
    for (i, token) in tokens[..first].iter().enumerate() {
        match token {
            Token::Least => bound = Bound::Least,
            Token::Most => bound = Bound::Most,
            Token::Unit(u) if i == 0 || tokens[i - 1] != Token::Dash => unit = Some(*u),
            _ => {}
        }
    }
    let Token::Number { amount: low, suffixed: low_suffixed } = tokens[first] else {
        return Err(NoOffer::Silent);
    };
    let mut at = first + 1;
    let mut marked = low_suffixed > 1 || unit.is_some();
    take_unit(tokens, &mut at, &mut unit, &mut marked);
    let mut high = None;
    if let [Token::Dash, Token::Number { amount, suffixed }, ..] = tokens[at..] {
        high = Some((amount, suffixed));
        marked |= suffixed > 1;
        at += 2;
        take_unit(tokens, &mut at, &mut unit, &mut marked);
    }
    for (i, token) in tokens.iter().enumerate().skip(at) {
        match token {
            // What is on top of it has figures of its own.
            Token::Plus => {
                bound = Bound::Least;
                // 1500+/周.
                if let [Token::Per, Token::Unit(u), ..] = tokens[i + 1..] {
                    unit = unit.or(Some(u));
                }
                break;
            }
            Token::Least => bound = Bound::Least,
            // 2万以下/年.
            Token::Unit(u) if unit.is_none() && tokens[i - 1] == Token::Per => unit = Some(*u),
            Token::Most => bound = Bound::Most,
            // A second figure with nothing to say what the first was.
            Token::Number { .. } if !marked => return Err(NoOffer::Unreadable),
            Token::Number { .. } => break,
            _ => {}
        }
    }
    let (min, max) = match high {
        Some((high, high_suffixed)) => {
            let (low, high) = share_suffix((low, low_suffixed), (high, high_suffixed)).ok_or(NoOffer::Unreadable)?;
            (Some(low), Some(high))
        }
        None if bound == Bound::Least => (Some(low), None),
        None if bound == Bound::Most => (None, Some(low)),
        None => (Some(low), Some(low)),
    };
    let (min, max) = (money(min)?, money(max)?);
    if [min, max].iter().flatten().all(|m| m.minor() == 0) {
        return Err(NoOffer::Unreadable);
    }
    let unit_stated = unit.is_some();
    if unit.is_none() && currency.is_none_or(|c| c == "CNY") {
        unit = Some(usual_unit(min, max));
    }
    Ok(Offer { unit, unit_stated, min, max })
}

/// Takes `元 / 天` and the like; a time wins over a piece (元/人/天).
fn take_unit(tokens: &[Token], at: &mut usize, unit: &mut Option<Unit>, marked: &mut bool) {
    let mut here = None;
    while let Some(token) = tokens.get(*at) {
        match token {
            Token::Yuan => *marked = true,
            Token::Per => {}
            Token::Unit(u) => {
                if here.is_none() || here == Some(Unit::Piece) {
                    here = Some(*u);
                }
            }
            _ => break,
        }
        *at += 1;
    }
    if here.is_some() {
        *unit = here;
        *marked = true;
    }
}

/// A suffix on one end serves the other one too, where that has none and the
/// order keeps: `5.5-7千`, `12-18K`; but not `8000-1万`. None where the ends are
/// in no order, or so far apart that something else was meant.
fn share_suffix(low: (i64, i64), high: (i64, i64)) -> Option<(i64, i64)> {
    const BARE: i64 = 1000 * scan::SCALE;
    let ((mut low, low_suffix), (mut high, high_suffix)) = (low, high);
    if low_suffix == 1 && high_suffix > 1 && low <= high / high_suffix {
        low *= high_suffix;
    } else if high_suffix == 1 && low_suffix > 1 && high < BARE && low / low_suffix <= high {
        high *= low_suffix;
    }
    (low <= high && (low == 0 || high / low <= 100)).then_some((low, high))
}

/// Numbers without a unit: a month from 1000, a day from 50, else an hour.
pub(super) fn usual_unit(min: Option<Money>, max: Option<Money>) -> Unit {
    let amount = min.filter(|m| m.minor() > 0).or(max).unwrap_or_default();
    match amount {
        a if a >= Money::from_units(1000) => Unit::Month,
        a if a >= Money::from_units(50) => Unit::Day,
        _ => Unit::Hour,
    }
}

/// A scanned amount as money, rounded to the fen.
fn money(amount: Option<i64>) -> Result<Option<Money>, NoOffer> {
    const TO_MINOR: i64 = scan::SCALE / 100;
    match amount.map(|a| Money::from_minor(a.saturating_add(TO_MINOR / 2) / TO_MINOR)) {
        Some(m) if m > Money::MAX => Err(NoOffer::Unreadable),
        m => Ok(m),
    }
}

#[cfg(test)]
mod tests;
