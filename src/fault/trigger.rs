//! Whom a fault befalls: decided once per connection, at accept, in accept order.

use std::net::IpAddr;

use schemars::JsonSchema;
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize};
use tokio::time::Instant;

use super::dice::Dice;
use crate::spec::endpoint::Endpoint;
use crate::spec::{Cidr, Period, Probability};

/// The conditions a connection passes, in this order, before a fault takes it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Trigger {
    /// `false` turns the fault off and keeps it.
    pub enabled: bool,
    /// Only clients from this address range.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Cidr")]
    pub client: Option<Cidr>,
    /// Only connections that dial this endpoint: decided when one first does.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Endpoint")]
    pub endpoint: Option<Endpoint>,
    /// Spare the first so many.
    pub skip: u64,
    /// Then consider only every so many-th (the first, then each nth after it).
    #[serde(deserialize_with = "at_least_one")]
    #[schemars(range(min = 1))]
    pub every: u64,
    /// Then a draw decides.
    pub probability: Probability,
    /// At most so many in all.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "some_at_least_one")]
    #[schemars(with = "u64", range(min = 1))]
    pub times: Option<u64>,
    /// The fault is gone this long after it arrived on the route.
    #[serde(rename = "for", skip_serializing_if = "Option::is_none", deserialize_with = "some_time")]
    #[schemars(schema_with = "Period::positive_schema")]
    pub lasts: Option<Period>,
}

impl Default for Trigger {
    fn default() -> Self {
        Trigger {
            enabled: true,
            client: None,
            endpoint: None,
            skip: 0,
            every: 1,
            probability: Probability::ALWAYS,
            times: None,
            lasts: None,
        }
    }
}

/// What a trigger remembers of the connections it has seen.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tally {
    considered: u64,
    chosen: u64,
}

/// A connection was chosen, by this draw.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Chosen {
    /// The draw that was below the probability; none when nothing was left to chance.
    pub draw: Option<f64>,
}

/// What a trigger made of a connection.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Seen {
    /// Whether it was considered and chance may decide.
    pub eligible: bool,
    /// How it was chosen, if it was.
    pub chosen: Option<Chosen>,
    /// Whether it was ever chosen: it counts among the `times` once.
    counted: bool,
}

const NOBODY: &str = "would take nobody\nwrite 1 or more, or enabled: false";
const OVER: &str = "is over before it begins\nwrite how long the fault lasts, or enabled: false";

impl Trigger {
    /// Whether it can ever choose anybody; otherwise why not, and on a second line what to write.
    pub fn check(&self) -> Result<(), &'static str> {
        if self.every == 0 || self.times == Some(0) {
            return Err(NOBODY);
        }
        if self.lasts.is_some_and(|lasts| lasts.is_zero()) { Err(OVER) } else { Ok(()) }
    }

    /// Whether the fault takes the next connection. `dice` are the connection's own for this fault, so that what was
    /// decided for other connections moves nothing here but `skip`, `every` and `times`.
    pub fn decide(&self, tally: &mut Tally, client: IpAddr, dice: &Dice) -> Seen {
        if !self.enabled || self.client.as_ref().is_some_and(|range| !range.contains(client)) {
            return Seen::default();
        }
        let place = tally.considered;
        tally.considered += 1;
        let eligible = place >= self.skip && (place - self.skip).is_multiple_of(self.every.max(1));
        self.decide_again(tally, Seen { eligible, ..Seen::default() }, dice)
    }

    /// The same question with another probability: the draw is the one it was, and who was chosen is not counted twice.
    pub fn decide_again(&self, tally: &mut Tally, seen: Seen, dice: &Dice) -> Seen {
        let probability = self.probability.get();
        let draw = (seen.eligible && probability < 1.0).then(|| dice.draws().unit());
        let counted = seen.counted;
        let over = !counted && self.times.is_some_and(|times| tally.chosen >= times);
        if !seen.eligible || over || draw.is_some_and(|draw| draw >= probability) {
            return Seen { chosen: None, ..seen };
        }
        tally.chosen += u64::from(!counted);
        Seen { chosen: Some(Chosen { draw }), counted: true, ..seen }
    }

    /// When a fault that arrived then is gone.
    pub fn gone_at(&self, arrived: Instant) -> Option<Instant> {
        self.lasts.map(|lasts| arrived + lasts.get())
    }
}

fn at_least_one<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    match u64::deserialize(deserializer)? {
        0 => Err(D::Error::custom(NOBODY)),
        number => Ok(number),
    }
}

fn some_at_least_one<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    at_least_one(deserializer).map(Some)
}

