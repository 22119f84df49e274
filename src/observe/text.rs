//! Events as lines for a person.

use std::fmt::Write;
use std::time::Duration;

use super::clock;
use super::event::{By, Bytes, ConnectionRef, Event, Fact, unmapped};
use super::words::{BreakerState, Ending, Health, Side};
use crate::spec::text::shown;

impl Event {
    /// The event as one line for a person, safe to print; none when the banner has told it.
    pub fn to_text(&self) -> Option<String> {
        let mut line = clock::time_of_day(self.time);
        // Writing into a String cannot fail.
        let _ = self.write_text(&mut line)?;
        if self.suppressed > 0 {
            let _ = write!(line, " (and {} more like it)", self.suppressed);
        }
        Some(line)
    }

    fn write_text(&self, line: &mut String) -> Option<std::fmt::Result> {
        let told = match &self.fact {
            Fact::RouteOpened { by: By::Start, .. } => return None,
            Fact::ConfigApplied { by: By::Start, .. } => return None,
            Fact::ControlOpened { .. } => return None,
            Fact::RouteOpened { route, listen, upstream, .. } => {
                write!(line, " {}  listens on {listen}, forwards to {}", shown(route), shown(upstream))
            }
            Fact::RouteClosed { route, .. } => write!(line, " {}  stopped listening", shown(route)),
            Fact::ConnectionOpened { of } => about(line, of, "opened"),
            Fact::UpstreamConnected { of, upstream, duration } => {
                let took =
                    if duration.is_zero() { String::new() } else { format!(" in {}", span(*duration)) };
                about(line, of, &format!("connected to {}{took}", shown(upstream)))
            }
            Fact::UpstreamFailed { of, upstream, duration, error, .. } => about(
                line,
                of,
                &format!("could not reach {} ({}, after {})", shown(upstream), shown(error), span(*duration)),
            ),
            Fact::HealthChanged { route, upstream, health, error } => {
                let is = match health {
                    Health::Down => "is down",
                    Health::Up | Health::Unknown => "is up",
                };
                write!(line, " {}  {} {is}{}", shown(route), shown(upstream), because(error.as_deref()))
            }
            Fact::BreakerChanged { route, upstream, state, error } => {
                let is = match state {
                    BreakerState::Open => "is left alone, its breaker is open",
                    BreakerState::HalfOpen => "is tried again, its breaker is half open",
                    BreakerState::Closed => "is well again, its breaker is closed",
                };
                write!(line, " {}  {} {is}{}", shown(route), shown(upstream), because(error.as_deref()))
            }
            Fact::FaultFired { of, fault } => {
                let mut what = past(fault.effect).to_owned();
                if *fault.name != *fault.effect {
                    let _ = write!(what, " by {}", shown(&fault.name));
                }
                if let Some(direction) = fault.direction {
                    let _ = write!(what, ", {}", direction.word());
                }
                if let Some(upstream) = &fault.upstream {
                    let _ = write!(what, " at {}", shown(upstream));
                }
                if let Some(delay) = fault.delay {
                    let _ = write!(what, " for {}", span(delay));
                }
                if let Some((draw, probability)) = fault.draw {
                    let _ = write!(what, " (draw {draw:.4} < {probability})");
                }
                about(line, of, &what)
            }
            Fact::FaultExpired { route, fault, .. } => {
                write!(line, " {}  fault {} is over", shown(route), shown(fault))
            }
            Fact::ConnectionClosed { of, ending, side, fault, error, deeds, bytes, duration } => {
                let mut what = format!(
                    "{} after {}: {}",
                    why(*ending, *side, fault.as_deref()),
                    span(*duration),
                    each_way(*bytes)
                );
                if let Some(error) = error {
                    let _ = write!(what, " ({})", shown(error));
                }
                for deed in deeds.iter().filter(|deed| !deed.delay.is_zero()) {
                    let _ = write!(what, "; {} held it {}", shown(&deed.fault), span(deed.delay));
                }
                about(line, of, &what)
            }
            Fact::ConfigApplied { generation, changes, by, .. } => {
                let changes: Vec<_> = changes.iter().map(|change| shown(change)).collect();
                let changes =
                    if changes.is_empty() { "nothing changed".to_owned() } else { changes.join(", ") };
                match by {
                    By::Signal | By::File => write!(line, " reloaded, generation {generation}: {changes}"),
                    _ => write!(line, " generation {generation}: {changes}"),
                }
            }
            Fact::ConfigRefused { generation, error, .. } => {
                write!(line, " kept generation {generation}: {}", shown(error))
            }
            Fact::DrainBegun { connections, timeout, .. } => write!(
                line,
                " draining {} (at most {}; again to stop now)",
                count(*connections, "connection"),
                span(*timeout)
            ),
            Fact::DrainDone { finished, cut, duration } => {
                write!(line, " drained in {}: {finished} finished, {cut} cut", span(*duration))
            }
            Fact::RouteStats { route, opened, active, bytes, fired } => write!(
                line,
                " {}  {} so far, {active} open: {}; faults fired {fired}",
                shown(route),
                count(*opened, "connection"),
                each_way(*bytes)
            ),
            Fact::AcceptFailed { route, error, .. } => {
                write!(line, " {}  could not accept a client: {}", shown(route), shown(error))
            }
            Fact::BudgetSpent { route, connections } => write!(
                line,
                " {}  all {} that the descriptor limit allows are open; clients wait",
                shown(route),
                count(*connections as u64, "connection")
            ),
            Fact::Notice { route: Some(route), message } => {
                write!(line, " {}  {}", shown(route), shown(message))
            }
            Fact::Notice { route: None, message } => write!(line, " {}", shown(message)),
        };
        Some(told)
    }
}

