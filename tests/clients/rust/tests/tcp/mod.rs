//! What the tests have at both ends of a proxy, with a limit to every wait.

use std::io::{ErrorKind, Read, Result};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

pub const LONGEST_WAIT: Duration = Duration::from_secs(10);

/// A server whose side of each connection the test holds.
pub struct Upstream {
    pub address: SocketAddr,
    accepted: Receiver<TcpStream>,
}

impl Upstream {
    pub fn start() -> Upstream {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let (give, accepted) = channel();
        // Ends with the process.
        thread::spawn(move || listener.incoming().try_for_each(|connection| give.send(connection.unwrap())));
        Upstream { address, accepted }
    }

    /// Its side of the next connection.
    pub fn accept(&self) -> TcpStream {
        ready(self.accepted.recv_timeout(LONGEST_WAIT).expect("a connection"))
    }
}

pub fn connect(address: SocketAddr) -> Result<TcpStream> {
    TcpStream::connect_timeout(&address, LONGEST_WAIT).map(ready)
}

fn ready(connection: TcpStream) -> TcpStream {
    connection.set_nodelay(true).unwrap();
    connection.set_read_timeout(Some(LONGEST_WAIT)).unwrap();
    connection
}

/// The next so many bytes, or fewer if the connection was closed after them.
pub fn receive(connection: &TcpStream, count: u64) -> Vec<u8> {
    let mut received = Vec::new();
    connection.take(count).read_to_end(&mut received).unwrap();
    received
}

/// How a connection came to its end.
#[derive(Debug, PartialEq, Eq)]
pub enum Ending {
    Fin,
    Reset,
}

/// Waits for the end. What comes before it is passed over.
pub fn ending(mut connection: &TcpStream) -> Ending {
    match connection.read_to_end(&mut Vec::new()) {
        Ok(_) => Ending::Fin,
        Err(error) if error.kind() == ErrorKind::ConnectionReset => Ending::Reset,
        Err(error) => panic!("{error}"),
    }
}

/// Whether nothing comes, nor an end, for so long.
pub fn is_silent(connection: &TcpStream, time: Duration) -> bool {
    connection.set_read_timeout(Some(time)).unwrap();
    let nothing = connection.peek(&mut [0]);
    connection.set_read_timeout(Some(LONGEST_WAIT)).unwrap();
    nothing.is_err_and(|error| matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut))
}

/// How long something takes.
pub fn takes(work: impl FnOnce()) -> Duration {
    let begun = Instant::now();
    work();
    begun.elapsed()
}
