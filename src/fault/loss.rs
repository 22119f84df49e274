//! `loss`: what packet loss looks like over TCP. A lost segment arrives a retransmission later, all behind it waits, and
//! no byte vanishes.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::dice::{Dice, Draws};
use super::link::Next;
use super::stream::{Build, Segment, StreamFault};
use crate::spec::{Period, Probability};

/// A lost segment arrives a retransmission later and all behind it waits; no byte vanishes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Loss {
    /// How likely each segment is to be lost.
    pub rate: Probability,
    /// How likely a segment is to share the fate of the one before it.
    #[serde(default = "Probability::never")]
    pub correlation: Probability,
    /// The time after which a lost segment is sent again, doubled each time it is lost again.
    #[serde(default = "default_rto")]
    pub rto: Period,
}

fn default_rto() -> Period {
    Period::new(Duration::from_millis(200))
}

impl Loss {
    /// So many segments lost, each whatever befell the one before it.
    pub fn new(rate: Probability) -> Loss {
        Loss { rate, correlation: Probability::never(), rto: default_rto() }
    }

    /// What becomes of a connection, as words that follow "is".
    pub fn says(&self) -> String {
        format!("made to lose {} of its segments, which arrive {} or more later", self.rate, self.rto)
    }

    /// The same for a cell of a table.
    pub fn brief(&self) -> String {
        format!("loss {}", self.rate)
    }

    pub(super) fn build(&self, build: &Build<'_>) -> Box<dyn StreamFault> {
        Box::new(Behaviour { spec: self.clone(), dice: build.dice, lost: None })
    }
}

/// What a segment carries at most.
const SEGMENT: usize = 1460;

/// How often the time is doubled at most.
const DOUBLINGS: u32 = 5;

pub(super) struct Behaviour {
    spec: Loss,
    dice: Dice,
    /// The fate of the segment before.
    lost: Option<bool>,
}

impl Behaviour {
    /// How much later the segment that begins here arrives.
    fn fate(&mut self, offset: u64) -> Duration {
        let mut draws = self.dice.number(offset).draws();
        // Both are drawn always, so that one parameter does not move the meaning of the draws behind it.
        let (follows, lost) = (draws.unit() < self.spec.correlation.get(), self.is_lost(&mut draws));
        let lost = if follows { self.lost.unwrap_or(lost) } else { lost };
        self.lost = Some(lost);
        if !lost {
            return Duration::ZERO;
        }
        let mut rto = self.spec.rto.get();
        let mut later = rto;
        for _ in 0..DOUBLINGS {
            if !self.is_lost(&mut draws) {
                break;
            }
            rto = rto.saturating_mul(2);
            later = later.saturating_add(rto);
        }
        later
    }

    fn is_lost(&self, draws: &mut Draws) -> bool {
        draws.unit() < self.spec.rate.get()
    }
}

