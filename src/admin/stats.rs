//! The reply of `GET /v1/stats`: the counters of `/metrics`, for whoever would rather read JSON.

use schemars::JsonSchema;
use serde::Serialize;

use super::metrics::View;
use crate::observe::{AcceptError, ConnectResult, Direction, Ending, RouteStats, Side};
use crate::route::{FaultCount, Route};

/// What happened since the start.
#[derive(Clone, Debug, Serialize, JsonSchema)]
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
#[derive(Clone, Debug, Serialize, JsonSchema)]
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
    /// Its faults in order, each way.
    pub faults: Vec<OfFault>,
}

/// Connections that ended in one way.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Closed {
    /// Why.
    pub ending: Ending,
    /// By whom.
    pub side: Side,
    /// How many.
    pub count: u64,
}

/// Bytes each way.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct EachWay {
    /// From client to server.
    pub upstream: u64,
    /// From server to client.
    pub downstream: u64,
}

/// Upstreams dialled.
#[derive(Clone, Debug, Serialize, JsonSchema)]
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
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct OfFault {
    /// Its name.
    pub fault: String,
    /// Its effect.
    pub effect: String,
    /// The direction, for those that act on one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub direction: Option<Direction>,
    /// How often it took effect.
    pub fired: u64,
    /// Bytes changed or swallowed, segments lost, pieces cut.
    pub amount: u64,
    /// The sum of what it added to the way of each piece, in seconds.
    pub delay_seconds: f64,
}

impl Stats {
    /// The daemon at this moment.
    pub fn of(view: &View<'_>) -> Stats {
        Stats {
            generation: view.generation,
            uptime: view.uptime.as_secs_f64(),
            routes: view.routes.iter().map(|route| OfRoute::of(route)).collect(),
            panics: view.process.panics(),
            log_lines_dropped: view.process.log_lines_dropped(),
        }
    }
}

impl OfRoute {
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
            faults: route.fault_counts().into_iter().map(OfFault::from).collect(),
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
