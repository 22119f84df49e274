//! What is accepted, and what it means.

#![allow(clippy::unwrap_used, reason = "a test may")]

mod config_support;

use std::path::{Path, PathBuf};
use std::time::Duration;

use chaos_proxy::cli;
use chaos_proxy::config::{Admin, Config, Document};
use chaos_proxy::fault::Effect;
use chaos_proxy::fault::How;
use chaos_proxy::route::{Bind, Excess, KeepAlive, Limits, LocalPort, ProxyProtocol, RouteConfig};
use chaos_proxy::upstream::{
    Balance, BreakerConfig, HeaderVersion, HealthConfig, HttpCheck, PoolConfig, Trip, WhenAllDown,
};
use config_support::{accepted, env, parse, route};
use proptest::prelude::*;

fn examples() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files: Vec<PathBuf> = std::fs::read_dir(root.join("examples"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "yaml"))
        // Others are scenarios and workflows.
        .filter(|path| std::fs::read_to_string(path).unwrap().lines().any(|line| line == "routes:"))
        .collect();
    files.sort();
    assert!(files.len() >= 4);
    files.push(root.join("config.example.yaml"));
    files
}

#[test]
fn every_example_loads_and_says_what_it_does() {
    let said: Vec<String> = examples()
        .iter()
        .map(|path| {
            let name = path.file_name().unwrap().to_string_lossy();
            let config =
                chaos_proxy::config::load(path, &|_| None).unwrap_or_else(|refused| panic!("{refused}"));
            format!("### {name}\n{}\n", cli::explain(&config))
        })
        .collect();
    insta::assert_snapshot!(said.join("\n"));
}

#[test]
fn every_example_uses_ports_below_the_ephemeral_range() {
    for path in examples() {
        let config = chaos_proxy::config::load(&path, &|_| None).unwrap();
        for route in config.routes {
            assert!(matches!(route.local_port, LocalPort::Auto | LocalPort::Fixed(1024..32768)), "{path:?}");
        }
    }
}

#[test]
fn the_schema_in_the_repository_is_the_program_s() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/config.schema.json");
    let schema = cli::schema(cli::Subject::Config);
    if std::env::var_os("UPDATE_SCHEMA").is_some() {
        std::fs::write(&path, &schema).unwrap();
    }
    let kept = std::fs::read_to_string(path).unwrap();
    assert!(kept == schema, "run the tests with UPDATE_SCHEMA=1 to renew examples/config.schema.json");
}

#[test]
fn the_same_document_in_yaml_and_json_means_the_same() {
    for path in examples() {
        let yaml = std::fs::read_to_string(&path).unwrap().replace("${CHAOS_SEED:-7}", "7");
        let value: serde_yaml::Value = serde_yaml::from_str::<serde_yaml::Value>(&yaml).unwrap().merged();
        let json = serde_json::to_string_pretty(&value).unwrap();
        assert_eq!(accepted(&yaml), accepted(&json), "{path:?}");
    }
}

/// serde_yaml leaves merging to the caller.
trait Merged {
    fn merged(self) -> Self;
}

impl Merged for serde_yaml::Value {
    fn merged(mut self) -> Self {
        self.apply_merge().unwrap();
        self
    }
}

#[test]
fn what_is_written_is_read_again() {
    for path in examples() {
        let text = std::fs::read(&path).unwrap();
        let typed = Document::read(&text, "a", &env).unwrap();
        let written = serde_yaml::to_string(typed.document()).unwrap();
        assert_eq!(accepted(&written), parse(&text).unwrap(), "{path:?} became\n{written}");
    }
}

#[test]
fn line_endings_and_a_byte_order_mark_change_nothing() {
    let plain = accepted(&route("dropRate: 0.5"));
    assert_eq!(accepted(&route("dropRate: 0.5").replace('\n', "\r\n")), plain);
    assert_eq!(accepted(&format!("\u{feff}{}", route("dropRate: 0.5"))), plain);
    assert_eq!(accepted(&format!("---\n{}...\n", route("dropRate: 0.5"))), plain);
}

#[test]
fn a_bare_list_of_routes_is_a_document() {
    let list = "- name: db\n  localPort: 15432\n  upstream: db.internal:5432\n";
    assert_eq!(accepted(list), accepted(&route("enabled: true")));
    let json = r#"[{"name": "db", "localPort": 15432, "upstream": "db.internal:5432"}]"#;
    assert_eq!(accepted(json), accepted(list));
}

