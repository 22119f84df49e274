//! The one list of all endpoints.

use hyper::{Method, StatusCode};

use super::connections::MOST_LISTED;
use super::endpoint::{Endpoint, Gift, Gives, Header, Takes, schema};
use super::query::{Kind, Parameter};
use super::views::{
    Changed, Checked, Connection, Connections, FaultView, Faults, RouteView, Routes, StatusView, Switched,
};
use super::{State, configuration, connections, events, faults, routes, schemas, status};
use crate::config::Document;
use crate::daemon::{Live, Stats};
use crate::observe::json;

const IF_MATCH: &[Header] = &[Header::IfMatch];
const IF_NONE_MATCH: &[Header] = &[Header::IfNoneMatch];
const TEXT: &[&str] = &["text/plain"];

const AT: Parameter = Parameter {
    name: "at",
    what: "The place among the route's faults, from 0; left out: behind them all.",
    kind: Kind::Whole { min: 0, max: u64::MAX },
};

const LIVE: Parameter = Parameter {
    name: "connections",
    what: "What becomes of live connections; left out: close.",
    kind: Kind::Words(Live::WORDS),
};

const HOW: Parameter = Parameter {
    name: "how",
    what: "How it ends: close by FIN, reset by RST; left out: close.",
    kind: Kind::Words(&["close", "reset"]),
};

const OF_ROUTE: Parameter = Parameter { name: "route", what: "Only of this route.", kind: Kind::Text };

const LIMIT: Parameter = Parameter {
    name: "limit",
    what: "At most so many; left out: 1000.",
    kind: Kind::Whole { min: 1, max: MOST_LISTED },
};

const AFTER_ID: Parameter = Parameter {
    name: "after",
    what: "Only those with a higher id.",
    kind: Kind::Whole { min: 0, max: u64::MAX },
};

const AFTER_EVENT: Parameter = Parameter {
    name: "after",
    what: "Go on after the event of this id, as far as that is still kept; left out: from now on.",
    kind: Kind::EventId,
};

/// What most endpoints are like: they are asked with GET, take nothing and refuse nothing of their own.
const PLAIN: Endpoint<State> = Endpoint {
    method: Method::GET,
    path: "",
    id: "",
    summary: "",
    query: &[],
    headers: &[],
    takes: Takes::Nothing,
    gives: &[],
    refuses: &[],
    handler: |call| Box::pin(status::livez(call)),
};

