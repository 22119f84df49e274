//! Descriptors and memory are bounded: too few of the one cost no processor time, and none of either is lost.

#![allow(clippy::disallowed_types, clippy::disallowed_methods, reason = "over real sockets time is real")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should say so loudly")]

mod support;

use std::io::{Read, Write};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use socket2::{Domain, SockRef, Socket, Type};
use support::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// Clients that connect and stay, whether the program has room for them or not.
fn crowd(address: SocketAddr, size: usize) -> Vec<Socket> {
    let one = || {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        socket.set_nonblocking(true).unwrap();
        // Under way is enough: a full backlog does not answer.
        let _ = socket.connect(&address.into());
        socket
    };
    std::iter::repeat_with(one).take(size).collect()
}

/// One daemon with that many descriptors and 500 clients.
fn starve(limit: u32) {
    let upstream = Upstream::echo();
    let daemon = Setup::route("it", upstream.address, "").descriptors(limit).start();
    let address = daemon.address("it");
    let clients = crowd(address, 500);
    // The first of them is served, so the daemon is at it; then it has time to take what it can.
    daemon.wait_for("somebody is served", secs(10), |event| event.is("upstream.connected", "it"));
    thread::sleep(secs(1));
    let complaints = daemon.events.count(Event::is_complaint);
    let before = cpu_time(daemon.pid());
    thread::sleep(secs(4));
    let spent = cpu_time(daemon.pid()) - before;
    assert!(spent <= ms(200), "at {limit} descriptors: {spent:?} of processor time in 4 s");
    let complaints = daemon.events.count(Event::is_complaint) - complaints;
    assert!(complaints <= 5, "at {limit} descriptors: {complaints} complaints in 4 s");
    let all = daemon.events.count(Event::is_complaint);
    assert!(all <= 10, "at {limit} descriptors: {all} complaints in all");

    drop(clients);
    let left = Instant::now();
    loop {
        let mut client = connect(address);
        client.set_read_timeout(Some(secs(3).saturating_sub(left.elapsed()).max(ms(1)))).unwrap();
        let sent = client.write_all(b"x");
        let mut byte = [0];
        match sent.and_then(|()| client.read(&mut byte)) {
            Ok(1) => break,
            other => assert!(left.elapsed() < secs(3), "at {limit} descriptors: not served again: {other:?}"),
        }
    }
    assert!(left.elapsed() < secs(3), "at {limit} descriptors: served after {:?}", left.elapsed());
}

/// With 60 to 70 descriptors and 500 clients, whichever call it is that meets the limit, the program neither burns the
/// processor nor floods its log, and it serves again when there is room.
#[test]
fn too_few_descriptors_cost_neither_time_nor_log() {
    within(secs(120), || {
        let _alone = heavy();
        thread::scope(|scope| {
            for limit in 60..=70 {
                scope.spawn(move || starve(limit));
            }
        });
    });
}

/// F4: a limit that the descriptors let nobody reach is told at the start, with both numbers.
#[test]
fn a_limit_beyond_the_descriptors_is_told() {
    within(secs(30), || {
        let limited = |most: u32| format!("limits: {{connections: {most}}}");
        let routes =
            [route("far", "builtin:echo", &limited(1000)), route("near", "builtin:echo", &limited(5))];
        let daemon = Setup::routes(routes).descriptors(64).start();
        let told = daemon.wait_for("it is told", secs(5), |event| event.is("notice", "far"));
        let message = told.text("message");
        assert!(
            message.starts_with("limits.connections is 1000, and the limit of open files allows "),
            "{message}"
        );
        assert!(daemon.events.count(|event| event.is("notice", "near")) == 0);
    });
}

/// Opens, uses and ends connections, 64 at a time; every second one ends by RST.
async fn churn(address: SocketAddr, connections: u64) {
    let next = Arc::new(AtomicU64::new(0));
    let workers = (0..64).map(|_| {
        let next = next.clone();
        tokio::spawn(async move {
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= connections {
                    return;
                }
                use_once(address, number).await;
            }
        })
    });
    for worker in workers.collect::<Vec<_>>() {
        worker.await.unwrap();
    }
}

async fn use_once(address: SocketAddr, number: u64) {
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    // More source addresses: more pairs of ports before one has to be used again.
    socket.bind(SocketAddr::from(([127, 0, 0, 1 + (number % 8) as u8], 0))).unwrap();
    let mut stream = socket.connect(address).await.unwrap();
    stream.write_all(b"hello").await.unwrap();
    let mut back = [0; 5];
    stream.read_exact(&mut back).await.unwrap();
    assert_eq!(&back, b"hello");
    if number.is_multiple_of(2) {
        stream.shutdown().await.unwrap();
        assert_eq!(stream.read(&mut back).await.unwrap(), 0);
    } else {
        SockRef::from(&stream).set_linger(Some(Duration::ZERO)).unwrap();
    }
}

