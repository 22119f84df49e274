//! `proxyProtocol`: the upstream is told whom a connection is for, and a client is believed only where that was said.

#![allow(clippy::disallowed_types, clippy::disallowed_methods, reason = "over real sockets time is real")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should say so loudly")]

mod support;

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::thread;
use std::time::Instant;

use support::*;

const ACCEPT: &str = "proxyProtocol: {accept: [127.0.0.0/8]}";
const LINE: &[u8] = b"PROXY TCP4 203.0.113.7 192.0.2.1 56789 443\r\n";
const LINE_FROM: &str = "203.0.113.7:56789";

/// The same in version 2.
fn binary() -> Vec<u8> {
    let addresses = [203, 0, 113, 7, 192, 0, 2, 1, 0xdd, 0xd5, 0x01, 0xbb];
    [&b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c"[..], &addresses].concat()
}

/// What a version 2 header for these IPv4 addresses looks like.
fn binary_for(from: SocketAddr, to: SocketAddr) -> Vec<u8> {
    let octets = |address: SocketAddr| match address.ip() {
        IpAddr::V4(ip) => ip.octets(),
        IpAddr::V6(_) => panic!("{address}"),
    };
    let mut header = [&b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c"[..], &octets(from), &octets(to)].concat();
    header.extend(from.port().to_be_bytes());
    header.extend(to.port().to_be_bytes());
    header
}

fn read_exactly(mut stream: impl Read, n: usize) -> Vec<u8> {
    let mut bytes = vec![0; n];
    stream.read_exact(&mut bytes).unwrap();
    bytes
}

/// The client's address as the event of the reached upstream tells it.
fn told_client(daemon: &Daemon) -> String {
    let connected = daemon.wait_for("reached", secs(10), |event| event.is("upstream.connected", "it"));
    connected.text("client").to_owned()
}

/// Fails when the connection did not end for want of a header.
fn assert_refused(daemon: &Daemon, error: &str) {
    let closed = daemon.wait_closed("it", 1, secs(10));
    let told = (closed.text("ending"), closed.text("side"), closed.text("error"));
    assert_eq!(told, ("error", "client", error));
}

/// The header comes first, and then what the client sends, byte for byte.
#[test]
fn the_upstream_is_told_the_clients_address_ahead_of_everything() {
    within(secs(30), || {
        for version in ["v1", "v2"] {
            let listener = Listener::new();
            let daemon =
                Setup::route("it", listener.address(), &format!("proxyProtocol: {{send: {version}}}"))
                    .start();
            let to = daemon.address("it");
            let client = connect_from(Ipv4Addr::new(127, 0, 0, 9).into(), to);
            let from = client.local_addr().unwrap();
            let server = listener.accept();
            let expected = match version {
                "v1" => format!("PROXY TCP4 127.0.0.9 127.0.0.1 {} {}\r\n", from.port(), to.port()).into(),
                _ => binary_for(from, to),
            };
            assert_eq!(read_exactly(&server, expected.len()), expected, "before the client sent anything");
            both_ways(&client, &server, 200_000);
        }
    });
}

/// Two routes one behind the other: the second knows the client of the first, and passes it on.
#[test]
fn a_chain_keeps_the_clients_address() {
    within(secs(30), || {
        for version in ["v1", "v2"] {
            let listener = Listener::new();
            let inner = Setup::route(
                "it",
                listener.address(),
                "proxyProtocol: {send: v2, accept: [127.0.0.1/32, 10.0.0.0/8]}",
            )
            .admin()
            .start();
            let send = format!("proxyProtocol: {{send: {version}}}");
            let outer = Setup::route("it", inner.address("it"), &send).start();
            let to = outer.address("it");
            let client = connect_from(Ipv4Addr::new(127, 0, 0, 9).into(), to);
            let from = client.local_addr().unwrap();
            let server = listener.accept();
            assert_eq!(read_exactly(&server, 28), binary_for(from, to));
            assert_eq!(told_client(&inner), from.to_string());
            let listed = inner.api().get("/v1/connections").expect(200);
            assert_eq!(listed["connections"][0]["client"], from.to_string());
            both_ways(&client, &server, 200_000);
            let closed = inner.wait_closed("it", 1, secs(5));
            assert_eq!(closed.text("client"), from.to_string());
            assert_eq!((closed.text("ending"), closed.bytes()), ("peer-fin", (200_000, 200_000)));
        }
    });
}

/// From anybody else a header is data like any other, and nobody's address changes by it.
#[test]
fn a_header_from_elsewhere_is_data() {
    within(secs(30), || {
        let daemon = Setup::route("it", "builtin:echo", "proxyProtocol: {accept: [127.0.0.2]}").start();
        for header in [LINE.to_vec(), binary()] {
            let mut client = connect(daemon.address("it"));
            client.write_all(&header).unwrap();
            shut(&client);
            assert_eq!(read_all(&client), (header, End::Fin));
            let own = client.local_addr().unwrap().to_string();
            let told = |event: &Event| event.is("connection.closed", "it") && event.text("client") == own;
            daemon.wait_for("told under its own address", secs(5), told);
        }
        let believed = |event: &Event| event.text("client") == LINE_FROM;
        assert_eq!(daemon.events.count(believed), 0);
    });
}

/// Whom a fault is for, the socket says, which no header can forge.
#[test]
fn a_fault_for_an_address_does_not_listen_to_headers() {
    within(secs(30), || {
        let faults = "faults: [{drop: {client: 203.0.113.0/24}}, {delay: {delay: 1ms, client: 127.0.0.1}}]";
        let daemon = Setup::route("it", "builtin:echo", &format!("{ACCEPT}, {faults}")).start();
        let mut client = connect(daemon.address("it"));
        client.write_all(LINE).unwrap();
        client.write_all(b"x").unwrap();
        assert_eq!(read_byte(&client), Ok(b'x'));
        assert_eq!(told_client(&daemon), LINE_FROM);
        let fired = daemon.events.all(|event| event.text("event") == "fault.fired");
        assert_eq!(fired.iter().map(|event| event.text("effect")).collect::<Vec<_>>(), ["delay"]);
    });
}

/// P24: it may come byte by byte, and what follows it in the same segment is data.
#[test]
fn a_header_may_come_in_pieces_or_with_data() {
    within(secs(60), || {
        let daemon = Setup::route("it", "builtin:echo", ACCEPT).start();
        for header in [LINE.to_vec(), binary()] {
            let mut slow = connect(daemon.address("it"));
            for byte in &header {
                slow.write_all(&[*byte]).unwrap();
                thread::sleep(ms(20));
            }
            slow.write_all(b"\r\n").unwrap();
            shut(&slow);
            assert_eq!(read_all(&slow), (b"\r\n".to_vec(), End::Fin));
            let mut quick = connect(daemon.address("it"));
            let data = UP.bytes(50_000);
            quick.write_all(&[&header[..], &data].concat()).unwrap();
            shut(&quick);
            assert!(read_all(&quick) == (data, End::Fin));
        }
        let closed = |event: &Event| event.is("connection.closed", "it") && event.text("client") == LINE_FROM;
        for closed in daemon.events.wait_for_n(4, "believed", secs(5), closed) {
            assert_eq!(closed.text("ending"), "peer-fin");
        }
    });
}

/// A header that says no address leaves the socket's.
#[test]
fn a_header_without_an_address_changes_nothing() {
    within(secs(30), || {
        let local = b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0";
        for header in [&b"PROXY UNKNOWN\r\n"[..], local] {
            let daemon = Setup::route("it", "builtin:echo", ACCEPT).start();
            let mut client = connect(daemon.address("it"));
            client.write_all(&[header, b"x"].concat()).unwrap();
            assert_eq!(read_byte(&client), Ok(b'x'));
            assert_eq!(told_client(&daemon), client.local_addr().unwrap().to_string());
        }
    });
}

/// Who has to begin with a header and does not is closed by FIN, and the upstream never hears of it.
#[test]
fn a_client_without_its_header_is_refused() {
    within(secs(60), || {
        let upstream = Upstream::echo();
        let binary = binary();
        let corrupt = [&binary[..12], b"\x31", &binary[13..]].concat();
        let too_long = [&binary[..14], b"\xff\xff", &[0; 9_000]].concat();
        for (sent, error) in [
            (&b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"[..], "no PROXY header"),
            (b"", "no PROXY header"),
            (&LINE[..20], "bad PROXY header: it ends in the middle"),
            (&binary[..20], "bad PROXY header: it ends in the middle"),
            (
                b"PROXY TCP4 1.2.3.4 5.6.7.8 1 99999\r\nmore",
                "bad PROXY header: its addresses or ports are wrong",
            ),
            (&corrupt, "bad PROXY header: its version is not 2"),
            (&too_long, "bad PROXY header: it is longer than 4096 bytes"),
        ] {
            let daemon = Setup::route("it", upstream.address, ACCEPT).start();
            let mut client = connect(daemon.address("it"));
            client.write_all(sent).unwrap();
            shut(&client);
            assert_eq!(read_all(&client), (Vec::new(), End::Fin), "{error}");
            assert_refused(&daemon, error);
        }
        assert_eq!(upstream.accepted(), 0);
    });
}

/// It has five seconds for its header: silence ends, and so does one byte a second.
#[test]
fn a_header_has_to_come_in_time() {
    within(secs(60), || {
        let upstream = Upstream::echo();
        let wait = |trickle: bool| {
            let daemon = Setup::route("it", upstream.address, ACCEPT).start();
            let (mut client, begun) = connect_timed(daemon.address("it"));
            let dripping = client.try_clone().unwrap();
            thread::scope(|scope| {
                scope.spawn(move || {
                    for byte in LINE.iter().take(if trickle { 8 } else { 0 }) {
                        // At last there is nobody who reads it any more.
                        let _ = client.write_all(&[*byte]);
                        thread::sleep(secs(1));
                    }
                });
                assert_eq!(read_byte(&dripping), Err(End::Fin));
                assert!((secs(5)..secs(7)).contains(&begun.elapsed()), "ended after {:?}", begun.elapsed());
            });
            assert_refused(
                &daemon,
                if trickle { "bad PROXY header: not whole in time" } else { "no PROXY header" },
            );
        };
        thread::scope(|scope| {
            scope.spawn(|| wait(false));
            scope.spawn(|| wait(true));
        });
        assert_eq!(upstream.accepted(), 0);
    });
}

/// A client that resets while its header is awaited is gone at once.
#[test]
fn a_reset_ends_the_wait_for_a_header() {
    within(secs(30), || {
        let daemon = Setup::route("it", "builtin:echo", ACCEPT).start();
        let begun = Instant::now();
        reset(daemon.stuck("it"));
        let closed = daemon.wait_closed("it", 1, secs(4));
        assert_eq!((closed.text("ending"), closed.text("side")), ("peer-reset", "client"));
        assert!(begun.elapsed() < secs(4));
    });
}
