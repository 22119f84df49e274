//! `reload` reads the file again; `restore` goes back to the file as it was last read.

use hyper::Method;
use serde::Deserialize;

use super::client::{Client, ClientFlags};
use super::stop::Stop;
use super::target::Target;
use crate::spec::text::shown;

#[derive(Deserialize)]
struct Applied {
    generation: u64,
    #[serde(default)]
    changes: Vec<String>,
    #[serde(default)]
    undone: Vec<String>,
}

/// Reads the file again.
pub(super) fn reload(flags: &ClientFlags) -> Result<String, Stop> {
    run(flags, "/v1/reload")
}

/// Takes back what was changed since the file was read.
pub(super) fn restore(flags: &ClientFlags) -> Result<String, Stop> {
    run(flags, "/v1/restore")
}

fn run(flags: &ClientFlags, path: &str) -> Result<String, Stop> {
    let client = Client::new(flags)?;
    let reply = client.ask(Method::POST, &Target::new(path), None)?;
    if client.json {
        return Ok(reply.line());
    }
    let Applied { generation, changes, undone } = client.understand(&reply)?;
    if changes.is_empty() {
        return Ok(format!("generation {generation}: nothing changed\n"));
    }
    let mut lines = vec![format!("generation {generation}:")];
    for change in &changes {
        let mark = if undone.contains(change) { "  (undone)" } else { "" };
        lines.push(format!("  {}{mark}", shown(change)));
    }
    lines.push(String::new());
    Ok(lines.join("\n"))
}
