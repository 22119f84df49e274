//! Starting: all routes listen, or none does.

use std::fmt;
use std::io;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use thiserror::Error;
use tokio_util::task::TaskTracker;

use super::apply::apply;
use super::shared::Shared;
use super::{ControlError, Daemon, Handle, Live, permit};
use crate::config::{Config, Origin, Refused};
use crate::fault::dice::Dice;
use crate::observe::{By, Emitter, Fact};
use crate::relay::{Pipes, Stop};
use crate::route::{Budget, Common};
use crate::upstream::{Dialer, Resolver};

/// How often warnings that were only counted are told.
const FOLDED_EVERY: Duration = Duration::from_secs(5);

/// Why a daemon did not start. Nothing is left listening.
#[derive(Debug, Error)]
pub enum StartError {
    /// These routes could not listen.
    #[error("{}", lines(.0))]
    Bind(Arc<[BindFailure]>),
    /// There is no room for a single connection a route.
    #[error("the limit of open files is too low to serve a connection on each route: raise it (ulimit -n)")]
    Descriptors,
    /// The configuration was put together wrongly.
    #[error("{0}")]
    Config(Arc<Refused>),
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

pub(super) fn lines(failures: &[BindFailure]) -> String {
    failures.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

impl Daemon {
    /// Starts every enabled route of a configuration. Needs a tokio runtime with its I/O and time enabled.
    pub async fn start(config: Config) -> Result<Handle, StartError> {
        Self::start_from(config, None).await
    }

    /// The same with the place where the configuration was read, and can be read again.
    pub async fn start_from(config: Config, origin: Option<Origin>) -> Result<Handle, StartError> {
        // What was read has been checked: to say where something is wrong there.
        let made_by_hand = origin.is_none();
        if made_by_hand {
            config.check().map_err(|refused| StartError::Config(Arc::new(refused)))?;
        }
        let seed = match config.seed {
            Some(seed) => seed,
            None => drawn_seed().ok_or(StartError::Seed)?,
        };
        crate::route::raise_limit();
        let budget = Budget::of_process();
        let common = Common {
            dice: Dice::new(seed),
            emitter: Emitter::default(),
            pipes: Pipes::new(budget.pipes()),
            dialer: Dialer::new(Resolver::system()).drawing_on(Arc::new(budget.clone())),
            budget,
            ids: Arc::new(AtomicU64::new(0)),
            connections: TaskTracker::new(),
            stop: Stop { idle: Arc::new(Mutex::new(config.drain.idle)), ..Stop::default() },
            generation: Arc::new(AtomicU64::new(1)),
            ended: Arc::default(),
            cut: Arc::default(),
        };
        let nothing = Config { routes: Vec::new(), ..config.clone() };
        let shared = Arc::new(Shared::new(seed, common, origin, nothing.clone(), config.clone()));
        let started = {
            let mut state = shared.state.lock().await;
            permit::open(&shared, &nothing, &config, &config, By::Start);
            apply(&shared, &mut state, &nothing, config, By::Start, Live::Drain).await
        };
        started.map_err(|error| match error {
            ControlError::Bind(failures) => StartError::Bind(failures),
            _ => StartError::Descriptors,
        })?;
        shared.common.emitter.emit(Fact::ConfigApplied {
            generation: 1,
            seed,
            by: By::Start,
            changes: Arc::default(),
        });
        let handle = Handle { shared };
        handle.every(FOLDED_EVERY, |shared| shared.common.emitter.tell_folded(false));
        handle.tell_stats_regularly();
        Ok(handle)
    }
}

/// A seed that nobody wrote. The kernel itself is asked: the usual way finds the system's function by name, which a
/// static program cannot, and then reads a device, which an empty root does not have.
#[cfg(target_os = "linux")]
fn drawn_seed() -> Option<u64> {
    let mut seed = [0; size_of::<u64>()];
    let filled = rustix::rand::getrandom(&mut seed, rustix::rand::GetRandomFlags::empty()).ok()?;
    (filled == seed.len()).then(|| u64::from_ne_bytes(seed))
}

/// A seed that nobody wrote.
#[cfg(not(target_os = "linux"))]
fn drawn_seed() -> Option<u64> {
    rand::TryRng::try_next_u64(&mut rand::rngs::SysRng).ok()
}
