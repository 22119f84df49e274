//! Where one may be led: a range of addresses or a host, with a port or with any: `10.0.0.0/8`, `*.internal:5432`.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;
use std::sync::Arc;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Deserialize, Deserializer, Error, Visitor};
use serde::{Serialize, Serializer};

use super::Cidr;
use super::cidr::CidrError;
use super::endpoint::{Address, Host};

/// Places that connections may be led to.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Allowed {
    host: Hosts,
    /// None: every port.
    port: Option<u16>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Hosts {
    /// Addresses; also those that a name turns out to have.
    Range(Cidr),
    /// One name.
    Name(Arc<str>),
    /// Every name that ends so, after a dot.
    Below(Arc<str>),
}

/// Why a text is no [`Allowed`]: words that follow the text, and on a second line what to write.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AllowedError {
    /// Neither a host nor a range.
    #[error(
        "is no host and no range of addresses\nwrite 10.0.0.0/8, db.internal or *.internal, each with or without :PORT"
    )]
    Host,
    /// The port is no number within 1..=65535.
    #[error("has a wrong port\na port is a number within 1..65535; left out: every port")]
    Port,
    /// A range that is none.
    #[error(transparent)]
    Range(CidrError),
}

impl Allowed {
    /// Whether it is said of this address and port.
    pub fn holds(&self, ip: IpAddr, port: u16) -> bool {
        self.is_about(port) && matches!(&self.host, Hosts::Range(range) if range.contains(ip))
    }

    /// Whether it is said of this host and port as they are written. A name is not resolved.
    pub fn names(&self, address: &Address) -> bool {
        match (&self.host, &address.host) {
            (Hosts::Range(_), Host::Ip(ip)) => self.holds(*ip, address.port),
            (Hosts::Name(own), Host::Name(name)) => self.is_about(address.port) && **own == *plain(name),
            (Hosts::Below(end), Host::Name(name)) => {
                let name = plain(name);
                let above = name.strip_suffix(&**end).and_then(|rest| rest.strip_suffix('.'));
                self.is_about(address.port) && above.is_some_and(|rest| !rest.is_empty())
            }
            _ => false,
        }
    }

    fn is_about(&self, port: u16) -> bool {
        self.port.is_none_or(|own| own == port)
    }
}

/// A name in the one form in which names are compared.
fn plain(name: &str) -> String {
    name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase()
}

impl FromStr for Allowed {
    type Err = AllowedError;

    fn from_str(text: &str) -> Result<Allowed, AllowedError> {
        if text.contains("://") {
            return Err(AllowedError::Host);
        }
        if let Ok(range) = text.parse() {
            return Ok(Allowed { host: Hosts::Range(range), port: None });
        }
        // In brackets a range of IPv6 addresses, so that the colon before a port can be told from its own.
        let (host, port) = match text.strip_prefix('[').map(|rest| rest.split_once(']')) {
            Some(None) => return Err(AllowedError::Host),
            Some(Some((inside, ""))) => (inside, None),
            Some(Some((inside, rest))) => (inside, Some(rest.strip_prefix(':').ok_or(AllowedError::Port)?)),
            None => match text.split_once(':') {
                Some((host, port)) if !port.contains(':') => (host, Some(port)),
                _ => (text, None),
            },
        };
        let port = port.map(|port| port_of(port).ok_or(AllowedError::Port)).transpose()?;
        match host.parse() {
            Ok(range) => return Ok(Allowed { host: Hosts::Range(range), port }),
            Err(error) if host.contains('/') => return Err(AllowedError::Range(error)),
            Err(_) => {}
        }
        let (name, below) = match host.strip_prefix("*.") {
            Some(name) => (name, true),
            None => (host, false),
        };
        // What is a host in an upstream is one here.
        match format!("{name}:1").parse() {
            Ok(Address { host: Host::Name(name), .. }) if !text.starts_with('[') => {
                let name = plain(&name).into();
                Ok(Allowed { host: if below { Hosts::Below(name) } else { Hosts::Name(name) }, port })
            }
            _ => Err(AllowedError::Host),
        }
    }
}

fn port_of(text: &str) -> Option<u16> {
    let digits = !text.starts_with('0') && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| digits)
}

