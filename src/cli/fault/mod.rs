//! `fault add|set|rm|ls`: break a running daemon, and mend it.

mod add;
mod flags;
mod list;
mod remove;
mod set;

use clap::Subcommand;
use serde_json::Value;

use super::client::Client;
use super::stop::Stop;
use super::target::Target;
use super::undo::Undo;
use super::views;

#[derive(Debug, Subcommand)]
pub(super) enum FaultCommand {
    /// Add a fault: `fault add db latency --delay 200ms --for 30s`
    Add(add::Add),
    /// Change a fault: `fault set db latency --delay 80ms`
    Set(set::Set),
    /// Take a fault away; what it held leaves at once
    Rm(remove::Remove),
    /// List the faults of one route, or of all
    Ls(list::List),
}

/// Does what was typed.
pub(super) fn run(command: &FaultCommand) -> Result<String, Stop> {
    match command {
        FaultCommand::Add(add) => add::run(add),
        FaultCommand::Set(set) => set::run(set),
        FaultCommand::Rm(remove) => remove::run(remove),
        FaultCommand::Ls(list) => list::run(list),
    }
}

/// Reads the item of one fault.
fn read(client: &Client, target: &Target) -> Result<views::Fault, Stop> {
    let item: Value = client.read(target)?;
    views::Fault::read(&item).ok_or_else(|| client.stranger())
}

/// `undo` with a flag for a key and its value; none where no flag can say it.
fn with_key(undo: Undo, key: &str, value: &Value) -> Option<Undo> {
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Bool(_) | Value::Number(_) => value.to_string(),
        _ => return None,
    };
    Some(undo.with(&format!("--{}", flags::kebab(key)), &text))
}
