//! What each route tells.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::super::exposition::{Kind, Samples};
use super::{OfRoute, family};
use crate::observe::{AcceptError, Direction, Ending, Side};
use crate::route::Route;

/// Each once a route.
pub(super) static ALL: &[OfRoute] = &[
    (
        family("chaos_proxy_connections_opened", Kind::Counter, "Connections accepted.", &["route"]),
        |route, samples| samples.number(&[route.name()], route.stats.opened()),
    ),
    (
        family("chaos_proxy_connections_active", Kind::Gauge, "Connections open now.", &["route"]),
        |route, samples| samples.number(&[route.name()], route.stats.active()),
    ),
    (
        family(
            "chaos_proxy_connections_waiting",
            Kind::Gauge,
            "Of these, those that wait for the route's limits to let them in.",
            &["route"],
        ),
        |route, samples| samples.number(&[route.name()], route.waiting() as u64),
    ),
    (
        family(
            "chaos_proxy_connections_closed",
            Kind::Counter,
            "Connections that ended, by why and by whom.",
            &["route", "ending", "side"],
        ),
        closed,
    ),
    (
        family(
            "chaos_proxy_bytes_received",
            Kind::Counter,
            "Bytes received: upstream from clients, downstream from servers.",
            &["route", "direction"],
        ),
        |route, samples| {
            for way in Direction::ALL {
                samples.number(&[route.name(), way.word()], route.stats.received(way));
            }
        },
    ),
    (
        family(
            "chaos_proxy_bytes_sent",
            Kind::Counter,
            "Bytes sent on: upstream to servers, downstream to clients.",
            &["route", "direction"],
        ),
        |route, samples| {
            for way in Direction::ALL {
                samples.number(&[route.name(), way.word()], route.stats.sent(way));
            }
        },
    ),
    (
        family(
            "chaos_proxy_connection_duration_seconds",
            Kind::Histogram,
            "How long connections lived that ended.",
            &["route"],
        ),
        |route, samples| samples.histogram(&[route.name()], &route.stats.duration()),
    ),
    (
        family(
            "chaos_proxy_faults_fired",
            Kind::Counter,
            "How often a fault took effect on a connection; the direction is none for faults that act on no stream.",
            &["route", "fault", "effect", "direction"],
        ),
        fired,
    ),
    (
        family(
            "chaos_proxy_fault_delay_seconds",
            Kind::Summary,
            "How much later a fault made pieces of data or connections come, and how many.",
            &["route", "fault"],
        ),
        delays,
    ),
    (
        family(
            "chaos_proxy_accept_errors",
            Kind::Counter,
            "Clients that the system did not hand over, by its reason.",
            &["route", "reason"],
        ),
        |route, samples| {
            for reason in AcceptError::ALL {
                samples.number(&[route.name(), reason.word()], route.stats.accept_errors(reason));
            }
        },
    ),
];

fn closed(route: &Route, samples: &mut Samples<'_>) {
    for ending in Ending::ALL {
        for side in Side::ALL {
            let count = route.stats.closed(ending, side);
            if count > 0 || is_usual(ending, side) {
                samples.number(&[route.name(), ending.word(), side.word()], count);
            }
        }
    }
}

/// Whether to tell of it before it happens, so that its first time is seen as a rise. All pairs would be too many.
fn is_usual(ending: Ending, side: Side) -> bool {
    match ending {
        Ending::PeerFin | Ending::PeerReset | Ending::Error => side != Side::None,
        Ending::Connect | Ending::ConnectTimeout => side == Side::Upstream,
        _ => side == Side::None,
    }
}

fn fired(route: &Route, samples: &mut Samples<'_>) {
    for way in route.fault_counts_ever() {
        let direction = way.direction.map_or("none", Direction::word);
        samples.number(&[route.name(), &way.fault, way.effect, direction], way.stats.fired());
    }
}

/// A fault's directions together.
fn delays(route: &Route, samples: &mut Samples<'_>) {
    let mut delays: BTreeMap<Arc<str>, (u64, Duration)> = BTreeMap::new();
    for way in route.fault_counts_ever() {
        let (count, sum) = delays.entry(way.fault).or_default();
        *count = count.saturating_add(way.stats.delayed());
        *sum = sum.saturating_add(way.stats.delay());
    }
    for (fault, (count, sum)) in delays {
        samples.durations(&[route.name(), &fault], count, sum);
    }
}
