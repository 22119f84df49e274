//! What a connection is told while it lives: what goes wrong on it now, and when it is to end.

use std::sync::Arc;

use tokio::sync::watch;

use crate::fault::Plan;

/// The latest word to a connection. A new one wakes it, whatever it waits for.
#[derive(Clone, Debug, Default)]
pub struct Orders {
    /// What goes wrong on it.
    pub plan: Arc<Plan>,
    /// How it is to end, once somebody wants it to.
    pub end: Option<Dismissal>,
}

/// How a connection is told to end. A later one in this list overrules an earlier one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Dismissal {
    /// Finish: nothing new will come.
    Finish,
    /// End by FIN.
    Close,
    /// End by RST.
    Reset,
    /// It did not finish in time: end by RST.
    Cut,
}

impl Orders {
    /// These faults, and no end.
    pub fn of(plan: Arc<Plan>) -> Self {
        Orders { plan, end: None }
    }
}

/// Waits until a connection is told to end, and not merely to finish.
pub async fn dismissed(orders: &mut watch::Receiver<Orders>) -> Dismissal {
    let told = orders.wait_for(|orders| orders.end.is_some_and(|end| end > Dismissal::Finish)).await;
    let end = told.ok().and_then(|orders| orders.end);
    match end {
        Some(end) => end,
        // Nobody is left who could say so.
        None => std::future::pending().await,
    }
}
