//! The query of an address, held against what the endpoint knows. Nothing is ignored: a misspelt filter that is not
//! applied would be worse than an error.

use serde_json::{Value, json};

use super::problem::Problem;
use crate::spec::percent;
use crate::spec::suggest::nearest;
use crate::spec::text::shown_short;

/// One parameter.
#[derive(Clone, Copy, Debug)]
pub(super) struct Parameter {
    /// Its name.
    pub(super) name: &'static str,
    /// What it does.
    pub(super) what: &'static str,
    /// What it takes.
    pub(super) kind: Kind,
}

/// What a parameter takes.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kind {
    /// Any text.
    Text,
    /// A whole number within bounds.
    Whole {
        /// The least.
        min: u64,
        /// The most.
        max: u64,
    },
    /// One of these.
    Words(&'static [&'static str]),
    /// Where an event stream was left.
    EventId,
}

/// What was asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Query(Vec<(&'static str, String)>);

impl Query {
    /// Reads what stands after the question mark.
    pub(super) fn read(text: Option<&str>, known: &[Parameter]) -> Result<Query, Problem> {
        let mut query = Query::default();
        for part in text.unwrap_or_default().split('&').filter(|part| !part.is_empty()) {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            let (Some(name), Some(value)) = (percent::decode_form(name), percent::decode_form(value)) else {
                return Err(Problem::bad_request("the query is not percent-encoded UTF-8"));
            };
            let Some(parameter) = known.iter().find(|known| known.name == name) else {
                return Err(unknown(&name, known));
            };
            let name = parameter.name;
            if query.get(name).is_some() {
                return Err(Problem::bad_request(format!("`{name}` is given twice")));
            }
            if let Err(allowed) = parameter.kind.check(&value) {
                let value = shown_short(&value, 40);
                return Err(Problem::bad_request(format!("`{name}` cannot be `{value}`: write {allowed}")));
            }
            query.0.push((name, value));
        }
        Ok(query)
    }

    /// A parameter's value.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| *known == name).map(|(_, value)| value.as_str())
    }

    /// A parameter that is a whole number.
    pub(super) fn whole(&self, name: &str) -> Option<u64> {
        self.get(name)?.parse().ok()
    }
}

impl Kind {
    /// Whether a value can be; otherwise what can.
    fn check(self, value: &str) -> Result<(), String> {
        let fine = match self {
            Kind::Text => true,
            Kind::Whole { min, max } => whole(value).is_some_and(|number| (min..=max).contains(&number)),
            Kind::Words(words) => words.contains(&value),
            Kind::EventId => {
                value.split_once('-').is_some_and(|(start, n)| whole(start).and(whole(n)).is_some())
            }
        };
        if fine {
            return Ok(());
        }
        Err(match self {
            Kind::Text => "text".to_owned(),
            Kind::Whole { min, max: u64::MAX } => format!("a whole number, {min} or more"),
            Kind::Whole { min, max } => format!("a whole number within {min}..{max}"),
            Kind::Words(words) => words.join(" or "),
            Kind::EventId => "the id of an event, as in 1700000000000000-42".to_owned(),
        })
    }

    /// The same as a schema.
    pub(super) fn schema(self) -> Value {
        match self {
            Kind::Text => json!({"type": "string"}),
            Kind::Whole { min, max } => json!({"type": "integer", "minimum": min, "maximum": max}),
            Kind::Words(words) => json!({"type": "string", "enum": words}),
            Kind::EventId => json!({"type": "string", "pattern": "^[0-9]{1,19}-[0-9]{1,19}$"}),
        }
    }
}

/// Digits and nothing else.
fn whole(text: &str) -> Option<u64> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if digits { text.parse().ok() } else { None }
}

fn unknown(name: &str, known: &[Parameter]) -> Problem {
    let meant = nearest(name, known.iter().map(|known| known.name));
    let name = shown_short(name, 40);
    let names: Vec<_> = known.iter().map(|known| format!("`{}`", known.name)).collect();
    let advice = match (meant, names.as_slice()) {
        (Some(meant), _) => format!("did you mean `{meant}`?"),
        (None, []) => "nothing can be asked here".to_owned(),
        (None, names) => format!("known are {}", names.join(", ")),
    };
    Problem::bad_request(format!("the query holds an unknown parameter `{name}`: {advice}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: &[Parameter] = &[
        Parameter { name: "route", what: "", kind: Kind::Text },
        Parameter { name: "limit", what: "", kind: Kind::Whole { min: 1, max: 10_000 } },
        Parameter { name: "how", what: "", kind: Kind::Words(&["close", "reset"]) },
        Parameter { name: "after", what: "", kind: Kind::EventId },
    ];

    #[test]
    fn what_is_known_is_read() {
        let query =
            Query::read(Some("route=a%20b%2F%C3%BC+c&limit=10000&&how=reset&after=1-2"), KNOWN).unwrap();
        assert_eq!(query.get("route"), Some("a b/ü c"));
        assert_eq!(query.whole("limit"), Some(10_000));
        assert_eq!(query.get("how"), Some("reset"));
        assert_eq!(Query::read(None, KNOWN).unwrap(), Query::default());
        assert_eq!(Query::read(Some(""), KNOWN).unwrap(), Query::default());
        assert_eq!(Query::read(Some("route"), KNOWN).unwrap().get("route"), Some(""));
    }

    #[test]
    fn everything_else_is_refused_with_what_is_known() {
        for (text, words) in [
            ("rout=a", "did you mean `route`"),
            ("zzzzzzzz=a", "known are `route`, `limit`, `how`, `after`"),
            ("Route=a", "`Route`"),
            ("route=a&route=b", "twice"),
            ("limit=0", "within 1..10000"),
            ("limit=10001", "within 1..10000"),
            ("limit=", "within"),
            ("limit=%2B1", "within"),
            ("limit=1.5", "within"),
            ("limit=99999999999999999999", "within"),
            ("how=stop", "close or reset"),
            ("after=1", "the id of an event"),
            ("after=-", "the id of an event"),
            ("route=%zz", "percent-encoded"),
            ("route=%ff", "percent-encoded"),
            ("route=%", "percent-encoded"),
        ] {
            let problem = Query::read(Some(text), KNOWN).unwrap_err();
            assert_eq!(problem.status(), 400, "{text}");
            assert!(problem.detail().contains(words), "{text}: {}", problem.detail());
        }
        let none = Query::read(Some("x=1"), &[]).unwrap_err();
        assert!(none.detail().contains("nothing can be asked here"), "{none:?}");
    }
}
