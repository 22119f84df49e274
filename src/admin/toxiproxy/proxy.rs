//! A proxy: a route, seen through Toxiproxy's words.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use serde::Serialize;

use super::go_json::Object;
use super::refusal::Refusal;
use super::toxics::{self, ToxicView, read_name};
use crate::daemon::Control;
use crate::route::{Bind, LocalPort, Route, RouteConfig};
use crate::spec::text::shown_short;
use crate::spec::{Name, ProxyHost, ProxyListen, ProxyListenError, proxy_upstream};
use crate::upstream::{Endpoint, EndpointError, UpstreamConfig};

/// How long a name to listen on may take to be found.
const LOOK_UP: Duration = Duration::from_secs(5);

/// A proxy as it is shown.
#[derive(Debug, Serialize)]
pub(super) struct ProxyView {
    name: Arc<str>,
    listen: String,
    upstream: String,
    enabled: bool,
    toxics: Vec<ToxicView>,
}

/// What is asked for when a proxy is made.
#[derive(Clone, Debug)]
pub(super) struct NewProxy {
    pub(super) name: Name,
    pub(super) listen: String,
    pub(super) upstream: String,
    pub(super) enabled: bool,
}

/// What is asked for when a proxy is changed; what is left out stays as it is.
#[derive(Clone, Debug)]
pub(super) struct ProxyChange {
    pub(super) listen: Option<String>,
    pub(super) upstream: Option<String>,
    pub(super) enabled: Option<bool>,
}

/// Where a proxy listens, its name resolved.
pub(super) type Spot = (Bind, LocalPort);

impl NewProxy {
    /// Reads what is asked for. Whether its upstream can be one shows when it is made.
    pub(super) fn read(body: &Object) -> Result<NewProxy, Refusal> {
        let (name, listen) = (body.text("name")?, body.text("listen")?.unwrap_or_default());
        let (upstream, enabled) = (body.text("upstream")?, body.flag("enabled")?.unwrap_or(true));
        let must = |text: Option<String>, key| {
            text.filter(|text| !text.is_empty()).ok_or_else(|| Refusal::missing(key))
        };
        let (name, upstream) = (must(name, "name")?, must(upstream, "upstream")?);
        Ok(NewProxy { name: read_name(&name)?, listen, upstream, enabled })
    }

    /// The route that this is.
    pub(super) fn route(&self, (bind, local_port): Spot) -> Result<RouteConfig, Refusal> {
        let (name, upstream) = (self.name.shared(), read_upstream(&self.upstream)?);
        Ok(RouteConfig { enabled: self.enabled, ..RouteConfig::proxy(name, bind, local_port, upstream) })
    }
}

impl ProxyChange {
    /// Reads what is asked for.
    pub(super) fn read(body: &Object) -> Result<ProxyChange, Refusal> {
        let (listen, upstream) = (body.text("listen")?, body.text("upstream")?);
        Ok(ProxyChange { listen, upstream, enabled: body.flag("enabled")? })
    }
}

/// An endpoint; or several, as they are shown of a route that has them.
pub(super) fn read_upstream(text: &str) -> Result<UpstreamConfig, Refusal> {
    let endpoints: Result<Vec<Endpoint>, EndpointError> = text.split(", ").map(proxy_upstream).collect();
    endpoints.map(UpstreamConfig::from).map_err(|why| {
        let why = why.to_string().replace('\n', ": ");
        Refusal::bad_body(format_args!("the upstream `{}` {why}", shown_short(text, 80)))
    })
}

/// Where a text says to listen. The words of an error are what follows `listen tcp`.
pub(super) async fn spot(text: &str, control: &Control) -> Result<Spot, String> {
    let listen: ProxyListen = text.parse().map_err(|why: ProxyListenError| why.to_string())?;
    let port = LocalPort::of_proxy(listen.port);
    match Bind::of_proxy(listen.host) {
        Ok(bind) => Ok((bind, port)),
        Err(name) => Ok((Bind::Ip(look_up(&name, control).await?), port)),
    }
}

/// The same for a place where no name is looked up: a file.
pub(super) fn literal_spot(text: &str) -> Result<Spot, String> {
    let listen: ProxyListen = text.parse().map_err(|why: ProxyListenError| why.to_string())?;
    let named =
        |name: String| format!("it listens on the name `{}`: write an IP address", shown_short(&name, 80));
    Ok((Bind::of_proxy(listen.host).map_err(named)?, LocalPort::of_proxy(listen.port)))
}

