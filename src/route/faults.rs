//! The faults of a route: what their triggers remember, whom they have chosen, and how a change reaches live connections.
//!
//! Every decision falls here, in one place and under one lock that nobody holds while waiting: at accept, in accept
//! order, and for connections that live when a stream fault arrives later, in the order of their numbers.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex};
use std::time::SystemTime;

use tokio::sync::watch;
use tokio::time::Instant;

use super::FaultCount;
use super::gone::Gone;
use super::life::Life;
use crate::fault::dice::Dice;
use crate::fault::trigger::{Chosen, Seen, Tally, Trigger};
use crate::fault::{Active, Effect, Fault, Pacer, Plan, Stage};
use crate::observe::{Direction, FaultStats};
use crate::relay::{Dismissal, Orders};

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

#[derive(Debug)]
struct Entry {
    fault: Arc<Fault>,
    ways: Vec<Way>,
    gone_at: Option<Instant>,
    /// The same on the wall clock, for those who ask.
    expires_at: Option<SystemTime>,
}

/// A fault in one direction, or, for one that acts on the accept, in none.
#[derive(Clone, Debug)]
struct Way {
    direction: Option<Direction>,
    stats: Arc<FaultStats>,
    tally: Tally,
    pacer: Arc<Mutex<Pacer>>,
}

/// A connection that stream faults can reach.
#[derive(Debug)]
struct Live {
    life: Arc<Life>,
    orders: watch::Sender<Orders>,
    /// Which of the closings it was told to finish by.
    finishing: Option<u64>,
    records: Vec<Record>,
}

/// What was decided about a connection and a fault in one direction.
#[derive(Debug)]
struct Record {
    fault: Arc<Fault>,
    direction: Direction,
    seen: Seen,
    active: Option<Arc<Active>>,
}

/// A fault that will befall a connection before it reaches its upstream.
#[derive(Clone, Debug)]
pub(super) struct Taken {
    /// Which.
    pub(super) fault: Arc<Fault>,
    /// Where its firing is counted.
    pub(super) stats: Arc<FaultStats>,
    /// How it came to be chosen.
    pub(super) chosen: Chosen,
    /// What its effect draws from, apart from the draw that chose it.
    pub(super) dice: Dice,
}

/// What was decided about a connection at accept.
pub(super) struct Admitted {
    /// The accept faults that befall it, in order.
    pub(super) taken: Vec<Taken>,
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

