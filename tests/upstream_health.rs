//! Endpoints are asked whether they are well, and clients go to those that are.

#![allow(clippy::disallowed_types, clippy::disallowed_methods, reason = "over real sockets time is real")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should say so loudly")]

mod support;

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Instant;

use rustix::process::Signal;
use support::*;

/// An endpoint that is there for 200 ms and gone for 200 ms, again and again. While it is there it answers a byte with `f`.
struct Flapping {
    address: SocketAddr,
    stopped: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Flapping {
    fn start() -> Self {
        let (address, stopped) = (unused_address(), Arc::new(AtomicBool::new(false)));
        let stop = stopped.clone();
        let thread = thread::spawn(move || {
            while !stop.load(Ordering::SeqCst) {
                let up = TcpListener::bind(address).unwrap();
                up.set_nonblocking(true).unwrap();
                let until = Instant::now() + ms(200);
                let mut clients: Vec<TcpStream> = Vec::new();
                while Instant::now() < until {
                    while let Ok((client, _)) = up.accept() {
                        client.set_nonblocking(true).unwrap();
                        clients.push(client);
                    }
                    clients.retain_mut(|client| match client.read(&mut [0]) {
                        Ok(1) => client.write_all(b"f").is_ok(),
                        Ok(_) => false,
                        Err(why) => why.kind() == ErrorKind::WouldBlock,
                    });
                    thread::sleep(ms(1));
                }
                drop((up, clients));
                thread::sleep(ms(200));
            }
        });
        Flapping { address, stopped, thread: Some(thread) }
    }
}

impl Drop for Flapping {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::SeqCst);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn flapping_changes_no_more_often_than_documented(rise: u32, fall: u32) {
    within(secs(60), move || {
        let (flapping, well) = (Flapping::start(), Upstream::echo());
        let (name, other) = (flapping.address.to_string(), well.address);
        let upstream = format!(
            "{{endpoints: [\"{name}\", \"{other}\"], health: {{interval: 100ms, timeout: 100ms, rise: {rise}, fall: {fall}}}}}"
        );
        let daemon = Setup::route("it", upstream, "").start();
        let begun = Instant::now();
        while begun.elapsed() < secs(8) {
            // One that is served by the flapping one may see it go, and as early as in its connect.
            if let Ok(mut client) = connect_or_reset(daemon.address("it")) {
                let _ = client.write_all(b"x");
                let _ = client.read(&mut [0]);
            }
            thread::sleep(ms(2));
        }
        let took = begun.elapsed();
        let of = |event: &Event| event.text("upstream") == name;
        let changed =
            |event: &Event| of(event) && ["upstream.up", "upstream.down"].contains(&event.text("event"));
        let changes = daemon.events.all(changed);
        assert!(changes.windows(2).all(|pair| pair[0].text("event") != pair[1].text("event")), "{changes:?}");
        let ups = changes.iter().filter(|event| event.text("event") == "upstream.up").count();
        // At most three times more than once in six intervals.
        assert!(ups as u128 <= 3 + took.as_millis() / 600, "{ups} times up in {took:?}: {changes:?}");
        assert!(!changes.is_empty());

        // Nobody is sent to it from when it was called down until it is called up.
        let sent = |event: &Event| {
            of(event) && ["upstream.connected", "upstream.failed"].contains(&event.text("event"))
        };
        for sent in daemon.events.all(sent) {
            let dialled = sent.seen - ms(sent.number("durationMs"));
            let before = changes.iter().rev().find(|change| change.seen + ms(50) < dialled);
            let after = changes.iter().find(|change| change.seen + ms(50) >= dialled);
            let is_down = before.is_some_and(|change| change.text("event") == "upstream.down");
            let comes_up = after.is_some_and(|change| change.seen <= dialled + ms(50));
            assert!(!is_down || comes_up, "{} while it was down", sent.fields);
        }
    });
}

#[test]
fn flapping_changes_no_more_often_than_documented_with_rows() {
    flapping_changes_no_more_often_than_documented(2, 3);
}

#[test]
fn flapping_changes_no_more_often_than_documented_without_rows() {
    flapping_changes_no_more_often_than_documented(1, 1);
}

/// One that is down and answers again, but not yet often enough: its probes come, and no client does.
#[test]
fn nothing_is_sent_to_one_that_is_down() {
    within(secs(60), || {
        let (down, well) = (unused_address(), Upstream::echo());
        let upstream = format!(
            "{{endpoints: [\"{down}\", \"{}\"], health: {{interval: 20ms, timeout: 1s, rise: 1000, fall: 1}}}}",
            well.address
        );
        let daemon = Setup::route("it", upstream, "").start();
        let told = daemon.wait_for("it is down", secs(5), |event| event.is("upstream.down", "it"));
        assert_eq!(
            (told.text("upstream"), told.text("error")),
            (down.to_string().as_str(), "connection refused")
        );
        let (probes, clients) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
        let (asked, sent) = (probes.clone(), clients.clone());
        let _back = Upstream::serve_on(TcpListener::bind(down).unwrap(), move |mut stream, _| {
            let spoke = stream.read(&mut [0]).is_ok_and(|n| n > 0);
            if spoke { &sent } else { &asked }.fetch_add(1, Ordering::SeqCst);
        });
        eventually(secs(20), "it is asked again", || probes.load(Ordering::SeqCst) >= 3);
        for _ in 0..100 {
            let mut client = connect(daemon.address("it"));
            client.write_all(b"x").unwrap();
            assert_eq!(read_byte(&client), Ok(b'x'));
        }
        assert_eq!(clients.load(Ordering::SeqCst), 0);
        let connected = |event: &Event| event.is("upstream.connected", "it");
        let connected = daemon.events.wait_for_n(100, "connected", secs(5), connected);
        assert!(connected.iter().all(|event| event.text("upstream") == well.address.to_string()));
    });
}

/// Whether the other side has ended the stream, after all that it said.
fn has_ended(mut stream: &TcpStream) -> bool {
    stream.set_nonblocking(true).unwrap();
    loop {
        match stream.read(&mut [0; 256]) {
            Ok(0) => return true,
            Ok(_) => {}
            Err(why) if why.kind() == ErrorKind::WouldBlock => return false,
            Err(_) => return true,
        }
    }
}

/// A target that takes the question and never answers is asked one question at a time, though each takes longer than an interval.
/// When the program begins to stop it is not asked any more, although a client is still served.
#[test]
fn one_question_at_a_time_and_none_while_draining() {
    within(secs(60), || {
        let mute = Listener::new();
        let health = "health: {http: /healthz, interval: 300ms, timeout: 400ms, rise: 1, fall: 1}";
        let upstream = format!("{{endpoints: [\"{}\"], {health}}}", mute.address());
        let daemon = Setup::route("it", upstream, "").start();
        let mut open = mute.accept();
        for _ in 0..5 {
            let next = mute.accept();
            assert!(has_ended(&open), "two questions at a time");
            open = next;
        }
        let told = daemon.wait_for("it is down", secs(5), |event| event.is("upstream.down", "it"));
        assert_eq!(told.text("error"), "no answer in time");

        let _client = connect(daemon.address("it"));
        daemon.wait_for("it is served", secs(5), |event| event.is("upstream.connected", "it"));
        daemon.signal(Signal::TERM);
        daemon.wait_for("the drain begins", secs(5), |event| event.text("event") == "drain.begun");
        // What was under way is over within an interval, and the client's own connection is among what waits.
        let until = Instant::now() + ms(300);
        while let Some(left) = until.checked_duration_since(Instant::now()) {
            let _ = mute.accept_within(left);
        }
        assert!(mute.accept_within(secs(1)).is_none(), "it is still asked");
        assert_eq!(daemon.events.count(|event| event.text("event") == "drain.done"), 0);
    });
}

/// The status line decides, and the log says what it said.
#[test]
fn an_http_check_wants_its_status() {
    within(secs(60), || {
        let well = Arc::new(AtomicBool::new(false));
        let is_well = well.clone();
        let server = Upstream::serve(move |mut stream, _| {
            let mut request = Vec::new();
            let mut byte = [0];
            while !request.ends_with(b"\r\n\r\n") && stream.read(&mut byte).is_ok_and(|n| n == 1) {
                request.push(byte[0]);
            }
            let asked = request.starts_with(b"GET /healthz HTTP/1.1\r\nHost: it.test\r\n");
            let status = match (asked, is_well.load(Ordering::SeqCst)) {
                (false, _) => "400 Bad Request",
                (true, false) => "503 Service Unavailable",
                (true, true) => "204 No Content",
            };
            let _ = write!(stream, "HTTP/1.1 {status}\r\n\r\n");
            let _ = stream.shutdown(Shutdown::Write);
        });
        let health = "health: {http: /healthz, status: 204, host: it.test, interval: 20ms, rise: 2, fall: 2}";
        let upstream = format!("{{endpoints: [\"{}\"], {health}}}", server.address);
        let daemon = Setup::route("it", upstream, "").start();
        let down = |event: &Event| event.is("upstream.down", "it");
        let told = daemon.wait_for("it is down", secs(20), down);
        assert_eq!(told.text("error"), "answered 503, not 204");
        well.store(true, Ordering::SeqCst);
        daemon.wait_for("it is up", secs(20), |event| event.is("upstream.up", "it"));
        drop(server);
        let told = daemon.events.wait_for_n(2, "it is down", secs(20), down).swap_remove(1);
        assert_eq!(told.text("error"), "connection refused");
    });
}
