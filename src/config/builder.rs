//! How a tree comes about: node by node, in the order of the text, within the bounds.
//!
//! What is wrong with the text but need not stop the reading (a key that comes twice, say) is kept here until the tree
//! is whole, because only then does every place have a path.

use std::collections::HashMap;
use std::sync::Arc;

use super::tree::{Entry, Kind, MAX_DEPTH, MAX_NODES, Node, Tree};
use crate::spec::text::shown_short;
use crate::spec::{Diagnostic, NodeId, Place, Problems, Span};

/// Builds a tree, in the order of the text, within the bounds.
#[derive(Debug, Default)]
pub(super) struct Builder {
    nodes: Vec<Node>,
    problems: Problems,
    /// Problems whose paths are known only when the tree is whole.
    noted: Vec<(NodeId, Diagnostic)>,
}

impl Builder {
    /// A new node that is not yet part of anything. The first one is the root.
    pub(super) fn add(&mut self, kind: Kind, span: Span) -> Result<NodeId, Diagnostic> {
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
    pub(super) fn span_mut(&mut self, node: NodeId) -> Option<&mut Span> {
        self.nodes.get_mut(node.0 as usize).map(|node| &mut node.span)
    }

    /// Where a node stands.
    pub(super) fn span(&self, node: NodeId) -> Span {
        self.nodes.get(node.0 as usize).map_or(Span::default(), |node| node.span)
    }

    /// What a node is.
    pub(super) fn kind(&self, node: NodeId) -> &Kind {
        self.nodes.get(node.0 as usize).map_or(&Kind::Broken, |node| &node.kind)
    }

    /// Puts a list's items in place.
    pub(super) fn finish_list(&mut self, list: NodeId, items: Vec<NodeId>) {
        for (index, item) in items.iter().enumerate() {
            self.adopt(list, index, *item);
        }
        self.set(list, Kind::List(items));
    }

    /// Puts a mapping's entries in place; a key that comes twice is told, and only its first value kept. `merged` are
    /// entries that give way to those of the same key, earlier ones to none.
    pub(super) fn finish_map(&mut self, map: NodeId, entries: Vec<Entry>, merged: Vec<Entry>) {
        let mut first: HashMap<Arc<str>, Span> = HashMap::with_capacity(entries.len());
        let mut kept = Vec::with_capacity(entries.len());
        for entry in entries {
            if let Some(before) = first.get(&entry.key) {
                let problem =
                    Diagnostic::new(format!("the key `{}` is there twice", shown_short(&entry.key, 40)))
                        .at(Some(here(entry.span)))
                        .label("keep one of the two")
                        .note("the first one is", Some(here(*before)));
                self.note(map, problem);
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
    pub(super) fn copy(&mut self, node: NodeId, depth: usize, alias: Span) -> Result<NodeId, Diagnostic> {
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

    /// Takes note of a problem that does not stop the reading. `node` is where it belongs.
    pub(super) fn note(&mut self, node: NodeId, problem: Diagnostic) {
        if self.noted.len() < 1000 {
            self.noted.push((node, problem));
        } else {
            self.problems.add(problem);
        }
    }

    /// The tree, and what was wrong with it.
    pub(super) fn finish(self) -> (Tree, Problems) {
        let tree = Tree::new(self.nodes);
        let mut problems = self.problems;
        for (node, mut problem) in self.noted {
            if let Some(place) = &mut problem.place {
                (place.path, place.pointer) = tree.path(node);
            }
            problems.add(problem);
        }
        (tree, problems)
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
pub(super) fn here(span: Span) -> Place {
    Place { span, ..Place::default() }
}

/// The problem of a value that lies too deep.
pub(super) fn too_deep(span: Span) -> Diagnostic {
    Diagnostic::new(format!("the document is nested more than {MAX_DEPTH} deep"))
        .at(Some(here(span)))
        .label("this lies too deep")
}
