//! The values that only a scenario has: each says by itself what is wrong with it.

use std::fmt;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Deserialize, Deserializer, Error, SeqAccess, Visitor};

use crate::daemon::Live;
use crate::spec::text::is_hostile;
use crate::spec::{Field, Period};

/// What is done or not, and has nothing more to say: nothing, or `true`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Yes;

struct YesVisitor;

impl Visitor<'_> for YesVisitor {
    type Value = Yes;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("true")
    }

    fn visit_unit<E: Error>(self) -> Result<Yes, E> {
        Ok(Yes)
    }

    fn visit_bool<E: Error>(self, yes: bool) -> Result<Yes, E> {
        if yes { Ok(Yes) } else { Err(E::custom("does nothing\nwrite true, or take the step away")) }
    }
}

impl<'de> Deserialize<'de> for Yes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Yes, D::Error> {
        deserializer.deserialize_any(YesVisitor)
    }
}

impl JsonSchema for Yes {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Yes".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"enum": [true, null]})
    }
}

/// What becomes of the connections of a route that is closed: a word, or nothing for the daemon's default.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Closing(pub Live);

struct ClosingVisitor;

impl Visitor<'_> for ClosingVisitor {
    type Value = Closing;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("keep, close or reset")
    }

    fn visit_unit<E: Error>(self) -> Result<Closing, E> {
        Ok(Closing(Live::default()))
    }

    fn visit_bool<E: Error>(self, yes: bool) -> Result<Closing, E> {
        YesVisitor.visit_bool(yes).map(|_| Closing(Live::default()))
    }

    fn visit_str<E: Error>(self, word: &str) -> Result<Closing, E> {
        Live::named(word).map(Closing).ok_or_else(|| E::unknown_variant(word, Live::WORDS))
    }
}

impl<'de> Deserialize<'de> for Closing {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Closing, D::Error> {
        deserializer.deserialize_any(ClosingVisitor)
    }
}

impl JsonSchema for Closing {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Closing".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"enum": ["keep", "close", "reset", true, null]})
    }
}

/// Something that is said: up to 500 characters that can be seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remark(pub String);

impl<'de> Deserialize<'de> for Remark {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Remark, D::Error> {
        let text = String::deserialize(deserializer)?;
        if text.trim().is_empty() {
            return Err(D::Error::custom("is empty\nwrite what is to be said"));
        }
        if text.chars().any(is_hostile) {
            return Err(D::Error::custom("holds a control or invisible character\nit is one line of text"));
        }
        if text.chars().count() > 500 {
            return Err(D::Error::custom("is too long\nit has at most 500 characters"));
        }
        Ok(Remark(text))
    }
}

impl JsonSchema for Remark {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Remark".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "minLength": 1, "maxLength": 500})
    }
}

/// From a moment until a later one, as a list of the two.
#[derive(Clone, Debug, PartialEq)]
pub struct During(pub Field<Period>, pub Field<Period>);

impl During {
    /// The two moments, if both are good.
    pub fn moments(&self) -> Option<(Duration, Duration)> {
        Some((self.0.get()?.get(), self.1.get()?.get()))
    }
}

struct DuringVisitor;

impl<'de> Visitor<'de> for DuringVisitor {
    type Value = During;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of two moments such as [10s, 30s]")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<During, A::Error> {
        const TWO: &str = "is not two moments\nwrite from when until when: [10s, 30s]";
        let (Some(from), Some(to)) =
            (seq.next_element::<Field<Period>>()?, seq.next_element::<Field<Period>>()?)
        else {
            return Err(A::Error::custom(TWO));
        };
        if seq.next_element::<Field<Period>>()?.is_some() {
            return Err(A::Error::custom(TWO));
        }
        if let (Some(start), Some(end)) = (from.get(), to.get())
            && start >= end
        {
            return Err(A::Error::custom("is over before it begins\nthe second moment is the later one"));
        }
        Ok(During(from, to))
    }
}

impl<'de> Deserialize<'de> for During {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<During, D::Error> {
        deserializer.deserialize_any(DuringVisitor)
    }
}

impl JsonSchema for During {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "During".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let period = generator.subschema_for::<Period>();
        json_schema!({"type": "array", "items": period, "minItems": 2, "maxItems": 2})
    }
}
