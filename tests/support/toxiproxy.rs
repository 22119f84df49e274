//! The program started as Toxiproxy is, and its API as clients use it.

use serde_json::{Value, json};

use super::{Api, Daemon};

/// Started as a container module starts it, on a port that the system chooses; these arguments follow, in
/// place of a fixed seed.
pub(crate) fn as_toxiproxy(arguments: &[&str]) -> (Daemon, Api) {
    let seed: &[&str] = if arguments.is_empty() { &["-seed=42"] } else { arguments };
    let words = ["-host=127.0.0.1", "-port=0"].iter().chain(seed);
    let daemon = Daemon::with_arguments(&words.map(|word| (*word).to_owned()).collect::<Vec<_>>());
    let api = daemon.api();
    (daemon, api)
}

/// Makes a proxy on a port that the system chooses, and says where it listens.
pub(crate) fn proxy(api: Api, name: &str, upstream: impl std::fmt::Display) -> std::net::SocketAddr {
    let body = json!({"name": name, "listen": "127.0.0.1:0", "upstream": upstream.to_string()});
    let made = api.post("/proxies", &body.to_string()).expect(201);
    made["listen"].as_str().and_then(|listen| listen.parse().ok()).expect("an address")
}

/// Adds a toxic, downstream and always unless `more` says otherwise.
pub(crate) fn toxic(api: Api, proxy: &str, kind: &str, attributes: Value, more: Value) -> Value {
    let mut body = json!({"type": kind, "attributes": attributes});
    body.as_object_mut().expect("an object").extend(more.as_object().cloned().unwrap_or_default());
    api.post(&format!("/proxies/{proxy}/toxics"), &body.to_string()).expect(200)
}
