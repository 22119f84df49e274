//! A route as a configuration writes it, and what that means.

mod limits;
mod peers;

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

pub use limits::{ExcessSpec, LimitsSpec, QueueSpec};
pub use peers::{KeepAliveSpec, ProxyProtocolSpec, VersionSpec};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Error, Unexpected, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::config::{Bind, LocalPort, Timeouts};
use crate::fault::FaultSpec;
use crate::spec::again::OrEmpty;
use crate::spec::pattern::{ipv4, ipv6};
use crate::spec::{Complaint, Field, Limit, Millis, Name, Period, Probability};
use crate::upstream::UpstreamSpec;

/// A local port, where its connections go, and what goes wrong with them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default, expecting = "a route: a mapping with localPort and upstream")]
#[schemars(deny_unknown_fields, extend("required" = ["localPort", "upstream"]))]
pub struct RouteSpec {
    /// What the route is called in logs, metrics and the API. Left out: `port-<localPort>`.
    #[serde(skip_serializing_if = "Field::is_absent")]
    pub name: Field<Name>,
    /// The port to listen on, 1..65535, or auto for whatever the system gives.
    #[serde(skip_serializing_if = "Field::is_absent")]
    pub local_port: Field<LocalPort>,
    /// The address to listen on; "*" is every address of both families. Left out: the document's.
    #[serde(skip_serializing_if = "Field::is_absent")]
    pub bind: Field<Bind>,
    /// false keeps the route and does not listen. Left out: true.
    #[serde(skip_serializing_if = "Field::is_absent")]
    pub enabled: Field<bool>,
    /// Where connections go: `host:port`, `[v6]:port`, `builtin:NAME`, a list of these in failover order, or an object.
    #[serde(skip_serializing_if = "Field::is_absent")]
    pub upstream: Field<UpstreamSpec>,
    /// The share of connections that are accepted and at once closed, 0..1. Short for a drop fault.
    #[serde(skip_serializing_if = "Field::is_absent")]
    pub drop_rate: Field<Probability>,
    /// Connections are never answered, and closed after so many milliseconds. Short for a hang fault.
    #[serde(skip_serializing_if = "Field::is_absent")]
    pub timeout_ms: Field<Millis>,
    /// Wait so many milliseconds before the upstream is dialled. Short for a delay fault.
    #[serde(skip_serializing_if = "Field::is_absent")]
    pub latency_ms: Field<Millis>,
    /// How far that wait strays, in milliseconds.
    #[serde(skip_serializing_if = "Field::is_absent")]
    pub jitter_ms: Field<Millis>,
    /// What goes wrong, applied in this order.
    #[serde(skip_serializing_if = "Field::is_absent")]
    pub faults: Field<Vec<Field<FaultSpec>>>,
    /// How long things may take.
    #[serde(skip_serializing_if = "Field::is_absent")]
    pub timeouts: Field<TimeoutsSpec>,
    /// How much there may be of things.
    #[serde(skip_serializing_if = "Field::is_absent")]
    pub limits: Field<LimitsSpec>,
    /// How a vanished peer is found, on both sides. Left out: the system's way.
    #[serde(skip_serializing_if = "Field::is_absent")]
    pub keepalive: Field<OrEmpty<KeepAliveSpec>>,
    /// Who is told of the client's address, and who is believed. Left out: nobody.
    #[serde(skip_serializing_if = "Field::is_absent")]
    pub proxy_protocol: Field<OrEmpty<ProxyProtocolSpec>>,
}

impl RouteSpec {
    /// What cannot be beside each other in the route, its faults left aside.
    pub fn complaints(&self) -> Vec<Complaint> {
        let mut found = Vec::new();
        found.extend(self.upstream.get().into_iter().flat_map(|part| part.complaints(self.upstream.node())));
        found.extend(self.timeouts.get().into_iter().flat_map(TimeoutsSpec::complaints));
        found.extend(self.limits.get().into_iter().flat_map(LimitsSpec::complaints));
        found.extend(self.keepalive.get().into_iter().flat_map(|part| part.0.complaints()));
        found.extend(self.proxy_protocol.get().into_iter().flat_map(|part| part.0.complaints()));
        found
    }
}

