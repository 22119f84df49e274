//! `${VAR}`, `${VAR:-default}`, `${VAR:?why}` and `$$` in the values of a document.
//!
//! Done on the tree, never on the text, so that a value can break out of nothing. What a variable holds never appears
//! in a message.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use super::tree::{Kind, MAX_TEXT, Spot, Tree};
use crate::spec::text::shown_short;
use crate::spec::{Diagnostic, NodeId, Problems};

/// Where variables come from.
pub type Env<'a> = &'a dyn Fn(&str) -> Option<String>;

/// Puts values in place of variables everywhere but in keys and below top-level `x-…` keys.
pub(super) fn substitute(tree: &mut Tree, env: Env<'_>, problems: &mut Problems) {
    let mut todo = vec![tree.root()];
    let mut budget = MAX_TEXT;
    // Aliases share their text: each text is looked at once, however often it stands in the tree.
    let mut known: HashMap<usize, Option<Kind>> = HashMap::new();
    while let Some(node) = todo.pop() {
        match tree.kind(node) {
            Kind::List(items) => todo.extend(items),
            Kind::Map(entries) => {
                let ignored = |key: &str| node == tree.root() && key.starts_with("x-");
                todo.extend(entries.iter().filter(|entry| !ignored(&entry.key)).map(|entry| entry.value));
            }
            Kind::Text(text) => {
                let text = Arc::clone(text);
                let kind = known.entry(text.as_ptr() as usize).or_insert_with(|| {
                    if !text.contains('$') {
                        return None;
                    }
                    Some(expand(&text, env, &mut budget).unwrap_or_else(|trouble| {
                        problems.add(trouble.told(tree, node));
                        Kind::Broken
                    }))
                });
                if let Some(kind) = kind {
                    tree.replace(node, kind.clone());
                }
            }
            _ => {}
        }
    }
}

/// A text as a file has to say it, for it to be taken as it is.
pub fn literal(text: &str) -> Cow<'_, str> {
    if text.contains("$$") || text.contains("${") { text.replace('$', "$$").into() } else { text.into() }
}

#[derive(Debug, PartialEq)]
enum Trouble {
    Unset(String),
    Required(String, String),
    Unclosed,
    BadName(String),
    BadForm(String),
    TooMuch,
}

impl Trouble {
    fn told(self, tree: &Tree, node: NodeId) -> Diagnostic {
        let (title, label, help) = match self {
            Trouble::Unset(name) => (
                format!("the variable {name} is not set"),
                "needed here".to_owned(),
                Some(format!("set it, or give a default: ${{{name}:-default}}")),
            ),
            Trouble::Required(name, why) if why.is_empty() => {
                (format!("the variable {name} is not set"), "needed here".to_owned(), None)
            }
            Trouble::Required(name, why) => (format!("the variable {name} is not set"), why, None),
            Trouble::Unclosed => {
                ("`${` without `}`".to_owned(), "write ${NAME}, or $$ for a dollar sign".to_owned(), None)
            }
            Trouble::BadName(name) => (
                format!("`{name}` is no name of a variable"),
                "a name is made of letters, digits and _".to_owned(),
                Some("write ${NAME}, ${NAME:-default} or ${NAME:?why}; $$ for a dollar sign".to_owned()),
            ),
            Trouble::BadForm(name) => (
                format!("what follows the variable {name} is not understood"),
                "write ${NAME}, ${NAME:-default} or ${NAME:?why}".to_owned(),
                None,
            ),
            Trouble::TooMuch => (
                "the variables make the document larger than 1 MiB".to_owned(),
                "with what this stands for".to_owned(),
                None,
            ),
        };
        let problem = Diagnostic::new(title).at(Some(tree.place(Spot::Value(node)))).label(label);
        Diagnostic { help, ..problem }
    }
}

/// A text with its variables replaced. One variable and nothing else becomes [`Kind::Substituted`].
fn expand(text: &str, env: Env<'_>, budget: &mut usize) -> Result<Kind, Trouble> {
    let mut out = String::new();
    let mut rest = text;
    while let Some(dollar) = rest.find('$') {
        out.push_str(rest.get(..dollar).unwrap_or_default());
        let after = rest.get(dollar + 1..).unwrap_or_default();
        if let Some(after) = after.strip_prefix('$') {
            out.push('$');
            rest = after;
        } else if let Some(inner) = after.strip_prefix('{') {
            let (inside, after) = inner.split_once('}').ok_or(Trouble::Unclosed)?;
            let value = variable(inside, env)?;
            *budget = budget.checked_sub(value.len()).ok_or(Trouble::TooMuch)?;
            if out.is_empty() && dollar == 0 && rest.len() == text.len() && after.is_empty() {
                return Ok(Kind::Substituted(Arc::from(value)));
            }
            out.push_str(&value);
            rest = after;
        } else {
            out.push('$');
            rest = after;
        }
    }
    out.push_str(rest);
    Ok(Kind::Text(Arc::from(out)))
}

