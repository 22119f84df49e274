//! What a change of routes promises: listeners are kept, handed over, closed and opened as asked, whole or not at all, and
//! connections go on unless it was said that they end.

#![allow(clippy::unwrap_used, reason = "a test ends at the first surprise")]

mod support;

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::time::Duration;

use chaos_proxy::config::Config;
use chaos_proxy::daemon::{Control, ControlError, Daemon, Handle, Live};
use chaos_proxy::fault::{Effect, Fault, Latency};
use chaos_proxy::observe::{By, Ending, Side};
use chaos_proxy::route::{Bind, LocalPort};
use support::unused_port;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

/// Every test under a time limit.
fn within_10s(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async { timeout(Duration::from_secs(10), test).await.expect("not within 10 s") });
}

async fn daemon(routes: &str) -> (Handle, Control) {
    let text = format!("seed: 5\nadmin: off\nroutes:\n{routes}");
    let daemon = Daemon::start(Config::from_text(&text).unwrap()).await.unwrap();
    let control = daemon.control();
    (daemon, control)
}

fn echo(name: &str, port: impl std::fmt::Display) -> String {
    format!("  - {{name: {name}, localPort: {port}, upstream: 'builtin:echo'}}\n")
}

async fn change(
    control: &Control,
    edit: impl FnOnce(&mut Config) + Send + 'static,
) -> Result<u64, ControlError> {
    let edit = move |config: &mut Config| {
        edit(config);
        Ok(())
    };
    control.edit(By::Library, Live::Drain, edit).await.map(|((), applied)| applied.generation)
}

async fn connect(address: SocketAddr) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.unwrap();
    assert_eq!(ping(&mut stream).await, Ok(()));
    stream
}

async fn ping(stream: &mut TcpStream) -> Result<(), ErrorKind> {
    let mut byte = [0];
    stream.write_all(b"x").await.map_err(|error| error.kind())?;
    stream.read_exact(&mut byte).await.map_err(|error| error.kind())?;
    Ok(())
}

async fn is_refused(address: SocketAddr) -> bool {
    TcpStream::connect(address).await.is_err_and(|error| error.kind() == ErrorKind::ConnectionRefused)
}

#[test]
fn a_closed_port_refuses_and_reopening_restores_the_route_as_it_was_changed_meanwhile() {
    within_10s(async {
        let (daemon, control) = daemon(&echo("it", "auto")).await;
        let address = daemon.addr("it").unwrap();
        let mut live = connect(address).await;
        control.close("it", Live::Keep, By::Library).await.unwrap();
        assert!(is_refused(address).await);
        assert_eq!((daemon.addr("it"), ping(&mut live).await), (None, Ok(())));

        let slow = Latency { delay: "1ms".parse().unwrap(), ..Latency::default() };
        control.add_fault("it", Fault::new(Effect::Latency(slow))).await.unwrap();
        let applied = control.open("it", By::Library).await.unwrap();
        assert_eq!(applied.generation, 4);
        assert_eq!(daemon.addr("it"), Some(address), "a route that is opened again has its port again");
        let _second = connect(address).await;
        assert_eq!(ping(&mut live).await, Ok(()));
        let route = control.route("it").unwrap();
        assert_eq!((route.stats.opened(), route.stats.active()), (2, 2));
        assert_eq!(route.fired(), [("latency".into(), 2)].into());
        // What is so already changes nothing.
        assert_eq!(control.open("it", By::Library).await.unwrap().generation, 4);
    });
}

#[test]
fn live_connections_of_a_closed_route_end_as_asked() {
    within_10s(async {
        let (daemon, control) = daemon(&echo("it", "auto")).await;
        for (live, kind) in
            [(Live::Close, ErrorKind::UnexpectedEof), (Live::Reset, ErrorKind::ConnectionReset)]
        {
            let mut clients =
                [connect(daemon.addr("it").unwrap()).await, connect(daemon.addr("it").unwrap()).await];
            let applied = control.close("it", live, By::Library).await.unwrap();
            assert_eq!(applied.ended, 2);
            for client in &mut clients {
                let mut byte = [0];
                let ended = client.read_exact(&mut byte).await.unwrap_err();
                assert_eq!(ended.kind(), kind, "{live:?}");
            }
            drop(clients);
            control.open("it", By::Library).await.unwrap();
        }
        let route = control.route("it").unwrap();
        while route.stats.active() > 0 {
            tokio::task::yield_now().await;
        }
        assert_eq!(route.stats.closed(Ending::Control, Side::None), 4);
    });
}

#[test]
fn closing_a_closed_route_still_ends_what_was_kept() {
    within_10s(async {
        let (daemon, control) = daemon(&echo("it", "auto")).await;
        let mut client = connect(daemon.addr("it").unwrap()).await;
        control.close("it", Live::Keep, By::Library).await.unwrap();
        let applied = control.close("it", Live::Reset, By::Library).await.unwrap();
        assert_eq!((applied.generation, applied.ended), (2, 1));
        assert_eq!(client.read_u8().await.unwrap_err().kind(), ErrorKind::ConnectionReset);
    });
}

