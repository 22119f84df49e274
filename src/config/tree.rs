//! A document as a tree whose every node knows where it stands.
//!
//! The tree is bounded (text, depth, number of nodes), so that no document can cost more than a little time and memory.
//! It knows nothing of routes and faults, and nothing of YAML or JSON; [`yaml`](super::yaml) and
//! [`json`](super::json) build it through [`Builder`](super::builder::Builder).

use std::fmt::Write as _;
use std::sync::Arc;

use crate::spec::text::shown_short;
use crate::spec::{NodeId, Place, Span};

/// The most bytes of text a document may have.
pub(crate) const MAX_TEXT: usize = 1 << 20;
/// The deepest a value may lie.
pub(super) const MAX_DEPTH: usize = 32;
/// The most values a document may have, aliases counted as what they stand for.
pub(super) const MAX_NODES: usize = 120_000;

/// The most items a list may have.
pub(super) const MAX_ITEMS: usize = 4096;

/// What a node is.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Kind {
    /// Nothing.
    Null,
    /// true or false.
    Bool(bool),
    /// A whole number in decimal.
    Int(i128),
    /// Any other number.
    Float(f64),
    /// A number in a notation that is too easily misread: hexadecimal, octal, leading zeros, underscores.
    Odd(Arc<str>),
    /// Text.
    Text(Arc<str>),
    /// What one `${…}` stood for, with nothing around it: it takes the type its place asks for.
    Substituted(Arc<str>),
    /// A list.
    List(Vec<NodeId>),
    /// A mapping.
    Map(Vec<Entry>),
    /// Something whose problem is already told.
    Broken,
}

/// A key and its value.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Entry {
    /// The key.
    pub(super) key: Arc<str>,
    /// Where the key stands.
    pub(super) span: Span,
    /// The value.
    pub(super) value: NodeId,
}

/// A node as it is stored.
#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) kind: Kind,
    pub(super) span: Span,
    /// The node around it, and which of its items or entries this is.
    pub(super) parent: Option<(NodeId, u32)>,
}

/// A whole document.
#[derive(Debug)]
pub(super) struct Tree {
    nodes: Vec<Node>,
}

/// Which part of a node is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Spot {
    /// The value.
    Value(NodeId),
    /// The key that stands before the value.
    Key(NodeId),
}

impl Spot {
    /// The node that is meant.
    pub(super) fn node(self) -> NodeId {
        match self {
            Spot::Value(node) | Spot::Key(node) => node,
        }
    }
}

impl Tree {
    /// A tree of nodes that know each other; the first is the root.
    pub(super) fn new(nodes: Vec<Node>) -> Tree {
        Tree { nodes }
    }

    /// The outermost value.
    pub(super) fn root(&self) -> NodeId {
        NodeId(0)
    }

    /// What a node is.
    pub(super) fn kind(&self, node: NodeId) -> &Kind {
        self.nodes.get(node.0 as usize).map_or(&Kind::Broken, |node| &node.kind)
    }

    /// Where a node's text stands.
    pub(super) fn span(&self, node: NodeId) -> Span {
        self.nodes.get(node.0 as usize).map_or(Span::default(), |node| node.span)
    }

    /// All nodes, in the order of the document.
    pub(super) fn ids(&self) -> impl Iterator<Item = NodeId> + use<> {
        (0..u32::try_from(self.nodes.len()).unwrap_or(u32::MAX)).map(NodeId)
    }

    /// The entry whose value is `node`, if it stands in a mapping.
    pub(super) fn entry(&self, node: NodeId) -> Option<&Entry> {
        let (parent, index) = self.nodes.get(node.0 as usize)?.parent?;
        match self.kind(parent) {
            Kind::Map(entries) => entries.get(index as usize),
            _ => None,
        }
    }

    /// The node around `node`.
    pub(super) fn parent(&self, node: NodeId) -> Option<NodeId> {
        self.nodes.get(node.0 as usize)?.parent.map(|(parent, _)| parent)
    }

