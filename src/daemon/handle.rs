//! A running daemon: what it listens on, what happened, and how it is stopped.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::Control;
use super::listening::Listening;
use super::shared::Shared;
use crate::config::{Admin, Drain};
use crate::observe::{By, Fact};
use crate::route::{Common, Route};

/// How long connections may take to end once they are cut.
const CUT_TAKES: Duration = Duration::from_secs(2);

/// What "at once" means.
const AT_ONCE: Duration = Duration::from_millis(100);

/// A running daemon. Dropping it ends everything at once; [`drain`](Self::drain) ends it well.
#[derive(Debug)]
pub struct Handle {
    pub(super) shared: Arc<Shared>,
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
    /// Where a route listens, with the port the system gave it.
    pub fn addr(&self, route: &str) -> Option<SocketAddr> {
        self.control().route(route).ok()?.address()
    }

    /// All routes, in the order of the configuration.
    pub fn routes(&self) -> Vec<Arc<Route>> {
        self.control().routes()
    }

    /// Notes where the control API listens, so that the configuration in force says so.
    pub fn admin_is(&self, admin: Admin) {
        // It is opened once.
        let _ = self.shared.admin.set(admin);
    }

    /// Ends when the daemon has ended.
    pub fn over(&self) -> CancellationToken {
        self.shared.over.clone()
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
        *self.shared.drained.get_or_init(|| self.shared.drain(By::Library, None)).await
    }

    /// As [`drain`](Self::drain), told as the doing of a signal.
    pub async fn drain_on_signal(&self) -> Drained {
        *self.shared.drained.get_or_init(|| self.shared.drain(By::Signal, None)).await
    }

    /// As [`drain`](Self::drain) within this time and without `preDrainDelay`, whatever the configuration says: for a
    /// command that has come to its end, and whose clients are gone.
    pub async fn drain_within(&self, timeout: Duration) -> Drained {
        *self.shared.drained.get_or_init(|| self.shared.drain(By::Cli, Some(timeout))).await
    }

    /// Ends everything at once: what is open is reset.
    pub async fn cut(&self) -> Drained {
        self.shared.cut().await
    }

    /// Tells statistics as often as the configuration says, as long as the daemon runs.
    pub(super) fn tell_stats_regularly(&self) {
        let over = self.shared.over.clone();
        let shared = Arc::downgrade(&self.shared);
        let mut interval = self.shared.stats_interval.subscribe();
        self.shared.common.emitter.spawn(async move {
            loop {
                let period = *interval.borrow_and_update();
                let due = async {
                    match period {
                        Some(period) => tokio::time::sleep(period).await,
                        None => std::future::pending().await,
                    }
                };
                tokio::select! {
                    () = over.cancelled() => return,
                    changed = interval.changed() => if changed.is_err() { return },
                    () = due => match shared.upgrade() {
                        Some(shared) => shared.tell_stats(),
                        None => return,
                    },
                }
            }
        });
    }

    /// Does something again and again, as long as the daemon runs.
    pub(super) fn every(&self, interval: Duration, act: impl Fn(&Shared) + Send + 'static) {
        let over = self.shared.over.clone();
        let shared = Arc::downgrade(&self.shared);
        self.shared.common.emitter.spawn(async move {
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
        self.shared.draining.store(true, Ordering::Relaxed);
        self.shared.over.cancel();
        self.shared.common.stop.now();
    }
}

impl Shared {
    async fn drain(&self, by: By, within: Option<Duration>) -> Drained {
        let began = Instant::now();
        let Common { emitter, connections, stop, ended, .. } = &self.common;
        self.draining.store(true, Ordering::Relaxed);
        // A change under way is carried out; the next one is refused.
        let mut drain = self.state.lock().await.settings.drain;
        if let Some(timeout) = within {
            drain = Drain { timeout, pre_delay: Duration::ZERO, ..drain };
        }
        let ended_before = ended.load(Ordering::Relaxed);
        emitter.emit(Fact::DrainBegun { connections: connections.len() as u64, timeout: drain.timeout, by });
        tokio::time::sleep(drain.pre_delay).await;
        self.close_all(by).await;
        stop.drain.cancel();
        connections.close();
        if tokio::time::timeout(drain.timeout, connections.wait()).await.is_err() {
            stop.cut.cancel();
            // They have nothing to wait for now; but nothing may keep the program from ending.
            let _ = tokio::time::timeout(CUT_TAKES, connections.wait()).await;
        }
        let cut = self.common.cut.load(Ordering::Relaxed);
        emitter.tell_folded(true);
        let finished = (ended.load(Ordering::Relaxed) - ended_before).saturating_sub(cut);
        emitter.emit(Fact::DrainDone { finished, cut, duration: began.elapsed() });
        self.over.cancel();
        Drained { finished, cut }
    }

    async fn cut(&self) -> Drained {
        let began = Instant::now();
        self.draining.store(true, Ordering::Relaxed);
        self.common.stop.now();
        self.common.connections.close();
        let _ = tokio::time::timeout(AT_ONCE, self.common.connections.wait()).await;
        let cut = self.common.cut.load(Ordering::Relaxed);
        self.common.emitter.emit(Fact::DrainDone { finished: 0, cut, duration: began.elapsed() });
        self.over.cancel();
        Drained { finished: 0, cut }
    }

    /// Closes every listener, all at the same time.
    async fn close_all(&self, by: By) {
        let mut state = self.state.lock().await;
        let open: Vec<(Arc<Route>, Listening)> = state
            .members
            .iter_mut()
            .filter_map(|member| Some((member.route.clone(), member.listening.take()?)))
            .collect();
        let mut closing = JoinSet::new();
        let mut closed = Vec::with_capacity(open.len());
        for (route, listening) in open {
            closing.spawn(listening.close());
            closed.push(route);
        }
        closing.join_all().await;
        for route in closed {
            route.listens(None);
            self.common.emitter.emit(Fact::RouteClosed { route: route.name().clone(), by });
        }
    }
}
