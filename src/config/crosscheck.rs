//! What single values cannot show: routes held against each other and against the control API.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use super::Admin;
use super::admin::AdminSpec;
use super::document::{Document, Typed};
use super::meaning::{place, route_name};
use crate::route::{Bind, LocalPort, RouteSpec};
use crate::spec::{Diagnostic, Field};
use crate::upstream::{Address, Endpoint, Host};

/// Notes every port, name or chain of routes that cannot be.
pub(super) fn crosscheck(document: &Document, bind: Bind, typed: &mut Typed) {
    let routes: Vec<&RouteSpec> =
        document.routes.get().map(Vec::as_slice).unwrap_or_default().iter().filter_map(Field::get).collect();
    let by_port = ports(&routes, typed);
    names(&routes, typed);
    admin(document, &routes, typed);
    loops(&routes, bind, &by_port, typed);
}

/// The first route of each port; a second one is told, whatever it is bound to.
fn ports(routes: &[&RouteSpec], typed: &mut Typed) -> HashMap<u16, usize> {
    let mut first = HashMap::new();
    for (index, route) in routes.iter().enumerate() {
        let Some(LocalPort::Fixed(port)) = route.local_port.get() else { continue };
        match first.get(port) {
            None => {
                first.insert(*port, index);
            }
            Some(before) => {
                let Some(before) = routes.get(*before) else { continue };
                let node = before.local_port.node();
                let title = match (node, route_name(before)) {
                    (None, Some(name)) => format!("localPort {port} is taken by the route `{name}`"),
                    _ => format!("localPort {port} is taken by another route"),
                };
                let (here, before) = (place(typed, route.local_port.node()), place(typed, node));
                let problem = Diagnostic::new(title).at(here).label("choose another port").taken();
                typed.note(problem.note("the first one is", before));
            }
        }
    }
    first
}

fn names(routes: &[&RouteSpec], typed: &mut Typed) {
    let mut first: HashMap<Arc<str>, &RouteSpec> = HashMap::new();
    for route in routes {
        let Some(name) = route_name(route) else { continue };
        let spot = |route: &RouteSpec| route.name.node().or(route.local_port.node());
        match first.get(&name) {
            None => {
                first.insert(name, route);
            }
            // Two unnamed routes of one port: that is told already.
            Some(before) if before.name.is_absent() && route.name.is_absent() => {}
            Some(before) => {
                let (here, before) = (place(typed, spot(route)), place(typed, spot(before)));
                let title = match (&here, &before) {
                    (Some(_), None) => format!("there is a route `{name}` already"),
                    _ => format!("two routes are called `{name}`"),
                };
                let problem = Diagnostic::new(title).at(here).label("choose another name").taken();
                typed.note(problem.note("the first one is", before));
            }
        }
    }
}

/// An admin address that was asked for must not be a route's. One that was not asked for gives way by itself.
fn admin(document: &Document, routes: &[&RouteSpec], typed: &mut Typed) {
    let Some(Admin::On { listen, .. }) = document.admin.get().map(AdminSpec::meant) else { return };
    let at = match document.admin.get() {
        Some(AdminSpec::Full(full)) => full.listen.node().or(document.admin.node()),
        _ => document.admin.node(),
    };
    for route in routes {
        if route.local_port.get() == Some(&LocalPort::Fixed(listen.port())) {
            let (here, admin) = (place(typed, route.local_port.node()), place(typed, at));
            typed.note(
                Diagnostic::new(format!("localPort {} is the port of the control API", listen.port()))
                    .at(here)
                    .label("choose another port, or another for `admin`")
                    .note("admin is", admin),
            );
        }
    }
}

/// A connection that would go from route to route and never leave.
fn loops(routes: &[&RouteSpec], bind: Bind, by_port: &HashMap<u16, usize>, typed: &mut Typed) {
    // Ports are unique, so each route leads to at most one other.
    let next: Vec<Option<usize>> = routes
        .iter()
        .map(|route| {
            let Some(Endpoint::Address(address)) = route.upstream.get() else { return None };
            let target = *by_port.get(&address.port)?;
            let listens = routes.get(target)?.bind.get().copied().unwrap_or(bind);
            reaches(address, listens).then_some(target)
        })
        .collect();
    // Each route is walked over once: what was met on an earlier walk leads nowhere new.
    let mut met = vec![usize::MAX; routes.len()];
    for start in 0..routes.len() {
        let mut here = Some(start);
        while let Some(index) = here {
            match met.get(index) {
                Some(&walk) if walk == usize::MAX => met[index] = start,
                Some(&walk) if walk == start => {
                    tell_loop(index, &next, routes, typed);
                    break;
                }
                _ => break,
            }
            here = next.get(index).copied().flatten();
        }
    }
}

/// Tells of the circle that `start` lies on.
fn tell_loop(start: usize, next: &[Option<usize>], routes: &[&RouteSpec], typed: &mut Typed) {
    /// A longer circle is told of by its beginning.
    const SHOWN: usize = 8;
    // It is told of where it stands in the text; a route that runs already does not.
    let after = |index: usize| next.get(index).copied().flatten();
    let all = std::iter::successors(Some(start), |index| after(*index).filter(|index| *index != start));
    let typed_in = |index: &usize| routes.get(*index).is_some_and(|route| route.upstream.node().is_some());
    let start = all.clone().find(typed_in).unwrap_or(start);
    let step = |index: &usize| after(*index).filter(|index| *index != start);
    let circle: Vec<&RouteSpec> = std::iter::successors(Some(start), step)
        .take(SHOWN + 1)
        .filter_map(|index| routes.get(index).copied())
        .collect();
    let Some(first) = circle.first() else { return };
    let name = |route: &RouteSpec| route_name(route).map_or_else(|| "?".to_owned(), |name| name.to_string());
    let title = match circle.as_slice() {
        [alone] => format!("the upstream of `{}` is the route itself", name(alone)),
        circle => {
            let mut names: Vec<String> = circle.iter().take(SHOWN).map(|route| name(route)).collect();
            if circle.len() > SHOWN {
                names.push("…".to_owned());
            }
            names.push(name(first));
            format!("these routes lead in a circle: {}", names.join(" → "))
        }
    };
    let mut problem = Diagnostic::new(title)
        .at(place(typed, first.upstream.node()))
        .label("a connection would come back without end");
    for other in circle.iter().take(SHOWN).skip(1) {
        problem = problem.note("it goes on", place(typed, other.upstream.node()));
    }
    typed.note(problem);
}

/// Whether a connection to `address` certainly arrives at a listener bound to `bind` of the same port.
fn reaches(address: &Address, bind: Bind) -> bool {
    let target = match &address.host {
        Host::Ip(ip) => ip.to_canonical(),
        Host::Name(name) => {
            let name = name.strip_suffix('.').unwrap_or(name);
            return name.eq_ignore_ascii_case("localhost")
                && match bind {
                    Bind::Any => true,
                    Bind::Ip(bound) => bound.is_unspecified() || bound.is_loopback(),
                };
        }
    };
    match bind {
        Bind::Any => target.is_loopback() || target.is_unspecified(),
        Bind::Ip(bound) if bound.is_unspecified() => {
            bound.is_ipv4() == target.is_ipv4() && (target.is_loopback() || target.is_unspecified())
        }
        // The unspecified address as a target is the machine itself.
        Bind::Ip(bound) => {
            bound == target
                || (target.is_unspecified()
                    && [IpAddr::from([127, 0, 0, 1]), std::net::Ipv6Addr::LOCALHOST.into()].contains(&bound)
                    && bound.is_ipv4() == target.is_ipv4())
        }
    }
}
