//! `latencyMs` makes a connection wait before its upstream is dialled: that long, never shorter, and nothing but that.

#![allow(clippy::disallowed_types, clippy::disallowed_methods, reason = "over real sockets time is real")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should say so loudly")]

mod support;

use std::io::{Read, Write};
use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};

use support::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// Connects, and says how long the first byte took.
fn first_byte(daemon: &Daemon) -> Duration {
    let (client, begun) = connect_timed(daemon.address("it"));
    assert_eq!(read_byte(&client), Ok(b'g'));
    begun.elapsed()
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}

/// No first byte comes before 200 ms, and half of them at most 20 ms after it. A delay that is measured from anything but
/// the accept, or rounded down, would be seen.
#[test]
fn the_first_byte_comes_when_the_delay_is_over() {
    within(secs(60), || {
        let upstream = Upstream::banner("good day");
        let daemon = Setup::route("it", upstream.address, "latencyMs: 200").start();
        best_of_three("the median of 50 first bytes", ms(220), || {
            let times = thread::scope(|scope| {
                let threads: Vec<_> =
                    (0..5).map(|_| scope.spawn(|| [(); 10].map(|()| first_byte(&daemon)))).collect();
                threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect::<Vec<_>>()
            });
            assert!(times.iter().all(|took| *took >= ms(200)), "too early: {times:?}");
            median(times)
        });
    });
}

/// Only the start is delayed: once the connection stands, a byte goes there and back at once.
#[test]
fn later_bytes_are_not_delayed() {
    within(secs(30), || {
        let upstream = Upstream::echo();
        let daemon = Setup::route("it", upstream.address, "latencyMs: 200").start();
        let (mut client, begun) = connect_timed(daemon.address("it"));
        let mut round_trip = || {
            let begun = Instant::now();
            client.write_all(b"x").unwrap();
            assert_eq!(read_byte(&client), Ok(b'x'));
            begun.elapsed()
        };
        round_trip();
        assert!(begun.elapsed() >= ms(200), "the first one waits for the dial");
        let times: Vec<Duration> = (0..51).map(|_| round_trip()).collect();
        let median = median(times);
        assert!(median < ms(20), "a later byte took {median:?}");
    });
}

/// What a client sends while it waits arrives, whole and once.
#[test]
fn bytes_sent_during_the_delay_are_kept() {
    const SIZE: u64 = 4 << 20;
    within(secs(30), || {
        let upstream = Upstream::echo();
        let daemon = Setup::route("it", upstream.address, "latencyMs: 500").start();
        let (client, begun) = connect_timed(daemon.address("it"));
        thread::scope(|scope| {
            scope.spawn(|| {
                send(&client, Pattern(2), 0, SIZE);
                shut(&client);
            });
            assert_eq!(read_end(&client, Pattern(2), 0, ms(0)), (SIZE, End::Fin));
        });
        assert!(begun.elapsed() >= ms(500));
        assert_eq!(daemon.wait_closed("it", 1, secs(5)).bytes(), (SIZE, SIZE));
    });
}

/// The same for a connection that sends first and waits for the echo.
async fn first_echo(address: SocketAddr) -> Duration {
    let begun = Instant::now();
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    stream.write_all(&[7]).await.unwrap();
    assert_eq!(stream.read_u8().await.unwrap(), 7);
    begun.elapsed()
}

/// A thousand connections wait side by side. Were they served one after the other it would take a quarter of an hour.
#[test]
fn a_thousand_delayed_connections_wait_together() {
    within(secs(90), || {
        let _alone = heavy();
        let daemon = Setup::route("it", "builtin:echo", "latencyMs: 1000").start();
        let address = daemon.address("it");
        let begun = Instant::now();
        let times = many(async {
            let work: Vec<_> = (0..1000).map(|_| tokio::spawn(first_echo(address))).collect();
            let mut times = Vec::new();
            for work in work {
                times.push(work.await.unwrap());
            }
            times
        });
        assert!(times.iter().all(|took| *took >= secs(1)), "one came too early");
        assert!(begun.elapsed() < secs(10), "all together took {:?}", begun.elapsed());
    });
}

/// Jitter strays within its bounds, and it does stray.
#[test]
fn jitter_stays_within_its_bounds() {
    within(secs(60), || {
        let upstream = Upstream::banner("good day");
        let daemon = Setup::route("it", upstream.address, "latencyMs: 200, jitterMs: 150").start();
        let times: Vec<Duration> = thread::scope(|scope| {
            let threads: Vec<_> = (0..40).map(|_| scope.spawn(|| first_byte(&daemon))).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        let (least, most) = (times.iter().min().unwrap(), times.iter().max().unwrap());
        assert!(*least >= ms(50), "{least:?} is below delay - jitter");
        assert!(median(times.clone()) <= ms(350), "half are above delay + jitter");
        assert!(*most - *least >= ms(100), "from {least:?} to {most:?} is hardly any jitter");
    });
}

/// The full form delays those it chooses and no other.
#[test]
fn a_delay_with_a_trigger_spares_the_others() {
    within(secs(30), || {
        let upstream = Upstream::banner("good day");
        let faults = "faults: [{delay: {delay: 1s, every: 2, name: slow}}]";
        let daemon = Setup::route("it", upstream.address, faults).start();
        for number in 1..=6 {
            let took = first_byte(&daemon);
            assert_eq!(took >= secs(1), number % 2 == 1, "connection {number} took {took:?}");
        }
        let fired = daemon.events.wait_for_n(3, "fired", secs(5), |event| event.is("fault.fired", "it"));
        let told: Vec<_> =
            fired.iter().map(|event| (event.number("connection"), event.text("fault"))).collect();
        assert_eq!(told, [(1, "slow"), (3, "slow"), (5, "slow")]);
        assert!(fired.iter().all(|event| event.text("effect") == "delay"));
    });
}

/// Two delays on one connection add.
#[test]
fn two_delays_add() {
    within(secs(30), || {
        let upstream = Upstream::serve(|mut stream, _| {
            stream.write_all(b"good day").unwrap();
            let _ = stream.read(&mut [0]);
        });
        let faults = "latencyMs: 150, faults: [{delay: {delay: 200ms, name: more}}]";
        let daemon = Setup::route("it", upstream.address, faults).start();
        let took = first_byte(&daemon);
        assert!(took >= ms(350) && took < secs(3), "{took:?}");
    });
}
