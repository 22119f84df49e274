//! The static program needs nothing but itself and its configuration: in an empty root it starts, serves, answers
//! `healthcheck`, finds names, and drains as process 1. What the container image promises, without a container engine.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should say so loudly")]

mod support;

use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::thread;

use rustix::process::Signal;
use support::*;

/// A limit for each test: the first one also builds the program.
const LIMIT: std::time::Duration = secs(240);

fn configuration(upstream: impl std::fmt::Display) -> String {
    format!("admin: 127.0.0.1:0\nroutes:\n{}\n", route("it", upstream, ""))
}

/// It names no loader and no library.
#[test]
fn it_asks_for_no_loader_and_no_library() {
    within(LIMIT, || {
        let program = std::fs::read(static_program()).unwrap();
        assert_eq!(&program[..6], b"\x7fELF\x02\x01", "a 64-bit little-endian program");
        let number = |at: u64, bytes: usize| {
            let at = usize::try_from(at).unwrap();
            program[at..at + bytes].iter().rev().fold(0, |value, byte| value << 8 | u64::from(*byte))
        };
        let (table, size, count) = (number(32, 8), number(54, 2), number(56, 2));
        let headers: Vec<u64> = (0..count).map(|i| table + i * size).collect();
        assert!(headers.iter().all(|header| number(*header, 4) != 3), "it has an interpreter");
        for dynamic in headers.iter().filter(|header| number(**header, 4) == 2) {
            let (at, length) = (number(dynamic + 8, 8), number(dynamic + 32, 8));
            let mut tags = (0..length / 16).map(|i| number(at + i * 16, 8));
            assert!(!tags.any(|tag| tag == 1), "it needs a library");
        }
    });
}

/// It serves byte for byte, is healthy, and after SIGTERM lets what is under way finish; and it writes nothing, whether
/// it could or not.
#[test]
fn it_serves_and_drains_as_process_1_of_an_empty_root() {
    const SIZE: u64 = 256 << 10;
    within(LIMIT, || {
        for read_only in [false, true] {
            let gate = Gate::default();
            let opened = gate.clone();
            let upstream = Upstream::serve(move |stream, _| {
                assert_eq!(receive(&stream, Pattern(1), 0, SIZE), SIZE);
                send(&stream, Pattern(2), 0, SIZE / 2);
                opened.wait();
                send(&stream, Pattern(2), SIZE / 2, SIZE);
            });
            let Some(root) = Root::new(&configuration(upstream.address)) else { return };
            let root = if read_only { root.read_only() } else { root };
            let before = root.files();
            assert_eq!(before.len(), 2);
            let mut daemon = root.start(1);
            let namespaces =
                std::fs::read_to_string(format!("/proc/{}/status", daemon.pid.as_raw_nonzero())).unwrap();
            let numbers = namespaces.lines().find(|line| line.starts_with("NSpid:")).unwrap();
            assert!(numbers.ends_with("\t1"), "{numbers}");
            assert_eq!(root.healthcheck(&daemon), Some(0));

            let client = connect(daemon.daemon.address("it"));
            send(&client, Pattern(1), 0, SIZE);
            assert_eq!(receive(&client, Pattern(2), 0, SIZE / 2), SIZE / 2);
            daemon.signal(Signal::TERM);
            daemon.daemon.wait_for("the drain begins", secs(5), |event| event.text("event") == "drain.begun");
            assert_eq!(root.healthcheck(&daemon), Some(1));
            gate.open();
            assert_eq!(read_end(&client, Pattern(2), SIZE / 2, ms(0)), (SIZE, End::Fin));
            drop(client);
            assert_eq!(daemon.wait_exit(secs(10)).code(), Some(0), "{}", daemon.daemon.events.tail());
            assert_eq!(root.files(), before);
        }
    });
}

