//! Connections to an endpoint that are opened ahead of need, so that a client does not wait for the handshake.
//!
//! The youngest is handed out first: the upstream ends those that have waited longest, so it is the least likely to be ended
//! at this very moment. The older ones stand by, and are replaced when their time is over. Whether a connection is alive is
//! asked of the kernel at the moment it is wanted: one on which the upstream has spoken is, and its bytes wait unread; one
//! that it has ended or reset is not, whatever came before. Those that die or grow old while nobody asks are found by a look
//! each second.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{Instant, sleep_until};

use super::member::Surroundings;
use super::waiting::{Kept, Lot};
use super::{Address, PoolConfig};
use crate::observe::Fact;

/// No dial takes longer.
const PATIENCE: Duration = Duration::from_secs(5);

/// From one look at those that wait to the next.
const LOOK: Duration = Duration::from_secs(1);

/// Never look more often, however short the time they may wait.
const SOONEST: Duration = Duration::from_millis(10);

/// The wait after a dial that failed; it doubles with each.
const FIRST_WAIT: Duration = Duration::from_millis(100);

/// The longest such wait.
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// The connections that wait for an endpoint's next clients.
pub(super) struct Pool {
    config: PoolConfig,
    inner: Arc<Inner>,
}

type Usable = Arc<dyn Fn() -> bool + Send + Sync>;

struct Inner {
    config: PoolConfig,
    address: Address,
    around: Surroundings,
    now: Mutex<Now>,
    /// There may be something to do.
    changed: Notify,
}

struct Now {
    lot: Lot,
    /// Which run it is: what an earlier one has opened is not wanted any more.
    run: u64,
    filling: Option<(Usable, JoinHandle<()>)>,
}

impl Pool {
    /// An empty one, not filling yet.
    pub(super) fn new(config: PoolConfig, address: Address, around: &Surroundings) -> Arc<Self> {
        let now = Mutex::new(Now { lot: Lot::new(config.max_age), run: 0, filling: None });
        let (around, changed) = (around.clone(), Notify::new());
        Arc::new(Pool { config, inner: Arc::new(Inner { config, address, around, now, changed }) })
    }

    /// What it is built from.
    pub(super) fn config(&self) -> &PoolConfig {
        &self.config
    }

    /// Keeps it filled as long as `usable` says so. If it does so already, it asks `usable` from now on.
    pub(super) fn start(self: &Arc<Self>, usable: impl Fn() -> bool + Send + Sync + 'static) {
        let usable: Usable = Arc::new(usable);
        let mut now = self.inner.now();
        if let Some((asked, task)) = &mut now.filling
            && !task.is_finished()
        {
            *asked = usable;
            self.inner.changed.notify_one();
            return;
        }
        now.run += 1;
        let task = self.inner.around.emitter.spawn(fill(self.inner.clone(), now.run));
        now.filling = Some((usable, task));
    }

    /// Closes what it holds and opens nothing more, for now.
    pub(super) fn rest(&self) {
        let (filling, kept) = self.inner.stop();
        if let Some((_, task)) = filling {
            task.abort();
        }
        drop(kept);
    }

    /// A connection that is alive at this moment, if there is one.
    pub(super) fn take(&self) -> Option<TcpStream> {
        let mut now = self.inner.now();
        let before = now.lot.len();
        let taken = now.lot.take(Instant::now());
        if now.lot.len() < before {
            self.inner.changed.notify_one();
        }
        taken
    }

    /// How many wait.
    pub(super) fn len(&self) -> usize {
        self.inner.now().lot.len()
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.rest();
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool").field("config", &self.config).field("waiting", &self.len()).finish()
    }
}

impl Inner {
    fn now(&self) -> MutexGuard<'_, Now> {
        self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends this run. What is left of it is given back, to be dropped without the lock.
    fn stop(&self) -> (Option<(Usable, JoinHandle<()>)>, Vec<Kept>) {
        let mut now = self.now();
        now.run += 1;
        (now.filling.take(), now.lot.empty())
    }

