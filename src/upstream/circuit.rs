//! When a breaker opens, and when it closes again: a state machine that is handed the time and has no lock.
//!
//! Closed, every dial passes, and its result is remembered. By count: so many failures one after the other open it, as
//! long as the first of them is not longer ago than the window; a success forgets them. By share: the dials of the window
//! are counted in ten buckets, so it looks back between nine and ten tenths of the window, and a failure opens it when
//! there are enough dials and enough of them failed. Open, nothing passes until its time is over. Half-open, as many
//! dials pass as there are probes, and no more until they have answered: if all succeed it closes and remembers
//! nothing, and the first that fails opens it again.
//!
//! A dial that began before a change says nothing about the time after it: its result does not count.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

use super::{BreakerConfig, Trip};
use crate::observe::BreakerState;

/// The window is counted in so many parts.
const BUCKETS: u32 = 10;

/// The time between two changes. Leave is given in one, and a result counts only in the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Era(u64);

/// What came of a dial that had leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// It reached the endpoint.
    Succeeded,
    /// It did not.
    Failed,
    /// Nobody knows: it was given up.
    Unknown,
}

/// A breaker's state and memory.
#[derive(Debug)]
pub(super) struct Circuit {
    config: BreakerConfig,
    era: u64,
    phase: Phase,
}

#[derive(Debug)]
enum Phase {
    Closed(Memory),
    Open { since: Instant },
    HalfOpen { given: u32, succeeded: u32 },
}

/// What is remembered of the dials while it is closed.
#[derive(Debug)]
enum Memory {
    /// The failures since the last success, the oldest first.
    Row(VecDeque<Instant>),
    /// The dials of the window, the oldest part first.
    Buckets(VecDeque<Bucket>),
}

#[derive(Debug)]
struct Bucket {
    since: Instant,
    dials: u64,
    failed: u64,
}

impl Circuit {
    /// A closed one.
    pub(super) fn new(config: BreakerConfig) -> Self {
        let phase = Phase::Closed(Memory::new(config.trip));
        Circuit { config, era: 0, phase }
    }

    /// How it stands. Open is over when its time is, though nobody has asked for leave yet.
    pub(super) fn state(&self, now: Instant) -> BreakerState {
        match self.phase {
            Phase::Closed(_) => BreakerState::Closed,
            Phase::Open { since } if self.is_open_since(since, now) => BreakerState::Open,
            Phase::Open { .. } | Phase::HalfOpen { .. } => BreakerState::HalfOpen,
        }
    }

    /// Leave to dial, if it gives any, and the state it has changed to, if it has.
    pub(super) fn pass(&mut self, now: Instant) -> (Option<Era>, Option<BreakerState>) {
        let mut changed = None;
        if let Phase::Open { since } = self.phase
            && !self.is_open_since(since, now)
        {
            self.enter(Phase::HalfOpen { given: 0, succeeded: 0 });
            changed = Some(BreakerState::HalfOpen);
        }
        let leave = match &mut self.phase {
            Phase::Closed(_) => true,
            Phase::Open { .. } => false,
            Phase::HalfOpen { given, .. } => {
                let free = *given < probes(&self.config);
                *given += u32::from(free);
                free
            }
        };
        (leave.then_some(Era(self.era)), changed)
    }

    /// A dial that had leave is over. Says the state it has changed to, if it has.
    pub(super) fn over(&mut self, era: Era, outcome: Outcome, now: Instant) -> Option<BreakerState> {
        if era != Era(self.era) {
            return None;
        }
        match (&mut self.phase, outcome) {
            (Phase::Closed(memory), Outcome::Succeeded) => {
                memory.succeeded(&self.config, now);
                None
            }
            (Phase::Closed(memory), Outcome::Failed) => memory
                .failed(&self.config, now)
                .then(|| self.enter(Phase::Open { since: now }))
                .map(|()| BreakerState::Open),
            (Phase::HalfOpen { succeeded, .. }, Outcome::Succeeded) => {
                *succeeded += 1;
                (*succeeded >= probes(&self.config))
                    .then(|| self.enter(Phase::Closed(Memory::new(self.config.trip))))
                    .map(|()| BreakerState::Closed)
            }
            (Phase::HalfOpen { .. }, Outcome::Failed) => {
                self.enter(Phase::Open { since: now });
                Some(BreakerState::Open)
            }
            (Phase::HalfOpen { given, .. }, Outcome::Unknown) => {
                *given = given.saturating_sub(1);
                None
            }
            (Phase::Closed(_), Outcome::Unknown) | (Phase::Open { .. }, _) => None,
        }
    }

