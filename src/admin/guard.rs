//! Who may ask. A pure function over the head of a request.
//!
//! A browser on the same machine reaches a loopback address too, so that a foreign page could: therefore the name it
//! asked for, and the page it asks from, must be ours.

use std::net::{Ipv4Addr, Ipv6Addr};

use hyper::header::{self, HeaderMap, HeaderName};
use hyper::{StatusCode, Uri};

use super::problem::{Problem, tokenless, unauthorized};
use super::token::Token;
use crate::config::HostName;

/// Paths for probes and scrapers, who know no token and no name.
pub(super) const OPEN: &[&str] = &["/livez", "/readyz", "/metrics"];

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// What a request must show.
#[derive(Debug, Default)]
pub(super) struct Policy {
    /// The token, if one is needed.
    pub(super) token: Option<Token>,
    /// Further names allowed in `Host`.
    pub(super) allowed_hosts: Vec<String>,
    /// Whether it can be reached from other machines.
    pub(super) beyond: bool,
    /// Whether Toxiproxy's paths are open to everybody who reaches them: its clients know no token.
    pub(super) open_to_toxiproxy: bool,
}

impl Policy {
    /// Lets a request in, or says why not.
    pub(super) fn admit(&self, uri: &Uri, headers: &HeaderMap) -> Result<(), Problem> {
        if OPEN.contains(&uri.path()) {
            return Ok(());
        }
        self.ours(uri, headers)?;
        match &self.token {
            Some(token) if bears(headers, token) => Ok(()),
            None if !self.beyond => Ok(()),
            Some(_) => Err(unauthorized()),
            None => Err(tokenless()),
        }
    }

    /// The same for Toxiproxy's paths. Who opened them has said so: then its clients come without a token and, from other
    /// machines, under whatever name a network of containers has for this one. A page could have found a name for us too,
    /// so that whatever says that a page asks is enough to refuse it.
    pub(super) fn admit_to_toxiproxy(&self, uri: &Uri, headers: &HeaderMap) -> Result<(), Problem> {
        if !self.open_to_toxiproxy {
            return self.admit(uri, headers);
        }
        if !self.beyond {
            return self.ours(uri, headers);
        }
        let of_pages = [header::ORIGIN, header::REFERER, SEC_FETCH_SITE];
        if of_pages.iter().any(|name| headers.contains_key(name)) { Err(foreign()) } else { Ok(()) }
    }

    /// Whether the name that was asked for, and the page that asks, are ours.
    fn ours(&self, uri: &Uri, headers: &HeaderMap) -> Result<(), Problem> {
        let host = self.known_host(headers)?;
        if let Some(authority) = uri.authority() {
            self.known(authority.as_str())?;
        }
        same_origin(host, headers)?;
        same_site(headers)
    }

    fn known_host<'a>(&self, headers: &'a HeaderMap) -> Result<&'a str, Problem> {
        let mut hosts = headers.get_all(header::HOST).iter();
        let (host, None) = (hosts.next(), hosts.next()) else {
            return Err(Problem::bad_request("there is more than one Host header"));
        };
        let host = host.ok_or_else(|| Problem::bad_request("there is no Host header"))?;
        let host = host.to_str().map_err(|_| malformed())?;
        self.known(host)?;
        Ok(host)
    }

    /// Whether a name, with or without a port, is one of ours.
    fn known(&self, authority: &str) -> Result<(), Problem> {
        let Host { name, literal } = read_host(authority).ok_or_else(malformed)?;
        // The dot at the end of a name that is complete says nothing more.
        let plain = |name: &str| name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase();
        let asked = plain(name);
        if literal || asked == "localhost" || self.allowed_hosts.iter().any(|allowed| plain(allowed) == asked)
        {
            return Ok(());
        }
        Err(Problem::new(
            StatusCode::FORBIDDEN,
            format!(
                "the name `{name}` is not one this API answers to: use localhost or an IP address, or list the name \
                 under admin.allowedHosts"
            ),
        ))
    }
}

