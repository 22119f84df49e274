//! The names of upstreams with a name server of the test's own: the program runs with another `/etc/resolv.conf`, in a
//! mount and a network namespace.

#![cfg(target_os = "linux")]
#![allow(clippy::disallowed_types, clippy::disallowed_methods, reason = "over real sockets time is real")]
#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "a test that cannot go on should say so loudly")]

mod support;

use std::io::Write;
use std::net::{Ipv4Addr, TcpListener, UdpSocket};
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Instant;

use support::*;

/// Where the name server is, in its namespace.
const NAME_SERVER: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 53);

/// What the name server says to whoever asks for anything.
#[derive(Clone, Copy)]
enum Answer {
    Nothing,
    ServFail,
    /// The name is another name for itself.
    Circle,
    Address(Ipv4Addr),
}

/// A name server.
struct NameServer {
    answer: Arc<Mutex<Answer>>,
    asked: Arc<AtomicUsize>,
    stopped: Arc<AtomicBool>,
}

impl NameServer {
    /// That says nothing yet.
    fn on(socket: UdpSocket) -> Self {
        let server = NameServer {
            answer: Arc::new(Mutex::new(Answer::Nothing)),
            asked: Arc::default(),
            stopped: Arc::default(),
        };
        let (answer, asked, stopped) = (server.answer.clone(), server.asked.clone(), server.stopped.clone());
        socket.set_read_timeout(Some(ms(100))).unwrap();
        thread::spawn(move || {
            let mut query = [0; 512];
            while !stopped.load(Ordering::SeqCst) {
                let Ok((n, from)) = socket.recv_from(&mut query) else { continue };
                asked.fetch_add(1, Ordering::SeqCst);
                let answer = *locked(&answer);
                if let Some(reply) = reply(&query[..n], answer) {
                    let _ = socket.send_to(&reply, from);
                }
            }
        });
        server
    }

    fn says(&self, answer: Answer) {
        *locked(&self.answer) = answer;
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

impl Drop for NameServer {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::SeqCst);
    }
}

fn locked(answer: &Mutex<Answer>) -> MutexGuard<'_, Answer> {
    answer.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The reply to a query of one question, as RFC 1035 has it. Only the type A has an address.
fn reply(query: &[u8], answer: Answer) -> Option<Vec<u8>> {
    let name = query.get(12..)?.iter().position(|byte| *byte == 0)?;
    let question = query.get(12..12 + name + 5)?;
    let is_a = question.get(name + 1..name + 3)? == [0, 1];
    // A record about the name of the question, class IN, for 0 s: its type, and what it says.
    let record = |kind: u8, data: &[u8]| {
        let mut record = vec![0xc0, 12, 0, kind, 0, 1, 0, 0, 0, 0, 0, data.len() as u8];
        record.extend(data);
        record
    };
    const A: u8 = 1;
    const CNAME: u8 = 5;
    let (code, record) = match answer {
        Answer::Nothing => return None,
        Answer::ServFail => (2, None),
        Answer::Circle => (0, Some(record(CNAME, &[0xc0, 12]))),
        Answer::Address(address) => (0, is_a.then(|| record(A, &address.octets()))),
    };
    let mut reply = query.get(..2)?.to_vec();
    reply.extend([0x81, 0x80 | code, 0, 1, 0, u8::from(record.is_some()), 0, 0, 0, 0]);
    reply.extend(question);
    reply.extend(record.unwrap_or_default());
    Some(reply)
}

/// Says its word to whoever comes, and stays.
fn greeter(namespace: &Namespace, ip: Ipv4Addr, word: u8) -> Upstream {
    let listener = namespace.inside(|| TcpListener::bind((ip, 5000)).unwrap());
    Upstream::serve_on(listener, move |mut stream, _| {
        let _ = stream.write_all(&[word]);
        // Until its client ends.
        while let Ok(byte) = read_byte(&stream) {
            let _ = stream.write_all(&[byte]);
        }
    })
}

/// The name server is down when the program starts, then it answers, fails for a while, and then answers otherwise.
#[test]
fn the_system_resolver_is_asked_again_and_its_last_good_answer_kept() {
    within(secs(120), || {
        let Some(namespace) = Namespace::new() else { return };
        let directory = tempfile::tempdir().unwrap();
        let file = |name: &str, text: &str| {
            let path = directory.path().join(name);
            std::fs::write(&path, text).unwrap();
            path.display().to_string()
        };
        let conf = format!("nameserver {NAME_SERVER}\noptions timeout:1 attempts:1\n");
        let (conf, switch) = (file("resolv.conf", &conf), file("nsswitch.conf", "hosts: files dns\n"));
        let mount = format!(
            "mount --bind '{conf}' /etc/resolv.conf && \
             {{ [ ! -e /etc/nsswitch.conf ] || mount --bind '{switch}' /etc/nsswitch.conf; }} && exec \"$0\" \"$@\""
        );
        let mut wrapper = namespace.wrapper();
        wrapper.extend(["unshare", "-m", "sh", "-c", &mount].map(str::to_owned));
        if !Command::new(&wrapper[0]).args(&wrapper[1..]).arg("true").status().unwrap().success() {
            loudly("SKIPPED: this machine gives no resolv.conf of one's own");
            return;
        }

        let server = NameServer::on(namespace.inside(|| UdpSocket::bind((NAME_SERVER, 53)).unwrap()));
        let (two, three) = (Ipv4Addr::new(127, 0, 0, 2), Ipv4Addr::new(127, 0, 0, 3));
        let _greeters = [greeter(&namespace, two, b'2'), greeter(&namespace, three, b'3')];
        let routes =
            [route("it", "db.test:5000", "timeouts: {connect: 3s}"), route("other", "builtin:echo", "")];
        let wrapper: Vec<&str> = wrapper.iter().map(String::as_str).collect();
        let daemon = Setup::routes(routes).wrapper(&wrapper).start();
        let to = |route| {
            let address = daemon.address(route);
            namespace.inside(|| connect(address))
        };
        let greeting = || read_byte(&to("it"));

        // It has started without the name server, and another route does not wait for it.
        let waiting = to("it");
        eventually(secs(5), "the name is asked for", || server.asked() > 0);
        let begun = Instant::now();
        let mut other = to("other");
        other.write_all(b"x").unwrap();
        assert_eq!(read_byte(&other), Ok(b'x'));
        assert!(begun.elapsed() < ms(900), "another route waited for the name server");
        assert!(read_byte(&waiting).is_err());

        server.says(Answer::Address(two));
        eventually(secs(6), "the name is found", || greeting() == Ok(b'2'));
        let mut early = to("it");
        assert_eq!(read_byte(&early), Ok(b'2'));

        // Longer than an answer is kept; after that it is asked for again and again.
        for (useless, time) in [(Answer::ServFail, secs(7)), (Answer::Circle, ms(2500))] {
            server.says(useless);
            let (begun, asked) = (Instant::now(), server.asked());
            while begun.elapsed() < time {
                assert_eq!(greeting(), Ok(b'2'));
                thread::sleep(ms(100));
            }
            assert!(server.asked() > asked, "it was not asked again");
        }

        server.says(Answer::Address(three));
        eventually(secs(6), "the new address is used", || greeting() == Ok(b'3'));
        // Connections from before stay where they are.
        early.write_all(b"y").unwrap();
        assert_eq!(read_byte(&early), Ok(b'y'));
        server.says(Answer::Address(two));
        eventually(secs(6), "another address is used", || greeting() == Ok(b'2'));
    });
}
