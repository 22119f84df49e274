//! Descriptors are a budget: what connections may use is the limit less what control and names need.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::upstream::{Descriptors, Leave};

/// Kept free for control, logs, reloads and resolving names.
const RESERVE: u64 = 16;

/// What a connection takes: a descriptor a side.
const PER_CONNECTION: u64 = 2;

/// More than this is never counted out.
const PLENTY: u64 = 1 << 24;

/// What a route sets aside: its listener and a client in hand make as much as one connection, the slot of its own is
/// another, and so is the client that was in hand when it stopped accepting.
const SET_ASIDE: u32 = 3;

/// So many routes can come while the budget is spent, where there is room to keep some for them.
const SPARE: usize = 16;

/// Of what is kept free, so many descriptors are for health checks: they go on when the rest is spent.
const CHECKS: usize = 4;

/// One in so many may be held for nobody who has come: by pools, by the races of addresses. Clients go first.
const UNASKED: usize = 4;

/// One in so many is left to pipes, which carry bytes in bulk: a pipe takes what a connection takes. Where there are few,
/// none is, and bytes in bulk are copied.
const PIPES: u64 = 16;

/// More pipes than this are of no use: no more connections than that move bytes in bulk at the same moment.
const MOST_PIPES: u64 = 256;

/// At most so many connections to the control API.
pub const CONTROL_CONNECTIONS: usize = 256;

/// How many connections may be open at once in this process. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Budget {
    /// Kept for routes that come while the rest is spent.
    spare: Arc<Semaphore>,
    shared: Arc<Semaphore>,
    /// What of it may be held for nobody who has come.
    unasked: Arc<Semaphore>,
    /// What of the reserve is for health checks.
    checks: Arc<Semaphore>,
    /// What there was before any route took its share.
    total: usize,
    routes: Arc<AtomicUsize>,
    control: usize,
    pipes: usize,
}

/// A route's access to the budget: what is shared, and one slot that no other route can take, so that a flood on one
/// route does not shut out another. Room for its listener, for one client in hand, and
/// for the one that was in hand when it stopped accepting, is set aside with it.
#[derive(Debug)]
pub struct Share {
    own: Arc<Semaphore>,
    /// For a client in hand when its route stops accepting.
    last: Arc<Semaphore>,
    budget: Budget,
    /// None: handed on.
    set_aside: Mutex<Option<OwnedSemaphorePermit>>,
}

/// The right to hold one connection.
#[derive(Debug)]
pub struct Slot {
    _permit: OwnedSemaphorePermit,
}

impl Budget {
    /// Counts what the limit leaves for routes. To be called when everything else is open.
    pub fn of_process() -> Self {
        let limit = getrlimit(Resource::Nofile).current.unwrap_or(PLENTY);
        // Control has places of its own, more of them where there are many.
        let control = (limit / 8).clamp(4, CONTROL_CONNECTIONS as u64);
        let left = limit.saturating_sub(RESERVE + control + open_now());
        let most = |n: u64| usize::try_from(n).unwrap_or(usize::MAX);
        let left = (left / PER_CONNECTION).min(PLENTY);
        let pipes = (left / PIPES).min(MOST_PIPES);
        Budget { control: most(control), pipes: most(pipes), ..Self::new(most(left - pipes)) }
    }

    /// A budget of so many connections, or, two for each, of routes.
    pub fn new(total: usize) -> Self {
        let most = total.min(Semaphore::MAX_PERMITS);
        let spare = (most / 32).min(SPARE) * SET_ASIDE as usize;
        Budget {
            spare: Arc::new(Semaphore::new(spare)),
            shared: Arc::new(Semaphore::new(most - spare)),
            unasked: Arc::new(Semaphore::new((most - spare) / UNASKED)),
            checks: Arc::new(Semaphore::new(CHECKS)),
            total: most - spare,
            routes: Arc::default(),
            control: 0,
            pipes: 0,
        }
    }

    /// What one more route may draw on; none when there is no room for one.
    pub fn share(&self) -> Option<Share> {
        let set_aside = self
            .shared
            .clone()
            .try_acquire_many_owned(SET_ASIDE)
            .or_else(|_| self.spare.clone().try_acquire_many_owned(SET_ASIDE))
            .ok()?;
        let one = || Arc::new(Semaphore::new(1));
        Some(Share::new(self.clone(), set_aside, one(), one()))
    }

    /// How many connections may be open at once, of all routes.
    pub fn size(&self) -> usize {
        self.total.saturating_sub(2 * self.routes.load(Relaxed))
    }

    /// How many pipes there may be.
    pub fn pipes(&self) -> usize {
        self.pipes
    }

    /// How many connections there may be to the control API.
    pub fn control(&self) -> usize {
        self.control
    }
}

impl Descriptors for Budget {
    fn take(&self) -> Option<Leave> {
        let unasked = self.unasked.clone().try_acquire_owned().ok()?;
        let shared = self.shared.clone().try_acquire_owned().ok()?;
        Some(Box::new((unasked, shared)))
    }