/// The socket itself goes from one route to the other: a client that waits in its queue is not lost.
#[test]
fn a_port_that_changes_its_route_is_never_closed() {
    within_10s(async {
        let (a, b) = (unused_port(), unused_port());
        let (daemon, control) = daemon(&(echo("one", a) + &echo("two", b))).await;
        let [at_a, at_b] = [daemon.addr("one").unwrap(), daemon.addr("two").unwrap()];
        let knocking = tokio::spawn(async move {
            let mut served = 0;
            while served < 500 {
                let _ = connect(at_a).await;
                let _ = connect(at_b).await;
                served += 1;
            }
        });
        let mut generation = 1;
        while !knocking.is_finished() {
            generation += 1;
            let swap = |config: &mut Config| {
                let first = config.routes[0].local_port;
                config.routes[0].local_port = config.routes[1].local_port;
                config.routes[1].local_port = first;
            };
            assert_eq!(change(&control, swap).await.unwrap(), generation);
        }
        knocking.await.unwrap();
        assert!(generation > 3);
        let opened: u64 = control.routes().iter().map(|route| route.stats.opened()).sum();
        assert_eq!(opened, 1000);
    });
}

#[test]
fn an_address_that_overlaps_the_old_one_is_taken_in_its_place() {
    within_10s(async {
        let port = unused_port();
        let (daemon, control) = daemon(&echo("it", port)).await;
        let mut live = connect(daemon.addr("it").unwrap()).await;
        change(&control, |config| config.routes[0].bind = Bind::Any).await.unwrap();
        assert!(daemon.addr("it").unwrap().ip().is_unspecified());
        let _v4 = connect(SocketAddr::new([127, 0, 0, 1].into(), port)).await;
        assert_eq!(ping(&mut live).await, Ok(()));
    });
}

#[test]
fn a_port_in_use_refuses_the_whole_change() {
    within_10s(async {
        let (own, new) = (unused_port(), unused_port());
        let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let theirs = taken.local_addr().unwrap().port();
        let (daemon, control) = daemon(&(echo("it", own) + &echo("other", new))).await;
        let before = control.config().await;
        let address = daemon.addr("it").unwrap();
        let mut live = connect(address).await;
        let edit = move |config: &mut Config| {
            // One that could be had, one that overlaps what is let go, and one that is taken.
            config.routes[0].bind = Bind::Any;
            config.routes[1].local_port = LocalPort::Fixed(theirs);
            config.routes[1].faults = vec![Fault::new(Effect::Noop(Default::default()))];
        };
        let refused = change(&control, edit).await.unwrap_err();
        assert!(refused.to_string().contains(&format!("127.0.0.1:{theirs}")), "{refused}");
        assert_eq!((control.generation(), control.config().await), (1, before));
        assert_eq!(daemon.addr("it"), Some(address));
        let _new = connect(address).await;
        let _other = connect(daemon.addr("other").unwrap()).await;
        assert_eq!(ping(&mut live).await, Ok(()));
    });
}

#[test]
fn a_failure_after_the_old_was_closed_restores_it() {
    within_10s(async {
        let port = unused_port();
        let (daemon, control) = daemon(&echo("it", port)).await;
        let address = daemon.addr("it").unwrap();
        // The wildcard cannot be had while somebody else has another address of this port.
        let _theirs = TcpListener::bind(SocketAddr::new([127, 0, 0, 2].into(), port)).await.unwrap();
        let refused = change(&control, |config| config.routes[0].bind = Bind::Any).await;
        assert!(matches!(refused, Err(ControlError::Bind(_))), "{refused:?}");
        assert_eq!(daemon.addr("it"), Some(address));
        let _again = connect(address).await;
    });
}

#[test]
fn a_removed_route_closes_its_port_and_its_connections_finish() {
    within_10s(async {
        let (daemon, control) = daemon(&(echo("it", "auto") + &echo("other", "auto"))).await;
        let address = daemon.addr("it").unwrap();
        let mut live = connect(address).await;
        change(&control, |config| drop(config.routes.remove(0))).await.unwrap();
        assert!(is_refused(address).await);
        assert!(daemon.addr("it").is_none() && control.route("it").is_err());
        assert_eq!(ping(&mut live).await, Ok(()));
        assert_eq!(daemon.connections(), 1);
    });
}

#[test]
fn connections_of_a_changed_route_go_on_with_the_upstream_they_have() {
    within_10s(async {
        let other = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let upstream = other.local_addr().unwrap().to_string();
        let (daemon, control) = daemon(&echo("it", "auto")).await;
        let mut old = connect(daemon.addr("it").unwrap()).await;
        change(&control, move |config| config.routes[0].upstream = upstream.parse().unwrap()).await.unwrap();
        let _new = TcpStream::connect(daemon.addr("it").unwrap()).await.unwrap();
        other.accept().await.unwrap();
        assert_eq!(ping(&mut old).await, Ok(()));
    });
}

#[test]
fn a_caller_that_goes_away_leaves_nothing_half_done() {
    within_10s(async {
        let (_daemon, control) = daemon(&echo("it", "auto")).await;
        for _ in 0..50 {
            let closing = control.close("it", Live::Keep, By::Library);
            let _ = timeout(Duration::ZERO, closing).await;
            let opening = control.open("it", By::Library);
            let _ = timeout(Duration::ZERO, opening).await;
        }
        control.open("it", By::Library).await.unwrap();
        let _served = connect(control.route("it").unwrap().address().unwrap()).await;
    });
}
