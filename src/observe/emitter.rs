//! From a fact to everyone who should hear of it.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use tokio::time::Instant;
use tracing::Level as Loud;

use super::event::{Event, Fact, Level};
use super::journal::Journal;
use super::process::ProcessStats;
use super::stats::RouteStats;

/// Warnings of one kind are told at most this often.
const FOLD: Duration = Duration::from_secs(5);

/// Kinds that are remembered at once; of others no more than one is told in that time.
const KINDS: usize = 1024;

type Kind = (&'static str, Arc<str>, Arc<str>);

/// Tells facts. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Emitter {
    journal: Journal,
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    folded: Mutex<HashMap<Kind, Folded>>,
    process: ProcessStats,
}

#[derive(Debug)]
struct Folded {
    told: Instant,
    suppressed: u64,
    last: Arc<Event>,
}

impl Emitter {
    /// Tells a fact about a route, and moves the counters that it means.
    pub fn emit_of(&self, stats: &RouteStats, fact: Fact) {
        fact.count(stats);
        self.emit(fact);
    }

    /// Tells a fact: to the journal always, to the log unless others like it were told just now.
    pub fn emit(&self, fact: Fact) {
        let kind = fact.fold_key();
        let event = Arc::new(Event { time: SystemTime::now(), fact, suppressed: 0 });
        self.journal.push(event.clone());
        match kind {
            None => log(&event),
            Some(kind) => {
                if let Some(suppressed) = self.fold(kind, &event) {
                    log(&event.with_suppressed(event.time, suppressed));
                }
            }
        }
    }

    /// The last events, and those to come.
    pub fn journal(&self) -> &Journal {
        &self.journal
    }

    /// What happened in the process as a whole.
    pub fn process(&self) -> &ProcessStats {
        &self.shared.process
    }

    /// How many of a kind were not told before this one; none when this one is not to be told either, for now.
    fn fold(&self, kind: Kind, event: &Arc<Event>) -> Option<u64> {
        let mut folded = self.shared.folded.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        match folded.get_mut(&kind) {
            Some(entry) if now < entry.told + FOLD => {
                entry.suppressed += 1;
                entry.last = event.clone();
                None
            }
            Some(entry) => {
                entry.told = now;
                Some(std::mem::take(&mut entry.suppressed))
            }
            None => {
                let kind = if folded.len() < KINDS { kind } else { (kind.0, Arc::default(), Arc::default()) };
                let entry = folded.entry(kind).or_insert(Folded {
                    told: now - FOLD,
                    suppressed: 0,
                    last: event.clone(),
                });
                if now < entry.told + FOLD {
                    entry.suppressed += 1;
                    return None;
                }
                entry.told = now;
                Some(std::mem::take(&mut entry.suppressed))
            }
        }
    }

    /// Tells what has been counted and not told for long enough; `all` leaves nothing untold.
    pub fn tell_folded(&self, all: bool) {
        let now = Instant::now();
        let mut due = Vec::new();
        self.shared.folded.lock().unwrap_or_else(PoisonError::into_inner).retain(|_, entry| {
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
        for (event, others) in due {
            log(&event.with_suppressed(SystemTime::now(), others));
        }
    }
}

/// Carries an event through `tracing` in both of its forms: `{:?}` is JSON, `{:#?}` a line for a person.
struct Logged<'a>(&'a Event);

impl fmt::Debug for Logged<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if f.alternate() {
            f.write_str(&self.0.to_text().unwrap_or_default())
        } else {
            f.write_str(&self.0.to_json())
        }
    }
}

/// The targets are the nouns a filter such as `warn,connection=info` names.
fn log(event: &Event) {
    macro_rules! told {
        ($target:literal, $level:expr) => {
            if tracing::enabled!(target: $target, $level) {
                tracing::event!(target: $target, $level, event = ?Logged(event));
            }
        };
    }
    match &event.fact {
        Fact::ConnectionOpened { .. } | Fact::ConnectionClosed { .. } => told!("connection", Loud::INFO),
        Fact::UpstreamConnected { .. } => told!("upstream", Loud::INFO),
        Fact::UpstreamFailed { .. } => told!("upstream", Loud::WARN),
        Fact::HealthChanged { .. } | Fact::BreakerChanged { .. } => match event.fact.level() {
            Level::Warn => told!("upstream", Loud::WARN),
            Level::Info => told!("upstream", Loud::INFO),
        },
        Fact::FaultFired { .. } | Fact::FaultExpired { .. } => told!("fault", Loud::INFO),
        Fact::RouteOpened { .. } | Fact::RouteClosed { .. } => told!("route", Loud::INFO),
        Fact::RouteStats { .. } => told!("stats", Loud::INFO),
        Fact::AcceptFailed { .. } | Fact::BudgetSpent { .. } => told!("route", Loud::WARN),
        Fact::ControlOpened { .. } => told!("control", Loud::INFO),
        Fact::ConfigApplied { .. } => told!("config", Loud::INFO),
        Fact::ConfigRefused { .. } => told!("config", Loud::WARN),
        Fact::DrainDone { cut, .. } if *cut > 0 => told!("drain", Loud::WARN),
        Fact::DrainBegun { .. } | Fact::DrainDone { .. } => told!("drain", Loud::INFO),
        Fact::Notice { .. } => told!("notice", Loud::WARN),
    }
}
