//! Real programs as witnesses: databases, a web server and a bandwidth meter work through a route as they do without one,
//! plainly, with latency, with writes of one byte, and at 1 MB/s; and what corrupts is noticed by TLS.
//!
//! They are started and stopped here, where they are installed; where not, that is said loudly.

#![cfg(target_os = "linux")]
#![allow(clippy::disallowed_types, clippy::disallowed_methods, reason = "over real sockets time is real")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should say so loudly")]

mod support;

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::SocketAddr;
use std::os::unix::fs::chown;
use std::process::{Command, Stdio};

use rustix::process::geteuid;
use support::*;

/// How much more is done where there is time.
const TIMES: u32 = if cfg!(feature = "soak") { 10 } else { 1 };

/// A route for each way, all to the same place.
const WAYS: [(&str, &str); 4] = [
    ("plain", ""),
    ("late", "latency: {delay: 20ms, jitter: 10ms, direction: both}"),
    ("sliced", "slice: {size: 1, direction: both}"),
    ("narrow", "bandwidth: {rate: 1MB/s, direction: both}"),
];

fn ways_to(upstream: SocketAddr) -> Daemon {
    let lines = WAYS.map(|(name, fault)| {
        let faults = if fault.is_empty() { String::new() } else { faults(&[fault]) };
        route(name, upstream, &faults)
    });
    Setup::routes(lines).admin().start()
}

/// Nothing went wrong that nobody asked for.
fn assert_calm(daemon: &Daemon) {
    assert_eq!(daemon.events.count(Event::is_complaint), 0, "{}", daemon.events.tail());
    assert!(daemon.api().get("/metrics").text().contains("\nchaos_proxy_panics_total 0\n"));
}

/// One command of Redis and its answer, which is a text of this length.
fn redis(mut stream: &Client, words: &[&[u8]]) -> Vec<u8> {
    let mut request = format!("*{}\r\n", words.len()).into_bytes();
    for word in words {
        request.extend(format!("${}\r\n", word.len()).as_bytes());
        request.extend_from_slice(word);
        request.extend(b"\r\n");
    }
    stream.write_all(&request).unwrap();
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line).unwrap();
    let Some(length) = line.strip_prefix('$') else { return line.into_bytes() };
    let mut value = vec![0; length.trim().parse::<usize>().unwrap() + 2];
    reader.read_exact(&mut value).unwrap();
    value.truncate(value.len() - 2);
    value
}

#[test]
fn redis_is_spoken_to_as_without_a_proxy() {
    within(secs(60 * u64::from(TIMES)), || {
        if !installed(&["redis-server", "redis-benchmark"]) {
            return;
        }
        let server = Program::serve(|port, directory| {
            let mut server = command("redis-server");
            let quiet = ["--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--port"];
            server.args(quiet).arg(port.to_string()).arg("--dir").arg(directory);
            server
        });
        let daemon = ways_to(server.address);
        for (way, requests, value) in [
            ("plain", 20_000, 20_000_000),
            ("late", 1_000, 20_000_000),
            ("sliced", 1_000, 20_000),
            ("narrow", 5_000, 1_000_000),
        ] {
            let address = daemon.address(way);
            let port = address.port().to_string();
            let requests = (requests * TIMES).to_string();
            let mut benchmark = command("redis-benchmark");
            benchmark.args([
                "-h",
                "127.0.0.1",
                "-p",
                &port,
                "-c",
                "20",
                "-t",
                "set,get",
                "--csv",
                "-n",
                &requests,
            ]);
            let said = run(&mut benchmark);
            assert!(said.contains("\"SET\"") && said.contains("\"GET\""), "{way}: {said}");

            let (client, value) = (connect(address), UP.bytes(value));
            assert_eq!(redis(&client, &[b"SET", b"large", &value]), b"+OK\r\n", "{way}");
            assert!(redis(&client, &[b"GET", b"large"]) == value, "{way}: the value came back changed");
        }
        assert_calm(&daemon);
    });
}

/// Runs as somebody who is not root: the database refuses that.
fn unprivileged(program: &str) -> Command {
    if !geteuid().is_root() {
        return command(program);
    }
    let own = command(program);
    let mut outer = Command::new("setpriv");
    outer.args(["--reuid", "postgres", "--regid", "postgres", "--clear-groups"]).arg(own.get_program());
    outer.stdin(Stdio::null());
    outer
}

