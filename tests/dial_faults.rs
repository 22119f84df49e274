//! `refuseConnect` and `connectDelay` make an upstream seem away or slow, for those they choose and nobody else; a fault that
//! is aimed at an endpoint makes one bad replica.

#![allow(clippy::disallowed_types, clippy::disallowed_methods, reason = "over real sockets time is real")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should say so loudly")]

mod support;

use std::io::Write;
use std::time::{Duration, Instant};

use support::*;

/// Sends a byte through the route and says how long its echo took; none when the connection ended without one.
fn echo(daemon: &Daemon) -> Option<Duration> {
    let (mut client, begun) = connect_timed(daemon.address("it"));
    let _ = client.write_all(b"x");
    (read_byte(&client) == Ok(b'x')).then(|| begun.elapsed())
}

fn object(endpoints: &[&Upstream], rest: &str) -> String {
    let addresses: Vec<String> =
        endpoints.iter().map(|upstream| format!("\"{}\"", upstream.address)).collect();
    format!("{{endpoints: [{}]{rest}}}", addresses.join(", "))
}

/// A chosen connection ends as one whose upstream refused, is told and counted as such, and the upstream sees nothing of it.
#[test]
fn a_refused_connect_looks_like_one_and_leaves_the_upstream_alone() {
    within(secs(30), || {
        let upstream = Upstream::echo();
        let faults = "faults: [{refuseConnect: {every: 2}}]";
        let daemon = Setup::route("it", upstream.address, faults).start();
        let served: Vec<bool> = (0..4).map(|_| echo(&daemon).is_some()).collect();
        assert_eq!(served, [false, true, false, true]);
        assert_eq!(upstream.accepted(), 2);
        let failed = daemon.wait_for("the failure", secs(5), |event| event.is("upstream.failed", "it"));
        assert_eq!(
            (failed.text("error"), failed.text("upstream")),
            ("connection refused", upstream.address.to_string().as_str())
        );
        let fired = daemon.wait_for("the firing", secs(5), |event| event.is("fault.fired", "it"));
        assert_eq!((fired.text("effect"), fired.number("connection")), ("refuseConnect", 1));
        let closed = daemon.wait_closed("it", 1, secs(5));
        assert_eq!((closed.text("ending"), closed.text("side")), ("connect", "upstream"));
    });
}

/// The handshake seems that much slower, which is told as the time it took; what comes after it is not slower.
#[test]
fn a_delayed_connect_takes_that_much_longer() {
    within(secs(30), || {
        let upstream = Upstream::echo();
        let faults = "faults: [{connectDelay: {delay: 150ms}}]";
        let daemon = Setup::route("it", upstream.address, faults).start();
        best_of_three("the echo", ms(180), || {
            let took = echo(&daemon).unwrap();
            assert!(took >= ms(150), "{took:?}");
            took
        });
        let connected = daemon.wait_for("the connect", secs(5), |event| event.is("upstream.connected", "it"));
        assert!((150..1000).contains(&connected.number("durationMs")), "{}", connected.fields);
        let fired = daemon.wait_for("the firing", secs(5), |event| event.is("fault.fired", "it"));
        assert_eq!((fired.text("effect"), fired.number("delayMs")), ("connectDelay", 150));
    });
}

/// A handshake that seems slower than the limit is a time-out like any other.
#[test]
fn a_connect_delayed_beyond_the_limit_is_a_time_out() {
    within(secs(30), || {
        let upstream = Upstream::echo();
        let rest = "timeouts: {connect: 200ms}, faults: [{connectDelay: {delay: 10s}}]";
        let daemon = Setup::route("it", upstream.address, rest).start();
        let begun = Instant::now();
        assert_eq!(echo(&daemon), None);
        assert!((ms(200)..ms(1500)).contains(&begun.elapsed()), "{:?}", begun.elapsed());
        assert_eq!(daemon.wait_closed("it", 1, secs(5)).text("ending"), "connect-timeout");
        assert_eq!(upstream.accepted(), 0);
    });
}

/// A refusal that is aimed at one replica sends its connections to the next one, and each client is served.
#[test]
fn a_refusal_of_one_replica_is_what_failover_is_for() {
    within(secs(30), || {
        let (first, second) = (Upstream::banner("1"), Upstream::banner("2"));
        let faults = format!("faults: [{{refuseConnect: {{endpoint: \"{}\", times: 2}}}}]", first.address);
        let daemon = Setup::route("it", object(&[&first, &second], ""), &faults).start();
        let said: Vec<_> = (0..4).map(|_| read_byte(&connect(daemon.address("it"))).unwrap()).collect();
        assert_eq!(said, *b"2211");
        assert_eq!((first.accepted(), second.accepted()), (2, 2));
        let fired = |event: &Event| event.is("fault.fired", "it");
        let fired = daemon.events.wait_for_n(2, "the refusals", secs(5), fired);
        assert!(fired.iter().all(|event| event.text("effect") == "refuseConnect"));
    });
}

