//! What signals do beside beginning a drain: a second one ends at once, SIGHUP ends nothing, and an idle program goes.

#![allow(clippy::disallowed_types, clippy::disallowed_methods, reason = "over real sockets time is real")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should say so loudly")]

mod support;

use std::io::Write;
use std::thread;

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

/// In whatever order and haste they come, it ends, and ends as one of the two ways to end says: drained, or at once.
#[test]
fn signals_in_odd_orders_end_it_all_the_same() {
    const TERM: Signal = Signal::TERM;
    const HUP: Signal = Signal::HUP;
    // Signals with the milliseconds to wait before each.
    let orders: [(&str, Vec<(u64, Signal)>); 12] = [
        ("a reload while it drains", vec![(0, TERM), (0, HUP)]),
        ("both at once", vec![(0, HUP), (0, TERM)]),
        ("a reload 1 ms before", vec![(0, HUP), (1, TERM)]),
        ("a reload 5 ms before", vec![(0, HUP), (5, TERM)]),
        ("a reload 20 ms before", vec![(0, HUP), (20, TERM)]),
        ("a hundred in 10 ms", (0..100).map(|n| (u64::from(n % 10 == 0), TERM)).collect()),
        ("a hundred reloads before", (0..100).map(|_| (0, HUP)).chain([(0, TERM)]).collect()),
        ("an interrupt, then a term", vec![(0, Signal::INT), (5, TERM)]),
        ("a term, then an interrupt", vec![(0, TERM), (5, Signal::INT)]),
        ("while it is stopped", vec![(0, Signal::STOP), (5, TERM), (5, Signal::CONT)]),
        (
            "twice while it is stopped",
            vec![(0, Signal::STOP), (5, TERM), (5, Signal::INT), (5, Signal::CONT)],
        ),
        ("a broken pipe and a resized window", vec![(0, Signal::PIPE), (0, Signal::WINCH), (5, TERM)]),
    ];
    within(secs(60), move || {
        thread::scope(|scope| {
            for (what, order) in &orders {
                for stuck in [false, true] {
                    scope.spawn(move || {
                        let setup = Setup::route("it", "builtin:silent", "").top("drainTimeout: 500ms");
                        let mut daemon = setup.start();
                        let client = stuck.then(|| daemon.stuck("it"));
                        for (wait, signal) in order {
                            thread::sleep(ms(*wait));
                            // It may have ended already.
                            let _ = rustix::process::kill_process(daemon.pid(), *signal);
                        }
                        let (code, _) = daemon.exit_code(secs(10));
                        let drained = if stuck { 4 } else { 0 };
                        assert!(
                            [Some(drained), Some(143), Some(130)].contains(&code),
                            "{what}, stuck: {stuck}: {code:?}\n{}",
                            daemon.events.tail()
                        );
                        if let Some(client) = client {
                            assert_eq!(read_byte(&client), Err(End::Reset), "{what}");
                        }
                        let odd = daemon.events.wait_for_end(secs(5));
                        assert!(odd.is_empty(), "{what}: said {odd:?}");
                    });
                }
            }
        });
    });
}

/// A signal that comes while it starts ends it too: cleanly once it listens for signals, by the signal before.
#[test]
fn a_signal_during_the_start_ends_it() {
    within(secs(60), || {
        for wait in [0, 1, 2, 5, 10, 20, 50] {
            let mut daemon = Daemon::spawn(&Setup::route("it", "builtin:echo", ""));
            thread::sleep(ms(wait));
            daemon.signal(Signal::TERM);
            let (code, _) = daemon.exit_code(secs(10));
            assert!([None, Some(0)].contains(&code), "after {wait} ms: {code:?}\n{}", daemon.events.tail());
        }
    });
}