fn some_time<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Period>, D::Error> {
    let period = Period::deserialize(deserializer)?;
    if period.get().is_zero() {
        return Err(D::Error::custom(OVER));
    }
    Ok(Some(period))
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

    /// The numbers, from 1, of the connections that are chosen among the first `n`.
    fn chosen(trigger: &Trigger, seed: u64, n: u64) -> Vec<u64> {
        let mut tally = Tally::default();
        let route = Dice::new(seed).name("r");
        (1..=n).filter(|i| trigger.decide(&mut tally, HERE, &route.number(*i)).chosen.is_some()).collect()
    }

    fn probability(p: f64) -> Trigger {
        Trigger { probability: Probability::new(p).unwrap(), ..Trigger::default() }
    }

    #[test]
    fn without_conditions_everyone_is_taken_and_nothing_is_drawn() {
        let mut tally = Tally::default();
        let decided = Trigger::default().decide(&mut tally, HERE, &Dice::new(1));
        assert_eq!(decided.chosen, Some(Chosen { draw: None }));
    }

    #[test]
    fn skip_then_every_then_times() {
        let trigger = Trigger { skip: 2, every: 3, times: Some(3), ..Trigger::default() };
        assert_eq!(chosen(&trigger, 1, 100), [3, 6, 9]);
    }

    #[test]
    fn times_counts_only_the_chosen() {
        let trigger = Trigger { times: Some(5), ..probability(0.5) };
        let all = chosen(&probability(0.5), 9, 100);
        assert_eq!(chosen(&trigger, 9, 100), all[..5]);
    }

    #[test]
    fn a_turned_off_fault_and_other_clients_count_nothing() {
        let mut tally = Tally::default();
        let off = Trigger { enabled: false, ..Trigger::default() };
        let elsewhere = Trigger { client: Some("10.0.0.0/8".parse().unwrap()), ..Trigger::default() };
        for trigger in [off, elsewhere] {
            assert_eq!(trigger.decide(&mut tally, HERE, &Dice::new(1)).chosen, None);
        }
        assert_eq!(tally.considered, 0);
    }

    #[test]
    fn never_is_never_and_always_is_always() {
        assert_eq!(chosen(&probability(0.0), 5, 1_000_000).len(), 0);
        assert_eq!(chosen(&probability(1.0), 5, 1_000_000).len(), 1_000_000);
    }

    /// The intervals hold with a false alarm once in 1e9 per row (exact binomial), and the seeds are fixed.
    #[test]
    fn a_million_decisions_fall_where_the_probability_says() {
        for (p, low, high) in [
            (0.001, 812, 1_200),
            (0.01, 9_397, 10_615),
            (0.1, 98_171, 101_839),
            (0.3, 297_202, 302_803),
            (0.5, 496_944, 503_056),
            (0.9, 898_161, 901_829),
        ] {
            let n = chosen(&probability(p), 42, 1_000_000).len();
            assert!((low..=high).contains(&n), "{p}: {n} is not within {low}..={high}");
        }
    }

    #[test]
    fn decisions_do_not_depend_on_their_neighbours() {
        let n = 1_000_000usize;
        let hits: Vec<f64> = {
            let mut hits = vec![0.0; n];
            for i in chosen(&probability(0.3), 42, n as u64) {
                hits[i as usize - 1] = 1.0;
            }
            hits
        };
        let mean = hits.iter().sum::<f64>() / n as f64;
        let variance = hits.iter().map(|x| (x - mean) * (x - mean)).sum::<f64>() / n as f64;
        for lag in 1..=16 {
            let covariance =
                hits.iter().zip(&hits[lag..]).map(|(a, b)| (a - mean) * (b - mean)).sum::<f64>() / n as f64;
            let r = covariance / variance;
            assert!(r.abs() < 0.0061, "lag {lag}: {r}");
        }
    }

    #[test]
    fn a_raised_probability_keeps_everyone_it_had() {
        let few = chosen(&probability(0.2), 7, 10_000);
        let more = chosen(&probability(0.3), 7, 10_000);
        assert!(few.iter().all(|i| more.contains(i)) && few.len() < more.len());
    }

    #[test]
    fn who_was_chosen_counts_once_whatever_the_probability_does() {
        let (always, never) =
            (Trigger { times: Some(1), ..probability(1.0) }, Trigger { times: Some(1), ..probability(0.0) });
        let mut tally = Tally::default();
        let dice = Dice::new(1).number(1);
        let mut seen = always.decide(&mut tally, HERE, &dice);
        for (trigger, chosen) in [(&never, false), (&always, true), (&never, false), (&always, true)] {
            seen = trigger.decide_again(&mut tally, seen, &dice);
            assert_eq!(seen.chosen.is_some(), chosen);
        }
        assert!(always.decide(&mut tally, HERE, &Dice::new(1).number(2)).chosen.is_none());
    }

    /// Part of what a seed promises: the first of 64 connections that seed 42 takes at 0.3.
    #[test]
    fn golden_vector() {
        let expected = [1, 4, 6, 11, 13, 15, 16, 23, 26, 29, 38, 41, 42, 43, 46, 53, 55, 58, 59, 60, 63, 64];
        assert_eq!(chosen(&probability(0.3), 42, 64), expected);
    }
}
