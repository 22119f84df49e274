//! `limit`: exactly so many bytes, and then the end.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::kept::Kept;
use super::link::Next;
use super::stream::{Build, Cut, Ending, Intake, Segment, StreamFault};
use crate::spec::Size;

/// Exactly that many bytes, then the ending.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Limit {
    /// How many bytes pass.
    pub bytes: Size,
    /// What comes then.
    #[serde(default)]
    pub then: Then,
}

/// What comes when the limit is reached.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Then {
    /// The connection is ended by FIN.
    #[default]
    Close,
    /// The connection is ended by RST.
    Reset,
    /// Nothing more moves in this direction.
    Stall,
}

impl Then {
    fn words(self) -> &'static str {
        match self {
            Then::Close => "closed",
            Then::Reset => "reset",
            Then::Stall => "stalled",
        }
    }
}

impl Limit {
    /// What becomes of a connection, as words that follow "is".
    pub fn says(&self) -> String {
        format!("{} after exactly {}", self.then.words(), self.bytes)
    }

    /// The same for a cell of a table.
    pub fn brief(&self) -> String {
        format!("limit {}, then {}", self.bytes, self.then.words())
    }

    pub(super) fn build(&self, _: &Build<'_>) -> Box<dyn StreamFault> {
        Box::new(Behaviour::new(self.bytes.bytes(), self.then))
    }
}

/// Passes so many bytes, then ends or stalls; also what `reset` after bytes and `stall` after bytes are.
pub(super) struct Behaviour {
    left: u64,
    then: Then,
    reached: bool,
    /// What came behind the limit: it goes on if the limit is taken away in time.
    kept: Kept,
}

impl Behaviour {
    pub(super) fn new(bytes: u64, then: Then) -> Self {
        Behaviour { left: bytes, then, reached: false, kept: Kept::default() }
    }

    fn reach(&mut self, at: Instant, next: &mut Next<'_>) {
        self.reached = true;
        match self.then {
            Then::Close => next.cut(at, Cut::Close),
            Then::Reset => next.cut(at, Cut::Reset),
            Then::Stall => next.fire(),
        }
    }
}

impl StreamFault for Behaviour {
    /// No bytes have gone by at once, also on an idle connection.
    fn on_start(&mut self, next: &mut Next<'_>) {
        if self.left == 0 {
            self.reach(next.now(), next);
        }
    }

    fn on_data(&mut self, mut segment: Segment, next: &mut Next<'_>) {
        if self.reached {
            return self.kept.data(segment);
        }
        let length = self.left.min(segment.bytes.len() as u64) as usize;
        let at = segment.at;
        let passes = segment.split_to(length, at);
        self.left -= length as u64;
        if !passes.bytes.is_empty() {
            next.data(passes);
        }
        if self.left == 0 {
            self.reach(at, next);
            self.kept.data(segment);
        }
    }

    fn on_fin(&mut self, at: Instant, next: &mut Next<'_>) {
        if self.reached { self.kept.fin(at) } else { next.fin(at) }
    }

    fn on_cut(&mut self, ending: Ending, next: &mut Next<'_>) {
        if self.reached { self.kept.ending(ending) } else { next.ending(ending) }
    }

