//! A bug in one connection ends that connection, is counted and told, and disturbs nobody else.
//!
//! There is no way to ask the program for a panic, and there should be none. But whoever embeds the library brings a
//! listener for its log, which is called from within each connection's task: here it has the bug.

#![allow(clippy::unwrap_used, reason = "a test ends at the first surprise")]

use std::fmt::{Debug, Write};
use std::os::fd::AsRawFd;
use std::time::Duration;

use chaos_proxy::config::Config;
use chaos_proxy::daemon::{Daemon, Handle};
use chaos_proxy::observe::Ending;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Metadata, Subscriber};

const SECOND: Duration = Duration::from_secs(1);

/// Has its bug when it is told of these events, of the route that is named after it.
const BUGS: [(&str, &[&str]); 5] = [
    ("at-first", &["connection.opened"]),
    ("midway", &["upstream.connected"]),
    ("at-last", &["connection.closed"]),
    ("again", &["upstream.connected", "connection.closed"]),
    ("at-the-door", &["accept.failed"]),
];

struct Trap;

impl Subscriber for Trap {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        ["connection", "upstream", "route"].contains(&metadata.target())
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
        let says = |key: &str, word: &str| said.0.contains(&format!("\"{key}\":\"{word}\""));
        for (route, events) in BUGS {
            assert!(!(says("route", route) && events.iter().any(|event| says("event", event))), "on purpose");
        }
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
fn a_bug_in_one_connection_ends_that_one_and_is_counted() {
    tracing::subscriber::set_global_default(Trap).unwrap();
    // What is on purpose need not be read.
    std::panic::set_hook(Box::new(|_| {}));
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let over = runtime.block_on(async { timeout(60 * SECOND, tokio::spawn(test())).await });
    let _ = std::panic::take_hook();
    over.expect("not within the time limit").unwrap();
}

async fn test() {
    let mut text = String::from("seed: 1\nadmin: off\nroutes:\n");
    for name in BUGS.map(|(route, _)| route).into_iter().chain(["fine"]) {
        let limits = "limits: {connections: 4}";
        writeln!(text, "  - {{name: {name}, localPort: auto, upstream: 'builtin:echo', {limits}}}").unwrap();
    }
    let daemon = Daemon::start(Config::from_text(&text).unwrap()).await.unwrap();
    let mut beside = TcpStream::connect(daemon.addr("fine").unwrap()).await.unwrap();
    ping(&mut beside).await;

    for route in ["at-first", "midway", "at-last", "again"] {
        // More than may be open at once: each gives its place back.
        for number in 1..=20 {
            let mut client = TcpStream::connect(daemon.addr(route).unwrap()).await.unwrap();
            if route == "at-last" {
                ping(&mut client).await;
                client.shutdown().await.unwrap();
            }
            let mut byte = [0];
            let end = timeout(5 * SECOND, client.read(&mut byte)).await.expect("the client hears of its end");
            assert!(matches!(end, Ok(0) | Err(_)), "connection {number} of {route} got a byte");
            // The client hears of the end a moment before the places are given back.
            while daemon.control().route(route).unwrap().stats.active() > 0 {
                sleep(Duration::from_millis(1)).await;
            }
            ping(&mut beside).await;
        }
        let stats = daemon.control().stats();
        let seen = stats.routes.iter().find(|seen| seen.name == route).unwrap();
        assert_eq!((seen.opened, seen.active), (20, 0), "{route}");
        let closed: Vec<_> = seen.closed.iter().map(|closed| (closed.ending, closed.count)).collect();
        let ending = if route == "at-last" { Ending::PeerFin } else { Ending::Error };
        assert_eq!(closed, [(ending, 20)], "{route}");
        assert!(daemon.control().connections(Some(route)).unwrap().is_empty(), "{route}");
    }
    // Twenty of each; two in each of those that have another one on their way out.
    counted(&daemon, 100).await;

    // One whose telling that it could not accept goes wrong accepts all the same.
    let door = daemon.addr("at-the-door").unwrap();
    let mut client = {
        let _few = Few::descriptors(1);
        let client = TcpStream::connect(door).await.unwrap();
        counted(&daemon, 101).await;
        client
    };
    timeout(5 * SECOND, ping(&mut client)).await.expect("the route accepts no more");
    ping(&mut TcpStream::connect(door).await.unwrap()).await;

    let stats = daemon.control().stats();
    let fine = stats.routes.iter().find(|seen| seen.name == "fine").unwrap();
    assert_eq!((fine.opened, fine.active), (1, 1));
    // And it stops as ever: nobody waits for those that are gone.
    ping(&mut beside).await;
    drop((beside, client));
    let drained = daemon.drain_within(5 * SECOND).await;
    assert_eq!(drained.cut, 0);
}

/// Waits until so many are counted, and not one more.
async fn counted(daemon: &Handle, panics: u64) {
    let seen = || daemon.control().stats().panics;
    let counted = async {
        while seen() < panics {
            sleep(Duration::from_millis(1)).await;
        }
    };
    let _ = timeout(5 * SECOND, counted).await;
    assert_eq!(seen(), panics);
}

/// Few more descriptors may be opened in this process, as long as it lives.
struct Few(Rlimit);

impl Few {
    fn descriptors(more: u64) -> Few {
        let before = getrlimit(Resource::Nofile);
        let next = std::fs::File::open("/dev/null").unwrap().as_raw_fd() as u64;
        setrlimit(Resource::Nofile, Rlimit { current: Some(next + more), ..before }).unwrap();
        Few(before)
    }
}

impl Drop for Few {
    fn drop(&mut self) {
        setrlimit(Resource::Nofile, self.0).unwrap();
    }
}
