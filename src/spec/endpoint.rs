//! The address of an upstream, as a configuration writes it: `host:port`, `[v6]:port` or `builtin:NAME`.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;
use std::sync::Arc;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Deserialize, Deserializer, Error, Visitor};
use serde::ser::{Serialize, Serializer};

use super::pattern::{PORT, ipv4, ipv6};
use super::suggest::nearest;
use super::text::is_hostile;

/// One place a connection can go.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Endpoint {
    /// A TCP address.
    Address(Address),
    /// A responder inside this program.
    Builtin(Builtin),
}

impl Endpoint {
    /// Whether it is a responder inside this program: nothing is dialled.
    pub fn is_builtin(&self) -> bool {
        matches!(self, Endpoint::Builtin(_))
    }
}

/// A host and a port. A name is not resolved before it is dialled.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Address {
    /// A literal address or a name.
    pub host: Host,
    /// 1..=65535.
    pub port: u16,
}

/// A literal address or a name.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Host {
    /// A literal IPv4 or IPv6 address.
    Ip(IpAddr),
    /// A name to be resolved, in ASCII.
    Name(Arc<str>),
}

/// The responders inside this program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Builtin {
    /// Sends back what it is sent.
    Echo,
    /// Answers any HTTP/1.1 request with a small JSON document of what it saw.
    Http,
    /// Reads everything and answers nothing; ends when the client does.
    Discard,
    /// Sends characters without end, and reads nothing of account.
    Chargen,
    /// Accepts, and never reads, answers or ends.
    Silent,
}

/// Why a text is no [`Endpoint`]: words that follow the text, and on a second line what to write. They never repeat the
/// text, which may hold a password.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EndpointError {
    /// Nothing at all.
    #[error("is empty\nwrite host:port, or builtin:echo")]
    Empty,
    /// `http://…`.
    #[error("has a scheme\nwrite host:port alone, such as db.internal:5432")]
    Scheme,
    /// `user@…`.
    #[error("has a user or password\nwrite host:port alone, such as db.internal:5432")]
    UserInfo,
    /// `…/path`.
    #[error("has a path\nwrite host:port alone, such as db.internal:5432")]
    Path,
    /// A blank, control or invisible character.
    #[error("holds a blank, control or invisible character\nwrite host:port, such as db.internal:5432")]
    Hostile,
    /// No colon.
    #[error("has no port\nwrite host:port, such as db.internal:5432")]
    NoPort,
    /// Nothing before the colon.
    #[error("has no host\nwrite host:port, such as db.internal:5432")]
    NoHost,
    /// The port is no number within 1..=65535.
    #[error("has a wrong port\na port is a number within 1..65535")]
    Port,
    /// `::1:5432`.
    #[error("is an IPv6 address without brackets\nwrite [::1]:5432")]
    BareV6,
    /// `[::1:5432`.
    #[error("has a bracket that is not closed\nwrite [::1]:5432")]
    Bracket,
    /// `[x]:5432`.
    #[error("has no IPv6 address in its brackets\nwrite [::1]:5432")]
    V6,
    /// `[fe80::1%eth0]:80`.
    #[error("has a zone\nwrite the address without what follows `%`")]
    Zone,
    /// `1.2.3:80`, `256.1.1.1:80`.
    #[error("looks like an IPv4 address and is none\nan address has four numbers within 0..255")]
    V4,
    /// A name over 253 characters.
    #[error("has a host name that is too long\na name has at most 253 characters")]
    NameLength,
    /// A label over 63 characters, or an empty one.
    #[error("has a part between dots that is empty or too long\nsuch a part has 1 to 63 characters")]
    Label,
    /// Not ASCII.
    #[error("has a host name that is not ASCII\nwrite its punycode form (xn--…)")]
    NotAscii,
    /// A character no host name has.
    #[error("has a character that no host name has\na name is made of letters, digits, -, _ and dots")]
    NameCharacter,
    /// `builtin:ehco`.
    #[error("is no builtin upstream\nbuiltin are {}{}", Builtin::WORDS.join(", "), meant(.0))]
    Builtin(Option<&'static str>),
}

fn meant(near: &Option<&'static str>) -> String {
    near.map_or_else(String::new, |near| format!("; did you mean `builtin:{near}`?"))
}

