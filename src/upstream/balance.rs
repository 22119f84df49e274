//! Which endpoint of several comes first, and which next.

use std::cmp::Ordering;
use std::sync::{Mutex, PoisonError};

use super::Balance;

/// Puts endpoints in the order in which a connection tries them. It remembers whose turn it is.
#[derive(Debug)]
pub(super) struct Balancer {
    balance: Balance,
    weights: Vec<u32>,
    turns: Mutex<Turns>,
}

#[derive(Debug)]
struct Turns {
    /// How far each endpoint is behind its share: round robin that mixes heavy and light ones.
    behind: Vec<i64>,
    /// How many connections were put in order.
    asked: usize,
}

impl Balancer {
    /// For endpoints of these weights.
    pub(super) fn new(balance: Balance, weights: Vec<u32>) -> Self {
        let turns = Mutex::new(Turns { behind: vec![0; weights.len()], asked: 0 });
        Balancer { balance, weights, turns }
    }

    /// The order for one more connection among those that may be tried. `draw` gives a number of the connection's own for an
    /// endpoint, within 0..1; `load` is how many connections the endpoint has.
    pub(super) fn order(
        &self,
        mut among: Vec<usize>,
        draw: impl Fn(usize) -> f64,
        load: impl Fn(usize) -> usize,
    ) -> Vec<usize> {
        if among.len() < 2 {
            return among;
        }
        match self.balance {
            Balance::First => {}
            Balance::RoundRobin => {
                let first = self.turn(&among);
                among.rotate_left(first);
            }
            Balance::Random => among = self.drawn(among, draw),
            Balance::LeastConnections => {
                let mut turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
                turns.asked = turns.asked.wrapping_add(1);
                // Those with equally many take turns.
                let first = turns.asked % among.len();
                drop(turns);
                among.rotate_left(first);
                let mut loaded: Vec<(usize, usize)> = among.into_iter().map(|i| (i, load(i))).collect();
                loaded.sort_by(|a, b| self.compare(*a, *b));
                among = loaded.into_iter().map(|(i, _)| i).collect();
            }
        }
        among
    }

    /// Whose turn it is, as a place in `among`: who is the furthest behind its share.
    fn turn(&self, among: &[usize]) -> usize {
        let mut turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
        let mut total = 0;
        let mut first = (0, i64::MIN);
        for (place, i) in among.iter().enumerate() {
            let weight = i64::from(self.weight(*i));
            total += weight;
            let Some(behind) = turns.behind.get_mut(*i) else { continue };
            *behind = behind.saturating_add(weight);
            if *behind > first.1 {
                first = (place, *behind);
            }
        }
        let chosen = among.get(first.0).and_then(|i| turns.behind.get_mut(*i));
        if let Some(behind) = chosen {
            *behind = behind.saturating_sub(total);
        }
        first.0
    }

    /// Each endpoint has a draw of its own, so that one that is away moves only the connections that would have gone to it. The
    /// largest of `draw^(1/weight)` comes first: each is the first as often as its weight says.
    fn drawn(&self, among: Vec<usize>, draw: impl Fn(usize) -> f64) -> Vec<usize> {
        let key = |i: usize| draw(i).ln() / f64::from(self.weight(i).max(1));
        let mut keyed: Vec<(usize, f64)> = among.into_iter().map(|i| (i, key(i))).collect();
        keyed.sort_by(|(_, a), (_, b)| b.total_cmp(a));
        keyed.into_iter().map(|(i, _)| i).collect()
    }

    fn compare(&self, (a, load_a): (usize, usize), (b, load_b): (usize, usize)) -> Ordering {
        let per_weight = |load: usize, other: usize| (load as u128) * u128::from(self.weight(other));
        per_weight(load_a, b).cmp(&per_weight(load_b, a))
    }

    fn weight(&self, i: usize) -> u32 {
        self.weights.get(i).copied().unwrap_or(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fault::dice::Dice;

    fn firsts(balancer: &Balancer, among: &[usize], n: u64) -> Vec<usize> {
        let draw = |connection| move |i| Dice::new(7).number(connection).number(i as u64).draws().unit();
        (0..n).map(|connection| balancer.order(among.to_vec(), draw(connection), |_| 0)[0]).collect()
    }

    fn none(_: usize) -> f64 {
        unreachable!("nothing is drawn")
    }

    #[test]
    fn first_is_the_order_of_the_list() {
        let balancer = Balancer::new(Balance::First, vec![1, 9, 1]);
        assert_eq!(balancer.order(vec![0, 1, 2], none, |_| 0), [0, 1, 2]);
    }

    #[test]
    fn round_robin_mixes_by_weight_and_goes_on_with_the_next() {
        let balancer = Balancer::new(Balance::RoundRobin, vec![1, 2, 1]);
        assert_eq!(firsts(&balancer, &[0, 1, 2], 8), [1, 0, 2, 1, 1, 0, 2, 1]);
        let equal = Balancer::new(Balance::RoundRobin, vec![1, 1, 1]);
        assert_eq!(firsts(&equal, &[0, 1, 2], 6), [0, 1, 2, 0, 1, 2]);
        assert_eq!(equal.order(vec![0, 1, 2], none, |_| 0), [0, 1, 2]);
        assert_eq!(equal.order(vec![0, 1, 2], none, |_| 0), [1, 2, 0]);
    }

    #[test]
    fn who_is_away_is_left_out_of_the_turns() {
        let balancer = Balancer::new(Balance::RoundRobin, vec![1, 1, 1]);
        assert_eq!(firsts(&balancer, &[0, 2], 4), [0, 2, 0, 2]);
    }

    #[test]
    fn random_is_by_weight_and_the_same_for_the_same_connection() {
        let balancer = Balancer::new(Balance::Random, vec![1, 3]);
        let drawn = firsts(&balancer, &[0, 1], 4_000);
        assert_eq!(drawn, firsts(&balancer, &[0, 1], 4_000));
        let heavy = drawn.iter().filter(|i| **i == 1).count();
        assert!((2_900..3_100).contains(&heavy), "{heavy}");
    }

    #[test]
    fn one_that_is_away_moves_only_its_own_connections() {
        let balancer = Balancer::new(Balance::Random, vec![2, 1, 3, 1]);
        let (all, three) = (firsts(&balancer, &[0, 1, 2, 3], 1_000), firsts(&balancer, &[0, 1, 3], 1_000));
        assert!(all.iter().zip(&three).all(|(all, three)| all == three || *all == 2));
        assert!((370..490).contains(&all.iter().filter(|i| **i == 2).count()));
    }

    #[test]
    fn the_least_loaded_for_its_weight_comes_first() {
        let balancer = Balancer::new(Balance::LeastConnections, vec![1, 4, 1]);
        let load = |i: usize| [2, 4, 1][i];
        for _ in 0..3 {
            assert_eq!(balancer.order(vec![0, 1, 2], none, load)[2], 0);
        }
        let mut even = firsts(&Balancer::new(Balance::LeastConnections, vec![1, 1, 1]), &[0, 1, 2], 3);
        even.sort_unstable();
        assert_eq!(even, [0, 1, 2], "equals take turns");
    }
}
