//! What calls to [`Control`](super::Control) give: what came of a change, why it was refused, how the daemon is.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use thiserror::Error;

use super::start::{BindFailure, lines};
use crate::config::{BodyError, Refused};
use crate::upstream::Denied;

/// Why a change was refused. Nothing of it was applied.
#[derive(Clone, Debug, Error)]
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
    /// The daemon is stopping.
    #[error("the daemon is draining")]
    Draining,
    /// A body was refused.
    #[error(transparent)]
    Body(Arc<BodyError>),
    /// The file was refused.
    #[error("{}", .0.brief())]
    File(Arc<Refused>),
    /// There is no file to read again.
    #[error("{0}")]
    NoFile(&'static str),
    /// A route could not listen.
    #[error("{}", lines(.0))]
    Bind(Arc<[BindFailure]>),
    /// It cannot change while the daemon runs.
    #[error("`{0}` cannot change while the daemon runs: it needs a restart")]
    NeedsRestart(&'static str),
    /// The control API may not change it.
    #[error("`{0}` cannot change through the control API: change it in the file, and reload")]
    FileOnly(&'static str),
    /// The control API may not point a route there.
    #[error("route `{route}`: `{upstream}` {why}")]
    Denied {
        /// Its place in the configuration that was asked for.
        place: usize,
        /// The route.
        route: String,
        /// Where it should lead.
        upstream: String,
        /// Why it may not.
        why: Denied,
    },
    /// The parts of what was asked for do not go together.
    #[error("{}", .0.brief())]
    Refused(Arc<Refused>),
    /// There is no room for one more route.
    #[error("the limit of open files leaves no room for another route: raise it (ulimit -n)")]
    Descriptors,
    /// The change could not be carried out.
    #[error("the change was broken off")]
    Broken,
    /// What was to be changed is not any more what the caller saw.
    #[error("it was changed meanwhile")]
    Precondition,
}

/// What a change came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Applied {
    /// The generation now in force.
    pub generation: u64,
    /// What changed, in words; empty: nothing did, and the generation is the one it was.
    pub changes: Vec<String>,
    /// Of these, what undoes an earlier change that did not come from the file.
    pub undone: Vec<String>,
    /// How many connections were told to end.
    pub ended: u64,
}

/// What becomes of the live connections of a route that stops listening.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Live {
    /// They go on.
    Keep,
    /// They end by FIN.
    #[default]
    Close,
    /// They end by RST.
    Reset,
    /// They end by FIN, and so do those of a route that goes on elsewhere: that listens at another address, or leads to
    /// another upstream. Nobody asks for this by a word.
    CloseMoved,
    /// They finish, and are reset when that takes longer than a drain may. Nobody asks for this by a word.
    Drain,
}

impl Live {
    /// The words by which one asks.
    pub const WORDS: &'static [&'static str] = &["keep", "close", "reset"];

    /// What is asked for by this word.
    pub fn named(word: &str) -> Option<Live> {
        match word {
            "keep" => Some(Live::Keep),
            "close" => Some(Live::Close),
            "reset" => Some(Live::Reset),
            _ => None,
        }
    }
}

/// How the daemon is.
#[derive(Clone, Debug)]
pub struct Status {
    /// The number of the configuration in force.
    pub generation: u64,
    /// The seed in force.
    pub seed: u64,
    /// When it started.
    pub started: SystemTime,
    /// How long ago that was.
    pub uptime: Duration,
    /// Whether every enabled route listens and the daemon is not stopping.
    pub ready: bool,
    /// Whether it is stopping.
    pub draining: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_word_means_something_else() {
        let meant: Vec<Option<Live>> = Live::WORDS.iter().map(|word| Live::named(word)).collect();
        assert_eq!(meant, [Some(Live::Keep), Some(Live::Close), Some(Live::Reset)]);
        assert_eq!(Live::named("drain"), None);
    }
}
