//! What a route is built from, complete: every default given, every shorthand expanded.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::fault::Fault;
use crate::upstream::Endpoint;

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
    pub upstream: Endpoint,
    /// What goes wrong, in order.
    pub faults: Vec<Fault>,
    /// How long things may take.
    pub timeouts: Timeouts,
    /// How many bytes the faults of one direction may hold.
    pub held: usize,
}

/// What the faults of one direction may hold where nothing else is said.
pub const HELD: usize = 1 << 20;

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
