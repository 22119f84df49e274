//! Bytes on their way through a pump that no fault is on: read and not yet written.

use std::io;

use bytes::BytesMut;

use super::Transport;
use super::pipe::Pipe;
use super::pool::Buffer;

/// What is carried, in the gear in which it came. There is at least one byte.
pub(super) enum Carry {
    /// Copied into this program.
    Copied {
        /// Where it lies.
        buffer: Buffer,
        /// The first byte that is not written.
        start: usize,
        /// Behind the last byte.
        end: usize,
    },
    /// Moved into a pipe, where nobody has seen it.
    Piped(Pipe),
}

impl Carry {
    /// How much it is.
    pub(super) fn len(&self) -> usize {
        match self {
            Carry::Copied { start, end, .. } => end - start,
            Carry::Piped(pipe) => pipe.holds(),
        }
    }

    /// Writes once.
    pub(super) fn write_to(&mut self, sink: &impl Transport) -> io::Result<usize> {
        match self {
            Carry::Copied { buffer, start, end } => {
                let count = sink.write(&buffer[*start..*end])?;
                *start += count;
                Ok(count)
            }
            Carry::Piped(pipe) => sink.splice_out(pipe),
        }
    }

    /// The bytes, for whoever must see them.
    pub(super) fn into_bytes(self) -> BytesMut {
        match self {
            Carry::Copied { buffer, start, end } => BytesMut::from(&buffer[start..end]),
            Carry::Piped(pipe) => pipe.into_bytes(),
        }
    }
}
