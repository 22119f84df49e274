//! Bodies of control calls: the same objects as in a file, as JSON, literal, and held against what runs.
//!
//! They are read by the reader of files, so that a problem is said in the same words, with a pointer from the top of the
//! body. What a route or a fault carries under `state` when it is read from the daemon is passed over.

#[cfg(test)]
mod tests;

use super::builder::Builder;
use super::de::Reader;
use super::document::{Typed, hide_secrets};
use super::meaning::{self, MAX_FAULTS};
use super::patch::{self, Patch};
use super::tree::{Kind, Spot, Tree};
use super::{Config, Document, Refused, aim, bytes, json};
use crate::fault::{Fault, FaultSpec};
use crate::route::{RouteConfig, RouteSpec};
use crate::spec::report::Report;
use crate::spec::source::Source;
use crate::spec::{Diagnostic, Field, Name, NodeId};

/// Why a body was refused.
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    /// It is not JSON (or not UTF-8).
    #[error("{0}")]
    NotJson(Refused),
    /// A value cannot be.
    #[error("{0}")]
    Refused(Refused),
    /// The name or the port is taken by another route, or the name by another fault.
    #[error("{0}")]
    Conflict(Refused),
}

impl BodyError {
    /// Everything that is wrong with the body.
    pub fn refused(&self) -> &Refused {
        match self {
            BodyError::NotJson(refused) | BodyError::Refused(refused) | BodyError::Conflict(refused) => {
                refused
            }
        }
    }
}

impl From<Box<Report>> for BodyError {
    /// A conflict if nothing is wrong but that something is taken.
    fn from(report: Box<Report>) -> BodyError {
        let all_taken = report.problems().iter().all(|problem| problem.taken);
        let refused = Refused::from(report);
        if all_taken { BodyError::Conflict(refused) } else { BodyError::Refused(refused) }
    }
}

impl From<Typed> for BodyError {
    fn from(typed: Typed) -> BodyError {
        Box::new(typed.into_report()).into()
    }
}

/// Reads a whole configuration. It may have no routes.
pub fn config(text: &[u8]) -> Result<Config, BodyError> {
    let mut typed = read(text)?;
    let root = typed.tree.root();
    let routes = typed.tree.get(root, "routes").unwrap_or(root);
    for route in items(&typed.tree, routes) {
        pass_over_state(&mut typed.tree, route);
    }
    typed.document = Document::from_tree(&typed.tree, &typed.source, &mut typed.problems);
    // What is taken is taken by another part of the same body.
    typed.mean().map_err(BodyError::Refused)
}

/// Reads a route that is to stand among those of `among`, in place of `replacing` where that is given.
pub fn route(text: &[u8], among: &Config, replacing: Option<&str>) -> Result<RouteConfig, BodyError> {
    let mut typed = read(text)?;
    let root = typed.tree.root();
    pass_over_state(&mut typed.tree, root);
    let Some(mut spec) = read_as::<RouteSpec>(&mut typed) else {
        return Err(typed.into());
    };
    if let Some(old) = replacing {
        match &spec.name {
            Field::Absent => spec.name = Name::checked(&old.into()).into(),
            Field::Good { node, value } if **value != *old => note_renamed(&mut typed, *node, "route", old),
            Field::Good { .. } | Field::Bad => {}
        }
    }
    let others: Vec<&RouteConfig> =
        among.routes.iter().filter(|route| replacing != Some(&*route.name)).collect();
    Ok(meaning::route(spec, &others, among, typed)?)
}

/// A route with a JSON merge patch laid over it. A shorthand replaces the fault that it stands for.
pub fn patched_route(text: &[u8], current: &RouteConfig, among: &Config) -> Result<RouteConfig, BodyError> {
    let patch = Patch::read(read(text)?)?;
    let patched = patch.over_route(&RouteSpec::from(&patch::without_replaced(current, &patch)));
    let mut route = route(patched.as_bytes(), among, Some(&current.name))?;
    patch::settle(&mut route, current, &patch);
    Ok(route)
}

