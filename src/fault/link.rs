//! One fault's place in a chain, and the way on from it.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::held::{Held, LinkId};
use super::kept::Kept;
use super::plan::Active;
use super::stream::{Cut, Ending, Segment, StreamFault};
use crate::observe::FaultStats;

/// A fault at work in one direction of one connection.
pub(super) struct Link {
    pub(super) id: LinkId,
    pub(super) active: Arc<Active>,
    pub(super) fault: Box<dyn StreamFault>,
    /// When the last bytes came by: those behind them come no earlier.
    pub(super) last: Option<Instant>,
    pub(super) deed: Done,
}

impl Link {
    /// Lets its fault act, with the rest of the chain as the way on.
    pub(super) fn act(
        &mut self,
        rest: &mut [Link],
        held: &mut Held,
        fresh: &mut bool,
        now: Instant,
        act: impl FnOnce(&mut dyn StreamFault, &mut Next<'_>),
    ) {
        let (done, stats) = (&mut self.deed, Some(&*self.active.stats));
        act(&mut *self.fault, &mut Next { rest, held, done, stats, fresh, me: self.id, now });
    }

    /// Bytes that it keeps to itself.
    pub(super) fn keeps(&self) -> usize {
        self.fault.kept().map_or(0, Kept::bytes)
    }
}

/// What a fault has done in one direction of a connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Done {
    /// Whether it has taken effect.
    pub fired: bool,
    pub(super) told: bool,
    /// Bytes or segments it acted upon.
    pub amount: u64,
    /// How much later bytes came because of it, the longest.
    pub delay: Duration,
}

/// A fault and what it has done.
#[derive(Clone, Debug)]
pub struct Deed {
    /// The fault.
    pub active: Arc<Active>,
    /// What it did.
    pub done: Done,
}

/// The way on from a fault: the rest of the chain, and a place to tell what it did.
pub struct Next<'a> {
    rest: &'a mut [Link],
    held: &'a mut Held,
    done: &'a mut Done,
    stats: Option<&'a FaultStats>,
    fresh: &'a mut bool,
    me: LinkId,
    now: Instant,
}

impl<'a> Next<'a> {
    /// The way into a chain, before its first fault.
    pub(super) fn enter(
        rest: &'a mut [Link],
        held: &'a mut Held,
        nobody: &'a mut Done,
        fresh: &'a mut bool,
        now: Instant,
    ) -> Self {
        Next { rest, held, done: nobody, stats: None, fresh, me: LinkId::default(), now }
    }

    /// Hands bytes on.
    pub fn data(&mut self, mut segment: Segment) {
        let Some((link, rest)) = self.rest.split_first_mut() else { return self.held.push(segment) };
        if let Some(last) = link.last {
            segment.at = segment.at.max(last);
        }
        link.last = Some(segment.at);
        link.act(rest, self.held, self.fresh, self.now, |fault, next| fault.on_data(segment, next));
    }

    /// Hands the peer's FIN on.
    pub fn fin(&mut self, at: Instant) {
        let Some((link, rest)) = self.rest.split_first_mut() else { return self.held.fin(at) };
        let at = link.last.map_or(at, |last| last.max(at));
        link.act(rest, self.held, self.fresh, self.now, |fault, next| fault.on_fin(at, next));
    }

    /// Ends the connection, in its place behind the bytes before it or, where it does not wait, at once.
    pub fn cut(&mut self, at: Instant, cut: Cut) {
        self.ending(Ending { at, cut, by: self.me });
    }

    /// Hands an ending on.
    pub fn ending(&mut self, mut ending: Ending) {
        if !ending.cut.waits() {
            return self.held.cut(ending);
        }
        let Some((link, rest)) = self.rest.split_first_mut() else { return self.held.cut(ending) };
        ending.at = link.last.map_or(ending.at, |last| last.max(ending.at));
        link.act(rest, self.held, self.fresh, self.now, |fault, next| fault.on_cut(ending, next));
    }

    /// The time at which all this happens.
    pub fn now(&self) -> Instant {
        self.now
    }

    /// The fault has taken effect.
    pub fn fire(&mut self) {
        if !self.done.fired {
            self.done.fired = true;
            *self.fresh = true;
        }
    }

    /// It has taken effect on so many bytes or segments.
    pub fn count(&mut self, amount: u64) {
        self.fire();
        self.done.amount += amount;
        if let Some(stats) = self.stats {
            stats.count_amount(amount);
        }
    }

    /// It makes bytes come so much later.
    pub fn delayed(&mut self, by: Duration) {
        self.fire();
        self.done.delay = self.done.delay.max(by);
        if let Some(stats) = self.stats {
            stats.count_delay(by);
        }
    }
}
