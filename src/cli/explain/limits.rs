//! What the limits of a route, and what it makes of its peers, mean for a connection.

use crate::route::{Excess, RouteConfig};
use crate::spec::Period;
use crate::upstream::HeaderVersion;

/// One sentence for each part that says something.
pub(super) fn sentences(route: &RouteConfig) -> Vec<String> {
    let mut said = Vec::new();
    said.extend(limits(route));
    said.extend(keepalive(route));
    said.extend(proxy_protocol(route));
    said
}

fn limits(route: &RouteConfig) -> Option<String> {
    let limits = &route.limits;
    let mut most = Vec::new();
    most.extend(limits.connections.map(|connections| match connections {
        1 => "1 connection at once".to_owned(),
        connections => format!("{connections} connections at once"),
    }));
    most.extend(limits.rate.map(|rate| match limits.burst.unwrap_or_else(|| rate.in_a_second()) {
        1 => format!("{rate} new ones, each by itself"),
        burst => format!("{rate} new ones, of which {burst} may come together"),
    }));
    if most.is_empty() {
        return None;
    }
    let rest = match limits.excess {
        Excess::Refuse => "the others are ended at once".to_owned(),
        Excess::Queue { size, timeout } => {
            format!("up to {size} others wait for a turn, {} at most", Period::new(timeout))
        }
    };
    Some(format!("It takes at most {}; {rest}.", most.join(", and ")))
}

fn keepalive(route: &RouteConfig) -> Option<String> {
    let keepalive = route.keepalive.as_ref()?;
    let unconfirmed = keepalive.user_timeout.map_or_else(String::new, |time| {
        format!(", or when it has not confirmed what it was sent for {}", Period::new(time))
    });
    let questions = if keepalive.count == 1 { "question" } else { "questions" };
    Some(format!(
        "A peer silent for {} is asked for a sign of life every {}, and given up after {} {questions} without an \
         answer{unconfirmed}.",
        Period::new(keepalive.idle),
        Period::new(keepalive.interval),
        keepalive.count,
    ))
}

fn proxy_protocol(route: &RouteConfig) -> Option<String> {
    let protocol = &route.proxy_protocol;
    let send = protocol.send.map(|version| {
        let version = match version {
            HeaderVersion::V1 => "v1",
            HeaderVersion::V2 => "v2",
        };
        format!("the upstream is told the client's address in a PROXY header ({version})")
    });
    let ranges: Vec<String> = protocol.accept.iter().map(ToString::to_string).collect();
    let accept = (!ranges.is_empty())
        .then(|| format!("clients from {} must begin with a PROXY header", ranges.join(", ")));
    let said = [accept, send].into_iter().flatten().collect::<Vec<_>>().join("; ");
    let mut letters = said.chars();
    letters.next().map(|first| format!("{}{}.", first.to_uppercase(), letters.as_str()))
}