#[test]
fn anchors_aliases_and_merges_are_understood() {
    let text = "x-base: &base {upstream: db:5432, dropRate: 0.5}\nx-more: &more {upstream: other:1, latencyMs: 5}\n\
                routes:\n  - {<<: *base, localPort: 1}\n  - {<<: [*base, *more], localPort: 2, dropRate: 0}\n";
    let config = accepted(text);
    assert_eq!(config.routes[0].faults.len(), 1);
    assert_eq!(config.routes[1].upstream.to_string(), "db:5432");
    assert_eq!(config.routes[1].faults.len(), 1);
    assert_eq!(config.routes[1].faults[0].effect.word(), "delay");
}

#[test]
fn a_lone_variable_takes_the_type_its_place_asks_for() {
    let text = "routes:\n  - name: ${PORT}\n    localPort: ${PORT}\n    upstream: ${HOST:-db}:${PORT}\n    \
                dropRate: ${RATE:-0.5}\n    enabled: ${ON:-false}\n    timeouts: {connect: \"${T:-3s}\"}\n";
    let config = accepted(text);
    let route = &config.routes[0];
    assert_eq!((&*route.name, route.local_port), ("15432", LocalPort::Fixed(15432)));
    assert_eq!(route.upstream.to_string(), "db:15432");
    assert_eq!(route.timeouts.connect, Duration::from_secs(3));
    assert!(!route.enabled);
}

#[test]
fn accepted_values() {
    for rate in ["0", "1", "1.0", "1e-9"] {
        accepted(&route(&format!("dropRate: {rate}")));
    }
    for upstream in
        ["'[::1]:5432'", "a:1", "xn--bcher-kva.example:80", "example.com.:80", "no.such.name.invalid:1"]
    {
        accepted(&format!("routes: [{{localPort: 1, upstream: {upstream}}}]"));
    }
    assert_eq!(accepted(&format!("bind: '*'\n{}", route("bind: '::'"))).bind, Bind::Any);
    assert_eq!(accepted(&format!("admin: off\n{}", route("enabled: true"))).admin, Admin::Off);
    assert_eq!(accepted(&format!("admin: false\n{}", route("enabled: true"))).admin, Admin::Off);
    assert_eq!(accepted(&route("enabled: true")).admin, Admin::Default);
    accepted(&format!("seed: 18446744073709551615\nx-any: {{a: [1, ~, 0x1]}}\n{}", route("enabled: true")));
}

#[test]
fn shorthands_come_first_and_zero_is_off() {
    let config = accepted(&route(
        "dropRate: 0.1\n    timeoutMs: 3000\n    latencyMs: 200\n    jitterMs: 50\n    faults: [drop: {name: more, how: reset}]",
    ));
    let faults = &config.routes[0].faults;
    let names: Vec<&str> = faults.iter().map(|fault| &*fault.name).collect();
    assert_eq!(names, ["drop", "hang", "delay", "more"]);
    let brief: Vec<String> = faults.iter().map(|fault| fault.brief()).collect();
    assert_eq!(brief, ["drop 10%", "hang, closed after 3s", "delay 200ms ±50ms", "drop by reset"]);
    assert!(matches!(&faults[3].effect, Effect::Drop(drop) if drop.how == How::Reset));
    let off =
        accepted(&route("dropRate: 0\n    timeoutMs: 0\n    latencyMs: 0\n    jitterMs: 0\n    faults: []"));
    assert!(off.routes[0].faults.is_empty());
    let jitter = accepted(&route("jitterMs: 50"));
    assert_eq!(jitter.routes[0].faults[0].brief(), "delay 0s ±50ms");
}

fn with_upstream(text: &str) -> RouteConfig {
    accepted(&format!("routes:\n  - localPort: 15432\n    upstream: {text}\n")).routes.remove(0)
}

