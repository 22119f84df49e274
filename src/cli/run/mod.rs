//! `chaos-proxy run -- CMD`: the routes are there while a command runs, and gone when it has ended.
//!
//! The command keeps what a shell would give it: the terminal, the signals, its exit code. It only finds some more
//! variables. What goes wrong on the way is said; everything of ours goes to standard error.

mod account;
mod child;
mod orphans;
mod passing;
mod variables;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::{Duration, SystemTime};

use clap::Args;
use rustix::process::{Pid, Resource, getrlimit};
use tokio::process::Child;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::flags::ServeFlags;
use super::launch::{Launched, Service, launch, work, wrong};
use super::report_flag::ReportFlag;
use super::reports::Reports;
use super::{Exit, environment, say};
use crate::admin::AsToxiproxy;
use crate::config::Overrides;
use crate::daemon::Handle;
use crate::observe::Filter;
use crate::scenario;
use crate::scenario::play::Stopped;
use crate::scenario::report::CommandEnd;
use account::Account;
use orphans::Orphans;
use passing::Passing;
use variables::Variables;

/// What `--help` shows to copy.
pub(super) const EXAMPLES: &str = "\
Each route is told to the command: route db is CHAOS_PROXY_DB_ADDR (host:port),
CHAOS_PROXY_DB_HOST and CHAOS_PROXY_DB_PORT; the control API is CHAOS_PROXY_URL.

Examples:
  chaos-proxy run --config routes.yaml -- pytest -x
  chaos-proxy run --config routes.yaml --scenario brownout.yaml -- npm test";

/// What connections have to finish in once the command has ended, where no flag says it.
const FINISH: Duration = Duration::from_secs(1);

/// From which level on is told what happens, where nobody says it: the command has the word, and that it leaves
/// connections open is its own matter.
const QUIETLY: &str = "warn,drain=error";

/// A command, and what is around it.
#[derive(Debug, Args)]
pub(super) struct Run {
    #[command(flatten)]
    serve: ServeFlags,
    /// What goes wrong when, and what is expected of it
    #[arg(long, value_name = "FILE")]
    scenario: Option<PathBuf>,
    /// Write what came of it: junit=F, json=F, markdown=F (appended to), github; again for more
    #[arg(long, value_name = "FORM=FILE", value_parser = ReportFlag::parser())]
    report: Vec<ReportFlag>,
    /// Tell what happened as JSON
    #[arg(long)]
    json: bool,
    /// The command and its arguments, as they are
    #[arg(last = true, required = true, value_name = "CMD")]
    command: Vec<OsString>,
}

/// Runs the command. `before` are the flags that stand before `run`.
pub(super) fn run(run: &Run, before: &ServeFlags) -> Exit {
    let flags = run.serve.clone().or(before);
    // Before all else: whatever is wrong, a report of yesterday is not taken for that of today.
    let inputs: Vec<&Path> = flags.config.iter().chain(&run.scenario).map(PathBuf::as_path).collect();
    let reports = match Reports::open(&run.report, &inputs) {
        Ok(reports) => reports,
        Err(stop) => {
            say(&stop.why);
            return stop.exit;
        }
    };
    let read = match run.scenario.as_ref().map(|file| scenario::read(file, &environment)).transpose() {
        Ok(read) => read,
        Err(refused) => return wrong(&refused),
    };
    let mut overrides = Overrides { quietly: Some(Filter(QUIETLY.to_owned())), ..flags.overrides() };
    // The scenario brings its seed, unless a flag says another.
    overrides.seed = overrides.seed.or(read.as_ref().and_then(|read| read.scenario().seed));
    let service = match Service::named(&flags, overrides) {
        Ok(service) => service,
        Err(exit) => return exit,
    };
    if let Err(clash) = variables::clash(service.config.routes.iter().map(|route| &*route.name)) {
        say(&clash);
        return Exit::Wrong;
    }
    let account = match Account::new((reports, run.json), read, &service.config) {
        Ok(account) => account,
        Err(exit) => return exit,
    };
    let finish = flags.drain_timeout.map_or(FINISH, |period| period.get());
    work(&service.config.log.clone(), around(&run.command, service, account, finish))
}

async fn around(words: &[OsString], service: Service, account: Account, finish: Duration) -> Exit {
    // The start raises it; the command gets what we got.
    let descriptors = getrlimit(Resource::Nofile);
    let (mut passing, mut orphans) = match (Passing::hear(), Orphans::hear()) {
        (Ok(passing), Ok(orphans)) => (passing, orphans),
        (Err(error), _) | (_, Err(error)) => {
            say(&format!("cannot listen for signals: {error}"));
            return Exit::NotStarted;
        }
    };
    let Service { config, origin, watch, .. } = service;
    let admin = config.admin.clone();
    let mut launched = match launch(config, origin, AsToxiproxy::default()).await {
        Ok(launched) => launched,
        Err(exit) => return exit,
    };
    if let Some(stop) = passing.already_stopped().await {
        launched.daemon.cut().await;
        return Exit::Signal(stop);
    }
    launched.follow(watch);
    let variables = Variables::of(&launched.daemon.routes(), launched.control, &admin);
    let control = launched.daemon.control();
    let play = account.begin(&control).await;
    let began = (SystemTime::now(), Instant::now());
    let mut played = None;
    let end = match child::start(words, &variables, descriptors) {
        Ok((child, pid)) => {
            let over = CancellationToken::new();
            let working = async {
                let ended = until_it_ends(child, pid, &mut passing, &mut orphans).await;
                over.cancel();
                ended
            };
            let playing = async {
                match play {
                    Some(play) => Some(play.go_on(&over, Stopped::Leave).await),
                    None => None,
                }
            };
            let ended;
            (ended, played) = tokio::join!(working, playing);
            match ended {
                Ok(status) => child::end(words, status),
                Err(error) => {
                    say(&format!("chaos-proxy: cannot wait for the command: {error}"));
                    CommandEnd { words: child::shown(words), code: Exit::Failed.code(), why: None }
                }
            }
        }
        Err(end) => {
            let why = end.why.as_deref().unwrap_or_default();
            say(&format!("chaos-proxy: cannot start {why}"));
            end
        }
    };
    close_what_is_left(&mut launched, &mut passing, finish).await;
    let code = end.code;
    match (code, account.told(&launched.daemon, began, end, played)) {
        (0, Err(exit)) => exit,
        (code, _) => Exit::Command(code),
    }
}

/// Stays with the command to its end, and passes on what it should hear.
async fn until_it_ends(
    mut child: Child,
    pid: Pid,
    passing: &mut Passing,
    orphans: &mut Orphans,
) -> std::io::Result<ExitStatus> {
    loop {
        tokio::select! {
            // What was heard before it ended was meant for it.
            biased;
            signal = passing.next() => passing::pass_on(signal, pid),
            () = orphans.reap(pid) => {}
            status = child.wait() => return status,
        }
    }
}

/// Lets connections finish for this long; a signal to stop means now.
async fn close_what_is_left(launched: &mut Launched, passing: &mut Passing, finish: Duration) {
    let daemon: &Handle = &launched.daemon;
    tokio::select! {
        _ = daemon.drain_within(finish) => launched.last_words().await,
        _ = passing.stop() => {
            daemon.cut().await;
        }
    }
}
