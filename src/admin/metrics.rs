//! `/metrics`: every counter under its name. A scrape reads counters; it does not look at connections.

mod process;
mod routes;
mod toxiproxy;
mod upstreams;

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::exposition::{Exposition, Family, Format, Kind, Samples};
use crate::observe::ProcessStats;
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
    /// The commit it was built from; empty where nobody knows.
    pub commit: &'a str,
    /// Its routes.
    pub routes: &'a [Arc<Route>],
    /// What happened apart from them.
    pub process: &'a ProcessStats,
    /// Whether Toxiproxy's metrics are told as well.
    pub toxiproxy: bool,
}

/// A family, and how the numbers of the process are read.
type OfProcess = (Family, fn(&View<'_>, &mut Samples<'_>));

/// A family, and how the numbers of a route are read.
type OfRoute = (Family, fn(&Route, &mut Samples<'_>));

/// All of them as text.
pub fn render(view: &View<'_>, format: Format) -> String {
    let mut exposition = Exposition::new(format);
    for (family, write) in process::ALL {
        write(view, &mut exposition.family(family));
    }
    let asked_for: &[OfRoute] = if view.toxiproxy { toxiproxy::ALL } else { &[] };
    for (family, write) in routes::ALL.iter().chain(upstreams::ALL).chain(asked_for) {
        let mut samples = exposition.family(family);
        view.routes.iter().for_each(|route| write(route, &mut samples));
    }
    exposition.finish()
}

/// All families, for those who ask for metrics by name.
pub fn families() -> impl Iterator<Item = &'static Family> {
    let of_routes = routes::ALL.iter().chain(upstreams::ALL).map(|(family, _)| family);
    process::ALL.iter().map(|(family, _)| family).chain(of_routes)
}

const fn family(
    name: &'static str,
    kind: Kind,
    help: &'static str,
    labels: &'static [&'static str],
) -> Family {
    Family { name, kind, help, labels }
}

#[cfg(test)]
mod tests;