#[test]
fn postgresql_keeps_its_books_in_balance() {
    within(secs(90 * u64::from(TIMES)), || {
        if !installed(&["initdb", "postgres", "pgbench", "psql"]) {
            return;
        }
        let data = tempfile::tempdir().unwrap();
        if geteuid().is_root() {
            let id = |flag: &str| run(command("id").args([flag, "postgres"])).trim().parse::<u32>().unwrap();
            chown(data.path(), Some(id("-u")), Some(id("-g"))).unwrap();
        }
        let trust = ["-U", "postgres", "-A", "trust", "--no-sync", "-D"];
        run(unprivileged("initdb").current_dir("/").args(trust).arg(data.path()));
        let server = Program::serve(|port, _| {
            let mut server = unprivileged("postgres");
            let sockets = format!("unix_socket_directories={}", data.path().display());
            server.current_dir("/").args([
                "-F",
                "-h",
                "127.0.0.1",
                "-p",
                &port.to_string(),
                "-c",
                &sockets,
                "-D",
            ]);
            server.arg(data.path());
            server
        });
        let client = |program: &str, address: SocketAddr| {
            let mut client = command(program);
            client.args(["-h", "127.0.0.1", "-p", &address.port().to_string(), "-U", "postgres"]);
            client
        };
        run(client("pgbench", server.address).args(["-i", "-q", "-s", "1", "postgres"]));
        let daemon = ways_to(server.address);
        for (way, transactions) in [("plain", 250), ("late", 6), ("sliced", 40), ("narrow", 100)] {
            let address = daemon.address(way);
            let transactions = (transactions * TIMES).to_string();
            let said =
                run(client("pgbench", address).args(["-n", "-c", "4", "-t", &transactions, "postgres"]));
            assert!(said.contains("number of failed transactions: 0"), "{way}: {said}");
            // What was moved is the same wherever it is counted.
            let balance = "SELECT count(*) > 0 AND coalesce(sum(delta), 0) = (SELECT sum(abalance) FROM pgbench_accounts) \
                AND sum(delta) = (SELECT sum(tbalance) FROM pgbench_tellers) \
                AND sum(delta) = (SELECT sum(bbalance) FROM pgbench_branches) FROM pgbench_history";
            let said = run(client("psql", address).args(["-At", "-c", balance, "postgres"]));
            assert_eq!(said.trim(), "t", "{way}");
        }
        assert_calm(&daemon);
    });
}

#[test]
fn nginx_answers_every_request() {
    within(secs(60 * u64::from(TIMES)), || {
        if !installed(&["nginx", "wrk"]) {
            return;
        }
        let (small, large) = (UP.bytes(200), DOWN.bytes(1 << 20));
        let server = Program::serve(|port, directory| {
            fs::write(directory.join("small"), &small).unwrap();
            fs::write(directory.join("large"), &large).unwrap();
            let here = directory.display();
            let paths: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
                .map(|name| format!("{name}_temp_path {here}/{name};"))
                .concat();
            let configuration = format!(
                "daemon off; master_process off; pid {here}/pid; error_log stderr;
                 events {{ worker_connections 512; }}
                 http {{ access_log off; {paths} server {{ listen 127.0.0.1:{port}; root {here}; }} }}"
            );
            fs::write(directory.join("nginx.conf"), configuration).unwrap();
            let mut server = command("nginx");
            server
                .arg("-p")
                .arg(directory)
                .arg("-e")
                .arg("stderr")
                .arg("-c")
                .arg(directory.join("nginx.conf"));
            server
        });
        let daemon = ways_to(server.address);
        for (way, _) in WAYS {
            let address = daemon.address(way);
            let time = format!("{TIMES}s");
            let url = format!("http://{address}/small");
            let said =
                run(command("wrk").args(["-t", "1", "-c", "16", "--timeout", "10s", "-d", &time, &url]));
            assert!(said.contains("Requests/sec"), "{way}: {said}");
            assert!(!said.contains("Socket errors") && !said.contains("Non-2xx"), "{way}: {said}");

            let (file, content) = if way == "sliced" { ("small", &small) } else { ("large", &large) };
            let mut client = connect(address);
            write!(client, "GET /{file} HTTP/1.1\r\nHost: it\r\nConnection: close\r\n\r\n").unwrap();
            let answer = read_answer(&mut BufReader::new(&client));
            assert_eq!(answer.status, 200, "{way}");
            assert!(answer.body == *content, "{way}: the file came changed");
        }
        assert_calm(&daemon);
    });
}

