//! `Control`: the one way to change a running daemon.
//!
//! Every change is checked whole and applied whole, one after the other, raises the generation and is told as an event. It
//! never waits for data: whatever state connections are in, a call returns at once.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime};

use thiserror::Error;

use super::apply::apply;
use super::shared::{Shared, State};
use super::start::{BindFailure, lines};
use crate::config::{self, Admin, BodyError, Change, Config, Refused};
use crate::fault::{Fault, How};
use crate::observe::{By, Emitter, Fact, Format, log};
use crate::relay::Dismissal;
use crate::route::{ConnectionView, Route};

/// Looks at a running daemon and changes it. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Control {
    pub(super) shared: Arc<Shared>,
}

/// Why a change was refused. Nothing of it was applied.
#[derive(Clone, Debug, Error)]
pub enum ControlError {
    /// There is no such route.
    #[error("there is no route `{0}`")]
    NoRoute(String),
    /// There is no such fault.
    #[error("route `{route}` has no fault `{fault}`")]
    NoFault {
        /// The route.
        route: String,
        /// The fault.
        fault: String,
    },
    /// Two faults of a route cannot have one name.
    #[error("route `{route}` has a fault `{fault}` already")]
    FaultExists {
        /// The route.
        route: String,
        /// The fault.
        fault: String,
    },
    /// The daemon is stopping.
    #[error("the daemon is draining")]
    Draining,
    /// A body was refused.
    #[error(transparent)]
    Body(Arc<BodyError>),
    /// The file was refused.
    #[error("{}", .0.brief())]
    File(Arc<Refused>),
    /// There is no file to read again.
    #[error("{0}")]
    NoFile(&'static str),
    /// A route could not listen.
    #[error("{}", lines(.0))]
    Bind(Arc<[BindFailure]>),
    /// It cannot change while the daemon runs.
    #[error("`{0}` cannot change while the daemon runs: it needs a restart")]
    NeedsRestart(&'static str),
    /// The parts of what was asked for do not go together.
    #[error("{}", .0.brief())]
    Refused(Arc<Refused>),
    /// There is no room for one more route.
    #[error("the limit of open files leaves no room for another route: raise it (ulimit -n)")]
    Descriptors,
    /// The change could not be carried out.
    #[error("the change was broken off")]
    Broken,
    /// What was to be changed is not any more what the caller saw.
    #[error("it was changed meanwhile")]
    Precondition,
}

/// What a change came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Applied {
    /// The generation now in force.
    pub generation: u64,
    /// What changed, in words; empty: nothing did, and the generation is the one it was.
    pub changes: Vec<String>,
    /// Of these, what undoes an earlier change that did not come from the file.
    pub undone: Vec<String>,
    /// How many connections were told to end.
    pub ended: u64,
}

/// What becomes of the live connections of a route that stops listening.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "camelCase")]
pub enum Live {
    /// They go on.
    Keep,
    /// They end by FIN.
    #[default]
    Close,
    /// They end by RST.
    Reset,
    /// They finish, and are reset when that takes longer than a drain may.
    #[serde(skip)]
    Drain,
}

/// How the daemon is.
#[derive(Clone, Debug)]
pub struct Status {
    /// The number of the configuration in force.
    pub generation: u64,
    /// The seed in force.
    pub seed: u64,
    /// When it started.
    pub started: SystemTime,
    /// How long ago that was.
    pub uptime: Duration,
    /// Whether every enabled route listens and the daemon is not stopping.
    pub ready: bool,
    /// Whether it is stopping.
    pub draining: bool,
}

impl Control {
    /// The number of the configuration in force.
    pub fn generation(&self) -> u64 {
        self.shared.generation()
    }

    /// How the daemon is.
    pub fn status(&self) -> Status {
        let shared = &self.shared;
        let (started, began) = shared.started;
        let draining = shared.is_draining();
        Status {
            generation: self.generation(),
            seed: shared.seed,
            started,
            uptime: began.elapsed(),
            ready: !draining && shared.routes().iter().all(|route| route.is_as_configured()),
            draining,
        }
    }

    /// The configuration in force.
    pub async fn config(&self) -> Config {
        let state = self.shared.state.lock().await;
        self.shared.config(&state)
    }

