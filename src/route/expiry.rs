//! Faults that are there for a time: who takes them out when it is over.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};

use tokio::sync::Notify;
use tokio::time::Instant;

use super::{Route, at};
use crate::observe::Fact;

impl Route {
    /// Lets its faults go when their time is over, as long as it is there.
    pub fn watch_the_clock(self: &Arc<Self>) {
        self.common.emitter.spawn(expire_faults(Arc::downgrade(self), self.changed.clone()));
    }

    /// Takes out the faults whose time is over.
    fn expire(&self) {
        let gone = self.now().faults.expire(Instant::now());
        if gone.is_empty() {
            return;
        }
        let generation = &self.common.generation;
        let generation = if self.removed.load(Ordering::Relaxed) {
            generation.load(Ordering::Relaxed)
        } else {
            generation.fetch_add(1, Ordering::Relaxed) + 1
        };
        for fault in gone {
            self.tell(Fact::FaultExpired {
                route: self.name.clone(),
                fault: fault.name.clone(),
                effect: fault.effect.word(),
                generation,
            });
        }
    }
}

/// Takes faults out when their time is over, as long as there is the route: also while its connections only finish.
async fn expire_faults(route: Weak<Route>, changed: Arc<Notify>) {
    loop {
        let Some(next) = route.upgrade().map(|route| route.now().faults.next_expiry()) else { return };
        tokio::select! {
            () = changed.notified() => continue,
            () = at(next) => {}
        }
        if let Some(route) = route.upgrade() {
            route.expire();
        }
    }
}
