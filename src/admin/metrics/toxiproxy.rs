//! What each route tells under Toxiproxy's names, for those who have dashboards of them. Counted as bytes move, not when a
//! connection ends.

use super::super::exposition::{Kind, Samples};
use super::super::toxiproxy::listen_text;
use super::{OfRoute, family};
use crate::observe::Direction;
use crate::route::Route;

const LABELS: &[&str] = &["direction", "listener", "proxy", "upstream"];

/// Each once a route, where they are asked for.
pub(super) static ALL: &[OfRoute] = &[
    (
        family(
            "toxiproxy_proxy_received_bytes",
            Kind::Counter,
            "Bytes received, as Toxiproxy names them.",
            LABELS,
        ),
        |route, samples| both_ways(route, samples, |way| route.stats.received(way)),
    ),
    (
        family(
            "toxiproxy_proxy_sent_bytes",
            Kind::Counter,
            "Bytes sent on, as Toxiproxy names them.",
            LABELS,
        ),
        |route, samples| both_ways(route, samples, |way| route.stats.sent(way)),
    ),
];

fn both_ways(route: &Route, samples: &mut Samples<'_>, bytes: impl Fn(Direction) -> u64) {
    let listener = listen_text(&route.config(), route);
    for way in Direction::ALL {
        samples.number(&[way.word(), &listener, route.name(), &route.upstream_text()], bytes(way));
    }
}
