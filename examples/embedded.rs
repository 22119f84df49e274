//! Using chaos-proxy inside a program or a test: no file, no port to choose, no process to wait for.
//!
//! `cargo run --example embedded`

use std::error::Error;

use chaos_proxy::config::Config;
use chaos_proxy::daemon::Daemon;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::Instant;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let config = Config::from_text(
        "
        seed: 42
        routes:
          - name: slow-echo
            localPort: auto
            upstream: builtin:echo
            latencyMs: 200
        ",
    )?;
    let daemon = Daemon::start(config).await?;
    let address = daemon.addr("slow-echo").ok_or("the route is not open")?;

    let started = Instant::now();
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(b"hello").await?;
    stream.shutdown().await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    println!("{answer:?} came back after {} ms (seed {})", started.elapsed().as_millis(), daemon.seed());

    let drained = daemon.drain().await;
    println!("{} finished, {} cut", drained.finished, drained.cut);
    Ok(())
}
