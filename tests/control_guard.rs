//! Who may ask the control API, from outside: nobody from beyond this machine without a token, no web page, no stranger's
//! name; and slow clients keep nobody waiting.

#![allow(clippy::disallowed_types, clippy::disallowed_methods, reason = "over real sockets time is real")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should say so loudly")]

mod support;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Output;
use std::time::Instant;

use serde_json::json;
use support::*;

const TOKEN: &str = "correct-horse-battery";

fn daemon() -> Daemon {
    Setup::route("it", "builtin:echo", "").admin().start()
}

/// A request written out, with only these header lines.
fn raw(api: Api, line: &str, headers: &[&str]) -> Answer {
    api.raw(format!("{line}\r\n{}\r\nConnection: close\r\n\r\n", headers.join("\r\n")).as_bytes())
}

/// Runs the program to its end with this configuration.
fn refused(top: &str, environment: &[(&str, &str)]) -> Output {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("routes.yaml");
    let text = format!("{top}\nroutes: [{{name: it, localPort: auto, upstream: 'builtin:echo'}}]\n");
    std::fs::write(&file, text).unwrap();
    let mut command = bare();
    command.envs(environment.iter().copied()).arg("--config").arg(&file);
    command.output().unwrap()
}

#[test]
fn by_default_it_listens_on_this_machine_only() {
    within(secs(20), || {
        // Nobody says where: it is the default address, or a free port when that is taken.
        let daemon = Setup::route("it", "builtin:echo", "").without_admin_off().start();
        let api = daemon.api();
        assert!(api.0.ip().is_loopback());
        let port = format!(":{:04X} ", api.0.port());
        let tables = ["/proc/net/tcp", "/proc/net/tcp6"].map(|table| std::fs::read_to_string(table).unwrap());
        let listening = tables.iter().flat_map(|table| table.lines()).filter(|line| {
            line.split_whitespace().nth(3) == Some("0A")
                && line.split_whitespace().nth(1).is_some_and(|at| format!("{at} ").ends_with(&port))
        });
        let at: Vec<&str> = listening.filter_map(|line| line.split_whitespace().nth(1)).collect();
        assert_eq!(at, [format!("0100007F{}", port.trim_end())]);
    });
}

#[test]
fn beyond_this_machine_it_needs_a_token_and_says_where_to_set_it() {
    within(secs(20), || {
        for listen in ["0.0.0.0:0", "'[::]:0'"] {
            let output = refused(&format!("admin: {listen}"), &[]);
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            assert_eq!(output.status.code(), Some(2), "{said}");
            assert!(said.contains("CHAOS_PROXY_TOKEN") && said.contains("tokenFile"), "{said}");
            assert!(!said.contains("route.opened"), "{said}");
        }
        let output = refused("admin: {listen: '0.0.0.0:0', tokenFile: /nonexistent/token}", &[]);
        assert_eq!(output.status.code(), Some(2));
        let output = refused("admin: 0.0.0.0:0", &[("CHAOS_PROXY_TOKEN", " \n")]);
        assert_eq!(output.status.code(), Some(2));
    });
}

#[test]
fn a_stranger_s_host_is_refused_and_our_own_names_are_not() {
    within(secs(20), || {
        let daemon = Setup::route("it", "builtin:echo", "")
            .top("admin: {listen: '127.0.0.1:0', allowedHosts: [chaos.internal]}")
            .without_admin_off()
            .start();
        let api = daemon.api();
        let port = api.0.port();
        let get = "GET /v1/status HTTP/1.1";
        for host in [
            "evil.example",
            "127.0.0.1.evil.example",
            "localhost.evil",
            "chaos.internal.evil",
            "127.1",
            "0x7f000001",
        ] {
            assert_eq!(raw(api, get, &[&format!("Host: {host}")]).status, 403, "{host}");
        }
        for headers in [
            &["Host: 127.0.0.1:1@evil"][..],
            &["Host:"],
            &["Host: localhost", "Host: localhost"],
            &["X-None: 1"],
        ] {
            let status = raw(api, get, headers).status;
            assert!([400, 403].contains(&status), "{headers:?}: {status}");
        }
        for host in [
            "localhost",
            "LOCALHOST",
            "localhost.",
            "127.0.0.1",
            &format!("127.0.0.1:{port}"),
            &format!("[::1]:{port}"),
            "chaos.internal",
            "Chaos.Internal:80",
        ] {
            assert_eq!(raw(api, get, &[&format!("Host: {host}")]).status, 200, "{host}");
        }
        // Probes and scrapers call it by whatever name they have.
        for path in ["/livez", "/readyz", "/metrics"] {
            assert_eq!(
                raw(api, &format!("GET {path} HTTP/1.1"), &["Host: pod-7.example"]).status,
                200,
                "{path}"
            );
        }
    });
}

