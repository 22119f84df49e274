//! SIGTERM lets what is in flight finish, lets nothing new in, and keeps its deadline; the exit code says how it went.

#![allow(clippy::disallowed_types, clippy::disallowed_methods, reason = "over real sockets time is real")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should say so loudly")]

mod support;

use std::io::Write;
use std::net::TcpStream;
use std::thread;
use std::time::Instant;

use rustix::process::Signal;
use support::*;

/// 200 transfers are in the middle when the signal comes: each completes, byte for byte, and only then does the program
/// end, with 0.
#[test]
fn transfers_in_the_middle_complete() {
    const SIZE: u64 = 512 << 10;
    within(secs(120), || {
        let _alone = heavy();
        let gate = Gate::default();
        let opened = gate.clone();
        let upstream = Upstream::serve(move |stream, _| {
            send(&stream, Pattern(1), 0, SIZE / 2);
            opened.wait();
            send(&stream, Pattern(1), SIZE / 2, SIZE);
        });
        let mut daemon = Setup::route("it", upstream.address, "").top("drainTimeout: 60s").start();
        let address = daemon.address("it");
        let clients: Vec<Client> = (0..200).map(|_| connect(address)).collect();
        for client in &clients {
            assert_eq!(receive(client, Pattern(1), 0, SIZE / 2), SIZE / 2);
        }
        daemon.signal(Signal::TERM);
        daemon.wait_for("the drain begins", secs(5), |event| event.text("event") == "drain.begun");
        eventually(secs(5), "new clients are refused", || refused(address));
        gate.open();
        for client in &clients {
            assert_eq!(read_end(client, Pattern(1), SIZE / 2, ms(0)), (SIZE, End::Fin));
        }
        drop(clients);
        assert_eq!(daemon.exit_code(secs(10)).0, Some(0), "{}", daemon.events.tail());
        let done = daemon.wait_for("the drain is done", secs(1), |event| event.text("event") == "drain.done");
        assert_eq!(done.number("cut"), 0);
    });
}

/// From the signal on, a new client has at most 100 ms.
#[test]
fn new_clients_are_refused_within_100_ms() {
    within(secs(60), || {
        let upstream = Upstream::echo();
        best_of_three("the refusal", ms(100), || {
            let daemon = Setup::route("it", upstream.address, "").start();
            let address = daemon.address("it");
            let _open = daemon.stuck("it");
            let begun = Instant::now();
            daemon.signal(Signal::TERM);
            eventually(secs(5), "refused", || refused(address));
            begun.elapsed()
        });
    });
}

/// What does not finish is reset at the deadline; the log says how many, and the exit code that there were some.
#[test]
fn a_stuck_connection_is_reset_at_the_deadline() {
    within(secs(60), || {
        let upstream = Upstream::echo();
        let arguments = ["--drain-timeout", "1s"];
        let mut daemon = Setup::route("it", upstream.address, "").arguments(&arguments).start();
        let mut client = daemon.stuck("it");
        client.write_all(b"x").unwrap();
        assert_eq!(read_byte(&client), Ok(b'x'));
        let begun = Instant::now();
        daemon.signal(Signal::TERM);
        assert_eq!(read_byte(&client), Err(End::Reset));
        let after = begun.elapsed();
        assert!(after >= secs(1) && after < secs(3), "reset after {after:?}");
        assert_eq!(daemon.exit_code(secs(5)).0, Some(4));
        let done = daemon.wait_for("the drain is done", secs(1), |event| event.text("event") == "drain.done");
        assert_eq!(done.number("cut"), 1);
        assert_eq!(daemon.wait_closed("it", 1, secs(1)).text("ending"), "drain");
    });
}

