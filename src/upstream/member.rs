//! One endpoint of an upstream while it runs: its health, its breaker, its pool, and how many connections it has.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;

use super::breaker::{Breaker, Pass, Tell};
use super::health::Checks;
use super::pool::Pool;
use super::{Dialer, Endpoint, HeaderVersion, UpstreamConfig};
use crate::observe::{BreakerState, Emitter, Fact, Health, RouteStats};
use crate::relay::KeepAlive;

/// Leave to hold a descriptor, until it is dropped.
pub type Leave = Box<dyn Send + Sync>;

/// Who gives leave to hold a descriptor that no client has asked for.
pub trait Descriptors: fmt::Debug + Send + Sync {
    /// Leave for one more.
    fn take(&self) -> Option<Leave>;

    /// Leave for a health check.
    fn take_for_check(&self) -> Option<Leave> {
        self.take()
    }
}

/// What an upstream needs of the process and the route it belongs to. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Surroundings {
    /// The route's name.
    pub route: Arc<str>,
    /// Whom facts are told.
    pub emitter: Emitter,
    /// Where they are counted.
    pub stats: Arc<RouteStats>,
    /// What dials.
    pub dialer: Dialer,
    /// Leave for descriptors.
    pub descriptors: Arc<dyn Descriptors>,
    /// What the upstream is told first, on every connection.
    pub header: Option<HeaderVersion>,
    /// How a peer is found that vanishes.
    pub keepalive: Option<KeepAlive>,
    /// Cancelled when the program begins to stop: from then on nothing is opened that no client asked for.
    pub stopping: CancellationToken,
}

impl Surroundings {
    /// Tells a fact about the route.
    pub(super) fn tell(&self, fact: Fact) {
        self.emitter.emit_of(&self.stats, fact);
    }
}

/// An endpoint while it runs.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) endpoint: Endpoint,
    /// The endpoint in words.
    pub(super) name: Arc<str>,
    /// The connections it has now, those from before a change included.
    connections: Arc<AtomicUsize>,
    around: Surroundings,
    checks: Option<Arc<Checks>>,
    breaker: Option<Arc<Breaker>>,
    pool: Option<Arc<Pool>>,
}

/// An endpoint as it is seen from outside.
#[derive(Clone, Debug)]
pub struct EndpointView {
    /// Its address.
    pub address: Arc<str>,
    /// Its health.
    pub health: Health,
    /// Why it is down.
    pub error: Option<Arc<str>>,
    /// Good and bad answers to health checks; none: it is not asked.
    pub checks: Option<(u64, u64)>,
    /// Its breaker; none: it has none.
    pub breaker: Option<BreakerState>,
    /// Its connections.
    pub connections: usize,
    /// Connections that wait for clients; none: it has no pool.
    pub pooled: Option<usize>,
}

/// A connection's place at an endpoint, until it is dropped.
#[derive(Debug)]
pub struct Seat(Arc<AtomicUsize>);

impl Drop for Seat {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Member {
    /// An endpoint that keeps what it can of the one that it was before.
    pub(super) fn new(
        endpoint: &Endpoint,
        config: &UpstreamConfig,
        around: &Surroundings,
        before: Option<&Member>,
    ) -> Arc<Self> {
        let name: Arc<str> = endpoint.to_string().into();
        let connections = before.map(|before| before.connections.clone()).unwrap_or_default();
        let mut member = Member {
            endpoint: endpoint.clone(),
            name: name.clone(),
            connections,
            around: around.clone(),
            checks: None,
            breaker: None,
            pool: None,
        };
        // A responder inside this program is always well.
        if let Endpoint::Address(address) = endpoint {
            member.checks = config.health.as_ref().map(|health| {
                // They send the header too.
                let same = |before: &&Member| before.around.header == around.header;
                let known = before.filter(same).and_then(|before| before.checks.clone());
                known
                    .filter(|checks| checks.config() == health)
                    .unwrap_or_else(|| Checks::new(health.clone(), address.clone(), name.clone(), around))
            });
            member.breaker = config.breaker.as_ref().map(|breaker| {
                let known = before.and_then(|before| before.breaker.clone());
                known
                    .filter(|known| known.config() == breaker)
                    .unwrap_or_else(|| Breaker::new(breaker.clone(), teller(name.clone(), around)))
            });
            member.pool = config.pool.as_ref().map(|pool| {
                let same = |before: &&Member| before.around.keepalive == around.keepalive;
                let known = before.filter(same).and_then(|before| before.pool.clone());
                known
                    .filter(|known| known.config() == pool)
                    .unwrap_or_else(|| Pool::new(*pool, address.clone(), around))
            });
        }
        Arc::new(member)
    }

