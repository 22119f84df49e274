use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::AtomicU64;
use std::time::UNIX_EPOCH;

use tokio_util::task::TaskTracker;

use super::*;
use crate::daemon::Stats;
use crate::fault::dice::Dice;
use crate::fault::{Effect, Fault};
use crate::observe::{
    AcceptError, Bytes, ConnectResult, ConnectionRef, Direction, Emitter, Ending, Fact, Firing, Meter, Side,
};
use crate::relay::Stop;
use crate::route::{Bind, Budget, Common, Limits, LocalPort, RouteConfig, Timeouts};
use crate::upstream::{BreakerConfig, Builtin, Endpoint, HealthConfig, PoolConfig, Trip, UpstreamConfig};

type Labels = BTreeMap<String, String>;

/// A text as it was read: each family with its kind, each sample with its value.
struct Read {
    kinds: BTreeMap<String, String>,
    samples: BTreeMap<(String, Labels), f64>,
}

impl Read {
    /// Reads a text and holds it against every rule that both formats have, and those of its own.
    fn text(text: &str, format: Format) -> Read {
        let body = match format {
            Format::OpenMetrics => text.strip_suffix("# EOF\n").expect("it says where it ends"),
            Format::Prometheus => text,
        };
        assert!(body.ends_with('\n') && !body.contains("\n# EOF"));
        let mut read = Read { kinds: BTreeMap::new(), samples: BTreeMap::new() };
        let (mut helped, mut family, mut kind) = (String::new(), String::new(), String::new());
        for line in body.lines() {
            if let Some(help) = line.strip_prefix("# HELP ") {
                let (name, help) = help.split_once(' ').expect("a text behind the name");
                assert!(!help.is_empty() && !help.contains('\\'));
                helped = name.to_owned();
            } else if let Some(rest) = line.strip_prefix("# TYPE ") {
                let (name, word) = rest.split_once(' ').expect("a kind behind the name");
                assert_eq!(name, helped, "the help stands before the type");
                (family, kind) = (name.to_owned(), word.to_owned());
                assert!(read.kinds.insert(family.clone(), kind.clone()).is_none(), "{name} comes twice");
            } else {
                let (name, labels, value) = sample(line);
                let suffix = name.strip_prefix(&family).expect("samples stand with their family");
                let allowed: &[&str] = match (format, kind.as_str()) {
                    (Format::OpenMetrics, "counter") => &["_total"],
                    (Format::OpenMetrics, "info") => &["_info"],
                    (Format::Prometheus, "counter") | (_, "gauge") => &[""],
                    (_, "summary") => &["_sum", "_count"],
                    (_, "histogram") => &["_bucket", "_sum", "_count"],
                    other => panic!("{other:?} is no kind"),
                };
                assert!(allowed.contains(&suffix), "{line} in a {kind}");
                assert_eq!(labels.contains_key("le"), suffix == "_bucket", "{line}");
                let key = (name, labels);
                assert!(read.samples.insert(key, value).is_none(), "{line} comes twice");
            }
        }
        read.check_histograms();
        read
    }

    fn check_histograms(&self) {
        for ((name, labels), count) in &self.samples {
            let Some(family) = name.strip_suffix("_count") else { continue };
            let mut infinite = labels.clone();
            infinite.insert("le".to_owned(), "+Inf".to_owned());
            let last = self.samples.get(&(format!("{family}_bucket"), infinite));
            assert_eq!(last.is_some(), self.kinds[family] == "histogram", "{name}");
            assert!(last.is_none_or(|last| last == count), "{name}");
        }
    }

    fn value(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let owned = labels.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        let value = self.samples.get(&(format!("chaos_proxy_{name}"), owned));
        *value.unwrap_or_else(|| panic!("no {name} {labels:?}"))
    }
}

