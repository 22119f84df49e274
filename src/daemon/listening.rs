//! A route that listens: its socket, and the task that accepts on it.

use std::sync::Arc;

use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::route::{Listener, Route};

/// Accepts for a route until it is closed or handed over.
#[derive(Debug)]
pub(super) struct Listening {
    listener: Arc<Listener>,
    stop: oneshot::Sender<Then>,
    task: JoinHandle<()>,
}

/// What becomes of the socket when a route stops accepting.
#[derive(Debug)]
enum Then {
    /// Clients that the system holds are accepted, and it closes.
    Close,
    /// Somebody else goes on with it.
    HandOver,
}

impl Listening {
    /// Begins to accept; `cut` ends it at once.
    pub(super) fn start(route: Arc<Route>, listener: Arc<Listener>, cut: CancellationToken) -> Self {
        route.listens(Some(listener.address()));
        let (stop, stopped) = oneshot::channel();
        let emitter = route.emitter().clone();
        let task = emitter.spawn(accept(route, listener.clone(), stopped, cut));
        Listening { listener, stop, task }
    }

    /// Accepts what waits, and closes. When this is done a new connect is refused.
    pub(super) async fn close(self) {
        drop(self.listener);
        // Where the task has ended already, it was cut.
        let _ = self.stop.send(Then::Close);
        let _ = self.task.await;
    }

    /// Gives the socket away; no client is lost between two who accept on it.
    pub(super) async fn hand_over(self) -> Arc<Listener> {
        let _ = self.stop.send(Then::HandOver);
        let _ = self.task.await;
        self.listener
    }
}

async fn accept(
    route: Arc<Route>,
    listener: Arc<Listener>,
    stopped: oneshot::Receiver<Then>,
    cut: CancellationToken,
) {
    let mut then = None;
    let stop = async {
        // Whoever let go of it without a word wants it closed.
        then = stopped.await.ok();
    };
    tokio::select! {
        () = cut.cancelled() => return,
        () = route.accept(&listener, stop) => {}
    }
    if let Some(Then::Close) = then {
        route.accept_waiting(&listener);
    }
}
