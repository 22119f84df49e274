//! The gate: which accept faults befall a connection, decided at accept, in accept order.

use std::net::IpAddr;
use std::sync::Arc;

use tokio::time::Instant;

use crate::fault::dice::Dice;
use crate::fault::trigger::{Chosen, Tally};
use crate::fault::{Effect, Fault};
use crate::observe::FaultStats;

/// The route's accept faults and what their triggers remember.
#[derive(Debug)]
pub(super) struct Gate {
    entries: Vec<Entry>,
}

#[derive(Debug)]
struct Entry {
    fault: Arc<Fault>,
    stats: Arc<FaultStats>,
    tally: Tally,
    gone_at: Option<Instant>,
}

/// A fault that will befall a connection.
#[derive(Clone, Debug)]
pub(super) struct Taken {
    /// Which.
    pub(super) fault: Arc<Fault>,
    /// Where its firing is counted.
    pub(super) stats: Arc<FaultStats>,
    /// How it came to be chosen.
    pub(super) chosen: Chosen,
    /// What its effect draws from, apart from the draw that chose it.
    pub(super) dice: Dice,
}

impl Gate {
    /// A gate for faults that arrive now.
    pub(super) fn new(faults: &[Fault], now: Instant) -> Self {
        let entries = faults
            .iter()
            .map(|fault| Entry {
                gone_at: fault.trigger.gone_at(now),
                fault: Arc::new(fault.clone()),
                stats: Arc::default(),
                tally: Tally::default(),
            })
            .collect();
        Gate { entries }
    }

    /// The faults that befall the next connection, in their order. `dice` are the connection's own.
    pub(super) fn decide(&mut self, client: IpAddr, dice: &Dice, now: Instant) -> Vec<Taken> {
        let mut taken = Vec::new();
        for entry in &mut self.entries {
            if entry.gone_at.is_some_and(|at| now >= at) {
                continue;
            }
            // The third label in place of a direction: these faults act before there is one.
            let dice = dice.name("accept").name(&entry.fault.name);
            if let Some(chosen) = entry.fault.trigger.decide(&mut entry.tally, client, &dice) {
                taken.push(Taken {
                    fault: entry.fault.clone(),
                    stats: entry.stats.clone(),
                    chosen,
                    dice: dice.name("effect"),
                });
            }
        }
        taken
    }

    /// The faults whose time is over, with when it is over; each until it is taken out.
    pub(super) fn next_expiry(&self) -> Option<Instant> {
        self.entries.iter().filter_map(|entry| entry.gone_at).min()
    }

    /// Takes out the faults whose time is over.
    pub(super) fn expire(&mut self, now: Instant) -> Vec<Arc<Fault>> {
        let (gone, left) = std::mem::take(&mut self.entries)
            .into_iter()
            .partition(|entry: &Entry| entry.gone_at.is_some_and(|at| now >= at));
        self.entries = left;
        gone.into_iter().map(|entry: Entry| entry.fault).collect()
    }

    /// How often each fault took effect.
    pub(super) fn fired(&self) -> impl Iterator<Item = (&Fault, u64)> {
        self.entries.iter().map(|entry| (&*entry.fault, entry.stats.fired()))
    }
}

impl Taken {
    /// The draw and the probability it was below, when chance decided.
    pub(super) fn draw(&self) -> Option<(f64, f64)> {
        self.chosen.draw.map(|draw| (draw, self.fault.trigger.probability.get()))
    }

    /// The effect.
    pub(super) fn effect(&self) -> &Effect {
        &self.fault.effect
    }
}
