//! `connectDelay`: the upstream's handshake seems slow.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::dice::Dice;
use super::distribution::Distribution;
use crate::spec::Period;

/// The upstream's handshake seems to take that much longer; it counts as part of the dial, and can exceed its time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ConnectDelay {
    /// How much longer.
    pub delay: Period,
    /// How far that strays from `delay`.
    #[serde(default)]
    pub jitter: Period,
    /// How it strays.
    #[serde(default)]
    pub distribution: Distribution,
}

impl ConnectDelay {
    /// How much longer one connection takes, from its own dice.
    pub fn sample(&self, dice: &Dice) -> Duration {
        self.distribution.sample(self.delay.get(), self.jitter.get(), &mut dice.draws())
    }

    /// What becomes of a connection, as words that follow "is".
    pub fn says(&self) -> String {
        let wait = self.distribution.says(self.delay, self.jitter);
        format!("connected to the upstream {wait} later; that counts as part of the dial")
    }

    /// The same for a cell of a table.
    pub fn brief(&self) -> String {
        format!("connectDelay {}", self.distribution.brief(self.delay, self.jitter))
    }
}
