//! What `Control` promises: a change reaches live connections at once, and no byte is lost, changed or reordered by it.

#![allow(clippy::unwrap_used, reason = "a test ends at the first surprise")]

use std::time::Duration;

use chaos_proxy::config::Config;
use chaos_proxy::daemon::{Control, ControlError, Daemon, Handle};
use chaos_proxy::fault::{
    Bandwidth, Directions, Effect, Fault, Latency, Loss, Reset, Shared, Slice, SlowClose, Stall,
};
use chaos_proxy::spec::{Period, Probability, Rate, Size};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, timeout};

const SECOND: Duration = Duration::from_secs(1);

/// A daemon with one route to a server of the test's own, one connection through it, and both of its ends.
struct Rig {
    daemon: Handle,
    control: Control,
    server: TcpListener,
}

impl Rig {
    async fn start() -> Self {
        let server = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let upstream = server.local_addr().unwrap();
        let text =
            format!("routes: [{{name: r, localPort: auto, upstream: '{upstream}'}}]\nseed: 5\nadmin: off\n");
        let daemon = Daemon::start(Config::from_text(&format!("---\n{text}")).unwrap()).await.unwrap();
        Rig { control: daemon.control(), daemon, server }
    }

    async fn connect(&self) -> (TcpStream, TcpStream) {
        let client = TcpStream::connect(self.daemon.addr("r").unwrap()).await.unwrap();
        (client, self.server.accept().await.unwrap().0)
    }
}

/// Every test under a time limit.
fn within(limit: Duration, test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async { timeout(limit, test).await.expect("not within the time limit") });
}

fn latency(delay: Duration) -> Fault {
    Fault::new(Effect::Latency(Latency { delay: Period::new(delay), ..Latency::default() }))
}

/// If changing a latency touched only later bytes, the first ones would come after ten seconds.
#[test]
fn a_latency_turned_to_nothing_frees_what_waits_at_once_and_in_order() {
    within(30 * SECOND, async {
        let rig = Rig::start().await;
        let (mut client, mut server) = rig.connect().await;
        rig.control.add_fault("r", latency(10 * SECOND)).await.unwrap();
        let sent: Vec<u8> = (0..100_000u32).map(|i| (i % 251) as u8).collect();
        server.write_all(&sent).await.unwrap();
        let mut got = vec![0; sent.len()];
        assert!(timeout(SECOND / 2, client.read(&mut got)).await.is_err(), "nothing comes before its time");
        let changed = Instant::now();
        assert_eq!(rig.control.change_fault("r", latency(Duration::ZERO)).await.unwrap(), 3);
        client.read_exact(&mut got).await.unwrap();
        assert!(changed.elapsed() < SECOND, "{:?}", changed.elapsed());
        assert_eq!(got, sent);
    });
}

/// An idle connection hears of a change too: nothing else would wake it.
#[test]
fn a_reset_that_arrives_later_reaches_an_idle_connection_and_can_be_called_off() {
    within(30 * SECOND, async {
        let rig = Rig::start().await;
        let (mut client, _server) = rig.connect().await;
        let reset = |after: &str| Fault::new(Effect::Reset(Reset { after: after.parse().unwrap() }));
        rig.control.add_fault("r", reset("20s")).await.unwrap();
        rig.control.remove_fault("r", "reset").await.unwrap();
        let added = Instant::now();
        rig.control.add_fault("r", reset("300ms")).await.unwrap();
        let error = client.read_u8().await.unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
        assert!(added.elapsed() >= SECOND * 3 / 10);
    });
}

/// A stalled connection moves on by itself when the stall is taken away, and nothing of it is lost.
#[test]
fn a_stall_that_is_taken_away_lets_everything_through() {
    within(30 * SECOND, async {
        let rig = Rig::start().await;
        let (mut client, mut server) = rig.connect().await;
        rig.control.add_fault("r", Fault::new(Effect::Stall(Stall::default()))).await.unwrap();
        server.write_all(b"hello").await.unwrap();
        server.shutdown().await.unwrap();
        let mut got = String::new();
        let early = timeout(SECOND / 3, client.read_to_string(&mut got)).await;
        assert!(early.is_err(), "{early:?} {got:?}");
        rig.control.remove_fault("r", "stall").await.unwrap();
        client.read_to_string(&mut got).await.unwrap();
        assert_eq!(got, "hello");
    });
}

