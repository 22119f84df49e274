//! The header of the PROXY protocol, versions 1 and 2: read and written. No sockets here, only bytes.
//!
//! What is strict and what is not, where the protocol leaves it open:
//!
//! - A header of version 2 may hold at most [`MOST`] bytes behind its first 16. It has to be held before anything else
//!   happens, and no known sender comes near.
//! - Further fields (TLVs) are skipped, but they must fit their place, and a checksum (CRC32C) among them must be right.
//! - Local, unspecified, UNIX and datagram addresses are taken and say nothing: the socket's own count.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

/// Which form of the header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeaderVersion {
    /// A line of text.
    V1,
    /// Binary.
    V2,
}

/// A header that was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// The bytes it takes; what is behind them is data.
    pub length: usize,
    /// Who opened the connection, where it says so.
    pub source: Option<SocketAddr>,
    /// Where to.
    pub destination: Option<SocketAddr>,
}

/// What the first bytes of a connection are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parsed {
    /// The beginning of a header: all of them belong to it.
    Incomplete,
    /// No header at all.
    Missing,
    /// A header that is wrong, and why.
    Bad(&'static str),
    /// A whole header, and perhaps data behind it.
    Done(Header),
}

/// The most bytes that a header of version 2 may hold behind its first 16.
pub const MOST: usize = 4096;

/// A line of version 1 with its end.
const LONGEST_LINE: usize = 107;
const WORD: &[u8] = b"PROXY ";
const SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";
/// Signature, version and command, family and transport, length.
const FIXED: usize = 16;

const LOCAL: u8 = 0x20;
const PROXY: u8 = 0x21;
const UNSPECIFIED: u8 = 0x00;
const TCP4: u8 = 0x11;
const TCP6: u8 = 0x21;
const CHECKSUM: u8 = 0x03;

/// The header for a connection of `source`, which it opened to `destination`.
pub fn write(version: HeaderVersion, source: SocketAddr, destination: SocketAddr) -> Vec<u8> {
    let (from, to) = (source.ip().to_canonical(), destination.ip().to_canonical());
    let ports = (source.port(), destination.port());
    match version {
        HeaderVersion::V1 => {
            let family = match (from, to) {
                (IpAddr::V4(_), IpAddr::V4(_)) => "TCP4",
                (IpAddr::V6(_), IpAddr::V6(_)) => "TCP6",
                _ => return own(version),
            };
            format!("PROXY {family} {from} {to} {} {}\r\n", ports.0, ports.1).into_bytes()
        }
        HeaderVersion::V2 => {
            let (family, mut addresses) = match (from, to) {
                (IpAddr::V4(from), IpAddr::V4(to)) => (TCP4, [from.octets(), to.octets()].concat()),
                (IpAddr::V6(from), IpAddr::V6(to)) => (TCP6, [from.octets(), to.octets()].concat()),
                _ => return binary(PROXY, UNSPECIFIED, &[]),
            };
            addresses.extend_from_slice(&ports.0.to_be_bytes());
            addresses.extend_from_slice(&ports.1.to_be_bytes());
            binary(PROXY, family, &addresses)
        }
    }
}

/// The header for a connection that nobody asked for but this program itself.
pub fn own(version: HeaderVersion) -> Vec<u8> {
    match version {
        HeaderVersion::V1 => b"PROXY UNKNOWN\r\n".to_vec(),
        HeaderVersion::V2 => binary(LOCAL, UNSPECIFIED, &[]),
    }
}

/// `addresses` are 36 bytes at most.
fn binary(command: u8, family: u8, addresses: &[u8]) -> Vec<u8> {
    let length = u16::try_from(addresses.len()).unwrap_or_default();
    [SIGNATURE, [command, family].as_slice(), &length.to_be_bytes(), addresses].concat()
}

impl Header {
    /// Reads the beginning of a connection. More bytes behind those of an answer other than [`Parsed::Incomplete`] do not
    /// change it.
    pub fn parse(bytes: &[u8]) -> Parsed {
        let begins = |word: &[u8]| bytes.iter().zip(word).all(|(byte, expected)| byte == expected);
        // The two begin differently, so that the first byte decides.
        if begins(SIGNATURE) {
            parse_v2(bytes).unwrap_or(Parsed::Incomplete)
        } else if begins(WORD) {
            parse_v1(bytes)
        } else {
            Parsed::Missing
        }
    }

    fn whole(length: usize, addresses: Option<(SocketAddr, SocketAddr)>) -> Parsed {
        let (source, destination) = addresses.unzip();
        Parsed::Done(Header { length, source, destination })
    }
}

fn parse_v1(bytes: &[u8]) -> Parsed {
    let window = bytes.get(..LONGEST_LINE).unwrap_or(bytes);
    let Some(end) = window.iter().position(|byte| *byte == b'\r' || *byte == b'\n') else {
        return if window.len() < LONGEST_LINE {
            Parsed::Incomplete
        } else {
            Parsed::Bad("its line is too long")
        };
    };
    match (window.get(end), window.get(end + 1)) {
        (Some(b'\r'), Some(b'\n')) => {}
        (Some(b'\r'), None) if window.len() < LONGEST_LINE => return Parsed::Incomplete,
        (Some(b'\r'), None) => return Parsed::Bad("its line is too long"),
        _ => return Parsed::Bad("its line does not end in CR LF"),
    }
    let line = String::from_utf8_lossy(window.get(WORD.len()..end).unwrap_or_default());
    let length = end + 2;
    let mut words = line.split(' ');
    let addresses = match words.next() {
        // Whatever follows is not to be looked at.
        Some("UNKNOWN") => return Header::whole(length, None),
        Some("TCP4") => addresses::<Ipv4Addr>(words),
        Some("TCP6") => addresses::<Ipv6Addr>(words),
        _ => return Parsed::Bad("its family is none of TCP4, TCP6 and UNKNOWN"),
    };
    match addresses {
        Some(addresses) => Header::whole(length, Some(addresses)),
        None => Parsed::Bad("its addresses or ports are wrong"),
    }
}

