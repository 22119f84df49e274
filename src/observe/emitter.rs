//! From a fact to everyone who should hear of it.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use tokio::time::Instant;
use tracing::Level as Loud;

use super::event::{Event, Fact};
use super::stats::RouteStats;

/// Warnings of one kind are told at most this often.
const FOLD: Duration = Duration::from_secs(5);

/// Kinds that are remembered at once; of others no more than one is told in that time.
const KINDS: usize = 1024;

type Kind = (&'static str, Arc<str>, Arc<str>);

/// Tells facts. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Emitter {
    folded: Arc<Mutex<HashMap<Kind, Folded>>>,
}

#[derive(Debug)]
struct Folded {
    told: Instant,
    suppressed: u64,
    last: Fact,
}

impl Emitter {
    /// Tells a fact about a route, and moves the counters that it means.
    pub fn emit_of(&self, stats: &RouteStats, fact: Fact) {
        fact.count(stats);
        self.emit(fact);
    }

    /// Tells a fact, or remembers it with others like it.
    pub fn emit(&self, fact: Fact) {
        let Some(kind) = fact.fold_key() else { return log(fact, 0) };
        let mut folded = self.folded.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        let suppressed = match folded.get_mut(&kind) {
            Some(entry) if now < entry.told + FOLD => {
                entry.suppressed += 1;
                entry.last = fact;
                return;
            }
            Some(entry) => {
                entry.told = now;
                std::mem::take(&mut entry.suppressed)
            }
            None => {
                let kind = if folded.len() < KINDS { kind } else { (kind.0, Arc::default(), Arc::default()) };
                let entry = folded.entry(kind).or_insert(Folded {
                    told: now - FOLD,
                    suppressed: 0,
                    last: fact.clone(),
                });
                if now < entry.told + FOLD {
                    entry.suppressed += 1;
                    return;
                }
                entry.told = now;
                std::mem::take(&mut entry.suppressed)
            }
        };
        drop(folded);
        log(fact, suppressed);
    }

    /// Tells what has been counted and not told for long enough; `all` leaves nothing untold.
    pub fn tell_folded(&self, all: bool) {
        let now = Instant::now();
        let mut due = Vec::new();
        self.folded.lock().unwrap_or_else(PoisonError::into_inner).retain(|_, entry| {
            if !all && now < entry.told + FOLD {
                return true;
            }
            let untold = std::mem::take(&mut entry.suppressed);
            if untold > 0 {
                entry.told = now;
                due.push((entry.last.clone(), untold - 1));
            }
            untold > 0
        });
        for (fact, others) in due {
            log(fact, others);
        }
    }
}

/// Carries an event through `tracing` in both of its forms: `{:?}` is JSON, `{:#?}` a line for a person.
struct Told<'a>(&'a Event);

impl fmt::Debug for Told<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if f.alternate() {
            f.write_str(&self.0.to_text().unwrap_or_default())
        } else {
            f.write_str(&self.0.to_json())
        }
    }
}

/// The targets are the nouns a filter such as `warn,connection=info` names.
fn log(fact: Fact, suppressed: u64) {
    macro_rules! told {
        ($target:literal, $level:expr) => {
            if tracing::enabled!(target: $target, $level) {
                let event = Event { time: SystemTime::now(), fact, suppressed };
                tracing::event!(target: $target, $level, event = ?Told(&event));
            }
        };
    }
    match fact {
        Fact::ConnectionOpened { .. } | Fact::ConnectionClosed { .. } => told!("connection", Loud::INFO),
        Fact::UpstreamConnected { .. } => told!("upstream", Loud::INFO),
        Fact::UpstreamFailed { .. } => told!("upstream", Loud::WARN),
        Fact::FaultFired { .. } | Fact::FaultExpired { .. } => told!("fault", Loud::INFO),
        Fact::RouteOpened { .. } | Fact::RouteClosed { .. } => told!("route", Loud::INFO),
        Fact::RouteStats { .. } => told!("stats", Loud::INFO),
        Fact::AcceptFailed { .. } | Fact::BudgetSpent { .. } => told!("route", Loud::WARN),
        Fact::ConfigApplied { .. } => told!("config", Loud::INFO),
        Fact::DrainDone { cut, .. } if cut > 0 => told!("drain", Loud::WARN),
        Fact::DrainBegun { .. } | Fact::DrainDone { .. } => told!("drain", Loud::INFO),
        Fact::Notice { .. } => told!("notice", Loud::WARN),
    }
}
