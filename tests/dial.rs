//! An upstream that is down, mute or late harms only its own connections, and the log says what was wrong with it.

#![allow(clippy::disallowed_types, clippy::disallowed_methods, reason = "over real sockets time is real")]
#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "a test that cannot go on should say so loudly")]

mod support;

use std::io::Write;
use std::net::TcpListener;
use std::time::Instant;

use support::*;

/// U1: nothing listens: the client is told at once, and the log says which upstream and why.
#[test]
fn a_refused_dial_ends_the_client_at_once() {
    within(secs(30), || {
        let nowhere = unused_address();
        let daemon = Setup::route("it", nowhere, "").start();
        best_of_three("the refusal", ms(50), || {
            let (client, begun) = connect_timed(daemon.address("it"));
            assert!(read_byte(&client).is_err(), "there is nobody who could have answered");
            begun.elapsed()
        });
        let failed =
            daemon.wait_for("the failure is told", secs(5), |event| event.is("upstream.failed", "it"));
        assert_eq!((failed.text("upstream"), failed.is_complaint()), (nowhere.to_string().as_str(), true));
        assert!(failed.text("error").to_ascii_lowercase().contains("refused"), "{}", failed.fields);
        let closed = daemon.wait_closed("it", 1, secs(5));
        assert_eq!((closed.text("ending"), closed.text("side")), ("connect", "upstream"));
    });
}

/// U2: the upstream does not answer: clients are accepted all the same, fail at the connect limit, and another route
/// works meanwhile. A program that dials before it accepts the next client would let the second one wait.
#[test]
fn an_unanswering_upstream_delays_nobody_else() {
    within(secs(60), || {
        let (mute, _full) = unanswering();
        let echo = Upstream::echo();
        let routes = [route("mute", mute, "timeouts: {connect: 1s}"), route("other", echo.address, "")];
        let daemon = Setup::routes(routes).start();
        let mut rounds = 0;
        best_of_three("five clients are accepted", ms(100), || {
            let begun = Instant::now();
            let clients: Vec<Client> = (0..5).map(|_| connect(daemon.address("mute"))).collect();
            rounds += 5;
            let opened = |event: &Event| event.is("connection.opened", "mute");
            let opened = daemon.events.wait_for_n(rounds, "accepted", secs(5), opened);
            let took = opened.last().unwrap().seen - begun;

            let mut other = connect(daemon.address("other"));
            for _ in 0..20 {
                let sent = Instant::now();
                other.write_all(b"x").unwrap();
                assert_eq!(read_byte(&other), Ok(b'x'));
                assert!(sent.elapsed() < ms(500), "another route waits for the mute upstream");
            }
            let closed = daemon.events.count(|event| event.is("connection.closed", "mute"));
            assert!(closed <= rounds - 5, "a dial has failed before its limit");

            for client in &clients {
                assert!(read_byte(client).is_err());
                let after = begun.elapsed();
                assert!(after >= secs(1) && after < ms(2500), "failed after {after:?}");
            }
            took
        });
        let closed = |event: &Event| event.is("connection.closed", "mute");
        for closed in daemon.events.wait_for_n(rounds, "closed", secs(5), closed) {
            assert_eq!((closed.text("ending"), closed.text("side")), ("connect-timeout", "upstream"));
            assert!((1000..2500).contains(&closed.number("durationMs")), "{}", closed.fields);
        }
        // Warnings that are alike are folded, so there may be fewer than connections.
        let failed = daemon.events.all(|event| event.is("upstream.failed", "mute"));
        assert!(!failed.is_empty() && failed.iter().all(|event| event.text("upstream") == mute.to_string()));
    });
}

/// U3: what the system's routes do not let through is told in the words people search for, and ends the client alone.
#[test]
#[cfg(target_os = "linux")]
fn what_cannot_be_routed_is_told_for_what_it_is() {
    within(secs(30), || {
        let Some(network) = Namespace::new() else { return };
        let kinds = [
            ("unreachable", "host unreachable"),
            ("prohibit", "not permitted"),
            ("blackhole", "Invalid argument"),
        ];
        let mut routes = Vec::new();
        for (number, (kind, _)) in kinds.iter().enumerate() {
            assert!(network.run(&format!("ip route add {kind} 10.9.{number}.0/24")), "{kind}");
            routes.push(route(kind, format!("10.9.{number}.1:80"), ""));
        }
        routes.push(route("fine", "builtin:echo", ""));
        let wrapper = network.wrapper();
        let words: Vec<&str> = wrapper.iter().map(String::as_str).collect();
        let daemon = Setup::routes(routes).wrapper(&words).start();
        for (kind, why) in kinds {
            let at = daemon.address(kind);
            assert!(network.inside(move || read_byte(&connect(at))).is_err(), "{kind}");
            let failed = daemon.wait_for(kind, secs(5), |event| event.is("upstream.failed", kind));
            assert!(failed.text("error").contains(why), "{}", failed.fields);
            assert_eq!(daemon.wait_closed(kind, 1, secs(5)).text("ending"), "connect");
        }
        let at = daemon.address("fine");
        let echoed = network.inside(move || {
            let mut client = connect(at);
            client.write_all(b"x").unwrap();
            read_byte(&client)
        });
        assert_eq!(echoed, Ok(b'x'));
    });
}

