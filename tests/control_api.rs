//! The control API over real sockets: what is changed is in force when the answer comes, whole or not at all.

#![allow(clippy::disallowed_types, clippy::disallowed_methods, reason = "over real sockets time is real")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should say so loudly")]

mod support;

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

use serde_json::{Value, json};
use support::*;

fn ping(stream: &mut TcpStream) -> std::io::Result<()> {
    let mut byte = [0];
    stream.write_all(b"x")?;
    stream.read_exact(&mut byte)
}

fn generation(api: Api) -> u64 {
    api.get("/v1/status").expect(200)["generation"].as_u64().unwrap()
}

#[test]
fn the_configuration_in_force_can_be_put_back_and_changes_nothing() {
    within(secs(20), || {
        let rest =
            "dropRate: 0.1, latencyMs: 5, jitterMs: 2, faults: [{reset: {after: 10KiB, for: 1h}}, noop]";
        let daemon = Setup::routes([route("it", "builtin:echo", rest), route("other", "127.0.0.1:9", "")])
            .admin()
            .start();
        let api = daemon.api();
        let got = api.get("/v1/config");
        assert_eq!(got.status, 200);
        assert_eq!(got.json()["seed"], 42);
        let etag = got.header("etag").to_owned();
        let put = api.ask("PUT", "/v1/config", &[&format!("If-Match: {etag}")], &got.text()).expect(200);
        assert_eq!(put, json!({"generation": 1, "changed": false, "changes": [], "undone": []}));

        let mut document = got.json();
        document["routes"][0]["faults"][1]["delay"]["delay"] = json!("7ms");
        document["routes"].as_array_mut().unwrap().remove(1);
        let checked = api.post("/v1/config/check", &document.to_string()).expect(200);
        assert_eq!(checked["changes"], json!(["- route other", "it.delay.delay 5ms → 7ms"]));
        assert_eq!(generation(api), 1);
        let put = api.put("/v1/config", &document.to_string()).expect(200);
        assert_eq!((&put["generation"], &put["changes"]), (&json!(2), &checked["changes"]));
        let stale = api.ask("PUT", "/v1/config", &[&format!("If-Match: {etag}")], &got.text());
        assert_eq!(stale.status, 412);

        document["seed"] = json!(43);
        let refused = api.put("/v1/config", &document.to_string());
        assert_eq!((refused.status, refused.json()["pointer"].as_str()), (422, Some("/seed")));
        let restored = api.post("/v1/restore", "").expect(200);
        assert_eq!(restored["generation"], 3);
        assert_eq!(api.get("/v1/config").text(), got.text());
        let reloaded = api.post("/v1/reload", "").expect(200);
        assert_eq!(reloaded["changed"], false);
    });
}

/// Who connects in a tight loop never meets a route without its faults.
#[test]
fn a_route_comes_with_its_faults_and_no_client_slips_through() {
    within(secs(30), || {
        let daemon = Setup::route("base", "builtin:echo", "").admin().start();
        let (api, port) = (daemon.api(), unused_port());
        let over = Arc::new(AtomicBool::new(false));
        let met = Arc::new(AtomicU64::new(0));
        let (their_over, their_met) = (over.clone(), met.clone());
        let knocking = std::thread::spawn(move || {
            let mut slipped = 0u64;
            while !their_over.load(Ordering::Relaxed) {
                let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)) else { continue };
                stream.set_read_timeout(Some(secs(5))).unwrap();
                their_met.fetch_add(1, Ordering::Relaxed);
                // Every connection is dropped, so an echo is one that slipped through.
                if ping(&mut stream).is_ok() {
                    slipped += 1;
                }
            }
            slipped
        });
        let body = json!({"name": "it", "localPort": port, "upstream": "builtin:echo", "faults": [{"drop": {"how": "reset"}}]});
        for _ in 0..50 {
            let made = api.post("/v1/routes", &body.to_string());
            assert_eq!(made.header("location"), "/v1/routes/it");
            let made = made.expect(201);
            assert_eq!(made["state"]["listen"], format!("127.0.0.1:{port}"));
            let before = met.load(Ordering::Relaxed);
            eventually(secs(5), "somebody has come", || met.load(Ordering::Relaxed) > before);
            api.delete("/v1/routes/it?connections=reset").expect(204);
        }
        over.store(true, Ordering::Relaxed);
        assert_eq!(knocking.join().unwrap(), 0, "slipped through");
    });
}

