//! What the program says is complete and safe to show, and whoever does not listen stalls nothing.

#![allow(clippy::disallowed_types, clippy::disallowed_methods, reason = "over real sockets time is real")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should say so loudly")]

mod support;

use std::collections::BTreeSet;
use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::process::Stdio;

use rustix::process::Signal;
use support::*;

fn local(port: u16) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port).into()
}

/// Runs the bare program to its end with these files and arguments, and gives its exit code and all it said.
fn run(arguments: &[&str]) -> (Option<i32>, String) {
    let output = bare().args(arguments).output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8_lossy(&said).into_owned())
}

/// Serves a number of clients without events to wait for: the port itself says when it is open.
fn serves(port: u16, clients: usize) {
    eventually(secs(20), "the port is open", || TcpStream::connect(local(port)).is_ok());
    for _ in 0..clients {
        let mut client = connect(local(port));
        client.write_all(b"x").unwrap();
        assert_eq!(read_byte(&client), Ok(b'x'));
    }
}

/// Nobody listens to the log: it is closed. That is no reason to serve nobody, or to write into some other descriptor.
#[test]
fn a_closed_stderr_stops_nothing() {
    within(secs(60), || {
        let port = unused_port();
        let setup = Setup::routes([]).fixed("it", port, "builtin:echo");
        let setup = setup.wrapper(&["sh", "-c", "exec 2>&-; exec \"$0\" \"$@\""]);
        let mut daemon = Daemon::spawn_with(&setup, Stdio::null());
        serves(port, 200);
        daemon.signal(Signal::TERM);
        assert_eq!(daemon.exit_code(secs(10)).0, Some(0));
        assert!(daemon.stdout().is_empty());
    });
}

/// The log is a pipe that nobody reads: it fills, and connections go on. A write that waits for it would stop them all.
#[test]
fn a_full_stderr_stalls_nothing() {
    within(secs(60), || {
        let port = unused_port();
        let (reader, writer) = std::io::pipe().unwrap();
        let setup = Setup::routes([]).fixed("it", port, "builtin:echo");
        let mut daemon = Daemon::spawn_with(&setup, writer.into());
        // Each connection has some lines in the log, so a pipe of 64 KiB is full long before.
        serves(port, 2000);
        daemon.signal(Signal::TERM);
        assert_eq!(daemon.exit_code(secs(10)).0, Some(0), "a full log does not keep it from ending either");
        drop(reader);
    });
}

/// The seed is in the log, drawn or given, so that what happened can be made to happen again.
#[test]
fn the_seed_is_always_told() {
    within(secs(30), || {
        let seed = |arguments: &[&str]| {
            let daemon = Setup::route("it", "builtin:echo", "").arguments(arguments).start();
            daemon.wait_for("the seed", secs(5), |event| event.fields["seed"].is_u64()).number("seed")
        };
        assert_eq!(seed(&["--seed", "18446744073709551615"]), u64::MAX);
        assert_ne!(seed(&[]), seed(&[]), "two drawn seeds are the same");
    });
}

/// Off a terminal every line of the log is one JSON object with a time, a level and an event, and stdout stays empty.
#[test]
fn the_log_is_json_lines() {
    within(secs(30), || {
        let mut daemon = Setup::route("\"odd \\\" [name]\"", "builtin:echo", "dropRate: 0.5").start();
        let address = daemon.address("odd \" [name]");
        for _ in 0..20 {
            let client = connect(address);
            shut(&client);
            assert_eq!(read_all(&client), (Vec::new(), End::Fin));
        }
        daemon.signal(Signal::TERM);
        assert_eq!(daemon.exit_code(secs(10)).0, Some(0));
        assert_eq!(daemon.events.wait_for_end(secs(5)), Vec::<String>::new(), "lines that are no JSON");
        assert!(daemon.stdout().is_empty());
        let incomplete =
            |event: &Event| ["time", "level", "event"].iter().any(|field| event.text(field).is_empty());
        let incomplete = daemon.events.all(incomplete);
        assert!(incomplete.is_empty(), "{incomplete:?}");
    });
}