struct Host<'a> {
    name: &'a str,
    /// Whether it is an IP address.
    literal: bool,
}

/// `name`, `1.2.3.4`, `[::1]`, each with or without `:port`.
fn read_host(text: &str) -> Option<Host<'_>> {
    if let Some(rest) = text.strip_prefix('[') {
        let (name, rest) = rest.split_once(']')?;
        name.parse::<Ipv6Addr>().ok()?;
        if !rest.is_empty() {
            read_port(rest.strip_prefix(':')?)?;
        }
        return Some(Host { name, literal: true });
    }
    let (name, port) = match text.split_once(':') {
        Some((name, port)) => (name, Some(port)),
        None => (text, None),
    };
    if let Some(port) = port {
        read_port(port)?;
    }
    HostName::is_one(name).then(|| Host { name, literal: name.parse::<Ipv4Addr>().is_ok() })
}

fn read_port(text: &str) -> Option<u16> {
    if text.bytes().all(|byte| byte.is_ascii_digit()) { text.parse().ok() } else { None }
}

fn malformed() -> Problem {
    Problem::bad_request("the Host is not a name or an address with or without a port")
}

/// Whether a browser asks, as far as it says so itself: Toxiproxy answers none.
pub(super) fn is_browser(headers: &HeaderMap) -> bool {
    headers.get_all(header::USER_AGENT).iter().any(|agent| agent.as_bytes().starts_with(b"Mozilla/"))
}

/// A page of another origin asks, if the browser says so.
fn same_origin(host: &str, headers: &HeaderMap) -> Result<(), Problem> {
    let own = |origin: &[u8]| origin.strip_prefix(b"http://") == Some(host.as_bytes());
    if headers.get_all(header::ORIGIN).iter().all(|origin| own(origin.as_bytes())) {
        return Ok(());
    }
    Err(foreign())
}

fn foreign() -> Problem {
    Problem::new(StatusCode::FORBIDDEN, "requests from pages of another origin are refused")
}

fn same_site(headers: &HeaderMap) -> Result<(), Problem> {
    let own = |site: &[u8]| site == b"same-origin" || site == b"none";
    if headers.get_all(SEC_FETCH_SITE).iter().all(|site| own(site.as_bytes())) {
        return Ok(());
    }
    Err(Problem::new(StatusCode::FORBIDDEN, "requests from pages of another site are refused"))
}

