//! Steps that would take back what another one did: what is undone must leave no trace, and nothing else.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::{Action, Clash, Scenario};
use crate::spec::Period;

/// What steps can be at odds about: a route's listening (no fault), or one of its faults.
type Thing<'a> = (&'a str, Option<&'a str>);

/// A step as far as others could be at odds with it.
struct Claim<'a> {
    step: usize,
    from: Duration,
    /// When it is undone; none: never.
    to: Option<Duration>,
    /// Until when a ramp moves.
    moves: Option<Duration>,
    /// The parameters of the fault; empty: all there is.
    keys: BTreeSet<&'a str>,
}

/// Every step that is not over when one that began before it, and changes the same thing, is undone; and every one that
/// comes while a ramp moves the same parameter.
pub(super) fn crossings(scenario: &Scenario) -> Vec<Clash> {
    let restores = scenario.steps.iter().filter(|step| step.action == Action::Restore);
    let mut restores: Vec<Duration> = restores.map(|step| step.at).collect();
    restores.sort_unstable();
    let mut claims: BTreeMap<Thing<'_>, Vec<Claim<'_>>> = BTreeMap::new();
    for (nth, step) in scenario.steps.iter().enumerate() {
        let Some((thing, keys)) = step.action.touched() else { continue };
        // A restore ends everything that began before it.
        let restored = restores.iter().find(|at| **at > step.at).copied();
        let earlier = |at: Duration| restored.map_or(at, |restored| at.min(restored));
        let moves = match &step.action {
            Action::Ramp { over, .. } => Some(earlier(step.at.saturating_add(*over))),
            _ => None,
        };
        let to = step.lasting.map(|lasting| earlier(step.at.saturating_add(lasting))).or(restored);
        claims.entry(thing).or_default().push(Claim { step: nth, from: step.at, to, moves, keys });
    }
    let mut clashes = Vec::new();
    for claims in claims.values_mut() {
        claims.sort_by_key(|claim| claim.from);
        for (nth, first) in claims.iter().enumerate() {
            let over = first.to.max(first.moves);
            let later =
                claims.iter().skip(nth + 1).take_while(|second| over.is_some_and(|over| second.from < over));
            clashes.extend(
                later.filter(|second| first.is_at_odds(second)).find_map(|second| first.crossed(second)),
            );
        }
    }
    clashes
}

impl Claim<'_> {
    fn is_at_odds(&self, other: &Claim<'_>) -> bool {
        self.keys.is_empty() || other.keys.is_empty() || !self.keys.is_disjoint(&other.keys)
    }

    /// What is wrong with one that begins later, before this one is over.
    fn crossed(&self, second: &Claim<'_>) -> Option<Clash> {
        let clash = |below: &str, title: &str, advice: String| Clash {
            step: second.step,
            below: below.to_owned(),
            title: title.to_owned(),
            advice,
        };
        if let Some(moves) = self.moves.filter(|moves| second.from > self.from && second.from < *moves) {
            let advice = format!("let it begin at {} or later", Period::new(moves));
            return Some(clash("/at", "this comes while a ramp moves the same thing", advice));
        }
        let over = self.to?;
        if second.to.is_some_and(|to| to <= over) {
            return None;
        }
        let (below, advice) = match second.to {
            Some(_) => ("/for", format!("let it be over by {}, when that one is undone", Period::new(over))),
            None => {
                let end = Period::new(over.saturating_sub(second.from));
                ("/at", format!("add `for: {end}` at most, or let it begin at {}", Period::new(over)))
            }
        };
        Some(clash(below, "this outlasts a step that began before it and changes the same thing", advice))
    }
}

