//! What clients of Toxiproxy rely on, row by row: a request, its status, its body.

#![allow(clippy::disallowed_types, clippy::disallowed_methods, reason = "over real sockets time is real")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should say so loudly")]

mod support;

use serde_json::{Value, json};
use support::*;

/// A request and what comes back.
struct Row {
    method: &'static str,
    path: &'static str,
    body: &'static str,
    status: u16,
    gives: Gives,
}

/// What a body is.
enum Gives {
    /// These very bytes.
    Bytes(&'static str),
    /// This JSON; the text `*` in it stands for any value.
    Like(Value),
    /// An error with this message.
    Error(&'static str),
    /// An error whose message begins so: the rest is in our own words.
    ErrorLike(&'static str),
}

use Gives::{Bytes, Error, ErrorLike, Like};

fn row(method: &'static str, path: &'static str, body: &'static str, status: u16, gives: Gives) -> Row {
    Row { method, path, body, status, gives }
}

/// Asks for each in turn, on a daemon of its own.
fn walk(rows: impl IntoIterator<Item = Row> + Send + 'static) {
    within(secs(60), || {
        let (_daemon, api) = as_toxiproxy(&[]);
        for row in rows {
            let what = format!("{} {} {}", row.method, row.path, row.body);
            let answer = api.ask(row.method, row.path, &[], row.body);
            assert_eq!(answer.status, row.status, "{what}\n{}", answer.text());
            let error = || answer.json()["error"].as_str().unwrap_or_default().to_owned();
            let is_error = matches!(row.gives, Error(_) | ErrorLike(_));
            match row.gives {
                Bytes(bytes) => assert_eq!(answer.text(), bytes, "{what}"),
                Like(expected) => {
                    assert!(like(&expected, &answer.json()), "{what}\n{}", answer.text());
                    assert!(!answer.text().ends_with('\n'), "{what}");
                }
                Error(message) => assert_eq!(error(), message, "{what}"),
                ErrorLike(start) => assert!(error().starts_with(start), "{what}\n{}", answer.text()),
            }
            if is_error {
                assert_eq!(answer.header("content-type"), "application/json", "{what}");
                assert_eq!(answer.json()["status"], row.status, "{what}");
            }
        }
    });
}

fn like(expected: &Value, actual: &Value) -> bool {
    match (expected, actual) {
        (Value::String(any), _) if any == "*" => true,
        (Value::Object(expected), Value::Object(actual)) => {
            expected.len() == actual.len()
                && expected
                    .iter()
                    .all(|(key, value)| actual.get(key).is_some_and(|actual| like(value, actual)))
        }
        (Value::Array(expected), Value::Array(actual)) => {
            expected.len() == actual.len() && expected.iter().zip(actual).all(|(e, a)| like(e, a))
        }
        _ => expected == actual,
    }
}

fn it(enabled: bool, listen: &str, toxics: Value) -> Value {
    json!({"name": "it", "listen": listen, "upstream": "127.0.0.1:9", "enabled": enabled, "toxics": toxics})
}

const MAKE: &str = r#"{"name": "it", "listen": "127.0.0.1:0", "upstream": "127.0.0.1:9"}"#;

fn make() -> Row {
    row("POST", "/proxies", MAKE, 201, Like(it(true, "*", json!([]))))
}

#[test]
fn section_1_routing_and_errors() {
    let upstream_missing = r#"{"name": "x"}"#;
    walk([
        row("GET", "/version", "", 200, Bytes("{\"version\": \"2.12.0\"}\n")),
        row("GET", "/proxies", "", 200, Bytes("{}")),
        make(),
        row("GET", "/proxies/", "", 404, Bytes("404 page not found\n")),
        row("GET", "/proxies/it/toxics/", "", 404, Bytes("404 page not found\n")),
        row("GET", "/version/x", "", 404, Bytes("404 page not found\n")),
        row("PUT", "/proxies", "{}", 405, Bytes("")),
        row("HEAD", "/proxies", "", 405, Bytes("")),
        row("OPTIONS", "/proxies/it", "", 405, Bytes("")),
        row("GET", "/populate", "", 405, Bytes("")),
        row("GET", "/reset", "", 405, Bytes("")),
        row("POST", "/version", "", 405, Bytes("")),
        row("DELETE", "/proxies/it/toxics", "", 405, Bytes("")),
        row("POST", "/proxies", "", 400, Error("bad request body: EOF")),
        row("POST", "/proxies", "gibberish", 400, ErrorLike("bad request body: ")),
        row("POST", "/proxies", "[]", 400, ErrorLike("bad request body: ")),
        row("POST", "/proxies", r#"{"name": 7, "upstream": "x:1"}"#, 400, ErrorLike("bad request body: ")),
        row("POST", "/proxies", "{}", 400, Error("missing required field: name")),
        row("POST", "/proxies", "null", 400, Error("missing required field: name")),
        row(
            "POST",
            "/proxies",
            r#"{"name": "", "upstream": ""}"#,
            400,
            Error("missing required field: name"),
        ),
        row("POST", "/proxies", upstream_missing, 400, Error("missing required field: upstream")),
        row("POST", "/proxies", MAKE, 409, Error("proxy already exists")),
        // Nobody who speaks to the API may point a proxy at where clouds hand out credentials.
        row("POST", "/proxies", r#"{"name": "x", "upstream": "169.254.169.254:80"}"#, 403, ErrorLike("")),
        row("PATCH", "/proxies/it", r#"{"upstream": "169.254.169.254:80"}"#, 403, ErrorLike("")),
        row(
            "POST",
            "/populate",
            r#"[{"name": "x", "upstream": "[64:ff9b::a9fe:a9fe]:80"}]"#,
            403,
            ErrorLike(""),
        ),
        row("GET", "/proxies/x", "", 404, Error("proxy not found")),
        row("GET", "/proxies/nope", "", 404, Error("proxy not found")),
        row("POST", "/proxies/nope", "{}", 404, Error("proxy not found")),
        row("PATCH", "/proxies/nope", "nonsense", 404, Error("proxy not found")),
        row("DELETE", "/proxies/nope", "", 404, Error("proxy not found")),
        row("GET", "/proxies/nope/toxics", "", 404, Error("proxy not found")),
        row("POST", "/proxies/nope/toxics", "nonsense", 404, Error("proxy not found")),
        row("GET", "/proxies/nope/toxics/x", "", 404, Error("proxy not found")),
        row("DELETE", "/proxies/nope/toxics/x", "", 404, Error("proxy not found")),
        row("GET", "/proxies/it/toxics/x", "", 404, Error("toxic not found")),
        row("POST", "/proxies/it/toxics/x", "{}", 404, Error("toxic not found")),
        row("DELETE", "/proxies/it/toxics/x", "", 404, Error("toxic not found")),
    ]);
}

#[test]
fn section_1_json_is_read_as_leniently_as_go_reads_it() {
    walk([
        row(
            "POST",
            "/proxies",
            r#"{"NAME": "it", "Listen": "127.0.0.1:0", "UPSTREAM": "127.0.0.1:9", "enabled": null, "toxics": [1], "Logger": {}, "other": 3} and more"#,
            201,
            Like(it(true, "*", json!([]))),
        ),
        row(
            "POST",
            "/proxies/it/toxics",
            r#"{"TYPE": "latency", "stream": null, "toxicity": null, "Attributes": {"LATENCY": 7, "unknown": "x"}, "latency": 9}"#,
            200,
            Like(
                json!({"attributes": {"latency": 7, "jitter": 0}, "name": "latency_downstream", "type": "latency", "stream": "downstream", "toxicity": 1}),
            ),
        ),
        row(
            "POST",
            "/proxies/it/toxics/latency_downstream",
            r#"{"attributes": {"latency": 1e3}}"#,
            400,
            ErrorLike("bad request body: "),
        ),
        row(
            "POST",
            "/proxies/it/toxics/latency_downstream",
            r#"{"attributes": {"latency": 1.5}}"#,
            400,
            ErrorLike("bad request body: "),
        ),
        row(
            "POST",
            "/proxies/it/toxics/latency_downstream",
            r#"{"attributes": {"latency": "1"}}"#,
            400,
            ErrorLike("bad request body: "),
        ),
        row(
            "POST",
            "/proxies/it/toxics/latency_downstream",
            r#"{"attributes": 1}"#,
            400,
            ErrorLike("bad request body: "),
        ),
        row(
            "POST",
            "/proxies/it",
            r#"{"name": "other", "enabled": true}"#,
            200,
            Like(it(true, "*", json!(["*"]))),
        ),
    ]);
}

#[test]
fn section_1_where_a_proxy_cannot_listen() {
    within(secs(60), || {
        let (_daemon, api) = as_toxiproxy(&[]);
        let taken = Listener::new().address().to_string();
        let holder = std::net::TcpListener::bind(&taken).unwrap();
        for (listen, message) in [
            (taken.as_str(), format!("listen tcp {taken}: bind: address already in use")),
            ("local373", "listen tcp: address local373: missing port in address".to_owned()),
            ("localhost:99999", "listen tcp: address 99999: invalid port".to_owned()),
            ("192.0.2.1:1234", "listen tcp 192.0.2.1:1234: bind: cannot assign requested address".to_owned()),
            ("nosuch.invalid:1", "listen tcp: lookup nosuch.invalid: no such host".to_owned()),
        ] {
            let body = json!({"name": "it", "listen": listen, "upstream": "127.0.0.1:9"}).to_string();
            let refused = api.post("/proxies", &body).expect(500);
            assert_eq!((&refused["error"], &refused["status"]), (&json!(message), &json!(500)));
            assert_eq!(api.get("/proxies").text(), "{}", "it is not kept");
        }
        // A second proxy on the port of a first one, and one on the port of the API itself.
        let first = proxy(api, "first", "127.0.0.1:9");
        for port in [first.port(), api.0.port()] {
            let body =
                json!({"name": "it", "listen": format!("127.0.0.1:{port}"), "upstream": "127.0.0.1:9"});
            let refused = api.post("/proxies", &body.to_string()).expect(500);
            assert_eq!(
                refused["error"],
                format!("listen tcp 127.0.0.1:{port}: bind: address already in use")
            );
        }
        for listen in ["bad", "nosuch.invalid:1"] {
            let refused = api.patch("/proxies/first", &json!({"listen": listen}).to_string()).expect(500);
            let error = refused["error"].as_str().unwrap();
            assert!(!error.starts_with("listen tcp"), "{error}");
        }
        let moved =
            api.patch("/proxies/first", &json!({"listen": taken, "upstream": "127.0.0.1:10"}).to_string());
        assert_eq!(moved.expect(500)["error"], format!("listen tcp {taken}: bind: address already in use"));
        let still = api.get("/proxies/first").expect(200);
        assert_eq!(
            (&still["listen"], &still["upstream"], &still["enabled"]),
            (&json!(first.to_string()), &json!("127.0.0.1:9"), &json!(true))
        );
        drop(holder);
    });
}

#[test]
fn section_2_proxies() {
    let off = |listen: &str| it(false, listen, json!([]));
    walk([
        row(
            "POST",
            "/proxies",
            r#"{"name": "it", "listen": "localhost:0", "upstream": "127.0.0.1:9", "enabled": false}"#,
            201,
            Like(off("localhost:0")),
        ),
        row("GET", "/proxies", "", 200, Like(json!({"it": off("localhost:0")}))),
        row("POST", "/proxies/it", r#"{"listen": "localhost:23456"}"#, 200, Like(off("localhost:23456"))),
        row("POST", "/proxies/it", r#"{"listen": ":23456"}"#, 200, Like(off(":23456"))),
        row("POST", "/proxies/it", "{}", 200, Like(off(":23456"))),
        row("POST", "/proxies/it", "", 400, Error("bad request body: EOF")),
        row("POST", "/proxies/it", r#"{"enabled": "yes"}"#, 400, ErrorLike("bad request body: ")),
        row("POST", "/proxies/it", r#"{"upstream": ""}"#, 400, ErrorLike("bad request body: ")),
        row("POST", "/proxies/it", r#"{"upstream": "nonsense"}"#, 400, ErrorLike("bad request body: ")),
        row(
            "PATCH",
            "/proxies/it",
            r#"{"listen": "127.0.0.1:0", "enabled": true}"#,
            200,
            Like(it(true, "*", json!([]))),
        ),
        row("POST", "/proxies/it", r#"{"enabled": true}"#, 200, Like(it(true, "*", json!([])))),
        row("DELETE", "/proxies/it", "", 204, Bytes("")),
        row("DELETE", "/proxies/it", "", 404, Error("proxy not found")),
    ]);
}

/// What is shown is where it really listens; wildcards of either family are one.
#[test]
fn section_2_listen_is_shown_as_bound() {
    within(secs(60), || {
        let (_daemon, api) = as_toxiproxy(&[]);
        let port = unused_port();
        for (listen, shown) in [
            ("", "[::]:"),
            (":0", "[::]:"),
            ("0.0.0.0:0", "[::]:"),
            ("[::]:0", "[::]:"),
            ("localhost:0", "127.0.0.1:"),
            ("[::1]:0", "[::1]:"),
        ] {
            let body = json!({"name": "it", "listen": listen, "upstream": "127.0.0.1:9"}).to_string();
            let made = api.post("/proxies", &body).expect(201);
            let bound = made["listen"].as_str().unwrap().to_owned();
            assert!(bound.starts_with(shown) && !bound.ends_with(":0"), "{listen}: {bound}");
            // It keeps its port over a while of being closed.
            api.post("/proxies/it", r#"{"enabled": false}"#).expect(200);
            let again = api.post("/proxies/it", r#"{"enabled": true}"#).expect(200);
            assert_eq!(again["listen"], bound);
            api.delete("/proxies/it").expect(204);
        }
        // Wildcards are one, however they are written: what is there already is left alone.
        for host in ["0.0.0.0", "", "[::]"] {
            let entry =
                json!({"name": "every", "listen": format!("{host}:{port}"), "upstream": "127.0.0.1:9"});
            let populated = api.post("/populate", &json!([entry]).to_string()).expect(201);
            assert_eq!(populated["proxies"][0]["listen"], format!("[::]:{port}"));
            assert_eq!(
                populated["proxies"][0]["toxics"].as_array().unwrap().len(),
                usize::from(host != "0.0.0.0")
            );
            if host == "0.0.0.0" {
                toxic(api, "every", "noop", json!({}), json!({}));
            }
        }
    });
}

#[test]
fn section_2_populate() {
    let toxic = json!([{"attributes": {}, "name": "noop_downstream", "type": "noop", "stream": "downstream", "toxicity": 1}]);
    walk([
        row("POST", "/populate", "[]", 201, Bytes(r#"{"proxies":[]}"#)),
        row("POST", "/populate", "null", 201, Bytes(r#"{"proxies":[]}"#)),
        row("POST", "/populate", "{}", 400, ErrorLike("bad request body: ")),
        row("POST", "/populate", "", 400, Error("bad request body: EOF")),
        row(
            "POST",
            "/populate",
            r#"[{"name": "a", "upstream": "b:1"}, {"upstream": "b:1"}]"#,
            400,
            Like(json!({"error": "missing required field: name at proxy 2", "status": 400, "proxies": []})),
        ),
        row(
            "POST",
            "/populate",
            r#"[{"name": "a"}]"#,
            400,
            Error("missing required field: upstream at proxy 1"),
        ),
        row("GET", "/proxies", "", 200, Bytes("{}")),
        row(
            "POST",
            "/populate",
            r#"[{"name": "it", "listen": "127.0.0.1:22222", "upstream": "127.0.0.1:9", "enabled": false}]"#,
            201,
            Like(json!({"proxies": [it(false, "127.0.0.1:22222", json!([]))]})),
        ),
        row("POST", "/proxies/it/toxics", r#"{"type": "noop"}"#, 200, Like(toxic[0].clone())),
        // The same again is left alone, also its `enabled`.
        row(
            "POST",
            "/populate",
            r#"[{"name": "it", "listen": "localhost:22222", "upstream": "127.0.0.1:9"}]"#,
            201,
            Like(json!({"proxies": [it(false, "127.0.0.1:22222", toxic)]})),
        ),
        // Another upstream begins anew.
        row(
            "POST",
            "/populate",
            r#"[{"name": "it", "listen": "127.0.0.1:22222", "upstream": "127.0.0.1:10", "enabled": false}]"#,
            201,
            Like(
                json!({"proxies": [{"name": "it", "listen": "127.0.0.1:22222", "upstream": "127.0.0.1:10", "enabled": false, "toxics": []}]}),
            ),
        ),
        // The first failure stops it; what was done before stays and is told.
        row(
            "POST",
            "/populate",
            r#"[{"name": "a", "listen": "127.0.0.1:0", "upstream": "b:1"}, {"name": "b", "listen": "bad", "upstream": "b:1"}, {"name": "c", "upstream": "b:1"}]"#,
            500,
            Like(
                json!({"error": "listen tcp: address bad: missing port in address", "status": 500, "proxies": [{"name": "a", "listen": "*", "upstream": "b:1", "enabled": true, "toxics": []}]}),
            ),
        ),
        row(
            "GET",
            "/proxies/a",
            "",
            200,
            Like(json!({"name": "a", "listen": "*", "upstream": "b:1", "enabled": true, "toxics": []})),
        ),
        row("GET", "/proxies/c", "", 404, Error("proxy not found")),
        // Twice the same name: the second stands, both are told.
        row(
            "POST",
            "/populate",
            r#"[{"name": "d", "listen": "127.0.0.1:0", "upstream": "b:1"}, {"name": "d", "listen": "127.0.0.1:0", "upstream": "b:2"}]"#,
            201,
            Like(
                json!({"proxies": ["*", {"name": "d", "listen": "*", "upstream": "b:2", "enabled": true, "toxics": []}]}),
            ),
        ),
    ]);
}

#[test]
fn section_2_toxics() {
    let latency = |name: &str, stream: &str, latency: u64, jitter: u64, toxicity: Value| {
        Like(
            json!({"attributes": {"latency": latency, "jitter": jitter}, "name": name, "type": "latency", "stream": stream, "toxicity": toxicity}),
        )
    };
    walk([
        make(),
        row("GET", "/proxies/it/toxics", "", 200, Bytes("[]")),
        row(
            "POST",
            "/proxies/it/toxics",
            r#"{"type": "latency", "attributes": {"latency": 100, "jitter": 5}}"#,
            200,
            Bytes(
                r#"{"attributes":{"latency":100,"jitter":5},"name":"latency_downstream","type":"latency","stream":"downstream","toxicity":1}"#,
            ),
        ),
        row(
            "POST",
            "/proxies/it/toxics",
            r#"{"type": "latency", "stream": "UpStream", "toxicity": 0.25}"#,
            200,
            latency("latency_upstream", "upstream", 0, 0, json!(0.25)),
        ),
        row(
            "POST",
            "/proxies/it/toxics",
            r#"{"type": "latency", "name": "mine", "toxicity": 0.1}"#,
            200,
            latency("mine", "downstream", 0, 0, json!(0.1)),
        ),
        row("POST", "/proxies/it/toxics", r#"{"type": "latency"}"#, 409, Error("toxic already exists")),
        row(
            "POST",
            "/proxies/it/toxics",
            r#"{"type": "noop", "stream": "upstream", "name": "mine"}"#,
            409,
            Error("toxic already exists"),
        ),
        row(
            "POST",
            "/proxies/it/toxics",
            r#"{"type": "noop", "stream": ""}"#,
            400,
            Error("stream was invalid, can be either upstream or downstream"),
        ),
        row(
            "POST",
            "/proxies/it/toxics",
            r#"{"type": "nope", "stream": "sideways"}"#,
            400,
            Error("stream was invalid, can be either upstream or downstream"),
        ),
        row("POST", "/proxies/it/toxics", r#"{"type": "Latency"}"#, 400, Error("invalid toxic type")),
        row("POST", "/proxies/it/toxics", "{}", 400, Error("invalid toxic type")),
        row("POST", "/proxies/it/toxics", "", 400, Error("bad request body: EOF")),
        row(
            "POST",
            "/proxies/it/toxics",
            r#"{"type": "latency", "name": "mine", "attributes": {"latency": "x"}}"#,
            409,
            Error("toxic already exists"),
        ),
        row(
            "POST",
            "/proxies/it/toxics",
            r#"{"type": "latency", "name": "bad", "attributes": {"latency": "x"}}"#,
            400,
            ErrorLike("bad request body: "),
        ),
        row(
            "GET",
            "/proxies/it/toxics",
            "",
            200,
            Like(
                json!([{"attributes": "*", "name": "latency_upstream", "type": "latency", "stream": "upstream", "toxicity": 0.25}, {"attributes": "*", "name": "latency_downstream", "type": "latency", "stream": "downstream", "toxicity": 1}, {"attributes": "*", "name": "mine", "type": "latency", "stream": "downstream", "toxicity": 0.1}]),
            ),
        ),
        row(
            "POST",
            "/proxies/it/toxics/latency_downstream",
            r#"{"attributes": {"jitter": 7}}"#,
            200,
            latency("latency_downstream", "downstream", 100, 7, json!(1)),
        ),
        row(
            "PATCH",
            "/proxies/it/toxics/latency_downstream",
            r#"{"toxicity": 0.5, "name": "x", "type": "noop", "stream": "upstream"}"#,
            200,
            latency("latency_downstream", "downstream", 100, 7, json!(0.5)),
        ),
        row(
            "POST",
            "/proxies/it/toxics/latency_downstream",
            "{}",
            200,
            latency("latency_downstream", "downstream", 100, 7, json!(0.5)),
        ),
        row(
            "POST",
            "/proxies/it/toxics/latency_downstream",
            r#"{"attributes": {"latency": 9, "jitter": "x"}}"#,
            400,
            ErrorLike("bad request body: "),
        ),
        row(
            "GET",
            "/proxies/it/toxics/latency_downstream",
            "",
            200,
            latency("latency_downstream", "downstream", 100, 7, json!(0.5)),
        ),
        row("DELETE", "/proxies/it/toxics/latency_downstream", "", 204, Bytes("")),
        row("DELETE", "/proxies/it/toxics/latency_downstream", "", 404, Error("toxic not found")),
        row("POST", "/reset", "whatever", 204, Bytes("")),
        row("GET", "/proxies/it", "", 200, Like(it(true, "*", json!([])))),
    ]);
}

#[test]
fn section_4_attributes_of_every_toxic() {
    let mut rows = vec![make()];
    for (kind, given, shown) in [
        ("noop", "{}", json!({})),
        ("latency", r#"{"latency": 50, "jitter": 30}"#, json!({"latency": 50, "jitter": 30})),
        ("bandwidth", r#"{"rate": 64}"#, json!({"rate": 64})),
        ("slow_close", r#"{"delay": 500}"#, json!({"delay": 500})),
        ("timeout", r#"{"timeout": 1000}"#, json!({"timeout": 1000})),
        ("reset_peer", r#"{"timeout": 2000}"#, json!({"timeout": 2000})),
        (
            "slicer",
            r#"{"average_size": 64, "size_variation": 32, "delay": 10}"#,
            json!({"average_size": 64, "size_variation": 32, "delay": 10}),
        ),
        ("limit_data", r#"{"bytes": 4096}"#, json!({"bytes": 4096})),
        (
            "packet_loss",
            r#"{"loss_rate": 0.2, "correlation": 0.5}"#,
            json!({"loss_rate": 0.2, "correlation": 0.5}),
        ),
        ("packet_loss", "{}", json!({"loss_rate": 0.1, "correlation": 0})),
        ("latency", "null", json!({"latency": 0, "jitter": 0})),
        ("bandwidth", "{}", json!({"rate": 0})),
        ("slow_close", "{}", json!({"delay": 0})),
        ("timeout", "{}", json!({"timeout": 0})),
        ("reset_peer", "{}", json!({"timeout": 0})),
        ("limit_data", "{}", json!({"bytes": 0})),
    ] {
        let body =
            format!(r#"{{"type": "{kind}", "name": "t", "stream": "upstream", "attributes": {given}}}"#);
        let shown =
            json!({"attributes": shown, "name": "t", "type": kind, "stream": "upstream", "toxicity": 1});
        rows.push(row("POST", "/proxies/it/toxics", body.leak(), 200, Like(shown)));
        rows.push(row("DELETE", "/proxies/it/toxics/t", "", 204, Bytes("")));
    }
    // Each of these made the original crash, hang or do something else.
    for (kind, given) in [
        ("slicer", "{}"),
        ("slicer", r#"{"average_size": 10, "size_variation": 100}"#),
        ("bandwidth", r#"{"rate": -5}"#),
        ("bandwidth", r#"{"rate": 9223372036854775807}"#),
        ("latency", r#"{"latency": -1}"#),
        ("packet_loss", r#"{"loss_rate": 2}"#),
    ] {
        let body = format!(r#"{{"type": "{kind}", "name": "t", "attributes": {given}}}"#);
        rows.push(row("POST", "/proxies/it/toxics", body.leak(), 400, ErrorLike("bad request body: ")));
    }
    rows.push(row(
        "POST",
        "/proxies/it/toxics",
        r#"{"type": "noop", "toxicity": 7.5}"#,
        400,
        ErrorLike("bad request body: "),
    ));
    walk(rows);
}

#[test]
fn names_may_hold_anything_percent_encoded() {
    walk([
        row(
            "POST",
            "/proxies",
            r#"{"name": "a b/c?#%+ü\"<", "listen": "127.0.0.1:0", "upstream": "127.0.0.1:9"}"#,
            201,
            Like(
                json!({"name": "a b/c?#%+ü\"<", "listen": "*", "upstream": "*", "enabled": true, "toxics": []}),
            ),
        ),
        row(
            "POST",
            "/proxies/a%20b%2Fc%3F%23%25+%C3%BC%22%3C/toxics",
            r#"{"type": "noop", "name": "x/y"}"#,
            200,
            Bytes(r#"{"attributes":{},"name":"x/y","type":"noop","stream":"downstream","toxicity":1}"#),
        ),
        row("DELETE", "/proxies/a%20b%2Fc%3F%23%25+%C3%BC%22%3C/toxics/x%2Fy", "", 204, Bytes("")),
        row("DELETE", "/proxies/a%20b%2Fc%3F%23%25+%C3%BC%22%3C", "", 204, Bytes("")),
        row(
            "POST",
            "/proxies",
            r#"{"name": "..", "listen": "127.0.0.1:0", "upstream": "127.0.0.1:9"}"#,
            201,
            Like(json!("*")),
        ),
        row("GET", "/proxies/%2e%2e/toxics", "", 200, Bytes("[]")),
        row(
            "POST",
            "/proxies",
            r#"{"name": "a\u001bb", "listen": "127.0.0.1:0", "upstream": "127.0.0.1:9"}"#,
            400,
            ErrorLike("bad request body: "),
        ),
    ]);
}

#[test]
fn every_reply_has_a_request_id_and_the_types_that_clients_see() {
    within(secs(30), || {
        let (_daemon, api) = as_toxiproxy(&[]);
        let version = api.get("/version");
        assert_eq!(version.header("content-type"), "application/json;charset=utf-8");
        let answers = [version, api.get("/proxies"), api.get("/proxies/x"), api.post("/reset", "")];
        let ids = answers.map(|answer| answer.header("x-toxiproxy-request-id").to_owned());
        assert!(ids.iter().all(|id| id.len() == 20), "{ids:?}");
        assert!(ids.windows(2).all(|pair| pair[0] != pair[1]), "{ids:?}");
        // No type is needed on a body, and any will do.
        let body = r#"{"name": "f", "upstream": "b:1", "enabled": false}"#;
        let form = format!(
            "POST /proxies HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        assert_eq!(api.raw(form.as_bytes()).status, 201);
        let body = body.replace("\"f\"", "\"g\"");
        let chunked = format!(
            "POST /proxies HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n{:x}\r\n{body}\r\n0\r\n\r\n",
            body.len()
        );
        assert_eq!(api.raw(chunked.as_bytes()).status, 201);
    });
}

/// A proxy made here is a route there and the other way round; there is no second state.
#[test]
fn a_proxy_is_a_route_and_a_toxic_is_a_fault() {
    within(secs(60), || {
        let (_daemon, api) = as_toxiproxy(&[]);
        proxy(api, "here", "127.0.0.1:9");
        toxic(api, "here", "latency", json!({"latency": 20}), json!({"toxicity": 0.5}));
        let route = api.get("/v1/routes/here").expect(200);
        assert_eq!(route["faults"][0]["latency"]["delay"], "20ms");
        assert_eq!(route["faults"][0]["latency"]["probability"], 0.5);

        let faults = json!([{"drop": {}}, {"latency": {"delay": "5ms", "direction": "both"}}, {"stall": {"after": "1s"}}]);
        let body =
            json!({"name": "there", "localPort": "auto", "upstream": "builtin:echo", "faults": faults});
        api.post("/v1/routes", &body.to_string()).expect(201);
        let names = |api: Api| -> Vec<String> {
            let toxics = api.get("/proxies/there/toxics").expect(200);
            toxics
                .as_array()
                .unwrap()
                .iter()
                .map(|toxic| toxic["name"].as_str().unwrap().to_owned())
                .collect()
        };
        assert_eq!(names(api), ["latency_upstream", "latency_downstream"]);
        api.post("/proxies/there/toxics/latency_upstream", r#"{"attributes": {"latency": 9}}"#).expect(200);
        api.delete("/proxies/there/toxics/latency_downstream").expect(204);
        let faults = api.get("/v1/routes/there").expect(200)["faults"].clone();
        assert_eq!(faults.as_array().unwrap().len(), 3);
        assert_eq!(
            (&faults[1]["latency"]["delay"], &faults[1]["latency"]["direction"]),
            (&json!("9ms"), &json!("upstream"))
        );
        // A name that is hidden is taken all the same.
        api.post("/proxies/there/toxics", r#"{"type": "noop", "name": "drop"}"#).expect(409);

        api.post("/v1/routes/there/close", "").expect(200);
        assert_eq!(api.get("/proxies/there").expect(200)["enabled"], false);
        api.post("/reset", "").expect(204);
        let there = api.get("/v1/routes/there").expect(200);
        assert_eq!(
            (&there["enabled"], &there["faults"], &there["state"]["open"]),
            (&json!(true), &json!([]), &json!(true))
        );
    });
}
