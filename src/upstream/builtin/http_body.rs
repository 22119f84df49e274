//! The body of an HTTP/1 request: passed over and counted, never stored.

use super::http_head::{Framing, LARGEST_HEAD, Refusal};

/// Where in a body the stream stands.
#[derive(Debug)]
pub(super) struct Body {
    /// Bytes of content so far, without what delimits chunks.
    pub(super) counted: u64,
    state: State,
}

#[derive(Clone, Copy, Debug)]
enum State {
    /// Content, and how much is left of it.
    Content { left: u64, chunked: bool },
    /// Digits of a chunk's size.
    Size { size: u64, digits: u8 },
    /// What may stand between a size and the end of its line; it means nothing here.
    Extension { size: u64, length: usize },
    /// The LF that ends a size.
    SizeEnd { size: u64 },
    /// The CR, then the LF, that end a chunk.
    ChunkEnd { cr_seen: bool },
    /// Header lines after the last chunk, until a blank one. They mean nothing here.
    Trailer { length: usize, column: usize, cr_seen: bool },
    /// Nothing is left.
    Done,
}

impl Body {
    pub(super) fn new(framing: Framing) -> Self {
        let state = match framing {
            Framing::Length(0) => State::Done,
            Framing::Length(left) => State::Content { left, chunked: false },
            Framing::Chunked => State::Size { size: 0, digits: 0 },
        };
        Body { counted: 0, state }
    }

    /// Whether the whole body has passed.
    pub(super) fn is_done(&self) -> bool {
        matches!(self.state, State::Done)
    }

    /// Takes bytes up to the end of the body, and says how many.
    pub(super) fn take(&mut self, bytes: &[u8]) -> Result<usize, Refusal> {
        let mut taken = 0;
        while taken < bytes.len() && !self.is_done() {
            let rest = &bytes[taken..];
            taken += match self.state {
                State::Content { left, chunked } => {
                    let n = left.min(rest.len() as u64);
                    self.counted = self.counted.saturating_add(n);
                    self.state = match (left - n, chunked) {
                        (0, true) => State::ChunkEnd { cr_seen: false },
                        (0, false) => State::Done,
                        (left, chunked) => State::Content { left, chunked },
                    };
                    // No more than a slice's length, so it fits.
                    n as usize
                }
                state => {
                    self.state = step(state, rest[0])?;
                    1
                }
            };
        }
        Ok(taken)
    }
}

