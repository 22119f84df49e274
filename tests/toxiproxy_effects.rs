//! What toxics and proxies do to connections: what the original's documentation promises, also where the original hangs,
//! crashes, loses bytes or does nothing.

#![allow(clippy::disallowed_types, clippy::disallowed_methods, reason = "over real sockets time is real")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should say so loudly")]

mod support;

use std::io::Write;
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use support::*;

/// A proxy before a listener of the test, and both ends of a connection through it.
fn scene() -> (Daemon, Api, SocketAddr, Listener) {
    let (daemon, api) = as_toxiproxy(&[]);
    let listener = Listener::new();
    let address = proxy(api, "it", listener.address());
    (daemon, api, address, listener)
}

fn ends(address: SocketAddr, listener: &Listener) -> (TcpStream, TcpStream) {
    (connect(address), listener.accept())
}

/// How long a byte takes from one end to the other.
fn takes(mut from: &TcpStream, to: &TcpStream) -> Duration {
    timed(|| {
        from.write_all(b"x").unwrap();
        assert_eq!(read_byte(to), Ok(b'x'));
    })
}

fn update(api: Api, toxic: &str, body: Value) -> Value {
    api.post(&format!("/proxies/it/toxics/{toxic}"), &body.to_string()).expect(200)
}

#[test]
fn a_disabled_proxy_refuses_and_ends_what_it_has_and_comes_back_where_it_was() {
    within(secs(30), || {
        let (_daemon, api, address, listener) = scene();
        let (client, server) = ends(address, &listener);
        api.post("/proxies/it", r#"{"enabled": false}"#).expect(200);
        assert_eq!((read_byte(&client), read_byte(&server)), (Err(End::Fin), Err(End::Fin)));
        assert!(refused(address));
        api.post("/proxies/it", r#"{"enabled": true}"#).expect(200);
        let (client, server) = ends(address, &listener);
        takes(&client, &server);
        api.delete("/proxies/it").expect(204);
        assert_eq!((read_byte(&client), read_byte(&server)), (Err(End::Fin), Err(End::Fin)));
        assert!(refused(address));
    });
}

#[test]
fn a_change_of_upstream_or_listen_ends_connections_and_no_change_ends_none() {
    within(secs(30), || {
        let (_daemon, api, address, listener) = scene();
        let (client, server) = ends(address, &listener);
        let port = address.port();
        for same in [
            json!({}),
            json!({"enabled": true}),
            json!({"listen": format!("localhost:{port}"), "upstream": listener.address().to_string()}),
        ] {
            api.patch("/proxies/it", &same.to_string()).expect(200);
        }
        let entry = json!([{"name": "it", "listen": address.to_string(), "upstream": listener.address().to_string(), "enabled": false}]);
        api.post("/populate", &entry.to_string()).expect(201);
        takes(&client, &server);

        let other = Listener::new();
        toxic(api, "it", "noop", json!({}), json!({}));
        let changed = api
            .patch("/proxies/it", &json!({"upstream": other.address().to_string()}).to_string())
            .expect(200);
        assert_eq!(
            (&changed["listen"], changed["toxics"].as_array().unwrap().len()),
            (&json!(address.to_string()), 1)
        );
        assert_eq!((read_byte(&client), read_byte(&server)), (Err(End::Fin), Err(End::Fin)));
        let (client, server) = ends(address, &other);
        takes(&client, &server);

        let moved = api.patch("/proxies/it", &json!({"listen": "[::1]:0"}).to_string()).expect(200);
        assert_eq!((read_byte(&client), read_byte(&server)), (Err(End::Fin), Err(End::Fin)));
        let now: SocketAddr = moved["listen"].as_str().unwrap().parse().unwrap();
        assert!(now.is_ipv6() && refused(address));

        // Another upstream in a list begins anew.
        let (client, server) = ends(now, &other);
        let entry =
            json!([{"name": "it", "listen": now.to_string(), "upstream": listener.address().to_string()}]);
        let populated = api.post("/populate", &entry.to_string()).expect(201);
        assert_eq!(populated["proxies"][0]["toxics"], json!([]));
        assert_eq!((read_byte(&client), read_byte(&server)), (Err(End::Fin), Err(End::Fin)));
        takes_through(now, &listener);
    });
}

fn takes_through(address: SocketAddr, listener: &Listener) {
    let (client, server) = ends(address, listener);
    takes(&client, &server);
}

#[test]
fn a_reset_mends_everything_and_leaves_connections() {
    within(secs(30), || {
        let (_daemon, api, address, listener) = scene();
        let (client, server) = ends(address, &listener);
        toxic(api, "it", "latency", json!({"latency": 600_000}), json!({}));
        api.post("/v1/routes/it/faults", r#"{"drop": {}}"#).expect(201);
        let off = proxy(api, "off", listener.address());
        api.post("/proxies/off", r#"{"enabled": false}"#).expect(200);
        (&server).write_all(b"late").unwrap();
        api.post("/reset", "").expect(204);
        assert_eq!(read_byte(&client), Ok(b'l'));
        takes_through(off, &listener);
        takes_through(address, &listener);
    });
}

/// All proxies are told at once, whatever state connections are in.
fn answers_at_once(api: Api) {
    best_of_three("GET /proxies", ms(100), || timed(|| assert_eq!(api.get("/proxies").status, 200)));
}

/// The original hangs for 25 s, and the whole of its API with it.
#[test]
fn control_never_waits_for_a_client_that_does_not_read_nor_for_an_upstream_that_does_not_answer() {
    within(secs(60), || {
        let (_daemon, api) = as_toxiproxy(&[]);
        let (unanswering, _sockets) = unanswering();
        let chargen = proxy(api, "stuck", "builtin:chargen");
        let dead = proxy(api, "dead", unanswering);
        let (_stuck, _dead) = (small_window(chargen, 4096), connect(dead));
        toxic(api, "stuck", "latency", json!({"latency": 50}), json!({}));
        let sent = || api.get("/v1/stats").expect(200)["routes"]["stuck"]["bytes"].clone();
        let mut before = sent();
        eventually(secs(20), "nothing moves any more", || {
            std::thread::sleep(ms(100));
            let now = sent();
            std::mem::replace(&mut before, now.clone()) == now
        });
        for (method, path, body, status) in [
            ("POST", "/proxies/stuck/toxics", r#"{"type": "bandwidth", "attributes": {"rate": 1}}"#, 200),
            ("POST", "/proxies/stuck/toxics/bandwidth_downstream", r#"{"attributes": {"rate": 2}}"#, 200),
            ("DELETE", "/proxies/stuck/toxics/latency_downstream", "", 204),
            ("PATCH", "/proxies/dead", r#"{"enabled": false}"#, 200),
            ("DELETE", "/proxies/dead", "", 204),
            ("DELETE", "/proxies/stuck", "", 204),
        ] {
            answers_at_once(api);
            let took = timed(|| assert_eq!(api.ask(method, path, &[], body).status, status, "{path}"));
            assert!(took < secs(2), "{method} {path}: {took:?}");
            answers_at_once(api);
        }
    });
}

/// Each of these ends the process of the original, or hangs it.
#[test]
fn what_kills_the_original_is_refused_or_done_while_bytes_flow() {
    within(secs(60), || {
        let (_daemon, api, address, listener) = scene();
        let refused = |kind: &str, attributes: Value| {
            let body = json!({"type": kind, "attributes": attributes});
            assert_eq!(api.post("/proxies/it/toxics", &body.to_string()).status, 400, "{body}");
        };
        let (client, server) = ends(address, &listener);
        for (kind, attributes) in [
            ("slicer", json!({})),
            ("slicer", json!({"average_size": 10, "size_variation": 100})),
            ("bandwidth", json!({"rate": -1})),
            ("bandwidth", json!({"rate": i64::MAX})),
            ("latency", json!({"latency": 1, "jitter": i64::MAX})),
        ] {
            refused(kind, attributes);
            takes(&server, &client);
            answers_at_once(api);
        }
        // The most that can be is done.
        toxic(api, "it", "bandwidth", json!({"rate": i64::MAX / 1000}), json!({}));
        both_ways(&client, &server, 1_000_000);
        let (client, server) = ends(address, &listener);
        let century = 876_600_u64 * 3_600_000;
        toxic(api, "it", "latency", json!({"latency": 0, "jitter": century}), json!({"stream": "upstream"}));
        (&client).write_all(b"x").unwrap();
        takes(&server, &client);
        answers_at_once(api);
        update(api, "latency_upstream", json!({"attributes": {"jitter": 0}}));
        assert_eq!(read_byte(&server), Ok(b'x'));
        // One bad attribute among good ones: nothing of it is applied.
        let body = json!({"attributes": {"latency": 600_000, "jitter": "x"}, "toxicity": 0.5});
        assert_eq!(api.post("/proxies/it/toxics/latency_upstream", &body.to_string()).status, 400);
        let shown = api.get("/proxies/it/toxics/latency_upstream").expect(200);
        assert_eq!(
            (&shown["attributes"], &shown["toxicity"]),
            (&json!({"latency": 0, "jitter": 0}), &json!(1))
        );
        takes(&client, &server);
        answers_at_once(api);
    });
}

/// In the original each of these leaves two tasks and their buffers behind, for as long as it runs.
#[test]
fn fifty_clients_that_vanish_while_the_server_still_sends_leave_nothing() {
    within(secs(60), || {
        let (daemon, api) = as_toxiproxy(&[]);
        let address = proxy(api, "it", "builtin:chargen");
        toxic(api, "it", "latency", json!({"latency": 20}), json!({}));
        let before = descriptors(daemon.pid());
        let clients: Vec<TcpStream> = (0..50).map(|_| connect(address)).collect();
        for client in clients {
            assert!(read_byte(&client).is_ok());
            reset(client);
        }
        answers_at_once(api);
        toxic(api, "it", "limit_data", json!({"bytes": 100}), json!({}));
        for _ in 0..50 {
            assert_eq!(read_all(&connect(address)).0.len(), 100);
        }
        eventually(secs(20), "all of them are gone", || {
            let active = api.get("/v1/routes/it").expect(200)["state"]["connections"].clone();
            active == 0 && descriptors(daemon.pid()) <= before + 2
        });
    });
}

/// Who has reached the new upstream is not ended because of the old one.
#[test]
fn a_change_of_upstream_ends_those_who_came_before_it_and_nobody_else() {
    use std::sync::atomic::{AtomicU8, Ordering::SeqCst};
    within(secs(60), || {
        let (_daemon, api) = as_toxiproxy(&[]);
        // Each says which one it is.
        let upstreams: Vec<Upstream> = (0..40_u8)
            .map(|number| {
                Upstream::serve(move |mut stream, _| {
                    let _ = stream.write_all(&[number]);
                    let _ = read_byte(&stream);
                })
            })
            .collect();
        let address = proxy(api, "it", upstreams[0].address);
        // The change that was begun last.
        let begun = AtomicU8::new(0);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for (round, upstream) in (0..).zip(&upstreams).skip(1) {
                    let old = connect(address);
                    assert_eq!(read_byte(&old), Ok(round - 1));
                    begun.store(round, SeqCst);
                    api.patch("/proxies/it", &json!({"upstream": upstream.address.to_string()}).to_string())
                        .expect(200);
                    assert_eq!(read_byte(&old), Err(End::Fin));
                }
                begun.store(u8::MAX, SeqCst);
            });
            let mut met = 0;
            while begun.load(SeqCst) < u8::MAX {
                let client = connect(address);
                let Ok(number) = read_byte(&client) else { continue };
                met += 1;
                client.set_read_timeout(Some(ms(3))).unwrap();
                let ended = std::io::Read::read(&mut &client, &mut [0]).is_ok();
                let (begun, last) = (begun.load(SeqCst), 39);
                assert!(
                    !ended || begun > number || number == last,
                    "ended by the change to it: {number} {begun}"
                );
            }
            assert!(met > 0);
        });
    });
}

#[test]
fn latency_delays_each_stream_two_of_them_add_up_and_removal_releases_at_once() {
    within(secs(60), || {
        let (_daemon, api, address, listener) = scene();
        let (client, server) = ends(address, &listener);
        toxic(api, "it", "latency", json!({"latency": 120}), json!({}));
        toxic(api, "it", "latency", json!({"latency": 60}), json!({"name": "more"}));
        toxic(api, "it", "latency", json!({"latency": 50}), json!({"stream": "upstream"}));
        assert!(takes(&server, &client) >= ms(180));
        let up = takes(&client, &server);
        assert!(up >= ms(50), "{up:?}");
        update(api, "latency_downstream", json!({"attributes": {"latency": 600_000}}));
        (&server).write_all(b"y").unwrap();
        for toxic in ["more", "latency_downstream"] {
            api.delete(&format!("/proxies/it/toxics/{toxic}")).expect(204);
        }
        assert_eq!(read_byte(&client), Ok(b'y'));
    });
}

#[test]
fn bandwidth_paces_and_a_rate_of_nothing_stalls_until_it_is_more() {
    within(secs(60), || {
        let (_daemon, api, address, listener) = scene();
        let (client, server) = ends(address, &listener);
        toxic(api, "it", "bandwidth", json!({"rate": 0}), json!({}));
        send(&server, DOWN, 0, 50_000);
        shut(&server);
        let updated = update(api, "bandwidth_downstream", json!({"attributes": {"rate": 100}}));
        assert_eq!(updated["attributes"], json!({"rate": 100}));
        let begun = Instant::now();
        assert_eq!(read_end(&client, DOWN, 0, ms(0)), (50_000, End::Fin));
        // What was held when the toxic was changed may leave at once; all that follows is paced.
        assert!(begun.elapsed() < secs(5));

        let (client, server) = ends(address, &listener);
        let begun = Instant::now();
        send(&server, DOWN, 0, 50_000);
        shut(&server);
        assert_eq!(read_end(&client, DOWN, 0, ms(0)), (50_000, End::Fin));
        assert!(begun.elapsed() >= ms(480), "50 kB at 100 kB/s, with 10 ms of burst: {:?}", begun.elapsed());
    });
}

#[test]
fn slow_close_holds_the_end_back_and_lets_the_other_way_go_on() {
    within(secs(60), || {
        let (_daemon, api, address, listener) = scene();
        toxic(api, "it", "slow_close", json!({"delay": 300}), json!({}));
        let (client, server) = ends(address, &listener);
        let begun = Instant::now();
        (&server).write_all(b"bye").unwrap();
        shut(&server);
        assert_eq!(read_byte(&client), Ok(b'b'));
        takes(&client, &server);
        assert_eq!(read_all(&client), (b"ye".to_vec(), End::Fin));
        assert!(begun.elapsed() >= ms(300));
    });
}

#[test]
fn timeout_swallows_and_ends_in_time_also_when_it_is_fed_and_a_hole_ends_with_the_toxic() {
    within(secs(60), || {
        let (_daemon, api, address, listener) = scene();
        toxic(api, "it", "timeout", json!({"timeout": 300}), json!({}));
        let begun = Instant::now();
        let (client, server) = ends(address, &listener);
        // The original begins its time anew with every piece.
        let feed = std::thread::spawn(move || {
            while (&server).write_all(b"x").is_ok() {
                std::thread::sleep(ms(20));
            }
        });
        assert_eq!(read_byte(&client), Err(End::Fin));
        let took = begun.elapsed();
        assert!(took >= ms(300) && took < secs(3), "{took:?}");
        feed.join().unwrap();

        update(api, "timeout_downstream", json!({"attributes": {"timeout": 0}}));
        let (client, server) = ends(address, &listener);
        takes(&client, &server);
        (&server).write_all(b"gone").unwrap();
        // It is gone once it has been read.
        eventually(secs(5), "it is swallowed", || {
            api.get("/v1/routes/it/faults").text().contains("\"fired\":2")
        });
        api.delete("/proxies/it/toxics/timeout_downstream").expect(204);
        assert_eq!(read_byte(&client), Err(End::Fin));
    });
}

/// The original never resets an idle connection, and resets others regardless of the toxicity.
#[test]
fn reset_peer_resets_both_ends_idle_or_not_and_only_whom_it_should() {
    within(secs(60), || {
        let (_daemon, api, address, listener) = scene();
        let (client, server) = ends(address, &listener);
        toxic(api, "it", "reset_peer", json!({"timeout": 100}), json!({}));
        assert_eq!((read_byte(&client), read_byte(&server)), (Err(End::Reset), Err(End::Reset)));
        update(api, "reset_peer_downstream", json!({"toxicity": 0, "attributes": {"timeout": 0}}));
        for _ in 0..20 {
            let (client, server) = ends(address, &listener);
            takes(&client, &server);
            shut(&server);
            assert_eq!(read_byte(&client), Err(End::Fin));
            shut(&client);
            assert_eq!(read_byte(&server), Err(End::Fin));
        }
        update(api, "reset_peer_downstream", json!({"toxicity": 1}));
        assert_eq!(connect_and_read(address), Err(End::Reset));
    });
}

#[test]
fn slicer_and_limit_data_and_packet_loss_lose_no_byte_but_what_they_say() {
    within(secs(60), || {
        let (_daemon, api, address, listener) = scene();
        toxic(
            api,
            "it",
            "slicer",
            json!({"average_size": 100, "size_variation": 50, "delay": 10}),
            json!({}),
        );
        toxic(api, "it", "packet_loss", json!({"loss_rate": 0.02}), json!({"stream": "upstream"}));
        let (client, server) = ends(address, &listener);
        both_ways(&client, &server, 40_000);
        let fired = api.get("/v1/routes/it/faults").expect(200);
        for fault in [&fired["faults"][0], &fired["faults"][1]] {
            assert_eq!(fault["state"]["fired"], 1, "{fault}");
        }
        // A late reader finds several pieces in one read: what cannot be early are the pauses between them.
        update(api, "slicer_downstream", json!({"attributes": {"delay": 20_000}}));
        let (client, server) = ends(address, &listener);
        let began = Instant::now();
        (&server).write_all(&DOWN.bytes(1000)).unwrap();
        shut(&server);
        assert_eq!(read_end(&client, DOWN, 0, ms(0)), (1000, End::Fin));
        assert!(began.elapsed() >= ms(6 * 20), "seven pieces of at most 150 bytes came too early");
        api.post("/reset", "").expect(204);
        toxic(api, "it", "limit_data", json!({"bytes": 12_345}), json!({}));
        let (client, server) = ends(address, &listener);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                // It may be ended before all of it is sent.
                let _ = (&server).write_all(&DOWN.bytes(50_000));
            });
            assert_eq!(read_end(&client, DOWN, 0, ms(0)).0, 12_345);
        });
    });
}

