//! Minutes of load: many connections one after the other, many at once, many that come together, and nothing is left of
//! them. Built with `--features soak`; the rate is held to only where the program is optimised (`--profile soak`).

#![cfg(target_os = "linux")]
#![allow(clippy::disallowed_types, clippy::disallowed_methods, reason = "over real sockets time is real")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should say so loudly")]

mod support;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use socket2::SockRef;
use support::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::time::timeout;

/// Sends back what it gets, in this process.
async fn echo() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut buf = [0; 64];
                // A client that resets is a client that has ended.
                while let Ok(n @ 1..) = stream.read(&mut buf).await {
                    if stream.write_all(&buf[..n]).await.is_err() {
                        return;
                    }
                }
            });
        }
    });
    address
}

/// Where clients may come: a route with this listens on every address.
const EVERYWHERE: &str = "bind: 0.0.0.0";

/// A client of one of eight addresses: more pairs of ports before one has to be used again, and less to look through.
async fn client(address: SocketAddr, number: u64) -> TcpStream {
    let to = SocketAddr::from(([127, 0, 0, 1 + (number % 8) as u8], address.port()));
    timeout(secs(20), TcpStream::connect(to)).await.expect("connected in time").unwrap()
}

async fn ping(stream: &mut TcpStream) {
    let mut byte = [0];
    let echoed = async {
        stream.write_all(b"x").await.unwrap();
        stream.read_exact(&mut byte).await.unwrap();
    };
    timeout(secs(20), echoed).await.expect("an echo in time");
    assert_eq!(&byte, b"x");
}

/// Does this `n` times, 64 at a time.
async fn sixty_four_at_a_time<F: Future<Output = ()> + Send + 'static>(
    n: u64,
    one: impl Fn(u64) -> F + Send + Sync + 'static,
) {
    let (next, one) = (Arc::new(AtomicU64::new(0)), Arc::new(one));
    let workers: Vec<_> = (0..64)
        .map(|_| {
            let (next, one) = (next.clone(), one.clone());
            tokio::spawn(async move {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= n {
                        return;
                    }
                    one(number).await;
                }
            })
        })
        .collect();
    for worker in workers {
        worker.await.unwrap();
    }
}

/// Ten thousand, or as many as the limit of open files has room for: the daemon keeps two for each, whatever it leads to.
fn at_once() -> u64 {
    const WANTED: u64 = 10_000;
    let needed = 2 * WANTED + 1_500;
    let now = getrlimit(Resource::Nofile);
    if now.current.is_some_and(|current| current < needed) {
        // Root may have more than it was given, and hands it on to the daemon.
        let maximum = now.maximum.map(|maximum| maximum.max(needed));
        let _ = setrlimit(Resource::Nofile, Rlimit { current: Some(needed), maximum });
    }
    let room = getrlimit(Resource::Nofile).current.unwrap_or(needed);
    let connections = (room.saturating_sub(1_500) / 2).min(WANTED);
    if connections < WANTED {
        loudly(&format!(
            "SKIPPED IN PART: {connections} connections and not {WANTED}, for want of open files"
        ));
    }
    connections
}

/// Waits until the daemon is as it was, and says how much memory it has.
fn settled(daemon: &Daemon, base: usize) -> u64 {
    let pid = daemon.pid();
    eventually(secs(30), "descriptors are back", || descriptors(pid) <= base + 2);
    eventually(secs(30), "no socket is in CLOSE_WAIT", || sockets_in(pid, "08") == 0);
    resident(pid)
}

/// 200,000 connections, 64 at a time, each of which says a word, hears it, and ends.
#[test]
fn two_hundred_thousand_connections_leave_nothing_behind() {
    const CONNECTIONS: u64 = 200_000;
    within(secs(400), || {
        let _alone = heavy();
        many(async {
            let daemon = Setup::route("it", echo().await, EVERYWHERE).quiet().start();
            let address = daemon.address("it");
            let use_once = move |number| async move { ping(&mut client(address, number).await).await };
            let base = descriptors(daemon.pid());
            sixty_four_at_a_time(20_000, use_once).await;
            let before = settled(&daemon, base);
            // The best of three thirds: the clients share the machine, which may have a bad moment.
            let mut rate = 0f64;
            for _ in 0..3 {
                let third = (CONNECTIONS - 20_000) / 3;
                let begun = Instant::now();
                sixty_four_at_a_time(third, use_once).await;
                rate = rate.max(third as f64 / begun.elapsed().as_secs_f64());
            }
            let growth = settled(&daemon, base).saturating_sub(before);
            loudly(&format!("{CONNECTIONS} connections: {rate:.0} a second, {} KiB more", growth >> 10));
            assert!(growth <= 2 << 20, "{growth} bytes more");
            assert_eq!(daemon.events.count(Event::is_complaint), 0, "{}", daemon.events.tail());
            assert!(cfg!(debug_assertions) || rate >= 5_000.0, "{rate:.0} a second");
        });
    });
}

