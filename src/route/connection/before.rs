//! What comes before the upstream is dialled: the limits, the header of one who speaks for others, and waits. Each ends when
//! the connection's time is over.

use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::Instant;

use super::Connection;
use super::ending::End;
use crate::observe::{Ending, Side};
use crate::relay::{self, Dismissal, Orders, Transport, dismissed};
use crate::route::at;
use crate::route::client_header::{self, Unread};
use crate::route::limiter::{Arrival, Place};

impl Connection<'_> {
    /// Comes in at once, waits for its turn, or is refused. When it came in, or an end if it did not.
    pub(super) async fn enter(
        &self,
        client: &TcpStream,
        arrival: Arrival,
        orders: &mut watch::Receiver<Orders>,
    ) -> Result<(Place, Instant), End> {
        let turn = match arrival {
            Arrival::Enter(place) => return Ok((place, self.life.accepted)),
            Arrival::Refuse(why) => return Err(End::refused(why)),
            Arrival::Wait(turn) => turn,
        };
        let waited = async {
            tokio::select! {
                biased;
                error = client.broken() => Err(End::new(relay::ending_of(&error), Side::Client)),
                waited = turn.wait() => waited.map_err(End::refused),
            }
        };
        Ok((self.unless_over(waited, orders).await??, Instant::now()))
    }

    /// Waits; what the client sends meanwhile stays in the system. An end if the connection ended while waiting: nobody
    /// is dialled for a client that is gone.
    pub(super) async fn wait(
        &self,
        client: &TcpStream,
        until: Instant,
        orders: &mut watch::Receiver<Orders>,
    ) -> Option<End> {
        let waited = async {
            tokio::select! {
                biased;
                error = client.broken() => Some(End::new(relay::ending_of(&error), Side::Client)),
                () = relay::until(until) => None,
            }
        };
        self.unless_over(waited, orders).await.unwrap_or_else(Some)
    }

    /// Takes the header that begins the stream of a client that speaks for others. An end if it has none.
    pub(super) async fn hear_header(
        &self,
        client: &TcpStream,
        orders: &mut watch::Receiver<Orders>,
    ) -> Result<(), End> {
        let peer = self.life.client.ip();
        if !self.terms.proxy_protocol.accept.iter().any(|range| range.contains(peer)) {
            return Ok(());
        }
        match self.unless_over(client_header::take(client, self.terms.timeouts.connect), orders).await? {
            Ok(header) => self.life.speaks_for(header),
            Err(Unread::Broken(error)) => return Err(End::new(relay::ending_of(&error), Side::Client)),
            Err(unread) => {
                let error = Some(unread.to_string().into());
                return Err(End { error, ..End::new(Ending::Error, Side::Client) });
            }
        }
        Ok(())
    }

    /// Runs something that comes before the relay, unless the connection's time is over meanwhile.
    pub(super) async fn unless_over<T>(
        &self,
        work: impl Future<Output = T>,
        orders: &mut watch::Receiver<Orders>,
    ) -> Result<T, End> {
        tokio::select! {
            biased;
            end = self.dismissed(orders) => Err(end),
            done = work => Ok(done),
            () = self.lifetime_over() => Err(End::new(Ending::Lifetime, Side::None)),
        }
    }

    pub(super) fn lifetime_end(&self) -> Option<Instant> {
        self.terms.timeouts.lifetime.map(|lifetime| self.life.accepted + lifetime)
    }

    pub(super) async fn lifetime_over(&self) {
        at(self.lifetime_end()).await;
    }

    /// The end that comes from outside, whatever the connection is about.
    pub(super) async fn dismissed(&self, orders: &mut watch::Receiver<Orders>) -> End {
        tokio::select! {
            biased;
            () = self.stop.cut.cancelled() => End::ordered(Dismissal::Cut),
            end = dismissed(orders) => End::ordered(end),
        }
    }
}