#[test]
fn an_upstream_is_written_in_three_ways() {
    let upstream = |text: &str| with_upstream(text).upstream;
    let one = upstream("a:1");
    assert_eq!(one.to_string(), "a:1");
    assert_eq!(upstream("[a:1]"), one);
    assert_eq!(upstream("{endpoints: [{address: a:1}], balance: first, whenAllDown: try}"), one);
    let two = upstream("[a:1, {address: b:1, weight: 3}]");
    assert_eq!(two.endpoints.iter().map(|target| target.weight).collect::<Vec<_>>(), [1, 3]);
    assert_eq!(upstream("{endpoints: [{address: a:1, weight: 1}, {address: b:1, weight: 3}]}"), two);
    let balance = |word: &str| upstream(&format!("{{endpoints: [a:1], balance: {word}}}")).balance;
    assert_eq!(
        ["first", "roundRobin", "random", "leastConnections"].map(balance),
        [Balance::First, Balance::RoundRobin, Balance::Random, Balance::LeastConnections]
    );
    assert_eq!(upstream("{endpoints: [a:1], whenAllDown: refuse}").when_all_down, WhenAllDown::Refuse);
    assert_eq!(upstream("[\"builtin:echo\", a:1]").to_string(), "builtin:echo, a:1");
}

#[test]
fn health_breaker_and_pool_have_their_defaults() {
    let none = with_upstream("{endpoints: [a:1]}").upstream;
    assert!(none.health.is_none() && none.breaker.is_none() && none.pool.is_none());
    let empty = with_upstream("{endpoints: [a:1], health: {}, breaker: {}, pool: {}}").upstream;
    let seconds = Duration::from_secs;
    let health = HealthConfig { interval: seconds(2), timeout: seconds(1), rise: 2, fall: 3, http: None };
    let breaker =
        BreakerConfig { trip: Trip::Failures(5), window: seconds(30), open: seconds(10), probes: 1 };
    assert_eq!(empty.health, Some(health));
    assert_eq!(empty.breaker, Some(breaker));
    assert_eq!(empty.pool, Some(PoolConfig { size: 4, max_age: seconds(60) }));
    let bare = "\n      endpoints: [a:1]\n      health:\n      breaker:\n      pool: # here\n";
    assert_eq!(with_upstream(bare).upstream, empty);
    let http = with_upstream("{endpoints: [a:1], health: {http: /healthz}}").upstream.health.unwrap();
    assert_eq!(http.http, Some(HttpCheck { path: "/healthz".to_owned(), status: 200, host: None }));
    let share = with_upstream("{endpoints: [a:1], breaker: {share: 0.5}}").upstream.breaker.unwrap();
    assert!(matches!(share.trip, Trip::Share { share, minimum: 20 } if share.get() == 0.5));
}

#[test]
fn limits_have_their_defaults() {
    let limits = |text: &str| accepted(&route(&format!("limits: {text}"))).routes[0].limits;
    assert_eq!(limits("{}"), Limits::default());
    let rate = limits("{connections: 1000, rate: 100/s, burst: 20, excess: refuse}");
    assert_eq!((rate.connections, rate.burst, rate.excess), (Some(1000), Some(20), Excess::Refuse));
    assert_eq!(rate.rate.map(|rate| rate.to_string()), Some("100/s".to_owned()));
    let queue = Excess::Queue { size: 100, timeout: Duration::from_secs(5) };
    assert_eq!(limits("{rate: 0.5/s, excess: queue}").excess, queue);
    assert_eq!(limits("{connections: 1, excess: queue, queue: {}}").excess, queue);
    let queue = Excess::Queue { size: 5, timeout: Duration::from_millis(500) };
    assert_eq!(limits("{connections: 1, excess: queue, queue: {size: 5, timeout: 500ms}}").excess, queue);
}

#[test]
fn keepalive_and_proxy_protocol_are_off_until_asked_for() {
    let of = |text: &str| accepted(&route(text)).routes.remove(0);
    let plain = of("enabled: true");
    assert_eq!((plain.keepalive, plain.proxy_protocol), (None, ProxyProtocol::default()));
    let default = KeepAlive {
        idle: Duration::from_secs(60),
        interval: Duration::from_secs(10),
        count: 6,
        user_timeout: None,
    };
    assert_eq!(of("keepalive: {}").keepalive, Some(default));
    assert_eq!(of("keepalive:").keepalive, Some(default));
    let user_timeout = Some(Duration::from_secs(30));
    assert_eq!(of("keepalive: {userTimeout: 30s}").keepalive, Some(KeepAlive { user_timeout, ..default }));
    let protocol = of("proxyProtocol: {send: v2, accept: [10.0.0.0/8, '::1']}").proxy_protocol;
    assert_eq!((protocol.send, protocol.accept.len()), (Some(HeaderVersion::V2), 2));
}

