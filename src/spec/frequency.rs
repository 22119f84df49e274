//! How often things may happen, as people write it: `100/s`, `0.5/s`, `10/m`.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Deserialize, Deserializer, Error, Visitor};
use serde::{Serialize, Serializer};

use super::pattern::decimal;

/// So many times in a time; more than never.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Frequency {
    /// So many times in a thousand hours: every frequency that can be written is a whole number of these.
    per_1000h: u64,
}

/// Why a text is no [`Frequency`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrequencyError {
    /// No number, or nothing that says in which time.
    #[error("does not say how often\nwrite 100/s, or 10/m or 1/h")]
    NotAFrequency,
    /// A unit nobody knows.
    #[error("has an unknown unit\nunits are /s, /m, /h")]
    UnknownUnit,
    /// A minus sign.
    #[error("is negative\nwrite more than zero, such as 100/s")]
    Negative,
    /// Never.
    #[error("is never\nwrite more than zero, or disable the route")]
    Zero,
    /// More than three digits after the point.
    #[error("is too fine\nwrite at most three digits after the point, or a longer time such as 1/h")]
    TooFine,
    /// More than can be told from no limit.
    #[error("is too often\nthe most is 1000000")]
    TooOften,
}

/// The units, with their seconds.
const UNITS: [(&str, u64); 3] = [("/s", 1), ("/m", 60), ("/h", 3600)];
/// The largest number before a unit.
const MOST: u64 = 1_000_000;

impl Frequency {
    /// None for never.
    pub fn per_second(times: u32) -> Option<Frequency> {
        (times > 0).then_some(Frequency { per_1000h: u64::from(times) * 3_600_000 })
    }

    /// So many times in so long a time, exactly.
    pub fn times_in(self) -> (u64, Duration) {
        (self.per_1000h, Duration::from_secs(3_600_000))
    }

    /// How often in a second, whole times only, and at least once.
    pub fn in_a_second(self) -> u32 {
        u32::try_from(self.per_1000h / 3_600_000).unwrap_or(u32::MAX).max(1)
    }
}

impl FromStr for Frequency {
    type Err = FrequencyError;

    fn from_str(text: &str) -> Result<Frequency, FrequencyError> {
        use FrequencyError as E;
        let (number, unit) = text.find('/').map(|at| text.split_at(at)).ok_or(E::NotAFrequency)?;
        if number.starts_with('-') {
            return Err(E::Negative);
        }
        let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
        let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
        if !digits(whole) || !digits(fraction) || fraction.is_empty() || number.is_empty() {
            return Err(E::NotAFrequency);
        }
        let (_, seconds) = UNITS.iter().find(|(name, _)| *name == unit).ok_or(E::UnknownUnit)?;
        let fraction = fraction.trim_end_matches('0');
        if fraction.len() > 3 {
            return Err(E::TooFine);
        }
        let whole: u64 = match whole {
            "" => 0,
            whole => whole.parse().map_err(|_| E::TooOften)?,
        };
        let thousandths: u64 = format!("{fraction:0<3}").parse().map_err(|_| E::NotAFrequency)?;
        if whole > MOST || (whole == MOST && thousandths > 0) {
            return Err(E::TooOften);
        }
        match (whole * 1000 + thousandths) * (3600 / seconds) {
            0 => Err(E::Zero),
            per_1000h => Ok(Frequency { per_1000h }),
        }
    }
}

impl fmt::Display for Frequency {
    /// In the shortest time in which it needs no more than three digits after the point.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fits = |seconds: u64| self.per_1000h.is_multiple_of(3600 / seconds);
        let (unit, seconds) =
            UNITS.iter().copied().find(|(_, seconds)| fits(*seconds)).unwrap_or(("/h", 3600));
        let thousandths = self.per_1000h / (3600 / seconds);
        write!(f, "{}", thousandths / 1000)?;
        if !thousandths.is_multiple_of(1000) {
            let fraction = format!("{:03}", thousandths % 1000);
            write!(f, ".{}", fraction.trim_end_matches('0'))?;
        }
        f.write_str(unit)
    }
}

impl Serialize for Frequency {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Frequency {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Frequency, D::Error> {
        deserializer.deserialize_any(FrequencyVisitor)
    }
}

struct FrequencyVisitor;

const NO_UNIT: &str = "does not say in which time\nwrite 100/s, or 10/m or 1/h";

impl Visitor<'_> for FrequencyVisitor {
    type Value = Frequency;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("how often, such as 100/s")
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<Frequency, E> {
        Err(E::custom(NO_UNIT))
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<Frequency, E> {
        Err(E::custom(NO_UNIT))
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<Frequency, E> {
        Err(E::custom(NO_UNIT))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Frequency, E> {
        text.parse().map_err(E::custom)
    }
}

/// Frequencies; also never.
fn pattern() -> String {
    format!("^({}|1000000)/[smh]$", decimal(6, 3))
}

impl JsonSchema for Frequency {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Frequency".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "How often: so many times a second, a minute or an hour.",
            "allOf": [{"type": "string", "pattern": pattern()}, {"pattern": "[1-9]"}],
            "examples": ["100/s", "10/m"],
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::spec::pattern::tests::texts;

    fn read(text: &str) -> Result<Frequency, FrequencyError> {
        text.parse()
    }

    #[test]
    fn what_people_write_is_read_and_shown_alike() {
        for text in
            ["100/s", "0.5/s", "0.001/s", "10/m", "1/h", "0.001/h", "1000000/s", "1.25/m", "1000000/h"]
        {
            assert_eq!(read(text).unwrap().to_string(), text);
        }
        assert_eq!(read("60/m"), read("1/s"));
        assert_eq!(read(".50/s"), read("30/m"));
        assert_eq!(Frequency::per_second(7), read("7/s").ok());
        assert_eq!(Frequency::per_second(0), None);
    }

    #[test]
    fn what_is_wrong_is_said() {
        use FrequencyError::*;
        for (text, error) in [
            ("", NotAFrequency),
            ("100", NotAFrequency),
            ("/s", NotAFrequency),
            ("./s", NotAFrequency),
            ("1./s", NotAFrequency),
            ("1e3/s", NotAFrequency),
            ("100 /s", NotAFrequency),
            ("100/ms", UnknownUnit),
            ("100/d", UnknownUnit),
            ("100/", UnknownUnit),
            ("-1/s", Negative),
            ("0/s", Zero),
            ("0.000/h", Zero),
            ("0.0001/s", TooFine),
            ("1000000.5/s", TooOften),
            ("99999999999999999999999/s", TooOften),
        ] {
            assert_eq!(read(text), Err(error), "{text}");
        }
    }

    #[test]
    fn in_a_second_there_is_at_least_one() {
        assert_eq!(["100/s", "1.9/s", "1/h"].map(|text| read(text).unwrap().in_a_second()), [100, 1, 1]);
    }

    proptest! {
        #[test]
        fn what_the_schema_takes_is_read(text in texts(&pattern())) {
            match read(&text) {
                Ok(frequency) => prop_assert_eq!(read(&frequency.to_string()), Ok(frequency)),
                // The other half of the schema sees to that.
                Err(FrequencyError::Zero) => prop_assert!(!text.contains(|c| ('1'..='9').contains(&c))),
                Err(error) => prop_assert!(false, "{} {}", text, error),
            }
        }

        #[test]
        fn no_text_panics(text in ".{0,40}") {
            let _ = read(&text);
        }
    }
}
