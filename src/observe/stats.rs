//! Counters. They move when the thing happens, not when the connection ends, and cost one atomic addition.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::histogram::{Histogram, Snapshot};
use super::words::{AcceptError, ConnectResult, Direction, Ending, Side};

/// Bounds for the time it takes to reach an upstream: from the same machine to another continent to a time limit.
const TO_CONNECT: [Duration; 15] = micros([
    500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 2_500_000,
    5_000_000, 10_000_000, 30_000_000,
]);

/// Bounds for the life of a connection: from a request to a day.
const TO_LIVE: [Duration; 15] = micros([
    1_000,
    10_000,
    100_000,
    500_000,
    1_000_000,
    5_000_000,
    10_000_000,
    30_000_000,
    60_000_000,
    300_000_000,
    600_000_000,
    1_800_000_000,
    3_600_000_000,
    21_600_000_000,
    86_400_000_000,
]);

const fn micros<const N: usize>(micros: [u64; N]) -> [Duration; N] {
    let mut durations = [Duration::ZERO; N];
    let mut i = 0;
    while i < N {
        durations[i] = Duration::from_micros(micros[i]);
        i += 1;
    }
    durations
}

/// What happened on one route since the start.
#[derive(Debug)]
pub struct RouteStats {
    opened: AtomicU64,
    closed: [[AtomicU64; Side::ALL.len()]; Ending::ALL.len()],
    traffic: Traffic,
    connects: Mutex<Connects>,
    connect_time: Histogram,
    accept_errors: [AtomicU64; AcceptError::ALL.len()],
    duration: Histogram,
}

/// Bytes in each direction, as they were received and as they were sent on.
#[derive(Debug, Default)]
struct Traffic {
    received: [AtomicU64; 2],
    sent: [AtomicU64; 2],
}

/// Upstreams dialled, those from before a change of the route included.
#[derive(Debug, Default)]
struct Connects {
    /// The latest ones, by what the route called them.
    by_upstream: Vec<(Arc<str>, [u64; ConnectResult::ALL.len()])>,
    /// Those before them, together.
    earlier: [u64; ConnectResult::ALL.len()],
}

/// So many upstreams of a route are told apart.
const MOST_UPSTREAMS: usize = 32;

impl Connects {
    fn count(&mut self, upstream: &Arc<str>, result: ConnectResult) {
        let known = self.by_upstream.iter_mut().find(|(name, _)| name == upstream);
        if let Some((_, counts)) = known {
            counts[result as usize] += 1;
            return;
        }
        if self.by_upstream.len() >= MOST_UPSTREAMS {
            let (_, counts) = self.by_upstream.remove(0);
            self.earlier.iter_mut().zip(counts).for_each(|(sum, count)| *sum += count);
        }
        let mut counts = [0; ConnectResult::ALL.len()];
        counts[result as usize] = 1;
        self.by_upstream.push((upstream.clone(), counts));
    }
}

impl Default for RouteStats {
    fn default() -> Self {
        RouteStats {
            opened: AtomicU64::default(),
            closed: Default::default(),
            traffic: Traffic::default(),
            connects: Mutex::default(),
            connect_time: Histogram::new(&TO_CONNECT),
            accept_errors: Default::default(),
            duration: Histogram::new(&TO_LIVE),
        }
    }
}

impl RouteStats {
    /// A connection was accepted.
    pub(super) fn count_opened(&self) {
        self.opened.fetch_add(1, Relaxed);
    }

    /// A connection ended.
    pub(super) fn count_closed(&self, ending: Ending, side: Side, duration: Duration) {
        self.closed[ending as usize][side as usize].fetch_add(1, Relaxed);
        self.duration.count(duration);
    }

    /// The upstream was reached.
    pub(super) fn count_connected(&self, upstream: &Arc<str>, duration: Duration) {
        self.count_connect(upstream, ConnectResult::Ok);
        self.connect_time.count(duration);
    }

    /// Dialling the upstream came to this.
    pub(super) fn count_connect(&self, upstream: &Arc<str>, result: ConnectResult) {
        self.connects.lock().unwrap_or_else(PoisonError::into_inner).count(upstream, result);
    }

    /// The system refused to hand over a connection.
    pub(super) fn count_accept_error(&self, reason: AcceptError) {
        self.accept_errors[reason as usize].fetch_add(1, Relaxed);
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

    /// How long connections lived that ended.
    pub fn duration(&self) -> Snapshot {
        self.duration.snapshot()
    }

    /// Connects that came to this, whatever the upstream.
    pub fn connects(&self, result: ConnectResult) -> u64 {
        let connects = self.connects.lock().unwrap_or_else(PoisonError::into_inner);
        let counts = connects.by_upstream.iter().map(|(_, counts)| counts).chain([&connects.earlier]);
        counts.map(|counts| counts[result as usize]).sum()
    }

    /// Connects by upstream, each with a count for every result in the order of [`ConnectResult::ALL`]. Of many upstreams
    /// only the latest are told apart: the others stand under `…`.
    pub fn connects_by_upstream(&self) -> Vec<(Arc<str>, [u64; ConnectResult::ALL.len()])> {
        let connects = self.connects.lock().unwrap_or_else(PoisonError::into_inner);
        let mut all = connects.by_upstream.clone();
        if connects.earlier.iter().any(|count| *count > 0) {
            all.push(("…".into(), connects.earlier));
        }
        all
    }

    /// How long it took to reach the upstream, where it was reached.
    pub fn connect_time(&self) -> Snapshot {
        self.connect_time.snapshot()
    }

    /// Accepts that failed for this reason.
    pub fn accept_errors(&self, reason: AcceptError) -> u64 {
        self.accept_errors[reason as usize].load(Relaxed)
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
    delayed: AtomicU64,
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
        self.delayed.fetch_add(1, Relaxed);
        self.delay_micros.fetch_add(u64::try_from(by.as_micros()).unwrap_or(u64::MAX), Relaxed);
    }

    /// Adds what another did that is gone.
    pub(crate) fn absorb(&self, other: &FaultStats) {
        for (sum, count) in [
            (&self.fired, &other.fired),
            (&self.amount, &other.amount),
            (&self.delayed, &other.delayed),
            (&self.delay_micros, &other.delay_micros),
        ] {
            sum.fetch_add(count.load(Relaxed), Relaxed);
        }
    }

    /// How many bytes, segments or pieces it acted upon.
    pub fn amount(&self) -> u64 {
        self.amount.load(Relaxed)
    }

    /// How many pieces it made come later.
    pub fn delayed(&self) -> u64 {
        self.delayed.load(Relaxed)
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
