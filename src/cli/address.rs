//! Where the daemon is: `http://HOST:PORT` and nothing else.

use std::fmt;
use std::net::Ipv6Addr;

use super::stop::Stop;
use crate::spec::text::shown_short;

/// The address that a daemon has when nobody asked for another.
const DEFAULT: &str = "http://127.0.0.1:8474";

/// The variable beside `--url`.
const VARIABLE: &str = "CHAOS_PROXY_URL";

/// Where a daemon's control API is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Address {
    /// A name or a literal address, without brackets.
    pub(super) host: String,
    /// The port.
    pub(super) port: u16,
    /// Host and port as `Host` has them.
    pub(super) authority: String,
}

impl Address {
    /// What the flag says, else the variable, else the default.
    pub(super) fn find(flag: Option<&str>, env: impl Fn(&str) -> Option<String>) -> Result<Address, Stop> {
        let variable = env(VARIABLE).filter(|url| !url.is_empty());
        match (flag, variable) {
            (Some(url), _) => Address::read(url, "--url"),
            (None, Some(url)) => Address::read(&url, VARIABLE),
            (None, None) => Address::read(DEFAULT, "--url"),
        }
    }

    /// Reads a URL; `from` names where it was written.
    fn read(url: &str, from: &str) -> Result<Address, Stop> {
        if url.contains('@') {
            // It may hold a password: it is not shown.
            return Err(Stop::wrong(format!(
                "{from}: no user or password belongs into it\n\
                 help: write http://HOST:PORT, and put the token into CHAOS_PROXY_TOKEN"
            )));
        }
        let wrong = |why: &str, instead: &str| {
            Stop::wrong(format!("{from} `{}` {why}\nhelp: {instead}", shown_short(url, 200)))
        };
        let plain = || wrong("is not an address", "write http://HOST:PORT, such as http://127.0.0.1:8474");
        let (scheme, rest) = match url.split_once("://") {
            Some((scheme, rest)) => (Some(scheme), rest),
            None => (None, url),
        };
        let (authority, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
        let (host, port) = split(authority).ok_or_else(plain)?;
        let instead = format!("write http://{authority}");
        match scheme {
            Some(scheme) if scheme.eq_ignore_ascii_case("http") => {}
            Some(scheme) if scheme.eq_ignore_ascii_case("https") => {
                return Err(wrong("asks for https, and a daemon speaks plain http", &instead));
            }
            Some(_) => return Err(wrong("is not http", &instead)),
            None => return Err(wrong("does not say http://", &instead)),
        }
        if !matches!(path, "" | "/") {
            return Err(wrong("has more than a host and a port", &instead));
        }
        Ok(Address { host: host.to_owned(), port, authority: authority.to_owned() })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "http://{}", self.authority)
    }
}

/// Host and port; without a port it is that of http.
fn split(authority: &str) -> Option<(&str, u16)> {
    let (host, port) = match authority.strip_prefix('[') {
        Some(rest) => {
            let (host, after) = rest.split_once(']')?;
            host.parse::<Ipv6Addr>().ok()?;
            (host, if after.is_empty() { None } else { Some(after.strip_prefix(':')?) })
        }
        None => {
            let (host, port) = match authority.split_once(':') {
                Some((host, port)) => (host, Some(port)),
                None => (authority, None),
            };
            let named = host.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_'));
            if host.is_empty() || !named {
                return None;
            }
            (host, port)
        }
    };
    let port = match port {
        None => 80,
        Some(digits) if digits.bytes().all(|b| b.is_ascii_digit()) => {
            digits.parse().ok().filter(|port| *port > 0)?
        }
        Some(_) => return None,
    };
    Some((host, port))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(url: &str) -> Result<Address, String> {
        Address::find(Some(url), |_| None).map_err(|stop| stop.why)
    }

    #[test]
    fn a_host_and_a_port_are_enough() {
        for (url, host, port) in [
            ("http://127.0.0.1:8474", "127.0.0.1", 8474),
            ("http://[::1]:9000/", "::1", 9000),
            ("HTTP://proxy.internal", "proxy.internal", 80),
        ] {
            let address = read(url).unwrap();
            assert_eq!((address.host.as_str(), address.port), (host, port), "{url}");
        }
        assert_eq!(read("http://[::1]:9000/").unwrap().to_string(), "http://[::1]:9000");
    }

    #[test]
    fn what_cannot_be_is_refused_with_what_to_write() {
        for (url, words) in [
            ("https://h:1", "asks for https, and a daemon speaks plain http\nhelp: write http://h:1"),
            ("127.0.0.1:8474", "does not say http://\nhelp: write http://127.0.0.1:8474"),
            ("http://h:1/v1", "has more than a host and a port\nhelp: write http://h:1"),
            ("unix://h", "is not http\nhelp: write http://h"),
            ("http://h:0", "is not an address"),
            ("http://h:+1", "is not an address"),
            ("http://h:70000", "is not an address"),
            ("http://", "is not an address"),
            ("http://::1:80", "is not an address"),
            ("http://a b", "is not an address"),
            ("http://h\u{1b}[2J", "is not an address"),
        ] {
            let why = read(url).unwrap_err();
            assert!(why.contains(words), "{url}: {why}");
            assert!(!why.contains('\u{1b}'));
        }
    }

    #[test]
    fn a_password_is_not_shown() {
        let why = read("http://me:hunter2@h:1").unwrap_err();
        assert!(!why.contains("hunter2") && why.contains("CHAOS_PROXY_TOKEN"), "{why}");
    }

    #[test]
    fn the_flag_beats_the_variable_and_an_empty_one_is_none() {
        let find =
            |flag, value: &'static str| Address::find(flag, move |_| Some(value.to_owned())).unwrap().port;
        assert_eq!(find(Some("http://h:1"), "http://h:2"), 1);
        assert_eq!(find(None, "http://h:2"), 2);
        assert_eq!(find(None, ""), 8474);
        let wrong = Address::find(None, |_| Some("h:2".to_owned())).unwrap_err();
        assert!(wrong.why.starts_with("CHAOS_PROXY_URL `h:2`"), "{}", wrong.why);
    }
}
