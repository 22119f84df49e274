//! A route: a local port, where its connections go, and what goes wrong with them.

mod admission;
mod bucket;
mod budget;
mod client_header;
mod common;
mod config;
mod connection;
mod entry;
mod expiry;
mod faults;
mod full;
mod gone;
mod life;
mod limiter;
mod listener;
mod spec;
mod terms;
mod turnstile;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Notify, Semaphore};
use tokio::time::Instant;

pub use budget::{Budget, CONTROL_CONNECTIONS, Share, raise_limit};
pub use common::Common;
pub use config::{
    Bind, Excess, HELD, HELD_OF_PROXY, KeepAlive, Limits, LocalPort, ProxyProtocol, RouteConfig, Timeouts,
};
pub use entry::FaultCount;
pub use life::ConnectionView;
pub(crate) use listener::no_ipv6;
pub use listener::{Accepted, Listener};
pub use spec::{
    ExcessSpec, KeepAliveSpec, LimitsSpec, ProxyProtocolSpec, QueueSpec, RouteSpec, TimeoutsSpec, VersionSpec,
};

use crate::fault::Fault;
use crate::observe::{Emitter, Fact, RouteStats};
use crate::relay::Dismissal;
use crate::upstream::{EndpointView, Upstream};
use faults::Faults;
use limiter::Limiter;
use terms::{Terms, surroundings};

/// So many refused clients of a route may take a moment to go. Of more, a flood, the descriptors matter more than how it
/// ends for them.
const LINGERING: usize = 64;

/// A route while it runs. Its name stays; everything else about it can change.
#[derive(Debug)]
pub struct Route {
    name: Arc<str>,
    /// What happened on it.
    pub stats: Arc<RouteStats>,
    common: Common,
    /// Its part of the descriptors.
    share: Share,
    /// Lets clients in as the limits say.
    limiter: Arc<Limiter>,
    /// Room for refused clients that get the time to read their end.
    lingering: Arc<Semaphore>,
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

impl Route {
    /// A route whose faults arrive now. It does not listen yet.
    pub fn new(config: RouteConfig, common: &Common, share: Share) -> Arc<Self> {
        let dice = common.dice.name(&config.name);
        let stats = Arc::default();
        let upstream = Upstream::new(&config.upstream, surroundings(&config, common, &stats), None);
        Arc::new(Route {
            name: config.name.clone(),
            stats,
            common: common.clone(),
            share,
            limiter: Limiter::new(config.limits),
            lingering: Arc::new(Semaphore::new(LINGERING)),
            now: Mutex::new(Now {
                terms: Terms::of(&config, upstream),
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
        match address {
            Some(_) => now.terms.upstream.start(),
            None => now.terms.upstream.rest(),
        }
        now.last_port = address.map(|address| address.port()).or(now.last_port);
    }

    /// The port it listens on, or listened on last.
    pub fn last_port(&self) -> Option<u16> {
        self.now().last_port
    }

    /// Where its connections go, in words.
    pub fn upstream_text(&self) -> Arc<str> {
        self.now().terms.upstream.name().clone()
    }

    /// The endpoints that its connections go to, as they are.
    pub fn endpoints(&self) -> Vec<EndpointView> {
        let upstream = self.now().terms.upstream.clone();
        upstream.endpoints()
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

    /// How many clients wait for their turn, because of its limits.
    pub fn waiting(&self) -> usize {
        self.limiter.waiting()
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
    /// Where it goes on elsewhere, at another address or to another upstream, those who came before end as `moved` says;
    /// how many these are is told.
    pub fn change(&self, config: RouteConfig, seen: &[Fault], moved: Option<Dismissal>) -> u64 {
        let mut now = self.now();
        let spot = |config: &RouteConfig| (config.bind, config.local_port);
        let moves = spot(&now.config) != spot(&config) || now.config.upstream != config.upstream;
        if spot(&now.config) != spot(&config) {
            // What it had was another place.
            now.last_port = None;
        }
        let ended = moved.filter(|_| moves).map_or(0, |how| now.faults.dismiss(None, how));
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
            let mut upstream = now.terms.upstream.clone();
            let around = |config: &RouteConfig| (config.proxy_protocol.send, config.keepalive);
            if now.config.upstream != config.upstream || around(&now.config) != around(&config) {
                let around = surroundings(&config, &self.common, &self.stats);
                let next = Upstream::new(&config.upstream, around, Some(&upstream));
                let before = std::mem::replace(&mut upstream, next);
                before.give_way(&upstream);
                if now.address.is_some() {
                    upstream.start();
                }
            }
            if now.config.limits != config.limits {
                self.limiter.change(config.limits);
            }
            now.terms = Terms::of(&config, upstream);
            now.config = config;
        }
        ended
    }

    /// It is taken out of the configuration.
    pub fn remove(&self) {
        self.now().terms.upstream.rest();
        self.removed.store(true, Ordering::Relaxed);
    }

    /// What it had set aside of the descriptors, for a route that comes in its place.
    pub fn hand_on_share(&self) -> Option<Share> {
        self.share.hand_on()
    }

    /// Whom its facts are told.
    pub fn emitter(&self) -> &Emitter {
        &self.common.emitter
    }

    /// Tells a fact about it, and counts what it means.
    fn tell(&self, fact: Fact) {
        self.common.emitter.emit_of(&self.stats, fact);
    }

    fn now(&self) -> MutexGuard<'_, Now> {
        self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Route {
    fn drop(&mut self) {
        self.changed.notify_one();
    }
}

/// Completes at a moment, or never.
async fn at(moment: Option<Instant>) {
    match moment {
        Some(moment) => tokio::time::sleep_until(moment).await,
        None => std::future::pending().await,
    }
}