    /// The routes, in their order.
    pub fn routes(&self) -> Vec<Arc<Route>> {
        self.shared.routes().to_vec()
    }

    /// One route.
    pub fn route(&self, name: &str) -> Result<Arc<Route>, ControlError> {
        let routes = self.shared.routes();
        let found = routes.iter().find(|route| **route.name() == *name);
        found.cloned().ok_or_else(|| ControlError::NoRoute(name.to_owned()))
    }

    /// Whom facts are told: to hear what happens.
    pub fn emitter(&self) -> &Emitter {
        &self.shared.common.emitter
    }

    /// How many connections there may be to the control API.
    pub fn places(&self) -> usize {
        self.shared.common.budget.control()
    }

    /// The live connections, of one route or of all, by id. Those of a route that was removed are among them.
    pub fn connections(&self, of: Option<&str>) -> Result<Vec<ConnectionView>, ControlError> {
        let mut routes = self.shared.all_routes();
        if let Some(name) = of {
            routes.retain(|route| **route.name() == *name);
            if routes.is_empty() {
                return Err(ControlError::NoRoute(name.to_owned()));
            }
        }
        let mut connections: Vec<_> = routes.iter().flat_map(|route| route.connections()).collect();
        connections.sort_unstable_by_key(|connection| connection.id);
        Ok(connections)
    }

    /// Ends a live connection; false: there is none of this id.
    pub fn end_connection(&self, id: u64, how: How) -> bool {
        self.shared.all_routes().iter().any(|route| route.dismiss(id, dismissal(how)))
    }

    /// Ends all live connections of a route, and says how many.
    pub fn end_connections(&self, route: &str, how: How) -> Result<u64, ControlError> {
        Ok(self.route(route)?.dismiss_all(dismissal(how)))
    }

    /// Every change goes through here: `edit` is given the configuration in force and changes it, while nobody else does.
    /// What it made is checked whole and applied whole; `live` says what becomes of the connections of a route that does not
    /// listen any more. Once begun it is carried out, also if the caller has gone.
    pub async fn edit<T: Send + 'static>(
        &self,
        by: By,
        live: Live,
        edit: impl FnOnce(&mut Config) -> Result<T, ControlError> + Send + 'static,
    ) -> Result<(T, Applied), ControlError> {
        let shared = self.shared.clone();
        let work = async move {
            let mut state = shared.state.lock().await;
            let old = shared.config(&state);
            let mut new = old.clone();
            let value = edit(&mut new)?;
            let applied = put(&shared, &mut state, &old, new, by, live).await?;
            Ok((value, applied))
        };
        tokio::spawn(work).await.unwrap_or(Err(ControlError::Broken))
    }

    /// What putting this configuration in force would change.
    pub async fn check(&self, config: Config) -> Result<Vec<String>, ControlError> {
        let state = self.shared.state.lock().await;
        let old = self.shared.config(&state);
        let new = as_it_runs(&old, config)?;
        new.check().map_err(|refused| ControlError::Refused(Arc::new(refused)))?;
        Ok(texts(&config::changes(&old, &new)))
    }

    /// Reads the file again and makes the running state equal to it. A file that is refused changes nothing.
    pub async fn reload(&self, by: By) -> Result<Applied, ControlError> {
        let shared = self.shared.clone();
        let work = async move {
            let _one_at_a_time = shared.reloading.lock().await;
            let applied = reload(&shared, by).await;
            shared.common.emitter.process().count_reload(applied.is_ok());
            if let Err(error) = &applied {
                let (generation, error) = (shared.generation(), error.to_string().into());
                shared.common.emitter.emit(Fact::ConfigRefused { generation, by, error });
            }
            applied
        };
        tokio::spawn(work).await.unwrap_or(Err(ControlError::Broken))
    }

    /// Goes back to the file as it was last read; what has expired begins anew.
    pub async fn restore(&self, by: By) -> Result<Applied, ControlError> {
        let shared = self.shared.clone();
        let work = async move {
            let mut state = shared.state.lock().await;
            let old = shared.config(&state);
            let file = state.file.clone();
            let undone = config::changes(&old, &as_it_runs(&old, file.clone())?);
            let applied = put(&shared, &mut state, &old, file, by, Live::Drain).await?;
            Ok(Applied { undone: texts(&undone), ..applied })
        };
        tokio::spawn(work).await.unwrap_or(Err(ControlError::Broken))
    }

