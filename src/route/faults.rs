//! The faults of a route: what their triggers remember, whom they have chosen, and how a change reaches live connections.
//!
//! Every decision falls here, in one place and under one lock that nobody holds while waiting: at accept, in accept
//! order, for connections that live when a stream fault arrives later, in the order of their numbers, and for a fault that
//! is aimed at an endpoint, when the connection dials that.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::watch;
use tokio::time::Instant;

use super::FaultCount;
use super::entry::{Entry, Record, Taken};
use super::gone::Gone;
use super::life::Life;
use crate::fault::dice::Dice;
use crate::fault::{Active, Fault, Plan, Stage};
use crate::observe::Direction;
use crate::relay::{Dismissal, Orders};
use crate::upstream::Endpoint;

/// Faults whose time was over that are remembered, so that a reload does not bring them back.
const MOST_EXPIRED: usize = 256;

/// The faults of a route and the connections they act upon.
#[derive(Debug)]
pub(super) struct Faults {
    /// The route's dice.
    dice: Dice,
    entries: Vec<Entry>,
    live: BTreeMap<u64, Live>,
    /// What faults did that are gone.
    gone: Gone,
    /// Those whose time was over, as they were.
    expired: Vec<Arc<Fault>>,
    /// How often connections were told to finish.
    closings: u64,
}

/// A connection that stream faults can reach.
#[derive(Debug)]
struct Live {
    life: Arc<Life>,
    orders: watch::Sender<Orders>,
    /// Which of the closings it was told to finish by.
    finishing: Option<u64>,
    /// The endpoint that it dials or has reached.
    at: Option<Endpoint>,
    /// Whether it has reached that.
    arrived: bool,
    records: Vec<Record>,
}

/// What was decided about a connection at accept.
pub(super) struct Admitted {
    /// The accept faults that befall it, in order.
    pub(super) taken: Vec<Taken>,
    /// The faults on whatever it dials, in order.
    pub(super) on_dial: Vec<Taken>,
    /// The stream faults that act on it, now and later, and when it is to end.
    pub(super) orders: watch::Receiver<Orders>,
}

impl Faults {
    /// For a route with these dice, whose faults arrive now.
    pub(super) fn new(dice: Dice, faults: &[Fault], now: Instant) -> Self {
        let entries = faults.iter().map(|fault| Entry::new(fault.clone(), None, now)).collect();
        Faults {
            dice,
            entries,
            live: BTreeMap::new(),
            gone: Gone::default(),
            expired: Vec::new(),
            closings: 0,
        }
    }

    /// The dice of a connection.
    pub(super) fn dice_of(&self, number: u64) -> Dice {
        self.dice.number(number)
    }

    /// Decides about a connection: called in accept order.
    pub(super) fn admit(&mut self, life: Arc<Life>) -> Admitted {
        let (client, now) = (life.client.ip().to_canonical(), life.accepted);
        let dice = self.dice.number(life.number);
        let (mut taken, mut on_dial, mut records) = (Vec::new(), Vec::new(), Vec::new());
        let entries = self.entries.iter_mut().enumerate().filter(|(_, entry)| !entry.is_over(now));
        for (place, entry) in entries.filter(|(_, entry)| entry.aim().is_none()) {
            match entry.stage() {
                Stage::Accept => taken.extend(entry.take(place, client, &dice)),
                Stage::Dial => on_dial.extend(entry.take(place, client, &dice)),
                Stage::Stream => entry.decide(client, &dice, |_| None, &mut records),
            }
        }
        let (sender, orders) = watch::channel(Orders::of(plan_of(records.iter())));
        let number = life.number;
        let live = Live { life, orders: sender, finishing: None, at: None, arrived: false, records };
        self.live.insert(number, live);
        Admitted { taken, on_dial, orders }
    }

