//! What all routes of a process share.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use tokio_util::task::TaskTracker;

use super::Budget;
use crate::fault::dice::Dice;
use crate::observe::Emitter;
use crate::relay::{Pipes, Stop};
use crate::upstream::Dialer;

/// What all routes of a process share.
#[derive(Clone, Debug)]
pub struct Common {
    /// The root of all chance.
    pub dice: Dice,
    /// Whom facts are told.
    pub emitter: Emitter,
    /// How many connections there may be.
    pub budget: Budget,
    /// What bytes in bulk may be moved through.
    pub pipes: Pipes,
    /// What dials.
    pub dialer: Dialer,
    /// The numbers of connections in the process.
    pub ids: Arc<AtomicU64>,
    /// All connections under way.
    pub connections: TaskTracker,
    /// How they are told to stop.
    pub stop: Stop,
    /// Connections that have ended.
    pub ended: Arc<AtomicU64>,
    /// Connections that were reset because the drain's time was up.
    pub cut: Arc<AtomicU64>,
    /// The number of the configuration in force.
    pub generation: Arc<AtomicU64>,
}
