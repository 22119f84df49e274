//! The configuration: located tree → [`Document`] (as typed) → [`Config`] (as meant).
//!
//! This module composes what the other modules specify of themselves (a route, a fault, a log) into one document, and
//! holds the parts against each other. It reads no name service and binds nothing: whether a host exists or a port is
//! free is for others to find out.

mod admin;
#[cfg(test)]
mod against_serde_yaml;
mod aim;
pub mod body;
mod builder;
mod by_hand;
mod bytes;
mod circles;
mod crosscheck;
mod de;
mod de_access;
mod de_error;
mod diff;
mod document;
mod file;
mod full;
mod json;
mod meaning;
mod origin;
mod overrides;
mod patch;
mod proxies;
mod refused;
mod scalar;
mod sheet;
mod substitute;
mod tree;
mod unknown_key;
mod watch;
mod yaml;
mod yaml_errors;

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

pub use admin::{AdminFull, AdminSpec, HostName, Listen};
pub use body::BodyError;
pub use diff::{Change, changes};
pub(crate) use document::scenario_key;
pub use document::{Document, Typed};
pub(crate) use file::read as read_bytes;
pub(crate) use meaning::MAX_FAULTS;
pub use origin::Origin;
pub use overrides::Overrides;
pub use refused::{Problem, Refused};
pub(crate) use scalar::to_json as scalar_to_json;
pub(crate) use sheet::Sheet;
pub use substitute::{Env, literal};
pub(crate) use tree::MAX_TEXT;
pub use watch::Watch;

use crate::observe::LogConfig;
use crate::route::{Bind, RouteConfig};
use crate::spec::Allowed;

/// A whole configuration as it is meant: complete, valid, and free of places.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// Left out: drawn at start.
    pub seed: Option<u64>,
    /// The default address of every route.
    pub bind: Bind,
    /// Where the control API listens.
    pub admin: Admin,
    /// What is logged, and how.
    pub log: LogConfig,
    /// How the daemon stops.
    pub drain: Drain,
    /// A statistics line per route this often; left out: none.
    pub stats_interval: Option<Duration>,
    /// Where the control API may point a route, beside what is written here. Left out: everywhere but to link-local
    /// addresses.
    pub allowed_upstreams: Option<Vec<Allowed>>,
    /// In the order of the file.
    pub routes: Vec<RouteConfig>,
}

/// Where the control API listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Admin {
    /// Nowhere.
    Off,
    /// The address nobody asked for by name: 127.0.0.1:8474.
    Default,
    /// The address asked for, with the file that holds its token and the names it answers to.
    On {
        /// The address.
        listen: SocketAddr,
        /// The file with the token.
        token_file: Option<std::path::PathBuf>,
        /// Further names allowed in `Host`.
        allowed_hosts: Vec<String>,
    },
}

/// How the daemon stops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Drain {
    /// What is left after this time is reset.
    pub timeout: Duration,
    /// Keep accepting this long after the signal.
    pub pre_delay: Duration,
    /// While draining, a connection silent this long which holds no byte is closed as finished.
    pub idle: Option<Duration>,
}

impl Default for Drain {
    fn default() -> Drain {
        Drain { timeout: Duration::from_secs(25), pre_delay: Duration::ZERO, idle: None }
    }
}

impl Default for Config {
    /// Every default, and no route.
    fn default() -> Config {
        Config {
            seed: None,
            bind: Bind::Ip(std::net::Ipv4Addr::LOCALHOST.into()),
            admin: Admin::Default,
            log: LogConfig::default(),
            drain: Drain::default(),
            stats_interval: None,
            allowed_upstreams: None,
            routes: Vec::new(),
        }
    }
}

impl Config {
    /// The route of this name.
    pub fn route(&self, name: &str) -> Option<&RouteConfig> {
        self.routes.iter().find(|route| *route.name == *name)
    }

    /// The same, to be changed.
    pub fn route_mut(&mut self, name: &str) -> Option<&mut RouteConfig> {
        self.routes.iter_mut().find(|route| *route.name == *name)
    }
}

/// Reads a file, once, at most 1 MiB of it, and never waiting for it.
pub fn read(path: &Path, env: Env<'_>) -> Result<Typed, Refused> {
    Sheet::open(path, env).map(Document::from_sheet)
}

/// Reads and checks a file.
pub fn load(path: &Path, env: Env<'_>) -> Result<Config, Refused> {
    read(path, env)?.mean()
}

/// Checks a document that is called `name` in messages.
pub fn parse(text: &[u8], name: &str, env: Env<'_>) -> Result<Config, Refused> {
    Document::read(text, name, env).map_err(Refused::from)?.mean()
}

impl Typed {
    /// What it means, or everything that is wrong with it.
    pub fn mean(self) -> Result<Config, Refused> {
        meaning::config(self).map_err(Refused::from)
    }
}

impl Config {
    /// The configuration that a text of this program's own says; nothing is substituted in it.
    pub fn from_text(text: &str) -> Result<Config, Refused> {
        parse(text.as_bytes(), "text", &|_| None)
    }
}
