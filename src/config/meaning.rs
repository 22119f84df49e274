//! From what was typed to what is meant: defaults given, shorthands expanded, required keys demanded.

use std::net::Ipv4Addr;
use std::sync::Arc;

use super::crosscheck::crosscheck;
use super::document::{Document, Typed};
use super::sheet::Sheet;
use super::tree::{Kind, MAX_ITEMS, Spot};
use super::{Admin, Config, Drain, aim};
use crate::fault::{Delay, Distribution, Drop, Effect, Fault, Hang, Trigger};
use crate::observe::LogSpec;
use crate::route::{Bind, LimitsSpec, LocalPort, RouteConfig, RouteSpec, Timeouts, TimeoutsSpec};
use crate::spec::report::Report;
use crate::spec::{Diagnostic, Field, NodeId, Period};

/// The most faults a route may list.
pub(crate) const MAX_FAULTS: usize = 64;

/// The most hosts and ranges that the control API may be permitted.
const MOST_ALLOWED: usize = 256;

/// What a document means, or everything that is wrong with it.
pub(super) fn config(typed: Typed) -> Result<Config, Box<Report>> {
    let Typed { document, mut sheet, may_be_empty } = typed;
    check_document(&document, may_be_empty, &mut sheet);
    let bind = document.bind.get().copied().unwrap_or(Bind::Ip(Ipv4Addr::LOCALHOST.into()));
    let routes = document.routes.get().map(Vec::as_slice).unwrap_or_default();
    let mut meant = Vec::with_capacity(routes.len());
    for route in routes {
        if let Field::Good { node, value } = route {
            meant.extend(route_config(value, *node, bind, &mut sheet));
        }
    }
    crosscheck(&document, bind, &mut sheet);
    if sheet.is_clean() && meant.len() != routes.len() {
        // Nothing may vanish in silence: what could not be read has been told of, or this is our own mistake.
        debug_assert!(false, "a route was lost and no problem noted");
        sheet.note(Diagnostic::new("a route could not be read"));
    }
    if !sheet.is_clean() {
        return Err(Box::new(sheet.into_report()));
    }
    let default = Drain::default();
    Ok(Config {
        seed: document.seed.get().copied(),
        bind,
        admin: document.admin.get().map_or(Admin::Default, |admin| admin.meant()),
        log: document.log.get().map(LogSpec::meant).unwrap_or_default(),
        drain: Drain {
            timeout: document.drain_timeout.get().map_or(default.timeout, |period| period.get()),
            pre_delay: document.pre_drain_delay.get().map_or(default.pre_delay, |period| period.get()),
            idle: document.drain_idle.get().map_or(default.idle, |limit| limit.get()),
        },
        stats_interval: document.stats_interval.get().map(|period| period.get()),
        allowed_upstreams: document
            .allowed_upstreams
            .get()
            .map(|listed| listed.iter().filter_map(|allowed| allowed.get().cloned()).collect()),
        routes: meant,
    })
}

/// What one route means that is to stand among others. They have no places; it is they who came first.
pub(super) fn route(
    spec: RouteSpec,
    others: &[&RouteConfig],
    among: &Config,
    mut sheet: Sheet,
) -> Result<RouteConfig, Box<Report>> {
    let root = sheet.root();
    let meant = route_config(&spec, Some(root), among.bind, &mut sheet);
    if others.len() >= MAX_ITEMS {
        let title = format!("there are {MAX_ITEMS} routes already, the most there may be");
        let place = sheet.place(Some(root));
        sheet.note(Diagnostic::new(title).at(place));
    }
    let routes = others.iter().map(|route| RouteSpec::from(*route)).chain([spec]);
    let routes: Vec<Field<RouteSpec>> = routes.map(Field::from).collect();
    let document = Document { routes: routes.into(), ..among.document_without_routes() };
    crosscheck(&document, among.bind, &mut sheet);
    match meant {
        Some(meant) if sheet.is_clean() => Ok(meant),
        _ => {
            if sheet.is_clean() {
                debug_assert!(false, "a route was lost and no problem noted");
                sheet.note(Diagnostic::new("the route could not be read"));
            }
            Err(Box::new(sheet.into_report()))
        }
    }
}