    /// Opens a closed route.
    pub async fn open(&self, route: &str, by: By) -> Result<Applied, ControlError> {
        self.enable(route, true, Live::Keep, by).await
    }

    /// Closes a route: it stops listening and keeps everything else. Its live connections end as `live` says, also if it
    /// was closed before.
    pub async fn close(&self, route: &str, live: Live, by: By) -> Result<Applied, ControlError> {
        let mut applied = self.enable(route, false, live, by).await?;
        if applied.changes.is_empty() {
            applied.ended = match live {
                Live::Close => self.end_connections(route, How::Close)?,
                Live::Reset => self.end_connections(route, How::Reset)?,
                Live::Keep | Live::Drain => 0,
            };
        }
        Ok(applied)
    }

    async fn enable(&self, route: &str, on: bool, live: Live, by: By) -> Result<Applied, ControlError> {
        let name = route.to_owned();
        let edit = move |config: &mut Config| {
            config.route_mut(&name).ok_or(ControlError::NoRoute(name))?.enabled = on;
            Ok(())
        };
        Ok(self.edit(by, live, edit).await?.1)
    }

    /// The faults of a route, in their order.
    pub fn faults(&self, route: &str) -> Result<Vec<Fault>, ControlError> {
        Ok(self.route(route)?.config().faults)
    }

    /// Adds a fault behind the others of its route. It reaches live connections at once. Gives the new generation.
    pub async fn add_fault(&self, route: &str, fault: Fault) -> Result<u64, ControlError> {
        self.edit_faults(route, |route, faults| {
            if faults.iter().any(|other| other.name == fault.name) {
                return Err(ControlError::FaultExists { route: route.into(), fault: fault.name.to_string() });
            }
            faults.push(fault);
            Ok(())
        })
        .await
    }

    /// Puts a fault in place of the one that has its name. What the old one held leaves at once, in order.
    pub async fn change_fault(&self, route: &str, fault: Fault) -> Result<u64, ControlError> {
        self.edit_faults(route, |route, faults| {
            match faults.iter_mut().find(|other| other.name == fault.name) {
                Some(old) => *old = fault,
                None => return Err(no_fault(route, &fault.name)),
            }
            Ok(())
        })
        .await
    }

    /// Takes a fault away. What it held leaves at once, in order.
    pub async fn remove_fault(&self, route: &str, fault: &str) -> Result<u64, ControlError> {
        let fault = fault.to_owned();
        self.edit_faults(route, move |route, faults| {
            let before = faults.len();
            faults.retain(|other| *other.name != *fault);
            if faults.len() == before { Err(no_fault(route, &fault)) } else { Ok(()) }
        })
        .await
    }

    /// Puts these faults in place of all that a route has. Those that are the same go on as they are.
    pub async fn set_faults(&self, route: &str, faults: Vec<Fault>) -> Result<u64, ControlError> {
        self.edit_faults(route, |_, current| {
            *current = faults;
            Ok(())
        })
        .await
    }

    async fn edit_faults(
        &self,
        route: &str,
        edit: impl FnOnce(&str, &mut Vec<Fault>) -> Result<(), ControlError> + Send + 'static,
    ) -> Result<u64, ControlError> {
        let name = route.to_owned();
        let edit = move |config: &mut Config| match config.route_mut(&name) {
            Some(route) => edit(&name, &mut route.faults),
            None => Err(ControlError::NoRoute(name)),
        };
        Ok(self.edit(By::Library, Live::Drain, edit).await?.1.generation)
    }
}

