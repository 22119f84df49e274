//! Goes through a scenario on a copy of a configuration, before anything runs: what cannot be done is told with its place.

use std::sync::Arc;

use super::agenda::{Turn, agenda};
use super::edit::{self, Edit};
use super::{Action, Clash, Scenario, Step, ramp};
use crate::config::Config;
use crate::daemon::ControlError;
use crate::spec::suggest::nearest;
use crate::spec::text::shown;

/// Everything in which the scenario does not fit a daemon that is configured as `now`. `file` is what a `restore` goes
/// back to; where nobody knows that, what comes after one is not looked at. Expectations are left alone: whom they speak
/// of may be made by the very command that the scenario is for, and if not, they fail.
pub fn rehearse(scenario: &Scenario, now: &Config, file: Option<&Config>) -> Vec<Clash> {
    let mut clashes = Vec::new();
    let mut config = now.clone();
    let mut undo: Vec<Option<Edit>> = vec![None; scenario.steps.len()];
    for due in agenda(scenario) {
        match due.turn {
            Turn::Begin { step } => {
                let Some(what) = scenario.steps.get(step) else { continue };
                if what.action == Action::Restore {
                    let Some(file) = file else { break };
                    config = file.clone();
                    undo.fill(None);
                } else {
                    match begin(what, &mut config) {
                        Ok(taken_back) => {
                            undo.iter_mut()
                                .skip(step)
                                .take(1)
                                .for_each(|place| place.clone_from(&taken_back));
                        }
                        Err(error) => clashes.extend(told(step, &what.action, &error, &config)),
                    }
                }
            }
            Turn::Undo { step, .. } => {
                if let Some(undo) = undo.get_mut(step).and_then(Option::take) {
                    // What is gone by then needs no undoing.
                    let _ = undo.make(&mut config);
                }
            }
            Turn::Look | Turn::Move { .. } => {}
        }
    }
    clashes
}

/// Does a step. Gives what takes it back.
fn begin(step: &Step, config: &mut Config) -> Result<Option<Edit>, Wrong> {
    let before = config.clone();
    let undo = match &step.action {
        Action::Ramp { route, fault, key, to, .. } => {
            let from = edit::parameter(&before, route, fault, key)?;
            // What lies in between goes if both ends and the middle do. The end first: that is what was written.
            for nth in [2, 1] {
                let value = ramp::between(&from, to, nth, 2).ok_or(Wrong::Unlike(from.clone()))?;
                Edit::set(route, fault, key, value, &before)?.make(config)?;
            }
            Some(Edit::set(route, fault, key, from, &before)?)
        }
        action => match Edit::of(action, &before)? {
            Some(edit) => {
                edit.make(config)?;
                if let Some(name) = renamed(action, config) {
                    return Err(Wrong::Renamed(name));
                }
                edit.undo(&before)
            }
            None => None,
        },
    };
    Ok(undo.filter(|_| step.lasting.is_some()))
}

/// What a fault without a name is called that is not called by its effect: whoever expects something of it would speak of
/// another one.
fn renamed(action: &Action, after: &Config) -> Option<Arc<str>> {
    let Action::Add { route, fault } = action else { return None };
    let (effect, parameters) = fault.iter().next()?;
    let name = &after.route(route)?.faults.last()?.name;
    (parameters.get("name").is_none() && **name != **effect).then(|| name.clone())
}

/// Why a step cannot be made.
enum Wrong {
    Refused(ControlError),
    /// It can, and the fault would be called this.
    Renamed(Arc<str>),
    /// What a ramp begins with cannot be moved to where it is to end.
    Unlike(serde_json::Value),
}

impl From<ControlError> for Wrong {
    fn from(error: ControlError) -> Wrong {
        Wrong::Refused(error)
    }
}

fn told(step: usize, action: &Action, wrong: &Wrong, config: &Config) -> Vec<Clash> {
    let clash = |below: String, title: String, advice: String| Clash { step, below, title, advice };
    let route = action.route().map(|route| &**route).unwrap_or_default();
    match wrong {
        Wrong::Renamed(name) => {
            let title = format!(
                "there is a fault of this effect already: this one would be called `{}`",
                shown(name)
            );
            vec![clash("/add".into(), title, "give this one a `name`".into())]
        }
        Wrong::Unlike(from) => {
            if from.is_null() {
                let title = "this parameter has no value to begin with".to_owned();
                return vec![clash("/ramp/key".into(), title, "`set` it before, or write another".into())];
            }
            let title = format!("this cannot be reached from {from} by degrees");
            vec![clash("/ramp/to".into(), title, "write a value of the same kind".into())]
        }
        Wrong::Refused(ControlError::NoRoute(name)) => {
            let routes = config.routes.iter().map(|route| &*route.name);
            vec![clash(
                "/route".into(),
                format!("there is no route `{}`", shown(name)),
                meant(name, routes, "route"),
            )]
        }
        Wrong::Refused(ControlError::NoFault { fault, .. }) => {
            let faults = config.route(route).map(|route| route.faults.as_slice()).unwrap_or_default();
            let faults = faults.iter().map(|fault| &*fault.name);
            let title = format!("route `{}` has no fault `{}` at this moment", shown(route), shown(fault));
            vec![clash(action.fault_pointer(), title, meant(fault, faults, "fault"))]
        }
        Wrong::Refused(ControlError::Body(body)) => {
            let problems = body.refused().problems().into_iter();
            let below = |pointer: &str| match action {
                Action::Add { .. } => format!("/add{pointer}"),
                // What is patched has its effect on top, where the step has the name.
                Action::Set { .. } => {
                    let rest = pointer.get(1..).and_then(|path| path.split_once('/'));
                    let rest = rest.map(|(_, rest)| format!("/{rest}")).unwrap_or_default();
                    format!("{}{rest}", action.fault_pointer())
                }
                _ => "/ramp/to".to_owned(),
            };
            problems.map(|problem| clash(below(&problem.pointer), problem.title, problem.advice)).collect()
        }
        Wrong::Refused(other) => vec![clash(String::new(), other.to_string(), String::new())],
    }
}

impl Action {
    /// Where a step names the fault that it is about.
    fn fault_pointer(&self) -> String {
        match self {
            Action::Set { fault, .. } => format!("/set/{}", fault.replace('~', "~0").replace('/', "~1")),
            Action::Remove { .. } => "/remove".to_owned(),
            Action::Ramp { .. } => "/ramp/fault".to_owned(),
            _ => String::new(),
        }
    }
}

/// What was probably meant, or what there is.
fn meant<'a>(typed: &str, known: impl Iterator<Item = &'a str>, what: &str) -> String {
    let known: Vec<&str> = known.collect();
    match nearest(typed, known.iter().copied()) {
        Some(near) => format!("did you mean `{}`?", shown(near)),
        None if known.is_empty() => format!("there is no {what} at all"),
        None => {
            let few: Vec<String> = known.iter().take(8).map(|name| shown(name).into_owned()).collect();
            let more = if known.len() > few.len() { ", …" } else { "" };
            format!("{what}s are {}{more}", few.join(", "))
        }
    }
}

#[cfg(test)]
mod tests;