/// A client whose connect succeeded before the listener closed is served: it is already in the backlog. Here the program
/// is stopped while the clients come, so that it learns of them and of the signal at the same moment; they are so many
/// that it cannot have accepted all before it hears of the signal.
#[test]
fn a_client_in_the_backlog_is_served() {
    within(secs(60), || {
        let _alone = heavy();
        let mut daemon = Setup::route("it", "builtin:echo", "").start();
        let address = daemon.address("it");
        daemon.signal(Signal::STOP);
        let clients: Vec<Client> = (0..800).map(|_| connect(address)).collect();
        daemon.signal(Signal::TERM);
        daemon.signal(Signal::CONT);
        for mut client in clients {
            client.write_all(b"served?").unwrap();
            shut(&client);
            assert_eq!(read_all(&client), (b"served?".to_vec(), End::Fin));
        }
        assert_eq!(daemon.exit_code(secs(10)).0, Some(0));
    });
}

/// The deadline holds whatever a connection waits for: a dial that nobody answers, a turn in the queue, or any fault that
/// holds it, its bytes or its end.
#[test]
fn the_deadline_holds_whatever_a_connection_waits_for() {
    within(secs(60), || {
        let _alone = heavy();
        let (mute, _full) = unanswering();
        let (late, slow) = (
            "limits: {connections: 1, excess: queue, queue: {timeout: 60s}}",
            faults(&["slice: {size: 1, delay: 30s}"]),
        );
        let held = |fault: &str| faults(&[fault]);
        let waits = [
            ("a dial", route("it", mute, "timeouts: {connect: 60s}")),
            ("a delay", route("it", "builtin:echo", "latencyMs: 60000")),
            ("a hang", route("it", "builtin:echo", "timeoutMs: 60000")),
            ("a hang for ever", route("it", "builtin:echo", "faults: [{hang: {}}]")),
            (
                "a slow connect",
                route(
                    "it",
                    "builtin:echo",
                    &format!("timeouts: {{connect: 90s}}, {}", held("connectDelay: {delay: 60s}")),
                ),
            ),
            ("a latency", route("it", "builtin:echo", &held("latency: {delay: 60s, direction: both}"))),
            ("a bandwidth", route("it", "builtin:echo", &held("bandwidth: {rate: 1B/s, direction: both}"))),
            ("slices", route("it", "builtin:echo", &slow)),
            ("a loss", route("it", "builtin:echo", &held("loss: {rate: 1, rto: 60s}"))),
            ("a stall", route("it", "builtin:echo", &held("stall: {direction: both}"))),
            ("a stalling limit", route("it", "builtin:echo", &held("limit: {bytes: 1, then: stall}"))),
            ("a blackhole", route("it", "builtin:echo", &held("blackhole: {}"))),
            ("a slow close", route("it", "builtin:echo", &held("slowClose: {delay: 60s, direction: both}"))),
            ("a reset to come", route("it", "builtin:silent", &held("reset: {after: 60s}"))),
            ("a turn in the queue", route("it", "builtin:silent", late)),
            (
                "health that is asked after",
                route(
                    "it",
                    format!(
                        "{{endpoints: [\"{mute}\"], health: {{interval: 1s, timeout: 60s}}, whenAllDown: try}}"
                    ),
                    "timeouts: {connect: 60s}",
                ),
            ),
        ];
        thread::scope(|scope| {
            for (what, line) in &waits {
                scope.spawn(move || {
                    best_of_three(what, ms(1300), || {
                        let mut daemon = Setup::routes([line.clone()]).top("drainTimeout: 1s").start();
                        let clients: Vec<Client> = (0..2).map(|_| connect(daemon.address("it"))).collect();
                        let opened = |event: &Event| event.is("connection.opened", "it");
                        daemon.events.wait_for_n(2, "both are open", secs(10), opened);
                        for mut client in &clients {
                            client.write_all(&[7; 1000]).unwrap();
                            // Elsewhere the client's end would be one.
                            if what == &"a slow close" {
                                shut(client);
                            }
                        }
                        let begun = Instant::now();
                        daemon.signal(Signal::TERM);
                        let (code, took) = daemon.exit_code(secs(20));
                        assert_eq!(code, Some(4), "{what}\n{}", daemon.events.tail());
                        assert!(begun.elapsed() >= secs(1), "{what}: ended after {took:?} already");
                        for client in &clients {
                            assert_eq!(read_all(client).1, End::Reset, "{what}");
                        }
                        took
                    });
                });
            }
        });
    });
}