#[test]
fn a_bad_body_says_where_and_what_instead_and_changes_nothing() {
    within(secs(20), || {
        let daemon = Setup::routes([route("it", "builtin:echo", "")]).admin().start();
        let api = daemon.api();
        let cases = [
            (
                "POST",
                "/v1/routes",
                json!({"name": "x", "localPort": "auto", "upstream": "a:1", "dropRate": 1.4}),
                422,
                "/dropRate",
            ),
            (
                "POST",
                "/v1/routes",
                json!({"name": "it", "localPort": "auto", "upstream": "a:1"}),
                409,
                "/name",
            ),
            ("POST", "/v1/routes", json!({"name": "x", "localPort": "auto"}), 422, ""),
            ("PATCH", "/v1/routes/it", json!({"upstream": "http://a:1"}), 422, "/upstream"),
            (
                "PUT",
                "/v1/routes/it",
                json!({"name": "x", "localPort": "auto", "upstream": "a:1"}),
                422,
                "/name",
            ),
            ("POST", "/v1/routes/it/faults", json!({"latencey": {"delay": "1s"}}), 422, "/latencey"),
            ("POST", "/v1/routes/it/faults", json!({"latency": {"delay": 5}}), 422, "/latency/delay"),
            ("POST", "/v1/routes/none/faults", json!({"noop": {}}), 404, ""),
            ("POST", "/v1/routes/it/close", json!({"connections": "maybe"}), 422, "/connections"),
        ];
        for (method, path, body, status, pointer) in cases {
            let answer = api.ask(method, path, &[], &body.to_string());
            let problem = answer.json();
            assert_eq!(answer.header("content-type"), "application/problem+json", "{problem}");
            assert_eq!(
                (answer.status, problem["status"].as_u64()),
                (status, Some(u64::from(status))),
                "{problem}"
            );
            assert_eq!(problem["pointer"].as_str().unwrap_or_default(), pointer, "{problem}");
            assert!(!problem["detail"].as_str().unwrap().is_empty());
        }
        let answer = api.post("/v1/routes", "{\"name\": ");
        assert_eq!(answer.status, 400);
        let typo = api.post("/v1/routes/it/faults", "{\"latencey\": {}}").json();
        assert!(typo.to_string().contains("latency"), "{typo}");
        assert_eq!(generation(api), 1);
    });
}

#[test]
fn one_of_two_who_edit_the_same_is_told() {
    within(secs(20), || {
        let daemon = Setup::routes([route("it", "builtin:echo", "")]).admin().start();
        let api = daemon.api();
        let etag = format!("If-Match: {}", api.get("/v1/routes/it").header("etag"));
        let first = api.ask("PATCH", "/v1/routes/it", &[&etag], "{\"latencyMs\": 1}");
        assert_eq!(first.status, 200);
        let second = api.ask("PATCH", "/v1/routes/it", &[&etag], "{\"latencyMs\": 2}");
        assert_eq!(second.status, 412);
        let etag = format!("If-Match: {}", first.header("etag"));
        let fired = connect(daemon.address("it"));
        drop(fired);
        // What happens on a route is not its configuration: the tag stays.
        assert_eq!(api.ask("DELETE", "/v1/routes/it", &[&etag], "").status, 204);
    });
}

