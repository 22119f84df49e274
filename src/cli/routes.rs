//! `routes`: what a running daemon does, and to whom.

use super::client::{Client, ClientFlags};
use super::health;
use super::stop::Stop;
use super::table::table;
use super::target::Target;
use super::views::{Route, Routes};
use crate::spec::text::shown;

/// Shows the routes.
pub(super) fn run(flags: &ClientFlags) -> Result<String, Stop> {
    let client = Client::new(flags)?;
    let reply = client.get(&Target::new("/v1/routes"))?;
    if client.json {
        return Ok(reply.line());
    }
    let Routes { routes } = client.understand(&reply)?;
    let row = |route: &Route| {
        let name = shown(&route.name).into_owned();
        let health = health::cell(&route.state.endpoints);
        [name, route.listen(), route.upstream(), route.faults(), route.connections(), health]
    };
    let rows = routes.iter().map(row).collect();
    Ok(table(["ROUTE", "LISTEN", "UPSTREAM", "FAULTS", "CONNS", "HEALTH"], rows, "no routes"))
}