/// Two addresses and two ports, and nothing else.
fn addresses<'a, A: FromStr + Into<IpAddr>>(
    mut words: impl Iterator<Item = &'a str>,
) -> Option<(SocketAddr, SocketAddr)> {
    let mut address = || words.next()?.parse::<A>().ok().map(Into::into);
    let (from, to) = (address()?, address()?);
    let mut port = || words.next().and_then(port);
    let ports = (port()?, port()?);
    words.next().is_none().then(|| (SocketAddr::new(from, ports.0), SocketAddr::new(to, ports.1)))
}

/// A port as the protocol writes it: digits, without zeros ahead.
fn port(text: &str) -> Option<u16> {
    let plain = text == "0" || !text.starts_with(['0', '+']);
    text.parse().ok().filter(|_| plain)
}

/// None: there is more to come.
fn parse_v2(bytes: &[u8]) -> Option<Parsed> {
    let command = *bytes.get(SIGNATURE.len())?;
    match command {
        LOCAL | PROXY => {}
        _ if command >> 4 != 2 => return Some(Parsed::Bad("its version is not 2")),
        _ => return Some(Parsed::Bad("its command is neither LOCAL nor PROXY")),
    }
    let family = *bytes.get(SIGNATURE.len() + 1)?;
    let local = command == LOCAL;
    if !local && (family >> 4 > 3 || family & 0xf > 2) {
        return Some(Parsed::Bad("its family or transport is none that there is"));
    }
    let length = usize::from(u16::from_be_bytes(bytes.get(SIGNATURE.len() + 2..FIXED)?.try_into().ok()?));
    if length > MOST {
        return Some(Parsed::Bad("it is longer than 4096 bytes"));
    }
    let needed = match family >> 4 {
        _ if local => 0,
        1 => 12,
        2 => 36,
        3 => 216,
        _ => 0,
    };
    if length < needed {
        return Some(Parsed::Bad("it is too short for its addresses"));
    }
    let whole = bytes.get(..FIXED + length)?;
    // Of a local one everything that follows is to be passed over.
    if !local
        && family >> 4 != UNSPECIFIED
        && let Err(why) = check_fields(whole, FIXED + needed)
    {
        return Some(Parsed::Bad(why));
    }
    let behind = whole.get(FIXED..).unwrap_or_default();
    let addresses = match family {
        _ if local => None,
        TCP4 => packed::<4, Ipv4Addr>(behind),
        TCP6 => packed::<16, Ipv6Addr>(behind),
        _ => None,
    };
    Some(Header::whole(whole.len(), addresses))
}

/// Two addresses of `N` bytes and two ports.
fn packed<const N: usize, A: From<[u8; N]> + Into<IpAddr>>(bytes: &[u8]) -> Option<(SocketAddr, SocketAddr)> {
    let (from, rest) = bytes.split_first_chunk::<N>()?;
    let (to, rest) = rest.split_first_chunk::<N>()?;
    let (from_port, rest) = rest.split_first_chunk::<2>()?;
    let (to_port, _) = rest.split_first_chunk::<2>()?;
    let address =
        |ip: &[u8; N], port: &[u8; 2]| SocketAddr::new(A::from(*ip).into(), u16::from_be_bytes(*port));
    Some((address(from, from_port), address(to, to_port)))
}

/// Walks over the further fields of a whole header, which begin at `at`.
fn check_fields(whole: &[u8], mut at: usize) -> Result<(), &'static str> {
    const BEYOND: &str = "a field in it goes beyond its end";
    while at < whole.len() {
        let head = whole.get(at..).and_then(|rest| rest.first_chunk::<3>()).ok_or(BEYOND)?;
        let [kind, high, low] = *head;
        let (value_at, length) = (at + 3, usize::from(u16::from_be_bytes([high, low])));
        let value = whole.get(value_at..value_at + length).ok_or(BEYOND)?;
        if kind == CHECKSUM {
            let told =
                value.try_into().map(u32::from_be_bytes).map_err(|_| "its checksum is not 4 bytes long")?;
            let zeroed = |i: usize| (value_at..value_at + length).contains(&i);
            let bytes = whole.iter().enumerate().map(|(i, byte)| if zeroed(i) { 0 } else { *byte });
            if crc32c(bytes) != told {
                return Err("its checksum is wrong");
            }
        }
        at = value_at + length;
    }
    Ok(())
}

/// Castagnoli's checksum, bit by bit: there is little to sum, and seldom.
fn crc32c(bytes: impl Iterator<Item = u8>) -> u32 {
    let step = |crc: u32, _| if crc & 1 == 1 { (crc >> 1) ^ 0x82f6_3b78 } else { crc >> 1 };
    !bytes.fold(!0, |crc, byte| (0..8).fold(crc ^ u32::from(byte), step))
}

#[cfg(test)]
mod tests;
