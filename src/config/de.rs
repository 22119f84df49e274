//! A serde deserializer over a located tree, which notes every problem with its place and goes on.
//!
//! Unknown keys are noted here, all of them, and never reach the type that is read. A [`Field`](crate::spec::Field) does not
//! fail: what is wrong inside it is noted, the culprit is passed over, and the same value is read once more, until
//! nothing new turns up. Knows nothing of what is read.

use std::cell::RefCell;
use std::collections::HashSet;
use std::sync::Arc;

use serde::de::{Deserializer, Unexpected, Visitor};
use serde::forward_to_deserialize_any;

use super::de_access::{Again, Attempts, Entries, Items, Word};
use super::de_error::{Error, What};
use super::scalar::resolve;
use super::tree::{Entry, Kind, MAX_ITEMS, Spot, Tree};
use super::unknown_key::unknown_key;
use crate::spec::source::Source;
use crate::spec::{NodeId, Problems, again, field};

/// Everything the reading of one document shares.
pub(super) struct Reader<'a> {
    pub(super) tree: &'a Tree,
    source: &'a Source,
    problems: RefCell<&'a mut Problems>,
    /// Nodes with a problem that is noted: from then on as good as absent.
    pub(super) poisoned: RefCell<HashSet<NodeId>>,
    /// Whether keys `x-…` at the top are let be.
    extensions: bool,
    /// Mappings that are read as several types, with the keys the types know.
    shared: RefCell<Vec<(NodeId, Vec<&'static str>)>>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(tree: &'a Tree, source: &'a Source, problems: &'a mut Problems) -> Reader<'a> {
        Reader {
            tree,
            source,
            problems: RefCell::new(problems),
            poisoned: RefCell::default(),
            extensions: false,
            shared: RefCell::default(),
        }
    }

    /// Lets keys `x-…` at the top be: a place for anchors.
    pub(super) fn with_extensions(mut self) -> Self {
        self.extensions = true;
        self
    }

    /// Reads a node as a `T` that notes its own problems; None if not even that can be.
    pub(super) fn read<T: for<'de> serde::Deserialize<'de>>(&self, node: NodeId) -> Option<T> {
        match T::deserialize(Located { reader: self, node, bare: false }) {
            Ok(value) => Some(value),
            Err(error) => {
                self.note(error.at(Spot::Value(node)));
                None
            }
        }
    }

    pub(super) fn note(&self, error: Error) {
        if let Some(problem) = error.told_of(self.tree, self.source, self.tree.root()) {
            self.problems.borrow_mut().add(problem);
        }
    }

    pub(super) fn is_poisoned(&self, node: NodeId) -> bool {
        self.poisoned.borrow().contains(&node)
    }

    fn note_unknown(&self, node: NodeId, known: &[&'static str]) {
        let Kind::Map(entries) = self.tree.kind(node) else { return };
        let top = self.extensions && node == self.tree.root();
        for entry in entries.iter().filter(|entry| !known.contains(&&*entry.key)) {
            if !(top && entry.key.starts_with("x-")) {
                let place = || self.tree.place(Spot::Key(entry.value));
                self.problems
                    .borrow_mut()
                    .add_lazily((entry.span, "unknown"), || unknown_key(entry, entries, known, place()));
            }
        }
    }
}

/// One node, to be read.
#[derive(Clone, Copy)]
pub(super) struct Located<'r, 'a> {
    pub(super) reader: &'r Reader<'a>,
    pub(super) node: NodeId,
    /// The node is a word that stands for an effect with no parameters: as a mapping it is empty.
    pub(super) bare: bool,
}

