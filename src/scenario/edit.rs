//! One change to a daemon, as a call of its control API: small enough that another one undoes it.
//!
//! An edit is made from a step and the configuration it meets. The same edit is tried on a copy of a configuration before
//! anything runs, applied to a daemon of this process, or sent to one elsewhere.

use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::Action;
use crate::config::{Config, body};
use crate::daemon::{ControlError, Live};
use crate::fault::{Fault, FaultSpec};
use crate::route::RouteConfig;

/// One change to a daemon.
#[derive(Clone, Debug, PartialEq)]
pub struct Edit {
    /// The route; none: the whole configuration, which goes back to the file.
    pub route: Option<Arc<str>>,
    /// What becomes of it.
    pub what: What,
}

/// What an edit does.
#[derive(Clone, Debug, PartialEq)]
pub enum What {
    /// Puts a new fault at a place among the others; without one behind them.
    Insert {
        /// Its item.
        item: Value,
        /// The place.
        at: Option<usize>,
    },
    /// Lays a patch over a fault.
    Patch {
        /// Its name.
        fault: Arc<str>,
        /// `{effect: {parameter: value}}`
        patch: Value,
    },
    /// Takes a fault away.
    Remove {
        /// Its name.
        fault: Arc<str>,
    },
    /// Opens the route.
    Open,
    /// Closes the route.
    Close(Live),
    /// Goes back to the file as it was last read.
    Restore,
}

impl Edit {
    /// What a step does to a daemon that is configured so; none: nothing. A ramp begins with a look at what it changes.
    pub fn of(action: &Action, config: &Config) -> Result<Option<Edit>, ControlError> {
        let what = match action {
            Action::Add { fault, .. } => What::Insert { item: Value::Object(fault.clone()), at: None },
            Action::Set { route, fault, patch } => patch_of(find(config, route, fault)?, patch.clone()),
            Action::Remove { fault, .. } => What::Remove { fault: fault.clone() },
            Action::Open { .. } => What::Open,
            Action::Close { live, .. } => What::Close(*live),
            Action::Restore => What::Restore,
            Action::Ramp { .. } | Action::Note(_) => return Ok(None),
        };
        Ok(Some(Edit { route: action.route().cloned(), what }))
    }

    /// Sets one parameter of a fault of a daemon that is configured so; `null` takes it away.
    pub fn set(
        route: &Arc<str>,
        fault: &str,
        key: &str,
        value: Value,
        config: &Config,
    ) -> Result<Edit, ControlError> {
        let patch = Map::from_iter([(key.to_owned(), value)]);
        Ok(Edit { route: Some(route.clone()), what: patch_of(find(config, route, fault)?, patch) })
    }

    /// Makes the change in a configuration. What only the daemon knows, the file as it was last read, stays out.
    pub fn make(&self, config: &mut Config) -> Result<(), ControlError> {
        let Some(name) = &self.route else { return Ok(()) };
        let Some(route) = config.route_mut(name) else { return Err(ControlError::NoRoute(name.to_string())) };
        let refused = |error| ControlError::Body(Arc::new(error));
        match &self.what {
            What::Insert { item, at } => {
                let fault = body::fault(item.to_string().as_bytes(), route, None).map_err(refused)?;
                let last = route.faults.len();
                route.faults.insert(at.map_or(last, |at| at.min(last)), fault);
            }
            What::Patch { fault, patch } => {
                let old = fault_of(route, fault)?;
                let new = body::patched_fault(patch.to_string().as_bytes(), old, route).map_err(refused)?;
                route.faults.iter_mut().filter(|old| old.name == new.name).for_each(|old| *old = new.clone());
            }
            What::Remove { fault } => {
                fault_of(route, fault)?;
                route.faults.retain(|other| other.name != *fault);
            }
            What::Open => route.enabled = true,
            What::Close(_) => route.enabled = false,
            What::Restore => {}
        }
        Ok(())
    }

    /// The same for a daemon that is configured so: others may have taken faults away in the meantime, and a place beyond
    /// the last is the last.
    #[must_use]
    pub fn fitted(&self, config: &Config) -> Edit {
        let mut edit = self.clone();
        if let (What::Insert { at: Some(at), .. }, Some(route)) = (&mut edit.what, self.route.as_ref()) {
            *at = (*at).min(config.route(route).map_or(0, |route| route.faults.len()));
        }
        edit
    }

    /// What takes this edit back once it has been made where there was `before`; none: it changed nothing that could be
    /// taken back.
    pub fn undo(&self, before: &Config) -> Option<Edit> {
        let route = self.route.as_ref()?;
        let was = before.route(route)?;
        let what = match &self.what {
            What::Insert { .. } => {
                let mut after = before.clone();
                self.make(&mut after).ok()?;
                let new = &after.route(route)?.faults;
                let fault = new.iter().find(|fault| was.faults.iter().all(|old| old.name != fault.name))?;
                What::Remove { fault: fault.name.clone() }
            }
            What::Patch { fault, patch } => {
                let old = fault_of(was, fault).ok()?;
                let parameters = parameters(old);
                let touched = patch.get(old.effect.word())?.as_object()?.keys();
                let value = |key: &String| parameters.get(key).cloned().unwrap_or_default();
                patch_of(old, touched.map(|key| (key.clone(), value(key))).collect())
            }
            What::Remove { fault } => {
                let at = was.faults.iter().position(|other| other.name == *fault)?;
                What::Insert { item: item(was.faults.get(at)?), at: Some(at) }
            }
            What::Open if !was.enabled => What::Close(Live::Close),
            What::Close(_) if was.enabled => What::Open,
            What::Open | What::Close(_) | What::Restore => return None,
        };
        Some(Edit { route: Some(route.clone()), what })
    }
}

/// What a parameter of a fault is, as a file has it.
pub(super) fn parameter(config: &Config, route: &str, fault: &str, key: &str) -> Result<Value, ControlError> {
    Ok(parameters(find(config, route, fault)?).remove(key).unwrap_or_default())
}

fn patch_of(fault: &Fault, parameters: Map<String, Value>) -> What {
    What::Patch { fault: fault.name.clone(), patch: json!({fault.effect.word(): parameters}) }
}

/// The item of a fault in its full form.
fn item(fault: &Fault) -> Value {
    serde_json::to_value(FaultSpec::from(fault)).unwrap_or_default()
}

fn parameters(fault: &Fault) -> Map<String, Value> {
    match item(fault).get_mut(fault.effect.word()).map(Value::take) {
        Some(Value::Object(parameters)) => parameters,
        // One without parameters.
        _ => Map::new(),
    }
}

fn find<'a>(config: &'a Config, route: &str, fault: &str) -> Result<&'a Fault, ControlError> {
    fault_of(config.route(route).ok_or_else(|| ControlError::NoRoute(route.to_owned()))?, fault)
}

fn fault_of<'a>(route: &'a RouteConfig, fault: &str) -> Result<&'a Fault, ControlError> {
    let missing = || ControlError::NoFault { route: route.name.to_string(), fault: fault.to_owned() };
    route.faults.iter().find(|other| *other.name == *fault).ok_or_else(missing)
}

#[cfg(test)]
mod tests;
