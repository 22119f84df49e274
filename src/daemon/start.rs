//! Starting: all routes listen, or none does.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use rand::TryRng;
use rand::rngs::SysRng;
use thiserror::Error;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::Daemon;
use super::handle::{Handle, OpenRoute};
use crate::config::Config;
use crate::fault::dice::Dice;
use crate::observe::{By, Emitter, Fact};
use crate::relay::Stop;
use crate::route::{Bind, Budget, Common, Listener, LocalPort, Route, RouteConfig};

/// How often warnings that were only counted are told.
const FOLDED_EVERY: Duration = Duration::from_secs(5);

/// Why a daemon did not start. Nothing is left listening.
#[derive(Debug, Error)]
pub enum StartError {
    /// These routes could not listen.
    #[error("{}", lines(.0))]
    Bind(Vec<BindFailure>),
    /// There is no room for a single connection a route.
    #[error("the limit of open files is too low to serve a connection on each route: raise it (ulimit -n)")]
    Descriptors,
    /// The system gave no random seed.
    #[error("the system gave no random seed; write one in the configuration (seed: 1)")]
    Seed,
}

/// A route that could not listen.
#[derive(Debug)]
pub struct BindFailure {
    /// Its name.
    pub route: Arc<str>,
    /// Where it should have listened.
    pub address: String,
    /// What the system said.
    pub error: io::Error,
}

impl fmt::Display for BindFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let BindFailure { route, address, error } = self;
        let route = crate::spec::text::shown(route);
        write!(f, "route `{route}` cannot listen on {address}: {error}")?;
        match error.kind() {
            io::ErrorKind::AddrInUse => {
                write!(f, "; another program has the port, or write `localPort: auto`")
            }
            io::ErrorKind::AddrNotAvailable => write!(f, "; this machine does not have the address"),
            io::ErrorKind::PermissionDenied => write!(f, "; ports below 1024 need a privilege"),
            _ => Ok(()),
        }
    }
}

fn lines(failures: &[BindFailure]) -> String {
    failures.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

impl Daemon {
    /// Starts every enabled route of a configuration. Needs a tokio runtime with its I/O and time enabled.
    pub async fn start(config: Config) -> Result<Handle, StartError> {
        let seed = match config.seed {
            Some(seed) => seed,
            None => SysRng.try_next_u64().map_err(|_| StartError::Seed)?,
        };
        crate::route::raise_limit();
        let listeners = bind_all(&config.routes)?;
        let common = Common {
            dice: Dice::new(seed),
            emitter: Emitter::default(),
            budget: Budget::of_process(listeners.iter().flatten().count()).ok_or(StartError::Descriptors)?,
            ids: Arc::new(AtomicU64::new(0)),
            connections: TaskTracker::new(),
            stop: Stop::default(),
            generation: Arc::new(AtomicU64::new(1)),
            cut: Arc::default(),
            drain_idle: config.drain.idle,
        };
        let closing = CancellationToken::new();
        let listening = TaskTracker::new();
        common.emitter.emit(Fact::ConfigApplied { generation: 1, seed, by: By::Start });
        let mut routes = Vec::with_capacity(config.routes.len());
        let mut open = Vec::with_capacity(config.routes.len());
        for (config, listener) in config.routes.into_iter().zip(listeners) {
            let route = Route::new(config, &common);
            let address = listener.as_ref().map(Listener::address);
            if let Some(listen) = address {
                common.emitter.emit(Fact::RouteOpened {
                    route: route.config.name.clone(),
                    listen,
                    upstream: route.upstream_text().clone(),
                    at_start: true,
                });
            }
            open.extend(listener.map(|listener| (route.clone(), listener)));
            routes.push(OpenRoute { route, address });
        }
        for (route, listener) in open {
            listening.spawn(route.listen(listener, common.clone(), closing.child_token()));
        }
        let expiring: Vec<Arc<Route>> = routes.iter().map(|open| open.route.clone()).collect();
        let theirs = common.clone();
        let handle = Handle::new(seed, routes, common, closing, listening, config.drain);
        for route in expiring {
            handle.while_running(route.expire_faults(theirs.clone()));
        }
        handle.every(FOLDED_EVERY, |shared| shared.common.emitter.tell_folded(false));
        if let Some(interval) = config.stats_interval {
            handle.every(interval, super::handle::Shared::tell_stats);
        }
        Ok(handle)
    }
}

/// Binds every enabled route; on any failure nothing stays bound.
fn bind_all(routes: &[RouteConfig]) -> Result<Vec<Option<Listener>>, StartError> {
    let mut listeners: Vec<Option<Listener>> = routes.iter().map(|_| None).collect();
    let mut failures = Vec::new();
    // Those that want a certain port come first: what the system chooses must not be one of theirs.
    let fixed = |route: &RouteConfig| matches!(route.local_port, LocalPort::Fixed(_));
    for wants_fixed in [true, false] {
        for (route, listener) in routes.iter().zip(&mut listeners) {
            if !route.enabled || fixed(route) != wants_fixed {
                continue;
            }
            match Listener::bind(route.bind, route.local_port) {
                Ok(bound) => *listener = Some(bound),
                Err(error) => {
                    failures.push(BindFailure { route: route.name.clone(), address: wanted(route), error });
                }
            }
        }
    }
    if failures.is_empty() { Ok(listeners) } else { Err(StartError::Bind(failures)) }
}

fn wanted(route: &RouteConfig) -> String {
    let port = match route.local_port {
        LocalPort::Auto => 0,
        LocalPort::Fixed(port) => port,
    };
    match route.bind {
        Bind::Any => format!("*:{port}"),
        Bind::Ip(ip) => std::net::SocketAddr::new(ip, port).to_string(),
    }
}
