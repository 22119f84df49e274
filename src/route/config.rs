//! What a route is built from, complete: every default given, every shorthand expanded.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::fault::Fault;
pub use crate::relay::KeepAlive;
use crate::spec::{Cidr, Frequency, ProxyHost};
use crate::upstream::{HeaderVersion, UpstreamConfig};

/// One route, complete.
#[derive(Clone, Debug, PartialEq)]
pub struct RouteConfig {
    /// Unique.
    pub name: Arc<str>,
    /// The port it listens on.
    pub local_port: LocalPort,
    /// The address it listens on.
    pub bind: Bind,
    /// `false`: kept, and not listening.
    pub enabled: bool,
    /// Where its connections go.
    pub upstream: UpstreamConfig,
    /// What goes wrong, in order.
    pub faults: Vec<Fault>,
    /// How long things may take.
    pub timeouts: Timeouts,
    /// How much there may be of things.
    pub limits: Limits,
    /// How a vanished peer is found, on both sides. None: the system's way.
    pub keepalive: Option<KeepAlive>,
    /// Who is told of the client's address, and who is believed.
    pub proxy_protocol: ProxyProtocol,
}

impl RouteConfig {
    /// The route that a proxy of Toxiproxy is: with every default but one, and nothing that goes wrong.
    pub fn proxy(name: Arc<str>, bind: Bind, local_port: LocalPort, upstream: UpstreamConfig) -> RouteConfig {
        RouteConfig {
            name,
            local_port,
            bind,
            enabled: true,
            upstream,
            faults: Vec::new(),
            timeouts: Timeouts::default(),
            limits: Limits { held: HELD_OF_PROXY, ..Limits::default() },
            keepalive: None,
            proxy_protocol: ProxyProtocol::default(),
        }
    }
}

/// How much there may be of things on a route.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limits {
    /// Connections at once.
    pub connections: Option<u32>,
    /// New connections.
    pub rate: Option<Frequency>,
    /// How many of these may come together.
    pub burst: Option<u32>,
    /// What becomes of the others.
    pub excess: Excess,
    /// How many bytes the faults of one direction may hold.
    pub held: usize,
}

/// What becomes of a connection beyond a limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Excess {
    /// It is closed at once.
    #[default]
    Refuse,
    /// It waits for its turn.
    Queue {
        /// So many may wait.
        size: u32,
        /// For so long.
        timeout: Duration,
    },
}

impl Default for Limits {
    fn default() -> Self {
        Limits { connections: None, rate: None, burst: None, excess: Excess::Refuse, held: HELD }
    }
}

/// The PROXY protocol, by which proxies tell each other whom they speak for.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ProxyProtocol {
    /// What the upstream is told. None: nothing.
    pub send: Option<HeaderVersion>,
    /// Who begins with a header: clients from these addresses.
    pub accept: Vec<Cidr>,
}

/// What the faults of one direction may hold where nothing else is said.
pub const HELD: usize = 1 << 20;

/// The same for a proxy of Toxiproxy, whose clients cannot say it: a latency of theirs holds a thousand reads.
pub const HELD_OF_PROXY: usize = 32 << 20;

/// The port a route listens on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LocalPort {
    /// Whatever the system gives.
    Auto,
    /// This one.
    Fixed(u16),
}

/// The address a route listens on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bind {
    /// `"*"`: both families through one socket.
    Any,
    /// One address; an IPv6 one takes no IPv4 connections.
    Ip(IpAddr),
}

impl Bind {
    /// The address that a proxy of Toxiproxy listens on. An error is a name that has to be looked up first.
    pub fn of_proxy(host: ProxyHost) -> Result<Bind, String> {
        match host {
            ProxyHost::Every => Ok(Bind::Any),
            ProxyHost::Ip(ip) => Ok(Bind::Ip(ip)),
            ProxyHost::Name(name) => Err(name),
        }
    }
}

impl LocalPort {
    /// The port that a proxy of Toxiproxy listens on.
    pub fn of_proxy(port: u16) -> LocalPort {
        if port == 0 { LocalPort::Auto } else { LocalPort::Fixed(port) }
    }
}

/// How long things may take on a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// To reach the upstream, all its addresses together.
    pub connect: Duration,
    /// Without progress, once one side has ended its stream.
    pub half_close: Duration,
    /// Without a byte in either direction.
    pub idle: Option<Duration>,
    /// In all.
    pub lifetime: Option<Duration>,
}

impl Default for Timeouts {
    fn default() -> Self {
        Timeouts {
            connect: Duration::from_secs(5),
            half_close: Duration::from_secs(30),
            idle: None,
            lifetime: None,
        }
    }
}
