//! Events as JSON: one object, one line, one shape for all.

use std::net::SocketAddr;
use std::time::{Duration, SystemTime};

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::Serialize;

use super::clock;
use super::event::{By, Bytes, ConnectionRef, DeedDone, Event, Fact, Level, millis, unmapped};
use super::journal::{Told, What};
use super::words::{Direction, Ending, Side};

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
            Fact::RouteOpened { route, listen, upstream, by } => {
                r.by = Some(*by);
                r.route = Some(route);
                r.listen = Some(*listen);
                r.upstream = Some(upstream);
            }
            Fact::RouteClosed { route, by } => {
                r.route = Some(route);
                r.by = Some(*by);
            }
            Fact::ControlOpened { listen } => r.listen = Some(*listen),
            Fact::ConnectionOpened { of } => r.connection_ref(of),
            Fact::UpstreamConnected { of, upstream, duration } => {
                r.connection_ref(of);
                r.upstream = Some(upstream);
                r.duration(*duration);
            }
            Fact::UpstreamFailed { of, upstream, duration, error, .. } => {
                r.connection_ref(of);
                r.upstream = Some(upstream);
                r.duration(*duration);
                r.error = Some(error);
            }
            Fact::HealthChanged { route, upstream, error, .. }
            | Fact::BreakerChanged { route, upstream, error, .. } => {
                r.route = Some(route);
                r.upstream = Some(upstream);
                r.error = error.as_deref();
            }
            Fact::FaultFired { of, fault } => {
                r.connection_ref(of);
                r.fault = Some(&fault.name);
                r.effect = Some(fault.effect);
                r.direction = fault.direction;
                r.upstream = fault.upstream.as_deref();
                (r.draw, r.probability) = fault.draw.unzip();
                r.delay_ms = fault.delay.map(millis);
            }
            Fact::FaultExpired { route, fault, effect, generation } => {
                r.generation = Some(*generation);
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
            Fact::ConfigApplied { generation, seed, by, changes } => {
                r.generation = Some(*generation);
                r.seed = Some(*seed);
                r.by = Some(*by);
                r.changes = changes;
            }
            Fact::ConfigRefused { generation, by, error } => {
                r.generation = Some(*generation);
                r.by = Some(*by);
                r.error = Some(error);
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
            Fact::AcceptFailed { route, error, .. } => {
                r.route = Some(route);
                r.error = Some(error);
            }
            Fact::BudgetSpent { route, connections } => {
                r.route = Some(route);
                r.connections = Some(*connections as u64);
            }
            Fact::Notice { route, message } => {
                r.route = route.as_deref();
                r.message = Some(message);
            }
        }
        record
    }
}

impl Told {
    /// The name of the event.
    pub fn name(&self) -> &'static str {
        match &self.what {
            What::Event(event) => event.fact.name(),
            What::Missed(_) => MISSED,
        }
    }

    /// The event as one JSON object on one line, in the shape of all others also when it is only a gap.
    pub fn to_json(&self) -> String {
        let count = match &self.what {
            What::Event(event) => return event.to_json(),
            What::Missed(count) => Some(*count),
        };
        let time = clock::rfc3339(SystemTime::now());
        let record = Record { time, level: Level::Warn.word(), event: MISSED, count, ..Record::default() };
        serde_json::to_string(&record).unwrap_or_default()
    }
}

/// The name of a gap.
const MISSED: &str = "missed";

/// The schema of an event's object.
pub(crate) fn schema(generator: &mut SchemaGenerator) -> Schema {
    generator.subschema_for::<Record<'_>>()
}

/// The one shape of all events.
#[derive(Default, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(rename = "Event", deny_unknown_fields)]
struct Record<'a> {
    time: String,
    level: &'static str,
    event: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    route: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String", default)]
    listen: Option<SocketAddr>,
    #[serde(skip_serializing_if = "Option::is_none")]
    connection: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String", default)]
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
    #[schemars(default)]
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
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    #[schemars(default)]
    changes: &'a [String],
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
    #[serde(skip_serializing_if = "Option::is_none")]
    count: Option<u64>,
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

/// JSON allows raw what a terminal acts on: DEL, C1 controls and characters that turn the direction of text.
pub(crate) fn escape_beyond_json(json: String) -> String {
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
