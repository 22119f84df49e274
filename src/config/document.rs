//! The document as it was typed: every key optional, every value with its place, nothing yet held against another.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::admin::AdminSpec;
use super::builder::Builder;
use super::de::Reader;
use super::substitute::{Env, substitute};
use super::tree::{Kind, Tree};
use super::{bytes, json, yaml};
use crate::observe::LogSpec;
use crate::route::{Bind, RouteSpec};
use crate::spec::report::Report;
use crate::spec::source::Source;
use crate::spec::{Diagnostic, Field, Limit, Period, Problems, Span};

/// The configuration of chaos-proxy: local ports, where their connections go, and what goes wrong on the way.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default, expecting = "a mapping with routes, or a list of routes")]
#[schemars(deny_unknown_fields, extend("required" = ["routes"], "patternProperties" = {"^x-": true}))]
pub struct Document {
    /// The same seed gives the same chaos. Left out: drawn at start, and printed.
    #[serde(skip_serializing_if = "Field::is_absent")]
    pub seed: Field<u64>,
    /// The default address of every route; "*" is every address of both families. Left out: 127.0.0.1.
    #[serde(skip_serializing_if = "Field::is_absent")]
    pub bind: Field<Bind>,
    /// Where the control API listens: an address, off, or {listen, tokenFile, allowedHosts}. Left out: 127.0.0.1:8474.
    #[serde(skip_serializing_if = "Field::is_absent")]
    pub admin: Field<AdminSpec>,
    /// What is logged, and how.
    #[serde(skip_serializing_if = "Field::is_absent")]
    pub log: Field<LogSpec>,
    /// How long connections may go on after the signal to stop. Left out: 25s.
    #[serde(skip_serializing_if = "Field::is_absent")]
    pub drain_timeout: Field<Period>,
    /// How long to keep accepting after the signal to stop. Left out: 0s.
    #[serde(skip_serializing_if = "Field::is_absent")]
    pub pre_drain_delay: Field<Period>,
    /// While stopping, a connection silent this long is closed as finished. Left out: none.
    #[serde(skip_serializing_if = "Field::is_absent")]
    pub drain_idle: Field<Limit>,
    /// A statistics line per route this often. Left out: none.
    #[serde(skip_serializing_if = "Field::is_absent")]
    #[schemars(schema_with = "Period::positive_schema")]
    pub stats_interval: Field<Period>,
    /// The routes.
    #[serde(skip_serializing_if = "Field::is_absent")]
    pub routes: Field<Vec<Field<RouteSpec>>>,
}

/// A document as it was read: what was typed, with the text and the tree it was read from.
#[derive(Debug)]
pub struct Typed {
    pub(super) document: Document,
    pub(super) tree: Tree,
    pub(super) source: Source,
    pub(super) problems: Problems,
    /// Whether a list of no routes will do: for a daemon that can be given some later.
    pub(super) may_be_empty: bool,
}

impl Typed {
    /// The document. Parts that could not be read are [`Field::Bad`].
    pub fn document(&self) -> &Document {
        &self.document
    }

    /// Notes a problem at the value of a field, if it came from the text.
    pub(super) fn note(&mut self, problem: Diagnostic) {
        self.problems.add(problem);
    }

    /// The problems with the text they speak of.
    pub(super) fn into_report(self) -> Report {
        let total = self.problems.total();
        Report::new(self.source, self.problems.into_sorted(), total)
    }
}

impl Document {
    /// Reads a document, YAML or JSON by its first character, and notes everything that is wrong with it. An error
    /// means that not even that could be done: it is no text, or neither YAML nor JSON.
    pub fn read(text: &[u8], name: &str, env: Env<'_>) -> Result<Typed, Box<Report>> {
        let mut source = match bytes::decode(text, name) {
            Ok(source) => source,
            Err(refused) => {
                let (source, problem) = *refused;
                return Err(Box::new(Report::new(source, vec![problem], 1)));
            }
        };
        let mut builder = Builder::default();
        let is_json = source.text().trim_start().starts_with(['{', '[']);
        let read = if is_json { json::read } else { yaml::read };
        if let Err(problem) = read(source.text(), &mut builder) {
            let (_, mut problems) = builder.finish();
            problems.add(problem);
            hide_secrets(&mut source, None);
            let total = problems.total();
            return Err(Box::new(Report::new(source, problems.into_sorted(), total)));
        }
        let (mut tree, mut problems) = builder.finish();
        hide_secrets(&mut source, Some(&tree));
        substitute(&mut tree, env, &mut problems);
        let document = Document::from_tree(&tree, &source, &mut problems);
        Ok(Typed { document, tree, source, problems, may_be_empty: false })
    }

    pub(super) fn from_tree(tree: &Tree, source: &Source, problems: &mut Problems) -> Document {
        let reader = Reader::new(tree, source, problems).with_extensions();
        let root = tree.root();
        match tree.kind(root) {
            Kind::List(_) => {
                let routes = reader.read(root).unwrap_or_default();
                Document { routes, ..Document::default() }
            }
            Kind::Null | Kind::Broken => Document::default(),
            _ => match reader.read::<Field<Document>>(root) {
                Some(Field::Good { value, .. }) => value,
                _ => Document { routes: Field::Bad, ..Document::default() },
            },
        }
    }
}

/// Hides what looks like a password in a URL, so that no message repeats it. Without a tree, whatever stands between a
/// colon and an `@` on a line.
pub(super) fn hide_secrets(source: &mut Source, tree: Option<&Tree>) {
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
