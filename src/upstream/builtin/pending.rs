//! Answers made and not yet fetched.

use std::collections::VecDeque;

use super::{Answer, CAPACITY};

/// A queue of bytes that is bounded by [`CAPACITY`], may end, and owns no memory while it is empty.
#[derive(Default)]
pub(super) struct Pending {
    bytes: VecDeque<u8>,
    ended: bool,
}

impl Pending {
    /// How many bytes still fit.
    pub(super) fn room(&self) -> usize {
        CAPACITY.saturating_sub(self.bytes.len())
    }

    /// Appends; who appends has asked for room first.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        debug_assert!(bytes.len() <= self.room(), "{} bytes do not fit", bytes.len());
        self.bytes.extend(bytes);
    }

    /// Nothing follows what is queued.
    pub(super) fn end(&mut self) {
        self.ended = true;
    }

    /// Whether [`give`](Self::give) would give anything.
    pub(super) fn has_answer(&self) -> bool {
        self.ended || !self.bytes.is_empty()
    }

    /// Gives as much as fits into `buf`.
    pub(super) fn give(&mut self, buf: &mut [u8]) -> Answer {
        if self.bytes.is_empty() {
            return if self.ended { Answer::End } else { Answer::Nothing };
        }
        let mut given = 0;
        while given < buf.len() {
            let (front, _) = self.bytes.as_slices();
            let n = front.len().min(buf.len() - given);
            if n == 0 {
                break;
            }
            buf[given..given + n].copy_from_slice(&front[..n]);
            self.bytes.drain(..n);
            given += n;
        }
        if self.bytes.is_empty() {
            self.bytes = VecDeque::new();
        }
        Answer::Bytes(given)
    }

    /// How much memory the queue owns.
    #[cfg(test)]
    pub(super) fn owned(&self) -> usize {
        self.bytes.capacity()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gives_in_order_across_the_seam_and_owns_nothing_when_empty() {
        let mut pending = Pending::default();
        let mut seen = Vec::new();
        let mut next = 0u8;
        let mut buf = [0; 700];
        for round in 0..500 {
            let chunk: Vec<u8> = (0..(round * 37) % 1000).map(|i| next.wrapping_add(i as u8)).collect();
            next = next.wrapping_add(chunk.len() as u8);
            pending.push(&chunk[..chunk.len().min(pending.room())]);
            assert!(chunk.len() <= CAPACITY);
            if let Answer::Bytes(n) = pending.give(&mut buf) {
                seen.extend_from_slice(&buf[..n]);
            }
        }
        pending.end();
        while let Answer::Bytes(n) = pending.give(&mut buf) {
            seen.extend_from_slice(&buf[..n]);
        }
        assert!(seen.iter().enumerate().all(|(i, &byte)| byte == i as u8));
        assert!(seen.len() > 200_000);
        assert_eq!(pending.owned(), 0);
        assert_eq!(pending.give(&mut buf), Answer::End);
    }
}
