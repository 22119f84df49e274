//! Parameters of faults as a step writes them: free of the fault they are for, which only the daemon knows.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Deserialize, Deserializer, Error, MapAccess, Visitor};
use serde_json::{Map, Number, Value};

use crate::spec::{Field, Period, Rate, Size};

/// Faults by their names, each with parameters to be laid over those it has; meant is exactly one.
#[derive(Clone, Debug, PartialEq)]
pub struct Changes(pub Vec<(Arc<str>, Field<Parameters>)>);

struct ChangesVisitor;

impl<'de> Visitor<'de> for ChangesVisitor {
    type Value = Changes;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a mapping of one fault's name to its parameters: {latency: {delay: 1s}}")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Changes, A::Error> {
        let mut changes = Vec::new();
        while let Some((name, parameters)) = map.next_entry::<String, Field<Parameters>>()? {
            changes.push((name.into(), parameters));
        }
        if changes.is_empty() {
            return Err(A::Error::custom("names no fault\nwrite {latency: {delay: 1s}}"));
        }
        Ok(Changes(changes))
    }
}

impl<'de> Deserialize<'de> for Changes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Changes, D::Error> {
        deserializer.deserialize_any(ChangesVisitor)
    }
}

impl JsonSchema for Changes {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Changes".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "object",
            "minProperties": 1,
            "maxProperties": 1,
            "additionalProperties": {
                "type": "object",
                "minProperties": 1,
                "additionalProperties": {"type": ["string", "number", "boolean", "null"]},
            },
        })
    }
}

/// More parameters than any fault has.
const MOST: usize = 64;

/// Parameters of a fault, to be laid over those it has.
#[derive(Clone, Debug, PartialEq)]
pub struct Parameters(pub Map<String, Value>);

struct ParametersVisitor;

impl<'de> Visitor<'de> for ParametersVisitor {
    type Value = Parameters;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a mapping of parameters such as {delay: 1s}")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Parameters, A::Error> {
        let mut parameters = Map::new();
        let mut count = 0;
        while let Some((key, value)) = map.next_entry::<String, Field<Scalar>>()? {
            count += 1;
            if count > MOST {
                return Err(A::Error::custom("names more parameters than any fault has"));
            }
            if let Field::Good { value, .. } = value {
                parameters.insert(key, value.0);
            }
        }
        if count == 0 {
            return Err(A::Error::custom("names no parameter\nwrite {delay: 1s}"));
        }
        Ok(Parameters(parameters))
    }
}

impl<'de> Deserialize<'de> for Parameters {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Parameters, D::Error> {
        deserializer.deserialize_any(ParametersVisitor)
    }
}

/// A value of one piece: all parameters are such.
#[derive(Clone, Debug, PartialEq)]
pub struct Scalar(pub Value);

struct ScalarVisitor;

impl Visitor<'_> for ScalarVisitor {
    type Value = Scalar;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a single value")
    }

    fn visit_unit<E: Error>(self) -> Result<Scalar, E> {
        Ok(Scalar(Value::Null))
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Scalar, E> {
        Ok(Scalar(value.into()))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Scalar, E> {
        Ok(Scalar(value.into()))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Scalar, E> {
        Ok(Scalar(value.into()))
    }

    fn visit_i128<E: Error>(self, value: i128) -> Result<Scalar, E> {
        self.visit_f64(value as f64)
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Scalar, E> {
        // Nothing, which stands for what is taken away, is not to be had by a number that is none.
        let number = Number::from_f64(value).ok_or_else(|| E::custom("is not a number of any size"))?;
        Ok(Scalar(number.into()))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Scalar, E> {
        Ok(Scalar(text.into()))
    }
}

impl<'de> Deserialize<'de> for Scalar {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Scalar, D::Error> {
        deserializer.deserialize_any(ScalarVisitor)
    }
}

/// A value that can be reached step by step: a number, a duration, a size or a rate.
#[derive(Clone, Debug, PartialEq)]
pub struct Goal(pub Value);

impl<'de> Deserialize<'de> for Goal {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Goal, D::Error> {
        let Scalar(value) = Scalar::deserialize(deserializer)?;
        let is_amount = match &value {
            Value::Number(number) => number.as_f64().is_some_and(|number| number >= 0.0),
            Value::String(text) => {
                Period::from_str(text).is_ok() || Size::from_str(text).is_ok() || Rate::from_str(text).is_ok()
            }
            _ => false,
        };
        if is_amount {
            return Ok(Goal(value));
        }
        Err(D::Error::custom("cannot be reached step by step\nwrite a number, a duration, a size or a rate"))
    }
}

impl JsonSchema for Goal {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Goal".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({"anyOf": [
            {"type": "number", "minimum": 0},
            generator.subschema_for::<Period>(),
            generator.subschema_for::<Size>(),
            generator.subschema_for::<Rate>(),
        ]})
    }
}
