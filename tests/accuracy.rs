//! Figures of accuracy: how late, how early, how fast, on a machine that is at rest. Built with `--features accuracy` and run
//! one after the other (`-- --test-threads=1`).
//!
//! First the machine itself is measured. One on which a bare sleep is late proves nothing: that is said loudly, and is no
//! pass. What must never happen, a byte before its time, fails at once; for what may be late once, one of three attempts
//! has to keep to the limit, and all of them are shown.

#![cfg(target_os = "linux")]
#![allow(clippy::disallowed_types, clippy::disallowed_methods, reason = "over real sockets time is real")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should say so loudly")]

mod support;

use std::io::{Read, Write};
use std::thread;
use std::time::{Duration, Instant};

use support::*;

/// What sleeps may be late here, at the 95th percentile.
const NOISE: Duration = ms(20);

/// The one below which so many percent lie.
fn percentile(times: &mut [Duration], percent: usize) -> Duration {
    times.sort_unstable();
    times[(times.len() * percent / 100).min(times.len() - 1)]
}

/// Whether this machine is at rest; said loudly where not.
fn at_rest() -> bool {
    let mut late: Vec<Duration> = (0..100)
        .map(|_| timed(|| thread::sleep(ms(20))).checked_sub(ms(20)).expect("no sleep is too short"))
        .collect();
    let worst = percentile(&mut late, 95);
    if worst > NOISE {
        loudly(&format!("NOT MEASURED: this machine is too noisy, a sleep of 20 ms is {worst:?} late"));
    }
    worst <= NOISE
}

/// The times of one byte there and back, one after the other.
fn round_trips(mut client: &Client, n: usize) -> Vec<Duration> {
    let mut byte = [0];
    (0..n)
        .map(|_| {
            timed(|| {
                client.write_all(b"x").unwrap();
                client.read_exact(&mut byte).unwrap();
            })
        })
        .collect()
}

/// Tries three times; `attempt` says what is wrong with this one, if anything is.
fn one_of_three(what: &str, mut attempt: impl FnMut() -> Result<String, String>) {
    let mut seen = Vec::new();
    for _ in 0..3 {
        match attempt() {
            Ok(figure) => return loudly(&format!("{what}: {figure}")),
            Err(figure) => seen.push(figure),
        }
    }
    panic!("{what}: three times not within the limit: {seen:?}");
}

/// A latency of 1, 10, 100 and 1,000 ms: never early, in the middle at most 2.5 ms late, at the 95th percentile 10 ms.
#[test]
fn latency_is_never_early_and_hardly_late() {
    within(secs(120), || {
        let _alone = heavy();
        if !at_rest() {
            return;
        }
        for (delay, n) in [(1, 100), (10, 100), (100, 100), (1_000, 10)] {
            let latency = faults(&[format!("latency: {{delay: {delay}ms}}")]);
            let routes = [route("plain", "builtin:echo", ""), route("late", "builtin:echo", &latency)];
            let daemon = Setup::routes(routes).start();
            let (plain, late) = (connect(daemon.address("plain")), connect(daemon.address("late")));
            one_of_three(&format!("latency {delay} ms"), || {
                let base = median(round_trips(&plain, 200));
                let mut times = round_trips(&late, n);
                let early = times.iter().find(|time| **time + Duration::from_micros(100) < ms(delay));
                assert_eq!(early, None, "before its time");
                let above = |time: Duration| time.saturating_sub(ms(delay)).saturating_sub(base);
                let (middle, tail) = (above(median(times.clone())), above(percentile(&mut times, 95)));
                let figure = format!("{middle:?} late in the middle, {tail:?} at the 95th percentile");
                if middle <= Duration::from_micros(2_500) && tail <= ms(10) {
                    Ok(figure)
                } else {
                    Err(figure)
                }
            });
        }
    });
}

/// Bandwidths of 1 kB/s, 1 MB/s and 100 MB/s over some seconds: within 2 % of what was set, and one burst.
#[test]
fn bandwidth_is_what_was_set() {
    within(secs(180), || {
        let _alone = heavy();
        if !at_rest() {
            return;
        }
        for rate in [1_000u64, 1_000_000, 100_000_000] {
            let pace = faults(&[format!("bandwidth: {{rate: {rate}B/s}}")]);
            let daemon = Setup::route("it", "builtin:chargen", &pace).start();
            one_of_three(&format!("bandwidth {rate} B/s"), || {
                let begun = Instant::now();
                let mut client = connect(daemon.address("it"));
                let (mut buf, mut bytes) = (vec![0; 64 << 10], 0u64);
                while begun.elapsed() < secs(5) {
                    bytes += client.read(&mut buf).unwrap() as u64;
                }
                let took = begun.elapsed().as_secs_f64();
                let burst = rate as f64 / 100.0 + 1.0;
                let due = rate as f64 * took;
                assert!(bytes as f64 <= due + burst + 1.0, "{bytes} bytes in {took} s are too many");
                let share = bytes as f64 / due;
                let figure = format!("{bytes} bytes in {took:.3} s, {:.2} %", 100.0 * share);
                if share >= 0.98 { Ok(figure) } else { Err(figure) }
            });
        }
    });
}

/// A fault on one direction leaves the other as it was.
#[test]
fn the_other_direction_is_no_slower() {
    within(secs(60), || {
        let _alone = heavy();
        if !at_rest() {
            return;
        }
        let upstream = Listener::new();
        let latency = faults(&["latency: {delay: 200ms, direction: downstream}"]);
        let routes = [route("plain", upstream.address(), ""), route("late", upstream.address(), &latency)];
        let daemon = Setup::routes(routes).start();
        let one_way = |name: &str| {
            let (mut client, mut server) = pair(&daemon, name, &upstream);
            let mut byte = [0];
            median(
                (0..200)
                    .map(|_| {
                        timed(|| {
                            client.write_all(b"x").unwrap();
                            server.read_exact(&mut byte).unwrap();
                        })
                    })
                    .collect(),
            )
        };
        one_of_three("the direction beside a latency", || {
            let (plain, late) = (one_way("plain"), one_way("late"));
            let figure = format!("{late:?} against {plain:?}");
            if late <= plain + ms(1) { Ok(figure) } else { Err(figure) }
        });
    });
}
