//! `fault add|set|rm|ls`: break a running daemon, and mend it.

mod add;
mod flags;
mod list;
mod remove;
mod set;

pub(super) use add::{with_effects, with_flags};
use clap::Subcommand;
use serde_json::Value;

use super::client::Client;
use super::stop::Stop;
use super::target::Target;
use super::undo::Undo;
use super::views;

// What each takes is made from the schema of all faults, which a daemon that starts has no use for.
#[derive(Debug, Subcommand)]
#[command(defer = true)]
pub(super) enum FaultCommand {
    /// Add a fault to a route
    Add(add::Add),
    /// Change some keys of a fault; `none` takes one away
    #[command(
        after_help = "Examples:\n  chaos-proxy fault set db latency --delay 80ms --jitter none\n  chaos-proxy fault set db latency --enabled false\n\n`chaos-proxy fault add db EFFECT --help` says more of the flags of an effect."
    )]
    Set(set::Set),
    /// Take a fault away; what it held leaves at once
    #[command(after_help = "Example:\n  chaos-proxy fault rm db latency")]
    Rm(remove::Remove),
    /// List the faults of one route, or of all
    #[command(after_help = "Example:\n  chaos-proxy fault ls db")]
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