/// A refused change changes nothing.
#[test]
fn what_is_refused_leaves_everything_as_it_was() {
    within(10 * SECOND, async {
        let rig = Rig::start().await;
        let control = &rig.control;
        control.add_fault("r", latency(SECOND)).await.unwrap();
        let told = |refused: Result<u64, ControlError>| refused.unwrap_err().to_string();
        let again = control.add_fault("r", latency(SECOND)).await;
        assert_eq!(told(again), "route `r` has a fault `latency` already");
        assert_eq!(told(control.add_fault("nobody", latency(SECOND)).await), "there is no route `nobody`");
        assert_eq!(told(control.remove_fault("r", "drop").await), "route `r` has no fault `drop`");
        let slice = Slice { size: Size::new(5), variation: Size::new(5), delay: Period::default() };
        assert!(matches!(
            control.set_faults("r", vec![Fault::new(Effect::Slice(slice))]).await,
            Err(ControlError::Refused(_))
        ));
        assert_eq!((control.generation(), control.faults("r").unwrap()), (2, vec![latency(SECOND)]));
        rig.daemon.drain().await;
        let late = control.add_fault("r", Fault::new(Effect::Noop(Default::default()))).await;
        assert_eq!(told(late), "the daemon is draining");
    });
}

/// One of the faults that harm no byte, by a number.
fn harmless(n: u64) -> Fault {
    let small = Period::new(Duration::from_millis(n % 30));
    let rate = Rate::new(5_000_000 + n % 1000 * 100_000).unwrap();
    let effect = match n % 6 {
        0 => Effect::Latency(Latency { delay: small, jitter: small, ..Latency::default() }),
        1 => Effect::Bandwidth(Bandwidth { rate, burst: None, shared: Shared::Connection }),
        2 => Effect::Slice(Slice {
            size: Size::new(700 + n % 900),
            variation: Size::new(n % 300),
            delay: Period::default(),
        }),
        3 => Effect::Loss(Loss {
            rate: Probability::new(0.01).unwrap(),
            correlation: Probability::never(),
            rto: small,
        }),
        4 => Effect::Stall(Stall { hold: Some(small), ..Stall::default() }),
        _ => Effect::SlowClose(SlowClose { delay: small }),
    };
    Fault { direction: Directions::Both, ..Fault::new(effect) }
}

/// Sends so many bytes and FIN from one end, checks each that arrives at the other, and says how many did.
async fn one_way(mut from: TcpStream, mut to: TcpStream, length: usize) -> usize {
    let byte = |i: usize| (i as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15).to_be_bytes()[0];
    let send = async {
        for start in (0..length).step_by(1 << 18) {
            let chunk: Vec<u8> = (start..start + (1 << 18)).map(byte).collect();
            from.write_all(&chunk).await.unwrap();
        }
        from.shutdown().await.unwrap();
    };
    let receive = async {
        let mut at = 0;
        let mut buffer = vec![0; 1 << 18];
        loop {
            let n = to.read(&mut buffer).await.unwrap();
            if n == 0 {
                return at;
            }
            for got in &buffer[..n] {
                assert_eq!(*got, byte(at), "at {at}");
                at += 1;
            }
        }
    };
    tokio::join!(send, receive).1
}

/// With a change every 20 ms, 64 MiB arrive as they were sent. If a change dropped or reordered what is held, they would
/// not.
#[test]
fn random_changes_every_20_ms_harm_no_byte() {
    const LENGTH: usize = 64 << 20;
    within(120 * SECOND, async {
        let rig = Rig::start().await;
        let (client, server) = rig.connect().await;
        let control = rig.control.clone();
        let toggling = tokio::spawn(async move {
            let mut dice = 1u64;
            let mut changes = 0;
            loop {
                dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                let n = dice >> 33;
                let mut faults: Vec<Fault> = (0..n % 4).map(|i| harmless(n / 7 + i)).collect();
                faults.dedup_by(|a, b| a.name == b.name);
                control.set_faults("r", faults).await.unwrap();
                changes += 1;
                tokio::time::sleep(Duration::from_millis(20)).await;
                if changes >= 400 {
                    control.set_faults("r", Vec::new()).await.unwrap();
                    return;
                }
            }
        });
        assert_eq!(one_way(server, client, LENGTH).await, LENGTH);
        toggling.abort();
    });
}

/// Bytes that nothing is on move by another way than those a fault sees. With a change from the one to the other and back
/// every few milliseconds, both ways, in the middle of bulk, none is lost, doubled or out of its place.
#[test]
fn bulk_changes_its_way_at_any_byte() {
    const LENGTH: usize = 192 << 20;
    within(120 * SECOND, async {
        let rig = Rig::start().await;
        let ((client, server), (other_client, other_server)) = (rig.connect().await, rig.connect().await);
        let control = rig.control.clone();
        let toggling = tokio::spawn(async move {
            for change in 0u64.. {
                let delay = latency(Duration::from_micros(change % 5 * 300));
                let delay = Fault { direction: Directions::Both, ..delay };
                let faults = if change % 2 == 0 { vec![delay] } else { Vec::new() };
                control.set_faults("r", faults).await.unwrap();
                tokio::time::sleep(Duration::from_millis(1 + change % 7)).await;
            }
        });
        let both = (one_way(server, client, LENGTH), one_way(other_client, other_server, LENGTH));
        assert_eq!(tokio::join!(both.0, both.1), (LENGTH, LENGTH));
        toggling.abort();
    });
}
