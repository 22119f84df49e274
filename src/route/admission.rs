//! How clients come in: accepted, numbered, and what befalls each decided, in accept order.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use tokio::time::Instant;

use super::connection::{self, Ticket};
use super::faults::Admitted;
use super::life::Life;
use super::limiter::Arrival;
use super::{Accepted, Listener, Route};
use crate::observe::{AcceptError, Fact, Meter};

impl Route {
    /// Accepts clients until `stop`, each served in a task of its own.
    pub async fn accept(self: &Arc<Self>, listener: &Listener, stop: impl Future<Output = ()>) {
        let accept = |accepted| self.serve(accepted);
        let failed = |error: &std::io::Error| self.tell_failed(error);
        listener.run(&self.share, stop, accept, failed, || self.tell_spent()).await;
    }

    /// Accepts the clients that the system already holds.
    pub fn accept_waiting(self: &Arc<Self>, listener: &Listener) {
        listener.take_waiting(&self.share, |accepted| self.serve(accepted), |error| self.tell_failed(error));
    }

    // A bug in what is done for one client must not keep the others out: each of these three survives it.

    fn serve(self: &Arc<Self>, accepted: Accepted) {
        self.common.emitter.survive(|| {
            let arrival = self.limiter.arrive(Instant::now());
            let ticket = self.admit(&accepted, arrival);
            let task = connection::serve(self.clone(), accepted, ticket, self.common.stop.clone());
            self.common.connections.spawn(task);
        });
    }

    fn tell_failed(&self, error: &std::io::Error) {
        let (route, reason) = (self.name.clone(), AcceptError::of(error));
        let fact = Fact::AcceptFailed { route, error: error.to_string().into(), reason };
        self.common.emitter.survive(|| self.tell(fact));
    }

    fn tell_spent(&self) {
        let fact = Fact::BudgetSpent { route: self.name.clone(), connections: self.share.size() };
        self.common.emitter.survive(|| self.tell(fact));
    }

    /// Numbers a connection and decides what befalls it: called in accept order, also for one that the limits refuse. Whom a
    /// fault takes hangs on the numbers alone, not on how fast others came and went.
    fn admit(&self, accepted: &Accepted, arrival: Arrival) -> Ticket {
        let id = self.common.ids.fetch_add(1, Ordering::Relaxed) + 1;
        let meter = Meter::new(self.stats.clone());
        let mut now = self.now();
        now.accepted += 1;
        let numbers = (now.accepted, id);
        let dice = now.faults.dice_of(now.accepted);
        let life = Arc::new(Life::new(self.name.clone(), numbers, accepted.client, accepted.at, meter, dice));
        let Admitted { taken, on_dial, orders } = now.faults.admit(life.clone());
        Ticket { life, terms: now.terms.clone(), arrival, taken, on_dial, orders }
    }
}
