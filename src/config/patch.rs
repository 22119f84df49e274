//! JSON merge patches (RFC 7386): what is said is laid over what there is, and the whole is read anew.
//!
//! The shorthands of a route are not part of its full form. In a patch one of them replaces the fault that it stands
//! for, which keeps its place among the others.

use serde::Serialize;
use serde_json::{Map, Number, Value, json};

use super::body::BodyError;
use super::sheet::Sheet;
use super::tree::{Kind, Spot, Tree};
use crate::fault::{Delay, Distribution, Effect, Fault};
use crate::route::{RouteConfig, RouteSpec};
use crate::spec::{Diagnostic, NodeId, Period};

/// The shorthands in the order in which they come, each with the word of its fault, which is its name too.
const SHORTHANDS: [(&str, &[&str]); 3] =
    [("drop", &["dropRate"]), ("hang", &["timeoutMs"]), ("delay", &["latencyMs", "jitterMs"])];

/// A patch: an object, that it is JSON and names no key twice is known.
#[derive(Debug)]
pub(super) struct Patch(Map<String, Value>);

impl Patch {
    /// Takes a body that was read as a patch.
    pub(super) fn read(mut sheet: Sheet) -> Result<Patch, BodyError> {
        let root = sheet.root();
        sheet.tree.remove(root, "state");
        match value(&sheet.tree, root) {
            Value::Object(map) if sheet.is_clean() => Ok(Patch(map)),
            Value::Object(_) => Err(sheet.into()),
            _ => {
                let problem = Diagnostic::new("a patch must be an object");
                let place = sheet.tree.place(Spot::Value(root));
                sheet.note(problem.at(Some(place)).label("write the keys to change: {\"key\": value}"));
                Err(sheet.into())
            }
        }
    }

    /// The same for a fault: it cannot become another one beside what it is.
    pub(super) fn read_for(fault: &Fault, mut sheet: Sheet) -> Result<Patch, BodyError> {
        let (word, root) = (fault.effect.word(), sheet.root());
        if let Kind::Map(entries) = sheet.tree.kind(root) {
            let gone = sheet.tree.get(root, word).is_some_and(|node| *sheet.tree.kind(node) == Kind::Null);
            let speaks = |node: NodeId| *sheet.tree.kind(node) != Kind::Null;
            let other = entries
                .iter()
                .find(|entry| !gone && !["state", word].contains(&&*entry.key) && speaks(entry.value));
            if let Some(node) = other.map(|entry| entry.value) {
                let place = sheet.tree.place(Spot::Key(node));
                let problem = Diagnostic::new(format!("the fault `{}` is a {word}", fault.name))
                    .at(Some(place))
                    .label(format!("a patch of it has the one key `{word}`"))
                    .help("to make it another effect, put a whole fault in its place");
                sheet.note(problem);
                return Err(sheet.into());
            }
        }
        Patch::read(sheet)
    }

    /// The text of what there is with this laid over it.
    pub(super) fn over(&self, base: &impl Serialize) -> String {
        self.over_value(serde_json::to_value(base).unwrap_or_default())
    }

    /// The same for a route: what is said of an upstream that has a short form is laid over its long one.
    pub(super) fn over_route(&self, base: &RouteSpec) -> String {
        let mut base = serde_json::to_value(base).unwrap_or_default();
        let said = self.0.get("upstream").is_some_and(Value::is_object);
        if let Some(upstream) = base.get_mut("upstream").filter(|upstream| said && !upstream.is_object()) {
            let short = upstream.take();
            let endpoints = if short.is_array() { short } else { Value::Array(vec![short]) };
            *upstream = json!({"endpoints": endpoints});
        }
        self.over_value(base)
    }

    fn over_value(&self, mut base: Value) -> String {
        merge(&mut base, Value::Object(self.0.clone()));
        base.to_string()
    }

    fn has(&self, key: &str) -> bool {
        self.0.contains_key(key)
    }

    /// The words of the faults that it replaces.
    fn replaced(&self) -> impl Iterator<Item = &'static str> {
        let all = !self.has("faults");
        let spoken_of = |keys: &[&str]| keys.iter().any(|key| self.has(key));
        SHORTHANDS.into_iter().filter(move |(_, keys)| all && spoken_of(keys)).map(|(word, _)| word)
    }
}

