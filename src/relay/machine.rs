//! The state of a relay, polled by its one task.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::sync::watch;
use tokio::time::Instant;

use super::pump::{Around, Passed, Pump};
use super::{Alarm, Cutting, Limits, Means, Orders, Outcome, PeerEnd, Transport};
use crate::fault::link::Deed;
use crate::observe::{Direction, Ending, Side};

type Watch<'a> = Pin<Box<dyn Future<Output = io::Error> + Send + 'a>>;

/// Two pumps between two ends.
pub(super) struct Machine<'a, C, U> {
    client: End<'a, C>,
    upstream: End<'a, U>,
    up: Way,
    down: Way,
    first_to_finish: Option<Side>,
    limits: &'a Limits,
    last_progress: Instant,
    /// When it was last seen that nobody had left while bytes could not be delivered.
    looked: Instant,
    /// While it is to finish: silence for this long ends it.
    finish_idle: Option<std::time::Duration>,
    /// Whether the orders say that it is to finish.
    to_finish: bool,
    /// Says whether there are orders that were not adopted yet.
    orders: watch::Receiver<Orders>,
    alarm: Alarm,
    means: Means<'a>,
}

/// One of the two ends.
struct End<'a, T> {
    transport: &'a T,
    /// What broke it, whichever direction noticed.
    broken: Option<io::Error>,
    /// Nobody reads a stream that has ended, so a reset that comes later has to be watched for.
    watch: Option<Watch<'a>>,
}

/// One of the two directions.
struct Way {
    pump: Pump,
    state: State,
}

/// What a time limit brings.
#[derive(Clone, Copy)]
enum Limit {
    Ends(Ending),
    /// A look whether anybody has left.
    Look,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Open,
    /// All bytes and FIN have been passed on.
    Finished,
    /// The sink takes nothing any more.
    SinkGone,
}

impl Way {
    fn new(direction: Direction) -> Self {
        Way { pump: Pump::new(direction), state: State::Open }
    }
}

impl<'a, T: Transport> End<'a, T> {
    fn new(transport: &'a T) -> Self {
        End { transport, broken: None, watch: None }
    }

    /// Whether a stream that has ended has now been reset.
    fn poll_watch(&mut self, cx: &mut Context<'_>, stream_ended: bool) -> bool {
        if !stream_ended || self.broken.is_some() {
            return false;
        }
        let transport = self.transport;
        let watch = self.watch.get_or_insert_with(|| Box::pin(transport.broken()));
        let Poll::Ready(error) = watch.as_mut().poll(cx) else { return false };
        self.broken = Some(error);
        self.watch = None;
        true
    }
}

impl<'a, C: Transport, U: Transport> Machine<'a, C, U> {
    pub(super) fn new(
        client: &'a C,
        upstream: &'a U,
        limits: &'a Limits,
        means: Means<'a>,
        orders: watch::Receiver<Orders>,
    ) -> Self {
        let now = Instant::now();
        Machine {
            client: End::new(client),
            upstream: End::new(upstream),
            up: Way::new(Direction::Upstream),
            down: Way::new(Direction::Downstream),
            first_to_finish: None,
            limits,
            last_progress: now,
            looked: now,
            finish_idle: None,
            to_finish: false,
            orders,
            alarm: Alarm::default(),
            means,
        }
    }

    /// Puts the newest plan in force. An outcome if that ends the connection.
    pub(super) fn adopt(&mut self) -> Option<Outcome> {
        let Orders { plan, end } = self.orders.borrow_and_update().clone();
        if let Some(outcome) = end.and_then(Outcome::ordered) {
            return Some(outcome);
        }
        self.to_finish = end.is_some();
        let now = Instant::now();
        // What was held back until later may go now; if something still is, the next poll sees it.
        self.last_progress = self.last_progress.min(now);
        let holes = [self.up.pump.adopt(&plan, now), self.down.pump.adopt(&plan, now)];
        holes.contains(&true).then(|| Outcome::new(Ending::Fault, Side::None))
    }

