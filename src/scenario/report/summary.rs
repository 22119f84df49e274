//! What happened on each route, out of what the daemon counted.

use std::time::Duration;

use super::RouteSummary;
use crate::daemon::{OfRoute, Stats};
use crate::observe::{Ending, Side};

impl RouteSummary {
    /// What happened on this route.
    pub fn of(route: &OfRoute) -> RouteSummary {
        let mut summary = RouteSummary {
            name: route.name.clone(),
            connections: route.opened,
            bytes_upstream: route.bytes_sent.upstream,
            bytes_downstream: route.bytes_sent.downstream,
            ..RouteSummary::default()
        };
        // A fault that acts both ways is one fault, and so is one that was there twice.
        for fault in &route.faults {
            add(&mut summary.fired, &fault.fault, fault.fired);
            let delay = Duration::try_from_secs_f64(fault.delay_seconds).unwrap_or_default();
            summary.delayed = summary.delayed.saturating_add(delay);
        }
        for closed in &route.closed {
            add(&mut summary.endings, &ending(closed.ending, closed.side), closed.count);
        }
        summary
    }

    /// What happened on every route, in the daemon's order.
    pub fn all(stats: &Stats) -> Vec<RouteSummary> {
        stats.routes.iter().map(RouteSummary::of).collect()
    }
}

/// The word; and by whom, where that is not what the word says already: a broken connection was broken by somebody, but
/// who is the first to finish has no meaning.
fn ending(ending: Ending, side: Side) -> String {
    match (ending, side) {
        (Ending::PeerReset | Ending::Error, Side::Client | Side::Upstream) => {
            format!("{} by {}", ending.word(), side.word())
        }
        _ => ending.word().to_owned(),
    }
}

fn add(counts: &mut Vec<(String, u64)>, name: &str, more: u64) {
    match counts.iter_mut().find(|(known, _)| known == name) {
        Some((_, count)) => *count = count.saturating_add(more),
        None => counts.push((name.to_owned(), more)),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn stats() -> Stats {
        serde_json::from_value(json!({
            "generation": 3, "uptime": 40.0, "panics": 0, "logLinesDropped": 0,
            "routes": [{
                "name": "db", "opened": 14, "active": 1, "fired": 12, "acceptErrors": 0,
                "closed": [
                    {"ending": "peer-fin", "side": "client", "count": 6},
                    {"ending": "peer-fin", "side": "upstream", "count": 3},
                    {"ending": "peer-reset", "side": "upstream", "count": 1},
                    {"ending": "fault", "side": "none", "count": 3}
                ],
                "bytesReceived": {"upstream": 999, "downstream": 9999},
                "bytesSent": {"upstream": 100, "downstream": 2000},
                "connects": {"ok": 14, "refused": 0, "timeout": 0, "error": 0},
                "faults": [
                    {"fault": "slow", "effect": "latency", "direction": "upstream", "fired": 5, "amount": 0, "delaySeconds": 1.25},
                    {"fault": "slow", "effect": "latency", "direction": "downstream", "fired": 4, "amount": 0, "delaySeconds": 0.5},
                    {"fault": "reset", "effect": "reset", "direction": "downstream", "fired": 3, "amount": 0, "delaySeconds": 0.0},
                    {"fault": "never", "effect": "noop", "direction": "downstream", "fired": 0, "amount": 0, "delaySeconds": -1.0}
                ]
            }]
        }))
        .unwrap()
    }

    #[test]
    fn a_summary_adds_up_both_directions_and_keeps_what_never_fired() {
        let counts = |counts: &[(&str, u64)]| -> Vec<(String, u64)> {
            counts.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect()
        };
        let expected = RouteSummary {
            name: "db".to_owned(),
            connections: 14,
            bytes_upstream: 100,
            bytes_downstream: 2000,
            fired: counts(&[("slow", 9), ("reset", 3), ("never", 0)]),
            endings: counts(&[("peer-fin", 9), ("peer-reset by upstream", 1), ("fault", 3)]),
            delayed: Duration::from_millis(1750),
        };
        assert_eq!(RouteSummary::all(&stats()), [expected]);
    }
}
