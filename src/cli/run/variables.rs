//! What the command is told: where the routes are, and who controls them.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use tokio::process::Command;

use crate::config::Admin;
use crate::route::{Bind, LocalPort, Route, RouteConfig};
use crate::spec::text::shown;

const URL: &str = "CHAOS_PROXY_URL";
const TOKEN: &str = "CHAOS_PROXY_TOKEN";
const TOKEN_FILE: &str = "CHAOS_PROXY_TOKEN_FILE";

/// Variables for a command; those without a value it shall not have, so that it does not speak to somebody else's daemon.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Variables(BTreeMap<String, Option<OsString>>);

impl Variables {
    /// What is to be told of these routes, and of the control API at this address.
    pub(super) fn of(routes: &[Arc<Route>], control: Option<SocketAddr>, admin: &Admin) -> Variables {
        let mut variables = Variables::default();
        for route in routes {
            variables.tell_route(route.name(), reach(&route.config(), route.address()));
        }
        variables.tell_control(control, admin);
        variables
    }

    fn tell_route(&mut self, name: &str, reach: Option<SocketAddr>) {
        let name = stem(name);
        self.put(&format!("{name}_ADDR"), reach.map(|address| address.to_string()));
        self.put(&format!("{name}_HOST"), reach.map(|address| address.ip().to_string()));
        self.put(&format!("{name}_PORT"), reach.map(|address| address.port().to_string()));
    }

    fn tell_control(&mut self, control: Option<SocketAddr>, admin: &Admin) {
        self.put(URL, control.map(|address| format!("http://{}", from_here(address))));
        if let Admin::On { token_file: Some(file), .. } = admin {
            // The other variable would beat the file, and it is not the token that opens this API.
            self.put(TOKEN, None::<OsString>);
            // Only an empty path has no absolute one, and no token could be read from it.
            let absolute = std::path::absolute(file).unwrap_or_else(|_| file.clone());
            self.put(TOKEN_FILE, Some(absolute));
        }
    }

    fn put(&mut self, name: &str, value: Option<impl Into<OsString>>) {
        self.0.insert(name.to_owned(), value.map(Into::into));
    }

    /// Gives them to a command.
    pub(super) fn give_to(&self, command: &mut Command) {
        for (name, value) in &self.0 {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
    }
}

/// Two routes whose variables would have one name, and what to do about it.
pub(super) fn clash<'a>(routes: impl Iterator<Item = &'a str>) -> Result<(), String> {
    let mut stems: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for name in routes {
        stems.entry(stem(name)).or_default().push(name);
    }
    let clashes = stems.iter().filter(|(_, names)| names.len() > 1).map(|(stem, names)| {
        let names: Vec<String> = names.iter().map(|name| format!("`{}`", shown(name))).collect();
        let names = names.join(" and ");
        format!("routes {names} would both be {stem}_ADDR to the command: give one of them another name")
    });
    let clashes: Vec<String> = clashes.collect();
    if clashes.is_empty() { Ok(()) } else { Err(clashes.join("\n")) }
}

/// `CHAOS_PROXY_` and the name as variables can have it.
fn stem(name: &str) -> String {
    let fit = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' };
    format!("CHAOS_PROXY_{}", name.chars().map(fit).collect::<String>())
}

/// Where a client on this machine reaches a route: where it listens, or would listen if it were open.
fn reach(route: &RouteConfig, listens: Option<SocketAddr>) -> Option<SocketAddr> {
    let port = match (listens, route.local_port) {
        (Some(address), _) => address.port(),
        (None, LocalPort::Fixed(port)) => port,
        (None, LocalPort::Auto) => return None,
    };
    let ip = match route.bind {
        // Both families, whatever the socket says; the older one is there everywhere.
        Bind::Any => Ipv4Addr::LOCALHOST.into(),
        Bind::Ip(ip) => ip,
    };
    Some(from_here(SocketAddr::new(ip, port)))
}

