//! Pipes in the kernel that are borrowed while bytes are in flight and given back at once, so that an idle connection owns
//! none.
//!
//! What goes from a socket into a pipe and from there into another socket is never copied. A pipe is two descriptors, and
//! descriptors are a budget: there are only so many pipes in a process, and who gets none copies. What a system without
//! `splice` offers is no pipe at all.

use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::BytesMut;

#[cfg(target_os = "linux")]
use linux::Ends;
#[cfg(not(target_os = "linux"))]
use other::Ends;

/// Pipes that are kept for the next borrower.
const KEPT: usize = 32;

/// What one splice moves at most, and what is asked of the system as the size of a pipe.
pub(super) const SIZE: usize = 256 * 1024;

/// The pipes that the connections of a process may borrow. Cheap to clone; by default there is none.
#[derive(Clone, Default)]
pub struct Pipes(Arc<Shared>);

#[derive(Default)]
struct Shared {
    /// How many more may be made.
    left: AtomicUsize,
    /// Empty ones. The lock is held for a push or a pop, by who moves a quarter of a megabyte in between.
    free: Mutex<Vec<Ends>>,
}

/// A borrowed pipe. Dropping it gives it back, but never while it may hold bytes: these would come out of it in the middle
/// of another stream.
#[derive(Debug)]
pub struct Pipe {
    /// None only while it is dropped.
    ends: Option<Ends>,
    /// What is in it.
    holds: usize,
    /// Whether something went wrong on the way into it.
    spoilt: bool,
    pipes: Pipes,
}

impl Pipes {
    /// So many pipes at once, two descriptors each.
    pub fn new(most: usize) -> Self {
        Pipes(Arc::new(Shared { left: AtomicUsize::new(most), free: Mutex::default() }))
    }

    /// An empty pipe, while there is one to be had.
    pub fn borrow(&self) -> Option<Pipe> {
        let kept = self.0.free.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let ends = kept.or_else(|| {
            self.0.left.fetch_update(Relaxed, Relaxed, |left| left.checked_sub(1)).ok()?;
            let made = Ends::new(SIZE);
            if made.is_none() {
                self.0.left.fetch_add(1, Relaxed);
            }
            made
        });
        ends.map(|ends| Pipe { ends: Some(ends), holds: 0, spoilt: false, pipes: self.clone() })
    }
}

impl fmt::Debug for Pipes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pipes").field("left", &self.0.left).finish_non_exhaustive()
    }
}

impl Pipe {
    /// How many bytes are in it.
    pub fn holds(&self) -> usize {
        self.holds
    }

    /// Takes the bytes out of it into this program.
    pub(super) fn into_bytes(mut self) -> BytesMut {
        let mut bytes = BytesMut::zeroed(self.holds);
        let mut taken = 0;
        while let (Some(ends), Some(room @ [_, ..])) = (&self.ends, bytes.get_mut(taken..)) {
            match ends.read(room) {
                Ok(count @ 1..) => taken += count,
                Err(rustix::io::Errno::INTR) => {}
                // A connection that has lost bytes must not go on, and this cannot be: they are there.
                failed => panic!("a pipe keeps back {} bytes: {failed:?}", room.len()),
            }
        }
        self.holds = 0;
        bytes
    }
}

impl Drop for Pipe {
    fn drop(&mut self) {
        let Some(ends) = self.ends.take() else { return };
        if self.holds == 0 && !self.spoilt {
            let mut free = self.pipes.0.free.lock().unwrap_or_else(PoisonError::into_inner);
            if free.len() < KEPT {
                free.push(ends);
                return;
            }
        }
        // First the descriptors, then the leave to open others.
        drop(ends);
        self.pipes.0.left.fetch_add(1, Relaxed);
    }
}

#[cfg(target_os = "linux")]
mod linux {
    use std::io;
    use std::os::fd::{AsFd, OwnedFd};

    use rustix::io::Errno;
    use rustix::pipe::{PipeFlags, SpliceFlags, fcntl_setpipe_size, pipe_with, splice};

    use super::{Pipe, SIZE};

    /// The two ends of a pipe.
    #[derive(Debug)]
    pub(super) struct Ends {
        read: OwnedFd,
        write: OwnedFd,
    }

    impl Ends {
        /// None when the system has no pipe for us, or only one so small that copying is better.
        pub(super) fn new(size: usize) -> Option<Self> {
            let (read, write) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK).ok()?;
            // A user who has many is refused a larger one, and in the end gets a page.
            let got = fcntl_setpipe_size(&write, size).or_else(|_| rustix::pipe::fcntl_getpipe_size(&write));
            (got.ok()? >= 64 * 1024).then_some(Ends { read, write })
        }

        pub(super) fn read(&self, buf: &mut [u8]) -> Result<usize, Errno> {
            rustix::io::read(&self.read, buf)
        }
    }

    impl Pipe {
        /// Moves what a socket has received into this pipe, which is empty: that it would block is about the socket.
        ///
        /// [`io::ErrorKind::Unsupported`] says that this socket cannot do that, and nothing about its peer.
        pub fn fill(&mut self, source: impl AsFd) -> io::Result<usize> {
            debug_assert_eq!(self.holds, 0, "it could not be said what would block");
            let Some(ends) = &self.ends else { return Err(io::ErrorKind::Unsupported.into()) };
            match splice(source, None, &ends.write, None, SIZE, flags()) {
                Ok(count) => {
                    self.holds += count;
                    Ok(count)
                }
                Err(e @ (Errno::AGAIN | Errno::INTR)) => Err(e.into()),
                Err(
                    Errno::INVAL | Errno::NOSYS | Errno::NOMEM | Errno::BADF | Errno::PERM | Errno::ACCESS,
                ) => {
                    self.spoilt = true;
                    Err(io::ErrorKind::Unsupported.into())
                }
                Err(e) => {
                    self.spoilt = true;
                    Err(e.into())
                }
            }
        }

        /// Moves what is in this pipe, which is something, into a socket: that it would block is about the socket.
        pub fn empty(&mut self, sink: impl AsFd) -> io::Result<usize> {
            debug_assert!(self.holds > 0, "it could not be said what would block");
            let Some(ends) = &self.ends else { return Err(io::ErrorKind::Unsupported.into()) };
            let count = splice(&ends.read, None, sink, None, self.holds, flags())?;
            self.holds -= count;
            Ok(count)
        }

        /// Puts bytes into it, as many as fit: for a transport that is no socket.
        pub fn put(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let Some(ends) = &self.ends else { return Err(io::ErrorKind::Unsupported.into()) };
            let count = rustix::io::write(&ends.write, bytes)?;
            self.holds += count;
            Ok(count)
        }

        /// Takes the first bytes out of it, likewise.
        pub fn take(&mut self, room: &mut [u8]) -> io::Result<usize> {
            let Some(ends) = &self.ends else { return Err(io::ErrorKind::Unsupported.into()) };
            let count = ends.read(room)?;
            self.holds -= count;
            Ok(count)
        }
    }

    fn flags() -> SpliceFlags {
        SpliceFlags::NONBLOCK | SpliceFlags::MOVE
    }
}

#[cfg(not(target_os = "linux"))]
mod other {
    use rustix::io::Errno;

    /// There are no such pipes here.
    #[derive(Debug)]
    pub(super) enum Ends {}

    impl Ends {
        pub(super) fn new(_size: usize) -> Option<Self> {
            None
        }

        pub(super) fn read(&self, _buf: &mut [u8]) -> Result<usize, Errno> {
            match *self {}
        }
    }
}
