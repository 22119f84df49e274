//! What the relay costs: bytes between two sockets of this machine, with nothing wrong and in each gear.
//!
//! `cargo bench --bench relay` measures it. The peers are threads of this process, so what they cost is in the numbers too;
//! the gears differ only in what the relay does.

#![allow(clippy::disallowed_types, clippy::disallowed_methods, reason = "it measures the real clock")]
#![allow(clippy::unwrap_used, reason = "a measurement that cannot go on should say so loudly")]

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use chaos_proxy::fault::{Active, Effect, Fault, Noop, Plan};
use chaos_proxy::observe::{Direction, Meter};
use chaos_proxy::relay::{self, Limits, Means, Orders, Pipes, Stop};
use divan::counter::{BytesCount, ItemsCount};
use divan::{Bencher, black_box};
use tokio::sync::watch;

const BULK: usize = 64 << 20;

const MESSAGES: usize = 1000;

const LIMITS: Limits = Limits { half_close: Duration::from_secs(30), idle: None, until: None, held: 1 << 20 };

fn main() {
    divan::main();
}

/// How bytes move.
#[derive(Debug)]
enum Gear {
    /// Through a pipe when they come in bulk.
    Spliced,
    /// Through a buffer.
    Copied,
    /// Past a fault that changes nothing.
    Faulted,
}

const GEARS: [Gear; 3] = [Gear::Spliced, Gear::Copied, Gear::Faulted];

/// The two ends of a connection.
fn pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let near = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (far, _) = listener.accept().unwrap();
    near.set_nodelay(true).unwrap();
    far.set_nodelay(true).unwrap();
    (near, far)
}

/// A client and a server with a relay between them, which ends when both have.
fn rig(gear: &Gear) -> (TcpStream, TcpStream, thread::JoinHandle<()>) {
    let ((client, inner_client), (server, inner_server)) = (pair(), pair());
    let faults = match gear {
        Gear::Faulted => {
            vec![Arc::new(Active::of(Fault::new(Effect::Noop(Noop::default())), Direction::Upstream, 1))]
        }
        _ => Vec::new(),
    };
    let pipes = Pipes::new(if matches!(gear, Gear::Spliced) { 2 } else { 0 });
    let relay = thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let inner = [inner_client, inner_server].map(|stream| {
                stream.set_nonblocking(true).unwrap();
                tokio::net::TcpStream::from_std(stream).unwrap()
            });
            let [client, upstream] = inner;
            let (_orders, orders) =
                watch::channel(Orders::of(Arc::new(Plan { upstream: faults, downstream: Vec::new() })));
            let meter = Meter::new(Arc::default());
            let means = Means { meter: &meter, pipes: &pipes, fired: &|_| {} };
            relay::relay(client, upstream, &LIMITS, &Stop::default(), orders, means).await;
        });
    });
    (client, server, relay)
}

#[divan::bench(args = GEARS, sample_count = 20, sample_size = 1)]
fn bulk(bencher: Bencher<'_, '_>, gear: &Gear) {
    bencher.counter(BytesCount::new(BULK)).with_inputs(|| rig(gear)).bench_values(
        |(mut client, mut server, relay)| {
            let sender = thread::spawn(move || {
                let block = vec![7; 256 << 10];
                for _ in 0..BULK / block.len() {
                    client.write_all(&block).unwrap();
                }
            });
            let mut block = vec![0; 256 << 10];
            let mut come = 0;
            while let count @ 1.. = server.read(&mut block).unwrap() {
                come += count;
            }
            assert_eq!(come, BULK);
            drop(server);
            sender.join().unwrap();
            relay.join().unwrap();
        },
    );
}

#[divan::bench(args = GEARS, sample_count = 20, sample_size = 1)]
fn messages(bencher: Bencher<'_, '_>, gear: &Gear) {
    bencher.counter(ItemsCount::new(MESSAGES)).with_inputs(|| rig(gear)).bench_values(
        |(mut client, mut server, relay)| {
            let echo = thread::spawn(move || {
                let mut message = [0; 64];
                while server.read_exact(&mut message).is_ok() {
                    server.write_all(&message).unwrap();
                }
            });
            let mut message = [7; 64];
            for _ in 0..MESSAGES {
                client.write_all(&message).unwrap();
                client.read_exact(&mut message).unwrap();
            }
            drop(client);
            black_box(message);
            echo.join().unwrap();
            relay.join().unwrap();
        },
    );
}
