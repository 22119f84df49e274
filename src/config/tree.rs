//! A document as a tree whose every node knows where it stands.
//!
//! The tree is bounded (text, depth, number of nodes), so that no document can cost more than a little time and memory.
//! It knows nothing of routes and faults, and nothing of YAML or JSON; [`yaml`](super::yaml) and
//! [`json`](super::json) build it through [`Builder`].

use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::Arc;

use crate::spec::text::shown_short;
use crate::spec::{Diagnostic, NodeId, Place, Problems, Span};

/// The most bytes of text a document may have.
pub const MAX_TEXT: usize = 1 << 20;
/// The deepest a value may lie.
pub const MAX_DEPTH: usize = 32;
/// The most values a document may have, aliases counted as what they stand for.
pub const MAX_NODES: usize = 250_000;

/// What a node is.
#[derive(Clone, Debug, PartialEq)]
pub enum Kind {
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
pub struct Entry {
    /// The key.
    pub key: Arc<str>,
    /// Where the key stands.
    pub span: Span,
    /// The value.
    pub value: NodeId,
}

#[derive(Clone, Debug)]
struct Node {
    kind: Kind,
    span: Span,
    parent: Option<(NodeId, u32)>,
}

/// A whole document.
#[derive(Debug)]
pub struct Tree {
    nodes: Vec<Node>,
}

/// Which part of a node is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Spot {
    /// The value.
    Value(NodeId),
    /// The key that stands before the value.
    Key(NodeId),
}

impl Spot {
    /// The node that is meant.
    pub fn node(self) -> NodeId {
        match self {
            Spot::Value(node) | Spot::Key(node) => node,
        }
    }
}

impl Tree {
    /// The outermost value.
    pub fn root(&self) -> NodeId {
        NodeId(0)
    }

    /// What a node is.
    pub fn kind(&self, node: NodeId) -> &Kind {
        self.nodes.get(node.0 as usize).map_or(&Kind::Broken, |node| &node.kind)
    }

    /// Where a node's text stands.
    pub fn span(&self, node: NodeId) -> Span {
        self.nodes.get(node.0 as usize).map_or(Span::default(), |node| node.span)
    }

    /// All nodes, in the order of the document.
    pub fn ids(&self) -> impl Iterator<Item = NodeId> + use<> {
        (0..u32::try_from(self.nodes.len()).unwrap_or(u32::MAX)).map(NodeId)
    }

    /// The entry whose value is `node`, if it stands in a mapping.
    pub fn entry(&self, node: NodeId) -> Option<&Entry> {
        let (parent, index) = self.nodes.get(node.0 as usize)?.parent?;
        match self.kind(parent) {
            Kind::Map(entries) => entries.get(index as usize),
            _ => None,
        }
    }

    /// The node around `node`.
    pub fn parent(&self, node: NodeId) -> Option<NodeId> {
        self.nodes.get(node.0 as usize)?.parent.map(|(parent, _)| parent)
    }

    /// Puts something else in a node's place.
    pub(super) fn replace(&mut self, node: NodeId, kind: Kind) {
        if let Some(node) = self.nodes.get_mut(node.0 as usize) {
            node.kind = kind;
        }
    }

    /// The place of a spot. That of a key is called by what is around it. That of a mapping is its first key: a caret
    /// under a whole block would say nothing.
    pub fn place(&self, spot: Spot) -> Place {
        let node = spot.node();
        match (spot, self.entry(node), self.kind(node)) {
            (Spot::Key(_), Some(entry), _) => {
                let (path, _) = self.path(self.parent(node).unwrap_or(node));
                let (_, pointer) = self.path(node);
                Place { span: entry.span, path, pointer }
            }
            (_, _, Kind::Map(entries)) if !entries.is_empty() => {
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
    fn path(&self, node: NodeId) -> (String, String) {
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
                let _ = write!(pointer, "/{}", entry.key.replace('~', "~0").replace('/', "~1"));
            } else {
                let _ = write!(path, "[{index}]");
                let _ = write!(pointer, "/{index}");
            }
        }
        (path, pointer)
    }
}

/// Builds a tree, in the order of the text, within the bounds.
#[derive(Debug, Default)]
pub struct Builder {
    nodes: Vec<Node>,
    /// What is wrong so far but did not stop the reading.
    pub problems: Problems,
}

impl Builder {
    /// A new node that is not yet part of anything. The first one is the root.
    pub fn add(&mut self, kind: Kind, span: Span) -> Result<NodeId, Diagnostic> {
        let id = match u32::try_from(self.nodes.len()) {
            Ok(id) if self.nodes.len() < MAX_NODES => NodeId(id),
            _ => {
                return Err(Diagnostic::new(format!("the document has more than {MAX_NODES} values"))
                    .at(Some(here(span)))
                    .label("counted up to here")
                    .help("each alias counts as much as what it stands for"));
            }
        };
        self.nodes.push(Node { kind, span, parent: None });
        Ok(id)
    }

