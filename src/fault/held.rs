//! The end of every chain: bytes that wait for their time, in order, and the ending behind them.
//!
//! It outlives the plan: whatever happens to the faults, what is held here is never lost and never reordered.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::{Buf, BytesMut};
use tokio::time::Instant;

use super::stream::{Cut, Ending, FAR, Segment};

/// The queue of one direction.
///
/// What is written together and what lies together are kept apart: a stream cut into single bytes would else cost fifty
/// times what it carries.
#[derive(Debug, Default)]
pub struct Held {
    /// When what is written.
    pieces: VecDeque<Pieces>,
    /// The bytes of all pieces. None of them lies in two chunks.
    chunks: VecDeque<BytesMut>,
    bytes: usize,
    last: Option<Instant>,
    fin: Option<Instant>,
    cut: Option<Ending>,
}

/// Pieces of one length that may go at the same time, each as a write of its own.
#[derive(Debug)]
struct Pieces {
    at: Instant,
    length: usize,
    /// How many, the first one included.
    count: usize,
    /// What is written already of the first one.
    written: usize,
}

/// Pieces whose sum is no more than this are moved together in memory.
const PACKED: usize = 4096;

/// How many places an empty queue keeps for what comes next.
const SPARE: usize = 16;

/// Which fault of a chain.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LinkId(pub(super) u32);

/// What may happen now at the front.
#[derive(Debug, PartialEq, Eq)]
pub enum Front<'a> {
    /// These bytes may be written, as one write.
    Bytes(&'a [u8]),
    /// Everything is written and the peer's FIN may be passed on.
    Fin,
    /// A fault ends the connection.
    Cut(Cut, LinkId),
    /// Nothing before this moment.
    Later(Instant),
    /// Nothing is held.
    Empty,
}

impl Held {
    /// Bytes join the queue.
    pub(super) fn push(&mut self, segment: Segment) {
        if segment.bytes.is_empty() || self.fin.is_some() {
            return;
        }
        let at = self.in_order(segment.at);
        let length = segment.bytes.len();
        self.bytes += length;
        match self.pieces.back_mut() {
            Some(last) if last.at == at && last.length == length => last.count += 1,
            _ => self.pieces.push_back(Pieces { at, length, count: 1, written: 0 }),
        }
        match self.chunks.back_mut() {
            Some(last) if follows(last, &segment.bytes) || last.len() + length <= PACKED => {
                // Costs nothing where they were one before a fault cut them, and copies little otherwise.
                last.unsplit(segment.bytes);
            }
            _ => self.chunks.push_back(segment.bytes),
        }
    }

    /// The peer's FIN joins the queue.
    pub(super) fn fin(&mut self, at: Instant) {
        let at = self.in_order(at);
        self.fin.get_or_insert(at);
    }

    /// A fault ends the connection. The first one stands, unless a later one does not wait.
    pub(super) fn cut(&mut self, mut ending: Ending) {
        if self.cut.is_none_or(|first| first.cut.waits() && !ending.cut.waits()) {
            if ending.cut.waits() {
                ending.at = self.in_order(ending.at);
            }
            self.cut = Some(ending);
        }
    }

    /// TCP never reorders: what comes later never leaves earlier.
    fn in_order(&mut self, at: Instant) -> Instant {
        let at = self.last.map_or(at, |last| last.max(at));
        self.last = Some(at);
        at
    }

