//! `latency`: every byte arrives later; order is kept and throughput is not capped.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::chain::Next;
use super::dice::Dice;
use super::distribution::Distribution;
use super::stream::{Build, Segment, StreamFault};
use crate::spec::Period;

/// Every byte arrives that much later; order kept, throughput not capped; two latencies add.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Latency {
    /// How much later.
    pub delay: Period,
    /// How far that strays, drawn for each piece that arrives.
    #[serde(default, skip_serializing_if = "Period::is_zero")]
    pub jitter: Period,
    /// How it strays.
    #[serde(default, skip_serializing_if = "Distribution::is_default")]
    pub distribution: Distribution,
}

impl Latency {
    /// What becomes of a connection, as words that follow "is".
    pub fn says(&self) -> String {
        format!("slowed: each byte arrives {} later", self.distribution.says(self.delay, self.jitter))
    }

    /// The same for a cell of a table.
    pub fn brief(&self) -> String {
        format!("latency {}", self.distribution.brief(self.delay, self.jitter))
    }

    pub(super) fn build(&self, build: &Build<'_>) -> Box<dyn StreamFault> {
        Box::new(Behaviour { spec: self.clone(), dice: build.dice })
    }
}

pub(super) struct Behaviour {
    spec: Latency,
    dice: Dice,
}

impl Behaviour {
    /// Drawn for the piece that begins here, whatever came before it.
    fn sample(&self, dice: &Dice) -> Duration {
        self.spec.distribution.sample(self.spec.delay.get(), self.spec.jitter.get(), &mut dice.draws())
    }
}

impl StreamFault for Behaviour {
    fn on_data(&mut self, mut segment: Segment, next: &mut Next<'_>) {
        let by = self.sample(&self.dice.number(segment.offset));
        segment.at += by;
        next.delayed(by);
        next.data(segment);
    }

    fn on_fin(&mut self, at: Instant, next: &mut Next<'_>) {
        let by = self.sample(&self.dice.name("fin"));
        next.delayed(by);
        next.fin(at + by);
    }
}
