//! What a running daemon is: the state that one change at a time may touch, and what everybody may look at.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock, PoisonError, RwLock, Weak};
use std::time::SystemTime;

use tokio::sync::{Mutex, OnceCell, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::Drained;
use super::listening::Listening;
use crate::config::{Admin, Config, Origin};
use crate::observe::{Bytes, Direction, Fact};
use crate::route::{Common, Route};

/// Everything a daemon holds.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) seed: u64,
    pub(super) started: (SystemTime, Instant),
    pub(super) common: Common,
    /// Where the configuration can be read again.
    pub(super) origin: Option<Origin>,
    /// Where the control API listens, once it does.
    pub(super) admin: OnceLock<Admin>,
    /// Held while a change is made, so that each sees what the one before it left. Never held while waiting for a peer.
    pub(super) state: Mutex<State>,
    /// Held from the reading of the file to its being in force: the last one read must be the last one applied.
    pub(super) reloading: Mutex<()>,
    routes: RwLock<Arc<[Arc<Route>]>>,
    /// Routes that are out of the configuration, as long as connections of theirs live.
    departed: RwLock<Vec<Weak<Route>>>,
    pub(super) draining: AtomicBool,
    pub(super) drained: OnceCell<Drained>,
    /// Ends what runs beside the routes.
    pub(super) over: CancellationToken,
    /// How often statistics are told.
    pub(super) stats_interval: watch::Sender<Option<std::time::Duration>>,
}

/// What a change changes.
#[derive(Debug)]
pub(super) struct State {
    /// What is in force, but for the routes.
    pub(super) settings: Config,
    /// The routes, in their order.
    pub(super) members: Vec<Member>,
    /// The configuration as it was last read.
    pub(super) file: Config,
}

/// A route, and its listening if it is open.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) route: Arc<Route>,
    pub(super) listening: Option<Listening>,
}

impl Shared {
    pub(super) fn new(
        seed: u64,
        common: Common,
        origin: Option<Origin>,
        settings: Config,
        file: Config,
    ) -> Self {
        Shared {
            seed,
            started: (SystemTime::now(), Instant::now()),
            common,
            origin,
            admin: OnceLock::new(),
            stats_interval: watch::Sender::new(settings.stats_interval),
            state: Mutex::new(State { settings, members: Vec::new(), file }),
            reloading: Mutex::default(),
            routes: RwLock::default(),
            departed: RwLock::default(),
            draining: AtomicBool::new(false),
            drained: OnceCell::new(),
            over: CancellationToken::new(),
        }
    }

    /// The routes as they are now.
    pub(super) fn routes(&self) -> Arc<[Arc<Route>]> {
        self.routes.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Shows the routes to everybody.
    pub(super) fn publish(&self, members: &[Member]) {
        let routes = members.iter().map(|member| member.route.clone()).collect();
        *self.routes.write().unwrap_or_else(PoisonError::into_inner) = routes;
    }

    /// Remembers routes that have just been taken out.
    pub(super) fn depart(&self, removed: &[Arc<Route>]) {
        let mut departed = self.departed.write().unwrap_or_else(PoisonError::into_inner);
        departed.retain(|route| route.strong_count() > 0);
        departed.extend(removed.iter().map(Arc::downgrade));
    }

    /// Every route that may have connections, those included that are not in the configuration any more.
    pub(super) fn all_routes(&self) -> Vec<Arc<Route>> {
        let mut routes = self.routes().to_vec();
        let departed = self.departed.read().unwrap_or_else(PoisonError::into_inner);
        routes.extend(departed.iter().filter_map(Weak::upgrade));
        routes
    }

    pub(super) fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }

    pub(super) fn generation(&self) -> u64 {
        self.common.generation.load(Ordering::Relaxed)
    }

    /// The whole configuration in force.
    pub(super) fn config(&self, state: &State) -> Config {
        Config {
            seed: Some(self.seed),
            admin: self.admin.get().unwrap_or(&state.settings.admin).clone(),
            routes: state.members.iter().map(|member| member.route.config()).collect(),
            ..state.settings.clone()
        }
    }

    pub(super) fn set_drain_idle(&self, idle: Option<std::time::Duration>) {
        *self.common.stop.idle.lock().unwrap_or_else(PoisonError::into_inner) = idle;
    }

    pub(super) fn tell_stats(&self) {
        for route in self.routes().iter() {
            let stats = &route.stats;
            self.common.emitter.emit(Fact::RouteStats {
                route: route.name().clone(),
                opened: stats.opened(),
                active: stats.active(),
                bytes: Bytes {
                    upstream: stats.sent(Direction::Upstream),
                    downstream: stats.sent(Direction::Downstream),
                },
                fired: route.fired().values().sum(),
            });
        }
    }
}
