//! Durations that may not be zero.

use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::de::{Deserialize, Deserializer, Error};
use serde::{Serialize, Serializer};

use super::Period;

/// A [`Period`] longer than nothing, where it was read; one that a program gave is checked when it is read back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Positive(Period);

impl Positive {
    /// From a duration.
    pub fn new(time: Duration) -> Positive {
        Positive(Period::new(time))
    }

    /// The length of time.
    pub fn get(self) -> Duration {
        self.0.get()
    }
}

impl Serialize for Positive {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Positive {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Positive, D::Error> {
        let period = Period::deserialize(deserializer)?;
        if period.is_zero() {
            return Err(D::Error::custom("must be more than zero\nwrite a duration such as 500ms or 2s"));
        }
        Ok(Positive(period))
    }
}

impl JsonSchema for Positive {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Positive".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        Period::positive_schema(generator)
    }
}
