//! Chains of routes that come back to themselves: a connection would go from route to route and never leave.

use std::collections::HashMap;
use std::net::IpAddr;

use super::meaning::route_name;
use super::sheet::Sheet;
use crate::route::{Bind, RouteSpec};
use crate::spec::{Diagnostic, NodeId};
use crate::upstream::{Address, Endpoint, Host};

/// The most circles that are told of.
const TOLD: usize = 20;

/// A way from one route to another: through the endpoint that stands there.
#[derive(Clone, Copy)]
struct Step {
    from: usize,
    to: usize,
    node: Option<NodeId>,
}

/// How far the search has come with a route.
#[derive(Clone, Copy)]
enum Met {
    Never,
    /// It is this far down the way that is being walked.
    OnTheWay(usize),
    /// All ways from it are walked: they lead nowhere new.
    Done,
}

/// Notes every circle, but for those that share a way with one that is told.
pub(super) fn circles(routes: &[&RouteSpec], bind: Bind, by_port: &HashMap<u16, usize>, sheet: &mut Sheet) {
    let steps: Vec<Vec<Step>> = (0..routes.len()).map(|from| steps(from, routes, bind, by_port)).collect();
    let mut met = vec![Met::Never; routes.len()];
    let mut told = 0;
    for start in 0..routes.len() {
        if !matches!(met.get(start), Some(Met::Never)) {
            continue;
        }
        // Each route on the way, with those of its steps that are still to be gone; and the steps between them.
        let mut way = vec![(start, steps.get(start).map(Vec::as_slice).unwrap_or_default().iter())];
        let mut gone: Vec<Step> = Vec::new();
        mark(&mut met, start, Met::OnTheWay(0));
        while let Some((here, left)) = way.last_mut() {
            let Some(step) = left.next() else {
                mark(&mut met, *here, Met::Done);
                way.pop();
                gone.pop();
                continue;
            };
            match met.get(step.to) {
                Some(Met::Never) => {
                    mark(&mut met, step.to, Met::OnTheWay(way.len()));
                    gone.push(*step);
                    way.push((step.to, steps.get(step.to).map(Vec::as_slice).unwrap_or_default().iter()));
                }
                Some(Met::OnTheWay(depth)) if told < TOLD => {
                    told += 1;
                    let mut circle = gone.get(*depth..).unwrap_or_default().to_vec();
                    circle.push(*step);
                    tell(circle, routes, sheet);
                }
                _ => {}
            }
        }
    }
}

fn mark(met: &mut [Met], route: usize, how: Met) {
    if let Some(met) = met.get_mut(route) {
        *met = how;
    }
}

/// The routes that the endpoints of one lead to.
fn steps(from: usize, routes: &[&RouteSpec], bind: Bind, by_port: &HashMap<u16, usize>) -> Vec<Step> {
    let Some(route) = routes.get(from) else { return Vec::new() };
    let Some(upstream) = route.upstream.get() else { return Vec::new() };
    let step = |(endpoint, node): (&Endpoint, Option<NodeId>)| {
        let Endpoint::Address(address) = endpoint else { return None };
        let to = *by_port.get(&address.port)?;
        let listens = routes.get(to)?.bind.get().copied().unwrap_or(bind);
        reaches(address, listens).then_some(Step { from, to, node })
    };
    upstream.endpoints(route.upstream.node()).into_iter().filter_map(step).collect()
}

/// Tells of a circle where it stands in the text; a route that runs already does not stand there.
fn tell(mut circle: Vec<Step>, routes: &[&RouteSpec], sheet: &mut Sheet) {
    /// A longer circle is told of by its beginning.
    const SHOWN: usize = 8;
    let start = circle.iter().position(|step| step.node.is_some()).unwrap_or(0);
    circle.rotate_left(start);
    let name = |step: &Step| {
        let name = routes.get(step.from).and_then(|route| route_name(route));
        name.map_or_else(|| "?".to_owned(), |name| name.to_string())
    };
    let Some(first) = circle.first() else { return };
    let title = match circle.as_slice() {
        [alone] => format!("the upstream of `{}` is the route itself", name(alone)),
        circle => {
            let mut names: Vec<String> = circle.iter().take(SHOWN).map(name).collect();
            if circle.len() > SHOWN {
                names.push("…".to_owned());
            }
            names.push(name(first));
            format!("these routes lead in a circle: {}", names.join(" → "))
        }
    };
    let mut problem =
        Diagnostic::new(title).at(sheet.place(first.node)).label("a connection would come back without end");
    for other in circle.iter().take(SHOWN).skip(1) {
        problem = problem.note("it goes on", sheet.place(other.node));
    }
    sheet.note(problem);
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
