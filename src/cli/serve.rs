//! The daemon itself: `chaos-proxy --config routes.yaml`.

use std::time::Duration;

use tokio::time::Instant;

use super::flags::ServeFlags;
use super::signals::Signals;
use super::{Exit, banner, environment, say};
use crate::config::{Config, Origin};
use crate::daemon::Daemon;
use crate::observe::{By, log};

/// What is left of a runtime when the program ends is given this long.
const RUNTIME_ENDS: Duration = Duration::from_millis(100);

/// Serves the configuration the flags name.
pub(super) fn run(flags: &ServeFlags) -> anyhow::Result<Exit> {
    let Some(path) = &flags.config else {
        say("no configuration: give one with --config FILE, or try `chaos-proxy demo`");
        return Ok(Exit::Wrong);
    };
    let origin = Origin { path: path.clone(), overrides: flags.overrides(), env: environment };
    match origin.read() {
        Ok(config) => serve(config, &path.display().to_string(), Some(origin)),
        Err(refused) => {
            say(&refused.to_string());
            Ok(Exit::Wrong)
        }
    }
}

/// Serves until a signal says stop.
pub(super) fn serve(config: Config, source: &str, origin: Option<Origin>) -> anyhow::Result<Exit> {
    log::start(&config.log.level, config.log.format);
    let built = tokio::runtime::Builder::new_multi_thread().enable_all().thread_name("chaos-proxy").build();
    let runtime = match built {
        Ok(runtime) => runtime,
        Err(error) => {
            say(&format!("cannot start: {error}"));
            return Ok(Exit::NotStarted);
        }
    };
    let exit = runtime.block_on(serve_until_stopped(config, source, origin));
    runtime.shutdown_timeout(RUNTIME_ENDS);
    exit
}

async fn serve_until_stopped(config: Config, source: &str, origin: Option<Origin>) -> anyhow::Result<Exit> {
    let started = Instant::now();
    let log_config = config.log.clone();
    let drain = config.drain;
    let mut signals = match Signals::hear() {
        Ok(signals) => signals,
        Err(error) => {
            say(&format!("cannot listen for signals: {error}"));
            return Ok(Exit::NotStarted);
        }
    };
    let daemon = match Daemon::start_from(config, origin).await {
        Ok(daemon) => daemon,
        Err(failure) => {
            say(&format!("{failure}"));
            say("nothing is listening");
            return Ok(Exit::NotStarted);
        }
    };
    banner::show(&daemon, source, &log_config, drain);
    let control = daemon.control();
    let hung_up = || {
        let control = control.clone();
        // What comes of it is told as an event, either way.
        tokio::spawn(async move { control.reload(By::Signal).await });
    };
    signals.stop(hung_up).await;
    tokio::select! {
        drained = daemon.drain_on_signal() => {
            banner::summary(&daemon, &log_config, started.elapsed());
            Ok(if drained.cut > 0 { Exit::Cut } else { Exit::Done })
        }
        second = signals.stop(hung_up) => {
            daemon.cut().await;
            Ok(Exit::Signal(second.number()))
        }
    }
}
