//! Every kind of malformed configuration is refused with a message that says what to write instead.
//!
//! The messages are kept as snapshots, one file per kind, to be read as a user would read them.

mod config_support;

use config_support::{refused, route};

/// The messages of many documents, one after the other, each under the text it is about.
fn messages<S: AsRef<str>>(texts: impl IntoIterator<Item = S>) -> String {
    texts
        .into_iter()
        .map(|text| {
            let text = text.as_ref();
            let shown: String = text.chars().take(300).collect();
            format!("### {}\n{}\n", shown.trim_end().escape_debug(), refused(text.as_bytes()))
        })
        .collect::<Vec<_>>()
        .join("\n")
}

#[test]
fn drop_rate() {
    let values = [
        "-0.1", "1.4", ".nan", ".inf", "'0.5'", "50%", "1e400", "true", "[0.5]", "{a: 1}", "null", "", "0x1",
        "01",
    ];
    insta::assert_snapshot!(messages(values.map(|value| route(&format!("dropRate: {value}")))));
}

#[test]
fn local_port() {
    let values = [
        "0",
        "65536",
        "-1",
        "'8080'",
        "8080.5",
        "8080.0",
        "1e3",
        "0x1F90",
        "08080",
        "1_000",
        "null",
        "[80]",
        "http",
        "99999999999999999999999999999999999999999999",
    ];
    insta::assert_snapshot!(messages(
        values.map(|value| format!("routes:\n  - localPort: {value}\n    upstream: db:5432\n"))
    ));
}

#[test]
fn upstream() {
    let label = format!("{}.example:80", "a".repeat(64));
    let name = format!("{}:80", "abc.".repeat(64));
    let values = [
        "db",
        "':80'",
        "db:0",
        "db:65536",
        "db:http",
        "'::1'",
        "::1:5432",
        "'[::1:5432'",
        "http://db:80",
        "db:80/path",
        "postgres://admin:hunter2@db:5432/x",
        "admin:hunter2@db:5432",
        "'db :80'",
        "\"db\\0:80\"",
        "\"db:80\\n\"",
        label.as_str(),
        name.as_str(),
        "''",
        "5432",
        "null",
        "[a:1, b:2]",
        "{endpoints: [a:1]}",
        "builtin:ehco",
        "256.0.0.1:80",
        "bücher.example:80",
    ];
    insta::assert_snapshot!(messages(
        values.map(|value| format!("routes:\n  - localPort: 15432\n    upstream: {value}\n"))
    ));
}

#[test]
fn upstreams_with_more_to_say() {
    let values = [
        "[]",
        "[a:1, b:2, a:1]",
        "[a:1, {address: a:1, weight: 2}]",
        "[a, {address: b, weight: 0}, {address: c:1, wieght: 2}]",
        "[{weight: 2}, 5, [a:1]]",
        "{balance: first}",
        "{endpoints: []}",
        "{endpoints: a:1}",
        "{endpoint: [a:1]}",
        "{endpoints: [a:1], balance: roundrobin, whenAllDown: panic}",
        "{endpoints: [a:1], health: on, breaker: 5, pool: [4]}",
        "{endpoints: [a:1], health: null}",
        "{endpoints: [a:1], health: {interval: 0s, timeout: 5, rise: 0, fall: 1001}}",
        "{endpoints: [a:1], health: {status: 200, host: b}}",
        "{endpoints: [a:1], health: {http: healthz, status: 99, host: 'a b'}}",
        "{endpoints: [a:1], health: {http: 'http://a/b', status: '200', host: ''}}",
        "{endpoints: [a:1], health: {http: '/a b'}}",
        "{endpoints: [a:1], breaker: {failures: 5, share: 0.5}}",
        "{endpoints: [a:1], breaker: {minimum: 5}}",
        "{endpoints: [a:1], breaker: {share: 0, window: 0s, open: -1s, probes: 0}}",
        "{endpoints: [a:1], breaker: {share: 50%}}",
        "{endpoints: [a:1], pool: {size: 0, maxAge: 1, min: 2}}",
        "{endpoints: [a:1], health: {interval: 9ms}, pool: {maxAge: 99ms}}",
    ];
    let many: String = (0..33).map(|port| format!("a:{}, ", port + 1)).collect();
    let values = values.map(str::to_owned).into_iter().chain([format!("[{many}]")]);
    insta::assert_snapshot!(messages(
        values.map(|value| format!("routes:\n  - localPort: 15432\n    upstream: {value}\n"))
    ));
}

