//! Whom a stream fault befalls: the same connections for the same seed, whatever else is configured and however many
//! connect at once; as many and which ones as its triggers say; and no longer than it lasts.

#![allow(clippy::disallowed_types, clippy::disallowed_methods, reason = "over real sockets time is real")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should say so loudly")]

mod support;

use std::collections::BTreeSet;
use std::io::Write;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Instant;

use support::*;

const CLIENTS: usize = 200;

/// A client sends a byte and gets it back, or is reset, be it before it has sent anything.
fn echo_or_reset(client: Result<Client, End>) -> Result<u8, End> {
    let client = client?;
    let mut writer = &client;
    match writer.write_all(b"x") {
        Ok(()) => read_byte(&client),
        Err(_) => Err(End::Reset),
    }
}

/// So many clients, `at_once` of them at the same time; how many were reset.
fn visit(address: SocketAddr, at_once: usize) -> usize {
    let (next, reset) = (AtomicUsize::new(0), AtomicUsize::new(0));
    thread::scope(|scope| {
        for _ in 0..at_once {
            scope.spawn(|| {
                while next.fetch_add(1, Ordering::SeqCst) < CLIENTS {
                    match echo_or_reset(connect_or_reset(address)) {
                        Ok(byte) => assert_eq!(byte, b'x'),
                        Err(end) => {
                            assert_eq!(end, End::Reset);
                            reset.fetch_add(1, Ordering::SeqCst);
                        }
                    }
                }
            });
        }
    });
    reset.into_inner()
}

/// The numbers of the connections of a route that a fault of this name befell.
fn befallen(daemon: &Daemon, route: &str, fault: &str) -> BTreeSet<u64> {
    let of_fault = |event: &Event| event.is("fault.fired", route) && event.text("fault") == fault;
    daemon.events.all(of_fault).iter().map(|event| event.number("connection")).collect()
}

/// The connections that are reset with a seed, a list of faults, and other routes.
fn resets(seed: &str, items: &[&str], more: &[String], at_once: usize) -> BTreeSet<u64> {
    let routes = [route("it", "builtin:echo", &faults(items))].into_iter().chain(more.iter().cloned());
    let daemon = Setup::routes(routes).arguments(&["--seed", seed]).start();
    if !more.is_empty() {
        visit(daemon.address("other"), at_once);
    }
    let reset = visit(daemon.address("it"), at_once);
    daemon.events.wait_for_n(CLIENTS, "all closed", secs(20), |event| event.is("connection.closed", "it"));
    let befallen = befallen(&daemon, "it", "reset");
    assert_eq!(befallen.len(), reset, "as many as the clients saw");
    befallen
}

/// S1, S4, S11: the list of connections that are reset follows from the seed alone. The same again, one after the other or
/// 32 at a time, behind another fault, before another fault, beside another route; and another seed has another list.
#[test]
fn the_same_seed_resets_the_same_connections() {
    const RESET: &str = "reset: {probability: 0.3}";
    const OTHERS: [&str; 2] =
        ["latency: {delay: 1ms, jitter: 1ms, probability: 0.5, direction: both}", "noop: {probability: 0.7}"];
    within(secs(60), || {
        let first = resets("42", &[RESET], &[], 1);
        assert!((26..=98).contains(&first.len()), "{} of 200 at 0.3", first.len());
        assert_eq!(resets("42", &[RESET], &[], 1), first, "again");
        assert_eq!(resets("42", &[RESET], &[], 32), first, "32 at a time");
        assert_eq!(resets("42", &[OTHERS[0], OTHERS[1], RESET], &[], 1), first, "behind other faults");
        assert_eq!(resets("42", &[RESET, OTHERS[1], OTHERS[0]], &[], 32), first, "before other faults");
        let other = [route("other", "builtin:echo", &faults(&["reset: {probability: 0.5}"]))];
        assert_eq!(resets("42", &[RESET], &other, 32), first, "beside another route");
        assert_ne!(resets("43", &[RESET], &[], 1), first, "another seed");
    });
}

