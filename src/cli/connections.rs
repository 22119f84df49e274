//! `connections`: what is open on a running daemon, and the end of one of it.

use std::time::Duration;

use clap::{Args, ValueEnum};
use hyper::Method;
use serde::Deserialize;
use serde_json::{Value, json};

use super::client::{Client, ClientFlags, Reply};
use super::stop::Stop;
use super::table::table;
use super::target::Target;
use crate::observe::escape_beyond_json;
use crate::observe::text::{size, span};
use crate::spec::text::shown;

#[derive(Debug, Args)]
pub(super) struct Connections {
    /// Only those of this route
    #[arg(long, value_name = "ROUTE")]
    route: Option<String>,
    /// End the connection of this ID
    #[arg(long, value_name = "ID", conflicts_with = "route")]
    end: Option<u64>,
    /// How to end it: by FIN or by RST
    #[arg(long, value_name = "HOW", default_value = "close", requires = "end")]
    how: How,
    #[command(flatten)]
    client: ClientFlags,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum How {
    Close,
    Reset,
}

#[derive(Deserialize)]
struct Page {
    connections: Vec<Value>,
    #[serde(default)]
    next: Option<u64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Connection {
    id: u64,
    route: String,
    connection: u64,
    client: String,
    #[serde(default)]
    upstream: Option<String>,
    #[serde(default)]
    age_ms: f64,
    #[serde(default)]
    bytes: Bytes,
    #[serde(default)]
    faults: Vec<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Bytes {
    upstream: u64,
    downstream: u64,
}

/// Lists what is open, or ends one. Several pages of JSON become one.
pub(super) fn run(what: &Connections) -> Result<String, Stop> {
    let client = Client::new(&what.client)?;
    if let Some(id) = what.end {
        return end(&client, id, what.how);
    }
    let (all, only) = gather(&client, what.route.as_deref())?;
    if let (true, Some(reply)) = (client.json, only) {
        return Ok(reply.line());
    }
    if client.json {
        let whole = json!({"connections": all, "next": null}).to_string();
        return Ok(escape_beyond_json(whole) + "\n");
    }
    let mut rows = Vec::new();
    for connection in all {
        let connection: Connection = serde_json::from_value(connection).map_err(|_| client.stranger())?;
        rows.push(row(&connection));
    }
    let head = ["ROUTE", "#", "ID", "CLIENT", "UPSTREAM", "AGE", "UP", "DOWN", "FAULTS FIRED"];
    Ok(table(head, rows, "no connections"))
}

/// Follows the pages to the last. With what they hold comes the reply, if it was only one.
fn gather(client: &Client, route: Option<&str>) -> Result<(Vec<Value>, Option<Reply>), Stop> {
    let (mut all, mut after) = (Vec::new(), None);
    loop {
        let mut target = Target::new("/v1/connections");
        if let Some(route) = route {
            target = target.only(route);
        }
        if let Some(id) = after {
            target = target.with("after", &u64::to_string(&id));
        }
        let reply = client.get(&target)?;
        let page: Page = client.understand(&reply)?;
        all.extend(page.connections);
        match page.next {
            // A page that leads back would never end.
            Some(next) if after.is_none_or(|after| next > after) => after = Some(next),
            _ => return Ok((all, after.is_none().then_some(reply))),
        }
    }
}

fn row(of: &Connection) -> [String; 9] {
    let age = Duration::try_from_secs_f64(of.age_ms / 1000.0).unwrap_or_default();
    let fired: Vec<_> = of.faults.iter().map(|fault| shown(fault)).collect();
    [
        shown(&of.route).into_owned(),
        of.connection.to_string(),
        of.id.to_string(),
        shown(&of.client).into_owned(),
        of.upstream.as_deref().map_or_else(|| "–".to_owned(), |upstream| shown(upstream).into_owned()),
        span(age),
        size(of.bytes.upstream),
        size(of.bytes.downstream),
        fired.join(", "),
    ]
}

fn end(client: &Client, id: u64, how: How) -> Result<String, Stop> {
    let (how, done) = match how {
        How::Close => ("close", "told to close"),
        How::Reset => ("reset", "reset"),
    };
    let target = Target::new("/v1/connections").then(&id.to_string()).with("how", how);
    let reply = client.ask(Method::DELETE, &target, None)?;
    Ok(if client.json { reply.line() } else { format!("connection {id}: {done}\n") })
}
