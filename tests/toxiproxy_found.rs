//! What real clients found: each of these has gone wrong once.

#![allow(clippy::disallowed_types, clippy::disallowed_methods, reason = "over real sockets time is real")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should say so loudly")]

mod support;

use std::net::{Ipv6Addr, SocketAddr, TcpListener};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use serde_json::json;
use support::*;

/// Test suites that run at once populate the same proxies at their start and take them away at their end. Whoever makes
/// one is told that it was made, also when it has gone before the answer is written.
#[test]
fn what_was_made_and_has_gone_since_was_made() {
    within(secs(60), || {
        let (_daemon, api) = as_toxiproxy(&[]);
        let names: Vec<String> = (0..8).map(|n| format!("p{n}")).collect();
        let entry = |name: &String| json!({"name": name, "listen": "127.0.0.1:0", "upstream": "127.0.0.1:9"});
        let list = json!(names.iter().map(entry).collect::<Vec<_>>()).to_string();
        let done = AtomicBool::new(false);
        thread::scope(|scope| {
            let taker = || {
                while !done.load(Ordering::Relaxed) {
                    for name in &names {
                        let status = api.delete(&format!("/proxies/{name}")).status;
                        assert!([204, 404].contains(&status), "{status}");
                    }
                }
            };
            let maker = || {
                for _ in 0..40 {
                    let all = api.post("/populate", &list).expect(201);
                    let told: Vec<_> =
                        all["proxies"].as_array().unwrap().iter().map(|it| &it["name"]).collect();
                    assert_eq!(told, names.iter().collect::<Vec<_>>());
                    let status = api.post("/proxies", &entry(&names[0]).to_string()).status;
                    assert!([201, 409].contains(&status), "{status}");
                }
            };
            let takers = [scope.spawn(taker), scope.spawn(taker)];
            let made = [scope.spawn(maker), scope.spawn(maker)].map(|maker| maker.join());
            done.store(true, Ordering::Relaxed);
            assert!(made.into_iter().all(|it| it.is_ok()));
            assert!(takers.into_iter().all(|taker| taker.join().is_ok()));
        });
    });
}

/// Clients that are told `localhost` may come by IPv6, and by nothing else. Toxiproxy's wildcard is both families.
#[test]
fn every_address_is_one_of_either_family() {
    within(secs(30), || {
        if TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).is_err() {
            return loudly("SKIPPED: this machine has no IPv6");
        }
        for host in ["-host=0.0.0.0", "-host=", "-host=::"] {
            let daemon = Daemon::with_arguments(&[host, "-port=0"].map(str::to_owned));
            for ip in [Ipv6Addr::LOCALHOST.into(), std::net::Ipv4Addr::LOCALHOST.into()] {
                let api = Api(SocketAddr::new(ip, daemon.api().0.port()));
                api.get("/version").expect(200);
            }
        }
    });
}
