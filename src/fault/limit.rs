//! `limit`: exactly so many bytes, and then the end.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::chain::Next;
use super::kept::Kept;
use super::stream::{Build, Cut, Ending, Intake, Segment, StreamFault};
use crate::spec::Size;

/// Exactly that many bytes, then the ending.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Limit {
    /// How many bytes pass.
    pub bytes: Size,
    /// What comes then.
    #[serde(default)]
    pub then: Then,
}

/// What comes when the limit is reached.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Then {
    /// The connection is ended by FIN.
    #[default]
    Close,
    /// The connection is ended by RST.
    Reset,
    /// Nothing more moves in this direction.
    Stall,
}

impl Then {
    fn words(self) -> &'static str {
        match self {
            Then::Close => "closed",
            Then::Reset => "reset",
            Then::Stall => "stalled",
        }
    }
}

impl Limit {
    /// What becomes of a connection, as words that follow "is".
    pub fn says(&self) -> String {
        format!("{} after exactly {}", self.then.words(), self.bytes)
    }

    /// The same for a cell of a table.
    pub fn brief(&self) -> String {
        format!("limit {}, then {}", self.bytes, self.then.words())
    }

    pub(super) fn build(&self, _: &Build<'_>) -> Box<dyn StreamFault> {
        Box::new(Behaviour::new(self.bytes.bytes(), self.then))
    }
}

/// Passes so many bytes, then ends or stalls; also what `reset` after bytes and `stall` after bytes are.
pub(super) struct Behaviour {
    left: u64,
    then: Then,
    reached: bool,
    /// What came behind the limit: it goes on if the limit is taken away in time.
    kept: Kept,
}

impl Behaviour {
    pub(super) fn new(bytes: u64, then: Then) -> Self {
        Behaviour { left: bytes, then, reached: false, kept: Kept::default() }
    }
}

impl StreamFault for Behaviour {
    fn on_data(&mut self, mut segment: Segment, next: &mut Next<'_>) {
        if self.reached {
            return self.kept.data(segment);
        }
        let length = self.left.min(segment.bytes.len() as u64) as usize;
        let at = segment.at;
        let passes = segment.split_to(length, at);
        self.left -= length as u64;
        if !passes.bytes.is_empty() {
            next.data(passes);
        }
        if self.left == 0 {
            self.reached = true;
            match self.then {
                Then::Close => next.cut(at, Cut::Close),
                Then::Reset => next.cut(at, Cut::Reset),
                Then::Stall => next.fire(),
            }
            self.kept.data(segment);
        }
    }

    fn on_fin(&mut self, at: Instant, next: &mut Next<'_>) {
        if self.reached { self.kept.fin() } else { next.fin(at) }
    }

    fn on_cut(&mut self, ending: Ending, next: &mut Next<'_>) {
        if self.reached { self.kept.ending(ending) } else { next.ending(ending) }
    }

    fn intake(&self, _now: Instant) -> Intake {
        if self.reached { Intake::Never } else { Intake::Any }
    }

    fn on_remove(&mut self, now: Instant, next: &mut Next<'_>) {
        self.kept.release(now, next);
    }

    fn keeps(&self) -> usize {
        self.kept.bytes()
    }
}
