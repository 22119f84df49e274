//! Durations as people write them: `200ms`, `1.5s`, `1m30s`.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Deserialize, Deserializer, Error, Visitor};
use serde::ser::{Serialize, Serializer};

use super::pattern::{decimal, up_to};

/// A length of time, from zero to a hundred years.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Period(Duration);

/// Why a text is no [`Period`]: words that follow the text, and on a second line what to write.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PeriodError {
    /// A number alone.
    #[error("has no unit\nwrite 200ms, 5s or 1m30s")]
    NoUnit,
    /// Something that is no number where one belongs.
    #[error("is not a duration\nwrite 200ms, 5s or 1m30s")]
    NotADuration,
    /// A minus sign.
    #[error("is negative\na duration is zero or more")]
    Negative,
    /// A unit nobody knows.
    #[error("has an unknown unit\nunits are us, ms, s, m, h")]
    UnknownUnit,
    /// A sum that goes up, or names a unit twice.
    #[error("is out of order\nwrite the larger unit first and each once: 1h30m, 1m30s")]
    Order,
    /// Longer than a hundred years.
    #[error("is more than 100 years\nthe most is 876600h")]
    TooLong,
    /// Shorter than a nanosecond can say.
    #[error("is finer than a nanosecond")]
    TooFine,
}

const UNITS: [(&str, u64); 5] =
    [("h", 3_600_000_000_000), ("m", 60_000_000_000), ("s", 1_000_000_000), ("ms", 1_000_000), ("us", 1_000)];

impl Period {
    /// No time at all.
    pub const ZERO: Period = Period(Duration::ZERO);

    /// A hundred years: no sum of a few of these can overflow a clock.
    pub const MAX: Period = Period(Duration::from_secs(876_600 * 3600));

    /// So many hours, cut off at a hundred years.
    pub(crate) const fn hours(hours: u32) -> Period {
        let hours = if hours > 876_600 { 876_600 } else { hours };
        Period(Duration::from_secs(hours as u64 * 3600))
    }

    /// `duration`, cut off at a hundred years.
    pub fn new(duration: Duration) -> Period {
        Period(duration.min(Period::MAX.0))
    }

    /// The length of time.
    pub fn get(self) -> Duration {
        self.0
    }

    /// Whether it is no time at all.
    pub fn is_zero(&self) -> bool {
        self.0.is_zero()
    }
}

impl FromStr for Period {
    type Err = PeriodError;

    fn from_str(text: &str) -> Result<Period, PeriodError> {
        if text.starts_with('-') {
            return Err(PeriodError::Negative);
        }
        if text.is_empty() {
            return Err(PeriodError::NotADuration);
        }
        let (mut rest, mut total, mut below) = (text, 0u128, u64::MAX);
        while !rest.is_empty() {
            let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
            let (number, after) = rest.split_at(digits);
            let letters = after.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(after.len());
            let (unit, after) = after.split_at(letters);
            if unit.is_empty() {
                return Err(PeriodError::NoUnit);
            }
            if number.is_empty() {
                return Err(PeriodError::NotADuration);
            }
            let Some((_, nanos)) = UNITS.iter().find(|(name, _)| *name == unit) else {
                let known = unit.chars().all(|c| c.is_ascii_alphabetic() || c == 'µ' || c == 'μ');
                return Err(if known { PeriodError::UnknownUnit } else { PeriodError::NotADuration });
            };
            if *nanos >= below {
                return Err(PeriodError::Order);
            }
            below = *nanos;
            total = total.saturating_add(amount(number, *nanos)?);
            rest = after;
        }
        match u64::try_from(total).map(Duration::from_nanos) {
            Ok(duration) if duration <= Period::MAX.0 => Ok(Period(duration)),
            _ => Err(PeriodError::TooLong),
        }
    }
}

/// `number` times a unit of so many nanoseconds, exactly.
fn amount(number: &str, nanos: u64) -> Result<u128, PeriodError> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if (whole.is_empty() && fraction.is_empty()) || fraction.contains('.') || number.ends_with('.') {
        return Err(PeriodError::NotADuration);
    }
    let fraction = fraction.trim_end_matches('0');
    if fraction.len() > 13 {
        return Err(PeriodError::TooFine);
    }
    let whole: u128 = match whole.trim_start_matches('0') {
        "" => 0,
        digits => digits.parse::<u64>().map_err(|_| PeriodError::TooLong)?.into(),
    };
    let scale = 10u128.pow(u32::try_from(fraction.len()).map_err(|_| PeriodError::TooFine)?);
    let parts = if fraction.is_empty() {
        0
    } else {
        fraction.parse::<u128>().map_err(|_| PeriodError::NotADuration)?
    };
    let small = parts * u128::from(nanos);
    if small % scale != 0 {
        return Err(PeriodError::TooFine);
    }
    Ok(whole.saturating_mul(nanos.into()) + small / scale)
}

