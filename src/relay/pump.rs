//! One direction: bytes, then the ending, from one transport to the other.
//!
//! A pump has three gears. Bytes that no fault can touch are moved through a borrowed pipe when they come in bulk, and
//! otherwise read into a borrowed buffer and written on; with faults they go through a
//! [`Chain`](crate::fault::chain::Chain), which says what may be written when (`shaped`). In each gear a pump owns the bytes
//! it has taken and not yet written, so that the gear can change at any byte. It never decides how the connection ends: it
//! reports what it has passed on, and the relay decides.

mod shaped;

use std::io;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::time::Instant;

use super::Transport;
use super::carry::Carry;
use super::gear::Gear;
use super::pipe::Pipes;
use super::pool::{self, Buffer};
use crate::fault::link::Deed;
use crate::fault::stream::Cut;
use crate::fault::{Active, Plan};
use crate::observe::{Direction, Meter};
use shaped::{Shaper, Step};

/// Steps per poll before other tasks get a turn.
const TURN: usize = 32;

/// What a pump has passed on to its sink.
#[derive(Clone, Debug)]
pub(super) enum Passed {
    /// Every byte, and then FIN.
    Fin,
    /// Every byte of a source that broke; its RST may follow.
    AllOfBroken,
    /// Every byte up to where a fault ends the connection.
    UpTo(Cut, Option<Arc<Active>>),
}

/// One direction of a relay.
pub(super) struct Pump {
    direction: Direction,
    gear: Gear,
    carry: Option<Carry>,
    /// Bytes that were read while a new plan arrived: it decides about them.
    unplanned: Option<Carry>,
    /// Only while a fault is on this direction, or something that one held has not left yet.
    shaper: Option<Box<Shaper>>,
    offset: u64,
    source_ended: bool,
    fin_passed: bool,
    /// Since when an injected reset waits for its bytes to be sent.
    cut_due: Option<Instant>,
    /// What faults have done that are gone from here.
    past: Vec<Deed>,
    /// Set whenever a byte or an ending moved; the relay takes it.
    pub(super) progressed: bool,
}

/// What both directions share.
pub(super) struct Around<'a> {
    /// Where bytes are counted.
    pub(super) meter: &'a Meter,
    /// What bytes in bulk may be moved through.
    pub(super) pipes: &'a Pipes,
    /// How many bytes the faults of a direction may hold.
    pub(super) most: usize,
    /// How long an ending may wait for the bytes before it.
    pub(super) patience: Duration,
    /// Whether there is a plan that was not adopted yet.
    pub(super) plan_changed: &'a dyn Fn() -> bool,
}

impl Pump {
    pub(super) fn new(direction: Direction) -> Self {
        Pump {
            direction,
            gear: Gear::default(),
            carry: None,
            unplanned: None,
            shaper: None,
            offset: 0,
            source_ended: false,
            fin_passed: false,
            cut_due: None,
            past: Vec::new(),
            progressed: false,
        }
    }

    /// Whether this direction holds bytes.
    pub(super) fn holds(&self) -> bool {
        self.carry.is_some()
            || self.unplanned.is_some()
            || self.shaper.as_ref().is_some_and(|shaper| shaper.holds_bytes())
    }

    /// Whether bytes or endings may wait unseen in this direction: nobody reads, or can read on.
    pub(super) fn is_stuck(&self, now: Instant) -> bool {
        self.holds() || self.shaper.as_ref().is_some_and(|shaper| shaper.chain.reads_nothing(now))
    }

    /// Until when a fault holds something back, where that is known.
    pub(super) fn held_until(&self, now: Instant) -> Option<Instant> {
        self.shaper.as_ref()?.chain.held_until(now)
    }

    /// Whether the source has said its last.
    pub(super) fn source_ended(&self) -> bool {
        self.source_ended
    }

    /// Puts a plan in force. True when a fault was taken away whose bytes are gone for good.
    pub(super) fn adopt(&mut self, plan: &Plan, now: Instant) -> bool {
        let faults = plan.of(self.direction);
        if faults.is_empty() && self.shaper.is_none() {
            return false;
        }
        // What waits for this plan has been read, and is still to come by.
        let offset = self.offset - self.unplanned.as_ref().map_or(0, |carry| carry.len() as u64);
        let shaper = self.shaper.get_or_insert_with(|| Box::new(Shaper::from(offset)));
        if let Some(carry) = self.carry.take() {
            // A sink that takes nothing must not keep the faults from acting.
            shaper.chain.hold_as_is(now, carry.into_bytes());
        }
        shaper.chain.adopt(faults, now)
    }

    /// Faults that have fired since this was last asked.
    pub(super) fn take_fired(&mut self) -> Vec<Deed> {
        self.shaper.as_mut().map(|shaper| shaper.chain.take_fired()).unwrap_or_default()
    }

