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
    #[serde(default, skip_serializing_if = "is_zero")]
    pub jitter: Period,
    /// How it strays.
    #[serde(default)]
    pub distribution: Distribution,
}

fn is_zero(period: &Period) -> bool {
    period.get().is_zero()
}

impl Delay {
    /// How long one connection waits, from its own dice.
    pub fn sample(&self, dice: &Dice) -> Duration {
        self.distribution.sample(self.delay.get(), self.jitter.get(), &mut dice.draws())
    }

    /// What becomes of a connection, as words that follow "is".
    pub fn says(&self) -> String {
        let (delay, jitter) = (self.delay.get(), self.jitter.get());
        let wait = match self.distribution {
            _ if jitter.is_zero() => self.delay.to_string(),
            Distribution::Uniform => {
                let (least, most) = (delay.saturating_sub(jitter), delay.saturating_add(jitter));
                format!("{} to {}", Period::new(least), Period::new(most))
            }
            Distribution::Normal => format!("{} give or take {} (normal)", self.delay, self.jitter),
            Distribution::Pareto => {
                format!("{} give or take {}, at times much longer (pareto),", self.delay, self.jitter)
            }
        };
        format!("kept waiting {wait} before the upstream is dialled; what the client sends meanwhile is kept")
    }

    /// The same for a cell of a table.
    pub fn brief(&self) -> String {
        if self.jitter.get().is_zero() {
            return format!("delay {}", self.delay);
        }
        let shape = match self.distribution {
            Distribution::Uniform => "",
            Distribution::Normal => " normal",
            Distribution::Pareto => " pareto",
        };
        format!("delay {} ±{}{shape}", self.delay, self.jitter)
    }
}
