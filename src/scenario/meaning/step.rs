//! What a step means: exactly one action, on a route if it needs one.

use std::collections::BTreeSet;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use serde_json::{Map, Value};

use super::{Last, at, demand, forbid};
use crate::config::Sheet;
use crate::fault::{FaultSpec, vocabulary};
use crate::scenario::document::{RampSpec, StepSpec};
use crate::scenario::parameters::{Changes, Parameters};
use crate::scenario::{Action, Step};
use crate::spec::suggest::nearest;
use crate::spec::text::shown_short;
use crate::spec::{Diagnostic, Field, Name, NodeId, Period};

/// The actions, in the order in which they are named.
const ACTIONS: [&str; 8] = ["add", "set", "remove", "close", "open", "ramp", "restore", "note"];

/// What a step means. None: something that must be there is missing or bad, and noted.
pub(super) fn step(
    spec: &StepSpec,
    node: Option<NodeId>,
    last: &mut Last,
    sheet: &mut Sheet,
) -> Option<Step> {
    if spec.at.is_absent() {
        demand("at", "this step needs `at`: when, from the start", node, sheet);
    }
    let word = the_one_action(spec, node, sheet);
    match word {
        Some(word @ ("restore" | "note")) => {
            for (key, absent) in [("route", spec.route.is_absent()), ("for", spec.lasting.is_absent())] {
                if !absent {
                    let why = match (word, key) {
                        ("note", _) => "a note is about no route, and not undone",
                        (_, "route") => "all routes are restored",
                        _ => "this cannot be undone",
                    };
                    forbid(key, node, why, sheet);
                }
            }
        }
        Some(word) if spec.route.is_absent() => {
            demand("route", &format!("`{word}` needs the name of a `route`"), node, sheet);
        }
        _ => {}
    }
    check_times(spec, last, sheet);
    let action = match word? {
        "add" => Action::Add { route: route(spec)?, fault: item(spec.add.get()?)? },
        "set" => set(spec, sheet)?,
        "remove" => Action::Remove { route: route(spec)?, fault: spec.remove.get()?.shared() },
        "close" => Action::Close { route: route(spec)?, live: spec.close.get()?.0 },
        "open" => spec.open.get().and(Some(Action::Open { route: route(spec)? }))?,
        "ramp" => ramp(spec, sheet)?,
        "restore" => spec.restore.get().map(|_| Action::Restore)?,
        _ => Action::Note(spec.note.get()?.0.clone()),
    };
    let lasting = spec.lasting.get().map(|time| time.get());
    Some(Step { at: spec.at.get()?.get(), lasting, action, place: at(sheet, node) })
}

/// The word of the one action of a step; None if there is none or more than one, which is noted.
fn the_one_action(spec: &StepSpec, node: Option<NodeId>, sheet: &mut Sheet) -> Option<&'static str> {
    let absent = [
        spec.add.is_absent(),
        spec.set.is_absent(),
        spec.remove.is_absent(),
        spec.close.is_absent(),
        spec.open.is_absent(),
        spec.ramp.is_absent(),
        spec.restore.is_absent(),
        spec.note.is_absent(),
    ];
    let named: Vec<&'static str> =
        ACTIONS.into_iter().zip(absent).filter(|(_, absent)| !absent).map(|(word, _)| word).collect();
    match named.as_slice() {
        [] => {
            let is_misspelt = |node: NodeId| ACTIONS.iter().any(|word| sheet.resembles(node, word));
            if !node.is_some_and(is_misspelt) {
                let place = sheet.place(node);
                let problem = Diagnostic::new("this step does nothing").at(place).label("give it an action");
                sheet.note(problem.help(format!("actions are {}", ACTIONS.join(", "))));
            }
            None
        }
        [word] => Some(word),
        _ => {
            let value = |word: &str| node.and_then(|node| sheet.get(node, word));
            let mut found: Vec<(Option<NodeId>, &str)> =
                named.iter().map(|word| (value(word), *word)).collect();
            found.sort_by_key(|(node, _)| *node);
            if let [(first, one), (second, other), ..] = found.as_slice() {
                let (here, before) = (sheet.key_place(*second), sheet.key_place(*first));
                let title = format!("`{one}` and `{other}` in one step");
                let problem = Diagnostic::new(title).at(here).label("one action a step: make it two steps");
                sheet.note(problem.note("the first one is", before));
            }
            None
        }
    }
}

