//! A route: a local port, where its connections go, and what goes wrong with them.

mod budget;
mod config;
mod connection;
mod faults;
mod full;
mod gone;
mod life;
mod listener;
mod spec;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::SystemTime;

use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::task::TaskTracker;

pub use budget::{Budget, CONTROL_CONNECTIONS, Share, raise_limit};
pub use config::{Bind, HELD, LocalPort, RouteConfig, Timeouts};
pub use life::ConnectionView;
pub use listener::{Accepted, Listener};
pub use spec::{LimitsSpec, RouteSpec, TimeoutsSpec};

use crate::fault::Fault;
use crate::fault::dice::Dice;
use crate::observe::{AcceptError, Direction, Emitter, Fact, FaultStats, Meter, RouteStats};
use crate::relay::{Dismissal, Stop};
use crate::upstream::Endpoint;
use connection::Ticket;
use faults::{Admitted, Faults};
use life::Life;

/// A route while it runs. Its name stays; everything else about it can change.
#[derive(Debug)]
pub struct Route {
    name: Arc<str>,
    /// What happened on it.
    pub stats: Arc<RouteStats>,
    common: Common,
    /// Its part of the descriptors.
    share: Share,
    now: Mutex<Now>,
    /// Told when the faults have changed: an expiry may come sooner.
    changed: Arc<Notify>,
    /// Whether it is out of the configuration; its connections may still live.
    removed: AtomicBool,
}

/// What a route is at this moment.
#[derive(Debug)]
struct Now {
    /// Its list of faults is kept in `faults`.
    config: RouteConfig,
    terms: Arc<Terms>,
    faults: Faults,
    address: Option<SocketAddr>,
    /// Clients so far.
    accepted: u64,
    /// The port it listened on last.
    last_port: Option<u16>,
}

/// What a connection takes with it from its route, as it was when the connection was accepted.
#[derive(Debug)]
struct Terms {
    upstream: Endpoint,
    upstream_text: Arc<str>,
    timeouts: Timeouts,
    held: usize,
}

impl Terms {
    fn of(config: &RouteConfig) -> Arc<Self> {
        let upstream = config.upstream.clone();
        let upstream_text = upstream.to_string().into();
        Arc::new(Terms { upstream, upstream_text, timeouts: config.timeouts, held: config.held })
    }
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
    /// Connections that have ended.
    pub ended: Arc<AtomicU64>,
    /// Connections that were reset because the drain's time was up.
    pub cut: Arc<AtomicU64>,
    /// The number of the configuration in force.
    pub generation: Arc<AtomicU64>,
}

/// A fault in one direction, and what it did. One that acts both ways is two of these.
#[derive(Clone, Debug)]
pub struct FaultCount {
    /// Its name.
    pub fault: Arc<str>,
    /// Its effect's word.
    pub effect: &'static str,
    /// The direction, for those that act on one.
    pub direction: Option<Direction>,
    /// What it did.
    pub stats: Arc<FaultStats>,
    /// When it will be gone.
    pub expires_at: Option<SystemTime>,
}

impl Route {
    /// A route whose faults arrive now. It does not listen yet.
    pub fn new(config: RouteConfig, common: &Common, share: Share) -> Arc<Self> {
        let dice = common.dice.name(&config.name);
        Arc::new(Route {
            name: config.name.clone(),
            stats: Arc::default(),
            common: common.clone(),
            share,
            now: Mutex::new(Now {
                terms: Terms::of(&config),
                faults: Faults::new(dice, &config.faults, Instant::now()),
                config: RouteConfig { faults: Vec::new(), ..config },
                address: None,
                accepted: 0,
                last_port: None,
            }),
            changed: Arc::default(),
            removed: AtomicBool::new(false),
        })
    }

    /// Lets its faults go when their time is over, as long as it is there.
    pub fn watch_the_clock(self: &Arc<Self>) {
        tokio::spawn(expire_faults(Arc::downgrade(self), self.changed.clone()));
    }

    /// Its name.
    pub fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// What it is now, complete.
    pub fn config(&self) -> RouteConfig {
        let now = self.now();
        RouteConfig { faults: now.faults.list(), ..now.config.clone() }
    }

    /// Where it listens; none while it is closed.
    pub fn address(&self) -> Option<SocketAddr> {
        self.now().address
    }

    /// Whether it listens if it should.
    pub fn is_as_configured(&self) -> bool {
        let now = self.now();
        now.address.is_some() || !now.config.enabled
    }

    /// Notes where it listens.
    pub fn listens(&self, address: Option<SocketAddr>) {
        let mut now = self.now();
        now.address = address;
        now.last_port = address.map(|address| address.port()).or(now.last_port);
    }

    /// The port it listens on, or listened on last.
    pub fn last_port(&self) -> Option<u16> {
        self.now().last_port
    }

    /// Where its connections go, in words.
    pub fn upstream_text(&self) -> Arc<str> {
        self.now().terms.upstream_text.clone()
    }

    /// How often its faults took effect, by name, those that are gone included.
    pub fn fired(&self) -> BTreeMap<Arc<str>, u64> {
        let mut fired = BTreeMap::new();
        for count in self.fault_counts_ever() {
            *fired.entry(count.fault).or_default() += count.stats.fired();
        }
        fired
    }

    /// As [`fault_counts`](Self::fault_counts), with the faults that are gone.
    pub fn fault_counts_ever(&self) -> Vec<FaultCount> {
        self.now().faults.counts_ever()
    }

