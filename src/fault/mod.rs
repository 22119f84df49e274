//! Everything that can go wrong: one file a fault, and the one list that names them all.
//!
//! A fault is an effect, a trigger that decides whom it befalls, and a name. What is written in a configuration
//! ([`FaultSpec`]) is resolved into what it means ([`Fault`]): names given, shorthands expanded.

pub mod delay;
pub mod dice;
pub mod distribution;
pub mod drop;
pub mod hang;
pub mod spec;
pub mod trigger;

use std::sync::Arc;

pub use delay::Delay;
pub use drop::Drop;
pub use hang::Hang;
pub use trigger::Trigger;

use crate::spec::Name;

/// The list of all effects. Configuration, schema, `explain` and the README's table are made from it.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// Accepted, then ended; the upstream is never contacted.
    Drop(Drop),
    /// Accepted, never answered; what the client sends is read and discarded; the upstream is never contacted.
    Hang(Hang),
    /// Wait before the upstream is dialled; bytes sent meanwhile are kept.
    Delay(Delay),
}

impl Effect {
    /// The word for this effect in configurations, events and metrics.
    pub fn word(&self) -> &'static str {
        match self {
            Effect::Drop(_) => "drop",
            Effect::Hang(_) => "hang",
            Effect::Delay(_) => "delay",
        }
    }
}

/// One fault as a configuration writes it: an effect with its parameters, and beside them its name and trigger.
#[derive(Clone, Debug, PartialEq)]
pub struct FaultSpec {
    /// Left out: the effect's word.
    pub name: Option<Name>,
    /// Whom it befalls.
    pub trigger: Trigger,
    /// What goes wrong.
    pub effect: Effect,
}

/// One fault of a route, complete.
#[derive(Clone, Debug, PartialEq)]
pub struct Fault {
    /// Unique within its route; the dice use it.
    pub name: Arc<str>,
    /// Whom it befalls.
    pub trigger: Trigger,
    /// What goes wrong.
    pub effect: Effect,
}
