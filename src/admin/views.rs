//! What replies hold: configuration as a file would say it, and beside it the state of what runs.

use std::collections::HashMap;
use std::sync::Arc;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::Serialize;

use super::etag::ETag;
use super::schemas;
use super::state::RouteState;
use crate::daemon::stats::EachWay;
use crate::daemon::{Applied, Status};
use crate::fault::{Fault, FaultSpec};
use crate::observe::{build, rfc3339};
use crate::route::{ConnectionView, Route, RouteConfig, RouteSpec};
use crate::spec::Field;

/// A route in full, with its state.
#[derive(Debug, Serialize)]
pub(super) struct RouteView {
    #[serde(flatten)]
    spec: RouteSpec,
    faults: Vec<FaultView>,
    state: RouteState,
}

/// A fault in full, with its state.
#[derive(Debug, Serialize)]
pub(super) struct FaultView {
    #[serde(flatten)]
    spec: FaultSpec,
    state: FaultState,
}

/// What a fault did so far.
#[derive(Clone, Debug, Default, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct FaultState {
    /// How often it took effect.
    fired: u64,
    /// When it will be gone.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    #[schemars(with = "String", extend("format" = "date-time"))]
    expires_at: Option<String>,
}

/// All routes.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Routes {
    pub(super) routes: Vec<RouteView>,
}

/// The faults of a route, in order.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Faults {
    pub(super) faults: Vec<FaultView>,
}

/// What a change of a route's listening came to.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Switched {
    /// The number of the configuration now in force.
    pub(super) generation: u64,
    /// How many connections were told to end.
    pub(super) ended: u64,
    pub(super) route: RouteView,
}

/// What a change of the configuration came to.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Changed {
    /// The number of the configuration now in force.
    generation: u64,
    /// Whether anything changed.
    changed: bool,
    /// What changed, in words.
    changes: Vec<String>,
    /// Of these, what undoes an earlier change that did not come from the file.
    undone: Vec<String>,
}

/// What a configuration would change.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Checked {
    /// Whether anything would.
    pub(super) changed: bool,
    /// What would, in words.
    pub(super) changes: Vec<String>,
}

/// How the daemon is.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct StatusView {
    /// The program's version.
    version: &'static str,
    /// The commit it was built from; left out where that is not known.
    #[serde(skip_serializing_if = "str::is_empty", default)]
    commit: &'static str,
    /// The number of the configuration in force.
    generation: u64,
    /// The seed in force.
    seed: u64,
    /// How long it has been running, in seconds.
    uptime: f64,
    /// Whether every enabled route listens and the daemon is not stopping.
    ready: bool,
    /// Whether it is stopping.
    draining: bool,
}

/// Live connections.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Connections {
    /// Ordered by id.
    pub(super) connections: Vec<Connection>,
    /// What to ask for as `after` for more; null: there is no more.
    pub(super) next: Option<u64>,
}

/// A live connection.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Connection {
    /// Its number in the process.
    id: u64,
    /// Its route.
    route: Arc<str>,
    /// Its number on the route.
    connection: u64,
    /// The client's address.
    client: String,
    /// Where it goes; left out until the upstream is reached.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    #[schemars(with = "String")]
    upstream: Option<Arc<str>>,
    /// When it was accepted.
    #[schemars(extend("format" = "date-time"))]
    opened: String,
    /// How long ago that was.
    age_ms: f64,
    /// Bytes sent on so far.
    bytes: EachWay,
    /// The faults that fired on it, in the order in which they first did.
    faults: Vec<Arc<str>>,
}

impl RouteView {
    /// A route as configured, with the state of the one that runs.
    pub(super) fn of(config: &RouteConfig, running: Option<&Route>) -> RouteView {
        let states = running.map(fault_states).unwrap_or_default();
        let faults = config.faults.iter().map(|fault| FaultView::with(fault, &states)).collect();
        let state = RouteState::of(config, running);
        RouteView { spec: RouteSpec { faults: Field::Absent, ..RouteSpec::from(config) }, faults, state }
    }
}

impl FaultView {
    /// A fault as configured, with the state of the one that runs.
    pub(super) fn of(fault: &Fault, running: Option<&Route>) -> FaultView {
        FaultView::with(fault, &running.map(fault_states).unwrap_or_default())
    }

    /// All faults of a route.
    pub(super) fn all(config: &RouteConfig, running: Option<&Route>) -> Vec<FaultView> {
        let states = running.map(fault_states).unwrap_or_default();
        config.faults.iter().map(|fault| FaultView::with(fault, &states)).collect()
    }

    fn with(fault: &Fault, states: &HashMap<Arc<str>, FaultState>) -> FaultView {
        let state = states.get(&fault.name).cloned().unwrap_or_default();
        FaultView { spec: FaultSpec::from(fault), state }
    }
}

/// What each fault of a route did, both ways together.
fn fault_states(route: &Route) -> HashMap<Arc<str>, FaultState> {
    let mut states: HashMap<Arc<str>, FaultState> = HashMap::new();
    for count in route.fault_counts() {
        let state = states.entry(count.fault).or_default();
        state.fired = state.fired.saturating_add(count.stats.fired());
        state.expires_at = count.expires_at.map(rfc3339).or(state.expires_at.take());
    }
    states
}

impl From<Applied> for Changed {
    fn from(applied: Applied) -> Changed {
        Changed {
            generation: applied.generation,
            changed: !applied.changes.is_empty(),
            changes: applied.changes,
            undone: applied.undone,
        }
    }
}

impl From<Status> for StatusView {
    fn from(status: Status) -> StatusView {
        StatusView {
            version: build::VERSION,
            commit: build::COMMIT,
            generation: status.generation,
            seed: status.seed,
            uptime: status.uptime.as_secs_f64(),
            ready: status.ready,
            draining: status.draining,
        }
    }
}

impl Connection {
    /// Its number in the process.
    pub(super) fn id(&self) -> u64 {
        self.id
    }
}

impl From<ConnectionView> for Connection {
    fn from(view: ConnectionView) -> Connection {
        Connection {
            id: view.id,
            route: view.route,
            connection: view.number,
            client: view.client.to_string(),
            upstream: view.upstream,
            opened: rfc3339(view.opened),
            age_ms: view.age.as_micros() as f64 / 1000.0,
            bytes: EachWay { upstream: view.bytes.upstream, downstream: view.bytes.downstream },
            faults: view.fired,
        }
    }
}

/// The tag of a route: of its configuration alone.
pub(super) fn route_tag(route: &RouteConfig) -> ETag {
    ETag::of(&RouteSpec::from(route))
}

/// The tag of all routes.
pub(super) fn routes_tag(routes: &[RouteConfig]) -> ETag {
    ETag::of(&routes.iter().map(RouteSpec::from).collect::<Vec<_>>())
}

/// The tag of a fault.
pub(super) fn fault_tag(fault: &Fault) -> ETag {
    ETag::of(&FaultSpec::from(fault))
}

/// The tag of a route's faults.
pub(super) fn faults_tag(route: &RouteConfig) -> ETag {
    ETag::of(&route.faults.iter().map(FaultSpec::from).collect::<Vec<_>>())
}

impl JsonSchema for RouteView {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "RouteWithState".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        schemas::route_view(generator)
    }
}

impl JsonSchema for FaultView {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "FaultWithState".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        schemas::fault_view(generator)
    }
}
