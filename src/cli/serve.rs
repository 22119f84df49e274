//! The daemon itself: `chaos-proxy --config routes.yaml`.

use tokio::time::Instant;

use super::flags::ServeFlags;
use super::launch::{Service, launch, work};
use super::signals::Signals;
use super::toxiproxy::ToxiproxyFlags;
use super::{Exit, banner, say};
use crate::admin::AsToxiproxy;
use crate::observe::By;

/// Serves the configuration the flags name; without one nothing but the control API.
pub(super) fn run(flags: &ServeFlags, toxiproxy: &ToxiproxyFlags) -> Exit {
    let overrides = match toxiproxy.over(flags.overrides()) {
        Ok(overrides) => overrides,
        Err(why) => {
            say(&why);
            return Exit::Wrong;
        }
    };
    match Service::named(flags, overrides) {
        Ok(service) => serve(service, toxiproxy.api()),
        Err(exit) => exit,
    }
}

/// Serves until a signal says stop.
pub(super) fn serve(service: Service, toxiproxy: AsToxiproxy) -> Exit {
    work(&service.config.log.clone(), serve_until_stopped(service, toxiproxy))
}

async fn serve_until_stopped(service: Service, toxiproxy: AsToxiproxy) -> Exit {
    let Service { config, source, origin, watch } = service;
    let started = Instant::now();
    let log_config = config.log.clone();
    let drain = config.drain;
    let mut signals = match Signals::hear() {
        Ok(signals) => signals,
        Err(error) => {
            say(&format!("cannot listen for signals: {error}"));
            return Exit::NotStarted;
        }
    };
    let mut launched = match launch(config, origin, toxiproxy).await {
        Ok(launched) => launched,
        Err(exit) => return exit,
    };
    // Whoever is told where it is by a variable need not know; here somebody may look for it.
    launched.elsewhere.iter().for_each(|notice| launched.daemon.tell_notice(notice));
    banner::show(&launched.daemon, &source, launched.control, &log_config, drain).await;
    launched.follow(watch);
    let control = launched.daemon.control();
    let hung_up = || {
        let control = control.clone();
        tokio::spawn(async move { control.reload(By::Signal).await });
    };
    signals.stop(hung_up).await;
    tokio::select! {
        drained = launched.daemon.drain_on_signal() => {
            launched.last_words().await;
            banner::summary(&launched.daemon, &log_config, started.elapsed());
            if drained.cut > 0 { Exit::Cut } else { Exit::Done }
        }
        second = signals.stop(hung_up) => {
            launched.daemon.cut().await;
            Exit::Signal(second.number())
        }
    }
}
