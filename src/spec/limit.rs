//! Durations that may be missing on purpose: `none`, or a [`Period`].

use std::fmt;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Deserialize, Deserializer, Error, Visitor};
use serde::ser::{Serialize, Serializer};

use super::Period;
use super::period::PeriodVisitor;

/// A [`Period`], or `none`: no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limit(pub Option<Period>);

impl Limit {
    /// The length of time, if there is a limit.
    pub fn get(self) -> Option<Duration> {
        self.0.map(Period::get)
    }
}

impl Serialize for Limit {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Some(period) => period.serialize(serializer),
            None => serializer.serialize_str("none"),
        }
    }
}

impl<'de> Deserialize<'de> for Limit {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Limit, D::Error> {
        deserializer.deserialize_any(LimitVisitor)
    }
}

struct LimitVisitor;

impl Visitor<'_> for LimitVisitor {
    type Value = Limit;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("none, or a duration such as 5s or 1m30s")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Limit, E> {
        match text {
            "none" => Ok(Limit(None)),
            _ => PeriodVisitor.visit_str(text).map(|period| Limit(Some(period))),
        }
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Limit, E> {
        PeriodVisitor.visit_u64(number).map(|period| Limit(Some(period)))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Limit, E> {
        PeriodVisitor.visit_i64(number).map(|period| Limit(Some(period)))
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<Limit, E> {
        PeriodVisitor.visit_f64(number).map(|period| Limit(Some(period)))
    }
}

impl Limit {
    /// The schema of a field that may not be zero.
    pub(crate) fn positive_schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({"anyOf": [{"const": "none"}, Period::positive_schema(generator)]})
    }
}

impl JsonSchema for Limit {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Limit".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({"anyOf": [{"const": "none"}, generator.subschema_for::<Period>()]})
    }
}
