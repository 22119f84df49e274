//! `reset`: the connection ends by RST, to both sides.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::limit::{self, Then};
use super::link::Next;
use super::stream::{Build, Cut, StreamFault};
use crate::spec::After;

/// RST to both sides, also on an idle connection.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Reset {
    /// After this time, or after exactly this many bytes.
    pub after: After,
}

impl Reset {
    /// What becomes of a connection, as words that follow "is".
    pub fn says(&self) -> String {
        format!("reset on both sides after {}", self.after)
    }

    /// The same for a cell of a table.
    pub fn brief(&self) -> String {
        format!("reset after {}", self.after)
    }

    pub(super) fn build(&self, build: &Build<'_>) -> Box<dyn StreamFault> {
        match self.after {
            After::Bytes(size) => Box::new(limit::Behaviour::new(size.bytes(), Then::Reset)),
            After::Time(time) => Box::new(Timed { at: Some(build.since + time.get()) }),
        }
    }
}

struct Timed {
    at: Option<Instant>,
}

impl StreamFault for Timed {
    fn wake_at(&self) -> Option<Instant> {
        self.at
    }

    fn on_wake(&mut self, now: Instant, next: &mut Next<'_>) {
        self.at = None;
        next.cut(now, Cut::ResetNow);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::lab::{Lab, Out, active, bytes_from, ms};
    use super::*;

    fn reset(cut: Cut) -> Out {
        Out::Cut(cut, Some("reset".to_owned()))
    }

    #[test]
    fn an_idle_connection_is_reset_on_time() {
        let mut lab = Lab::new([json!({"reset": {"after": "20ms"}})]);
        assert_eq!(lab.events(), [(ms(20), reset(Cut::ResetNow))]);
        assert_eq!(lab.told, ["reset"]);
        assert_eq!(Lab::new([json!({"reset": {}})]).events(), [(ms(0), reset(Cut::ResetNow))]);
    }

    #[test]
    fn it_does_not_wait_for_bytes_that_are_late_or_stalled() {
        for other in [json!({"latency": {"delay": "1m"}}), json!({"stall": {}})] {
            let timed = json!({"reset": {"after": "20ms"}});
            for order in [[other.clone(), timed.clone()], [timed, other]] {
                let mut lab = Lab::new(order);
                lab.send_in(1000, 1000).finish();
                assert_eq!(lab.events(), [(ms(20), reset(Cut::ResetNow))]);
            }
        }
    }

    #[test]
    fn after_bytes_exactly_these_arrive_first() {
        let mut lab = Lab::new([json!({"reset": {"after": "10KiB"}})]);
        lab.send_in(20_000, 65_536);
        assert_eq!(lab.events(), [(ms(0), Out::Bytes(bytes_from(0, 10_240))), (ms(0), reset(Cut::Reset))]);
    }

    #[test]
    fn it_counts_from_its_arrival() {
        let mut lab = Lab::new([]);
        lab.send_in(100, 100).run_to(ms(500));
        lab.adopt(&[active(json!({"reset": {"after": "20ms"}}), 1)]);
        assert_eq!(lab.events().pop(), Some((ms(520), reset(Cut::ResetNow))));
    }

    #[test]
    fn taken_away_before_its_time_it_leaves_no_trace() {
        let mut lab = Lab::new([json!({"reset": {"after": "20ms"}})]);
        lab.send_in(100, 100).run_to(ms(19)).adopt(&[]);
        lab.finish();
        assert_eq!(lab.events(), [(ms(0), Out::Bytes(bytes_from(0, 100))), (ms(19), Out::Fin)]);
        assert!(lab.chain.deeds().is_empty() && lab.told.is_empty());
    }

    #[test]
    fn of_two_endings_at_one_time_the_first_stands() {
        let close = json!({"blackhole": {"closeAfter": "20ms"}});
        let mut lab = Lab::new([json!({"reset": {"after": "20ms"}}), close]);
        assert_eq!(lab.events(), [(ms(20), reset(Cut::ResetNow))]);
        assert_eq!(lab.told, ["reset"]);
    }
}
