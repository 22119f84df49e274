//! Whole milliseconds, for the shorthands that carry the unit in their name.

use std::fmt;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Deserialize, Deserializer, Error, Unexpected, Visitor};
use serde::{Serialize, Serializer};

use super::Period;

/// A whole number of milliseconds, up to a hundred years.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Millis(u64);

impl Millis {
    /// A hundred years.
    pub const MAX: u64 = 876_600 * 3_600_000;

    /// As a length of time.
    pub fn period(self) -> Period {
        Period::new(Duration::from_millis(self.0))
    }

    /// Whether it is no time at all, which means "off" for a shorthand.
    pub fn is_zero(self) -> bool {
        self.0 == 0
    }
}

impl Serialize for Millis {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(self.0)
    }
}

impl<'de> Deserialize<'de> for Millis {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Millis, D::Error> {
        deserializer.deserialize_u64(MillisVisitor)
    }
}

struct MillisVisitor;

impl Visitor<'_> for MillisVisitor {
    type Value = Millis;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a whole number of milliseconds")
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Millis, E> {
        if number > Millis::MAX {
            return Err(E::custom(format!("is more than 100 years\nthe most is {}", Millis::MAX)));
        }
        Ok(Millis(number))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Millis, E> {
        match u64::try_from(number) {
            Ok(number) => self.visit_u64(number),
            Err(_) => Err(E::custom("is negative\nwrite a whole number of milliseconds, 0 or more")),
        }
    }

    fn visit_i128<E: Error>(self, number: i128) -> Result<Millis, E> {
        if number < 0 { self.visit_i64(-1) } else { self.visit_u64(u64::MAX) }
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Millis, E> {
        match text.parse::<Period>() {
            Ok(_) => {
                Err(E::custom("carries a unit\nthe key says Ms: write a whole number of milliseconds alone"))
            }
            Err(_) => Err(E::invalid_type(Unexpected::Str(text), &self)),
        }
    }
}

impl JsonSchema for Millis {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Millis".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "integer", "minimum": 0, "maximum": Millis::MAX})
    }
}
