//! Moving bytes between two ends, faithfully: every byte, half-close and reset passes as it came.
//!
//! Two pumps, one a direction, in one task, with the time limits around them. The relay owns both ends and how they are
//! ended. It knows nothing of routes, listeners or where an end came from.

mod alarm;
mod block;
mod carry;
mod close;
#[cfg(test)]
mod fake;
mod gear;
pub mod keepalive;
mod machine;
mod orders;
mod pipe;
mod pool;
mod pump;
mod send;
mod tcp;
#[cfg(test)]
mod tests;
mod transport;

use std::future::poll_fn;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

pub use alarm::{Alarm, FineAlarm, until};
pub use close::{close, discard};
pub use keepalive::KeepAlive;
pub use machine::ending_of;
pub use orders::{Dismissal, Orders, dismissed};
pub use pipe::{Pipe, Pipes};
pub use send::send_all;
pub use transport::{PeerEnd, Transport};

use crate::fault::Active;
use crate::fault::link::Deed;
use crate::fault::stream::Cut;
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
    /// How many bytes the faults of one direction may hold; then the sender waits.
    pub held: usize,
}

/// What a relay works with.
#[derive(Clone, Copy)]
pub struct Means<'a> {
    /// Where bytes are counted.
    pub meter: &'a Meter,
    /// What bytes in bulk may be moved through while no fault needs to see them.
    pub pipes: &'a Pipes,
    /// Told of each fault that takes effect.
    pub fired: &'a (dyn Fn(&Active) + Sync),
}

/// How a connection is told to stop.
#[derive(Clone, Debug, Default)]
pub struct Stop {
    /// The program is stopping: finish.
    pub drain: CancellationToken,
    /// Time is up: end now.
    pub cut: CancellationToken,
    /// Who is to finish and has been silent for this long, with no byte held, has finished.
    pub idle: Arc<Mutex<Option<Duration>>>,
}

impl Stop {
    /// Everything ends now; also what only was to begin nothing new.
    pub fn now(&self) {
        self.drain.cancel();
        self.cut.cancel();
    }

    /// How long one who is to finish may be silent.
    fn idle(&self) -> Option<Duration> {
        *self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How a relay ended.
#[derive(Debug)]
pub struct Outcome {
    /// Why.
    pub ending: Ending,
    /// Who brought it about.
    pub side: Side,
    /// What the system said, where it said anything.
    pub error: Option<String>,
    /// The fault that ended it, and how.
    pub cut: Option<Cutting>,
    /// What faults did while it lasted.
    pub deeds: Vec<Deed>,
    /// When that was clear; to end both sides took a moment more.
    pub at: Instant,
    /// A side broke when its end of stream had been passed on already.
    after_fin: bool,
    /// Both sides are ended by RST, because it was said so.
    abrupt: bool,
}

/// A fault ends a connection.
#[derive(Clone, Debug)]
pub struct Cutting {
    /// How.
    pub cut: Cut,
    /// Which fault; none when it is gone already.
    pub by: Option<Arc<Active>>,
}

impl Outcome {
    fn new(ending: Ending, side: Side) -> Self {
        Outcome {
            ending,
            side,
            error: None,
            cut: None,
            deeds: Vec::new(),
            at: Instant::now(),
            after_fin: false,
            abrupt: false,
        }
    }

    fn cut(cutting: Cutting) -> Self {
        let abrupt = matches!(cutting.cut, Cut::Reset | Cut::ResetNow);
        Outcome { cut: Some(cutting), abrupt, ..Outcome::new(Ending::Fault, Side::None) }
    }

    /// The end that somebody ordered; none for one who is only to finish.
    fn ordered(end: Dismissal) -> Option<Self> {
        let (ending, abrupt) = match end {
            Dismissal::Finish => return None,
            Dismissal::Close => (Ending::Control, false),
            Dismissal::Reset => (Ending::Control, true),
            Dismissal::Cut => (Ending::Drain, true),
        };
        Some(Outcome { abrupt, ..Outcome::new(ending, Side::None) })
    }
}

/// Moves bytes until the connection has ended, and ends both sides accordingly.
///
/// `orders` say what goes wrong, now and whenever it changes, and when to end.
#[allow(
    clippy::manual_async_fn,
    reason = "an `async fn` keeps its arguments twice, for as long as the connection lives"
)]
pub fn relay<C: Transport, U: Transport>(
    client: C,
    upstream: U,
    limits: &Limits,
    stop: &Stop,
    mut orders: watch::Receiver<Orders>,
    means: Means<'_>,
) -> impl Future<Output = Outcome> + Send {
    async move {
        let outcome = {
            let mut machine = Box::new(Machine::new(&client, &upstream, limits, means, orders.clone()));
            let mut ended = machine.adopt();
            let mut orders_go_on = true;
            let mut draining = false;
            machine.finish_when_silent(stop.idle().filter(|_| machine.is_to_finish()));
            while ended.is_none() {
                tokio::select! {
                    biased;
                    () = stop.cut.cancelled() => ended = Outcome::ordered(Dismissal::Cut),
                    () = stop.drain.cancelled(), if !draining => {
                        draining = true;
                        machine.finish_when_silent(stop.idle());
                    }
                    changed = orders.changed(), if orders_go_on => {
                        orders_go_on = changed.is_ok();
                        ended = machine.adopt();
                        let finishing = draining || machine.is_to_finish();
                        machine.finish_when_silent(stop.idle().filter(|_| finishing));
                    }
                    outcome = poll_fn(|cx| machine.poll(cx)) => ended = Some(outcome),
                }
            }
            machine.tell_fired();
            let deeds = machine.deeds();
            ended.map(|outcome| Outcome { deeds, at: Instant::now(), ..outcome })
        };
        // The loop ends with an outcome only.
        let outcome = outcome.unwrap_or_else(|| Outcome::new(Ending::Error, Side::None));
        match outcome.last_word() {
            LastWord::None => {}
            LastWord::Abort { client: of_client, upstream: of_upstream } => {
                if of_client {
                    client.abort();
                }
                if of_upstream {
                    upstream.abort();
                }
            }
            // Boxed: it is over in a moment, and a relay lives long.
            LastWord::Close { client: of_client, upstream: of_upstream } => {
                let client = async {
                    if of_client {
                        close(client).await;
                    }
                };
                let upstream = async {
                    if of_upstream {
                        close(upstream).await;
                    }
                };
                Box::pin(async { tokio::join!(client, upstream) }).await;
            }
        }
        outcome
    }
}

/// How the two ends are ended, those that are.
enum LastWord {
    /// They are only let go.
    None,
    /// By RST.
    Abort { client: bool, upstream: bool },
    /// By FIN.
    Close { client: bool, upstream: bool },
}

impl Outcome {
    fn last_word(&self) -> LastWord {
        let (client, upstream) = match self.side {
            // Who has broken hears nothing any more.
            Side::Client => (false, true),
            Side::Upstream => (true, false),
            Side::None => (true, true),
        };
        match self.ending {
            _ if self.abrupt => LastWord::Abort { client: true, upstream: true },
            Ending::PeerFin => LastWord::None,
            // After FIN the system does not tell what it has not sent yet, and an RST would take that away. Whatever the
            // peer still sends is answered by RST all the same.
            Ending::PeerReset | Ending::Error if self.side != Side::None && self.after_fin => {
                LastWord::Close { client, upstream }
            }
            Ending::PeerReset | Ending::Error if self.side != Side::None => {
                LastWord::Abort { client, upstream }
            }
            _ => LastWord::Close { client: true, upstream: true },
        }
    }
}
