//! What a fault keeps to itself until it is taken away: bytes and endings, in order.

use tokio::time::Instant;

use super::held::LinkId;
use super::link::Next;
use super::stream::{Ending, Segment};

/// Bytes, and what comes behind them.
#[derive(Debug, Default)]
pub struct Kept {
    segments: Vec<Segment>,
    bytes: usize,
    fin: Option<Instant>,
    ending: Option<Ending>,
}

impl Kept {
    pub(super) fn data(&mut self, segment: Segment) {
        if !segment.bytes.is_empty() {
            self.bytes += segment.bytes.len();
            self.segments.push(segment);
        }
    }

    pub(super) fn fin(&mut self, at: Instant) {
        self.fin.get_or_insert(at);
    }

    pub(super) fn ending(&mut self, ending: Ending) {
        self.ending.get_or_insert(ending);
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn is_empty(&self) -> bool {
        self.segments.is_empty() && self.fin.is_none() && self.ending.is_none()
    }

    /// The offset of the first thing in it; a FIN is behind all.
    pub(super) fn first(&self) -> u64 {
        match self.segments.first() {
            Some(segment) => segment.offset,
            None if self.ending.is_some() => 0,
            None => u64::MAX,
        }
    }

    /// What keeping costs in memory: the bytes, and the notes of where they belong.
    pub(super) fn cost(&self) -> usize {
        self.bytes() + self.segments.len() * size_of::<Segment>()
    }

    /// Hands everything on, no earlier than `at`.
    pub(super) fn release(&mut self, at: Instant, next: &mut Next<'_>) {
        self.bytes = 0;
        for mut segment in self.segments.drain(..) {
            segment.at = segment.at.max(at);
            next.data(segment);
        }
        if let Some(fin) = self.fin.take() {
            next.fin(fin.max(at));
        }
        if let Some(ending) = self.ending.take() {
            next.ending(Ending { at: ending.at.max(at), ..ending });
        }
    }

    /// What was on its way to here comes now.
    pub(super) fn hasten(&mut self, now: Instant) {
        for segment in &mut self.segments {
            segment.at = segment.at.min(now);
        }
        self.fin = self.fin.map(|at| at.min(now));
        if let Some(ending) = &mut self.ending {
            ending.at = ending.at.min(now);
        }
    }

    /// Calls an ending off whose fault is gone.
    pub(super) fn call_off(&mut self, gone: impl Fn(LinkId) -> bool) {
        self.ending.take_if(|ending| gone(ending.by));
    }
}