/// How long things may take on a route.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default, expecting = "a mapping of timeouts such as {connect: 5s}")]
#[schemars(deny_unknown_fields)]
pub struct TimeoutsSpec {
    /// To reach the upstream. Left out: 5s.
    #[serde(skip_serializing_if = "Field::is_absent")]
    #[schemars(schema_with = "Period::positive_schema")]
    pub connect: Field<Period>,
    /// Without progress, once one side has ended its stream. Left out: 30s.
    #[serde(skip_serializing_if = "Field::is_absent")]
    #[schemars(schema_with = "Period::positive_schema")]
    pub half_close: Field<Period>,
    /// Without a byte in either direction. Left out: none.
    #[serde(skip_serializing_if = "Field::is_absent")]
    #[schemars(schema_with = "Limit::positive_schema")]
    pub idle: Field<Limit>,
    /// In all. Left out: none.
    #[serde(skip_serializing_if = "Field::is_absent")]
    #[schemars(schema_with = "Limit::positive_schema")]
    pub lifetime: Field<Limit>,
}

impl TimeoutsSpec {
    /// What ends every connection at once.
    fn complaints(&self) -> impl Iterator<Item = Complaint> {
        let limit = |field: &Field<Limit>| field.get().and_then(|limit| limit.get());
        let period = |field: &Field<Period>| field.get().map(|period| period.get());
        [
            ("connect", period(&self.connect), self.connect.node()),
            ("halfClose", period(&self.half_close), self.half_close.node()),
            ("idle", limit(&self.idle), self.idle.node()),
            ("lifetime", limit(&self.lifetime), self.lifetime.node()),
        ]
        .into_iter()
        .filter(|(_, time, _)| *time == Some(Duration::ZERO))
        .map(|(word, _, node)| Complaint {
            help: Some("take the line away for the default"),
            ..Complaint::new(
                node,
                format!("timeouts.{word} must be more than zero"),
                "no connection would live",
            )
        })
    }

    /// The defaults, with what is written in their place.
    pub fn meant(&self) -> Timeouts {
        let default = Timeouts::default();
        Timeouts {
            connect: self.connect.get().map_or(default.connect, |period| period.get()),
            half_close: self.half_close.get().map_or(default.half_close, |period| period.get()),
            idle: self.idle.get().map_or(default.idle, |limit| limit.get()),
            lifetime: self.lifetime.get().map_or(default.lifetime, |limit| limit.get()),
        }
    }
}

impl Serialize for LocalPort {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            LocalPort::Auto => serializer.serialize_str("auto"),
            LocalPort::Fixed(port) => serializer.serialize_u16(*port),
        }
    }
}

impl<'de> Deserialize<'de> for LocalPort {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<LocalPort, D::Error> {
        deserializer.deserialize_any(PortVisitor)
    }
}

struct PortVisitor;

impl Visitor<'_> for PortVisitor {
    type Value = LocalPort;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a whole number within 1..65535, or auto")
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<LocalPort, E> {
        match u16::try_from(number) {
            Ok(0) => Err(E::custom("is not within 1..65535\nfor a port that the system chooses write auto")),
            Ok(port) => Ok(LocalPort::Fixed(port)),
            Err(_) => Err(E::custom("is not within 1..65535")),
        }
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<LocalPort, E> {
        Err(E::custom("is not within 1..65535"))
    }

    fn visit_i128<E: Error>(self, _: i128) -> Result<LocalPort, E> {
        Err(E::custom("is not within 1..65535"))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<LocalPort, E> {
        match text {
            "auto" => Ok(LocalPort::Auto),
            _ => Err(E::invalid_type(Unexpected::Str(text), &self)),
        }
    }
}

impl JsonSchema for LocalPort {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "LocalPort".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"anyOf": [{"type": "integer", "minimum": 1, "maximum": 65535}, {"const": "auto"}]})
    }
}

impl fmt::Display for Bind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Bind::Any => f.write_str("*"),
            Bind::Ip(address) => write!(f, "{address}"),
        }
    }
}

impl Serialize for Bind {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Bind {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Bind, D::Error> {
        deserializer.deserialize_str(BindVisitor)
    }
}

struct BindVisitor;

impl Visitor<'_> for BindVisitor {
    type Value = Bind;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an IP address, or \"*\"")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Bind, E> {
        if text == "*" {
            return Ok(Bind::Any);
        }
        match text.parse::<IpAddr>() {
            Ok(address) => Ok(Bind::Ip(address)),
            Err(_) if text.parse::<std::net::SocketAddr>().is_ok() => {
                Err(E::custom("holds a port\nwrite the address alone; the port is localPort"))
            }
            Err(_) if text.starts_with('[') => {
                Err(E::custom("is not an IP address\nwrite an IPv6 address without brackets"))
            }
            Err(_) => {
                Err(E::custom("is not an IP address\nwrite an address such as 127.0.0.1 or ::1, or \"*\""))
            }
        }
    }
}

impl JsonSchema for Bind {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Bind".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let pattern = format!(r"^(\*|{}|{})$", ipv4(), ipv6());
        json_schema!({"type": "string", "pattern": pattern, "examples": ["127.0.0.1", "::1", "*"]})
    }
}
