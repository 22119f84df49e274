//! `latency` makes every byte and every ending later by what it says: never earlier, hardly later, and nothing else is
//! slowed.

#![allow(clippy::disallowed_types, clippy::disallowed_methods, reason = "over real sockets time is real")]
#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "a test that cannot go on should say so loudly")]

mod support;

use std::io::Write;
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

use support::*;

/// How much later than asked the median may be. On tokio's timer, which rounds up to a millisecond, 1.5 ms is the goal on
/// a quiet machine; this leaves room for a busy one.
const ERROR: Duration = Duration::from_micros(2500);

/// One daemon with these routes (a name and a list of faults) to one listener.
fn start<const N: usize>(routes: [(&str, &[&str]); N]) -> (Daemon, Listener) {
    let listener = Listener::new();
    let lines = routes.map(|(name, items)| route(name, listener.address(), &faults(items)));
    (Setup::routes(lines).start(), listener)
}

/// The times of `count` bytes that go from one end to the other, one after the other.
fn one_way(mut from: &TcpStream, to: &TcpStream, count: usize) -> Vec<Duration> {
    let byte = |_| {
        timed(|| {
            from.write_all(b"x").unwrap();
            assert_eq!(read_byte(to), Ok(b'x'));
        })
    };
    (0..count).map(byte).collect()
}

/// A byte is never early, and in the middle less than 2.5 ms late beyond what the way takes without a fault.
#[test]
fn a_byte_comes_after_its_delay_and_hardly_later() {
    within(secs(60), || {
        let delays = [1, 10, 100].map(|n| (format!("d{n}"), ms(n), (300 / n).clamp(15, 100) as usize));
        let listener = Listener::new();
        let lines = delays.iter().map(|(name, delay, _)| {
            route(
                name,
                listener.address(),
                &format!("faults: [{{latency: {{delay: {}ms}}}}]", delay.as_millis()),
            )
        });
        let daemon = Setup::routes(lines.chain([route("plain", listener.address(), "")])).start();
        let plain = pair(&daemon, "plain", &listener);
        for (name, delay, count) in &delays {
            let (client, server) = pair(&daemon, name, &listener);
            best_of_three(name, ERROR, || {
                let usual = median(one_way(&plain.1, &plain.0, 50));
                let late = lateness(&one_way(&server, &client, *count), *delay);
                eprintln!("{name}: {late:?} late, of which the way itself takes {usual:?}");
                late.saturating_sub(usual)
            });
        }
    });
}

/// T10: with latency one way, the other way is at most a millisecond slower.
#[test]
fn the_other_direction_is_not_slowed() {
    within(secs(60), || {
        let (daemon, listener) = start([
            ("plain", &[]),
            ("down", &["latency: {delay: 50ms}"]),
            ("up", &["latency: {delay: 50ms, direction: upstream}"]),
        ]);
        let (client, server) = pair(&daemon, "plain", &listener);
        for name in ["down", "up"] {
            let (late_client, late_server) = pair(&daemon, name, &listener);
            let way = |client, server| match name {
                "down" => median(one_way(client, server, 100)),
                _ => median(one_way(server, client, 100)),
            };
            best_of_three(name, ms(1), || {
                let usual = way(&client, &server);
                way(&late_client, &late_server).saturating_sub(usual)
            });
        }
    });
}

/// H3: the FIN is as late as the bytes, and behind them, whether it comes with them or later.
#[test]
fn a_fin_is_as_late_as_the_bytes() {
    const DELAY: Duration = ms(300);
    within(secs(60), || {
        let (daemon, listener) = start([
            ("down", &["latency: {delay: 300ms}"]),
            ("up", &["latency: {delay: 300ms, direction: upstream}"]),
        ]);
        for name in ["down", "up"] {
            for pause in [ms(0), ms(100)] {
                let (client, server) = pair(&daemon, name, &listener);
                let (from, to) = if name == "down" { (server, client) } else { (client, server) };
                let sent = Instant::now();
                send(&from, DOWN, 0, 50_000);
                thread::sleep(pause);
                let ended = Instant::now();
                shut(&from);
                assert_eq!(receive(&to, DOWN, 0, 50_000), 50_000);
                assert!(sent.elapsed() >= DELAY, "{name}: bytes after {:?}", sent.elapsed());
                assert_eq!(read_byte(&to), Err(End::Fin));
                assert!(ended.elapsed() >= DELAY, "{name}: FIN after {:?}", ended.elapsed());
            }
        }
    });
}

/// R4: a peer's RST is as late as the bytes, and every byte that came before it is delivered first.
#[test]
fn a_reset_is_as_late_as_the_bytes() {
    const DELAY: Duration = ms(300);
    within(secs(60), || {
        let (daemon, listener) = start([
            ("down", &["latency: {delay: 300ms}"]),
            ("up", &["latency: {delay: 300ms, direction: upstream}"]),
        ]);
        for name in ["down", "up"] {
            let (client, server) = pair(&daemon, name, &listener);
            let (from, to) = if name == "down" { (server, client) } else { (client, server) };
            send(&from, DOWN, 0, 100_000);
            // A reset takes what the sender's own system has not sent yet: wait until it has sent everything.
            let ends = (from.local_addr().unwrap(), from.peer_addr().unwrap());
            eventually(secs(5), "everything is sent", || queues(ends.0, ends.1).0 == 0);
            let begun = Instant::now();
            reset(from);
            assert_eq!(read_end(&to, DOWN, 0, ms(0)), (100_000, End::Reset), "{name}");
            assert!(begun.elapsed() >= DELAY, "{name}: RST after {:?}", begun.elapsed());
        }
    });
}

/// Two latencies add: for bytes that come every 5 ms, so that many are on their way at once, as for a single one.
#[test]
fn two_latencies_add_for_bytes_that_stream() {
    within(secs(60), || {
        let two = ["latency: {delay: 20ms, name: near}", "latency: {delay: 30ms, name: far}"];
        let (daemon, listener) = start([("two", &two)]);
        let (client, mut server) = pair(&daemon, "two", &listener);
        best_of_three("the median byte", ERROR, || {
            let sender = thread::spawn({
                let mut server = server.try_clone().unwrap();
                move || {
                    let byte = |n| {
                        thread::sleep(ms(5));
                        let sent = Instant::now();
                        server.write_all(&[n]).unwrap();
                        sent
                    };
                    (0..60).map(byte).collect::<Vec<_>>()
                }
            });
            let arrived: Vec<_> = (0..60)
                .map(|n| {
                    assert_eq!(read_byte(&client), Ok(n));
                    Instant::now()
                })
                .collect();
            let sent = sender.join().unwrap();
            let times: Vec<_> = arrived.iter().zip(sent).map(|(arrived, sent)| *arrived - sent).collect();
            lateness(&times, ms(50))
        });
        server.write_all(b"x").unwrap();
        assert_eq!(read_byte(&client), Ok(b'x'));
    });
}
