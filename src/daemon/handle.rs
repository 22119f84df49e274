//! A running daemon: what it listens on, what happened, and how it is stopped.

use std::net::SocketAddr;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::OnceCell;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::Control;
use crate::config::Drain;
use crate::observe::{By, Bytes, Direction, Fact};
use crate::route::{Common, Route};

/// How long connections may take to end once they are cut.
const CUT_TAKES: Duration = Duration::from_secs(2);

/// What "at once" means.
const AT_ONCE: Duration = Duration::from_millis(100);

/// A running daemon. Dropping it ends everything at once; [`drain`](Self::drain) ends it well.
#[derive(Debug)]
pub struct Handle {
    shared: Arc<Shared>,
}

#[derive(Debug)]
pub(super) struct Shared {
    pub(super) seed: u64,
    pub(super) routes: Vec<OpenRoute>,
    /// Held while a change is made.
    pub(super) changing: Mutex<()>,
    pub(super) common: Common,
    closing: CancellationToken,
    listening: TaskTracker,
    drain: Drain,
    drained: OnceCell<Drained>,
    /// Ends what runs beside the routes.
    over: CancellationToken,
}

/// A route and where it listens.
#[derive(Debug)]
pub struct OpenRoute {
    /// The route.
    pub route: Arc<Route>,
    /// Where it listens; none when it is not enabled.
    pub address: Option<SocketAddr>,
}

/// How a drain went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Drained {
    /// Connections that ended by themselves.
    pub finished: u64,
    /// Connections that were reset because time was up.
    pub cut: u64,
}

impl Handle {
    pub(super) fn new(
        seed: u64,
        routes: Vec<OpenRoute>,
        common: Common,
        closing: CancellationToken,
        listening: TaskTracker,
        drain: Drain,
    ) -> Self {
        let over = CancellationToken::new();
        Handle {
            shared: Arc::new(Shared {
                seed,
                routes,
                changing: Mutex::new(()),
                common,
                closing,
                listening,
                drain,
                drained: OnceCell::new(),
                over,
            }),
        }
    }

    /// Where a route listens, with the port the system gave it.
    pub fn addr(&self, route: &str) -> Option<SocketAddr> {
        self.routes().iter().find(|open| &*open.route.config.name == route)?.address
    }

    /// All routes, in the order of the configuration.
    pub fn routes(&self) -> &[OpenRoute] {
        &self.shared.routes
    }

    /// The hand that changes it while it runs.
    pub fn control(&self) -> Control {
        Control { shared: self.shared.clone() }
    }

    /// The seed in force, drawn or given.
    pub fn seed(&self) -> u64 {
        self.shared.seed
    }

    /// How many connections may be open at once.
    pub fn most_connections(&self) -> usize {
        self.shared.common.budget.size()
    }

    /// How many connections are open.
    pub fn connections(&self) -> usize {
        self.shared.common.connections.len()
    }

    /// Tells what each route did so far.
    pub fn tell_stats(&self) {
        self.shared.tell_stats();
    }

    /// Tells something that is not about a connection.
    pub fn tell_notice(&self, message: &str) {
        self.shared.common.emitter.emit(Fact::Notice { route: None, message: message.into() });
    }

    /// Stops well: no new connections, those under way finish, and what is left at the deadline is reset.
    pub async fn drain(&self) -> Drained {
        *self.shared.drained.get_or_init(|| self.shared.drain(By::Library)).await
    }

    /// As [`drain`](Self::drain), told as the doing of a signal.
    pub async fn drain_on_signal(&self) -> Drained {
        *self.shared.drained.get_or_init(|| self.shared.drain(By::Signal)).await
    }

    /// Ends everything at once: what is open is reset.
    pub async fn cut(&self) -> Drained {
        self.shared.cut().await
    }

    /// Runs something as long as the daemon does.
    pub(super) fn while_running(&self, work: impl Future<Output = ()> + Send + 'static) {
        let over = self.shared.over.clone();
        tokio::spawn(async move {
            tokio::select! {
                () = over.cancelled() => {}
                () = work => {}
            }
        });
    }

    /// Does something again and again, as long as the daemon runs.
    pub(super) fn every(&self, interval: Duration, act: impl Fn(&Shared) + Send + 'static) {
        let over = self.shared.over.clone();
        let shared = Arc::downgrade(&self.shared);
        tokio::spawn(async move {
            let mut ticks = tokio::time::interval_at(Instant::now() + interval, interval);
            loop {
                tokio::select! {
                    () = over.cancelled() => return,
                    _ = ticks.tick() => match shared.upgrade() {
                        Some(shared) => act(&shared),
                        None => return,
                    },
                }
            }
        });
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.shared.over.cancel();
        self.shared.closing.cancel();
        self.shared.common.stop.cut.cancel();
    }
}

impl Shared {
    async fn drain(&self, by: By) -> Drained {
        let started = Instant::now();
        let Common { emitter, connections, stop, .. } = &self.common;
        let finished_before = self.closed();
        emitter.emit(Fact::DrainBegun {
            connections: connections.len() as u64,
            timeout: self.drain.timeout,
            by,
        });
        tokio::time::sleep(self.drain.pre_delay).await;
        self.closing.cancel();
        self.listening.close();
        self.listening.wait().await;
        for open in &self.routes {
            if open.address.is_some() {
                emitter.emit(Fact::RouteClosed { route: open.route.config.name.clone(), by });
            }
        }
        stop.drain.cancel();
        connections.close();
        if tokio::time::timeout(self.drain.timeout, connections.wait()).await.is_err() {
            stop.cut.cancel();
            // They have nothing to wait for now; but nothing may keep the program from ending.
            let _ = tokio::time::timeout(CUT_TAKES, connections.wait()).await;
        }
        let cut = self.common.cut.load(Ordering::Relaxed);
        self.over.cancel();
        emitter.tell_folded(true);
        let finished = (self.closed() - finished_before).saturating_sub(cut);
        emitter.emit(Fact::DrainDone { finished, cut, duration: started.elapsed() });
        Drained { finished, cut }
    }

    async fn cut(&self) -> Drained {
        let started = Instant::now();
        self.closing.cancel();
        self.common.stop.cut.cancel();
        self.common.connections.close();
        let _ = tokio::time::timeout(AT_ONCE, self.common.connections.wait()).await;
        let cut = self.common.cut.load(Ordering::Relaxed);
        self.common.emitter.emit(Fact::DrainDone { finished: 0, cut, duration: started.elapsed() });
        Drained { finished: 0, cut }
    }

    fn closed(&self) -> u64 {
        self.routes.iter().map(|open| open.route.stats.closed_in_all()).sum()
    }

    pub(super) fn tell_stats(&self) {
        for OpenRoute { route, .. } in &self.routes {
            let stats = &route.stats;
            self.common.emitter.emit(Fact::RouteStats {
                route: route.config.name.clone(),
                opened: stats.opened(),
                active: stats.active(),
                bytes: Bytes {
                    upstream: stats.sent(Direction::Upstream),
                    downstream: stats.sent(Direction::Downstream),
                },
                fired: route.fired().iter().map(|(_, fired)| fired).sum(),
            });
        }
    }
}