impl fmt::Display for Period {
    /// The shortest exact form that a person would write; it reads back as the same.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (hours, minutes) = (self.0.as_secs() / 3600, self.0.as_secs() / 60 % 60);
        let rest = self.0.as_nanos() % 60_000_000_000;
        if hours > 0 {
            write!(f, "{hours}h")?;
        }
        if minutes > 0 {
            write!(f, "{minutes}m")?;
        }
        let (unit, nanos) = match rest {
            0 if hours + minutes > 0 => return Ok(()),
            0 | 1_000_000_000.. => ("s", 1_000_000_000),
            1_000_000.. => ("ms", 1_000_000),
            _ => ("us", 1_000),
        };
        // After hours or minutes a unit below seconds reads well too: 1m200ms.
        write!(f, "{}", rest / nanos)?;
        if !rest.is_multiple_of(nanos) {
            let width = nanos.ilog10() as usize;
            let fraction = format!("{:0width$}", rest % nanos);
            write!(f, ".{}", fraction.trim_end_matches('0'))?;
        }
        f.write_str(unit)
    }
}

impl Serialize for Period {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Period {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Period, D::Error> {
        deserializer.deserialize_any(PeriodVisitor)
    }
}

/// Reads a [`Period`]; also the better half of a [`Limit`](super::Limit).
pub(super) struct PeriodVisitor;

impl Visitor<'_> for PeriodVisitor {
    type Value = Period;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a duration such as 200ms, 5s or 1m30s")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Period, E> {
        text.parse().map_err(E::custom)
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<Period, E> {
        Err(E::custom(PeriodError::NoUnit))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Period, E> {
        Err(E::custom(if number < 0 { PeriodError::Negative } else { PeriodError::NoUnit }))
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<Period, E> {
        Err(E::custom(if number < 0.0 { PeriodError::Negative } else { PeriodError::NoUnit }))
    }
}

/// Sums of any numbers that stay below a hundred years together, and beyond them what [`Period`] itself writes.
fn pattern() -> String {
    let [h, m, s, ms, us] =
        [(5, 11), (7, 10), (9, 9), (12, 6), (14, 3)].map(|(whole, fraction)| decimal(whole, fraction));
    let any = format!("({h}h)?({m}m)?({s}s)?({ms}ms)?({us}us)?");
    let hours = up_to(876_599);
    let seconds = r"[1-5]?[0-9](\.[0-9]{1,9})?s|[0-9]{1,3}(\.[0-9]{1,6})?ms|[0-9]{1,3}(\.[0-9]{1,3})?us";
    format!("^({any}|{hours}h([1-5]?[0-9]m)?({seconds})?|876600h)$")
}

impl Period {
    /// The schema of a field that may not be zero.
    pub(crate) fn positive_schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({"allOf": [generator.subschema_for::<Period>(), {"pattern": "[1-9]"}]})
    }
}

impl JsonSchema for Period {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Duration".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "description": "A duration: us, ms, s, m, h, with decimals, or a sum of them.",
            "minLength": 2,
            "pattern": pattern(),
            "examples": ["200ms", "5s", "1m30s"],
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::pattern::tests::texts;
    use super::*;

    fn nanos(text: &str) -> Result<u128, PeriodError> {
        text.parse::<Period>().map(|period| period.get().as_nanos())
    }

    #[test]
    fn what_people_write_is_read() {
        assert_eq!(nanos("200ms"), Ok(200_000_000));
        assert_eq!(nanos("1.5s"), Ok(1_500_000_000));
        assert_eq!(nanos("1m30s"), Ok(90_000_000_000));
        assert_eq!(nanos("1h0.5m"), Ok(3_630_000_000_000));
        assert_eq!(nanos(".5us"), Ok(500));
        assert_eq!(nanos("0s"), Ok(0));
        assert_eq!(nanos("876600h"), Ok(Period::MAX.get().as_nanos()));
    }

    #[test]
    fn what_is_wrong_is_said() {
        use PeriodError::*;
        for (text, error) in [
            ("200", NoUnit),
            ("1m30", NoUnit),
            ("", NotADuration),
            ("s", NotADuration),
            ("1 s", NotADuration),
            ("1..5s", NotADuration),
            ("5.s", NotADuration),
            ("-5s", Negative),
            ("5d", UnknownUnit),
            ("5µs", UnknownUnit),
            ("30s1m", Order),
            ("1s1s", Order),
            ("876600h1us", TooLong),
            ("99999999999999999999999h", TooLong),
            ("0.0001us", TooFine),
            ("0.00000000000000000001h", TooFine),
        ] {
            assert_eq!(nanos(text), Err(error), "{text}");
        }
    }

    #[test]
    fn the_shown_form_is_short() {
        for text in ["0s", "200ms", "1.5s", "1m30s", "1h", "25s", "1h30m", "0.5us", "1m0.5s", "100.25ms"] {
            let shown = text.parse::<Period>().unwrap().to_string();
            assert!(shown.len() <= text.len() + 1, "{text} became {shown}");
            assert_eq!(shown.parse::<Period>(), text.parse(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn the_shown_form_reads_back(nanos in 0u64..3_155_760_000_000_000_000) {
            let period = Period::new(Duration::from_nanos(nanos));
            prop_assert_eq!(period.to_string().parse::<Period>(), Ok(period));
        }

        #[test]
        fn what_the_schema_takes_is_read(text in texts(&pattern())) {
            prop_assert!(text.is_empty() || text.parse::<Period>().is_ok(), "{}", text);
        }

        #[test]
        fn no_text_panics(text in ".{0,40}") {
            let _ = text.parse::<Period>();
        }
    }
}