#[test]
fn limits_and_peers() {
    let values = [
        "limits: {connections: 0, rate: 100, burst: 0}",
        "limits: {rate: 0/s}",
        "limits: {rate: 100/d, connections: many}",
        "limits: {burst: 20}",
        "limits: {excess: drop}",
        "limits: {excess: queue}",
        "limits: {connections: 5, queue: {size: 5}}",
        "limits: {connections: 5, excess: queue, queue: {size: 0, timeout: 0s}}",
        "limits: {connections: 5, excess: queue, queue: 100}",
        "limits: {conections: 5}",
        "keepalive: on",
        "keepalive: {idle: 0s, interval: 1.5s, count: 128}",
        "keepalive: {idle: 10h, userTimeout: 0s}",
        "keepalive: {userTimeout: 10}",
        "proxyProtocol: v2",
        "proxyProtocol: {send: v3, accept: 10.0.0.0/8}",
        "proxyProtocol: {accept: [10.0.0.1/8, here]}",
    ];
    let ranges: String = (0..65).map(|n| format!("10.0.0.{n}, ")).collect();
    let values =
        values.map(str::to_owned).into_iter().chain([format!("proxyProtocol: {{accept: [{ranges}]}}")]);
    insta::assert_snapshot!(messages(values.map(|value| route(&value))));
}

#[test]
fn faults_that_are_aimed() {
    let values = [
        "faults: [refuseConnect: {endpoint: db.internal:5433}]",
        "faults: [latency: {delay: 1ms, endpoint: other:1}]",
        "faults: [connectDelay: {endpoint: db}]",
        "faults: [drop: {endpoint: db.internal:5432}]",
        "faults: [refuseConnect: {direction: upstream}]",
        "faults: [refuseConnect: {endpoint: \"${SECRET}:1\"}]",
    ];
    let two = "routes:\n  - localPort: 15432\n    upstream: [a.internal:1, b.internal:1]\n    faults: [noop: {endpoint: c.internal:1}]\n";
    let broken = "routes:\n  - localPort: 15432\n    upstream: [a.internal:1, b]\n    faults: [noop: {endpoint: b:1}]\n";
    let values = values.map(route).into_iter().chain([two.to_owned(), broken.to_owned()]);
    insta::assert_snapshot!(messages(values));
}

#[test]
fn times() {
    let values = [
        "latencyMs: -5",
        "latencyMs: 99999999999999999999",
        "latencyMs: '200'",
        "latencyMs: 200ms",
        "latencyMs: 1.5",
        "jitterMs: 1e3",
        "timeoutMs: 9000000000000000",
        "timeouts: {connect: 5}",
        "timeouts: {connect: 0s}",
        "timeouts: {idle: never}",
        "timeouts: {connect: none}",
        "timeouts: {lifetime: 99999999999h}",
        "timeouts: {halfClose: -5s}",
        "timeouts: 5s",
        "timeouts: {conect: 5s, halfClose: 5 s}",
        "faults: [delay: {delay: 200}]",
    ];
    insta::assert_snapshot!(messages(values.map(route)));
}

