//! A fault of a route while it runs: what its triggers remember, each way it acts, and whom it chooses.

use std::net::IpAddr;
use std::sync::{Arc, Mutex};
use std::time::SystemTime;

use tokio::time::Instant;

use crate::fault::dice::Dice;
use crate::fault::trigger::{Chosen, Seen, Tally, Trigger};
use crate::fault::{Active, Effect, Fault, Pacer, Stage};
use crate::observe::{Direction, FaultStats};
use crate::upstream::Endpoint;

/// A fault in one direction, and what it did. One that acts both ways is two of these.
#[derive(Clone, Debug)]
pub struct FaultCount {
    /// Its name.
    pub fault: Arc<str>,
    /// Its effect's word.
    pub effect: &'static str,
    /// The direction, for those that act on one.
    pub direction: Option<Direction>,
    /// What it did.
    pub stats: Arc<FaultStats>,
    /// When it will be gone.
    pub expires_at: Option<SystemTime>,
}

/// A fault on a route.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) fault: Arc<Fault>,
    ways: Vec<Way>,
    /// When it is gone.
    pub(super) gone_at: Option<Instant>,
    /// The same on the wall clock, for those who ask.
    expires_at: Option<SystemTime>,
}

/// A fault in one direction, or, for one that acts before the stream, in none.
#[derive(Clone, Debug)]
struct Way {
    direction: Option<Direction>,
    stats: Arc<FaultStats>,
    tally: Tally,
    pacer: Arc<Mutex<Pacer>>,
}

/// What was decided about a connection and a fault in one direction.
#[derive(Debug)]
pub(super) struct Record {
    pub(super) fault: Arc<Fault>,
    pub(super) direction: Direction,
    seen: Seen,
    pub(super) active: Option<Arc<Active>>,
}

/// A fault that befalls a connection before its bytes move: at the accept, or when an endpoint is dialled.
#[derive(Clone, Debug)]
pub(super) struct Taken {
    /// Which.
    pub(super) fault: Arc<Fault>,
    /// Where its firing is counted.
    pub(super) stats: Arc<FaultStats>,
    /// Its place among the faults of the route.
    pub(super) place: usize,
    /// How it came to be chosen.
    pub(super) chosen: Chosen,
    /// What its effect draws from, apart from the draw that chose it.
    pub(super) dice: Dice,
}

impl Entry {
    /// A fault that arrives now, perhaps in place of one of the same name.
    pub(super) fn new(fault: Fault, before: Option<&Entry>, now: Instant) -> Self {
        let ways = match fault.effect.stage() {
            Stage::Accept | Stage::Dial => vec![None],
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
    pub(super) fn counts(&self) -> impl Iterator<Item = FaultCount> {
        self.ways.iter().map(|way| way.count(self))
    }

    /// The counts of the ways that are no more in the fault which has taken its place.
    pub(super) fn counts_without(&self, next: &Entry) -> impl Iterator<Item = FaultCount> {
        let kept = |way: &Way| next.ways.iter().any(|new| Arc::ptr_eq(&new.stats, &way.stats));
        self.ways.iter().filter(move |way| !kept(way)).map(|way| way.count(self))
    }

    /// What it acts upon.
    pub(super) fn stage(&self) -> Stage {
        self.fault.effect.stage()
    }

    /// The one endpoint that it is aimed at.
    pub(super) fn aim(&self) -> Option<&Endpoint> {
        self.fault.trigger.endpoint.as_ref()
    }

    /// Whether its time is over.
    pub(super) fn is_over(&self, now: Instant) -> bool {
        self.gone_at.is_some_and(|at| now >= at)
    }

    /// Decides as a fault that acts before the stream. The third label stands in place of a direction.
    pub(super) fn take(&mut self, place: usize, client: IpAddr, connection: &Dice) -> Option<Taken> {
        let label = if self.stage() == Stage::Dial { "dial" } else { "accept" };
        let dice = connection.name(label).name(&self.fault.name);
        let way = self.ways.first_mut()?;
        let chosen = self.fault.trigger.decide(&mut way.tally, client, &dice).chosen?;
        let (fault, stats) = (self.fault.clone(), way.stats.clone());
        Some(Taken { fault, stats, place, chosen, dice: dice.name("effect") })
    }

    /// Decides as a stream fault, each way, from what was decided before where there is such a thing.
    pub(super) fn decide(
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

impl Trigger {
    /// Whether two triggers ask for the same connections, but for their probability.
    fn counts_like(&self, other: &Trigger) -> bool {
        (self.enabled, self.client, &self.endpoint, self.skip, self.every, self.times)
            == (other.enabled, other.client, &other.endpoint, other.skip, other.every, other.times)
    }
}
