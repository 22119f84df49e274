//! `timeouts.idle` and `timeouts.lifetime` end a connection when they say, and not before.

#![allow(clippy::disallowed_types, clippy::disallowed_methods, reason = "over real sockets time is real")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should say so loudly")]

mod support;

use std::io::Write;
use std::thread;

use support::*;

/// A connection on which nothing moves ends after `idle`, for both sides.
#[test]
fn an_idle_connection_ends() {
    within(secs(30), || {
        let listener = Listener::new();
        let daemon = Setup::route("it", listener.address(), "timeouts: {idle: 600ms}").start();
        let (client, begun) = connect_timed(daemon.address("it"));
        let server = listener.accept();
        assert!(read_byte(&client).is_err() && read_byte(&server).is_err());
        assert!(begun.elapsed() >= ms(600), "ended after {:?}", begun.elapsed());
        let closed = daemon.wait_closed("it", 1, secs(5));
        assert_eq!(closed.text("ending"), "idle");
        assert!((600..3000).contains(&closed.number("durationMs")), "{}", closed.fields);
    });
}

/// Any byte in either direction starts the idle time anew.
#[test]
fn a_connection_that_is_used_is_not_idle() {
    within(secs(30), || {
        let listener = Listener::new();
        let daemon = Setup::route("it", listener.address(), "timeouts: {idle: 1500ms}").start();
        let client = connect(daemon.address("it"));
        let server = listener.accept();
        for turn in 0..10 {
            thread::sleep(ms(300));
            let (mut from, to) = if turn % 2 == 0 { (&client, &server) } else { (&server, &client) };
            from.write_all(&[turn]).unwrap();
            assert_eq!(read_byte(to), Ok(turn));
        }
        drop(client);
        assert_eq!(read_byte(&server), Err(End::Fin));
    });
}

/// A connection ends after `lifetime` however busy it is.
#[test]
fn a_busy_connection_ends_after_its_lifetime() {
    within(secs(30), || {
        let daemon = Setup::route("it", "builtin:chargen", "timeouts: {lifetime: 700ms}").start();
        let (client, begun) = connect_timed(daemon.address("it"));
        let (bytes, _) = read_all(&client);
        assert!(begun.elapsed() >= ms(700), "ended after {:?}", begun.elapsed());
        assert!(!bytes.is_empty());
        let closed = daemon.wait_closed("it", 1, secs(5));
        assert_eq!(closed.text("ending"), "lifetime");
        assert!((700..3000).contains(&closed.number("durationMs")), "{}", closed.fields);
    });
}
