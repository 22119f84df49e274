//! The facts worth telling. Log line, counter and event stream are all made from one [`Event`], written once.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use schemars::JsonSchema;
use serde::Serialize;

use super::stats::{FaultStats, RouteStats};
use super::words::{AcceptError, BreakerState, ConnectResult, Direction, Ending, Health, Side};

/// A fact and when it happened.
#[derive(Clone, Debug)]
pub struct Event {
    /// When.
    pub time: SystemTime,
    /// What.
    pub fact: Fact,
    /// How many like it were not told since the last one.
    pub suppressed: u64,
}

impl Event {
    /// The route it is about, if it is about one.
    pub fn route(&self) -> Option<&str> {
        self.fact.route()
    }

    /// The same, told for others too.
    pub(super) fn with_suppressed(&self, time: SystemTime, suppressed: u64) -> Event {
        Event { time, fact: self.fact.clone(), suppressed }
    }
}

/// Which connection a fact is about.
#[derive(Clone, Debug)]
pub struct ConnectionRef {
    /// Its route.
    pub route: Arc<str>,
    /// Its number on the route, from 1, in accept order.
    pub number: u64,
    /// Its number in the process.
    pub id: u64,
    /// The client's address.
    pub client: SocketAddr,
}

/// What happened.
#[derive(Clone, Debug)]
#[allow(missing_docs, reason = "the fields carry the names of the record they are told in")]
pub enum Fact {
    /// A route listens.
    RouteOpened { route: Arc<str>, listen: SocketAddr, upstream: Arc<str>, by: By },
    /// A route does not listen any more.
    RouteClosed { route: Arc<str>, by: By },
    /// The control API listens.
    ControlOpened { listen: SocketAddr },
    /// A client was accepted.
    ConnectionOpened { of: ConnectionRef },
    /// The upstream was reached.
    UpstreamConnected { of: ConnectionRef, upstream: Arc<str>, duration: Duration },
    /// The upstream was not reached.
    UpstreamFailed {
        of: ConnectionRef,
        upstream: Arc<str>,
        duration: Duration,
        error: Arc<str>,
        result: ConnectResult,
    },
    /// What is known of an endpoint's health has changed; `error` is what took it down.
    HealthChanged { route: Arc<str>, upstream: Arc<str>, health: Health, error: Option<Arc<str>> },
    /// The breaker of an endpoint has changed; `error` is the failure that opened it.
    BreakerChanged { route: Arc<str>, upstream: Arc<str>, state: BreakerState, error: Option<Arc<str>> },
    /// A fault took effect.
    FaultFired { of: ConnectionRef, fault: Firing },
    /// A fault's time is over.
    FaultExpired { route: Arc<str>, fault: Arc<str>, effect: &'static str, generation: u64 },
    /// A connection ended.
    ConnectionClosed {
        of: ConnectionRef,
        ending: Ending,
        side: Side,
        fault: Option<Arc<str>>,
        error: Option<Arc<str>>,
        deeds: Vec<DeedDone>,
        bytes: Bytes,
        duration: Duration,
    },
    /// A configuration came into force.
    ConfigApplied { generation: u64, seed: u64, by: By, changes: Arc<[String]> },
    /// A configuration was refused; the one in force stays.
    ConfigRefused { generation: u64, by: By, error: Arc<str> },
    /// The program began to stop.
    DrainBegun { connections: u64, timeout: Duration, by: By },
    /// The program has stopped.
    DrainDone { finished: u64, cut: u64, duration: Duration },
    /// What a route did so far.
    RouteStats { route: Arc<str>, opened: u64, active: u64, bytes: Bytes, fired: u64 },
    /// The system refused to hand over connections.
    AcceptFailed { route: Arc<str>, error: Arc<str>, reason: AcceptError },
    /// No more connections can be open: clients wait.
    BudgetSpent { route: Arc<str>, connections: usize },
    /// Something else a person should know.
    Notice { route: Option<Arc<str>>, message: Arc<str> },
}

/// A fault taking effect on a connection.
#[derive(Clone, Debug)]
pub struct Firing {
    /// Where it is counted.
    pub stats: Arc<FaultStats>,
    /// Its name.
    pub name: Arc<str>,
    /// Its effect's word.
    pub effect: &'static str,
    /// The direction, for those that act on one.
    pub direction: Option<Direction>,
    /// The endpoint it is about, where it acts on a dial or is aimed at one.
    pub upstream: Option<Arc<str>>,
    /// The draw that chose the connection, and the probability it was below.
    pub draw: Option<(f64, f64)>,
    /// How long it holds the connection back, where that is known beforehand.
    pub delay: Option<Duration>,
}

/// What a stream fault did to a connection.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DeedDone {
    /// Its name.
    pub fault: Arc<str>,
    /// Which way.
    pub direction: Direction,
    /// Bytes changed or swallowed, segments lost, pieces cut.
    #[serde(skip_serializing_if = "is_zero")]
    #[schemars(default)]
    pub amount: u64,
    /// The longest it held something back.
    #[serde(rename = "delayMs", skip_serializing_if = "Duration::is_zero", serialize_with = "as_millis")]
    #[schemars(with = "f64", default)]
    pub delay: Duration,
}

fn is_zero(n: &u64) -> bool {
    *n == 0
}

fn as_millis<S: serde::Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(millis(*duration))
}

/// Bytes that were sent on, each way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Bytes {
    /// From client to server.
    pub upstream: u64,
    /// From server to client.
    pub downstream: u64,
}

