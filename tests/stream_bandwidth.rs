//! `bandwidth` lets through what its rate says, from a byte a second to more than most networks carry, for one connection
//! or for all of a route; the sender feels it; and no ending hangs on it.

#![allow(clippy::disallowed_types, clippy::disallowed_methods, reason = "over real sockets time is real")]
#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "a test that cannot go on should say so loudly")]

mod support;

use std::io::Read;
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use support::*;

/// An upstream that sends without end.
fn source() -> Upstream {
    Upstream::serve(|stream, _| _ = flood(&stream, DOWN))
}

/// What was measured: the bytes that came in a time.
#[derive(Clone, Copy)]
struct Flow {
    bytes: u64,
    time: Duration,
}

impl Flow {
    /// Reads for so long after the first bytes, with which the rate's clock begins.
    fn measure(mut stream: &TcpStream, time: Duration) -> Self {
        let mut buf = vec![0; 256 << 10];
        assert!(stream.read(&mut buf).unwrap() > 0);
        let begun = Instant::now();
        let mut bytes = 0;
        while begun.elapsed() < time {
            bytes += stream.read(&mut buf).unwrap() as u64;
        }
        Flow { bytes, time: begun.elapsed() }
    }

    /// How far it is from the rate, in percent, when as many bytes more or less as leave in one burst say nothing.
    fn error(self, what: &str, rate: u64) -> f64 {
        let burst = rate as f64 * 0.010;
        let expected = rate as f64 * self.time.as_secs_f64();
        let off = self.bytes as f64 - expected;
        eprintln!("{what}: {:+.3} % off", 100.0 * off / expected);
        100.0 * (off.abs() - burst).max(0.0) / expected
    }
}

/// The promise about rates, kept in one of three attempts: within `percent` of the rate.
fn within_percent(what: &str, percent: f64, attempt: impl Fn() -> f64) {
    // A percent is counted as a second, because three attempts are about times.
    let limit = Duration::from_secs_f64(percent);
    best_of_three(what, limit, || Duration::from_secs_f64(attempt()));
}

/// Within 2 % over 5 s, and 1 KiB/s over 20 s; one burst (what 10 ms carry) more or less. All at once, because they are
/// slow and cost nothing.
#[test]
fn a_rate_is_what_it_says() {
    const RATES: [(&str, u64, u64); 4] =
        [("1KiB/s", 1 << 10, 20), ("64KiB/s", 64 << 10, 5), ("1MiB/s", 1 << 20, 5), ("10MiB/s", 10 << 20, 5)];
    within(secs(90), || {
        let upstream = source();
        let name = |rate: &str| rate.replace('/', "-");
        let lines = RATES.map(|(rate, ..)| {
            route(&name(rate), upstream.address, &faults(&[format!("bandwidth: {{rate: {rate}}}")]))
        });
        let daemon = Setup::routes(lines).start();
        thread::scope(|scope| {
            for (rate, bytes, seconds) in RATES {
                let address = daemon.address(&name(rate));
                scope.spawn(move || {
                    within_percent(rate, 2.0, || {
                        Flow::measure(&connect(address), secs(seconds)).error(rate, bytes)
                    });
                });
            }
        });
    });
}

/// The same for a rate at which the machine has work to do.
#[test]
fn a_hundred_mebibytes_a_second_are_what_they_say() {
    within(secs(90), || {
        let _alone = heavy();
        let upstream = source();
        let rest = faults(&["bandwidth: {rate: 100MiB/s}"]);
        let daemon = Setup::route("it", upstream.address, &rest).start();
        within_percent("100MiB/s", 2.0, || {
            Flow::measure(&connect(daemon.address("it")), secs(5)).error("100MiB/s", 100 << 20)
        });
    });
}

/// A rate shared by the route is the sum of what its connections get, within 3 %; each of eight gets a part.
#[test]
fn eight_connections_share_a_rate() {
    within(secs(60), || {
        let upstream = source();
        let rest = faults(&["bandwidth: {rate: 4MiB/s, shared: route}"]);
        let daemon = Setup::route("it", upstream.address, &rest).start();
        within_percent("4MiB/s shared by 8", 3.0, || {
            let flow = all_of(8, daemon.address("it"), secs(5));
            flow.error("4MiB/s shared by 8", 4 << 20)
        });
    });
}

