//! The limits of a route at work: one turnstile for all its clients, and what each of them holds while it waits or is
//! inside.

#[cfg(test)]
mod tests;

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;
use tokio::time::Instant;

use super::turnstile::{Answer, Turnstile, Why};
use super::{Limits, at};

/// Lets clients in as the limits say.
#[derive(Debug)]
pub(super) struct Limiter {
    /// Whether there is any limit; where there is none, nobody takes the lock.
    limited: AtomicBool,
    /// Counted also where there is no limit, because there may be one later.
    inside: AtomicUsize,
    turnstile: Mutex<Turnstile<Arc<Caller>>>,
}

/// What becomes of a client that arrives.
#[derive(Debug)]
pub(super) enum Arrival {
    /// It enters.
    Enter(Place),
    /// It waits for its turn.
    Wait(Turn),
    /// It is not let in.
    Refuse(Why),
}

/// A client's place inside, until it is dropped; then the next one may have it.
#[derive(Debug)]
pub(super) struct Place(Arc<Limiter>);

/// A client's place in line. Dropped, it gives up, and who stands behind it moves up.
#[derive(Debug)]
pub(super) struct Turn {
    limiter: Arc<Limiter>,
    ticket: u64,
    caller: Arc<Caller>,
}

/// How one who waits is told.
#[derive(Debug, Default)]
struct Caller {
    /// What has been decided, until it is heard.
    verdict: Mutex<Option<Result<(), Why>>>,
    /// It has been decided, or it is the head of the line now.
    wake: Notify,
}

impl Limiter {
    /// For a route that nobody has come to yet.
    pub(super) fn new(limits: Limits) -> Arc<Self> {
        Arc::new(Limiter {
            limited: AtomicBool::new(is_limited(&limits)),
            inside: AtomicUsize::new(0),
            turnstile: Mutex::new(Turnstile::new(limits, Instant::now())),
        })
    }

    /// A client arrives: called in accept order.
    pub(super) fn arrive(self: &Arc<Self>, now: Instant) -> Arrival {
        if !self.limited.load(SeqCst) {
            return Arrival::Enter(self.enter());
        }
        let mut turnstile = self.lock();
        self.settle(&mut turnstile, now);
        match turnstile.arrive(now, self.inside.load(SeqCst)) {
            Answer::Enter => Arrival::Enter(self.enter()),
            Answer::Refuse(why) => Arrival::Refuse(why),
            Answer::Wait => {
                let caller = Arc::<Caller>::default();
                let ticket = turnstile.line_up(now, caller.clone());
                Arrival::Wait(Turn { limiter: self.clone(), ticket, caller })
            }
        }
    }

    /// Other limits hold from now on, also for those who wait. Who is inside stays.
    pub(super) fn change(&self, limits: Limits) {
        let mut turnstile = self.lock();
        let now = Instant::now();
        self.limited.store(true, SeqCst);
        turnstile.change(limits, now);
        self.settle(&mut turnstile, now);
        self.limited.store(is_limited(&limits), SeqCst);
    }

    /// How many wait.
    pub(super) fn waiting(&self) -> usize {
        self.lock().waiting()
    }

    fn enter(self: &Arc<Self>) -> Place {
        self.inside.fetch_add(1, SeqCst);
        Place(self.clone())
    }

    /// Calls all whose waiting is over, and lets the head of the line look at the clock anew.
    fn settle(&self, turnstile: &mut Turnstile<Arc<Caller>>, now: Instant) {
        while let Some((caller, verdict)) = turnstile.call(now, self.inside.load(SeqCst)) {
            if verdict.is_ok() {
                self.inside.fetch_add(1, SeqCst);
            }
            *caller.verdict() = Some(verdict);
            caller.wake.notify_one();
        }
        if let Some(head) = turnstile.head() {
            head.wake.notify_one();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Turnstile<Arc<Caller>>> {
        self.turnstile.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.inside.fetch_sub(1, SeqCst);
        if self.0.limited.load(SeqCst) {
            self.0.settle(&mut self.0.lock(), Instant::now());
        }
    }
}

impl Turn {
    /// Waits until it is this client's turn, or until it has waited long enough.
    pub(super) async fn wait(self) -> Result<Place, Why> {
        loop {
            if let Some(verdict) = self.caller.verdict().take() {
                return verdict.map(|()| Place(self.limiter.clone()));
            }
            let limiter = &self.limiter;
            let due = limiter.lock().due(self.ticket, Instant::now(), limiter.inside.load(SeqCst));
            tokio::select! {
                biased;
                () = self.caller.wake.notified() => {}
                () = at(due) => limiter.settle(&mut limiter.lock(), Instant::now()),
            }
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let mut turnstile = self.limiter.lock();
        let was_head = turnstile.head().is_some_and(|head| Arc::ptr_eq(head, &self.caller));
        turnstile.give_up(self.ticket);
        // It was let in and never heard of it.
        let unused = matches!(self.caller.verdict().take(), Some(Ok(())));
        if unused {
            self.limiter.inside.fetch_sub(1, SeqCst);
            turnstile.never_entered();
        }
        if was_head || unused {
            self.limiter.settle(&mut turnstile, Instant::now());
        }
    }
}

impl Caller {
    fn verdict(&self) -> MutexGuard<'_, Option<Result<(), Why>>> {
        self.verdict.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn is_limited(limits: &Limits) -> bool {
    limits.connections.is_some() || limits.rate.is_some()
}