/// As the image starts it when nobody says anything: it waits for routes, is healthy, and ends when told to.
#[test]
fn it_starts_without_a_configuration_and_is_healthy() {
    within(LIMIT, || {
        // In a network of its own, where nobody else has the default port.
        let Some(namespace) = Namespace::new() else { return };
        let Some(root) = Root::new("") else { return };
        let root = root.within(namespace.wrapper()).read_only();
        let mut command = root.command(&[]);
        command.env("CHAOS_PROXY_BIND", "*");
        let daemon = Daemon::of(command);
        daemon.api();
        let mut daemon = First::of(daemon);
        assert_eq!(root.command(&["healthcheck"]).status().unwrap().code(), Some(0));
        daemon.signal(Signal::TERM);
        assert_eq!(daemon.wait_exit(secs(10)).code(), Some(0));
        assert_eq!(root.command(&["healthcheck"]).output().unwrap().status.code(), Some(1));
    });
}

/// Process 1 hears signals only if it listens to them.
#[test]
fn a_second_signal_ends_process_1_at_once() {
    within(LIMIT, || {
        for (signal, code) in [(Signal::TERM, 143), (Signal::INT, 130)] {
            let Some(root) = Root::new(&configuration("builtin:silent")) else { return };
            let mut daemon = root.start(1);
            let _open = daemon.daemon.stuck("it");
            daemon.signal(signal);
            daemon.daemon.wait_for("the drain begins", secs(5), |event| event.text("event") == "drain.begun");
            daemon.signal(signal);
            assert_eq!(daemon.wait_exit(secs(5)).code(), Some(code));
        }
    });
}

/// With the two files that an engine puts into a container, names are found: those of `/etc/hosts` without a question to
/// a server, the others by one.
#[test]
fn names_are_found_with_hosts_and_resolv_conf_alone() {
    within(LIMIT, || {
        let Some(namespace) = Namespace::new() else { return };
        let (listener, server) = namespace.inside(|| {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
            (listener, UdpSocket::bind((Ipv4Addr::LOCALHOST, 53)).unwrap())
        });
        thread::spawn(move || answer_names(&server));
        let upstream = Upstream::serve_on(listener, |mut stream, _| stream.write_all(b"found").unwrap());
        let port = upstream.address.port();
        let routes = [
            route("hosts", format!("by-hosts.example:{port}"), ""),
            route("dns", format!("by-dns.example:{port}"), ""),
        ];
        let Some(root) = Root::new(&format!("admin: off\nroutes:\n{}\n", routes.join("\n"))) else { return };
        let root = root.within(namespace.wrapper());
        // The server says that there is no such name: who asked it first would not look here.
        root.file("etc/hosts", "127.0.0.1 by-hosts.example\n");
        root.file("etc/resolv.conf", "nameserver 127.0.0.1\n");
        let mut daemon = root.start(2);
        for name in ["hosts", "dns"] {
            let address: SocketAddr = daemon.daemon.address(name);
            let client = namespace.inside(|| connect(address));
            assert_eq!(
                read_all(&client),
                (b"found".to_vec(), End::Fin),
                "{name}: {}",
                daemon.daemon.events.tail()
            );
        }
        daemon.signal(Signal::TERM);
        assert_eq!(daemon.wait_exit(secs(10)).code(), Some(0));
    });
}

/// A name server that knows one IPv4 address.
fn answer_names(server: &UdpSocket) {
    const HEADER: usize = 12;
    let mut question = [0; 512];
    while let Ok((length, from)) = server.recv_from(&mut question) {
        let asked = &question[HEADER..length];
        let name_ends = asked.iter().position(|byte| *byte == 0).unwrap();
        let of_type = asked[name_ends + 2];
        let known = asked.starts_with(b"\x06by-dns\x07example\x00");
        let mut answer = question[..HEADER].to_vec();
        // An answer, recursion to be had; there is no such name, or there is.
        answer[2..4].copy_from_slice(&[0x81, if known { 0x80 } else { 0x83 }]);
        let answers = u8::from(known && of_type == 1);
        answer[4..12].copy_from_slice(&[0, 1, 0, answers, 0, 0, 0, 0]);
        answer.extend_from_slice(&asked[..name_ends + 5]);
        if answers == 1 {
            // The name of the question, an address, of the internet, for a minute, four bytes.
            answer.extend_from_slice(&[0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 127, 0, 0, 1]);
        }
        let _ = server.send_to(&answer, from);
    }
}
