//! What a route makes of its peers, as a configuration writes it: how a vanished one is found, and whose word is taken.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::relay::keepalive::{LONGEST_SILENCE, LONGEST_USER_TIMEOUT, MOST_QUESTIONS};
use crate::route::config::{KeepAlive, ProxyProtocol};
use crate::spec::{Cidr, Complaint, Count, Field, Limit, Period, Positive};
use crate::upstream::HeaderVersion;

/// The most ranges from which a PROXY header is taken.
const MOST_RANGES: usize = 64;

/// How a vanished peer is found, on both sides.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(
    rename_all = "camelCase",
    default,
    expecting = "a mapping such as {idle: 60s}, or {} for the defaults"
)]
#[schemars(deny_unknown_fields)]
pub struct KeepAliveSpec {
    /// Silence before the peer is asked for a sign of life, in whole seconds up to 9h. Left out: 60s.
    #[serde(skip_serializing_if = "Field::is_absent")]
    pub idle: Field<Positive>,
    /// From one question to the next, in whole seconds up to 9h. Left out: 10s.
    #[serde(skip_serializing_if = "Field::is_absent")]
    pub interval: Field<Positive>,
    /// So many questions without an answer, and the peer is gone. Left out: 6.
    #[serde(skip_serializing_if = "Field::is_absent")]
    pub count: Field<Count<1, MOST_QUESTIONS>>,
    /// Bytes that the peer has not confirmed for so long, and it is gone. Left out: none.
    #[serde(skip_serializing_if = "Field::is_absent")]
    #[schemars(schema_with = "Limit::positive_schema")]
    pub user_timeout: Field<Limit>,
}

impl KeepAliveSpec {
    /// The defaults, with what is written in their place.
    pub fn meant(&self) -> KeepAlive {
        let time = |field: &Field<Positive>, default| {
            field.get().map_or(Duration::from_secs(default), |time| time.get())
        };
        KeepAlive {
            idle: time(&self.idle, 60),
            interval: time(&self.interval, 10),
            count: self.count.get().map_or(6, |count| count.get()),
            user_timeout: self.user_timeout.get().and_then(|limit| limit.get()),
        }
    }

    /// What no system can be told.
    pub fn complaints(&self) -> Vec<Complaint> {
        let mut found = Vec::new();
        for (key, time) in [("idle", &self.idle), ("interval", &self.interval)] {
            let whole = |time: Duration| time.subsec_nanos() == 0 && time <= LONGEST_SILENCE;
            if time.get().is_some_and(|time| !whole(time.get())) {
                let title = format!("keepalive.{key} must be whole seconds, at most 9h");
                found.push(Complaint::new(time.node(), title, "no system takes this"));
            }
        }
        let fits = |time: Duration| time >= Duration::from_millis(1) && time <= LONGEST_USER_TIMEOUT;
        if self.user_timeout.get().and_then(|limit| limit.get()).is_some_and(|time| !fits(time)) {
            let title = "keepalive.userTimeout must be within 1ms..576h";
            found.push(Complaint::new(self.user_timeout.node(), title, "for no such limit write none"));
        }
        found
    }
}

impl From<&KeepAlive> for KeepAliveSpec {
    fn from(keepalive: &KeepAlive) -> KeepAliveSpec {
        KeepAliveSpec {
            idle: Positive::new(keepalive.idle).into(),
            interval: Positive::new(keepalive.interval).into(),
            count: Count(keepalive.count).into(),
            user_timeout: Limit(keepalive.user_timeout.map(Period::new)).into(),
        }
    }
}

/// The PROXY protocol, by which proxies tell each other whom they speak for.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default, expecting = "a mapping such as {send: v2}")]
#[schemars(deny_unknown_fields)]
pub struct ProxyProtocolSpec {
    /// Tell the upstream the client's address, in this version of the header. Left out: nothing is told.
    #[serde(skip_serializing_if = "Field::is_absent")]
    pub send: Field<VersionSpec>,
    /// Clients from these address ranges begin with such a header. Left out: none.
    #[serde(skip_serializing_if = "Field::is_absent")]
    #[schemars(length(max = MOST_RANGES))]
    pub accept: Field<Vec<Field<Cidr>>>,
}

/// Which form of the header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum VersionSpec {
    /// A line of text.
    V1,
    /// Binary.
    V2,
}

impl ProxyProtocolSpec {
    /// The defaults, with what is written in their place.
    pub fn meant(&self) -> ProxyProtocol {
        let accept = self.accept.get().map(Vec::as_slice).unwrap_or_default();
        ProxyProtocol {
            send: self.send.get().map(|version| match version {
                VersionSpec::V1 => HeaderVersion::V1,
                VersionSpec::V2 => HeaderVersion::V2,
            }),
            accept: accept.iter().filter_map(|range| range.get().copied()).collect(),
        }
    }

    /// What is too much.
    pub fn complaints(&self) -> Vec<Complaint> {
        let too_many = self.accept.get().is_some_and(|accept| accept.len() > MOST_RANGES);
        let title = format!("proxyProtocol.accept has at most {MOST_RANGES} ranges");
        too_many.then(|| Complaint::new(self.accept.node(), title, "too many")).into_iter().collect()
    }
}

impl From<&ProxyProtocol> for ProxyProtocolSpec {
    fn from(protocol: &ProxyProtocol) -> ProxyProtocolSpec {
        let accept: Vec<Field<Cidr>> = protocol.accept.iter().copied().map(Field::from).collect();
        let send = protocol.send.map(|version| match version {
            HeaderVersion::V1 => VersionSpec::V1,
            HeaderVersion::V2 => VersionSpec::V2,
        });
        ProxyProtocolSpec {
            send: send.map_or(Field::Absent, Field::from),
            accept: if accept.is_empty() { Field::Absent } else { accept.into() },
        }
    }
}
