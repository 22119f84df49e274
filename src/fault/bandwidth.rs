//! `bandwidth`: bytes leave no faster than a rate, paced by absolute time, so that nothing drifts.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::link::Next;
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
    #[serde(default)]
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
        let shared = self.shared == Shared::Route;
        Box::new(Behaviour {
            rate,
            burst,
            pacer,
            lead: Duration::ZERO,
            arrives: None,
            turn_over: None,
            shared,
        })
    }
}

/// What may leave at once where nothing else is said.
const BURST: Duration = Duration::from_millis(10);

/// How far ahead of their turn bytes are read.
const AHEAD: Duration = Duration::from_millis(20);

/// So long before its bytes have left, a connection that shares a rate may read again: soon enough that a timer which
/// comes late leaves no gap.
const TURN_ENDS: Duration = Duration::from_millis(4);

/// A piece is no larger than this, or than what a short time carries, so that what is written keeps moving, and a fast
/// rate does not have to be woken for each little bit of it.
const PIECE: u64 = 64 * 1024;

/// That time.
const SHORT: Duration = Duration::from_millis(2);

/// The state of a rate: a bucket of tokens that fills evenly.
#[derive(Debug, Default)]
pub struct Pacer {
    /// When the bucket will be full again; none before its first use.
    full_at: Option<Instant>,
    /// What is missing to that in parts of a nanosecond: so many of as many as there are bytes in a second.
    rest: u64,
}

impl Pacer {
    /// When so many bytes may leave that are there at `at`.
    fn grant(&mut self, at: Instant, count: u64, rate: u64, burst: u64) -> Instant {
        let full_at = match self.full_at {
            Some(full_at) if full_at >= at => full_at,
            _ => {
                self.rest = 0;
                at
            }
        };
        // There are enough tokens when no more than `burst - count` are missing.
        let leaves =
            full_at.checked_sub(takes(burst - count.min(burst), rate)).map_or(at, |leaves| leaves.max(at));
        // Parts of a nanosecond count too, or a fast rate would be faster still.
        let parts = u128::from(count) * 1_000_000_000 + u128::from(self.rest);
        self.rest = (parts % u128::from(rate)) as u64;
        self.full_at = Some(full_at + nanos(parts / u128::from(rate)));
        leaves
    }

    /// Bytes that were to arrive `lead` after `now` have arrived now.
    fn hasten(&mut self, now: Instant, lead: Duration) {
        let earlier = |full_at: Instant| full_at.checked_sub(lead).map_or(now, |full_at| full_at.max(now));
        self.full_at = self.full_at.map(|full_at| if lead.is_zero() { full_at } else { earlier(full_at) });
    }

    /// When the next byte may leave.
    fn next(&self, rate: u64, burst: u64) -> Option<Instant> {
        self.full_at?.checked_sub(takes(burst - 1, rate))
    }
}

/// How long so many bytes take.
fn takes(count: u64, rate: u64) -> Duration {
    nanos(u128::from(count) * 1_000_000_000 / u128::from(rate))
}

/// Cut off where no clock would overflow.
fn nanos(nanos: u128) -> Duration {
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
    /// When the last bytes arrive that were read.
    arrives: Option<Instant>,
    /// Where the rate is shared: when the last of its own bytes leaves. Before that others have their turn.
    turn_over: Option<Instant>,
    shared: bool,
}

impl Behaviour {
    /// How much leaves at once.
    fn piece(&self) -> u64 {
        carried(self.rate, SHORT).max(PIECE).min(self.burst)
    }

