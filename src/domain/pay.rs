//! Pay: an offer of money per unit of time or work, and what it comes to a month.

use serde::{Deserialize, Serialize};

/// Money in hundredths of the currency's unit (fen for yuan). Written as a
/// number with at most two decimals.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Money(i64);

impl Money {
    /// The largest amount that is taken for pay, in minor units: 100 million yuan.
    pub const MAX: Money = Money(10_000_000_000);

    /// An amount of minor units.
    pub const fn from_minor(minor: i64) -> Self {
        Self(minor)
    }

    /// An amount of whole units.
    pub const fn from_units(units: i64) -> Self {
        Self(units * 100)
    }

    /// Minor units.
    pub const fn minor(self) -> i64 {
        self.0
    }

    /// Whole units, halves up.
    pub const fn units_rounded(self) -> i64 {
        (self.0 + 50).div_euclid(100)
    }
}

impl Serialize for Money {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        if self.0 % 100 == 0 { s.serialize_i64(self.0 / 100) } else { s.serialize_f64(self.0 as f64 / 100.0) }
    }
}

impl<'de> Deserialize<'de> for Money {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let units = f64::deserialize(d)?;
        if !units.is_finite() || units.abs() * 100.0 > Money::MAX.0 as f64 {
            return Err(serde::de::Error::custom("an amount of money out of range"));
        }
        Ok(Money((units * 100.0).round() as i64))
    }
}

/// What pay is paid per.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Unit {
    /// × 174 a month.
    Hour,
    /// × 21.75 a month.
    Day,
    /// × 52 / 12 a month.
    Week,
    /// As it is.
    Month,
    /// / 12 a month.
    Year,
    /// Per order, item or time: no monthly figure.
    Piece,
}

/// The pay of a posting (schema.org `baseSalary`, flattened).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pay {
    /// As the platform wrote it.
    pub text: Option<String>,
    /// ISO 4217.
    pub currency: String,
    /// None where nothing readable is offered (面议, empty, unreadable).
    pub unit: Option<Unit>,
    /// Least pay per unit, where one is said.
    pub min: Option<Money>,
    /// Most pay per unit, where one is said.
    pub max: Option<Money>,
    /// N of `·N薪`; does not change the monthly figure.
    pub months_per_year: Option<u8>,
    /// `min` as a month's pay in whole yuan; none for piece rates, for pay that
    /// is not said and for other currencies.
    pub monthly_min: Option<Money>,
    /// The same for `max`.
    pub monthly_max: Option<Money>,
}

impl Pay {
    /// No readable pay.
    pub fn unstated(text: Option<String>) -> Self {
        Self {
            text,
            currency: "CNY".to_owned(),
            unit: None,
            min: None,
            max: None,
            months_per_year: None,
            monthly_min: None,
            monthly_max: None,
        }
    }

    /// What a worker may hope for in a month: the greatest figure offered, or
    /// the least where no greatest is said.
    pub fn monthly_best(&self) -> Option<Money> {
        self.monthly_max.or(self.monthly_min)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn money_is_written_with_at_most_two_decimals() {
        assert_eq!(serde_json::to_string(&Money::from_units(5000)).unwrap(), "5000");
        assert_eq!(serde_json::to_string(&Money::from_minor(950)).unwrap(), "9.5");
        assert_eq!(serde_json::from_str::<Money>("8.05").unwrap(), Money::from_minor(805));
        assert!(serde_json::from_str::<Money>("1e300").is_err());
    }
}