    /// Its faults in order, each way they act, and what they did.
    pub fn fault_counts(&self) -> Vec<FaultCount> {
        self.now().faults.counts()
    }

    /// Whether exactly this fault was here and its time is over.
    pub fn has_expired(&self, fault: &Fault) -> bool {
        self.now().faults.has_expired(fault)
    }

    /// Its live connections, by number.
    pub fn connections(&self) -> Vec<ConnectionView> {
        // The lock is what every accept takes: it is held for the pointers only.
        let lives = self.now().faults.lives();
        lives.iter().map(|life| life.view()).collect()
    }

    /// Tells a live connection to end; false: it has none of this id.
    pub fn dismiss(&self, id: u64, how: Dismissal) -> bool {
        self.now().faults.dismiss(Some(id), how) > 0
    }

    /// Tells all live connections to end, and says how many.
    pub fn dismiss_all(&self, how: Dismissal) -> u64 {
        self.now().faults.dismiss(None, how)
    }

    /// Tells all live connections to finish. Gives the number of this closing, and how many there are.
    pub fn let_finish(&self) -> (u64, u64) {
        self.now().faults.let_finish()
    }

    /// Ends those that were told to finish by this closing and have not.
    pub fn cut_finishing(&self, closing: u64) {
        self.now().faults.cut_finishing(closing);
    }

    /// Becomes what `config` says. Live connections feel the new faults at once, and go on with the upstream they have.
    /// `seen` is the list of faults that `config` was made from: one that has expired since then does not come back.
    pub fn change(&self, config: RouteConfig, seen: &[Fault]) {
        let mut now = self.now();
        let before = now.faults.list();
        let mut faults = config.faults.clone();
        faults.retain(|fault| !seen.contains(fault) || before.contains(fault));
        if faults != before {
            now.faults.replace(faults, Instant::now());
            self.changed.notify_one();
        }
        let config = RouteConfig { faults: Vec::new(), ..config };
        if config.enabled && !now.config.enabled {
            now.faults.let_stay();
        }
        if now.config != config {
            now.terms = Terms::of(&config);
            now.config = config;
        }
    }

    /// It is taken out of the configuration.
    pub fn remove(&self) {
        self.removed.store(true, Ordering::Relaxed);
    }

    /// What it had set aside of the descriptors, for a route that comes in its place.
    pub fn hand_on_share(&self) -> Option<Share> {
        self.share.hand_on()
    }

    /// Tells a fact about it, and counts what it means.
    fn tell(&self, fact: Fact) {
        self.common.emitter.emit_of(&self.stats, fact);
    }

    fn now(&self) -> MutexGuard<'_, Now> {
        self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Accepts clients until `stop`, each served in a task of its own.
    pub async fn accept(self: &Arc<Self>, listener: &Listener, stop: impl Future<Output = ()>) {
        let accept = |accepted| self.serve(accepted);
        let failed = |error: &std::io::Error| self.tell_failed(error);
        let spent = || {
            let connections = self.share.size();
            self.tell(Fact::BudgetSpent { route: self.name.clone(), connections });
        };
        listener.run(&self.share, stop, accept, failed, spent).await;
    }

    /// Accepts the clients that the system already holds.
    pub fn accept_waiting(self: &Arc<Self>, listener: &Listener) {
        listener.take_waiting(&self.share, |accepted| self.serve(accepted), |error| self.tell_failed(error));
    }

    fn serve(self: &Arc<Self>, accepted: Accepted) {
        let ticket = self.admit(&accepted);
        let task = connection::serve(self.clone(), accepted, ticket, self.common.stop.clone());
        self.common.connections.spawn(task);
    }

    fn tell_failed(&self, error: &std::io::Error) {
        let (route, reason) = (self.name.clone(), AcceptError::of(error));
        self.tell(Fact::AcceptFailed { route, error: error.to_string().into(), reason });
    }

    /// Numbers a connection and decides what befalls it: called in accept order.
    fn admit(&self, accepted: &Accepted) -> Ticket {
        let id = self.common.ids.fetch_add(1, Ordering::Relaxed) + 1;
        let meter = Meter::new(self.stats.clone());
        let mut now = self.now();
        now.accepted += 1;
        let numbers = (now.accepted, id);
        let life = Arc::new(Life::new(self.name.clone(), numbers, accepted.client, accepted.at, meter));
        let Admitted { taken, orders } = now.faults.admit(life.clone());
        Ticket { life, terms: now.terms.clone(), taken, orders }
    }

    /// Takes out the faults whose time is over.
    fn expire(&self) {
        let gone = self.now().faults.expire(Instant::now());
        if gone.is_empty() {
            return;
        }
        let generation = &self.common.generation;
        let generation = if self.removed.load(Ordering::Relaxed) {
            generation.load(Ordering::Relaxed)
        } else {
            generation.fetch_add(1, Ordering::Relaxed) + 1
        };
        for fault in gone {
            self.tell(Fact::FaultExpired {
                route: self.name.clone(),
                fault: fault.name.clone(),
                effect: fault.effect.word(),
                generation,
            });
        }
    }
}

impl Drop for Route {
    fn drop(&mut self) {
        self.changed.notify_one();
    }
}

/// Takes faults out when their time is over, as long as there is the route: also while its connections only finish.
async fn expire_faults(route: Weak<Route>, changed: Arc<Notify>) {
    loop {
        let Some(next) = route.upgrade().map(|route| route.now().faults.next_expiry()) else { return };
        tokio::select! {
            () = changed.notified() => continue,
            () = at(next) => {}
        }
        if let Some(route) = route.upgrade() {
            route.expire();
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
