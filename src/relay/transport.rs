//! What the relay moves bytes through: a TCP stream, a responder inside this program, or a pipe in a test.
//!
//! Everything works through a shared reference, so that both directions and the watch for a reset can be under way at
//! once in one task.

use std::future::Future;
use std::io;
use std::task::{Context, Poll};

use bytes::BytesMut;

use super::pipe::Pipe;

/// One end of a connection.
///
/// `read` and `write` answer [`io::ErrorKind::WouldBlock`] when they can do nothing now; the `poll_…` functions then
/// register the task and say when to try again. At most one task uses a transport.
pub trait Transport: Send + Sync {
    /// Ready when a read may do something: bytes, an end, or an error.
    fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>>;

    /// Reads what is there; 0 is the peer's FIN.
    fn read(&self, buf: &mut [u8]) -> io::Result<usize>;

    /// Reads at most so many bytes behind those that are there already.
    fn read_more(&self, bytes: &mut BytesMut, most: usize) -> io::Result<usize> {
        let before = bytes.len();
        bytes.resize(before + most, 0);
        let read = self.read(&mut bytes[before..]);
        bytes.truncate(before + read.as_ref().map_or(0, |count| *count));
        read
    }

    /// Ready when a write may do something.
    fn poll_writable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>>;

    /// Writes as much as fits.
    fn write(&self, bytes: &[u8]) -> io::Result<usize>;

    /// Whether bytes can be moved out of it and into it by way of a pipe, without coming by this program.
    fn splices(&self) -> bool {
        false
    }

    /// Moves what is there into an empty pipe. What it says when it has moved nothing is not the last word: `read` knows
    /// whether there is nothing, or an end, or something that can only be read.
    ///
    /// [`io::ErrorKind::Unsupported`]: it cannot do that after all.
    fn splice_in(&self, _pipe: &mut Pipe) -> io::Result<usize> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Writes as much of what a pipe holds as fits.
    fn splice_out(&self, _pipe: &mut Pipe) -> io::Result<usize> {
        Err(io::ErrorKind::Unsupported.into())
    }

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
