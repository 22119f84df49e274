//! The gear for a direction with faults: what its chain lets through, and when.

use std::io;
use std::task::{Context, Poll};

use bytes::BytesMut;
use tokio::time::Instant;

use super::{Around, Passed, Pump};
use crate::fault::chain::Chain;
use crate::fault::held::Front;
use crate::fault::stream::{Cut, Intake};
use crate::observe::Meter;
use crate::relay::block::Block;
use crate::relay::{FineAlarm, Transport};

/// What a direction with faults has beside the others.
pub(super) struct Shaper {
    pub(super) chain: Chain,
    alarm: FineAlarm,
    block: Block,
    /// Bytes that were read for the chain while a new plan arrived: it decides about them.
    pub(super) unplanned: Option<BytesMut>,
}

impl Shaper {
    /// For a stream of which so many bytes have passed.
    pub(super) fn from(offset: u64) -> Self {
        Shaper {
            chain: Chain::from(offset),
            alarm: FineAlarm::default(),
            block: Block::default(),
            unplanned: None,
        }
    }

    /// Whether it holds bytes.
    pub(super) fn holds_bytes(&self) -> bool {
        self.unplanned.is_some() || self.chain.holds_bytes()
    }
}

/// What one step with faults came to.
pub(super) enum Step {
    /// Something moved.
    Moved,
    /// The last has been passed on.
    Passed(Passed),
    /// Nothing can be done for now; the waker is registered.
    Waits,
}

impl Pump {
    /// One step with faults: write, or pass an ending on, or read.
    pub(super) fn step(
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
                Intake::Any => return self.step_read(cx, source, broken, meter, usize::MAX, wake),
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
                let Some(shaper) = &mut self.shaper else { return Ok(Step::Moved) };
                let read = shaper.block.read(source, room, shaper.chain.holds());
                let bytes = self.came(read.map(|bytes| (bytes.len(), bytes)), broken, meter);
                if let Some(shaper) = &mut self.shaper {
                    shaper.unplanned = bytes;
                }
            }
        }
        Ok(Step::Moved)
    }

    /// Nothing more can be done before `wake`. A direction that has passed its FIN on has said its last, but its faults
    /// may still have something in mind.
    fn wait(&mut self, cx: &mut Context<'_>, wake: Option<Instant>) -> Step {
        if let Some(shaper) = &mut self.shaper {
            if wake.is_some_and(|at| shaper.alarm.poll(cx, at).is_ready()) {
                return Step::Moved;
            }
            if !shaper.chain.holds_bytes() {
                shaper.block.give_back();
            }
        }
        if self.fin_passed { Step::Passed(Passed::Fin) } else { Step::Waits }
    }
}
