//! `explain FILE`: in plain sentences, what will happen to a connection on each route.

use std::path::PathBuf;
use std::time::Duration;

use super::{Said, environment};
use crate::config::{self, Config};
use crate::fault::{Effect, Fault, Trigger};
use crate::route::{Bind, LocalPort, RouteConfig};
use crate::spec::Period;
use crate::spec::text::shown;
use crate::upstream::{Builtin, Endpoint};

/// Explains every file, or says what is wrong with it.
pub fn run(files: &[PathBuf]) -> Said {
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
        said.push(format!("{name} listens on {at} and {}.", goes_to(&route.upstream)));
    } else {
        said.push(format!(
            "{name} is disabled: it does not listen. Enabled, it would use {at} and {}.",
            goes_to(&route.upstream)
        ));
    }
    let active: Vec<&Fault> = route.faults.iter().filter(|fault| fault.trigger.enabled).collect();
    for (index, fault) in active.iter().enumerate() {
        let ended = active.iter().take(index).any(|fault| !matches!(fault.effect, Effect::Delay(_)));
        said.push(fault_sentence(fault, ended));
    }
    for fault in route.faults.iter().filter(|fault| !fault.trigger.enabled) {
        said.push(format!("  {}: off.", shown(&fault.name)));
    }
    if active.is_empty() {
        said.push("  Nothing goes wrong.".to_owned());
    }
    said.push(format!("  {}", limits(route)));
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

fn goes_to(upstream: &Endpoint) -> String {
    match upstream {
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
    let who = who(&fault.trigger, others);
    let name = match (&*fault.name, fault.effect.word()) {
        (name, word) if name == word => word.to_owned(),
        (name, word) => format!("{word}, called {}", shown(name)),
    };
    let mut sentence = format!("  {who} ({name}) {}.", fault.effect.says());
    if let Some(times) = fault.trigger.times {
        sentence.push_str(&match times {
            1 => " This happens once at most.".to_owned(),
            times => format!(" This happens {times} times at most."),
        });
    }
    if let Some(lasts) = fault.trigger.lasts {
        sentence.push_str(&format!(" The fault is gone {lasts} after it came."));
    }
    sentence
}

/// Which connections: `Every connection`, `3 connections in 10 from 10.0.0.0/8, sparing the first 5`.
fn who(trigger: &Trigger, others: bool) -> String {
    let whose = if others { "of the others " } else { "" };
    let mut who = match (share(trigger.probability.get()), trigger.every) {
        (None, 1) if others => "Each of the others".to_owned(),
        (None, 1) => "Every connection".to_owned(),
        (None, every) => format!("One connection {whose}in {every}, counted off,"),
        (Some(share), 1) => format!("{share} {whose}").trim_end().to_owned(),
        (Some(share), every) => format!("Of every {every}th connection {whose}{share}"),
    };
    if let Some(client) = trigger.client {
        who.push_str(&format!(" from {client}"));
    }
    match trigger.skip {
        0 => {}
        1 => who.push_str(", sparing the first,"),
        skip => who.push_str(&format!(", sparing the first {skip},")),
    }
    who
}

/// A probability in words: `3 connections in 10`. None: always.
fn share(probability: f64) -> Option<String> {
    if probability >= 1.0 {
        return None;
    }
    if probability <= 0.0 {
        return Some("No connection".to_owned());
    }
    for of in [2u32, 3, 4, 5, 10, 20, 100, 1000, 10_000, 100_000, 1_000_000] {
        let count = probability * f64::from(of);
        if (count - count.round()).abs() < 1e-9 && count.round() >= 1.0 {
            let s = if count.round() == 1.0 { "" } else { "s" };
            return Some(format!("{} connection{s} in {of}", count.round()));
        }
    }
    Some(format!("{}% of connections", probability * 100.0))
}

fn limits(route: &RouteConfig) -> String {
    let period = Period::new;
    let mut said = format!(
        "The upstream has {} to answer the dial; a half-closed connection ends after {} without progress",
        period(route.timeouts.connect),
        period(route.timeouts.half_close)
    );
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
