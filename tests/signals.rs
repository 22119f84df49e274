//! What signals do beside beginning a drain: a second one ends at once, SIGHUP ends nothing, and an idle program goes.

#![allow(clippy::disallowed_types, clippy::disallowed_methods, reason = "over real sockets time is real")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should say so loudly")]

mod support;

use std::io::Write;

use rustix::process::Signal;
use support::*;

/// A second signal means now.
#[test]
fn a_second_signal_ends_at_once() {
    within(secs(60), || {
        for (signal, code) in [(Signal::TERM, 143), (Signal::INT, 130)] {
            best_of_three("the end", ms(200), || {
                let mut daemon = Setup::route("it", "builtin:silent", "").start();
                let _client = daemon.stuck("it");
                daemon.signal(signal);
                daemon.wait_for("the drain begins", secs(5), |event| event.text("event") == "drain.begun");
                daemon.signal(signal);
                let (seen, took) = daemon.exit_code(secs(5));
                assert_eq!(seen, Some(code));
                took
            });
        }
    });
}

/// Also while `preDrainDelay` still keeps the door open.
#[test]
fn a_second_signal_ends_a_pre_drain_delay() {
    within(secs(30), || {
        let mut daemon = Setup::route("it", "builtin:echo", "").top("preDrainDelay: 60s").start();
        daemon.signal(Signal::TERM);
        daemon.wait_for("the drain begins", secs(5), |event| event.text("event") == "drain.begun");
        assert!(!refused(daemon.address("it")));
        daemon.signal(Signal::TERM);
        assert_eq!(daemon.exit_code(secs(5)).0, Some(143));
    });
}

/// SIGHUP is for reloading and never ends anything, also in the middle of a drain.
#[test]
fn a_hang_up_ends_nothing() {
    within(secs(30), || {
        let upstream = Upstream::echo();
        let mut daemon = Setup::route("it", upstream.address, "").start();
        let mut client = connect(daemon.address("it"));
        let mut works = || {
            client.write_all(b"x").unwrap();
            assert_eq!(read_byte(&client), Ok(b'x'));
        };
        daemon.signal(Signal::HUP);
        works();
        assert!(!refused(daemon.address("it")));
        daemon.signal(Signal::TERM);
        daemon.wait_for("the drain begins", secs(5), |event| event.text("event") == "drain.begun");
        daemon.signal(Signal::HUP);
        works();
        drop(client);
        assert_eq!(daemon.exit_code(secs(5)).0, Some(0));
    });
}

/// With nothing in flight there is nothing to wait for.
#[test]
fn without_connections_it_ends_at_once() {
    within(secs(60), || {
        for signal in [Signal::TERM, Signal::INT] {
            best_of_three("the end", ms(200), || {
                let mut daemon = Setup::route("it", "builtin:echo", "").start();
                daemon.signal(signal);
                let (code, took) = daemon.exit_code(secs(5));
                assert_eq!((code, daemon.stdout()), (Some(0), Vec::new()));
                took
            });
        }
    });
}
