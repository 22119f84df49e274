//! `delay`: the upstream is dialled later than the client came.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::dice::Dice;
use super::distribution::Distribution;
use crate::spec::Period;

/// Wait before the upstream is dialled; bytes sent meanwhile are kept.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Delay {
    /// How long to wait.
    pub delay: Period,
    /// How far the wait strays from `delay`.
    #[serde(default)]
    pub jitter: Period,
    /// How it strays.
    #[serde(default)]
    pub distribution: Distribution,
}

impl Delay {
    /// How long one connection waits, from its own dice.
    pub fn sample(&self, dice: &Dice) -> Duration {
        self.distribution.sample(self.delay.get(), self.jitter.get(), &mut dice.draws())
    }

    /// What becomes of a connection, as words that follow "is".
    pub fn says(&self) -> String {
        let wait = self.distribution.says(self.delay, self.jitter);
        format!("kept waiting {wait} before the upstream is dialled; what the client sends meanwhile is kept")
    }

    /// The same for a cell of a table.
    pub fn brief(&self) -> String {
        format!("delay {}", self.distribution.brief(self.delay, self.jitter))
    }
}
