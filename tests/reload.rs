//! A reload makes the running state equal to the file: as a diff, whole or not at all, while connections go on.

#![allow(clippy::disallowed_types, clippy::disallowed_methods, reason = "over real sockets time is real")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should say so loudly")]

mod support;

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rustix::process::Signal;
use support::*;

fn ping(stream: &mut TcpStream) -> std::io::Result<()> {
    let mut byte = [0];
    stream.write_all(b"x")?;
    stream.read_exact(&mut byte)
}

fn reload(daemon: &Daemon, setup: &Setup) {
    std::fs::write(daemon.config(), setup.text()).unwrap();
    daemon.signal(Signal::HUP);
}

fn applied(daemon: &Daemon, generation: u64) -> Event {
    daemon.wait_for("a generation", secs(5), |event| {
        event.text("event") == "config.applied" && event.number("generation") == generation
    })
}

fn changes(event: &Event) -> Vec<&str> {
    let changes = event.fields["changes"].as_array();
    changes.into_iter().flatten().filter_map(serde_json::Value::as_str).collect()
}

#[test]
fn a_changed_fault_reaches_connections_that_live_and_the_rest_is_left_alone() {
    within(secs(20), || {
        let daemon = Setup::routes([
            route("it", "builtin:echo", "faults: [{latency: {delay: 10s}}]"),
            route("other", "builtin:echo", ""),
        ])
        .start();
        let mut live = connect(daemon.address("it"));
        let mut other = connect(daemon.address("other"));
        live.write_all(b"x").unwrap();
        ping(&mut other).unwrap();
        reload(
            &daemon,
            &Setup::routes([
                route("it", "builtin:echo", "faults: [{latency: {delay: 1ms}}]"),
                route("other", "builtin:echo", ""),
                route("new", "builtin:echo", ""),
            ]),
        );
        let event = applied(&daemon, 2);
        assert_eq!(changes(&event), ["it.latency.delay 10s → 1ms", "+ route new"]);
        assert_eq!(event.text("by"), "signal");
        live.set_read_timeout(Some(secs(2))).unwrap();
        live.read_exact(&mut [0]).unwrap();
        ping(&mut other).unwrap();
        ping(&mut connect(daemon.address("new"))).unwrap();
    });
}

#[test]
fn a_removed_route_closes_its_port_and_lets_its_connections_finish_until_the_drain_timeout() {
    within(secs(20), || {
        let routes = [route("it", "builtin:echo", ""), route("gone", "builtin:echo", "")];
        let daemon = Setup::routes(routes.clone()).top("drainTimeout: 1s").start();
        let gone = daemon.address("gone");
        let mut live = connect(gone);
        ping(&mut live).unwrap();
        reload(&daemon, &Setup::routes([routes[0].clone()]).top("drainTimeout: 1s"));
        applied(&daemon, 2);
        daemon.wait_for("it closes", secs(1), |event| event.is("route.closed", "gone"));
        assert_eq!(TcpStream::connect(gone).unwrap_err().kind(), ErrorKind::ConnectionRefused);
        ping(&mut live).unwrap();
        let closed = daemon.wait_closed("gone", 1, secs(5));
        assert_eq!(closed.text("ending"), "drain");
        assert_eq!(ping(&mut live).unwrap_err().kind(), ErrorKind::ConnectionReset);
    });
}

#[test]
fn a_bad_file_changes_nothing_says_where_and_signals_still_work() {
    within(secs(30), || {
        let good = Setup::route("it", "builtin:echo", "");
        let mut daemon = good.start();
        let bad = [
            (
                "routes: [{localPort: 1, upstream: 'a:1', dropRate: 1.4}]\n",
                ":1:52 dropRate 1.4 is not within 0..1",
            ),
            ("routes: [\n", ":1:9 a bracket is not closed"),
            ("", ": the document is empty"),
            ("\u{feff}\0", ""),
        ];
        for (n, (text, expected)) in bad.iter().enumerate() {
            std::fs::write(daemon.config(), text).unwrap();
            daemon.signal(Signal::HUP);
            let refused = daemon
                .events
                .wait_for_n(n + 1, "a refusal", secs(5), |event| event.text("event") == "config.refused");
            let error = refused[n].text("error");
            assert!(error.contains(expected), "{error}");
            assert_eq!((refused[n].number("generation"), refused[n].text("by")), (1, "signal"));
        }
        std::fs::remove_file(daemon.config()).unwrap();
        daemon.signal(Signal::HUP);
        let missing = |event: &Event| event.text("error").contains("there is no such file");
        daemon.wait_for("a refusal", secs(5), missing);
        ping(&mut connect(daemon.address("it"))).unwrap();
        reload(&daemon, &Setup::routes([route("it", "builtin:echo", "latencyMs: 1")]));
        assert_eq!(changes(&applied(&daemon, 2)).len(), 1);
        daemon.signal(Signal::TERM);
        assert_eq!(daemon.exit_code(secs(5)).0, Some(0));
    });
}

