//! Counts are exact: after a driven load, metrics, statistics, the event stream and the log agree with who drove it, and
//! the kernel with what is open.

#![allow(clippy::disallowed_types, clippy::disallowed_methods, reason = "over real sockets time is real")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should say so loudly")]

mod support;

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

use support::*;

/// The samples of a scrape by name and labels, as they are written.
fn scrape(api: Api) -> BTreeMap<String, f64> {
    let answer = api.get("/metrics");
    assert_eq!(answer.status, 200);
    let text = answer.text();
    let samples = text.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
    samples
        .map(|line| {
            let (name, value) = line.rsplit_once(' ').unwrap();
            (name.to_owned(), value.parse().unwrap())
        })
        .collect()
}

/// Established connections of which this address is the local end.
fn established(at: SocketAddr) -> usize {
    let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
    assert_eq!(at.ip(), std::net::Ipv4Addr::LOCALHOST);
    let local = format!("0100007F:{:04X}", at.port());
    let is = |line: &&str| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        fields[1] == local && fields[3] == "01"
    };
    table.lines().skip(1).filter(is).count()
}

fn exchange(stream: &mut TcpStream, bytes: usize) {
    stream.write_all(&vec![7; bytes]).unwrap();
    stream.read_exact(&mut vec![0; bytes]).unwrap();
}

#[test]
fn every_count_agrees_with_who_drove_it_and_with_the_kernel() {
    within(secs(60), || {
        // The kernel's table of sockets is only right while nobody else opens thousands.
        let _alone = heavy();
        let upstream = Upstream::echo();
        let daemon = Setup::routes([
            route("it", upstream.address, "faults: [{latency: {delay: 100us, every: 3, direction: both}}]"),
            route("dropped", "builtin:echo", "faults: [{drop: {every: 4, how: reset}}]"),
            route("nowhere", unused_address(), ""),
        ])
        .admin()
        .start();
        let api = daemon.api();
        let mut events = EventStream::open(api, "/v1/events", &[]);
        let [it, dropped, nowhere] = ["it", "dropped", "nowhere"].map(|name| daemon.address(name));

        // 60 of which 10 stay; 3 of every 4 of 40; 20 that lead nowhere; 5 that the client resets.
        let mut kept: Vec<TcpStream> = Vec::new();
        for n in 0..60 {
            let mut client = connect(it);
            exchange(&mut client, 1000 + n);
            if n < 10 {
                kept.push(client);
            }
        }
        for _ in 0..40 {
            let Ok(mut client) = connect_or_reset(dropped) else { continue };
            if client.write_all(b"abc").is_ok() {
                let _ = client.read_exact(&mut [0; 3]);
            }
        }
        for _ in 0..20 {
            let _ = connect_and_read(nowhere);
        }
        for _ in 0..5 {
            let mut client = connect(it);
            exchange(&mut client, 10);
            reset(client);
        }
        let sent: u64 = (0..60).map(|n| 1000 + n).sum::<u64>() + 50;
        eventually(secs(10), "all that will end has ended", || {
            let stats = api.get("/v1/stats").expect(200);
            let active = |n: usize| stats["routes"][n]["active"].as_u64().unwrap();
            [active(0), active(1), active(2)] == [10, 0, 0]
        });

        let metrics = scrape(api);
        let metric = |name: &str| metrics.get(&format!("chaos_proxy_{name}")).copied().unwrap_or(0.0) as u64;
        let stats = api.get("/v1/stats").expect(200);
        let log = |name: &str, route: &str| daemon.events.count(|event| event.is(name, route)) as u64;
        let (mut streamed, mut fired): (BTreeMap<(String, String), u64>, u64) = (BTreeMap::new(), 0);
        let mut closed = 0;
        while closed < 50 + 40 + 20 + 5 {
            let (_, name, data) = events.next();
            closed += u64::from(name == "connection.closed");
            fired += u64::from(name == "fault.fired");
            *streamed.entry((name, data["route"].as_str().unwrap_or_default().to_owned())).or_default() += 1;
        }
        let streamed = |name: &str, route: &str| {
            streamed.get(&(name.to_owned(), route.to_owned())).copied().unwrap_or(0)
        };

        for (n, (route, opened, closed)) in
            [("it", 65, 55), ("dropped", 40, 40), ("nowhere", 20, 20)].into_iter().enumerate()
        {
            let own = &stats["routes"][n];
            assert_eq!(own["opened"], opened, "{route}");
            assert_eq!(metric(&format!("connections_opened_total{{route=\"{route}\"}}")), opened);
            assert_eq!(
                (streamed("connection.opened", route), log("connection.opened", route)),
                (opened, opened)
            );
            let all: u64 =
                own["closed"].as_array().unwrap().iter().map(|kind| kind["count"].as_u64().unwrap()).sum();
            assert_eq!(all, closed, "{route}");
            assert_eq!(
                (streamed("connection.closed", route), log("connection.closed", route)),
                (closed, closed)
            );
            for kind in own["closed"].as_array().unwrap() {
                let [ending, side] = ["ending", "side"].map(|key| kind[key].as_str().unwrap());
                let name = format!(
                    "connections_closed_total{{route=\"{route}\",ending=\"{ending}\",side=\"{side}\"}}"
                );
                assert_eq!(metric(&name), kind["count"].as_u64().unwrap(), "{name}");
            }
            assert_eq!(metric(&format!("connections_active{{route=\"{route}\"}}")), opened - closed);
            let duration = metric(&format!("connection_duration_seconds_count{{route=\"{route}\"}}"));
            assert_eq!(duration, closed);
        }
        let resets = "connections_closed_total{route=\"it\",ending=\"peer-reset\",side=\"client\"}";
        assert_eq!(metric(resets), 5);
        for direction in ["upstream", "downstream"] {
            for name in ["received", "sent"] {
                assert_eq!(
                    metric(&format!("bytes_{name}_total{{route=\"it\",direction=\"{direction}\"}}")),
                    sent
                );
            }
            assert_eq!(stats["routes"][0]["bytesSent"][direction], sent);
            // Every third of 65, beginning with the first.
            let latency = "route=\"it\",fault=\"latency\",effect=\"latency\"";
            assert_eq!(metric(&format!("faults_fired_total{{{latency},direction=\"{direction}\"}}")), 22);
        }
        assert_eq!(
            metric("faults_fired_total{route=\"dropped\",fault=\"drop\",effect=\"drop\",direction=\"none\"}"),
            10
        );
        assert_eq!(
            (stats["routes"][0]["fired"].as_u64(), stats["routes"][1]["fired"].as_u64()),
            (Some(44), Some(10))
        );
        assert_eq!((fired, log("fault.fired", "it") + log("fault.fired", "dropped")), (54, 54));
        let connects = |result: &str| {
            metric(&format!(
                "upstream_connects_total{{route=\"nowhere\",upstream=\"{nowhere_is}\",result=\"{result}\"}}",
                nowhere_is = stats_upstream(api)
            ))
        };
        assert_eq!((connects("refused"), connects("ok")), (20, 0));
        // The log folds warnings, with their count; the stream does not.
        assert_eq!(streamed("upstream.failed", "nowhere"), 20);

        assert_eq!((established(it), upstream_side(&kept)), (10, 10));
        let listed = api.get("/v1/connections").expect(200);
        assert_eq!(listed["connections"].as_array().unwrap().len(), 10);
        drop(kept);
        eventually(secs(5), "nothing is open", || {
            established(it) == 0 && scrape(api)["chaos_proxy_connections_active{route=\"it\"}"] == 0.0
        });
    });
}