    fn enter(&mut self, phase: Phase) {
        self.phase = phase;
        self.era += 1;
    }

    fn is_open_since(&self, since: Instant, now: Instant) -> bool {
        now.saturating_duration_since(since) < self.config.open
    }
}

/// With none it would never close again.
fn probes(config: &BreakerConfig) -> u32 {
    config.probes.max(1)
}

impl Memory {
    fn new(trip: Trip) -> Self {
        match trip {
            Trip::Failures(_) => Memory::Row(VecDeque::new()),
            Trip::Share { .. } => Memory::Buckets(VecDeque::new()),
        }
    }

    fn succeeded(&mut self, config: &BreakerConfig, now: Instant) {
        match self {
            Memory::Row(row) => row.clear(),
            Memory::Buckets(buckets) => count(buckets, config.window, now, 0),
        }
    }

    /// Whether this failure is one too many.
    fn failed(&mut self, config: &BreakerConfig, now: Instant) -> bool {
        match (self, config.trip) {
            (Memory::Row(row), Trip::Failures(most)) => {
                while row.front().is_some_and(|failed| now.saturating_duration_since(*failed) > config.window)
                {
                    row.pop_front();
                }
                row.push_back(now);
                row.len() >= most as usize
            }
            (Memory::Buckets(buckets), Trip::Share { share, minimum }) => {
                count(buckets, config.window, now, 1);
                let (dials, failed) = buckets
                    .iter()
                    .fold((0, 0), |(dials, failed), bucket| (dials + bucket.dials, failed + bucket.failed));
                dials >= u64::from(minimum) && failed as f64 / dials as f64 >= share.get()
            }
            // The memory is made for the trip.
            _ => false,
        }
    }
}