/// After 20,000 connections there are as many descriptors as at the start, and the memory has not grown by 2 MiB: what a
/// connection owns goes with it.
#[test]
fn twenty_thousand_connections_leave_nothing_behind() {
    within(secs(150), || {
        let _alone = heavy();
        many(async {
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            let daemon = Setup::route("it", listener.local_addr().unwrap(), "").start();
            tokio::spawn(async move {
                while let Ok((mut stream, _)) = listener.accept().await {
                    tokio::spawn(async move {
                        let (mut from, mut to) = stream.split();
                        // Half of the clients reset.
                        if tokio::io::copy(&mut from, &mut to).await.is_ok() {
                            let _ = to.shutdown().await;
                        }
                    });
                }
            });
            let address = daemon.address("it");
            let base = descriptors(daemon.pid());
            let settled = |total: usize| {
                let closed = |event: &Event| event.is("connection.closed", "it");
                daemon.events.wait_for_n(total, "all are closed", secs(20), closed);
                eventually(secs(10), "descriptors are back", || descriptors(daemon.pid()) <= base);
                resident(daemon.pid())
            };
            churn(address, 2_000).await;
            let before = settled(2_000);
            churn(address, 20_000).await;
            let growth = settled(22_000).saturating_sub(before);
            assert!(growth < 2 << 20, "{growth} bytes more after 20,000 connections");
            assert_eq!(daemon.events.count(Event::is_complaint), 0, "{}", daemon.events.tail());
        });
    });
}

/// Connections that are refused or broken off leave nothing behind either.
#[test]
fn failed_connections_leave_nothing_behind() {
    within(secs(60), || {
        let routes =
            [route("down", unused_address(), ""), route("mute", "builtin:silent", "latencyMs: 60000")];
        let daemon = Setup::routes(routes).start();
        let base = descriptors(daemon.pid());
        for _ in 0..200 {
            assert!(read_byte(&connect(daemon.address("down"))).is_err());
            reset(connect(daemon.address("mute")));
        }
        let closed = |event: &Event| event.text("event") == "connection.closed";
        // A client that has reset before it was accepted may never have been a connection.
        daemon
            .events
            .wait_for_n(200, "closed", secs(10), |event| closed(event) && event.text("route") == "down");
        eventually(secs(10), "descriptors are back", || descriptors(daemon.pid()) <= base);
    });
}

/// Connections that wait, whatever for, cost no processor time: a relay that is polled without need would be seen here.
#[test]
fn waiting_costs_no_processor_time() {
    within(secs(60), || {
        let _alone = heavy();
        let listener = Listener::new();
        let routes = [
            route("it", listener.address(), ""),
            route("delayed", "builtin:echo", "latencyMs: 60000"),
            route("hung", "builtin:echo", "timeoutMs: 60000"),
            route("silent", "builtin:silent", ""),
            route("chargen", "builtin:chargen", ""),
        ];
        let daemon = Setup::routes(routes).start();
        let mut held = Vec::new();
        for turn in 0..40 {
            let client = connect(daemon.address("it"));
            let server = listener.accept();
            match turn % 4 {
                0 => {}
                1 => shut(&client),
                2 => shut(&server),
                // More than the sockets hold, to a reader that never reads.
                _ => {
                    server.set_write_timeout(Some(ms(20))).unwrap();
                    let mut server = &server;
                    while server.write(&[0; 64 << 10]).is_ok() {}
                }
            }
            held.extend([client, server]);
        }
        for route in ["delayed", "hung", "silent", "chargen"] {
            for _ in 0..10 {
                let mut client = connect(daemon.address(route));
                client.write_all(b"hello").unwrap();
                held.push(client);
            }
        }
        let opened = |event: &Event| event.text("event") == "connection.opened";
        daemon.events.wait_for_n(80, "all are open", secs(10), opened);
        thread::sleep(secs(1));
        let before = cpu_time(daemon.pid());
        thread::sleep(secs(2));
        let spent = cpu_time(daemon.pid()) - before;
        assert!(spent <= ms(100), "{spent:?} of processor time in 2 s of waiting");
        assert_eq!(daemon.events.count(|event| event.text("event") == "connection.closed"), 0);
    });
}
