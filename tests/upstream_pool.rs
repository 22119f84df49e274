//! Connections opened ahead of need save the handshake, and none that has died is handed out.

#![allow(clippy::disallowed_types, clippy::disallowed_methods, reason = "over real sockets time is real")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should say so loudly")]

mod support;

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use socket2::Socket;
use support::*;

fn upstream(address: SocketAddr, pool: &str) -> String {
    format!("{{endpoints: [\"{address}\"], pool: {{{pool}}}}}")
}

/// A server whose handshakes take long: its queue is full when one begins, and when the kernel tries once more, a second
/// later, there is room. It greets each client with its number, of one digit.
struct SlowToShake {
    address: SocketAddr,
    sockets: Vec<Socket>,
}

impl SlowToShake {
    fn new() -> Self {
        let (address, sockets) = unanswering();
        SlowToShake { address, sockets }
    }

    /// Makes room after so long, and greets whoever comes. The first client's greeting is told.
    fn greet_after(self, wait: Duration) -> Receiver<()> {
        let (tell, told) = channel();
        thread::spawn(move || {
            thread::sleep(wait);
            let SlowToShake { mut sockets, .. } = self;
            let listener = sockets.remove(0);
            let local = |filler: &Socket| filler.local_addr().ok()?.as_socket();
            let fillers: Vec<SocketAddr> = sockets.iter().filter_map(local).collect();
            let mut greeted: Vec<TcpStream> = Vec::new();
            while let Ok((stream, peer)) = listener.accept() {
                if peer.as_socket().is_none_or(|peer| fillers.contains(&peer)) {
                    continue;
                }
                let mut stream = TcpStream::from(stream);
                let _ = write!(stream, "{}", (greeted.len() + 1).min(9));
                greeted.push(stream);
                if tell.send(()).is_err() {
                    // The test is over.
                    return;
                }
            }
        });
        told
    }
}

/// Without a pool a client waits for the handshake; with one it does not.
#[test]
fn the_first_byte_comes_sooner_by_the_time_of_the_handshake() {
    within(secs(120), || {
        let slow = SlowToShake::new();
        let daemon = Setup::route("it", slow.address, "").start();
        let _told = slow.greet_after(ms(300));
        let (client, begun) = connect_timed(daemon.address("it"));
        assert_eq!(read_byte(&client), Ok(b'1'));
        let without = begun.elapsed();
        // A handshake that begins while there is no room is finished a second after its beginning.
        assert!(without >= ms(700), "the handshake took {without:?} only");

        best_of_three("the first byte with a pool", without - ms(600), || {
            let slow = SlowToShake::new();
            let daemon = Setup::route("it", upstream(slow.address, "size: 1"), "").start();
            let told = slow.greet_after(ms(300));
            told.recv_timeout(secs(20)).unwrap();
            let (client, begun) = connect_timed(daemon.address("it"));
            match read_byte(&client) {
                Ok(b'1') => {
                    let with = begun.elapsed();
                    loudly(&format!(
                        "the first byte came after {without:?} without a pool, {with:?} with one"
                    ));
                    with
                }
                // The pool had not yet heard that its handshake was done: this client was given one of its own.
                _ => secs(60),
            }
        });
    });
}

/// How an upstream ends a connection that waits.
fn kill(how: usize, mut stream: TcpStream) -> Option<TcpStream> {
    match how {
        0 => drop(stream),
        1 => reset(stream),
        2 => {
            stream.write_all(b"too late").unwrap();
            stream.shutdown(Shutdown::Write).unwrap();
            return Some(stream);
        }
        _ => {
            shut(&stream);
            return Some(stream);
        }
    }
    None
}

/// A hundred times the upstream ends what waits, in all ways that there are, and at once a client comes: it is served.
#[test]
fn one_that_has_died_is_never_handed_out() {
    within(secs(300), || {
        thread::scope(|scope| {
            for how in 0..4 {
                scope.spawn(move || end_what_waits_and_come(how, 25));
            }
        });
    });
}

fn end_what_waits_and_come(how: usize, rounds: usize) {
    let server = Listener::new();
    let daemon = Setup::route("it", upstream(server.address(), "size: 2, maxAge: 10m"), "").start();
    let mut waiting: Vec<TcpStream> = Vec::new();
    for round in 0..rounds {
        while waiting.len() < 2 {
            waiting.push(server.accept());
        }
        // They have waited: one that is ended as soon as it is open makes the pool pause, which is another promise.
        thread::sleep(ms(200));
        let _ends: Vec<TcpStream> = waiting.drain(..).filter_map(|stream| kill(how, stream)).collect();
        let mut client = connect(daemon.address("it"));
        client.write_all(b"x").unwrap();
        let begun = Instant::now();
        let mut served = None;
        while served.is_none() {
            assert!(begun.elapsed() < secs(20), "{how}, round {round}: the client reached nobody");
            waiting.extend(server.accept_within(ms(1)));
            served = waiting.iter().position(|mut stream| {
                stream.set_nonblocking(true).unwrap();
                match stream.read(&mut [0]) {
                    Ok(n) => n == 1,
                    Err(why) => why.kind() != ErrorKind::WouldBlock,
                }
            });
        }
        let mut served = waiting.swap_remove(served.unwrap());
        served.write_all(b"y").unwrap();
        assert_eq!(read_byte(&client), Ok(b'y'), "{how}, round {round}");
    }
}

/// An upstream that speaks first does so while its connection waits; the client reads it from the beginning.
#[test]
fn an_upstream_that_speaks_first_is_heard() {
    within(secs(60), || {
        let server = Upstream::serve(|mut stream, number| {
            let _ = write!(stream, "220 hello {number}\r\n");
            let _ = std::io::copy(&mut stream.try_clone().unwrap(), &mut stream);
        });
        let daemon = Setup::route("it", upstream(server.address, "size: 1, maxAge: 10m"), "").start();
        let mut waited = 0;
        for clients in 0..20 {
            // Each client has had one, and one more waits.
            let there = clients + 1;
            eventually(secs(20), "a connection waits", || server.accepted() == there);
            let mut client = connect(daemon.address("it"));
            client.write_all(b"quit\r\n").unwrap();
            shut(&client);
            let (said, end) = read_all(&client);
            let said = String::from_utf8(said).unwrap();
            let number = said.strip_prefix("220 hello ").and_then(|rest| rest.strip_suffix("\r\nquit\r\n"));
            let number: u64 = number.and_then(|number| number.parse().ok()).expect(&said);
            assert_eq!(end, End::Fin);
            // One that the pool has not heard of yet is not handed out: then the client has one of its own.
            waited += u32::from(number <= there);
        }
        assert!(waited > 10, "{waited} of 20 clients had a connection that waited");
    });
}

/// Nobody dials before a client does, unless a pool asks for it.
#[test]
fn without_a_pool_nobody_dials_ahead() {
    within(secs(60), || {
        let server = Listener::new();
        let daemon = Setup::route("it", server.address(), "").start();
        assert!(server.accept_within(ms(500)).is_none());
        let _client = connect(daemon.address("it"));
        server.accept();
        assert!(server.accept_within(ms(200)).is_none());
    });
}