/// A hundred that do not finish are reset at the deadline, all of them, within 300 ms of it, and the log counts them.
#[test]
fn a_hundred_stuck_connections_are_reset_at_the_deadline() {
    within(secs(60), || {
        let _alone = heavy();
        best_of_three("the last reset", ms(2300), || {
            let mut daemon = Setup::route("it", "builtin:silent", "").top("drainTimeout: 2s").start();
            let clients: Vec<Client> = (0..100).map(|_| connect(daemon.address("it"))).collect();
            let opened = |event: &Event| event.is("connection.opened", "it");
            daemon.events.wait_for_n(100, "all are open", secs(10), opened);
            let begun = Instant::now();
            daemon.signal(Signal::TERM);
            for client in &clients {
                assert_eq!(read_byte(client), Err(End::Reset));
            }
            let took = begun.elapsed();
            assert!(took >= secs(2), "reset after {took:?} already");
            assert_eq!(daemon.exit_code(secs(5)).0, Some(4));
            let done =
                daemon.wait_for("the drain is done", secs(1), |event| event.text("event") == "drain.done");
            assert_eq!(done.number("cut"), 100);
            took
        });
    });
}

/// `preDrainDelay` keeps the door open for that long after the signal.
#[test]
fn a_pre_drain_delay_keeps_accepting() {
    within(secs(60), || {
        let upstream = Upstream::banner("still here");
        let mut daemon = Setup::route("it", upstream.address, "").top("preDrainDelay: 1s").start();
        let address = daemon.address("it");
        let begun = Instant::now();
        daemon.signal(Signal::TERM);
        let mut served = 0;
        while let Ok(client) = TcpStream::connect_timeout(&address, secs(5)) {
            // The last one may meet the closing of the door.
            if read_all(&client).0 == b"still here" {
                served += 1;
            } else {
                assert!(begun.elapsed() >= secs(1), "not served after {:?}", begun.elapsed());
            }
            assert!(begun.elapsed() < secs(5), "the door never closes");
            thread::sleep(ms(10));
        }
        assert!(begun.elapsed() >= secs(1), "the door closed after {:?}", begun.elapsed());
        assert!(served > 0, "nobody was served after the signal");
        assert_eq!(daemon.exit_code(secs(5)).0, Some(0));
    });
}

/// `drainIdle` closes what is silent that long as finished: the client sees an orderly end, and the exit code is 0. What
/// is not silent goes on.
#[test]
fn an_idle_connection_is_closed_as_finished_while_draining() {
    within(secs(60), || {
        let upstream = Upstream::echo();
        let setup = Setup::route("it", upstream.address, "");
        let mut daemon = setup.top("drainIdle: 1500ms").top("drainTimeout: 30s").start();
        let (idle, mut busy) = (connect(daemon.address("it")), connect(daemon.address("it")));
        daemon
            .events
            .wait_for_n(2, "both are connected", secs(5), |event| event.is("upstream.connected", "it"));
        daemon.signal(Signal::TERM);
        let begun = Instant::now();
        while begun.elapsed() < ms(3500) {
            busy.write_all(b"x").unwrap();
            assert_eq!(read_byte(&busy), Ok(b'x'), "after {:?}", begun.elapsed());
            thread::sleep(ms(100));
        }
        assert_eq!(read_all(&idle), (Vec::new(), End::Fin));
        drop((idle, busy));
        assert_eq!(daemon.exit_code(secs(10)).0, Some(0));
    });
}
