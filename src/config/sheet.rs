//! A text as a tree, with everything that is wrong with it: what a configuration, a body and a scenario have in common.
//!
//! It knows how a text is read, and where in it something stands; what the text is about is for others to know.

use std::path::Path;

use serde::de::DeserializeOwned;

use super::builder::Builder;
use super::de::Reader;
use super::substitute::{Env, substitute};
use super::tree::{Kind, Spot, Tree};
use super::{Refused, bytes, file, json, yaml};
use crate::spec::report::Report;
use crate::spec::source::Source;
use crate::spec::suggest::nearest;
use crate::spec::{Diagnostic, NodeId, Place, Problems, Span};

/// What makes a tree of a text.
pub(super) type Language = fn(&str, &mut Builder) -> Result<(), Diagnostic>;

/// A text that was read, the tree that came of it, and what is wrong with it so far.
#[derive(Debug)]
pub(crate) struct Sheet {
    pub(super) tree: Tree,
    pub(super) source: Source,
    pub(super) problems: Problems,
}

impl Sheet {
    /// Nothing at all, under a name: for what no text says.
    pub(super) fn blank(name: &str) -> Sheet {
        Sheet::of(Source::new(name, ""))
    }

    fn of(source: Source) -> Sheet {
        Sheet { tree: Tree::new(Vec::new()), source, problems: Problems::default() }
    }

    /// Reads a file, once, at most 1 MiB of it, and never waiting for it.
    pub(crate) fn open(path: &Path, env: Env<'_>) -> Result<Sheet, Refused> {
        let name = path.display().to_string();
        let bytes = file::read(path).map_err(|problem| Refused::unread(&name, problem))?;
        Sheet::read(&bytes, &name, env).map_err(Refused::from)
    }

    /// Reads a text, YAML or JSON by its first character, and puts values in place of variables. An error means that
    /// it is no text, or neither YAML nor JSON.
    pub(crate) fn read(text: &[u8], name: &str, env: Env<'_>) -> Result<Sheet, Box<Report>> {
        let language = |text: &str| -> Language {
            if text.trim_start().starts_with(['{', '[']) { json::read } else { yaml::read }
        };
        match Sheet::build(text, name, language) {
            Ok(mut sheet) => {
                substitute(&mut sheet.tree, env, &mut sheet.problems);
                Ok(sheet)
            }
            Err((mut sheet, problem)) => {
                sheet.note(problem);
                Err(Box::new(sheet.into_report()))
            }
        }
    }

    /// Makes a tree of a text and leaves its variables as they are. An error is what was seen until then, and the
    /// problem that ended it.
    pub(super) fn build(
        text: &[u8],
        name: &str,
        language: impl FnOnce(&str) -> Language,
    ) -> Result<Sheet, (Box<Sheet>, Diagnostic)> {
        let mut source = match bytes::decode(text, name) {
            Ok(source) => source,
            Err(refused) => {
                let (source, problem) = *refused;
                return Err((Box::new(Sheet::of(source)), problem));
            }
        };
        let mut builder = Builder::default();
        let read = language(source.text())(source.text(), &mut builder);
        let (tree, problems) = builder.finish();
        hide_secrets(&mut source, read.is_ok().then_some(&tree));
        let sheet = Sheet { tree, source, problems };
        match read {
            Ok(()) => Ok(sheet),
            Err(problem) => Err((Box::new(sheet), problem)),
        }
    }

    /// What the user calls it; not yet escaped.
    pub(crate) fn name(&self) -> &str {
        self.source.name()
    }

    /// The outermost value.
    pub(crate) fn root(&self) -> NodeId {
        self.tree.root()
    }

    /// Reads a node as a `T` that notes its own problems; None: not even that can be, and it is noted.
    pub(crate) fn read_as<T: DeserializeOwned>(&mut self, node: NodeId) -> Option<T> {
        Reader::new(&self.tree, &self.source, &mut self.problems).read(node)
    }

    /// The same of the whole text as a file has it: keys `x-…` at the top are let be.
    pub(crate) fn read_file_as<T: DeserializeOwned>(&mut self) -> Option<T> {
        let root = self.root();
        Reader::new(&self.tree, &self.source, &mut self.problems).with_extensions().read(root)
    }

    /// Takes note of a problem.
    pub(crate) fn note(&mut self, problem: Diagnostic) {
        self.problems.add(problem);
    }

