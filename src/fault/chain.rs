//! The faults of one direction of one connection, in their order, ending in the held queue.

use std::sync::Arc;

use bytes::BytesMut;
use tokio::time::Instant;

use super::held::{Front, Held, LinkId};
use super::kept::Kept;
use super::link::{Deed, Done, Link, Next};
use super::plan::Active;
use super::stream::{Intake, Segment, StreamFault};

/// A chain and what it holds.
///
/// Bytes are pushed in with the time they were read and are taken out at the front when their time has come. The chain
/// never waits: it says when it wants to be looked at again.
#[derive(Default)]
pub struct Chain {
    links: Vec<Link>,
    held: Held,
    /// How many bytes have come in.
    offset: u64,
    fin_seen: bool,
    /// The deeds of links that are gone.
    past: Vec<Deed>,
    /// Whether a fault has fired that was not told yet.
    fresh: bool,
    last_id: u32,
}

impl Chain {
    /// A chain for a stream of which so many bytes have gone by already.
    pub fn from(offset: u64) -> Self {
        Chain { offset, ..Chain::default() }
    }

    /// How many bytes have gone by.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// Whether there is no fault here, and nothing to tell of one that was.
    pub fn is_empty(&self) -> bool {
        self.links.is_empty() && !self.fresh
    }

    /// Whether bytes wait here.
    pub fn holds_bytes(&self) -> bool {
        self.holds() > 0
    }

    /// How many bytes wait here.
    pub fn holds(&self) -> usize {
        self.held.bytes() + self.links.iter().map(|link| link.keeps()).sum::<usize>()
    }

    /// What they cost in memory.
    fn costs(&self) -> usize {
        let kept = self.links.iter().filter_map(|link| link.fault.kept()).map(Kept::cost).sum::<usize>();
        self.held.cost() + kept
    }

    /// What is held.
    pub fn held(&self) -> &Held {
        &self.held
    }

    /// Bytes were read.
    pub fn on_read(&mut self, now: Instant, bytes: BytesMut) {
        let segment = Segment { offset: self.offset, at: now, bytes };
        self.offset = segment.end();
        self.feed(now, |next| next.data(segment));
    }

    /// Bytes that were read before there was anything here go first, as they are.
    pub fn hold_as_is(&mut self, now: Instant, bytes: BytesMut) {
        self.held.push(Segment { offset: self.offset, at: now, bytes });
    }

    /// The source has ended its stream. Only the first time counts.
    pub fn on_fin(&mut self, now: Instant) {
        if std::mem::replace(&mut self.fin_seen, true) {
            return;
        }
        self.feed(now, |next| next.fin(now));
    }