impl Builtin {
    /// The names, in the order of the documentation.
    pub const WORDS: [&'static str; 5] = ["echo", "http", "discard", "chargen", "silent"];

    /// The name in `builtin:NAME`.
    pub fn word(self) -> &'static str {
        match self {
            Builtin::Echo => "echo",
            Builtin::Http => "http",
            Builtin::Discard => "discard",
            Builtin::Chargen => "chargen",
            Builtin::Silent => "silent",
        }
    }

    fn from_word(word: &str) -> Option<Builtin> {
        [Builtin::Echo, Builtin::Http, Builtin::Discard, Builtin::Chargen, Builtin::Silent]
            .into_iter()
            .find(|builtin| builtin.word() == word)
    }
}

impl FromStr for Endpoint {
    type Err = EndpointError;

    fn from_str(text: &str) -> Result<Endpoint, EndpointError> {
        match text.strip_prefix("builtin:") {
            Some(word) => Builtin::from_word(word)
                .map(Endpoint::Builtin)
                .ok_or_else(|| EndpointError::Builtin(nearest(word, Builtin::WORDS))),
            None => text.parse().map(Endpoint::Address),
        }
    }
}

impl FromStr for Address {
    type Err = EndpointError;

    fn from_str(text: &str) -> Result<Address, EndpointError> {
        use EndpointError as E;
        if text.is_empty() {
            return Err(E::Empty);
        }
        if text.contains("://") {
            return Err(E::Scheme);
        }
        if text.contains('@') {
            return Err(E::UserInfo);
        }
        if text.chars().any(|c| c.is_whitespace() || is_hostile(c)) {
            return Err(E::Hostile);
        }
        if text.contains(['/', '?', '#']) {
            return Err(E::Path);
        }
        if let Some(rest) = text.strip_prefix('[') {
            let (inside, after) = rest.split_once(']').ok_or(E::Bracket)?;
            if inside.contains('%') {
                return Err(E::Zone);
            }
            let address: Ipv6Addr = inside.parse().map_err(|_| E::V6)?;
            let port = after.strip_prefix(':').ok_or(E::NoPort)?;
            return Ok(Address { host: Host::Ip(address.into()), port: read_port(port)? });
        }
        if text.matches(':').count() > 1 {
            let v6 = text.parse::<Ipv6Addr>().is_ok()
                || text.rsplit_once(':').is_some_and(|(host, _)| host.parse::<Ipv6Addr>().is_ok());
            return Err(if v6 { E::BareV6 } else { E::Port });
        }
        let Some((host, port)) = text.split_once(':') else {
            return Err(E::NoPort);
        };
        let host = read_host(host)?;
        Ok(Address { host, port: read_port(port)? })
    }
}

fn read_port(text: &str) -> Result<u16, EndpointError> {
    if text.is_empty() {
        return Err(EndpointError::NoPort);
    }
    if text.starts_with('0') || !text.bytes().all(|b| b.is_ascii_digit()) {
        return Err(EndpointError::Port);
    }
    text.parse().map_err(|_| EndpointError::Port)
}

fn read_host(text: &str) -> Result<Host, EndpointError> {
    use EndpointError as E;
    if text.is_empty() {
        return Err(E::NoHost);
    }
    if let Ok(address) = text.parse::<Ipv4Addr>() {
        return Ok(Host::Ip(address.into()));
    }
    if !text.is_ascii() {
        return Err(E::NotAscii);
    }
    // A dot at the end says that the name is complete.
    let name = text.strip_suffix('.').unwrap_or(text);
    if name.len() > 253 {
        return Err(E::NameLength);
    }
    let mut last = "";
    for label in name.split('.') {
        if label.is_empty() || label.len() > 63 {
            return Err(E::Label);
        }
        let fine = label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
        if !fine || label.starts_with('-') || label.ends_with('-') {
            return Err(E::NameCharacter);
        }
        last = label;
    }
    if last.bytes().all(|b| b.is_ascii_digit()) {
        return Err(E::V4);
    }
    Ok(Host::Name(text.into()))
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Endpoint::Address(address) => write!(f, "{address}"),
            Endpoint::Builtin(builtin) => write!(f, "builtin:{}", builtin.word()),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.host {
            Host::Ip(IpAddr::V6(address)) => write!(f, "[{address}]:{}", self.port),
            Host::Ip(address) => write!(f, "{address}:{}", self.port),
            Host::Name(name) => write!(f, "{name}:{}", self.port),
        }
    }
}