#[test]
fn what_needs_a_restart_is_refused_and_what_is_left_out_stays_as_it_runs() {
    within(secs(20), || {
        let routes = || Setup::route("it", "builtin:echo", "").arguments(&[]);
        let daemon = routes().top("seed: 7").start();
        for (line, key) in [("seed: 8", "seed"), ("log: {format: text}", "log.format")] {
            reload(&daemon, &routes().top(line));
            let told = format!("`{key}` cannot change while the daemon runs: it needs a restart");
            daemon.wait_for("a refusal", secs(5), |event| event.text("error") == told);
        }
        reload(&daemon, &routes().top("drainTimeout: 3s"));
        let event = applied(&daemon, 2);
        assert_eq!(changes(&event), ["drainTimeout 25s → 3s"]);
        assert_eq!(event.number("seed"), 7);
    });
}

#[test]
fn the_log_level_changes_with_a_reload() {
    within(secs(20), || {
        let setup = || Setup::route("it", "builtin:echo", "");
        let daemon = setup().start();
        reload(&daemon, &setup().top("log: {level: warn}"));
        applied(&daemon, 2);
        // Reloads come one after the other: when one is refused, the one before it is done.
        let refuse = |n| {
            std::fs::write(daemon.config(), "routes: [\n").unwrap();
            daemon.signal(Signal::HUP);
            let refused = |event: &Event| event.text("event") == "config.refused";
            daemon.events.wait_for_n(n, "a refusal", secs(5), refused);
        };
        refuse(1);
        let told = |event: &Event| event.text("event").starts_with("connection.");
        let before = daemon.events.count(told);
        ping(&mut connect(daemon.address("it"))).unwrap();
        refuse(2);
        assert_eq!(daemon.events.count(told), before, "as loud as before");
        reload(&daemon, &setup().top("log: {level: info}"));
        applied(&daemon, 3);
    });
}

/// 200 reloads while 200 clients a second come and 100 stay: nobody is dropped or refused, and the last file is in force.
#[test]
fn reloads_under_load_drop_nobody() {
    within(secs(60), || {
        let _alone = heavy();
        let setup = |n: u64| {
            Setup::routes([
                route("it", "builtin:echo", &format!("faults: [{{latency: {{delay: {}us}}}}]", 100 + n)),
                route("steady", "builtin:echo", ""),
                route(&format!("extra-{}", n % 3), "builtin:echo", ""),
            ])
        };
        let daemon = setup(0).start();
        let addresses = [daemon.address("it"), daemon.address("steady")];
        let mut long: Vec<TcpStream> = (0..100).map(|n| connect(addresses[n % 2])).collect();
        long.iter_mut().for_each(|stream| ping(stream).unwrap());
        let before = descriptors(daemon.pid());

        let over = Arc::new(AtomicBool::new(false));
        let their_over = over.clone();
        let coming = std::thread::spawn(move || {
            let (mut served, begun) = (0u64, Instant::now());
            while !their_over.load(Ordering::Relaxed) {
                let mut stream = TcpStream::connect(addresses[(served % 2) as usize]).unwrap();
                stream.set_read_timeout(Some(secs(10))).unwrap();
                ping(&mut stream).unwrap();
                served += 1;
                std::thread::sleep(
                    (begun + Duration::from_millis(5) * served as u32)
                        .saturating_duration_since(Instant::now()),
                );
            }
            served
        });
        for n in 1..=200 {
            reload(&daemon, &setup(n));
            applied(&daemon, n + 1);
            std::thread::sleep(ms(25));
        }
        over.store(true, Ordering::Relaxed);
        let served = coming.join().unwrap();
        assert!(served > 500, "{served}");
        for stream in &mut long {
            ping(stream).unwrap();
        }
        assert_eq!(daemon.events.count(|event| event.text("event") == "config.refused"), 0);
        let unusual =
            |event: &Event| event.text("event") == "connection.closed" && event.text("ending") != "peer-fin";
        assert_eq!(daemon.events.count(unusual), 0);
        eventually(secs(10), "descriptors are as before", || descriptors(daemon.pid()) <= before + 2);
        assert_eq!(
            daemon
                .events
                .count(|event| event.is("connection.opened", "it") || event.is("connection.opened", "steady"))
                as u64,
            served + 100
        );
    });
}

