//! Hostile documents are refused quickly and in little memory.
//!
//! One test in a binary of its own: the peak of this process is what is measured.

#![allow(clippy::unwrap_used, reason = "a test may")]

mod config_support;

use std::fmt::Write as _;
use std::time::Duration;

use config_support::refused;
use rustix::time::{ClockId, clock_gettime};

fn peak_kib() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

/// What this thread has taken of the processor: a machine may have others to serve.
fn cpu_time() -> Duration {
    clock_gettime(ClockId::ThreadCPUTime).try_into().unwrap()
}

fn bomb() -> String {
    let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..10 {
        let row = vec![format!("*a{}", level - 1); 10].join(", ");
        writeln!(text, "a{level}: &a{level} [{row}]").unwrap();
    }
    text
}

#[test]
fn hostile_documents_cost_little() {
    let megabyte = "x".repeat(1_000_000);
    let documents = [
        ("brackets", "[".repeat(100_000)),
        ("YAML brackets", format!("---\n{}", "[".repeat(100_000))),
        ("braces", format!("---\n{}", "{a: ".repeat(100_000))),
        ("nested maps", (0..1400).map(|depth| format!("{}a:\n", " ".repeat(depth))).collect()),
        ("dashes", "- ".repeat(500_000)),
        ("billion laughs", bomb()),
        (
            "copies of a long text",
            format!("a: &a {}\nb: [{}]\n", "x".repeat(400_000), "*a, ".repeat(150_000)),
        ),
        (
            "many long upstreams",
            format!("x-a: &a {}\nroutes:\n{}", "x".repeat(400_000), "- {upstream: *a}\n".repeat(20_000)),
        ),
        (
            "deep below a long key",
            format!("---\n\"{}\": [{}]\n", "x".repeat(1000), "{a: 1, a: 2},".repeat(20_000)),
        ),
        ("long value", format!("seed: {megabyte}\n")),
        ("long key", format!("{megabyte}: 1\n")),
        ("long JSON key", format!("{{\"{megabyte}\": 1}}")),
        ("unknown keys", (0..70_000).map(|key| format!("k{key}: 1\n")).collect()),
        (
            "unknown keys of JSON",
            format!("{{{}\"z\": 1}}", (0..70_000).map(|key| format!("\"k{key}\":1,")).collect::<String>()),
        ),
        ("100,000 unknown keys", (0..100_000).map(|key| format!("{key:x}:\n")).collect()),
        ("the same key", "a: 1\n".repeat(200_000)),
        ("bad routes", format!("[{}0]", "0,".repeat(200_000))),
        ("empty routes", format!("[{}{{}}]", "{},".repeat(200_000))),
        (
            "many faults",
            format!("routes: [{}{{}}]", format!("{{faults: [{}drop]}},", "drop,".repeat(3400)).repeat(60)),
        ),
        (
            "many routes",
            format!(
                "[{}0]",
                (1..4000)
                    .map(|port| format!("{{\"localPort\":{port},\"upstream\":\"localhost:{}\"}},", port + 1))
                    .collect::<String>()
            ),
        ),
        (
            "one circle",
            format!(
                "[{}{{\"localPort\":4000,\"upstream\":\"127.0.0.1:1\",\"bind\":\"*\"}}]",
                (1..4000)
                    .map(|port| format!("{{\"localPort\":{port},\"upstream\":\"localhost:{}\"}},", port + 1))
                    .collect::<String>()
            ),
        ),
        ("bad items", format!("---\n[{}]", "{a: 1},".repeat(70_000))),
        ("variables", format!("routes:\n{}", "- ${SECRET}${NOPE}\n".repeat(50_000))),
        ("quotes", "\"".repeat(1_000_000)),
        ("newlines", "\n".repeat(1_000_000)),
        ("commas", format!("---\n[{}", ",".repeat(1_000_000))),
        ("values", format!("---\n[{}]", "1,".repeat(500_000))),
        (
            "merges",
            format!(
                "x: &x {{{}}}\nroutes:\n{}",
                (0..2000).map(|k| format!("k{k}: 1, ")).collect::<String>(),
                "- <<: *x\n".repeat(5000)
            ),
        ),
        ("at signs", "a: b:c@d\n".repeat(100_000)),
        ("many passwords", format!("[{}\"u:p@h\"]", "\"u:p@h\",".repeat(100_000))),
    ];
    let before = peak_kib();
    for (name, text) in documents {
        let before_it = cpu_time();
        let message = refused(text.as_bytes());
        let took = cpu_time() - before_it;
        assert!(took < Duration::from_secs(1), "{name} took {took:?}");
        assert!(!message.starts_with("ACCEPTED"), "{name}");
        assert!(message.len() < 20_000, "{name}: {} bytes of message", message.len());
        if let (Some(before), Some(now)) = (before, peak_kib()) {
            println!("{name}: {took:?}, {} KiB so far", now - before);
            assert!(now - before < 64 << 10, "{name} took the peak {} KiB up", now - before);
        }
    }
}