    /// Decides about a connection: called in accept order.
    pub(super) fn admit(&mut self, life: Arc<Life>) -> Admitted {
        let (client, now) = (life.client.ip().to_canonical(), life.accepted);
        let dice = self.dice.number(life.number);
        let mut taken = Vec::new();
        let mut records = Vec::new();
        for entry in &mut self.entries {
            if entry.gone_at.is_some_and(|at| now >= at) {
                continue;
            }
            match entry.fault.effect.stage() {
                Stage::Accept => taken.extend(entry.take(client, &dice)),
                Stage::Stream => entry.decide(client, &dice, |_| None, &mut records),
            }
        }
        let (sender, orders) = watch::channel(Orders::of(plan_of(&records)));
        self.live.insert(life.number, Live { life, orders: sender, finishing: None, records });
        Admitted { taken, orders }
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
                    let kept = |way: &Way| entry.ways.iter().any(|new| Arc::ptr_eq(&new.stats, &way.stats));
                    for way in other.iter().flat_map(|other| &other.ways).filter(|way| !kept(way)) {
                        self.gone.remember(way.count(other.as_ref().map_or(&entry, |other| other)));
                    }
                    entry
                }
            };
            self.entries.push(entry);
        }
        for entry in old {
            entry.counts().for_each(|count| self.gone.remember(count));
        }
        self.reach_live();
    }

    /// When the next fault's time is over.
    pub(super) fn next_expiry(&self) -> Option<Instant> {
        self.entries.iter().filter_map(|entry| entry.gone_at).min()
    }

    /// Takes out the faults whose time is over.
    pub(super) fn expire(&mut self, now: Instant) -> Vec<Arc<Fault>> {
        let over = |entry: &Entry| entry.gone_at.is_some_and(|at| now >= at);
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
            self.reach_live();
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
    fn reach_live(&mut self) {
        for (number, live) in &mut self.live {
            let dice = self.dice.number(*number);
            let client = live.life.client.ip().to_canonical();
            let mut before = std::mem::take(&mut live.records);
            for entry in self.entries.iter_mut().filter(|entry| entry.fault.effect.stage() == Stage::Stream) {
                let name = entry.fault.name.clone();
                let known = |direction| {
                    let same = |record: &Record| record.fault.name == name && record.direction == direction;
                    before.iter().position(same).map(|i| before.remove(i))
                };
                entry.decide(client, &dice, known, &mut live.records);
            }
            let plan = plan_of(&live.records);
            live.orders.send_if_modified(|orders| {
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
    }
}

impl Live {
    fn dismiss(&self, how: Dismissal) {
        self.orders.send_if_modified(|orders| {
            let stronger = orders.end < Some(how);
            orders.end = orders.end.max(Some(how));
            stronger
        });
    }
}

impl Entry {
    /// A fault that arrives now, perhaps in place of one of the same name.
    fn new(fault: Fault, before: Option<&Entry>, now: Instant) -> Self {
        let ways = match fault.effect.stage() {
            Stage::Accept => vec![None],
            Stage::Stream => {
                Direction::ALL.into_iter().filter(|way| fault.direction.include(*way)).map(Some).collect()
            }
        };
        let same = before.filter(|before| before.fault.effect == fault.effect);
        let same_word = before.filter(|before| before.fault.effect.word() == fault.effect.word());
        let known = |before: Option<&Entry>, direction| {
            before.and_then(|before| before.ways.iter().find(|way| way.direction == direction)).cloned()
        };
        let ways = ways.into_iter().map(|direction| {
            let mut way = Way::new(direction);
            // Who is asked for stays counted, whatever goes wrong with them; who asks for others counts anew.
            if before.is_some_and(|before| before.fault.trigger.counts_like(&fault.trigger)) {
                way.tally = known(before, direction).map(|way| way.tally).unwrap_or_default();
            }
            if let Some(before) = known(same_word, direction) {
                way.stats = before.stats;
            }
            // Another rate owes nothing for what the one before it let through.
            if let Some(before) = known(same, direction) {
                way.pacer = before.pacer;
            }
            way
        });
        let ways = ways.collect();
        let gone_at = fault.trigger.gone_at(now);
        let expires_at = gone_at.map(|at| SystemTime::now() + at.saturating_duration_since(now));
        Entry { ways, gone_at, expires_at, fault: Arc::new(fault) }
    }

    /// What it did, each way.
    fn counts(&self) -> impl Iterator<Item = FaultCount> {
        self.ways.iter().map(|way| way.count(self))
    }

    /// Decides as a fault that acts on the accept. The third label stands in place of a direction.
    fn take(&mut self, client: IpAddr, connection: &Dice) -> Option<Taken> {
        let dice = connection.name("accept").name(&self.fault.name);
        let way = self.ways.first_mut()?;
        let chosen = self.fault.trigger.decide(&mut way.tally, client, &dice).chosen?;
        Some(Taken { fault: self.fault.clone(), stats: way.stats.clone(), chosen, dice: dice.name("effect") })
    }

    /// Decides as a stream fault, each way, from what was decided before where there is such a thing.
    fn decide(
        &mut self,
        client: IpAddr,
        connection: &Dice,
        mut known: impl FnMut(Direction) -> Option<Record>,
        records: &mut Vec<Record>,
    ) {
        let Entry { fault, ways, .. } = self;
        for way in ways {
            let Some(direction) = way.direction else { continue };
            let dice = connection.name(direction.word()).name(&fault.name);
            let before = known(direction);
            if let Some(record) = before.as_ref().filter(|record| Arc::ptr_eq(&record.fault, fault)) {
                let Record { direction, seen, active, .. } = record;
                let active = active.clone();
                records.push(Record { fault: fault.clone(), direction: *direction, seen: *seen, active });
                continue;
            }
            let seen = match before {
                Some(record) if record.fault.trigger.counts_like(&fault.trigger) => {
                    fault.trigger.decide_again(&mut way.tally, record.seen, &dice)
                }
                _ => fault.trigger.decide(&mut way.tally, client, &dice),
            };
            let active = seen.chosen.map(|chosen| {
                Arc::new(Active {
                    fault: fault.clone(),
                    direction,
                    chosen,
                    dice: dice.name("effect"),
                    stats: way.stats.clone(),
                    pacer: way.pacer.clone(),
                })
            });
            records.push(Record { fault: fault.clone(), direction, seen, active });
        }
    }
}

impl Way {
    /// What the fault it belongs to did this way.
    fn count(&self, of: &Entry) -> FaultCount {
        FaultCount {
            fault: of.fault.name.clone(),
            effect: of.fault.effect.word(),
            direction: self.direction,
            stats: self.stats.clone(),
            expires_at: of.expires_at,
        }
    }

    fn new(direction: Option<Direction>) -> Self {
        Way { direction, stats: Arc::default(), tally: Tally::default(), pacer: Arc::default() }
    }
}

impl Taken {
    /// The draw and the probability it was below, when chance decided.
    pub(super) fn draw(&self) -> Option<(f64, f64)> {
        self.chosen.draw.map(|draw| (draw, self.fault.trigger.probability.get()))
    }

    /// The effect.
    pub(super) fn effect(&self) -> &Effect {
        &self.fault.effect
    }
}

fn plan_of(records: &[Record]) -> Arc<Plan> {
    let of = |direction| {
        let here = records.iter().filter(|record| record.direction == direction);
        here.filter_map(|record| record.active.clone()).collect()
    };
    Arc::new(Plan { upstream: of(Direction::Upstream), downstream: of(Direction::Downstream) })
}

impl Trigger {
    /// Whether two triggers ask for the same connections, but for their probability.
    fn counts_like(&self, other: &Trigger) -> bool {
        (self.enabled, self.client, self.skip, self.every, self.times)
            == (other.enabled, other.client, other.skip, other.every, other.times)
    }
}
