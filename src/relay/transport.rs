//! What the relay moves bytes through: a TCP stream, a responder inside this program, or a pipe in a test.
//!
//! Everything works through a shared reference, so that both directions and the watch for a reset can be under way at
//! once in one task.

use std::future::Future;
use std::io;
use std::task::{Context, Poll};

/// One end of a connection.
///
/// `read` and `write` answer [`io::ErrorKind::WouldBlock`] when they can do nothing now; the `poll_…` functions then
/// register the task and say when to try again. At most one task uses a transport.
pub trait Transport: Send + Sync {
    /// Ready when a read may do something: bytes, an end, or an error.
    fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>>;

    /// Reads what is there; 0 is the peer's FIN.
    fn read(&self, buf: &mut [u8]) -> io::Result<usize>;

    /// Ready when a write may do something.
    fn poll_writable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>>;

    /// Writes as much as fits.
    fn write(&self, bytes: &[u8]) -> io::Result<usize>;

    /// Sends FIN after everything written.
    fn shut_write(&self) -> io::Result<()>;

    /// Ready when nothing that was written still waits in this machine to be sent for the first time: only then may
    /// [`abort`](Self::abort) follow without taking bytes away from the peer.
    fn poll_sent(&self, cx: &mut Context<'_>) -> Poll<()>;

    /// Completes with what broke the connection, a reset for example, also while nobody reads or writes.
    fn broken(&self) -> impl Future<Output = io::Error> + Send;

    /// What the peer has ended its stream with, so far as the system knows, also while bytes before it wait unread.
    fn peer_ended(&self) -> Option<PeerEnd>;

    /// Ends the connection by RST.
    fn abort(self);
}

/// How a peer ended its stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PeerEnd {
    /// It has no more to say.
    Fin,
    /// It is gone.
    Reset,
}
