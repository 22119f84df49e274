//! Faults that end a connection do it as they say: after exactly so many bytes or after so much time, by FIN or by RST,
//! to both sides; and a fault that was not chosen ends nothing.

#![allow(clippy::disallowed_types, clippy::disallowed_methods, reason = "over real sockets time is real")]
#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "a test that cannot go on should say so loudly")]

mod support;

use std::io::Write;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use support::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// A daemon with one route with one fault to a listener of the test.
fn start(fault: &str) -> (Daemon, Listener) {
    let listener = Listener::new();
    let daemon = Setup::route("it", listener.address(), &faults(&[fault])).start();
    (daemon, listener)
}

/// The connection ended because of this fault, and the log says so.
fn ended_by(daemon: &Daemon, number: u64, fault: &str) -> Event {
    let closed = daemon.wait_closed("it", number, secs(5));
    let words = (closed.text("ending"), closed.text("side"), closed.text("fault"));
    assert_eq!(words, ("fault", "none", fault), "{}", closed.fields);
    closed
}

/// R7: a reset that is never drawn never happens: 2,000 connections, 64 at a time, get their echo and a FIN.
#[test]
fn a_probability_of_zero_resets_nobody() {
    within(secs(60), || {
        let _alone = heavy();
        let rest = faults(&["reset: {probability: 0, direction: both}"]);
        let daemon = Setup::route("it", "builtin:echo", &rest).start();
        let address = daemon.address("it");
        many(async {
            let clients: Vec<_> = (0..64)
                .map(|first| {
                    tokio::spawn(async move {
                        for number in (first..2000u32).step_by(64) {
                            let mut client = tokio::net::TcpStream::connect(address).await.unwrap();
                            client.write_all(&number.to_be_bytes()).await.unwrap();
                            client.shutdown().await.unwrap();
                            let mut echo = Vec::new();
                            client.read_to_end(&mut echo).await.unwrap();
                            assert_eq!(echo, number.to_be_bytes());
                        }
                    })
                })
                .collect();
            for client in clients {
                client.await.unwrap();
            }
        });
        daemon.events.wait_for_n(2000, "ended by FIN", secs(10), |event| {
            event.is("connection.closed", "it") && event.text("ending") == "peer-fin"
        });
        assert_eq!(daemon.events.count(|event| event.is("fault.fired", "it")), 0);
    });
}

/// R7: with probability 1 exactly 10,240 bytes pass, and then both sides see RST.
#[test]
fn a_reset_after_bytes_lets_exactly_those_through() {
    within(secs(30), || {
        for direction in ["downstream", "upstream"] {
            let (daemon, listener) =
                start(&format!("reset: {{probability: 1, after: 10KiB, direction: {direction}}}"));
            for number in 1..=20 {
                let (client, server) = pair(&daemon, "it", &listener);
                let (from, to) = if direction == "downstream" { (server, client) } else { (client, server) };
                send(&from, DOWN, 0, 20_000);
                assert_eq!(read_end(&to, DOWN, 0, ms(0)), (10_240, End::Reset));
                assert_eq!(read_byte(&from), Err(End::Reset), "the sender's side");
                let (up, down) = ended_by(&daemon, number, "reset").bytes();
                assert_eq!((up.max(down), up.min(down)), (10_240, 0));
            }
        }
    });
}

/// R7: an idle connection is reset on time, on both sides: never early, and in the middle of nine at most 20 ms late.
#[test]
fn an_idle_connection_is_reset_on_time() {
    const AFTER: Duration = ms(250);
    within(secs(30), || {
        let (daemon, listener) = start("reset: {after: 250ms}");
        best_of_three("the median reset", ms(20), || {
            let late = (0..9).map(|_| {
                let (client, begun) = connect_timed(daemon.address("it"));
                let server = listener.accept();
                // The fault's clock begins when both sides are connected, and the server's side is before that.
                let connected = Instant::now();
                assert_eq!(read_byte(&client), Err(End::Reset));
                let ended = Instant::now();
                assert_eq!(read_byte(&server), Err(End::Reset));
                assert!(ended - begun >= AFTER, "reset after {:?}", ended - begun);
                (ended - connected).saturating_sub(AFTER)
            });
            let late = median(late.collect());
            eprintln!("an idle connection is reset {late:?} late");
            late
        });
        ended_by(&daemon, 1, "reset");
    });
}

