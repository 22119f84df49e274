//! A scenario: a timeline of changes to a running daemon, and what is expected to come of them.
//!
//! File → [`Scenario`] (as meant) → agenda (moments in order) → the daemon, through the door that every change goes
//! through → [`Report`](report::Report). What is expected is held against what the daemon itself has counted, so that a
//! test which never met its fault is red.

mod agenda;
mod amount;
pub mod bound;
mod crossings;
pub mod document;
pub mod edit;
pub mod judge;
#[cfg(test)]
mod lab;
mod meaning;
pub mod parameters;
pub mod play;
mod ramp;
mod recovery;
pub mod rehearse;
pub mod report;
pub mod target;
mod typed;
pub mod value;

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value};

use crate::daemon::Live;
use crate::observe::Ending;
use crate::spec::Period;
use bound::{Bound, Share};
pub use typed::{Clash, Either, Typed, parse, read, read_either};

/// A whole scenario as it is meant: complete, valid in itself, its times in the order in which they come.
#[derive(Clone, Debug, PartialEq)]
pub struct Scenario {
    /// What it is called.
    pub name: String,
    /// The seed it was written for; left out: the daemon's.
    pub seed: Option<u64>,
    /// How long it takes in all. Left out in the file: until the last thing in it is over.
    pub duration: Duration,
    /// In the order of the file.
    pub steps: Vec<Step>,
    /// In the order of the file.
    pub expectations: Vec<Expectation>,
}

/// Something that is done at a moment, and perhaps undone at a later one.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// When, from the start.
    pub at: Duration,
    /// Undone after this time. A step that cannot be undone has none.
    pub lasting: Option<Duration>,
    /// What is done.
    pub action: Action,
    /// Where it stands in the file.
    pub place: At,
}

/// What a step does.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Adds a fault behind the others of a route: its item as JSON, one key, the effect.
    Add {
        /// The route.
        route: Arc<str>,
        /// The item.
        fault: Map<String, Value>,
    },
    /// Changes parameters of a fault: a merge patch laid over them.
    Set {
        /// The route.
        route: Arc<str>,
        /// The fault's name.
        fault: Arc<str>,
        /// Its parameters; `null` takes one away.
        patch: Map<String, Value>,
    },
    /// Takes a fault away.
    Remove {
        /// The route.
        route: Arc<str>,
        /// The fault's name.
        fault: Arc<str>,
    },
    /// Closes a route.
    Close {
        /// The route.
        route: Arc<str>,
        /// What becomes of its connections.
        live: Live,
    },
    /// Opens a closed route.
    Open {
        /// The route.
        route: Arc<str>,
    },
    /// Moves one parameter of a fault evenly from what it is to another value.
    Ramp {
        /// The route.
        route: Arc<str>,
        /// The fault's name.
        fault: Arc<str>,
        /// The parameter.
        key: Arc<str>,
        /// What it is in the end, as a file has it.
        to: Value,
        /// How long that takes.
        over: Duration,
    },
    /// Goes back to the file as it was last read.
    Restore,
    /// Says something.
    Note(String),
}

impl Action {
    /// The route it is about.
    pub fn route(&self) -> Option<&Arc<str>> {
        match self {
            Action::Add { route, .. }
            | Action::Set { route, .. }
            | Action::Remove { route, .. }
            | Action::Close { route, .. }
            | Action::Open { route }
            | Action::Ramp { route, .. } => Some(route),
            Action::Restore | Action::Note(_) => None,
        }
    }

    /// In a few words: for the one who is told that it was refused.
    fn brief(&self) -> String {
        match self {
            Action::Add { route, fault } => {
                format!("add {} to {route}", fault.keys().next().map_or("", String::as_str))
            }
            Action::Set { route, fault, .. } => format!("set {fault} of {route}"),
            Action::Remove { route, fault } => format!("remove {fault} from {route}"),
            Action::Ramp { route, fault, key, .. } => format!("ramp {fault}.{key} of {route}"),
            Action::Close { route, .. } => format!("close {route}"),
            Action::Open { route } => format!("open {route}"),
            Action::Restore => "restore".to_owned(),
            Action::Note(_) => "note".to_owned(),
        }
    }
}

/// What must come of it. It holds if every one of its wants does.
#[derive(Clone, Debug, PartialEq)]
pub struct Expectation {
    /// What it is called; no two have the same name.
    pub name: String,
    /// Of this route; left out: of all together.
    pub route: Option<Arc<str>>,
    /// From when until when; left out: from the start to the end, whenever that is.
    pub during: Option<Window>,
    /// At least one.
    pub wants: Vec<Want>,
    /// Where it stands in the file.
    pub place: At,
}

/// From a moment until a later one. What happens at `from` is in it, what happens at `to` is not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// From the start of the scenario.
    pub from: Duration,
    /// Likewise, and later.
    pub to: Duration,
}

/// Something that can be counted, and how much of it there must be.
#[derive(Clone, Debug, PartialEq)]
pub enum Want {
    /// Firings of a fault; without one, of all.
    Fired {
        /// The fault's name.
        fault: Option<Arc<str>>,
        /// How many.
        bound: Bound<u64>,
    },
    /// Connections that came in.
    Connections(Bound<u64>),
    /// Connections that ended so.
    Ended(Ending, Bound<u64>),
    /// Of the connections that ended, those that ended otherwise than well: by anything but `peer-fin`, `drain` and
    /// `control`, of which the last two are not counted at all.
    ErrorShare(Bound<Share>),
    /// The time from the end of the window until bytes reached a client again.
    Recovery(Bound<Period>),
}

/// A place in the file, from 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct At {
    /// The line.
    pub line: usize,
    /// The column, in characters.
    pub column: usize,
}
