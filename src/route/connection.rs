//! The life of one connection: accept faults, dial, relay, and the telling of it.

mod before;
mod dial;
mod ending;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::Instant;

use super::entry::Taken;
use super::life::Life;
use super::limiter::{Arrival, Place};
use super::{Accepted, Route, Terms};
use crate::fault::{Active, Effect, Fault, How};
use crate::observe::{Direction, Ending, Fact, Firing, Side};
use crate::relay::{self, Limits, Means, Orders, Stop};
use crate::upstream::{Link, Reached, Seat};
use ending::End;

/// What was decided about a connection when it was accepted.
pub(super) struct Ticket {
    /// What is known of it from outside.
    pub(super) life: Arc<Life>,
    /// Its route as it was at that moment.
    pub(super) terms: Arc<Terms>,
    /// Whether it may come in.
    pub(super) arrival: Arrival,
    /// The accept faults that befall it, in order.
    pub(super) taken: Vec<Taken>,
    /// The faults on whatever it dials, in order.
    pub(super) on_dial: Vec<Taken>,
    /// The stream faults on it, now and later, and when it is to end.
    pub(super) orders: watch::Receiver<Orders>,
}

struct Connection<'a> {
    route: &'a Route,
    life: &'a Life,
    terms: &'a Terms,
    stop: &'a Stop,
    /// The faults on whatever it dials.
    on_dial: &'a [Taken],
    /// Those of the faults on dials that have been told.
    told: Mutex<Vec<Arc<Fault>>>,
}

/// Serves one accepted client to its end.
///
/// A connection lives long in the relay and nowhere else, so everything before and after it is boxed, here and below: what
/// it takes is not paid for by the life of every connection. Nor are arguments, which an `async fn` keeps twice.
pub(super) fn serve(
    route: Arc<Route>,
    accepted: Accepted,
    ticket: Ticket,
    stop: Stop,
) -> impl Future<Output = ()> + Send {
    let Accepted { stream, slot, .. } = accepted;
    let Ticket { life, terms, arrival, taken, on_dial, mut orders } = ticket;
    let on_the_way = Box::new(OnTheWay { arrival, taken });
    async move {
        let told = Mutex::default();
        let connection =
            Connection { route: &route, life: &life, terms: &terms, stop: &stop, on_dial: &on_dial, told };
        let here = Here { connection: &connection, ended: false };
        route.tell(Fact::ConnectionOpened { of: life.reference() });
        connection.watch_over(&stream);
        let (end, place) = match Box::pin(connection.arrive(stream, on_the_way, &mut orders)).await {
            Ok(Arrived { client, link, seat, place }) => {
                let end = connection.relay(client, link, orders).await;
                drop(seat);
                (end, Some(place))
            }
            Err((end, place)) => (end, place),
        };
        route.now().faults.leave(life.number);
        // The descriptors are closed: the next client may have the place.
        drop((slot, place));
        here.end(end);
    }
}

/// A client whose upstream is reached.
struct Arrived {
    client: TcpStream,
    link: Link,
    /// Its places there and here, to be kept as long as it lives.
    seat: Seat,
    place: Place,
}

/// What waits for a client before it gets anywhere.
struct OnTheWay {
    arrival: Arrival,
    taken: Vec<Taken>,
}

/// A connection from its first word to its last; dropped however it ends.
struct Here<'a> {
    connection: &'a Connection<'a>,
    /// Whether its end has been told, or is being told.
    ended: bool,
}

impl Here<'_> {
    fn end(mut self, end: End) {
        self.ended = true;
        self.connection.tell_closed(end);
    }
}

impl Drop for Here<'_> {
    fn drop(&mut self) {
        let Connection { route, life, .. } = self.connection;
        if !std::thread::panicking() {
            return;
        }
        // A bug in one connection ends that one, and is not passed over in silence.
        let emitter = &route.common.emitter;
        emitter.process().count_panic();
        // A second bug on the way out of the first would be the end of the process.
        emitter.survive(|| route.now().faults.leave(life.number));
        if !self.ended {
            let error = Some("a bug in this program; please report it".into());
            let end = End { error, ..End::new(Ending::Error, Side::None) };
            emitter.survive(|| self.connection.tell_closed(end));
        }
    }
}

