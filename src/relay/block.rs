//! Memory for bytes that faults hold back.
//!
//! What arrives alone is given as much as it needs. Where bytes wait already more are on their way: for those a block is
//! reserved, as large as what waits, and they are read into it directly. So a queue that grows costs few allocations and
//! no copy, and never twice the memory of what it holds.

use std::io;

use bytes::BytesMut;

use super::Transport;
use super::pool::{self, Buffer};

/// A block is no larger: allocators ask the system for each larger one, and give it back with it.
const LARGEST: usize = 124 * 1024;

/// Less than this is not worth a read of its own, and no reason to reserve anything.
const LEAST: usize = 4 * 1024;

/// What is reserved and not used yet.
#[derive(Default)]
pub(super) struct Block(BytesMut);

impl Block {
    /// Reads at most `room` bytes from the source, when so many wait already. As with the source, none is its end.
    pub(super) fn read(
        &mut self,
        source: &impl Transport,
        room: usize,
        waiting: usize,
    ) -> io::Result<BytesMut> {
        if self.0.capacity() < LEAST.min(room) {
            let reserved = waiting.min(room).min(LARGEST);
            if reserved < LEAST {
                let mut buffer = Buffer::borrow();
                let count = source.read(&mut buffer[..room.min(pool::SIZE)])?;
                return Ok(BytesMut::from(&buffer[..count]));
            }
            self.0 = BytesMut::with_capacity(reserved);
        }
        let room = room.min(self.0.capacity());
        source.read_more(&mut self.0, room)?;
        Ok(self.0.split())
    }

    /// Nothing waits any more: what is reserved is given back.
    pub(super) fn give_back(&mut self) {
        self.0 = BytesMut::new();
    }
}

#[cfg(test)]
mod tests {
    use super::super::fake::fake;
    use super::*;

    /// What a queue of this many bytes was read into costs in memory, when each read brings so many.
    fn reads(each: usize, total: usize) -> Vec<BytesMut> {
        let (source, peer) = fake(0);
        let (mut block, mut held) = (Block::default(), Vec::new());
        let mut waiting = 0;
        while waiting < total {
            peer.send(&vec![waiting as u8; each]);
            let bytes = block.read(&source, total - waiting, waiting).unwrap();
            assert_eq!(bytes, vec![waiting as u8; bytes.len()]);
            assert!(!bytes.is_empty() && waiting + bytes.len() <= total);
            assert!(block.0.capacity() <= waiting + bytes.len(), "more is reserved than waits");
            waiting += bytes.len();
            held.push(bytes);
            // What did not fit is not sent again.
            while block.read(&source, usize::MAX, 0).is_ok() {}
        }
        held
    }

    /// Where one ends and the next one begins in another place, memory was asked for.
    fn places(held: &[BytesMut]) -> usize {
        1 + held.windows(2).filter(|two| two[0].as_ptr_range().end != two[1].as_ptr()).count()
    }

    #[test]
    fn a_queue_that_grows_lies_in_few_blocks() {
        let held = reads(100, 1 << 20);
        assert!(held.len() >= 10_000, "{}", held.len());
        let alone = LEAST / 100;
        assert!(places(&held) <= alone + 20, "{} places", places(&held));
    }

    #[test]
    fn what_comes_alone_is_given_what_it_needs() {
        let (source, peer) = fake(0);
        let mut block = Block::default();
        for _ in 0..3 {
            peer.send(b"alone");
            let bytes = block.read(&source, 1 << 20, 0).unwrap();
            assert_eq!((&bytes[..], bytes.capacity(), block.0.capacity()), (&b"alone"[..], 5, 0));
        }
    }

    #[test]
    fn an_end_and_nothing_are_told_apart() {
        let (source, peer) = fake(0);
        let mut block = Block::default();
        for waiting in [0, 1 << 20] {
            assert_eq!(block.read(&source, 1 << 20, waiting).unwrap_err().kind(), io::ErrorKind::WouldBlock);
        }
        peer.finish();
        for waiting in [0, 1 << 20] {
            assert!(block.read(&source, 1 << 20, waiting).unwrap().is_empty());
        }
        assert!(block.0.capacity() > 0);
        block.give_back();
        assert_eq!(block.0.capacity(), 0);
    }
}