    /// Asks after its health and fills its pool from now on.
    pub(super) fn start(&self) {
        if let Some(checks) = &self.checks {
            checks.start();
        }
        if let Some(pool) = &self.pool {
            let (checks, breaker) = (self.checks.clone(), self.breaker.clone());
            pool.start(move || {
                let up = checks.as_ref().is_none_or(|checks| !checks.is_down());
                up && breaker.as_ref().is_none_or(|breaker| breaker.state() == BreakerState::Closed)
            });
        }
    }

    /// Does neither, for now.
    pub(super) fn rest(&self) {
        self.give_way(None);
    }

    /// Ends what `next`, which takes its place, has not taken over.
    pub(super) fn give_way(&self, next: Option<&Member>) {
        if let Some(checks) = &self.checks
            && !next.is_some_and(|next| same(&next.checks, &self.checks))
        {
            checks.rest();
        }
        if let Some(pool) = &self.pool
            && !next.is_some_and(|next| same(&next.pool, &self.pool))
        {
            pool.rest();
        }
        // Another breaker, or none, has come in its place: whoever was told that it is open is told that this is over.
        if let Some(breaker) = &self.breaker
            && next.is_some_and(|next| !same(&next.breaker, &self.breaker))
            && breaker.state() != BreakerState::Closed
        {
            teller(self.name.clone(), &self.around)(BreakerState::Closed, None);
        }
    }

    /// Whether health calls it down.
    pub(super) fn is_down(&self) -> bool {
        self.checks.as_ref().is_some_and(|checks| checks.is_down())
    }

    /// Leave of its breaker to dial it; the inner none: there is no breaker to ask.
    pub(super) fn pass(&self) -> Option<Option<Pass>> {
        match &self.breaker {
            None => Some(None),
            Some(breaker) => breaker.pass().map(Some),
        }
    }

    /// A place for one more connection.
    pub(super) fn seat(&self) -> Seat {
        self.connections.fetch_add(1, Ordering::Relaxed);
        Seat(self.connections.clone())
    }

    /// How many connections it has.
    pub(super) fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }

    /// Whether its breaker lets nobody pass.
    pub(super) fn is_left_alone(&self) -> bool {
        self.breaker.as_ref().is_some_and(|breaker| breaker.state() == BreakerState::Open)
    }

    /// A connection opened ahead of need. Not while the breaker is half open: a new one is to show how the endpoint is.
    pub(super) fn pooled(&self) -> Option<TcpStream> {
        let pool = self.pool.as_ref()?;
        let closed = self.breaker.as_ref().is_none_or(|breaker| breaker.state() == BreakerState::Closed);
        if closed { pool.take() } else { None }
    }

    /// What is known of it.
    pub(super) fn view(&self) -> EndpointView {
        let seen = self.checks.as_ref().map(|checks| checks.seen());
        EndpointView {
            address: self.name.clone(),
            checks: seen.as_ref().map(|seen| (seen.good, seen.bad)),
            health: seen.as_ref().map(|seen| seen.health).unwrap_or_default(),
            error: seen.and_then(|seen| seen.error),
            breaker: self.breaker.as_ref().map(|breaker| breaker.state()),
            connections: self.connections(),
            pooled: self.pool.as_ref().map(|pool| pool.len()),
        }
    }
}

/// Tells of each change of an endpoint's breaker.
fn teller(upstream: Arc<str>, around: &Surroundings) -> Tell {
    let around = around.clone();
    Box::new(move |state, error| {
        let (route, upstream) = (around.route.clone(), upstream.clone());
        around.tell(Fact::BreakerChanged { route, upstream, state, error: error.map(Arc::from) });
    })
}

/// Whether the two are the very same thing, or neither is there.
fn same<T>(a: &Option<Arc<T>>, b: &Option<Arc<T>>) -> bool {
    match (a, b) {
        (Some(a), Some(b)) => Arc::ptr_eq(a, b),
        (None, None) => true,
        _ => false,
    }
}