    fn feed(&mut self, now: Instant, push: impl FnOnce(&mut Next<'_>)) {
        let mut nobody = Done::default();
        push(&mut Next::enter(&mut self.links, &mut self.held, &mut nobody, &mut self.fresh, now));
    }

    /// Lets faults act whose time has come.
    pub fn on_time(&mut self, now: Instant) {
        for i in 0..self.links.len() {
            if self.links[i].fault.wake_at().is_some_and(|at| at <= now) {
                self.with(i, now, |fault, next| fault.on_wake(now, next));
            }
        }
    }

    fn with(&mut self, i: usize, now: Instant, act: impl FnOnce(&mut dyn StreamFault, &mut Next<'_>)) {
        let Some((link, rest)) = self.links.get_mut(i..).and_then(<[Link]>::split_first_mut) else { return };
        link.act(rest, &mut self.held, &mut self.fresh, now, act);
    }

    /// What may happen now at the far end.
    pub fn front(&self, now: Instant) -> Front<'_> {
        self.held.front(now)
    }

    /// So many bytes of the front were written.
    pub fn wrote(&mut self, count: usize) {
        self.held.wrote(count);
    }

    /// The FIN at the front was passed on.
    pub fn passed_fin(&mut self) {
        self.held.passed_fin();
    }

    /// How much may be read now, when `most` bytes may be held.
    pub fn intake(&self, now: Instant, most: usize) -> Intake {
        if self.held.cut_by().is_some() {
            return Intake::Never;
        }
        let room = most.saturating_sub(self.costs());
        let mut all = if room == 0 { return Intake::Never } else { Intake::AtMost(room) };
        for link in &self.links {
            all = match (all, link.fault.intake(now)) {
                (Intake::Never, _) | (_, Intake::Never) => Intake::Never,
                (all, Intake::Any) => all,
                (Intake::From(a), Intake::From(b)) => Intake::From(a.max(b)),
                (_, Intake::From(at)) if at > now => Intake::From(at),
                (all, Intake::From(_)) => all,
                (Intake::AtMost(a), Intake::AtMost(b)) => Intake::AtMost(a.min(b)),
                (all, Intake::AtMost(_)) => all,
            };
        }
        all
    }

    /// Until when something is held back here on purpose, bytes or the reading of them, where that is known.
    pub fn held_until(&self, now: Instant) -> Option<Instant> {
        let not_read = self.links.iter().filter_map(|link| match link.fault.intake(now) {
            Intake::From(at) if at > now => Some(at),
            _ => None,
        });
        not_read.chain(self.held.known_until(now)).max()
    }

    /// Whether it has stopped reading, and nobody knows for how long.
    pub fn reads_nothing(&self, now: Instant) -> bool {
        self.links.iter().any(|link| link.fault.intake(now) == Intake::Never)
    }

    /// When a fault wants to act, whatever is held.
    pub fn next_act(&self) -> Option<Instant> {
        self.links.iter().filter_map(|link| link.fault.wake_at()).min()
    }

    /// When it wants to be looked at again; reading not counted.
    pub fn wake_at(&self, now: Instant) -> Option<Instant> {
        let front = match self.held.front(now) {
            Front::Later(at) => Some(at),
            _ => None,
        };
        self.next_act().into_iter().chain(front).min()
    }

    /// Puts a new plan in place of the old one. Faults that are in both go on as they are. When one was taken away or
    /// changed that has held something back here, what is held goes at once.
    ///
    /// True when a fault was taken away whose bytes are gone for good: such a connection cannot go on.
    pub fn adopt(&mut self, plan: &[Arc<Active>], now: Instant) -> bool {
        let hole = self.remove_others(plan, now);
        let before: Vec<LinkId> = self.links.iter().map(|link| link.id).collect();
        let mut old = std::mem::take(&mut self.links);
        let mut started = Vec::new();
        for active in plan {
            let link = match old.iter().position(|link| Arc::ptr_eq(&link.active, active)) {
                Some(i) => old.remove(i),
                None => {
                    let Some(fault) = active.build(now) else { continue };
                    self.last_id += 1;
                    started.push(self.links.len());
                    // A fault that was changed goes on telling where it stopped: it fires once under its name.
                    let known = self.past.iter().position(|deed| deed.active.fault.name == active.fault.name);
                    let deed = known.map(|i| self.past.remove(i).done).unwrap_or_default();
                    Link { id: LinkId(self.last_id), active: active.clone(), fault, last: None, deed }
                }
            };
            self.links.push(link);
        }
        if !self
            .links
            .iter()
            .filter(|link| before.contains(&link.id))
            .map(|link| link.id)
            .eq(before.iter().copied())
        {
            self.keep_in_order();
            // Whoever now stands in front of a delay must not go by what came to it behind the delay.
            for link in &mut self.links {
                link.last = link.last.map(|last| last.min(now));
            }
        }
        for i in started {
            self.with(i, now, |fault, next| fault.on_start(next));
        }
        hole
    }

    /// Takes away the faults that are not in the plan, the last one first, so that what they kept goes on in order.
    fn remove_others(&mut self, plan: &[Arc<Active>], now: Instant) -> bool {
        let stays = |link: &Link| plan.iter().any(|active| Arc::ptr_eq(active, &link.active));
        if self.links.iter().all(stays) {
            return false;
        }
        let staying: Vec<LinkId> = self.links.iter().filter(|link| stays(link)).map(|link| link.id).collect();
        let gone = |by: LinkId| !staying.contains(&by);
        if self.held.cut_by().is_some_and(gone) {
            self.held.call_off();
        }
        for kept in self.links.iter_mut().filter_map(|link| link.fault.kept_mut()) {
            kept.call_off(gone);
        }
        // Who never made anything wait leaves no trace on what waits because of others.
        let releases = self.links.iter().any(|link| gone(link.id) && !link.deed.delay.is_zero());
        if releases {
            self.held.release(now);
            for link in &mut self.links {
                link.last = link.last.map(|last| last.min(now));
                if let Some(kept) = link.fault.kept_mut() {
                    kept.hasten(now);
                }
            }
        }
        let mut hole = false;
        for i in (0..self.links.len()).rev() {
            if stays(&self.links[i]) {
                if releases {
                    self.with(i, now, |fault, next| fault.on_release(now, next));
                }
                continue;
            }
            self.with(i, now, |fault, next| {
                if let Some(kept) = fault.kept_mut() {
                    kept.release(now, next);
                }
            });
            let link = self.links.remove(i);
            hole |= link.fault.leaves_a_hole();
            if link.deed.fired {
                self.past.push(Deed { active: link.active, done: link.deed });
            }
        }
        hole
    }

    /// Faults have changed places: what they keep is shared out among the same ones again, so that the first bytes are
    /// with the last of them.
    fn keep_in_order(&mut self) {
        let keepers =
            self.links.iter_mut().filter_map(|link| link.fault.kept_mut()).filter(|kept| !kept.is_empty());
        let mut keepers: Vec<&mut Kept> = keepers.collect();
        let mut all: Vec<Kept> = keepers.iter_mut().map(|kept| std::mem::take(*kept)).collect();
        all.sort_by_key(|kept| std::cmp::Reverse(kept.first()));
        for (keeper, kept) in keepers.into_iter().zip(all) {
            *keeper = kept;
        }
    }

    /// Faults that have fired since this was last asked.
    pub fn take_fired(&mut self) -> Vec<Deed> {
        if !std::mem::take(&mut self.fresh) {
            return Vec::new();
        }
        let past = self.past.iter_mut().map(|deed| (&deed.active, &mut deed.done));
        past.chain(self.links.iter_mut().map(|link| (&link.active, &mut link.deed)))
            .filter(|(_, done)| done.fired && !done.told)
            .map(|(active, done)| {
                done.told = true;
                Deed { active: active.clone(), done: *done }
            })
            .collect()
    }

    /// The fault that ends the connection; with this it has taken effect.
    pub fn ended_by(&mut self, id: LinkId) -> Option<Arc<Active>> {
        let link = self.links.iter_mut().find(|link| link.id == id)?;
        if !link.deed.fired {
            link.deed.fired = true;
            self.fresh = true;
        }
        Some(link.active.clone())
    }

    /// What all faults have done.
    pub fn deeds(&self) -> Vec<Deed> {
        let now = self
            .links
            .iter()
            .filter(|link| link.deed.fired)
            .map(|link| Deed { active: link.active.clone(), done: link.deed });
        self.past.iter().cloned().chain(now).collect()
    }
}
