//! The end of every chain: bytes that wait for their time, in order, and the ending behind them.
//!
//! It outlives the plan: whatever happens to the faults, what is held here is never lost and never reordered.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::{Buf, BytesMut};
use tokio::time::Instant;

use super::stream::{Cut, Ending, FAR, Segment};

/// The queue of one direction.
#[derive(Debug, Default)]
pub struct Held {
    queue: VecDeque<(Instant, BytesMut)>,
    bytes: usize,
    last: Option<Instant>,
    fin: Option<Instant>,
    cut: Option<Ending>,
}

/// Which fault of a chain.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LinkId(pub(super) u32);

/// What may happen now at the front.
#[derive(Debug, PartialEq, Eq)]
pub enum Front<'a> {
    /// These bytes may be written, as one write.
    Bytes(&'a [u8]),
    /// Everything is written and the peer's FIN may be passed on.
    Fin,
    /// A fault ends the connection.
    Cut(Cut, LinkId),
    /// Nothing before this moment.
    Later(Instant),
    /// Nothing is held.
    Empty,
}

impl Held {
    /// Bytes join the queue.
    pub(super) fn push(&mut self, segment: Segment) {
        if segment.bytes.is_empty() || self.fin.is_some() {
            return;
        }
        let at = self.in_order(segment.at);
        self.bytes += segment.bytes.len();
        self.queue.push_back((at, segment.bytes));
    }

    /// The peer's FIN joins the queue.
    pub(super) fn fin(&mut self, at: Instant) {
        let at = self.in_order(at);
        self.fin.get_or_insert(at);
    }

    /// A fault ends the connection. The first one stands, unless a later one does not wait.
    pub(super) fn cut(&mut self, mut ending: Ending) {
        if self.cut.is_none() || !ending.cut.waits() {
            if ending.cut.waits() {
                ending.at = self.in_order(ending.at);
            }
            self.cut = Some(ending);
        }
    }

    /// TCP never reorders: what comes later never leaves earlier.
    fn in_order(&mut self, at: Instant) -> Instant {
        let at = self.last.map_or(at, |last| last.max(at));
        self.last = Some(at);
        at
    }

    /// What may happen now.
    pub fn front(&self, now: Instant) -> Front<'_> {
        if let Some(Ending { at, cut, by }) = self.cut
            && (self.queue.is_empty() || !cut.waits())
        {
            return if at <= now { Front::Cut(cut, by) } else { Front::Later(at) };
        }
        match (self.queue.front(), self.fin) {
            (Some((at, bytes)), _) if *at <= now => Front::Bytes(bytes),
            (None, Some(at)) if at <= now => Front::Fin,
            (Some((at, _)), _) => Front::Later(*at),
            (None, Some(at)) => Front::Later(at),
            (None, None) => Front::Empty,
        }
    }

    /// So many bytes of the front were written.
    pub fn wrote(&mut self, count: usize) {
        if let Some((_, bytes)) = self.queue.front_mut() {
            let count = count.min(bytes.len());
            bytes.advance(count);
            self.bytes -= count;
            if bytes.is_empty() {
                self.queue.pop_front();
            }
        }
    }

    /// The FIN was passed on.
    pub fn passed_fin(&mut self) {
        self.fin = None;
    }

    /// Bytes that wait.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.queue.is_empty() && self.fin.is_none() && self.cut.is_none()
    }

    /// Until when something is held back on purpose; none when nothing is, or when no one knows.
    pub fn known_until(&self, now: Instant) -> Option<Instant> {
        let front = self.queue.front().map(|(at, _)| *at).or(self.fin)?;
        let unknown = now + FAR / 2;
        (front > now && front < unknown).then_some(front)
    }

    /// The plan has changed in a way that frees what it held: everything may go now, in order. An ending that a fault
    /// had in mind is called off; the peer's own is kept.
    pub(super) fn release(&mut self, now: Instant) {
        for (at, _) in &mut self.queue {
            *at = (*at).min(now);
        }
        self.fin = self.fin.map(|at| at.min(now));
        self.last = self.last.map(|last| last.min(now));
    }

    /// Calls an injected ending off.
    pub(super) fn call_off(&mut self) {
        self.cut = None;
    }

    /// Who is about to end the connection.
    pub(super) fn cut_by(&self) -> Option<LinkId> {
        self.cut.map(|ending| ending.by)
    }

    /// Frees the memory of a queue that grew and is empty.
    pub(super) fn shrink(&mut self) {
        if self.queue.is_empty() {
            self.queue = VecDeque::new();
        }
    }
}

/// The time that means: until something changes.
pub fn far_from(now: Instant) -> Instant {
    now.checked_add(FAR).unwrap_or(now + Duration::from_secs(86_400))
}
