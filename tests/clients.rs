//! The clients of a running daemon: what they ask, what they print, and how they exit. The daemon here is a fake that
//! answers from a list, so that every answer, also a wrong one, can be had.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should say so loudly")]

mod support;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::sync::mpsc::{Receiver, channel};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use support::{bare, secs, unused_port, within};

/// Answers one call after the other, each on its own connection, and remembers what it was asked.
struct Fake {
    address: SocketAddr,
    asked: Receiver<Asked>,
}

/// A request as it came.
#[derive(Debug)]
struct Asked {
    line: String,
    head: String,
    body: String,
}

impl Fake {
    fn new(answers: impl IntoIterator<Item = String>) -> Fake {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let answers: Vec<String> = answers.into_iter().collect();
        let (tell, asked) = channel();
        std::thread::spawn(move || {
            // Kept open to the end, as a stream of events is.
            let mut open = Vec::new();
            for answer in answers {
                let Ok((mut stream, _)) = listener.accept() else { return };
                let _ = tell.send(read_request(&stream));
                let _ = stream.write_all(answer.as_bytes());
                open.push(stream);
            }
            // Whoever comes now is let in and gets no answer: a client that asks too much fails, and is seen.
            while let Ok((stream, _)) = listener.accept() {
                let _ = tell.send(read_request(&stream));
            }
        });
        Fake { address, asked }
    }

    fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    fn asked(&self) -> Asked {
        self.asked.recv_timeout(secs(10)).expect("a request")
    }

    /// Runs a client of this daemon, which is named in the environment.
    fn run(&self, arguments: &[&str]) -> Ended {
        run(bare().env("CHAOS_PROXY_URL", self.url()).args(arguments))
    }
}

fn read_request(stream: &TcpStream) -> Asked {
    let mut reader = BufReader::new(stream);
    let (mut line, mut head) = (String::new(), String::new());
    reader.read_line(&mut line).unwrap();
    loop {
        let mut field = String::new();
        if reader.read_line(&mut field).unwrap() <= 2 {
            break;
        }
        head.push_str(&field);
    }
    let length = head
        .lines()
        .find_map(|field| field.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok());
    let mut body = vec![0; length.unwrap_or(0)];
    reader.read_exact(&mut body).unwrap();
    Asked { line: line.trim_end().to_owned(), head, body: String::from_utf8(body).unwrap() }
}

/// How a client ended, and what it said.
#[derive(Debug, PartialEq)]
struct Ended {
    code: Option<i32>,
    out: String,
    err: String,
}