fn bears(headers: &HeaderMap, token: &Token) -> bool {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let (Some(value), None) = (values.next(), values.next()) else { return false };
    let value = value.as_bytes();
    let Some((scheme, rest)) = value.split_at_checked(b"bearer ".len()) else { return false };
    scheme.eq_ignore_ascii_case(b"bearer ") && token.is(rest.trim_ascii())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(policy: &Policy, uri: &str, headers: &[(&str, &str)]) -> u16 {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(HeaderName::try_from(*name).unwrap(), value.parse().unwrap());
        }
        match policy.admit(&uri.parse().unwrap(), &map) {
            Ok(()) => 200,
            Err(problem) => problem.status(),
        }
    }

    fn policy(token: Option<&str>) -> Policy {
        Policy {
            token: token.map(|token| Token::new(token, "x").unwrap()),
            allowed_hosts: vec!["Chaos.internal".into()],
            ..Policy::default()
        }
    }

    #[test]
    fn only_names_that_are_ours_are_answered_to() {
        let policy = policy(None);
        for (host, status) in [
            ("localhost", 200),
            ("LocalHost:8474", 200),
            ("localhost.", 200),
            ("127.0.0.1:8474", 200),
            ("10.1.2.3", 200),
            ("[::1]:8474", 200),
            ("[::1]", 200),
            ("chaos.INTERNAL:1", 200),
            ("evil.example", 403),
            ("127.0.0.1.evil.example", 403),
            ("localhost.evil", 403),
            ("localhost..", 403),
            ("x.chaos.internal", 403),
            ("chaos.internal.", 200),
            ("127.1", 403),
            ("0x7f.0.0.1", 403),
            ("2130706433", 403),
            ("127.0.0.1:1@evil", 400),
            ("user@localhost", 400),
            ("", 400),
            (":8474", 400),
            ("localhost:", 400),
            ("localhost:99999", 400),
            ("localhost:+1", 400),
            ("localhost:1:2", 400),
            ("local host", 400),
            ("[::1", 400),
            ("[::1]x", 400),
            ("[localhost]", 400),
            ("[fe80::1%eth0]", 400),
            ("::1", 400),
            ("localhost, evil", 400),
            ("localhost/../x", 400),
        ] {
            assert_eq!(ask(&policy, "/v1/status", &[("host", host)]), status, "{host}");
            // Where the address names a host as well, it must pass the same test.
            if status != 400 {
                let uri = format!("http://{host}/v1/status");
                assert_eq!(ask(&policy, &uri, &[("host", "localhost")]), status, "{uri}");
            }
        }
        assert_eq!(ask(&policy, "/v1/status", &[]), 400);
        assert_eq!(ask(&policy, "/v1/status", &[("host", "localhost"), ("host", "localhost")]), 400);
        assert_eq!(ask(&policy, "http://a@localhost/v1/status", &[("host", "localhost")]), 400);
        assert_eq!(ask(&policy, "http://localhost/v1/status", &[("host", "evil.example")]), 403);
    }

    #[test]
    fn a_name_that_is_refused_is_told_what_to_do() {
        let headers = [(header::HOST, "evil.example".parse().unwrap())].into_iter().collect();
        let problem = policy(None).admit(&"/".parse().unwrap(), &headers).unwrap_err();
        assert!(problem.detail().contains("admin.allowedHosts"), "{problem:?}");
    }

    #[test]
    fn foreign_pages_are_refused() {
        let policy = policy(None);
        for (name, value, status) in [
            ("origin", "http://localhost:8474", 200),
            ("origin", "http://localhost", 403),
            ("origin", "http://localhost:8475", 403),
            ("origin", "https://localhost:8474", 403),
            ("origin", "http://localhost:8474.evil", 403),
            ("origin", "http://evil", 403),
            ("origin", "null", 403),
            ("origin", "", 403),
            ("sec-fetch-site", "same-origin", 200),
            ("sec-fetch-site", "none", 200),
            ("sec-fetch-site", "same-site", 403),
            ("sec-fetch-site", "cross-site", 403),
            ("sec-fetch-site", "", 403),
        ] {
            let headers = [("host", "localhost:8474"), (name, value)];
            assert_eq!(ask(&policy, "/v1/status", &headers), status, "{name}: {value}");
        }
        let two = [("host", "localhost"), ("origin", "http://localhost"), ("origin", "http://evil")];
        assert_eq!(ask(&policy, "/", &two), 403);
    }

    #[test]
    fn the_token_opens_and_nothing_else_does() {
        let policy = policy(Some("s3cret"));
        let long = format!("Bearer {}", "s".repeat(1 << 20));
        for (value, status) in [
            ("Bearer s3cret", 200),
            ("bearer s3cret", 200),
            ("BEARER   s3cret ", 200),
            ("Bearer s3creT", 401),
            ("Bearer s3cret2", 401),
            ("Bearer s3cre", 401),
            ("Bearer", 401),
            ("Bearer ", 401),
            ("Bearers3cret", 401),
            ("Basic s3cret", 401),
            ("s3cret", 401),
            ("", 401),
            (long.as_str(), 401),
        ] {
            let headers = [("host", "localhost"), ("authorization", value)];
            assert_eq!(ask(&policy, "/v1/status", &headers), status, "{}", &value[..value.len().min(40)]);
        }
        assert_eq!(ask(&policy, "/v1/status", &[("host", "localhost")]), 401);
        assert_eq!(ask(&policy, "/openapi.json", &[("host", "localhost")]), 401);
        assert_eq!(ask(&policy, "/nowhere", &[("host", "localhost")]), 401, "a stranger learns nothing");
        let right = ("authorization", "Bearer s3cret");
        assert_eq!(ask(&policy, "/", &[("host", "localhost"), right, right]), 401);
        // A name that is not ours is refused before anything is said of a token.
        assert_eq!(ask(&policy, "/", &[("host", "evil"), right]), 403);
    }

    /// What Toxiproxy's paths are like where somebody has opened them, and where nobody has.
    #[test]
    fn who_has_opened_toxiproxys_paths_has_opened_them_to_clients_and_to_no_page() {
        let policy =
            |beyond, open, token: Option<&str>| Policy { beyond, open_to_toxiproxy: open, ..policy(token) };
        let ask = |policy: &Policy, uri: &str, headers: &[(&str, &str)]| {
            let mut map = HeaderMap::new();
            for (name, value) in headers {
                map.append(HeaderName::try_from(*name).unwrap(), value.parse().unwrap());
            }
            policy
                .admit_to_toxiproxy(&uri.parse().unwrap(), &map)
                .map_or_else(|problem| problem.status(), |()| 200)
        };
        let evil = "evil.example:8474";
        let far = policy(true, true, Some("s3cret"));
        for (headers, status) in [
            (vec![("host", "toxiproxy:8474")], 200),
            (vec![("host", "build-7.example:49153")], 200),
            (vec![], 200),
            (vec![("host", evil), ("origin", "http://evil.example:8474")], 403),
            (vec![("host", evil), ("referer", "http://evil.example:8474/x")], 403),
            (vec![("host", evil), ("sec-fetch-site", "same-origin")], 403),
            (vec![("host", evil), ("sec-fetch-site", "none")], 403),
        ] {
            assert_eq!(ask(&far, "/proxies", &headers), status, "{headers:?}");
        }
        let near = policy(false, true, Some("s3cret"));
        for (uri, headers, status) in [
            ("/proxies", vec![("host", "localhost:8474")], 200),
            ("/proxies", vec![("host", "localhost:8474"), ("origin", "http://localhost:8474")], 200),
            ("/proxies", vec![("host", "localhost:8474"), ("origin", "http://evil.example")], 403),
            ("/proxies", vec![("host", evil)], 403),
            ("http://evil.example/proxies", vec![("host", "localhost")], 403),
            ("/proxies", vec![], 400),
        ] {
            assert_eq!(ask(&near, uri, &headers), status, "{uri} {headers:?}");
        }
        let closed = policy(false, false, Some("s3cret"));
        assert_eq!(ask(&closed, "/proxies", &[("host", "localhost")]), 401);
        assert_eq!(
            ask(&closed, "/proxies", &[("host", "localhost"), ("authorization", "Bearer s3cret")]),
            200
        );
        // Nothing else is open because these are.
        let tokenless = policy(true, true, None);
        let native = |uri: &str| {
            let map = [(header::HOST, "localhost".parse().unwrap())].into_iter().collect();
            tokenless.admit(&uri.parse().unwrap(), &map).map_or_else(|problem| problem.status(), |()| 200)
        };
        assert_eq!((native("/v1/routes"), native("/openapi.json"), native("/readyz")), (401, 401, 200));
    }

    #[test]
    fn probes_need_no_token_and_no_name() {
        let policy = policy(Some("s3cret"));
        for path in OPEN {
            assert_eq!(ask(&policy, path, &[("host", "pod-7.example")]), 200);
            assert_eq!(ask(&policy, path, &[]), 200);
            assert_eq!(ask(&policy, &format!("{path}/"), &[("host", "localhost")]), 401);
            assert_eq!(ask(&policy, &format!("/v1/..{path}"), &[("host", "localhost")]), 401);
        }
    }
}
