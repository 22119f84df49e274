//! `/metrics`: every counter under its name. A scrape reads counters; it does not look at connections.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::exposition::{Exposition, Family, Format, Kind, Samples};
use crate::observe::{AcceptError, ConnectResult, Direction, Ending, ProcessStats, Side};
use crate::route::Route;

/// What is told of: the daemon at a moment.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    /// The number of the configuration in force.
    pub generation: u64,
    /// When the daemon started.
    pub started: SystemTime,
    /// How long ago that was.
    pub uptime: Duration,
    /// The program's version.
    pub version: &'a str,
    /// Its routes.
    pub routes: &'a [Arc<Route>],
    /// What happened apart from them.
    pub process: &'a ProcessStats,
}

/// The list of all metrics, in the order in which they are told.
static ALL: [(Family, Write); 19] = [
    (
        family("chaos_proxy_build", Kind::Info, "The version of the program.", &["version"]),
        Write::Process(|view, samples| samples.number(&[view.version], 1)),
    ),
    (
        family(
            "chaos_proxy_start_time_seconds",
            Kind::Gauge,
            "When the program started, in seconds since 1970.",
            &[],
        ),
        Write::Process(|view, samples| {
            let since = view.started.duration_since(UNIX_EPOCH).unwrap_or_default();
            samples.number(&[], since.as_secs_f64());
        }),
    ),
    (
        family("chaos_proxy_uptime_seconds", Kind::Gauge, "How long the program has been running.", &[]),
        Write::Process(|view, samples| samples.number(&[], view.uptime.as_secs_f64())),
    ),
    (
        family("chaos_proxy_generation", Kind::Gauge, "The number of the configuration in force.", &[]),
        Write::Process(|view, samples| samples.number(&[], view.generation)),
    ),
    (
        family("chaos_proxy_connections_opened", Kind::Counter, "Connections accepted.", &["route"]),
        Write::Route(|route, samples| samples.number(&[route.name()], route.stats.opened())),
    ),
    (
        family("chaos_proxy_connections_active", Kind::Gauge, "Connections open now.", &["route"]),
        Write::Route(|route, samples| samples.number(&[route.name()], route.stats.active())),
    ),
    (
        family(
            "chaos_proxy_connections_closed",
            Kind::Counter,
            "Connections that ended, by why and by whom.",
            &["route", "ending", "side"],
        ),
        Write::Route(closed),
    ),
    (
        family(
            "chaos_proxy_bytes_received",
            Kind::Counter,
            "Bytes received: upstream from clients, downstream from servers.",
            &["route", "direction"],
        ),
        Write::Route(|route, samples| {
            for way in Direction::ALL {
                samples.number(&[route.name(), way.word()], route.stats.received(way));
            }
        }),
    ),
    (
        family(
            "chaos_proxy_bytes_sent",
            Kind::Counter,
            "Bytes sent on: upstream to servers, downstream to clients.",
            &["route", "direction"],
        ),
        Write::Route(|route, samples| {
            for way in Direction::ALL {
                samples.number(&[route.name(), way.word()], route.stats.sent(way));
            }
        }),
    ),
    (
        family(
            "chaos_proxy_upstream_connects",
            Kind::Counter,
            "Upstreams dialled, by what came of it.",
            &["route", "upstream", "result"],
        ),
        Write::Route(|route, samples| {
            let mut upstreams = route.stats.connects_by_upstream();
            let now = route.upstream_text();
            // The one it has now is told of before its first connect, so that this is seen as a rise.
            if !upstreams.iter().any(|(upstream, _)| *upstream == now) {
                upstreams.insert(0, (now, Default::default()));
            }
            for (upstream, counts) in upstreams {
                for (result, count) in ConnectResult::ALL.into_iter().zip(counts) {
                    samples.number(&[route.name(), &upstream, result.word()], count);
                }
            }
        }),
    ),
    (
        family(
            "chaos_proxy_upstream_connect_seconds",
            Kind::Histogram,
            "How long it took to reach the upstream, where it was reached.",
            &["route"],
        ),
        Write::Route(|route, samples| samples.histogram(&[route.name()], &route.stats.connect_time())),
    ),
    (
        family(
            "chaos_proxy_connection_duration_seconds",
            Kind::Histogram,
            "How long connections lived that ended.",
            &["route"],
        ),
        Write::Route(|route, samples| samples.histogram(&[route.name()], &route.stats.duration())),
    ),
    (
        family(
            "chaos_proxy_faults_fired",
            Kind::Counter,
            "How often a fault took effect on a connection; the direction is none for faults that act on no stream.",
            &["route", "fault", "effect", "direction"],
        ),
        Write::Route(fired),
    ),
    (
        family(
            "chaos_proxy_fault_delay_seconds",
            Kind::Summary,
            "How much later a fault made pieces of data or connections come, and how many.",
            &["route", "fault"],
        ),
        Write::Route(delays),
    ),
    (
        family(
            "chaos_proxy_accept_errors",
            Kind::Counter,
            "Clients that the system did not hand over, by its reason.",
            &["route", "reason"],
        ),
        Write::Route(|route, samples| {
            for reason in AcceptError::ALL {
                samples.number(&[route.name(), reason.word()], route.stats.accept_errors(reason));
            }
        }),
    ),
    (
        family(
            "chaos_proxy_reloads",
            Kind::Counter,
            "Reloads of the configuration that came into force (ok) or were refused.",
            &["result"],
        ),
        Write::Process(|view, samples| {
            samples.number(&["ok"], view.process.reloads(true));
            samples.number(&["refused"], view.process.reloads(false));
        }),
    ),
    (
        family(
            "chaos_proxy_control_calls",
            Kind::Counter,
            "Calls of the control API, by status code.",
            &["code"],
        ),
        Write::Process(|view, samples| {
            for (code, calls) in view.process.calls() {
                samples.number(&[&code.to_string()], calls);
            }
        }),
    ),
    (
        family(
            "chaos_proxy_log_lines_dropped",
            Kind::Counter,
            "Lines of the log that nobody took in time.",
            &[],
        ),
        Write::Process(|view, samples| samples.number(&[], view.process.log_lines_dropped())),
    ),
    (
        family(
            "chaos_proxy_panics",
            Kind::Counter,
            "Tasks that were ended by a mistake in this program.",
            &[],
        ),
        Write::Process(|view, samples| samples.number(&[], view.process.panics())),
    ),
];

/// Where a family's numbers come from.
enum Write {
    /// Once.
    Process(fn(&View<'_>, &mut Samples<'_>)),
    /// Once a route.
    Route(fn(&Route, &mut Samples<'_>)),
}

/// All of them as text.
pub fn render(view: &View<'_>, format: Format) -> String {
    let mut exposition = Exposition::new(format);
    for (family, write) in &ALL {
        let mut samples = exposition.family(family);
        match write {
            Write::Process(write) => write(view, &mut samples),
            Write::Route(write) => view.routes.iter().for_each(|route| write(route, &mut samples)),
        }
    }
    exposition.finish()
}

/// All families, for those who ask for metrics by name.
pub fn families() -> impl Iterator<Item = &'static Family> {
    ALL.iter().map(|(family, _)| family)
}

const fn family(
    name: &'static str,
    kind: Kind,
    help: &'static str,
    labels: &'static [&'static str],
) -> Family {
    Family { name, kind, help, labels }
}

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

#[cfg(test)]
mod tests;