fn run(command: &mut Command) -> Ended {
    let output = command.output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Ended { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
}

fn done(out: &str) -> Ended {
    Ended { code: Some(0), out: out.to_owned(), err: String::new() }
}

fn stopped(code: i32, err: &str) -> Ended {
    Ended { code: Some(code), out: String::new(), err: err.to_owned() }
}

fn answer(status: &str, content: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\nContent-Type: {content}\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}

fn ok(body: &Value) -> String {
    answer("200 OK", "application/json", &body.to_string())
}

fn created(body: &Value) -> String {
    answer("201 Created", "application/json", &body.to_string())
}

fn gone() -> String {
    "HTTP/1.1 204 No Content\r\n\r\n".to_owned()
}

fn problem(status: &str, body: &Value) -> String {
    answer(status, "application/problem+json", &body.to_string())
}

fn route(name: &str, faults: &Value) -> Value {
    json!({
        "name": name, "localPort": 15432, "upstream": "db.internal:5432", "faults": faults,
        "state": {
            "listen": "127.0.0.1:15432", "open": true, "connections": 3,
            "endpoints": [{"address": "db.internal:5432", "health": "unknown", "breaker": "closed"}],
        },
    })
}

fn bandwidth() -> Value {
    json!({
        "bandwidth": {"name": "bandwidth", "direction": "downstream", "rate": "32KiB/s", "for": "30s"},
        "state": {"fired": 0, "expiresAt": "2026-11-20T14:03:07.5Z"},
    })
}

fn latency() -> Value {
    json!({"latency": {"name": "slow", "direction": "downstream", "delay": "200ms"}, "state": {"fired": 12}})
}

#[test]
fn routes_are_a_table() {
    within(secs(30), || {
        let down =
            json!({"address": "a:1", "health": "down", "breaker": "open", "error": "it", "checks": {}});
        let up = json!({"address": "b:1", "health": "up", "breaker": "closed", "checks": {}});
        let state = json!({"listen": null, "open": false, "connections": 0, "endpoints": [down, up]});
        let closed = json!({"name": "web", "upstream": ["a:1", "b:1"], "state": state});
        let routes = json!({"routes": [route("db", &json!([latency(), bandwidth()])), closed]});
        let fake = Fake::new([ok(&routes)]);
        let table = "\
ROUTE  LISTEN           UPSTREAM          FAULTS                            CONNS  HEALTH
db     127.0.0.1:15432  db.internal:5432  latency 200ms, bandwidth 32KiB/s  3      –
web    closed           a:1 +1            none                              0      ◐ 1 of 2 up, breaker of a:1 open
";
        assert_eq!(fake.run(&["routes"]), done(table));
        let asked = fake.asked();
        assert_eq!(asked.line, "GET /v1/routes HTTP/1.1");
        assert!(asked.head.contains(&format!("host: {}", fake.address)), "{}", asked.head);
        assert!(
            asked.head.contains(concat!("user-agent: chaos-proxy/", env!("CARGO_PKG_VERSION"))),
            "{}",
            asked.head
        );
        assert!(!asked.head.contains("authorization"), "{}", asked.head);
    });
}

#[test]
fn json_is_what_the_daemon_said_on_one_line() {
    within(secs(30), || {
        let fake = Fake::new([answer(
            "200 OK",
            "application/json",
            "{\"routes\":\n [ 1.50 ],\t\"x\": \"\u{9b}\"}\n",
        )]);
        assert_eq!(fake.run(&["routes", "--json"]), done("{\"routes\":  [ 1.50 ], \"x\": \"\\u009b\"}\n"));
    });
}

#[test]
fn a_fault_is_added_in_one_line_and_says_how_to_undo_it() {
    within(secs(30), || {
        let fake = Fake::new([created(&bandwidth()), created(&latency())]);
        let ended = fake.run(&["fault", "add", "web", "bandwidth", "--rate", "32KiB/s", "--for", "30s"]);
        let line = "web: added bandwidth (32KiB/s, downstream), gone in 30s        undo: chaos-proxy fault rm web bandwidth\n";
        assert_eq!(ended, done(line));
        let asked = fake.asked();
        assert_eq!(asked.line, "POST /v1/routes/web/faults HTTP/1.1");
        assert!(asked.head.contains("content-type: application/json"), "{}", asked.head);
        assert_eq!(
            serde_json::from_str::<Value>(&asked.body).unwrap(),
            json!({"bandwidth": {"rate": "32KiB/s", "for": "30s"}})
        );

        // A route may be called anything, also like an effect.
        let url = fake.url();
        let words = [
            "fault",
            "add",
            "latency",
            "latency",
            "--delay",
            "200ms",
            "--name",
            "slow",
            "--probability",
            "0.5",
        ];
        let ended = run(bare().args(words).args(["--enabled", "true", "--at", "1", "--url", &url]));
        let undo = format!("undo: chaos-proxy fault rm latency slow --url {url}\n");
        assert_eq!(ended, done(&format!("latency: added slow (latency, 200ms, downstream)        {undo}")));
        let asked = fake.asked();
        assert_eq!(asked.line, "POST /v1/routes/latency/faults?at=1 HTTP/1.1");
        let body =
            json!({"latency": {"delay": "200ms", "name": "slow", "probability": 0.5, "enabled": true}});
        assert_eq!(serde_json::from_str::<Value>(&asked.body).unwrap(), body);
    });
}

/// A key that was not there and has no default is taken away again.
#[test]
fn what_a_fault_did_not_say_before_is_undone_by_none() {
    within(secs(30), || {
        let changed =
            json!({"latency": {"name": "slow", "delay": "200ms", "times": 3}, "state": {"fired": 12}});
        let fake = Fake::new([ok(&latency()), ok(&changed)]);
        let ended = fake.run(&["fault", "set", "web", "slow", "--times", "3"]);
        let undo = "undo: chaos-proxy fault set web slow --times none\n";
        assert_eq!(ended, done(&format!("web: changed slow (latency, 200ms, downstream)        {undo}")));
    });
}

#[test]
fn a_fault_is_changed_by_a_patch_under_its_effect() {
    within(secs(30), || {
        let changed =
            json!({"latency": {"name": "slow", "delay": "80ms", "enabled": false}, "state": {"fired": 12}});
        let fake = Fake::new([ok(&latency()), ok(&changed)]);
        let ended = fake.run(&["fault", "set", "a b", "slow", "--delay", "80ms", "--enabled", "false"]);
        let undo = "undo: chaos-proxy fault set 'a b' slow --delay 200ms --enabled true\n";
        assert_eq!(ended, done(&format!("a b: changed slow (latency, 80ms, downstream, off)        {undo}")));
        assert_eq!(fake.asked().line, "GET /v1/routes/a%20b/faults/slow HTTP/1.1");
        let asked = fake.asked();
        assert_eq!(asked.line, "PATCH /v1/routes/a%20b/faults/slow HTTP/1.1");
        assert_eq!(
            serde_json::from_str::<Value>(&asked.body).unwrap(),
            json!({"latency": {"delay": "80ms", "enabled": false}})
        );
    });
}

#[test]
fn a_fault_is_removed_and_can_be_had_again_at_its_place() {
    within(secs(30), || {
        let faults = json!({"faults": [latency(), bandwidth()]});
        let fake = Fake::new([ok(&faults), gone(), gone()]);
        let undo = "undo: chaos-proxy fault add web latency --delay 200ms --name slow --at 0\n";
        assert_eq!(
            fake.run(&["fault", "rm", "web", "slow"]),
            done(&format!("web: removed slow        {undo}"))
        );
        assert_eq!(fake.asked().line, "GET /v1/routes/web/faults HTTP/1.1");
        assert_eq!(fake.asked().line, "DELETE /v1/routes/web/faults/slow HTTP/1.1");
        assert_eq!(fake.run(&["fault", "rm", "web", "slow", "--json"]), done(""));
        assert_eq!(fake.asked().line, "DELETE /v1/routes/web/faults/slow HTTP/1.1");
    });
}

#[test]
fn faults_are_a_table() {
    within(secs(30), || {
        let evil = json!({"drop": {"name": "x\u{1b}[2Jy"}, "state": {"fired": 1}});
        let routes =
            json!({"routes": [route("db", &json!([latency()])), route("web", &json!([bandwidth(), evil]))]});
        let fake = Fake::new([ok(&routes), ok(&json!({"faults": []}))]);
        let table = "\
ROUTE  FAULT        WHAT               FIRED  UNTIL
db     slow         latency 200ms      12
web    bandwidth    bandwidth 32KiB/s  0      14:03:07Z
web    x\\u{1b}[2Jy  drop               1
";
        assert_eq!(fake.run(&["fault", "ls"]), done(table));
        assert_eq!(fake.run(&["fault", "ls", "web"]), done("no faults\n"));
        assert_eq!(fake.asked().line, "GET /v1/routes HTTP/1.1");
        assert_eq!(fake.asked().line, "GET /v1/routes/web/faults HTTP/1.1");
    });
}

#[test]
fn routes_are_closed_and_opened() {
    within(secs(30), || {
        let mut closed = route("db", &json!([]));
        closed["state"]["listen"] = Value::Null;
        let moved = |ended: u64, route: &Value| ok(&json!({"generation": 5, "ended": ended, "route": route}));
        let fake = Fake::new([
            moved(3, &closed),
            moved(0, &closed),
            moved(0, &closed),
            moved(0, &route("db", &json!([]))),
        ]);
        let undo = "       undo: chaos-proxy open db\n";
        assert_eq!(
            fake.run(&["close", "db", "--connections", "reset"]),
            done(&format!("db: closed; 3 connections reset {undo}"))
        );
        let asked = fake.asked();
        assert_eq!(
            (asked.line.as_str(), asked.body.as_str()),
            ("POST /v1/routes/db/close HTTP/1.1", "{\"connections\":\"reset\"}")
        );
        assert_eq!(fake.run(&["close", "db"]), done(&format!("db: closed; no connection was open {undo}")));
        assert_eq!(fake.asked().body, "{\"connections\":\"close\"}");
        assert_eq!(
            fake.run(&["close", "db", "--connections", "keep"]),
            done(&format!("db: closed; 3 connections go on {undo}"))
        );
        assert_eq!(fake.asked().body, "{\"connections\":\"keep\"}");
        let undo = "        undo: chaos-proxy close db\n";
        assert_eq!(fake.run(&["open", "db"]), done(&format!("db: open, listens on 127.0.0.1:15432{undo}")));
        let asked = fake.asked();
        assert_eq!((asked.line.as_str(), asked.body.as_str()), ("POST /v1/routes/db/open HTTP/1.1", ""));
    });
}

#[test]
fn connections_are_followed_to_the_last_page() {
    within(secs(30), || {
        let one = |id: u64| {
            json!({
                "id": id, "route": "web", "connection": 12, "client": "127.0.0.1:51602", "upstream": "builtin:http",
                "opened": "2026-11-20T14:03:07Z", "ageMs": 3100.5, "bytes": {"upstream": 78, "downstream": 98304},
                "faults": ["bandwidth"],
            })
        };
        let dialling = json!({"id": 9, "route": "db", "connection": 1, "client": "[::1]:1"});
        let pages = || {
            [
                ok(&json!({"connections": [one(7)], "next": 7})),
                // A daemon that leads in circles is followed no further.
                ok(&json!({"connections": [dialling], "next": 7})),
            ]
        };
        let fake = Fake::new(
            pages().into_iter().chain(pages()).chain([gone(), ok(&json!({"next": null, "connections": []}))]),
        );
        let table = "\
ROUTE  #   ID  CLIENT           UPSTREAM      AGE   UP    DOWN      FAULTS FIRED
web    12  7   127.0.0.1:51602  builtin:http  3.1s  78 B  96.0 KiB  bandwidth
db     1   9   [::1]:1          –             0s    0 B   0 B
";
        assert_eq!(fake.run(&["connections", "--route", "a&b"]), done(table));
        assert_eq!(fake.asked().line, "GET /v1/connections?route=a%26b HTTP/1.1");
        assert_eq!(fake.asked().line, "GET /v1/connections?route=a%26b&after=7 HTTP/1.1");
        let ended = fake.run(&["connections", "--json"]);
        let whole: Value = serde_json::from_str(&ended.out).unwrap();
        assert_eq!((ended.code, whole), (Some(0), json!({"connections": [one(7), dialling], "next": null})));
        let _pages = (fake.asked(), fake.asked());
        assert_eq!(fake.run(&["connections", "--end", "7", "--how", "reset"]), done("connection 7: reset\n"));
        assert_eq!(fake.asked().line, "DELETE /v1/connections/7?how=reset HTTP/1.1");
        let one_page = json!({"next": null, "connections": []}).to_string() + "\n";
        assert_eq!(fake.run(&["connections", "--json"]), done(&one_page));
    });
}

#[test]
fn reload_and_restore_say_what_changed() {
    within(secs(30), || {
        let applied = json!({"generation": 5, "changed": true, "changes": ["web.delay 200ms → 80ms", "+ route \u{1b}c"],
            "undone": ["web.delay 200ms → 80ms"]});
        let nothing = json!({"generation": 5, "changed": false, "changes": [], "undone": []});
        let fake = Fake::new([ok(&applied), ok(&nothing)]);
        let lines = "generation 5:\n  web.delay 200ms → 80ms  (undone)\n  + route \\u{1b}c\n";
        assert_eq!(fake.run(&["reload"]), done(lines));
        assert_eq!(fake.run(&["restore"]), done("generation 5: nothing changed\n"));
        assert_eq!(fake.asked().line, "POST /v1/reload HTTP/1.1");
        assert_eq!(fake.asked().line, "POST /v1/restore HTTP/1.1");
    });
}

#[test]
fn a_refusal_reads_as_the_report_of_a_file() {
    within(secs(30), || {
        let errors = json!([{"detail": "`delay` is 200\u{1b}[2J", "advice": "write 200ms", "pointer": "/latency/delay"}]);
        let fake = Fake::new([problem(
            "422 Unprocessable Content",
            &json!({"title": "no", "status": 422, "errors": errors}),
        )]);
        let said = "error: `delay` is 200\\u{1b}[2J\n --> /latency/delay\nhelp: write 200ms\n";
        assert_eq!(fake.run(&["fault", "add", "db", "latency", "--delay", "200"]), stopped(1, said));
    });
}

#[test]
fn what_is_not_there_is_answered_with_what_is() {
    within(secs(30), || {
        let missing =
            || problem("404 Not Found", &json!({"title": "Not Found", "status": 404, "detail": "gone"}));
        let routes =
            || ok(&json!({"routes": [route("orders", &json!([latency()])), route("web", &json!([]))]}));
        let fake = Fake::new([missing(), routes(), missing(), routes(), missing()]);
        let said =
            "error: there is no route `ordres`: did you mean `orders`?\nhelp: routes are orders, web\n";
        assert_eq!(fake.run(&["open", "ordres"]), stopped(1, said));
        let said =
            "error: route `orders` has no fault `slwo`: did you mean `slow`?\nhelp: its faults are slow\n";
        assert_eq!(fake.run(&["fault", "set", "orders", "slwo", "--delay", "1s"]), stopped(1, said));
        assert_eq!(fake.run(&["connections", "--end", "4"]), stopped(1, "error: gone\n"));
    });
}

#[test]
fn a_token_is_asked_for_by_name_and_never_shown() {
    within(secs(30), || {
        let refused = || problem("401 Unauthorized", &json!({"title": "Unauthorized", "status": 401}));
        let fake = Fake::new([refused(), refused()]);
        let url = fake.url();
        let said = format!(
            "{url} wants a token: set CHAOS_PROXY_TOKEN, or CHAOS_PROXY_TOKEN_FILE to the file that holds it\n"
        );
        assert_eq!(fake.run(&["routes"]), stopped(1, &said));
        let _first = fake.asked();
        let ended = run(bare().args(["routes", "--url", &url]).env("CHAOS_PROXY_TOKEN", "hunter2"));
        let said =
            format!("{url} does not accept this token: see CHAOS_PROXY_TOKEN or CHAOS_PROXY_TOKEN_FILE\n");
        assert_eq!(ended, stopped(1, &said));
        assert!(fake.asked().head.contains("authorization: Bearer hunter2"));
    });
}

#[test]
fn nobody_there_and_somebody_else_there_are_told_apart() {
    within(secs(60), || {
        let url = format!("http://127.0.0.1:{}", unused_port());
        let said = format!("no daemon at {url}: start one with `chaos-proxy --config FILE`, or give --url\n");
        for words in [&["routes"][..], &["fault", "rm", "a", "b"], &["reload"], &["events"], &["healthcheck"]]
        {
            assert_eq!(run(bare().args(words).args(["--url", &url])), stopped(1, &said), "{words:?}");
        }
        let page = answer("200 OK", "text/html", "<html>");
        let absent = answer("404 Not Found", "text/html", "<html>");
        let fake = Fake::new([page, absent, "SSH-2.0-nobody\r\n".to_owned()]);
        let stranger = format!("what answers at {} is not the control API of chaos-proxy", fake.url());
        for words in [["routes"], ["reload"], ["routes"]] {
            let ended = fake.run(&words);
            assert_eq!((ended.code, ended.out.as_str()), (Some(1), ""), "{ended:?}");
            assert!(ended.err.starts_with(&stranger), "{ended:?}");
        }
    });
}

#[test]
fn what_was_typed_wrong_exits_2_and_asks_nobody() {
    within(secs(60), || {
        let fake = Fake::new([]);
        for (words, said) in [
            (&["routes", "--url", "https://h:1"][..], "help: write http://h:1"),
            (&["routes", "--url", "http://u:pw@h:1"], "CHAOS_PROXY_TOKEN"),
            (&["fault", "add", "db", "latencey", "--delay", "1s"], "did you mean `latency`?"),
            (&["fault", "add", "db", "latency", "--dealy", "1s"], "'--delay'"),
            (&["fault", "add", "db", "latency"], "--delay <DELAY>"),
            (&["fault", "add", "db", "drop", "--how", "rest"], "reset"),
            (&["fault", "set", "db", "slow"], "nothing to change"),
            (&["close", "db", "--connections", "cut"], "keep, close, reset"),
            (&["connections", "--how", "reset"], "--end"),
            (&["routes", "--seed", "1"], "unexpected argument '--seed'"),
            (&["--admin", "8474", "demo"], "write 127.0.0.1:8474"),
        ] {
            let ended = fake.run(words);
            assert_eq!((ended.code, ended.out.as_str()), (Some(2), ""), "{words:?}: {ended:?}");
            assert!(ended.err.contains(said) && !ended.err.contains("pw@"), "{words:?}: {}", ended.err);
        }
        assert!(fake.asked.try_recv().is_err(), "somebody was asked");
    });
}

#[test]
fn a_healthcheck_is_silent_when_all_is_well() {
    within(secs(30), || {
        let fake = Fake::new([
            answer("200 OK", "text/plain", "ready"),
            answer("503 Service Unavailable", "text/plain", "draining\n"),
        ]);
        assert_eq!(fake.run(&["healthcheck"]), done(""));
        assert_eq!(fake.run(&["healthcheck"]), stopped(1, "not ready: draining\n"));
        assert_eq!(fake.asked().line, "GET /readyz HTTP/1.1");
    });
}

/// A daemon that lets everyone in and says nothing must not hold up a probe.
#[test]
fn a_healthcheck_waits_two_seconds_at_most() {
    within(secs(30), || {
        let fake = Fake::new([]);
        let said = format!("{} did not answer within 2s\n", fake.url());
        // Without an answer the fake hangs up; one that never reads does not.
        let deaf = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let url = format!("http://{}", deaf.local_addr().unwrap());
        let ended = run(bare().args(["healthcheck", "--url", &url]));
        assert_eq!(ended, stopped(1, &said.replace(&fake.url(), &url)));
        assert_eq!(
            fake.run(&["healthcheck"]),
            stopped(1, &format!("{} hung up without an answer\n", fake.url()))
        );
    });
}

const STREAM: &str = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n";

#[test]
fn events_are_one_line_each_until_the_daemon_ends() {
    within(secs(30), || {
        let events = ": ping\n\nevent: fault.fired\nid: 1-7\ndata: {\"time\":\"2026-11-20T14:03:07.1Z\",\"level\":\"info\",\
            \"event\":\"fault.fired\",\"route\":\"web\",\"connection\":3,\"fault\":\"x\\u001by\"}\n\n";
        let whole = format!("{STREAM}Content-Length: {}\r\n\r\n{events}", events.len());
        let fake = Fake::new([whole.clone(), whole]);
        let line = "14:03:07Z web #3 fault.fired fault=x\\u{1b}y\n";
        assert_eq!(fake.run(&["events", "--route", "web", "--after", "1-6"]), done(line));
        let asked = fake.asked();
        assert_eq!(asked.line, "GET /v1/events?route=web HTTP/1.1");
        assert!(asked.head.contains("last-event-id: 1-6"), "{}", asked.head);
        let ended = fake.run(&["events", "--json"]);
        let data = events.lines().find_map(|line| line.strip_prefix("data: ")).unwrap();
        assert_eq!(ended, done(&format!("{data}\n")));
    });
}

#[test]
fn events_end_by_ctrl_c_with_success() {
    within(secs(30), || {
        let fake = Fake::new([format!("{STREAM}\r\ndata: {{\"event\":\"x\"}}\n\n")]);
        let mut command = bare();
        let mut child =
            command.args(["events", "--url", &fake.url()]).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        assert_eq!(line, "x\n");
        kill_process(Pid::from_child(&child), Signal::INT).unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(0));
    });
}

#[test]
fn help_of_a_client_lists_its_own_flags_and_no_daemons() {
    within(secs(30), || {
        let help = |words: &[&str]| run(bare().args(words)).out;
        let routes = help(&["routes", "--help"]);
        assert!(routes.contains("--json") && !routes.contains("--seed"), "{routes}");
        let latency = help(&["fault", "add", "db", "latency", "--help"]);
        assert!(
            latency.contains("--jitter") && latency.contains("--at") && !latency.contains("--rate"),
            "{latency}"
        );
        assert!(latency.starts_with("Every byte arrives that much later"), "{latency}");
        let add = help(&["fault", "add", "--help"]);
        assert!(add.contains("slowClose") && add.lines().all(|line| line.chars().count() <= 100), "{add}");
        for (command, about) in [
            ("routes", "Show the routes"),
            ("demo", "Serve a few"),
            ("reload", "Read the"),
            ("events", "Show what"),
        ] {
            let text = help(&[command, "--help"]);
            assert!(text.starts_with(about), "{text}");
        }
        let whole = help(&["--help"]);
        assert!(whole.lines().count() <= 50, "{whole}");
        // The first sentence is wrapped to the terminal.
        assert!(whole.lines().skip(1).all(|line| line.chars().count() <= 80), "{whole}");
        assert!(help(&["demo", "--help"]).contains("--seed"));
    });
}