#[test]
fn live_connections_are_seen_and_ended_one_by_one() {
    within(secs(20), || {
        let upstream = Upstream::echo();
        let daemon = Setup::routes([
            route("it", upstream.address, "faults: [{latency: {delay: 1ms}}]"),
            route("b", "builtin:silent", ""),
        ])
        .admin()
        .start();
        let api = daemon.api();
        let mut clients: Vec<TcpStream> = (0..3).map(|_| connect(daemon.address("it"))).collect();
        clients.iter_mut().for_each(|client| ping(client).unwrap());
        let _other = connect(daemon.address("b"));
        eventually(secs(5), "four are listed", || {
            api.get("/v1/connections").expect(200)["connections"].as_array().unwrap().len() == 4
        });
        let list = api.get("/v1/connections?route=it").expect(200);
        let list = list["connections"].as_array().unwrap();
        assert_eq!(list.len(), 3);
        assert_eq!(list[0]["client"], clients[0].local_addr().unwrap().to_string());
        assert_eq!(list[0]["upstream"], upstream.address.to_string());
        assert_eq!(list[0]["bytes"], json!({"upstream": 1, "downstream": 1}));
        assert_eq!(list[0]["faults"], json!(["latency"]));
        let page = api.get("/v1/connections?limit=2").expect(200);
        let rest = api.get(&format!("/v1/connections?limit=10&after={}", page["next"])).expect(200);
        assert_eq!(
            (page["connections"].as_array().unwrap().len(), rest["connections"].as_array().unwrap().len()),
            (2, 2)
        );
        assert_eq!(rest["next"], Value::Null);

        api.delete(&format!("/v1/connections/{}?how=reset", list[0]["id"])).expect(204);
        api.delete(&format!("/v1/connections/{}", list[1]["id"])).expect(204);
        assert_eq!(clients[0].read(&mut [0]).unwrap_err().kind(), ErrorKind::ConnectionReset);
        assert_eq!(clients[1].read(&mut [0]).unwrap(), 0);
        ping(&mut clients[2]).unwrap();
        drop(clients.remove(1));
        for number in [1, 2] {
            assert_eq!(daemon.wait_closed("it", number, secs(5)).text("ending"), "control");
        }
        assert_eq!(api.delete(&format!("/v1/connections/{}", list[0]["id"])).status, 404);
        assert_eq!(api.get("/v1/connections?route=nobody").status, 404);

        // Connections that outlive their route are seen and can be ended.
        api.delete("/v1/routes/it?connections=keep").expect(204);
        let left = api.get("/v1/connections?route=it").expect(200);
        assert_eq!(left["connections"].as_array().unwrap().len(), 1);
        ping(&mut clients[1]).unwrap();
        api.delete(&format!("/v1/connections/{}?how=reset", left["connections"][0]["id"])).expect(204);
        assert_eq!(clients[1].read(&mut [0]).unwrap_err().kind(), ErrorKind::ConnectionReset);
    });
}