impl<'r, 'a> Located<'r, 'a> {
    pub(super) fn kind(&self) -> &'a Kind {
        self.reader.tree.kind(self.node)
    }

    pub(super) fn with(self, node: NodeId) -> Located<'r, 'a> {
        Located { node, bare: false, ..self }
    }

    /// Gives the visitor what the node is, by itself.
    fn visit<'de, V: Visitor<'de>>(self, kind: &Kind, visitor: V) -> Result<V::Value, Error> {
        match kind {
            Kind::Null => visitor.visit_unit(),
            Kind::Bool(value) => visitor.visit_bool(*value),
            Kind::Int(value) => match (u64::try_from(*value), i64::try_from(*value)) {
                (Ok(value), _) => visitor.visit_u64(value),
                (_, Ok(value)) => visitor.visit_i64(value),
                _ => visitor.visit_i128(*value),
            },
            Kind::Float(value) => visitor.visit_f64(*value),
            Kind::Text(text) => visitor.visit_str(short(text)?),
            Kind::Substituted(text) => self.visit(&resolve(short(text)?), visitor),
            Kind::Odd(_) => Err(Error::new(What::Predicate(
                "is a number that is easily misread\nwrite it in decimal, or in quotes if it is text"
                    .to_owned(),
            ))),
            Kind::List(items) if items.len() > MAX_ITEMS => {
                Err(Error::new(What::Predicate(format!("has more than {MAX_ITEMS} items"))))
            }
            Kind::List(items) => visitor.visit_seq(Items { located: self, items: items.iter() }),
            Kind::Map(entries) => visitor.visit_map(self.entries(entries, None)),
            Kind::Broken => Err(Error::told()),
        }
    }

    fn entries<'e>(
        self,
        entries: &'e [Entry],
        known: Option<&'static [&'static str]>,
    ) -> Entries<'r, 'a, 'e> {
        Entries { located: self, entries: entries.iter(), known, value: None }
    }

    /// For a place that asks for text: a lone variable is text, whatever it looks like.
    fn visit_text<'de, V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.kind() {
            Kind::Substituted(text) => short(text).and_then(|text| visitor.visit_str(text)),
            kind => self.visit(kind, visitor),
        }
        .map_err(|error| error.at(Spot::Value(self.node)))
    }

    fn field<'de, V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_seq(Attempts { located: self, step: 0 })
    }

    fn again<'de, V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.reader.shared.borrow_mut().push((self.node, Vec::new()));
        let result = visitor.visit_seq(Again { located: self, shape_told: false });
        let shared = self.reader.shared.borrow_mut().pop();
        // After an error in the middle not all keys are known yet; the next attempt will know them.
        let whole = matches!(&result, Ok(_) | Err(Error { what: What::Missing(_) | What::Told, .. }));
        if let Some((node, known)) = shared.filter(|(_, known)| whole && !known.is_empty()) {
            self.reader.note_unknown(node, &known);
        }
        result
    }

    pub(super) fn structure<'de, V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        let result = match self.kind() {
            Kind::Map(entries) => {
                let mut shared = self.reader.shared.borrow_mut();
                match shared.last_mut().filter(|(node, _)| *node == self.node) {
                    Some((_, known)) => known.extend(fields),
                    None => self.reader.note_unknown(self.node, fields),
                }
                drop(shared);
                visitor.visit_map(self.entries(entries, Some(fields)))
            }
            Kind::Text(_) | Kind::Null if self.bare => visitor.visit_map(self.entries(&[], Some(fields))),
            // A list of its values without their keys, which serde would take, is no mapping.
            Kind::List(_) => Err(serde::de::Error::invalid_type(Unexpected::Seq, &visitor)),
            kind => self.visit(kind, visitor),
        };
        result.map_err(|mut error| {
            // A key whose value is bad was told of; that it is missing now is no news.
            if let (What::Missing(name), None, Kind::Map(entries)) = (&error.what, error.at, self.kind())
                && entries.iter().any(|entry| &*entry.key == *name && self.reader.is_poisoned(entry.value))
            {
                error = Error::told();
            }
            error.at(Spot::Value(self.node))
        })
    }
}

/// A text as long as no value needs to be is refused unread: aliases could make it many.
fn short(text: &str) -> Result<&str, Error> {
    match text.len() {
        0..=4096 => Ok(text),
        _ => Err(Error::new(What::Predicate("is longer than 4096 bytes".to_owned()))),
    }
}

impl<'de> Deserializer<'de> for Located<'_, '_> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.visit(self.kind(), visitor).map_err(|error| error.at(Spot::Value(self.node)))
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.visit_text(visitor)
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        self.visit_text(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        match name {
            field::FIELD => self.field(visitor),
            again::AGAIN => self.again(visitor).map_err(|error| error.at(Spot::Value(self.node))),
            _ => visitor.visit_newtype_struct(self),
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.structure(fields, visitor)
    }

    /// An enum is a word, or a mapping of one key. An enum whose name begins with a small letter is called by it.
    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        let name = Some(name).filter(|name| name.starts_with(|c: char| c.is_ascii_lowercase()));
        let word = match self.kind() {
            Kind::Text(word) | Kind::Substituted(word) => Word {
                located: Located { bare: true, ..self },
                word: Arc::clone(word),
                spot: Spot::Value(self.node),
                name,
            },
            Kind::Map(entries) if name.is_some() => match entries.as_slice() {
                [entry] => {
                    let bare = matches!(self.reader.tree.kind(entry.value), Kind::Null);
                    let located = Located { bare, ..self.with(entry.value) };
                    Word { located, word: Arc::clone(&entry.key), spot: Spot::Key(entry.value), name }
                }
                [] => {
                    return Err(Error::new(What::Predicate("is empty".to_owned())).at(Spot::Value(self.node)));
                }
                [_, second, ..] => {
                    let words = format!(
                        "begins a second {0} in one item\none {0} an item: does this lie too far left, or want a `- `?",
                        name.unwrap_or_default()
                    );
                    return Err(Error::new(What::Predicate(words)).at(Spot::Key(second.value)));
                }
            },
            Kind::Broken => return Err(Error::told().at(Spot::Value(self.node))),
            _ => {
                let wanted = match name {
                    Some(name) => format!("a {name}: a word, or a mapping of one key"),
                    None => "one of a few words".to_owned(),
                };
                return Err(Error::new(What::Expected(wanted)).at(Spot::Value(self.node)));
            }
        };
        visitor.visit_enum(word).map_err(|error| error.at(Spot::Value(self.node)))
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char bytes byte_buf unit unit_struct seq tuple
        tuple_struct map identifier ignored_any
    }
}
