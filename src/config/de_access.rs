//! What a type gets to see of a tree while it is read: items, entries, variants, and the two special sequences.
//!
//! The other half of [`de`](super::de): that decides what a node is read as, this hands out the parts of it.

use std::sync::Arc;

use serde::de::{
    DeserializeSeed, Deserializer, EnumAccess, IntoDeserializer, MapAccess, SeqAccess, VariantAccess, Visitor,
};

use super::de::Located;
use super::de_error::{Error, What};
use super::tree::{Entry, Kind, Spot};
use crate::spec::{NodeId, again};

/// The items of a list.
pub(super) struct Items<'r, 'a, 'e> {
    pub(super) located: Located<'r, 'a>,
    pub(super) items: std::slice::Iter<'e, NodeId>,
}

impl<'de> SeqAccess<'de> for Items<'_, '_, '_> {
    type Error = Error;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Error> {
        match self.items.find(|item| !self.located.reader.is_poisoned(**item)) {
            Some(item) => seed.deserialize(self.located.with(*item)).map(Some),
            None => Ok(None),
        }
    }
}

/// The entries of a mapping whose keys are known and whose values are not poisoned.
pub(super) struct Entries<'r, 'a, 'e> {
    pub(super) located: Located<'r, 'a>,
    pub(super) entries: std::slice::Iter<'e, Entry>,
    pub(super) known: Option<&'static [&'static str]>,
    pub(super) value: Option<NodeId>,
}

impl<'de> MapAccess<'de> for Entries<'_, '_, '_> {
    type Error = Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Error> {
        let (known, reader) = (self.known, self.located.reader);
        let entry = self.entries.find(|entry| {
            known.is_none_or(|known| known.contains(&&*entry.key)) && !reader.is_poisoned(entry.value)
        });
        let Some(entry) = entry else { return Ok(None) };
        self.value = Some(entry.value);
        let key: &str = &entry.key;
        seed.deserialize(key.into_deserializer()).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Error> {
        match self.value.take() {
            Some(value) => {
                seed.deserialize(self.located.with(value)).map_err(|error| error.at(Spot::Value(value)))
            }
            None => Err(Error::told()),
        }
    }
}

/// What a [`Field`](crate::spec::Field) reads: its node's number, then its value until that is good or hopeless.
pub(super) struct Attempts<'r, 'a> {
    pub(super) located: Located<'r, 'a>,
    pub(super) step: u32,
}

impl Attempts<'_, '_> {
    /// More attempts than any value of this program has keys.
    const MOST: u32 = 64;
}

impl<'de> SeqAccess<'de> for Attempts<'_, '_> {
    type Error = Error;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Error> {
        let node = self.located.node;
        self.step += 1;
        if self.step == 1 {
            return seed.deserialize(node.0.into_deserializer()).map(Some);
        }
        let reader = self.located.reader;
        if reader.is_poisoned(node) || self.step > Self::MOST {
            return Ok(None);
        }
        seed.deserialize(self.located).map(Some).map_err(|error| {
            let error = error.at(Spot::Value(node));
            let culprit = error.at.map_or(node, Spot::node);
            reader.note(error);
            if !reader.poisoned.borrow_mut().insert(culprit) {
                reader.poisoned.borrow_mut().insert(node);
            }
            Error::told()
        })
    }
}

/// One node, as often as it is asked for, after the number of its shape.
pub(super) struct Again<'r, 'a> {
    pub(super) located: Located<'r, 'a>,
    pub(super) shape_told: bool,
}

impl<'de> SeqAccess<'de> for Again<'_, '_> {
    type Error = Error;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Error> {
        if std::mem::replace(&mut self.shape_told, true) {
            return seed.deserialize(self.located).map(Some);
        }
        let shape = match self.located.kind() {
            Kind::Map(_) => again::SHAPE_MAP,
            Kind::List(_) => again::SHAPE_LIST,
            Kind::Null if self.located.reader.tree.span(self.located.node).range().is_empty() => {
                again::SHAPE_NOTHING
            }
            _ => again::SHAPE_SCALAR,
        };
        seed.deserialize(shape.into_deserializer()).map(Some)
    }
}

/// A word that chooses a variant, and the node that holds the variant's parameters.
pub(super) struct Word<'r, 'a> {
    pub(super) located: Located<'r, 'a>,
    pub(super) word: Arc<str>,
    pub(super) spot: Spot,
    pub(super) name: Option<&'static str>,
}

impl<'de, 'r, 'a> EnumAccess<'de> for Word<'r, 'a> {
    type Error = Error;
    type Variant = Parameters<'r, 'a>;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Parameters<'r, 'a>), Error> {
        let word: &str = &self.word;
        match seed.deserialize(word.into_deserializer()) {
            Ok(value) => Ok((value, Parameters(self.located))),
            Err(Error { what: What::UnknownWord { word, known }, .. }) if self.name.is_some() => {
                let what = self.name.unwrap_or_default();
                Err(Error::new(What::UnknownNamed { what, word, known }).at(self.spot))
            }
            Err(error) => Err(error.at(self.spot)),
        }
    }
}

pub(super) struct Parameters<'r, 'a>(pub(super) Located<'r, 'a>);

impl<'de> VariantAccess<'de> for Parameters<'_, '_> {
    type Error = Error;

    fn unit_variant(self) -> Result<(), Error> {
        Ok(())
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, Error> {
        seed.deserialize(self.0)
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Error> {
        self.0.deserialize_any(visitor)
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.0.structure(fields, visitor)
    }
}
