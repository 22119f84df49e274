//! What a fault keeps to itself until it is taken away: bytes and endings, in order.

use tokio::time::Instant;

use super::chain::Next;
use super::stream::{Ending, Segment};

/// Bytes, and what comes behind them.
#[derive(Debug, Default)]
pub(super) struct Kept {
    segments: Vec<Segment>,
    fin: bool,
    ending: Option<Ending>,
}

impl Kept {
    pub(super) fn data(&mut self, segment: Segment) {
        if !segment.bytes.is_empty() {
            self.segments.push(segment);
        }
    }

    pub(super) fn fin(&mut self) {
        self.fin = true;
    }

    pub(super) fn ending(&mut self, ending: Ending) {
        self.ending.get_or_insert(ending);
    }

    pub(super) fn bytes(&self) -> usize {
        self.segments.iter().map(|segment| segment.bytes.len()).sum()
    }

    /// Hands everything on, no earlier than `at`.
    pub(super) fn release(&mut self, at: Instant, next: &mut Next<'_>) {
        for mut segment in self.segments.drain(..) {
            segment.at = segment.at.max(at);
            next.data(segment);
        }
        if std::mem::take(&mut self.fin) {
            next.fin(at);
        }
        if let Some(ending) = self.ending.take() {
            next.ending(Ending { at: ending.at.max(at), ..ending });
        }
    }
}
