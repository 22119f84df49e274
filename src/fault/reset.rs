//! `reset`: the connection ends by RST, to both sides.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::chain::Next;
use super::limit::{self, Then};
use super::stream::{Build, Cut, StreamFault};
use crate::spec::After;

/// RST to both sides, also on an idle connection.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Reset {
    /// After this time, or after exactly this many bytes.
    pub after: After,
}

impl Reset {
    /// What becomes of a connection, as words that follow "is".
    pub fn says(&self) -> String {
        format!("reset on both sides after {}", self.after)
    }

    /// The same for a cell of a table.
    pub fn brief(&self) -> String {
        format!("reset after {}", self.after)
    }

    pub(super) fn build(&self, build: &Build<'_>) -> Box<dyn StreamFault> {
        match self.after {
            After::Bytes(size) => Box::new(limit::Behaviour::new(size.bytes(), Then::Reset)),
            After::Time(time) => Box::new(Timed { at: Some(build.since + time.get()) }),
        }
    }
}

struct Timed {
    at: Option<Instant>,
}

impl StreamFault for Timed {
    fn wake_at(&self) -> Option<Instant> {
        self.at
    }

    fn on_wake(&mut self, now: Instant, next: &mut Next<'_>) {
        self.at = None;
        next.cut(now, Cut::ResetNow);
    }
}
