//! Every kind of malformed scenario is refused with a message that says what to write instead.
//!
//! The messages are kept as snapshots, one file per kind, to be read as a user would read them.

#![allow(clippy::unwrap_used, reason = "a test may")]

use chaos_proxy::config;
use chaos_proxy::scenario::{self, Clash, Typed};
use proptest::prelude::*;

const GOOD: &str = r#"name: brownout
x-slow: &slow {delay: 300ms}
steps:
  - {at: 10s, for: 20s, route: db, add: {latency: {<<: *slow, jitter: 5ms}}}
  - {at: 12s, for: 2s, route: db, set: {latency: {delay: 1s, jitter: null}}}
  - {at: 33s, for: 2s, route: db, close: reset}
  - {at: 15s, for: 10s, route: db, ramp: {fault: latency, key: delay, to: 2s, over: 5s}}
  - {at: 0s, note: "in ${PLACE:-space}"}
expect:
  - {route: db, during: [10s, 30s], fault: latency, fired: ">= 100", recovery: "<= 2s"}
  - {errorShare: "<= 5%", ending: {peer-reset: 0}, connections: 1..9}
"#;

fn env(name: &str) -> Option<String> {
    (name == "SECRET").then(|| "hunter2".to_owned())
}

fn parse(text: &[u8]) -> Result<Typed, config::Refused> {
    scenario::parse(text, "brownout.yaml", &env)
}

/// The message a scenario is refused with; it never holds the secret.
fn refused(text: &str) -> String {
    match parse(text.as_bytes()) {
        Ok(_) => format!("ACCEPTED: {text}"),
        Err(refused) => {
            let message = refused.to_string();
            assert!(!message.contains("hunter2") && !refused.brief().contains("hunter2"), "{message}");
            message
        }
    }
}

/// The messages of many scenarios, one after the other, each under the text it is about.
fn messages<S: AsRef<str>>(texts: impl IntoIterator<Item = S>) -> String {
    let of = |text: S| {
        let text = text.as_ref();
        format!("### {}\n{}\n", text.trim_end().escape_debug(), refused(text))
    };
    texts.into_iter().map(of).collect::<Vec<_>>().join("\n")
}

fn steps<const N: usize>(steps: [&str; N]) -> String {
    messages(steps.map(|step| format!("steps:\n  - {step}\n")))
}

fn expectations<const N: usize>(expectations: [&str; N]) -> String {
    messages(expectations.map(|expectation| format!("expect:\n  - {expectation}\n")))
}

#[test]
fn whole_scenarios() {
    insta::assert_snapshot!(messages([
        "",
        "# nothing\n",
        "name: x\n",
        "steps: []\nexpect: []\n",
        "steps:\n",
        "stepz: [{at: 0s, note: x}]\n",
        "routes: [{localPort: 1, upstream: \"a:1\"}]\n",
        "- {localPort: 1, upstream: \"a:1\"}\n",
        "routes: [{localPort: 1, upstream: \"a:1\"}]\nsteps: [{at: 0s, note: x}]\n",
        "5\n",
        "{\"steps\": [{\"at\": \"0s\", \"note\": \"x\"},]}",
        "steps: {at: 0s, note: x}\n",
        "name: ' x'\nseed: -1\nsteps: [{at: 0s, note: x}]\n",
        "name: x\nname: y\nsteps: [{at: 0s, note: x}]\n",
        "name: ${SECRET}\nseed: ${SECRET}\nsteps: [{at: \"${SECRET}\", note: \"${NOPE}\"}]\n",
    ]));
}

#[test]
fn times() {
    insta::assert_snapshot!(messages([
        "duration: 9s\nsteps: [{at: 5s, for: 5s, route: db, add: noop}]\n",
        "duration: 9s\nexpect: [{fired: 0, during: [5s, 10s]}]\n",
        "duration: 9s\nsteps: [{at: 5s, route: db, ramp: {fault: a, key: delay, to: 1s, over: 5s}}]\n",
        "duration: 0s\nsteps: [{at: 0s, note: x}]\n",
        "duration: 25h\nsteps: [{at: 0s, note: x}]\n",
        "steps: [{at: 23h, for: 2h, route: db, add: noop}]\n",
        "steps: [{at: 25h, note: x}]\n",
        "expect: [{fired: 0, during: [1s, 25h]}]\n",
        "steps: [{at: 876600h, for: 876600h, route: db, open: true}]\n",
        "steps: [{at: 10, note: x}, {at: -1s, note: x}, {at: null, note: x}, {at: , note: x}, {note: x}]\n",
        "steps: [{at: 0s, for: 0s, route: db, open: true}, {at: 0s, for: 5, route: db, open: true}]\n",
    ]));
}

