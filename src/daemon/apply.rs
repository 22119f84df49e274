//! From the configuration in force to another: what is new is bound first, then everything is swapped, then the old let go.
//!
//! Routes are known by name, listeners by address. Up to [`swap`] nothing has changed that is not put back on failure; after
//! it nothing can fail.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use super::bind::{Source, find_sources};
use super::listening::Listening;
use super::shared::{Member, Shared, State};
use super::{ControlError, Live};
use crate::config::Config;
use crate::observe::{By, Fact};
use crate::relay::Dismissal;
use crate::route::{Listener, LocalPort, Route, RouteConfig, Share};

/// Puts `new` in force in place of `old`, and says how many connections were told to end.
pub(super) async fn apply(
    shared: &Arc<Shared>,
    state: &mut State,
    old: &Config,
    new: Config,
    by: By,
    live: Live,
) -> Result<u64, ControlError> {
    let places: HashMap<&str, usize> =
        old.routes.iter().enumerate().map(|(place, route)| (&*route.name, place)).collect();
    let places: Vec<Option<usize>> =
        new.routes.iter().map(|route| places.get(&*route.name).copied()).collect();
    // A new route takes over what one that goes had set aside; only for more of them than go, more is needed.
    let mut going = old.routes.len() - places.iter().flatten().count();
    let shares = places
        .iter()
        .map(|place| match place {
            Some(_) => Ok(None),
            None if going > 0 => {
                going -= 1;
                Ok(None)
            }
            None => shared.common.budget.share().map(Some).ok_or(ControlError::Descriptors),
        })
        .collect::<Result<Vec<Option<Share>>, ControlError>>()?;
    let sources = find_sources(shared, &mut state.members, &old.routes, &new.routes, &places, by).await?;
    tell_out_of_reach(shared, old, &new);
    let Config { routes, drain, .. } = new;
    let how = How { by, live, timeout: drain.timeout };
    let next = routes.into_iter().zip(places).zip(sources).zip(shares);
    let next = next.map(|(((config, place), source), share)| Next { config, place, source, share });
    Ok(swap(shared, state, old, next.collect(), how).await)
}

/// Tells of each new limit that the descriptors will not let anybody reach.
fn tell_out_of_reach(shared: &Shared, old: &Config, new: &Config) {
    let size = shared.common.budget.size();
    for route in &new.routes {
        let same = |other: &RouteConfig| other.name == route.name && other.limits == route.limits;
        let Some(most) = route.limits.connections.filter(|_| !old.routes.iter().any(same)) else { continue };
        if usize::try_from(most).is_ok_and(|most| most > size) {
            let message = format!(
                "limits.connections is {most}, and the limit of open files allows {size} connections on all routes together"
            );
            let route = Some(route.name.clone());
            shared.common.emitter.emit(Fact::Notice { route, message: message.into() });
        }
    }
}

/// How a change is carried out.
struct How {
    by: By,
    /// What becomes of the connections of a route that does not listen any more.
    live: Live,
    /// How long they may take to finish.
    timeout: Duration,
}

/// A route of the new configuration.
struct Next {
    config: RouteConfig,
    /// Its place among the old ones; none: it is new.
    place: Option<usize>,
    source: Source,
    /// For a new one: its part of the descriptors, if it does not take over another's.
    share: Option<Share>,
}