    /// Tells that there are no descriptors for as many as should wait.
    fn tell_short(&self) {
        let (waiting, size) = (self.now().lot.len(), self.config.size);
        let message = format!(
            "the pool of {} holds {waiting} of {size}: clients go first where descriptors are few",
            self.address
        );
        self.around.tell(Fact::Notice { route: Some(self.around.route.clone()), message: message.into() });
    }

    /// Whether the endpoint is one to dial.
    fn is_usable(&self) -> bool {
        let usable = self.now().filling.as_ref().map(|(usable, _)| usable.clone());
        usable.is_some_and(|usable| usable())
    }
}

/// Keeps a pool filled.
async fn fill(inner: Arc<Inner>, run: u64) {
    let stopping = inner.around.stopping.clone();
    tokio::select! {
        biased;
        () = stopping.cancelled() => drop(inner.stop()),
        () = refill(&inner, run) => {}
    }
}

async fn refill(inner: &Arc<Inner>, run: u64) {
    let mut dials = JoinSet::new();
    let mut pause = Pause::default();
    let mut told = false;
    loop {
        let now = Instant::now();
        let next_look = {
            let mut state = inner.now();
            if state.run != run {
                return;
            }
            state.lot.look(now);
            // One that is ended as soon as it is open helps nobody, and dialling on would never stop.
            if state.lot.died_young() {
                pause.fail(now);
            }
            state.lot.next_too_old().map_or(now + LOOK, |old| old.clamp(now + SOONEST, now + LOOK))
        };
        if !pause.lasts(now) && inner.is_usable() {
            let size = inner.config.size as usize;
            // After a failure one goes ahead and sees.
            let at_once = if pause.failing { 1 } else { size };
            let missing = size.saturating_sub(inner.now().lot.len()).min(at_once);
            while dials.len() < missing {
                // Without leave it is tried again at the next look.
                let Some(leave) = inner.around.descriptors.take() else {
                    if !std::mem::replace(&mut told, true) {
                        inner.tell_short();
                    }
                    break;
                };
                let inner = inner.clone();
                let emitter = inner.around.emitter.clone();
                dials.spawn(emitter.watched(async move {
                    let until = Instant::now() + PATIENCE;
                    let stream = inner.around.dialer.connect(&inner.address, until).await?;
                    if let Some(keepalive) = &inner.around.keepalive {
                        keepalive.apply(&stream);
                    }
                    Ok::<_, super::DialError>(Kept::new(stream, leave))
                }));
            }
        }
        let wake = pause.until.filter(|until| *until > now).map_or(next_look, |until| until.min(next_look));
        tokio::select! {
            () = inner.changed.notified() => {}
            () = sleep_until(wake) => {}
            Some(done) = dials.join_next() => match done {
                Ok(Ok(kept)) => {
                    pause.failing = false;
                    let mut state = inner.now();
                    if state.run != run {
                        return;
                    }
                    state.lot.add(kept);
                }
                _ => pause.fail(Instant::now()),
            },
        }
    }
}

/// How long nothing is dialled after a failure.
#[derive(Debug, Default)]
struct Pause {
    until: Option<Instant>,
    wait: Duration,
    /// Whether the last dial failed.
    failing: bool,
}

impl Pause {
    fn lasts(&self, now: Instant) -> bool {
        self.until.is_some_and(|until| now < until)
    }

    /// A dial has failed, or was as good as failed. Those that were begun together count once.
    fn fail(&mut self, now: Instant) {
        if self.lasts(now) {
            return;
        }
        let long_ago = self.until.is_none_or(|until| now.saturating_duration_since(until) > LONGEST_WAIT);
        if long_ago && !self.failing {
            self.wait = Duration::ZERO;
        }
        self.wait = (self.wait * 2).clamp(FIRST_WAIT, LONGEST_WAIT);
        self.until = Some(now + self.wait);
        self.failing = true;
    }
}

#[cfg(test)]
#[path = "pool_tests.rs"]
mod tests;
