//! The upstreams inside the program do what their names say, through a route like any other.

#![allow(clippy::disallowed_types, clippy::disallowed_methods, reason = "over real sockets time is real")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should say so loudly")]

mod support;

use std::io::{ErrorKind, Read, Write};
use std::thread;

use support::*;

fn start(builtin: &str) -> Daemon {
    Setup::route("it", format!("builtin:{builtin}"), "timeouts: {halfClose: 500ms}").start()
}

/// Echo gives back every byte and then the client's end. Eight mebibytes pass a queue of 64 KiB, so a wake-up lost
/// between its two directions would hang here.
#[test]
fn echo_gives_back_everything() {
    within(secs(30), || {
        let daemon = start("echo");
        let client = connect(daemon.address("it"));
        thread::scope(|scope| {
            scope.spawn(|| {
                send(&client, Pattern(3), 0, 8 << 20);
                shut(&client);
            });
            assert_eq!(read_end(&client, Pattern(3), 0, ms(0)), (8 << 20, End::Fin));
        });
        let closed = daemon.wait_closed("it", 1, secs(5));
        assert_eq!((closed.text("ending"), closed.bytes()), ("peer-fin", (8 << 20, 8 << 20)));
    });
}

/// Http answers request after request on one connection, and ends it when asked to.
#[test]
fn http_says_what_it_saw() {
    within(secs(30), || {
        let daemon = start("http");
        let mut client = connect(daemon.address("it"));
        client.write_all(b"POST /first?x=1 HTTP/1.1\r\nHost: here\r\nContent-Length: 3\r\n\r\nabc").unwrap();
        client.write_all(b"GET /second HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n").unwrap();
        let (text, end) = read_all(&client);
        let text = String::from_utf8(text).unwrap();
        assert_eq!(end, End::Fin);
        assert_eq!(text.matches("HTTP/1.1 200 OK\r\n").count(), 2, "{text}");
        let bodies: Vec<serde_json::Value> = text
            .lines()
            .filter(|line| line.starts_with('{'))
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        assert_eq!((&bodies[0]["method"], &bodies[0]["path"]), (&"POST".into(), &"/first?x=1".into()));
        assert_eq!((&bodies[0]["bodyBytes"], &bodies[0]["headers"]["host"]), (&3.into(), &"here".into()));
        assert_eq!(bodies[1]["path"], "/second");
    });
}

/// Discard takes whatever comes and answers nothing; it ends when the client does.
#[test]
fn discard_takes_everything_and_says_nothing() {
    within(secs(30), || {
        let daemon = start("discard");
        let client = connect(daemon.address("it"));
        send(&client, Pattern(4), 0, 16 << 20);
        shut(&client);
        assert_eq!(read_all(&client), (Vec::new(), End::Fin));
        assert_eq!(daemon.wait_closed("it", 1, secs(5)).bytes(), (16 << 20, 0));
    });
}

/// Chargen sends its pattern without being asked, and ends with the client.
#[test]
fn chargen_sends_the_pattern_until_the_client_ends() {
    within(secs(30), || {
        let daemon = start("chargen");
        let mut client = connect(daemon.address("it"));
        let mut lines = vec![0; 74 * 2000];
        client.read_exact(&mut lines).unwrap();
        for (number, line) in lines.chunks(74).enumerate() {
            assert_eq!(&line[72..], b"\r\n");
            let expected = (0..72).map(|column| b' ' + ((number + column) % 95) as u8);
            assert!(line[..72].iter().copied().eq(expected), "line {number}");
        }
        shut(&client);
        let (rest, end) = read_all(&client);
        assert_eq!(end, End::Fin);
        assert!(rest.ends_with(b"\r\n"));
    });
}

/// Silent never answers and never ends; a client that leaves is not kept for longer than `halfClose`.
#[test]
fn silent_says_nothing_and_is_let_go_after_half_close() {
    within(secs(30), || {
        let daemon = start("silent");
        let base = descriptors(daemon.pid());
        let mut client = connect(daemon.address("it"));
        client.write_all(b"anyone there?").unwrap();
        client.set_read_timeout(Some(ms(300))).unwrap();
        let why = client.read(&mut [0]).unwrap_err();
        assert_eq!(why.kind(), ErrorKind::WouldBlock);
        drop(client);
        let closed = daemon.wait_closed("it", 1, secs(5));
        assert_eq!(closed.text("ending"), "half-close");
        assert!(closed.number("durationMs") >= 500, "{}", closed.fields);
        eventually(secs(5), "its descriptor is closed", || descriptors(daemon.pid()) == base);
    });
}