/// What stands between `${` and `}`.
fn variable(inside: &str, env: Env<'_>) -> Result<String, Trouble> {
    let end = inside.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(inside.len());
    let (name, rest) = inside.split_at(end);
    if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) {
        return Err(Trouble::BadName(shown_short(inside, 20)));
    }
    let value = env(name);
    if rest.is_empty() {
        return value.ok_or_else(|| Trouble::Unset(name.to_owned()));
    }
    // As in a shell, the forms with a colon take an empty variable for one that is not set.
    let value = value.filter(|value| !value.is_empty());
    if let Some(default) = rest.strip_prefix(":-").filter(|default| !default.contains("${")) {
        Ok(value.unwrap_or_else(|| default.to_owned()))
    } else if let Some(why) = rest.strip_prefix(":?") {
        value.ok_or_else(|| Trouble::Required(name.to_owned(), shown_short(why, 80)))
    } else {
        Err(Trouble::BadForm(name.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expanded(text: &str) -> Result<Kind, Trouble> {
        let env = |name: &str| match name {
            "HOST" => Some("db.internal".to_owned()),
            "EMPTY" => Some(String::new()),
            "TRICK" => Some("${HOST} $$".to_owned()),
            _ => None,
        };
        expand(text, &env, &mut 100)
    }

    fn text(text: &str) -> Kind {
        Kind::Text(Arc::from(text))
    }

    fn alone(text: &str) -> Kind {
        Kind::Substituted(Arc::from(text))
    }

    #[test]
    fn variables_are_replaced_once() {
        assert_eq!(expanded("${HOST}:5432"), Ok(text("db.internal:5432")));
        assert_eq!(expanded("${TRICK}"), Ok(alone("${HOST} $$")));
        assert_eq!(expanded("$${HOST} costs 5$ or $$5"), Ok(text("${HOST} costs 5$ or $5")));
        assert_eq!(expanded("${EMPTY}"), Ok(alone("")));
        assert_eq!(expanded("${EMPTY}${HOST}"), Ok(text("db.internal")));
        assert_eq!(expanded("$$${HOST}"), Ok(text("$db.internal")));
    }

    #[test]
    fn what_is_written_as_literal_is_taken_as_it_was() {
        for costs in ["5$", "$5 or 5$ and $", "db"] {
            assert_eq!(literal(costs), costs);
        }
        assert_eq!(literal("a ${A}b"), "a $${A}b");
        proptest::proptest!(|(was in "[a${}:$]{0,12}")| {
            assert_eq!(expanded(&literal(&was)), Ok(text(&was)));
        });
    }

    #[test]
    fn defaults_stand_in() {
        assert_eq!(expanded("${PORT:-8080}"), Ok(alone("8080")));
        assert_eq!(expanded("${EMPTY:-x}"), Ok(alone("x")));
        assert_eq!(expanded("${HOST:-x}"), Ok(alone("db.internal")));
        assert_eq!(expanded("${PORT:-}"), Ok(alone("")));
    }

    #[test]
    fn what_cannot_be_replaced_is_told() {
        assert_eq!(expanded("a${PORT}"), Err(Trouble::Unset("PORT".into())));
        assert_eq!(expanded("${PORT:?the port}"), Err(Trouble::Required("PORT".into(), "the port".into())));
        assert_eq!(expanded("${HOST"), Err(Trouble::Unclosed));
        assert_eq!(expanded("${}"), Err(Trouble::BadName("".into())));
        assert_eq!(expanded("${1A}"), Err(Trouble::BadName("1A".into())));
        assert_eq!(expanded("${HOST:+x}"), Err(Trouble::BadForm("HOST".into())));
        assert_eq!(expanded("${A:-${HOST}}"), Err(Trouble::BadForm("A".into())));
        assert_eq!(expanded(&"${HOST} ".repeat(100)), Err(Trouble::TooMuch));
    }
}
