//! `fault ls [ROUTE]`.

use clap::Args;

use crate::cli::client::{Client, ClientFlags};
use crate::cli::stop::Stop;
use crate::cli::table::table;
use crate::cli::target::Target;
use crate::cli::views::{Fault, Faults, Routes};
use crate::spec::text::shown;

#[derive(Debug, Args)]
pub(crate) struct List {
    /// Only those of this route
    #[arg(value_name = "ROUTE")]
    route: Option<String>,
    #[command(flatten)]
    client: ClientFlags,
}

/// Lists faults.
pub(super) fn run(list: &List) -> Result<String, Stop> {
    let client = Client::new(&list.client)?;
    let target = list.route.as_deref().map_or_else(|| Target::new("/v1/routes"), Target::faults);
    let reply = client.get(&target)?;
    if client.json {
        return Ok(reply.line());
    }
    let mut rows = Vec::new();
    if let Some(route) = &list.route {
        let Faults { faults } = client.understand(&reply)?;
        rows.extend(faults.iter().filter_map(|item| row(route, item)));
    } else {
        let Routes { routes } = client.understand(&reply)?;
        for route in &routes {
            rows.extend(route.faults.iter().filter_map(|item| row(&route.name, item)));
        }
    }
    Ok(table(["ROUTE", "FAULT", "WHAT", "FIRED", "UNTIL"], rows, "no faults"))
}

fn row(route: &str, item: &serde_json::Value) -> Option<[String; 5]> {
    let fault = Fault::read(item)?;
    let until = fault.state.expires_at.as_deref().map(crate::cli::events::time_of_day).unwrap_or_default();
    let [route, name] = [route, fault.name()].map(|name| shown(name).into_owned());
    Some([route, name, fault.brief(), fault.state.fired.to_string(), until])
}