    /// Whether the orders say that it is to finish.
    pub(super) fn is_to_finish(&self) -> bool {
        self.to_finish
    }

    /// Silence for this long, with nothing held, ends it from now on; or does not any more.
    pub(super) fn finish_when_silent(&mut self, silence: Option<std::time::Duration>) {
        self.finish_idle = silence;
    }

    /// Tells of the faults that have fired since.
    pub(super) fn tell_fired(&mut self) {
        for pump in [&mut self.up.pump, &mut self.down.pump] {
            for deed in pump.take_fired() {
                (self.means.fired)(&deed.active);
            }
        }
    }

    /// What faults have done.
    pub(super) fn deeds(&self) -> Vec<Deed> {
        let mut deeds = self.up.pump.deeds();
        deeds.extend(self.down.pump.deeds());
        deeds
    }

    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Outcome> {
        let this = self;
        let outcome = this.poll_ways(cx);
        this.tell_fired();
        if let Some(outcome) = outcome {
            return Poll::Ready(outcome);
        }
        if this.up.pump.progressed || this.down.pump.progressed {
            this.up.pump.progressed = false;
            this.down.pump.progressed = false;
            this.last_progress = this.last_progress.max(Instant::now());
        }
        // Time in which a fault holds something back is not silence.
        for held in
            [this.up.pump.held_until(this.last_progress), this.down.pump.held_until(this.last_progress)]
        {
            this.last_progress = held.map_or(this.last_progress, |held| held.max(this.last_progress));
        }
        while let Some((at, limit)) = this.deadline() {
            if this.alarm.poll(cx, at).is_pending() {
                break;
            }
            let ending = match limit {
                Limit::Ends(ending) => ending,
                Limit::Look if this.someone_left_unseen() => Ending::HalfClose,
                Limit::Look => {
                    this.looked = Instant::now();
                    continue;
                }
            };
            // While a reset waits for its bytes to be sent, the limit ends only the waiting.
            return Poll::Ready(this.first_broken().unwrap_or_else(|| Outcome::new(ending, Side::None)));
        }
        Poll::Pending
    }

    /// Whether a side has ended its stream behind bytes that cannot be delivered, and are therefore not read.
    fn someone_left_unseen(&mut self) -> bool {
        let now = Instant::now();
        let client = if self.up.pump.is_stuck(now) { self.client.transport.peer_ended() } else { None };
        let upstream = if self.down.pump.is_stuck(now) { self.upstream.transport.peer_ended() } else { None };
        for (ended, broken) in [(client, &mut self.client.broken), (upstream, &mut self.upstream.broken)] {
            if ended == Some(PeerEnd::Reset) {
                broken.get_or_insert(io::ErrorKind::ConnectionReset.into());
            }
        }
        client.is_some() || upstream.is_some()
    }

    /// Polls both directions until neither has anything to say that could matter to the other.
    fn poll_ways(&mut self, cx: &mut Context<'_>) -> Option<Outcome> {
        loop {
            let orders = &self.orders;
            let plan_changed = || orders.has_changed().unwrap_or(false);
            let around = Around {
                meter: self.means.meter,
                pipes: self.means.pipes,
                most: self.limits.held,
                patience: self.limits.half_close,
                plan_changed: &plan_changed,
            };
            let up = self.up.poll(cx, &mut self.client, &mut self.upstream, &around);
            let down = self.down.poll(cx, &mut self.upstream, &mut self.client, &around);
            let sink_gone = matches!(up, Said::SinkGone) || matches!(down, Said::SinkGone);
            for (said, source) in [(up, Side::Client), (down, Side::Upstream)] {
                match said {
                    Said::Finished => _ = self.first_to_finish.get_or_insert(source),
                    Said::AllOfBroken => return self.broke(source),
                    Said::Cut(cutting) => return Some(Outcome::cut(cutting)),
                    Said::Nothing | Said::SinkGone => {}
                }
            }
            match (self.up.state, self.down.state) {
                (State::Finished, State::Finished) => {
                    let side = self.first_to_finish.unwrap_or(Side::None);
                    return Some(Outcome::new(Ending::PeerFin, side));
                }
                (State::SinkGone, State::SinkGone) => return self.first_broken(),
                _ => {}
            }
            // A side that has just broken may have been looked at before as the source of the other direction.
            let client_reset = self.client.poll_watch(cx, self.up.pump.source_ended());
            let upstream_reset = self.upstream.poll_watch(cx, self.down.pump.source_ended());
            if !sink_gone && !client_reset && !upstream_reset {
                return None;
            }
        }
    }

