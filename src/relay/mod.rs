//! Moving bytes between two ends, faithfully: every byte, half-close and reset passes as it came.
//!
//! Two pumps, one a direction, in one task, with the time limits around them. The relay owns both ends and how they are
//! ended. It knows nothing of routes, listeners or where an end came from.

mod alarm;
mod close;
#[cfg(test)]
mod fake;
mod machine;
mod pool;
mod pump;
mod tcp;
#[cfg(test)]
mod tests;
mod transport;

use std::future::poll_fn;
use std::io;
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

pub use alarm::Alarm;
pub use close::{close, discard};
pub use transport::{PeerEnd, Transport};

use crate::observe::{Ending, Meter, Side};
use machine::Machine;

/// How long a relay may take over things.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Without progress, once one direction has ended.
    pub half_close: Duration,
    /// Without a byte in either direction.
    pub idle: Option<Duration>,
    /// The end of its life.
    pub until: Option<Instant>,
    /// While draining: without a byte in either direction, when none is held.
    pub drain_idle: Option<Duration>,
}

/// How a connection is told to stop.
#[derive(Clone, Debug, Default)]
pub struct Stop {
    /// The program is stopping: finish.
    pub drain: CancellationToken,
    /// Time is up: end now.
    pub cut: CancellationToken,
}

/// How a relay ended.
#[derive(Debug)]
pub struct Outcome {
    /// Why.
    pub ending: Ending,
    /// Who brought it about.
    pub side: Side,
    /// What the system said, where it said anything.
    pub error: Option<io::Error>,
}

/// Moves bytes until the connection has ended, and ends both sides accordingly.
pub async fn relay<C: Transport, U: Transport>(
    client: C,
    upstream: U,
    limits: &Limits,
    stop: &Stop,
    meter: &Meter,
) -> Outcome {
    let outcome = {
        let mut machine = Box::pin(Machine::new(&client, &upstream, limits, stop, meter));
        poll_fn(|cx| machine.as_mut().poll(cx)).await
    };
    match (outcome.ending, outcome.side) {
        (Ending::PeerFin, _) => {}
        (Ending::PeerReset | Ending::Error, Side::Client) => upstream.abort(),
        (Ending::PeerReset | Ending::Error, Side::Upstream) => client.abort(),
        (Ending::Drain, _) if stop.cut.is_cancelled() => {
            client.abort();
            upstream.abort();
        }
        _ => {
            tokio::join!(close(client), close(upstream));
        }
    }
    outcome
}