impl StreamFault for Behaviour {
    fn on_data(&mut self, mut segment: Segment, next: &mut Next<'_>) {
        let came = segment.at;
        while !segment.bytes.is_empty() {
            let later = self.fate(segment.offset);
            if !later.is_zero() {
                next.count(1);
                next.delayed(later);
            }
            let length = segment.bytes.len().min(SEGMENT);
            // What is behind a lost segment cannot be used before it; its own loss has been noticed meanwhile.
            let piece = segment.split_to(length, segment.at.max(came + later));
            segment.at = piece.at;
            next.data(piece);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::Effect;
    use super::super::lab::{Lab, active, bytes_from, joined, ms, sizes};
    use super::*;

    const MILLION: u64 = 1_000_000;

    fn behaviour(item: Value) -> Behaviour {
        let active = active(item, 42);
        let Effect::Loss(spec) = active.fault.effect.clone() else { panic!("a loss") };
        Behaviour { spec, dice: active.dice, lost: None }
    }

    fn fates(item: Value) -> Vec<bool> {
        let mut loss = behaviour(item);
        (0..MILLION).map(|number| !loss.fate(number * 1460).is_zero()).collect()
    }

    /// Of a series of yes and no with a known mean.
    fn autocorrelation(series: &[bool], mean: f64, lag: usize) -> f64 {
        let stray = |yes: bool| f64::from(u8::from(yes)) - mean;
        let products = series.iter().zip(&series[lag..]).map(|(a, b)| stray(*a) * stray(*b));
        products.sum::<f64>() / (series.len() as f64 * mean * (1.0 - mean))
    }

    #[test]
    fn as_many_are_lost_as_it_says_independently() {
        // Exact binomial bounds at a million draws, two-sided 1e-9.
        for (rate, bounds) in [
            (0.001, 812..=1_200),
            (0.01, 9_397..=10_615),
            (0.1, 98_171..=101_839),
            (0.5, 496_944..=503_056),
            (0.9, 898_161..=901_829),
        ] {
            let fates = fates(json!({"loss": {"rate": rate}}));
            let lost = fates.iter().filter(|lost| **lost).count();
            assert!(bounds.contains(&lost), "{rate}: {lost}");
            for lag in 1..=16 {
                let r = autocorrelation(&fates, rate, lag);
                assert!(r.abs() < 0.0061, "{rate}, lag {lag}: {r}");
            }
        }
    }

    #[test]
    fn a_correlation_moves_the_neighbours_and_not_the_rate() {
        for (rate, correlation) in [(0.1, 0.25), (0.3, 0.5), (0.5, 0.9)] {
            let fates = fates(json!({"loss": {"rate": rate, "correlation": correlation}}));
            let lost = fates.iter().filter(|lost| **lost).count() as f64 / MILLION as f64;
            // The variance of the mean of such a chain is (1+c)/(1-c) times that of independent draws.
            let spread =
                (rate * (1.0 - rate) * (1.0 + correlation) / (1.0 - correlation) / MILLION as f64).sqrt();
            assert!((lost - rate).abs() < 6.1 * spread, "{lost}");
            for lag in 1..=3 {
                let r = autocorrelation(&fates, rate, lag);
                assert!((r - correlation.powi(lag as i32)).abs() < 0.02, "lag {lag}: {r}");
            }
        }
    }

    /// A segment with none before it shares nobody's fate.
    #[test]
    fn the_first_segment_is_lost_as_often_as_any_other() {
        let lost = (0..10_000).filter(|seed| {
            let item = json!({"loss": {"rate": 0.3, "correlation": 0.9}});
            let mut loss = Behaviour { dice: Dice::new(*seed), ..behaviour(item) };
            !loss.fate(0).is_zero()
        });
        assert!((2_722..=3_283).contains(&lost.count()));
    }

    #[test]
    fn a_segment_lost_again_waits_twice_as_long_each_time() {
        let mut counts = [0; 6];
        let mut loss = behaviour(json!({"loss": {"rate": 0.5}}));
        for offset in 0..100_000 {
            let later = loss.fate(offset).as_millis();
            if later > 0 {
                let step = [200, 600, 1400, 3000, 6200, 12600].iter().position(|x| *x == later);
                counts[step.expect("a step")] += 1;
            }
        }
        // Each is half of the one before, but the last one, which is all the rest.
        for (step, expected) in [25_000, 12_500, 6_250, 3_125, 1_562, 1_562].iter().enumerate() {
            assert!(i32::abs_diff(counts[step], *expected) < 900, "{counts:?}");
        }
        let mut always = behaviour(json!({"loss": {"rate": 1, "rto": "10ms"}}));
        assert!((0..100).all(|offset| always.fate(offset) == ms(630)));
        let mut never = behaviour(json!({"loss": {"rate": 0}}));
        assert!((0..100).all(|offset| never.fate(offset).is_zero()));
    }

    #[test]
    fn segments_are_no_larger_than_packets_and_keep_their_order() {
        let mut lab = Lab::new([json!({"loss": {"rate": 0.3}})]);
        lab.send_in(200_000, 65_536).finish();
        let events = lab.events();
        assert_eq!(joined(&events), bytes_from(0, 200_000));
        assert!(sizes(&events).iter().all(|(_, size)| *size <= 1460));
        assert!(events.windows(2).all(|pair| pair[0].0 <= pair[1].0));
        let lost = lab.deed().done.amount;
        assert!((20..70).contains(&lost), "{lost}");
        assert_eq!(lab.told, ["loss"]);
    }

    /// One read of two packets or two reads of one: the same boundaries, the same chaos.
    #[test]
    fn a_segment_is_late_by_its_own_loss_and_by_those_before_it_never_by_their_sum() {
        let late = |read: usize| {
            let mut lab = Lab::new([json!({"loss": {"rate": 0.5}})]);
            lab.send_in(14_600, read);
            sizes(&lab.events())
        };
        assert_eq!(late(14_600), late(1460));
        let mut always = Lab::new([json!({"loss": {"rate": 1}})]);
        always.send_in(4380, 4380);
        assert_eq!(sizes(&always.events()), [(ms(12_600), 1460); 3]);
    }

    /// Part of what a seed promises.
    #[test]
    fn golden_fates() {
        let mut loss = behaviour(json!({"loss": {"rate": 0.3}}));
        let lost: String = (0..64).map(|i| if loss.fate(i * 1460).is_zero() { '.' } else { 'x' }).collect();
        assert_eq!(lost, "x....x.....xx...xx..x.x..xx.............x.xx.x..x...x...x.......");
    }
}
