use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use crate::config::{Admin, Config, Drain, body, load};
use crate::fault::{
    Bandwidth, Blackhole, Change, ConnectDelay, Corrupt, Delay, Directions, Distribution, Drop, Effect,
    Fault, Hang, How, Latency, Limit, Loss, Noop, RefuseConnect, Reset, Shared, Slice, SlowClose, Stage,
    Stall, Then, Trigger,
};
use crate::observe::{Filter, Format, LogConfig};
use crate::route::{Bind, Excess, KeepAlive, Limits, LocalPort, ProxyProtocol, RouteConfig, Timeouts};
use crate::spec::{After, Allowed, Cidr, Frequency, Period, Probability, Rate, Size};
use crate::upstream::{
    Balance, BreakerConfig, Endpoint, HeaderVersion, HealthConfig, HttpCheck, PoolConfig, Target, Trip,
    UpstreamConfig, WhenAllDown,
};

fn written(config: &Config) -> String {
    serde_json::to_string(&config.document()).unwrap()
}

/// What is written in full is read as the same, and written the same again.
fn assert_kept(config: &Config) {
    let text = written(config);
    let read = body::config(text.as_bytes()).unwrap_or_else(|refused| panic!("{refused}\n{text}"));
    assert_eq!(&read, config, "{text}");
    assert_eq!(written(&read), text);
    config.check().unwrap_or_else(|refused| panic!("{refused}\n{text}"));
}

#[test]
fn every_example_written_in_full_means_the_same() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut count = 0;
    for entry in std::fs::read_dir(root.join("examples")).unwrap() {
        let path = entry.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap_or_default();
        // Others lie beside them: workflows, compose files, scenarios.
        if text.contains("\nroutes:") {
            assert_kept(&load(&path, &|_| None).unwrap());
            count += 1;
        }
    }
    assert!(count >= 4);
    assert_kept(&load(&root.join("config.example.yaml"), &|_| None).unwrap());
    assert_kept(&Config::default());
}

#[test]
fn every_default_is_written_out() {
    let config = Config::from_text(
        r#"{"seed": 7, "admin": "off", "routes": [{"localPort": 15432, "upstream": "db:5432", "dropRate": 0.25,
            "faults": [{"latency": {"delay": "200ms"}}]}]}"#,
    );
    let document = serde_json::to_value(config.unwrap().document()).unwrap();
    let expected = serde_json::json!({
        "seed": 7, "bind": "127.0.0.1", "admin": "off", "log": {"level": "info", "format": "auto"},
        "drainTimeout": "25s", "preDrainDelay": "0s", "drainIdle": "none",
        "routes": [{
            "name": "port-15432", "localPort": 15432, "bind": "127.0.0.1", "enabled": true, "upstream": "db:5432",
            "faults": [
                {"drop": {"name": "drop", "how": "close", "enabled": true, "skip": 0, "every": 1,
                    "probability": 0.25}},
                {"latency": {"name": "latency", "direction": "downstream", "delay": "200ms", "jitter": "0s",
                    "distribution": "uniform", "enabled": true, "skip": 0, "every": 1, "probability": 1.0}},
            ],
            "timeouts": {"connect": "5s", "halfClose": "30s", "idle": "none", "lifetime": "none"},
            "limits": {"held": "1MiB"},
        }],
    });
    assert_eq!(document, expected);
}

fn name() -> impl Strategy<Value = Arc<str>> {
    let odd = "[a-z.$\\\\\"'/~{}\\[\\]#:%é漢🙂`]([a-z $\\\\\"'/~.é漢]{0,9}[a-z$\"é🙂])?".prop_map(Arc::from);
    prop_oneof![odd, (1..=65535u16).prop_map(|port| format!("port-{port}").into()), Just("$${X}".into())]
}

fn period() -> impl Strategy<Value = Period> {
    let most = u64::try_from(Period::MAX.get().as_nanos()).unwrap();
    prop_oneof![0..2000u64, 0..10_000_000_000u64, 0..=most]
        .prop_map(|nanos| Period::new(Duration::from_nanos(nanos)))
}

fn positive() -> impl Strategy<Value = Duration> {
    period().prop_map(|period| period.get().max(Duration::from_nanos(1)))
}

fn size() -> impl Strategy<Value = Size> {
    prop_oneof![0..5000u64, any::<u64>(), (0..100u64).prop_map(|mebi| mebi << 20)].prop_map(Size::new)
}

