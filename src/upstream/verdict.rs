//! Whether an endpoint is up or down, from the answers it gives: a rule that is handed the time and asks nobody.
//!
//! - The first answer decides at once.
//! - An endpoint that is up goes down after `fall` bad answers in a row.
//! - One that is down comes up after `rise` good answers in a row.
//! - **Damping.** One that goes down again within ten intervals after it came back has to give twice as many good answers
//!   the next time: `rise × 2`, then `× 4`, and so on, at most `× 32`. Ten intervals of being up forgive it everything.
//!
//! So an endpoint that goes on flapping comes up ever more seldom, at last with `fall + 32 × rise` intervals from one time
//! to the next; and whatever it does, within any time it comes up at most three times more than once in six intervals.

use std::time::Duration;

use tokio::time::Instant;

use super::HealthConfig;
use crate::observe::Health;

/// Being up for so many intervals forgives all flapping.
const FORGIVEN_AFTER: u32 = 10;

/// The most that damping multiplies `rise` with.
const MOST_DAMPING: u32 = 32;

/// What the answers so far mean.
#[derive(Debug)]
pub(super) struct Verdict {
    rise: u32,
    fall: u32,
    forgiven_after: Duration,
    health: Health,
    /// The answers in a row that speak against what it is.
    against: u32,
    /// What `rise` is multiplied with.
    damping: u32,
    /// Since when it is up again, after it was down.
    back_since: Option<Instant>,
}

impl Verdict {
    /// Before the first answer.
    pub(super) fn new(config: &HealthConfig) -> Self {
        Verdict {
            rise: config.rise,
            fall: config.fall,
            forgiven_after: config.interval.saturating_mul(FORGIVEN_AFTER),
            health: Health::Unknown,
            against: 0,
            damping: 1,
            back_since: None,
        }
    }

    /// What it is.
    pub(super) fn health(&self) -> Health {
        self.health
    }

    /// Takes one more answer, to a question that was asked at `asked`. Says what the endpoint is now, if that has changed.
    pub(super) fn answer(&mut self, good: bool, asked: Instant) -> Option<Health> {
        let says = if good { Health::Up } else { Health::Down };
        if says == self.health {
            self.against = 0;
            return None;
        }
        self.against = self.against.saturating_add(1);
        let needed = match self.health {
            Health::Unknown => 1,
            Health::Up => self.fall,
            Health::Down => self.rise.saturating_mul(self.damping),
        };
        if self.against < needed {
            return None;
        }
        match self.health {
            Health::Unknown => {}
            Health::Up => self.damp(asked),
            Health::Down => self.back_since = Some(asked),
        }
        self.against = 0;
        self.health = says;
        Some(says)
    }

    /// It goes down: how hard will it be to come back?
    fn damp(&mut self, now: Instant) {
        let flaps =
            self.back_since.is_some_and(|back| now.saturating_duration_since(back) < self.forgiven_after);
        self.damping = if flaps { (self.damping * 2).min(MOST_DAMPING) } else { 1 };
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const INTERVAL: Duration = Duration::from_millis(100);

    fn config(rise: u32, fall: u32) -> HealthConfig {
        HealthConfig { interval: INTERVAL, timeout: INTERVAL, rise, fall, http: None }
    }

    /// When an endpoint changes, in intervals, that gives these answers.
    fn changes(rise: u32, fall: u32, answers: impl IntoIterator<Item = bool>) -> Vec<(usize, Health)> {
        let (mut verdict, begun) = (Verdict::new(&config(rise, fall)), Instant::now());
        let mut changes = Vec::new();
        for (i, good) in answers.into_iter().enumerate() {
            let changed = verdict.answer(good, begun + INTERVAL * i as u32);
            changes.extend(changed.map(|health| (i, health)));
            let last = changes.last().map_or(Health::Unknown, |(_, health)| *health);
            assert_eq!(verdict.health(), last);
        }
        changes
    }

    fn line(line: &str) -> impl Iterator<Item = bool> + '_ {
        line.chars().filter(|answer| *answer != ' ').map(|answer| answer == '+')
    }

    #[test]
    fn the_first_answer_decides_and_then_rows_do() {
        use Health::{Down, Up};
        let table: [(&str, &[(usize, Health)]); 7] = [
            ("", &[]),
            ("+", &[(0, Up)]),
            ("-", &[(0, Down)]),
            ("+ -- + -- + ---", &[(0, Up), (9, Down)]),
            ("- + - + - ++", &[(0, Down), (6, Up)]),
            ("+ --- ++", &[(0, Up), (3, Down), (5, Up)]),
            ("+ --- +- ++", &[(0, Up), (3, Down), (7, Up)]),
        ];
        for (answers, expected) in table {
            assert_eq!(changes(2, 3, line(answers)), expected, "{answers}");
        }
    }