/// A line taken apart, character by character.
fn sample(line: &str) -> (String, Labels, f64) {
    let end = line.find(['{', ' ']).expect("a name");
    let (name, mut rest) = line.split_at(end);
    assert!(name.starts_with("chaos_proxy_") && is_name(name), "{line}");
    let mut labels = Labels::new();
    if let Some(inside) = rest.strip_prefix('{') {
        rest = inside;
        loop {
            let (label, behind) = rest.split_once("=\"").expect("a label");
            assert!(is_name(label), "{line}");
            let (value, behind) = quoted(behind);
            assert!(labels.insert(label.to_owned(), value).is_none(), "{line}");
            match behind.strip_prefix(',') {
                Some(behind) => rest = behind,
                None => {
                    rest = behind.strip_prefix('}').expect("an end of the labels");
                    break;
                }
            }
        }
    }
    let value = rest.strip_prefix(' ').expect("a space before the value");
    assert!(value.chars().all(|c| c.is_ascii_digit() || ".-+e".contains(c)), "{line}");
    (name.to_owned(), labels, value.parse().expect("a number"))
}

fn is_name(text: &str) -> bool {
    let mut chars = text.chars();
    chars.next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_')
        && chars.all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// What stands before the closing quote, unescaped, and what stands behind it.
fn quoted(text: &str) -> (String, &str) {
    let mut value = String::new();
    let mut chars = text.char_indices();
    while let Some((i, c)) = chars.next() {
        match c {
            '"' => return (value, &text[i + 1..]),
            '\\' => match chars.next().expect("an escape").1 {
                'n' => value.push('\n'),
                c @ ('"' | '\\') => value.push(c),
                c => panic!("\\{c} is no escape"),
            },
            c => value.push(c),
        }
    }
    panic!("no closing quote in {text}")
}

/// Routes as a daemon has them, and nobody who uses them.
struct Daemon {
    emitter: Emitter,
    routes: Vec<Arc<Route>>,
}

impl Daemon {
    fn new(routes: &[(&str, &[&str])]) -> Daemon {
        let common = Common {
            dialer: crate::upstream::Dialer::new(crate::upstream::Resolver::system()),
            dice: Dice::new(1),
            emitter: Emitter::default(),
            budget: Budget::new(100),
            pipes: crate::relay::Pipes::default(),
            ids: Arc::new(AtomicU64::new(0)),
            connections: TaskTracker::new(),
            stop: Stop::default(),
            ended: Arc::default(),
            cut: Arc::default(),
            generation: Arc::new(AtomicU64::new(1)),
        };
        let routes = routes.iter().map(|(name, faults)| {
            let faults = faults.iter().map(|name| named(name)).collect();
            Route::new(config(name, faults), &common, common.budget.share().unwrap())
        });
        Daemon { routes: routes.collect(), emitter: common.emitter.clone() }
    }

    fn stats(&self) -> Stats {
        let view = self.view();
        Stats::of(view.generation, view.uptime, view.routes, view.process)
    }

    fn view(&self) -> View<'_> {
        View {
            generation: 7,
            started: UNIX_EPOCH + Duration::from_millis(1_500),
            uptime: Duration::from_millis(2_250),
            version: "1.2.3",
            commit: "9f2c1ab",
            routes: &self.routes,
            process: self.emitter.process(),
            toxiproxy: false,
        }
    }

    /// The metrics, which say the same in both formats.
    fn read(&self) -> Read {
        let open = Read::text(&render(&self.view(), Format::OpenMetrics), Format::OpenMetrics);
        let old = Read::text(&render(&self.view(), Format::Prometheus), Format::Prometheus);
        let plain = |read: &Read| -> Vec<_> {
            let samples = read.samples.iter().map(|((name, labels), value)| {
                let mut labels = labels.clone();
                if let Some(le) = labels.get_mut("le") {
                    *le = le.strip_suffix(".0").unwrap_or(le).to_owned();
                }
                (name.clone(), labels, value.to_bits())
            });
            let mut samples: Vec<_> = samples.collect();
            samples.sort();
            samples
        };
        assert_eq!(plain(&open), plain(&old));
        old
    }

    fn tell(&self, fact: Fact) {
        self.emitter.emit_of(&self.routes[0].stats, fact);
    }

    /// A connection of the first route that did a bit of everything.
    fn connection(&self, client: SocketAddr, number: u64) {
        let route = &self.routes[0];
        let of = ConnectionRef { route: route.name().clone(), number, id: number, client };
        self.tell(Fact::ConnectionOpened { of: of.clone() });
        let upstream = route.endpoints()[0].address.clone();
        let duration = Duration::from_millis(3);
        self.tell(Fact::UpstreamConnected { of: of.clone(), upstream, duration });
        for way in route.fault_counts() {
            let fault = Firing {
                stats: way.stats,
                name: way.fault,
                effect: way.effect,
                upstream: None,
                direction: way.direction,
                draw: None,
                delay: None,
            };
            self.tell(Fact::FaultFired { of: of.clone(), fault });
        }
        let meter = Meter::new(route.stats.clone());
        meter.count_received(Direction::Upstream, 10);
        meter.count_sent(Direction::Upstream, 9);
        self.tell(Fact::ConnectionClosed {
            of,
            ending: Ending::PeerFin,
            side: Side::Client,
            fault: None,
            error: None,
            deeds: Vec::new(),
            bytes: Bytes::default(),
            duration: Duration::from_secs(2),
        });
    }

    fn failed(&self, result: ConnectResult) {
        let client = SocketAddr::from((Ipv4Addr::LOCALHOST, 1));
        let of = ConnectionRef { route: self.routes[0].name().clone(), number: 1, id: 1, client };
        let (upstream, error) = (self.routes[0].endpoints()[0].address.clone(), result.word().into());
        self.tell(Fact::UpstreamFailed { of, upstream, duration: Duration::from_secs(5), error, result });
    }
}

