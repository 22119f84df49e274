use std::time::Duration;

use serde_json::json;

use super::*;
use crate::scenario::lab::{add, db, scenario, set, step};

fn config() -> Config {
    Config::from_text(
        "routes: [{name: db, localPort: auto, upstream: 'builtin:echo', latencyMs: 5}, {name: dbs, localPort: auto, upstream: 'builtin:echo'}]",
    )
    .unwrap()
}

fn clashes(steps: Vec<Step>) -> Vec<String> {
    let config = config();
    let clashes = rehearse(&scenario(100.0, steps), &config, Some(&config));
    clashes
        .iter()
        .map(|clash| format!("Step({}){} {} ({})", clash.step, clash.below, clash.title, clash.advice))
        .collect()
}

fn remove(fault: &str) -> Action {
    Action::Remove { route: db(), fault: fault.into() }
}

#[test]
fn what_will_be_refused_is_told_before_anything_runs() {
    let elsewhere = Action::Open { route: "dv".into() };
    let ramp = |fault: &str, key: &str, to| Action::Ramp {
        route: db(),
        fault: fault.into(),
        key: key.into(),
        to,
        over: Duration::from_secs(1),
    };
    let said = clashes(vec![
        step(1.0, None, elsewhere),
        step(2.0, None, remove("dleay")),
        step(3.0, None, set("delay", json!({"delay": "-1s"}))),
        step(4.0, None, add(json!({"delay": {"delay": "1s"}}))),
        step(4.5, None, add(json!({"latency": {"delay": "1s"}}))),
        step(4.6, None, add(json!({"latency": {"delay": "2s"}}))),
        step(5.0, None, ramp("delay", "delay", json!("1KiB"))),
        step(6.0, None, ramp("delay", "dely", json!("1s"))),
        step(7.0, None, ramp("delay", "jitter", json!("2s"))),
    ]);
    let expected = [
        "Step(0)/route there is no route `dv` (routes are db, dbs)",
        "Step(1)/remove route `db` has no fault `dleay` at this moment (did you mean `delay`?)",
        "Step(2)/set/delay/delay delay \"-1s\" is negative (a duration is zero or more)",
        "Step(3)/add there is a fault `delay` already (give this one a `name`)",
        "Step(5)/add there is a fault of this effect already: this one would be called `latency-downstream` \
         (give this one a `name`)",
        "Step(6)/ramp/to this cannot be reached from \"5ms\" by degrees (write a value of the same kind)",
        "Step(7)/ramp/key this parameter has no value to begin with (`set` it before, or write another)",
    ];
    assert_eq!(said.get(..7).unwrap_or(&said), expected, "{said:#?}");
}

#[test]
fn what_comes_in_time_is_there() {
    let latency = || add(json!({"latency": {"delay": "1s"}}));
    let said = clashes(vec![
        // In the order of their times, not of the file.
        step(9.0, None, remove("latency")),
        step(1.0, Some(2.0), latency()),
        step(3.0, Some(2.0), latency()),
        step(5.0, None, latency()),
        step(10.0, Some(5.0), remove("delay")),
        step(15.0, None, set("delay", json!({"delay": "1s"}))),
        step(20.0, None, remove("delay")),
        step(21.0, None, Action::Restore),
        step(22.0, None, set("delay", json!({"delay": "1s"}))),
    ]);
    assert_eq!(said, <[&str; 0]>::default());
}
