//! The life of one connection: accept faults, dial, relay, and the telling of it.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::io::Interest;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use super::faults::Taken;
use super::life::Life;
use super::{Accepted, Route, Terms, at};
use crate::fault::link::Deed;
use crate::fault::{Active, Effect, How};
use crate::observe::{ConnectResult, DeedDone, Direction, Ending, Fact, Firing, Side};
use crate::relay::{self, Dismissal, Limits, Orders, Stop, Transport, dismissed};
use crate::upstream::{DialError, Link, dial};

/// What was decided about a connection when it was accepted.
pub(super) struct Ticket {
    /// What is known of it from outside.
    pub(super) life: Arc<Life>,
    /// Its route as it was at that moment.
    pub(super) terms: Arc<Terms>,
    /// The accept faults that befall it, in order.
    pub(super) taken: Vec<Taken>,
    /// The stream faults on it, now and later, and when it is to end.
    pub(super) orders: watch::Receiver<Orders>,
}

/// A handshake that is finished within this time after the client broke was finished, for all we know, before.
const SAME_MOMENT: Duration = Duration::from_millis(50);

struct Connection<'a> {
    route: &'a Route,
    life: &'a Life,
    terms: &'a Terms,
    stop: &'a Stop,
}

/// Why and by whom a connection ended.
struct End {
    ending: Ending,
    side: Side,
    fault: Option<Arc<str>>,
    error: Option<Arc<str>>,
    deeds: Vec<Deed>,
    /// By RST, because it was said so.
    abrupt: bool,
}

impl End {
    fn new(ending: Ending, side: Side) -> Self {
        End { ending, side, fault: None, error: None, deeds: Vec::new(), abrupt: false }
    }

    /// The end that somebody ordered.
    fn ordered(end: Dismissal) -> Self {
        let ending = if end == Dismissal::Cut { Ending::Drain } else { Ending::Control };
        End { abrupt: end >= Dismissal::Reset, ..End::new(ending, Side::None) }
    }
}

/// Serves one accepted client to its end.
pub(super) async fn serve(route: Arc<Route>, accepted: Accepted, ticket: Ticket, stop: Stop) {
    let Accepted { stream, slot, .. } = accepted;
    let Ticket { life, terms, taken, orders } = ticket;
    let connection = Connection { route: &route, life: &life, terms: &terms, stop: &stop };
    route.tell(Fact::ConnectionOpened { of: life.reference() });
    let here = Here(&connection);
    let end = connection.live(stream, taken, orders).await;
    drop(here);
    // The descriptors are closed: the next client may have the place.
    drop(slot);
    connection.tell_closed(end);
}

/// A connection that faults can reach; dropped however it ends.
struct Here<'a>(&'a Connection<'a>);

impl Drop for Here<'_> {
    fn drop(&mut self) {
        let Connection { route, life, .. } = self.0;
        route.now().faults.leave(life.number);
        // A bug in one connection ends that one, and is not passed over in silence.
        if std::thread::panicking() {
            route.common.emitter.process().count_panic();
            let error = Some("a bug in this program; please report it".into());
            self.0.tell_closed(End { error, ..End::new(Ending::Error, Side::None) });
        }
    }
}

