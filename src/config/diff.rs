//! What differs between two configurations, in words.

#[cfg(test)]
mod tests;

use serde::Serialize;
use serde_json::Value;

use super::{Admin, Config};
use crate::fault::{Fault, FaultSpec};
use crate::route::{RouteConfig, RouteSpec};
use crate::spec::text::{shown, shown_short};
use crate::upstream::UpstreamFull;

/// One difference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// What it is about, the same for every change of the same thing: `web`, `web.upstream`, `web.latency.delay`.
    pub path: String,
    /// In words: `+ route web`, `web.latency.delay 200ms → 80ms`.
    pub text: String,
}

impl Change {
    /// Whether the two are about the same thing, or one about a part of the other.
    pub fn touches(&self, other: &Change) -> bool {
        let within = |part: &str, whole: &str| {
            part.strip_prefix(whole).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        };
        within(&self.path, &other.path) || within(&other.path, &self.path)
    }
}

/// Everything in which `new` differs from `old`; empty when they mean the same. A seed or an admin address that `new`
/// leaves open is the one that `old` has.
pub fn changes(old: &Config, new: &Config) -> Vec<Change> {
    let mut found = Changes::default();
    let (old_top, mut new_top) = (old.document_without_routes(), new.document_without_routes());
    if new.seed.is_none() {
        new_top.seed = old_top.seed.clone();
    }
    if new.admin == Admin::Default {
        new_top.admin = old_top.admin.clone();
    }
    let (old_top, new_top) = (json(&old_top), json(&new_top));
    for key in TOP {
        found.compare(key, old_top.get(key), new_top.get(key));
    }
    found.routes(&old.routes, &new.routes);
    found.0
}

/// The keys of a document but for its routes.
const TOP: [&str; 9] = [
    "seed",
    "bind",
    "admin",
    "log",
    "drainTimeout",
    "preDrainDelay",
    "drainIdle",
    "statsInterval",
    "allowedUpstreams",
];

/// The keys of a route but for its name and its faults.
const ROUTE: [&str; 8] =
    ["localPort", "bind", "enabled", "upstream", "timeouts", "limits", "keepalive", "proxyProtocol"];

#[derive(Default)]
struct Changes(Vec<Change>);

impl Changes {
    fn add(&mut self, path: &str, text: String) {
        self.0.push(Change { path: path.to_owned(), text });
    }

    fn routes(&mut self, old: &[RouteConfig], new: &[RouteConfig]) {
        let reserved = |name: &str| name == "routes" || TOP.contains(&name);
        let find =
            |routes: &'_ [RouteConfig], name: &str| routes.iter().position(|route| *route.name == *name);
        for route in old.iter().filter(|route| find(new, &route.name).is_none()) {
            let path = word(&route.name, reserved);
            self.add(&path, format!("- route {path}"));
        }
        let mut common = Vec::new();
        for route in new {
            let path = word(&route.name, reserved);
            match find(old, &route.name).and_then(|at| Some((at, old.get(at)?))) {
                None => self.add(&path, format!("+ route {path}")),
                Some((at, before)) => {
                    common.push(at);
                    if before != route {
                        self.route(&path, before, route);
                    }
                }
            }
        }
        if !common.is_sorted() {
            self.add("routes", "routes in another order".to_owned());
        }
    }

    fn route(&mut self, path: &str, old: &RouteConfig, new: &RouteConfig) {
        let (old_keys, new_keys) = (json(&RouteSpec::from(old)), json(&RouteSpec::from(new)));
        let (old_keys, new_keys) = alike(old_keys, new_keys, old, new);
        for key in ROUTE {
            self.compare(&format!("{path}.{key}"), old_keys.get(key), new_keys.get(key));
        }
        self.faults(path, &old.faults, &new.faults);
    }

    fn faults(&mut self, route: &str, old: &[Fault], new: &[Fault]) {
        let reserved = |name: &str| name == "faults" || ROUTE.contains(&name);
        let find = |faults: &'_ [Fault], name: &str| faults.iter().position(|fault| *fault.name == *name);
        for fault in old.iter().filter(|fault| find(new, &fault.name).is_none()) {
            let name = word(&fault.name, reserved);
            self.add(&format!("{route}.{name}"), format!("{route} - {name}"));
        }
        let mut common = Vec::new();
        for fault in new {
            let name = word(&fault.name, reserved);
            let path = format!("{route}.{name}");
            match find(old, &fault.name).and_then(|at| Some((at, old.get(at)?))) {
                None => self.add(&path, format!("{route} + {name} ({})", fault.brief())),
                Some((at, before)) => {
                    common.push(at);
                    if before != fault {
                        self.fault(&path, before, fault);
                    }
                }
            }
        }
        if !common.is_sorted() {
            self.add(&format!("{route}.faults"), format!("{route} faults in another order"));
        }
    }

    fn fault(&mut self, path: &str, old: &Fault, new: &Fault) {
        let (was, is) = (old.effect.word(), new.effect.word());
        if was != is {
            return self.add(path, format!("{path} {} → {}", old.brief(), new.brief()));
        }
        let (old, new) = (json(&FaultSpec::from(old)), json(&FaultSpec::from(new)));
        self.compare(path, old.get(was), new.get(is));
    }

    /// Two values of one key; objects are looked into.
    fn compare(&mut self, path: &str, old: Option<&Value>, new: Option<&Value>) {
        if old == new {
            return;
        }
        if let (Some(Value::Object(old)), Some(Value::Object(new))) = (old, new) {
            let gone = old.keys().filter(|key| !new.contains_key(*key));
            for key in gone.chain(new.keys()) {
                self.compare(&format!("{path}.{key}"), old.get(key), new.get(key));
            }
            return;
        }
        self.add(path, format!("{path} {} → {}", value(old), value(new)));
    }
}

/// Two routes whose upstreams are written in the same form, so that what differs in them can be looked into.
fn alike(mut old_keys: Value, mut new_keys: Value, old: &RouteConfig, new: &RouteConfig) -> (Value, Value) {
    let is_long = |route: &Value| route.get("upstream").is_some_and(Value::is_object);
    if is_long(&old_keys) != is_long(&new_keys) {
        for (keys, route) in [(&mut old_keys, old), (&mut new_keys, new)] {
            if let Some(upstream) = keys.get_mut("upstream") {
                *upstream = json(&UpstreamFull::from(&route.upstream));
            }
        }
    }
    (old_keys, new_keys)
}

/// A name as part of a path, in backquotes where it could be taken for something else.
fn word(name: &str, reserved: impl Fn(&str) -> bool) -> String {
    let plain = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_');
    if name.chars().all(plain) && !reserved(name) {
        return name.to_owned();
    }
    format!("`{}`", shown(&name.replace('\\', "\\\\").replace('`', "\\`")))
}

/// A value as a person would write it; what is left out and has no default is `none`.
fn value(value: Option<&Value>) -> String {
    const MOST: usize = 120;
    match value {
        None | Some(Value::Null) => "none".to_owned(),
        Some(value) => shown_short(&words(value), MOST),
    }
}

/// Without quotes: `[a:1, b:2]`, `{size: 4, maxAge: 1m}`.
fn words(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(items) => format!("[{}]", items.iter().map(words).collect::<Vec<_>>().join(", ")),
        Value::Object(keys) => {
            let keys = keys.iter().map(|(key, value)| format!("{key}: {}", words(value)));
            format!("{{{}}}", keys.collect::<Vec<_>>().join(", "))
        }
        other => other.to_string(),
    }
}

fn json(spec: &impl Serialize) -> Value {
    serde_json::to_value(spec).unwrap_or_default()
}