#[test]
fn faults() {
    let values = [
        "faults: [latencey: {delay: 200ms}]",
        "faults: [dorp]",
        "faults: [latency: {delay: 5ms}]",
        "faults: {drop: {}}",
        "faults: [{}]",
        "faults: [{drop: {}, hang: {}}]",
        "faults: [5]",
        "faults: [[drop]]",
        "faults: [drop: reset]",
        "faults: [drop: {how: rset}]",
        "faults: [drop: {howw: reset, probabilty: 0.5}]",
        "faults: [drop: {probability: 2, how: x, every: 0}]",
        "faults: [drop: {times: 0}]",
        "faults: [drop: {direction: upstream}]",
        "faults: [drop: {client: 10.0.0.1/8}]",
        "faults: [delay]",
        "faults: [delay: {jitter: 5ms}]",
        "faults: [delay: {delay: 5, jitter: x}]",
        "faults: [drop, drop]",
        "dropRate: 0.5\n    faults: [drop]",
        "faults: [drop: {name: a}, hang: {name: a}]",
        "faults: [drop: {for: 0s}]",
        "faults: [drop: {name: ''}]",
        "faults: [drop: {name: 5}]",
        "faults: [drop: {skip: -1, enabled: yes}]",
    ];
    insta::assert_snapshot!(messages(values.map(route)));
}

#[test]
fn stream_faults() {
    let values = [
        "faults: [latency]",
        "faults: [latency: {delay: 200}]",
        "faults: [latency: {delay: 1ms, direction: sideways, distribution: zipf}]",
        "faults: [latency: {delay: 1ms}, latency: {delay: 2ms}, latency: {delay: 3ms}]",
        "faults: [bandwidth: {rate: 64}]",
        "faults: [bandwidth: {rate: 64KiB, burst: -1, shared: all}]",
        "faults: [bandwidth: {rate: 0B/s}]",
        "faults: [bandwidth: {rate: 10Gbit/s}]",
        "faults: [slice: {size: 0}]",
        "faults: [slice: {size: 10B, variation: 10B}]",
        "faults: [slice: {size: 1.5B}]",
        "faults: [corrupt: {rate: 5, how: badly}]",
        "faults: [loss: {rate: 10%}]",
        "faults: [limit]",
        "faults: [limit: {bytes: -1, then: explode}]",
        "faults: [reset: {after: 5 parsecs}]",
        "faults: [reset: {after: -1}]",
        "faults: [blackhole: {closeAfter: 5}]",
        "faults: [stall: {hold: forever}]",
        "faults: [slowclose: {delay: 1s}]",
        "limits: {held: lots}",
    ];
    insta::assert_snapshot!(messages(values.map(route)));
}

#[test]
fn keys() {
    let base = "    localPort: 15432\n    upstream: db:5432\n";
    insta::assert_snapshot!(messages([
        route("droprate: 0.5"),
        route("drop_rate: 0.5"),
        route("DropRate: 0.5\n    dropRate: 0.5"),
        route("colour: red"),
        route("limits: {connection: 5}"),
        format!("route:\n  - name: a\n{base}"),
        format!("routse:\n  - name: a\n{base}"),
        "routes:\n  - name: a\n    upstream: db:5432\n  - localPort: 5\n".to_owned(),
        "routes:\n  - {}\n  - 5\n  - null\n".to_owned(),
        format!("routes:\n    name: a\n{base}"),
        format!("seed: 1\nroutes:\n  - name: a\n{base}seed: 2\n"),
        route("name: b\n    name: c"),
        route("2: x\n    true: y"),
        route("\"a\\u202eb\": 1"),
    ]));
}

#[test]
fn top_level() {
    let values = [
        "seed: -1",
        "seed: 18446744073709551616",
        "seed: x",
        "seed: 1.5",
        "bind: localhost",
        "bind: 127.0.0.1:80",
        "bind: '[::1]'",
        "bind: 5",
        "admin: true",
        "admin: 8474",
        "admin: localhost",
        "admin: '*:8474'",
        "admin: {listn: 127.0.0.1:8474}",
        "admin: {listen: 127.0.0.1}",
        "admin: [a]",
        "admin: {allowedHosts: a.b}",
        "admin: {allowedHosts: [a.b, 'a.b:80']}",
        "log: debug",
        "log: {level: verbose}",
        "log: {level: 'a b=info'}",
        "log: {format: xml}",
        "log: {format: 5}",
        "drainTimeout: 25",
        "drainIdle: 0x5",
        "statsInterval: 0s",
        "allowedUpstreams: 10.0.0.0/8",
        "allowedUpstreams: ['http://db']",
        "allowedUpstreams: ['10.0.0.1/8', 10.0.0.0/40, 'db:0', '*', 5]",
        "preDrainDelay: never",
        "x: 1",
    ];
    insta::assert_snapshot!(messages(values.map(|line| format!("{line}\n{}", route("enabled: true")))));
}