/// A stream fault that is aimed at one replica acts on the connections that reach it, in whatever way they come there, and its
/// triggers count these alone.
#[test]
fn one_replica_of_three_is_slow() {
    within(secs(60), || {
        let replicas = [Upstream::echo(), Upstream::echo(), Upstream::echo()];
        let all: Vec<&Upstream> = replicas.iter().collect();
        let faults = format!(
            "faults: [{{latency: {{delay: 500ms, every: 2, endpoint: \"{}\"}}}}]",
            replicas[1].address
        );
        let upstream = object(&all, ", balance: roundRobin");
        let daemon = Setup::route("it", upstream, &faults).start();
        let slow: Vec<bool> = (0..12).map(|_| echo(&daemon).unwrap() >= ms(500)).collect();
        let expected: Vec<bool> = (0..12).map(|i| i % 6 == 1).collect();
        assert_eq!(slow, expected, "every other connection to the second of three");
        daemon.wait_closed("it", 12, secs(5));
        assert_eq!(daemon.events.count(|event| event.is("fault.fired", "it")), 2);
    });
}

/// A connection that was on its way to the bad replica and ended at a good one is none of the fault's.
#[test]
fn a_fault_of_a_replica_that_was_not_reached_does_nothing() {
    within(secs(30), || {
        let (first, second) = (Upstream::echo(), Upstream::echo());
        let faults = format!(
            "faults: [{{refuseConnect: {{endpoint: \"{0}\"}}}}, {{latency: {{delay: 5s, endpoint: \"{0}\"}}}}]",
            first.address
        );
        let daemon = Setup::route("it", object(&[&first, &second], ""), &faults).start();
        assert!(echo(&daemon).unwrap() < secs(2));
        let fired =
            daemon.events.wait_for_n(1, "the refusal", secs(5), |event| event.is("fault.fired", "it"));
        assert_eq!(fired[0].text("effect"), "refuseConnect");
    });
}

/// An aimed fault that arrives while connections live reaches those that go to its endpoint.
#[test]
fn a_live_connection_feels_a_fault_of_its_replica_only() {
    within(secs(30), || {
        let (first, second) = (Upstream::echo(), Upstream::echo());
        let upstream = object(&[&first, &second], ", balance: roundRobin");
        let daemon = Setup::route("it", upstream, "").admin().start();
        let mut clients = Vec::new();
        for number in 1..=2 {
            // One after the other: each takes its turn when it dials.
            clients.push(connect(daemon.address("it")));
            daemon
                .events
                .wait_for_n(number, "connected", secs(5), |event| event.is("upstream.connected", "it"));
        }
        let mut round_trip = |i: usize| {
            let begun = Instant::now();
            clients[i].write_all(b"x").unwrap();
            assert_eq!(read_byte(&clients[i]), Ok(b'x'));
            begun.elapsed()
        };
        let fault =
            format!("{{\"latency\": {{\"delay\": \"300ms\", \"endpoint\": \"{}\"}}}}", second.address);
        assert_eq!(daemon.api().post("/v1/routes/it/faults", &fault).status, 201);
        assert!(round_trip(1) >= ms(300));
        best_of_three("the other replica", ms(150), || round_trip(0));
    });
}

/// Each fault is told when it first takes effect on a connection, also one that stands behind a refusal of another endpoint.
#[test]
fn a_fault_that_comes_after_another_endpoints_refusal_is_told() {
    within(secs(30), || {
        let (first, second) = (Upstream::echo(), Upstream::echo());
        let faults = format!(
            "faults: [{{refuseConnect: {{endpoint: \"{}\"}}}}, {{connectDelay: {{delay: 50ms}}}}]",
            first.address
        );
        let daemon = Setup::route("it", object(&[&first, &second], ""), &faults).admin().start();
        assert!(echo(&daemon).unwrap() >= ms(50));
        let fired = |event: &Event| event.is("fault.fired", "it");
        let fired = daemon.events.wait_for_n(2, "both", secs(5), fired);
        let effects: Vec<&str> = fired.iter().map(|event| event.text("effect")).collect();
        assert_eq!(effects, ["refuseConnect", "connectDelay"]);
    });
}

/// What a seed gives to dial faults does not hang on other faults or routes beside them.
#[test]
fn the_same_seed_delays_and_refuses_the_same_dials() {
    within(secs(60), || {
        let upstream = Upstream::echo();
        let run = |more: &str, name: &str| {
            let faults = format!(
                "faults: [{more}{{connectDelay: {{delay: 20ms, jitter: 20ms, probability: 0.5}}}}, \
                 {{refuseConnect: {{probability: 0.3}}}}]"
            );
            let routes = [route(name, "builtin:echo", ""), route("it", upstream.address, &faults)];
            let daemon = Setup::routes(routes).start();
            let served: Vec<bool> = (0..20).map(|_| echo(&daemon).is_some()).collect();
            daemon.wait_closed("it", 20, secs(5));
            let told =
                daemon.events.all(|event| event.is("fault.fired", "it") && event.text("effect") != "noop");
            let told: Vec<(u64, String, String)> = told
                .iter()
                .map(|event| {
                    let delay = event.fields["delayMs"].to_string();
                    (event.number("connection"), event.text("effect").to_owned(), delay)
                })
                .collect();
            (served, told)
        };
        let first = run("", "other");
        assert!(first.1.len() > 5 && first.0.contains(&false) && first.0.contains(&true), "{first:?}");
        assert_eq!(first, run("{noop: {probability: 0.5}}, ", "another"));
    });
}
