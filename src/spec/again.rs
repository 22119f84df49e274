//! Reading one node more than once: as one thing or another by its shape, or as several things whose keys share a map.
//!
//! serde's own answers to both (`untagged`, `flatten`) copy the value into a buffer and lose every place in it. The
//! reader of located documents knows a better way, under the name [`AGAIN`]. Other formats do not; what is read with
//! these helpers can be read from a located document only.

use std::fmt;
use std::marker::PhantomData;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::de::{Deserialize, Deserializer, Error, SeqAccess, Visitor};
use serde::{Serialize, Serializer};

/// The name under which a deserializer is asked to give the same node again and again: a sequence of its shape's
/// number, then the node itself as often as it is asked for. Keys that one reading knows are not unknown to the next.
pub const AGAIN: &str = "$chaos_proxy::again";

/// The number that says "this node is nothing at all: a key with no value written".
pub const SHAPE_NOTHING: u32 = 3;
/// The number that says "this node is a mapping".
pub const SHAPE_MAP: u32 = 2;
/// The number that says "this node is a list".
pub const SHAPE_LIST: u32 = 1;
/// The number that says "this node is a single value".
pub const SHAPE_SCALAR: u32 = 0;

/// Reads a mapping as an `M`, anything else as an `S`.
pub fn map_or<'de, D, M, S, T>(deserializer: D, map: fn(M) -> T, other: fn(S) -> T) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    M: Deserialize<'de>,
    S: Deserialize<'de>,
{
    map_list_or(deserializer, map, other, other)
}

/// Reads a mapping as an `M`, a list as an `L`, anything else as an `S`.
pub fn map_list_or<'de, D, M, L, S, T>(
    deserializer: D,
    map: fn(M) -> T,
    list: fn(L) -> T,
    other: fn(S) -> T,
) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    M: Deserialize<'de>,
    L: Deserialize<'de>,
    S: Deserialize<'de>,
{
    deserializer.deserialize_newtype_struct(AGAIN, MapListOr { map, list, other, read: PhantomData })
}

struct MapListOr<M, L, S, T> {
    map: fn(M) -> T,
    list: fn(L) -> T,
    other: fn(S) -> T,
    read: PhantomData<(M, L, S)>,
}

impl<'de, M, L, S, T> Visitor<'de> for MapListOr<M, L, S, T>
where
    M: Deserialize<'de>,
    L: Deserialize<'de>,
    S: Deserialize<'de>,
{
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value of a located document")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<T, A::Error> {
        match next::<u32, A>(&mut seq)? {
            SHAPE_MAP => next(&mut seq).map(self.map),
            SHAPE_LIST => next(&mut seq).map(self.list),
            _ => next(&mut seq).map(self.other),
        }
    }
}

/// A mapping of which nothing need be said: a key with no value written is the same as `{}`. A `null` is not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OrEmpty<T>(pub T);

impl<'de, T: Deserialize<'de> + Default> Deserialize<'de> for OrEmpty<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_newtype_struct(AGAIN, OrEmptyVisitor(PhantomData))
    }
}

struct OrEmptyVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de> + Default> Visitor<'de> for OrEmptyVisitor<T> {
    type Value = OrEmpty<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a mapping of a located document")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<OrEmpty<T>, A::Error> {
        match next::<u32, A>(&mut seq)? {
            SHAPE_NOTHING => Ok(OrEmpty::default()),
            _ => next(&mut seq).map(OrEmpty),
        }
    }
}

impl<T: Serialize> Serialize for OrEmpty<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<T: JsonSchema> JsonSchema for OrEmpty<T> {
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

/// Three things whose keys stand in one mapping.
#[derive(Debug)]
pub struct Together<A, B, C>(pub A, pub B, pub C);

impl<'de, A: Deserialize<'de>, B: Deserialize<'de>, C: Deserialize<'de>> Deserialize<'de>
    for Together<A, B, C>
{
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_newtype_struct(AGAIN, TogetherVisitor(PhantomData))
    }
}

struct TogetherVisitor<A, B, C>(PhantomData<(A, B, C)>);

impl<'de, A: Deserialize<'de>, B: Deserialize<'de>, C: Deserialize<'de>> Visitor<'de>
    for TogetherVisitor<A, B, C>
{
    type Value = Together<A, B, C>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a mapping of a located document")
    }

    fn visit_seq<S: SeqAccess<'de>>(self, mut seq: S) -> Result<Self::Value, S::Error> {
        next::<u32, S>(&mut seq)?;
        Ok(Together(next(&mut seq)?, next(&mut seq)?, next(&mut seq)?))
    }
}

fn next<'de, T: Deserialize<'de>, A: SeqAccess<'de>>(seq: &mut A) -> Result<T, A::Error> {
    seq.next_element()?.ok_or_else(|| A::Error::custom("cannot be read twice"))
}
