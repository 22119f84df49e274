//! What is played while the command runs, and what is told of it at the end.

use std::ffi::OsString;
use std::time::SystemTime;

use clap::CommandFactory;
use tokio::time::Instant;

use crate::cli::again::again;
use crate::cli::flags::Cli;
use crate::cli::launch::wrong;
use crate::cli::reports::Reports;
use crate::cli::{Exit, say};
use crate::config::Config;
use crate::daemon::{Control, Handle};
use crate::scenario::judge::{judge, unplayed};
use crate::scenario::play::{Play, Played};
use crate::scenario::rehearse::rehearse;
use crate::scenario::report::{CommandEnd, Made, Report, RouteSummary, Source, json, text};
use crate::scenario::{Scenario, Typed};

/// Hears of the steps and says nothing: the command has the word.
pub(super) type Silent = fn(&Made);

/// A run from its beginning to what is told of it.
pub(super) struct Account {
    scenario: Option<(Scenario, Source)>,
    reports: Reports,
    /// Whether it is told as JSON.
    json: bool,
    words: Vec<OsString>,
}

impl Account {
    /// Holds what is to be played against the configuration. What is wrong is said, before anything starts.
    pub(super) fn new(
        (reports, json): (Reports, bool),
        read: Option<Typed>,
        config: &Config,
    ) -> Result<Account, Exit> {
        let scenario = match read {
            Some(typed) => {
                let file = typed.file().to_owned();
                let clashes = rehearse(typed.scenario(), config, Some(config));
                if !clashes.is_empty() {
                    return Err(wrong(&typed.refuse(clashes)));
                }
                let scenario = typed.mean();
                let source = Source { name: scenario.name.clone(), file };
                Some((scenario, source))
            }
            None => None,
        };
        Ok(Account { scenario, reports, json, words: std::env::args_os().collect() })
    }

    /// The routes listen: what is due at the very start is done before the command is there.
    pub(super) async fn begin<'a>(&'a self, control: &'a Control) -> Option<Play<'a, Control, Silent>> {
        let (scenario, _) = self.scenario.as_ref()?;
        // A daemon of this process is not lost.
        let silent: Silent = |_| ();
        Play::begin(scenario, control, silent).await.ok()
    }

    /// Tells what happened. An exit code says that something expected did not come about, or that it could not be told.
    /// All connections have ended.
    pub(super) fn told(
        self,
        daemon: &Handle,
        (started, began): (SystemTime, Instant),
        command: CommandEnd,
        played: Option<Played>,
    ) -> Result<(), Exit> {
        let stats = daemon.control().stats();
        let took = began.elapsed();
        let expectations = match (&self.scenario, &played) {
            (Some((scenario, _)), Some(played)) => judge(scenario, played, &stats, took),
            (Some((scenario, _)), None) => unplayed(scenario, "it was not played: the command did not start"),
            (None, _) => Vec::new(),
        };
        let report = Report {
            scenario: self.scenario.map(|(_, source)| source),
            seed: daemon.seed(),
            again: again(&Cli::command(), &self.words, Some(daemon.seed())),
            started,
            took,
            command: Some(command),
            expectations,
            unplayed: played.as_ref().map_or(0, |played| played.unplayed),
            steps: played.map(|played| played.made).unwrap_or_default(),
            routes: RouteSummary::all(&stats),
        };
        say(&if self.json { json::write(&report) } else { text::write(&report) });
        let written = self.reports.write(&report);
        if let Err(stop) = &written {
            say(&stop.why);
        }
        match (report.held(), written) {
            (false, _) => Err(Exit::Expectation),
            (true, Err(_)) => Err(Exit::Failed),
            (true, Ok(())) => Ok(()),
        }
    }
}