    fn broke(&mut self, side: Side) -> Option<Outcome> {
        let error = match side {
            Side::Client => self.client.broken.take(),
            Side::Upstream => self.upstream.broken.take(),
            Side::None => None,
        };
        let way = if side == Side::Client { &self.up } else { &self.down };
        let after_fin = way.state == State::Finished;
        error.map(|error| Outcome {
            error: Some(error.to_string()),
            after_fin,
            ..Outcome::new(ending_of(&error), side)
        })
    }

    fn first_broken(&mut self) -> Option<Outcome> {
        self.broke(Side::Client).or_else(|| self.broke(Side::Upstream))
    }

    /// The next limit, and what it brings.
    fn deadline(&self) -> Option<(Instant, Limit)> {
        let half_closed = self.up.pump.source_ended()
            || self.down.pump.source_ended()
            || self.up.state != State::Open
            || self.down.state != State::Open;
        let quiet = |limit: std::time::Duration, ending| (self.last_progress + limit, Limit::Ends(ending));
        let empty = !self.up.pump.holds() && !self.down.pump.holds();
        let now = self.last_progress;
        let stuck = self.up.pump.is_stuck(now) || self.down.pump.is_stuck(now);
        [
            half_closed.then(|| quiet(self.limits.half_close, Ending::HalfClose)),
            (!half_closed && stuck)
                .then(|| (self.last_progress.max(self.looked) + self.limits.half_close, Limit::Look)),
            self.limits.idle.map(|limit| quiet(limit, Ending::Idle)),
            self.finish_idle.filter(|_| empty).map(|limit| quiet(limit, Ending::Drain)),
            self.limits.until.map(|at| (at, Limit::Ends(Ending::Lifetime))),
        ]
        .into_iter()
        .flatten()
        .min_by_key(|(at, _)| *at)
    }
}

/// What a direction had to say in one poll.
enum Said {
    Nothing,
    Finished,
    AllOfBroken,
    SinkGone,
    Cut(Cutting),
}

impl Way {
    fn poll<S: Transport, K: Transport>(
        &mut self,
        cx: &mut Context<'_>,
        source: &mut End<'_, S>,
        sink: &mut End<'_, K>,
        around: &Around<'_>,
    ) -> Said {
        if self.state == State::SinkGone {
            // Whoever is stuck in an answer to nobody would not take what it is still to have: the last bytes, the reset.
            self.pump.discard(cx, source.transport, &mut source.broken, around.meter);
            return Said::Nothing;
        }
        match self.pump.poll(cx, source.transport, sink.transport, &mut source.broken, around) {
            Poll::Pending => Said::Nothing,
            Poll::Ready(Ok(Passed::AllOfBroken)) => Said::AllOfBroken,
            Poll::Ready(Ok(Passed::UpTo(cut, by))) => Said::Cut(Cutting { cut, by }),
            Poll::Ready(Ok(Passed::Fin)) => {
                self.state = State::Finished;
                Said::Finished
            }
            Poll::Ready(Err(error)) => {
                self.state = State::SinkGone;
                sink.broken.get_or_insert(error);
                Said::SinkGone
            }
        }
    }
}

/// The ending that an error of a socket means.
pub fn ending_of(error: &io::Error) -> Ending {
    match error.kind() {
        // A socket that is used after its RST was seen says "broken pipe" or "not connected".
        io::ErrorKind::ConnectionReset
        | io::ErrorKind::ConnectionAborted
        | io::ErrorKind::BrokenPipe
        | io::ErrorKind::NotConnected => Ending::PeerReset,
        _ => Ending::Error,
    }
}
