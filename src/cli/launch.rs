//! What every command does that has a daemon of its own: reads the configuration, opens the routes and the control API,
//! and says why when one of them cannot be.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use tokio::task::JoinHandle;

use super::flags::ServeFlags;
use super::{Exit, environment, say};
use crate::admin::{self as control, AdminError, AsToxiproxy, TokenSources};
use crate::config::{Admin, Config, Origin, Overrides, Refused, Watch};
use crate::daemon::{Daemon, Handle};
use crate::observe::{By, Fact, LogConfig, log};

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

impl Service {
    /// What the flags name, with `overrides` over the file; without one nothing but the control API. What is wrong is
    /// said.
    pub(super) fn named(flags: &ServeFlags, overrides: Overrides) -> Result<Service, Exit> {
        let Some(path) = &flags.config else {
            if flags.watch {
                say("--watch needs a file to watch: give one with --config FILE");
                return Err(Exit::Wrong);
            }
            let source = "none: routes come through the control API".into();
            let config = overrides.alone().map_err(|refused| wrong(&refused))?;
            return Ok(Service { config, source, origin: None, watch: None });
        };
        if flags.watch && path.as_os_str() == "-" {
            say("--watch needs a file to watch; standard input is read once");
            return Err(Exit::Wrong);
        }
        let watch = flags.watch.then(|| Watch::new(path));
        let origin = Origin { path: path.clone(), overrides, env: environment };
        let config = origin.read().map_err(|refused| wrong(&refused))?;
        Ok(Service { config, source: path.display().to_string(), origin: Some(origin), watch })
    }
}

/// Says what is wrong with a configuration.
pub(super) fn wrong(refused: &Refused) -> Exit {
    say(&refused.to_string());
    Exit::Wrong
}

/// Starts the log, and works to the end.
pub(super) fn work(log: &LogConfig, work: impl Future<Output = Exit>) -> Exit {
    log::start(&log.level, log.format);
    let built = tokio::runtime::Builder::new_multi_thread().enable_all().thread_name("chaos-proxy").build();
    let runtime = match built {
        Ok(runtime) => runtime,
        Err(error) => {
            say(&format!("cannot start: {error}"));
            return Exit::NotStarted;
        }
    };
    let exit = runtime.block_on(work);
    runtime.shutdown_timeout(RUNTIME_ENDS);
    exit
}

/// A daemon that serves, and its control API.
pub(super) struct Launched {
    /// The daemon: every route that is enabled listens.
    pub(super) daemon: Handle,
    /// Where the control API listens, unless it is off.
    pub(super) control: Option<SocketAddr>,
    /// That the control API is not where one would look for it, in words.
    pub(super) elsewhere: Option<String>,
    serving: Option<JoinHandle<()>>,
}

/// Opens the routes and the control API, all of it or nothing. What stands in the way is said.
pub(super) async fn launch(
    config: Config,
    origin: Option<Origin>,
    toxiproxy: AsToxiproxy,
) -> Result<Launched, Exit> {
    let mut admin = config.admin.clone();
    let sources = TokenSources {
        token: environment("CHAOS_PROXY_TOKEN").filter(|token| !token.is_empty()),
        file: environment("CHAOS_PROXY_TOKEN_FILE").filter(|file| !file.is_empty()).map(PathBuf::from),
    };
    let bind = |admin: &Admin| {
        control::Admin::bind(admin, &sources, toxiproxy).map_err(|error| not_controlled(&error))
    };
    // An address that was asked for is bound before anybody is let in. The default one gives way to the routes.
    let asked_for = match &admin {
        Admin::Default => {
            sources.check().map_err(|error| not_controlled(&error.into()))?;
            None
        }
        _ => bind(&admin)?,
    };
    let daemon = Daemon::start_from(config, origin).await.map_err(|failure| {
        say(&failure.to_string());
        say("nothing is listening");
        Exit::NotStarted
    })?;
    let bound = match admin {
        Admin::Default => bind(&admin)?,
        _ => asked_for,
    };
    let address = bound.as_ref().map(control::Admin::address);
    let elsewhere = bound.as_ref().and_then(|bound| bound.elsewhere().map(str::to_owned));
    let mut serving = None;
    if let Some(bound) = bound {
        let listen = bound.address();
        match &mut admin {
            Admin::On { listen: asked, .. } => *asked = listen,
            _ => admin = Admin::On { listen, token_file: None, allowed_hosts: Vec::new() },
        }
        daemon.admin_is(admin);
        daemon.control().emitter().emit(Fact::ControlOpened { listen });
        bound.notices().iter().for_each(|notice| daemon.tell_notice(notice));
        let serve = bound.serve(daemon.control(), daemon.over());
        serving = Some(daemon.control().emitter().spawn(serve));
    }
    Ok(Launched { daemon, control: address, elsewhere, serving })
}

impl Launched {
    /// Reads the configuration again whenever it changes.
    pub(super) fn follow(&self, watch: Option<Watch>) {
        let Some(mut watch) = watch else { return };
        let control = self.daemon.control();
        let emitter = control.emitter().clone();
        emitter.spawn(async move {
            loop {
                watch.changed().await;
                // What comes of it is told as an event, either way.
                let _ = control.reload(By::File).await;
            }
        });
    }

    /// Waits a moment for the control API, once the daemon has ended: who follows the events hears of the end.
    pub(super) async fn last_words(&mut self) {
        if let Some(serving) = self.serving.take() {
            let _ = tokio::time::timeout(CONTROL_ENDS, serving).await;
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