    #[test]
    fn flapping_doubles_what_it_takes_up_to_32() {
        // As soon as it is up it fails until it is down, and then it is well until it is up.
        let (mut verdict, begun) = (Verdict::new(&config(2, 3)), Instant::now());
        let mut took = Vec::new();
        verdict.answer(true, begun);
        let mut n = 0;
        for _ in 0..8 {
            for good in [false, true] {
                let before = n;
                while verdict.health() == if good { Health::Down } else { Health::Up } {
                    n += 1;
                    verdict.answer(good, begun + INTERVAL * n);
                }
                took.push(n - before);
            }
        }
        assert_eq!(took, [3, 2, 3, 4, 3, 8, 3, 16, 3, 32, 3, 64, 3, 64, 3, 64]);
    }

    #[test]
    fn ten_intervals_of_being_up_forgive_everything() {
        let needed = |up_for: usize| {
            // Down, back, down at once, and so worth four; back; then up for so long until it goes down again.
            let mut answers: Vec<bool> = line("-+-++-++++").collect();
            let back = answers.len() - 1;
            answers.extend(std::iter::repeat_n(true, up_for - 1));
            answers.push(false);
            answers.extend(std::iter::repeat_n(true, 50));
            let changes = changes(1, 1, answers);
            let down = changes.iter().position(|change| *change == (back + up_for, Health::Down)).unwrap();
            changes[down + 1].0 - changes[down].0
        };
        assert_eq!([needed(1), needed(9), needed(10), needed(30)], [8, 8, 1, 1]);
    }

    #[test]
    fn the_first_time_up_is_no_coming_back() {
        assert_eq!(changes(1, 1, line("+-+")).len(), 3);
    }

    #[test]
    fn the_damping_of_an_endpoint_that_flaps_with_the_beat_lets_it_up_a_few_times() {
        // Two intervals up, two down: a row of four good answers never comes.
        let beat = (0..1_000).map(|i| i % 4 < 2);
        let ups = |rise, fall| {
            changes(rise, fall, beat.clone()).iter().filter(|(_, health)| *health == Health::Up).count()
        };
        assert_eq!((ups(1, 1), ups(2, 3), ups(2, 2)), (3, 1, 2));
    }

    /// Within each span of the answers: at most three times more than once in six intervals.
    fn obeys_the_bound(changes: &[(usize, Health)]) -> bool {
        let ups: Vec<usize> =
            changes.iter().filter(|(_, health)| *health == Health::Up).map(|(at, _)| *at).collect();
        ups.iter().enumerate().all(|(i, first)| {
            let so_far = ups.iter().skip(i).enumerate();
            so_far.into_iter().all(|(n, last)| 6 * (n + 1) <= 6 * 3 + (last - first))
        })
    }

    /// An endpoint that knows the rule and is up again and again as early as it can, `patience` intervals each time, which
    /// of them is read from `choices`.
    fn adversary(rise: u32, fall: u32, choices: &[u8]) -> Vec<(usize, Health)> {
        let (mut verdict, begun) = (Verdict::new(&config(rise, fall)), Instant::now());
        let (mut changes, mut i, mut up_for) = (Vec::new(), 0, 0);
        for choice in choices {
            let patience = if *choice < 3 { 11 } else { 0 };
            loop {
                let good = verdict.health() != Health::Up || up_for < patience;
                let changed = verdict.answer(good, begun + INTERVAL * i);
                changes.extend(changed.map(|health| (i as usize, health)));
                i += 1;
                up_for = if changed == Some(Health::Up) { 0 } else { up_for + 1 };
                if changed == Some(Health::Down) {
                    break;
                }
            }
        }
        changes
    }

    proptest! {
        #[test]
        fn no_answers_bring_it_up_more_often_than_documented(
            rise in 1_u32..4,
            fall in 1_u32..4,
            answers in proptest::collection::vec(any::<bool>(), 0..400),
        ) {
            prop_assert!(obeys_the_bound(&changes(rise, fall, answers)));
        }

        #[test]
        fn not_even_one_that_knows_the_rule(
            rise in 1_u32..3,
            fall in 1_u32..3,
            choices in proptest::collection::vec(0_u8..10, 0..60),
        ) {
            prop_assert!(obeys_the_bound(&adversary(rise, fall, &choices)));
        }
    }
}
