//! The program starts whole or not at all, says why not, and does not depend on who reads what it says.

#![allow(clippy::disallowed_types, clippy::disallowed_methods, reason = "over real sockets time is real")]
#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "a test that cannot go on should say so loudly")]

mod support;

use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::process::Command;
use std::time::Instant;

use rustix::process::{Pid, Signal, kill_process};
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

/// One port of three is taken: the program says which, of which route, and what the system said; nothing is left open.
#[test]
fn a_port_in_use_stops_the_start() {
    within(secs(30), || {
        let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = taken.local_addr().unwrap().port();
        let (before, after) = (unused_port(), unused_port());
        let setup =
            Setup::routes([]).fixed("first", before, "builtin:echo").fixed("unlucky", port, "builtin:echo");
        let setup = setup.fixed("last", after, "builtin:echo");
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), setup.text()).unwrap();
        let begun = Instant::now();
        let (code, said) = run(&["--config", file.path().to_str().unwrap()]);
        assert!(begun.elapsed() < secs(1), "it took {:?}", begun.elapsed());
        assert_eq!(code, Some(3), "{said}");
        assert!(said.contains("unlucky") && said.contains(&port.to_string()), "{said}");
        assert!(said.to_ascii_lowercase().contains("in use"), "{said}");
        for port in [before, after] {
            assert!(TcpStream::connect(local(port)).is_err(), "something listens on {port}");
        }
    });
}

/// A second daemon on the same port gives way, and the first does not notice. SO_REUSEPORT would let both listen, and
/// clients would reach one or the other.
#[test]
fn a_second_daemon_gives_way() {
    within(secs(30), || {
        let port = unused_port();
        let first = Setup::routes([]).fixed("it", port, "builtin:echo").start();
        let mut client = connect(local(port));
        let (code, said) = run(&["--config", first.config().to_str().unwrap()]);
        assert_eq!(code, Some(3), "{said}");
        assert!(said.contains(&port.to_string()), "{said}");
        client.write_all(b"x").unwrap();
        assert_eq!(read_byte(&client), Ok(b'x'));
        connect(local(port));
    });
}

/// After a kill the ports can be bound again at once, although connections of before still linger in the kernel.
#[test]
fn a_restart_after_a_kill_binds_at_once() {
    within(secs(30), || {
        let port = unused_port();
        let upstream = Upstream::banner("here");
        for _ in 0..3 {
            let mut daemon = Setup::routes([]).fixed("it", port, upstream.address).start();
            // Here the program ends first, so its side is the one that lingers.
            for _ in 0..5 {
                assert_eq!(read_all(&connect(local(port))), (b"here".to_vec(), End::Fin));
            }
            let _open = connect(local(port));
            daemon.signal(Signal::KILL);
            assert_eq!(daemon.wait_exit(secs(5)).code(), None);
        }
    });
}

/// As the first process of a container nothing is handled by default: signals and exit codes work all the same.
#[test]
fn it_behaves_as_the_first_process() {
    within(secs(60), || {
        let wrapper = ["unshare", "-pf", "--kill-child"];
        let allowed = Command::new(wrapper[0]).args(&wrapper[1..]).arg("true").output();
        if !allowed.is_ok_and(|output| output.status.success()) {
            loudly("SKIPPED: this machine does not allow `unshare -pf`, so nothing can be the first process");
            return;
        }
        let mut daemon = Setup::route("it", "builtin:echo", "").wrapper(&wrapper).start();
        let parent = daemon.pid().as_raw_nonzero();
        let children = std::fs::read_to_string(format!("/proc/{parent}/task/{parent}/children")).unwrap();
        let child: i32 = children.trim().parse().expect("one child");
        let mut client = connect(daemon.address("it"));
        client.write_all(b"x").unwrap();
        assert_eq!(read_byte(&client), Ok(b'x'));
        kill_process(Pid::from_raw(child).unwrap(), Signal::TERM).unwrap();
        daemon.wait_for("the drain begins", secs(5), |event| event.text("event") == "drain.begun");
        drop(client);
        assert_eq!(daemon.exit_code(secs(10)).0, Some(0));
    });
}

/// `"*"` is both families through one socket; any other IPv6 address is IPv6 only.
#[test]
fn bind_means_what_it_says() {
    within(secs(30), || {
        let reaches = |address: &str, port: u16| {
            let address = SocketAddr::new(address.parse().unwrap(), port);
            TcpStream::connect_timeout(&address, secs(5)).is_ok()
        };
        if TcpListener::bind("[::1]:0").is_err() {
            loudly("SKIPPED: this machine has no IPv6 loopback");
            return;
        }
        for (bind, v4, v6) in [("\"*\"", true, true), ("\"::1\"", false, true), ("127.0.0.1", true, false)] {
            let daemon = Setup::route("it", "builtin:echo", &format!("bind: {bind}")).start();
            let port = daemon.address("it").port();
            assert_eq!((reaches("127.0.0.1", port), reaches("::1", port)), (v4, v6), "bind: {bind}");
            assert_eq!(listening_ports(daemon.pid()), [port].into());
        }
        let daemon = Setup::route("it", "builtin:echo", "").top("bind: \"::\"").start();
        let port = daemon.address("it").port();
        assert_eq!((reaches("127.0.0.1", port), reaches("::1", port)), (false, true), "bind: ::");
    });
}

/// A route on a port of the system's choice keeps it while it is closed; if somebody takes it, that is told.
#[test]
fn a_route_that_loses_its_port_says_where_it_is() {
    within(secs(60), || {
        let daemon = Setup::route("db", "builtin:echo", "").admin().start();
        let address = daemon.address("db");
        daemon.api().post("/v1/routes/db/close", "{\"connections\": \"reset\"}").expect(200);
        let _taken = std::net::TcpListener::bind(address).unwrap();
        let opened = daemon.api().post("/v1/routes/db/open", "").expect(200);
        let now = opened["route"]["state"]["listen"].as_str().unwrap().to_owned();
        assert_ne!(now, address.to_string());
        let message =
            format!("its port {} was taken while it was closed: it listens on {now} now", address.port());
        daemon.wait_for("the notice", secs(5), |event| {
            event.is("notice", "db") && event.text("message") == message
        });
    });
}