impl Action {
    /// What it changes, and which parameters of that.
    fn touched(&self) -> Option<(Thing<'_>, BTreeSet<&str>)> {
        let route = &**self.route()?;
        Some(match self {
            Action::Add { fault, .. } => {
                let (effect, parameters) = fault.iter().next()?;
                let name = parameters.get("name").and_then(|name| name.as_str()).unwrap_or(effect);
                ((route, Some(plain(name))), BTreeSet::new())
            }
            Action::Set { fault, patch, .. } => {
                ((route, Some(plain(fault))), patch.keys().map(String::as_str).collect())
            }
            Action::Remove { fault, .. } => ((route, Some(plain(fault))), BTreeSet::new()),
            Action::Ramp { fault, key, .. } => ((route, Some(plain(fault))), BTreeSet::from([&**key])),
            Action::Close { .. } | Action::Open { .. } => ((route, None), BTreeSet::new()),
            Action::Restore | Action::Note(_) => return None,
        })
    }
}

/// A name without the direction that an unnamed fault may get behind its effect.
fn plain(name: &str) -> &str {
    name.strip_suffix("-upstream").or_else(|| name.strip_suffix("-downstream")).unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::scenario::Step;
    use crate::scenario::lab::{db, scenario, set, step};

    fn remove(fault: &str) -> Action {
        Action::Remove { route: db(), fault: fault.into() }
    }

    fn said(steps: Vec<Step>) -> Vec<String> {
        let clashes = crossings(&scenario(100.0, steps)).into_iter();
        clashes
            .map(|clash| format!("Step({}){} {} ({})", clash.step, clash.below, clash.title, clash.advice))
            .collect()
    }

    /// What is undone must not take away what another step has done since.
    #[test]
    fn steps_on_the_same_thing_are_nested_or_apart() {
        let slow = |at: f64, long: Option<f64>| step(at, long, set("delay", json!({"delay": "1s"})));
        let jittery = |at: f64, long: f64| step(at, Some(long), set("delay", json!({"jitter": "1ms"})));
        let ramp = |at: f64, long: Option<f64>| {
            let action = Action::Ramp {
                route: db(),
                fault: "delay".into(),
                key: "delay".into(),
                to: "1s".into(),
                over: Duration::from_secs(10),
            };
            step(at, long, action)
        };
        let long = Some(10.0);
        let gone = |at: f64, long: Option<f64>| step(at, long, remove("delay"));
        let closed = |at: f64| step(at, long, Action::Close { route: db(), live: Default::default() });
        let by_20s = "Step(1)/for this outlasts a step that began before it and changes the same thing \
                      (let it be over by 20s, when that one is undone)";
        let for_5s = "Step(1)/at this outlasts a step that began before it and changes the same thing \
                      (add `for: 5s` at most, or let it begin at 20s)";
        let moves = "Step(1)/at this comes while a ramp moves the same thing (let it begin at 20s or later)";
        for (steps, clash) in [
            (vec![slow(10.0, long), slow(15.0, long)], by_20s),
            (vec![slow(10.0, long), gone(15.0, long)], by_20s),
            (vec![slow(10.0, long), slow(15.0, None)], for_5s),
            (vec![slow(10.0, long), ramp(15.0, None)], for_5s),
            (vec![ramp(10.0, None), slow(15.0, Some(1.0))], moves),
            (vec![ramp(10.0, Some(20.0)), ramp(15.0, Some(15.0))], moves),
        ] {
            assert_eq!(said(steps), [clash]);
        }
        for apart in [
            vec![slow(10.0, long), slow(15.0, Some(5.0))],
            vec![slow(10.0, long), slow(20.0, None)],
            vec![slow(10.0, None), slow(15.0, long)],
            vec![slow(10.0, long), jittery(15.0, 10.0)],
            vec![slow(10.0, long), closed(15.0)],
            vec![ramp(10.0, Some(20.0)), slow(20.0, long)],
            vec![slow(10.0, Some(50.0)), step(15.0, None, Action::Restore), slow(20.0, None)],
        ] {
            assert_eq!(said(apart), <[&str; 0]>::default());
        }
    }
}