/// `for` counts from a fault's arrival: a reload that leaves its item as it was does not bring it back, a changed one does.
#[test]
fn an_expired_fault_stays_gone_until_its_item_changes() {
    within(secs(20), || {
        let setup = |span: &str, rest: &str| {
            let faults = format!("faults: [{{latency: {{delay: 1ms, for: {span}}}}}]{rest}");
            Setup::routes([route("it", "builtin:echo", &faults)])
        };
        let daemon = setup("50ms", "").start();
        let gone = |n| {
            daemon.events.wait_for_n(n, "it expires", secs(5), |event| event.is("fault.expired", "it"));
        };
        gone(1);
        reload(&daemon, &setup("50ms", ", timeouts: {connect: 1s}"));
        assert_eq!(changes(&applied(&daemon, 3)), ["it.timeouts.connect 5s → 1s"]);
        reload(&daemon, &setup("60ms", ""));
        assert_eq!(changes(&applied(&daemon, 4)).len(), 2);
        gone(2);
    });
}

/// What the API changed is undone by a reload, and listed; a reload during a drain is refused, and the drain goes on.
#[test]
fn a_reload_undoes_what_was_changed_since_and_is_refused_while_draining() {
    within(secs(20), || {
        let mut daemon =
            Setup::routes([route("it", "builtin:echo", ""), route("b", "builtin:echo", "")]).admin().start();
        let api = daemon.api();
        api.post("/v1/routes/it/faults", "{\"latency\": {\"delay\": \"1ms\"}}").expect(201);
        api.post("/v1/routes/b/close", "").expect(200);
        let body = "{\"name\": \"new\", \"localPort\": \"auto\", \"upstream\": \"builtin:echo\"}";
        api.post("/v1/routes", body).expect(201);
        let reloaded = api.post("/v1/reload", "").expect(200);
        let expected = serde_json::json!(["it - latency", "b.enabled false → true", "- route new"]);
        let sorted = |list: &serde_json::Value| {
            let mut list: Vec<String> =
                list.as_array().unwrap().iter().map(|text| text.as_str().unwrap().to_owned()).collect();
            list.sort();
            list
        };
        assert_eq!(sorted(&reloaded["changes"]), sorted(&expected));
        assert_eq!(sorted(&reloaded["undone"]), sorted(&expected));
        assert_eq!(reloaded["generation"], 5);

        let mut live = connect(daemon.address("it"));
        ping(&mut live).unwrap();
        daemon.signal(Signal::TERM);
        daemon.wait_for("it drains", secs(5), |event| event.text("event") == "drain.begun");
        eventually(secs(5), "it is not ready", || api.get("/readyz").status == 503);
        assert_eq!(api.get("/livez").status, 200);
        assert_eq!(api.post("/v1/reload", "").status, 409);
        assert_eq!(api.patch("/v1/routes/it", "{\"latencyMs\": 1}").status, 409);
        assert_eq!(api.get("/v1/status").expect(200)["draining"], true);
        daemon.signal(Signal::HUP);
        ping(&mut live).unwrap();
        drop(live);
        assert_eq!(daemon.exit_code(secs(5)).0, Some(0));
    });
}

/// However many signals come while a reload is under way, the last file is what is in force in the end.
#[test]
fn the_last_of_many_files_wins() {
    within(secs(20), || {
        let setup =
            |n: u64| Setup::routes([route("it", "builtin:echo", &format!("timeouts: {{connect: {n}ms}}"))]);
        let daemon = setup(1).start();
        for n in 2..=300 {
            reload(&daemon, &setup(n));
        }
        daemon.wait_for("the last file", secs(10), |event| {
            changes(event).iter().any(|change| change.ends_with("→ 300ms"))
        });
    });
}