async fn reload(shared: &Arc<Shared>, by: By) -> Result<Applied, ControlError> {
    let Some(origin) = shared.origin.clone() else {
        return Err(ControlError::NoFile("there is no file to read again"));
    };
    if origin.path.as_os_str() == "-" {
        return Err(ControlError::NoFile("standard input cannot be read again"));
    }
    let read = tokio::task::spawn_blocking(move || origin.read()).await;
    let file = match read {
        Ok(Ok(config)) => config,
        Ok(Err(refused)) => return Err(ControlError::File(Arc::new(refused))),
        Err(_) => return Err(ControlError::Broken),
    };
    let mut state = shared.state.lock().await;
    let old = shared.config(&state);
    let mut new = file.clone();
    // A fault whose time was over stays gone, unless its item says something else now.
    for route in &mut new.routes {
        let Some(member) = state.members.iter().find(|member| *member.route.name() == route.name) else {
            continue;
        };
        route.faults.retain(|fault| !member.route.has_expired(fault));
    }
    let since = config::changes(&as_it_runs(&old, state.file.clone()).unwrap_or_else(|_| old.clone()), &old);
    let changes = config::changes(&old, &as_it_runs(&old, new.clone())?);
    let undone = changes.iter().filter(|change| since.iter().any(|made| made.path == change.path));
    let undone = undone.map(|change| change.text.clone()).collect();
    let applied = put(shared, &mut state, &old, new, by, Live::Drain).await?;
    state.file = file;
    if applied.changes.is_empty() {
        // Whoever asked by signal has nowhere else to see that it was done.
        let (generation, seed, changes) = (applied.generation, shared.seed, Arc::default());
        shared.common.emitter.emit(Fact::ConfigApplied { generation, seed, by, changes });
    }
    Ok(Applied { undone, ..applied })
}

/// Checks a configuration whole and puts it in force.
async fn put(
    shared: &Arc<Shared>,
    state: &mut State,
    old: &Config,
    new: Config,
    by: By,
    live: Live,
) -> Result<Applied, ControlError> {
    if shared.is_draining() {
        return Err(ControlError::Draining);
    }
    let new = as_it_runs(old, new)?;
    new.check().map_err(|refused| ControlError::Refused(Arc::new(refused)))?;
    let changes = texts(&config::changes(old, &new));
    if changes.is_empty() {
        return Ok(Applied { generation: shared.generation(), ..Applied::default() });
    }
    let settings = Config { routes: Vec::new(), ..new.clone() };
    let ended = apply(shared, state, old, new, by, live).await?;
    if settings.log.level != state.settings.log.level {
        log::set_level(&settings.log.level);
    }
    shared.set_drain_idle(settings.drain.idle);
    shared.stats_interval.send_if_modified(|interval| {
        std::mem::replace(interval, settings.stats_interval) != settings.stats_interval
    });
    state.settings = settings;
    let generation = shared.common.generation.fetch_add(1, Ordering::Relaxed) + 1;
    let told = changes.clone().into();
    shared.common.emitter.emit(Fact::ConfigApplied { generation, seed: shared.seed, by, changes: told });
    Ok(Applied { generation, changes, undone: Vec::new(), ended })
}

/// A configuration with what it leaves out as it runs; what cannot change while it runs is refused.
fn as_it_runs(old: &Config, mut new: Config) -> Result<Config, ControlError> {
    if new.seed.is_some_and(|seed| Some(seed) != old.seed) {
        return Err(ControlError::NeedsRestart("seed"));
    }
    if !same_admin(&new.admin, &old.admin) {
        return Err(ControlError::NeedsRestart("admin"));
    }
    if new.log.format != Format::Auto && new.log.format != old.log.format {
        return Err(ControlError::NeedsRestart("log.format"));
    }
    new.seed = old.seed;
    new.admin = old.admin.clone();
    new.log.format = old.log.format;
    Ok(new)
}

/// Whether an admin that is asked for is the one that runs.
fn same_admin(asked: &Admin, runs: &Admin) -> bool {
    match (asked, runs) {
        (Admin::Default, _) => true,
        // A port that the system chose is the one that was asked for.
        (
            Admin::On { listen, token_file, allowed_hosts },
            Admin::On { listen: at, token_file: file, allowed_hosts: hosts },
        ) if listen.port() == 0 => (listen.ip(), token_file, allowed_hosts) == (at.ip(), file, hosts),
        _ => asked == runs,
    }
}

fn texts(changes: &[Change]) -> Vec<String> {
    changes.iter().map(|change| change.text.clone()).collect()
}

fn dismissal(how: How) -> Dismissal {
    match how {
        How::Close => Dismissal::Close,
        How::Reset => Dismissal::Reset,
    }
}

fn no_fault(route: &str, fault: &str) -> ControlError {
    ControlError::NoFault { route: route.to_owned(), fault: fault.to_owned() }
}
