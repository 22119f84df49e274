//! Amounts of bytes as people write them: `64KiB`, `1.5MB`, `512`.

use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Deserialize, Deserializer, Error, Visitor};
use serde::ser::{Serialize, Serializer};

use super::pattern::up_to;

/// A number of bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Size(u64);

/// Why a text is no [`Size`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SizeError {
    /// Something that is no number where one belongs.
    #[error("is not a size\nwrite 512, 64KiB or 1.5MB")]
    NotASize,
    /// A minus sign.
    #[error("is negative\na size is zero or more")]
    Negative,
    /// A unit nobody knows.
    #[error("has an unknown unit\nunits are B, kB, MB, KiB, MiB, GiB")]
    UnknownUnit,
    /// A part of a byte.
    #[error("is not a whole number of bytes")]
    Fraction,
    /// More than a number of bytes can say.
    #[error("is more than can be counted")]
    TooLarge,
}

/// From large to small, so that the first that divides a size writes it.
const UNITS: [(&str, u64); 6] =
    [("GiB", 1 << 30), ("MiB", 1 << 20), ("MB", 1_000_000), ("KiB", 1 << 10), ("kB", 1_000), ("B", 1)];

impl Size {
    /// So many bytes.
    pub const fn new(bytes: u64) -> Size {
        Size(bytes)
    }

    /// The number of bytes.
    pub fn bytes(self) -> u64 {
        self.0
    }

    /// Whether it is no byte at all.
    pub fn is_zero(&self) -> bool {
        self.0 == 0
    }

    /// As a field that may not be zero.
    pub fn deserialize_positive<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Size, D::Error> {
        match Size::deserialize(deserializer)? {
            Size(0) => Err(D::Error::custom("is not a size to work with\nwrite 1 or more")),
            size => Ok(size),
        }
    }
}

impl FromStr for Size {
    type Err = SizeError;

    fn from_str(text: &str) -> Result<Size, SizeError> {
        if text.starts_with('-') {
            return Err(SizeError::Negative);
        }
        let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
        let (number, unit) = text.split_at(digits);
        let unit = match unit.trim_start_matches(' ') {
            "" => 1,
            unit => match UNITS.iter().find(|(name, _)| *name == unit) {
                Some((_, bytes)) => *bytes,
                None if unit.chars().all(|c| c.is_ascii_alphabetic()) => return Err(SizeError::UnknownUnit),
                None => return Err(SizeError::NotASize),
            },
        };
        times(number, unit).map(Size)
    }
}

/// A decimal number times a unit, exactly.
pub(super) fn times(number: &str, unit: u64) -> Result<u64, SizeError> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let digits = |text: &str| text.chars().all(|c| c.is_ascii_digit());
    if whole.is_empty() || !digits(whole) || !digits(fraction) || number.ends_with('.') {
        return Err(SizeError::NotASize);
    }
    let fraction = fraction.trim_end_matches('0');
    if fraction.len() > 12 {
        return Err(SizeError::Fraction);
    }
    let whole: u64 = whole.parse().map_err(|_| SizeError::TooLarge)?;
    let parts: u128 =
        if fraction.is_empty() { 0 } else { fraction.parse().map_err(|_| SizeError::NotASize)? };
    let scale = 10u128.pow(fraction.len() as u32);
    let small = parts * u128::from(unit);
    if !small.is_multiple_of(scale) {
        return Err(SizeError::Fraction);
    }
    let bytes = u128::from(whole) * u128::from(unit) + small / scale;
    u64::try_from(bytes).map_err(|_| SizeError::TooLarge)
}

impl fmt::Display for Size {
    /// The largest unit that says it exactly.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let exact = UNITS.iter().find(|(_, bytes)| self.0 >= *bytes && self.0.is_multiple_of(*bytes));
        let (unit, bytes) = exact.unwrap_or(&("B", 1));
        write!(f, "{}{unit}", self.0 / bytes)
    }
}