/// O4: thousands of failures are a few lines of the log, and none of them is left uncounted.
#[test]
fn thousands_of_failures_are_a_few_lines() {
    const FAILURES: u64 = 3_000;
    within(secs(60), || {
        let mut daemon = Setup::route("it", unused_address(), "").admin().quiet().start();
        let address = daemon.address("it");
        for _ in 0..FAILURES {
            assert!(read_byte(&connect(address)).is_err());
        }
        let counted = |daemon: &Daemon| daemon.api().get("/v1/stats").json()["routes"][0]["opened"].as_u64();
        eventually(secs(5), "all are counted", || counted(&daemon) == Some(FAILURES));
        daemon.signal(rustix::process::Signal::TERM);
        assert_eq!(daemon.exit_code(secs(10)).0, Some(0));
        daemon.events.wait_for_end(secs(5));
        let failed = daemon.events.all(|event| event.is("upstream.failed", "it"));
        assert!(failed.len() <= 20, "{} lines", failed.len());
        let folded: u64 = failed.iter().map(|event| event.fields["suppressed"].as_u64().unwrap_or(0)).sum();
        assert_eq!(failed.len() as u64 + folded, FAILURES);
    });
}

/// An upstream that is down is no error of the configuration; when it comes up, the next connection reaches it.
#[test]
fn an_upstream_may_come_up_later() {
    within(secs(30), || {
        let address = unused_address();
        let daemon = Setup::route("it", address, "").start();
        assert!(read_byte(&connect(daemon.address("it"))).is_err());
        let listener = TcpListener::bind(address).unwrap();
        let upstream = Upstream::serve_on(listener, |mut stream, _| stream.write_all(b"up").unwrap());
        assert_eq!(read_all(&connect(daemon.address("it"))), (b"up".to_vec(), End::Fin));
        let connected = daemon.wait_for("told", secs(5), |event| event.is("upstream.connected", "it"));
        assert_eq!(connected.number("connection"), 2);
        assert_eq!(upstream.accepted(), 1);
    });
}

/// A name is resolved when it is dialled, and each of its addresses is tried: nothing listens on the IPv6 one here.
#[test]
fn a_name_is_dialled_at_all_its_addresses() {
    within(secs(30), || {
        let upstream = Upstream::banner("by name");
        let daemon = Setup::route("it", format!("localhost:{}", upstream.address.port()), "").start();
        for _ in 0..5 {
            assert_eq!(read_all(&connect(daemon.address("it"))), (b"by name".to_vec(), End::Fin));
        }
    });
}

/// A name that does not resolve fails the connection within its limit, and is told as such.
#[test]
fn a_name_that_does_not_resolve_fails_the_connection() {
    within(secs(30), || {
        let daemon = Setup::route("it", "nobody.invalid:80", "timeouts: {connect: 2s}").start();
        let (client, begun) = connect_timed(daemon.address("it"));
        assert!(read_byte(&client).is_err());
        assert!(begun.elapsed() < secs(5));
        let closed = daemon.wait_closed("it", 1, secs(5));
        assert!(["connect", "connect-timeout"].contains(&closed.text("ending")), "{}", closed.fields);
        let failed = daemon.wait_for("told", secs(5), |event| event.is("upstream.failed", "it"));
        assert_eq!(failed.text("upstream"), "nobody.invalid:80");
        assert!(!failed.text("error").is_empty());
    });
}

/// A client that resets while its upstream is dialled is gone at once, and does not wait for the dial's limit.
#[test]
fn a_reset_during_the_dial_ends_the_connection() {
    within(secs(30), || {
        let (mute, _full) = unanswering();
        let daemon = Setup::route("it", mute, "timeouts: {connect: 20s}").start();
        let client = connect(daemon.address("it"));
        daemon.wait_for("it is open", secs(5), |event| event.is("connection.opened", "it"));
        reset(client);
        let closed = daemon.wait_closed("it", 1, secs(5));
        assert_eq!((closed.text("ending"), closed.text("side")), ("peer-reset", "client"));
    });
}

/// An IPv6 upstream is written in brackets.
#[test]
fn an_ipv6_upstream_is_reached() {
    within(secs(30), || {
        let Ok(listener) = TcpListener::bind("[::1]:0") else {
            loudly("SKIPPED: this machine has no IPv6 loopback");
            return;
        };
        let upstream = Upstream::serve_on(listener, |mut stream, _| stream.write_all(b"six").unwrap());
        let daemon = Setup::route("it", upstream.address, "").start();
        assert_eq!(read_all(&connect(daemon.address("it"))), (b"six".to_vec(), End::Fin));
    });
}
