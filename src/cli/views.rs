//! What the daemon's answers hold, as far as a person is shown it. What is not known here is left alone.

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::health::{self, Endpoint};
use crate::config::Config;
use crate::fault::{self, Stage};
use crate::spec::text::shown;

/// All routes.
#[derive(Debug, Deserialize)]
pub(super) struct Routes {
    pub(super) routes: Vec<Route>,
}

/// One route.
#[derive(Debug, Deserialize)]
pub(super) struct Route {
    pub(super) name: String,
    #[serde(default)]
    pub(super) faults: Vec<Value>,
    #[serde(default)]
    pub(super) state: RouteState,
}

/// How a route is.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct RouteState {
    pub(super) listen: Option<String>,
    pub(super) connections: u64,
    pub(super) waiting: u64,
    pub(super) endpoints: Vec<Endpoint>,
}

/// The faults of a route.
#[derive(Debug, Deserialize)]
pub(super) struct Faults {
    pub(super) faults: Vec<Value>,
}

/// How a fault is.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct FaultState {
    pub(super) fired: u64,
    pub(super) expires_at: Option<String>,
}

/// One fault: an item of one key, the effect's word, and its state beside it.
#[derive(Debug)]
pub(super) struct Fault {
    pub(super) word: String,
    pub(super) body: Map<String, Value>,
    pub(super) state: FaultState,
    /// What it means here; none if this program does not know the effect.
    meant: Option<fault::Fault>,
}

impl Route {
    /// Where it listens.
    pub(super) fn listen(&self) -> String {
        self.state.listen.as_deref().map_or_else(|| "closed".to_owned(), |listen| shown(listen).into_owned())
    }

    /// Where its connections go.
    pub(super) fn upstream(&self) -> String {
        health::upstream(&self.state.endpoints)
    }

    /// How many connections it has, and how many of them wait for its limits to let them in.
    pub(super) fn connections(&self) -> String {
        match self.state.waiting {
            0 => self.state.connections.to_string(),
            waiting => format!("{} ({waiting} waiting)", self.state.connections),
        }
    }

    /// What goes wrong on it.
    pub(super) fn faults(&self) -> String {
        let faults: Vec<String> =
            self.faults.iter().filter_map(Fault::read).map(|fault| fault.brief()).collect();
        if faults.is_empty() { "none".to_owned() } else { faults.join(", ") }
    }
}

impl Fault {
    /// Reads an item; none if it is not one.
    pub(super) fn read(item: &Value) -> Option<Fault> {
        let mut keys = item.as_object()?.clone();
        let state =
            keys.remove("state").and_then(|state| serde_json::from_value(state).ok()).unwrap_or_default();
        let meant = meant(&Value::Object(keys.clone()));
        let (word, body) = keys.into_iter().next()?;
        let body = if let Value::Object(body) = body { body } else { Map::new() };
        Some(Fault { word, body, state, meant })
    }

    /// What it is called.
    pub(super) fn name(&self) -> &str {
        self.body.get("name").and_then(Value::as_str).unwrap_or(&self.word)
    }

    /// For a cell of a table.
    pub(super) fn brief(&self) -> String {
        self.meant.as_ref().map_or_else(|| shown(&self.word).into_owned(), fault::Fault::brief)
    }

    /// For a sentence: `bandwidth (32KiB/s, downstream)`, `slow-upload (bandwidth, 32KiB/s, upstream)`.
    pub(super) fn told(&self) -> String {
        let mut details = Vec::new();
        if self.name() != self.word {
            details.push(shown(&self.word).into_owned());
        }
        if let Some(fault) = &self.meant {
            let words = fault.effect.brief();
            let rest = words.strip_prefix(fault.effect.word()).unwrap_or_default();
            details.push(rest.trim_start_matches([',', ' ']).to_owned());
            if fault.trigger.probability.get() < 1.0 {
                details.push(fault.trigger.probability.to_string());
            }
            if fault.effect.stage() == Stage::Stream {
                details.push(fault.direction.word().to_owned());
            }
            if let Some(endpoint) = &fault.trigger.endpoint {
                details.push(format!("at {endpoint}"));
            }
            if !fault.trigger.enabled {
                details.push("off".to_owned());
            }
        }
        details.retain(|detail| !detail.is_empty());
        let name = shown(self.name());
        if details.is_empty() { name.into_owned() } else { format!("{name} ({})", details.join(", ")) }
    }

    /// `, gone in 30s`, if it has an end.
    pub(super) fn lasts(&self) -> String {
        let lasts = self.meant.as_ref().and_then(|fault| fault.trigger.lasts);
        lasts.map(|lasts| format!(", gone in {lasts}")).unwrap_or_default()
    }
}

/// The fault as the reader of configurations understands it, on a route of its own.
fn meant(item: &Value) -> Option<fault::Fault> {
    let mut item = item.clone();
    keep_literal(&mut item);
    // One that is aimed at an endpoint needs a route that has it.
    let aim = item.as_object().and_then(|item| item.values().next()?.get("endpoint"));
    let upstream = aim.cloned().unwrap_or_else(|| json!("builtin:echo"));
    let route = json!({"localPort": 1, "upstream": upstream, "faults": [item]});
    let config = Config::from_text(&json!({"routes": [route]}).to_string()).ok()?;
    config.routes.first()?.faults.first().cloned()
}

/// What looks like a variable in an answer is none.
fn keep_literal(value: &mut Value) {
    match value {
        Value::String(text) => *text = text.replace('$', "$$"),
        Value::Array(items) => items.iter_mut().for_each(keep_literal),
        Value::Object(keys) => keys.values_mut().for_each(keep_literal),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(item: Value) -> Fault {
        Fault::read(&item).unwrap()
    }

    #[test]
    fn a_fault_is_told_as_the_daemon_tells_it() {
        let full = fault(json!({
            "bandwidth": {"name": "bandwidth", "direction": "downstream", "rate": "32KiB/s", "for": "30s"},
            "state": {"fired": 3, "expiresAt": "2026-11-20T14:03:07Z"}
        }));
        assert_eq!((full.brief().as_str(), full.state.fired), ("bandwidth 32KiB/s", 3));
        assert_eq!(full.told() + &full.lasts(), "bandwidth (32KiB/s, downstream), gone in 30s");
        let named = fault(json!({"drop": {"name": "${X} $", "probability": 0.3}, "state": {}}));
        assert_eq!(named.told(), "${X} $ (drop, 30%)");
        assert_eq!(fault(json!({"noop": {}})).told(), "noop (downstream)");
    }

    #[test]
    fn a_fault_of_a_later_daemon_keeps_its_word_and_a_hostile_one_is_tame() {
        let later = fault(json!({"teleport": {"name": "t"}, "state": {"fired": 1}}));
        assert_eq!((later.told().as_str(), later.brief().as_str()), ("t (teleport)", "teleport"));
        let evil = fault(json!({"x\u{1b}[2J": {"name": "y\u{202e}"}}));
        assert_eq!(evil.told(), "y\\u{202e} (x\\u{1b}[2J)");
        for item in [json!(1), json!({"state": {}}), json!({})] {
            assert!(Fault::read(&item).is_none(), "{item}");
        }
        assert_eq!(fault(json!({"latency": 7})).told(), "latency");
    }
}
