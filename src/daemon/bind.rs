//! Where the listeners of a new configuration come from: kept, handed over from one route to another, or bound.
//!
//! An address that is in both configurations is never bound again. One that overlaps an address being let go has to wait
//! until that is closed; should anything fail then, the old one is restored.

use std::sync::Arc;

use super::ControlError;
use super::listening::Listening;
use super::shared::{Member, Shared};
use super::start::BindFailure;
use crate::observe::{By, Fact};
use crate::route::{Bind, Listener, LocalPort, RouteConfig};

/// Where a route's listener comes from.
pub(super) enum Source {
    /// It has none.
    None,
    /// It listens already, and where it should.
    Kept,
    /// From the old route at this place, which lets go of it.
    HandedOver(usize),
    /// Bound for it.
    Bound(Arc<Listener>),
}

/// Finds a source for each new route. On failure nothing is bound that was not before, and everything is that was, as
/// far as the system lets what had to be closed be bound again.
pub(super) async fn find_sources(
    shared: &Shared,
    members: &mut [Member],
    old: &[RouteConfig],
    new: &[RouteConfig],
    places: &[Option<usize>],
    by: By,
) -> Result<Vec<Source>, ControlError> {
    let address = |route: &RouteConfig| (route.bind, route.local_port);
    let listens = |place: usize| members.get(place).is_some_and(|member| member.listening.is_some());
    let mut sources: Vec<Source> = new.iter().map(|_| Source::None).collect();
    let mut let_go: Vec<usize> = (0..members.len()).filter(|place| listens(*place)).collect();
    for ((source, route), place) in sources.iter_mut().zip(new).zip(places) {
        let Some(place) = place.filter(|place| route.enabled && listens(*place)) else { continue };
        if old.get(place).is_some_and(|old| address(old) == address(route)) {
            *source = Source::Kept;
            let_go.retain(|other| *other != place);
        }
    }
    // What an old route lets go of, another may have.
    for (source, route) in sources.iter_mut().zip(new) {
        if !route.enabled || !matches!((&source, route.local_port), (Source::None, LocalPort::Fixed(_))) {
            continue;
        }
        let same = |place: &usize| old.get(*place).is_some_and(|old| address(old) == address(route));
        if let Some(found) = let_go.iter().position(same) {
            *source = Source::HandedOver(let_go.swap_remove(found));
        }
    }
    let mut wanting: Vec<usize> = Vec::new();
    for (at, (source, route)) in sources.iter().zip(new).enumerate() {
        if route.enabled && matches!(source, Source::None) {
            wanting.push(at);
        }
    }
    // Those that want a certain port come first: what the system chooses must not be one of theirs.
    wanting.sort_by_key(|at| new.get(*at).map(|route| route.local_port == LocalPort::Auto));

    // What is in nobody's way is tried first, so that a failure there disturbs nothing.
    let blocks = |at: usize, place: usize| {
        new.get(at).zip(members.get(place)).is_some_and(|(route, member)| wants_port_of(route, member))
    };
    let (late, early): (Vec<usize>, Vec<usize>) =
        wanting.into_iter().partition(|at| let_go.iter().any(|place| blocks(*at, *place)));
    let in_the_way: Vec<usize> =
        let_go.into_iter().filter(|place| late.iter().any(|at| blocks(*at, *place))).collect();
    let mut closed = Vec::new();
    let mut failures = Vec::new();
    bind_all(&early, new, members, places, &mut sources, &mut failures);
    if failures.is_empty() && !late.is_empty() {
        for place in in_the_way {
            if let Some(listening) = members.get_mut(place).and_then(|member| member.listening.take()) {
                listening.close().await;
                closed.push(place);
            }
        }
        bind_all(&late, new, members, places, &mut sources, &mut failures);
    }
    if failures.is_empty() {
        return Ok(sources);
    }
    drop(sources);
    for place in closed {
        restore(shared, members, old, place, by);
    }
    Err(ControlError::Bind(failures.into()))
}

/// Whether a route wants the very port on which another listens, whatever the address.
fn wants_port_of(route: &RouteConfig, member: &Member) -> bool {
    let address = member.route.address();
    address.is_some_and(|address| route.local_port == LocalPort::Fixed(address.port()))
}

fn bind_all(
    wanting: &[usize],
    new: &[RouteConfig],
    members: &[Member],
    places: &[Option<usize>],
    sources: &mut [Source],
    failures: &mut Vec<BindFailure>,
) {
    for at in wanting {
        let Some((route, source)) = new.get(*at).zip(sources.get_mut(*at)) else { continue };
        let member = places.get(*at).copied().flatten().and_then(|place| members.get(place));
        // A route that is opened again has the port it had, if that is still to be had.
        let last = member
            .filter(|_| route.local_port == LocalPort::Auto)
            .and_then(|member| member.route.last_port());
        let again = last.and_then(|port| Listener::bind(route.bind, LocalPort::Fixed(port)).ok());
        match again.map_or_else(|| Listener::bind(route.bind, route.local_port), Ok) {
            Ok(listener) => *source = Source::Bound(Arc::new(listener)),
            Err(error) => {
                failures.push(BindFailure { route: route.name.clone(), address: wanted(route), error });
            }
        }
    }
}

/// Opens again what was closed to make room for something that then failed.
fn restore(shared: &Shared, members: &mut [Member], old: &[RouteConfig], place: usize, by: By) {
    let Some((member, config)) = members.get_mut(place).zip(old.get(place)) else { return };
    let Some(address) = member.route.address() else { return };
    match Listener::bind(config.bind, LocalPort::Fixed(address.port())) {
        Ok(listener) => {
            let cut = shared.common.stop.cut.clone();
            member.listening = Some(Listening::start(member.route.clone(), Arc::new(listener), cut));
        }
        Err(error) => {
            member.route.listens(None);
            let route = member.route.name().clone();
            let message = format!("it cannot listen on {address} again: {error}").into();
            shared.common.emitter.emit(Fact::Notice { route: Some(route.clone()), message });
            shared.common.emitter.emit(Fact::RouteClosed { route, by });
        }
    }
}

fn wanted(route: &RouteConfig) -> String {
    let port = match route.local_port {
        LocalPort::Auto => 0,
        LocalPort::Fixed(port) => port,
    };
    match route.bind {
        Bind::Any => format!("*:{port}"),
        Bind::Ip(ip) => std::net::SocketAddr::new(ip, port).to_string(),
    }
}
