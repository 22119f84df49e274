//! A TCP stream as a [`Transport`].

use std::future::Future;
use std::io;
use std::os::fd::AsFd;
use std::pin::pin;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use bytes::{BufMut, BytesMut};
use rustix::event::{PollFd, PollFlags};
use socket2::SockRef;
use tokio::io::Interest;
use tokio::net::TcpStream;

#[cfg(target_os = "linux")]
use super::pipe::Pipe;
use super::{PeerEnd, Transport};

impl Transport for TcpStream {
    fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_read_ready(cx)
    }

    fn read(&self, buf: &mut [u8]) -> io::Result<usize> {
        // A short read says nothing about what is behind it: reading stops at an urgent byte too.
        self.try_io(Interest::READABLE, || Ok(rustix::net::recv(self, &mut *buf, no_flags())?.1))
    }

    fn read_more(&self, bytes: &mut BytesMut, most: usize) -> io::Result<usize> {
        self.try_read_buf(&mut bytes.limit(most))
    }

    fn poll_writable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_write_ready(cx)
    }

    fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        write_once(self, bytes)
    }

    #[cfg(target_os = "linux")]
    fn splices(&self) -> bool {
        true
    }

    #[cfg(target_os = "linux")]
    fn splice_in(&self, pipe: &mut Pipe) -> io::Result<usize> {
        // Not `try_io`: at an urgent byte, too, this says that it would block, so that is no reason to forget readiness.
        pipe.fill(self)
    }

    #[cfg(target_os = "linux")]
    fn splice_out(&self, pipe: &mut Pipe) -> io::Result<usize> {
        self.try_io(Interest::WRITABLE, || pipe.empty(self))
    }

    fn shut_write(&self) -> io::Result<()> {
        Ok(rustix::net::shutdown(self, rustix::net::Shutdown::Write)?)
    }

    fn poll_sent(&self, cx: &mut Context<'_>) -> Poll<()> {
        // With this mark the kernel calls the socket writable only when it has nothing left that was never sent.
        #[cfg(any(target_os = "linux", target_os = "android"))]
        if SockRef::from(self).set_tcp_notsent_lowat(1).is_err() {
            return Poll::Ready(());
        }
        loop {
            // What the runtime remembers of readiness is older than the mark: ask the kernel, and make the runtime
            // forget when the answer is no.
            match self.try_io(Interest::WRITABLE, || writable_now(self)) {
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {}
                _ => return Poll::Ready(()),
            }
            if ready!(self.poll_write_ready(cx)).is_err() {
                return Poll::Ready(());
            }
        }
    }

    async fn broken(&self) -> io::Error {
        // An error here means that the runtime is going away, and then nobody is waiting any more.
        let _ = self.ready(Interest::ERROR).await;
        self.take_error().ok().flatten().unwrap_or_else(|| io::ErrorKind::ConnectionReset.into())
    }

    fn peer_ended(&self) -> Option<PeerEnd> {
        // Polled once and with nobody to wake: the runtime says what it has been told already.
        let ready = pin!(self.ready(Interest::READABLE | Interest::ERROR));
        match ready.poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(Ok(ready)) if ready.is_error() => Some(PeerEnd::Reset),
            Poll::Ready(Ok(ready)) if ready.is_read_closed() => Some(PeerEnd::Fin),
            _ => None,
        }
    }

    fn abort(self) {
        // Where it cannot be set the socket is gone already.
        let _ = SockRef::from(&self).set_linger(Some(Duration::ZERO));
    }
}

/// Writes once; when not everything fitted, the runtime is told at once that nothing more will go, which saves a call
/// that would only say so.
///
/// This must happen inside the closure: readiness that arrives after it is then not forgotten.
fn write_once(stream: &TcpStream, bytes: &[u8]) -> io::Result<usize> {
    let mut wrote = 0;
    let outcome = stream.try_io(Interest::WRITABLE, || {
        wrote = rustix::net::send(stream, bytes, no_signal())?;
        if wrote > 0 && wrote < bytes.len() { Err(io::ErrorKind::WouldBlock.into()) } else { Ok(()) }
    });
    match outcome {
        Err(e) if wrote == 0 => Err(e),
        _ => Ok(wrote),
    }
}

fn writable_now(stream: &TcpStream) -> io::Result<()> {
    let mut fds = [PollFd::from_borrowed_fd(stream.as_fd(), PollFlags::OUT)];
    let now = rustix::event::Timespec { tv_sec: 0, tv_nsec: 0 };
    match rustix::event::poll(&mut fds, Some(&now)) {
        Ok(0) | Err(rustix::io::Errno::INTR) => Err(io::ErrorKind::WouldBlock.into()),
        // Writable, or an error that makes waiting pointless.
        _ => Ok(()),
    }
}

fn no_flags() -> rustix::net::RecvFlags {
    rustix::net::RecvFlags::empty()
}

fn no_signal() -> rustix::net::SendFlags {
    #[cfg(any(target_os = "macos", target_os = "ios"))]
    return rustix::net::SendFlags::empty();
    #[cfg(not(any(target_os = "macos", target_os = "ios")))]
    rustix::net::SendFlags::NOSIGNAL
}