fn about(line: &mut String, of: &ConnectionRef, what: &str) -> std::fmt::Result {
    write!(line, " {}  #{} {}  {what}", shown(&of.route), of.number, unmapped(of.client))
}

fn because(error: Option<&str>) -> String {
    error.map_or_else(String::new, |error| format!(" ({})", shown(error)))
}

fn past(effect: &str) -> &str {
    match effect {
        "drop" => "dropped",
        "hang" => "left hanging",
        "delay" => "delayed",
        "refuseConnect" => "upstream made to refuse",
        "connectDelay" => "connect delayed",
        "latency" => "slowed",
        "bandwidth" => "throttled",
        "slice" => "sliced",
        "corrupt" => "corrupted",
        "loss" => "lost and sent again",
        "limit" => "limited",
        "reset" => "reset",
        "blackhole" => "swallowed",
        "stall" => "stalled",
        "slowClose" => "closed slowly",
        "noop" => "noticed",
        other => other,
    }
}

fn why(ending: Ending, side: Side, fault: Option<&str>) -> String {
    match (ending, side) {
        (Ending::PeerFin, side) => format!("closed by {}", side.word()),
        (Ending::PeerReset, side) => format!("reset by {}", side.word()),
        (Ending::Fault, _) => format!("ended by {}", shown(fault.unwrap_or("a fault"))),
        (Ending::Connect, _) => "closed, upstream not reached,".to_owned(),
        (Ending::ConnectTimeout, _) => "closed, upstream did not answer,".to_owned(),
        (Ending::Idle, _) => "closed, idle,".to_owned(),
        (Ending::Lifetime, _) => "closed, lifetime over,".to_owned(),
        (Ending::HalfClose, _) => "closed, half-closed without progress,".to_owned(),
        (Ending::Limits, _) => "refused, at the limit of the route,".to_owned(),
        (Ending::Drain, _) => "ended by the drain".to_owned(),
        (Ending::Control, _) => "ended on request".to_owned(),
        (Ending::Error, side) => format!("broken on the {} side", side.word()),
    }
}

fn each_way(bytes: Bytes) -> String {
    format!("{} up, {} down", size(bytes.upstream), size(bytes.downstream))
}

/// `1 connection`, `1,204 connections`.
pub fn count(n: u64, noun: &str) -> String {
    format!("{} {noun}{}", grouped(n), if n == 1 { "" } else { "s" })
}

/// Lines of a table: columns as wide as what is in them, the last one as it comes, with so much between them.
pub fn aligned<const N: usize>(lines: &[[String; N]], between: &str) -> Vec<String> {
    let mut widths = [0; N];
    for line in lines {
        for (width, cell) in widths.iter_mut().zip(line) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let padded = |line: &[String; N]| {
        let cells: Vec<String> =
            line.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        cells.join(between).trim_end().to_owned()
    };
    lines.iter().map(padded).collect()
}

/// `1,204`.
pub fn grouped(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// `78 B`, `96.1 MiB`.
pub fn size(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["KiB", "MiB", "GiB", "TiB", "PiB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    let mut value = bytes as f64 / 1024.0;
    let mut unit = 0;
    while value >= 1023.95 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    format!("{value:.1} {}", UNITS[unit])
}

/// `217ms`, `4m02s`.
pub fn span(duration: Duration) -> String {
    let micros = duration.as_micros();
    match micros {
        0 => "0s".to_owned(),
        1..1_000 => format!("{micros}us"),
        1_000..10_000 => format!("{:.1}ms", micros as f64 / 1e3),
        10_000..1_000_000 => format!("{}ms", micros / 1_000),
        1_000_000..60_000_000 => {
            let seconds = format!("{:.1}", micros as f64 / 1e6);
            format!("{}s", seconds.strip_suffix(".0").unwrap_or(&seconds))
        }
        _ => {
            let s = duration.as_secs();
            if s < 3600 {
                format!("{}m{:02}s", s / 60, s % 60)
            } else {
                format!("{}h{:02}m", s / 3600, s / 60 % 60)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_well() {
        assert_eq!(count(1, "connection"), "1 connection");
        assert_eq!(count(1_204, "connection"), "1,204 connections");
        assert_eq!(grouped(1_234_567), "1,234,567");
        assert_eq!(
            [size(0), size(1023), size(1024), size(100_766_000)],
            ["0 B", "1023 B", "1.0 KiB", "96.1 MiB"]
        );
        assert_eq!(size(1024 * 1024 - 1), "1.0 MiB");
        let spans = [217, 1_500, 25_000, 242_000, 7_260_000].map(|ms| span(Duration::from_millis(ms)));
        assert_eq!(spans, ["217ms", "1.5s", "25s", "4m02s", "2h01m"]);
        assert_eq!(span(Duration::from_micros(412)), "412us");
    }
}
