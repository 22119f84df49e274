//! `open` and `close`: whether a route listens, and what becomes of its connections.

use clap::Args;
use clap::builder::PossibleValuesParser;
use hyper::Method;
use serde::Deserialize;
use serde_json::json;

use super::client::{Client, ClientFlags};
use super::stop::Stop;
use super::target::Target;
use super::undo::told;
use super::views::Route;
use crate::daemon::Live;
use crate::observe::text::count;
use crate::spec::text::shown;

#[derive(Debug, Args)]
pub(super) struct Open {
    /// The route
    #[arg(value_name = "ROUTE")]
    route: String,
    #[command(flatten)]
    client: ClientFlags,
}

#[derive(Debug, Args)]
pub(super) struct Close {
    /// The route
    #[arg(value_name = "ROUTE")]
    route: String,
    /// What becomes of the connections that are open: they go on, end by FIN, or end by RST
    #[arg(long, value_name = "HOW", default_value = "close", value_parser = PossibleValuesParser::new(Live::WORDS))]
    connections: String,
    #[command(flatten)]
    client: ClientFlags,
}

#[derive(Deserialize)]
struct Moved {
    #[serde(default)]
    ended: u64,
    route: Route,
}

/// Lets a route listen.
pub(super) fn open(open: &Open) -> Result<String, Stop> {
    let client = Client::new(&open.client)?;
    let reply = client.ask(Method::POST, &Target::route(&open.route).then("open"), None)?;
    if client.json {
        return Ok(reply.line());
    }
    let Moved { route, .. } = client.understand(&reply)?;
    let done = format!("{}: open, listens on {}", shown(&route.name), route.listen());
    Ok(told(&done, Some(&client.undo(["close", &open.route]))))
}

/// Stops a route from listening.
pub(super) fn close(close: &Close) -> Result<String, Stop> {
    let client = Client::new(&close.client)?;
    let target = Target::route(&close.route).then("close");
    let reply = client.ask(Method::POST, &target, Some(&json!({"connections": close.connections})))?;
    if client.json {
        return Ok(reply.line());
    }
    let Moved { ended, route } = client.understand(&reply)?;
    // clap has let only these words pass.
    let ended = match Live::named(&close.connections).unwrap_or_default() {
        Live::Keep => match route.state.connections {
            0 => "no connection was open".to_owned(),
            1 => "1 connection goes on".to_owned(),
            kept => format!("{} go on", count(kept, "connection")),
        },
        _ if ended == 0 => "no connection was open".to_owned(),
        Live::Close | Live::CloseMoved | Live::Drain => format!("{} closed", count(ended, "connection")),
        Live::Reset => format!("{} reset", count(ended, "connection")),
    };
    let done = format!("{}: closed; {ended}", shown(&route.name));
    Ok(told(&done, Some(&client.undo(["open", &close.route]))))
}
