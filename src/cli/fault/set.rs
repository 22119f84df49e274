//! `fault set ROUTE FAULT …`: change what is given, keep the rest.

use clap::{ArgMatches, Args, Command, FromArgMatches};
use hyper::Method;
use serde_json::{Map, Value, json};

use super::flags::{self, Typed};
use crate::cli::client::{Client, ClientFlags};
use crate::cli::stop::Stop;
use crate::cli::target::Target;
use crate::cli::undo::{Undo, told};
use crate::cli::views;
use crate::spec::text::shown;

#[derive(Debug, Args)]
pub(crate) struct Set {
    /// The route
    #[arg(value_name = "ROUTE")]
    route: String,
    /// The fault's name
    #[arg(value_name = "FAULT")]
    fault: String,
    #[command(flatten)]
    client: ClientFlags,
    #[command(flatten)]
    changes: Changes,
}

/// The keys to change, with their new values.
#[derive(Clone, Debug, Default)]
struct Changes(Typed);

/// Changes a fault.
pub(super) fn run(set: &Set) -> Result<String, Stop> {
    if set.changes.0.is_empty() {
        return Err(Stop::wrong(
            "error: nothing to change\nhelp: give what is to be another, such as --enabled false",
        ));
    }
    let client = Client::new(&set.client)?;
    let target = Target::fault(&set.route, &set.fault);
    let old = super::read(&client, &target)?;
    let keys: Map<String, Value> = set
        .changes
        .0
        .iter()
        .map(|(key, text)| {
            // What a fault may do without is taken away by this word.
            let value = if text == "none" { Value::Null } else { flags::value(&old.word, key, text) };
            ((*key).to_owned(), value)
        })
        .collect();
    let reply = client.ask(Method::PATCH, &target, Some(&json!({ old.word.as_str(): keys })))?;
    if client.json {
        return Ok(reply.line());
    }
    let item: Value = client.understand(&reply)?;
    let new = views::Fault::read(&item).ok_or_else(|| client.stranger())?;
    let done = format!("{}: changed {}{}", shown(&set.route), new.told(), new.lasts());
    Ok(told(&done, undo(&client, set, &old).as_ref()))
}

/// What sets each of these keys to what it was; none where that cannot be said.
fn undo(client: &Client, set: &Set, old: &views::Fault) -> Option<Undo> {
    // What was not there and has no default is taken away again.
    let nothing = Value::from("none");
    let mut undo = client.undo(["fault", "set", &set.route, &set.fault]);
    for (key, _) in &set.changes.0 {
        let default = || flags::property(&old.word, key)?.default.as_ref();
        undo = super::with_key(undo, key, old.body.get(*key).or_else(default).unwrap_or(&nothing))?;
    }
    Some(undo)
}

impl Args for Changes {
    fn augment_args(command: Command) -> Command {
        flags::add(command, flags::of_all())
    }

    fn augment_args_for_update(command: Command) -> Command {
        Changes::augment_args(command)
    }
}

impl FromArgMatches for Changes {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Changes, clap::Error> {
        Ok(Changes(flags::typed(matches, flags::of_all())))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Changes::from_arg_matches(matches)?;
        Ok(())
    }
}