fn named(name: &str) -> Fault {
    let effect =
        if name == "drop" { Effect::Drop(Default::default()) } else { Effect::Noop(Default::default()) };
    Fault { name: name.into(), direction: crate::fault::Directions::Both, ..Fault::new(effect) }
}

/// An upstream of which there is everything to tell. Nobody asks after it: its route does not listen.
fn watched() -> UpstreamConfig {
    let mut upstream =
        UpstreamConfig::from(vec![Endpoint::Builtin(Builtin::Echo), "127.0.0.1:1".parse().unwrap()]);
    let second = Duration::from_secs(1);
    upstream.health = Some(HealthConfig { interval: second, timeout: second, rise: 1, fall: 1, http: None });
    upstream.breaker =
        Some(BreakerConfig { trip: Trip::Failures(5), window: second, open: second, probes: 1 });
    upstream.pool = Some(PoolConfig { size: 1, max_age: second });
    upstream
}

fn config(name: &str, faults: Vec<Fault>) -> RouteConfig {
    RouteConfig {
        name: name.into(),
        local_port: LocalPort::Auto,
        bind: Bind::Any,
        enabled: true,
        upstream: watched(),
        faults,
        timeouts: Timeouts::default(),
        limits: Limits::default(),
        keepalive: None,
        proxy_protocol: Default::default(),
    }
}

#[test]
fn every_metric_is_told_in_both_formats_with_the_labels_that_the_list_names() {
    let daemon = Daemon::new(&[("a", &["drop", "noop"]), ("b", &[])]);
    daemon.emitter.process().count_call(200);
    let read = daemon.read();
    let told: BTreeSet<(String, BTreeSet<String>)> =
        read.samples.keys().map(|(name, labels)| (name.clone(), labels.keys().cloned().collect())).collect();
    let listed: BTreeSet<(String, BTreeSet<String>)> = families()
        .flat_map(Family::samples)
        .map(|(name, labels)| (name, labels.into_iter().map(str::to_owned).collect()))
        .collect();
    assert_eq!(told, listed);
    // The names that people build dashboards on.
    let names: BTreeSet<&str> =
        listed.iter().filter_map(|(name, _)| name.strip_prefix("chaos_proxy_")).collect();
    for promised in [
        "build_info",
        "start_time_seconds",
        "uptime_seconds",
        "generation",
        "connections_opened_total",
        "connections_active",
        "connections_closed_total",
        "bytes_received_total",
        "bytes_sent_total",
        "upstream_connects_total",
        "upstream_connect_seconds_bucket",
        "connection_duration_seconds_bucket",
        "faults_fired_total",
        "fault_delay_seconds_sum",
        "accept_errors_total",
        "reloads_total",
        "control_calls_total",
        "log_lines_dropped_total",
        "panics_total",
        "connections_waiting",
        "upstream_up",
        "upstream_checks_total",
        "upstream_connections",
        "breaker_state",
        "pool_connections",
    ] {
        assert!(names.contains(promised), "{promised}");
    }
}

