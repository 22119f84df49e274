//! From a configuration that somebody wants to one that is in force, or to a refusal that leaves everything as it was.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::apply::apply;
use super::permit;
use super::shared::{Shared, State};
use super::{Applied, ControlError, Live};
use crate::config::{self, Admin, Change, Config};
use crate::observe::{By, Fact, Format, log};
use crate::route::LocalPort;
use crate::spec::text::shown_short;

/// Reads the file again and puts it in force.
pub(super) async fn reload(shared: &Arc<Shared>, by: By) -> Result<Applied, ControlError> {
    let Some(origin) = shared.origin.clone() else {
        return Err(ControlError::NoFile("there is no file to read again"));
    };
    if origin.path.as_os_str() == "-" {
        return Err(ControlError::NoFile("standard input cannot be read again"));
    }
    let emitter = shared.common.emitter.clone();
    let read = tokio::task::spawn_blocking(move || emitter.survive(|| origin.read())).await;
    let file = match read {
        Ok(Some(Ok(config))) => config,
        Ok(Some(Err(refused))) => return Err(ControlError::File(Arc::new(refused))),
        Ok(None) | Err(_) => return Err(ControlError::Broken),
    };
    let mut state = shared.state.lock().await;
    let old = shared.config(&state);
    // A fault whose time was over stays gone, unless its item says something else now.
    let without_expired = |mut config: Config| {
        for route in &mut config.routes {
            let member = state.members.iter().find(|member| *member.route.name() == route.name);
            route.faults.retain(|fault| !member.is_some_and(|member| member.route.has_expired(fault)));
        }
        config
    };
    let new = without_expired(file.clone());
    let before = as_it_runs(&old, without_expired(state.file.clone())).unwrap_or_else(|_| old.clone());
    let since = config::changes(&before, &old);
    let changes = config::changes(&old, &as_it_runs(&old, new.clone())?);
    let undone = changes.iter().filter(|change| since.iter().any(|made| made.touches(change)));
    let undone = undone.map(|change| change.text.clone()).collect();
    // What is in the new file is its author's own, whoever asked for it to be read.
    let before = std::mem::replace(&mut state.file, file);
    let applied = put(shared, &mut state, &old, new, by, Live::Drain).await;
    let applied = match applied {
        Ok(applied) => applied,
        Err(error) => {
            state.file = before;
            return Err(error);
        }
    };
    if applied.changes.is_empty() {
        // Whoever asked by signal has nowhere else to see that it was done.
        let (generation, seed, changes) = (applied.generation, shared.seed, Arc::default());
        shared.common.emitter.emit(Fact::ConfigApplied { generation, seed, by, changes });
    }
    Ok(Applied { undone, ..applied })
}

/// Checks a configuration whole and puts it in force.
pub(super) async fn put(
    shared: &Arc<Shared>,
    state: &mut State,
    old: &Config,
    new: Config,
    by: By,
    live: Live,
) -> Result<Applied, ControlError> {
    if shared.is_draining() {
        return Err(ControlError::Draining);
    }
    let new = as_it_runs(old, new)?;
    check(shared, &new)?;
    let changes = texts(&config::changes(old, &new));
    // A route that lost its listener is opened again by whatever change comes next.
    let whole = shared.routes().iter().all(|route| route.is_as_configured());
    if changes.is_empty() && whole {
        // Whose an address is may be different all the same.
        permit::open(shared, old, &state.file, &new, by);
        permit::forget(shared, &state.file, &new);
        return Ok(Applied { generation: shared.generation(), ..Applied::default() });
    }
    let settings = Config { routes: Vec::new(), ..new.clone() };
    let before = permit::open(shared, old, &state.file, &new, by);
    let written = new.clone();
    let ended = match apply(shared, state, old, new, by, live).await {
        Ok(ended) => ended,
        Err(error) => {
            shared.common.dialer.permits().take_back(before);
            return Err(error);
        }
    };
    permit::forget(shared, &state.file, &written);
    shared.set_drain_idle(settings.drain.idle);
    shared.stats_interval.send_if_modified(|interval| {
        std::mem::replace(interval, settings.stats_interval) != settings.stats_interval
    });
    let level = std::mem::replace(&mut state.settings, settings).log.level;
    let generation = shared.common.generation.fetch_add(1, Ordering::Relaxed) + 1;
    let fact = Fact::ConfigApplied { generation, seed: shared.seed, by, changes: in_brief(&changes) };
    // Told under the louder of the two levels, the old one and the new.
    let changed = level != state.settings.log.level;
    let told_before = tracing::enabled!(target: "config", tracing::Level::INFO);
    if changed && !told_before {
        log::set_level(&state.settings.log.level);
    }
    shared.common.emitter.emit(fact);
    if changed && told_before {
        log::set_level(&state.settings.log.level);
    }
    Ok(Applied { generation, changes, undone: Vec::new(), ended })
}

