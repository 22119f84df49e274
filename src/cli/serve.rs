//! The daemon itself: `chaos-proxy --config routes.yaml`.

use std::path::PathBuf;
use std::time::Duration;

use tokio::time::Instant;

use super::flags::ServeFlags;
use super::signals::Signals;
use super::{Exit, banner, environment, say};
use crate::admin::{self as control, AdminError, TokenSources};
use crate::config::{Admin, Config, Origin, Refused, Watch};
use crate::daemon::Daemon;
use crate::observe::{By, Fact, log};

/// What is left of a runtime when the program ends is given this long.
const RUNTIME_ENDS: Duration = Duration::from_millis(100);

/// What the control API has still to say is given this long.
const CONTROL_ENDS: Duration = Duration::from_secs(2);

/// What to serve.
pub(super) struct Service {
    /// The configuration.
    pub(super) config: Config,
    /// What it is called in the banner.
    pub(super) source: String,
    /// Where it can be read again.
    pub(super) origin: Option<Origin>,
    /// Whether to read it again whenever it changes; begun before it was read, so that nothing is missed.
    pub(super) watch: Option<Watch>,
}

/// Serves the configuration the flags name; without one nothing but the control API.
pub(super) fn run(flags: &ServeFlags) -> anyhow::Result<Exit> {
    let Some(path) = &flags.config else {
        if flags.watch {
            say("--watch needs a file to watch: give one with --config FILE");
            return Ok(Exit::Wrong);
        }
        return serve_or_refuse(flags.overrides().alone().map(|config| Service {
            config,
            source: "none: routes come through the control API".into(),
            origin: None,
            watch: None,
        }));
    };
    if flags.watch && path.as_os_str() == "-" {
        say("--watch needs a file to watch; standard input is read once");
        return Ok(Exit::Wrong);
    }
    let watch = flags.watch.then(|| Watch::new(path));
    let origin = Origin { path: path.clone(), overrides: flags.overrides(), env: environment };
    serve_or_refuse(origin.read().map(|config| Service {
        config,
        source: path.display().to_string(),
        origin: Some(origin),
        watch,
    }))
}

/// Serves a configuration, or says what is wrong with it.
pub(super) fn serve_or_refuse(service: Result<Service, Refused>) -> anyhow::Result<Exit> {
    match service {
        Ok(service) => serve(service),
        Err(refused) => {
            say(&refused.to_string());
            Ok(Exit::Wrong)
        }
    }
}

/// Serves until a signal says stop.
fn serve(service: Service) -> anyhow::Result<Exit> {
    log::start(&service.config.log.level, service.config.log.format);
    let built = tokio::runtime::Builder::new_multi_thread().enable_all().thread_name("chaos-proxy").build();
    let runtime = match built {
        Ok(runtime) => runtime,
        Err(error) => {
            say(&format!("cannot start: {error}"));
            return Ok(Exit::NotStarted);
        }
    };
    let exit = runtime.block_on(serve_until_stopped(service));
    runtime.shutdown_timeout(RUNTIME_ENDS);
    exit
}

async fn serve_until_stopped(service: Service) -> anyhow::Result<Exit> {
    let Service { config, source, origin, watch } = service;
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
    let mut admin = config.admin.clone();
    let sources = TokenSources {
        token: environment("CHAOS_PROXY_TOKEN").filter(|token| !token.is_empty()),
        file: environment("CHAOS_PROXY_TOKEN_FILE").filter(|file| !file.is_empty()).map(PathBuf::from),
    };
    // An address that was asked for is bound before anybody is let in. The default one gives way to the routes.
    let asked_for = match &admin {
        Admin::Default => match sources.check() {
            Ok(()) => None,
            Err(error) => return Ok(not_controlled(&error.into())),
        },
        _ => match control::Admin::bind(&admin, &sources) {
            Ok(bound) => bound,
            Err(error) => return Ok(not_controlled(&error)),
        },
    };
    let daemon = match Daemon::start_from(config, origin).await {
        Ok(daemon) => daemon,
        Err(failure) => {
            say(&format!("{failure}"));
            say("nothing is listening");
            return Ok(Exit::NotStarted);
        }
    };
    let bound = match admin {
        Admin::Default => match control::Admin::bind(&admin, &sources) {
            Ok(bound) => bound,
            Err(error) => return Ok(not_controlled(&error)),
        },
        _ => asked_for,
    };
    let control = daemon.control();
    let address = bound.as_ref().map(control::Admin::address);
    let mut serving = None;
    if let Some(bound) = bound {
        let listen = bound.address();
        match &mut admin {
            Admin::On { listen: asked, .. } => *asked = listen,
            _ => admin = Admin::On { listen, token_file: None, allowed_hosts: Vec::new() },
        }
        daemon.admin_is(admin);
        control.emitter().emit(Fact::ControlOpened { listen });
        bound.notices().iter().for_each(|notice| daemon.tell_notice(notice));
        serving = Some(tokio::spawn(bound.serve(control.clone(), daemon.over())));
    }
    banner::show(&daemon, &source, address, &log_config, drain).await;
    if let Some(mut watch) = watch {
        let control = control.clone();
        tokio::spawn(async move {
            loop {
                watch.changed().await;
                // What comes of it is told as an event, either way.
                let _ = control.reload(By::File).await;
            }
        });
    }
    let hung_up = || {
        let control = control.clone();
        tokio::spawn(async move { control.reload(By::Signal).await });
    };
    signals.stop(hung_up).await;
    tokio::select! {
        drained = daemon.drain_on_signal() => {
            // Who follows the events hears of the end.
            if let Some(serving) = serving {
                let _ = tokio::time::timeout(CONTROL_ENDS, serving).await;
            }
            banner::summary(&daemon, &log_config, started.elapsed());
            Ok(if drained.cut > 0 { Exit::Cut } else { Exit::Done })
        }
        second = signals.stop(hung_up) => {
            daemon.cut().await;
            Ok(Exit::Signal(second.number()))
        }
    }
}

/// Says why the control API cannot be; what was typed for it may be what is wrong.
fn not_controlled(error: &AdminError) -> Exit {
    say(&error.to_string());
    match error {
        AdminError::Bind { .. } => {
            say("nothing is listening");
            Exit::NotStarted
        }
        AdminError::NeedsToken(_) | AdminError::Token(_) => Exit::Wrong,
    }
}