#[test]
fn counters_say_exactly_what_happened() {
    let daemon = Daemon::new(&[("db", &["drop", "noop"]), ("idle", &["noop"])]);
    for number in 1..=3 {
        daemon.connection(SocketAddr::from((Ipv4Addr::LOCALHOST, 1)), number);
    }
    let results =
        [ConnectResult::Refused, ConnectResult::Refused, ConnectResult::Timeout, ConnectResult::Error];
    results.into_iter().for_each(|result| daemon.failed(result));
    let route: Arc<str> = "db".into();
    for errno in [rustix::io::Errno::MFILE, rustix::io::Errno::MFILE, rustix::io::Errno::PERM] {
        let reason = AcceptError::of(&errno.into());
        daemon.tell(Fact::AcceptFailed { route: route.clone(), error: "it".into(), reason });
    }
    let noop = daemon.routes[0].fault_counts().pop().unwrap();
    noop.stats.count_delay(Duration::from_millis(1_500));
    noop.stats.count_amount(11);
    let process = daemon.emitter.process();
    process.count_panic();
    [true, true, false].into_iter().for_each(|ok| process.count_reload(ok));
    [200, 404, 200].into_iter().for_each(|code| process.count_call(code));

    let read = daemon.read();
    let db = ("route", "db");
    let ways = |name, way| read.value(name, &[db, ("direction", way)]);
    let ended =
        |ending, side| read.value("connections_closed_total", &[db, ("ending", ending), ("side", side)]);
    let connects = |result| {
        let labels = [db, ("upstream", "builtin:echo"), ("result", result)];
        read.value("upstream_connects_total", &labels)
    };
    let fired = |route, fault, effect, direction| {
        let labels = [("route", route), ("fault", fault), ("effect", effect), ("direction", direction)];
        read.value("faults_fired_total", &labels)
    };
    assert_eq!(read.value("build_info", &[("version", "1.2.3"), ("commit", "9f2c1ab")]), 1.0);
    assert_eq!([read.value("start_time_seconds", &[]), read.value("uptime_seconds", &[])], [1.5, 2.25]);
    assert_eq!(read.value("generation", &[]), 7.0);
    assert_eq!(
        [read.value("connections_opened_total", &[db]), read.value("connections_active", &[db])],
        [3.0, 0.0]
    );
    assert_eq!(
        [ended("peer-fin", "client"), ended("peer-fin", "upstream"), ended("drain", "none")],
        [3.0, 0.0, 0.0]
    );
    assert_eq!(
        [ways("bytes_received_total", "upstream"), ways("bytes_sent_total", "upstream")],
        [30.0, 27.0]
    );
    assert_eq!(
        [ways("bytes_received_total", "downstream"), ways("bytes_sent_total", "downstream")],
        [0.0, 0.0]
    );
    assert_eq!(["ok", "refused", "timeout", "error"].map(connects), [3.0, 2.0, 1.0, 1.0]);
    assert_eq!(fired("db", "drop", "drop", "none"), 3.0);
    assert_eq!(["upstream", "downstream"].map(|way| fired("db", "noop", "noop", way)), [3.0, 3.0]);
    assert_eq!(fired("idle", "noop", "noop", "upstream"), 0.0, "what never fired is told too");
    let noop = [db, ("fault", "noop")];
    assert_eq!(
        [read.value("fault_delay_seconds_sum", &noop), read.value("fault_delay_seconds_count", &noop)],
        [1.5, 1.0]
    );
    let bucket = |name, le| read.value(name, &[db, ("le", le)]);
    let connect = ["0.0025", "0.005", "30", "+Inf"].map(|le| bucket("upstream_connect_seconds_bucket", le));
    assert_eq!(connect, [0.0, 3.0, 3.0, 3.0]);
    assert_eq!(read.value("upstream_connect_seconds_sum", &[db]), 0.009);
    let lived = ["1", "5", "86400"].map(|le| bucket("connection_duration_seconds_bucket", le));
    assert_eq!(lived, [0.0, 3.0, 3.0]);
    assert_eq!(read.value("connection_duration_seconds_sum", &[db]), 6.0);
    let errors =
        ["emfile", "other", "enfile"].map(|word| read.value("accept_errors_total", &[db, ("reason", word)]));
    assert_eq!(errors, [2.0, 1.0, 0.0]);
    assert_eq!(["ok", "refused"].map(|word| read.value("reloads_total", &[("result", word)])), [2.0, 1.0]);
    assert_eq!(["200", "404"].map(|code| read.value("control_calls_total", &[("code", code)])), [2.0, 1.0]);
    assert_eq!(read.value("panics_total", &[]), 1.0);

    let stats = serde_json::to_value(daemon.stats()).unwrap();
    let expected = serde_json::json!({
        "name": "db", "opened": 3, "active": 0,
        "closed": [{"ending": "peer-fin", "side": "client", "count": 3}],
        "bytesReceived": {"upstream": 30, "downstream": 0},
        "bytesSent": {"upstream": 27, "downstream": 0},
        "connects": {"ok": 3, "refused": 2, "timeout": 1, "error": 1},
        "acceptErrors": 3, "fired": 9,
        "faults": [
            {"fault": "drop", "effect": "drop", "fired": 3, "amount": 0, "delaySeconds": 0.0},
            {"fault": "noop", "effect": "noop", "direction": "upstream", "fired": 3, "amount": 0, "delaySeconds": 0.0},
            {"fault": "noop", "effect": "noop", "direction": "downstream", "fired": 3, "amount": 11, "delaySeconds": 1.5},
        ],
    });
    assert_eq!(stats["routes"][0], expected);
    assert_eq!(
        (&stats["generation"], &stats["uptime"], &stats["panics"]),
        (&7.into(), &2.25.into(), &1.into())
    );
    assert!(stats["logLinesDropped"].is_u64());
}

