//! Ranges of addresses: `10.0.0.0/8`, `::1`.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Deserialize, Deserializer, Error, Visitor};
use serde::{Serialize, Serializer};

use super::pattern::{ipv4, ipv6};

/// An address and how many of its leading bits count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Cidr {
    base: IpAddr,
    bits: u8,
}

/// Why a text is no [`Cidr`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CidrError {
    /// No address before the slash.
    #[error("is not an address range\nwrite an address or a range: 10.0.0.7, 10.0.0.0/8 or fd00::/8")]
    Address,
    /// No number of bits after it.
    #[error("has a wrong length\nan IPv4 range ends in /0 to /32, an IPv6 range in /0 to /128")]
    Bits,
    /// Bits set beyond the length.
    #[error("has bits set beyond its length\nset them to zero, or write the address without a length")]
    Beyond,
}

impl Cidr {
    /// Whether it is a range of IPv6 addresses.
    pub fn is_ipv6(&self) -> bool {
        self.base.is_ipv6()
    }

    /// Whether `address` lies in the range. An IPv4 address is the same in its IPv6 clothes (`::ffff:10.0.0.1`).
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.base, address.to_canonical()) {
            (IpAddr::V4(base), IpAddr::V4(address)) => {
                mask32(base.to_bits(), self.bits) == mask32(address.to_bits(), self.bits)
            }
            (IpAddr::V6(base), IpAddr::V6(address)) => {
                mask128(base.to_bits(), self.bits) == mask128(address.to_bits(), self.bits)
            }
            _ => false,
        }
    }
}

fn mask32(value: u32, bits: u8) -> u32 {
    value & u32::MAX.checked_shl(32u32.saturating_sub(bits.into())).unwrap_or(0)
}

fn mask128(value: u128, bits: u8) -> u128 {
    value & u128::MAX.checked_shl(128u32.saturating_sub(bits.into())).unwrap_or(0)
}

impl FromStr for Cidr {
    type Err = CidrError;

    fn from_str(text: &str) -> Result<Cidr, CidrError> {
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits)),
            None => (text, None),
        };
        let typed: IpAddr = address.parse().map_err(|_| CidrError::Address)?;
        let most = if typed.is_ipv4() { 32 } else { 128 };
        let bits = match bits {
            None => most,
            Some(bits) if bits.bytes().all(|b| b.is_ascii_digit()) => {
                bits.parse().ok().filter(|bits| *bits <= most).ok_or(CidrError::Bits)?
            }
            Some(_) => return Err(CidrError::Bits),
        };
        // A mapped range of at least the mapping's 96 bits is an IPv4 range.
        let (base, bits) = match typed.to_canonical() {
            IpAddr::V4(base) if typed.is_ipv6() && bits >= 96 => (IpAddr::V4(base), bits - 96),
            _ => (typed, bits),
        };
        let clean = match base {
            IpAddr::V4(base) => mask32(base.to_bits(), bits) == base.to_bits(),
            IpAddr::V6(base) => mask128(base.to_bits(), bits) == base.to_bits(),
        };
        if clean { Ok(Cidr { base, bits }) } else { Err(CidrError::Beyond) }
    }
}

impl fmt::Display for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let most = if self.base.is_ipv4() { 32 } else { 128 };
        if self.bits == most { write!(f, "{}", self.base) } else { write!(f, "{}/{}", self.base, self.bits) }
    }
}

impl Serialize for Cidr {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Cidr {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Cidr, D::Error> {
        deserializer.deserialize_str(CidrVisitor)
    }
}

struct CidrVisitor;

impl Visitor<'_> for CidrVisitor {
    type Value = Cidr;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an address range such as 10.0.0.0/8")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Cidr, E> {
        text.parse().map_err(E::custom)
    }
}

/// Addresses and ranges. That no bit is set beyond the length, no pattern says.
fn pattern() -> String {
    let (v4, v6) = (ipv4(), ipv6());
    format!("^({v4}(/([12]?[0-9]|3[0-2]))?|{v6}(/([1-9]?[0-9]|1[01][0-9]|12[0-8]))?)$")
}

impl JsonSchema for Cidr {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Cidr".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "pattern": pattern(), "examples": ["10.0.0.0/8", "::1"]})
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::spec::pattern::tests::texts;

    fn contains(range: &str, address: &str) -> bool {
        range.parse::<Cidr>().unwrap().contains(address.parse().unwrap())
    }

    #[test]
    fn ranges_hold_what_they_should() {
        assert!(contains("10.0.0.0/8", "10.255.0.1"));
        assert!(!contains("10.0.0.0/8", "11.0.0.1"));
        assert!(contains("0.0.0.0/0", "203.0.113.9"));
        assert!(contains("127.0.0.1", "127.0.0.1"));
        assert!(!contains("127.0.0.1", "127.0.0.2"));
        assert!(contains("fd00::/8", "fdff::1"));
        assert!(contains("::/0", "fe80::1"));
        assert!(!contains("::/0", "10.0.0.1"));
    }

    #[test]
    fn mapped_addresses_are_ipv4() {
        assert!(contains("10.0.0.0/8", "::ffff:10.1.2.3"));
        assert!(contains("::ffff:10.0.0.0/104", "10.1.2.3"));
    }

    #[test]
    fn wrong_ranges_are_refused() {
        assert_eq!("10.0.0".parse::<Cidr>(), Err(CidrError::Address));
        assert_eq!("10.0.0.0/33".parse::<Cidr>(), Err(CidrError::Bits));
        assert_eq!("10.0.0.0/+8".parse::<Cidr>(), Err(CidrError::Bits));
        assert_eq!("10.0.0.1/8".parse::<Cidr>(), Err(CidrError::Beyond));
    }

    proptest! {
        #[test]
        fn what_the_schema_takes_is_read(text in texts(&pattern())) {
            match text.parse::<Cidr>() {
                Ok(_) | Err(CidrError::Beyond) => {}
                Err(error) => prop_assert!(false, "{} {}", text, error),
            }
        }
    }
}
