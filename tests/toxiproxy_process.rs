//! The process, started as Toxiproxy is: its flags, its file, its log level, and who may ask it.

#![allow(clippy::disallowed_types, clippy::disallowed_methods, reason = "over real sockets time is real")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should say so loudly")]

mod support;

use std::net::{Ipv4Addr, SocketAddr};
use std::process::Output;

use serde_json::json;
use support::*;

fn run(arguments: &[&str]) -> Output {
    bare().args(arguments).output().unwrap()
}

fn daemon(arguments: &[&str]) -> Daemon {
    Daemon::with_arguments(&arguments.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>())
}

/// The API of a daemon that listens on every address, as seen from this machine.
fn near(daemon: &Daemon) -> Api {
    Api(SocketAddr::new(Ipv4Addr::LOCALHOST.into(), daemon.api().0.port()))
}

fn ask(api: Api, path: &str, headers: &[&str]) -> u16 {
    let lines: String = headers.iter().map(|header| format!("{header}\r\n")).collect();
    api.raw(format!("GET {path} HTTP/1.1\r\nConnection: close\r\n{lines}\r\n").as_bytes()).status
}

#[test]
fn flags_of_either_dash_start_it() {
    within(secs(60), || {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("toxiproxy.json");
        let entry = |name: &str| json!({"name": name, "listen": "127.0.0.1:0", "upstream": "127.0.0.1:9", "toxics": []});
        std::fs::write(&file, json!([entry("a"), entry("b")]).to_string()).unwrap();
        let file = file.to_str().unwrap();
        let config = format!("-config={file}");
        for arguments in [
            vec!["-host=127.0.0.1", "-port=0", &config, "-seed=-3", "-proxy-metrics", "-runtime-metrics"],
            vec![
                "--host",
                "localhost",
                "--port",
                "0",
                "--config",
                file,
                "--seed",
                "18446744073709551613",
                "--proxy-metrics=true",
            ],
        ] {
            let daemon = daemon(&arguments);
            daemon.wait_ready(2);
            let api = daemon.api();
            let proxies = api.get("/proxies").expect(200);
            assert_eq!(proxies.as_object().unwrap().len(), 2);
            assert_eq!(proxies["a"]["upstream"], "127.0.0.1:9");
            assert_eq!(api.get("/v1/status").expect(200)["seed"], 18_446_744_073_709_551_613_u64);
            let metrics = api.get("/metrics").text();
            let listen = proxies["a"]["listen"].as_str().unwrap();
            for name in ["toxiproxy_proxy_received_bytes_total", "toxiproxy_proxy_sent_bytes_total"] {
                let line = format!(
                    "{name}{{direction=\"upstream\",listener=\"{listen}\",proxy=\"a\",upstream=\"127.0.0.1:9\"}} 0"
                );
                assert!(metrics.contains(&line), "{line}\n{metrics}");
            }
        }
        // Toxiproxy takes an empty list, and nothing at all.
        std::fs::write(file, "[]").unwrap();
        assert_eq!(daemon(&["-port=0", &config]).api().get("/proxies").text(), "{}");
        let plain = daemon(&["-port=0"]);
        assert!(!plain.api().get("/metrics").text().contains("toxiproxy_"));
    });
}