    /// A connection is about to dial an endpoint: decides about the faults that are aimed at it, and gives those on the dial.
    pub(super) fn dialling(&mut self, number: u64, endpoint: &Endpoint, now: Instant) -> Vec<Taken> {
        let Some(live) = self.live.get_mut(&number) else { return Vec::new() };
        (live.at, live.arrived) = (Some(endpoint.clone()), false);
        let mut taken = Vec::new();
        if self.entries.iter().any(|entry| entry.aim() == Some(endpoint)) {
            let (client, dice) = (live.life.client.ip().to_canonical(), &live.life.dice);
            let entries = self.entries.iter_mut().enumerate();
            for (place, entry) in entries.filter(|(_, entry)| entry.aim() == Some(endpoint)) {
                if entry.stage() == Stage::Dial && !entry.is_over(now) {
                    taken.extend(entry.take(place, client, dice));
                }
            }
            live.decide(&mut self.entries, now);
        }
        taken
    }

    /// The connection has reached the endpoint that it dialled.
    pub(super) fn arrived(&mut self, number: u64, now: Instant) {
        let Some(live) = self.live.get_mut(&number) else { return };
        live.arrived = true;
        if self.entries.iter().any(|entry| entry.stage() == Stage::Stream && entry.aim().is_some()) {
            live.decide(&mut self.entries, now);
        }
    }

    /// Tells live connections to end: all of them, or one; says how many.
    pub(super) fn dismiss(&self, id: Option<u64>, how: Dismissal) -> u64 {
        let told = self.live.values().filter(|live| id.is_none_or(|id| live.life.id == id));
        told.map(|live| live.dismiss(how)).count() as u64
    }

    /// Tells live connections to finish. Gives the number of this closing, and how many there are.
    pub(super) fn let_finish(&mut self) -> (u64, u64) {
        self.closings += 1;
        for live in self.live.values_mut() {
            live.dismiss(Dismissal::Finish);
            live.finishing = Some(self.closings);
        }
        (self.closings, self.live.len() as u64)
    }

    /// Ends those that were told to finish by this closing and have not: their time is up.
    pub(super) fn cut_finishing(&self, closing: u64) {
        for live in self.live.values().filter(|live| live.finishing == Some(closing)) {
            live.dismiss(Dismissal::Cut);
        }
    }

    /// Those who are finishing may stay after all.
    pub(super) fn let_stay(&mut self) {
        for live in self.live.values_mut().filter(|live| live.finishing.is_some()) {
            live.finishing = None;
            live.orders.send_if_modified(|orders| {
                let finishing = orders.end == Some(Dismissal::Finish);
                if finishing {
                    orders.end = None;
                }
                finishing
            });
        }
    }

    /// The live connections, in the order of their numbers.
    pub(super) fn lives(&self) -> Vec<Arc<Life>> {
        self.live.values().map(|live| live.life.clone()).collect()
    }

    /// The connection has ended.
    pub(super) fn leave(&mut self, number: u64) {
        self.live.remove(&number);
    }

    /// The faults, in order.
    pub(super) fn list(&self) -> Vec<Fault> {
        self.entries.iter().map(|entry| (*entry.fault).clone()).collect()
    }

    /// Puts these faults in place of those that are. Faults that are the same keep everything; one that was changed keeps
    /// its draws and counts; live connections get their new plans at once.
    pub(super) fn replace(&mut self, faults: Vec<Fault>, now: Instant) {
        let mut old = std::mem::take(&mut self.entries);
        for fault in faults {
            let known = old.iter().position(|entry| entry.fault.name == fault.name);
            self.expired.retain(|other| other.name != fault.name);
            let entry = match known.map(|i| old.remove(i)) {
                Some(same) if *same.fault == fault => same,
                other => {
                    let entry = Entry::new(fault, other.as_ref(), now);
                    if let Some(other) = &other {
                        other.counts_without(&entry).for_each(|count| self.gone.remember(count));
                    }
                    entry
                }
            };
            self.entries.push(entry);
        }
        for entry in old {
            entry.counts().for_each(|count| self.gone.remember(count));
        }
        self.reach_live(now);
    }

    /// When the next fault's time is over.
    pub(super) fn next_expiry(&self) -> Option<Instant> {
        self.entries.iter().filter_map(|entry| entry.gone_at).min()
    }

