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
    slots: Arc<Semaphore>,
    size: usize,
}

/// The right to hold one connection.
#[derive(Debug)]
pub struct Slot {
    _permit: OwnedSemaphorePermit,
}

impl Budget {
    /// Counts what the limit leaves for connections. To be called when everything else is open; each listener may have
    /// one more client in hand.
    pub fn of_process(listeners: usize) -> Self {
        let limit = getrlimit(Resource::Nofile).current.unwrap_or(PLENTY);
        let kept = RESERVE + listeners as u64 + open_now();
        let left = limit.saturating_sub(kept);
        Self::new((left / PER_CONNECTION).clamp(1, PLENTY) as usize)
    }

    /// A budget of so many connections.
    pub fn new(size: usize) -> Self {
        Budget { slots: Arc::new(Semaphore::new(size)), size }
    }

    /// How many connections may be open at once.
    pub fn size(&self) -> usize {
        self.size
    }

    /// A slot, if one is free.
    pub fn try_take(&self) -> Option<Slot> {
        self.slots.clone().try_acquire_owned().ok().map(|permit| Slot { _permit: permit })
    }

    /// A slot, as soon as one is free.
    pub async fn take(&self) -> Slot {
        match self.slots.clone().acquire_owned().await {
            Ok(permit) => Slot { _permit: permit },
            // The semaphore is never closed.
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
