//! An RST passes as an RST, after all the bytes that came before it.

#![allow(clippy::disallowed_types, clippy::disallowed_methods, reason = "over real sockets time is real")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should say so loudly")]

mod support;

use std::io::{ErrorKind, Write};
use std::net::TcpStream;
use std::thread;
use std::time::Instant;

use support::*;

fn start(rest: &str) -> (Daemon, Listener) {
    let listener = Listener::new();
    let daemon = Setup::route("it", listener.address(), rest).start();
    (daemon, listener)
}

fn pair(daemon: &Daemon, listener: &Listener) -> (Client, TcpStream) {
    let (client, server) = (connect(daemon.address("it")), listener.accept());
    let (mut to_server, mut to_client) = (&client, &server);
    to_server.write_all(b"?").unwrap();
    assert_eq!(read_byte(&server), Ok(b'?'));
    to_client.write_all(b"!").unwrap();
    assert_eq!(read_byte(&client), Ok(b'!'));
    (client, server)
}

/// R1 and R2: the other side sees a reset, at once, also while nobody sends. Most proxies make it a FIN, which tells an
/// application that all is well.
#[test]
fn a_reset_is_passed_on_as_a_reset_both_ways() {
    within(secs(60), || {
        let (daemon, listener) = start("");
        let mut number = 0;
        for from_client in [true, false] {
            best_of_three("the reset", ms(50), || {
                let (client, server) = pair(&daemon, &listener);
                let (from, to) = if from_client { (client, server) } else { (server, client) };
                let begun = Instant::now();
                reset(from);
                assert_eq!(read_byte(&to), Err(End::Reset));
                let took = begun.elapsed();
                number += 1;
                let closed = daemon.wait_closed("it", number, secs(5));
                let side = if from_client { "client" } else { "upstream" };
                assert_eq!((closed.text("ending"), closed.text("side")), ("peer-reset", side));
                took
            });
        }
    });
}

/// R3: a reset does not overtake the bytes before it.
#[test]
fn the_bytes_before_a_reset_arrive_first() {
    const SIZE: u64 = 100_000;
    within(secs(60), || {
        let (daemon, listener) = start("");
        for from_client in [true, false] {
            let (client, server) = pair(&daemon, &listener);
            let (from, to) = if from_client { (client, server) } else { (server, client) };
            send(&from, Pattern(7), 0, SIZE);
            acknowledged(&from, SIZE);
            reset(from);
            // Whoever reads only now finds all of it, and then the reset.
            assert_eq!(read_end(&to, Pattern(7), 0, ms(0)), (SIZE, End::Reset));
        }
    });
}

/// R3, slowly: the reader is so far behind that megabytes wait in the kernel when the reset comes. What the program had
/// taken from the sender must still arrive; a plain linger-0 close would throw it away.
#[test]
fn a_reset_waits_for_a_reader_that_is_megabytes_behind() {
    within(secs(120), || {
        let _alone = heavy();
        let (daemon, listener) = start("");
        let address = daemon.address("it");
        for from_client in [false, true] {
            // The reader's own window is small, so that what waits, waits in the program's sockets.
            let (reader, sender) = if from_client {
                let sender = connect(address);
                let reader = listener.accept();
                socket2::SockRef::from(&reader).set_recv_buffer_size(128 << 10).unwrap();
                (reader, sender)
            } else {
                (small_window(address, 128 << 10), listener.accept())
            };
            let pattern = Pattern(8);
            // A fast start opens all the buffers on the way.
            thread::scope(|scope| {
                scope.spawn(|| send(&sender, pattern, 0, 16 << 20));
                assert_eq!(receive(&reader, pattern, 0, 16 << 20), 16 << 20);
            });
            let taken = fill(&sender, pattern, 16 << 20);
            let behind = taken - (16 << 20);
            assert!(behind >= 1 << 20, "only {behind} bytes wait on the way");
            reset(sender);
            thread::sleep(ms(200));
            let (got, end) = read_end(&reader, pattern, 16 << 20, ms(2));
            assert!(got >= taken, "{} of {behind} bytes that had been taken were lost", taken - got);
            assert_eq!(end, End::Reset);
        }
    });
}

/// Writes until nothing moves any more, and says how far the other end has acknowledged.
fn fill(mut sender: &TcpStream, pattern: Pattern, from: u64) -> u64 {
    sender.set_nonblocking(true).unwrap();
    let mut at = from;
    let mut buf = vec![0; 64 << 10];
    let mut moved = Instant::now();
    let mut waiting = u64::MAX;
    while moved.elapsed() < ms(400) {
        pattern.fill(at, &mut buf);
        match sender.write(&buf) {
            Ok(n) => {
                at += n as u64;
                moved = Instant::now();
            }
            Err(why) => {
                assert_eq!(why.kind(), ErrorKind::WouldBlock, "{why}");
                thread::sleep(ms(5));
            }
        }
        let now = queues(sender.local_addr().unwrap(), sender.peer_addr().unwrap()).0;
        if now != waiting {
            moved = Instant::now();
            waiting = now;
        }
    }
    at - waiting
}