impl Connection<'_> {
    async fn live(&self, client: TcpStream, taken: Vec<Taken>, mut orders: watch::Receiver<Orders>) -> End {
        // A wait counts from the accept, or from the end of the wait before it, not from when this task got its turn.
        let mut started = self.life.accepted;
        for fault in taken {
            match fault.effect() {
                Effect::Drop(drop) => {
                    self.tell_fired(&fault, None);
                    match drop.how {
                        How::Close => relay::close(client).await,
                        How::Reset => client.abort(),
                    }
                    return End {
                        fault: Some(fault.fault.name.clone()),
                        ..End::new(Ending::Fault, Side::None)
                    };
                }
                Effect::Hang(hang) => {
                    self.tell_fired(&fault, None);
                    let until = hang.close_after.map(|time| self.life.accepted + time.get());
                    return self.hang(client, until, &fault, &mut orders).await;
                }
                Effect::Delay(delay) => {
                    let wait = delay.sample(&fault.dice);
                    self.tell_fired(&fault, Some(wait));
                    if let Some(end) = self.wait(&client, started + wait, &mut orders).await {
                        return self.finish(client, end).await;
                    }
                    started += wait;
                }
                // The others act on the stream, and none of them is taken at the accept.
                _ => {}
            }
        }
        self.forward(client, orders).await
    }

    /// Never answers; reads and discards until the time is up or the client goes.
    async fn hang(
        &self,
        client: TcpStream,
        until: Option<Instant>,
        fault: &Taken,
        orders: &mut watch::Receiver<Orders>,
    ) -> End {
        let never_answered = async {
            let finished = relay::discard(&client, usize::MAX, |n| {
                self.life.meter.count_received(Direction::Upstream, n);
            })
            .await;
            let ending = finished.map_or_else(|error| relay::ending_of(&error), |_| Ending::PeerFin);
            End::new(ending, Side::Client)
        };
        let end = tokio::select! {
            end = never_answered => end,
            () = at(until) => End::new(Ending::Fault, Side::None),
            () = self.lifetime_over() => End::new(Ending::Lifetime, Side::None),
            end = self.dismissed(orders) => end,
        };
        let end = End { fault: Some(fault.fault.name.clone()), ..end };
        self.finish(client, end).await
    }

    /// Waits; what the client sends meanwhile stays in the system. An end if the connection ended while waiting: nobody
    /// is dialled for a client that is gone.
    async fn wait(
        &self,
        client: &TcpStream,
        until: Instant,
        orders: &mut watch::Receiver<Orders>,
    ) -> Option<End> {
        let waited = async {
            tokio::select! {
                biased;
                error = client.broken() => Some(End::new(relay::ending_of(&error), Side::Client)),
                () = sleep_until(until) => None,
            }
        };
        self.unless_over(waited, orders).await.unwrap_or_else(Some)
    }

    /// Dials, unless the client breaks meanwhile. An upstream that is reached in the same moment hears of it from the
    /// relay: first what the client had sent, then the reset.
    async fn dial(&self, client: &TcpStream) -> Result<Result<Link, DialError>, End> {
        let mut dialling = pin!(dial(&self.terms.upstream, self.terms.timeouts.connect));
        tokio::select! {
            biased;
            done = &mut dialling => Ok(done),
            // Not `broken`, which would take the error away from the relay.
            _ = client.ready(Interest::ERROR) => match tokio::time::timeout(SAME_MOMENT, dialling).await {
                Ok(done) => Ok(done),
                Err(_) => Err(End::new(relay::ending_of(&client.broken().await), Side::Client)),
            },
        }
    }

    /// Runs something that comes before the relay, unless the connection's time is over meanwhile.
    async fn unless_over<T>(
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

    async fn forward(&self, client: TcpStream, mut orders: watch::Receiver<Orders>) -> End {
        let (route, terms) = (self.route, self.terms);
        let started = Instant::now();
        let dialled = self.unless_over(self.dial(&client), &mut orders).await.and_then(|dialled| dialled);
        let link = match dialled {
            Err(end) => return self.finish(client, end).await,
            Ok(Err(error)) => {
                let result = error.result();
                let ending = match result {
                    ConnectResult::Timeout => Ending::ConnectTimeout,
                    _ => Ending::Connect,
                };
                let error: Arc<str> = error.to_string().into();
                route.tell(Fact::UpstreamFailed {
                    of: self.life.reference(),
                    upstream: terms.upstream_text.clone(),
                    duration: started.elapsed(),
                    error: error.clone(),
                    result,
                });
                let end = End { error: Some(error), ..End::new(ending, Side::Upstream) };
                return self.finish(client, end).await;
            }
            Ok(Ok(link)) => link,
        };
        // Nobody else sets it.
        let _ = self.life.upstream.set(terms.upstream_text.clone());
        route.tell(Fact::UpstreamConnected {
            of: self.life.reference(),
            upstream: terms.upstream_text.clone(),
            duration: if terms.upstream.is_builtin() { Duration::ZERO } else { started.elapsed() },
        });
        let timeouts = &terms.timeouts;
        let limits = Limits {
            half_close: timeouts.half_close,
            idle: timeouts.idle,
            until: self.lifetime_end(),
            held: terms.held,
        };
        let fired = |active: &Active| self.tell_stream_fired(active);
        let outcome = match link {
            Link::Tcp(upstream) => {
                relay::relay(client, upstream, &limits, self.stop, orders, &fired, &self.life.meter).await
            }
            Link::Builtin(upstream) => {
                relay::relay(client, upstream, &limits, self.stop, orders, &fired, &self.life.meter).await
            }
        };
        End {
            fault: outcome.cut.and_then(|cutting| cutting.by).map(|by| by.fault.name.clone()),
            error: outcome.error.filter(|_| outcome.ending == Ending::Error).map(Arc::from),
            deeds: outcome.deeds,
            ..End::new(outcome.ending, outcome.side)
        }
    }

    /// Ends a client that has no upstream.
    async fn finish(&self, client: TcpStream, end: End) -> End {
        match end.ending {
            Ending::PeerReset | Ending::Error => drop(client),
            _ if end.abrupt => client.abort(),
            _ => relay::close(client).await,
        }
        end
    }

    fn lifetime_end(&self) -> Option<Instant> {
        self.terms.timeouts.lifetime.map(|lifetime| self.life.accepted + lifetime)
    }

    async fn lifetime_over(&self) {
        at(self.lifetime_end()).await;
    }

    /// The end that comes from outside, whatever the connection is about.
    async fn dismissed(&self, orders: &mut watch::Receiver<Orders>) -> End {
        tokio::select! {
            biased;
            () = self.stop.cut.cancelled() => End::ordered(Dismissal::Cut),
            end = dismissed(orders) => End::ordered(end),
        }
    }

    fn tell_stream_fired(&self, active: &Active) {
        self.life.note_fired(&active.fault.name);
        let fault = Firing {
            stats: active.stats.clone(),
            name: active.fault.name.clone(),
            effect: active.fault.effect.word(),
            direction: Some(active.direction),
            draw: active.draw(),
            delay: None,
        };
        self.route.tell(Fact::FaultFired { of: self.life.reference(), fault });
    }

    fn tell_fired(&self, taken: &Taken, delay: Option<Duration>) {
        self.life.note_fired(&taken.fault.name);
        let fault = Firing {
            stats: taken.stats.clone(),
            name: taken.fault.name.clone(),
            effect: taken.effect().word(),
            direction: None,
            draw: taken.draw(),
            delay,
        };
        self.route.tell(Fact::FaultFired { of: self.life.reference(), fault });
    }

    fn tell_closed(&self, end: End) {
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
            duration: self.life.accepted.elapsed(),
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
