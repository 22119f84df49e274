//! What goes wrong on one connection: the stream faults that chose it, in their order.

use std::sync::{Arc, Mutex};

use super::dice::Dice;
use super::stream::{Build, StreamFault};
use super::trigger::Chosen;
use super::{Fault, Pacer};
use crate::observe::{Direction, FaultStats};

/// The faults of one connection, each way. It is never edited: a change makes a new one.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    /// On what the client sends.
    pub upstream: Vec<Arc<Active>>,
    /// On what the server sends.
    pub downstream: Vec<Arc<Active>>,
}

/// A fault that has chosen a connection, in one direction. The same one is in every plan of the connection until the
/// fault is changed or taken away.
#[derive(Debug)]
pub struct Active {
    /// Which.
    pub fault: Arc<Fault>,
    /// Which way.
    pub direction: Direction,
    /// How the connection came to be chosen.
    pub chosen: Chosen,
    /// What its behaviour draws from.
    pub dice: Dice,
    /// Where its deeds are counted.
    pub stats: Arc<FaultStats>,
    /// The rate it shares with others of its route, if it does.
    pub pacer: Arc<Mutex<Pacer>>,
}

impl Plan {
    /// The faults of a direction.
    pub fn of(&self, direction: Direction) -> &[Arc<Active>] {
        match direction {
            Direction::Upstream => &self.upstream,
            Direction::Downstream => &self.downstream,
        }
    }
}

impl Active {
    /// A fault on a connection of its own, for tests and measurements: nothing chose it, and a seed gives its dice.
    pub fn of(fault: Fault, direction: Direction, seed: u64) -> Self {
        let dice = Dice::new(seed).name(direction.word()).name(&fault.name).name("effect");
        let (stats, pacer) = (Arc::default(), Arc::default());
        Active { fault: Arc::new(fault), direction, chosen: Chosen { draw: None }, dice, stats, pacer }
    }

    /// The draw and the probability it was below, when chance decided.
    pub fn draw(&self) -> Option<(f64, f64)> {
        self.chosen.draw.map(|draw| (draw, self.fault.trigger.probability.get()))
    }

    /// Its behaviour, from this moment and offset on. None for a fault that does not act on the stream.
    pub(super) fn build(&self, since: tokio::time::Instant) -> Option<Box<dyn StreamFault>> {
        self.fault.effect.build(&Build { dice: self.dice, since, pacer: &self.pacer })
    }
}
