//! Faults that destroy nothing deliver every byte in order and both endings, alone, in pairs and all at once.

#![allow(clippy::disallowed_types, clippy::disallowed_methods, reason = "over real sockets time is real")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should say so loudly")]

mod support;

use std::thread;

use support::*;

const SIZE: u64 = 256 << 10;

/// How many connections work at once. More would wait for the machine, not for the faults.
const AT_ONCE: usize = 25;

/// Each effect that destroys nothing, both ways, at a strength that shows in 256 KiB and does not take long.
const HARMLESS: [(&str, &str); 8] = [
    ("latency", "latency: {delay: 15ms, direction: both, name: fixed}"),
    ("jitter", "latency: {delay: 10ms, jitter: 8ms, distribution: normal, direction: both}"),
    ("bandwidth", "bandwidth: {rate: 2MiB/s, direction: both}"),
    ("slice", "slice: {size: 700, variation: 650, direction: both}"),
    ("loss", "loss: {rate: 0.05, correlation: 0.3, rto: 2ms, direction: both}"),
    ("slow-close", "slowClose: {delay: 40ms, direction: both}"),
    ("stall", "stall: {after: 100KiB, hold: 50ms, direction: both}"),
    ("noop", "noop: {direction: both}"),
];

/// One daemon with all these routes (a name and the rest of it), one connection through each, and `size` bytes both ways.
/// The log then says that each connection ended as it would have without faults.
fn deliver_both_ways(routes: &[(String, String)], size: u64) -> Daemon {
    let listener = Listener::new();
    let lines = routes.iter().map(|(name, rest)| route(name, listener.address(), rest));
    let daemon = Setup::routes(lines).start();
    for batch in routes.chunks(AT_ONCE) {
        let pairs: Vec<_> =
            batch.iter().map(|(name, rest)| (name, rest, pair(&daemon, name, &listener))).collect();
        thread::scope(|scope| {
            for (name, rest, (client, server)) in &pairs {
                // The route's name and faults are in the panic's message, because the thread has that name.
                let worker = thread::Builder::new().name(format!("{name}: {rest}")).stack_size(256 << 10);
                worker.spawn_scoped(scope, || both_ways(client, server, size)).unwrap();
            }
        });
    }
    for (name, _) in routes {
        let closed = daemon.wait_closed(name, 1, secs(10));
        assert_eq!((closed.text("ending"), closed.bytes()), ("peer-fin", (size, size)), "{}", closed.fields);
    }
    daemon
}

/// Each of so many faults took effect each way on each route: a fault that never acts delivers every byte too.
fn all_fired(daemon: &Daemon, routes: &[(String, String)], faults: usize) {
    for (name, rest) in routes {
        let fired = daemon.events.count(|event| event.is("fault.fired", name));
        assert_eq!(fired, 2 * faults, "{name}: {rest}");
    }
}

/// I4: each effect alone.
#[test]
fn each_effect_alone_delivers_every_byte() {
    within(secs(60), || {
        let more = [
            ("uniform", "latency: {delay: 10ms, jitter: 10ms, direction: both}"),
            ("pareto", "latency: {delay: 5ms, jitter: 5ms, distribution: pareto, direction: both}"),
            ("stall-in-time", "stall: {after: 1ms, hold: 60ms, direction: both}"),
            ("stall-at-once", "stall: {hold: 60ms, direction: both}"),
            ("slow-slices", "slice: {size: 4KiB, delay: 1ms, direction: both}"),
        ];
        let routes: Vec<_> =
            HARMLESS.iter().chain(&more).map(|(name, fault)| (name.to_string(), faults(&[fault]))).collect();
        let daemon = deliver_both_ways(&routes, SIZE);
        all_fired(&daemon, &routes, 1);
    });
}

/// I4: the smallest pieces there are, each a write of its own; fewer bytes, as each of them costs a system call.
#[test]
fn single_bytes_deliver_every_byte() {
    within(secs(60), || {
        let slice = "slice: {size: 1, direction: both}";
        let routes = [
            ("bytes".to_owned(), faults(&[slice])),
            (
                "late-bytes".to_owned(),
                faults(&[slice, "latency: {delay: 5ms, jitter: 5ms, direction: both}"]),
            ),
        ];
        deliver_both_ways(&routes, 64 << 10);
    });
}

/// I4: each pair, in both orders, as a fault may see what another one made of the stream.
#[test]
fn each_pair_of_effects_delivers_every_byte() {
    within(secs(90), || {
        let mut routes = Vec::new();
        for (first, a) in HARMLESS {
            for (second, b) in HARMLESS {
                if first != second {
                    routes.push((format!("{first}-{second}"), faults(&[a, b])));
                }
            }
        }
        let daemon = deliver_both_ways(&routes, SIZE);
        all_fired(&daemon, &routes, 2);
    });
}

/// I5: all of them at once, in any order, with random parameters and little or much room to hold bytes.
#[test]
fn all_effects_at_once_deliver_every_byte_whatever_their_parameters() {
    within(secs(120), || {
        let routes: Vec<_> = (0..200).map(|seed| (format!("seed-{seed}"), everything(seed))).collect();
        deliver_both_ways(&routes, SIZE);
    });
}

/// Every effect once, with parameters and an order that follow from the seed.
fn everything(seed: u64) -> String {
    let mut place = 0;
    let mut draw = |from: u64, to: u64| {
        let mut bytes = [0; 8];
        Pattern(seed ^ 0xfa17).fill(place, &mut bytes);
        place += 8;
        from + u64::from_le_bytes(bytes) % (to - from)
    };
    let shape = ["uniform", "normal", "pareto"][draw(0, 3) as usize];
    let size = draw(64, 5000);
    let after = [format!("{}ms", draw(0, 50)), draw(0, SIZE + 1).to_string()][draw(0, 2) as usize].clone();
    let mut items = vec![
        format!("latency: {{delay: {}us, direction: both, name: fixed}}", draw(0, 20_000)),
        format!(
            "latency: {{delay: {}us, jitter: {}us, distribution: {shape}, direction: both}}",
            draw(0, 10_000),
            draw(0, 10_000)
        ),
        format!(
            "bandwidth: {{rate: {}KiB/s, burst: {}, direction: both}}",
            draw(1024, 20_480),
            draw(1, 100_000)
        ),
        format!("slice: {{size: {size}, variation: {}, direction: both}}", draw(0, size)),
        format!(
            "loss: {{rate: 0.0{}, correlation: 0.{}, rto: {}us, direction: both}}",
            draw(0, 10),
            draw(0, 6),
            draw(100, 3000)
        ),
        format!("slowClose: {{delay: {}ms, direction: both}}", draw(0, 50)),
        format!("stall: {{after: {after}, hold: {}ms, direction: both}}", draw(1, 60)),
        "noop: {direction: both}".to_owned(),
    ];
    for i in (1..items.len()).rev() {
        items.swap(i, draw(0, i as u64 + 1) as usize);
    }
    let held = ["24KiB", "100KiB", "1MiB"][draw(0, 3) as usize];
    format!("{}, limits: {{held: {held}}}", faults(&items))
}