/// A reset after a time does not wait for anything: not for bytes that a fault holds, nor for a reader that reads nothing.
#[test]
fn a_reset_after_a_time_waits_for_nothing() {
    within(secs(30), || {
        let listener = Listener::new();
        let items = ["stall: {direction: both}", "latency: {delay: 60s}", "reset: {after: 300ms}"];
        let daemon = Setup::route("it", listener.address(), &faults(&items)).start();
        let (client, begun) = connect_timed(daemon.address("it"));
        let server = listener.accept();
        send(&server, DOWN, 0, 50_000);
        send(&client, UP, 0, 50_000);
        assert_eq!(read_byte(&client), Err(End::Reset));
        assert!(begun.elapsed() >= ms(300));
        assert_eq!(read_byte(&server), Err(End::Reset));
        assert_eq!(ended_by(&daemon, 1, "reset").bytes(), (0, 0));
    });
}

/// `limit` then `close`: exactly the bytes, then FIN, to both sides.
#[test]
fn a_limit_closes_both_sides_by_fin() {
    within(secs(30), || {
        let (daemon, listener) = start("limit: {bytes: 1000}");
        let (client, server) = pair(&daemon, "it", &listener);
        send(&server, DOWN, 0, 5000);
        assert_eq!(read_end(&client, DOWN, 0, ms(0)), (1000, End::Fin));
        assert_eq!(read_byte(&server), Err(End::Fin));
        drop((client, server));
        assert_eq!(ended_by(&daemon, 1, "limit").bytes(), (0, 1000));
    });
}

/// `limit` then `stall`: exactly the bytes, and then nothing, but no end either; the other direction goes on.
#[test]
fn a_limit_may_stall_instead() {
    within(secs(30), || {
        let (daemon, listener) = start("limit: {bytes: 1000, then: stall}");
        let (client, server) = pair(&daemon, "it", &listener);
        send(&server, DOWN, 0, 5000);
        assert_eq!(receive(&client, DOWN, 0, 1000), 1000);
        assert!(silent(&client, ms(300)));
        send(&client, UP, 0, 100_000);
        assert_eq!(receive(&server, UP, 0, 100_000), 100_000);
        assert!(silent(&client, ms(50)));
        assert_eq!(daemon.events.count(|event| event.is("connection.closed", "it")), 0);
    });
}

/// Whether neither a byte nor an end comes for so long.
fn silent(stream: &TcpStream, time: Duration) -> bool {
    stream.set_read_timeout(Some(time)).unwrap();
    let mut byte = [0];
    // A look takes nothing away: whoever reads next finds the byte.
    let seen = stream.peek(&mut byte);
    stream.set_read_timeout(Some(secs(30))).unwrap();
    matches!(
        seen.map_err(|why| why.kind()),
        Err(std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut)
    )
}

/// A stall holds bytes and endings back and loses none: after `hold`, and not before, both come.
#[test]
fn a_stall_is_over_after_its_hold() {
    within(secs(30), || {
        let (daemon, listener) = start("stall: {after: 500, hold: 300ms}");
        let (client, server) = pair(&daemon, "it", &listener);
        let begun = Instant::now();
        send(&server, DOWN, 0, 5000);
        shut(&server);
        assert_eq!(receive(&client, DOWN, 0, 500), 500);
        assert!(silent(&client, ms(100)));
        assert_eq!(read_end(&client, DOWN, 500, ms(0)), (5000, End::Fin));
        assert!(begun.elapsed() >= ms(300), "over after {:?}", begun.elapsed());
    });
}

/// `slowClose` holds back the FIN of its direction and nothing else: the bytes before it come at once, the other
/// direction ends at once.
#[test]
fn a_slow_close_holds_back_only_the_end() {
    within(secs(30), || {
        let (daemon, listener) = start("slowClose: {delay: 300ms}");
        best_of_three("the median FIN", ms(20), || {
            let late = (0..5).map(|_| {
                let (client, mut server) = pair(&daemon, "it", &listener);
                let begun = Instant::now();
                server.write_all(b"x").unwrap();
                shut(&server);
                assert_eq!(read_byte(&client), Ok(b'x'));
                shut(&client);
                assert_eq!(read_byte(&server), Err(End::Fin));
                let before = begun.elapsed();
                assert!(before < ms(300), "the byte and the other end came after {before:?}");
                assert_eq!(read_byte(&client), Err(End::Fin));
                begun.elapsed().checked_sub(ms(300)).expect("not before its time")
            });
            median(late.collect())
        });
    });
}
