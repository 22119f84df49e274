use super::*;

const OLD: &str = r#"{"seed": 1, "routes": [
    {"name": "web", "localPort": 15001, "upstream": "127.0.0.1:1", "faults": [{"latency": {"delay": "200ms"}},
        {"reset": {"name": "cut", "after": "5s"}}, "noop"]},
    {"name": "old", "localPort": 15002, "upstream": "builtin:echo"},
    {"name": "db", "localPort": 15003, "upstream": "db:5432"}]}"#;

fn texts(change: impl FnOnce(&mut Config)) -> Vec<String> {
    let old = Config::from_text(OLD).unwrap();
    let mut new = old.clone();
    change(&mut new);
    let told = changes(&old, &new);
    assert_eq!(told.is_empty(), old == new);
    told.into_iter().map(|change| change.text).collect()
}

fn fault(text: &str) -> Fault {
    let route = Config::from_text(OLD).unwrap().routes.remove(1);
    crate::config::body::fault(text.as_bytes(), &route, None).unwrap()
}

#[test]
fn nothing_changed_is_nothing_told() {
    assert_eq!(texts(|_| {}), [""; 0]);
}

#[test]
fn what_the_new_one_leaves_open_is_as_it_runs() {
    let (mut old, new) = (Config { seed: Some(7), ..Config::default() }, Config::default());
    old.admin = Admin::Off;
    assert_eq!(changes(&old, &new), []);
    let told = changes(&old, &Config { seed: Some(8), admin: Admin::Off, ..Config::default() });
    assert_eq!(told, [Change { path: "seed".into(), text: "seed 7 → 8".into() }]);
}

#[test]
fn values_of_the_document_and_of_routes() {
    let told = texts(|config| {
        config.log.level.0 = "debug".to_owned();
        config.drain.timeout = std::time::Duration::from_secs(5);
        config.stats_interval = Some(std::time::Duration::from_secs(60));
        config.allowed_upstreams = Some(vec!["10.0.0.0/8".parse().unwrap(), "*.internal:1".parse().unwrap()]);
        config.routes[0].upstream = "127.0.0.1:2".parse().unwrap();
        config.routes[0].timeouts.idle = Some(std::time::Duration::from_secs(1));
        config.routes[2].enabled = false;
    });
    let expected = [
        "log.level info → debug",
        "drainTimeout 25s → 5s",
        "statsInterval none → 60s",
        "allowedUpstreams none → [10.0.0.0/8, *.internal:1]",
        "web.upstream 127.0.0.1:1 → 127.0.0.1:2",
        "web.timeouts.idle none → 1s",
        "db.enabled true → false",
    ];
    // Sixty seconds are written as a minute.
    assert_eq!(told, expected.map(|text| text.replace("60s", "1m")));
}

#[test]
fn routes_and_faults_that_come_and_go() {
    let told = texts(|config| {
        config.routes.remove(1);
        config.routes.push(Config::from_text(&OLD.replace("web", "cache")).unwrap().routes.remove(0));
        config.routes[0].faults.remove(0);
        config.routes[0].faults.push(fault(r#"{"bandwidth": {"name": "slow", "rate": "64KiB/s"}}"#));
    });
    assert_eq!(told, ["- route old", "web - latency", "web + slow (bandwidth 64KiB/s)", "+ route cache"]);
}

#[test]
fn a_fault_that_changes() {
    let told = texts(|config| {
        config.routes[0].faults[0] =
            fault(r#"{"latency": {"delay": "80ms", "jitter": "5ms", "times": 3, "direction": "both"}}"#);
        config.routes[0].faults[1] = fault(r#"{"stall": {"name": "cut"}}"#);
    });
    let expected = [
        "web.latency.delay 200ms → 80ms",
        "web.latency.direction downstream → both",
        "web.latency.jitter 0s → 5ms",
        "web.latency.times none → 3",
        "web.cut reset after 5s → stall after 0s",
    ];
    assert_eq!(told, expected);
}

/// The differences between two texts of a route's upstream, limits and the like.
fn between(old: &str, new: &str) -> Vec<String> {
    let config = |text: &str| {
        Config::from_text(&format!("routes: [{{name: web, localPort: 15001, {text}}}]")).unwrap()
    };
    changes(&config(old), &config(new)).into_iter().map(|change| change.text).collect()
}

#[test]
fn what_changes_inside_an_upstream() {
    assert_eq!(between("upstream: 'a:1'", "upstream: ['a:1', 'b:1']"), ["web.upstream a:1 → [a:1, b:1]"]);
    assert_eq!(
        between(
            "upstream: {endpoints: ['a:1'], health: {}}",
            "upstream: {endpoints: ['a:1', {address: 'b:1', weight: 2}], health: {interval: 1s}, pool: {}}"
        ),
        [
            "web.upstream.endpoints [a:1] → [a:1, {address: b:1, weight: 2}]",
            "web.upstream.health.interval 2s → 1s",
            "web.upstream.pool none → {maxAge: 1m, size: 4}",
        ]
    );
    assert_eq!(
        between("upstream: 'a:1'", "upstream: {endpoints: ['a:1'], balance: random}"),
        ["web.upstream.balance first → random"]
    );
}

#[test]
fn what_changes_among_the_limits_of_a_route() {
    assert_eq!(
        between(
            "upstream: 'a:1', keepalive: {}",
            "upstream: 'a:1', limits: {rate: 100/s, burst: 20}, keepalive: {count: 3}, proxyProtocol: {send: v2}"
        ),
        [
            "web.limits.burst none → 20",
            "web.limits.rate none → 100/s",
            "web.keepalive.count 6 → 3",
            "web.proxyProtocol none → {send: v2}",
        ]
    );
}

#[test]
fn another_order_is_told_once() {
    assert_eq!(texts(|config| config.routes.swap(0, 2)), ["routes in another order"]);
    assert_eq!(texts(|config| config.routes[0].faults.swap(0, 2)), ["web faults in another order"]);
    assert_eq!(texts(|config| drop(config.routes.remove(0))), ["- route web"]);
}

#[test]
fn names_cannot_pass_for_something_else() {
    let add = |name: &str| {
        let name = name.to_owned();
        texts(move |config| config.routes[1].faults.push(Fault { name: name.into(), ..fault("\"noop\"") }))
    };
    assert_eq!(add("upstream"), ["old + `upstream` (noop)"]);
    assert_eq!(add("a → b\n\u{202e}`"), [r"old + `a → b\n\u{202e}\`` (noop)"]);
    let told = texts(|config| {
        let route = RouteConfig { name: "seed".into(), ..config.routes[1].clone() };
        config.routes.push(route);
    });
    assert_eq!(told, ["+ route `seed`"]);
}