/// The first address of a name, an IPv4 one if it has any.
async fn look_up(name: &str, control: &Control) -> Result<IpAddr, String> {
    let shown = || shown_short(name, 80);
    let no_host = || format!("lookup {}: no such host", shown());
    match tokio::time::timeout(LOOK_UP, control.addresses(name)).await {
        Err(_) => Err(format!("lookup {}: i/o timeout", shown())),
        Ok(Err(_)) => Err(no_host()),
        Ok(Ok(found)) => {
            let best = found.iter().find(|ip| ip.is_ipv4()).or(found.first());
            best.copied().ok_or_else(no_host)
        }
    }
}

/// Whether a route listens just there. Toxiproxy takes a port that the system is to choose for another one.
pub(super) fn listens_at(route: &RouteConfig, running: &Route, (bind, port): Spot) -> bool {
    let own = match route.local_port {
        LocalPort::Fixed(port) => Some(port),
        LocalPort::Auto => running.last_port(),
    };
    host(route.bind) == host(bind) && matches!(port, LocalPort::Fixed(port) if own == Some(port))
}

fn host(bind: Bind) -> ProxyHost {
    match bind {
        Bind::Any => ProxyHost::Every,
        Bind::Ip(ip) => ip.into(),
    }
}

/// The texts by which proxies that have never listened were told where to: they are shown as they were typed. A name that
/// is resolved when a proxy starts to listen is no part of a route.
#[derive(Debug, Default)]
pub(super) struct AsTyped(Mutex<Vec<(Weak<Route>, Spot, String)>>);

impl AsTyped {
    /// Remembers the text of a route that does not listen yet.
    pub(super) fn keep(&self, route: &Arc<Route>, spot: Spot, text: &str) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.retain(|(other, ..)| {
            other.upgrade().is_some_and(|other| other.last_port().is_none() && !Arc::ptr_eq(&other, route))
        });
        if route.last_port().is_none() {
            kept.push((Arc::downgrade(route), spot, text.to_owned()));
        }
    }

    fn of(&self, route: &Arc<Route>, spot: Spot) -> Option<String> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let same = |other: &Weak<Route>| std::ptr::eq(other.as_ptr(), Arc::as_ptr(route));
        kept.iter().find(|(other, meant, _)| same(other) && *meant == spot).map(|(.., text)| text.clone())
    }
}

impl ProxyView {
    /// Of a route as it was made, when it is gone already.
    pub(super) fn of_gone(route: RouteConfig) -> ProxyView {
        ProxyView {
            listen: spot_text((route.bind, route.local_port)),
            upstream: route.upstream.to_string(),
            enabled: route.enabled,
            toxics: toxics::list(&route.faults),
            name: route.name,
        }
    }

    /// Of a route as it runs.
    pub(super) fn of(running: &Arc<Route>, typed: &AsTyped) -> ProxyView {
        let route = running.config();
        let spot = (route.bind, route.local_port);
        let never = running.last_port().is_none();
        let as_typed = if never { typed.of(running, spot) } else { None };
        ProxyView {
            listen: as_typed.unwrap_or_else(|| listen_text(&route, running)),
            upstream: route.upstream.to_string(),
            enabled: route.enabled,
            toxics: toxics::list(&route.faults),
            name: route.name,
        }
    }

    /// Its name.
    pub(super) fn name(&self) -> &Arc<str> {
        &self.name
    }
}

/// Where a route listens, or would, as Toxiproxy writes it. It keeps its port while it is closed.
pub(in crate::admin) fn listen_text(route: &RouteConfig, running: &Route) -> String {
    let port = match (route.local_port, running.last_port()) {
        (LocalPort::Fixed(port), _) | (LocalPort::Auto, Some(port)) => port,
        (LocalPort::Auto, None) => 0,
    };
    ProxyListen { host: host(route.bind), port }.to_string()
}

/// The same for a place where none listens yet.
pub(super) fn spot_text((bind, port): Spot) -> String {
    let port = match port {
        LocalPort::Fixed(port) => port,
        LocalPort::Auto => 0,
    };
    ProxyListen { host: host(bind), port }.to_string()
}