/// Everything that can be asked for.
pub(super) static ENDPOINTS: &[Endpoint<State>] = &[
    Endpoint {
        path: "/v1/status",
        id: "getStatus",
        summary: "How the daemon is.",
        gives: &[Gives::json("How it is.", schema::<StatusView>)],
        handler: |call| Box::pin(status::get(call)),
        ..PLAIN
    },
    Endpoint {
        path: "/v1/config",
        id: "getConfig",
        summary: "The configuration in force, in full.",
        headers: IF_NONE_MATCH,
        gives: &[Gives::json("The configuration.", schema::<Document>).tagged(), Gives::UNCHANGED],
        handler: |call| Box::pin(configuration::get(call)),
        ..PLAIN
    },
    Endpoint {
        method: Method::PUT,
        path: "/v1/config",
        id: "putConfig",
        summary: "Put another configuration in force: what differs is applied, whole or not at all.",
        headers: IF_MATCH,
        takes: Takes::Body(schemas::config_request),
        gives: &[Gives::json("What changed.", schema::<Changed>).tagged()],
        refuses: &[409, 422],
        handler: |call| Box::pin(configuration::put(call)),
        ..PLAIN
    },
    Endpoint {
        method: Method::POST,
        path: "/v1/config/check",
        id: "checkConfig",
        summary: "What a configuration would change.",
        takes: Takes::Body(schemas::config_request),
        gives: &[Gives::json("What it would change.", schema::<Checked>)],
        refuses: &[409, 422],
        handler: |call| Box::pin(configuration::check(call)),
        ..PLAIN
    },
    Endpoint {
        method: Method::POST,
        path: "/v1/reload",
        id: "reload",
        summary: "Read the file again; what was changed since by other ways is undone.",
        gives: &[Gives::json("What changed.", schema::<Changed>)],
        refuses: &[409, 422],
        handler: |call| Box::pin(configuration::reload(call)),
        ..PLAIN
    },
    Endpoint {
        method: Method::POST,
        path: "/v1/restore",
        id: "restore",
        summary: "Go back to the file as it was last read.",
        gives: &[Gives::json("What changed.", schema::<Changed>)],
        refuses: &[409, 422],
        handler: |call| Box::pin(configuration::restore(call)),
        ..PLAIN
    },
    Endpoint {
        path: "/v1/routes",
        id: "listRoutes",
        summary: "All routes with their faults and state.",
        gives: &[Gives::json("The routes.", schema::<Routes>).tagged()],
        handler: |call| Box::pin(routes::list(call)),
        ..PLAIN
    },
    Endpoint {
        method: Method::POST,
        path: "/v1/routes",
        id: "createRoute",
        summary: "Make a route, with its faults.",
        headers: IF_MATCH,
        takes: Takes::Body(schemas::new_route_request),
        gives: &[Gives::created("The route.", schema::<RouteView>)],
        refuses: &[409, 422],
        handler: |call| Box::pin(routes::create(call)),
        ..PLAIN
    },
    Endpoint {
        path: "/v1/routes/{route}",
        id: "getRoute",
        summary: "A route with its faults and state.",
        gives: &[Gives::json("The route.", schema::<RouteView>).tagged()],
        handler: |call| Box::pin(routes::get(call)),
        ..PLAIN
    },
    Endpoint {
        method: Method::PUT,
        path: "/v1/routes/{route}",
        id: "putRoute",
        summary: "Put another route of the same name in its place.",
        headers: IF_MATCH,
        takes: Takes::Body(schemas::route_request),
        gives: &[Gives::json("The route.", schema::<RouteView>).tagged()],
        refuses: &[409, 422],
        handler: |call| Box::pin(routes::put(call)),
        ..PLAIN
    },
    Endpoint {
        method: Method::PATCH,
        path: "/v1/routes/{route}",
        id: "patchRoute",
        summary: "Change a route by a JSON merge patch; a shorthand replaces the fault that it stands for.",
        headers: IF_MATCH,
        takes: Takes::Body(schemas::route_patch),
        gives: &[Gives::json("The route.", schema::<RouteView>).tagged()],
        refuses: &[409, 422],
        handler: |call| Box::pin(routes::patch(call)),
        ..PLAIN
    },
    Endpoint {
        method: Method::DELETE,
        path: "/v1/routes/{route}",
        id: "deleteRoute",
        summary: "Take a route away.",
        query: &[LIVE],
        headers: IF_MATCH,
        gives: &[Gives::GONE],
        refuses: &[409],
        handler: |call| Box::pin(routes::delete(call)),
        ..PLAIN
    },
    Endpoint {
        method: Method::POST,
        path: "/v1/routes/{route}/open",
        id: "openRoute",
        summary: "Listen again.",
        headers: IF_MATCH,
        gives: &[Gives::json("The route.", schema::<Switched>).tagged()],
        refuses: &[409],
        handler: |call| Box::pin(routes::open(call)),
        ..PLAIN
    },
    Endpoint {
        method: Method::POST,
        path: "/v1/routes/{route}/close",
        id: "closeRoute",
        summary: "Stop listening. The route keeps its configuration, faults and statistics.",
        headers: IF_MATCH,
        takes: Takes::Maybe(schemas::closing),
        gives: &[Gives::json("The route.", schema::<Switched>).tagged()],
        refuses: &[409, 422],
        handler: |call| Box::pin(routes::close(call)),
        ..PLAIN
    },
    Endpoint {
        path: "/v1/routes/{route}/faults",
        id: "listFaults",
        summary: "The faults of a route, in order, with their state.",
        gives: &[Gives::json("The faults.", schema::<Faults>).tagged()],
        handler: |call| Box::pin(faults::list(call)),
        ..PLAIN
    },
    Endpoint {
        method: Method::POST,
        path: "/v1/routes/{route}/faults",
        id: "createFault",
        summary: "Add a fault to a route. It reaches live connections at once.",
        query: &[AT],
        headers: IF_MATCH,
        takes: Takes::Body(schemas::fault_request),
        gives: &[Gives::created("The fault.", schema::<FaultView>)],
        refuses: &[409, 422],
        handler: |call| Box::pin(faults::create(call)),
    },
    Endpoint {
        path: "/v1/routes/{route}/faults/{fault}",
        id: "getFault",
        summary: "A fault with its state.",
        gives: &[Gives::json("The fault.", schema::<FaultView>).tagged()],
        handler: |call| Box::pin(faults::get(call)),
        ..PLAIN
    },
    Endpoint {
        method: Method::PUT,
        path: "/v1/routes/{route}/faults/{fault}",
        id: "putFault",
        summary: "Put another fault of the same name in its place.",
        headers: IF_MATCH,
        takes: Takes::Body(schemas::fault_request),
        gives: &[Gives::json("The fault.", schema::<FaultView>).tagged()],
        refuses: &[409, 422],
        handler: |call| Box::pin(faults::put(call)),
        ..PLAIN
    },
    Endpoint {
        method: Method::PATCH,
        path: "/v1/routes/{route}/faults/{fault}",
        id: "patchFault",
        summary: "Change a fault by a JSON merge patch.",
        headers: IF_MATCH,
        takes: Takes::Body(schemas::fault_patch),
        gives: &[Gives::json("The fault.", schema::<FaultView>).tagged()],
        refuses: &[409, 422],
        handler: |call| Box::pin(faults::patch(call)),
        ..PLAIN
    },
    Endpoint {
        method: Method::DELETE,
        path: "/v1/routes/{route}/faults/{fault}",
        id: "deleteFault",
        summary: "Take a fault away. What it held leaves at once, in order.",
        headers: IF_MATCH,
        gives: &[Gives::GONE],
        refuses: &[409],
        handler: |call| Box::pin(faults::delete(call)),
        ..PLAIN
    },
    Endpoint {
        path: "/v1/connections",
        id: "listConnections",
        summary: "Live connections, ordered by id.",
        query: &[OF_ROUTE, LIMIT, AFTER_ID],
        gives: &[Gives::json("The connections.", schema::<Connections>)],
        refuses: &[404],
        handler: |call| Box::pin(connections::list(call)),
        ..PLAIN
    },
    Endpoint {
        path: "/v1/connections/{id}",
        id: "getConnection",
        summary: "A live connection.",
        gives: &[Gives::json("The connection.", schema::<Connection>)],
        handler: |call| Box::pin(connections::get(call)),
        ..PLAIN
    },
    Endpoint {
        method: Method::DELETE,
        path: "/v1/connections/{id}",
        id: "endConnection",
        summary: "End a live connection.",
        query: &[HOW],
        gives: &[Gives::GONE],
        handler: |call| Box::pin(connections::delete(call)),
        ..PLAIN
    },
    Endpoint {
        path: "/v1/events",
        id: "followEvents",
        summary: "Events as they happen, as server-sent events. The stream ends with the daemon.",
        query: &[OF_ROUTE, AFTER_EVENT],
        headers: &[Header::LastEventId],
        gives: &[Gives::new(StatusCode::OK, "The events.", Gift::Events(json::schema))],
        handler: |call| Box::pin(events::follow(call)),
        ..PLAIN
    },
    Endpoint {
        path: "/v1/stats",
        id: "getStats",
        summary: "What happened since the start, in numbers.",
        gives: &[Gives::json("The numbers.", schema::<Stats>)],
        handler: |call| Box::pin(status::stats(call)),
        ..PLAIN
    },
    Endpoint {
        path: "/metrics",
        id: "getMetrics",
        summary: "The same for Prometheus, or as OpenMetrics for those who ask for it.",
        gives: &[Gives::text(
            StatusCode::OK,
            "The metrics.",
            &["text/plain", "application/openmetrics-text"],
        )],
        handler: |call| Box::pin(status::metrics(call)),
        ..PLAIN
    },
    Endpoint {
        path: "/livez",
        id: "getLivez",
        summary: "Whether the daemon lives.",
        gives: &[Gives::text(StatusCode::OK, "It lives.", TEXT)],
        handler: |call| Box::pin(status::livez(call)),
        ..PLAIN
    },
    Endpoint {
        path: "/readyz",
        id: "getReadyz",
        summary: "Whether every enabled route listens and the daemon is not stopping.",
        gives: &[
            Gives::text(StatusCode::OK, "It is ready.", TEXT),
            Gives::text(StatusCode::SERVICE_UNAVAILABLE, "It is not ready; the text says why.", TEXT),
        ],
        handler: |call| Box::pin(status::readyz(call)),
        ..PLAIN
    },
    Endpoint {
        path: "/openapi.json",
        id: "getOpenapi",
        summary: "This description.",
        gives: &[Gives::json("The description.", schemas::anything)],
        handler: |call| Box::pin(status::describe(call)),
        ..PLAIN
    },
];
