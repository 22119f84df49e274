//! `stall`: nothing moves and nothing is lost, as when a cable is pulled.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::kept::Kept;
use super::link::Next;
use super::stream::{Build, Ending, Intake, Segment, StreamFault};
use crate::spec::{After, Period};

/// Nothing moves and nothing is lost: a pulled cable.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Stall {
    /// It begins after this time, or after exactly this many bytes.
    pub after: After,
    /// It lasts this long; left out: until the fault is gone.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Period")]
    pub hold: Option<Period>,
}

impl Stall {
    /// What becomes of a connection, as words that follow "is".
    pub fn says(&self) -> String {
        match self.hold {
            Some(hold) => format!("stopped for {hold} after {}; nothing is lost", self.after),
            None => format!("stopped after {}; nothing is lost", self.after),
        }
    }

    /// The same for a cell of a table.
    pub fn brief(&self) -> String {
        match self.hold {
            Some(hold) => format!("stall {hold} after {}", self.after),
            None => format!("stall after {}", self.after),
        }
    }

    pub(super) fn build(&self, build: &Build<'_>) -> Box<dyn StreamFault> {
        let begins = match self.after {
            After::Time(time) => Begins::At(build.since + time.get()),
            After::Bytes(size) => Begins::AfterBytes(size.bytes()),
        };
        Box::new(Behaviour {
            state: State::Before(begins),
            hold: self.hold.map(Period::get),
            kept: Kept::default(),
        })
    }
}

pub(super) struct Behaviour {
    state: State,
    hold: Option<Duration>,
    kept: Kept,
}

enum State {
    Before(Begins),
    Still { until: Option<Instant> },
    Over,
}

enum Begins {
    At(Instant),
    AfterBytes(u64),
}

impl Behaviour {
    /// Whether what comes by at this time does not get through: it may be read long before it comes by.
    fn stops(&self, at: Instant) -> bool {
        match self.state {
            State::Still { .. } => true,
            State::Before(Begins::At(begins)) => at >= begins,
            State::Before(Begins::AfterBytes(_)) | State::Over => false,
        }
    }

    fn begin(&mut self, at: Instant, next: &mut Next<'_>) {
        self.state = State::Still { until: self.hold.map(|hold| at + hold) };
        next.fire();
        if let Some(hold) = self.hold {
            next.delayed(hold);
        }
    }
}

impl StreamFault for Behaviour {
    fn on_start(&mut self, next: &mut Next<'_>) {
        match self.state {
            State::Before(Begins::At(at)) if at <= next.now() => self.begin(at, next),
            State::Before(Begins::AfterBytes(0)) => self.begin(next.now(), next),
            _ => {}
        }
    }

    fn on_data(&mut self, mut segment: Segment, next: &mut Next<'_>) {
        if self.stops(segment.at) {
            return self.kept.data(segment);
        }
        match &mut self.state {
            State::Before(Begins::AfterBytes(left)) => {
                let length = (*left).min(segment.bytes.len() as u64);
                *left -= length;
                let begins = *left == 0;
                let at = segment.at;
                next.data(segment.split_to(length as usize, at));
                if begins {
                    self.begin(at, next);
                    self.kept.data(segment);
                }
            }
            State::Still { .. } | State::Before(Begins::At(_)) | State::Over => next.data(segment),
        }
    }

    fn on_fin(&mut self, at: Instant, next: &mut Next<'_>) {
        if self.stops(at) { self.kept.fin(at) } else { next.fin(at) }
    }

    fn on_cut(&mut self, ending: Ending, next: &mut Next<'_>) {
        if self.stops(ending.at) { self.kept.ending(ending) } else { next.ending(ending) }
    }

    fn wake_at(&self) -> Option<Instant> {
        match self.state {
            State::Before(Begins::At(at)) => Some(at),
            State::Still { until } => until,
            State::Before(Begins::AfterBytes(_)) | State::Over => None,
        }
    }

    fn on_wake(&mut self, now: Instant, next: &mut Next<'_>) {
        match self.state {
            State::Before(Begins::At(at)) => self.begin(at, next),
            State::Still { .. } => {
                self.state = State::Over;
                self.kept.release(now, next);
            }
            State::Before(Begins::AfterBytes(_)) | State::Over => {}
        }
    }

    fn intake(&self, _now: Instant) -> Intake {
        match self.state {
            State::Still { until: Some(until) } => Intake::From(until),
            State::Still { until: None } => Intake::Never,
            State::Before(_) | State::Over => Intake::Any,
        }
    }