    fn take_for_check(&self) -> Option<Leave> {
        let reserved = self.checks.clone().try_acquire_owned();
        reserved.ok().map(|permit| Box::new(permit) as Leave).or_else(|| self.take())
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.budget.routes.fetch_sub(1, Relaxed);
    }
}

impl Share {
    fn new(
        budget: Budget,
        set_aside: OwnedSemaphorePermit,
        own: Arc<Semaphore>,
        last: Arc<Semaphore>,
    ) -> Self {
        budget.routes.fetch_add(1, Relaxed);
        Share { own, last, budget, set_aside: Mutex::new(Some(set_aside)) }
    }

    /// A share for a route that comes in the place of this one's, which listens no more. What was set aside changes hands,
    /// and so do its slots: one that a connection of the old route still has is not there twice.
    pub fn hand_on(&self) -> Option<Share> {
        let set_aside = self.set_aside.lock().unwrap_or_else(PoisonError::into_inner).take()?;
        Some(Share::new(self.budget.clone(), set_aside, self.own.clone(), self.last.clone()))
    }

    /// How many connections may be open at once, of all routes.
    pub fn size(&self) -> usize {
        self.budget.size()
    }

    /// A slot, if one is free.
    pub fn try_take(&self) -> Option<Slot> {
        let permit =
            self.budget.shared.clone().try_acquire_owned().or_else(|_| self.own.clone().try_acquire_owned());
        permit.ok().map(|permit| Slot { _permit: permit })
    }

    /// A place for a client in hand when there is none and nobody waits any more; at most one at a time has it.
    pub fn try_take_last(&self) -> Option<Slot> {
        self.last.clone().try_acquire_owned().ok().map(|permit| Slot { _permit: permit })
    }

    /// A slot, as soon as one is free.
    pub async fn take(&self) -> Slot {
        let permit = tokio::select! {
            biased;
            permit = self.budget.shared.clone().acquire_owned() => permit,
            permit = self.own.clone().acquire_owned() => permit,
        };
        match permit {
            Ok(permit) => Slot { _permit: permit },
            // The semaphores are never closed.
            Err(_) => std::future::pending().await,
        }
    }
}

/// Raises the soft limit of open files to the hard one.
pub fn raise_limit() {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    // Where that is refused the old limit holds, and is what gets counted.
    let _ = setrlimit(Resource::Nofile, raised);
}

fn open_now() -> u64 {
    const A_FEW: u64 = 32;
    std::fs::read_dir("/dev/fd").map_or(A_FEW, |entries| entries.count() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_on_one_route_leaves_another_its_slot() {
        let budget = Budget::new(9);
        let (greedy, modest) = (budget.share().unwrap(), budget.share().unwrap());
        assert_eq!(budget.size(), 5);
        let taken: Vec<Slot> = std::iter::from_fn(|| greedy.try_take()).collect();
        assert_eq!(taken.len(), 4);
        let slot = modest.try_take();
        assert!(slot.is_some() && modest.try_take().is_none());
        drop(taken);
        assert!(modest.try_take().is_some());
    }

    #[test]
    fn what_nobody_has_come_for_leaves_room_for_clients() {
        let budget = Budget::new(23);
        let route = budget.share().unwrap();
        let unasked: Vec<Leave> = std::iter::from_fn(|| budget.take()).collect();
        assert_eq!(unasked.len(), 5);
        let clients: Vec<Slot> = std::iter::from_fn(|| route.try_take()).collect();
        assert_eq!(clients.len(), budget.size() - unasked.len());
        let checks: Vec<Leave> = (0..CHECKS).filter_map(|_| budget.take_for_check()).collect();
        assert_eq!((checks.len(), budget.take_for_check().is_none()), (CHECKS, true));
        drop(unasked);
        assert!(budget.take().is_some());
    }

    #[test]
    fn what_was_set_aside_can_change_hands() {
        let budget = Budget::new(3);
        let old = budget.share().unwrap();
        assert!(budget.share().is_none());
        let kept = old.try_take().unwrap();
        let new = old.hand_on().unwrap();
        assert!(old.hand_on().is_none());
        assert!(new.try_take().is_none(), "a connection that outlives its route still has the slot");
        drop(kept);
        assert!(new.try_take().is_some());
        drop((old, new));
        assert!(budget.share().is_some());
    }

    #[test]
    fn a_route_can_come_while_the_budget_is_spent() {
        let budget = Budget::new(320);
        let route = budget.share().unwrap();
        let _taken: Vec<Slot> = std::iter::from_fn(|| route.try_take()).collect();
        assert!((0..10).all(|_| budget.share().is_some()));
    }

    #[test]
    fn a_route_that_goes_gives_its_share_back() {
        let budget = Budget::new(6);
        let shares = [budget.share().unwrap(), budget.share().unwrap()];
        assert!(budget.share().is_none());
        drop(shares);
        assert!(budget.share().is_some() && budget.share().is_some());
        assert_eq!(budget.size(), 6);
    }
}