#[test]
fn a_web_page_cannot_ask_and_gets_no_leave_to() {
    within(secs(20), || {
        let daemon = daemon();
        let api = daemon.api();
        let fault = "{\"noop\": {}}";
        let faults = "/v1/routes/it/faults";
        for origin in ["http://evil.example", "null", "https://localhost", "http://localhost:1", "file://"] {
            let header = format!("Origin: {origin}");
            assert_eq!(api.ask("POST", faults, &[&header], fault).status, 403, "{origin}");
            assert_eq!(api.ask("GET", "/v1/config", &[&header], "").status, 403, "{origin}");
        }
        assert_eq!(api.ask("GET", "/v1/config", &["Sec-Fetch-Site: cross-site"], "").status, 403);
        assert_eq!(api.ask("POST", "/v1/reload", &["Sec-Fetch-Site: same-site"], "").status, 403);
        let simple = format!(
            "POST {faults} HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/plain\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{fault}",
            fault.len()
        );
        assert_eq!(api.raw(simple.as_bytes()).status, 415);
        let preflight = api.ask(
            "OPTIONS",
            faults,
            &["Origin: http://evil.example", "Access-Control-Request-Method: POST"],
            "",
        );
        assert!([403, 405].contains(&preflight.status));
        let own = format!("Origin: http://{}", api.0);
        let allowed = api.ask("POST", faults, &[&own, "Sec-Fetch-Site: same-origin"], fault);
        assert_eq!(allowed.status, 201);
        for answer in [preflight, allowed] {
            assert!(answer.headers.iter().all(|(name, _)| !name.starts_with("access-control")), "{answer:?}");
            assert_eq!(answer.header("x-content-type-options"), "nosniff");
        }
        assert_eq!(api.get("/v1/status").expect(200)["generation"], 2);
    });
}

#[test]
fn with_a_token_nothing_goes_without_it_and_nothing_repeats_it() {
    within(secs(30), || {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("token");
        std::fs::write(&file, format!("{TOKEN}\n")).unwrap();
        let daemon = Setup::route("it", "builtin:echo", "")
            .top(&format!("admin: {{listen: '127.0.0.1:0', tokenFile: '{}'}}", file.display()))
            .without_admin_off()
            .start();
        let api = daemon.api();
        let ask = |authorization: &str| api.ask("GET", "/v1/config", &[authorization], "");
        let missing = api.get("/v1/config");
        assert_eq!((missing.status, missing.header("www-authenticate")), (401, "Bearer"));
        let long = format!("Authorization: Bearer {}", "x".repeat(8000));
        let last = TOKEN.len() - 1;
        for wrong in [
            "Authorization: Bearer",
            "Authorization: Basic Y29ycmVjdA==",
            &format!("Authorization: Bearer {}", &TOKEN[..last]),
            &format!("Authorization: Bearer {}x", &TOKEN[..last]),
            &format!("Authorization: Bearer {TOKEN}x"),
            &long,
        ] {
            let answer = ask(wrong);
            assert_eq!(answer.status, 401);
            assert_eq!(answer.body, missing.body, "one answer for all");
        }
        let right = format!("Authorization: Bearer {TOKEN}");
        let config = ask(&right);
        assert_eq!(config.status, 200);
        for path in ["/livez", "/readyz", "/metrics"] {
            assert_eq!(api.get(path).status, 200);
        }
        let metrics = api.get("/metrics").text();
        let events =
            daemon.events.all(|_| true).iter().map(|event| event.fields.to_string()).collect::<String>();
        for (what, text) in
            [("config", config.text()), ("metrics", metrics), ("log", events), ("refusal", missing.text())]
        {
            assert!(!text.contains(TOKEN), "{what} repeats the token");
        }
        // The command line finds it in the environment, and says which variable when it does not.
        let url = format!("http://{}", api.0);
        let run = |token: Option<&str>| {
            let mut command = bare();
            command.args(["routes", "--url", &url]).envs(token.map(|token| ("CHAOS_PROXY_TOKEN", token)));
            command.output().unwrap()
        };
        assert!(run(Some(TOKEN)).status.success());
        let refused = run(None);
        assert_eq!(refused.status.code(), Some(1));
        assert!(String::from_utf8_lossy(&refused.stderr).contains("CHAOS_PROXY_TOKEN"));
    });
}

