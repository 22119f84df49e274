//! What the system says instead of handing over a client is survived: the loop goes on, the processor rests, the log is
//! short, and everybody is served as soon as the system permits.
//!
//! The errors are put in by strace, where it is installed and may trace.

#![cfg(target_os = "linux")]
#![allow(clippy::disallowed_types, clippy::disallowed_methods, reason = "over real sockets time is real")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should say so loudly")]

mod support;

use std::io::Write;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use support::*;

/// The words that run a program whose first `times` accepts fail in this way. The tracer is the program's child and not
/// its parent, so that the process is the program's own. It counts for each thread: there is one that accepts.
fn failing(error: &str, times: u32) -> Vec<String> {
    let inject = format!("inject=accept4:error={error}:when=1..{times}");
    let strace = ["strace", "-D", "-f", "-qqq", "-o", "/dev/null", "-e", "trace=accept4", "-e", &inject];
    ["env", "TOKIO_WORKER_THREADS=1"].iter().chain(&strace).map(|word| (*word).to_owned()).collect()
}

/// Whether it works here at all; said loudly where not.
fn can_inject() -> bool {
    let words = failing("EPERM", 1);
    let tried = Command::new(&words[0]).args(&words[1..]).arg("true").stderr(Stdio::null()).status();
    let works = tried.is_ok_and(|status| status.success());
    if !works {
        loudly("SKIPPED: no accept error is tried, strace is not installed or may not trace");
    }
    works
}

/// Under `times` of these errors, `clients` that come together are all served, the last one within the limit.
fn survives(error: &str, times: u32, clients: usize, limit: Duration) {
    let wrapper = failing(error, times);
    let words: Vec<&str> = wrapper.iter().map(String::as_str).collect();
    let mut daemon = Setup::route("it", "builtin:echo", "").admin().wrapper(&words).start();
    let address = daemon.address("it");
    let (begun, before) = (Instant::now(), cpu_time(daemon.pid()));
    let clients: Vec<Client> = (0..clients).map(|_| connect(address)).collect();
    for mut client in &clients {
        client.write_all(b"x").unwrap();
        assert_eq!(read_byte(client), Ok(b'x'), "{error}");
    }
    let (took, spent) = (begun.elapsed(), cpu_time(daemon.pid()) - before);
    assert!(took <= limit, "{error}: served after {took:?}");
    // It took seconds of errors; what serving the clients takes is not a loop's.
    assert!(took >= secs(2), "{error}: {took:?} are not long enough to see it rest");
    assert!(spent <= took / 20 + ms(50), "{error}: {spent:?} of processor time in {took:?}");
    let complaints = daemon.events.count(Event::is_complaint);
    assert!((1..=10).contains(&complaints), "{error}: {complaints} complaints");

    // Each of them is counted, whether it was told or not.
    let metrics = daemon.api().get("/metrics").text();
    let counted = metrics.lines().filter(|line| line.starts_with("chaos_proxy_accept_errors_total{"));
    let counted: f64 = counted.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum();
    assert_eq!(counted, f64::from(times), "{error}\n{metrics}");
    drop(clients);
    daemon.signal(rustix::process::Signal::TERM);
    assert_eq!(daemon.exit_code(secs(10)).0, Some(0), "{error}");
}

/// Errors of the one client that was to be accepted: the next one is tried at once; after sixteen in a row with a pause of 10 ms,
/// which does not grow.
#[test]
fn a_client_that_broke_off_before_it_was_accepted_keeps_nobody_waiting() {
    within(secs(60), || {
        if !can_inject() {
            return;
        }
        thread::scope(|scope| {
            for error in ["ECONNABORTED", "EINTR", "EPROTO", "EPERM", "ENETDOWN", "EHOSTUNREACH"] {
                scope.spawn(move || survives(error, 250, 100, secs(6)));
            }
        });
    });
}

/// Errors of the system: it is left alone for a while that grows, and served from as soon as it can again.
#[test]
fn a_system_that_has_no_room_is_asked_again_with_pauses() {
    within(secs(60), || {
        if !can_inject() {
            return;
        }
        thread::scope(|scope| {
            for error in ["EMFILE", "ENFILE", "ENOBUFS", "ENOMEM", "EINVAL", "EIO"] {
                scope.spawn(move || survives(error, 9, 100, secs(6)));
            }
        });
    });
}