/// Counts one dial among those of the window.
fn count(buckets: &mut VecDeque<Bucket>, window: Duration, now: Instant, failed: u64) {
    let part = window / BUCKETS;
    while buckets.front().is_some_and(|bucket| now.saturating_duration_since(bucket.since) >= window) {
        buckets.pop_front();
    }
    match buckets.back_mut() {
        Some(last) if now.saturating_duration_since(last.since) < part => {
            last.dials += 1;
            last.failed += failed;
        }
        _ => buckets.push_back(Bucket { since: now, dials: 1, failed }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::Probability;

    const WINDOW: Duration = Duration::from_secs(30);

    /// A circuit at a time, driven by a line of letters: `p` asks for leave and gets it, `r` is refused, `+` and `-` are
    /// the result of the oldest dial under way, `?` gives it up, `.` lets a second pass, `C`, `O` and `H` are its state.
    struct Table {
        circuit: Circuit,
        now: Instant,
        under_way: VecDeque<Era>,
        changes: Vec<BreakerState>,
    }

    impl Table {
        fn new(trip: Trip, probes: u32) -> Self {
            let config = BreakerConfig { trip, window: WINDOW, open: Duration::from_secs(3), probes };
            let (circuit, now) = (Circuit::new(config), Instant::now());
            Table { circuit, now, under_way: VecDeque::new(), changes: Vec::new() }
        }

        fn run(&mut self, line: &str) -> &mut Self {
            for (i, step) in line.chars().enumerate().filter(|(_, step)| *step != ' ') {
                let said = format!("step {i} of {line:?}: {:?}", self.circuit);
                match step {
                    'p' | 'r' => {
                        let (leave, changed) = self.circuit.pass(self.now);
                        assert_eq!(leave.is_some(), step == 'p', "{said}");
                        self.under_way.extend(leave);
                        self.changes.extend(changed);
                    }
                    '.' => self.now += Duration::from_secs(1),
                    'C' => assert_eq!(self.circuit.state(self.now), BreakerState::Closed, "{said}"),
                    'O' => assert_eq!(self.circuit.state(self.now), BreakerState::Open, "{said}"),
                    'H' => assert_eq!(self.circuit.state(self.now), BreakerState::HalfOpen, "{said}"),
                    _ => {
                        let outcome = match step {
                            '+' => Outcome::Succeeded,
                            '-' => Outcome::Failed,
                            _ => Outcome::Unknown,
                        };
                        let era = self.under_way.pop_front().expect("a dial under way");
                        self.changes.extend(self.circuit.over(era, outcome, self.now));
                    }
                }
            }
            self
        }

        fn changed(&self) -> String {
            let letter = |state: &BreakerState| match state {
                BreakerState::Closed => 'C',
                BreakerState::Open => 'O',
                BreakerState::HalfOpen => 'H',
            };
            self.changes.iter().map(letter).collect()
        }
    }

    fn by_count(failures: u32, probes: u32, lines: &[(&str, &str)]) {
        for (line, changes) in lines {
            let mut table = Table::new(Trip::Failures(failures), probes);
            assert_eq!(table.run(line).changed(), *changes, "{line}");
        }
    }

    #[test]
    fn it_opens_on_exactly_the_nth_failure_in_a_row() {
        by_count(
            3,
            1,
            &[
                ("p-p-C p-O r", "O"),
                ("p-p- p+ p-p-C p-O", "O"),
                ("p-p- p? p-O", "O"),
                ("ppp --C -O", "O"),
                // The first is half a minute ago and counts; a second later it does not.
                ("p- .............................. p-p-O", "O"),
                ("p- ............................... p-p-C p-O", "O"),
            ],
        );
        by_count(1, 1, &[("C p-O r..r.H", "O")]);
    }

    #[test]
    fn it_is_tried_with_so_many_and_no_more() {
        by_count(
            1,
            1,
            &[
                ("p- ..O r .H p r r H + C pppp", "OHC"),
                ("p- ... p - O ..r .p + C", "OHOHC"),
                ("p- ... p r ? p r + C", "OHC"),
            ],
        );
        by_count(
            2,
            3,
            &[
                ("p-p- ... ppp r +r +r +C", "OHC"),
                ("p-p- ... p+ p+ p r +C", "OHC"),
                ("p-p- ... ppp + -O r ...H", "OHO"),
                ("p-p- ... ppp ?p r ++ +C", "OHC"),
                // After it has closed it takes as many failures as ever.
                ("p-p- ... ppp +++ p-C p-O", "OHCO"),
            ],
        );
    }

    #[test]
    fn a_dial_from_before_a_change_says_nothing() {
        by_count(
            1,
            1,
            &[
                ("pp -O -O ..O .H", "O"),
                ("pp -O +O", "O"),
                // Half-open, and the dial of before it opened fails: the probe still decides.
                ("pp - ... p -H r +C", "OHC"),
                ("pp - ... p ?H r +C", "OHC"),
            ],
        );
    }

    #[test]
    fn it_opens_when_a_large_enough_share_fails() {
        let trip = |share| Trip::Share { share: Probability::new(share).unwrap(), minimum: 10 };
        let opens = |share, line: &str| Table::new(trip(share), 1).run(line).changed();
        assert_eq!(opens(0.5, "p-p-p-p-p- p+p+p+p+ C p- O"), "O");
        assert_eq!(opens(0.5, "p+p+p+p+p+p+ p-p-p-p-p- C p- O"), "O");
        assert_eq!(opens(0.3, "p+p+p+p+p+p+p+ p-p-C p-O"), "O");
        assert_eq!(opens(1.0, "p+ p-p-p-p-p-p-p-p-p-p-p-p- C"), "");
        assert_eq!(opens(1.0, "p-p-p-p-p-p-p-p-p-C p-O"), "O");
        // A success is no reason to open, though the share is too large when it comes.
        assert_eq!(opens(0.5, "p-p-p-p-p-p-p-p-p- p+ C p- O"), "O");
    }

    #[test]
    fn dials_before_the_window_are_out_of_the_share() {
        let trip = Trip::Share { share: Probability::new(0.5).unwrap(), minimum: 4 };
        let mut table = Table::new(trip, 1);
        table.run("p-p-p- .............................. p-C p-p-C p-O");
        let mut table = Table::new(trip, 1);
        table.run("p+p+p+p+p+ .................... p-p-C ........... p-C p-O");
        let mut table = Table::new(trip, 1);
        for _ in 0..10_000 {
            table.run("p+ .");
        }
        let Phase::Closed(Memory::Buckets(buckets)) = &table.circuit.phase else { panic!("it is closed") };
        assert!(buckets.len() <= BUCKETS as usize + 1, "{}", buckets.len());
    }
}