/// What so many connections get together, counted once each of them has got something.
fn all_of(count: usize, address: SocketAddr, time: Duration) -> Flow {
    let clients: Vec<_> = (0..count).map(|_| connect(address)).collect();
    let counts: Vec<_> = clients.iter().map(|_| AtomicU64::new(0)).collect();
    let all = || counts.iter().map(|count| count.load(SeqCst)).collect::<Vec<_>>();
    thread::scope(|scope| {
        for (mut client, count) in clients.iter().zip(&counts) {
            scope.spawn(move || {
                let mut buf = vec![0; 64 << 10];
                // Until the measuring is over and the connection is shut.
                while let Ok(n @ 1..) = client.read(&mut buf) {
                    count.fetch_add(n as u64, SeqCst);
                }
            });
        }
        eventually(secs(10), "each gets something", || all().iter().all(|count| *count > 0));
        let (begun, before) = (Instant::now(), all());
        thread::sleep(time);
        let (time, after) = (begun.elapsed(), all());
        clients.iter().for_each(|client| client.shutdown(Shutdown::Both).unwrap());
        let shares: Vec<_> = after.iter().zip(&before).map(|(after, before)| after - before).collect();
        assert!(shares.iter().all(|share| *share > 0), "{shares:?}");
        Flow { bytes: shares.iter().sum(), time }
    })
}

/// Back-pressure: a sender that is faster than the rate is stopped. What it got rid of is what the rate let through, what
/// the fault may hold, and what the sockets of two systems keep; without an end it would be gigabytes by then.
#[test]
fn the_sender_feels_the_rate() {
    within(secs(60), || {
        let listener = Listener::new();
        let fault = faults(&["bandwidth: {rate: 64KiB/s, direction: both}"]);
        let rest = format!("{fault}, limits: {{held: 64KiB}}");
        let daemon = Setup::route("it", listener.address(), &rest).start();
        let (client, server) = pair(&daemon, "it", &listener);
        let before = resident(daemon.pid());
        for (from, to) in [(&server, &client), (&client, &server)] {
            from.set_write_timeout(Some(ms(700))).unwrap();
            thread::scope(|scope| {
                let reader = scope.spawn(|| Flow::measure(to, secs(3)).bytes);
                let sent = flood(from, DOWN);
                let passed = reader.join().unwrap();
                eprintln!("the sender got rid of {} KiB, {} KiB came", sent >> 10, passed >> 10);
                assert!(sent < 16 << 20, "{sent} bytes were taken from the sender");
            });
        }
        let growth = resident(daemon.pid()).saturating_sub(before);
        assert!(growth < 1 << 20, "{growth} bytes more for one connection");
    });
}

/// D6: at a byte a second a drain still ends at its deadline, and not before: the bytes might have come in time.
#[test]
fn a_byte_a_second_does_not_hang_a_drain() {
    within(secs(30), || {
        let listener = Listener::new();
        let rest = faults(&["bandwidth: {rate: 1B/s, direction: both}"]);
        let mut daemon = Setup::route("it", listener.address(), &rest).top("drainTimeout: 1s").start();
        let (client, server) = pair(&daemon, "it", &listener);
        send(&server, DOWN, 0, 100_000);
        send(&client, UP, 0, 100_000);
        assert!(read_byte(&client).is_ok());
        let begun = Instant::now();
        daemon.signal(Signal::TERM);
        let (code, took) = daemon.exit_code(secs(10));
        assert_eq!(code, Some(4));
        assert!(begun.elapsed() >= secs(1), "cut after {took:?}");
        assert!(took < secs(5), "the deadline of 1 s was kept after {took:?}");
    });
}

/// At a byte a second a peer that resets takes the connection with it, although bytes for it wait.
#[test]
fn a_byte_a_second_does_not_hang_a_reset() {
    within(secs(30), || {
        let listener = Listener::new();
        let daemon = Setup::route("it", listener.address(), &faults(&["bandwidth: {rate: 1B/s}"])).start();
        let (client, server) = pair(&daemon, "it", &listener);
        send(&server, DOWN, 0, 100_000);
        assert!(read_byte(&client).is_ok());
        reset(client);
        assert_eq!(read_byte(&server), Err(End::Reset));
        let closed = daemon.wait_closed("it", 1, secs(5));
        assert_eq!((closed.text("ending"), closed.text("side")), ("peer-reset", "client"));
    });
}

/// A slow end is an end all the same: a peer's last bytes come at their rate with the FIN behind them, although
/// `halfClose` is shorter than the wait for a byte, because time in which a fault holds something back does not count.
#[test]
fn a_slow_rate_delivers_the_last_byte_and_the_fin() {
    within(secs(30), || {
        let listener = Listener::new();
        let rest = format!("{}, timeouts: {{halfClose: 200ms}}", faults(&["bandwidth: {rate: 2B/s}"]));
        let daemon = Setup::route("it", listener.address(), &rest).start();
        let (client, server) = pair(&daemon, "it", &listener);
        let begun = Instant::now();
        send(&server, DOWN, 0, 6);
        shut(&server);
        assert_eq!(read_end(&client, DOWN, 0, ms(0)), (6, End::Fin));
        assert!(begun.elapsed() >= ms(2500), "six bytes at two a second in {:?}", begun.elapsed());
    });
}