/// Reads a fault that is to stand on a route, in place of `replacing` where that is given.
pub fn fault(text: &[u8], on: &RouteConfig, replacing: Option<&str>) -> Result<Fault, BodyError> {
    let mut typed = read(text)?;
    let root = typed.tree.root();
    typed.tree.remove(root, "state");
    let Some(mut spec) = read_as::<FaultSpec>(&mut typed) else {
        return Err(typed.into());
    };
    let named = typed.tree.get(root, spec.effect.word()).and_then(|effect| typed.tree.get(effect, "name"));
    if let Some(old) = replacing {
        match &spec.name {
            None => spec.name = Some(Name::checked(&old.into())),
            Some(name) if **name != *old => note_renamed(&mut typed, named, "fault", old),
            Some(_) => {}
        }
    }
    let others: Vec<&Fault> = on.faults.iter().filter(|fault| replacing != Some(&*fault.name)).collect();
    let aims: Vec<_> = on.upstream.endpoints.iter().map(|target| (&target.endpoint, None)).collect();
    aim::check(&spec, Some(root), &aims, &mut typed);
    let is_taken = |name: &str| others.iter().any(|other| *other.name == *name);
    let fault = spec.meant(is_taken);
    if is_taken(&fault.name) {
        let label = if named.is_some() { "choose another name" } else { "give this one a `name`" };
        let problem = Diagnostic::new(format!("there is a fault `{}` already", fault.name)).label(label);
        note(&mut typed, named.unwrap_or(root), problem.taken());
    }
    if others.len() >= MAX_FAULTS {
        note(&mut typed, root, Diagnostic::new(format!("a route has at most {MAX_FAULTS} faults")));
    }
    if typed.problems.is_empty() { Ok(fault) } else { Err(typed.into()) }
}

/// A fault with a JSON merge patch laid over it.
pub fn patched_fault(text: &[u8], current: &Fault, on: &RouteConfig) -> Result<Fault, BodyError> {
    let patch = Patch::read_for(current, read(text)?)?;
    let patched = patch.over(&FaultSpec::from(current));
    fault(patched.as_bytes(), on, Some(&current.name))
}

/// A text as a tree of JSON, with nothing yet read from it.
fn read(text: &[u8]) -> Result<Typed, BodyError> {
    let not_json = |source: Source, problem: Diagnostic| {
        BodyError::NotJson(Refused::from(Box::new(Report::new(source, vec![problem], 1))))
    };
    let mut source = match bytes::decode(text, "body") {
        Ok(source) => source,
        Err(refused) => return Err(not_json(refused.0, refused.1)),
    };
    let mut builder = Builder::default();
    if let Err(problem) = json::read(source.text(), &mut builder) {
        hide_secrets(&mut source, None);
        // What a file is advised to do, to become YAML, is no way out here.
        let label = problem.label.replace(", or write YAML", "");
        return Err(not_json(source, Diagnostic { label, help: None, ..problem }));
    }
    let (mut tree, problems) = builder.finish();
    hide_secrets(&mut source, Some(&tree));
    let is_odd = |node: &NodeId| matches!(tree.kind(*node), Kind::Odd(_));
    if let Some(odd) = tree.ids().find(is_odd) {
        let problem = Diagnostic::new("this is not a number of JSON").at(Some(tree.place(Spot::Value(odd))));
        return Err(not_json(source, problem.label("write it in decimal")));
    }
    tree.whole_numbers();
    Ok(Typed { document: Document::default(), tree, source, problems, may_be_empty: true })
}

/// The whole body as a `T`; None: it cannot be, and that is noted.
fn read_as<T: for<'de> serde::Deserialize<'de>>(typed: &mut Typed) -> Option<T> {
    let reader = Reader::new(&typed.tree, &typed.source, &mut typed.problems);
    match reader.read::<Field<T>>(typed.tree.root()) {
        Some(Field::Good { value, .. }) => Some(value),
        _ => None,
    }
}

/// Takes away what the daemon tells of a route and of its faults.
fn pass_over_state(tree: &mut Tree, route: NodeId) {
    tree.remove(route, "state");
    for fault in tree.get(route, "faults").map(|faults| items(tree, faults)).unwrap_or_default() {
        tree.remove(fault, "state");
    }
}

fn items(tree: &Tree, list: NodeId) -> Vec<NodeId> {
    match tree.kind(list) {
        Kind::List(items) => items.clone(),
        _ => Vec::new(),
    }
}

fn note_renamed(typed: &mut Typed, name: Option<NodeId>, what: &str, old: &str) {
    let problem = Diagnostic::new(format!("the name of the {what} `{old}` cannot change"))
        .label("leave the name out")
        .help(format!("to give it another name, delete the {what} and create a new one"));
    note(typed, name.unwrap_or(typed.tree.root()), problem);
}

fn note(typed: &mut Typed, node: NodeId, problem: Diagnostic) {
    let place = typed.tree.place(Spot::Value(node));
    typed.note(problem.at(Some(place)));
}
