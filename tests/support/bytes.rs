//! Bytes that can be made again anywhere: what arrives is compared with what was sent, byte for byte, without keeping it.

use std::io::{ErrorKind, Read, Write};

/// An endless stream of random-looking bytes; the same seed gives the same stream.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pattern(pub(crate) u64);

impl Pattern {
    fn block(self, number: u64) -> [u8; 8] {
        // A step of splitmix64: every block depends on its place only.
        let mut x = self.0.wrapping_add(number.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (x ^ (x >> 31)).to_le_bytes()
    }

    /// The bytes of the stream from `offset` on.
    pub(crate) fn fill(self, offset: u64, buf: &mut [u8]) {
        let mut at = offset;
        let mut rest = buf;
        while !rest.is_empty() {
            let block = self.block(at / 8);
            let from = &block[(at % 8) as usize..];
            let n = from.len().min(rest.len());
            rest[..n].copy_from_slice(&from[..n]);
            rest = &mut rest[n..];
            at += n as u64;
        }
    }

    /// The first `n` bytes.
    pub(crate) fn bytes(self, n: usize) -> Vec<u8> {
        let mut bytes = vec![0; n];
        self.fill(0, &mut bytes);
        bytes
    }

    /// Fails when these are not the bytes from `offset` on.
    pub(crate) fn check(self, offset: u64, bytes: &[u8]) {
        let mut expected = vec![0; bytes.len()];
        self.fill(offset, &mut expected);
        if let Some(i) = bytes.iter().zip(&expected).position(|(seen, sent)| seen != sent) {
            panic!("byte {} is {:#04x} and was sent as {:#04x}", offset + i as u64, bytes[i], expected[i]);
        }
    }
}

/// Sends `from..to` of a pattern.
pub(crate) fn send(mut stream: impl Write, pattern: Pattern, from: u64, to: u64) {
    let mut buf = vec![0; 64 << 10];
    let mut at = from;
    while at < to {
        let n = (to - at).min(buf.len() as u64) as usize;
        pattern.fill(at, &mut buf[..n]);
        stream.write_all(&buf[..n]).unwrap_or_else(|why| panic!("sending at {at} of {to}: {why}"));
        at += n as u64;
    }
}

/// Reads a pattern from `from` on, checking every byte, up to `to` or to the end of the stream, and says how far it came.
/// Anything but bytes and FIN fails.
pub(crate) fn receive(mut stream: impl Read, pattern: Pattern, from: u64, to: u64) -> u64 {
    let mut buf = vec![0; 64 << 10];
    let mut at = from;
    while at < to {
        let want = (to - at).min(buf.len() as u64) as usize;
        match stream.read(&mut buf[..want]) {
            Ok(0) => break,
            Ok(n) => {
                pattern.check(at, &buf[..n]);
                at += n as u64;
            }
            Err(why) if why.kind() == ErrorKind::Interrupted => {}
            Err(why) => panic!("receiving at {at} of {to}: {why}"),
        }
    }
    at
}