/// The route without the faults that the patch replaces.
pub(super) fn without_replaced(route: &RouteConfig, patch: &Patch) -> RouteConfig {
    let mut rest = route.clone();
    rest.faults.retain(|fault| !patch.replaced().any(|word| stands_for(fault, word)));
    rest
}

/// Puts the faults that shorthands of the patch became where they belong: in the place of the old one, else after those
/// that shorthands of a file would have before it. What the patch does not say of a delay is as it was.
pub(super) fn settle(route: &mut RouteConfig, old: &RouteConfig, patch: &Patch) {
    let mut replacing = Vec::new();
    for word in patch.replaced() {
        let at = route.faults.iter().position(|fault| stands_for(fault, word));
        let new = at.map(|at| route.faults.remove(at));
        let before = old.faults.iter().find(|fault| stands_for(fault, word));
        replacing.extend(completed(new, before, patch).map(|fault| (word, fault)));
    }
    let place = |fault: &Fault| old.faults.iter().position(|other| other.name == fault.name);
    for (word, fault) in replacing {
        let at = match place(&fault) {
            Some(own) => route.faults.iter().position(|other| place(other).is_some_and(|at| at > own)),
            None => {
                let earlier: Vec<&str> =
                    SHORTHANDS.iter().map(|(word, _)| *word).take_while(|other| *other != word).collect();
                let is_earlier = |fault: &Fault| earlier.iter().any(|word| stands_for(fault, word));
                Some(route.faults.iter().rposition(is_earlier).map_or(0, |last| last + 1))
            }
        };
        route.faults.insert(at.unwrap_or(route.faults.len()), fault);
    }
}

/// A new delay of which only the one half was said has the other half from the old one.
fn completed(new: Option<Fault>, old: Option<&Fault>, patch: &Patch) -> Option<Fault> {
    let Some(Effect::Delay(old)) = old.map(|fault| &fault.effect) else { return new };
    let delay = match new.as_ref().map(|fault| &fault.effect) {
        Some(Effect::Delay(delay)) => Some(delay.clone()),
        _ => None,
    };
    let whole = match (patch.has("latencyMs"), patch.has("jitterMs"), delay) {
        (true, false, Some(new)) => Delay { delay: new.delay, ..old.clone() },
        (false, true, Some(new)) => Delay { jitter: new.jitter, ..old.clone() },
        (false, true, None) if !old.delay.is_zero() => {
            Delay { delay: old.delay, jitter: Period::default(), distribution: Distribution::default() }
        }
        _ => return new,
    };
    Some(Fault::new(Effect::Delay(whole)))
}

fn stands_for(fault: &Fault, word: &str) -> bool {
    *fault.name == *word && fault.effect.word() == word
}

/// RFC 7386: objects are merged, null takes away, anything else replaces.
fn merge(target: &mut Value, patch: Value) {
    let Value::Object(patch) = patch else {
        *target = patch;
        return;
    };
    if !target.is_object() {
        *target = Value::Object(Map::new());
    }
    let Value::Object(target) = target else { return };
    for (key, value) in patch {
        if value.is_null() {
            target.remove(&key);
        } else {
            merge(target.entry(key).or_insert(Value::Null), value);
        }
    }
}

/// A node with all below it. The tree is no deeper than a document may be.
fn value(tree: &Tree, node: NodeId) -> Value {
    match tree.kind(node) {
        Kind::Null | Kind::Broken => Value::Null,
        Kind::Bool(value) => Value::Bool(*value),
        Kind::Int(number) => match (u64::try_from(*number), i64::try_from(*number)) {
            (Ok(number), _) => number.into(),
            (_, Ok(number)) => number.into(),
            _ => float(*number as f64),
        },
        Kind::Float(number) => float(*number),
        Kind::Text(text) | Kind::Odd(text) | Kind::Substituted(text) => Value::String(text.to_string()),
        Kind::List(items) => items.iter().map(|item| value(tree, *item)).collect(),
        Kind::Map(entries) => {
            let entry = |entry: &super::tree::Entry| (entry.key.to_string(), value(tree, entry.value));
            Value::Object(entries.iter().map(entry).collect())
        }
    }
}

/// What is beyond all numbers becomes the last of them: no place takes either.
fn float(number: f64) -> Value {
    Number::from_f64(number.clamp(f64::MIN, f64::MAX)).map_or(Value::Null, Value::Number)
}
