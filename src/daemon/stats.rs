//! What the daemon has counted, at one moment: what `GET /v1/stats` replies, and what expectations are held against.

use std::sync::Arc;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::observe::{AcceptError, ConnectResult, Direction, Ending, ProcessStats, RouteStats, Side};
use crate::route::{FaultCount, Route};

/// What happened since the start.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Stats {
    /// The number of the configuration in force.
    pub generation: u64,
    /// How long the program has been running, in seconds.
    pub uptime: f64,
    /// Each route.
    pub routes: Vec<OfRoute>,
    /// Tasks that were ended by a mistake in this program.
    pub panics: u64,
    /// Lines of the log that nobody took in time.
    pub log_lines_dropped: u64,
}

/// What happened on a route.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct OfRoute {
    /// Its name.
    pub name: String,
    /// Connections accepted.
    pub opened: u64,
    /// Connections open now.
    pub active: u64,
    /// Connections that ended, by why and by whom; what never happened is left out.
    pub closed: Vec<Closed>,
    /// Bytes received each way.
    pub bytes_received: EachWay,
    /// Bytes sent on each way.
    pub bytes_sent: EachWay,
    /// Upstreams dialled, by what came of it.
    pub connects: Connects,
    /// Clients that the system did not hand over.
    pub accept_errors: u64,
    /// How often all its faults took effect, those that are gone included.
    pub fired: u64,
    /// Its faults in order, each way; then those that are gone.
    pub faults: Vec<OfFault>,
}

/// Connections that ended in one way.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Closed {
    /// Why.
    pub ending: Ending,
    /// By whom.
    pub side: Side,
    /// How many.
    pub count: u64,
}

/// Bytes each way.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct EachWay {
    /// From client to server.
    pub upstream: u64,
    /// From server to client.
    pub downstream: u64,
}

/// Upstreams dialled.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Connects {
    /// Reached.
    pub ok: u64,
    /// Refused.
    pub refused: u64,
    /// No answer in time.
    pub timeout: u64,
    /// Anything else.
    pub error: u64,
}

/// What a fault did in one direction.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct OfFault {
    /// Its name.
    pub fault: String,
    /// Its effect.
    pub effect: String,
    /// The direction, for those that act on one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub direction: Option<Direction>,
    /// How often it took effect.
    pub fired: u64,
    /// Bytes changed or swallowed, segments lost, pieces cut.
    pub amount: u64,
    /// The sum of what it added to the way of each piece, in seconds.
    pub delay_seconds: f64,
}

impl Stats {
    /// What these routes and this process have counted.
    pub fn of(generation: u64, uptime: Duration, routes: &[Arc<Route>], process: &ProcessStats) -> Stats {
        Stats {
            generation,
            uptime: uptime.as_secs_f64(),
            routes: routes.iter().map(|route| OfRoute::of(route)).collect(),
            panics: process.panics(),
            log_lines_dropped: process.log_lines_dropped(),
        }
    }
}

impl Stats {
    /// The route of this name.
    pub fn route(&self, name: &str) -> Option<&OfRoute> {
        self.routes.iter().find(|route| route.name == name)
    }
}

impl OfRoute {
    /// What has been counted since `before`. What is not a sum, the connections open now, stays.
    #[must_use]
    pub fn since(&self, before: Option<&OfRoute>) -> OfRoute {
        let Some(before) = before else { return self.clone() };
        let mut since = self.clone();
        let less = |count: &mut u64, by: u64| *count = count.saturating_sub(by);
        less(&mut since.opened, before.opened);
        for closed in &mut since.closed {
            let was = before.closed.iter().find(|was| (was.ending, was.side) == (closed.ending, closed.side));
            less(&mut closed.count, was.map_or(0, |was| was.count));
        }
        since.closed.retain(|closed| closed.count > 0);
        less(&mut since.bytes_received.upstream, before.bytes_received.upstream);
        less(&mut since.bytes_received.downstream, before.bytes_received.downstream);
        less(&mut since.bytes_sent.upstream, before.bytes_sent.upstream);
        less(&mut since.bytes_sent.downstream, before.bytes_sent.downstream);
        less(&mut since.connects.ok, before.connects.ok);
        less(&mut since.connects.refused, before.connects.refused);
        less(&mut since.connects.timeout, before.connects.timeout);
        less(&mut since.connects.error, before.connects.error);
        less(&mut since.accept_errors, before.accept_errors);
        less(&mut since.fired, before.fired);
        for fault in &mut since.faults {
            let same = |was: &&OfFault| {
                (&was.fault, &was.effect, was.direction) == (&fault.fault, &fault.effect, fault.direction)
            };
            if let Some(was) = before.faults.iter().find(same) {
                less(&mut fault.fired, was.fired);
                less(&mut fault.amount, was.amount);
                fault.delay_seconds = (fault.delay_seconds - was.delay_seconds).max(0.0);
            }
        }
        since
    }

    fn of(route: &Route) -> OfRoute {
        let stats = &route.stats;
        OfRoute {
            name: route.name().to_string(),
            opened: stats.opened(),
            active: stats.active(),
            closed: closed(stats),
            bytes_received: EachWay::of(|way| stats.received(way)),
            bytes_sent: EachWay::of(|way| stats.sent(way)),
            connects: Connects {
                ok: stats.connects(ConnectResult::Ok),
                refused: stats.connects(ConnectResult::Refused),
                timeout: stats.connects(ConnectResult::Timeout),
                error: stats.connects(ConnectResult::Error),
            },
            accept_errors: AcceptError::ALL.map(|reason| stats.accept_errors(reason)).iter().sum(),
            fired: route.fired().values().sum(),
            faults: route.fault_counts_ever().into_iter().map(OfFault::from).collect(),
        }
    }
}

impl EachWay {
    fn of(count: impl Fn(Direction) -> u64) -> EachWay {
        EachWay { upstream: count(Direction::Upstream), downstream: count(Direction::Downstream) }
    }
}

impl From<FaultCount> for OfFault {
    fn from(way: FaultCount) -> OfFault {
        OfFault {
            fault: way.fault.to_string(),
            effect: way.effect.to_owned(),
            direction: way.direction,
            fired: way.stats.fired(),
            amount: way.stats.amount(),
            delay_seconds: way.stats.delay().as_secs_f64(),
        }
    }
}

fn closed(stats: &RouteStats) -> Vec<Closed> {
    let pairs = Ending::ALL.into_iter().flat_map(|ending| Side::ALL.map(|side| (ending, side)));
    let closed = pairs.map(|(ending, side)| Closed { ending, side, count: stats.closed(ending, side) });
    closed.filter(|closed| closed.count > 0).collect()
}
