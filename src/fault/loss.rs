//! `loss`: what packet loss looks like over TCP. A lost segment arrives a retransmission later, all behind it waits, and
//! no byte vanishes.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::chain::Next;
use super::dice::{Dice, Draws};
use super::stream::{Build, Segment, StreamFault};
use crate::spec::{Period, Probability};

/// A lost segment arrives a retransmission later and all behind it waits; no byte vanishes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Loss {
    /// How likely each segment is to be lost.
    pub rate: Probability,
    /// How likely a segment is to share the fate of the one before it.
    #[serde(default = "Probability::never", skip_serializing_if = "Probability::is_never")]
    pub correlation: Probability,
    /// The time after which a lost segment is sent again, doubled each time it is lost again.
    #[serde(default = "default_rto")]
    pub rto: Period,
}

fn default_rto() -> Period {
    Period::new(Duration::from_millis(200))
}

impl Loss {
    /// What becomes of a connection, as words that follow "is".
    pub fn says(&self) -> String {
        format!("made to lose {} of its segments, which arrive {} or more later", self.rate, self.rto)
    }

    /// The same for a cell of a table.
    pub fn brief(&self) -> String {
        format!("loss {}", self.rate)
    }

    pub(super) fn build(&self, build: &Build<'_>) -> Box<dyn StreamFault> {
        Box::new(Behaviour { spec: self.clone(), dice: build.dice, lost: false })
    }
}

/// What a segment carries at most.
const SEGMENT: usize = 1460;

/// How often the time is doubled at most.
const DOUBLINGS: u32 = 5;

pub(super) struct Behaviour {
    spec: Loss,
    dice: Dice,
    /// The fate of the segment before.
    lost: bool,
}

impl Behaviour {
    /// How much later the segment that begins here arrives.
    fn fate(&mut self, offset: u64) -> Duration {
        let mut draws = self.dice.number(offset).draws();
        // Both are drawn always, so that one parameter does not move the meaning of the draws behind it.
        let (follows, lost) = (draws.unit() < self.spec.correlation.get(), self.is_lost(&mut draws));
        self.lost = if follows { self.lost } else { lost };
        if !self.lost {
            return Duration::ZERO;
        }
        let mut rto = self.spec.rto.get();
        let mut later = rto;
        for _ in 0..DOUBLINGS {
            if !self.is_lost(&mut draws) {
                break;
            }
            rto = rto.saturating_mul(2);
            later = later.saturating_add(rto);
        }
        later
    }

    fn is_lost(&self, draws: &mut Draws) -> bool {
        draws.unit() < self.spec.rate.get()
    }
}

impl StreamFault for Behaviour {
    fn on_data(&mut self, mut segment: Segment, next: &mut Next<'_>) {
        while !segment.bytes.is_empty() {
            let later = self.fate(segment.offset);
            if !later.is_zero() {
                next.count(1);
                next.delayed(later);
            }
            let length = segment.bytes.len().min(SEGMENT);
            let piece = segment.split_to(length, segment.at + later);
            // What is behind a lost segment cannot be used before it.
            segment.at = piece.at;
            next.data(piece);
        }
    }
}
