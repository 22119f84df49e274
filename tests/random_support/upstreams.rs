//! Who stands behind the routes of the random test.

use std::net::SocketAddr;
use std::time::Duration;

use socket2::SockRef;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::dice::Dice;
use crate::support::*;

/// What the flood says, to everybody.
pub(super) const FLOOD: Pattern = Pattern(0xf1_00d);

/// Sends back what it gets, and ends when its client does.
pub(super) async fn echo() -> SocketAddr {
    serve(|mut stream, _| async move {
        let (mut from, mut to) = stream.split();
        if tokio::io::copy(&mut from, &mut to).await.is_ok() {
            let _ = to.shutdown().await;
        }
    })
    .await
}

/// Never reads, and says up to 4 MiB.
pub(super) async fn flood() -> SocketAddr {
    serve(|mut stream, _| async move {
        let mut buf = vec![0; 16 << 10];
        for at in (0..4 << 20).step_by(buf.len()) {
            FLOOD.fill(at, &mut buf);
            if stream.write_all(&buf).await.is_err() {
                return;
            }
        }
    })
    .await
}

/// Sends back what it gets for a while; then it ends, resets, or falls silent.
pub(super) async fn moody(seed: u64) -> SocketAddr {
    serve(move |mut stream, number| async move {
        let mut dice = Dice::new(seed, 1 << 32 | number);
        let mut buf = vec![0; 8 << 10];
        for _ in 0..dice.below(20) {
            let Ok(n @ 1..) = stream.read(&mut buf).await else { return };
            if stream.write_all(&buf[..n]).await.is_err() {
                return;
            }
        }
        match dice.below(3) {
            0 => _ = SockRef::from(&stream).set_linger(Some(Duration::ZERO)),
            1 => tokio::time::sleep(ms(dice.below(3000))).await,
            _ => {}
        }
    })
    .await
}

async fn serve<F>(handler: impl Fn(TcpStream, u64) -> F + Send + 'static) -> SocketAddr
where
    F: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let mut number = 0;
        while let Ok((stream, _)) = listener.accept().await {
            number += 1;
            tokio::spawn(handler(stream, number));
        }
    });
    address
}