/// Where the route that leads nowhere leads, as it is written.
fn stats_upstream(api: Api) -> String {
    api.get("/v1/routes/nowhere").expect(200)["upstream"].as_str().unwrap().to_owned()
}

/// How many of these are open as the kernel sees their own end.
fn upstream_side(clients: &[TcpStream]) -> usize {
    clients.iter().filter(|client| established(client.local_addr().unwrap()) == 1).count()
}

/// Clients' addresses are no labels: ten thousand of them add no series. And the number of connections makes a scrape
/// no slower.
#[test]
fn ten_thousand_connections_add_no_series_and_a_scrape_takes_less_than_100_ms() {
    within(secs(120), || {
        let _alone = heavy();
        // Where the limit cannot be raised as many as there is room for: two descriptors each, and what else is needed,
        // pipes among it.
        let raised = ["sh", "-c", "ulimit -n 24000 2>/dev/null; exec \"$0\" \"$@\""];
        let daemon = Setup::route("it", "builtin:silent", "").wrapper(&raised).admin().start();
        let limit =
            std::fs::read_to_string(format!("/proc/{}/limits", daemon.pid().as_raw_nonzero())).unwrap();
        let limit = limit.lines().find_map(|line| line.strip_prefix("Max open files")).unwrap();
        let limit: u32 = limit.split_whitespace().next().unwrap().parse().unwrap();
        let size = 10_000.min(limit.saturating_sub(1_200) / 2);
        println!("{size} connections");
        let api = daemon.api();
        // A scrape counts itself, from the first one on.
        scrape(api);
        let before = scrape(api).keys().cloned().collect::<Vec<_>>();
        let address = daemon.address("it");
        let mut clients = Vec::with_capacity(size as usize);
        for n in 0..size {
            let from = [127, 0, (n >> 8) as u8, (n % 250) as u8 + 1];
            clients.push(connect_from(from.into(), address));
        }
        eventually(secs(20), "all are open", || {
            scrape(api)["chaos_proxy_connections_active{route=\"it\"}"] == f64::from(size)
        });
        best_of_three("a scrape with 10,000 connections", ms(100), || {
            let begun = std::time::Instant::now();
            assert_eq!(api.get("/metrics").status, 200);
            begun.elapsed()
        });
        assert_eq!(scrape(api).keys().cloned().collect::<Vec<_>>(), before);
        // The list of them goes by pages, and every one is there once.
        let (mut seen, mut after) = (0, String::new());
        loop {
            let page = api.get(&format!("/v1/connections?limit=4000{after}")).expect(200);
            seen += page["connections"].as_array().unwrap().len();
            match page["next"].as_u64() {
                Some(next) => after = format!("&after={next}"),
                None => break,
            }
        }
        assert_eq!(seen, size as usize);
    });
}
