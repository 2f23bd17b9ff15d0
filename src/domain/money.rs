//! Money: whole micro-dollars, never a float.

use std::fmt;
use std::iter::Sum;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

const MICROS: i64 = 1_000_000;
const CENT: i64 = MICROS / 100;
/// The largest amount that any field takes: under a billion dollars, an `f64` still prints six exact decimals.
const LARGEST: i64 = 999_999_999 * MICROS;

/// An amount of US dollars as an integer number of micro-dollars.
///
/// In JSON it is a number with at most six decimals, exact (contract §3).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Usd(i64);

/// Why a text or number is not an amount.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AmountError {
    /// Not a decimal number.
    #[error("is not an amount in US dollars, such as 12.50")]
    NotANumber,
    /// More than six decimals would lose precision.
    #[error("has more than six decimals")]
    TooPrecise,
    /// Beyond 999,999,999 dollars.
    #[error("is beyond 999,999,999 US dollars")]
    TooLarge,
}

impl Usd {
    /// Nothing.
    pub const ZERO: Self = Self(0);

    /// An amount of `micros` micro-dollars.
    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    /// Whole dollars.
    pub const fn dollars(dollars: i32) -> Self {
        Self(dollars as i64 * MICROS)
    }

    /// Without parts of a cent: enough for a pace or a typical month.
    pub const fn whole_cents(self) -> Self {
        Self(self.0 / CENT * CENT)
    }

    /// The amount in micro-dollars.
    pub const fn micros(self) -> i64 {
        self.0
    }

    /// Whether it is more than nothing.
    pub const fn is_positive(self) -> bool {
        self.0 > 0
    }

    /// The sum, or `None` beyond the integer's range.
    pub const fn checked_add(self, other: Self) -> Option<Self> {
        match self.0.checked_add(other.0) {
            Some(sum) => Some(Self(sum)),
            None => None,
        }
    }

    /// The difference, or `None` beyond the integer's range.
    pub const fn checked_sub(self, other: Self) -> Option<Self> {
        match self.0.checked_sub(other.0) {
            Some(difference) => Some(Self(difference)),
            None => None,
        }
    }

    /// `times` as much, or `None` beyond the integer's range.
    pub const fn checked_mul_u32(self, times: u32) -> Option<Self> {
        match self.0.checked_mul(times as i64) {
            Some(product) => Some(Self(product)),
            None => None,
        }
    }

    /// The sum, held at the integer's limit: for showing, never for booking.
    pub const fn saturating_add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }

    /// The difference, held at the integer's limit: for showing, never for booking.
    pub const fn saturating_sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }

    /// `percent` hundredths of it, rounded down: for thresholds, never for booking.
    pub const fn percent(self, percent: u32) -> Self {
        Self((self.0 as i128 * percent as i128 / 100) as i64)
    }

    /// How many hundredths of `whole` this is, rounded down; `None` where `whole` is nothing.
    pub const fn percent_of(self, whole: Self) -> Option<u32> {
        if whole.0 <= 0 {
            return None;
        }
        let percent = self.0 as i128 * 100 / whole.0 as i128;
        Some(if percent < 0 {
            0
        } else if percent > u32::MAX as i128 {
            u32::MAX
        } else {
            percent as u32
        })
    }

    /// For people: `$1,234.50`, with as many decimals as the amount has, at least two.
    pub fn display(self) -> String {
        let (sign, plain) = (if self.0 < 0 { "−" } else { "" }, self.plain_abs());
        let (whole, decimals) = plain.split_once('.').unwrap_or((&plain, ""));
        format!("{sign}${}.{decimals:0<2}", thousands(whole))
    }

    fn plain_abs(self) -> String {
        let abs = self.0.unsigned_abs();
        let (whole, rest) = (abs / MICROS.unsigned_abs(), abs % MICROS.unsigned_abs());
        if rest == 0 {
            return whole.to_string();
        }
        format!("{whole}.{rest:06}").trim_end_matches('0').to_owned()
    }
}

