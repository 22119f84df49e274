//! Upstreams of the harness: servers in this process on ports the system gives.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU16, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use socket2::{Domain, Socket, Type};

use super::client::tame;
use super::{ms, secs};

/// A server that hands each connection, with its number from 1, to a function on its own thread.
pub(crate) struct Upstream {
    /// Where it listens.
    pub(crate) address: SocketAddr,
    accepted: Arc<AtomicU64>,
    stopped: Arc<AtomicBool>,
}

impl Upstream {
    /// Serves until it is dropped.
    pub(crate) fn serve(handler: impl Fn(TcpStream, u64) + Send + Sync + 'static) -> Self {
        Self::serve_on(TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a listener"), handler)
    }

    /// The same on a listener that there is already.
    pub(crate) fn serve_on(
        listener: TcpListener,
        handler: impl Fn(TcpStream, u64) + Send + Sync + 'static,
    ) -> Self {
        let address = listener.local_addr().expect("an address");
        let accepted = Arc::new(AtomicU64::new(0));
        let stopped = Arc::new(AtomicBool::new(false));
        let handler = Arc::new(handler);
        let (counter, stop) = (accepted.clone(), stopped.clone());
        thread::spawn(move || {
            while let Ok((stream, _)) = listener.accept() {
                if stop.load(Ordering::SeqCst) {
                    break;
                }
                let number = counter.fetch_add(1, Ordering::SeqCst) + 1;
                let handler = handler.clone();
                let work = move || handler(tame(stream), number);
                thread::Builder::new().stack_size(256 << 10).spawn(work).expect("a thread");
            }
        });
        Upstream { address, accepted, stopped }
    }

    /// Sends back what it gets, and ends when its client does.
    pub(crate) fn echo() -> Self {
        Upstream::serve(|mut stream, _| {
            let mut buf = vec![0; 64 << 10];
            // A client that resets is a client that has ended.
            while let Ok(n) = stream.read(&mut buf) {
                if n == 0 || stream.write_all(&buf[..n]).is_err() {
                    break;
                }
            }
        })
    }

    /// Says its word at once, and then waits for its client's end.
    pub(crate) fn banner(word: &'static str) -> Self {
        Upstream::serve(move |mut stream, _| {
            let _ = stream.write_all(word.as_bytes());
            let _ = stream.shutdown(std::net::Shutdown::Write);
            let _ = io::copy(&mut stream, &mut io::sink());
        })
    }

    /// How many connections it has had.
    pub(crate) fn accepted(&self) -> u64 {
        self.accepted.load(Ordering::SeqCst)
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::SeqCst);
        // Wakes the accepting thread, so that it sees that it is over.
        let _ = TcpStream::connect_timeout(&self.address, ms(500));
    }
}

/// A listener from which the test takes connections itself.
pub(crate) struct Listener(TcpListener);

impl Listener {
    /// On a port the system gives.
    pub(crate) fn new() -> Self {
        Listener(TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a listener"))
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.0.local_addr().expect("an address")
    }

    /// The next connection, if one comes within `limit`.
    pub(crate) fn accept_within(&self, limit: Duration) -> Option<TcpStream> {
        let timeout = Timespec::try_from(limit).expect("a time");
        let ready = poll(&mut [PollFd::new(&self.0, PollFlags::IN)], Some(&timeout)).expect("a poll");
        (ready > 0).then(|| tame(self.0.accept().expect("a connection").0))
    }

    /// The next connection, which has to come.
    pub(crate) fn accept(&self) -> TcpStream {
        self.accept_within(secs(20)).expect("a connection to the upstream")
    }
}

/// A listener whose queue is full: further connection attempts are not answered.
pub(crate) fn unanswering() -> (SocketAddr, Vec<Socket>) {
    let listener = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    listener.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into()).expect("an address");
    listener.listen(0).expect("a listener");
    let address = listener.local_addr().expect("an address").as_socket().expect("an address");
    let mut sockets = vec![listener];
    for _ in 0..64 {
        let filler = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
        let full = match filler.connect_timeout(&address.into(), ms(300)) {
            Ok(()) => false,
            Err(why) => {
                assert_eq!(why.kind(), ErrorKind::TimedOut, "{why}");
                true
            }
        };
        sockets.push(filler);
        if full {
            return (address, sockets);
        }
    }
    panic!("the queue of {address} does not fill");
}

/// An address of this machine at which nothing listens.
pub(crate) fn unused_address() -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, unused_port()))
}

/// A port below those the system gives away, free on both families. Where to begin depends on the process, so that
/// programs that do the same at the same time seldom meet.
pub(crate) fn unused_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    for _ in 0..4000 {
        let step = u32::from(NEXT.fetch_add(1, Ordering::Relaxed));
        let port = 20_000 + ((std::process::id().wrapping_mul(97) + step) % 12_000) as u16;
        if TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)).is_ok() {
            return port;
        }
    }
    panic!("no free port from 20000 to 31999");
}

/// Something to wait for that the test opens once.
#[derive(Clone, Default)]
pub(crate) struct Gate(Arc<(Mutex<bool>, Condvar)>);

impl Gate {
    /// Lets everyone through, now and later.
    pub(crate) fn open(&self) {
        *self.0.0.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.0.1.notify_all();
    }

    /// Waits until it is open; not for ever.
    pub(crate) fn wait(&self) {
        let until = Instant::now() + secs(60);
        let mut open = self.0.0.lock().unwrap_or_else(PoisonError::into_inner);
        while !*open {
            let left = until.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "the gate was never opened");
            open = self.0.1.wait_timeout(open, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}