/// Connections stalled in every way there is cannot keep control waiting.
#[test]
fn control_answers_at_once_while_a_hundred_connections_are_stalled() {
    within(secs(60), || {
        let _alone = heavy();
        let (deaf, _held) = unanswering();
        let kinds = [
            ("hang", "builtin:echo".to_owned(), "faults: [hang]"),
            ("delayed", "builtin:echo".to_owned(), "faults: [{delay: {delay: 1h}}]"),
            ("latency", "builtin:chargen".to_owned(), "faults: [{latency: {delay: 1h, direction: both}}]"),
            ("slow", "builtin:chargen".to_owned(), "faults: [{bandwidth: {rate: 1B/s}}]"),
            ("stall", "builtin:chargen".to_owned(), "faults: [stall]"),
            ("blackhole", "builtin:chargen".to_owned(), "faults: [{blackhole: {direction: both}}]"),
            ("unread", "builtin:chargen".to_owned(), ""),
            ("silent", "builtin:silent".to_owned(), ""),
            ("limit", "builtin:chargen".to_owned(), "faults: [{limit: {bytes: 10, then: stall}}]"),
            ("dialling", deaf.to_string(), "timeouts: {connect: 1h}"),
        ];
        let routes = kinds.iter().map(|(name, upstream, rest)| route(name, upstream, rest));
        let daemon = Setup::routes(routes).admin().start();
        let api = daemon.api();
        let clients: Vec<TcpStream> =
            kinds.iter().flat_map(|(name, ..)| (0..10).map(|_| connect(daemon.address(name)))).collect();
        clients.iter().for_each(|mut client| client.write_all(&[0; 1000]).unwrap());
        let timed = |what: &str, answer: &dyn Fn() -> Answer| {
            best_of_three(what, ms(200), || {
                let begun = Instant::now();
                let answer = answer();
                assert!([200, 201, 204].contains(&answer.status), "{what}: {}", answer.text());
                begun.elapsed()
            });
        };
        timed("config", &|| api.get("/v1/config"));
        timed("connections", &|| api.get("/v1/connections"));
        timed("metrics", &|| api.get("/metrics"));
        timed("stats", &|| api.get("/v1/stats"));
        for (name, ..) in &kinds {
            let path = format!("/v1/routes/{name}");
            best_of_three("add", ms(200), || {
                api.delete(&format!("{path}/faults/slice"));
                let begun = Instant::now();
                let body = "{\"slice\": {\"size\": 3, \"direction\": \"both\"}}";
                assert_eq!(api.post(&format!("{path}/faults"), body).status, 201);
                begun.elapsed()
            });
            timed("change", &|| api.patch(&format!("{path}/faults/slice"), "{\"slice\": {\"size\": 5}}"));
            timed("patch", &|| api.patch(&path, "{\"faults\": []}"));
            timed("close", &|| api.post(&format!("{path}/close"), "{\"connections\": \"keep\"}"));
            timed("open", &|| api.post(&format!("{path}/open"), ""));
        }
        for (name, ..) in &kinds {
            timed("end", &|| api.post(&format!("/v1/routes/{name}/close"), "{\"connections\": \"reset\"}"));
        }
        eventually(secs(5), "all are gone", || {
            api.get("/v1/connections").expect(200)["connections"].as_array().unwrap().is_empty()
        });
    });
}

/// `unread` clients apart, every kind of reader hears of everything, in order, and can go on where it was.
#[test]
fn the_event_stream_can_be_resumed() {
    within(secs(20), || {
        let daemon = Setup::routes([route("it", "builtin:echo", ""), route("other", "builtin:echo", "")])
            .admin()
            .start();
        let api = daemon.api();
        let mut events = EventStream::open(api, "/v1/events?route=it", &[]);
        for _ in 0..3 {
            ping(&mut connect(daemon.address("other"))).unwrap();
            ping(&mut connect(daemon.address("it"))).unwrap();
        }
        let mut seen = Vec::new();
        while seen.len() < 9 {
            let (id, name, data) = events.next();
            assert_eq!((data["event"].as_str(), data["route"].as_str()), (Some(name.as_str()), Some("it")));
            seen.push((id, name));
        }
        let closed = seen.iter().filter(|(_, name)| name == "connection.closed").count();
        assert!(closed >= 2, "{seen:?}");
        let mut again =
            EventStream::open(api, "/v1/events?route=it", &[&format!("Last-Event-ID: {}", seen[2].0)]);
        for expected in &seen[3..] {
            let (id, name, _) = again.next();
            assert_eq!((&id, &name), (&expected.0, &expected.1));
        }
    });
}