/// Holds a configuration against itself, with the ports that the system chose for routes that listen: one of these could
/// be pointed at itself.
pub(super) fn check(shared: &Shared, new: &Config) -> Result<(), ControlError> {
    let routes = shared.routes();
    let mut concrete = new.clone();
    for at in 0..concrete.routes.len() {
        let Some(route) = concrete.routes.get(at).filter(|route| route.local_port == LocalPort::Auto) else {
            continue;
        };
        let running = routes.iter().find(|running| *running.name() == route.name);
        let Some(address) = running.and_then(|running| running.address()) else { continue };
        let port = LocalPort::Fixed(address.port());
        // Whoever wants the port now is refused by the system, or gets it if this route lets go of it.
        if concrete.routes.iter().all(|other| other.local_port != port)
            && let Some(route) = concrete.routes.get_mut(at)
        {
            route.local_port = port;
        }
    }
    concrete.check().map_err(|refused| ControlError::Refused(Arc::new(refused)))
}

/// A configuration with what it leaves out as it runs; what cannot change while it runs is refused.
pub(crate) fn as_it_runs(old: &Config, mut new: Config) -> Result<Config, ControlError> {
    if new.seed.is_some_and(|seed| Some(seed) != old.seed) {
        return Err(ControlError::NeedsRestart("seed"));
    }
    if !same_admin(&new.admin, &old.admin) {
        return Err(ControlError::NeedsRestart("admin"));
    }
    if new.log.format != Format::Auto && new.log.format != old.log.format {
        return Err(ControlError::NeedsRestart("log.format"));
    }
    new.seed = old.seed;
    new.admin = old.admin.clone();
    new.log.format = old.log.format;
    Ok(new)
}

/// Whether an admin that is asked for is the one that runs.
fn same_admin(asked: &Admin, runs: &Admin) -> bool {
    match (asked, runs) {
        (Admin::Default, _) => true,
        // A port that the system chose is the one that was asked for.
        (
            Admin::On { listen, token_file, allowed_hosts },
            Admin::On { listen: at, token_file: file, allowed_hosts: hosts },
        ) if listen.port() == 0 => (listen.ip(), token_file, allowed_hosts) == (at.ip(), file, hosts),
        _ => asked == runs,
    }
}

/// The changes in words.
pub(super) fn texts(changes: &[Change]) -> Vec<String> {
    changes.iter().map(|change| change.text.clone()).collect()
}

/// The changes as an event tells them: events are kept, so none may be large.
fn in_brief(changes: &[String]) -> Arc<[String]> {
    const TOLD: usize = 20;
    const LONG: usize = 200;
    let mut brief: Vec<String> = changes.iter().take(TOLD).map(|change| shown_short(change, LONG)).collect();
    if changes.len() > TOLD {
        brief.push(format!("and {} more", changes.len() - TOLD));
    }
    brief.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_short_however_much_changed() {
        let changes: Vec<String> = (0..5000).map(|n| format!("+ route {n}{}", "x".repeat(1000))).collect();
        let brief = in_brief(&changes);
        assert_eq!(brief.last().unwrap(), "and 4980 more");
        assert!(brief.iter().map(String::len).sum::<usize>() < 8000);
        assert_eq!(*in_brief(&changes[..1]), [shown_short(&changes[0], 200)]);
    }
}