fn probability() -> impl Strategy<Value = Probability> {
    prop_oneof![Just(0.0), Just(1.0), 0.0..1.0f64, (0.0..1.0f64).prop_map(|p| p * 1e-12), Just(5e-324)]
        .prop_map(|number| Probability::new(number).unwrap())
}

fn after() -> impl Strategy<Value = After> {
    prop_oneof![period().prop_map(After::Time), size().prop_map(After::Bytes)]
}

fn distribution() -> impl Strategy<Value = Distribution> {
    prop_oneof![Just(Distribution::Uniform), Just(Distribution::Normal), Just(Distribution::Pareto)]
}

fn effect() -> impl Strategy<Value = Effect> {
    let then = prop_oneof![Just(Then::Close), Just(Then::Reset), Just(Then::Stall)];
    let change = prop_oneof![Just(Change::Flip), Just(Change::Random), Just(Change::Zero)];
    let shared = prop_oneof![Just(Shared::Connection), Just(Shared::Route)];
    let rate = (1..=u64::MAX).prop_map(|bytes| Rate::new(bytes).unwrap());
    let accept =
        prop_oneof![
            prop_oneof![Just(How::Close), Just(How::Reset)].prop_map(|how| Effect::Drop(Drop { how })),
            option::of(period()).prop_map(|close_after| Effect::Hang(Hang { close_after })),
            (period(), period(), distribution()).prop_map(|(delay, jitter, distribution)| Effect::Delay(
                Delay { delay, jitter, distribution }
            )),
        ];
    let timed =
        prop_oneof![
            (period(), period(), distribution()).prop_map(|(delay, jitter, distribution)| Effect::Latency(
                Latency { delay, jitter, distribution }
            )),
            (rate, option::of(size()), shared)
                .prop_map(|(rate, burst, shared)| Effect::Bandwidth(Bandwidth { rate, burst, shared })),
            (1..1u64 << 30, 0..1u64 << 30, period()).prop_map(|(size, variation, delay)| {
                let variation = Size::new(variation.min(size - 1));
                Effect::Slice(Slice { size: Size::new(size), variation, delay })
            }),
            (probability(), probability(), period())
                .prop_map(|(rate, correlation, rto)| Effect::Loss(Loss { rate, correlation, rto })),
            period().prop_map(|delay| Effect::SlowClose(SlowClose { delay })),
            Just(Effect::Noop(Noop {})),
        ];
    let dial = prop_oneof![
        Just(Effect::RefuseConnect(RefuseConnect {})),
        (period(), period(), distribution()).prop_map(|(delay, jitter, distribution)| Effect::ConnectDelay(
            ConnectDelay { delay, jitter, distribution }
        )),
    ];
    let ending = prop_oneof![
        (probability(), change).prop_map(|(rate, how)| Effect::Corrupt(Corrupt { rate, how })),
        (size(), then).prop_map(|(bytes, then)| Effect::Limit(Limit { bytes, then })),
        after().prop_map(|after| Effect::Reset(Reset { after })),
        option::of(period()).prop_map(|close_after| Effect::Blackhole(Blackhole { close_after })),
        (after(), option::of(period())).prop_map(|(after, hold)| Effect::Stall(Stall { after, hold })),
    ];
    prop_oneof![accept, dial, timed, ending]
}

fn cidr() -> impl Strategy<Value = Cidr> {
    prop_oneof![Just("10.0.0.0/8"), Just("::1"), Just("fd00::/8"), Just("0.0.0.0/0"), Just("1.2.3.4")]
        .prop_map(|text| text.parse().unwrap())
}

fn trigger() -> impl Strategy<Value = Trigger> {
    let client = option::of(cidr());
    let lasts = option::of(positive().prop_map(Period::new));
    let count = prop_oneof![1..10u64, Just(u64::MAX)];
    (any::<bool>(), client, any::<u64>(), count.clone(), probability(), option::of(count), lasts).prop_map(
        |(enabled, client, skip, every, probability, times, lasts)| Trigger {
            endpoint: None,
            enabled,
            client,
            skip,
            every,
            probability,
            times,
            lasts,
        },
    )
}

