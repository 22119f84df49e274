//! The circuit breaker of an endpoint: one that fails is left alone for a while, and then tried with a few connections.
//! The rules are the [`Circuit`]'s; here is the clock, the lock, and the telling.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::time::Instant;

use super::BreakerConfig;
use super::circuit::{Circuit, Era, Outcome};
use crate::observe::BreakerState;

/// Who is told of each change, and of the failure that opened it. It is told in the order of the changes, and so under the
/// lock: it must neither wait nor ask the breaker.
pub(super) type Tell = Box<dyn Fn(BreakerState, Option<&str>) + Send + Sync>;

/// The breaker of an endpoint.
pub(super) struct Breaker {
    config: BreakerConfig,
    circuit: Mutex<Circuit>,
    tell: Tell,
}

/// Leave to dial an endpoint. Dropped without a word, it says nothing about the endpoint, and another may have its place.
pub(super) struct Pass {
    breaker: Arc<Breaker>,
    /// None: its word has been given.
    era: Option<Era>,
}

impl Breaker {
    /// A closed one.
    pub(super) fn new(config: BreakerConfig, tell: Tell) -> Arc<Self> {
        Arc::new(Breaker { circuit: Mutex::new(Circuit::new(config.clone())), config, tell })
    }

    /// What it is built from.
    pub(super) fn config(&self) -> &BreakerConfig {
        &self.config
    }

    /// Leave to dial now, if it gives any.
    pub(super) fn pass(self: &Arc<Self>) -> Option<Pass> {
        let mut circuit = self.circuit();
        let (leave, changed) = circuit.pass(Instant::now());
        if let Some(state) = changed {
            (self.tell)(state, None);
        }
        leave.map(|era| Pass { breaker: self.clone(), era: Some(era) })
    }

    /// How it stands. When the time for which it is open is over it is half-open, though nobody has been let through yet.
    pub(super) fn state(&self) -> BreakerState {
        self.circuit().state(Instant::now())
    }

    fn over(&self, era: Era, outcome: Outcome, error: Option<&str>) {
        let mut circuit = self.circuit();
        if let Some(state) = circuit.over(era, outcome, Instant::now()) {
            (self.tell)(state, error);
        }
    }

    fn circuit(&self) -> MutexGuard<'_, Circuit> {
        self.circuit.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pass {
    /// The endpoint was reached.
    pub(super) fn succeeded(mut self) {
        self.say(Outcome::Succeeded, None);
    }

    /// It was not, for this reason.
    pub(super) fn failed(mut self, error: &str) {
        self.say(Outcome::Failed, Some(error));
    }

    fn say(&mut self, outcome: Outcome, error: Option<&str>) {
        if let Some(era) = self.era.take() {
            self.breaker.over(era, outcome, error);
        }
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        self.say(Outcome::Unknown, None);
    }
}

impl fmt::Debug for Breaker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Breaker").field("circuit", &self.circuit).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;
    use std::thread;
    use std::time::Duration;

    use super::super::Trip;
    use super::*;

    type Told = Arc<Mutex<Vec<(BreakerState, Option<String>)>>>;

    fn breaker(failures: u32, probes: u32) -> (Arc<Breaker>, Told) {
        let told = Told::default();
        let to = told.clone();
        let tell =
            move |state, error: Option<&str>| to.lock().unwrap().push((state, error.map(str::to_owned)));
        let (window, open) = (Duration::from_secs(30), Duration::from_secs(10));
        let config = BreakerConfig { trip: Trip::Failures(failures), window, open, probes };
        (Breaker::new(config, Box::new(tell)), told)
    }

    #[tokio::test(start_paused = true)]
    async fn each_change_is_told_once_with_what_opened_it() {
        let (breaker, told) = breaker(2, 1);
        breaker.pass().unwrap().failed("first");
        breaker.pass().unwrap().failed("second");
        assert!(breaker.pass().is_none());
        tokio::time::advance(Duration::from_secs(10)).await;
        assert_eq!((breaker.state(), told.lock().unwrap().len()), (BreakerState::HalfOpen, 1));
        // The first gives its place back, the second has it.
        drop(breaker.pass().unwrap());
        let pass = breaker.pass().unwrap();
        assert!(breaker.pass().is_none());
        pass.succeeded();
        let told = told.lock().unwrap().clone();
        let opened = (BreakerState::Open, Some("second".to_owned()));
        assert_eq!(told, [opened, (BreakerState::HalfOpen, None), (BreakerState::Closed, None)]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_hundred_together_do_not_let_a_hundred_through() {
        for probes in [1, 3, 7] {
            let (breaker, told) = breaker(1, probes);
            breaker.pass().unwrap().failed("down");
            tokio::time::advance(Duration::from_secs(10)).await;
            let passes = together(100, |_| breaker.pass());
            let passes: Vec<Pass> = passes.into_iter().flatten().collect();
            assert_eq!(passes.len(), probes as usize);
            passes.into_iter().for_each(Pass::succeeded);
            assert_eq!((breaker.state(), told.lock().unwrap().len()), (BreakerState::Closed, 3));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_many_threads_bring_about_is_told_in_order() {
        let (breaker, told) = breaker(2, 2);
        for round in 0..50 {
            together(20, |i| {
                if let Some(pass) = breaker.pass() {
                    match (i + round) % 4 {
                        0 => pass.succeeded(),
                        1 => drop(pass),
                        _ => pass.failed("it"),
                    }
                }
            });
            tokio::time::advance(Duration::from_secs(10)).await;
        }
        let mut state = BreakerState::Closed;
        for (next, error) in told.lock().unwrap().iter() {
            let may_follow = match state {
                BreakerState::Closed => *next == BreakerState::Open,
                BreakerState::Open => *next == BreakerState::HalfOpen,
                BreakerState::HalfOpen => *next != BreakerState::HalfOpen,
            };
            assert!(may_follow, "{state:?} then {next:?}");
            assert_eq!(error.is_some(), *next == BreakerState::Open);
            state = *next;
        }
        assert!(told.lock().unwrap().len() > 10);
    }

    /// The same on so many threads at one moment. A paused clock stands still for all of them.
    fn together<T: Send>(n: usize, work: impl Fn(usize) -> T + Sync) -> Vec<T> {
        let (barrier, handle) = (Barrier::new(n), tokio::runtime::Handle::current());
        thread::scope(|scope| {
            let each = |i| {
                let (barrier, handle, work) = (&barrier, handle.clone(), &work);
                scope.spawn(move || {
                    let _inside = handle.enter();
                    barrier.wait();
                    work(i)
                })
            };
            let threads: Vec<_> = (0..n).map(each).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        })
    }
}
