//! An endpoint that dies is passed over before a client notices; one that is sick is noticed within the time its health checks
//! take; one that recovers gets its connections back.

#![allow(clippy::disallowed_types, clippy::disallowed_methods, reason = "over real sockets time is real")]
#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "a test that cannot go on should say so loudly")]

mod support;

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, RwLock};
use std::thread;
use std::time::{Duration, Instant};

use support::*;

/// New connections, from all workers together, each this long after the one before it: 500 a second.
const PACE: Duration = ms(2);
const WORKERS: u32 = 4;

/// An upstream that can be killed, made sick, and brought back on the same port. It answers with its own letter, and to HTTP
/// with 200.
struct Replica {
    letter: u8,
    port: u16,
    sick: Arc<AtomicBool>,
    serving: Mutex<Option<Upstream>>,
}

impl Replica {
    fn new(letter: u8) -> Self {
        let replica =
            Replica { letter, port: unused_port(), sick: Arc::default(), serving: Mutex::new(None) };
        replica.revive();
        replica
    }

    fn address(&self) -> SocketAddr {
        SocketAddr::from((Ipv4Addr::LOCALHOST, self.port))
    }

    fn kill(&self) {
        *self.serving.lock().unwrap() = None;
        let refused = || TcpStream::connect(self.address()).is_err();
        eventually(secs(5), "the port refuses", refused);
    }

    fn revive(&self) {
        let (letter, sick) = (self.letter, self.sick.clone());
        let listener = TcpListener::bind(self.address()).unwrap();
        let serve = move |mut stream: TcpStream, _| {
            let mut request = [0; 512];
            let Ok(n) = stream.read(&mut request) else { return };
            if sick.load(Ordering::SeqCst) {
                return;
            }
            let http = request[..n].starts_with(b"GET ");
            let _ = stream.write_all(if http {
                b"HTTP/1.1 200 OK\r\n\r\n"
            } else {
                std::slice::from_ref(&letter)
            });
        };
        *self.serving.lock().unwrap() = Some(Upstream::serve_on(listener, serve));
    }
}

/// When a client ended, and who answered it.
type Served = (Instant, Option<u8>);

/// Clients that come at a steady pace, until it is dropped; and what became of each.
struct Load {
    stop: Arc<AtomicBool>,
    /// Held by each client while it is under way; whoever has it for writing knows that none is.
    under_way: Arc<RwLock<()>>,
    /// When each ended, and who answered; none: nobody did.
    served: Arc<Mutex<Vec<Served>>>,
    workers: Vec<thread::JoinHandle<()>>,
}

impl Load {
    fn on(address: SocketAddr) -> Self {
        let (stop, under_way) = (Arc::new(AtomicBool::new(false)), Arc::new(RwLock::new(())));
        let served = Arc::new(Mutex::new(Vec::new()));
        let begun = Instant::now();
        let workers = (0..WORKERS).map(|worker| {
            let (stop, under_way, served) = (stop.clone(), under_way.clone(), served.clone());
            thread::spawn(move || {
                let mut next = begun + PACE * worker;
                while !stop.load(Ordering::SeqCst) {
                    thread::sleep(next.saturating_duration_since(Instant::now()));
                    next += PACE * WORKERS;
                    let one = under_way.read().unwrap();
                    let answer = ask(address);
                    served.lock().unwrap().push((Instant::now(), answer));
                    drop(one);
                }
            })
        });
        let workers = workers.collect();
        Load { stop, under_way, served, workers }
    }

    /// Does something while no client is under way: what is killed then had answered everyone.
    fn between_clients(&self, act: impl FnOnce()) -> Instant {
        let _none = self.under_way.write().unwrap();
        act();
        Instant::now()
    }

    /// Waits until `n` clients in a row were answered by `letter`, and says when the first of them was.
    fn settles_on(&self, letter: u8, n: usize) -> Instant {
        let mut first = Instant::now();
        eventually(secs(10), "the answers come from one replica", || {
            let served = self.served.lock().unwrap();
            let last = served.len().checked_sub(n).map(|from| &served[from..]);
            last.is_some_and(|last| {
                first = last[0].0;
                last.iter().all(|(_, answer)| *answer == Some(letter))
            })
        });
        first
    }

    fn end(mut self) -> Vec<Served> {
        self.stop.store(true, Ordering::SeqCst);
        self.workers.drain(..).for_each(|worker| worker.join().unwrap());
        self.served.lock().unwrap().clone()
    }
}

fn ask(address: SocketAddr) -> Option<u8> {
    let mut stream = TcpStream::connect(address).ok()?;
    stream.set_read_timeout(Some(secs(10))).unwrap();
    stream.write_all(b"?").ok()?;
    let mut answer = [0];
    stream.read_exact(&mut answer).ok()?;
    Some(answer[0])
}

