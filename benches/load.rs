//! Load for `benches/compare`: clients and their server in one process, with whatever is measured between them.
//!
//! `load WORK CONNECTIONS SECONDS TARGET UPSTREAM` prints numbers, one a line with its name. The server listens at UPSTREAM
//! and the clients connect to TARGET; they are the same address where nothing is between.

#![allow(clippy::disallowed_types, clippy::disallowed_methods, reason = "it measures the real clock")]
#![allow(clippy::unwrap_used, reason = "a measurement that cannot go on should say so loudly")]

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

const MESSAGE: usize = 64;

const BLOCK: usize = 128 * 1024;

/// What the client says first, so that the server knows what it is for.
const SINK: u8 = b's';
const ECHO: u8 = b'e';

#[tokio::main]
async fn main() {
    let mut words = std::env::args().skip(1);
    let mut word = || words.next().expect("WORK CONNECTIONS SECONDS TARGET UPSTREAM");
    let work = word();
    let connections: usize = word().parse().unwrap();
    let time = Duration::from_secs_f64(word().parse().unwrap());
    let (target, upstream): (SocketAddr, SocketAddr) = (word().parse().unwrap(), word().parse().unwrap());
    tokio::spawn(serve(TcpListener::bind(upstream).await.unwrap()));
    match work.as_str() {
        "bulk" => bulk(target, connections, time).await,
        "messages" => messages(target, connections, time, Duration::ZERO).await,
        "paced" => messages(target, connections, time, Duration::from_millis(100)).await,
        "churn" => churn(target, connections, time).await,
        "idle" => idle(target, connections, time).await,
        other => panic!("no such work: {other}"),
    }
}

/// Takes bytes to count them, or sends them back.
async fn serve(listener: TcpListener) {
    loop {
        // What cannot be accepted is missed by its client.
        let Ok((stream, _)) = listener.accept().await else { continue };
        tokio::spawn(answer(stream));
    }
}

async fn answer(mut stream: TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let echoes = stream.read_u8().await? == ECHO;
    let mut block = vec![0; if echoes { MESSAGE } else { BLOCK }];
    loop {
        match stream.read(&mut block).await? {
            0 => return Ok(()),
            count if echoes => stream.write_all(&block[..count]).await?,
            _ => {}
        }
    }
}

async fn connect(target: SocketAddr, kind: u8) -> io::Result<TcpStream> {
    let mut stream = TcpStream::connect(target).await?;
    stream.set_nodelay(true)?;
    stream.write_u8(kind).await?;
    Ok(stream)
}

/// Each connection sends as fast as it can.
async fn bulk(target: SocketAddr, connections: usize, time: Duration) {
    let sent = Arc::new(AtomicU64::new(0));
    let over = Instant::now() + time;
    let one = |sent: Arc<AtomicU64>| async move {
        let mut stream = connect(target, SINK).await.unwrap();
        let block = vec![7; BLOCK];
        while Instant::now() < over {
            let count = stream.write(&block).await.unwrap();
            sent.fetch_add(count as u64, Relaxed);
        }
    };
    let tasks: Vec<_> = (0..connections).map(|_| tokio::spawn(one(sent.clone()))).collect();
    for task in tasks {
        task.await.unwrap();
    }
    println!("bytes {}", sent.load(Relaxed));
    println!("seconds {}", time.as_secs_f64());
}

/// Each connection sends a message and waits for it to come back, at most once in every `pause`.
async fn messages(target: SocketAddr, connections: usize, time: Duration, pause: Duration) {
    let over = Instant::now() + time;
    let one = |number: usize| async move {
        let mut stream = connect(target, ECHO).await.unwrap();
        let mut message = [7; MESSAGE];
        let mut took = Vec::new();
        // Not all at the same moment.
        tokio::time::sleep(pause * number as u32 / connections as u32).await;
        while Instant::now() < over {
            let begun = Instant::now();
            stream.write_all(&message).await.unwrap();
            stream.read_exact(&mut message).await.unwrap();
            took.push(begun.elapsed().as_secs_f64() * 1e6);
            if !pause.is_zero() {
                tokio::time::sleep(pause.saturating_sub(begun.elapsed())).await;
            }
        }
        took
    };
    let tasks: Vec<_> = (0..connections).map(|number| tokio::spawn(one(number))).collect();
    let mut took = Vec::new();
    for task in tasks {
        took.extend(task.await.unwrap());
    }
    tell(took, time);
}

/// Each worker connects, exchanges a message and closes, over and over.
async fn churn(target: SocketAddr, workers: usize, time: Duration) {
    let over = Instant::now() + time;
    let one = || async move {
        let mut took = Vec::new();
        let mut message = [7; MESSAGE];
        while Instant::now() < over {
            let begun = Instant::now();
            let mut stream = connect(target, ECHO).await.unwrap();
            stream.write_all(&message).await.unwrap();
            stream.read_exact(&mut message).await.unwrap();
            drop(stream);
            took.push(begun.elapsed().as_secs_f64() * 1e6);
        }
        took
    };
    let tasks: Vec<_> = (0..workers).map(|_| tokio::spawn(one())).collect();
    let mut took = Vec::new();
    for task in tasks {
        took.extend(task.await.unwrap());
    }
    tell(took, time);
}

fn tell(mut took: Vec<f64>, time: Duration) {
    took.sort_by(f64::total_cmp);
    let at = |share: f64| took.get((took.len() as f64 * share) as usize).copied().unwrap_or(f64::NAN);
    println!("count {}", took.len());
    println!("seconds {}", time.as_secs_f64());
    println!("p50_us {:.1}", at(0.5));
    println!("p99_us {:.1}", at(0.99));
}

/// Connections that have said one thing, and then nothing: `ready` is printed when all are there, and whoever measures
/// what they cost has this long.
async fn idle(target: SocketAddr, connections: usize, time: Duration) {
    let mut open = Vec::new();
    for _ in 0..connections {
        let mut stream = connect(target, ECHO).await.unwrap();
        stream.write_all(&[7]).await.unwrap();
        stream.read_exact(&mut [0]).await.unwrap();
        open.push(stream);
    }
    println!("ready {}", open.len());
    tokio::time::sleep(time).await;
}
