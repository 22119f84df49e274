//! How a connection ends, and the telling of it.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use tokio::net::TcpStream;
use tokio::time::Instant;

use super::Connection;
use crate::fault::link::Deed;
use crate::observe::{DeedDone, Ending, Fact, Side};
use crate::relay::{self, Dismissal, Transport};
use crate::route::turnstile::Why;

/// Why and by whom a connection ended.
pub(super) struct End {
    pub(super) ending: Ending,
    pub(super) side: Side,
    pub(super) fault: Option<Arc<str>>,
    pub(super) error: Option<Arc<str>>,
    pub(super) deeds: Vec<Deed>,
    /// When that was clear.
    pub(super) at: Instant,
    /// By RST, because it was said so.
    pub(super) abrupt: bool,
}

impl End {
    pub(super) fn new(ending: Ending, side: Side) -> Self {
        let at = Instant::now();
        End { ending, side, fault: None, error: None, deeds: Vec::new(), at, abrupt: false }
    }

    /// The end of one that the limits keep out.
    pub(super) fn refused(why: Why) -> Self {
        End { error: Some(why.to_string().into()), ..End::new(Ending::Limits, Side::None) }
    }

    /// The end that somebody ordered.
    pub(super) fn ordered(end: Dismissal) -> Self {
        let ending = if end == Dismissal::Cut { Ending::Drain } else { Ending::Control };
        End { abrupt: end >= Dismissal::Reset, ..End::new(ending, Side::None) }
    }
}

impl Connection<'_> {
    /// Ends a client that does not come in: by FIN, also for one that is still sending.
    pub(super) async fn turn_away(&self, client: TcpStream, end: End) -> End {
        match self.route.lingering.try_acquire() {
            Ok(_room) => relay::close(client).await,
            // Nothing was written to it, so that no reply is lost should this reset it.
            Err(_) => drop(client.shut_write()),
        }
        end
    }

    /// Ends a client that has no upstream.
    pub(super) async fn finish(&self, client: TcpStream, end: End) -> End {
        match end.ending {
            Ending::PeerReset | Ending::Error => drop(client),
            _ if end.abrupt => client.abort(),
            _ => relay::close(client).await,
        }
        end
    }

    pub(super) fn tell_closed(&self, end: End) {
        self.route.common.ended.fetch_add(1, Ordering::Relaxed);
        if end.ending == Ending::Drain && self.stop.cut.is_cancelled() {
            self.route.common.cut.fetch_add(1, Ordering::Relaxed);
        }
        self.route.tell(Fact::ConnectionClosed {
            of: self.life.reference(),
            ending: end.ending,
            side: end.side,
            fault: end.fault,
            error: end.error,
            deeds: end.deeds.iter().map(deed_done).collect(),
            bytes: self.life.bytes(),
            duration: end.at.saturating_duration_since(self.life.accepted),
        });
    }
}

fn deed_done(deed: &Deed) -> DeedDone {
    DeedDone {
        fault: deed.active.fault.name.clone(),
        direction: deed.active.direction,
        amount: deed.done.amount,
        delay: deed.done.delay,
    }
}
