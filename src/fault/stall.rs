//! `stall`: nothing moves and nothing is lost, as when a cable is pulled.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::chain::Next;
use super::kept::Kept;
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
        match &mut self.state {
            State::Still { .. } => self.kept.data(segment),
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
            State::Before(Begins::At(_)) | State::Over => next.data(segment),
        }
    }

    fn on_fin(&mut self, at: Instant, next: &mut Next<'_>) {
        match self.state {
            State::Still { .. } => self.kept.fin(),
            State::Before(_) | State::Over => next.fin(at),
        }
    }

    fn on_cut(&mut self, ending: Ending, next: &mut Next<'_>) {
        match self.state {
            State::Still { .. } => self.kept.ending(ending),
            State::Before(_) | State::Over => next.ending(ending),
        }
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

    fn on_remove(&mut self, now: Instant, next: &mut Next<'_>) {
        self.kept.release(now, next);
    }

    fn keeps(&self) -> usize {
        self.kept.bytes()
    }
}
