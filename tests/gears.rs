//! Bytes in bulk move through pipes where that can be, and whatever comes in between is as it was.

#![allow(clippy::disallowed_types, clippy::disallowed_methods, reason = "over real sockets time is real")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should say so loudly")]

mod support;

use std::net::TcpStream;
use std::thread;

use socket2::SockRef;
use support::*;

const MIB: u64 = 1 << 20;

/// Sends bytes of a pattern of which the last one is urgent.
fn send_urgently(stream: &TcpStream, pattern: Pattern, from: u64, to: u64) {
    send(stream, pattern, from, to - 1);
    let mut last = [0];
    pattern.fill(to - 1, &mut last);
    assert_eq!(SockRef::from(stream).send_out_of_band(&last).unwrap(), 1);
}

/// I12: a splice stops in front of an urgent byte and says that there is nothing, or that the stream has ended. Whoever
/// believed it would lose the rest, or wait for ever when the urgent byte is the last.
#[test]
fn an_urgent_byte_in_bulk_is_a_byte_like_others() {
    within(secs(60), || {
        let listener = Listener::new();
        let daemon = Setup::route("it", listener.address(), "").start();
        let (client, server) = pair(&daemon, "it", &listener);
        thread::scope(|scope| {
            scope.spawn(|| {
                for part in 0..32 {
                    send_urgently(&server, DOWN, part * MIB, (part + 1) * MIB);
                }
            });
            // The last one is followed by nothing at all.
            assert_eq!(receive(&client, DOWN, 0, 32 * MIB), 32 * MIB);
        });
        send_urgently(&server, DOWN, 32 * MIB, 33 * MIB);
        shut(&server);
        assert_eq!(read_end(&client, DOWN, 32 * MIB, ms(0)), (33 * MIB, End::Fin));
        shut(&client);
        let closed = daemon.wait_closed("it", 1, secs(5));
        assert_eq!((closed.text("ending"), closed.bytes()), ("peer-fin", (0, 33 * MIB)));
    });
}

/// R3 in bulk: what was in a pipe when the reset came arrives before it.
#[test]
fn a_reset_behind_bulk_costs_no_byte() {
    within(secs(60), || {
        let listener = Listener::new();
        let daemon = Setup::route("it", listener.address(), "").start();
        for number in 1..=20 {
            let (client, server) = pair(&daemon, "it", &listener);
            // Few enough that the kernel takes them although nobody reads.
            let size = MIB / 2 + number * 1001;
            send(&server, DOWN, 0, size);
            daemon_has(&daemon, number);
            reset(server);
            let (came, end) = read_end(&client, DOWN, 0, ms(0));
            assert_eq!(end, End::Reset);
            let closed = daemon.wait_closed("it", number, secs(5));
            assert_eq!((closed.text("ending"), closed.bytes()), ("peer-reset", (0, came)));
        }
    });
}

/// Lets the program take what is there for it.
fn daemon_has(daemon: &Daemon, number: u64) {
    let connected =
        |event: &Event| event.is("upstream.connected", "it") && event.number("connection") == number;
    daemon.wait_for("it is connected", secs(5), connected);
    thread::sleep(ms(50));
}

/// With so few descriptors that there is no pipe to be had, bulk is copied.
#[test]
fn without_pipes_bulk_arrives_whole() {
    within(secs(60), || {
        let listener = Listener::new();
        let daemon = Setup::route("it", listener.address(), "").descriptors(64).start();
        let base = descriptors(daemon.pid());
        let (client, server) = pair(&daemon, "it", &listener);
        both_ways(&client, &server, 16 * MIB);
        assert!(descriptors(daemon.pid()) <= base + 2);
    });
}

/// After bulk on many connections at once each has its two descriptors again, and only a few pipes are kept for the next.
#[test]
fn pipes_are_given_back() {
    const CONNECTIONS: usize = 64;
    within(secs(120), || {
        let _alone = heavy();
        let listener = Listener::new();
        let daemon = Setup::route("it", listener.address(), "").start();
        let base = descriptors(daemon.pid());
        let pairs: Vec<_> = (0..CONNECTIONS).map(|_| pair(&daemon, "it", &listener)).collect();
        thread::scope(|scope| {
            for (client, server) in &pairs {
                scope.spawn(move || send(server, DOWN, 0, 8 * MIB));
                scope.spawn(move || assert_eq!(receive(client, DOWN, 0, 8 * MIB), 8 * MIB));
            }
        });
        let kept = 2 * 32;
        let own = |connections: usize| base + 2 * connections + kept;
        eventually(secs(5), "pipes are given back", || descriptors(daemon.pid()) <= own(CONNECTIONS));
        drop(pairs);
        eventually(secs(5), "and sockets", || descriptors(daemon.pid()) <= own(0));
    });
}