    /// The span of a node, to be changed once its end is known.
    pub fn span_mut(&mut self, node: NodeId) -> Option<&mut Span> {
        self.nodes.get_mut(node.0 as usize).map(|node| &mut node.span)
    }

    /// Where a node stands.
    pub fn span(&self, node: NodeId) -> Span {
        self.nodes.get(node.0 as usize).map_or(Span::default(), |node| node.span)
    }

    /// What a node is.
    pub fn kind(&self, node: NodeId) -> &Kind {
        self.nodes.get(node.0 as usize).map_or(&Kind::Broken, |node| &node.kind)
    }

    /// Puts a list's items in place.
    pub fn finish_list(&mut self, list: NodeId, items: Vec<NodeId>) {
        for (index, item) in items.iter().enumerate() {
            self.adopt(list, index, *item);
        }
        self.set(list, Kind::List(items));
    }

    /// Puts a mapping's entries in place; a key that comes twice is told, and only its first value kept. `merged` are
    /// entries that give way to those of the same key, earlier ones to none.
    pub fn finish_map(&mut self, map: NodeId, entries: Vec<Entry>, merged: Vec<Entry>) {
        let mut first: HashMap<Arc<str>, Span> = HashMap::with_capacity(entries.len());
        let mut kept = Vec::with_capacity(entries.len());
        for entry in entries {
            if let Some(before) = first.get(&entry.key) {
                let before = here(*before);
                self.problems.add_lazily((entry.span, "twice"), || {
                    Diagnostic::new(format!("the key `{}` is there twice", shown_short(&entry.key, 40)))
                        .at(Some(here(entry.span)))
                        .label("keep one of the two")
                        .note("the first one is", Some(before))
                });
                continue;
            }
            first.insert(Arc::clone(&entry.key), entry.span);
            kept.push(entry);
        }
        for entry in merged {
            if !first.contains_key(&entry.key) {
                first.insert(Arc::clone(&entry.key), entry.span);
                kept.push(entry);
            }
        }
        for (index, entry) in kept.iter().enumerate() {
            self.adopt(map, index, entry.value);
        }
        self.set(map, Kind::Map(kept));
    }

    /// A copy of a finished node and all below it; `depth` is how deep the copy will lie.
    pub fn copy(&mut self, node: NodeId, depth: usize, alias: Span) -> Result<NodeId, Diagnostic> {
        if depth > MAX_DEPTH {
            return Err(too_deep(alias));
        }
        let span = self.span(node);
        let kind = self.kind(node).clone();
        let copy = self.add(Kind::Null, span).map_err(|problem| problem.at(Some(here(alias))))?;
        match kind {
            Kind::List(items) => {
                let mut copies = Vec::with_capacity(items.len());
                for item in items {
                    copies.push(self.copy(item, depth + 1, alias)?);
                }
                self.finish_list(copy, copies);
            }
            Kind::Map(entries) => {
                let mut copies = Vec::with_capacity(entries.len());
                for entry in entries {
                    let value = self.copy(entry.value, depth + 1, alias)?;
                    copies.push(Entry { value, ..entry });
                }
                self.finish_map(copy, copies, Vec::new());
            }
            scalar => self.set(copy, scalar),
        }
        Ok(copy)
    }

    /// The tree, and what was wrong with it.
    pub fn finish(self) -> (Tree, Problems) {
        (Tree { nodes: self.nodes }, self.problems)
    }

    fn set(&mut self, node: NodeId, kind: Kind) {
        if let Some(node) = self.nodes.get_mut(node.0 as usize) {
            node.kind = kind;
        }
    }

    fn adopt(&mut self, parent: NodeId, index: usize, child: NodeId) {
        let index = u32::try_from(index).unwrap_or(u32::MAX);
        if let Some(child) = self.nodes.get_mut(child.0 as usize) {
            child.parent = Some((parent, index));
        }
    }
}

/// A place that has no path yet, because the tree is still being built.
pub fn here(span: Span) -> Place {
    Place { span, ..Place::default() }
}

/// The problem of a value that lies too deep.
pub fn too_deep(span: Span) -> Diagnostic {
    Diagnostic::new(format!("the document is nested more than {MAX_DEPTH} deep"))
        .at(Some(here(span)))
        .label("this lies too deep")
}