#[test]
fn a_password_in_an_upstream_is_repeated_nowhere() {
    within(secs(20), || {
        let daemon = daemon();
        let api = daemon.api();
        let body = json!({"name": "x", "localPort": "auto", "upstream": "user:s3cret-pw@db:5432"});
        let answers = [
            api.post("/v1/routes", &body.to_string()),
            api.patch(
                "/v1/routes/it",
                &json!({"upstream": "postgres://user:s3cret-pw@db:5432/x"}).to_string(),
            ),
            api.post("/v1/routes", "{\"upstream\": \"user:s3cret-pw@db:5432\", "),
        ];
        for answer in answers {
            assert!([400, 422].contains(&answer.status));
            assert!(!answer.text().contains("s3cret"), "{}", answer.text());
        }
    });
}

#[test]
fn hostile_names_are_data_everywhere() {
    within(secs(20), || {
        let daemon = daemon();
        let api = daemon.api();
        let name = "<img src=x onerror=alert(1)>\"\\/%2e";
        let body = json!({"name": name, "localPort": "auto", "upstream": "builtin:echo"});
        let made = api.post("/v1/routes", &body.to_string());
        let location = made.header("location").to_owned();
        assert_eq!(made.expect(201)["name"], name);
        assert_eq!(api.get(&location).expect(200)["name"], name);
        let metrics = api.get("/metrics");
        assert!(
            metrics.header("content-type").starts_with("text/plain")
                && metrics.header("x-content-type-options") == "nosniff"
        );
        for bad in ["a\r\nX: y", "a\u{202e}b", "a\u{1b}[2J", ""] {
            let body = json!({"name": bad, "localPort": "auto", "upstream": "builtin:echo"});
            let answer = api.post("/v1/routes", &body.to_string());
            assert_eq!((answer.status, answer.header("x")), (422, ""), "{bad:?}");
            assert!(!answer.body.contains(&0x1b) && !answer.text().contains('\u{202e}'));
        }
        for path in [
            "/v1/../etc/passwd",
            "/%2e%2e/etc/passwd",
            "//etc/passwd",
            "/v1/routes/%00",
            "/v1/routes/..%5c..",
            "/v1/routes/",
        ] {
            let answer = api.get(path);
            assert!([400, 404].contains(&answer.status), "{path}: {}", answer.status);
        }
        assert_eq!(api.get("/v1/routes/%zz").status, 400);
        api.delete(&location).expect(204);
    });
}

