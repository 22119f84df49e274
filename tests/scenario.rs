//! Scenarios: played on a running daemon and around a command, judged by what the daemon has counted.

#![allow(clippy::disallowed_types, clippy::disallowed_methods, reason = "over real sockets time is real")]
#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "a test that cannot go on should say so loudly")]

mod support;

use std::io::{Read, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use support::*;
use tempfile::TempDir;

/// A file that is gone after the test.
struct Written {
    directory: TempDir,
    path: PathBuf,
}

fn written(name: &str, text: &str) -> Written {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join(name);
    std::fs::write(&path, text).unwrap();
    Written { directory, path }
}

fn daemon() -> Daemon {
    Setup::routes([route("db", "builtin:echo", "latencyMs: 1"), route("web", "builtin:echo", "")])
        .admin()
        .start()
}

/// `scenario run FILE` on this daemon.
fn played_on(daemon: &Daemon, file: &Written, flags: &[&str]) -> Command {
    let mut command = bare();
    command
        .args(["scenario", "run"])
        .arg(&file.path)
        .arg("--against")
        .arg(format!("http://{}", daemon.api().0));
    command.args(flags).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Runs to the end, which must come soon.
fn ended(command: &mut Command) -> Output {
    end_of(command.spawn().unwrap())
}

fn end_of(child: Child) -> Output {
    let pid = Pid::from_child(&child);
    let (done, waiting) = std::sync::mpsc::channel::<()>();
    let guard = std::thread::spawn(move || {
        if waiting.recv_timeout(secs(20)).is_err() {
            let _ = kill_process(pid, Signal::KILL);
        }
    });
    let output = child.wait_with_output().unwrap();
    let _ = done.send(());
    guard.join().unwrap();
    output
}

fn report(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|why| panic!("{why}: {output:?}"))
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// One byte there and back on a connection of its own.
fn exchange(address: SocketAddr) -> bool {
    let Ok(mut stream) = std::net::TcpStream::connect(address) else { return false };
    stream.set_read_timeout(Some(secs(5))).unwrap();
    let mut byte = [0];
    stream.write_all(b"x").is_ok() && matches!(stream.read(&mut byte), Ok(1))
}

/// Clients that come one after the other until they are let go of.
struct Clients(std::sync::mpsc::Sender<()>, std::thread::JoinHandle<u64>);

impl Clients {
    fn of(address: SocketAddr) -> Clients {
        let (stop, stopped) = std::sync::mpsc::channel();
        let work = move || {
            let mut served = 0;
            while stopped.recv_timeout(ms(5)) == Err(std::sync::mpsc::RecvTimeoutError::Timeout) {
                served += u64::from(exchange(address));
            }
            served
        };
        Clients(stop, std::thread::spawn(work))
    }

    fn end(self) -> u64 {
        drop(self.0);
        self.1.join().unwrap()
    }
}

const BROWNOUT: &str = r#"
name: brownout
duration: 1600ms
steps:
  - {at: 0s, note: "steady state"}
  - {at: 300ms, for: 400ms, route: db, add: {latency: {delay: 20ms}}}
  - {at: 400ms, for: 200ms, route: db, ramp: {fault: latency, key: delay, to: 40ms, over: 200ms}}
  - {at: 800ms, for: 200ms, route: db, close: reset}
  - {at: 800ms, for: 200ms, route: db, set: {delay: {delay: 2ms}}}
expect:
  - {name: steady, route: db, during: [0s, 300ms], fault: latency, fired: 0}
  - {name: slow, route: db, during: [300ms, 700ms], fault: latency, fired: ">= 3", errorShare: "0%"}
  - {name: back, route: db, during: [800ms, 1s], recovery: "<= 500ms"}
  - {name: unused, route: web, connections: 0}
"#;

/// What was done is undone, what was expected came, and each step is where it belongs in time.
#[test]
fn a_scenario_is_played_on_a_running_daemon_and_leaves_it_as_it_was() {
    within(secs(60), || {
        let daemon = daemon();
        let before = daemon.api().get("/v1/config").expect(200);
        let clients = Clients::of(daemon.address("db"));
        let file = written("brownout.yaml", BROWNOUT);
        let output = ended(&mut played_on(&daemon, &file, &["--json"]));
        assert!(clients.end() > 10);
        let report = report(&output);
        assert_eq!(output.status.code(), Some(0), "{report:#}");
        assert_eq!(text(&output.stderr), "");
        assert_eq!(daemon.api().get("/v1/config").expect(200), before);
        let steps: Vec<(f64, &str)> = report["steps"].as_array().unwrap().iter().map(step).collect();
        let expected = [
            (0.0, "steady state"),
            (0.3, "db + latency (latency 20ms)"),
            (0.4, "db.latency.delay 20ms → 40ms over 200ms"),
            (0.6, "db.latency.delay 30ms → 40ms"),
            (0.6, "db.latency.delay 40ms → 20ms"),
            (0.7, "db - latency"),
            (0.8, "db.enabled true → false"),
            (0.8, "db.delay.delay 1ms → 2ms"),
            (1.0, "db.delay.delay 2ms → 1ms"),
            (1.0, "db.enabled false → true"),
        ];
        assert_eq!(steps, expected);
        let held: Vec<bool> =
            report["expectations"].as_array().unwrap().iter().map(|one| one["held"] == true).collect();
        assert_eq!(held, [true; 4]);
        assert_eq!(report["seed"], 42);
    });
}

fn step(made: &Value) -> (f64, &str) {
    (made["atSeconds"].as_f64().unwrap(), made["text"].as_str().unwrap())
}

/// A test that never met its fault is red, not green.
#[test]
fn an_expectation_that_did_not_come_true_is_exit_5_and_says_why() {
    within(secs(60), || {
        let daemon = daemon();
        let text_of = "steps: [{at: 0s, for: 100ms, route: db, add: {reset: {}}}]
expect: [{name: it hits, route: db, during: [0s, 100ms], fault: reset, fired: '>= 1'}]";
        let file = written("resets.yaml", text_of);
        let junit = file.directory.path().join("chaos.xml");
        let flag = format!("--report=junit={}", junit.display());
        let output = ended(&mut played_on(&daemon, &file, &[&flag]));
        assert_eq!(output.status.code(), Some(5), "{output:?}");
        let said = text(&output.stdout);
        assert!(said.contains("✗ 0s..100ms  it hits"), "{said}");
        assert!(said.contains("no connection was open between 0s and 100ms"), "{said}");
        let xml = std::fs::read_to_string(junit).unwrap();
        let document = roxmltree::Document::parse(&xml).unwrap();
        let failure = document.descendants().find(|node| node.has_tag_name("failure")).unwrap();
        let message = failure.attribute("message").unwrap();
        assert!(message.starts_with("fired 0, expected >= 1: no connection"), "{message}");
        assert!(message.contains("seed 42"), "{message}");
        assert_eq!(failure.parent().unwrap().attribute("name"), Some("it hits"));
    });
}

#[test]
fn what_cannot_be_played_is_refused_before_anything_is_done() {
    within(secs(60), || {
        let daemon = daemon();
        let file = written(
            "wrong.yaml",
            "steps:\n  - {at: 0s, route: db, add: {latency: {delay: 1s}}}\n  - {at: 1s, route: dbb, remove: delay}\n",
        );
        let output = ended(&mut played_on(&daemon, &file, &[]));
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains("there is no route `dbb`") && said.contains("routes are db, web"), "{said}");
        assert!(said.contains("wrong.yaml:3:21") && said.contains("^^^"), "{said}");
        assert_eq!(daemon.api().get("/v1/status").expect(200)["generation"], 1);

        let file = written("typo.yaml", "steps: [{at: 0s, rout: db, open: true}]");
        let output = ended(&mut played_on(&daemon, &file, &[]));
        assert_eq!(output.status.code(), Some(2), "{output:?}");

        let nobody = written("fine.yaml", "steps: [{at: 0s, note: hello}]");
        let mut command = bare();
        command.args(["scenario", "run"]).arg(&nobody.path);
        command.arg("--against").arg(format!("http://127.0.0.1:{}", unused_port()));
        let output = ended(command.stdout(Stdio::piped()).stderr(Stdio::piped()));
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        assert!(text(&output.stderr).contains("no daemon at"), "{output:?}");
    });
}

/// Whoever interrupts a rehearsal of an outage ends the outage.
#[test]
fn a_signal_undoes_what_is_to_be_undone() {
    within(secs(60), || {
        let daemon = daemon();
        let file = written(
            "long.yaml",
            "steps:
  - {at: 0s, for: 60s, route: db, add: {latency: {delay: 1s}}}
  - {at: 0s, for: 60s, route: web, close: keep}
  - {at: 0s, route: db, add: {noop: {name: stays}}}",
        );
        let child = played_on(&daemon, &file, &["--json"]).spawn().unwrap();
        daemon.wait_for("the last step", secs(20), |event| {
            event.text("event") == "config.applied" && event.fields.to_string().contains("stays")
        });
        kill_process(Pid::from_child(&child), Signal::INT).unwrap();
        let output = end_of(child);
        assert_eq!(output.status.code(), Some(130), "{output:?}");
        let config = daemon.api().get("/v1/config").expect(200);
        let faults = &config["routes"][0]["faults"];
        assert_eq!(faults.as_array().unwrap().len(), 2, "{faults}");
        assert_eq!(faults[1]["noop"]["name"], "stays");
        assert_ne!(config["routes"][1]["enabled"], false);
        assert_eq!(report(&output)["steps"].as_array().unwrap().len(), 5);
    });
}

/// On a terminal a line says where it is; each step takes its place and stays.
#[cfg(target_os = "linux")]
#[test]
fn on_a_terminal_a_line_moves() {
    within(secs(60), || {
        let daemon = daemon();
        let file = written(
            "note.yaml",
            "duration: 1s\nsteps: [{at: 500ms, note: half of it}, {at: 900ms, note: late}]",
        );
        let mut terminal = Terminal::start(played_on(&daemon, &file, &[]));
        terminal.until("0s of 1s  [........................]  next at 500ms");
        terminal.until("\r\x1b[K  500ms  half of it");
        terminal.until("0s of 1s  [############");
        terminal.until("next at 900ms");
        terminal.until("nothing was expected");
        assert_eq!(terminal.end().code(), Some(0));
    });
}

#[test]
fn a_daemon_that_goes_away_is_told_of() {
    within(secs(60), || {
        let mut daemon = daemon();
        let file =
            written("long.yaml", "steps:\n  - {at: 0s, note: begun}\n  - {at: 3s, route: db, open: true}");
        let mut child = played_on(&daemon, &file, &[]).spawn().unwrap();
        let mut said = [0; 6];
        child.stderr.as_mut().unwrap().read_exact(&mut said).unwrap();
        daemon.signal(Signal::KILL);
        daemon.wait_exit(secs(10));
        let output = end_of(child);
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        assert!(text(&output.stderr).contains("the daemon was lost on the way"), "{output:?}");
    });
}

/// An undo that finds nothing to undo is none, and the rest is undone all the same.
#[test]
fn what_others_undid_is_no_trouble() {
    within(secs(60), || {
        let daemon = daemon();
        let before = daemon.api().get("/v1/config").expect(200);
        let file = written(
            "gone.yaml",
            "steps:
  - {at: 0s, for: 400ms, route: web, close: keep}
  - {at: 0s, for: 300ms, route: web, add: {latency: {delay: 1ms, for: 100ms}}}
  - {at: 0s, for: 100ms, route: web, add: {noop: {}}}
  - {at: 0s, for: 300ms, route: db, remove: delay}",
        );
        let output = ended(&mut played_on(&daemon, &file, &["--json"]));
        let report = report(&output);
        assert_eq!(output.status.code(), Some(0), "{report:#}");
        assert_eq!(report["steps"].as_array().unwrap().len(), 7, "{report:#}");
        assert_eq!(daemon.api().get("/v1/config").expect(200), before);
    });
}

/// Faults that were taken away come back in their order, also when others before them are still gone.
#[test]
fn what_was_removed_comes_back_where_there_is_room() {
    within(secs(60), || {
        let rest = "faults: [{noop: {name: a}}, {noop: {name: b}}]";
        let daemon = Setup::route("db", "builtin:echo", rest).admin().start();
        let file = written(
            "two.yaml",
            "steps:
  - {at: 0s, for: 200ms, route: db, remove: b}
  - {at: 100ms, for: 200ms, route: db, remove: a}",
        );
        let output = ended(&mut played_on(&daemon, &file, &[]));
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        let faults = daemon.api().get("/v1/routes/db/faults").expect(200);
        let names: Vec<&str> = faults["faults"]
            .as_array()
            .unwrap()
            .iter()
            .map(|one| one["noop"]["name"].as_str().unwrap())
            .collect();
        assert_eq!(names, ["a", "b"]);
    });
}

/// `run` with a scenario and a configuration of one route, `db`.
fn around(scenario: &str, flags: &[&str], command: &[&str]) -> (Output, Value) {
    let file = written("scenario.yaml", scenario);
    let path = |name: &str| file.directory.path().join(name).display().to_string();
    std::fs::write(path("routes.yaml"), "routes: [{name: db, localPort: auto, upstream: 'builtin:http'}]")
        .unwrap();
    let report = format!("--report=json={}", path("report.json"));
    let mut program = bare();
    program.args(["run", "--config", &path("routes.yaml"), "--scenario", &path("scenario.yaml"), &report]);
    program.args(flags).arg("--").args(command).stdout(Stdio::piped()).stderr(Stdio::piped());
    let output = ended(&mut program);
    let report = std::fs::read(path("report.json")).unwrap_or_default();
    (output, serde_json::from_slice(&report).unwrap_or_default())
}

const HITS: &str = "seed: 7
steps: [{at: 0s, route: db, add: {drop: {probability: 0.5}}}]
expect: [{name: it hits, route: db, fault: drop, fired: '>= 1'}]";

#[test]
fn around_a_command_an_expectation_that_fails_is_exit_5_and_the_commands_own_failure_comes_first() {
    within(secs(60), || {
        let (output, report) = around(HITS, &[], &["true"]);
        assert_eq!(output.status.code(), Some(5), "{output:?}");
        let why = "no connection was open between 0s and";
        assert!(report["expectations"][0]["why"].as_str().unwrap().starts_with(why), "{report:#}");
        assert!(text(&output.stderr).contains("1 of 1 expectation"), "{output:?}");
        let (output, report) = around(HITS, &[], &["sh", "-c", "exit 9"]);
        assert_eq!((output.status.code(), &report["command"]["code"]), (Some(9), &json!(9)));
        let never = "expect: [{name: later, route: db, during: [30s, 40s], connections: 0}]";
        let (output, report) = around(never, &[], &["true"]);
        assert_eq!(output.status.code(), Some(5), "{output:?}");
        assert!(report["expectations"][0]["why"].as_str().unwrap().contains("before 30s came"), "{report:#}");
    });
}

/// The scenario brings its seed; a flag beats it; the same seed gives the same chaos, from the very first connection.
#[test]
fn the_same_seed_gives_the_same_verdict_again() {
    within(secs(120), || {
        if !bash() {
            return;
        }
        let clients = "for i in 1 2 3 4 5 6 7 8 9 10 11 12; do
            if exec 3<>/dev/tcp/$CHAOS_PROXY_DB_HOST/$CHAOS_PROXY_DB_PORT &&
               printf 'GET / HTTP/1.0\\r\\n\\r\\n' >&3 2>/dev/null && read -r line <&3; then echo -n y; else echo -n n; fi
            exec 3<&- 3>&-
        done";
        let once = |flags: &[&str]| {
            let (output, report) = around(HITS, flags, &["bash", "-c", clients]);
            assert!(matches!(output.status.code(), Some(0 | 5)), "{output:?}");
            (text(&output.stdout), report["seed"].clone(), report["routes"][0]["fired"].clone())
        };
        let first = once(&[]);
        assert_eq!((first.0.len(), &first.1), (12, &json!(7)), "{first:?}");
        assert_eq!(once(&[]), first);
        assert_eq!(once(&["--seed", "7"]), first);
        let other = once(&["--seed", "8"]);
        assert_eq!(other.1, 8);
        assert_ne!(other.0, first.0);
    });
}

/// Whether a shell can open connections by itself; says so if there is none.
fn bash() -> bool {
    let there = Command::new("bash").args(["-c", ":"]).status().is_ok_and(|status| status.success());
    if !there {
        loudly("SKIPPED: there is no bash here");
    }
    there
}

/// Every action and its undo on the daemon that `run` starts; who recovers just before the end has recovered.
#[test]
fn every_action_is_made_around_a_command() {
    within(secs(60), || {
        if !bash() {
            return;
        }
        let text = "
steps:
  - {at: 0s, note: begun}
  - {at: 0s, for: 300ms, route: db, add: {latency: {delay: 10ms}}}
  - {at: 100ms, for: 100ms, route: db, set: {latency: {jitter: 1ms}}}
  - {at: 100ms, for: 200ms, route: db, ramp: {fault: latency, key: delay, to: 20ms, over: 100ms}}
  - {at: 300ms, for: 100ms, route: db, close: reset}
  - {at: 400ms, route: db, add: {noop: {}}}
  - {at: 450ms, for: 50ms, route: db, remove: noop}
  - {at: 500ms, route: db, close: null}
  - {at: 550ms, route: db, open: null}
  - {at: 600ms, restore: true}
  - {at: 30s, note: never}
expect:
  - {name: back, route: db, during: [300ms, 400ms], recovery: \"<= 20s\"}";
        let client = "exec 3<>/dev/tcp/$CHAOS_PROXY_DB_HOST/$CHAOS_PROXY_DB_PORT
            printf 'GET / HTTP/1.0\\r\\n\\r\\n' >&3; read -r line <&3";
        let command = format!("sleep 0.8; {client}");
        let (output, report) = around(text, &[], &["bash", "-c", &command]);
        assert_eq!(output.status.code(), Some(0), "{}\n{report:#}", text_of(&output));
        let steps: Vec<(f64, &str)> = report["steps"].as_array().unwrap().iter().map(step).collect();
        let expected = [
            (0.0, "begun"),
            (0.0, "db + latency (latency 10ms)"),
            (0.1, "db.latency.jitter 0s → 1ms"),
            (0.1, "db.latency.delay 10ms → 20ms over 100ms"),
            (0.2, "db.latency.delay 10ms → 20ms"),
            (0.2, "db.latency.jitter 1ms → 0s"),
            (0.3, "db.latency.delay 20ms → 10ms"),
            (0.3, "db - latency"),
            (0.3, "db.enabled true → false"),
            (0.4, "db.enabled false → true"),
            (0.4, "db + noop (noop)"),
            (0.45, "db - noop"),
            (0.5, "db + noop (noop)"),
            (0.5, "db.enabled true → false"),
            (0.55, "db.enabled false → true"),
            (0.6, "restored"),
        ];
        assert_eq!(steps, expected);
        assert_eq!(report["stepsUnplayed"], 1);
        assert!(text_of(&output).contains("1 step never came"), "{}", text_of(&output));
    });
}

fn text_of(output: &Output) -> String {
    text(&output.stderr)
}

/// What was never played has shown nothing.
#[test]
fn a_command_that_cannot_start_leaves_every_expectation_red() {
    within(secs(60), || {
        let (output, report) = around(HITS, &[], &["no-such-command-at-all"]);
        assert_eq!(output.status.code(), Some(127), "{output:?}");
        let verdict = &report["expectations"][0];
        assert_eq!((&verdict["held"], &report["held"]), (&json!(false), &json!(false)));
        assert!(verdict["why"].as_str().unwrap().contains("did not start"), "{report:#}");
    });
}

/// A scenario's seed is part of what the daemon runs with: reading the file again is no change of it.
#[test]
fn a_configuration_with_another_seed_can_be_read_again() {
    within(secs(60), || {
        let file = written("scenario.yaml", "seed: 7\nsteps: [{at: 0s, note: hello}]");
        let routes = file.directory.path().join("routes.yaml");
        std::fs::write(&routes, "seed: 42\nroutes: [{name: db, localPort: auto, upstream: 'builtin:echo'}]")
            .unwrap();
        let mut command = bare();
        command.arg("run").arg("--config").arg(&routes).arg("--scenario").arg(&file.path).arg("--");
        command.arg(env!("CARGO_BIN_EXE_chaos-proxy")).arg("reload");
        let output = ended(command.stdout(Stdio::piped()).stderr(Stdio::piped()));
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        assert!(text_of(&output).contains("seed 7"), "{output:?}");
    });
}

/// Beside the one configuration they are for, scenarios are held against it.
#[test]
fn check_holds_a_scenario_against_the_configuration_beside_it() {
    within(secs(60), || {
        let file = written("wrong.yaml", "steps: [{at: 1s, route: dbb, remove: delay}]");
        let routes = file.directory.path().join("routes.yaml");
        std::fs::write(&routes, "routes: [{name: db, localPort: auto, upstream: 'builtin:echo'}]").unwrap();
        let check = |files: &[&PathBuf]| {
            let mut command = bare();
            command.arg("check").args(files).stdout(Stdio::piped()).stderr(Stdio::piped());
            ended(&mut command)
        };
        assert_eq!(check(&[&file.path]).status.code(), Some(0));
        let output = check(&[&file.path, &routes]);
        assert_eq!(output.status.code(), Some(2), "{output:?}");
        assert!(text(&output.stderr).contains("there is no route `dbb`"), "{output:?}");
        assert!(text(&output.stdout).contains("routes.yaml: 1 route, nothing wrong"), "{output:?}");
        let mut command = bare();
        command
            .args(["check", "--json"])
            .args([&file.path, &routes])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let output = ended(&mut command);
        assert_eq!((output.status.code(), text(&output.stderr)), (Some(2), String::new()));
        let said = report(&output);
        let problem = &said["files"][0]["problems"][0];
        assert_eq!((&problem["title"], &problem["line"]), (&json!("there is no route `dbb`"), &json!(1)));
        assert_eq!((&said["files"][1]["problems"], &said["files"][1]["total"]), (&json!([]), &json!(0)));
        // Of two nobody knows which is meant.
        let other = file.directory.path().join("other.yaml");
        std::fs::copy(&routes, &other).unwrap();
        assert_eq!(check(&[&file.path, &routes, &other]).status.code(), Some(0));
    });
}