/// `skip`, then `every` over what is left, then `times` over the chosen; for each direction on its own.
#[test]
fn skip_every_and_times_choose_by_number() {
    within(secs(30), || {
        let items = [
            ("skip: 3", "4 5 6 7 8 9 10 11 12"),
            ("every: 4", "1 5 9"),
            ("times: 2", "1 2"),
            ("skip: 2, every: 3, times: 3", "3 6 9"),
            ("skip: 1, times: 2", "2 3"),
            ("enabled: false", ""),
        ];
        let faults_of = items.map(|(trigger, _)| {
            let name = trigger.replace([':', ',', ' '], "");
            (name.clone(), format!("noop: {{{trigger}, name: {name}, direction: both}}"))
        });
        let lines: Vec<_> =
            faults_of.iter().map(|(_, line)| line.as_str()).chain(["reset: {skip: 10, times: 1}"]).collect();
        let daemon = Setup::route("it", "builtin:echo", &faults(&lines)).start();
        for number in 1..=12 {
            let expected = if number == 11 { Err(End::Reset) } else { Ok(b'x') };
            assert_eq!(
                echo_or_reset(connect_or_reset(daemon.address("it"))),
                expected,
                "connection {number}"
            );
        }
        daemon.events.wait_for_n(12, "all closed", secs(10), |event| event.is("connection.closed", "it"));
        for ((_, expected), (name, _)) in items.iter().zip(&faults_of) {
            let expected: BTreeSet<u64> = expected.split_whitespace().map(|n| n.parse().unwrap()).collect();
            assert_eq!(befallen(&daemon, "it", name), expected, "{name}");
            let fired = daemon
                .events
                .count(|event| event.text("event") == "fault.fired" && event.text("fault") == name);
            assert_eq!(fired, 2 * expected.len(), "{name}: once each way");
        }
    });
}

/// `client` looks at the socket's peer, and those it does not mean do not count for `times`.
#[test]
fn client_chooses_by_address() {
    within(secs(30), || {
        // With the first byte, so that no connect meets it.
        let item = "reset: {after: 0B, direction: upstream, client: 127.0.0.8/30, times: 2}";
        let daemon = Setup::route("it", "builtin:echo", &faults(&[item])).start();
        let visits = [(7, false), (8, true), (1, false), (11, true), (9, false), (12, false)];
        for (last, is_reset) in visits {
            let client = connect_from([127, 0, 0, last].into(), daemon.address("it"));
            let expected = if is_reset { Err(End::Reset) } else { Ok(b'x') };
            assert_eq!(echo_or_reset(Ok(client)), expected, "127.0.0.{last}");
        }
    });
}

/// A fault that is `for` a second goes by itself, on connections where nothing moves: what it held comes out in order with
/// its end, an ending it had in mind is called off, and from then on bytes pass at once. The log says so once a fault.
#[test]
fn a_fault_expires_on_idle_connections() {
    within(secs(30), || {
        let listener = Listener::new();
        let line = |name, item| route(name, listener.address(), &faults(&[item]));
        let lines = [
            line("latency", "latency: {delay: 60s, for: 1s}"),
            line("stall", "stall: {for: 1s}"),
            line("limit", "limit: {bytes: 100, then: stall, for: 1s}"),
            line("reset", "reset: {after: 1500ms, for: 1s}"),
        ];
        // The faults arrive after this moment.
        let before = Instant::now();
        let daemon = Setup::routes(lines).start();
        let names = ["latency", "stall", "limit", "reset"];
        let pairs = names.map(|name| pair(&daemon, name, &listener));
        for (_, server) in &pairs {
            send(server, DOWN, 0, 50_000);
        }
        shut(&pairs[0].1);
        // What the limit lets through and what the reset does not touch comes before the expiry.
        assert_eq!(receive(&pairs[2].0, DOWN, 0, 100), 100);
        assert_eq!(receive(&pairs[3].0, DOWN, 0, 50_000), 50_000);
        assert_eq!(read_end(&pairs[0].0, DOWN, 0, ms(0)), (50_000, End::Fin));
        assert!(before.elapsed() >= secs(1), "held bytes came after {:?}", before.elapsed());
        assert_eq!(receive(&pairs[1].0, DOWN, 0, 50_000), 50_000);
        assert_eq!(receive(&pairs[2].0, DOWN, 100, 50_000), 50_000);
        for name in names {
            let expired = daemon.wait_for("it expires", secs(5), |event| event.is("fault.expired", name));
            assert_eq!((expired.text("fault"), expired.text("effect")), (name, name));
            assert!(expired.seen - before >= secs(1));
        }
        // Past the time of the reset that was called off, everything is as if there had never been a fault.
        thread::sleep(ms(1700).saturating_sub(before.elapsed()));
        for (client, server) in &pairs[1..] {
            best_of_three("a byte without a fault", ms(20), || {
                timed(|| {
                    let mut writer = server;
                    writer.write_all(b"x").unwrap();
                    assert_eq!(read_byte(client), Ok(b'x'));
                })
            });
        }
        assert_eq!(daemon.events.count(|event| event.text("event") == "fault.expired"), 4);
        let new = pair(&daemon, "stall", &listener);
        both_ways(&new.0, &new.1, 10_000);
    });
}
