//! Listening: bind, accept, nothing else. Whatever takes time happens in the connection's own task.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Instant;

use super::budget::{Share, Slot};
use super::{Bind, LocalPort};

/// Connections the system may keep for us until they are accepted; it takes less where its own limit is lower.
const BACKLOG: i32 = 4096;

const FIRST_PAUSE: Duration = Duration::from_millis(10);
/// So many clients that fail one after the other are no coincidence.
const IN_A_ROW: u32 = 16;

const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// A bound and listening socket.
#[derive(Debug)]
pub struct Listener {
    socket: TcpListener,
    address: SocketAddr,
}

/// An accepted client.
pub struct Accepted {
    /// The client's stream.
    pub stream: TcpStream,
    /// The client's address.
    pub client: SocketAddr,
    /// When it was accepted.
    pub at: Instant,
    /// Its place in the budget, to be kept as long as the connection is.
    pub slot: Slot,
}

impl Listener {
    /// Binds and listens.
    pub fn bind(bind: Bind, port: LocalPort) -> io::Result<Self> {
        let port = match port {
            LocalPort::Auto => 0,
            LocalPort::Fixed(port) => port,
        };
        let socket = match bind {
            Bind::Ip(ip) => open(SocketAddr::new(ip, port), true)?,
            Bind::Any => match open(SocketAddr::new(Ipv6Addr::UNSPECIFIED.into(), port), false) {
                // A machine without IPv6 has only one family to offer.
                Err(e) if no_ipv6(&e) => open(SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), port), false)?,
                opened => opened?,
            },
        };
        let address = socket.local_addr()?;
        Ok(Listener { socket: TcpListener::from_std(socket)?, address })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Accepts until told to stop. It goes on listening: another may accept, or what waits may be taken before it closes.
    ///
    /// While the budget is spent, one client waits in hand and the others in the system's queue.
    pub async fn run(
        &self,
        budget: &Share,
        stop: impl Future<Output = ()>,
        mut accepted: impl FnMut(Accepted),
        mut failed: impl FnMut(&io::Error),
        mut spent: impl FnMut(),
    ) {
        let mut stop = std::pin::pin!(stop);
        let mut pause = FIRST_PAUSE;
        let mut in_a_row = 0;
        loop {
            let outcome = tokio::select! {
                biased;
                () = &mut stop => return,
                outcome = self.socket.accept() => outcome,
            };
            match outcome {
                Ok((stream, client)) => {
                    pause = FIRST_PAUSE;
                    in_a_row = 0;
                    let at = Instant::now();
                    if let Some(slot) = budget.try_take() {
                        accepted(Accepted::new(stream, client, at, slot));
                        continue;
                    }
                    spent();
                    let slot = tokio::select! {
                        biased;
                        slot = budget.take() => Some(slot),
                        () = &mut stop => None,
                    };
                    let over = slot.is_none();
                    // Without any place left for it, the client in hand is let go.
                    if let Some(slot) = slot.or_else(|| budget.try_take_last()) {
                        accepted(Accepted::new(stream, client, at, slot));
                    }
                    if over {
                        return;
                    }
                }
                Err(e) if is_about_one_client(&e) && in_a_row < IN_A_ROW => {
                    in_a_row += 1;
                    failed(&e);
                }
                Err(e) => {
                    failed(&e);
                    // A client that breaks off says nothing about how the system is, however many of them do.
                    let wait = if is_about_one_client(&e) { FIRST_PAUSE } else { pause };
                    tokio::select! {
                        () = &mut stop => return,
                        () = tokio::time::sleep(wait) => pause = (wait * 2).min(LONGEST_PAUSE),
                    }
                }
            }
        }
    }

    /// Accepts what the system already holds, as many as there is room for: closing the socket resets the others.
    pub fn take_waiting(
        &self,
        budget: &Share,
        mut accepted: impl FnMut(Accepted),
        mut failed: impl FnMut(&io::Error),
    ) {
        for _ in 0..BACKLOG {
            let Some(slot) = budget.try_take() else { break };
            match accept_now(&self.socket) {
                Ok((stream, client)) => accepted(Accepted::new(stream, client, Instant::now(), slot)),
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => break,
                Err(e) => failed(&e),
            }
        }
    }
}

impl Accepted {
    fn new(stream: TcpStream, client: SocketAddr, at: Instant, slot: Slot) -> Self {
        // Small messages must not wait for each other. Where it cannot be set the stream is dead, and says so.
        let _ = stream.set_nodelay(true);
        Accepted { stream, client, at, slot }
    }
}

/// What is waiting now; an error when nothing is. The system is asked itself: what the runtime remembers may be old.
fn accept_now(socket: &TcpListener) -> io::Result<(TcpStream, SocketAddr)> {
    let socket = socket2::SockRef::from(socket);
    let (stream, client) = socket.accept()?;
    stream.set_nonblocking(true)?;
    let client = client.as_socket().ok_or(io::ErrorKind::InvalidData)?;
    Ok((TcpStream::from_std(stream.into())?, client))
}

fn open(address: SocketAddr, only_v6: bool) -> io::Result<std::net::TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        socket.set_only_v6(only_v6)?;
    }
    // The urgent byte stays in its place in the stream; accepted sockets inherit this.
    socket.set_out_of_band_inline(true)?;
    // A restart must not wait for old connections to be forgotten. Not SO_REUSEPORT: it hides a second daemon.
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// Whether an address could not be had because there is no IPv6.
pub(crate) fn no_ipv6(error: &io::Error) -> bool {
    use rustix::io::Errno;
    let no = [Errno::AFNOSUPPORT, Errno::ADDRNOTAVAIL];
    error.raw_os_error().is_some_and(|code| no.iter().any(|errno| errno.raw_os_error() == code))
}

/// Errors of the client that was to be accepted, not of the listener: the next one may be fine.
fn is_about_one_client(error: &io::Error) -> bool {
    use rustix::io::Errno;
    let of_client = [
        Errno::CONNABORTED,
        Errno::INTR,
        Errno::PROTO,
        Errno::PERM,
        Errno::NETDOWN,
        Errno::NETUNREACH,
        Errno::HOSTDOWN,
        Errno::HOSTUNREACH,
        Errno::NOPROTOOPT,
        Errno::OPNOTSUPP,
    ];
    error.raw_os_error().is_some_and(|code| of_client.iter().any(|errno| errno.raw_os_error() == code))
}