    fn on_release(&mut self, now: Instant, next: &mut Next<'_>) {
        if matches!(self.state, State::Before(_)) {
            self.kept.release(now, next);
        }
    }

    fn kept(&self) -> Option<&Kept> {
        Some(&self.kept)
    }

    fn kept_mut(&mut self) -> Option<&mut Kept> {
        Some(&mut self.kept)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::lab::{Lab, Out, bytes_from, joined, ms, sizes};

    #[test]
    fn nothing_moves_from_the_start_and_nothing_is_lost() {
        let mut lab = Lab::new([json!({"stall": {}})]);
        lab.send_in(100_000, 4096).finish().run_to(ms(60_000));
        assert!(lab.out.is_empty() && lab.peak == 0, "nothing is even read");
        assert_eq!(lab.told, ["stall"]);
        lab.adopt(&[]);
        let events = lab.events();
        assert_eq!(joined(&events), bytes_from(0, 100_000));
        assert_eq!(events.last(), Some(&(ms(60_000), Out::Fin)));
    }

    #[test]
    fn it_begins_after_a_time_and_holds_for_a_time() {
        let mut lab = Lab::new([json!({"stall": {"after": "100ms", "hold": "50ms"}})]);
        for i in 0..20 {
            lab.run_to(ms(10 * i)).send_in(10, 10);
        }
        let at = |i: u64| ms(if (10..15).contains(&i) { 150 } else { 10 * i });
        let expected: Vec<_> = (0..20).map(|i| (at(i), 10)).collect();
        assert_eq!(sizes(&lab.events()), expected);
        assert_eq!(lab.deed().done.delay, ms(50));
    }

    #[test]
    fn it_begins_after_exactly_so_many_bytes() {
        for read in [1, 7, 1000, 65_536] {
            let mut lab = Lab::new([json!({"stall": {"after": "1000B", "hold": "1s"}})]);
            lab.send_in(3000, read).finish();
            let events = lab.events();
            let early: usize =
                sizes(&events).iter().filter(|(at, _)| *at == ms(0)).map(|(_, size)| size).sum();
            assert_eq!(early, 1000);
            assert_eq!(joined(&events), bytes_from(0, 3000));
            assert_eq!(events.last(), Some(&(ms(1000), Out::Fin)));
            assert_eq!(lab.told, ["stall"]);
        }
    }

    /// Bytes that a fault before it makes late reach it when they are late, not when they are read.
    #[test]
    fn what_is_late_before_it_stalls_too() {
        let latency = json!({"latency": {"delay": "10s"}});
        let mut lab = Lab::new([latency.clone(), json!({"stall": {"after": "5s"}})]);
        lab.send_in(100, 100).finish();
        assert_eq!(lab.events(), []);
        let mut lab = Lab::new([latency.clone(), json!({"stall": {"after": "9s", "hold": "3s"}})]);
        lab.send_in(100, 100).finish();
        assert_eq!(lab.events(), [(ms(12_000), Out::Bytes(bytes_from(0, 100))), (ms(12_000), Out::Fin)]);
        // One that is over before they come does nothing to them.
        let mut lab = Lab::new([latency, json!({"stall": {"after": "1s", "hold": "3s"}})]);
        lab.send_in(100, 100).run_to(ms(2_000)).finish();
        assert_eq!(lab.events(), [(ms(10_000), Out::Bytes(bytes_from(0, 100))), (ms(12_000), Out::Fin)]);
    }

    /// FIN at 500 ms, held until 2 s by the latency before it; the stall ends earlier.
    #[test]
    fn a_late_fin_stays_late() {
        let mut lab = Lab::new([
            json!({"slowClose": {"delay": "10s"}}),
            json!({"stall": {"after": "0s", "hold": "1s"}}),
        ]);
        lab.finish();
        assert_eq!(lab.events(), [(ms(10_000), Out::Fin)]);
    }

    #[test]
    fn one_that_never_began_leaves_no_trace() {
        let mut lab = Lab::new([json!({"stall": {"after": "1s"}})]);
        lab.send_in(100, 100).run_to(ms(999)).adopt(&[]);
        assert_eq!(lab.events(), [(ms(0), Out::Bytes(bytes_from(0, 100)))]);
        assert!(lab.chain.deeds().is_empty() && lab.told.is_empty());
    }
}