/// One byte of what delimits chunks.
fn step(state: State, byte: u8) -> Result<State, Refusal> {
    Ok(match (state, byte) {
        (State::Size { size, digits }, _) if byte.is_ascii_hexdigit() => {
            let digit = char::from(byte).to_digit(16).unwrap_or_default();
            let size = size.checked_mul(16).ok_or("a chunk is too large")? + u64::from(digit);
            // Sixteen digits are all that a size can have; further ones would be zeros in front.
            let digits = digits + 1;
            if digits > 16 {
                return Err("a chunk's size has too many digits");
            }
            State::Size { size, digits }
        }
        (State::Size { digits: 0, .. }, _) => return Err("a chunk has no size"),
        (State::Size { size, .. } | State::Extension { size, .. }, b'\r') => State::SizeEnd { size },
        (State::Size { size, .. }, b';' | b' ' | b'\t') => State::Extension { size, length: 0 },
        (State::Size { .. }, _) => return Err("a chunk's size is not a hexadecimal number"),
        (State::Extension { size, length }, _) if byte != b'\n' && length < LARGEST_HEAD => {
            State::Extension { size, length: length + 1 }
        }
        (State::Extension { .. }, _) => return Err("a chunk's extension is malformed or too long"),
        (State::SizeEnd { size: 0 }, b'\n') => State::Trailer { length: 0, column: 0, cr_seen: false },
        (State::SizeEnd { size }, b'\n') => State::Content { left: size, chunked: true },
        (State::ChunkEnd { cr_seen: false }, b'\r') => State::ChunkEnd { cr_seen: true },
        (State::ChunkEnd { cr_seen: true }, b'\n') => State::Size { size: 0, digits: 0 },
        (State::SizeEnd { .. } | State::ChunkEnd { .. }, _) => return Err("a chunk does not end with CR LF"),
        (State::Trailer { column: 0, cr_seen: true, .. }, b'\n') => State::Done,
        (State::Trailer { length, cr_seen: true, .. }, b'\n') => {
            State::Trailer { length: length + 1, column: 0, cr_seen: false }
        }
        (State::Trailer { cr_seen, .. }, _) if cr_seen || byte == b'\n' => {
            return Err("a trailer line does not end with CR LF");
        }
        (State::Trailer { length, .. }, _) if length >= LARGEST_HEAD => {
            return Err("the trailer is too long");
        }
        (State::Trailer { length, column, .. }, b'\r') => {
            State::Trailer { length: length + 1, column, cr_seen: true }
        }
        (State::Trailer { length, column, .. }, _) => {
            State::Trailer { length: length + 1, column: column + 1, cr_seen: false }
        }
        (state @ (State::Content { .. } | State::Done), _) => state,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The counted bytes and how much was taken, whole or one byte at a time: it must not matter.
    fn run(framing: Framing, text: &[u8]) -> Result<(u64, usize, bool), Refusal> {
        let mut whole = Body::new(framing);
        let taken = whole.take(text);
        let mut single = Body::new(framing);
        let mut taken_singly = Ok(0);
        for byte in text {
            match single.take(std::slice::from_ref(byte)) {
                Ok(0) => break,
                Ok(n) => taken_singly = taken_singly.map(|sum: usize| sum + n),
                Err(why) => {
                    taken_singly = Err(why);
                    break;
                }
            }
        }
        assert_eq!(taken, taken_singly);
        assert_eq!((whole.counted, whole.is_done()), (single.counted, single.is_done()));
        taken.map(|taken| (whole.counted, taken, whole.is_done()))
    }

    #[test]
    fn a_length_is_exactly_that_long() {
        assert_eq!(run(Framing::Length(0), b"next"), Ok((0, 0, true)));
        assert_eq!(run(Framing::Length(3), b"abcnext"), Ok((3, 3, true)));
        assert_eq!(run(Framing::Length(30), b"abc"), Ok((3, 3, false)));
    }

    #[test]
    fn chunks_count_their_content_only() {
        let text = b"3\r\nabc\r\nA;name=value\r\n0123456789\r\n000\r\nT: 1\r\n\r\nnext";
        assert_eq!(run(Framing::Chunked, text), Ok((13, text.len() - 4, true)));
        assert_eq!(run(Framing::Chunked, b"0\r\n\r\n"), Ok((0, 5, true)));
        assert_eq!(run(Framing::Chunked, b"0\r\n\r"), Ok((0, 4, false)));
        assert_eq!(run(Framing::Chunked, b"ffffffffffffffff\r\nabc"), Ok((3, 21, false)));
    }

    #[test]
    fn malformed_chunks_are_refused() {
        for bad in [
            "\r\n",
            "0x5\r\n",
            "-1\r\n",
            "g\r\n",
            "5\n",
            "5\rx",
            "1\r\nab",
            "1\r\na\n",
            "10000000000000000\r\n",
            "00000000000000005\r\n",
            "5;a\nb",
            "0\r\n\n",
            "0\r\nT\n",
            "0\r\nT\rx",
            "0\r\n\rx",
        ] {
            assert!(run(Framing::Chunked, bad.as_bytes()).is_err(), "{bad:?}");
        }
        let long = "x".repeat(LARGEST_HEAD + 1);
        assert!(run(Framing::Chunked, format!("5;{long}").as_bytes()).is_err());
        assert!(run(Framing::Chunked, format!("0\r\n{long}").as_bytes()).is_err());
        assert!(run(Framing::Chunked, format!("0\r\n{}", "a\r\n".repeat(LARGEST_HEAD)).as_bytes()).is_err());
    }
}
