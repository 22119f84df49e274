//! The facts worth telling. Log line, counter and event stream are all made from one [`Event`], written once.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use serde::Serialize;

use super::clock;
use super::words::{Direction, Ending, Side};

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
    RouteOpened { route: Arc<str>, listen: SocketAddr, upstream: Arc<str>, at_start: bool },
    /// A route does not listen any more.
    RouteClosed { route: Arc<str>, by: By },
    /// A client was accepted.
    ConnectionOpened { of: ConnectionRef },
    /// The upstream was reached.
    UpstreamConnected { of: ConnectionRef, upstream: Arc<str>, duration: Duration },
    /// The upstream was not reached.
    UpstreamFailed { of: ConnectionRef, upstream: Arc<str>, duration: Duration, error: Arc<str> },
    /// A fault took effect.
    FaultFired { of: ConnectionRef, fault: Firing },
    /// A fault's time is over.
    FaultExpired { route: Arc<str>, fault: Arc<str>, effect: &'static str },
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
    ConfigApplied { generation: u64, seed: u64, by: By },
    /// The program began to stop.
    DrainBegun { connections: u64, timeout: Duration, by: By },
    /// The program has stopped.
    DrainDone { finished: u64, cut: u64, duration: Duration },
    /// What a route did so far.
    RouteStats { route: Arc<str>, opened: u64, active: u64, bytes: Bytes, fired: u64 },
    /// The system refused to hand over connections.
    AcceptFailed { route: Arc<str>, error: Arc<str> },
    /// Something else a person should know.
    Notice { route: Option<Arc<str>>, message: Arc<str> },
}

/// A fault taking effect on a connection.
#[derive(Clone, Debug)]
pub struct Firing {
    /// Its name.
    pub name: Arc<str>,
    /// Its effect's word.
    pub effect: &'static str,
    /// The direction, for those that act on one.
    pub direction: Option<Direction>,
    /// The draw that chose the connection, and the probability it was below.
    pub draw: Option<(f64, f64)>,
    /// How long it holds the connection back, where that is known beforehand.
    pub delay: Option<Duration>,
}

/// What a stream fault did to a connection.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DeedDone {
    /// Its name.
    pub fault: Arc<str>,
    /// Which way.
    pub direction: Direction,
    /// Bytes changed or swallowed, segments lost, pieces cut.
    #[serde(skip_serializing_if = "is_zero")]
    pub amount: u64,
    /// The longest it held something back.
    #[serde(rename = "delayMs", skip_serializing_if = "Duration::is_zero", serialize_with = "as_millis")]
    pub delay: Duration,
}

fn is_zero(n: &u64) -> bool {
    *n == 0
}

fn as_millis<S: serde::Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(millis(*duration))
}

/// Bytes that were sent on, each way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Bytes {
    /// From client to server.
    pub upstream: u64,
    /// From server to client.
    pub downstream: u64,
}

/// Who asked for a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum By {
    /// The start of the program.
    Start,
    /// A signal.
    Signal,
    /// The program that holds this library.
    Library,
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
    fn word(self) -> &'static str {
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
            Fact::ConnectionOpened { .. } => "connection.opened",
            Fact::UpstreamConnected { .. } => "upstream.connected",
            Fact::UpstreamFailed { .. } => "upstream.failed",
            Fact::FaultFired { .. } => "fault.fired",
            Fact::FaultExpired { .. } => "fault.expired",
            Fact::ConnectionClosed { .. } => "connection.closed",
            Fact::ConfigApplied { .. } => "config.applied",
            Fact::DrainBegun { .. } => "drain.begun",
            Fact::DrainDone { .. } => "drain.done",
            Fact::RouteStats { .. } => "route.stats",
            Fact::AcceptFailed { .. } => "accept.failed",
            Fact::Notice { .. } => "notice",
        }
    }

    /// How loud it is.
    pub fn level(&self) -> Level {
        match self {
            Fact::UpstreamFailed { .. } | Fact::AcceptFailed { .. } | Fact::Notice { .. } => Level::Warn,
            Fact::DrainDone { cut, .. } if *cut > 0 => Level::Warn,
            _ => Level::Info,
        }
    }

    /// Facts that share a key are told once in a while, with a count.
    pub(super) fn fold_key(&self) -> Option<(&'static str, Arc<str>, Arc<str>)> {
        match self {
            Fact::UpstreamFailed { of, error, .. } => Some((self.name(), of.route.clone(), error.clone())),
            Fact::AcceptFailed { route, error } => Some((self.name(), route.clone(), error.clone())),
            _ => None,
        }
    }
}

impl Event {
    /// The event as one JSON object on one line, safe to print anywhere.
    pub fn to_json(&self) -> String {
        let json = serde_json::to_string(&self.record()).unwrap_or_default();
        escape_beyond_json(json)
    }

