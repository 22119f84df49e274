//! One direction: bytes, then the ending, from one transport to the other.
//!
//! A pump has two gears. Bytes that no fault can touch are read into a borrowed buffer and written on; with faults they
//! go through a [`Chain`], which says what may be written when. Either way a pump owns the bytes it has read and not yet
//! written, so that the gear can change at any byte. It never decides how the connection ends: it reports what it has
//! passed on, and the relay decides.

use std::io;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::BytesMut;
use tokio::time::Instant;

use super::pool::{self, Buffer};
use super::{Alarm, Transport};
use crate::fault::chain::Chain;
use crate::fault::held::Front;
use crate::fault::link::Deed;
use crate::fault::stream::{Cut, Intake};
use crate::fault::{Active, Plan};
use crate::observe::{Direction, Meter};

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
    /// How many bytes the faults of a direction may hold.
    pub(super) most: usize,
    /// How long an ending may wait for the bytes before it.
    pub(super) patience: Duration,
    /// Whether there is a plan that was not adopted yet.
    pub(super) plan_changed: &'a dyn Fn() -> bool,
}

/// Bytes read and not yet written, with no fault on them.
struct Carry {
    buffer: Buffer,
    start: usize,
    end: usize,
}

impl Carry {
    fn len(&self) -> u64 {
        (self.end - self.start) as u64
    }

    fn into_bytes(self) -> BytesMut {
        BytesMut::from(&self.buffer[self.start..self.end])
    }
}

struct Shaper {
    chain: Chain,
    alarm: Alarm,
}

/// What one step with faults came to.
enum Step {
    Moved,
    Passed(Passed),
    Waits,
}

impl Pump {
    pub(super) fn new(direction: Direction) -> Self {
        Pump {
            direction,
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
            || self.shaper.as_ref().is_some_and(|shaper| shaper.chain.holds_bytes())
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
        let offset = self.offset - self.unplanned.as_ref().map_or(0, Carry::len);
        let shaper = self
            .shaper
            .get_or_insert_with(|| Box::new(Shaper { chain: Chain::from(offset), alarm: Alarm::default() }));
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
            if self.shaper.is_some() {
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
                Poll::Ready(Ok(())) => {
                    self.unplanned = self.read(source, broken, meter, pool::SIZE);
                }
                Poll::Ready(Err(e)) => self.source_broke(e, broken),
                Poll::Pending => return Poll::Pending,
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// One step with faults: write, or pass an ending on, or read.
    fn step(
        &mut self,
        cx: &mut Context<'_>,
        source: &impl Transport,
        sink: &impl Transport,
        broken: &mut Option<io::Error>,
        around: &Around<'_>,
    ) -> io::Result<Step> {
        let Around { meter, most, patience, .. } = *around;
        let Some(shaper) = &mut self.shaper else { return Ok(Step::Moved) };
        let now = Instant::now();
        shaper.chain.on_time(now);
        if self.source_ended && !self.fin_passed {
            shaper.chain.on_fin(now);
        }
        match shaper.chain.front(now) {
            Front::Bytes(bytes) => match sink.write(bytes) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => {
                    shaper.chain.wrote(count);
                    self.progressed = true;
                    meter.count_sent(self.direction, count);
                    return Ok(Step::Moved);
                }
                Err(e) if e.kind() == io::ErrorKind::Interrupted => return Ok(Step::Moved),
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {
                    // While the sink takes nothing, the source may still be read, as far as there is room.
                    if let Poll::Ready(ready) = sink.poll_writable(cx) {
                        return ready.map(|()| Step::Moved);
                    }
                }
                Err(e) => return Err(e),
            },
            Front::Cut(cut, by) => {
                // An RST overtakes what this machine has not sent yet.
                let give_up = *self.cut_due.get_or_insert(now) + patience;
                if cut == Cut::Reset && now < give_up && sink.poll_sent(cx).is_pending() {
                    let wake = shaper.chain.next_act().map_or(give_up, |at| at.min(give_up));
                    return Ok(self.wait(cx, Some(wake)));
                }
                return Ok(Step::Passed(Passed::UpTo(cut, shaper.chain.ended_by(by))));
            }
            Front::Fin if broken.is_none() => {
                sink.shut_write()?;
                shaper.chain.passed_fin();
                self.fin_passed = true;
                self.progressed = true;
                return Ok(Step::Moved);
            }
            Front::Fin => {
                if sink.poll_sent(cx).is_pending() {
                    return Ok(Step::Waits);
                }
                return Ok(Step::Passed(Passed::AllOfBroken));
            }
            Front::Empty if shaper.chain.is_empty() => {
                self.offset = shaper.chain.offset();
                self.past.extend(shaper.chain.deeds());
                self.shaper = None;
                return Ok(Step::Moved);
            }
            Front::Later(_) | Front::Empty => {}
        }
        let mut wake = shaper.chain.wake_at(now);
        if self.source_ended {
            if self.fin_passed && broken.is_some() {
                return Ok(Step::Passed(Passed::AllOfBroken));
            }
        } else {
            match shaper.chain.intake(now, most) {
                Intake::From(at) => wake = Some(wake.map_or(at, |wake| wake.min(at))),
                Intake::Never => {}
                Intake::Any => return self.step_read(cx, source, broken, meter, pool::SIZE, wake),
                Intake::AtMost(room) => return self.step_read(cx, source, broken, meter, room, wake),
            }
        }
        Ok(self.wait(cx, wake))
    }

    fn step_read(
        &mut self,
        cx: &mut Context<'_>,
        source: &impl Transport,
        broken: &mut Option<io::Error>,
        meter: &Meter,
        room: usize,
        wake: Option<Instant>,
    ) -> io::Result<Step> {
        match source.poll_readable(cx) {
            Poll::Pending => return Ok(self.wait(cx, wake)),
            Poll::Ready(Err(e)) => self.source_broke(e, broken),
            Poll::Ready(Ok(())) => {
                self.unplanned = self.read(source, broken, meter, room);
            }
        }
        Ok(Step::Moved)
    }

    /// Nothing more can be done before `wake`. A direction that has passed its FIN on has said its last, but its faults
    /// may still have something in mind.
    fn wait(&mut self, cx: &mut Context<'_>, wake: Option<Instant>) -> Step {
        if let (Some(at), Some(shaper)) = (wake, &mut self.shaper)
            && shaper.alarm.poll(cx, at).is_ready()
        {
            return Step::Moved;
        }
        if self.fin_passed { Step::Passed(Passed::Fin) } else { Step::Waits }
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

    /// Reads at most `room` bytes into a borrowed buffer. None: nothing came, or the stream has ended.
    fn read(
        &mut self,
        source: &impl Transport,
        broken: &mut Option<io::Error>,
        meter: &Meter,
        room: usize,
    ) -> Option<Carry> {
        let mut buffer = Buffer::borrow();
        match source.read(&mut buffer[..room.min(pool::SIZE)]) {
            Ok(0) => {
                self.source_ended = true;
                self.progressed = true;
                None
            }
            Ok(n) => {
                self.progressed = true;
                self.offset += n as u64;
                meter.count_received(self.direction, n);
                Some(Carry { buffer, start: 0, end: n })
            }
            Err(e) if matches!(e.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => None,
            Err(e) => {
                self.source_broke(e, broken);
                None
            }
        }
    }

    fn source_broke(&mut self, error: io::Error, broken: &mut Option<io::Error>) {
        self.source_ended = true;
        self.progressed = true;
        broken.get_or_insert(error);
    }
}
