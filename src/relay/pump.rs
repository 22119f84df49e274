//! One direction: bytes, then the ending, from one transport to the other.
//!
//! A pump owns the bytes it has read and not yet written, and knows what its source has said. It never decides how the
//! connection ends: it reports what it has passed on, and the relay decides.

use std::io;
use std::task::{Context, Poll, ready};

use super::Transport;
use super::pool::Buffer;
use crate::observe::{Direction, Meter};

/// Reads per poll before other tasks get a turn.
const TURN: usize = 32;

/// What a pump has passed on to its sink.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Passed {
    /// Every byte, and then FIN.
    Fin,
    /// Every byte of a source that broke; its RST may follow.
    AllOfBroken,
}

/// One direction of a relay.
pub(super) struct Pump {
    direction: Direction,
    carry: Option<Carry>,
    source_ended: bool,
    fin_passed: bool,
    /// Set whenever a byte or an ending moved; the relay takes it.
    pub(super) progressed: bool,
}

/// Bytes read and not yet written.
struct Carry {
    buffer: Buffer,
    start: usize,
    end: usize,
}

impl Pump {
    pub(super) fn new(direction: Direction) -> Self {
        Pump { direction, carry: None, source_ended: false, fin_passed: false, progressed: false }
    }

    /// Whether this direction holds bytes.
    pub(super) fn holds(&self) -> bool {
        self.carry.is_some()
    }

    /// Whether the source has said its last.
    pub(super) fn source_ended(&self) -> bool {
        self.source_ended
    }

    /// Moves what can be moved. An error is the sink's; an error of the source is put into `broken`, which the relay may
    /// also have set because the source failed as the other direction's sink.
    ///
    /// After [`Passed::Fin`] it may be polled again: a source that breaks later is then reported.
    pub(super) fn poll(
        &mut self,
        cx: &mut Context<'_>,
        source: &impl Transport,
        sink: &impl Transport,
        broken: &mut Option<io::Error>,
        meter: &Meter,
    ) -> Poll<io::Result<Passed>> {
        for _ in 0..TURN {
            ready!(self.poll_write(cx, sink, meter))?;
            if self.source_ended {
                return self.poll_end(cx, sink, broken.is_some());
            }
            match source.poll_readable(cx) {
                Poll::Ready(Ok(())) => self.read(source, broken, meter),
                Poll::Ready(Err(e)) => self.source_broke(e, broken),
                Poll::Pending => return Poll::Pending,
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        sink: &impl Transport,
        meter: &Meter,
    ) -> Poll<io::Result<()>> {
        while let Some(carry) = &mut self.carry {
            match sink.write(&carry.buffer[carry.start..carry.end]) {
                Ok(0) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                Ok(n) => {
                    self.progressed = true;
                    meter.count_sent(self.direction, n);
                    carry.start += n;
                    if carry.start == carry.end {
                        self.carry = None;
                    }
                }
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => ready!(sink.poll_writable(cx))?,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => {
                    self.carry = None;
                    return Poll::Ready(Err(e));
                }
            }
        }
        Poll::Ready(Ok(()))
    }

    fn poll_end(
        &mut self,
        cx: &mut Context<'_>,
        sink: &impl Transport,
        broken: bool,
    ) -> Poll<io::Result<Passed>> {
        if broken {
            // An RST overtakes what this machine has not sent yet.
            ready!(sink.poll_sent(cx));
            return Poll::Ready(Ok(Passed::AllOfBroken));
        }
        if !self.fin_passed {
            sink.shut_write()?;
            self.fin_passed = true;
            self.progressed = true;
        }
        Poll::Ready(Ok(Passed::Fin))
    }

    fn read(&mut self, source: &impl Transport, broken: &mut Option<io::Error>, meter: &Meter) {
        let mut buffer = Buffer::borrow();
        match source.read(&mut buffer) {
            Ok(0) => {
                self.source_ended = true;
                self.progressed = true;
            }
            Ok(n) => {
                self.progressed = true;
                meter.count_received(self.direction, n);
                self.carry = Some(Carry { buffer, start: 0, end: n });
            }
            Err(e) if matches!(e.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {}
            Err(e) => self.source_broke(e, broken),
        }
    }

    fn source_broke(&mut self, error: io::Error, broken: &mut Option<io::Error>) {
        self.source_ended = true;
        self.progressed = true;
        broken.get_or_insert(error);
    }
}