    fn record(&self) -> Record<'_> {
        let mut record = Record {
            time: clock::rfc3339(self.time),
            level: self.fact.level().word(),
            event: self.fact.name(),
            suppressed: (self.suppressed > 0).then_some(self.suppressed),
            ..Record::default()
        };
        let r = &mut record;
        match &self.fact {
            Fact::RouteOpened { route, listen, upstream, .. } => {
                r.route = Some(route);
                r.listen = Some(*listen);
                r.upstream = Some(upstream);
            }
            Fact::RouteClosed { route, by } => {
                r.route = Some(route);
                r.by = Some(*by);
            }
            Fact::ConnectionOpened { of } => r.connection_ref(of),
            Fact::UpstreamConnected { of, upstream, duration } => {
                r.connection_ref(of);
                r.upstream = Some(upstream);
                r.duration(*duration);
            }
            Fact::UpstreamFailed { of, upstream, duration, error } => {
                r.connection_ref(of);
                r.upstream = Some(upstream);
                r.duration(*duration);
                r.error = Some(error);
            }
            Fact::FaultFired { of, fault } => {
                r.connection_ref(of);
                r.fault = Some(&fault.name);
                r.effect = Some(fault.effect);
                r.direction = fault.direction;
                (r.draw, r.probability) = fault.draw.unzip();
                r.delay_ms = fault.delay.map(millis);
            }
            Fact::FaultExpired { route, fault, effect } => {
                r.route = Some(route);
                r.fault = Some(fault);
                r.effect = Some(effect);
            }
            Fact::ConnectionClosed { of, ending, side, fault, error, deeds, bytes, duration } => {
                r.connection_ref(of);
                r.faults = deeds;
                r.ending = Some(*ending);
                r.side = Some(*side);
                r.fault = fault.as_deref();
                r.error = error.as_deref();
                r.bytes = Some(*bytes);
                r.duration(*duration);
            }
            Fact::ConfigApplied { generation, seed, by } => {
                r.generation = Some(*generation);
                r.seed = Some(*seed);
                r.by = Some(*by);
            }
            Fact::DrainBegun { connections, timeout, by } => {
                r.connections = Some(*connections);
                r.timeout_ms = Some(millis(*timeout));
                r.by = Some(*by);
            }
            Fact::DrainDone { finished, cut, duration } => {
                r.finished = Some(*finished);
                r.cut = Some(*cut);
                r.duration(*duration);
            }
            Fact::RouteStats { route, opened, active, bytes, fired } => {
                r.route = Some(route);
                r.opened = Some(*opened);
                r.active = Some(*active);
                r.bytes = Some(*bytes);
                r.fired = Some(*fired);
            }
            Fact::AcceptFailed { route, error } => {
                r.route = Some(route);
                r.error = Some(error);
            }
            Fact::Notice { route, message } => {
                r.route = route.as_deref();
                r.message = Some(message);
            }
        }
        record
    }
}

/// The one shape of all events.
#[derive(Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct Record<'a> {
    time: String,
    level: &'static str,
    event: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    route: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    listen: Option<SocketAddr>,
    #[serde(skip_serializing_if = "Option::is_none")]
    connection: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    client: Option<SocketAddr>,
    #[serde(skip_serializing_if = "Option::is_none")]
    upstream: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    direction: Option<Direction>,
    #[serde(skip_serializing_if = "Option::is_none")]
    fault: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    effect: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    draw: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    probability: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    delay_ms: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ending: Option<Ending>,
    #[serde(skip_serializing_if = "Option::is_none")]
    side: Option<Side>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    faults: &'a [DeedDone],
    #[serde(skip_serializing_if = "Option::is_none")]
    bytes: Option<Bytes>,
    #[serde(skip_serializing_if = "Option::is_none")]
    duration_ms: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    seed: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    generation: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    opened: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    active: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    fired: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    connections: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    timeout_ms: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    finished: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cut: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    suppressed: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    by: Option<By>,
}

impl<'a> Record<'a> {
    fn connection_ref(&mut self, of: &'a ConnectionRef) {
        self.route = Some(&of.route);
        self.connection = Some(of.number);
        self.id = Some(of.id);
        self.client = Some(unmapped(of.client));
    }

    fn duration(&mut self, duration: Duration) {
        self.duration_ms = Some(millis(duration));
    }
}

/// Milliseconds to the microsecond.
fn millis(duration: Duration) -> f64 {
    duration.as_micros() as f64 / 1000.0
}

/// A client of a socket for both families, under the address it knows itself by.
pub(super) fn unmapped(address: SocketAddr) -> SocketAddr {
    match address.ip() {
        IpAddr::V6(v6) => match v6.to_ipv4_mapped() {
            Some(v4) => SocketAddr::new(v4.into(), address.port()),
            None => address,
        },
        IpAddr::V4(_) => address,
    }
}

/// JSON allows raw what a terminal acts on: DEL, C1 controls and characters that turn the direction of text.
fn escape_beyond_json(json: String) -> String {
    use std::fmt::Write;
    if !json.chars().any(crate::spec::text::is_hostile) {
        return json;
    }
    let mut safe = String::with_capacity(json.len() + 32);
    for c in json.chars() {
        if crate::spec::text::is_hostile(c) {
            let mut units = [0; 2];
            for unit in c.encode_utf16(&mut units) {
                let _ = write!(safe, "\\u{unit:04x}");
            }
        } else {
            safe.push(c);
        }
    }
    safe
}
