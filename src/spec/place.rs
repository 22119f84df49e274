//! Where something stands in a document.

use std::ops::Range;

/// A node of the document that was read. It means nothing without that document.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NodeId(pub u32);

/// A range of bytes of the text. A document is at most 1 MiB, so 32 bits are ample.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Span {
    /// The first byte.
    pub start: u32,
    /// The byte after the last.
    pub end: u32,
}

impl Span {
    /// From byte offsets; beyond 32 bits they are cut off there.
    pub fn new(range: Range<usize>) -> Span {
        let cut = |at: usize| u32::try_from(at).unwrap_or(u32::MAX);
        Span { start: cut(range.start), end: cut(range.end.max(range.start)) }
    }

    /// As a range that can index text.
    pub fn range(self) -> Range<usize> {
        self.start as usize..self.end as usize
    }
}

/// A place as a person and as a program name it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// The bytes that are meant.
    pub span: Span,
    /// `routes[0].faults[1].delay`; empty for the whole document.
    pub path: String,
    /// The same as a JSON pointer: `/routes/0/faults/1/delay`.
    pub pointer: String,
}
