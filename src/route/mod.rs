//! A route: a local port, where its connections go, and what goes wrong with them.

mod budget;
mod config;
mod connection;
mod faults;
mod listener;
mod spec;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use budget::{Budget, raise_limit};
pub use config::{Bind, HELD, LocalPort, RouteConfig, Timeouts};
pub use listener::{Accepted, Listener};
pub use spec::{LimitsSpec, RouteSpec, TimeoutsSpec};

use crate::fault::Fault;
use crate::fault::dice::Dice;
use crate::observe::{Emitter, Fact, RouteStats};
use crate::relay::Stop;
use connection::Ticket;
use faults::{Admitted, Faults};

/// What all connections of a route share.
#[derive(Debug)]
pub struct Route {
    /// What it is built from.
    pub config: RouteConfig,
    /// What happened on it.
    pub stats: Arc<RouteStats>,
    emitter: Emitter,
    faults: Mutex<Faults>,
    /// Told when the faults have changed: an expiry may come sooner.
    changed: Notify,
    upstream_text: Arc<str>,
    drain_idle: Option<Duration>,
    accepted: AtomicU64,
    /// Connections that were reset because the drain's time was up, of all routes.
    cut: Arc<AtomicU64>,
}

/// What all routes of a process share.
#[derive(Clone, Debug)]
pub struct Common {
    /// The root of all chance.
    pub dice: Dice,
    /// Whom facts are told.
    pub emitter: Emitter,
    /// How many connections there may be.
    pub budget: Budget,
    /// The numbers of connections in the process.
    pub ids: Arc<AtomicU64>,
    /// All connections under way.
    pub connections: TaskTracker,
    /// How they are told to stop.
    pub stop: Stop,
    /// Connections that were reset because the drain's time was up.
    pub cut: Arc<AtomicU64>,
    /// The number of the configuration in force.
    pub generation: Arc<AtomicU64>,
    /// While draining, silent connections are closed after this.
    pub drain_idle: Option<Duration>,
}

impl Route {
    /// A route whose faults arrive now.
    pub fn new(config: RouteConfig, common: &Common) -> Arc<Self> {
        let dice = common.dice.name(&config.name);
        Arc::new(Route {
            stats: Arc::default(),
            emitter: common.emitter.clone(),
            faults: Mutex::new(Faults::new(dice, &config.faults, Instant::now())),
            changed: Notify::new(),
            upstream_text: config.upstream.to_string().into(),
            drain_idle: common.drain_idle,
            accepted: AtomicU64::new(0),
            cut: common.cut.clone(),
            config,
        })
    }

    /// Where its connections go, in words.
    pub fn upstream_text(&self) -> &Arc<str> {
        &self.upstream_text
    }

    /// How often its faults took effect, by name.
    pub fn fired(&self) -> Vec<(Arc<str>, u64)> {
        self.faults().fired()
    }

    /// What goes wrong on it now.
    pub fn list_faults(&self) -> Vec<Fault> {
        self.faults().list()
    }

    /// Changes its faults, also on live connections: what `edit` makes of the list comes into force. Nothing happens
    /// between the look at the list and the change. False when the list was left as it was.
    pub fn edit_faults<E>(&self, edit: impl FnOnce(&mut Vec<Fault>) -> Result<(), E>) -> Result<bool, E> {
        let mut faults = self.faults();
        let before = faults.list();
        let mut after = before.clone();
        edit(&mut after)?;
        if after == before {
            return Ok(false);
        }
        faults.replace(after, Instant::now());
        self.changed.notify_one();
        Ok(true)
    }

    /// Tells a fact about it, and counts what it means.
    fn tell(&self, fact: Fact) {
        self.emitter.emit_of(&self.stats, fact);
    }

    fn faults(&self) -> MutexGuard<'_, Faults> {
        self.faults.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Listens until `closing`, serving each client in a task of its own.
    pub async fn listen(self: Arc<Self>, listener: Listener, common: Common, closing: CancellationToken) {
        let accept = |accepted: Accepted| {
            let ticket = self.admit(&accepted, &common);
            let task = connection::serve(self.clone(), accepted, ticket, common.stop.clone());
            common.connections.spawn(task);
        };
        let failed = |error: &std::io::Error| {
            self.tell(Fact::AcceptFailed {
                route: self.config.name.clone(),
                error: error.to_string().into(),
            });
        };
        let share = common.budget.share();
        let spent =
            || self.tell(Fact::BudgetSpent { route: self.config.name.clone(), connections: share.size() });
        listener.run(&share, closing, accept, failed, spent).await;
    }

    /// Numbers a connection and decides what befalls it: called in accept order.
    fn admit(&self, accepted: &Accepted, common: &Common) -> Ticket {
        let number = self.accepted.fetch_add(1, Ordering::Relaxed) + 1;
        let id = common.ids.fetch_add(1, Ordering::Relaxed) + 1;
        let client = accepted.client.ip().to_canonical();
        let Admitted { taken, plans } = self.faults().admit(number, client, accepted.at);
        Ticket { number, id, taken, plans }
    }

    /// Takes faults out when their time is over, also while connections only finish. Never completes.
    pub async fn expire_faults(self: Arc<Self>, common: Common) {
        loop {
            let next = self.faults().next_expiry();
            tokio::select! {
                () = self.changed.notified() => continue,
                () = at(next) => {}
            }
            let gone = self.faults().expire(Instant::now());
            if !gone.is_empty() {
                common.generation.fetch_add(1, Ordering::Relaxed);
            }
            for fault in gone {
                self.tell(Fact::FaultExpired {
                    route: self.config.name.clone(),
                    fault: fault.name.clone(),
                    effect: fault.effect.word(),
                });
            }
        }
    }
}

/// Completes at a moment, or never.
async fn at(moment: Option<Instant>) {
    match moment {
        Some(moment) => tokio::time::sleep_until(moment).await,
        None => std::future::pending().await,
    }
}
