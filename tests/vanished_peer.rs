//! `keepalive` finds a peer that is gone without a word: client, program and upstream are in network namespaces of their
//! own, and the cable between two of them is pulled.

#![cfg(target_os = "linux")]
#![allow(clippy::disallowed_types, clippy::disallowed_methods, reason = "over real sockets time is real")]
#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "a test that cannot go on should say so loudly")]

mod support;

use std::io::Write;
use std::net::{Ipv4Addr, TcpListener};
use std::thread;
use std::time::{Duration, Instant};

use support::*;

const CLIENT: Ipv4Addr = Ipv4Addr::new(10, 77, 1, 2);
const FACING_CLIENT: Ipv4Addr = Ipv4Addr::new(10, 77, 1, 1);
const FACING_SERVER: Ipv4Addr = Ipv4Addr::new(10, 77, 2, 1);
const SERVER: Ipv4Addr = Ipv4Addr::new(10, 77, 2, 2);

/// What `keepalive` is where the user timeout alone is to act.
const LATE: &str = "keepalive: {idle: 1h, interval: 1h, count: 9, userTimeout: 2s}";

/// One connection through the program, between three machines.
struct Lab {
    near: Namespace,
    far: Namespace,
    daemon: Daemon,
    client: Client,
    server: Client,
    _between: Namespace,
}

impl Lab {
    /// With this on the route; none where there are no namespaces.
    fn new(rest: &str) -> Option<Self> {
        let (near, between, far) = (Namespace::new()?, Namespace::new()?, Namespace::new()?);
        between.connect(FACING_CLIENT, &near, CLIENT, "near");
        between.connect(FACING_SERVER, &far, SERVER, "far");
        let listener = far.inside(|| TcpListener::bind((SERVER, 0)).unwrap());
        let comma = if rest.is_empty() { "" } else { ", " };
        let rest = format!("bind: {FACING_CLIENT}{comma}{rest}");
        let wrapper = between.wrapper();
        let wrapper: Vec<&str> = wrapper.iter().map(String::as_str).collect();
        let daemon = Setup::route("it", listener.local_addr().unwrap(), &rest).wrapper(&wrapper).start();
        let address = daemon.address("it");
        let client = near.inside(|| connect(address));
        let server = listener.accept().unwrap().0;
        server.set_read_timeout(Some(secs(40))).unwrap();
        let lab = Lab { near, far, daemon, client, server, _between: between };
        lab.pass_a_byte_each_way();
        Some(lab)
    }

    fn pass_a_byte_each_way(&self) {
        for (mut from, to) in [(&self.client, &self.server), (&self.server, &self.client)] {
            from.write_all(b"x").unwrap();
            assert_eq!(read_byte(to), Ok(b'x'));
        }
    }

    /// Pulls the cable at the end of a side.
    fn pull(&self, side: &str) {
        let (namespace, cable) = if side == "client" { (&self.near, "near") } else { (&self.far, "far") };
        assert!(namespace.run(&format!("ip link set {cable} down")));
    }

    /// Waits until `side` was found to be gone and the other side was told, and says how long after `begun`.
    fn wait_found(&self, side: &str, begun: Instant) -> Duration {
        let closed = self.daemon.wait_closed("it", 1, secs(30));
        assert_eq!((closed.text("ending"), closed.text("side")), ("error", side), "{}", closed.fields);
        let other = if side == "client" { &self.server } else { &self.client };
        assert_eq!(read_byte(other), Err(End::Reset));
        closed.seen - begun
    }
}

/// On an idle connection: a second of silence, and two questions without an answer.
#[test]
fn a_silent_peer_that_vanished_is_found_by_keepalive() {
    within(secs(60), || {
        for side in ["client", "upstream"] {
            let Some(lab) = Lab::new("keepalive: {idle: 1s, interval: 1s, count: 2}") else { return };
            let begun = Instant::now();
            lab.pull(side);
            let took = lab.wait_found(side, begun);
            assert!(took > secs(1) && took < secs(10), "{side}: {took:?}");
        }
    });
}

/// Bytes that are on their way to it are not confirmed any more.
#[test]
fn a_peer_that_vanished_with_bytes_under_way_is_found_by_the_user_timeout() {
    within(secs(60), || {
        for side in ["client", "upstream"] {
            let Some(lab) = Lab::new(LATE) else { return };
            let begun = Instant::now();
            lab.pull(side);
            let mut sender = if side == "client" { &lab.server } else { &lab.client };
            sender.write_all(&[7; 1000]).unwrap();
            let took = lab.wait_found(side, begun);
            assert!(took > secs(1) && took < secs(10), "{side}: {took:?}");
        }
    });
}

/// A peer that answers is not taken for one that vanished, however long it says nothing.
#[test]
fn a_silent_peer_that_is_there_is_left_alone() {
    within(secs(60), || {
        let Some(lab) = Lab::new("keepalive: {idle: 1s, interval: 1s, count: 1, userTimeout: 1s}") else {
            return;
        };
        thread::sleep(secs(5));
        lab.pass_a_byte_each_way();
    });
}

/// Without it nobody asks, and the connection is as it was when the cable is back.
#[test]
fn without_keepalive_nothing_is_noticed() {
    within(secs(60), || {
        let Some(lab) = Lab::new("") else { return };
        lab.pull("client");
        lab.pull("upstream");
        thread::sleep(secs(5));
        assert_eq!(lab.daemon.events.count(|event| event.is("connection.closed", "it")), 0);
        assert!(lab.near.run("ip link set near up") && lab.far.run("ip link set far up"));
        lab.pass_a_byte_each_way();
    });
}
