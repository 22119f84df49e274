//! What is said of a key that nobody knows.

use super::tree::Entry;
use crate::spec::suggest::nearest;
use crate::spec::text::shown_short;
use crate::spec::{Diagnostic, Place};

/// The problem of an unknown key: with the key that was probably meant, unless that one is there already.
pub(super) fn unknown_key(
    entry: &Entry,
    beside: &[Entry],
    known: &[&'static str],
    place: Place,
) -> Diagnostic {
    let near = nearest(&entry.key, known.iter().copied());
    let label = match near {
        Some(near) if beside.iter().any(|other| &*other.key == near) => {
            format!("`{near}` is there already; take this one away")
        }
        Some(near) => format!("did you mean `{near}`?"),
        None => "nobody knows this key".to_owned(),
    };
    // Types that share a mapping may each know the same key.
    let mut each: Vec<&str> = Vec::new();
    for key in known {
        if !each.contains(key) {
            each.push(key);
        }
    }
    Diagnostic::new(format!("unknown key `{}`", shown_short(&entry.key, 40)))
        .at(Some(place))
        .label(label)
        .help(format!("keys here are {}", each.join(", ")))
}
