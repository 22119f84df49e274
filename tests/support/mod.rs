//! The harness of the outside tests: the real program, real sockets on the loopback, and facts to wait for.
//!
//! Nothing here sleeps until something is probably ready: readiness is an event in the program's log, a byte, an end or
//! a number under `/proc`, and every wait has a limit.

#![allow(dead_code, unused_imports, reason = "each test file uses its own part")]
#![allow(clippy::disallowed_types, clippy::disallowed_methods, reason = "over real sockets time is real")]
#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "a test that cannot go on should say so loudly")]

mod bytes;
mod client;
mod daemon;
mod event;
mod http;
#[cfg(target_os = "linux")]
mod namespace;
mod proc;
mod program;
#[cfg(target_os = "linux")]
mod root;
mod scope;
mod setup;
mod stream;
#[cfg(target_os = "linux")]
mod terminal;
mod toxiproxy;
mod upstream;

pub(crate) use bytes::{Pattern, receive, send};
pub(crate) use client::{
    Client, End, connect, connect_and_read, connect_from, connect_or_reset, connect_timed, read_all,
    read_byte, read_end, refused, reset, shut, small_window,
};
pub(crate) use daemon::{Daemon, bare};
pub(crate) use event::{Event, Events};
pub(crate) use http::{Answer, Api, EventStream, read_answer};
#[cfg(target_os = "linux")]
pub(crate) use namespace::Namespace;
pub(crate) use proc::{clients_of, cpu_time, descriptors, listening_ports, queues, resident, sockets_in};
pub(crate) use program::{Program, command, installed, run};
#[cfg(target_os = "linux")]
pub(crate) use root::{First, Root, static_program};
pub(crate) use scope::{heavy, within};
pub(crate) use setup::{Setup, fixed_route, route};
pub(crate) use stream::{DOWN, UP, both_ways, faults, flood, lateness, median, pair, timed};
#[cfg(target_os = "linux")]
pub(crate) use terminal::Terminal;
pub(crate) use toxiproxy::{as_toxiproxy, proxy, toxic};
pub(crate) use upstream::{Gate, Listener, Upstream, unanswering, unused_address, unused_port};

use std::io::Write as _;
use std::time::{Duration, Instant};

/// Says something that is to be seen although the test passes.
pub(crate) fn loudly(what: &str) {
    // Not by a macro: their output is shown only when a test fails.
    let _ = writeln!(std::io::stderr(), "{what}");
}

/// Waits until `fact` holds, asking often; panics with `what` when it does not within `limit`.
pub(crate) fn eventually(limit: Duration, what: &str, mut fact: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !fact() {
        assert!(begun.elapsed() < limit, "not within {limit:?}: {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// For promises about milliseconds on a machine that is busy with other things: `attempt` says how long something took,
/// and one of three attempts has to keep to the limit. What must never happen is asserted inside `attempt`.
pub(crate) fn best_of_three(what: &str, limit: Duration, mut attempt: impl FnMut() -> Duration) {
    let mut seen = Vec::new();
    for _ in 0..3 {
        let took = attempt();
        seen.push(took);
        if took <= limit {
            return;
        }
    }
    panic!("{what}: three times longer than {limit:?}: {seen:?}");
}

/// Milliseconds.
pub(crate) const fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

/// Seconds.
pub(crate) const fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

/// A runtime for the tests that hold a thousand connections at once.
pub(crate) fn many<F: Future>(work: F) -> F::Output {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    runtime.expect("a runtime").block_on(work)
}
