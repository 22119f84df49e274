//! When something begins: after a time, or after so many bytes.

use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Deserialize, Deserializer, Error, Visitor};
use serde::ser::{Serialize, Serializer};

use super::{Period, Size};

/// A time (`5s`) or an amount of bytes (`10KiB`, `512`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum After {
    /// This much time.
    Time(Period),
    /// Exactly so many bytes.
    Bytes(Size),
}

impl Default for After {
    fn default() -> After {
        After::Time(Period::default())
    }
}

/// Why a text is no [`After`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("is neither a time nor a size\nwrite 5s or 10KiB")]
pub struct AfterError;

impl FromStr for After {
    type Err = AfterError;

    fn from_str(text: &str) -> Result<After, AfterError> {
        match (text.parse(), text.parse()) {
            (Ok(time), _) => Ok(After::Time(time)),
            (_, Ok(size)) => Ok(After::Bytes(size)),
            _ => Err(AfterError),
        }
    }
}

impl fmt::Display for After {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            After::Time(time) => write!(f, "{time}"),
            After::Bytes(size) => write!(f, "{size}"),
        }
    }
}

impl Serialize for After {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for After {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<After, D::Error> {
        deserializer.deserialize_any(AfterVisitor)
    }
}

struct AfterVisitor;

impl Visitor<'_> for AfterVisitor {
    type Value = After;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a time or a size, such as 5s or 10KiB")
    }

    fn visit_u64<E: Error>(self, bytes: u64) -> Result<After, E> {
        Ok(After::Bytes(Size::new(bytes)))
    }

    fn visit_i64<E: Error>(self, bytes: i64) -> Result<After, E> {
        u64::try_from(bytes).map_err(|_| E::custom(AfterError)).and_then(|bytes| self.visit_u64(bytes))
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<After, E> {
        Err(E::custom(AfterError))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<After, E> {
        text.parse().map_err(E::custom)
    }
}

impl JsonSchema for After {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "After".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let (time, size) = (generator.subschema_for::<Period>(), generator.subschema_for::<Size>());
        json_schema!({"anyOf": [time, size], "examples": ["5s", "10KiB"]})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_unit_tells_a_time_from_a_size() {
        assert_eq!("5s".parse(), Ok(After::Time("5s".parse().unwrap())));
        assert_eq!("10KiB".parse(), Ok(After::Bytes(Size::new(10_240))));
        assert_eq!("512".parse(), Ok(After::Bytes(Size::new(512))));
        assert_eq!("5 parsecs".parse::<After>(), Err(AfterError));
        assert_eq!(After::default().to_string(), "0s");
    }
}
