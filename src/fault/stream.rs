//! What a stream fault is made of: bytes stamped with an offset and a time go in, and come out later, changed or not at
//! all.
//!
//! A fault is pure. It never sleeps, reads a clock, touches a socket or rolls a shared die: time is an argument, chance
//! comes from dice of its own, and whatever it decides about a byte hangs on the byte's offset in the stream, never on
//! how the bytes happened to be read. So it is tested as a plain function, exactly.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::BytesMut;
use tokio::time::Instant;

use super::Pacer;
use super::dice::Dice;
use super::held::LinkId;
use super::kept::Kept;
use super::link::Next;

/// Bytes on their way, with the offset of the first one in the stream and the time at which they go on.
#[derive(Debug)]
pub struct Segment {
    /// Of the first byte, counted from the start of the connection.
    pub offset: u64,
    /// When they go on.
    pub at: Instant,
    /// What goes on.
    pub bytes: BytesMut,
}

impl Segment {
    /// The offset behind the last byte.
    pub fn end(&self) -> u64 {
        self.offset + self.bytes.len() as u64
    }

    /// Takes so many bytes off the front, as a segment that goes on at `at`.
    pub fn split_to(&mut self, length: usize, at: Instant) -> Segment {
        let front = Segment { offset: self.offset, at, bytes: self.bytes.split_to(length) };
        self.offset += length as u64;
        front
    }
}

/// How a fault ends a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// By FIN, after everything before it.
    Close,
    /// By RST to both sides, after everything before it.
    Reset,
    /// By FIN, now.
    CloseNow,
    /// By RST to both sides, now.
    ResetNow,
}

impl Cut {
    /// Whether it comes behind the bytes before it.
    pub fn waits(self) -> bool {
        matches!(self, Cut::Close | Cut::Reset)
    }
}

/// An ending on its way through the chain.
#[derive(Clone, Copy, Debug)]
pub struct Ending {
    /// When it takes place.
    pub at: Instant,
    /// How.
    pub cut: Cut,
    /// Whose it is.
    pub by: LinkId,
}

/// How much a fault is willing to take from the source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Intake {
    /// Whatever there is.
    Any,
    /// So many bytes at once.
    AtMost(usize),
    /// Nothing before this moment.
    From(Instant),
    /// Nothing until the plan changes.
    Never,
}

/// The behaviour of one fault in one direction of one connection.
pub trait StreamFault: Send {
    /// The direction is live, both sides are connected, and the fault is on it from now on.
    fn on_start(&mut self, _next: &mut Next<'_>) {}

    /// Bytes come by.
    fn on_data(&mut self, segment: Segment, next: &mut Next<'_>) {
        next.data(segment);
    }

    /// The peer's FIN comes by; no byte follows it.
    fn on_fin(&mut self, at: Instant, next: &mut Next<'_>) {
        next.fin(at);
    }

    /// An ending that another fault asks for comes by.
    fn on_cut(&mut self, ending: Ending, next: &mut Next<'_>) {
        next.ending(ending);
    }

    /// When the fault wants to act without bytes.
    fn wake_at(&self) -> Option<Instant> {
        None
    }

    /// That moment has come.
    fn on_wake(&mut self, _now: Instant, _next: &mut Next<'_>) {}

    /// How much it is willing to take now.
    fn intake(&self, _now: Instant) -> Intake {
        Intake::Any
    }

    /// The plan has changed and what was on its way comes at once: times to come that the fault remembers hold no more,
    /// and what it keeps only because it was late goes on.
    fn on_release(&mut self, _now: Instant, _next: &mut Next<'_>) {}

    /// What it keeps to itself; it goes on when the fault is taken away.
    fn kept(&self) -> Option<&Kept> {
        None
    }

    /// The same, to be changed.
    fn kept_mut(&mut self) -> Option<&mut Kept> {
        None
    }

    /// Whether bytes it has let vanish make the connection useless without it.
    fn leaves_a_hole(&self) -> bool {
        false
    }
}

/// What a fault is built from, apart from its own parameters.
#[derive(Clone, Debug)]
pub struct Build<'a> {
    /// Its dice on this connection in this direction, apart from the draw that chose it.
    pub dice: Dice,
    /// Since when it is on this connection.
    pub since: Instant,
    /// The rate it may share with others of its route.
    pub pacer: &'a Arc<Mutex<Pacer>>,
}

/// So far away that it means: until something changes. Stamps never pass it.
pub const FAR: Duration = Duration::from_secs(50 * 365 * 86_400);
