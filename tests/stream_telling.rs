//! What stream faults did can be proved: each firing is told once per connection and direction, with the draw that chose
//! the connection, and what it came to is told when the connection closes.

#![allow(clippy::disallowed_types, clippy::disallowed_methods, reason = "over real sockets time is real")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should say so loudly")]

mod support;

use serde_json::Value;
use support::*;

const SIZE: u64 = 64 << 10;

/// Closes both ends and gives what the log says of the connection's end.
fn closed(daemon: &Daemon, route: &str, number: u64) -> Event {
    daemon.wait_closed(route, number, secs(5))
}

/// The entry of a fault and a direction in `faults` of `connection.closed`.
fn deed<'a>(closed: &'a Event, fault: &str, direction: &str) -> &'a Value {
    let all = closed.fields["faults"].as_array().unwrap_or_else(|| panic!("no faults in {}", closed.fields));
    let mut these = all.iter().filter(|deed| deed["fault"] == fault && deed["direction"] == direction);
    let found = these.next().unwrap_or_else(|| panic!("no {fault} {direction} in {}", closed.fields));
    assert!(these.next().is_none(), "twice {fault} {direction} in {}", closed.fields);
    found
}

/// However many bytes a fault acts upon, it fires once on each connection in each of its directions.
#[test]
fn a_firing_is_told_once_per_connection_and_direction() {
    within(secs(30), || {
        let items = [
            "noop: {direction: both}",
            "latency: {delay: 1ms, direction: both}",
            "slice: {size: 100, direction: both}",
            "corrupt: {rate: 0, direction: both}",
            "slowClose: {delay: 1ms}",
            "loss: {rate: 1, rto: 1ms, direction: upstream}",
        ];
        let listener = Listener::new();
        let daemon = Setup::route("it", listener.address(), &faults(&items)).start();
        for number in 1..=5 {
            let (client, server) = pair(&daemon, "it", &listener);
            both_ways(&client, &server, SIZE);
            let closed = closed(&daemon, "it", number);
            let fired = daemon
                .events
                .all(|event| event.is("fault.fired", "it") && event.number("connection") == number);
            let mut seen: Vec<_> = fired
                .iter()
                .map(|event| format!("{} {}", event.text("fault"), event.text("direction")))
                .collect();
            seen.sort_unstable();
            // One that changes no byte does not fire.
            let expected = [
                "latency downstream",
                "latency upstream",
                "loss upstream",
                "noop downstream",
                "noop upstream",
                "slice downstream",
                "slice upstream",
                "slowClose downstream",
            ];
            assert_eq!(seen, expected);
            for event in &fired {
                assert_eq!(event.text("effect"), event.text("fault"));
                assert_eq!(event.fields["id"], closed.fields["id"]);
                assert_eq!(
                    (&event.fields["draw"], &event.fields["probability"]),
                    (&Value::Null, &Value::Null)
                );
            }
        }
    });
}

/// A connection that chance chose is told with its draw, which is below the probability; one that it spared is not told.
#[test]
fn a_firing_carries_its_draw() {
    within(secs(30), || {
        let item = "noop: {probability: 0.4, direction: both, name: sometimes}";
        let daemon = Setup::route("it", "builtin:echo", &faults(&[item])).start();
        for _ in 0..100 {
            let client = connect(daemon.address("it"));
            shut(&client);
            assert_eq!(read_byte(&client), Err(End::Fin));
        }
        daemon.events.wait_for_n(100, "all closed", secs(10), |event| event.is("connection.closed", "it"));
        let mut both = [0, 0];
        for event in daemon.events.all(|event| event.is("fault.fired", "it")) {
            assert_eq!((event.text("fault"), event.text("effect")), ("sometimes", "noop"));
            let draw = event.fields["draw"].as_f64().unwrap();
            assert!((0.0..0.4).contains(&draw), "{}", event.fields);
            assert_eq!(event.fields["probability"].as_f64(), Some(0.4));
            both[usize::from(event.text("direction") == "upstream")] += 1;
        }
        // Seed 42 decides, each way on its own; the bounds are those of 100 draws at 0.4, once in 1e9.
        assert!(both.iter().all(|count| (12..=70).contains(count)), "{both:?}");
    });
}

/// What a fault came to is told when the connection closes: bytes changed, cut or swallowed, segments lost, the longest
/// delay; and a fault that did not act leaves no trace.
#[test]
fn amounts_are_told_at_the_end() {
    within(secs(30), || {
        let listener = Listener::new();
        let line = |name, items: &[&str]| route(name, listener.address(), &faults(items));
        let daemon = Setup::routes([
            line("corrupt", &["corrupt: {rate: 0.01}", "noop: {probability: 0}"]),
            line("latency", &["latency: {delay: 20ms}", "latency: {delay: 30ms, direction: upstream}"]),
            line("slice", &["slice: {size: 1KiB}", "loss: {rate: 1, rto: 1ms, direction: upstream}"]),
            line("hole", &["blackhole: {closeAfter: 200ms, direction: upstream}"]),
            line("plain", &["noop: {enabled: false}", "limit: {bytes: 1GiB}"]),
        ])
        .start();

        let (client, server) = pair(&daemon, "corrupt", &listener);
        send(&server, DOWN, 0, SIZE);
        drop(server);
        let (seen, _) = read_all(&client);
        drop(client);
        let changed = DOWN.bytes(SIZE as usize).iter().zip(&seen).filter(|(a, b)| a != b).count();
        let end = closed(&daemon, "corrupt", 1);
        assert_eq!(deed(&end, "corrupt", "downstream")["amount"], changed);
        assert_eq!(end.fields["faults"].as_array().unwrap().len(), 1, "{}", end.fields);

        for name in ["latency", "slice", "plain"] {
            let (client, server) = pair(&daemon, name, &listener);
            both_ways(&client, &server, SIZE);
        }
        let end = closed(&daemon, "latency", 1);
        assert_eq!(deed(&end, "latency", "downstream")["delayMs"], 20.0);
        assert_eq!(deed(&end, "latency-upstream", "upstream")["delayMs"], 30.0);
        let end = closed(&daemon, "slice", 1);
        // A cut for each of 64 pieces but the last one; none where a read ended there by itself.
        let cuts = deed(&end, "slice", "downstream")["amount"].as_u64().unwrap();
        assert!((32..64).contains(&cuts), "{}", end.fields);
        // 1,460 bytes a segment at most.
        let lost = deed(&end, "loss", "upstream");
        assert!(lost["amount"].as_u64().unwrap() >= SIZE.div_ceil(1460), "{lost}");
        assert!(lost["delayMs"].as_f64().unwrap() >= 1.0, "{lost}");
        assert_eq!(closed(&daemon, "plain", 1).fields["faults"], Value::Null);

        let (client, server) = pair(&daemon, "hole", &listener);
        send(&client, UP, 0, 5000);
        assert_eq!(read_byte(&server), Err(End::Fin));
        drop((client, server));
        let end = closed(&daemon, "hole", 1);
        assert_eq!((end.text("ending"), end.text("fault")), ("fault", "blackhole"));
        assert_eq!(deed(&end, "blackhole", "upstream")["amount"], 5000);
        assert_eq!(end.bytes(), (0, 0));
    });
}
