//! `bandwidth`: bytes leave no faster than a rate, paced by absolute time, so that nothing drifts.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::chain::Next;
use super::stream::{Build, Intake, Segment, StreamFault};
use crate::spec::{Rate, Size};

/// Paced by absolute time, no drift; back-pressure reaches the sender.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Bandwidth {
    /// How fast: 64KiB/s, 10Mbit/s.
    pub rate: Rate,
    /// How much may leave at once after a pause. Left out: what 10 ms carry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Size")]
    pub burst: Option<Size>,
    /// Whether each connection has this rate, or all of the route share it.
    #[serde(default, skip_serializing_if = "Shared::is_default")]
    pub shared: Shared,
}

/// Who shares a rate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Shared {
    /// Each connection has the rate for itself.
    #[default]
    Connection,
    /// All connections of the route share it.
    Route,
}

impl Shared {
    fn is_default(&self) -> bool {
        *self == Shared::Connection
    }
}

impl Bandwidth {
    /// What becomes of a connection, as words that follow "is".
    pub fn says(&self) -> String {
        match self.shared {
            Shared::Connection => format!("held to {}", self.rate),
            Shared::Route => format!("held to {}, shared with all others of the route", self.rate),
        }
    }

    /// The same for a cell of a table.
    pub fn brief(&self) -> String {
        match self.shared {
            Shared::Connection => format!("bandwidth {}", self.rate),
            Shared::Route => format!("bandwidth {} shared", self.rate),
        }
    }

    pub(super) fn build(&self, build: &Build<'_>) -> Box<dyn StreamFault> {
        let pacer = match self.shared {
            Shared::Connection => Arc::default(),
            Shared::Route => build.pacer.clone(),
        };
        let rate = self.rate.bytes_per_second().max(1);
        let burst = self.burst.map_or_else(|| carried(rate, BURST), Size::bytes).max(1);
        Box::new(Behaviour { rate, burst, pacer, lead: Duration::ZERO })
    }
}

/// What may leave at once where nothing else is said.
const BURST: Duration = Duration::from_millis(10);

/// How far ahead of their turn bytes are read.
const AHEAD: Duration = Duration::from_millis(20);

/// A piece is no larger than this, so that what is written keeps moving.
const PIECE: u64 = 64 * 1024;

/// The state of a rate: a bucket of tokens that fills evenly.
#[derive(Debug, Default)]
pub struct Pacer {
    /// When the bucket will be full again; none before its first use.
    full_at: Option<Instant>,
}

impl Pacer {
    /// When so many bytes may leave that are there at `at`.
    fn grant(&mut self, at: Instant, count: u64, rate: u64, burst: u64) -> Instant {
        let full_at = self.full_at.map_or(at, |full_at| full_at.max(at));
        // There are enough tokens when no more than `burst - count` are missing.
        let leaves =
            full_at.checked_sub(takes(burst - count.min(burst), rate)).map_or(at, |leaves| leaves.max(at));
        self.full_at = Some(full_at + takes(count, rate));
        leaves
    }

    /// When the next byte may leave.
    fn next(&self, rate: u64, burst: u64) -> Option<Instant> {
        self.full_at?.checked_sub(takes(burst - 1, rate))
    }
}

/// How long so many bytes take.
fn takes(count: u64, rate: u64) -> Duration {
    let nanos = u128::from(count) * 1_000_000_000 / u128::from(rate);
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX / 4).min(u64::MAX / 4))
}

/// How many bytes a time carries.
fn carried(rate: u64, time: Duration) -> u64 {
    u64::try_from(u128::from(rate) * time.as_nanos() / 1_000_000_000).unwrap_or(u64::MAX)
}

pub(super) struct Behaviour {
    rate: u64,
    burst: u64,
    pacer: Arc<Mutex<Pacer>>,
    /// How far in the future the bytes come that are read now: faults before this one may delay them.
    lead: Duration,
}

impl Behaviour {
    fn pacer(&self) -> MutexGuard<'_, Pacer> {
        self.pacer.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl StreamFault for Behaviour {
    fn on_data(&mut self, mut segment: Segment, next: &mut Next<'_>) {
        self.lead = segment.at.saturating_duration_since(next.now());
        let arrives = segment.at;
        while !segment.bytes.is_empty() {
            let count = (segment.bytes.len() as u64).min(self.burst).min(PIECE);
            // Held for one grant only, never while the rest of the chain is at work.
            let at = self.pacer().grant(arrives, count, self.rate, self.burst);
            if at > arrives {
                next.delayed(at - arrives);
            }
            next.data(segment.split_to(count as usize, at));
        }
    }

    fn intake(&self, now: Instant) -> Intake {
        let next = self.pacer().next(self.rate, self.burst);
        match next {
            Some(next) if next > now + self.lead + AHEAD => Intake::From(next - self.lead - AHEAD),
            _ => {
                let soon = carried(self.rate, AHEAD + BURST).max(1).max(self.burst.min(PIECE));
                Intake::AtMost(usize::try_from(soon).unwrap_or(usize::MAX))
            }
        }
    }
}