    /// Takes out the faults whose time is over.
    pub(super) fn expire(&mut self, now: Instant) -> Vec<Arc<Fault>> {
        let over = |entry: &Entry| entry.is_over(now);
        let gone: Vec<Arc<Fault>> =
            self.entries.iter().filter(|entry| over(entry)).map(|entry| entry.fault.clone()).collect();
        if !gone.is_empty() {
            for entry in self.entries.iter().filter(|entry| over(entry)) {
                entry.counts().for_each(|count| self.gone.remember(count));
            }
            self.entries.retain(|entry| !over(entry));
            for fault in &gone {
                self.expired.retain(|other| other.name != fault.name);
                if self.expired.len() >= MOST_EXPIRED {
                    self.expired.remove(0);
                }
                self.expired.push(fault.clone());
            }
            self.reach_live(now);
        }
        gone
    }

    /// Whether exactly this fault was here and its time is over.
    pub(super) fn has_expired(&self, fault: &Fault) -> bool {
        self.expired.iter().any(|other| **other == *fault)
    }

    /// The faults in order, each way they act, and what they did.
    pub(super) fn counts(&self) -> Vec<FaultCount> {
        self.entries.iter().flat_map(Entry::counts).collect()
    }

    /// The same with those that are gone.
    pub(super) fn counts_ever(&self) -> Vec<FaultCount> {
        self.gone.with(self.counts())
    }

    /// Makes a new plan for each live connection, in the order of their numbers.
    fn reach_live(&mut self, now: Instant) {
        for live in self.live.values_mut() {
            live.decide(&mut self.entries, now);
        }
    }
}

impl Live {
    /// Decides about the stream faults as they are now: what was decided before stays so where it was asked alike.
    fn decide(&mut self, entries: &mut [Entry], now: Instant) {
        let client = self.life.client.ip().to_canonical();
        let mut before = std::mem::take(&mut self.records);
        let entries = entries.iter_mut().filter(|entry| entry.stage() == Stage::Stream);
        for entry in entries {
            let (name, aim) = (entry.fault.name.clone(), entry.aim().cloned());
            // One that is aimed elsewhere is decided when that is dialled, and was if it has been.
            let asked = |record: &Record| record.fault.name == name && record.fault.trigger.endpoint == aim;
            let elsewhere = aim.is_some() && aim != self.at;
            if (elsewhere || entry.is_over(now)) && !before.iter().any(asked) {
                continue;
            }
            let known = |direction| {
                let same = |record: &Record| record.fault.name == name && record.direction == direction;
                before.iter().position(same).map(|i| before.remove(i))
            };
            entry.decide(client, &self.life.dice, known, &mut self.records);
        }
        let plan = plan_of(self.records.iter().filter(|record| self.acts(record)));
        self.orders.send_if_modified(|orders| {
            let current = &mut orders.plan;
            let same = |a: &[Arc<Active>], b: &[Arc<Active>]| {
                a.len() == b.len() && a.iter().zip(b).all(|(a, b)| Arc::ptr_eq(a, b))
            };
            if same(&current.upstream, &plan.upstream) && same(&current.downstream, &plan.downstream) {
                return false;
            }
            *current = plan;
            true
        });
    }

    /// Whether a fault acts where the connection is: one that is aimed at an endpoint acts only there.
    fn acts(&self, record: &Record) -> bool {
        let aim = &record.fault.trigger.endpoint;
        aim.is_none() || (self.arrived && *aim == self.at)
    }

    fn dismiss(&self, how: Dismissal) {
        self.orders.send_if_modified(|orders| {
            let stronger = orders.end < Some(how);
            orders.end = orders.end.max(Some(how));
            stronger
        });
    }
}

fn plan_of<'a>(records: impl Iterator<Item = &'a Record> + Clone) -> Arc<Plan> {
    let of = |direction| {
        let here = records.clone().filter(|record| record.direction == direction);
        here.filter_map(|record| record.active.clone()).collect()
    };
    Arc::new(Plan { upstream: of(Direction::Upstream), downstream: of(Direction::Downstream) })
}