#[test]
fn several_routes() {
    let two = |a: &str, b: &str| format!("routes:\n  - {{{a}}}\n  - {{{b}}}\n");
    insta::assert_snapshot!(messages([
        two("localPort: 8080, upstream: 'a:1'", "localPort: 8080, upstream: 'b:1'"),
        two(
            "localPort: 8080, bind: '*', upstream: 'a:1'",
            "localPort: 8080, bind: 127.0.0.1, upstream: 'b:1'"
        ),
        two("name: x, localPort: 1, upstream: 'a:1'", "name: x, localPort: 2, upstream: 'b:1'"),
        two("localPort: 1, upstream: 'a:1'", "name: port-1, localPort: 2, upstream: 'b:1'"),
        two("localPort: 8080, upstream: 'localhost:8080'", "localPort: 2, upstream: 'b:1'"),
        two("localPort: 8080, upstream: '127.0.0.1:8081'", "localPort: 8081, upstream: 'localhost:8080'"),
        two("localPort: 8080, bind: '*', upstream: '[::1]:8080'", "localPort: auto, upstream: 'b:1'"),
        two(
            "name: x, localPort: 8080, upstream: [a:1, '127.0.0.1:8081']",
            "name: y, localPort: 8081, upstream: {endpoints: ['localhost:8080', {address: 'localhost:8081'}]}"
        ),
        format!(
            "admin: 127.0.0.1:8474\n{}",
            two("localPort: 8474, upstream: 'a:1'", "localPort: 2, upstream: 'b:1'")
        ),
        format!(
            "admin: {{listen: '[::1]:99'}}\n{}",
            two("localPort: 99, upstream: 'a:1'", "localPort: 2, upstream: 'b:1'")
        ),
    ]));
}

#[test]
fn whole_documents() {
    insta::assert_snapshot!(messages([
        "",
        " \n\n",
        "# nothing\n",
        "routes:\n",
        "routes: []\n",
        "[]",
        "{}",
        "routes",
        "42",
        "null",
        "---\n...\n",
        "seed: 1\n",
        "routes: 5\n",
        "routes: [5, {localPort: x}]\n",
        "\"routes\"",
        "seed: 1\n---\nseed: 2\n",
        "seed: 1\n...\nseed: 2\n",
        "{\"seed\": 1} {\"seed\": 2}",
        "{\"seed\": 1} x",
    ]));
}

#[test]
fn yaml() {
    let deep = (0..40).map(|depth| format!("{}a:\n", " ".repeat(depth))).collect::<String>();
    insta::assert_snapshot!(messages([
        "routes: *nowhere\n",
        "routes: &a [*a]\n",
        "routes: !thing []\n",
        "seed: !!int x\n",
        "? [a, b]\n: 1\n",
        "? {a: b}\n: 1\n",
        "a: &x 1\n*x : 2\n",
        "<<: 5\nseed: 1\n",
        "a: b: c\n",
        "routes:\n\t- name: a\n",
        "routes:\n  - name: a\n   upstream: b\n",
        "routes: \"abc\nseed: 1\n",
        "name: 'abc\n",
        "routes: [1, 2\nseed: 3\n",
        "routes: {a: 1\n",
        "routes: [a}\n",
        "seed: ]\n",
        "seed: @x\n",
        "seed: %x\n",
        "seed: `x`\n",
        "routes\n  - a\n",
        "seed: \"\\q\"\n",
        "seed: \"a\" b\n",
        "routes: [{name: a, upstream: ${HOST}:5}]\n",
        "seed: 1\u{1b}[31m\n",
        "seed: a\u{feff}b\n",
        "- a\nseed: 1\n",
        "%YAML 3.0\n---\na: 1\n",
        deep.as_str(),
    ]));
}