/// Who asked for a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum By {
    /// The start of the program.
    Start,
    /// A signal.
    Signal,
    /// The program that holds this library.
    Library,
    /// The configuration file, which is watched.
    File,
    /// A program that speaks to the control API.
    Api,
    /// The command line of this program.
    Cli,
    /// A scenario that this process plays.
    Scenario,
}

/// How loud a fact is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// Something is wrong outside.
    Warn,
    /// The usual.
    Info,
}

impl Level {
    pub(super) fn word(self) -> &'static str {
        match self {
            Level::Warn => "warn",
            Level::Info => "info",
        }
    }
}

impl Fact {
    /// The name of the event.
    pub fn name(&self) -> &'static str {
        match self {
            Fact::RouteOpened { .. } => "route.opened",
            Fact::RouteClosed { .. } => "route.closed",
            Fact::ControlOpened { .. } => "control.opened",
            Fact::ConnectionOpened { .. } => "connection.opened",
            Fact::UpstreamConnected { .. } => "upstream.connected",
            Fact::UpstreamFailed { .. } => "upstream.failed",
            Fact::HealthChanged { health: Health::Down, .. } => "upstream.down",
            Fact::HealthChanged { .. } => "upstream.up",
            Fact::BreakerChanged { state, .. } => match state {
                BreakerState::Closed => "breaker.closed",
                BreakerState::Open => "breaker.opened",
                BreakerState::HalfOpen => "breaker.half-opened",
            },
            Fact::FaultFired { .. } => "fault.fired",
            Fact::FaultExpired { .. } => "fault.expired",
            Fact::ConnectionClosed { .. } => "connection.closed",
            Fact::ConfigApplied { .. } => "config.applied",
            Fact::ConfigRefused { .. } => "config.refused",
            Fact::DrainBegun { .. } => "drain.begun",
            Fact::DrainDone { .. } => "drain.done",
            Fact::RouteStats { .. } => "route.stats",
            Fact::AcceptFailed { .. } => "accept.failed",
            Fact::BudgetSpent { .. } => "accept.waiting",
            Fact::Notice { .. } => "notice",
        }
    }

    /// The route it is about, if it is about one.
    pub fn route(&self) -> Option<&str> {
        match self {
            Fact::ConnectionOpened { of }
            | Fact::UpstreamConnected { of, .. }
            | Fact::UpstreamFailed { of, .. }
            | Fact::FaultFired { of, .. }
            | Fact::ConnectionClosed { of, .. } => Some(&of.route),
            Fact::RouteOpened { route, .. }
            | Fact::RouteClosed { route, .. }
            | Fact::HealthChanged { route, .. }
            | Fact::BreakerChanged { route, .. }
            | Fact::FaultExpired { route, .. }
            | Fact::RouteStats { route, .. }
            | Fact::AcceptFailed { route, .. }
            | Fact::BudgetSpent { route, .. } => Some(route),
            Fact::Notice { route, .. } => route.as_deref(),
            Fact::ControlOpened { .. }
            | Fact::ConfigApplied { .. }
            | Fact::ConfigRefused { .. }
            | Fact::DrainBegun { .. }
            | Fact::DrainDone { .. } => None,
        }
    }

    /// How loud it is.
    pub fn level(&self) -> Level {
        match self {
            Fact::UpstreamFailed { .. }
            | Fact::HealthChanged { health: Health::Down, .. }
            | Fact::BreakerChanged { state: BreakerState::Open, .. }
            | Fact::AcceptFailed { .. }
            | Fact::BudgetSpent { .. }
            | Fact::ConfigRefused { .. }
            | Fact::Notice { .. } => Level::Warn,
            Fact::DrainDone { cut, .. } if *cut > 0 => Level::Warn,
            _ => Level::Info,
        }
    }

    /// Moves the counters of its route.
    pub(super) fn count(&self, stats: &RouteStats) {
        match self {
            Fact::ConnectionOpened { .. } => stats.count_opened(),
            Fact::ConnectionClosed { ending, side, duration, .. } => {
                stats.count_closed(*ending, *side, *duration);
            }
            Fact::UpstreamConnected { upstream, duration, .. } => {
                stats.count_connected(upstream, *duration);
            }
            Fact::UpstreamFailed { upstream, result, .. } => stats.count_connect(upstream, *result),
            Fact::AcceptFailed { reason, .. } => stats.count_accept_error(*reason),
            Fact::FaultFired { fault, .. } => {
                fault.stats.count_fired();
                if let Some(delay) = fault.delay {
                    fault.stats.count_delay(delay);
                }
            }
            _ => {}
        }
    }

    /// Facts that share a key are told once in a while, with a count.
    pub(super) fn fold_key(&self) -> Option<(&'static str, Arc<str>, Arc<str>)> {
        match self {
            Fact::UpstreamFailed { of, upstream, error, .. } => {
                let failure = format!("{upstream} {error}").into();
                Some((self.name(), of.route.clone(), failure))
            }
            Fact::AcceptFailed { route, error, .. } => Some((self.name(), route.clone(), error.clone())),
            Fact::BudgetSpent { route, .. } => Some((self.name(), route.clone(), Arc::default())),
            _ => None,
        }
    }
}

/// Milliseconds to the microsecond.
pub(super) fn millis(duration: Duration) -> f64 {
    duration.as_micros() as f64 / 1000.0
}

/// A client of a socket for both families, under the address it knows itself by.
pub(crate) fn unmapped(address: SocketAddr) -> SocketAddr {
    match address.ip() {
        IpAddr::V6(v6) => match v6.to_ipv4_mapped() {
            Some(v4) => SocketAddr::new(v4.into(), address.port()),
            None => address,
        },
        IpAddr::V4(_) => address,
    }
}
