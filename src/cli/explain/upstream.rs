//! What an upstream of several endpoints, or one that is watched, means for a connection.

use crate::spec::Period;
use crate::spec::text::shown;
use crate::upstream::{Balance, BreakerConfig, HealthConfig, PoolConfig, Trip, UpstreamConfig, WhenAllDown};

/// One sentence for each part that says something.
pub(super) fn sentences(upstream: &UpstreamConfig) -> Vec<String> {
    let several = upstream.endpoints.len() > 1;
    let mut said = Vec::new();
    if several {
        said.push(order(upstream));
    }
    // A responder inside this program is always well.
    if !upstream.is_builtin() {
        said.extend(upstream.health.as_ref().map(|check| health(check, upstream.when_all_down, several)));
        said.extend(upstream.breaker.as_ref().map(|config| breaker(config, several)));
        said.extend(upstream.pool.as_ref().map(|config| pool(config, several)));
    }
    said
}

fn order(upstream: &UpstreamConfig) -> String {
    let weighs = upstream.balance != Balance::First;
    let names = upstream.endpoints.iter().map(|target| match target.weight {
        weight if weight > 1 && weighs => format!("{} (weight {weight})", target.endpoint),
        _ => target.endpoint.to_string(),
    });
    let names = names.collect::<Vec<_>>().join(", ");
    let chosen = match upstream.balance {
        Balance::First => "in this order",
        Balance::RoundRobin => "each in turn",
        Balance::Random => "one drawn for each connection",
        Balance::LeastConnections => "the one with the fewest connections first",
    };
    format!("The endpoints are {names}: {chosen}; if one cannot be reached, the next is tried.")
}

fn each(several: bool) -> &'static str {
    if several { "each endpoint" } else { "the endpoint" }
}

fn health(health: &HealthConfig, when_all_down: WhenAllDown, several: bool) -> String {
    let question = match &health.http {
        None => "whether it takes a TCP connection".to_owned(),
        Some(http) => format!("for {}, which has to be answered with {}", shown(&http.path), http.status),
    };
    let (interval, timeout) = (Period::new(health.interval), Period::new(health.timeout));
    let times = |n: u32, what: &str, verb: &str| match n {
        1 => format!("1 {what} answer {verb}s"),
        n => format!("{n} {what} answers in a row {verb}"),
    };
    let all = if several { "When all are down" } else { "When it is down" };
    let then = match (when_all_down, several) {
        (WhenAllDown::Try, true) => "they are tried all the same",
        (WhenAllDown::Try, false) => "it is tried all the same",
        (WhenAllDown::Refuse, _) => "connections are ended at once",
    };
    format!(
        "Every {interval} {} is asked {question}, within {timeout}: {} it down, {} it up, and more where \
         it goes down again soon after. {all}, {then}.",
        each(several),
        times(health.fall, "bad", "take"),
        times(health.rise, "good", "bring"),
    )
}

fn breaker(breaker: &BreakerConfig, several: bool) -> String {
    let window = Period::new(breaker.window);
    let trip = match breaker.trip {
        Trip::Failures(1) => "After 1 failure".to_owned(),
        Trip::Failures(failures) => format!("After {failures} failures in a row within {window}"),
        Trip::Share { share, minimum } => {
            format!("Once {share} of at least {minimum} dials within {window} have failed")
        }
    };
    let who = if several { "an endpoint" } else { "the endpoint" };
    let probes = match breaker.probes {
        1 => "1 connection".to_owned(),
        probes => format!("{probes} connections"),
    };
    let open = Period::new(breaker.open);
    format!("{trip}, {who} is left alone for {open}; then {probes} may try whether it is well again.")
}

fn pool(pool: &PoolConfig, several: bool) -> String {
    let connections = match pool.size {
        1 => "1 connection is".to_owned(),
        size => format!("{size} connections are"),
    };
    let age = Period::new(pool.max_age);
    format!("Ahead of need, {connections} kept open to {}, each for {age} at most.", each(several))
}