impl Connection<'_> {
    /// From the accept to the upstream, or how it ended on the way; whoever was inside has the place until then.
    async fn arrive(
        &self,
        client: TcpStream,
        on_the_way: Box<OnTheWay>,
        orders: &mut watch::Receiver<Orders>,
    ) -> Result<Arrived, (End, Option<Place>)> {
        let OnTheWay { arrival, taken } = *on_the_way;
        let (place, started) = match self.enter(&client, arrival, orders).await {
            Ok(entered) => entered,
            Err(end) if end.ending == Ending::Limits => {
                return Err((self.turn_away(client, end).await, None));
            }
            Err(end) => return Err((self.finish(client, end).await, None)),
        };
        let reached = async {
            let client = self.befall(client, started, taken, orders).await?;
            self.reach(client, orders).await
        };
        match reached.await {
            Ok((client, Reached { link, seat, .. })) => Ok(Arrived { client, link, seat, place }),
            Err(end) => Err((end, Some(place))),
        }
    }

    /// The accept faults, in order. An end if one of them is one, or if it came meanwhile.
    async fn befall(
        &self,
        client: TcpStream,
        // A wait counts from when it came in, or from the end of the wait before it, not from when this task got its turn.
        mut started: Instant,
        taken: Vec<Taken>,
        orders: &mut watch::Receiver<Orders>,
    ) -> Result<TcpStream, End> {
        let entered = started;
        for fault in taken {
            match fault.effect() {
                Effect::Drop(drop) => {
                    self.tell_fired(&fault, None, None);
                    let abrupt = drop.how == How::Reset;
                    let fault = Some(fault.fault.name.clone());
                    let end = End { fault, abrupt, ..End::new(Ending::Fault, Side::None) };
                    return Err(self.finish(client, end).await);
                }
                Effect::Hang(hang) => {
                    self.tell_fired(&fault, None, None);
                    let until = hang.close_after.map(|time| entered + time.get());
                    return Err(self.hang(client, until, &fault, orders).await);
                }
                Effect::Delay(delay) => {
                    let wait = delay.sample(&fault.dice);
                    self.tell_fired(&fault, Some(wait), None);
                    if let Some(end) = self.wait(&client, started + wait, orders).await {
                        return Err(self.finish(client, end).await);
                    }
                    started += wait;
                }
                // The others act on the stream, and none of them is taken at the accept.
                _ => {}
            }
        }
        Ok(client)
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
        let over = async {
            match until {
                Some(until) => relay::until(until).await,
                None => std::future::pending().await,
            }
        };
        let end = tokio::select! {
            end = never_answered => end,
            () = over => End::new(Ending::Fault, Side::None),
            () = self.lifetime_over() => End::new(Ending::Lifetime, Side::None),
            end = self.dismissed(orders) => end,
        };
        let end = End { fault: Some(fault.fault.name.clone()), ..end };
        self.finish(client, end).await
    }

    /// Hears what the client has to say for itself, and dials. An end if nothing was reached.
    async fn reach(
        &self,
        client: TcpStream,
        orders: &mut watch::Receiver<Orders>,
    ) -> Result<(TcpStream, Reached), End> {
        if let Err(end) = self.hear_header(&client, orders).await {
            return Err(match end.error {
                // It is closed properly, unlike one that broke.
                Some(_) => {
                    relay::close(client).await;
                    end
                }
                None => self.finish(client, end).await,
            });
        }
        let dialled = self.unless_over(self.dial(&client), orders).await;
        let dialled = dialled.and_then(|dialled| dialled);
        let reached = match dialled {
            Err(end) => return Err(self.finish(client, end).await),
            Ok(Err(unreached)) => {
                let ending = if unreached.is_timeout() { Ending::ConnectTimeout } else { Ending::Connect };
                let error = Some(unreached.to_string().into());
                let end = End { error, ..End::new(ending, Side::Upstream) };
                return Err(self.finish(client, end).await);
            }
            Ok(Ok(reached)) => reached,
        };
        // Nobody else sets it.
        let _ = self.life.upstream.set(reached.name.clone());
        self.route.now().faults.arrived(self.life.number, Instant::now());
        self.route.tell(Fact::UpstreamConnected {
            of: self.life.reference(),
            upstream: reached.name.clone(),
            duration: reached.after,
        });
        Ok((client, reached))
    }

    /// Moves bytes until it ends.
    async fn relay(&self, client: TcpStream, link: Link, orders: watch::Receiver<Orders>) -> End {
        let timeouts = &self.terms.timeouts;
        let limits = Limits {
            half_close: timeouts.half_close,
            idle: timeouts.idle,
            until: self.lifetime_end(),
            held: self.terms.held,
        };
        let fired = |active: &Active| self.tell_stream_fired(active);
        let means = Means { meter: &self.life.meter, pipes: &self.route.common.pipes, fired: &fired };
        let outcome = match link {
            Link::Tcp(upstream) => {
                self.watch_over(&upstream);
                relay::relay(client, upstream, &limits, self.stop, orders, means).await
            }
            Link::Builtin(upstream) => {
                // Boxed, so that those which lead elsewhere are no larger for it.
                Box::pin(relay::relay(client, upstream, &limits, self.stop, orders, means)).await
            }
        };
        End {
            fault: outcome.cut.and_then(|cutting| cutting.by).map(|by| by.fault.name.clone()),
            error: outcome.error.filter(|_| outcome.ending == Ending::Error).map(Arc::from),
            deeds: outcome.deeds,
            at: outcome.at,
            ..End::new(outcome.ending, outcome.side)
        }
    }

    /// Has the system find out when this peer vanishes, where that is wanted.
    fn watch_over(&self, peer: &TcpStream) {
        if let Some(keepalive) = &self.terms.keepalive {
            keepalive.apply(peer);
        }
    }

    fn tell_stream_fired(&self, active: &Active) {
        self.life.note_fired(&active.fault.name);
        let fault = Firing {
            stats: active.stats.clone(),
            name: active.fault.name.clone(),
            effect: active.fault.effect.word(),
            direction: Some(active.direction),
            upstream: active.fault.trigger.endpoint.as_ref().and(self.life.upstream.get().cloned()),
            draw: active.draw(),
            delay: None,
        };
        self.route.tell(Fact::FaultFired { of: self.life.reference(), fault });
    }

    /// `at`: the endpoint whose dial it acts on.
    fn tell_fired(&self, taken: &Taken, delay: Option<Duration>, at: Option<&Arc<str>>) {
        self.life.note_fired(&taken.fault.name);
        let fault = Firing {
            stats: taken.stats.clone(),
            name: taken.fault.name.clone(),
            effect: taken.effect().word(),
            direction: None,
            upstream: at.cloned(),
            draw: taken.draw(),
            delay,
        };
        self.route.tell(Fact::FaultFired { of: self.life.reference(), fault });
    }
}
