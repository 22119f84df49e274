//! `slowClose`: the ending of a direction is held back.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::chain::Next;
use super::stream::{Build, StreamFault};
use crate::spec::Period;

/// The ending of that direction is held back.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SlowClose {
    /// For so long.
    pub delay: Period,
}

impl SlowClose {
    /// What becomes of a connection, as words that follow "is".
    pub fn says(&self) -> String {
        format!("ended {} later than its sender ended it", self.delay)
    }

    /// The same for a cell of a table.
    pub fn brief(&self) -> String {
        format!("slowClose {}", self.delay)
    }

    pub(super) fn build(&self, _: &Build<'_>) -> Box<dyn StreamFault> {
        Box::new(Behaviour { delay: self.delay })
    }
}

pub(super) struct Behaviour {
    delay: Period,
}

impl StreamFault for Behaviour {
    fn on_fin(&mut self, at: Instant, next: &mut Next<'_>) {
        next.delayed(self.delay.get());
        next.fin(at + self.delay.get());
    }
}