/// Holds the times of a step against each other and against the longest that a scenario may take.
fn check_times(spec: &StepSpec, last: &mut Last, sheet: &mut Sheet) {
    let lasting = spec.lasting.get().map(|time| time.get());
    let over = spec.ramp.get().map(|ramp| &ramp.over);
    let moving = over.and_then(Field::get).map(|over| over.get());
    if let (Some(lasting), Some(moving)) = (lasting, moving)
        && moving > lasting
    {
        let (here, there) = (sheet.place(over.and_then(Field::node)), sheet.place(spec.lasting.node()));
        let title =
            format!("the ramp takes {} and is undone after {}", Period::new(moving), Period::new(lasting));
        let label = "write at most as much as `for`";
        sheet.note(Diagnostic::new(title).at(here).label(label).note("it is undone", there));
    }
    if let Some(start) = spec.at.get() {
        let takes = lasting.or(moving).unwrap_or(Duration::ZERO);
        let node = spec.lasting.node().or(over.and_then(Field::node)).or(spec.at.node());
        last.reach(start.get().saturating_add(takes), node, sheet);
    }
}

fn route(spec: &StepSpec) -> Option<Arc<str>> {
    spec.route.get().map(Name::shared)
}

/// A fault as an object, as a body of the API has it.
fn item(fault: &FaultSpec) -> Option<Map<String, Value>> {
    match serde_json::to_value(fault) {
        Ok(Value::Object(item)) => Some(item),
        _ => None,
    }
}

fn set(spec: &StepSpec, sheet: &mut Sheet) -> Option<Action> {
    let Field::Good { node, value: Changes(changes) } = &spec.set else { return None };
    let mut parts = changes.iter();
    let (fault, parameters) = parts.next()?;
    if let Some((second, _)) = parts.next() {
        let value = node.and_then(|node| sheet.get(node, second));
        let problem = Diagnostic::new("`set` names two faults").at(sheet.key_place(value));
        sheet.note(problem.label("one fault a step: make it two steps"));
    }
    if let Err(why) = fault.parse::<Name>() {
        let (words, advice) = match why.to_string().split_once('\n') {
            Some((words, advice)) => (words.to_owned(), advice.to_owned()),
            None => (why.to_string(), String::new()),
        };
        let value = node.and_then(|node| sheet.get(node, fault));
        let title = format!("the name of a fault {words}");
        let place = sheet.key_place(value);
        sheet.note(Diagnostic::new(title).at(place).label(advice));
    }
    let Field::Good { node, value: Parameters(patch) } = parameters else { return None };
    for key in patch.keys().filter(|key| !is_parameter(key)) {
        if let Some(value) = node.and_then(|node| sheet.get(node, key)) {
            sheet.note_key(value, || unknown_parameter(key));
        }
    }
    Some(Action::Set { route: route(spec)?, fault: Arc::clone(fault), patch: patch.clone() })
}

fn ramp(spec: &StepSpec, sheet: &mut Sheet) -> Option<Action> {
    let Field::Good { node, value: RampSpec { fault, key, to, over } } = &spec.ramp else { return None };
    let absent = [fault.is_absent(), key.is_absent(), to.is_absent(), over.is_absent()];
    for (word, _) in ["fault", "key", "to", "over"].iter().zip(absent).filter(|(_, absent)| *absent) {
        demand(word, &format!("the ramp needs `{word}`"), *node, sheet);
    }
    if let Some(word) = key.get().filter(|word| !is_parameter(word)) {
        let place = sheet.place(key.node());
        sheet.note(unknown_parameter(word).at(place));
    }
    Some(Action::Ramp {
        route: route(spec)?,
        fault: fault.get()?.shared(),
        key: key.get()?.shared(),
        to: to.get()?.0.clone(),
        over: over.get()?.get(),
    })
}

/// The parameters of all faults. Which of them a fault has is known where it runs.
fn parameters() -> &'static BTreeSet<&'static str> {
    static PARAMETERS: LazyLock<BTreeSet<&'static str>> = LazyLock::new(|| {
        vocabulary()
            .iter()
            .flat_map(|entry| &entry.properties)
            .map(|property| property.key.as_str())
            .collect()
    });
    &PARAMETERS
}

fn is_parameter(key: &str) -> bool {
    parameters().contains(key)
}

fn unknown_parameter(key: &str) -> Diagnostic {
    let label = match nearest(key, parameters().iter().copied()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => "no fault has this parameter".to_owned(),
    };
    Diagnostic::new(format!("unknown parameter `{}`", shown_short(key, 40))).label(label)
}
