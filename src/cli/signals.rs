//! The signals that stop the program.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

/// A request to stop.
#[derive(Clone, Copy, Debug)]
pub(super) enum Stop {
    /// Ctrl-C.
    Interrupt,
    /// What supervisors and containers send.
    Terminate,
}

impl Stop {
    pub(super) fn number(self) -> u8 {
        match self {
            Stop::Interrupt => 2,
            Stop::Terminate => 15,
        }
    }
}

/// Hears signals from the moment it is made. As PID 1, where a signal nobody hears is lost, this is what makes it stop.
pub(super) struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hangup: Signal,
}

impl Signals {
    pub(super) fn hear() -> io::Result<Self> {
        Ok(Signals {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    /// The next request to stop; `hung_up` is told of each SIGHUP before it.
    pub(super) async fn stop(&mut self, mut hung_up: impl FnMut()) -> Stop {
        loop {
            tokio::select! {
                _ = self.interrupt.recv() => return Stop::Interrupt,
                _ = self.terminate.recv() => return Stop::Terminate,
                _ = self.hangup.recv() => hung_up(),
            }
        }
    }
}