/// `1234567` as `1,234,567`.
pub fn thousands(digits: &str) -> String {
    let mut grouped = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// Plain decimals without a currency sign: `0.042`, `-3`, `100`.
impl fmt::Display for Usd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", if self.0 < 0 { "-" } else { "" }, self.plain_abs())
    }
}

impl FromStr for Usd {
    type Err = AmountError;

    fn from_str(text: &str) -> Result<Self, AmountError> {
        let trimmed = text.trim();
        let (negative, digits) = match trimmed.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, trimmed),
        };
        let (whole, decimals) = digits.split_once('.').unwrap_or((digits, ""));
        let decimals = decimals.trim_end_matches('0');
        let numeric = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        if whole.is_empty() || !numeric(whole) || !numeric(decimals) {
            return Err(AmountError::NotANumber);
        }
        if decimals.len() > 6 {
            return Err(AmountError::TooPrecise);
        }
        let micros = format!("{whole}{decimals:0<6}").parse::<i64>().map_err(|_| AmountError::TooLarge)?;
        if micros > LARGEST {
            return Err(AmountError::TooLarge);
        }
        Ok(Self(if negative { -micros } else { micros }))
    }
}

impl Sum for Usd {
    fn sum<I: Iterator<Item = Self>>(amounts: I) -> Self {
        amounts.fold(Self::ZERO, Self::saturating_add)
    }
}

impl Serialize for Usd {
    /// A whole amount is written as an integer; any other as the shortest double that reads back as the same
    /// six decimals, which is exact for every amount below a billion dollars.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.0 % MICROS == 0 {
            return serializer.serialize_i64(self.0 / MICROS);
        }
        serializer.serialize_f64(self.0 as f64 / MICROS as f64)
    }
}

impl<'de> Deserialize<'de> for Usd {
    /// Takes a JSON number and reads its decimal text, so that no rounding happens.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let number = serde_json::Number::deserialize(deserializer)?;
        decimal_text(&number).parse().map_err(serde::de::Error::custom)
    }
}

/// The number without an exponent: `1e-5` becomes `0.00001`.
fn decimal_text(number: &serde_json::Number) -> String {
    match (number.is_f64(), number.as_f64()) {
        (true, Some(double)) => format!("{double}"),
        _ => number.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, prop_assert_eq, proptest};

    use super::*;

    #[test]
    fn amounts_print_as_people_and_json_expect() {
        let cases = [
            (42_000, "$0.042", "0.042"),
            (312_180_000, "$312.18", "312.18"),
            (1_234_500_000, "$1,234.50", "1234.5"),
            (100_000_000, "$100.00", "100"),
            (-1, "−$0.000001", "-1e-6"),
        ];
        for (micros, display, json) in cases {
            assert_eq!(Usd::from_micros(micros).display(), display);
            assert_eq!(serde_json::to_string(&Usd::from_micros(micros)).unwrap(), json);
        }
    }

    #[test]
    fn a_wrong_amount_says_why() {
        assert_eq!("abc".parse::<Usd>(), Err(AmountError::NotANumber));
        assert_eq!("".parse::<Usd>(), Err(AmountError::NotANumber));
        assert_eq!(".5".parse::<Usd>(), Err(AmountError::NotANumber));
        assert_eq!("0.0000001".parse::<Usd>(), Err(AmountError::TooPrecise));
        assert_eq!("1000000000".parse::<Usd>(), Err(AmountError::TooLarge));
        assert_eq!("12.50".parse::<Usd>().unwrap().micros(), 12_500_000);
    }

    proptest! {
        #[test]
        fn json_keeps_each_micro_dollar(micros in -LARGEST..LARGEST) {
            let amount = Usd::from_micros(micros);
            let json = serde_json::to_string(&amount).unwrap();
            prop_assert_eq!(serde_json::from_str::<Usd>(&json).unwrap(), amount);
            prop_assert_eq!(amount.to_string().parse::<Usd>().unwrap(), amount);
        }

        #[test]
        fn no_text_makes_parsing_panic(text in any::<String>()) {
            let _ = text.parse::<Usd>();
        }
    }
}