    /// The value of a key, if the node is a mapping that has it.
    pub(super) fn get(&self, map: NodeId, key: &str) -> Option<NodeId> {
        match self.kind(map) {
            Kind::Map(entries) => entries.iter().find(|entry| &*entry.key == key).map(|entry| entry.value),
            _ => None,
        }
    }

    /// Takes a key and its value away, if the node is a mapping that has it.
    pub(super) fn remove(&mut self, map: NodeId, key: &str) {
        let Some(Kind::Map(entries)) = self.nodes.get_mut(map.0 as usize).map(|node| &mut node.kind) else {
            return;
        };
        entries.retain(|entry| &*entry.key != key);
        let values: Vec<NodeId> = entries.iter().map(|entry| entry.value).collect();
        for (index, value) in values.into_iter().enumerate() {
            if let Some(node) = self.nodes.get_mut(value.0 as usize) {
                node.parent = Some((map, u32::try_from(index).unwrap_or(u32::MAX)));
            }
        }
    }

    /// Puts something else in a node's place.
    pub(super) fn replace(&mut self, node: NodeId, kind: Kind) {
        if let Some(node) = self.nodes.get_mut(node.0 as usize) {
            node.kind = kind;
        }
    }

    /// Makes whole numbers of those that only look as if they were none: JSON knows one kind of number, and some who
    /// write it say 5.0 for 5.
    pub(super) fn whole_numbers(&mut self) {
        /// Up to here every whole number is exact.
        const EXACT: f64 = 9_007_199_254_740_992.0;
        for node in &mut self.nodes {
            if let Kind::Float(number) = node.kind
                && number.fract() == 0.0
                && number.abs() <= EXACT
            {
                node.kind = Kind::Int(number as i128);
            }
        }
    }

    /// The place of a spot. That of a key is called by what is around it. That of a mapping without brackets is its
    /// first key, for a caret under a whole block would say nothing; that of nothing at all is the key before it.
    pub(super) fn place(&self, spot: Spot) -> Place {
        let node = spot.node();
        match (spot, self.entry(node), self.kind(node)) {
            (Spot::Key(_), Some(entry), _) => {
                let (path, _) = self.path(self.parent(node).unwrap_or(node));
                let (_, pointer) = self.path(node);
                Place { span: entry.span, path, pointer }
            }
            (_, Some(entry), Kind::Null) if self.span(node).range().is_empty() => {
                let (path, pointer) = self.path(node);
                Place { span: entry.span, path, pointer }
            }
            (_, _, Kind::Map(entries)) if !entries.is_empty() && self.span(node).range().len() <= 1 => {
                let (path, pointer) = self.path(node);
                let span = entries.first().map_or(self.span(node), |entry| entry.span);
                Place { span, path, pointer }
            }
            _ => {
                let (path, pointer) = self.path(node);
                Place { span: self.span(node), path, pointer }
            }
        }
    }

    /// `routes[0].name`, and the same as a JSON pointer.
    pub(super) fn path(&self, node: NodeId) -> (String, String) {
        let mut steps = Vec::new();
        let mut here = node;
        while let Some((parent, index)) = self.nodes.get(here.0 as usize).and_then(|node| node.parent) {
            steps.push((here, index));
            here = parent;
        }
        let (mut path, mut pointer) = (String::new(), String::new());
        for (node, index) in steps.into_iter().rev() {
            // Writing to a String cannot fail.
            if let Some(entry) = self.entry(node) {
                let dot = if path.is_empty() { "" } else { "." };
                let _ = write!(path, "{dot}{}", shown_short(&entry.key, 40));
                // No key of any meaning is as long as this.
                let key: String = entry.key.chars().take(256).collect();
                let _ = write!(pointer, "/{}", key.replace('~', "~0").replace('/', "~1"));
            } else {
                let _ = write!(path, "[{index}]");
                let _ = write!(pointer, "/{index}");
            }
        }
        (path, pointer)
    }
}
