//! Proxies: seen, made, changed, taken away, and all of them mended.

use std::collections::BTreeMap;
use std::sync::Arc;

use hyper::StatusCode;

use super::State;
use super::go_json;
use super::proxy::{NewProxy, ProxyChange, ProxyView, Spot, listens_at, read_upstream, spot, spot_text};
use super::refusal::Refusal;
use super::reply;
use crate::admin::reply::Reply;
use crate::config::{Admin, Config};
use crate::daemon::Live;
use crate::observe::By;
use crate::route::{LocalPort, RouteConfig};

pub(super) type Outcome = Result<Reply, Refusal>;

impl State {
    /// Every change from here goes through this.
    pub(super) async fn edit<T: Send + 'static>(
        &self,
        live: Live,
        edit: impl FnOnce(&mut Config) -> Result<T, Refusal> + Send + 'static,
    ) -> Result<T, Refusal> {
        Ok(self.control.try_edit(By::Api, live, edit).await?.0)
    }

    /// A proxy as it is now.
    pub(super) fn view(&self, name: &str) -> Result<ProxyView, Refusal> {
        Ok(ProxyView::of(&self.control.route(name)?, &self.typed))
    }

    /// A proxy as it is now, or, if somebody has taken it away meanwhile, as it was made.
    pub(super) fn view_of(&self, made: RouteConfig) -> ProxyView {
        match self.control.route(&made.name) {
            Ok(running) => ProxyView::of(&running, &self.typed),
            Err(_) => ProxyView::of_gone(made),
        }
    }

    /// Remembers by which text a proxy was told where to listen.
    pub(super) fn keep_typed(&self, name: &str, spot: Spot, text: &str) {
        if let Ok(route) = self.control.route(name) {
            self.typed.keep(&route, spot, text);
        }
    }
}

/// `GET /proxies`
pub(super) async fn list(state: &State) -> Outcome {
    let routes = state.control.routes();
    let views = routes.iter().map(|route| ProxyView::of(route, &state.typed));
    let all: BTreeMap<Arc<str>, ProxyView> = views.map(|view| (view.name().clone(), view)).collect();
    Ok(reply::json(StatusCode::OK, &all))
}

/// `POST /proxies`
pub(super) async fn create(state: &State, body: &[u8]) -> Outcome {
    let new = NewProxy::read(&go_json::object(body)?)?;
    if state.control.route(&new.name).is_ok() {
        return Err(Refusal::proxy_exists());
    }
    read_upstream(&new.upstream)?;
    let spot =
        spot(&new.listen, &state.control).await.map_err(|why| no_spot(format!("listen tcp: {why}")))?;
    let (name, listen) = (new.name.clone(), new.listen.clone());
    let edit = move |config: &mut Config| {
        if config.route(&new.name).is_some() {
            return Err(Refusal::proxy_exists());
        }
        is_free(config, &new.name, spot)?;
        let route = new.route(spot)?;
        config.routes.push(route.clone());
        Ok(route)
    };
    let made = state.edit(Live::Close, edit).await?;
    state.keep_typed(&name, spot, &listen);
    Ok(reply::json(StatusCode::CREATED, &state.view_of(made)))
}

/// `GET /proxies/{proxy}`
pub(super) async fn show(state: &State, name: &str) -> Outcome {
    Ok(reply::json(StatusCode::OK, &state.view(name)?))
}

/// `POST`, `PATCH /proxies/{proxy}`
pub(super) async fn update(state: &State, name: &str, body: &[u8]) -> Outcome {
    state.control.route(name)?;
    let ProxyChange { listen, upstream, enabled } = ProxyChange::read(&go_json::object(body)?)?;
    let to = match &listen {
        Some(text) => Some(spot(text, &state.control).await.map_err(no_spot)?),
        None => None,
    };
    let (owned, control) = (name.to_owned(), state.control.clone());
    let edit = move |config: &mut Config| {
        let running = control.route(&owned)?;
        let current = config.route(&owned).ok_or_else(Refusal::no_proxy)?;
        let to = to.filter(|to| !listens_at(current, &running, *to));
        // What is only said back changes nothing, also where it is more than a client can say.
        let upstream = upstream.filter(|to| *to != current.upstream.to_string());
        let upstream = upstream.as_deref().map(read_upstream).transpose()?;
        if let Some(to) = to {
            is_free(config, &owned, to)?;
        }
        let route = config.route_mut(&owned).ok_or_else(Refusal::no_proxy)?;
        (route.bind, route.local_port) = to.unwrap_or((route.bind, route.local_port));
        route.enabled = enabled.unwrap_or(route.enabled);
        if let Some(upstream) = upstream {
            route.upstream = upstream;
        }
        Ok(route.clone())
    };
    let made = state.edit(Live::CloseMoved, edit).await?;
    if let (Some(spot), Some(text)) = (to, listen) {
        state.keep_typed(name, spot, &text);
    }
    Ok(reply::json(StatusCode::OK, &state.view_of(made)))
}

/// `DELETE /proxies/{proxy}`
pub(super) async fn delete(state: &State, name: &str) -> Outcome {
    let name = name.to_owned();
    let edit = move |config: &mut Config| {
        let before = config.routes.len();
        config.routes.retain(|route| *route.name != *name);
        if config.routes.len() == before { Err(Refusal::no_proxy()) } else { Ok(()) }
    };
    state.edit(Live::Close, edit).await?;
    Ok(Reply::empty(StatusCode::NO_CONTENT))
}

/// `POST /reset`: every route listens and has no fault.
pub(super) async fn reset(state: &State) -> Outcome {
    let edit = |config: &mut Config| {
        for route in &mut config.routes {
            route.enabled = true;
            route.faults.clear();
        }
        Ok(())
    };
    state.edit(Live::Close, edit).await?;
    Ok(Reply::empty(StatusCode::NO_CONTENT))
}

/// The place where a proxy should listen is none.
pub(super) fn no_spot(why: String) -> Refusal {
    Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, why)
}

/// Refuses a port that another route has, in the words of a system that refuses it.
pub(super) fn is_free(config: &Config, name: &str, spot: Spot) -> Result<(), Refusal> {
    let (_, port) = spot;
    let LocalPort::Fixed(number) = port else { return Ok(()) };
    let routes = config.routes.iter().filter(|route| *route.name != *name);
    let taken = routes.map(|route| route.local_port).any(|other| other == port);
    let control = matches!(config.admin, Admin::On { listen, .. } if listen.port() == number);
    if !taken && !control {
        return Ok(());
    }
    Err(Refusal::not_listening(spot_text(spot), &std::io::ErrorKind::AddrInUse.into()))
}