fn check_document(document: &Document, may_be_empty: bool, sheet: &mut Sheet) {
    let root = sheet.root();
    match &document.routes {
        // A misspelt `routes` is told of as an unknown key.
        Field::Absent if sheet.resembles(root, "routes") => {}
        Field::Absent => {
            let problem = match sheet.tree.kind(root) {
                Kind::Broken => return,
                Kind::Null => Diagnostic::new("the document is empty"),
                _ => Diagnostic::new("`routes` is missing")
                    .at(Some(sheet.tree.place(Spot::Value(root))))
                    .label("needs `routes` beside this"),
            };
            sheet.note(
                problem.help("list at least one route: routes: [{localPort: 15432, upstream: \"db:5432\"}]"),
            );
        }
        Field::Good { node, value } if value.is_empty() && !may_be_empty => {
            let place = sheet.place(*node);
            sheet.note(
                Diagnostic::new("there is no route")
                    .at(place)
                    .label("list at least one route")
                    .help("a route is {localPort: 15432, upstream: \"db:5432\"}"),
            );
        }
        Field::Good { .. } | Field::Bad => {}
    }
    if document.allowed_upstreams.get().is_some_and(|listed| listed.len() > MOST_ALLOWED) {
        let place = sheet.place(document.allowed_upstreams.node());
        let title = format!("allowedUpstreams lists at most {MOST_ALLOWED} hosts and ranges");
        sheet.note(
            Diagnostic::new(title).at(place).label("too many: write ranges, or `*.` and what names end in"),
        );
    }
    if document.stats_interval.get().is_some_and(|interval| interval.get().is_zero()) {
        let place = sheet.place(document.stats_interval.node());
        let label = "take the line away for no statistics";
        sheet.note(Diagnostic::new("statsInterval must be more than zero").at(place).label(label));
    }
}

/// What a route means. None: something that must be there is missing or bad, and noted.
fn route_config(
    spec: &RouteSpec,
    node: Option<NodeId>,
    bind: Bind,
    sheet: &mut Sheet,
) -> Option<RouteConfig> {
    for (key, absent) in [("localPort", spec.local_port.is_absent()), ("upstream", spec.upstream.is_absent())]
    {
        if absent && !node.is_some_and(|node| sheet.resembles(node, key)) {
            let place = sheet.place(node);
            let label = format!("this route needs `{key}`");
            sheet.note(Diagnostic::new(format!("`{key}` is missing")).at(place).label(label));
        }
    }
    if spec.local_port.get() == Some(&LocalPort::Auto) && spec.name.is_absent() {
        let place = sheet.place(spec.local_port.node());
        let problem = Diagnostic::new("a route with `localPort: auto` needs a name").at(place);
        sheet.note(problem.label("give the route a `name`").help("the name is how to find the port"));
    }
    for complaint in spec.complaints() {
        let problem = complaint.told(|node| sheet.tree.place(Spot::Value(node)));
        sheet.note(problem);
    }
    let faults = faults(spec, sheet);
    let local_port = *spec.local_port.get()?;
    Some(RouteConfig {
        name: route_name(spec)?,
        local_port,
        bind: spec.bind.get().copied().unwrap_or(bind),
        enabled: spec.enabled.get().copied().unwrap_or(true),
        upstream: spec.upstream.get()?.meant(),
        faults,
        timeouts: spec.timeouts.get().map_or_else(Timeouts::default, TimeoutsSpec::meant),
        limits: spec.limits.get().map(LimitsSpec::meant).unwrap_or_default(),
        keepalive: spec.keepalive.get().map(|keepalive| keepalive.0.meant()),
        proxy_protocol: spec.proxy_protocol.get().map(|protocol| protocol.0.meant()).unwrap_or_default(),
    })
}