#[test]
fn a_slow_reader_of_events_is_told_what_it_missed() {
    within(secs(60), || {
        let _alone = heavy();
        let daemon = Setup::routes([route("it", "builtin:echo", "dropRate: 1")]).admin().start();
        let api = daemon.api();
        let mut events = EventStream::open_with_small_window(api, "/v1/events");
        let address = daemon.address("it");
        let (first, ..) = {
            drop(connect(address));
            events.next()
        };
        // More than is kept and more than the kernel's buffers hold.
        let others: Vec<_> = (0..4)
            .map(|_| std::thread::spawn(move || (0..8000).for_each(|_| drop(TcpStream::connect(address)))))
            .collect();
        others.into_iter().for_each(|other| other.join().unwrap());
        eventually(secs(20), "all are closed", || {
            api.get("/v1/stats").expect(200)["routes"][0]["active"] == 0
        });
        let number = |id: &str| id.rsplit('-').next().unwrap().parse::<u64>().unwrap();
        let (mut last, mut missed) = (number(&first), 0);
        drop(connect(address));
        let mut closed = 0;
        while closed < 32_002 && missed == 0 {
            let (id, name, data) = events.next();
            if name == "missed" {
                missed = data["count"].as_u64().unwrap();
                assert_eq!(number(&id), last + missed);
            } else {
                assert_eq!(number(&id), last + 1);
            }
            closed += u64::from(name == "connection.closed");
            last = number(&id);
        }
        assert!(missed > 0, "nothing was missed of {last}");
        let (id, ..) = events.next();
        assert_eq!(number(&id), last + 1);
    });
}

/// Whoever follows the events hears of everything, down to the end of the drain.
#[test]
fn the_event_stream_ends_with_the_end() {
    within(secs(20), || {
        let mut daemon = Setup::route("it", "builtin:echo", "").top("drainTimeout: 500ms").admin().start();
        let mut events = EventStream::open(daemon.api(), "/v1/events", &[]);
        let _stuck = daemon.stuck("it");
        daemon.signal(rustix::process::Signal::TERM);
        let mut names = Vec::new();
        while names.last().is_none_or(|name| name != "drain.done") {
            names.push(events.next().1);
        }
        let expected = [
            "connection.opened",
            "upstream.connected",
            "drain.begun",
            "route.closed",
            "connection.closed",
            "drain.done",
        ];
        assert_eq!(names, expected);
        assert_eq!(daemon.exit_code(secs(5)).0, Some(4));
    });
}

/// The time that a closing left to connections does not end those of a later one.
#[test]
fn a_route_that_was_opened_again_keeps_what_it_was_told_to_keep() {
    within(secs(20), || {
        let setup = |enabled: bool| {
            Setup::routes([
                route("it", "builtin:echo", &format!("enabled: {enabled}")),
                route("b", "builtin:echo", ""),
            ])
            .top("drainTimeout: 1s")
            .top("drainIdle: 100ms")
            .admin()
        };
        let daemon = setup(true).start();
        let api = daemon.api();
        let mut client = connect(daemon.address("it"));
        ping(&mut client).unwrap();
        std::fs::write(daemon.config(), setup(false).text()).unwrap();
        api.post("/v1/reload", "").expect(200);
        api.post("/v1/routes/it/open", "").expect(200);
        api.post("/v1/routes/it/close", "{\"connections\": \"keep\"}").expect(200);
        let until = Instant::now() + ms(1500);
        while Instant::now() < until {
            std::thread::sleep(ms(150));
            ping(&mut client).unwrap();
        }
    });
}

/// What was counted of an upstream stays its own when the route gets another.
#[test]
fn each_upstream_keeps_its_counts_and_a_fault_that_is_gone_keeps_its_firings() {
    within(secs(20), || {
        let upstream = Upstream::echo();
        let rest = "faults: [{drop: {probability: 0, name: never}}, {noop: {name: here}}]";
        let daemon = Setup::route("it", upstream.address, rest).admin().start();
        let api = daemon.api();
        for _ in 0..3 {
            ping(&mut connect(daemon.address("it"))).unwrap();
        }
        api.patch("/v1/routes/it", "{\"upstream\": \"builtin:echo\", \"faults\": []}").expect(200);
        for _ in 0..2 {
            ping(&mut connect(daemon.address("it"))).unwrap();
        }
        let metrics = api.get("/metrics").text();
        for line in [
            format!("chaos_proxy_upstream_connects_total{{route=\"it\",upstream=\"{}\",result=\"ok\"}} 3", upstream.address),
            "chaos_proxy_upstream_connects_total{route=\"it\",upstream=\"builtin:echo\",result=\"ok\"} 2".to_owned(),
            "chaos_proxy_faults_fired_total{route=\"it\",fault=\"here\",effect=\"noop\",direction=\"downstream\"} 3".to_owned(),
        ] {
            assert!(metrics.lines().any(|known| known == line), "{line}\n{metrics}");
        }
        assert_eq!(api.get("/v1/stats").expect(200)["routes"][0]["fired"], 3);
    });
}

