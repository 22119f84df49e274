//! A bug in one connection ends that connection, is counted and told, and disturbs nobody else.
//!
//! There is no way to ask the program for a panic, and there should be none. But whoever embeds the library brings a
//! listener for its log, which is called from within each connection's task: here it has the bug.

#![allow(clippy::unwrap_used, reason = "a test ends at the first surprise")]

use std::fmt::Debug;
use std::time::Duration;

use chaos_proxy::config::Config;
use chaos_proxy::daemon::Daemon;
use chaos_proxy::observe::Ending;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Metadata, Subscriber};

const SECOND: Duration = Duration::from_secs(1);

/// Panics when it is told that a connection of the route `cursed` has reached its upstream.
struct Trap;

impl Subscriber for Trap {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == "upstream"
    }

    fn event(&self, event: &tracing::Event<'_>) {
        struct Said(String);
        impl Visit for Said {
            fn record_debug(&mut self, _: &Field, value: &dyn Debug) {
                self.0 = format!("{value:?}");
            }
        }
        let mut said = Said(String::new());
        event.record(&mut said);
        let cursed = ["\"upstream.connected\"", "\"cursed\""].iter().all(|word| said.0.contains(word));
        assert!(!cursed, "on purpose");
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

async fn ping(stream: &mut TcpStream) {
    stream.write_all(b"x").await.unwrap();
    assert_eq!(stream.read_u8().await.unwrap(), b'x');
}

#[test]
fn a_panic_in_one_connection_ends_that_one_and_is_counted() {
    tracing::subscriber::set_global_default(Trap).unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        timeout(60 * SECOND, test()).await.expect("not within the time limit");
    });
}

async fn test() {
    let text = "
seed: 1
admin: off
routes:
  - {name: cursed, localPort: auto, upstream: 'builtin:echo', limits: {connections: 4}}
  - {name: fine, localPort: auto, upstream: 'builtin:echo'}
";
    let daemon = Daemon::start(Config::from_text(text).unwrap()).await.unwrap();
    let [cursed, fine] = ["cursed", "fine"].map(|route| daemon.addr(route).unwrap());
    let mut beside = TcpStream::connect(fine).await.unwrap();
    ping(&mut beside).await;

    // More than may be open at once: each gives its place back.
    for number in 1..=20 {
        let mut client = TcpStream::connect(cursed).await.unwrap();
        let mut byte = [0];
        let end = timeout(5 * SECOND, client.read(&mut byte)).await.expect("the client hears of its end");
        assert!(matches!(end, Ok(0) | Err(_)), "connection {number} got a byte");
        // The client hears of the end a moment before the places are given back.
        while daemon.control().route("cursed").unwrap().stats.active() > 0 {
            sleep(Duration::from_millis(1)).await;
        }
        ping(&mut beside).await;
    }

    let stats = daemon.control().stats();
    assert_eq!(stats.panics, 20);
    let route = |name: &str| stats.routes.iter().find(|route| route.name == name).unwrap();
    assert_eq!((route("cursed").opened, route("cursed").active), (20, 0));
    let closed: Vec<_> = route("cursed").closed.iter().map(|closed| (closed.ending, closed.count)).collect();
    assert_eq!(closed, [(Ending::Error, 20)]);
    assert_eq!((route("fine").opened, route("fine").active), (1, 1));
    assert!(daemon.control().connections(Some("cursed")).unwrap().is_empty());

    // And it stops as ever: nobody waits for those that are gone.
    ping(&mut beside).await;
    drop(beside);
    let drained = daemon.drain_within(5 * SECOND).await;
    assert_eq!(drained.cut, 0);
}
