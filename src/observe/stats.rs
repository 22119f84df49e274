//! Counters. They move when the thing happens, not when the connection ends, and cost one atomic addition.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use super::words::{Direction, Ending, Side};

/// What happened on one route since the start.
#[derive(Debug, Default)]
pub struct RouteStats {
    opened: AtomicU64,
    closed: [[AtomicU64; Side::ALL.len()]; Ending::ALL.len()],
    traffic: Traffic,
    connects: AtomicU64,
    connects_failed: AtomicU64,
    accept_errors: AtomicU64,
}

/// Bytes in each direction, as they were received and as they were sent on.
#[derive(Debug, Default)]
struct Traffic {
    received: [AtomicU64; 2],
    sent: [AtomicU64; 2],
}

impl RouteStats {
    /// A connection was accepted.
    pub(super) fn count_opened(&self) {
        self.opened.fetch_add(1, Relaxed);
    }

    /// A connection ended.
    pub(super) fn count_closed(&self, ending: Ending, side: Side) {
        self.closed[ending as usize][side as usize].fetch_add(1, Relaxed);
    }

    /// The upstream was reached, or was not.
    pub(super) fn count_connect(&self, reached: bool) {
        if reached { &self.connects } else { &self.connects_failed }.fetch_add(1, Relaxed);
    }

    /// The system refused to hand over a connection.
    pub(super) fn count_accept_error(&self) {
        self.accept_errors.fetch_add(1, Relaxed);
    }

    /// Connections accepted.
    pub fn opened(&self) -> u64 {
        self.opened.load(Relaxed)
    }

    /// Connections that ended so.
    pub fn closed(&self, ending: Ending, side: Side) -> u64 {
        self.closed[ending as usize][side as usize].load(Relaxed)
    }

    /// Connections that ended.
    pub fn closed_in_all(&self) -> u64 {
        self.closed.iter().flatten().map(|n| n.load(Relaxed)).sum()
    }

    /// Connections open now.
    pub fn active(&self) -> u64 {
        // Read the closed ones first: one that opens meanwhile is not counted below zero.
        let closed = self.closed_in_all();
        self.opened().saturating_sub(closed)
    }

    /// Connects to the upstream that succeeded, and that failed.
    pub fn connects(&self) -> (u64, u64) {
        (self.connects.load(Relaxed), self.connects_failed.load(Relaxed))
    }

    /// Failed accepts.
    pub fn accept_errors(&self) -> u64 {
        self.accept_errors.load(Relaxed)
    }

    /// Bytes received in this direction.
    pub fn received(&self, direction: Direction) -> u64 {
        self.traffic.received[direction as usize].load(Relaxed)
    }

    /// Bytes sent on in this direction.
    pub fn sent(&self, direction: Direction) -> u64 {
        self.traffic.sent[direction as usize].load(Relaxed)
    }
}

/// What one fault did.
#[derive(Debug, Default)]
pub struct FaultStats {
    fired: AtomicU64,
    amount: AtomicU64,
    delay_micros: AtomicU64,
}

impl FaultStats {
    /// It took effect on a connection.
    pub(super) fn count_fired(&self) {
        self.fired.fetch_add(1, Relaxed);
    }

    /// It acted upon so many bytes, segments or pieces.
    pub fn count_amount(&self, amount: u64) {
        self.amount.fetch_add(amount, Relaxed);
    }

    /// It made something come so much later.
    pub fn count_delay(&self, by: Duration) {
        self.delay_micros.fetch_add(u64::try_from(by.as_micros()).unwrap_or(u64::MAX), Relaxed);
    }

    /// How many bytes, segments or pieces it acted upon.
    pub fn amount(&self) -> u64 {
        self.amount.load(Relaxed)
    }

    /// The sum of what it added to the way of each piece.
    pub fn delay(&self) -> Duration {
        Duration::from_micros(self.delay_micros.load(Relaxed))
    }

    /// How often it took effect.
    pub fn fired(&self) -> u64 {
        self.fired.load(Relaxed)
    }
}

/// The bytes of one connection; what is counted here is counted on its route too.
#[derive(Debug)]
pub struct Meter {
    route: Arc<RouteStats>,
    own: Traffic,
}

impl Meter {
    /// For a new connection of this route.
    pub fn new(route: Arc<RouteStats>) -> Self {
        Meter { route, own: Traffic::default() }
    }

    /// Bytes came in.
    pub fn count_received(&self, direction: Direction, bytes: usize) {
        self.own.received[direction as usize].fetch_add(bytes as u64, Relaxed);
        self.route.traffic.received[direction as usize].fetch_add(bytes as u64, Relaxed);
    }

    /// Bytes were handed on.
    pub fn count_sent(&self, direction: Direction, bytes: usize) {
        self.own.sent[direction as usize].fetch_add(bytes as u64, Relaxed);
        self.route.traffic.sent[direction as usize].fetch_add(bytes as u64, Relaxed);
    }

    /// Bytes received in this direction.
    pub fn received(&self, direction: Direction) -> u64 {
        self.own.received[direction as usize].load(Relaxed)
    }

    /// Bytes sent on in this direction.
    pub fn sent(&self, direction: Direction) -> u64 {
        self.own.sent[direction as usize].load(Relaxed)
    }
}
