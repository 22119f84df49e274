//! What goes wrong while a tree is read as a type, and how it is said.
//!
//! A type says what is wrong as words that follow the value ("is not within 0..1"), on a second line what to write.
//! serde's own errors say what was expected. Both are joined here with the key and with what stands in the *text*: never
//! with the value itself, which may have come from the environment.

use std::fmt;

use serde::de::{Expected, Unexpected};

use super::tree::{Kind, Spot, Tree};
use crate::spec::source::Source;
use crate::spec::suggest::nearest;
use crate::spec::text::shown_short;
use crate::spec::{Diagnostic, NodeId};

/// Why a node could not be read, and which.
#[derive(Debug)]
pub(super) struct Error {
    pub(super) what: What,
    pub(super) at: Option<Spot>,
}

#[derive(Debug)]
pub(super) enum What {
    /// Words that follow the value; after a line break, help.
    Predicate(String),
    /// What should have been there.
    Expected(String),
    /// A word that is not one of a list.
    UnknownWord { word: String, known: &'static [&'static str] },
    /// The same, of a list that has a name of its own.
    UnknownNamed { what: &'static str, word: String, known: &'static [&'static str] },
    /// A key that must be there.
    Missing(&'static str),
    /// Nothing to be said any more.
    Told,
}

impl Error {
    pub(super) fn new(what: What) -> Error {
        Error { what, at: None }
    }

    pub(super) fn told() -> Error {
        Error::new(What::Told)
    }

    /// Gives the error a place unless something inside was more exact.
    pub(super) fn at(mut self, spot: Spot) -> Error {
        self.at.get_or_insert(spot);
        self
    }

    /// The error as a problem of the document. None: it has been told.
    pub(super) fn told_of(self, tree: &Tree, source: &Source, root: NodeId) -> Option<Diagnostic> {
        let spot = self.at.unwrap_or(Spot::Value(root));
        let node = spot.node();
        let place = tree.place(spot);
        let key = tree.entry(node).map(|entry| shown_short(&entry.key, 40));
        let value = source.quote(tree.span(node), 40);
        let subject = match (&key, spot) {
            (Some(key), Spot::Value(_)) => format!("`{key}`"),
            (None, Spot::Value(node)) if node == tree.root() => "the document".to_owned(),
            _ if place.path.is_empty() => "this".to_owned(),
            _ => format!("`{}`", place.path),
        };
        let problem = match self.what {
            What::Told => return None,
            What::Predicate(words) => {
                let (words, help) = match words.split_once('\n') {
                    Some((words, help)) => (words.to_owned(), Some(help.to_owned())),
                    None => (words, None),
                };
                let scalar = !matches!(tree.kind(node), Kind::List(_) | Kind::Map(_)) && !value.is_empty();
                let title = match (&key, scalar) {
                    (Some(key), true) => format!("{key} {value} {words}"),
                    (Some(key), false) => format!("{key} {words}"),
                    (None, true) => format!("{value} {words}"),
                    (None, false) => format!("{subject} {words}"),
                };
                Diagnostic::new(title).label(help.unwrap_or_default())
            }
            What::Expected(what) => {
                let found = found(tree.kind(node), &value);
                Diagnostic::new(format!("{subject} must be {what}, not {found}"))
                    .label(advice(tree.kind(node), &what).unwrap_or_default())
            }
            What::UnknownWord { word, known } => {
                let subject = key.map_or_else(String::new, |key| format!("{key} "));
                let word = if matches!(tree.kind(node), Kind::Substituted(_)) { "" } else { &word };
                unknown(format!("{subject}{value} is not known"), word, known)
                    .help(format!("allowed are {}", known.join(", ")))
            }
            What::UnknownNamed { what, word, known } => {
                // A key is never substituted; a value may be, and is then called by what stands in the text.
                let shown = match spot {
                    Spot::Key(_) => shown_short(&word, 40),
                    Spot::Value(_) => value.trim_matches(['"', '\'']).to_owned(),
                };
                unknown(format!("unknown {what} `{shown}`"), &word, known)
                    .help(format!("{what}s are {}", known.join(", ")))
            }
            What::Missing(name) => {
                let inside = key
                    .filter(|_| !place.path.is_empty())
                    .map_or_else(String::new, |key| format!(" in `{key}`"));
                Diagnostic::new(format!("`{name}` is missing{inside}")).label(format!("needs `{name}`"))
            }
        };
        Some(problem.at(Some(place)))
    }
}

fn unknown(title: String, word: &str, known: &'static [&'static str]) -> Diagnostic {
    let label = nearest(word, known.iter().copied()).map(|near| format!("did you mean `{near}`?"));
    Diagnostic::new(title).label(label.unwrap_or_default())
}

/// What a node is, in a few words.
fn found(kind: &Kind, value: &str) -> String {
    match kind {
        Kind::Null => "nothing".to_owned(),
        Kind::Bool(_) => value.to_owned(),
        Kind::Int(_) | Kind::Float(_) => format!("the number {value}"),
        Kind::Odd(_) => format!("{value}, which is easily misread"),
        Kind::Text(_) | Kind::Broken if value.is_empty() => "an empty text".to_owned(),
        Kind::Text(_) | Kind::Broken => format!("the text {value}"),
        Kind::Substituted(_) => format!("what {value} stands for"),
        Kind::List(_) => "a list".to_owned(),
        Kind::Map(_) => "a mapping".to_owned(),
    }
}

/// What to do about the commonest slips.
fn advice(kind: &Kind, wanted: &str) -> Option<String> {
    let number = wanted.contains("number");
    match kind {
        Kind::Odd(_) if number => Some("write it in decimal".to_owned()),
        Kind::Odd(_) => Some("write it in decimal, or in quotes if it is text".to_owned()),
        Kind::Text(text) if number && text.parse::<f64>().is_ok() => Some("take the quotes away".to_owned()),
        Kind::Text(text) if wanted == BOOL => match text.to_ascii_lowercase().as_str() {
            "yes" | "on" | "true" => Some("write true".to_owned()),
            "no" | "off" | "false" => Some("write false".to_owned()),
            _ => None,
        },
        Kind::Int(_) | Kind::Float(_) | Kind::Bool(_) if wanted == TEXT => {
            Some("put it in quotes".to_owned())
        }
        Kind::Null if wanted == LIST => Some("list at least one item; each begins with `- `".to_owned()),
        Kind::Null => Some("write a value, or take the line away".to_owned()),
        Kind::Map(_) if wanted == LIST => Some("each item begins with `- `".to_owned()),
        _ => None,
    }
}

const BOOL: &str = "true or false";
const TEXT: &str = "text";
const LIST: &str = "a list";

/// serde's words for what it expected, in ours.
fn wanted(expected: &dyn Expected) -> String {
    let words = expected.to_string();
    match words.as_str() {
        "a boolean" => BOOL.to_owned(),
        "a string" | "string" => TEXT.to_owned(),
        "u8" | "u16" | "u32" | "u64" | "usize" => "a whole number, 0 or more".to_owned(),
        "i64" | "i32" => "a whole number".to_owned(),
        "f32" | "f64" => "a number".to_owned(),
        "a sequence" => LIST.to_owned(),
        _ => words,
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.what)
    }
}

impl std::error::Error for Error {}

impl serde::de::Error for Error {
    fn custom<T: fmt::Display>(words: T) -> Error {
        Error::new(What::Predicate(words.to_string()))
    }

    fn invalid_type(_: Unexpected<'_>, expected: &dyn Expected) -> Error {
        Error::new(What::Expected(wanted(expected)))
    }

    fn invalid_value(_: Unexpected<'_>, expected: &dyn Expected) -> Error {
        Error::new(What::Expected(wanted(expected)))
    }

    fn unknown_variant(word: &str, known: &'static [&'static str]) -> Error {
        Error::new(What::UnknownWord { word: word.to_owned(), known })
    }

    fn missing_field(name: &'static str) -> Error {
        Error::new(What::Missing(name))
    }

    fn duplicate_field(name: &'static str) -> Error {
        Error::custom(format!("has `{name}` twice"))
    }
}
