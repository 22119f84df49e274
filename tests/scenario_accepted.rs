//! What scenarios are accepted, and what they mean.

#![allow(clippy::unwrap_used, reason = "a test may")]

use std::path::Path;
use std::time::Duration;

use chaos_proxy::cli;
use chaos_proxy::daemon::Live;
use chaos_proxy::observe::Ending;
use chaos_proxy::scenario::bound::{Bound, Share};
use chaos_proxy::scenario::{self, Action, At, Scenario, Want, Window};
use chaos_proxy::spec::Period;
use serde_json::{Value, json};

fn accepted(text: &str) -> Scenario {
    let typed = scenario::parse(text.as_bytes(), "tests/brownout.yaml", &|_| None);
    typed.unwrap_or_else(|refused| panic!("refused:\n{text}\n{refused}")).mean()
}

fn action(text: &str) -> Action {
    accepted(&format!("steps: [{{at: 1s, {text}}}]")).steps.remove(0).action
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[test]
fn a_step_does_one_thing() {
    let route = || "db".into();
    let item = json!({"latency": {"delay": "300ms"}});
    let Action::Add { route: on, fault } = action("route: db, add: {latency: {delay: 300ms}}") else {
        panic!()
    };
    assert_eq!((&*on, fault["latency"]["delay"].as_str()), ("db", item["latency"]["delay"].as_str()));
    let Action::Add { fault, .. } = action("route: db, add: noop") else { panic!() };
    assert!(fault["noop"].is_object() && fault.len() == 1);
    let Action::Set { route: on, fault, patch } =
        action("route: db, set: {slow: {delay: 1s, jitter: null, probability: 0.5, times: 3}}")
    else {
        panic!()
    };
    assert_eq!((&*on, &*fault), ("db", "slow"));
    assert_eq!(Value::Object(patch), json!({"delay": "1s", "jitter": null, "probability": 0.5, "times": 3}));
    assert_eq!(action("route: db, remove: slow"), Action::Remove { route: route(), fault: "slow".into() });
    for (text, live) in [
        ("keep", Live::Keep),
        ("close", Live::Close),
        ("reset", Live::Reset),
        ("true", Live::Close),
        ("null", Live::Close),
        ("", Live::Close),
    ] {
        assert_eq!(action(&format!("route: db, close: {text}")), Action::Close { route: route(), live });
    }
    assert_eq!(action("route: db, open: true"), Action::Open { route: route() });
    assert_eq!(action("route: db, open: "), Action::Open { route: route() });
    assert_eq!(action("restore: null"), Action::Restore);
    assert_eq!(action("note: steady state"), Action::Note("steady state".to_owned()));
    assert_eq!(
        action("route: db, ramp: {fault: slow, key: delay, to: 2s, over: 10s}"),
        Action::Ramp {
            route: route(),
            fault: "slow".into(),
            key: "delay".into(),
            to: json!("2s"),
            over: seconds(10)
        }
    );
}

#[test]
fn an_expectation_wants_what_it_names() {
    let scenario = accepted(
        "expect:\n  - {name: all, route: db, during: [0s, 40s], fault: slow, fired: \">= 100\", connections: 1..5,\n     \
         ending: {fault: 0, peer-reset: \"<= 3\"}, errorShare: \"<= 5%\", recovery: 2s}\n",
    );
    let expectation = &scenario.expectations[0];
    assert_eq!((expectation.name.as_str(), expectation.route.as_deref()), ("all", Some("db")));
    assert_eq!(expectation.during, Some(Window { from: seconds(0), to: seconds(40) }));
    assert_eq!(expectation.place, At { line: 2, column: 5 });
    assert_eq!(
        expectation.wants,
        [
            Want::Fired { fault: Some("slow".into()), bound: Bound::AtLeast(100) },
            Want::Connections(Bound::Between(1, 5)),
            Want::Ended(Ending::PeerReset, Bound::AtMost(3)),
            Want::Ended(Ending::Fault, Bound::Exactly(0)),
            Want::ErrorShare(Bound::AtMost(Share(0.05))),
            Want::Recovery(Bound::AtMost(Period::new(seconds(2)))),
        ]
    );
}

#[test]
fn expectations_without_a_name_are_called_by_what_they_want() {
    let scenario = accepted(
        "expect:\n  - {fired: 0}\n  - {route: db, fault: slow, fired: \">= 100\", during: [10s, 1m]}\n  \
         - {connections: \"> 1\", ending: {peer-reset: \"<= 3\"}, errorShare: \"< 5%\"}\n",
    );
    let names: Vec<&str> = scenario.expectations.iter().map(|expectation| &*expectation.name).collect();
    assert_eq!(
        names,
        [
            "fired == 0",
            "slow fired >= 100 on db from 10s to 1m",
            "connections > 1, peer-reset <= 3, errorShare < 5%"
        ]
    );
}

#[test]
fn a_scenario_lasts_until_the_last_thing_in_it_is_over() {
    let duration = |text: &str| accepted(text).duration;
    assert_eq!(duration("steps: [{at: 0s, note: x}]"), seconds(0));
    assert_eq!(duration("steps: [{at: 5s, for: 20s, route: db, add: noop}, {at: 9s, note: x}]"), seconds(25));
    let ramp = "route: db, ramp: {fault: a, key: delay, to: 1s, over: 10s}";
    assert_eq!(duration(&format!("steps: [{{at: 5s, {ramp}}}]")), seconds(15));
    assert_eq!(duration(&format!("steps: [{{at: 5s, for: 30s, {ramp}}}]")), seconds(35));
    assert_eq!(duration("expect: [{fired: 0, during: [1s, 7s]}]"), seconds(7));
    assert_eq!(duration("duration: 1m\nexpect: [{fired: 0, during: [1s, 7s]}]"), seconds(60));
    assert_eq!(duration("duration: 24h\nsteps: [{at: 24h, note: x}]"), seconds(24 * 3600));
}

#[test]
fn a_scenario_is_called_as_its_file() {
    assert_eq!(accepted("expect: [{fired: 0}]").name, "brownout");
    assert_eq!(
        accepted("name: other\nseed: 18446744073709551615\nexpect: [{fired: 0}]").seed,
        Some(u64::MAX)
    );
    let named = |name: &str| scenario::parse(b"expect: [{fired: 0}]", name, &|_| None).unwrap().mean().name;
    assert_eq!(
        [named("-"), named(""), named("a\nb.yaml"), named("x/y.z.json")],
        ["scenario", "scenario", "scenario", "y.z"]
    );
}

#[test]
fn yaml_and_json_mean_the_same() {
    let yaml = "x-base: &base {at: 1s, route: db}\nsteps:\n  - {<<: *base, open: true}\nexpect: [{fired: \"> 0\"}]\n";
    let json = r#"{"steps": [{"at": "1s", "route": "db", "open": true}], "expect": [{"fired": "> 0"}]}"#;
    let unplaced = |text: &str| {
        let mut scenario = accepted(text);
        scenario.steps.iter_mut().for_each(|step| step.place = At::default());
        scenario.expectations.iter_mut().for_each(|expectation| expectation.place = At::default());
        scenario
    };
    assert_eq!(unplaced(yaml), unplaced(json));
}

#[test]
fn a_lone_variable_takes_the_type_its_place_asks_for() {
    let env = |name: &str| match name {
        "DELAY" => Some("300ms".to_owned()),
        "TIMES" => Some("7".to_owned()),
        _ => None,
    };
    let text = "steps: [{at: \"${DELAY}\", route: db, set: {a: {delay: \"${DELAY}\", times: \"${TIMES}\"}}}]\n\
                expect: [{fired: \"${TIMES}\"}, {fired: \">= ${TIMES}\"}]\n";
    let scenario = scenario::parse(text.as_bytes(), "a", &env).unwrap().mean();
    let Action::Set { patch, .. } = &scenario.steps[0].action else { panic!() };
    assert_eq!(Value::Object(patch.clone()), json!({"delay": "300ms", "times": 7}));
    assert_eq!(scenario.expectations[0].wants, [Want::Fired { fault: None, bound: Bound::Exactly(7) }]);
    assert_eq!(scenario.expectations[1].wants, [Want::Fired { fault: None, bound: Bound::AtLeast(7) }]);
}

#[test]
fn the_schema_in_the_repository_is_the_program_s() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/scenario.schema.json");
    let schema = cli::schema(cli::Subject::Scenario);
    if std::env::var_os("UPDATE_SCHEMA").is_some() {
        std::fs::write(&path, &schema).unwrap();
    }
    let kept = std::fs::read_to_string(path).unwrap();
    assert!(kept == schema, "run the tests with UPDATE_SCHEMA=1 to renew examples/scenario.schema.json");
}