/// Waits until the other end has acknowledged everything: a reset throws away what is still to be sent.
fn acknowledged(sender: &TcpStream, size: u64) {
    eventually(secs(10), &format!("{size} bytes are acknowledged"), || {
        queues(sender.local_addr().unwrap(), sender.peer_addr().unwrap()).0 == 0
    });
}

/// An echo is stuck in its own answer when its client reads nothing. If the client then resets, the echo must come to know
/// of it at once, and not when `halfClose` is over: what it still says is taken and thrown away, as the kernel would.
#[test]
fn a_reset_frees_an_upstream_that_is_stuck_in_its_answer() {
    within(secs(90), || {
        let _alone = heavy();
        let listener = Listener::new();
        let lines = [route("outside", listener.address(), ""), route("inside", "builtin:echo", "")];
        let daemon = Setup::routes(lines).start();
        for name in ["outside", "inside"] {
            let client = connect(daemon.address(name));
            let echo = (name == "outside").then(|| {
                let mut server = listener.accept();
                thread::spawn(move || std::io::copy(&mut server.try_clone().unwrap(), &mut server))
            });
            let taken = fill(&client, Pattern(9), 0);
            assert!(taken > 0);
            let begun = Instant::now();
            reset(client);
            let closed = daemon.wait_closed(name, 1, secs(40));
            assert_eq!((closed.text("ending"), closed.text("side")), ("peer-reset", "client"));
            assert!(begun.elapsed() < secs(10), "{name} was let go after {:?}", begun.elapsed());
            if let Some(echo) = echo {
                assert_eq!(echo.join().unwrap().unwrap_err().kind(), ErrorKind::ConnectionReset);
            }
        }
    });
}

/// A client that resets while it waits for its delayed dial is gone: the connection ends there and then, and the
/// upstream never hears of it.
#[test]
fn a_reset_during_the_delay_ends_the_connection_without_a_dial() {
    within(secs(30), || {
        let (daemon, listener) = start("latencyMs: 3000");
        let (client, begun) = connect_timed(daemon.address("it"));
        let opened = |event: &Event| event.is("connection.opened", "it");
        daemon.wait_for("the connection opens", secs(5), opened);
        reset(client);
        let closed = daemon.wait_closed("it", 1, secs(2));
        assert!(begun.elapsed() < secs(3), "ended only when the delay was over");
        assert_eq!((closed.text("ending"), closed.text("side")), ("peer-reset", "client"));
        let left = secs(4).saturating_sub(begun.elapsed());
        assert!(
            listener.accept_within(left).is_none(),
            "the upstream was dialled for a client that was gone"
        );
    });
}

/// A side that has ended by FIN can still reset, and nobody reads from it any more: it must be noticed all the same, long
/// before `halfClose`, and passed on.
#[test]
fn a_reset_after_a_fin_is_passed_on() {
    within(secs(30), || {
        let (daemon, listener) = start("timeouts: {halfClose: 20s}");
        for (number, side) in [(1, "client"), (2, "upstream")] {
            let (client, server) = pair(&daemon, &listener);
            let (from, mut to) = if number == 1 { (client, server) } else { (server, client) };
            shut(&from);
            assert_eq!(read_byte(&to), Err(End::Fin));
            reset(from);
            let closed = daemon.wait_closed("it", number, secs(5));
            assert_eq!((closed.text("ending"), closed.text("side")), ("peer-reset", side));
            // What the other side still says is refused: it has had all bytes and FIN, and an RST sent after them at
            // once could take away what was still on its way.
            let mut why = None;
            eventually(secs(3), "what is said to nobody is refused", || {
                why = to.write(b"x").err().map(|error| error.kind());
                why.is_some()
            });
            let why = why.unwrap();
            assert!([ErrorKind::ConnectionReset, ErrorKind::BrokenPipe].contains(&why), "{why}");
        }
    });
}

/// A peer that resets while the other side's bytes still arrive harms no other connection.
#[test]
fn a_reset_touches_only_its_own_connection() {
    within(secs(30), || {
        let (daemon, listener) = start("");
        let (mut kept, server) = pair(&daemon, &listener);
        for _ in 0..100 {
            let (client, other) = pair(&daemon, &listener);
            reset(client);
            assert_eq!(read_byte(&other), Err(End::Reset));
        }
        kept.write_all(b"x").unwrap();
        assert_eq!(read_byte(&server), Ok(b'x'));
    });
}