impl Serialize for Endpoint {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Endpoint {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Endpoint, D::Error> {
        deserializer.deserialize_str(EndpointVisitor)
    }
}

struct EndpointVisitor;

impl Visitor<'_> for EndpointVisitor {
    type Value = Endpoint;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an address such as db.internal:5432, or builtin:echo")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Endpoint, E> {
        text.parse().map_err(E::custom)
    }
}

/// `host:port` and `[v6]:port`.
fn pattern() -> String {
    format!(r"^{}:{PORT}$", host_pattern())
}

/// A name or an address, an IPv6 one in brackets. The last part of a name is not all digits.
pub(crate) fn host_pattern() -> String {
    let part = "[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?";
    let word = "[A-Za-z_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?";
    let mixed = "[0-9]{1,20}([A-Za-z_]|[A-Za-z_-][A-Za-z0-9_-]{0,40}[A-Za-z0-9_])";
    format!(r"({}|({part}\.)*({word}|{mixed})\.?|\[{}\])", ipv4(), ipv6())
}

impl JsonSchema for Endpoint {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Endpoint".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let builtin = Builtin::WORDS.map(|word| format!("builtin:{word}"));
        json_schema!({
            "anyOf": [
                {"type": "string", "maxLength": 255, "pattern": pattern(),
                 "examples": ["db.internal:5432", "[::1]:5432"]},
                {"enum": builtin},
            ]
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::spec::pattern::tests::texts;

    #[test]
    fn addresses_are_read_and_shown_alike() {
        for text in [
            "db.internal:5432",
            "127.0.0.1:1",
            "[::1]:5432",
            "[::ffff:10.0.0.1]:80",
            "xn--bcher-kva.example:80",
            "example.com.:443",
            "my_service:65535",
            "builtin:echo",
            "builtin:silent",
        ] {
            assert_eq!(text.parse::<Endpoint>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn wrong_addresses_are_refused_for_the_right_reason() {
        use EndpointError as E;
        let long_label = format!("{}.example:80", "a".repeat(64));
        let long_name = format!("{}:80", "abc.".repeat(64));
        for (text, error) in [
            ("", E::Empty),
            ("db", E::NoPort),
            ("db:", E::NoPort),
            ("[::1]", E::NoPort),
            (":80", E::NoHost),
            ("db:0", E::Port),
            ("db:65536", E::Port),
            ("db:http", E::Port),
            ("db:080", E::Port),
            ("db:+80", E::Port),
            ("db:1:2", E::Port),
            ("::1", E::BareV6),
            ("::1:5432", E::BareV6),
            ("fe80::1:80", E::BareV6),
            ("[::1:5432", E::Bracket),
            ("[db]:80", E::V6),
            ("[fe80::1%eth0]:80", E::Zone),
            ("http://db:80", E::Scheme),
            ("postgres://u:p@db:5432", E::Scheme),
            ("u:p@db:5432", E::UserInfo),
            ("db:80/path", E::Path),
            ("db :80", E::Hostile),
            ("db\0:80", E::Hostile),
            ("db:80\n", E::Hostile),
            ("256.1.1.1:80", E::V4),
            ("1.2.3:80", E::V4),
            ("bücher.example:80", E::NotAscii),
            ("a..b:80", E::Label),
            (long_label.as_str(), E::Label),
            (long_name.as_str(), E::NameLength),
            ("-a:80", E::NameCharacter),
            ("a*b:80", E::NameCharacter),
            ("builtin:ehco", E::Builtin(Some("echo"))),
            ("builtin:", E::Builtin(None)),
        ] {
            assert_eq!(text.parse::<Endpoint>(), Err(error), "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_the_schema_takes_is_read(text in texts(&pattern())) {
            prop_assert!(text.len() > 255 || text.parse::<Endpoint>().is_ok(), "{}", text);
        }
    }
}