#[test]
fn actions() {
    insta::assert_snapshot!(steps([
        "{at: 1s, route: db}",
        "{at: 1s, route: db, romove: latency}",
        "{at: 1s, route: db, remove: latency, add: noop}",
        "{at: 1s, rout: db, remove: latency}",
        "{at: 1s, open: true}",
        "{at: 1s, restore: true, route: db, for: 3s}",
        "{at: 1s, note: x, route: db, for: 3s}",
        "{at: 1s, restore: false}",
        "{at: 1s, route: '', open: yes}",
        "{at: 1s, route: db, close: rest}",
        "{at: 1s, route: db, close: 5}",
        "{at: 1s, route: db, remove: [latency]}",
        "{at: 1s, note: \"two\\nlines\"}",
        "{at: 1s, note: ''}",
        "note",
    ]));
}

#[test]
fn faults() {
    insta::assert_snapshot!(steps([
        "{at: 1s, route: db, add: latency}",
        "{at: 1s, route: db, add: {latencie: {delay: 1s}}}",
        "{at: 1s, route: db, add: {latency: {dealy: 1s}}}",
        "{at: 1s, route: db, add: {latency: {delay: 1}, reset: {}}}",
        "{at: 1s, route: db, add: [noop]}",
        "{at: 1s, route: db, set: latency}",
        "{at: 1s, route: db, set: {}}",
        "{at: 1s, route: db, set: {latency: {}}}",
        "{at: 1s, route: db, set: {latency: null}}",
        "{at: 1s, route: db, set: {latency: {delay: 1s}, reset: {after: 1s}}}",
        "{at: 1s, route: db, set: {latency: {dealy: 1s, colour: red}}}",
        "{at: 1s, route: db, set: {latency: {delay: [1s], jitter: .nan, rate: 0x10}}}",
        "{at: 1s, route: db, set: {' ': {delay: 1s}}}",
    ]));
}

#[test]
fn ramps() {
    insta::assert_snapshot!(steps([
        "{at: 1s, route: db, ramp: latency}",
        "{at: 1s, route: db, ramp: {fault: latency, key: delay, to: 2s}}",
        "{at: 1s, route: db, ramp: {fault: latency, kee: delay, to: 2s, over: 1s}}",
        "{at: 1s, route: db, ramp: {fault: latency, key: dealy, to: 2s, over: 0s}}",
        "{at: 1s, route: db, ramp: {fault: latency, key: delay, to: normal, over: 1s}}",
        "{at: 1s, route: db, ramp: {fault: latency, key: delay, to: null, over: 1s}}",
        "{at: 1s, route: db, ramp: {fault: latency, key: delay, to: -1, over: 1s}}",
        "{at: 1s, for: 5s, route: db, ramp: {fault: latency, key: delay, to: 2s, over: 6s}}",
    ]));
}

#[test]
fn wants() {
    insta::assert_snapshot!(expectations([
        "{name: a}",
        "{name: a, fierd: 5}",
        "{fault: latency}",
        "{fault: latency, connections: 1}",
        "{recovery: 2s}",
        "{recovery: 2s, route: db}",
        "{recovery: 2s, rute: db, during: [1s, 2s]}",
        "{ending: {}}",
        "{ending: fault}",
        "{ending: {peer-rst: 0}}",
        "{ending: {peerReset: 0, fault: many}}",
        "{fired: 0, during: 10s}",
        "{fired: 0, during: [10s]}",
        "{fired: 0, during: [10s, 20s, 30s]}",
        "{fired: 0, during: [30s, 10s]}",
        "{fired: 0, during: [10s, 10s]}",
        "{fired: 0, during: [10, soon]}",
        "- fired: 0",
        "5",
    ]));
}