impl fmt::Display for Allowed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.host, self.port) {
            (Hosts::Range(range), Some(_)) if range.is_ipv6() => write!(f, "[{range}]"),
            (Hosts::Range(range), _) => write!(f, "{range}"),
            (Hosts::Name(name), _) => write!(f, "{name}"),
            (Hosts::Below(end), _) => write!(f, "*.{end}"),
        }?;
        self.port.map_or(Ok(()), |port| write!(f, ":{port}"))
    }
}

impl Serialize for Allowed {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Allowed {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Allowed, D::Error> {
        deserializer.deserialize_str(AllowedVisitor)
    }
}

struct AllowedVisitor;

impl Visitor<'_> for AllowedVisitor {
    type Value = Allowed;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a host or a range of addresses such as 10.0.0.0/8 or db.internal:5432")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Allowed, E> {
        text.parse().map_err(E::custom)
    }
}

impl JsonSchema for Allowed {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Allowed".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "minLength": 1,
            "maxLength": 300,
            "examples": ["10.0.0.0/8", "10.0.0.0/8:5432", "[fd00::/8]:5432", "db.internal", "*.internal:5432"],
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn allowed(text: &str) -> Allowed {
        text.parse().unwrap_or_else(|error| panic!("{text} {error}"))
    }

    fn names(text: &str, address: &str) -> bool {
        allowed(text).names(&address.parse().unwrap())
    }

    #[test]
    fn what_is_read_is_shown_alike() {
        for text in [
            "10.0.0.0/8",
            "10.0.0.7",
            "10.0.0.0/8:5432",
            "10.0.0.7:80",
            "fd00::/8",
            "::1",
            "[fd00::/8]:5432",
            "[::1]:80",
            "db.internal",
            "db.internal:5432",
            "*.internal",
            "*.internal:1",
        ] {
            assert_eq!(allowed(text).to_string(), text);
        }
        assert_eq!(allowed("[::1]"), allowed("::1"));
        assert_eq!(allowed("DB.Internal."), allowed("db.internal"));
    }

    #[test]
    fn wrong_ones_are_refused_for_the_right_reason() {
        use AllowedError as E;
        for (text, error) in [
            ("", E::Host),
            ("*", E::Host),
            ("*.", E::Host),
            ("a.*.b", E::Host),
            ("http://db", E::Host),
            ("db:http", E::Port),
            ("db:0", E::Port),
            ("db:080", E::Port),
            ("db:65536", E::Port),
            ("db:", E::Port),
            ("[::1]80", E::Port),
            ("[::1", E::Host),
            ("[db]:80", E::Host),
            ("::1:x", E::Host),
            ("a b", E::Host),
            ("256.1.1.1", E::Host),
            ("user@db", E::Host),
            ("10.0.0.0/33", E::Range(CidrError::Bits)),
            ("10.0.0.1/8", E::Range(CidrError::Beyond)),
            ("10.0.0.1/8:80", E::Range(CidrError::Beyond)),
            ("db/8", E::Range(CidrError::Address)),
        ] {
            assert_eq!(text.parse::<Allowed>(), Err(error), "{text}");
        }
    }

    #[test]
    fn a_range_holds_addresses_and_a_name_names() {
        assert!(names("10.0.0.0/8", "10.1.2.3:80") && names("10.0.0.0/8:80", "10.1.2.3:80"));
        assert!(!names("10.0.0.0/8:81", "10.1.2.3:80") && !names("10.0.0.0/8", "11.1.2.3:80"));
        assert!(names("0.0.0.0/0", "[::ffff:10.0.0.1]:80"), "the same address in other clothes");
        assert!(names("db.internal", "DB.internal.:5432") && names("db.internal:1", "db.internal:1"));
        assert!(!names("db.internal:1", "db.internal:2") && !names("db.internal", "adb.internal:1"));
        assert!(names("*.internal", "db.internal:1") && names("*.internal", "a.b.INTERNAL:1"));
        assert!(!names("*.internal", "internal:1") && !names("*.internal", "dbinternal:1"));
        assert!(!names("10.0.0.0/8", "db.internal:1"), "nobody knows yet");
        assert!(!allowed("db.internal").holds([10, 0, 0, 1].into(), 1));
    }

    proptest! {
        #[test]
        fn no_text_panics_and_what_is_read_is_kept(text in "[\\[\\]*./:0-9a-f%]{0,24}|.{0,40}") {
            if let Ok(read) = text.parse::<Allowed>() {
                prop_assert_eq!(read.to_string().parse::<Allowed>(), Ok(read));
            }
        }
    }
}
