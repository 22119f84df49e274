//! A route without faults is invisible: every byte arrives, in order, in both directions, at the right upstream.

#![allow(clippy::disallowed_types, clippy::disallowed_methods, reason = "over real sockets time is real")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should say so loudly")]

mod support;

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::thread;
use std::time::Instant;

use support::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// Each route leads to its own upstream; were two mixed up, a client would see the other's banner.
#[test]
fn two_routes_deliver_two_banners_every_time() {
    within(secs(60), || {
        let (first, second) = (Upstream::banner("first\n"), Upstream::banner("second\n"));
        let routes = [route("one", first.address, ""), route("two", second.address, "")];
        let daemon = Setup::routes(routes).start();
        let (one, two) = (daemon.address("one"), daemon.address("two"));
        assert_eq!((first.accepted(), second.accepted()), (0, 0), "nobody dials before a client does");
        for _ in 0..100 {
            assert_eq!(read_all(&connect(one)), (b"first\n".to_vec(), End::Fin));
            assert_eq!(read_all(&connect(two)), (b"second\n".to_vec(), End::Fin));
        }
        assert_eq!((first.accepted(), second.accepted()), (100, 100));
    });
}

/// The ports of the file, all of them and no other, are what the program listens on.
#[test]
fn fifty_routes_listen_on_exactly_their_fifty_ports() {
    within(secs(60), || {
        let upstream = Upstream::banner("here\n");
        let ports: BTreeSet<u16> = std::iter::repeat_with(unused_port).take(50).collect();
        assert_eq!(ports.len(), 50);
        let setup = ports
            .iter()
            .fold(Setup::routes([]), |setup, port| setup.fixed(&format!("r{port}"), *port, upstream.address));
        let daemon = setup.start();
        assert_eq!(listening_ports(daemon.pid()), ports);
        for port in &ports {
            assert_eq!(daemon.address(&format!("r{port}")).port(), *port);
            assert_eq!(read_all(&connect(([127, 0, 0, 1], *port).into())), (b"here\n".to_vec(), End::Fin));
        }
    });
}

/// Both directions at once at full speed. A byte lost, doubled or out of its place would be told with its offset.
#[test]
fn a_quarter_of_a_gibibyte_each_way_at_once_arrives_whole() {
    const SIZE: u64 = 256 << 20;
    within(secs(120), || {
        let _alone = heavy();
        let listener = Listener::new();
        let daemon = Setup::route("bulk", listener.address(), "").start();
        let client = connect(daemon.address("bulk"));
        let server = listener.accept();
        let (up, down) = (Pattern(1), Pattern(2));
        thread::scope(|scope| {
            for (stream, pattern) in [(&client, up), (&server, down)] {
                scope.spawn(move || {
                    send(stream, pattern, 0, SIZE);
                    shut(stream);
                });
            }
            let at_server = scope.spawn(|| read_end(&server, up, 0, ms(0)));
            assert_eq!(read_end(&client, down, 0, ms(0)), (SIZE, End::Fin));
            assert_eq!(at_server.join().unwrap(), (SIZE, End::Fin));
        });
        let closed = daemon.wait_closed("bulk", 1, secs(5));
        assert_eq!(closed.text("ending"), "peer-fin");
        assert_eq!(closed.bytes(), (SIZE, SIZE));
    });
}

/// The sizes at which buffers and segments end. An error by one would lose, add or hold back the last byte.
#[test]
fn odd_sizes_arrive_whole() {
    within(secs(60), || {
        let upstream = Upstream::echo();
        let daemon = Setup::route("echo", upstream.address, "").start();
        let sizes = [0, 1, 2, 1023, 1024, 1025, 8191, 8192, 8193, 65535, 65536, 65537];
        for (number, size) in (1..).zip(sizes) {
            let client = connect(daemon.address("echo"));
            let pattern = Pattern(size);
            thread::scope(|scope| {
                scope.spawn(|| {
                    send(&client, pattern, 0, size);
                    shut(&client);
                });
                assert_eq!(read_end(&client, pattern, 0, ms(0)), (size, End::Fin));
            });
            let closed = daemon.wait_closed("echo", number, secs(5));
            assert_eq!(closed.bytes(), (size, size));
        }
    });
}