/// Rounds of 10,000 that reset as soon as they are connected: the memory comes to a rest.
#[test]
fn connections_that_reset_at_once_leave_nothing_behind() {
    within(secs(200), || {
        let _alone = heavy();
        many(async {
            let daemon = Setup::route("it", echo().await, EVERYWHERE).quiet().start();
            let address = daemon.address("it");
            let base = descriptors(daemon.pid());
            let strike = move |number| async move {
                let stream = client(address, number).await;
                SockRef::from(&stream).set_linger(Some(Duration::ZERO)).unwrap();
            };
            // How many of them are under way at once, and so the most memory ever needed, hangs on who gets the processor.
            // What they leave behind would grow with every round.
            let mut growth = Vec::new();
            let mut before = resident(daemon.pid());
            while growth.len() < 5
                || growth.len() < 10 && growth.last().is_some_and(|growth| *growth > 1 << 20)
            {
                sixty_four_at_a_time(10_000, strike).await;
                let now = settled(&daemon, base);
                growth.push(now.saturating_sub(std::mem::replace(&mut before, now)));
            }
            loudly(&format!("rounds of 10,000 that reset at once: {growth:?} bytes more"));
            assert!(growth.last().is_some_and(|growth| *growth <= 1 << 20), "{growth:?} bytes more");
            ping(&mut client(address, 0).await).await;
        });
    });
}

/// As many idle connections as the limit of open files has room for, up to 10,000, for a minute. All echo every ten seconds.
/// Their upstream is another daemon, so that each connection has both of its sockets.
#[test]
fn ten_thousand_idle_connections_cost_next_to_nothing() {
    within(secs(200), || {
        let _alone = heavy();
        let connections = at_once();
        many(async move {
            let behind = Setup::route("it", "builtin:echo", "").quiet().start();
            let daemon = Setup::route("it", behind.address("it"), EVERYWHERE).quiet().start();
            let (address, pid) = (daemon.address("it"), daemon.pid());
            ping(&mut client(address, 0).await).await;
            let empty = resident(pid);
            let mut held = Vec::new();
            for number in 0..connections {
                let mut stream = client(address, number).await;
                ping(&mut stream).await;
                held.push(stream);
            }
            tokio::time::sleep(secs(2)).await;
            let (begun, before) = (Instant::now(), cpu_time(pid));
            for _ in 0..6 {
                tokio::time::sleep(secs(10)).await;
                for stream in &mut held {
                    ping(stream).await;
                }
            }
            let share = (cpu_time(pid) - before).as_secs_f64() / begun.elapsed().as_secs_f64();
            let each = resident(pid).saturating_sub(empty) / connections;
            loudly(&format!("{connections} idle: {:.1} % of a core, {each} bytes each", 100.0 * share));
            assert!(share < 0.1, "{:.1} % of a core", 100.0 * share);
            assert!(each <= 25 << 10, "{each} bytes each");
            assert_eq!(daemon.events.count(Event::is_complaint), 0, "{}", daemon.events.tail());
        });
    });
}

