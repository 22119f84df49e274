//! Latency under load: many busy connections keep their delay, and what is on its way does not cap what can be carried.

#![allow(clippy::disallowed_types, clippy::disallowed_methods, reason = "over real sockets time is real")]
#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "a test that cannot go on should say so loudly")]

mod support;

use std::io::Read;
use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};

use support::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// 200 connections, each of which sends a byte every 10 ms and has five on their way: each byte keeps its delay.
#[test]
fn two_hundred_busy_connections_keep_their_delay() {
    const DELAY: Duration = ms(50);
    within(secs(60), || {
        let _alone = heavy();
        let line = route("it", "builtin:echo", &faults(&["latency: {delay: 50ms}"]));
        let daemon = Setup::routes([line]).start();
        let address = daemon.address("it");
        best_of_three("the median byte of 200 connections", ms(5), || {
            let times = many(async {
                let clients: Vec<_> = (0..200).map(|n| tokio::spawn(paced(address, n))).collect();
                let mut times = Vec::new();
                for client in clients {
                    times.extend(client.await.unwrap());
                }
                times
            });
            let late = lateness(&times, DELAY);
            eprintln!("200 connections at a pace of 10 ms: {late:?} late in the middle");
            late
        });
    });
}

/// The times of 100 bytes there and back, one sent every 10 ms whatever has come back.
async fn paced(address: SocketAddr, number: u64) -> Vec<Duration> {
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    stream.set_nodelay(true).unwrap();
    let (mut from, mut to) = stream.split();
    let (tell, mut sent) = tokio::sync::mpsc::unbounded_channel();
    let sending = async {
        // Spread over the 10 ms, as clients that know nothing of each other are.
        tokio::time::sleep(Duration::from_micros(number * 50)).await;
        let mut pace = tokio::time::interval(ms(10));
        for _ in 0..100 {
            pace.tick().await;
            tell.send(Instant::now()).unwrap();
            to.write_all(b"x").await.unwrap();
        }
    };
    let receiving = async {
        let mut times = Vec::new();
        while times.len() < 100 {
            from.read_u8().await.unwrap();
            times.push(sent.recv().await.unwrap().elapsed());
        }
        times
    };
    tokio::join!(sending, receiving).1
}

/// Latency does not cap throughput: with 20 ms and room for what is on its way, 8 connections carry at least 60 % of what
/// they carry without it.
#[test]
fn latency_leaves_throughput_alone() {
    within(secs(90), || {
        let _alone = heavy();
        let upstream = Upstream::serve(|stream, _| _ = flood(&stream, DOWN));
        let late = format!("{}, limits: {{held: 32MiB}}", faults(&["latency: {delay: 20ms}"]));
        let lines = [route("plain", upstream.address, ""), route("late", upstream.address, &late)];
        let daemon = Setup::routes(lines).start();
        // 60 % of the bytes in a second are the same bytes in 1.667 s: three attempts are about times.
        best_of_three("what takes a second without latency", ms(1667), || {
            let (plain, late) = (throughput(&daemon, "plain"), throughput(&daemon, "late"));
            eprintln!(
                "{plain:.0} MiB/s without a fault, {late:.0} with 20 ms: {:.0} %",
                100.0 * late / plain
            );
            Duration::from_secs_f64(plain / late)
        });
    });
}

/// What 8 connections carry, in MiB a second, once they are under way.
fn throughput(daemon: &Daemon, route: &str) -> f64 {
    let address = daemon.address(route);
    let clients: Vec<_> = (0..8)
        .map(|_| {
            thread::spawn(move || {
                let mut client = connect(address);
                let mut buf = vec![0; 256 << 10];
                let mut read_for = |time: Duration| {
                    let begun = Instant::now();
                    let mut bytes = 0;
                    while begun.elapsed() < time {
                        bytes += client.read(&mut buf).unwrap();
                    }
                    bytes as f64 / begun.elapsed().as_secs_f64()
                };
                // The sockets' windows grow first.
                read_for(ms(500));
                read_for(ms(1500))
            })
        })
        .collect();
    clients.into_iter().map(|client| client.join().unwrap()).sum::<f64>() / f64::from(1 << 20)
}