#[test]
fn the_tag_that_a_put_gives_is_that_of_what_is_in_force() {
    within(secs(20), || {
        let daemon = Setup::route("it", "builtin:echo", "").top("log: {format: json}").admin().start();
        let api = daemon.api();
        let body = json!({"routes": [{"name": "it", "localPort": "auto", "upstream": "builtin:echo", "latencyMs": 1}]});
        let put = api.put("/v1/config", &body.to_string());
        assert_eq!(put.status, 200);
        assert_eq!(put.header("etag"), api.get("/v1/config").header("etag"));
        let seen = format!("If-Match: {}", put.header("etag"));
        assert_eq!(api.ask("PUT", "/v1/config", &[&seen], &body.to_string()).status, 200);
    });
}

/// A port that the system chose is as good as a written one: a route cannot be pointed at itself, nor two at each other.
#[test]
fn routes_with_ports_of_the_system_s_choosing_cannot_lead_in_a_circle() {
    within(secs(20), || {
        let daemon =
            Setup::routes([route("a", "builtin:echo", ""), route("b", "builtin:echo", "")]).admin().start();
        let api = daemon.api();
        let to = |route: &str| json!({"upstream": daemon.address(route).to_string()}).to_string();
        let refused = api.patch("/v1/routes/a", &to("a"));
        assert_eq!(refused.status, 422, "{}", refused.text());
        assert_eq!(api.patch("/v1/routes/a", &to("b")).status, 200);
        let refused = api.patch("/v1/routes/b", &to("a"));
        assert!(refused.status == 422 && refused.text().contains("circle"), "{}", refused.text());
        ping(&mut connect(daemon.address("a"))).unwrap();
    });
}

/// A route can come and go while clients have taken every descriptor there is for them.
#[test]
fn a_route_comes_while_the_descriptors_are_spent() {
    within(secs(30), || {
        let _alone = heavy();
        let daemon = Setup::route("it", "builtin:silent", "").descriptors(256).admin().start();
        let api = daemon.api();
        let _clients: Vec<TcpStream> =
            (0..300).map(|_| TcpStream::connect(daemon.address("it")).unwrap()).collect();
        daemon.wait_for("the budget is spent", secs(10), |event| event.is("accept.waiting", "it"));
        let body = json!({"name": "new", "localPort": "auto", "upstream": "builtin:echo"}).to_string();
        for _ in 0..3 {
            let made = api.post("/v1/routes", &body).expect(201);
            let address: std::net::SocketAddr = made["state"]["listen"].as_str().unwrap().parse().unwrap();
            ping(&mut connect(address)).unwrap();
            api.delete("/v1/routes/new?connections=reset").expect(204);
        }
        // What only changes its name needs no more than it has.
        let mut document = api.get("/v1/config").expect(200);
        for name in ["renamed", "it"] {
            document["routes"][0]["name"] = json!(name);
            api.put("/v1/config", &document.to_string()).expect(200);
        }
        for _ in 0..20 {
            api.post("/v1/routes/it/close", "{\"connections\": \"keep\"}").expect(200);
            api.post("/v1/routes/it/open", "").expect(200);
        }
        assert!(descriptors(daemon.pid()) < 250);
    });
}