fn fault() -> impl Strategy<Value = Fault> {
    let direction =
        prop_oneof![Just(Directions::Upstream), Just(Directions::Downstream), Just(Directions::Both)];
    (name(), direction, trigger(), effect()).prop_map(|(name, direction, trigger, effect)| {
        let direction = if effect.stage() != Stage::Stream { Directions::default() } else { direction };
        Fault { name, direction, trigger, effect }
    })
}

fn bind() -> impl Strategy<Value = Bind> {
    prop_oneof![Just(Bind::Any), any::<IpAddr>().prop_map(Bind::Ip)]
}

fn endpoint() -> impl Strategy<Value = Endpoint> {
    let text = prop_oneof![
        Just("builtin:echo".to_owned()),
        Just("DB.internal.:5432".to_owned()),
        (any::<IpAddr>(), 1..=65535u16)
            .prop_map(|(ip, port)| std::net::SocketAddr::new(ip, port).to_string()),
    ];
    text.prop_map(|text| text.parse().unwrap())
}

fn health() -> impl Strategy<Value = HealthConfig> {
    let host = prop_oneof![Just("app.internal"), Just("[::1]:80"), Just("10.0.0.1")];
    let http = ("/[!-~]{0,9}", 100..600u16, option::of(host.prop_map(str::to_owned)))
        .prop_map(|(path, status, host)| HttpCheck { path, status, host });
    (positive(), positive(), 1..=1000u32, 1..=1000u32, option::of(http)).prop_map(
        |(interval, timeout, rise, fall, http)| {
            let interval = interval.max(Duration::from_millis(10));
            HealthConfig { interval, timeout, rise, fall, http }
        },
    )
}

fn breaker() -> impl Strategy<Value = BreakerConfig> {
    let share = probability().prop_filter("more than none", |share| share.get() > 0.0);
    let trip = prop_oneof![
        (1..=1000u32).prop_map(Trip::Failures),
        (share, 1..=1000u32).prop_map(|(share, minimum)| Trip::Share { share, minimum }),
    ];
    (trip, positive(), positive(), 1..=1000u32).prop_map(|(trip, window, open, probes)| BreakerConfig {
        trip,
        window,
        open,
        probes,
    })
}

fn targets() -> impl Strategy<Value = Vec<Target>> {
    let target = (endpoint(), prop_oneof![Just(1u32), 1..=1000u32])
        .prop_map(|(endpoint, weight)| Target { endpoint, weight });
    vec(target, 1..5).prop_map(|mut targets: Vec<Target>| {
        targets.sort_by_key(|target| target.endpoint.to_string());
        targets.dedup_by(|a, b| a.endpoint == b.endpoint);
        targets
    })
}

fn upstream() -> impl Strategy<Value = UpstreamConfig> {
    let balance = prop_oneof![
        Just(Balance::First),
        Just(Balance::RoundRobin),
        Just(Balance::Random),
        Just(Balance::LeastConnections)
    ];
    let when_all_down = prop_oneof![Just(WhenAllDown::Try), Just(WhenAllDown::Refuse)];
    let pool = (1..=1000u32, positive())
        .prop_map(|(size, max_age)| PoolConfig { size, max_age: max_age.max(Duration::from_millis(100)) });
    let more = (balance, when_all_down, option::of(health()), option::of(breaker()), option::of(pool));
    let full = (targets(), more).prop_map(|(endpoints, (balance, when_all_down, health, breaker, pool))| {
        UpstreamConfig { endpoints, balance, when_all_down, health, breaker, pool }
    });
    let listed = targets().prop_map(|endpoints| UpstreamConfig { endpoints, ..Vec::new().into() });
    prop_oneof![endpoint().prop_map(UpstreamConfig::from), listed, full]
}

fn limits() -> impl Strategy<Value = Limits> {
    let frequency = (1..=1_000_000u32, 0..3usize)
        .prop_map(|(times, unit)| format!("{times}/{}", ["s", "m", "h"][unit]).parse::<Frequency>().unwrap());
    let count = || 1..=1_000_000u32;
    let queue = (count(), positive()).prop_map(|(size, timeout)| Excess::Queue { size, timeout });
    let parts =
        (option::of(count()), option::of(frequency), option::of(count()), option::of(queue), 1..usize::MAX);
    parts.prop_map(|(connections, rate, burst, queue, held)| Limits {
        connections,
        rate,
        burst: burst.filter(|_| rate.is_some()),
        excess: queue.filter(|_| rate.is_some() || connections.is_some()).unwrap_or_default(),
        held,
    })
}

