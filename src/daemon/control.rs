//! `Control`: the one way to change a running daemon.
//!
//! Every change is checked whole and applied whole, one after the other, raises the generation and is told as an event. It
//! never waits for data: whatever state connections are in, a call returns at once.

use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};

use thiserror::Error;

use super::handle::Shared;
use crate::fault::Fault;
use crate::observe::{By, Fact};
use crate::route::Route;

/// Changes a running daemon. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Control {
    pub(super) shared: Arc<Shared>,
}

/// Why a change was refused. Nothing of it was applied.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum ControlError {
    /// There is no such route.
    #[error("there is no route `{0}`")]
    NoRoute(String),
    /// There is no such fault.
    #[error("route `{route}` has no fault `{fault}`")]
    NoFault {
        /// The route.
        route: String,
        /// The fault.
        fault: String,
    },
    /// Two faults of a route cannot have one name.
    #[error("route `{route}` has a fault `{fault}` already")]
    FaultExists {
        /// The route.
        route: String,
        /// The fault.
        fault: String,
    },
    /// A route takes no more faults than this.
    #[error("route `{0}` would have more than {MOST_FAULTS} faults")]
    TooManyFaults(String),
    /// The fault's parameters do not go together.
    #[error("fault `{fault}` {why}")]
    Senseless {
        /// The fault.
        fault: String,
        /// Why.
        why: String,
    },
    /// The daemon is stopping.
    #[error("the daemon is draining")]
    Draining,
}

/// What a route holds at most; configurations keep the same limit.
pub const MOST_FAULTS: usize = 64;

impl Control {
    /// The number of the configuration in force.
    pub fn generation(&self) -> u64 {
        self.shared.common.generation.load(Ordering::Relaxed)
    }

    /// The faults of a route, in their order.
    pub fn faults(&self, route: &str) -> Result<Vec<Fault>, ControlError> {
        Ok(self.route(route)?.list_faults())
    }

    /// Adds a fault behind the others of its route. It reaches live connections at once. Gives the new generation.
    pub fn add_fault(&self, route: &str, fault: Fault) -> Result<u64, ControlError> {
        self.change(route, |faults| {
            if faults.iter().any(|other| other.name == fault.name) {
                return Err(ControlError::FaultExists { route: route.into(), fault: fault.name.to_string() });
            }
            faults.push(fault);
            Ok(())
        })
    }

    /// Puts a fault in place of the one that has its name. What the old one held leaves at once, in order.
    pub fn change_fault(&self, route: &str, fault: Fault) -> Result<u64, ControlError> {
        self.change(route, |faults| {
            let old = faults.iter_mut().find(|other| other.name == fault.name);
            match old {
                Some(old) => *old = fault,
                None => return Err(no_fault(route, &fault.name)),
            }
            Ok(())
        })
    }

    /// Takes a fault away. What it held leaves at once, in order.
    pub fn remove_fault(&self, route: &str, fault: &str) -> Result<u64, ControlError> {
        self.change(route, |faults| {
            let before = faults.len();
            faults.retain(|other| *other.name != *fault);
            if faults.len() == before { Err(no_fault(route, fault)) } else { Ok(()) }
        })
    }

    /// Puts these faults in place of all that a route has. Those that are the same go on as they are.
    pub fn set_faults(&self, route: &str, faults: Vec<Fault>) -> Result<u64, ControlError> {
        self.change(route, |current| {
            *current = faults;
            Ok(())
        })
    }

    fn route(&self, name: &str) -> Result<&Arc<Route>, ControlError> {
        let open = self.shared.routes.iter().find(|open| *open.route.config.name == *name);
        open.map(|open| &open.route).ok_or_else(|| ControlError::NoRoute(name.to_owned()))
    }

    /// One change after the other: each sees what the one before it left.
    fn change(
        &self,
        route: &str,
        edit: impl FnOnce(&mut Vec<Fault>) -> Result<(), ControlError>,
    ) -> Result<u64, ControlError> {
        let _one_at_a_time = self.shared.changing.lock().unwrap_or_else(PoisonError::into_inner);
        if self.shared.common.stop.drain.is_cancelled() {
            return Err(ControlError::Draining);
        }
        let changed = self.route(route)?.edit_faults(|faults| {
            edit(faults)?;
            check(route, faults)
        })?;
        if !changed {
            return Ok(self.generation());
        }
        let common = &self.shared.common;
        let generation = common.generation.fetch_add(1, Ordering::Relaxed) + 1;
        common.emitter.emit(Fact::ConfigApplied { generation, seed: self.shared.seed, by: By::Library });
        Ok(generation)
    }
}

/// What a route's faults must be as a whole.
fn check(route: &str, faults: &[Fault]) -> Result<(), ControlError> {
    if faults.len() > MOST_FAULTS {
        return Err(ControlError::TooManyFaults(route.to_owned()));
    }
    for (i, fault) in faults.iter().enumerate() {
        if faults[..i].iter().any(|other| other.name == fault.name) {
            return Err(ControlError::FaultExists { route: route.into(), fault: fault.name.to_string() });
        }
        if let Err(why) = fault.check() {
            return Err(ControlError::Senseless {
                fault: fault.name.to_string(),
                why: why.replace('\n', ": "),
            });
        }
    }
    Ok(())
}

fn no_fault(route: &str, fault: &str) -> ControlError {
    ControlError::NoFault { route: route.to_owned(), fault: fault.to_owned() }
}
