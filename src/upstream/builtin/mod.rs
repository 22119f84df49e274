//! The upstreams inside this program: echo, http, discard, chargen and silent.
//!
//! Each is a [`Responder`]: a passive state machine that is handed bytes and an end and gives bytes and an end. It owns
//! no task, no socket and no clock, so it is tested as a plain value. [`BuiltinStream`] makes one of them look like the
//! far end of a connection, so that the relay need not know whether it speaks to a socket.

mod chargen;
mod discard;
mod echo;
mod http;
mod http_body;
mod http_head;
mod pending;
mod silent;

use std::future::{Future, pending};
use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use super::Builtin;
use crate::relay::{PeerEnd, Transport};

/// How many bytes of answer a responder holds at most; while it has no room for more it takes nothing.
const CAPACITY: usize = 64 << 10;

/// What a responder says when it is asked for bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answer {
    /// So many bytes were given.
    Bytes(usize),
    /// Nothing now.
    Nothing,
    /// Nothing ever again: the responder's FIN.
    End,
}

/// One end of a conversation, as a state machine.
trait Responder: Send {
    /// Whether [`take`](Self::take) would take at least one byte now.
    fn accepts(&self) -> bool;

    /// Takes as many of the client's bytes as it can now, and says how many.
    fn take(&mut self, bytes: &[u8]) -> usize;

    /// The client's FIN: no byte follows those taken.
    fn finish(&mut self);

    /// Whether [`answer`](Self::answer) would give something now, be it the end.
    fn has_answer(&self) -> bool;

    /// Gives bytes to the client.
    fn answer(&mut self, buf: &mut [u8]) -> Answer;
}

/// A builtin upstream as a connection's far end.
///
/// It is passive: whatever one direction does makes the other direction ready and wakes whoever waits for it.
pub struct BuiltinStream {
    inner: Mutex<Inner>,
}

struct Inner {
    responder: Box<dyn Responder>,
    finished: bool,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

impl BuiltinStream {
    /// A new conversation with this builtin.
    pub fn new(kind: Builtin) -> Self {
        let responder: Box<dyn Responder> = match kind {
            Builtin::Echo => Box::new(echo::Echo::default()),
            Builtin::Http => Box::new(http::Http::default()),
            Builtin::Discard => Box::new(discard::Discard::default()),
            Builtin::Chargen => Box::new(chargen::Chargen::default()),
            Builtin::Silent => Box::new(silent::Silent),
        };
        BuiltinStream { inner: Mutex::new(Inner { responder, finished: false, reader: None, writer: None }) }
    }

    /// No responder leaves itself half changed when it panics, so a poisoned lock is as good as a sound one.
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn writable(&self) -> bool {
        self.finished || self.responder.accepts()
    }

    fn wake_ready(&mut self) {
        if self.responder.has_answer()
            && let Some(waker) = self.reader.take()
        {
            waker.wake();
        }
        if self.writable()
            && let Some(waker) = self.writer.take()
        {
            waker.wake();
        }
    }
}

/// Keeps the waker of whoever asked last.
fn keep(slot: &mut Option<Waker>, cx: &Context<'_>) {
    match slot {
        Some(waker) => waker.clone_from(cx.waker()),
        None => *slot = Some(cx.waker().clone()),
    }
}

impl Transport for BuiltinStream {
    fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut inner = self.lock();
        if inner.responder.has_answer() {
            return Poll::Ready(Ok(()));
        }
        keep(&mut inner.reader, cx);
        Poll::Pending
    }

    fn read(&self, buf: &mut [u8]) -> io::Result<usize> {
        if buf.is_empty() {
            return Ok(0);
        }
        let mut inner = self.lock();
        match inner.responder.answer(buf) {
            Answer::Bytes(n) => {
                inner.wake_ready();
                Ok(n)
            }
            Answer::Nothing => Err(io::ErrorKind::WouldBlock.into()),
            Answer::End => Ok(0),
        }
    }

    fn poll_writable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut inner = self.lock();
        if inner.writable() {
            return Poll::Ready(Ok(()));
        }
        keep(&mut inner.writer, cx);
        Poll::Pending
    }

    fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        if bytes.is_empty() {
            return Ok(0);
        }
        let mut inner = self.lock();
        if inner.finished {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        match inner.responder.take(bytes) {
            0 => Err(io::ErrorKind::WouldBlock.into()),
            n => {
                inner.wake_ready();
                Ok(n)
            }
        }
    }

    fn shut_write(&self) -> io::Result<()> {
        let mut inner = self.lock();
        if !inner.finished {
            inner.finished = true;
            inner.responder.finish();
            inner.wake_ready();
        }
        Ok(())
    }

    fn poll_sent(&self, _: &mut Context<'_>) -> Poll<()> {
        Poll::Ready(())
    }

    fn broken(&self) -> impl Future<Output = io::Error> + Send {
        pending()
    }

    fn peer_ended(&self) -> Option<PeerEnd> {
        // A responder that ends has nothing waiting before its end that could hide it.
        None
    }

    fn abort(self) {}
}

#[cfg(test)]
mod tests;
