//! What a person sees first and last: the table of routes, and the summary.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::net::SocketAddr;
use std::time::{Duration, SystemTime};

use tokio::time::Instant;

use super::table::columns;
use super::{health, say};
use crate::config::Drain;
use crate::daemon::Handle;
use crate::fault::Fault;
use crate::observe::text::{count, size, span};
use crate::observe::{By, Direction, Event, Fact, Health, LogConfig, build, log};
use crate::route::Route;
use crate::spec::text::shown;
use crate::upstream::EndpointView;

/// The first answers about health are waited for this long.
const FIRST_ANSWERS: Duration = Duration::from_millis(300);

/// Shows what is open. In JSON the events have told it; the seed and the control API are told whatever the log level.
pub(super) async fn show(
    daemon: &Handle,
    source: &str,
    control: Option<SocketAddr>,
    log_config: &LogConfig,
    drain: Drain,
) {
    if log::is_text(log_config.format) {
        first_answers(daemon).await;
        say(&table(daemon, source, control, drain));
        return;
    }
    let tell = |fact| say(&Event { time: SystemTime::now(), fact, suppressed: 0 }.to_json());
    if !tracing::enabled!(target: "config", tracing::Level::INFO) {
        let (seed, changes) = (daemon.seed(), std::sync::Arc::default());
        tell(Fact::ConfigApplied { generation: 1, seed, by: By::Start, changes });
    }
    if let Some(listen) = control.filter(|_| !tracing::enabled!(target: "control", tracing::Level::INFO)) {
        tell(Fact::ControlOpened { listen });
    }
}

/// Waits a moment, so that the table can say how upstreams are whose health is asked after.
async fn first_answers(daemon: &Handle) {
    let until = Instant::now() + FIRST_ANSWERS;
    let open = |view: &EndpointView| view.checks.is_some() && view.health == Health::Unknown;
    let routes = daemon.routes();
    while routes.iter().any(|route| route.address().is_some() && route.endpoints().iter().any(open)) {
        if Instant::now() >= until {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

fn table(daemon: &Handle, source: &str, control: Option<SocketAddr>, drain: Drain) -> String {
    let mut text = format!(
        "chaos-proxy {}   seed {}   config {}   generation {}\n\n",
        build::brief(),
        daemon.seed(),
        shown(source),
        daemon.control().generation()
    );
    let rows = daemon.routes().iter().map(|route| row(route)).collect();
    for line in columns(["ROUTE", "LISTEN", "UPSTREAM", "FAULTS", "HEALTH"], rows, "   ") {
        // Writing into a String cannot fail.
        let _ = writeln!(text, "  {line}");
    }
    if let Some(control) = control {
        let _ = write!(text, "\n  control http://{control}   metrics /metrics");
    }
    let _ = write!(text, "\n  Ctrl-C drains ({}), again to stop now.\n", span(drain.timeout));
    text
}

fn row(route: &Route) -> [String; 5] {
    let config = route.config();
    let listen = route.address().map_or_else(|| "closed".to_owned(), |address| address.to_string());
    let faults: Vec<String> = config.faults.iter().map(Fault::brief).collect();
    let faults = if faults.is_empty() { "none".to_owned() } else { faults.join(", ") };
    let endpoints: Vec<_> = route.endpoints().into_iter().map(health::Endpoint::from).collect();
    let upstream = health::upstream(&endpoints);
    [shown(&config.name).into_owned(), listen, upstream, faults, health::cell(&endpoints)]
}

/// Says what happened, at the end.
pub(super) fn summary(daemon: &Handle, log_config: &LogConfig, served: Duration) {
    if !log::is_text(log_config.format) {
        daemon.tell_stats();
        return;
    }
    let mut opened = 0;
    let (mut up, mut down) = (0, 0);
    let mut fired: BTreeMap<String, u64> = BTreeMap::new();
    for route in daemon.routes() {
        opened += route.stats.opened();
        up += route.stats.sent(Direction::Upstream);
        down += route.stats.sent(Direction::Downstream);
        for (name, n) in route.fired() {
            *fired.entry(shown(&name).into_owned()).or_default() += n;
        }
    }
    let fired: Vec<String> =
        fired.iter().filter(|(_, n)| **n > 0).map(|(name, n)| format!("{name} {n}")).collect();
    let fired = if fired.is_empty() { "none".to_owned() } else { fired.join(", ") };
    say(&format!(
        "served {}, {} up, {} down in {}   faults fired: {fired}   seed {}",
        count(opened, "connection"),
        size(up),
        size(down),
        span(served),
        daemon.seed()
    ));
}