/// Connections are numbered from 1 on each route, and have one more number that no other connection of the process has.
#[test]
fn connections_have_their_numbers() {
    within(secs(30), || {
        let routes = [route("a", "builtin:discard", ""), route("b", "builtin:discard", "")];
        let daemon = Setup::routes(routes).start();
        for _ in 0..10 {
            for route in ["a", "b"] {
                let client = connect(daemon.address(route));
                shut(&client);
                assert_eq!(read_all(&client), (Vec::new(), End::Fin));
            }
        }
        let closed = |event: &Event| event.text("event") == "connection.closed";
        let closed = daemon.events.wait_for_n(20, "closed", secs(5), closed);
        let ids: BTreeSet<u64> = closed.iter().map(|event| event.number("id")).collect();
        assert_eq!(ids.len(), 20);
        for route in ["a", "b"] {
            let of_route = closed.iter().filter(|event| event.text("route") == route);
            let numbers: BTreeSet<u64> = of_route.map(|event| event.number("connection")).collect();
            assert_eq!(numbers, (1..=10).collect());
        }
    });
}

/// Every `statsInterval` each route has its line of statistics.
#[test]
fn statistics_come_at_their_interval() {
    within(secs(30), || {
        let setup = Setup::route("it", "builtin:echo", "").top("statsInterval: 200ms");
        let daemon = setup.start();
        let _client = connect(daemon.address("it"));
        daemon.wait_for("a line that tells of the client", secs(5), |event| {
            event.is("route.stats", "it") && event.number("opened") == 1 && event.number("active") == 1
        });
        daemon.events.wait_for_n(4, "lines go on", secs(5), |event| event.is("route.stats", "it"));
    });
}

/// What is typed wrongly ends with 2 and a word about it. Escape sequences in it never reach the terminal raw.
#[test]
fn hostile_bytes_are_shown_escaped() {
    within(secs(30), || {
        let file = tempfile::NamedTempFile::new().unwrap();
        for text in [
            "routes: [{name: a, localPort: auto, upstream: \"\\e[31mred\\e[0m\"}]",
            "routes: [{name: \"\\e]0;title\\a\", localPort: auto, upstream: \"builtin:echo\"}]",
            "\"\\e[2Jroutes\": []",
            "routes: [{name: a\u{202e}b, localPort: auto, upstream: \"builtin:echo\"}]",
            "routes: [{name: a, localPort: \u{9b}31m, upstream: \"builtin:echo\"}]",
        ] {
            std::fs::write(file.path(), text).unwrap();
            let path = file.path().to_str().unwrap();
            for arguments in [vec!["check", path], vec!["--config", path]] {
                let (code, said) = run(&arguments);
                assert_eq!(code, Some(2), "{text:?}: {said:?}");
                let raw = |c: char| (c.is_control() && c != '\n') || ('\u{202a}'..='\u{202e}').contains(&c);
                assert!(!said.is_empty() && !said.contains(raw), "{text:?}: {said:?}");
            }
        }
    });
}

/// Exit codes tell what was typed wrongly from what is well.
#[test]
fn exit_codes_say_what_was_typed_wrongly() {
    within(secs(30), || {
        let daemon = Setup::route("it", "builtin:echo", "timeoutMs: 3000").start();
        let path = daemon.config();
        let path = path.to_str().unwrap();
        assert_eq!(run(&["check", path]).0, Some(0));
        assert_eq!(run(&["check", "/nowhere/at/all.yaml"]).0, Some(2));
        assert_eq!(run(&["--no-such-flag"]).0, Some(2));
        assert_eq!(run(&["--config", path, "--log-level", "no such level!"]).0, Some(2));
        let (code, said) = run(&["explain", path]);
        assert!(
            code == Some(0) && said.contains("never answered") && said.contains("closed after 3"),
            "{said}"
        );
        let (code, said) = run(&["schema"]);
        assert_eq!(code, Some(0));
        assert!(serde_json::from_str::<serde_json::Value>(&said).unwrap().is_object());
    });
}