async fn swap(
    shared: &Arc<Shared>,
    state: &mut State,
    old: &Config,
    next: Vec<Next>,
    How { by, live, timeout }: How,
) -> u64 {
    let mut members = std::mem::take(&mut state.members);
    let before: Vec<Option<SocketAddr>> = members.iter().map(|member| member.route.address()).collect();
    let was_enabled = |place: usize| old.routes.get(place).is_some_and(|route| route.enabled);
    let (mut stays, mut disabled) = (vec![false; members.len()], Vec::new());

    let staying: Vec<usize> = next.iter().filter_map(|next| next.place).collect();
    let going = members.iter().enumerate().filter(|(place, _)| !staying.contains(place));
    let going: Vec<Arc<Route>> = going.map(|(_, member)| member.route.clone()).collect();
    let mut left_behind = going.iter().filter_map(|route| route.hand_on_share());
    // Every route becomes what it should be before a listener changes hands: whoever comes then meets it as it is meant.
    let mut ended = 0;
    let mut routes: Vec<(Arc<Route>, Source, Option<usize>)> = Vec::with_capacity(next.len());
    for Next { config, place, source, share } in next {
        let known = place.and_then(|place| members.get(place)).zip(place);
        let share = if known.is_some() { None } else { share.or_else(|| left_behind.next()) };
        match (known, share) {
            (Some((member, place)), _) => {
                stays[place] = true;
                if was_enabled(place) && !config.enabled {
                    disabled.push(member.route.clone());
                }
                let seen = old.routes.get(place).map(|route| route.faults.as_slice()).unwrap_or_default();
                let moved = (live == Live::CloseMoved).then_some(Dismissal::Close);
                ended += member.route.change(config, seen, moved);
                routes.push((member.route.clone(), source, Some(place)));
            }
            (None, Some(share)) => {
                let route = Route::new(config, &shared.common, share);
                route.watch_the_clock();
                routes.push((route, source, None));
            }
            (None, None) => debug_assert!(false, "who has no place has a share"),
        }
    }
    let mut take = |place: usize| members.get_mut(place).and_then(|member| member.listening.take());
    let mut fresh = Vec::with_capacity(routes.len());
    for (route, source, place) in routes {
        let listener = match source {
            Source::None => None,
            Source::Kept => {
                let listening = place.and_then(&mut take);
                fresh.push((Member { route, listening }, place));
                continue;
            }
            Source::HandedOver(from) => match take(from) {
                Some(listening) => Some(listening.hand_over().await),
                None => None,
            },
            Source::Bound(listener) => Some(listener),
        };
        if let Some(listener) = &listener {
            tell_if_moved(shared, &route, listener);
        }
        let start = |listener| Listening::start(route.clone(), listener, shared.common.stop.cut.clone());
        let listening = listener.map(start);
        fresh.push((Member { route, listening }, place));
    }

    // What nobody took is let go.
    let mut removed = Vec::new();
    for ((member, stays), address) in members.into_iter().zip(stays).zip(&before) {
        if let Some(listening) = member.listening {
            listening.close().await;
        }
        if !stays {
            member.route.remove();
            member.route.listens(None);
            if address.is_some() {
                shared.common.emitter.emit(Fact::RouteClosed { route: member.route.name().clone(), by });
            }
            removed.push(member.route);
        }
    }
    for (member, place) in &fresh {
        if member.listening.is_none() {
            member.route.listens(None);
        }
        let was = place.and_then(|place| before.get(place).copied().flatten());
        tell_address(shared, &member.route, was, by);
    }
    state.members = fresh.into_iter().map(|(member, _)| member).collect();
    shared.publish(&state.members);
    shared.depart(&removed);
    let let_go = removed.iter().chain(&disabled).map(|route| let_go(shared, timeout, route, live));
    ended + let_go.sum::<u64>()
}

fn tell_address(shared: &Shared, route: &Arc<Route>, was: Option<SocketAddr>, by: By) {
    let is = route.address();
    if is == was {
        return;
    }
    if was.is_some() {
        shared.common.emitter.emit(Fact::RouteClosed { route: route.name().clone(), by });
    }
    if let Some(listen) = is {
        shared.common.emitter.emit(Fact::RouteOpened {
            route: route.name().clone(),
            listen,
            upstream: route.upstream_text(),
            by,
        });
    }
}

/// What becomes of the connections of a route that does not listen any more.
fn let_go(shared: &Shared, timeout: Duration, route: &Arc<Route>, live: Live) -> u64 {
    match live {
        Live::Keep => 0,
        Live::Close | Live::CloseMoved => route.dismiss_all(Dismissal::Close),
        Live::Reset => route.dismiss_all(Dismissal::Reset),
        Live::Drain => {
            let (closing, told) = route.let_finish();
            let (over, route) = (shared.over.clone(), Arc::downgrade(route));
            shared.common.emitter.spawn(async move {
                tokio::select! {
                    () = over.cancelled() => {}
                    () = tokio::time::sleep(timeout) => {
                        if let Some(route) = route.upgrade() {
                            route.cut_finishing(closing);
                        }
                    }
                }
            });
            told
        }
    }
}

/// Whoever looked for a route where it was has to know that it is not there any more.
fn tell_if_moved(shared: &Shared, route: &Route, listener: &Listener) {
    let now = listener.address();
    let Some(was) =
        route.last_port().filter(|was| route.config().local_port == LocalPort::Auto && *was != now.port())
    else {
        return;
    };
    let message = format!("its port {was} was taken while it was closed: it listens on {now} now").into();
    shared.common.emitter.emit(Fact::Notice { route: Some(route.name().clone()), message });
}