/// In the original the end of one direction is the end of both.
#[test]
fn a_half_close_passes_and_the_answer_comes() {
    within(secs(30), || {
        let (_daemon, api, address, listener) = scene();
        toxic(api, "it", "latency", json!({"latency": 20}), json!({"stream": "upstream"}));
        let (client, server) = ends(address, &listener);
        (&client).write_all(b"?").unwrap();
        shut(&client);
        assert_eq!(read_all(&server), (b"?".to_vec(), End::Fin));
        (&server).write_all(b"answer").unwrap();
        shut(&server);
        assert_eq!(read_all(&client), (b"answer".to_vec(), End::Fin));
    });
}

/// In the original the seed does nothing.
#[test]
fn the_seed_decides_whom_a_toxicity_befalls() {
    within(secs(60), || {
        let befallen = |seed: &str| -> Vec<bool> {
            let (_daemon, api) = as_toxiproxy(&[seed]);
            let address = proxy(api, "it", "builtin:echo");
            toxic(api, "it", "reset_peer", json!({"timeout": 0}), json!({"toxicity": 0.5}));
            (0..32)
                .map(|_| {
                    let Ok(client) = connect_or_reset(address) else { return true };
                    let sent = (&client).write_all(b"x");
                    sent.is_err() || read_byte(&client) == Err(End::Reset)
                })
                .collect()
        };
        let first = befallen("-seed=7");
        assert_eq!(befallen("-seed=7"), first);
        assert_ne!(befallen("-seed=8"), first);
        let count = first.iter().filter(|hit| **hit).count();
        assert!((4..=28).contains(&count), "{first:?}");
    });
}
