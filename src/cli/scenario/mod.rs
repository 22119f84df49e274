//! `scenario run FILE --against URL`: a timeline of changes to a running daemon, and what came of it.

mod progress;
mod remote;

use std::cell::Cell;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use clap::{Args, CommandFactory, Subcommand};
use serde::Deserialize;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::again::again;
use super::client::{Client, ClientFlags};
use super::flags::Cli;
use super::launch::wrong;
use super::report_flag::ReportFlag;
use super::reports::Reports;
use super::signals::Signals;
use super::{Exit, environment, print, say};
use crate::daemon::Stats;
use crate::observe::text::count;
use crate::scenario::judge::{judge, unplayed};
use crate::scenario::play::{Play, Played, Stopped};
use crate::scenario::rehearse::rehearse;
use crate::scenario::report::{Report, RouteSummary, Source, json, text};
use crate::scenario::target::{Target, Trouble};
use crate::scenario::{self, Scenario};
use progress::Progress;
use remote::Remote;

/// The number of SIGHUP.
const HANGUP: u8 = 1;

/// What to do with a scenario.
#[derive(Debug, Subcommand)]
pub(super) enum ScenarioCommand {
    /// Play it on a running daemon
    #[command(
        after_help = "Example:\n  chaos-proxy scenario run brownout.yaml --against http://127.0.0.1:8474"
    )]
    Run(PlayFlags),
}

/// Plays a scenario on a running daemon.
#[derive(Debug, Args)]
pub(super) struct PlayFlags {
    /// The scenario
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Where the daemon is [env: CHAOS_PROXY_URL] [default: http://127.0.0.1:8474]
    #[arg(long, visible_alias = "url", value_name = "URL")]
    against: Option<String>,
    /// Print what came of it as JSON
    #[arg(long)]
    json: bool,
    /// Write what came of it: junit=F, json=F, markdown=F (appended to), github; again for more
    #[arg(long, value_name = "FORM=FILE", value_parser = ReportFlag::parser())]
    report: Vec<ReportFlag>,
}

/// What the daemon says of itself.
#[derive(Debug, Deserialize)]
struct Status {
    seed: u64,
}

/// Runs the command.
pub(super) fn run(command: &ScenarioCommand) -> anyhow::Result<Exit> {
    let ScenarioCommand::Run(what) = command;
    let reports = match Reports::open(&what.report, &[&what.file]) {
        Ok(reports) => reports,
        Err(stop) => {
            say(&stop.why);
            return Ok(stop.exit);
        }
    };
    let read = match scenario::read(&what.file, &environment) {
        Ok(read) => read,
        Err(refused) => return Ok(wrong(&refused)),
    };
    let flags = ClientFlags { url: what.against.clone(), json: what.json };
    let client = match Client::new(&flags) {
        Ok(client) => client,
        Err(stop) => {
            say(&stop.why);
            return Ok(stop.exit);
        }
    };
    let remote = Remote(&client);
    let met = client.block_on(async {
        let status: Status = remote.read("/v1/status").await?;
        Ok::<_, Trouble>((status, remote.config().await?))
    });
    let (status, config) = match met {
        Ok(met) => met,
        Err(trouble) => return Ok(failed(&trouble)),
    };
    // What the daemon's file says only the daemon knows.
    let clashes = rehearse(read.scenario(), &config, None);
    if !clashes.is_empty() {
        return Ok(wrong(&read.refuse(clashes)));
    }
    if let Some(seed) = read.scenario().seed.filter(|seed| *seed != status.seed) {
        say(&format!(
            "the seed of this daemon is {}, the scenario was written for {seed}: start the daemon with --seed {seed} \
             to get the same chaos",
            status.seed
        ));
    }
    client.block_on(perform(what, read.scenario(), &remote, status.seed, reports))
}

async fn perform(
    what: &PlayFlags,
    scenario: &Scenario,
    remote: &Remote<'_>,
    seed: u64,
    reports: Reports,
) -> anyhow::Result<Exit> {
    let (started, began) = (SystemTime::now(), Instant::now());
    let stop = CancellationToken::new();
    let mut signals = Signals::hear()?;
    let progress = Progress::of(scenario, what.json);
    let playing = async {
        let play = Play::begin(scenario, remote, |made| progress.tell(made)).await?;
        Ok::<_, Trouble>(play.go_on(&stop, Stopped::Undo).await)
    };
    tokio::pin!(playing);
    let stopped = Cell::new(None);
    let played = loop {
        // A terminal that went away is a request to stop, too.
        let hung_up = || {
            stopped.set(Some(HANGUP));
            stop.cancel();
        };
        tokio::select! {
            played = &mut playing => break played,
            signal = signals.stop(hung_up) => {
                // Whoever asks twice means now.
                if stopped.replace(Some(signal.number())).is_some() {
                    progress.clear();
                    say("ended at once: what was to be undone may still be in force");
                    return Ok(Exit::Signal(signal.number()));
                }
                stop.cancel();
            }
            never = progress.go_on() => match never {},
        }
    };
    progress.clear();
    let mut played = match played {
        Ok(played) => played,
        // Nothing has been done yet.
        Err(trouble) => return Ok(failed(&trouble)),
    };
    let last = match (&played.lost, remote.stats().await) {
        (None, Err(trouble)) => {
            played.lost = Some(trouble);
            None
        }
        (_, last) => last.ok(),
    };
    // What was seen of a daemon that is lost.
    let last = last.as_ref().or(played.looks.values().last()).unwrap_or(&played.start);
    let report = report(what, scenario, &played, last, seed, (started, began.elapsed()));
    let told = reports.write(&report);
    print(&if what.json { json::write(&report) } else { text::write(&report) })?;
    if let Some(lost) = &played.lost {
        let left = match played.left {
            0 => "what was to be undone is undone".to_owned(),
            left => format!("{} may still be in force", count(left as u64, "step")),
        };
        say(&format!("the daemon was lost on the way ({left}): {lost}"));
        return Ok(Exit::Failed);
    }
    if let Err(stop) = &told {
        say(&stop.why);
    }
    Ok(match (stopped.get(), told) {
        (Some(signal), _) => Exit::Signal(signal),
        (None, _) if !report.held() => Exit::Expectation,
        (None, Err(_)) => Exit::Failed,
        (None, Ok(())) => Exit::Done,
    })
}

fn report(
    what: &PlayFlags,
    scenario: &Scenario,
    played: &Played,
    last: &Stats,
    seed: u64,
    (started, took): (SystemTime, Duration),
) -> Report {
    let since = last.routes.iter().map(|route| route.since(played.start.route(&route.name)));
    let expectations = match &played.lost {
        None => judge(scenario, played, last, took),
        Some(_) => unplayed(scenario, "the daemon was lost on the way"),
    };
    Report {
        scenario: Some(Source { name: scenario.name.clone(), file: what.file.display().to_string() }),
        seed,
        again: again(&Cli::command(), &std::env::args_os().collect::<Vec<_>>(), None),
        started,
        took,
        command: None,
        expectations,
        steps: played.made.clone(),
        unplayed: played.unplayed,
        routes: since.map(|route| RouteSummary::of(&route)).collect(),
    }
}

fn failed(trouble: &Trouble) -> Exit {
    say(&trouble.to_string());
    Exit::Failed
}