/// A route's name, given or made from its port.
pub(super) fn route_name(spec: &RouteSpec) -> Option<Arc<str>> {
    match (&spec.name, spec.local_port.get()) {
        (Field::Good { value, .. }, _) => Some(value.shared()),
        (Field::Absent, Some(LocalPort::Fixed(port))) => Some(format!("port-{port}").into()),
        _ => None,
    }
}

/// The faults of a route: the shorthands first, then the list. Each name may be taken once.
fn faults(spec: &RouteSpec, sheet: &mut Sheet) -> Vec<Fault> {
    let mut faults = shorthands(spec);
    if let Field::Good { node, value } = &spec.faults
        && faults.len() + value.len() > MAX_FAULTS
    {
        let place = sheet.place(*node);
        sheet.note(
            Diagnostic::new(format!("a route has at most {MAX_FAULTS} faults")).at(place).label("too many"),
        );
        return Vec::new();
    }
    let aims = spec.upstream.get().filter(|upstream| upstream.is_whole());
    let aims = aims.map(|upstream| upstream.endpoints(spec.upstream.node()));
    let mut taken: Vec<(Arc<str>, Option<NodeId>)> =
        faults.iter().map(|(fault, node)| (Arc::clone(&fault.name), *node)).collect();
    for item in spec.faults.get().map(Vec::as_slice).unwrap_or_default() {
        let Field::Good { node, value } = item else { continue };
        if let Some(aims) = &aims {
            aim::check(value, *node, aims, sheet);
        }
        let fault = value.meant(|name| taken.iter().any(|(other, _)| **other == *name));
        let (name, given) = (&fault.name, value.name.is_some());
        match taken.iter().find(|(other, _)| other == name) {
            Some((_, before)) => {
                let (here, before) = (sheet.place(*node), sheet.place(*before));
                let label = if given { "choose another name" } else { "give this one a `name`" };
                sheet.note(
                    Diagnostic::new(format!("two faults of this route are called `{name}`"))
                        .at(here)
                        .label(label)
                        .note("the first one is", before),
                );
            }
            None => taken.push((Arc::clone(name), *node)),
        }
        faults.push((fault, *node));
    }
    faults.into_iter().map(|(fault, _)| fault).collect()
}

/// `dropRate`, `timeoutMs`, and `latencyMs` with `jitterMs`, each with the place it came from; zero is off.
fn shorthands(spec: &RouteSpec) -> Vec<(Fault, Option<NodeId>)> {
    let mut faults = Vec::new();
    let mut add = |effect: Effect, trigger: Trigger, node: Option<NodeId>| {
        faults.push((Fault { trigger, ..Fault::new(effect) }, node));
    };
    if let Some(&probability) = spec.drop_rate.get().filter(|rate| rate.get() > 0.0) {
        let trigger = Trigger { probability, ..Trigger::default() };
        add(Effect::Drop(Drop::default()), trigger, spec.drop_rate.node());
    }
    if let Some(time) = spec.timeout_ms.get().filter(|time| !time.is_zero()) {
        let hang = Hang { close_after: Some(time.period()) };
        add(Effect::Hang(hang), Trigger::default(), spec.timeout_ms.node());
    }
    let period =
        |field: &Field<crate::spec::Millis>| field.get().map_or(Period::default(), |time| time.period());
    let (delay, jitter) = (period(&spec.latency_ms), period(&spec.jitter_ms));
    if delay > Period::default() || jitter > Period::default() {
        let node = if delay > Period::default() { spec.latency_ms.node() } else { spec.jitter_ms.node() };
        add(
            Effect::Delay(Delay { delay, jitter, distribution: Distribution::default() }),
            Trigger::default(),
            node,
        );
    }
    faults
}
