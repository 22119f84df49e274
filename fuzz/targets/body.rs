//! Bodies of the control API, held against a daemon's configuration.

use std::sync::LazyLock;

use chaos_proxy::config::{Config, body};
use chaos_proxy::fault::FaultSpec;
use chaos_proxy::route::RouteSpec;

/// What runs.
static RUNS: LazyLock<Config> = LazyLock::new(|| {
    let text = r#"{"seed": 1, "admin": "off", "routes": [
        {"name": "db", "localPort": 15432, "upstream": "db:5432", "latencyMs": 5,
         "faults": [{"latency": {"delay": "200ms"}}, {"limit": {"bytes": 10, "then": "reset"}}]},
        {"name": "web", "localPort": 15433, "upstream": ["a:1", "b:2"]}]}"#;
    Config::from_text(text).expect("it is sound")
});

/// The first byte says which call it is; the rest is the body. No panic, and what is accepted can be sent again.
pub fn target(data: &[u8]) {
    let Some((call, text)) = data.split_first() else { return };
    let (runs, route) = (&*RUNS, &RUNS.routes[0]);
    match call % 8 {
        0 => {
            if let Ok(config) = body::config(text) {
                let full = serde_json::to_vec(&config.document()).expect("a document can be written");
                assert_eq!(body::config(&full).ok(), Some(config));
            }
        }
        1 => {
            if let Ok(new) = body::route(text, runs, None) {
                let full = serde_json::to_vec(&RouteSpec::from(&new)).expect("a route can be written");
                assert_eq!(body::route(&full, runs, None).ok(), Some(new));
            }
        }
        2 => _ = body::route(text, runs, Some("db")),
        3 => {
            if let Ok(patched) = body::patched_route(text, route, runs) {
                assert_eq!(patched.name, route.name, "a patch gives no other name");
            }
        }
        4 => {
            if let Ok(fault) = body::fault(text, route, None) {
                let full = serde_json::to_vec(&FaultSpec::from(&fault)).expect("a fault can be written");
                assert_eq!(body::fault(&full, route, None).ok(), Some(fault));
            }
        }
        5 => _ = body::fault(text, route, Some("latency")),
        6 => {
            for fault in &route.faults {
                if let Ok(patched) = body::patched_fault(text, fault, route) {
                    assert_eq!(patched.name, fault.name, "a patch gives no other name");
                }
            }
        }
        _ => {
            if let Err(error) = body::config(text) {
                let said = error.to_string();
                assert!(said.len() < 256 << 10, "a message of {} bytes", said.len());
            }
        }
    }
}