#[test]
fn bounds() {
    let counts = ["=> 5", "''", "5.5", "-1", "\"-1\"", "\"< 1.5\"", "many", "5%", "[1, 2]", "null", "1e400"];
    let empty = ["\">= 0\"", "\"< 0\"", "20..10", "99999999999999999999"];
    let shares = ["5", "1.5", "500", "\"<= 101%\"", "\"<= 100%\"", "\"> 1\"", "few", "-0.1"];
    let times = ["2", "\"<= 2\"", "\"< 0s\"", "soon", "true", "\">= 0s\""];
    let counts = counts.iter().chain(&empty).map(|bound| format!("expect: [{{fired: {bound}}}]\n"));
    let shares = shares.iter().map(|bound| format!("expect: [{{errorShare: {bound}}}]\n"));
    let times =
        times.iter().map(|bound| format!("expect: [{{route: a, during: [0s, 1s], recovery: {bound}}}]\n"));
    insta::assert_snapshot!(messages(counts.chain(shares).chain(times)));
}

#[test]
fn bounds_without_quotes() {
    insta::assert_snapshot!(expectations([
        "fired: >= 5",
        "fired: > 5",
        "fired: != 0",
        "{fired: >= 5}",
        "{fired: != 0}",
    ]));
}

#[test]
fn names_of_expectations() {
    insta::assert_snapshot!(messages([
        "expect: [{name: a, fired: 0}, {name: b, fired: 0}, {name: a, connections: 5}]\n",
        "expect: [{fired: 0}, {fired: \"== 0\"}]\n",
        "expect: [{name: a, fired: x}, {name: a, fired: 0}]\n",
    ]));
}

#[test]
fn many_problems_come_in_one_run() {
    let text = "seed: x\nsteps:\n  - {at: 1, route: db, open: true}\n  - {at: 1s}\nexpect:\n  - {fired: x}\n  - {}\n";
    assert_eq!(parse(text.as_bytes()).unwrap_err().total(), 5);
}

#[test]
fn what_is_found_later_is_shown_in_the_text() {
    let clash = |step, below: &str, title: &str| Clash {
        step,
        below: below.to_owned(),
        title: title.to_owned(),
        advice: "advice".to_owned(),
    };
    let clashes = vec![
        clash(0, "/add/latency/delay", "too slow"),
        clash(1, "/set/latency/probability/x", "not there"),
        clash(2, "", "the whole step"),
        clash(99, "/route", "beyond the last"),
    ];
    insta::assert_snapshot!(parse(GOOD.as_bytes()).unwrap().refuse(clashes).to_string());
}

#[test]
fn neither_is_taken_for_the_other() {
    let scenario = b"steps: [{at: 0s, note: x}]\n";
    let as_configuration = config::parse(scenario, "a.yaml", &env).unwrap_err();
    assert_eq!(as_configuration.total(), 1);
    assert!(as_configuration.brief().contains("this is a scenario, not a configuration"));
    let configuration = b"routes: [{localPort: 1, upstream: \"a:1\"}]\n";
    let as_scenario = parse(configuration).unwrap_err();
    assert_eq!(as_scenario.total(), 1);
    assert!(as_scenario.brief().contains("this is a configuration, not a scenario"));
}

#[test]
fn no_beginning_of_a_scenario_is_too_odd() {
    for end in 0..=GOOD.len() {
        let _ = parse(&GOOD.as_bytes()[..end]).map_err(|refused| refused.to_string());
    }
}

proptest! {
    #[test]
    fn no_scenario_is_too_odd(
        at in 0..GOOD.len(),
        length in 0usize..12,
        with in prop::sample::select(vec![
            "", "{", "}", "[", "]", ":", ",", "- ", "\n", "\"", "'", "&a ", "*slow", "null", "true", "0", "-1", "1e400",
            ".nan", "876600h", "0s", "24h1s", "..", ">= ", "%", "~", "${PLACE}", "${NOPE}", "\u{202e}", "x", "steps",
            "expect: ", "routes: ", "at: ", "for: ", "!x ", "<<: ", "99999999999999999999999999999999999999999",
        ]),
    ) {
        let mut text = GOOD.to_owned();
        text.replace_range(at..(at + length).min(GOOD.len()), with);
        if let Ok(typed) = parse(text.as_bytes()) {
            let scenario = typed.scenario();
            prop_assert!(scenario.expectations.iter().all(|expectation| !expectation.wants.is_empty()));
            prop_assert!(scenario.steps.iter().all(|step| step.at <= scenario.duration));
        }
    }
}
