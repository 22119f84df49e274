//! `explain FILE`: in plain sentences, what will happen to a connection on each route.

mod limits;
mod upstream;

use std::path::PathBuf;
use std::time::Duration;

use super::{Said, environment};
use crate::config::{self, Config};
use crate::fault::{Directions, Effect, Fault, Stage, Trigger};
use crate::route::{Bind, LocalPort, RouteConfig};
use crate::spec::text::shown;
use crate::spec::{Period, Probability};
use crate::upstream::{Builtin, Endpoint, UpstreamConfig};

/// Explains every file, or says what is wrong with it.
pub(super) fn run(files: &[PathBuf]) -> Said {
    let mut said = Said::default();
    for file in files {
        match config::load(file, &environment) {
            Ok(config) => said.well(&explain(&config)),
            Err(refused) => said.ill(&refused.to_string()),
        }
    }
    said
}

/// One paragraph a route, one sentence a line.
pub fn explain(config: &Config) -> String {
    let mut out = String::new();
    for route in &config.routes {
        if !out.is_empty() {
            out.push('\n');
        }
        for sentence in route_sentences(route) {
            out.push_str(&sentence);
            out.push('\n');
        }
    }
    out.truncate(out.trim_end().len());
    out
}

fn route_sentences(route: &RouteConfig) -> Vec<String> {
    let name = shown(&route.name);
    let mut said = Vec::new();
    let at = listen(route);
    if route.enabled {
        said.push(format!("{name} listens on {at}, and {}.", goes_to(&route.upstream)));
    } else {
        said.push(format!(
            "{name} is disabled: it does not listen. Enabled, it would use {at} and {}.",
            goes_to(&route.upstream)
        ));
    }
    let indented = |sentence: String| format!("  {sentence}");
    said.extend(upstream::sentences(&route.upstream).into_iter().map(indented));
    said.extend(limits::sentences(route).into_iter().map(indented));
    let active: Vec<&Fault> = route.faults.iter().filter(|fault| fault.trigger.enabled).collect();
    for (index, fault) in active.iter().enumerate() {
        let ended =
            active.iter().take(index).any(|fault| matches!(fault.effect, Effect::Drop(_) | Effect::Hang(_)));
        said.push(fault_sentence(fault, ended));
    }
    for fault in route.faults.iter().filter(|fault| !fault.trigger.enabled) {
        said.push(format!("  {}: off.", shown(&fault.name)));
    }
    if active.is_empty() {
        said.push("  Nothing goes wrong.".to_owned());
    }
    said.push(indented(timeouts(route)));
    said
}

fn listen(route: &RouteConfig) -> String {
    let port = match route.local_port {
        LocalPort::Auto => "a port that the system chooses".to_owned(),
        LocalPort::Fixed(port) => port.to_string(),
    };
    match (route.bind, route.local_port) {
        (Bind::Any, LocalPort::Auto) => format!("{port}, on every address"),
        (Bind::Any, LocalPort::Fixed(_)) => format!("port {port} of every address"),
        (Bind::Ip(address), LocalPort::Auto) => format!("{port}, on {address}"),
        (Bind::Ip(address), LocalPort::Fixed(port)) => std::net::SocketAddr::new(address, port).to_string(),
    }
}

fn goes_to(upstream: &UpstreamConfig) -> String {
    match upstream.endpoints.as_slice() {
        [alone] => goes_to_one(&alone.endpoint),
        several => format!("forwards to one of {} endpoints", several.len()),
    }
}

fn goes_to_one(endpoint: &Endpoint) -> String {
    match endpoint {
        Endpoint::Address(address) => format!("forwards to {address}"),
        Endpoint::Builtin(Builtin::Echo) => "sends back what it is sent (builtin:echo)".to_owned(),
        Endpoint::Builtin(Builtin::Http) => "answers HTTP requests itself (builtin:http)".to_owned(),
        Endpoint::Builtin(Builtin::Discard) => {
            "reads everything and answers nothing (builtin:discard)".to_owned()
        }
        Endpoint::Builtin(Builtin::Chargen) => "sends characters without end (builtin:chargen)".to_owned(),
        Endpoint::Builtin(Builtin::Silent) => "never reads, answers or ends (builtin:silent)".to_owned(),
    }
}