/// 1,000 connections whose clients never read and whose server writes all it can.
#[test]
fn a_thousand_stalled_connections_stay_within_their_bound() {
    const CONNECTIONS: u64 = 1_000;
    within(secs(120), || {
        let _alone = heavy();
        many(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let daemon = Setup::route("it", listener.local_addr().unwrap(), "").admin().quiet().start();
            let (address, pid) = (daemon.address("it"), daemon.pid());
            let written: Arc<Vec<AtomicU64>> =
                Arc::new((0..CONNECTIONS).map(|_| AtomicU64::new(0)).collect());
            let all_written = written.clone();
            tokio::spawn(async move {
                for number in 0..CONNECTIONS as usize {
                    let (mut stream, _) = listener.accept().await.unwrap();
                    SockRef::from(&stream).set_send_buffer_size(4096).unwrap();
                    let written = written.clone();
                    tokio::spawn(async move {
                        while let Ok(n @ 1..) = stream.write(&[7; 16 << 10]).await {
                            written[number].fetch_add(n as u64, Ordering::Relaxed);
                        }
                    });
                }
            });
            let empty = resident(pid);
            let mut held = Vec::new();
            for _ in 0..CONNECTIONS {
                let socket = TcpSocket::new_v4().unwrap();
                socket.set_recv_buffer_size(4096).unwrap();
                held.push(socket.connect(address).await.unwrap());
            }
            // Nothing moves any more once the processor rests.
            let mut before = cpu_time(pid);
            loop {
                tokio::time::sleep(secs(2)).await;
                let now = cpu_time(pid);
                if now - std::mem::replace(&mut before, now) <= ms(20) {
                    break;
                }
            }
            let each = resident(pid).saturating_sub(empty) / CONNECTIONS;
            let least = all_written.iter().map(|written| written.load(Ordering::Relaxed)).min().unwrap();
            let stats = daemon.api().get("/v1/stats").json();
            let bytes = |way: &str| stats["routes"][0][way]["downstream"].as_u64().unwrap();
            let held = bytes("bytesReceived") - bytes("bytesSent");
            loudly(&format!(
                "{CONNECTIONS} stalled: {each} bytes each, {held} held, stuck after {least} or more"
            ));
            // What the kernel holds is its own business; the daemon has met the stall when it holds what it cannot pass on.
            assert!(least > 0 && held >= CONNECTIONS, "{held} bytes held, a server wrote only {least}");
            assert!(each <= 40 << 10, "{each} bytes each");
        });
    });
}

/// All that come in one burst are served, and soon.
#[test]
fn a_burst_of_ten_thousand_is_served() {
    within(secs(120), || {
        let _alone = heavy();
        many(async {
            let daemon = Setup::route("it", "builtin:echo", EVERYWHERE).quiet().start();
            let address = daemon.address("it");
            let begun = Instant::now();
            let all: Vec<_> = (0..at_once())
                .map(|number| {
                    tokio::spawn(async move {
                        let mut stream = client(address, number).await;
                        ping(&mut stream).await;
                        stream
                    })
                })
                .collect();
            let mut held = Vec::new();
            for one in all {
                held.push(one.await.unwrap());
            }
            let took = begun.elapsed();
            loudly(&format!("a burst of {}: served in {took:?}", held.len()));
            // A SYN that finds the queue full is sent again after a second, then two more.
            assert!(took < secs(15), "served after {took:?}");
        });
    });
}

/// 5,000 that connect and say nothing are let go when the idle time is over.
#[test]
fn five_thousand_that_say_nothing_are_let_go() {
    within(secs(120), || {
        let _alone = heavy();
        many(async {
            let daemon =
                Setup::route("it", "builtin:echo", "bind: 0.0.0.0, timeouts: {idle: 2s}").quiet().start();
            let (address, pid) = (daemon.address("it"), daemon.pid());
            let base = descriptors(pid);
            let all: Vec<_> = (0..5_000)
                .map(|number| {
                    tokio::spawn(async move {
                        let begun = Instant::now();
                        let mut stream = client(address, number).await;
                        let n = timeout(secs(20), stream.read(&mut [0])).await.expect("an end").unwrap();
                        (n, begun.elapsed())
                    })
                })
                .collect();
            let mut times = Vec::new();
            for one in all {
                let (n, time) = one.await.unwrap();
                assert_eq!(n, 0, "it ends by FIN");
                times.push(time);
            }
            let (first, last) = (times.iter().min().unwrap(), times.iter().max().unwrap());
            loudly(&format!("5,000 that say nothing: let go after {first:?} to {last:?}"));
            assert!(*first >= secs(2) && *last < secs(6), "after {first:?} to {last:?}");
            settled(&daemon, base);
        });
    });
}