/// An address that means all of this machine's, as one that can be connected to.
fn from_here(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    fn told(variables: &Variables) -> Vec<String> {
        let line = |(name, value): (&String, &Option<OsString>)| match value {
            Some(value) => format!("{}={}", name.trim_start_matches("CHAOS_PROXY_"), value.to_str().unwrap()),
            None => format!("{} gone", name.trim_start_matches("CHAOS_PROXY_")),
        };
        variables.0.iter().map(line).collect()
    }

    fn route(rest: &str, listens: Option<&str>) -> Vec<String> {
        let text = format!("routes: [{{name: my-db.ü2, upstream: 'a:1', {rest}}}]");
        let config = Config::from_text(&text).unwrap();
        let mut variables = Variables::default();
        let route = &config.routes[0];
        variables.tell_route(&route.name, reach(route, listens.map(|address| address.parse().unwrap())));
        told(&variables)
    }

    #[test]
    fn a_route_is_told_as_address_host_and_port() {
        let of = |addr: &str, host: &str, port: &str| {
            [("ADDR", addr), ("HOST", host), ("PORT", port)].map(|(what, is)| format!("MY_DB__2_{what}={is}"))
        };
        let v4 = of("127.0.0.1:41234", "127.0.0.1", "41234");
        assert_eq!(route("localPort: auto", Some("127.0.0.1:41234")), v4);
        assert_eq!(route("localPort: auto, bind: 0.0.0.0", Some("0.0.0.0:41234")), v4);
        assert_eq!(route("localPort: auto, bind: '*'", Some("[::]:41234")), v4);
        let v6 = of("[::1]:41234", "::1", "41234");
        assert_eq!(route("localPort: auto, bind: '::1'", Some("[::1]:41234")), v6);
        assert_eq!(route("localPort: auto, bind: '::'", Some("[::]:41234")), v6);
        let other = of("192.0.2.7:5", "192.0.2.7", "5");
        assert_eq!(route("localPort: 5, bind: 192.0.2.7", Some("192.0.2.7:5")), other);
        assert_eq!(route("localPort: 5, bind: 192.0.2.7, enabled: false", None), other);
        let gone = ["ADDR", "HOST", "PORT"].map(|what| format!("MY_DB__2_{what} gone"));
        assert_eq!(route("localPort: auto, enabled: false", None), gone);
    }

    #[test]
    fn the_control_api_is_told_as_a_url_or_not_at_all() {
        let of = |control: Option<&str>, token_file: Option<&str>| {
            let listen = SocketAddr::from(([0, 0, 0, 0], 1));
            let token_file = token_file.map(Into::into);
            let admin = Admin::On { listen, token_file, allowed_hosts: Vec::new() };
            let mut variables = Variables::default();
            variables.tell_control(control.map(|address| address.parse().unwrap()), &admin);
            told(&variables)
        };
        assert_eq!(of(None, None), ["URL gone"]);
        assert_eq!(of(Some("127.0.0.1:8474"), None), ["URL=http://127.0.0.1:8474"]);
        let told = ["TOKEN gone", "TOKEN_FILE=/etc/token", "URL=http://[::1]:9"];
        assert_eq!(of(Some("[::]:9"), Some("/etc/token")), told);
        let relative = of(Some("0.0.0.0:9"), Some("token"));
        assert!(relative[1].starts_with("TOKEN_FILE=/") && relative[1].ends_with("/token"), "{relative:?}");
    }

    #[test]
    fn two_routes_cannot_have_one_variable() {
        assert_eq!(clash(["a-b", "a_c", "ab"].into_iter()), Ok(()));
        let why = clash(["a-b", "x", "A.b", "y\u{1b}", "y~"].into_iter()).unwrap_err();
        let lines: Vec<&str> = why.lines().collect();
        assert_eq!(lines.len(), 2, "{why}");
        assert!(lines[0].starts_with("routes `a-b` and `A.b` would both be CHAOS_PROXY_A_B_ADDR"), "{why}");
        assert!(lines[1].contains("`y\\u{1b}` and `y~`"), "{why}");
    }
}