impl Serialize for Size {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Size {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Size, D::Error> {
        deserializer.deserialize_any(SizeVisitor)
    }
}

struct SizeVisitor;

impl Visitor<'_> for SizeVisitor {
    type Value = Size;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a size such as 512, 64KiB or 1.5MB")
    }

    fn visit_u64<E: Error>(self, bytes: u64) -> Result<Size, E> {
        Ok(Size(bytes))
    }

    fn visit_i64<E: Error>(self, bytes: i64) -> Result<Size, E> {
        u64::try_from(bytes).map(Size).map_err(|_| E::custom(SizeError::Negative))
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<Size, E> {
        Err(E::custom(SizeError::Fraction))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Size, E> {
        text.parse().map_err(E::custom)
    }
}

/// Whole numbers of bytes up to `most`, with the fractions that people write.
pub(super) fn pattern(most: u64) -> String {
    let forms = UNITS.map(|(unit, bytes)| {
        if bytes == 1 {
            return format!(r"{}(\.0+)? *B?", up_to(most));
        }
        let fraction = match unit {
            "kB" => "[0-9]{1,3}",
            "MB" => "[0-9]{1,6}",
            _ => "(5|25|75|125|375|625|875)",
        };
        // As many digits as can be nines.
        match (most / bytes).checked_ilog10() {
            None => format!("0+ *{unit}"),
            Some(0) => format!("0*1 *{unit}"),
            Some(digits) => format!(r"[0-9]{{1,{digits}}}(\.{fraction}0*)? *{unit}"),
        }
    });
    format!("({})", forms.join("|"))
}

impl Size {
    /// The schema of a field from one byte up to `most`.
    pub(crate) fn positive_schema(most: u64) -> Schema {
        json_schema!({
            "anyOf": [
                {"type": "integer", "minimum": 1, "maximum": most},
                {"type": "string", "allOf": [{"pattern": format!("^{}$", pattern(most))}, {"pattern": "[1-9]"}]},
            ],
            "examples": [512, "64KiB", "1.5MB"],
        })
    }
}

impl JsonSchema for Size {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Size".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "anyOf": [
                {"type": "integer", "minimum": 0, "maximum": u64::MAX},
                {"type": "string", "pattern": format!("^{}$", pattern(u64::MAX))},
            ],
            "examples": [512, "64KiB", "1.5MB"],
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::pattern::tests::texts;
    use super::*;

    #[test]
    fn sizes_are_read_exactly_and_written_back() {
        for (text, bytes, shown) in [
            ("0", 0, "0B"),
            ("512", 512, "512B"),
            ("10KiB", 10_240, "10KiB"),
            ("1.5MB", 1_500_000, "1500kB"),
            ("1.5 KiB", 1536, "1536B"),
            ("32MiB", 32 << 20, "32MiB"),
            ("1GiB", 1 << 30, "1GiB"),
            ("1000kB", 1_000_000, "1MB"),
        ] {
            let size: Size = text.parse().unwrap();
            assert_eq!((size.bytes(), size.to_string()), (bytes, shown.to_owned()), "{text}");
            assert_eq!(shown.parse(), Ok(size));
        }
    }

    #[test]
    fn what_is_no_size_says_why() {
        for (text, error) in [
            ("-1", SizeError::Negative),
            ("", SizeError::NotASize),
            ("KiB", SizeError::NotASize),
            ("1.5.2kB", SizeError::NotASize),
            ("10K", SizeError::UnknownUnit),
            ("10kb", SizeError::UnknownUnit),
            ("1.5B", SizeError::Fraction),
            ("99999999999GiB", SizeError::TooLarge),
        ] {
            assert_eq!(text.parse::<Size>(), Err(error), "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_the_schema_takes_is_read(
            (most, text) in prop_oneof![Just(u64::MAX), Just(1 << 30)]
                .prop_flat_map(|most| (Just(most), texts(&pattern(most))))
        ) {
            prop_assert!(text.parse::<Size>().is_ok_and(|size| size.bytes() <= most), "{} {}", text, most);
        }
    }
}
