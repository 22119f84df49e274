//! `blackhole`: the bytes of a direction vanish.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::link::Next;
use super::stream::{Build, Cut, Segment, StreamFault};
use crate::spec::Period;

/// Bytes of the direction vanish; the connection is ended after a time.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Blackhole {
    /// Closed after this time; left out: never.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Period")]
    pub close_after: Option<Period>,
}

impl Blackhole {
    /// What becomes of a connection, as words that follow "is".
    pub fn says(&self) -> String {
        match self.close_after {
            Some(time) => format!("emptied: every byte vanishes, and it is closed after {time}"),
            None => "emptied: every byte vanishes".to_owned(),
        }
    }

    /// The same for a cell of a table.
    pub fn brief(&self) -> String {
        match self.close_after {
            Some(time) => format!("blackhole, closed after {time}"),
            None => "blackhole".to_owned(),
        }
    }

    pub(super) fn build(&self, build: &Build<'_>) -> Box<dyn StreamFault> {
        Box::new(Behaviour {
            close_at: self.close_after.map(|time| build.since + time.get()),
            swallowed: false,
        })
    }
}

pub(super) struct Behaviour {
    close_at: Option<Instant>,
    swallowed: bool,
}

impl StreamFault for Behaviour {
    fn on_data(&mut self, segment: Segment, next: &mut Next<'_>) {
        self.swallowed = true;
        next.count(segment.bytes.len() as u64);
    }

    fn wake_at(&self) -> Option<Instant> {
        self.close_at
    }

    fn on_wake(&mut self, now: Instant, next: &mut Next<'_>) {
        self.close_at = None;
        next.cut(now, Cut::CloseNow);
    }

    fn leaves_a_hole(&self) -> bool {
        self.swallowed
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::lab::{Lab, Out, ms};
    use super::*;

    #[test]
    fn bytes_vanish_and_are_counted() {
        let mut lab = Lab::new([json!({"blackhole": {}})]);
        lab.send_in(100_000, 65_536);
        assert_eq!(lab.events(), []);
        assert_eq!((lab.deed().done.amount, lab.unread(), lab.peak), (100_000, 0, 0));
        assert_eq!(lab.told, ["blackhole"]);
        assert!(lab.adopt(&[]), "what it swallowed is gone, so the connection is of no use");
    }

    #[test]
    fn it_closes_after_its_time_with_bytes_or_without() {
        for bytes in [0, 1000] {
            let mut lab = Lab::new([json!({"blackhole": {"closeAfter": "3s"}})]);
            lab.send_in(bytes, 100);
            assert_eq!(lab.events(), [(ms(3000), Out::Cut(Cut::CloseNow, Some("blackhole".to_owned())))]);
        }
    }

    #[test]
    fn one_that_has_swallowed_nothing_leaves_no_hole_and_no_trace() {
        let mut lab = Lab::new([json!({"blackhole": {"closeAfter": "3s"}})]);
        lab.run_to(ms(1000));
        assert!(!lab.adopt(&[]));
        lab.send([1]).finish();
        assert_eq!(lab.events(), [(ms(1000), Out::Bytes(vec![1])), (ms(1000), Out::Fin)]);
        assert!(lab.chain.deeds().is_empty());
    }
}