/// `others`: a fault before this one has ended some connections, so this one speaks of the rest.
fn fault_sentence(fault: &Fault, others: bool) -> String {
    let trigger = &fault.trigger;
    let (who, verb) = who(trigger, others);
    let mut details = vec![match (&*fault.name, fault.effect.word()) {
        (name, word) if name == word => word.to_owned(),
        (name, word) => format!("{}, a {word}", shown(name)),
    }];
    if let Some(client) = trigger.client {
        details.push(format!("only from {client}"));
    }
    if let Some(endpoint) = &trigger.endpoint {
        details.push(format!("only at {endpoint}"));
    }
    match trigger.skip {
        0 => {}
        1 => details.push("the first is spared".to_owned()),
        skip => details.push(format!("the first {skip} are spared")),
    }
    if trigger.every > 1 && trigger.probability < Probability::ALWAYS {
        details.push(format!("only one in {} is considered", trigger.every));
    }
    match trigger.times {
        None => {}
        Some(1) => details.push("once at most".to_owned()),
        Some(times) => details.push(format!("{times} times at most")),
    }
    if let Some(lasts) = trigger.lasts {
        details.push(format!("for {lasts}"));
    }
    let way = match (fault.effect.stage(), fault.direction) {
        (Stage::Accept | Stage::Dial, _) => "",
        (Stage::Stream, Directions::Upstream) => ", from client to server",
        (Stage::Stream, Directions::Downstream) => ", from server to client",
        (Stage::Stream, Directions::Both) => ", each way",
    };
    format!("  {who} ({}) {verb} {}{way}.", details.join("; "), fault.effect.says())
}

/// Which connections, and the verb that goes with them.
fn who(trigger: &Trigger, others: bool) -> (String, &'static str) {
    let among = |share: String| if others { format!("Of the others {share}") } else { share };
    match (share(trigger.probability.get()), trigger.every) {
        (None, 1) if others => ("Each of the others".to_owned(), "is"),
        (None, 1) => ("Every connection".to_owned(), "is"),
        (None, every) => (among(format!("1 connection in {every}")), "is"),
        (Some((share, verb)), _) => (among(share), verb),
    }
}

/// A probability in words: `3 connections in 10`. None: always.
fn share(probability: f64) -> Option<(String, &'static str)> {
    if probability >= 1.0 {
        return None;
    }
    if probability <= 0.0 {
        return Some(("no connection".to_owned(), "is"));
    }
    for of in [2u32, 3, 4, 5, 10, 20, 100, 1000, 10_000, 100_000, 1_000_000] {
        let count = (probability * f64::from(of)).round();
        if (probability - count / f64::from(of)).abs() < 1e-12 && count >= 1.0 {
            let one = count == 1.0;
            let connections = if one { "connection" } else { "connections" };
            return Some((format!("{count} {connections} in {of}"), if one { "is" } else { "are" }));
        }
    }
    let percent = Probability::new(probability).unwrap_or(Probability::ALWAYS);
    Some((format!("{percent} of connections"), "are"))
}

fn timeouts(route: &RouteConfig) -> String {
    let period = Period::new;
    let half_close =
        format!("a half-closed connection ends after {} without progress", period(route.timeouts.half_close));
    let mut said = if route.upstream.is_builtin() {
        half_close.replacen('a', "A", 1)
    } else {
        format!("The upstream has {} to answer the dial; {half_close}", period(route.timeouts.connect))
    };
    let mut more = |time: Option<Duration>, words: &str| {
        if let Some(time) = time {
            said.push_str(&format!("; {words} {}", period(time)));
        }
    };
    more(route.timeouts.idle, "a silent one after");
    more(route.timeouts.lifetime, "any after");
    said.push('.');
    said
}
