//! The moments of a scenario in the order in which they come.

use std::time::Duration;

use super::{Action, Scenario, ramp};

/// Something that is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Due {
    /// When, from the start.
    pub(super) at: Duration,
    /// What. At one moment, in the order of [`Turn`].
    pub(super) turn: Turn,
}

/// What is due. What counts is looked at before anything else happens at that moment; what ends, ends before another
/// thing begins, and what began last ends first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Turn {
    /// The counters are looked at.
    Look,
    /// A ramp moves on.
    Move {
        /// The step.
        step: usize,
        /// From 1.
        nth: u32,
        /// So many there are.
        of: u32,
    },
    /// A step is undone.
    Undo {
        /// The later a step began the earlier its turn.
        order: usize,
        /// The step.
        step: usize,
    },
    /// A step begins.
    Begin {
        /// The step.
        step: usize,
    },
}

/// Everything that is due, in order. It begins with a look, and at the end of the scenario there is another.
pub(super) fn agenda(scenario: &Scenario) -> Vec<Due> {
    let mut all =
        vec![Due { at: Duration::ZERO, turn: Turn::Look }, Due { at: scenario.duration, turn: Turn::Look }];
    let windows = scenario.expectations.iter().filter_map(|expectation| expectation.during);
    all.extend(windows.flat_map(|window| [window.from, window.to]).map(|at| Due { at, turn: Turn::Look }));
    let mut begins: Vec<usize> = (0..scenario.steps.len()).collect();
    begins.sort_by_key(|step| scenario.steps.get(*step).map(|step| step.at));
    for (nth, step) in begins.iter().copied().enumerate() {
        let Some(what) = scenario.steps.get(step) else { continue };
        all.push(Due { at: what.at, turn: Turn::Begin { step } });
        if let Action::Ramp { over, .. } = &what.action {
            let of = ramp::moves(*over);
            let due = |nth| Due {
                at: what.at.saturating_add(ramp::after(*over, nth, of)),
                turn: Turn::Move { step, nth, of },
            };
            all.extend((1..=of).map(due));
        }
        if let Some(lasting) = what.lasting {
            let order = begins.len() - nth;
            all.push(Due { at: what.at.saturating_add(lasting), turn: Turn::Undo { order, step } });
        }
    }
    all.sort_unstable();
    all.dedup();
    all
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::scenario::bound::Bound;
    use crate::scenario::{At, Expectation, Step, Want, Window};

    fn seconds(n: u64) -> Duration {
        Duration::from_secs(n)
    }

    fn step(at: u64, lasting: Option<u64>, action: Action) -> Step {
        Step { at: seconds(at), lasting: lasting.map(seconds), action, place: At::default() }
    }

    fn remove(at: u64, lasting: Option<u64>) -> Step {
        step(at, lasting, Action::Remove { route: "db".into(), fault: "latency".into() })
    }

    fn scenario(duration: u64, steps: Vec<Step>, windows: &[(u64, u64)]) -> Scenario {
        let expectation = |(from, to): &(u64, u64)| Expectation {
            name: String::new(),
            route: None,
            during: Some(Window { from: seconds(*from), to: seconds(*to) }),
            wants: vec![Want::Connections(Bound::AtLeast(1))],
            place: At::default(),
        };
        let expectations = windows.iter().map(expectation).collect();
        Scenario { name: "test".into(), seed: None, duration: seconds(duration), steps, expectations }
    }

    /// A window that begins when a step does counts what the step brings; one that ends then does not.
    #[test]
    fn at_one_moment_one_looks_then_ends_then_begins() {
        let steps = vec![remove(3, Some(7)), remove(0, Some(10)), remove(10, None)];
        let due: Vec<(u64, Turn)> = agenda(&scenario(20, steps, &[(0, 10), (10, 20)]))
            .into_iter()
            .map(|due| (due.at.as_secs(), due.turn))
            .collect();
        let expected = [
            (0, Turn::Look),
            (0, Turn::Begin { step: 1 }),
            (3, Turn::Begin { step: 0 }),
            (10, Turn::Look),
            (10, Turn::Undo { order: 2, step: 0 }),
            (10, Turn::Undo { order: 3, step: 1 }),
            (10, Turn::Begin { step: 2 }),
            (20, Turn::Look),
        ];
        assert_eq!(due, expected);
    }

    #[test]
    fn a_ramp_moves_between_its_begin_and_its_undo() {
        let ramp = Action::Ramp {
            route: "db".into(),
            fault: "latency".into(),
            key: Arc::from("delay"),
            to: "2s".into(),
            over: Duration::from_millis(300),
        };
        let mut step = step(1, None, ramp);
        step.lasting = Some(Duration::from_millis(300));
        let due = agenda(&scenario(2, vec![step], &[]));
        let turns: Vec<(u128, Turn)> = due.into_iter().map(|due| (due.at.as_millis(), due.turn)).collect();
        let moved = |nth| Turn::Move { step: 0, nth, of: 3 };
        let expected = [
            (0, Turn::Look),
            (1000, Turn::Begin { step: 0 }),
            (1100, moved(1)),
            (1200, moved(2)),
            (1300, moved(3)),
            (1300, Turn::Undo { order: 1, step: 0 }),
            (2000, Turn::Look),
        ];
        assert_eq!(turns, expected);
    }
}