#[test]
fn version_and_what_is_wrong_is_said_with_an_exit_code() {
    within(secs(60), || {
        let version = run(&["-version"]);
        assert_eq!(version.status.code(), Some(0));
        assert!(String::from_utf8_lossy(&version.stdout).starts_with("chaos-proxy "));
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("toxiproxy.json");
        std::fs::write(&file, r#"[{"name": "a", "listen": "local373", "upstream": "x:1"}]"#).unwrap();
        let taken = Listener::new();
        let port = format!("-port={}", taken.address().port());
        for (arguments, code, words) in [
            (vec!["-nonsense"], 2, "unexpected argument"),
            (vec!["-port=99999"], 2, "port"),
            (vec!["-host=no such host"], 2, "--host `no such host`"),
            (vec!["-host=127.0.0.1", "--admin", "off"], 2, "both say where the control API listens"),
            (vec!["-port=0", "run", "--", "true"], 2, "--port is a flag of the daemon"),
            (vec!["-config", file.to_str().unwrap()], 2, "missing port in address"),
            // The original runs on without an API.
            (vec!["-host=127.0.0.1", &port], 3, "cannot listen on"),
        ] {
            let output = run(&arguments);
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            assert_eq!(output.status.code(), Some(code), "{arguments:?}\n{said}");
            assert!(said.contains(words), "{arguments:?}\n{said}");
        }
    });
}

/// A container module speaks to it under the name of the container, or to a mapped port, and has no token.
#[test]
fn beyond_loopback_its_paths_are_open_and_nothing_else_is() {
    within(secs(60), || {
        let daemon = daemon(&["-host=0.0.0.0", "-port=0"]);
        let api = near(&daemon);
        let warned = daemon
            .wait_for("it is said", secs(10), |event| event.text("message").contains("without a token"));
        assert!(warned.is_complaint());
        let foreign = "Origin: http://evil.example";
        for (path, headers, status) in [
            ("/version", vec!["Host: toxiproxy:8474"], 200),
            ("/proxies", vec!["Host: 172.17.0.2:49153"], 200),
            ("/proxies", vec!["Host: toxiproxy:8474", "User-Agent: Mozilla/5.0 (X11)"], 403),
            ("/proxies", vec!["Host: toxiproxy:8474", foreign], 403),
            ("/proxies", vec!["Host: evil.example:8474", "Origin: http://evil.example:8474"], 403),
            ("/proxies", vec!["Host: toxiproxy:8474", "Sec-Fetch-Site: cross-site"], 403),
            ("/proxies", vec!["Host: toxiproxy:8474", "User-Agent: mozilla/5.0"], 200),
            ("/v1/routes", vec!["Host: localhost"], 401),
            ("/v1/status", vec!["Host: 127.0.0.1", "Authorization: Bearer x"], 401),
            ("/openapi.json", vec!["Host: localhost"], 401),
            ("/v1/routes", vec!["Host: toxiproxy:8474"], 403),
            ("/livez", vec!["Host: toxiproxy:8474"], 200),
            ("/readyz", vec![], 200),
        ] {
            assert_eq!(ask(api, path, &headers), status, "{path} {headers:?}");
        }
    });
}

#[test]
fn with_a_token_the_rest_is_open_to_who_has_it() {
    within(secs(60), || {
        let mut command = bare();
        command.args(["-host=0.0.0.0", "-port=0"]).env("CHAOS_PROXY_TOKEN", "s3cret");
        let daemon = Daemon::of(command);
        let api = near(&daemon);
        let host = "Host: localhost";
        assert_eq!(ask(api, "/v1/status", &[host]), 401);
        assert_eq!(ask(api, "/v1/status", &[host, "Authorization: Bearer s3cret"]), 200);
        assert_eq!(ask(api, "/proxies", &["Host: toxiproxy:8474"]), 200);

        // Nobody said `-host`: then its paths are as closed as the others.
        let mut command = bare();
        command.args(["--admin", "127.0.0.1:0"]).env("CHAOS_PROXY_TOKEN", "s3cret");
        let daemon = Daemon::of(command);
        let api = daemon.api();
        assert_eq!(ask(api, "/proxies", &[host]), 401);
        assert_eq!(ask(api, "/proxies", &[host, "Authorization: Bearer s3cret"]), 200);
    });
}

#[test]
fn on_loopback_a_page_that_has_found_a_name_for_us_gets_nothing() {
    within(secs(60), || {
        for arguments in [vec!["-port=0"], vec!["-host=localhost", "-port=0"]] {
            let daemon = daemon(&arguments);
            let api = daemon.api();
            for (headers, status) in [
                (vec!["Host: localhost:8474"], 200),
                (vec!["Host: evil.example"], 403),
                (vec!["Host: 127.0.0.1.evil.example"], 403),
                (vec!["Host: localhost", "Origin: http://evil.example"], 403),
                (vec!["Host: localhost", "User-Agent: Mozilla/5.0"], 403),
                (vec![], 400),
            ] {
                assert_eq!(ask(api, "/proxies", &headers), status, "{arguments:?} {headers:?}");
            }
        }
    });
}

#[test]
fn its_log_level_is_heard_where_its_flags_are() {
    within(secs(60), || {
        for (level, arguments, told) in [
            ("INFO", vec!["-host=127.0.0.1", "-port=0"], true),
            ("Error", vec!["-host=127.0.0.1", "-port=0"], false),
            ("disabled", vec!["-port=0"], false),
            ("no such level", vec!["-port=0"], true),
            ("error", vec!["-port=0", "--log-level", "info"], true),
            // The name is anybody's.
            ("error", vec!["--admin", "127.0.0.1:0"], true),
        ] {
            let mut command = bare();
            command.args(&arguments).env("LOG_LEVEL", level);
            let mut daemon = Daemon::of(command);
            proxy(daemon.api(), "it", "127.0.0.1:9");
            daemon.signal(rustix::process::Signal::TERM);
            assert_eq!(daemon.exit_code(secs(10)).0, Some(0));
            daemon.events.wait_for_end(secs(10));
            let opened = daemon.events.count(|event| event.is("route.opened", "it"));
            assert_eq!(opened == 1, told, "{level} {arguments:?}");
        }
    });
}

/// The commands of the README, as they stand; only the port is a free one.
#[test]
fn the_commands_of_the_readme_do_what_they_say() {
    within(secs(60), || {
        let readme = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md")).unwrap();
        let after = readme.split("## From Toxiproxy").nth(1).unwrap();
        let block = after.split("```sh\n").nth(1).unwrap().split("```").next().unwrap();
        let commands: Vec<&str> = block.lines().map(|line| line.split('#').next().unwrap().trim()).collect();
        let [start, convert] = commands.as_slice() else { panic!("{commands:?}") };

        let directory = tempfile::tempdir().unwrap();
        let text = r#"[{"name": "redis", "listen": "127.0.0.1:0", "upstream": "redis:6379"}]"#;
        std::fs::write(directory.path().join("toxiproxy.json"), text).unwrap();
        let arguments = |command: &str| -> Vec<String> {
            let words = command.strip_prefix("chaos-proxy ").unwrap().split(' ');
            words.map(|word| word.replace("8474", "0")).collect()
        };
        let mut command = bare();
        command.args(arguments(start)).current_dir(directory.path());
        let daemon = Daemon::of(command);
        daemon.wait_ready(1);
        let proxies = near(&daemon).get("/proxies").expect(200);
        assert_eq!(proxies["redis"]["upstream"], "redis:6379");

        let words = arguments(convert.strip_suffix(" > routes.yaml").unwrap());
        let output = bare().args(words).current_dir(directory.path()).output().unwrap();
        let routes = directory.path().join("routes.yaml");
        std::fs::write(&routes, &output.stdout).unwrap();
        let check = run(&["check", routes.to_str().unwrap()]);
        assert!(check.status.success(), "{}", String::from_utf8_lossy(&check.stderr));
        assert!(String::from_utf8_lossy(&output.stdout).contains("upstream: redis:6379"));
    });
}
