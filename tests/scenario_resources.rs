//! Hostile scenarios are refused quickly.
//!
//! What costs memory in a text costs it in a configuration too, and is measured there.

#![allow(clippy::unwrap_used, reason = "a test may")]

use std::fmt::Write as _;

use chaos_proxy::scenario;
use tokio::time::Instant;

#[test]
fn hostile_scenarios_cost_little() {
    let step = "{at: 1s, route: db, add: {latency: {delay: 1s}}, set: {a: {b: c}}},";
    let keys = (0..60_000).fold(String::new(), |mut keys, key| {
        write!(keys, "k{key}: 1, ").unwrap();
        keys
    });
    let few = (0..60).map(|key| format!("key{key}: 1, ")).collect::<String>();
    let scenarios = [
        ("steps", format!("---\nsteps: [{}]", step.repeat(5000))),
        ("bad steps", format!("---\nsteps: [{}]", "{a: 1},".repeat(50_000))),
        ("no steps", format!("---\nsteps: [{}]", "0,".repeat(100_000))),
        ("as many as there may be", format!("---\nexpect: [{}0]", "{fired: 1},".repeat(4095))),
        ("unknown parameters", format!("---\nsteps: [{{at: 1s, route: db, set: {{a: {{{keys}}}}}}}]")),
        (
            "many unknown parameters",
            format!("---\nsteps: [{}]", format!("{{at: 1s, route: db, set: {{a: {{{few}}}}}}},").repeat(900)),
        ),
        ("many faults", format!("---\nsteps: [{{at: 1s, route: db, set: {{{keys}}}}}]")),
        ("moments", format!("---\nexpect: [{{fired: 0, during: [{}]}}]", "1s,".repeat(100_000))),
        ("brackets", format!("steps: {}", "[".repeat(100_000))),
        ("a long bound", format!("expect: [{{fired: \">= {}\"}}]", "9".repeat(900_000))),
    ];
    for (name, text) in scenarios {
        let start = Instant::now();
        let refused = scenario::parse(text.as_bytes(), "a.yaml", &|_| None).map(|_| ()).unwrap_err();
        let message = refused.to_string();
        assert!(start.elapsed().as_secs_f64() < 1.0, "{name} took {:?}", start.elapsed());
        assert!(message.len() < 20_000, "{name}: {} bytes of message", message.len());
    }
}