fn errors(served: &[Served]) -> Vec<Instant> {
    served.iter().filter(|(_, answer)| answer.is_none()).map(|(at, _)| *at).collect()
}

fn three() -> [Replica; 3] {
    [b'a', b'b', b'c'].map(Replica::new)
}

fn upstream(replicas: &[Replica], rest: &str) -> String {
    let addresses: Vec<String> =
        replicas.iter().map(|replica| format!("\"{}\"", replica.address())).collect();
    format!("{{endpoints: [{}]{rest}}}", addresses.join(", "))
}

/// The first of three is killed under 500 connections a second: nobody sees an error; and when it is back, so are its
/// connections.
#[test]
fn a_killed_endpoint_is_noticed_by_nobody_and_gets_its_connections_back() {
    let _alone = heavy();
    within(secs(60), || {
        let replicas = three();
        let health = ", health: {interval: 100ms, timeout: 100ms, rise: 2, fall: 2}";
        let daemon = Setup::route("it", upstream(&replicas, health), "").start();
        let load = Load::on(daemon.address("it"));
        load.settles_on(b'a', 200);
        let killed = load.between_clients(|| replicas[0].kill());
        let moved = load.settles_on(b'b', 100);
        let down = daemon.wait_for("it is down", secs(5), |event| event.is("upstream.down", "it"));
        load.settles_on(b'b', 200);
        let revived = load.between_clients(|| replicas[0].revive());
        let back = load.settles_on(b'a', 100);
        let served = load.end();
        assert!(errors(&served).is_empty(), "{} of {} had no answer", errors(&served).len(), served.len());
        loudly(&format!(
            "{} clients at {:.0} a second, no error; the next endpoint answered {:?} after the kill, it was marked down after {:?}, and \
             answered again {:?} after its return",
            served.len(),
            served.len() as f64 / (served[served.len() - 1].0 - served[0].0).as_secs_f64(),
            moved - killed,
            down.seen.saturating_duration_since(killed),
            back - revived
        ));
        assert!(back - revived < secs(3), "{:?}", back - revived);
    });
}

/// Without health checks too, and in turns.
#[test]
fn in_turns_a_killed_endpoint_is_passed_over() {
    let _alone = heavy();
    within(secs(60), || {
        let replicas = three();
        let daemon = Setup::route("it", upstream(&replicas, ", balance: roundRobin"), "").start();
        let load = Load::on(daemon.address("it"));
        eventually(secs(10), "a hundred clients", || load.served.lock().unwrap().len() > 100);
        load.between_clients(|| replicas[1].kill());
        let before = load.served.lock().unwrap().len();
        eventually(secs(10), "six hundred more", || load.served.lock().unwrap().len() > before + 600);
        let served = load.end();
        assert!(errors(&served).is_empty(), "{} of {} had no answer", errors(&served).len(), served.len());
        assert!(served[before..].iter().all(|(_, answer)| *answer != Some(b'b')));
        let shares = [b'a', b'c']
            .map(|letter| served[before..].iter().filter(|(_, answer)| *answer == Some(letter)).count());
        assert!(shares[0] > 150 && shares[1] > 150, "{shares:?}");
    });
}

/// One that takes connections and says nothing cannot be passed over by dialling: clients suffer until its health check has
/// noticed, and no longer.
#[test]
fn a_sick_endpoint_hurts_for_one_detection_time() {
    let _alone = heavy();
    within(secs(60), || {
        let replicas = three();
        let health = ", health: {interval: 100ms, timeout: 100ms, rise: 2, fall: 3, http: /healthz}";
        let daemon = Setup::route("it", upstream(&replicas, health), "").start();
        let load = Load::on(daemon.address("it"));
        load.settles_on(b'a', 200);
        let sick = load.between_clients(|| replicas[0].sick.store(true, Ordering::SeqCst));
        daemon.wait_for("it is down", secs(5), |event| event.is("upstream.down", "it"));
        load.settles_on(b'b', 300);
        let well = load.between_clients(|| replicas[0].sick.store(false, Ordering::SeqCst));
        let back = load.settles_on(b'a', 100);
        let served = load.end();
        let errors = errors(&served);
        let last = errors.last().map_or(Duration::ZERO, |at| *at - sick);
        loudly(&format!(
            "{} errors, the last {last:?} after it fell sick; back {:?} after it was well",
            errors.len(),
            back - well
        ));
        assert!(!errors.is_empty() && errors.iter().all(|at| *at > sick), "it is sick before it is noticed");
        // Three answers, a hundred milliseconds apart, and what a busy machine adds.
        assert!(last < secs(1), "the last error came after {last:?}");
    });
}
