//! `latency`: every byte arrives later; order is kept and throughput is not capped.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::dice::Dice;
use super::distribution::Distribution;
use super::link::Next;
use super::stream::{Build, Segment, StreamFault};
use crate::spec::Period;

/// Every byte arrives that much later; order kept, throughput not capped; two latencies add.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Latency {
    /// How much later.
    pub delay: Period,
    /// How far that strays, drawn for each piece that arrives.
    #[serde(default)]
    pub jitter: Period,
    /// How it strays.
    #[serde(default)]
    pub distribution: Distribution,
}

impl Latency {
    /// What becomes of a connection, as words that follow "is".
    pub fn says(&self) -> String {
        format!("slowed: each byte arrives {} later", self.distribution.says(self.delay, self.jitter))
    }

    /// The same for a cell of a table.
    pub fn brief(&self) -> String {
        format!("latency {}", self.distribution.brief(self.delay, self.jitter))
    }

    pub(super) fn build(&self, build: &Build<'_>) -> Box<dyn StreamFault> {
        Box::new(Behaviour { spec: self.clone(), dice: build.dice })
    }
}

pub(super) struct Behaviour {
    spec: Latency,
    dice: Dice,
}

impl Behaviour {
    /// Drawn for the piece that begins here, whatever came before it.
    fn sample(&self, dice: &Dice) -> Duration {
        self.spec.distribution.sample(self.spec.delay.get(), self.spec.jitter.get(), &mut dice.draws())
    }
}

impl StreamFault for Behaviour {
    fn on_data(&mut self, mut segment: Segment, next: &mut Next<'_>) {
        let by = self.sample(&self.dice.number(segment.offset));
        segment.at += by;
        next.delayed(by);
        next.data(segment);
    }

    fn on_fin(&mut self, at: Instant, next: &mut Next<'_>) {
        let by = self.sample(&self.dice.name("fin"));
        next.delayed(by);
        next.fin(at + by);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::lab::{Lab, Out, bytes_from, joined, ms, writes};

    #[test]
    fn each_read_comes_exactly_that_much_later_however_many_are_on_their_way() {
        let mut lab = Lab::new([json!({"latency": {"delay": "200ms"}})]);
        for i in 0..50 {
            lab.run_to(ms(10 * i)).send([i as u8]);
        }
        let expected: Vec<_> = (0..50).map(|i| (ms(10 * i + 200), vec![i as u8])).collect();
        assert_eq!(writes(&lab.events()), expected);
        assert_eq!((lab.deed().done.fired, lab.deed().done.delay), (true, ms(200)));
        assert_eq!(lab.told, ["latency"]);
    }

    #[test]
    fn two_add_up_for_streaming_data_too() {
        let mut lab = Lab::new([
            json!({"latency": {"delay": "200ms", "name": "one"}}),
            json!({"latency": {"delay": "70ms", "name": "two"}}),
        ]);
        for i in 0..100 {
            lab.run_to(ms(3 * i)).send_in(1000, 1000);
        }
        let expected: Vec<_> = (0..100).map(|i| (ms(3 * i + 270), bytes_from(1000 * i, 1000))).collect();
        assert_eq!(writes(&lab.events()), expected);
    }

    #[test]
    fn the_fin_comes_later_too() {
        let mut lab = Lab::new([json!({"latency": {"delay": "200ms"}})]);
        lab.send([1]).run_to(ms(150)).finish();
        assert_eq!(lab.events(), [(ms(200), Out::Bytes(vec![1])), (ms(350), Out::Fin)]);
    }

    #[test]
    fn jitter_keeps_the_order_and_hangs_on_the_offset_alone() {
        let item = json!({"latency": {"delay": "100ms", "jitter": "90ms", "distribution": "uniform"}});
        let run = || {
            let mut lab = Lab::new([item.clone()]);
            for i in 0..200 {
                lab.run_to(ms(20 * i)).send_in(10, 10);
            }
            writes(&lab.events())
        };
        let first = run();
        assert!(first.windows(2).all(|pair| pair[0].0 <= pair[1].0));
        assert!(first.windows(2).any(|pair| pair[0].0 == pair[1].0), "some had to wait for one before");
        assert_eq!(
            first.iter().flat_map(|(_, bytes)| bytes.clone()).collect::<Vec<_>>(),
            bytes_from(0, 2000)
        );
        assert_eq!(run(), first);
    }

    /// The piece at an offset is delayed the same whatever came before it was read in.
    #[test]
    fn what_came_before_moves_nothing() {
        let late = |reads: &[usize]| {
            let mut lab = Lab::new([json!({"latency": {"delay": "100ms", "jitter": "90ms"}})]);
            reads.iter().for_each(|read| _ = lab.send(vec![0; *read]));
            lab.run();
            let begin = lab.now - lab.start;
            lab.send([1]);
            let (at, _) = writes(&lab.events()).pop().expect("a write");
            at - begin
        };
        assert_eq!(late(&[1000]), late(&[1; 1000]));
        assert_ne!(late(&[1000]), late(&[1001]));
    }

    /// Part of what a seed promises.
    #[test]
    fn golden_delays() {
        let mut lab = Lab::new([json!({"latency": {"delay": "100ms", "jitter": "50ms"}})]);
        let mut delays = Vec::new();
        for _ in 0..4 {
            let before = lab.now - lab.start;
            lab.send([0; 100]).run();
            delays.push((lab.out.pop().expect("a write").0 - before).as_nanos());
        }
        assert_eq!(delays, [142651151, 93375316, 148345046, 95158370]);
    }

    #[test]
    fn taken_away_what_is_queued_goes_at_once_in_order_and_so_does_what_follows() {
        let mut lab = Lab::new([json!({"latency": {"delay": "10s"}})]);
        lab.send_in(3000, 1000).run_to(ms(500)).send_in(500, 500).run_to(ms(700));
        assert_eq!(lab.out, []);
        lab.adopt(&[]);
        lab.send_in(100, 100).finish();
        let events = lab.events();
        assert!(events.iter().all(|(at, _)| *at == ms(700)));
        assert_eq!(joined(&events), bytes_from(0, 3600));
        assert_eq!(events.last().map(|(_, out)| out), Some(&Out::Fin));
    }
}
