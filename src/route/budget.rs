//! Descriptors are a budget: what connections may use is the limit less what control and names need.

use std::sync::Arc;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Kept free for control, logs, reloads and resolving names.
const RESERVE: u64 = 16;

/// What a connection takes: a descriptor a side.
const PER_CONNECTION: u64 = 2;

/// More than this is never counted out.
const PLENTY: u64 = 1 << 24;

/// How many connections may be open at once in this process. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Budget {
    shared: Arc<Semaphore>,
    size: usize,
}

/// A route's access to the budget: what is shared, and one slot that no other route can take, so that a flood on one
/// route does not shut out another.
#[derive(Debug)]
pub struct Share {
    own: Arc<Semaphore>,
    shared: Arc<Semaphore>,
    size: usize,
}

/// The right to hold one connection.
#[derive(Debug)]
pub struct Slot {
    _permit: OwnedSemaphorePermit,
}

impl Budget {
    /// Counts what the limit leaves for connections. To be called when everything else is open; each listener may have
    /// one more client in hand. None: not even one a listener.
    pub fn of_process(listeners: usize) -> Option<Self> {
        let limit = getrlimit(Resource::Nofile).current.unwrap_or(PLENTY);
        let left = limit.saturating_sub(RESERVE + listeners as u64 + open_now());
        let size = usize::try_from((left / PER_CONNECTION).min(PLENTY)).unwrap_or(usize::MAX);
        (size >= listeners).then(|| Self::new(size, listeners))
    }

    /// A budget of so many connections for so many routes.
    pub fn new(size: usize, routes: usize) -> Self {
        Budget { shared: Arc::new(Semaphore::new(size.saturating_sub(routes))), size }
    }

    /// What one route may draw on.
    pub fn share(&self) -> Share {
        Share { own: Arc::new(Semaphore::new(1)), shared: self.shared.clone(), size: self.size }
    }

    /// How many connections may be open at once.
    pub fn size(&self) -> usize {
        self.size
    }
}

impl Share {
    /// How many connections may be open at once, of all routes.
    pub fn size(&self) -> usize {
        self.size
    }

    /// A slot, if one is free.
    pub fn try_take(&self) -> Option<Slot> {
        let permit =
            self.shared.clone().try_acquire_owned().or_else(|_| self.own.clone().try_acquire_owned());
        permit.ok().map(|permit| Slot { _permit: permit })
    }

    /// A slot, as soon as one is free.
    pub async fn take(&self) -> Slot {
        let permit = tokio::select! {
            biased;
            permit = self.shared.clone().acquire_owned() => permit,
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
        let budget = Budget::new(5, 2);
        let (greedy, modest) = (budget.share(), budget.share());
        let taken: Vec<Slot> = std::iter::from_fn(|| greedy.try_take()).collect();
        assert_eq!(taken.len(), 4);
        let slot = modest.try_take();
        assert!(slot.is_some() && modest.try_take().is_none());
        drop(taken);
        assert!(modest.try_take().is_some());
    }
}
