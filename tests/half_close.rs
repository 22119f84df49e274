//! A FIN passes as it came, after the last byte, and ends one direction only; what is left half closed without progress
//! ends after `halfClose`.

#![allow(clippy::disallowed_types, clippy::disallowed_methods, reason = "over real sockets time is real")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should say so loudly")]

mod support;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::thread;
use std::time::Instant;

use support::*;

/// A daemon with one route to a listener of the test.
fn start(rest: &str) -> (Daemon, Listener) {
    let listener = Listener::new();
    let daemon = Setup::route("it", listener.address(), rest).start();
    (daemon, listener)
}

fn pair(daemon: &Daemon, listener: &Listener) -> (Client, TcpStream) {
    (connect(daemon.address("it")), listener.accept())
}

/// `first` says a word and ends its side; `second` sees that, waits, and then sends 64 MiB the other way.
fn answer_after_fin(first: &TcpStream, mut second: &TcpStream) {
    const SIZE: u64 = 64 << 20;
    let mut writer = first;
    writer.write_all(b"request").unwrap();
    shut(first);
    let mut request = Vec::new();
    second.read_to_end(&mut request).unwrap();
    assert_eq!(request, b"request");
    // Longer than it takes a proxy that ends both sides at the first FIN.
    thread::sleep(ms(300));
    thread::scope(|scope| {
        scope.spawn(|| {
            send(second, Pattern(5), 0, SIZE);
            shut(second);
        });
        assert_eq!(read_end(first, Pattern(5), 0, ms(0)), (SIZE, End::Fin));
    });
}

/// H1: a client that ends its side after the request gets the whole answer; a proxy that takes FIN for the end of the
/// connection would cut it.
#[test]
fn a_client_that_ended_its_side_gets_the_whole_answer() {
    within(secs(60), || {
        let (daemon, listener) = start("");
        let (client, server) = pair(&daemon, &listener);
        answer_after_fin(&client, &server);
        let closed = daemon.wait_closed("it", 1, secs(5));
        assert_eq!((closed.text("ending"), closed.bytes()), ("peer-fin", (7, 64 << 20)));
    });
}

/// H2: the mirror; the client may go on sending after the server has ended its side.
#[test]
fn a_server_that_ended_its_side_gets_the_whole_upload() {
    within(secs(60), || {
        let (daemon, listener) = start("");
        let (client, server) = pair(&daemon, &listener);
        answer_after_fin(&server, &client);
        let closed = daemon.wait_closed("it", 1, secs(5));
        assert_eq!((closed.text("ending"), closed.bytes()), ("peer-fin", (64 << 20, 7)));
    });
}

/// H4: both ends at the same instant, again and again; each sees a FIN and nothing is left behind.
#[test]
fn both_sides_may_end_at_once() {
    within(secs(60), || {
        let (daemon, listener) = start("");
        let base = descriptors(daemon.pid());
        for _ in 0..300 {
            let (client, server) = pair(&daemon, &listener);
            let other = thread::spawn(move || {
                shut(&server);
                read_byte(&server)
            });
            shut(&client);
            assert_eq!(read_byte(&client), Err(End::Fin));
            assert_eq!(other.join().unwrap(), Err(End::Fin));
        }
        daemon.events.wait_for_n(300, "closed by FIN", secs(10), |event| {
            event.is("connection.closed", "it") && event.text("ending") == "peer-fin"
        });
        eventually(secs(20), "no descriptor is left", || descriptors(daemon.pid()) == base);
    });
}

/// H5: an end before any byte is an end, not nothing: the upstream sees a connection that ends at once.
#[test]
fn an_end_before_any_byte_arrives() {
    within(secs(30), || {
        let (daemon, listener) = start("");
        let client = connect(daemon.address("it"));
        shut(&client);
        let server = listener.accept();
        assert_eq!(read_byte(&server), Err(End::Fin));
        drop(server);
        assert_eq!(read_byte(&client), Err(End::Fin));
    });
}

/// H5: bytes and an end that came before the upstream was dialled are kept, and arrive in that order.
#[test]
fn what_came_before_the_dial_is_kept_with_its_end() {
    within(secs(30), || {
        let (daemon, listener) = start("latencyMs: 300");
        let (client, begun) = connect_timed(daemon.address("it"));
        send(&client, Pattern(6), 0, 50_000);
        shut(&client);
        let mut server = listener.accept();
        assert!(begun.elapsed() >= ms(300), "dialled after {:?}", begun.elapsed());
        assert_eq!(read_end(&server, Pattern(6), 0, ms(0)), (50_000, End::Fin));
        server.write_all(b"late answer").unwrap();
        drop(server);
        assert_eq!(read_all(&client), (b"late answer".to_vec(), End::Fin));
    });
}

