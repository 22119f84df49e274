//! One thing that is wrong with a document, and all of them together.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};

use super::Place;

/// One thing that is wrong: what, where, and what to write instead.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Diagnostic {
    /// What is wrong, in a sentence that also stands alone on a line.
    pub title: String,
    /// Where. None: the document as a whole, or what it is kept in.
    pub place: Option<Box<Place>>,
    /// What stands under the value, beside the caret.
    pub label: String,
    /// Other places that have to do with it.
    pub notes: Vec<Note>,
    /// What is allowed, or what to do.
    pub help: Option<String>,
    /// Whether it is fine by itself, and only what it asks for has been given to another already.
    pub taken: bool,
}

/// Another place that has to do with a problem.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// What is there, as words that "at FILE:LINE:COLUMN" can follow.
    pub text: String,
    /// Where.
    pub place: Place,
}

impl Diagnostic {
    /// A problem that has no place yet.
    pub fn new(title: impl Into<String>) -> Diagnostic {
        Diagnostic { title: title.into(), ..Diagnostic::default() }
    }

    /// Says where it is.
    #[must_use]
    pub fn at(mut self, place: Option<Place>) -> Diagnostic {
        self.place = place.map(Box::new);
        self
    }

    /// Says what stands beside the caret.
    #[must_use]
    pub fn label(mut self, label: impl Into<String>) -> Diagnostic {
        self.label = label.into();
        self
    }

    /// Names another place, if there is one.
    #[must_use]
    pub fn note(mut self, text: impl Into<String>, place: Option<Place>) -> Diagnostic {
        self.notes.extend(place.map(|place| Note { text: text.into(), place }));
        self
    }

    /// Says that what it asks for has been given to another already.
    #[must_use]
    pub fn taken(mut self) -> Diagnostic {
        self.taken = true;
        self
    }

    /// Says what is allowed, or what to do.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Diagnostic {
        self.help = Some(help.into());
        self
    }
}

/// Everything that is wrong with one document, each thing once.
///
/// A hostile document can hold a hundred thousand errors: beyond the first thousand they are only counted.
#[derive(Debug, Default)]
pub struct Problems {
    kept: Vec<Diagnostic>,
    seen: HashSet<u64>,
}

impl Problems {
    /// How many are kept word for word.
    const KEPT: usize = 1000;

    /// Takes note of a problem, unless it was told before.
    pub fn add(&mut self, problem: Diagnostic) {
        let span = problem.place.as_ref().map(|place| place.span);
        if self.first_time(&(span, &problem.title)) && self.kept.len() < Self::KEPT {
            self.kept.push(problem);
        }
    }

    /// As [`add`](Self::add), but the words are made only if they are kept; `key` tells one problem from another.
    pub fn add_lazily(&mut self, key: impl Hash, problem: impl FnOnce() -> Diagnostic) {
        if self.first_time(&key) && self.kept.len() < Self::KEPT {
            self.kept.push(problem());
        }
    }

    /// Whether nothing was wrong.
    pub fn is_empty(&self) -> bool {
        self.seen.is_empty()
    }

    /// How many there are in all.
    pub fn total(&self) -> usize {
        self.seen.len()
    }

    /// The kept ones in the order of the document.
    pub fn into_sorted(mut self) -> Vec<Diagnostic> {
        self.kept.sort_by_key(|problem| problem.place.as_ref().map(|place| place.span.start));
        self.kept
    }

    fn first_time(&mut self, key: &impl Hash) -> bool {
        let mut hasher = DefaultHasher::new();
        key.hash(&mut hasher);
        self.seen.insert(hasher.finish())
    }
}