    fn pacer(&self) -> MutexGuard<'_, Pacer> {
        self.pacer.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl StreamFault for Behaviour {
    fn on_data(&mut self, mut segment: Segment, next: &mut Next<'_>) {
        let arrives = segment.at;
        // What is shared is paced as it is read: a delay that only some connections have must not hold up the others.
        let later = arrives.saturating_duration_since(next.now());
        let (paced, later) = if self.shared { (next.now(), later) } else { (arrives, Duration::ZERO) };
        if !self.shared {
            self.lead = arrives.saturating_duration_since(next.now());
            self.arrives = Some(arrives);
        }
        while !segment.bytes.is_empty() {
            let count = (segment.bytes.len() as u64).min(self.piece());
            // Held for one grant only, never while the rest of the chain is at work.
            let granted = self.pacer().grant(paced, count, self.rate, self.burst);
            let at = granted + later;
            if at > arrives {
                next.delayed(at - arrives);
            }
            self.turn_over = self.shared.then_some(granted);
            next.data(segment.split_to(count as usize, at));
        }
    }

    fn on_release(&mut self, now: Instant, _next: &mut Next<'_>) {
        self.lead = Duration::ZERO;
        self.turn_over = None;
        if let Some(arrives) = self.arrives.take() {
            self.pacer().hasten(now, arrives.saturating_duration_since(now));
        }
    }

    fn intake(&self, now: Instant) -> Intake {
        if let Some(over) = self.turn_over
            && over > now + self.lead + TURN_ENDS
        {
            return Intake::From(over - self.lead - TURN_ENDS);
        }
        let next = self.pacer().next(self.rate, self.burst);
        match next {
            Some(next) if next > now + self.lead + AHEAD => Intake::From(next - self.lead - AHEAD),
            _ => {
                let soon = carried(self.rate, AHEAD + BURST).max(1).max(self.piece());
                Intake::AtMost(usize::try_from(soon).unwrap_or(usize::MAX))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::lab::{Lab, Out, active, bytes_from, joined, ms, sizes};
    use super::*;

    #[test]
    fn the_schedule_is_exact() {
        // 1 MB/s: a burst is what 10 ms carry, 10,000 bytes, and the next leaves when it is there again.
        let mut lab = Lab::new([json!({"bandwidth": {"rate": "1MB/s"}})]);
        lab.send_in(35_000, 100_000).finish();
        let events = lab.events();
        let expected = [(ms(0), 10_000), (ms(10), 10_000), (ms(20), 10_000), (ms(25), 5_000)];
        assert_eq!(sizes(&events), expected);
        assert_eq!(events.last(), Some(&(ms(25), Out::Fin)));
        assert_eq!(joined(&events), bytes_from(0, 35_000));
    }

    #[test]
    fn a_burst_leaves_at_once_after_a_pause_and_no_more_than_it() {
        let mut lab = Lab::new([json!({"bandwidth": {"rate": "1000B/s", "burst": "500B"}})]);
        lab.send_in(700, 700).run_to(ms(5_000));
        lab.send_in(600, 600);
        // The burst at once, the rest when as much has come together again.
        let expected = [(ms(0), 500), (ms(200), 200), (ms(5_000), 500), (ms(5_100), 100)];
        assert_eq!(sizes(&lab.events()), expected);
    }

    /// Of a fast rate a piece is what two milliseconds carry: a wake-up for each 64 KiB would be 1,500 a second here.
    #[test]
    fn a_fast_rate_leaves_in_large_pieces_and_as_exactly() {
        let mut lab = Lab::new([json!({"bandwidth": {"rate": "100MB/s"}})]);
        lab.send_in(2_000_000, 400_000);
        let times = [0, 0, 0, 0, 0, 2, 4, 6, 8, 10];
        assert_eq!(sizes(&lab.events()), times.map(|at| (ms(at), 200_000)));
    }

    #[test]
    fn nothing_drifts_over_a_million_pieces() {
        // Rates at which a piece does not take a whole number of nanoseconds.
        for (rate, piece) in [(3, 1), (300_000_000, 1), (600_000_000, 7), (999_999_999, 1460), (7_777, 64)] {
            let (mut pacer, start) = (Pacer::default(), Instant::now());
            let mut leaves = start;
            for _ in 0..1_000_000 {
                leaves = pacer.grant(start, piece, rate, piece);
            }
            let exact = u128::from(piece) * 999_999 * 1_000_000_000 / u128::from(rate);
            assert!((leaves - start).as_nanos().abs_diff(exact) <= 1, "{rate}: {:?}", leaves - start);
        }
    }

    #[test]
    fn one_byte_a_second_does_not_hang_an_ending() {
        let mut lab = Lab::new([json!({"bandwidth": {"rate": "1B/s"}})]);
        lab.send([1, 2, 3]).finish();
        let bytes = |second: u64, byte| (ms(1000 * second), Out::Bytes(vec![byte]));
        assert_eq!(lab.events(), [bytes(0, 1), bytes(1, 2), bytes(2, 3), (ms(2000), Out::Fin)]);
    }

    #[test]
    fn the_sender_feels_it() {
        let mut lab = Lab::new([json!({"bandwidth": {"rate": "100kB/s"}})]);
        lab.send_in(1_000_000, 65_536).run_to(ms(1_000));
        let left = lab.unread();
        // What one second carries, and what is read ahead of its turn.
        assert!((890_000..=900_000).contains(&left), "{left}");
        assert!(lab.peak <= 6_000, "{}", lab.peak);
    }

    #[test]
    fn a_shared_rate_is_shared() {
        let fault = active(json!({"bandwidth": {"rate": "100kB/s", "shared": "route"}}), 1);
        let mut labs: Vec<Lab> = (0..4).map(|_| Lab::of(std::slice::from_ref(&fault))).collect();
        let start = labs[0].start;
        for lab in &mut labs {
            (lab.start, lab.now) = (start, start);
            lab.send_in(1_000_000, 4096);
        }
        for millis in 0..=4_000 {
            // Whoever looks first when there is something to take takes it.
            labs.rotate_left(1);
            labs.iter_mut().for_each(|lab| _ = lab.run_to(ms(millis)));
        }
        let written: Vec<usize> = labs.iter().map(|lab| lab.written().len()).collect();
        let all: usize = written.iter().sum();
        // Four seconds and the burst; no more, and no less than what is not yet due of the pieces in line.
        assert!((396_000..=401_000).contains(&all), "{all}");
        assert!(written.iter().all(|bytes| *bytes > 60_000), "{written:?}");
    }

    /// Were it not for the turns, who always looks first would take everything.
    #[test]
    fn who_looks_first_does_not_take_all_of_a_shared_rate() {
        let fault = active(json!({"bandwidth": {"rate": "100kB/s", "shared": "route"}}), 1);
        let mut labs: Vec<Lab> = (0..4).map(|_| Lab::of(std::slice::from_ref(&fault))).collect();
        let start = labs[0].start;
        for lab in &mut labs {
            (lab.start, lab.now) = (start, start);
            lab.send_in(1_000_000, 4096);
        }
        for millis in 0..=4_000 {
            labs.iter_mut().for_each(|lab| _ = lab.run_to(ms(millis)));
        }
        let written: Vec<usize> = labs.iter().map(|lab| lab.written().len()).collect();
        assert!((396_000..=401_000).contains(&written.iter().sum::<usize>()), "{written:?}");
        assert!(written.iter().all(|bytes| *bytes < 200_000), "{written:?}");
    }

    #[test]
    fn latency_before_or_behind_it_only_moves_the_schedule() {
        let rate = json!({"bandwidth": {"rate": "1MB/s"}});
        let latency = json!({"latency": {"delay": "300ms"}});
        for order in [[rate.clone(), latency.clone()], [latency, rate]] {
            let mut lab = Lab::new(order);
            lab.send_in(1_000_000, 1000).finish();
            let events = lab.events();
            // The last thousand bytes leave when all have been earned, but for the burst of ten pieces.
            assert_eq!(events.last(), Some(&(ms(300 + 990), Out::Fin)));
            assert_eq!(sizes(&events).first(), Some(&(ms(300), 1000)));
            assert_eq!(joined(&events), bytes_from(0, 1_000_000));
            let early = sizes(&events).into_iter().scan(0, |sum, (at, size)| {
                *sum += size;
                Some((at, *sum))
            });
            for (at, sum) in early {
                assert!(sum as u128 <= 10_000 + (at - ms(300)).as_micros(), "{sum} at {at:?}");
            }
        }
    }

    /// What was promised for bytes that have been released early is no debt of those that follow.
    #[test]
    fn a_latency_taken_away_in_front_of_it_leaves_no_pause_behind() {
        let latency = active(json!({"latency": {"delay": "10s"}}), 1);
        let rate = active(json!({"bandwidth": {"rate": "1MB/s"}}), 1);
        let mut lab = Lab::of(&[latency, rate.clone()]);
        lab.send_in(20_000, 5_000).run_to(ms(100));
        lab.adopt(&[rate]);
        lab.send_in(20_000, 20_000);
        let events = lab.events();
        assert_eq!(joined(&events), bytes_from(0, 40_000));
        assert_eq!(events.last().map(|(at, _)| *at), Some(ms(130)));
    }
}
