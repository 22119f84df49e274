//! Clients, and the same operations for an upstream's side: connect, end, reset, and see how the other side ended.

use std::io::{ErrorKind, Read};
use std::net::{IpAddr, Shutdown, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use socket2::{Domain, SockRef, Socket, Type};

use super::{Pattern, secs};

/// How a peer ended its stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// By FIN.
    Fin,
    /// By RST.
    Reset,
}

/// A connection of the harness.
pub(crate) type Client = TcpStream;

/// No operation of the harness waits longer than this.
const PATIENCE: Duration = secs(40);

/// Makes a socket ready for tests: no operation lasts for ever, small writes leave at once.
pub(crate) fn tame(stream: TcpStream) -> TcpStream {
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    stream.set_write_timeout(Some(PATIENCE)).expect("a timeout");
    stream.set_nodelay(true).expect("no delay");
    stream
}

/// Connects.
pub(crate) fn connect(address: SocketAddr) -> Client {
    let stream = TcpStream::connect_timeout(&address, secs(20));
    tame(stream.unwrap_or_else(|why| panic!("connecting to {address}: {why}")))
}

/// Connects. A reset may come so soon that already the connect says so.
pub(crate) fn connect_or_reset(address: SocketAddr) -> Result<Client, End> {
    match TcpStream::connect_timeout(&address, secs(20)) {
        Ok(stream) => Ok(tame(stream)),
        Err(why) if why.kind() == ErrorKind::ConnectionReset => Err(End::Reset),
        Err(why) => panic!("connecting to {address}: {why}"),
    }
}

/// Connects in the same way, and reads a byte.
pub(crate) fn connect_and_read(address: SocketAddr) -> Result<u8, End> {
    read_byte(&connect_or_reset(address)?)
}

/// Whether a new connection is refused.
pub(crate) fn refused(address: SocketAddr) -> bool {
    match TcpStream::connect_timeout(&address, secs(5)) {
        Ok(_) => false,
        Err(why) => {
            // A connect that meets the closing of the listener may also be reset.
            assert!(
                [ErrorKind::ConnectionRefused, ErrorKind::ConnectionReset].contains(&why.kind()),
                "{why}"
            );
            true
        }
    }
}

/// Connects, and says when it began to.
pub(crate) fn connect_timed(address: SocketAddr) -> (Client, Instant) {
    let begun = Instant::now();
    (connect(address), begun)
}

/// Connects from a given address of the loopback.
pub(crate) fn connect_from(source: IpAddr, address: SocketAddr) -> Client {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None).expect("a socket");
    socket.bind(&SocketAddr::new(source, 0).into()).expect("a source address");
    socket.connect(&address.into()).expect("a connection");
    tame(socket.into())
}

/// Connects with a receive buffer so small that bytes wait elsewhere.
pub(crate) fn small_window(address: SocketAddr, bytes: usize) -> Client {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None).expect("a socket");
    socket.set_recv_buffer_size(bytes).expect("a buffer");
    socket.connect(&address.into()).expect("a connection");
    tame(socket.into())
}

/// Ends the write side by FIN.
pub(crate) fn shut(stream: &TcpStream) {
    stream.shutdown(Shutdown::Write).expect("a shutdown");
}

/// Ends the connection by RST.
pub(crate) fn reset(stream: TcpStream) {
    SockRef::from(&stream).set_linger(Some(Duration::ZERO)).expect("a linger");
    drop(stream);
}

/// Reads one byte, or says how the peer ended.
pub(crate) fn read_byte(mut stream: &TcpStream) -> Result<u8, End> {
    let mut byte = [0];
    match stream.read(&mut byte) {
        Ok(0) => Err(End::Fin),
        Ok(_) => Ok(byte[0]),
        Err(why) if why.kind() == ErrorKind::ConnectionReset => Err(End::Reset),
        Err(why) => panic!("reading a byte: {why}"),
    }
}

/// Reads to the end, and says what came and how it ended.
pub(crate) fn read_all(mut stream: &TcpStream) -> (Vec<u8>, End) {
    let mut bytes = Vec::new();
    let mut buf = vec![0; 64 << 10];
    loop {
        match stream.read(&mut buf) {
            Ok(0) => return (bytes, End::Fin),
            Ok(n) => bytes.extend_from_slice(&buf[..n]),
            Err(why) if why.kind() == ErrorKind::ConnectionReset => return (bytes, End::Reset),
            Err(why) => panic!("reading after {} bytes: {why}", bytes.len()),
        }
    }
}

/// Reads a pattern to the end, checking it, and says how far it went and how it ended. After each read it waits `pause`.
pub(crate) fn read_end(mut stream: &TcpStream, pattern: Pattern, from: u64, pause: Duration) -> (u64, End) {
    let mut at = from;
    let mut buf = vec![0; 64 << 10];
    loop {
        match stream.read(&mut buf) {
            Ok(0) => return (at, End::Fin),
            Ok(n) => {
                pattern.check(at, &buf[..n]);
                at += n as u64;
            }
            Err(why) if why.kind() == ErrorKind::ConnectionReset => return (at, End::Reset),
            Err(why) => panic!("reading at {at}: {why}"),
        }
        if !pause.is_zero() {
            std::thread::sleep(pause);
        }
    }
}