/// What it measured. Its server takes one client at a time, and needs a moment to notice that the last one has gone.
fn iperf3(client: &mut Command) -> serde_json::Value {
    for _ in 0..100 {
        let said: serde_json::Value = serde_json::from_slice(&client.output().unwrap().stdout).unwrap();
        if said["error"].as_str().is_none_or(|error| !error.contains("busy running a test")) {
            return said;
        }
        std::thread::sleep(ms(100));
    }
    panic!("iperf3 stays busy");
}

#[test]
fn iperf3_measures_what_was_set() {
    within(secs(60 * u64::from(TIMES)), || {
        if !installed(&["iperf3"]) {
            return;
        }
        for direction in [&[][..], &["-R"]] {
            // A server of its own: what is still on its way at 1 MB/s when a client has gone is in nobody's way.
            let server = Program::serve(|port, _| {
                let mut server = command("iperf3");
                server.args(["-s", "-B", "127.0.0.1", "-p", &port.to_string()]);
                server
            });
            let daemon = ways_to(server.address);
            for (way, amount) in [
                ("plain", ["-t", "1", "-P", "4"]),
                ("late", ["-t", "1", "-P", "4"]),
                ("sliced", ["-t", "1", "-b", "100K"]),
                ("narrow", ["-t", "2", "-P", "1"]),
            ] {
                let port = daemon.address(way).port().to_string();
                let mut client = command("iperf3");
                client.args(["-c", "127.0.0.1", "-p", &port, "-J"]).args(direction).args(amount);
                let said = iperf3(&mut client);
                assert!(said["error"].is_null(), "{way} {direction:?}: {said}");
                let received = &said["end"]["sum_received"];
                assert!(received["bytes"].as_u64().unwrap() > 0, "{way} {direction:?}: {received}");
                let rate = received["bits_per_second"].as_f64().unwrap() / 8.0;
                assert!(way != "narrow" || rate < 1_200_000.0, "{way} {direction:?}: {rate:.0} B/s");
            }
            assert_calm(&daemon);
        }
    });
}

/// TLS is made to notice any change of its bytes. That it does proves that there was one: in the handshake, and in the
/// middle of a conversation.
#[test]
fn corruption_is_noticed_by_tls() {
    within(secs(60), || {
        if !installed(&["openssl"]) {
            return;
        }
        let keys = tempfile::tempdir().unwrap();
        let (key, certificate) = (keys.path().join("key"), keys.path().join("certificate"));
        let request =
            ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"];
        run(command("openssl")
            .args(request)
            .args(["-subj", "/CN=localhost", "-keyout"])
            .arg(&key)
            .arg("-out")
            .arg(&certificate));
        let server = Program::serve(|port, _| {
            let mut server = command("openssl");
            server.args(["s_server", "-quiet", "-rev", "-accept", &format!("127.0.0.1:{port}"), "-key"]);
            server.arg(&key).arg("-cert").arg(&certificate);
            server
        });
        let corrupted = faults(&["corrupt: {rate: 0.01}"]);
        let daemon =
            Setup::routes([route("it", server.address, ""), route("corrupted", server.address, &corrupted)])
                .admin()
                .start();
        let start = |route: &str| {
            let mut client = command("openssl");
            client.args(["s_client", "-quiet", "-verify_return_error", "-CAfile"]).arg(&certificate);
            client.args(["-connect", &daemon.address(route).to_string()]);
            client.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
        };

        let mut client = start("it");
        let mut to = client.stdin.take().unwrap();
        let mut from = BufReader::new(client.stdout.take().unwrap());
        to.write_all(b"stressed\n").unwrap();
        let mut line = String::new();
        from.read_line(&mut line).unwrap();
        assert_eq!(line, "desserts\n");
        // From now on every byte of the answer is another one.
        daemon.api().post("/v1/routes/it/faults", r#"{"corrupt": {"rate": 1}}"#).expect(201);
        to.write_all(b"again\n").unwrap();
        line.clear();
        from.read_to_string(&mut line).unwrap();
        let output = client.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(line.is_empty() && !output.status.success(), "{line:?}, {}: {said}", output.status);

        let output = start("corrupted").wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success(), "a handshake came through: {said}");
        assert!(said.to_ascii_lowercase().contains("error"), "{said}");
        let fired = |event: &Event| event.text("event") == "fault.fired" && event.text("effect") == "corrupt";
        daemon.events.wait_for_n(2, "both were corrupted", secs(5), fired);
    });
}