    /// What may happen now.
    pub fn front(&self, now: Instant) -> Front<'_> {
        if let Some(Ending { at, cut, by }) = self.cut
            && (self.pieces.is_empty() || !cut.waits())
        {
            return if at <= now { Front::Cut(cut, by) } else { Front::Later(at) };
        }
        match (self.pieces.front(), self.fin) {
            (Some(piece), _) if piece.at <= now => Front::Bytes(self.first(piece.length - piece.written)),
            (None, Some(at)) if at <= now => Front::Fin,
            (Some(piece), _) => Front::Later(piece.at),
            (None, Some(at)) => Front::Later(at),
            (None, None) => Front::Empty,
        }
    }

    /// The first bytes of all.
    fn first(&self, length: usize) -> &[u8] {
        self.chunks.front().and_then(|chunk| chunk.get(..length)).unwrap_or_default()
    }

    /// So many bytes of the front were written.
    pub fn wrote(&mut self, count: usize) {
        let (Some(pieces), Some(chunk)) = (self.pieces.front_mut(), self.chunks.front_mut()) else { return };
        let count = count.min(pieces.length - pieces.written);
        self.bytes -= count;
        pieces.written += count;
        if pieces.written == pieces.length {
            pieces.written = 0;
            pieces.count -= 1;
        }
        if pieces.count == 0 {
            self.pieces.pop_front();
        }
        chunk.advance(count);
        if chunk.is_empty() {
            self.chunks.pop_front();
        }
        if self.bytes == 0 {
            self.shrink();
        }
    }

    /// The FIN was passed on.
    pub fn passed_fin(&mut self) {
        self.fin = None;
    }

    /// Bytes that wait.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// What waiting costs in memory: the bytes, and the notes of when they go.
    pub(super) fn cost(&self) -> usize {
        self.bytes + self.pieces.len() * size_of::<Pieces>()
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.pieces.is_empty() && self.fin.is_none() && self.cut.is_none()
    }

    /// Until when something is held back on purpose; none when nothing is, or when no one knows.
    pub fn known_until(&self, now: Instant) -> Option<Instant> {
        let front = self.pieces.front().map(|piece| piece.at).or(self.fin)?;
        let unknown = now + FAR / 2;
        (front > now && front < unknown).then_some(front)
    }

    /// The plan has changed in a way that frees what it held: everything may go now, in order. An ending that a fault
    /// had in mind is called off; the peer's own is kept.
    pub(super) fn release(&mut self, now: Instant) {
        for pieces in &mut self.pieces {
            pieces.at = pieces.at.min(now);
        }
        self.fin = self.fin.map(|at| at.min(now));
        if let Some(cut) = &mut self.cut {
            cut.at = cut.at.min(now);
        }
        self.last = self.last.map(|last| last.min(now));
    }

    /// Calls an injected ending off.
    pub(super) fn call_off(&mut self) {
        self.cut = None;
    }

    /// Who is about to end the connection.
    pub(super) fn cut_by(&self) -> Option<LinkId> {
        self.cut.map(|ending| ending.by)
    }

    /// Frees the memory of a queue that grew and is empty, so that an idle connection keeps none.
    fn shrink(&mut self) {
        if self.pieces.capacity() > SPARE {
            self.pieces = VecDeque::new();
        }
        if self.chunks.capacity() > SPARE {
            self.chunks = VecDeque::new();
        }
    }
}

/// Whether bytes lie right behind others.
fn follows(before: &BytesMut, bytes: &BytesMut) -> bool {
    before.as_ptr_range().end == bytes.as_ptr()
}

/// The time that means: until something changes.
pub fn far_from(now: Instant) -> Instant {
    now.checked_add(FAR).unwrap_or(now + Duration::from_secs(86_400))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Everything that may be written now, as the writes it comes in, of at most `most` bytes each.
    fn writes(held: &mut Held, now: Instant, most: usize) -> Vec<Vec<u8>> {
        let mut writes = Vec::new();
        while let Front::Bytes(bytes) = held.front(now) {
            let write = bytes[..bytes.len().min(most)].to_vec();
            held.wrote(write.len());
            writes.push(write);
        }
        writes
    }

    fn push(held: &mut Held, at: Instant, bytes: BytesMut) {
        held.push(Segment { offset: 0, at, bytes });
    }

    #[tokio::test(start_paused = true)]
    async fn pieces_stay_separate_writes_however_they_lie_together() {
        let now = Instant::now();
        let later = now + Duration::from_secs(1);
        let mut held = Held::default();
        let mut cut = BytesMut::from(&b"abcdefgh"[..]);
        for length in [2, 2, 1, 3] {
            push(&mut held, now, cut.split_to(length));
        }
        push(&mut held, now, BytesMut::from(&b"ijk"[..]));
        push(&mut held, later, BytesMut::from(&b"lmn"[..]));
        assert_eq!(held.chunks.len(), 1);
        assert_eq!(writes(&mut held, now, 2), [&b"ab"[..], b"cd", b"e", b"fg", b"h", b"ij", b"k"]);
        assert_eq!((held.bytes(), held.front(now)), (3, Front::Later(later)));
        assert_eq!(writes(&mut held, later, 9), [b"lmn"]);
        assert_eq!(held.front(later), Front::Empty);
    }

    #[tokio::test(start_paused = true)]
    async fn what_it_costs_to_hold_single_bytes_is_counted() {
        let now = Instant::now();
        let (mut cut, mut trickle) = (Held::default(), Held::default());
        let mut block = BytesMut::from(&[7; 10_000][..]);
        for i in 0..10_000 {
            push(&mut cut, now, block.split_to(1));
            push(&mut trickle, now + Duration::from_millis(i), BytesMut::from(&[7][..]));
        }
        assert_eq!((cut.bytes(), trickle.bytes()), (10_000, 10_000));
        assert!(cut.cost() < 10_100, "bytes of one time: {}", cut.cost());
        // As many notes as bytes: the bound has to see them. The bytes themselves are packed.
        assert!(trickle.cost() > 200_000, "bytes of ten thousand times: {}", trickle.cost());
        assert!(trickle.chunks.len() <= 3, "{} chunks", trickle.chunks.len());
        assert_eq!(writes(&mut trickle, now + Duration::from_secs(10), 9).len(), 10_000);
        assert!(trickle.pieces.capacity() <= SPARE && trickle.is_empty());
    }
}
