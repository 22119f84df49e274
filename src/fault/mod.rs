//! Everything that can go wrong: one file a fault, and the one list that names them all.
//!
//! A fault is an effect, a direction for those that act on a stream, a trigger that decides whom it befalls, and a
//! name. What is written in a configuration ([`FaultSpec`]) is resolved into what it means ([`Fault`]): names given,
//! shorthands expanded. On a connection that a trigger has chosen it becomes [`Active`], and its behaviour a link of the
//! [`Chain`](chain::Chain) through which the bytes of a direction go.

mod bandwidth;
mod blackhole;
pub mod chain;
mod connect_delay;
mod corrupt;
mod delay;
pub mod dice;
mod distribution;
mod drop;
mod effect;
mod hang;
pub mod held;
mod kept;
#[cfg(test)]
mod lab;
mod latency;
mod limit;
pub mod link;
mod loss;
mod noop;
mod plan;
#[cfg(test)]
mod properties;
mod refuse_connect;
mod reset;
mod slice;
mod slow_close;
mod spec;
mod stall;
pub mod stream;
pub mod trigger;
pub mod vocabulary;

use std::sync::Arc;

pub use bandwidth::{Bandwidth, Pacer, Shared};
pub use blackhole::Blackhole;
pub use connect_delay::ConnectDelay;
pub use corrupt::{Change, Corrupt};
pub use delay::Delay;
pub use distribution::Distribution;
pub use drop::{Drop, How};
pub use effect::{Effect, Stage};
pub use hang::Hang;
pub use latency::Latency;
pub use limit::{Limit, Then};
pub use loss::Loss;
pub use noop::Noop;
pub use plan::{Active, Plan};
pub use refuse_connect::RefuseConnect;
pub use reset::Reset;
pub use slice::Slice;
pub use slow_close::SlowClose;
pub use spec::{Directions, FaultSpec};
pub use stall::Stall;
pub use trigger::Trigger;
pub use vocabulary::vocabulary;

/// One fault of a route, complete.
#[derive(Clone, Debug, PartialEq)]
pub struct Fault {
    /// Unique within its route; the dice use it.
    pub name: Arc<str>,
    /// Which way it acts, if it acts on the stream.
    pub direction: Directions,
    /// Whom it befalls.
    pub trigger: Trigger,
    /// What goes wrong.
    pub effect: Effect,
}

impl Fault {
    /// A fault that befalls everyone, under the name of its effect, on what comes from the server.
    pub fn new(effect: Effect) -> Self {
        let trigger = Trigger::default();
        Fault { name: effect.word().into(), direction: Directions::default(), trigger, effect }
    }

    /// Whether its parameters make sense together; otherwise why not, and on a second line what to write.
    pub fn check(&self) -> Result<(), &'static str> {
        self.trigger.check().and_then(|()| self.effect.check())
    }

    /// The fault for a cell of a table: `drop 30%`, `delay 200ms ±50ms`, `hang, closed after 3s`.
    pub fn brief(&self) -> String {
        let share = match self.trigger.probability.get() {
            1.0 => String::new(),
            _ => format!(" {}", self.trigger.probability),
        };
        let words = self.effect.brief();
        let (word, rest) = words.split_at(self.effect.word().len().min(words.len()));
        let way = match (self.effect.stage(), self.direction) {
            (Stage::Stream, Directions::Upstream) => " up",
            (Stage::Stream, Directions::Both) => " both ways",
            _ => "",
        };
        let at = self.trigger.endpoint.as_ref().map(|endpoint| format!(" at {endpoint}")).unwrap_or_default();
        let off = if self.trigger.enabled { "" } else { " (off)" };
        format!("{word}{share}{rest}{way}{at}{off}")
    }
}
