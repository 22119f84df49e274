//! Minutes of bytes: transfers under everything that delays, cuts or paces and never destroys, and transfers that a stop
//! meets in the middle. Not one byte is wrong. Built with `--features soak`; `SOAK_GIB` says how much passes (default 4).

#![cfg(target_os = "linux")]
#![allow(clippy::disallowed_types, clippy::disallowed_methods, reason = "over real sockets time is real")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should say so loudly")]

mod support;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Instant;

use rustix::process::Signal;
use support::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

/// Faults that delay, cut or pace, and lose nothing.
const HARMLESS: [&str; 12] = [
    r#"{"latency": {"delay": "3ms", "jitter": "3ms", "direction": "both"}}"#,
    r#"{"latency": {"name": "late", "delay": "20ms", "distribution": "pareto", "jitter": "5ms"}}"#,
    r#"{"bandwidth": {"rate": "200MB/s", "direction": "both"}}"#,
    r#"{"bandwidth": {"name": "shared", "rate": "1GiB/s", "shared": "route", "direction": "upstream"}}"#,
    r#"{"slice": {"size": 1000, "variation": 900, "direction": "both"}}"#,
    r#"{"slice": {"name": "fine", "size": 100, "variation": 99, "for": "100ms"}}"#,
    r#"{"loss": {"rate": 0.01, "correlation": 0.3, "rto": "5ms", "direction": "both"}}"#,
    r#"{"stall": {"after": "1MiB", "hold": "30ms", "direction": "both"}}"#,
    r#"{"stall": {"name": "pulled", "for": "50ms", "direction": "both"}}"#,
    r#"{"slowClose": {"delay": "50ms", "direction": "both"}}"#,
    r#"{"connectDelay": {"delay": "20ms", "jitter": "20ms"}}"#,
    r#"{"noop": {"direction": "both"}}"#,
];

/// A number from 0 on for each step, that looks random and is the same every time.
fn draw(n: u64) -> u64 {
    let mut x = n.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

/// So many GiB, half each way, through faults that change every 50 ms, on connections that come and go.
#[test]
fn gibibytes_through_random_faults_without_a_wrong_byte() {
    const EACH: u64 = 64 << 20;
    let gib: u64 = std::env::var("SOAK_GIB").map_or(4, |text| text.parse().expect("SOAK_GIB is a number"));
    let seed: u64 = std::env::var("SOAK_SEED").map_or(1, |text| text.parse().expect("SOAK_SEED is a number"));
    within(secs(600 + 120 * gib), move || {
        let _alone = heavy();
        let listener = Listener::new();
        let daemon = Setup::route("it", listener.address(), "limits: {held: 4MiB}").quiet().admin().start();
        let (address, api) = (daemon.address("it"), daemon.api());
        let (over, passed) = (AtomicBool::new(false), AtomicU64::new(0));
        // One client is connected at a time, so that each knows its server.
        let meeting = std::sync::Mutex::new(());
        let begun = Instant::now();
        thread::scope(|scope| {
            let toggling = scope.spawn(|| {
                let mut changes = 0;
                while !over.load(Ordering::Relaxed) {
                    let roll = draw(seed ^ changes);
                    let fault = HARMLESS[(roll % 12) as usize];
                    let answer = match roll / 12 % 3 {
                        0 => api.post("/v1/restore", ""),
                        _ => api.post("/v1/routes/it/faults", fault),
                    };
                    assert!([200, 201, 409].contains(&answer.status), "{}", answer.text());
                    changes += 1;
                    thread::sleep(ms(50));
                }
                changes
            });
            let carriers: Vec<_> = (0..4)
                .map(|_| {
                    scope.spawn(|| {
                        while passed.load(Ordering::Relaxed) < gib << 30 {
                            let (client, server) = {
                                let _one = meeting.lock().unwrap();
                                (connect(address), listener.accept())
                            };
                            both_ways(&client, &server, EACH);
                            passed.fetch_add(2 * EACH, Ordering::Relaxed);
                        }
                    })
                })
                .collect();
            for carrier in carriers {
                if let Err(panic) = carrier.join() {
                    over.store(true, Ordering::Relaxed);
                    std::panic::resume_unwind(panic);
                }
            }
            over.store(true, Ordering::Relaxed);
            let changes = toggling.join().unwrap();
            let (gib, took) = (passed.load(Ordering::Relaxed) as f64 / f64::from(1 << 30), begun.elapsed());
            loudly(&format!(
                "{gib:.1} GiB under {changes} changes in {took:?}, seed {seed}: every byte as sent"
            ));
        });
        assert_eq!(daemon.events.count(Event::is_complaint), 0, "{}", daemon.events.tail());
    });
}

async fn download(mut stream: TcpStream, size: u64) -> u64 {
    let (mut at, mut buf) = (0, vec![0; 16 << 10]);
    loop {
        let n = stream.read(&mut buf).await.unwrap();
        if n == 0 {
            return at;
        }
        UP.check(at, &buf[..n]);
        at += n as u64;
        assert!(at <= size);
    }
}

/// SIGTERM in the middle of 1,000 transfers, each of which takes some seconds: every one arrives whole.
#[test]
fn a_thousand_transfers_outlast_the_signal() {
    const SIZE: u64 = 1 << 20;
    within(secs(120), || {
        let _alone = heavy();
        many(async {
            // Room for all at once. A queue that is full lets a client believe that it is connected, and forgets it.
            let socket = TcpSocket::new_v4().unwrap();
            socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
            let listener = socket.listen(4096).unwrap();
            let upstream = listener.local_addr().unwrap();
            // On a busy machine a thousand dials at once take their time.
            let pace = format!("timeouts: {{connect: 60s}}, {}", faults(&["bandwidth: {rate: 200KiB/s}"]));
            let mut daemon = Setup::route("it", upstream, &pace).quiet().top("drainTimeout: 60s").start();
            tokio::spawn(async move {
                while let Ok((mut stream, _)) = listener.accept().await {
                    tokio::spawn(async move {
                        let mut buf = vec![0; 16 << 10];
                        for at in (0..SIZE).step_by(buf.len()) {
                            UP.fill(at, &mut buf);
                            // Who looks whether the door is closed may still come in, and goes at once.
                            if stream.write_all(&buf).await.is_err() {
                                return;
                            }
                        }
                    });
                }
            });
            let address: SocketAddr = daemon.address("it");
            let begun = Arc::new(AtomicU64::new(0));
            let transfers: Vec<_> = (0..1_000)
                .map(|_| {
                    let begun = begun.clone();
                    tokio::spawn(async move {
                        let stream = TcpStream::connect(address).await.unwrap();
                        stream.readable().await.unwrap();
                        begun.fetch_add(1, Ordering::Relaxed);
                        download(stream, SIZE).await
                    })
                })
                .collect();
            while begun.load(Ordering::Relaxed) < 1_000 {
                tokio::time::sleep(ms(5)).await;
            }
            let signalled = Instant::now();
            daemon.signal(Signal::TERM);
            tokio::task::spawn_blocking(move || soon_refused(address)).await.unwrap();
            for transfer in transfers {
                assert_eq!(transfer.await.unwrap(), SIZE, "{}", daemon.events.tail());
            }
            let took = signalled.elapsed();
            assert_eq!(daemon.exit_code(secs(10)).0, Some(0), "{}", daemon.events.tail());
            loudly(&format!("1,000 transfers of 1 MiB: whole {took:?} after the signal"));
            assert!(took >= secs(2), "the signal did not come in the middle: {took:?}");
        });
    });
}

fn soon_refused(address: SocketAddr) {
    eventually(secs(2), "new clients are refused", || refused(address));
}
