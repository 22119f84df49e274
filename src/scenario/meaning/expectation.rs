//! What an expectation means: at least one want, and a name that no other has.

use std::collections::HashMap;
use std::fmt::Display;

use super::{Last, at, demand};
use crate::config::Sheet;
use crate::observe::Ending;
use crate::scenario::document::ExpectationSpec;
use crate::scenario::{Expectation, Want, Window};
use crate::spec::{Diagnostic, Field, NodeId, Period};

/// What an expectation means. None: something that must be there is missing or bad, and noted.
pub(super) fn expectation(
    spec: &ExpectationSpec,
    node: Option<NodeId>,
    last: &mut Last,
    sheet: &mut Sheet,
) -> Option<Expectation> {
    let moments = spec.during.get().and_then(|during| during.moments());
    if let Some((_, to)) = moments {
        last.reach(to, spec.during.node(), sheet);
    }
    // A recovery is waited for as long as it may take.
    match (moments, spec.recovery.get().map(|bound| bound.most())) {
        (Some((_, to)), Some(Some(most))) => {
            last.reach(to.saturating_add(most.get()), spec.recovery.node(), sheet);
        }
        (_, Some(None)) => {
            let place = sheet.place(spec.recovery.node());
            let problem = Diagnostic::new("this recovery may take for ever").at(place);
            sheet.note(problem.label("say how long it may take: \"<= 2s\""));
        }
        _ => {}
    }
    let wants = wants(spec, node, sheet);
    if !spec.fault.is_absent() && spec.fired.is_absent() {
        let place = sheet.place(spec.fault.node());
        let problem = Diagnostic::new("`fault` is named and its firings are not").at(place);
        sheet.note(problem.label("say how often it must fire: fired: \">= 1\""));
    }
    if !spec.recovery.is_absent() {
        for (key, absent) in [("route", spec.route.is_absent()), ("during", spec.during.is_absent())] {
            if absent {
                let why = match key {
                    "route" => "`recovery` needs the name of a `route`",
                    _ => "`recovery` counts from the end of `during`: [10s, 30s]",
                };
                demand(key, why, node, sheet);
            }
        }
    }
    let window = match &spec.during {
        Field::Absent => None,
        _ => moments.map(|(from, to)| Some(Window { from, to }))?,
    };
    let route = match &spec.route {
        Field::Absent => None,
        name => Some(name.get()?.shared()),
    };
    let mut expectation =
        Expectation { name: String::new(), route, during: window, wants: wants?, place: at(sheet, node) };
    expectation.name = match &spec.name {
        Field::Absent => made_up(&expectation),
        name => name.get()?.to_string(),
    };
    Some(expectation)
}

/// Everything that an expectation wants. None: some of it could not be read, or there is nothing, and that is noted.
fn wants(spec: &ExpectationSpec, node: Option<NodeId>, sheet: &mut Sheet) -> Option<Vec<Want>> {
    const KEYS: [&str; 5] = ["fired", "connections", "ending", "errorShare", "recovery"];
    let absent = [
        spec.fired.is_absent(),
        spec.connections.is_absent(),
        spec.ending.is_absent(),
        spec.error_share.is_absent(),
        spec.recovery.is_absent(),
    ];
    if absent.iter().all(|absent| *absent) {
        let is_misspelt = |node: NodeId| KEYS.iter().any(|key| sheet.resembles(node, key));
        // That `fault` lacks its `fired` is told already.
        if spec.fault.is_absent() && !node.is_some_and(is_misspelt) {
            let place = sheet.place(node);
            let problem = Diagnostic::new("this expectation expects nothing").at(place);
            sheet
                .note(problem.label("say what must be so").help(format!("what can be: {}", KEYS.join(", "))));
        }
        return None;
    }
    let mut wants = Vec::new();
    if !spec.fired.is_absent() {
        let fault = match &spec.fault {
            Field::Absent => None,
            name => Some(name.get()?.shared()),
        };
        wants.push(Want::Fired { fault, bound: *spec.fired.get()? });
    }
    if !spec.connections.is_absent() {
        wants.push(Want::Connections(*spec.connections.get()?));
    }
    if let Field::Good { node, value } = &spec.ending {
        for ending in Ending::ALL {
            match value.of(ending) {
                Field::Absent => {}
                bound => wants.push(Want::Ended(ending, *bound.get()?)),
            }
        }
        if node.is_some_and(|node| sheet.is_empty(node)) {
            let place = sheet.place(*node);
            let problem = Diagnostic::new("`ending` names none").at(place);
            sheet.note(problem.label("such as {peer-reset: \"<= 3\"}"));
            return None;
        }
    } else if !spec.ending.is_absent() {
        return None;
    }
    if !spec.error_share.is_absent() {
        wants.push(Want::ErrorShare(*spec.error_share.get()?));
    }
    if !spec.recovery.is_absent() {
        wants.push(Want::Recovery(*spec.recovery.get()?));
    }
    Some(wants)
}

/// What an expectation is called that does not say it: by what it wants, where and when.
fn made_up(expectation: &Expectation) -> String {
    let wants: Vec<String> = expectation.wants.iter().map(words).collect();
    let mut name = wants.join(", ");
    if let Some(route) = &expectation.route {
        name.push_str(&format!(" on {route}"));
    }
    if let Some(Window { from, to }) = expectation.during {
        name.push_str(&format!(" from {} to {}", Period::new(from), Period::new(to)));
    }
    name
}

fn words(want: &Want) -> String {
    let said = |what: &str, bound: &dyn Display| format!("{what} {bound}");
    match want {
        Want::Fired { fault: Some(fault), bound } => format!("{fault} fired {bound}"),
        Want::Fired { fault: None, bound } => said("fired", bound),
        Want::Connections(bound) => said("connections", bound),
        Want::Ended(ending, bound) => said(ending.word(), bound),
        Want::ErrorShare(bound) => said("errorShare", bound),
        Want::Recovery(bound) => said("recovery", bound),
    }
}

/// Notes every name that an expectation before has already.
pub(super) fn names(
    specs: &Field<Vec<Field<ExpectationSpec>>>,
    meant: &[Option<Expectation>],
    sheet: &mut Sheet,
) {
    let specs = specs.get().map(Vec::as_slice).unwrap_or_default();
    let mut first: HashMap<&str, Option<NodeId>> = HashMap::new();
    for (spec, expectation) in specs.iter().zip(meant) {
        let Field::Good { node, value } = spec else { continue };
        let given = value.name.get().map(|name| &**name);
        let Some(name) = given.or(expectation.as_ref().map(|expectation| &*expectation.name)) else {
            continue;
        };
        let here = value.name.node().or(*node);
        match first.get(name) {
            None => {
                first.insert(name, here);
            }
            Some(before) => {
                let (here, before) = (sheet.place(here), sheet.place(*before));
                let label = if given.is_some() { "choose another name" } else { "give this one a `name`" };
                let title = format!("two expectations are called `{name}`");
                sheet.note(Diagnostic::new(title).at(here).label(label).note("the first one is", before));
            }
        }
    }
}
