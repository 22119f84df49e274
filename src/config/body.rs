//! Bodies of control calls: the same objects as in a file, as JSON, literal, and held against what runs.
//!
//! They are read by the reader of files, so that a problem is said in the same words, with a pointer from the top of the
//! body. What a route or a fault carries under `state` when it is read from the daemon is passed over.

#[cfg(test)]
mod tests;

use super::document::Typed;
use super::meaning::{self, MAX_FAULTS};
use super::patch::{self, Patch};
use super::sheet::Sheet;
use super::tree::{Kind, Tree};
use super::{Config, Document, Refused, aim, json};
use crate::fault::{Fault, FaultSpec};
use crate::route::{RouteConfig, RouteSpec};
use crate::spec::report::Report;
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

impl From<Sheet> for BodyError {
    fn from(sheet: Sheet) -> BodyError {
        Box::new(sheet.into_report()).into()
    }
}

/// Reads a whole configuration. It may have no routes.
pub fn config(text: &[u8]) -> Result<Config, BodyError> {
    let mut sheet = read(text)?;
    let root = sheet.root();
    let routes = sheet.tree.get(root, "routes").unwrap_or(root);
    for route in items(&sheet.tree, routes) {
        pass_over_state(&mut sheet.tree, route);
    }
    let typed = Typed { may_be_empty: true, ..Document::from_sheet(sheet) };
    // What is taken is taken by another part of the same body.
    typed.mean().map_err(BodyError::Refused)
}

/// Reads a route that is to stand among those of `among`, in place of `replacing` where that is given.
pub fn route(text: &[u8], among: &Config, replacing: Option<&str>) -> Result<RouteConfig, BodyError> {
    let mut sheet = read(text)?;
    let root = sheet.root();
    pass_over_state(&mut sheet.tree, root);
    let Some(mut spec) = read_as::<RouteSpec>(&mut sheet) else {
        return Err(sheet.into());
    };
    if let Some(old) = replacing {
        match &spec.name {
            Field::Absent => spec.name = Name::checked(&old.into()).into(),
            Field::Good { node, value } if **value != *old => note_renamed(&mut sheet, *node, "route", old),
            Field::Good { .. } | Field::Bad => {}
        }
    }
    let others: Vec<&RouteConfig> =
        among.routes.iter().filter(|route| replacing != Some(&*route.name)).collect();
    Ok(meaning::route(spec, &others, among, sheet)?)
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
    let mut sheet = read(text)?;
    let root = sheet.root();
    sheet.tree.remove(root, "state");
    let Some(mut spec) = read_as::<FaultSpec>(&mut sheet) else {
        return Err(sheet.into());
    };
    let named = sheet.tree.get(root, spec.effect.word()).and_then(|effect| sheet.tree.get(effect, "name"));
    if let Some(old) = replacing {
        match &spec.name {
            None => spec.name = Some(Name::checked(&old.into())),
            Some(name) if **name != *old => note_renamed(&mut sheet, named, "fault", old),
            Some(_) => {}
        }
    }
    let others: Vec<&Fault> = on.faults.iter().filter(|fault| replacing != Some(&*fault.name)).collect();
    let aims: Vec<_> = on.upstream.endpoints.iter().map(|target| (&target.endpoint, None)).collect();
    aim::check(&spec, Some(root), &aims, &mut sheet);
    let is_taken = |name: &str| others.iter().any(|other| *other.name == *name);
    let fault = spec.meant(is_taken);
    if is_taken(&fault.name) {
        let label = if named.is_some() { "choose another name" } else { "give this one a `name`" };
        let problem = Diagnostic::new(format!("there is a fault `{}` already", fault.name)).label(label);
        note(&mut sheet, named.unwrap_or(root), problem.taken());
    }
    if others.len() >= MAX_FAULTS {
        note(&mut sheet, root, Diagnostic::new(format!("a route has at most {MAX_FAULTS} faults")));
    }
    if sheet.is_clean() { Ok(fault) } else { Err(sheet.into()) }
}

/// A fault with a JSON merge patch laid over it.
pub fn patched_fault(text: &[u8], current: &Fault, on: &RouteConfig) -> Result<Fault, BodyError> {
    let patch = Patch::read_for(current, read(text)?)?;
    let patched = patch.over(&FaultSpec::from(current));
    fault(patched.as_bytes(), on, Some(&current.name))
}

/// A text as a tree of JSON, with nothing yet read from it.
fn read(text: &[u8]) -> Result<Sheet, BodyError> {
    let not_json = |sheet: Sheet, problem: Diagnostic| {
        BodyError::NotJson(Refused::from(Box::new(Report::new(sheet.source, vec![problem], 1))))
    };
    let mut sheet = Sheet::build(text, "body", |_| json::read).map_err(|(sheet, problem)| {
        // What a file is advised to do, to become YAML, is no way out here.
        let label = problem.label.replace(", or write YAML", "");
        let help = problem.help.filter(|help| !help.contains("YAML"));
        not_json(*sheet, Diagnostic { label, help, ..problem })
    })?;
    let is_odd = |node: &NodeId| matches!(sheet.tree.kind(*node), Kind::Odd(_));
    if let Some(odd) = sheet.tree.ids().find(is_odd) {
        let problem = Diagnostic::new("this is not a number of JSON").at(sheet.place(Some(odd)));
        return Err(not_json(sheet, problem.label("write it in decimal")));
    }
    sheet.tree.whole_numbers();
    Ok(sheet)
}

/// The whole body as a `T`; None: it cannot be, and that is noted.
fn read_as<T: serde::de::DeserializeOwned>(sheet: &mut Sheet) -> Option<T> {
    match sheet.read_as::<Field<T>>(sheet.root()) {
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

fn note_renamed(sheet: &mut Sheet, name: Option<NodeId>, what: &str, old: &str) {
    let problem = Diagnostic::new(format!("the name of the {what} `{old}` cannot change"))
        .label("leave the name out")
        .help(format!("to give it another name, delete the {what} and create a new one"));
    note(sheet, name.unwrap_or(sheet.root()), problem);
}

fn note(sheet: &mut Sheet, node: NodeId, problem: Diagnostic) {
    let place = sheet.place(Some(node));
    sheet.note(problem.at(place));
}
