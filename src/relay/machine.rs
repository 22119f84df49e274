//! The state of a relay, polled by its one task.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::time::Instant;
use tokio_util::sync::WaitForCancellationFuture;

use super::pump::{Passed, Pump};
use super::{Alarm, Limits, Outcome, PeerEnd, Stop, Transport};
use crate::observe::{Direction, Ending, Meter, Side};

type Watch<'a> = Pin<Box<dyn Future<Output = ()> + Send + 'a>>;

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
    draining: bool,
    alarm: Alarm,
    drain: Pin<Box<WaitForCancellationFuture<'a>>>,
    cut: Pin<Box<WaitForCancellationFuture<'a>>>,
    meter: &'a Meter,
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
        let watch = self.watch.get_or_insert_with(|| Box::pin(transport.reset_seen()));
        let reset = watch.as_mut().poll(cx).is_ready();
        if reset {
            self.broken = Some(io::ErrorKind::ConnectionReset.into());
            self.watch = None;
        }
        reset
    }
}

impl<'a, C: Transport, U: Transport> Machine<'a, C, U> {
    pub(super) fn new(
        client: &'a C,
        upstream: &'a U,
        limits: &'a Limits,
        stop: &'a Stop,
        meter: &'a Meter,
    ) -> Self {
        Machine {
            client: End::new(client),
            upstream: End::new(upstream),
            up: Way::new(Direction::Upstream),
            down: Way::new(Direction::Downstream),
            first_to_finish: None,
            limits,
            last_progress: Instant::now(),
            looked: Instant::now(),
            draining: false,
            alarm: Alarm::default(),
            drain: Box::pin(stop.drain.cancelled()),
            cut: Box::pin(stop.cut.cancelled()),
            meter,
        }
    }

    pub(super) fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Outcome> {
        let this = &mut *self;
        if this.cut.as_mut().poll(cx).is_ready() {
            return ended(Ending::Drain, Side::None);
        }
        if !this.draining && this.drain.as_mut().poll(cx).is_ready() {
            this.draining = true;
        }
        if let Some(outcome) = this.poll_ways(cx) {
            return Poll::Ready(outcome);
        }
        if this.up.pump.progressed || this.down.pump.progressed {
            this.up.pump.progressed = false;
            this.down.pump.progressed = false;
            this.last_progress = Instant::now();
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
            return match this.first_broken() {
                Some(outcome) => Poll::Ready(outcome),
                None => ended(ending, Side::None),
            };
        }
        Poll::Pending
    }

    /// Whether a side has ended its stream behind bytes that cannot be delivered, and are therefore not read.
    fn someone_left_unseen(&mut self) -> bool {
        let client = if self.up.pump.holds() { self.client.transport.peer_ended() } else { None };
        let upstream = if self.down.pump.holds() { self.upstream.transport.peer_ended() } else { None };
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
            let up = self.up.poll(cx, &mut self.client, &mut self.upstream, self.meter);
            let down = self.down.poll(cx, &mut self.upstream, &mut self.client, self.meter);
            for (said, source) in [(up, Side::Client), (down, Side::Upstream)] {
                match said {
                    Said::Finished => _ = self.first_to_finish.get_or_insert(source),
                    Said::AllOfBroken => return self.broke(source),
                    Said::Nothing | Said::SinkGone => {}
                }
            }
            match (self.up.state, self.down.state) {
                (State::Finished, State::Finished) => {
                    let side = self.first_to_finish.unwrap_or(Side::None);
                    return Some(Outcome { ending: Ending::PeerFin, side, error: None });
                }
                (State::SinkGone, State::SinkGone) => return self.first_broken(),
                _ => {}
            }
            // A side that has just broken may have been looked at before as the source of the other direction.
            let client_reset = self.client.poll_watch(cx, self.up.pump.source_ended());
            let upstream_reset = self.upstream.poll_watch(cx, self.down.pump.source_ended());
            if up != Said::SinkGone && down != Said::SinkGone && !client_reset && !upstream_reset {
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
        error.map(|error| Outcome { ending: ending_of(&error), side, error: Some(error) })
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
        [
            half_closed.then(|| quiet(self.limits.half_close, Ending::HalfClose)),
            (!half_closed && !empty)
                .then(|| (self.last_progress.max(self.looked) + self.limits.half_close, Limit::Look)),
            self.limits.idle.map(|limit| quiet(limit, Ending::Idle)),
            self.limits
                .drain_idle
                .filter(|_| self.draining && empty)
                .map(|limit| quiet(limit, Ending::Drain)),
            self.limits.until.map(|at| (at, Limit::Ends(Ending::Lifetime))),
        ]
        .into_iter()
        .flatten()
        .min_by_key(|(at, _)| *at)
    }
}

/// What a direction had to say in one poll.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Said {
    Nothing,
    Finished,
    AllOfBroken,
    SinkGone,
}

impl Way {
    fn poll<S: Transport, K: Transport>(
        &mut self,
        cx: &mut Context<'_>,
        source: &mut End<'_, S>,
        sink: &mut End<'_, K>,
        meter: &Meter,
    ) -> Said {
        if self.state == State::SinkGone {
            return Said::Nothing;
        }
        match self.pump.poll(cx, source.transport, sink.transport, &mut source.broken, meter) {
            Poll::Pending => Said::Nothing,
            Poll::Ready(Ok(Passed::AllOfBroken)) => Said::AllOfBroken,
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

fn ended(ending: Ending, side: Side) -> Poll<Outcome> {
    Poll::Ready(Outcome { ending, side, error: None })
}

fn ending_of(error: &io::Error) -> Ending {
    match error.kind() {
        // A socket that is written to after its RST was seen says "broken pipe".
        io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionAborted | io::ErrorKind::BrokenPipe => {
            Ending::PeerReset
        }
        _ => Ending::Error,
    }
}
