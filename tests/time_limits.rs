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

/// Each limit is an ending of its own, and counted as such.
#[test]
fn each_limit_counts_under_its_own_name() {
    within(secs(30), || {
        let (silent, (mute, _full)) = (Listener::new(), unanswering());
        let routes = [
            route("idle", silent.address(), "timeouts: {idle: 100ms}"),
            route("lifetime", "builtin:chargen", "timeouts: {lifetime: 100ms}"),
            route("half-close", "builtin:silent", "timeouts: {halfClose: 100ms}"),
            route("connect-timeout", mute, "timeouts: {connect: 100ms}"),
        ];
        let daemon = Setup::routes(routes).admin().start();
        for name in ["idle", "lifetime", "half-close", "connect-timeout"] {
            let client = connect(daemon.address(name));
            if name == "half-close" {
                shut(&client);
            }
            read_all(&client);
            daemon.wait_closed(name, 1, secs(5));
        }
        let metrics = String::from_utf8(daemon.api().get("/metrics").body).unwrap();
        for name in ["idle", "lifetime", "half-close", "connect-timeout"] {
            let ended = |line: &&str| {
                line.starts_with("chaos_proxy_connections_closed_total{")
                    && line.contains(&format!("route=\"{name}\""))
            };
            let counted: Vec<&str> =
                metrics.lines().filter(ended).filter(|line| !line.ends_with(" 0")).collect();
            assert!(
                matches!(counted.as_slice(), [one] if one.ends_with(" 1") && one.contains(&format!("ending=\"{name}\""))),
                "{name}: {counted:?}"
            );
        }
    });
}
