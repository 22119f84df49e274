//! A value of a document together with the place it stands at, read so that one bad value does not hide the next.

use std::fmt;
use std::marker::PhantomData;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::de::{Deserialize, Deserializer, SeqAccess, Visitor};
use serde::ser::{Serialize, Serializer};

use super::NodeId;

/// A key's value, or that it is absent, or that it was bad and has been complained about.
///
/// The reader of located documents knows this type by [`FIELD`]: it never fails to be read there, because what is wrong
/// inside it is noted and the reading goes on. From any other format it is read as plain `T`.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Field<T> {
    /// The key is not there.
    #[default]
    Absent,
    /// The key is there with a value that cannot be; the problem is noted already.
    Bad,
    /// The value.
    Good {
        /// Where it stands, if it came from a located document.
        node: Option<NodeId>,
        /// What stands there.
        value: T,
    },
}

/// The name under which a deserializer is asked for a [`Field`]. One that knows it gives a sequence: the node's number,
/// then the value, again and again: an error means "noted, try once more", an end means "give up".
pub const FIELD: &str = "$chaos_proxy::field";

impl<T> Field<T> {
    /// The value, if there is a good one.
    pub fn get(&self) -> Option<&T> {
        match self {
            Field::Good { value, .. } => Some(value),
            Field::Absent | Field::Bad => None,
        }
    }

    /// Where it stands, if it is good and came from a located document.
    pub fn node(&self) -> Option<NodeId> {
        match self {
            Field::Good { node, .. } => *node,
            Field::Absent | Field::Bad => None,
        }
    }

    /// Whether nothing was written.
    pub fn is_absent(&self) -> bool {
        matches!(self, Field::Absent)
    }
}

impl<T> From<T> for Field<T> {
    fn from(value: T) -> Field<T> {
        Field::Good { node: None, value }
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Field<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Field<T>, D::Error> {
        deserializer.deserialize_newtype_struct(FIELD, FieldVisitor(PhantomData))
    }
}

struct FieldVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for FieldVisitor<T> {
    type Value = Field<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, deserializer: D) -> Result<Field<T>, D::Error> {
        T::deserialize(deserializer).map(Field::from)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Field<T>, A::Error> {
        let node = seq.next_element::<u32>()?.map(NodeId);
        let mut clean = true;
        loop {
            match seq.next_element::<T>() {
                Ok(Some(value)) if clean => return Ok(Field::Good { node, value }),
                Ok(_) => return Ok(Field::Bad),
                Err(_) => clean = false,
            }
        }
    }
}

impl<T: Serialize> Serialize for Field<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.get() {
            Some(value) => value.serialize(serializer),
            None => serializer.serialize_none(),
        }
    }
}

impl<T: JsonSchema> JsonSchema for Field<T> {
    fn inline_schema() -> bool {
        T::inline_schema()
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        T::schema_name()
    }

    fn schema_id() -> std::borrow::Cow<'static, str> {
        T::schema_id()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        T::json_schema(generator)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_formats_give_a_plain_value() {
        let field: Field<u16> = serde_json::from_str("7").unwrap();
        assert_eq!(field, Field::Good { node: None, value: 7 });
        assert_eq!(serde_json::to_string(&field).unwrap(), "7");
        assert!(serde_json::from_str::<Field<u16>>("true").is_err());
    }
}
