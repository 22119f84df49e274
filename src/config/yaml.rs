//! From YAML events to the located tree.
//!
//! Owns what YAML has and JSON has not: anchors and aliases (expanded by copying, within the bounds), merge keys, tags,
//! several documents. Knows nothing of what the document is about.

use std::collections::HashMap;
use std::sync::Arc;

use granit_parser::{Event, Options, Parser, ScalarStyle, StructureStyle, Tag};

use super::builder::{Builder, here, too_deep};
use super::scalar::resolve;
use super::tree::{Entry, Kind, MAX_DEPTH};

use super::yaml_errors::explain;
use crate::spec::text::shown_short;
use crate::spec::{Diagnostic, NodeId, Span};

/// Reads one document into `builder`. What can be told and passed over is told there; an error is the end of it.
pub(super) fn read(text: &str, builder: &mut Builder) -> Result<(), Diagnostic> {
    let mut options = Options::default();
    options.emit_unresolved_aliases = true;
    let mut reader = Reader { text, builder, open: Vec::new(), anchors: HashMap::new(), documents: 0 };
    for event in Parser::new_from_str_with_options(text, options) {
        match event {
            Ok((event, span)) => {
                let tag = span.tag_span().and_then(|tag| tag.byte_range()).map(Span::new);
                reader.take(event, Span::new(span.byte_range().unwrap_or_default()), tag)?;
            }
            Err(error) => {
                let at = error.marker().byte_offset().unwrap_or(text.len());
                return Err(explain(text, error.kind(), at, reader.open_bracket()));
            }
        }
    }
    if reader.documents == 0 {
        builder.add(Kind::Null, Span::default())?;
    }
    Ok(())
}

/// A list or mapping that has begun and not ended.
struct Open {
    node: NodeId,
    anchor: usize,
    flow: bool,
    inside: Inside,
}

enum Inside {
    List(Vec<NodeId>),
    Map { entries: Vec<Entry>, merged: Vec<NodeId>, key: Option<Key> },
}

struct Key {
    text: Arc<str>,
    span: Span,
    merges: bool,
}

struct Reader<'t, 'b> {
    text: &'t str,
    builder: &'b mut Builder,
    open: Vec<Open>,
    /// None: not finished yet, so that an alias to it would hold itself.
    anchors: HashMap<usize, Option<NodeId>>,
    documents: usize,
}

impl Reader<'_, '_> {
    fn take(&mut self, event: Event<'_>, span: Span, tag_span: Option<Span>) -> Result<(), Diagnostic> {
        match event {
            Event::DocumentStart(..) => {
                self.documents += 1;
                if self.documents > 1 {
                    return Err(Diagnostic::new("a second document begins here")
                        .at(Some(here(span)))
                        .label("keep one document in a file"));
                }
            }
            Event::Scalar(text, style, anchor, tag) => {
                self.scalar(&text, style, anchor, tag.as_deref().zip(tag_span), span)?;
            }
            Event::SequenceStart(style, anchor, tag) => {
                let node = self.begin(Inside::List(Vec::new()), style, anchor, span)?;
                self.check_tag(node, tag.as_deref().zip(tag_span), "seq");
            }
            Event::MappingStart(style, anchor, tag) => {
                let inside = Inside::Map { entries: Vec::new(), merged: Vec::new(), key: None };
                let node = self.begin(inside, style, anchor, span)?;
                self.check_tag(node, tag.as_deref().zip(tag_span), "map");
            }
            Event::SequenceEnd | Event::MappingEnd => self.end(span)?,
            Event::Alias(anchor) => self.alias(anchor, span)?,
            Event::UnresolvedAlias(name) => {
                let name = shown_short(&name, 40);
                self.broken(
                    Diagnostic::new(format!("the alias `*{name}` has no anchor"))
                        .at(Some(here(span)))
                        .label(format!("no `&{name}` stands before it")),
                    span,
                )?;
            }
            _ => {}
        }
        Ok(())
    }

    fn scalar(
        &mut self,
        text: &str,
        style: ScalarStyle,
        anchor: usize,
        tag: Option<(&Tag, Span)>,
        span: Span,
    ) -> Result<(), Diagnostic> {
        let plain = style == ScalarStyle::Plain;
        if let Some(Open { inside: Inside::Map { key: key @ None, .. }, .. }) = self.open.last_mut() {
            *key = Some(Key { text: Arc::from(text), span, merges: plain && text == "<<" });
            if anchor > 0 {
                self.anchors.insert(anchor, None);
            }
            return Ok(());
        }
        let kind = match tag.map(|(tag, at)| (tag, at, core(tag))) {
            None if plain => resolve(text),
            None | Some((_, _, Some("str"))) => Kind::Text(Arc::from(text)),
            Some((tag, at, core)) => {
                let kind = resolve(text);
                let fits = matches!(
                    (core, &kind),
                    (Some("int"), Kind::Int(_))
                        | (Some("float"), Kind::Float(_) | Kind::Int(_))
                        | (Some("bool"), Kind::Bool(_))
                        | (Some("null"), Kind::Null)
                );
                if fits {
                    kind
                } else {
                    let problem = unknown_tag(tag, at);
                    return self.broken(problem, span);
                }
            }
        };
        let node = self.builder.add(kind, span)?;
        self.name(anchor, node);
        self.place(node)
    }

