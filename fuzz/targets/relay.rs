//! The relay, between two peers that do what the bytes say, under faults that come and go, on a clock that the bytes move.

use std::collections::BTreeSet;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use chaos_proxy::config::{Config, body};
use chaos_proxy::fault::{Active, Directions, Fault, Plan};
use chaos_proxy::observe::{Direction, Meter};
use chaos_proxy::relay::{Limits, Means, Orders, Pipes, Stop, relay};
use chaos_proxy::relay::{PeerEnd, Pipe, Transport};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};

#[path = "../../src/relay/fake.rs"]
mod fake;

use fake::{Peer, fake};

/// What may go wrong; those behind the first eight may end a connection or lose bytes behind a point, and none changes any.
const FAULTS: [&str; 13] = [
    r#"{"latency": {"delay": "30ms", "jitter": "20ms", "direction": "both"}}"#,
    r#"{"latency": {"name": "late", "delay": "3s"}}"#,
    r#"{"bandwidth": {"rate": "10kB/s", "direction": "both"}}"#,
    r#"{"slice": {"size": 7, "variation": 6, "delay": "3ms", "direction": "both"}}"#,
    r#"{"loss": {"rate": 0.3, "rto": "20ms", "direction": "both"}}"#,
    r#"{"stall": {"after": 100, "hold": "500ms", "direction": "both"}}"#,
    r#"{"slowClose": {"delay": "1s", "direction": "both"}}"#,
    r#"{"noop": {"direction": "both"}}"#,
    r#"{"limit": {"bytes": 1000, "direction": "both"}}"#,
    r#"{"limit": {"name": "cut", "bytes": 500, "then": "reset", "direction": "upstream"}}"#,
    r#"{"reset": {"after": "200ms"}}"#,
    r#"{"blackhole": {"closeAfter": "1s"}}"#,
    r#"{"stall": {"name": "pulled", "direction": "both"}}"#,
];
const HARMLESS: usize = 8;

static KNOWN: LazyLock<Vec<Fault>> = LazyLock::new(|| {
    let text = r#"{"routes": [{"localPort": 1, "upstream": "a:1"}]}"#;
    let route = Config::from_text(text).expect("it is sound").routes.remove(0);
    let read = |text: &&str| body::fault(text.as_bytes(), &route, None).expect("it is sound");
    FAULTS.iter().map(read).collect()
});

/// One side's word so far.
struct Said {
    peer: Peer,
    bytes: Vec<u8>,
    finished: bool,
    reset: bool,
}

/// What arrives is a prefix of what was sent, nothing that was only held is lost where nothing destroys, and it ends.
pub fn target(data: &[u8]) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    runtime.expect("a runtime").block_on(play(data));
}

async fn play(data: &[u8]) {
    let [room, held, rest @ ..] = data else { return };
    let (room, held) = (1 + usize::from(*room) * 40, 1 + usize::from(*held) * 40);
    // Longer than a game lasts, so that no limit of time ends it.
    let limits = Limits { half_close: Duration::from_secs(3_600), idle: None, until: None, held };
    let (client, client_peer) = fake(room);
    let (server, server_peer) = fake(room);
    // In every other game there are pipes to the kernel, so that the gear changes.
    let splices = room % 80 == 1;
    let (client, server) = if splices { (client.splicing(), server.splicing()) } else { (client, server) };
    let (orders, their_orders) = watch::channel(Orders::default());
    let task = tokio::spawn(async move {
        let (stop, meter, pipes) = (Stop::default(), Meter::new(Arc::default()), Pipes::new(8));
        let means = Means { meter: &meter, pipes: &pipes, fired: &|_: &Active| {} };
        relay(client, server, &limits, &stop, their_orders, means).await
    });
    let said = |peer| Said { peer, bytes: Vec::new(), finished: false, reset: false };
    let mut sides = [said(client_peer), said(server_peer)];
    let (mut active, mut destroyed) = (BTreeSet::new(), false);
    for act in rest.chunks_exact(2).take(300) {
        let (n, side) = (usize::from(act[1]), &mut sides[usize::from(act[0] >> 7)]);
        match act[0] % 16 {
            0..6 if !side.finished && !side.reset => {
                let at = side.bytes.len();
                let bytes: Vec<u8> = (at..at + n * 4).map(|i| (i % 251) as u8).collect();
                side.peer.send(&bytes);
                side.bytes.extend(bytes);
            }
            6..10 if !side.reset => side.peer.read(n * 16),
            10 if !side.reset => {
                side.peer.finish();
                side.finished = true;
            }
            11 if n < 40 => {
                side.peer.reset();
                side.reset = true;
            }
            12 | 13 => {
                let fault = n % FAULTS.len();
                if !active.remove(&fault) {
                    active.insert(fault);
                }
                destroyed |= fault >= HARMLESS;
                // Nobody is left to hear it once it has ended.
                let _ = orders.send(Orders::of(Arc::new(plan(&active))));
            }
            14 | 15 => sleep(Duration::from_millis(n as u64 * 4)).await,
            // It has said its last word.
            _ => {}
        }
        tokio::task::yield_now().await;
        assert_prefixes(&sides);
    }
    // Everything goes, everybody reads on, and says goodbye.
    let _ = orders.send(Orders::default());
    for side in &mut sides {
        side.peer.finish();
        side.finished = true;
    }
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(60) && !task.is_finished() {
        for _ in 0..100 {
            sides.iter().for_each(|side| side.peer.read(1 << 20));
            tokio::task::yield_now().await;
        }
        sleep(Duration::from_millis(10)).await;
    }
    let ended = timeout(Duration::from_secs(120), task).await.expect("it never ended");
    ended.expect("no panic");
    sides.iter().for_each(|side| side.peer.read(1 << 20));
    assert_prefixes(&sides);
    if !destroyed && sides.iter().all(|side| !side.reset) {
        for (to, from) in [(0, 1), (1, 0)] {
            assert_eq!(sides[to].peer.arrived().len(), sides[from].bytes.len(), "bytes are missing");
            assert!(sides[to].peer.saw_fin() && !sides[to].peer.saw_reset());
        }
    }
}

fn assert_prefixes(sides: &[Said; 2]) {
    for (to, from) in [(0, 1), (1, 0)] {
        assert!(sides[from].bytes.starts_with(&sides[to].peer.arrived()), "what arrived was not sent so");
    }
}

fn plan(active: &BTreeSet<usize>) -> Plan {
    let mut plan = Plan::default();
    for fault in active.iter().filter_map(|n| KNOWN.get(*n)) {
        let of = |direction| Arc::new(Active::of(fault.clone(), direction, 7));
        if fault.direction != Directions::Downstream {
            plan.upstream.push(of(Direction::Upstream));
        }
        if fault.direction != Directions::Upstream {
            plan.downstream.push(of(Direction::Downstream));
        }
    }
    plan
}
