//! The addresses of a proxy of Toxiproxy, as its clients write them: where it listens (`localhost:0`, `:3310`,
//! `[::]:3310`), and where its connections go.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::str::FromStr;

use super::endpoint::{Endpoint, EndpointError};
use super::text::shown_short;

/// Where to listen, before any name is resolved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProxyListen {
    /// The address.
    pub host: ProxyHost,
    /// The port; 0 is whatever the system gives.
    pub port: u16,
}

/// The address to listen on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProxyHost {
    /// Every address of both families: nothing, `0.0.0.0` or `[::]`.
    Every,
    /// One address.
    Ip(IpAddr),
    /// A name, to be resolved.
    Name(String),
}

/// Why a text is no [`ProxyListen`], in the words that Toxiproxy's clients look for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProxyListenError {
    /// No colon.
    #[error("address {0}: missing port in address")]
    MissingPort(String),
    /// More colons than one, and no brackets.
    #[error("address {0}: too many colons in address")]
    TooManyColons(String),
    /// Brackets that do not match, or with no IPv6 address in them.
    #[error("address {0}: bad brackets in address")]
    Brackets(String),
    /// No number within 0..65535.
    #[error("address {0}: invalid port")]
    Port(String),
    /// Longer than the longest name with a port.
    #[error("address {0}: no such host")]
    TooLong(String),
}

/// The longest name and a port.
const LONGEST: usize = 253 + ":65535".len();

impl ProxyListen {
    /// Every address, and whatever port the system gives: what nothing at all means.
    pub const ANYWHERE: ProxyListen = ProxyListen { host: ProxyHost::Every, port: 0 };
}

impl FromStr for ProxyListen {
    type Err = ProxyListenError;

    fn from_str(text: &str) -> Result<ProxyListen, ProxyListenError> {
        if text.is_empty() {
            return Ok(ProxyListen::ANYWHERE);
        }
        let said = || shown_short(text, 80);
        if text.len() > LONGEST {
            return Err(ProxyListenError::TooLong(said()));
        }
        let (host, port) = match text.strip_prefix('[') {
            Some(rest) => {
                let (host, rest) = rest.split_once(']').ok_or_else(|| ProxyListenError::Brackets(said()))?;
                let address: std::net::Ipv6Addr =
                    host.parse().map_err(|_| ProxyListenError::Brackets(said()))?;
                let port = rest.strip_prefix(':').ok_or_else(|| ProxyListenError::MissingPort(said()))?;
                (ProxyHost::from(IpAddr::V6(address)), port)
            }
            None => match text.split_once(':') {
                None => return Err(ProxyListenError::MissingPort(said())),
                Some((_, port)) if port.contains(':') => return Err(ProxyListenError::TooManyColons(said())),
                Some((host, port)) => (host_of(host), port),
            },
        };
        // A sign is no part of a port, though Rust would read one; nor are more zeros before it than anybody writes.
        let digits = matches!(port.len(), 1..=5) && port.bytes().all(|byte| byte.is_ascii_digit());
        match port.parse() {
            Ok(port) if digits => Ok(ProxyListen { host, port }),
            _ => Err(ProxyListenError::Port(shown_short(port, 80))),
        }
    }
}

fn host_of(text: &str) -> ProxyHost {
    match text.parse::<IpAddr>() {
        Ok(ip) => ip.into(),
        Err(_) if text.is_empty() => ProxyHost::Every,
        // The one name that every machine has, and that means the same on all of them.
        Err(_) if text.eq_ignore_ascii_case("localhost") => ProxyHost::Ip(Ipv4Addr::LOCALHOST.into()),
        Err(_) => ProxyHost::Name(text.to_owned()),
    }
}

impl From<IpAddr> for ProxyHost {
    fn from(ip: IpAddr) -> ProxyHost {
        if ip.is_unspecified() { ProxyHost::Every } else { ProxyHost::Ip(ip) }
    }
}

impl fmt::Display for ProxyListen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.host {
            ProxyHost::Every => write!(f, "[::]:{}", self.port),
            ProxyHost::Ip(ip) => std::net::SocketAddr::new(*ip, self.port).fmt(f),
            ProxyHost::Name(name) => write!(f, "{name}:{}", self.port),
        }
    }
}

/// Where connections of a proxy go. A port alone is one of this machine.
pub fn proxy_upstream(text: &str) -> Result<Endpoint, EndpointError> {
    match text.parse() {
        Err(EndpointError::NoHost) => format!("localhost{text}").parse(),
        read => read,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_read_as_clients_write_it_and_shown_as_the_system_has_it() {
        for (text, shown) in [
            ("", "[::]:0"),
            (":3310", "[::]:3310"),
            ("0.0.0.0:3310", "[::]:3310"),
            ("[::]:3310", "[::]:3310"),
            ("localhost:0", "127.0.0.1:0"),
            ("LOCALHOST:65535", "127.0.0.1:65535"),
            ("127.0.0.1:3310", "127.0.0.1:3310"),
            ("[::1]:3310", "[::1]:3310"),
            ("db.internal:3310", "db.internal:3310"),
        ] {
            assert_eq!(text.parse::<ProxyListen>().unwrap().to_string(), shown, "{text}");
        }
    }

    #[test]
    fn a_port_alone_is_one_of_this_machine() {
        assert_eq!(proxy_upstream(":6379").unwrap().to_string(), "localhost:6379");
        assert_eq!(proxy_upstream("redis:6379").unwrap().to_string(), "redis:6379");
        assert_eq!(proxy_upstream("redis"), Err(EndpointError::NoPort));
        assert!(proxy_upstream(":").is_err());
    }

    #[test]
    fn what_is_no_address_is_told_in_the_words_that_clients_know() {
        for (text, words) in [
            ("local373", "address local373: missing port in address"),
            ("localhost", "address localhost: missing port in address"),
            ("[::1]", "address [::1]: missing port in address"),
            ("localhost:99999", "address 99999: invalid port"),
            ("localhost:-1", "address -1: invalid port"),
            ("localhost:+1", "address +1: invalid port"),
            ("localhost:", "address : invalid port"),
            ("localhost:http", "address http: invalid port"),
            ("localhost:000080", "address 000080: invalid port"),
            ("::1:80", "address ::1:80: too many colons in address"),
            ("[::1:80", "address [::1:80: bad brackets in address"),
            ("[db]:80", "address [db]:80: bad brackets in address"),
        ] {
            assert_eq!(text.parse::<ProxyListen>().unwrap_err().to_string(), words, "{text}");
        }
        let hostile = "\u{1b}[31m".repeat(100);
        let words = hostile.parse::<ProxyListen>().unwrap_err().to_string();
        assert!(!words.contains('\u{1b}') && words.len() < 400, "{words}");
    }
}