    /// Takes note of a problem with the key before a value; its words are made only if they are kept.
    pub(crate) fn note_key(&mut self, node: NodeId, problem: impl FnOnce() -> Diagnostic) {
        let place = || Some(self.tree.place(Spot::Key(node)));
        self.problems.add_lazily((node, "key"), || problem().at(place()));
    }

    /// Whether nothing was wrong until now.
    pub(crate) fn is_clean(&self) -> bool {
        self.problems.is_empty()
    }

    /// The place of a value, if it came from the text.
    pub(crate) fn place(&self, node: Option<NodeId>) -> Option<Place> {
        node.map(|node| self.tree.place(Spot::Value(node)))
    }

    /// The place of the key before a value, if there is one.
    pub(crate) fn key_place(&self, node: Option<NodeId>) -> Option<Place> {
        node.map(|node| self.tree.place(Spot::Key(node)))
    }

    /// The value of a key, if the node is a mapping that has it.
    pub(crate) fn get(&self, map: NodeId, key: &str) -> Option<NodeId> {
        self.tree.get(map, key)
    }

    /// Whether a mapping has a key that was probably meant as `key`.
    pub(crate) fn resembles(&self, map: NodeId, key: &str) -> bool {
        match self.tree.kind(map) {
            Kind::Map(entries) => entries.iter().any(|entry| nearest(&entry.key, [key]).is_some()),
            _ => false,
        }
    }

    /// Whether a node is a mapping of no keys.
    pub(crate) fn is_empty(&self, node: NodeId) -> bool {
        matches!(self.tree.kind(node), Kind::Map(entries) if entries.is_empty())
    }

    /// Whether the whole is nothing.
    pub(crate) fn is_nothing(&self) -> bool {
        matches!(self.tree.kind(self.root()), Kind::Null | Kind::Broken)
    }

    /// Whether the whole is a list.
    pub(crate) fn is_list(&self) -> bool {
        matches!(self.tree.kind(self.root()), Kind::List(_))
    }

    /// The value at a JSON pointer, or the last one on the way to it.
    pub(crate) fn find(&self, pointer: &str) -> NodeId {
        let mut here = self.root();
        for step in pointer.split('/').skip(1) {
            let next = match self.tree.kind(here) {
                Kind::Map(_) => self.tree.get(here, &step.replace("~1", "/").replace("~0", "~")),
                Kind::List(items) => step.parse::<usize>().ok().and_then(|at| items.get(at).copied()),
                _ => None,
            };
            match next {
                Some(next) => here = next,
                None => break,
            }
        }
        here
    }

    /// Line and column where a place begins, both from 1.
    pub(crate) fn line_column(&self, place: &Place) -> (usize, usize) {
        self.source.line_column(place.span.start as usize)
    }

    /// The problems with the text they speak of.
    pub(crate) fn into_report(self) -> Report {
        let total = self.problems.total();
        Report::new(self.source, self.problems.into_sorted(), total)
    }
}

/// Hides what looks like a password in a URL, so that no message repeats it. Without a tree, whatever stands between a
/// colon and an `@` on a line.
fn hide_secrets(source: &mut Source, tree: Option<&Tree>) {
    let text = source.text().to_owned();
    let mut hide = |span: Span| {
        let Some(part) = text.get(span.range()) else { return };
        let Some(at) = part.rfind('@') else { return };
        let from = part.find("//").map_or(0, |scheme| scheme + 2);
        if let Some(colon) = part.get(from..at).and_then(|user| user.find(':')) {
            let start = span.start as usize;
            source.hide(start + from + colon + 1..start + at);
        }
    };
    match tree {
        Some(tree) => {
            // What an alias stands for has the same span as its anchor: each is looked at once.
            let texts = tree.ids().filter(|node| matches!(tree.kind(*node), Kind::Text(_)));
            let mut spans: Vec<Span> = texts.map(|node| tree.span(node)).collect();
            spans.sort_unstable_by_key(|span| span.start);
            spans.dedup();
            spans.into_iter().for_each(hide);
        }
        None => {
            let mut start = 0;
            for word in text.split_inclusive([' ', '\t', '\n', '\r', '"', '\'', ',']) {
                if word.contains('@') {
                    hide(Span::new(start..start + word.len()));
                }
                start += word.len();
            }
        }
    }
}
