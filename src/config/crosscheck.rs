//! What single values cannot show: routes held against each other and against the control API.

use std::collections::HashMap;
use std::sync::Arc;

use super::Admin;
use super::admin::AdminSpec;
use super::circles::circles;
use super::document::Document;
use super::meaning::route_name;
use super::sheet::Sheet;
use crate::route::{Bind, LocalPort, RouteSpec};
use crate::spec::{Diagnostic, Field};

/// Notes every port, name or chain of routes that cannot be.
pub(super) fn crosscheck(document: &Document, bind: Bind, sheet: &mut Sheet) {
    let routes: Vec<&RouteSpec> =
        document.routes.get().map(Vec::as_slice).unwrap_or_default().iter().filter_map(Field::get).collect();
    let by_port = ports(&routes, sheet);
    names(&routes, sheet);
    admin(document, &routes, sheet);
    circles(&routes, bind, &by_port, sheet);
}

/// The first route of each port; a second one is told, whatever it is bound to.
fn ports(routes: &[&RouteSpec], sheet: &mut Sheet) -> HashMap<u16, usize> {
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
                let (here, before) = (sheet.place(route.local_port.node()), sheet.place(node));
                let problem = Diagnostic::new(title).at(here).label("choose another port").taken();
                sheet.note(problem.note("the first one is", before));
            }
        }
    }
    first
}

fn names(routes: &[&RouteSpec], sheet: &mut Sheet) {
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
                let (here, before) = (sheet.place(spot(route)), sheet.place(spot(before)));
                let title = match (&here, &before) {
                    (Some(_), None) => format!("there is a route `{name}` already"),
                    _ => format!("two routes are called `{name}`"),
                };
                let problem = Diagnostic::new(title).at(here).label("choose another name").taken();
                sheet.note(problem.note("the first one is", before));
            }
        }
    }
}

/// An admin address that was asked for must not be a route's. One that was not asked for gives way by itself.
fn admin(document: &Document, routes: &[&RouteSpec], sheet: &mut Sheet) {
    let Some(Admin::On { listen, .. }) = document.admin.get().map(AdminSpec::meant) else { return };
    let at = match document.admin.get() {
        Some(AdminSpec::Full(full)) => full.listen.node().or(document.admin.node()),
        _ => document.admin.node(),
    };
    for route in routes {
        if route.local_port.get() == Some(&LocalPort::Fixed(listen.port())) {
            let (here, admin) = (sheet.place(route.local_port.node()), sheet.place(at));
            sheet.note(
                Diagnostic::new(format!("localPort {} is the port of the control API", listen.port()))
                    .at(here)
                    .label("choose another port, or another for `admin`")
                    .note("admin is", admin),
            );
        }
    }
}
