//! Rates of bytes as people write them: `64KiB/s`, `10Mbit/s`.

use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Deserialize, Deserializer, Error, Visitor};
use serde::ser::{Serialize, Serializer};

use super::Size;
use super::size::{self, SizeError, times};

/// So many bytes a second; at least one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Rate(u64);

/// Why a text is no [`Rate`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RateError {
    /// No `/s`.
    #[error("is not a rate\nwrite 64KiB/s or 10Mbit/s")]
    NotARate,
    /// Nothing would ever move.
    #[error("lets nothing through\nfor that use the fault stall")]
    Zero,
    /// A part of a byte.
    #[error("is not a whole number of bytes a second")]
    Fraction,
    /// A unit nobody knows.
    #[error("has an unknown unit\nunits are B/s, kB/s, MB/s, KiB/s, MiB/s, GiB/s, kbit/s, Mbit/s")]
    UnknownUnit,
    /// Not the number of an amount of bytes.
    #[error(transparent)]
    Size(SizeError),
}

const BITS: [(&str, u64); 2] = [("Mbit", 125_000), ("kbit", 125)];

impl Rate {
    /// None for no bytes a second.
    pub fn new(bytes_per_second: u64) -> Option<Rate> {
        (bytes_per_second > 0).then_some(Rate(bytes_per_second))
    }

    /// The rate.
    pub fn bytes_per_second(self) -> u64 {
        self.0
    }
}

impl FromStr for Rate {
    type Err = RateError;

    fn from_str(text: &str) -> Result<Rate, RateError> {
        let amount = text.strip_suffix("/s").ok_or(RateError::NotARate)?.trim_end_matches(' ');
        let bits = BITS.iter().find_map(|(unit, bytes)| Some((amount.strip_suffix(unit)?, *bytes)));
        let bytes = match bits {
            Some((number, bytes)) => times(number.trim_end_matches(' '), bytes),
            None => amount.parse::<Size>().map(Size::bytes),
        };
        match bytes {
            Ok(bytes) => Rate::new(bytes).ok_or(RateError::Zero),
            Err(SizeError::Fraction) => Err(RateError::Fraction),
            Err(SizeError::NotASize) => Err(RateError::NotARate),
            Err(SizeError::UnknownUnit) => Err(RateError::UnknownUnit),
            Err(error) => Err(RateError::Size(error)),
        }
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/s", Size::new(self.0))
    }
}

impl Serialize for Rate {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Rate {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Rate, D::Error> {
        deserializer.deserialize_any(RateVisitor)
    }
}

struct RateVisitor;

impl Visitor<'_> for RateVisitor {
    type Value = Rate;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a rate such as 64KiB/s or 10Mbit/s")
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<Rate, E> {
        Err(E::custom("has no unit\nwrite 64KiB/s or 10Mbit/s"))
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<Rate, E> {
        Err(E::custom("has no unit\nwrite 64KiB/s or 10Mbit/s"))
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<Rate, E> {
        Err(E::custom("has no unit\nwrite 64KiB/s or 10Mbit/s"))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Rate, E> {
        text.parse().map_err(E::custom)
    }
}

/// Rates of whole bytes; also none at all.
fn pattern() -> String {
    let bits = r"[0-9]{1,17}(\.[02468]0*)? *kbit|[0-9]{1,14}(\.[0-9]{1,3}0*)? *Mbit";
    format!("^({}|{bits})/s$", size::pattern(u64::MAX))
}

impl JsonSchema for Rate {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Rate".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "allOf": [{"pattern": pattern()}, {"pattern": "[1-9]"}],
            "examples": ["64KiB/s", "10Mbit/s"],
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::spec::pattern::tests::texts;

    #[test]
    fn rates_are_read_exactly_and_written_back() {
        for (text, bytes, shown) in [
            ("64KiB/s", 65_536, "64KiB/s"),
            ("10Mbit/s", 1_250_000, "1250kB/s"),
            ("1.2kbit/s", 150, "150B/s"),
            ("1 B/s", 1, "1B/s"),
            ("100/s", 100, "100B/s"),
        ] {
            let rate: Rate = text.parse().unwrap();
            assert_eq!((rate.bytes_per_second(), rate.to_string()), (bytes, shown.to_owned()), "{text}");
            assert_eq!(shown.parse(), Ok(rate));
        }
    }

    #[test]
    fn what_is_no_rate_says_why() {
        for (text, error) in [
            ("64KiB", RateError::NotARate),
            ("/s", RateError::NotARate),
            ("0kB/s", RateError::Zero),
            ("0.5B/s", RateError::Fraction),
            ("10Gbit/s", RateError::UnknownUnit),
            ("-1B/s", RateError::Size(SizeError::Negative)),
        ] {
            assert_eq!(text.parse::<Rate>(), Err(error), "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_the_schema_takes_is_read(text in texts(&pattern())) {
            let fine = matches!(text.parse::<Rate>(), Ok(_) | Err(RateError::Zero));
            prop_assert!(fine, "{}", text);
        }
    }
}
