//! Names that users give to routes and faults.

use std::borrow::Borrow;
use std::fmt;
use std::ops::Deref;
use std::str::FromStr;
use std::sync::Arc;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Deserialize, Deserializer, Error, Visitor};
use serde::{Serialize, Serializer};

use super::text::is_hostile;

/// 1 to 128 characters, none of them a control, bidi or invisible one. Cheap to copy.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Name(Arc<str>);

/// Why a text is no [`Name`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Nothing, or only blanks.
    #[error("is empty\na name has 1 to 128 characters")]
    Empty,
    /// More than 128 characters.
    #[error("is too long\na name has 1 to 128 characters")]
    TooLong,
    /// A control, bidi or invisible character.
    #[error("holds a control or invisible character\na name is made of characters that can be seen")]
    Hostile,
    /// A blank at an end.
    #[error("begins or ends with a blank")]
    Blank,
}

impl Name {
    /// The most characters.
    pub const LONGEST: usize = 128;

    /// A name that was checked before it came to where it is now.
    pub(crate) fn checked(name: &Arc<str>) -> Name {
        Name(Arc::clone(name))
    }

    /// The name, shared.
    pub fn shared(&self) -> Arc<str> {
        Arc::clone(&self.0)
    }
}

impl FromStr for Name {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Name, NameError> {
        if text.chars().any(is_hostile) {
            return Err(NameError::Hostile);
        }
        if text.trim().is_empty() {
            return Err(NameError::Empty);
        }
        if text.trim() != text {
            return Err(NameError::Blank);
        }
        if text.chars().count() > Name::LONGEST {
            return Err(NameError::TooLong);
        }
        Ok(Name(text.into()))
    }
}

impl Deref for Name {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl Borrow<str> for Name {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for Name {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Name, D::Error> {
        deserializer.deserialize_str(NameVisitor)
    }
}

struct NameVisitor;

impl Visitor<'_> for NameVisitor {
    type Value = Name;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("text")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Name, E> {
        text.parse().map_err(E::custom)
    }
}

/// No blank at an end, and none of [`is_hostile`] but those beyond 16 bits, for which patterns have no common notation.
fn pattern() -> String {
    let hostile = concat!(
        r"\u0000-\u001f\u007f-\u009f\u00ad\u034f\u061c\u070f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f",
        r"\u2028-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb",
    );
    format!(r"^[^\s{hostile}]([^{hostile}]*[^\s{hostile}])?$")
}

impl JsonSchema for Name {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Name".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "minLength": 1, "maxLength": 128, "pattern": pattern()})
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::spec::pattern::tests::texts;

    #[test]
    fn names_can_be_seen() {
        assert_eq!("db primär 1".parse::<Name>().unwrap().to_string(), "db primär 1");
        assert_eq!("".parse::<Name>(), Err(NameError::Empty));
        assert_eq!(" ".parse::<Name>(), Err(NameError::Empty));
        assert_eq!(" a".parse::<Name>(), Err(NameError::Blank));
        assert_eq!("a\u{202e}b".parse::<Name>(), Err(NameError::Hostile));
        assert_eq!("a\nb".parse::<Name>(), Err(NameError::Hostile));
        assert!("ü".repeat(128).parse::<Name>().is_ok());
        assert_eq!("x".repeat(129).parse::<Name>(), Err(NameError::TooLong));
    }

    proptest! {
        #[test]
        fn what_the_schema_takes_is_read(text in texts(&pattern())) {
            prop_assert!(text.chars().any(|c| c > '\u{ffff}') || text.chars().count() > 128 || text.parse::<Name>().is_ok(), "{:?}", text);
        }
    }
}