#[test]
fn json() {
    let deep = format!("{}{}", "[".repeat(40), "]".repeat(40));
    insta::assert_snapshot!(messages([
        "{\"seed\": 1,}",
        "[1, 2, ]",
        "{\"seed\": 1 // one\n}",
        "{# x\n}",
        "{'seed': 1}",
        "{\"seed\": 'x'}",
        "{seed: 1}",
        "{\"seed\": NaN}",
        "{\"seed\": -Infinity}",
        "{\"seed\": 01}",
        "{\"seed\": +1}",
        "{\"seed\": .5}",
        "{\"seed\": 0x10}",
        "{\"seed\": True}",
        "{\"seed\": abc}",
        "{\"seed\": \"\\ud800\"}",
        "{\"seed\": \"\\x\"}",
        "{\"seed\": \"abc}",
        "{\"seed\": \"a\nb\"}",
        "{\"seed\": \"a\tb\"}",
        "{\"seed\" 1}",
        "{\"seed\": 1 \"b\": 2}",
        "{\"seed\": 1",
        "[1",
        "[1,",
        "{\"seed\":",
        "{---",
        "{\"seed\": 1, \"seed\": 2}",
        "{\"routes\": [{\"localPort\": 1e5, \"upstream\": \"db:5432\"}]}",
        "{\"routes\": [}",
        deep.as_str(),
    ]));
}

#[test]
fn bytes() {
    let utf16: Vec<u8> = "seed: 1\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
    let with_mark: Vec<u8> = [vec![0xfe, 0xff], utf16.clone()].concat();
    let documents: [(&str, &[u8]); 7] = [
        ("UTF-16", &utf16),
        ("UTF-16 with a mark", &with_mark),
        ("Latin-1", b"seed: 1\nname: caf\xe9\n"),
        ("NUL", b"seed: 1\0\n"),
        ("binary", b"\x7fELF\x02\x01\x01\x00\xff\xfe"),
        ("gzip", b"\x1f\x8b\x08\x00abc"),
        ("too large", &[b' '; (1 << 20) + 1]),
    ];
    let said: Vec<String> =
        documents.iter().map(|(kind, bytes)| format!("### {kind}\n{}\n", refused(bytes))).collect();
    insta::assert_snapshot!(said.join("\n"));
}

#[test]
fn substitution() {
    insta::assert_snapshot!(messages([
        "seed: ${UNSET}\n",
        "seed: ${UNSET:?set it to a number}\n",
        "seed: ${SECRET}\n",
        "seed: ${OPEN\n",
        "seed: ${5x}\n",
        "seed: ${SECRET:+x}\n",
        "seed: ${SECRET}1\n",
        "routes: [{upstream: \"${SECRET}\"}]\n",
        "bind: ${SECRET}\n",
        "log: {format: \"${SECRET}\"}\n",
        "statsInterval: ${SECRET}\n",
        "admin: \"a${SECRET}b\"\n",
        "routes:\n  - localPort: 1\n    upstream: db:5432\n    faults: [\"${SECRET}\"]\n",
    ]));
}

#[test]
fn many_problems_come_in_one_run() {
    let keys: String = (0..57).map(|key| format!("unknown{key}: 1\n")).collect();
    insta::assert_snapshot!(messages([
        "seed: x\nbind: y\nroutes:\n  - localPort: 0\n    upstream: db\n    dropRate: 2\n    faults:\n      - drop: {how: x, probability: y}\n      - dorp\n    timeouts: {connect: 5, idle: 6}\n  - upstraem: db:1\n".to_owned(),
        keys,
    ]));
}