#[test]
fn a_fault_is_aimed_at_an_endpoint_of_its_route() {
    let text =
        "[a:1, b:1]\n    faults: [refuseConnect: {endpoint: b:1}, latency: {delay: 1ms, endpoint: a:1}]";
    let aims: Vec<_> =
        with_upstream(text).faults.iter().map(|fault| fault.trigger.endpoint.clone().unwrap()).collect();
    assert_eq!(aims.iter().map(ToString::to_string).collect::<Vec<_>>(), ["b:1", "a:1"]);
}

#[test]
fn routes_that_fork_and_meet_again_are_no_circle() {
    let text = "routes:\n  - {name: a, localPort: 1001, upstream: ['127.0.0.1:1002', '127.0.0.1:1003']}\n  \
                - {name: b, localPort: 1002, upstream: '127.0.0.1:1004'}\n  \
                - {name: c, localPort: 1003, upstream: '127.0.0.1:1004'}\n  \
                - {name: d, localPort: 1004, upstream: ['x:1', '127.0.0.1:8474']}\n";
    assert_eq!(accepted(text).routes.len(), 4);
}

#[test]
fn an_effect_without_parameters_may_be_a_bare_word() {
    let faults = |text: &str| accepted(&route(&format!("faults: {text}"))).routes[0].faults.clone();
    assert_eq!(faults("[drop, hang]"), faults("[drop: , hang: {}]"));
}

#[test]
fn files_that_are_none_are_refused() {
    let load = |path: &Path| -> Result<Config, String> {
        chaos_proxy::config::load(path, &env).map_err(|refused| refused.brief())
    };
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    let ends = |path: &Path, end: &str| {
        let said = load(path).unwrap_err();
        assert!(said.ends_with(end), "{said}");
    };
    ends(&at("missing.yaml"), "there is no such file");
    ends(dir.path(), "this is a directory, not a file");
    std::os::unix::fs::symlink(at("nowhere"), at("link")).unwrap();
    ends(&at("link"), "there is no such file");
    assert!(std::process::Command::new("mkfifo").arg(at("fifo")).status().unwrap().success());
    ends(&at("fifo"), "this is a pipe, not a file");
    ends(Path::new("/dev/zero"), "this is a device, not a file");
    let huge = std::fs::File::create(at("huge")).unwrap();
    huge.set_len(100 << 20).unwrap();
    ends(&at("huge"), "the document is larger than 1 MiB");
    let odd: &std::ffi::OsStr = std::os::unix::ffi::OsStrExt::from_bytes(b"caf\xe9.yaml");
    ends(&dir.path().join(odd), "there is no such file");
    std::fs::write(dir.path().join(odd), route("enabled: true")).unwrap();
    assert!(load(&dir.path().join(odd)).is_ok());
}

#[test]
fn the_brief_form_is_one_line() {
    let refused = parse(route("dropRate: 1.4\n    latencyMs: -1").as_bytes()).unwrap_err();
    assert_eq!(refused.brief(), "routes.yaml:5:15 dropRate 1.4 is not within 0..1 (and 1 more)");
    let problem = &refused.problems()[0];
    assert_eq!(problem.pointer, "/routes/0/dropRate");
    assert_eq!((problem.line, problem.column), (Some(5), Some(15)));
}

proptest! {
    #[test]
    fn random_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = parse(&bytes).map_err(|refused| refused.to_string());
    }

    #[test]
    fn random_punctuation_never_panics(text in "[\\[\\]{}:,\\-?!&*#|>'\"%@` \n\ta0$<~.]{0,120}") {
        let _ = parse(text.as_bytes()).map_err(|refused| refused.to_string());
    }

    #[test]
    fn damaged_examples_never_panic(
        which in 0usize..5, from in 0.0..1.0f64, length in 0usize..20, with in "[\\[\\]{}:,\\-?!&*#|>'\"\n 0ax$\u{e9}]{0,5}",
    ) {
        let mut text = std::fs::read(&examples()[which]).unwrap();
        let start = (from * text.len() as f64) as usize;
        let end = (start + length).min(text.len());
        text.splice(start..end, with.bytes());
        let _ = parse(&text).map_err(|refused| refused.to_string());
    }
}