    /// What faults have done.
    pub(super) fn deeds(&self) -> Vec<Deed> {
        let mut deeds = self.past.clone();
        deeds.extend(self.shaper.iter().flat_map(|shaper| shaper.chain.deeds()));
        deeds
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
        around: &Around<'_>,
    ) -> Poll<io::Result<Passed>> {
        let Around { meter, plan_changed, .. } = *around;
        for _ in 0..TURN {
            ready!(self.poll_write(cx, sink, meter))?;
            if plan_changed() {
                // What was read since may have been sent since: the relay adopts the plan before anything else.
                break;
            }
            if let Some(bytes) = self.unplanned.take() {
                match &mut self.shaper {
                    Some(shaper) => shaper.chain.on_read(Instant::now(), bytes.into_bytes()),
                    None => self.carry = Some(bytes),
                }
                continue;
            }
            if let Some(shaper) = &mut self.shaper {
                if let Some(bytes) = shaper.unplanned.take() {
                    shaper.chain.on_read(Instant::now(), bytes);
                    continue;
                }
                match self.step(cx, source, sink, broken, around)? {
                    Step::Moved => continue,
                    Step::Passed(passed) => return Poll::Ready(Ok(passed)),
                    Step::Waits => return Poll::Pending,
                }
            }
            if self.source_ended {
                return self.poll_end(cx, sink, broken.is_some());
            }
            match source.poll_readable(cx) {
                Poll::Ready(Ok(())) => self.unplanned = self.fetch(source, sink, broken, around),
                Poll::Ready(Err(e)) => self.source_broke(e, broken),
                Poll::Pending => return Poll::Pending,
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Takes what comes for a sink that is gone. That is no progress: it says nothing of the bytes that can still arrive.
    pub(super) fn discard(
        &mut self,
        cx: &mut Context<'_>,
        source: &impl Transport,
        broken: &mut Option<io::Error>,
        meter: &Meter,
    ) {
        for _ in 0..TURN {
            if self.source_ended {
                return;
            }
            match source.poll_readable(cx) {
                Poll::Pending => return,
                Poll::Ready(Err(e)) => self.source_broke(e, broken),
                Poll::Ready(Ok(())) => match source.read(&mut Buffer::borrow()) {
                    Ok(0) => self.source_ended = true,
                    Ok(count) => meter.count_received(self.direction, count),
                    Err(e) if matches!(e.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {}
                    Err(e) => self.source_broke(e, broken),
                },
            }
        }
        cx.waker().wake_by_ref();
    }

    fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        sink: &impl Transport,
        meter: &Meter,
    ) -> Poll<io::Result<()>> {
        while let Some(carry) = &mut self.carry {
            match carry.write_to(sink) {
                Ok(0) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                Ok(n) => {
                    self.progressed = true;
                    meter.count_sent(self.direction, n);
                    if carry.len() == 0 {
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
        if broken && !self.fin_passed {
            // An RST overtakes what this machine has not sent yet.
            ready!(sink.poll_sent(cx));
        }
        if broken {
            return Poll::Ready(Ok(Passed::AllOfBroken));
        }
        if !self.fin_passed {
            sink.shut_write()?;
            self.fin_passed = true;
            self.progressed = true;
        }
        Poll::Ready(Ok(Passed::Fin))
    }

    /// Takes what is there, where no fault needs to see it. None: nothing came, or the stream has ended.
    fn fetch(
        &mut self,
        source: &impl Transport,
        sink: &impl Transport,
        broken: &mut Option<io::Error>,
        around: &Around<'_>,
    ) -> Option<Carry> {
        let Around { meter, pipes, .. } = *around;
        if self.gear.is_bulk()
            && source.splices()
            && sink.splices()
            && let Some(mut pipe) = pipes.borrow()
        {
            match source.splice_in(&mut pipe) {
                Ok(count @ 1..) => {
                    self.gear.spliced(count);
                    self.took(count, meter);
                    return Some(Carry::Piped(pipe));
                }
                Err(e) if e.kind() == io::ErrorKind::Unsupported => self.gear.cannot_splice(),
                // Why nothing came is found out by reading.
                Ok(_) => {}
                Err(e) if matches!(e.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {}
                Err(e) => {
                    self.source_broke(e, broken);
                    return None;
                }
            }
        }
        let carry = self.read(source, broken, meter, pool::SIZE);
        if let Some(carry) = &carry {
            self.gear.copied(carry.len());
        }
        carry
    }

    /// Reads at most `room` bytes into a borrowed buffer. None: nothing came, or the stream has ended.
    fn read(
        &mut self,
        source: &impl Transport,
        broken: &mut Option<io::Error>,
        meter: &Meter,
        room: usize,
    ) -> Option<Carry> {
        let mut buffer = Buffer::borrow();
        let read = source.read(&mut buffer[..room.min(pool::SIZE)]);
        self.came(read.map(|end| (end, Carry::Copied { buffer, start: 0, end })), broken, meter)
    }

    /// What a read came to: so many bytes, and where they are. None: nothing came, or the stream has ended.
    fn came<T>(
        &mut self,
        read: io::Result<(usize, T)>,
        broken: &mut Option<io::Error>,
        meter: &Meter,
    ) -> Option<T> {
        match read {
            Ok((0, _)) => {
                self.source_ended = true;
                self.progressed = true;
                None
            }
            Ok((count, bytes)) => {
                self.took(count, meter);
                Some(bytes)
            }
            Err(e) if matches!(e.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => None,
            Err(e) => {
                self.source_broke(e, broken);
                None
            }
        }
    }

    /// So many bytes have come.
    fn took(&mut self, count: usize, meter: &Meter) {
        self.progressed = true;
        self.offset += count as u64;
        meter.count_received(self.direction, count);
    }

    fn source_broke(&mut self, error: io::Error, broken: &mut Option<io::Error>) {
        self.source_ended = true;
        self.progressed = true;
        broken.get_or_insert(error);
    }
}
