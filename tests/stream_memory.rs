//! What faults hold is bounded in bytes, and what is not held is not kept: neither a thousand readers that stand still nor
//! a thousand idle connections cost more than they have to.

#![allow(clippy::disallowed_types, clippy::disallowed_methods, reason = "over real sockets time is real")]
#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "a test that cannot go on should say so loudly")]

mod support;

use std::net::SocketAddr;

use support::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};

const CLIENTS: usize = 1000;

/// Both ends of so many connections through a route whose faults are these, and the daemon.
struct Many {
    daemon: Daemon,
    pairs: Vec<(TcpStream, TcpStream)>,
    /// What the daemon had in memory before.
    before: u64,
}

impl Many {
    async fn open(rest: &str) -> Self {
        // Small buffers in the harness' sockets: what the sender may not send should not fill the machine.
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_send_buffer_size(8 << 10).unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let listener: TcpListener = socket.listen(64).unwrap();
        let daemon = Setup::route("it", listener.local_addr().unwrap(), rest).start();
        let address = daemon.address("it");
        // What the first connection needs is needed only once.
        let mut pairs = vec![join(&listener, address).await];
        let before = resident(daemon.pid());
        for _ in 0..CLIENTS {
            pairs.push(join(&listener, address).await);
        }
        Many { daemon, pairs, before }
    }

    /// What each connection costs the daemon now, in bytes.
    fn cost(&self) -> u64 {
        resident(self.daemon.pid()).saturating_sub(self.before) / CLIENTS as u64
    }
}

async fn join(listener: &TcpListener, address: SocketAddr) -> (TcpStream, TcpStream) {
    let client = TcpStream::connect(address).await.unwrap();
    (client, listener.accept().await.unwrap().0)
}

/// B2, B3: with `latency: 60s` nothing comes out for the length of this test. A thousand senders send until nothing more
/// is taken: each connection holds 64 KiB, and all it costs besides is less than as much again.
#[test]
fn a_thousand_stalled_connections_hold_what_they_may_and_no_more() {
    within(secs(60), || {
        let _alone = heavy();
        let rest = format!("{}, limits: {{held: 64KiB}}", faults(&["latency: {delay: 60s}"]));
        many(async {
            let mut all = Many::open(&rest).await;
            let senders: Vec<_> = std::mem::take(&mut all.pairs)
                .into_iter()
                .map(|(client, mut server)| {
                    tokio::spawn(async move {
                        let block = DOWN.bytes(64 << 10);
                        let mut sent = 0;
                        // A write that waits for half a second is a sender that has been stopped.
                        while let Ok(n) = tokio::time::timeout(ms(500), server.write(&block)).await {
                            sent += n.unwrap();
                        }
                        (sent, client, server)
                    })
                })
                .collect();
            let mut ends = Vec::new();
            let mut least = usize::MAX;
            for sender in senders {
                let (sent, client, server) = sender.await.unwrap();
                least = least.min(sent);
                ends.push((client, server));
            }
            let cost = all.cost();
            eprintln!(
                "a stalled connection costs {} KiB, at least {} KiB were sent",
                cost >> 10,
                least >> 10
            );
            assert!(least >= 64 << 10, "a sender was stopped after {least} bytes");
            assert!(cost <= (64 + 64) << 10, "{cost} bytes for each stalled connection");
        });
    });
}

/// Connections that are idle own no buffer, although every fault that could hold bytes is configured, and own none again
/// after traffic: far less than the 32 KiB that a read can bring.
#[test]
fn idle_connections_with_faults_hold_no_buffer() {
    const ALL: [&str; 6] = [
        "latency: {delay: 2ms, jitter: 1ms, direction: both}",
        "bandwidth: {rate: 100MiB/s, direction: both}",
        "slice: {size: 1000, direction: both}",
        "corrupt: {rate: 0, direction: both}",
        "loss: {rate: 0.01, rto: 1ms, direction: both}",
        "limit: {bytes: 1GiB, direction: both}",
    ];
    within(secs(60), || {
        let _alone = heavy();
        many(async {
            let mut all = Many::open(&faults(&ALL)).await;
            let idle = all.cost();
            let mut buf = vec![0; 64 << 10];
            let block = DOWN.bytes(64 << 10);
            for (client, server) in &mut all.pairs {
                let (there, back) = tokio::join!(client.write_all(&block), server.read_exact(&mut buf));
                assert!(there.is_ok() && back.is_ok());
                let (there, back) = tokio::join!(server.write_all(&block), client.read_exact(&mut buf));
                assert!(there.is_ok() && back.is_ok());
            }
            let after = all.cost();
            eprintln!("an idle connection costs {idle} bytes, after traffic {after}");
            assert!(idle < 16 << 10, "{idle} bytes for each idle connection");
            assert!(after < 16 << 10, "{after} bytes for each connection that is idle again");
        });
    });
}

/// The bound is in memory, not in bytes of the stream: what arrives in tiny pieces may cost more to note than to keep.
#[test]
fn tiny_pieces_do_not_break_the_bound() {
    within(secs(60), || {
        let _alone = heavy();
        let items = ["slice: {size: 1}", "latency: {delay: 60s}"];
        let listener = Listener::new();
        let rest = format!("{}, limits: {{held: 1MiB}}", faults(&items));
        let daemon = Setup::route("it", listener.address(), &rest).start();
        let before = resident(daemon.pid());
        let (client, server) = pair(&daemon, "it", &listener);
        server.set_write_timeout(Some(ms(700))).unwrap();
        let sent = flood(&server, DOWN);
        let growth = resident(daemon.pid()).saturating_sub(before);
        eprintln!("{sent} bytes sent as single ones cost {growth}");
        assert!(growth <= 8 << 20, "1 MiB held as single bytes costs {growth} bytes");
        drop(client);
    });
}
