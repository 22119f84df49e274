//! A daemon for tests: it only keeps what it was told, and when.

use std::cell::RefCell;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::edit::{Edit, What};
use super::play::{Play, Played, Stopped};
use super::target::{Target, Trouble};
use super::{Action, At, Scenario, Step};
use crate::config::{Config, changes};
use crate::daemon::Stats;
use crate::daemon::stats::{Closed, Connects, EachWay, OfFault, OfRoute};
use crate::observe::{Ending, Side};

pub(super) struct Lab {
    began: Instant,
    file: Config,
    config: RefCell<Config>,
    /// What was changed, and when.
    pub(super) told: RefCell<Vec<(Duration, String)>>,
    /// What there is to count; asked with the time.
    pub(super) stats: fn(Duration) -> Stats,
    /// Refuses everything from then on.
    pub(super) lost_at: Option<Duration>,
}

impl Lab {
    pub(super) fn new(config: &str) -> Lab {
        let config = Config::from_text(config).unwrap();
        Lab {
            began: Instant::now(),
            file: config.clone(),
            config: RefCell::new(config),
            told: RefCell::default(),
            stats: |_| stats(Vec::new()),
            lost_at: None,
        }
    }

    pub(super) async fn play(&self, scenario: &Scenario, stop: &CancellationToken) -> Played {
        let play = Play::begin(scenario, self, |_| ()).await.unwrap();
        play.go_on(stop, Stopped::Undo).await
    }

    /// What was changed, one line a change, with the time in milliseconds.
    pub(super) fn lines(&self) -> Vec<String> {
        self.told.borrow().iter().map(|(at, text)| format!("{} {text}", at.as_millis())).collect()
    }

    pub(super) fn is_as_in_the_file(&self) -> bool {
        *self.config.borrow() == self.file
    }

    fn alive(&self) -> Result<(), Trouble> {
        match self.lost_at {
            Some(at) if self.began.elapsed() >= at => Err(Trouble::Lost("nobody answers".to_owned())),
            _ => Ok(()),
        }
    }
}

impl Target for Lab {
    async fn config(&self) -> Result<Config, Trouble> {
        self.alive()?;
        Ok(self.config.borrow().clone())
    }

    async fn make(&self, edit: &Edit) -> Result<(), Trouble> {
        self.alive()?;
        let before = self.config.borrow().clone();
        let mut after = if edit.what == What::Restore { self.file.clone() } else { before.clone() };
        edit.make(&mut after)?;
        let texts = changes(&before, &after).into_iter().map(|change| (self.began.elapsed(), change.text));
        self.told.borrow_mut().extend(texts);
        self.config.replace(after);
        Ok(())
    }

    async fn stats(&self) -> Result<Stats, Trouble> {
        self.alive()?;
        Ok((self.stats)(self.began.elapsed()))
    }
}

pub(super) fn seconds(n: f64) -> Duration {
    Duration::from_secs_f64(n)
}

pub(super) fn step(at: f64, lasting: Option<f64>, action: Action) -> Step {
    Step { at: seconds(at), lasting: lasting.map(seconds), action, place: At::default() }
}

pub(super) fn scenario(duration: f64, steps: Vec<Step>) -> Scenario {
    Scenario { name: "test".into(), seed: None, duration: seconds(duration), steps, expectations: Vec::new() }
}

pub(super) fn db() -> Arc<str> {
    "db".into()
}

pub(super) fn add(item: serde_json::Value) -> Action {
    Action::Add { route: db(), fault: item.as_object().cloned().unwrap() }
}

pub(super) fn set(fault: &str, patch: serde_json::Value) -> Action {
    Action::Set { route: db(), fault: fault.into(), patch: patch.as_object().cloned().unwrap() }
}

pub(super) fn stats(routes: Vec<OfRoute>) -> Stats {
    Stats { generation: 1, uptime: 0.0, routes, panics: 0, log_lines_dropped: 0 }
}

/// A route with so many connections that came in and ended, and firings of its faults.
pub(super) fn route(
    (opened, active): (u64, u64),
    closed: &[(Ending, u64)],
    faults: &[(&str, u64)],
    sent: u64,
) -> OfRoute {
    OfRoute {
        name: "db".to_owned(),
        opened,
        active,
        closed: closed
            .iter()
            .map(|(ending, count)| Closed { ending: *ending, side: Side::Client, count: *count })
            .collect(),
        bytes_received: EachWay { upstream: 0, downstream: sent },
        bytes_sent: EachWay { upstream: 0, downstream: sent },
        connects: Connects { ok: opened, refused: 0, timeout: 0, error: 0 },
        accept_errors: 0,
        fired: faults.iter().map(|(_, fired)| fired).sum(),
        faults: faults
            .iter()
            .map(|(fault, fired)| OfFault {
                fault: (*fault).to_owned(),
                effect: (*fault).to_owned(),
                direction: None,
                fired: *fired,
                amount: 0,
                delay_seconds: 0.0,
            })
            .collect(),
    }
}
