//! `fault rm ROUTE FAULT`.

use clap::Args;
use hyper::Method;

use super::flags;
use crate::cli::client::{Client, ClientFlags};
use crate::cli::stop::Stop;
use crate::cli::target::Target;
use crate::cli::undo::{Undo, told};
use crate::cli::views::{self, Faults};
use crate::spec::text::shown;

#[derive(Debug, Args)]
pub(crate) struct Remove {
    /// The route
    #[arg(value_name = "ROUTE")]
    route: String,
    /// The fault's name
    #[arg(value_name = "FAULT")]
    fault: String,
    #[command(flatten)]
    client: ClientFlags,
}

/// Takes a fault away.
pub(super) fn run(remove: &Remove) -> Result<String, Stop> {
    let client = Client::new(&remove.client)?;
    let target = Target::fault(&remove.route, &remove.fault);
    if client.json {
        return Ok(client.ask(Method::DELETE, &target, None)?.line());
    }
    // What it was, so that it can be told how to have it again.
    let before: Faults = client.read(&Target::faults(&remove.route))?;
    client.ask(Method::DELETE, &target, None)?;
    let done = format!("{}: removed {}", shown(&remove.route), shown(&remove.fault));
    Ok(told(&done, undo(&client, remove, &before).as_ref()))
}

/// What adds it again at its place; none where flags cannot say it.
fn undo(client: &Client, remove: &Remove, before: &Faults) -> Option<Undo> {
    let views: Vec<views::Fault> = before.faults.iter().map(views::Fault::read).collect::<Option<_>>()?;
    let place = views.iter().position(|fault| fault.name() == remove.fault)?;
    let fault = views.get(place)?;
    let mut undo = client.undo(["fault", "add", &remove.route, &fault.word]);
    for (key, value) in &fault.body {
        let default = flags::property(&fault.word, key)?.default.as_ref();
        let by_itself = key == "name" && value.as_str() == Some(&fault.word);
        if default != Some(value) && !by_itself {
            undo = super::with_key(undo, key, value)?;
        }
    }
    let last = place + 1 == views.len();
    Some(if last { undo } else { undo.with("--at", &place.to_string()) })
}