/// H6: the client is gone, the server says nothing and stays: after `halfClose`, and not before, both sockets are gone.
/// H8: five hundred at once, so that a leak would be seen.
#[test]
fn a_half_closed_connection_without_progress_ends_after_its_time() {
    within(secs(60), || {
        let (daemon, listener) = start("timeouts: {halfClose: 1s}");
        let base = descriptors(daemon.pid());
        let servers: Vec<TcpStream> = (0..500)
            .map(|_| {
                let (client, server) = pair(&daemon, &listener);
                drop(client);
                server
            })
            .collect();
        assert!(
            servers.iter().all(|server| read_byte(server) == Err(End::Fin)),
            "the FIN is passed on at once"
        );
        let closed = daemon.events.wait_for_n(500, "ended by half-close", secs(15), |event| {
            event.is("connection.closed", "it") && event.text("ending") == "half-close"
        });
        for event in closed {
            let lasted = event.number("durationMs");
            assert!((1000..5000).contains(&lasted), "ended after {lasted} ms");
        }
        eventually(secs(20), "no descriptor is left", || descriptors(daemon.pid()) == base);
        drop(servers);
    });
}

/// H7: progress starts the time anew: a trickle that is slower than nothing but `halfClose` is not cut.
#[test]
fn a_half_closed_connection_that_makes_progress_is_not_cut() {
    within(secs(60), || {
        let (daemon, listener) = start("timeouts: {halfClose: 2s}");
        for client_first in [true, false] {
            let (client, server) = pair(&daemon, &listener);
            let (reader, mut writer) = if client_first { (client, server) } else { (server, client) };
            shut(&reader);
            assert_eq!(read_byte(&writer), Err(End::Fin));
            let begun = Instant::now();
            thread::scope(|scope| {
                scope.spawn(|| {
                    for byte in 0..8 {
                        thread::sleep(ms(400));
                        writer.write_all(&[byte]).unwrap();
                    }
                    shut(&writer);
                });
                assert_eq!(read_all(&reader), ((0..8).collect(), End::Fin));
            });
            assert!(begun.elapsed() >= secs(3));
        }
    });
}

/// One side sends until nothing more is passed on, because the other one reads nothing, and then is gone. Its ending waits
/// behind bytes that can go nowhere, and without progress that is a half-closed connection: it ends after its time. Else
/// each such connection would be kept for ever.
fn gone_behind_undeliverable_bytes(by_reset: bool) {
    for from_client in [true, false] {
        let (daemon, listener) = start("timeouts: {halfClose: 1s}");
        let base = descriptors(daemon.pid());
        let (client, server) = pair(&daemon, &listener);
        let (from, to) = if from_client { (client, server) } else { (server, client) };
        clog(&from, &to);
        if by_reset {
            reset(from);
        } else {
            drop(from);
        }
        let closed = daemon.wait_closed("it", 1, secs(8));
        let endings = if by_reset { ["peer-reset", "half-close"] } else { ["half-close"; 2] };
        assert!(endings.contains(&closed.text("ending")), "{}", closed.fields);
        eventually(secs(20), "no descriptor is left", || descriptors(daemon.pid()) == base);
        drop(to);
    }
}

/// Whoever ended by FIN behind undeliverable bytes is let go after `halfClose`.
#[test]
fn a_side_that_ended_behind_undeliverable_bytes_is_let_go() {
    within(secs(300), || gone_behind_undeliverable_bytes(false));
}

/// Whoever reset behind undeliverable bytes is let go after `halfClose` at the latest.
#[test]
fn a_side_that_reset_behind_undeliverable_bytes_is_let_go() {
    within(secs(300), || gone_behind_undeliverable_bytes(true));
}

/// Sends, little by little, until the program has bytes that it does not read: it cannot pass on those before them. All
/// that was sent has reached it, so what follows, be it FIN, will reach it too. Nobody reads on the other side.
fn clog(mut from: &TcpStream, mut to: &TcpStream) {
    let (ours, theirs) = (from.local_addr().unwrap(), from.peer_addr().unwrap());
    let mut some = vec![0; 64 << 10];
    let mut seen = [0; 4];
    eventually(secs(90), "the program has all of it and can pass on no more", || {
        let (unsent, unread) = (queues(ours, theirs).0, queues(theirs, ours).1);
        if unsent == 0 && unread == 0 {
            from.write_all(&some).unwrap();
            return false;
        }
        // On its way, or stuck: the same number again and again means stuck.
        thread::sleep(ms(5));
        seen.rotate_left(1);
        seen[3] = unread + unsent;
        let stuck = seen == [unread + unsent; 4];
        if stuck && unsent > 0 {
            // One piece too many: it cannot even reach the program. The other side makes a little room.
            let _room = to.read(&mut some).unwrap();
        }
        stuck && unsent == 0 && unread > 0
    });
}