    fn intake(&self, _now: Instant) -> Intake {
        if self.reached { Intake::Never } else { Intake::Any }
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
    use serde_json::{Value, json};

    use super::super::lab::{Lab, Out, active, bytes_from, joined, ms};
    use super::*;

    const SIZES: [usize; 6] = [0, 1, 4095, 4096, 4097, 1 << 20];

    fn ends(item: &Value, bytes: usize, cut: Cut) {
        for read in [1000, 4096, 65_536, 2 << 20] {
            let mut lab = Lab::new([item.clone()]);
            lab.send_in(bytes + 70_000, read).finish();
            let mut events = lab.events();
            assert_eq!(events.pop(), Some((ms(0), Out::Cut(cut, Some(lab.told[0].clone())))));
            assert_eq!(joined(&events), bytes_from(0, bytes), "{bytes} in {read}");
            assert_eq!(lab.told.len(), 1);
        }
    }

    #[test]
    fn exactly_so_many_bytes_pass_and_then_comes_the_end() {
        for bytes in SIZES {
            ends(&json!({"limit": {"bytes": bytes}}), bytes, Cut::Close);
            ends(&json!({"limit": {"bytes": bytes, "then": "reset"}}), bytes, Cut::Reset);
            ends(&json!({"reset": {"after": format!("{bytes}B")}}), bytes, Cut::Reset);
        }
    }

    #[test]
    fn or_nothing_more_moves() {
        for bytes in SIZES {
            let mut lab = Lab::new([json!({"limit": {"bytes": bytes, "then": "stall"}})]);
            lab.send_in(bytes + 70_000, 65_536).finish();
            assert_eq!(joined(&lab.events()), bytes_from(0, bytes));
            assert_eq!(lab.told, ["limit"]);
            // Taken away, everything comes, the FIN too.
            lab.adopt(&[]);
            let events = lab.events();
            assert_eq!(joined(&events), bytes_from(bytes as u64, 70_000));
            assert_eq!(events.last().map(|(_, out)| out), Some(&Out::Fin));
        }
    }

    #[test]
    fn a_limit_that_is_not_reached_leaves_no_trace() {
        let mut lab = Lab::new([json!({"limit": {"bytes": 1001}})]);
        lab.send_in(1000, 100).finish();
        assert_eq!(lab.events().last(), Some(&(ms(0), Out::Fin)));
        assert!(lab.chain.deeds().is_empty() && lab.told.is_empty());
    }

    #[test]
    fn a_limit_of_nothing_ends_an_idle_connection() {
        let mut lab = Lab::new([json!({"limit": {"bytes": 0}})]);
        assert_eq!(lab.events(), [(ms(0), Out::Cut(Cut::Close, Some("limit".to_owned())))]);
    }

    #[test]
    fn taken_away_in_time_it_gives_back_the_rest() {
        let latency = active(json!({"latency": {"delay": "1s"}}), 1);
        let limit = active(json!({"limit": {"bytes": 1000}}), 1);
        for plan in [[limit.clone(), latency.clone()], [latency.clone(), limit]] {
            let mut lab = Lab::of(&plan);
            lab.send_in(1500, 1500).run_to(ms(500));
            assert!(lab.out.is_empty() && lab.told == ["latency"]);
            lab.adopt(std::slice::from_ref(&latency));
            lab.finish();
            let events = lab.events();
            assert_eq!(joined(&events), bytes_from(0, 1500));
            assert_eq!(events.last().map(|(_, out)| out), Some(&Out::Fin));
        }
    }

    #[test]
    fn the_end_comes_behind_bytes_that_are_late() {
        let mut lab = Lab::new([json!({"limit": {"bytes": 10}}), json!({"latency": {"delay": "1s"}})]);
        lab.send_in(20, 20);
        let expected = [
            (ms(1000), Out::Bytes(bytes_from(0, 10))),
            (ms(1000), Out::Cut(Cut::Close, Some("limit".to_owned()))),
        ];
        assert_eq!(lab.events(), expected);
    }

    /// An ending that waits behind a stall goes when the fault goes whose it is.
    #[test]
    fn an_ending_kept_elsewhere_is_called_off_too() {
        let limit = active(json!({"limit": {"bytes": 10}}), 1);
        let stall = active(json!({"stall": {"after": "5B"}}), 1);
        for first in [vec![], vec![stall.clone()], vec![limit.clone()]] {
            let mut lab = Lab::of(&[limit.clone(), stall.clone()]);
            lab.send_in(20, 20).run_to(ms(1));
            lab.adopt(&first);
            let cut = first.iter().any(|active| std::sync::Arc::ptr_eq(active, &limit));
            lab.run_to(ms(2)).adopt(&[]);
            lab.finish();
            let events = lab.events();
            assert_eq!(joined(&events), bytes_from(0, if cut { 10 } else { 20 }));
            let end = if cut { Out::Cut(Cut::Close, Some("limit".to_owned())) } else { Out::Fin };
            assert_eq!(events.last().map(|(_, out)| out), Some(&end));
        }
    }

    /// What two faults keep comes out in order also when they change places meanwhile.
    #[test]
    fn faults_that_keep_something_may_change_places() {
        let limit = active(json!({"limit": {"bytes": 10, "then": "stall"}}), 1);
        let stall = active(json!({"stall": {"after": "5B"}}), 1);
        for last in [[].as_slice(), std::slice::from_ref(&limit), std::slice::from_ref(&stall)] {
            let mut lab = Lab::of(&[limit.clone(), stall.clone()]);
            lab.send_in(20, 20).finish().run_to(ms(1));
            lab.adopt(&[stall.clone(), limit.clone()]);
            lab.run_to(ms(2)).adopt(last);
            lab.run_to(ms(3)).adopt(&[]);
            let events = lab.events();
            assert_eq!(joined(&events), bytes_from(0, 20));
            assert_eq!(events.last().map(|(_, out)| out), Some(&Out::Fin));
        }
    }
}
