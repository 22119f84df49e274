//! What an upstream is built from, complete: every default given.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Endpoint, EndpointError};
use crate::spec::Probability;

/// The most endpoints an upstream may have.
pub const MAX_ENDPOINTS: usize = 32;

/// Where the connections of a route go, complete.
#[derive(Clone, Debug, PartialEq)]
pub struct UpstreamConfig {
    /// At least one, each once.
    pub endpoints: Vec<Target>,
    /// Which of them a connection tries first.
    pub balance: Balance,
    /// What becomes of a connection when health calls all of them down.
    pub when_all_down: WhenAllDown,
    /// How they are asked whether they are well. None: they are not asked.
    pub health: Option<HealthConfig>,
    /// When one that fails is left alone. None: never.
    pub breaker: Option<BreakerConfig>,
    /// Connections opened ahead of need. None: none.
    pub pool: Option<PoolConfig>,
}

/// One endpoint of an upstream.
#[derive(Clone, Debug, PartialEq)]
pub struct Target {
    /// Where it is.
    pub endpoint: Endpoint,
    /// Its share, beside the weights of the others; at least 1.
    pub weight: u32,
}

/// Which endpoint a connection tries first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Balance {
    /// The first that is well, in the order of the list.
    #[default]
    First,
    /// Each in turn, by weight.
    RoundRobin,
    /// One drawn by weight, from the connection's own dice.
    Random,
    /// The one with the fewest connections for its weight.
    LeastConnections,
}

/// What becomes of a connection when health calls all endpoints down.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum WhenAllDown {
    /// They are tried all the same.
    #[default]
    Try,
    /// It is refused.
    Refuse,
}

/// How an endpoint is asked whether it is well.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HealthConfig {
    /// From one question to the next.
    pub interval: Duration,
    /// To answer.
    pub timeout: Duration,
    /// So many good answers in a row bring it up.
    pub rise: u32,
    /// So many bad ones in a row take it down.
    pub fall: u32,
    /// The question. None: whether it takes a TCP connection.
    pub http: Option<HttpCheck>,
}

/// A question over HTTP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpCheck {
    /// What is asked for; begins with `/`.
    pub path: String,
    /// The good answer.
    pub status: u16,
    /// The `Host` that is named. None: the endpoint's address.
    pub host: Option<String>,
}

/// When an endpoint that fails is left alone.
#[derive(Clone, Debug, PartialEq)]
pub struct BreakerConfig {
    /// What opens it.
    pub trip: Trip,
    /// Failures longer ago than this do not count.
    pub window: Duration,
    /// How long it stays open.
    pub open: Duration,
    /// How many connections are let through at once to see whether it is well again; so many successes close it.
    pub probes: u32,
}

/// What opens a breaker.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Trip {
    /// So many failures one after the other.
    Failures(u32),
    /// So large a share of the dials within the window, once there are `minimum` of them.
    Share {
        /// The share that failed.
        share: Probability,
        /// How many dials there must be.
        minimum: u32,
    },
}

/// Connections opened ahead of need.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PoolConfig {
    /// How many wait for each endpoint.
    pub size: u32,
    /// How long one may wait.
    pub max_age: Duration,
}

impl UpstreamConfig {
    /// Whether it is one responder inside this program: nothing is dialled.
    pub fn is_builtin(&self) -> bool {
        self.endpoints.iter().all(|target| target.endpoint.is_builtin())
    }
}

impl From<Endpoint> for UpstreamConfig {
    fn from(endpoint: Endpoint) -> UpstreamConfig {
        UpstreamConfig::from(vec![endpoint])
    }
}

impl From<Vec<Endpoint>> for UpstreamConfig {
    /// These, in failover order, and nothing more.
    fn from(endpoints: Vec<Endpoint>) -> UpstreamConfig {
        UpstreamConfig {
            endpoints: endpoints.into_iter().map(|endpoint| Target { endpoint, weight: 1 }).collect(),
            balance: Balance::default(),
            when_all_down: WhenAllDown::default(),
            health: None,
            breaker: None,
            pool: None,
        }
    }
}

impl FromStr for UpstreamConfig {
    type Err = EndpointError;

    /// One endpoint.
    fn from_str(text: &str) -> Result<UpstreamConfig, EndpointError> {
        text.parse::<Endpoint>().map(UpstreamConfig::from)
    }
}

impl fmt::Display for UpstreamConfig {
    /// Its endpoints.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, target) in self.endpoints.iter().enumerate() {
            let comma = if i > 0 { ", " } else { "" };
            write!(f, "{comma}{}", target.endpoint)?;
        }
        Ok(())
    }
}
