//! `healthcheck`: is the daemon ready? Quick and silent, as a container's HEALTHCHECK wants it.

use std::time::Duration;

use clap::Args;
use hyper::{Method, StatusCode};

use super::client::{Client, ClientFlags, Patience};
use super::stop::Stop;
use super::target::Target;
use crate::spec::text::shown_short;

/// A probe that waits is no probe.
const LIMIT: Duration = Duration::from_secs(2);

#[derive(Debug, Args)]
pub(super) struct Healthcheck {
    /// Where the daemon is [env: CHAOS_PROXY_URL] [default: http://127.0.0.1:8474]
    #[arg(long, value_name = "URL")]
    url: Option<String>,
    /// Say that it is ready as JSON
    #[arg(long)]
    json: bool,
}

/// Says nothing if all is well, else why not.
pub(super) fn run(what: &Healthcheck) -> Result<String, Stop> {
    // It answers on its own behalf, whoever reads it: nobody is told whom it asks.
    let flags = ClientFlags { url: what.url.clone(), json: true };
    let client = Client::anonymous(&flags, Patience { connect: LIMIT, answer: LIMIT })?;
    let reply = client.exchange(Method::GET, &Target::new("/readyz"), None)?;
    if reply.status.is_success() {
        return Ok(if what.json { "{\"ready\":true}\n".to_owned() } else { String::new() });
    }
    if reply.status != StatusCode::SERVICE_UNAVAILABLE {
        return Err(Stop::failed(format!("{} (it said {})", client.stranger().why, reply.status)));
    }
    let why = String::from_utf8_lossy(&reply.body);
    Err(Stop::failed(format!("not ready: {}", shown_short(why.trim(), 200))))
}