/// A thousand connections are open at once, and each gets its own mebibyte back: none waits for another, none is mixed
/// up with another.
#[test]
fn a_thousand_connections_echo_a_mebibyte_each() {
    const CLIENTS: usize = 1000;
    const SIZE: usize = 1 << 20;
    within(secs(150), || {
        let _alone = heavy();
        let daemon = many(async {
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            let daemon = Setup::route("echo", listener.local_addr().unwrap(), "").start();
            tokio::spawn(async move {
                while let Ok((mut stream, _)) = listener.accept().await {
                    tokio::spawn(async move {
                        let (mut from, mut to) = stream.split();
                        tokio::io::copy(&mut from, &mut to).await.unwrap();
                        to.shutdown().await.unwrap();
                    });
                }
            });
            let address = daemon.address("echo");
            let mut streams = Vec::new();
            for _ in 0..CLIENTS {
                let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
                // Once a byte has come back, the whole way stands.
                stream.write_all(&[0]).await.unwrap();
                assert_eq!(stream.read_u8().await.unwrap(), 0);
                streams.push(stream);
            }
            let work =
                streams.into_iter().enumerate().map(|(i, stream)| tokio::spawn(echo(i as u64, stream)));
            for work in work.collect::<Vec<_>>() {
                work.await.unwrap();
            }
            daemon
        });
        let whole = SIZE as u64 + 1;
        daemon.events.wait_for_n(CLIENTS, "closed after a mebibyte", secs(10), |event| {
            event.is("connection.closed", "echo")
                && event.text("ending") == "peer-fin"
                && event.bytes() == (whole, whole)
        });
    });

    async fn echo(number: u64, mut stream: tokio::net::TcpStream) {
        let pattern = Pattern(number);
        let (mut from, mut to) = stream.split();
        let sending = async {
            let mut buf = vec![0; 32 << 10];
            for offset in (0..SIZE).step_by(buf.len()) {
                pattern.fill(offset as u64, &mut buf);
                to.write_all(&buf).await.unwrap();
            }
            to.shutdown().await.unwrap();
        };
        let receiving = async {
            let mut buf = vec![0; 32 << 10];
            let mut at = 0;
            loop {
                match from.read(&mut buf).await.unwrap() {
                    0 => break at,
                    n => {
                        pattern.check(at, &buf[..n]);
                        at += n as u64;
                    }
                }
            }
        };
        assert_eq!(tokio::join!(sending, receiving).1, SIZE as u64);
    }
}

/// Protocols in which the server greets work: a program that waits for the client's first byte would hang here.
#[test]
fn an_upstream_may_speak_first() {
    within(secs(30), || {
        let upstream = Upstream::serve(|mut stream, _| {
            stream.write_all(b"220 ready\r\n").unwrap();
            let mut line = [0; 6];
            stream.read_exact(&mut line).unwrap();
            stream.write_all(b"221 bye\r\n").unwrap();
        });
        let daemon = Setup::route("mail", upstream.address, "").start();
        best_of_three("the greeting", ms(50), || {
            let begun = Instant::now();
            let mut client = connect(daemon.address("mail"));
            let mut greeting = [0; 11];
            client.read_exact(&mut greeting).unwrap();
            let took = begun.elapsed();
            assert_eq!(&greeting, b"220 ready\r\n");
            client.write_all(b"QUIT\r\n").unwrap();
            assert_eq!(read_all(&client), (b"221 bye\r\n".to_vec(), End::Fin));
            took
        });
    });
}

/// A reader that pauses stops the writer, and then gets everything. Were it read ahead instead, the memory would grow by
/// what was sent.
#[test]
fn a_slow_reader_stops_the_writer_and_costs_no_memory() {
    const SIZE: u64 = 64 << 20;
    within(secs(60), || {
        let listener = Listener::new();
        let daemon = Setup::route("slow", listener.address(), "").start();
        let client = small_window(daemon.address("slow"), 64 << 10);
        let server = listener.accept();
        let before = resident(daemon.pid());
        thread::scope(|scope| {
            scope.spawn(|| {
                send(&server, Pattern(9), 0, SIZE);
                shut(&server);
            });
            // The writer stands still once the sockets are full: what it has queued no longer changes.
            let mut last = None;
            let mut still = Instant::now();
            eventually(secs(20), "the writer stands still", || {
                let now = queues(server.local_addr().unwrap(), server.peer_addr().unwrap());
                if last.replace(now) != Some(now) || now.0 == 0 {
                    still = Instant::now();
                }
                still.elapsed() > ms(300)
            });
            let growth = resident(daemon.pid()).saturating_sub(before);
            assert!(growth < 1 << 20, "{growth} bytes more for one stalled connection");
            assert_eq!(read_end(&client, Pattern(9), 0, ms(0)), (SIZE, End::Fin));
        });
    });
}
