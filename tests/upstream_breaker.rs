//! A breaker leaves an endpoint alone that fails, and then tries it with as few connections as it was told.

#![allow(clippy::disallowed_types, clippy::disallowed_methods, reason = "over real sockets time is real")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should say so loudly")]

mod support;

use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use support::*;

fn upstream(address: SocketAddr, breaker: &str) -> String {
    format!("{{endpoints: [\"{address}\"], breaker: {{{breaker}}}}}")
}

/// The breaker's changes so far.
fn changes(daemon: &Daemon) -> Vec<String> {
    let changes = daemon.events.all(|event| event.text("event").starts_with("breaker."));
    changes.iter().map(|event| event.text("event").to_owned()).collect()
}

fn wait_changes(daemon: &Daemon, n: usize) -> Vec<Event> {
    let change = |event: &Event| event.text("event").starts_with("breaker.");
    daemon.events.wait_for_n(n, "changes of the breaker", secs(20), change)
}

/// A client that is not served, and how long it took to learn that.
fn turned_away(address: SocketAddr) -> Duration {
    let (client, begun) = connect_timed(address);
    assert!(read_byte(&client).is_err(), "nobody could have answered");
    begun.elapsed()
}

/// It opens on exactly the fifth failure. From then on clients are turned away at once, and nobody hears of them.
#[test]
fn it_opens_on_exactly_the_nth_failure_and_then_refuses_at_once() {
    within(secs(60), || {
        let address = unused_address();
        let daemon = Setup::route("it", upstream(address, "failures: 5, window: 60s, open: 10m"), "").start();
        for n in 1..=5 {
            assert!(changes(&daemon).is_empty(), "it is open after {} failures", n - 1);
            turned_away(daemon.address("it"));
            let closed = daemon.wait_closed("it", n, secs(5));
            assert_eq!(closed.text("error"), "connection refused");
        }
        let opened = wait_changes(&daemon, 1).swap_remove(0);
        assert_eq!(opened.text("event"), "breaker.opened");
        assert_eq!(
            (opened.text("upstream"), opened.text("error")),
            (address.to_string().as_str(), "connection refused")
        );
        let listener = TcpListener::bind(address).unwrap();
        listener.set_nonblocking(true).unwrap();
        let mut n = 5;
        best_of_three("the refusal", ms(5), || {
            n += 1;
            turned_away(daemon.address("it"))
        });
        let closed = daemon.wait_closed("it", n, secs(5));
        assert_eq!((closed.text("ending"), closed.text("error")), ("connect", "breaker open"));
        assert!(listener.accept().is_err(), "the upstream is left alone");
        assert_eq!(changes(&daemon), ["breaker.opened"]);
    });
}

/// A success in between forgets the failures before it.
#[test]
fn a_success_forgets_the_failures() {
    within(secs(60), || {
        let address = unused_address();
        let daemon = Setup::route("it", upstream(address, "failures: 3, window: 60s, open: 10m"), "").start();
        for round in 0..3 {
            for _ in 0..2 {
                turned_away(daemon.address("it"));
            }
            let listener = TcpListener::bind(address).unwrap();
            let client = connect(daemon.address("it"));
            let accepted = listener.accept().unwrap();
            let connected = |event: &Event| event.is("upstream.connected", "it");
            daemon.events.wait_for_n(round + 1, "connected", secs(5), connected);
            // Before its upstream is gone, so that the port is free again.
            drop((client, listener, accepted));
        }
        assert!(changes(&daemon).is_empty());
        for _ in 0..3 {
            turned_away(daemon.address("it"));
        }
        wait_changes(&daemon, 1);
    });
}

/// Waits until its time to be open is over.
fn half_open(daemon: &Daemon) {
    eventually(secs(10), "it is half-open", || {
        let route = daemon.api().get("/v1/routes/it").expect(200);
        route["state"]["endpoints"][0]["breaker"] == "halfOpen"
    });
}

/// A hundred clients that come together when it is half-open: as many as it was told are let through, and no more.
#[test]
fn a_hundred_clients_together_are_not_a_hundred_probes() {
    within(secs(60), || {
        let (mute, _full) = unanswering();
        let breaker = "failures: 1, window: 60s, open: 500ms, probes: 3";
        let daemon = Setup::route("it", upstream(mute, breaker), "timeouts: {connect: 3s}").admin().start();
        turned_away(daemon.address("it"));
        wait_changes(&daemon, 1);
        half_open(&daemon);
        let clients: Vec<Client> = (0..100).map(|_| connect(daemon.address("it"))).collect();
        clients.iter().for_each(|client| assert!(read_byte(client).is_err()));
        let closed = |event: &Event| event.is("connection.closed", "it") && event.number("connection") > 1;
        let closed = daemon.events.wait_for_n(100, "closed", secs(10), closed);
        let with = |error: &str| closed.iter().filter(|event| event.text("error") == error).count();
        assert_eq!((with("no answer in time"), with("breaker open")), (3, 97));
        let told: Vec<String> = changes(&daemon).into_iter().take(3).collect();
        assert_eq!(told, ["breaker.opened", "breaker.half-opened", "breaker.opened"]);
    });
}

/// Half-open, it closes when as many have succeeded as it was told, and then all pass.
#[test]
fn it_closes_when_its_probes_succeed() {
    within(secs(60), || {
        let address = unused_address();
        let breaker = "failures: 1, window: 60s, open: 300ms, probes: 2";
        let daemon = Setup::route("it", upstream(address, breaker), "").admin().start();
        turned_away(daemon.address("it"));
        wait_changes(&daemon, 1);
        let echo = Upstream::serve_on(TcpListener::bind(address).unwrap(), |mut stream, _| {
            let _ = std::io::Write::write_all(&mut stream, b"y");
            let _ = read_byte(&stream);
        });
        half_open(&daemon);
        assert_eq!(read_byte(&connect(daemon.address("it"))), Ok(b'y'));
        wait_changes(&daemon, 2);
        assert_eq!(changes(&daemon), ["breaker.opened", "breaker.half-opened"]);
        assert_eq!(read_byte(&connect(daemon.address("it"))), Ok(b'y'));
        wait_changes(&daemon, 3);
        let clients: Vec<Client> = (0..20).map(|_| connect(daemon.address("it"))).collect();
        clients.iter().for_each(|client| assert_eq!(read_byte(client), Ok(b'y')));
        assert_eq!(changes(&daemon), ["breaker.opened", "breaker.half-opened", "breaker.closed"]);
        assert_eq!(echo.accepted(), 22);
    });
}
