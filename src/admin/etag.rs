//! Entity tags: what somebody saw, so that two who edit the same do not undo each other.
//!
//! They are looked at last: what would be refused without them is refused for its own reason.

use hyper::header::{self, HeaderMap, HeaderName};
use serde::Serialize;

use crate::daemon::ControlError;

/// The tag of a configuration, or of a part of one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ETag(String);

/// What a caller says he has seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Seen {
    /// Whatever there is.
    Anything,
    /// One of these.
    Tags(Vec<String>),
}

impl ETag {
    /// Of what a value says as JSON.
    pub(super) fn of(value: &impl Serialize) -> ETag {
        // What is configured can always be written.
        let text = serde_json::to_vec(value).unwrap_or_default();
        ETag(format!("\"{:032x}\"", fnv(&text)))
    }

    /// As a header's value.
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

impl Seen {
    /// What `If-Match` says.
    pub(super) fn if_match(headers: &HeaderMap) -> Option<Seen> {
        Seen::read(headers, &header::IF_MATCH)
    }

    /// Whether this is what the caller has seen, or he did not say.
    pub(super) fn demand(seen: Option<&Seen>, now: impl FnOnce() -> ETag) -> Result<(), ControlError> {
        match seen {
            None | Some(Seen::Anything) => Ok(()),
            Some(Seen::Tags(tags)) => {
                let now = now();
                if tags.contains(&now.0) { Ok(()) } else { Err(ControlError::Precondition) }
            }
        }
    }

    /// Whether the caller has this already, by `If-None-Match`.
    pub(super) fn has(headers: &HeaderMap, tag: &ETag) -> bool {
        match Seen::read(headers, &header::IF_NONE_MATCH) {
            None => false,
            Some(Seen::Anything) => true,
            Some(Seen::Tags(tags)) => tags.iter().any(|seen| seen.trim_start_matches("W/") == tag.0),
        }
    }

    /// A comma-separated list. What is no tag equals none.
    fn read(headers: &HeaderMap, name: &HeaderName) -> Option<Seen> {
        let mut values = headers.get_all(name).iter().peekable();
        values.peek()?;
        let mut tags = Vec::new();
        for value in values {
            let text = String::from_utf8_lossy(value.as_bytes());
            tags.extend(text.split(',').map(|tag| tag.trim().to_owned()));
        }
        if tags.iter().any(|tag| tag == "*") { Some(Seen::Anything) } else { Some(Seen::Tags(tags)) }
    }
}

/// FNV-1a of 128 bits: the same on every run and every machine. It tells changes apart and keeps out nobody.
fn fnv(bytes: &[u8]) -> u128 {
    let mut hash: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
    for byte in bytes {
        hash ^= u128::from(*byte);
        hash = hash.wrapping_mul(0x0000_0000_0100_0000_0000_0000_0000_013b);
    }
    hash
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: HeaderName, values: &[&str]) -> HeaderMap {
        values.iter().map(|value| (name.clone(), value.parse().unwrap())).collect()
    }

    #[test]
    fn a_tag_is_strong_and_changes_with_what_it_is_of() {
        let tag = ETag::of(&"a");
        assert_eq!(tag, ETag::of(&"a"));
        assert_ne!(tag, ETag::of(&"b"));
        assert_eq!(tag.as_str().len(), 34);
        assert!(tag.as_str().starts_with('"') && tag.as_str().ends_with('"'));
        // The hash of nothing is the offset itself, of one byte the published value.
        assert_eq!(fnv(b""), 0x6c62272e07bb014262b821756295c58d);
        assert_eq!(fnv(b"a"), 0xd228cb696f1a8caf78912b704e4a8964);
    }

    #[test]
    fn if_match_is_a_list_or_a_star() {
        let tag = ETag::of(&1);
        let mine = tag.as_str();
        let weak = format!("W/{mine}");
        let list = format!("\"x\", {mine}");
        for (values, fine) in [
            (vec![], true),
            (vec!["*"], true),
            (vec![mine], true),
            (vec![list.as_str()], true),
            (vec!["\"x\"", mine], true),
            (vec!["\"x\""], false),
            (vec![weak.as_str()], false),
            (vec![""], false),
            (vec!["nonsense"], false),
        ] {
            let seen = Seen::if_match(&headers(header::IF_MATCH, &values));
            assert_eq!(Seen::demand(seen.as_ref(), || tag.clone()).is_ok(), fine, "{values:?}");
        }
    }

    #[test]
    fn if_none_match_also_takes_a_weak_tag() {
        let tag = ETag::of(&1);
        let weak = format!("W/{}", tag.as_str());
        for (values, has) in [
            (vec![], false),
            (vec!["*"], true),
            (vec![tag.as_str()], true),
            (vec![&weak], true),
            (vec!["\"x\""], false),
        ] {
            assert_eq!(Seen::has(&headers(header::IF_NONE_MATCH, &values), &tag), has, "{values:?}");
        }
    }
}