fn keepalive() -> impl Strategy<Value = KeepAlive> {
    let seconds = || (1..=32_400u64).prop_map(Duration::from_secs);
    let user = (1_000_000..=2_000_000_000_000u64).prop_map(Duration::from_nanos);
    (seconds(), seconds(), 1..=127u32, option::of(user))
        .prop_map(|(idle, interval, count, user_timeout)| KeepAlive { idle, interval, count, user_timeout })
}

fn proxy_protocol() -> impl Strategy<Value = ProxyProtocol> {
    let send = prop_oneof![Just(HeaderVersion::V1), Just(HeaderVersion::V2)];
    (option::of(send), vec(cidr(), 0..3)).prop_map(|(send, accept)| ProxyProtocol { send, accept })
}

fn route() -> impl Strategy<Value = RouteConfig> {
    let timeouts = (positive(), positive(), option::of(positive()), option::of(positive()))
        .prop_map(|(connect, half_close, idle, lifetime)| Timeouts { connect, half_close, idle, lifetime });
    let port = prop_oneof![Just(LocalPort::Auto), (1..=65535u16).prop_map(LocalPort::Fixed)];
    let place = (name(), port, bind(), any::<bool>());
    let terms = (timeouts, limits(), option::of(keepalive()), proxy_protocol());
    (place, upstream(), vec((fault(), any::<prop::sample::Index>()), 0..4), terms).prop_map(
        |(
            (name, local_port, bind, enabled),
            upstream,
            faults,
            (timeouts, limits, keepalive, proxy_protocol),
        )| {
            let mut faults: Vec<Fault> = faults
                .into_iter()
                .map(|(mut fault, index)| {
                    // Half of those that may be are aimed at an endpoint.
                    let aimed = fault.effect.stage() != Stage::Accept && index.index(2) == 0;
                    let target = &upstream.endpoints[index.index(upstream.endpoints.len())];
                    fault.trigger.endpoint = aimed.then(|| target.endpoint.clone());
                    fault
                })
                .collect();
            faults.sort_by(|a, b| a.name.cmp(&b.name));
            faults.dedup_by(|a, b| a.name == b.name);
            RouteConfig {
                name,
                local_port,
                bind,
                enabled,
                upstream,
                faults,
                timeouts,
                limits,
                keepalive,
                proxy_protocol,
            }
        },
    )
}

fn admin() -> impl Strategy<Value = Admin> {
    let on = ("\\PC{0,9}", vec("[a-z.]{1,9}", 0..3), any::<IpAddr>(), any::<bool>());
    prop_oneof![
        Just(Admin::Off),
        Just(Admin::Default),
        on.prop_map(|(file, allowed_hosts, ip, has_file)| Admin::On {
            listen: (ip, 0).into(),
            token_file: has_file.then(|| file.into()),
            allowed_hosts,
        }),
    ]
}

fn allowed() -> impl Strategy<Value = Allowed> {
    const TEXTS: [&str; 6] =
        ["10.0.0.0/8", "10.0.0.7:80", "[fd00::/8]:5432", "::1", "db.internal", "*.internal:5432"];
    proptest::sample::select(&TEXTS[..]).prop_map(|text| text.parse().unwrap())
}

prop_compose! {
    fn config()(
        seed in option::of(any::<u64>()), bind in bind(), admin in admin(), format in 0..3usize,
        times in (period(), period(), option::of(period())), stats in option::of(positive()),
        routes in vec(route(), 0..4), allowed in option::of(vec(allowed(), 0..4)),
    ) -> Config {
        let mut config = Config {
            seed, bind, admin,
            log: LogConfig {
                level: Filter(["info", "off", "warn,connection=debug"][format].to_owned()),
                format: [Format::Auto, Format::Text, Format::Json][format],
            },
            drain: Drain {
                timeout: times.0.get(), pre_delay: times.1.get(), idle: times.2.map(Period::get),
            },
            stats_interval: stats,
            allowed_upstreams: allowed,
            routes: Vec::new(),
        };
        for route in routes {
            config.routes.push(route);
            // Routes that clash or run in a circle are for other tests.
            if config.check().is_err() {
                config.routes.pop();
            }
        }
        config
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn whatever_is_written_in_full_is_read_as_the_same(config in config()) {
        assert_kept(&config);
    }
}
