//! What faults did that are gone: counters only rise, whatever is taken away.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::FaultCount;
use crate::observe::{Direction, FaultStats};

/// So many are told apart; what the others did stands together under [`OTHERS`].
const MOST: usize = 256;
const OTHERS: &str = "…";

/// A fault in one direction: name, effect, direction.
type Key = (Arc<str>, &'static str, Option<Direction>);

/// The counts of faults that are gone.
#[derive(Debug, Default)]
pub(super) struct Gone(BTreeMap<Key, Arc<FaultStats>>);

impl Gone {
    /// A fault goes.
    pub(super) fn remember(&mut self, count: FaultCount) {
        let key = (count.fault, count.effect, count.direction);
        let known = self.0.len() < MOST || self.0.contains_key(&key);
        let key = if known { key } else { (OTHERS.into(), OTHERS, None) };
        match self.0.get(&key) {
            Some(sum) => sum.absorb(&count.stats),
            // Its own counters, so that what is still under way is counted too.
            None => drop(self.0.insert(key, count.stats)),
        }
    }

    /// All there ever were: those that are gone together with those that are.
    pub(super) fn with(&self, live: Vec<FaultCount>) -> Vec<FaultCount> {
        let mut all = live;
        for ((fault, effect, direction), stats) in &self.0 {
            let same = |count: &&mut FaultCount| {
                (&count.fault, count.effect, count.direction) == (fault, *effect, *direction)
            };
            match all.iter_mut().find(same) {
                Some(count) => {
                    let sum = FaultStats::default();
                    sum.absorb(stats);
                    sum.absorb(&count.stats);
                    count.stats = Arc::new(sum);
                }
                None => all.push(FaultCount {
                    fault: fault.clone(),
                    effect,
                    direction: *direction,
                    stats: stats.clone(),
                    expires_at: None,
                }),
            }
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(name: &str, amount: u64) -> FaultCount {
        let stats = FaultStats::default();
        stats.count_amount(amount);
        let (fault, direction) = (name.into(), Some(Direction::Upstream));
        FaultCount { fault, effect: "slice", direction, stats: Arc::new(stats), expires_at: None }
    }

    #[test]
    fn names_are_bounded_and_nothing_is_forgotten() {
        let mut gone = Gone::default();
        for n in 0..1_000 {
            gone.remember(count(&format!("fault-{n}"), 2));
        }
        gone.remember(count("fault-0", 5));
        let all = gone.with(vec![count("fault-0", 1), count("new", 1)]);
        assert_eq!(all.len(), MOST + 2);
        let of = |name: &str| all.iter().find(|count| *count.fault == *name).unwrap().stats.amount();
        assert_eq!((of("fault-0"), of("new"), of(OTHERS)), (8, 1, 2 * (1_000 - 256)));
        assert_eq!(gone.with(Vec::new()).iter().map(|count| count.stats.amount()).sum::<u64>(), 2_005);
    }
}