    fn begin(
        &mut self,
        inside: Inside,
        style: StructureStyle,
        anchor: usize,
        span: Span,
    ) -> Result<NodeId, Diagnostic> {
        if self.open.len() >= MAX_DEPTH {
            return Err(too_deep(span));
        }
        if let Some(Open { inside: Inside::Map { key: None, .. }, .. }) = self.open.last() {
            return Err(Diagnostic::new("a list or mapping stands where a key belongs")
                .at(Some(here(span)))
                .label("a key is plain text"));
        }
        if anchor > 0 {
            self.anchors.insert(anchor, None);
        }
        let node = self.builder.add(Kind::Null, span)?;
        self.open.push(Open { node, anchor, flow: style == StructureStyle::Flow, inside });
        Ok(node)
    }

    fn end(&mut self, span: Span) -> Result<(), Diagnostic> {
        let Some(open) = self.open.pop() else { return Ok(()) };
        if open.flow
            && let Some(whole) = self.builder.span_mut(open.node)
        {
            whole.end = span.end;
        }
        match open.inside {
            Inside::List(items) => self.builder.finish_list(open.node, items),
            Inside::Map { entries, merged, .. } => {
                let merged = self.merge(merged);
                self.builder.finish_map(open.node, entries, merged);
            }
        }
        self.name(open.anchor, open.node);
        self.place(open.node)
    }

    /// The entries that `<<` brings in: of a mapping, or of each mapping of a list.
    fn merge(&mut self, sources: Vec<NodeId>) -> Vec<Entry> {
        let mut entries = Vec::new();
        for source in sources {
            match self.builder.kind(source).clone() {
                Kind::Map(more) => entries.extend(more),
                Kind::List(items)
                    if items.iter().all(|item| matches!(self.builder.kind(*item), Kind::Map(_))) =>
                {
                    for item in items {
                        if let Kind::Map(more) = self.builder.kind(item) {
                            entries.extend(more.iter().cloned());
                        }
                    }
                }
                Kind::Broken => {}
                _ => {
                    let place = here(self.builder.span(source));
                    self.builder.note(
                        source,
                        Diagnostic::new("`<<` merges mappings only")
                            .at(Some(place))
                            .label("this is no mapping, nor a list of mappings"),
                    );
                }
            }
        }
        entries
    }

    fn alias(&mut self, anchor: usize, span: Span) -> Result<(), Diagnostic> {
        if let Some(Open { inside: Inside::Map { key: None, .. }, .. }) = self.open.last() {
            return Err(Diagnostic::new("an alias stands where a key belongs")
                .at(Some(here(span)))
                .label("write the key itself"));
        }
        match self.anchors.get(&anchor).copied().flatten() {
            Some(node) => {
                let copy = self.builder.copy(node, self.open.len() + 1, span)?;
                self.place(copy)
            }
            None => self.broken(
                Diagnostic::new(format!("the alias `{}` stands for itself", self.quote(span)))
                    .at(Some(here(span)))
                    .label("it lies inside its own anchor"),
                span,
            ),
        }
    }

    /// Puts a finished node where the document has come to.
    fn place(&mut self, node: NodeId) -> Result<(), Diagnostic> {
        match self.open.last_mut().map(|open| &mut open.inside) {
            None => {}
            Some(Inside::List(items)) => items.push(node),
            Some(Inside::Map { entries, merged, key }) => match key.take() {
                Some(Key { merges: true, .. }) => merged.push(node),
                Some(Key { text, span, .. }) => entries.push(Entry { key: text, span, value: node }),
                None => {
                    return Err(
                        Diagnostic::new("a key must be plain text").at(Some(here(self.builder.span(node))))
                    );
                }
            },
        }
        Ok(())
    }

    fn name(&mut self, anchor: usize, node: NodeId) {
        if anchor > 0 {
            self.anchors.insert(anchor, Some(node));
        }
    }

    fn broken(&mut self, problem: Diagnostic, span: Span) -> Result<(), Diagnostic> {
        if let Some(Open { inside: Inside::Map { key: None, .. }, .. }) = self.open.last() {
            return Err(problem);
        }
        let node = self.builder.add(Kind::Broken, span)?;
        self.builder.note(node, problem);
        self.place(node)
    }

    fn check_tag(&mut self, node: NodeId, tag: Option<(&Tag, Span)>, fitting: &str) {
        if let Some((tag, at)) = tag.filter(|(tag, _)| core(tag) != Some(fitting)) {
            self.builder.note(node, unknown_tag(tag, at));
        }
    }

    fn open_bracket(&self) -> Option<Span> {
        self.open.iter().rev().find(|open| open.flow).map(|open| self.builder.span(open.node))
    }

    fn quote(&self, span: Span) -> String {
        shown_short(self.text.get(span.range()).unwrap_or_default(), 40)
    }
}

/// The word of a tag of YAML's own; `!` alone means text.
fn core(tag: &Tag) -> Option<&str> {
    tag.core_suffix().or_else(|| (tag.handle().is_empty() && tag.suffix() == "!").then_some("str"))
}

fn unknown_tag(tag: &Tag, span: Span) -> Diagnostic {
    let tag = tag.original();
    // What was meant as "not equal" is no tag of anybody's.
    let label = if tag.starts_with("!=") { "put all of it in quotes" } else { "take the tag away" };
    Diagnostic::new(format!("the tag `{}` has no meaning here", shown_short(&tag, 40)))
        .at(Some(here(span)))
        .label(label)
}
