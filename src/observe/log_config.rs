//! What is logged, and how.

use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::spec::Field;

/// What is logged, and how.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LogConfig {
    /// From which level on.
    pub level: Filter,
    /// As text or as JSON lines.
    pub format: Format,
}

/// As text or as JSON lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Format {
    /// Text on a terminal, JSON lines otherwise.
    #[default]
    Auto,
    /// Lines for a person.
    Text,
    /// One JSON object a line.
    Json,
}

/// A level, and levels for single targets: `info` or `warn,connection=debug`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filter(pub String);

impl Default for Filter {
    fn default() -> Self {
        Filter("info".to_owned())
    }
}

/// Why a text is no [`Filter`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FilterError {
    /// A level nobody knows.
    #[error("has an unknown level\nlevels are off, error, warn, info, debug, trace")]
    Level,
    /// A part that is neither a level nor target=level.
    #[error("is not a log filter\nwrite a level, or levels for targets: info or warn,connection=debug")]
    Form,
}

impl Filter {
    /// The levels, from silent to loud.
    pub const LEVELS: [&'static str; 6] = ["off", "error", "warn", "info", "debug", "trace"];
}

impl FromStr for Filter {
    type Err = FilterError;

    fn from_str(text: &str) -> Result<Filter, FilterError> {
        for part in text.split(',') {
            let (target, level) = match part.split_once('=') {
                Some((target, level)) => (Some(target), level),
                None => (None, part),
            };
            let target_fits = |target: &str| {
                !target.is_empty()
                    && target.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | ':'))
            };
            if level.is_empty() || !target.is_none_or(target_fits) {
                return Err(FilterError::Form);
            }
            if !Filter::LEVELS.contains(&level) {
                return Err(FilterError::Level);
            }
        }
        Ok(Filter(text.to_owned()))
    }
}

impl Serialize for Filter {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Filter {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Filter, D::Error> {
        deserializer.deserialize_str(FilterVisitor)
    }
}

struct FilterVisitor;

impl Visitor<'_> for FilterVisitor {
    type Value = Filter;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a log filter such as info or warn,connection=debug")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Filter, E> {
        text.parse().map_err(E::custom)
    }

    // `off` is text to YAML 1.2, and false to many of its readers.
    fn visit_bool<E: Error>(self, on: bool) -> Result<Filter, E> {
        if on { Err(E::custom(FilterError::Level)) } else { Ok(Filter("off".to_owned())) }
    }
}

fn pattern() -> String {
    let part = format!("([A-Za-z0-9_.:-]+=)?({})", Filter::LEVELS.join("|"));
    format!("^{part}(,{part})*$")
}

impl JsonSchema for Filter {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "LogFilter".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "anyOf": [
                {"type": "string", "pattern": pattern()},
                // What YAML of old makes of off.
                {"const": false},
            ],
            "examples": ["info", "warn,connection=debug"],
        })
    }
}

/// What is logged, and how, as a configuration writes it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default, expecting = "a mapping such as {level: info, format: auto}")]
#[schemars(deny_unknown_fields)]
pub struct LogSpec {
    /// From which level on: info, or with targets: warn,connection=debug. Left out: info.
    #[serde(skip_serializing_if = "Field::is_absent")]
    pub level: Field<Filter>,
    /// auto (text on a terminal, else json), text or json. Left out: auto.
    #[serde(skip_serializing_if = "Field::is_absent")]
    pub format: Field<Format>,
}

impl From<&LogConfig> for LogSpec {
    fn from(log: &LogConfig) -> LogSpec {
        LogSpec { level: Field::from(log.level.clone()), format: Field::from(log.format) }
    }
}

impl LogSpec {
    /// The defaults, with what is written in their place.
    pub fn meant(&self) -> LogConfig {
        LogConfig {
            level: self.level.get().cloned().unwrap_or_default(),
            format: self.format.get().copied().unwrap_or_default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_are_levels_with_or_without_targets() {
        for text in ["info", "off", "warn,connection=debug", "upstream=trace"] {
            assert_eq!(text.parse(), Ok(Filter(text.to_owned())));
        }
        assert_eq!("inof".parse::<Filter>(), Err(FilterError::Level));
        assert_eq!("INFO".parse::<Filter>(), Err(FilterError::Level));
        assert_eq!("".parse::<Filter>(), Err(FilterError::Form));
        assert_eq!("info,".parse::<Filter>(), Err(FilterError::Form));
        assert_eq!("=info".parse::<Filter>(), Err(FilterError::Form));
        assert_eq!("a b=info".parse::<Filter>(), Err(FilterError::Form));
    }
}