/// What a configuration may call things must not be able to break the text.
#[test]
fn any_name_can_be_read_back() {
    let route = "a \"b\" \\ c\n{x=\"1\"} 5 # EOF ä";
    let daemon = Daemon::new(&[(route, &["\\n\"", "drop"])]);
    let read = daemon.read();
    assert_eq!(read.value("connections_active", &[("route", route)]), 0.0);
    assert_eq!(read.value("fault_delay_seconds_count", &[("route", route), ("fault", "\\n\"")]), 0.0);
}

/// Metrics are as many as the configuration says, whoever comes.
#[test]
fn ten_thousand_clients_add_no_series() {
    let daemon = Daemon::new(&[("db", &["drop", "noop"])]);
    daemon.connection(SocketAddr::from((Ipv4Addr::LOCALHOST, 1)), 1);
    let before = daemon.read();
    for n in 0..10_000_u32 {
        let client = Ipv4Addr::from_bits(0x0a00_0000 + n);
        daemon.connection(SocketAddr::from((client, 1024 + n as u16)), u64::from(n) + 2);
    }
    let after = daemon.read();
    assert!(before.samples.keys().eq(after.samples.keys()));
    assert_eq!(after.value("connections_opened_total", &[("route", "db")]), 10_001.0);
    assert!(!render(&daemon.view(), Format::OpenMetrics).contains("\"10.0."));
}

#[test]
fn a_fault_that_is_gone_keeps_its_series_and_its_firings() {
    let daemon = Daemon::new(&[("db", &["drop", "noop"])]);
    daemon.connection(SocketAddr::from((Ipv4Addr::LOCALHOST, 1)), 1);
    let mut config = daemon.routes[0].config();
    config.faults.retain(|fault| *fault.name != *"noop");
    daemon.routes[0].change(config, &[], None);
    let told = |read: &Read, name: &str| {
        read.samples
            .keys()
            .filter(|(_, labels)| labels.get("fault").is_some_and(|fault| fault == name))
            .count()
    };
    let read = daemon.read();
    // Once for each of its ways as fired, and the sum and the count of its delays.
    assert_eq!((told(&read, "drop"), told(&read, "noop")), (3, 4));
    let stats = daemon.stats();
    assert_eq!((stats.routes[0].fired, stats.routes[0].faults.len()), (3, 3));
}
