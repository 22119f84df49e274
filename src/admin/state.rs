//! How a route is at the moment, beside what its configuration says.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::Serialize;

use crate::observe::{BreakerState, Health};
use crate::route::{Route, RouteConfig};
use crate::upstream::{EndpointView, Target};

/// How a route is.
#[derive(Debug, Default, Serialize, JsonSchema)]
pub(super) struct RouteState {
    /// Where it listens; null while it is closed.
    listen: Option<String>,
    /// Whether it listens.
    open: bool,
    /// How many connections are live.
    connections: u64,
    /// How many of them wait for the limits to let them in.
    waiting: u64,
    /// Where connections go.
    endpoints: Vec<EndpointState>,
}

/// How an endpoint of an upstream is.
#[derive(Debug, Serialize, JsonSchema)]
struct EndpointState {
    /// Its address.
    address: String,
    /// What is known of its health.
    #[schemars(extend("enum" = ["unknown", "up", "down"]))]
    health: &'static str,
    /// Its circuit breaker; closed also where it has none.
    #[schemars(extend("enum" = ["closed", "open", "halfOpen"]))]
    breaker: &'static str,
    /// How many connections go to it.
    connections: u64,
    /// Why it is down.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    #[schemars(with = "String")]
    error: Option<Arc<str>>,
    /// What came of asking after its health; left out where it is not asked.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    #[schemars(with = "Checks")]
    checks: Option<Checks>,
    /// How many connections wait in its pool; left out where it has none.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    #[schemars(with = "u64")]
    pooled: Option<u64>,
}

/// What came of asking an endpoint after its health.
#[derive(Debug, Serialize, JsonSchema)]
struct Checks {
    /// Good answers.
    good: u64,
    /// Bad ones.
    bad: u64,
}

impl RouteState {
    /// Of a route as configured, and as it runs if it does.
    pub(super) fn of(config: &RouteConfig, running: Option<&Route>) -> RouteState {
        let listen = running.and_then(Route::address);
        RouteState {
            listen: listen.map(|address| address.to_string()),
            open: listen.is_some(),
            connections: running.map_or(0, |route| route.stats.active()),
            waiting: running.map_or(0, |route| route.waiting() as u64),
            endpoints: match running {
                Some(route) => route.endpoints().into_iter().map(EndpointState::from).collect(),
                None => config.upstream.endpoints.iter().map(EndpointState::from).collect(),
            },
        }
    }
}

impl From<EndpointView> for EndpointState {
    fn from(view: EndpointView) -> EndpointState {
        EndpointState {
            address: view.address.to_string(),
            health: view.health.word(),
            breaker: view.breaker.unwrap_or_default().word(),
            connections: view.connections as u64,
            error: view.error,
            checks: view.checks.map(|(good, bad)| Checks { good, bad }),
            pooled: view.pooled.map(|pooled| pooled as u64),
        }
    }
}

impl From<&Target> for EndpointState {
    /// One of which nothing is known.
    fn from(target: &Target) -> EndpointState {
        EndpointState {
            address: target.endpoint.to_string(),
            health: Health::default().word(),
            breaker: BreakerState::default().word(),
            connections: 0,
            error: None,
            checks: None,
            pooled: None,
        }
    }
}