#[test]
fn what_is_too_large_or_too_slow_is_refused_and_costs_nothing() {
    within(secs(60), || {
        let daemon = daemon();
        let api = daemon.api();
        let before = resident(daemon.pid());
        let head = "PUT /v1/config HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n";
        let huge = format!("{head}Content-Length: 10000000000\r\n\r\n");
        assert_eq!(api.raw(huge.as_bytes()).status, 413);
        let beyond = " ".repeat((1 << 20) + 1);
        assert_eq!(api.put("/v1/config", &beyond).status, 413);
        let mut endless = TcpStream::connect(api.0).unwrap();
        endless.write_all(format!("{head}Transfer-Encoding: chunked\r\n\r\n").as_bytes()).unwrap();
        let chunk = format!("10000\r\n{}\r\n", " ".repeat(0x10000));
        let mut sent = 0;
        while sent < 1024 && endless.write_all(chunk.as_bytes()).is_ok() {
            sent += 1;
        }
        assert!(sent < 1024, "64 MiB were taken");
        assert!(resident(daemon.pid()) < before + (8 << 20));
        assert_eq!(api.get(&format!("/v1/{}", "x".repeat(9000))).status, 414);
        let many: Vec<String> = (0..200).map(|n| format!("X-{n}: y")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        assert_eq!(api.ask("GET", "/v1/status", &many, "").status, 431);
    });
}

/// A byte from each; some have been sent away.
fn dribble(clients: &mut [TcpStream]) {
    for client in clients {
        let _ = client.write_all(b"a");
    }
}

/// 500 clients that send a byte now and then: others are answered at once, and so is the data path.
#[test]
fn five_hundred_slow_clients_keep_nobody_waiting() {
    within(secs(60), || {
        let _alone = heavy();
        let daemon = daemon();
        let api = daemon.api();
        let mut data = connect(daemon.address("it"));
        let mut slow: Vec<TcpStream> = Vec::new();
        let begun = Instant::now();
        // How long both took for others, the quickest of three times: a machine may be busy for a moment.
        let mut ask = || {
            let mut once = || {
                let asked = Instant::now();
                assert_eq!(api.get("/v1/status").status, 200);
                data.write_all(b"x").unwrap();
                data.read_exact(&mut [0]).unwrap();
                asked.elapsed()
            };
            let quickest = (0..3).map(|_| once()).min().unwrap();
            assert!(quickest < ms(200), "{quickest:?} beside slow clients");
        };
        while slow.len() < 500 {
            let mut client = TcpStream::connect(api.0).unwrap();
            client.write_all(b"GET /v1/status HTTP/1.1\r\nHost: loc").unwrap();
            slow.push(client);
            if slow.len().is_multiple_of(50) {
                dribble(&mut slow);
                ask();
            }
        }
        for _ in 0..10 {
            dribble(&mut slow);
            ask();
            std::thread::sleep(ms(100));
        }
        // At most 256 are held, and whoever was slow the longest has gone.
        let gone = |client: &mut TcpStream| {
            client.set_nonblocking(true).unwrap();
            !matches!(client.read(&mut [0; 512]), Err(error) if error.kind() == std::io::ErrorKind::WouldBlock)
        };
        if begun.elapsed() < secs(4) {
            // The last to come are accepted, and those who made room for them hear of it.
            let mut held: Vec<bool> = Vec::new();
            eventually(secs(2), "at most 256 are held", || {
                held = slow.iter_mut().map(|client| !gone(client)).collect();
                held.iter().filter(|held| **held).count() <= 256
            });
            let count = held.iter().filter(|held| **held).count();
            assert!(count >= 200, "{count}");
            assert!(!held[0] && held[499]);
        } else {
            loudly("SKIPPED in part: this machine is too slow to see whom of 500 slow clients the API keeps");
        }
        // Without a complete request they all go in the end.
        eventually(secs(15), "all are gone", || slow.iter_mut().all(gone));
    });
}

/// Streams of events take no place from those who ask: the oldest makes room.
#[test]
fn old_event_streams_make_room_for_those_who_ask() {
    within(secs(30), || {
        let _alone = heavy();
        let daemon = daemon();
        let api = daemon.api();
        let streams: Vec<EventStream> = (0..256).map(|_| EventStream::open(api, "/v1/events", &[])).collect();
        // As soon as they have lasted longer than any answer does.
        eventually(secs(10), "all who ask are answered", || {
            let ask = move || (0..50).all(|_| api.ask_if_held("/v1/status"));
            let askers: Vec<_> = (0..4).map(|_| std::thread::spawn(ask)).collect();
            askers.into_iter().map(|asker| asker.join().unwrap()).filter(|answered| *answered).count() == 4
        });
        drop(streams);
    });
}

/// Control answers also when clients of the routes have spent every descriptor that is theirs.
#[test]
fn control_answers_when_the_data_path_has_spent_its_descriptors() {
    within(secs(30), || {
        let _alone = heavy();
        let daemon = Setup::route("it", "builtin:silent", "").descriptors(128).admin().start();
        let api = daemon.api();
        let address = daemon.address("it");
        let _clients: Vec<TcpStream> = (0..200).map(|_| TcpStream::connect(address).unwrap()).collect();
        daemon.wait_for("the budget is spent", secs(10), |event| event.is("accept.waiting", "it"));
        for _ in 0..3 {
            api.get("/v1/status").expect(200);
            api.post("/v1/routes/it/close", "{\"connections\": \"keep\"}").expect(200);
            api.post("/v1/routes/it/open", "").expect(200);
        }
        let ended = api.post("/v1/routes/it/close", "{\"connections\": \"reset\"}").expect(200);
        assert!(ended["ended"].as_u64().unwrap() > 10, "{ended}");
    });
}
